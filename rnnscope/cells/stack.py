"""Several networks of one shape as one: their weights on an axis in front, so that one operation serves all.

What costs time in a small network is not its arithmetic but the calls, a few microseconds each at every time step. A
stack makes each call once for all members.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnscope.cells.cell import CellModule, InitialState, Start
from rnnscope.cells.gru import GRUCell
from rnnscope.cells.gru_recurrence import unroll_gru
from rnnscope.cells.lstm import LSTMCell
from rnnscope.cells.lstm_recurrence import unroll_lstm
from rnnscope.cells.products import all_steps, by_steps
from rnnscope.cells.rate import RateCell
from rnnscope.cells.recurrence import unroll_rates

STACKABLE = (RateCell, GRUCell, LSTMCell)


def can_stack(modules: Sequence[CellModule]) -> bool:
    """Whether these cells differ in nothing but their numbers, and are of a kind that can be run together."""
    first = modules[0]
    return isinstance(first, STACKABLE) and all(_shape(each) == _shape(first) for each in modules)


def _shape(cell: CellModule) -> Any:
    """All that a cell is but for its numbers."""
    found = []
    for name, module in cast("nn.Module", cell).named_modules():
        plain = {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "training"}
        tensors = {**module._parameters, **module._buffers}
        shapes = {key: None if each is None else tuple(each.shape) for key, each in tensors.items()}
        trained = {key: each is not None and each.requires_grad for key, each in module._parameters.items()}
        found.append((name, type(module), str(plain), shapes, trained))
    return found


class StackedCell:
    """Cells of one shape, run together.

    Attributes:
        parameters: name -> the members' parameters, (member, ...), in the order of a cell's own.
    """

    def __init__(self, modules: Sequence[CellModule]) -> None:
        if not can_stack(modules):
            raise ValueError("these cells differ in more than their numbers, or are of a kind that runs alone")
        each = [cast("nn.Module", module) for module in modules]
        self.n_members = len(each)
        # A cell whose parameters have an axis more: what it computes from them, it computes for all.
        self._cell: Any = _blank(each[0])
        self.parameters: dict[str, nn.Parameter] = {}
        for name, parameter in each[0].named_parameters():
            values = torch.stack([module.get_parameter(name).detach() for module in each])
            stacked = nn.Parameter(values, requires_grad=parameter.requires_grad)
            _put(self._cell, name, stacked)
            self.parameters[name] = stacked
        for name, buffer in each[0].named_buffers():
            if buffer is not None:
                _put(self._cell, name, torch.stack([module.get_buffer(name) for module in each]))

    def initial_state(
        self, n_trials: int, generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "member trial state"]:
        """Each member's initial states, drawn from its own generator as it draws them alone."""
        start: InitialState = self._cell.start
        if start.kind == "learned":
            return start.value.unsqueeze(1).expand(-1, n_trials, -1)
        alone = InitialState(cast("Start", start.kind), start.state_size).to(start.value)
        return torch.stack([alone(n_trials, generator) for generator in generators])

    def unroll(
        self,
        inputs: Float[Tensor, "time member trial input"],
        state: Float[Tensor, "member trial state"],
        noise: Float[Tensor, "time member trial state"] | None = None,
    ) -> Float[Tensor, "time member trial state"]:
        """The states after each input."""
        d = self._cell.dynamics()
        match self._cell:
            case GRUCell():
                return unroll_gru(inputs, state, d.weight_in, d.weight, d.bias_in, d.bias, noise)
            case LSTMCell():
                return unroll_lstm(inputs, state, d.weight_in, d.weight, d.bias, noise)
        drive = all_steps(inputs) @ d.weight_in.mT
        if d.bias is not None:
            drive = drive + d.bias.unsqueeze(-2)
        return unroll_rates(
            by_steps(drive, len(inputs)),
            state,
            d.weight,
            nonlinearity=d.nonlinearity,
            keep=d.keep,
            gain=d.gain,
            noise=noise,
        )

    def project(self) -> None:
        """Move the parameters back to where they have a meaning."""
        self._cell.project()


def _blank(module: nn.Module) -> Any:
    """A copy of a module without its tensors."""
    copy = module.__new__(type(module))
    nn.Module.__init__(copy)
    for key, value in vars(module).items():
        if not key.startswith("_") or key in ("_flat_weights_names", "_all_weights"):
            copy.__dict__[key] = value
    for name, child in module.named_children():
        copy.add_module(name, _blank(child))
    for name in module._parameters:
        copy.register_parameter(name, None)
    for name in module._buffers:
        copy.register_buffer(name, None)
    return copy


def _put(module: nn.Module, name: str, value: Tensor) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        module = module.get_submodule(parent)
    if isinstance(value, nn.Parameter):
        module._parameters[last] = value
    else:
        module._buffers[last] = value
