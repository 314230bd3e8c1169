"""Linear dynamics in one picture: spectrum, time constants, and what the leading modes listen to and show."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Complex, Integer

from rnnscope.analyses.fixed_points.linearisation.parts import Coupling
from rnnscope.analyses.fixed_points.search.stability import frequencies, time_constants
from rnnscope.figures import NEUTRAL, SEQUENTIAL, STABLE, TEMPLATE, UNSTABLE

# A mode grows, fades, or does neither when its time constant is above this many steps.
MARGINAL = 1e4
CLASSES = (("|λ| < 1", STABLE, "circle"), ("|λ| ≈ 1", NEUTRAL, "square"), ("|λ| > 1", UNSTABLE, "diamond"))
# Modes faster than this are over within the step, and are left out of the time constants.
FASTEST = 0.1
MOST_MODES = 8
MOST_COLUMNS = 24


def linearisation_figure(
    eigenvalues: Complex[np.ndarray, "point eigenvalue"],
    n_unstable: Integer[np.ndarray, " point"],
    coupling: Coupling,
    point: int | None,
) -> go.Figure:
    """The figure of a `Linearisation`; see its `figure`."""
    from plotly.subplots import make_subplots

    n = len(eigenvalues)
    if point is not None and not -n <= point < n:
        raise ValueError(f"there is no point {point}: the result has {n}, counted from 0")
    shown = np.arange(n) if point is None else np.arange(n)[[point]]
    chosen = _representative(n_unstable) if point is None else int(shown[0])
    n_columns = coupling.input_alignment.shape[2] + coupling.readout_alignment.shape[2]
    aligned = n_columns > 0 and n > 0
    of_all = f"{len(shown)} point{'' if len(shown) == 1 else 's'}" if point is None else f"point {chosen}"
    titles = ["Eigenvalues", "Time constants"]
    if aligned:
        titles.insert(1, f"Alignment of modes by λ, point {chosen}")
        layout: dict[str, Any] = {"rows": 2, "cols": 2, "specs": [[{}, {"rowspan": 2}], [{}, None]]}
        layout |= {"column_widths": [0.44, 0.56], "horizontal_spacing": 0.24, "vertical_spacing": 0.24}
    else:
        layout = {"rows": 1, "cols": 2, "horizontal_spacing": 0.16}
    figure = make_subplots(**layout, subplot_titles=titles)
    figure.update_layout(template=TEMPLATE, title={"text": f"Linear dynamics at {of_all}"})
    figure.update_annotations(font={"size": 14})
    below: dict[str, Any] = {"row": 2, "col": 1} if aligned else {"row": 1, "col": 2}
    _spectrum(figure, eigenvalues[shown].ravel(), {"row": 1, "col": 1})
    _time_constants(figure, eigenvalues[shown].ravel(), below)
    if aligned:
        _alignment(figure, eigenvalues[chosen], coupling, chosen)
    legend = {"orientation": "h", "x": 0, "y": -0.14, "yanchor": "top", "itemsizing": "constant"}
    figure.update_layout(legend=legend, margin={"t": 85, "b": 85}, height=600)
    return figure


def _representative(n_unstable: np.ndarray) -> int:
    """The first point whose number of unstable directions is the median one."""
    if not len(n_unstable):
        return 0
    middle = np.sort(n_unstable)[(len(n_unstable) - 1) // 2]
    return int(np.flatnonzero(n_unstable == middle)[0])


def _classes(values: np.ndarray) -> np.ndarray:
    """Of each eigenvalue, the row of CLASSES."""
    with np.errstate(divide="ignore"):
        rates = np.log(np.abs(values))
    return np.where(np.abs(rates) < 1 / MARGINAL, 1, np.where(rates < 0, 0, 2))


def _spectrum(figure: go.Figure, values: np.ndarray, where: dict[str, Any]) -> None:
    turn = np.linspace(0, 2 * np.pi, 241)
    circle = {"color": NEUTRAL, "width": 1.2, "dash": "dot"}
    figure.add_scatter(
        x=np.cos(turn), y=np.sin(turn), mode="lines", line=circle, hoverinfo="skip", showlegend=False, **where
    )
    _markers(figure, np.real(values), np.imag(values), values, where, legend=True)
    finite = values[np.isfinite(values)]
    reach = 1.1 * max(1.0, np.abs(np.imag(finite)).max(initial=0.0))
    left, right = 1.1 * min(-1.0, np.real(finite).min(initial=0.0)), 1.1 * max(1.0, np.real(finite).max(initial=0.0))
    figure.update_xaxes(title_text="Re λ", range=[left, right], constrain="domain", **where)
    figure.update_yaxes(title_text="Im λ", range=[-reach, reach], scaleanchor="x", constrain="domain", **where)


def _time_constants(figure: go.Figure, values: np.ndarray, where: dict[str, Any]) -> None:
    times = np.abs(time_constants(values))
    seen = (np.imag(values) >= 0) & (times >= FASTEST)  # a pair once
    # What is marginal lies on the upper edge, as at infinity.
    heights = np.minimum(times[seen], MARGINAL)
    _markers(figure, np.abs(frequencies(values)[seen]), heights, values[seen], where, legend=False)
    low = np.log10(max(FASTEST, heights.min(initial=1.0) / 1.5))
    high = np.log10(1.6 * heights.max(initial=10.0))
    figure.update_xaxes(title_text="frequency (cycles per step)", range=[-0.02, 0.52], **where)
    figure.update_yaxes(title_text="|τ| (steps)", type="log", range=[low, high], dtick=1, **where)
    if (heights == MARGINAL).any():
        powers = np.arange(np.ceil(low), np.log10(MARGINAL))
        labels = [*(f"{10**power:g}" for power in powers), "≥10⁴"]
        figure.update_yaxes(tickmode="array", tickvals=[*10.0**powers, MARGINAL], ticktext=labels, **where)


def _markers(
    figure: go.Figure, x: np.ndarray, y: np.ndarray, values: np.ndarray, where: dict[str, Any], *, legend: bool
) -> None:
    many = len(values) > 5000
    classes = _classes(values)
    for index, (name, colour, symbol) in enumerate(CLASSES):
        chosen = (classes == index) & np.isfinite(values)
        if not chosen.any():
            continue
        # WebGL only where SVG would be slow: a page can hold few WebGL figures.
        figure.add_trace(
            {
                "type": "scattergl" if many else "scatter",
                "x": x[chosen],
                "y": y[chosen],
                "mode": "markers",
                "name": f"{name} ({chosen.sum()})" if legend else name,
                "legendgroup": name,
                "showlegend": legend,
                "marker": {
                    "color": colour,
                    "symbol": symbol,
                    "size": 3 if many else 6,
                    "opacity": 0.5 if many else 0.75,
                    "line": {"width": 0 if many else 0.5, "color": "white"},
                },
                "customdata": np.stack([np.real(values[chosen]), np.imag(values[chosen])], -1),
                "hovertemplate": "λ = %{customdata[0]:.4f} + %{customdata[1]:.4f}i<extra></extra>",
            },
            **where,
        )


def _alignment(figure: go.Figure, values: np.ndarray, coupling: Coupling, point: int) -> None:
    """Rows are modes, columns inputs (through left vectors) and outputs (through right vectors)."""
    # Of a conjugate pair the first: moduli are the same for both.
    modes = [i for i in range(coupling.input_alignment.shape[1]) if not values[i].imag < 0][:MOST_MODES]
    n_inputs, n_outputs = coupling.input_alignment.shape[2], coupling.readout_alignment.shape[2]
    table = np.concatenate([coupling.input_alignment[point], coupling.readout_alignment[point]], -1)[modes]
    columns = [f"u{_sub(i + 1)}" for i in range(n_inputs)] + [f"y{_sub(i + 1)}" for i in range(n_outputs)]
    edges = np.arange(len(columns) + 1.0)
    if n_inputs and n_outputs:  # a narrow empty column between the two
        table, columns = np.insert(table, n_inputs, np.nan, axis=1), [*columns[:n_inputs], "", *columns[n_inputs:]]
        edges = np.append(edges[: n_inputs + 1], edges[n_inputs:] + 0.03 * len(columns))
    where: dict[str, Any] = {"row": 1, "col": 2}
    few = len(columns) <= 11
    figure.add_heatmap(
        z=table,
        x=edges,
        y=np.arange(len(modes)),
        zmin=0,
        zmax=1,
        colorscale=SEQUENTIAL,
        text=np.where(np.isnan(table), "", np.char.mod("%.2f", table)) if few else None,
        texttemplate="%{text}" if few else None,
        textfont={"size": 12},
        xgap=1 if few else 0,
        ygap=1,
        colorbar={"title": {"text": "|cos|", "side": "right"}, "thickness": 12, "x": 1.01, "len": 1.0},
        customdata=np.broadcast_to(np.array(columns), table.shape),
        hovertemplate="mode %{y}, %{customdata}: %{z:.3f}<extra></extra>",
        **where,
    )
    named = [i for i, column in enumerate(columns) if column]
    if len(columns) > MOST_COLUMNS:
        named = [i for i in named if i in (0, n_inputs + 1)]
    sides = ["inputs (left vectors)"] * (n_inputs > 0) + ["outputs (right vectors)"] * (n_outputs > 0)
    figure.update_xaxes(
        title={"text": "  |  ".join(sides), "font": {"size": 14}},
        tickmode="array",
        tickvals=[(edges[i] + edges[i + 1]) / 2 for i in named],
        ticktext=[columns[i] for i in named],
        showgrid=False,
        **where,
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=np.arange(len(modes)),
        ticktext=[_label(values[i]) for i in modes],
        autorange="reversed",
        showgrid=False,
        **where,
    )


def _label(value: complex) -> str:
    turning = f" ± {value.imag:.2f}i" if abs(value.imag) > 1e-9 else ""
    return f"{value.real:.2f}{turning}".replace("-", "−")


def _sub(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
