"""Does another search, with other random words, find the same machine?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """What the same search found with other random words: once more where something refuted the first machine on the
    way, else four times; but once, too, where a search for disagreement found none, nothing refuted the other machine,
    and both are the same.

    Attributes:
        n_states: of each machine.
        same: whether each is equivalent to the first, decided exactly.
    """

    n_states: Int64[np.ndarray, " repeat"]
    same: Bool[np.ndarray, " repeat"]
