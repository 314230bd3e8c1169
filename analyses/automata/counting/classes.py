"""Classes of short words: two words are of one class when no suffix that was tried tells them apart (Myhill-Nerode).

Of a sparse language nearly all suffixes lead nowhere. Those that are tried come from its own words: short words and
words of a few runs (a..ab..b) are read, and of those that show what few show all suffixes are kept.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.reader import Reader

MOST_READ = 3000  # words of each kind that are read to find suffixes
MOST_SUFFIXES = 160
MOST_RUNS = 4
MOST_CLASSES = 150

Word = tuple[int, ...]


@dataclass(frozen=True)
class Classes:
    """What was seen of the classes of words of up to so many symbols.

    Attributes:
        words: the shortest of each class, the empty one first.
        shown: what the network shows after each.
        after: the class after each symbol; -1 where that was not looked at.
        ended: classes after which all suffixes show one thing.
    """

    words: tuple[Word, ...]
    shown: Int64[np.ndarray, " class"]
    after: Int64[np.ndarray, "class symbol"]
    ended: Bool[np.ndarray, " class"]


@dataclass(frozen=True)
class Seen:
    """Words that were read, and what was shown after them.

    Attributes:
        words: filled up with -1.
        lengths: how many symbols each has.
        shown: after each.
    """

    words: Int64[np.ndarray, "word time"]
    lengths: Int64[np.ndarray, " word"]
    shown: Int64[np.ndarray, " word"]

    def spelled(self, rows: Int64[np.ndarray, " row"]) -> list[Word]:
        """Some of the words, without what fills them up."""
        return [tuple(word[:n]) for word, n in zip(self.words[rows].tolist(), self.lengths[rows].tolist(), strict=True)]


def read_pool(reader: Reader, longest: int, rng: np.random.Generator) -> Seen:
    """All short words, and words of up to four runs, none of more than `longest` symbols."""
    k, words, lengths, shown = reader.n_symbols, [], [], []
    start, empty = reader.initial_states(1, rng), np.full((1, longest), -1)
    layer, layer_words, length = start, empty, 0
    while True:
        words.append(layer_words)
        lengths.append(np.full(len(layer), length))
        shown.append(reader.show(layer)[:, 0])
        if len(layer) * k > MOST_READ or length >= longest:
            break
        n_words = len(layer)
        layer, layer_words = reader.step_all(layer), np.tile(layer_words, (k, 1))
        layer_words[:, length] = np.repeat(np.arange(k), n_words)
        length += 1
    runs = _Runs(start, empty, np.zeros(1, np.int64), np.zeros(1, np.int64))
    for n_runs in range(1, MOST_RUNS + 1):
        most = int((MOST_READ / (k * max(k - 1, 1) ** (n_runs - 1))) ** (1 / n_runs))
        most = min(most, longest - n_runs + 1)
        if most < 1 or (k == 1 and n_runs > 1):
            break
        runs = _another_run(reader, runs, most)
        words.append(runs.words)
        lengths.append(runs.lengths)
        shown.append(reader.show(runs.states)[:, 0])
    return Seen(np.concatenate(words), np.concatenate(lengths), np.concatenate(shown))


@dataclass(frozen=True)
class _Runs:
    """Words of as many runs each, filled up with -1, how many symbols they and their longest run have, and the states
    of the network after them."""

    states: Float[np.ndarray, "word unit"]
    words: Int64[np.ndarray, "word time"]
    lengths: Int64[np.ndarray, " word"]
    longest_run: Int64[np.ndarray, " word"]

    def of(self, rows: np.ndarray) -> "_Runs":
        return _Runs(self.states[rows], self.words[rows], self.lengths[rows], self.longest_run[rows])


def _another_run(reader: Reader, before: _Runs, most: int) -> _Runs:
    """All words with one more run, no run of more than `most` symbols; no more than that many fit into `words`."""
    last = np.where(before.lengths > 0, before.words[np.arange(len(before.words)), before.lengths - 1], -1)
    rows, symbols = np.nonzero((last[:, None] != np.arange(reader.n_symbols)) & (before.longest_run <= most)[:, None])
    at, found = before.of(rows), []
    for run in range(1, most + 1):
        fits = at.lengths < at.words.shape[1]
        if not fits.any():
            break
        at, symbols = at.of(fits), symbols[fits]
        at.words[np.arange(len(symbols)), at.lengths] = symbols
        states = reader.map.step(at.states, reader.alphabet[symbols])
        at = _Runs(states, at.words, at.lengths + 1, np.maximum(at.longest_run, run))
        found.append(at)
    return _Runs(
        np.concatenate([each.states for each in found]),
        np.concatenate([each.words for each in found]),
        np.concatenate([each.lengths for each in found]),
        np.concatenate([each.longest_run for each in found]),
    )


def telling_suffixes(seen: Seen, n_symbols: int, longest: int) -> list[Word]:
    """The empty one, runs, all of up to two symbols, and those of words that show what few show; the shortest first."""
    few = int(seen.shown.mean() < 0.5)
    rare = set(seen.spelled(np.flatnonzero(seen.shown == few)))
    found = {(symbol,) * n for symbol in range(n_symbols) for n in range(longest + 1)}
    found |= {(a, b) for a in range(n_symbols) for b in range(n_symbols)}
    more = {word[i:] for word in rare for i in range(len(word)) if len(word) - i <= longest} - found
    # Suffixes of few runs first: they tell how much is left to be closed.
    ordered = sorted(more, key=lambda word: (_runs(word) > 2, len(word), word))
    return sorted(found, key=lambda word: (len(word), word)) + ordered[:MOST_SUFFIXES]


def _runs(word: Word) -> int:
    return 1 + sum(a != b for a, b in pairwise(word))


def signatures(
    reader: Reader, states: Float[np.ndarray, "word unit"], suffixes: list[Word]
) -> Int64[np.ndarray, "word suffix"]:
    """What is shown after each suffix; beginnings that suffixes share are read once."""
    found = np.empty((len(states), len(suffixes)), np.int64)
    at: dict[Word, np.ndarray] = {(): states}
    wanted = {suffix: i for i, suffix in enumerate(suffixes)}
    needed = {suffix[:i] for suffix in suffixes for i in range(len(suffix) + 1)}
    for length in range(max(map(len, needed)) + 1):
        layer = sorted(word for word in needed if len(word) == length)
        if length:
            before = np.concatenate([at[word[:-1]] for word in layer])
            inputs = np.repeat(reader.alphabet[[word[-1] for word in layer]], len(states), axis=0)
            after = reader.map.step(before, inputs).reshape(len(layer), len(states), -1)
            at = dict(zip(layer, after, strict=True))
        for word in layer:
            if word in wanted:
                found[:, wanted[word]] = reader.show(at[word])[:, 0]
    return found


def classes_of(
    reader: Reader, longest: int, suffixes: list[Word], asked: bool, rng: np.random.Generator
) -> Classes | None:
    """The classes of words of up to `longest` symbols; None if there are more than 150.

    Args:
        asked: whether what is shown after the empty word counts; else it shows what makes it one with another class, if
            there is such a one.
    """
    k, points = reader.n_symbols, reader.initial_states(1, rng)
    first = signatures(reader, points, suffixes)
    number = {first[0].tobytes(): 0}
    own = None if asked else first[0, 1:].tobytes()
    words: list[Word] = [()]
    seen, rows, layer = [first[0]], [], [0]
    for _ in range(longest):
        if not layer:
            break
        ahead = reader.step_all(points)
        found = signatures(reader, ahead, suffixes)
        fresh = []
        table = np.empty((len(layer), k), np.int64)
        for i, row in enumerate(found):
            symbol, parent = divmod(i, len(layer))
            key = row.tobytes()
            if own is not None and key not in number and row[1:].tobytes() == own:
                seen[0], number[key], own = row, 0, None
            if key not in number:
                number[key] = len(words)
                words.append((*words[layer[parent]], symbol))
                seen.append(row)
                fresh.append(i)
            table[parent, symbol] = number[key]
        rows.append(table)
        if len(words) > MOST_CLASSES:
            return None
        # What shows one thing whatever follows is not looked into any further.
        all_ended = [(found[i] == found[i, 0]).all() for i in fresh]
        kept = [i for i, over in zip(fresh, all_ended, strict=True) if not over]
        layer = [number[found[i].tobytes()] for i in kept]
        points = ahead[kept]
    return _gathered(words, np.stack(seen), rows, k)


def _gathered(words: list[Word], seen: np.ndarray, rows: list[np.ndarray], k: int) -> Classes:
    ended = (seen == seen[:, :1]).all(1)
    after = np.full((len(words), k), -1)
    # Rows came in the order in which classes that have not ended were met.
    order = [0, *(i for i in range(1, len(words)) if not ended[i])]
    table = np.concatenate(rows)
    after[order[: len(table)]] = table
    return Classes(tuple(words), seen[:, 0], after, ended)
