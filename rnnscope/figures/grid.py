"""One figure of many: panels in rows and columns, with letters, in one style."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from rnnscope.figures.cells import Box, Numbers, moved, place_of
from rnnscope.figures.keys import Entry, Key, entries, key_traces, lay_out_key
from rnnscope.figures.lengths import PIXELS_PER_MM, PIXELS_PER_POINT
from rnnscope.figures.style import Style, styled
from rnnscope.figures.style import style as style_of
from rnnscope.figures.text import wrap
from rnnscope.registry import ANALYSES, COMPARISONS

# What holds for the whole page, so that panels cannot differ in it.
_OF_THE_PAGE = ("barmode", "bargap", "bargroupgap", "barnorm", "boxmode", "violinmode", "histogrammode")
# The gap between panels and the size of letters, in sizes of the text.
_GAP, _LETTER = 1.0, 1.3
# Text of a legend, in sizes of the text: as `styled` has it in a figure that stands alone.
_KEY = 12 / 14


@dataclass(frozen=True)
class _Cell:
    figure: go.Figure
    box: Box
    letter: str


def figure_grid(
    rows: Iterable[Iterable[Any]],
    *,
    letters: bool | Sequence[str] = False,
    style: Style | str = "screen",
    widths: Sequence[float | int] | None = None,
    heights: Sequence[float | int] | None = None,
    width: str | float | int | None = None,
    height: str | float | int | None = None,
    font_size: str | float | int | None = None,
    shared_legend: bool = False,
    shared_camera: bool = False,
) -> go.Figure:
    """Many figures in one. Each is laid out for its cell and then moved there whole: its axes, scenes, legend, colour
    bars and annotations keep their places in the cell.

    Args:
        rows: of panels. A panel is a figure, a result, (result, drawing), (result, drawing, options), None for an
            empty cell, or rows of panels again. A drawing is called as in files ("automaton-states") or as in its
            analysis ("states"); options are those of the drawing.
        letters: True for A, B, C ... in bold, or the letters.
        style: a style, or its name: "screen", "paper", "slides".
        widths: of the columns, in any unit; of equal size if None. Rows with another number of panels have equal ones.
        heights: of the rows, in any unit.
        width, height: of the whole, as "180mm" or in CSS pixels; by the style and the number of panels if None.
        font_size: in points; the style's if None.
        shared_legend: one legend below all panels, with each name once; what has the same name in two panels must look
            the same there.
        shared_camera: all 3-D panels are seen from where the first is seen.

    Raises:
        TypeError: a panel that is none of these.
        ValueError: no panels, widths or heights that do not fit, a cell too small for its axes, an unknown drawing, or
            panels that differ in what holds for a whole page (`barmode`).

    Example:
        `figure_grid([[fps, lya], [machine, (space, "state_space", {"dims": 2})]], letters=True, style="paper")`
    """
    panels = [[_panel(panel) for panel in row] for row in _checked(rows)]
    page = _page_style(panels, style, width, height, font_size)
    text = page.font_size * PIXELS_PER_POINT
    wide, high = page.width_mm * PIXELS_PER_MM, page.height_mm * PIXELS_PER_MM
    names = _letters(letters, sum(1 for _ in _figures(panels)))
    common = _shared_entries(panels) if shared_legend else []
    key = _key(common, wide, text)
    strip = key.height if key else 0.0
    whole = Box(0.0, strip, wide, high - strip)
    cells = _cells(panels, whole, _GAP * text, widths, heights, names)
    return _drawn(cells, page, (wide, high), text, common, shared_camera)


def _checked(rows: Any) -> list[list[Any]]:
    if isinstance(rows, str | Mapping | go.Figure) or not isinstance(rows, Iterable):
        raise TypeError(f"rows are lists of panels, as [[a, b], [c, d]], got {type(rows).__name__}")
    found = []
    for row in rows:
        if isinstance(row, str | Mapping | go.Figure) or not isinstance(row, Iterable):
            raise TypeError(f"a row is a list of panels, as [[a, b], [c, d]], got {type(row).__name__}")
        found.append(list(row))
    if not found or not all(found):
        raise ValueError("there are no panels: give rows of panels, as [[a, b], [c, d]], and None for an empty cell")
    return found


def _panel(panel: Any) -> Any:
    """A figure; None; or rows of these."""
    if panel is None or isinstance(panel, go.Figure):
        return panel
    if isinstance(panel, list):
        return [[_panel(each) for each in row] for row in _checked(panel)]
    parts: tuple[Any, ...] = panel if isinstance(panel, tuple) and panel else (panel,)
    result: Any = parts[0]
    drawing, options = (*parts[1:], None, None)[:2]
    if isinstance(panel, tuple) and len(panel) > 3:
        raise TypeError(f"a panel is (result, drawing, options), got {len(panel)} parts")
    made = getattr(result, "made", None)
    if made is None or not hasattr(result, "figure"):
        if drawing is None and hasattr(result, "figure"):
            return result.figure()
        raise TypeError(
            f"a panel is a figure, a result, (result, drawing, options), None or rows of panels, got "
            f"{type(result).__name__}"
        )
    return draw(result, drawing, options or {})


def draw(result: Any, drawing: str | None, options: Mapping[str, Any]) -> go.Figure:
    """A drawing of a result, by its name in files or in its analysis; its own figure if None.

    Raises:
        NotApplicable: the result has none of this kind.
        ValueError, TypeError: an unknown drawing, or options that it does not take.
    """
    kind = result.made.analysis
    entry = ANALYSES.get(kind) or COMPARISONS[kind]
    known = entry.figures
    wanted = kind if drawing is None else drawing
    name = wanted if wanted in known else f"{kind}-{wanted}"
    if name not in known:
        raise ValueError(f"{kind} has no drawing {wanted!r}; it has {', '.join(known)}")
    return known[name].draw(result, **options)


def _figures(panels: Any) -> Iterable[go.Figure]:
    for row in panels:
        for panel in row:
            if isinstance(panel, list):
                yield from _figures(panel)
            elif panel is not None:
                yield panel


def _page_style(
    panels: list[list[Any]],
    style: Style | str,
    width: str | float | int | None,
    height: str | float | int | None,
    font_size: str | float | int | None,
) -> Style:
    """The style of the whole page. Without a height, cells have the ratio of sides of the style."""
    found = style_of(style, width, None, font_size) if isinstance(style, str) else style
    if height is None and isinstance(style, str):
        columns = max(map(len, panels))
        height = f"{found.height_mm * len(panels) / columns}mm"
    if not isinstance(style, str):
        return found
    return style_of(style, f"{found.width_mm}mm", height, font_size)


def _letters(letters: bool | Sequence[str], n: int) -> list[str]:
    if letters is False:
        return [""] * n
    if letters is True:
        return [chr(ord("A") + k) if n <= 26 else f"A{k + 1}" for k in range(n)]
    if len(letters) != n:
        raise ValueError(f"there are {n} panels and {len(letters)} letters: give one for each, or letters=True")
    return [str(letter) for letter in letters]


def _cells(
    panels: list[list[Any]],
    box: Box,
    gap: float,
    widths: Sequence[float | int] | None,
    heights: Sequence[float | int] | None,
    letters: list[str],
) -> list[_Cell]:
    """Where each figure goes, row by row from the top."""
    names, found = iter(letters), []
    rows = _shares(heights, len(panels), box.height, gap, "heights", "rows")
    columns = {len(row) for row in panels}
    if widths is not None and len(widths) not in columns:
        raise ValueError(f"there are {len(widths)} widths, and rows of {', '.join(map(str, sorted(columns)))} panels")
    for row, (below, high) in zip(panels, rows, strict=True):
        fitting = widths if widths is not None and len(widths) == len(row) else None
        for panel, (left, wide) in zip(
            row, _shares(fitting, len(row), box.width, gap, "widths", "columns"), strict=True
        ):
            inner = Box(box.x + left, box.y + box.height - below - high, wide, high)
            if isinstance(panel, list):
                own = [next(names) for _ in _figures(panel)]
                found += _cells(panel, inner, gap, None, None, own)
            elif panel is not None:
                found.append(_Cell(panel, inner, next(names)))
    return found


def _shares(
    sizes: Sequence[float | int] | None, n: int, whole: float, gap: float, what: str, of: str
) -> list[tuple[float, float]]:
    """(begin, size) in pixels of each row or column."""
    sizes = [1.0] * n if sizes is None else list(sizes)
    if len(sizes) != n:
        raise ValueError(f"there are {n} {of} and {len(sizes)} {what}: give one for each")
    if not all(isinstance(size, int | float) and math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"{what} are numbers greater than 0, got {sizes}")
    free = whole - gap * (n - 1)
    lengths = [free * size / sum(sizes) for size in sizes]
    return [(sum(lengths[:k]) + gap * k, length) for k, length in enumerate(lengths)]


def _drawn(
    cells: list[_Cell],
    page: Style,
    size: tuple[float, float],
    text: float,
    common: list[Entry],
    shared_camera: bool,
) -> go.Figure:
    numbers, data, layout = Numbers(), [], {"annotations": [], "shapes": [], "images": []}
    for number, cell in enumerate(cells):
        spec, box = _laid_out(cell, page, text, keyless=bool(common))
        _agree(spec["layout"], layout, cell.letter or f"number {number + 1}")
        place = place_of(spec["layout"], spec["data"], box, size)
        layout.setdefault("template", spec["layout"].get("template"))
        title = _title(spec["layout"], place.cell, text, cell)
        traces, found = moved(spec, place, numbers, cell.letter or str(number + 1))
        for part in ("annotations", "shapes", "images"):
            layout[part] += found.pop(part)
        layout["annotations"] += title
        layout.update(found)
        data += traces
    if common:
        data += _shared_key(data, layout, common, text, size, numbers)
    if shared_camera:
        _share_camera(layout)
    figure = go.Figure({"data": data, "layout": layout})
    # All has its place: nothing may push it, as legends and axes do in a figure that stands alone.
    margin = {"l": 0, "r": 0, "t": 0, "b": 0, "pad": 0, "autoexpand": False}
    return figure.update_layout(
        width=size[0], height=size[1], margin=margin, font={"size": text}, title={"text": ""}, autosize=False
    )


def _laid_out(cell: _Cell, page: Style, text: float, *, keyless: bool) -> tuple[dict[str, Any], Box]:
    """The figure as plain values, in the style and for the room of its cell, and that room: below the letter."""
    title = _title_lines(cell, page, text)
    head = (_LETTER + 0.2 + 1.4 * max(0, len(title) - 1)) * text if cell.letter or title else 0.0
    box = Box(cell.box.x, cell.box.y, cell.box.width, cell.box.height - head)
    size = Style(
        page.name,
        box.width / PIXELS_PER_MM,
        max(box.height, 1.0) / PIXELS_PER_MM,
        page.font_size,
        page.line_scale,
        page.marker_scale,
        title=False,  # it becomes text of the cell
    )
    figure = go.Figure(cell.figure).update_layout(showlegend=False) if keyless else cell.figure
    spec = styled(figure, size).to_dict()
    spec["layout"]["title"] = {"text": "<br>".join(title)}
    return spec, box


def _title_lines(cell: _Cell, page: Style, text: float) -> list[str]:
    """The title of a panel, in lines that fit into it; none where the style has no titles."""
    title = str(cell.figure.layout.title.text or "") if page.title else ""
    if "<" in title.replace("<br>", ""):
        return title.split("<br>")
    room = cell.box.width - (2 * text if cell.letter else 0)
    return wrap(title.replace("<br>", " "), text, room).split("<br>") if title else []


def _title(layout: dict[str, Any], cell: tuple[float, float, float, float], text: float, of: _Cell) -> list[Any]:
    """The letter and the title of a panel, above it."""
    words = (layout.pop("title", None) or {}).get("text") or ""
    letter = f"<b>{of.letter}</b>" if of.letter else ""
    if not words and not letter:
        return []
    left, bottom, _, high = cell
    both = f'<span style="font-size: {_LETTER * text:.4g}px">{letter}</span>' + ("  " * bool(words and letter)) + words
    place = {"x": left, "y": bottom + high, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    return [{**place, "text": both, "showarrow": False, "align": "left", "font": {"size": text}, "borderpad": 0}]


def _agree(own: dict[str, Any], page: dict[str, Any], name: str) -> None:
    """Take over what holds for the whole page."""
    for key in _OF_THE_PAGE:
        if own.get(key) is not None and page.setdefault(key, own[key]) != own[key]:
            raise ValueError(
                f"panel {name} has {key} {own[key]!r} and another panel {page[key]!r}, and plotly knows one for a "
                "whole figure: draw them apart"
            )


def _shared_entries(panels: list[list[Any]]) -> list[Entry]:
    """The entries of the legends of all panels, each name once.

    Raises:
        ValueError: a name that has two looks.
    """
    found: dict[str, Entry] = {}
    for figure in _figures(panels):
        spec = figure.to_dict()
        for entry in entries(spec["data"], spec["layout"]):
            before = found.setdefault(entry.name, entry)
            if _look(before) != _look(entry):
                raise ValueError(
                    f"{entry.name!r} looks like {_look(before)} in one panel and like {_look(entry)} in another: they "
                    "cannot share a legend; give each its own, or draw them alike"
                )
    return list(found.values())


def _look(entry: Entry) -> tuple[Any, ...]:
    """What tells an entry from others, where all its points have it: colour, dash, symbol."""
    found = []
    for trace in entry.signs:
        line, marker = trace.get("line") or {}, trace.get("marker") or {}
        looks = (line.get("color"), line.get("dash"), marker.get("color"), marker.get("symbol"))
        found += [look for look in looks if isinstance(look, str)]
    return tuple(found)


def _key(shared: list[Entry], wide: float, text: float) -> Key | None:
    """The shared legend in rows as wide as the page: a page as low as this has no room beside its panels."""
    return lay_out_key(shared, (wide, 1.0), _KEY * text, (wide, 1.0), square=False)


def _shared_key(
    data: list[dict[str, Any]],
    layout: dict[str, Any],
    shared: list[Entry],
    text: float,
    size: tuple[float, float],
    numbers: Numbers,
) -> list[dict[str, Any]]:
    """The traces of the shared legend, below all panels, on axes in pixels."""
    styled_signs = {str(trace.get("name")): trace for trace in reversed(data) if trace.get("name")}
    drawn = [Entry(entry.name, (styled_signs[entry.name],) if entry.signs else ()) for entry in shared]
    key = _key(drawn, size[0], text)
    assert key is not None
    x, y = numbers.new("x"), numbers.new("y")
    bare = {"visible": False, "fixedrange": True, "automargin": False}
    layout[f"xaxis{x[1:]}"] = {**bare, "domain": [0, 1], "range": [0, size[0]], "anchor": y}
    layout[f"yaxis{y[1:]}"] = {**bare, "domain": [0, key.height / size[1]], "range": [-key.height, 0], "anchor": x}
    return key_traces(key, (x, y), _KEY * text, "#222222")


def _share_camera(layout: dict[str, Any]) -> None:
    scenes = sorted((key for key in layout if key.startswith("scene")), key=lambda key: int(key[5:] or 1))
    if scenes:
        camera = layout[scenes[0]].get("camera")
        for key in scenes[1:]:
            layout[key]["camera"] = camera
            if camera is None:
                del layout[key]["camera"]
