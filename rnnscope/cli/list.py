"""rnnscope list."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python

import rnnscope as rs
from rnnscope.analyses import ANALYSES, groups
from rnnscope.cells import CELLS
from rnnscope.cli.lines import say, say_json
from rnnscope.cli.settings import Folder, Json, settings_file
from rnnscope.learning.trainer import Training
from rnnscope.records.provenance import recorded
from rnnscope.tasks import TASKS, to_config


def list_(
    what: Annotated[str, typer.Argument(help="tasks, cells, training, presets, analyses, papers or runs.")] = "presets",
    folder: Folder = Path("runs"),
    json_: Json = False,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """List what there is: tasks, cells, training (its settings), presets, analyses, papers (that can be
    reproduced), runs.

    With --json the output is a list of objects. Tasks and cells: `name`, `about`, `settings` (name -> default) and
    `required` (settings that have no default). Training: `name`, `default`. Presets: `name`, `about`, `task`, `cell`,
    `training`. Analyses: `name`, `title`, `group`, `settings` (name -> `default` and `may_be`, in words). Runs: `name`,
    `path`, `status`, `analysed` and `not_applicable` (names of analyses). Papers: `name`, `title`, `citation`, `scales`
    (name -> what it is) and `claims` (name, title, criterion).
    """
    match what:
        case "tasks" | "cells":
            _kinds(TASKS if what == "tasks" else CELLS, json_)
        case "training":
            _training(json_)
        case "presets":
            _presets(json_)
        case "analyses":
            _analyses(json_)
        case "papers":
            _papers(json_)
        case "runs":
            _runs(folder, json_)
        case _:
            raise ValueError(f"cannot list {what!r}: give tasks, cells, training, presets, analyses, papers or runs")


def _kinds(known: Mapping[str, type], as_json: bool) -> None:
    """Name, settings with their defaults, and the first line of the docstring."""
    found = []
    for name, kind in known.items():
        parameters = inspect.signature(kind).parameters.values()
        about = (inspect.getdoc(kind) or "").splitlines()[0]
        defaults = {p.name: to_jsonable_python(p.default) for p in parameters if p.default is not p.empty}
        required = [p.name for p in parameters if p.default is p.empty]
        found.append({"name": name, "about": about, "settings": defaults, "required": required})
        if not as_json:
            settings = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
            say(f"{name}({', '.join(settings)})\n    {about}")
    if as_json:
        say_json(found)


def _papers(as_json: bool) -> None:
    from rnnscope.experiments import PAPERS

    if as_json:
        parts = ("name", "title", "criterion")
        say_json(
            [
                {
                    "name": paper.name,
                    "title": paper.title,
                    "citation": paper.citation,
                    "scales": {name: scale.about for name, scale in paper.scales.items()},
                    "claims": [{part: getattr(claim, part) for part in parts} for claim in paper.claims],
                }
                for paper in PAPERS.values()
            ]
        )
        return
    for paper in PAPERS.values():
        say(f"{paper.name}: {paper.title}\n    {paper.citation}")
        for name, scale in paper.scales.items():
            say(f"    --scale {name}: {scale.about}")
        for claim in paper.claims:
            say(f"    {claim.name} {claim.title}")


def _training(as_json: bool) -> None:
    settings = {name: value for name, value in to_config(Training()).items() if name != "kind"}
    if as_json:
        say_json([{"name": name, "default": value} for name, value in settings.items()])
        return
    for name, value in settings.items():
        say(f"{name:<18} {json.dumps(value)}")
    say(f"\n{inspect.getdoc(Training)}")


def _presets(as_json: bool) -> None:
    if as_json:
        parts = ("task", "cell", "training")
        say_json(
            [
                {"name": name, "about": preset.about, **{part: to_config(getattr(preset, part)) for part in parts}}
                for name, preset in rs.PRESETS.items()
            ]
        )
        return
    for name, preset in rs.PRESETS.items():
        say(f"{name:<12} {preset.about}: {preset.task}, {preset.cell}")


def _analyses(as_json: bool) -> None:
    if as_json:
        say_json([_analysis(name) for name in ANALYSES])
        return
    for group in groups():
        say(group)
        for name, analysis in ANALYSES.items():
            if analysis.group == group:
                say(f"  {name:<24}{analysis.title}")


def _analysis(name: str) -> dict[str, Any]:
    analysis = ANALYSES[name]
    settings = {
        setting.name: {"default": recorded(setting.default), "may_be": setting.words}
        for setting in analysis.question.settings.values()
        if setting.plain
    }
    return {"name": name, "title": analysis.title, "group": analysis.group, "settings": settings}


def _runs(folder: Path, as_json: bool) -> None:
    runs = rs.list_runs(folder)
    if as_json:
        say_json(
            [
                {
                    "name": run.name,
                    "path": str(run.path),
                    "status": run.status,
                    "analysed": run.results,
                    "not_applicable": sorted(run.skipped),
                }
                for run in runs
            ]
        )
        return
    for run in runs:
        say(f"{run.name:<40} {run.status:<9} {', '.join(run.results) or 'not analysed'}")
