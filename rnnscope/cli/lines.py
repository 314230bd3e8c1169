"""What users read, one line for each thing; and what programs read, one JSON document."""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any


def say(text: str) -> None:
    """Print at once, so that a pipe or a log shows how far it is."""
    print(text, flush=True)


def say_aside(text: str) -> None:
    """How far it is, where what is asked for is meant for a program: on the standard error."""
    print(text, file=sys.stderr, flush=True)


def say_json(document: Any) -> None:
    """Print all that a command says, for a program to read. JSON has no NaN and no infinity: they become null."""
    say(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def one_line(error: object) -> str:
    """Put an error in one line. Where the message does not say where the error comes from, add how to see that."""
    if isinstance(error, TypeError):  # a wrong argument, or a slip of ours
        return f"{' '.join(str(error).split())} (RNNSCOPE_DEBUG=1 shows where)"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return where + " ".join(str(error.strerror).split())
    return " ".join(str(error).split())


def say_error(text: str) -> None:
    """Print what is wrong to the standard error, apart from what was asked for."""
    print(f"rnnscope: {text}", file=sys.stderr)
