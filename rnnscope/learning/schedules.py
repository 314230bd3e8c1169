"""What changes while a network trains: the learning rate, and how hard the task is."""

import math
from typing import Literal

from pydantic import model_validator

from rnnscope.tasks.settings import settings_class


@settings_class
class Decay:
    """The learning rate as a factor of its first value: a linear warm-up, then a decay to `final`.

    Args:
        kind: "constant", "cosine" or "exponential".
        warmup: steps of linear rise from 0.
        final: the factor at the last step; not used by "constant".
    """

    kind: Literal["constant", "cosine", "exponential"] = "constant"
    warmup: int = 0
    final: float = 0.1

    @model_validator(mode="after")
    def _check(self) -> "Decay":
        if self.warmup < 0:
            raise ValueError(f"warmup is a number of steps and cannot be negative, got {self.warmup}")
        if not 0 < self.final <= 1:
            raise ValueError(f"final is a factor in (0, 1], got {self.final}")
        return self

    def factor(self, step: int, n_steps: int) -> float:
        """Return the factor at a step (counted from 0) of a training of `n_steps`."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / max(1, n_steps - 1 - self.warmup))
        match self.kind:
            case "constant":
                return 1.0
            case "cosine":
                return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2
            case "exponential":
                return self.final**progress


@settings_class
class Curriculum:
    """Which heads of a multi-head task are trained, stage by stage (Khajehabdollahi et al., ICLR 2024).

    A stage is passed when, on fresh trials, the mean accuracy over its heads and that of the newest head both
    exceed `advance_at`; every evaluation of the training tests it.

    Args:
        kind: "cumulative" trains the heads {first..N}, "sliding" the last `window` of them, "single" only N.
        first: how many heads the first stage has (of those that its kind keeps).
        window: heads in a "sliding" stage.
        advance_at: the accuracy to exceed.
        every: steps between the tests whether a stage is passed.
        trials: trials in a test.
    """

    kind: Literal["cumulative", "sliding", "single"] = "cumulative"
    first: int = 1
    window: int = 5
    advance_at: float = 0.98
    every: int = 20
    trials: int = 512

    @model_validator(mode="after")
    def _check(self) -> "Curriculum":
        for name in ("first", "window", "every", "trials"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.advance_at < 1:
            raise ValueError(f"advance_at is an accuracy between 0 and 1, got {self.advance_at}")
        return self

    def stages(self, heads: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The heads of each stage, in order."""
        first = min(self.first, len(heads))
        width = {"cumulative": len(heads), "sliding": self.window, "single": 1}[self.kind]
        return [heads[max(0, end - width) : end] for end in range(first, len(heads) + 1)]

    def passed(self, metrics: dict[str, float], newest: int) -> bool:
        """Return whether a stage is passed, given the metrics of its task."""
        # Each by itself: the minimum of a number and NaN depends on their order, and NaN passes nothing.
        return all(metrics[name] > self.advance_at for name in ("accuracy", f"accuracy_n{newest}"))
