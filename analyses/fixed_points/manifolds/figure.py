"""Continuous attractors in one picture: where they are, and how the state drifts along them."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE, new_figure
from rnnscope.numerics import linalg

MOST_SHOWN = 6
N_ARROWS = 16


def manifolds_figure(found: Any) -> go.Figure:
    """The figure of `MarginalManifolds`."""
    if not len(found):
        return _nothing(found)
    from plotly.subplots import make_subplots

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
    mean, axes, share = _axes(found)
    for i in shown:
        _place(figure, found, i, names[i], (found.points[found.manifold == i] - mean) @ axes, ordered)
        if i in ordered or not ordered:
            _drift(figure, found, i, names[i], bool(ordered))
    _others(figure, found, mean, axes)
    titles = [f"PC{i + 1} ({100 * part:.0f} %)" for i, part in enumerate(share)]
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


def _counts(found: Any) -> str:
    kinds = dict.fromkeys(found.kind)
    return ", ".join(f"{(n := found.kind.count(kind))} {kind}{'s' * (n > 1)}" for kind in kinds)


def _axes(found: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean, two directions of largest variance (unit, 2), their shares of the variance) of all manifolds' points."""
    mean = found.points.mean(0)
    _, sizes, directions = (part[0] for part in linalg.svd((found.points - mean)[None]))
    # A single unit, or a single point, still has two axes to draw.
    axes = np.zeros((found.points.shape[1], 2))
    n = min(2, len(directions))
    axes[:, :n] = directions[:n].T
    share = np.zeros(2)
    share[:n] = sizes[:n] ** 2 / max(float((sizes**2).sum()), 1e-300)
    return mean, axes, share


def _place(figure: go.Figure, found: Any, i: int, name: str, places: np.ndarray, ordered: list[int]) -> None:
    mine = found.manifold == i
    where: dict[str, Any] = {"row": 1, "col": 1}
    colour = COLOURS[i]
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
        mean, axes, _ = _axes(found)
        # Arrows at equal distances whatever the length.
        across = np.ptp((found.points - mean) @ axes, axis=0).max()
        n_arrows = max(2, int(N_ARROWS * found.length[i] / (3 * across))) if i in ordered else 4 * N_ARROWS
        rows = np.flatnonzero(moved)
        rows = rows[len(rows) // (2 * n_arrows) :: max(1, len(rows) // n_arrows)]
        steps = found.velocity[mine][rows] @ axes
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
        at, stable = found.zero_arclength[found.zero_manifold == i], found.zero_stable[found.zero_manifold == i]
        along, period = found.arclength[mine], found.length[i] if found.kind[i] == "ring" else None
        xy = np.stack([np.interp(at, along, places[:, k], period=period) for k in range(2)], 1)
        _zeros(figure, xy, stable, colour, name, where)


def _drift(figure: go.Figure, found: Any, i: int, name: str, ordered: bool) -> None:
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
            line={"color": COLOURS[i], "width": 2},
            showlegend=False,
            legendgroup=name,
            hovertemplate="%{x:.3f}: %{y:.2e} per step<extra></extra>",
            **where,
        )
        at, stable = found.zero_arclength[found.zero_manifold == i], found.zero_stable[found.zero_manifold == i]
        _zeros(figure, np.stack([at, np.zeros(len(at))], 1), stable, COLOURS[i], name, where)
        return
    points = found.points[mine]
    figure.add_scatter(
        x=np.linalg.norm(points - points.mean(0), axis=1),
        y=drift,
        mode="markers",
        marker={"color": COLOURS[i], "size": 6},
        showlegend=False,
        legendgroup=name,
        hovertemplate="%{x:.3f}: %{y:.2e} per step<extra></extra>",
        **where,
    )


def _zeros(
    figure: go.Figure, xy: np.ndarray, stable: np.ndarray, colour: str, name: str, where: dict[str, Any]
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


def _legend_of_zeros(figure: go.Figure, found: Any, ordered: list[int]) -> None:
    stable = found.zero_stable[np.isin(found.zero_manifold, ordered)]
    for text, n, inside in (("stable along it", stable.sum(), "#444444"), ("unstable", (~stable).sum(), "white")):
        if n:
            marker = {"size": 8, "color": inside, "line": {"width": 2, "color": "#444444"}}
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=f"{text} ({n})", row=1, col=1)


def _others(figure: go.Figure, found: Any, mean: np.ndarray, axes: np.ndarray) -> None:
    """Fixed points that are on no manifold, in the frame of those that are."""
    n_fixed = found.n_found[0]
    others = (found.found_points[:n_fixed][found.found_manifold[:n_fixed] < 0] - mean) @ axes
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


def _nothing(found: Any) -> go.Figure:
    """How far the points that were found are from being marginal."""
    figure = new_figure("No continuous attractor", "point, the nearest to marginal first", "smallest |λ − 1|")
    distance = np.sort(found.found_distance[np.isfinite(found.found_distance)])
    shown = np.maximum(distance, 1e-12)
    rank = np.arange(1, len(shown) + 1)
    figure.add_scatter(x=rank, y=shown, mode="markers", marker={"color": COLOURS[0], "size": 6}, showlegend=False)
    low = min(found.margin, shown.min(initial=found.margin)) / 3
    high = 3 * max(found.margin, shown.max(initial=found.margin))
    figure.update_yaxes(type="log", range=[np.log10(low), np.log10(high)], exponentformat="power", dtick=1)
    figure.add_hline(
        y=found.margin,
        line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        # Unlike lines, texts on a logarithmic axis are placed by the logarithm.
        annotation={"text": f"margin {found.margin:g}", "font": {"color": NEUTRAL}, "y": np.log10(found.margin)},
    )
    figure.update_layout(margin={"l": 90})  # powers are wide
    if not len(shown):
        figure.add_annotation(
            text="no fixed, slow or settled point", x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False
        )
    return figure
