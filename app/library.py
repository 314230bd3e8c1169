"""What the explorer reads: the runs of a folder, and the figures of their results.

The name of a run comes out of an address that anybody may write, so it is looked up among the folders that are
there and never joined to a path. Nothing here raises over one bad run: it comes back as a message.
"""

import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as _  # noqa: F401 - here, because plotly takes up pandas half-imported while another thread loads it

from rnnscope.analyses import ANALYSES, GROUPS, NotApplicable
from rnnscope.figures import training_figure
from rnnscope.records.runs import SKIPPED, Run, RunError, load_run

# The card of the loss stands beside those of the analyses.
TRAINING = "training"


@dataclass(frozen=True)
class Missing:
    """Why there is no figure: it can be made by a command, or does not apply to the run, or something is wrong."""

    reason: str
    command: str | None = None
    applies: bool = True


@dataclass(frozen=True)
class Drawn:
    """A figure as plain JSON values, what its title says, and the result in one line."""

    figure: dict[str, Any]
    title: str
    summary: str


def read_runs(folder: Path) -> dict[str, Run | RunError]:
    """The runs of a folder by name; what is wrong, for those that cannot be read."""
    found: dict[str, Run | RunError] = {}
    for file in sorted(folder.glob("*/run.json")):
        try:
            found[file.parent.name] = load_run(file.parent)
        except Exception as error:  # noqa: BLE001 - one folder that nobody foresaw must not cost the whole page
            found[file.parent.name] = unshowable(file.parent, error)
    return found


def unshowable(place: Path, error: Exception) -> RunError:
    """What to tell about a run whose `run.json` is JSON, and not what it should be."""
    if isinstance(error, RunError):
        return error
    return RunError(
        f"{place / 'run.json'} holds something else than expected ({_words(error)}): restore it from a copy, or train "
        "the run anew"
    )


def find_run(folder: Path, name: str) -> Run | None:
    """The run of this name, if the folder has it and it can be read."""
    try:
        # Compared with what is there: no name can lead out of the folder.
        place = next((place for place in folder.iterdir() if place.name == name), None)
        return None if place is None else load_run(place)
    except Exception:  # noqa: BLE001 - the list of runs tells what is wrong with it
        return None


def groups() -> dict[str, dict[str, str]]:
    """The headings of the page, and under each the names of its figures and their titles."""
    of_analyses = {
        group: {
            name: drawing.title
            for entry in ANALYSES.values()
            if entry.group == group
            for name, drawing in entry.figures.items()
        }
        for group in GROUPS
    }
    return {**of_analyses, "Training": {TRAINING: "Loss and metrics"}}


def cards() -> dict[str, str]:
    """The names of all figures in the order of the page, and their titles."""
    return {name: title for group in groups().values() for name, title in group.items()}


def analysis_of(card: str) -> str:
    """The name of the analysis that a figure is of; the training's is its own."""
    return next((name for name, entry in ANALYSES.items() if card in entry.figures), card)


def stamps(run: Run) -> dict[str, int]:
    """When what the page shows was written, in nanoseconds, by analysis; what there is not is left out."""
    places = {name: run.path / "results" / f"{name}.zarr" for name in ANALYSES}
    places[TRAINING] = run.path / "history.csv"
    places[SKIPPED] = run.path / "results" / SKIPPED
    found: dict[str, int] = {}
    for name, place in places.items():
        try:
            found[name] = place.stat().st_mtime_ns
        except OSError:
            continue
    return found


def draw(run: Run, card: str) -> Drawn | Missing:
    """A figure of a run, or why there is none."""
    name = analysis_of(card)
    stamp = stamps(run).get(name)
    if stamp is None:
        if name == TRAINING:
            return Missing("Training has not logged a step yet.")
        if name in run.skipped:
            return Missing(f"This analysis does not apply to the run: {run.skipped[name]}.", applies=False)
        return Missing(
            "This analysis was not run yet.", shlex.join(["rnnscope", "analyze", str(run.path), "--only", name])
        )
    try:
        return _draw(run.path, card, stamp)
    except NotApplicable as error:
        return Missing(f"There is no such figure of this result: {error}.", applies=False)
    except Exception as error:  # noqa: BLE001 - a file that is damaged may raise anything, and costs only its own card
        reason = " ".join(str(error).split())
        if str(run.path) in reason:  # it tells already which file it is about
            return Missing(reason)
        place, remedy = run.path / "results" / f"{name}.zarr", "delete this folder and redo the analysis"
        if name == TRAINING:
            place, remedy = run.path / "history.csv", "restore it from a copy, or train the run anew"
        return Missing(f"{place} cannot be drawn ({_words(error)}): {remedy}")


@lru_cache(maxsize=128)
def _draw(path: Path, card: str, stamp: int) -> Drawn:
    """`stamp` is here for the cache: what was written anew is read anew."""
    run = load_run(path)
    if card == TRAINING:
        return Drawn(training_figure(run).to_plotly_json(), "", _training_summary(run))
    entry = ANALYSES[analysis_of(card)]
    drawing = entry.figures[card]
    result = run.load_result(entry.name, entry.result)
    plain = drawing.draw(result).to_plotly_json()
    title = str(plain["layout"].get("title", {}).get("text") or "").replace("<br>", " ")
    # The card has a title of its own: the figure's says what goes beyond it.
    title = title.removeprefix(drawing.title).lstrip(" ,:")
    # Said once, below the first figure.
    return Drawn(plain, title, result.summary() if card == entry.name else "")


def _words(error: Exception) -> str:
    """An error in one line; a bare KeyError says nothing without its name."""
    reason = " ".join(str(error).split())
    return reason if isinstance(error, ValueError) and reason else f"{type(error).__name__} {reason}".rstrip()


def _training_summary(run: Run) -> str:
    steps, seconds = run.record.get("steps_done", 0), run.record.get("seconds", 0.0)
    ends = {
        "training": "not finished",
        "learned": "the task's criterion was met",
        "finished": "the steps ran out before the task's criterion was met",
        "diverged": "training diverged; the last good checkpoint was kept",
    }
    return f"{steps:,} steps in {seconds:,.1f} s; {ends.get(run.status, run.status)}"
