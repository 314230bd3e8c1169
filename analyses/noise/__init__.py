"""What noise does in a network that it drives, what it knows of a random process, and how its states come and go."""

from rnnscope.analyses.noise.bayes_distance import BayesDistance, bayes_distance
from rnnscope.analyses.noise.copy_quality import CopyQuality, EmittedSymbols, MatchedSequences, measure_copy
from rnnscope.analyses.noise.itineraries import Itineraries, itineraries
from rnnscope.analyses.noise.kick_neurons import kick_neurons
from rnnscope.analyses.noise.kick_result import KickNeurons
from rnnscope.analyses.noise.noise_or_chaos import NoiseOrChaos, noise_or_chaos
from rnnscope.analyses.noise.orbit_result import SustainedOrbit
from rnnscope.analyses.noise.over_training import DrivenOverTraining, driven_over_training
from rnnscope.analyses.noise.recurrence import Recurrence, recurrence
from rnnscope.analyses.noise.residency import residency_times
from rnnscope.analyses.noise.residency_result import Residency
from rnnscope.analyses.noise.sequence_divergence import SequenceDivergence, sequence_divergence
from rnnscope.analyses.noise.stochastic_resonance import StochasticResonance, stochastic_resonance
from rnnscope.analyses.noise.sustained_orbit import sustained_orbit

__all__ = [
    "BayesDistance",
    "CopyQuality",
    "DrivenOverTraining",
    "EmittedSymbols",
    "Itineraries",
    "KickNeurons",
    "MatchedSequences",
    "NoiseOrChaos",
    "Recurrence",
    "Residency",
    "SequenceDivergence",
    "StochasticResonance",
    "SustainedOrbit",
    "bayes_distance",
    "driven_over_training",
    "itineraries",
    "kick_neurons",
    "measure_copy",
    "noise_or_chaos",
    "recurrence",
    "residency_times",
    "sequence_divergence",
    "stochastic_resonance",
    "sustained_orbit",
]
