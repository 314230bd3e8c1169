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
    """Words that were read, and what was shown after them."""

    words: tuple[Word, ...]
    shown: Int64[np.ndarray, " word"]


def read_pool(reader: Reader, longest: int, rng: np.random.Generator) -> Seen:
    """All short words, and words of up to four runs, none of more than `longest` symbols."""
    k, words, shown = reader.n_symbols, [], []
    start = reader.initial_states(1, rng)
    layer, layer_words = start, [()]
    while True:
        words += layer_words
        shown.append(reader.show(layer)[:, 0])
        if len(layer) * k > MOST_READ or len(layer_words[0]) >= longest:
            break
        layer = reader.step_all(layer)
        layer_words = [(*word, symbol) for symbol in range(k) for word in layer_words]
    for n_runs in range(1, MOST_RUNS + 1):
        most = int((MOST_READ / (k * max(k - 1, 1) ** (n_runs - 1))) ** (1 / n_runs))
        most = min(most, longest - n_runs + 1)
        if most < 1 or (k == 1 and n_runs > 1):
            break
        states, before = start, [()]
        for _ in range(n_runs):
            states, before = _another_run(reader, states, before, most, longest)
        words += before
        shown.append(reader.show(states)[:, 0])
    return Seen(tuple(words), np.concatenate(shown))


def _another_run(
    reader: Reader, states: Float[np.ndarray, "word unit"], words: list[Word], most: int, longest: int
) -> tuple[Float[np.ndarray, "longer unit"], list[Word]]:
    found, longer = [], []
    for symbol in range(reader.n_symbols):
        rows = [i for i, word in enumerate(words) if not word or word[-1] != symbol]
        at, so_far = states[rows], [words[i] for i in rows]
        for _ in range(most):
            keep = [i for i, word in enumerate(so_far) if len(word) < longest]
            if not keep:
                break
            at = reader.map.step(at[keep], np.repeat(reader.alphabet[symbol][None], len(keep), axis=0))
            so_far = [(*so_far[i], symbol) for i in keep]
            found.append(at)
            longer += so_far
    return np.concatenate(found), longer


def telling_suffixes(seen: Seen, n_symbols: int, longest: int) -> list[Word]:
    """The empty one, runs, all of up to two symbols, and those of words that show what few show; the shortest first."""
    few = int(seen.shown.mean() < 0.5)
    rare = {word for word, shown in zip(seen.words, seen.shown.tolist(), strict=True) if shown == few}
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
