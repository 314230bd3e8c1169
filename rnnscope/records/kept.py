"""The results that a run keeps: each with the settings and the weights that it was found with, beside one another.

    results/fixed_points/step_1000-3fa9c1d2e4b5a697.zarr.zip      under default settings
    results/fixed_points/n_starts=200-77c0a1b2c3d4e5f6.zarr.zip   a variant
    results/rotations/step_1000-01b2c3d4e5f60718.json             why it does not apply

The same question asked again takes the place of its old answer; another one stands beside it.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnscope.records import manifest, schema1
from rnnscope.records.files import MOST_TEXT, UNREADABLE, make_folder, read, sweep, write_atomically
from rnnscope.records.kinds import kinds_of
from rnnscope.records.labelled import rebuilt
from rnnscope.records.provenance import Made
from rnnscope.records.result_files import HEADLINE, SUFFIX, read_attributes, read_result, save_result
from rnnscope.records.results import Result

FOLDER = "results"
_SKIPPED = ".json"
# So much of a label is part of a file's name.
_LONGEST = 60


@dataclass(frozen=True)
class Kept:
    """An answer that a run keeps: a result, or the reason why there is none.

    Attributes:
        analysis: its name.
        path: the file.
        made: how it was found; None where an older version wrote no more than the reason.
        reason: why the analysis does not apply; None for a result.
    """

    analysis: str
    path: Path
    made: Made | None
    reason: str | None = None

    @property
    def label(self) -> str:
        """What sets it apart from the analysis under its default settings, in words: "" for that itself."""
        return self.made.label if self.made else ""

    def __repr__(self) -> str:
        where = "" if self.made is None else f", {self.made.origin}"
        why = "" if self.reason is None else f", does not apply: {self.reason}"
        return f"Kept {self.analysis}{f' ({self.label})' * bool(self.label)}{where}{why}"

    def headline(self) -> dict[str, int | float]:
        """The numbers that stand for the result, as it had them when it was kept: without reading its arrays.

        Raises:
            FileNotFoundError: it is gone. ValueError: it is damaged, or there is only a reason.
        """
        if self.path.name.endswith(SUFFIX):
            found = read_attributes(self.path, whole=True).get(HEADLINE)
            if found is not None and self.made is not None:
                return found
        return dict(self.load().headline())

    def load(self) -> Result:
        """Read the result.

        Raises:
            FileNotFoundError: it is gone. ValueError: it is damaged, or there is only a reason.
        """
        if self.reason is not None:
            raise ValueError(f"{self.analysis} does not apply: {self.reason}")
        classes = kinds_of(self.analysis)
        try:
            if self.path.suffix == schema1.SUFFIX:
                return rebuilt(*schema1.upgraded(classes, schema1.read_folder(self.path)))
            found = read_result(self.path)
            made = found.values.get("made")
            if made is None or not _belongs(self.path, Made.from_plain(made)):
                raise ValueError(f"{self.path} is the answer to another question, or of another run: {_MOVED}")
            cls = next((cls for cls in classes if cls.__name__ == found.kind), classes[0])
            return rebuilt(cls, found)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(str(error) if str(self.path) in str(error) else f"{self.path}: {error}") from None


def keep(run: Path, result: Result) -> Path:
    """Write a result; returns the file.

    Raises:
        ValueError: it does not say how it was made.
    """
    if result.made is None:
        raise ValueError(
            f"this {type(result).__name__} does not say how it was made: only what an analysis returns is kept"
        )
    path = _place(run, result.made, SUFFIX)
    sweep(path.parent)
    save_result(result, path)
    _remove(_place(run, result.made, _SKIPPED))
    return path


def keep_reason(run: Path, made: Made, reason: str) -> Path:
    """Write why an analysis does not apply, in place of what the same question had for an answer; returns the file."""
    path = _place(run, made, _SKIPPED)
    make_folder(path.parent)
    write_atomically(path, manifest.signed({"not applicable": reason, "made": made.to_plain()}))
    _remove(_place(run, made, SUFFIX))
    return path


def kept(run: Path, analysis: str | None = None) -> list[Kept]:
    """What a run keeps of one analysis, or of all; by analysis, and the one asked last comes last. A file that cannot
    be read is there too, without saying how it was made: loading it says why."""
    folders = sorted((run / FOLDER).glob(analysis or "[!.]*"))
    folders = [folder for folder in folders if folder.is_dir() and folder.suffix != schema1.SUFFIX]
    found = [_read(path) for folder in folders for path in _by_age(folder)]
    # What the same question had for an answer before, and a process that was killed has left, does not count.
    found = [*_old(run, analysis, {each.analysis for each in found if each is not None}), *found]
    last = {(each.analysis, each.made.key if each.made else each.path): each for each in found if each is not None}
    return sorted(last.values(), key=lambda each: each.analysis)


def names(run: Path) -> list[str]:
    """The analyses of which a run keeps results, in a fraction of a millisecond: no file is opened."""
    folder = run / FOLDER
    new = {path.parent.name for path in folder.glob(f"[!.]*/[!.]*{SUFFIX}")}
    return sorted(new | {path.stem for path in folder.glob(f"[!.]*{schema1.SUFFIX}")})


def answers(path: Path) -> bool:
    """Whether this is the file of an answer."""
    return path.name.endswith((SUFFIX, _SKIPPED)) and not path.name.startswith(".")


def _place(run: Path, made: Made, suffix: str) -> Path:
    step = "" if made.origin.checkpoint is None else f"step {made.origin.checkpoint}"
    words = re.sub(r"[^\w.=+-]+", "_", made.label or step or "default")[:_LONGEST].strip("_")
    return run / FOLDER / made.analysis / f"{words}-{made.key}{suffix}"


# What helps where a file lies in a place that is not its own.
_MOVED = "put it back where it was, or redo the analysis"


def _belongs(path: Path, made: Made) -> bool:
    """Whether an answer lies where it was kept: copied there from another run, it would be silently wrong."""
    return made.key in path.name and made.analysis == path.parent.name


def _by_age(folder: Path) -> list[Path]:
    found = []
    for path in filter(answers, folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):  # it is gone meanwhile
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def _read(path: Path) -> Kept | None:
    analysis, run = path.parent.name, path.parents[2]
    try:
        if path.name.endswith(SUFFIX):
            made = read_attributes(path).get("made")
            known = None if made is None else Made.from_plain(made)
            return Kept(analysis, path, known if known is not None and _belongs(path, known) else None)
        record = manifest.unsigned(read(path, MOST_TEXT, inside=run))
        known = Made.from_plain(record["made"])
        return Kept(analysis, path, known, str(record["not applicable"])) if _belongs(path, known) else None
    except FileNotFoundError:
        return None
    except UNREADABLE:
        return Kept(analysis, path, None)


def _old(run: Path, analysis: str | None, asked: set[str]) -> Iterator[Kept]:
    """What an older version wrote; its reasons hold where an analysis was not asked since."""
    for path in sorted((run / FOLDER).glob(f"{analysis or '[!.]*'}{schema1.SUFFIX}")):
        yield Kept(path.stem, path, schema1.read_made(path))
    for name, reason in schema1.read_reasons(run / FOLDER).items():
        if name not in asked and analysis in (None, name):
            yield Kept(name, run / FOLDER / schema1.REASONS, None, reason)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # the newer one counts
        path.unlink(missing_ok=True)
