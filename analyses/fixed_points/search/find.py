"""Where does the network stand still? Fixed points h = F(h, u) at constant inputs u.

The speed q(h) = 1/2 |F(h, u) - h|^2 is 0 at fixed points; its other local minima are slow points (Sussillo & Barak,
Neural Computation 25, 2013; Golub & Sussillo, JOSS 3, 2018).
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.search.near_folds import tell_apart
from rnnscope.analyses.fixed_points.search.parts import Reach, SlowPoints, Starts
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.fixed_points.search.root_search import (
    FIXED,
    SLOW,
    residuals,
    search_box,
    search_bytes,
    search_roots,
    search_seconds,
)
from rnnscope.analyses.fixed_points.search.stability import count_unstable, is_smooth
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.question import Axes, Count, InputRows, InputVector, Level, Positive, Seed, StateRows
from rnnscope.registry import analysis
from rnnscope.subjects.starts import bounds, checked_starts, in_domain, starts_near
from rnnscope.subjects.subject import Subject

# Of default starts, the share drawn at random from a finite domain where states were visited.
RANDOM_SHARE = 0.125


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_starts = settings["n_starts"] if settings["starts"] is None else len(settings["starts"])
    n_starts *= len(np.atleast_2d(settings["input"])) if np.ndim(settings["input"]) == 2 else 1
    seconds = search_seconds(scale, n_starts) + scale.simulation(128, scale.trial_steps)
    return scale.around(seconds, search_bytes(scale, n_starts))


@analysis(
    "fixed_points",
    title="Fixed points",
    group=FIXED_POINTS,
    quick={"n_starts": 16},
    cost=Cost("light", "starts x inputs x (units^2 x steps of a start + units^3)", _cost),
)
def find_fixed_points(
    subject: Subject,
    *,
    input: InputVector | InputRows | None = None,
    start_inputs: Annotated[ArrayLike, Axes("start input")] | None = None,
    starts: StateRows | None = None,
    n_starts: Count = 1024,
    noise: Level | Sequence[Level] = (0.0, 0.1, 0.5),
    visited: StateRows | None = None,
    far_distance: Positive = 2.0,
    within_domain: bool = True,
    certify: bool = True,
    tolerance: Positive = 1e-20,
    max_iterations: Count = 200,
    distance: Positive = 1e-5,
    seed: Seed = 0,
) -> FixedPoints:
    """Find, classify and certify the fixed points of a map at constant inputs.

    Every start takes second-order steps of its own in float64 with the map's Jacobian (see `search_roots`). Only
    points with q below `tolerance` count as fixed points. Local minima of q that are no zeros are slow points; what is
    neither has failed, and says why.

    The search stays inside the map's `domain`: outside of it saturated gates give false roots. Starts outside are
    moved to its border first. Where there is no bound, it stays within 1000 times the largest start. Two points are
    one when their distance is below `distance` times the spread of the starts (the median distance from their
    median), unless they are proven to be two; of those, the one with the smallest q is kept. Near a fold, q is small
    over a long way, and no number of digits tells whether there is a point: what is not certified there, where the map
    has bounds, counts as slow (see `FixedPoints.nearly`). For slow points it is the root of `distance`, as a minimum
    of q is found to about the root of the precision of a zero.

    On a continuous attractor hardly any state stands still, and the search may pass by all of it:
    `marginal_manifolds` looks for these.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        input: the input to hold, (input,); or several, (condition, input), each of which is searched from all starts;
            zeros if None.
        start_inputs: instead of `input`, an input for each of the `starts`, (start, input).
        starts: where to start, (start, state). If None: for a run, states visited on its own task with noise, and
            one in eight at random from the domain (where that is finite); for other maps, at random from the domain;
            without a finite domain, states visited in 200 steps from the map's initial states, with noise.
        n_starts: how many default starts.
        noise: standard deviation of the noise on visited states, as a fraction of each unit's own standard
            deviation; of several levels each serves an equal share.
        visited: states that the network visits, (state, unit), from which points may be far. If None: those of a run
            on its task, and else the starts.
        far_distance: beyond this distance from all of them, in units of their spread, a point is far (see
            `Reach.far`).
        within_domain: whether to stay inside the domain; if not, points outside are flagged.
        certify: whether to prove the points (see `certify_fixed_points`).
        tolerance: q below which a point is a fixed point.
        max_iterations: steps that a start may take.
        distance: see above.
        seed: for the default starts.

    Raises:
        ValueError: an argument out of range or of the wrong shape; weights or inputs that give no finite state.
        NotApplicable: it is not known where to start.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> logistic = rs.FunctionMap(lambda x: 4 * x * (1 - x), state_size=1, domain=([0], [1]))
        >>> found = find_fixed_points(logistic, n_starts=20)
        >>> sorted(found.points[:, 0].round(6).tolist())
        [0.0, 0.75]
        >>> sorted(found.eigenvalues[:, 0].real.round(6).tolist())
        [-2.0, 4.0]
    """
    state_map = subject.map
    levels = np.atleast_1d(np.asarray(noise, np.float64))
    if not levels.size:
        raise ValueError("noise is one fraction of a standard deviation or several, got none")
    seen, visited_from = _visited(subject, visited, starts is None, seed)
    if starts is None:
        begin = starts_near(state_map, seen, n_starts, levels, RANDOM_SHARE, np.random.default_rng([seed, 0xF1]))
    else:
        begin = checked_starts(starts, state_map.state_size)
    held, start_input, begin = _conditions(state_map, input, start_inputs, begin, starts is None)
    given = held[start_input]

    low, high = search_box(state_map, begin, within_domain)
    begin = np.clip(begin, low, high)
    if not np.isfinite(residuals(state_map, begin, given)[1]).any():
        raise ValueError(
            f"the map gives no finite state from any of the {len(begin)} starts: look for NaN or infinite weights"
        )
    scale = spread(begin)
    search = search_roots(
        state_map,
        begin,
        given,
        box=(low, high),
        scale=scale,
        tolerance=tolerance,
        max_iterations=max_iterations,
        distance=distance,
    )
    told = tell_apart(state_map, search, given, start_input, scale=scale, distance=distance, certify=certify)
    search = told.search
    fixed, slow = search.outcome == FIXED, search.outcome == SLOW
    rows, hits, belongs = _merge(search.ends, search.q, start_input, fixed, 0.0)
    slow_rows, _, slow_belongs = _merge(search.ends, search.q, start_input, slow, np.sqrt(distance) * scale)
    jacobians = state_map.jacobian(search.ends[rows], given[rows])
    eigenvalues = linalg.eigenvalues(jacobians)
    n_unstable = count_unstable(eigenvalues)
    order = np.lexsort((-hits, n_unstable, start_input[rows]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    start_point = np.where(slow, slow_belongs, -1)
    start_point[fixed] = place[belongs[fixed]]

    rows = rows[order]
    points = search.ends[rows]
    reference = begin if seen is None else seen
    return FixedPoints(
        points=points,
        point_input=start_input[rows],
        q=search.q[rows],
        hits=hits[order],
        eigenvalues=eigenvalues[order],
        n_unstable=n_unstable[order],
        smooth=is_smooth(lambda h: state_map.jacobian(h, given[rows]), points, jacobians[order], 1e-6 * scale),
        held_inputs=held,
        certificates=told.proofs(rows),
        reach=Reach(
            in_domain=in_domain(state_map, points),
            visited_distance=_distance_to(reference, points) / spread(reference),
            visited_from=visited_from,
            far_distance=far_distance,
        ),
        slow=SlowPoints(points=search.ends[slow_rows], q=search.q[slow_rows], input=start_input[slow_rows]),
        starts=Starts(
            states=begin,
            input=start_input,
            status=search.outcome,
            reason=search.reason,
            q=search.q,
            point=start_point,
            iterations=search.n_iterations,
            tolerance=tolerance,
            scale=scale,
        ),
    )


def _visited(
    subject: Subject, given: ArrayLike | None, wanted: bool, seed: int
) -> tuple[Float[np.ndarray, "visited unit"] | None, str]:
    """Visited states, or None where the starts stand for them, and where they come from."""
    size = subject.map.state_size
    if given is not None:
        seen = np.array(given, np.float64)
        if seen.ndim != 2 or seen.shape[1] != size or not len(seen) or not np.isfinite(seen).all():
            raise ValueError(
                f"visited must be finite states, (state, {size}), one a row and at least one, got shape {seen.shape}"
            )
        return seen, "given states"
    if subject.task is not None or (wanted and not bounds(subject.map)[0].all()):
        return subject.visited(seed=seed)
    return None, "starts"


def _conditions(
    state_map: CompleteMap, input: ArrayLike | None, start_inputs: ArrayLike | None, begin: np.ndarray, by_default: bool
) -> tuple[Float[np.ndarray, "condition input"], Integer[np.ndarray, " start"], Float[np.ndarray, "start unit"]]:
    """(the inputs to hold, which of them each start has, the starts): starts are repeated for each of several."""
    size = state_map.input_size
    takes = f"inputs of {size} number{'' if size == 1 else 's'}" if size else "no input"
    if start_inputs is not None:
        each = np.array(start_inputs, np.float64)
        if input is not None or by_default:
            raise ValueError("start_inputs goes with starts, one input a start, and takes the place of input")
        if each.shape != (len(begin), size):
            raise ValueError(
                f"start_inputs must have shape ({len(begin)}, {size}), one input a start, got {each.shape}: "
                f"the map takes {takes}"
            )
        _check_finite("start_inputs", each)
        held, which = np.unique(each, axis=0, return_inverse=True)
        return held, which.ravel(), begin
    held = np.zeros((1, size)) if input is None else np.array(input, np.float64)
    given = held.shape
    if held.ndim == 1:
        held = held[None]
    if held.ndim != 2 or held.shape[1] != size or not len(held):
        shapes = f"({size},) or (condition, {size})"
        raise ValueError(f"the map takes {takes}: input must have shape {shapes}, got {given}")
    _check_finite("input", held)
    return held, np.repeat(np.arange(len(held)), len(begin)), np.tile(begin, (len(held), 1))


def _check_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {values[~np.isfinite(values).all(1)][0]}")


def spread(states: np.ndarray) -> float:
    """Their median distance from their median, so that one state far out does not make all others one; 1 if it is 0."""
    with np.errstate(over="ignore"):
        return float(np.median(np.linalg.norm(states - np.median(states, 0), axis=1))) or 1.0


def _merge(
    ends: np.ndarray, q: np.ndarray, condition: np.ndarray, chosen: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row of each distinct point, its hits, the point that each row belongs to or -1), best points first. Points at
    different inputs are different points."""
    left = np.nonzero(chosen)[0]
    left = left[np.argsort(q[left], kind="stable")]
    belongs = np.full(len(ends), -1)
    kept, hits = [], []
    while len(left):
        near = np.linalg.norm(ends[left] - ends[left[0]], axis=1) <= radius
        near &= condition[left] == condition[left[0]]
        near[0] = True
        belongs[left[near]] = len(kept)
        kept.append(left[0])
        hits.append(int(near.sum()))
        left = left[~near]
    return np.array(kept, np.int64), np.array(hits, np.int64), belongs


def _distance_to(states: np.ndarray, points: np.ndarray) -> Float[np.ndarray, " point"]:
    from scipy.spatial import KDTree

    return KDTree(states).query(points)[0] if len(points) else np.empty(0)
