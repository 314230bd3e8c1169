"""Train the networks of a paper and analyse them, each as a run that goes on where it was."""

import contextlib
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import threadpoolctl
import torch

from rnnscope.analyses.analyse import analyse
from rnnscope.learning.population import SIZES, Member, train_members
from rnnscope.learning.presets import Preset
from rnnscope.learning.trainer import TrainingDiverged, train
from rnnscope.records.results import Result
from rnnscope.records.runs import Run, RunError, load_run
from rnnscope.registry import ANALYSES, in_order


class Wanted(NamedTuple):
    """A network to be trained, and what is asked of it.

    Attributes:
        condition: which of the paper's.
        seed: of its training.
        preset: what is trained.
        name: of its run.
        analyses: that are run on it, with the settings of each.
    """

    condition: str
    seed: int
    preset: Preset
    name: str
    analyses: Mapping[str, Mapping[str, Any]]


class Prepared(NamedTuple):
    """A network that is trained and analysed.

    Attributes:
        wanted: what it was to be.
        path: of its run.
        diverged: whether its training diverged; then nothing was asked of it.
        skipped: analysis -> why it does not apply.
    """

    wanted: Wanted
    path: Path
    diverged: bool
    skipped: Mapping[str, str]

    @property
    def run(self) -> Run:
        return load_run(self.path)

    def result(self, analysis: str) -> Result:
        """What one of its analyses found."""
        return self.run.result(analysis, **self.wanted.analyses[analysis])


def prepare(
    wanted: Sequence[Wanted], folder: Path, device: str, jobs: int, progress: bool
) -> Iterator[Prepared]:  # fmt: skip
    """Train and analyse each network, as they are done; what is there already is taken as it is.

    Args:
        wanted: the networks.
        folder: where their runs are.
        device: on which they are trained.
        jobs: networks at once, each in a process with one thread of its own; 1 works in this process.
        progress: show a bar while a network is trained, where there is one at a time.
    """
    _train_alike(wanted, folder, device, jobs)
    if jobs == 1:
        yield from (_prepare(each, folder, device, progress) for each in wanted)
        return
    # A fresh process each: torch's threads do not survive a fork.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _one_thread) as pool:
        try:
            yield from (
                each.result()
                for each in as_completed([pool.submit(_prepare, w, folder, device, False) for w in wanted])
            )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _train_alike(wanted: Sequence[Wanted], folder: Path, device: str, jobs: int) -> None:
    """Train networks that differ in their seeds alone as a population, where they are enough to be stacked."""
    alike: dict[str, list[Wanted]] = {}
    for each in wanted:
        if not _is_begun(folder / each.name):
            alike.setdefault(each.condition, []).append(each)
    for condition, some in alike.items():
        if len(some) >= SIZES[0]:
            members = [
                Member(each.name, each.preset.task, each.preset.cell, each.preset.training, each.seed) for each in some
            ]
            train_members(members, folder, folder.parent / "populations" / f"{condition}.json", device, jobs)


def _is_begun(path: Path) -> bool:
    """Whether there is a run that was begun alone, or is over; what was begun in a stack goes on in one."""
    if not (path / "run.json").exists():
        return False
    with contextlib.suppress(RunError):  # a damaged one is told of where it is its turn
        run = load_run(path)
        return run.status != "training" or "together" not in run.record
    return True


def _one_thread() -> None:
    threadpoolctl.threadpool_limits(1)
    torch.set_num_threads(1)


def _prepare(wanted: Wanted, folder: Path, device: str, progress: bool) -> Prepared:
    preset = wanted.preset
    try:
        run = train(
            preset.task, preset.cell, preset.training, seed=wanted.seed, name=wanted.name, folder=folder,
            exists="resume", device=device, progress=progress,
        )  # fmt: skip
    except TrainingDiverged as error:
        run = error.run
    if run.status == "diverged":
        return Prepared(wanted, run.path, True, {})
    skipped: dict[str, str] = {}
    for entry in in_order(wanted.analyses):
        settings = wanted.analyses[entry.name]
        if entry.name in run.skipped:
            skipped[entry.name] = run.skipped[entry.name]
        elif not _is_there(run, entry.name, settings):
            skipped |= analyse(run, [entry.name], settings={entry.name: settings}).skipped
    return Prepared(wanted, run.path, False, skipped)


def _is_there(run: Run, analysis: str, settings: Mapping[str, Any]) -> bool:
    """Whether the run keeps this result under these settings, of its last weights."""
    try:
        run.result(analysis, **settings)
    except (ValueError, OSError):  # there is none, or it is damaged and made anew
        return False
    return True


def named(analyses: Sequence[str], settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Analysis -> its settings, checked.

    Raises:
        ValueError: an analysis that there is not, or settings that it refuses.
    """
    unknown = [name for name in analyses if name not in ANALYSES]
    if unknown:
        raise ValueError(f"unknown analysis {', '.join(map(repr, unknown))}; known: {', '.join(ANALYSES)}")
    for name in analyses:
        ANALYSES[name].question.check(dict(settings.get(name, {})))
    return {name: dict(settings.get(name, {})) for name in analyses}
