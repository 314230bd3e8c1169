"""What is known of slow manifolds beside where they are: the dynamics on them, their ends, and where they began."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True)
class LocalDynamics:
    """What the map does at each point of the manifolds.

    Attributes:
        velocity: F(h) - h at each, the displacement in one step.
        residual: the length of what is left of `velocity`, which is not along the manifold.
        eigenvalue: of the direction along a line or ring; of a plane or cloud the one closest to 1.
        transverse: the largest by modulus of those that do not belong to the manifold: below 1 it attracts, and how
            far below shows how well slow and fast are apart. 0 where all belong to it.
        n_marginal: how many eigenvalues are within the margin of 1, at each point.
    """

    velocity: Float[np.ndarray, "point unit"]
    residual: Float[np.ndarray, " point"]
    eigenvalue: Complex[np.ndarray, " point"]
    transverse: Complex[np.ndarray, " point"]
    n_marginal: Integer[np.ndarray, " point"]


@dataclass(frozen=True)
class Zeros:
    """Where the drift along a line or ring changes its sign: the fixed points that are left on it.

    Attributes:
        manifold: the row of the manifold on which each lies.
        arclength: where on it.
        stable: whether the state is drawn to each from both sides, along the manifold.
    """

    manifold: Integer[np.ndarray, " zero"] = field(metadata={FORMERLY: "zero_manifold"})
    arclength: Float[np.ndarray, " zero"] = field(metadata={FORMERLY: "zero_arclength"})
    stable: Bool[np.ndarray, " zero"] = field(metadata={FORMERLY: "zero_stable"})

    def on(self, manifold: int) -> tuple[Float[np.ndarray, " zero"], Bool[np.ndarray, " zero"]]:
        """(arc lengths, whether stable) of those on one manifold."""
        here = self.manifold == manifold
        return self.arclength[here], self.stable[here]


@dataclass(frozen=True)
class Seeds:
    """The points from which manifolds were followed: fixed points, slow points, and states to which the network settles
    on its own, in this order.

    Attributes:
        points: where they are.
        n_found: how many there are of each of the three.
        manifold: the row of the manifold on which each lies; -1 for none.
        distance: the smallest |λ - 1| at each.
        directions: how many slow directions each has. What has more than three is not followed: much is slow there,
            and a manifold of so many dimensions could not be covered.
        margin: the largest `ratio` at which directions count as slow.
        shortest: the length, in units of the scale, below which a marginal point stands on its own.
        ratio: the largest |λ - 1| of the slow directions as a part of the rate |ln|λ|| of the slowest of the others (1
            at most); where none are slow, the smallest that any choice of them would have, infinite where there is
            nothing to compare with. None in results that were saved before it was looked at.
    """

    points: Float[np.ndarray, "found unit"] = field(metadata={FORMERLY: "found_points"})
    n_found: tuple[int, int, int]
    manifold: Integer[np.ndarray, " found"] = field(metadata={FORMERLY: "found_manifold"})
    distance: Float[np.ndarray, " found"] = field(metadata={FORMERLY: "found_distance"})
    directions: Integer[np.ndarray, " found"] = field(metadata={FORMERLY: "found_directions"})
    margin: float
    shortest: float
    ratio: Float[np.ndarray, " found"] | None = field(default=None, metadata={FORMERLY: None})

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class ManifoldTrust:
    """How well each manifold is covered, and how sure its dimension is.

    Attributes:
        pca_dimension: what the principal components of neighbouring points say of the dimension, in the median: where
            it differs from `dimension`, trust neither.
        largest_gap: of each manifold, the largest distance from a point to the next (of a plane: to its nearest).
        ends: why each was not followed further, for a line at its first and its last point: "edge" (of the domain or
            of where starts were), "margin" (an eigenvalue leaves the margin), "drift" (faster than `max_drift`),
            "lost" (a fold, or a turn too sharp), "full" (more points than allowed), "stopped" (the budget was
            spent). None for a ring.
        stopped_after: the budget, where it was spent before all was followed; 0 where it was enough. Results that were
            saved before there was one have 0.
        unfollowed: from how many marginal points nothing was followed, or not far enough, since it was spent.
    """

    pca_dimension: Integer[np.ndarray, " manifold"]
    largest_gap: Float[np.ndarray, " manifold"]
    ends: tuple[tuple[str, ...], ...]
    stopped_after: int = field(default=0, metadata={FORMERLY: None})
    unfollowed: int = field(default=0, metadata={FORMERLY: None})
