"""What extraction returns of a network that reads symbols and decides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Lt
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.aalpy_machines import to_aalpy
from rnnscope.analyses.automata.counting.result import Counting
from rnnscope.analyses.automata.deciding import summary
from rnnscope.analyses.automata.deciding.distinction import Distinction
from rnnscope.analyses.automata.deciding.doubts import Doubts
from rnnscope.analyses.automata.deciding.fidelity import Fidelity
from rnnscope.analyses.automata.deciding.repeats import Repeats
from rnnscope.analyses.automata.deciding.truth import OnTask, Truth
from rnnscope.analyses.automata.figures.acceptor import acceptor_graph
from rnnscope.analyses.automata.figures.graph import Graph
from rnnscope.analyses.automata.figures.states import states_figure
from rnnscope.analyses.automata.figures.trust import agreement_figure, front_figure
from rnnscope.analyses.automata.placement import Placement
from rnnscope.question import checked
from rnnscope.records import schema1
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.tasks.machine import Machine

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True)
class MachineSearch:
    """How the machine was found, and what it was chosen from.

    Attributes:
        method: what found it, "states" or "queries".
        n_words: words to learn from, and as many to choose by.
        candidates: numbers of clusters that could be tried.
        n_questions: words of which the answer was asked in learning.
        out_of_budget: whether the search would have gone on.
        n_checks: disagreements of questions and states that were put to the network.
        settled: whether both agree in the end; None where they were not checked against each other.
        methods: how each machine that was tried was found.
        n_clusters: from how many clusters; 0 for questions.
        n_states: how many states each has, minimal.
        agreement: the fraction of prefixes of validation words on which each agrees with the network.
        transitions, outputs: the machines themselves, one below the other; see `machine`.
        repeats: the same search with other words; None where the machine is not faithful (see `summary`), and in
            results of before there was one.
        n_led: words whose outputs were looked at to find such as random words would miss.
    """

    method: str
    n_words: int
    candidates: tuple[int, ...] = field(metadata={schema1.FORMERLY: "n_clusters"})
    n_questions: int
    out_of_budget: bool
    n_checks: int
    settled: bool | None
    methods: tuple[str, ...] = field(metadata={schema1.FORMERLY: "tried_methods"})
    n_clusters: Int64[np.ndarray, " tried"] = field(metadata={schema1.FORMERLY: "tried_clusters"})
    n_states: Int64[np.ndarray, " tried"] = field(metadata={schema1.FORMERLY: "tried_states"})
    agreement: Float[np.ndarray, " tried"] = field(metadata={schema1.FORMERLY: "tried_fidelity"})
    transitions: Int64[np.ndarray, "tried_state symbol"] = field(metadata={schema1.FORMERLY: "tried_transitions"})
    outputs: Int64[np.ndarray, "tried_state head"] = field(metadata={schema1.FORMERLY: "tried_outputs"})
    repeats: Repeats | None = field(default=None, metadata={schema1.FORMERLY: None})
    n_led: int = field(default=0, metadata={schema1.FORMERLY: None})

    @property
    def front(self) -> Int64[np.ndarray, " kept"]:
        """Which of the machines that were tried are on the front, from few states to many: each agrees with the network
        on more prefixes than any with as few states."""
        order = np.lexsort((-self.agreement, self.n_states))
        best = np.maximum.accumulate(self.agreement[order])
        return order[np.append(True, best[1:] > best[:-1])] if len(order) else order

    def machine(self, index: int) -> Machine:
        """One of the machines that were tried, of `n_states[index]` states."""
        end = int(self.n_states[: index + 1].sum())
        rows = slice(end - int(self.n_states[index]), end)
        return Machine(self.transitions[rows], self.outputs[rows])


@dataclass(frozen=True, repr=False, kw_only=True)
class Acceptor(Result):
    """The Moore machine of a network that reads symbols and decides, and how faithful it is.

    Attributes:
        transitions: the state after each symbol.
        outputs: what a state shows, per head.
        initial: the state before the first symbol.
        symbols: the names of the symbols.
        occupancy: the fraction of the time spent in each state under the test words, empty prefix included.
        fidelity: agreement with the network on words of several kinds and lengths.
        distinction: whether the network forgets what the machine forgets, and keeps what it keeps.
        doubts: where a search found them to disagree after all this.
        on_task: how often machine and network are right on the task; None without a task.
        truth: the machine beside the task's true one; None where the task has no machine over these symbols.
        counting: whether the network counts, and a stack or a counter in the machine's place; None where it was not
            looked for, with more than 8 symbols.
        search: how the machine was found, and what it was chosen from.
        placement: the network's states while the machine is in each of its own.
        made: how it was found.
    """

    rows: ClassVar[str] = "state"
    FORMERLY: ClassVar = ("Automaton", "kind", "moore")

    transitions: Int64[np.ndarray, "state symbol"]
    outputs: Int64[np.ndarray, "state head"]
    initial: int
    symbols: tuple[str, ...]
    occupancy: Float[np.ndarray, " state"]
    fidelity: Fidelity
    distinction: Distinction
    doubts: Doubts
    on_task: OnTask | None
    truth: Truth | None
    counting: Counting | None
    search: MachineSearch
    placement: Placement
    made: Made | None = None

    @property
    def n_states(self) -> int:
        return len(self.occupancy)

    def machine(self) -> Machine:
        """The machine, to run, compare, sample or export."""
        return Machine(self.transitions, self.outputs, self.initial)

    def show(self, word: Sequence[str]) -> tuple[int, ...]:
        """What the machine shows (of each head) after a word of named symbols.

        Raises:
            ValueError: a symbol outside the alphabet.
        """
        unknown = [symbol for symbol in word if symbol not in self.symbols]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no symbol of this machine; it reads {', '.join(self.symbols)}")
        state = self.initial
        for symbol in word:
            state = int(self.transitions[state, self.symbols.index(symbol)])
        return tuple(self.outputs[state].tolist())

    def to_dot(self) -> str:
        """The machine in Graphviz's language."""
        return self.machine().to_dot(self.symbols)

    def to_aalpy(self) -> Any:
        """The machine as AALpy's automaton."""
        return to_aalpy(self.machine(), self.symbols)

    def to_json(self) -> str:
        """The machine as JSON; `Machine.from_json` reads it."""
        return self.machine().to_json()

    def graph(self) -> Graph:
        """Its states as circles and its transitions as arrows, to draw in one's own way; of more than 40 states the
        most visited."""
        return acceptor_graph(self.machine(), self.symbols, self.occupancy, self.fidelity)

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
            whole = acceptor_graph(self.machine(), self.symbols, self.occupancy, self.fidelity, self.n_states)
            return fold_graph(whole, flow_of(self.transitions, self.occupancy), self.n_states).figure()
        graph = self.graph()
        if layout == "states":
            return states_figure(graph, self.placement, self.occupancy, self.symbols)
        return graph.figure()

    @checked
    def trust_figure(self, *, lowest: Annotated[float, Ge(0), Lt(1)] = 0.0) -> "go.Figure":
        """Agreement with the network against the length of words, with 95 % intervals; of a network that counts,
        against depth too.

        Args:
            lowest: where the axis of shares begins; it ends at 1.
        """
        return agreement_figure(self.fidelity, self.counting, lowest)

    def front_figure(self) -> "go.Figure":
        """All machines that were tried, states against disagreement, with the front among them (`search.front`,
        `search.machine`)."""
        search = self.search
        return front_figure(search.n_states, search.agreement, search.front, self.n_states)

    def headline(self) -> dict[str, float | int]:
        """Fidelity is the share of words of the usual length, of the kind with the least, at every prefix of which
        machine and network agree; accuracy the machine's on the task's trials; equivalent 1 where it is the task's
        true machine, else 0. NaN for what the task does not have."""
        accuracy = None if self.on_task is None else self.on_task.accuracy
        return {
            "n_states": self.n_states,
            "fidelity": float(self.fidelity.words[self.fidelity.worst, 0]),
            "accuracy": np.nan if accuracy is None else float(accuracy.machine),
            "equivalent": np.nan if self.truth is None else int(self.truth.equivalent),
        }

    def summary(self) -> str:
        """What was found and how far it is to be trusted, in a few sentences."""
        n, fidelity = self.n_states, self.fidelity
        return "; ".join(
            [
                *summary.counts(self.counting, self.symbols),
                summary.headline(n, fidelity, self.doubts, self.search.out_of_budget),
                *summary.repeated(self.search.repeats),
                *summary.led(n, self.search.n_led, fidelity, self.doubts),
                *summary.visited(n, self.on_task, fidelity),
                *summary.agreement(fidelity),
                summary.bound(fidelity),
                *summary.parting(fidelity),
                *summary.disagreements(self.doubts, fidelity.lengths, self.symbols),
                *summary.by_truth(self.truth, self.symbols),
                *summary.accuracy(self.on_task),
            ]
        )
