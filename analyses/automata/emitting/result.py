"""What extraction returns of a network that turns noise into symbols."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.automata.aalpy_machines import markov_chain
from rnnscope.analyses.automata.emitting.parts import ChainSearch, EmissionFidelity, EmissionRivals, Front, TrueModel
from rnnscope.analyses.automata.figures.emitter import emitter_graph, likelihood_figure
from rnnscope.analyses.automata.figures.graph import Graph
from rnnscope.analyses.automata.figures.states import states_figure
from rnnscope.analyses.automata.placement import Placement
from rnnscope.analyses.automata.wording import plural_states
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.tasks import HMM

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, repr=False, kw_only=True)
class Emitter(Result):
    """The hidden Markov model of a network that turns noise into symbols, and how likely what it emits is.

    Attributes:
        transition_probabilities: of the next state; rows sum to 1. The most visited state comes first.
        emission: of the symbol in each state; rows sum to 1.
        occupancy: the fraction of the time spent in each state.
        symbols: the names of the symbols.
        fidelity: how likely held-out sequences of the network are.
        truth: the model beside the task's true one; None where the task has none.
        rivals: other models of the same sequences.
        front: the best chain with each number of states.
        search: what the model was chosen from.
        placement: the network's states while the model is in each of its own.
        made: how it was found.
    """

    rows: ClassVar[str] = "state"
    FORMERLY: ClassVar = ("Automaton", "kind", "emitter")

    transition_probabilities: Float[np.ndarray, "state next_state"]
    emission: Float[np.ndarray, "state emitted"]
    occupancy: Float[np.ndarray, " state"]
    symbols: tuple[str, ...]
    fidelity: EmissionFidelity
    truth: TrueModel | None
    rivals: EmissionRivals
    front: Front
    search: ChainSearch
    placement: Placement
    made: Made | None = None

    @property
    def n_states(self) -> int:
        return len(self.occupancy)

    def hmm(self) -> HMM:
        """The hidden Markov model, which starts as its occupancy says."""
        return HMM(self.transition_probabilities, self.emission, self.occupancy)  # type: ignore[arg-type]

    def to_dot(self) -> str:
        """The model in Graphviz's language."""
        return self.hmm().to_dot(self.symbols)

    def to_aalpy(self) -> Any:
        """The model as AALpy's Markov chain (`markov_chain`)."""
        return markov_chain(self.hmm(), self.symbols)

    def to_json(self) -> str:
        """The model as JSON; `HMM.from_json` reads it."""
        return self.hmm().to_json()

    def graph(self) -> Graph:
        """Its states as circles and its transitions as arrows, to draw in one's own way; of more than 40 states the
        most visited."""
        return emitter_graph(self.transition_probabilities, self.emission, self.symbols, self.occupancy)

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
            whole = emitter_graph(
                self.transition_probabilities, self.emission, self.symbols, self.occupancy, self.n_states
            )
            return fold_graph(whole, flow_of(self.transition_probabilities, self.occupancy), self.n_states).figure()
        graph = self.graph()
        if layout == "states":
            return states_figure(graph, self.placement, self.occupancy, None)
        return graph.figure()

    def trust_figure(self) -> "go.Figure":
        """The likelihood of the network's sequences against the number of states, beside other models."""
        return likelihood_figure(self.n_states, self.fidelity, self.truth, self.rivals, self.front)

    def headline(self) -> dict[str, float | int]:
        """The log likelihood of the network's sequences in nats a symbol, and by how much it falls short of the true
        model's on the true model's own, as a part of the entropy rate; NaN where the task has no true model."""
        return {
            "n_states": self.n_states,
            "log_likelihood": float(self.fidelity.log_likelihood),
            "shortfall": np.nan if self.truth is None else float(self.truth.shortfall),
        }

    def summary(self) -> str:
        """What was found and how far it is to be trusted, in a few sentences."""
        found, truth = self.fidelity, self.truth
        parts = [
            f"{plural_states(self.n_states)}; log likelihood {found.log_likelihood:.4f} ± "
            f"{found.log_likelihood_error:.4f} nats a symbol of {found.n_test_words} held-out sequences of the network"
        ]
        if truth is not None:
            parts[0] += (
                f", the true model's {truth.log_likelihood:.4f} (difference {truth.difference:+.4f} ± "
                f"{truth.difference_error:.4f})"
            )
            parts.append(
                f"of sequences of the true model {truth.log_likelihood_on_truth:.4f}, the true model's "
                f"{truth.own_log_likelihood:.4f}: {100 * truth.shortfall:.1f} ± {100 * truth.shortfall_error:.1f} % "
                "of the entropy rate short"
            )
            floor = 1 / (found.n_test_words * found.length)
            emitted, wanted = (np.maximum(f, floor) for f in (found.symbol_frequencies, truth.frequencies))
            worst = int(np.abs(np.log(emitted / wanted)).argmax())
            parts.append(
                f"the network emits symbol {self.symbols[worst]} with frequency "
                f"{found.symbol_frequencies[worst]:.2g}, the true model with {truth.frequencies[worst]:.2g}"
            )
        rivals = zip(self.rivals.models, self.rivals.n_states.tolist(), self.rivals.log_likelihood, strict=True)
        others = ", ".join(f"{name} {likelihood:.4f} ({plural_states(n)})" for name, n, likelihood in rivals)
        parts.append(f"learned otherwise from the network's sequences: {others}")
        if self.search.converged is False:
            parts.append("the last iterations (Baum-Welch) did not come to rest")
        return "; ".join(parts)
