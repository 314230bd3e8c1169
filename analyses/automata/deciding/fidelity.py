"""How far do machine and network agree on words that neither search nor choice has seen?

Agreement on samples is measured, with bounds, and is never called equivalence: that is decided exactly, or not
claimed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.deciding.choice import agreement
from rnnscope.analyses.automata.near_language import near_language_words
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import DISTRIBUTIONS, draw_trials, draw_words
from rnnscope.records.schema1 import FORMERLY
from rnnscope.tasks import Task
from rnnscope.tasks.machine import Machine

DELTA = 0.05  # probability that a bound fails
CONFIDENCE = 1 - DELTA
LEAST_AGREEMENT = 0.98  # where surely fewer words agree, network and machine have parted


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How agreement falls with the length of words.

    Attributes:
        agreement: the share of the test words after whose first 0, 1, 2 ... symbols machine and network show the same
            (of the task's, those of the shortest of the lengths that reach so far).
        lengths: of each distribution, the last length before the first after which they agree on fewer than 98 % of
            the words, and surely so (the upper bound lies below); None where there is no such length.
        n_words: how many words each share is of; None in a result of a version that did not keep it.
    """

    agreement: Float[np.ndarray, "distribution prefix"] = field(metadata={FORMERLY: "agreement_at"})
    lengths: tuple[int | None, ...] = field(metadata={FORMERLY: "drift_lengths"})
    n_words: Int64[np.ndarray, "distribution prefix"] | None = field(default=None, metadata={FORMERLY: None})

    @property
    def length(self) -> int | None:
        """The least of `lengths`: up to there machine and network go together on words of every distribution."""
        return min((length for length in self.lengths if length is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class Pac:
    """A bound that is probably approximately correct.

    Attributes:
        epsilon: with probability 1 - `delta`, for all distributions and lengths at once, machine and network disagree
            at any prefix of a word with a probability below this.
        delta: the probability that any of these bounds fails.
    """

    epsilon: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "pac_epsilon"})
    delta: float = field(metadata={FORMERLY: "pac_delta"})


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How far a machine that reads agrees with its network, on fresh words of several kinds and lengths.

    All bounds are Clopper and Pearson's for 95 %, and hold for words drawn as the test words were.

    Attributes:
        distributions: the kinds of test words; see `words.draw_words`. Where trials of the task can be read, "task"
            comes first: trials as they come, each up to its own end, for the first of `lengths`; for each other one
            trials of that length, if the task draws any (`sample_held_out`). Words "near-language" have an end, too: of
            these, `lengths` are the most that is read.
        lengths: of the test words in symbols: the usual length, and longer ones.
        n_test_words: words that were asked for, of each distribution.
        word_counts, word_lengths: how many words of each are read, and how many symbols the longest has. None is no
            evidence: of so many shares are NaN, and bounds 0 and 1.
        last: the share of words after which machine and network show the same, with bounds `last_low` and `last_high`.
        words: the share of words after every prefix of which they do, the empty one included, with bounds `words_low`
            and `words_high`.
        prefixes: the share of all prefixes that agree; without bounds, because those of one word depend on each other.
        drift: agreement against the number of symbols read.
        pac: how rarely they disagree, at most.
    """

    distributions: tuple[str, ...] = field(metadata={FORMERLY: "word_distributions"})
    lengths: Int64[np.ndarray, " length"]
    n_test_words: int
    word_counts: Int64[np.ndarray, "distribution length"]
    word_lengths: Int64[np.ndarray, "distribution length"]
    last: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "fidelity_last"})
    last_low: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "fidelity_last_low"})
    last_high: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "fidelity_last_high"})
    words: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "fidelity_words"})
    words_low: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "fidelity_words_low"})
    words_high: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "fidelity_words_high"})
    prefixes: Float[np.ndarray, "distribution length"] = field(metadata={FORMERLY: "fidelity_prefixes"})
    drift: Drift
    pac: Pac

    @property
    def worst(self) -> int:
        """The row of `distributions` whose words agree least at every prefix: what the headline is about."""
        return int(np.nanargmin(self.words[:, 0]))

    def rows(self) -> tuple[list[int], list[int]]:
        """The rows of `distributions` that are the task's, one or none, and the others; where words were read."""
        rows = np.flatnonzero(~np.isnan(self.words[:, 0])).tolist()
        task = [row for row in rows if self.distributions[row] == "task"]
        return task, [row for row in rows if row not in task]


class Measured(NamedTuple):
    """What came of reading the test words.

    Attributes:
        fidelity: how far machine and network agree.
        occupancy: the fraction of the time that the machine spends in each state.
        task_states: how many states words of the task visit; 0 without these.
    """

    fidelity: Fidelity
    occupancy: Float[np.ndarray, " state"]
    task_states: int


def measure_fidelity(
    reader: Reader,
    machine: Machine,
    lengths: Int64[np.ndarray, " length"],
    n_words: int,
    rng: np.random.Generator,
    task: Task | None = None,
) -> Measured:
    """Agreement on fresh words of every distribution, the task's own first where one is given."""
    kinds = DISTRIBUTIONS if task is None else ("task", *DISTRIBUTIONS)
    last, whole, prefixes = np.full((3, len(kinds), len(lengths)), np.nan)
    counts, longest = np.zeros((2, len(kinds), len(lengths)), np.int64)
    curves, n_read = np.zeros((2, len(kinds), lengths[-1] + 1))
    visits, of_task = np.zeros(machine.n_states), np.zeros(machine.n_states, bool)
    drawn = [list(drawn_words(kind, reader, machine, lengths, n_words, rng, task)) for kind in kinds]
    shown = _shown(reader, [(words, ends) for each in drawn for words, ends, _ in each], rng)
    for row, (kind, each) in enumerate(zip(kinds, drawn, strict=True)):
        for words, ends, columns in each:
            agrees = agreement(machine, words, next(shown))
            for column in columns:
                end = np.minimum(ends, lengths[column])
                within = np.arange(agrees.shape[1]) <= end[:, None]
                last[row, column] = agrees[np.arange(len(end)), end].mean()
                whole[row, column] = (agrees | ~within).all(1).mean()
                prefixes[row, column] = agrees[within].mean()
                counts[row, column], longest[row, column] = len(end), end.max()
            within = np.arange(agrees.shape[1]) <= ends[:, None]
            further = slice(np.count_nonzero(n_read[row]), agrees.shape[1])
            curves[row, further], n_read[row, further] = (agrees & within).sum(0)[further], within.sum(0)[further]
            visited = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])
            if 0 in columns:
                usual = within & (np.arange(agrees.shape[1]) <= lengths[0])
                visits += np.bincount(visited[usual], minlength=machine.n_states)
            if kind == "task":
                of_task[visited[within]] = True
    curves = np.where(n_read > 0, curves / np.maximum(n_read, 1), np.nan)
    last_bounds, whole_bounds = (binomial_bounds(each, counts) for each in (last, whole))
    # All at once: each bound with its share of the probability that any fails.
    surely = binomial_bounds(whole, counts, 1 - 2 * DELTA / np.count_nonzero(counts))[0]
    found = Fidelity(
        distributions=kinds,
        lengths=lengths,
        n_test_words=n_words,
        word_counts=counts,
        word_lengths=longest,
        last=last,
        last_low=last_bounds[0],
        last_high=last_bounds[1],
        words=whole,
        words_low=whole_bounds[0],
        words_high=whole_bounds[1],
        prefixes=prefixes,
        drift=Drift(agreement=curves, lengths=drift_lengths(curves, n_read), n_words=n_read.astype(np.int64)),
        pac=Pac(epsilon=1 - surely, delta=DELTA),
    )
    return Measured(found, visits / visits.sum(), int(of_task.sum()))


def _shown(
    reader: Reader,
    drawn: list[tuple[Int64[np.ndarray, "_ _"], Int64[np.ndarray, " _"]]],
    rng: np.random.Generator,
) -> Iterator[Int64[np.ndarray, "word prefix head"]]:
    """What the network shows on each of these, as far as they go."""
    whole = [i for i, (words, ends) in enumerate(drawn) if (ends == words.shape[1]).all()]
    shown = dict(zip(whole, reader.read_together([drawn[i][0] for i in whole], rng), strict=True))
    for i, (words, ends) in enumerate(drawn):
        yield shown[i] if i in shown else reader.read_to_ends(words, ends, rng)


def drift_lengths(
    agreement_at: Float[np.ndarray, "distribution prefix"], n_words: int | Float[np.ndarray, "distribution prefix"]
) -> tuple[int | None, ...]:
    """For each distribution the last length before network and machine part, None where they do not.

    They have parted at the first length after which fewer than 98 % of words agree, and surely so: the upper bound lies
    below. A share of 98.1 % would otherwise pass for drift in some samples, and not in others.
    """
    parted = binomial_bounds(agreement_at, n_words)[1] < LEAST_AGREEMENT
    return tuple(max(int(row.argmax()) - 1, 0) if row.any() else None for row in parted)


def binomial_bounds(
    fractions: np.ndarray, n: int | np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Clopper and Pearson's bounds of a binomial proportion; 0 and 1 of none, whose fraction may be NaN."""
    from scipy.special import betaincinv  # scipy.stats takes seconds to load

    hits = np.rint(np.nan_to_num(fractions) * n)
    tail = (1 - confidence) / 2
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), n - hits + 1, tail), 0.0)
    high = np.where(hits < n, betaincinv(hits + 1, np.maximum(n - hits, 1), 1 - tail), 1.0)
    return low, high


def drawn_words(
    kind: str,
    reader: Reader,
    machine: Machine,
    lengths: Int64[np.ndarray, " length"],
    n_words: int,
    rng: np.random.Generator,
    task: Task | None,
) -> Iterator[tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"], range]]:
    """Words of a distribution, how many symbols each has, and for which of `lengths` they stand.

    The beginning of a random word is a random word, so that one draw stands for all. That of a trial is no trial: those
    that come stand for the first length, and for each other one trials of that length, where the task draws any.
    """
    longest = int(lengths[-1])
    if kind == "near-language":
        near = near_language_words(machine, n_words, longest, rng)
        yield near.words, near.ends, range(len(lengths))
        return
    if task is None or kind != "task":
        words = draw_words(n_words, longest, machine.n_symbols, kind, rng, machine)
        yield words, np.full(n_words, longest), range(len(lengths))
        return
    for column, length in enumerate(lengths.tolist()):
        wanted = length if column else None
        words, ends = draw_trials(task, reader.alphabet, len(reader.opening), n_words, rng, wanted)
        if len(words):
            yield words[:, :length], np.minimum(ends, length), range(column, column + 1)
