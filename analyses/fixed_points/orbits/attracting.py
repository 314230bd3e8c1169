"""Does what an orbit has come to attract its neighbours too? If not, it is in no basin.

An orbit can end at an unstable point: where it began exactly on the stable manifold, a set of measure zero, or where
rounding put it there, as 2x mod 1 loses a binary digit a step and is at 0 after 53. A basin is an open set, so that
almost all neighbours of a state in it go to the same end; this is what is tried here.
"""

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.orbits.settling import AT_POINT, BLOCK, ON_CYCLE, Settled
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# Neighbours of an orbit, and how far they are, as a part of the radius of arrival: they must grow a thousandfold to be
# seen leaving, in so many steps, so that what repels by less than 3 % a step is taken to attract.
N_NEIGHBOURS, NEIGHBOURHOOD, N_WATCHED = 4, 1e-3, 4 * BLOCK
# Orbits that are tried for each end; all of them where these do not agree.
N_TRIED = 8


def repelled(
    state_map: CompleteMap,
    begin: Float[np.ndarray, "orbit unit"],
    condition: Integer[np.ndarray, " orbit"],
    held: Float[np.ndarray, "condition input"],
    settled: Settled,
    *,
    radius: float,
    seed: int,
) -> Bool[np.ndarray, " orbit"]:
    """Which orbits came to a fixed point or cycle whose neighbours leave, so that they are in no basin.

    At a smooth fixed point its eigenvalues say so. At a kink or jump of the map, and on a cycle, four neighbours of the
    orbit's last state before it arrived, at a thousandth of the radius, are followed for 256 steps; they attract if at
    least two stay within twice the radius.

    Args:
        begin, condition, held, settled: as given to `settle`, and what it returned.
        radius: the distance at which an orbit has arrived.
        seed: for the neighbours.
    """
    nodes, rng = settled.nodes, np.random.default_rng([seed, 0xA7])
    found = np.zeros(len(begin), bool)
    for place in range(len(nodes)):
        orbits = np.flatnonzero((settled.end == AT_POINT) & (settled.target == place))
        if not len(orbits):
            continue
        if nodes.smooth[place]:
            found[orbits] = bool(nodes.n_unstable[place] > 0 and not nodes.marginal[place])
        else:
            found[orbits] = _leave(
                state_map, begin, condition, held, settled, orbits, nodes.points[[place]], radius, rng
            )
    for row, cycle in enumerate(settled.cycles):
        orbits = np.flatnonzero((settled.end == ON_CYCLE) & (settled.target == row))
        found[orbits] = _leave(state_map, begin, condition, held, settled, orbits, cycle.states, radius, rng)
    return found


def _leave(
    state_map: CompleteMap,
    begin: np.ndarray,
    condition: np.ndarray,
    held: np.ndarray,
    settled: Settled,
    orbits: Integer[np.ndarray, " some"],
    ends: Float[np.ndarray, "phase unit"],
    radius: float,
    rng: np.random.Generator,
) -> Bool[np.ndarray, " some"] | bool:
    """Whether the neighbours of these orbits, which came to the same end, leave it."""
    tried = orbits[np.unique(np.linspace(0, len(orbits) - 1, N_TRIED).astype(np.int64))] if len(orbits) else orbits
    leave = [_leaves(state_map, begin, condition, held, settled.steps, tried, ends, radius, rng)]
    if leave[0].all() or not leave[0].any():
        return bool(leave[0].any())
    return _leaves(state_map, begin, condition, held, settled.steps, orbits, ends, radius, rng)


def _leaves(
    state_map: CompleteMap,
    begin: np.ndarray,
    condition: np.ndarray,
    held: np.ndarray,
    steps: np.ndarray,
    orbits: np.ndarray,
    ends: np.ndarray,
    radius: float,
    rng: np.random.Generator,
) -> Bool[np.ndarray, " some"]:
    inputs = held[condition[orbits]]
    before = _before_arrival(state_map, begin[orbits], inputs, np.maximum(steps[orbits] - 1, 0))
    aside = rng.standard_normal((N_NEIGHBOURS, *before.shape))
    aside *= NEIGHBOURHOOD * radius / np.linalg.norm(aside, axis=2, keepdims=True)
    states = (before + aside).reshape(-1, before.shape[1])
    if state_map.domain is not None:
        states = np.clip(states, *state_map.domain)
    inputs = np.tile(inputs, (N_NEIGHBOURS, 1))
    left = np.zeros(len(states), bool)
    with np.errstate(all="ignore"), linalg.one_thread():
        for _ in range(N_WATCHED):
            states[~left] = state_map.step(states[~left], inputs[~left])
            gaps = np.full(len(states), np.inf)
            for end in ends:
                gaps = np.fmin(gaps, np.linalg.norm(states - end, axis=1))
            left |= ~(gaps < 2 * radius)
            if left.all():
                break
    return left.reshape(N_NEIGHBOURS, -1).sum(0) > N_NEIGHBOURS / 2


def _before_arrival(
    state_map: CompleteMap, states: np.ndarray, inputs: np.ndarray, steps: np.ndarray
) -> Float[np.ndarray, "some unit"]:
    """The states after so many steps of each; orbits are repeated, as their states were not kept."""
    states = states.copy()
    with np.errstate(all="ignore"), linalg.one_thread():
        for t in range(int(steps.max(initial=0))):
            going = steps > t
            states[going] = state_map.step(states[going], inputs[going])
    return states
