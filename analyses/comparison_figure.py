"""The figure of a comparison of networks."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_WRITTEN = 8  # networks whose distances are written into the picture
MOST_NAMED = 25  # networks whose names stand beside their points


def comparison_figure(found: Any) -> "go.Figure":
    """Of a `Comparison`."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import SEQUENTIAL, TEMPLATE

    n = len(found.names)
    extras = [kind for kind in ("exponents", "n_fixed_points") if getattr(found, kind) is not None]
    known = found.floor[np.isfinite(found.floor)]
    floor = f"noise floor {known.max():.2g}" if len(known) else "noise floor not known"
    titles = [found.unit, f"map (stress {found.stress:.2f})"]
    titles += ["Lyapunov exponents" if kind == "exponents" else "fixed points" for kind in extras]
    rows = 2 if extras else 1
    below: list[Any] = [{"colspan": 2}, None] if len(extras) == 1 else [{}, {}]
    figure = make_subplots(
        rows=rows,
        cols=2,
        specs=[[{}, {}], below][:rows],
        subplot_titles=titles,
        horizontal_spacing=0.16,
        vertical_spacing=0.24,
    )
    figure.update_layout(template=TEMPLATE, title={"text": f"{n} networks compared; {floor}"}, margin={"t": 80})
    figure.update_annotations(font_size=13)
    away = np.where(np.eye(n, dtype=bool), np.nan, found.distance)
    figure.add_heatmap(
        z=away,
        x=list(found.names),
        y=list(found.names),
        zmin=0,
        zmax=max(float(found.distance.max()), 1e-12),
        colorscale=SEQUENTIAL,
        colorbar={"thickness": 12, "x": 0.43, "len": 1 if rows == 1 else 0.4, "y": 1, "yanchor": "top"},
        texttemplate="%{z:.2g}" if n <= MOST_WRITTEN else None,
        row=1,
        col=1,
    )
    figure.update_xaxes(type="category", showgrid=False, automargin=True, row=1, col=1)
    figure.update_yaxes(type="category", showgrid=False, automargin=True, autorange="reversed", row=1, col=1)
    _add_map(figure, found)
    for place, kind in enumerate(extras):
        (_add_exponents if kind == "exponents" else _add_points)(figure, found, 2, place + 1)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top", "traceorder": "normal"})
    figure.update_layout(barmode="stack", margin={"b": 120})
    return figure


def _add_map(figure: "go.Figure", found: Any) -> None:
    from rnnscope.figures import COLOURS, NEUTRAL

    groups = list(dict.fromkeys(found.groups))
    texts = _texts(found.names, found.positions)
    for index, group in enumerate(groups):
        members = [k for k, each in enumerate(found.groups) if each == group]
        figure.add_scatter(
            x=found.positions[members, 0],
            y=found.positions[members, 1],
            mode="markers+text" if len(found.names) <= MOST_NAMED else "markers",
            text=[texts[k] for k in members],
            hovertext=[found.names[k] for k in members],
            textposition="top center",
            textfont={"size": 11},
            marker={"size": 10, "color": COLOURS[index % len(COLOURS)] if group else COLOURS[0]},
            name=group or "networks",
            showlegend=bool(group),
            cliponaxis=False,
            row=1,
            col=2,
        )
    known = found.floor[np.isfinite(found.floor)]
    spread = np.ptp(found.positions, axis=0).max()
    if len(known) and 0.01 * spread < known.max() < spread:
        # The yardstick: a circle of this diameter around a network is what is no difference.
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
    figure.update_xaxes(range=[low[0] - margin, high[0] + margin], constrain="domain", row=1, col=2)
    figure.update_yaxes(range=[low[1] - margin, high[1] + margin], scaleanchor="x2", constrain="domain", row=1, col=2)
    figure.update_xaxes(title_text=found.unit, row=1, col=2)


def _texts(names: tuple[str, ...], positions: np.ndarray) -> list[str]:
    """Names for a map: of networks in one place the first, and how many more."""
    near = np.linalg.norm(positions[:, None] - positions, axis=2) <= 0.01 * max(np.ptp(positions, axis=0).max(), 1e-12)
    texts = []
    for k, name in enumerate(names):
        more = int(near[k].sum()) - 1
        texts.append("" if near[k, :k].any() else f"{name} and {more} more" if more else name)
    return texts


def _add_exponents(figure: "go.Figure", found: Any, row: int, col: int) -> None:
    from rnnscope.analyses.state_space.conditions import level_colours

    colours = level_colours(len(found.names))
    for name, colour, values in zip(found.names, colours, found.exponents, strict=True):
        figure.add_scatter(
            x=np.arange(1, len(values) + 1),
            y=values,
            mode="lines+markers",
            marker={"size": 5},
            line={"color": colour, "width": 1.5},
            name=name,
            legendgroup="exponents",
            showlegend=len(found.names) <= MOST_WRITTEN,
            row=row,
            col=col,
        )
    figure.update_xaxes(title_text="exponent", row=row, col=col)
    figure.update_yaxes(title_text="λ (nats per step)", row=row, col=col)


def _add_points(figure: "go.Figure", found: Any, row: int, col: int) -> None:
    from rnnscope.analyses.state_space.conditions import level_colours
    from rnnscope.figures import NEUTRAL

    used = [k for k in range(found.n_fixed_points.shape[1]) if found.n_fixed_points[:, k].any()]
    for k, colour in zip(used, level_colours(max(len(used), 1)), strict=False):
        name = "stable" if k == 0 else f"{k} unstable direction{'' if k == 1 else 's'}"
        bar = {"marker_color": colour, "name": name, "row": row, "col": col}
        figure.add_bar(x=list(found.names), y=found.n_fixed_points[:, k], **bar)
    if found.n_kinks.any():
        figure.add_bar(x=list(found.names), y=found.n_kinks, marker_color=NEUTRAL, name="at a kink", row=row, col=col)
    figure.update_xaxes(type="category", showgrid=False, row=row, col=col)
    figure.update_yaxes(title_text="fixed points", row=row, col=col)
