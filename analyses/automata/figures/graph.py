"""How to draw a machine: circles, curved arrows, as little overlap as its graph allows."""

import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_SHOWN = 40
BENDS = (0.0, 0.16, -0.16, 0.3, -0.3, 0.45, -0.45)
PAIR_BENDS = (0.09, 0.16, 0.3)  # of two opposite arrows each bends to its own left
TITLE_WIDTH = 72  # letters of a title in a figure of 700 pixels
LABEL_ROOM = 0.1  # between the middle of a text and a circle
EDGE, INK = "#555555", "#222222"


class Edge(NamedTuple):
    """An arrow between two of the nodes drawn."""

    source: int
    target: int
    label: str
    width: float = 1.6


class Node(NamedTuple):
    """A circle: the text in it, what its colour stands for, and what pointing at it shows."""

    text: str
    colour: int
    hover: str


class Graph(NamedTuple):
    """A machine as circles and arrows, of a large one a part.

    Attributes:
        shown: the states that are drawn.
        nodes: a circle for each.
        edges: the arrows between them.
        initial: the circle where it begins; None for none.
        title: what it is.
        legend: the names of the colours; none where they are too many.
    """

    shown: Int64[np.ndarray, " shown"]
    nodes: list[Node]
    edges: list[Edge]
    initial: int | None
    title: str
    legend: list[str]

    def figure(self) -> "go.Figure":
        """The circles laid out so that little overlaps."""
        return draw_graph(self.nodes, self.edges, self.initial, self.title, self.legend)


def most_visited(
    occupancy: Float[np.ndarray, " state"], most: int = MAX_SHOWN
) -> tuple[Int64[np.ndarray, " shown"], str]:
    """The states to draw, at most 40 if nothing else is said, and what the title says where these are not all."""
    n = len(occupancy)
    if n <= most:
        return np.arange(n), ""
    shown = np.sort(np.argsort(-occupancy, kind="stable")[:most])
    from rnnscope.percent import percent

    share = percent(float(occupancy[shown].sum()), 1)
    note = f";<br>drawn: the {most} most visited states ({share} of the time), and the arrows among these"
    return shown, note


def layout(edges: list[Edge], n_nodes: int) -> Float[np.ndarray, "node 2"]:
    """Places of the nodes, nearest neighbours about one apart: few on a circle, more by Kamada and Kawai's springs."""
    if n_nodes == 1:
        return np.zeros((1, 2))
    angle = np.pi - 2 * np.pi * np.arange(n_nodes) / n_nodes
    circle = np.column_stack([np.cos(angle), np.sin(angle)]) / (2 * np.sin(np.pi / n_nodes)) * 1.1
    if n_nodes <= 5:
        return circle
    import networkx

    graph = networkx.Graph((e.source, e.target) for e in edges if e.source != e.target)
    graph.add_nodes_from(range(n_nodes))
    start = {i: circle[i] for i in range(n_nodes)}
    # Pieces that no edge joins would fly apart.
    parts = [sorted(part)[0] for part in networkx.connected_components(graph)]
    graph.add_edges_from((parts[0], other) for other in parts[1:])
    found = networkx.kamada_kawai_layout(graph, pos=start)
    where = spaced(np.stack([found[i] for i in range(n_nodes)]))
    axes = np.linalg.svd(where - where.mean(0), full_matrices=False)[2]
    return (where - where.mean(0)) @ axes.T  # the long way lies flat


def spaced(where: Float[np.ndarray, "node 2"]) -> Float[np.ndarray, "node 2"]:
    """Nearest neighbours about one apart, and none much closer."""
    if len(where) == 1:
        return np.zeros((1, 2))
    where = where + 1e-6 * np.column_stack([np.cos(np.arange(len(where))), np.sin(np.arange(len(where)))])
    gaps = np.linalg.norm(where[:, None] - where[None], axis=-1)
    where /= max(np.median(np.sort(gaps, 1)[:, 1]), 1e-9)
    for _ in range(200):  # push apart what still is too close
        offset = where[:, None] - where[None]
        gap = np.linalg.norm(offset, axis=-1)
        np.fill_diagonal(gap, np.inf)
        if gap.min() >= 0.95:
            break
        push = np.maximum(0, 1.0 - gap) / 2
        where = where + ((push / np.maximum(gap, 1e-9))[..., None] * offset).sum(1) * 0.6
    return where


def draw_graph(nodes: list[Node], edges: list[Edge], initial: int | None, title: str, legend: list[str]) -> "go.Figure":
    from rnnscope.figures import COLOURS, new_figure

    where = layout(edges, len(nodes))
    n = len(nodes)
    radius = 0.2 if n <= 12 else 0.24
    lines = [line for part in title.split("<br>") for line in textwrap.wrap(part, TITLE_WIDTH)]
    figure = new_figure("<br>".join(lines))
    extent = max(np.ptp(where[:, 0]) / 1.5, np.ptp(where[:, 1]), 0.6) + 1.0
    # Sizes of text in pixels, from the part of a 500 pixel high plot that a circle takes.
    pixels = 500 * 2 * radius / extent
    longest = max(max(len(line) for line in node.text.split("<br>")) for node in nodes)
    text_size = float(
        np.clip(min(pixels / (0.75 * max(longest, 2)), pixels / (1.3 * (1 + nodes[0].text.count("<br>")))), 7, 18)
    )
    label_size = float(np.clip(text_size, 9, 14))

    tips: list[tuple[float, float, float]] = []
    labels: list[tuple[float, float, str]] = []
    centre = where.mean(0)
    taken = [where]  # what labels keep clear of

    paths: dict[tuple[str, float], list[np.ndarray]] = {}  # arrows of one look are one trace: plotly pays for each

    def arrow(path: np.ndarray, label_at: np.ndarray, text: str, width: float, colour: str) -> None:
        paths.setdefault((colour, width), []).extend([path, np.full((1, 2), np.nan)])
        tips.append((*path[-1], _bearing(path)))
        labels.append((*label_at, text))
        taken.extend([path[::6], np.tile(label_at, (1, 1))])

    if initial is not None:
        direction = _free_direction(where, initial, edges, centre)
        path = where[initial] + np.linspace(radius + 0.32, radius + 0.015, 9)[:, None] * direction
        half_text = np.array([1.5, 0.8]) * label_size * extent / 500  # "start" must not lie on its arrow
        arrow(path, path[0] + (0.02 + np.abs(direction) @ half_text) * direction, "start", 2.5, INK)
    for edge in edges:
        if edge.source == edge.target:
            path, label_at = _loop(where, edge.source, radius, centre, edges)
        else:
            both = any(e.source == edge.target and e.target == edge.source for e in edges)
            path, label_at = _arc(where, edge.source, edge.target, radius, both, np.concatenate(taken))
        arrow(path, label_at, edge.label, edge.width, EDGE)
    for (colour, width), pieces in paths.items():
        line = {"color": colour, "width": width, "simplify": False}
        x, y = np.concatenate(pieces).T
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    if tips:
        x, y, bearing = zip(*tips, strict=True)
        marker = {"symbol": "arrow", "size": float(np.clip(pixels / 4.5, 8, 14)), "angle": bearing, "color": INK}
        figure.add_scatter(x=x, y=y, mode="markers", marker=marker, hoverinfo="skip", showlegend=False)

    circles: list[dict[str, Any]] = []
    for colour in sorted({node.colour for node in nodes}):
        members = [i for i, node in enumerate(nodes) if node.colour == colour]
        border = COLOURS[colour % len(COLOURS)]
        for i in members:
            low, high = where[i] - radius, where[i] + radius
            corners = {"x0": low[0], "x1": high[0], "y0": low[1], "y1": high[1]}
            look = {"line": {"color": border, "width": 2.5}, "fillcolor": _tint(border), "layer": "below"}
            circles.append({"type": "circle", **corners, **look})
        figure.add_scatter(
            x=where[members, 0],
            y=where[members, 1],
            mode="text+markers",
            text=[nodes[i].text for i in members],
            textfont={"size": text_size, "color": INK},
            hovertext=[nodes[i].hover for i in members],
            hoverinfo="text",
            marker={"size": pixels, "opacity": 0, "color": border},
            showlegend=False,
        )
        if legend:
            marker = {"size": 12, "color": _tint(border), "line": {"color": border, "width": 2.5}}
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=legend[colour])
    texts = [
        {
            "x": x, "y": y, "text": text, "showarrow": False, "font": {"size": label_size, "color": INK},
            "bgcolor": "rgba(255,255,255,0.85)", "borderpad": 1,
        }
        for x, y, text in labels
        if text
    ]  # fmt: skip
    drawn = np.concatenate([where - radius, where + radius, *taken])
    low, high = drawn.min(0) - 0.12, drawn.max(0) + 0.12
    figure.update_xaxes(visible=False, range=[low[0], high[0]])
    figure.update_yaxes(visible=False, range=[low[1], high[1]], scaleanchor="x", scaleratio=1)
    figure.update_layout(
        shapes=circles,
        annotations=texts,  # at once: adding them one by one takes quadratic time
        margin={"l": 10, "r": 10, "t": 38 + 22 * len(lines), "b": 10},
        legend={"x": 0.99, "y": 0.99, "xanchor": "right"},
    )
    return figure


def _arc(
    where: np.ndarray, source: int, target: int, radius: float, both: bool, taken: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A curve between two circles that keeps clear of the other circles and of the labels placed before."""
    start, end = where[source], where[target]
    along = end - start
    across = np.array([-along[1], along[0]])
    t = np.linspace(0, 1, 60)[:, None]
    others = np.delete(where, [source, target], axis=0)
    circles = where
    best, best_score = (np.stack([start, end]), (start + end) / 2), -np.inf
    for bend in PAIR_BENDS if both else BENDS:
        control = (start + end) / 2 + 2 * bend * across
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
        outside = (np.linalg.norm(curve - start, axis=1) > radius) & (
            np.linalg.norm(curve - end, axis=1) > radius + 0.015
        )
        curve = curve[outside]
        clear = min(_gap(curve, others) - radius, 0.12)
        for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8):
            label = curve[int(share * len(curve))]
            # A text on a circle is read as the circle's own.
            on_circle = min(_gap(label[None], circles) - radius - LABEL_ROOM, 0.0)
            score = (
                4 * on_circle
                + clear
                + 0.8 * min(_gap(label[None], taken), 0.15)
                - 0.35 * abs(bend)
                - 0.1 * abs(share - 0.5)
            )
            if score > best_score:
                best, best_score = (curve, label), score
    return best


def _loop(
    where: np.ndarray, node: int, radius: float, centre: np.ndarray, edges: list[Edge]
) -> tuple[np.ndarray, np.ndarray]:
    """A loop on the side of the circle that has most room."""
    direction = _free_direction(where, node, [e for e in edges if e.source != e.target], centre)
    size = 0.75 * radius
    middle = where[node] + direction * (radius + 0.62 * size)
    base = np.arctan2(-direction[1], -direction[0])
    angle = base + np.linspace(0.2, 2 * np.pi - 0.2, 80)
    curve = middle + size * np.column_stack([np.cos(angle), np.sin(angle)])
    curve = curve[np.linalg.norm(curve - where[node], axis=1) > radius + 0.01]
    return curve, middle + direction * (size + 0.09)


def _free_direction(where: np.ndarray, node: int, edges: list[Edge], centre: np.ndarray) -> np.ndarray:
    """The direction with the widest gap to neighbours and, where there is one, to the node's own loop."""
    busy = [
        where[e.target if e.source == node else e.source] - where[node]
        for e in edges
        if node in e[:2] and e.source != e.target
    ]
    near = [w - where[node] for w in where if 0 < np.linalg.norm(w - where[node]) < 1.6]
    angles = [float(np.arctan2(d[1], d[0])) for d in busy + near]
    if any(e.source == e.target == node for e in edges):
        loop = _free_direction(where, node, [e for e in edges if e.source != e.target], centre)
        angles.append(float(np.arctan2(loop[1], loop[0])))
    if not angles:
        return np.array([0.0, 1.0])
    options = np.linspace(-np.pi, np.pi, 72, endpoint=False)
    gap = np.abs((options[:, None] - np.array(angles) + np.pi) % (2 * np.pi) - np.pi).min(1)
    away = where[node] - centre
    outward = away @ np.stack([np.cos(options), np.sin(options)]) / max(float(np.linalg.norm(away)), 1e-9)
    found = options[(gap + 0.15 * outward).argmax()]
    return np.array([np.cos(found), np.sin(found)])


def _gap(points: np.ndarray, obstacles: np.ndarray) -> float:
    if not len(obstacles) or not len(points):
        return np.inf
    return float(np.linalg.norm(points[:, None] - obstacles[None], axis=-1).min())


def _bearing(path: np.ndarray) -> float:
    """The direction of the end of a path, in degrees clockwise from up."""
    dx, dy = path[-1] - path[max(-4, -len(path))]
    return float(90 - np.degrees(np.arctan2(dy, dx)))


def _tint(colour: str, share: float = 0.25) -> str:
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return f"rgb({','.join(str(round(255 - share * (255 - part))) for part in parts)})"
