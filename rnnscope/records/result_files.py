"""A result on disk: one file, a zipped Zarr group, which ends in the digest of all that stands before.

One file is put in place at once, so that whoever reads sees the old result or the new one and never a change between
two reads; and a run of hundreds of results is hundreds of files, not tens of thousands. xarray and zarr open it by
themselves: `xr.open_datatree("result.zarr.zip", engine="zarr", consolidated=False)`.
"""

import errno
import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rnnscope.records.files import write_atomically
from rnnscope.records.labelled import Labelled, axes_of, from_attributes, labelled, rebuilt
from rnnscope.records.results import Result

R = TypeVar("R")

SUFFIX = ".zarr.zip"
HEADLINE = "headline"  # the name under which a file holds the numbers that stand for the result
# The comment at the end of the zip: this, and the digest in hexadecimal.
_MARK, _DIGITS = b"blake2b ", 64
# What zipfile, zarr and json raise of damaged content. A digest stands before them; these are for files without one.
_UNREADABLE = (zipfile.BadZipFile, OSError, LookupError, TypeError, ValueError, RuntimeError, NotImplementedError)


def save_result(result: Any, path: str | os.PathLike[str]) -> None:
    """Write a result as a file; one that is there is replaced at once, when the new one is complete.

    Raises:
        TypeError: a field cannot be saved.
    """
    found = labelled(result)
    if isinstance(result, Result):  # beside its fields, so that a table of many runs need not read them
        found.values.update(_headline(result))
    content = _content(found)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def _headline(result: Result) -> dict[str, dict[str, int | float]]:
    try:
        numbers = result.headline().items()
    except Exception:  # noqa: BLE001 - what took an hour to find is kept; the table says what is wrong
        return {}
    return {HEADLINE: {name: int(value) if isinstance(value, Integral) else float(value) for name, value in numbers}}


def load_result(cls: type[R], path: str | os.PathLike[str]) -> R:
    """Read a result that `save_result` wrote.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged, or of another kind.
    """
    found = read_result(Path(path))
    try:
        return rebuilt(cls, found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_result(path: Path) -> Labelled:
    """A saved result as it lies there.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged.
    """
    try:
        content = _whole(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no result at {path}: run the analysis first") from None
    except OSError as error:
        raise ValueError(f"the result at {path} cannot be read ({error.strerror}): look at its permissions") from None
    try:
        _check(content)
        return _read(content)
    except _UNREADABLE as error:
        raise ValueError(f"the result at {path} is damaged ({error}): delete it and redo the analysis") from None


def read_attributes(path: Path, *, whole: bool = False) -> dict[str, Any]:
    """What of a result is no array, without its parts, in a fraction of a millisecond: enough for a list of results.

    Args:
        path: the file.
        whole: whether all of the file is checked; else only this piece is.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged.
    """
    try:
        if whole:
            _check(_whole(path))
        with zipfile.ZipFile(path) as archive:
            attributes = json.loads(archive.read("zarr.json"))["attributes"]
        return from_attributes(attributes, {}, {}).values
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise ValueError(f"the result at {path} is damaged ({error}): delete it and redo the analysis") from None


def _whole(path: Path) -> bytes:
    """All of a file. On a network's file system one that is replaced meanwhile may go stale; then the new one."""
    for wait in (0.0, 0.01, 0.1, 1.0):
        time.sleep(wait)
        try:
            return path.read_bytes()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return path.read_bytes()


def _content(found: Labelled) -> bytes:
    """The file of a result. Equal results have equal files."""
    import zarr
    from zarr.storage import MemoryStore

    entries: dict[str, Any] = {}
    store = MemoryStore(entries)

    def put(part: Labelled, place: str) -> None:
        group = zarr.create_group(store, path=place, attributes=part.attributes())
        for name, (axes, array) in part.arrays.items():
            # One chunk: results are read whole.
            chunks = tuple(max(1, size) for size in array.shape)
            made = group.create_array(
                name, shape=array.shape, dtype=array.dtype, chunks=chunks, dimension_names=axes, **_WHOLE
            )
            if array.size:
                made[...] = array
        for name, each in part.parts.items():
            put(each, f"{place}/{name}" if place else name)

    put(found, "")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(entries):
            archive.writestr(zipfile.ZipInfo(name), entries[name].to_bytes())
        archive.comment = _MARK + b"0" * _DIGITS
    content = file.getvalue()[:-_DIGITS]
    return content + _digest(content)


# Empty chunks too, so that a chunk that is not there is known to be lost.
_WHOLE: Mapping[str, Any] = {"config": {"write_empty_chunks": True}}


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGITS // 2).hexdigest().encode()


def _check(content: bytes) -> None:
    end = len(content) - _DIGITS
    if content[max(0, end - len(_MARK)) : max(0, end)] != _MARK:
        raise ValueError("it does not end in a digest")
    if content[end:] != _digest(memoryview(content)[:end]):
        raise ValueError("its digest is another")


def _read(content: bytes) -> Labelled:
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    buffer = default_buffer_prototype().buffer
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {name: buffer.from_bytes(archive.read(name)) for name in archive.namelist()}

    def take(group: zarr.Group) -> Labelled:
        arrays = {name: (axes_of(array), np.asarray(array[...])) for name, array in group.arrays()}
        return from_attributes(dict(group.attrs), arrays, {name: take(each) for name, each in group.groups()})

    return take(zarr.open_group(MemoryStore(entries), mode="r"))
