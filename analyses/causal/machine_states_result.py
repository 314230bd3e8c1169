"""How far the states of a machine are causes in its network: what swaps of them do, and a summary in a sentence."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.wording import percent
from rnnscope.analyses.causal.controls import RandomSubspaces, interval
from rnnscope.analyses.causal.figures import tables_figure
from rnnscope.analyses.causal.subspace import Learned
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go


# With fewer whole states that go on as the machine says, the summary tells where to look for an error in it.
FOLLOWS = 0.95


@dataclass(frozen=True)
class StateSwaps:
    """Shares of swaps after which the network goes on as the machine does from the source's state, from a base in
    another one.

    Attributes:
        n_pairs: swaps, each of other words, into each state.
        n_distinct: different words among those of their sources: few lead to some states.
        accuracy: within the subspace, with its 95 % interval (Wilson) `low` and `high`.
        whole: with the whole state of the network put in, which is what it does by itself after the source's word, with
            its interval `whole_low` and `whole_high`.
        control: the mean of random subspaces of the same dimensions, of `RandomSubspaces.visited`.
        unpatched: with nothing put in. The inputs that follow tell the two states of the machine apart, so that a
            network that goes on as its machine is never right.
    """

    n_pairs: Int64[np.ndarray, " source"]
    n_distinct: Int64[np.ndarray, " source"]
    accuracy: Float[np.ndarray, " source"]
    low: Float[np.ndarray, " source"]
    high: Float[np.ndarray, " source"]
    whole: Float[np.ndarray, " source"]
    whole_low: Float[np.ndarray, " source"]
    whole_high: Float[np.ndarray, " source"]
    control: Float[np.ndarray, " source"]
    unpatched: Float[np.ndarray, " source"]


@dataclass(frozen=True)
class PairSwaps:
    """The same for each state of the base. On the diagonal base and source are words to the same state, so that nothing
    should change.

    Attributes:
        n_pairs: swaps of each kind.
        accuracy, low, high, whole, control: as of `StateSwaps`.
    """

    n_pairs: int
    accuracy: Float[np.ndarray, "base source"]
    low: Float[np.ndarray, "base source"]
    high: Float[np.ndarray, "base source"]
    whole: Float[np.ndarray, "base source"]
    control: Float[np.ndarray, "base source"]


@dataclass(frozen=True)
class TransitionSwaps:
    """A state is put in, a symbol is read, and then the shortest word that tells where the machine goes with it from
    another state, drawn anew for each swap: shares of swaps after which the network shows what the machine does there.

    Attributes:
        n_pairs: swaps for each transition, from a base in another state.
        accuracy, low, high, whole, control: as of `StateSwaps`.
        taken_wrong: of the swaps of whole states of `PairSwaps` that went wrong, the share whose words took the
            transition before that: all of them, where it alone is not the network's. NaN where none went wrong.
        taken_right: the same share of those that did not.
    """

    n_pairs: int
    accuracy: Float[np.ndarray, "source symbol"]
    low: Float[np.ndarray, "source symbol"]
    high: Float[np.ndarray, "source symbol"]
    whole: Float[np.ndarray, "source symbol"]
    control: Float[np.ndarray, "source symbol"]
    taken_wrong: Float[np.ndarray, "source symbol"]
    taken_right: Float[np.ndarray, "source symbol"]

    @property
    def suspect(self) -> tuple[int, int]:
        """The transition (row, symbol) that swaps which went wrong took more often than others, by the largest
        difference: where to look first."""
        return _lowest(self.taken_right - self.taken_wrong)


@dataclass(frozen=True, repr=False)
class MachineStates(Result):
    """What happens when the network's state after one word is put in the place of that after another.

    Attributes:
        states: the states of the machine that words were found for, and that are looked at.
        n_states: how many the machine has.
        symbols: what it reads.
        words: where words come from: the "task", or "random".
        columns: orthonormal columns of the subspace within which states are swapped.
        learned: how it was found.
        of_states: swaps into each state.
        of_pairs: swaps from each state into each.
        of_transitions: swaps and then a symbol.
        random: swaps within random subspaces.
        made: how it was found.
    """

    rows: ClassVar[str] = "source"

    states: Int64[np.ndarray, " source"]
    n_states: int
    symbols: tuple[str, ...]
    words: str
    columns: Float[np.ndarray, "unit direction"]
    learned: Learned
    of_states: StateSwaps
    of_pairs: PairSwaps
    of_transitions: TransitionSwaps
    random: RandomSubspaces
    made: Made | None = None

    @property
    def accuracy(self) -> float:
        """Of all swaps into another state, each state with equal weight."""
        return float(self.of_states.accuracy.mean())

    @property
    def worst(self) -> int:
        """The row of the state with the lowest accuracy, the first of those that share it."""
        return int(np.round(self.of_states.accuracy, 12).argmin())

    def headline(self) -> dict[str, float | int]:
        """Dimensions of the subspace, accuracy of swaps within it, that into the worst state, and the mean of random
        subspaces of visited states."""
        return {
            "dimensions": self.columns.shape[1],
            "accuracy": self.accuracy,
            "worst": float(self.of_states.accuracy.min()),
            "control": float(self.random.visited.mean()),
        }

    def summary(self) -> str:
        """One sentence: how many dimensions, how often it works, the worst state and transition, and the controls."""
        swaps, moves, worst = self.of_states, self.of_transitions, self.worst
        state, symbol = _lowest(moves.accuracy)
        left = self.n_states - len(self.states)
        searched = "" if self.learned.settled else ", the search for it stopped before it settled"
        return (
            f"put into {self.columns.shape[1]} of {len(self.columns)} dimensions, a state of the machine makes the "
            f"network go on as from there in {percent(self.accuracy)} of held-out swaps "
            f"({swaps.n_pairs.sum()} into {len(self.states)} states{f', {left} not looked at' if left else ''}"
            f"{searched}); worst into state {self.states[worst]}: {percent(swaps.accuracy[worst])} "
            f"({interval(swaps.low[worst], swaps.high[worst])} at 95 %), and of transitions from state "
            f"{self.states[state]} by {self.symbols[symbol]}: {percent(moves.accuracy[state, symbol])} "
            f"({interval(moves.low[state, symbol], moves.high[state, symbol])}); the whole state put in: "
            f"{percent(float(swaps.whole.mean()))}, worst {percent(float(swaps.whole.min()))}; "
            f"{self.random.told()}{self._suspicion()}"
        )

    def _suspicion(self) -> str:
        """Where the machine may be wrong, of one that the network itself does not follow."""
        moves = self.of_transitions
        if self.of_states.whole.mean() >= FOLLOWS or np.isnan(moves.taken_right).any():
            return ""
        state, symbol = moves.suspect
        return (
            "; the network does not go on as this machine even with its whole state: in state "
            f"{self.states[state]} {self.symbols[symbol]} was read before {percent(moves.taken_wrong[state, symbol])} "
            f"of swaps that went wrong and in {percent(moves.taken_right[state, symbol])} of the others"
        )

    def figure(self) -> "go.Figure":
        """The accuracy from each state into each, beside that of random subspaces."""
        names, pairs = [str(state) for state in self.states], self.of_pairs
        told = "Swaps of states, % right", "state put in", "state before"
        chance, ends = float(self.random.any.mean()), (pairs.low, pairs.high)
        return tables_figure(*told, names, names, pairs.accuracy, ends, pairs.control, chance)

    def transitions_figure(self) -> "go.Figure":
        """The accuracy of each transition, beside that of random subspaces."""
        names, moves = [str(state) for state in self.states], self.of_transitions
        told = "Transitions, % right", "symbol", "state put in"
        chance, ends = float(self.random.any.mean()), (moves.low, moves.high)
        return tables_figure(*told, list(self.symbols), names, moves.accuracy, ends, moves.control, chance)


def _lowest(values: Float[np.ndarray, "row column"]) -> tuple[int, int]:
    """The place of the least, the first of those that differ by rounding alone."""
    row, column = np.unravel_index(int(np.round(values, 12).argmin()), values.shape)
    return int(row), int(column)
