"""How well can something be read off states by a line? Held-out R^2, whole and for each of its numbers."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Decoded(NamedTuple):
    """What a linear decoder finds in sequences that it did not learn from.

    Attributes:
        r2: the share of the variance of all numbers together that it finds; NaN where nothing varies.
        error: its standard error over sequences.
        each: the same for each number.
        true, found: of the held-out sequences.
    """

    r2: float
    error: float
    each: Float[np.ndarray, " latent"]
    true: Float[np.ndarray, "sequence time latent"]
    found: Float[np.ndarray, "sequence time latent"]


FLAT = 1e-12  # variance below which nothing varies, of numbers between 0 and 1


def decode(
    states: Float[np.ndarray, "sequence time unit"], wanted: Float[np.ndarray, "sequence time latent"]
) -> Decoded:
    """Fit `wanted` by least squares to states and a constant on the first half of the sequences; judge on the others.

    Example:
        >>> import numpy as np
        >>> states = np.random.default_rng(0).standard_normal((20, 30, 4))
        >>> round(decode(states, states[..., :2] * 3 + 1).r2, 6)
        1.0
    """
    half = len(states) // 2
    columns = np.concatenate([states, np.ones((*states.shape[:2], 1))], 2)
    n = columns.shape[2]
    weights = np.linalg.lstsq(columns[:half].reshape(-1, n), wanted[:half].reshape(-1, wanted.shape[2]), rcond=None)[0]
    found, true = columns[half:] @ weights, wanted[half:]
    missed = ((true - found) ** 2).sum(1)  # (sequence, latent)
    there = ((true - true.mean((0, 1))) ** 2).sum(1)
    total, steps = there.sum(0), true.shape[0] * true.shape[1]
    r2 = 1 - missed.sum() / total.sum() if total.sum() > FLAT * steps else np.nan
    each = np.where(total > FLAT * steps, 1 - missed.sum(0) / np.maximum(total, 1e-300), np.nan)
    apart = missed.sum(1) - (1 - r2) * there.sum(1)  # of each sequence; the ratio of two sums, to first order
    error = np.sqrt((apart**2).sum() * len(apart) / max(len(apart) - 1, 1)) / total.sum() if np.isfinite(r2) else np.nan
    return Decoded(float(r2), float(error), each, true, found)
