"""Does the network hold a continuous quantity? Line, ring and plane attractors, and the drift along them."""

from rnnscope.analyses.fixed_points.manifolds.marginal import marginal_manifolds
from rnnscope.analyses.fixed_points.manifolds.result import MarginalManifolds

__all__ = ["MarginalManifolds", "marginal_manifolds"]
