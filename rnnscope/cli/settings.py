"""Read what users write on the command line and in settings files, as plain values for the commands."""

import dataclasses
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer
import yaml

import rnnscope as rs
from rnnscope.records.files import DamagedError, read
from rnnscope.records.integrity import is_run
from rnnscope.subjects import interventions
from rnnscope.tasks.settings import from_config, merged, short, to_config

# Options that several commands have.
Folder = Annotated[Path, typer.Option(help="The folder that holds the runs.")]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        help="png, svg, pdf or html; several comma-separated, or repeated.",
        show_default="png",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs and nothing else; what is no finite number is null.")
]
Overwrite = Annotated[bool, typer.Option(help="Write into the folder even if it holds files already.")]
Port = Annotated[int, typer.Option(help="The port of 127.0.0.1 where the explorer is served.")]
Seed = Annotated[int, typer.Option(min=0, help="The seed of everything random; the same seed gives the same result.")]
Runs = Annotated[list[Path], typer.Argument(help="Run folders, as `rnnscope train` makes them.", metavar="RUN...")]
RunFolders = Annotated[
    list[Path], typer.Argument(help="Runs, or folders that hold runs; they need not be whole.", metavar="RUNS...")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="Change one setting (repeatable). VALUE is JSON or plain text."
    ),
]


def settings_file(tables: Iterable[str] = ()) -> Any:
    """Make the option --config of a command: what the file says becomes the default of the command's other options.

    Args:
        tables: names under which the file may hold tables of settings; `given_settings` reads them.
    """

    @no_type_check  # what typer hands over is no typer.Context, though it wants the annotation
    def read(context: typer.Context, path: Path | None) -> Path | None:
        if path is not None:
            known, command = tuple(tables), str(context.info_name)
            found = read_settings(path)
            held = {name: found.pop(name) for name in known if isinstance(found.get(name), dict)}
            # Python's own words (set, format, list) are the names of options too, and have a _ behind them here.
            parameters = {
                str(p.name).rstrip("_"): p for p in context.command.params if p.name not in ("config", "help")
            }
            options = {}
            for name, value in found.items():
                parameter = parameters.get(name.replace("-", "_"))
                if parameter is None:
                    words = ", ".join([*parameters, *(f"[{table}]" for table in known)])
                    raise ValueError(f"{path}: unknown setting {name!r}; {command} knows: {words}")
                options[parameter.name] = _value(value, parameter.multiple or parameter.nargs == -1, f"{path}: {name}")
            pairs = [str(pair) for pair in options.pop("set_", None) or []]
            context.default_map = {**(context.default_map or {}), **options}
            context.meta["tables"] = merged(held, parse_settings(pairs, known))
        return path

    return typer.Option(
        help="A TOML or YAML file with settings; options on the command line override it.", callback=read, is_eager=True
    )


@no_type_check
def given_settings(context: typer.Context, pairs: list[str] | None, tables: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Table -> what a file and --set set in it; --set overrides the file."""
    return merged(context.meta.get("tables", {}), parse_settings(pairs, tables))


def parse_settings(pairs: list[str] | None, tables: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`["task.n=3"]` -> `{"task": {"n": 3}, ...}`; dots go deeper."""
    found: dict[str, dict[str, Any]] = {table: {} for table in tables}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        table, dot, rest = key.strip().partition(".")
        if not (equals and dot and rest) or table not in found:
            raise ValueError(f"--set {pair}: write {' or '.join(f'{name}.NAME=VALUE' for name in found)}")
        try:
            value = json.loads(text)
        except RecursionError:
            raise ValueError(f"--set {key}: the value is nested too deeply") from None
        except ValueError:
            value = text
        *parents, last = rest.split(".")
        place = found[table]
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ValueError(f"--set {pair}: {parent} is also set as a whole; choose one of the two")
        if last in place and isinstance(place[last], dict) != isinstance(value, dict):
            raise ValueError(f"--set {pair}: {last} is set in part and as a whole; choose one of the two")
        place.update(merged(place, {last: value}))
    return found


def named_config(
    changes: Mapping[str, Any], kind: str | None, base: Any, what: str, kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the config of a task or cell: that of the preset with what was set, or that of a kind with what was set."""
    kind = kind or changes.get("kind")
    config: dict[str, Any] = {} if base is None else to_config(base)
    if kind is not None and kind != config.get("kind"):
        config = {"kind": kind}
    if not config:
        raise ValueError(f"which {what}? give a preset ({', '.join(rs.PRESETS)}) or --{what} ({', '.join(kinds)})")
    return {**merged(config, changes), "kind": config["kind"]}


def read_interventions(path: Path) -> list[dict[str, Any]]:
    """The configs of the interventions in a file: tables [[interventions]], each with its `kind` and its settings.

    Raises:
        ValueError: a file that holds something else, or an intervention that there is not, or that is refused.
    """
    found = read_settings(path)
    tables = found.pop("interventions", None)
    if found or not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        other = f", got {', '.join(map(repr, found))}" if found else ""
        raise ValueError(
            f"{path}: write interventions as tables, [[interventions]] and below it kind = 'Ablate' and units = 3, "
            f"one after another in the order in which they act{other}; kinds: {', '.join(interventions.KINDS)}"
        )
    for number, table in enumerate(tables, 1):
        try:
            if "kind" not in table:
                raise ValueError(f"an intervention needs its kind, one of {', '.join(interventions.KINDS)}")
            from_config(table, interventions.KINDS, "intervention")
        except ValueError as error:
            raise ValueError(f"{path}: {'' if len(tables) == 1 else f'number {number}, '}{error}") from None
    return tables


def split_commas(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def check_folder(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: name a folder with --out")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise ValueError(f"{out} has files already: name another folder with --out, or replace them with --overwrite")


def load_runs(paths: Iterable[Path]) -> dict[str, rs.Run]:
    """The runs by name. Runs that share a name are labelled with as many of the folders above as distinguish them."""
    runs = {run.path.resolve(): run for run in (rs.load_run(path) for path in paths)}
    depths = dict.fromkeys(runs, 1)
    while True:
        labels = {path: "/".join(path.parts[-depth:]) for path, depth in depths.items()}
        seen = Counter(labels.values())
        if max(seen.values(), default=1) == 1:
            return {labels[path]: dataclasses.replace(run, path=path) for path, run in runs.items()}
        depths = {path: depth + (seen[labels[path]] > 1) for path, depth in depths.items()}


def run_folders(paths: Iterable[Path]) -> list[Path]:
    """The folders of runs, whole or not: those given, and those in a folder that is none itself."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise ValueError(f"no folder {path}: give runs, or folders that hold runs")
        below = [] if is_run(path) else [each for each in sorted(path.iterdir()) if each.is_dir() and is_run(each)]
        if not below and not is_run(path):
            raise ValueError(f"{path} is no run and holds none: give runs, or folders that hold runs")
        found += below or [path]
    return list(dict.fromkeys(found))


def known_names(names: list[str], known: Iterable[str], what: str) -> list[str]:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")
    return names


def read_settings(path: Path) -> dict[str, Any]:
    """Read the content of a settings file."""
    kind = path.suffix[1:].upper()
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise ValueError(f"{path}: give a file that ends in .toml, .yaml or .yml")
    try:
        text = read(path, _MOST_TEXT).decode()
        found = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text) or {}
    except DamagedError as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply: write settings as plain tables") from None
    except (ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        # YAML builds dates and numbers while it reads, and says of them what Python says.
        raise ValueError(f"{path} is no valid {kind}: {' '.join(str(error).split()):.400}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no settings: write lines such as seed = 1")
    _check_tables(found, path)
    return found


# What a settings file may have, in bytes, in values, and in tables inside one another: names that stand for other parts
# of a YAML file can make a few lines endless.
_MOST_TEXT, _MOST_VALUES, _DEEPEST = 2**20, 100_000, 20


def _check_tables(table: Mapping[Any, Any], path: Path) -> None:
    left = _MOST_VALUES

    def look(value: Any, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or depth > _DEEPEST:
            raise ValueError(
                f"{path} holds more than {_MOST_VALUES:,} values, or more than {_DEEPEST} tables inside one another: a "
                "name that stands for what holds it (&, *) does that; write values out"
            )
        if isinstance(value, dict):
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"{path}: a name must be text, got {short(key)}: write it in quotes")
                look(inner, depth + 1)
        elif isinstance(value, list):
            for inner in value:
                look(inner, depth + 1)

    look(table, 0)


def _value(value: Any, takes_several: bool, where: str) -> Any:
    """Check the value that a file gives to an option."""
    values = value if isinstance(value, list) and takes_several else [value]
    if not all(isinstance(each, str | int | float | None) for each in values):
        kind = "plain values" if takes_several else "one plain value"
        raise ValueError(f"{where} takes {kind}, got {short(value)}")
    return values if takes_several and value is not None else value
