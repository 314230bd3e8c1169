"""A map that sees its input through an encoder."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from rnnscope.maps.complete import complete
from rnnscope.maps.digest import digest_of_modules, digest_of_parts
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import (
    Array,
    Inputs,
    StateMap,
    States,
    Vectors,
    check_sequence,
    check_sizes,
    frozen_double,
    sizes_of,
)
from rnnscope.numerics.bounds import Bounded, Region


class EncodedMap:
    """F(h, encode(u)): a network whose input goes through a module before the recurrence sees it, each step by itself.

    States, and all that is asked at a given input, are those of the inner map: closed-form derivatives and proofs stay.

    Args:
        map: the recurrence.
        encode: from inputs (point, input) to what the recurrence is shown, (point, inner input); copied in float64.
        input_size: numbers in an input.
    """

    def __init__(self, map: StateMap, encode: torch.nn.Module, input_size: int) -> None:
        self.map, self._encoder = complete(map), frozen_double(encode)
        self.state_size, self.input_size = self.map.state_size, input_size
        self.domain, self.readout_size = self.map.domain, self.map.readout_size
        self.dt, self.jacobian_error, self.smooth = self.map.dt, self.map.jacobian_error, self.map.smooth
        self.layout = self.map.layout

    def __repr__(self) -> str:
        return sizes_of(self)

    def digest(self) -> str | None:
        encoder = digest_of_modules([self._encoder])
        return None if encoder is None else digest_of_parts(f"encoded by {encoder}", self.map.digest())

    def around(self, map: StateMap) -> "EncodedMap":
        """Another recurrence behind the same encoder."""
        return EncodedMap(map, self._encoder, self.input_size)

    def encode(self, inputs: Inputs) -> Float[np.ndarray, "*batch shown"]:
        """What the recurrence is shown of inputs."""
        with torch.no_grad():
            shown = self._encoder(self._flat(inputs)).numpy()
        return shown.reshape(*inputs.shape[:-1], self.map.input_size).copy()

    def _flat(self, inputs: Inputs) -> torch.Tensor:
        n_points = int(np.prod(inputs.shape[:-1]))
        return torch.from_numpy(np.array(inputs, np.float64).reshape(n_points, self.input_size))

    def step(self, states: States, inputs: Inputs) -> States:
        return self.map.step(*self._shown(states, inputs))

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        check_sequence(self, states, inputs)
        check_sizes(self, np.broadcast_to(states[:, None], (*inputs.shape[:2], self.state_size)), inputs)
        return self.map.unroll(states, self.encode(inputs))

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        return self.map.jacobian(*self._shown(states, inputs))

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        through = self.map.input_jacobian(*self._shown(states, inputs))
        one: Callable[..., Any] = torch.func.jacrev(lambda u: self._encoder(u.unsqueeze(0)).squeeze(0))
        found = torch.func.vmap(one)(self._flat(inputs)).detach().numpy()
        return through @ found.reshape(*inputs.shape[:-1], self.map.input_size, self.input_size)

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        return self.map.jvp(*self._shown(states, inputs), tangents)

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        return self.map.vjp(*self._shown(states, inputs), cotangents)

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        return self.map.linear_pieces(self.encode(input))

    def fixed_point_equation(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[Bounded, ...] | None:
        return self.map.fixed_point_equation(region, self.encode(inputs))

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        return self.map.at_rest(region, self.encode(inputs))

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        return self.map.kept_box(self.encode(input))

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        return self.map.readout(states)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return self.map.initial_states(n_trials, rng)

    def _shown(self, states: States, inputs: Inputs) -> tuple[Array, Array]:
        check_sizes(self, states, inputs)
        return states, self.encode(inputs)
