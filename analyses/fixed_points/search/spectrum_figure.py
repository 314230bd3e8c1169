"""The eigenvalues of fixed points in the complex plane."""

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Complex, Integer

from rnnscope.analyses.fixed_points.search.parts import Starts
from rnnscope.analyses.fixed_points.search.root_search import FAILED, SLOW
from rnnscope.figures import COLOURS, NEUTRAL, STABLE, new_figure


def spectrum_figure(
    eigenvalues: Complex[np.ndarray, "point eigenvalue"],
    n_unstable: Integer[np.ndarray, " point"],
    smooth: Bool[np.ndarray, " point"],
    marginal: Bool[np.ndarray, " point"],
    starts: Starts,
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
    symbols = ("circle", "diamond", "square", "x", "triangle-up", "star")
    index = 0
    decided = smooth & ~marginal
    classes = _classes(np.where(decided, n_unstable, -1), len(symbols) - 1)
    if (smooth & marginal).any():
        classes.append(("marginal", smooth & marginal))
    if not smooth.all():
        classes.append(("at a kink of the map", ~smooth))
    for label, members in classes:
        values = eigenvalues[members]
        which = np.broadcast_to(np.nonzero(members)[0][:, None], values.shape).ravel()
        stable = label == "stable"
        kink = label in ("at a kink of the map", "marginal")
        index += not stable and not kink
        style = {
            "color": STABLE if stable else NEUTRAL if kink else COLOURS[index],
            "symbol": "circle" if stable else "cross" if kink else symbols[index],
            "size": 4 if many else 7,
            "opacity": 0.5 if many else 0.8,
            "line": {"width": 0 if many else 0.5, "color": "white"},
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
    if not n:
        text = (
            f"<b>no fixed point found</b><br>{len(starts)} starts: {starts.count(SLOW)} ended slow, "
            f"{starts.count(FAILED)} failed<br>smallest q {starts.q.min():.1g}, wanted below {starts.tolerance:.1g}"
        )
        figure.add_annotation(x=0, y=0, text=text, showarrow=False, bgcolor="rgba(255,255,255,0.85)")
    return figure


def _classes(n_unstable: np.ndarray, most: int) -> list[tuple[str, np.ndarray]]:
    """(label, members) by unstable directions: stable first, then one class a number, or ranges if they are many."""
    classes = [("stable", n_unstable == 0)] if (n_unstable == 0).any() else []
    for group in np.array_split(np.unique(n_unstable[n_unstable > 0]), most):
        if len(group):
            one = group[0] == group[-1]
            name = f"{group[0]}" if one else f"{group[0]}–{group[-1]}"
            label = f"{name} unstable direction{'' if one and group[0] == 1 else 's'}"
            classes.append((label, (n_unstable >= group[0]) & (n_unstable <= group[-1])))
    return classes
