"""A figure laid out anew for a page of another size."""

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# The size of text in figures as they are drawn, in CSS pixels (template.py).
DRAWN_FONT = 14.0


@dataclass(frozen=True)
class Page:
    """What a figure is laid out for: sides and text in CSS pixels, and factors of lines and markers."""

    width: int
    height: int
    font: float
    lines: float
    markers: float

    @property
    def text(self) -> float:
        """What sizes of text as drawn are multiplied by."""
        return self.font / DRAWN_FONT


def lay_out(figure: go.Figure, page: Page, *, title: bool) -> go.Figure:
    """A new figure for the page, with its title or without."""
    spec: dict[str, Any] = figure.to_dict()
    _scale(spec["data"], page)
    layout = spec["layout"]
    template = layout.pop("template", None)
    _scale(layout, page)
    laid = go.Figure({"data": spec["data"], "layout": {**layout, "template": template}})
    laid.update_layout(width=page.width, height=page.height, font={"size": page.font}, autosize=False)
    if not title:
        laid.update_layout(title={"text": ""})
    margin = {side: (laid.layout.margin[side] or normal) * page.text for side, normal in MARGIN.items()}
    laid.update_layout(margin=margin)
    return laid


MARGIN = {"l": 80.0, "r": 25.0, "t": 55.0, "b": 60.0}


def _scale(part: Any, page: Page, key: str = "") -> None:
    """Scale what has a size, wherever it stands in the figure."""
    if isinstance(part, list):
        for each in part:
            _scale(each, page, key)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if name == "size" and key.endswith("font"):
                part[name] = value * page.text
            elif name == "size" and key == "marker":
                part[name] = value * page.markers
            elif name == "width" and key in ("line", "marker.line", "contours"):
                part[name] = value * page.lines
        else:
            _scale(value, page, name)
