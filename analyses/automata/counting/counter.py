"""A counter: the least that a network which counts has to remember."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64


@dataclass(frozen=True)
class Counter:
    """Adds a number for every symbol, and shows what belongs to the sum.

    Attributes:
        steps: what each symbol adds.
        shown: for the sums `lowest`, `lowest` + 1 ...; the first for smaller ones too, the last for larger ones.
        lowest: see `shown`.
        ends: whether a sum once below 0 stays there.
    """

    steps: Int64[np.ndarray, " symbol"]
    shown: Int64[np.ndarray, " sum"]
    lowest: int
    ends: bool

    @property
    def n_locations(self) -> int:
        return 1  # all that it knows is the sum

    def show(self, words: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        """What is shown after each prefix, the empty one first."""
        place = np.clip(sums(self.steps, words, self.ends) - self.lowest, 0, len(self.shown) - 1)
        return self.shown[place]


def sums(
    steps: Int64[np.ndarray, " symbol"], words: Int64[np.ndarray, "word time"], ends: bool
) -> Int64[np.ndarray, "word prefix"]:
    """The sum after each prefix, the empty one first."""
    found = np.column_stack([np.zeros(len(words), np.int64), steps[words].cumsum(1)])
    if ends:
        below = np.logical_or.accumulate(found < 0, axis=1)
        found = np.where(below, -1, found)
    return found
