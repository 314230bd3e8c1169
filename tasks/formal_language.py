"""Membership in a formal language, asked for after every symbol; the true machine travels with the task."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float32, Int64, Num
from pydantic import PlainSerializer, PlainValidator, StrictBool, StrictFloat, StrictInt

from rnnscope.tasks.languages import Dyck, Language, language
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials, check_count

UNIFORM, MEMBER, BORDER = range(3)
ATTEMPTS = 20
AT_ONCE = 512  # words; drawing so many takes little longer than drawing one

Draw = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _source(value: Any) -> str | Machine:
    """What `to_config` writes for a machine as the machine; a machine or a name unchanged."""
    if isinstance(value, Mapping):
        return Machine.from_dict(value)
    if not isinstance(value, str | Machine):
        raise ValueError(f"give the name of a language, as 'tomita-4', or a Machine, not {type(value).__name__}")
    return value


def _plain(value: str | Machine) -> str | dict[str, Any]:
    return value.to_dict() if isinstance(value, Machine) else value


@settings_class
class FormalLanguage(Task):
    """Read a word symbol by symbol, one-hot, and say after each whether what was read so far is in the language.

    By default every trial opens with a step without a symbol, all zeros, after which the empty word is asked for.
    A share `balance` of the words is in the language, all words of a length equally likely; of the others a share
    `border` is one edit (a symbol changed, left out, put in, or two swapped) away from a word of the language, and the
    rest is uniform. In the language of arithmetic are the expressions that have a value. Where every word has its class
    and none is outside (groups, machines with more than two outputs), all words are uniform. The label is that of every
    prefix, the empty one too after an opening step; `mask` is True up to the end of the word. `info`: "length" in
    steps, the opening one included, and "source" (0 uniform, 1 in the language, 2 at its border).

    Args:
        language: its name, see `rnnscope.tasks.languages.language`: "tomita-4", "parity", "even-pairs", "arithmetic-5",
            "Z5", "S3", "anbn", "dyck-1", "dyck-2-depth-3", "regex:(01)*"; or a `Machine` of your own: a DFA, or a Moore
            machine with one head.
        lengths: the shortest and the longest word.
        length_distribution: "uniform", or "geometric" for more short words than long ones (each quarter of the
            range half as likely as the one before).
        balance, border: shares, see above.
        held_out_lengths: longer than any word shown; `sample_held_out` draws them.
        empty_word: whether trials have the opening step, and ask for the empty word.
        sampled_depth: for unbounded brackets, how deep the words shown go; None: no limit.

    Raises:
        ValueError: no such language, or a setting out of range.

    Example:
        >>> import numpy as np
        >>> from rnnscope.tasks import FormalLanguage
        >>> task = FormalLanguage("tomita-1", lengths=(3, 3))
        >>> trials = task.sample(4, np.random.default_rng(0))
        >>> trials.inputs.shape, task.ground_truth.n_states
        ((4, 4, 2), 2)
    """

    language: Annotated[str | Machine, PlainValidator(_source), PlainSerializer(_plain)]
    lengths: tuple[StrictInt, StrictInt] = (1, 40)
    length_distribution: Literal["uniform", "geometric"] = "uniform"
    balance: StrictFloat = 0.5
    border: StrictFloat = 0.5
    held_out_lengths: tuple[StrictInt, ...] = (50, 100, 200)
    sampled_depth: StrictInt | None = None
    empty_word: StrictBool = True

    def __post_init__(self) -> None:
        shortest, longest = self.lengths
        if not 1 <= shortest <= longest:
            raise ValueError(f"lengths = {self.lengths}: give (shortest, longest) with 1 <= shortest <= longest")
        for name, value in (("balance", self.balance), ("border", self.border)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} = {value} lies outside 0 ... 1; it is a share of the words")
        for length in self.held_out_lengths:
            check_count("held_out_lengths", length)
        if self.sampled_depth is not None:
            check_count("sampled_depth", self.sampled_depth)
            if not isinstance(self._words, Dyck):
                raise ValueError(f"sampled_depth is for unbounded brackets (dyck-1, dyck-2), not for {self._name}")
        possible = self._words.has_words(longest + 1)
        if self.balance > 0 and not possible[shortest : longest + 1].any():
            raise ValueError(f"{self._name} has no word of length {shortest} to {longest}; give other lengths")
        if self.border > 0 and not possible.any():
            raise ValueError(f"{self._name} has no word of up to {longest + 1} symbols, so no border: give border=0.0")

    @classmethod
    def examples(cls) -> "tuple[FormalLanguage, ...]":
        return (
            cls("tomita-4"),
            cls("dyck-2", lengths=(2, 12), sampled_depth=3),
            cls("S3", lengths=(5, 5)),
        )

    @cached_property
    def _words(self) -> Language:
        found = language(self.language)
        return Dyck(found.n_types, self.sampled_depth) if isinstance(found, Dyck) else found

    @property
    def _name(self) -> str:
        return self.language if isinstance(self.language, str) else "this machine"

    @property
    def ground_truth(self) -> Machine | Language:
        """The minimal machine; of a language that has none, the language with its recogniser."""
        return self._words.machine or self._words

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of the symbols."""
        return self._words.symbols

    @property
    def input_size(self) -> int:
        return len(self.symbols)

    @property
    def output_size(self) -> int:
        return self._words.n_classes

    @property
    def loss(self) -> LossKind:
        return "cross_entropy"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("word_accuracy", 0.999),)

    @property
    def default_training(self) -> str:
        return "language"

    @property
    def alphabet(self) -> Float32[np.ndarray, "symbol input"]:
        return np.eye(self.input_size, dtype=np.float32)

    @property
    def opening(self) -> Float32[np.ndarray, "time input"]:
        """What is shown before the first symbol."""
        return np.zeros((int(self.empty_word), self.input_size), np.float32)

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        check_count("n_trials", n_trials)
        shortest, longest = self.lengths
        span = longest - shortest + 1
        place = rng.random(n_trials)
        if self.length_distribution == "geometric":
            place = -np.log2(1 - place * (1 - 2.0**-4)) / 4
        return self._trials(shortest + np.minimum((place * span).astype(np.int64), span - 1), rng)

    def sample_held_out(self, n_trials: int, length: int, rng: np.random.Generator) -> Trials:
        """Trials of one length in symbols, drawn like those of training: for the `held_out_lengths`, or any other."""
        check_count("n_trials", n_trials)
        check_count("length", length)
        return self._trials(np.full(n_trials, length), rng)

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """ "accuracy" (of all prefixes), "word_accuracy" (words right at every prefix), "end_accuracy" (right at the
        last symbol). `rng` is not used."""
        right = (self.labels(outputs) == trials.targets).all(-1)
        last = trials.info["length"] - 1
        return {
            "accuracy": float(right[trials.mask].mean()),
            "word_accuracy": float((right | ~trials.mask).all(1).mean()),
            "end_accuracy": float(right[np.arange(len(right)), last].mean()),
        }

    def _trials(self, lengths: Int64[np.ndarray, " trial"], rng: np.random.Generator) -> Trials:
        source = np.full(len(lengths), UNIFORM)
        if self._words.outside is not None:
            chosen = rng.random(len(lengths))
            source[chosen < self.balance] = MEMBER
            source[chosen >= 1 - (1 - self.balance) * self.border] = BORDER
            lengths = np.where(source == MEMBER, self._nearest(lengths), lengths)
        words = np.zeros((len(lengths), int(lengths.max())), np.int64)
        for kind, draw in ((UNIFORM, self._uniform), (MEMBER, self._words.sample), (BORDER, self._edited)):
            rows = np.flatnonzero(source == kind)
            found = draw(lengths[rows], rng)
            if kind != MEMBER and self._words.outside is not None:
                self._redraw(found, lengths[rows], draw, rng)
            words[rows, : found.shape[1]] = found
        within = np.arange(words.shape[1]) < lengths[:, None]
        symbols = (self.alphabet[words] * within[..., None]).astype(np.float32)
        inputs = np.concatenate([np.tile(self.opening, (len(words), 1, 1)), symbols], 1)
        n_opening = len(self.opening)
        asked = np.column_stack([np.ones((len(words), n_opening), bool), within])
        targets = self._words.labels(words)[:, 1 - n_opening :, None]
        return Trials(inputs, targets, asked, {"length": lengths + n_opening, "source": source})

    def _redraw(self, words: np.ndarray, lengths: np.ndarray, draw: Draw, rng: np.random.Generator) -> None:
        """Draw unwanted words again, up to `ATTEMPTS` times; the fewer they are, the more of them at once."""
        left = ATTEMPTS
        while left and len(wrong := np.flatnonzero(self._unwanted(words, lengths))):
            several = min(max(AT_ONCE // len(wrong), 1), left)
            left -= several
            wanted = np.repeat(lengths[wrong], several)
            again = draw(wanted, rng)
            good = ~self._unwanted(again, wanted).reshape(-1, several)
            chosen = np.arange(len(wrong)) * several + good.argmax(1)  # the first good one
            words[wrong] = 0
            words[wrong, : again.shape[1]] = again[chosen]

    def _uniform(self, lengths: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
        words = rng.integers(len(self.symbols), size=(len(lengths), int(lengths.max(initial=0))))
        return words * (np.arange(words.shape[1]) < lengths[:, None])

    def _edited(self, lengths: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
        """Words of these lengths, each one edit away from a word of the language (which may bring it back in)."""
        n, n_symbols = len(lengths), len(self.symbols)
        possible = self._words.has_words(int(lengths.max(initial=0)) + 1)
        # What a change (or swap), a cut and an insertion start from, in random order; the first that exists is taken.
        wanted = lengths[:, None] + rng.permuted(np.tile([0, 0, 1, -1], (n, 1)), axis=1)
        exists = possible[np.maximum(wanted, 0)] & (wanted >= 0)
        first = exists.argmax(1)
        base_length = np.where(exists.any(1), wanted[np.arange(n), first], 0 if possible[0] else possible.argmax())
        base = self._words.sample(base_length, rng)
        base = np.column_stack([base, np.zeros((n, int(lengths.max(initial=0)) + 2 - base.shape[1]), np.int64)])
        change, time = lengths - base_length, np.arange(int(lengths.max(initial=0)))
        place = (rng.random(n) * np.maximum(np.maximum(lengths, base_length), 1)).astype(np.int64)[:, None]
        source = time + ((change == -1)[:, None] & (time >= place)) - ((change == 1)[:, None] & (time > place))
        words = np.take_along_axis(base, source, 1)
        # A swap of neighbours for every second word that keeps its length, a new symbol for the others and insertions.
        last = lengths[:, None] - 1
        swap = (change == 0) & (rng.random(n) < 0.5) & (lengths > 1)
        left = np.minimum(place, np.maximum(last - 1, 0))
        pair = np.take_along_axis(words, np.column_stack([left, np.minimum(left + 1, len(time) - 1)]), 1)
        shift = rng.integers(1, max(n_symbols, 2), n)
        new = (words[np.arange(n), np.minimum(place[:, 0], len(time) - 1)] + shift) % n_symbols
        new = np.where(change == 1, rng.integers(n_symbols, size=n), new)
        rows = np.flatnonzero(swap)
        words[rows, left[rows, 0]], words[rows, left[rows, 0] + 1] = pair[rows, 1], pair[rows, 0]
        rows = np.flatnonzero(((change == 0) & ~swap) | (change == 1))
        words[rows, place[rows, 0]] = new[rows]
        # Where the language has no word of a neighbouring length, the word is uniform.
        far = np.abs(change) > 1
        words[far] = rng.integers(n_symbols, size=(int(far.sum()), len(time)))
        return words * (time < lengths[:, None])

    def _unwanted(self, words: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Words that are in the language after all, or deeper than words shown may be."""
        ends = self._words.labels(words)[np.arange(len(words)), lengths] != self._words.outside
        if isinstance(self._words, Dyck) and self._words.sampled_depth is not None:
            inside = np.where(np.arange(words.shape[1]) < lengths[:, None], words, 1)
            ends |= self._words.depths(inside) > self._words.sampled_depth
        return ends

    def _nearest(self, lengths: Int64[np.ndarray, " trial"]) -> Int64[np.ndarray, " trial"]:
        """The nearest lengths that words of the language have, none longer than the longest asked for."""
        possible = np.flatnonzero(self._words.has_words(int(lengths.max()))[1:]) + 1
        if not len(possible):
            return lengths
        return possible[np.abs(lengths[:, None] - possible).argmin(1)]
