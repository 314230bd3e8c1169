"""Linear dynamics in one picture: spectrum, time constants, and what the leading modes listen to and show."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Complex, Integer

from rnnscope.analyses.fixed_points.linearisation.parts import Coupling
from rnnscope.analyses.fixed_points.search.stability import frequencies, time_constants
from rnnscope.drawing_options import chosen_rows
from rnnscope.figures import NEUTRAL, SEQUENTIAL, STABLE, TEMPLATE, UNSTABLE, mark_as_saying_little

# A mode grows, fades, or does neither when its time constant is above this many steps.
MARGINAL = 1e4
CLASSES = (("|λ| < 1", STABLE, "circle"), ("|λ| ≈ 1", NEUTRAL, "square"), ("|λ| > 1", UNSTABLE, "diamond"))
# Modes faster than this are over within the step, and are left out of the time constants.
FASTEST = 0.1
MOST_MODES = 8
# Where all are smaller, a table of alignments would read 0.00 throughout.
LEAST_ALIGNMENT = 0.005
MOST_COLUMNS, KEPT_COLUMNS = 24, 10


def linearisation_figure(
    eigenvalues: Complex[np.ndarray, "point eigenvalue"],
    n_unstable: Integer[np.ndarray, " point"],
    coupling: Coupling,
    point: int | None,
    components: "int | Sequence[int] | None" = None,
) -> go.Figure:
    """The figure of a `Linearisation`; see its `figure`."""
    from plotly.subplots import make_subplots

    n = len(eigenvalues)
    if point is not None and not -n <= point < n:
        raise ValueError(f"there is no point {point}: the result has {n}, counted from 0")
    modes = None if components is None else chosen_rows(components, coupling.input_alignment.shape[1], "components")
    shown = np.arange(n) if point is None else np.arange(n)[[point]]
    chosen = _representative(n_unstable) if point is None else int(shown[0])
    aligned = n > 0 and _largest_alignment(coupling, chosen) >= LEAST_ALIGNMENT
    values = eigenvalues[shown].ravel()
    timed = bool((np.isfinite(values) & (np.abs(time_constants(values)) >= FASTEST)).any())
    of_all = f"{len(shown)} point{'' if len(shown) == 1 else 's'}" if point is None else f"point {chosen}"
    # A panel that would be empty is left out, and the title says why.
    titles = ["Eigenvalues"] + ["Time constants"] * timed
    layout: dict[str, Any] = {"rows": 1, "cols": 1 + (aligned or timed), "horizontal_spacing": 0.2}
    if aligned:
        titles.insert(1, f"Alignment of modes by λ, point {chosen}")
    if aligned and timed:
        layout = {"rows": 2, "cols": 2, "specs": [[{}, {"rowspan": 2}], [{}, None]]}
        layout |= {"column_widths": [0.44, 0.56], "horizontal_spacing": 0.24, "vertical_spacing": 0.24}
    said = [] if timed or not n else ["no mode lasts: all time constants are below a tenth of a step"]
    n_columns = coupling.input_alignment.shape[2] + coupling.readout_alignment.shape[2]
    if n and n_columns and not aligned:
        said.append(f"no mode is aligned with an input or output: |cos| below {LEAST_ALIGNMENT:g}")
    figure = make_subplots(**layout, subplot_titles=titles)
    figure.update_layout(template=TEMPLATE, title={"text": "<br>".join([f"Linear dynamics at {of_all}", *said])})
    figure.update_annotations(font={"size": 14})
    below: dict[str, Any] = {"row": 2, "col": 1} if aligned else {"row": 1, "col": 2}
    _spectrum(figure, values, {"row": 1, "col": 1})
    if timed:
        _time_constants(figure, values, below)
    if aligned:
        _alignment(figure, eigenvalues[chosen], coupling, chosen, modes)
    legend = {"orientation": "h", "x": 0, "y": -0.14, "yanchor": "top", "itemsizing": "constant"}
    figure.update_layout(legend=legend, margin={"t": 85 + 22 * len(said), "b": 85}, height=600)
    if said and not timed and not aligned:
        mark_as_saying_little(figure, f"Linear dynamics at {of_all}: {'; '.join(said)}.")
    return figure


def _largest_alignment(coupling: Coupling, point: int) -> float:
    tables = (coupling.input_alignment[point], coupling.readout_alignment[point])
    return max(float(np.nanmax(table, initial=0.0)) for table in tables)


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


def _alignment(
    figure: go.Figure, values: np.ndarray, coupling: Coupling, point: int, chosen: np.ndarray | None
) -> None:
    """Rows are modes, columns inputs (through left vectors) and outputs (through right vectors)."""
    # Of a conjugate pair the first: moduli are the same for both.
    known = range(coupling.input_alignment.shape[1])
    modes = [i for i in known if not values[i].imag < 0][:MOST_MODES] if chosen is None else chosen.tolist()
    n_inputs, n_outputs = coupling.input_alignment.shape[2], coupling.readout_alignment.shape[2]
    table = np.concatenate([coupling.input_alignment[point], coupling.readout_alignment[point]], -1)[modes]
    columns = [f"u{_sub(i + 1)}" for i in range(n_inputs)] + [f"y{_sub(i + 1)}" for i in range(n_outputs)]
    n_columns = len(columns)
    if n_columns > MOST_COLUMNS:  # those with which any mode is aligned most
        kept = np.sort(np.argsort(-np.nanmax(table, axis=0), kind="stable")[:KEPT_COLUMNS])
        table, columns = table[:, kept], [columns[i] for i in kept]
        n_inputs, n_outputs = int((kept < n_inputs).sum()), int((kept >= n_inputs).sum())
    edges = np.arange(len(columns) + 1.0)
    if n_inputs and n_outputs:  # a narrow empty column between the two
        table, columns = np.insert(table, n_inputs, np.nan, axis=1), [*columns[:n_inputs], "", *columns[n_inputs:]]
        edges = np.append(edges[: n_inputs + 1], edges[n_inputs:] + 0.03 * len(columns))
    where: dict[str, Any] = {"row": 1, "col": 2}
    few = len([column for column in columns if column]) <= 11
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
    sides = ["inputs (left vectors)"] * (n_inputs > 0) + ["outputs (right vectors)"] * (n_outputs > 0)
    most = f"<br>the {len(named)} most aligned of {n_columns}" if len(named) < n_columns else ""
    figure.update_xaxes(
        title={"text": "  |  ".join(sides) + most, "font": {"size": 14}},
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
