"""The low-rank cell: connectivity W = M N^T / units (Mastrogiuseppe & Ostojic 2018; Dubreuil et al. 2022)."""

import torch
from pydantic import model_validator
from torch import nn

from rnnscope.cells.cell import Cell, Start, Units, uniform
from rnnscope.cells.rate import RateCell, RateDynamics
from rnnscope.cells.recurrence import Nonlinearity
from rnnscope.tasks.settings import settings_class


@settings_class
class LowRank(Cell):
    """h' = (1 - 1/tau) h + f(M N^T h / units + W_in u + b) / tau, with M and N (units, rank).

    Args:
        units: the number of units.
        rank: the rank of the connectivity, at most `units`.
        tau: the time constant shared by all units, in steps, at least 1; with 1 there is no leak.
        nonlinearity: f.
        start: where trials start.
    """

    units: Units
    rank: int
    tau: float = 1.0
    nonlinearity: Nonlinearity = "tanh"
    start: Start = "zero"

    @classmethod
    def examples(cls) -> "tuple[LowRank, ...]":
        return (
            cls(6, rank=2),
            cls(6, rank=2, tau=2.5),
            cls(5, rank=5, tau=1.5, nonlinearity="relu"),
        )

    @model_validator(mode="after")
    def _check(self) -> "LowRank":
        if not 1 <= self.rank <= self.units:
            raise ValueError(f"rank must be between 1 and the number of units ({self.units}), got {self.rank}")
        if self.tau < 1:
            raise ValueError(f"tau must be at least 1 step, got {self.tau}")
        return self

    def build(self, input_size: int, generator: torch.Generator | None = None) -> RateCell:
        return RateCell(_LowRankWeights(self, input_size, generator), input_size, self.units, self.start)


class _LowRankWeights(nn.Module):
    def __init__(self, cell: LowRank, input_size: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.units, self.nonlinearity, self.tau = cell.units, cell.nonlinearity, cell.tau
        self.weight_in = uniform((cell.units, input_size), max(1, input_size) ** -0.5, generator)
        # Entries of order one, as the theory has them; the product is divided by the number of units.
        self.left = nn.Parameter(torch.randn(cell.units, cell.rank, generator=generator))
        self.right = nn.Parameter(torch.randn(cell.units, cell.rank, generator=generator))
        self.bias = nn.Parameter(torch.zeros(cell.units))

    def dynamics(self) -> RateDynamics:
        weight = self.left @ self.right.mT / self.units
        if self.tau == 1:
            return RateDynamics(self.weight_in, weight, self.bias, self.nonlinearity)
        gain = torch.full_like(self.bias, 1 / self.tau)
        return RateDynamics(self.weight_in, weight, self.bias, self.nonlinearity, 1 - gain, gain)

    def project(self) -> None:
        pass
