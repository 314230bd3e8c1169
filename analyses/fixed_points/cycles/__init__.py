"""Where does the network go round? All cycles of a piecewise-linear map, or those that many starts find."""

from rnnscope.analyses.fixed_points.cycles.find import Cycles, find_cycles

__all__ = ["Cycles", "find_cycles"]
