"""Any map with all that analyses ask of one."""

from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float

from rnnscope.maps.layout import Part, one_part
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
    real,
    sizes_of,
)
from rnnscope.numerics.bounds import Bounded, Region


def complete(map: StateMap) -> CompleteMap:
    """Return the map itself if it has all members, else one whose missing members are made from those that it has.
    Nothing else asks what a map can do."""
    if type(map) in _COMPLETE:
        return cast(CompleteMap, map)
    if not isinstance(map, CompleteMap):
        return Completed(map)
    if type(map).__module__.startswith(
        "rnnscope."
    ):  # another's class may have a member on one instance and not the next
        _COMPLETE.add(type(map))
    return map


# Our kinds of maps, which have all members: to look at all of them takes longer than a small map's step.
_COMPLETE: set[type] = set()


class Completed:
    """A user's map with all members: its own where it has them; the others are made from `step`, `jacobian` and
    `input_jacobian`, or say that there is no such thing."""

    def __init__(self, map: StateMap) -> None:
        self.map = map
        self.state_size, self.input_size = map.state_size, map.input_size
        self.domain: Float[np.ndarray, "2 state"] | None = map.domain if isinstance(map, _Bounded) else None
        self.dt = float(map.dt) if isinstance(map, _Timed) and map.dt is not None else None
        self.jacobian_error: float = map.jacobian_error if isinstance(map, _Approximate) else 0.0
        self.readout_size: int = map.readout_size if isinstance(map, _Read) else 0
        self._reading = map if isinstance(map, _Read) else None
        self._pushing = map if isinstance(map, _Pushing) else None
        self._pulling = map if isinstance(map, _Pulling) else None
        self._unrolling = map if isinstance(map, _Unrolling) else None
        self._in_pieces = map if isinstance(map, _InPieces) else None
        self._provable = map if isinstance(map, _Provable) else None
        self._resting = map if isinstance(map, _Resting) else None
        self._digested = map if isinstance(map, _Digested) else None
        self._keeping = map if isinstance(map, _Keeping) else None
        self.smooth: bool | None = map.smooth if isinstance(map, _Smooth) else None
        self.layout: tuple[Part, ...] = map.layout if isinstance(map, _LaidOut) else one_part(map.state_size)

    def __repr__(self) -> str:
        return repr(self.map) if type(self.map).__repr__ is not object.__repr__ else sizes_of(self.map)

    def step(self, states: States, inputs: Inputs) -> States:
        return real(self.map.step(states, inputs), "step")

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        return real(self.map.jacobian(states, inputs), "jacobian")

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        return self.map.input_jacobian(states, inputs)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return self.map.initial_states(n_trials, rng)

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        check_vectors(states, tangents)
        if self._pushing is not None:
            return self._pushing.jvp(states, inputs, tangents)
        return self.map.jacobian(states, inputs) @ tangents

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        check_vectors(states, cotangents)
        if self._pulling is not None:
            return self._pulling.vjp(states, inputs, cotangents)
        return self.map.jacobian(states, inputs).swapaxes(-1, -2) @ cotangents

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        if self._unrolling is not None:
            return self._unrolling.unroll(states, inputs)
        return unroll_by_steps(self.map, states, inputs)

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        if self._reading is None:
            raise ValueError("this map has no readout: give it readout_size and readout(states) -> outputs")
        return self._reading.readout(states)

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        return None if self._in_pieces is None else self._in_pieces.linear_pieces(input)

    def fixed_point_equation(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[Bounded, ...] | None:
        return None if self._provable is None else self._provable.fixed_point_equation(region, inputs)

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        return None if self._resting is None else self._resting.at_rest(region, inputs)

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        return None if self._keeping is None else self._keeping.kept_box(input)

    def digest(self) -> str | None:
        return None if self._digested is None else self._digested.digest()


def unroll_by_steps(
    map: StateMap, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
) -> Float[np.ndarray, "trial time state"]:
    """Return the states after each input, taking one step at a time: for maps that have no faster way."""
    check_sequence(map, states, inputs)
    check_sizes(map, np.broadcast_to(states[:, None], (*inputs.shape[:2], map.state_size)), inputs)
    found = np.empty((inputs.shape[1], len(inputs), map.state_size))  # every step writes one block
    for t in range(inputs.shape[1]):
        found[t] = states = map.step(states, inputs[:, t])
    return found.swapaxes(0, 1)


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
class _Smooth(Protocol):
    smooth: bool | None


@runtime_checkable
class _LaidOut(Protocol):
    layout: tuple[Part, ...]


@runtime_checkable
class _Keeping(Protocol):
    def kept_box(self, input: Array) -> Array | None: ...


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
    def fixed_point_equation(self, region: Region, inputs: Array) -> tuple[Bounded, ...] | None: ...


@runtime_checkable
class _Resting(Protocol):
    def at_rest(self, region: Region, inputs: Array) -> tuple[tuple[Bounded, ...], ...] | None: ...
