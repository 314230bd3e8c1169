"""Settings objects: small frozen dataclasses that validate themselves and travel as plain JSON.

Tasks and cells are both written this way, so that what a user types, what a run folder stores and what a
TOML file says are the same few named values.
"""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")  # pydantic's names of a setting that there is not

# Used as @dataclass(frozen=True, config=SETTINGS) with pydantic's dataclass: a name that is no setting, and a value
# that is not finite, are mistakes to be reported.
SETTINGS = ConfigDict(extra="forbid", allow_inf_nan=False)


def to_config(settings: Any) -> dict[str, Any]:
    """The settings as a JSON-ready dict; `kind` names the class."""
    fields = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return {"kind": type(settings).__name__, **fields}


def from_config(config: Mapping[str, Any], kinds: Mapping[str, type[T]], what: str) -> T:
    """Build the settings object that `config` describes.

    Args:
        config: `{"kind": <a name in kinds>, <field>: <value>, ...}`.
        kinds: name -> class.
        what: the noun for error messages, "task" or "cell".

    Raises:
        ValueError: no `kind`, an unknown one, an unknown field, or a value that the class refuses.
    """
    fields = dict(config)
    kind = fields.pop("kind", None)
    if kind not in kinds:
        close = difflib.get_close_matches(str(kind), kinds, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"unknown {what} {kind!r}: {hint}known: {', '.join(sorted(kinds))}")
    return validated(kinds[kind], fields, f"{what} {kind}")


def validated(cls: type[T], fields: Mapping[str, Any], what: str) -> T:
    """`cls(**fields)`, with pydantic's report folded into one line.

    Raises:
        ValueError: a field is unknown, missing, of the wrong type, or refused by the class.
    """
    try:
        return cls(**fields)
    except ValidationError as error:
        unknown = any(item["type"] in _UNKNOWN for item in error.errors(include_url=False))
        known = f"; known: {', '.join(inspect.signature(cls).parameters)}" if unknown else ""
        raise ValueError(f"{what}: {one_line(error)}{known}") from None


def one_line(error: ValidationError) -> str:
    """Pydantic's report, which spans lines, as one line: `field: reason (got value)`."""
    parts = []
    for item in error.errors(include_url=False):
        field = ".".join(str(part) for part in item["loc"])
        reason = item["msg"].removeprefix("Value error, ")
        if item["type"] in _UNKNOWN:
            parts.append(f"unknown setting {field!r}")
        elif item["type"] in ("value_error", "missing"):
            parts.append(f"{field}: {reason}" if field else reason)
        else:
            parts.append(f"{field}: {reason} (got {item['input']!r})")
    return "; ".join(parts)
