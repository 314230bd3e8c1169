"""What noise does in a network that it drives, what it knows of a random process, and how its states come and go."""

from rnnscope.analyses.noise.bayes_distance import BayesDistance, bayes_distance
from rnnscope.analyses.noise.itineraries import Itineraries, itineraries
from rnnscope.analyses.noise.noise_or_chaos import NoiseOrChaos, noise_or_chaos
from rnnscope.analyses.noise.recurrence import Recurrence, recurrence

__all__ = [
    "BayesDistance",
    "Itineraries",
    "NoiseOrChaos",
    "Recurrence",
    "bayes_distance",
    "itineraries",
    "noise_or_chaos",
    "recurrence",
]
