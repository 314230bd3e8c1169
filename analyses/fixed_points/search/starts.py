"""Where the search for fixed points begins: states that the network visits, with noise, and states at random."""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import StateMap
from rnnscope.subjects.simulation import simulate

# Of default starts, the share drawn at random from a finite domain where the map has a task, and the visited states.
RANDOM_SHARE = 0.125
# States further out than this belong to a trajectory on its way to infinity.
ESCAPED = 1e6


def checked_starts(starts: ArrayLike, state_size: int) -> Float[np.ndarray, "start unit"]:
    """The user's own, as a copy."""
    begin = np.array(starts, np.float64)
    if begin.ndim != 2 or begin.shape[1] != state_size:
        raise ValueError(f"starts must have shape (start, {state_size}), one state a row, got {begin.shape}")
    if not len(begin):
        raise ValueError("starts has no row: give at least one state to start from, or None for default starts")
    if not np.isfinite(begin).all():
        raise ValueError(f"starts must be finite, row {np.nonzero(~np.isfinite(begin).all(1))[0][0]} is not")
    return begin


def visited_states(system: Any, state_map: StateMap, seed: int) -> Float[np.ndarray, "visited unit"]:
    """States of a run on trials of its own task; of any other map from its own initial states, with no input."""
    with np.errstate(all="ignore"):
        if getattr(system, "task", None) is not None:
            visited = simulate(system, n_trials=128, seed=seed).visited
        else:
            visited = simulate(state_map, n_trials=64, n_steps=200, seed=seed).visited
    # A map that diverges still has states before it does.
    visited = visited[(np.abs(visited) < ESCAPED).all(1)]
    if not len(visited):
        raise ValueError("the map gives no finite state from its initial states: look for NaN weights, or give starts")
    return visited


def default_starts(
    state_map: StateMap, visited: np.ndarray | None, n_starts: int, levels: np.ndarray, seed: int
) -> Float[np.ndarray, "start unit"]:
    """Visited states with noise (`levels`, taken in turn, times their deviation per unit), a part of them at random in
    the domain; all at random where `visited` is None, which wants a finite domain."""
    rng = np.random.default_rng([seed, 0xF1])
    size = state_map.state_size
    bounded, low, high = bounds(state_map)
    anywhere = rng.uniform(low, high, (n_starts, size))
    if visited is None:
        return anywhere
    deviation = visited.std(0)
    if not deviation.any() and not bounded.any():
        where = np.array2string(visited[0][:4], precision=3, separator=", ") + (" ..." if size > 4 else "")
        raise NotApplicable(
            f"nothing tells where to start: the map has no finite domain, and stays at {where} "
            "from its own initial states; give starts, (start, state)"
        )
    chosen = visited[rng.choice(len(visited), n_starts, replace=len(visited) < n_starts)]
    level = np.resize(levels, n_starts)[:, None]
    begin = chosen + level * deviation * rng.standard_normal((n_starts, size))
    # Coordinates without a bound keep the visited values.
    random = np.arange(n_starts) < RANDOM_SHARE * n_starts
    return np.where(random[:, None] & bounded, anywhere, begin)


def bounds(state_map: StateMap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which coordinates the domain bounds on both sides; their bounds, 0 for the others."""
    if state_map.domain is None:
        return np.zeros(state_map.state_size, bool), np.zeros(state_map.state_size), np.zeros(state_map.state_size)
    bounded = np.atleast_1d(np.isfinite(state_map.domain).all(axis=0))
    low, high = np.where(bounded, state_map.domain, 0.0)
    return bounded, low, high
