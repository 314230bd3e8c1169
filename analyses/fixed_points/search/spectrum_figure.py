"""The eigenvalues of fixed points in the complex plane."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Complex, Integer

from rnnscope.analyses.fixed_points.search.parts import Starts
from rnnscope.analyses.fixed_points.search.root_search import FAILED, SLOW
from rnnscope.figures import NEUTRAL, mark_as_saying_little, new_figure
from rnnscope.figures.points import point_classes

# Eigenvalues that differ by less are one dot in any figure.
ALIKE = 1e-6


def spectrum_figure(
    eigenvalues: Complex[np.ndarray, "point eigenvalue"],
    n_unstable: Integer[np.ndarray, " point"],
    smooth: Bool[np.ndarray, " point"],
    marginal: Bool[np.ndarray, " point"],
    starts: Starts,
    numbers: Integer[np.ndarray, " point"],
) -> go.Figure:
    """Every eigenvalue of every point, by the point's unstable directions; without a point, how the starts ended."""
    n = len(eigenvalues)
    figure = new_figure(f"Eigenvalues at {n} fixed point{'' if n == 1 else 's'}", "Re λ", "Im λ")
    turn = np.linspace(0, 2 * np.pi, 241)
    circle = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
    figure.add_scatter(
        x=np.cos(turn), y=np.sin(turn), mode="lines", line=circle, name="|λ| = 1", hoverinfo="skip", showlegend=True
    )
    # WebGL only where SVG would be slow: a page can hold few WebGL figures.
    many = eigenvalues.size > 5000
    for label, members, look in point_classes(n_unstable, eigenvalues.shape[1], smooth, marginal):
        values = eigenvalues[members]
        which = np.broadcast_to(numbers[members][:, None], values.shape).ravel()
        open_ = look.symbol.endswith("-open")
        style = {
            "color": look.colour,
            "symbol": look.symbol,
            "size": 4 if many else 7,
            "opacity": 0.5 if many else 0.8,
            "line": {"width": 0 if many else 1.2 if open_ else 0.5, "color": look.colour if open_ else "white"},
        }
        figure.add_trace(
            {
                "type": "scattergl" if many else "scatter",
                "x": np.real(values).ravel(),
                "y": np.imag(values).ravel(),
                "mode": "markers",
                "name": f"{label} ({members.sum()})",
                "marker": style,
                "customdata": which,
                "hovertemplate": "point %{customdata}<br>λ = %{x:.4f} + %{y:.4f}i<extra></extra>",
            }
        )
    finite = eigenvalues[np.isfinite(eigenvalues)]
    reach = 1.12 * max(1.0, np.abs(np.imag(finite)).max(initial=0.0))
    left, right = 1.12 * min(-1.0, np.real(finite).min(initial=0.0)), 1.12 * max(1.0, np.real(finite).max(initial=0.0))
    figure.update_xaxes(range=[left, right], constrain="domain")
    figure.update_yaxes(range=[-reach, reach], scaleanchor="x", constrain="domain")
    figure.update_layout(legend={"itemsizing": "constant", "traceorder": "normal"})
    values = eigenvalues.ravel()
    if n == 1 and values.size and np.abs(values - values[0]).max() < ALIKE:
        value = f"{values[0].real:.3g}".replace("-", "−")  # one that stands alone is real
        mark_as_saying_little(figure, f"One fixed point; its {values.size} eigenvalues are all {value}.")
    if not n:
        mark_as_saying_little(figure, f"No fixed point found from {len(starts)} starts.")
        text = (
            f"<b>no fixed point found</b><br>{len(starts)} starts: {starts.count(SLOW)} ended slow, "
            f"{starts.count(FAILED)} failed<br>smallest q {starts.q.min():.1g}, wanted below {starts.tolerance:.1g}"
        )
        figure.add_annotation(x=0, y=0, text=text, showarrow=False, bgcolor="rgba(255,255,255,0.85)")
    return figure
