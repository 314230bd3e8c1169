"""Default starts of searches and trajectories: states that the network visits, or states drawn at random."""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from rnnscope.maps import CompleteMap
from rnnscope.subjects.not_applicable import NotApplicable

# Standard deviation of the noise on the map's own initial states, where no domain says how far states spread.
SPREAD = 0.1


def checked_starts(starts: ArrayLike, state_size: int) -> Float[np.ndarray, "start unit"]:
    """Check the starts that a user gave, and copy them.

    Raises:
        ValueError: another shape, no row, or numbers that are not finite.
    """
    begin = np.array(starts, np.float64)
    if begin.ndim != 2 or begin.shape[1] != state_size:
        raise ValueError(f"starts must have shape (start, {state_size}), one state a row, got {begin.shape}")
    if not len(begin):
        raise ValueError("starts has no row: give at least one state to start from, or None for default starts")
    if not np.isfinite(begin).all():
        raise ValueError(f"starts must be finite, row {np.nonzero(~np.isfinite(begin).all(1))[0][0]} is not")
    return begin


def starts_near(
    map: CompleteMap,
    visited: Float[np.ndarray, "visited unit"] | None,
    n_starts: int,
    noise: Float[np.ndarray, " level"],
    random_share: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "start unit"]:
    """Draw starts: visited states with noise, and a share at random in the domain.

    Args:
        map: the map.
        visited: the states; None for all at random, which wants a finite domain.
        n_starts: how many.
        noise: standard deviations, as parts of each unit's own; several are taken in turn.
        random_share: the part that is at random in the coordinates that the domain bounds.
        rng: for all of it.

    Raises:
        NotApplicable: the states are all the same, and there is no domain.
    """
    bounded, low, high = bounds(map)
    anywhere = rng.uniform(low, high, (n_starts, map.state_size))
    if visited is None:
        return anywhere
    deviation = visited.std(0)
    if not deviation.any() and not bounded.any():
        where = np.array2string(visited[0][:4], precision=3, separator=", ") + (" ..." if map.state_size > 4 else "")
        raise NotApplicable(
            f"it is not known where to start: the map has no finite domain, and stays at {where} "
            "from its own initial states; give starts, (start, state)"
        )
    chosen = visited[rng.choice(len(visited), n_starts, replace=len(visited) < n_starts)]
    level = np.resize(noise, n_starts)[:, None]
    begin = chosen + level * deviation * rng.standard_normal((n_starts, map.state_size))
    # Coordinates without a bound keep the visited values.
    random = np.arange(n_starts) < random_share * n_starts
    return np.where(random[:, None] & bounded, anywhere, begin)


def starts_anywhere(map: CompleteMap, n_starts: int, rng: np.random.Generator) -> Float[np.ndarray, "start unit"]:
    """At random from the domain; where it has no bound, the map's own initial states plus Gaussian noise of standard
    deviation .1."""
    begin = map.initial_states(n_starts, rng) + SPREAD * rng.standard_normal((n_starts, map.state_size))
    if map.domain is None:
        return begin
    bounded, low, high = bounds(map)
    # A bound on one side (rectified units) is kept.
    return np.where(bounded, rng.uniform(low, high, begin.shape), np.clip(begin, *map.domain))


def bounds(
    map: CompleteMap,
) -> tuple[Bool[np.ndarray, " unit"], Float[np.ndarray, " unit"], Float[np.ndarray, " unit"]]:
    """Which coordinates the domain bounds on both sides; their bounds, 0 for the others."""
    if map.domain is None:
        return np.zeros(map.state_size, bool), np.zeros(map.state_size), np.zeros(map.state_size)
    bounded = np.atleast_1d(np.isfinite(map.domain).all(axis=0))
    low, high = np.where(bounded, map.domain, 0.0)
    return bounded, low, high


def in_domain(map: CompleteMap, states: Float[np.ndarray, "*batch unit"]) -> Bool[np.ndarray, "*batch"]:
    """Whether states lie within the domain; all do where there is none."""
    if map.domain is None:
        return np.ones(states.shape[:-1], bool)
    low, high = map.domain
    return np.asarray(((states >= low) & (states <= high)).all(-1))
