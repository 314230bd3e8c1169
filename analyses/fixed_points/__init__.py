"""Where does the network stand still, and what is near? Fixed points, cycles, what they mean and how they connect.

One folder a question. Imports go one way: `trust` (is each point there, are these all?) <- `search` (where are they?)
<- the others, which know nothing of one another: `linearisation` (what happens close to a point?), `manifolds` (do
points form a line, a ring, a plane?), `cycles` (where does the network go round?), `orbits` (where do orbits end?) and
`continuation` (how do the points change with an input, a parameter, or training?).
"""

# ruff: noqa: I001 - analyses stand in this order under their heading
from rnnscope.analyses.fixed_points.search import FAILED, FIXED, SLOW, FixedPoints, find_fixed_points
from rnnscope.analyses.fixed_points.linearisation import Linearisation, linearise
from rnnscope.analyses.fixed_points.orbits import Basins, Connections, basin_fractions, connect_fixed_points
from rnnscope.analyses.fixed_points.manifolds import MarginalManifolds, marginal_manifolds
from rnnscope.analyses.fixed_points.cycles import Cycles, find_cycles
from rnnscope.analyses.fixed_points.continuation import BifurcationDiagram, follow_fixed_points, follow_parameter
from rnnscope.analyses.fixed_points.trust import (
    Certificates,
    Coverage,
    Proof,
    certify_fixed_points,
    coverage,
    distinct_points,
    prove_complete,
)

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
    "Proof",
    "basin_fractions",
    "certify_fixed_points",
    "connect_fixed_points",
    "coverage",
    "distinct_points",
    "find_cycles",
    "find_fixed_points",
    "follow_fixed_points",
    "follow_parameter",
    "linearise",
    "marginal_manifolds",
    "prove_complete",
]
