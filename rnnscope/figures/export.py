"""Figures as files: PNG, SVG and PDF through one browser, HTML without."""

import asyncio
import importlib.util
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from rnnscope.records.files import write_atomically

FORMATS = ("png", "svg", "pdf", "html")
# The least and the greatest side in CSS pixels. Below, the margins leave no room for axes; above, a PNG of twice as
# many pixels does not fit the canvas of a browser (16384). Plotly draws 0 and negative ones at sizes of its choice.
LEAST, MOST = 200, 8000


class CannotDraw(ValueError):
    """The browser that PNG, SVG and PDF need is not there, or does not run; HTML needs none."""


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
    if drawn and importlib.util.find_spec("kaleido") is None:
        raise CannotDraw(
            f"{', '.join(drawn)} need kaleido: install it (pip install 'rnnscope[figures]'), or ask for html"
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
    figures: Mapping[str, go.Figure],
    folder: str | os.PathLike[str],
    formats: Iterable[str] = ("png",),
    *,
    width: int = 900,
    height: int = 620,
    scale: float = 2.0,
) -> list[Path]:
    """Write every figure in every format, through one browser for all of them. Each file is put in place whole.

    Args:
        figures: file name without ending -> figure.
        folder: the folder to write to, which is made if it is missing.
        formats: "png", "svg", "pdf", "html" (stands alone, needs no network).
        width, height: in CSS pixels, from 200 to 8000; `scale` multiplies the pixels of a PNG.

    Raises:
        ValueError: an unknown format, or a size that cannot be drawn.
        CannotDraw: there is no browser that runs.
    """
    formats = check_formats(formats)
    check_size(width, height)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    drawn = [f for f in formats if f != "html"]
    if "html" in formats:
        for name, figure in figures.items():
            path = folder / f"{name}.html"
            page = figure.to_html(include_plotlyjs=True, include_mathjax=False)
            write_atomically(path, page.encode())
            written.append(path)
    if drawn and figures:
        options = [{"format": f, "width": width, "height": height, "scale": scale} for f in drawn]
        # In a thread, as a notebook has an event loop of its own. (kaleido's own server waits for ever when the
        # browser does not start.)
        with ThreadPoolExecutor(1) as thread:
            written += thread.submit(asyncio.run, _draw(figures, folder, options)).result()
    return written


async def _draw(figures: Mapping[str, go.Figure], folder: Path, options: list[Any]) -> list[Path]:
    """Through one browser: starting one takes seconds, a figure a third of a second."""
    import kaleido
    from choreographer.errors import BrowserFailedError

    written = []
    try:
        async with kaleido.Kaleido(path=browser_path(), mathjax=False) as browser:
            for name, figure in figures.items():
                for each in options:
                    path = folder / f"{name}.{each['format']}"
                    write_atomically(path, await browser.calc_fig(figure, opts=each))
                    written.append(path)
    except BrowserFailedError as error:
        raise CannotDraw(
            f"{browser_path()} did not start as a browser: install Chromium or Chrome, set BROWSER_PATH to one that "
            "runs here, or ask for html"
        ) from error
    return written
