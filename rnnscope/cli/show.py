"""rnnscope show."""

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python

import rnnscope as rs
from rnnscope.analyses import ANALYSES
from rnnscope.cells import CELLS
from rnnscope.cli.answers import Answer, as_plain, kept_answer, seconds_words
from rnnscope.cli.lines import one_line, say, say_json
from rnnscope.cli.settings import Json, known_names, settings_file
from rnnscope.tasks import TASKS, to_config


def show(
    run: Annotated[Path, typer.Argument(help="A run folder, as `rnnscope train` makes it.", metavar="RUN")],
    analyses: Annotated[
        list[str] | None,
        typer.Argument(help="Analyses (`rnnscope list analyses`); all if none is named.", metavar="[ANALYSIS]..."),
    ] = None,
    json_: Json = False,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Show a run: what was trained, how well, and the summary of every result that is kept with it.

    `rnnscope show runs/parity lyapunov fixed_points`

    Of the settings, those are shown that differ from their defaults. Of an analysis, what the explorer shows comes
    first, and results under other settings or of other checkpoints stand below it, each with what sets it apart and
    the seconds that it took.

    With --json the output is one object: `run` (its name), `path`, `status`, `steps`, `seconds`, `seed`, `task`,
    `cell` and `training` (all settings), `changed` (those that differ from the defaults, by these three names),
    `metrics`, `criterion` (a list of `metric`, `direction`, `threshold`), `checkpoints`, `versions`, `problem` (what
    is wrong with the run, or null), `imported` (of a run made of files: `files`, `sha256`, `parameters` and `shapes`;
    else null, and where it is not, `seed` and `training` say nothing of how it was trained), `answers` (as of
    `rnnscope analyze --json`, each with `shown`: whether the explorer shows this one of its analysis) and
    `not_analysed` (the analyses of which nothing is kept).
    """
    loaded = rs.load_run(run)
    names = list(ANALYSES) if not analyses else known_names(list(dict.fromkeys(analyses)), ANALYSES, "analysis")
    answers = {name: found for name in names if (found := _answers(loaded, name))}
    absent = [name for name in names if name not in answers]
    described = _described(loaded)
    if json_:
        plain = [{**as_plain(each), "shown": first} for name in answers for first, each in answers[name]]
        say_json({**described, "answers": plain, "not_analysed": absent})
    else:
        _say_run(described)
        for name, found in answers.items():
            _say_answers(name, found, loaded.checkpoints)
        if absent:
            say(f"not analysed: {', '.join(absent)} (rnnscope analyze {run} --missing)")
    unreadable = [each for found in answers.values() for _, each in found if each.unreadable is not None]
    if unreadable:
        words = "; ".join(f"{each.analysis}: {each.unreadable}" for each in unreadable)
        raise ValueError(f"{len(unreadable)} of the results cannot be read: {words}")


def _answers(run: rs.Run, name: str) -> list[tuple[bool, Answer]]:
    """What is kept of one analysis, what the explorer shows of it first, then the newest."""
    shown = run.shown(name)
    found = [(shown is not None and kept.path == shown.path, kept_answer(kept)) for kept in reversed(run.kept(name))]
    return sorted(found, key=lambda each: not each[0])


def _described(run: rs.Run) -> dict[str, Any]:
    """The run without its results."""
    record = run.record
    problem, criterion, default = None, [], {}
    try:
        criterion = [dataclasses.asdict(each) for each in run.task.criterion]
        default = to_config(rs.default_training(run.task))
    except ValueError as error:  # arrays of the task may be lost; all else is worth showing
        problem = one_line(error)
    return {
        "run": run.name,
        "path": str(run.path),
        "status": run.status,
        "steps": record["steps_done"],
        "seconds": record["seconds"],
        "seed": run.seed,
        "task": record["task"],
        "cell": record["cell"],
        "training": record["training"],
        "changed": {
            "task": _changed(record["task"], _defaults(TASKS, record["task"])),
            "cell": _changed(record["cell"], _defaults(CELLS, record["cell"])),
            "training": _changed(record["training"], default),
        },
        "metrics": run.metrics,
        "criterion": criterion,
        "checkpoints": run.checkpoints,
        "versions": record["versions"],
        "problem": problem,
        "imported": run.imported,
    }


def _defaults(kinds: Mapping[str, type], config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a task or a cell that need not be given."""
    kind = kinds.get(config["kind"])
    parameters = {} if kind is None else inspect.signature(kind).parameters
    return {p.name: to_jsonable_python(p.default) for p in parameters.values() if p.default is not p.empty}


def _changed(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in config.items()
        if name != "kind" and not (name in defaults and defaults[name] == value)
    }


def _say_run(run: Mapping[str, Any]) -> None:
    imported = run["imported"]
    if imported is None:
        say(f"{run['path']}: {run['status']} after {run['steps']} steps, {seconds_words(run['seconds'])}")
    else:
        say(f"{run['path']}: imported, up to step {run['steps']}")
    for part in ("task", "cell"):
        say(f"  {part:<12}{run[part]['kind']}({_settings(run['changed'][part])})")
    if imported is not None:
        say(f"  {'from':<12}{', '.join(imported['files'].values())} (how they were trained is not known)")
    elif run["problem"] is None:
        say(f"  {'training':<12}{_settings(run['changed']['training']) or 'the defaults of the task'}")
    if imported is None:
        say(f"  {'seed':<12}{run['seed']}")
    say(f"  {'weights':<12}at step {', '.join(map(str, run['checkpoints'])) or '(none is kept)'}")
    if run["metrics"]:
        say(f"  {'metrics':<12}{', '.join(f'{name} {value:.4g}' for name, value in run['metrics'].items())}")
    wanted = [f"{each['metric']} {each['direction']} {each['threshold']:g}" for each in run["criterion"]]
    if wanted:
        say(f"  {'wanted':<12}{', '.join(wanted)}")
    if run["problem"] is not None:
        say(f"  {'problem':<12}{run['problem']}")


def _settings(changed: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in changed.items())


def _short(value: Any) -> str:
    words = str(value)
    return words if len(words) <= 100 else f"{words[:97]}..."


def _say_answers(name: str, found: list[tuple[bool, Answer]], checkpoints: list[int]) -> None:
    last = max(checkpoints, default=None)
    if all(_apart(answer, last) for _, answer in found):
        say(name)
    for _, answer in found:
        apart = _apart(answer, last)
        say(f"  {answer._replace(analysis=apart).line}" if apart else answer.line)


def _apart(answer: Answer, last: int | None) -> str:
    """What sets a result apart from that under default settings, of the network as it is, for the last checkpoint."""
    step = "" if answer.checkpoint in (None, last) else f"step {answer.checkpoint}"
    under = ", ".join(answer.interventions)
    words = answer.label.replace(under, f"under {under}", 1) if under else answer.label
    return ", ".join(filter(None, (words, step)))
