"""The look of figures, the training curve, and export to files.

Colours are Okabe and Ito's, which stay apart for colour-blind readers. Greek letters are Unicode: MathJax would
have to be fetched.
"""

import asyncio
import importlib.util
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from rnnscope.records.files import write_atomically

if TYPE_CHECKING:
    from rnnscope.records.runs import Run

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
SEQUENTIAL = "Cividis"
STABLE, UNSTABLE, NEUTRAL = COLOURS[0], COLOURS[1], "#7F7F7F"
FORMATS = ("png", "svg", "pdf", "html")
# The least and the greatest side in CSS pixels. Below, the margins leave no room for axes; above, a PNG of twice as
# many pixels does not fit the canvas of a browser (16384). Plotly draws 0 and negative ones at sizes of its choice.
LEAST, MOST = 200, 8000

_AXIS = {
    "showline": True,
    "linecolor": "#333333",
    "ticks": "outside",
    "gridcolor": "#E6E6E6",
    "zeroline": False,
    "title": {"standoff": 10},
}
_SPACE = {"backgroundcolor": "white", "gridcolor": "#DDDDDD", "linecolor": "#333333", "zeroline": False}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "Helvetica, Arial, sans-serif", "size": 14, "color": "#222222"},
        "title": {"font": {"size": 16}, "x": 0.02, "xanchor": "left"},
        "colorway": list(COLOURS),
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "scene": {"xaxis": _SPACE, "yaxis": _SPACE, "zaxis": _SPACE},
        "margin": {"l": 80, "r": 25, "t": 55, "b": 60},
        "legend": {"bgcolor": "rgba(255,255,255,0.8)"},
    }
)


def new_figure(title: str, x: str | None = None, y: str | None = None) -> go.Figure:
    """An empty figure in the house style; axis titles carry their units."""
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": title}})
    if x is not None:
        figure.update_xaxes(title_text=x)
    if y is not None:
        figure.update_yaxes(title_text=y)
    return figure


def training_figure(run: "Run") -> go.Figure:
    """Loss against training step, with the metrics of the task's criterion below."""
    from plotly.subplots import make_subplots

    history = run.history
    metrics = [c for c in run.task.criterion if np.isfinite(history.get(c.metric, np.array([]))).any()]
    rows = 1 + bool(metrics)
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    figure.update_layout(template=TEMPLATE, title={"text": f"Training of {run.name}"})
    step, loss = history.get("step", np.array([])), history.get("loss", np.array([]))
    figure.add_scatter(x=step, y=loss, mode="lines", name="loss", row=1, col=1, line={"color": COLOURS[0]})
    seen_loss = loss[np.isfinite(loss)]
    positive = bool(seen_loss.size > 0 and seen_loss.min() > 0)
    figure.update_yaxes(title_text="loss (log scale)" if positive else "loss", row=1, col=1)
    if positive:
        # Over a small range every digit is a tick; over a larger one 1, 2 and 5 are enough.
        ticks = "D2" if np.nanmax(loss) > 4 * np.nanmin(loss) else "D1"
        figure.update_yaxes(type="log", dtick=ticks, tickformat="~g", row=1, col=1)
    for index, criterion in enumerate(metrics):
        colour = COLOURS[(index + 1) % len(COLOURS)]
        values = history[criterion.metric]
        seen = np.isfinite(values)
        label = criterion.metric.replace("_", " ")
        figure.add_scatter(
            x=step[seen], y=values[seen], mode="lines+markers", name=label, row=2, col=1, line={"color": colour}
        )
        figure.add_scatter(
            x=step[[0, -1]],
            y=[criterion.threshold] * 2,
            mode="lines",
            name=f"wanted: {criterion.direction} {criterion.threshold:g}",
            row=2,
            col=1,
            line={"color": colour, "dash": "dash", "width": 1.5},
        )
    if metrics:
        title = metrics[0].metric.replace("_", " ") if len(metrics) == 1 else "metric"
        figure.update_yaxes(title_text=title, row=2, col=1)
    figure.update_xaxes(title_text="training step", row=rows, col=1)
    return figure


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
