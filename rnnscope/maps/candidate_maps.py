"""Maps that a model may be, made of its recurrent parts, the plainest first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnscope.maps.called_cell import called_cell, is_called_cell
from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.encoded_map import EncodedMap
from rnnscope.maps.intercepted import EncodedByModel, Intercepted, ReadByModel, SteppedByModel
from rnnscope.maps.module_map import ModuleMap
from rnnscope.maps.recurrent_parts import Other, Part, Slot
from rnnscope.maps.state_map import CompleteMap, frozen_double
from rnnscope.maps.torch_modules import is_torch_recurrent, layers_from_torch
from rnnscope.maps.watched import Watched, in_double, tensors_in
from rnnscope.maps.wrap import ShownPart

Array = np.ndarray
OWN_CODE = "the model's own code"


@dataclass(frozen=True)
class Seen:
    """The model's copy, its parts, and how it was called; `last_only`: whether it returns the output of the last step
    alone."""

    model: nn.Module
    parts: list[Part]
    watched: Watched
    inputs: Float[Tensor, "trial time input"]
    batch_first: bool
    which: int
    outputs: Tensor
    last_only: bool


@dataclass(frozen=True)
class Start:
    """The state of a part before the first step, and what holds it."""

    state: list[Array]
    name: str


@dataclass(frozen=True)
class Candidate:
    """A map, and where in its states what the last part shows stands."""

    map: CompleteMap
    shown: Callable[[Array], Array]
    encoder: str
    readout: str
    closed: bool


def candidates(seen: Seen, starts: Sequence[Start]) -> Iterator[Callable[[], Candidate]]:
    """Makers of maps to be compared with the model: of torch's equations, of a single cell, then of the model itself
    run step by step, without and with what its parts return beside their state. A maker raises one of `REFUSALS` where
    the model is not of its kind."""
    modules = [seen.model.get_submodule(part.path) for part in seen.parts]
    if all(map(is_torch_recurrent, modules)) and _is_chain(seen.parts):
        yield lambda: _of_torch(seen, starts)
    if len(modules) == 1 and _is_called_plainly(seen.parts[0]) and is_called_cell(modules[0]):
        yield lambda: _of_cell(seen, starts)
    yield lambda: _of_model(seen, starts, keep=False)
    yield lambda: _of_model(seen, starts, keep=True)


def _is_chain(parts: Sequence[Part]) -> bool:
    """Whether every part is shown what the one before shows."""
    return all(after.given is not None and torch.equal(before.shown, after.given) for before, after in pairwise(parts))


def _is_called_plainly(part: Part) -> bool:
    positional, named = part.arguments
    return (
        not part.is_fused
        and not any(isinstance(value, Slot) for value in named.values())
        and len(positional) == 2
        and isinstance(positional[0], Other)
        and not isinstance(positional[1], Other)
    )


def _of_torch(seen: Seen, starts: Sequence[Start]) -> Candidate:
    layers, first = [], []
    for part, start in zip(seen.parts, starts, strict=True):
        own = layers_from_torch(seen.model.get_submodule(part.path))
        layers += own
        for number in range(len(own)):
            first += [tensor[number] if part.is_fused else tensor for tensor in start.state]
    n_shown = layers[-1].n_units
    readout, name = _readout(seen, n_shown)
    start = np.concatenate(first) if any(row.any() for row in first) else None
    inner = CellMap(layers, readout, _size(readout, n_shown), start)
    begin = inner.state_size - layers[-1].state_size
    return _encoded(seen, inner, lambda states: states[..., begin : begin + n_shown], name, closed=True)


def _of_cell(seen: Seen, starts: Sequence[Start]) -> Candidate:
    part = seen.parts[0]
    if part.given is None:
        raise ValueError(f"{part.path!r} is shown no input")
    cell, n_inputs = seen.model.get_submodule(part.path), part.given.shape[-1]
    first = starts[0].state
    plain = tuple(first) if isinstance(part.arguments[0][1], tuple | list) else first[0]
    stepping = called_cell(cell, n_inputs, plain, keep_output=True)
    n_shown = stepping.shown.stop - stepping.shown.start
    readout, name = _readout(seen, n_shown)
    inner = ModuleMap(
        stepping,
        state_size=stepping.state_size,
        input_size=n_inputs,
        readout=None if readout is None else ShownPart(readout, stepping.shown),
        readout_size=_size(readout, n_shown),
        start=np.concatenate([*(row.reshape(-1) for row in first), np.zeros(stepping.kept)]),
    )
    return _encoded(seen, inner, lambda states: states[..., stepping.shown], name, closed=False)


def _of_model(seen: Seen, starts: Sequence[Start], keep: bool) -> Candidate:
    """The model itself, run for a step at a time."""
    intercepted = Intercepted(frozen_double(seen.model), seen.parts, seen.batch_first)
    kept = [_kept(seen, part) if keep else [] for part in seen.parts]
    stepping = SteppedByModel(intercepted, kept)
    input_size = seen.inputs.shape[-1]
    last = seen.parts[-1]
    begin = sum(map(sum, stepping.sizes[:-1]))
    n_shown = last.shown.shape[-1]
    if last.is_fused:
        begin += (last.shapes[0][0] - 1) * n_shown
    elif 0 in last.returns:
        begin += sum(stepping.sizes[-1][: last.returns.index(0)])
    elif keep:
        begin += sum(stepping.sizes[-1][: len(last.shapes)])
    else:
        raise ValueError(f"what {last.path!r} shows is no part of its state")
    readout = ReadByModel(intercepted, stepping, input_size, seen.which)
    start = [
        np.concatenate([*(row.reshape(-1) for row in own.state), np.zeros(sum(map(np.prod, shapes)).__int__())])
        for own, shapes in zip(starts, kept, strict=True)
    ]
    found = ModuleMap(
        stepping,
        state_size=stepping.state_size,
        input_size=input_size,
        readout=readout,
        readout_size=_size(readout, stepping.state_size),
        start=np.concatenate(start),
    )
    return Candidate(found, lambda states: states[..., begin : begin + n_shown], OWN_CODE, OWN_CODE, False)


def _kept(seen: Seen, part: Part) -> list[tuple[int, ...]]:
    """What a part returns beside its state, (unit,) each."""
    if part.is_fused:
        return []
    tensors = tensors_in(seen.watched.calls[part.path][0].result)
    return [tuple(tensor.shape[1:]) for index, tensor in enumerate(tensors) if index not in part.returns]


def _encoded(seen: Seen, inner: CompleteMap, shown: Callable[[Array], Array], readout: str, closed: bool) -> Candidate:
    given, input_size = seen.parts[0].given, seen.inputs.shape[-1]
    if given is not None and given.shape == seen.inputs.shape and torch.equal(given, seen.inputs):
        return Candidate(inner, shown, "", readout, closed)
    path = None if given is None else _module_between(seen, seen.inputs, given)
    if path is not None:
        encoder, name = seen.model.get_submodule(path), path
    else:
        encoder, name = EncodedByModel(Intercepted(frozen_double(seen.model), seen.parts, seen.batch_first)), OWN_CODE
    return Candidate(EncodedMap(inner, encoder, input_size), shown, name, readout, closed)


def _readout(seen: Seen, n_shown: int) -> tuple[nn.Module | None, str]:
    shown = seen.parts[-1].shown
    if seen.last_only:
        shown = shown[:, -1]
    if shown.shape == seen.outputs.shape and torch.equal(shown, seen.outputs):
        return None, ""
    path = _module_between(seen, shown, seen.outputs)
    if path is not None:
        return seen.model.get_submodule(path), path
    intercepted = Intercepted(frozen_double(seen.model), seen.parts, seen.batch_first)
    return ReadByModel(intercepted, None, seen.inputs.shape[-1], seen.which), OWN_CODE


def _module_between(seen: Seen, given: Tensor, returned: Tensor) -> str | None:
    """The outermost module that makes the second sequence of the first, called once or once a step; None where there is
    none."""
    found = []
    for path, calls in seen.watched.calls.items():
        try:
            pairs = [(tensors_in(call.arguments), tensors_in(call.result)) for call in calls]
            if any(len(before) != 1 or len(after) != 1 for before, after in pairs):
                continue
            joined = []
            for tensors in zip(*((before[0], after[0]) for before, after in pairs), strict=True):
                sequence = tensors[0] if len(tensors) == 1 else torch.stack(tensors, 1)
                joined.append(sequence.transpose(0, 1) if _is_time_first(sequence, given) else sequence)
        except RuntimeError:
            continue
        if all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(joined, (given, returned), strict=True)):
            found.append(path)
    return min(found, key=len, default=None)


def _is_time_first(sequence: Tensor, given: Tensor) -> bool:
    return sequence.ndim == 3 == given.ndim and sequence.shape[:2] == given.shape[1::-1] != given.shape[:2]


def _size(readout: nn.Module | None, n_shown: int) -> int:
    if readout is None:
        return 0
    with torch.no_grad(), in_double():
        return int(readout(torch.zeros(1, n_shown, dtype=torch.float64)).shape[-1])


def start_of(part: Part, model: nn.Module) -> Start:
    """What a part is given before the first step.

    Raises:
        ValueError: it differs from trial to trial.
    """
    if part.initial is None:
        shapes = part.shapes
        return Start([np.zeros(shape) for shape in shapes], "zeros")
    rows = [tensor.movedim(part.batch, 0).numpy() for tensor in part.initial]
    if any(not np.array_equal(row, np.broadcast_to(row[:1], row.shape)) for row in rows):
        raise ValueError(
            f"{part.path!r} starts every trial from another state, which the model makes of the inputs or at random: "
            "no map has that as its start. Give rs.wrap the part itself, and simulate with initial=..."
        )
    first = [row[0] for row in rows]
    if not any(row.any() for row in first):
        return Start(first, "zeros")
    flat = np.concatenate([row.reshape(-1) for row in first])
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        held = value.reshape(-1).numpy()
        if np.array_equal(held, flat) or np.array_equal(held, first[0].reshape(-1)):
            return Start(first, f"the model's {name!r}")
    return Start(first, "a state of the model's own")
