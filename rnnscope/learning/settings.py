"""The settings of a training, validated and JSON-ready."""

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any, Literal

from pydantic import model_validator

from rnnscope.learning.schedules import Curriculum, Decay
from rnnscope.tasks.hmm import HMM
from rnnscope.tasks.settings import settings_class, validated
from rnnscope.tasks.task import Task


@settings_class
class Training:
    """How to train.

    Args:
        steps: the number of gradient steps at most.
        batch_size: the number of trials in a step.
        optimiser: "adam", or "sgd" with Nesterov momentum.
        learning_rate: its value at the start; `decay` says how it falls.
        betas: those of Adam, the decay rates of its two averages.
        momentum: the momentum of "sgd".
        decay: the learning rate's schedule.
        clip: gradients are scaled down to this norm; None leaves them.
        noise: standard deviation of process noise during training.
        curriculum: the schedule of heads of a multi-head task; None trains all of them from the start.
        unbiased_from: for tasks of emission, the step from which the loss is the minibatch energy distance between
            independent halves of the batch (Salimans et al., ICLR 2018; see `sinkhorn_energy`) in place of the
            Sinkhorn divergence, whose least value for finite batches is not at the true distribution; None keeps the
            divergence.
        moments_until: for tasks whose trials are sequences of a hidden Markov model, the step until which the loss is
            the error of the moments of what is emitted, exact and without sampling (`learning.moments`), in place of
            the distance of sequences; None never. Give `steps` for moments to the end.
        steady: for tasks of emission, the weight of a penalty on states that grow within a trial; 0 for none.
        consistency: the weight of temporal consistency, a penalty on the mean squared change of a unit in a step, which
            draws states to rest (Haputhanthri et al. 2025); 0 for none.
        readout_bias: whether the readout has a bias.
        evaluate_every: steps between evaluations on fresh trials, and between saves.
        evaluation_trials: trials in an evaluation.
        stop_when_learned: end as soon as an evaluation meets the task's criterion.
        checkpoints: steps at which weights are kept for analysis (0 = untrained), besides the last.
        log_every: steps between rows of `history.csv`.
        max_state: a state beyond this counts as exploded.
        threads: torch threads on the CPU. One is fastest for small networks, and part of what makes a run
            repeatable bit for bit.
    """

    steps: int = 2000
    batch_size: int = 128
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    decay: Decay = field(default_factory=Decay)
    clip: float | None = 1.0
    noise: float = 0.0
    curriculum: Curriculum | None = None
    unbiased_from: int | None = None
    moments_until: int | None = None
    steady: float = 0.0
    consistency: float = 0.0
    readout_bias: bool = True
    evaluate_every: int = 50
    evaluation_trials: int = 1024
    stop_when_learned: bool = True
    checkpoints: tuple[int, ...] = (0,)
    log_every: int = 10
    max_state: float = 1e6
    threads: int = 1

    @model_validator(mode="after")
    def _check(self) -> "Training":
        for name in ("steps", "batch_size", "evaluate_every", "evaluation_trials", "log_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "max_state"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.clip is not None and self.clip <= 0:
            raise ValueError(f"clip must be positive, or None for no clipping, got {self.clip}")
        if self.unbiased_from is not None and not (self.unbiased_from >= 0 and self.batch_size >= 2):
            raise ValueError(
                "unbiased_from must be a step, from 0 on, and batch_size at least 2, because the batch is halved: got "
                f"{self.unbiased_from} and {self.batch_size}"
            )
        if self.moments_until is not None and not (self.moments_until >= 1 and self.batch_size >= 2):
            raise ValueError(
                "moments_until must be a step, from 1 on, or None for never, and batch_size at least 2, because the "
                f"batch is halved: got {self.moments_until} and {self.batch_size}"
            )
        for name in ("steady", "consistency"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is the weight of a penalty, a number from 0 on, got {getattr(self, name)}")
        if self.noise < 0:
            raise ValueError(f"noise is a standard deviation and cannot be negative, got {self.noise}")
        for beta in self.betas:
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be at least 0 and below 1, got {self.betas}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, got {self.momentum}")
        if min(self.checkpoints, default=0) < 0:
            raise ValueError(f"checkpoints are steps and cannot be negative, got {self.checkpoints}")
        return self


def check_fits(training: Training, task: Task) -> None:
    """Raises ValueError, naming the setting and the reason, where a task has nothing that a setting could act on."""
    if training.curriculum is not None and not task.ns:
        raise ValueError(f"a curriculum needs a multi-head task, such as Parity(range(2, 6)), not {task}")
    if training.moments_until is not None and not (task.loss == "sinkhorn" and isinstance(task.ground_truth, HMM)):
        raise ValueError(
            f"moments_until = {training.moments_until} needs a task that emits the sequences of a hidden Markov model, "
            f"such as HMMEmission, because only of one the moments are known; {type(task).__name__} is none: leave it "
            "None"
        )
    if training.steady and task.loss != "sinkhorn":
        raise ValueError(
            f"steady = {training.steady:g} needs a task of emission, such as HMMEmission: others, as "
            f"{type(task).__name__}, may want states that grow; leave it 0"
        )


def change_settings(training: Training, settings: Mapping[str, Any]) -> Training:
    """`training` with some settings changed; a ValueError names those that are refused.

    A dict for `decay` or `curriculum` changes what it names and keeps the rest; where there was None, it is a new one.
    """
    changed = {name: getattr(training, name) for name in Training.__dataclass_fields__}
    for name, value in settings.items():
        inner = changed.get(name)
        if isinstance(value, Mapping) and is_dataclass(inner):
            value = {**{f.name: getattr(inner, f.name) for f in fields(inner)}, **value}
        changed[name] = value
    return validated(Training, changed, "training")
