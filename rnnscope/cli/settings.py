"""What users write on the command line and in settings files, as plain values for the commands."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import rnnscope as rs
from rnnscope.learning.presets import PRESETS
from rnnscope.tasks import to_config

# Options that several commands have.
Folder = Annotated[Path, typer.Option(help="The folder that holds the runs.")]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", "-f", help="png, svg, pdf, html: comma-separated, or repeated.", show_default="png"),
]
Overwrite = Annotated[bool, typer.Option(help="Write into a folder that has files already.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random: the same seed gives the same result.")]
Runs = Annotated[list[Path], typer.Argument(help="Run folders, as `rnnscope train` makes them.", metavar="RUN...")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="One setting; may be repeated. VALUE is JSON or plain text."),
]


def parse_settings(pairs: list[str] | None, groups: tuple[str, ...]) -> dict[str, dict[str, Any]]:
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
            if not isinstance(place, dict):
                raise ValueError(f"--set {pair}: {parent} is set as a whole too; choose one")
        if last in place and isinstance(place[last], dict) != isinstance(value, dict):
            raise ValueError(f"--set {pair}: {last} is set in part and as a whole; choose one")
        place.update(merge(place, {last: value}))
    return found


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` goes before `under`, at every depth."""
    merged = dict(under)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = merge(merged[name], value) if both else value
    return merged


def named_config(
    changes: Mapping[str, Any], kind: str | None, base: Any, what: str, kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """The config of a task or cell: the preset's, changed; or a kind's, with what was set."""
    kind = kind or changes.get("kind")
    config: dict[str, Any] = {} if base is None else to_config(base)
    if kind is not None and kind != config.get("kind"):
        config = {"kind": kind}
    if not config:
        raise ValueError(f"which {what}? give a preset ({', '.join(PRESETS)}) or --{what} ({', '.join(kinds)})")
    return {**merge(config, changes), "kind": config["kind"]}


def check_keys(table: Mapping[Any, Any], path: Path) -> None:
    for key, value in table.items():
        if not isinstance(key, str):
            raise ValueError(f"{path}: a name must be text, got {key!r}: write it in quotes")
        if isinstance(value, dict):
            check_keys(value, path)


def split_commas(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def check_folder(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: give a folder with --out")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise ValueError(f"{out} has files already: give another --out, or --overwrite to replace what is in it")


def load_runs(paths: Iterable[Path]) -> dict[str, rs.Run]:
    """The runs by name; those of one name with the folders above as well, as far as it takes to tell them apart."""
    runs = {run.path.resolve(): run for run in (rs.load_run(path) for path in paths)}
    depths = dict.fromkeys(runs, 1)
    while True:
        labels = {path: "/".join(path.parts[-depth:]) for path, depth in depths.items()}
        seen = Counter(labels.values())
        if max(seen.values(), default=1) == 1:
            return {labels[path]: dataclasses.replace(run, path=path) for path, run in runs.items()}
        depths = {path: depth + (seen[labels[path]] > 1) for path, depth in depths.items()}


def known_names(names: list[str], known: Mapping[str, Any], what: str) -> list[str]:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; known: {', '.join(known)}")
    return names
