"""What a cell is, in three parts.

`Cell` is the settings object that a user writes, `cells.Leaky(64)`. Its `build` makes a `CellModule`, which holds
the parameters and runs sequences under autograd. The module's `dynamics()` is the bare equation with the weights
resolved: one step and its closed-form Jacobians. Training sees the module; analyses see only the dynamics.
"""

from abc import abstractmethod
from typing import Annotated, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor, nn

from rnnscope.numerics.bounds import Bounded, Signal
from rnnscope.tasks.settings import short, validated
from rnnscope.tasks.task import check_count

Start = Literal["zero", "random", "learned"]


MOST_UNITS = 2**62  # torch counts in 64 bits


def _checked_units(value: int) -> int:
    check_count("units", value)
    if value >= MOST_UNITS:
        raise ValueError(f"units must be below 2^62, got {short(value)}: no machine holds so many, ask for fewer units")
    return value


# The setting that every cell has.
Units = Annotated[int, AfterValidator(_checked_units)]


@runtime_checkable
class Dynamics(Protocol):
    """One step of a cell and its derivatives, batched over leading axes. The last five members have a default for those
    that inherit from this protocol."""

    def step(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state"]: ...

    def jacobian(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state state"]:
        """dF_i / dh_j at [..., i, j]."""
        ...

    def input_jacobian(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state input"]:
        """dF_i / du_j at [..., i, j]."""
        ...

    def jvp(
        self,
        state: Float[Tensor, "*batch state"],
        input: Float[Tensor, "*batch input"],
        tangents: Float[Tensor, "*batch state vector"],
    ) -> Float[Tensor, "*batch state vector"]:
        """J V for the columns of V, without forming J."""
        ...

    def vjp(
        self,
        state: Float[Tensor, "*batch state"],
        input: Float[Tensor, "*batch input"],
        cotangents: Float[Tensor, "*batch state vector"],
    ) -> Float[Tensor, "*batch state vector"]:
        """J^T V for the columns of V, without forming J."""
        ...

    def linear_pieces(self, input: Float[Tensor, " input"]) -> "Pieces | None":
        """The linear pieces of the step at a constant input, where it is piecewise linear; None where it is curved."""
        return None

    def fixed_point_equation(self, state: Signal, input: Signal) -> tuple[Bounded, ...] | None:
        """An equation that is zero exactly where the step leaves the state as it is, written with the bounds of
        `rnnscope.numerics.bounds`. Fixed points are proven with it; where it is None, none can be proven."""
        return None

    def kept_by_gates(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state"] | None:
        """The share of each number of the state that a gate lets stay, NaN for those without one; None where no gate
        does so."""
        return None

    @property
    def smooth(self) -> bool | None:
        """Whether the step has a continuous derivative everywhere; False where it has kinks, None if nobody knows."""
        return None

    def kept_box(self, inputs: Float[Tensor, "2 input"]) -> Float[Tensor, "2 state"] | None:
        """Finite bounds (low, high) that no state inside them leaves at inputs between the two given, and strictly
        between which all fixed points at such inputs lie; None where none are known."""
        return None

    def at_rest(self, shown: Signal, input: Signal) -> tuple[Bounded, ...] | None:
        """The state that every fixed point has, as a function of the `n_units` numbers that the cell shows, on which
        only weights may act: those numbers first, then the rest of the state. All fixed points are looked for with it;
        None where they cannot be."""
        return None


class Pieces(NamedTuple):
    """A piecewise-linear step at a constant input, F(h) = linear h + out f(gates h + threshold) + offset, where f has
    the slopes `below` and `above` on the two sides of 0; see `rnnscope.maps.LinearPieces`."""

    linear: Float[Tensor, "state state"]
    out: Float[Tensor, "state gate"]
    gates: Float[Tensor, "gate state"]
    threshold: Float[Tensor, " gate"]
    offset: Float[Tensor, " state"]
    below: Float[Tensor, " gate"]
    above: Float[Tensor, " gate"]


@runtime_checkable
class CellModule(Protocol):
    """A cell with parameters. Every implementation is a final `torch.nn.Module`.

    Attributes:
        input_size: the number of input channels.
        state_size: how many numbers make up the state; twice the units for an LSTM.
        n_units: a readout sees the first `n_units` numbers of the state.
    """

    input_size: int
    state_size: int
    n_units: int

    def dynamics(self) -> Dynamics: ...

    def initial_state(
        self, n_trials: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "trial state"]: ...

    def unroll(
        self,
        inputs: Float[Tensor, "trial time input"],
        state: Float[Tensor, "trial state"],
        noise: Float[Tensor, "trial time state"] | None = None,
    ) -> Float[Tensor, "trial time state"]:
        """The states after each input. `noise` is added to the state after every step, so that it acts on the next."""
        ...

    def domain(self) -> Float[Tensor, "2 state"] | None:
        """Bounds (low, high) that a state inside them never leaves without noise; None where there are none."""
        ...

    def project(self) -> None:
        """Move the parameters back to where they have a meaning (time constants >= 1); training calls this after each
        update."""
        ...


@runtime_checkable
class Cell(Protocol):
    """The settings of a cell: frozen, validated, JSON-ready. `class Mine(Cell)`, a frozen pydantic dataclass with these
    two settings and others of its own, needs `build`; `examples` too, where other settings are required.

    Attributes:
        units: the number of units, which are what a readout sees.
        start: where trials start; see `InitialState`.
    """

    units: int
    start: Start

    @abstractmethod
    def build(self, input_size: int, generator: torch.Generator | None = None) -> CellModule:
        """A module with fresh weights drawn from `generator` (torch's global one if None)."""
        ...

    @classmethod
    def examples(cls) -> "tuple[Cell, ...]":
        """Small cells of this kind with different settings, to try it with; the tests that all cells share run on
        them. By default there are two with default settings, which start trials in different ways."""
        smallest = ({"units": 5}, {"units": 4, "start": "random"})
        return tuple(validated(cls, settings, f"cell {cls.__name__}") for settings in smallest)


class InitialState(nn.Module):
    """Where trials start: at zero, at 0.1 U(0, 1) drawn anew for every trial, or at a learned state."""

    def __init__(self, kind: Start, state_size: int) -> None:
        super().__init__()
        self.kind, self.state_size = kind, state_size
        # A buffer even where nothing is learned, so that dtype and device follow the module.
        start = torch.zeros(state_size)
        if kind == "learned":
            self.value = nn.Parameter(start)
        else:
            self.register_buffer("value", start, persistent=False)

    def forward(self, n_trials: int, generator: torch.Generator | None = None) -> Float[Tensor, "trial state"]:
        if self.kind == "random":
            # Drawn on the CPU: the same seed then gives the same states on every device.
            drawn = torch.rand(n_trials, self.state_size, generator=generator, dtype=self.value.dtype)
            return (0.1 * drawn).to(self.value.device)
        return self.value.expand(n_trials, self.state_size)


def uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator | None) -> nn.Parameter:
    """A parameter drawn from U(-bound, bound)."""
    return nn.Parameter((2 * torch.rand(shape, generator=generator) - 1) * bound)


def unroll_by_steps(
    dynamics: Dynamics,
    inputs: Float[Tensor, "trial time input"],
    state: Float[Tensor, "trial state"],
    noise: Float[Tensor, "trial time state"] | None = None,
) -> Float[Tensor, "trial time state"]:
    """The plain loop, for cells and noise that have no faster way."""
    states = []
    for t in range(inputs.shape[1]):
        state = dynamics.step(state, inputs[:, t])
        if noise is not None:
            state = state + noise[:, t]
        states.append(state)
    return torch.stack(states, dim=1)
