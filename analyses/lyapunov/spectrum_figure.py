"""The figure of a Lyapunov spectrum."""

from typing import TYPE_CHECKING, Any

import numpy as np
from plotly.subplots import make_subplots

from rnnscope.analyses.lyapunov.orbits import rate_unit
from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

if TYPE_CHECKING:
    import plotly.graph_objects as go

# The axis ends below so many times the median of the resolved exponents; what lies lower is marked at its edge.
REACH = 12
# So few exponents are all shown where they are resolved: a flow's last one is often far below its others.
FEW = 4
N_CURVES = 4


def spectrum_figure(found: Any) -> "go.Figure":
    """Of a `LyapunovSpectrum`: its exponents by index, with standard errors, and the running estimates of the first."""
    figure = make_subplots(rows=1, cols=2, column_widths=[0.57, 0.43], horizontal_spacing=0.22)
    dimension = found.kaplan_yorke
    title = "Lyapunov spectrum"
    if np.isfinite(found.exponents[0]):
        title += ", Kaplan-Yorke dimension " + ("not reached" if dimension is None else f"{dimension:.2f}")
    if not found.converged[0]:
        title += " (λ₁ not converged)"
    figure.update_layout(template=TEMPLATE, title={"text": title})
    unit = rate_unit(found.dt)
    figure.update_xaxes(title_text="index i of the exponent", row=1, col=1)
    figure.update_yaxes(title_text=f"λ<sub>i</sub> ({unit})", row=1, col=1)
    figure.update_xaxes(title_text="time (steps)" if found.dt is None else "time", row=1, col=2)
    figure.update_yaxes(title_text=f"running estimate ({unit})", row=1, col=2)
    if not np.isfinite(found.exponents).any():
        figure.add_annotation(text=found.summary(), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
        return figure
    _exponents(figure, found)
    _convergence(figure, found)
    return figure


def _exponents(figure: "go.Figure", found: Any) -> None:
    rates, k = found.rates, len(found.exponents)
    errors = np.nan_to_num(found.standard_error) / (found.dt or 1.0)
    index = np.arange(1, k + 1)
    sure = found.resolved & np.isfinite(rates)
    reach = REACH * max(np.abs(np.median(rates[sure])), np.abs(rates[0]), 1e-6) if k > FEW and sure.any() else np.inf
    shown = sure & (rates >= -reach)
    low = (rates - errors)[shown].min(initial=0.0) if shown.any() else -1.0
    high = (rates + errors)[shown].max(initial=0.0)
    span = max(high - low, 1e-6)
    below = ~shown & ~np.isnan(rates)
    edge = low - 0.06 * span
    left: dict[str, Any] = {"row": 1, "col": 1}
    options = {**left, "showlegend": False}
    figure.add_scatter(
        x=index[shown],
        y=rates[shown],
        error_y={"type": "data", "array": errors[shown], "thickness": 1.2, "width": 0 if k > 40 else 4},
        mode="lines+markers" if k > 1 else "markers",
        marker={"size": 4 if k > 40 else 7, "color": COLOURS[0]},
        line={"width": 1, "color": COLOURS[0]},
        hovertemplate="λ<sub>%{x}</sub> = %{y:.4f}<extra></extra>",
        **options,
    )
    if below.any():
        figure.add_scatter(
            x=index[below],
            y=np.full(below.sum(), edge),
            mode="markers",
            marker={"size": 6, "color": COLOURS[1], "symbol": "triangle-down"},
            customdata=rates[below],
            hovertemplate="λ<sub>%{x}</sub> = %{customdata:.4g}<extra></extra>",
            **options,
        )
        lowest = rates[below].min()
        text = f"▼ {int(below.sum())} lower, down to {'−∞' if np.isinf(lowest) else f'{lowest:.3g}'.replace('-', '−')}"
        figure.add_annotation(
            text=text, x=1, y=1, xref="x domain", yref="y domain", xanchor="right", yanchor="bottom", showarrow=False,
            font={"color": COLOURS[1], "size": 13},
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"}, **left)
    figure.update_yaxes(range=[(edge if below.any() else low) - 0.06 * span, high + 0.08 * span], row=1, col=1)
    figure.update_xaxes(range=[0.5 - 0.01 * k, k + 0.5 + 0.01 * k], row=1, col=1)
    if k <= 12:
        figure.update_xaxes(tickmode="linear", tick0=1, dtick=1, row=1, col=1)


def _convergence(figure: "go.Figure", found: Any) -> None:
    scale = found.dt or 1.0
    late = found.time >= 0.1 * found.time[-1]
    drawn = [i for i in range(min(N_CURVES, len(found.exponents))) if np.isfinite(found.convergence[:, i]).all()]
    for colour, i in enumerate(drawn):
        figure.add_scatter(
            x=found.time * scale,
            y=found.convergence[:, i] / scale,
            mode="lines",
            line={"color": COLOURS[colour], "width": 2},
            name=f"λ<sub>{i + 1}</sub>",
            row=1,
            col=2,
        )
    values = found.convergence[late][:, drawn] / scale
    if values.size:
        # The first estimates lie far off.
        margin = 0.1 * max(np.ptp(values), 0.02 * np.abs(values).max(), 1e-6)
        figure.update_yaxes(range=[values.min() - margin, values.max() + margin], row=1, col=2)
    figure.update_layout(legend={"x": 1.01, "y": 1, "xanchor": "left"}, margin={"r": 70})
