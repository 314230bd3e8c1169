"""What analyses see of a network, and the checks and derivatives that every map shares."""

import copy
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from rnnscope.maps.layout import Part
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.numerics.bounds import Bounded, Region

Array = np.ndarray
States = Float[np.ndarray, "*batch state"]
Inputs = Float[np.ndarray, "*batch input"]
Vectors = Float[np.ndarray, "*batch state vector"]


@runtime_checkable
class StateMap(Protocol):
    """A map F(h, u) -> h' with its derivatives. Any object with these members is one; `complete` adds the rest.

    It may have any of the other members of a `CompleteMap` as well, of its own making. Where it has none, they are
    made from these, or say that there is no such thing.

    Attributes:
        state_size: numbers in a state.
        input_size: numbers in an input; 0 for a map that takes none (inputs then have a last axis of length 0).
    """

    @property
    def state_size(self) -> int: ...
    @property
    def input_size(self) -> int: ...

    def step(self, states: States, inputs: Inputs) -> States: ...

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        """dF_i / dh_j at [..., i, j]."""
        ...

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        """dF_i / du_j at [..., i, j]."""
        ...

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        """States that trials start from."""
        ...


def sizes_of(map: StateMap) -> str:
    """The kind of a map, with its sizes: how a map prints."""
    return f"{type(map).__name__}(state_size={map.state_size}, input_size={map.input_size})"


@runtime_checkable
class CompleteMap(StateMap, Protocol):
    """A map with all that analyses ask of one. Every map of ours is one, and `complete` makes one of any other.

    Attributes:
        domain: (2, state), the bounds (low, high) that a state inside them never leaves; None where there are none.
        readout_size: numbers that `readout` returns; 0 where there is no readout.
        dt: what a step is in units of time, for the time step of a flow; None for a map proper.
        jacobian_error: relative error of the Jacobian, 0 where it is exact up to rounding.
        smooth: whether the Jacobian is continuous everywhere; False for a map with kinks, None where nobody knows.
        layout: what the numbers of a state are, in their order.
    """

    @property
    def domain(self) -> Float[np.ndarray, "2 state"] | None: ...
    @property
    def readout_size(self) -> int: ...
    @property
    def dt(self) -> float | None: ...
    @property
    def jacobian_error(self) -> float: ...
    @property
    def smooth(self) -> bool | None: ...
    @property
    def layout(self) -> tuple[Part, ...]: ...

    def digest(self) -> str | None:
        """The digest of weights and equation, which distinguishes results of this map from those of others; None where
        there is none, as for a python function."""
        ...

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        """J V: small displacements of the states, the columns of V, carried through a step."""
        ...

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        """J^T V: gradients with respect to the states after a step, the columns of V, carried back through it."""
        ...

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        """The states after each input; their rounding may differ from that of single steps."""
        ...

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        """The outputs; a ValueError where there is no readout."""
        ...

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        """The pieces of a piecewise-linear map at a constant input; None where the map is not piecewise linear, or has
        more than one layer of gates (a stack of ReLU layers has gates behind gates)."""
        ...

    def fixed_point_equation(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[Bounded, ...] | None:
        """G(h, u), with rigorous bounds, for all states h of the regions: a vector, in parts, that is zero exactly
        where F(h, u) = h; None where the map states no such equation. It need not be F - h: it is chosen so that
        bounds are narrow."""
        ...

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        """Finite bounds (low, high) around a compact convex set that F(., input) maps into itself, with every fixed
        point in its interior; None where no such set is known for certain. The set is the box itself, but for a map
        seen in other coordinates. See `rnnscope.maps.keeps_domain` for what follows from it."""
        ...

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        """The state that every fixed point has, with rigorous bounds, as a function of the *shown* numbers that weights
        act on: those of a vanilla network or a GRU are its state, of an LSTM its h without c, of a stack those of all
        layers. A tuple for each layer, the shown numbers first. The region is one of shown numbers. None where the map
        does not say."""
        ...


def check_weights(name: str, value: torch.Tensor) -> None:
    """Refuse weights of no network: a map of them is no number anywhere, or only where nobody looks.

    Raises:
        ValueError: a number is infinite or NaN.
    """
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        raise ValueError(
            f"{bad} of the {value.numel()} numbers in {name} are infinite or NaN: give finite weights, as from a "
            "checkpoint before training went astray"
        )


def frozen_double(module: Any) -> Any:
    for name, value in module.named_parameters():
        check_weights(name, value)
    frozen = copy.deepcopy(module).to("cpu", torch.float64)
    frozen.requires_grad_(False)
    return frozen.eval()


def tensor(array: Array) -> torch.Tensor:
    # Writable, as torch warns of an array that is not; an array that is broadcast is such a one, and is copied.
    if array.dtype == np.float64 and array.flags.c_contiguous and array.flags.writeable:
        return torch.from_numpy(array)  # np.require would take as long as a step of a small network
    return torch.from_numpy(np.require(array, np.float64, ["C", "W"]))


def real(values: Any, what: str) -> Array:
    """Values as float64; raises ValueError where they are complex, whose imaginary parts would be lost."""
    if np.iscomplexobj(values):
        raise ValueError(
            f"{what} returns complex numbers, and states are real: write real and imaginary parts beside one another"
        )
    return np.asarray(values, np.float64)


def check_states(map: Any, states: Array) -> None:
    if states.shape[-1:] != (map.state_size,):
        raise ValueError(f"the map's states have {map.state_size} numbers, got an array of shape {states.shape}")


def check_sizes(map: Any, states: Array, inputs: Array) -> None:
    check_states(map, states)
    if inputs.shape[-1:] != (map.input_size,) or inputs.shape[:-1] != states.shape[:-1]:
        wanted = (*states.shape[:-1], map.input_size)
        raise ValueError(f"states of shape {states.shape} need inputs of shape {wanted}, got {inputs.shape}")


def check_sequence(map: Any, states: Array, inputs: Array) -> None:
    """Check that there is one state for each trial of a sequence."""
    if states.shape != (len(inputs), map.state_size):
        wanted = len(inputs), map.state_size
        raise ValueError(f"inputs of shape {inputs.shape} need states of shape {wanted}, got {states.shape}")


def check_vectors(states: Array, vectors: Array) -> None:
    if vectors.shape[:-1] != states.shape:
        wanted = f"({', '.join(map(str, states.shape))}, n)"
        raise ValueError(f"states of shape {states.shape} need vectors of shape {wanted}, got {vectors.shape}")


def checked_derivative(name: str, found: Array, shape: tuple[int, ...]) -> Array:
    if found.shape != shape:
        raise ValueError(f"{name} must return an array of shape {shape}, got {found.shape}")
    return found


def repeat(array: Array, like: Array) -> Array:
    return np.broadcast_to(array, (*like.shape[:-1], array.shape[-1]))


def central_differences(function: Callable[[Array], Array], at: Array) -> Array:
    size = at.shape[-1]
    step = np.cbrt(np.finfo(np.float64).eps) * np.maximum(1.0, np.abs(at))
    moves = np.eye(size) * step[..., None]  # (..., which, coordinate)
    ahead, behind = at[..., None, :] + moves, at[..., None, :] - moves
    # Divide by the distance really moved: adding the step rounds.
    moved = np.diagonal(ahead - behind, axis1=-2, axis2=-1)
    # The moved coordinate goes to the front, so that the other argument broadcasts by itself.
    up, down = function(np.moveaxis(ahead, -2, 0)), function(np.moveaxis(behind, -2, 0))
    return np.moveaxis(up - down, 0, -1) / moved[..., None, :]


def directional_differences(function: Callable[[Array], Array], at: Array, directions: Array) -> Array:
    """Central differences along each column of `directions`, (..., coordinate, vector)."""
    step = np.cbrt(np.finfo(np.float64).eps) * np.maximum(1.0, np.linalg.norm(at, axis=-1))[..., None]
    sizes = np.linalg.norm(directions, axis=-2)  # (..., vector)
    with np.errstate(invalid="ignore"):
        units = np.where(sizes[..., None, :] > 0, directions / sizes[..., None, :], 0.0)
    moves = np.moveaxis(units * step[..., None], -1, 0)
    found = (function(at + moves) - function(at - moves)) / (2 * step)
    return np.moveaxis(found, 0, -1) * sizes[..., None, :]
