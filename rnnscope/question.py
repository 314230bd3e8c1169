"""The settings of a verb, read off its signature: one model for Python, command line, files, forms and the record.

A verb says of each setting what it may be, `n_steps: Count = 1000`. From that come the check before anything runs, the
error that names value, reason and remedy, the JSON schema, and what a result keeps of how it was made.
"""

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial, wraps
from typing import Annotated, Any, Literal, NamedTuple, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from numpy.typing import ArrayLike
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic import create_model as _create_model
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from rnnscope.records.provenance import recorded

P = ParamSpec("P")
R = TypeVar("R")

_WRONG_TYPE = "wrong_type"


class Axes(NamedTuple):
    """What the axes of an array are, in words: "condition input"."""

    names: str


# What a setting may be. Bounds of its own go beside a type: Annotated[int, Ge(5)]. Those with a name are printed by it.
Count = TypeAliasType("Count", Annotated[int, Ge(1)])
Whole = TypeAliasType("Whole", Annotated[int, Ge(0)])  # a number of steps or of restarts that may be none
Seed = TypeAliasType("Seed", Annotated[int, Ge(0)])
Level = TypeAliasType("Level", Annotated[float, Ge(0)])  # a standard deviation, a distance
Positive = TypeAliasType("Positive", Annotated[float, Gt(0)])  # a tolerance
Share = TypeAliasType("Share", Annotated[float, Ge(0), Le(1)])
# Of a scale: more than nothing, less than all of it.
Part = TypeAliasType("Part", Annotated[float, Gt(0), Lt(1)])

InputVector = TypeAliasType("InputVector", Annotated[ArrayLike, Axes("input")])
InputRows = TypeAliasType("InputRows", Annotated[ArrayLike, Axes("condition input")])
TrialInputs = TypeAliasType("TrialInputs", Annotated[ArrayLike, Axes("trial time input")])
StateRows = TypeAliasType("StateRows", Annotated[ArrayLike, Axes("state unit")])


class Setting(NamedTuple):
    """One setting of a verb.

    Attributes:
        name: of the argument.
        default: what it is where nobody says.
        words: what it may be, in words.
        plain: whether a file or a form can give it; functions and results only Python can.
        array: whether it is an array of numbers, or may be one.
    """

    name: str
    default: Any
    words: str
    plain: bool
    array: bool


@dataclass(frozen=True)
class Question:
    """The settings that a verb takes.

    Attributes:
        name: of the analysis, for messages.
        settings: by name, in the order of the signature.
        model: the pydantic model that checks them; `model.model_json_schema()` is for forms.
    """

    name: str
    settings: Mapping[str, Setting]
    model: type[BaseModel]

    def __repr__(self) -> str:
        return f"Question {self.name}: {', '.join(self.settings)}"

    @classmethod
    def of(cls, function: Callable[..., Any], name: str) -> "Question":
        """Of a function's keyword-only arguments."""
        arguments = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        # Of these alone: what a function returns may be of a module that is not imported, such as a figure.
        asked = types.SimpleNamespace(__annotations__={p.name: p.annotation for p in arguments})
        hints = typing.get_type_hints(asked, inspect.unwrap(function).__globals__, include_extras=True)
        settings = {
            p.name: Setting(p.name, p.default, *_told(hints[p.name]), _has_axes(hints[p.name])) for p in arguments
        }
        fields: dict[str, Any] = {
            p.name: (_field(hints[p.name]), Field(default=p.default, validate_default=False)) for p in arguments
        }
        config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())
        return cls(name, settings, _create_model(f"{name}_settings", __config__=config, **fields))

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as Python has them: whole numbers of numpy become int, lists and tuples one or the other as the verb
        wants, arrays float64.

        Raises:
            TypeError: a setting that there is not, or one of another type.
            ValueError: one out of bounds.
        """
        self._check_known(given, TypeError)
        try:
            found = self.model.model_validate(dict(given))
        except ValidationError as error:
            raise self._refusal(error, given, "") from None
        return {name: value for name, value in found if name in given}

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as JSON, a settings file or a form has them.

        Raises:
            ValueError: a setting that there is not, of another type, out of bounds, or that only Python can give.
        """
        self._check_known(given, ValueError)
        for name, value in given.items():
            if not self.settings[name].plain and value is not None:
                raise ValueError(f"{self.name}.{name} can only be given in Python, got {value!r}")
        try:
            found = self.model.model_validate(dict(given))
        except ValidationError as error:
            raise ValueError(str(self._refusal(error, given, f"{self.name}."))) from None
        return {name: value for name, value in found if name in given}

    def record(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings, the defaults too, as plain values for a record."""
        return {name: recorded(given.get(name, setting.default)) for name, setting in self.settings.items()}

    def _check_known(self, given: Mapping[str, Any], kind: type[Exception]) -> None:
        for name in given:
            if name not in self.settings:
                if not self.settings:
                    raise kind(f"unknown setting {self.name}.{name}: {self.name} takes none")
                close = difflib.get_close_matches(name, self.settings, n=1)
                hint = f"did you mean {close[0]}? " if close else ""
                raise kind(f"unknown setting {self.name}.{name}; {hint}known: {', '.join(self.settings)}")

    def _refusal(self, error: ValidationError, given: Mapping[str, Any], prefix: str) -> Exception:
        """One line for the first setting that was refused. A value of another type is a TypeError."""
        items = error.errors(include_url=False)
        name = str(items[0]["loc"][0])
        own = [item for item in items if item["loc"][0] == name]
        bounds = [words for item in own if (words := _bound(item))]
        wrong = bool(bounds) and not any(item["type"] == _WRONG_TYPE and len(own) == 1 for item in own)
        value = given[name]
        if wrong:
            return ValueError(f"{prefix}{name} must be {' or '.join(dict.fromkeys(bounds))}, got {_shown(value)}")
        kind = ValueError if any(item["type"] == "literal_error" for item in own) else TypeError
        return kind(f"{prefix}{name} must be {self.settings[name].words}, got {_shown(value)}")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function's keyword-only settings checked whenever it is called, as those of a verb are.

    Raises:
        TypeError, ValueError: from the call, if a setting is refused.

    Example:
        >>> @checked
        ... def power(base, *, exponent: Count = 2):
        ...     return base**exponent
        >>> power(3, exponent=0)
        Traceback (most recent call last):
        ValueError: exponent must be at least 1, got 0
    """
    question = cache(lambda: Question.of(function, function.__qualname__))

    @wraps(function)
    def call(*given: P.args, **settings: P.kwargs) -> R:
        return function(*given, **{**settings, **question().check(settings)})

    return call


# --- from annotations ------------------------------------------------------------------------------------------------


def _field(annotation: Any) -> Any:
    """What pydantic checks in place of an annotation."""
    if isinstance(annotation, TypeAliasType):
        return _field(annotation.__value__)
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation == ArrayLike:
        return Any  # of numbers or of words: the verb looks itself
    if origin is Annotated:
        kind, *limits = parts
        if any(isinstance(limit, Axes) for limit in limits):
            return Annotated[Any, PlainValidator(_numbers), WithJsonSchema({"type": "array"})]
        # The bounds stand innermost, where the JSON schema shows them.
        return Annotated[kind, *limits, BeforeValidator(_PLAIN[kind])]
    if origin in (Union, types.UnionType):
        return Union[tuple(_field(part) for part in parts)]  # noqa: UP007 - made from a list
    if origin is Literal or annotation in (types.NoneType, Any):
        return annotation
    if annotation in _PLAIN:
        return Annotated[annotation, BeforeValidator(_PLAIN[annotation])]
    if origin is tuple:
        return Annotated[tuple[tuple(p if p is Ellipsis else _field(p) for p in parts)], BeforeValidator(_several)]
    if origin in (Sequence, list):
        return Annotated[tuple[_field(parts[0]), ...], BeforeValidator(_several)]
    if origin is Mapping:
        return dict[str, _field(parts[1])]
    if origin is Callable:
        return Annotated[Any, PlainValidator(_function), _ONLY_PYTHON]
    return Annotated[Any, PlainValidator(partial(_instance, annotation)), _ONLY_PYTHON]


def _has_axes(annotation: Any) -> bool:
    if isinstance(annotation, TypeAliasType):
        return _has_axes(annotation.__value__)
    return isinstance(annotation, Axes) or any(_has_axes(part) for part in get_args(annotation))


def _told(annotation: Any) -> tuple[str, bool]:
    """What a setting may be in words, and whether it can be given as plain values."""
    if isinstance(annotation, TypeAliasType):
        return _told(annotation.__value__)
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation == ArrayLike:
        return "an array", True
    if origin is Annotated:
        kind, *limits = parts
        axes = next((limit for limit in limits if isinstance(limit, Axes)), None)
        if axes is not None:
            return f"numbers of shape ({', '.join(axes.names.split())}{',' * (' ' not in axes.names)})", True
        words, plain = _told(kind)
        return " ".join([words, " and ".join(_limit_words(limit) for limit in limits)]), plain
    if origin in (Union, types.UnionType):
        told = [_told(part) for part in parts]
        return " or ".join(words for words, _ in told), any(p for words, p in told if words != _WORDS[_NONE])
    if origin is Literal:
        return " or ".join(map(repr, parts)), True
    if annotation in _WORDS:
        return _WORDS[annotation], True
    if origin is tuple and Ellipsis not in parts:
        told = [_told(part) for part in parts]
        kinds = {words for words, _ in told}
        words = f"{len(parts)} times {told[0][0]}" if len(kinds) == 1 else ", ".join(words for words, _ in told)
        return f"a list of {words}", all(plain for _, plain in told)
    if origin in (Sequence, list, tuple):
        words, plain = _told(parts[0])
        return f"a list with {words} each", plain
    if origin is Mapping:
        words, plain = _told(parts[1])
        return f"a table, name -> {words}", plain
    if origin is Callable:
        return "a function", False
    return "anything" if annotation is Any else f"a {annotation.__name__}", False


_NONE = types.NoneType
_ONLY_PYTHON = WithJsonSchema({"description": "can only be given in Python", "readOnly": True})
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", _NONE: "None"}


def _limit_words(limit: Any) -> str:
    match limit:
        case Ge():
            return f"of at least {limit.ge:g}"  # type: ignore[str-format]
        case Gt():
            return f"above {limit.gt:g}"  # type: ignore[str-format]
        case Le():
            return f"of at most {limit.le:g}"  # type: ignore[str-format]
        case Lt():
            return f"below {limit.lt:g}"  # type: ignore[str-format]
        case MultipleOf():
            return f"divisible by {limit.multiple_of:g}"  # type: ignore[str-format]
    raise TypeError(f"{limit!r} is no bound of a setting: give annotated_types' Ge, Gt, Le, Lt or MultipleOf")


def _bound(item: Any) -> str:
    """A bound that a value of the right type breaks, in words; "" for a value of another type."""
    limits = item.get("ctx", {})
    words = {
        "greater_than_equal": "at least {ge:g}",
        "greater_than": "above {gt:g}",
        "less_than_equal": "at most {le:g}",
        "less_than": "below {lt:g}",
        "multiple_of": "divisible by {multiple_of:g}",
        "not_finite": "finite",
    }.get(item["type"], "")
    return words.format(**limits)


# --- what a value becomes --------------------------------------------------------------------------------------------


def _refuse(kind: str = _WRONG_TYPE) -> PydanticCustomError:
    return PydanticCustomError(kind, "refused")  # type: ignore[arg-type]


def _whole_number(value: Any) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise _refuse()
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise _refuse()
    try:
        number = float(value)
    except OverflowError:
        raise _refuse("not_finite") from None
    if not np.isfinite(number):
        raise _refuse("not_finite")
    return number


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise _refuse()
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _refuse()
    return value


_PLAIN: Mapping[Any, Callable[[Any], Any]] = {int: _whole_number, float: _number, bool: _yes_or_no, str: _text}


def _numbers(value: Any) -> np.ndarray:
    try:
        given = np.asarray(value)
        if given.dtype.kind in "bSU":
            raise _refuse()
        return np.asarray(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _refuse() from None


def _several(value: Any) -> list[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise _refuse()
    return list(value)


def _instance(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise _refuse()
    return value


def _function(value: Any) -> Callable[..., Any]:
    if not callable(value):
        raise _refuse()
    return value


def _shown(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
