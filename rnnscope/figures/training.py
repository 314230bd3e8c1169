"""The course of a training."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from rnnscope.figures.palette import COLOURS
from rnnscope.figures.template import TEMPLATE

if TYPE_CHECKING:
    from rnnscope.records.runs import Run


def training_figure(run: "Run") -> go.Figure:
    """Loss against training step, with the metrics of the task's criterion below."""
    from plotly.subplots import make_subplots

    history = run.history
    metrics = [c for c in run.task.criterion if np.isfinite(history.get(c.metric, np.array([]))).any()]
    rows = 1 + bool(metrics)
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    figure.update_layout(template=TEMPLATE, title={"text": f"Training of {run.name}"})
    step, loss = history.get("step", np.array([])), history.get("loss", np.array([]))
    figure.add_scatter(x=step, y=loss, mode="lines", name="loss", row=1, col=1, line={"color": COLOURS[0]})
    seen_loss = loss[np.isfinite(loss)]
    positive = bool(seen_loss.size > 0 and seen_loss.min() > 0)
    figure.update_yaxes(title_text="loss (log scale)" if positive else "loss", row=1, col=1)
    if positive:
        # Over a small range every digit is a tick; over a larger one 1, 2 and 5 are enough.
        ticks = "D2" if np.nanmax(loss) > 4 * np.nanmin(loss) else "D1"
        figure.update_yaxes(type="log", dtick=ticks, tickformat="~g", row=1, col=1)
    for index, criterion in enumerate(metrics):
        colour = COLOURS[(index + 1) % len(COLOURS)]
        values = history[criterion.metric]
        seen = np.isfinite(values)
        label = criterion.metric.replace("_", " ")
        figure.add_scatter(
            x=step[seen], y=values[seen], mode="lines+markers", name=label, row=2, col=1, line={"color": colour}
        )
        figure.add_scatter(
            x=step[[0, -1]],
            y=[criterion.threshold] * 2,
            mode="lines",
            name=f"wanted: {criterion.direction} {criterion.threshold:g}",
            row=2,
            col=1,
            line={"color": colour, "dash": "dash", "width": 1.5},
        )
    if metrics:
        title = metrics[0].metric.replace("_", " ") if len(metrics) == 1 else "metric"
        figure.update_yaxes(title_text=title, row=2, col=1)
    figure.update_xaxes(title_text="training step", row=rows, col=1)
    return figure
