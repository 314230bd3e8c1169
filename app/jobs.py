"""Work that is started from the page: a process for each job, whose only memory is the folder of the run.

The process is the command line in a session of its own: it goes on when the page is closed, and when the explorer ends.
`rnnscope.app.job_state` says how it is, whoever asks.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from rnnscope.analyses import ANALYSES
from rnnscope.app.job_files import (
    Kind,
    Started,
    job_file,
    make_room,
    read_started,
    register,
    unregister,
    write_started,
)
from rnnscope.app.job_state import Job, look
from rnnscope.app.library import Library
from rnnscope.app.processes import began_at, check_can_tell, interrupt, this_boot
from rnnscope.cells import Cell, cell_from_config
from rnnscope.learning.defaults import default_training
from rnnscope.learning.settings import Training, change_settings, check_fits
from rnnscope.learning.trainer import default_name
from rnnscope.records.runs import load_run
from rnnscope.tasks import task_from_config, to_config
from rnnscope.tasks.task import Task

# As for several processes of the command line: more threads make small products wait for one another.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
# What becomes a folder: no path, nothing hidden, and short enough for every file system.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=,@ -]{0,119}")


@dataclass(frozen=True)
class Asked:
    """A training that is asked for, checked before it begins.

    Attributes:
        task, cell, training, seed: as for `rs.train`.
        name: of its folder.
    """

    task: Task
    cell: Cell
    training: Training
    seed: int
    name: str


def asked(
    task: Mapping[str, Any], cell: Mapping[str, Any], training: Mapping[str, Any], seed: int, name: str | None
) -> Asked:
    """Check all that `rs.train` would refuse before it writes anything.

    Args:
        task, cell: as `to_config` writes them.
        training: settings that are not those that suit the task, or all of them.
        seed, name: as for `rs.train`; the name must be one of a folder, and no path.

    Raises:
        ValueError: what is wrong, in one sentence.
    """
    made, units = task_from_config(task), cell_from_config(cell)
    changed = change_settings(default_training(made), training)
    if changed.curriculum is not None and not made.ns:
        raise ValueError(f"a curriculum needs a task with several heads, and {task['kind']} has one: choose none")
    check_fits(changed, made)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on, got {seed!r}")
    name = name or default_name(made, units, seed)
    if not _NAME.fullmatch(name) or name.endswith((".", " ")):
        raise ValueError(
            f"{name!r} cannot be the name of a run: begin with a letter or digit, and use these, spaces and . _ + = , "
            "@ - only, up to 120 of them"
        )
    return Asked(made, units, changed, seed, name)


def start_training(library: Library, wanted: Asked) -> Job:
    """Train a network in a process of its own, in the folder of the library that new runs go into.

    Raises:
        ValueError: there is a run of this name, a job is at work on it, or there is no folder for new runs.
        OSError: the folder cannot be written.
    """
    root = library.folder_for_new()
    place = root / wanted.name
    if place.exists() and (not place.is_dir() or any(not inside.name.startswith(".") for inside in place.iterdir())):
        raise ValueError(f"there is something of the name {wanted.name} in {root} already: choose another name")
    training = {name: value for name, value in to_config(wanted.training).items() if name != "kind"}
    settings = {"task": to_config(wanted.task), "cell": to_config(wanted.cell), "training": training}
    return _train(root, place, settings, wanted.seed, resume=False)


def go_on(library: Library, place: Path) -> Job:
    """Go on with a training that was interrupted, wherever it was begun.

    Raises:
        ValueError: it is over or at work, or its trials came from arrays, which only the command line can be given.
    """
    run = load_run(place)
    if run.status != "training":
        raise ValueError(f"the training of {run.name} is over ({run.status}): there is nothing to go on with")
    if run.task.arrays:
        raise ValueError(
            f"{run.name} was trained on arrays, which the page cannot be given: go on in Python, with the same "
            "arguments and exists='resume'"
        )
    settings = {part: run.record[part] for part in ("task", "cell", "training")}
    return _train(_root(library, place), place, settings, run.seed, resume=True)


def start_analyses(library: Library, place: Path, names: Sequence[str] | None = None, seed: int = 0) -> Job:
    """Run analyses of which a run keeps no answer for its present weights, in a process of its own.

    Args:
        library: where the run is.
        place: its folder.
        names: of the analyses; None for all.
        seed: of everything random.

    Raises:
        ValueError: an unknown analysis; a run that cannot be read, or is not trained; a job at work on it.
    """
    unknown = [name for name in names or () if name not in ANALYSES]
    if unknown or (names is not None and not names):
        raise ValueError(f"unknown analysis {', '.join(unknown) or 'none'}; known: {', '.join(ANALYSES)}")
    run = load_run(place)
    if run.status == "training":
        raise ValueError(f"the training of {run.name} is not over: analyse it when it is")
    arguments = ["analyze", str(place), "--missing", "--seed", str(seed)]
    for name in names or ():
        arguments += ["--only", name]
    what = "all that is missing" if names is None else ", ".join(ANALYSES[name].title for name in names)
    with _reserved(place, "analyses"):
        total = len(names or ANALYSES)
        return _start(_root(library, place), place, "analyses", what, total, arguments, tuple(names or ()))


def cancel(place: Path, kind: Kind) -> bool:
    """Ask a job to end; whether it was at work. A training keeps what it saved last, analyses what they found.

    It is interrupted as Ctrl-C does. One that was cancelled before and is still at work is ended at once, which loses
    no more: files are written whole or not at all.
    """
    started = read_started(place, kind)
    if started is None or not started.lives:
        return False
    write_started(place, kind, replace(started, cancelled=True))
    return interrupt(started.pid, started.process_began, signal.SIGTERM if started.cancelled else signal.SIGINT)


def forget(library: Library, job: Job) -> None:
    """Take a job that is not at work off the list. A run stays; the empty folder of one that never came to be goes."""
    if job.state == "running":
        return
    for suffix in ("json", "yaml", "log", "end"):
        job_file(job.place, job.kind, suffix).unlink(missing_ok=True)
    root = _root(library, job.place)
    if root is not None:
        unregister(root, job.place, job.kind)
    if not any(not inside.name.startswith(".") for inside in job.place.glob("*")):
        shutil.rmtree(job.place, ignore_errors=True)


def _train(root: Path | None, place: Path, settings: Mapping[str, Any], seed: int, *, resume: bool) -> Job:
    with _reserved(place, "training"):
        file = job_file(place, "training", "yaml")
        file.write_text(yaml.safe_dump(dict(settings), sort_keys=False))
        arguments = ["train", "--config", str(file), "--name", place.name, "--folder", str(place.parent)]
        arguments += ["--seed", str(seed), *(["--resume"] if resume else [])]
        task, cell = settings["task"], settings["cell"]
        what = f"{task['kind']}, {cell['units']} {cell['kind']} units, seed {seed}"
        return _start(root, place, "training", what, int(settings["training"]["steps"]), arguments)


@contextmanager
def _reserved(place: Path, kind: Kind) -> Iterator[None]:
    """Hold the folder of a run while a job is being started on it, so that two clicks do not start two.

    Raises:
        ValueError: a job of this kind is at work on it, or this system has no jobs.
    """
    check_can_tell()
    lock = FileLock(make_room(place) / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"a job is being started on {place.name} just now: look again in a moment") from None
    try:
        now = look(place, kind)
        if now is not None and now.state == "running":
            noun = "a training is" if kind == "training" else "analyses are"
            raise ValueError(f"{noun} at work on {place.name} already: wait for the end, or cancel")
        yield
    finally:
        lock.release()


def _start(
    root: Path | None,
    place: Path,
    kind: Kind,
    what: str,
    total: int,
    arguments: list[str],
    names: tuple[str, ...] = (),
) -> Job:
    """Start the process, and write down which it is."""
    end = job_file(place, kind, "end")
    end.unlink(missing_ok=True)
    with open(job_file(place, kind, "log"), "wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-P",  # no file of the folder where the explorer was started takes the place of a module
                "-m",
                "rnnscope.app.job_process",
                str(end),
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ONE_THREAD, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
            start_new_session=True,
        )
    began = began_at(process.pid) or "over"
    write_started(place, kind, Started(process.pid, began, this_boot(), what, time.time(), total, names))
    if root is not None:
        register(root, place, kind)
    # Somebody has to take note of its end, or its number stays in use as long as the explorer runs.
    threading.Thread(target=process.wait, daemon=True).start()
    job = look(place, kind)
    assert job is not None
    return job


def _root(library: Library, place: Path) -> Path | None:
    """The root that holds a run; None for a run that was given by itself, beside which nothing is written."""
    return next((root for root in library.roots.values() if root != place and root in place.parents), None)
