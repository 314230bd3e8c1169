"""A map whose states are changed after each step."""

import numpy as np
from jaxtyping import Float

from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.complete import complete, unroll_by_steps
from rnnscope.maps.digest import digest_of_parts
from rnnscope.maps.encoded_map import EncodedMap
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import CompleteMap, Inputs, StateMap, States, Vectors, sizes_of
from rnnscope.numerics.affine import Affine
from rnnscope.numerics.bounds import Bounded, Region


def edited(map: StateMap, edit: Affine) -> CompleteMap:
    """The map h' = A F(h, u) + b. In a stack of layers, a layer sees what the one below it shows after the change."""
    if isinstance(map, EncodedMap):
        return map.around(edited(map.map, edit))
    return map.edited(edit) if isinstance(map, CellMap) else Edited(map, edit)


class Edited:
    """h' = A F(h, u) + b, of a map of one layer.

    Args:
        map: F.
        edit: A and b.
    """

    def __init__(self, map: StateMap, edit: Affine) -> None:
        self.map, self.edit = complete(map), edit
        self.state_size, self.input_size, self.readout_size = map.state_size, map.input_size, self.map.readout_size
        self.dt, self.jacobian_error, self.smooth = self.map.dt, self.map.jacobian_error, self.map.smooth
        self.layout, self.domain = self.map.layout, self.map.domain
        if self.domain is not None:
            low, high = edit.image(np.asarray(self.domain, np.float64))
            if (low < self.domain[0]).any() or (high > self.domain[1]).any():
                self.domain = None

    def __repr__(self) -> str:
        return sizes_of(self)

    def digest(self) -> str | None:
        return digest_of_parts("edited", self.map.digest(), self.edit.matrix, self.edit.shift)

    def step(self, states: States, inputs: Inputs) -> States:
        return self.edit(self.map.step(states, inputs))

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        return unroll_by_steps(self, states, inputs)

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        return self.edit.times(self.map.jacobian(states, inputs))

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        return self.edit.times(self.map.input_jacobian(states, inputs))

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        return self.edit.times(self.map.jvp(states, inputs, tangents))

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        return self.map.vjp(states, inputs, self.edit.transposed_times(cotangents))

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        own = self.map.linear_pieces(input)
        if own is None:
            return None
        return LinearPieces(
            linear=self.edit.times(own.linear),
            out=self.edit.times(own.out),
            gates=own.gates,
            threshold=own.threshold,
            offset=self.edit(own.offset),
            below=own.below,
            above=own.above,
        )

    def fixed_point_equation(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[Bounded, ...] | None:
        """None: the map's own equation need not be one for each number of the state, so that it says nothing of the
        numbers that are left alone."""
        return None

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        return None

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        return None

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        return self.map.readout(states)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return self.edit(self.map.initial_states(n_trials, rng))
