"""What do exponents say of the attractor's dimension, and how well is it known?

The Kaplan-Yorke dimension j + (λ_1 + ... + λ_j) / |λ_j+1| jumps where the first exponents are 0: an invariant circle
has dimension 1, and with λ_1 a rounding error below 0 it would come out as a point. So where no exponent is clearly
above 0, the first ones that are within two errors of 0, and so is their sum, are counted as 0; the dimension is then
that of an attractor on which they are. With a positive exponent it is continuous, and none need be.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.lyapunov.trust import ZERO, clear_sign, error_of_sum


@dataclass(frozen=True)
class Dimension:
    """The Kaplan-Yorke dimension and the sum of the positive exponents.

    Attributes:
        value: the dimension; None where more exponents are needed, or all starts diverged.
        error: of the value, given that those counted as 0 are 0; NaN where it is not known.
        n_zero: how many of the first exponents were counted as 0, which they are within their errors.
        entropy: the sum of the positive exponents, without those counted as 0, nats per step; None as above.
        entropy_error: of that sum.
    """

    value: float | None
    error: float
    n_zero: int
    entropy: float | None
    entropy_error: float


def dimension_of(
    exponents: Float[np.ndarray, " exponent"],
    error: Float[np.ndarray, " exponent"],
    running: Float[np.ndarray, "time exponent"],
    time: Integer[np.ndarray, " time"],
    per_start: Float[np.ndarray, "start exponent"],
    state_size: int,
) -> Dimension:
    """The dimension of Kaplan & Yorke (1979), from exponents in nats per step, the largest first.

    Args:
        exponents, error: and the error of each; NaN where it is not known.
        running: the exponents up to each time, whose common scatter says how errors of sums come about.
        time: steps.
        per_start: the exponents of each start that did not diverge.
        state_size: of the map; with fewer exponents than that, the rest is not known.
    """
    if np.isnan(exponents).any():
        return Dimension(None, np.nan, 0, None, np.nan)
    sign = clear_sign(exponents, error)
    order = np.arange(len(exponents))

    def known(weights: Float[np.ndarray, " exponent"]) -> float:
        return error_of_sum(weights, running, time, per_start, error)

    n_zero = 0 if (sign > 0).any() else int(np.cumprod((sign == 0) & np.isfinite(error)).sum())
    # Their sum may be known far better than each: volumes that shrink are not kept.
    while n_zero and exponents[:n_zero].sum() < -max(2 * known((order < n_zero).astype(float)), ZERO):
        n_zero -= 1
    values = np.where(order < n_zero, 0.0, exponents)

    positive = (values > 0).astype(float)
    whole = len(exponents) == state_size
    entropy = float(values[values > 0].sum()) if whole or values[-1] < 0 else None
    entropy_error = np.nan if entropy is None else known(positive)
    sums = np.cumsum(values)
    negative = np.flatnonzero(sums < 0)
    if not len(negative):
        value = float(state_size) if whole else None
        return Dimension(value, np.nan if value is None else 0.0, n_zero, entropy, entropy_error)
    j = int(negative[0])
    below = abs(values[j])
    if not j or np.isinf(below):
        return Dimension(float(j), 0.0, n_zero, entropy, entropy_error)
    total = float(sums[j - 1])
    weights = np.zeros(len(values))
    weights[:j], weights[j] = 1 / below, total / below**2
    return Dimension(j + total / float(below), known(weights), n_zero, entropy, entropy_error)
