"""rnnscope list."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

import rnnscope as rs
from rnnscope.analyses import ANALYSES, groups
from rnnscope.cells import CELLS
from rnnscope.cli.lines import say
from rnnscope.cli.settings import Folder, settings_file
from rnnscope.learning.trainer import Training
from rnnscope.tasks import TASKS, to_config


def list_(
    what: Annotated[str, typer.Argument(help="tasks, cells, training, presets, analyses or runs.")] = "presets",
    folder: Folder = Path("runs"),
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """List what there is: tasks, cells, training (its settings), presets, analyses, runs."""
    match what:
        case "tasks":
            _say_kinds(TASKS)
        case "cells":
            _say_kinds(CELLS)
        case "training":
            for name, value in to_config(Training()).items():
                if name != "kind":
                    say(f"{name:<18} {json.dumps(value)}")
            say(f"\n{inspect.getdoc(Training)}")
        case "presets":
            for name, preset in rs.PRESETS.items():
                say(f"{name:<12} {preset.about}: {preset.task}, {preset.cell}")
        case "analyses":
            for group in groups():
                say(group)
                for name, analysis in ANALYSES.items():
                    if analysis.group == group:
                        say(f"  {name:<24}{analysis.title}")
        case "runs":
            for run in rs.list_runs(folder):
                say(f"{run.name:<40} {run.status:<9} {', '.join(run.results) or 'not analysed'}")
        case _:
            raise ValueError(f"cannot list {what!r}: tasks, cells, training, presets, analyses or runs")


def _say_kinds(known: Mapping[str, type]) -> None:
    """Name, settings with their defaults, and the first line of what each says of itself."""
    for name, kind in known.items():
        parameters = inspect.signature(kind).parameters.values()
        settings = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
        say(f"{name}({', '.join(settings)})\n    {(inspect.getdoc(kind) or '').splitlines()[0]}")
