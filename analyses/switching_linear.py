"""Is the network a few linear systems that it switches between? Each step by the linearisation of a fixed point.

Around a fixed point h* at input u* the map is F(h, u) ≈ F(h*, u*) + J (h - h*) + B (u - u*). Every step of a trial
goes to the fixed point that is nearest; where these few linear maps explain the trials, and one linear map for all
does not, the switching between them is the mechanism. A step can also be given to the point whose linearisation
predicts it best. That looks at the answer first: many points, fixed or not, will then do well.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int64, Integer

from rnnscope.analyses.fixed_points import FixedPoints, find_fixed_points
from rnnscope.analyses.fixed_points.search.expected import search_bytes, search_seconds
from rnnscope.analyses.fixed_points.search.find import RANDOM_SHARE
from rnnscope.analyses.headings import LOCAL_LINEAR
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.analyses.switching_result import BestPoint, LinearisedPoints, OneMap, Segments, SwitchingLinear
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.question import Count, Level, Seed, TrialInputs
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.starts import starts_near
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Trials

BLOCK = 8_000_000  # numbers in the predictions of all fixed points that are held at once: 64 MB
N_STARTS = 512  # of the search for fixed points
START_NOISE = np.array([0.0, 0.1, 0.5])  # on visited states, as a fraction of each unit's deviation


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, longest, mean = scale.shown(settings)
    given, n = settings["fixed_points"], scale.n
    n_points = scale.n_points if given is None else len(given.points)
    search = (0.0, 0.0) if given is not None else (search_seconds(scale, N_STARTS), search_bytes(scale, N_STARTS))
    # A product with every point's matrix, and four such for the paths; then one least squares of all steps.
    product = scale.matmul.each / n + 2 * n * scale.scan
    seconds = search[0] + scale.simulation(n_trials, longest) + n_trials * mean * (n_points + 4) * product
    seconds += n_trials * mean / n * 4 * scale.matmul.each + 6 * scale.singular_values.each
    predicted = min(BLOCK, n_trials * mean * n_points * n)
    return scale.around(seconds, max(search[1], FLOAT * (3 * predicted + 8 * n_trials * longest * n)))


@analysis(
    "switching_linear",
    title="Switching linear description",
    group=LOCAL_LINEAR,
    quick={"n_trials": 8},
    wide=True,
    cost=Cost("light", "512 starts as fixed points; trials x steps x fixed points x units^2", _cost),
)
def switching_linear(
    subject: Subject,
    *,
    fixed_points: FixedPoints | KnownPoints | None = None,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 64,
    by: Literal["distance", "prediction"] = "distance",
    noise: Level = 0.0,
    seed: Seed = 0,
) -> SwitchingLinear:
    """Describe trials by the linearisations of fixed points, and compare with one linear map.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        fixed_points: a `FixedPoints`, or `KnownPoints`, which are fixed points at zero input where their `inputs` say
            no other. Searched for at zero input if None, from 512 starts: the states visited in these trials with
            noise, and where the map has a finite domain some at random from it. Slow points serve as well as fixed
            points.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        by: each step goes to the point nearest to the state before ("distance"), or to the one whose linearisation
            predicts it best ("prediction").
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states, noise and the search.

    Raises:
        NotApplicable: no fixed points, nothing to show, or the states diverge or do not move.
        ValueError: sizes that do not fit, fewer than two steps to predict.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.analyses.known_points import KnownPoints
        >>> wells = rs.FunctionMap(lambda h: np.sign(h) + 0.5 * (h - np.sign(h)), state_size=1,
        ...                        initial=lambda n, rng: rng.standard_normal((n, 1)))
        >>> points = KnownPoints(points=np.array([[-1.0], [1.0]]), n_unstable=np.array([0, 0]))
        >>> found = switching_linear(wells, fixed_points=points, inputs=np.zeros((50, 10, 0)))
        >>> round(found.r2, 6), round(found.r2_multi_step, 6), found.one_map.r2 < 0.999
        (1.0, 1.0, True)
    """
    state_map = subject.map
    shown = shown_states(subject, inputs, n_trials, noise, seed)
    before = np.concatenate([shown.initial[:, None], shown.states[:, :-1]], 1)
    after, valid = shown.states, shown.valid
    if valid.sum() < 2:
        raise ValueError(f"at least two steps are needed, got {valid.sum()}: show more trials or longer ones")
    if not np.ptp(after[valid], axis=0).any():
        raise NotApplicable("the state does not move in these trials: there is nothing to predict")
    if fixed_points is None:
        starts = starts_near(
            state_map, shown.visited, N_STARTS, START_NOISE, RANDOM_SHARE, np.random.default_rng([seed, 0xF1])
        )
        fixed_points = find_fixed_points(subject, starts=starts, visited=shown.visited, certify=False, seed=seed)
    points, held, n_unstable = _checked_points(fixed_points, state_map)
    local = _linearise(state_map, points, held)
    with linalg.one_thread():
        assigned, errors, best = _assign(local, points, before, shown.inputs, after, valid, by)
        segments = _segments(assigned, valid)
        rolled = _roll(local, assigned, segments, before, shown.inputs, after)
        halves = _halves(valid)
        fitted, one_step = _global(before, shown.inputs, after, valid, halves)
        global_rolled = _roll(fitted, halves, segments, before, shown.inputs, after)
    change = after - before
    spread = ((after - after[valid].mean(0)) ** 2).sum(2)[valid]
    moved = ((change - change[valid].mean(0)) ** 2).sum(2)[valid]
    owner = assigned[valid]
    n_points = len(points)
    lengths = segments.stop - segments.start
    transitions = np.zeros((n_points, n_points), np.int64)
    follows = segments.trial[1:] == segments.trial[:-1]
    np.add.at(transitions, (segments.point[:-1][follows], segments.point[1:][follows]), 1)
    return SwitchingLinear(
        assigned=assigned,
        valid=valid,
        by=by,
        r2=_r2(errors[valid], spread),
        r2_change=_r2(errors[valid], moved),
        r2_multi_step=_r2(rolled[valid], spread),
        best=BestPoint(r2=_r2(best[valid], spread), r2_change=_r2(best[valid], moved)),
        one_map=OneMap(
            r2=_r2(one_step[valid], spread),
            r2_change=_r2(one_step[valid], moved),
            r2_multi_step=_r2(global_rolled[valid], spread),
        ),
        points=LinearisedPoints(
            states=points,
            n_unstable=n_unstable,
            occupancy=np.bincount(owner, minlength=n_points) / len(owner),
            dwell=np.array(
                [lengths[segments.point == k].mean() if (owner == k).any() else np.nan for k in range(n_points)]
            ),
            r2_change=np.array([_r2(errors[valid][owner == k], moved[owner == k]) for k in range(n_points)]),
            r2_multi_step=np.array([_r2(rolled[valid][owner == k], spread[owner == k]) for k in range(n_points)]),
            transitions=transitions,
        ),
        segments=Segments(point=segments.point, length=lengths),
    )


@dataclass(frozen=True)
class _Affine:
    """Maps J h + B u + offset."""

    offset: Float[np.ndarray, "model state"]
    by_state: Float[np.ndarray, "model state state"]
    by_input: Float[np.ndarray, "model state input"]


@dataclass(frozen=True)
class _Segments:
    """Steps start ... stop - 1 of a trial that go to one point."""

    trial: Int64[np.ndarray, " segment"]
    start: Int64[np.ndarray, " segment"]
    stop: Int64[np.ndarray, " segment"]
    point: Int64[np.ndarray, " segment"]


def _r2(errors: np.ndarray, spread: np.ndarray) -> float:
    """NaN for no steps; 1 where there is nothing to explain and nothing wrong."""
    if not len(errors):
        return float("nan")
    total, wrong = spread.sum(), errors.sum()
    return float(1 - wrong / total) if total > 0 else float(wrong == 0)


def _checked_points(
    found: FixedPoints | KnownPoints, state_map: CompleteMap
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(points, the input held at each, unstable directions or -1 at a kink of the map)."""
    points, n_unstable = np.asarray(found.points, np.float64), np.asarray(found.n_unstable, np.int64)
    size = state_map.state_size
    if points.ndim != 2 or points.shape[1] != size or n_unstable.shape != points.shape[:1]:
        raise ValueError(
            f"fixed_points must have points (point, {size}) and n_unstable (point,), got shapes {points.shape} "
            f"and {n_unstable.shape}: give what find_fixed_points returned for this network"
        )
    if not len(points):
        raise NotApplicable("there are no fixed points to linearise around")
    wanted = len(points), state_map.input_size
    held = np.zeros(wanted) if found.inputs is None else np.asarray(found.inputs, np.float64)
    if held.shape != wanted:
        raise ValueError(
            f"the inputs of the fixed points must have shape {wanted}, one a point, got {held.shape}: "
            "give what find_fixed_points returned for this network"
        )
    return points, held, n_unstable if found.smooth is None else np.where(found.smooth, n_unstable, -1)


def _linearise(state_map: CompleteMap, points: np.ndarray, held: np.ndarray) -> _Affine:
    by_state, by_input = state_map.jacobian(points, held), state_map.input_jacobian(points, held)
    offset = state_map.step(points, held)
    offset = offset - np.einsum("kij,kj->ki", by_state, points) - np.einsum("kij,kj->ki", by_input, held)
    return _Affine(offset, by_state, by_input)


def _assign(
    local: _Affine,
    points: np.ndarray,
    before: np.ndarray,
    inputs: np.ndarray,
    after: np.ndarray,
    valid: np.ndarray,
    by: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(point of every step, squared error of its prediction, the least of any point), all (trial, time)."""
    trials, steps = np.nonzero(valid)
    assigned, errors, best = np.full(valid.shape, -1), np.full(valid.shape, np.nan), np.full(valid.shape, np.nan)
    size = max(1, BLOCK // (len(points) * points.shape[1]))
    for start in range(0, len(trials), size):
        where = trials[start : start + size], steps[start : start + size]
        predicted = before[where] @ local.by_state.swapaxes(1, 2) + inputs[where] @ local.by_input.swapaxes(1, 2)
        wrong = ((predicted + local.offset[:, None] - after[where]) ** 2).sum(2)  # (point, step)
        far = wrong if by == "prediction" else ((before[where] - points[:, None]) ** 2).sum(2)
        nearest = far.argmin(0)
        assigned[where] = nearest
        errors[where] = wrong[nearest, np.arange(len(nearest))]
        best[where] = wrong.min(0)
    return assigned, errors, best


def _segments(assigned: np.ndarray, valid: np.ndarray) -> _Segments:
    begins = valid.copy()
    begins[:, 1:] &= assigned[:, 1:] != assigned[:, :-1]
    trial, start = np.nonzero(begins)
    length = valid.sum(1)
    follows = np.append(trial[1:] == trial[:-1], False)
    stop = np.where(follows, np.append(start[1:], 0), length[trial])
    return _Segments(trial, start, stop, assigned[trial, start])


def _roll(
    models: _Affine,
    which: Integer[np.ndarray, "trial time"],
    segments: _Segments,
    before: np.ndarray,
    inputs: np.ndarray,
    after: np.ndarray,
) -> Float[np.ndarray, "trial time"]:
    """Squared errors of predictions from the start of each segment on, by the model `which` of each step.

    An unstable linear map that is followed for long leaves the range of numbers: such a prediction counts as very
    wrong (1e150), not as unknown.
    """
    errors = np.full(after.shape[:2], np.nan)
    state, left = before[segments.trial, segments.start], np.arange(len(segments.trial))
    for step in range(int((segments.stop - segments.start).max())):
        left = left[segments.start[left] + step < segments.stop[left]]
        chosen = which[segments.trial[left], segments.start[left] + step]
        for model in np.unique(chosen):
            members = left[chosen == model]
            where = segments.trial[members], segments.start[members] + step
            with np.errstate(over="ignore", invalid="ignore"):
                moved = state[members] @ models.by_state[model].T + inputs[where] @ models.by_input[model].T
                state[members] = moved + models.offset[model]
                wrong = ((state[members] - after[where]) ** 2).sum(1)
            errors[where] = np.where(wrong < 1e150, wrong, 1e150)
    return errors


def _halves(valid: np.ndarray) -> Int64[np.ndarray, "trial time"]:
    """Which half of the data a step belongs to: every other trial, or of a single one the second half of its steps."""
    if len(valid) == 1:
        return (np.arange(valid.shape[1]) >= valid.sum() // 2).astype(np.int64)[None]
    return np.broadcast_to(np.arange(len(valid))[:, None] % 2, valid.shape)


def _global(
    before: np.ndarray, inputs: np.ndarray, after: np.ndarray, valid: np.ndarray, halves: np.ndarray
) -> tuple[_Affine, np.ndarray]:
    """(the linear map for the steps of each half, fitted to the other half; squared errors of one step)."""
    size, n_inputs = before.shape[2], inputs.shape[2]
    features = np.concatenate([before, inputs, np.ones((*valid.shape, 1))], 2)
    errors, found = np.full(valid.shape, np.nan), []
    for half in (0, 1):
        own, others = (valid & (halves == k) for k in (half, 1 - half))
        weights = np.linalg.lstsq(features[others], after[others], rcond=None)[0]
        errors[own] = ((features[own] @ weights - after[own]) ** 2).sum(1)
        found.append(weights.T)
    both = np.stack(found)
    return _Affine(both[:, :, -1], both[:, :, :size], both[:, :, size : size + n_inputs]), errors
