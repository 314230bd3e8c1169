"""A network as something that reads words of symbols and shows decisions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64, Num
from numpy.typing import ArrayLike

from rnnscope.maps import CompleteMap
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import Task

AT_ONCE = 2**18  # numbers in the states that are kept at a time: of four times as many, reading takes longer
BLOCKS = 4  # of words of unlike lengths, each read to its longest
STEPPED = 2**17  # and that are stepped at a time: more do not stay in a processor's cache


@dataclass(frozen=True)
class Reader:
    """A network that reads words of symbols and shows discrete outputs.

    Attributes:
        map: the network.
        alphabet: the input of each symbol.
        labels: outputs (..., output) -> decisions (..., head).
        start: the state that every word starts from; None: the network's own initial states, after `opening`.
        opening: inputs that are shown before the first symbol.
        empty_word: what counts as shown before the first symbol; None: what the network does show.
    """

    map: CompleteMap
    alphabet: Float[np.ndarray, "symbol input"]
    labels: Callable[[np.ndarray], np.ndarray]
    start: Float[np.ndarray, " unit"] | None = None
    opening: Num[np.ndarray, "opening_time _"] = field(default_factory=lambda: np.empty((0, 1)))
    empty_word: Int64[np.ndarray, " head"] | None = None

    @property
    def n_symbols(self) -> int:
        return len(self.alphabet)

    def show(self, states: Float[np.ndarray, "*batch unit"]) -> Int64[np.ndarray, "*batch head"]:
        """The decisions of states.

        Raises:
            NotApplicable: the states have diverged.
            ValueError: the decisions are no whole numbers.
        """
        # A sum takes less time than to look at each, and is no number where one of them is none.
        if not np.isfinite(states.sum()) and not np.isfinite(states).all():
            raise NotApplicable(
                "the network's states diverge while it reads words: train it further, or shorten `length`"
            )
        outputs = self.map.readout(states)
        found = np.asarray(self.labels(outputs))
        if found.dtype != bool and not np.issubdtype(found.dtype, np.integer):
            raise ValueError(f"labels must return whole numbers (a decision for each head), got {found.dtype}")
        found = found.reshape(*states.shape[:-1], -1)
        return found.astype(np.int64)

    def initial_states(self, n_words: int, rng: np.random.Generator) -> Float[np.ndarray, "word unit"]:
        """States before the first symbol."""
        if self.start is not None:
            return np.tile(self.start, (n_words, 1))
        state = self.map.initial_states(n_words, rng)
        for shown in self.opening:
            state = self.map.step(state, np.tile(np.asarray(shown, np.float64), (n_words, 1)))
        return state

    def visit(
        self, inputs: Num[np.ndarray, "word time input"], rng: np.random.Generator
    ) -> Float[np.ndarray, "word prefix unit"]:
        """The states after every prefix, the empty one first."""
        start = self.initial_states(len(inputs), rng)
        return np.concatenate([start[:, None], self.map.unroll(start, np.asarray(inputs, np.float64))], 1)

    def decide(
        self, inputs: Num[np.ndarray, "word time input"], rng: np.random.Generator
    ) -> Int64[np.ndarray, "word prefix head"]:
        """The decisions after every prefix, the empty one first; no states are kept."""
        start = self.initial_states(len(inputs), rng)
        at_once = max(AT_ONCE // max(inputs.shape[1] * self.map.state_size, 1), 1)
        shown = [self.show(start)[:, None]]
        for i in range(0, len(inputs) if inputs.shape[1] else 0, at_once):
            some = slice(i, i + at_once)
            visited = self.map.unroll(start[some], np.asarray(inputs[some], np.float64))
            # In memory time comes first: read out in that order nothing is copied.
            shown.append(self.show(visited.swapaxes(0, 1)).swapaxes(0, 1))
        found = np.concatenate([shown[0], np.concatenate(shown[1:])], 1) if len(shown) > 1 else shown[0]
        if self.empty_word is not None:
            found[:, 0] = self.empty_word
        return found

    def read(
        self, words: Int64[np.ndarray, "word time"], rng: np.random.Generator
    ) -> Int64[np.ndarray, "word prefix head"]:
        """The decisions after every prefix of words of symbol numbers."""
        if self.start is None:
            return self.decide(self.alphabet[words], rng)
        number: dict[bytes, int] = {}
        which = [number.setdefault(word.tobytes(), len(number)) for word in words]
        once = words[np.unique(which, return_index=True)[1]]
        return self.decide(self.alphabet[once], rng)[which]

    def read_to_ends(
        self, words: Int64[np.ndarray, "word time"], ends: Int64[np.ndarray, " word"], rng: np.random.Generator
    ) -> Int64[np.ndarray, "word prefix head"]:
        """`read`, where of each word only so many symbols matter: what comes after these is not all read, and 0."""
        order = np.argsort(ends, kind="stable")
        found: np.ndarray | None = None
        for rows in np.array_split(order, BLOCKS):
            if len(rows):
                read = self.read(words[rows, : ends[rows[-1]]], rng)
                if found is None:
                    found = np.zeros((len(words), words.shape[1] + 1, read.shape[2]), np.int64)
                found[rows, : read.shape[1]] = read
        return self.read(words, rng) if found is None else found

    def read_together(
        self, words: Sequence[Int64[np.ndarray, "_ _"]], rng: np.random.Generator
    ) -> list[Int64[np.ndarray, "word prefix head"]]:
        """`read` of each of these, those of one length in one go: many short reads take longer."""
        of_length: dict[int, list[int]] = {}
        for i, each in enumerate(words):
            of_length.setdefault(each.shape[1], []).append(i)
        shown: dict[int, np.ndarray] = {}
        for which in of_length.values():
            read = self.read(np.concatenate([words[i] for i in which]), rng)
            ends = np.cumsum([len(words[i]) for i in which])[:-1]
            shown |= dict(zip(which, np.split(read, ends), strict=True))
        return [shown[i] for i in range(len(words))]

    def read_short(
        self, at_most: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, "word prefix head"]]:
        """`short_words`, and the decisions after every prefix of these. Beginnings that words share are read once."""
        words = self.short_words(at_most)
        states, length, shown = self.initial_states(1, rng), words.shape[1], []
        for read in range(length + 1):
            now = self.show(states)
            shown.append(np.repeat(now, len(words) // len(now), axis=0))
            if read < length:
                # Every symbol after the first word, then after the second: in alphabetical order.
                after = self.step_all(states).reshape(self.n_symbols, len(states), -1)
                states = after.swapaxes(0, 1).reshape(-1, states.shape[1])
        found = np.stack(shown, 1)
        if self.empty_word is not None:
            found[:, 0] = self.empty_word
        return words, found

    def step_all(self, states: Float[np.ndarray, "point unit"]) -> Float[np.ndarray, "successor unit"]:
        """Where every symbol leads, one block of points for each symbol."""
        if self.n_symbols * len(states) <= self._at_once:
            return self.map.step(np.tile(states, (self.n_symbols, 1)), np.repeat(self.alphabet, len(states), axis=0))
        found = np.empty((self.n_symbols, *states.shape))
        for symbol, stepped in enumerate(self.step_each(states)):
            found[symbol] = stepped
        return found.reshape(-1, states.shape[1])

    def step_each(self, states: Float[np.ndarray, "point unit"]) -> Iterator[Float[np.ndarray, "point unit"]]:
        """As `step_all`, the block of one symbol after the other: those of many large states are never all in memory.
        Both take the same states together, so that not a digit differs."""
        n, total = len(states), self.n_symbols * len(states)
        if total <= self._at_once:
            yield from np.split(self.step_all(states), self.n_symbols)
            return
        block, filled = np.empty(states.shape), 0
        for first in range(0, total, self._at_once):
            rows = np.arange(first, min(first + self._at_once, total))
            stepped = self.map.step(states[rows % n], self.alphabet[rows // n])
            while len(stepped):
                fits = min(n - filled, len(stepped))
                block[filled : filled + fits] = stepped[:fits]
                stepped, filled = stepped[fits:], filled + fits
                if filled == n:
                    yield block
                    block, filled = np.empty(states.shape), 0

    @property
    def _at_once(self) -> int:
        return max(STEPPED // max(self.map.state_size, 1), 1)

    def short_words(self, at_most: int) -> Int64[np.ndarray, "word time"]:
        """All words of the greatest length of which there are no more than `at_most`, in alphabetical order."""
        n_symbols, length = self.n_symbols, 0
        while n_symbols ** (length + 1) <= at_most and length < at_most:
            length += 1
        return np.arange(n_symbols**length)[:, None] // n_symbols ** np.arange(length)[::-1] % n_symbols


def reader_for(
    state_map: CompleteMap,
    alphabet: ArrayLike,
    opening: Num[np.ndarray, "opening_time input"],
    labels: Callable[[np.ndarray], np.ndarray] | None,
    task: Task | None,
) -> Reader:
    """A reader of this alphabet, checked; it decides as `labels`, the task, or `decide` say.

    Raises:
        ValueError: an alphabet of another shape, not finite, or with the same symbol twice.
    """
    vectors = np.asarray(alphabet, np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != state_map.input_size or not len(vectors):
        raise ValueError(f"alphabet must have shape (symbol, {state_map.input_size}), got {vectors.shape}")
    if len(np.unique(vectors, axis=0)) < len(vectors) or not np.isfinite(vectors).all():
        raise ValueError("the symbols of the alphabet must be finite and differ from one another")
    if labels is None:
        labels = decide if task is None else task.labels
    return Reader(state_map, vectors, labels, opening=opening)


def decide(outputs: np.ndarray) -> np.ndarray:
    """The decision of a network without a task: whether a single output is positive, or which of several is the
    largest."""
    return outputs > 0 if outputs.shape[-1] == 1 else outputs.argmax(-1, keepdims=True)
