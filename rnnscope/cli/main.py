"""The commands."""

import inspect
import json
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer
import yaml

import rnnscope as rs
from rnnscope.cells import CELLS, cell_from_config
from rnnscope.cli.settings import (
    Folder,
    Formats,
    Overwrite,
    Runs,
    Seed,
    Set,
    check_folder,
    check_keys,
    known_names,
    load_runs,
    merge,
    named_config,
    parse_settings,
    split_commas,
)
from rnnscope.learning.trainer import Training, change_settings
from rnnscope.records.arrays import read_arrays
from rnnscope.tasks import TASKS, task_from_config, to_config

INTERRUPTED = 130
DEMO = ("parity", "dms", "hmm-2")

app = typer.Typer(
    name="rnnscope",
    add_completion=True,
    rich_markup_mode="markdown",
    help="""Take recurrent neural networks apart: **train** on a small task, **dissect** the dynamics, **see** the
mechanism.

Start with `rnnscope demo`, or: `rnnscope train parity-2-5`, `rnnscope analyze runs/*`, `rnnscope app`.

Every option can also stand in a TOML or YAML file, given with `--config`: its keys are the names of the options
and arguments, and `set` may be written as tables such as `[training]`.

A mistake is told in one line. Is it no mistake of yours? `RNNSCOPE_DEBUG=1` shows where it comes from.
""",
)


@no_type_check  # what typer hands over is no typer.Context, though it wants the annotation
def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Options out of a file become the defaults of the command; tables are kept for the command to read."""
    if path is None:
        return None
    try:
        text = path.read_text()
        if path.suffix not in (".toml", ".yaml", ".yml"):
            raise ValueError(f"{path}: give a file that ends in .toml, .yaml or .yml")
        found = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text) or {}
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no valid {path.suffix[1:].upper()}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no settings: write lines such as seed = 1")
    check_keys(found, path)
    command = str(context.info_name)
    groups = _TABLES.get(command, lambda: ())()
    # Python's own words (set, format, list) are the names of options too, and have a _ behind them here.
    parameters = {str(p.name).rstrip("_"): p for p in context.command.params if p.name not in ("config", "help")}
    tables = {key: value for key, value in found.items() if isinstance(value, dict) and key in groups}
    options = {}
    for key, value in found.items():
        if key in tables:
            continue
        parameter = parameters.get(key.replace("-", "_"))
        if parameter is None:
            known = ", ".join([*parameters, *(f"[{table}]" for table in groups)])
            raise ValueError(f"{path}: unknown setting {key!r}; {command} knows: {known}")
        takes_several = parameter.multiple or parameter.nargs == -1
        values = value if isinstance(value, list) and takes_several else [value]
        if not all(isinstance(each, str | int | float | None) for each in values):
            kind = "plain values" if takes_several else "one plain value"
            raise ValueError(f"{path}: {key} takes {kind}, got {value!r}")
        options[parameter.name] = values if takes_several and value is not None else value
    pairs = [str(pair) for pair in options.pop("set_", None) or []]
    context.default_map = {**(context.default_map or {}), **options}
    context.meta["tables"] = merge(tables, parse_settings(pairs, groups))
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        help="A TOML or YAML file with settings; options given here go before it.",
        callback=_read_config,
        is_eager=True,
    ),
]


@app.command()
@no_type_check
def train(
    context: typer.Context,
    preset: Annotated[str | None, typer.Argument(help="A preset (`rnnscope list presets`); others set it up.")] = None,
    task: Annotated[str | None, typer.Option(help="A task (`rnnscope list tasks`).")] = None,
    cell: Annotated[str | None, typer.Option(help="A cell (`rnnscope list cells`).")] = None,
    set_: Set = None,
    seed: Seed = 0,
    name: Annotated[str | None, typer.Option(help="Of the run; made from task, cell and seed if not given.")] = None,
    folder: Folder = Path("runs"),
    resume: Annotated[bool, typer.Option(help="Go on with this run if it was begun before.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    quiet: Annotated[bool, typer.Option(help="No progress bar.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="A .npz file with the trials of --task FromArrays: inputs, targets, mask ...")
    ] = None,
    config: Config = None,
) -> None:
    """Train a network and write the run.

    `rnnscope train parity-2-5 --seed 1`

    `rnnscope train --task Parity --set task.n=3 --cell GRU --set cell.units=32 --set training.steps=3000`

    `rnnscope train --task FromArrays --data trials.npz --cell GRU --set cell.units=32`

    Keys of --set begin with task., cell. or training.; in a file these are tables.
    """
    tables = context.meta.get("tables", {})
    changes = merge(tables, parse_settings(set_, ("task", "cell", "training")))
    base = None if preset is None else rs.preset(preset)
    task_config = named_config(changes["task"], task, base and base.task, "task", TASKS)
    chosen_task = task_from_config(task_config, {} if data is None else read_arrays(data))
    chosen_cell = cell_from_config(named_config(changes["cell"], cell, base and base.cell, "cell", CELLS))
    training = rs.default_training(chosen_task) if base is None else base.training
    run = rs.train(
        chosen_task,
        chosen_cell,
        change_settings(training, changes["training"]) if changes["training"] else training,
        seed=seed,
        name=name,
        folder=folder,
        resume=resume,
        device=device,
        progress=not quiet,
    )
    _say_run(run)


@app.command()
@no_type_check
def analyze(
    context: typer.Context,
    runs: Runs,
    only: Annotated[
        list[str] | None, typer.Option(help="One analysis (`rnnscope list analyses`); may be repeated.")
    ] = None,
    set_: Set = None,
    seed: Seed = 0,
    config: Config = None,
) -> None:
    """Run analyses on runs and keep the results with them.

    `rnnscope analyze runs/* --only lyapunov --set lyapunov.n_steps=5000`

    Keys of --set begin with the name of an analysis.
    """
    from rnnscope.analyses import ANALYSES, analyse

    changes = merge(context.meta.get("tables", {}), parse_settings(set_, tuple(ANALYSES)))
    names = None if only is None else known_names(only, ANALYSES, "analysis")
    changes = {name: ANALYSES[name].checked(given) for name, given in changes.items()}
    for label, run in load_runs(runs).items():
        _say(label)
        try:
            done = analyse(run, names, seed=seed, settings=changes, on_progress=_say_analysis)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{label}: {error}") from error
        for name, result in done.results.items():
            _say(f"  {name}: {result.summary()}")
        for name, reason in done.skipped.items():
            _say(f"  {name}: not done: {reason}")


@app.command()
def figures(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="Where to; must be new or empty.")] = Path("figures"),
    format_: Formats = None,
    overwrite: Overwrite = False,
    width: Annotated[int, typer.Option(help="In CSS pixels.")] = 900,
    height: Annotated[int, typer.Option(help="In CSS pixels.")] = 620,
    config: Config = None,
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
        for name, figure in _figures_of(run, damaged).items():
            file = f"{label}-{name}".replace("/", "-")
            if file in drawn:
                raise ValueError(f"two runs would both be drawn as {file}: rename one, or draw them apart")
            drawn[file] = figure
    written = write_figures(drawn, out, formats, width=width, height=height)
    _say(f"{len(written)} files in {out}")
    if damaged:
        raise ValueError(f"{len(damaged)} could not be drawn: {'; '.join(damaged)}")


@app.command()
@no_type_check
def compare(
    context: typer.Context,
    runs: Runs,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="What to compare by, comma-separated or repeated: procrustes, cka, kernel_cka, dsa, lyapunov, "
            "fixed_points.",
            show_default="procrustes,dsa",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to; must be new or empty.")] = Path("comparison"),
    format_: Formats = None,
    overwrite: Overwrite = False,
    set_: Set = None,
    seed: Seed = 0,
    config: Config = None,
) -> None:
    """Compare networks: the distances between them beside the noise floor, and a map of all.

    `rnnscope compare runs/* --by dsa,procrustes --set comparison.beside=fixed_points`

    Keys of --set begin with comparison.; the results are kept beside the figures, one Zarr folder each.
    """
    from rnnscope.analyses import COMPARISON
    from rnnscope.analyses.comparison import UNITS
    from rnnscope.figures import check_formats, write_figures
    from rnnscope.records.results import save_result

    formats = check_formats(["png"] if format_ is None else split_commas(format_))
    changes = merge(context.meta.get("tables", {}), parse_settings(set_, ("comparison",)))["comparison"]
    settings = {"seed": seed, **COMPARISON.checked(changes)}
    if "method" in settings:
        raise ValueError("comparison.method is given with --by")
    check_folder(out, overwrite)
    methods = known_names(split_commas(by or ["procrustes,dsa"]), UNITS, "distance")
    loaded = load_runs(runs)
    drawn: dict[str, Any] = {}
    for method in dict.fromkeys(methods):
        found = COMPARISON.verb(list(loaded.values()), **{"names": list(loaded), **settings, "method": method})
        _say(found.summary())
        save_result(found, out / f"{method}.zarr")
        drawn[method] = found.figure()
    written = write_figures(drawn, out, formats)
    _say(f"{len(drawn)} results and {len(written)} figures in {out}")


@app.command("app")
def app_(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 8050,
    config: Config = None,
) -> None:
    """Serve the explorer of a folder of runs on 127.0.0.1."""
    from rnnscope.app import serve

    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: train a run first (rnnscope train parity), or give another folder")
    serve(folder, port=port)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="tasks, cells, training, presets, analyses or runs.")] = "presets",
    folder: Folder = Path("runs"),
    config: Config = None,
) -> None:
    """List what there is: tasks, cells, training (its settings), presets, analyses, runs."""
    match what:
        case "tasks" | "cells":
            known: Mapping[str, type] = TASKS if what == "tasks" else CELLS
            for name, kind in known.items():
                _say(f"{name}{_fields(kind)}\n    {(inspect.getdoc(kind) or '').splitlines()[0]}")
        case "training":
            for name, value in to_config(Training()).items():
                if name != "kind":
                    _say(f"{name:<18} {json.dumps(value)}")
            _say(f"\n{inspect.getdoc(Training)}")
        case "presets":
            for name, preset in rs.PRESETS.items():
                _say(f"{name:<12} {preset.about}: {preset.task}, {preset.cell}")
        case "analyses":
            from rnnscope.analyses import ANALYSES, GROUPS

            for group in GROUPS:
                _say(group)
                for name, analysis in ANALYSES.items():
                    if analysis.group == group:
                        _say(f"  {name:<24}{analysis.title}")
        case "runs":
            for run in rs.list_runs(folder):
                _say(f"{run.name:<40} {run.status:<9} {', '.join(run.results) or 'not analysed'}")
        case _:
            raise ValueError(f"cannot list {what!r}: tasks, cells, training, presets, analyses or runs")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where runs and figures go.")] = Path("demo"),
    port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 8050,
    serve: Annotated[bool, typer.Option(help="Serve the explorer at the end.")] = True,
    presets: Annotated[
        list[str] | None,
        typer.Option(help="Presets: comma-separated, or repeated.", show_default=",".join(DEMO)),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Fewer training steps, for a quick look.")] = None,
    config: Config = None,
) -> None:
    """The main job, end to end: train three networks, analyse them, draw the figures, serve the explorer.

    Run again, it goes on where it was: what is trained and analysed already is taken as it is. A network whose
    training diverges is told, and the others go on; the exit code is then 1.
    """
    from rnnscope.analyses import ANALYSES, analyse
    from rnnscope.figures import CannotDraw, write_figures

    chosen = {name: rs.preset(name) for name in (DEMO if presets is None else split_commas(presets))}
    if not chosen:
        raise ValueError(f"--presets names none; known: {', '.join(rs.PRESETS)}")
    drawn: dict[str, Any] = {}
    diverged: list[str] = []
    for number, (name, preset) in enumerate(chosen.items(), 1):
        _say(f"[{number}/{len(chosen)}] {preset.about}")
        training = preset.training if steps is None else change_settings(preset.training, {"steps": steps})
        path = out / "runs" / name
        trained_before = (path / "run.json").exists() and rs.load_run(path).status != "training"
        try:
            run = rs.train(preset.task, preset.cell, training, name=name, folder=out / "runs", resume=True)
        except rs.TrainingDiverged as error:
            _say(f"  {_one_line(error)}")
            run = error.run
        _say_run(run)
        if run.status == "diverged":
            diverged.append(name)
            continue
        # Results from before the last training step are of other weights.
        known = run.results if trained_before else []
        missing = [analysis for analysis in ANALYSES if analysis not in known]
        done = analyse(run, missing, on_progress=_say_analysis)
        for analysis in [analysis for analysis in run.results if analysis in ANALYSES]:
            _say(f"  {analysis}: {run.load_result(analysis, ANALYSES[analysis].result).summary()}")
        for analysis, reason in done.skipped.items():
            _say(f"  {analysis}: not done: {reason}")
        drawn.update({f"{name}-{which}": figure for which, figure in _figures_of(run, []).items()})
    _say(f"drawing {len(drawn)} figures ...")
    try:
        written = write_figures(drawn, out / "figures", ("png",))
    except CannotDraw as error:
        _say(f"the figures are written as HTML: {_one_line(error)}")
        written = write_figures(drawn, out / "figures", ("html",))
    _say(f"{len(chosen)} runs in {out / 'runs'}, {len(written)} figures in {out / 'figures'}")
    if diverged:
        _fail(f"not learned and not analysed, since the training diverged: {', '.join(diverged)}", 1)
    if serve:
        from rnnscope.app import serve as serve_app

        serve_app(out / "runs", port=port)
    else:
        _say(f"look at them: {_own_command()} app {out / 'runs'}")
    if diverged:
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> None:
    """The console script: a user's error is one line and exit code 2, never a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="rnnscope", standalone_mode=False)
    except rs.TrainingDiverged as error:
        sys.exit(_fail(str(error), 1))
    except (ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("RNNSCOPE_DEBUG"):
            raise
        sys.exit(_fail(_one_line(error), 2))
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except _CommandLineError as error:
        sys.exit(_fail(_one_line(error.format_message()), 2))
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code, and says nothing
        goes_on = {"train": "; the training goes on with --resume", "demo": "; the same command goes on where it was"}
        _fail(f"interrupted{goes_on.get(arguments[0], '')}", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


# typer carries its own copy of click, whose place has moved before: the base of its public errors is what we mean.
_CommandLineError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

_TABLES = {
    "train": lambda: ("task", "cell", "training"),
    "analyze": lambda: _analysis_names(),
    "compare": lambda: ("comparison",),
}


def _analysis_names() -> tuple[str, ...]:
    from rnnscope.analyses import ANALYSES

    return tuple(ANALYSES)


def _fields(kind: type) -> str:
    parameters = inspect.signature(kind).parameters.values()
    return "(" + ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters) + ")"


def _figures_of(run: rs.Run, damaged: list[str]) -> dict[str, Any]:
    """The figures of a run; what is damaged is told in `damaged`, and costs only its own figures."""
    from rnnscope.analyses import ANALYSES, NotApplicable
    from rnnscope.figures import training_figure

    found: dict[str, Any] = {}
    try:
        found["training"] = training_figure(run)
    except ValueError as error:
        damaged.append(_one_line(error))
    for entry in [ANALYSES[name] for name in run.results if name in ANALYSES]:
        try:
            result = run.load_result(entry.name, entry.result)
            for name, drawing in entry.figures.items():
                with suppress(NotApplicable):
                    found[name] = drawing.draw(result)
        except ValueError as error:
            damaged.append(_one_line(error))
    return found


def _own_command() -> str:
    """How this program was called, if its folder is not on the PATH: .venv/bin/rnnscope after `make demo`."""
    if shutil.which("rnnscope"):
        return "rnnscope"
    called = os.path.relpath(sys.argv[0])
    return sys.argv[0] if called.startswith("..") else called


def _say_analysis(analysis: Any, done: int, total: int) -> None:
    _say(f"  {analysis.title} ... ({done + 1} of {total})")


def _say_run(run: rs.Run) -> None:
    parts = [f"{run.status} after {run.record['steps_done']} steps, {run.record['seconds']:.1f} s"]
    parts += [f"{c.metric} {run.metrics[c.metric]:.4g}" for c in run.task.criterion if c.metric in run.metrics]
    if run.status != "learned":
        parts.append(f"NOT learned: wanted {', '.join(map(str, run.task.criterion))}")
    _say(f"  {run.path}: {'; '.join(parts)}")


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(text: str, code: int) -> int:
    print(f"rnnscope: {text}", file=sys.stderr)
    return code


def _one_line(error: object) -> str:
    if isinstance(error, TypeError):  # a wrong argument, or a slip of ours
        return f"{' '.join(str(error).split())} (RNNSCOPE_DEBUG=1 shows where)"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return where + " ".join(str(error.strerror).split())
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
