"""An intervention on what a network is shown."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from rnnscope.subjects.interventions.description import described
from rnnscope.subjects.interventions.of_state import Situation
from rnnscope.subjects.interventions.place import Numbers
from rnnscope.tasks.settings import settings_class


@settings_class(repr=False)
class MixInputs:
    """Show own x + other x' in place of x.

    For a network that noise drives, `own` alone sets the noise's amplitude, and own = 1 - g, other = g mixes it with
    an independent draw.

    Args:
        own: the factor of what the network would be shown.
        other: the factor of x'.
        source: where x' comes from: the same step of another trial, or standard Gaussian "noise".
        channels: of the input; all if None.
    """

    own: float = 1.0
    other: float = 0.0
    source: Literal["trials", "noise"] = "trials"
    channels: Numbers | None = None

    __repr__ = described

    def shown(
        self, inputs: Float[np.ndarray, "trial time input"], situation: Situation
    ) -> Float[np.ndarray, "trial time input"]:
        """What is shown instead.

        Raises:
            ValueError: there is no such channel, or no other trial to take inputs from.
        """
        n_channels = inputs.shape[2]
        channels = np.arange(n_channels) if self.channels is None else np.array(self.channels)
        if ((channels < 0) | (channels >= n_channels)).any():
            raise ValueError(f"channels must be of 0 to {n_channels - 1}, got {channels.tolist()}")
        found = inputs.copy()
        found[..., channels] *= self.own
        if self.other:
            if self.source == "noise":
                drawn = situation.rng.standard_normal((*inputs.shape[:2], len(channels)))
            else:
                drawn = inputs[situation.other_trials][..., channels]
            found[..., channels] += self.other * drawn
        return found
