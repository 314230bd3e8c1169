"""Which attractor states go to, many of them at once: under inputs of their own first, then under one that is held."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.maps import CompleteMap

# Steps between two looks at where states are. One has settled that two looks in a row find near the same attractor.
LOOK = 8
# States that are carried together: fewer make more calls, more leave the cache. Results do not hang on it.
TOGETHER = 4096
UNDECIDED = -1


@dataclass(frozen=True, eq=False)
class Futures:
    """How the states of several problems go on, and which attractors there are.

    Attributes:
        state_map: the map.
        own: the inputs that a problem's states get first, padded with `held`; of length 0 where there are none.
        n_own: how many of these each problem has.
        held: the input that is held after them.
        attractors: stable fixed points at `held`.
        radii: how near to each of them a state has arrived.
        n_steps: most steps under `held`.
    """

    state_map: CompleteMap
    own: Float[np.ndarray, "problem time input"]
    n_own: Integer[np.ndarray, " problem"]
    held: Float[np.ndarray, " input"]
    attractors: Float[np.ndarray, "attractor unit"]
    radii: Float[np.ndarray, " attractor"]
    n_steps: int

    def step(
        self, states: Float[np.ndarray, "state unit"], problem: Integer[np.ndarray, " state"], number: int
    ) -> Float[np.ndarray, "state unit"]:
        """The states after their step `number`, from 0."""
        return self.state_map.step(states, self.inputs(problem, number))

    def inputs(self, problem: Integer[np.ndarray, " state"], number: int) -> Float[np.ndarray, "state input"]:
        """What states of these problems are shown at step `number`."""
        if number < self.own.shape[1]:
            return self.own[problem, number]
        return np.repeat(self.held[None], len(problem), 0)

    def ends(
        self, states: Float[np.ndarray, "state unit"], problem: Integer[np.ndarray, " state"]
    ) -> Integer[np.ndarray, " state"]:
        """The attractor that each state settles at; -1 "undecided" for one that is near none of them when the steps
        run out, or that is no longer finite."""
        parts = [slice(first, first + TOGETHER) for first in range(0, len(states), TOGETHER)]
        return np.concatenate([np.zeros(0, np.int64), *(self._ends(states[some], problem[some]) for some in parts)])

    def _ends(self, states: np.ndarray, problem: np.ndarray) -> np.ndarray:
        found, near = np.full(len(states), UNDECIDED), np.full(len(states), UNDECIDED)
        alive, number, last = np.arange(len(states)), 0, int(self.n_own.max(initial=0)) + self.n_steps
        squares = (self.attractors**2).sum(1)
        with np.errstate(all="ignore"):
            while len(alive) and number < last:
                for _ in range(min(LOOK, last - number)):
                    states = self.step(states, problem, number)
                    number += 1
                # The state's own square is the same for all attractors.
                which = (squares - 2 * states @ self.attractors.T).argmin(1)
                gap = np.linalg.norm(states - self.attractors[which], axis=1)
                here = np.where((gap < self.radii[which]) & (number >= self.n_own[problem]), which, UNDECIDED)
                settled = (here >= 0) & (here == near)
                found[alive[settled]] = here[settled]
                going = ~settled & np.isfinite(gap)
                states, problem, alive, near = states[going], problem[going], alive[going], here[going]
        return found


def radii_of(points: Float[np.ndarray, "point unit"], radius: float) -> Float[np.ndarray, " point"]:
    """How near to each point a state has arrived: less than `radius` where points stand close."""
    from scipy.spatial.distance import cdist

    apart = cdist(points, points)
    np.fill_diagonal(apart, np.inf)
    return np.minimum(radius, 0.1 * apart.min(1, initial=np.inf))
