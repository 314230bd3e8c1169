"""What users write after --set and in settings files, as plain dicts for the commands."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnscope.presets import PRESETS
from rnnscope.tasks import to_config


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
