"""The digests of the files of a folder, in `digests.json`, so that a flipped bit, and a file that is gone, is noticed.

    {"files": {"run.json": ["3f9a..."], "checkpoints/00000500.safetensors": ["77b0...", null]}, "digest": "a1c4..."}

A file has the one digest that it should have; while it is being replaced, and after a crash at that moment, two: the
new one and the old one. `null` stands for no file. The digests are written before the files and once more after them:
at every moment each file has one of its digests, and a reader that finds none looks whether they have changed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnscope.records.files import write_atomically

NAME = "digests.json"
ELSEWHERE = ("results", "damaged")


class DamagedError(ValueError):
    """A file is not what was written."""


def read_file(folder: Path, name: str) -> bytes:
    """The content of a file, checked. A folder without digests is one that an older version wrote: nothing is checked.

    Raises:
        FileNotFoundError: there is none. DamagedError: it, or the list of digests, is damaged.
    """
    before = _raw(folder)
    while True:
        content = (folder / name).read_bytes()
        if before is None or digest(content) in _entries(before).get(name, ()):
            return content
        now = _raw(folder)
        if now == before:
            listed = name in _entries(before)
            raise DamagedError("its digest is another" if listed else f"it is not listed in {NAME}")
        before = now


def write_files(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Replace files, in this order, and their digests; None removes one. One process at a time may do so."""
    before = _settled(folder)
    fresh = {name: None if content is None else digest(content) for name, content in files.items()}
    either = {name: list(dict.fromkeys([mark, *before.get(name, [None])])) for name, mark in fresh.items()}
    write_atomically(folder / NAME, signed({"files": {**before, **either}}))
    for name, content in files.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            write_atomically(folder / name, content)
    after = {name: known for name, known in before.items() if name not in fresh}
    after |= {name: [mark] for name, mark in fresh.items() if mark is not None}
    write_atomically(folder / NAME, signed({"files": after}))


def listed(folder: Path) -> dict[str, list[str | None]] | None:
    """The digests that each file may have; None where there is no list.

    Raises:
        DamagedError: the list is damaged.
    """
    raw = _raw(folder)
    return None if raw is None else _entries(raw)


def found_in(folder: Path) -> list[str]:
    """The files that a list of digests is about: all but hidden ones, the list itself, those of results, which hold
    their digests themselves, and what was put aside as damaged."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if path.parts[0] not in ELSEWHERE and path.name != NAME and not any(part.startswith(".") for part in path.parts)
    )


def relist(folder: Path) -> None:
    """Write the list anew from the files that are there: for a folder that an older version wrote, or one of which
    somebody has looked at every file."""
    entries = {name: [digest((folder / name).read_bytes())] for name in found_in(folder)}
    write_atomically(folder / NAME, signed({"files": entries}))


def digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def signed(record: Mapping[str, Any]) -> bytes:
    """A record as JSON that holds its own digest."""
    mark = digest(json.dumps(record, sort_keys=True).encode())
    return (json.dumps({**record, "digest": mark}, indent=2, allow_nan=False) + "\n").encode()


def unsigned(content: bytes) -> dict[str, Any]:
    """The inverse of `signed`.

    Raises:
        DamagedError: it is damaged.
    """
    try:
        record = json.loads(content)
        mark = record.pop("digest")
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedError(str(error)) from None
    except (AttributeError, KeyError, TypeError):
        raise DamagedError("it holds no digest") from None
    if mark != digest(json.dumps(record, sort_keys=True).encode()):
        raise DamagedError("its digest is another")
    return record


def _raw(folder: Path) -> bytes | None:
    try:
        return (folder / NAME).read_bytes()
    except FileNotFoundError:
        return None


def _entries(raw: bytes) -> dict[str, list[str | None]]:
    try:
        return unsigned(raw)["files"]
    except (DamagedError, KeyError) as error:
        raise DamagedError(
            f"{NAME} is damaged ({error}): rnnscope repair looks at the files and writes it anew"
        ) from None


def _settled(folder: Path) -> dict[str, list[str | None]]:
    """The digests as they are now: of a file that was about to be replaced, which of the two it has."""
    entries = listed(folder)
    if entries is None:
        return {name: [digest((folder / name).read_bytes())] for name in found_in(folder)}
    settled = {}
    for name, known in entries.items():
        if len(known) == 1:
            settled[name] = known
            continue
        path = folder / name
        is_now = digest(path.read_bytes()) if path.exists() else None
        settled[name] = [is_now] if is_now in known else known
    return {name: known for name, known in settled.items() if known != [None]}
