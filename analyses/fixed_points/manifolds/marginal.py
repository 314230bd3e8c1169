"""Does the network hold a continuous quantity? Line, ring and plane attractors: rows of marginal points.

A continuous attractor is a manifold of fixed points, with eigenvalues 1 along it. In a trained network it is never
exact: a slow manifold is left, on which few points are fixed and the state drifts slowly between them (Seung, PNAS
93, 1996; Ságodi et al., "Back to the continuous attractor", NeurIPS 2024). Here it is followed from marginal points,
whether the states between are fixed or not, and the drift along it is measured.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.manifolds.parts import LocalDynamics, ManifoldTrust, Seeds, Zeros
from rnnscope.analyses.fixed_points.manifolds.result import KINDS, NO_DRIFT, MarginalManifolds
from rnnscope.analyses.fixed_points.manifolds.slow_manifold import (
    EXACT,
    N_SETTLING,
    Budget,
    Gap,
    Limits,
    Traced,
    arc_lengths,
    gap_at,
    manifolds_cost,
    trace,
)
from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost
from rnnscope.maps import CompleteMap, HeldInput
from rnnscope.numerics import linalg
from rnnscope.numerics.pieces import joined
from rnnscope.question import Count, InputRows, InputVector, Level, Part, Seed, Whole
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.subject import Subject

# Points that no manifold was followed from yet, and those with only a short one around them.
UNSEEN, ALONE = -1, -2
# A network runs for so many times as it needs to cross the scale at the speed of its fastest start, at most so many
# times longer than asked for, and no longer once all speeds are below this part of that speed.
TIMES, MOST_LONGER, AT_REST = 30, 100, 1e-6
# Variances around a point count as dimensions above this part of the largest.
FLAT = 0.1


@analysis(
    "manifolds",
    title="Continuous attractors",
    group=FIXED_POINTS,
    uses={"fixed_points": Uses("fixed_points")},
    quick={"settle": 50, "spacing": 0.25, "n_points": 16, "budget": 1000},
    cost=Cost("light", "fixed and slow points x units^3, and with a manifold its points", manifolds_cost),
)
def marginal_manifolds(
    subject: Subject,
    *,
    fixed_points: FixedPoints | None = None,
    input: InputVector | InputRows | None = None,
    slow_too: bool = True,
    settle: Whole = 300,
    margin: Part = 0.05,
    max_drift: Part = 0.02,
    spacing: Part = 0.05,
    n_points: Annotated[int, Ge(8)] = 128,
    shortest: Level = 0.5,
    budget: Count = 10_000,
    seed: Seed = 0,
) -> MarginalManifolds:
    """Find line, ring and plane attractors, exact or nearly so, and how the state drifts along them.

    A point is on a slow manifold where some directions are much slower than all others (normal hyperbolicity): their
    |λ - 1| is at most `margin` of the rate |ln|λ|| at which the slowest of the others fades or grows. It is not enough
    that eigenvalues are near 1: with a small time step or a small leak all are. Such points are followed in both
    directions as long as this holds: a step along the slow direction, then Newton steps at right angles to it. A line
    is followed until it comes back to its start, and is a ring then. With two or three slow directions, points are
    spread in all of them. Eigenvalues elsewhere on the unit circle belong to cycles, not to rows of fixed points: a
    memory that alternates between two states is a line of the map applied twice.

    Followed is where the network may be: within the map's domain, and no further from the centre of the starts than
    the furthest of them.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        fixed_points: from where; searched for with `find_fixed_points` if None.
        input: the input to hold, (input,), or several, (condition, input); with `fixed_points`, only what was found at
            these inputs is followed.
        slow_too: whether to begin at slow points as well.
        settle: for how many steps, at least, to let the network run at its constant input, from up to 64 of the
            starts: it is up to a hundred times longer where states move little in a step, as with a small time step
            or leak. The states that are slow then are begun with as well (a search by Newton steps can pass an
            attractor by). 0 for none.
        margin: how slow a direction must be beside the others; .05 stands for 20 times slower.
        max_drift: how far the state may move, in units of the scale, in the time in which the slowest of the other
            directions fades by a factor e (or in a step, where that is less); .02 stands for 50 such times to cross it.
        spacing: of the points on the way, in units of the scale (the spread of the starts); the way round a ring takes
            smaller steps by itself.
        n_points: how many points to put on each line or ring, and about how many on a plane; with fewer than 8 one
            cannot be distinguished from the other.
        shortest: what is shorter than this, in units of the scale, is no manifold but a marginal point on its own.
        budget: how many places to look at in all on the way, each some Newton steps, from whatever point it began. What
            is left then is not followed, and the summary says so.
        seed: for the search.

    Raises:
        ValueError: an argument out of range, or fixed points of another system or other inputs.
        NotApplicable: it is not known where to search for fixed points.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> def ring(x):  # r' = r + r (1 - r²) / 5
        ...     return x * (1 + 0.2 * (1 - (x**2).sum(-1, keepdims=True)))
        >>> found = marginal_manifolds(rs.FunctionMap(ring, state_size=2, domain=(-1.5, 1.5)))
        >>> found.kind, found.length.round(3).tolist()
        (('ring',), [6.283])
    """
    state_map = subject.map
    found, conditions = asked_points(subject, fixed_points, input, seed)
    scale = found.starts.scale
    with np.errstate(all="ignore"), linalg.one_thread():
        seeds = _seeds(state_map, found, conditions, slow_too, settle, margin, max_drift * scale)
        limits = _limits(state_map, found, seeds, margin, max_drift, spacing)
        left = Budget(budget)
        manifolds, label, unfollowed = _follow_all(state_map, found, seeds, limits, n_points, shortest * scale, left)
        # An empty one gives the shapes where there is none.
        empty = Traced(np.empty((0, state_map.state_size)), np.empty((0, state_map.state_size, 1)), False, ())
        parts = [_at_points(HeldInput(state_map, found.held_inputs[c]), m, near) for m, c, near in manifolds]
        parts.append(_at_points(HeldInput(state_map), empty, margin))
    traced = [m for m, *_ in manifolds]
    on = joined(parts)
    none = Zeros(np.empty(0, np.int64), np.empty(0), np.empty(0, bool))
    zeros = [_zeros(i, m, part.drift, scale) for i, (m, part) in enumerate(zip(traced, parts, strict=False))]
    return MarginalManifolds(
        kind=tuple("ring" if m.closed else KINDS[m.tangents.shape[2]] for m in traced),
        dimension=np.array([m.tangents.shape[2] for m in traced], np.int64),
        length=np.array([_extent(m) for m in traced]),
        inputs=found.held_inputs[np.array([c for _, c, _ in manifolds], np.int64)],
        points=on.points,
        manifold=np.repeat(np.arange(len(traced)), [len(m.points) for m in traced]),
        arclength=on.arclength,
        drift=on.drift,
        dynamics=on.dynamics,
        zeros=joined([none, *zeros]),
        seeds=Seeds(
            points=seeds.points,
            n_found=seeds.n_found,
            manifold=label,
            distance=seeds.distance,
            directions=seeds.gap.n_slow,
            ratio=seeds.gap.ratio,
            margin=margin,
            shortest=shortest,
        ),
        trust=ManifoldTrust(
            pca_dimension=np.array([_pca_dimension(m) for m in traced], np.int64),
            largest_gap=np.array([_largest_gap(m) for m in traced]),
            ends=tuple(m.ends for m in traced),
            stopped_after=budget if unfollowed or any("stopped" in m.ends for m in traced) else 0,
            unfollowed=unfollowed,
        ),
        scale=scale,
    )


@dataclass(frozen=True)
class _Beginnings:
    """Where to begin: points, the rows of their inputs, their smallest |λ - 1|, their slow directions, and how many are
    fixed points, slow points and settled states."""

    points: Float[np.ndarray, "found unit"]
    condition: Integer[np.ndarray, " found"]
    distance: Float[np.ndarray, " found"]
    gap: Gap
    n_found: tuple[int, int, int]


def _seeds(
    state_map: CompleteMap,
    found: FixedPoints,
    conditions: Bool[np.ndarray, " condition"],
    slow_too: bool,
    settle: int,
    margin: float,
    fastest: float,
) -> _Beginnings:
    fixed, slow = conditions[found.point_input], conditions[found.slow.input] & slow_too
    starts = np.flatnonzero(conditions[found.starts.input])
    settled, settled_condition = _settled(state_map, found, starts, settle, margin, fastest)
    points = np.concatenate([found.points[fixed], found.slow.points[slow], settled])
    condition = np.concatenate([found.point_input[fixed], found.slow.input[slow], settled_condition])
    n_fixed = int(fixed.sum())
    values = linalg.eigenvalues(state_map.jacobian(points[n_fixed:], found.held_inputs[condition[n_fixed:]]))
    values = np.concatenate([found.eigenvalues[fixed], values])
    values[:n_fixed][~found.smooth[fixed]] = np.nan  # at a kink eigenvalues say little
    distance = np.nan_to_num(np.abs(values - 1), nan=np.inf).min(1)
    n_found = n_fixed, len(points) - n_fixed - len(settled), len(settled)
    return _Beginnings(points, condition, distance, gap_at(values, margin), n_found)


def _follow_all(
    state_map: CompleteMap,
    found: FixedPoints,
    seeds: _Beginnings,
    limits: Limits,
    n_points: int,
    shortest: float,
    budget: Budget,
) -> tuple[list[tuple[Traced, int, float]], Integer[np.ndarray, " found"], int]:
    """(manifolds with the rows of their inputs and how near to 1 their eigenvalues are, the longest first; for every
    seed its manifold, or -1; from how many of these nothing was followed, or not far enough, for want of budget)."""
    manifolds: list[tuple[Traced, int, float]] = []
    label = np.full(len(seeds.points), UNSEEN)
    n_slow, unfollowed = seeds.gap.n_slow, 0
    for row in np.lexsort((seeds.distance, n_slow, seeds.condition)):
        condition = int(seeds.condition[row])
        if n_slow[row] not in KINDS or label[row] != UNSEEN:
            continue
        if budget.is_spent:
            unfollowed += 1
            continue
        held = HeldInput(state_map, found.held_inputs[condition])
        rate = float(seeds.gap.rate[row])
        here = replace(limits, margin=limits.margin * rate, fastest=limits.fastest * rate)
        traced = trace(held, seeds.points[row], int(n_slow[row]), here, n_points, budget)
        if traced is None:
            continue
        same = [i for i, (m, c, _) in enumerate(manifolds) if c == condition and _overlap(traced, m, limits)]
        long = _extent(traced) >= max(shortest, limits.tolerance) and _apart(held, traced, limits.margin)
        if "stopped" in traced.ends and not long and not same:
            unfollowed += 1  # nobody knows how long it is
            continue
        name = same[0] if same else len(manifolds) if long else ALONE
        left = np.flatnonzero((label == UNSEEN) & (seeds.condition == condition))
        label[left[_belongs(seeds.points[left], traced, limits)]] = name
        label[row] = name
        if name == len(manifolds):
            manifolds.append((traced, condition, here.margin))
    order = sorted(range(len(manifolds)), key=lambda i: -_extent(manifolds[i][0]))
    place = np.append(np.argsort(order), [-1, -1]).astype(np.int64)  # the last two for ALONE and UNSEEN
    return [manifolds[i] for i in order], place[label], unfollowed


def _settled(
    state_map: CompleteMap,
    found: FixedPoints,
    starts: Integer[np.ndarray, " start"],
    steps: int,
    margin: float,
    fastest: float,
) -> tuple[Float[np.ndarray, "settled unit"], Integer[np.ndarray, " settled"]]:
    """Slow states after `steps` steps at constant input from some of these starts, and the rows of their inputs."""
    rows = starts[np.unique(np.linspace(0, len(starts) - 1, N_SETTLING).astype(np.int64)) if steps else []]
    states, condition = found.starts.states[rows], found.starts.input[rows]
    inputs = found.held_inputs[condition]
    # As many steps for a network that is slow in all it does, by a small time step or leak, as its time asks for.
    scale = found.starts.scale
    first = _speed(state_map, states, inputs) / scale
    usual = float(first.max(initial=0.0, where=np.isfinite(first)))
    most = int(np.clip(TIMES / max(usual, 1e-300), steps, MOST_LONGER * steps))
    for t in range(most):
        if t and t % steps == 0 and _speed(state_map, states, inputs).max(initial=0.0) <= AT_REST * usual * scale:
            break
        states = state_map.step(states, inputs)
        finite = np.isfinite(states).all(1)
        states, condition, inputs = states[finite], condition[finite], inputs[finite]
    speed = _speed(state_map, states, inputs)
    gap = gap_at(linalg.eigenvalues(state_map.jacobian(states, inputs)), margin)
    # Where no direction is slow beside the others, a state that hardly moves is shown too, as not marginal.
    slow = speed <= fastest * np.where(gap.n_slow > 0, gap.rate, 1.0)
    return states[slow], condition[slow]


def _speed(state_map: CompleteMap, states: np.ndarray, inputs: np.ndarray) -> Float[np.ndarray, " state"]:
    return np.linalg.norm(state_map.step(states, inputs) - states, axis=1)


def _limits(
    state_map: CompleteMap, found: FixedPoints, seeds: _Beginnings, margin: float, max_drift: float, spacing: float
) -> Limits:
    centre = np.median(found.starts.states, 0)
    reached = np.concatenate([found.starts.states, seeds.points[seeds.gap.n_slow > 0]])
    free = np.full((2, state_map.state_size), [[-np.inf], [np.inf]])
    low, high = free if state_map.domain is None else state_map.domain
    return Limits(
        margin=margin,
        fastest=max_drift * found.starts.scale,
        centre=centre,
        radius=1.1 * float(np.linalg.norm(reached - centre, axis=1).max()),
        low=low,
        high=high,
        step=spacing * found.starts.scale,
        tolerance=1e-8 * found.starts.scale,
    )


def _apart(state_map: CompleteMap, manifold: Traced, margin: float) -> bool:
    """Whether slow and fast are apart on most of it, and not at its beginning alone."""
    values = linalg.eigenvalues(state_map.jacobian(manifold.points, np.empty((len(manifold.points), 0))))
    d = manifold.tangents.shape[2]
    order = np.abs(values - 1).argsort(1)
    sorted_values = np.take_along_axis(values, order, 1)
    if d == values.shape[1]:
        return bool(np.median(np.abs(sorted_values - 1).max(1)) <= EXACT)
    rate = np.abs(np.log(np.maximum(np.abs(sorted_values[:, d:]), 1e-300))).min(1)
    own = np.abs(sorted_values[:, :d] - 1).max(1)
    return bool(np.median(own) <= margin * min(1.0, float(np.median(rate))))


def _extent(manifold: Traced) -> float:
    """Arc length, or the largest distance between two points."""
    if manifold.tangents.shape[2] > 1:
        from scipy.spatial.distance import pdist

        return float(pdist(manifold.points).max(initial=0.0))
    return float(_along(manifold)[-1])


def _along(manifold: Traced) -> Float[np.ndarray, " place"]:
    """Arc length at each point of a line or ring, and of a ring also that of the way back to the first."""
    points, tangents = manifold.points, manifold.tangents[..., 0]
    if manifold.closed:
        points, tangents = np.concatenate([points, points[:1]]), np.concatenate([tangents, tangents[:1]])
    return np.append(0.0, np.cumsum(arc_lengths(points, tangents)))


def _belongs(points: np.ndarray, manifold: Traced, limits: Limits) -> Bool[np.ndarray, " point"]:
    """Which points are on the manifold, to within `limits.step`."""
    from scipy.spatial import KDTree

    tree = KDTree(manifold.points)
    distance, nearest = tree.query(points)
    way, tangents = points - manifold.points[nearest], manifold.tangents[nearest]
    beside = np.linalg.norm(way - np.einsum("pud,ped,pe->pu", tangents, tangents, way), axis=1)
    gaps = tree.query(manifold.points, 2)[0][:, 1]  # infinite where there is but one point
    gap = float(gaps.max(initial=limits.step, where=np.isfinite(gaps))) * np.sqrt(tangents.shape[2])
    return (beside <= limits.step) & (distance <= 1.5 * gap)


def _overlap(manifold: Traced, other: Traced, limits: Limits) -> bool:
    """Whether most of one manifold is on the other."""
    same_kind = manifold.tangents.shape[2] == other.tangents.shape[2]
    return same_kind and bool(_belongs(manifold.points, other, limits).mean() > 0.5)


@dataclass(frozen=True)
class _OnManifold:
    """What there is to know of the points of manifolds; see `MarginalManifolds`."""

    points: Float[np.ndarray, "point unit"]
    arclength: Float[np.ndarray, " point"]
    drift: Float[np.ndarray, " point"]
    dynamics: LocalDynamics


def _at_points(state_map: CompleteMap, manifold: Traced, margin: float) -> _OnManifold:
    points, d = manifold.points, manifold.tangents.shape[2]
    none = np.empty((len(points), 0))
    jacobians = state_map.jacobian(points, none)
    values = linalg.eigenvalues(jacobians)
    # On a line its own eigenvalue need not be the one nearest to 1.
    own = np.einsum("pud,puv,pvd->pd", manifold.tangents, jacobians, manifold.tangents) if d == 1 else 1.0
    own_first = np.take_along_axis(values, np.abs(values - own).argsort(1), 1)
    others = np.concatenate([own_first[:, d:], np.zeros((len(points), 1))], 1)
    velocity = state_map.step(points, none) - points
    along = np.einsum("pud,pu->pd", manifold.tangents, velocity)
    return _OnManifold(
        points=points,
        arclength=_along(manifold)[: len(points)] if d == 1 else np.full(len(points), np.nan),
        drift=along[:, 0] if d == 1 else np.linalg.norm(along, axis=1),
        dynamics=LocalDynamics(
            velocity=velocity,
            residual=np.linalg.norm(velocity - np.einsum("pud,pd->pu", manifold.tangents, along), axis=1),
            eigenvalue=own_first[:, 0],
            transverse=np.take_along_axis(others, np.abs(others).argmax(1)[:, None], 1)[:, 0],
            n_marginal=(np.abs(values - 1) <= margin).sum(1),
        ),
    )


def _largest_gap(manifold: Traced) -> float:
    if manifold.tangents.shape[2] > 1:
        from scipy.spatial import KDTree

        return float(KDTree(manifold.points).query(manifold.points, 2)[0][:, 1].max())
    return float(np.diff(_along(manifold)).max())


def _pca_dimension(manifold: Traced) -> int:
    """Principal components with a fair share of the variance among the nearest neighbours, in the median."""
    from scipy.spatial import KDTree

    d = manifold.tangents.shape[2]
    _, near = KDTree(manifold.points).query(manifold.points, min(4 * d + 1, len(manifold.points)))
    spread = manifold.points[near] - manifold.points[near].mean(1, keepdims=True)
    variance = linalg.singular_values(spread) ** 2
    return int(np.median((variance > FLAT * variance[:, :1]).sum(1)))


def _zeros(row: int, manifold: Traced, drift: np.ndarray, scale: float) -> Zeros:
    """Where the drift along a line or ring, the `row`-th manifold, changes its sign."""
    moving = np.flatnonzero(np.abs(drift) > NO_DRIFT * scale)
    if manifold.tangents.shape[2] > 1 or len(moving) < 2:
        return Zeros(np.empty(0, np.int64), np.empty(0), np.empty(0, bool))
    along = _along(manifold)
    whole = along[-1]
    along, drift = along[moving], drift[moving]
    if manifold.closed:  # the first again, after once round
        along, drift = np.append(along, along[0] + whole), np.append(drift, drift[0])
    at = np.flatnonzero(np.sign(drift[1:]) != np.sign(drift[:-1]))
    places = along[at] + (along[at + 1] - along[at]) * drift[at] / (drift[at] - drift[at + 1])
    if manifold.closed:
        places = places % whole
    order = places.argsort()
    return Zeros(np.full(len(order), row), places[order], (drift[at] > 0)[order])
