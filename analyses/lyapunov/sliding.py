"""The largest exponent of the last few steps, at every step of one trajectory."""

import numpy as np
from jaxtyping import Float

from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

MOST_NUMBERS = 2**24  # in the Jacobians of a trajectory, 128 MB


class TooLarge(ValueError):
    """The Jacobians along the trajectory do not fit."""


def sliding_exponents(
    map: CompleteMap,
    before: Float[np.ndarray, "time state"],
    inputs: Float[np.ndarray, "time input"],
    n_doublings: int = 3,
) -> Float[np.ndarray, " time"]:
    """ln σ / w, in nats per step, with the largest singular value σ of the product of the Jacobians of the last
    w = 2 ** n_doublings steps: the growth of what grows most. Its mean over a long run is never below the largest
    exponent.

    Args:
        map: whose Jacobians.
        before: the state before each step.
        inputs: what was shown in it.
        n_doublings: neighbouring products are multiplied so many times.

    Returns:
        At each step that of the window that ends there; NaN for the first w - 1, -inf where all is forgotten.

    Raises:
        TooLarge: the Jacobians have more than 16 million numbers.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> turn = rs.FunctionMap(lambda h: 0.5 * h[..., ::-1], state_size=2)
        >>> sliding_exponents(turn, np.zeros((10, 2)), np.zeros((10, 0)))[6:].round(3)  # ln .5
        array([   nan, -0.693, -0.693, -0.693])
    """
    n, size = before.shape
    if n * size * size > MOST_NUMBERS:
        raise TooLarge(f"the Jacobians of {n} steps of {size} numbers are too many to multiply along the trial")
    found = np.full(n, np.nan)
    with linalg.one_thread(), np.errstate(all="ignore"):
        product, scale = np.asarray(map.jacobian(before, inputs)), np.zeros(n)
        for k in range(n_doublings):
            back = 2**k
            if len(product) <= back:
                return found
            product, scale = product[back:] @ product[:-back], scale[back:] + scale[:-back]
            size_of = np.abs(product).max((1, 2))
            size_of[~(size_of > 0)] = 1.0
            product, scale = product / size_of[:, None, None], scale + np.log(size_of)
        largest = np.linalg.eigvalsh(product @ product.swapaxes(1, 2))[:, -1]
        found[n - len(product) :] = (scale + 0.5 * np.log(np.maximum(largest, 0))) / 2**n_doublings
    return found
