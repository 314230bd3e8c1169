"""Is an orbit that comes back to where it was on a cycle, or does it only move slowly?

A spiral that turns by a half or a third of a turn a step, and grows or shrinks by very little, is after two or three
steps nearly where it was. What it comes to is a fixed point, or nothing at all: so Newton's method has to find a cycle
there.
"""

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.analyses.fixed_points.search.stability import is_marginal
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# Newton steps: an orbit on a cycle is so near to it that each squares the error; towards a multiple root, as that of a
# spiral at a bifurcation, they shrink by no more than a third or a half.
N_STEPS = 8


def on_cycles(
    state_map: CompleteMap,
    states: Float[np.ndarray, "orbit unit"],
    inputs: Float[np.ndarray, "orbit input"],
    period: int,
    *,
    radius: float,
    still: float,
) -> Bool[np.ndarray, " orbit"]:
    """Which of these states, which return after so many steps, are on a cycle of that period.

    There is to be a root of F^p(x) - x within `radius`, which comes back no sooner than after p steps by more than
    `still`, and whose largest multiplier is not within 1e-6 of the unit circle: what is neutral attracts nothing.
    Cycles that repel pass, as orbits can be on them by rounding (see `repelled`).

    Args:
        state_map: the map.
        states, inputs: a state of each orbit, and the input held.
        period: after how many steps it returns.
        radius: the distance at which an orbit has arrived.
        still: what counts as the same place.
    """
    x, n = states.copy(), states.shape[1]
    step = np.full(len(x), np.inf)
    for _ in range(N_STEPS):
        way, product = _around(state_map, x, inputs, period)
        moves = linalg.solve(product - np.eye(n), (way[-1] - x)[..., None])[..., 0]
        step = np.linalg.norm(moves, axis=1)
        sound = np.isfinite(step) & (step <= radius)  # of others the step is kept, which says that they found nothing
        x[sound] -= moves[sound]
        if not (sound & (step > 1e-2 * still)).any():
            break
    way, product = _around(state_map, x, inputs, period)
    returns = np.linalg.norm(way - x, axis=2)
    sooner = np.array([d - 1 for d in range(1, period) if period % d == 0], np.int64)
    found = (step <= 1e-2 * still) & (returns[-1] <= still) & (returns[sooner] > still).all(0)
    found &= np.linalg.norm(x - states, axis=1) <= radius
    found &= np.isfinite(product).all((1, 2))
    found[found] = ~is_marginal(linalg.eigenvalues(product[found]))
    return found


def _around(
    state_map: CompleteMap, states: np.ndarray, inputs: np.ndarray, period: int
) -> tuple[Float[np.ndarray, "time orbit unit"], Float[np.ndarray, "orbit unit unit"]]:
    """(the states after 1, 2, ... steps, the derivative of the last by the first)."""
    way, product = [states], np.eye(states.shape[1])
    for _ in range(period):
        product = state_map.jacobian(way[-1], inputs) @ product
        way.append(state_map.step(way[-1], inputs))
    return np.array(way[1:]), product
