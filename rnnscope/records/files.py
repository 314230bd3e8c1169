"""Files that are never half there."""

import os
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


# How the name ends of what a writer that was killed leaves behind.
LEFTOVER = ".part"
