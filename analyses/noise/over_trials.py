"""Means and their errors over trials: steps of one trial are alike, and no number of them makes up for few trials."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# Resamples of the trials: the ends of an interval of 95 % then vary by a few hundredths of its width.
RESAMPLES = 1000
TAIL = 0.025  # on either side of an interval


class Estimate(NamedTuple):
    """Of each of several numbers.

    Attributes:
        value: what was found.
        error: its standard error over trials.
        low, high: an interval of 95 %, of a percentile bootstrap over trials.
    """

    value: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray


def resampled(
    sums: Float[np.ndarray, "trial *of"], counts: Float[np.ndarray, "trial *of"], rng: np.random.Generator
) -> Float[np.ndarray, "resample *of"]:
    """Sums over counts, of trials drawn with replacement (Efron, 1979); the first row is of the trials as they are.
    NaN where none of the trials drawn has any.
    """
    n = len(sums)
    weights = np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), RESAMPLES)])
    with np.errstate(all="ignore"):
        return np.tensordot(weights, sums, 1) / np.tensordot(weights, counts, 1)


def estimate(draws: Float[np.ndarray, "resample *of"]) -> Estimate:
    """From what `resampled` returned, or what was made of it row by row. NaN where more than half of the resamples
    have no value, as where hardly any trial has such states."""
    value, others = draws[0], draws[1:]
    there = np.isfinite(others)
    enough = (there.mean(0) > 0.5) & np.isfinite(value)
    filled = np.where(enough, np.where(there, others, np.nan), 0.0)
    low, high = np.nanquantile(filled, [TAIL, 1 - TAIL], axis=0)
    error = np.nanstd(filled, axis=0, ddof=1)
    error, low, high = (np.where(enough, each, np.nan) for each in (error, low, high))
    return Estimate(value, error, low, high)


def over_trials(
    sums: Float[np.ndarray, "trial *of"], counts: Float[np.ndarray, "trial *of"], rng: np.random.Generator,
    make: Callable[[np.ndarray], np.ndarray] = lambda draws: draws,
) -> Estimate:  # fmt: skip
    """The estimate of a mean, or of what `make` makes of means."""
    return estimate(make(resampled(sums, counts, rng)))
