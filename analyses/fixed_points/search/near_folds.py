"""Which ends of a search are fixed points, and which only look like some in double precision, as near a fold?

Where two fixed points have met and gone, |F - h| stays tiny over a long way, and a search that asks for a small q ends
at several places where there is nothing; just before, the two cannot be told apart. What the ends are is decided here:

- Ends are one where their proofs do not show two (their error balls meet), or, where there is no proof, where |F - h|
  half way between them is about as small as at the ends: nothing tells a second point there.
- Where the map bounds its derivatives, a point counts as fixed if it is certified. One that is not, by a map that is
  curved and smooth there, is nearly degenerate: there may be none, one or two. It is left with the slow points, among
  which a q below the tolerance marks it.
- Where it does not, a point is no fixed point if Newton's method sees none: steps do not get shorter, and are too long
  to be rounding. Where proofs were asked for, it is left with the slow points also where the step is no small
  correction, or J - 1 cannot be told from a singular matrix: a small q says nothing there, unless the map gives the
  very same numbers back. One where J - 1 is nearly singular remains, and its certificate says so.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.fixed_points.search.root_search import FIXED, SLOW, Search, residuals
from rnnscope.analyses.fixed_points.search.stability import is_smooth
from rnnscope.analyses.fixed_points.trust.certificates import NO_BOUND, Certificates, certify_fixed_points, newton_steps
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

NEARLY = "nearly a fold or degenerate: there may be none, one or two fixed points here"
NOT_ASKED = "not asked for"
# Ends this close, in units of the distance at which two points are one, are one number but for rounding: even a fold is
# no nearer in double precision, as it leaves |F - h| below 1e-16 only within 1e-8.
ONE_NUMBER = 1e-3
# Ends further apart than this part of the scale are never one: a root of order five is as flat as that.
FLAT_WAY = 1e-3
# |F - h| is about as small between two ends as at them if it is below this multiple, or this many roundings.
AS_SMALL, ROUNDINGS = 8.0, 8.0
# Newton steps longer than this part of the scale are more than rounding, unless J - 1 is singular but for rounding.
MORE_THAN_ROUNDING = 1e-8
# J - 1 is nearly singular if some direction is mapped to less than this part of it: then curvature and rounding decide
# together whether there is a zero (rounding of 1e-16, and a curvature of 1, over the square of this).
NEARLY_SINGULAR = 1e-7
# Where nothing is proven, a Newton step longer than this part of the scale is no correction, and J - 1 is singular
# where it shrinks a direction to less than this part of it, or to ten errors of the Jacobian.
CORRECTION, SINGULAR = 1e-6, 1e-13
POLISHING = 20
# A certified point is moved to what is proven where its error is more than this part of the scale.
FAR_OFF = 1e-9


@dataclass(frozen=True)
class ToldApart:
    """What the ends of a search are.

    Attributes:
        search: with all starts that ended at the same point at the same numbers, and those at what is not told from
            nothing as SLOW.
        certificates: of the points at which starts ended, and of what looked like such.
        which: the row of `certificates` for each start; -1 where it ended at none.
    """

    search: Search
    certificates: Certificates
    which: Integer[np.ndarray, " start"]

    def proofs(self, starts: Integer[np.ndarray, " point"]) -> Certificates:
        """Of the points where these starts ended."""
        rows, found = self.which[starts], self.certificates
        reason = tuple(found.reason[row] for row in rows)
        return Certificates(found.certified[rows], found.error_radius[rows], found.uniqueness_radius[rows], reason)


def tell_apart(
    state_map: CompleteMap,
    search: Search,
    inputs: np.ndarray,
    condition: Integer[np.ndarray, " start"],
    *,
    scale: float,
    distance: float,
    certify: bool,
) -> ToldApart:
    """Decide which ends of a search are fixed points.

    Args:
        state_map: the map.
        search: how its starts ended.
        inputs: the input of each start.
        condition: a number for each different input.
        scale: the unit of lengths.
        distance: ends nearer than this, in units of `scale`, are one, unless they are proven to be two.
        certify: whether to prove points; if not, they are judged as those of a map without bounds.
    """
    rows = np.flatnonzero(search.outcome == FIXED)
    first, group = _grouped(search.ends[rows], search.q[rows], condition[rows], ONE_NUMBER * distance * scale)
    at = rows[first]
    points, q, held = search.ends[at], search.q[at], inputs[at]
    with np.errstate(all="ignore"), linalg.one_thread():
        # The same points whether or not they are to be certified.
        rough = np.sqrt(2 * q) > _rounding(points)
        points[rough], q[rough] = _polished(state_map, points[rough], q[rough], held[rough])
        points, q, proofs = _proven(state_map, points, q, held, certify, scale)
        one = _merged(state_map, points, q, held, condition[at], proofs, scale, distance)
        keep, reasons = _fixed(state_map, points, held, proofs, scale)
    ends, low, outcome = search.ends.copy(), search.q.copy(), search.outcome.copy()
    which = np.full(len(ends), -1)
    which[rows] = one[group]
    ends[rows], low[rows] = points[which[rows]], q[which[rows]]
    outcome[rows[~keep[which[rows]]]] = SLOW
    told = replace(search, ends=ends, q=low, outcome=outcome)
    return ToldApart(told, replace(proofs, reason=reasons), which)


def _proven(
    state_map: CompleteMap, points: np.ndarray, q: np.ndarray, held: np.ndarray, certify: bool, scale: float
) -> tuple[np.ndarray, np.ndarray, Certificates]:
    """(points, q, what is proven of them). Points that are far from what is proven to be there, as where a gate is all
    but shut and every state seems to rest, are moved to it."""
    if not certify:
        n = len(points)
        return points, q, Certificates(np.zeros(n, bool), np.full(n, np.inf), np.zeros(n), (NOT_ASKED,) * n)
    points, q, proofs = points.copy(), q.copy(), certify_fixed_points(state_map, points, held)
    far = np.flatnonzero(proofs.certified & (proofs.error_radius > FAR_OFF * scale))
    for _ in range(POLISHING if len(far) else 0):
        new = newton_steps(state_map, points[far], held[far])
        better = certify_fixed_points(state_map, new, held[far]).error_radius < 0.5 * proofs.error_radius[far]
        far, new = far[better], new[better]
        if not len(far):
            break
        points[far], q[far] = new, residuals(state_map, new, held[far])[1]
        proofs = certify_fixed_points(state_map, points, held)
    return points, q, proofs


def _rounding(points: np.ndarray) -> Float[np.ndarray, " point"]:
    """What |F - h| may be at a fixed point by rounding alone, about."""
    return ROUNDINGS * np.finfo(float).eps * (1 + np.linalg.norm(points, axis=1))


def _grouped(points: np.ndarray, q: np.ndarray, condition: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """(the row of the best point of each group, the group of each point)."""
    group, first = np.full(len(points), -1), []
    left = np.argsort(q, kind="stable")
    while len(left):
        near = (np.linalg.norm(points[left] - points[left[0]], axis=1) < radius) & (
            condition[left] == condition[left[0]]
        )
        near[0] = True
        group[left[near]] = len(first)
        first.append(left[0])
        left = left[~near]
    return np.array(first, np.int64), group


def _steps(state_map: CompleteMap, points: np.ndarray, held: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(J - 1)^-1 v for the columns of each point's vectors, (point, unit, column)."""
    slopes = state_map.jacobian(points, held) - np.eye(points.shape[1])
    return linalg.solve(slopes, vectors)


def _polished(
    state_map: CompleteMap, points: np.ndarray, q: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Newton steps as long as they lower q at all."""
    points, q, left = points.copy(), q.copy(), np.arange(len(points))
    for _ in range(POLISHING):
        if not len(left):
            break
        r = residuals(state_map, points[left], held[left])[0]
        new = points[left] - _steps(state_map, points[left], held[left], r[..., None])[..., 0]
        for row in np.flatnonzero(~np.isfinite(new).all(1)):  # as on a line of points: the least step
            slopes = state_map.jacobian(points[left[row]], held[left[row]]) - np.eye(points.shape[1])
            if np.isfinite(slopes).all() and np.isfinite(r[row]).all():
                new[row] = points[left[row]] - np.linalg.pinv(slopes) @ r[row]
        finite = np.asarray(np.isfinite(new).all(1))
        new_q = residuals(state_map, np.where(finite[:, None], new, points[left]), held[left])[1]
        lower = (new_q < q[left]) & finite
        if state_map.domain is not None:
            lower &= ((new >= state_map.domain[0]) & (new <= state_map.domain[1])).all(1)
        left = left[lower]
        points[left], q[left] = new[lower], new_q[lower]
    return points, q


def _merged(
    state_map: CompleteMap,
    points: np.ndarray,
    q: np.ndarray,
    held: np.ndarray,
    condition: np.ndarray,
    proofs: Certificates,
    scale: float,
    distance: float,
) -> Integer[np.ndarray, " point"]:
    """For each point, the row of the one that stands for it: a certified one before others, then the smallest error of
    the place, then the lowest q."""
    one = np.full(len(points), -1)
    size = np.sqrt(2 * q)  # |F - h|
    rounding = _rounding(points)
    left = np.lexsort((q, proofs.error_radius))
    while len(left):
        i, rest = left[0], left[1:]
        away = np.linalg.norm(points[rest] - points[i], axis=1)
        near = (condition[rest] == condition[i]) & (away < max(FLAT_WAY, distance) * scale)
        both = proofs.certified[rest] & proofs.certified[i]
        same = np.where(both, away <= proofs.error_radius[i] + proofs.error_radius[rest], away < distance * scale)
        ask = np.flatnonzero(near & ~both & ~same)
        if len(ask):
            j = rest[ask]
            middle = residuals(state_map, 0.5 * (points[i] + points[j]), held[j])[1]
            same[ask] = np.sqrt(2 * middle) <= np.maximum(AS_SMALL * np.maximum(size[i], size[j]), rounding[j])
        same &= near | (both & (condition[rest] == condition[i]))
        one[i] = i
        one[rest[same]] = i
        left = rest[~same]
    return one


def _fixed(
    state_map: CompleteMap, points: np.ndarray, held: np.ndarray, proofs: Certificates, scale: float
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(whether each counts as a fixed point, why it is not certified)."""
    keep, reasons = np.ones(len(points), bool), list(proofs.reason)
    open_ = np.flatnonzero(~proofs.certified)
    # What is linear in pieces has proofs of its own (`find_cycles`), and at a kink slopes say little.
    curved = np.array([state_map.linear_pieces(u) is None for u in held[open_]], bool)
    open_ = open_[curved]
    if not len(open_):
        return keep, tuple(reasons)
    x, u = points[open_], held[open_]
    jacobians = state_map.jacobian(x, u)
    smooth = is_smooth(lambda h: state_map.jacobian(h, u), x, jacobians, 1e-6 * scale, known=state_map.smooth)
    bounded = np.array([reasons[i] not in (NO_BOUND, NOT_ASKED) for i in open_])
    n = points.shape[1]
    random = np.random.default_rng(0).standard_normal((n, 2))  # only a size is estimated with them
    random *= np.sqrt(n) / np.linalg.norm(random, axis=0)
    r = residuals(state_map, x, u)[0]
    found = _steps(state_map, x, u, np.concatenate([r[..., None], np.broadcast_to(random, (*x.shape, 2))], -1))
    first, longest = found[..., 0], np.linalg.norm(found[..., 1:], axis=1).max(1)
    singular = ~(longest * (1 + np.abs(jacobians).max((1, 2))) < 1 / NEARLY_SINGULAR)
    there = np.where(np.isfinite(first).all(1, keepdims=True), x - first, x)  # no map is asked about what is no number
    again = _steps(state_map, x, u, residuals(state_map, there, u)[0][..., None])[..., 0]
    step, next_step = (np.linalg.norm(s, axis=1) for s in (first, again))
    astray = (step > MORE_THAN_ROUNDING * scale) & ~(next_step < 0.5 * step) & np.isfinite(step)
    least = max(SINGULAR, 10 * state_map.jacobian_error)
    told = (step <= CORRECTION * scale) & (longest * (1 + np.abs(jacobians).max((1, 2))) < 1 / least)
    # Where the map as it is computed gives the same numbers back, as on a line of points, it rests whatever J is.
    told |= np.linalg.norm(r, axis=1) <= 2 * np.finfo(float).eps * np.linalg.norm(x, axis=1)
    astray |= ~told & np.array([reasons[i] == NO_BOUND for i in open_])
    for i, row in enumerate(open_):
        keep[row] = not (smooth[i] and (bounded[i] or astray[i]))
        if smooth[i] and (bounded[i] or singular[i] or astray[i]):
            reasons[row] = f"{NEARLY} ({reasons[row]})"
    return keep, tuple(reasons)
