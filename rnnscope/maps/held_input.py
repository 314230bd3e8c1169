"""A map at a constant input."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.maps.complete import complete
from rnnscope.maps.digest import digest_of_parts
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import Array, Inputs, StateMap, States, Vectors, check_sequence, check_sizes, sizes_of
from rnnscope.numerics.bounds import Bounded, Region


class HeldInput:
    """A map with its input held constant: an autonomous map.

    Args:
        map: the map.
        input: the input to hold, (input,); zeros if None.
    """

    def __init__(self, map: StateMap, input: ArrayLike | None = None) -> None:
        held = np.zeros(map.input_size) if input is None else np.array(input, np.float64)
        if held.shape != (map.input_size,):
            takes = f"takes inputs of shape ({map.input_size},)" if map.input_size else "takes no input"
            raise ValueError(f"the map {takes}, got an input of shape {held.shape}")
        if not np.isfinite(held).all():
            raise ValueError(f"the input to hold must be finite, got {held}")
        self.map, self.input = complete(map), held
        self.state_size, self.input_size = self.map.state_size, 0
        self.domain, self.readout_size = self.map.domain, self.map.readout_size
        self.dt, self.jacobian_error, self.smooth = self.map.dt, self.map.jacobian_error, self.map.smooth
        self.layout = self.map.layout

    def __repr__(self) -> str:
        return sizes_of(self)

    def digest(self) -> str | None:
        return digest_of_parts("held input", self.map.digest(), self.input)

    def _held(self, *batch: int) -> Array:
        return np.broadcast_to(self.input, (*batch, len(self.input)))

    def step(self, states: States, inputs: Inputs) -> States:
        check_sizes(self, states, inputs)
        return self.map.step(states, self._held(*states.shape[:-1]))

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        check_sequence(self, states, inputs)
        check_sizes(self, np.broadcast_to(states[:, None], (*inputs.shape[:2], self.state_size)), inputs)
        return self.map.unroll(states, self._held(*inputs.shape[:2]))

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        check_sizes(self, states, inputs)
        return self.map.jacobian(states, self._held(*states.shape[:-1]))

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        check_sizes(self, states, inputs)
        return self.map.jvp(states, self._held(*states.shape[:-1]), tangents)

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        check_sizes(self, states, inputs)
        return self.map.vjp(states, self._held(*states.shape[:-1]), cotangents)

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        return self.map.linear_pieces(self.input)

    def fixed_point_equation(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[Bounded, ...] | None:
        check_sizes(self, region.centre, inputs)
        return self.map.fixed_point_equation(region, self._held(len(region.centre)))

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        return self.map.at_rest(region, self._held(len(region.centre)))

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        return self.map.kept_box(self.input)

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        check_sizes(self, states, inputs)
        return np.zeros((*states.shape, 0))

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        return self.map.readout(states)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return self.map.initial_states(n_trials, rng)
