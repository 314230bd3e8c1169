"""What is known of a network's counting: how its states grow, and the stack or the counter in place of a machine."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.counting.counter import Counter
from rnnscope.analyses.automata.counting.counter_machine import CounterMachine
from rnnscope.analyses.automata.counting.pushdown import Pushdown
from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The tables of a pushdown automaton, and how far it agrees.

    Attributes:
        accepting, internal, returns: see `pushdown.Pushdown`.
        fidelity: the share of prefixes of words nested to each tested depth on which it agrees with the network.
        accuracy: the share on which it is right by the task's language; None where that is no language without bound.
    """

    accepting: Bool[np.ndarray, " location"] = field(metadata={FORMERLY: "pushdown_accepting"})
    internal: Int64[np.ndarray, "location symbol"] = field(metadata={FORMERLY: "pushdown_internal"})
    returns: Int64[np.ndarray, "location symbol put_location put_symbol"] = field(
        metadata={FORMERLY: "pushdown_returns"}
    )
    fidelity: Float[np.ndarray, " tested_depth"] = field(metadata={FORMERLY: "pushdown_depth_fidelity"})
    accuracy: Float[np.ndarray, " tested_depth"] | None = field(metadata={FORMERLY: "pushdown_depth_accuracy"})


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A counter, and how far it agrees.

    Attributes:
        steps, shown, lowest, ends: see `counter.Counter`.
        fidelity, accuracy: as of a `Stack`.
    """

    steps: Int64[np.ndarray, " symbol"] = field(metadata={FORMERLY: "counter_steps"})
    shown: Int64[np.ndarray, " sum"] = field(metadata={FORMERLY: "counter_shown"})
    lowest: int = field(metadata={FORMERLY: "counter_lowest"})
    ends: bool = field(metadata={FORMERLY: "counter_ends"})
    fidelity: Float[np.ndarray, " tested_depth"] = field(metadata={FORMERLY: "counter_depth_fidelity"})
    accuracy: Float[np.ndarray, " tested_depth"] | None = field(metadata={FORMERLY: "counter_depth_accuracy"})


@dataclass(frozen=True, kw_only=True)
class ByDepth:
    """What becomes of machine and network on words that are nested ever deeper. The empty prefix is left out where no
    trial of the task asks for it.

    Attributes:
        depths: how deep the words are nested.
        machine_fidelity: the share of prefixes on which the finite machine agrees with the network.
        machine_accuracy, network_accuracy: the share on which machine and network are right by the task's language;
            None where that is no language without bound.
        linear_fit: R^2 of the nesting depth as a linear function of the network's state.
        linear_fidelity: the share of prefixes at which that function, rounded, is the depth.
    """

    depths: Int64[np.ndarray, " tested_depth"] = field(metadata={FORMERLY: "tested_depths"})
    machine_fidelity: Float[np.ndarray, " tested_depth"] = field(metadata={FORMERLY: "machine_depth_fidelity"})
    machine_accuracy: Float[np.ndarray, " tested_depth"] | None = field(metadata={FORMERLY: "machine_depth_accuracy"})
    network_accuracy: Float[np.ndarray, " tested_depth"] | None = field(metadata={FORMERLY: "network_depth_accuracy"})
    linear_fit: float = field(metadata={FORMERLY: "counter_fit"})
    linear_fidelity: Float[np.ndarray, " tested_depth"] = field(metadata={FORMERLY: "count_depth_fidelity"})


@dataclass(frozen=True, kw_only=True)
class CounterTable:
    """The tables of a counter machine, and how far it agrees.

    Attributes:
        steps, transitions, shown: see `counter_machine.CounterMachine`.
        words_right: the share of words of each depth 1, 2 ... after all whose prefixes it agrees with the network, of
            the depths that its words have; half of these words have an error. Nowhere past the depth of the word is
            anything asked.
        word_depths: these depths.
        n_tried: words of each depth.
        fidelity, accuracy: as of a `Stack`.
    """

    steps: Int64[np.ndarray, "counter symbol"]
    transitions: Int64[np.ndarray, "control symbol signs"]
    shown: Int64[np.ndarray, "control signs"]
    words_right: Float[np.ndarray, " word_depth"]
    word_depths: Int64[np.ndarray, " word_depth"]
    n_tried: int
    fidelity: Float[np.ndarray, " tested_depth"]
    accuracy: Float[np.ndarray, " tested_depth"] | None


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """How a network comes back from further than it can count, on the shortest words that go there (`beyond`).

    Attributes:
        depths: how deep these words go.
        right: the share of them after which it comes back where the counter does.
        never: the share after which it does not come back at all.
        least, most: how far it has counted back when it takes the word for closed; as much as the depth where it is
            right, less where it comes back too early; -1 where it never does.
    """

    depths: Int64[np.ndarray, " deeper"]
    right: Float[np.ndarray, " deeper"]
    never: Float[np.ndarray, " deeper"]
    least: Int64[np.ndarray, " deeper"]
    most: Int64[np.ndarray, " deeper"]

    @property
    def stays(self) -> bool:
        """Whether it comes back as if the count had stayed where it was: from nearly all these depths, and from the
        deepest much as from the first."""
        came = self.most >= 0
        if came.mean() < 0.9 or self.never.mean() > 0.1:
            return False
        spread = int(self.most[came].max() - self.least[came].min())
        return spread <= max(1, int(np.ptp(self.depths)) // 3) and bool((self.most < self.depths)[1:].all())


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Whether a network counts; see `counters` and `counted`.

    Attributes:
        growth: the number of classes among words of 0, 1, 2 ... times the same symbol. Of a regular language they are
            finitely many.
        pairs: the opening and closing symbols of a network that is said to count; () for one that is not.
        depth: how far it counts exactly, as far as was seen; 0 where it does not count.
        nearly: how far 90 % of words of each depth are right; 0 where that was not looked at.
        by_depth: words that are nested ever deeper; None where it does not count.
        stack: the pushdown automaton in the machine's place; None where there is none, or a counter is better.
        tally: the counter in the machine's place; None where there is none, or another one is better.
        table: the counter machine in the machine's place; None where there is none, or a stack is better.
        beyond: what becomes of words that go further than `nearly`; None where that was not looked at.
        finite: whether a finite machine, too, has all its answers on these words and deeper ones.
    """

    growth: Int64[np.ndarray, " repeated"] = field(metadata={FORMERLY: "growth_states"})
    pairs: tuple[tuple[int, int], ...] = field(default=(), metadata={FORMERLY: "counting_pairs"})
    depth: int = field(default=0, metadata={FORMERLY: "counting_depth"})
    by_depth: ByDepth | None = None
    stack: Stack | None = None
    tally: Tally | None = None
    nearly: int = field(default=0, metadata={FORMERLY: None})
    table: CounterTable | None = field(default=None, metadata={FORMERLY: None})
    beyond: Beyond | None = field(default=None, metadata={FORMERLY: None})
    finite: bool = field(default=False, metadata={FORMERLY: None})

    def pushdown(self) -> Pushdown | None:
        """The pushdown automaton of a network that counts; None where there is none, or a counter is better."""
        if self.stack is None:
            return None
        opening, closing = (tuple(sorted({pair[side] for pair in self.pairs})) for side in (0, 1))
        return Pushdown(self.stack.accepting, self.stack.internal, self.stack.returns, opening, closing)

    def counter(self) -> Counter | CounterMachine | None:
        """The counter of a network that counts, where it describes its answers better than a stack; else None."""
        if self.table is not None:
            return CounterMachine(self.table.steps, self.table.transitions, self.table.shown)
        if self.tally is None:
            return None
        return Counter(self.tally.steps, self.tally.shown, self.tally.lowest, self.tally.ends)
