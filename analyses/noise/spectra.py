"""What the Jacobians at visited states have: unstable, complex and critical eigenvalues."""

import numpy as np
from jaxtyping import Complex, Float, Int64

from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

KINDS = ("unstable", "complex", "critical pairs")
# An eigenvalue is complex whose imaginary part is not of rounding: that of a defective 0 may be as large as 1e-4.
COMPLEX = 1e-3
# A pair is critical, near the circle and turning, where |Re μ| and Im μ are within these (Torre et al., NeurIPS 2025).
NEAR, TURNING = 0.1, 0.06
# Jacobians that are taken at once: more take more memory.
TOGETHER = 128


def counts_along(
    state_map: CompleteMap,
    states: Float[np.ndarray, "state number"],
    inputs: Float[np.ndarray, "state input"],
) -> Int64[np.ndarray, "state kind"]:
    """How many eigenvalues of each of `KINDS` the Jacobian has at each state, with this input."""
    found = [np.zeros((0, len(KINDS)), np.int64)]
    for first in range(0, len(states), TOGETHER):
        some = slice(first, first + TOGETHER)
        with linalg.one_thread():
            jacobians = state_map.jacobian(states[some], np.ascontiguousarray(inputs[some]))
        found.append(counts_of(eigenvalues_of(jacobians)))
    return np.concatenate(found)


def counts_of(eigenvalues: Complex[np.ndarray, "state eigenvalue"]) -> Int64[np.ndarray, "state kind"]:
    """Those outside the unit circle; those off the real line; pairs with |Re μ| < .1 and Im μ > .06."""
    mu = moebius(eigenvalues)
    critical = (np.abs(np.real(mu)) < NEAR) & (np.imag(mu) > TURNING)
    return np.stack(
        [
            (np.abs(eigenvalues) > 1).sum(-1),
            (np.abs(np.imag(eigenvalues)) > COMPLEX).sum(-1),
            critical.sum(-1),
        ],
        -1,
    )


def moebius(eigenvalues: Complex[np.ndarray, "*of"]) -> Complex[np.ndarray, "*of"]:
    """μ = (λ - 1) / (λ + 1), which takes the unit circle to the imaginary axis; infinite for λ = -1."""
    with np.errstate(all="ignore"):
        found = (eigenvalues - 1) / (eigenvalues + 1)
    return np.where(eigenvalues == -1, complex(np.inf, 0), found)


def eigenvalues_of(matrices: Float[np.ndarray, "state n n"]) -> Complex[np.ndarray, "state n"]:
    """Eigenvalues, the largest first. Rows of zeros, of rectified units that are at rest, are left out first: each is
    an eigenvalue 0, and the others are those of what remains."""
    going = (matrices != 0).any(2)
    size = going.sum(1)
    found = np.zeros(matrices.shape[:2], np.complex128)
    for n in np.unique(size[size > 0]).tolist():
        which = np.flatnonzero(size == n)
        units = np.nonzero(going[which])[1].reshape(len(which), n)
        small = matrices[which[:, None, None], units[:, :, None], units[:, None, :]]
        found[which, :n] = linalg.eigenvalues(small)
    return found
