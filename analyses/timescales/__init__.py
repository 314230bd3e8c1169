"""How long networks and their units remember, how they learned to, and how far that goes."""

from rnnscope.analyses.timescales.exponentials import Exponentials, fit_exponentials
from rnnscope.analyses.timescales.forgetting import Forgetting, forgetting
from rnnscope.analyses.timescales.generalisation import Generalisation, generalisation
from rnnscope.analyses.timescales.retraining import Retraining, retraining
from rnnscope.analyses.timescales.time_constants import Timescales, timescales

__all__ = [
    "Exponentials",
    "Forgetting",
    "Generalisation",
    "Retraining",
    "Timescales",
    "fit_exponentials",
    "forgetting",
    "generalisation",
    "retraining",
    "timescales",
]
