"""How fast, and in which directions, do neighbouring states part? Lyapunov exponents, their vectors, and gradients."""

# ruff: noqa: I001 - analyses stand in this order under their heading
from rnnscope.analyses.lyapunov.spectrum_result import LyapunovSpectrum
from rnnscope.analyses.lyapunov.spectrum import lyapunov_spectrum
from rnnscope.analyses.lyapunov.finite_time import FiniteTimeExponents, finite_time_exponents
from rnnscope.analyses.lyapunov.covariant import CovariantVectors, covariant_lyapunov_vectors
from rnnscope.analyses.lyapunov.gradients import GradientGrowth, gradient_growth
from rnnscope.analyses.lyapunov.over_training import LyapunovOverTraining, lyapunov_over_training

__all__ = [
    "CovariantVectors",
    "FiniteTimeExponents",
    "GradientGrowth",
    "LyapunovOverTraining",
    "LyapunovSpectrum",
    "covariant_lyapunov_vectors",
    "finite_time_exponents",
    "gradient_growth",
    "lyapunov_over_training",
    "lyapunov_spectrum",
]
