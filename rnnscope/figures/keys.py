"""The legend as part of the page: beside or below the panels, never over data."""

from dataclasses import dataclass
from typing import Any

from rnnscope.figures.text import text_height, text_width, wrap

_GREY = "#7F7F7F"
_AREAS = ("bar", "histogram", "box", "violin")
# The most of a page's width that a legend beside the panels takes.
_BESIDE = 0.34


@dataclass(frozen=True)
class Entry:
    """A line of the legend: its name, and the traces that draw its sign, or none for a heading."""

    name: str
    signs: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Key:
    """A legend laid out: its size, and each entry with its place from the upper left corner, all in pixels."""

    width: float
    height: float
    placed: tuple[tuple[Entry, float, float], ...]
    below: bool


def entries(data: list[dict[str, Any]], layout: dict[str, Any]) -> list[Entry]:
    """What plotly's legend would show, in its order."""
    if layout.get("showlegend") is False:
        return []
    able = [t for t in data if t.get("type", "scatter") not in ("heatmap", "contour", "cone") or t.get("showlegend")]
    shown = [t for t in able if t.get("showlegend") is not False and t.get("visible", True) is True]
    alone = len(shown) == 1 and not shown[0].get("showlegend") and not layout.get("showlegend")
    if alone:
        return []
    found, headed = [], set()
    for trace in shown:
        heading = (trace.get("legendgrouptitle") or {}).get("text")
        group = trace.get("legendgroup")
        if heading and group not in headed:
            headed.add(group)
            found.append(Entry(heading + ":", ()))
        if trace.get("name"):
            found.append(Entry(trace["name"], (trace,)))
    return found


def lay_out_key(
    found: list[Entry], page: tuple[float, float], size: float, free: tuple[float, float], *, square: bool
) -> Key | None:
    """The legend where it leaves most room for the panels.

    Args:
        found: the entries.
        page: width and height in pixels.
        size: of the text, in pixels.
        free: width and height without what else surrounds panels.
        square: whether the panel has equal scales, so that its shorter side counts.
    """
    if not found:
        return None
    width, height = page
    below, beside = _below(found, width, size), _beside(found, width, size)
    if beside.height > 0.95 * height:
        return below

    def room(key: Key) -> float:
        wide, high = (free[0], free[1] - key.height) if key.below else (free[0] - key.width, free[1])
        # Ticks and titles take about five letters of the width and four of the height.
        wide, high = wide - 5 * size, high - 4 * size
        return min(wide, high) ** 2 if square else wide * high

    return max((below, beside), key=room)


def _sign(size: float) -> float:
    """The width of a sign with the gap behind it."""
    return 2.2 * size


def _below(found: list[Entry], width: float, size: float) -> Key:
    """In rows, as many columns as fit; each column as wide as its widest."""
    room = width - 2 * size
    named = [Entry(wrap(e.name, size, room - _sign(size)), e.signs) for e in found]
    wide = [text_width(e.name, size) + (_sign(size) if e.signs else 0) + 1.2 * size for e in named]
    n = len(named)
    while n > 1 and sum(max(wide[c::n]) for c in range(n)) - 1.2 * size > room:
        n -= 1
    columns = [max(wide[c::n]) for c in range(n)]
    placed, top = [], 0.3 * size
    for begin in range(0, len(named), n):
        row = named[begin : begin + n]
        high = max(text_height(e.name, size) for e in row)
        for c, entry in enumerate(row):
            placed.append((entry, size + sum(columns[:c]), top + text_height(entry.name, size) / 2))
        top += high
    return Key(width, top + 0.3 * size, tuple(placed), below=True)


def _beside(found: list[Entry], width: float, size: float) -> Key:
    """In one column."""
    room = _BESIDE * width - _sign(size) - size
    placed, top, wide = [], 0.5 * size, 0.0
    for entry in found:
        name = wrap(entry.name, size, room)
        high = text_height(name, size)
        placed.append((Entry(name, entry.signs), 0.5 * size, top + high / 2))
        wide = max(wide, text_width(name, size) + (_sign(size) if entry.signs else 0))
        top += high + 0.15 * size
    return Key(wide + size, top, tuple(placed), below=False)


def key_traces(key: Key, axes: tuple[str, str], size: float, colour: str) -> list[dict[str, Any]]:
    """The traces that draw it on axes of its own, whose units are pixels from its upper left corner."""
    common = {
        "type": "scatter", "xaxis": axes[0], "yaxis": axes[1], "showlegend": False, "hoverinfo": "skip",
        "cliponaxis": False,
    }  # fmt: skip
    drawn, words = [], {"x": [], "y": [], "text": []}
    for entry, left, middle in key.placed:
        for trace in entry.signs:
            drawn.extend(common | each for each in _drawn_sign(trace, left, -middle, size))
        words["x"].append(left + (_sign(size) if entry.signs else 0))
        words["y"].append(-middle)
        words["text"].append(entry.name)
    font = {"size": size, "color": colour}
    return [*drawn, common | words | {"mode": "text", "textposition": "middle right", "textfont": font}]


def _drawn_sign(trace: dict[str, Any], left: float, middle: float, size: float) -> list[dict[str, Any]]:
    kind, mode = trace.get("type", "scatter"), trace.get("mode", "lines")
    marker, line = trace.get("marker") or {}, trace.get("line") or {}
    opacity = {"opacity": trace.get("opacity", 1.0)}
    ends = {"x": [left, left + 1.6 * size], "y": [middle, middle]}
    centre = {"x": [left + 0.8 * size], "y": [middle]}
    if kind in _AREAS:
        edge = {
            "width": _one((marker.get("line") or {}).get("width"), 0),
            "color": _one((marker.get("line") or {}).get("color"), _GREY),
        }
        look = {
            "symbol": "square",
            "size": 0.85 * size,
            "color": _one(marker.get("color") or line.get("color"), _GREY),
            "line": edge,
        }
        look["opacity"] = _one(marker.get("opacity"), 1.0)
        return [{**centre, "mode": "markers", "marker": look, **opacity}]
    if trace.get("fill") not in (None, "none") and "markers" not in mode:
        band = {**ends, "mode": "lines", "line": {"width": 0.7 * size, "color": trace.get("fillcolor") or _GREY}}
        return [{**band, **opacity}, *([{**ends, "mode": "lines", "line": line}] if line.get("width", 1) else [])]
    drawn = []
    if "lines" in mode or kind == "contour":
        look = {k: line[k] for k in ("dash",) if k in line}
        look |= {"width": min(line.get("width") or 1.0, 0.5 * size), "color": _one(line.get("color"), _GREY)}
        drawn.append({**ends, "mode": "lines", "line": look, **opacity})
    if "markers" in mode and kind != "contour":
        edge = marker.get("line") or {}
        look = {
            "symbol": _one(marker.get("symbol"), "circle"), "color": _one(marker.get("color"), _GREY),
            "size": min(max(_one(marker.get("size"), 6.0), 0.5 * size), 0.85 * size),
            "line": {"color": _one(edge.get("color"), "#444444"), "width": _one(edge.get("width"), 0)},
        }  # fmt: skip
        drawn.append({**centre, "mode": "markers", "marker": look})
    return drawn


def _one(value: Any, otherwise: Any) -> Any:
    """A value that all points share; of many, the first that is a name or a number for it."""
    if isinstance(value, (list, tuple)) and value:
        value = value[0] if isinstance(value[0], str) or isinstance(otherwise, (int, float)) else None
    if isinstance(value, dict) or value is None:
        return otherwise
    if isinstance(otherwise, str) and not isinstance(value, str):
        return otherwise
    return value
