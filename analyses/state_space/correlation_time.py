"""How long one quantity remembers itself: the lag at which its autocorrelation has fallen to 1/e."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

GROUPS = 8  # of trials, each left out once for the error
LEVEL = 1 / np.e


@dataclass(frozen=True)
class CorrelationTime:
    """The time constant of a quantity, in steps.

    Attributes:
        value: the first lag at which the autocorrelation is 1/e, between two lags along an exponential; 0 where nothing
            is left after one step, so that it is too short to be told; NaN where it stays above up to `longest`, or
            where nothing moves.
        error: its standard error, by leaving out groups of trials (jackknife); NaN with fewer than two groups, where
            the value is not reached without one of them, and where it is too short to be told.
        longest: the largest lag that was looked at, half of the longest trial.
        moves: whether the quantity varies at all.
    """

    value: float
    error: float
    longest: int
    moves: bool


def correlation_time(
    activity: Float[np.ndarray, "trial time"], valid: Bool[np.ndarray, "trial time"]
) -> CorrelationTime:
    """The time constant of one quantity over trials, around its mean over all of them.

    What drives a quantity counts as well: one that follows a slow input is slow. Trials that are short beside the time
    constant make it too small, as every autocorrelation around a sample's own mean (Marriott & Pope, Biometrika 1954).

    Args:
        activity: the quantity at each step.
        valid: False in the padding of shorter trials.

    Example:
        >>> import numpy as np
        >>> wave = np.sin(0.1 * np.arange(4000))[None]
        >>> round(correlation_time(wave, np.ones((1, 4000), bool)).value, 1)  # arccos(1 / e) / .1
        11.9
    """
    longest = int(valid.sum(1).max(initial=0)) // 2
    moves = bool(activity[valid].std() > 0) if valid.any() else False
    if not moves or longest < 1:
        return CorrelationTime(np.nan, np.nan, longest, moves)
    products, pairs = _products(activity, valid, longest)
    value = _crossing(products.sum(0), pairs.sum(0))
    groups = np.array_split(np.arange(len(activity)), min(GROUPS, len(activity)))
    without = [_crossing(np.delete(products, group, 0).sum(0), np.delete(pairs, group, 0).sum(0)) for group in groups]
    n = len(groups)
    known = n > 1 and value > 0
    error = float(np.sqrt((n - 1) / n * ((np.array(without) - np.mean(without)) ** 2).sum())) if known else np.nan
    return CorrelationTime(value, error, longest, True)


def _products(
    activity: np.ndarray, valid: np.ndarray, longest: int
) -> tuple[Float[np.ndarray, "trial lag"], Float[np.ndarray, "trial lag"]]:
    """The sums of products over each lag, and how many pairs they are of, by the fast Fourier transform."""
    centred = np.where(valid, activity - activity[valid].mean(), 0.0)
    size = 2 * activity.shape[1]
    sums = [np.fft.irfft(np.abs(np.fft.rfft(part, size)) ** 2, size) for part in (centred, valid.astype(float))]
    products, pairs = (part[:, : longest + 1] for part in sums)
    return products, np.round(pairs)


def _crossing(products: Float[np.ndarray, " lag"], pairs: Float[np.ndarray, " lag"]) -> float:
    if not (pairs > 0).all() or not products[0] > 0:
        return np.nan
    ratio = products / pairs / (products[0] / pairs[0])
    below = np.flatnonzero(ratio <= LEVEL)
    if not len(below):
        return np.nan
    k = int(below[0])
    if ratio[k] <= 0:  # along a line, as no exponential crosses 0
        return float(k - 1 + (ratio[k - 1] - LEVEL) / (ratio[k - 1] - ratio[k])) if k > 1 else 0.0
    high, low = np.log(ratio[k - 1]), np.log(ratio[k])
    return float(k - 1 + (high + 1) / (high - low))
