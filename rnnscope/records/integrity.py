"""Is a run whole? What is damaged, missing or foreign is found, and what is whole can be kept.

Nothing is deleted but what a writer that was killed has left: what is damaged is moved into the folder `damaged` of the
run, where nothing looks for it.
"""

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rnnscope.records import files, kept, manifest, schema1
from rnnscope.records.runs import ARRAYS, RunError, load_run

What = Literal["damaged", "missing", "foreign", "newer", "unchecked", "left over"]
ASIDE = "damaged"


@dataclass(frozen=True)
class Finding:
    """Something about a file that is not as it should be.

    Attributes:
        path: the file.
        what: "damaged" or "missing"; "foreign", which rnnscope did not write; "newer", which another version wrote;
            "unchecked", which an older version wrote without a digest; "left over" by a writer that was killed.
        why: what was seen.
        remedy: what helps.
    """

    path: Path
    what: What
    why: str
    remedy: str

    @property
    def is_loss(self) -> bool:
        """Whether something that was there is gone."""
        return self.what in ("damaged", "missing")

    def __str__(self) -> str:
        return f"{self.what}: {self.path} ({self.why}): {self.remedy}"


def is_run(path: Path) -> bool:
    """Whether a folder is a run, or what is left of one."""
    return any((path / name).exists() for name in ("run.json", manifest.NAME, "checkpoints"))


def verify_run(path: Path) -> list[Finding]:
    """What is not as it should be in the folder of a run; empty where every file has its digest and can be read.

    Raises:
        RunError: there is no run.
    """
    if not is_run(path):
        raise RunError(f"no run at {path}: give a folder that rnnscope train made")
    found = [*_files(path), *_contents(path), *_results(path), *_left_over(path)]
    return list({each.path: each for each in reversed(found)}.values())[::-1]  # what was seen first of each file


def repair_run(path: Path, *, accept: bool = False) -> list[str]:
    """Make a run usable again as far as what is whole allows, and say what was done.

    Damaged files are moved into the folder `damaged`, left-overs removed, and the list of digests written anew where it
    is lost or damaged, after every file was read. What nothing but a copy can bring back stays as it is: `run.json`.

    Args:
        path: the folder of the run.
        accept: take the files as they are, after changes by hand: their digests are written anew.

    Raises:
        RunError: there is no run; or its `run.json` is damaged, and nothing was done.
    """
    done = []
    unlisted = _list_is_lost(path)
    if accept or unlisted:
        manifest.relist(path)
        done.append(f"wrote {path / manifest.NAME} anew from the files that are there")
    record = next((each for each in verify_run(path) if each.path == path / "run.json" and each.is_loss), None)
    if record is not None:
        raise RunError(f"{record}; the other files are as they were")
    for found in verify_run(path):
        if found.what == "left over":
            found.path.unlink(missing_ok=True)
            done.append(f"removed {found.path}, left by a process that was killed")
        elif found.what == "damaged" and found.path.exists():
            done.append(f"moved {found.path} to {_aside(path, found.path)} ({found.why})")
    listed = manifest.listed(path) or {}
    lost = [name for name, known in listed.items() if None not in known and not (path / name).exists()]
    if lost:
        manifest.write_files(path, dict.fromkeys(lost))
        done += [f"took {path / name}, which is lost, off the list" for name in lost]
    if manifest.listed(path) is None:
        manifest.relist(path)
        done.append(f"wrote the digests of the files of an older version: {path / manifest.NAME}")
    return done


def _files(path: Path) -> Iterator[Finding]:
    """Every file against its digest."""
    try:
        listed = manifest.listed(path)
    except manifest.DamagedError as error:
        yield Finding(path / manifest.NAME, "damaged", str(error), "rnnscope repair looks at the files")
        return
    here = manifest.found_in(path)
    if listed is None:
        if "run.json" in here and _schema(path) > 1:
            yield Finding(path / manifest.NAME, "missing", "it is gone", "rnnscope repair looks at the files")
        for name in here:
            yield Finding(path / name, "unchecked", "an older version wrote it", "rnnscope repair writes its digest")
        return
    for name, known in listed.items():
        try:
            manifest.read_file(path, name)
        except FileNotFoundError:
            if None not in known:
                yield Finding(path / name, "missing", "it is gone", _remedy(name))
        except (manifest.DamagedError, OSError) as error:
            yield Finding(path / name, "damaged", str(error), _remedy(name))
    for name in here:
        if name not in listed:
            yield Finding(path / name, "foreign", "rnnscope did not write it", "move it elsewhere, or leave it")


def _contents(path: Path) -> Iterator[Finding]:
    """Whether what has its digest can be read too."""
    try:
        run = load_run(path)
    except RunError as error:
        newer = "has schema" in str(error)
        yield Finding(path / "run.json", "newer" if newer else "damaged", str(error), _remedy("run.json"))
        return
    try:
        _ = run.task
    except ValueError as error:
        yield Finding(path / ARRAYS, "damaged", str(error), _remedy(ARRAYS))
        return
    try:
        _ = run.history
    except RunError as error:
        yield Finding(path / "history.csv", "damaged", str(error), _remedy("history.csv"))
    for step in run.checkpoints:
        try:
            run.network(step)
        except RunError as error:
            name = f"checkpoints/{step:08d}.safetensors"
            yield Finding(path / name, "damaged", str(error), _remedy(name))


def _results(path: Path) -> Iterator[Finding]:
    for each in kept.kept(path):
        if each.path.suffix == schema1.SUFFIX or each.path.name == schema1.REASONS:
            yield Finding(each.path, "unchecked", "an older version wrote it", "redo the analysis")
        if each.reason is None:
            try:
                each.load()
            except (ValueError, OSError) as error:
                what = "newer" if "another version" in str(error) else "damaged"
                yield Finding(each.path, what, str(error), "redo the analysis")
    folder = path / kept.FOLDER
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        known = kept.answers(file) or file.name == schema1.REASONS or parts[0].endswith(schema1.SUFFIX)
        if file.is_file() and not known and not file.name.startswith("."):
            yield Finding(file, "foreign", "rnnscope did not write it", "move it elsewhere, or leave it")


def _left_over(path: Path) -> Iterator[Finding]:
    for file in files.left_over(path):
        yield Finding(file, "left over", "a process was killed while it wrote", "rnnscope repair removes it")


def _list_is_lost(path: Path) -> bool:
    try:
        return manifest.listed(path) is None and _schema(path) > 1
    except manifest.DamagedError:
        return True


def _schema(path: Path) -> int:
    try:
        return int(files.parse_record(files.read(path / "run.json", files.MOST_TEXT))["schema"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return 0


def _remedy(name: str) -> str:
    if name.startswith("checkpoints"):
        return "restore it from a copy, use another checkpoint, or train the run anew"
    if name == "history.csv":
        return "restore it from a copy; the weights do not need it"
    if name == "resume.safetensors":
        return "restore it from a copy, or train the run anew"
    return "restore it from a copy, or train the run anew; after a change by hand, rnnscope repair --accept"


def _aside(run: Path, path: Path) -> Path:
    target = run / ASIDE / path.relative_to(run)
    if target.exists():
        target = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    return target
