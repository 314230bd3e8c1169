"""How far is an average along trajectories to be trusted? Its standard error, its sign, and whether starts agree."""

import numpy as np
from jaxtyping import Bool, Float, Integer

BLOCKS = 10
# Starts disagree where they scatter by so many times more than their own blocks of time explain.
APART = 3.0
# What is 0 comes out this far from it at most: by rounding, or by the error of finite differences.
ZERO = 1e-9


def standard_error(
    logs: Float[np.ndarray, "record start exponent"], ends: Integer[np.ndarray, " record"]
) -> Float[np.ndarray, " exponent"]:
    """The standard error of the mean growth per step: the larger of what starts and what blocks of time say; NaN where
    neither does.

    Args:
        logs: growth up to each record.
        ends: the step of each record.
    """
    return np.fmax(_scatter(logs[-1] / ends[-1]) / np.sqrt(logs.shape[1]), _over_time(logs.mean(1), ends))


def starts_agree(
    logs: Float[np.ndarray, "record start exponent"],
    ends: Integer[np.ndarray, " record"],
    least: Float[np.ndarray, " exponent"],
) -> Bool[np.ndarray, " exponent"]:
    """Whether starts scatter by no more than their own blocks of time explain, or by no more than `least`, as they do
    on one attractor. Those of several attractors have a mean that is the exponent of none."""
    own = np.sqrt((_over_time(logs, ends) ** 2).mean(0))
    return ~(_scatter(logs[-1] / ends[-1]) > np.maximum(APART * own, least))


def clear_sign(value: Float[np.ndarray, " *any"], error: Float[np.ndarray, " *any"]) -> Integer[np.ndarray, " *any"]:
    """1 or -1; 0 within two standard errors of 0, or of what 0 comes out as, and where there is no error."""
    with np.errstate(invalid="ignore"):
        clear = (np.abs(value) > np.maximum(2 * error, ZERO)) | np.isinf(value)
    return np.where(clear, np.sign(value), 0).astype(int)


def _scatter(per_start: Float[np.ndarray, "start exponent"]) -> Float[np.ndarray, " exponent"]:
    return per_start.std(0, ddof=1) if len(per_start) > 1 else np.full(per_start.shape[1], np.nan)


def _over_time(
    logs: Float[np.ndarray, "record *any"], ends: Integer[np.ndarray, " record"]
) -> Float[np.ndarray, " *any"]:
    """What the scatter of blocks of time says of the mean; NaN where they do not end at records."""
    if len(ends) % BLOCKS:
        return np.full(logs.shape[1:], np.nan)
    each = len(ends) // BLOCKS
    steps = np.diff(ends[each - 1 :: each], prepend=0)
    grown = np.diff(logs[each - 1 :: each], axis=0, prepend=0.0)
    return (grown.T / steps).T.std(0, ddof=1) / np.sqrt(BLOCKS)
