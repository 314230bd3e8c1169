"""A stack learned from a network: a visibly pushdown automaton (Alur and Madhusudan, "Visibly pushdown languages", STOC
2004) by AALpy's version of Kearns and Vazirani's algorithm.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.analyses.automata.deciding.query_machine import Answers
from rnnscope.analyses.automata.reader import Reader

MOST_LOCATIONS = 12
MOST_WORDS = 1500  # that the network is asked for
MOST_QUESTIONS = 50_000  # words asked for again included

Brackets = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Pushdown:
    """A visibly pushdown automaton with one entry: an opening symbol puts (location, symbol) on the stack and leads to
    location 0, a closing one takes it off. Words are accepted in an accepting location with an empty stack.

    Attributes:
        accepting: of each location.
        internal: the location after a symbol that leaves the stack alone; -1 where the word is out.
        returns: [location, closing symbol, location put, symbol put]: the location after; -1 where the word is out.
        opening: symbols that put.
        closing: symbols that take off.
    """

    accepting: Bool[np.ndarray, " location"]
    internal: Int64[np.ndarray, "location symbol"]
    returns: Int64[np.ndarray, "location symbol put_location put_symbol"]
    opening: tuple[int, ...]
    closing: tuple[int, ...]

    @property
    def n_locations(self) -> int:
        return len(self.accepting)

    def show(self, words: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        """1 for each prefix that is accepted, the empty one first."""
        n_words, n_steps = words.shape
        shown = np.empty((n_words, n_steps + 1), np.int64)
        stack = np.zeros((n_words, n_steps + 1, 2), np.int64)
        each, place, depth = np.arange(n_words), np.zeros(n_words, np.int64), np.zeros(n_words, np.int64)
        shown[:, 0] = self.accepting[0]
        for t in range(n_steps):
            symbol, alive = words[:, t], place >= 0
            opens, closes = (np.isin(symbol, kind) & alive for kind in (self.opening, self.closing))
            stack[each[opens], depth[opens]] = np.column_stack([place, symbol])[opens]
            top = stack[each, np.maximum(depth - 1, 0)]
            after = np.where(depth > 0, self.returns[place, symbol, top[:, 0], top[:, 1]], -1)
            inside = alive & ~opens & ~closes
            place = np.where(opens, 0, np.where(closes, after, np.where(inside, self.internal[place, symbol], -1)))
            depth += opens.astype(np.int64) - (closes & (depth > 0))
            shown[:, t + 1] = (place >= 0) & (depth == 0) & self.accepting[place]
        return shown

    def trim(self) -> "Pushdown":
        """The same without locations from which no word is accepted any more."""
        # From each location, and from any other with it on the stack.
        sides = (self.internal, self.returns, self.returns.swapaxes(0, 2))
        arrows = np.concatenate([side.reshape(self.n_locations, -1) for side in sides], axis=1)
        alive = self.accepting | (np.arange(self.n_locations) == 0)
        for _ in range(self.n_locations):
            alive = alive | (alive[arrows] & (arrows >= 0)).any(1)
        number = np.append(np.where(alive, alive.cumsum() - 1, -1), -1)  # of -1 too
        kept = np.flatnonzero(alive)
        internal, returns = number[self.internal[kept]], number[self.returns[kept][:, :, kept]]
        return Pushdown(self.accepting[kept], internal, returns, self.opening, self.closing)


def learn_pushdown(
    reader: Reader,
    answers: Answers,
    words: Int64[np.ndarray, "word time"],
    wanted: Bool[np.ndarray, "word prefix"],
    brackets: Brackets,
    empty: bool,
) -> list[Pushdown]:
    """What Kearns and Vazirani's learner proposes, refuted each time by the shortest word that is not shown as wanted.

    Networks slip. The learner, for which answers are consistent, may then ask without end, or come upon what cannot be:
    it is stopped, and what it had proposed counts.

    Args:
        reader: a network that shows 0 or 1.
        answers: its answers, to be added to.
        words, wanted: what refutes; whether each prefix is to be accepted, the empty one first.
        brackets: opening and closing symbols, none of them both; all others leave the stack alone.
        empty: what counts as shown before the first symbol.
    """
    from aalpy.automata import SevpaAlphabet
    from aalpy.base import SUL, Oracle
    from aalpy.learning_algs import run_KV

    # AALpy's automata have no arrow for a closing symbol on an empty stack: such words refute nothing.
    matched = np.logical_and.accumulate(heights(words, brackets) >= 0, axis=1)
    enough = len(answers) + MOST_WORDS
    tried: list[Pushdown] = []

    class System(SUL):
        n_asked = 0

        def query(self, word: tuple[int, ...]) -> list[bool]:
            self.n_asked += 1
            if self.n_asked > MOST_QUESTIONS or len(answers) > enough:
                raise _Enough
            return [bool(answers.of(tuple(word))[0]) if len(word) else empty]

        def pre(self) -> None:
            raise NotImplementedError("words are asked for as a whole")

        def post(self) -> None:
            raise NotImplementedError("words are asked for as a whole")

        def step(self, letter: int | None) -> bool:
            raise NotImplementedError("words are asked for as a whole")

    class Words(Oracle):
        def find_cex(self, hypothesis: Any) -> tuple[int, ...] | None:
            tried.append(_from_sevpa(hypothesis, reader.n_symbols, brackets).trim())
            wrong = (tried[-1].show(words) != wanted) & matched
            if not wrong.any() or hypothesis.size >= MOST_LOCATIONS:
                return None
            first = np.where(wrong.any(1), wrong.argmax(1), words.shape[1] + 1)
            return tuple(words[first.argmin(), : first.min()].tolist())

    inside = [symbol for symbol in range(reader.n_symbols) if symbol not in (*brackets[0], *brackets[1])]
    alphabet = SevpaAlphabet(inside, list(brackets[0]), list(brackets[1]))  # type: ignore[arg-type]
    system = System()
    oracle = Words(alphabet, system)  # type: ignore[arg-type]
    with contextlib.suppress(_Enough, IndexError, KeyError, AssertionError):
        run_KV(alphabet, system, oracle, "vpa", print_level=0, cache_and_non_det_check=False)
    return tried


def heights(words: Int64[np.ndarray, "word time"], brackets: Brackets) -> Int64[np.ndarray, "word prefix"]:
    """Brackets opened less brackets closed, of each prefix."""
    opens, closes = (np.isin(words, kind).astype(np.int64) for kind in brackets)
    return np.column_stack([np.zeros(len(words), np.int64), (opens - closes).cumsum(1)])


class _Enough(Exception):
    """The learner has asked enough."""


def _from_sevpa(hypothesis: Any, n_symbols: int, brackets: Brackets) -> Pushdown:
    """AALpy's automaton as arrays, the initial location first."""
    states = [hypothesis.initial_state, *(s for s in hypothesis.states if s is not hypothesis.initial_state)]
    number = {state.state_id: i for i, state in enumerate(states)}
    n = len(states)
    internal = np.full((n, n_symbols), -1)
    returns = np.full((n, n_symbols, n, n_symbols), -1)
    for i, state in enumerate(states):
        for letter, arrows in state.transitions.items():
            for arrow in arrows:
                target = number.get(arrow.target_state.state_id, -1)
                if arrow.action == "pop" and arrow.stack_guard is not None:
                    place, put = arrow.stack_guard
                    if place in number:
                        returns[i, letter, number[place], put] = target
                elif arrow.action is None:
                    internal[i, letter] = target
    return Pushdown(np.array([bool(s.is_accepting) for s in states]), internal, returns, *brackets)
