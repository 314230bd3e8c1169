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


def name_axes(figure: go.Figure, titles: list[str]) -> None:
    """Titles of one, two or three axes; three are a cube, seen from where all of them can be read."""
    if len(titles) == 3:
        axes = {
            f"{axis}axis": {"title": {"text": title}, "tickfont": {"size": 11}, "nticks": 6}
            for axis, title in zip("xyz", titles, strict=True)
        }
        view = {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.16}}
        figure.update_layout(
            scene={**axes, "aspectmode": "cube", "camera": view}, margin={"l": 0, "r": 0, "t": 50, "b": 10}
        )
    else:
        figure.update_xaxes(title_text=titles[0])
        figure.update_yaxes(title_text=titles[1] if len(titles) == 2 else "")
