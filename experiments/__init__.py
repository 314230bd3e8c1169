"""Experiments of many networks: papers that are reproduced, claim by claim."""

from rnnscope.experiments.reproductions.papers import PAPERS
from rnnscope.experiments.reproductions.reproduce import reproduce
from rnnscope.experiments.reproductions.reproduction import Reproduction

__all__ = ["PAPERS", "Reproduction", "reproduce"]
