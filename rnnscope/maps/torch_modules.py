"""torch's own recurrent modules, read into ours with the same weights."""

from typing import Any

import torch
from torch import Tensor, nn

from rnnscope.cells import GRU, LSTM, Vanilla
from rnnscope.cells.cell import Cell, CellModule
from rnnscope.maps.state_map import check_weights

_KINDS = (nn.RNNBase, nn.RNNCellBase)
_FORWARDS = [kind.forward for kind in (nn.RNN, nn.GRU, nn.LSTM, nn.RNNCell, nn.GRUCell, nn.LSTMCell)]


def is_torch_recurrent(module: Any) -> bool:
    """Whether `module` is one of torch's RNN, GRU, LSTM, or one of their cells."""
    # A subclass that steps in another way is something else, and is asked for its own step.
    return isinstance(module, _KINDS) and type(module).forward in _FORWARDS


def layers_from_torch(module: nn.Module) -> list[CellModule]:
    """One of our cells for each layer of the module, computing the same states: copies in double precision.

    Raises:
        ValueError: the module runs in both directions, or projects its state (an LSTM's `proj_size`).
    """
    if module._forward_pre_hooks or module._forward_hooks:
        raise ValueError(
            f"this {type(module).__name__} has hooks, which change what it computes (the old weight_norm has one): "
            "remove them, or use torch.nn.utils.parametrizations.weight_norm"
        )
    if not isinstance(module, nn.RNNBase):
        return [cell_with_torch_weights(module, "")[1]]
    name = type(module).__name__
    if module.bidirectional:
        raise ValueError(
            f"this {name} is bidirectional: its state at a time depends on the future, so it is no map "
            "h -> h'. Analyse one direction: copy its weights into a module with bidirectional=False"
        )
    if module.proj_size:
        raise ValueError(
            f"this {name} projects its state (proj_size={module.proj_size}), which is not supported: "
            "supply an object with step(h, x) -> h"
        )
    return [cell_with_torch_weights(module, f"_l{layer}")[1] for layer in range(module.num_layers)]


def cell_with_torch_weights(module: nn.Module, suffix: str) -> tuple[Cell, CellModule]:
    """The settings and the module of ours that equal one layer of torch's, in double precision; `suffix` names
    it ("_l0", "" for a cell)."""

    def own(name: str) -> Tensor:  # as the module has it now: it may be computed, as under weight norm
        value: Tensor = getattr(module, name + suffix)
        check_weights(name + suffix, value)
        return value.detach().to("cpu", torch.float64)

    weight_in, weight = own("weight_ih"), own("weight_hh")
    units, input_size = weight.shape[1], weight_in.shape[1]
    has_bias = bool(module.bias)
    zero = weight.new_zeros(len(weight))
    bias_in = own("bias_ih") if has_bias else zero
    bias = own("bias_hh") if has_bias else zero
    cell: Cell
    if isinstance(module, nn.RNN | nn.RNNCell):
        cell = Vanilla(units, nonlinearity="relu" if module.nonlinearity == "relu" else "tanh", bias=has_bias)
        values = {"weights.weight_in": weight_in, "weights.weight": weight}
        if has_bias:
            values["weights.bias"] = bias_in + bias
    else:
        cell = GRU(units) if isinstance(module, nn.GRU | nn.GRUCell) else LSTM(units)
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        values = {f"rnn.{n}": v for n, v in zip(names, (weight_in, weight, bias_in, bias), strict=True)}
    ours: Any = cell.build(input_size, torch.Generator())  # its own generator: the global one is the user's
    ours.to(torch.float64).requires_grad_(False).eval()
    with torch.no_grad():
        parameters = dict(ours.named_parameters())
        for name, value in values.items():
            parameters[name].copy_(value)
    return cell, ours
