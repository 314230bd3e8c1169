"""Distances between networks beside what is no difference, what else is known of them, and the figure: names stand
once, beside the distances; elsewhere networks are numbers."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.percent import percent
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY

if TYPE_CHECKING:
    import plotly.graph_objects as go

UNITS = {
    "procrustes": "Procrustes angle (rad)",
    "cka": "arccos CKA (rad)",
    "kernel_cka": "arccos kernel CKA (rad)",
    "dsa": "dynamical distance",
    "lyapunov": "difference of exponents (nats per step)",
    "fixed_points": "difference of fixed points (share)",
}
FEW_HELD = 0.9  # of the variance: "dsa" that looks at less says so
MOST_WRITTEN = 8  # networks whose distances are written into the picture
FEW = 5  # networks whose connections are written above their fixed points
MOST_NUMBERED = 40  # networks whose numbers stand beside their points
LONGEST = 22  # letters of a name


@dataclass(frozen=True)
class FittedDynamics:
    """The linear dynamics that "dsa" compares, and the search for the best rotation between them.

    Attributes:
        explained: the variance that each network's fitted linear dynamics explain one step ahead.
        held: the share of each network's variance (of delay coordinates) within the `rank` compared.
        rank: dimensions that were compared.
        agreement: the share of searches for the best rotation that ended at the distance given. Where it is low, the
            distance may be smaller than found.
    """

    explained: Float[np.ndarray, " network"]
    held: Float[np.ndarray, " network"]
    rank: int
    agreement: Float[np.ndarray, "network other"]

    def summary(self) -> str:
        agreement = float(np.median(self.agreement[np.triu_indices(len(self.held), 1)]))
        few = ", too little: ask for more" if self.held.min() < FEW_HELD else ""
        return (
            f"rank {self.rank} holds {percent(self.held.min(), 1)} of the variance or more{few}; half of the searches "
            f"agree to {percent(agreement)}"
        )


@dataclass(frozen=True)
class FixedPointCounts:
    """How many fixed points each network has.

    Attributes:
        counts: by unstable directions (0, 1, ...).
        kinks: those at a kink of the map, which have no count of unstable directions.
        connections: how many pairs of fixed points an orbit joins, by the unstable directions of the point that it
            leaves and of that where it ends (see `connect_fixed_points`); None where that is not known.
    """

    counts: Int64[np.ndarray, "network n_unstable"] = field(metadata={FORMERLY: "n_fixed_points"})
    kinks: Int64[np.ndarray, " network"] = field(metadata={FORMERLY: "n_kinks"})
    connections: Int64[np.ndarray, "network n_unstable to_unstable"] | None = field(
        metadata={FORMERLY: "n_connections"}
    )


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """Distances between networks, the floor below which they mean nothing, and a map of the networks.

    Attributes:
        distance: between every two networks, see `compare_networks`.
        floor: of each network: the distance below which 95 % of its rotated copies lie from one another. Nothing
            differs between these but what is drawn at random: noise, trials, starts of a search. Never below what
            rounding leaves; NaN where it is not known.
        floor_median: the median of these distances.
        positions: of the networks in a plane, where distances are as like `distance` as can be (metric
            multidimensional scaling).
        stress: how unlike: root of the squared error of all distances relative to their squared sum; 0 is exact.
        dynamics: for "dsa" what was compared; None for other methods.
        exponents: Lyapunov exponents of each, the largest first, where they were asked for or given.
        fixed_points: those of each, where they were asked for or given.
        names: of the networks.
        groups: what each network belongs to; "" where that was not given.
        method: one of "procrustes", "cka", "kernel_cka", "dsa", "lyapunov", "fixed_points".
        made: how it was found; the origin is that of the first network.
    """

    rows: ClassVar[str] = "network"

    distance: Float[np.ndarray, "network other"]
    floor: Float[np.ndarray, " network"]
    floor_median: Float[np.ndarray, " network"]
    positions: Float[np.ndarray, "network axis"]
    stress: float
    dynamics: FittedDynamics | None
    exponents: Float[np.ndarray, "network exponent"] | None
    fixed_points: FixedPointCounts | None
    names: tuple[str, ...]
    groups: tuple[str, ...]
    method: str
    made: Made | None = None

    @property
    def above(self) -> Bool[np.ndarray, "network other"]:
        """Whether two networks are farther apart than the larger of their floors; False where neither is known."""
        return self.distance > np.fmax(self.floor[:, None], self.floor)

    @property
    def unit(self) -> str:
        """What the distance is."""
        return UNITS[self.method]

    def headline(self) -> dict[str, float | int]:
        """Of all pairs: the median and the largest distance, and the share that is above the floor; the floor is the
        largest of those known, NaN where none is."""
        upper = np.triu_indices(len(self.names), 1)
        known = self.floor[np.isfinite(self.floor)]
        return {
            "median_distance": float(np.median(self.distance[upper])),
            "largest_distance": float(self.distance[upper].max()),
            "floor": float(known.max()) if len(known) else np.nan,
            "share_above": float(self.above[upper].mean()),
        }

    def summary(self) -> str:
        upper = np.triu_indices(len(self.names), 1)
        pairs = self.distance[upper]
        near, far = (int(k) for k in (pairs.argmin(), pairs.argmax()))

        def pair(k: int) -> str:
            return f"{self.names[upper[0][k]]} and {self.names[upper[1][k]]} ({pairs[k]:.3g})"

        ends = f"nearest {pair(near)}, farthest {pair(far)}" if len(pairs) > 1 else pair(0)
        parts = (
            f"{len(self.names)} networks by {self.unit}: {ends}",
            self._floor(f"{int(self.above[upper].sum())} of {len(pairs)} pairs above it"),
            "" if self.dynamics is None else self.dynamics.summary(),
            f"map with stress {self.stress:.2f}",
        )
        return "; ".join(part for part in parts if part)

    def _floor(self, above: str) -> str:
        if not np.isfinite(self.floor).any():
            return "noise floor not known"
        return f"noise floor {np.nanmedian(self.floor_median):.2g} (95 % up to {np.nanmax(self.floor):.2g}), {above}"

    @checked
    def figure(self, *, components: Rows | None = None) -> "go.Figure":
        """All distances, the map of the networks, and side by side their exponents and fixed points where known.

        Args:
            components: which exponents, counted from 0, where they are known; None for all.

        Raises:
            ValueError: exponents are not known, or not so many.
        """
        n = 0 if self.exponents is None else self.exponents.shape[1]
        if components is not None and not n:
            raise ValueError("components chooses exponents, and of these networks none are known: leave it out")
        return _figure(self, chosen_rows(components, n, "components"))


def _figure(found: Comparison, shown: Int64[np.ndarray, " chosen"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import SEQUENTIAL, TEMPLATE

    n = len(found.names)
    exponents, fixed_points = found.exponents, found.fixed_points
    extras = ["Lyapunov exponents"] * (exponents is not None) + ["fixed points"] * (fixed_points is not None)
    known = found.floor[np.isfinite(found.floor)]
    floor = f"noise floor {known.max():.2g}" if len(known) else "noise floor not known"
    titles = [found.unit, f"map (stress {found.stress:.2f})", *extras]
    # With one more panel all stand in a row; with two, these stand below one another.
    columns, rows = 2 + bool(extras), max(1, len(extras))
    first: list[Any] = [{"rowspan": rows}, {"rowspan": rows}, *[{}] * bool(extras)]
    specs = [first, *[[None, None, {}]] * (rows - 1)]
    figure = make_subplots(
        rows=rows,
        cols=columns,
        specs=specs,
        subplot_titles=titles,
        horizontal_spacing=0.1,
        vertical_spacing=0.26,
    )
    figure.update_layout(template=TEMPLATE, title={"text": f"{n} networks compared; {floor}"})
    figure.update_annotations(font_size=13)
    away = np.where(np.eye(n, dtype=bool), np.nan, found.distance)
    numbers = [str(k + 1) for k in range(n)]
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in found.names]
    figure.add_heatmap(
        z=away,
        x=np.arange(n),
        y=np.arange(n),
        zmin=0,
        zmax=max(float(found.distance.max()), 1e-12),
        colorscale=SEQUENTIAL,
        showscale=n > MOST_WRITTEN,
        colorbar={"thickness": 10, "orientation": "h", "y": -0.14, "yanchor": "top", "x": 0.12, "len": 0.3},
        texttemplate="%{z:.2g}" if n <= MOST_WRITTEN else None,
        textfont={"size": 12 if columns == 2 or n <= 5 else 9},
        row=1,
        col=1,
    )
    ticks = np.unique(np.linspace(0, n - 1, min(n, 24)).astype(int))
    figure.update_xaxes(
        tickvals=ticks,
        ticktext=[numbers[k] for k in ticks],
        tickangle=0,
        tickfont={"size": 12 if n <= 12 else 8},
        showgrid=False,
        row=1,
        col=1,
    )
    figure.update_yaxes(
        tickvals=ticks,
        ticktext=[f"{short[k]}  {numbers[k]}" for k in ticks],
        tickfont={"size": 12},
        showgrid=False,
        automargin=True,
        autorange="reversed",
        row=1,
        col=1,
    )
    colours = _colours(found)
    _add_map(figure, found, numbers, colours)
    if exponents is not None:
        _add_exponents(figure, exponents[:, shown], shown + 1, found.names, colours, 1)
    if fixed_points is not None:
        _add_points(figure, fixed_points, numbers, rows)
    figure.update_layout(
        barmode="stack",
        legend={
            "orientation": "h",
            "x": 0.5 if n > MOST_WRITTEN else 0,
            "y": -0.2,
            "yanchor": "top",
            "traceorder": "normal",
        },
        margin={"t": 80, "b": 100},
    )
    return figure


def _colours(found: Comparison) -> list[str]:
    """One colour for every group, or without groups for every network."""
    from rnnscope.analyses.state_space.conditions import level_colours

    kinds = list(dict.fromkeys(found.groups if any(found.groups) else found.names))
    palette = dict(zip(kinds, level_colours(len(kinds)), strict=True))
    return [palette[kind] for kind in (found.groups if any(found.groups) else found.names)]


def _add_map(figure: "go.Figure", found: Comparison, numbers: list[str], colours: list[str]) -> None:
    from rnnscope.figures import NEUTRAL

    texts = _texts(numbers, found.positions)
    for group in dict.fromkeys(found.groups):
        members = [k for k, each in enumerate(found.groups) if each == group]
        figure.add_scatter(
            x=found.positions[members, 0],
            y=found.positions[members, 1],
            mode="markers+text" if len(numbers) <= MOST_NUMBERED else "markers",
            text=[texts[k] for k in members],
            hovertext=[f"{numbers[k]} {found.names[k]}" for k in members],
            textposition="top center",
            textfont={"size": 12},
            marker={"size": 10, "color": [colours[k] for k in members]},
            name=group or "networks",
            showlegend=False,
            cliponaxis=False,
            row=1,
            col=2,
        )
        if group:  # a legend shows the first colour of a trace with several
            marker = {"size": 10, "color": colours[members[0]]}
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=group, row=1, col=2)
    known = found.floor[np.isfinite(found.floor)]
    spread = np.ptp(found.positions, axis=0).max()
    if len(known) and 0.01 * spread < known.max() < spread:
        # The yardstick: a circle of this radius around a network is what is no difference.
        turn = np.linspace(0, 2 * np.pi, 60)
        for k, (x, y) in enumerate(found.positions):
            if np.isfinite(found.floor[k]):
                radius = found.floor[k]
                figure.add_scatter(
                    x=x + radius * np.cos(turn),
                    y=y + radius * np.sin(turn),
                    mode="lines",
                    line={"color": NEUTRAL, "width": 1, "dash": "dot"},
                    name="noise floor",
                    legendgroup="floor",
                    showlegend=k == 0,
                    hoverinfo="skip",
                    row=1,
                    col=2,
                )
    low, high = found.positions.min(0), found.positions.max(0)
    margin = 0.2 * max(spread, 1e-9)
    figure.update_xaxes(range=[low[0] - margin, high[0] + margin], constrain="domain", nticks=6, row=1, col=2)
    figure.update_yaxes(
        range=[low[1] - margin, high[1] + margin], scaleanchor="x2", constrain="domain", nticks=5, row=1, col=2
    )


def _texts(numbers: list[str], positions: np.ndarray) -> list[str]:
    """Labels for a map: of networks in one place all their numbers, or the first and how many more."""
    near = np.linalg.norm(positions[:, None] - positions, axis=2) <= 0.04 * max(np.ptp(positions, axis=0).max(), 1e-12)
    texts = []
    for k in range(len(numbers)):
        here = np.flatnonzero(near[k])
        together = ", ".join(numbers[j] for j in here) if len(here) <= 4 else f"{numbers[k]} and {len(here) - 1} more"
        texts.append("" if near[k, :k].any() else together)
    return texts


def _add_exponents(
    figure: "go.Figure",
    exponents: Float[np.ndarray, "network exponent"],
    index: Int64[np.ndarray, " exponent"],
    names: tuple[str, ...],
    colours: list[str],
    row: int,
) -> None:
    for name, colour, values in zip(names, colours, exponents, strict=True):
        figure.add_scatter(
            x=index,
            y=values,
            mode="lines+markers",
            marker={"size": 5},
            line={"color": colour, "width": 1.5},
            name=name,
            showlegend=False,
            row=row,
            col=3,
        )
    low, high = (int(index.min()), int(index.max())) if len(index) else (1, 1)
    figure.update_xaxes(
        range=[low - 0.5, high + 0.5],
        dtick=1 if high - low < 6 else None,
        title={"text": "exponent", "font": {"size": 13}},
        row=row,
        col=3,
    )
    figure.update_yaxes(title={"text": "λ (nats/step)", "font": {"size": 13}}, nticks=5, row=row, col=3)


def _add_points(figure: "go.Figure", points: FixedPointCounts, numbers: list[str], row: int) -> None:
    from plotly.colors import sample_colorscale

    # Shades of grey: colours are networks and groups.
    used = [k for k in range(points.counts.shape[1]) if points.counts[:, k].any()]
    shades = [str(c) for c in sample_colorscale("Greys_r", np.linspace(0.15, 0.8, len(used)))]
    links = points.connections
    hover = ["" if links is None else f"{int(links[k].sum())} connections" for k in range(len(numbers))]
    bars: list[tuple[str, np.ndarray, dict[str, Any]]] = [
        (
            "stable" if k == 0 else f"{k} unstable direction{'' if k == 1 else 's'}",
            points.counts[:, k],
            {"color": c},
        )
        for k, c in zip(used, shades, strict=True)
    ]
    if points.kinks.any():
        bars.append(("at a kink", points.kinks, {"color": "white", "line": {"color": "black", "width": 1}}))
    for name, counts, marker in bars:
        figure.add_bar(x=numbers, y=counts, marker=marker, name=name, hovertext=hover, row=row, col=3)
    total = points.counts.sum(1) + points.kinks
    written = len(numbers) <= FEW
    if links is not None and written:
        shown = [f"{int(links[k].sum())}↝" for k in range(len(numbers))]
        figure.add_scatter(
            x=numbers, y=total, mode="text", text=shown, textposition="top center", showlegend=False, row=row, col=3
        )
    most = max(int(total.max()), 1)
    figure.update_xaxes(type="category", showgrid=False, tickangle=0, row=row, col=3)
    title = "count, ↝ joins" if links is not None and written else "count"
    figure.update_yaxes(
        title={"text": title, "font": {"size": 13}}, range=[0, 1.2 * most], dtick=max(1, -(-most // 4)), row=row, col=3
    )
