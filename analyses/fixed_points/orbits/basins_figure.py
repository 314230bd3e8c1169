"""The fractions of `Basins` as bars, and the states that were sampled."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from rnnscope.analyses.fixed_points.orbits.connections_figure import plane_of
from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.fixed_points.orbits.settling import DIVERGED, MOVING
from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

MOST_BARS, LEAST_BARS = 16, 5  # room for at least so many
MOST_STARTS = 4000
UNSETTLED = {MOVING: "#4D4D4D", DIVERGED: "#A6A6A6"}


def basins_figure(found: Any) -> go.Figure:
    """Attractors by fraction, largest first, and what did not settle; the starts in the colours of the bars."""
    order = np.argsort(-found.count, kind="stable")
    shown, rest = order[:MOST_BARS], order[MOST_BARS:]
    bars = [
        (_name(found, i), found.fraction[i], found.low[i], found.high[i], _colour(rank), found.attractor == i)
        for rank, i in enumerate(shown.tolist())
    ]
    if len(rest):
        members = np.isin(found.attractor, rest)
        low, high = wilson_interval(np.array([members.sum()]), len(members))
        bars.append((f"{len(rest)} others", members.mean(), low[0], high[0], NEUTRAL, members))
    for code, colour in UNSETTLED.items():
        members = found.end == code
        if members.any():
            spread = found.end_low[code], found.end_high[code]
            bars.append((found.end_names[code], found.end_fraction[code], *spread, colour, members))
    figure = make_subplots(1, 2, horizontal_spacing=0.13, column_widths=[0.5, 0.5])
    settled = found.steps[found.attractor >= 0]
    time = f", settled in {np.median(settled):.0f} steps (median)" if len(settled) else ""
    figure.update_layout(
        template=TEMPLATE, title={"text": f"Basins: {len(found.starts)} starts, {found.starts_from}{time}"}
    )
    names, share, low, high, colours, members = zip(*bars, strict=True)
    share, low, high = 100 * np.array([share, low, high])
    figure.add_bar(
        x=share,
        y=names,
        orientation="h",
        marker={"color": colours},
        error_x={
            "type": "data",
            "array": high - share,
            "arrayminus": share - low,
            "color": "#222222",
            "thickness": 1.5,
        },
        hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        showlegend=False,
        row=1,
        col=1,
    )
    figure.update_xaxes(title_text="share of starts (%), 95 % interval", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(range=[max(len(names), LEAST_BARS) - 0.5, -0.5], type="category", automargin=True, row=1, col=1)

    # The plane of the attractors, where basins lie apart; random states have no directions of their own.
    both = np.concatenate([found.starts, found.attractors])
    enough = len(found) > 2
    places, titles = plane_of(both, of=found.attractors if enough else None, most=2)
    if enough and both.shape[1] > 2:
        titles = [title.replace(" (", " of the attractors (") for title in titles]
    starts, attractors = places[: len(found.starts)], places[len(found.starts) :]
    some = np.arange(len(starts)) < MOST_STARTS  # starts come in no order
    for name, colour, chosen in zip(names, colours, members, strict=True):
        x, y = starts[chosen & some].T
        marker = {"color": colour, "size": 4, "opacity": 0.6}
        figure.add_scatter(
            x=x, y=y, mode="markers", marker=marker, name=name, hoverinfo="name", showlegend=False, row=1, col=2
        )
    border = {"width": 1.5, "color": "white"}
    figure.add_scatter(
        x=attractors[shown, 0],
        y=attractors[shown, 1],
        mode="markers",
        marker={"color": colours[: len(shown)], "size": 12, "line": border, "symbol": _symbols(found, shown)},
        text=names[: len(shown)],
        hoverinfo="text",
        showlegend=False,
        row=1,
        col=2,
    )
    figure.update_xaxes(title_text=titles[0], row=1, col=2)
    figure.update_yaxes(title_text=titles[1], row=1, col=2)
    return figure


def _name(found: Any, i: int) -> str:
    if found.period[i] > 1:
        return f"cycle {i - int((found.period == 1).sum())}, period {found.period[i]}"
    kind = "saddle" if found.n_unstable[i] else "point"
    return f"{kind} {found.listed[i]}" if found.listed[i] >= 0 else f"new {kind} {int(found.missed[:i].sum())}"


def _colour(rank: int) -> str:
    return COLOURS[rank] if rank < len(COLOURS) else NEUTRAL


def _symbols(found: Any, rows: np.ndarray) -> list[str]:
    return ["diamond" if found.period[i] > 1 else "circle" for i in rows]
