"""Results as rnnscope wrote them before they had parts: one folder each, all fields side by side.

Where a field stands now is read off the classes. One that was called otherwise says so beside itself,
`field(metadata={FORMERLY: "fidelity_words"})`; one that was not there, `field(default=..., metadata={FORMERLY:
None})`. A part that may be missing is taken to be missing where its first field was. A class that takes the place of
one of another name has `FORMERLY: ClassVar = ("Automaton", "kind", "moore")`: the name, and a field with the value
that tells it from others.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.records.files import MOST_TEXT, UNREADABLE, DamagedError, check_inside, memory, read
from rnnscope.records.labelled import FORMERLY, Labelled, axes_of, from_attributes, may_be_missing, part_of
from rnnscope.records.provenance import Made

SUFFIX = ".zarr"
REASONS = "not_applicable.json"


def read_folder(path: Path) -> Labelled:
    """A saved result as it lies there.

    Raises:
        ValueError: it is damaged.
    """
    import zarr

    try:
        for file in path.rglob("*"):
            check_inside(file, path)
            if not (file.is_dir() or file.is_file()):
                raise DamagedError(f"{file.name} is no ordinary file")
        group, arrays = zarr.open_group(path, mode="r"), {}
        for name, array in group.arrays():
            if array.nbytes > memory() // 2:
                raise DamagedError(f"{name} of shape {array.shape} is more than the folder can hold")
            if array.nchunks_initialized < array.nchunks:  # zarr itself would read zeros or NaN
                raise ValueError(f"a part of {name} is missing")
            arrays[name] = (axes_of(array), np.asarray(array[...]))
        return from_attributes(dict(group.attrs), arrays, {})
    except UNREADABLE as error:
        raise ValueError(
            f"the result at {path} is damaged ({str(error) or type(error).__name__:.200}): delete this folder and redo "
            "the analysis"
        ) from error


def read_made(path: Path) -> Made | None:
    """How a saved result was found; None where it does not say, or is damaged."""
    try:
        attributes = json.loads(read(path / "zarr.json", MOST_TEXT, inside=path))["attributes"]
        return Made.from_plain(json.loads(attributes["made"]))
    except UNREADABLE:
        return None


def read_reasons(folder: Path) -> dict[str, str]:
    """Why analyses do not apply, in a folder of results; none where that file is damaged."""
    try:
        found = json.loads(read(folder / REASONS, MOST_TEXT, inside=folder))
    except UNREADABLE:
        return {}
    return {str(name): str(reason) for name, reason in found.items()} if isinstance(found, dict) else {}


def upgraded(classes: Iterable[type[Any]], flat: Labelled) -> tuple[type[Any], Labelled]:
    """The class that a result is of now, and the result with its fields where they stand now.

    Raises:
        ValueError: it is a result of another kind.
    """
    classes = list(classes)
    for cls in classes:
        name, tell, value = getattr(cls, "FORMERLY", (cls.__name__, None, None))
        if flat.kind == name and (tell is None or flat.values.get(tell) == value):
            return cls, _moved(cls, flat)
    raise ValueError(f"this is a {flat.kind or 'dataset'}, not a {' or '.join(cls.__name__ for cls in classes)}")


def _moved(cls: type[Any], flat: Labelled) -> Labelled:
    found = Labelled(cls.__name__)
    for field in dataclasses.fields(cls):
        part, name = part_of(cls, field.name), field.metadata.get(FORMERLY, field.name)
        if name is None:
            default = field.default_factory() if callable(field.default_factory) else field.default
            found.values[field.name] = default
        elif part is not None and name not in flat.values:
            first = dataclasses.fields(part)[0]
            old = first.metadata.get(FORMERLY, first.name)
            if not may_be_missing(cls, field.name) or old in flat.arrays or flat.values.get(old) is not None:
                found.parts[field.name] = _moved(part, flat)
            else:
                found.values[field.name] = None
        elif name in flat.arrays:
            found.arrays[field.name] = flat.arrays[name]
        elif name in flat.values:
            found.values[field.name] = flat.values[name]
    return found
