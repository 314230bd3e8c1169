"""Trajectories and fixed points on principal components."""

from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int64

from rnnscope.drawing_options import chosen_axes, chosen_rows
from rnnscope.figures import COLOURS, SEQUENTIAL, new_figure
from rnnscope.figures.palette import NEUTRAL, series_look
from rnnscope.figures.paths import add_directions, add_ends
from rnnscope.figures.points import add_points, point_classes
from rnnscope.figures.template import name_axes
from rnnscope.percent import percent

SHOWN_TRIALS, SHOWN_STEPS = 40, 800  # more than either makes a ball of wool; every label is shown all the same
NEAR = 3.0  # fixed points are drawn up to this many times the extent of the trajectories from their middle
MOST_NAMED = 7  # nearest points in a legend
MOST_ENDS = 40  # ends and arrows of more trials would hide the trials

Colour = Literal["label", "time", "point", "state"]


def projection_figure(
    trajectories: Float[np.ndarray, "trial time component"],
    lengths: Int64[np.ndarray, " trial"],
    label: Int64[np.ndarray, " trial"],
    label_name: str,
    n_trials: int,
    ratio: Float[np.ndarray, " rank"],
    points: Float[np.ndarray, "point component"],
    n_unstable: Int64[np.ndarray, " point"],
    n_units: int,
    machine_state: Int64[np.ndarray, "trial time"] | None,
    *,
    dims: int | None,
    colour: Colour,
    trials: Any,
    components: Any,
) -> go.Figure:
    """The figure of a `StateSpace`; see its `figure`."""
    axes = chosen_axes(dims, components, trajectories.shape[2]) if trajectories.shape[2] > 1 else np.arange(1)
    if dims is not None and trajectories.shape[2] == 1:
        raise ValueError(f"dims={dims} needs {dims} components, and the result holds 1: leave dims out")
    chosen = _spread(label, lengths) if trials is None else chosen_rows(trials, len(trajectories), "trials").tolist()
    some = f", {len(chosen)} of {n_trials} trials" if len(chosen) < n_trials else ""
    figure = new_figure(f"State space{some}: {percent(float(ratio[axes].sum()))} of the variance")
    paths = {t: trajectories[t, : lengths[t]][:, axes] for t in chosen}
    if len(axes) == 1:  # the second axis is there even where states fill only one
        paths = {t: np.pad(path, ((0, 0), (0, 1))) for t, path in paths.items()}
    places = np.pad(points[:, axes], ((0, 0), (0, 1))) if len(axes) == 1 else points[:, axes]
    if colour == "label":
        _by_label(figure, paths, label, label_name)
    elif colour == "time":
        _by_time(figure, paths)
    elif colour == "point":
        _by_point(figure, {t: trajectories[t, : lengths[t]] for t in chosen}, paths, points)
    else:
        _by_state(figure, paths, machine_state)
    states = np.concatenate(list(paths.values()))
    low, high = states.min(0), states.max(0)
    extent = float((high - low).max())
    near = np.abs(places - (low + high) / 2).max(1, initial=0) <= NEAR * max(extent, 1e-12)
    if len(points):
        classes = point_classes(n_unstable, n_units)
        far = [int((each.members & ~near).sum()) for each in classes]
        hover = ["at a kink" if n < 0 else f"{n} unstable direction{'' if n == 1 else 's'}" for n in n_unstable]
        add_points(
            figure, places, classes, [str(i) for i in range(len(points))], hover=hover, shown=near,
            notes=[f"{n} out of view" if n else "" for n in far], legendgroup="points",
            legendgrouptitle={"text": "fixed points"},
        )  # fmt: skip
    _frame(figure, [f"PC{i + 1} ({percent(float(ratio[i]))})" for i in axes])
    return figure


def _by_label(figure: go.Figure, paths: dict[int, np.ndarray], label: np.ndarray, label_name: str) -> None:
    """A look for each label; a scale of colours where there are more than colours. Arrows and ends for all."""
    from plotly.colors import sample_colorscale

    labels = np.unique(label)
    many = len(labels) > len(COLOURS)
    scale = sample_colorscale(SEQUENTIAL, np.linspace(0, 1, len(labels)), colortype="rgb") if many else []
    for i, each in enumerate(labels):
        members = [path for t, path in paths.items() if label[t] == each]
        if not members:
            continue
        look = series_look(i)
        hue = _hex(scale[i]) if many else look.colour
        options = {
            "name": str(each) if label_name else "trials", "legendgroup": f"trials {each}", "showlegend": not many,
            "legendgrouptitle": {"text": label_name or None} if not figure.data else None,
        }  # fmt: skip
        _lines(figure, members, {"color": hue, "dash": "solid" if many else look.dash}, **options)
        if len(paths) <= MOST_ENDS:
            extent = float(np.ptp(np.concatenate(list(paths.values())), axis=0).max())
            add_ends(figure, members, hue, legendgroup=f"trials {each}")
            add_directions(figure, members, hue, extent, legendgroup=f"trials {each}")
    if many:
        bar = {"title": {"text": label_name}, "thickness": 14, "len": 0.6}
        marker = {"color": [labels.min(), labels.max()], "colorscale": SEQUENTIAL, "showscale": True, "colorbar": bar}
        _scatter(figure, np.full((2, next(iter(paths.values())).shape[1]), np.nan), "markers", marker=marker)


def _by_time(figure: go.Figure, paths: dict[int, np.ndarray]) -> None:
    """Steps in the colours of a scale, along thin lines."""
    longest = max(len(path) for path in paths.values())
    every, dims = list(paths.values()), next(iter(paths.values())).shape[1]
    _lines(figure, every, {"color": NEUTRAL, "dash": "solid"}, showlegend=False)
    marker = {
        "color": np.concatenate([np.arange(len(path)) for path in every]),
        "cmin": 0, "cmax": longest - 1, "colorscale": SEQUENTIAL, "size": 2.5 if dims == 3 else 5,
        "colorbar": {"title": {"text": "step"}, "thickness": 14, "len": 0.5, "y": 0.25},
    }  # fmt: skip
    _scatter(figure, np.concatenate(every), "markers", marker=marker, name="steps")
    extent = float(np.ptp(np.concatenate(every), axis=0).max())
    if len(every) <= MOST_ENDS:
        add_ends(figure, every, "#333333")
        add_directions(figure, every, "#333333", extent)


def _by_point(figure: go.Figure, full: dict[int, np.ndarray], paths: dict[int, np.ndarray], points: np.ndarray) -> None:
    """Steps in the look of the fixed point that is nearest in all components that the result holds."""
    if not len(points):
        raise ValueError("colour='point' needs fixed points, and this result was made without: colour by label or time")
    states = np.concatenate(list(full.values()))
    nearest = ((states[:, None] - points[None]) ** 2).sum(2).argmin(1)
    _by_class(figure, paths, nearest, "point", f"nearest point<br>in {points.shape[1]} components")


def _by_state(figure: go.Figure, paths: dict[int, np.ndarray], machine_state: np.ndarray | None) -> None:
    """Steps in the look of the state that an automaton is in after them."""
    if machine_state is None:
        raise ValueError(
            "colour='state' needs the states of an automaton, and this result was made without: extract one (of a run "
            "it is kept) and project the states again, project_states(..., automaton=...), or colour by label or time"
        )
    now = np.concatenate([machine_state[t, : len(path)] for t, path in paths.items()])
    if not (now >= 0).any():
        raise ValueError("colour='state': in none of these trials the state of the automaton is known; draw others")
    _by_class(figure, paths, now, "state", "state of the automaton")


def _by_class(figure: go.Figure, paths: dict[int, np.ndarray], member: np.ndarray, noun: str, title: str) -> None:
    """Steps in the look of what each belongs to, under its number; -1 where that is not known. Each keeps its look in
    other choices of trials where there are as many looks, else the most frequent have one."""
    every, dims = list(paths.values()), next(iter(paths.values())).shape[1]
    places, known = np.concatenate(every), member[member >= 0]
    _lines(figure, every, {"color": NEUTRAL, "dash": "solid"}, showlegend=False)
    counts = np.bincount(known)
    order = np.argsort(-counts, kind="stable")
    if len(counts) <= len(COLOURS) and noun == "state":
        order = np.arange(len(counts))
    most = len(order) if len(order) <= len(COLOURS) else MOST_NAMED
    shown = [(member == each, f"{noun} {each}", rank) for rank, each in enumerate(order[:most])]
    shown += [(np.isin(member, order[most:]), "others", most), (member < 0, "not known", -1)]
    for rows, name, rank in shown:
        if rows.any():
            look = series_look(max(rank, 0))
            marker = {
                "color": look.colour if 0 <= rank < most else "#BBBBBB",
                "symbol": look.symbol if rank >= 0 else "circle-open",
                "size": 2.5 if dims == 3 else 5,
            }
            _scatter(
                figure, places[rows], "markers", marker=marker, name=name, showlegend=True, legendgroup=noun,
                legendgrouptitle={"text": title},
            )  # fmt: skip


def _lines(figure: go.Figure, paths: list[np.ndarray], line: dict[str, Any], **options: Any) -> None:
    dims = paths[0].shape[1]
    gap = np.full((1, dims), np.nan)
    width = 2.5 if dims == 3 else 1.2
    joined = np.concatenate([part for path in paths for part in (path, gap)])
    _scatter(figure, joined, "lines", line={**line, "width": width}, opacity=0.45, **options)


def _scatter(figure: go.Figure, places: np.ndarray, mode: str, **options: Any) -> None:
    kind = go.Scatter3d if places.shape[1] == 3 else go.Scatter
    options = {"showlegend": False, **options}
    figure.add_trace(kind(**dict(zip("xyz", places.T, strict=False)), mode=mode, **options))


def _frame(figure: go.Figure, titles: list[str]) -> None:
    name_axes(figure, titles)
    legend = {"x": 0.99, "xanchor": "right", "y": 0.98} if len(titles) == 3 else {"x": 1.02, "xanchor": "left", "y": 1}
    figure.update_layout(legend={**legend, "itemsizing": "constant", "traceorder": "grouped"})


def _spread(labels: np.ndarray, lengths: np.ndarray) -> list[int]:
    """Trials to draw: every label gets its turn until they are as many as a figure can show."""
    n_labels = len(np.unique(labels))
    most = max(min(SHOWN_TRIALS, int(SHOWN_STEPS / lengths.mean())), min(n_labels, SHOWN_TRIALS))
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return sorted(np.lexsort((labels, turn))[:most].tolist())


def _hex(colour: Any) -> str:
    """A colour as plotly samples it, as #RRGGBB."""
    if isinstance(colour, str):
        if colour.startswith("#"):
            return colour
        parts = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    else:
        parts = [255 * float(part) for part in colour]
    return "#" + "".join(f"{round(part):02X}" for part in parts)
