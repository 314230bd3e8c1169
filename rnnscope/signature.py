"""How a verb prints in `help` and in a notebook's `verb?`: its settings by their short names.

find_fixed_points(system, /, *, input: InputVector | InputRows | None = None, n_starts: Count = 1024, ...)
"""

import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from numpy.typing import ArrayLike
from typing_extensions import TypeAliasType

from rnnscope.question import Axes

_ARRAY = get_args(ArrayLike)  # numpy's union, which is spread out within others


class _Words(str):
    """An annotation that prints as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def printed_signature(function: Callable[..., Any], system: str) -> inspect.Signature:
    """The signature of a function whose first argument users give as anything, under the name `system`."""
    hints = typing.get_type_hints(function, include_extras=True)
    _, *settings = inspect.signature(function).parameters.values()
    first = inspect.Parameter(system, inspect.Parameter.POSITIONAL_ONLY)
    shown = [each.replace(annotation=_Words(_told(hints[each.name]))) for each in settings]
    return inspect.Signature([first, *shown], return_annotation=_Words(_told(hints["return"])))


def _told(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, TypeAliasType):
        return annotation.__name__
    if annotation is types.NoneType:
        return "None"
    if origin is Annotated:
        return "ArrayLike" if any(isinstance(part, Axes) for part in parts) else _told(parts[0])
    if origin in (Union, types.UnionType):
        array = set(_ARRAY) <= set(parts)
        told = ["ArrayLike"] * array + [_told(part) for part in parts if not (array and part in _ARRAY)]
        return " | ".join(dict.fromkeys(told))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    if origin is Callable:
        return "Callable"
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if part is Ellipsis else _told(part) for part in parts)}]"
    return getattr(annotation, "__name__", str(annotation))
