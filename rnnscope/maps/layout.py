"""How the numbers of a state are laid out: by layer, and within one by what they are."""

from typing import NamedTuple


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


def one_part(state_size: int) -> tuple[Part, ...]:
    """The layout of a state of which nothing more is known: every number is a unit."""
    return (Part(0, "h", 0, state_size),)
