"""Predicting the next symbol of a known process: what is best is known exactly, for every word."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float32, Float64, Num
from pydantic import PlainSerializer, PlainValidator, StrictBool, StrictInt

from rnnscope.tasks.process import NAMED, Process, mess3
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials, check_count


def _source(value: Any) -> str | Process:
    """What `to_config` writes for a process as the process; a process or a known name unchanged."""
    if isinstance(value, Mapping):
        return Process.from_dict(value)
    if not isinstance(value, Process) and not (isinstance(value, str) and value in NAMED):
        raise ValueError(f"{value!r} is no process: give a Process, or a name: {', '.join(NAMED)}")
    return value


def _plain(value: str | Process) -> str | dict[str, Any]:
    return value.to_dict() if isinstance(value, Process) else value


@settings_class
class NextSymbol(Task):
    """Read a word of a process symbol by symbol, one-hot, and predict after each what comes next.

    Every trial opens with a step without a symbol, all zeros, after which the first symbol is to be predicted: that of
    a process which has been going on for long. `mask` is True everywhere. `info`: "latent" (trial, time), the state of
    the process before the symbol that is to be predicted.

    Args:
        process: "golden-mean", "even", "rrxor" or "mess3" (`rnnscope.tasks.process`), or a `Process` of your own.
        length: symbols to predict.
        opening_step: whether trials have the opening step. Without it a trial begins with a symbol, and the first
            prediction is of the second one; a network so trained, or one that is asked at its initial state for the
            first symbol, is taken as it is.

    Raises:
        ValueError: no such process, or length below 1.

    Example:
        >>> import numpy as np
        >>> from rnnscope.tasks import NextSymbol
        >>> task = NextSymbol("golden-mean", length=3)
        >>> trials = task.sample(1, np.random.default_rng(2))
        >>> trials.inputs[0].tolist(), trials.targets[0, :, 0].tolist()
        ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [1, 0, 1])
    """

    process: Annotated[str | Process, PlainValidator(_source), PlainSerializer(_plain)]
    length: StrictInt = 40
    opening_step: StrictBool = True

    def __post_init__(self) -> None:
        check_count("length", self.length)

    @classmethod
    def examples(cls) -> "tuple[NextSymbol, ...]":
        return (cls("rrxor"), cls(mess3(x=0.1, alpha=0.6), length=7, opening_step=False))

    @cached_property
    def _process(self) -> Process:
        return NAMED[self.process]() if isinstance(self.process, str) else self.process

    @property
    def ground_truth(self) -> Process:
        """The process."""
        return self._process

    @property
    def predicts_next(self) -> bool:
        return True

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of the symbols."""
        return tuple(map(str, range(self.input_size)))

    @property
    def input_size(self) -> int:
        return self.ground_truth.n_symbols

    @property
    def output_size(self) -> int:
        return self.ground_truth.n_symbols

    @property
    def loss(self) -> LossKind:
        return "cross_entropy"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("divergence", 0.001, "at most"),)

    @property
    def default_training(self) -> str:
        return "next-symbol"

    @property
    def alphabet(self) -> Float32[np.ndarray, "symbol input"]:
        return np.eye(self.input_size, dtype=np.float32)

    @property
    def opening(self) -> Float32[np.ndarray, "time input"]:
        """What is shown before the first symbol."""
        return np.zeros((int(self.opening_step), self.input_size), np.float32)

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        check_count("n_trials", n_trials)
        begun = 1 - len(self.opening)  # symbols that are shown before the first prediction
        states, symbols = self.ground_truth.sample(n_trials, self.length + begun, rng)
        opened = np.tile(self.opening, (n_trials, 1, 1))
        return Trials(
            inputs=np.concatenate([opened, self.alphabet[symbols[:, :-1]]], 1),
            targets=symbols[:, begun:, None],
            mask=np.ones((n_trials, self.length), bool),
            info={"latent": states[:, begun:]},
        )

    def best(self, trials: Trials) -> Float64[np.ndarray, "trial time symbol"]:
        """The distribution of the symbol to be predicted, given the symbols shown before."""
        begun = 1 - len(self.opening)
        shown = trials.inputs[:, :begun].argmax(-1)
        words = np.concatenate([shown, trials.targets[:, :-1, 0]], 1)
        return self.ground_truth.predict(self.ground_truth.beliefs(words)[:, begun:])

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """ "divergence": KL(process || network) of the next symbol, given the trial's symbols before it, in nats a
        symbol; exact but for the trials drawn. "accuracy": share of the symbols that are what the network finds
        likeliest, "best_accuracy": the same of the process. `rng` is not used."""
        true = self.best(trials)
        with np.errstate(invalid="ignore"):  # outputs of a network that diverged: the divergence is NaN
            logits = outputs - outputs.max(-1, keepdims=True).astype(np.float64)
        found = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        each = np.where(true > 0, true * (np.log(np.maximum(true, 1e-300)) - found), 0.0).sum(-1)
        symbols = trials.targets[..., 0]
        return {
            "divergence": float(each.mean()),
            "accuracy": float((outputs.argmax(-1) == symbols).mean()),
            "best_accuracy": float((true.argmax(-1) == symbols).mean()),
        }
