"""What a report of several runs says of a comparison of them, which `rnnscope compare` or `compare_networks` made."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.analyses.comparison.result import Comparison
from rnnscope.records.result_files import SUFFIX, load_result
from rnnscope.records.runs import Run
from rnnscope.subjects.subject import as_subject
from rnnscope.version import __version__

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Beside:
    """One comparison.

    Attributes:
        title: the distance, in words.
        summary: what was found, in a sentence.
        reservations: what stands between it and the runs of the report.
        figure: the distances, and the map of the networks.
        how: seed, version and duration.
        place: the file that holds it; None where it was given as it is.
    """

    title: str
    summary: str
    reservations: tuple[str, ...]
    figure: "go.Figure"
    how: str
    place: Path | None


def comparisons(
    given: Comparison | str | os.PathLike[str] | Iterable[Comparison | str | os.PathLike[str]], runs: Sequence[Run]
) -> list[Beside]:
    """What is said of comparisons of these runs.

    Args:
        given: comparisons, or files of them, or the folders that `rnnscope compare` wrote.
        runs: of the report.

    Raises:
        FileNotFoundError, ValueError: there is no comparison at a path, or it is damaged.
    """
    several = [given] if isinstance(given, Comparison | str | os.PathLike) else list(given)
    found: list[Beside] = []
    for each in several:
        if isinstance(each, Comparison):
            found.append(_beside(each, None, runs))
        else:
            found += [_beside(load_result(Comparison, path), path, runs) for path in _files(Path(each))]
    return found


def _files(place: Path) -> list[Path]:
    files = sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
    if not files:
        raise ValueError(f"{place} holds no comparison: name a folder that `rnnscope compare --out` wrote")
    return files


def _beside(found: Comparison, place: Path | None, runs: Sequence[Run]) -> Beside:
    made = found.made
    title = f"Comparison by {found.unit}"
    if made is None:
        return Beside(title, found.summary(), ("it does not say what was compared",), found.figure(), "", place)
    origins = [made.origin, *made.others]
    ours = [as_subject(run).origin for run in runs]
    missing = [run.name for run, own in zip(runs, ours, strict=True) if not any(own.is_same(each) for each in origins)]
    others = [str(each) for each in origins if not any(each.is_same(own) for own in ours)]
    now = "as it is now" if len(missing) == 1 else "as they are now"
    reservations = [f"without {', '.join(missing)} {now}"] if missing else []
    reservations += [f"with {', '.join(others)}, not in this report as compared"] if others else []
    reservations += [f"made by rnnscope {made.version}, this is {__version__}"] if made.version != __version__ else []
    how = f"seed {made.settings.get('seed')}, {made.seconds:.2g} s, rnnscope {made.version}"
    return Beside(title, found.summary(), tuple(reservations), found.figure(), how, place)
