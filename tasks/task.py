"""What a task is: a generator of trials, a loss, and a criterion that says when it is learned."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Integer, Num
from typing_extensions import TypeAliasType

LossKind = TypeAliasType("LossKind", Literal["cross_entropy", "mse", "sinkhorn"])
MOST_SIGNS = 62  # that one int64 holds as bits


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

    def __repr__(self) -> str:
        n_trials, n_steps, n_inputs = self.inputs.shape
        sizes = f"n_steps={n_steps}, n_inputs={n_inputs}, n_targets={self.targets.shape[-1]}"
        return f"Trials(n_trials={n_trials}, {sizes}, info={list(self.info)})"


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
    """What the trainer and the analysers ask of a task, with defaults: `class Mine(Task)`, a frozen pydantic dataclass.

    Required of a task are `input_size`, `output_size`, `loss`, `criterion` and `sample`, and `metrics` where the loss
    is "sinkhorn". A class that subclasses `Task` and writes these is complete: all other members have defaults, and
    nothing but these members is ever asked of a task.

    Attributes:
        input_size, output_size: channels in and out. For "cross_entropy" the outputs are the logits of
            `n_heads` classifiers side by side, `output_size = n_heads * n_classes`.
        loss: the kind of loss that the trainer uses.
        criterion: all of them met = learned.
        ns: of a task with one head for each of several difficulties N, these; a curriculum goes through them.
        n_heads: the number of classifiers; 1 for other losses. By default one for each of `ns`, at least one.
        alphabet: the input vector of each symbol, where the inputs are symbols; else None. Extracting an
            automaton needs it.
        symbols: the names of the alphabet's symbols; empty where their vectors are all that there is to say.
        opening: what every trial shows before its first symbol, where it asks for the empty word too; by default
            nothing.
        predicts_next: whether the outputs are logits of the symbol of the alphabet that comes next.
        ground_truth: what there is to be found in a network that has learned the task: a machine, a language, a
            hidden Markov model, a process; None where that is not known.
        arrays: settings that are arrays, by their names, an entry of a mapping as "name.entry": a run keeps them
            beside `run.json`, which only describes them. Recorded trials have some.
        default_training: the name of the settings that suit the task, a key of
            `rnnscope.learning.defaults.TRAININGS`. By default what suits its loss and its number of heads.
    """

    @property
    @abstractmethod
    def input_size(self) -> int: ...

    @property
    @abstractmethod
    def output_size(self) -> int: ...

    @property
    @abstractmethod
    def loss(self) -> LossKind: ...

    @property
    @abstractmethod
    def criterion(self) -> tuple[Criterion, ...]: ...

    @abstractmethod
    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials to train on; the same generator state gives the same trials, bit for bit."""
        ...

    @property
    def ns(self) -> tuple[int, ...]:
        return ()

    @property
    def n_heads(self) -> int:
        return max(1, len(self.ns))

    @property
    def alphabet(self) -> Float32[np.ndarray, "symbol input"] | None:
        return None

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

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        return {}

    @property
    def default_training(self) -> str:
        if self.loss == "cross_entropy":
            return "heads" if len(self.ns) > 1 else "plain"
        return "regression" if self.loss == "mse" else "emission"

    @classmethod
    def examples(cls) -> "tuple[Task, ...]":
        """Small tasks of this kind that differ in what their settings change: to try it with, and what the tests that
        all tasks share run on. By default the one with the default settings."""
        return (cls(),)

    def sample_fresh(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials to judge a network by, up to `n_trials` of them, none of which it was trained on: where trials
        are made at random, any; of recorded trials, those held out."""
        return self.sample(n_trials, rng)

    def sample_held_out(self, n_trials: int, length: int, rng: np.random.Generator) -> Trials | None:
        """Trials of about another length (in symbols, or else in steps) than those trained on; None where there are no
        others."""
        return None

    def restrict(self, ns: int | Sequence[int]) -> "Task":
        """The same task with some of its heads, for curricula. A task that has `ns` writes it.

        Raises:
            ValueError: `ns` names a head that this task has not.
        """
        raise ValueError(f"{type(self).__name__} has no heads to choose from: leave ns = {ns!r} out")

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """How good the outputs are; has every metric that `criterion` names. `rng` serves tasks whose outputs
        are probabilities to be sampled from.

        By default, of the steps that count: for "cross_entropy" fractions right, "accuracy" (mean of the heads),
        "accuracy_min" (the worst head) and "accuracy_n3", ... of each of `ns`; for "mse" the mean squared error,
        "mse", and "accuracy", the fraction of signs right.
        """
        got, wanted = outputs[trials.mask], trials.targets[trials.mask]
        match self.loss:
            case "cross_entropy":
                each = (self.labels(got) == wanted).mean(axis=0)
                named = {f"accuracy_n{n}": float(value) for n, value in zip(self.ns, each, strict=bool(self.ns))}
                return {"accuracy": float(each.mean()), "accuracy_min": float(each.min()), **named}
            case "mse":
                return {
                    "mse": float(np.mean((got.astype(np.float64) - wanted) ** 2)),
                    "accuracy": float(np.mean((got > 0) == (wanted > 0))),
                }
            case "sinkhorn":
                raise NotImplementedError(f"{type(self).__name__}: a task of loss 'sinkhorn' writes its own metrics")

    def labels(self, outputs: Num[np.ndarray, "... output"]) -> Integer[np.ndarray, "... head"]:
        """The discrete decision that each output stands for, per head.

        By default the class of the largest logit, per head; for "mse" the signs as one number: bit k is set where
        output k is positive (of the first 62: they are packed into one int64).

        Raises:
            ValueError: the last axis does not hold `output_size` numbers.
        """
        size, n_heads = self.output_size, self.n_heads
        if outputs.shape[-1] != size:
            heads = f"; {n_heads} head(s) of {size // n_heads} classes need {size}"
            needed = f", but {size} channels need {size}" if self.loss == "mse" else heads
            raise ValueError(f"{outputs.shape[-1]} outputs{needed}")
        if self.loss == "mse":
            signs = outputs[..., :MOST_SIGNS] > 0
            return signs.astype(np.int64) @ (np.int64(1) << np.arange(signs.shape[-1], dtype=np.int64))[:, None]
        return outputs.reshape(*outputs.shape[:-1], n_heads, -1).argmax(axis=-1)


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raises ValueError, naming the setting, where a count is below `least`."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
