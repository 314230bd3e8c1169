"""Is each point really there, and have all been found? Proofs of fixed points, and what the searches left unseen."""

from rnnscope.analyses.fixed_points.trust.certificates import Certificates, certify_fixed_points, distinct_points
from rnnscope.analyses.fixed_points.trust.completeness import Proof, prove_complete
from rnnscope.analyses.fixed_points.trust.coverage import Coverage, coverage

__all__ = [
    "Certificates",
    "Coverage",
    "Proof",
    "certify_fixed_points",
    "coverage",
    "distinct_points",
    "prove_complete",
]
