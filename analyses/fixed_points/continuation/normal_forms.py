"""What happens at a point of a curve where an eigenvalue is 1, by the coefficients of its normal form.

With x = (h, p) and G(x) = F(h; p) - h, the derivative D = [J - 1, dF/dp] has a left vector w with w (J - 1) = 0. Along
the directions that D annihilates, w G is a polynomial whose lowest coefficients decide (reduction of Lyapunov and
Schmidt: Golubitsky & Schaeffer, Singularities and Groups in Bifurcation Theory I, 1985, chapters I and VII). They are
differences of D along these directions, at the distance where the error is least. A coefficient within its error of 0
decides nothing: the point is then "degenerate".
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnscope.analyses.fixed_points.continuation.curves import Family, correct

DEGENERATE = "degenerate point"
# Singular values of D below this are 0.
SINGULAR = 1e-4
# Differences are taken over these lengths, in units of the points' spread; the best for each coefficient is kept.
LENGTHS = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
# A coefficient is not 0 if it is above so many times its error, and above what the place's own error makes of it.
SURE, LEAST = 10.0, 1e-5
# How far from a branch point the other curve is taken up; further only where it has not left the upright there.
ARMS = (2e-3, 1e-2, 5e-2)
# Changes of p over an arm below this part of its length are rounding.
LEVEL = 1e-7


@dataclass(frozen=True)
class Crossing:
    """Attributes:
    kind: "transcritical", a pitchfork, "degenerate point", or "unclassified" where more than two curves may meet.
    arms: points on the other curve, one on each side, if it was found.
    """

    kind: str
    arms: np.ndarray


def is_fold(family: Family, x: np.ndarray) -> bool:
    """Whether two fixed points meet at x and are gone: p turns with the square of the length along the curve."""
    d = family.derivative(x[None])[0]
    left, _, right = np.linalg.svd(d[:, :-1])
    w, v = left[:, -1], np.append(right[-1], 0.0)
    size = float(np.linalg.norm(d, 2))
    bend, error = _best(lambda length: float(w @ _along(family, x, v, length) @ v), family, size, 1)
    push = abs(float(w @ d[:, -1]))
    return bool(abs(bend) > SURE * error + LEAST and push > 0)


def crossing(family: Family, x: np.ndarray, tangent: np.ndarray) -> Crossing:
    """What two curves do that cross at x, one of which has this tangent there."""
    nothing = np.empty((0, len(x)))
    d = family.derivative(x[None])[0]
    left, singular, right = np.linalg.svd(d)
    if singular[-1] > SINGULAR or (len(singular) > 1 and singular[-2] < SINGULAR):
        return Crossing("unclassified", nothing)
    w, plane, size = left[:, -1], right[-2:], float(singular[0])
    own = plane.T @ (plane @ tangent)
    own /= np.linalg.norm(own)
    normal = plane.T @ (np.array([[0.0, -1.0], [1.0, 0.0]]) @ (plane @ own))

    def second(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        return _best(lambda length: float(w @ _along(family, x, a, length) @ b), family, size, 1)

    (mixed, mixed_error), (bent, bent_error) = second(own, normal), second(normal, normal)
    if abs(mixed) <= SURE * mixed_error + LEAST:
        return Crossing(DEGENERATE, _arms(family, x, normal, np.zeros_like(x)))
    other = normal - bent / (2 * mixed) * own
    size_of_other = float(np.linalg.norm(other))
    other /= size_of_other
    uncertain = SURE * (bent_error + mixed_error * abs(bent / mixed)) / abs(2 * mixed) / size_of_other + LEAST
    upright = abs(other[-1]) <= uncertain, abs(own[-1]) <= uncertain
    if not any(upright):
        return Crossing("transcritical", _arms(family, x, other, np.zeros_like(x)))
    if all(upright):
        return Crossing(DEGENERATE, _arms(family, x, other, np.zeros_like(x)))
    trunk, pair = (own, other) if upright[0] else (other, own)
    bend, error, weight = _pair(family, x, d, w, trunk, pair, size)
    # The other curve bends where it is the pair.
    curvature = bend * trunk / trunk[-1] if upright[0] else np.zeros_like(x)
    arms = _arms(family, x, other, curvature)
    if abs(bend) <= SURE * error + LEAST or weight == 0:
        return Crossing(DEGENERATE, arms)
    return Crossing("supercritical pitchfork" if weight < 0 else "subcritical pitchfork", arms)


def _pair(
    family: Family, x: np.ndarray, d: np.ndarray, w: np.ndarray, trunk: np.ndarray, pair: np.ndarray, size: float
) -> tuple[float, float, float]:
    """(d^2 p / ds^2 of the pair of a pitchfork with length s along it, its error, and the coefficient of the cube,
    below 0 where the pair has an unstable direction less than the trunk)."""
    mixed, _ = _best(lambda length: float(w @ _along(family, x, pair, length) @ trunk), family, size, 1)
    pinv = np.linalg.pinv(d, rcond=SINGULAR / size)

    def bend(length: float) -> float:
        by_pair = _along(family, x, pair, length)
        y = -pinv @ (by_pair @ pair)
        ahead, here, behind = family.derivative(np.stack([x + length * pair, x, x - length * pair]))
        cube = float(w @ ((ahead - 2 * here + behind) / length**2 @ pair + 3 * by_pair @ y))
        return float(y[-1] - cube * trunk[-1] / (3 * mixed))

    found, error = _best(bend, family, size, 2)
    # w may point to either side.
    return found, error, -found * mixed / trunk[-1] * float(w @ pair[:-1])


def _along(family: Family, x: np.ndarray, direction: np.ndarray, length: float) -> np.ndarray:
    """The derivative of D along a direction."""
    ahead, behind = family.derivative(np.stack([x + length * direction, x - length * direction]))
    return (ahead - behind) / (2 * length)


def _best(coefficient: Callable[[float], float], family: Family, size: float, order: int) -> tuple[float, float]:
    """(the coefficient, its error), at the length where that is least: it is what halving the length changes, and
    rounding."""
    found, least = 0.0, np.inf
    for length in LENGTHS:
        wide, narrow = coefficient(length), coefficient(length / 2)
        better = (4 * narrow - wide) / 3
        error = abs(narrow - wide) / 3 + 8 * family.noise * (1 + size) / length**order
        if np.isfinite(error) and error < least:
            found, least = better, error
    return found, float(least)


def _arms(family: Family, x: np.ndarray, tangent: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Points on a curve through x, on both sides; none where it does not leave the upright."""
    arms = np.empty((0, len(x)))
    for length in ARMS:
        ways = length * np.array([[-1.0], [1.0]])
        start = x + ways * tangent + length**2 / 2 * curvature
        found, ok = correct(family, start, np.stack([tangent, tangent]), np.full(2, length))
        ok &= np.abs(found[:, -1] - x[-1]) > LEVEL * length
        arms = found[ok] if ok.sum() > len(arms) else arms
        if ok.all():
            break
    return arms
