"""Experiments of many networks: sweeps over settings, and papers that are reproduced, claim by claim."""

from rnnscope.experiments.reproductions.papers import PAPERS
from rnnscope.experiments.reproductions.reproduce import reproduce
from rnnscope.experiments.reproductions.reproduction import Reproduction
from rnnscope.experiments.sweeps import Range, Sweep, load_sweep, sweep

__all__ = ["PAPERS", "Range", "Reproduction", "Sweep", "load_sweep", "reproduce", "sweep"]
