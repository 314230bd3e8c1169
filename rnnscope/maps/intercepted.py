"""Single steps of a model that loops in its own forward: it runs for one step, with its state put in and taken out.

Hooks look for what to do in a context variable, so that threads that ask the same map do not meet.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnscope.maps.recurrent_parts import Part, filled, replaced
from rnnscope.maps.watched import in_double, tensors_in


@dataclass
class _Job:
    """What the hooks are to do in one run of the model."""

    states: Sequence[Sequence[Tensor]] | None = None  # of each part: to be put in its arguments
    results: dict[int, dict[int, Tensor]] = field(default_factory=dict)  # of a part: to be put in what it returns
    catch: bool = False  # stop before the first part, and keep what it is shown
    until: int = -1  # stop after so many parts have returned; never if -1
    returned: dict[int, list[Tensor]] = field(default_factory=dict)
    shown: Tensor | None = None


class _Done(Exception):
    """All that was asked for has been seen."""


_JOB: ContextVar[_Job | None] = ContextVar("_JOB", default=None)


def _before(index: int, part: Part, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    job = _JOB.get()
    if job is None:
        return None
    if job.catch:
        job.shown = tensors_in((given, named))[0]
        raise _Done
    if job.states is None:
        return None
    return filled(part.arguments[0], job.states[index], given), filled(part.arguments[1], job.states[index], named)


def _after(index: int, module: nn.Module, given: tuple[Any, ...], result: Any) -> Any:
    job = _JOB.get()
    if job is None:
        return None
    job.returned[index] = tensors_in(result)
    if job.until == len(job.returned):
        raise _Done
    return replaced(result, job.results[index]) if index in job.results else None


class Intercepted(nn.Module):
    """A model with hooks on its recurrent parts, that runs for one step at a time.

    Args:
        model: in double precision, and nobody else's.
        parts: the parts that carry state.
        batch_first: whether the model takes (trial, time, input).
    """

    def __init__(self, model: nn.Module, parts: Sequence[Part], batch_first: bool) -> None:
        super().__init__()
        self.model, self.parts, self.batch_first = model, tuple(parts), batch_first
        for index, part in enumerate(parts):
            module = model.get_submodule(part.path)
            module.register_forward_pre_hook(partial(_before, index, part), with_kwargs=True)
            module.register_forward_hook(partial(_after, index))

    def run(self, inputs: Tensor, job: _Job) -> Any:
        """Run the model for one step on inputs (batch, input); what it returns, None where it was stopped."""
        token = _JOB.set(job)
        try:
            with in_double():
                return self.model(inputs.unsqueeze(1 if self.batch_first else 0))
        except _Done:
            return None
        finally:
            _JOB.reset(token)


class EncodedByModel(nn.Module):
    """What the first recurrent part is shown of an input, by the model's own code before it."""

    def __init__(self, intercepted: Intercepted) -> None:
        super().__init__()
        self.intercepted = intercepted

    def forward(self, inputs: Tensor) -> Tensor:
        job = _Job(catch=True)
        self.intercepted.run(inputs, job)
        assert job.shown is not None
        return job.shown.reshape(len(inputs), job.shown.shape[-1])


class SteppedByModel(nn.Module):
    """The whole model as an object with `step(h, x) -> h`: the states of all its recurrent parts, end to end.

    Args:
        intercepted: the model.
        keep: whether to keep with the state all that the parts return beside it, for what comes after them.
    """

    def __init__(self, intercepted: Intercepted, keep: Sequence[Sequence[tuple[int, ...]]]) -> None:
        super().__init__()
        self.intercepted, self.keep = intercepted, tuple(tuple(shapes) for shapes in keep)
        self.sizes = [
            [int(torch.Size(shape).numel()) for shape in (*part.shapes, *kept)]
            for part, kept in zip(intercepted.parts, self.keep, strict=True)
        ]
        self.state_size = sum(map(sum, self.sizes))

    def step(self, h: Tensor, x: Tensor) -> Tensor:
        parts = self.intercepted.parts
        job = _Job(states=self.states_of(h), until=len(parts))
        self.intercepted.run(x, job)
        if len(job.returned) < len(parts):
            raise ValueError(
                f"the model calls {len(job.returned)} of its {len(parts)} recurrent parts in a single step"
            )
        new = []
        for index, (part, kept) in enumerate(zip(parts, self.keep, strict=True)):
            tensors = job.returned[index]
            new += [_flat(tensors[place], part.batch) for place in part.returns]
            new += [tensors[place].flatten(1) for place in _others(part, len(kept))]
        return torch.cat(new, -1)

    def states_of(self, h: Tensor) -> list[list[Tensor]]:
        """The state's tensors of each part, and after them what is kept."""
        found, start = [], 0
        for part, kept, sizes in zip(self.intercepted.parts, self.keep, self.sizes, strict=True):
            tensors = []
            for number, (shape, size) in enumerate(zip((*part.shapes, *kept), sizes, strict=True)):
                piece = h[:, start : start + size].reshape(len(h), *shape)
                tensors.append(piece.movedim(0, part.batch) if number < len(part.shapes) else piece)
                start += size
            found.append(tensors)
        return found


class ReadByModel(nn.Module):
    """What the model returns, by its own code after the recurrent parts, of given states.

    Args:
        intercepted: the model.
        stepping: how all states are laid out; None where only what the last part shows is given.
        input_size: of the model.
        which: the number of the output among the tensors that the model returns.
    """

    def __init__(self, intercepted: Intercepted, stepping: SteppedByModel | None, input_size: int, which: int) -> None:
        super().__init__()
        self.intercepted, self.stepping = intercepted, stepping
        self.input_size, self.which = input_size, which

    def forward(self, states: Tensor) -> Tensor:
        flat = states.reshape(-1, states.shape[-1])
        results = self._results(flat)
        found = self.intercepted.run(flat.new_zeros(len(flat), self.input_size), _Job(results=results))
        output = tensors_in(found)[self.which]
        if output.ndim == 3 and not self.intercepted.batch_first:
            output = output.transpose(0, 1)
        return output.reshape(*states.shape[:-1], output.shape[-1] if output.ndim > 1 else 1)

    def _results(self, flat: Tensor) -> dict[int, dict[int, Tensor]]:
        parts = self.intercepted.parts
        if self.stepping is None:
            last = parts[-1]
            return {len(parts) - 1: self._of_fused(last, flat) if last.is_fused else {0: flat}}
        found = {}
        for index, (part, tensors) in enumerate(zip(parts, self.stepping.states_of(flat), strict=True)):
            found[index] = dict(zip(part.returns, tensors, strict=False))
            others = _others(part, len(tensors) - len(part.returns))
            found[index] |= dict(zip(others, tensors[len(part.returns) :], strict=True))
            if part.is_fused:
                found[index] |= {0: self._of_fused(part, tensors[0][-1])[0]}
        return found

    def _of_fused(self, part: Part, shown: Tensor) -> dict[int, Tensor]:
        """The sequence that a fused module returns, of one step, and the h of its last layer."""
        module: Any = self.intercepted.model.get_submodule(part.path)
        n_layers = part.shapes[0][0]
        below = shown.new_zeros(n_layers - 1, *shown.shape)
        return {0: shown.unsqueeze(1 if module.batch_first else 0), 1: torch.cat([below, shown.unsqueeze(0)])}


def _others(part: Part, n: int) -> list[int]:
    """The numbers of the first n tensors that a part returns beside its state."""
    found, place = [], 0
    while len(found) < n:
        if place not in part.returns:
            found.append(place)
        place += 1
    return found


def _flat(tensor: Tensor, batch: int) -> Tensor:
    return tensor.movedim(batch, 0).flatten(1)
