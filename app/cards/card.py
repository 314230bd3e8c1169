"""What a card is: one figure of a run on the page, and what it is drawn from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rnnscope.drawing import Drawing
from rnnscope.records.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Missing:
    """Why there is no figure: it can be made by a command, or does not apply to the run, or something is wrong, with
    options perhaps: `wrong` says at which field, "" at none in particular."""

    reason: str
    command: str | None = None
    applies: bool = True
    wrong: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """A figure as plain JSON values, what its title says, and the result in one line."""

    figure: dict[str, Any]
    title: str
    summary: str


@dataclass(frozen=True)
class Card:
    """One figure of a run.

    Attributes:
        name: its own name among all cards, which is part of the ids of the page.
        title: the title that people read.
        heading: the heading that it stands under.
        file: run -> what it is drawn from, None where there is nothing yet: it is drawn anew when this was written
            anew.
        draw: (what `read` gives, **options) -> the figure; raises NotApplicable where there is none of this kind.
        read: run -> what is drawn; may raise anything over a damaged file, which costs only this card.
        summary: what `read` gives -> the line below the figure.
        absent: run -> why there is no file, and how to make it.
        remedy: what helps where the file is damaged.
        wide: whether it needs the whole width of the page.
        drawing: whose options the figure takes; None where it takes none.
    """

    name: str
    title: str
    heading: str
    file: Callable[[Run], Path | None]
    draw: Callable[..., "go.Figure"]
    read: Callable[[Run], Any] = lambda run: run
    summary: Callable[[Any], str] = lambda _: ""
    absent: Callable[[Run], Missing] = lambda _: Missing("There is nothing to draw yet.")
    remedy: str = "restore it from a copy, or train the run anew"
    wide: bool = False
    drawing: Drawing | None = None


_DECLARED: dict[str, Card] = {}
# The cards that are no analysis's. `rnnscope.app.cards` fills this when it is imported.
DECLARED: Mapping[str, Card] = MappingProxyType(_DECLARED)


def declare(card: Card) -> None:
    """Put a card on the page.

    Raises:
        ValueError: another one has this name.
    """
    if card.name in _DECLARED:
        raise ValueError(f"there is a card {card.name!r} already: choose another name")
    _DECLARED[card.name] = card
