"""The map of a cell, or of a stack of cells."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from rnnscope.cells.cell import CellModule, Dynamics, unroll_by_steps
from rnnscope.cells.edited import EditedDynamics
from rnnscope.cells.products import times
from rnnscope.maps.digest import digest_of_modules, digest_of_parts
from rnnscope.maps.layout import Part
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import (
    Array,
    Inputs,
    States,
    Vectors,
    check_sequence,
    check_sizes,
    check_states,
    check_vectors,
    frozen_double,
    sizes_of,
    tensor,
)
from rnnscope.numerics.affine import Affine
from rnnscope.numerics.bounds import Bounded, Region


class CellMap:
    """The map of a cell, or of a stack of cells whose states are laid end to end, first layer first.

    Args:
        layers: the cells.
        readout: from what the last layer shows to outputs, of which there are `readout_size`.
        start: the state that trials start from; the cells' own if None.
        copy: whether to copy the cells in double precision, so that nothing done here reaches the user's network. False
            for cells that are in double precision, need no gradients, and are nobody else's.
        edit: what is done to a layer's state after each of its steps, before the next layer sees it: a change of the
            whole state in which no layer acts on another; nothing if None.
    """

    dt, jacobian_error = None, 0.0

    def __init__(
        self,
        layers: list[CellModule],
        readout: torch.nn.Module | None = None,
        readout_size: int = 0,
        start: Float[np.ndarray, " state"] | None = None,
        copy: bool = True,
        edit: Affine | None = None,
    ) -> None:
        self._layers: list[Any] = [frozen_double(layer) for layer in layers] if copy else list(layers)
        self._readout = None if readout is None else frozen_double(readout)
        self.readout_size, self._start = readout_size, start
        self.input_size = layers[0].input_size
        self.state_size = sum(layer.state_size for layer in layers)
        ends = np.cumsum([layer.state_size for layer in layers])
        self._slices = [slice(end - layer.state_size, end) for end, layer in zip(ends, layers, strict=True)]
        self._edit = edit
        self._dynamics: list[Dynamics] = [
            _edited(layer, edit, part) for layer, part in zip(self._layers, self._slices, strict=True)
        ]
        self.domain: Float[np.ndarray, "2 state"] | None = _domain(self._layers, edit)
        self.layout = _layout(self._layers)

    def __repr__(self) -> str:
        return sizes_of(self)

    @property
    def layers(self) -> tuple[CellModule, ...]:
        """The cells in double precision, the first layer first; not to be written to."""
        return tuple(self._layers)

    def with_layers(self, layers: list[CellModule]) -> "CellMap":
        """The same map with other cells in the place of its own, which are in double precision and nobody else's."""
        return self._like(layers, self._edit)

    def edited(self, edit: Affine) -> "CellMap":
        """The same map with a change of the state after each step of a layer, after those that there are already."""
        return self._like(self._layers, edit if self._edit is None else edit.after(self._edit))

    def _like(self, layers: list[CellModule], edit: Affine | None) -> "CellMap":
        changed = CellMap(layers, None, self.readout_size, self._start, copy=False, edit=edit)
        changed._readout = self._readout
        return changed

    def digest(self) -> str | None:
        readout = [] if self._readout is None else [self._readout]
        digest = digest_of_modules([*self._layers, *readout], self._start)
        return digest if self._edit is None else digest_of_parts("edited", digest, self._edit.matrix, self._edit.shift)

    @property
    def time_constants(self) -> Float[np.ndarray, " state"]:
        """The parameter "tau" of each unit in steps, where a cell has one; NaN elsewhere."""
        found = []
        for layer in self._layers:
            own = [value for name, value in layer.named_parameters() if name.rpartition(".")[2] == "tau"]
            fits = len(own) == 1 and own[0].numel() == layer.state_size
            found.append(own[0].detach().numpy() if fits else np.full(layer.state_size, np.nan))
        return np.concatenate(found)

    def step(self, states: States, inputs: Inputs) -> States:
        state, signal = self._tensors(states, inputs)
        new = []
        with torch.inference_mode():
            for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
                new.append(dynamics.step(state[..., part], signal))
                signal = new[-1][..., : layer.n_units]
            return (new[0] if len(new) == 1 else torch.cat(new, -1)).numpy()

    def step_by_layers(self, states: States, inputs: Inputs, change: Callable[[slice, States], States]) -> States:
        """A step in which `change` is made to the new state of each layer, before the next layer sees it. It is given
        where in the state these numbers stand, and returns them changed."""
        state, signal = self._tensors(states, inputs)
        new = []
        with torch.inference_mode():
            for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
                new.append(change(part, dynamics.step(state[..., part], signal).numpy()))
                signal = tensor(new[-1])[..., : layer.n_units]
        return new[0] if len(new) == 1 else np.concatenate(new, -1)

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        """The states after each input, through the cells' own loops: several times faster than as many steps."""
        check_sequence(self, states, inputs)
        check_sizes(self, np.broadcast_to(states[:, None], (*inputs.shape[:2], self.state_size)), inputs)
        if not inputs.shape[0] * inputs.shape[1]:
            return np.empty((*inputs.shape[:2], self.state_size))
        state, signal, found = tensor(states), tensor(inputs), []
        with torch.inference_mode():
            for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
                edited = isinstance(dynamics, EditedDynamics)
                unroll = partial(unroll_by_steps, dynamics) if edited else layer.unroll
                found.append(unroll(signal, state[:, part]))
                signal = found[-1][..., : layer.n_units]
            return (found[0] if len(found) == 1 else torch.cat(found, -1)).numpy()

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

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        """J V, down the stack: what moves a layer's output moves the next layer's input."""
        state, signal = self._tensors(states, inputs)
        check_vectors(states, tangents)
        vectors, new, moved = _columns(tangents), [], None
        with torch.inference_mode():
            for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
                own = state[..., part]
                ahead = dynamics.jvp(own, signal, vectors[..., part, :])
                if moved is not None:
                    ahead = ahead + times(dynamics.input_jacobian(own, signal), moved)
                new.append(ahead)
                if len(new) < len(self._layers):
                    moved = ahead[..., : layer.n_units, :]
                    signal = dynamics.step(own, signal)[..., : layer.n_units]
            return (new[0] if len(new) == 1 else torch.cat([part.mT for part in new], -1).mT).numpy()

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        """J^T V."""
        check_vectors(states, cotangents)
        if len(self._layers) > 1:
            return self._derivatives(states, inputs)[0].swapaxes(-1, -2) @ cotangents
        state, signal = self._tensors(states, inputs)
        with torch.inference_mode():
            return self._dynamics[0].vjp(state, signal, _columns(cotangents)).numpy()

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        """None for a curved cell, and for a stack: its gates stand one behind the other."""
        if len(self._layers) > 1:
            return None
        with torch.inference_mode():
            found = self._dynamics[0].linear_pieces(tensor(input))
            return None if found is None else LinearPieces(**{k: v.numpy().copy() for k, v in found._asdict().items()})

    def fixed_point_equation(self, region: Region, inputs: Inputs) -> tuple[Bounded, ...] | None:
        """The equations of all layers. Where a state stays, the new state of the layer below, which a layer is given,
        is the old one: the equation of a layer contains those below as they are, and no chain rule. None where a cell
        does not state its own."""
        check_sizes(self, region.centre, inputs)
        signal, equations = region.constant(inputs), []
        for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
            own = dynamics.fixed_point_equation(region.part(part), signal)
            if own is None:
                return None
            equations += own
            signal = region.part(part)[: layer.n_units]
        return tuple(equations)

    @property
    def smooth(self) -> bool | None:
        said = [dynamics.smooth for dynamics in self._dynamics]
        return False if False in said else None if None in said else True

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        """The boxes of all layers: what a layer shows lies in its box, and is the input of the next."""
        signal, boxes = tensor(np.stack([input, input])), []
        with torch.inference_mode():
            for layer, dynamics in zip(self._layers, self._dynamics, strict=True):
                box = dynamics.kept_box(signal)
                if box is None:
                    return None
                boxes.append(box)
                signal = box[:, : layer.n_units]
            return torch.cat(boxes, 1).numpy().copy()

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        signal, found, start = region.constant(inputs), [], 0
        for layer, dynamics in zip(self._layers, self._dynamics, strict=True):
            shown = region.part(slice(start, start + layer.n_units))
            own = dynamics.at_rest(shown, signal)
            if own is None:
                return None
            found.append(own)
            signal, start = shown, start + layer.n_units
        return tuple(found)

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

    def kept_by_gates(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state"]:
        """The share of each number of the state that a gate lets stay: an LSTM's forget gate of its memory, a GRU's
        update gate; NaN where no gate does so."""
        state, signal = self._tensors(states, inputs)
        found = []
        with torch.inference_mode():
            for layer, dynamics, part in zip(self._layers, self._dynamics, self._slices, strict=True):
                own = state[..., part]
                kept = dynamics.kept_by_gates(own, signal)
                found.append(torch.full_like(own, torch.nan) if kept is None else kept)
                signal = dynamics.step(own, signal)[..., : layer.n_units]
        return torch.cat(found, -1).numpy()

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        if self._readout is None:
            raise ValueError("this map has no readout: wrap the network with one, rs.wrap(module, readout=...)")
        check_states(self, states)
        last = self._slices[-1]
        visible = states[..., last.start : last.start + self._layers[-1].n_units]
        with torch.inference_mode():
            return self._readout(tensor(visible)).numpy()

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        if self._start is not None:
            start = np.tile(self._start, (n_trials, 1))
        else:
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            with torch.inference_mode():
                parts = [layer.initial_state(n_trials, generator) for layer in self._layers]
                start = torch.cat(parts, -1).numpy()
        return start if self._edit is None else self._edit(start)

    def _tensors(self, states: States, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        check_sizes(self, states, inputs)
        return tensor(states), tensor(inputs)


def _columns(vectors: Vectors) -> torch.Tensor:
    """As `tensor`; vectors that lie one after another in memory are left so."""
    return tensor(vectors) if vectors.flags.c_contiguous else tensor(vectors.swapaxes(-1, -2)).mT


def _layout(layers: list[CellModule]) -> tuple[Part, ...]:
    parts, start = list[Part](), 0
    for number, layer in enumerate(layers):
        sizes = (("h", layer.n_units), ("c", layer.state_size - layer.n_units))
        for name, size in sizes:
            if size:
                parts.append(Part(number, name, start, start + size))
                start += size
    return tuple(parts)


def _edited(layer: CellModule, edit: Affine | None, part: slice) -> Dynamics:
    own = layer.dynamics()
    if edit is None:
        return own
    here = edit.part(part)
    if here.is_diagonal and (here.matrix == 1).all() and not here.shift.any():
        return own
    here = Affine(*(torch.from_numpy(np.array(each, np.float64)) for each in (here.matrix, here.shift)))
    return EditedDynamics(own, here, layer.state_size == layer.n_units)


def _domain(layers: list[CellModule], edit: Affine | None) -> Float[np.ndarray, "2 state"] | None:
    """The bounds of all layers, read-only; None where no state is bounded, or an edit leads out of them."""
    bounds = []
    for layer in layers:
        domain = layer.domain()
        free = torch.tensor([[-torch.inf], [torch.inf]], dtype=torch.float64)
        bounds.append(free.repeat(1, layer.state_size) if domain is None else domain)
    joined = torch.cat(bounds, 1).numpy().copy()
    if edit is not None:
        low, high = edit.image(joined)
        if (low < joined[0]).any() or (high > joined[1]).any():
            return None
    joined.flags.writeable = False
    return joined if np.isfinite(joined).any() else None
