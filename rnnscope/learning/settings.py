"""The settings of a training, validated and JSON-ready."""

from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any, Literal

from pydantic import model_validator

from rnnscope.learning.schedules import Curriculum, Decay
from rnnscope.tasks.settings import settings_class, validated


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
