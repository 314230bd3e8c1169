"""The graph of `Connections`, drawn in state space."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from rnnscope.analyses.fixed_points.orbits.settling import DIVERGED, MOVING
from rnnscope.figures import COLOURS, NEUTRAL, STABLE, new_figure

# With so much of the variance, a plane shows the graph; else there is a third axis.
FLAT = 0.97
# Symbols of points with unstable directions, at a kink, and of branches that are moving or diverged. In three
# dimensions these are glyphs of a font, which often lacks others.
SYMBOLS = {
    2: ("diamond", "square", "x", "triangle-up", "star"),
    3: ("diamond", "square", "circle-open", "diamond-open", "square-open"),
}
KINK, ON_THE_MOVE, GONE = {2: "cross", 3: "square"}, "square-open", {2: "x-thin-open", 3: "diamond-open"}
SIZE = {2: 12, 3: 6}
WIDTH = {2: 1.6, 3: 3.5}
MOST_ARROWS = 300  # of each colour


def connections_figure(found: Any) -> go.Figure:
    """Points by their unstable directions, and every branch along its own way in the colour of its saddle."""
    n, m = len(found.points), len(found.cycle_states)
    shape = found.path.shape
    places, titles = plane_of(np.concatenate([found.points, found.cycle_states, found.path.reshape(-1, shape[2])]))
    points, cycles, paths = places[:n], places[n : n + m], places[n + m :].reshape(*shape[:2], places.shape[1])
    dimension = places.shape[1]
    size, width = SIZE[dimension], WIDTH[dimension]
    n_sources = len(np.unique(found.source))
    figure = new_figure(
        f"{len(found)} branch{'' if len(found) == 1 else 'es'} of {n_sources} unstable fixed point"
        f"{'' if n_sources == 1 else 's'}"
    )

    def add(where: np.ndarray, **options: Any) -> None:
        kind = go.Scatter3d if dimension == 3 else go.Scatter
        figure.add_trace(kind(**dict(zip("xyz", where.T, strict=False)), **options))

    gap = np.full((1, dimension), np.nan)
    border = {"width": 3 - dimension, "color": "white"}
    classes = _classes(np.where(found.smooth, found.n_unstable, -1), dimension)
    extent = float(np.ptp(places, axis=0).max()) if len(places) else 0.0
    certain = found.agreed & found.followed
    for _, members, colour, _ in classes:
        edges = np.flatnonzero(members[found.source])
        for sure, dash in ((True, "solid"), (False, "dash")):
            some = edges[certain[edges] == sure]
            if len(some):
                add(
                    np.concatenate([part for edge in some for part in (paths[edge], gap)]),
                    mode="lines",
                    line={"color": colour, "width": width, "dash": dash},
                    opacity=0.8,
                    text=np.repeat([_told(found, edge) for edge in some], shape[1] + 1),
                    hoverinfo="text",
                    showlegend=False,
                )
        _add_arrows(figure, paths[edges[:MOST_ARROWS]], colour, extent)
    for label, members, colour, symbol in classes:
        new = int(found.discovered[members].sum())
        add(
            points[members],
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": size, "line": border},
            opacity=1.0,
            text=[f"point {i}" for i in np.flatnonzero(members)],
            hoverinfo="text",
            name=f"{label} ({members.sum()}{f', {new} not in the list' if new else ''})",
        )
    periods = np.bincount(found.cycle)
    for period in np.unique(periods).tolist():
        orbits = [cycles[found.cycle == cycle] for cycle in np.flatnonzero(periods == period)]
        closed = np.concatenate([part for orbit in orbits for part in (orbit, orbit[:1], gap)])
        line = {"color": "black", "width": 1, "dash": "dot"}
        add(closed, mode="lines", line=line, hoverinfo="skip", showlegend=False)
        marker = {"color": "black", "symbol": "circle-open", "size": size - 3, "line": {"width": 2, "color": "black"}}
        name = f"cycle of period {period}" if len(orbits) == 1 else f"{len(orbits)} cycles of period {period}"
        add(np.concatenate(orbits), mode="markers", marker=marker, name=name, hoverinfo="name")
    for code, symbol in ((MOVING, ON_THE_MOVE), (DIVERGED, GONE[dimension])):
        members = found.end == code
        if members.any():
            marker = {"color": NEUTRAL, "symbol": symbol, "size": size - 3, "line": {"width": 1.5, "color": NEUTRAL}}
            name = f"{found.end_names[code]} ({members.sum()})"
            add(paths[members, -1], mode="markers", marker=marker, name=name, hoverinfo="name")
    if not certain.all():
        line = {"color": NEUTRAL, "width": width, "dash": "dash"}
        add(gap, mode="lines", line=line, name=f"not certain ({int((~certain).sum())})")
    if not len(found):
        text = "<b>no fixed point is unstable</b>" if n else "<b>no fixed points</b>"
        figure.add_annotation(x=0.5, y=0.9, xref="paper", yref="paper", text=text, showarrow=False)
    _frame(figure, titles, places)
    return figure


def plane_of(states: np.ndarray, of: np.ndarray | None = None, most: int = 3) -> tuple[np.ndarray, list[str]]:
    """Coordinates of states in the first two principal components (of others, if given), or three (if `most` is that)
    where a plane is not enough, and the titles of the axes; the states themselves where they have no more than two
    numbers."""
    size, of = states.shape[1], states if of is None else of
    if size <= 2 or not len(of):
        titles = ["state", ""] if size == 1 else ["state, unit 1", "state, unit 2"]
        return np.pad(states, ((0, 0), (0, max(0, 2 - size))))[:, :2], titles
    variance, axes = np.linalg.eigh(np.cov(of.T, bias=True))
    variance, axes = np.maximum(variance[::-1], 0.0), axes.T[::-1]
    ratio = variance / max(float(variance.sum()), 1e-300)
    n_axes = 2 if most == 2 or ratio[:2].sum() >= FLAT or not ratio.any() else 3
    axes = axes[:n_axes]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))
    return (states - of.mean(0)) @ axes.T, [f"PC{i + 1} ({100 * ratio[i]:.0f} %)" for i in range(n_axes)]


def _classes(n_unstable: np.ndarray, dimension: int) -> list[tuple[str, np.ndarray, str, str]]:
    """(label, members, colour, symbol): stable points, then by unstable directions, with the colours that their
    eigenvalues have."""
    symbols = SYMBOLS[dimension]
    classes: list[tuple[str, np.ndarray, str, str]] = []
    if (n_unstable == 0).any():
        classes.append(("stable", n_unstable == 0, STABLE, "circle"))
    groups = [g for g in np.array_split(np.unique(n_unstable[n_unstable > 0]), len(symbols)) if len(g)]
    for i, group in enumerate(groups):
        name = f"{group[0]}" if len(group) == 1 else f"{group[0]}–{group[-1]}"
        label = f"{name} unstable direction{'' if name == '1' else 's'}"
        members = (n_unstable >= group[0]) & (n_unstable <= group[-1])
        classes.append((label, members, COLOURS[i + 1], symbols[i]))
    if (n_unstable < 0).any():
        classes.append(("at a kink of the map", n_unstable < 0, NEUTRAL, KINK[dimension]))
    return classes


def _told(found: Any, edge: np.integer) -> str:
    value = found.eigenvalue[edge]
    target = f" {found.target[edge]}" if found.target[edge] >= 0 else ""
    doubts = ("" if found.agreed[edge] else "<br>ends otherwise from a start ten times nearer") + (
        "" if found.followed[edge] else "<br>left along a stronger direction"
    )
    passed = ", ".join(str(point) for point in found.itinerary(edge))
    return (
        f"point {found.source[edge]} → {found.end_names[found.end[edge]]}{target}<br>"
        f"λ = {value.real:.3f}{f' ± {abs(value.imag):.3f}i' if value.imag else ''}, {found.steps[edge]} steps"
        f"{f'<br>passes {passed}' if passed else ''}{doubts}"
    )


def _add_arrows(figure: go.Figure, paths: np.ndarray, colour: str, extent: float) -> None:
    """One arrow on each path, half way along."""
    pairs = []
    for path in paths:
        way = np.append(0.0, np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum())
        middle = int(np.searchsorted(way, 0.55 * way[-1]))
        if way[-1] > 0.02 * extent:
            pairs.append(path[[middle - 1, middle]])
    if not pairs:
        return
    before, at = np.stack(pairs, 1)
    if paths.shape[2] == 2:
        where = np.stack([before, at, np.full_like(at, np.nan)], 1).reshape(-1, 2)
        marker = {"symbol": "arrow", "angleref": "previous", "size": [0, 11, 0] * len(at), "color": colour}
        figure.add_scatter(
            x=where[:, 0], y=where[:, 1], mode="markers", marker=marker, hoverinfo="skip", showlegend=False
        )
        return
    along = (at - before) / np.linalg.norm(at - before, axis=1, keepdims=True)
    figure.add_trace(
        go.Cone(
            **dict(zip("xyz", at.T, strict=True)),
            **dict(zip("uvw", along.T, strict=True)),
            sizemode="raw",
            sizeref=0.045 * extent,
            anchor="cm",
            colorscale=[[0, colour], [1, colour]],
            showscale=False,
            hoverinfo="skip",
        )
    )


def _frame(figure: go.Figure, titles: list[str], places: np.ndarray) -> None:
    legend = {"itemsizing": "constant", "traceorder": "normal"}
    if len(titles) == 3:
        ranges = np.ptp(places, axis=0)
        axes = {
            f"{axis}axis": {"title": {"text": title}, "tickfont": {"size": 11}, "nticks": 6}
            for axis, title in zip("xyz", titles, strict=True)
        }
        aspect = "data" if ranges.max() < 4 * ranges.min() else "cube"
        view = {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.16}}
        figure.update_layout(
            scene={**axes, "aspectmode": aspect, "camera": view},
            margin={"l": 0, "r": 0, "t": 50, "b": 10},
            legend={**legend, "x": 0.99, "xanchor": "right", "y": 0.98},
        )
        return
    figure.update_layout(legend=legend)
    figure.update_xaxes(title_text=titles[0])
    figure.update_yaxes(title_text=titles[1])
    if not titles[1]:
        figure.update_yaxes(showticklabels=False, ticks="", range=[-1, 1])
