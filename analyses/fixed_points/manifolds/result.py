"""Slow manifolds and the drift along them: what `marginal_manifolds` returns, and its figure."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from rnnscope.analyses.fixed_points.manifolds.parts import LocalDynamics, ManifoldTrust, Seeds, Zeros
from rnnscope.drawing_options import Rows, chosen_axes
from rnnscope.numerics import linalg
from rnnscope.percent import percent
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

KINDS = {1: "line", 2: "plane", 3: "cloud"}
# Drift below this part of the scale is rounding error: its sign says nothing.
NO_DRIFT = 1e-12
# All of a slow approach moves, but for its end; points as near as this to that end, as a part of the manifold, may move
# to either side, as the end is known only up to the spacing.
MOVING, NEARBY = 0.8, 0.3
MOST_SHOWN = 6
N_ARROWS = 16


@dataclass(frozen=True, repr=False)
class MarginalManifolds(Result):
    """Slow manifolds, the longest first, and the points from which they were followed.

    Attributes:
        kind: of each manifold: "line", "ring", "plane" (any sheet of two dimensions, flat or curved) or "cloud" (of
            three).
        dimension: of each manifold: how many directions are slow beside all others, where it was begun.
        length: arc length of a line or ring; the largest distance between two points of a plane or cloud.
        inputs: the input that is held at each manifold.
        points: points on the manifolds, at equal distances along a line or ring.
        manifold: the row of the manifold that each belongs to.
        arclength: position along a line or ring; NaN on a plane or cloud, which has no order.
        drift: the part of the displacement in one step that is along the manifold: with a sign, towards larger arc
            length, on a line or ring; its size on a plane or cloud.
        dynamics: what the map does at each of these points.
        zeros: the fixed points that are left on lines and rings, where the drift changes its sign.
        seeds: the points from which manifolds were followed.
        trust: how well each manifold is covered, and how sure its dimension is.
        scale: the spread of the starts, as in `FixedPoints`.
        made: how it was found.
    """

    rows: ClassVar[str] = "manifold"

    kind: tuple[str, ...]
    dimension: Integer[np.ndarray, " manifold"]
    length: Float[np.ndarray, " manifold"]
    inputs: Float[np.ndarray, "manifold input"]
    points: Float[np.ndarray, "point unit"]
    manifold: Integer[np.ndarray, " point"]
    arclength: Float[np.ndarray, " point"]
    drift: Float[np.ndarray, " point"]
    dynamics: LocalDynamics
    zeros: Zeros
    seeds: Seeds
    trust: ManifoldTrust
    scale: float
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def attracting(self) -> Bool[np.ndarray, " manifold"]:
        """Whether all other eigenvalues are inside the unit circle, all along the manifold."""
        inside = np.abs(self.dynamics.transverse) < 1
        return np.array([inside[self.manifold == i].all() for i in range(len(self))], bool)

    @property
    def approach(self) -> Bool[np.ndarray, " manifold"]:
        """Whether all drift leads to (or from) one point of it: a slow approach to one state, as any stable network has
        in its slowest direction, and no memory of several."""
        return np.array([self._one_point(i) for i in range(len(self))], bool)

    def _one_point(self, i: int) -> bool:
        mine = self.manifold == i
        moving = np.abs(self.drift[mine]) > self.no_drift
        if moving.mean() < MOVING:
            return False
        if self.dimension[i] == 1:
            return self.kind[i] == "line" and int((self.zeros.manifold == i).sum()) == 1
        points, velocity = self.points[mine], self.dynamics.velocity[mine]
        # Where the drift is slowest is nearest to the point, if there is one.
        aside = points - points[np.abs(self.drift[mine]).argmin()]
        inwards = (aside * velocity).sum(1)[np.linalg.norm(aside, axis=1) > NEARBY * self.length[i]]
        return bool(len(inwards)) and bool((inwards < 0).all() or (inwards > 0).all())

    @property
    def largest_drift(self) -> Float[np.ndarray, " manifold"]:
        """The largest drift on each manifold, per step."""
        return np.array([np.abs(self.drift[self.manifold == i]).max() for i in range(len(self))])

    @property
    def no_drift(self) -> float:
        """What is slower than this, per step, is rounding error."""
        return NO_DRIFT * self.scale

    def headline(self) -> dict[str, float | int]:
        """How many there are that are no mere approach to one point; of the longest of all, its length and largest
        drift, NaN where there is none."""
        return {
            "n": int((~self.approach).sum()),
            "n_attracting": int((self.attracting & ~self.approach).sum()),
            "length": float(self.length[0]) if len(self) else np.nan,
            "largest_drift": float(self.largest_drift[0]) if len(self) else np.nan,
        }

    def summary(self) -> str:
        seeds = self.seeds
        alone = seeds.directions[(seeds.directions > 0) & (seeds.manifold < 0)]
        many = int((alone > max(KINDS)).sum())
        stopped = ""
        if self.trust.stopped_after:
            rest = f", with {self.trust.unfollowed} marginal points not followed to their ends" * bool(
                self.trust.unfollowed
            )
            stopped = f"; stopped after {self.trust.stopped_after} places on the way{rest}"
        slower = f"{many} with more than {max(KINDS)} slow directions"
        if not len(self):
            known = len(alone) - self.trust.unfollowed > many
            short = f", on no manifold longer than {seeds.shortest * self.scale:.2g}" if known and not stopped else ""
            short += stopped
            found = (
                f"no continuous attractor seen: {len(alone)} of {len(seeds)} fixed, slow and settled points "
                f"are marginal{f' ({slower})' if many else ''}{short}"
            )
            if seeds.ratio is None:  # as saved before
                nearest = seeds.distance.min(initial=np.inf)
                return f"{found}; nearest eigenvalue {nearest:.2g} from 1 (margin {seeds.margin:g})"
            ratio = seeds.ratio.min(initial=np.inf)
            if np.isinf(ratio):
                return f"{found}; no direction is slower than others"
            return f"{found}; slowest directions at {ratio:.2g} of the rate of the others (margin {seeds.margin:g})"
        parts = [self._describe(i) for i in range(min(len(self), 3))]
        if len(self) > 3:
            counts = Counter(self.kind[3:])
            more = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items())
            parts.append(f"and, not longer, {more}")
        edges = np.cumsum([0, *seeds.n_found])
        on = [int((seeds.manifold[i:j] >= 0).sum()) for i, j in pairwise(edges)]
        names = ("fixed points", "slow points", "settled states")
        counts = [f"{k} of {n} {name}" for k, n, name in zip(on, seeds.n_found, names, strict=True) if n]
        parts.append(f"{', '.join(counts)} are on {'it' if len(self) == 1 else 'them'}")
        n_alone = len(alone) - self.trust.unfollowed
        if n_alone > 0:
            parts.append(f"{n_alone} marginal on their own{f' ({slower})' if many else ''}")
        return "; ".join(parts) + stopped

    def _describe(self, i: int) -> str:
        mine, zeros = self.manifold == i, self.zeros.stable[self.zeros.manifold == i]
        long = "diameter" if self.dimension[i] > 1 else "length"
        text = f"1 {self.kind[i]} of {mine.sum()} points, {long} {self.length[i]:.3g}, drift at most "
        text += f"{self.largest_drift[i]:.1g} per step"
        if self.largest_drift[i] <= self.no_drift:
            text += " (none beyond rounding)"
        if self.approach[i]:
            to = "from" if len(zeros) and not zeros.any() else "to"
            text += (
                f", all of it {to} 1 {'stable ' if to == 'to' else ''}point: a slow approach, no continuous attractor"
            )
        elif len(zeros):
            text += f" with {zeros.sum()} stable and {(~zeros).sum()} unstable points"
        if len(zeros) > mine.sum() / 2:
            text += " (more n_points may show more)"
        text += ", attracting" if self.attracting[i] else ", not attracting everywhere"
        if self.trust.pca_dimension[i] != self.dimension[i]:
            by_pca = self.trust.pca_dimension[i]
            text += f", its dimension is unsure ({self.dimension[i]} by eigenvalues, {by_pca} by PCA)"
        return text + (", not covered to its ends" if {"full", "stopped"} & set(self.trust.ends[i]) else "")

    @checked
    def figure(self, *, components: Rows | None = None) -> "go.Figure":
        """The manifolds in two of their principal components, with arrows along the drift, and the drift against arc
        length.

        Args:
            components: which two are the axes, counted from 0; None for the first two.

        Raises:
            ValueError: there are no such components, or other than two are named.
        """
        if components is None:
            return _figure(self, np.arange(2))
        if not len(self):
            raise ValueError("components chooses axes for manifolds, and none was seen: leave it out")
        n = min(self.points.shape)
        return _figure(self, chosen_axes(2, components, n))


def _figure(found: MarginalManifolds, shown_axes: Int64[np.ndarray, "2"]) -> "go.Figure":
    if not len(found):
        from rnnscope.analyses.fixed_points.manifolds.seeds_figure import seeds_figure

        return seeds_figure(found.seeds)
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    shown = range(min(len(found), MOST_SHOWN))
    ordered = [i for i in shown if found.kind[i] in ("line", "ring")]
    names = [f"{found.kind[i]} {i + 1}" if len(found) > 1 else found.kind[i] for i in shown]
    rest = f", the longest {MOST_SHOWN} of {len(found)}" if len(found) > MOST_SHOWN else ""
    figure = make_subplots(
        rows=1,
        cols=2,
        column_widths=[0.5, 0.5],
        horizontal_spacing=0.14,
        subplot_titles=["State space", "Drift along it" if len(shown) == 1 else "Drift along them"],
    )
    figure.update_layout(template=TEMPLATE, title={"text": f"Slow manifolds: {_counts(found)}{rest}"})
    mean, axes, share = _axes(found, shown_axes)
    for i in shown:
        _place(figure, found, i, names[i], COLOURS[i], mean, axes, ordered)
        if i in ordered or not ordered:
            _drift(figure, found, i, names[i], COLOURS[i], bool(ordered))
    _others(figure, found, mean, axes)
    titles = [f"PC{i + 1} ({percent(float(part))})" for i, part in zip(shown_axes, share, strict=True)]
    figure.update_xaxes(title_text=titles[0], row=1, col=1)
    figure.update_yaxes(title_text=titles[1], scaleanchor="x", row=1, col=1)
    figure.update_xaxes(title_text="arc length" if ordered else "distance from the centre", row=1, col=2)
    figure.update_yaxes(title_text="drift (per step)", exponentformat="power", row=1, col=2)
    if found.largest_drift[ordered or list(shown)].max() <= found.no_drift:
        figure.update_yaxes(range=[-1, 1], showticklabels=False, row=1, col=2)
        text = "none beyond rounding"
        figure.add_annotation(
            text=text, x=0.5, y=0.93, xref="x2 domain", yref="y2 domain", showarrow=False, bgcolor="white"
        )
    elif ordered:
        figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.2, "dash": "dot"}, row=1, col=2)  # type: ignore[arg-type]
    _legend_of_zeros(figure, found, ordered)
    legend = {"orientation": "h", "x": 0, "y": -0.17, "yanchor": "top", "itemsizing": "constant"}
    figure.update_layout(legend=legend, margin={"t": 85, "b": 90})
    return figure


def _counts(found: MarginalManifolds) -> str:
    kinds = dict.fromkeys(found.kind)
    return ", ".join(f"{(n := found.kind.count(kind))} {kind}{'s' * (n > 1)}" for kind in kinds)


def _axes(found: MarginalManifolds, shown_axes: Int64[np.ndarray, "2"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean, two principal directions (unit, 2), their shares of the variance) of all manifolds' points."""
    mean = found.points.mean(0)
    _, sizes, directions = (part[0] for part in linalg.svd((found.points - mean)[None]))
    # A single unit, or a single point, still has two axes to draw.
    known = shown_axes < len(directions)
    axes, share = np.zeros((found.points.shape[1], 2)), np.zeros(2)
    axes[:, known] = directions[shown_axes[known]].T
    share[known] = sizes[shown_axes[known]] ** 2 / max(float((sizes**2).sum()), 1e-300)
    return mean, axes, share


def _place(
    figure: "go.Figure",
    found: MarginalManifolds,
    i: int,
    name: str,
    colour: str,
    mean: Float[np.ndarray, " unit"],
    axes: Float[np.ndarray, "unit 2"],
    ordered: list[int],
) -> None:
    mine = found.manifold == i
    places = (found.points[mine] - mean) @ axes
    where: dict[str, Any] = {"row": 1, "col": 1}
    style = {"name": name, "legendgroup": name, "hovertemplate": f"{name}<br>%{{x:.3f}}, %{{y:.3f}}<extra></extra>"}
    if i in ordered:
        loop = np.concatenate([places, places[:1]]) if found.kind[i] == "ring" else places
        line = {"color": colour, "width": 3}
        figure.add_scatter(x=loop[:, 0], y=loop[:, 1], mode="lines", line=line, **style, **where)
    else:
        marker = {"color": colour, "size": 5, "opacity": 0.6}
        figure.add_scatter(x=places[:, 0], y=places[:, 1], mode="markers", marker=marker, **style, **where)
    if found.largest_drift[i] > found.no_drift:
        moved = np.abs(found.drift[mine]) > found.no_drift
        # Arrows at equal distances whatever the length.
        across = np.ptp((found.points - mean) @ axes, axis=0).max()
        n_arrows = max(2, int(N_ARROWS * found.length[i] / (3 * across))) if i in ordered else 4 * N_ARROWS
        rows = np.flatnonzero(moved)
        rows = rows[len(rows) // (2 * n_arrows) :: max(1, len(rows) // n_arrows)]
        steps = found.dynamics.velocity[mine][rows] @ axes
        marker = {
            "symbol": "arrow",
            "size": 14,
            "angle": np.degrees(np.arctan2(steps[:, 0], steps[:, 1])),
            "color": colour,
            "line": {"width": 1, "color": "white"},
        }
        figure.add_scatter(
            x=places[rows, 0],
            y=places[rows, 1],
            mode="markers",
            marker=marker,
            showlegend=False,
            legendgroup=name,
            hoverinfo="skip",
            **where,
        )
    if i in ordered:
        at, stable = found.zeros.on(i)
        along, period = found.arclength[mine], found.length[i] if found.kind[i] == "ring" else None
        xy = np.stack([np.interp(at, along, places[:, k], period=period) for k in range(2)], 1)
        _zeros(figure, xy, stable, colour, name, where)


def _drift(figure: "go.Figure", found: MarginalManifolds, i: int, name: str, colour: str, ordered: bool) -> None:
    mine = found.manifold == i
    where: dict[str, Any] = {"row": 1, "col": 2}
    drift = found.drift[mine] if found.largest_drift[i] > found.no_drift else np.zeros(mine.sum())
    if ordered:
        along = found.arclength[mine]
        if found.kind[i] == "ring":
            along, drift = np.append(along, found.length[i]), np.append(drift, drift[0])
        figure.add_scatter(
            x=along,
            y=drift,
            mode="lines",
            line={"color": colour, "width": 2},
            showlegend=False,
            legendgroup=name,
            hovertemplate="%{x:.3f}: %{y:.2e} per step<extra></extra>",
            **where,
        )
        at, stable = found.zeros.on(i)
        _zeros(figure, np.stack([at, np.zeros(len(at))], 1), stable, colour, name, where)
        return
    points = found.points[mine]
    figure.add_scatter(
        x=np.linalg.norm(points - points.mean(0), axis=1),
        y=drift,
        mode="markers",
        marker={"color": colour, "size": 6},
        showlegend=False,
        legendgroup=name,
        hovertemplate="%{x:.3f}: %{y:.2e} per step<extra></extra>",
        **where,
    )


def _zeros(
    figure: "go.Figure", xy: np.ndarray, stable: np.ndarray, colour: str, name: str, where: dict[str, Any]
) -> None:
    for chosen, inside in ((stable, colour), (~stable, "white")):
        if chosen.any():
            marker = {"size": 8, "color": inside, "line": {"width": 2, "color": colour}}
            figure.add_scatter(
                x=xy[chosen, 0],
                y=xy[chosen, 1],
                mode="markers",
                marker=marker,
                showlegend=False,
                legendgroup=name,
                hoverinfo="skip",
                **where,
            )


def _legend_of_zeros(figure: "go.Figure", found: MarginalManifolds, ordered: list[int]) -> None:
    stable = found.zeros.stable[np.isin(found.zeros.manifold, ordered)]
    for text, n, inside in (("stable along it", stable.sum(), "#444444"), ("unstable", (~stable).sum(), "white")):
        if n:
            marker = {"size": 8, "color": inside, "line": {"width": 2, "color": "#444444"}}
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=f"{text} ({n})", row=1, col=1)


def _others(figure: "go.Figure", found: MarginalManifolds, mean: np.ndarray, axes: np.ndarray) -> None:
    """Fixed points that are on no manifold, in the frame of those that are."""
    n_fixed = found.seeds.n_found[0]
    others = (found.seeds.points[:n_fixed][found.seeds.manifold[:n_fixed] < 0] - mean) @ axes
    places = (found.points - mean) @ axes
    reach = 1.3 * np.abs(places).max()
    near = (np.abs(others) <= reach).all(1)
    if near.any():
        out = f", {(~near).sum()} out of view" if (~near).any() else ""
        marker = {"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": "black"}}
        figure.add_scatter(
            x=others[near, 0],
            y=others[near, 1],
            mode="markers",
            marker=marker,
            name=f"other fixed points ({len(others)}{out})",
            row=1,
            col=1,
        )
