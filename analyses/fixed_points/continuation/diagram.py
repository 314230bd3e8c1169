"""Branches of fixed points over an axis, and the events on them: what following fixed points returns."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses.fixed_points.continuation.bifurcations import KINDS
from rnnscope.analyses.fixed_points.continuation.curves import END_NAMES, LOST
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

# The summary names this many places of a kind, and the first and last of more.
MOST_PLACES = 4
# Above this q a row is no fixed point.
TOLERANCE = 1e-20


@dataclass(frozen=True, repr=False)
class BifurcationDiagram(Result):
    """Fixed points followed along an axis. A branch has at most one point at every value of the axis.

    Attributes:
        value: where on the axis each row is, ascending within a branch.
        point: the fixed point.
        branch: the branch that the row belongs to.
        n_unstable: eigenvalues outside the unit circle (|λ| > 1 + 1e-8).
        eigenvalue: the eigenvalue of largest modulus.
        index: the fixed-point index, the sign of det(1 - J); 0 where it is not known: where an eigenvalue is 1, at a
            kink, and on the border of the domain.
        smooth: whether the Jacobian is the same on all sides of the point. Where it is not, as at the origin of a
            ReLU network without biases, the eigenvalues are those of one side and do not decide stability.
        ambiguous: whether the step to this row from the row before it could have led elsewhere; never along a
            continuous axis.
        q: 1/2 |F(h) - h|^2.
        outputs: the readout at each row; None where there is none.
        branch_ends: how each branch begins (at its lowest value) and ends, as `end_names` says: 0 at the edge of the
            axis, 1 at an event, 2 at the border of the domain, 3 lost.
        event_value: where something happens to a fixed point.
        event_error: how far from `event_value` it can be; half the distance of two checkpoints for a run.
        event_kind: what happens, an index into `kind_names`.
        event_point: the fixed point to which it happens.
        event_eigenvalue: the critical eigenvalue there; for a run, at the nearest checkpoint.
        event_branches: the branches that meet there; -1 fills up.
        values: where every branch that is there has a row, see `at`.
        search_value: where fixed points were looked for anew.
        search_starts: from how many starts.
        search_found: how many that search found; -1 where it could not begin.
        search_new: how many of them nothing else led to: no branch through an earlier search's points, no neighbouring
            checkpoint.
        search_missed: how many points branches hold there that it did not find.
        n_not_followed: points that were found and not followed: on continua of fixed points (line attractors), and
            beyond `max_branches`.
        axis: what the axis is.
        bounded: whether the map's domain is bounded on all sides. Then the indices of all fixed points at one value sum
            to 1 (Brouwer), and another sum says that some are missing.
        continuous: whether there is something between two values: not so for a run's checkpoints.
        max_step, max_branches, seed: settings, see `follow_fixed_points`.
        kind_names, end_names: what the codes in `event_kind` and `branch_ends` stand for.
        made: how it was found.
    """

    value: Float[np.ndarray, " row"]
    point: Float[np.ndarray, "row unit"]
    branch: Integer[np.ndarray, " row"]
    n_unstable: Integer[np.ndarray, " row"]
    eigenvalue: Complex[np.ndarray, " row"]
    index: Integer[np.ndarray, " row"]
    smooth: Bool[np.ndarray, " row"]
    ambiguous: Bool[np.ndarray, " row"]
    q: Float[np.ndarray, " row"]
    outputs: Float[np.ndarray, "row output"] | None
    branch_ends: Integer[np.ndarray, "branches 2"]
    event_value: Float[np.ndarray, " event"]
    event_error: Float[np.ndarray, " event"]
    event_kind: Integer[np.ndarray, " event"]
    event_point: Float[np.ndarray, "event unit"]
    event_eigenvalue: Complex[np.ndarray, " event"]
    event_branches: Integer[np.ndarray, "event place"]
    values: Float[np.ndarray, " step"]
    search_value: Float[np.ndarray, " search"]
    search_starts: Integer[np.ndarray, " search"]
    search_found: Integer[np.ndarray, " search"]
    search_new: Integer[np.ndarray, " search"]
    search_missed: Integer[np.ndarray, " search"]
    n_not_followed: int
    axis: str
    bounded: bool
    continuous: bool
    max_step: float
    max_branches: int
    seed: int
    kind_names: tuple[str, ...] = KINDS
    end_names: tuple[str, ...] = END_NAMES
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.branch_ends)

    @property
    def converged(self) -> bool:
        """Whether every row is a fixed point (q below 1e-20), and no branch was lost."""
        return bool((self.q < TOLERANCE).all() and not (self.branch_ends == LOST).any())

    @property
    def complete(self) -> bool:
        """Whether nothing points to a branch that is missing: none was lost, every point found was followed, the last
        search at each value missed none that branches hold there, the later half of the values that were searched
        brought nothing new, and in a bounded domain the indices sum to 1. More searches and starts make it surer."""
        first = self._first_searches
        last = np.array([np.flatnonzero(self.search_value == value)[-1] for value in self.search_value[first]])
        unseen = self.search_new[first][len(first) // 2 :].any() or self.search_missed[last].any()
        short = self.bounded and bool((self.index_sum[np.isfinite(self.index_sum)] != 1).any())
        return self.converged and not (self.n_not_followed or unseen or short)

    @property
    def _first_searches(self) -> np.ndarray:
        """One for each value: searches that were repeated come after all of these."""
        return np.sort(np.unique(self.search_value, return_index=True)[1])

    @property
    def index_sum(self) -> Float[np.ndarray, " step"]:
        """The sum of the indices at each of `values`; NaN where one is not known. Where the domain is bounded, another
        sum than 1 says that points are missing there."""
        at = [self.index[self.value == value] for value in self.values]
        return np.array([index.sum() if (index != 0).all() else np.nan for index in at], np.float64)

    @property
    def at_kink(self) -> Bool[np.ndarray, " branches"]:
        """Whether a branch stays at a kink of the map, and does not only pass one."""
        return np.array([bool((~self.smooth[self.branch == i]).mean() > 0.5) for i in range(len(self))], bool)

    @property
    def event_names(self) -> list[str]:
        return [self.kind_names[kind] for kind in self.event_kind]

    @property
    def event_frequency(self) -> Float[np.ndarray, " event"]:
        """Rotation of the critical eigenvalue in cycles per step: at about this frequency oscillates what a
        Neimark-Sacker event gives rise to."""
        return np.abs(np.angle(self.event_eigenvalue)) / (2 * np.pi)

    def at(self, value: float | int) -> Integer[np.ndarray, " found"]:
        """The rows with the fixed points at one of `values`.

        Raises:
            ValueError: another value.
        """
        nearest = self.values[np.abs(self.values - value).argmin()]
        if abs(nearest - value) > 1e-9 * np.ptp(self.values):
            raise ValueError(f"no points were asked for at {value:g}; the nearest of `values` is {nearest:g}")
        return np.flatnonzero(self.value == nearest)

    def summary(self) -> str:
        n, low, high = len(self), self.values.min(), self.values.max()
        parts = [
            f"{n or 'no'} branch{'' if n == 1 else 'es'} of fixed points over {self.axis} from {low:g} to {high:g}: "
            f"{self._events()}"
        ]
        kinks, unsure = int(self.at_kink.sum()), int(self.ambiguous.sum())
        lost = int((self.branch_ends == LOST).any(1).sum())
        if kinks:
            parts.append(f"{kinks} at a kink of the map, where eigenvalues do not decide stability")
        if unsure:
            parts.append(f"{unsure} ambiguous step{'' if unsure == 1 else 's'}")
        if lost:
            parts.append(f"{lost} LOST on the way")
        if self.n_not_followed:
            parts.append(f"{self.n_not_followed} points found and not followed")
        known = self.index_sum[np.isfinite(self.index_sum)]
        if self.bounded and len(known):
            missing = int((known != 1).sum())
            parts.append(
                f"points are MISSING at {missing} of {len(known)} values, as their indices do not sum to 1"
                if missing
                else f"indices sum to 1 at {len(known)} of {len(self.values)} values"
            )
        return "; ".join([*parts, self._searches(), f"largest q {self.q.max(initial=0.0):.1g}"])

    def _events(self) -> str:
        told = []
        for kind, count in sorted(Counter(self.event_kind.tolist()).items()):
            chosen = np.flatnonzero(self.event_kind == kind)
            low, high = (self.event_value[chosen] + side * self.event_error[chosen] for side in (-1, 1))
            # What is nearer to 0 than its error is 0.
            at = np.where(low * high < 0, 0.0, self.event_value[chosen])
            if self.continuous:
                places, link = [f"{value:.6g}" for value in at], "at "
                spread = f" (± {self.event_error[chosen].max():.0e})"
            else:
                places, link, spread = [f"{a:g} and {b:g}" for a, b in zip(low, high, strict=True)], "between ", ""
            if count > MOST_PLACES:
                places = [f"{at.min():.6g} to {at.max():.6g}"]
                link = "from "
            name = self.kind_names[kind]
            several = "" if count == 1 or name == "unclassified" else "es" if name.endswith("h") else "s"
            told.append(f"{count} {name}{several} {link}{', '.join(places)}{spread}")
        return "; ".join(told) or "no event"

    def _searches(self) -> str:
        first, missed = self._first_searches, int(self.search_missed.sum())
        new = np.flatnonzero(self.search_new[first])
        n, quiet = len(first), len(first) - 1 - (int(new[-1]) if len(new) else -1)
        told = f"the last {quiet} of {n} values searched brought nothing new"
        if not quiet:
            told = f"the last of {n} values searched still brought new points, so that there may be more branches"
        held = missed + int(np.maximum(self.search_found, 0).sum())
        return told + (f" (searches missed {missed} of {held} points)" if missed else "")

    def figure(self, *, unit: int | None = None, output: int | None = None) -> "go.Figure":
        """The bifurcation diagram: fixed points against the axis, in one coordinate.

        Args:
            unit: the unit to draw.
            output: the output to draw instead. If neither is given: the state of a map with one unit, and else the
                first principal component of all points.
        """
        from rnnscope.analyses.fixed_points.continuation.figure import bifurcation_figure

        return bifurcation_figure(self, unit, output)
