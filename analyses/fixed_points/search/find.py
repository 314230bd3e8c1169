"""Where does the network stand still? Fixed points h = F(h, u) at constant inputs u.

The speed q(h) = 1/2 |F(h, u) - h|^2 is 0 at fixed points; its other local minima are slow points (Sussillo & Barak,
Neural Computation 25, 2013; Golub & Sussillo, JOSS 3, 2018).
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.search.begin import conditions, evenly, ran_on, spread, visited_states
from rnnscope.analyses.fixed_points.search.expected import search_bytes, search_seconds
from rnnscope.analyses.fixed_points.search.near_folds import tell_apart
from rnnscope.analyses.fixed_points.search.parts import Reach, SlowPoints, Starts
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.fixed_points.search.root_search import FIXED, SLOW, Search, residuals, search_box, search_roots
from rnnscope.analyses.fixed_points.search.search_on import Budget, Limits, search_on
from rnnscope.analyses.fixed_points.search.stability import count_unstable, is_smooth
from rnnscope.analyses.fixed_points.trust.completeness import prove_complete
from rnnscope.analyses.fixed_points.trust.index import index_of, inside
from rnnscope.analyses.fixed_points.trust.unseen import Unseen
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.maps import CompleteMap, keeps_domain
from rnnscope.numerics import linalg
from rnnscope.numerics.pieces import joined
from rnnscope.question import Axes, Count, InputRows, InputVector, Level, Positive, Seed, StateRows, Whole
from rnnscope.registry import Drawing, analysis
from rnnscope.subjects.starts import checked_starts, in_domain, starts_near
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
    drawings=(Drawing("places", "Fixed points in state space", FixedPoints.places_figure, "point"),),
    marks="point",
)
def find_fixed_points(
    subject: Subject,
    *,
    input: InputVector | InputRows | None = None,
    start_inputs: Annotated[ArrayLike, Axes("start input")] | None = None,
    starts: StateRows | None = None,
    n_starts: Count = 1024,
    noise: Level | Sequence[Level] = (0.0, 0.1, 0.5),
    beyond_starts: bool | None = None,
    run_on: Whole | Sequence[Whole] = (3, 10),
    n_orbits: Whole = 100,
    n_rounds: Whole = 10,
    work: Level = 4e12,
    work_on: Level = 5e10,
    prove: Whole = 1000,
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

    From what is found the search goes on to what is not: orbits are run forward, as one that comes to rest at no known
    point has found one; and curves that join fixed points in pairs are followed from all known points, in rounds, until
    one finds nothing new (see `search_on.py`). Where the map keeps its domain, the index shows that points are missing
    (see `Index`), and while it does, the rounds go on.

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
        beyond_starts: whether to search on from what the starts found, and to prove; None: unless `starts` are given,
            as where these lead is then all that is asked.
        run_on: default starts that are at random run on for so many steps at most, each for a number of its own; of
            several each serves an equal share. States at random are far from where networks with many units go, and
            Newton's method often leads from there to one point alone.
        n_orbits: starts that are run forward, at each input, to see whether they end at a point that is listed.
        n_rounds: rounds of curves at most.
        work: multiplications that may be spent, about, on leading starts that found nothing to a fixed point.
        work_on: and on the curves of the rounds.
        prove: boxes that may be looked at, at each input, before the search and again after it, to prove that all fixed
            points are listed (see `prove_complete`): enough for most networks of up to five units, or whose weights
            are of rank one or two.
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
    seen, visited_from = visited_states(subject, visited, starts is None, seed)
    rng = np.random.default_rng([seed, 0xF1])
    if starts is None:
        begin = starts_near(state_map, seen, n_starts, levels, RANDOM_SHARE, rng)
    else:
        begin = checked_starts(starts, state_map.state_size)
    n_each = len(begin)
    held, start_input, begin = conditions(state_map, input, start_inputs, begin, starts is None)
    given = held[start_input]

    low, high = search_box(state_map, begin, within_domain)
    keeps = tuple(keeps_domain(state_map, each) for each in held)
    kept = within_domain and not {"refuted", "unbounded"} & {*keeps}
    if kept:
        boxes = [box for box in map(state_map.kept_box, held) if box is not None]
        if len(boxes) == len(held):  # an LSTM's domain has no bound, and this has
            low, high = np.maximum(low, np.min(boxes, 0)[0]), np.minimum(high, np.max(boxes, 0)[1])
    begin = np.clip(begin, low, high)
    if not np.isfinite(residuals(state_map, begin, given)[1]).any():
        raise ValueError(
            f"the map gives no finite state from any of the {len(begin)} starts: look for NaN or infinite weights"
        )
    scale = spread(begin)
    if starts is None:
        at_random = np.arange(n_each) < (RANDOM_SHARE if seen is not None else 1) * n_each
        begin = np.clip(ran_on(state_map, begin, given, at_random, run_on, rng), low, high)
    if beyond_starts is None:
        beyond_starts = starts is None
    if not beyond_starts:
        n_orbits, n_rounds, prove = 0, 0, 0
    proofs = [prove_complete(state_map, each, begin[:0], seconds=np.inf, max_boxes=prove) for each in held if prove]
    known_already = bool(proofs) and not any(proof.undecided or not proof.tried for proof in proofs)
    search = search_roots(
        state_map,
        begin,
        given,
        box=(low, high),
        scale=scale,
        tolerance=tolerance,
        max_iterations=max_iterations,
        distance=distance,
        kept=kept and not known_already,
        work=work,
    )
    forward = np.concatenate([evenly(np.flatnonzero(start_input == i), n_orbits) for i in range(len(held))])
    limits = Limits((low, high), scale, tolerance, distance, kept)
    rows = _merge(search, start_input, search.outcome == FIXED, distance * scale)[0]
    budget = Budget(0 if known_already else n_rounds, work_on)
    further = search_on(
        state_map, search, rows, start_input, held, begin[forward], start_input[forward], limits, budget, rng
    )
    ends, condition = further.search, further.input
    if proofs and not known_already:  # where the boxes were too few, known points spare some
        rows = _merge(ends, condition, ends.outcome == FIXED, distance * scale)[0]
        listed = [ends.ends[rows[condition[rows] == i]] for i in range(len(held))]
        proofs = [
            prove_complete(state_map, each, points, seconds=np.inf, max_boxes=prove)
            if proof.n_boxes >= prove
            else proof
            for each, points, proof in zip(held, listed, proofs, strict=True)
        ]
    for i, proof in enumerate(proofs):
        ends, condition = _with_points(state_map, ends, condition, proof.missing, held[i], i)
    told = tell_apart(state_map, ends, held[condition], condition, scale=scale, distance=distance, certify=certify)
    ends, n = told.search, len(begin)
    fixed, slow = ends.outcome == FIXED, ends.outcome == SLOW
    rows, belongs = _merge(ends, condition, fixed, 0.0)
    slow_rows, slow_belongs = _merge(ends, condition, slow, np.sqrt(distance) * scale)
    points, at = ends.ends[rows], condition[rows]
    jacobians = state_map.jacobian(points, held[at])
    eigenvalues, hits = linalg.eigenvalues(jacobians), np.bincount(belongs[:n][fixed[:n]], minlength=len(rows))
    n_unstable = count_unstable(eigenvalues)
    order = np.lexsort((-hits, n_unstable, at))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    start_point = np.where(slow, slow_belongs, -1)
    start_point[fixed] = place[belongs[fixed]]

    points, at, jacobians, eigenvalues = (x[order] for x in (points, at, jacobians, eigenvalues))
    smooth = is_smooth(
        lambda h: state_map.jacobian(h, held[at]), points, jacobians, 1e-6 * scale, known=state_map.smooth
    )
    certificates = told.proofs(rows[order])
    slow_points = SlowPoints(points=ends.ends[slow_rows], q=ends.q[slow_rows], input=condition[slow_rows])
    n_nearly = np.bincount(slow_points.input[slow_points.q < tolerance], minlength=len(held))
    reference = begin if seen is None else seen
    return FixedPoints(
        points=points,
        point_input=at,
        q=ends.q[rows[order]],
        hits=hits[order],
        eigenvalues=eigenvalues,
        n_unstable=n_unstable[order],
        smooth=smooth,
        held_inputs=held,
        certificates=certificates,
        reach=Reach(
            in_domain=in_domain(state_map, points),
            visited_distance=_distance_to(reference, points) / spread(reference),
            visited_from=visited_from,
            far_distance=far_distance,
        ),
        slow=slow_points,
        starts=Starts(
            states=begin,
            input=start_input,
            status=ends.outcome[:n],
            reason=ends.reason[:n],
            q=ends.q[:n],
            point=start_point[:n],
            iterations=ends.n_iterations[:n],
            tolerance=tolerance,
            scale=scale,
        ),
        unseen=Unseen(
            index=index_of(
                jacobians,
                eigenvalues,
                at,
                certificates.certified,
                smooth,
                n_nearly,
                inside(keeps, points, at, state_map.domain),
            ),
            further=further.spent,
            proofs=tuple(proof.with_the_missing(int((at == i).sum())) for i, proof in enumerate(proofs)),
        ),
    )


def _with_points(
    state_map: CompleteMap, search: Search, condition: np.ndarray, points: np.ndarray, given: np.ndarray, i: int
) -> tuple[Search, Integer[np.ndarray, " end"]]:
    """(the ends with fixed points at input `given` beside them, the input of each)."""
    q, nothing = residuals(state_map, points, np.tile(given, (len(points), 1)))[1], np.zeros(len(points), np.int64)
    return joined([search, Search(points, q, nothing + FIXED, nothing, nothing)]), np.append(condition, nothing + i)


def _merge(
    search: Search, condition: np.ndarray, chosen: np.ndarray, radius: float
) -> tuple[Integer[np.ndarray, " point"], Integer[np.ndarray, " end"]]:
    """(row of each distinct point, the point that each row belongs to or -1), best points first. Points at different
    inputs are different points."""
    ends, left = search.ends, np.nonzero(chosen)[0]
    left = left[np.argsort(search.q[left], kind="stable")]
    belongs, kept = np.full(len(ends), -1), []
    while len(left):
        near = np.linalg.norm(ends[left] - ends[left[0]], axis=1) <= radius
        near &= condition[left] == condition[left[0]]
        near[0] = True
        belongs[left[near]] = len(kept)
        kept.append(left[0])
        left = left[~near]
    return np.array(kept, np.int64), belongs


def _distance_to(states: np.ndarray, points: np.ndarray) -> Float[np.ndarray, " point"]:
    from scipy.spatial import KDTree

    return KDTree(states).query(points)[0] if len(points) else np.empty(0)
