"""Words near the language of a machine: those after which it shows what it rarely shows, and words one edit away."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from rnnscope.tasks.machine import Machine

MOST_CLASSES = 16  # of what a machine shows: more would need as many tables of chances, and none is rarer by then
TAIL = 8  # symbols: what is shown after the end of a word is asked for, too


class _Chances(NamedTuple):
    """Of each number of symbols to come, what is shown in the end, and state now: how likely random symbols lead there,
    up to a factor of each row; and how likely that is from the start, on the average over lengths."""

    ahead: Float64[np.ndarray, "remaining shown state"]
    share: Float64[np.ndarray, " shown"]


class NearLanguage(NamedTuple):
    """Words, and how many symbols each has; what follows these is random."""

    words: Int64[np.ndarray, "word time"]
    ends: Int64[np.ndarray, " word"]


def near_language_words(machine: Machine, n_words: int, length: int, rng: np.random.Generator) -> NearLanguage:
    """Words of up to so many symbols which are words of the machine's own language or next to it, and go on a little.

    Random words hardly ever are in a sparse language, nor do they leave a long word of it late. So what is to be shown
    in the end is drawn first, the more likely the less random symbols lead there; then after how many symbols, of few
    more often than of many; then one of the words of so many symbols after which it is shown, all equally likely. Half
    of them have one symbol changed, put in or left out. Up to `TAIL` random symbols follow.
    """
    shown, kind = np.unique(machine.outputs, axis=0, return_inverse=True)
    words = rng.integers(machine.n_symbols, size=(n_words, length))
    if len(shown) < 2 or length < 1:
        return NearLanguage(words, rng.integers(length + 1, size=n_words))
    kind = kind.reshape(-1)
    if len(shown) > MOST_CLASSES:
        kept = np.sort(rng.permutation(len(shown))[:MOST_CLASSES])
        kind = np.where(np.isin(kind, kept), np.searchsorted(kept, kind), -1)
    chances = _chances(machine, kind, length)
    wanted = rng.choice(len(chances.share), size=n_words, p=(1 - chances.share) / (1 - chances.share).sum())
    ends = _possible_ends(chances, machine.initial, wanted, np.ceil(length * rng.random(n_words) ** 2).astype(np.int64))
    _write(words, machine, chances, wanted, ends, rng)
    edited = np.flatnonzero(ends[: n_words // 2])
    _edit(words, edited, rng.integers(ends[edited]), machine.n_symbols, rng)
    return NearLanguage(words, np.minimum(ends + TAIL, length))


def _chances(machine: Machine, kind: Int64[np.ndarray, " state"], length: int) -> _Chances:
    now = (kind == np.arange(kind.max() + 1)[:, None]).astype(np.float64)
    factor, share, rows = np.ones(len(now)), np.zeros(len(now)), [now]
    for _ in range(length):
        now = now[:, machine.transitions].mean(2)
        largest = now.max(1)
        # Of a very sparse language only ratios within a row matter: they stay what they are, and none is lost.
        tiny = (largest > 0) & (largest < 1e-100)
        if tiny.any():
            now[tiny] /= largest[tiny, None]
            factor[tiny] *= largest[tiny]
        rows.append(now)
        share += now[:, machine.initial] * factor / length
    return _Chances(np.stack(rows), np.minimum(share, 1.0))


def _possible_ends(
    chances: _Chances, initial: int, wanted: Int64[np.ndarray, " word"], most: Int64[np.ndarray, " word"]
) -> Int64[np.ndarray, " word"]:
    """The greatest number of symbols, of at most `most`, after which the wanted is shown after some word; else the
    least one; 0 where there is none."""
    possible = chances.ahead[:, :, initial] > 0
    possible[0] = False
    n = np.arange(len(possible))[:, None]
    below = np.maximum.accumulate(np.where(possible, n, 0), 0)[most, wanted]
    return np.where(below > 0, below, possible.argmax(0)[wanted])


def _write(
    words: Int64[np.ndarray, "word time"],
    machine: Machine,
    chances: _Chances,
    wanted: Int64[np.ndarray, " word"],
    ends: Int64[np.ndarray, " word"],
    rng: np.random.Generator,
) -> None:
    """Write words with such ends into the rows of `words`."""
    order = np.argsort(-ends, kind="stable")  # those that still go on are the first ones
    ends, wanted, state = ends[order], wanted[order], np.full(len(order), machine.initial)
    going = np.searchsorted(-ends, -np.arange(1, words.shape[1] + 1), side="right")
    level, written = rng.random(words.shape), words[order]
    for t, n in enumerate(going.tolist()):
        if not n:
            break
        ahead = machine.transitions[state[:n]]
        below = chances.ahead[ends[:n, None] - 1 - t, wanted[:n, None], ahead].cumsum(1)
        symbol = (level[:n, t, None] * below[:, -1:] >= below).sum(1)
        written[:n, t] = symbol
        state[:n] = ahead[np.arange(n), symbol]
    words[order] = written


def _edit(
    words: Int64[np.ndarray, "word time"],
    rows: Int64[np.ndarray, " edited"],
    places: Int64[np.ndarray, " edited"],
    n_symbols: int,
    rng: np.random.Generator,
) -> None:
    """In each of these rows change the symbol at a place, put one in, or leave it out."""
    hows, fresh = rng.integers(3, size=len(rows)), rng.integers(n_symbols, size=len(rows))
    other = 1 + rng.integers(max(n_symbols - 1, 1), size=len(rows))
    for row, place, how, symbol, step in zip(
        *(each.tolist() for each in (rows, places, hows, fresh, other)), strict=True
    ):
        word = words[row]
        if how == 0:
            word[place] = (word[place] + step) % n_symbols
        elif how == 1:
            word[place + 1 :] = word[place:-1].copy()
            word[place] = symbol
        else:
            word[place:-1] = word[place + 1 :].copy()
            word[-1] = symbol
