"""Interventions: small final settings that say how a network is changed; `subject.under(...)` changes it.

Of the state (`Ablate`, `Clamp`, `Steer`, `Gain`, `Patch`, `Noise`), of the weights (`Perturb`, `Cut`, `Rewire`) and of
what is shown (`MixInputs`). They compose: weights are changed first, in order, then after each step the state, in
order, so that what is done to a state acts on all later steps.
"""

from typing import Any

from rnnscope.subjects.interventions.of_inputs import MixInputs
from rnnscope.subjects.interventions.of_state import Ablate, Clamp, Gain, Noise, OfState, Patch, Steer
from rnnscope.subjects.interventions.of_weights import Cut, OfWeights, Perturb, Rewire

Intervention = Ablate | Clamp | Cut | Gain | MixInputs | Noise | Patch | Perturb | Rewire | Steer

# By name, for settings files and the command line.
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Ablate, Clamp, Cut, Gain, MixInputs, Noise, Patch, Perturb, Rewire, Steer)
}

__all__ = [
    "KINDS",
    "Ablate",
    "Clamp",
    "Cut",
    "Gain",
    "Intervention",
    "MixInputs",
    "Noise",
    "OfState",
    "OfWeights",
    "Patch",
    "Perturb",
    "Rewire",
    "Steer",
]
