"""Delayed match-to-sample with epochs: fixate, see a direction, wait, say whether the next is the same."""

from typing import Annotated

import numpy as np
from jaxtyping import Float32, Num
from pydantic import BeforeValidator, StrictFloat, StrictInt

from rnnscope.tasks.epochs import as_range, check_range
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials, check_count

FIXATE, MATCH, NON_MATCH = 0, 1, 2


@settings_class
class DelayedMatchEpochs(Task):
    """The classical delayed match-to-sample task of the primate literature, with analogue inputs.

    Epochs, in this order: fixation, sample, delay (its length drawn uniformly from a range), test. Channel 0
    is the fixation point, 1 until the test begins, then 0. The other channels have von Mises tuning curves,
    exp(kappa * (cos(direction - preferred) - 1)) with preferred directions evenly spaced on the circle; they
    are driven while the sample or the test is shown. Each channel has independent Gaussian noise at each
    step.

    The test is the sample with probability 1/2, else one of the other directions, all equally likely.
    Classes: 0 fixate, until the test begins; then 1 match or 2 non-match. `mask` is True but for the first
    `grace_steps` of the test and the padding. `info`: "sample" and "test" (index of the direction, direction
    = 2 pi index / n_stimuli), "match" (bool), "delay", "sample_onset", "delay_onset", "test_onset", "length"
    (all in steps).

    Args:
        n_stimuli: directions, evenly spaced on the circle.
        n_channels: tuned channels; input_size is one more.
        fixation_steps, sample_steps, test_steps: length of these epochs.
        delay_steps: the least and the greatest delay, both included; one number fixes it.
        grace_steps: steps at the start of the test when the answer does not count.
        noise: standard deviation of the sensory noise; the peak of a tuning curve is 1.
        kappa: concentration of the tuning curves; 2 gives a half-width at half-height of 49 degrees.

    Raises:
        ValueError: a count too small, a delay range that ends before it begins, a grace period that leaves
            nothing of the test, negative noise, kappa not above 0.
    """

    n_stimuli: StrictInt = 8
    n_channels: StrictInt = 16
    fixation_steps: StrictInt = 5
    sample_steps: StrictInt = 5
    delay_steps: Annotated[tuple[StrictInt, StrictInt], BeforeValidator(as_range)] = (10, 30)
    test_steps: StrictInt = 8
    grace_steps: StrictInt = 2
    noise: StrictFloat = 0.1
    kappa: StrictFloat = 2.0

    def __post_init__(self) -> None:
        check_count("n_stimuli", self.n_stimuli, 2)
        check_count("n_channels", self.n_channels, 3)  # two opposite curves do not distinguish left from right
        check_count("fixation_steps", self.fixation_steps, 0)
        check_count("sample_steps", self.sample_steps)
        check_count("test_steps", self.test_steps)
        check_count("grace_steps", self.grace_steps, 0)
        check_range("delay_steps", self.delay_steps, 0)
        if self.grace_steps >= self.test_steps:
            raise ValueError(
                f"grace_steps = {self.grace_steps} leaves nothing of the {self.test_steps} test steps to judge; "
                f"give at most {self.test_steps - 1}, or a longer test"
            )
        if self.noise < 0:
            raise ValueError(f"noise = {self.noise} is a standard deviation; give 0 or more")
        if self.kappa <= 0:
            raise ValueError(f"kappa = {self.kappa} gives curves that prefer no direction; give more than 0, as 2.0")

    @classmethod
    def examples(cls) -> "tuple[DelayedMatchEpochs, ...]":
        return (
            cls(),
            cls(n_stimuli=3, n_channels=5, fixation_steps=0, delay_steps=(0, 0), grace_steps=0, noise=0.0),
        )

    @property
    def input_size(self) -> int:
        return 1 + self.n_channels

    @property
    def output_size(self) -> int:
        return 3

    @property
    def loss(self) -> LossKind:
        return "cross_entropy"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("decision_accuracy", 0.98),)

    @property
    def tuning(self) -> Float32[np.ndarray, "stimulus channel"]:
        """The noiseless response of each tuned channel to each direction, at most 1."""
        directions = 2 * np.pi * np.arange(self.n_stimuli) / self.n_stimuli
        preferred = 2 * np.pi * np.arange(self.n_channels) / self.n_channels
        curves = np.exp(self.kappa * (np.cos(directions[:, None] - preferred) - 1))
        return curves.astype(np.float32)

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        check_count("n_trials", n_trials)
        sample = rng.integers(self.n_stimuli, size=n_trials)
        match = rng.random(n_trials) < 0.5
        other = (sample + rng.integers(1, self.n_stimuli, size=n_trials)) % self.n_stimuli
        test = np.where(match, sample, other)
        delay = rng.integers(self.delay_steps[0], self.delay_steps[1] + 1, size=n_trials)

        delay_onset = self.fixation_steps + self.sample_steps
        onset = delay_onset + delay
        length = onset + self.test_steps
        time = np.arange(length.max())

        inputs = rng.standard_normal((n_trials, len(time), self.input_size), dtype=np.float32)
        inputs *= np.float32(self.noise)
        inputs[..., 0] += time < onset[:, None]
        inputs[:, self.fixation_steps : delay_onset, 1:] += self.tuning[sample][:, None]
        shown = onset[:, None] + np.arange(self.test_steps)
        inputs[np.arange(n_trials)[:, None], shown, 1:] += self.tuning[test][:, None]
        inside = time < length[:, None]
        inputs[~inside] = 0

        in_test = time >= onset[:, None]
        answer = np.where(match, MATCH, NON_MATCH)[:, None]
        grace = in_test & (time < onset[:, None] + self.grace_steps)
        return Trials(
            inputs=inputs,
            targets=np.where(in_test, answer, FIXATE).astype(np.int64)[..., None],
            mask=inside & ~grace,
            info={
                "sample": sample,
                "test": test,
                "match": match,
                "delay": delay,
                "sample_onset": np.full(n_trials, self.fixation_steps),
                "delay_onset": np.full(n_trials, delay_onset),
                "test_onset": onset,
                "length": length,
            },
        )

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """Fractions of steps right: "accuracy" wherever the output counts, "decision_accuracy" in the test
        epoch alone. `rng` is not used."""
        wanted = trials.targets[trials.mask]
        right = self.labels(outputs[trials.mask]) == wanted
        return {"accuracy": float(right.mean()), "decision_accuracy": float(right[wanted != FIXATE].mean())}
