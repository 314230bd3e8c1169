"""Sizes of text, lines and markers in a figure, multiplied."""

from dataclasses import dataclass
from typing import Any

from rnnscope.figures.ticks import values_of

# The size of text in figures as they are drawn, in CSS pixels (template.py).
DRAWN_FONT = 14.0
DRAWN_SIDE = 550.0  # the shorter side of a 3-D scene, as drawn
# Text that is drawn smaller than the rest never gets smaller than this share of it: print has to be read.
_LEAST_TEXT = 0.8
# Widths and sizes that plotly takes where a figure names none.
_LINE, _MARKER = 2.0, 6.0
_LEAST_MARKER = 2.0  # CSS pixels: half a millimetre, and the least that can be told apart by colour


@dataclass(frozen=True)
class Page:
    """What a figure is laid out for: sides and text in CSS pixels, and factors of lines and markers."""

    width: float
    height: float
    font: float
    lines: float
    markers: float

    @property
    def text(self) -> float:
        """What sizes of text as drawn are multiplied by."""
        return self.font / DRAWN_FONT

    def size(self, drawn: float | None) -> float:
        """The size of text that was drawn with this one."""
        return max(_LEAST_TEXT * self.font, (drawn or DRAWN_FONT) * self.text)


def scale(spec: dict[str, Any], page: Page) -> None:
    """Scale all that has a size in the data and the layout of a figure, in place."""
    for trace in spec["data"]:
        _defaults(trace)
        _scale(trace, page, "")
        # Pads around bars' and cells' text are plotly's own; error bars have a cap of pixels.
        for error in ("error_x", "error_y"):
            if error in trace:
                trace[error]["thickness"] = trace[error].get("thickness", 2) * page.lines
                trace[error]["width"] = trace[error].get("width", 4) * page.lines
    for arrow in spec["layout"].get("annotations", ()):
        if arrow.get("showarrow", True):
            for name, normal in (("ax", -10), ("ay", -30)):
                if arrow.get(f"{name}ref", "pixel") == "pixel":
                    arrow[name] = arrow.get(name, normal) * page.text
            arrow["arrowwidth"] = max(0.5, arrow.get("arrowwidth", 2) * page.lines)
            for name in ("standoff", "startstandoff"):
                if name in arrow:
                    arrow[name] *= page.text
        arrow["font"] = {**arrow.get("font", {}), "size": arrow.get("font", {}).get("size", DRAWN_FONT)}
    for shape in spec["layout"].get("shapes", ()):
        shape["line"] = {**shape.get("line", {}), "width": shape.get("line", {}).get("width", 2)}
    _scale(spec["layout"], page, "")


def _defaults(trace: dict[str, Any]) -> None:
    """Write down what plotly would take, so that it is scaled too."""
    kind, mode = trace.get("type", "scatter"), trace.get("mode")
    three = kind == "scatter3d"
    if kind.startswith("scatter") and (mode is None or "lines" in mode):
        trace["line"] = {**trace.get("line", {}), "width": trace.get("line", {}).get("width", _LINE)}
    if kind.startswith("scatter") and (mode is None or "markers" in mode):
        size = trace.get("marker", {}).get("size", 8.0 if three else _MARKER)
        trace["marker"] = {**trace.get("marker", {}), "size": size}


def _scale(part: Any, page: Page, key: str) -> None:
    if isinstance(part, list):
        for each in part:
            _scale(each, page, key)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if name == "size" and key.endswith("font"):
            part[name] = page.size(float(value)) if isinstance(value, (int, float)) else value
        elif name == "size" and key == "marker":
            part[name] = _times(value, page.markers, _LEAST_MARKER)
        elif name == "width" and key == "line":
            part[name] = _times(value, page.lines)
        else:
            _scale(value, page, name)


def _times(value: Any, factor: float, least: float = 0.0) -> Any:
    """The value, or each of the values, times the factor; not below `least` unless it was."""
    if (isinstance(value, dict) and "bdata" in value) or hasattr(value, "dtype"):
        value = values_of(value)
    if isinstance(value, (list, tuple)):
        return [_times(v, factor, least) for v in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return max(value * factor, min(value, least))
    return value
