"""What a linearisation says beside eigenvalues: eigenvectors, growth, and what drives and shows each mode."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Complex, Float

from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True)
class Eigenvectors:
    """The eigenvectors of the leading eigenvalues, and how well all eigenvalues are determined.

    Attributes:
        right: J r = λ r, of length 1 with the largest entry real and positive. Where an eigenvalue is repeated, any
            vectors that span its eigenspace.
        left: l^H J = λ l^H with l_i^H r_j = 1 for i = j and 0 else, so that |l| is the condition of the eigenvalue; of
            length 1 where the eigenvalue is `defective`, as no scaling does this there.
        condition: of each eigenvalue, |l| |r| / |l^H r|, at least 1: an error E in J moves the eigenvalue by up to
            `condition` |E|.
        defective: whether the condition of the eigenvalue is above 6.7e7: it is repeated with too few eigenvectors,
            or numerically as good as that. Trust neither its vectors nor half of its digits.
    """

    right: Complex[np.ndarray, "point vector unit"] = field(metadata={FORMERLY: "right_vectors"})
    left: Complex[np.ndarray, "point vector unit"] = field(metadata={FORMERLY: "left_vectors"})
    condition: Float[np.ndarray, "point eigenvalue"]
    defective: Bool[np.ndarray, "point eigenvalue"]


@dataclass(frozen=True)
class Growth:
    """How far displacements grow beyond what eigenvalues say.

    Attributes:
        non_normality: Henrici's departure from normality, sqrt(|J|_F^2 - Σ|λ|^2) / |J|_F: 0 for a normal J, 1 for a
            nilpotent one (Henrici, Numerische Mathematik 4, 1962).
        spectral_norm: |J|_2, the largest growth of a displacement in one step.
        transient: the largest |J^k|_2 / max(1, |λ_1|)^k after k = 0, 1, 2, 4, ..., 256 steps: how much more a
            displacement grows than eigenvalues say; 1 for a normal J.
    """

    non_normality: Float[np.ndarray, " point"]
    spectral_norm: Float[np.ndarray, " point"]
    transient: Float[np.ndarray, " point"] = field(metadata={FORMERLY: "transient_growth"})


@dataclass(frozen=True)
class Coupling:
    """What the inputs drive, and what the readout shows.

    Attributes:
        input_jacobian: B = dF/du.
        readout_jacobian: C = dy/dh, by central differences.
        input_alignment: |l^H b| / (|l| |b|) with each column b of B: 1 where the input pushes along l alone, 0 where
            this mode does not see it (or b = 0).
        readout_alignment: |c r| / (|c| |r|) with each row c of C: 0 where the output does not show this mode.
    """

    input_jacobian: Float[np.ndarray, "point unit input"]
    readout_jacobian: Float[np.ndarray, "point output unit"]
    input_alignment: Float[np.ndarray, "point vector input"]
    readout_alignment: Float[np.ndarray, "point vector output"]
