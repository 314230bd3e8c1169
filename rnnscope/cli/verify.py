"""rnnscope verify."""

from pathlib import Path
from typing import Annotated

import typer

from rnnscope.cli.lines import say
from rnnscope.cli.settings import RunFolders, run_folders, settings_file


def verify(
    runs: RunFolders,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Find damaged, missing and foreign files in runs: every file is read and compared with its digest.

    `rnnscope verify runs` takes a folder of runs, or single ones. The exit code is 1 if anything is damaged or missing.
    """
    from rnnscope.records.integrity import verify_run

    lost = 0
    for path in run_folders(runs):
        found = verify_run(path)
        lost += sum(each.is_loss for each in found)
        say(f"{path}: {'whole' if not found else f'{len(found)} findings' if len(found) > 1 else '1 finding'}")
        for each in found:
            say(f"  {each}")
    if lost:
        raise typer.Exit(1)
