"""Follow a slow manifold from a point on it.

The eigenvectors of J whose eigenvalues are near 1 span a slow subspace R. A state is on the slow manifold where its
step F(h) - h lies in R, so that only slow motion is left (Maas & Pope, Combustion and Flame 88, 1992). Fixed points of
a continuous attractor are on it, and so are the states between the few fixed points that are left of a perturbed one
(Ságodi et al., NeurIPS 2024). The bordered matrix [[J - 1, R], [R^T, 0]] is regular even where J - 1 is not, and gives
the Newton step towards the manifold, at right angles to R.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer, Num

from rnnscope.cost import FLOAT, Expected, Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# Starts from which the network runs until it is slow.
N_SETTLING = 64
MOST_CORRECTIONS = 12
MOST_STEPS = 5000
# From one point to the next a line turns by 20 degrees at most; the step is halved up to so many times for it.
MOST_TURN = float(np.cos(np.pi / 9))
HALVINGS = 5
# At the smallest step, as at a kink of the map, it may turn by 60 degrees.
KINK_TURN = 0.5
# A line is closed to a ring over a gap of this part of its length, in so many steps.
CLOSABLE = 0.2
MOST_RELAXATIONS = 2000
# Ratios of slow to fast below this part of the margin are equally good.
EQUAL = 0.05
# So near to 1 is an eigenvalue of an exact continuous attractor, up to rounding and finite differences.
EXACT = 1e-6

Points = Float[np.ndarray, "point unit"]
Bases = Float[np.ndarray, "point unit direction"]


def manifolds_cost(scale: Scale, settings: Settings) -> Expected:
    """Of a network without a continuous attractor: what it takes to see that none of its points lies on one."""
    n_orbits = N_SETTLING if settings["settle"] else 0
    # Settled states are slow at a fixed point, where all of them have come, and are looked at one by one.
    n_points = scale.n_points + n_orbits
    seconds = scale.step.of(settings["settle"], settings["settle"] * n_orbits)
    seconds += scale.jacobian.of(2, n_points) + scale.eigenvalues.of(2, n_points)
    return scale.around(seconds, FLOAT * 3 * n_points * scale.n**2)


@dataclass(frozen=True)
class Limits:
    """How far a manifold is followed.

    Attributes:
        margin: its eigenvalues stay within this of 1, a part of the rate at which the others fade where it begins.
        fastest: the state moves by less than this in a step, likewise.
        centre, radius: the ball that is not left.
        low, high: nor the box.
        step: from one point to the next.
        tolerance: length of a Newton step at which a point has arrived.
    """

    margin: float
    fastest: float
    centre: np.ndarray
    radius: float
    low: np.ndarray
    high: np.ndarray
    step: float
    tolerance: float


@dataclass
class Budget:
    """How many places may still be looked at, on all manifolds together."""

    left: int

    def spend(self, n: int = 1) -> None:
        self.left -= n

    @property
    def is_spent(self) -> bool:
        return self.left <= 0


@dataclass(frozen=True)
class Traced:
    """A manifold.

    Attributes:
        points: on it; of a line or ring in order.
        tangents: orthonormal directions along it at each; of a line or ring the one that points ahead.
        closed: whether it is a ring.
        ends: why it was not followed further: "edge" of the region or domain, "margin" (an eigenvalue leaves it),
            "drift" (faster than the limit), "lost" (no point of the manifold found), "full" (too many points),
            "stopped" (the budget is spent).
    """

    points: Points
    tangents: Bases
    closed: bool
    ends: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """How far the slow directions at each of several points are apart from the others.

    Attributes:
        n_slow: how many directions are slow; 0 where none are.
        rate: at which the slowest of the others fades or grows, in nats per step, 1 at most; 0 where none are slow.
        ratio: the largest |λ - 1| of the slow ones as a part of that rate; where none are slow, the smallest that any
            choice of them would have.
    """

    n_slow: Integer[np.ndarray, " point"]
    rate: Float[np.ndarray, " point"]
    ratio: Float[np.ndarray, " point"]


def gap_at(values: Num[np.ndarray, "point eigenvalue"], margin: float) -> Gap:
    """How many of these eigenvalues belong to a slow manifold: those nearest to 1 that are slower than all others by
    `margin`, as normal hyperbolicity asks for. Both are rates per step, so that neither a smaller dt nor a stronger
    leak, which bring all eigenvalues nearer to 1, changes what is found.

    Where several numbers of directions are, it is the number with the clearest gap, of equally clear ones (ratios below
    `EQUAL` times the margin are) the largest. Where all directions are slow there is nothing to compare them with, and
    only eigenvalues 1 count, up to 1e-6.
    """
    distance = np.nan_to_num(np.abs(values - 1), nan=np.inf)
    order = distance.argsort(1)
    own = np.take_along_axis(distance, order, 1)
    rates = np.abs(np.log(np.maximum(np.take_along_axis(np.abs(values), order, 1), 1e-300)))
    rates = np.minimum(np.nan_to_num(rates, nan=0.0), 1.0)
    others = np.minimum.accumulate(rates[:, ::-1], 1)[:, ::-1]  # the slowest of this and all that follow
    rate = np.append(others[:, 1:], np.where(own[:, -1:] <= EXACT, 1.0, 0.0), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(rate > 0, own / rate, np.inf)
    clear = np.maximum(ratio, EQUAL * margin)
    best = values.shape[1] - 1 - clear[:, ::-1].argmin(1)  # the last of equal ones
    best = best[:, None]
    least = np.take_along_axis(ratio, best, 1)[:, 0]
    slow = least <= margin
    rate = np.take_along_axis(rate, best, 1)[:, 0]
    return Gap(np.where(slow, best[:, 0] + 1, 0), np.where(slow, rate, 0.0), least)


def trace(
    state_map: CompleteMap,
    seed: Float[np.ndarray, " unit"],
    d: int,
    limits: Limits,
    n_points: int,
    budget: Budget,
) -> Traced | None:
    """The manifold of d dimensions through a point: a line or ring as `n_points` at equal distances, one of more
    dimensions as about so many all over it; None where no point of it is near."""
    if d > 1:
        coarse = replace(limits, step=max(limits.step, 1.2 * limits.radius / n_points ** (1 / d)))
        return _cover(state_map, seed, d, coarse, 4 * n_points, budget)
    line = _trace_line(state_map, seed, limits, budget)
    if line is None or len(line.points) < 2:
        return line
    ring = None if line.closed else _close(state_map, line, n_points, limits, budget)
    return _spread_evenly(state_map, line, n_points, limits) if ring is None else ring


def arc_lengths(points: Points, tangents: Points) -> Float[np.ndarray, " segment"]:
    """Lengths of the arcs from point to point: exact on a circle, where chords are too short; chords over a kink."""
    turn = np.arccos(np.clip((tangents[1:] * tangents[:-1]).sum(1), -1, 1))
    turn = np.where(turn < np.pi / 3, turn, 0.0)
    return np.linalg.norm(np.diff(points, axis=0), axis=1) / np.sinc(turn / (2 * np.pi))


def _trace_line(state_map: CompleteMap, seed: np.ndarray, limits: Limits, budget: Budget) -> Traced | None:
    budget.spend()
    jacobian = state_map.jacobian(seed[None], np.empty((1, 0)))[0]
    slowest = _slow_subspace(jacobian, 1)
    x, basis, tangent, why = _advance_line(state_map, seed, slowest, slowest[:, 0], limits, limits.step)
    if why:
        return None
    begin = x, basis, tangent
    ahead, end, closed = _follow(state_map, begin, limits, budget)
    if closed:
        return _joined([begin, *ahead], True, ())
    behind, start, closed = _follow(state_map, (x, basis, -tangent), limits, budget)
    behind = [(*place[:2], -place[2]) for place in reversed(behind)]
    return _joined([*behind, begin], True, ()) if closed else _joined([*behind, begin, *ahead], False, (start, end))


Place = tuple[np.ndarray, np.ndarray, np.ndarray]  # a state, its slow subspace (unit, 1 or 2), and the way ahead


def _joined(places: list[Place], closed: bool, ends: tuple[str, ...]) -> Traced:
    return Traced(np.stack([p[0] for p in places]), np.stack([p[2] for p in places])[..., None], closed, ends)


def _follow(state_map: CompleteMap, begin: Place, limits: Limits, budget: Budget) -> tuple[list[Place], str, bool]:
    """(places ahead of `begin`, why it ends there, whether it came back)."""
    x, basis, tangent = begin
    places: list[Place] = []
    step, travelled = limits.step, 0.0
    while len(places) < MOST_STEPS:
        if budget.is_spent:
            return places, "stopped", False
        budget.spend()
        smallest = step <= limits.step / 2**HALVINGS
        new, new_basis, new_tangent, why = _advance_line(state_map, x + step * tangent, basis, tangent, limits, step)
        if not why and new_tangent @ tangent < (KINK_TURN if smallest else MOST_TURN):
            why = "lost"
        if why:
            if smallest:
                return places, why, False
            step /= 2
            continue
        travelled += float(np.linalg.norm(new - x))
        x, basis, tangent = new, new_basis, new_tangent
        gap = begin[0] - x
        along = float(gap @ tangent)
        beside = float(np.linalg.norm(gap - along * tangent))
        same = float(begin[2] @ tangent) > MOST_TURN
        if travelled > 4 * step and same and abs(along) <= step and beside <= 0.2 * step:
            # What lies on the start, or just past it, is the start.
            return places + [(x, basis, tangent)] * (along > 0.5 * step), "", True
        places.append((x, basis, tangent))
        step = min(1.5 * step, limits.step)
    return places, "full", False


def _advance_line(
    state_map: CompleteMap, ahead: np.ndarray, basis: np.ndarray, tangent: np.ndarray, limits: Limits, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """(a predicted point corrected, its slow subspace, its tangent, why it does not belong to the line or "")."""
    x, arrived = _correct(state_map, ahead[None], tangent[None, :, None], step, limits.tolerance)
    if not arrived[0] and basis.shape[1] > 1:
        x, arrived = _correct(state_map, ahead[None], basis[None], step, limits.tolerance)
    if not arrived[0]:
        return ahead, basis, tangent, "lost"
    why = _outside(state_map, x, limits)[0]
    jacobian = state_map.jacobian(x, np.empty((1, 0)))[0]
    found = _aligned_subspace(jacobian, tangent, limits.margin) if np.isfinite(jacobian).all() else None
    if why or found is None:
        return x[0], basis, tangent, why or "margin"
    way = found @ (found.T @ (tangent if found.shape[1] == 1 else x[0] - (ahead - step * tangent)))
    return x[0], found, way / np.linalg.norm(way), ""


def _spread_evenly(state_map: CompleteMap, traced: Traced, n_points: int, limits: Limits) -> Traced:
    from scipy.interpolate import CubicHermiteSpline

    points, tangents = traced.points, traced.tangents[..., 0]
    if traced.closed:
        points, tangents = np.concatenate([points, points[:1]]), np.concatenate([tangents, tangents[:1]])
    along = np.append(0.0, np.cumsum(arc_lengths(points, tangents)))
    curve = CubicHermiteSpline(along, points, tangents)
    wanted = np.linspace(0, along[-1], n_points, endpoint=not traced.closed)
    x, ways = curve(wanted), curve(wanted, 1)
    for _ in range(2):  # the second time with the slow directions of where the first one led
        jacobians = state_map.jacobian(x, np.empty((len(x), 0)))
        for row, jacobian in enumerate(jacobians):
            basis = _aligned_subspace(jacobian, ways[row], limits.margin)
            ways[row] = ways[row] if basis is None else basis @ (basis.T @ ways[row])
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        moved, arrived = _correct(state_map, x, ways[..., None], limits.step, limits.tolerance)
        x[arrived] = moved[arrived]
    return Traced(x, ways[..., None], traced.closed, traced.ends)


def _close(state_map: CompleteMap, line: Traced, n_points: int, limits: Limits, budget: Budget) -> Traced | None:
    """A line that ended close to its start, closed to a ring and let go to where the network takes it, at right angles
    to itself (the string method; E, Ren & Vanden-Eijnden, J. Chem. Phys. 126, 2007); None where that is no slow
    manifold. It leads through weak foci, where no real direction is slow, but along attracting rings alone."""
    from scipy.interpolate import CubicSpline

    x = np.concatenate([line.points, line.points[:1]])
    pieces = np.linalg.norm(np.diff(x, axis=0), axis=1)
    if pieces[-1] > CLOSABLE * pieces[:-1].sum():
        return None
    for turn in range(MOST_RELAXATIONS):
        if budget.is_spent:
            return None
        budget.spend()
        if turn % 10 == 0:  # equal distances again
            along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(x, axis=0), axis=1)))
            if not (np.isfinite(along[-1]) and (np.diff(along) > 0).all()):
                return None
            x = CubicSpline(along, x, bc_type="periodic")(np.linspace(0, along[-1], n_points, endpoint=False))
        else:
            x = x[:-1]
        tangents = np.roll(x, -1, 0) - np.roll(x, 1, 0)
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
        step = state_map.step(x, np.empty((len(x), 0))) - x
        aside = step - tangents * (tangents * step).sum(1, keepdims=True)
        settled = np.linalg.norm(aside, axis=1).max() <= 0.01 * limits.fastest
        x = x + aside
        if not np.isfinite(x).all():
            return None
        if settled:
            break
        x = np.concatenate([x, x[:1]])
    else:
        return None
    jacobians = state_map.jacobian(x, np.empty((len(x), 0)))
    slow = [_aligned_subspace(j, t, limits.margin) is not None for j, t in zip(jacobians, tangents, strict=True)]
    inside = not any(_outside(state_map, x, limits))
    return Traced(x, tangents[..., None], True, ()) if inside and all(slow) else None


def _cover(
    state_map: CompleteMap, seed: np.ndarray, d: int, limits: Limits, most: int, budget: Budget
) -> Traced | None:
    """Points about `limits.step` apart in all slow directions, `most` at most."""
    points, bases, why = _advance_sheet(state_map, seed[None], _subspaces(state_map, seed[None], d), limits)
    if why[0]:
        return None
    front, ends = np.array([0]), set()
    budget.spend()
    while len(front) and len(points) < most and not budget.is_spent:
        sides = np.concatenate([bases[front], -bases[front]], 2).swapaxes(1, 2)  # (front, side, unit)
        parent = np.repeat(front, 2 * d)
        ahead = points[parent] + limits.step * sides.reshape(len(parent), -1)
        fresh = _apart(ahead, points, 0.75 * limits.step)[: most - len(points)]
        budget.spend(len(fresh))
        new, new_bases, why = _advance_sheet(state_map, ahead[fresh], bases[parent[fresh]], limits)
        ends |= set(filter(None, why))
        kept = np.flatnonzero([not reason for reason in why])
        kept = kept[_apart(new[kept], points, 0.6 * limits.step)]
        front = len(points) + np.arange(len(kept))
        points, bases = np.concatenate([points, new[kept]]), np.concatenate([bases, new_bases[kept]])
    if len(front):
        ends.add("full" if len(points) >= most else "stopped")
    return Traced(points, bases, False, tuple(sorted(ends)))


def _advance_sheet(
    state_map: CompleteMap, ahead: Points, bases: Bases, limits: Limits
) -> tuple[Points, Bases, list[str]]:
    """(predicted points corrected, their slow subspaces, why each does not belong to the sheet or "")."""
    x, arrived = _correct(state_map, ahead, bases, 0.5 * limits.step, limits.tolerance)
    new = bases.copy()
    for _ in range(2):  # the second time with the slow directions of where the first one led
        new[arrived] = _subspaces(state_map, x[arrived], bases.shape[2])
        x[arrived], arrived[arrived] = _correct(
            state_map, x[arrived], new[arrived], 0.5 * limits.step, limits.tolerance
        )
    inside = new.swapaxes(1, 2) @ (state_map.jacobian(x, np.empty((len(x), 0))) @ new)
    far = np.abs(linalg.eigenvalues(inside) - 1).max(1, initial=0.0)
    turn = linalg.singular_values(new.swapaxes(1, 2) @ bases)[:, -1]
    why = _outside(state_map, x, limits)
    for row in range(len(x)):
        if not arrived[row] or turn[row] < KINK_TURN:
            why[row] = "lost"
        elif not why[row] and not far[row] <= limits.margin:
            why[row] = "margin"
    return x, new, why


def _correct(
    state_map: CompleteMap, begin: Points, bases: Bases, longest: float, tolerance: float
) -> tuple[Points, Bool[np.ndarray, " point"]]:
    """(points moved, at right angles to their bases, to where F(h) - h lies in them; whether they got there without
    moving by more than `longest`)."""
    x = begin.copy()
    n, d = bases.shape[1:]
    arrived, active = np.zeros(len(x), bool), np.arange(len(x))
    for _ in range(MOST_CORRECTIONS):
        if not len(active):
            break
        none = np.empty((len(active), 0))
        bordered = np.zeros((len(active), n + d, n + d))
        bordered[:, :n, :n] = state_map.jacobian(x[active], none) - np.eye(n)
        bordered[:, :n, n:], bordered[:, n:, :n] = bases[active], bases[active].swapaxes(1, 2)
        wanted = np.zeros((len(active), n + d))
        wanted[:, :n] = x[active] - state_map.step(x[active], none)
        move = linalg.solve(bordered, wanted)[:, :n]
        new = x[active] + move
        good = np.linalg.norm(new - begin[active], axis=1) <= longest  # not so for NaN
        active, move = active[good], move[good]
        x[active] = new[good]
        settled = np.linalg.norm(move, axis=1) <= tolerance
        arrived[active[settled]] = True
        active = active[~settled]
    return x, arrived


def _outside(state_map: CompleteMap, points: Points, limits: Limits) -> list[str]:
    speed = np.linalg.norm(state_map.step(points, np.empty((len(points), 0))) - points, axis=1)
    edge = np.linalg.norm(points - limits.centre, axis=1) > limits.radius
    edge |= ((points < limits.low - limits.tolerance) | (points > limits.high + limits.tolerance)).any(1)
    return ["edge" if out else "" if v <= limits.fastest else "drift" for out, v in zip(edge, speed, strict=True)]


def _slow_subspace(jacobian: Float[np.ndarray, "n n"], d: int) -> Float[np.ndarray, "n d"]:
    """An orthonormal basis of the invariant subspace of the d eigenvalues nearest to 1."""
    from scipy.linalg import schur

    n = len(jacobian)
    if d == n:
        return np.eye(n)
    near = np.sort(np.abs(linalg.eigenvalues(jacobian[None])[0] - 1))
    between = (near[d - 1] + near[d]) / 2
    try:
        sorted_schur: Any = schur(jacobian, sort=lambda re, im: abs(complex(re, im) - 1) <= between)
        vectors = sorted_schur[1]
    except np.linalg.LinAlgError:  # eigenvalues so ill-conditioned that sorting moves them
        values, right, _ = linalg.eigenvectors(jacobian[None])
        nearest = right[0][:, np.abs(values[0] - 1).argsort()[:d]]
        vectors = linalg.svd(np.concatenate([nearest.real, nearest.imag], 1)[None])[0][0]
    return vectors[:, :d]


def _subspaces(state_map: CompleteMap, points: Points, d: int) -> Bases:
    jacobians = state_map.jacobian(points, np.empty((len(points), 0)))
    found = [_slow_subspace(jacobian, d) for jacobian in jacobians]
    return np.stack(found) if found else np.empty((0, points.shape[1], d))


def _aligned_subspace(jacobian: np.ndarray, along: np.ndarray, margin: float) -> Float[np.ndarray, "n d"] | None:
    """An orthonormal basis of the real eigenvector, or of the plane of the pair, that is nearest to a direction, of
    those with eigenvalues within `margin` of 1; None where there is none.

    A line may lead through states where its eigenvalue pairs up with the next; there it goes straight on, in the
    plane of the two.
    """
    close = _eigenvector_near(jacobian, along)
    if close is not None and abs(close[0] - 1) <= margin and abs(close[1] @ along) > KINK_TURN * np.linalg.norm(along):
        return close[1][:, None]
    values, vectors, _ = linalg.eigenvectors(jacobian[None])
    best, found = -1.0, None
    for i in np.flatnonzero((np.abs(values[0] - 1) <= margin) & (np.imag(values[0]) >= 0)):
        vector = vectors[0][:, i]
        parts = np.stack([np.real(vector), np.imag(vector)], 1)[:, : 1 + bool(np.imag(values[0][i]))]
        basis = np.linalg.qr(parts)[0]
        near = float(np.linalg.norm(basis.T @ along))
        if near > best:
            best, found = near, basis
    return found


def _eigenvector_near(jacobian: np.ndarray, along: np.ndarray) -> tuple[float, np.ndarray] | None:
    """(λ, r) from Newton steps on J r = λ r, much cheaper than all of them; None where these find none."""
    n = len(jacobian)
    vector = along / np.linalg.norm(along)
    for _ in range(8):
        value = float(vector @ jacobian @ vector)
        if np.linalg.norm(jacobian @ vector - value * vector) <= 1e-10:
            return value, vector
        bordered = np.zeros((1, n + 1, n + 1))
        bordered[0, :n, :n] = jacobian - value * np.eye(n)
        bordered[0, :n, n] = bordered[0, n, :n] = vector
        vector = linalg.solve(bordered, np.eye(n + 1)[None, -1])[0, :n]
        if not np.isfinite(vector).all():
            return None
        vector /= np.linalg.norm(vector)
    return None


def _apart(points: Points, others: Float[np.ndarray, "other unit"], distance: float) -> np.ndarray:
    """Rows of `points` that are this far from all of `others` and from the rows kept before."""
    from scipy.spatial import KDTree

    chosen = np.flatnonzero(KDTree(others).query(points)[0] >= distance) if len(points) else []
    kept: list[int] = []
    for row in chosen:
        if not kept or np.linalg.norm(points[kept] - points[row], axis=1).min() >= distance:
            kept.append(int(row))
    return np.array(kept, np.int64)
