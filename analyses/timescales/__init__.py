"""How long networks and their units remember."""

from rnnscope.analyses.timescales.exponentials import Exponentials, fit_exponentials
from rnnscope.analyses.timescales.time_constants import Timescales, timescales

__all__ = ["Exponentials", "Timescales", "fit_exponentials", "timescales"]
