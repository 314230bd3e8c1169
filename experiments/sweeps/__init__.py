"""Many networks over a space of settings."""

from rnnscope.experiments.sweeps.result import Sweep, load_sweep
from rnnscope.experiments.sweeps.space import Range, points
from rnnscope.experiments.sweeps.sweep import sweep

__all__ = ["Range", "Sweep", "load_sweep", "points", "sweep"]
