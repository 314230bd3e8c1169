"""rnnscope figures."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, no_type_check

import typer

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.cli.lines import one_line, say
from rnnscope.cli.settings import (
    Formats,
    Overwrite,
    check_folder,
    given_settings,
    known_names,
    load_runs,
    settings_file,
    split_commas,
)
from rnnscope.cli.spec import draw_spec

RunsOfSpec = Annotated[
    list[Path] | None, typer.Argument(help="Run folders, as `rnnscope train` makes them.", metavar="RUN...")
]
_TRAINING = "training"


@no_type_check  # what typer hands over is no typer.Context, though it wants the annotation
def figures(
    context: typer.Context,
    runs: RunsOfSpec = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="A TOML file that says which figures to draw of which runs; RUN... replaces its runs."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder for the figures; it must be new or empty, but for those of a --spec.",
            show_default="figures",
        ),
    ] = None,
    format_: Formats = None,
    overwrite: Overwrite = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="An analysis, for all its figures; a figure, such as automaton-states; or training. Repeatable."
        ),
    ] = None,
    style: Annotated[
        str, typer.Option(help="screen (900 x 620 px), paper (85 x 60 mm, 7 pt, no title) or slides (254 x 143 mm).")
    ] = "screen",
    width: Annotated[
        str | None,
        typer.Option(help="As 85mm, 8.5cm, 3.3in, or in CSS pixels, from 200 to 8000; HTML fills its window."),
    ] = None,
    height: Annotated[
        str | None, typer.Option(help="As --width. Of the two alone, one takes the other's style along.")
    ] = None,
    font_size: Annotated[str | None, typer.Option(help="In points, from 4 to 72; by the style if not given.")] = None,
    plotly: Annotated[
        str, typer.Option(help="Of HTML: inline (plotly.js in every page) or shared (once, in the folder).")
    ] = "inline",
    jobs: Annotated[int, typer.Option(min=1, help="How many figures the browser draws at once.")] = 1,
    all_: Annotated[bool, typer.Option("--all", help="Draw also what says no more than a sentence.")] = False,
    again: Annotated[bool, typer.Option(help="With --spec: draw also what is there, made from the same.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="OPTION=VALUE",
            help="An option of the chosen figures that have it, such as dims=2 (repeatable). VALUE is JSON or text.",
        ),
    ] = None,
    config: Annotated[Path | None, settings_file(["options"])] = None,
) -> None:
    """Draw the figures of one or many runs: the course of the training, and all figures of every result that is kept.

    `rnnscope figures runs/* --out figures --format png,svg,pdf,html`

    `rnnscope figures runs/* --only lyapunov --only automaton-states --width 600`

    `rnnscope figures runs/a --only state_space --set dims=2 --set colour=time`

    `rnnscope figures runs/* --format pdf --style paper --width 85mm --height 60mm --font-size 7` draws for a column of
    a journal; what cannot be read at that size is named.

    `rnnscope figures --spec figures.toml --only "figure-*" --jobs 2` draws what the file asks for: many runs, panels
    with letters, sizes in millimetres (docs in `rnnscope/figures/spec.py`). What is there already, made from the same
    results, is not drawn again.
    """
    if spec is not None:
        _check_alone(
            format_=format_,
            style=style,
            width=width,
            height=height,
            font_size=font_size,
            plotly=plotly,
            overwrite=overwrite,
            set_=set_,
        )
        names = None if only is None else split_commas(only)
        return draw_spec(spec, runs or [], out, names, jobs=jobs, everything=all_, again=again)
    if not runs:
        raise ValueError("no runs: name folders as `rnnscope train` makes them, or a file with --spec")
    if again:
        raise ValueError("--again belongs to --spec; without it, --overwrite writes into a folder that holds files")
    from rnnscope.figures import SCREEN, check_formats, check_size, says_little, write_figures
    from rnnscope.figures.page import check_plotly
    from rnnscope.figures.style import style as style_of

    out = out or Path("figures")
    check_plotly(plotly)
    formats = check_formats(["png"] if format_ is None else split_commas(format_))
    look = style_of(style, width, height, font_size)
    if width is None and height is not None:
        check_size(SCREEN.width, look.height)  # so that an error names what was given
    check_size(look.width, look.height)
    wanted = None if only is None else _wanted(split_commas(only))
    for pair in set_ or []:
        if not pair.partition("=")[1]:
            raise ValueError(f"--set {pair}: write OPTION=VALUE, such as dims=2")
    given = given_settings(context, [f"options.{pair}" for pair in set_ or []], ["options"])
    options = drawing_options(given["options"], wanted)
    check_folder(out, overwrite)
    drawn: dict[str, Any] = {}
    damaged: list[str] = []
    left_out = 0
    for label, run in load_runs(runs).items():
        found, wrong = figures_of(run, wanted, options)
        damaged += wrong
        if not found and not wrong:
            say(f"{label}: nothing to draw of {', '.join(only or [])}")
        for name, figure in found.items():
            sentence = "" if all_ else says_little(figure)
            if sentence:
                say(f"left out: {label}-{name}: {sentence} (--all draws it)")
                left_out += 1
                continue
            file = f"{label}-{name}".replace("/", "-")
            if file in drawn:
                raise ValueError(f"two runs would both be drawn as {file}: rename one, or draw them apart")
            drawn[file] = figure
    if not drawn and not damaged and not left_out:
        raise ValueError(f"nothing to draw: rnnscope analyze {' '.join(map(str, runs))} makes the results")
    written = write_figures(
        drawn, out, formats, style=look, plotly="shared" if plotly == "shared" else "inline", tabs=jobs
    )
    say(f"{len(written)} files in {out}")
    if formats != ("html",) and look != SCREEN:
        _warn_of_text(drawn, look)
    if damaged:
        raise ValueError(f"{len(damaged)} could not be drawn: {'; '.join(damaged)}")


def _warn_of_text(figures: dict[str, Any], look: Any) -> None:
    """Name the figures with text that cannot be read at this size."""
    from rnnscope.figures import styled
    from rnnscope.figures.measure import measure_figures

    for name, seen in measure_figures({name: styled(figure, look) for name, figure in figures.items()}).items():
        said = []
        if seen.cut:
            said.append(f"cut off: {', '.join(map(repr, seen.cut[:3]))}")
        if seen.overlapping:
            said.append(f"one over the other: {', '.join(f'{a!r} and {b!r}' for a, b in seen.overlapping[:3])}")
        if said:
            say(f"{name} has text that cannot be read at this size ({'; '.join(said)}): make it larger")


def _check_alone(**given: Any) -> None:
    """With --spec, the file says how figures are drawn."""
    usual = {
        "format_": None,
        "style": "screen",
        "width": None,
        "height": None,
        "font_size": None,
        "plotly": "inline",
        "overwrite": False,
        "set_": None,
    }
    for name, value in given.items():
        if value != usual[name]:
            option = name.strip("_").replace("_", "-")
            raise ValueError(f"--{option} and --spec: the file says so, for all figures or each; leave one of the two")


def drawing_options(given: Mapping[str, Any], wanted: set[str] | None = None) -> dict[str, dict[str, Any]]:
    """Figure -> its options among those given; each is for all of the chosen figures that have it.

    Args:
        given: option -> value, as JSON or a settings file has it.
        wanted: names of figures; None for all.

    Raises:
        ValueError: an option that none of them has, or that is refused.
    """
    drawings = [
        (name, drawing)
        for entry in ANALYSES.values()
        for name, drawing in entry.figures.items()
        if wanted is None or name in wanted
    ]
    known = sorted({option for _, drawing in drawings for option in drawing.question.settings})
    found: dict[str, dict[str, Any]] = {}
    for option, value in given.items():
        taking = [(name, drawing) for name, drawing in drawings if option in drawing.question.settings]
        if not taking:
            close = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            those = "no figure" if wanted is None else f"none of {', '.join(sorted(wanted))}"
            raise ValueError(f"--set {option}: {those} has this option; {hint}known: {', '.join(known) or 'none'}")
        # What an option may be differs between figures: one that takes the value is enough.
        refused = []
        for name, drawing in taking:
            try:
                read = drawing.question.read({option: value})
            except ValueError as error:
                refused.append(error)
            else:
                found.setdefault(name, {}).update(read)
        if len(refused) == len(taking):
            raise ValueError(f"--set {option}: {refused[0]}")
    return found


def figures_of(
    run: rs.Run, wanted: set[str] | None = None, options: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> tuple[dict[str, Any], list[str]]:
    """(the figures of a run by name, what is wrong with those that cannot be drawn); of these names alone, if given.
    Each says of which run it is.

    Args:
        run: whose results are drawn.
        wanted: names of figures; None for all.
        options: figure -> its options.
    """
    from rnnscope.figures import name_run, training_figure

    found: dict[str, Any] = {}
    damaged: list[str] = []
    if wanted is None or _TRAINING in wanted:
        try:
            found[_TRAINING] = name_run(training_figure(run), run.name)
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
        except ValueError as error:
            damaged.append(one_line(error))
            continue
        for name, drawing in drawings.items():
            try:
                figure = drawing.draw(result, **options.get(name, {}))
                found[f"{name}{variant}"] = name_run(figure, run.name)
            except NotApplicable:
                continue
            except Exception as error:  # noqa: BLE001 - an option or a number that nobody foresaw costs its own figure
                damaged.append(f"{name}{variant} of {kept.path}: {one_line(error) or type(error).__name__}")
    return found, damaged


def _wanted(names: list[str]) -> set[str]:
    """The names of figures; that of an analysis stands for all of its figures."""
    of = {name: list(analysis.figures) for name, analysis in ANALYSES.items()}
    known = [_TRAINING, *(figure for figures in of.values() for figure in figures)]
    if not names:
        raise ValueError(f"--only names no figure; known: {', '.join(known)}")
    return {figure for name in known_names(names, known, "figure") for figure in of.get(name, [name])}
