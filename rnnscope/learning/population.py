"""Many trainings of networks alike: seeds and settings that differ, stacked where that is faster, in processes of their
own where there are cores."""

import contextlib
import itertools
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import threadpoolctl
import torch

from rnnscope.cells import Cell, cell_from_config
from rnnscope.learning.defaults import default_training
from rnnscope.learning.settings import Training, change_settings, check_fits
from rnnscope.learning.stack import Stack, fits
from rnnscope.learning.stepper import Progress, Trainer, TrainingDiverged
from rnnscope.learning.trainer import check_device, open_run, threads_of, writable
from rnnscope.records import writing
from rnnscope.records.files import make_folder, write_atomically
from rnnscope.records.runs import Run, load_run
from rnnscope.tasks import task_from_config, to_config
from rnnscope.tasks.task import Task

PLAN = "population.json"
SIZES = (4, 16, 64)  # networks in a stack that are tried, beside one by one
TRIES = 3  # steps of each that are timed
MOST_BYTES = 2**30  # of a stack's buffers


class Member(NamedTuple):
    """One network of a population.

    Attributes:
        name: of its run.
        task, cell, training, seed: what it is trained on, and how.
    """

    name: str
    task: Task
    cell: Cell
    training: Training
    seed: int


@dataclass(frozen=True, repr=False)
class Population:
    """Networks that were trained together, each a run of its own.

    Attributes:
        folder: where their runs are.
        runs: in the order of what was varied and of seeds.
        together: how many were stacked, by measurement; 1 for one after another.
    """

    folder: Path
    runs: tuple[Run, ...]
    together: int

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, place: int) -> Run:
        return self.runs[place]

    def summary(self) -> str:
        """How many ended how, and in how many steps."""
        ends = [run.status for run in self.runs]
        ended = ", ".join(f"{ends.count(each)} {each}" for each in ("learned", "finished", "diverged") if each in ends)
        steps = sorted(run.record["steps_done"] for run in self.runs)
        seconds = sum(run.record["seconds"] for run in self.runs)
        stacked = f"{self.together} at once" if self.together > 1 else "one after another"
        return (
            f"{len(self.runs)} networks: {ended}; {steps[len(steps) // 2]} steps in the middle ({steps[0]} to "
            f"{steps[-1]}), {seconds:.0f} s in all, {stacked}"
        )

    def __repr__(self) -> str:
        return f"Population {str(self.folder)!r}: {self.summary()}"


def train_population(
    task: Task,
    cell: Cell,
    training: Training | None = None,
    *,
    seeds: int | Sequence[int],
    vary: Mapping[str, Sequence[Any]] | None = None,
    name: str = "population",
    folder: str | os.PathLike[str] = "runs",
    device: str = "cpu",
    jobs: int = 1,
    together: int | None = None,
    on_progress: Callable[[str], None] | None = None,
    **settings: Any,
) -> Population:
    """Train many networks: every combination of what is varied, with every seed. Each is a run of its own, with the
    trials, the noise and the weights that it has when it is trained alone, stops by itself, and can be gone on with
    alone. What was interrupted goes on where it was.

    Networks of one shape are stepped together where that is faster here: a few sizes are tried before anything is
    trained, and the fastest is taken. `run.record["together"]` says how many, and by how much the first gradient of
    this network differs from that of the network alone, relative to its largest entry. At 0 the first step is that of
    the network alone bit for bit, and on the same kernels the others are; above it, rounding differs, which optimisers
    may enlarge (Adam does, where an entry of the gradient is next to nothing).

    Args:
        task, cell, training: what to learn, with what, and how; as for `rs.train`.
        seeds: how many (0, 1, ...), or which.
        vary: setting -> its values, such as {"training.learning_rate": [1e-3, 3e-3], "cell.tau": [(1, 2), (1, 5)]}.
        name, folder: the runs are in the folder `folder/name`.
        device: "cpu", "cuda" ...
        jobs: processes, with one thread each; 1 works in this one.
        together: networks in a stack, 1 for none; None measures.
        on_progress: called with a line when a network is over.
        **settings: single settings of `Training` to change, such as `steps=500`.

    Raises:
        ValueError, TypeError: a setting that is refused, before anything is trained. RunError: as of `rs.train`.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> population = rs.train_population(rs.tasks.Parity(2), rs.cells.Leaky(8), seeds=3, steps=4, together=3,
        ...                                  folder=tempfile.mkdtemp())
        >>> len(population), population[2].seed
        (3, 2)
    """
    check_device(device)
    for what, count in (("jobs", jobs), ("together", together)):
        if count is not None and count < 1:
            raise ValueError(f"{what} must be at least 1, got {count}")
    training = default_training(task) if training is None else training
    training = change_settings(training, settings) if settings else training
    chosen = list(range(seeds)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    if not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):
        raise ValueError(f"seeds must be a count from 1 on, or different whole numbers from 0 on, got {seeds!r}")
    members = _members(task, cell, training, chosen, dict(vary or {}))
    place = Path(folder) / name
    size = train_members(members, place, place / PLAN, device, jobs, together, on_progress)
    return Population(place, tuple(load_run(place / member.name) for member in members), size)


def train_members(
    members: Sequence[Member],
    place: Path,
    plan: Path,
    device: str = "cpu",
    jobs: int = 1,
    together: int | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> int:
    """Train these networks, stacked where that is faster, each as a run below `place`; the rest as for
    `train_population`. How many are stacked is kept in the file `plan`, for the same to go on; returned."""
    size = _together(members, plan, device, together)
    parts = [members[start : start + size] for start in range(0, len(members), size)]
    done = 0

    def say(part: Sequence[Member]) -> None:
        nonlocal done
        for member in part:
            done += 1
            if on_progress is not None:
                run = load_run(place / member.name)
                how = f"{run.status} after {run.record['steps_done']} steps"
                on_progress(f"[{done}/{len(members)}] {member.name}: {how}")

    if jobs == 1:
        for part in parts:
            _train_together(part, place, device)
            say(part)
    else:
        # A fresh process each: torch's threads do not survive a fork.
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _one_thread) as pool:
            begun = {pool.submit(_train_together, part, place, device): part for part in parts}
            try:
                for each in as_completed(begun):
                    each.result()
                    say(begun[each])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return size


def _members(
    task: Task, cell: Cell, training: Training, seeds: Sequence[int], vary: Mapping[str, Sequence[Any]]
) -> list[Member]:
    """All combinations, checked, with names that say what differs."""
    for key, values in vary.items():
        part, _, setting = key.partition(".")
        if part not in ("task", "cell", "training") or not setting or not values:
            raise ValueError(f"vary names task.NAME, cell.NAME or training.NAME, each with its values, got {key!r}")
    found = []
    for values in itertools.product(*vary.values()):
        changes: dict[str, dict[str, Any]] = {"task": {}, "cell": {}, "training": {}}
        for key, value in zip(vary, values, strict=True):
            part, _, setting = key.partition(".")
            changes[part][setting] = value
        own_task = task_from_config({**to_config(task), **changes["task"]}, task.arrays) if changes["task"] else task
        own_cell = cell_from_config({**to_config(cell), **changes["cell"]}) if changes["cell"] else cell
        own_training = change_settings(training, changes["training"]) if changes["training"] else training
        check_fits(own_training, own_task)
        words = "-".join(f"{key.partition('.')[2]}={_short(value)}" for key, value in zip(vary, values, strict=True))
        found += [
            Member(f"{words}-seed={seed}" if words else f"seed={seed}", own_task, own_cell, own_training, seed)
            for seed in seeds
        ]
    return found


def _short(value: Any) -> str:
    words = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in words)


def _together(members: Sequence[Member], plan: Path, device: str, wanted: int | None) -> int:
    """How many are stacked: as is asked for, as the population was begun with, or what is fastest here."""
    if wanted is None and plan.exists():
        return int(json.loads(plan.read_text())["together"])
    size = min(wanted, len(members)) if wanted is not None else _fastest(members, device)
    make_folder(plan.parent)
    write_atomically(plan, (json.dumps({"together": size, "members": len(members)}) + "\n").encode())
    return size


def _fastest(members: Sequence[Member], device: str) -> int:
    """The size of stack whose steps take least time for each network, by a few steps of each."""
    sizes = [size for size in SIZES if size <= len(members)]
    if not sizes:
        return 1
    # Of networks that are thrown away: nothing is tried on what is to be kept.
    with threads_of(members[0].training.threads), tempfile.TemporaryDirectory() as folder:
        trainers = []
        for member in members[: sizes[-1]]:
            path = Path(folder) / member.name
            run = open_run(path, member.task, member.cell, member.training, member.seed, False)
            trainers.append(Trainer(run, member.task, member.training, torch.device(device)))
            trainers[-1].begin()
        if not fits(trainers):
            return 1
        # On a processor its own time counts, whatever else runs beside it.
        clock = time.process_time if torch.device(device).type == "cpu" else time.perf_counter
        best, least = 1, _seconds(lambda: trainers[0].gradient(), clock)
        for size in sizes:
            if stack_bytes(trainers[0], size) > MOST_BYTES:
                break
            stack = Stack(trainers[:size])
            seconds = _seconds(stack.gradients, clock) / size
            if seconds < least:
                best, least = size, seconds
    return best


def stack_bytes(trainer: Trainer, n: int) -> int:
    """About how much memory a step of so many networks takes: their trials, states, and what the way back keeps."""
    trials, _ = trainer.draw()
    n_trials, n_steps, n_inputs = trials.inputs.shape
    return 4 * n * n_trials * n_steps * (2 * n_inputs + 8 * trainer.network.cell.state_size)


def _seconds(step: Callable[[], object], clock: Callable[[], float]) -> float:
    """The least that a step takes: what else the machine does only adds to it."""
    step()
    taken = []
    for _ in range(TRIES):
        begin = clock()
        step()
        taken.append(clock() - begin)
    return min(taken)


def _train_together(members: Sequence[Member], place: Path, device: str) -> None:
    """Train these to their ends, those that diverge too; those that are over already are left as they are."""
    with contextlib.ExitStack() as held, threads_of(members[0].training.threads):
        trainers = []
        for member in members:
            path = place / member.name
            with writable(path):
                held.callback(writing.lock_run(path).release)
                run = open_run(path, member.task, member.cell, member.training, member.seed, True)
            if run.status == "training":
                trainers.append(Trainer(run, member.task, member.training, torch.device(device)))
        for trainer in trainers:
            trainer.begin()
        if trainers and (len(trainers) == 1 or not fits(trainers)):
            for trainer in trainers:
                with contextlib.suppress(TrainingDiverged):
                    trainer.run_to_the_end(_silent)
            return
        _note(trainers)
        while trainers:
            trainers = _until_one_ends(trainers)


def _note(trainers: Sequence[Trainer]) -> None:
    """Write into each run how it is trained, and how far its first gradient is from that of the network alone."""
    fresh = [trainer for trainer in trainers if "together" not in trainer.record.record]
    if not fresh:
        return
    alone = []
    for trainer in fresh:
        trainer.gradient()
        alone.append([parameter.grad for parameter in trainer.parameters])
    Stack(trainers).gradients()
    for trainer, wanted in zip(fresh, alone, strict=True):
        found = [parameter.grad for parameter in trainer.parameters]
        pairs = [(a, b) for a, b in zip(found, wanted, strict=True) if a is not None and b is not None]
        difference = max((float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in pairs), default=0.0)
        if not math.isfinite(difference):
            difference = 0.0  # a first step that diverges alone diverges here
        trainer.record = writing.update_run(
            trainer.record, together={"members": len(trainers), "first_gradient_differs": difference}
        )


def _until_one_ends(trainers: list[Trainer]) -> list[Trainer]:
    """Step all until one or more are over, and return the others."""
    stack = Stack(trainers)
    while True:
        begin = time.perf_counter()
        steps = stack.update()
        share = (time.perf_counter() - begin) / len(trainers)
        over = []
        for trainer, (trouble, loss) in zip(trainers, steps, strict=True):
            begin = time.perf_counter()
            with contextlib.suppress(TrainingDiverged):
                ended = trainer.advance(trouble, loss, trainer.seconds + share, _silent)
                trainer.seconds += time.perf_counter() - begin
                if ended is None and trainer.step < trainer.training.steps:
                    continue
                if ended is None:
                    trainer.end()
            over.append(trainer)
        if over:
            return [trainer for trainer in trainers if trainer not in over]


def _silent(progress: Progress) -> None:
    pass


def _one_thread() -> None:
    threadpoolctl.threadpool_limits(1)
    torch.set_num_threads(1)
