"""Figures as files: PNG, SVG and PDF through one browser, HTML without."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

import plotly.graph_objects as go

from rnnscope.figures.browser import CannotDraw, Sheet, draw_sheets
from rnnscope.figures.page import PLOTLY_FILE, Plotly, check_plotly, html_page, plotly_script
from rnnscope.figures.style import Style, styled
from rnnscope.records.files import make_folder, write_atomically

FORMATS = ("png", "svg", "pdf", "html")
# The least and the greatest side in CSS pixels. Below, the margins leave no room for axes; above, a PNG of twice as
# many pixels does not fit the canvas of a browser (16384). Plotly draws 0 and negative ones at sizes of its choice.
LEAST, MOST = 200, 8000
# Of figures that say nothing else.
WIDTH, HEIGHT = 900, 620


def browser_path() -> str | None:
    """The Chromium or Chrome that draws PNG, SVG and PDF; None where there is none."""
    given = os.environ.get("BROWSER_PATH")
    if given:
        return given if Path(given).exists() else None
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"):
        found = shutil.which(name)
        if found:
            return found
    return None


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """Check the formats, and leave out those named twice.

    Raises:
        ValueError: an unknown format.
        CannotDraw: one that needs a browser where there is none.
    """
    formats = (formats,) if isinstance(formats, str) else tuple(formats)
    unknown = [f for f in formats if f not in FORMATS]
    if unknown or not formats:
        raise ValueError(
            f"unknown figure format {', '.join(map(repr, unknown)) or '(none)'}; known: {', '.join(FORMATS)}"
        )
    drawn = [f for f in formats if f != "html"]
    if drawn and importlib.util.find_spec("choreographer") is None:
        raise CannotDraw(
            f"{', '.join(drawn)} need choreographer: install it (pip install 'rnnscope[figures]'), or ask for html"
        )
    if drawn and browser_path() is None:
        raise CannotDraw(
            f"{', '.join(drawn)} need Chromium or Chrome, and none was found: install one (apt-get install chromium), "
            "set BROWSER_PATH to it, or ask for html"
        )
    return tuple(dict.fromkeys(formats))


def check_size(width: int, height: int) -> None:
    """Check the size of a figure.

    Raises:
        ValueError: a side is too small or too large to be drawn.
    """
    for name, value in (("width", width), ("height", height)):
        if not LEAST <= value <= MOST:
            why = "the axes need that much room" if value < LEAST else "a browser can draw no more"
            remedy = "; SVG and PDF can be enlarged without loss" if value > MOST else ""
            raise ValueError(f"{name} is in CSS pixels and must be from {LEAST} to {MOST}, got {value}: {why}{remedy}")


def write_figures(
    figures: Mapping[str, go.Figure] | Iterable[tuple[str, go.Figure]],
    folder: str | os.PathLike[str],
    formats: Iterable[str] = ("png",),
    *,
    width: int | None = None,
    height: int | None = None,
    style: Style | None = None,
    scale: float = 2.0,
    plotly: Plotly = "inline",
    tabs: int = 1,
    on_written: Callable[[str, list[Path]], None] | None = None,
) -> list[Path]:
    """Write every figure in every format, through one browser for all of them. Each file is put in place whole.

    The same figure gives the same SVG, PDF and HTML, where the browser and the fonts are the same. SVG and PDF have
    their true size, 96 CSS pixels to the inch.

    Args:
        figures: file name without ending -> figure; or pairs of these, which are asked for one after another as the
            browser gets to them, so that few are held at once.
        folder: the folder to write to, which is made if it is missing.
        formats: "png", "svg", "pdf", "html" (needs no network).
        width, height: in CSS pixels, from 200 to 8000; None takes each figure's own size, or 900 x 620. `scale`
            multiplies the pixels of a PNG.
        style: the size and the layout of PNG, SVG and PDF, in place of `width` and `height`; HTML stays as it was
            drawn, fills its window, and keeps a legend that can be clicked.
        plotly: of HTML, "inline" has plotly.js in every page, which then stands alone; "shared" has it once in the
            folder.
        tabs: how many figures the browser draws at once.
        on_written: called with a figure's name and files when they are written.

    Raises:
        ValueError: an unknown format, or a size that cannot be drawn.
        CannotDraw: there is no browser that runs.

    Example:
        `write_figures({"points": fps.figure()}, "figures", ("pdf", "html"))`
    """
    formats = check_formats(formats)
    check_plotly(plotly)
    if style is not None:
        if width is not None or height is not None:
            raise ValueError("a style has its own width and height: leave out width= and height=, or style=")
        width, height = style.width, style.height
    check_size(WIDTH if width is None else width, HEIGHT if height is None else height)
    folder = Path(folder)
    make_folder(folder)
    drawn = tuple(f for f in formats if f != "html")
    written: list[Path] = []
    if "html" in formats and plotly == "shared":
        write_atomically(folder / PLOTLY_FILE, plotly_script().encode())

    def put(name: str, contents: Mapping[str, bytes]) -> None:
        paths = [folder / f"{name}.{f}" for f in formats if f in contents]
        for path in paths:
            write_atomically(path, contents[path.suffix[1:]])
        written.extend(paths)
        if on_written is not None:
            on_written(name, paths)

    pages: dict[str, bytes] = {}

    def sheets() -> Iterator[tuple[str, Sheet]]:
        pairs = cast(Iterable[tuple[str, go.Figure]], figures.items() if isinstance(figures, Mapping) else figures)
        for name, figure in pairs:
            size = (width or figure.layout.width or WIDTH, height or figure.layout.height or HEIGHT)
            if "html" in formats:
                pages[name] = html_page(figure, name, plotly).encode()
            if drawn:
                yield name, Sheet(figure if style is None else styled(figure, style), drawn, *size, scale)
            else:
                put(name, {"html": pages.pop(name)})

    def take(name: str, contents: dict[str, bytes]) -> None:
        page = pages.pop(name, None)
        put(name, contents if page is None else {**contents, "html": page})

    if not drawn:
        for _ in sheets():
            pass
    elif not isinstance(figures, Mapping) or figures:
        draw_sheets(str(browser_path()), sheets(), take, tabs=tabs)
    return written
