"""Training: a task and a cell become a Run on disk."""

import contextlib
import hashlib
import inspect
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from pydantic_core import to_jsonable_python

from rnnscope.cells import CELLS, Cell
from rnnscope.learning.defaults import default_training
from rnnscope.learning.settings import Training, change_settings, check_fits
from rnnscope.learning.stepper import Progress, Trainer, TrainingDiverged, measure
from rnnscope.network import Network, default_dtype
from rnnscope.records import files, runs, writing
from rnnscope.records.runs import Run, RunError
from rnnscope.tasks import TASKS, to_config
from rnnscope.tasks.settings import short
from rnnscope.tasks.task import Task

Exists = Literal["error", "resume", "reuse"]


def train(
    task: Task,
    cell: Cell,
    training: Training | None = None,
    *,
    seed: int | np.integer = 0,
    name: str | None = None,
    folder: str | os.PathLike[str] = "runs",
    exists: Exists = "error",
    device: str = "cpu",
    progress: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> Run:
    """Train a network of `cell` on `task`.

    Args:
        task, cell: what to learn, and with what.
        training: the settings of training; None takes those that suit the task (`rs.default_training`).
        seed: the seed of the weights, the trials and the noise. The same seed, settings, machine and number of
            threads give the same weights, bit for bit.
        name: the name of the run, which is a folder in `folder`; None makes one from task, cell and seed.
        folder: the folder that holds the runs.
        exists: what to do where there is a run of this name already. "error" refuses, and leaves it alone. "resume"
            goes on with it where it was interrupted, and the weights end bit-identical to those of an uninterrupted
            run; one that is over is returned as it is, in a moment, also one that diverged (`run.status` says so).
            "reuse" returns what is there in any case, also while another process trains it, and writes nothing. With
            either of these a notebook or a script can be run twice; task, cell, training and seed must be those that
            the run was begun with.
        device: "cpu", "cuda" or "cuda:0" ...
        progress: whether to show a progress bar; `on_progress` replaces it.
        **settings: single settings of `Training` to change, such as `steps=500`.

    Raises:
        FileExistsError: there is something of this name, and `exists` is "error".
        RunError: another process trains this run; or it was begun with other settings, of which the message names the
            first; or its files are damaged.
        ValueError: a setting is refused. TrainingDiverged: see there.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> run = rs.train(rs.tasks.Parity(2), rs.cells.Leaky(16), steps=5, folder=tempfile.mkdtemp(), progress=False)
        >>> run.status, run.checkpoints
        ('finished', [0, 5])
    """
    training = default_training(task) if training is None else training
    if settings:
        training = change_settings(training, settings)
    if exists not in get_args(Exists):
        raise ValueError(f"exists must be {' or '.join(map(repr, get_args(Exists)))}, got {exists!r}")
    check_device(device)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on, got {seed!r}")
    seed = int(seed)
    _check_known(task, TASKS, "task")
    _check_known(cell, CELLS, "cell")
    check_fits(training, task)
    path = Path(folder) / (default_name(task, cell, seed) if name is None else checked_name(name))
    check_memory(task, cell, training)
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file: choose another name or folder for the run")
    if exists == "reuse" and (path / "run.json").exists():
        return _begun_alike(path, task, cell, training, seed)
    with writable(path):
        lock = writing.lock_run(path)
        try:
            files.sweep(path)
            run = open_run(path, task, cell, training, seed, exists == "resume")
            if run.status != "training":
                return run
            with (
                _reporter(run, training, progress, on_progress) as report,
                threads_of(training.threads),
                default_dtype(torch.float32),
            ):
                trainer = Trainer(run, task, training, torch.device(device))
                try:
                    return trainer.run_to_the_end(report)
                except Exception as error:
                    if files.is_out_of_memory(error) and not trainer.step:
                        writing.clear_run(path)  # nothing was trained: it is not to block the name
                    raise
        finally:
            lock.release()


def evaluate(
    network: Network, task: Task, *, n_trials: int = 1024, seed: int = 0, noise: float = 0.0
) -> dict[str, float]:
    """The task's metrics on fresh trials; of recorded trials, on those held out (`Task.sample_fresh`).

    Args:
        network: a Network; `run.network()` gives a run's.
        noise: standard deviation of process noise.
    """
    return measure(network, task, None, n_trials, np.random.default_rng([seed, 0xE7A1]), noise)


def checked_name(name: str) -> str:
    """The name of a run.

    Raises:
        ValueError: it is no name of a folder in a folder.
    """
    if (
        not name
        or name.startswith(".")
        or set(name) & {"/", "\\"}
        or not name.isprintable()
        or len(name.encode()) > 200
    ):
        raise ValueError(
            f"the name of a run must be that of a folder, of printable letters, without / and no dot before it, got "
            f"{short(name)}: say with folder= (--folder) where it goes"
        )
    return name


def check_memory(task: Task, cell: Cell, training: Training) -> None:
    """Raises ValueError where the weights and what an optimiser keeps of them are more than the memory of this
    machine: before anything is written."""
    numbers = sum(math.prod(shape) for shape in runs.weight_shapes(task, cell, _plain(training)).values())
    wanted = 4 * numbers * (4 if training.optimiser == "adam" else 3)
    if wanted > files.memory():
        raise ValueError(
            f"{cell} has {numbers:,} weights, and training them takes {wanted / 1e9:,.0f} GB of memory, more than the "
            f"{files.memory() / 1e9:,.0f} GB of this machine: take fewer units"
        )


def default_name(task: Task, cell: Cell, seed: int) -> str:
    """A readable folder name: task, cell, seed; four letters distinguish settings that are not the defaults."""
    parts = []
    sizes: list[list[int]] = [list(task.ns), [cell.units]]
    for thing, size in zip((task, cell), sizes, strict=True):
        consecutive = len(size) > 1 and size == list(range(size[0], size[-1] + 1))
        shown = f"{size[0]}-{size[-1]}" if consecutive else ".".join(map(str, size))
        settings = inspect.signature(type(thing)).parameters.values()
        defaults = {p.name: to_jsonable_python(p.default) for p in settings if p.default is not p.empty}
        other = {
            name: value
            for name, value in to_config(thing).items()
            if name not in ("kind", "n", "units") and not (name in defaults and value == defaults[name])
        }
        mark = hashlib.sha1(json.dumps(other, sort_keys=True).encode()).hexdigest()[:4] if other else ""
        parts.append("-".join(filter(None, (type(thing).__name__, shown, mark))))
    return "_".join((*parts, f"seed-{seed}")).lower()


# -- around a training -------------------------------------------------------------------------------------------


def open_run(path: Path, task: Task, cell: Cell, training: Training, seed: int, resume: bool) -> Run:
    """A new run, or with `resume` the one that is there; raises RunError where that was begun with other settings."""
    if resume and not (path / "run.json").exists() and not writing.is_blank(path):
        raise RunError(f"{path} has files but no run.json, so there is nothing to go on with: choose another name")
    if not (resume and (path / "run.json").exists()):
        return writing.create_run(path, task, cell, _plain(training), seed)
    run = _begun_alike(path, task, cell, training, seed)
    writing.keep_arrays(path, task)  # what a crash, or a user, took away
    return run


def _begun_alike(path: Path, task: Task, cell: Cell, training: Training, seed: int) -> Run:
    """The run that is there; raises RunError if it was begun with other settings."""
    run = runs.load_run(path)
    asked = {"task": to_config(task), "cell": to_config(cell), "seed": seed, "training": _plain(training)}
    # Settings that there were not yet when it was begun were then what they are by default.
    training_then = {**_plain(Training()), **run.record["training"]}
    begun = {**run.record, "cell": to_config(run.cell), "training": training_then}
    for part, value in asked.items():
        if begun[part] != value:
            then, now = _first_difference(begun[part], value)
            raise RunError(
                f"cannot go on with {path}: it was begun with {part} {then}, now {now} is asked for; "
                "use the settings that it was begun with, or another name"
            )
    return run


def _plain(training: Training) -> dict[str, Any]:
    return {k: v for k, v in to_config(training).items() if k != "kind"}


def _first_difference(then: Any, now: Any) -> tuple[str, str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            if then.get(key) != now.get(key):
                return f"{key} = {then.get(key)}", f"{key} = {now.get(key)}"
    return str(then), str(now)


def check_device(device: str) -> None:
    """Raise a ValueError where there is no such device."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(f"unknown device {device!r}: give cpu, cuda or cuda:<number>") from None
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r} is not supported: give cpu, cuda or cuda:<number>")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} is not there: torch sees no CUDA; use device='cpu'")
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {device!r} is not there: torch sees {torch.cuda.device_count()}, numbered from 0")


def _check_known(thing: Task | Cell, kinds: Mapping[str, type], what: str) -> None:
    """A run names its task and its cell, so that loading it needs no code of its own: the names must be known."""
    name = type(thing).__name__
    if kinds.get(name) is not type(thing):
        raise ValueError(
            f"{name} is no {what} that a run can be loaded with ({', '.join(kinds)}): write it as a pydantic "
            f"dataclass and add it, rnnscope.{what}s.{what.upper()}S[{name!r}] = {name}"
        )


@contextlib.contextmanager
def threads_of(n_threads: int) -> Iterator[None]:
    """So many threads of torch, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Report what could not be written, and what to do about it; what is on disk stays as it was."""
    try:
        yield
    except (FileExistsError, BrokenPipeError):
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).partition(":")[0]
        raise OSError(
            error.errno, f"cannot write the run {path} ({reason}): choose another folder, or make room there"
        ) from error


@contextlib.contextmanager
def _reporter(
    run: Run, training: Training, progress: bool, on_progress: Callable[[Progress], None] | None
) -> Iterator[Callable[[Progress], None]]:
    if on_progress is not None:
        yield on_progress
        return
    if not progress:
        yield lambda _: None
        return
    from rnnscope.progress import progress_bar

    with progress_bar(run.name, training.steps) as advance:
        yield lambda p: advance(p.step, describe(p))


def describe(progress: Progress) -> str:
    """Describe in a few words how far a training is."""
    parts = [f"loss {progress.loss:.4g}"] if math.isfinite(progress.loss) else []
    if progress.stage:
        parts.append(progress.stage)
    shown = [name for name in ("accuracy_min", "accuracy", "mse", "frequency_error") if name in progress.metrics][:1]
    parts += [f"{name.replace('_', ' ')} {progress.metrics[name]:.3f}" for name in shown]
    return ", ".join(parts)


__all__ = [
    "Progress",
    "Training",
    "TrainingDiverged",
    "change_settings",
    "default_name",
    "describe",
    "evaluate",
    "train",
]
