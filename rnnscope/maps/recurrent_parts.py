"""Which parts of a model carry its state? Those that are given, at every step, what they returned at the last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnscope.maps.torch_modules import is_torch_recurrent, layers_from_torch
from rnnscope.maps.watched import Call, Watched, each_tensor, tensors_in


@dataclass(frozen=True)
class Slot:
    """The place of a state among the arguments of a part; `index` counts the tensors of its state."""

    index: int


class Other:
    """What else stands among the arguments."""


@dataclass(frozen=True)
class Part:
    """A part that carries state.

    Attributes:
        path: in the model.
        is_fused: whether it is torch's RNN, GRU or LSTM, called once for all steps; else it is called once a step.
        arguments: (positional, keyword) arguments, with a `Slot` for every tensor of the state.
        returns: of each tensor of the state, its number among the tensors that the part returns.
        shapes: of each tensor of the state, without the batch, which is axis `batch`.
        batch: see there.
        initial: the tensors of the state before the first step; None where none were given, which means zeros.
        given: what it is shown, (trial, time, unit); None where nothing but its state.
        shown: the first tensor that it returns, (trial, time, unit).
    """

    path: str
    is_fused: bool
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    returns: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    batch: int
    initial: tuple[Tensor, ...] | None
    given: Tensor | None
    shown: Tensor


class NotFound(ValueError):
    """No part of a model carries its state in a way that can be seen from outside."""


def recurrent_parts(model: nn.Module, watched: Watched, n_trials: int, n_steps: int) -> list[Part]:
    """The parts that carry state, in the order in which a step calls them; of one within another the outer one.

    Raises:
        NotFound: there is none; the message says what was seen.
        ValueError: a fused module is shown something else than all steps once.
    """
    found = []
    for path, calls in watched.calls.items():
        if any(path.startswith(f"{part.path}.") for part in found):
            continue
        module = model.get_submodule(path)
        if isinstance(module, nn.RNNBase) and is_torch_recurrent(module) and len(calls) == 1:
            found.append(_fused(path, module, calls[0], n_trials, n_steps))
        elif len(calls) == n_steps and (part := _stepped(path, calls, n_trials)) is not None:
            found.append(part)
    # A part is called after its own parts: the outer ones come later among the calls.
    outer = [part for part in found if not any(part.path.startswith(f"{other.path}.") for other in found)]
    if not outer:
        raise NotFound(_nothing(watched, n_steps))
    return outer


def _fused(path: str, module: nn.RNNBase, call: Call, n_trials: int, n_steps: int) -> Part:
    layers_from_torch(module)  # which says what it cannot read: two directions, a projection
    (given, *state), named = call.arguments[0] or (None,), call.arguments[1]
    given = named.get("input", given)
    hx = state[0] if state else named.get("hx")
    name = f"{type(module).__name__} at {path!r}"
    if not isinstance(given, Tensor):
        raise ValueError(
            f"{name} is shown a {type(given).__name__}: find the state with trials of one length, which need no packing"
        )
    wanted = (n_trials, n_steps) if module.batch_first else (n_steps, n_trials)
    if given.ndim != 3 or tuple(given.shape[:2]) != wanted:
        other = "; give batch_first=False if the model takes (time, trial, input)"
        raise ValueError(
            f"{name} is shown a sequence of shape {tuple(given.shape)}, not {wanted}, for inputs of {n_trials} trials "
            f"and {n_steps} steps{other if tuple(given.shape[:2]) == wanted[::-1] else ''}: give rs.wrap(...) the "
            "recurrent module itself"
        )
    out, *_ = tensors_in(call.result)
    n_tensors = 2 if isinstance(module, nn.LSTM) else 1
    slots: Any = (Slot(0), Slot(1)) if n_tensors == 2 else Slot(0)

    def trials_first(sequence: Tensor) -> Tensor:
        return sequence if module.batch_first else sequence.transpose(0, 1)

    return Part(
        path=path,
        is_fused=True,
        arguments=((Other(), slots), {}),
        returns=tuple(range(1, 1 + n_tensors)),
        shapes=((module.num_layers * (1 + module.bidirectional), module.hidden_size),) * n_tensors,
        batch=1,
        initial=None if hx is None else tuple(tensors_in(hx)),
        given=trials_first(given),
        shown=trials_first(out),
    )


def _stepped(path: str, calls: Sequence[Call], n_trials: int) -> Part | None:
    """The part, if it is given at every step what it returned at the step before."""
    returned = [tensors_in(call.result) for call in calls]
    returns: list[int] = []

    def slot(tensor: Tensor) -> Slot | Other:
        same = [index for index, other in enumerate(returned[0]) if _is_same(tensor, other)]
        if not same or tensor.ndim < 2 or len(tensor) != n_trials:
            return Other()
        if same[0] not in returns:
            returns.append(same[0])
        return Slot(returns.index(same[0]))

    arguments = _template(calls[1].arguments, slot)
    if not returns:
        return None
    places = _places(arguments)
    for before, call in zip(returned[1:], calls[2:], strict=False):
        now = tensors_in(call.arguments)
        if len(now) != len(places):
            return None
        for place, tensor in zip(places, now, strict=True):
            if isinstance(place, Slot) and not _is_same(tensor, before[returns[place.index]]):
                return None
    shown = [tensors[0] for tensors in returned]
    if any(tensor.shape != shown[0].shape or tensor.ndim != 2 for tensor in shown):
        return None
    first = _states_in(arguments, calls[0].arguments)
    given = [
        tensor
        for place, tensor in zip(places, tensors_in(calls[1].arguments), strict=True)
        if isinstance(place, Other) and tensor.ndim >= 2 and len(tensor) == n_trials
    ]
    sequence = None
    if given:
        index = next(i for i, tensor in enumerate(tensors_in(calls[1].arguments)) if tensor is given[0])
        # Before the first step there may be no state among the arguments, which comes after the input then.
        each = [tensors_in(call.arguments) for call in calls]
        if all(len(tensors) > index for tensors in each):
            sequence = torch.stack([tensors[index] for tensors in each], 1)
    return Part(
        path=path,
        is_fused=False,
        arguments=arguments,
        returns=tuple(returns),
        shapes=tuple(tuple(returned[0][index].shape[1:]) for index in returns),
        batch=0,
        initial=first,
        given=sequence,
        shown=torch.stack(shown, 1),
    )


def _is_same(tensor: Tensor, other: Tensor) -> bool:
    return tensor.shape == other.shape and torch.equal(tensor, other) and bool(tensor.any())


def _template(arguments: Any, slot: Any) -> Any:
    """The structure of the arguments, with a `Slot` or `Other` for every tensor, and `Other` for all else."""
    if isinstance(arguments, Tensor):
        return slot(arguments)
    if isinstance(arguments, tuple | list):
        return type(arguments)(_template(part, slot) for part in arguments)
    if isinstance(arguments, dict):
        return {name: _template(part, slot) for name, part in arguments.items()}
    return arguments


def _places(template: Any) -> list[Slot | Other]:
    if isinstance(template, Slot | Other):
        return [template]
    parts = template.values() if isinstance(template, dict) else template if isinstance(template, tuple | list) else ()
    return [place for part in parts for place in _places(part)]


def _states_in(template: Any, arguments: Any) -> tuple[Tensor, ...] | None:
    """The tensors that stand in the places of the state; None where there are none, as before a first step."""
    found: dict[int, Tensor] = {}

    def look(place: Any, value: Any) -> None:
        if isinstance(place, Slot):
            if isinstance(value, Tensor):
                found[place.index] = value
        elif isinstance(place, tuple | list) and isinstance(value, tuple | list):
            for inner, each in zip(place, value, strict=False):
                look(inner, each)
        elif isinstance(place, dict) and isinstance(value, dict):
            for name, inner in place.items():
                look(inner, value.get(name))

    look(template, arguments)
    return tuple(found[index] for index in sorted(found)) or None


def filled(template: Any, states: Sequence[Tensor], current: Any) -> Any:
    """Arguments with these states in their places, and what the part is given now in all others."""
    if isinstance(template, Slot):
        return states[template.index]
    if isinstance(template, tuple | list):
        now = current if isinstance(current, tuple | list) else ()
        rest = [now[i] if i < len(now) else None for i in range(len(template))]
        return type(template)(filled(part, states, each) for part, each in zip(template, rest, strict=True))
    if isinstance(template, dict):
        now = current if isinstance(current, dict) else {}
        return {**now, **{name: filled(part, states, now.get(name)) for name, part in template.items()}}
    return current


def replaced(result: Any, tensors: dict[int, Tensor]) -> Any:
    """What a part returned, with other tensors in the places of some."""
    count = -1

    def one(tensor: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return tensors.get(count, tensor)

    return each_tensor(one, result)


def _nothing(watched: Watched, n_steps: int) -> str:
    seen = ", ".join(f"{path} {len(calls)} times" for path, calls in list(watched.calls.items())[:8]) or "none"
    return (
        f"no part of the model is given at every one of the {n_steps} steps what it returned at the step before, and "
        f"none is torch's RNN, GRU or LSTM (called were: {seen}): the state is made between the parts, in forward. "
        "Give rs.wrap an object with a method step(h, x) -> h that does one step of it"
    )
