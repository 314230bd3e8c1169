"""The figure of a card as the page draws it."""

from typing import Any

from plotly.io.json import to_json_plotly

from rnnscope.app.cards.card import Drawn, Missing


def as_json(drawn: Drawn | Missing, of: str) -> str:
    """A figure with its title and summary, or why there is none: `missing`, and whether that is an error. What was
    zoomed stays while figures are drawn `of` the same."""
    if isinstance(drawn, Missing):
        return str(to_json_plotly({"missing": drawn.reason, "bad": drawn.applies and drawn.command is None}))
    # The card has a title and a size of its own.
    layout: dict[str, Any] = {**drawn.figure["layout"], "title": None, "width": None, "height": None, "autosize": True}
    layout["margin"] = {**layout.get("margin", {}), "t": 24}
    layout["uirevision"] = of
    figure = {"data": drawn.figure["data"], "layout": layout}
    return str(to_json_plotly({"figure": figure, "title": drawn.title, "summary": drawn.summary}))
