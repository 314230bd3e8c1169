"""The vanilla (Elman) cell, h' = f(W h + W_in u + b)."""

import torch
from torch import nn

from rnnscope.cells.cell import Cell, Start, Units, uniform
from rnnscope.cells.rate import RateCell, RateDynamics
from rnnscope.cells.recurrence import Nonlinearity
from rnnscope.tasks.settings import settings_class


@settings_class
class Vanilla(Cell):
    """h' = f(W h + W_in u + b).

    Args:
        units: the number of units.
        nonlinearity: f; "tanh", "relu", "leaky_relu" (slope .01) or "identity".
        bias: whether there is a bias b.
        start: where trials start; see `InitialState`.

    Weights are drawn as torch's `nn.RNN` draws them, U(-1, 1) / sqrt(units).
    """

    units: Units
    nonlinearity: Nonlinearity = "tanh"
    bias: bool = True
    start: Start = "zero"

    @classmethod
    def examples(cls) -> "tuple[Vanilla, ...]":
        return (
            *(cls(5, nonlinearity=f) for f in ("tanh", "relu", "leaky_relu", "identity")),
            cls(4, bias=False, start="random"),
            cls(1),
        )

    def build(self, input_size: int, generator: torch.Generator | None = None) -> RateCell:
        weights = _VanillaWeights(input_size, self.units, self.bias, self.nonlinearity, generator)
        return RateCell(weights, input_size, self.units, self.start)


class _VanillaWeights(nn.Module):
    def __init__(
        self, input_size: int, units: int, bias: bool, nonlinearity: str, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        bound = units**-0.5
        self.nonlinearity = nonlinearity
        self.weight_in = uniform((units, input_size), bound, generator)
        self.weight = uniform((units, units), bound, generator)
        # Twice, as torch has an input and a state bias: their sum is what acts, and its scale is kept.
        self.bias = uniform((units,), bound * 2**0.5, generator) if bias else None

    def dynamics(self) -> RateDynamics:
        return RateDynamics(self.weight_in, self.weight, self.bias, self.nonlinearity)

    def project(self) -> None:
        pass
