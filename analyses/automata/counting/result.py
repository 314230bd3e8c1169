"""What is known of a network's counting: how its states grow, and the stack or the counter in place of a machine."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.counting.counter import Counter
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
class Counting:
    """Whether a network counts; see `counters`.

    Attributes:
        growth: the number of classes among words of 0, 1, 2 ... times the same symbol. Of a regular language they are
            finitely many.
        pairs: the opening and closing symbols of a network that is said to count; () for one that is not.
        depth: how far it counts exactly; 0 where it does not count.
        by_depth: words that are nested ever deeper; None where it does not count.
        stack: the pushdown automaton in the machine's place; None where there is none, or a counter is better.
        tally: the counter in the machine's place; None where there is none, or a stack is better.
    """

    growth: Int64[np.ndarray, " repeated"] = field(metadata={FORMERLY: "growth_states"})
    pairs: tuple[tuple[int, int], ...] = field(default=(), metadata={FORMERLY: "counting_pairs"})
    depth: int = field(default=0, metadata={FORMERLY: "counting_depth"})
    by_depth: ByDepth | None = None
    stack: Stack | None = None
    tally: Tally | None = None

    def pushdown(self) -> Pushdown | None:
        """The pushdown automaton of a network that counts; None where there is none, or a counter is better."""
        if self.stack is None:
            return None
        opening, closing = (tuple(sorted({pair[side] for pair in self.pairs})) for side in (0, 1))
        return Pushdown(self.stack.accepting, self.stack.internal, self.stack.returns, opening, closing)

    def counter(self) -> Counter | None:
        """The counter of a network that counts, where it describes its answers better than a stack; else None."""
        if self.tally is None:
            return None
        return Counter(self.tally.steps, self.tally.shown, self.tally.lowest, self.tally.ends)
