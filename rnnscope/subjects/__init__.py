"""What analyses are asked of: a map, and what is known about where it came from."""

from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.recorded import from_states
from rnnscope.subjects.simulation import simulate
from rnnscope.subjects.subject import Subject, as_subject
from rnnscope.subjects.traces import Traced, TracedRun
from rnnscope.subjects.trajectories import Trajectories

__all__ = ["NotApplicable", "Subject", "Traced", "TracedRun", "Trajectories", "as_subject", "from_states", "simulate"]
