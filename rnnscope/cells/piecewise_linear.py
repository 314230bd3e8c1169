"""The almost-linear cell: linear units, and some rectified ones (Brenner et al., NeurIPS 2024).

With all units rectified it is the piecewise-linear RNN (PLRNN) of Durstewitz (PLoS Comput. Biol. 13, 2017). Every
fixed point and cycle of such a cell can be found exactly.
"""

from dataclasses import dataclass as plain_dataclass
from typing import Any

import torch
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from rnnscope.cells.cell import Cell, Dynamics, InitialState, Pieces, Start, Units, uniform
from rnnscope.cells.kept_box import affine_bounds, contracting_bound
from rnnscope.cells.products import times
from rnnscope.numerics import bounds
from rnnscope.tasks.settings import settings_class


@settings_class
class PiecewiseLinear(Cell):
    """z' = A z + W Phi(z) + h + C u, with A diagonal; Phi rectifies the last `n_relu` units and leaves the others.

    Args:
        units: the number of units.
        n_relu: how many of them are rectified; all if None. The state space has 2^n_relu linear regions.
        start: where trials start.

    A is drawn from U(.5, 1) and W small, U(-.1, .1) / sqrt(units): linear units do not saturate, and a network that
    grows at first grows without bound.
    """

    units: Units
    n_relu: int | None = None
    start: Start = "zero"

    @classmethod
    def examples(cls) -> "tuple[PiecewiseLinear, ...]":
        return (
            cls(5),
            cls(6, n_relu=2, start="random"),
            cls(4, n_relu=0),
        )

    @model_validator(mode="after")
    def _check(self) -> "PiecewiseLinear":
        if self.n_relu is not None and not 0 <= self.n_relu <= self.units:
            raise ValueError(f"n_relu must be between 0 and the number of units ({self.units}), got {self.n_relu}")
        return self

    def build(self, input_size: int, generator: torch.Generator | None = None) -> "PiecewiseLinearCell":
        return PiecewiseLinearCell(self, input_size, generator)


@plain_dataclass(frozen=True)
class PiecewiseLinearDynamics(Dynamics):
    """The equation with its weights; the last `n_relu` units are rectified before W."""

    diagonal: Float[Tensor, " unit"]
    weight: Float[Tensor, "unit unit"]
    weight_in: Float[Tensor, "unit input"]
    bias: Float[Tensor, " unit"]
    n_relu: int

    def step(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit"]:
        n_linear = state.shape[-1] - self.n_relu
        shown = torch.cat([state[..., :n_linear], torch.relu(state[..., n_linear:])], -1)
        drive = functional.linear(input, self.weight_in, self.bias)
        return self.diagonal * state + functional.linear(shown, self.weight) + drive

    def _slope(self, state: Tensor) -> Tensor:
        slope = torch.ones_like(state)
        n_linear = state.shape[-1] - self.n_relu
        slope[..., n_linear:] = (state[..., n_linear:] > 0).to(state.dtype)
        return slope

    def jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit unit"]:
        jacobian = self.weight * self._slope(state).unsqueeze(-2)
        jacobian.diagonal(dim1=-2, dim2=-1).add_(self.diagonal)
        return jacobian

    def input_jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit input"]:
        return self.weight_in.repeat(*state.shape[:-1], 1, 1)

    def jvp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        tangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        through = times(self.weight, self._slope(state).unsqueeze(-1) * tangents)
        return through + self.diagonal.unsqueeze(-1) * tangents

    def vjp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        cotangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        through = times(self.weight.t(), cotangents).mul_(self._slope(state).unsqueeze(-1))
        return through + self.diagonal.unsqueeze(-1) * cotangents

    def fixed_point_equation(self, state: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...]:
        """W Phi(z) + h + C u - (1 - A) z."""
        n_linear = len(self.bias) - self.n_relu
        of_linear = self.weight.clone()
        of_linear[:, n_linear:] = 0
        drive = bounds.affine((of_linear, state), (self.weight_in, input), bias=[self.bias])
        if self.n_relu:
            shown = bounds.two_slopes(state[n_linear:].bounded(), 0.0)
            drive = drive + bounds.mixed(self.weight[:, n_linear:], shown)
        return (drive - (bounds.constant(1.0) - bounds.constant(self.diagonal)) * state.bounded(),)

    def at_rest(self, shown: bounds.Signal, input: bounds.Signal) -> None:
        """Its pieces are linear, and can be enumerated."""

    def linear_pieces(self, input: Float[Tensor, " input"]) -> Pieces:
        n_linear = len(self.bias) - self.n_relu
        linear = torch.diag(self.diagonal)
        linear[:, :n_linear] += self.weight[:, :n_linear]
        threshold = torch.zeros_like(self.bias[n_linear:])
        return Pieces(
            linear,
            self.weight[:, n_linear:],
            torch.eye(len(self.bias), dtype=self.bias.dtype)[n_linear:],
            threshold,
            functional.linear(input, self.weight_in, self.bias),
            threshold,
            torch.ones_like(threshold),
        )

    @property
    def smooth(self) -> bool:
        return not self.n_relu

    def kept_box(self, inputs: Float[Tensor, "2 input"]) -> Float[Tensor, "2 unit"] | None:
        """|z'| <= (|A| + |W|) |z| + |h + C u|: a box where that contracts."""
        low, high = affine_bounds((self.weight_in, inputs), bias=self.bias)
        growth = torch.diag(self.diagonal.abs()) + self.weight.abs()
        most = contracting_bound(growth.double(), torch.maximum(high, -low))
        return None if most is None else torch.stack([-most, most])


class PiecewiseLinearCell(nn.Module):
    """The almost-linear cell with its parameters."""

    def __init__(self, cell: PiecewiseLinear, input_size: int, generator: torch.Generator | None) -> None:
        super().__init__()
        units = cell.units
        self.input_size, self.n_units, self.state_size = input_size, units, units
        self.n_relu = units if cell.n_relu is None else cell.n_relu
        self.diagonal = nn.Parameter(0.5 + 0.5 * torch.rand(units, generator=generator))
        self.weight = uniform((units, units), 0.1 * units**-0.5, generator)
        self.weight_in = uniform((units, input_size), max(1, input_size) ** -0.5, generator)
        self.bias = uniform((units,), units**-0.5, generator)
        self.start = InitialState(cell.start, units)

    def dynamics(self) -> PiecewiseLinearDynamics:
        return PiecewiseLinearDynamics(self.diagonal, self.weight, self.weight_in, self.bias, self.n_relu)

    def project(self) -> None:
        pass

    def initial_state(self, n_trials: int, generator: torch.Generator | None = None) -> Float[Tensor, "trial state"]:
        return self.start(n_trials, generator)

    def unroll(
        self,
        inputs: Float[Tensor, "trial time input"],
        state: Float[Tensor, "trial state"],
        noise: Float[Tensor, "trial time state"] | None = None,
    ) -> Float[Tensor, "trial time state"]:
        # Time first inside: every step then reads and writes one contiguous block. What the inputs and the noise add
        # is one array: unlike in a rate cell, nothing stands between the two.
        drive = functional.linear(inputs.transpose(0, 1), self.weight_in, self.bias)
        drive = drive.contiguous() if noise is None else drive + noise.transpose(0, 1)
        states: Tensor = _Recurrence.apply(drive, state, self.diagonal, self.weight, self.n_relu)  # type: ignore[assignment]
        return states.transpose(0, 1)

    def domain(self) -> None:
        return None


class _Recurrence(torch.autograd.Function):
    """z_t = A z_{t-1} + W Phi(z_{t-1}) + drive_t over a whole sequence, with its backward pass written out, as in
    `recurrence.py`: buffers made once, and each weight gradient a single product over all steps at the end."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, state: Tensor, diagonal: Tensor, weight: Tensor, n_relu: int) -> Tensor:
        n_steps, n_trials, n_units = drive.shape
        states = drive.new_empty(n_steps + 1, n_trials, n_units)
        states[0] = state
        shown = drive.new_empty(n_steps, n_trials, n_units)  # Phi of the states before each step
        weight_t = weight.t().contiguous()
        all_states, all_shown, all_drive = states.unbind(0), shown.unbind(0), drive.unbind(0)
        all_rectified = shown[..., n_units - n_relu :].unbind(0)
        for t in range(n_steps):
            all_shown[t].copy_(all_states[t])
            all_rectified[t].relu_()
            new = torch.addmm(all_drive[t], all_shown[t], weight_t, out=all_states[t + 1])
            new.addcmul_(all_states[t], diagonal)
        ctx.save_for_backward(states, shown, diagonal, weight)
        ctx.n_relu = n_relu
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        states, shown, diagonal, weight = ctx.saved_tensors
        (grad_states,) = grad_outputs
        n_steps, _, n_units = shown.shape
        total = torch.empty_like(shown)  # dL/dz_t with everything that comes after t
        all_total, all_grad = total.unbind(0), grad_states.unbind(0)
        rectified = shown[..., n_units - ctx.n_relu :].unbind(0)
        all_total[-1].copy_(all_grad[-1])
        buffer = torch.empty_like(total[0])
        of_rectified = buffer[:, n_units - ctx.n_relu :]

        def back(t: int) -> Tensor:
            """dL/dz_{t-1} of what comes after it."""
            torch.mm(all_total[t], weight, out=buffer)
            aten = torch.ops.aten
            aten.threshold_backward.grad_input(of_rectified, rectified[t], 0, grad_input=of_rectified)
            return buffer.addcmul_(all_total[t], diagonal)

        for t in range(n_steps - 1, 0, -1):
            torch.add(all_grad[t - 1], back(t), out=all_total[t - 1])
        needs = ctx.needs_input_grad
        grad_state = back(0).clone() if needs[1] else None
        grad_diagonal = (total * states[:-1]).sum((0, 1)) if needs[2] else None
        grad_weight = total.reshape(-1, n_units).t() @ shown.reshape(-1, n_units) if needs[3] else None
        return total, grad_state, grad_diagonal, grad_weight, None
