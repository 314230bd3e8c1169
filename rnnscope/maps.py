"""A recurrent network is a map: F(h, u) -> h'. Every analysis sees a `StateMap` and nothing else.

`as_map` turns what users have (a Run, a Network, torch's recurrent modules, their own object with a `step`) into
one. Maps are batched over leading axes, work in float64 on numpy arrays, and are pure: they hold copies of the
weights, and change neither the network nor an array that they were given.
"""

import copy
import inspect
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.cells.cell import CellModule
from rnnscope.torch_modules import is_torch_recurrent, layers_from_torch

Array = np.ndarray
States = Float[np.ndarray, "*batch state"]
Inputs = Float[np.ndarray, "*batch input"]


@runtime_checkable
class StateMap(Protocol):
    """What analyses see of a network. Any object with these members is one.

    Attributes:
        state_size: numbers in a state.
        input_size: numbers in an input; 0 for a map that takes none (inputs then have a last axis of length 0).
        domain: (2, state), the bounds (low, high) that a state inside them never leaves; None where there are none.
        readout_size: numbers that `readout` returns; 0 where there is no readout.
    """

    @property
    def state_size(self) -> int: ...
    @property
    def input_size(self) -> int: ...
    @property
    def domain(self) -> Float[np.ndarray, "2 state"] | None: ...
    @property
    def readout_size(self) -> int: ...

    def step(self, states: States, inputs: Inputs) -> States: ...

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        """dF_i / dh_j at [..., i, j]."""
        ...

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        """dF_i / du_j at [..., i, j]."""
        ...

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]: ...

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        """States that trials start from."""
        ...


def as_map(system: Any, *, input: ArrayLike | None = None) -> StateMap:
    """The map of a Run, a Network, a torch module, any object with `step(h, x)`, or a StateMap (returned as it is).

    Args:
        system: what to look at.
        input: an input to hold constant, (input,); the map then takes none.

    Raises:
        TypeError: nothing in `system` tells what its state is; the message says what to supply.
    """
    # Methods: many a torch model has a submodule called network or map, and that is no way to its state.
    if inspect.ismethod(getattr(system, "network", None)):  # a Run
        system = system.network()
    if inspect.ismethod(getattr(system, "map", None)):  # a Network
        found: StateMap = system.map()
    elif isinstance(system, StateMap):
        found = system
    elif is_torch_recurrent(system) or hasattr(system, "step"):
        found = wrap(system)
    else:
        raise TypeError(
            f"cannot see a state in a {type(system).__name__}: give a Run, a Network, torch's RNN, GRU or LSTM "
            "(or their cells), a StateMap, an object with step(h, x) -> h through rs.wrap(object, state_size=..., "
            "input_size=...), or a function through rs.FunctionMap(step, state_size=...)"
        )
    return found if input is None else HeldInput(found, input)


class CellMap:
    """The map of a cell, or of a stack of cells whose states are laid end to end, first layer first."""

    def __init__(self, layers: list[CellModule], readout: torch.nn.Module | None = None, readout_size: int = 0) -> None:
        # Deep copies, double precision, no gradients: nothing done here reaches the user's network.
        self._layers = [_frozen_double(layer) for layer in layers]
        self._dynamics = [layer.dynamics() for layer in self._layers]
        self._readout = None if readout is None else _frozen_double(readout)
        self.readout_size = readout_size
        self.input_size = layers[0].input_size
        self.state_size = sum(layer.state_size for layer in layers)
        ends = np.cumsum([layer.state_size for layer in layers])
        self._slices = [slice(end - layer.state_size, end) for end, layer in zip(ends, layers, strict=True)]

    @property
    def domain(self) -> Float[np.ndarray, "2 state"] | None:
        bounds = []
        for layer in self._layers:
            domain = layer.domain()
            free = torch.tensor([[-torch.inf], [torch.inf]], dtype=torch.float64)
            bounds.append(free.repeat(1, layer.state_size) if domain is None else domain)
        joined = torch.cat(bounds, 1).numpy()
        return joined if np.isfinite(joined).any() else None

    def step(self, states: States, inputs: Inputs) -> States:
        state, signal = self._tensors(states, inputs)
        new = []
        with torch.inference_mode():
            for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
                new.append(dynamics.step(state[..., part], signal))
                signal = new[-1][..., : layer.n_units]
            return (new[0] if len(new) == 1 else torch.cat(new, -1)).numpy()

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        if len(self._layers) == 1:
            state, signal = self._tensors(states, inputs)
            with torch.inference_mode():
                return self._dynamics[0].jacobian(state, signal).numpy()
        return self._derivatives(states, inputs)[0]

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        if len(self._layers) == 1:
            state, signal = self._tensors(states, inputs)
            with torch.inference_mode():
                return self._dynamics[0].input_jacobian(state, signal).numpy()
        return self._derivatives(states, inputs)[1]

    def _derivatives(self, states: States, inputs: Inputs) -> tuple[Array, Array]:
        """Down the stack by the chain rule: a layer's new state depends on the old states of all layers below."""
        state, signal = self._tensors(states, inputs)
        batch = state.shape[:-1]
        by_state = torch.zeros(*batch, self.state_size, self.state_size, dtype=torch.float64)
        by_input = torch.zeros(*batch, self.state_size, self.input_size, dtype=torch.float64)
        signal_by_state = signal_by_input = None
        with torch.inference_mode():
            for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
                own = state[..., part]
                through = dynamics.input_jacobian(own, signal)
                if signal_by_state is None or signal_by_input is None:
                    by_input[..., part, :] = through
                else:
                    by_state[..., part, :] = through @ signal_by_state
                    by_input[..., part, :] = through @ signal_by_input
                by_state[..., part, part] += dynamics.jacobian(own, signal)
                visible = slice(part.start, part.start + layer.n_units)
                signal_by_state, signal_by_input = by_state[..., visible, :], by_input[..., visible, :]
                signal = dynamics.step(own, signal)[..., : layer.n_units]
        return by_state.numpy(), by_input.numpy()

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        if self._readout is None:
            raise ValueError("this map has no readout: wrap the network with one, rs.wrap(module, readout=...)")
        _check_states(self, states)
        last = self._slices[-1]
        visible = states[..., last.start : last.start + self._layers[-1].n_units]
        with torch.inference_mode():
            return self._readout(_tensor(visible)).numpy()

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with torch.inference_mode():
            parts = [layer.initial_state(n_trials, generator) for layer in self._layers]
            return torch.cat(parts, -1).numpy()

    def _tensors(self, states: States, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        _check_sizes(self, states, inputs)
        return _tensor(states), _tensor(inputs)


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

    The functions are given float64 copies, which they may write to.

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
    ) -> None:
        if (readout is None) != (readout_size == 0):
            raise ValueError(
                f"readout and readout_size go together: give both or neither (readout_size={readout_size})"
            )
        self.state_size, self.input_size, self.readout_size = state_size, input_size, readout_size
        self._step, self._jacobian, self._input_jacobian = step, jacobian, input_jacobian
        self._readout, self._initial = readout, initial
        self.domain: Float[np.ndarray, "2 state"] | None = None
        if domain is not None:
            self.domain = np.stack([np.broadcast_to(np.asarray(b, float), (state_size,)) for b in domain])

    def _call(self, function: Callable[..., Array], states: Array, inputs: Array) -> Array:
        _check_sizes(self, states, inputs)
        given = (states, inputs) if self.input_size else (states,)
        return np.asarray(function(*(np.array(x, np.float64) for x in given)), np.float64)

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
            return _checked_derivative("jacobian", found, (*states.shape, self.state_size))
        _check_sizes(self, states, inputs)
        return _central_differences(lambda x: self.step(x, _repeat(inputs, x)), states)

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        if self._input_jacobian is not None:
            found = self._call(self._input_jacobian, states, inputs)
            return _checked_derivative("input_jacobian", found, (*states.shape, self.input_size))
        _check_sizes(self, states, inputs)
        return _central_differences(lambda u: self.step(_repeat(states, u), u), inputs)

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        if self._readout is None:
            raise ValueError("this map has no readout: give FunctionMap a readout=... and readout_size=...")
        _check_states(self, states)
        return np.asarray(self._readout(np.array(states, np.float64)), np.float64)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        if self._initial is None:
            return np.zeros((n_trials, self.state_size))
        return np.asarray(self._initial(n_trials, rng), np.float64)


class ModuleMap:
    """The map of any torch object with `step(h, x) -> h`; its Jacobians come from `torch.func`.

    A `torch.nn.Module` is copied in float64. Any other object is used as it is, and must compute in float64.
    """

    def __init__(
        self,
        module: Any,
        *,
        state_size: int,
        input_size: int,
        readout: Callable[[torch.Tensor], torch.Tensor] | None = None,
        readout_size: int = 0,
    ) -> None:
        self._module = _frozen_double(module) if isinstance(module, torch.nn.Module) else module
        self._readout = _frozen_double(readout) if isinstance(readout, torch.nn.Module) else readout
        self.state_size, self.input_size, self.readout_size = state_size, input_size, readout_size
        self.domain = None

    def _flat(self, states: States, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        _check_sizes(self, states, inputs)
        n_points = int(np.prod(states.shape[:-1]))
        return (
            torch.from_numpy(np.array(states, np.float64).reshape(n_points, self.state_size)),
            torch.from_numpy(np.array(inputs, np.float64).reshape(n_points, self.input_size)),
        )

    def _step(self, h: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        try:
            new = self._module.step(h, u)
        except RuntimeError as error:
            if isinstance(self._module, torch.nn.Module):
                raise
            raise ValueError(
                f"this {type(self._module).__name__} cannot step states in float64 ({str(error).splitlines()[0]}): "
                "make it a torch.nn.Module, which is copied in float64, or let it compute in float64"
            ) from error
        if not isinstance(new, torch.Tensor):
            raise TypeError(
                f"step must return the new state as one tensor, got a {type(new).__name__}: "
                "join its parts, as in torch.cat([h, c], -1)"
            )
        if new.shape != h.shape:
            raise ValueError(
                f"step changes the size of the state: {tuple(h.shape)} goes in, {tuple(new.shape)} comes out"
            )
        return new.to(torch.float64)

    def _step_one(self, state: torch.Tensor, input: torch.Tensor) -> torch.Tensor:
        return self._step(state.unsqueeze(0), input.unsqueeze(0)).squeeze(0)

    def step(self, states: States, inputs: Inputs) -> States:
        with torch.no_grad():
            new = self._step(*self._flat(states, inputs))
        return new.numpy().copy().reshape(states.shape)  # a copy: the object may keep what it returns

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        found = torch.func.vmap(torch.func.jacrev(self._step_one, 0))(*self._flat(states, inputs))
        return found.detach().numpy().reshape(*states.shape, self.state_size)

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        found = torch.func.vmap(torch.func.jacrev(self._step_one, 1))(*self._flat(states, inputs))
        return found.detach().numpy().reshape(*states.shape, self.input_size)

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        if self._readout is None:
            raise ValueError("this map has no readout: wrap the network with one, rs.wrap(module, readout=...)")
        _check_states(self, states)
        with torch.no_grad():
            return self._readout(torch.from_numpy(np.array(states, np.float64))).numpy()

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return np.zeros((n_trials, self.state_size))


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

    def _held(self, states: States) -> Array:
        return np.broadcast_to(self.input, (*states.shape[:-1], len(self.input)))

    def step(self, states: States, inputs: Inputs) -> States:
        _check_sizes(self, states, inputs)
        return self.map.step(states, self._held(states))

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        _check_sizes(self, states, inputs)
        return self.map.jacobian(states, self._held(states))

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        _check_sizes(self, states, inputs)
        return np.zeros((*states.shape, 0))

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        return self.map.readout(states)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return self.map.initial_states(n_trials, rng)


def wrap(
    module: Any,
    *,
    readout: torch.nn.Module | None = None,
    state_size: int | None = None,
    input_size: int | None = None,
) -> StateMap:
    """Bring your own network.

    Args:
        module: torch's `nn.RNN`, `nn.GRU`, `nn.LSTM` (several layers too) or one of their cells; or any object with
            `step(h, x) -> h`, batched over the first axis.
        readout: a module from what the last layer shows (h, without an LSTM's c) to outputs.
        state_size, input_size: needed for an object with `step` that does not carry them as attributes.

    Raises:
        TypeError: no state can be found. ValueError: a bidirectional or projected module; a size is missing; the
            readout takes another size.

    Example:
        >>> import torch, rnnscope as rs
        >>> rs.wrap(torch.nn.LSTM(3, 8, num_layers=2)).state_size
        32
    """
    if is_torch_recurrent(module):
        layers = layers_from_torch(_frozen_double(module))
        return CellMap(layers, readout, _readout_size(readout, layers[-1].n_units))
    if not callable(getattr(module, "step", None)):
        raise TypeError(
            f"cannot find the state of a {type(module).__name__}: supply an object with a method "
            "step(h, x) -> h, or one of torch's RNN, GRU, LSTM or their cells (often an attribute of your model, "
            "as in rs.wrap(model.rnn, readout=model.readout))"
        )
    sizes = {}
    for name, given in (("state_size", state_size), ("input_size", input_size)):
        size = getattr(module, name, None) if given is None else given
        if not isinstance(size, int | np.integer):
            raise ValueError(f"{type(module).__name__} does not tell its {name}: rs.wrap(module, {name}=...) does")
        sizes[name] = int(size)
    outputs = _readout_size(readout, sizes["state_size"])
    return ModuleMap(module, **sizes, readout=readout, readout_size=outputs)


def _readout_size(readout: torch.nn.Module | None, n_visible: int) -> int:
    if readout is None:
        return 0
    if not isinstance(readout, torch.nn.Module):
        raise TypeError(f"the readout must be a torch.nn.Module, got a {type(readout).__name__}")
    try:
        with torch.no_grad():
            shown = _frozen_double(readout)(torch.zeros(1, n_visible, dtype=torch.float64))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the readout does not take the {n_visible} numbers that the network shows: {reason}"
        ) from error
    return int(shown.shape[-1])


def _frozen_double(module: Any) -> Any:
    frozen = copy.deepcopy(module).to("cpu", torch.float64)
    frozen.requires_grad_(False)
    return frozen.eval()


def _tensor(array: Array) -> torch.Tensor:
    # Writable, as torch warns of an array that is not; an array that is broadcast is such a one, and is copied.
    return torch.from_numpy(np.require(array, np.float64, ["C", "W"]))


def _check_states(map: Any, states: Array) -> None:
    if states.shape[-1:] != (map.state_size,):
        raise ValueError(f"the map's states have {map.state_size} numbers, got an array of shape {states.shape}")


def _check_sizes(map: Any, states: Array, inputs: Array) -> None:
    _check_states(map, states)
    if inputs.shape[-1:] != (map.input_size,) or inputs.shape[:-1] != states.shape[:-1]:
        wanted = (*states.shape[:-1], map.input_size)
        raise ValueError(f"states of shape {states.shape} need inputs of shape {wanted}, got {inputs.shape}")


def _checked_derivative(name: str, found: Array, shape: tuple[int, ...]) -> Array:
    if found.shape != shape:
        raise ValueError(f"{name} must return an array of shape {shape}, got {found.shape}")
    return found


def _repeat(array: Array, like: Array) -> Array:
    return np.broadcast_to(array, (*like.shape[:-1], array.shape[-1]))


def _central_differences(function: Callable[[Array], Array], at: Array) -> Array:
    size = at.shape[-1]
    step = np.cbrt(np.finfo(np.float64).eps) * np.maximum(1.0, np.abs(at))
    moves = np.eye(size) * step[..., None]  # (..., which, coordinate)
    ahead, behind = at[..., None, :] + moves, at[..., None, :] - moves
    # Divide by the distance really moved: adding the step rounds.
    moved = np.diagonal(ahead - behind, axis1=-2, axis2=-1)
    # The moved coordinate goes to the front, so that the other argument broadcasts by itself.
    up, down = function(np.moveaxis(ahead, -2, 0)), function(np.moveaxis(behind, -2, 0))
    return np.moveaxis(up - down, 0, -1) / moved[..., None, :]
