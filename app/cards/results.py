"""The cards of an analysis: one for each figure of its result."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from rnnscope.analyses.report.tiles import of_what_else
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
        lambda shown, **options: drawing.draw(shown.result, **options),
        read=lambda run: _shown(run, entry.name),
        summary=lambda shown: shown.summary() if first else "",
        absent=lambda run: _not_run(run, entry.name),
        remedy="delete it and redo the analysis",
        wide=entry.wide,
        drawing=drawing if drawing.question.settings else None,
    )


def _file(run: Run, name: str) -> Path | None:
    shown = run.shown(name)
    return None if shown is None or shown.reason is not None else shown.path


@dataclass(frozen=True)
class _Shown:
    """A result, and of what it is, if not of the run as it is at its end."""

    result: Result
    apart: str

    def summary(self) -> str:
        """Where it is a variant, or of something else, that comes first."""
        label = self.result.made.label if self.result.made else ""
        variant = f"With {label}: " if label else ""
        return f"{f'Of the network {self.apart}. ' if self.apart else ''}{variant}{self.result.summary()}"


def _shown(run: Run, name: str) -> _Shown:
    kept = run.shown(name)
    if kept is None:
        raise FileNotFoundError(f"{run.path} keeps no result of {name} any more")
    result = kept.load()
    return _Shown(result, of_what_else(run, result.made))


def _not_run(run: Run, name: str) -> Missing:
    if name in run.skipped:
        return Missing(f"This analysis does not apply to the run: {run.skipped[name]}.", applies=False)
    command = shlex.join(["rnnscope", "analyze", str(run.path), "--only", name])
    return Missing("This analysis was not run yet.", command)
