"""How much of state space does each attractor take? Where sampled states settle, with confidence intervals."""

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.fixed_points.orbits.attracting import repelled
from rnnscope.analyses.fixed_points.orbits.basins_result import BASIN_ENDS, HELD, Basins, Ends, SampledStarts
from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.fixed_points.orbits.settling import (
    AT_POINT,
    ON_CYCLE,
    USUAL_STEPS,
    nodes_of,
    settle,
    settling_cost,
)
from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.question import Count, InputVector, Level, Part, Seed, StateRows
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.starts import bounds, checked_starts, starts_near
from rnnscope.subjects.subject import Subject

TASK_STATES, DOMAIN, FREE_RUN, GIVEN = "states of the task", "uniform in the domain", "states of a free run", "given"


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

    A start whose orbit comes to an unstable point or cycle is in no basin, and is counted apart: it began exactly on
    what leads there, or rounding brought it there (see `repelled`).

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
        tolerance: distance at which a state has arrived at a fixed point, in units of `fixed_points.starts.scale`.
        seed: for the starts, and for the search where there are no `fixed_points`.

    Raises:
        ValueError: an argument out of range or of the wrong shape; fixed points of another network or of several
            inputs.
        NotApplicable: it is not known where to start.

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
        scale=found.starts.scale,
    )
    radius = tolerance * found.starts.scale
    lost = repelled(subject.map, begin, np.full(len(begin), condition), held, settled, radius=radius, seed=seed)
    end, target, nodes = np.where(lost, HELD, settled.end), settled.target, settled.nodes
    at_point = np.bincount(target[end == AT_POINT], minlength=len(nodes))
    on_cycle = np.bincount(target[end == ON_CYCLE], minlength=len(settled.cycles))
    kept = np.flatnonzero((at_point > 0) | ((nodes.listed >= 0) & nodes.smooth & (nodes.n_unstable == 0)))
    cycles = np.flatnonzero(on_cycle)
    attractor = np.full(len(begin), -1)
    attractor[end == AT_POINT] = np.searchsorted(kept, target[end == AT_POINT])
    attractor[end == ON_CYCLE] = len(kept) + np.searchsorted(cycles, target[end == ON_CYCLE])
    states = [settled.cycles[i].states for i in cycles]
    count, none = np.concatenate([at_point[kept], on_cycle[cycles]]), np.full(len(cycles), -1)
    low, high = wilson_interval(count, len(begin))
    ends = np.bincount(end, minlength=len(BASIN_ENDS))
    return Basins(
        attractors=np.concatenate([nodes.points[kept], *(each[:1] for each in states)]),
        period=np.concatenate([np.ones(len(kept), np.int64), [len(each) for each in states]]).astype(int),
        listed=np.concatenate([nodes.listed[kept], none]),
        n_unstable=np.concatenate([nodes.n_unstable[kept], none]),
        marginal=np.concatenate([nodes.marginal[kept], np.zeros(len(cycles), bool)]),
        count=count,
        fraction=count / len(begin),
        low=low,
        high=high,
        input=held[condition].copy(),
        starts=SampledStarts(
            states=begin,
            attractor=attractor,
            end=end,
            steps=settled.steps,
            drawn_from=starts_from,
            n_steps=n_steps,
            scale=found.starts.scale,
        ),
        ends=Ends(ends / len(begin), *wilson_interval(ends, len(begin)), BASIN_ENDS),
    )


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
