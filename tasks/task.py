"""What a task is: a generator of trials, a loss, and a criterion that says when it is learned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Integer, Num

LossKind = Literal["cross_entropy", "mse", "sinkhorn"]


@dataclass(frozen=True)
class Trials:
    """A batch of trials. Trials shorter than the longest are padded at the end, where `mask` is False.

    Attributes:
        inputs: what the network is shown, float32.
        targets: for "cross_entropy" the class of each head, int64 (trial, time, head); for "mse" the wanted output,
            float32 (trial, time, output); for "sinkhorn" a sequence drawn from the process to be emulated, int64
            (trial, time, 1) symbols. Meaningful only where `mask` is True.
        mask: where the output counts.
        info: labels, one entry per trial along the first axis: "length", "delay", "latent" states, ...
    """

    inputs: Float32[np.ndarray, "trial time input"]
    targets: Num[np.ndarray, "trial time target"]
    mask: Bool[np.ndarray, "trial time"]
    info: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Criterion:
    """A task is learned when `metric` is at least (or at most) `threshold`."""

    metric: str
    threshold: float
    direction: Literal["at least", "at most"] = "at least"

    def met(self, metrics: Mapping[str, float]) -> bool:
        value = metrics[self.metric]  # NaN meets nothing
        return value >= self.threshold if self.direction == "at least" else value <= self.threshold

    def __str__(self) -> str:
        return f"{self.metric} {self.direction} {self.threshold:g}"


@runtime_checkable
class Task(Protocol):
    """What the trainer and the analysers ask of a task. Any object with these members is one; a class that subclasses
    this one has those with a default.

    Attributes:
        input_size, output_size: channels in and out. For "cross_entropy" the outputs are the logits of
            `n_heads` classifiers side by side, `output_size = n_heads * n_classes`.
        n_heads: the number of classifiers; 1 for other losses.
        loss: the kind of loss that the trainer uses.
        criterion: all of them met = learned.
        alphabet: the input vector of each symbol, where the inputs are symbols; else None. Extracting an
            automaton needs it.
        symbols: the names of the alphabet's symbols; empty where their vectors are all that there is to say.
        opening: what every trial shows before its first symbol, where it asks for the empty word too.
        predicts_next: whether the outputs are logits of the symbol of the alphabet that comes next.
        ground_truth: a machine, a language, a hidden Markov model, a process; None where that is not known.
    """

    @property
    def input_size(self) -> int: ...
    @property
    def output_size(self) -> int: ...
    @property
    def n_heads(self) -> int: ...
    @property
    def loss(self) -> LossKind: ...
    @property
    def criterion(self) -> tuple[Criterion, ...]: ...
    @property
    def alphabet(self) -> Float32[np.ndarray, "symbol input"] | None: ...

    @property
    def symbols(self) -> tuple[str, ...]:
        return ()

    @property
    def opening(self) -> Float32[np.ndarray, "time input"]:
        return np.zeros((0, self.input_size), np.float32)

    @property
    def predicts_next(self) -> bool:
        return False

    @property
    def ground_truth(self) -> object | None:
        return None

    def sample_held_out(self, n_trials: int, length: int, rng: np.random.Generator) -> Trials | None:
        """Trials of another length in symbols than those trained on; None where there are no others."""
        return None

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials; the same generator state gives the same trials, bit for bit."""
        ...

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """How good the outputs are; has every metric that `criterion` names. `rng` serves tasks whose outputs
        are probabilities to be sampled from."""
        ...

    def labels(self, outputs: Num[np.ndarray, "... output"]) -> Integer[np.ndarray, "... head"]:
        """The discrete decision that each output stands for, per head."""
        ...


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raises ValueError, naming the setting, where a count is below `least`."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
