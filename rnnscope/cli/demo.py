"""rnnscope demo."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import rnnscope as rs
from rnnscope.analyses import ANALYSES, Analysis, analyse
from rnnscope.cli.answers import kept_answer
from rnnscope.cli.figures import figures_of
from rnnscope.cli.lines import one_line, say, say_error
from rnnscope.cli.settings import Port, settings_file, split_commas
from rnnscope.cli.train import say_run
from rnnscope.learning.trainer import change_settings

# The first has most to see, and is there within seconds; the last takes longer than the others together.
PRESETS = ("flip-flop", "parity", "dms", "hmm-2")


def demo(
    out: Annotated[Path, typer.Option(help="The folder for runs and figures.")] = Path("demo"),
    port: Port = 8050,
    serve: Annotated[bool, typer.Option(help="Serve the explorer at the end.")] = True,
    presets: Annotated[
        list[str] | None,
        typer.Option(help="The presets to train: comma-separated, or repeated.", show_default=",".join(PRESETS)),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of each network, for a quick look.")] = None,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Train four networks, analyse them, draw the figures and serve the explorer.

    Run again, it goes on where it was: what is trained and analysed already is taken as it is. If the training of a
    network diverges, the demo reports it and goes on with the others; the exit code is then 1.
    """
    from rnnscope.figures import CannotDraw, write_figures

    chosen = {name: rs.preset(name) for name in (PRESETS if presets is None else split_commas(presets))}
    if not chosen:
        raise ValueError(f"--presets names no preset; known: {', '.join(rs.PRESETS)}")
    drawn: dict[str, Any] = {}
    diverged: list[str] = []
    for number, (name, preset) in enumerate(chosen.items(), 1):
        say(f"[{number}/{len(chosen)}] {preset.about}")
        run = _trained(name, preset, steps, out / "runs")
        say_run(run)
        if run.status == "diverged":
            diverged.append(name)
            continue
        analyse(run, missing=True, on_progress=_say_progress)
        for shown in filter(None, map(run.shown, ANALYSES)):
            say(f"  {kept_answer(shown).line}")
        drawn.update({f"{name}-{which}": figure for which, figure in figures_of(run)[0].items()})
    say(f"drawing {len(drawn)} figures ...")
    try:
        written = write_figures(drawn, out / "figures", ("png",))
    except CannotDraw as error:
        say(f"the figures are written as HTML: {one_line(error)}")
        written = write_figures(drawn, out / "figures", ("html",))
    say(f"{len(chosen)} runs in {out / 'runs'}, {len(written)} figures in {out / 'figures'}")
    if diverged:
        say_error(f"not learned and not analysed, since the training diverged: {', '.join(diverged)}")
    if serve:
        from rnnscope.app import serve as serve_app

        serve_app(out / "runs", port=port)
    else:
        say(f"look at them: {_own_command()} app {out / 'runs'}")
    if diverged:
        raise typer.Exit(1)


def _say_progress(analysis: Analysis, done: int, total: int) -> None:
    say(f"  {analysis.title} ... ({done + 1} of {total})")


def _trained(name: str, preset: rs.Preset, steps: int | None, folder: Path) -> rs.Run:
    """Train the run of a preset; where the training diverges, say so and return the run nevertheless."""
    training = preset.training if steps is None else change_settings(preset.training, {"steps": steps})
    try:
        return rs.train(preset.task, preset.cell, training, name=name, folder=folder, exists="resume")
    except rs.TrainingDiverged as error:
        say(f"  {one_line(error)}")
        return error.run


def _own_command() -> str:
    """Return how this program can be called again: after `make demo` it may be as .venv/bin/rnnscope."""
    if shutil.which("rnnscope"):
        return "rnnscope"
    called = os.path.relpath(sys.argv[0])
    return sys.argv[0] if called.startswith("..") else called
