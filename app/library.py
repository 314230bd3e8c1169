"""The runs that the explorer may show: those in the folders it was given, by names that addresses carry.

A name comes out of an address that anybody may write, so it is looked up among the folders that are there and never
joined to a path. Nothing here raises over one bad run: it comes back as a message.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import xarray as _  # noqa: F401 - here, because plotly takes up pandas half-imported while another thread loads it

from rnnscope.records.runs import Run, RunError, load_run

DEPTH = 4  # of folders within a folder in which runs are looked for


@dataclass(frozen=True)
class Library:
    """Folders of runs, and runs.

    Attributes:
        roots: name -> folder. Runs of a folder are called "name/run", and "run" alone where there is one folder; those
            of folders within it, as sweeps make them, "sweep/run".
    """

    roots: dict[str, Path]

    @classmethod
    def of(cls, folders: Iterable[Path]) -> "Library":
        """Of folders that hold runs, or are runs, each once.

        Raises:
            ValueError: none, or one that is no folder.
        """
        resolved = list(dict.fromkeys(folder.resolve() for folder in folders))
        if not resolved:
            raise ValueError("the explorer needs a folder that holds runs: give at least one")
        for folder in resolved:
            if not folder.is_dir():
                raise ValueError(f"no folder {folder}: give the folder that holds the runs")
        return cls(dict(zip(_short_names(resolved), resolved, strict=True)))

    def places(self) -> dict[str, Path]:
        """The folder of each run, by name, in order. Links that lead out of the roots are not followed."""
        found = {}
        for name, root in self.roots.items():
            if (root / "run.json").exists():
                found[name] = root
                continue
            with suppress(OSError):  # a folder that was taken away meanwhile has no runs
                prefix = "" if len(self.roots) == 1 else f"{name}/"
                inside = sorted(place for place in _runs(root) if _is_inside(place, root))
                found.update({prefix + place.relative_to(root).as_posix(): place for place in inside})
        return found

    def place(self, name: str) -> Path | None:
        """The folder of the run of this name; None where there is none. No name can lead out of the roots: what is
        joined to one are names of folders, none of them a dot or two, of which the last alone holds a run."""
        for root_name, root in self.roots.items():
            if (root / "run.json").exists():
                if name == root_name:
                    return root
                continue
            inside = name if len(self.roots) == 1 else name.removeprefix(f"{root_name}/")
            if len(self.roots) > 1 and inside == name:
                continue
            parts = inside.split("/")
            plain = len(parts) <= DEPTH and not any(part[:1] in ("", ".") or set(part) & {"\\", "\0"} for part in parts)
            if plain and (root / inside / "run.json").exists() and _is_inside(root / inside, root):
                above = [root.joinpath(*parts[:k]) for k in range(1, len(parts))]
                closed = any(folder.is_symlink() or (folder / "run.json").exists() for folder in above)
                return None if closed else root / inside
        return None

    def find(self, name: str) -> Run | RunError | None:
        """The run of this name; what is wrong with it; None where there is none."""
        place = self.place(name)
        return None if place is None else read(place)

    def folder_for_new(self) -> Path:
        """Where trainings that are started from the page write: the first folder that is not itself a run.

        Raises:
            ValueError: only runs were given.
        """
        for root in self.roots.values():
            if not (root / "run.json").exists():
                return root
        raise ValueError("only runs were given, and no folder that new ones can go into: give one to rnnscope app")

    def __str__(self) -> str:
        return ", ".join(map(str, self.roots.values()))


def _is_inside(place: Path, root: Path) -> bool:
    """Whether what is at a place lies in the root, which a link may lead out of."""
    return not place.is_symlink() or place.resolve().is_relative_to(root)


def _runs(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    """The runs in a folder and in those within it; not those within a run."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_dir():
                continue
            place = Path(entry.path)
            if (place / "run.json").exists():
                yield place
            elif depth > 1 and not entry.is_symlink():  # a link may lead back to where one is
                yield from _runs(place, depth - 1)


def read(place: Path) -> Run | RunError:
    """The run in a folder, or what is wrong with it."""
    try:
        return load_run(place)
    except Exception as error:  # noqa: BLE001 - one folder that nobody foresaw must not cost the whole page
        return unshowable(place, error)


def unshowable(place: Path, error: Exception) -> RunError:
    """Return the message about a run whose `run.json` is JSON, and not what it should be."""
    if isinstance(error, RunError):
        return error
    return RunError(
        f"{place / 'run.json'} holds something else than expected ({words(error)}): restore it from a copy, or train "
        "the run anew"
    )


def words(error: Exception) -> str:
    """An error in one line; a bare KeyError says nothing without its name."""
    reason = " ".join(str(error).split())
    return reason if isinstance(error, ValueError) and reason else f"{type(error).__name__} {reason}".rstrip()


def _short_names(folders: list[Path]) -> list[str]:
    """As much of the end of each path as tells it from the others."""
    for depth in range(1, 1 + max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]).strip("/") or folder.anchor for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]
