"""Interventions in models of other people, through traces of their own forward pass (nnsight).

A network whose step is known is a map: `rs.as_subject(model).under(...)` is faster and takes every analysis. What is
here is for models that loop over cells in their own forward and do more than a map says: feed outputs back, switch
between cells, stop early. It is the only file that imports nnsight, when it is first needed.
"""

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnscope.maps.layout import Part
from rnnscope.subjects.interventions.changed import check_in_trials, in_rows, rows_of
from rnnscope.subjects.interventions.of_inputs import MixInputs
from rnnscope.subjects.interventions.of_state import Ablate, OfState, Patch, Situation
from rnnscope.subjects.interventions.of_weights import OfWeights, change_cells
from rnnscope.subjects.not_applicable import NotApplicable

# nnsight reads the source of the trace that is running, and keeps it in one place for all threads.
_ONE_AT_A_TIME = threading.Lock()
# What an edit is tried with, to see whether it reaches later steps.
PUSH = 0.1


@dataclass(frozen=True, eq=False)
class TracedRun:
    """What a model did.

    Attributes:
        states: of all cells side by side after each call, (trial, call, state), float64.
        outputs: what the model returned.
    """

    states: Float[np.ndarray, "trial call state"]
    outputs: Any

    def __repr__(self) -> str:
        n_trials, n_calls, n = self.states.shape
        return f"TracedRun(n_trials={n_trials}, n_calls={n_calls}, state_size={n})"


class Traced:
    """A model whose cells are read and changed while its own forward runs.

    Args:
        model: any torch module. It is copied; nothing reaches the user's.
        cells: where in it the cells are, as `model.get_submodule` names them ("cell", "encoder.rnn.0"), the first layer
            first. Each is called once a step, and returns its state as a tensor, or as a tuple (h, c).
        inputs: an example of what the model is called with, as one tensor or a tuple of arguments.

    Raises:
        ValueError: no such cell; cells that are called unequally often, or never.
        NotApplicable: a change of what the cell returns does not reach the next call, as of a fused `nn.LSTM`.

    Example:
        >>> import torch, rnnscope as rs
        >>> class Loop(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.cell = torch.nn.GRUCell(2, 4)
        ...     def forward(self, x):
        ...         h = torch.zeros(len(x), 4)
        ...         for t in range(x.shape[1]):
        ...             h = self.cell(x[:, t], h)
        ...         return h
        >>> traced = rs.Traced(Loop(), "cell", inputs=torch.zeros(3, 5, 2))
        >>> found = traced.run(torch.ones(3, 5, 2), rs.interventions.Ablate(units=1, times=4))
        >>> found.states[:, 4, 1].tolist()
        [0.0, 0.0, 0.0]
    """

    def __init__(self, model: nn.Module, cells: str | Sequence[str], *, inputs: Any) -> None:
        self._model = copy.deepcopy(model).eval()
        self._paths = [cells] if isinstance(cells, str) else list(cells)
        for path in self._paths:
            self._check_is_cell(path)
        arguments = _arguments(inputs)
        shapes = self._watched(arguments)
        self.layout = _layout(shapes)
        self.state_size = self.layout[-1].stop
        self._check_reaches_later_steps(arguments)

    def __repr__(self) -> str:
        return f"Traced({type(self._model).__name__}, cells={self._paths}, state_size={self.state_size})"

    def run(self, inputs: Any, *interventions: Any, seed: int = 0) -> TracedRun:
        """Call the model, under interventions; `times` count the calls of a cell, from 0.

        A mean is that of the states of these trials.

        Raises:
            ValueError, TypeError: an intervention that does not fit. NotApplicable: weights that are not known.
        """
        arguments = _arguments(inputs)
        n_calls = len(self._watched(arguments, count=True)[0])
        n_trials = len(arguments[0])
        given = arguments
        intact = cache(lambda: self._traced(self._model, given, None).states)
        situations = [
            Situation(
                self.layout,
                lambda: intact().mean((0, 1)),
                (n_trials, n_calls),
                intact,
                np.random.default_rng([seed, 0x1A7, number]),
            )
            for number in range(len(interventions))
        ]
        model = self._model
        changes = []
        for each, there in zip(interventions, situations, strict=True):
            check_in_trials(each, there, np.ones((n_trials, n_calls), bool))
            if isinstance(each, OfWeights):
                model = copy.deepcopy(model) if model is self._model else model
                cells = [model.get_submodule(path) for path in self._paths]
                change_cells(cells, [part.n_units for part in self.layout if part.name == "h"], each)
            elif isinstance(each, MixInputs):
                shown = each.shown(arguments[0].detach().cpu().double().numpy(), there)
                arguments = (torch.as_tensor(shown).to(arguments[0]), *arguments[1:])
            elif isinstance(each, OfState):
                changes.append((each, there))
            else:
                raise TypeError(f"an intervention is one of rs.interventions, as Ablate(units=[3]); got {each!r:.60}")

        # Before the trace under interventions: one cannot run inside another.
        if any(isinstance(each, Patch) or (isinstance(each, Ablate) and each.to != "zero") for each, _ in changes):
            intact()
        # One edit a step: noise is drawn once for all cells.
        now: dict[int, list[Any]] = {}

        def change(step: int, part: slice, new: Float[np.ndarray, "trial unit"]) -> Float[np.ndarray, "trial unit"]:
            if step not in now:
                now.clear()
                now[step] = [
                    (each.edit(there, step), rows_of(each))
                    for each, there in changes
                    if each.times is None or step in each.times
                ]
            for edit, rows in now[step]:
                new = in_rows(edit.part(part), rows, new)
            return new

        return self._traced(model, arguments, change if changes else None)

    def _traced(
        self,
        model: nn.Module,
        arguments: tuple[Any, ...],
        change: Callable[[int, slice, np.ndarray], np.ndarray] | None,
    ) -> TracedRun:
        n_calls = len(self._watched(arguments, count=True)[0])
        layers = [[part for part in self.layout if part.layer == layer] for layer in range(len(self._paths))]
        states, outputs = [np.empty((n_calls, len(arguments[0]), self.state_size)), None]

        def edit(step: int, layer: int, output: Any) -> Any:
            values = list(output) if isinstance(output, tuple) else [output]
            parts = layers[layer]
            there = slice(parts[0].start, parts[-1].stop)
            old = torch.cat([value.detach() for value in values[: len(parts)]], 1).cpu().double().numpy()
            new = old if change is None else change(step, there, old)
            states[step, :, there] = new
            if new is not old:
                for k, part in enumerate(parts):
                    own = new[:, part.start - there.start : part.stop - there.start]
                    values[k] = torch.from_numpy(np.ascontiguousarray(own)).to(values[k])
            return tuple(values) if isinstance(output, tuple) else values[0]

        with _ONE_AT_A_TIME, torch.no_grad():
            outputs = _trace(model, arguments, self._paths, n_calls, edit)
        return TracedRun(states.swapaxes(0, 1), outputs)

    def _check_is_cell(self, path: str) -> None:
        try:
            cell = self._model.get_submodule(path)
        except AttributeError:
            known = ", ".join(name for name, _ in self._model.named_modules() if name) or "none"
            raise ValueError(f"this {type(self._model).__name__} has no part {path!r}; it has {known}") from None
        if isinstance(cell, nn.RNNBase):
            raise NotApplicable(
                f"{path!r} is a fused {type(cell).__name__}: it returns all steps at once, so that a change of what it "
                "returns reaches no later step. Use rs.as_subject(module).under(...), which unrolls it"
            )

    def _watched(self, arguments: tuple[Any, ...], count: bool = False) -> list[list[tuple[int, ...]]]:
        """For each cell the sizes of what it returned, at each call."""
        found: list[list[tuple[int, ...]]] = [[] for _ in self._paths]
        hooks = []

        def watch(calls: list[tuple[int, ...]]) -> Callable[..., None]:
            def note(_module: nn.Module, _given: Any, output: Any) -> None:
                parts = output if isinstance(output, tuple) else (output,)
                if not all(isinstance(part, Tensor) and part.ndim == 2 for part in parts):
                    raise NotApplicable(
                        "a cell must return its state as a tensor (trial, unit), or as a tuple of such; "
                        f"this one returned {[getattr(part, 'shape', type(part)) for part in parts]}"
                    )
                calls.append(tuple(part.shape[1] for part in parts))

            return note

        model = copy.deepcopy(self._model)
        for path, calls in zip(self._paths, found, strict=True):
            hooks.append(model.get_submodule(path).register_forward_hook(watch(calls)))
        with torch.no_grad():
            model(*arguments)
        for hook in hooks:
            hook.remove()
        numbers = [len(calls) for calls in found]
        if min(numbers) == 0 or len(set(numbers)) > 1:
            calls = ", ".join(f"{path!r} {n} times" for path, n in zip(self._paths, numbers, strict=True))
            raise ValueError(f"every cell must be called once a step; called were {calls}")
        if not count and any(len(set(calls)) > 1 for calls in found):
            raise ValueError(f"a cell must return states of one size; sizes were {found}")
        return found

    def _check_reaches_later_steps(self, arguments: tuple[Any, ...]) -> None:
        intact = self._traced(self._model, arguments, None).states
        if intact.shape[1] < 2:
            return
        for part in self.layout:
            there = slice(part.start, part.stop)

            def push(step: int, at: slice, new: np.ndarray, there: slice = there) -> np.ndarray:
                if step or not at.start <= there.start < at.stop:
                    return new
                pushed = new.copy()
                pushed[:, there.start - at.start : there.stop - at.start] += PUSH
                return pushed

            moved = self._traced(self._model, arguments, push).states
            if np.array_equal(moved[:, 1:], intact[:, 1:]):
                raise NotApplicable(
                    f"a change of {part.name!r} of {self._paths[part.layer]!r} reaches no later step: what it returns "
                    "is not what it is given at the next. Name the module whose output goes back into it"
                )


def _trace(
    model: nn.Module,
    arguments: tuple[Any, ...],
    paths: Sequence[str],
    n_calls: int,
    edit: Callable[[int, int, Any], Any],
) -> Any:
    """The model's outputs; `edit` is given what each cell returns at each call, and says what it is to return."""
    try:
        from nnsight import NNsight
    except ImportError as error:
        raise ImportError("traces need nnsight: pip install 'rnnscope[interventions]'") from error

    wrapped: Any = NNsight(model)
    cells = [wrapped.get(path) for path in paths]
    made = 0
    with wrapped.trace(*arguments) as tracer:
        for _ in tracer.iter[:n_calls]:
            for layer, cell in enumerate(cells):
                cell.output = edit(made, layer, cell.output)
            made += 1
        outputs = wrapped.output.save()
    return outputs


def _arguments(inputs: Any) -> tuple[Any, ...]:
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    if not arguments or not isinstance(arguments[0], Tensor):
        raise TypeError(f"give what the model is called with, its first argument a tensor, got {type(inputs).__name__}")
    return arguments


def _layout(shapes: list[list[tuple[int, ...]]]) -> tuple[Part, ...]:
    parts, start = list[Part](), 0
    for layer, calls in enumerate(shapes):
        for name, size in zip(("h", "c"), calls[0], strict=False):
            parts.append(Part(layer, name, start, start + size))
            start += size
    return tuple(parts)
