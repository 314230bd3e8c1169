"""Labels inside panels: moved a little, broken into lines, or left out and counted where there is no room for all."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

from rnnscope.figures.text import text_height, text_width, wrap
from rnnscope.figures.ticks import axis_range, values_of

Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels from the lower left corner

# Places tried around where a label was drawn, in its own widths and heights; the nearest first.
_SHIFTS = sorted(
    product((0.0, -0.55, 0.55, -1.05, 1.05), (0.0, -0.7, 0.7, -1.3, 1.3)), key=lambda s: 3 * abs(s[0]) + abs(s[1])
)
# A label is a name of something that is drawn: past so many of its heights nobody sees of what.
_FARTHEST = 2.2
# Where more labels than this share have no room, all are left out: the rest would look as if the others had none.
_MOST_LEFT_OUT = 0.25
_INK = 0.8  # of the height of a line, that letters cover


@dataclass(frozen=True)
class Frame:
    """A pair of axes on the page: their box, and what part of the data it shows.

    Attributes:
        box: of the axes as they are shown, in pixels.
        x, y: the values at its ends; exponents on logarithmic axes.
        names: the categories of each axis, where it has some.
        log: whether each axis is logarithmic.
    """

    box: Box
    x: tuple[float, float]
    y: tuple[float, float]
    names: tuple[list[Any], list[Any]]
    log: tuple[bool, bool]

    def at(self, letter: str, value: Any, *, raw: bool) -> float | None:
        """The pixel of a value; `raw` values of a logarithmic axis are no exponents."""
        k = letter == "y"
        names, (low, high) = self.names[k], (self.x, self.y)[k]
        if names and value in names:
            value = names.index(value)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        if raw and self.log[k]:
            if value <= 0:
                return None
            value = math.log10(value)
        begin, end = self.box[k], self.box[k + 2]
        return float(begin + (value - low) / (high - low) * (end - begin)) if high != low else (begin + end) / 2


def frame(axes: tuple[dict[str, Any], dict[str, Any]], drawn: tuple[list[Any], list[Any]], box: Box) -> Frame:
    """Where axes lie in the box that they were given: equal scales leave a part of it empty, or show more."""
    x_axis, y_axis = axes
    ends, names = [], []
    for axis, values in zip(axes, drawn, strict=True):
        words = list(dict.fromkeys(v for v in values if v is not None)) if axis.get("type") == "category" else []
        low, high = (-0.5, len(words) - 0.5) if words else axis_range(axis, values)
        given = axis.get("range")
        backwards = axis.get("autorange") == "reversed" or (given is not None and given[0] > given[1])
        ends.append((high, low) if backwards else (low, high))
        names.append(words)
    log = (x_axis.get("type") == "log", y_axis.get("type") == "log")
    left, bottom, right, top = box
    if x_axis.get("scaleanchor") or y_axis.get("scaleanchor"):
        spans = [abs(b - a) or 1.0 for a, b in ends]
        scale = min((right - left) / spans[0], (top - bottom) / spans[1])
        wide, high = scale * spans[0], scale * spans[1]
        place = {"left": 0.0, "bottom": 0.0, "right": 1.0, "top": 1.0}
        left += (right - left - wide) * place.get(x_axis.get("constraintoward", ""), 0.5)
        bottom += (top - bottom - high) * place.get(y_axis.get("constraintoward", ""), 0.5)
        right, top = left + wide, bottom + high
    return Frame((left, bottom, right, top), ends[0], ends[1], (names[0], names[1]), log)


def fit_labels(
    data: list[dict[str, Any]], layout: dict[str, Any], frames: dict[tuple[str, str], Frame], page: Box, least: float
) -> int:
    """Place the labels of all panels, in place; how many had to be left out.

    Args:
        data, layout: of the figure.
        frames: of each pair of axes, by plotly's short names.
        page: the box of the page.
        least: the least size of text in circles, in pixels.
    """
    taken: list[Box] = []
    left_out = 0
    _fit_circles(data, layout, frames, least)
    notes = [n for n in layout.get("annotations", ()) if n.get("text")]
    own = [n for n in notes if not _is_data(n)]
    for note in own:
        left_out += not _place_note(note, frames, page, taken, must=True)
    for trace in data:
        if "text" in trace.get("mode", "") and trace.get("type", "scatter") == "scatter":
            left_out += _place_texts(trace, frames, taken)
    taken += _circles(layout, frames)
    tied = [n for n in notes if _is_data(n)]
    gone = [n for n in tied if not _place_note(n, frames, page, taken, must=False)]
    if len(gone) > _MOST_LEFT_OUT * len(tied):
        gone = tied
    if gone:
        out = {id(n) for n in gone}
        layout["annotations"] = [n for n in layout["annotations"] if id(n) not in out]
    return left_out + len(gone)


def _is_data(note: dict[str, Any]) -> bool:
    return not any(word in f"{note.get('xref', 'x')} {note.get('yref', 'y')}" for word in ("paper", "domain"))


def _place_note(
    note: dict[str, Any], frames: dict[tuple[str, str], Frame], page: Box, taken: list[Box], *, must: bool
) -> bool:
    """Place an annotation; whether there was room. One that must stay is placed anyway."""
    at = _spot(note, frames, page)
    if at is None or note.get("showarrow", True):
        return True
    size, given = note["font"]["size"], note["text"]
    short = note.get("xref", "x").split(" ")[0]
    own = next((f.box for pair, f in frames.items() if pair[0] == short), page)
    given = wrap(given, size, own[2] - own[0] - size)
    wide = text_width(given, size)
    anchors = note.get("xanchor", "auto"), note.get("yanchor", "auto"), _paper_share(note)
    box = _box(given, size, at, *anchors)
    for text in dict.fromkeys([given, wrap(given, size, wide / 2 + size), wrap(given, size, wide / 3 + size)]):
        box = _box(text, size, at, *anchors)
        for right, up in _SHIFTS:
            dx, dy = right * (box[2] - box[0]), up * (box[3] - box[1])
            if math.hypot(dx, dy) > _FARTHEST * size and not must:
                continue
            moved = (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)
            moved, pushed = _pushed_in(moved, page)
            if not any(_meet(moved, other) for other in taken):
                taken.append(moved)
                note |= {"text": text, "xshift": note.get("xshift", 0) + dx + pushed[0]}
                note["yshift"] = note.get("yshift", 0) + dy + pushed[1]
                return True
    if must:
        taken.append(_pushed_in(box, page)[0])
    return must


def _paper_share(note: dict[str, Any]) -> tuple[float | None, float | None]:
    """By which plotly chooses the anchors "auto": the place on the page, or none."""
    on_page = [name == "paper" or "domain" in name for name in (note.get("xref", ""), note.get("yref", ""))]
    return float(note["x"]) if on_page[0] else None, float(note["y"]) if on_page[1] else None


def _spot(note: dict[str, Any], frames: dict[tuple[str, str], Frame], page: Box) -> tuple[float, float] | None:
    """The pixel that an annotation is tied to."""
    found = []
    names = [note.get("xref", "x"), note.get("yref", "y")]
    for k, (letter, name) in enumerate(zip("xy", names, strict=True)):
        value: Any = note.get(letter)
        if name == "paper":
            found.append(page[k] + value * (page[k + 2] - page[k]))
            continue
        short = name.split(" ")[0]
        mine = next((f for pair, f in frames.items() if pair[k] == short), None)
        if mine is None:
            return None
        if "domain" in name:
            found.append(mine.box[k] + value * (mine.box[k + 2] - mine.box[k]))
        else:
            found.append(mine.at(letter, value, raw=False))
    return None if None in found else (found[0], found[1])


def _box(
    text: str,
    size: float,
    at: tuple[float, float],
    xanchor: str,
    yanchor: str,
    share: tuple[float | None, float | None],
) -> Box:
    wide, high = text_width(text, size) + 2, text_height(text, size) * _INK
    if xanchor == "auto":
        xanchor = (
            "center" if share[0] is None or 1 / 3 <= share[0] <= 2 / 3 else "left" if share[0] < 1 / 3 else "right"
        )
    if yanchor == "auto":
        yanchor = (
            "middle" if share[1] is None or 1 / 3 <= share[1] <= 2 / 3 else "bottom" if share[1] < 1 / 3 else "top"
        )
    left = at[0] - wide * {"left": 0.0, "center": 0.5, "right": 1.0}[xanchor]
    low = at[1] - high * {"bottom": 0.0, "middle": 0.5, "top": 1.0}[yanchor]
    return left, low, left + wide, low + high


def _pushed_in(box: Box, page: Box) -> tuple[Box, tuple[float, float]]:
    """The box moved until it is on the page, and by how much."""
    by = []
    for k in (0, 1):
        by.append(max(page[k] + 1 - box[k], 0.0) or min(page[k + 2] - 1 - box[k + 2], 0.0))
    return (box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1]), (by[0], by[1])


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _place_texts(trace: dict[str, Any], frames: dict[tuple[str, str], Frame], taken: list[Box]) -> int:
    """Place the texts at the points of a trace; how many were left out."""
    mine = frames.get((trace.get("xaxis", "x"), trace.get("yaxis", "y")))
    words = trace.get("text")
    if mine is None or words is None or isinstance(words, str):
        return 0
    words = [str(w) for w in values_of(words)]
    xs, ys = values_of(trace.get("x")), values_of(trace.get("y"))
    given = trace.get("textposition", "middle center")
    places = [given] * len(words) if isinstance(given, str) else list(given)
    size = trace["textfont"]["size"]
    left_out = 0
    for i, (word, x, y) in enumerate(zip(words, xs, ys, strict=False)):
        spot = mine.at("x", x, raw=True), mine.at("y", y, raw=True)
        if not word or spot[0] is None or spot[1] is None:
            continue
        middle = places[i] == "middle center"
        for place in (
            [places[i]] if middle else dict.fromkeys([places[i], "bottom center", "middle right", "middle left"])
        ):
            up, side = place.split(" ")
            anchor = {"right": "left", "left": "right", "center": "center"}[side]
            off = {"top": 0.3 * size, "bottom": -0.3 * size, "middle": 0.0}[up]
            along = {"right": 0.3 * size, "left": -0.3 * size, "center": 0.0}[side]
            low = {"top": "bottom", "bottom": "top", "middle": "middle"}[up]
            box = _box(word, size, (spot[0] + along, spot[1] + off), anchor, low, (None, None))
            inside = middle or _within(box, mine.box)
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                places[i] = place
                break
        else:
            words[i] = ""
            left_out += 1
    trace["text"] = words
    if not isinstance(given, str) or any(p != given for p in places):
        trace["textposition"] = places
    return left_out


def _within(box: Box, frame: Box) -> bool:
    return frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _circles(layout: dict[str, Any], frames: dict[tuple[str, str], Frame]) -> list[Box]:
    """What circles cover: squares inside them, so that a label may touch a rim."""
    found = []
    for shape in layout.get("shapes", ()):
        mine = frames.get((shape.get("xref", "x"), shape.get("yref", "y")))
        if shape.get("type") == "circle" and mine is not None:
            xs = [mine.at("x", shape[name], raw=False) for name in ("x0", "x1")]
            ys = [mine.at("y", shape[name], raw=False) for name in ("y0", "y1")]
            if None not in xs + ys:
                (a, b), (c, d) = sorted(xs), sorted(ys)  # type: ignore[type-var]
                found.append((a + 0.15 * (b - a), c + 0.15 * (d - c), b - 0.15 * (b - a), d - 0.15 * (d - c)))
    return found


def _fit_circles(
    data: list[dict[str, Any]], layout: dict[str, Any], frames: dict[tuple[str, str], Frame], least: float
) -> None:
    """What stands in circles, as the states of a machine, is broken into lines and made smaller until it fits."""
    circles = [s for s in layout.get("shapes", ()) if s.get("type") == "circle"]
    mine = frames.get(("x", "y"))
    if not circles or mine is None:
        return
    pixels = (mine.box[2] - mine.box[0]) / abs(mine.x[1] - mine.x[0])
    across = 0.92 * min(abs(s["x1"] - s["x0"]) for s in circles) * pixels
    for trace in data:
        words = trace.get("text")
        if trace.get("mode") != "text+markers" or words is None or isinstance(words, str):
            continue
        words = [str(w) for w in values_of(words)]
        size = trace["textfont"]["size"]
        if max((text_width(w, size) for w in words), default=0) > across:
            words = [wrap(w, size, across) for w in words]
        widest = max((max(text_width(w, size), text_height(w, size)) for w in words), default=0)
        trace["text"] = words
        trace["textfont"] = {
            **trace["textfont"],
            "size": max(least, size * min(1.0, across / widest if widest else 1.0)),
        }
