"""Words that go round the loops of a machine for long, and then end as it shows something.

Where a machine goes round, its network must too: the state it comes back to drifts a little with every round, and
after twenty it may be another. Random words hardly ever go round the same loop twice.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64

from rnnscope.analyses.automata.words import access_words
from rnnscope.tasks.machine import Machine

LONGEST_LOOP, MOST_LOOPS = 6, 4  # symbols of a loop, and loops of a state, the shortest first
MOST_PATHS = 400  # that are followed from a state to find these
MOST_STATES, MOST_TAILS = 48, 4

Word = tuple[int, ...]


def loop_words(
    machine: Machine, n_words: int, lengths: Int64[np.ndarray, " length"], rng: np.random.Generator
) -> Int64[np.ndarray, "word time"]:
    """The shortest word to a state, a short loop of that state as often as fits into one of `lengths`, and the shortest
    word after which this or that is shown; then random symbols up to the longest of `lengths`. At most `n_words`; all
    such words of a small machine, and none where nothing but traps comes back to itself.

    Args:
        machine: minimal, so that a state that cannot be left is one that nothing depends on any more.
    """
    to = machine.transitions.tolist()
    free = (machine.transitions != np.arange(machine.n_states)[:, None]).any(1)
    access = {_after(to, machine.initial, word): word for word in access_words(machine)}
    starts = np.array([state for state in access if free[state]], np.int64)
    parts = [
        (access[state], loop, tail)
        for state in rng.permutation(starts)[:MOST_STATES].tolist()
        for loop in _loops(to, state, free)
        for tail in _tails(to, state, machine.outputs)
    ]
    length = int(lengths[-1])
    words = rng.integers(machine.n_symbols, size=(min(len(parts), n_words), length))
    chosen = rng.permutation(len(parts))[: len(words)].tolist()
    for row, which, reach in zip(words, chosen, rng.choice(lengths, size=len(words)).tolist(), strict=True):
        begin, loop, tail = parts[which]
        rounds = max((reach - len(begin) - len(tail)) // len(loop), 1)
        word = (*begin, *loop * rounds, *tail)[:length]
        row[: len(word)] = word
    return words


def _loops(to: list[list[int]], start: int, free: np.ndarray) -> Iterator[Word]:
    """Words that lead back to a state and to no state twice on the way, the shortest first."""
    paths: deque[tuple[int, Word, frozenset[int]]] = deque([(start, (), frozenset([start]))])
    n_found = n_followed = 0
    while paths and n_followed < MOST_PATHS:
        state, word, met = paths.popleft()
        n_followed += 1
        for symbol, target in enumerate(to[state]):
            if target == start:
                yield (*word, symbol)
                n_found += 1
                if n_found == MOST_LOOPS:
                    return
            elif target not in met and free[target] and len(word) + 1 < LONGEST_LOOP:
                paths.append((target, (*word, symbol), met | {target}))


def _tails(to: list[list[int]], start: int, outputs: Int64[np.ndarray, "state head"]) -> list[Word]:
    """For everything that is shown after some word from a state the shortest such word, of one symbol at least."""
    found: dict[tuple[int, ...], Word] = {}
    words: deque[tuple[int, Word]] = deque([(start, ())])
    met: set[int] = set()
    while words and len(found) < MOST_TAILS:
        state, word = words.popleft()
        for symbol, target in enumerate(to[state]):
            if target not in met:
                met.add(target)
                words.append((target, (*word, symbol)))
                found.setdefault(tuple(outputs[target].tolist()), (*word, symbol))
    return list(found.values())


def _after(to: list[list[int]], state: int, word: Word) -> int:
    for symbol in word:
        state = to[state][symbol]
    return state
