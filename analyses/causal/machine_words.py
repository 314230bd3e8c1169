"""Words that lead a machine to a state that is asked for, and words that tell two of its states apart."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.words import TaskWords
from rnnscope.tasks.machine import Machine

# Of a task, whose beginnings are drawn from: many more than swaps need of any state.
TRIALS = 2000
NEVER = np.iinfo(np.int64).max // 2  # steps to what is never reached


class Leading(NamedTuple):
    """Words of different lengths.

    Attributes:
        words: symbols; after its length, whatever.
        length: of each.
    """

    words: Int64[np.ndarray, "word time"]
    length: Int64[np.ndarray, " word"]


class WordsTo:
    """Random words that lead to a state: every length up to the longest at which there are any is as likely, and of
    those of one length every word."""

    def __init__(self, machine: Machine, longest: int) -> None:
        n = machine.n_states
        # A word that leads to nothing asked for is never drawn, so that only ratios matter: no sum grows too large.
        ways = np.empty((longest + 1, n, n))  # [remaining, from, to]
        ways[0] = np.eye(n)
        for k in range(longest):
            ways[k + 1] = ways[k][machine.transitions].sum(1) / machine.n_symbols
        self._machine, self._ways = machine, ways
        # The empty word only where no other leads there: what a network shows before any symbol may be asked by nobody.
        self._possible = ways[:, machine.initial] > 0  # (length, to)
        self._possible[0] &= ~self._possible[1:].any(0)

    @property
    def visits(self) -> Float[np.ndarray, " state"]:
        """How often random words visit each state; 0 where none leads."""
        return np.where(self._possible.any(0), self._ways[:, self._machine.initial].mean(0), 0.0)

    def draw(self, targets: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Leading:
        """A word to each of the states."""
        machine, longest = self._machine, len(self._ways) - 1
        length = (rng.random((len(targets), longest + 1)) * self._possible[:, targets].T).argmax(1)
        words = rng.integers(machine.n_symbols, size=(len(targets), longest))
        state = np.full(len(targets), machine.initial)
        for t in range(longest):
            going = np.flatnonzero(length > t)
            after = machine.transitions[state[going]]
            weight = self._ways[(length[going] - t - 1)[:, None], after, targets[going, None]].cumsum(1)
            chosen = (rng.random((len(going), 1)) * weight[:, -1:] >= weight).sum(1)
            words[going, t] = chosen
            state[going] = machine.transitions[state[going], chosen]
        return Leading(words, length)


class Distinguishing:
    """The shortest words after which two states show different things.

    Attributes:
        steps: [a, b]: symbols in such a word; `NEVER` where the two states behave alike.
        longest: the most that are needed for any two that do not.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        shown, after = machine.outputs, machine.transitions
        self.steps = np.where((shown[:, None] != shown[None]).any(-1), 0, NEVER)
        self._first = np.zeros_like(self.steps)
        while True:
            ahead = self.steps[after[:, None], after[None]]  # [a, b, symbol]
            shorter = ahead.min(-1) + 1 < self.steps
            if not shorter.any():
                break
            self._first[shorter] = ahead.argmin(-1)[shorter]
            self.steps = np.where(shorter, ahead.min(-1) + 1, self.steps)
        self.longest = int(np.where(self.steps < NEVER, self.steps, 0).max())

    def put_first(
        self, words: Int64[np.ndarray, "word time"], a: Int64[np.ndarray, " word"], b: Int64[np.ndarray, " word"]
    ) -> Int64[np.ndarray, "word time"]:
        """The words with the beginning replaced by one that tells a from b, where they are long enough and there is
        any."""
        found, a, b = words.copy(), a.copy(), b.copy()
        after = self._machine.transitions
        for t in range(words.shape[1]):
            left = self.steps[a, b]
            more = np.flatnonzero((left > 0) & (left < NEVER))
            symbol = self._first[a[more], b[more]]
            found[more, t] = symbol
            a[more], b[more] = after[a[more], symbol], after[b[more], symbol]
        return found


def states_from(
    machine: Machine, begin: Int64[np.ndarray, " word"], words: Int64[np.ndarray, "word time"]
) -> Int64[np.ndarray, "word prefix"]:
    """The states of the machine after every prefix of each word, the empty one first, from states that are given."""
    found = np.empty((len(words), words.shape[1] + 1), np.int64)
    found[:, 0] = begin
    for t in range(words.shape[1]):
        found[:, t + 1] = machine.transitions[found[:, t], words[:, t]]
    return found


class PrefixesTo:
    """Beginnings of a task's trials that lead to a state, each as likely."""

    def __init__(self, machine: Machine, of_task: TaskWords, longest: int, rng: np.random.Generator) -> None:
        words, ends = of_task(TRIALS, rng)
        words = words[:, :longest]
        lengths = np.arange(1, words.shape[1] + 1)
        visited = np.where(lengths <= ends[:, None], machine.run(words), -1)
        self._words = words
        self._places = [np.argwhere(visited == state) for state in range(machine.n_states)]

    @property
    def visits(self) -> Float[np.ndarray, " state"]:
        """How often trials visit each state."""
        return np.array([len(places) for places in self._places], np.float64)

    def draw(self, targets: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Leading:
        """A beginning that leads to each of the states."""
        found = np.array([self._places[state][int(rng.integers(len(self._places[state])))] for state in targets])
        return Leading(self._words[found[:, 0]], found[:, 1] + 1)
