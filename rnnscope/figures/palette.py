"""The colours of figures, Okabe and Ito's, which stay apart for colour-blind readers; and what each role looks like:
never a colour alone, always a marker and a dash with it, so that a figure can be read in grey.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
SEQUENTIAL = "Cividis"
STABLE, UNSTABLE, NEUTRAL = COLOURS[0], COLOURS[1], "#7F7F7F"


class Look(NamedTuple):
    """How something is drawn, wherever it is drawn.

    Attributes:
        colour: of markers and lines.
        symbol: of markers; one that three dimensions have too.
        dash: of lines.
    """

    colour: str
    symbol: str
    dash: str


# What a point does to states nearby. The explorer's scripts have all but the last (ROLES in app/assets/a_state.js; a
# test holds them equal). Saddles differ by the number of their unstable directions.
ROLES: Mapping[str, Look] = MappingProxyType(
    {
        "stable": Look(COLOURS[0], "circle", "solid"),
        "saddle": Look(COLOURS[1], "diamond", "dash"),
        "repelling": Look(COLOURS[3], "x", "dot"),
        "marginal": Look(COLOURS[2], "square", "longdashdot"),
        "at a kink": Look("#555555", "diamond-open", "longdash"),
        "saddle of 2": Look(COLOURS[4], "square-open", "dashdot"),
        "saddle of more": Look("#7A3E00", "cross", "dot"),
        "slow": Look(COLOURS[5], "circle-open", "dot"),
    }
)

# Of series that have an order and no role: targets, outputs, states of a machine, attractors. Eight colours, six dashes
# and eight markers: the first 24 differ in each pair of them.
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "diamond", "square", "x", "cross", "circle-open", "diamond-open", "square-open")
# Letters on a filled colour: black or white, whichever is read more easily.
_DARK = frozenset({COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[6], "#555555", "#7A3E00", NEUTRAL})


def series_look(number: int) -> Look:
    """How the `number`-th of a series is drawn, the same in every figure.

    Example:
        >>> series_look(0), series_look(8).colour == series_look(0).colour
        (Look(colour='#0072B2', symbol='circle', dash='solid'), True)
        >>> series_look(8).dash
        'dot'
    """
    return Look(COLOURS[number % 8], _SYMBOLS[(number + number // 8) % 8], _DASHES[number % 6])


def ink_on(colour: str) -> str:
    """The colour of letters that are read on a colour of the palette."""
    return "#FFFFFF" if colour in _DARK else "#222222"
