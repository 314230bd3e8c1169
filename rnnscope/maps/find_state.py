"""Where is the state of a model that loops in its own forward?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rnnscope.maps.called_cell import REFUSALS, called_cell, check_no_hooks, is_called_cell
from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.encoded_map import EncodedMap
from rnnscope.maps.intercepted import EncodedByModel, Intercepted, ReadByModel, SteppedByModel
from rnnscope.maps.module_map import ModuleMap
from rnnscope.maps.recurrent_parts import Other, Part, Slot, recurrent_parts
from rnnscope.maps.state_map import CompleteMap, frozen_double
from rnnscope.maps.torch_modules import is_torch_recurrent, layers_from_torch
from rnnscope.maps.watched import Watched, in_double, tensors_in, watch
from rnnscope.maps.wrap import ShownPart

WATCHED_TRIALS = 5  # that the parts are looked at with; all trials are compared at the end
# Two ways to compute the same in double precision differ by rounding, which a state carries on.
ALLOWED = 1e-6

Array = np.ndarray


@dataclass(frozen=True)
class FoundState:
    """The state that was found in a model, to be looked at before it is trusted. Print it; `wrap` makes the map.

    Attributes:
        model: the class of the model.
        parts: the parts of the model that carry the state, by path and class, in the order of a step.
        state_size: numbers in the state.
        input_size: numbers in an input of the model at one step.
        encoder: what an input goes through before the first part sees it: "" where nothing; the path of a module; else
            "the model's own code".
        readout: what makes the output of the state: "" where the model returns no more than the state; the path of a
            module; else "the model's own code".
        initial: the state that trials start from: "zeros", the name of the parameter that holds it, or "a state of the
            model's own".
        derivatives: "closed form" where all parts are torch's own, else "automatic".
        output_error: the largest difference between the map's outputs and the model's, in double precision.
        state_error: the same of what the last part returns first, at every step.
        n_trials, n_steps: of the inputs that they were compared on.
    """

    model: str
    parts: tuple[str, ...]
    state_size: int
    input_size: int
    encoder: str
    readout: str
    initial: str
    derivatives: str
    output_error: float
    state_error: float
    n_trials: int
    n_steps: int
    _map: CompleteMap = field(repr=False, compare=False)

    def wrap(self) -> CompleteMap:
        """The map: what every analysis takes."""
        return self._map

    def __str__(self) -> str:
        return "\n".join(
            (
                f"the state of this {self.model}: {self.state_size} numbers, in {', then '.join(self.parts)}",
                f"input: {self.input_size} numbers a step, {_through(self.encoder, 'as they are')}",
                f"output: {_through(self.readout, 'what the last part shows')}",
                f"trials start from: {self.initial}; derivatives: {self.derivatives}",
                f"compared with the model on {self.n_trials} trials of {self.n_steps} steps: outputs differ by at most "
                f"{self.output_error:.1e}, states by {self.state_error:.1e}",
            )
        )

    __repr__ = __str__


def find_state(model: nn.Module, inputs: ArrayLike | Tensor, *, batch_first: bool = True) -> FoundState:
    """Find the recurrent part of a model that runs over whole trials, model(inputs) -> outputs.

    A copy of the model in double precision and evaluation mode runs on the inputs, and every part of it is watched.
    Torch's `nn.RNN`, `nn.GRU`, `nn.LSTM` carry a state, and so does a part that is called once a step with what it
    returned at the step before. The map made of these parts, with what comes before and after them, is then unrolled
    and compared with the model: a model whose state is elsewhere does not pass.

    Args:
        model: your model. What it returns first counts as its output, at every step or at the last.
        inputs: some trials, (trial, time, input), as the model takes them: at least 3 steps and 2 trials, the more
            varied the better. What differs from the model only on other inputs is not seen.
        batch_first: False where the model takes (time, trial, input), and `inputs` are such.

    Raises:
        TypeError: no torch module.
        ValueError: the model cannot be called so; no part carries the state, or trials start from states of their own;
            the map made of what was found does not do what the model does. The message says what to give instead.

    Example:
        >>> import torch, rnnscope as rs
        >>> class Model(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.cell, self.out = torch.nn.GRUCell(2, 8), torch.nn.Linear(8, 1)
        ...     def forward(self, x):
        ...         h, outputs = torch.zeros(len(x), 8), []
        ...         for t in range(x.shape[1]):
        ...             h = self.cell(x[:, t], h)
        ...             outputs.append(self.out(h))
        ...         return torch.stack(outputs, 1)
        >>> found = rs.find_state(Model(), torch.randn(4, 20, 2))
        >>> found.parts, found.readout, found.wrap().state_size
        (("GRUCell 'cell'",), 'out', 8)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"find_state looks into a torch.nn.Module, got a {type(model).__name__}")
    name = type(model).__name__
    check_no_hooks(model)
    trials = _checked(inputs, batch_first)
    n_trials, n_steps, input_size = trials.shape
    copy = frozen_double(model)
    few = trials[: min(WATCHED_TRIALS, n_trials)]
    if len(few) == n_steps:
        few = few[:-1]  # so that trials and steps are told apart
    watched = _watched(copy, few, batch_first, name)
    parts = recurrent_parts(copy, watched, len(few), n_steps)
    which, last_only, outputs = _output(watched, len(few), n_steps, batch_first, name)
    seen = _Seen(copy, parts, watched, few, batch_first, which, outputs, last_only)
    starts = [_start(part, copy) for part in parts]
    with torch.no_grad(), torch.random.fork_rng(devices=[]), in_double():
        wanted = tensors_in(copy(trials if batch_first else trials.transpose(0, 1)))[which]
    wanted_outputs = _trials_first(wanted, n_steps, batch_first, last_only).numpy()
    # What the last part shows is compared on the trials that were watched, outputs on all.
    best = None
    for attempt in _attempts(seen, starts):
        try:
            found = attempt()
            errors = _errors(found, trials.numpy(), wanted_outputs, last_only, parts[-1].shown.numpy(), len(few))
        except REFUSALS as error:
            best = best or (np.inf, np.inf, None, str(error).splitlines()[0])
            continue
        if best is None or max(errors) < max(best[:2]):
            best = (*errors, found, "")
        if max(errors) <= ALLOWED * (1 + float(np.abs(wanted_outputs).max())):
            break
    assert best is not None
    output_error, state_error, found, reason = best
    described = tuple(f"{type(copy.get_submodule(part.path)).__name__} {part.path!r}" for part in parts)
    if found is None or max(best[:2]) > ALLOWED * (1 + float(np.abs(wanted_outputs).max())):
        differs = reason or f"its outputs differ by {output_error:.2g}, its states by {state_error:.2g}"
        raise ValueError(
            f"in this {name} {', '.join(described)} carry state, but the map made of them is not the model "
            f"({differs}): its forward keeps more than they do from step to step, treats steps differently, or feeds "
            "its output back as input. Give rs.wrap an object with a method step(h, x) -> h that does one step of it"
        )
    return FoundState(
        model=name,
        parts=described,
        state_size=found.map.state_size,
        input_size=input_size,
        encoder=found.encoder,
        readout=found.readout,
        initial=", ".join(dict.fromkeys(start.name for start in starts)),
        derivatives="closed form" if found.closed else "automatic",
        output_error=output_error,
        state_error=state_error,
        n_trials=n_trials,
        n_steps=n_steps,
        _map=found.map,
    )


# -- what was seen -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
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
class _Start:
    """The state of a part before the first step, and what holds it."""

    state: list[Array]
    name: str


@dataclass(frozen=True)
class _Attempt:
    """A map, and where in its states what the last part shows stands."""

    map: CompleteMap
    shown: Callable[[Array], Array]
    encoder: str
    readout: str
    closed: bool


_OWN_CODE = "the model's own code"


def _checked(inputs: Any, batch_first: bool) -> Float[Tensor, "trial time input"]:
    try:
        found = torch.as_tensor(inputs).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"inputs must be numbers of shape (trial, time, input), got {inputs!r:.60}") from None
    order = "(trial, time, input)" if batch_first else "(time, trial, input)"
    if found.ndim != 3:
        symbols = "; of a model that is shown symbols, wrap the recurrent part by itself" if found.ndim == 2 else ""
        raise ValueError(f"inputs must have shape {order}, got {tuple(found.shape)}{symbols}")
    trials = (found if batch_first else found.transpose(0, 1)).to(torch.float64).contiguous()
    if trials.shape[0] < 2 or trials.shape[1] < 3 or not trials.shape[2]:
        raise ValueError(f"give at least 2 trials of 3 steps, so that a state can be seen, got {tuple(found.shape)}")
    if not torch.isfinite(trials).all():
        raise ValueError("inputs must be finite numbers")
    return trials


def _watched(model: nn.Module, trials: Tensor, batch_first: bool, name: str) -> Watched:
    try:
        with torch.random.fork_rng(devices=[]):
            return watch(model, trials if batch_first else trials.transpose(0, 1))
    except REFUSALS as error:
        shape = tuple(trials.shape) if batch_first else (trials.shape[1], trials.shape[0], trials.shape[2])
        raise ValueError(
            f"{name} cannot be called as model(inputs) with inputs of shape {shape} in double precision "
            f"({(str(error).splitlines() or [type(error).__name__])[0]:.200}): give inputs as it takes them, "
            "batch_first=False for (time, trial, input), or wrap its recurrent part by itself, rs.wrap(model.rnn)"
        ) from error


def _output(watched: Watched, n_trials: int, n_steps: int, batch_first: bool, name: str) -> tuple[int, bool, Tensor]:
    """(the number of the output among what the model returns, whether it is of the last step alone, the output)"""
    tensors = tensors_in(watched.result)
    steps = (n_trials, n_steps) if batch_first else (n_steps, n_trials)
    for last_only in (False, True):
        for which, tensor in enumerate(tensors):
            fits = len(tensor) == n_trials and tensor.ndim in (1, 2) if last_only else tuple(tensor.shape[:2]) == steps
            if fits and tensor.dtype == torch.float64 and (last_only or tensor.ndim in (2, 3)):
                return which, last_only, _trials_first(tensor, n_steps, batch_first, last_only)
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "no tensor"
    raise ValueError(
        f"{name} returns {shapes} for {n_trials} trials of {n_steps} steps: the output must have a row for each trial, "
        "at every step or at the last"
    )


def _trials_first(tensor: Tensor, n_steps: int, batch_first: bool, last_only: bool) -> Tensor:
    """(trial, time, output), or (trial, output) of the last step alone."""
    if last_only:
        return tensor.reshape(len(tensor), -1)
    sequence = tensor if tensor.ndim == 3 else tensor.unsqueeze(-1)
    return sequence if batch_first else sequence.transpose(0, 1)


def _start(part: Part, model: nn.Module) -> _Start:
    if part.initial is None:
        shapes = part.shapes
        return _Start([np.zeros(shape) for shape in shapes], "zeros")
    rows = [tensor.movedim(part.batch, 0).numpy() for tensor in part.initial]
    if any(not np.array_equal(row, np.broadcast_to(row[:1], row.shape)) for row in rows):
        raise ValueError(
            f"{part.path!r} starts every trial from another state, which the model makes of the inputs or at random: "
            "no map has that as its start. Give rs.wrap the part itself, and simulate with initial=..."
        )
    first = [row[0] for row in rows]
    if not any(row.any() for row in first):
        return _Start(first, "zeros")
    flat = np.concatenate([row.reshape(-1) for row in first])
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        held = value.reshape(-1).numpy()
        if np.array_equal(held, flat) or np.array_equal(held, first[0].reshape(-1)):
            return _Start(first, f"the model's {name!r}")
    return _Start(first, "a state of the model's own")


# -- maps that it may be, the plainest first ---------------------------------------------------------------------


def _attempts(seen: _Seen, starts: Sequence[_Start]) -> Iterator[Callable[[], _Attempt]]:
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


def _of_torch(seen: _Seen, starts: Sequence[_Start]) -> _Attempt:
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


def _of_cell(seen: _Seen, starts: Sequence[_Start]) -> _Attempt:
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


def _of_model(seen: _Seen, starts: Sequence[_Start], keep: bool) -> _Attempt:
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
    return _Attempt(found, lambda states: states[..., begin : begin + n_shown], _OWN_CODE, _OWN_CODE, False)


def _kept(seen: _Seen, part: Part) -> list[tuple[int, ...]]:
    """What a part returns beside its state, (unit,) each."""
    if part.is_fused:
        return []
    tensors = tensors_in(seen.watched.calls[part.path][0].result)
    return [tuple(tensor.shape[1:]) for index, tensor in enumerate(tensors) if index not in part.returns]


def _encoded(seen: _Seen, inner: CompleteMap, shown: Callable[[Array], Array], readout: str, closed: bool) -> _Attempt:
    given, input_size = seen.parts[0].given, seen.inputs.shape[-1]
    if given is not None and given.shape == seen.inputs.shape and torch.equal(given, seen.inputs):
        return _Attempt(inner, shown, "", readout, closed)
    path = None if given is None else _module_between(seen, seen.inputs, given)
    if path is not None:
        encoder, name = seen.model.get_submodule(path), path
    else:
        encoder, name = EncodedByModel(Intercepted(frozen_double(seen.model), seen.parts, seen.batch_first)), _OWN_CODE
    return _Attempt(EncodedMap(inner, encoder, input_size), shown, name, readout, closed)


def _readout(seen: _Seen, n_shown: int) -> tuple[nn.Module | None, str]:
    shown = seen.parts[-1].shown
    if seen.last_only:
        shown = shown[:, -1]
    if shown.shape == seen.outputs.shape and torch.equal(shown, seen.outputs):
        return None, ""
    path = _module_between(seen, shown, seen.outputs)
    if path is not None:
        return seen.model.get_submodule(path), path
    intercepted = Intercepted(frozen_double(seen.model), seen.parts, seen.batch_first)
    return ReadByModel(intercepted, None, seen.inputs.shape[-1], seen.which), _OWN_CODE


def _module_between(seen: _Seen, given: Tensor, returned: Tensor) -> str | None:
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


# -- the check ---------------------------------------------------------------------------------------------------


def _errors(
    found: _Attempt, inputs: Array, outputs: Array, last_only: bool, shown: Array, n_watched: int
) -> tuple[float, float]:
    """(of the outputs, of what the last part shows)"""
    start = found.map.initial_states(len(inputs), np.random.default_rng(0))
    states = found.map.unroll(start, inputs)
    read = found.map.readout(states) if found.map.readout_size else found.shown(states)
    read = read[:, -1] if last_only else read
    if read.shape != outputs.shape:
        raise ValueError(f"outputs of shape {read.shape} come out, {outputs.shape} are the model's")
    return float(np.abs(read - outputs).max()), float(np.abs(found.shown(states[:n_watched]) - shown).max())


def _through(name: str, nothing: str) -> str:
    return nothing if not name else f"through {name}" if name == _OWN_CODE else f"through {name!r}"
