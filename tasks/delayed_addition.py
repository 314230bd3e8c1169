"""Delayed addition: two numbers come one after the other; give their sum when asked."""

from typing import Annotated

import numpy as np
from jaxtyping import Num
from pydantic import BeforeValidator, StrictFloat, StrictInt

from rnnscope.tasks.epochs import as_range, check_range
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials, check_count


@settings_class
class DelayedAddition(Task):
    """A number, a wait, a second number, a wait, then a cue: the answer is the sum of both.

    Numbers are uniform in [-1, 1], each shown for one step in channel 0. Channel 1 is 1 from the cue on. The target is
    0 before the cue and the sum after it; `mask` is True but for the padding. `info`: "first", "second", "sum",
    "second_onset", "go_onset", "length" (in steps).

    After the adding problem of Hochreiter & Schmidhuber, "Long short-term memory" (Neural Computation 1997), with the
    delays of Haputhanthri et al. (2025). A network that has learned it keeps the sum along a line of slow states.

    Args:
        first_delay, second_delay: the least and the greatest number of empty steps after each number, both included;
            one number fixes it.
        response_steps: from the cue on.
        tolerance: up to which an answer is right, in the metric "trials_right".

    Raises:
        ValueError: a count too small, a range that ends before it begins, a tolerance not above 0.
    """

    first_delay: Annotated[tuple[StrictInt, StrictInt], BeforeValidator(as_range)] = (5, 10)
    second_delay: Annotated[tuple[StrictInt, StrictInt], BeforeValidator(as_range)] = (5, 10)
    response_steps: StrictInt = 5
    tolerance: StrictFloat = 0.2

    def __post_init__(self) -> None:
        check_range("first_delay", self.first_delay, 0)
        check_range("second_delay", self.second_delay, 0)
        check_count("response_steps", self.response_steps)
        if self.tolerance <= 0:
            raise ValueError(f"tolerance = {self.tolerance} lets no answer be right; give more than 0, as 0.2")

    @classmethod
    def examples(cls) -> "tuple[DelayedAddition, ...]":
        return (cls(), cls(first_delay=(0, 0), second_delay=(0, 0), response_steps=1))

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 1

    @property
    def loss(self) -> LossKind:
        return "mse"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("trials_right", 0.95),)

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        check_count("n_trials", n_trials)
        numbers = rng.uniform(-1, 1, size=(n_trials, 2))
        second = 1 + rng.integers(self.first_delay[0], self.first_delay[1] + 1, size=n_trials)
        onset = second + 1 + rng.integers(self.second_delay[0], self.second_delay[1] + 1, size=n_trials)
        length = onset + self.response_steps
        time = np.arange(length.max())

        go = (time >= onset[:, None]) & (time < length[:, None])
        inputs = np.zeros((n_trials, len(time), 2), dtype=np.float32)
        inputs[:, 0, 0] = numbers[:, 0]
        inputs[np.arange(n_trials), second, 0] = numbers[:, 1]
        inputs[..., 1] = go
        total = numbers.sum(1)
        return Trials(
            inputs=inputs,
            targets=(total[:, None] * go).astype(np.float32)[..., None],
            mask=time < length[:, None],
            info={
                "first": numbers[:, 0],
                "second": numbers[:, 1],
                "sum": total,
                "second_onset": second,
                "go_onset": onset,
                "length": length,
            },
        )

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """Mean squared error, "mse", and "trials_right", the share of trials whose output is within the tolerance in
        every step of the response. `rng` is not used."""
        off = outputs.astype(np.float64) - trials.targets
        asked = trials.mask & (np.arange(outputs.shape[1]) >= trials.info["go_onset"][:, None])
        right = (np.abs(off[..., 0]) <= self.tolerance) | ~asked
        return {"mse": float(np.mean(off[trials.mask] ** 2)), "trials_right": float(right.all(1).mean())}
