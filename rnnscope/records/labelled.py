"""A result as labelled arrays: what xarray and the disk have of it.

A result is a frozen dataclass whose array fields carry their axes in the annotation, `Float[np.ndarray, "point
unit"]`. That one line serves the reader, the type checker, the run-time check under pytest, and the dimension names
in xarray and Zarr: nothing is written twice. A field may be a frozen dataclass itself, a part, or a tuple of parts;
parts become groups.
"""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rnnscope.records.provenance import Made

if TYPE_CHECKING:
    import xarray as xr

R = TypeVar("R")

# What a field was called in results of before is in its metadata, under this name: None where there was no such field,
# which has a default then.
FORMERLY = "formerly"


@dataclass(frozen=True)
class Labelled:
    """A result or a part of one, taken apart.

    Attributes:
        kind: the name of its class.
        values: field -> what JSON can hold.
        arrays: field -> the names of the axes, and the array.
        parts: field -> part; of a tuple of parts, "field_0", "field_1" ..., of which `values` holds the number.
    """

    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    parts: dict[str, "Labelled"] = field(default_factory=dict)

    def attributes(self) -> dict[str, str]:
        """The values as JSON texts, as xarray and Zarr keep them; `result` is the name of the class."""
        return {"result": self.kind, **{name: json.dumps(value) for name, value in self.values.items()}}

    def walk(self) -> Iterator["Labelled"]:
        """This, and the parts below it."""
        yield self
        for part in self.parts.values():
            yield from part.walk()


def labelled(result: Any) -> Labelled:
    """Take a result apart.

    Raises:
        TypeError: a field that is no array with named axes, no part, and nothing that JSON can hold; or an axis that
            has one length here and another in a part.
    """
    found = _taken_apart(result)
    _check_axes(found, {})
    return found


def _taken_apart(result: Any) -> Labelled:
    found = Labelled(type(result).__name__)
    for each in dataclasses.fields(result):
        value, name = getattr(result, each.name), each.name
        if isinstance(value, Made):
            found.values[name] = value.to_plain()
        elif isinstance(value, np.ndarray):
            found.arrays[name] = (_dimensions(type(result), name, value), value)
        elif dataclasses.is_dataclass(value):
            found.parts[name] = _taken_apart(value)
        elif isinstance(value, tuple) and value and all(dataclasses.is_dataclass(part) for part in value):
            found.values[name] = len(value)
            found.parts.update({f"{name}_{i}": _taken_apart(part) for i, part in enumerate(value)})
        else:
            found.values[name] = _plain(value, f"{type(result).__name__}.{name}")
    return found


def _check_axes(found: Labelled, above: Mapping[str, tuple[int, str]]) -> None:
    """An axis is the same in all parts of a result: xarray wants it, and so does who reads."""
    known = dict(above)
    for name, (axes, array) in found.arrays.items():
        here = f"{found.kind}.{name}"
        for axis, size in zip(axes, array.shape, strict=True):
            other, there = known.setdefault(axis, (size, here))
            if other != size:
                raise TypeError(
                    f"{here} has {size} on the axis {axis!r}, {there} has {other}: give one of them another name"
                )
    for part in found.parts.values():
        _check_axes(part, known)


def rebuilt(cls: type[R], found: Labelled) -> R:
    """The inverse of `labelled`. A field that there was not when the
    result was saved (see `FORMERLY`) has its default.

    Raises:
        ValueError: it is another kind of result, or lacks a field.
    """
    if found.kind != cls.__name__:
        raise ValueError(f"this is a {found.kind or 'dataset of another origin'}, not a {cls.__name__}")
    values: dict[str, Any] = {}
    for each in dataclasses.fields(cls):  # type: ignore[arg-type]
        name, part = each.name, part_of(cls, each.name)
        if name in found.arrays:
            values[name] = np.array(found.arrays[name][1])  # a copy: xarray hands out index axes read-only
        elif part is not None and name in found.parts:
            values[name] = rebuilt(part, found.parts[name])
        elif name not in found.values and each.metadata.get(FORMERLY, name) is None:
            values[name] = each.default  # saved before there was this field
        elif name not in found.values:
            raise ValueError(f"the saved {cls.__name__} has no {name!r}: it was saved by another version; redo it")
        elif name == "made":
            plain = found.values[name]
            values[name] = None if plain is None else Made.from_plain(plain)
        elif part is not None and isinstance(found.values[name], int):
            values[name] = tuple(rebuilt(part, found.parts[f"{name}_{i}"]) for i in range(found.values[name]))
        else:
            values[name] = _with_tuples(found.values[name])
    return cls(**values)


def to_xarray(result: Any) -> "xr.DataTree":
    """Arrays as variables with named dimensions, everything else as JSON attributes, parts as children."""
    import xarray as xr

    def tree(found: Labelled) -> xr.DataTree:
        dataset = xr.Dataset(found.arrays, attrs=found.attributes())
        return xr.DataTree(dataset, children={name: tree(part) for name, part in found.parts.items()})

    return tree(labelled(result))


def from_xarray(cls: type[R], tree: "xr.DataTree | xr.Dataset") -> R:
    """The inverse of `to_xarray`.

    Raises:
        ValueError: the tree holds another kind of result, or lacks a field.
    """
    import xarray as xr

    def taken(node: xr.DataTree) -> Labelled:
        dataset = node.to_dataset(inherit=False)
        arrays = {str(name): (tuple(map(str, v.dims)), np.array(v)) for name, v in dataset.variables.items()}
        parts = {str(name): taken(child) for name, child in node.children.items()}
        return from_attributes(dataset.attrs, arrays, parts)

    return rebuilt(cls, taken(xr.DataTree(tree) if isinstance(tree, xr.Dataset) else tree))


def from_attributes(
    attributes: Mapping[str, Any],
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]],
    parts: dict[str, Labelled],
) -> Labelled:
    """The inverse of `Labelled.attributes`.

    Raises:
        ValueError: an attribute is no JSON.
    """
    try:
        values = {str(name): json.loads(text) for name, text in attributes.items() if name != "result"}
    except TypeError as error:
        raise ValueError(f"its attributes are none of a result ({error})") from None
    return Labelled(str(attributes.get("result", "")), values, arrays, parts)


def axes_of(array: Any) -> tuple[str, ...]:
    """The names of the axes of a Zarr array; those that it has not are ""."""
    return tuple(name or "" for name in getattr(array.metadata, "dimension_names", None) or ())


def part_of(cls: type, name: str) -> type[Any] | None:
    """The class of the part, or of each in the tuple of parts, that a field holds; None if it holds none."""
    for option in _options(cls, name):
        inner = typing.get_args(option)[0] if typing.get_origin(option) is tuple else option
        if dataclasses.is_dataclass(inner) and isinstance(inner, type) and inner is not Made:
            return inner
    return None


def may_be_missing(cls: type, name: str) -> bool:
    """Whether a field may be None."""
    return type(None) in _options(cls, name)


def _dimensions(cls: type, name: str, value: np.ndarray) -> tuple[str, ...]:
    """Axis names out of the jaxtyping annotation; `X | None` is looked into."""
    for option in _options(cls, name):
        names = tuple(getattr(option, "dim_str", "").split())
        if len(names) == value.ndim:
            # A fixed length ("2") and an axis that comes twice ("unit unit") need names of their own.
            fixed = tuple(f"{name}_{axis}" if axis.isdigit() else axis for axis in names)
            return tuple(f"{axis}_{i}" if axis in fixed[:i] else axis for i, axis in enumerate(fixed))
    raise TypeError(
        f"{cls.__name__}.{name} is an array with {value.ndim} axes, which its annotation does not name: "
        'write Float[np.ndarray, "point unit"] or the like'
    )


def _options(cls: type, name: str) -> tuple[Any, ...]:
    annotation = _hints(cls)[name]
    union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    return typing.get_args(annotation) if union else (annotation,)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _with_tuples(value: Any) -> Any:
    """JSON has lists only; the fields of a frozen result are tuples, however deep."""
    if isinstance(value, list):
        return tuple(_with_tuples(part) for part in value)
    if isinstance(value, dict):
        return {name: _with_tuples(part) for name, part in value.items()}
    return value


def _plain(value: Any, name: str) -> Any:
    """As JSON has it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(part, name) for part in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(part, name) for key, part in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{type(value).__name__} cannot be saved as JSON: make {name} an array, a part, a number or a string"
    )
