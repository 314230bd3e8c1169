"""All zeros of a system of equations in a box, each proven, and where it could not be decided.

Boxes are bisected until each is proven to hold no zero, or to hold one that is known. Of a box X with centre c, and of
any matrix A, the zeros of G in X are those in

    K = c - A G(c) + (1 - A [G'(X)]) (X - c),

so X may be cut to its part in K, and dropped if that is empty; where |1 - A [G']| < 1 in a norm, G is one to one on X,
which then holds one zero at most; and where K lies inside X, there is one (Krawczyk, Computing 4, 1969; Neumaier,
Interval Methods for Systems of Equations, Cambridge 1990). An equation of the form z = Φ(z) also cuts X to Φ(X).

A box around a proven zero in which there is no other, as large as can be had, lets boxes inside it be dropped at once.
Close to a degenerate zero none of this decides: boxes there are given up below `SMALLEST` and returned as undecided.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.numerics import linalg
from rnnscope.numerics.bounds import UNDERFLOW, UNIT, gamma

Array = np.ndarray

# Boxes below this part of the whole box in all coordinates are not divided further: two zeros that are as close are
# told from none or one only by luck.
SMALLEST = 1e-9
# But where slopes are still this uncertain on such a box, as those of huge weights are, nothing is degenerate yet: it
# is divided down to neighbouring numbers.
UNCERTAIN = 0.1
# Numbers in the arrays of the boxes that are looked at in one go: they stay in the cache.
AT_A_TIME = 2**16
# Where a box is divided: not in the middle, where symmetric systems have their zeros.
CUT = 0.5078125
# Newton steps to a zero at most, and the last of them as a part of the whole box: usually each doubles the digits, but
# close to a degenerate zero one step gains one binary digit.
NEWTON_STEPS, LAST_STEP = 40, 1e-13
# The boxes around a zero that are tried: for its existence in units of what the last Newton step leaves, and for its
# being the only one as parts of the whole box, each then refined between two of these.
INNER = 2.0 * 8.0 ** np.arange(6)
OUTER = 3.0 ** -np.arange(40)
REFINED = 3.0 ** (np.arange(1, 4) / 4)


@dataclass(frozen=True)
class Enclosed:
    """A system of equations on boxes.

    Attributes:
        low, high: of Φ, where the equation is z = Φ(z), and else of G, where it is 0 = G(z).
        slope, slope_error: the middles of the entries of G', with G = Φ - z, and how far they may be from them.
    """

    low: Float[np.ndarray, "box row"]
    high: Float[np.ndarray, "box row"]
    slope: Float[np.ndarray, "box row column"]
    slope_error: Float[np.ndarray, "box row column"]


@dataclass(frozen=True)
class Equation:
    """What is to be solved.

    Attributes:
        enclose: bounds on all boxes with these centres and half widths.
        explicit: whether it is of the form z = Φ(z).
        n_numbers: how many numbers it takes to compute it for a box.
    """

    enclose: Callable[[Array, Array], Enclosed]
    explicit: bool
    n_numbers: int

    def at(self, points: Array) -> tuple[Array, Array, Enclosed]:
        """(G at points, its error, and what it is made of)."""
        found = self.enclose(points, np.zeros_like(points))
        middle = 0.5 * found.low + 0.5 * found.high
        error = np.maximum(found.high - middle, middle - found.low) * (1 + gamma(4)) + UNDERFLOW
        if not self.explicit:
            return middle, error, found
        value = middle - points
        return value, error + gamma(2) * np.abs(value), found


@dataclass(frozen=True)
class Zeros:
    """What was found in a box.

    Attributes:
        points: next to each proven zero, the number nearest to it that was computed.
        errors: no zero is further from its point than this, coordinate by coordinate.
        reach: within this distance of the point, coordinate by coordinate, there is no other zero.
        low, high: the boxes in which it is not decided how many zeros there are beside those above.
        n_boxes: how many were looked at.
        stopped: whether time or boxes ran out; if not, the undecided boxes are as small as they get.
    """

    points: Float[np.ndarray, "zero coordinate"]
    errors: Float[np.ndarray, "zero coordinate"]
    reach: Float[np.ndarray, "zero coordinate"]
    low: Float[np.ndarray, "box coordinate"]
    high: Float[np.ndarray, "box coordinate"]
    n_boxes: int
    stopped: bool


def find_zeros(
    equation: Equation,
    low: Float[np.ndarray, " coordinate"],
    high: Float[np.ndarray, " coordinate"],
    guesses: Float[np.ndarray, "guess coordinate"],
    *,
    seconds: float,
    max_boxes: int,
) -> Zeros:
    """Find all zeros in a box, or say where they may be.

    Args:
        equation: what is to be solved.
        low, high: the box.
        guesses: where zeros may be, which saves time; they need not be zeros, nor in the box.
        seconds, max_boxes: of CPU, and of boxes, after which it is stopped.
    """
    begin, n, n_boxes = process_time(), len(low), 0
    scale = np.maximum(0.5 * (high - low), UNDERFLOW)
    with np.errstate(all="ignore"), linalg.one_thread():
        known = _Known.none(n)
        left_low, left_high = low[None], high[None]
        undecided = [(left_low[:0], left_high[:0])]
        at_once = int(np.clip(AT_A_TIME / (equation.n_numbers * n), 16, 4096))
        for i in range(0, len(guesses), at_once):
            known = known.with_zeros_near(equation, guesses[i : i + at_once], scale)
        while len(left_low) and n_boxes < max_boxes and process_time() - begin < seconds:
            part = slice(max(0, len(left_low) - at_once), None)
            n_boxes += len(left_low[part])
            boxes, small, known = _pruned(equation, left_low[part], left_high[part], known, scale)
            undecided.append(small)
            left_low = np.concatenate([left_low[: part.start], boxes[0]])
            left_high = np.concatenate([left_high[: part.start], boxes[1]])
    stopped = len(left_low) > 0
    lows, highs = zip(*undecided, (left_low, left_high), strict=True)
    return Zeros(known.points, known.errors, known.reach, np.concatenate(lows), np.concatenate(highs), n_boxes, stopped)


_Boxes = tuple[Array, Array]


def _pruned(
    equation: Equation, low: Array, high: Array, known: "_Known", scale: Array
) -> tuple[_Boxes, _Boxes, "_Known"]:
    """(what is left of boxes, each in two parts; what is too small to be divided; the zeros known now)."""
    n = low.shape[1]
    first = equation.enclose(*_centres(low, high))
    low, high = _cut(equation, first, low, high)
    open_ = ~known.covers(low, high)
    low, high = low[open_], high[open_]
    if not len(low):
        return (low, high), (low, high), known
    centre, half = _centres(low, high)
    found = equation.enclose(centre, half)
    value, error, _ = equation.at(centre)

    inverse = _inverse(found.slope)
    # |A|, |A G(c)| and |1 - A G'|, with what rounding adds to each.
    size = np.abs(inverse)
    step = np.einsum("bij,bj->bi", inverse, value)
    step_error = np.einsum("bij,bj->bi", size, error + gamma(n + 4) * np.abs(value)) * (1 + gamma(n + 8))
    defect = _defect(inverse, found)
    spread = np.einsum("bij,bj->bi", defect, half) * (1 + gamma(n + 8)) + UNDERFLOW
    one_to_one = np.isfinite(inverse).all((1, 2)) & (spread < half).all(1)
    reach = (step_error + spread) * (1 + gamma(8)) + gamma(4) * (np.abs(centre) + np.abs(step)) + UNDERFLOW
    new_low, new_high = centre - step - reach, centre - step + reach
    # The same with A = -1, which does not fail where the slopes leave no inverse.
    wander = (np.einsum("bij,bj->bi", np.abs(found.slope + np.eye(n)) + found.slope_error, half) + error) * (
        1 + gamma(n + 8)
    ) + gamma(4) * (np.abs(centre) + np.abs(value))
    plain = centre + value
    for a, b in ((new_low, new_high), (plain - wander, plain + wander)):
        low, high = np.fmax(low, a), np.fmin(high, b)  # what is not a number bounds nothing
    low, high = _cut(equation, found, low, high, keep=True)
    alive = (low <= high).all(1)
    low, high, centre, step, slope_error, one_to_one = (
        x[alive] for x in (low, high, centre, step, found.slope_error, one_to_one)
    )
    if one_to_one.any():
        known = known.with_zeros_near(equation, (centre - step)[one_to_one], scale)
        done = known.covers(low, high) | (one_to_one & known.has_one_in(low, high))
        low, high, slope_error = low[~done], high[~done], slope_error[~done]
    width = high - low
    steep = slope_error.max((1, 2), initial=0.0) > UNCERTAIN
    steep &= (width > 8 * UNIT * np.maximum(np.abs(low), np.abs(high)) + UNDERFLOW).any(1)
    least = np.where(steep[:, None], 0.0, SMALLEST * scale)
    small = (width <= least).all(1)
    # Across the coordinate that leaves the slopes most uncertain.
    blur = np.where(np.isfinite(slope_error), slope_error, 1e3).sum(1) + 1e-3
    where = np.argmax(np.where(width > least, width * blur, -1.0), 1)[~small]
    rows = np.arange(len(where))
    one_low, one_high = low[~small], high[~small]
    other_low, other_high = one_low.copy(), one_high.copy()
    middle = one_low[rows, where] + CUT * (one_high[rows, where] - one_low[rows, where])
    one_high[rows, where] = other_low[rows, where] = middle
    halves = np.concatenate([one_low, other_low]), np.concatenate([one_high, other_high])
    return halves, (low[small], high[small]), known


def _cut(equation: Equation, found: Enclosed, low: Array, high: Array, keep: bool = False) -> _Boxes:
    """Where zeros can be, from the values on the whole boxes. Boxes that have none are dropped, or kept empty."""
    if equation.explicit:
        low, high = np.fmax(low, found.low), np.fmin(high, found.high)
        alive = (low <= high).all(1)
    else:
        alive = ~((found.low > 0) | (found.high < 0)).any(1)
    if keep:
        alive = np.asarray(alive)[:, None]
        return np.where(alive, low, np.inf), np.where(alive, high, -np.inf)
    return low[alive], high[alive]


def _centres(low: Array, high: Array) -> tuple[Array, Array]:
    """Centres, and half widths that reach both ends."""
    centre = 0.5 * low + 0.5 * high
    centre = np.where(np.isfinite(centre), centre, 0.0)
    return centre, np.maximum(high - centre, centre - low) * (1 + gamma(2))


def _inverse(matrices: Array) -> Array:
    """Not finite where there is none."""
    if matrices.shape[-1] == 1:
        return 1 / matrices
    try:
        return np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        singular = np.abs(np.linalg.det(matrices)) < UNDERFLOW
        found = np.full(matrices.shape, np.nan)
        found[~singular] = np.linalg.inv(matrices[~singular])
        return found


def _defect(inverse: Array, found: Enclosed) -> Float[np.ndarray, "box row column"]:
    """The entries of |1 - A G'| at most."""
    n = inverse.shape[-1]
    size = np.abs(inverse)
    middle = np.abs(np.eye(n) - inverse @ found.slope)
    error = found.slope_error + gamma(n + 8) * np.abs(found.slope)
    return (middle + size @ error) * (1 + gamma(n + 16)) + gamma(4)


@dataclass(frozen=True)
class _Known:
    """Proven zeros; see `Zeros`."""

    points: Float[np.ndarray, "zero coordinate"]
    errors: Float[np.ndarray, "zero coordinate"]
    reach: Float[np.ndarray, "zero coordinate"]

    @classmethod
    def none(cls, n: int) -> "_Known":
        return cls(np.empty((0, n)), np.empty((0, n)), np.empty((0, n)))

    def covers(self, low: Array, high: Array) -> Bool[np.ndarray, " box"]:
        """Whether all of a box is in the reach of one zero, so that it holds no other."""
        covered = np.zeros(len(low), bool)
        for point, reach in zip(self.points, self.reach, strict=True):
            covered |= ((low > point - reach) & (high < point + reach)).all(1)
        return covered

    def has_one_in(self, low: Array, high: Array) -> Bool[np.ndarray, " box"]:
        """Whether a zero is certainly in the box."""
        inside = np.zeros(len(low), bool)
        for point, error in zip(self.points, self.errors, strict=True):
            inside |= ((low < point - error) & (high > point + error)).all(1)
        return inside

    def with_zeros_near(self, equation: Equation, guesses: Array, scale: Array) -> "_Known":
        """And those that Newton steps from guesses lead to, if they can be proven."""
        points = guesses
        for _ in range(NEWTON_STEPS if len(points) else 0):
            value, _, found = equation.at(points)
            step = np.einsum("bij,bj->bi", _inverse(found.slope), value)
            points = points - step
            finite = np.isfinite(points).all(1)
            points = points[finite]
            if not (np.abs(step[finite]) > LAST_STEP * scale).any():
                break
        new: list[Array] = []
        for point in points:
            near = [np.abs(point - p) <= r for p, r in zip(self.points, self.reach, strict=True)]
            near += [np.abs(point - p) <= SMALLEST * 1e-3 * scale for p in new]
            if not any(each.all() for each in near):
                new.append(point)
        if not new:
            return self
        points, errors, reach = _proven(equation, np.array(new), scale)
        known = self
        for point, error, far in zip(points, errors, reach, strict=True):
            # Another zero than those already there, if no box of theirs meets its own. What cannot be told is left.
            apart = np.abs(known.points - point) > (known.errors + error) * (1 + gamma(8)) + UNDERFLOW
            same = (np.abs(known.points - point) < known.reach - error).all(1)
            if (apart.any(1) & ~same).all():
                new_ones = zip((known.points, known.errors, known.reach), (point, error, far), strict=True)
                known = _Known(*(np.concatenate([old, one[None]]) for old, one in new_ones))
        return known


def _proven(equation: Equation, points: Array, scale: Array) -> tuple[Array, Array, Array]:
    """(points next to which there is a zero, the errors, and how far there is no other)."""
    n = points.shape[1]
    value, error, found = equation.at(points)
    inverse = _inverse(found.slope)
    bad = ~np.isfinite(inverse).all((1, 2))
    inverse[bad] = 0.0
    size = np.abs(inverse)
    step = np.abs(np.einsum("bij,bj->bi", inverse, value))
    step += np.einsum("bij,bj->bi", size, error + gamma(n + 4) * np.abs(value))
    step = step * (1 + gamma(n + 8)) + UNDERFLOW

    def spread(halves: Array) -> Array:
        """|(1 - A G') (X - c)| at most, (radius, point, coordinate)."""
        parts = []
        for half in halves:
            on = equation.enclose(points, half)
            parts.append(np.einsum("bij,bj->bi", _defect(inverse, on), half) * (1 + gamma(n + 8)) + UNDERFLOW)
        return np.array(parts)

    # The shape of the boxes: that of the last step, but not much flatter than the whole box.
    largest = (step / scale).max(1, keepdims=True)
    inner = INNER[:, None, None] * np.maximum(step, 1e-2 * largest * scale)
    left = spread(inner)
    holds = (left + step < inner).all(2)
    there = holds.any(0) & ~bad
    first = holds.argmax(0)
    errors = (left + step)[first, np.arange(len(points))] * (1 + gamma(4))

    # One size after the other, from the largest, for those that none has been found for; then a little more.
    reach = inner[first, np.arange(len(points))]
    todo, at_least = there.copy(), reach.copy()
    for factor in OUTER:
        half = np.broadcast_to(factor * scale, points.shape)
        ok = todo & (half >= at_least).all(1)
        if ok.any():
            ok &= (spread(half[None])[0] < half).all(1)
            reach[ok] = half[ok]
            todo &= ~ok
        if not todo.any():
            break
    halves = REFINED[:, None, None] * reach
    for half, left in zip(halves, spread(halves), strict=True):
        ok = (left < half).all(1)
        reach[ok] = half[ok]
    return points[there], errors[there], reach[there]
