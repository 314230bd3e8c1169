"""The figure of a flow field."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

ARROWS = 21  # along the longer side
HEAD = 0.38  # of an arrow's length


def flow_figure(found: Any) -> "go.Figure":
    """Of a `FlowField`."""
    from rnnscope.figures import SEQUENTIAL, new_figure

    share = found.out_of_plane_share
    title = f"Flow in a plane; {share:.0%} of it leads out of the plane" if found.inside.any() else "Flow in a plane"
    figure = new_figure(title, *found.axis_names)
    speed = np.where(found.inside, found.speed, np.nan)
    if (speed > 0).any():
        # Of a fixed point on the grid the logarithm knows no end: five decades are enough.
        top = np.log10(np.nanmax(speed))
        bottom = max(np.log10(np.min(speed[speed > 0])), top - 5)
        speed = np.maximum(speed, 10**bottom)
        ticks = _ticks(bottom, top)
        figure.add_heatmap(
            x=found.x,
            y=found.y,
            z=np.log10(speed),
            zmin=bottom,
            zmax=top,
            zsmooth="best" if np.isfinite(speed).all() else False,
            colorscale=SEQUENTIAL,
            colorbar={
                "title": {"text": "speed |F(h) − h| (per step)", "side": "right"},
                "tickvals": np.log10(ticks).tolist(),
                "ticktext": [f"{tick:g}" for tick in ticks],
                "thickness": 16,
            },
            hovertemplate="%{x:.3g}, %{y:.3g}<br>log₁₀ speed %{z:.2f}<extra></extra>",
        )
    _add_arrows(figure, found)
    for direction, dash in ((0, "solid"), (1, "dash")):
        values = np.where(found.inside, found.flow[..., direction], np.nan)
        known = values[np.isfinite(values)]
        if known.size and known.min() < 0 < known.max():
            figure.add_contour(
                x=found.x,
                y=found.y,
                z=values,
                contours={"start": 0, "end": 0, "size": 1, "coloring": "none"},
                line={"color": "#D55E00", "width": 2.5, "dash": dash},
                showscale=False,
                showlegend=True,
                name=f"no flow along {'first' if direction == 0 else 'second'} axis",
                hoverinfo="skip",
            )
    _add_points(figure, found)
    if not found.inside.all():
        text = "blank: no state of the network" if found.inside.any() else "no state of the network lies in this view"
        figure.add_annotation(
            text=text, xref="paper", yref="paper", x=0.99, y=0.01, xanchor="right", yanchor="bottom", showarrow=False,
            bgcolor="rgba(255,255,255,0.8)", font={"size": 12},
        )  # fmt: skip
    figure.update_xaxes(range=[found.x[0], found.x[-1]], constrain="domain", constraintoward="right", showgrid=False)
    figure.update_yaxes(
        range=[found.y[0], found.y[-1]], scaleanchor="x", constrain="domain", constraintoward="top", showgrid=False
    )
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"}, margin={"b": 110})
    return figure


def _ticks(bottom: float, top: float) -> list[float]:
    """1, 2 and 5 of each decade, or the decades alone where they are many."""
    decades = range(int(np.floor(bottom)), int(np.ceil(top)) + 1)
    digits = (1, 2, 5) if top - bottom < 1.5 else (1, 3) if top - bottom < 3 else (1,)
    ticks = [d * 10.0**k for k in decades for d in digits if bottom - 1e-9 <= np.log10(d * 10.0**k) <= top + 1e-9]
    if len(ticks) >= 3:
        return ticks
    # Over less than that: multiples of the smallest round step of which not more than six fit.
    low, high = 10.0**bottom, 10.0**top
    tiny = 10.0 ** np.floor(np.log10(max((high - low) / 6, 1e-12 * high)))
    step = next(d * tiny for d in (1, 2, 5, 10, 20) if (high - low) / (d * tiny) <= 5)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)] or [float(f"{low:.3g}")]


def _add_arrows(figure: "go.Figure", found: Any) -> None:
    """Arrows of one length: how fast is what the colour says."""
    stride = max(1, round(max(len(found.x), len(found.y)) / ARROWS))
    rows, columns = (np.arange(n // 2 % stride, n, stride) for n in (len(found.y), len(found.x)))
    x, y = np.meshgrid(found.x[columns], found.y[rows])
    flow = found.flow[np.ix_(rows, columns)]
    length = np.linalg.norm(flow, axis=2)
    # Nothing has a direction where the flow within the plane is rounding.
    moves = found.inside[np.ix_(rows, columns)] & (length > 1e-9 * max(np.nanmax(found.speed), 1e-300))
    if not moves.any():
        return
    unit = flow[moves] / length[moves][:, None]
    cell = stride * (found.x[1] - found.x[0])
    middle = np.stack([x[moves], y[moves]], 1)
    tail, tip = middle - 0.38 * cell * unit, middle + 0.38 * cell * unit
    size = HEAD * 0.76 * cell
    gap = np.full_like(tip, np.nan)
    sides = [tip - size * (unit @ _turn(angle).T) for angle in (0.45, -0.45)]
    strokes = np.stack([tail, tip, gap, sides[0], tip, sides[1], gap], 1).reshape(-1, 2)
    line = {"color": "rgba(255,255,255,0.85)", "width": 1.3}
    figure.add_scatter(x=strokes[:, 0], y=strokes[:, 1], mode="lines", line=line, showlegend=False, hoverinfo="skip")


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _add_points(figure: "go.Figure", found: Any) -> None:
    for name, chosen, fill in (
        ("stable", found.n_unstable == 0, "black"),
        ("unstable", found.n_unstable > 0, "white"),
        ("at a kink", found.n_unstable < 0, "#AAAAAA"),
    ):
        shown = chosen & found.drawn
        if not shown.any():
            continue
        hover = [
            f"{name}, {max(n, 0)} unstable directions<br>{distance:.2g} from the plane"
            for n, distance in zip(found.n_unstable[shown], found.fixed_distance[shown], strict=True)
        ]
        count = f"{int(shown.sum())} {name} fixed point{'' if shown.sum() == 1 else 's'}"
        figure.add_scatter(
            x=found.fixed_points[shown, 0],
            y=found.fixed_points[shown, 1],
            mode="markers",
            marker={"symbol": "circle", "size": 11, "color": fill, "line": {"width": 2, "color": "black"}},
            hovertext=hover,
            hoverinfo="text",
            name=f"{count} within {found.near:.2g} of the plane",
        )
