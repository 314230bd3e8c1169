"""How far points are from being marginal, where no continuous attractor was found."""

import numpy as np
import plotly.graph_objects as go

from rnnscope.analyses.fixed_points.manifolds.parts import Seeds
from rnnscope.figures import COLOURS, NEUTRAL, new_figure


def seeds_figure(seeds: Seeds) -> go.Figure:
    """How far the points that were found are from being marginal."""
    before = seeds.ratio is None  # of a result that was saved then
    title = "smallest |λ − 1|" if before else "rate of the slowest, in that of the others"
    figure = new_figure("No continuous attractor seen", "point, the nearest to marginal first", title)
    distance = seeds.distance if seeds.ratio is None else seeds.ratio
    distance = np.sort(distance[np.isfinite(distance)])
    shown = np.maximum(distance, 1e-12)
    rank = np.arange(1, len(shown) + 1)
    figure.add_scatter(x=rank, y=shown, mode="markers", marker={"color": COLOURS[0], "size": 6}, showlegend=False)
    low = min(seeds.margin, shown.min(initial=seeds.margin)) / 3
    high = 3 * max(seeds.margin, shown.max(initial=seeds.margin))
    figure.update_yaxes(type="log", range=[np.log10(low), np.log10(high)], exponentformat="power", dtick=1)
    figure.add_hline(
        y=seeds.margin,
        line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        # Unlike lines, texts on a logarithmic axis are placed by the logarithm.
        annotation={"text": f"margin {seeds.margin:g}", "font": {"color": NEUTRAL}, "y": np.log10(seeds.margin)},
    )
    figure.update_layout(margin={"l": 90})  # powers are wide
    if not len(shown):
        figure.add_annotation(
            text="no point with a slow and a fast direction", x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False
        )
    return figure
