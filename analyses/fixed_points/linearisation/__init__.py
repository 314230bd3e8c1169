"""What does the network do close to a point? Its linear dynamics: eigenvalues, eigenvectors, time constants."""

from rnnscope.analyses.fixed_points.linearisation.linearise import linearise
from rnnscope.analyses.fixed_points.linearisation.result import Linearisation

__all__ = ["Linearisation", "linearise"]
