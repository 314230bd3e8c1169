"""How do fixed points move, appear, vanish and change stability along an input, a parameter, or training?"""

from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.continuation.follow import follow_fixed_points, follow_parameter

__all__ = ["BifurcationDiagram", "follow_fixed_points", "follow_parameter"]
