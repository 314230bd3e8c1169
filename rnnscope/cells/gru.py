"""The gated recurrent unit, in torch's form (the reset gate acts after the matrix product)."""

from dataclasses import dataclass as plain_dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rnnscope.cells.cell import Cell, Dynamics, InitialState, Start, Units, uniform
from rnnscope.cells.gru_recurrence import unroll_gru
from rnnscope.cells.kept_box import around_zero
from rnnscope.cells.products import WORTH_FORMING, times
from rnnscope.numerics import bounds
from rnnscope.tasks.settings import settings_class


@settings_class
class GRU(Cell):
    """r, z = sigmoid(...); n = tanh(W_in u + b_i + r * (W_hn h + b_h)); h' = (1 - z) n + z h.

    Args:
        units: the number of units.
        start: where trials start.
    """

    units: Units
    start: Start = "zero"

    def build(self, input_size: int, generator: torch.Generator | None = None) -> "GRUCell":
        return GRUCell(input_size, self.units, self.start, generator)


@plain_dataclass(frozen=True)
class GRUDynamics(Dynamics):
    """The equation with its weights, gates stacked in torch's order: reset, update, new. Weights of several
    networks, on an axis in front, serve `unroll` alone."""

    weight_in: Float[Tensor, "*member gates input"]
    weight: Float[Tensor, "*member gates unit"]
    bias_in: Float[Tensor, "*member gates"]
    bias: Float[Tensor, "*member gates"]

    def _gates(self, state: Tensor, input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        from_input = functional.linear(input, self.weight_in, self.bias_in).chunk(3, -1)
        from_state = functional.linear(state, self.weight, self.bias).chunk(3, -1)
        reset = torch.sigmoid(from_input[0] + from_state[0])
        update = torch.sigmoid(from_input[1] + from_state[1])
        new = torch.tanh(from_input[2] + reset * from_state[2])
        return reset, update, new, from_state[2]

    def step(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit"]:
        _, update, new, _ = self._gates(state, input)
        return new + update * (state - new)

    def kept_by_gates(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit"]:
        return self._gates(state, input)[1]

    def _row_factors(self, state: Tensor, input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the factors of the rows of each gate's weights in the derivative, and the gates needed besides."""
        reset, update, new, hidden = self._gates(state, input)
        through_new = (1 - update) * (1 - new * new)
        through_update = (state - new) * update * (1 - update)
        through_reset = through_new * hidden * reset * (1 - reset)
        return through_reset, through_update, through_new, reset, update

    def jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit unit"]:
        by_reset, by_update, by_new, reset, update = self._row_factors(state, input)
        w_reset, w_update, w_new = self.weight.chunk(3, 0)
        jacobian = by_reset.unsqueeze(-1) * w_reset
        jacobian.addcmul_(by_update.unsqueeze(-1), w_update)
        jacobian.addcmul_((by_new * reset).unsqueeze(-1), w_new)
        jacobian.diagonal(dim1=-2, dim2=-1).add_(update)
        return jacobian

    def input_jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit input"]:
        by_reset, by_update, by_new, _, _ = self._row_factors(state, input)
        w_reset, w_update, w_new = self.weight_in.chunk(3, 0)
        return by_reset.unsqueeze(-1) * w_reset + by_update.unsqueeze(-1) * w_update + by_new.unsqueeze(-1) * w_new

    def jvp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        tangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        if tangents.shape[-1] >= WORTH_FORMING * tangents.shape[-2]:
            return times(self.jacobian(state, input), tangents)
        by_reset, by_update, by_new, reset, update = self._row_factors(state, input)
        factors = torch.cat([by_reset, by_update, by_new * reset], -1).unsqueeze(-1)
        through_gates = times(self.weight, tangents).mul_(factors).unflatten(-2, (3, -1)).sum(-3)
        return through_gates + update.unsqueeze(-1) * tangents

    def vjp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        cotangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        if cotangents.shape[-1] >= WORTH_FORMING * cotangents.shape[-2]:
            return times(self.jacobian(state, input).mT, cotangents)
        by_reset, by_update, by_new, reset, update = self._row_factors(state, input)
        factors = torch.stack([by_reset, by_update, by_new * reset], -2).unsqueeze(-1)
        at_gates = (factors * cotangents.unsqueeze(-3)).flatten(-3, -2)
        return self.weight.t() @ at_gates + update.unsqueeze(-1) * cotangents

    def fixed_point_equation(self, state: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...]:
        """n - h: the update gate is never quite 1, so that (1 - z) (n - h) = 0 only where n = h."""
        (new,) = self.at_rest(state, input)
        return (new - state.bounded(),)

    def at_rest(self, shown: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...]:
        """n."""
        in_reset, _, in_new = self.weight_in.chunk(3, 0)
        w_reset, _, w_new = self.weight.chunk(3, 0)
        b_in_reset, _, b_in_new = self.bias_in.chunk(3, 0)
        b_reset, _, b_new = self.bias.chunk(3, 0)
        reset = bounds.sigmoid(bounds.affine((in_reset, input), (w_reset, shown), bias=[b_in_reset, b_reset]))
        from_state = bounds.affine((w_new, shown), bias=[b_new])
        new = bounds.tanh(bounds.affine((in_new, input), bias=[b_in_new]) + reset * from_state)
        return (new,)

    @property
    def smooth(self) -> bool:
        return True

    def kept_box(self, inputs: Float[Tensor, "2 input"]) -> Float[Tensor, "2 unit"]:
        """A mean of the old state and of a tanh, which is the old state only where that is the tanh."""
        return around_zero(torch.ones(self.weight.shape[1], dtype=torch.float64))


class GRUCell(nn.Module):
    """A GRU with its parameters, which have the names and shapes of torch's `nn.GRU`."""

    def __init__(self, input_size: int, n_units: int, start: Start, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.input_size, self.n_units, self.state_size = input_size, n_units, n_units
        # Made without values, so that torch's global generator is left alone.
        self.rnn = nn.GRU(input_size, n_units, batch_first=True, device="meta")
        for name, value in list(self.rnn.named_parameters()):
            setattr(self.rnn, name, uniform(tuple(value.shape), n_units**-0.5, generator))
        self.start = InitialState(start, n_units)

    def dynamics(self) -> GRUDynamics:
        weight_in, weight, bias_in, bias = self.rnn.all_weights[0]
        return GRUDynamics(weight_in, weight, bias_in, bias)

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
        d = self.dynamics()
        # Time first inside: every step then reads and writes one contiguous block.
        states = unroll_gru(
            inputs.transpose(0, 1),
            state,
            d.weight_in,
            d.weight,
            d.bias_in,
            d.bias,
            noise=None if noise is None else noise.transpose(0, 1),
        )
        return states.transpose(0, 1)

    def domain(self) -> Float[Tensor, "2 state"]:
        return torch.tensor([[-1.0], [1.0]], dtype=torch.float64).repeat(1, self.n_units)
