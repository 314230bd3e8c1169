"""A figure as a page of HTML that asks nobody for anything."""

import base64
import functools
import gzip
import html
import json
from typing import Any, Literal

import plotly.graph_objects as go

# What plotly.js is told of every figure: no button that sends it away, no link to its makers.
LOOK = {"responsive": True, "displaylogo": False, "showSendToCloud": False}
PLOTLY_FILE = "plotly.min.js"
Plotly = Literal["inline", "shared"]


def html_page(figure: go.Figure, title: str, plotly: Plotly = "inline") -> str:
    """The page: the same figure gives the same text.

    Args:
        figure: what it shows; it fills the window unless it has a size of its own.
        title: of the page, for tabs and bookmarks.
        plotly: "inline" has plotly.js inside (4.6 MB), "shared" reads it from `plotly.min.js` in the same folder.
    """
    drawn = f'Plotly.newPlot("figure", {in_script(figure_json(figure))}, {json.dumps(LOOK)});'
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        "<style>html, body { height: 100%; margin: 0 }</style>\n"
        f'<script>window.PlotlyConfig = {{MathJaxConfig: "local"}};</script>\n{_script(plotly)}\n</head>\n<body>\n'
        f'<div id="figure" style="width: 100%; height: 100%"></div>\n<script>{drawn}</script>\n</body>\n</html>\n'
    )


def figure_json(figure: go.Figure) -> str:
    """The arguments `data, layout` as plotly.js takes them."""
    plain = json.loads(str(figure.to_json()))
    return ", ".join(json.dumps(plain.get(part, {}), separators=(",", ":")) for part in ("data", "layout"))


def in_script(text: str) -> str:
    """JSON as it may stand in a <script>, whatever texts are in it."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@functools.cache
def plotly_script() -> str:
    """plotly.js, as Python's plotly brings it along."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@functools.cache
def packed_plotly() -> str:
    """plotly.js, gzipped, as base64: a third of its size; always the same text."""
    return base64.b64encode(gzip.compress(plotly_script().encode(), mtime=0)).decode()


def _script(plotly: Any) -> str:
    if plotly == "shared":
        return f'<script src="{PLOTLY_FILE}" charset="utf-8"></script>'
    return f"<script>{plotly_script()}</script>"


def check_plotly(plotly: str) -> None:
    """Raise ValueError where it is neither "inline" nor "shared"."""
    if plotly not in ("inline", "shared"):
        raise ValueError(f"plotly is 'inline' (in every page) or 'shared' (once, in the folder), got {plotly!r}")
