"""The panels of a figure: its axes and scenes, with what belongs to each."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnscope.figures.ticks import values_of

_ROUND = 4  # digits to which edges of panels agree
_THREE = ("scatter3d", "cone", "surface", "mesh3d")


@dataclass
class Panel:
    """Axes, or a scene, and the room that they need around them, in pixels.

    Attributes:
        x, y: the names of the axes in the layout; of a scene, both its own.
        across, along: its share of the page as it was drawn, from left to right and from bottom to top.
        title: its title, an annotation.
        bars: colour bars, and what they belong to.
        left, right, top, bottom: the room around it.
    """

    x: str
    y: str
    across: tuple[float, float]
    along: tuple[float, float]
    title: dict[str, Any] | None = None
    bars: list[dict[str, Any]] = field(default_factory=list)
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    @property
    def scene(self) -> bool:
        return self.x.startswith("scene")


def panels_of(data: list[dict[str, Any]], layout: dict[str, Any]) -> list[Panel]:
    """The panels of a figure, with their titles and colour bars."""
    pairs: dict[tuple[str, str], None] = {}
    scenes = dict.fromkeys(name for name in layout if name.startswith("scene"))
    for trace in data:
        if "scene" in trace or trace.get("type") in _THREE:
            scenes[trace.get("scene", "scene")] = None
        else:
            pairs[axis_name(trace.get("xaxis", "x")), axis_name(trace.get("yaxis", "y"))] = None
    for name, axis in layout.items():
        if name.startswith("xaxis"):
            pairs.setdefault((name, axis_name(axis.get("anchor", "y"))), None)
    if scenes:
        pairs = {pair: None for pair in pairs if pair[0] in layout or any(is_on(t, pair) for t in data)}
    found = []
    for x, y in pairs:
        for name in (x, y):
            layout.setdefault(name, {})
        if not any(is_on(trace, (x, y)) for trace in data):
            # plotly forgets axes without traces, and puts what is written in them into another panel.
            nothing = {"x": [None], "y": [None], "xaxis": short_name(x), "yaxis": short_name(y), "showlegend": False}
            data.append({"type": "scatter", "mode": "markers", "marker": {"size": 1}, **nothing})
            for name in (x, y):
                layout[name] |= {"showticklabels": False, "ticks": ""}
        across = tuple(layout[x].get("domain") or (0.0, 1.0))
        along = tuple(
            layout[(layout[y].get("overlaying") and axis_name(layout[y]["overlaying"])) or y].get("domain")
            or (0.0, 1.0)
        )
        found.append(Panel(x, y, _rounded(across), _rounded(along)))
    for name in scenes:
        domain = layout.setdefault(name, {}).get("domain", {})
        found.append(Panel(name, name, _rounded(domain.get("x", (0, 1))), _rounded(domain.get("y", (0, 1)))))
    for panel in found:
        panel.title = _title_of(panel, layout)
    for trace in data:
        bar = _colour_bar(trace, layout)
        panel = next((p for p in found if is_on(trace, (p.x, p.y))), None)
        if bar is not None and panel is not None:
            panel.bars.append({"bar": bar, "ticks": _bar_words(trace, bar)})
    return found


def _rounded(ends: Any) -> tuple[float, float]:
    return round(float(ends[0]), _ROUND), round(float(ends[1]), _ROUND)


def axis_name(short: str) -> str:
    """Of "x2", "xaxis2"."""
    return f"{short[0]}axis{short[1:]}"


def is_on(trace: dict[str, Any], pair: tuple[str, str]) -> bool:
    if "scene" in trace or trace.get("type") in _THREE:
        return trace.get("scene", "scene") == pair[0]
    return (axis_name(trace.get("xaxis", "x")), axis_name(trace.get("yaxis", "y"))) == pair


def _title_of(panel: Panel, layout: dict[str, Any]) -> dict[str, Any] | None:
    """The annotation that stands above the middle of a panel."""
    middle, top = sum(panel.across) / 2, panel.along[1]
    for note in layout.get("annotations", ()):
        above = note.get("xref") == note.get("yref") == "paper" and note.get("yanchor") == "bottom"
        if above and abs(note["x"] - middle) < 0.01 and abs(note["y"] - top) < 0.01:
            return note
    return None


def _colour_bar(trace: dict[str, Any], layout: dict[str, Any]) -> dict[str, Any] | None:
    """The colour bar of a trace, made where plotly would show one; None if it has none."""
    for part in (trace, trace.get("marker") or {}, trace.get("line") or {}):
        if part.get("coloraxis"):
            axis = layout.setdefault(part["coloraxis"], {})
            return None if axis.get("showscale") is False or axis.get("placed") else axis.setdefault("colorbar", {})
    kind = trace.get("type", "scatter")
    if kind in ("heatmap", "contour", "surface", "cone") and trace.get("showscale", True):
        return trace.setdefault("colorbar", {})
    marker = trace.get("marker") or {}
    if marker.get("colorbar") and marker.get("showscale", True):
        return marker["colorbar"]
    return None


def _bar_words(trace: dict[str, Any], bar: dict[str, Any]) -> list[str]:
    words = values_of(bar.get("ticktext"))
    if not words and "z" in trace:
        numbers = np.array([v for row in rows_of(trace["z"]) for v in values_of(row) if isinstance(v, (int, float))])
        ends = (
            [float(numbers.min()), float(numbers.max())] if numbers.size and np.isfinite(numbers).all() else [0.0, 0.25]
        )
        words = [f"{v:.2g}".replace("-", "−") for v in ends]
    return [str(w) for w in words] or ["−0.25"]


def rows_of(values: Any) -> Any:
    return [values] if isinstance(values, dict) else values


def short_name(name: str) -> str:
    """Of "xaxis2", "x2"."""
    return name.replace("axis", "")


def drawn_on(name: str, letter: str, data: list[dict[str, Any]]) -> list[Any]:
    """The values that traces have on an axis; of a heatmap without them, the places of its cells."""
    found: list[Any] = []
    for trace in data:
        if "scene" in trace or axis_name(trace.get(f"{letter}axis", letter)) != name:
            continue
        values = values_of(trace.get(letter))
        if not values and "z" in trace:
            shape = shape_of(trace["z"])
            values = [-0.5, shape[letter == "x"] - 0.5]
        elif not values and letter == "x" and "y" in trace:
            values = list(range(len(values_of(trace["y"]))))
        found += values
        error = trace.get(f"error_{letter}") or {}
        if error.get("array") is not None:
            for value, by in zip(values, values_of(error["array"]), strict=False):
                if isinstance(value, (int, float)) and isinstance(by, (int, float)):
                    found += [value - by, value + by]
        if trace.get("type") == "bar" and trace.get("orientation", "v") == ("v" if letter == "y" else "h"):
            found.append(0.0)
    return found


def shape_of(z: Any) -> tuple[int, int]:
    if isinstance(z, dict):
        rows, columns = (int(part) for part in str(z["shape"]).split(","))
        return rows, columns
    return len(z), len(values_of(z[0])) if len(z) else 0
