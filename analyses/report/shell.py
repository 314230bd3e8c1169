"""What every page of a report stands in: its look, its script, the figures' data, and plotly, all in one file."""

import html
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from rnnscope.figures.page import figure_json, in_script, packed_plotly
from rnnscope.figures.style import style, styled
from rnnscope.version import __version__

if TYPE_CHECKING:
    import plotly.graph_objects as go

# As wide as the page's column, in CSS pixels, as report.css has it.
_STYLE = style("screen", 898, 540)
# No request may leave the page. plotly.js compiles its shaders' wrappers, which is what unsafe-eval is for.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; worker-src blob:"
)


def whole_page(title: str, body: str, drawn: Sequence[str]) -> str:
    """The page of a report.

    Args:
        title: its title, as plain text.
        body: what is in it, as HTML.
        drawn: what `figure_place` collected while the body was made.
    """
    ours = files("rnnscope.analyses.report")
    look, script = ((ours / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    data = "\n".join(
        f'<script type="application/json" id="data-{number}">[{in_script(each)}]</script>'
        for number, each in enumerate(drawn)
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="rnnscope {__version__}">\n<style>\n{look}</style>\n</head>\n'
        f"<body>\n{body}\n{data}\n"
        f'<script type="text/plain" id="plotly">{packed_plotly()}</script>\n<script>\n{script}</script>\n'
        "</body>\n</html>\n"
    )


def figure_place(figure: "go.Figure", drawn: list[str]) -> str:
    """The place of a figure, which the script fills when it comes into view; its data are put to `drawn`."""
    drawn.append(figure_json(styled(figure, _STYLE)))
    title = figure.to_dict()["layout"].get("title", {}).get("text", "")
    words = html.escape(str(title).replace("<br>", " "))
    return f'<figure data-figure="{len(drawn) - 1}" aria-label="{words}" role="img"></figure>'
