"""Results on disk and as labelled arrays.

A result is a frozen dataclass whose array fields carry their axes in the annotation, `Float[np.ndarray, "point
unit"]`. That one line serves the reader, the type checker, the run-time check under pytest, and the dimension names
in xarray and Zarr: nothing is written twice.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import time
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np

from rnnscope.records.provenance import Made

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

R = TypeVar("R")

# Between the two moves that put a new result in place of an old one lie microseconds: whoever needs longer than
# this, in seconds, was killed there.
PATIENCE = 0.3


@runtime_checkable
class Result(Protocol):
    """What every analysis returns: a frozen dataclass with these three methods, and how it was made."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    made: Made | None

    def figure(self) -> "go.Figure":
        """The result as one figure, fit for a paper."""
        ...

    def summary(self) -> str:
        """The result in one line, with how far it can be trusted."""
        ...

    def to_xarray(self) -> "xr.Dataset":
        """The result as labelled arrays; its settings are attributes."""
        ...


def to_xarray(result: Any) -> "xr.Dataset":
    """Arrays as variables with named dimensions, everything else as JSON attributes."""
    import xarray as xr

    variables, attributes = {}, {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, Made):
            attributes[field.name] = json.dumps(value.to_plain())
        elif isinstance(value, np.ndarray):
            variables[field.name] = (_dimensions(type(result), field, value), value)
        else:
            attributes[field.name] = json.dumps(value, default=_plain)
    return xr.Dataset(variables, attrs={"result": type(result).__name__, **attributes})


def from_xarray(cls: type[R], dataset: "xr.Dataset") -> R:
    """The inverse of `to_xarray`.

    Raises:
        ValueError: the dataset holds another kind of result, or lacks a field.
    """
    if dataset.attrs.get("result") != cls.__name__:
        raise ValueError(f"this is a {dataset.attrs.get('result', 'dataset of another origin')}, not a {cls.__name__}")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name in dataset.variables:
            values[field.name] = np.array(dataset[field.name])  # a copy: xarray hands out index axes read-only
        elif field.name == "made":
            plain = json.loads(dataset.attrs.get("made", "null"))
            values["made"] = None if plain is None else Made.from_plain(plain)
        elif field.name in dataset.attrs:
            values[field.name] = _with_tuples(json.loads(dataset.attrs[field.name]))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(
                f"the saved {cls.__name__} has no {field.name!r}: it was saved by another version; redo it"
            )
    return cls(**values)


def save_result(result: Any, path: str | os.PathLike[str]) -> None:
    """Write a result as a Zarr folder; an older one at `path` is replaced only when the new one is complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _adopt(path)
    _sweep(path)
    fresh, old = path.with_name(f".{path.name}.new-{os.getpid()}"), path.with_name(f".{path.name}.old-{os.getpid()}")
    try:
        # Empty chunks too, so that a chunk that is not there is known to be lost. Consolidated metadata are no part
        # of Zarr 3 yet, which zarr would warn of at every save.
        to_xarray(result).to_zarr(fresh, mode="w", consolidated=False, write_empty_chunks=True)
        if path.exists():
            path.rename(old)
        fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists():
            old.rename(path)


def load_result(cls: type[R], path: str | os.PathLike[str]) -> R:
    """Read a result that `save_result` wrote.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged, or of another kind.
    """
    import xarray as xr
    import zarr

    path = Path(path)
    _adopt(path)
    if not path.is_dir():
        raise FileNotFoundError(f"no result at {path}: run the analysis first")
    try:
        for name, array in zarr.open_group(path, mode="r").arrays():
            if array.nchunks_initialized < array.nchunks:  # zarr itself would read zeros or NaN
                raise ValueError(f"a part of {name} is missing")
        with xr.open_zarr(path, consolidated=False) as dataset:
            dataset = dataset.load()
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"the result at {path} is damaged ({error}): delete this folder and redo the analysis"
        ) from error
    try:
        return from_xarray(cls, dataset)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _adopt(path: Path) -> None:
    """Bring back the old result where a process was killed after moving it away and before moving the new one in."""
    if path.exists():
        return
    with contextlib.suppress(OSError):  # another process was quicker, or this place can only be read
        if not _leftovers(path, "old"):
            return
        time.sleep(PATIENCE)
        newest = sorted(_leftovers(path, "old"), key=lambda place: place.stat().st_mtime)[-1:]
        if newest and not path.exists():
            newest[0].rename(path)


def _sweep(path: Path) -> None:
    """Remove what processes that are gone have left beside `path`."""
    for place in [*_leftovers(path, "new"), *_leftovers(path, "old")]:
        if _is_gone(place.name.rpartition("-")[2]):
            shutil.rmtree(place, ignore_errors=True)


def _leftovers(path: Path, kind: str) -> list[Path]:
    start = f".{path.name}.{kind}-"
    return [place for place in path.parent.iterdir() if place.name.startswith(start)] if path.parent.is_dir() else []


def _is_gone(pid: str) -> bool:
    """Whether no other process has this number; one of ours was given out before."""
    if not pid.isdecimal() or os.name == "nt":  # on Windows asking by a signal would end the process
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # there is one, of another user
        return False
    return int(pid) == os.getpid()


def _dimensions(cls: type, field: "dataclasses.Field[Any]", value: np.ndarray) -> tuple[str, ...]:
    """Axis names out of the jaxtyping annotation; `X | None` is looked into."""
    annotation = typing.get_type_hints(cls, include_extras=True)[field.name]
    union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    options = typing.get_args(annotation) if union else (annotation,)
    for option in options:
        names = tuple(getattr(option, "dim_str", "").split())
        if len(names) == value.ndim:
            # A fixed length ("2") and an axis that comes twice ("unit unit") need names of their own.
            fixed = tuple(f"{field.name}_{name}" if name.isdigit() else name for name in names)
            return tuple(f"{name}_{i}" if name in fixed[:i] else name for i, name in enumerate(fixed))
    raise TypeError(
        f"{cls.__name__}.{field.name} is an array with {value.ndim} axes, which its annotation does not name: "
        'write Float[np.ndarray, "point unit"] or the like'
    )


def _with_tuples(value: Any) -> Any:
    """JSON has lists only; the fields of a frozen result are tuples, however deep."""
    if isinstance(value, list):
        return tuple(_with_tuples(part) for part in value)
    if isinstance(value, dict):
        return {name: _with_tuples(part) for name, part in value.items()}
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be saved as JSON: make it an array, a number or a string")
