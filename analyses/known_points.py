"""Fixed points that are known from elsewhere, in place of those that `find_fixed_points` finds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer


@dataclass(frozen=True)
class KnownPoints:
    """Fixed points, as far as others use them.

    Attributes:
        points: the fixed points.
        n_unstable: unstable directions of each.
        smooth: whether the Jacobian is the same on all sides of the point; everywhere if None.
        inputs: the input at which each is a fixed point; zeros if None.
    """

    points: Float[np.ndarray, "point unit"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"] | None = None
    inputs: Float[np.ndarray, "point input"] | None = None
