"""Make a map of a network that users bring."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.maps.cached_model import cached_model, is_cached_model
from rnnscope.maps.called_cell import called_cell, is_called_cell
from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.layout import end_to_end
from rnnscope.maps.module_map import ModuleMap
from rnnscope.maps.state_map import CompleteMap, frozen_double
from rnnscope.maps.torch_modules import is_torch_recurrent, layers_from_torch

# Of the parts of a state that is a tuple, as torch calls the two of an LSTM.
_NAMES = ("h", "c", *(f"part {k}" for k in range(2, 32)))


def wrap(
    module: Any,
    *,
    readout: torch.nn.Module | None = None,
    state_size: int | None = None,
    input_size: int | None = None,
    initial: ArrayLike | Sequence[Any] | None = None,
) -> CompleteMap:
    """Make a map of your own network.

    Args:
        module: torch's `nn.RNN`, `nn.GRU`, `nn.LSTM` (several layers too) or one of their cells; any object with
            `step(h, x) -> h`, batched over the first axis; or any module that is called as torch's cells are,
            module(x, state) -> state or (output, state), where the state is a tensor or a tuple of tensors, which are
            laid end to end. Other arguments of its `forward` keep their defaults. How it lays out its state is found by
            calling a copy of it. Or a model of transformers whose layers are all recurrent, such as Mamba: its state is
            what its cache holds, and an input is a token (1 at its place), or with `input_size` the size of an
            embedding, that.
        readout: a module from what the last layer shows (h, without an LSTM's c) to outputs. Of a module that is
            called: from its output, where it returns one, which then is kept at the end of the state, unless it is the
            first part of the state anyway; else from the first part. Of a model of transformers: from what it returns
            first, kept in the same way; one with an output layer of its own needs none, and reads its logits.
        state_size, input_size: needed for an object that does not carry them as attributes; the size of the state of a
            module that is called is found.
        initial: the state that trials start from, such as a learned h0: (state,), or torch's (layer, 1, unit), of an
            LSTM (h0, c0) with two of these; zeros if None. Of a module that is called, a state as it takes it, too.

    Raises:
        TypeError: no state can be found. ValueError: a bidirectional or projected module, or one with hooks; a size is
            missing; the readout or the initial state is of another size; a module that is called whose next state
            depends on more than the last state and the input.

    Example:
        >>> import torch, rnnscope as rs
        >>> rs.wrap(torch.nn.LSTM(3, 8, num_layers=2)).state_size
        32
    """
    if is_torch_recurrent(module):
        layers = layers_from_torch(module)
        shape = (len(layers), 1, layers[0].n_units)
        has_memory = layers[0].state_size > layers[0].n_units
        start = _start(initial, sum(layer.state_size for layer in layers), (2, *shape) if has_memory else shape)
        return CellMap(layers, readout, _readout_size(readout, layers[-1].n_units), start, copy=False)
    if is_cached_model(module):
        return _wrap_cached(module, readout, state_size, input_size, initial)
    if not isinstance(module, Steps):
        if is_called_cell(module):
            return _wrap_called(module, readout, state_size, input_size, initial)
        raise TypeError(
            f"cannot find the state of a {type(module).__name__}: supply an object with a method "
            "step(h, x) -> h, a module that is called as module(x, state), or one of torch's RNN, GRU, LSTM or their "
            "cells (often an attribute of your model, as in rs.wrap(model.rnn, readout=model.readout); "
            "rs.find_state(model, inputs) looks for it)"
        )
    if state_size is None and isinstance(module, _TellsStateSize):
        state_size = module.state_size
    if input_size is None and isinstance(module, _TellsInputSize):
        input_size = module.input_size
    sizes = {}
    for name, size in (("state_size", state_size), ("input_size", input_size)):
        if not isinstance(size, int | np.integer):
            raise ValueError(
                f"{type(module).__name__} does not say its {name}: give it, as in rs.wrap(module, {name}=...)"
            )
        sizes[name] = int(size)
    outputs = _readout_size(readout, sizes["state_size"])
    start = _start(initial, sizes["state_size"])
    return ModuleMap(module, **sizes, readout=readout, readout_size=outputs, start=start)


def _wrap_called(
    module: torch.nn.Module, readout: torch.nn.Module | None, state_size: Any, input_size: Any, initial: Any
) -> ModuleMap:
    name = type(module).__name__
    if input_size is None and isinstance(module, _TellsInputSize):
        input_size = module.input_size
    if not isinstance(input_size, int | np.integer):
        raise ValueError(
            f"{name} does not say its input_size: give it, as in rs.wrap(module, input_size=...); if it runs over "
            "whole trials, rs.find_state(module, inputs) looks into it"
        )
    initial = _without_gradient(initial)
    stepping = called_cell(module, int(input_size), initial, keep_output=readout is not None)
    if state_size is not None and state_size != stepping.state_size:
        raise ValueError(
            f"the state of {name} was found to have {stepping.state_size} numbers, and state_size = {state_size} was "
            "given: leave it out, or give an object with step(h, x) -> h"
        )
    n_shown = stepping.shown.stop - stepping.shown.start
    return ModuleMap(
        stepping,
        state_size=stepping.state_size,
        input_size=int(input_size),
        readout=None if readout is None else ShownPart(readout, stepping.shown),
        readout_size=_readout_size(readout, n_shown),
        start=_start(_end_to_end(initial, stepping.kept), stepping.state_size),
        layout=end_to_end([*stepping.sizes, stepping.kept], [*_NAMES[: len(stepping.sizes)], "output"]),
    )


def _wrap_cached(
    module: torch.nn.Module, readout: torch.nn.Module | None, state_size: Any, input_size: Any, initial: Any
) -> ModuleMap:
    stepping = cached_model(module, input_size, None if readout is None else True)
    if state_size not in (None, stepping.state_size):
        raise ValueError(
            f"the cache of this {type(module).__name__} holds a state of {stepping.state_size} numbers, and state_size "
            f"= {state_size} was given: leave it out"
        )
    n_shown = stepping.shown.stop - stepping.shown.start
    read = readout or (torch.nn.Identity() if n_shown else None)
    return ModuleMap(
        stepping,
        state_size=stepping.state_size,
        input_size=stepping.input_size,
        readout=None if read is None else ShownPart(read, stepping.shown),
        readout_size=_readout_size(read, n_shown),
        start=_start(initial, stepping.state_size),
        layout=stepping.layout,
    )


def _without_gradient(initial: Any) -> Any:
    if isinstance(initial, tuple | list):
        return type(initial)(_without_gradient(part) for part in initial)
    return initial.detach().cpu().numpy() if isinstance(initial, torch.Tensor) else initial


def _end_to_end(initial: Any, kept: int) -> Any:
    """The parts of a state one after another, and zeros for an output that is kept with it."""
    if initial is None:
        return None
    parts = initial if isinstance(initial, tuple | list) and any(map(np.ndim, initial)) else [initial]
    try:
        return np.concatenate([*(np.asarray(part, np.float64).reshape(-1) for part in parts), np.zeros(kept)])
    except (TypeError, ValueError):
        return initial  # which is then refused


class ShownPart(torch.nn.Module):
    """A readout that is shown a part of the state."""

    def __init__(self, readout: torch.nn.Module, part: slice) -> None:
        super().__init__()
        self.readout, self.part = readout, part

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.readout(states[..., self.part])


def _start(initial: Any, state_size: int, shape: tuple[int, ...] | None = None) -> Float[np.ndarray, " state"]:
    """The state that trials start from; `shape` is how torch lays out that of its own modules."""
    if initial is None:
        return np.zeros(state_size)
    parts = initial if isinstance(initial, tuple | list) else [initial]
    if any(isinstance(part, torch.Tensor) for part in parts):
        plain = [torch.as_tensor(part).detach().cpu().numpy() for part in parts]
        initial = plain if isinstance(initial, tuple | list) else plain[0]
    try:
        start = np.array(initial, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"initial must be {state_size} numbers, got {initial!r:.60}") from None
    if shape is not None and start.shape == shape:
        # Layer by layer, and of an LSTM h and c of each: torch has all h before all c.
        start = start.swapaxes(0, 1).reshape(-1) if len(shape) == 4 else start.reshape(-1)
    if start.shape != (state_size,) or not np.isfinite(start).all():
        torchs = "" if shape is None else f", or torch's {shape}"
        raise ValueError(
            f"initial must be {state_size} finite numbers, the state that trials start from, of shape ({state_size},)"
            f"{torchs}, got shape {start.shape}: {np.array2string(start, threshold=6, precision=3)}"
        )
    return start


def _readout_size(readout: torch.nn.Module | None, n_visible: int) -> int:
    if readout is None:
        return 0
    if not isinstance(readout, torch.nn.Module):
        raise TypeError(f"the readout must be a torch.nn.Module, got a {type(readout).__name__}")
    try:
        with torch.no_grad():
            shown = frozen_double(readout)(torch.zeros(1, n_visible, dtype=torch.float64))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the readout does not take the {n_visible} numbers that the network shows: {reason}"
        ) from error
    return int(shown.shape[-1])


@runtime_checkable
class Steps(Protocol):
    """What can be wrapped: any object with `step(h, x) -> h`."""

    def step(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor: ...


@runtime_checkable
class _TellsStateSize(Protocol):
    state_size: int


@runtime_checkable
class _TellsInputSize(Protocol):
    input_size: int
