"""How many nats a symbol costs who has seen those before it: the entropy rate of several sequences, with its errors."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer

# Contexts that are tried. They need be no settings: those that there are too few symbols for are left out, and what
# longer ones would still change is stated (`fall`).
LONGEST_WORD, LONGEST_RUN = 20, 1024
SEEN = 20  # occurrences of each (context, symbol) in the mean: below, the corrected estimate is too low to be used
ALIKE = 1e-9  # nats by which a longer context has to lower the rate: less is rounding


class SymbolEntropy(NamedTuple):
    """The entropy of a symbol given its context, in nats. Of infinitely many symbols it is never below the entropy
    rate; of a few thousand it comes out up to a percent too low.

    Attributes:
        rate: for the context that tells most.
        error: its standard error over sequences, which have to be independent.
        lowest: where the rate would come to rest if it fell on as 1 / length of the context, as that of a torus does:
            lower by as much as it fell when the context was doubled last. Where symbols forget it comes to rest sooner,
            and where there is more to learn from far away later: no finite number of symbols shows which.
        lowest_error: its standard error over sequences.
        context: in words, such as "words of 7".
    """

    rate: float
    error: float
    lowest: float
    lowest_error: float
    context: str


def symbol_entropy(symbols: Integer[np.ndarray, "sequence time"]) -> SymbolEntropy:
    """Estimate the entropy rate of a stationary source from independent sequences.

    The entropy of the next symbol is taken given words of the symbols before it, and given how long the last two runs
    of equal symbols were: a slow cycle looks random to every word that is shorter than its runs. Each entropy has the
    correction of Miller, "Note on the bias of information estimates", 1955; the context with the lowest of them counts,
    among those of which each combination with a symbol was seen twenty times in the mean. Standard errors leave out one
    sequence after another (jackknife).

    Args:
        symbols: whole numbers from 0, at least two sequences of at least two.

    Raises:
        ValueError: fewer than two sequences or two symbols.

    Example:
        >>> import numpy as np
        >>> coins = np.random.default_rng(0).integers(2, size=(20, 1000))
        >>> found = symbol_entropy(coins)
        >>> bool(abs(found.rate - np.log(2)) < 0.01), symbol_entropy(coins * 0).rate
        (True, 0.0)
    """
    if len(symbols) < 2 or symbols.shape[1] < 2:
        raise ValueError(f"symbols must be two sequences of two at least, got shape {symbols.shape}")
    symbols = np.unique(symbols, return_inverse=True)[1].reshape(symbols.shape)
    best: tuple[np.ndarray, np.ndarray, str] | None = None
    shortest: np.ndarray | None = None
    for family in (_words, _runs):
        known: dict[int, tuple[np.ndarray, str]] = {}
        for length, name, context, begun in family(symbols):
            found = _conditional(context[:, begun:], symbols[:, begun:])
            if found is None:
                break
            known[length] = found, name
        for length, (found, name) in known.items():
            half = known[length // 2][0] if length // 2 in known else found if shortest is None else shortest
            if family is _words and 0 < 2 * length <= max(known):
                half = found  # words twice as long do not lower it, else they would be taken
            if best is None or found[0] < best[0][0] - ALIKE:
                best = found, np.minimum(2 * found - half, found), name
        shortest = known[1][0] if 1 in known else None
    if best is None:  # so few symbols that nothing is known but what is there
        return SymbolEntropy(np.nan, np.nan, np.nan, np.nan, NONE)
    rate, lowest, name = best
    return SymbolEntropy(
        float(rate[0]), _jackknife(rate[1:]), float(np.maximum(lowest[0], 0.0)), _jackknife(lowest[1:]), name
    )


NONE = "no context"
_Context = tuple[int, str, Int64[np.ndarray, "sequence time"], int]


def _words(symbols: Int64[np.ndarray, "sequence time"]) -> Iterator[_Context]:
    """The words before each symbol, one symbol longer each time."""
    yield 0, NONE, np.zeros_like(symbols), 0
    context = np.zeros_like(symbols)
    for length in range(1, min(LONGEST_WORD, symbols.shape[1] - 1) + 1):
        before = np.zeros_like(symbols)
        before[:, length:] = symbols[:, :-length]
        # Numbered anew each time, so that numbers stay small.
        context = np.unique(context * (symbols.max() + 1) + before, return_inverse=True)[1].reshape(symbols.shape)
        yield length, f"words of {length}", context, length


def _runs(symbols: Int64[np.ndarray, "sequence time"]) -> Iterator[_Context]:
    """The last two runs of equal symbols before each: which symbols, and how long, counted up to a limit that
    doubles."""
    n, total = symbols.shape
    age, last, kind = (np.zeros((n, total), np.int64) for _ in range(3))
    for t in range(1, total):
        same = symbols[:, t - 1] == symbols[:, t - 2] if t > 1 else np.zeros(n, bool)
        age[:, t] = np.where(same, age[:, t - 1] + 1, 1)
        last[:, t] = np.where(same, last[:, t - 1], age[:, t - 1])
        kind[:, t] = np.where(same, kind[:, t - 1], symbols[:, t - 2] if t > 1 else 0)
    before = np.concatenate([np.zeros((n, 1), np.int64), symbols[:, :-1]], 1)
    base, limit = int(symbols.max()) + 1, 2
    while limit <= min(LONGEST_RUN, total // 2):
        capped = [np.minimum(each, limit) for each in (age, last)]
        context = ((before * base + kind) * (limit + 1) + capped[0]) * (limit + 1) + capped[1]
        yield limit, f"runs of up to {limit}", context, 1
        limit *= 2


def _conditional(
    context: Int64[np.ndarray, "sequence time"], symbols: Int64[np.ndarray, "sequence time"]
) -> np.ndarray | None:
    """The entropy of a symbol given its context: of all sequences, then without each of them. None where too few were
    seen."""
    joint = _counts(context * (symbols.max() + 1) + symbols)
    if joint.sum() < SEEN * joint.shape[1]:
        return None
    return np.maximum(_entropies(joint) - _entropies(_counts(context)), 0.0)


def _counts(codes: Int64[np.ndarray, "sequence time"]) -> Int64[np.ndarray, "sequence code"]:
    kinds, which = np.unique(codes, return_inverse=True)
    row = np.arange(len(codes))[:, None] * len(kinds)
    return np.bincount((row + which.reshape(codes.shape)).ravel(), minlength=len(codes) * len(kinds)).reshape(
        len(codes), -1
    )


def _entropies(counts: Int64[np.ndarray, "sequence code"]) -> np.ndarray:
    total = counts.sum(0)
    rest = np.concatenate([total[None], total - counts])
    n = rest.sum(1, keepdims=True)
    share = rest / n
    plain = -(share * np.log(np.where(share > 0, share, 1.0))).sum(1)
    return plain + ((rest > 0).sum(1) - 1) / (2 * n[:, 0])


def _jackknife(without: np.ndarray) -> float:
    n = len(without)
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
