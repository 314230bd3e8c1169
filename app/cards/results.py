"""The cards of an analysis: one for each figure of its result."""

import shlex

from rnnscope.app.cards.card import Card, Missing
from rnnscope.records.runs import Run
from rnnscope.registry import Analysis, Drawing


def cards_of(entry: Analysis) -> list[Card]:
    """All that there is to draw of its result."""
    return [_card(entry, name, drawing) for name, drawing in entry.figures.items()]


def _card(entry: Analysis, name: str, drawing: Drawing) -> Card:
    first = name == entry.name  # the result is summed up once, below its first figure
    return Card(
        name,
        drawing.title,
        entry.group,
        f"results/{entry.name}.zarr.zip",
        drawing.draw,
        read=lambda run: run.load_result(entry.name, entry.result),
        summary=lambda result: result.summary() if first else "",
        absent=lambda run: _not_run(run, entry.name),
        remedy="delete it and redo the analysis",
        wide=entry.wide,
        finding=first,
    )


def _not_run(run: Run, name: str) -> Missing:
    if name in run.skipped:
        return Missing(f"This analysis does not apply to the run: {run.skipped[name]}.", applies=False)
    command = shlex.join(["rnnscope", "analyze", str(run.path), "--only", name])
    return Missing("This analysis was not run yet.", command)
