"""Words of a counter machine that go to a depth and come back: what a network that counts is tried on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.analyses.automata.counting.counter_machine import CounterMachine

MOST_LENGTHS = 400  # symbols of the longest word


@dataclass(frozen=True)
class Nested:
    """Words of one depth.

    Attributes:
        depth: how far from zero their counters come.
        words: those that the machine accepts, then as many with one symbol changed, put in or taken out; uniform
            symbols after their end.
        judged: the prefixes that count: those of the word and one symbol more, as far as no counter goes past the
            depth.
    """

    depth: int
    words: Int64[np.ndarray, "word time"]
    judged: Bool[np.ndarray, "word prefix"]


def nested(model: CounterMachine, depth: int, n_words: int, rng: np.random.Generator) -> Nested | None:
    """Words whose counters reach `depth` and go no further; None where the machine accepts none of at most four times
    as many symbols and eight more."""
    machine = model.bounded(depth)
    longest = min(4 * depth + 8, MOST_LENGTHS)
    possible = np.flatnonzero(machine.count_words(longest)[:, machine.initial] > 0)
    if not len(possible):
        return None
    lengths = possible[rng.integers(len(possible), size=n_words)]
    inside = machine.sample(lengths, rng)
    words = rng.integers(model.n_symbols, size=(2 * n_words, longest + 1))
    for row, n in enumerate(lengths.tolist()):
        word = inside[row, :n]
        words[row, :n] = word
        words[n_words + row] = _edited(word, words[n_words + row], model.n_symbols, rng)
    within = np.arange(longest + 2) <= np.tile(lengths, 2)[:, None] + 1
    return Nested(depth, words, within & (model.reaches(words) <= depth))


def _edited(word: np.ndarray, tail: np.ndarray, n_symbols: int, rng: np.random.Generator) -> np.ndarray:
    place, how, symbol = (int(rng.integers(n)) for n in (max(len(word), 1), 3, n_symbols))
    middle = ([symbol], [symbol, *word[place : place + 1]], [])[how]
    changed = np.array([*word[:place], *middle, *word[place + 1 :]], np.int64)[: len(tail)]
    return np.append(changed, tail[len(changed) :])


def straight(model: CounterMachine, depth: int, n_words: int, rng: np.random.Generator) -> np.ndarray | None:
    """The shortest words that reach this depth and are accepted, at most so many; None where there are none."""
    machine = model.bounded(depth)
    possible = np.flatnonzero(machine.count_words(min(4 * depth + 8, MOST_LENGTHS))[:, machine.initial] > 0)
    if not len(possible):
        return None
    return np.unique(machine.sample(np.full(n_words, possible[0]), rng), axis=0)
