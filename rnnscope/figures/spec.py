"""A file that says which figures to draw of which runs, read and checked.

runs = "demo/runs"                      # a folder of runs, beside this file, or several
style = "paper"                         # these three lines hold for all figures that say nothing else
formats = ["pdf", "html"]

[[figure]]                              # one figure of each run and drawing
name = "{run}-{figure}"                 # of the file
runs = ["flip*"]                        # names of runs, with * and ?; all if left out
where = "`fixed_points.n_stable` > 2"   # of these, those for which this holds in rs.table
draw = ["lyapunov", "fixed_points*"]    # names of drawings, with * and ?; "task" and "training" too
options = {dims = 2}

[[figure]]                              # several panels in one figure
name = "figure-1"
runs = ["flip-flop"]
width = "180mm"
letters = true
rows = [["training", {draw = "state_space", options = {dims = 2}}], ["automaton", {draw = "lyapunov", run = "dms"}]]
widths = [1, 2]
"""

import re
import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Gt, MinLen
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from rnnscope.drawing import Drawing
from rnnscope.figures.export import FORMATS
from rnnscope.figures.style import Style
from rnnscope.figures.style import style as style_of
from rnnscope.figures.task import task_figure
from rnnscope.figures.training import training_figure
from rnnscope.records import kinds
from rnnscope.records.files import MOST_TEXT, DamagedError, read
from rnnscope.registry import ANALYSES
from rnnscope.tasks.settings import one_line

# What is drawn of the run itself. Both are described as drawings are, and take a run in place of a result.
OF_RUNS = {
    "training": Drawing("training", "Training", training_figure),
    "task": Drawing("task", "A trial of the task", task_figure),
}
# What a name of a file may say of its run and figure.
PLACES = ("run", "figure", "task", "cell", "seed")
_LOOK = ("style", "width", "height", "font_size", "scale", "formats", "plotly")
_Size = str | Annotated[float, Gt(0)]
_Sizes = Annotated[list[Annotated[float, Gt(0)]], MinLen(1)]
_Formats = Annotated[list[Literal["png", "svg", "pdf", "html"]], MinLen(1)]
_STRICT = ConfigDict(extra="forbid", strict=False)


class _PanelTable(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    draw: str
    run: NotRequired[str]
    options: NotRequired[dict[str, Any]]


class _Look(TypedDict):
    style: NotRequired[str]
    width: NotRequired[_Size]
    height: NotRequired[_Size]
    font_size: NotRequired[_Size]
    scale: NotRequired[Annotated[float, Gt(0)]]
    formats: NotRequired[_Formats]
    plotly: NotRequired[Literal["inline", "shared"]]


class _EntryTable(_Look):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    name: str
    runs: NotRequired[str | list[str]]
    where: NotRequired[str]
    draw: NotRequired[str | list[str]]
    options: NotRequired[dict[str, Any]]
    rows: NotRequired[Annotated[list[Annotated[list[Any], MinLen(1)]], MinLen(1)]]
    letters: NotRequired[bool | list[str]]
    widths: NotRequired[_Sizes]
    heights: NotRequired[_Sizes]
    shared_legend: NotRequired[bool]
    shared_camera: NotRequired[bool]


class _SpecTable(_Look):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    runs: NotRequired[str | list[str]]
    out: NotRequired[str]
    figure: Annotated[list[dict[str, Any]], MinLen(1)]


_SPEC, _ENTRY, _PANEL = TypeAdapter(_SpecTable), TypeAdapter(_EntryTable), TypeAdapter(_PanelTable)


@dataclass(frozen=True)
class Look:
    """How a figure is drawn: its style, the pixels of a PNG for each CSS pixel, its formats, and where HTML has
    plotly.js."""

    style: Style
    scale: float
    formats: tuple[str, ...]
    plotly: Literal["inline", "shared"]


@dataclass(frozen=True)
class Panel:
    """One drawing: its name in files; the run, if it is not that of the figure; and its options."""

    draw: str
    run: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One [[figure]] of the file.

    Attributes:
        where_from: file, line and name, for messages.
        name: pattern of the names of files.
        runs, where: which runs; "" for no query.
        draw: patterns of drawings, of which each makes a figure; None for a figure of `rows`.
        options: of the drawings of `draw`.
        rows: of panels; an inner list is rows again.
        grid: what `figure_grid` is told beside rows and style.
        look: how it is drawn.
        plain: what the file says of it, with what holds for all.
    """

    where_from: str
    name: str
    runs: tuple[str, ...]
    where: str
    draw: tuple[str, ...] | None
    options: Mapping[str, Any]
    rows: tuple[Any, ...]
    grid: Mapping[str, Any]
    look: Look
    plain: Mapping[str, Any]


@dataclass(frozen=True)
class Spec:
    """A file of figures: where its runs are, where figures go, and what they are."""

    path: Path
    runs: tuple[Path, ...]
    out: Path
    entries: tuple[Entry, ...]


def read_spec(path: Path) -> Spec:
    """Read and check the whole file; of runs it knows nothing yet.

    Raises:
        ValueError: what is wrong: with the line, the reason and the remedy; all mistakes, one after another.

    Example:
        `read_spec(Path("figures.toml")).entries[0].name`
    """
    try:
        text = read(path, MOST_TEXT).decode()
        plain = tomllib.loads(text)
    except DamagedError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply: write plain tables") from None
    except ValueError as error:
        raise ValueError(f"{path} is no valid TOML: {' '.join(str(error).split())}") from None
    try:
        _SPEC.validate_python(plain)
    except ValidationError as error:
        raise ValueError(f"{path}: {one_line(error)}; it takes {', '.join(_SpecTable.__annotations__)}") from None
    lines = [n for n, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*figure\s*\]\]", line)]
    entries, mistakes = [], []
    common = {key: plain[key] for key in _LOOK if key in plain}
    for number, table in enumerate(plain["figure"]):
        line = f", line {lines[number]}" if number < len(lines) else ""
        where = f"{path}{line}, figure {table.get('name', number + 1)!r}"
        try:
            entries.append(_entry(table, {**common, **table}, where))
        except (ValueError, TypeError) as error:
            mistakes.append(f"{where}: {error}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    folder = path.parent
    runs = [plain.get("runs", "runs")] if isinstance(plain.get("runs", "runs"), str) else plain["runs"]
    return Spec(path, tuple(folder / each for each in runs), folder / plain.get("out", "figures"), tuple(entries))


def _entry(own: Mapping[str, Any], table: Mapping[str, Any], where: str) -> Entry:
    try:
        _ENTRY.validate_python(dict(own))
    except ValidationError as error:
        known = ", ".join(_EntryTable.__annotations__)
        raise ValueError(f"{one_line(error)}; a figure takes {known}") from None
    if ("draw" in table) == ("rows" in table):
        raise ValueError("say `draw` for one figure of each run and drawing, or `rows` for panels in one figure")
    of_rows = [key for key in ("letters", "widths", "heights", "shared_legend", "shared_camera") if key in table]
    if "draw" in table and of_rows:
        raise ValueError(f"{', '.join(of_rows)} belong to a figure of `rows`, and this one has `draw`")
    if "rows" in table and "options" in table:
        raise ValueError("options belong to a panel: rows = [[{draw = '...', options = {...}}]]")
    draw = None
    if "draw" in table:
        patterns = [table["draw"]] if isinstance(table["draw"], str) else table["draw"]
        draw = tuple(dict.fromkeys(name for pattern in patterns for name in drawings_like(pattern)))
        for name in draw if len(draw) == 1 else ():
            _check_options(name, table.get("options", {}))
    rows = tuple(_rows(table["rows"])) if "rows" in table else ()
    _check_sizes(rows, table)
    _check_name(table["name"])
    runs = table.get("runs", "*") if "runs" in own else "*"
    return Entry(
        where,
        table["name"],
        (runs,) if isinstance(runs, str) else tuple(runs),
        table.get("where", ""),
        draw,
        table.get("options", {}),
        rows,
        {key: table[key] for key in of_rows},
        _look(table),
        dict(table),
    )


def drawings_like(pattern: str) -> list[str]:
    """The names of the drawings that a pattern with * and ? fits.

    Raises:
        ValueError: it fits none; the message names those that there are.
    """
    found = [name for name in all_drawings() if fnmatchcase(name, pattern)]
    if not found:
        raise ValueError(f"there is no drawing {pattern!r}; there are {', '.join(all_drawings())}")
    return found


def all_drawings() -> dict[str, Drawing]:
    """All drawings of all analyses, by their names in files, and those of the runs themselves."""
    if not ANALYSES:
        kinds.fill()
    drawn = {name: drawing for entry in ANALYSES.values() for name, drawing in entry.figures.items()}
    return {**OF_RUNS, **drawn}


def analysis_of(name: str) -> str:
    """The analysis whose result a drawing shows."""
    return next(key for key, entry in ANALYSES.items() if name in entry.figures)


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    all_drawings()[name].question.check(options)


def _rows(rows: Sequence[Any]) -> list[Any]:
    """Panels in place of names and tables."""
    return [tuple(_panel(each) for each in row) for row in rows]


def _panel(plain: Any) -> Any:
    if isinstance(plain, list):
        if not plain or not all(isinstance(row, list) and row for row in plain):
            raise ValueError(f"a list among panels is rows of panels again, as [['a'], ['b']], got {plain!r}")
        return _rows(plain)
    if plain == "":
        return None
    table: dict[str, Any] = {"draw": plain} if isinstance(plain, str) else plain
    try:
        _PANEL.validate_python(table)
    except ValidationError as error:
        raise ValueError(
            "a panel is a drawing's name, {draw = '...', run = '...', options = {...}}, or '' for an empty one: "
            f"{one_line(error)}"
        ) from None
    (name, *others) = drawings_like(table["draw"])
    if others:
        raise ValueError(f"a panel is one drawing, and {table['draw']!r} fits {name}, {', '.join(others)}")
    _check_options(name, table.get("options", {}))
    return Panel(name, table.get("run"), table.get("options", {}))


def _check_sizes(rows: Sequence[Any], table: Mapping[str, Any]) -> None:
    columns = sorted({len(row) for row in rows})
    if "heights" in table and len(table["heights"]) != len(rows):
        raise ValueError(f"there are {len(rows)} rows and {len(table['heights'])} heights: give one for each")
    if "widths" in table and len(table["widths"]) not in columns:
        raise ValueError(f"there are {len(table['widths'])} widths, and rows of {', '.join(map(str, columns))} panels")
    n = sum(1 for _ in panels_in(rows))
    if isinstance(table.get("letters"), list) and len(table["letters"]) != n:
        raise ValueError(f"there are {n} panels and {len(table['letters'])} letters: give one for each, or true")


def panels_in(rows: Sequence[Any]) -> list[Panel]:
    """All panels, row by row."""
    found: list[Panel] = []
    for row in rows:
        for each in row:
            found += [each] if isinstance(each, Panel) else [] if each is None else panels_in(each)
    return found


def _check_name(name: str) -> None:
    try:
        places = [place for _, place, _, _ in string.Formatter().parse(name) if place is not None]
    except ValueError as error:
        raise ValueError(f"name {name!r}: {error}") from None
    unknown = [place for place in places if place not in PLACES]
    if unknown or not name or set("/\\") & set(name):
        known = ", ".join(f"{{{place}}}" for place in PLACES)
        raise ValueError(f"name {name!r} is the name of a file without ending, in which {known} may stand")


def _look(table: Mapping[str, Any]) -> Look:
    style = style_of(table.get("style", "screen"), table.get("width"), table.get("height"), table.get("font_size"))
    formats = tuple(dict.fromkeys(table.get("formats", ["png"])))
    assert set(formats) <= set(FORMATS)
    return Look(style, float(table.get("scale", 2.0)), formats, table.get("plotly", "shared"))
