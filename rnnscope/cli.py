"""The command line. It stands on top of everything and adds nothing: each command is one call of the Python API."""

import inspect
import json
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer
import yaml

import rnnscope as rs
from rnnscope.cells import CELLS, cell_from_config
from rnnscope.tasks import TASKS, task_from_config, to_config
from rnnscope.training import change_settings

Folder = Annotated[Path, typer.Option(help="The folder that holds the runs.")]
Seed = Annotated[int, typer.Option(help="Of everything random: the same seed gives the same result.")]
Runs = Annotated[list[Path], typer.Argument(help="Run folders, as `rnnscope train` makes them.", metavar="RUN...")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="One setting; may be repeated. VALUE is JSON or plain text."),
]

app = typer.Typer(
    name="rnnscope",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    help="""Take recurrent neural networks apart: **train** on a small task, **dissect** the dynamics, **see** the
mechanism.

Start with `rnnscope demo`, or: `rnnscope train parity-2-5`, `rnnscope analyze runs/*`, `rnnscope app`.

Every option can also stand in a TOML or YAML file, given with `--config`: its keys are the names of the options.
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
    tables = {key: value for key, value in found.items() if isinstance(value, dict)}
    options = {key.replace("-", "_"): value for key, value in found.items() if key not in tables}
    names = {str(p.name): p for p in context.command.params if p.name not in ("config", "help")}
    known_tables = _TABLES.get(str(context.info_name), lambda: ())()
    unknown = [k for k in options if k not in names] + [k for k in tables if k not in known_tables]
    if unknown:
        known = ", ".join([*names, *(f"[{table}]" for table in known_tables)])
        raise ValueError(f"{path}: unknown setting {unknown[0]!r}; {context.info_name} knows: {known}")
    for key, value in options.items():
        if names[key].multiple and not isinstance(value, list):
            options[key] = [value]
    context.default_map = {**(context.default_map or {}), **options}
    context.meta["tables"] = tables
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
    config: Config = None,
) -> None:
    """Train a network and write the run.

    `rnnscope train parity-2-5 --seed 1`

    `rnnscope train --task Parity --set task.n=3 --cell GRU --set cell.units=32 --set training.steps=3000`

    Keys of --set begin with task., cell. or training.; in a file these are tables.
    """
    tables = context.meta.get("tables", {})
    changes = _merge(tables, _settings(set_, ("task", "cell", "training")))
    base = None if preset is None else rs.preset(preset)
    chosen_task = task_from_config(_config(changes["task"], task, base and base.task, "task", TASKS))
    chosen_cell = cell_from_config(_config(changes["cell"], cell, base and base.cell, "cell", CELLS))
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

    changes = _merge(context.meta.get("tables", {}), _settings(set_, tuple(ANALYSES)))
    names = _known(only, ANALYSES, "analysis")
    for name, given in changes.items():
        _check_names(name, given, ANALYSES[name].verb)
    for run in [rs.load_run(path) for path in runs]:
        _say(f"{run.name}")
        done = analyse(run, names, seed=seed, settings=changes, on_progress=_say_analysis)
        for name, result in done.results.items():
            _say(f"  {name}: {result.summary()}")
        for name, reason in done.skipped.items():
            _say(f"  {name}: not done: {reason}")


@app.command()
def figures(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="Where to; must be new or empty.")] = Path("figures"),
    format_: Annotated[str, typer.Option("--format", "-f", help="Comma-separated: png, svg, pdf, html.")] = "png",
    overwrite: Annotated[bool, typer.Option(help="Write into a folder that has files already.")] = False,
    width: Annotated[int, typer.Option(help="In CSS pixels.")] = 900,
    height: Annotated[int, typer.Option(help="In CSS pixels.")] = 620,
    config: Config = None,
) -> None:
    """Draw every figure of many runs in one go: training, and each analysis that was run.

    `rnnscope figures runs/* --out figures --format png,svg,pdf,html`
    """
    from rnnscope.figures import check_formats, write_figures

    formats = check_formats(part.strip() for part in format_.split(",") if part.strip())
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: give a folder with --out")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise ValueError(f"{out} has files already: give another --out, or --overwrite to replace figures in it")
    drawn: dict[str, Any] = {}
    for run in [rs.load_run(path) for path in runs]:
        drawn.update({f"{run.name}-{name}": figure for name, figure in _figures_of(run).items()})
    written = write_figures(drawn, out, formats, width=width, height=height)
    _say(f"{len(written)} files in {out}")


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
    what: Annotated[str, typer.Argument(help="tasks, cells, presets, analyses or runs.")] = "presets",
    folder: Folder = Path("runs"),
) -> None:
    """List what there is: tasks, cells, presets, analyses, runs."""
    match what:
        case "tasks" | "cells":
            known: Mapping[str, type] = TASKS if what == "tasks" else CELLS
            for name, kind in known.items():
                _say(f"{name}{_fields(kind)}\n    {(inspect.getdoc(kind) or '').splitlines()[0]}")
        case "presets":
            for name, preset in rs.PRESETS.items():
                _say(f"{name:<12} {preset.about}: {preset.task}, {preset.cell}")
        case "analyses":
            from rnnscope.analyses import ANALYSES

            for name, analysis in ANALYSES.items():
                _say(f"{name:<14} {analysis.title}")
        case "runs":
            for run in rs.list_runs(folder):
                _say(f"{run.name:<40} {run.status:<9} {', '.join(run.results) or 'not analysed'}")
        case _:
            raise ValueError(f"cannot list {what!r}: tasks, cells, presets, analyses or runs")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where runs and figures go.")] = Path("demo"),
    port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 8050,
    serve: Annotated[bool, typer.Option(help="Serve the explorer at the end.")] = True,
    presets: Annotated[str, typer.Option(help="Comma-separated presets.")] = "parity,dms,hmm-2",
    steps: Annotated[int | None, typer.Option(help="Fewer training steps, for a quick look.")] = None,
    config: Config = None,
) -> None:
    """The main job, end to end: train three networks, analyse them, draw the figures, serve the explorer.

    Run again, it goes on where it was: what is trained and analysed already is taken as it is.
    """
    from rnnscope.analyses import ANALYSES, analyse
    from rnnscope.figures import FORMATS, browser_path, write_figures

    chosen = [(name, rs.preset(name.strip())) for name in presets.split(",")]
    drawn: dict[str, Any] = {}
    for number, (name, preset) in enumerate(chosen, 1):
        _say(f"[{number}/{len(chosen)}] {preset.about}")
        training = preset.training if steps is None else change_settings(preset.training, {"steps": steps})
        run = rs.train(preset.task, preset.cell, training, name=name, folder=out / "runs", resume=True)
        _say_run(run)
        missing = [analysis for analysis in ANALYSES if analysis not in run.results]
        done = analyse(run, missing, on_progress=_say_analysis)
        for analysis in run.results:
            _say(f"  {analysis}: {run.load_result(analysis, ANALYSES[analysis].result).summary()}")
        for analysis, reason in done.skipped.items():
            _say(f"  {analysis}: not done: {reason}")
        drawn.update({f"{name}-{which}": figure for which, figure in _figures_of(run).items()})
    formats = ("png",) if browser_path() else ("html",)
    if formats != FORMATS[:1]:
        _say(
            "no Chromium or Chrome was found: the figures are written as HTML (apt-get install chromium gives PNG too)"
        )
    _say(f"drawing {len(drawn)} figures ...")
    written = write_figures(drawn, out / "figures", formats)
    _say(f"{len(chosen)} runs in {out / 'runs'}, {len(written)} figures in {out / 'figures'}")
    if serve:
        from rnnscope.app import serve as serve_app

        serve_app(out / "runs", port=port)
    else:
        _say(f"look at them: rnnscope app {out / 'runs'}")


def main(arguments: list[str] | None = None) -> None:
    """The console script: a user's error is one line and exit code 2, never a traceback."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=arguments, prog_name="rnnscope", standalone_mode=False)
    except rs.TrainingDiverged as error:
        sys.exit(_fail(str(error), 1))
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("RNNSCOPE_DEBUG"):
            raise
        sys.exit(_fail(_one_line(error), 2))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_fail("interrupted; a training goes on with --resume", 130))
    except _CommandLineError as error:
        sys.exit(_fail(_one_line(error.format_message()), 2))
    sys.exit(code if isinstance(code, int) else 0)


# typer carries its own copy of click, whose place has moved before: the base of its public errors is what we mean.
_CommandLineError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

_TABLES = {"train": lambda: ("task", "cell", "training"), "analyze": lambda: _analysis_names()}


def _analysis_names() -> tuple[str, ...]:
    from rnnscope.analyses import ANALYSES

    return tuple(ANALYSES)


def _settings(pairs: list[str] | None, groups: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """`["task.n=3"]` -> `{"task": {"n": 3}, ...}`; dots go deeper."""
    found: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        group, dot, rest = key.strip().partition(".")
        if not (equals and dot and rest) or group not in groups:
            raise ValueError(f"--set {pair}: write {' or '.join(f'{g}.NAME=VALUE' for g in groups)}")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        *parents, last = rest.split(".")
        place = found[group]
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return found


def _merge(tables: Mapping[str, Any], changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {group: {**tables.get(group, {}), **values} for group, values in changes.items()}


def _config(
    changes: Mapping[str, Any], kind: str | None, base: Any, what: str, kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """The config of a task or cell: the preset's, changed; or a kind's, with what was set."""
    kind = kind or changes.get("kind")
    config: dict[str, Any] = {} if base is None else to_config(base)
    if kind is not None and kind != config.get("kind"):
        config = {"kind": kind}
    if not config:
        raise ValueError(f"which {what}? give a preset ({', '.join(rs.PRESETS)}) or --{what} ({', '.join(kinds)})")
    return {**config, **changes, "kind": config["kind"]}


def _known(names: list[str] | None, known: Mapping[str, Any], what: str) -> list[str] | None:
    for name in names or []:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")
    return names


def _check_names(analysis: str, given: Mapping[str, Any], verb: Any) -> None:
    known = [p.name for p in inspect.signature(verb).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in given:
        if name not in known:
            raise ValueError(f"unknown setting {analysis}.{name}; known: {', '.join(known)}")


def _fields(kind: type) -> str:
    parameters = inspect.signature(kind).parameters.values()
    return "(" + ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters) + ")"


def _figures_of(run: rs.Run) -> dict[str, Any]:
    from rnnscope.analyses import ANALYSES
    from rnnscope.figures import training_figure

    found = {"training": training_figure(run)}
    for name in run.results:
        if name in ANALYSES:
            found[name] = run.load_result(name, ANALYSES[name].result).figure()
    return found


def _say_analysis(analysis: Any, done: int, total: int) -> None:
    _say(f"  {analysis.title} ... ({done + 1} of {total})")


def _say_run(run: rs.Run) -> None:
    reached = ", ".join(
        f"{c.metric} {run.metrics[c.metric]:.4g}" for c in run.task.criterion if c.metric in run.metrics
    )
    _say(f"  {run.path}: {run.status} after {run.record['steps_done']} steps, {run.record['seconds']:.1f} s; {reached}")


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(text: str, code: int) -> int:
    print(f"rnnscope: {text}", file=sys.stderr)
    return code


def _one_line(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return where + " ".join(str(error.strerror).split())
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
