"""Where is the state of a model that loops in its own forward?"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rnnscope.maps.called_cell import REFUSALS, check_no_hooks
from rnnscope.maps.candidate_maps import OWN_CODE, Candidate, Seen, candidates, start_of
from rnnscope.maps.recurrent_parts import recurrent_parts
from rnnscope.maps.state_map import CompleteMap, frozen_double
from rnnscope.maps.watched import Watched, in_double, tensors_in, watch

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
    # As many outputs as steps: those of the last step alone have as many for shorter trials, too.
    shorter = _watched(frozen_double(model), few[:, :-1], batch_first, name)
    which, last_only, outputs = _output(watched, shorter, len(few), n_steps, batch_first, name)
    seen = Seen(copy, parts, watched, few, batch_first, which, outputs, last_only)
    starts = [start_of(part, copy) for part in parts]
    wanted = _repeatable(frozen_double(model), trials if batch_first else trials.transpose(0, 1), which, name)
    wanted_outputs = _trials_first(wanted, n_steps, batch_first, last_only).numpy()
    # What the last part shows is compared on the trials that were watched, outputs on all.
    best = None
    for make in candidates(seen, starts):
        try:
            found = make()
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
        if found is not None and state_error <= ALLOWED:
            raise ValueError(
                f"in this {name} {', '.join(described)} carry the state, but its output depends on more than the state "
                f"after a step ({differs}): on the input itself, as around a residual connection, or on other steps. "
                f"Wrap the part without a readout, rs.wrap(model.{parts[-1].path})"
            )
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


def _repeatable(model: nn.Module, inputs: Tensor, which: int, name: str) -> Tensor:
    """The output of the model, which must be the same when it is called again."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]), in_double():
        first = tensors_in(model(inputs))[which]
        try:
            same = torch.equal(tensors_in(model(inputs))[which], first)
        except REFUSALS:
            same = False
    if not same:
        raise ValueError(
            f"{name} gives other outputs when it is called again with the same inputs: it keeps its state from call to "
            "call, or draws random numbers in evaluation mode too. Let every call start anew, without noise"
        )
    return first


def _output(
    watched: Watched, shorter: Watched, n_trials: int, n_steps: int, batch_first: bool, name: str
) -> tuple[int, bool, Tensor]:
    """(the number of the output among what the model returns, whether it is of the last step alone, the output)"""
    tensors = tensors_in(watched.result)
    steps = (n_trials, n_steps) if batch_first else (n_steps, n_trials)
    for last_only in (False, True):
        for which, (tensor, of_shorter) in enumerate(zip(tensors, tensors_in(shorter.result), strict=False)):
            if tensor.dtype != torch.float64 or tensor.ndim not in (1, 2, 3):
                continue
            at_steps = tensor.ndim > 1 and tuple(tensor.shape[:2]) == steps and of_shorter.shape != tensor.shape
            if at_steps if not last_only else len(tensor) == n_trials and tensor.ndim < 3:
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


def _errors(
    found: Candidate, inputs: Array, outputs: Array, last_only: bool, shown: Array, n_watched: int
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
    return nothing if not name else f"through {name}" if name == OWN_CODE else f"through {name!r}"
