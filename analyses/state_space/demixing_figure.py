"""The figure of demixed components: what they read over time, and how much variance depends on what."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.analyses.state_space.conditions import add_condition_legend, condition_styles

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_PANELS = 4


def demixing_figure(found: Any) -> "go.Figure":
    """Of a `DemixedStates`."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import TEMPLATE

    parts = np.sort(np.argsort(-found.variance, kind="stable")[:MOST_PANELS])
    columns = 2 if len(parts) > 1 else 1
    rows = -(-len(parts) // columns)
    first = [int(np.flatnonzero(found.component_part == part)[0]) for part in parts]
    titles = [f"{found.parts[p]}, demixing {found.demixing_index[k]:.2f}" for p, k in zip(parts, first, strict=True)]
    panels: list[list[dict[str, int] | None]] = [[{}] * columns for _ in range(rows)]
    layout = [[*row, {"rowspan": rows} if i == 0 else None] for i, row in enumerate(panels)]
    # Titles go to panels in reading order; the bars stand at the end of the first row.
    ordered = [*titles[:columns], "variance (%)", *titles[columns:]]
    figure = make_subplots(
        rows=rows,
        cols=columns + 1,
        specs=layout,
        subplot_titles=ordered,
        column_widths=[0.34] * columns + [0.32],
        horizontal_spacing=0.1,
        vertical_spacing=0.14,
    )
    figure.update_layout(template=TEMPLATE, title={"text": f"Demixed components by {', '.join(found.label_names)}"})
    figure.update_annotations(font_size=13)
    styles = condition_styles(found.condition_labels, found.levels)
    for place, component in enumerate(first):
        where: dict[str, Any] = {"row": place // columns + 1, "col": place % columns + 1}
        for c, style in enumerate(styles):
            line = {**style, "width": 1.8}
            figure.add_scatter(
                x=found.time,
                y=found.projections[component, c],
                mode="lines",
                line=line,
                legendgroup=str(c),
                showlegend=False,
                **where,
            )
        figure.update_yaxes(nticks=5, **where)
        if where["col"] == 1:
            figure.update_yaxes(title_text="component 1", **where)
        if where["row"] == rows:
            figure.update_xaxes(title_text=f"time from {found.align} (steps)", **where)
    share = found.variance / found.variance.sum()
    signal = share if found.signal_variance is None else found.signal_variance / found.variance.sum()
    bars: dict[str, Any] = {"col": columns + 1, "row": 1}
    for name, values, colour in (("signal", signal, "#333333"), ("noise left in averages", share - signal, "#BBBBBB")):
        if name == "signal" or values.any():
            figure.add_bar(x=list(found.parts), y=values * 100, name=name, marker_color=colour, **bars)
    figure.update_layout(barmode="stack")
    figure.update_yaxes(rangemode="tozero", **bars)
    few = len(found.parts) <= MOST_PANELS
    names = [part.replace(" × ", "<br>× " if few else "×") for part in found.parts]
    figure.update_xaxes(
        showgrid=False,
        tickmode="array",
        tickvals=list(found.parts),
        ticktext=names,
        tickangle=0 if few else -90,
        tickfont={"size": 12 if few else 10},
        **bars,
    )
    add_condition_legend(figure, found.condition_labels, found.levels, found.label_names)
    if not few:
        figure.update_layout(legend={"y": -0.3}, margin={"b": 190})
    return figure
