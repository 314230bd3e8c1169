"""Sequences that a network emits, and how they are compared with others: counts with errors, and matching."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.hmm_emission import HMMEmission, sample_symbols

LEVEL = 0.95  # of the interval
AT_ONCE = 256  # sequences, whose states are in memory together
SELDOM = 100  # of fewer occurrences of a symbol, what follows it is known to a tenth at best

Symbols = Integer[np.ndarray, "sequence time"]


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.1g}"


@dataclass(frozen=True)
class MatchedSequences:
    """Mean distances of matched sequences, in each of some repetitions with sequences of their own.

    Attributes:
        network: of the network's from the process's.
        process: of other sequences of the process from the same.
        n: sequences on each side. Distances of other numbers of sequences are others, of the process too.
    """

    network: Float[np.ndarray, " repetition"]
    process: Float[np.ndarray, " repetition"]
    n: int

    @property
    def ratio(self) -> Estimate:
        """Of the means, with the standard error of a ratio of means over repetitions. It is 1 for a copy. Below 1 the
        network's sequences lie closer to those of the process than these do to one another: it is less varied."""
        floor = float(self.process.mean())
        ratio = float(self.network.mean()) / floor
        error = float((self.network - ratio * self.process).std(ddof=1) / np.sqrt(len(self.network)) / floor)
        return Estimate(ratio, error)

    @property
    def interval(self) -> tuple[float, float]:
        """An interval of 95 % around the ratio, from Student's t."""
        from scipy import stats

        ratio, error = self.ratio
        reach = float(stats.t.ppf((1 + LEVEL) / 2, len(self.network) - 1)) * error
        return ratio - reach, ratio + reach


@dataclass(frozen=True)
class EmittedSymbols:
    """How often symbols are emitted, and what follows them, beside what the process does exactly.

    Attributes:
        frequency: share of each symbol.
        frequency_error: its standard error, over sequences.
        expected_frequency: the process's, of sequences of this length.
        transitions: P(next symbol | symbol); NaN in the row of a symbol that is never emitted.
        transitions_error: its standard error, over sequences.
        expected_transitions: the process's. The symbols of a hidden Markov model are no Markov chain: this is the
            mean over everything that came before.
        seldom: symbols that were followed by another fewer than 100 times, whose rows say little.
    """

    frequency: Float[np.ndarray, " symbol"]
    frequency_error: Float[np.ndarray, " symbol"]
    expected_frequency: Float[np.ndarray, " symbol"]
    transitions: Float[np.ndarray, "symbol next_symbol"]
    transitions_error: Float[np.ndarray, "symbol next_symbol"]
    expected_transitions: Float[np.ndarray, "symbol next_symbol"]
    seldom: Bool[np.ndarray, " symbol"]

    @property
    def largest_frequency_error(self) -> float:
        """The largest difference of a symbol's share from the process's."""
        return float(np.abs(self.frequency - self.expected_frequency).max())

    @property
    def transition_error(self) -> float:
        """The largest difference in the row of a symbol, averaged over symbols by how often the process emits them, so
        that the row of a rare one, which is noise, weighs little. A row that is not there counts as zeros."""
        rows = np.nan_to_num(self.transitions) - np.nan_to_num(self.expected_transitions)
        return float(self.expected_frequency @ np.abs(rows).max(1))


def emission_of(subject: Subject) -> HMMEmission:
    """The task of a network that should be a copy of a hidden Markov model.

    Raises:
        NotApplicable: the task is another or not known, or the outputs are not its symbols' logits.
    """
    task = subject.task
    if not isinstance(task, HMMEmission):
        raise NotApplicable(
            "there is no hidden Markov model that it should be a copy of: its task is "
            f"{'not known' if task is None else type(task).__name__}, and must be an HMMEmission"
        )
    if subject.map.readout_size != task.output_size:
        raise NotApplicable(
            f"its {subject.map.readout_size} outputs are not the logits of the task's {task.output_size} symbols"
        )
    return task


def emit(
    subject: Subject, task: HMMEmission, n_sequences: int, length: int, noise: float, seed: int
) -> Int64[np.ndarray, "sequence time"]:
    """Symbols that it emits on fresh white noise.

    Raises:
        NotApplicable: its outputs are not finite, so that there is nothing to draw from.
    """
    longer, symbols = replace(task, length=length), []
    for start in range(0, n_sequences, AT_ONCE):
        rng = np.random.default_rng([seed, 0xC0, start])
        trials = longer.sample(min(AT_ONCE, n_sequences - start), rng)
        with np.errstate(all="ignore"):
            shown = subject.trajectories(trials, noise=noise, seed=int(rng.integers(2**31)))
            logits = subject.map.readout(shown.states)
        if not np.isfinite(logits).all():
            raise NotApplicable(
                f"its outputs are not finite within {length} steps of noise, so that it emits nothing: look at an "
                "earlier checkpoint, or at shorter sequences"
            )
        symbols.append(sample_symbols(logits, rng))
    return np.concatenate(symbols)


def count_symbols(symbols: Symbols, task: HMMEmission) -> EmittedSymbols:
    """Shares of symbols and of what follows them. Errors are those of ratios of sums over sequences, which are
    independent; steps of one sequence are not."""
    n_symbols = task.output_size
    one_hot = np.eye(n_symbols)[symbols]
    frequency, frequency_error = mean_and_error(one_hot.mean(1))
    pairs = np.einsum("nta,ntb->nab", one_hot[:, :-1], one_hot[:, 1:])
    starts = pairs.sum(2)
    total = starts.sum(0)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        transitions = pairs.sum(0) / total
        deviations = pairs - transitions * starts[:, :, None]
        error = np.sqrt((deviations**2).sum(0) * len(symbols) / (len(symbols) - 1)) / total
        expected_frequency, expected_pairs = task.hmm.expected(symbols.shape[1])
        expected = expected_pairs / expected_pairs.sum(1, keepdims=True)
    return EmittedSymbols(
        frequency, frequency_error, expected_frequency, transitions, error, expected, total[:, 0] < SELDOM
    )


def matched_distance(some: Symbols, others: Symbols, n_symbols: int) -> float:
    """The mean Euclidean distance of as many sequences from as many others, each matched with one of the others so
    that the mean is as small as can be: exactly, by an assignment. A sequence is a point of time x symbol one-hot
    coordinates, so that two that differ at k steps are sqrt(2 k) apart."""
    from scipy.optimize import linear_sum_assignment

    one_hot = np.eye(n_symbols)
    alike = one_hot[some].reshape(len(some), -1) @ one_hot[others].reshape(len(others), -1).T
    distance = np.sqrt(2 * (some.shape[1] - alike))
    return float(distance[linear_sum_assignment(distance)].mean())


def mean_and_error(
    values: Float[np.ndarray, "sequence *of"],
) -> tuple[Float[np.ndarray, "*of"], Float[np.ndarray, "*of"]]:
    """The mean over sequences, and its standard error."""
    return np.asarray(values.mean(0)), np.asarray(values.std(0, ddof=1) / np.sqrt(len(values)))
