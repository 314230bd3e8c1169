"""The map of plain functions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from rnnscope.maps.complete import unroll_by_steps
from rnnscope.maps.layout import one_part
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import (
    Array,
    Inputs,
    States,
    Vectors,
    central_differences,
    check_sizes,
    check_states,
    check_vectors,
    checked_derivative,
    directional_differences,
    real,
    repeat,
)
from rnnscope.numerics.bounds import UNIT, Bounded, Region, affine, exactly, linearised, mixed, norm_bound, two_slopes

# The relative error of central differences of a smooth map.
DIFFERENCES = 1e-10


class FunctionMap:
    """A map from plain functions of numpy arrays, batched over leading axes: the Henon map, a flow's time step.

    Args:
        step: F(states, inputs) -> states; F(states) -> states where `input_size` is 0.
        state_size, input_size: numbers in a state and in an input.
        jacobian, input_jacobian: the derivatives, with the same arguments; central differences in float64 stand in
            for one that is missing (relative error about 1e-10 for a smooth map).
        readout: states -> outputs, with `readout_size` numbers.
        domain: (low, high) bounds, broadcast to the state.
        initial: draws n starting states, initial(n, rng); zeros if None.
        pieces: what a piecewise-linear map is made of, for analyses that solve it region by region; where the map
            takes inputs, a function that returns it for a (constant) input.
        dt: what a step is in units of time, for the time step of a flow; None for a map proper.
        jacobian_lipschitz: L with |J(h) - J(k)| <= L |h - k| in the 2-norm, at every input, for proofs that there is
            a fixed point: a number if it holds everywhere, or a function of (states, radii), (point, state) and
            (point,), that gives an L for the region around each state. It needs `jacobian`.
        rounding: a bound on the rounding error of a number that `step` or `jacobian` returns, relative to
            (1 + its size + the state's largest number). The default allows for some hundred operations without
            cancellation.
        smooth: whether the step has a continuous derivative everywhere. False where it has kinks; if None it is not
            known, unless `pieces` or `jacobian_lipschitz` say it.

    Raises:
        ValueError: a size that is none, or another argument that cannot be; functions that return complex numbers, when
            they are called.

    The functions are given float64 copies, which they may write to. A function has no digest, so a result of one
    is never used for another.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> logistic = rs.FunctionMap(lambda x: 4 * x * (1 - x), state_size=1, domain=(0, 1))
        >>> logistic.step(np.array([[0.25]]), np.empty((1, 0)))
        array([[0.75]])
    """

    def __init__(
        self,
        step: Callable[..., Array],
        *,
        state_size: int,
        input_size: int = 0,
        jacobian: Callable[..., Array] | None = None,
        input_jacobian: Callable[..., Array] | None = None,
        readout: Callable[[Array], Array] | None = None,
        readout_size: int = 0,
        domain: tuple[Any, Any] | None = None,
        initial: Callable[[int, np.random.Generator], Array] | None = None,
        pieces: LinearPieces | Callable[[Array], LinearPieces] | None = None,
        dt: float | None = None,
        jacobian_lipschitz: float | Callable[[Array, Array], Array] | None = None,
        rounding: float = 1e-13,
        smooth: bool | None = None,
    ) -> None:
        for name, size, least in (("state_size", state_size, 1), ("input_size", input_size, 0)):
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < least:
                raise ValueError(f"{name} must be a whole number from {least} on, got {size!r}")
        state_size, input_size = int(state_size), int(input_size)
        if (readout is None) != (readout_size == 0):
            raise ValueError(
                f"readout and readout_size go together: give both or neither (readout_size={readout_size})"
            )
        if dt is not None and not 0 < dt < np.inf:
            raise ValueError(f"dt must be a positive number, a step in units of time, or None, got {dt}")
        if jacobian_lipschitz is not None and jacobian is None:
            raise ValueError(
                "jacobian_lipschitz needs jacobian too: the error of the differences that stand in for it is not known"
            )
        for name, value in (("jacobian_lipschitz", jacobian_lipschitz), ("rounding", rounding)):
            if value is not None and not callable(value) and not 0 <= value < np.inf:
                raise ValueError(f"{name} must be a finite number, at least 0, got {value}")
        self.state_size, self.input_size, self.readout_size = state_size, input_size, readout_size
        self.layout = one_part(state_size)
        self.dt = None if dt is None else float(dt)
        # Relative; what a chain of them adds up to is for analyses to weigh.
        self.jacobian_error = DIFFERENCES if jacobian is None else 0.0
        self._step, self._jacobian, self._input_jacobian = step, jacobian, input_jacobian
        self._readout, self._initial, self._pieces = readout, initial, pieces
        self._lipschitz, self._rounding = jacobian_lipschitz, rounding
        self.smooth = smooth
        if smooth is None and isinstance(pieces, LinearPieces):
            self.smooth = bool((pieces.below == pieces.above).all())
        elif smooth is None and jacobian_lipschitz is not None:
            self.smooth = True
        self.domain: Float[np.ndarray, "2 state"] | None = None
        if domain is not None:
            self.domain = np.stack([np.broadcast_to(np.asarray(b, float), (state_size,)) for b in domain])
            if not (self.domain[0] <= self.domain[1]).all():  # NaN is refused too
                raise ValueError(f"domain must be (low, high) with low <= high, and no NaN, got {domain}")

    def _call(self, function: Callable[..., Array], states: Array, inputs: Array) -> Array:
        check_sizes(self, states, inputs)
        given = (states, inputs) if self.input_size else (states,)
        return real(function(*(np.array(x, np.float64) for x in given)), "a function of this map")

    def step(self, states: States, inputs: Inputs) -> States:
        new = self._call(self._step, states, inputs)
        if new.shape != states.shape:
            raise ValueError(
                f"step changes the size of the state: {states.shape} goes in, {new.shape} comes out; "
                "a map must return states of the shape that it was given"
            )
        return new

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        if self._jacobian is not None:
            found = self._call(self._jacobian, states, inputs)
            return checked_derivative("jacobian", found, (*states.shape, self.state_size))
        check_sizes(self, states, inputs)
        return central_differences(lambda x: self.step(x, repeat(inputs, x)), states)

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        """J V; where no Jacobian was given, by central differences along each column."""
        check_vectors(states, tangents)
        if self._jacobian is not None:
            return self.jacobian(states, inputs) @ tangents
        check_sizes(self, states, inputs)
        return directional_differences(lambda x: self.step(x, repeat(inputs, x)), states, tangents)

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        """J^T V, through the Jacobian."""
        check_vectors(states, cotangents)
        return self.jacobian(states, inputs).swapaxes(-1, -2) @ cotangents

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        return unroll_by_steps(self, states, inputs)

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        if self._input_jacobian is not None:
            found = self._call(self._input_jacobian, states, inputs)
            return checked_derivative("input_jacobian", found, (*states.shape, self.input_size))
        check_sizes(self, states, inputs)
        return central_differences(lambda u: self.step(repeat(states, u), u), inputs)

    def digest(self) -> str | None:
        return None

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        return self._pieces(input) if callable(self._pieces) else self._pieces

    def fixed_point_equation(self, region: Region, inputs: Inputs) -> tuple[Bounded, ...] | None:
        """F(h) - h, from the pieces or from a Lipschitz bound; None where neither was given."""
        x = region.centre
        check_sizes(self, x, inputs)
        if isinstance(self._pieces, LinearPieces):
            state, pieces = region.part(slice(None)), self._pieces
            gates = two_slopes(affine((pieces.gates, state), bias=[pieces.threshold]), pieces.below, pieces.above)
            return (affine((pieces.linear, state), bias=[pieces.offset]) + mixed(pieces.out, gates) - state.bounded(),)
        if self._lipschitz is None:
            return None
        new, jacobian = self.step(x, inputs), self.jacobian(x, inputs)
        largest = 1 + np.abs(x).max(-1, keepdims=True)
        rounding = self._rounding + 4 * UNIT
        value = exactly(new).widened(rounding * (np.abs(new) + largest)) - exactly(x)
        # 1 more, for the 1 that is still to be subtracted.
        errors = rounding * (np.abs(jacobian) + largest[..., None] + 1)
        lipschitz = np.full_like(region.radii, np.nan if callable(self._lipschitz) else self._lipschitz)
        if callable(self._lipschitz):
            for row, radii in zip(lipschitz, region.radii, strict=True):
                row[:] = checked_derivative("jacobian_lipschitz", self._lipschitz(x.copy(), radii.copy()), radii.shape)
        change = np.where(lipschitz == 0, 0.0, lipschitz * region.radii) * (1 + 4 * UNIT) + norm_bound(errors, (-2, -1))
        return (linearised(region, value, jacobian - np.eye(self.state_size), change),)

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        return None

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        return None

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        if self._readout is None:
            raise ValueError("this map has no readout: give FunctionMap a readout=... and readout_size=...")
        check_states(self, states)
        return real(self._readout(np.array(states, np.float64)), "readout")

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        if self._initial is None:
            return np.zeros((n_trials, self.state_size))
        return real(self._initial(n_trials, rng), "initial")
