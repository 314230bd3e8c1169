"""rnnscope demo."""

import os
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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
    chosen = {name: rs.preset(name) for name in (PRESETS if presets is None else split_commas(presets))}
    if not chosen:
        raise ValueError(f"--presets names no preset; known: {', '.join(rs.PRESETS)}")
    # Training the last network takes longest, and one core: a browser draws what there is so far on the other.
    artist = ThreadPoolExecutor(1)
    try:
        early, figures, diverged = _networks(chosen, steps, out, artist)
        say(f"drawing {len(figures)} figures ...")
        drawn = [*early, _draw(figures, out / "figures")]
    finally:
        artist.shutdown(cancel_futures=True)
    for trouble in dict.fromkeys(trouble for _, trouble in drawn if trouble):
        say(f"the figures are written as HTML: {trouble}")
    written = [path for paths, _ in drawn for path in paths]
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


def _networks(
    chosen: Mapping[str, rs.Preset], steps: int | None, out: Path, artist: ThreadPoolExecutor
) -> tuple[list[tuple[list[Path], str]], dict[str, Any], list[str]]:
    """Train and analyse each: (what was drawn meanwhile, figures still to be drawn, networks that diverged)."""
    early: list[Future[tuple[list[Path], str]]] = []
    figures: dict[str, Any] = {}
    diverged: list[str] = []
    for number, (name, preset) in enumerate(chosen.items(), 1):
        say(f"[{number}/{len(chosen)}] {preset.about}")
        if figures and number == len(chosen):
            early.append(artist.submit(_draw, figures, out / "figures"))
            figures = {}
        run = _trained(name, preset, steps, out / "runs")
        say_run(run)
        if run.status == "diverged":
            diverged.append(name)
            continue
        analyse(run, missing=True, on_progress=_say_progress)
        for shown in filter(None, map(run.shown, ANALYSES)):
            say(f"  {kept_answer(shown).line}")
        figures |= {f"{name}-{which}": figure for which, figure in figures_of(run)[0].items()}
    return [each.result() for each in early], figures, diverged


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


def _draw(figures: Mapping[str, Any], folder: Path) -> tuple[list[Path], str]:
    """The files written, as PNG where there is a browser, and else why they are HTML."""
    from rnnscope.figures import CannotDraw, write_figures

    try:
        return write_figures(figures, folder, ("png",)), ""
    except CannotDraw as error:
        return write_figures(figures, folder, ("html",)), one_line(error)


def _own_command() -> str:
    """Return how this program can be called again: after `make demo` it may be as .venv/bin/rnnscope."""
    if shutil.which("rnnscope"):
        return "rnnscope"
    called = os.path.relpath(sys.argv[0])
    return sys.argv[0] if called.startswith("..") else called
