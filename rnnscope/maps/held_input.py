"""A map at a constant input."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.maps.piecewise_linear import LinearPieces, linear_pieces
from rnnscope.maps.state_map import (
    Array,
    Inputs,
    StateMap,
    States,
    Vectors,
    check_sizes,
    fixed_point_equation,
    jvp,
    vjp,
)
from rnnscope.numerics.bounds import Ball, Bounded


class HeldInput:
    """A map with its input held constant: an autonomous map."""

    def __init__(self, map: StateMap, input: ArrayLike) -> None:
        held = np.array(input, np.float64)
        if held.shape != (map.input_size,):
            takes = f"takes inputs of shape ({map.input_size},)" if map.input_size else "takes no input"
            raise ValueError(f"the map {takes}, got an input of shape {held.shape}")
        if not np.isfinite(held).all():
            raise ValueError(f"the input to hold must be finite, got {held}")
        self.map, self.input = map, held
        self.state_size, self.input_size = map.state_size, 0
        self.domain, self.readout_size = map.domain, map.readout_size
        self.dt: float | None = getattr(map, "dt", None)
        self.jacobian_error: float = getattr(map, "jacobian_error", 0.0)

    def _held(self, states: States) -> Array:
        return np.broadcast_to(self.input, (*states.shape[:-1], len(self.input)))

    def step(self, states: States, inputs: Inputs) -> States:
        check_sizes(self, states, inputs)
        return self.map.step(states, self._held(states))

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        check_sizes(self, states, inputs)
        return self.map.jacobian(states, self._held(states))

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        check_sizes(self, states, inputs)
        return jvp(self.map, states, self._held(states), tangents)

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        check_sizes(self, states, inputs)
        return vjp(self.map, states, self._held(states), cotangents)

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        return linear_pieces(self.map, self.input)

    def fixed_point_equation(self, ball: Ball, inputs: Inputs) -> tuple[Bounded, ...] | None:
        check_sizes(self, ball.centre, inputs)
        return fixed_point_equation(self.map, ball, self._held(ball.centre))

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        check_sizes(self, states, inputs)
        return np.zeros((*states.shape, 0))

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        return self.map.readout(states)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return self.map.initial_states(n_trials, rng)
