"""How little it takes to push a network from one attractor to another, and in which direction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from rnnscope.analyses.causal.borders import least_distance
from rnnscope.analyses.causal.edges import to_edges
from rnnscope.analyses.causal.least_push_result import After, Border, LeastPushes, between_figure
from rnnscope.analyses.causal.outcomes import UNDECIDED, Futures, radii_of
from rnnscope.analyses.causal.shortest_way import EDGE, LOCALLY_LEAST, NOT_FOUND, ROUNDS, Ways, located, shortened
from rnnscope.analyses.causal.ways_to_try import Landmarks, landmarks, tried_ways
from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.headings import CAUSES
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.question import Count, InputVector, Part, Seed, StateRows, TrialInputs, Whole
from rnnscope.registry import Drawing, Uses, analysis
from rnnscope.subjects.interventions.batch import spread
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.starts import checked_starts
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.task import Trials

# States that are pushed by one worker at a time: results do not hang on it.
AT_ONCE = 32
# What a problem took on the networks of the demo: states that are run until they settle, and steps of each.
USUAL_RUNS, USUAL_STEPS = 1200, 80
# An orbit on the border has come to an unstable point, nearer than this part of the least distance of attractors.
REACHED = 1e-2


@dataclass(frozen=True, eq=False)
class _Pushed:
    """States to push, where they come from, and what they are shown afterwards."""

    states: Float[np.ndarray, "state unit"]
    trial: Int64[np.ndarray, " state"]
    time: Int64[np.ndarray, " state"]
    own: Float[np.ndarray, "state time input"]
    n_own: Int64[np.ndarray, " state"]

    def some(self, rows: Integer[np.ndarray, " some"]) -> "_Pushed":
        return _Pushed(self.states[rows], self.trial[rows], self.time[rows], self.own[rows], self.n_own[rows])


def _cost(scale: Scale, settings: Settings) -> Expected:
    if settings["states"] is not None:
        n = len(settings["states"])
    else:
        shown = settings["inputs"] is not None or scale.subject.task is not None
        n_trials = scale.shown(settings)[0] if shown else settings["n_trials"]
        n = n_trials * (settings["n_times"] if settings["times"] is None else len(settings["times"]))
    # As many targets as points are stable, half of them as a rule of thumb, less the one where a state is.
    n_targets = max(1.0, scale.n_points / 2 - 1) if settings["to"] == "each" else 1
    runs = n * n_targets * USUAL_RUNS * settings["n_starts"] / 4
    seconds = scale.step.of(runs * USUAL_STEPS / 512, runs * USUAL_STEPS)
    return scale.around(seconds, 8 * AT_ONCE * scale.n * 1000)


@analysis(
    "least_pushes",
    title="Least pushes",
    group=CAUSES,
    uses={"fixed_points": Uses("fixed_points")},
    quick={"n_trials": 4, "n_times": 2, "n_starts": 1, "n_steps": 200, "n_rounds": 4},
    drawings=(Drawing("between", "From attractor to attractor", between_figure),),
    cost=Cost("heavy", "trials x times x targets x steps until they settle x units^2", _cost),
)
def find_least_pushes(
    subject: Subject,
    *,
    fixed_points: FixedPoints | None = None,
    to: Literal["nearest", "each"] = "nearest",
    after: Literal["held input", "own inputs"] = "held input",
    times: Sequence[Whole] | None = None,
    n_times: Count = 4,
    states: StateRows | None = None,
    input: InputVector | None = None,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 16,
    n_starts: Count = 4,
    n_random: Whole = 4,
    n_rounds: Count = 30,
    n_steps: Count = 2000,
    arrival: Part = 1e-3,
    tolerance: Part = 1e-3,
    precision: Part = 1e-9,
    seed: Seed = 0,
) -> LeastPushes:
    """Find short pushes, added once to a state, after which the network settles at another attractor than it would.

    What a push is added to is the state of a trial after a step. Without the push the network goes on and settles at
    one stable fixed point; with it, at another. The border between the two is located by bisection on the way to other
    attractors, to saddles, along the unstable directions of saddles, and in random directions. From the best of these
    crossings each push is then shortened: along the border's normal, which is the left unstable eigenvector of the
    saddle that orbits on the border run to, carried back by the Jacobians (see `borders.facing`), and down to the
    border again, until push and normal agree (see `shortest_way.shortened`). What lies beyond other basins is reached
    where their borders meet; there several normals count (see `edges.to_edges`).

    A push is an upper bound of the least one: the network was run under it, and settled where it is said to. That no
    other direction needs less is not known. `border.gap` says how far each is from being least in first order. Where
    none was found, there may be one.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        fixed_points: what attractors and saddles are known; `find_fixed_points(subject, input=input, seed=seed)` if
            None. Attractors are the stable points; cycles are none.
        to: the "nearest" attractor (whichever other needs least), or "each" other one.
        after: what the network is shown after the push: the "held input" alone, at which the fixed points are points;
            or the trial's "own inputs" to its end, and then the held input.
        times: the steps after which states are pushed, from 0; `n_times` evenly spaced ones if None.
        n_times: how many, where `times` does not say.
        states: states to push, instead of those of trials, (state, unit); under the held input.
        input: the input that is held, (input,). If None: the one of `fixed_points`, which must have no other.
        inputs: what to show, or a task's trials; trials of the run's own task if None. A map without a task is asked at
            `n_trials` of the states that it visits by itself.
        n_trials: how many trials, where `inputs` does not say.
        n_starts: crossings that each push is shortened from: the nearest on the way to each attractor, by their length,
            then the second nearest.
        n_random: random directions among those that are tried.
        n_rounds: most times that a push is shortened.
        n_steps: most steps until a state has settled; one that has not is undecided.
        arrival: distance at which a state has settled at an attractor, in units of `fixed_points.starts.scale`, or a
            tenth of the way to the next attractor where that is less.
        tolerance: sine of the angle between push and normal at which a push is least in first order.
        precision: a push that is shorter by this part does not do.
        seed: of trials, random directions, and the search where there are no `fixed_points`.

    Raises:
        NotApplicable: fewer than two fixed points are stable, no state settles at one, or there is nothing to push.
        ValueError: steps that trials do not have; both states and trials; fixed points of another network or of
            several inputs.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> bistable = rs.FunctionMap(lambda x: np.tanh(2 * x), state_size=1, domain=(-1, 1))
        >>> find_least_pushes(bistable, states=np.array([[-0.5], [0.25]])).distance.round(6).tolist()
        [0.5, 0.25]
    """
    if states is not None and (inputs is not None or times is not None or after == "own inputs"):
        raise ValueError("states are pushed under the held input: leave out inputs, times and after, or states")
    found, conditions = asked_points(subject, fixed_points, input, seed)
    if conditions.sum() != 1:
        raise ValueError(
            f"the fixed points were found at {len(found.held_inputs)} inputs, and pushes are those at one: choose it, "
            f"as in input={found.held_inputs[0].tolist()}"
        )
    condition = int(conditions.argmax())
    attractors = _attractors(found, condition)
    held = found.held_inputs[condition]
    pushed = _pushed(subject, states, inputs, times, n_times, n_trials, after, held, seed)
    points, known = found.points[attractors], landmarks(subject.map, found, condition, attractors)
    radii = radii_of(points, arrival * found.starts.scale)
    futures = Futures(subject.map, pushed.own, pushed.n_own, held, points, radii, n_steps)
    rng = np.random.default_rng([seed, 0x9B5])
    random = rng.standard_normal((len(pushed.states), n_random, subject.map.state_size))

    def own_ends(some: slice) -> Integer[np.ndarray, " state"]:
        return futures.ends(pushed.states[some], np.arange(len(pushed.states))[some])

    every = range(0, len(pushed.states), AT_ONCE)
    own = np.concatenate(spread(own_ends, [slice(first, first + AT_ONCE) for first in every]))
    if (own == UNDECIDED).all():
        raise NotApplicable(
            f"none of {len(own)} states settles at a stable fixed point within {n_steps} steps: raise n_steps, hold "
            "another input, or look whether the network comes to cycles (find_cycles)"
        )
    rows, target = _problems(own, len(points), to)

    def solve(some: slice) -> dict[str, np.ndarray]:
        which = rows[some]
        part = pushed.some(which)
        return _pushes(
            replace(futures, own=part.own, n_own=part.n_own),
            part.states,
            own[which],
            target[some],
            known,
            random[which],
            (n_starts, n_rounds, tolerance, precision),
        )

    parts = spread(solve, [slice(first, first + AT_ONCE) for first in range(0, len(rows), AT_ONCE)])
    solved = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    at = pushed.some(rows)
    ends, domain = at.states + solved["push"], subject.map.domain
    inside = np.ones(len(rows), bool) if domain is None else ((ends >= domain[0]) & (ends <= domain[1])).all(1)
    return LeastPushes(
        points=points,
        listed=attractors,
        trial=at.trial,
        time=at.time,
        state=at.states,
        own=own[rows],
        wanted=target,
        target=solved["target"],
        push=solved["push"],
        distance=solved["distance"],
        status=solved["status"],
        border=Border(
            normal=solved["normal"],
            sine=solved["sine"],
            gap=solved["gap"],
            saddle=np.where(solved["saddle"] >= 0, known.listed[solved["saddle"]], -1)
            if len(known.listed)
            else solved["saddle"],
            saddle_gap=solved["saddle_gap"],
            width=solved["width"],
            in_domain=inside,
        ),
        after=After(after, held.copy(), len(own), int((own == UNDECIDED).sum()), n_steps),
    )


def _attractors(found: FixedPoints, condition: int) -> Int64[np.ndarray, " attractor"]:
    """The rows of the points that surely attract.

    Raises:
        NotApplicable: there are fewer than two.
    """
    here = found.at(condition)
    able = here[(found.stable & found.smooth)[here]]
    if len(able) >= 2:
        return able.astype(np.int64)
    n_marginal = int((found.marginal & found.smooth)[here].sum())
    why = "one fixed point is stable" if len(able) else "no fixed point is stable"
    if n_marginal:
        why += (
            f", and {n_marginal} are marginal, as on a line attractor: a push along it moves the state to a neighbour, "
            "and there is no border to cross (see marginal_manifolds)"
        )
    if (~found.smooth[here]).any():
        why += f", and of {int((~found.smooth[here]).sum())} at a kink of the map eigenvalues do not decide"
    raise NotApplicable(
        f"at the input {found.held_inputs[condition].tolist()} {why}; a push from one attractor to another needs two. "
        "Hold another input, or search more (n_starts)"
    )


def _pushed(
    subject: Subject,
    states: StateRows | None,
    inputs: TrialInputs | Trials | None,
    times: Sequence[int] | None,
    n_times: int,
    n_trials: int,
    after: str,
    held: Float[np.ndarray, " input"],
    seed: int,
) -> _Pushed:
    if states is None and inputs is None and subject.task is None:
        if times is not None or after == "own inputs":
            raise NotApplicable(
                "there are no trials: give inputs= as (trial, time, input) or a task's trials, or leave out times and "
                "after"
            )
        visited = subject.visited(seed=seed).states
        states = visited[np.linspace(0, len(visited) - 1, min(n_trials, len(visited))).astype(np.int64)]
    if states is not None:
        begin = checked_starts(states, subject.map.state_size)
        n = len(begin)
        none = np.empty((n, 0, len(held)))
        return _Pushed(begin, np.arange(n), np.full(n, -1), none, np.zeros(n, np.int64))
    shown = shown_states(subject, inputs, n_trials, 0.0, seed)
    length = shown.valid.sum(1)
    if times is None:
        chosen = np.unique(np.linspace(0, int(length.min()) - 1, n_times + 1)[1:].astype(np.int64))
    else:
        chosen = np.array(list(times), np.int64)
    if not len(chosen) or chosen.min() < 0 or chosen.max() >= length.min():
        raise ValueError(
            f"times must be steps of 0 to {int(length.min()) - 1}, as long as the shortest trial, got {list(chosen)}"
        )
    trial = np.repeat(np.arange(len(shown.states)), len(chosen))
    time = np.tile(chosen, len(shown.states))
    n_own = length[trial] - time - 1 if after == "own inputs" else np.zeros(len(trial), np.int64)
    own = np.tile(held, (len(trial), int(n_own.max(initial=0)), 1))
    for row, (which, step, n) in enumerate(zip(trial, time, n_own, strict=True)):
        own[row, :n] = shown.inputs[which, step + 1 : step + 1 + n]
    return _Pushed(shown.states[trial, time], trial, time, own, n_own.astype(np.int64))


def _problems(
    own: Integer[np.ndarray, " state"], n: int, to: str
) -> tuple[Int64[np.ndarray, " problem"], Int64[np.ndarray, " problem"]]:
    """(which state, to which attractor) of every push that is looked for; -1 for whichever is nearest."""
    decided = np.flatnonzero(own != UNDECIDED)
    if to == "nearest":
        return decided, np.full(len(decided), -1)
    rows = np.repeat(decided, n)
    targets = np.tile(np.arange(n), len(decided))
    return rows[targets != own[rows]], targets[targets != own[rows]]


def _pushes(
    futures: Futures,
    states: Float[np.ndarray, "problem unit"],
    own: Integer[np.ndarray, " problem"],
    target: Integer[np.ndarray, " problem"],
    known: Landmarks,
    random: Float[np.ndarray, "problem random unit"],
    settings: tuple[int, int, float, float],
) -> dict[str, np.ndarray]:
    """The shortest push of each problem that is found."""
    n_starts, n_rounds, tolerance, precision = settings

    def reached(there: np.ndarray, problem: np.ndarray) -> Integer[np.ndarray, " some"]:
        ends = futures.ends(there, problem)
        wanted = np.where(target[problem] < 0, ends != own[problem], ends == target[problem])
        return np.where(wanted, ends, UNDECIDED)

    def across(there: np.ndarray, problem: np.ndarray) -> Bool[np.ndarray, " some"]:
        return reached(there, problem) != UNDECIDED

    n, size = states.shape
    problem, direction, low, high = tried_ways(
        reached, states, own, target, futures.attractors, known, random, n_starts
    )
    found = {
        "push": np.zeros((n, size)),
        "distance": np.full(n, np.inf),
        "target": np.full(n, -1),
        "status": np.full(n, NOT_FOUND),
        "normal": np.zeros((n, size)),
        "sine": np.ones(n),
        "gap": np.ones(n),
        "saddle": np.full(n, -1),
        "saddle_gap": np.full(n, np.inf),
        "width": np.ones(n),
    }
    if not len(problem):
        return found
    ways = shortened(
        futures,
        lambda there, which: across(there, problem[which]),
        states[problem],
        direction,
        low,
        high,
        problem,
        known.saddles,
        n_rounds=n_rounds,
        tolerance=tolerance,
        precision=precision,
    )
    # The shortest of each problem; of equal ones, the first that was tried.
    order = np.lexsort((np.arange(len(problem)), np.round(ways.high, 12), problem))
    rows, first = np.unique(problem[order], return_index=True)
    ways = ways.some(order[first])
    at_edge = _at_edge(ways, known, futures)
    ways.status[at_edge & (ways.status == LOCALLY_LEAST)] = EDGE
    gap = 1 - np.sqrt(np.maximum(0.0, 1 - ways.sine**2))
    # What lies beyond other basins is reached where these meet.
    corner = np.flatnonzero((ways.status != LOCALLY_LEAST) & (target[rows] >= 0))
    if len(corner):
        way, bound = to_edges(
            futures,
            lambda there, which: across(there, rows[corner[which]]),
            states[rows[corner]],
            ways.high[corner, None] * ways.direction[corner],
            ways.facing.normal[corner],
            futures.attractors[target[rows[corner]]],
            rows[corner],
            n_rounds=n_rounds,
            tolerance=tolerance,
        )
        ends, able = located(
            futures,
            lambda there, which: across(there, rows[corner[which]]),
            states[rows[corner]],
            way,
            rows[corner],
            known.saddles,
            precision=precision,
        )
        corner, bound = corner[able], bound[able]
        ways = ways.changed(corner, ends.some(np.flatnonzero(able)))
        gap[corner] = np.where(bound > 0, 1 - bound / ways.high[corner], 1.0)
        ways.status[corner] = np.where(gap[corner] <= 2 * tolerance, EDGE, ROUNDS)
    push = ways.high[:, None] * ways.direction
    found["push"][rows], found["distance"][rows] = push, ways.high
    found["target"][rows] = futures.ends(states[rows] + push, rows)
    found["status"][rows], found["sine"][rows], found["gap"][rows] = ways.status, ways.sine, gap
    found["normal"][rows] = np.nan_to_num(ways.facing.normal)
    found["saddle"][rows], found["saddle_gap"][rows] = ways.facing.saddle, ways.facing.saddle_gap
    found["width"][rows] = (ways.high - ways.low) / ways.high
    return found


def _at_edge(ways: Ways, known: Landmarks, futures: Futures) -> Bool[np.ndarray, " way"]:
    """Where orbits on the border come to a point with more than one unstable direction. Two basins meet along the
    stable manifold of a saddle with one: here three or more do, and that push and normal agree says nothing."""
    if not len(known.saddles):
        return np.zeros(len(ways.high), bool)
    near = ways.facing.saddle_gap < REACHED * least_distance(futures.attractors)
    return near & (ways.facing.saddle >= 0) & (known.n_unstable[ways.facing.saddle] > 1)
