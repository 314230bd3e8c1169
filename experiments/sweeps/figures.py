"""Figures of a sweep: a number over one setting or over two, with the spread of the networks at each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import plotly.graph_objects as go


def curve(x: Sequence[Any], values: Float[np.ndarray, " network"], title: str, x_title: str) -> "go.Figure":
    """A dot for each network, a line through the medians, and the middle half shaded; NaN is left out."""
    from rnnscope.figures import COLOURS, new_figure

    order = _order(x)
    numbers = all(_is_number(each) for each in order)
    places = np.array([float(each) if numbers else order.index(each) for each in x])
    known = np.isfinite(values)
    at = np.unique(places[known])
    low, middle, high = np.array(
        [np.quantile(values[known & (places == each)], [0.25, 0.5, 0.75]) for each in at]
    ).reshape(-1, 3).T  # fmt: skip
    figure, colour = new_figure(f"{title} over {x_title}"), COLOURS[0]
    figure.add_scatter(
        x=[*at, *at[::-1]], y=[*high, *low[::-1]], fill="toself", mode="none", fillcolor=colour, opacity=0.15,
        name="middle half", hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=places[known], y=values[known], mode="markers", marker={"color": colour, "size": 5, "opacity": 0.5},
        name="a network", hovertemplate=f"{x_title}: %{{x}}<br>{title}: %{{y:.4g}}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(x=at, y=middle, mode="lines", line={"color": colour, "width": 2}, name="median")
    figure.update_xaxes(title_text=x_title)
    if not numbers:
        figure.update_xaxes(tickvals=list(range(len(order))), ticktext=[str(each) for each in order])
    figure.update_yaxes(title_text=title)
    return figure


def phase_map(
    x: Sequence[Any], y: Sequence[Any], values: Float[np.ndarray, " network"], title: str, x_title: str, y_title: str
) -> "go.Figure":
    """The median of the networks at each pair of values; how many there are and their range in the text."""
    from rnnscope.figures import new_figure

    columns, rows = _order(x), _order(y)
    middle = np.full((len(rows), len(columns)), np.nan)
    text = [["no network" for _ in columns] for _ in rows]
    pairs = list(zip(y, x, strict=True))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            some = values[[pair == (row, column) for pair in pairs]]
            some = some[np.isfinite(some)]
            if len(some):
                middle[i, j] = np.median(some)
                text[i][j] = f"median {middle[i, j]:.4g} of {len(some)}, {some.min():.4g} to {some.max():.4g}"
    figure = new_figure(f"{title} over {x_title} and {y_title}")
    figure.add_heatmap(
        z=middle, x=[str(each) for each in columns], y=[str(each) for each in rows], text=text, colorscale="Viridis",
        colorbar={"title": {"text": title, "side": "right"}}, xgap=1, ygap=1,
        hovertemplate=f"{x_title}: %{{x}}<br>{y_title}: %{{y}}<br>%{{text}}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text=x_title, type="category")
    figure.update_yaxes(title_text=y_title, type="category")
    return figure


def _order(values: Sequence[Any]) -> list[Any]:
    """Each value once: numbers by size, then others by name."""
    numbers = sorted({each for each in values if _is_number(each)})
    return [*numbers, *sorted({each for each in values if not _is_number(each)}, key=str)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
