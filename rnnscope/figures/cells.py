"""One figure as a cell of a larger one: everything in it moved and renamed, so that it draws as it did alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# What plotly takes where a figure does not say, in pixels or shares of the plot area.
_MARGIN = {"l": 80.0, "r": 80.0, "t": 100.0, "b": 80.0}
_LEGEND = {"x": 1.02, "y": 1.0, "xanchor": "left", "yanchor": "auto"}
# The kinds of axes of which a figure may have several, by the key in the layout: what traces call them, and whether
# their place is one domain or two.
_SUBPLOTS = ("scene", "polar", "ternary", "smith", "geo", "map")
_ON = {
    "scatterpolar": "polar", "scatterpolargl": "polar", "barpolar": "polar", "scatterternary": "ternary",
    "scattersmith": "smith", "scattergeo": "geo", "choropleth": "geo", "scattermap": "map", "choroplethmap": "map",
    "densitymap": "map",
}  # fmt: skip
_WITH_A_DOMAIN = (
    "pie", "sunburst", "treemap", "icicle", "sankey", "table", "indicator", "parcoords", "parcats", "funnelarea"
)  # fmt: skip
# How wide a letter is on average, in its size, and what stands before the text of a legend, in pixels: both a little
# more than measured, as room that is too large is better than text that is cut.
_LETTER, _SYMBOL = 0.56, 45.0
_OF_AXES = re.compile(r"([xy])axis(\d*)")


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the page: its left, its bottom, its width, its height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Place:
    """Where the plot area of a cell lies, in shares of the page: paper (u, v) of the cell is
    (x + u width, y + v height) of the page.

    Attributes:
        x, y, width, height: of the plot area.
        cell: the whole cell with its margins, in shares of the page too.
    """

    x: float
    y: float
    width: float
    height: float
    cell: tuple[float, float, float, float]

    def across(self, u: float | int) -> float:
        """Where a share of the cell's plot area lies on the page, from left to right."""
        return _rounded(self.x + u * self.width)

    def up(self, v: float | int) -> float:
        """The same from bottom to top."""
        return _rounded(self.y + v * self.height)


def _rounded(share: float | int) -> float:
    """A share without what sums leave behind: -4e-17 is no place on a page."""
    return round(share, 9) + 0.0


def place_of(layout: dict[str, Any], data: list[dict[str, Any]], box: Box, page: tuple[float, float]) -> Place:
    """Where the plot area of a figure lies if it is drawn within the box: what its margins, and legends and colour bars
    beside it, leave.

    Raises:
        ValueError: they leave nothing.
    """
    room = margins(layout, data)
    wide, high = box.width - room["l"] - room["r"], box.height - room["t"] - room["b"]
    if wide < 10 or high < 10:
        raise ValueError(
            f"a cell of {box.width:.0f} x {box.height:.0f} px has no room for its axes, whose margins take "
            f"{room['l'] + room['r']:.0f} x {room['t'] + room['b']:.0f} px: make the figure larger, the text smaller, "
            "or leave the legend out"
        )
    w, h = page
    whole = (box.x / w, box.y / h, box.width / w, box.height / h)
    return Place((box.x + room["l"]) / w, (box.y + room["b"]) / h, wide / w, high / h, whole)


def margins(layout: dict[str, Any], data: list[dict[str, Any]]) -> dict[str, float]:
    """The margins that a figure will have, in pixels: those it asks for, and room for a legend and a colour bar to the
    right, as plotly adds it by itself in a figure that stands alone."""
    asked = {**(_of_template(layout).get("margin") or {}), **(layout.get("margin") or {})}
    room = {side: float(asked.get(side, normal)) for side, normal in _MARGIN.items()}
    if asked.get("autoexpand", True):
        beside = [_beside_legend(layout, data), *(_beside_bar(bar, layout) for bar in colour_bars(layout, data))]
        room["r"] = max(room["r"], *beside)
    return room


def _beside_legend(layout: dict[str, Any], data: list[dict[str, Any]]) -> float:
    legend = {**_LEGEND, **(layout.get("legend") or {})}
    names = [str(trace["name"]) for trace in data if shows_in_legend(trace, layout)]
    if len(names) < 2 and not any(trace.get("showlegend") for trace in data):
        return 0.0
    if not names or legend["x"] < 1 or legend["xanchor"] == "right" or legend.get("orientation") == "h":
        return 0.0
    return _SYMBOL + _text_width(names, (legend.get("font") or {}).get("size") or font_size(layout))


def shows_in_legend(trace: dict[str, Any], layout: dict[str, Any]) -> bool:
    """Whether a trace has an entry in the legend."""
    return layout.get("showlegend") is not False and trace.get("showlegend") is not False and bool(trace.get("name"))


def _beside_bar(bar: dict[str, Any], layout: dict[str, Any]) -> float:
    if bar.get("x", 1.02) < 1 or bar.get("orientation") == "h":
        return 0.0
    size = (bar.get("tickfont") or {}).get("size") or font_size(layout)
    title = (bar.get("title") or {}).get("text") or ""
    beside = (bar.get("title") or {}).get("side") == "right"
    labels = [str(text) for text in bar.get("ticktext") or ["−0.00"]]
    return (
        bar.get("thickness", 30) + 15 + max(_text_width(labels, size), 0 if beside else _text_width([title], size) / 2)
    )


def _text_width(texts: list[str], size: float) -> float:
    lines = [re.sub(r"<[^>]+>", "", line) for text in texts for line in text.split("<br>")]
    return max((len(line) for line in lines), default=0) * _LETTER * size


def font_size(layout: dict[str, Any]) -> float:
    """Of the text of a figure, in pixels."""
    return float((layout.get("font") or {}).get("size") or (_of_template(layout).get("font") or {}).get("size") or 12)


def _of_template(layout: dict[str, Any]) -> dict[str, Any]:
    return (layout.get("template") or {}).get("layout") or {}


def colour_bars(layout: dict[str, Any], data: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All colour bars that are drawn, to be read or changed."""
    heat = ("heatmap", "contour", "surface", "histogram2d", "cone", "streamtube", "volume", "isosurface", "mesh3d")
    for trace in data:
        if trace.get("type") in heat and trace.get("showscale", True) and not trace.get("coloraxis"):
            if trace["type"] == "contour" and (trace.get("contours") or {}).get("coloring") in ("none", "lines"):
                continue
            if trace["type"] != "mesh3d" or trace.get("intensity") is not None:
                yield trace.setdefault("colorbar", {})
        for part in (trace.get("marker"), trace.get("line")):
            if isinstance(part, dict) and part.get("showscale"):
                yield part.setdefault("colorbar", {})
    for name, axis in layout.items():
        if name.startswith("coloraxis") and isinstance(axis, dict) and axis.get("showscale", True):
            yield axis.setdefault("colorbar", {})


class Numbers:
    """What the axes, scenes, colour axes and legends of all cells are called on the page: each name once."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def new(self, kind: str) -> str:
        """The next name of a kind: "x", "x2", "scene", "scene2" ..."""
        self._taken[kind] = self._taken.get(kind, 0) + 1
        return kind if self._taken[kind] == 1 else f"{kind}{self._taken[kind]}"


def moved(
    spec: dict[str, Any], place: Place, numbers: Numbers, name: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The traces and the layout of a figure, moved to a place on a page and renamed.

    Args:
        spec: `data` and `layout` of the figure as plain values; it is used up.
        place: where it goes.
        numbers: the names that other cells have.
        name: of the cell, for the groups of its legend.
    """
    data, layout = spec["data"], spec["layout"]
    names = _new_names(data, layout, numbers)
    for trace in data:
        _rename_trace(trace, names, name)
        if layout.get("showlegend") is False:
            trace["showlegend"] = False
        if trace.get("type") in _WITH_A_DOMAIN:
            domain = trace.get("domain") or {}
            trace["domain"] = {
                "x": [place.across(u) for u in domain.get("x", (0, 1))],
                "y": [place.up(v) for v in domain.get("y", (0, 1))],
            }
    for bar in colour_bars(layout, data):
        _move_bar(bar, place)
    found: dict[str, Any] = {}
    for old, new in names.items():
        kind = re.sub(r"\d+$", "", old)
        if kind in ("x", "y"):
            axis = dict(layout.get(old[0] + "axis" + old[1:]) or {})
            found[new[0] + "axis" + new[1:]] = _moved_axis(axis, kind, place, names)
        elif kind == "coloraxis":
            found[new] = layout.get(old) or {}
        elif kind != "legend":
            inner = dict(layout.get(old) or {})
            domain = inner.get("domain") or {}
            inner["domain"] = {
                "x": [place.across(u) for u in domain.get("x", (0, 1))],
                "y": [place.up(v) for v in domain.get("y", (0, 1))],
            }
            found[new] = inner
    if layout.get("showlegend") is not False:
        found[names["legend"]] = _moved_legend(layout.get("legend") or {}, place)
    for part in ("annotations", "shapes", "images"):
        found[part] = [_moved_mark(dict(mark), part, place, names) for mark in layout.get(part) or ()]
    return data, found


def _new_names(data: list[dict[str, Any]], layout: dict[str, Any], numbers: Numbers) -> dict[str, str]:
    """Old -> new, of all axes, scenes and the like that the figure has."""
    old: set[str] = set()
    for key in layout:
        axis = _OF_AXES.fullmatch(key)
        old.update([axis[1] + axis[2]] if axis else [])
        old.update([key] if re.sub(r"\d+$", "", key) in (*_SUBPLOTS, "coloraxis") else [])
    for trace in data:
        old.update(_subplot_of(trace))
        old.update([trace["coloraxis"]] if trace.get("coloraxis") else [])
    drawn_on = {name for trace in data for name in _subplot_of(trace)}
    cartesian = {name for name in old if name[0] in "xy"}
    if not (cartesian & drawn_on or _marked_axes(layout)):
        # Nothing is drawn on them: alone, plotly leaves them out too, or shows an empty pair.
        old -= cartesian
    elif cartesian:
        old |= {"x", "y"} if not all(any(name[0] == kind for name in cartesian) for kind in "xy") else set()
    order = sorted(old, key=lambda name: (re.sub(r"\d+$", "", name), int(re.sub(r"\D", "", name) or 1)))
    names = {name: numbers.new(re.sub(r"\d+$", "", name)) for name in order}
    return {**names, "legend": numbers.new("legend")}


def _marked_axes(layout: dict[str, Any]) -> bool:
    """Whether marks stand in coordinates of axes, on which there may be no trace."""
    marks = [mark for part in ("annotations", "shapes", "images") for mark in layout.get(part) or ()]
    refs = [str(mark.get(key) or "x") for mark in marks for key in ("xref", "yref")]
    return any(ref not in ("paper", "container") for ref in refs)


def _subplot_of(trace: dict[str, Any]) -> tuple[str, ...]:
    """The names of the axes that a trace is drawn on."""
    kind = trace.get("type") or "scatter"
    if kind in ("scatter3d", "surface", "mesh3d", "cone", "streamtube", "volume", "isosurface"):
        return (trace.get("scene") or "scene",)
    if kind in _ON:
        key = "geo" if _ON[kind] == "geo" else "subplot"
        return (trace.get(key) or _ON[kind],)
    if kind in _WITH_A_DOMAIN:
        return ()
    return (trace.get("xaxis") or "x", trace.get("yaxis") or "y")


def _rename_trace(trace: dict[str, Any], names: dict[str, str], name: str) -> None:
    subplot = _subplot_of(trace)
    if len(subplot) == 2:
        trace["xaxis"], trace["yaxis"] = (names[each] for each in subplot)
    elif subplot:
        kind = re.sub(r"\d+$", "", subplot[0])
        trace["subplot" if kind in ("polar", "ternary", "smith", "map") else kind] = names[subplot[0]]
    if trace.get("coloraxis"):
        trace["coloraxis"] = names[trace["coloraxis"]]
    marker = trace.get("marker")
    if isinstance(marker, dict) and marker.get("coloraxis"):
        marker["coloraxis"] = names[marker["coloraxis"]]
    if trace.get("legendgroup"):
        trace["legendgroup"] = f"{name} {trace['legendgroup']}"
    trace["legend"] = names["legend"]


def _moved_axis(axis: dict[str, Any], kind: str, place: Place, names: dict[str, str]) -> dict[str, Any]:
    to = place.across if kind == "x" else place.up
    # An axis that lies over another one has its domain from there.
    if axis.get("overlaying") in (None, "free", False):
        axis["domain"] = [to(share) for share in axis.get("domain") or (0.0, 1.0)]
    for key in ("anchor", "overlaying", "matches", "scaleanchor"):
        if axis.get(key) in names:
            axis[key] = names[axis[key]]
    # Plotly's own choice is the first axis of the whole page.
    crossing = re.compile(r"y\d*" if kind == "x" else r"x\d*")
    others = [new for old, new in names.items() if crossing.fullmatch(old)]
    axis.setdefault("anchor", others[0] if others else "free")
    if axis.get("position") is not None:
        axis["position"] = (place.up if kind == "x" else place.across)(axis["position"])
    return axis


def _moved_legend(legend: dict[str, Any], place: Place) -> dict[str, Any]:
    full = {**legend, "x": legend.get("x", _LEGEND["x"]), "y": legend.get("y", _LEGEND["y"])}
    left, bottom, wide, high = place.cell
    full["x"] = left + full["x"] * wide if legend.get("xref") == "container" else place.across(full["x"])
    full["y"] = bottom + full["y"] * high if legend.get("yref") == "container" else place.up(full["y"])
    # Plotly anchors by thirds of the whole page what says nothing: here by those of the cell.
    if full.get("xanchor", "left") == "auto":
        full["xanchor"] = _third(legend.get("x", 1.02), ("left", "center", "right"))
    if full.get("yanchor", "auto") == "auto":
        full["yanchor"] = _third(legend.get("y", 1.0), ("bottom", "middle", "top"))
    return {**full, "xref": "paper", "yref": "paper"}


def _third(share: float, words: tuple[str, str, str]) -> str:
    return words[0] if share < 1 / 3 else words[1] if share <= 2 / 3 else words[2]


def _move_bar(bar: dict[str, Any], place: Place) -> None:
    across = bar.get("orientation") == "h"
    bar["x"] = place.across(bar.get("x", 0.5 if across else 1.02))
    bar["y"] = place.up(bar.get("y", 1.02 if across else 0.5))
    bar["xref"] = bar["yref"] = "paper"
    if bar.get("lenmode", "fraction") == "fraction":
        bar["len"] = bar.get("len", 1.0) * (place.width if across else place.height)


def _moved_mark(mark: dict[str, Any], part: str, place: Place, names: dict[str, str]) -> dict[str, Any]:
    """An annotation, shape or image: what is in paper coordinates moves, what is on axes is renamed."""
    keys = {"annotations": ("x", "y"), "images": ("x", "y"), "shapes": ("x0", "x1", "y0", "y1")}[part]
    normal = "paper" if part == "images" else None
    for kind in ("x", "y"):
        ref = mark.get(f"{kind}ref") or normal or kind
        own = [key for key in keys if key.startswith(kind)]
        if ref in ("paper", "container"):
            to, size = (place.across, place.width) if kind == "x" else (place.up, place.height)
            if mark.get(f"{kind}sizemode") == "pixel":  # of shapes: their corners are pixels from an anchor
                own = [f"{kind}anchor"]
            for key in own:
                if part == "annotations" or mark.get(key) is not None:
                    mark[key] = to(mark.get(key, 0.5))
            if part == "images":
                mark[f"size{kind}"] = mark.get(f"size{kind}", 0) * size
            mark[f"{kind}ref"] = "paper"
        else:
            axis, space, domain = str(ref).partition(" ")
            mark[f"{kind}ref"] = names.get(axis, axis) + space + domain
        tail = mark.get(f"a{kind}ref")
        if tail and tail != "pixel":
            axis, space, domain = str(tail).partition(" ")
            mark[f"a{kind}ref"] = names.get(axis, axis) + space + domain
    if part == "shapes" and mark.get("type") == "path" and "paper" in (mark["xref"], mark["yref"]):
        raise ValueError("a path in paper coordinates cannot be moved into a grid: draw it in coordinates of an axis")
    if isinstance(mark.get("legend"), str):
        mark["legend"] = names["legend"]
    return mark
