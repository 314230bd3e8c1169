"""Evidence accumulation: pulses of two sides come at random; answer in the end of which there were more."""

from typing import Annotated

import numpy as np
from jaxtyping import Num
from pydantic import BeforeValidator, StrictFloat, StrictInt

from rnnscope.tasks.epochs import as_range, check_range
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials, check_count


@settings_class
class EvidenceAccumulation(Task):
    """Pulses +1 and -1 arrive, then nothing for a while, then a cue: the answer is the sign of their sum.

    In each step of the stimulus there is a pulse with probability `pulse_probability`. The share of positive ones is
    drawn for each trial, uniform in (0, 1), so that trials are of every difficulty. The sum is never 0: where it would
    be, the last step of the stimulus loses its pulse, or gets one if it had none. Channel 0 has the pulses, channel 1
    is 1 from the cue on. The target is 0 before the cue and the sign of the sum after it; `mask` is True but for the
    padding. `info`: "evidence" (the sum), "stimulus", "delay", "go_onset", "length" (all in steps).

    Brunton, Botvinick & Brody, "Rats and humans can optimally accumulate evidence for decision-making" (Science 2013).
    A network that has learned it keeps the sum along a line of slow states.

    Args:
        stimulus_steps, delay_steps: the least and the greatest length, both included; one number fixes it.
        response_steps: from the cue on.
        pulse_probability: per step of the stimulus, above 0, at most 1.

    Raises:
        ValueError: a count too small, a range that ends before it begins, a probability out of bounds.
    """

    stimulus_steps: Annotated[tuple[StrictInt, StrictInt], BeforeValidator(as_range)] = (10, 20)
    delay_steps: Annotated[tuple[StrictInt, StrictInt], BeforeValidator(as_range)] = (5, 10)
    response_steps: StrictInt = 5
    pulse_probability: StrictFloat = 0.5

    def __post_init__(self) -> None:
        check_range("stimulus_steps", self.stimulus_steps, 1)
        check_range("delay_steps", self.delay_steps, 0)
        check_count("response_steps", self.response_steps)
        if not 0 < self.pulse_probability <= 1:
            raise ValueError(
                f"pulse_probability = {self.pulse_probability} lies outside (0, 1]; give a number in it, as 0.5"
            )

    @classmethod
    def examples(cls) -> "tuple[EvidenceAccumulation, ...]":
        return (cls(), cls(stimulus_steps=(3, 3), delay_steps=(0, 0), response_steps=1, pulse_probability=1.0))

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
        stimulus = rng.integers(self.stimulus_steps[0], self.stimulus_steps[1] + 1, size=n_trials)
        delay = rng.integers(self.delay_steps[0], self.delay_steps[1] + 1, size=n_trials)
        share = rng.random(n_trials)[:, None]
        draw = rng.random((2, n_trials, self.stimulus_steps[1]))
        spare = rng.choice([-1, 1], size=n_trials)
        onset = stimulus + delay
        length = onset + self.response_steps
        time = np.arange(length.max())

        shown = (draw[0] < self.pulse_probability) & (time[: self.stimulus_steps[1]] < stimulus[:, None])
        pulses = np.where(draw[1] < share, 1, -1) * shown
        tied = np.flatnonzero(pulses.sum(1) == 0)
        last = stimulus[tied] - 1
        pulses[tied, last] = np.where(pulses[tied, last] == 0, spare[tied], 0)

        evidence = pulses.sum(1)
        go = (time >= onset[:, None]) & (time < length[:, None])
        inputs = np.zeros((n_trials, len(time), 2), dtype=np.float32)
        inputs[:, : self.stimulus_steps[1], 0] = pulses
        inputs[..., 1] = go
        return Trials(
            inputs=inputs,
            targets=(np.sign(evidence)[:, None] * go).astype(np.float32)[..., None],
            mask=time < length[:, None],
            info={"evidence": evidence, "stimulus": stimulus, "delay": delay, "go_onset": onset, "length": length},
        )

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """Mean squared error, "mse", and "trials_right", the share of trials whose output has the right sign in every
        step of the response. `rng` is not used."""
        off = (outputs.astype(np.float64) - trials.targets)[trials.mask]
        right = (np.sign(outputs) == trials.targets) | (trials.targets == 0)
        return {"mse": float(np.mean(off**2)), "trials_right": float(right.all((1, 2)).mean())}
