"""rnnscope repair."""

from pathlib import Path
from typing import Annotated

import typer

from rnnscope.cli.lines import one_line, say, say_error
from rnnscope.cli.settings import RunFolders, run_folders, settings_file


def repair(
    runs: RunFolders,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take the files as they are, after changes by hand: write their digests anew."),
    ] = False,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Keep what is whole of runs: damaged files are moved into the run's folder `damaged`, and nothing else is touched.

    The exit code is 1 if a run cannot be repaired, because its `run.json` is damaged.
    """
    from rnnscope.records.integrity import repair_run
    from rnnscope.records.runs import RunError

    failed = False
    for path in run_folders(runs):
        try:
            done = repair_run(path, accept=accept)
        except RunError as error:
            failed = True
            say_error(one_line(error))
            continue
        say(f"{path}: {'nothing to repair' if not done else ''}".rstrip(" "))
        for each in done:
            say(f"  {each}")
    if failed:
        raise typer.Exit(1)
