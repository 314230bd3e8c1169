"""Where do orbits end? Basins of attraction, and the graph that unstable directions draw between fixed points."""

from rnnscope.analyses.fixed_points.orbits.basins import Basins, basin_fractions
from rnnscope.analyses.fixed_points.orbits.connections import Connections, connect_fixed_points

__all__ = ["Basins", "Connections", "basin_fractions", "connect_fixed_points"]
