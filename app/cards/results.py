"""The cards of an analysis: one for each figure of its result."""

import shlex
from pathlib import Path

from rnnscope.app.cards.card import Card, Missing
from rnnscope.records.results import Result
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
        lambda run: _file(run, entry.name),
        drawing.draw,
        read=lambda run: _result(run, entry.name),
        summary=lambda result: _summary(result) if first else "",
        absent=lambda run: _not_run(run, entry.name),
        remedy="delete it and redo the analysis",
        wide=entry.wide,
    )


def _file(run: Run, name: str) -> Path | None:
    shown = run.shown(name)
    return None if shown is None or shown.reason is not None else shown.path


def _result(run: Run, name: str) -> Result:
    shown = run.shown(name)
    if shown is None:
        raise FileNotFoundError(f"{run.path} keeps no result of {name} any more")
    return shown.load()


def _summary(result: Result) -> str:
    """Where it is a variant, or of an earlier checkpoint, that comes first."""
    made = result.made
    label = made.label if made else ""
    step = "" if made is None or made.origin.checkpoint is None else f"At step {made.origin.checkpoint}: "
    return f"{step}{f'With {label}: ' if label else ''}{result.summary()}"


def _not_run(run: Run, name: str) -> Missing:
    if name in run.skipped:
        return Missing(f"This analysis does not apply to the run: {run.skipped[name]}.", applies=False)
    command = shlex.join(["rnnscope", "analyze", str(run.path), "--only", name])
    return Missing("This analysis was not run yet.", command)
