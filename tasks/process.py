"""Stationary processes that emit symbols on their arrows: what a next-symbol predictor has to know, exactly."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, Integer
from pydantic import PlainSerializer, PlainValidator

from rnnscope.tasks.hmm import HMM, SUM_TOLERANCE, stationary_distribution, tuples, walk
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import check_count

MAX_HISTORIES = 100_000  # for bounds on the entropy rate: words that are followed from each state, all at once

Matrices = tuple[tuple[tuple[float, ...], ...], ...]


class EntropyBounds(NamedTuple):
    """The entropy rate lies between these, in nats per symbol."""

    low: float
    high: float


def _checked(given: Any) -> Matrices:
    try:
        matrices = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"process must be numbers of shape (symbol, state, state): {error}") from None
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or not matrices.size:
        raise ValueError(f"process must have shape (symbol, state, state), got {matrices.shape}")
    off = np.abs(matrices.sum((0, 2)) - 1)
    # Asked this way round, NaN is refused.
    if not (matrices.min() >= 0 and off.max() <= SUM_TOLERANCE):
        worst = int(np.nan_to_num(off, nan=np.inf).argmax())
        raise ValueError(
            "process[x, i, j] is the probability to emit x and go from state i to j: not negative, and 1 in sum over x "
            f"and j; state {worst} has {matrices[:, worst].sum():g}, the least entry is {matrices.min():g}"
        )
    return tuples(matrices)


@settings_class
class Process:
    """A stationary process: states, and arrows between them that each emit a symbol.

    Other than a `Machine` with emissions, it may go to several states with the same symbol (it need not be unifilar),
    so that who sees the symbols has a belief about the state: a distribution. It starts as it is in the long run.

    Args:
        matrices: (symbol, state, next state), the probability to emit the symbol and go there; 1 in sum over symbols
            and next states. Arrays or nested lists.

    Raises:
        ValueError: no such probabilities, or a process that ends in one of several sets of states, whose long run
            the matrices do not fix.

    Example:
        >>> import numpy as np
        >>> from rnnscope.tasks.process import golden_mean
        >>> process = golden_mean()
        >>> process.stationary.round(3).tolist(), round(process.entropy_rate().low, 4)
        ([0.667, 0.333], 0.4621)
        >>> process.predict(process.beliefs(np.array([[1, 0]]))).round(2).tolist()
        [[[0.33, 0.67], [0.5, 0.5], [0.0, 1.0]]]
    """

    matrices: Annotated[Matrices, PlainValidator(_checked), PlainSerializer(lambda matrices: matrices)]

    def __post_init__(self) -> None:
        _ = self.stationary  # a process with several is refused now

    @cached_property
    def array(self) -> Float64[np.ndarray, "symbol state next_state"]:
        return np.array(self.matrices)

    def __repr__(self) -> str:
        return f"Process(n_states={self.n_states}, n_symbols={self.n_symbols})"

    @property
    def n_symbols(self) -> int:
        return len(self.matrices)

    @property
    def n_states(self) -> int:
        return len(self.matrices[0])

    @property
    def is_unifilar(self) -> bool:
        """Whether state and symbol determine the next state."""
        return bool(((self.array > 0).sum(2) <= 1).all())

    @cached_property
    def stationary(self) -> Float64[np.ndarray, " state"]:
        """How often the process is in each state in the long run."""
        return stationary_distribution(self.array.sum(0))

    def symbol_frequencies(self) -> Float64[np.ndarray, " symbol"]:
        """How often each symbol is emitted."""
        return self.predict(self.stationary)

    def predict(self, beliefs: Float64[np.ndarray, "*batch state"]) -> Float64[np.ndarray, "*batch symbol"]:
        """The distribution of the next symbol, from that of the state."""
        return beliefs @ self.array.sum(2).T

    def beliefs(self, words: Integer[np.ndarray, "word time"]) -> Float64[np.ndarray, "word time+1 state"]:
        """The distribution of the state before the first symbol of each word, and given the symbols up to each.

        Raises:
            ValueError: a symbol outside 0 ... n_symbols - 1, or a word that the process cannot emit.
        """
        if words.size and not (words.min() >= 0 and words.max() < self.n_symbols):
            raise ValueError(f"symbols run from {words.min()} to {words.max()}; give 0 to {self.n_symbols - 1}")
        belief = np.tile(self.stationary, (len(words), 1))
        found = [belief]
        for t in range(words.shape[1]):
            joint = np.einsum("wi,wij->wj", belief, self.array[words[:, t]])
            total = joint.sum(1, keepdims=True)
            if not total.all():
                word = int(np.argmin(total))
                raise ValueError(
                    f"the process cannot emit word {word} beyond step {t} (symbol {words[word, t]}), and no belief is "
                    "defined there"
                )
            belief = joint / total
            found.append(belief)
        return np.stack(found, 1)

    def sample(
        self, n_words: int, length: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, "word time"]]:
        """Draw (states, symbols): the state before each symbol, and the symbol. Raises ValueError where a count is
        below 1."""
        check_count("n_words", n_words)
        check_count("length", length)
        first = rng.choice(self.n_states, n_words, p=self.stationary)
        after, symbols = walk(self.array.transpose(1, 2, 0), first, rng.random((length, n_words)))
        return np.column_stack([first, after[:, :-1]]), symbols

    def entropy_rate(self) -> EntropyBounds:
        """Of the symbols: exact (both bounds alike) where the process is unifilar. Elsewhere the entropy of a symbol
        given n - 1 before it from above, and given the state before these as well from below, for the longest words
        of which there are at most 100,000 from all states: Cover & Thomas, Elements of Information Theory, 4.5.
        """
        if self.is_unifilar:
            exact = float(self.stationary @ entropy(self.predict(np.eye(self.n_states))))
            return EntropyBounds(exact, exact)
        blind = self.stationary[None]  # p(word, state after it), one row a word
        seeing = np.diag(self.stationary)[:, None]  # the same beside the state before the word: (first, word, state)
        for _ in range(int(np.log(max(MAX_HISTORIES / self.n_states, 1)) / np.log(max(self.n_symbols, 2)))):
            blind = np.einsum("wi,xij->wxj", blind, self.array).reshape(-1, self.n_states)
            seeing = np.einsum("swi,xij->swxj", seeing, self.array).reshape(self.n_states, -1, self.n_states)
        return EntropyBounds(*(self._next_entropy(joint.reshape(-1, self.n_states)) for joint in (seeing, blind)))

    def _next_entropy(self, joint: Float64[np.ndarray, "history state"]) -> float:
        """Of the next symbol given the history, from p(history, state)."""
        weight = joint.sum(1)
        seen = joint[weight > 0] / weight[weight > 0, None]
        return float(weight[weight > 0] @ entropy(self.predict(seen)))

    @classmethod
    def from_hmm(cls, hmm: HMM) -> "Process":
        """A hidden Markov model in the long run, whose states emit: each arrow emits what the state it leaves does."""
        return cls(hmm.emission_matrix.T[:, :, None] * hmm.transition_matrix)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """The process as plain lists, which JSON and TOML can hold; `Process.from_dict` reads it."""
        return {"matrices": self.array.tolist()}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Process":
        """The inverse of `to_dict`.

        Raises:
            ValueError: these are no process's fields.
        """
        if fields.keys() != {"matrices"}:
            raise ValueError(
                f"a process has matrices (symbol, state, next state), got {', '.join(map(str, fields)) or 'nothing'}"
            )
        return cls(matrices=fields["matrices"])


def entropy(probabilities: Float64[np.ndarray, "*batch symbol"]) -> Float64[np.ndarray, "*batch"]:
    """In nats."""
    return np.asarray(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(-1))


def golden_mean() -> Process:
    """Ones and zeros at random, but no two zeros in a row: free, and after a 0. This, `even` and `rrxor`: Crutchfield &
    Feldman, Chaos 2003."""
    return Process([[[0, 0.5], [0, 0]], [[0.5, 0], [1, 0]]])  # type: ignore[arg-type]


def even() -> Process:
    """Zeros at random between runs of ones of even length: between ones that are a pair, and inside a pair. No finite
    number of symbols before says which it is."""
    return Process([[[0.5, 0], [0, 0]], [[0, 0.5], [1, 0]]])  # type: ignore[arg-type]


def rrxor() -> Process:
    """Two random bits and their exclusive or: start, after 0, after 1, 0 due, 1 due."""
    matrices = np.zeros((2, 5, 5))
    matrices[0, 0, 1] = matrices[1, 0, 2] = 0.5
    matrices[0, 1, 3] = matrices[1, 1, 4] = matrices[0, 2, 4] = matrices[1, 2, 3] = 0.5
    matrices[0, 3, 0] = matrices[1, 4, 0] = 1
    return Process(matrices)  # type: ignore[arg-type]


def mess3(x: float = 0.05, alpha: float = 0.85) -> Process:
    """Three states that each go to either other with probability x, and then show their own symbol with probability
    alpha, either other with (1 - alpha) / 2. Beliefs are a fractal. Marzen & Crutchfield, Physical Review E 2017.

    Raises:
        ValueError: x outside 0 ... 1/2, 0 left out, or alpha outside 0 ... 1.
    """
    if not (0 < x <= 0.5 and 0 <= alpha <= 1):
        raise ValueError(
            f"mess3({x}, {alpha}): give 0 < x <= 1/2, so that two x are a probability, and 0 <= alpha <= 1"
        )
    move = np.full((3, 3), x) + (1 - 3 * x) * np.eye(3)
    show = np.full((3, 3), (1 - alpha) / 2) + (1.5 * alpha - 0.5) * np.eye(3)
    return Process(np.einsum("ij,jx->xij", move, show))  # type: ignore[arg-type]


NAMED = {"golden-mean": golden_mean, "even": even, "rrxor": rrxor, "mess3": mess3}
