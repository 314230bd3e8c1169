"""What noise does in a network that it drives."""

from rnnscope.analyses.noise.kick_neurons import kick_neurons
from rnnscope.analyses.noise.kick_result import KickNeurons
from rnnscope.analyses.noise.noise_or_chaos import NoiseOrChaos, noise_or_chaos
from rnnscope.analyses.noise.residency import residency_times
from rnnscope.analyses.noise.residency_result import Residency

__all__ = ["KickNeurons", "NoiseOrChaos", "Residency", "kick_neurons", "noise_or_chaos", "residency_times"]
