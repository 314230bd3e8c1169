"""How much of state space does each attractor take? Where sampled states settle, with confidence intervals."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.fixed_points.orbits.settling import (
    AT_POINT,
    DIVERGED,
    ENDS,
    MOVING,
    ON_CYCLE,
    USUAL_STEPS,
    Settled,
    nodes_of,
    settle,
    settling_cost,
)
from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.find import FixedPoints
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.question import Count, InputVector, Level, Part, Seed, StateRows
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.starts import bounds, checked_starts, starts_near
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

TASK_STATES, DOMAIN, FREE_RUN, GIVEN = "states of the task", "uniform in the domain", "states of a free run", "given"


@dataclass(frozen=True, repr=False)
class Basins(Result):
    """Where sampled states settle. Fractions are of the starts, and mean as much as their distribution does.

    Attributes:
        attractors: a state of each: the fixed points of the list that are stable or were reached, in its order, then
            those that starts came upon, then cycles.
        period: 1 for a fixed point.
        listed: the row in the list of fixed points; -1 for what it does not have.
        n_unstable: unstable directions of a fixed point (a start can lie on the stable manifold of a saddle); -1 for a
            cycle, of which it is not known.
        marginal: whether the largest |λ| of a fixed point is 1 within 1e-6, as on a line of fixed points.
        count: how many starts settled there.
        fraction, low, high: the same as a part of all starts, with its 95 % interval (see `wilson_interval`).
        starts: the sampled states.
        end: how each ended: 0 "fixed point", 1 "cycle", 2 "still moving", 3 "diverged", as `end_names` says.
        attractor: the row of `attractors` where each settled; -1 if it did not.
        steps: after how many steps it was there to stay (up to 64 late for a cycle; all steps for one that is slow to
            arrive, or still moving).
        end_fraction, end_low, end_high: the parts of all starts that ended in each of these ways, with intervals.
        input: the input that was held; empty for a map that takes none.
        starts_from: how the starts were drawn: "states of the task", "uniform in the domain", "states of a free run"
            or "given".
        noise: on visited states, as a part of each unit's standard deviation.
        tolerance: distance at which a state has arrived at a fixed point, in units of `scale`.
        scale: that of the list of fixed points: the spread of the states from which they were searched.
        n_steps: most steps.
        seed: of the starts.
        end_names: what the codes in `end` stand for.
        made: how it was found.
    """

    attractors: Float[np.ndarray, "attractor unit"]
    period: Integer[np.ndarray, " attractor"]
    listed: Integer[np.ndarray, " attractor"]
    n_unstable: Integer[np.ndarray, " attractor"]
    marginal: Bool[np.ndarray, " attractor"]
    count: Integer[np.ndarray, " attractor"]
    fraction: Float[np.ndarray, " attractor"]
    low: Float[np.ndarray, " attractor"]
    high: Float[np.ndarray, " attractor"]
    starts: Float[np.ndarray, "start unit"]
    end: Integer[np.ndarray, " start"]
    attractor: Integer[np.ndarray, " start"]
    steps: Integer[np.ndarray, " start"]
    end_fraction: Float[np.ndarray, " end"]
    end_low: Float[np.ndarray, " end"]
    end_high: Float[np.ndarray, " end"]
    input: Float[np.ndarray, " input"]
    starts_from: str
    noise: float
    tolerance: float
    scale: float
    n_steps: int
    seed: int
    end_names: tuple[str, ...] = ENDS
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.attractors)

    @property
    def missed(self) -> Bool[np.ndarray, " attractor"]:
        """Fixed points that starts came upon and the list does not have."""
        return (self.listed < 0) & (self.period == 1)

    def summary(self) -> str:
        n, ended = len(self.starts), Counter(self.end.tolist())
        reached = self.count > 0
        points, cycles = int((reached & (self.period == 1)).sum()), int((reached & (self.period > 1)).sum())
        kinds = [f"{points} fixed point{'' if points == 1 else 's'}"] if points else []
        kinds += [f"{cycles} cycle{'' if cycles == 1 else 's'}"] if cycles else []
        parts = []
        if kinds:
            shares = self.fraction[reached]
            widest = max(float((self.high - self.low)[reached].max()) / 2, 0.0)
            parts.append(
                f"{' and '.join(kinds)} take{'s' * (len(shares) == 1)} {_percent(shares.min())}"
                f"{f' to {_percent(shares.max())}' if len(shares) > 1 else ''} of {n} starts "
                f"({self.starts_from}; ± {_percent(widest)} at most)"
            )
            median, late = np.percentile(self.steps[self.attractor >= 0], [50, 99])
            parts.append(f"settled in {median:.0f} steps (median), 99 % in {late:.0f}")
        else:
            parts.append(f"none of {n} starts ({self.starts_from}) settles")
        for code in (MOVING, DIVERGED):
            if ended[code]:
                after = f" after {self.n_steps} steps" if code == MOVING else ""
                parts.append(f"{_percent(self.end_fraction[code])} {self.end_names[code]}{after}")
        unreached = int((~reached & (self.n_unstable == 0)).sum())
        if unreached:
            parts.append(f"{unreached} stable fixed point{' is' if unreached == 1 else 's are'} reached by none")
        if self.missed.any():
            marginal = int((self.missed & self.marginal).sum())
            line = f" ({marginal} with |λ| = 1, as on a line of fixed points)" if marginal else ""
            parts.append(f"{int(self.missed.sum())} of the fixed points reached not in the list{line}")
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """The fraction of each attractor with its interval, and the starts in the plane of their first two principal
        components, coloured by where they settle."""
        from rnnscope.analyses.fixed_points.orbits.basins_figure import basins_figure

        return basins_figure(self)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_starts = settings["n_starts"] if settings["starts"] is None else len(settings["starts"])
    seconds, memory = settling_cost(scale, n_starts, min(settings["n_steps"], USUAL_STEPS))
    return scale.around(seconds, memory)


@analysis(
    "basins",
    title="Basins of attraction",
    group=FIXED_POINTS,
    uses={"fixed_points": Uses("fixed_points")},
    quick={"n_starts": 64, "n_steps": 256},
    cost=Cost("light", "starts x steps until they settle x units", _cost),
)
def basin_fractions(
    subject: Subject,
    *,
    fixed_points: FixedPoints | None = None,
    input: InputVector | None = None,
    starts: StateRows | None = None,
    n_starts: Count = 2000,
    noise: Level = 0.5,
    n_steps: Count = 2000,
    tolerance: Part = 1e-4,
    seed: Seed = 0,
) -> Basins:
    """Let sampled states run until they settle (see `settle`), and count where (Menck et al., Nature Physics 9, 2013).

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        fixed_points: what attractors are known; `find_fixed_points(subject, input=input, seed=seed)` if None. A fixed
            point that is reached and not among them is added: the search missed it.
        input: the input to hold, (input,). If None: the one of `fixed_points`, which must have no other.
        starts: the states to start from, (start, state). If None: for a run, states visited on its own task, with
            noise; for other maps, uniform in the domain; without a finite domain, states visited in 200 steps from the
            map's initial states, with noise (uniform where these do not move and the domain bounds some units).
        n_starts: how many, where `starts` is None.
        noise: standard deviation of the noise on visited states, as a part of each unit's own standard deviation.
        n_steps: most steps.
        tolerance: distance at which a state has arrived at a fixed point, in units of `fixed_points.scale`.
        seed: for the starts, and for the search where there are no `fixed_points`.

    Raises:
        ValueError: an argument out of range or of the wrong shape; fixed points of another network or of several
            inputs.
        NotApplicable: nothing tells where to start.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> bistable = rs.FunctionMap(lambda x: np.tanh(2 * x), state_size=1, domain=(-1, 1))
        >>> found = basin_fractions(bistable, starts=np.array([[-0.7], [0.1], [0.2], [0.3]]))
        >>> sorted(found.fraction.tolist())
        [0.25, 0.75]
    """
    if input is not None and np.ndim(input) != 1:
        raise ValueError(f"basins are those of one input, (input,), got an array of shape {np.shape(input)}")
    if starts is None:
        begin, starts_from = _default_starts(subject, n_starts, noise, seed)
    else:
        begin, starts_from = checked_starts(starts, subject.map.state_size), GIVEN
    found, conditions = asked_points(subject, fixed_points, input, seed)
    held = found.held_inputs
    if input is None and len(held) > 1:
        raise ValueError(
            f"the fixed points were found at {len(held)} inputs, and basins are those of one: choose it, as in "
            f"input={held[0].tolist()}"
        )
    condition = int(conditions.argmax())
    settled = settle(
        subject.map,
        begin,
        np.full(len(begin), condition),
        held,
        nodes_of(found, np.flatnonzero(found.point_input == condition)),
        n_steps=n_steps,
        tolerance=tolerance,
        scale=found.scale,
    )
    ends = np.bincount(settled.end, minlength=len(ENDS))
    low, high = wilson_interval(ends, len(begin))
    return Basins(
        **_attractors(settled),
        starts=begin,
        end=settled.end,
        steps=settled.steps,
        end_fraction=ends / len(begin),
        end_low=low,
        end_high=high,
        input=held[condition].copy(),
        starts_from=starts_from,
        noise=noise,
        tolerance=tolerance,
        scale=found.scale,
        n_steps=n_steps,
        seed=seed,
    )


def _attractors(settled: Settled) -> dict[str, Any]:
    """The fields of `Basins` that tell what was reached: fixed points, then cycles."""
    nodes, cycles = settled.nodes, settled.cycles
    at_point = np.bincount(settled.target[settled.end == AT_POINT], minlength=len(nodes))
    on_cycle = np.bincount(settled.target[settled.end == ON_CYCLE], minlength=len(cycles))
    kept = np.flatnonzero((at_point > 0) | ((nodes.listed >= 0) & nodes.smooth & (nodes.n_unstable == 0)))
    place = np.full(len(nodes), -1)
    place[kept] = np.arange(len(kept))
    attractor = np.full(len(settled.end), -1)
    attractor[settled.end == AT_POINT] = place[settled.target[settled.end == AT_POINT]]
    attractor[settled.end == ON_CYCLE] = len(kept) + settled.target[settled.end == ON_CYCLE]
    count = np.concatenate([at_point[kept], on_cycle])
    low, high = wilson_interval(count, len(attractor))
    none = np.full(len(cycles), -1)
    return {
        "attractors": np.concatenate([nodes.points[kept], *(cycle.states[:1] for cycle in cycles)]),
        "period": np.concatenate([np.ones(len(kept), np.int64), [len(cycle.states) for cycle in cycles]]).astype(int),
        "listed": np.concatenate([nodes.listed[kept], none]),
        "n_unstable": np.concatenate([nodes.n_unstable[kept], none]),
        "marginal": np.concatenate([nodes.marginal[kept], np.zeros(len(cycles), bool)]),
        "count": count,
        "fraction": count / len(attractor),
        "low": low,
        "high": high,
        "attractor": attractor,
    }


def _default_starts(
    subject: Subject, n_starts: int, noise: float, seed: int
) -> tuple[Float[np.ndarray, "start unit"], str]:
    state_map, rng = subject.map, np.random.default_rng([seed, 0xBA])
    if subject.task is None and bounds(state_map)[0].all():
        return starts_near(state_map, None, n_starts, np.zeros(1), 1.0, rng), DOMAIN
    visited = subject.visited(seed=seed).states
    # From one state alone all starts would be the same.
    random_share = 0.0 if visited.std(0).any() else 1.0
    begin = starts_near(state_map, visited, n_starts, np.array([noise]), random_share, rng)
    if state_map.domain is not None:
        begin = np.clip(begin, *state_map.domain)
    return begin, DOMAIN if random_share else FREE_RUN if subject.task is None else TASK_STATES


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.1f} %"
