"""The card of the training: loss and metrics, step by step."""

from typing import TYPE_CHECKING

from rnnscope.app.cards.card import Card, Missing, declare
from rnnscope.figures import training_figure
from rnnscope.records.runs import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go


def _figure(run: Run) -> "go.Figure":
    return training_figure(run).update_layout(title=None)  # it names the run, which the page does already


def _summary(run: Run) -> str:
    if run.imported is not None:
        return (
            f"weights imported from {len(run.imported['files'])} files, up to step {run.record.get('steps_done', 0):,}"
        )
    steps, seconds = run.record.get("steps_done", 0), run.record.get("seconds", 0.0)
    ends = {
        "training": "not finished",
        "learned": "the task's criterion was met",
        "finished": "the steps ran out before the task's criterion was met",
        "diverged": "training diverged; the last good checkpoint was kept",
    }
    return f"{steps:,} steps in {seconds:,.1f} s; {ends.get(run.status, run.status)}"


declare(
    Card(
        "training",
        "Loss and metrics",
        "Training",
        lambda run: run.path / "history.csv",
        _figure,
        summary=_summary,
        absent=lambda _: Missing("Training has not logged a step yet."),
    )
)
