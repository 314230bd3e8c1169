"""What noise does in a network that it drives."""

from rnnscope.analyses.noise.kick_neurons import kick_neurons
from rnnscope.analyses.noise.kick_result import KickNeurons
from rnnscope.analyses.noise.noise_or_chaos import NoiseOrChaos, noise_or_chaos
from rnnscope.analyses.noise.orbit_result import SustainedOrbit
from rnnscope.analyses.noise.over_training import DrivenOverTraining, driven_over_training
from rnnscope.analyses.noise.residency import residency_times
from rnnscope.analyses.noise.residency_result import Residency
from rnnscope.analyses.noise.stochastic_resonance import StochasticResonance, stochastic_resonance
from rnnscope.analyses.noise.sustained_orbit import sustained_orbit

__all__ = [
    "DrivenOverTraining",
    "KickNeurons",
    "NoiseOrChaos",
    "Residency",
    "StochasticResonance",
    "SustainedOrbit",
    "driven_over_training",
    "kick_neurons",
    "noise_or_chaos",
    "residency_times",
    "stochastic_resonance",
    "sustained_orbit",
]
