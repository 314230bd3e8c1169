"""What does the network do close to a point? Its linear dynamics: eigenvalues, eigenvectors, time constants."""

from rnnscope.analyses.fixed_points.linearisation.linearise import Linearisation, linearise

__all__ = ["Linearisation", "linearise"]
