"""Which of some places each state of trials is nearest to."""

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.subjects.trajectories import Trajectories

# States times places whose distances are held at a time.
AT_ONCE = 2**22


def nearest_place(found: Trajectories, places: Float[np.ndarray, "place unit"]) -> Int64[np.ndarray, "trial time"]:
    """The row of the nearest place of each state, by Euclidean distance; -1 in padding, and where there is no place."""
    nearest = np.full(found.valid.shape, -1, np.int64)
    if not len(places):
        return nearest
    states = found.states[found.valid]
    part = max(AT_ONCE // len(places), 1)
    squared = (places**2).sum(1)
    rows = [(squared - 2 * states[i : i + part] @ places.T).argmin(1) for i in range(0, len(states), part)]
    nearest[found.valid] = np.concatenate(rows)
    return nearest
