"""How the numbers of a state are laid out: by layer, and within one by what they are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """Numbers of a state that belong together, one for each unit of a layer.

    Attributes:
        layer: from 0, the one that is shown the input.
        name: "h", what the layer shows to the next and to a readout; "c", the memory of an LSTM.
        start, stop: where they stand in the state.
    """

    layer: int
    name: str
    start: int
    stop: int

    @property
    def n_units(self) -> int:
        return self.stop - self.start


def end_to_end(sizes: Sequence[int], names: Sequence[str]) -> tuple[Part, ...]:
    """The layout of a state of one layer whose parts have these sizes; empty ones are left out."""
    ends = np.cumsum(sizes).tolist()
    named = zip(names, sizes, ends, strict=True)
    return tuple(Part(0, name, end - size, end) for name, size, end in named if size)


def one_part(state_size: int) -> tuple[Part, ...]:
    """The layout of a state of which nothing more is known: every number is a unit."""
    return (Part(0, "h", 0, state_size),)
