"""A result on disk: one file, a zipped Zarr group, which ends in the digest of all that stands before.

One file is put in place at once, so that whoever reads sees the old result or the new one and never a change between
two reads; and a run of hundreds of results is hundreds of files, not tens of thousands. xarray and zarr open it by
themselves: `xr.open_datatree("result.zarr.zip", engine="zarr", consolidated=False)`.
"""

import errno
import io
import json
import os
import time
import zipfile
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from rnnscope.records.files import (
    MOST_TEXT,
    UNREADABLE,
    DamagedError,
    check_inside,
    digest,
    digest_of,
    make_folder,
    read,
    write_atomically,
)
from rnnscope.records.labelled import Labelled, axes_of, from_attributes, labelled, rebuilt
from rnnscope.records.results import Result

R = TypeVar("R")

SUFFIX = ".zarr.zip"
HEADLINE = "headline"  # the name under which a file holds the numbers that stand for the result
# The comment at the end of the zip: this, and the digest in hexadecimal.
_MARK, _DIGITS = b"blake2b ", 64
# So much a result may need in memory where its file is small, so that no file of some bytes takes all memory. What is
# larger is not compressed.
_MOST_COMPRESSED, _MOST_TIMES = 2**28, 1000


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
    make_folder(path.parent)
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
    except DamagedError as error:
        raise _damaged(path, error) from None
    try:
        return _read(content)
    except UNREADABLE as error:
        raise _damaged(path, error) from None


def read_attributes(path: Path, *, whole: bool = False) -> dict[str, Any]:
    """What of a result is no array, without its parts, in a fraction of a millisecond: enough for a list of results.

    Args:
        path: the file.
        whole: whether all of the file is checked; else only this piece is.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(path) if not path.exists() else DamagedError("it is no ordinary file")
        if (run := _run_of(path)) is not None:
            check_inside(path, run)
        with zipfile.ZipFile(io.BytesIO(_whole(path)) if whole else path) as archive:
            if archive.getinfo("zarr.json").file_size > MOST_TEXT:
                raise DamagedError("its attributes are too large")
            attributes = json.loads(archive.read("zarr.json"))["attributes"]
        return from_attributes(attributes, {}, {}).values
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(f"the result at {path} is damaged ({reason:.200}): delete it and redo the analysis")


def _whole(path: Path) -> bytes:
    """All of a file that has its digest. On a network's file system one that is replaced meanwhile may go stale; then
    the new one."""
    for wait in (0.0, 0.01, 0.1, 1.0):
        time.sleep(wait)
        try:
            return read(path, inside=_run_of(path), good=_is_whole)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return read(path, inside=_run_of(path), good=_is_whole)


def _run_of(path: Path) -> Path | None:
    """The folder of the run that keeps the result; None where it lies elsewhere."""
    return path.parents[2] if len(path.parents) > 2 and path.parents[1].name == "results" else None


def _content(found: Labelled) -> bytes:
    """The file of a result. Equal results have equal files."""
    import zarr
    from zarr.storage import MemoryStore

    entries: dict[str, Any] = {}
    store = MemoryStore(entries)
    size = sum(array.nbytes for part in found.walk() for _, array in part.arrays.values())
    compression: Mapping[str, Any] = {"compressors": None} if size > _MOST_COMPRESSED else {}

    def put(part: Labelled, place: str) -> None:
        group = zarr.create_group(store, path=place, attributes=part.attributes())
        for name, (axes, array) in part.arrays.items():
            # One chunk: results are read whole.
            chunks = tuple(max(1, size) for size in array.shape)
            made = group.create_array(
                name, shape=array.shape, dtype=array.dtype, chunks=chunks, dimension_names=axes, **_WHOLE, **compression
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
    return content + digest(content).encode()


# Empty chunks too, so that a chunk that is not there is known to be lost.
_WHOLE: Mapping[str, Any] = {"config": {"write_empty_chunks": True}}


def _is_whole(file: BinaryIO, size: int) -> bool:
    found = digest_of(file, size - _DIGITS)
    end = file.read(_DIGITS)
    file.seek(max(0, size - _DIGITS - len(_MARK)))
    if file.read(len(_MARK)) != _MARK:
        raise DamagedError("it does not end in a digest")
    return end == found.encode()


def _read(content: bytes) -> Labelled:
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    buffer = default_buffer_prototype().buffer
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > len(content):
            raise DamagedError("its entries are larger than the file")
        entries = {name: buffer.from_bytes(archive.read(name)) for name in archive.namelist()}

    left = _MOST_COMPRESSED + _MOST_TIMES * len(content)

    def take(group: zarr.Group) -> Labelled:
        nonlocal left
        for name, array in group.arrays():
            left -= array.nbytes
            # Zarr's own count mistakes the chunks of "mean_error" for those of "mean".
            chunks = sum(f"{entry}/".startswith(f"{array.path}/c/") for entry in entries)
            if left < 0 or (array.size and chunks < array.nchunks):
                raise DamagedError(f"{name} of shape {array.shape} is more than the file can hold")
        arrays = {name: (axes_of(array), np.asarray(array[...])) for name, array in group.arrays()}
        return from_attributes(dict(group.attrs), arrays, {name: take(each) for name, each in group.groups()})

    return take(zarr.open_group(MemoryStore(entries), mode="r"))
