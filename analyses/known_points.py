"""Fixed points of one's own, for the analyses that look at fixed points."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer


@dataclass(frozen=True)
class KnownPoints:
    """Fixed points that were found elsewhere: by other software, with a pencil. Analyses take them in place of a
    `FixedPoints`, which has the same attributes.

    Attributes:
        points: the fixed points, finite.
        n_unstable: the unstable directions of each; 0 where it is stable.
        smooth: False at a kink of the map, where eigenvalues do not decide stability; all True if None is given.
        inputs: the input at which each is a fixed point; None where that is not known.

    Raises:
        ValueError: arrays of other shapes, or numbers that cannot be.

    Example:
        >>> both = KnownPoints(points=np.array([[-0.9], [0.9]]), n_unstable=np.array([0, 0]))
        >>> len(both), both.smooth.tolist()
        (2, [True, True])
    """

    points: Float[np.ndarray, "point unit"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"] | None = None
    inputs: Float[np.ndarray, "point input"] | None = None

    def __post_init__(self) -> None:
        points, counts = np.array(self.points, np.float64), np.array(self.n_unstable)
        if points.ndim != 2 or not np.isfinite(points).all():
            raise ValueError(f"points must be finite numbers of shape (point, unit), got shape {points.shape}")
        n, size = points.shape
        smooth = np.ones(n, bool) if self.smooth is None else np.array(self.smooth)
        if not n:
            counts, smooth = counts.astype(np.int64), smooth.astype(bool)  # an empty list is of no kind
        for name, found, kinds, what in (
            ("n_unstable", counts, "iu", "whole numbers"),
            ("smooth", smooth, "b", "True or False"),
        ):
            if found.shape != (n,) or found.dtype.kind not in kinds:
                raise ValueError(
                    f"{name} must be {what}, one for each of the {n} points, got {found.dtype} of shape {found.shape}"
                )
        if ((counts < 0) | (counts > size)).any():
            raise ValueError(f"n_unstable must lie in 0 ... {size}, the size of the state, got {counts.tolist()}")
        kept = {"points": points, "n_unstable": counts.astype(np.int64), "smooth": smooth}
        if self.inputs is not None:
            kept["inputs"] = np.array(self.inputs, np.float64)
            if kept["inputs"].ndim != 2 or len(kept["inputs"]) != n or not np.isfinite(kept["inputs"]).all():
                raise ValueError(
                    f"inputs must be finite numbers of shape ({n}, input), one row for each point, "
                    f"got shape {kept['inputs'].shape}"
                )
        for name, found in kept.items():
            object.__setattr__(self, name, found)

    def __len__(self) -> int:
        return len(self.points)
