"""The bifurcation diagram."""

from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rnnscope.figures import COLOURS, NEUTRAL, STABLE, UNSTABLE, new_figure
from rnnscope.numerics import linalg

SYMBOLS = {
    "saddle-node": "circle",
    "transcritical": "x-thin",
    "supercritical pitchfork": "triangle-left",
    "subcritical pitchfork": "triangle-right",
    "flip": "diamond-open",
    "Neimark-Sacker": "square-open",
    "border collision": "star",
    "unclassified": "cross-thin",
}
# (label, least and most unstable directions, colour, dash): an unstable point is never drawn through.
CLASSES = (
    ("stable", 0, 0, STABLE, "solid"),
    ("1 unstable direction", 1, 1, UNSTABLE, "dash"),
    ("2 unstable directions", 2, 2, COLOURS[2], "dot"),
    ("3 or more", 3, np.inf, COLOURS[3], "dashdot"),
    ("at a kink of the map", -1, -1, NEUTRAL, "longdash"),
)

# Heights that differ by less are equal but for rounding: an axis so short would have such numbers as its ticks.
LEAST_SPAN = 1e-12


def bifurcation_figure(found: Any, unit: int | None, output: int | None) -> go.Figure:
    """See `BifurcationDiagram.figure`."""
    heights, event_heights, title = _coordinate(found, unit, output)
    n, n_events = len(found), len(found.event_value)
    figure = new_figure(
        f"{n or 'No'} branch{'' if n == 1 else 'es'} of fixed points, "
        f"{n_events or 'no'} event{'' if n_events == 1 else 's'}",
        found.axis,
        title,
    )
    level = np.where(found.at_kink[found.branch], -1, found.n_unstable)
    pieces: list[list[np.ndarray]] = [[] for _ in CLASSES]
    gap = np.full((1, 3), np.nan)
    for branch in range(n):
        for rows, kind in _runs(found, branch, level, heights, event_heights):
            pieces[kind] += [rows, gap]
    for (label, _, _, colour, dash), rows in zip(CLASSES, pieces, strict=True):
        if not rows:
            continue
        x, y, directions = np.concatenate(rows).T
        figure.add_scatter(
            x=x,
            y=y,
            customdata=directions,
            mode="lines" if found.continuous else "lines+markers",
            line={"color": colour, "width": 2.2 if dash == "solid" else 1.6, "dash": dash},
            marker={"size": 4},
            name=label,
            hovertemplate=f"{found.axis} %{{x:.6g}}<br>%{{customdata:.0f}} unstable directions<extra>{label}</extra>",
        )
    _add_events(figure, found, event_heights)
    span = [found.values.min(), found.values.max()]
    room = 0.02 * (span[1] - span[0])
    unsure = np.flatnonzero(found.ambiguous)
    if len(unsure):
        figure.add_scatter(
            x=found.value[unsure],
            y=heights[unsure],
            mode="markers",
            name=f"ambiguous step ({len(unsure)})",
            marker={"symbol": "circle-open", "size": 10, "color": NEUTRAL, "line": {"width": 1.5}},
            hoverinfo="skip",
        )
    figure.update_xaxes(range=[span[0] - room, span[1] + room], showgrid=False)
    figure.update_yaxes(showgrid=False)
    if n and np.ptp(heights) < LEAST_SPAN:
        figure.update_yaxes(range=[heights.mean() - 1, heights.mean() + 1])
    if not n:
        figure.add_annotation(
            text="<b>no fixed point found</b>", xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False
        )
    legend = {"x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top", "itemsizing": "constant", "font": {"size": 12}}
    figure.update_layout(legend=legend, showlegend=True)
    return figure


def _coordinate(found: Any, unit: int | None, output: int | None) -> tuple[np.ndarray, np.ndarray, str]:
    """(heights of the rows, heights of the events, what they are)."""
    n_units = found.point.shape[1]
    if unit is not None and output is not None:
        raise ValueError("give a unit or an output to draw, not both")
    if output is not None:
        if found.outputs is None:
            raise ValueError("there is no output to draw: the map has no readout")
        if not 0 <= output < found.outputs.shape[1]:
            raise ValueError(f"output must be from 0 to {found.outputs.shape[1] - 1}, got {output}")
        heights = found.outputs[:, output]
        return (
            heights,
            np.array([_nearby(found, i, heights) for i in range(len(found.event_value))]),
            f"output {output}",
        )
    if unit is None and n_units == 1:
        unit = 0
    if unit is not None:
        if not 0 <= unit < n_units:
            raise ValueError(f"unit must be from 0 to {n_units - 1}, got {unit}")
        return found.point[:, unit], found.event_point[:, unit], f"state h of unit {unit}" if n_units > 1 else "state h"
    if not len(found.point):
        return np.empty(0), np.empty(0), "PC1"
    mean = found.point.mean(0)
    with linalg.one_thread():
        _, values, axes = np.linalg.svd(found.point - mean, full_matrices=False)
    share = values[0] ** 2 / max((values**2).sum(), 1e-300)
    direction = axes[0] * np.sign(axes[0, np.abs(axes[0]).argmax()])
    title = f"PC1 of fixed points ({100 * share:.0f} %)"
    return (found.point - mean) @ direction, (found.event_point - mean) @ direction, title


def _runs(
    found: Any,
    branch: int,
    level: np.ndarray,
    heights: np.ndarray,
    event_heights: np.ndarray,
) -> list[tuple[np.ndarray, int]]:
    """The pieces of a branch with one line style: ((row, 3) of axis value, height and unstable directions, class)."""
    rows = np.flatnonzero(found.branch == branch)
    line = np.stack([found.value[rows], heights[rows], level[rows].astype(float)], 1)
    kinds = np.array([next(i for i, each in enumerate(CLASSES) if each[1] <= n <= each[2]) for n in level[rows]])
    runs = []
    cuts = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(rows)]
    for start, stop in pairwise(cuts):
        piece = line[start:stop]
        if start:  # from where the last piece ended
            piece = np.concatenate([[[*line[start - 1, :2], piece[0, 2]]], piece])
        runs.append((piece, int(kinds[start])))
    if found.continuous:
        # A branch that ends in an event is drawn up to it.
        for event in np.flatnonzero((found.event_branches == branch).any(1)):
            x, y = found.event_value[event], event_heights[event]
            if found.branch_ends[branch, 0] == 1 and x <= line[0, 0]:
                runs[0] = (np.concatenate([[[x, y, runs[0][0][0, 2]]], runs[0][0]]), runs[0][1])
            elif found.branch_ends[branch, 1] == 1 and x >= line[-1, 0]:
                runs[-1] = (np.concatenate([runs[-1][0], [[x, y, runs[-1][0][-1, 2]]]]), runs[-1][1])
    return runs


def _nearby(found: Any, event: int, heights: np.ndarray) -> float:
    """The height of an event where only rows have one: that of the nearest row of the branches that meet there."""
    rows = np.flatnonzero(np.isin(found.branch, found.event_branches[event]))
    apart = np.abs(found.value[rows] - found.event_value[event])
    return float(heights[rows[apart <= apart.min() * (1 + 1e-9)]].mean()) if len(rows) else np.nan


def _add_events(figure: go.Figure, found: Any, event_heights: np.ndarray) -> None:
    for kind, name in enumerate(found.kind_names):
        chosen = np.flatnonzero(found.event_kind == kind)
        if not len(chosen):
            continue
        frequency = [f", {f:.4g} cycles per step" if name == "Neimark-Sacker" else "" for f in found.event_frequency]
        figure.add_scatter(
            x=found.event_value[chosen],
            y=event_heights[chosen],
            error_x=None
            if found.continuous
            else {"type": "data", "array": found.event_error[chosen], "thickness": 1, "width": 3},
            mode="markers",
            name=f"{name} ({len(chosen)})",
            hovertext=[f"{name} at {found.event_value[i]:.8g}{frequency[i]}" for i in chosen],
            hoverinfo="text",
            marker={
                "symbol": SYMBOLS[name],
                "size": 9,
                "color": "black",
                "line": {"width": 2 if "thin" in SYMBOLS[name] else 1.2, "color": "black"},
            },
        )
