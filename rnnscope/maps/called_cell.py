"""Cells that are called, as torch's own are: module(x, state) -> the next state, or (output, the next state)."""

import inspect
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from rnnscope.maps.state_map import frozen_double

# What a module may raise that is called in a way that it was not made for.
REFUSALS = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError, AssertionError)
_ROWS = 3  # states that a cell is tried with: more than two, so that no batch is mistaken for the pair (h, c)
_ALIKE = 1e-9  # relative: rows that are computed together round otherwise than one by one


@dataclass(frozen=True)
class Layout:
    """How a cell lays out what it is given and what it returns.

    Attributes:
        parts: the shapes of the state's parts, without the batch.
        is_tuple: whether the state is a tuple of these; else it is one tensor.
        has_output: whether the cell returns (output, state).
        output: the shape of this output; () where there is none.
        shows_first: whether this output is the first part of the next state.
    """

    parts: tuple[tuple[int, ...], ...]
    is_tuple: bool
    has_output: bool
    output: tuple[int, ...] = ()
    shows_first: bool = False


class CalledCell(nn.Module):
    """A called cell as an object with `step(h, x) -> h`: the parts of its state are flattened and laid end to end.

    Args:
        cell: module(x, state) -> state, or (output, state), batched over the first axis; in double precision.
        layout: how its state is laid out.
        keep_output: whether to lay the output beside the state, which does not depend on it: what a readout is shown
            must be part of the state.
    """

    def __init__(self, cell: nn.Module, layout: Layout, keep_output: bool) -> None:
        super().__init__()
        self.cell, self.layout, self.keep_output = cell, layout, keep_output
        self.sizes = [_numbers(shape) for shape in layout.parts]
        self.kept = _numbers(layout.output) if keep_output else 0
        self.state_size = sum(self.sizes) + self.kept

    @property
    def shown(self) -> slice:
        """Where the numbers stand that a readout takes: the output if it is kept, else the first part, torch's h."""
        return slice(self.state_size - self.kept, self.state_size) if self.kept else slice(0, self.sizes[0])

    def step(self, h: Tensor, x: Tensor) -> Tensor:
        output, state = returned(self.cell(x, self.state_of(h)), self.layout)
        return self.flat(state, output)

    def state_of(self, h: Tensor) -> Tensor | tuple[Tensor, ...]:
        """A flat state, (batch, state), as the cell takes it."""
        pieces = torch.split(h, [*self.sizes, self.kept], -1)
        parts = [part.reshape(len(h), *shape) for part, shape in zip(pieces, self.layout.parts, strict=False)]
        return tuple(parts) if self.layout.is_tuple else parts[0]

    def flat(self, state: Tensor | Sequence[Tensor], output: Tensor | None) -> Tensor:
        parts = [state] if isinstance(state, Tensor) else list(state)
        parts += [output] if self.keep_output and output is not None else []
        return torch.cat([part.flatten(1) for part in parts], -1)


def is_called_cell(module: Any) -> bool:
    """Whether a module can be called as module(x, state), and needs no more than that."""
    if not isinstance(module, nn.Module):
        return False
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return False
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return len(places) >= 2 and len(needed) <= 2


def called_cell(module: nn.Module, input_size: int, example: Any, keep_output: bool) -> CalledCell:
    """A copy of the cell in double precision as an object with `step`, and its layout, found by calling the copy.

    Args:
        module: the cell, which is left as it is.
        input_size: numbers in an input.
        example: the state that trials start from, or its parts, without gradients; None for that of the cell's own
            making, which must be zeros.
        keep_output: whether a readout is to be shown the output of a cell that returns (output, state).

    Raises:
        ValueError: no state can be found, or the next one depends on more than the last one and the input: on earlier
            calls, on random numbers, on the other trials of the batch.
    """
    name = type(module).__name__
    check_no_hooks(module)
    cell = frozen_double(module)
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64) - 0.5

    # What it draws at random is drawn from a copy of the user's generator.
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        first = _first_return(cell, name, drawn(_ROWS, input_size), example)
        fits = [layout for layout in _layouts(first) if _goes_round(cell, layout, drawn(_ROWS, input_size), drawn)]
        if not fits:
            raise ValueError(
                f"{name} does not take back the state that it returns ({_described(first)}): it must be called as "
                "module(x, state), batched over the first axis, and return the next state (a tensor or a tuple of "
                "tensors), or (output, state). If it runs over whole trials, rs.find_state(module, inputs) looks into "
                f"it. {_REMEDY}"
            )
        found = fits[0]
        inputs, state = drawn(_ROWS, input_size), _state(found, drawn)
        output, new = returned(cell(inputs, state), found)
        if output is not None:
            found = Layout(
                found.parts,
                found.is_tuple,
                True,
                tuple(output.shape[1:]),
                shows_first=torch.equal(output, _parts(new)[0]),
            )
        stepping = CalledCell(cell, found, keep_output and found.has_output and not found.shows_first).eval()
        _check_is_a_map(stepping, name, drawn(_ROWS, stepping.state_size), inputs, drawn)
        if example is None:
            _check_starts_from_zeros(stepping, name, inputs)
    return stepping


def check_no_hooks(module: nn.Module) -> None:
    """Raises ValueError where a module or one of its parts has hooks: they run in every call, and may keep or change
    what they see."""
    for path, part in module.named_modules():
        if part._forward_pre_hooks or part._forward_hooks:
            where = f" (in its part {path!r})" if path else ""
            raise ValueError(
                f"this {type(module).__name__} has hooks{where}, which change what it computes (the old weight_norm "
                "has one): remove them, or use torch.nn.utils.parametrizations.weight_norm"
            )


@runtime_checkable
class _TellsHiddenSize(Protocol):
    hidden_size: int


_REMEDY = "Give an object with a method step(h, x) -> h instead, which keeps all that it needs in h"


def _first_return(cell: nn.Module, name: str, inputs: Tensor, example: Any) -> Any:
    """What the cell returns in its first call: from the example, else from the state that it makes itself, else from
    zeros of its `hidden_size`."""
    reason = ""
    for given in _first_states(cell, example):
        try:
            return cell(inputs, *given)
        except REFUSALS as error:
            reason = reason or (str(error).splitlines() or [type(error).__name__])[0]
    raise ValueError(
        f"{name} cannot be called with inputs of shape {tuple(inputs.shape)} in double precision ({reason:.200}): "
        "if it does not make its first state itself, give one, as in rs.wrap(module, initial=h0) or initial=(h0, c0), "
        f"and check input_size = {inputs.shape[1]}; if it runs over whole trials, rs.find_state(module, inputs) looks "
        f"into it. {_REMEDY}"
    )


def _first_states(cell: nn.Module, example: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = [()]
    if example is not None:
        is_tuple = isinstance(example, tuple | list) and all(map(np.ndim, example))
        # What is no array of numbers is refused by whoever was given it.
        with suppress(TypeError, ValueError):
            parts = [torch.as_tensor(np.array(part, np.float64)) for part in (example if is_tuple else [example])]
            rows = [part[None] if part.ndim < 2 else part[:1] for part in parts]
            tried = tuple(row.expand(_ROWS, *row.shape[1:]) for row in rows)
            found.append((tried if is_tuple else tried[0],))
    if isinstance(cell, _TellsHiddenSize) and isinstance(cell.hidden_size, int):
        zeros = torch.zeros(_ROWS, cell.hidden_size, dtype=torch.float64)
        found += [(zeros,), ((zeros, zeros),)]
    return found


def _layouts(result: Any) -> list[Layout]:
    """What the first return may mean, the simplest first; a pair of tensors may be a state (h, c), or an output and a
    state."""

    def shapes(parts: Sequence[Tensor]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(part.shape[1:]) for part in parts)

    if _is_part(result):
        return [Layout(shapes([result]), False, False)]
    if not isinstance(result, tuple | list) or not result:
        return []
    found = [Layout(shapes(result), True, False)] if all(map(_is_part, result)) else []
    if len(result) == 2 and _is_part(result[0]):
        state = result[1]
        if _is_part(state):
            found.append(Layout(shapes([state]), False, True))
        elif isinstance(state, tuple | list) and state and all(map(_is_part, state)):
            found.append(Layout(shapes(state), True, True))
    return found


def _is_part(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim >= 2 and len(value) == _ROWS and value.dtype == torch.float64


def returned(result: Any, layout: Layout) -> tuple[Tensor | None, Any]:
    """(the output if there is one, the next state)"""
    return (result[0], result[1]) if layout.has_output else (None, result)


def _goes_round(cell: nn.Module, layout: Layout, inputs: Tensor, drawn: Any) -> bool:
    """Whether the cell takes such a state, returns one of the same shapes, and treats every row for itself."""
    state = _state(layout, drawn)
    try:
        new = returned(cell(inputs, state), layout)[1]
        alone = returned(cell(inputs[:1], _first_row(state)), layout)[1]
    except REFUSALS:
        return False
    if isinstance(new, Tensor) == layout.is_tuple or not isinstance(new, Tensor | tuple | list):
        return False
    parts, alone = _parts(new), _parts(alone)
    shapes = tuple(tuple(part.shape[1:]) for part in parts if _is_part(part))
    # A tensor of rows taken for a pair of states is seen by this: row 0 would stand for all of h.
    return shapes == layout.parts and all(len(part) == 1 for part in alone)


def _state(layout: Layout, drawn: Any) -> Any:
    parts = tuple(drawn(_ROWS, *shape) for shape in layout.parts)
    return parts if layout.is_tuple else parts[0]


def _first_row(state: Any) -> Any:
    return state[:1] if isinstance(state, Tensor) else tuple(part[:1] for part in state)


def _check_is_a_map(stepping: CalledCell, name: str, h: Tensor, x: Tensor, drawn: Any) -> None:
    before, counts = stepping.step(h, x), _counts(stepping.cell)
    for _ in range(3):
        stepping.step(drawn(*h.shape), drawn(*x.shape))
    torch.manual_seed(0)
    again = stepping.step(h, x)
    torch.manual_seed(0)
    if not torch.equal(again, stepping.step(h, x)) or not torch.equal(again, before):
        torch.manual_seed(1)
        other = stepping.step(h, x)
        torch.manual_seed(1)
        random = torch.equal(other, stepping.step(h, x)) and not torch.equal(other, again)
        why = (
            "it draws random numbers, in evaluation mode too"
            if random
            else "it keeps something from call to call, as a count of steps or an earlier state"
        )
        raise ValueError(f"{name} gives another state when it is called again with the same: {why}. {_REMEDY}")
    changed = [key for key, value in _counts(stepping.cell).items() if value != counts.get(key)]
    if changed:
        raise ValueError(
            f"{name} changes its {changed[0]!r} in every call: what it computes may depend on how often it was called. "
            f"{_REMEDY}"
        )
    one_by_one = torch.cat([stepping.step(h[i : i + 1], x[i : i + 1]) for i in range(len(h))])
    if not torch.allclose(before, one_by_one, rtol=_ALIKE, atol=_ALIKE):
        raise ValueError(
            f"{name} mixes the trials of a batch: the state of one depends on the others. {_REMEDY}, "
            "each row for itself"
        )


def _check_starts_from_zeros(stepping: CalledCell, name: str, x: Tensor) -> None:
    try:
        output, own = returned(stepping.cell(x), stepping.layout)
    except REFUSALS:
        return  # it makes no first state itself
    from_zeros = stepping.step(torch.zeros(len(x), stepping.state_size, dtype=torch.float64), x)
    if not torch.allclose(stepping.flat(own, output), from_zeros, rtol=_ALIKE, atol=_ALIKE):
        raise ValueError(
            f"{name} starts from a state of its own that is not zeros when it is given none: give that state, as in "
            "rs.wrap(module, initial=module.h0)"
        )


def _counts(cell: nn.Module) -> dict[str, Any]:
    """Plain numbers and buffers that a cell carries, by which it could count its calls."""
    found: dict[str, Any] = {name: value.tolist() for name, value in cell.named_buffers()}
    for path, part in cell.named_modules():
        for name, value in vars(part).items():
            if isinstance(value, int | float):
                found[f"{path}.{name}".lstrip(".")] = value
    return found


def _parts(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple | list) else [state]


def _numbers(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())


def _described(result: Any) -> str:
    if isinstance(result, Tensor):
        return f"a tensor of shape {tuple(result.shape)} for {_ROWS} inputs"
    if isinstance(result, tuple | list):
        return f"{type(result).__name__} of {', '.join(_described(each) for each in result)}"[:200]
    return f"a {type(result).__name__}"
