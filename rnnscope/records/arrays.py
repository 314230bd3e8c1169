"""Named arrays in one file: a .npz, as numpy writes it, read without running anything that it holds."""

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

# What zipfile and numpy raise of damaged content, as found by damaging files at random: a RuntimeError of an entry that
# claims to be encrypted, a MemoryError of a shape that is none, ...
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    ValueError,
)


def array_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of the file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                npy.write_array(entry, np.asarray(array), allow_pickle=False)
    return content.getvalue()


def read_arrays(content: bytes, path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file, by name. `path` is for the message.

    Raises:
        ValueError: it is no .npz file, or damaged.
    """
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                with archive.open(name) as entry:
                    found[name.removesuffix(".npy")] = npy.read_array(entry, allow_pickle=False)
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is no .npz file of arrays, or damaged ({reason})") from None
    return found
