"""Cycles in state space, and their multipliers in the complex plane."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rnnscope.figures import NEUTRAL, STABLE, TEMPLATE, UNSTABLE

MOST_DRAWN, MOST_STATES = 12, 40  # cycles drawn in state space, and states of them; more cannot be told apart
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "hexagon", "pentagon", "triangle-down")
KINDS = (("stable", STABLE), ("unstable", UNSTABLE), ("at a kink of the map", NEUTRAL))


def cycles_figure(found: Any) -> go.Figure:
    """Of a `Cycles`: on the left the states of each cycle, joined in order; on the right all multipliers, with the unit
    circle. There a multiplier μ of a cycle of period k has the modulus |μ|^(1/k), its growth per step."""
    n = len(found)
    # Stable ones first, then short ones; at least one.
    drawn = np.lexsort((-found.hits, found.period, ~found.stable))[:MOST_DRAWN]
    drawn = drawn[: max(1, int((np.cumsum(found.period[drawn]) <= MOST_STATES).sum()))]
    some = f", {len(drawn)} of {n} drawn" if len(drawn) < n else ""
    figure = make_subplots(
        cols=2,
        column_widths=[0.55, 0.45],
        horizontal_spacing=0.17,
        subplot_titles=(f"State space{some}", "Multipliers, modulus per step"),
    )
    figure.update_layout(template=TEMPLATE, title={"text": f"{n} cycle{'' if n == 1 else 's'}"}, margin={"t": 75})
    figure.update_annotations(font={"size": 14})
    kind = np.where(~found.smooth, 2, np.where(found.stable, 0, 1))
    symbols = {k: SYMBOLS[i % len(SYMBOLS)] for i, k in enumerate(np.unique(found.period))}

    coordinates, titles = _plane(found)
    for index in drawn[::-1]:
        at, k = coordinates[found.cycle_of_point == index], int(found.period[index])
        name, colour = KINDS[kind[index]]
        common = {"opacity": 0.85, "hovertext": f"cycle {index}, period {k}, {name}", "showlegend": False}
        closed = np.concatenate([at, at[:1]]) if k > 1 else at
        figure.add_scatter(
            x=closed[:, 0],
            y=closed[:, 1],
            mode="lines+markers",
            line={"color": colour, "width": 1.2},
            marker={"symbol": symbols[k], "size": 9, "color": colour, "line": {"width": 0.8, "color": "white"}},
            **common,
            row=1,
            col=1,
        )
        if k > 1:  # an arrow between each state and the next, which the figure turns along the line
            path = np.stack([closed[:-1], (closed[:-1] + closed[1:]) / 2], 1).reshape(-1, 2)
            arrows = {"symbol": "arrow", "angleref": "previous", "size": np.resize([0, 9], len(path)), "color": colour}
            figure.add_scatter(
                x=path[:, 0],
                y=path[:, 1],
                mode="markers",
                marker=arrows | {"line": {"width": 0}},
                **common,
                row=1,
                col=1,
            )
    if found.points.shape[1] == 1 and n:
        ends = [float(coordinates.min()), float(coordinates.max())]
        line = {"color": NEUTRAL, "width": 1, "dash": "dot"}
        figure.add_scatter(x=ends, y=ends, mode="lines", line=line, showlegend=False, hoverinfo="skip", row=1, col=1)
    figure.update_xaxes(title_text=titles[0], row=1, col=1)
    figure.update_yaxes(title_text=titles[1], row=1, col=1)

    turn = np.linspace(0, 2 * np.pi, 241)
    circle = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
    figure.add_scatter(
        x=np.cos(turn), y=np.sin(turn), mode="lines", line=circle, name="|μ| = 1", hoverinfo="skip", row=1, col=2
    )
    modulus = np.abs(found.multipliers) ** (1 / found.period[:, None])
    shown = modulus * np.exp(1j * np.angle(found.multipliers))
    for k, symbol in symbols.items():
        for which, (name, colour) in enumerate(KINDS):
            members = (found.period == k) & (kind == which)
            if not members.any():
                continue
            values = shown[members].ravel()
            figure.add_scatter(
                x=values.real,
                y=values.imag,
                mode="markers",
                marker={"symbol": symbol, "color": colour, "size": 9, "line": {"width": 0.8, "color": "white"}},
                opacity=0.8,
                name=f"period {k}, {name} ({int(members.sum())})",
                row=1,
                col=2,
            )
    finite = shown[np.isfinite(shown)]
    left, right = 1.12 * min(-1.0, finite.real.min(initial=0.0)), 1.12 * max(1.0, finite.real.max(initial=0.0))
    reach = max(1.12 * np.abs(finite.imag).max(initial=0.0), (right - left) / 2)
    figure.update_xaxes(title_text="real part", range=[left, right], constrain="domain", row=1, col=2)
    figure.update_yaxes(
        title_text="imaginary part", range=[-reach, reach], scaleanchor="x2", constrain="domain", row=1, col=2
    )
    figure.update_layout(
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0.5, "xanchor": "center"}, margin={"b": 110}
    )
    if not n:
        text = f"no cycle of period {', '.join(map(str, found.searched))} found"
        figure.add_annotation(text=text, x=0.5, y=0.5, xref="x domain", yref="y domain", showarrow=False)
    return figure


def _plane(found: Any) -> tuple[np.ndarray, tuple[str, str]]:
    """(coordinates of all points in a plane, names of its axes)."""
    points = found.points
    if points.shape[1] == 1:
        after = np.concatenate([points[:0], *(np.roll(found.cycle(i), -1, 0) for i in range(len(found)))])
        return np.concatenate([points, after], 1), ("state", "state one step later")
    centred = points - points.mean(0) if len(points) else points
    if points.shape[1] == 2 or np.linalg.matrix_rank(centred) < 2:
        return points[:, :2], ("unit 0", "unit 1")
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    share = values**2 / (values**2).sum()
    return centred @ axes[:2].T, (f"PC1 ({share[0]:.0%})", f"PC2 ({share[1]:.0%})")
