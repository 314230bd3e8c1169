"""Any map with all that analyses ask of one."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import (
    Array,
    CompleteMap,
    Inputs,
    StateMap,
    States,
    Vectors,
    check_sequence,
    check_sizes,
    check_vectors,
)
from rnnscope.numerics.bounds import Ball, Bounded


def complete(map: StateMap) -> CompleteMap:
    """The map itself, or with what it lacks made from what it has. Nothing else asks what a map can do."""
    return map if isinstance(map, CompleteMap) else Completed(map)


class Completed:
    """A map of one's own with all members: those that it has, and for the others what can be made of `step`,
    `jacobian` and `input_jacobian`, or that there is no such thing."""

    def __init__(self, map: StateMap) -> None:
        self.map = map
        self.state_size, self.input_size = map.state_size, map.input_size
        self.step, self.jacobian, self.input_jacobian = map.step, map.jacobian, map.input_jacobian
        self.initial_states = map.initial_states
        self.domain: Float[np.ndarray, "2 state"] | None = map.domain if isinstance(map, _Bounded) else None
        self.dt: float | None = map.dt if isinstance(map, _Timed) else None
        self.digest: Callable[[], str | None] = map.digest if isinstance(map, _Digested) else lambda: None
        self.jacobian_error: float = map.jacobian_error if isinstance(map, _Approximate) else 0.0
        reads = isinstance(map, _Read)
        self.readout_size: int = map.readout_size if reads else 0
        self.readout: Callable[[States], Array] = map.readout if reads else no_readout
        self.jvp: Callable[[States, Inputs, Vectors], Vectors] = map.jvp if isinstance(map, _Pushing) else self._jvp
        self.vjp: Callable[[States, Inputs, Vectors], Vectors] = map.vjp if isinstance(map, _Pulling) else self._vjp
        self.unroll: Callable[[Array, Array], Array] = map.unroll if isinstance(map, _Unrolling) else self._unroll
        self.linear_pieces: Callable[[Array], LinearPieces | None] = (
            map.linear_pieces if isinstance(map, _InPieces) else lambda _: None
        )
        self.fixed_point_equation: Callable[[Ball, Array], tuple[Bounded, ...] | None] = (
            map.fixed_point_equation if isinstance(map, _Provable) else lambda ball, inputs: None
        )

    def _jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        check_vectors(states, tangents)
        return self.jacobian(states, inputs) @ tangents

    def _vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        check_vectors(states, cotangents)
        return self.jacobian(states, inputs).swapaxes(-1, -2) @ cotangents

    def _unroll(self, states: Array, inputs: Array) -> Array:
        return unroll_by_steps(self, states, inputs)


def unroll_by_steps(
    map: StateMap, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
) -> Float[np.ndarray, "trial time state"]:
    """The states after each input, a step for each: for maps that know no faster way."""
    check_sequence(map, states, inputs)
    check_sizes(map, np.broadcast_to(states[:, None], (*inputs.shape[:2], map.state_size)), inputs)
    found = np.empty((inputs.shape[1], len(inputs), map.state_size))  # every step writes one block
    for t in range(inputs.shape[1]):
        found[t] = states = map.step(states, inputs[:, t])
    return found.swapaxes(0, 1)


def no_readout(states: States) -> Array:
    raise ValueError("this map has no readout: give it readout_size and readout(states) -> outputs")


# What a map may have beside the members of a StateMap, each by itself.


@runtime_checkable
class _Bounded(Protocol):
    domain: Float[np.ndarray, "2 state"] | None


@runtime_checkable
class _Timed(Protocol):
    dt: float | None


@runtime_checkable
class _Approximate(Protocol):
    jacobian_error: float


@runtime_checkable
class _Digested(Protocol):
    def digest(self) -> str | None: ...


@runtime_checkable
class _Read(Protocol):
    readout_size: int

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]: ...


@runtime_checkable
class _Pushing(Protocol):
    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors: ...


@runtime_checkable
class _Pulling(Protocol):
    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors: ...


@runtime_checkable
class _Unrolling(Protocol):
    def unroll(self, states: Array, inputs: Array) -> Array: ...


@runtime_checkable
class _InPieces(Protocol):
    def linear_pieces(self, input: Array) -> LinearPieces | None: ...


@runtime_checkable
class _Provable(Protocol):
    def fixed_point_equation(self, ball: Ball, inputs: Array) -> tuple[Bounded, ...] | None: ...
