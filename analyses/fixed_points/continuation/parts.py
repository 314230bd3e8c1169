"""What fixed points are followed along, what happens to them, and how they were searched for on the way."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses.fixed_points.continuation.bifurcations import KINDS
from rnnscope.analyses.fixed_points.continuation.curves import END_NAMES, LOST, UNDEFINED
from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True)
class Along:
    """The axis along which fixed points are followed.

    Attributes:
        values: where every branch that is there has a row.
        name: what the axis is.
        bounded: whether the map's domain is bounded on all sides.
        continuous: whether there is something between two values: not so for a run's checkpoints.
        keeps: what is known, at each value, of whether the map carries its domain into itself: "known" (proven),
            "not refuted" (no state that was tried left it), "refuted", "unbounded", or "not asked" in results that
            were saved before this was. Where it does, the indices of all fixed points sum to 1 (Brouwer), and another
            sum says that some are missing. See `rnnscope.maps.keeps_domain`.
    """

    values: Float[np.ndarray, " step"]
    name: str = field(metadata={FORMERLY: "axis"})
    bounded: bool
    continuous: bool
    keeps: tuple[str, ...] = field(default=(), metadata={FORMERLY: None})

    @property
    def has_index(self) -> Bool[np.ndarray, " step"]:
        """Whether the indices must sum to 1 at each value, as far as is known."""
        kept = [word in ("known", "not refuted") for word in self.keeps]
        return np.array(kept if self.keeps else [False] * len(self.values), bool)


@dataclass(frozen=True)
class Branches:
    """How each branch begins and ends.

    Attributes:
        ends: how each branch begins (at its lowest value) and ends, as `end_names` says: 0 at the edge of the axis, 1
            at an event, 2 at the border of the domain, 3 lost, 4 where the map is not finite beyond.
        end_names: what these codes stand for.
    """

    ends: Integer[np.ndarray, "branches 2"] = field(metadata={FORMERLY: "branch_ends"})
    end_names: tuple[str, ...] = END_NAMES

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def n_lost(self) -> int:
        """How many were lost on the way."""
        return int((self.ends == LOST).any(1).sum())

    @property
    def n_undefined(self) -> int:
        """How many end where the map is not finite beyond."""
        return int((self.ends == UNDEFINED).any(1).sum())


@dataclass(frozen=True)
class Events:
    """Bifurcations, and other things that happen to a fixed point along the axis.

    Attributes:
        value: where it happens.
        error: how far from `value` it can be; half the distance of two checkpoints for a run.
        kind: what happens, an index into `kind_names`.
        point: the fixed point to which it happens.
        eigenvalue: the critical eigenvalue there; for a run, at the nearest checkpoint.
        branches: the branches that meet there; -1 fills up.
        kind_names: what the codes in `kind` stand for.
    """

    value: Float[np.ndarray, " event"] = field(metadata={FORMERLY: "event_value"})
    error: Float[np.ndarray, " event"] = field(metadata={FORMERLY: "event_error"})
    kind: Integer[np.ndarray, " event"] = field(metadata={FORMERLY: "event_kind"})
    point: Float[np.ndarray, "event unit"] = field(metadata={FORMERLY: "event_point"})
    eigenvalue: Complex[np.ndarray, " event"] = field(metadata={FORMERLY: "event_eigenvalue"})
    branches: Integer[np.ndarray, "event place"] = field(metadata={FORMERLY: "event_branches"})
    kind_names: tuple[str, ...] = KINDS

    def __len__(self) -> int:
        return len(self.value)

    @property
    def names(self) -> list[str]:
        """What happens, in words."""
        return [self.kind_names[kind] for kind in self.kind]

    @property
    def frequency(self) -> Float[np.ndarray, " event"]:
        """Rotation of the critical eigenvalue in cycles per step: at about this frequency oscillates what a
        Neimark-Sacker event gives rise to."""
        return np.abs(np.angle(self.eigenvalue)) / (2 * np.pi)


@dataclass(frozen=True)
class Searches:
    """The searches for fixed points along the axis.

    Attributes:
        value: where fixed points were looked for anew.
        n_starts: from how many starts.
        n_found: how many that search found; -1 where it could not begin.
        n_new: how many of them nothing else led to: no branch through an earlier search's points, no neighbouring
            checkpoint.
        n_missed: how many points branches hold there that it did not find.
        n_not_followed: points that were found and not followed: on continua of fixed points (line attractors), and
            beyond `max_branches`.
        n_between: how many points on new curves were found at no value in particular, but by Newton's method along the
            axis and in the state together: closed curves that lie between the values searched.
    """

    value: Float[np.ndarray, " search"] = field(metadata={FORMERLY: "search_value"})
    n_starts: Integer[np.ndarray, " search"] = field(metadata={FORMERLY: "search_starts"})
    n_found: Integer[np.ndarray, " search"] = field(metadata={FORMERLY: "search_found"})
    n_new: Integer[np.ndarray, " search"] = field(metadata={FORMERLY: "search_new"})
    n_missed: Integer[np.ndarray, " search"] = field(metadata={FORMERLY: "search_missed"})
    n_not_followed: int
    n_between: int = field(default=0, metadata={FORMERLY: None})

    @property
    def first(self) -> Integer[np.ndarray, " first"]:
        """The first search at each value, by row: searches that were repeated come after all of these."""
        return np.sort(np.unique(self.value, return_index=True)[1])

    @property
    def exhausted(self) -> bool:
        """Whether every point found was followed, the last search at each value missed none that branches hold there,
        and the later half of the values that were searched brought nothing new, nor anything between them."""
        first = self.first
        last = np.array([np.flatnonzero(self.value == value)[-1] for value in self.value[first]])
        unseen = self.n_new[first][len(first) // 2 :].any() or self.n_missed[last].any()
        return not (self.n_not_followed or self.n_between or unseen)

    def summary(self) -> str:
        """Whether the last searches still brought new points, and how many points searches missed."""
        first, missed = self.first, int(self.n_missed.sum())
        new = np.flatnonzero(self.n_new[first])
        n, quiet = len(first), len(first) - 1 - (int(new[-1]) if len(new) else -1)
        said = f"the last {quiet} of {n} values searched brought nothing new"
        if not quiet:
            said = f"the last of {n} values searched still brought new points, so that there may be more branches"
        held = missed + int(np.maximum(self.n_found, 0).sum())
        said += f" (searches missed {missed} of {held} points)" if missed else ""
        return said + (f", and {self.n_between} between them led to new curves" if self.n_between else "")
