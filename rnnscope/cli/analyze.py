"""rnnscope analyze."""

from pathlib import Path
from typing import Annotated, no_type_check

import typer

from rnnscope.analyses import ANALYSES, Analysis, analyse, plan
from rnnscope.cli.lines import say
from rnnscope.cli.settings import Runs, Seed, Set, given_settings, known_names, load_runs, settings_file


@no_type_check
def analyze(
    context: typer.Context,
    runs: Runs,
    only: Annotated[
        list[str] | None, typer.Option(help="One analysis (`rnnscope list analyses`); may be repeated.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what the run keeps no result of, and no reason why there is none.")
    ] = False,
    plan_: Annotated[
        bool, typer.Option("--plan", help="Say what it would take, in seconds and memory, and do nothing.")
    ] = False,
    set_: Set = None,
    seed: Seed = 0,
    config: Annotated[Path | None, settings_file(ANALYSES)] = None,
) -> None:
    """Run analyses on runs and keep the results with them.

    `rnnscope analyze runs/* --only lyapunov --set lyapunov.n_steps=5000`

    Keys of --set begin with the name of an analysis. Each result is kept as soon as it is found: after an
    interruption the same command with --missing goes on. What all of it would take, about, --plan says beforehand.
    """
    changes = given_settings(context, set_, ANALYSES)
    names = None if only is None else known_names(only, ANALYSES, "analysis")
    settings = {name: ANALYSES[name].question.read(given) for name, given in changes.items()}
    for label, run in load_runs(runs).items():
        say(label)
        try:
            if plan_:
                say(plan(run, names, seed=seed, settings=settings, missing=missing).summary())
                continue
            done = analyse(run, names, seed=seed, settings=settings, missing=missing, on_progress=say_progress)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{label}: {error}") from error
        for name, result in done.results.items():
            say(f"  {name}: {result.summary()}")
        for name, reason in done.skipped.items():
            say(f"  {name}: not done: {reason}")
        if missing and not done.results and not done.skipped:
            say("  nothing is missing")


def say_progress(analysis: Analysis, done: int, total: int) -> None:
    """Before each analysis."""
    say(f"  {analysis.title} ... ({done + 1} of {total})")
