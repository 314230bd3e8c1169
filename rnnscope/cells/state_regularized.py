"""State-regularised cells: after every step the state is drawn to a few learned centroids (Wang, Lawrence and Niepert,
"State-Regularized Recurrent Neural Networks to Extract Automata and Explain Predictions", IEEE TPAMI 2023)."""

from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn import functional

from rnnscope.cells.cell import Cell, Dynamics, InitialState, Start, Units, uniform, unroll_by_steps
from rnnscope.cells.gru import GRU
from rnnscope.cells.kept_box import EDGE
from rnnscope.cells.products import times
from rnnscope.cells.vanilla import Vanilla
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import check_count


def _checked_centroids(value: int) -> int:
    check_count("n_centroids", value, 2)
    return value


def _checked_temperature(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"temperature must be positive and finite, got {value}; small values make states discrete")
    return value


@settings_class
class StateRegularized(Cell):
    """u = inner(h, x); a = softmax(S u / temperature); h' = sum_k a_k s_k, with centroids s_k, the rows of S.

    Args:
        units: the number of units.
        n_centroids: the number of centroids; an automaton that is read from them has at most as many states.
        temperature: how soft the choice among the centroids is; near 0 every state is a centroid.
        inner: the cell that proposes u.
        start: where trials start; see `InitialState`.

    Centroids are drawn from U(-.5, .5) and learned like all other weights.
    """

    units: Units
    n_centroids: Annotated[int, AfterValidator(_checked_centroids)] = 10
    temperature: Annotated[float, AfterValidator(_checked_temperature)] = 1.0
    inner: Literal["gru", "vanilla"] = "gru"
    start: Start = "zero"

    @classmethod
    def examples(cls) -> "tuple[StateRegularized, ...]":
        return (
            cls(5, n_centroids=4),
            cls(4, n_centroids=7, temperature=0.3, start="random"),
            cls(3, n_centroids=2, inner="vanilla"),
        )

    def build(self, input_size: int, generator: torch.Generator | None = None) -> "StateRegularizedCell":
        return StateRegularizedCell(self, input_size, generator)


@plain_dataclass(frozen=True)
class StateRegularizedDynamics(Dynamics):
    """The equation with its weights. With h' = S^T a, the derivative of h' in u is the covariance of the centroids
    under a, divided by the temperature: S^T (diag(a) - a a^T) S / temperature."""

    inner: Dynamics
    centroids: Float[Tensor, "centroid unit"]
    temperature: float

    def assign(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch centroid"]:
        """The weights a of the centroids in the next state; they sum to 1."""
        proposed = self.inner.step(state, input)
        return torch.softmax(functional.linear(proposed, self.centroids) / self.temperature, -1)

    def step(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit"]:
        return self.assign(state, input) @ self.centroids

    def jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit unit"]:
        return self._choose(self.assign(state, input), self.inner.jacobian(state, input))

    def input_jacobian(
        self, state: Float[Tensor, "*batch unit"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch unit input"]:
        return self._choose(self.assign(state, input), self.inner.input_jacobian(state, input))

    def jvp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        tangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        return self._choose(self.assign(state, input), self.inner.jvp(state, input, tangents))

    def vjp(
        self,
        state: Float[Tensor, "*batch unit"],
        input: Float[Tensor, "*batch input"],
        cotangents: Float[Tensor, "*batch unit vector"],
    ) -> Float[Tensor, "*batch unit vector"]:
        return self.inner.vjp(state, input, self._choose(self.assign(state, input), cotangents))

    @property
    def smooth(self) -> bool | None:
        return self.inner.smooth

    def kept_box(self, inputs: Float[Tensor, "2 input"]) -> Float[Tensor, "2 unit"]:
        """All new states are means of the centroids."""
        centroids = self.centroids.detach().double()
        margin = EDGE * (1 + centroids.abs().amax(0))
        return torch.stack([centroids.amin(0) - margin, centroids.amax(0) + margin])

    def _choose(
        self, weights: Float[Tensor, "*batch centroid"], vectors: Float[Tensor, "*batch unit vector"]
    ) -> Float[Tensor, "*batch unit vector"]:
        """The derivative of h' in u, a symmetric matrix, times vectors."""
        by_centroid = times(self.centroids, vectors)
        share = weights.unsqueeze(-1)
        pulled = share * (by_centroid - (share * by_centroid).sum(-2, keepdim=True))
        return times(self.centroids.t(), pulled) / self.temperature


class StateRegularizedCell(nn.Module):
    """The inner cell and the centroids. Sequences run step by step: what is drawn to the centroids enters the next
    step, and no ready-made loop does that."""

    def __init__(self, settings: StateRegularized, input_size: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        n_units = settings.units
        self.input_size, self.n_units, self.state_size = input_size, n_units, n_units
        inner = GRU(n_units) if settings.inner == "gru" else Vanilla(n_units)
        self.inner = inner.build(input_size, generator)
        self.centroids = uniform((settings.n_centroids, n_units), 0.5, generator)
        self.temperature = settings.temperature
        self.start = InitialState(settings.start, n_units)

    def dynamics(self) -> StateRegularizedDynamics:
        return StateRegularizedDynamics(self.inner.dynamics(), self.centroids, self.temperature)

    def project(self) -> None:
        self.inner.project()

    def initial_state(self, n_trials: int, generator: torch.Generator | None = None) -> Float[Tensor, "trial state"]:
        return self.start(n_trials, generator)

    def unroll(
        self,
        inputs: Float[Tensor, "trial time input"],
        state: Float[Tensor, "trial state"],
        noise: Float[Tensor, "trial time state"] | None = None,
    ) -> Float[Tensor, "trial time state"]:
        return unroll_by_steps(self.dynamics(), inputs, state, noise)

    def domain(self) -> Float[Tensor, "2 state"]:
        """A mean of centroids lies between them, up to the rounding of the mean."""
        centroids = self.centroids.detach().double()
        slack = 4 * len(centroids) * torch.finfo(torch.float64).eps * centroids.abs().amax(0)
        return torch.stack([centroids.amin(0) - slack, centroids.amax(0) + slack])
