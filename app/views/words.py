"""Settings and numbers as short words. They come from `run.json` alone, which also holds tasks of a user's own."""

from collections.abc import Mapping, Sequence
from typing import Any


def sizes(config: Mapping[str, Any], only: Sequence[str] | None = None) -> str:
    """ "Parity n = 2–5" out of a task's or a cell's settings: its kind and its numbers."""
    parts = []
    for key, value in config.items():
        if key == "kind" or (only is not None and key not in only):
            continue
        if isinstance(value, bool) or not isinstance(value, int | list | Mapping):
            continue
        text = _matrix_size(value) if isinstance(value, Mapping) else brief(value)
        if text:
            parts.append(text if isinstance(value, Mapping) else f"{key.replace('_', ' ')} {text}")
    return ", ".join([str(config.get("kind", "?")), *parts])


def brief(value: Any) -> str:
    """A setting on one line; runs of whole numbers as a range, matrices row by row."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case Mapping():
            inner = [f"{key.replace('_', ' ')} {brief(item)}" for key, item in value.items() if key != "kind"]
            return ", ".join([str(value["kind"]), *inner] if "kind" in value else inner)
        case [first, *_] if all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            if len(value) > 2 and list(value) == list(range(first, first + len(value))):
                return f"{first}–{value[-1]}"
            return ", ".join(map(str, value))
        case [[*_], *_]:
            return "; ".join(" ".join(brief(item) for item in row) for row in value)
        case list() | tuple():
            return ", ".join(map(brief, value)) or "none"
    return str(value)


def _matrix_size(config: Mapping[str, Any]) -> str:
    """ "2 states" for the matrices of a hidden Markov model; nothing for other settings inside settings."""
    matrix = config.get("transitions")
    return f"{len(matrix)} states" if isinstance(matrix, list) else ""
