"""From what was found to an intervention: pushes along a fixed point's eigenvector, and from one point to another."""

import numpy as np

from rnnscope.analyses.fixed_points.linearisation.result import Linearisation
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.subjects.interventions import Steer


def steer_along_eigenvector(
    linearisation: Linearisation,
    point: int,
    eigenvalue: int = 0,
    *,
    size: float = 1.0,
    left: bool = False,
    times: int | tuple[int, ...] | None = None,
) -> Steer:
    """A push along an eigenvector of the Jacobian at a point.

    Args:
        linearisation: what `linearise` returned; its points have the numbers of the fixed points that it was given.
        point: which of them, as in the figures, from 0.
        eigenvalue: which, 0 for the largest |λ|. Of a complex pair the push is along the real part of the vector, one
            direction of the plane in which states turn.
        size: length of the push in state units; a negative one goes the other way. The largest entry of the vector is
            positive.
        left: along the left eigenvector instead, in which the least push across the stable manifold of a saddle with
            one unstable direction goes; the right one is the direction in which states leave.
        times: the steps after which it is made, from 0; every step if None.

    Raises:
        ValueError: there is no such point, or no such vector was kept.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope import analyses
        >>> saddle = rs.FunctionMap(lambda x: x * [0.5, 2.0], state_size=2)
        >>> found = analyses.linearise(saddle, points=np.zeros((1, 2)))
        >>> steer_along_eigenvector(found, 0, size=0.1, times=3)
        Steer(vector=(0.0, 1.0), strength=0.1, times=(3,))
    """
    vectors = linearisation.vectors.left if left else linearisation.vectors.right
    if not 0 <= point < len(vectors):
        raise ValueError(f"point must be of 0 to {len(vectors) - 1}, a row of the linearisation, got {point}")
    if not 0 <= eigenvalue < vectors.shape[1]:
        raise ValueError(
            f"eigenvalue must be of 0 to {vectors.shape[1] - 1}, got {eigenvalue}: vectors are kept of so many; "
            "linearise with n_vectors larger for more"
        )
    vector = vectors[point, eigenvalue].real
    length = np.linalg.norm(vector)
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"the Jacobian at point {point} is not finite, and has no eigenvector: choose another")
    vector = vector / length * np.sign(vector[np.round(np.abs(vector), 8).argmax()])
    return Steer(vector=tuple(vector.tolist()), strength=size, times=times)  # type: ignore[arg-type]


def steer_between(
    points: FixedPoints | KnownPoints,
    start: int,
    end: int,
    *,
    strength: float = 1.0,
    times: int | tuple[int, ...] | None = None,
) -> Steer:
    """A push along the difference of two fixed points: with strength 1, a state at the one is put at the other.

    Args:
        points: what `find_fixed_points` returned.
        start, end: two of them, as they are numbered in figures, from 0.
        strength: what the difference is multiplied by.
        times: the steps after which it is made, from 0; every step if None.

    Raises:
        ValueError: there is no such point, both are the same one, or they are points at different inputs.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> both = rs.analyses.KnownPoints(points=np.array([[-0.5], [0.5]]), n_unstable=np.array([0, 0]))
        >>> steer_between(both, 0, 1, times=4)
        Steer(vector=(1.0,), times=(4,))
    """
    for name, each in (("start", start), ("end", end)):
        if not 0 <= each < len(points):
            raise ValueError(f"{name} must be of 0 to {len(points) - 1}, the number of a fixed point, got {each}")
    if start == end:
        raise ValueError(f"start and end are both point {start}, and between them there is no way: name two points")
    inputs = points.inputs
    if inputs is not None and not np.array_equal(inputs[start], inputs[end]):
        raise ValueError(
            f"point {start} is one at the input {inputs[start].tolist()}, point {end} at {inputs[end].tolist()}: "
            "choose two points at one input"
        )
    vector = points.points[end] - points.points[start]
    return Steer(vector=tuple(vector.tolist()), strength=strength, times=times)  # type: ignore[arg-type]
