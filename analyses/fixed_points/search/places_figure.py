"""Fixed points where they are: on the principal axes of their own cloud."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.search.planes import plane_of
from rnnscope.figures import new_figure
from rnnscope.figures.points import add_points, point_classes
from rnnscope.figures.template import name_axes
from rnnscope.subjects.not_applicable import NotApplicable


def places_figure(
    points: Float[np.ndarray, "point unit"],
    n_unstable: Integer[np.ndarray, " point"],
    smooth: Bool[np.ndarray, " point"],
    marginal: Bool[np.ndarray, " point"],
    numbers: Integer[np.ndarray, " point"],
    dims: int | None,
) -> go.Figure:
    """The figure of `FixedPoints.places_figure`, which see."""
    if len(points) < 2:
        raise NotApplicable(f"{len(points) or 'no'} fixed point: one alone has no place among others")
    places, titles = plane_of(points, dims=dims)
    figure = new_figure(f"{len(points)} fixed points on their principal axes")
    hover = [f"{n} unstable direction{'' if n == 1 else 's'}" for n in n_unstable]
    classes = point_classes(n_unstable, points.shape[1], smooth, marginal)
    add_points(figure, places, classes, [str(number) for number in numbers], hover=hover)
    name_axes(figure, titles)
    return figure.update_layout(legend={"itemsizing": "constant", "traceorder": "normal"}, showlegend=True)
