"""What extraction returns of a network that predicts the next symbol."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.aalpy_machines import to_aalpy
from rnnscope.analyses.automata.figures.graph import Graph
from rnnscope.analyses.automata.figures.predictor import divergence_figure, predictor_graph
from rnnscope.analyses.automata.figures.states import states_figure
from rnnscope.analyses.automata.placement import Placement
from rnnscope.analyses.automata.predicting.parts import (
    Beliefs,
    PredictionFidelity,
    PredictionRivals,
    SizeSearch,
    TrueProcess,
)
from rnnscope.analyses.automata.wording import plural_states
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.tasks.machine import Machine

if TYPE_CHECKING:
    import plotly.graph_objects as go

LITTLE = 1e-5  # nats a symbol: what more states could win of so little is nothing


@dataclass(frozen=True, repr=False, kw_only=True)
class Predictor(Result):
    """The probabilistic automaton of a network that predicts the next symbol, and how much is lost with it.

    Attributes:
        transitions: the state after each symbol.
        emission: the probabilities of the next symbol; rows sum to 1.
        initial: the state before the first symbol.
        symbols: the names of the symbols.
        occupancy: the fraction of the time spent in each state on the held-out words.
        stationary: how often each state is visited in the long run, 0 in transient states. Symbols less likely than
            0.01 are left out, unless words would then be spent in transient states.
        entropy_rate: of the automaton in the long run, nats a symbol.
        statistical_complexity: the entropy of `stationary`, nats.
        fidelity: how close the automaton comes to the network.
        truth: network and automaton beside the task's process; None where it is not known.
        beliefs: the belief states of the process in the network's states; None where it is not known.
        rivals: models that were learned from the network's words alone.
        search: what the automaton was chosen from.
        placement: the network's states while the automaton is in each of its own.
        made: how it was found.
    """

    rows: ClassVar[str] = "state"
    FORMERLY: ClassVar = ("Automaton", "kind", "predictor")

    transitions: Int64[np.ndarray, "state symbol"]
    emission: Float[np.ndarray, "state symbol"]
    initial: int
    symbols: tuple[str, ...]
    occupancy: Float[np.ndarray, " state"]
    stationary: Float[np.ndarray, " state"]
    entropy_rate: float
    statistical_complexity: float
    fidelity: PredictionFidelity
    truth: TrueProcess | None
    beliefs: Beliefs | None
    rivals: PredictionRivals
    search: SizeSearch
    placement: Placement
    made: Made | None = None

    @property
    def n_states(self) -> int:
        return len(self.occupancy)

    @property
    def recurrent(self) -> Bool[np.ndarray, " state"]:
        """Which states are visited in the long run."""
        return self.stationary > 0

    @property
    def n_recurrent(self) -> int:
        return int(self.recurrent.sum())

    def machine(self) -> Machine:
        """The automaton, to run, compare, sample or export; its states show 1 where they are recurrent."""
        return Machine(self.transitions, self.recurrent.astype(np.int64)[:, None], self.initial, self.emission)

    def to_dot(self) -> str:
        """The automaton in Graphviz's language."""
        return self.machine().to_dot(self.symbols)

    def to_aalpy(self) -> Any:
        """The automaton as AALpy's `StochasticMealyMachine`."""
        return to_aalpy(self.machine(), self.symbols)

    def to_json(self) -> str:
        """The automaton as JSON; `Machine.from_json` reads it."""
        return self.machine().to_json()

    def graph(self) -> Graph:
        """Its states as circles and its transitions as arrows, to draw in one's own way; of more than 40 states the
        most visited."""
        return predictor_graph(self.machine(), self.symbols, self.occupancy)

    @checked
    def figure(self, *, layout: Literal["graph", "states"] = "graph", fold: bool | None = None) -> "go.Figure":
        """The machine as a graph. With the layout "states" the network's own states on two principal axes, with the
        points that keep them and the transitions as trajectories, of the most visited states where they are many.

        Args:
            layout: "graph" or "states".
            fold: whether groups of states that keep among themselves become one circle each, in a graph; None to fold
                machines of more than 40 states. Without folding, of more than 40 the most visited are drawn.
        """
        from rnnscope.analyses.automata.figures.folding import flow_of, fold_graph, folds

        if layout == "graph" and folds(self.n_states, fold):
            whole = predictor_graph(self.machine(), self.symbols, self.occupancy, self.n_states)
            return fold_graph(
                whole, flow_of(self.transitions, self.occupancy, self.machine().emission), self.n_states
            ).figure()
        graph = self.graph()
        if layout == "states":
            return states_figure(graph, self.placement, self.occupancy, self.symbols)
        return graph.figure()

    def trust_figure(self) -> "go.Figure":
        """The divergence from the network against the number of states, and, where the process is known, its belief
        states as decoded."""
        return divergence_figure(self.machine(), self.fidelity, self.search, self.rivals, self.beliefs)

    def headline(self) -> dict[str, float | int]:
        """The divergence of the automaton from the network in nats a symbol, and what the automaton is by itself."""
        return {
            "n_states": self.n_states,
            "divergence": float(self.fidelity.divergence),
            "entropy_rate": float(self.entropy_rate),
            "statistical_complexity": float(self.statistical_complexity),
        }

    def summary(self) -> str:
        """What was found and how far it is to be trusted, in a few sentences."""
        found, n, limit = self.fidelity, self.n_states, self.search.max_states
        parts = [
            f"{self.n_recurrent} recurrent and {n - self.n_recurrent} transient states; KL(network || automaton) "
            f"{found.divergence:.2g} ± {found.divergence_error:.1g} nats a symbol on {found.n_test_words} held-out "
            f"words of {found.length} symbols; entropy rate {self.entropy_rate:.4f} nats a symbol, statistical "
            f"complexity {self.statistical_complexity:.4f} nats"
        ]
        if n == limit and self.search.n_states_wanted is None and found.divergence > LITTLE:
            parts.append(f"as many states as allowed: more (max_states > {limit}) may come closer")
        if self.rivals.models:
            rivals = zip(self.rivals.models, self.rivals.divergence, self.rivals.n_states.tolist(), strict=True)
            others = ", ".join(f"{name} {kl:.2g} ({plural_states(size)})" for name, kl, size in rivals)
            parts.append(f"KL from the network of what was learned from its words alone: {others}")
        if self.truth is not None:
            parts.append(f"KL(process || network) {self.truth.divergence:.2g}")
        if self.beliefs is not None and self.beliefs.r2 is not None:
            linear = np.floor(1e4 * self.beliefs.r2) / 1e4
            parts.append(f"the true belief states are linear in the network's states with R² = {linear:.4f}")
        return "; ".join(parts)
