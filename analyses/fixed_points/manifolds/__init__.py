"""Does the network hold a continuous quantity? Line, ring and plane attractors, and the drift along them."""

from rnnscope.analyses.fixed_points.manifolds.marginal import MarginalManifolds, marginal_manifolds

__all__ = ["MarginalManifolds", "marginal_manifolds"]
