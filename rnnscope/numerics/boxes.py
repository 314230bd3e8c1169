"""Bounds on boxes of states, and on boxes of the few coordinates in which a network of low rank lives.

A `Box` is for `rnnscope.numerics.bounds` what a `Ball` is, with a radius for each coordinate, which is what a search
that divides space wants.

Where weights W act on numbers h, and W = B V' + E with few columns of V and small E, then W h = B z + E h with the
coordinates z = V' h. A box of z bounds W h for every h of size |h_j| <= c_j: within B z and the sums of |E_ij| c_j.
B and V are any matrices of floating-point numbers: E is what they leave out, rounding included, and it is bounded.
What depends on h through such products alone (`CompleteMap.at_rest`) is so bounded over boxes of z, however many
numbers h has.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from rnnscope.numerics.bounds import (
    ONE,
    UNDERFLOW,
    Bounded,
    Form,
    Interval,
    Signal,
    exactly,
    gamma,
    norm_bound,
    on_state,
)

Array = np.ndarray


@dataclass(frozen=True)
class Coordinates:
    """z = V' h.

    Attributes:
        basis: V, exact.
        limits: c, with |h_j| <= c_j.
    """

    basis: Float[np.ndarray, "number coordinate"]
    limits: Float[np.ndarray, " number"]
    # What weights become in these coordinates is the same for all boxes. The arrays are kept, so that none of another
    # network comes to stand at the same address.
    _seen: dict[tuple, tuple[Form, Array, list[Array]]] = field(default_factory=dict, repr=False)

    def form(self, weights: list[tuple[Array, Signal]]) -> tuple[Form, Array]:
        """(B, the sum of |E_ij| c_j)."""
        key = tuple(
            (w.__array_interface__["data"][0], w.shape, w.strides, s.columns)
            for w, s in weights
            if s.columns is not None
        )
        if key not in self._seen:
            full = on_state(weights, len(self.basis))
            reduced = full @ self.basis
            n = self.basis.shape[1]
            rest = np.abs(full - reduced @ self.basis.T) * (1 + 4 * gamma(1)) + UNDERFLOW
            rest += gamma(n + 2) * (np.abs(reduced) @ np.abs(self.basis.T)) * (1 + gamma(n + 8))
            error = rest @ self.limits * (1 + gamma(len(self.limits) + 2)) + UNDERFLOW
            form = Form(reduced, norm_bound(reduced), None, float(norm_bound(rest, (0, 1))))
            self._seen[key] = form, error, [w for w, _ in weights]
        return self._seen[key][:2]


@dataclass(frozen=True)
class Box:
    """The states, or coordinates of them, no further than some distances from others, coordinate by coordinate.

    Attributes:
        centre: exact.
        half: the distances; infinite ones are allowed.
        coordinates: what the box is in; None for the state itself.
    """

    centre: Float[np.ndarray, "point coordinate"]
    half: Float[np.ndarray, "point coordinate"]
    coordinates: Coordinates | None = None

    @property
    def radii(self) -> Float[np.ndarray, "1 point"]:
        """Of the balls around them."""
        return norm_bound(self.half)[None]

    def part(self, columns: slice) -> Signal:
        if self.coordinates is None:
            return Signal(self.centre[:, columns], self, range(*columns.indices(self.centre.shape[1])))
        numbers = range(*columns.indices(len(self.coordinates.basis)))
        # The numbers themselves are not known, only what weights make of them.
        return Signal(np.broadcast_to(np.nan, (len(self.centre), len(numbers))), self, numbers)

    def constant(self, values: Float[np.ndarray, "point number"]) -> Signal:
        return Signal(values, self, None)

    def affine(self, weights: list[tuple[Array, Signal]], shifts: list[Array]) -> Bounded:
        value, size = np.zeros((2, len(self.centre), len(weights[0][0])))
        n_terms = len(shifts) + sum(weight.shape[1] for weight, signal in weights if signal.columns is None)
        for weight, signal in weights:
            if signal.columns is None:
                value, size = value + signal.values @ weight.T, size + np.abs(signal.values) @ np.abs(weight).T
        for shift in shifts:
            value, size = value + shift, size + np.abs(shift)
        if all(signal.columns is None for _, signal in weights):
            error = gamma(n_terms + 4) * (1 + gamma(n_terms + 8)) * size + UNDERFLOW
            return Bounded(exactly(value[None]).widened(error))
        if self.coordinates is None:
            matrix = on_state(weights, self.centre.shape[1])
            form, rest = Form(matrix, norm_bound(matrix)), 0.0
        else:
            form, rest = self.coordinates.form(weights)
        n_terms += form.matrix.shape[1]
        value, size = value + self.centre @ form.matrix.T, size + np.abs(self.centre) @ np.abs(form.matrix).T
        error = gamma(n_terms + 4) * (1 + gamma(n_terms + 8)) * size + UNDERFLOW + rest
        return Bounded(self.moved(exactly(value[None]).widened(error), form), ((form, ONE),))

    def moved(self, value: Interval, form: Form) -> Interval:
        n = form.matrix.shape[-1]
        reach = self.half @ np.abs(form.matrix).T * (1 + gamma(n + 4)) + UNDERFLOW
        # 0 times infinity: a coordinate without bound that may not matter.
        return value.widened(np.where(np.isnan(reach), np.inf, reach))

    def any_of_norm(self, change: Float[np.ndarray, "1 point"]) -> tuple[Form, Interval]:
        """No entry of such a matrix is larger than its norm."""
        n = self.centre.shape[1]
        rest = np.broadcast_to(change[..., None], (*change.shape, n))
        return Form(np.eye(n), np.ones(n), np.ones((n, n))), Interval(-rest, rest)


def derivative(
    equations: tuple[Bounded, ...], n_points: int, n_columns: int
) -> tuple[Float[np.ndarray, "point row column"], Float[np.ndarray, "point row column"]]:
    """The entries of the derivatives of vectors, one below the other, over boxes: their middles, and how far they may
    be from them. What `Form.remainder` stands for is left out."""
    middles, radii = [], []
    for equation in equations:
        n_rows, k = equation.range.low.shape[-1], len(equation.slopes)  # k: numbers that are added up in an entry
        middle, radius = np.zeros((2, n_points, n_rows, n_columns))
        for form, slope in equation.slopes:
            m = 0.5 * slope.low + 0.5 * slope.high
            r = np.maximum(slope.high - m, m - slope.low) * (1 + 4 * gamma(1)) + UNDERFLOW
            m, r = (np.broadcast_to(x[0] if x.ndim == 3 else x, (n_points, form.matrix.shape[-2])) for x in (m, r))
            if form.outer is None:
                size = np.abs(form.matrix)
                middle += m[..., None] * form.matrix
                radius += (r + gamma(k + 8) * np.abs(m))[..., None] * size * (1 + gamma(k + 16)) + UNDERFLOW
            else:  # entry (i, j) is the sum over k of outer_ik matrix_kj s_k: one product for all boxes
                n = len(form.matrix)
                pairs = (form.outer[:, None, :] * form.matrix.T[None]).reshape(-1, n)
                middle += (m @ pairs.T).reshape(middle.shape)
                error = (r + gamma(n + k + 8) * np.abs(m)) @ np.abs(pairs).T * (1 + gamma(n + k + 16)) + UNDERFLOW
                radius += error.reshape(radius.shape)
        middles.append(middle)
        radii.append(radius)
    middle, radius = np.concatenate(middles, 1), np.concatenate(radii, 1)
    unknown = ~(np.isfinite(middle) & np.isfinite(radius))
    return np.where(unknown, 0.0, middle), np.where(unknown, np.inf, radius)
