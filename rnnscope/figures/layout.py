"""A figure laid out anew for a page: its panels, their ticks and titles, its colour bars and its legend.

Every element has its place on the page, in pixels, so that nothing depends on what is measured while it is drawn:
plotly's margins are zero, and the axes' domains are what is left when the labels, titles, colour bars and the legend
have theirs.
"""

from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rnnscope.figures.keys import Entry, Key, entries, key_traces, lay_out_key
from rnnscope.figures.labels import Frame, fit_labels, frame
from rnnscope.figures.lengths import PIXELS_PER_POINT
from rnnscope.figures.panels import Panel, drawn_on, is_on, panels_of, rows_of, shape_of, short_name
from rnnscope.figures.scaling import DRAWN_FONT, DRAWN_SIDE, Page, scale
from rnnscope.figures.text import text_height, text_width, wrap
from rnnscope.figures.ticks import ticks, values_of

# What the legend says where labels inside panels had no room.
LEFT_OUT = "labels left out for want of room: {}"
_MANY = 100
LEAST_PIXELS = 5 * PIXELS_PER_POINT  # the size of text below which journals take none
# How much farther a scene is seen from for each share of its side that text is larger than as drawn; by eye, at 85 mm.
_BACK = 16.0
_KEY_AXIS = "90"  # beyond any panel's
_TICK_LENGTH = 0.35  # sizes of the font
_TICKED = ("tickvals", "ticktext", "tickmode", "nticks", "dtick", "tickangle")
_TICK_FONT = 12.0  # of tick labels and legends, where other text has 14
_LEAST_SHARE = 0.25  # of the page, that panels keep whatever surrounds them
_SMALL = 600  # pixels of width under which the axes of a 3-D scene have fewer ticks


@dataclass(frozen=True)
class Track:
    """Where edges of panels were, and where they are now, in pixels."""

    was: tuple[float, ...]
    now: tuple[float, ...]

    def at(self, edge: float) -> float:
        return float(np.interp(edge, self.was, self.now))


def lay_out(figure: go.Figure, page: Page, *, title: bool) -> go.Figure:
    """A new figure for the page, with its title or without."""
    spec: dict[str, Any] = figure.to_dict()
    template = spec["layout"].pop("template", None)
    scale(spec, page)
    layout, data = spec["layout"], spec["data"]
    for unwanted in ("height", "width", "autosize", "updatemenus", "sliders"):
        layout.pop(unwanted, None)
    panels = panels_of(data, layout)
    _fonts(layout, page)
    heading = _heading(layout, page) if title else ""
    layout.pop("title", None)
    square = len(panels) == 1 and (panels[0].scene or "scaleanchor" in str(layout.get(panels[0].y)))
    bars = sum(len(p.bars) for p in panels)
    # Titles of a scene's axes stand beside it, to the left and to the right.
    beside = 4 * page.font * any(p.scene for p in panels)
    room = (page.width - 6 * page.font * bars - beside, page.height)
    shown = entries(data, layout)
    high = text_height(heading, 1.1 * page.font)
    # Once without a line that says what was left out, and once more with it where something was.
    for note in ((), (Entry(LEFT_OUT.format(_MANY), ()),)):
        tried, drawn, arranged = deepcopy((data, layout, panels))
        key = lay_out_key([*shown, *note], (page.width, page.height), page.size(_TICK_FONT), room, square=square)
        left_out = _fill(arranged, tried, drawn, page, *_solve(arranged, tried, drawn, page, key, high))
        if not left_out:
            break
        key = lay_out_key(
            [*shown, Entry(LEFT_OUT.format(left_out), ())],
            (page.width, page.height),
            page.size(_TICK_FONT),
            room,
            square=square,
        )
    data, layout = tried, drawn
    for axis in layout.values():
        if isinstance(axis, dict):
            axis.pop("_drawn", None)
    layout["showlegend"] = False
    if heading:
        layout["annotations"] = [*layout.get("annotations", ()), _title(heading, page)]
    if key is not None:
        data += _key_on_page(key, layout, page)
    layout |= {"width": page.width, "height": page.height, "autosize": False}
    layout["margin"] = {"l": 0, "r": 0, "t": 0, "b": 0, "pad": 0, "autoexpand": False}
    return go.Figure({"data": data, "layout": {**layout, "template": template}})


def _fill(
    panels: list[Panel], data: list[dict[str, Any]], layout: dict[str, Any], page: Page, across: Track, along: Track
) -> int:
    """Write all places, and fit what is written inside panels; how many labels had no room."""
    frames = {}
    for panel in panels:
        if panel.scene:
            continue
        _fit_cells(panel, data, (_length(across, panel.across), _length(along, panel.along)))
        pair = short_name(panel.x), short_name(panel.y)
        frames[pair] = _frame(panel, data, layout, across, along)
        if _labelled(pair, data, layout):
            _settle(layout[panel.x], frames[pair].x)
            _settle(layout[panel.y], frames[pair].y)
    _place(panels, layout, page, across, along)
    for trace in data:
        if "text" in trace.get("mode", ""):
            trace["textfont"] = {**trace.get("textfont", {}), "size": trace.get("textfont", {}).get("size", page.font)}
    return fit_labels(data, layout, frames, (0.0, 0.0, page.width, page.height), LEAST_PIXELS)


def _labelled(pair: tuple[str, str], data: list[dict[str, Any]], layout: dict[str, Any]) -> bool:
    """Whether something is written at data of these axes."""
    texts = ("text" in t.get("mode", "") and (t.get("xaxis", "x"), t.get("yaxis", "y")) == pair for t in data)
    notes = ((n.get("xref", "x"), n.get("yref", "y")) == pair for n in layout.get("annotations", ()))
    return any(texts) or any(notes)


def _settle(axis: dict[str, Any], ends: tuple[float, float]) -> None:
    """Write down the range for which labels are placed: plotly's own depends on the sizes of markers."""
    if axis.get("range") is None and axis.get("type") != "category" and ends[0] != ends[1]:
        axis["range"] = list(ends)
        axis.pop("autorange", None)


def _frame(panel: Panel, data: list[dict[str, Any]], layout: dict[str, Any], across: Track, along: Track) -> Frame:
    box = (across.at(panel.across[0]), along.at(panel.along[0]), across.at(panel.across[1]), along.at(panel.along[1]))
    drawn = drawn_on(panel.x, "x", data), drawn_on(panel.y, "y", data)
    return frame((layout[panel.x], layout[panel.y]), drawn, box)


def _fonts(layout: dict[str, Any], page: Page) -> None:
    """Sizes that plotly derives from the font's are written down: titles of axes are as large as the text."""
    layout["font"] = {**layout.get("font", {}), "size": page.font}
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            _axis_fonts(axis, page)
            axis["automargin"] = False
        if name.startswith("scene"):
            for letter in "xyz":
                _axis_fonts(axis.setdefault(f"{letter}axis", {}), page)
                axis[f"{letter}axis"]["nticks"] = 4 if page.width < _SMALL else 6


def _axis_fonts(axis: dict[str, Any], page: Page) -> None:
    given: Any = axis.get("title") or {}
    words: dict[str, Any] = {"text": given} if isinstance(given, str) else given
    axis["title"] = {**words, "font": {**words.get("font", {}), "size": page.font}}
    axis["tickfont"] = {**axis.get("tickfont", {}), "size": page.size(_TICK_FONT)}
    axis["ticklen"] = _TICK_LENGTH * page.font


def _heading(layout: dict[str, Any], page: Page) -> str:
    text = (layout.get("title") or {}).get("text") or ""
    return wrap(text, 1.1 * page.font, 0.96 * page.width)


def _title(heading: str, page: Page) -> dict[str, Any]:
    """The title as a note: plotly puts the first of several lines of a title above the page."""
    font = {"size": 1.1 * page.font}
    place = {"x": 0, "xref": "paper", "xanchor": "left", "xshift": 0.6 * page.font}
    place |= {"y": 1, "yref": "paper", "yanchor": "top", "yshift": -0.2 * page.font}
    return {"text": heading, "font": font, "showarrow": False, "align": "left", **place}


def _solve(
    panels: list[Panel], data: list[dict[str, Any]], layout: dict[str, Any], page: Page, key: Key | None, heading: float
) -> tuple[Track, Track]:
    """Where the edges of panels come to lie, after their ticks and titles were fitted to their sizes."""
    pad = 0.4 * page.font
    right = key.width if key is not None and not key.below else pad
    bottom = key.height if key is not None and key.below else pad
    top = (heading + 0.5 * page.font) if heading else pad
    written = {p.x: layout[p.x].get("title", {}).get("text", "") for p in panels if not p.scene}
    written |= {p.y: layout[p.y].get("title", {}).get("text", "") for p in panels if not p.scene}
    titles = {id(p): p.title["text"] for p in panels if p.title}
    across = along = Track((0.0, 1.0), (0.0, 1.0))
    for _ in range(4):  # room and what is fitted to it settle in two or three rounds
        across = _track(
            [p.across for p in panels], [(p.left, p.right) for p in panels], page.width, pad, right, page.font
        )
        along = _track(
            [p.along for p in panels], [(p.bottom, p.top) for p in panels], page.height, bottom, top, page.font
        )
        for panel in panels:
            size = (_length(across, panel.across), _length(along, panel.along))
            beside = (panel.left, panel.right)
            panel.left = panel.right = panel.top = panel.bottom = 0.0
            if not panel.scene:
                seen = _frame(panel, data, layout, across, along).box
                _fit(panel, data, layout, page, size, (seen[2] - seen[0], seen[3] - seen[1]), beside, written)
            panel.top += _fit_title(panel, titles, page, size[0])
            panel.right += _fit_bars(panel, page, size[1])
    return across, along


def _length(track: Track, ends: tuple[float, float]) -> float:
    return track.at(ends[1]) - track.at(ends[0])


def _track(
    spans: list[tuple[float, float]],
    needs: list[tuple[float, float]],
    length: float,
    before: float,
    after: float,
    font: float,
) -> Track:
    """Spread panels over a length: needs are kept, and what is left is shared as it was before."""
    starts, ends = {a for a, _ in spans}, {b for _, b in spans}
    edges = sorted(starts | ends)
    need_at = {e: max([n[0] for s, n in zip(spans, needs, strict=True) if s[0] == e], default=0.0) for e in edges}
    need_to = {e: max([n[1] for s, n in zip(spans, needs, strict=True) if s[1] == e], default=0.0) for e in edges}
    gaps = [a in ends and a not in starts and b in starts for a, b in pairwise(edges)]
    fixed = [
        need_to[a] + need_at[b] + 0.6 * font if gap else 0.0 for (a, b), gap in zip(pairwise(edges), gaps, strict=True)
    ]
    first, last = before + need_at[edges[0]], after + need_to[edges[-1]]
    free = max(length - first - last - sum(fixed), _LEAST_SHARE * length)
    whole = sum(b - a for (a, b), gap in zip(pairwise(edges), gaps, strict=True) if not gap) or 1.0
    now = [min(first, (1 - _LEAST_SHARE) * length)]
    for (a, b), gap, room in zip(pairwise(edges), gaps, fixed, strict=True):
        now.append(now[-1] + (room if gap else free * (b - a) / whole))
    return Track(tuple(edges), tuple(min(v, length) for v in now))


def _fit(
    panel: Panel,
    data: list[dict[str, Any]],
    layout: dict[str, Any],
    page: Page,
    size: tuple[float, float],
    seen: tuple[float, float],
    beside: tuple[float, float],
    written: dict[str, str],
) -> None:
    """Fit ticks and titles of its axes to the panel, of which equal scales may leave less to be seen, and note the room
    that they need."""
    for letter, name, length, part in (("x", panel.x, size[0], seen[0]), ("y", panel.y, size[1], seen[1])):
        axis = layout[name]
        if axis.get("visible") is False:
            continue
        drawn = drawn_on(name, letter, data)
        given = axis.setdefault("_drawn", {each: axis[each] for each in _TICKED if each in axis})
        for each in _TICKED:  # each round begins with what was drawn
            axis.pop(each, None)
        axis |= given
        small = axis["tickfont"]["size"]
        found = ticks(axis, letter, drawn, part, small)
        _set(axis, found.settings)
        if letter == "x" and "nticks" in axis and "scaleanchor" in str(layout.get(panel.y)):
            # Equal scales may widen what is seen of it: what will be written there is not known, but its length.
            axis["nticks"] = min(axis["nticks"], max(2, int(length / (text_width("−0.0", small) + small))))
        room = 0.0
        if axis.get("showticklabels") is not False:
            room = found.along + axis["ticklen"] + 0.35 * page.font
        elif axis.get("ticks") != "":
            room = axis["ticklen"]
        room_for = min(length, part * 1.2)
        if letter == "x":  # centred, it may reach over the axis as far as ticks and colour bars do on both sides
            room_for = length + 2 * min(beside)
        text = wrap(written[name], page.font, max(room_for, 4 * page.font)) if written[name] else ""
        if text:
            axis["title"] |= {"text": text, "standoff": 0.3 * page.font}
            room += text_height(text, page.font) + 0.25 * page.font
        if letter == "x":
            panel.bottom = room
            # The label at the end of an axis reaches over it by half.
            panel.right = max(panel.right, 0.6 * page.font)
        elif axis.get("side") == "right":
            panel.right = room
        else:
            panel.left = room
            panel.top = max(panel.top, 0.5 * axis["tickfont"]["size"])
    for note in layout.get("annotations", ()):
        if note.get("yref") == f"y{panel.y[5:]} domain" and note.get("y", 0) >= 1 and note.get("yanchor") == "bottom":
            panel.top = max(panel.top, text_height(note["text"], note["font"]["size"]) + 0.3 * page.font)


def _set(axis: dict[str, Any], settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if value is None:
            axis.pop(name, None)
        else:
            axis[name] = value


def _fit_title(panel: Panel, titles: dict[int, str], page: Page, width: float) -> float:
    if panel.title is None:
        return 0.0
    size = panel.title["font"]["size"]
    panel.title["text"] = wrap(titles[id(panel)], size, width + 0.7 * panel.left)
    return text_height(panel.title["text"], size) + 0.3 * page.font


def _fit_bars(panel: Panel, page: Page, height: float) -> float:
    """Size the colour bars of a panel; the room they take."""
    room = 0.0
    for each in panel.bars:
        bar = each["bar"]
        words = bar.get("title") or {}
        words = {"text": words} if isinstance(words, str) else words
        each.setdefault("written", (words.get("text") or "").replace("<br>", " "))
        text = wrap(each["written"], page.font, max(height, 4 * page.font))
        bar["title"] = {**words, "text": text, "side": "right", "font": {"size": page.font}}
        bar |= {"thickness": 0.8 * page.font, "ticklen": 0.3 * page.font, "xpad": 0, "ypad": 0, "outlinewidth": 0}
        size = page.size(_TICK_FONT)
        bar["tickfont"] = {**bar.get("tickfont", {}), "size": size}
        if bar.get("tickvals") is None:
            bar["nticks"] = max(2, min(6, int(height / (2.2 * size))))
        each["from"] = room + 0.6 * page.font
        wide = max(text_width(w, size) for w in each["ticks"])
        room = each["from"] + 1.3 * page.font + wide + (text_height(text, page.font) + 0.4 * page.font if text else 0)
    return room


def _place(panels: list[Panel], layout: dict[str, Any], page: Page, across: Track, along: Track) -> None:
    """Write the places of all panels, their titles and colour bars, and of what stood elsewhere on the page."""
    own = [id(p.title) for p in panels if p.title]
    for panel in panels:
        left, right = across.at(panel.across[0]) / page.width, across.at(panel.across[1]) / page.width
        low, high = along.at(panel.along[0]) / page.height, along.at(panel.along[1]) / page.height
        if panel.scene:
            layout[panel.x]["domain"] = {"x": [left, right], "y": [low, high]}
            _step_back(layout[panel.x], (right - left) * page.width, (high - low) * page.height, page)
        else:
            layout[panel.x]["domain"], layout[panel.y]["domain"] = [left, right], [low, high]
        if panel.title:
            panel.title |= {"x": (left + right) / 2, "y": high + 0.3 * page.font / page.height}
        for each in panel.bars:
            each["bar"] |= {
                "x": right + each["from"] / page.width, "xanchor": "left", "y": (low + high) / 2, "yanchor": "middle",
                "len": (high - low), "lenmode": "fraction",
            }  # fmt: skip
    alone = panels[0] if len(panels) == 1 and not panels[0].scene else None
    for note in [*layout.get("annotations", ()), *layout.get("shapes", ()), *layout.get("images", ())]:
        if id(note) in own:
            continue
        if (
            alone
            and note.get("xref") == note.get("yref") == "paper"
            and 0 <= note.get("x", 2) <= 1
            and 0 <= note["y"] <= 1
        ):
            # Tied to the axes, which equal scales may make smaller than their part of the page.
            note |= {"xref": f"{short_name(alone.x)} domain", "yref": f"{short_name(alone.y)} domain"}
        for letter, track, length in (("x", across, page.width), ("y", along, page.height)):
            if note.get(f"{letter}ref") == "paper":
                for name in (letter, f"{letter}0", f"{letter}1"):
                    if name in note:
                        note[name] = track.at(note[name]) / length


def _step_back(scene: dict[str, Any], width: float, height: float, page: Page) -> None:
    """See a scene from so far that the titles of its axes, which grow beside it, are inside."""
    shorter = min(width, height)
    # As drawn, a scene of 620 px had room for text of 14 px; a narrow one is cut at its sides, where the titles stand.
    larger = max(1.0, 1 + _BACK * (page.font / shorter - DRAWN_FONT / DRAWN_SIDE))
    farther = larger * max(1.0, 1.1 * larger * height / width)
    eye = scene.get("camera", {}).get("eye", {"x": 1.5, "y": 1.5, "z": 0.9})
    scene["camera"] = {**scene.get("camera", {}), "eye": {letter: farther * value for letter, value in eye.items()}}


def _fit_cells(panel: Panel, data: list[dict[str, Any]], size: tuple[float, float]) -> None:
    """Leave out what is written into the cells of a heatmap where it is wider or higher than they are."""
    for trace in data:
        if trace.get("type") != "heatmap" or not trace.get("texttemplate") or not is_on(trace, (panel.x, panel.y)):
            continue
        rows, columns = shape_of(trace["z"])
        words = [str(w) for row in rows_of(trace.get("text", ())) for w in values_of(row)] or ["0.00"]
        font = trace.get("textfont", {}).get("size", size[1])
        wide, high = max(text_width(w, font) for w in words), max(text_height(w, font) for w in words)
        if wide > size[0] / max(columns, 1) or 0.85 * high > size[1] / max(rows, 1):
            trace["texttemplate"] = ""


def _key_on_page(key: Key, layout: dict[str, Any], page: Page) -> list[dict[str, Any]]:
    """Axes for the legend, in pixels, and the traces that draw it there."""
    if key.below:
        left, top = 0.0, key.height
    else:
        left, top = page.width - key.width, page.height - max(0.0, (page.height - key.height) / 2)
    wide, high = min(key.width, page.width), min(key.height, page.height)
    bare = {"visible": False, "fixedrange": True, "automargin": False}
    layout[f"xaxis{_KEY_AXIS}"] = {
        **bare, "domain": [left / page.width, (left + wide) / page.width], "range": [0, wide],
        "anchor": f"y{_KEY_AXIS}",
    }  # fmt: skip
    layout[f"yaxis{_KEY_AXIS}"] = {
        **bare, "domain": [max(0.0, (top - high) / page.height), min(1.0, top / page.height)], "range": [-high, 0],
        "anchor": f"x{_KEY_AXIS}",
    }  # fmt: skip
    colour = layout.get("font", {}).get("color", "#222222")
    return key_traces(key, (f"x{_KEY_AXIS}", f"y{_KEY_AXIS}"), page.size(_TICK_FONT), colour)
