"""A map seen in other coordinates."""

import numpy as np
from jaxtyping import Float

from rnnscope.maps.complete import complete
from rnnscope.maps.digest import digest_of_parts
from rnnscope.maps.layout import one_part
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import (
    Inputs,
    StateMap,
    States,
    Vectors,
    check_sequence,
    check_sizes,
    check_vectors,
    sizes_of,
)
from rnnscope.numerics.bounds import Bounded, Region


class Conjugated:
    """The same map where every state h is turned to Q h, with Q orthogonal: the same dynamics in other coordinates.

    The turned map has no domain, because a box is no box after the turn. Nor does it have an equation to prove fixed
    points with: Q is orthogonal only up to rounding, and a proof would be about another map.

    Args:
        map: the map.
        turn: Q.

    Raises:
        ValueError: Q is of another size, or not orthogonal.
    """

    domain = None

    def __init__(self, map: StateMap, turn: Float[np.ndarray, "state state"]) -> None:
        size = map.state_size
        if turn.shape != (size, size) or not np.allclose(turn @ turn.T, np.eye(size), rtol=0, atol=1e-10):
            raise ValueError(f"turn must be an orthogonal matrix of shape ({size}, {size}), got shape {turn.shape}")
        self.map, self.turn = complete(map), np.array(turn, np.float64)
        self.state_size, self.input_size, self.readout_size = size, map.input_size, self.map.readout_size
        self.dt, self.jacobian_error, self.smooth = self.map.dt, self.map.jacobian_error, self.map.smooth
        self.layout = one_part(size)  # after the turn, a number of the state is no unit of a layer

    def __repr__(self) -> str:
        return sizes_of(self)

    def digest(self) -> str | None:
        return digest_of_parts("conjugated", self.map.digest(), self.turn)

    def step(self, states: States, inputs: Inputs) -> States:
        check_sizes(self, states, inputs)
        return self.map.step(states @ self.turn, inputs) @ self.turn.T

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        check_sequence(self, states, inputs)
        check_sizes(self, np.broadcast_to(states[:, None], (*inputs.shape[:2], self.state_size)), inputs)
        return self.map.unroll(states @ self.turn, inputs) @ self.turn.T

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        check_sizes(self, states, inputs)
        return self.turn @ self.map.jacobian(states @ self.turn, inputs) @ self.turn.T

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        check_sizes(self, states, inputs)
        return self.turn @ self.map.input_jacobian(states @ self.turn, inputs)

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        check_sizes(self, states, inputs)
        check_vectors(states, tangents)
        return self.turn @ self.map.jvp(states @ self.turn, inputs, self.turn.T @ tangents)

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        check_sizes(self, states, inputs)
        check_vectors(states, cotangents)
        return self.turn @ self.map.vjp(states @ self.turn, inputs, self.turn.T @ cotangents)

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        own, turn = self.map.linear_pieces(input), self.turn
        if own is None:
            return None
        return LinearPieces(
            linear=turn @ own.linear @ turn.T,
            out=turn @ own.out,
            gates=own.gates @ turn.T,
            threshold=own.threshold,
            offset=turn @ own.offset,
            below=own.below,
            above=own.above,
        )

    def fixed_point_equation(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[Bounded, ...] | None:
        return None

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        return None

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        """A box around the turned one, which is what is kept."""
        own = self.map.kept_box(input)
        if own is None:
            return None
        centre, half = self.turn @ own.mean(0), np.abs(self.turn) @ (own[1] - own[0]) / 2
        return np.stack([centre - half, centre + half])

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        return self.map.readout(states @ self.turn)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return self.map.initial_states(n_trials, rng) @ self.turn.T
