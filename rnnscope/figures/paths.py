"""Trajectories in a figure: where they begin and end, and which way they go."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

# Parts of the way of a trajectory at which an arrow stands.
ARROWS_AT = (0.5,)


def add_ends(
    figure: go.Figure,
    paths: list[Float[np.ndarray, "_ axis"]],
    colour: str,
    *,
    where: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Mark where trajectories of one colour begin (an open circle) and end (a filled one)."""
    for at, symbol in ((0, "circle-open"), (-1, "circle")):
        places = np.stack([path[at] for path in paths if len(path)])
        dims = places.shape[1]
        trace = (go.Scatter3d if dims == 3 else go.Scatter)(
            **dict(zip("xyz", places.T, strict=False)),
            mode="markers",
            marker={
                "symbol": symbol,
                "size": 3.5 if dims == 3 else 6,
                "color": colour,
                "line": {"width": 1.5, "color": colour},
            },
            hoverinfo="skip",
            showlegend=False,
            **options,
        )
        figure.add_trace(trace, **(where or {}))


def add_directions(
    figure: go.Figure,
    paths: list[Float[np.ndarray, "_ axis"]],
    colour: str,
    extent: float,
    *,
    where: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """An arrow half way along each trajectory that moves at all, on the step that is under way there.

    Args:
        figure: to add them to.
        paths: trajectories on two or three axes.
        colour: of the arrows.
        extent: of the picture, which says what is too short for an arrow.
        where: row and column of a panel.
        **options: of the trace.
    """
    pairs = []
    for path in paths:
        length = np.linalg.norm(np.diff(path, axis=0), axis=1)
        way = np.append(0.0, length.cumsum())
        if len(path) < 2 or not way[-1] > 0.02 * extent:
            continue
        for share in ARROWS_AT:
            step = int(np.clip(np.searchsorted(way, share * way[-1]), 1, len(path) - 1))
            if length[step - 1] > 0:
                pairs.append((path[step - 1], path[step]))
    if not pairs:
        return
    before, after = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    middle = (before + after) / 2
    if middle.shape[1] == 2:
        at = np.stack([before, middle, np.full_like(middle, np.nan)], 1).reshape(-1, 2)
        marker = {"symbol": "arrow", "angleref": "previous", "size": [0, 11, 0] * len(middle), "color": colour}
        trace: Any = go.Scatter(
            x=at[:, 0], y=at[:, 1], mode="markers", marker=marker, hoverinfo="skip", showlegend=False, **options
        )
        figure.add_trace(trace, **(where or {}))
        return
    along = (after - before) / np.linalg.norm(after - before, axis=1, keepdims=True)
    figure.add_trace(
        go.Cone(
            **dict(zip("xyz", middle.T, strict=True)), **dict(zip("uvw", along.T, strict=True)), sizemode="raw",
            sizeref=0.022 * extent, anchor="cm", colorscale=[[0, colour], [1, colour]], showscale=False,
            hoverinfo="skip", **options,
        )
    )  # fmt: skip


def add_band(
    figure: go.Figure,
    x: Float[np.ndarray, " time"],
    low: Float[np.ndarray, " time"],
    high: Float[np.ndarray, " time"],
    colour: str,
    *,
    where: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """The band between two curves, where both are known; pieces that a gap parts are not joined."""
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    xs: list[Any] = []
    ys: list[Any] = []
    for start, stop in edges.reshape(-1, 2):
        part = slice(start, stop)
        xs += [*np.asarray(x)[part].tolist(), *np.asarray(x)[part][::-1].tolist(), None]
        ys += [*high[part].tolist(), *low[part][::-1].tolist(), None]
    if not xs:
        return
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    figure.add_trace(
        go.Scatter(
            x=xs, y=ys, mode="lines", fill="toself", fillcolor=f"rgba({red},{green},{blue},0.2)", line={"width": 0},
            hoverinfo="skip", **{"showlegend": False, **options},
        ),
        **(where or {}),
    )  # fmt: skip
