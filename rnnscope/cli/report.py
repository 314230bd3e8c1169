"""rnnscope report."""

from pathlib import Path
from typing import Annotated

import typer

import rnnscope as rs
from rnnscope.cli.lines import say
from rnnscope.cli.settings import RunFolders, load_runs, run_folders, settings_file, split_commas


def report(
    runs: RunFolders,
    out: Annotated[Path, typer.Option(help="The file; its ending says whether it is a page or a notebook.")] = Path(
        "report.html"
    ),
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="html, ipynb; both comma-separated, which then stand beside one another.",
            show_default="by the ending of --out",
        ),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Run the cells of the notebook; this needs nbclient and ipykernel.")
    ] = False,
    comparison: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that `rnnscope compare` wrote about these runs, or a file in it (repeatable)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Write a report of a run, or of several beside one another: what was trained, what was found in figures and
    sentences, how far it holds, and how to get there again. It is made of what the runs keep.

    `rnnscope report runs/parity --out parity.html`

    `rnnscope report runs/* --out all.html --format html,ipynb --comparison comparison`

    The page needs nothing beside itself, prints, and follows light and dark.
    """
    from rnnscope.analyses.report.write import check_report_formats

    formats = check_report_formats(out, split_commas(format_ or []))
    files = [out.with_suffix(f".{kind}") for kind in formats]
    there = [path for path in files if path.exists()]
    if there and not overwrite:
        raise ValueError(f"{there[0]} is there already: name another file with --out, or replace it with --overwrite")
    chosen = load_runs(run_folders(runs))
    for path in rs.report(chosen.values(), out, formats=formats, execute_notebook=execute, comparison=comparison or ()):
        say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
