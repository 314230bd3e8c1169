"""The digests of the files of a folder, in `digests.json`, so that a flipped bit, and a file that is gone, is noticed.

    {"files": {"run.json": ["3f9a..."], "checkpoints/00000500.safetensors": ["77b0...", null]}, "digest": "a1c4..."}

A file has the one digest that it should have; while it is being replaced, and after a crash at that moment, two: the
new one and the old one. `null` stands for no file. The digests are written before the files and once more after them:
at every moment each file has one of its digests, and a reader that finds none looks whether they have changed.
"""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from rnnscope.records.files import MOST_TEXT, DamagedError, digest, digest_of, read, write_atomically

NAME = "digests.json"
ELSEWHERE = ("results", "damaged")


def read_file(folder: Path, name: str, most: int | None = None) -> bytes:
    """The content of a file, checked. A folder without digests is one that an older version wrote: nothing is checked.

    Args:
        folder, name: which.
        most: the bytes that it may have; None takes half of the memory of this machine.

    Raises:
        FileNotFoundError: there is none. DamagedError: it, or the list of digests, is damaged.
    """
    before = _raw(folder)
    while True:
        if before is None:
            return read(folder / name, most, inside=folder)
        known = _entries(before).get(name, ())
        try:
            return read(folder / name, most, inside=folder, good=lambda file, size: digest_of(file, size) in known)  # noqa: B023
        except DamagedError as error:
            now = _raw(folder)
            if now == before:
                raise error if known else DamagedError(f"it is not listed in {NAME}") from None
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


def expected(folder: Path) -> set[str]:
    """The files that must be there: all that are listed, but those that were just about to be written or removed.

    Raises:
        DamagedError: the list is damaged.
    """
    return {name for name, known in (listed(folder) or {}).items() if None not in known}


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
    entries = {}
    for name in found_in(folder):
        try:
            entries[name] = [digest(read(folder / name, inside=folder))]
        except DamagedError as error:
            raise DamagedError(f"{folder / name}: {error}") from None
    write_atomically(folder / NAME, signed({"files": entries}))


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
    except RecursionError:
        raise DamagedError("it is nested too deeply") from None
    except ValueError as error:
        raise DamagedError(str(error)) from None
    except (AttributeError, KeyError, TypeError):
        raise DamagedError("it holds no digest") from None
    if mark != digest(json.dumps(record, sort_keys=True).encode()):
        raise DamagedError("its digest is another")
    return record


def _raw(folder: Path) -> bytes | None:
    try:
        return read(folder / NAME, MOST_TEXT, inside=folder)
    except FileNotFoundError:
        return None
    except DamagedError as error:
        raise DamagedError(f"{NAME} cannot be read ({error})") from None


def _entries(raw: bytes) -> dict[str, list[str | None]]:
    try:
        entries = unsigned(raw)["files"]
        if not all(_is_entry(name, known) for name, known in entries.items()):
            raise DamagedError("it lists what is no file of a run")
    except (DamagedError, LookupError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"{NAME} is damaged ({error}): rnnscope repair looks at the files and writes it anew"
        ) from None
    return entries


def _is_entry(name: str, known: Any) -> bool:
    """Whether it is a file below the folder, and its digests."""
    parts = PurePosixPath(name).parts
    below = bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name
    return below and isinstance(known, list) and all(each is None or isinstance(each, str) for each in known)


def _settled(folder: Path) -> dict[str, list[str | None]]:
    """The digests as they are now: of a file that was about to be replaced, which of the two it has."""
    entries = listed(folder)
    if entries is None:
        return {name: [digest(read(folder / name, inside=folder))] for name in found_in(folder)}
    settled = {}
    for name, known in entries.items():
        if len(known) == 1:
            settled[name] = known
            continue
        path = folder / name
        is_now = digest(read(path, inside=folder)) if path.exists() else None
        settled[name] = [is_now] if is_now in known else known
    return {name: known for name, known in settled.items() if known != [None]}
