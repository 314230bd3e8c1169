"""What the Jacobian says of a point: which directions are unstable, how fast each is, and on which sides it holds."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

# An eigenvalue counts as unstable when its modulus passes 1 by more than this: marginal directions do not.
UNSTABLE_MARGIN = 1e-8
# A largest eigenvalue this close to the unit circle decides nothing: what is neglected, and rounding, do.
MARGINAL = 1e-6
# A Jacobian is the same on all sides when it changes by no more than this part of 1 + its largest entry.
SAME_JACOBIAN = 1e-3


def count_unstable(eigenvalues: Complex[np.ndarray, "point eigenvalue"]) -> Integer[np.ndarray, " point"]:
    """How many eigenvalues, or multipliers of a cycle, lie outside the unit circle."""
    return (np.abs(eigenvalues) > 1 + UNSTABLE_MARGIN).sum(1)


def is_marginal(eigenvalues: Complex[np.ndarray, "point eigenvalue"]) -> Bool[np.ndarray, " point"]:
    """Whether the largest modulus is 1 within `MARGINAL`, so that stability is not decided by the eigenvalues."""
    return np.abs(np.abs(eigenvalues).max(1, initial=0.0) - 1) <= MARGINAL


def time_constants(eigenvalues: Complex[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    """-1 / ln|λ| in steps: e-fold decay, growth where negative, infinite on the unit circle (but for rounding)."""
    with np.errstate(divide="ignore"):
        rates = np.log(np.abs(eigenvalues))
        return np.where(np.abs(rates) <= UNSTABLE_MARGIN, np.inf, -1 / rates)


def frequencies(eigenvalues: Complex[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    """Rotation in cycles per step, from -1/2 to 1/2."""
    return np.angle(eigenvalues) / (2 * np.pi)


def is_smooth(
    jacobian: Callable[[np.ndarray], np.ndarray],
    states: Float[np.ndarray, "point *phase unit"],
    here: Float[np.ndarray, "point *phase unit unit"],
    aside: float,
    n_directions: int = 4,
    known: bool | None = None,
) -> Bool[np.ndarray, " point"]:
    """Whether the Jacobian hardly changes a little aside, in a few directions and their opposites: there is no kink.

    Args:
        jacobian: that of states, shaped as they are.
        states: the points, or all states of each cycle.
        here: the Jacobian there.
        aside: how far to go.
        n_directions: random ones, always the same.
        known: True where the map is known to be smooth everywhere: nothing is then asked, as weights may be so large
            that a smooth map turns faster than this sees.
    """
    if known:
        return np.ones(len(states), bool)
    smooth, each = np.ones(len(states), bool), tuple(range(1, here.ndim))
    for direction in np.random.default_rng(0).standard_normal((n_directions, states.shape[-1])):
        for move in (direction, -direction):
            change = np.abs(jacobian(states + aside * move / np.linalg.norm(move)) - here).max(each, initial=0.0)
            smooth &= change <= SAME_JACOBIAN * (1 + np.abs(here).max(each, initial=0.0))
    return smooth
