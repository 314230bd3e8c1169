"""Small networks: the Jacobians of many steps in one call, and products of 2, 4 and 8 of them.

Below some size a step of a frame costs what numpy takes to be called, not what it computes. So the states of a stretch
are walked first, all its Jacobians come in one call, and neighbouring ones are multiplied in pairs, in pairs of pairs
and so on, each level in one call; the frame then goes as many steps at once as may be between two reductions.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from rnnscope.maps import CompleteMap

Step = tuple[Float[np.ndarray, "start state"], Float[np.ndarray, "start input"]]

# Measured (benchmarks/lyapunov.py): up to the first size for any number of vectors, up to the second where there are at
# three quarters as many as units, products of Jacobians take less time than a product with the frame at each step.
SMALL, SMALL_FOR_ALL = 32, 48
# Numbers in the Jacobians of a stretch, 8 MB, which stay near the processor; and the most steps in it.
HELD, LONGEST = 2**20, 64
MOST_AT_ONCE = 8


def at_once(n_starts: int, n: int, k: int) -> int:
    """How many steps to a stretch; 1 where step by step is as fast."""
    small = n <= SMALL or (n <= SMALL_FOR_ALL and 4 * k >= 3 * n)
    return int(np.clip(HELD // (n_starts * n * n), 1, LONGEST)) if small else 1


def stretches(walk: Iterator[Step], n_steps: int, stops: set[int]) -> Iterator[tuple[int, list[Step]]]:
    """(steps before, the steps) of stretches of at most so many steps, none of which goes past a stop."""
    held: list[Step] = []
    t = -1
    for t, step in enumerate(walk):
        held.append(step)
        if len(held) == n_steps or t + 1 in stops:
            yield t + 1 - len(held), held
            held = []
    if held:
        yield t + 1 - len(held), held


class Products:
    """What a frame is multiplied by over the steps of a stretch."""

    def __init__(self, state_map: CompleteMap, steps: list[Step], multiply: bool) -> None:
        self._map, self._steps, self._levels = state_map, steps, []
        if multiply:
            states, inputs = (np.stack(part) for part in zip(*steps, strict=True))
            self._levels = [np.asarray(state_map.jacobian(states, inputs))]
            while len(last := self._levels[-1]) > 1 and 2 ** len(self._levels) <= MOST_AT_ONCE:
                even = len(last) // 2 * 2
                self._levels.append(last[1:even:2] @ last[:even:2])

    def reach(self, i: int, most: int) -> int:
        """How many steps from the i-th on can be taken at once, a power of 2, at most `most`."""
        n = 1
        while (
            2 * n <= most
            and i % (2 * n) == 0
            and i + 2 * n <= len(self._steps)
            and 2 * n <= 2 ** (len(self._levels) - 1)
        ):
            n *= 2
        return n

    def push(self, i: int, n: int, vectors: Float[np.ndarray, "start state k"]) -> Float[np.ndarray, "start state k"]:
        """The vectors n steps after the i-th, n as of `reach`."""
        if not self._levels:
            return self._map.jvp(*self._steps[i], vectors)
        return self._levels[n.bit_length() - 1][i // n] @ vectors
