"""What a job leaves on disk, and where.

    RUN/.job/training.json     what was asked, by which process, since when
    RUN/.job/training.yaml     its settings, as the command line reads them
    RUN/.job/training.log      what it says
    RUN/.job/training.end      its exit code, once it has ended by itself
    ROOT/.jobs/RUN.training    nothing: which runs to look at, without looking at all of them

and the same with "analyses". All of it is hidden, so that it is no part of what a run's digests are about.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from rnnscope.app.library import Library
from rnnscope.app.processes import lives, this_boot
from rnnscope.records.files import MOST_TEXT, DamagedError, check_inside, parse_record, read, write_atomically

Kind = Literal["training", "analyses"]
KINDS: tuple[Kind, ...] = ("training", "analyses")
_FOLDER, _REGISTRY = ".job", ".jobs"
NOBODY = 0  # the number of no process that a program can look at
_LAST_BYTES = 16_384  # of a log, in which to look for the last lines


@dataclass(frozen=True)
class Started:
    """A job as it was started.

    Attributes:
        pid, process_began, boot: which process, as `rnnscope.app.processes` says it.
        what: in words, what was asked for.
        began: in seconds since 1970.
        total: steps, or analyses, at most.
        names: of the analyses that were asked for by name.
        cancelled: whether somebody asked it to end.
    """

    pid: int
    process_began: str
    boot: str
    what: str
    began: float
    total: int
    names: tuple[str, ...] = ()
    cancelled: bool = False

    @property
    def here(self) -> bool:
        """Whether it was started on this machine, since it is up."""
        return self.boot == this_boot()

    @property
    def machine(self) -> str:
        """The name of the machine where it was started."""
        return self.boot.partition(" ")[0]

    @property
    def lives(self) -> bool:
        """Whether its process is there, as far as this machine can know."""
        return self.here and lives(self.pid, self.process_began)


def job_file(place: Path, kind: Kind, suffix: str) -> Path:
    """One of the files of a job, which need not be there."""
    return place / _FOLDER / f"{kind}.{suffix}"


def make_room(place: Path) -> Path:
    """Make the folder of a run, if it is not there, and in it that of its jobs, which it returns."""
    (place / _FOLDER).mkdir(parents=True, exist_ok=True)
    return place / _FOLDER


def write_started(place: Path, kind: Kind, started: Started) -> None:
    """Write down which process is at work."""
    record = {**asdict(started), "folder": str(place.resolve())}
    write_atomically(job_file(place, kind, "json"), json.dumps(record).encode())


def read_started(place: Path, kind: Kind) -> Started | None:
    """The job that was started last; None where none was, or its file cannot be read.

    In the copy of a run it has no process: that works on the run that was copied.
    """
    try:
        record = parse_record(read(job_file(place, kind, "json"), MOST_TEXT, inside=place))
        return Started(
            int(record["pid"]) if record["folder"] == str(place.resolve()) else NOBODY,
            str(record["process_began"]),
            str(record["boot"]),
            str(record["what"]),
            float(record["began"]),
            int(record["total"]),
            tuple(map(str, record["names"])),
            bool(record["cancelled"]),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def exit_code(place: Path, kind: Kind) -> int | None:
    """With what it ended; None where it did not end by itself, or works."""
    try:
        return int(read(job_file(place, kind, "end"), 100, inside=place))
    except (OSError, ValueError):
        return None


def last_lines(place: Path, kind: Kind) -> list[str]:
    """The last that it said."""
    try:
        path = job_file(place, kind, "log")
        check_inside(path, place)
        if not path.is_file():  # a pipe would be waited for
            return []
        with open(path, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _LAST_BYTES))
            return log.read(_LAST_BYTES).decode(errors="replace").splitlines()
    except (OSError, DamagedError):
        return []


def last_word(place: Path, kind: Kind) -> float:
    """When it wrote for the last time, in seconds since 1970; 0 where it never did."""
    return max(_written(job_file(place, kind, suffix)) for suffix in ("log", "end"))


def register(root: Path, place: Path, kind: Kind) -> None:
    """Note in a root that there is a job to look at."""
    with suppress(OSError):  # where nothing can be written there, the job is on the page of its run alone
        (root / _REGISTRY).mkdir(exist_ok=True)
        _note(root, place, kind).touch()


def unregister(root: Path, place: Path, kind: Kind) -> None:
    """Take that note away."""
    with suppress(OSError):
        _note(root, place, kind).unlink()


def _note(root: Path, place: Path, kind: Kind) -> Path:
    """A run in a folder of the root has its whole way in the name of the note."""
    return root / _REGISTRY / f"{quote(place.relative_to(root).as_posix(), safe=' ')}.{kind}"


def registered(library: Library) -> Iterator[tuple[float, str, Path, Kind]]:
    """(when it was started, run, its folder, kind) of each job in the roots."""
    for root_name, root in library.roots.items():
        if (root / "run.json").exists():
            for kind in KINDS:
                if written := _written(job_file(root, kind, "json")):
                    yield written, root_name, root, kind
            continue
        with suppress(OSError):
            for entry in os.scandir(root / _REGISTRY):
                noted, _, kind = entry.name.rpartition(".")
                name = unquote(noted)
                if name.startswith("/") or ".." in name.split("/"):
                    continue
                for known in KINDS:
                    if kind == known:
                        shown = name if len(library.roots) == 1 else f"{root_name}/{name}"
                        yield entry.stat().st_mtime, shown, root / name, known


def place_of(library: Library, name: str) -> Path | None:
    """The folder of a run, or of one that a job is about to make; compared with what is there, as in `Library`."""
    return next((place for _, run, place, _ in registered(library) if run == name), None) or library.place(name)


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
