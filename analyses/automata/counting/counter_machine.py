"""A machine of few states with one or two counters: each symbol adds to the counters, and what the machine then does
depends on its state, the symbol, and whether each counter lies below, at or above zero.

With one counter it is a visibly counter automaton (Bárány, Löding and Serre, "Regularity problems for visibly pushdown
languages", STACS 2006) whose counter may be negative; with two it reads a^n b^n c^n and its kin too.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.tasks.machine import Machine

SIGNS = 3  # below, at and above zero


@dataclass(frozen=True)
class CounterMachine:
    """Starts in state 0 with all counters at zero.

    Attributes:
        steps: what each symbol adds to each counter.
        transitions: the state after a symbol, by the signs of the counters after it (`signs`).
        shown: in each state, by the signs of the counters.
    """

    steps: Int64[np.ndarray, "counter symbol"]
    transitions: Int64[np.ndarray, "state symbol signs"]
    shown: Int64[np.ndarray, "state signs"]

    @property
    def n_symbols(self) -> int:
        return self.steps.shape[1]

    @property
    def key(self) -> bytes:
        """The same for the same tables."""
        return b"".join(part.tobytes() for part in (self.steps, self.transitions, self.shown))

    @property
    def ended(self) -> Bool[np.ndarray, " state"]:
        """States that are never left and show one thing whatever is counted."""
        itself = np.arange(len(self.shown))[:, None, None]
        return (self.transitions == itself).all((1, 2)) & (self.shown == self.shown[:, :1]).all(1)

    @property
    def n_locations(self) -> int:
        """States, those left out in which all is decided."""
        return int((~self.ended).sum())

    def run(
        self, words: Int64[np.ndarray, "word time"]
    ) -> tuple[Int64[np.ndarray, "word prefix"], Int64[np.ndarray, "word prefix counter"]]:
        """State and counters after each prefix, the empty one first."""
        counts = np.zeros((*words.shape[:1], words.shape[1] + 1, len(self.steps)), np.int64)
        counts[:, 1:] = self.steps.T[words].cumsum(1)
        sign = signs(counts)
        state = np.zeros((len(words), words.shape[1] + 1), np.int64)
        for t in range(words.shape[1]):
            state[:, t + 1] = self.transitions[state[:, t], words[:, t], sign[:, t + 1]]
        return state, counts

    def show(self, words: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        """What is shown after each prefix, the empty one first."""
        state, counts = self.run(words)
        return self.shown[state, signs(counts)]

    def reaches(self, words: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        """The furthest from zero that a counter was up to each prefix, what came after the end left out."""
        state, counts = self.run(words)
        far = np.where(self.ended[state], 0, np.abs(counts).max(-1))
        return np.maximum.accumulate(far, axis=1)

    def without(self, state: int, other: int) -> "CounterMachine":
        """With every way into `state`, which is not the first one, leading to `other` instead."""
        number = np.arange(len(self.shown)) - (np.arange(len(self.shown)) > state)
        number[state] = number[other]
        kept = np.arange(len(self.shown)) != state
        return CounterMachine(self.steps, number[self.transitions[kept]], self.shown[kept])

    def bounded(self, depth: int) -> Machine:
        """The finite machine that accepts (shows 1 for) the words that this one shows 1 for, whose counters came to
        `depth` on either side of zero and never went further."""
        n, n_counters, width = len(self.shown), len(self.steps), 2 * depth + 1
        grid = np.stack(np.meshgrid(*[np.arange(-depth, depth + 1)] * n_counters, indexing="ij"), -1)
        counts = np.tile(grid.reshape(-1, n_counters), (2 * n, 1))  # (whether it was reached, state, counters)
        half = len(counts) // 2
        state = np.tile(np.repeat(np.arange(n), half // n), 2)
        was = np.repeat([0, 1], half)
        out = len(counts)
        after = counts[:, None] + self.steps.T[None]
        far = np.abs(after).max(-1)
        then = self.transitions[state[:, None], np.arange(self.n_symbols), signs(after)]
        place = np.ravel_multi_index(np.moveaxis(np.clip(after + depth, 0, width - 1), -1, 0), (width,) * n_counters)
        to = ((was[:, None] | (far == depth)) * n + then) * (half // n) + place
        to = np.vstack([np.where(far > depth, out, to), np.full((1, self.n_symbols), out)])
        shown = np.append((self.shown[state, signs(counts)] == 1) & (was == 1), False)
        middle = (width**n_counters - 1) // 2
        return Machine(to, shown[:, None].astype(np.int64), middle)


def signs(counts: Int64[np.ndarray, "*batch counter"]) -> Int64[np.ndarray, "*batch"]:
    """One number for the signs of all counters: of a single one 0 below, 1 at, 2 above zero."""
    return ((np.sign(counts) + 1) * SIGNS ** np.arange(counts.shape[-1])).sum(-1)
