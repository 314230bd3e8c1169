"""Rigorous bounds on the equations of recurrent cells, for all states of a ball at once.

Every number of such an equation G(h) is a function of a few linear forms of the state, such as (W h + b)_i. Hence

    dG/dh = sum over k of diag(s_k(h)) M_k    with constant matrices M_k

(or B_k diag(s_k) M_k, where weights act on what is nonlinear), and intervals for the numbers s_k(h) bound the
derivative on the whole ball. A `Bounded` holds these intervals and one for the value; a cell states its equation in
them once, and the chain rule does the rest (interval arithmetic with automatic differentiation: Moore, Kearfott &
Cloud, Introduction to Interval Analysis, SIAM 2009).

The true value lies in the interval, rounding errors included. This supposes of the machine:

- IEEE 754 double precision, rounded to nearest, subnormal numbers kept: every result of +, -, * is moved outwards to
  the next number;
- numpy's tanh and exp within 4 units in the last place (those of numpy 2 and of its C libraries are);
- for a sum of n products whose terms meet in at most d additions each, an error of at most γ_{d+1} Σ|a_i b_i| with
  γ_n = n u / (1 - n u), u = 2^-53 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, ch. 3).
  Sums of values go by halves, d = log2 n; sums that only bound an error are left to BLAS in any order, d = n.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

Array = np.ndarray

UNIT = 2.0**-53
# The relative error of tanh and exp: 4 units in the last place are 8 u, the rest is for what is computed with it.
ELEMENTARY = 9 * UNIT
# More than all underflows of one operation, or of one sum of products, come to.
UNDERFLOW = 1e-300


def gamma(n: int) -> float:
    """The relative error of n roundings at most."""
    return n * UNIT / (1 - n * UNIT)


def norm_bound(values: Float[np.ndarray, "..."], axis: int | tuple[int, ...] = -1) -> Float[np.ndarray, "..."]:
    """The Euclidean norm along an axis, or the Frobenius norm along two, rounded up."""
    n = int(np.prod([values.shape[i] for i in np.atleast_1d(axis)]))
    # Squares of numbers below 1e-150 may underflow.
    return np.asarray(np.sqrt((values * values).sum(axis)) * (1 + gamma(n + 8)) + 1e-150 * np.sqrt(n + 1))


def squared_cosines(
    rows: Float[np.ndarray, "*point row number"], slack: Float[np.ndarray, "*point row"] | float = 0.0
) -> Float[np.ndarray, "*point row row"]:
    """The squared inner products of rows whose norms are at most 1, rounded up. The rows may be known up to errors,
    the norms of which are at most `slack`, itself at most 1."""
    s = np.broadcast_to(slack, rows.shape[:-1])
    products = np.abs(rows @ rows.swapaxes(-1, -2)) + gamma(rows.shape[-1] + 16)
    return (products + 2 * (s[..., None, :] + s[..., :, None])) ** 2 * (1 + gamma(16))


def sum_bound(
    left: Float[np.ndarray, "radius point column"],
    left_cosines: Float[np.ndarray, "point column column"],
    right: Float[np.ndarray, "radius point row"],
    right_cosines: Float[np.ndarray, "row row"],
) -> Float[np.ndarray, "radius point"]:
    """At least |sum of θ_i a_i m_i'|_2, for all |θ_i| <= 1, with columns a_i and rows m_i.

    The sum is X Θ Y with x_i = a_i (|m_i| / |a_i|)^1/2 and y_i = m_i (|a_i| / |m_i|)^1/2. With f_i = |a_i| |m_i|,

        |X|_2^4 <= |X' X|_F^2 = sum of f_i f_j cos^2(a_i, a_j)

    and likewise for Y. This is below the sum of f as soon as some columns or rows are not parallel.

    Args:
        left: the sum of f over all i that share a column.
        left_cosines: the squared cosines between the columns.
        right: f.
        right_cosines: and between the rows.
    """
    x = left.swapaxes(0, 1)  # matrix products by point
    x_power = (x @ left_cosines * x).sum(-1).T
    y_power = (right @ right_cosines * right).sum(-1)
    # What may have underflowed is less than the last summand.
    bound = np.sqrt(np.sqrt(x_power)) * np.sqrt(np.sqrt(y_power)) + 1e-70
    return bound * (1 + gamma(2 * (left.shape[-1] + right.shape[-1]) + 32))


@dataclass(frozen=True)
class Interval:
    """Numbers, each between `low` and `high`."""

    low: Float[np.ndarray, "..."]
    high: Float[np.ndarray, "..."]

    def __add__(self, other: "Interval") -> "Interval":
        return outward(self.low + other.low, self.high + other.high)

    def __sub__(self, other: "Interval") -> "Interval":
        return outward(self.low - other.high, self.high - other.low)

    def __neg__(self) -> "Interval":
        return Interval(-self.high, -self.low)

    def __mul__(self, other: "Interval") -> "Interval":
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        low = np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3]))
        high = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
        # 0 times infinity: what it may be is unknown.
        return outward(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))

    def square(self) -> "Interval":
        """Of each number times itself, which is less than the product of two intervals."""
        low, high = np.abs(self.low), np.abs(self.high)
        least = np.where((self.low <= 0) & (self.high >= 0), 0.0, np.minimum(low, high))
        found = outward(least * least, np.maximum(low * low, high * high))
        return found.within(0.0, np.inf)

    def widened(self, margin: Float[np.ndarray, "..."]) -> "Interval":
        return outward(self.low - margin, self.high + margin)

    def within(self, low: float, high: float) -> "Interval":
        """Cut to bounds that the true numbers are known to keep."""
        return Interval(np.clip(self.low, low, high), np.clip(self.high, low, high))


def outward(low: Float[np.ndarray, "..."], high: Float[np.ndarray, "..."]) -> Interval:
    """Ends that were rounded to nearest, moved to the next number on the safe side."""
    return Interval(np.nextafter(low, -np.inf), np.nextafter(high, np.inf))


def exactly(value: Float[np.ndarray, "..."]) -> Interval:
    return Interval(value, value)


@dataclass(frozen=True, eq=False)
class Form:
    """Linear forms of the state, M h. Compared by identity, so that derivatives that go through the same forms add.

    Attributes:
        matrix: M; the same for all points, or (point, form, state).
        row_norms: bounds on the Euclidean norms of its rows.
        outer: weights that act after them, (number, form); if None, each number depends on its own form.
        remainder: the 2-norm, at most, of weights on the state that M leaves out (see `rnnscope.numerics.boxes`).
    """

    matrix: Float[np.ndarray, "*point form state"]
    row_norms: Float[np.ndarray, "*point form"]
    outer: Float[np.ndarray, "number form"] | None = None
    remainder: float = 0.0


@dataclass(frozen=True)
class Bounded:
    """Bounds on a vector that depends on the state, for all states of the ball.

    Attributes:
        range: intervals for its numbers, (radius, point, number); without the first axis where it is constant.
        slopes: (forms, intervals for s_k): the derivative by the state is the sum of diag(s_k) M_k, or, where there
            are outer weights, B_k diag(s_k) M_k.
    """

    range: Interval
    slopes: tuple[tuple[Form, Interval], ...] = ()

    def __add__(self, other: "Bounded") -> "Bounded":
        return Bounded(self.range + other.range, _joined(self.slopes, other.slopes))

    def __neg__(self) -> "Bounded":
        return Bounded(-self.range, tuple((form, -slope) for form, slope in self.slopes))

    def __sub__(self, other: "Bounded") -> "Bounded":
        return self + -other

    def __mul__(self, other: "Bounded") -> "Bounded":
        mine, theirs = _scaled(self.slopes, other.range), _scaled(other.slopes, self.range)
        return Bounded(self.range * other.range, _joined(mine, theirs))


def tanh(x: Bounded) -> Bounded:
    rate = _increasing(np.tanh, x.range, ELEMENTARY).within(-1.0, 1.0)
    return Bounded(rate, _scaled(x.slopes, (ONE - rate.square()).within(0.0, 1.0)))


def sigmoid(x: Bounded) -> Bounded:
    """1 / (1 + exp(-x)); its derivative is 1/4 - (sigmoid - 1/2)^2."""
    gate = _increasing(lambda a: 1 / (1 + np.exp(-a)), x.range, ELEMENTARY + 3 * UNIT).within(0.0, 1.0)
    return Bounded(gate, _scaled(x.slopes, (_QUARTER - (gate - _HALF).square()).within(0.0, 0.25)))


def exponential(x: Bounded) -> Bounded:
    grown = _increasing(np.exp, x.range, ELEMENTARY).within(0.0, np.inf)
    return Bounded(grown, _scaled(x.slopes, grown))


def two_slopes(x: Bounded, below: float | Array, above: float | Array = 1.0) -> Bounded:
    """below * x where x < 0, above * x where x > 0. At the kink the derivative may be anything between the two, which
    is what the mean value theorem needs there (Clarke's generalised derivative)."""
    low, high = x.range.low, x.range.high
    slopes = [np.where(a > 0, above, below) for a in (low, high)]
    # 0 times infinity is 0 here; what is not a number remains so.
    ends = [np.where((s == 0) & np.isinf(a), 0.0, s * a) for s, a in zip(slopes, (low, high), strict=True)]
    kink = ~(low > 0) & ~(high < 0)
    least, most = np.minimum(*ends), np.maximum(*ends)
    value = outward(np.where(kink, np.minimum(least, 0.0), least), np.where(kink, np.maximum(most, 0.0), most))
    flat, steep = np.minimum(below, above), np.maximum(below, above)
    one_side = np.where(low > 0, above, below)
    return Bounded(value, _scaled(x.slopes, Interval(np.where(kink, flat, one_side), np.where(kink, steep, one_side))))


@runtime_checkable
class Region(Protocol):
    """The states that a bound holds for: a `Ball`, or a `Box` of `rnnscope.numerics.boxes`, for each of some points.

    Attributes:
        centre: (point, coordinate), exact.
        radii: Euclidean distances from it, at most, (radius, point).
    """

    @property
    def centre(self) -> Float[np.ndarray, "point coordinate"]: ...
    @property
    def radii(self) -> Float[np.ndarray, "radius point"]: ...

    def part(self, columns: slice) -> "Signal":
        """The numbers of the state in these columns."""
        ...

    def constant(self, values: Float[np.ndarray, "point number"]) -> "Signal":
        """What does not depend on the state: an input."""
        ...

    def affine(self, weights: "list[tuple[Array, Signal]]", shifts: list[Array]) -> "Bounded":
        """The sum of W x over the terms (W, x), and of the shifts."""
        ...

    def moved(self, value: Interval, form: Form) -> Interval:
        """Where linear forms may be that have this value at the centre."""
        ...

    def any_of_norm(self, change: Float[np.ndarray, "radius point"]) -> tuple[Form, Interval]:
        """A form and its slopes that stand for every matrix whose 2-norm is at most `change`."""
        ...


@dataclass(frozen=True)
class Ball:
    """The states within some distances of others: the balls of all radii around all centres.

    Attributes:
        centre: (point, state), exact.
        radii: Euclidean, (radius, point); infinite ones are allowed.
    """

    centre: Float[np.ndarray, "point state"]
    radii: Float[np.ndarray, "radius point"]

    def part(self, columns: slice) -> "Signal":
        return Signal(self.centre[:, columns], self, range(*columns.indices(self.centre.shape[1])))

    def constant(self, values: Float[np.ndarray, "point number"]) -> "Signal":
        return Signal(values, self, None)

    def affine(self, weights: "list[tuple[Array, Signal]]", shifts: list[Array]) -> Bounded:
        n_points, n_rows = len(self.centre), len(weights[0][0])
        value, size = np.zeros((2, n_points, n_rows))
        n_additions = n_terms = len(shifts) + sum(weight.shape[1] for weight, _ in weights)
        for weight, signal in weights:
            value, size = value + signal.values @ weight.T, size + np.abs(signal.values) @ np.abs(weight).T
        for shift in shifts:
            value, size = value + shift, size + np.abs(shift)
        if not self.radii.any():  # the last digits matter: once more, with terms that meet in few additions
            products = [weight * signal.values[:, None] for weight, signal in weights]
            products += [np.broadcast_to(shift[:, None], (n_points, n_rows, 1)) for shift in shifts]
            value, n_additions = _sum_by_halves(np.concatenate(products, -1))
        error = gamma(n_additions + 2) * (1 + gamma(n_terms + 8)) * size + UNDERFLOW
        centre = exactly(value).widened(error)
        matrix = on_state(weights, self.centre.shape[1])
        if not matrix.any():
            return Bounded(centre)
        form = Form(matrix, norm_bound(matrix) * matrix.any(-1))
        return Bounded(self.moved(centre, form), ((form, ONE),))

    def moved(self, value: Interval, form: Form) -> Interval:
        """|m (h - x)| <= |m| r."""
        reach = form.row_norms * self.radii[..., None] * (1 + 4 * UNIT)
        return value.widened(np.where(form.row_norms == 0, 0.0, reach))

    def any_of_norm(self, change: Float[np.ndarray, "radius point"]) -> tuple[Form, Interval]:
        """A multiple of 1: no bound that depends on the norm alone distinguishes them."""
        n = self.centre.shape[1]
        rest = np.broadcast_to(change[..., None], (*change.shape, n))
        return Form(np.eye(n), np.ones(n)), Interval(-rest, rest)


@dataclass(frozen=True)
class Signal:
    """What goes into a layer: a part of the state, or numbers that do not depend on it.

    Attributes:
        values: at the centre of the region, exact.
        region: the states looked at.
        columns: where the numbers stand in the state; None if they do not depend on it.
    """

    values: Float[np.ndarray, "point number"]
    region: Region
    columns: range | None

    def __getitem__(self, part: slice) -> "Signal":
        return Signal(self.values[:, part], self.region, None if self.columns is None else self.columns[part])

    def bounded(self) -> Bounded:
        """The numbers themselves."""
        if self.columns is None:
            return Bounded(exactly(self.values))
        matrix = np.zeros((len(self.columns), self.region.centre.shape[1]))
        matrix[np.arange(len(self.columns)), self.columns] = 1.0
        form = Form(matrix, np.ones(len(self.columns)))
        return Bounded(self.region.moved(exactly(self.values), form), ((form, ONE),))


def affine(*terms: tuple[Array | Tensor, Signal], bias: Sequence[Array | Tensor | None] = ()) -> Bounded:
    """The sum of W x over the terms (W, x), and of the biases. No two terms may look at the same part of the state."""
    weights = [(_numbers(weight), signal) for weight, signal in terms]
    return terms[0][1].region.affine(weights, [_numbers(shift) for shift in bias if shift is not None])


def on_state(weights: list[tuple[Array, Signal]], n_state: int) -> Float[np.ndarray, "row state"]:
    """The terms that act on the state, as one matrix."""
    matrix = np.zeros((len(weights[0][0]), n_state))
    for weight, signal in weights:
        if signal.columns is not None:
            if matrix[:, signal.columns].any():
                raise ValueError("two terms look at the same numbers of the state: add their results instead")
            matrix[:, signal.columns] = weight
    return matrix


def mixed(weight: Array | Tensor, x: Bounded) -> Bounded:
    """W x of a vector that is nonlinear in the state. It can be added to others, and nothing else."""
    w = _numbers(weight)
    n = w.shape[1]
    middle = 0.5 * (x.range.low + x.range.high)
    radius = np.maximum(x.range.high - middle, middle - x.range.low)
    error = (radius + gamma(n + 1) * np.abs(middle)) @ np.abs(w).T * (1 + gamma(n + 8)) + UNDERFLOW
    value = exactly(middle @ w.T).widened(error)
    low, high = np.where(np.isnan(value.low), -np.inf, value.low), np.where(np.isnan(value.high), np.inf, value.high)
    if any(form.outer is not None for form, _ in x.slopes):
        raise ValueError("weights act on a vector that other weights have mixed: only one layer of them is supported")
    slopes = tuple((Form(form.matrix, form.row_norms, w, form.remainder), slope) for form, slope in x.slopes)
    return Bounded(Interval(low, high), slopes)


def constant(values: Array | Tensor | float) -> Bounded:
    """Numbers that are the same for all points and states, exact."""
    return Bounded(exactly(np.atleast_1d(_numbers(values))))


def quotient(numerator: Bounded, denominator: Bounded) -> Bounded:
    """Of numbers that do not depend on the state, the denominators above 0."""
    low, high = 1 / denominator.range.high, 1 / denominator.range.low
    return numerator * Bounded(outward(low, high))


def linearised(
    region: Region,
    value: Interval,
    matrix: Float[np.ndarray, "point state state"],
    change: Float[np.ndarray, "radius point"],
) -> Bounded:
    """A vector known by its value and derivative at the centre, and by how much the derivative changes.

    Args:
        region: the states looked at.
        value: at the centre.
        matrix: the derivative there, about.
        change: the 2-norm of (derivative - matrix) at most, anywhere in the region.
    """
    slope = norm_bound(matrix, (-2, -1)) + change
    reach = np.where(slope == 0, 0.0, slope * region.radii)[..., None] * (1 + 4 * UNIT)
    return Bounded(
        value.widened(reach),
        ((Form(matrix, norm_bound(matrix)), ONE), region.any_of_norm(change)),
    )


ONE, _HALF, _QUARTER = (exactly(np.array([value])) for value in (1.0, 0.5, 0.25))


def _numbers(values: Array | Tensor | float) -> Array:
    return values.detach().double().numpy() if isinstance(values, Tensor) else np.asarray(values, np.float64)


def _increasing(function: Callable[[Array], Array], x: Interval, relative_error: float) -> Interval:
    low, high = function(x.low), function(x.high)
    return outward(low - (relative_error * np.abs(low) + UNDERFLOW), high + (relative_error * np.abs(high) + UNDERFLOW))


def _scaled(slopes: tuple[tuple[Form, Interval], ...], factor: Interval) -> tuple[tuple[Form, Interval], ...]:
    if any(form.outer is not None for form, _ in slopes):
        raise ValueError("a vector that weights have mixed can only be added to others")
    return tuple((form, slope * factor) for form, slope in slopes)


def _joined(*slopes: tuple[tuple[Form, Interval], ...]) -> tuple[tuple[Form, Interval], ...]:
    found: dict[int, tuple[Form, Interval]] = {}
    for form, slope in (pair for pairs in slopes for pair in pairs):
        found[id(form)] = (form, found[id(form)][1] + slope if id(form) in found else slope)
    return tuple(found.values())


def _sum_by_halves(terms: Float[np.ndarray, "... n"]) -> tuple[Float[np.ndarray, "..."], int]:
    """The sum along the last axis, and the number of additions that a term goes through at most."""
    n_additions = 0
    while (n := terms.shape[-1]) > 1:
        half = (n + 1) // 2
        first = terms[..., :half].copy()
        first[..., : n - half] += terms[..., half:]
        terms, n_additions = first, n_additions + 1
    return terms.sum(-1), n_additions
