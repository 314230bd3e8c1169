"""Does another search, with other random words, find the same machine?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """What the same search found with other random words: four times more where nothing refuted the first machine, else
    once more.

    Attributes:
        n_states: of each machine.
        same: whether each is equivalent to the first, decided exactly.
    """

    n_states: Int64[np.ndarray, " repeat"]
    same: Bool[np.ndarray, " repeat"]
