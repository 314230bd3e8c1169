"""Where does the network go round? All cycles of a piecewise-linear map, or those that many starts find."""

from rnnscope.analyses.fixed_points.cycles.find import find_cycles
from rnnscope.analyses.fixed_points.cycles.result import Cycles

__all__ = ["Cycles", "find_cycles"]
