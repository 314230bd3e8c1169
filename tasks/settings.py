"""Settings objects: small frozen dataclasses that validate themselves and travel as plain JSON.

Tasks and cells are both written this way, so that what a user types, what a run folder stores and what a
TOML file says are the same few named values.
"""

import dataclasses
import difflib
import functools
import inspect
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, dataclass_transform, get_args, get_type_hints, overload

import pydantic.dataclasses
from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")  # pydantic's names of a setting that there is not

# A name that is no setting, and a value that is not finite, are mistakes to be reported.
SETTINGS = ConfigDict(extra="forbid", allow_inf_nan=False)


class Refused(ValueError):
    """Settings that a class does not take.

    Attributes:
        reason: why, without the name of the class.
        items: pydantic's report on each mistake, those inside settings inside these settings too: "loc", "msg",
            "type", "input".
    """

    def __init__(self, kind: str, reason: str, items: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(f"{kind}: {reason}")
        self.reason = reason
        self.items = tuple(items)


@overload
def settings_class(cls: type[T], /) -> type[T]: ...
@overload
def settings_class(*, repr: bool = True, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, pydantic.Field))
def settings_class(cls: Any = None, /, *, repr: bool = True, eq: bool = True) -> Any:
    """Make a frozen dataclass that validates its fields, and says what it refuses in one line (`Refused`).

    Example:
        >>> @settings_class
        ... class Tea:
        ...     sugars: int = 0
        >>> Tea(sugars="many")
        Traceback (most recent call last):
        rnnscope.tasks.settings.Refused: Tea: sugars: Input should be a valid integer, unable to parse string as an
        integer (got 'many')
    """

    def make(cls: type[Any]) -> type[Any]:
        made: Any = pydantic.dataclasses.dataclass(frozen=True, repr=repr, eq=eq, config=SETTINGS)(cls)
        checking = made.__init__

        @functools.wraps(checking)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            for name, value in kwargs.items():
                if isinstance(value, bool) and name in _numbers(type(self)):
                    raise Refused(type(self).__name__, f"{name}: {value} is no number: give one")
            try:
                checking(self, *args, **kwargs)
            except ValidationError as error:
                raise Refused(type(self).__name__, _reason(type(self), error), _mistakes(error)) from None

        made.__init__ = __init__
        return made

    return make if cls is None else make(cls)


@functools.cache
def _numbers(cls: type[Any]) -> frozenset[str]:
    """The settings that are numbers: True, which Python takes for 1, is a mistake there."""
    try:
        hints = get_type_hints(cls)
    except NameError:  # a type that only type checkers import: pydantic, which needs it too, says so
        return frozenset()
    kinds = {name: {hint, *get_args(hint)} for name, hint in hints.items()}
    return frozenset(name for name, found in kinds.items() if found & {int, float} and bool not in found)


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
    if not isinstance(kind, str) or kind not in kinds:
        close = difflib.get_close_matches(str(kind)[:60], kinds, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"unknown {what} {short(kind)}: {hint}known: {', '.join(sorted(kinds))}")
    return validated(kinds[kind], fields, f"{what} {kind}")


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Join two tables of settings; `over` overrides `under`, at every depth."""
    joined = dict(under)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(joined.get(name), Mapping)
        joined[name] = merged(joined[name], value) if both else value
    return joined


def validated(cls: type[T], fields: Mapping[str, Any], what: str) -> T:
    """`cls(**fields)`, with pydantic's report folded into one line.

    Raises:
        ValueError: a field is unknown, missing, of the wrong type, or refused by the class.
    """
    try:
        return cls(**fields)
    except Refused as error:
        raise ValueError(f"{what}: {error.reason}") from None


LONGEST = 1000  # letters of a reason: a value may be a text of any length


def _reason(cls: type[Any], error: ValidationError) -> str:
    names = list(inspect.signature(cls).parameters)
    unknown = any(item["type"] in _UNKNOWN for item in _mistakes(error))
    line = one_line(error, names)
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
    return line + (f"; known: {', '.join(names)}" if unknown else "")


def _mistakes(error: ValidationError) -> list[Mapping[str, Any]]:
    """Pydantic's report; where settings inside were refused, theirs, at the place where they stand."""
    found: list[Mapping[str, Any]] = []
    for item in error.errors(include_url=False):
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, Refused) and inner.items:
            found += [{**each, "loc": (*item["loc"], *each["loc"])} for each in inner.items]
        else:
            found.append(item)
    return found


def one_line(error: ValidationError, names: Sequence[str] = ()) -> str:
    """Pydantic's report, which spans lines, as one line: `field: reason (got value)`.

    Args:
        error: the report.
        names: of the arguments, for those that were given by their place.
    """
    found: dict[Any, list[Any]] = {}
    for item in _mistakes(error):
        # What a field may be in several ways, and is in none, is one mistake.
        ways = (item["loc"][:1], repr(item["input"])) if len(item["loc"]) > 1 else (item["loc"], item["type"])
        found.setdefault(ways, []).append(item)
    return "; ".join(_sentence(items, names) for items in found.values())


def short(value: Any) -> str:
    """A value as Python writes it, cut short: files may hold anything."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 3, 120, 60, 200
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 12


def _sentence(items: list[Any], names: Sequence[str]) -> str:
    item = items[0]
    first, *rest = item["loc"] or ("",)
    first = names[first] if isinstance(first, int) and first < len(names) else first
    field = ".".join(map(str, [first] if len(items) > 1 else [first, *rest]))
    reason = ", or: ".join(dict.fromkeys(each["msg"].removeprefix("Value error, ") for each in items))
    if item["type"] in _UNKNOWN:
        return f"unknown setting {short(field)}"
    if item["type"] in ("value_error", "missing"):
        return f"{field}: {reason}" if field else reason
    return f"{field}: {reason} (got {short(item['input'])})"
