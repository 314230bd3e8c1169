"""The look of figures. Greek letters are Unicode: MathJax would have to be fetched."""

import plotly.graph_objects as go

from rnnscope.figures.palette import COLOURS

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
