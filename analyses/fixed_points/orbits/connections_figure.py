"""How the graph of fixed points is drawn: classes of points, arrows along branches, axes."""

import numpy as np
import plotly.graph_objects as go

# Of branches that are moving or diverged. In three dimensions these are glyphs of a font, which often lacks others.
ON_THE_MOVE, GONE = "square-open", {2: "x-thin-open", 3: "diamond-open"}
SIZE = {2: 12, 3: 6}
WIDTH = {2: 1.6, 3: 3.5}
MOST_ARROWS = 300  # of each colour


def add_arrows(figure: go.Figure, paths: np.ndarray, colour: str, extent: float) -> None:
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


def frame(figure: go.Figure, titles: list[str], places: np.ndarray) -> None:
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
