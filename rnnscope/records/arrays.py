"""Named arrays in one file: a .npz, as numpy writes it, read without running anything that it holds."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from rnnscope.records.files import UNREADABLE, DamagedError, memory, read


def array_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of the file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                npy.write_array(entry, np.asarray(array), allow_pickle=False)
    return content.getvalue()


def read_array_file(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file, by name.

    Raises:
        OSError: it cannot be read. ValueError: it is no .npz file, or damaged.
    """
    try:
        return read_arrays(read(path), path)
    except DamagedError as error:
        raise ValueError(f"{path} is no .npz file of arrays ({error})") from None


def read_arrays(content: bytes, path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file, by name. `path` is for the message.

    Raises:
        ValueError: it is no .npz file, or damaged.
    """
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(info.file_size for info in archive.infolist()) > memory() // 2:
                raise ValueError("its arrays need more than half of the memory of this machine")
            for info in archive.infolist():
                with archive.open(info) as entry:
                    array = npy.read_array(entry, allow_pickle=False)
                if array.size > info.file_size:  # empty words take no bytes, so that a file may claim any number
                    raise ValueError(f"{info.filename} has shape {array.shape}, and no content")
                found[info.filename.removesuffix(".npy")] = array
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is no .npz file of arrays, or damaged ({reason})") from None
    return found
