"""Where does the network stand still, and what is near? Fixed points, cycles, what they mean and how they connect."""

from rnnscope.analyses.fixed_points.basins import Basins, basin_fractions
from rnnscope.analyses.fixed_points.bifurcation_diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.certificates import Certificates, certify_fixed_points, distinct_points
from rnnscope.analyses.fixed_points.connections import Connections, connect_fixed_points
from rnnscope.analyses.fixed_points.continuation import follow_fixed_points
from rnnscope.analyses.fixed_points.coverage import Coverage, coverage
from rnnscope.analyses.fixed_points.cycles import Cycles, find_cycles
from rnnscope.analyses.fixed_points.find import FixedPoints, find_fixed_points
from rnnscope.analyses.fixed_points.linearisation import Linearisation, linearise
from rnnscope.analyses.fixed_points.manifolds import MarginalManifolds, marginal_manifolds
from rnnscope.analyses.fixed_points.root_search import FAILED, FIXED, SLOW

__all__ = [
    "FAILED",
    "FIXED",
    "SLOW",
    "Basins",
    "BifurcationDiagram",
    "Certificates",
    "Connections",
    "Coverage",
    "Cycles",
    "FixedPoints",
    "Linearisation",
    "MarginalManifolds",
    "basin_fractions",
    "certify_fixed_points",
    "connect_fixed_points",
    "coverage",
    "distinct_points",
    "find_cycles",
    "find_fixed_points",
    "follow_fixed_points",
    "linearise",
    "marginal_manifolds",
]
