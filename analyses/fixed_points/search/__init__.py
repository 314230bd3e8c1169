"""Where does the network stand still? Fixed and slow points, from many starts at once."""

from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.fixed_points.search.root_search import FAILED, FIXED, SLOW

__all__ = ["FAILED", "FIXED", "SLOW", "FixedPoints", "find_fixed_points"]
