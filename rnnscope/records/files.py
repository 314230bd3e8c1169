"""Files that are never half there, and reading that takes no more than a file can rightly ask for."""

import errno
import fcntl
import glob
import hashlib
import json
import math
import os
import stat
import struct
import time
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

# Records and settings are small; JSON of this size takes some 400 MB of memory at worst.
MOST_TEXT = 2**24
_BLOCK = 2**20
# What zipfile, zarr, numpy and json raise of damaged content, as found by damaging files at random: a RuntimeError of
# an entry that claims to be encrypted, a MemoryError of a shape that is none, ...
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # with it RecursionError and NotImplementedError
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class DamagedError(ValueError):
    """A file is not what was written."""


def read(
    path: Path,
    most: int | None = None,
    *,
    inside: Path | None = None,
    good: Callable[[BinaryIO, int], bool] | None = None,
) -> bytes:
    """The content of an ordinary file.

    Args:
        path: the file.
        most: the bytes that it may have; None takes half of the memory of this machine.
        inside: a folder that links must not lead out of.
        good: given the open file and its size, says whether it has the right digest, before it is taken into memory.

    Raises:
        FileNotFoundError: there is none. OSError: it cannot be read. DamagedError: it is a pipe, a device or a link
            that leads elsewhere, is too large, or is not good.
    """
    if inside is not None:
        check_inside(path, inside)
    most = memory() // 2 if most is None else most
    # A pipe that nobody writes into would be waited for.
    with open(path, "rb", opener=_ordinary) as file:
        status = os.fstat(file.fileno())
        if status.st_size > most:
            raise DamagedError(f"it has {status.st_size:,} bytes, more than the {most:,} that it may have")
        if good is not None:
            if not good(file, status.st_size):
                raise DamagedError("its digest is another")
            file.seek(0)
        return file.read(most)


def _ordinary(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DamagedError("it is no ordinary file")
    return descriptor


def check_inside(path: Path, folder: Path) -> None:
    """Raise DamagedError where links lead from a path out of a folder, so that nothing of what is there is shown."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DamagedError("it is a link that leads out of the folder of the run: put the file itself there")


def digest_of(file: BinaryIO, size: int) -> str:
    """The digest of the next bytes of a file, which are never all in memory."""
    found = hashlib.blake2b(digest_size=32)
    while size > 0 and (block := file.read(min(_BLOCK, size))):
        found.update(block)
        size -= len(block)
    return found.hexdigest()


def digest(content: bytes | memoryview) -> str:
    """What tells a content from all others."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def memory() -> int:
    """The memory of this machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice: Python's own, or torch's, which has several for it."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(said in str(error) for said in ("allocate memory", "out of memory"))
    )


def parse_record(content: bytes | str) -> Any:
    """JSON of finite numbers.

    Raises:
        ValueError: it is none, holds NaN or what is beyond all floating-point numbers, or is nested too deeply.
    """
    try:
        return json.loads(content, parse_constant=_refused, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refused(text: str) -> float:
    raise ValueError(f"{text} is no finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refused(text[:40])


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, flush to the disk, then move into place: whoever reads sees the old file or the new one.

    The name beside it is told from all others', of other threads, processes and machines. What writers of this file
    that were killed have left is removed.

    Raises:
        OSError: it cannot be written; the old file is as it was, and nothing is left beside it.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{LEFTOVER}"):
        if _is_left(left):
            left.unlink(missing_ok=True)
    try:
        try:
            _write(path, content)
        except FileNotFoundError:  # somebody has taken what had only just been made for left over: once more
            _write(path, content)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror or error}: it is as it was; {_remedy(error)}", str(path)) from None


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are not there.

    Raises:
        OSError: it cannot be made, with what to do about it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"{error.strerror or error}: the folder cannot be made; {_remedy(error)}"
        raise OSError(error.errno, said, str(path)) from None


def _remedy(error: OSError) -> str:
    return _REMEDIES.get(error.errno or 0, "look at the disk, or choose another folder")


_REMEDIES = {
    errno.ENOSPC: "make room there, or choose another folder",
    errno.EDQUOT: "make room within your quota, or choose another folder",
    errno.EROFS: "choose a folder that is not read-only",
    errno.EEXIST: "choose a name that no file has",
    errno.ENOTDIR: "choose a name that is not below a file",
    errno.EACCES: "look at the permissions of its folder, or choose another one",
    errno.ENOENT: "make its folder, or choose another one",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}{LEFTOVER}")
    try:
        with open(fresh, "xb") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(fresh, path)
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()


# How the name ends of what a writer that was killed leaves behind. A writer holds a lock on what it writes, which the
# system lets go when it ends; where there are no locks, what is older than this was left.
LEFTOVER = ".part"
OLD = 3600.0
_JUST_MADE = 1.0  # seconds in which a writer may not hold its lock yet


def _is_left(path: Path) -> bool:
    age = 0.0
    try:
        age = abs(time.time() - path.stat().st_mtime)  # the clock may have been set back
        if age < _JUST_MADE:
            return False
        with open(path, "rb", opener=_ordinary) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except FileNotFoundError:  # it has just been moved into place
        return False
    except (OSError, DamagedError):
        return age > OLD


def left_over(folder: Path) -> list[Path]:
    """What writers that were killed have left in a folder and below it."""
    return sorted(path for path in folder.rglob(f".*{LEFTOVER}") if _is_left(path))


def sweep(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder and below it."""
    for path in left_over(folder):
        with suppress(OSError):
            path.unlink()
