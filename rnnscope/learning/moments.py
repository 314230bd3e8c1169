"""The loss of emission by its moments: how often symbols go together, in place of sequences that are drawn.

Given its noise, the symbols of an emitting network are independent, each from p_t = softmax(y_t). How often symbols a
and b are emitted k steps apart is therefore the mean of p_t(a) p_{t+k}(b) over noise, and how often a short word is
emitted the mean of the product of its symbols' probabilities: exactly, with no symbol drawn and a gradient without
noise of its own. What these should be is known exactly as well (`HMM.lagged_pairs`, `HMM.word_probabilities`).

Pairs and short words do not fix a process. What the network is trained for with them is that much of it; whether it is
a copy is for `measure_copy` to see, on whole sequences.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rnnscope.learning.losses import Reads
from rnnscope.tasks.hmm import HMM

# What of the process the loss sees. None of it is a measure of the copy, which is judged on sequences.
WIDTH = 3  # symbols in a word
LAG_RATIO, LONGEST = 1.4, 0.8  # lags grow by this ratio, up to this share of a trial: few, at all scales
# A squared error counts by 1 / (probability + floor), as its sampling noise does, so that rare pairs are seen; below
# this floor, which a batch of some hundred trials does not resolve, no further.
FLOOR = 1e-2
LEAST = 1e-3  # mean square of a state that is as good as none: where a network is silent, nothing grows


@dataclass(frozen=True)
class Moments:
    """What a process emits, in the mean: of exact numbers or, of a network, of a batch.

    Attributes:
        frequencies: of the symbols at each step.
        pairs: joint distribution of two symbols at each of some lags, averaged over time.
        words: probabilities of the words of `WIDTH` symbols, averaged over time.
    """

    frequencies: Float[Tensor, "time symbol"]
    pairs: Float[Tensor, "lag symbol symbol"]
    words: Float[Tensor, " word"]


def process_moments(hmm: HMM, length: int, like: Tensor) -> Moments:
    """The exact moments of sequences of `length` steps, of the dtype and device of `like`."""
    marginals = torch.from_numpy(hmm.marginals(length) @ hmm.emission_matrix)
    pairs = torch.from_numpy(hmm.lagged_pairs(_lags(length), length))
    words = torch.from_numpy(hmm.word_probabilities(min(WIDTH, length), length))
    return Moments(marginals.to(like), pairs.to(like), words.to(like))


def batch_moments(probabilities: Float[Tensor, "trial time symbol"]) -> Moments:
    """Those of symbols that are drawn with these probabilities, independently at each step of each trial."""
    p = probabilities
    n_trials, length, n_symbols = p.shape
    together = (p.flatten(1).T @ p.flatten(1)).reshape(length, n_symbols, length, n_symbols) / n_trials
    pairs = torch.stack([together.diagonal(lag, 0, 2).mean(-1) for lag in _lags(length)])
    words = p
    for later in range(1, min(WIDTH, length)):
        words = (words[:, : length - later, :, None] * p[:, later:, None]).flatten(2)
    return Moments(p.mean(0), pairs, words.mean((0, 1)))


def moment_error(network: Reads, states: Float[Tensor, "trial time state"], wanted: Moments) -> Float[Tensor, ""]:
    """How far the moments of what the network emits are from those of the process.

    The sum of squared errors, each weighted by 1 / (probability + FLOOR): of pairs, averaged over lags; of words; and
    of the symbols' frequencies, averaged over steps. A square is the product of the errors of two independent halves
    of the batch, so that its expected value is that of the mean over all noise: 0 for a perfect copy, and a single
    value may be negative.

    Args:
        states: of at least two trials, whose noise is independent.
        wanted: of the process (`process_moments`), for trials of this length.
    """
    logits = network.read(states)
    if not bool(torch.isfinite(logits).all()):
        return logits.sum() * torch.nan  # weights that diverged: a loss that says so, for the trainer to see
    probabilities = torch.softmax(logits, -1)
    half = len(states) // 2
    one, other = batch_moments(probabilities[:half]), batch_moments(probabilities[half:])

    def error(one: Tensor, other: Tensor, wanted: Tensor) -> Tensor:
        return (one - wanted) * (other - wanted) / (wanted + FLOOR)

    frequencies = error(one.frequencies, other.frequencies, wanted.frequencies).sum(1).mean()
    pairs = error(one.pairs, other.pairs, wanted.pairs).sum((1, 2)).mean()
    return frequencies + pairs + error(one.words, other.words, wanted.words).sum()


def growth(states: Float[Tensor, "trial time state"]) -> Float[Tensor, ""]:
    """By how much states grow within a trial: the square of the logarithm of the ratio of their mean squares, of the
    second half of the trial to the quarter before it; 0 where they do not grow.

    A loss on trials of one length does not mind states that grow without end, on which noise soon has no effect.
    """
    squares = states.square().sum(-1).mean(0)
    quarter, half = len(squares) // 4, len(squares) // 2
    ratio = (squares[half:].mean() + LEAST) / (squares[quarter:half].mean() + LEAST)
    return torch.relu(ratio.log()).square()


def _lags(length: int) -> list[int]:
    lags = [1]
    while (following := max(lags[-1] + 1, round(LAG_RATIO * lags[-1]))) <= LONGEST * length:
        lags.append(following)
    return lags
