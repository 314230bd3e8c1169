"""Fixed points in a figure: by what they do to states nearby, each under its own number."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, Integer

from rnnscope.figures.palette import ROLES, Look

# With more points, or nearer to one another than this part of a figure's sides, numbers would lie on one another; they
# are still seen on pointing.
MOST_NUMBERS = 30
APART = 0.07
SIZE = {2: 11, 3: 6}


class PointClass(NamedTuple):
    """Points that do the same to states nearby.

    Attributes:
        name: what they do.
        members: which they are.
        look: how they are drawn.
    """

    name: str
    members: Bool[np.ndarray, " point"]
    look: Look


def point_classes(
    n_unstable: Integer[np.ndarray, " point"],
    n_directions: int,
    smooth: Bool[np.ndarray, " point"] | None = None,
    marginal: Bool[np.ndarray, " point"] | None = None,
) -> list[PointClass]:
    """Sort points by what they do to states nearby: stable ones first, then by unstable directions.

    Args:
        n_unstable: unstable directions of each.
        n_directions: how many there are in all: a point whose directions are all unstable is repelling.
        smooth: whether eigenvalues decide at each; if None, they do where `n_unstable` is not negative.
        marginal: whether a largest eigenvalue is on the unit circle; if None, nowhere.
    """
    smooth = n_unstable >= 0 if smooth is None else smooth
    marginal = np.zeros(len(n_unstable), bool) if marginal is None else marginal & smooth
    level = np.where(smooth & ~marginal, n_unstable, -1)
    more = np.unique(level[(level > 2) & (level < n_directions)])
    several = "" if not len(more) else f"{more[0]}" if len(more) == 1 else f"{more[0]}–{more[-1]}"
    sorted_by = [
        ("stable", level == 0, "stable"),
        ("1 unstable direction", (level == 1) & (n_directions > 1), "saddle"),
        ("2 unstable directions", (level == 2) & (n_directions > 2), "saddle of 2"),
        (f"{several} unstable directions", (level > 2) & (level < n_directions), "saddle of more"),
        ("repelling", (level == n_directions) & (level > 0), "repelling"),
        ("marginal", marginal, "marginal"),
        ("at a kink of the map", ~smooth, "at a kink"),
    ]
    return [PointClass(name, members, ROLES[role]) for name, members, role in sorted_by if members.any()]


def add_points(
    figure: go.Figure,
    places: Float[np.ndarray, "point axis"],
    classes: Sequence[PointClass],
    numbers: Sequence[str],
    *,
    hover: Sequence[str] | None = None,
    notes: Sequence[str] | None = None,
    shown: Bool[np.ndarray, " point"] | None = None,
    where: dict[str, Any] | None = None,
    ink: str = "#222222",
    **options: Any,
) -> None:
    """Draw points by their classes, with their numbers beside them as far as there is room.

    Args:
        figure: to add them to.
        places: on two or three axes.
        classes: as `point_classes` sorts them; each is a trace and an entry of the legend.
        numbers: of each point, the same in every figure.
        hover: what pointing at each shows beside its number.
        notes: what the legend says of each class behind its count.
        shown: which points are drawn; the others are counted all the same.
        where: row and column of a panel.
        ink: the colour of the numbers.
        **options: of every trace.
    """
    dims = places.shape[1]
    shown = np.ones(len(places), bool) if shown is None else shown
    written = np.zeros(len(places), bool)
    if shown.sum() <= MOST_NUMBERS:
        written[np.flatnonzero(shown)[apart(places[shown])]] = True
    kind = go.Scatter3d if dims == 3 else go.Scatter
    for i, (name, members, look) in enumerate(classes):
        rows = np.flatnonzero(members & shown).tolist()
        note = "" if notes is None or not notes[i] else f", {notes[i]}"
        line = {"width": 2 if dims == 3 else 1.5, "color": "#222222"}
        symbol, fill = look.symbol, look.colour
        if symbol.endswith("-open"):
            line = {"width": 2.5, "color": look.colour}
            if dims == 2:  # white within, so that what lies below does not show through
                symbol, fill = symbol.removesuffix("-open"), "white"
        axes = dict(zip("xyz", places[rows].T, strict=False)) if len(rows) else {key: [None] for key in "xyz"[:dims]}
        said = [f"point {numbers[row]}" + ("" if hover is None else f"<br>{hover[row]}") for row in rows]
        trace = kind(
            **axes,
            mode="markers+text",
            text=[numbers[row] if written[row] else "" for row in rows],
            textposition="top right",
            textfont={"size": 11, "color": ink},
            marker={"symbol": symbol, "color": fill, "size": SIZE[dims], "line": line},
            hovertext=said,
            hoverinfo="text",
            customdata=[numbers[row] for row in rows],
            name=f"{name} ({int(members.sum())}{note})",
            **({"cliponaxis": False} if dims == 2 else {}),  # a number at the edge is read as well
            **options,
        )
        figure.add_trace(trace, **(where or {}))


def apart(places: Float[np.ndarray, "point axis"]) -> Bool[np.ndarray, " point"]:
    """Which of some points can have a number beside them that lies on no other: each in turn, where there is room.
    Three axes are looked at as a figure first shows them."""
    finite = np.asarray(np.isfinite(places).all(1))
    if not finite.any():
        return finite
    low, high = places[finite].min(0), places[finite].max(0)
    unit = (places - low) / np.maximum(high - low, 1e-12)
    if places.shape[1] == 3:
        # The camera of the house stands at (1.5, 1.5, .9): right is across its way, up is nearly z.
        unit = np.stack([(unit[:, 1] - unit[:, 0]) / 2, unit[:, 2] - 0.28 * (unit[:, 0] + unit[:, 1])], 1)
    found = np.zeros(len(places), bool)
    for row in np.flatnonzero(finite):
        near = np.abs(unit[found] - unit[row]) < [APART, APART] if found.any() else np.zeros((1, 2), bool)
        found[row] = not near.all(1).any()
    return found
