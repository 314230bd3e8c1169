"""The long short-term memory; its state is the concatenation (h, c)."""

from dataclasses import dataclass as plain_dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rnnscope.cells.cell import Cell, Dynamics, InitialState, Start, Units, uniform
from rnnscope.cells.kept_box import affine_bounds, around_zero
from rnnscope.cells.lstm_recurrence import unroll_lstm
from rnnscope.cells.products import WORTH_FORMING, times
from rnnscope.numerics import bounds
from rnnscope.tasks.settings import settings_class


@settings_class
class LSTM(Cell):
    """i, f, o = sigmoid(...), g = tanh(...); c' = f c + i g; h' = o tanh(c').

    Args:
        units: the number of units; the state has twice as many numbers.
        start: where trials start.
    """

    units: Units
    start: Start = "zero"

    def build(self, input_size: int, generator: torch.Generator | None = None) -> "LSTMCell":
        return LSTMCell(input_size, self.units, self.start, generator)


@plain_dataclass(frozen=True)
class LSTMDynamics(Dynamics):
    """The equation with its weights, gates stacked in torch's order: input, forget, new, output. Weights of several
    networks, on an axis in front, serve `unroll` alone."""

    weight_in: Float[Tensor, "*member gates input"]
    weight: Float[Tensor, "*member gates unit"]
    bias: Float[Tensor, "*member gates"]

    def _gates(self, hidden: Tensor, input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        drive = functional.linear(input, self.weight_in, self.bias) + functional.linear(hidden, self.weight)
        i, f, g, o = drive.chunk(4, -1)
        return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)

    def step(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state"]:
        hidden, memory = state.chunk(2, -1)
        i, f, g, o = self._gates(hidden, input)
        memory = f * memory + i * g
        return torch.cat([o * torch.tanh(memory), memory], -1)

    def kept_by_gates(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state"]:
        hidden = state.chunk(2, -1)[0]
        forget = self._gates(hidden, input)[1]
        return torch.cat([torch.full_like(forget, torch.nan), forget], -1)

    def _row_factors(self, state: Tensor, input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What multiplies the rows of the weights of the first three gates in dc', (3, unit), and of the last in dh';
        dh'/dc', and dc'/dc."""
        hidden, memory = state.chunk(2, -1)
        i, f, g, o = self._gates(hidden, input)
        squashed = torch.tanh(f * memory + i * g)
        by_gates = torch.stack([g * i * (1 - i), memory * f * (1 - f), i * (1 - g * g)], -2)
        return by_gates, squashed * o * (1 - o), o * (1 - squashed * squashed), f

    def _through(self, state: Tensor, input: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """dh'/dx and dc'/dx for what enters the gates through `weight`; and the diagonals dh'/dc, dc'/dc."""
        by_gates, by_output, to_hidden, f = self._row_factors(state, input)
        w_gates, w_output = weight.unflatten(0, (4, -1)).split([3, 1])
        d_memory = (by_gates.unsqueeze(-1) * w_gates).sum(-3)
        d_hidden = to_hidden.unsqueeze(-1) * d_memory + by_output.unsqueeze(-1) * w_output[0]
        return d_hidden, d_memory, to_hidden * f, f

    def jacobian(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state state"]:
        d_hidden, d_memory, hidden_by_memory, memory_by_memory = self._through(state, input, self.weight)
        top = torch.cat([d_hidden, torch.diag_embed(hidden_by_memory)], -1)
        bottom = torch.cat([d_memory, torch.diag_embed(memory_by_memory)], -1)
        return torch.cat([top, bottom], -2)

    def input_jacobian(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state input"]:
        d_hidden, d_memory, _, _ = self._through(state, input, self.weight_in)
        return torch.cat([d_hidden, d_memory], -2)

    def jvp(
        self,
        state: Float[Tensor, "*batch state"],
        input: Float[Tensor, "*batch input"],
        tangents: Float[Tensor, "*batch state vector"],
    ) -> Float[Tensor, "*batch state vector"]:
        d_hidden, d_memory = tangents.chunk(2, -2)
        if tangents.shape[-1] >= WORTH_FORMING * tangents.shape[-2]:
            *by_hidden, hidden_by_memory, memory_by_memory = self._through(state, input, self.weight)
            factors = torch.stack([hidden_by_memory, memory_by_memory], -2).unsqueeze(-1)
            through_memory = (factors * d_memory.unsqueeze(-3)).flatten(-3, -2)
            return times(torch.cat(by_hidden, -2), d_hidden) + through_memory
        by_gates, by_output, to_hidden, f = self._row_factors(state, input)
        moved = times(self.weight, d_hidden).unflatten(-2, (4, -1))
        new_memory = (by_gates.unsqueeze(-1) * moved[..., :3, :, :]).sum(-3) + f.unsqueeze(-1) * d_memory
        new_hidden = to_hidden.unsqueeze(-1) * new_memory + by_output.unsqueeze(-1) * moved[..., 3, :, :]
        return torch.cat([new_hidden, new_memory], -2)

    def vjp(
        self,
        state: Float[Tensor, "*batch state"],
        input: Float[Tensor, "*batch input"],
        cotangents: Float[Tensor, "*batch state vector"],
    ) -> Float[Tensor, "*batch state vector"]:
        of_hidden, of_memory = cotangents.chunk(2, -2)
        if cotangents.shape[-1] >= WORTH_FORMING * cotangents.shape[-2]:
            *by_hidden, hidden_by_memory, memory_by_memory = self._through(state, input, self.weight)
            to_memory = hidden_by_memory.unsqueeze(-1) * of_hidden + memory_by_memory.unsqueeze(-1) * of_memory
            return torch.cat([times(torch.cat(by_hidden, -2).mT, cotangents), to_memory], -2)
        by_gates, by_output, to_hidden, f = self._row_factors(state, input)
        of_memory = of_memory + to_hidden.unsqueeze(-1) * of_hidden
        at_gates = torch.cat(
            [
                (by_gates.unsqueeze(-1) * of_memory.unsqueeze(-3)).flatten(-3, -2),
                by_output.unsqueeze(-1) * of_hidden,
            ],
            -2,
        )
        return torch.cat([self.weight.t() @ at_gates, f.unsqueeze(-1) * of_memory], -2)

    def fixed_point_equation(self, state: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...]:
        """o tanh(c) - h and i g - (1 - f) c: where the memory stays, the new one is the old one."""
        n_units = self.weight.shape[1]
        hidden, memory = state[:n_units], state[n_units:].bounded()
        weights = zip(self.weight_in.chunk(4, 0), self.weight.chunk(4, 0), self.bias.chunk(4, 0), strict=True)
        i, f, g, o = (bounds.affine((w_in, input), (w, hidden), bias=[bias]) for w_in, w, bias in weights)
        forgotten = bounds.sigmoid(-f)  # 1 - f, without loss where f is nearly 1
        return (
            bounds.sigmoid(o) * bounds.tanh(memory) - hidden.bounded(),
            bounds.sigmoid(i) * bounds.tanh(g) - forgotten * memory,
        )

    @property
    def smooth(self) -> bool:
        return True

    def kept_box(self, inputs: Float[Tensor, "2 input"]) -> Float[Tensor, "2 state"] | None:
        """|h| < 1, and |c| <= max i max |g| / (1 - max f), from |c'| <= max f |c| + max i max |g|."""
        one = torch.ones(self.weight.shape[1], dtype=torch.float64)
        low, high = affine_bounds((self.weight_in, inputs), (self.weight, torch.stack([-one, one])), bias=self.bias)
        i, f, _, _ = high.chunk(4)
        g = torch.maximum(high, -low).chunk(4)[2]
        # 1 - f as the sigmoid of the negative: nothing is lost where f is nearly 1.
        memory = torch.sigmoid(i) * torch.tanh(g) / torch.sigmoid(-f)
        return around_zero(torch.cat([one, memory])) if memory.isfinite().all() else None

    def at_rest(self, shown: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...]:
        """o tanh(c) and c = i g / (1 - f): the gates depend on h alone, and 1 / (1 - f) is 1 + exp of what enters f."""
        weights = zip(self.weight_in.chunk(4, 0), self.weight.chunk(4, 0), self.bias.chunk(4, 0), strict=True)
        i, f, g, o = (bounds.affine((w_in, input), (w, shown), bias=[bias]) for w_in, w, bias in weights)
        written = bounds.sigmoid(i) * bounds.tanh(g)
        memory = written * (bounds.constant(1.0) + bounds.exponential(f))
        return bounds.sigmoid(o) * bounds.tanh(memory), memory


class LSTMCell(nn.Module):
    """An LSTM with its parameters, which have the names and shapes of torch's `nn.LSTM`."""

    def __init__(self, input_size: int, n_units: int, start: Start, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.input_size, self.n_units, self.state_size = input_size, n_units, 2 * n_units
        # Made without values, so that torch's global generator is left alone.
        self.rnn = nn.LSTM(input_size, n_units, batch_first=True, device="meta")
        for name, value in list(self.rnn.named_parameters()):
            setattr(self.rnn, name, uniform(tuple(value.shape), n_units**-0.5, generator))
        self.start = InitialState(start, self.state_size)

    def dynamics(self) -> LSTMDynamics:
        weight_in, weight, bias_in, bias = self.rnn.all_weights[0]
        return LSTMDynamics(weight_in, weight, bias_in + bias)

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
        states = unroll_lstm(
            inputs.transpose(0, 1),
            state,
            d.weight_in,
            d.weight,
            d.bias,
            noise=None if noise is None else noise.transpose(0, 1),
        )
        return states.transpose(0, 1)

    def domain(self) -> Float[Tensor, "2 state"]:
        bound = torch.ones(self.state_size, dtype=torch.float64)
        bound[self.n_units :] = float("inf")  # the memory has no bound that holds for every start
        return torch.stack([-bound, bound])
