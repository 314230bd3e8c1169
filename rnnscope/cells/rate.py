"""Rate cells: one equation, h' = keep * h + gain * f(W h + W_in u + b), for vanilla, leaky and low-rank networks.

The families differ only in how their parameters make up W, W_in, b, keep and gain. Each family is a small module
that returns a `RateDynamics`; `RateCell` runs any of them.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rnnscope.cells.cell import Dynamics, InitialState, Pieces, Start
from rnnscope.cells.kept_box import affine_bounds, around_zero, contracting_bound
from rnnscope.cells.products import times
from rnnscope.cells.recurrence import LEAKY_SLOPE, apply_nonlinearity, rate_domain, slope_from_rate, unroll_rates
from rnnscope.numerics import bounds

# The nonlinearities that are linear on either side of 0: their slopes below and above.
SLOPES = {"relu": (0.0, 1.0), "leaky_relu": (LEAKY_SLOPE, 1.0), "identity": (1.0, 1.0)}


@dataclass(frozen=True)
class RateDynamics(Dynamics):
    """The equation with its weights. `keep` and `gain` None stand for 0 and 1: no leak. Weights of several networks, on
    an axis in front, serve `unroll` alone."""

    weight_in: Float[Tensor, "*member unit input"]
    weight: Float[Tensor, "*member unit unit"]
    bias: Float[Tensor, "*member unit"] | None
    nonlinearity: str
    keep: Float[Tensor, "*member unit"] | None = None
    gain: Float[Tensor, "*member unit"] | None = None

    def _rate(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit"]:
        drive = functional.linear(input, self.weight_in, self.bias)
        return apply_nonlinearity(self.nonlinearity, functional.linear(state, self.weight) + drive)

    def _slope(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit"]:
        slope = slope_from_rate(self.nonlinearity, self._rate(state, input))
        return slope if self.gain is None else self.gain * slope

    def step(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit"]:
        rate = self._rate(state, input)
        if self.keep is None or self.gain is None:
            return rate
        return self.keep * state + self.gain * rate

    def jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit unit"]:
        jacobian = self._slope(state, input).unsqueeze(-1) * self.weight
        if self.keep is not None:
            jacobian.diagonal(dim1=-2, dim2=-1).add_(self.keep)
        return jacobian

    def input_jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit input"]:
        return self._slope(state, input).unsqueeze(-1) * self.weight_in

    def jvp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        tangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        moved = times(self.weight, tangents).mul_(self._slope(state, input).unsqueeze(-1))
        return moved if self.keep is None else moved + self.keep.unsqueeze(-1) * tangents

    def vjp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        cotangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        moved = times(self.weight.t(), self._slope(state, input).unsqueeze(-1) * cotangents)
        return moved if self.keep is None else moved + self.keep.unsqueeze(-1) * cotangents

    def linear_pieces(self, input: Float[Tensor, " input"]) -> Pieces | None:
        """None for a curved nonlinearity."""
        if self.nonlinearity not in SLOPES:
            return None
        drive = functional.linear(input, self.weight_in, self.bias)
        linear = torch.diag(torch.zeros_like(drive) if self.keep is None else self.keep)
        out = torch.diag(torch.ones_like(drive) if self.gain is None else self.gain)
        below, above = (torch.full_like(drive, slope) for slope in SLOPES[self.nonlinearity])
        if torch.equal(below, above):  # no kink, and so no gate
            none = drive[:0]
            return Pieces(linear + out @ self.weight, out[:, :0], self.weight[:0], none, out @ drive, none, none)
        return Pieces(linear, out, self.weight, drive, torch.zeros_like(drive), below, above)

    def fixed_point_equation(self, state: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...]:
        """gain * f(W h + W_in u + b) + (keep - 1) * h."""
        drive = bounds.affine((self.weight, state), (self.weight_in, input), bias=[self.bias])
        if self.nonlinearity == "tanh":
            rate = bounds.tanh(drive)
        else:
            below, above = SLOPES[self.nonlinearity]
            rate = drive if below == above else bounds.two_slopes(drive, below, above)
        if self.keep is None or self.gain is None:
            return (rate - state.bounded(),)
        leak = bounds.constant(1.0) - bounds.constant(self.keep)
        return (bounds.constant(self.gain) * rate - leak * state.bounded(),)

    @property
    def smooth(self) -> bool:
        return self.nonlinearity in ("tanh", "identity")

    def kept_box(self, inputs: Float[Tensor, "2 input"]) -> Float[Tensor, "2 unit"] | None:
        """Where f is bounded, |h| <= gain / (1 - keep); where it is not, a box if what |h| grows by contracts."""
        weight = self.weight.double()
        keep = torch.zeros(len(weight), dtype=torch.float64) if self.keep is None else self.keep.double()
        gain = torch.ones_like(keep) if self.gain is None else self.gain.double()
        if self.nonlinearity == "tanh":
            return around_zero(gain.abs() / (1 - keep.abs())) if (keep.abs() < 1).all() else None
        low, high = affine_bounds((self.weight_in, inputs), bias=self.bias)
        if self.nonlinearity == "relu":
            if (keep < 0).any() or (keep >= 1).any() or (gain < 0).any():
                return None
            # A little below 0 too, so that points at 0 lie inside.
            below = torch.ones_like(keep)
            drive = (high + weight.clamp(max=0).abs() @ below).clamp(min=0)
            growth = torch.diag(keep) + gain.unsqueeze(1) * weight.clamp(min=0)
            most = contracting_bound(growth, gain * drive)
            return None if most is None else torch.stack([-below, most])
        growth = torch.diag(keep.abs()) + gain.abs().unsqueeze(1) * weight.abs()
        most = contracting_bound(growth, gain.abs() * torch.maximum(high, -low))
        return None if most is None else torch.stack([-most, most])

    def at_rest(self, shown: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...] | None:
        """gain / (1 - keep) f(W h + W_in u + b): without a leak, and with one but for rounding, f itself."""
        if self.nonlinearity != "tanh":
            return None  # the others are piecewise linear, and their pieces can be enumerated
        rate = bounds.tanh(bounds.affine((self.weight, shown), (self.weight_in, input), bias=[self.bias]))
        if self.keep is None or self.gain is None:
            return (rate,)
        if not (self.keep < 1).all():
            return None
        return (bounds.quotient(bounds.constant(self.gain), bounds.constant(1.0) - bounds.constant(self.keep)) * rate,)


@runtime_checkable
class RateWeights(Protocol):
    """The parameters of one family (an `nn.Module`)."""

    def dynamics(self) -> RateDynamics: ...

    def project(self) -> None: ...


class RateCell(nn.Module):
    """Runs the rate equation over sequences, with the weights of one family."""

    def __init__(self, weights: RateWeights, input_size: int, n_units: int, start: Start) -> None:
        super().__init__()
        self.input_size, self.n_units, self.state_size = input_size, n_units, n_units
        self.weights = weights
        self.start = InitialState(start, n_units)

    def dynamics(self) -> RateDynamics:
        return self.weights.dynamics()

    def project(self) -> None:
        self.weights.project()

    def initial_state(self, n_trials: int, generator: torch.Generator | None = None) -> Float[Tensor, "trial state"]:
        return self.start(n_trials, generator)

    def unroll(
        self,
        inputs: Float[Tensor, "trial time input"],
        state: Float[Tensor, "trial state"],
        noise: Float[Tensor, "trial time state"] | None = None,
    ) -> Float[Tensor, "trial time state"]:
        d = self.dynamics()
        # Time first inside: every step then reads and writes one contiguous block.
        drive = functional.linear(inputs.transpose(0, 1), d.weight_in, d.bias)
        states = unroll_rates(
            drive.contiguous(),
            state,
            d.weight,
            nonlinearity=d.nonlinearity,
            keep=d.keep,
            gain=d.gain,
            noise=None if noise is None else noise.transpose(0, 1),
        )
        return states.transpose(0, 1)

    def domain(self) -> Float[Tensor, "2 state"] | None:
        low, high = rate_domain(self.dynamics().nonlinearity)
        if low == -float("inf") and high == float("inf"):
            return None
        # A leak outside the nonlinearity averages the old state with a rate, so the same bounds hold.
        return torch.tensor([[low], [high]], dtype=torch.float64).repeat(1, self.n_units)
