"""rnnscope figures."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.cli.lines import one_line, say
from rnnscope.cli.settings import (
    Formats,
    Overwrite,
    Runs,
    check_folder,
    known_names,
    load_runs,
    settings_file,
    split_commas,
)

_TRAINING = "training"


def figures(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="The folder for the figures; it must be new or empty.")] = Path("figures"),
    format_: Formats = None,
    overwrite: Overwrite = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="An analysis, for all its figures; a figure, such as automaton-states; or training. Repeatable."
        ),
    ] = None,
    width: Annotated[int, typer.Option(help="In CSS pixels, from 200 to 8000; HTML fills its window.")] = 900,
    height: Annotated[int, typer.Option(help="In CSS pixels, from 200 to 8000; HTML fills its window.")] = 620,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Draw the figures of one or many runs: the course of the training, and all figures of every result that is kept.

    `rnnscope figures runs/* --out figures --format png,svg,pdf,html`

    `rnnscope figures runs/* --only lyapunov --only automaton-states --width 600`
    """
    from rnnscope.figures import check_formats, check_size, write_figures

    formats = check_formats(["png"] if format_ is None else split_commas(format_))
    check_size(width, height)
    wanted = None if only is None else _wanted(split_commas(only))
    check_folder(out, overwrite)
    drawn: dict[str, Any] = {}
    damaged: list[str] = []
    for label, run in load_runs(runs).items():
        found, wrong = figures_of(run, wanted)
        damaged += wrong
        if not found and not wrong:
            say(f"{label}: nothing to draw of {', '.join(only or [])}")
        for name, figure in found.items():
            file = f"{label}-{name}".replace("/", "-")
            if file in drawn:
                raise ValueError(f"two runs would both be drawn as {file}: rename one, or draw them apart")
            drawn[file] = figure
    if not drawn and not damaged:
        raise ValueError(f"nothing to draw: rnnscope analyze {' '.join(map(str, runs))} makes the results")
    written = write_figures(drawn, out, formats, width=width, height=height)
    say(f"{len(written)} files in {out}")
    if damaged:
        raise ValueError(f"{len(damaged)} could not be drawn: {'; '.join(damaged)}")


def figures_of(run: rs.Run, wanted: set[str] | None = None) -> tuple[dict[str, Any], list[str]]:
    """(the figures of a run by name, what is wrong with those that cannot be drawn); of these names alone, if given."""
    from rnnscope.figures import training_figure

    found: dict[str, Any] = {}
    damaged: list[str] = []
    if wanted is None or _TRAINING in wanted:
        try:
            found[_TRAINING] = training_figure(run)
        except ValueError as error:
            damaged.append(one_line(error))
    for kept in [kept for kept in run.kept() if kept.reason is None and kept.analysis in ANALYSES]:
        drawings = {
            name: drawing
            for name, drawing in ANALYSES[kept.analysis].figures.items()
            if wanted is None or name in wanted
        }
        if not drawings:
            continue
        shown = run.shown(kept.analysis)
        variant = "" if shown is not None and kept.path == shown.path else f"-{kept.path.name.split('.zarr')[0]}"
        try:
            result = kept.load()
            for name, drawing in drawings.items():
                with suppress(NotApplicable):
                    found[f"{name}{variant}"] = drawing.draw(result)
        except ValueError as error:
            damaged.append(one_line(error))
    return found, damaged


def _wanted(names: list[str]) -> set[str]:
    """The names of figures; that of an analysis stands for all of its figures."""
    of = {name: list(analysis.figures) for name, analysis in ANALYSES.items()}
    known = [_TRAINING, *(figure for figures in of.values() for figure in figures)]
    if not names:
        raise ValueError(f"--only names no figure; known: {', '.join(known)}")
    return {figure for name in known_names(names, known, "figure") for figure in of.get(name, [name])}
