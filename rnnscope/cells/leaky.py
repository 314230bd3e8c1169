"""The leaky cell with a time constant per unit, the leak inside or outside the nonlinearity."""

from typing import Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn

from rnnscope.cells.cell import Cell, Start, Units, uniform
from rnnscope.cells.rate import RateCell, RateDynamics
from rnnscope.cells.recurrence import Nonlinearity
from rnnscope.tasks.settings import settings_class

Leak = Literal["inside", "outside"]


@settings_class
class Leaky(Cell):
    """A leaky cell with time constants tau, in steps.

    leak "inside":  h' = f((1 - 1/tau) h + (W h + W_in u + b) / tau)   (Khajehabdollahi et al., ICLR 2024)
    leak "outside": h' = (1 - 1/tau) h + f(W h + W_in u + b) / tau

    Args:
        units: the number of units.
        tau: the range (low, high) of the initial time constants, drawn uniformly; one number fixes them all.
        train_tau: whether the time constants are trained; they are kept >= 1.
        leak: where the leak stands.
        nonlinearity: f.
        self_connections: whether W may have a diagonal.
        start: where trials start; the paper starts at 0.1 U(0, 1).
        strength: of the initial recurrent weights, uniform within strength / sqrt(units): their spectral radius is
            about strength / sqrt(3).
    """

    units: Units
    tau: tuple[float, float] = (1.0, 2.0)
    train_tau: bool = True
    leak: Leak = "inside"
    nonlinearity: Nonlinearity = "leaky_relu"
    self_connections: bool = False
    start: Start = "random"
    strength: float = 1.0

    @classmethod
    def examples(cls) -> "tuple[Leaky, ...]":
        return (
            cls(5),
            cls(5, nonlinearity="tanh", self_connections=True, tau=(1, 4)),
            cls(5, leak="outside", nonlinearity="tanh", tau=(1, 4)),
            cls(5, leak="outside", nonlinearity="relu", self_connections=True),
            cls(4, leak="outside", nonlinearity="identity", tau=(3, 3)),
            cls(4, train_tau=False, tau=(2, 2), start="zero"),
        )

    @field_validator("tau", mode="before")
    @classmethod
    def _one_number_is_a_range(cls, value: object) -> object:
        return (value, value) if isinstance(value, int | float) else value

    @field_validator("tau")
    @classmethod
    def _check_tau(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 1 <= value[0] <= value[1]:
            raise ValueError(f"tau must be a range (low, high) of time constants with 1 <= low <= high, got {value}")
        return value

    @field_validator("strength")
    @classmethod
    def _check_strength(cls, value: float) -> float:
        if not value > 0:
            raise ValueError(f"strength is a factor of weights and must be positive, got {value}")
        return value

    def build(self, input_size: int, generator: torch.Generator | None = None) -> RateCell:
        return RateCell(_LeakyWeights(self, input_size, generator), input_size, self.units, self.start)


class _LeakyWeights(nn.Module):
    def __init__(self, cell: Leaky, input_size: int, generator: torch.Generator | None) -> None:
        super().__init__()
        units = cell.units
        self.leak, self.nonlinearity = cell.leak, cell.nonlinearity
        self.weight_in = uniform((units, input_size), max(1, input_size) ** -0.5, generator)
        self.weight = uniform((units, units), cell.strength * units**-0.5, generator)
        self.bias = uniform((units,), units**-0.5, generator)
        low, high = cell.tau
        tau = low + (high - low) * torch.rand(units, generator=generator)
        self.tau = nn.Parameter(tau, requires_grad=cell.train_tau)
        off_diagonal = None if cell.self_connections else 1 - torch.eye(units)
        self.register_buffer("off_diagonal", off_diagonal, persistent=False)
        self.off_diagonal: Tensor | None

    def dynamics(self) -> RateDynamics:
        gain = 1 / self.tau
        weight = self.weight if self.off_diagonal is None else self.weight * self.off_diagonal
        if self.leak == "outside":
            return RateDynamics(self.weight_in, weight, self.bias, self.nonlinearity, 1 - gain, gain)
        # Inside the nonlinearity the leak is a change of weights: the cell is a vanilla one, and as fast.
        column = gain.unsqueeze(-1)
        return RateDynamics(
            self.weight_in * column,
            torch.diag_embed(1 - gain) + weight * column,
            self.bias * gain,
            self.nonlinearity,
        )

    @torch.no_grad()
    def project(self) -> None:
        # Projected rather than clamped in the equation: a clamp there would have no gradient to come back by.
        self.tau.clamp_(min=1.0)
