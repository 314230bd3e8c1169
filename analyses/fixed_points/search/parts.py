"""What the search for fixed points returns beside the points: slow points, where the starts ended, and whether the
network can be at a point."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.search.root_search import FAILED, REASONS
from rnnscope.records.schema1 import FORMERLY

STATUS = ("fixed", "slow", "failed")


@dataclass(frozen=True)
class SlowPoints:
    """Local minima of q that are no fixed points, each once.

    Attributes:
        points: the states.
        q: 1/2 |F(h) - h|^2 at each.
        input: the row of `held_inputs` of each.
    """

    points: Float[np.ndarray, "slow unit"] = field(metadata={FORMERLY: "slow_points"})
    q: Float[np.ndarray, " slow"] = field(metadata={FORMERLY: "slow_q"})
    input: Integer[np.ndarray, " slow"] = field(metadata={FORMERLY: "slow_input"})

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Reach:
    """Whether the network can be at a fixed point: inside its domain, and near the states that it visits.

    Attributes:
        in_domain: whether the point lies within the map's domain; all True where it has none.
        visited_distance: distance to the nearest visited state, in units of the visited states' own spread (their
            median distance from their median).
        visited_from: what "visited" means here: "task trials", "free run", "given states" or "starts".
        far_distance: see `far`.
    """

    in_domain: Bool[np.ndarray, " point"]
    visited_distance: Float[np.ndarray, " point"]
    visited_from: str
    far_distance: float

    @property
    def far(self) -> Bool[np.ndarray, " point"]:
        """Whether a point is further from every visited state than `far_distance`: the network may never be there."""
        return self.visited_distance > self.far_distance


@dataclass(frozen=True)
class Starts:
    """Where the search began, and how each start ended.

    Attributes:
        states: where the search began.
        input: the row of `held_inputs` that each start was given.
        status: how each start ended: 0 "fixed", 1 "slow", 2 "failed", as `status_names` says.
        reason: why it failed, an index into `reason_names`; 0 unless it failed.
        q: 1/2 |F(h) - h|^2 where each start ended.
        point: the row of the fixed points (or, for a slow start, of the slow points) where each start ended; -1 if it
            failed.
        iterations: the number of steps that each start took.
        tolerance: the q below which a point is a fixed point.
        scale: the spread of the starts: their median distance from their median, or 1 where that is 0.
        status_names, reason_names: what the codes in `status` and `reason` stand for.
    """

    states: Float[np.ndarray, "start unit"] = field(metadata={FORMERLY: "starts"})
    input: Integer[np.ndarray, " start"] = field(metadata={FORMERLY: "start_input"})
    status: Integer[np.ndarray, " start"] = field(metadata={FORMERLY: "start_status"})
    reason: Integer[np.ndarray, " start"] = field(metadata={FORMERLY: "start_reason"})
    q: Float[np.ndarray, " start"] = field(metadata={FORMERLY: "start_q"})
    point: Integer[np.ndarray, " start"] = field(metadata={FORMERLY: "start_point"})
    iterations: Integer[np.ndarray, " start"] = field(metadata={FORMERLY: "start_iterations"})
    tolerance: float
    scale: float
    status_names: tuple[str, ...] = STATUS
    reason_names: tuple[str, ...] = REASONS

    def __len__(self) -> int:
        return len(self.states)

    def count(self, status: int) -> int:
        """How many starts ended in this way."""
        return int((self.status == status).sum())

    def failures(self) -> str:
        """How many starts failed and why, such as "4 failed: 3 stagnated, 1 not finite"."""
        counts = Counter(self.reason[self.status == FAILED].tolist())
        reasons = [f"{count} {self.reason_names[code]}" for code, count in counts.most_common() if code]
        return f"{self.count(FAILED)} failed" + (": " + ", ".join(reasons) if reasons else "")
