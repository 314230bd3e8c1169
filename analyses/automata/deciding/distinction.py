"""Does a network forget what a machine forgets, and keep what it keeps?

Compression and distinction are those of Vafa et al., "Evaluating the world model implicit in a generative model"
(NeurIPS 2024), from the theorem of Myhill and Nerode.
"""

from dataclasses import dataclass, field

import numpy as np

from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import draw_walks
from rnnscope.records.schema1 import FORMERLY
from rnnscope.tasks.machine import Machine

MAX_SUFFIXES = 64


@dataclass(frozen=True, kw_only=True)
class Distinction:
    """Pairs of words that a machine takes to the same state, or to different ones, in the network.

    Attributes:
        compression: the share of the pairs with the same state that the network treats alike, whatever short suffix
            follows; None where no pair was drawn (so for the next two).
        precision, recall: of the shortest suffixes that tell two states apart, the share of the network's that are the
            machine's, and of the machine's that are the network's; means over pairs that have such suffixes at all.
    """

    compression: float | None
    precision: float | None = field(metadata={FORMERLY: "distinction_precision"})
    recall: float | None = field(metadata={FORMERLY: "distinction_recall"})


def myhill_nerode(reader: Reader, machine: Machine, n_pairs: int, length: int, rng: np.random.Generator) -> Distinction:
    """Compression and distinction on pairs of words, followed by every short suffix (up to 64 of the longest)."""
    words = draw_walks(machine, 2 * n_pairs, length, rng)
    each = np.arange(len(words))
    ends = rng.integers(1, length + 1, size=len(words))
    network = reader.visit(reader.alphabet[words], rng)[each, ends]
    state = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])[each, ends]
    # Of as many pairs as there can be of the same state, each word is in one at most.
    order = rng.permutation(len(words))
    order = order[np.argsort(state[order], kind="stable")]
    ahead = np.flatnonzero(state[order[:-1]] == state[order[1:]])
    rank = np.arange(len(order)) - np.searchsorted(state[order], state[order])
    ahead = rng.permutation(ahead[rank[ahead] % 2 == 0])
    one, other = rng.permutation(len(words)), rng.permutation(len(words))
    one, other = np.concatenate([order[ahead], one]), np.concatenate([order[ahead + 1], other])
    same = np.arange(len(ahead))[:n_pairs]
    differ = np.flatnonzero(state[one] != state[other])[:n_pairs]
    found_at, meant = [], []
    depth = max(1, int(np.log(MAX_SUFFIXES) / np.log(max(machine.n_symbols, 2)) + 1e-9))
    for level in range(depth + 1):
        shown, known = reader.show(network), machine.outputs[state]
        per_word = [each.reshape(-1, len(words), machine.n_heads) for each in (shown, known)]
        for side, kept in zip(per_word, (found_at, meant), strict=True):
            kept.append((side[:, one] != side[:, other]).any(-1))  # (suffix, pair)
        if level < depth:
            network, state = reader.step_all(network), machine.transitions[state].T.ravel()
    compression = float((~np.concatenate(found_at)[:, same].any(0)).mean()) if len(same) else None
    found, true = (np.concatenate(_first_differences(each, machine.n_symbols))[:, differ] for each in (found_at, meant))
    both, n_found, n_true = (found & true).sum(0), found.sum(0), true.sum(0)
    has = n_true > 0
    if not has.any():
        return Distinction(compression=compression, precision=None, recall=None)
    tells = has & (n_found > 0)
    precision = float((both[tells] / n_found[tells]).mean()) if tells.any() else 0.0
    recall = float((both[has] / n_true[has]).mean())
    return Distinction(compression=compression, precision=precision, recall=recall)


def _first_differences(levels: list[np.ndarray], n_symbols: int) -> list[np.ndarray]:
    """Of the suffixes of each length, (suffix, pair), those that tell a pair apart while none of their
    beginnings does. The newest symbol of a suffix counts most in its number: its beginnings come again and again."""
    found, before = [], np.zeros_like(levels[0])
    for level in levels:
        before = before if level.shape == before.shape else np.tile(before, (n_symbols, 1))
        found.append(level & ~before)
        before = before | level
    return found
