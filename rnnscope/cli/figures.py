"""rnnscope figures."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.cli.lines import one_line, say
from rnnscope.cli.settings import Formats, Overwrite, Runs, check_folder, load_runs, settings_file, split_commas


def figures(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="Where to; must be new or empty.")] = Path("figures"),
    format_: Formats = None,
    overwrite: Overwrite = False,
    width: Annotated[int, typer.Option(help="In CSS pixels.")] = 900,
    height: Annotated[int, typer.Option(help="In CSS pixels.")] = 620,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Draw every figure of many runs in one go: training, and all of each analysis that was run.

    `rnnscope figures runs/* --out figures --format png,svg,pdf,html`
    """
    from rnnscope.figures import check_formats, write_figures

    formats = check_formats(["png"] if format_ is None else split_commas(format_))
    check_folder(out, overwrite)
    drawn: dict[str, Any] = {}
    damaged: list[str] = []
    for label, run in load_runs(runs).items():
        found, wrong = figures_of(run)
        damaged += wrong
        for name, figure in found.items():
            file = f"{label}-{name}".replace("/", "-")
            if file in drawn:
                raise ValueError(f"two runs would both be drawn as {file}: rename one, or draw them apart")
            drawn[file] = figure
    written = write_figures(drawn, out, formats, width=width, height=height)
    say(f"{len(written)} files in {out}")
    if damaged:
        raise ValueError(f"{len(damaged)} could not be drawn: {'; '.join(damaged)}")


def figures_of(run: rs.Run) -> tuple[dict[str, Any], list[str]]:
    """(the figures of a run by name, what is wrong with those that cannot be drawn)"""
    from rnnscope.figures import training_figure

    found: dict[str, Any] = {}
    damaged: list[str] = []
    try:
        found["training"] = training_figure(run)
    except ValueError as error:
        damaged.append(one_line(error))
    for kept in [kept for kept in run.kept() if kept.reason is None and kept.analysis in ANALYSES]:
        shown = run.shown(kept.analysis)
        variant = "" if shown is not None and kept.path == shown.path else f"-{kept.path.name.split('.zarr')[0]}"
        try:
            result = kept.load()
            for name, drawing in ANALYSES[kept.analysis].figures.items():
                with suppress(NotApplicable):
                    found[f"{name}{variant}"] = drawing.draw(result)
        except ValueError as error:
            damaged.append(one_line(error))
    return found, damaged
