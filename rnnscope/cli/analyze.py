"""rnnscope analyze."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer

import rnnscope as rs
from rnnscope.analyses import ANALYSES, plan
from rnnscope.cli.answers import as_plain
from rnnscope.cli.in_processes import in_processes
from rnnscope.cli.job import Job, Report, work
from rnnscope.cli.lines import say, say_aside, say_json
from rnnscope.cli.settings import (
    Json,
    Runs,
    Seed,
    Set,
    given_settings,
    known_names,
    load_runs,
    read_interventions,
    settings_file,
    split_commas,
)
from rnnscope.subjects import interventions
from rnnscope.tasks.settings import from_config


@no_type_check
def analyze(
    context: typer.Context,
    runs: Runs,
    only: Annotated[
        list[str] | None, typer.Option(help="An analysis (`rnnscope list analyses`); comma-separated, or repeated.")
    ] = None,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Leave out what the run keeps a result of, or why there is none."),
    ] = False,
    under: Annotated[
        Path | None,
        typer.Option(
            help="A TOML or YAML file of tables [[interventions]], each with `kind` and settings, to change the run by."
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="How many runs are analysed at once, each in a process of its own with one BLAS thread. One run is "
            "analysed by one process, whatever the number.",
        ),
    ] = 1,
    plan_: Annotated[
        bool, typer.Option("--plan", help="Report what it would take, in seconds and memory, and run nothing.")
    ] = False,
    set_: Set = None,
    seed: Seed = 0,
    json_: Json = False,
    config: Annotated[Path | None, settings_file(ANALYSES)] = None,
) -> None:
    """Run analyses on runs and keep the results with them.

    `rnnscope analyze runs/* --jobs 2 --only lyapunov --set lyapunov.n_steps=5000`

    Keys of --set begin with the name of an analysis. Each result is kept as soon as it is found: after an
    interruption the same command with --missing goes on. --plan says beforehand about how long all of it would take.
    With --under the network is changed first, as by [[interventions]], kind = "Ablate", units = [3, 7]: results say so,
    and stand beside those of the network as it is.
    An error ends the analyses of its run; the other runs go on, and the exit code is 2.

    With --json, progress goes to the standard error, and the output is a list with an object for each run: `run` (its
    name), `path`, `error` (null if there was none) and `answers`, a list of objects: `analysis`, `label` (what sets it
    apart from the default settings), `interventions` (a list of words, which the label holds too), `checkpoint`,
    `seconds`, `file`, and one of `summary`, `not_applicable` (the reason) and `unreadable`, the others being null. With
    --plan as well, `answers` is `plan` instead: `analysis`, `kind`, `grows`, `seconds` and `memory` (in bytes).
    """
    changes = {name: given for name, given in given_settings(context, set_, ANALYSES).items() if given}
    names = None if only is None else known_names(split_commas(only), ANALYSES, "analysis")
    if names == []:
        raise ValueError(f"--only names no analysis; known: {', '.join(ANALYSES)}")
    settings = {name: ANALYSES[name].question.read(given) for name, given in changes.items()}
    changed = [] if under is None else read_interventions(under)
    loaded = load_runs(runs)
    if plan_:
        _plan(loaded, json_, changed, names=names, seed=seed, settings=settings, missing=missing)
        return
    asked = [Job(label, str(run.path), names, seed, changes, missing, changed) for label, run in loaded.items()]
    reports = _together(asked, jobs, json_) if jobs > 1 and len(asked) > 1 else _in_turn(asked, jobs, json_)
    if json_:
        say_json([_plain(report) for report in reports])
    failed = [f"{report.job.label}: {report.error}" for report in reports if report.error is not None]
    if len(failed) > 1:
        raise ValueError(f"{len(failed)} of {len(reports)} runs failed: {'; '.join(failed)}")
    if failed:
        raise ValueError(failed[0])


def _in_turn(asked: list[Job], jobs: int, quiet: bool) -> list[Report]:
    """One run after another, in this process. Each answer is said when it is found."""
    progress = say_aside if quiet else say
    if jobs > 1:
        progress(f"there is one run, which is analysed by one process: --jobs {jobs} changes nothing")
    reports = []
    for job in asked:
        progress(job.label)
        report = work(
            job, lambda line: progress(f"  {line}"), lambda answer: None if quiet else say(f"  {answer.line}")
        )
        reports.append(report)
        if not quiet:
            _say_end(report)
    return reports


def _together(asked: list[Job], jobs: int, quiet: bool) -> list[Report]:
    """Several runs at once. How far each is, is said at once; what was found, run by run in the order given."""
    progress = say_aside if quiet else say
    reports: list[Report] = []

    def finish(report: Report) -> None:
        reports.append(report)
        if not quiet:
            say(report.job.label)
            for answer in report.answers:
                say(f"  {answer.line}")
            _say_end(report)

    in_processes(asked, jobs, lambda job, line: progress(f"  {job.label}: {line}"), finish)
    return reports


def _say_end(report: Report) -> None:
    if report.error is not None:
        say(f"  failed: {report.error}")
    elif report.job.missing and not report.answers:
        say("  nothing is missing")


def _plain(report: Report) -> dict[str, Any]:
    answers = [as_plain(answer) for answer in report.answers]
    return {"run": report.job.label, "path": report.job.path, "error": report.error, "answers": answers}


def _plan(loaded: dict[str, rs.Run], as_json: bool, under: list[dict[str, Any]], **asked: Any) -> None:
    rows = []
    changes = [from_config(config, interventions.KINDS, "intervention") for config in under]
    for label, run in loaded.items():
        try:
            found = plan(rs.as_subject(run).under(*changes) if changes else run, **asked)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{label}: {error}") from error
        rows.append({"run": label, "path": str(run.path), "plan": [dataclasses.asdict(row) for row in found.rows]})
        if not as_json:
            say(label)
            say(found.summary())
    if as_json:
        say_json(rows)
