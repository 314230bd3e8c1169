"""Files that are never half there."""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, flush to the disk, then move into place: whoever reads sees the old file or the new one.

    The name beside it is told from all others', of other threads, processes and machines.
    """
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}{LEFTOVER}")
    try:
        with open(fresh, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()


# How the name ends of what a writer that was killed leaves behind; writing takes seconds, so what is older than this
# was left.
LEFTOVER = ".part"
OLD = 3600.0


def left_over(folder: Path) -> list[Path]:
    """What writers that were killed have left in a folder and below it."""
    found, now = [], time.time()
    for path in folder.rglob(f".*{LEFTOVER}"):
        with suppress(FileNotFoundError):  # it has just been moved into place
            if now - path.stat().st_mtime > OLD:
                found.append(path)
    return sorted(found)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder and below it."""
    for path in left_over(folder):
        with suppress(OSError):
            path.unlink()
