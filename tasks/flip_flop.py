"""The flip-flop: remember the sign of the last pulse in each of several channels."""

from dataclasses import replace
from itertools import product

import numpy as np
from jaxtyping import Float32
from pydantic import StrictFloat, StrictInt

from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import MOST_SIGNS, Criterion, LossKind, Task, Trials, check_count

MOST_AT_ONCE = 4  # channels of which every combination of pulses is a symbol: 81


@settings_class
class FlipFlop(Task):
    """Channels of pulses in {-1, 0, +1}; the target of each is the sign of its latest pulse.

    A pulse counts from its own step on. At the first step every channel has one, so that the target is
    defined from there on; at later steps each channel has one with probability `pulse_probability`, channels
    and steps independent, both signs equally likely. `mask` is True everywhere, `info` is empty.

    Sussillo and Barak, "Opening the black box" (Neural Computation 2013). A network that has learned
    three bits has 3^3 = 27 fixed points, 8 of them stable.

    Args:
        bits: channels, at most 62 (`labels` packs their signs into one int64).
        length: steps per trial.
        pulse_probability: per channel and step, above 0, at most 1.

    Raises:
        ValueError: a setting outside these bounds.
    """

    bits: StrictInt = 3
    length: StrictInt = 64
    pulse_probability: StrictFloat = 0.5

    def __post_init__(self) -> None:
        check_count("bits", self.bits)
        check_count("length", self.length)
        if self.bits > MOST_SIGNS:
            raise ValueError(
                f"bits = {self.bits}: the state of more than {MOST_SIGNS} does not fit one label; "
                f"give at most {MOST_SIGNS}"
            )
        if not 0 < self.pulse_probability <= 1:
            raise ValueError(
                f"pulse_probability = {self.pulse_probability} lies outside (0, 1]; give a number in it, as 0.5"
            )

    @classmethod
    def examples(cls) -> "tuple[FlipFlop, ...]":
        return (cls(), cls(bits=1, length=9, pulse_probability=1.0))

    @property
    def input_size(self) -> int:
        return self.bits

    @property
    def output_size(self) -> int:
        return self.bits

    @property
    def loss(self) -> LossKind:
        return "mse"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("mse", 0.01, "at most"),)

    @property
    def alphabet(self) -> Float32[np.ndarray, "symbol input"]:
        """No pulse, then a pulse in one channel alone: + and - in channel 0, + and - in channel 1, ...; then, of up to
        4 channels, all pulses in several at once. With more there are too many of these, and trials, which begin with a
        pulse in every channel, are no words over the alphabet."""
        pulses = np.zeros((1 + 2 * self.bits, self.bits), dtype=np.float32)
        channels = np.arange(self.bits)
        pulses[1 + 2 * channels, channels] = 1
        pulses[2 + 2 * channels, channels] = -1
        if self.bits > MOST_AT_ONCE:
            return pulses
        every = np.array(list(product((0, 1, -1), repeat=self.bits)), dtype=np.float32)
        return np.concatenate([pulses, every[np.count_nonzero(every, axis=1) > 1]])

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        check_count("n_trials", n_trials)
        # One uniform number makes a step: + below p/2, - from there to p, no pulse above.
        draw = rng.random((n_trials, self.length, self.bits), dtype=np.float32)
        draw[:, 0] *= self.pulse_probability
        pulse = draw < self.pulse_probability
        pulse[:, 0] = True
        sign = np.where(draw < self.pulse_probability / 2, np.float32(1), np.float32(-1))
        last = np.where(pulse, np.arange(self.length)[:, None], 0)
        np.maximum.accumulate(last, axis=1, out=last)
        return Trials(
            inputs=sign * pulse,
            targets=np.take_along_axis(sign, last, axis=1),
            mask=np.ones((n_trials, self.length), dtype=bool),
        )

    def sample_held_out(self, n_trials: int, length: int, rng: np.random.Generator) -> Trials:
        """Trials of another length, drawn like those of training."""
        return replace(self, length=length).sample(n_trials, rng)
