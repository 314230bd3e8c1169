"""Where do orbits end? Basins of attraction, and the graph that unstable directions draw between fixed points."""

from rnnscope.analyses.fixed_points.orbits.basins import basin_fractions
from rnnscope.analyses.fixed_points.orbits.basins_result import Basins
from rnnscope.analyses.fixed_points.orbits.connections import connect_fixed_points
from rnnscope.analyses.fixed_points.orbits.connections_result import Connections

__all__ = ["Basins", "Connections", "basin_fractions", "connect_fixed_points"]
