"""A run: one trained network on disk.

    run.json                    task, cell, training settings, seed, versions, status, metrics, schema
    task.npz                    the arrays of a task that has some; run.json holds their digests
    history.csv                 one row per logged step
    checkpoints/00000500.safetensors   the weights at chosen steps and at the end, for analysis
    resume.safetensors          weights, optimiser and curriculum at the last save, for going on
    results/<analysis>.zarr     what analyses found
    results/not_applicable.json which analyses do not apply, and why

Everything is plain JSON, CSV, npz, safetensors or Zarr: loading a run executes no code from it. Every file is written
beside its place and moved there, so that a crash leaves the old one or the new one.
"""

import csv
import io
import json
import math
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import torch
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load, load_file, save
from typing_extensions import TypedDict

from rnnscope.cells import Cell, cell_from_config
from rnnscope.learning.settings import Training
from rnnscope.network import Network
from rnnscope.records import result_files
from rnnscope.records.arrays import array_bytes, read_arrays
from rnnscope.records.files import write_atomically
from rnnscope.tasks import task_from_config, to_config
from rnnscope.tasks.array_settings import describe, described_arrays
from rnnscope.tasks.settings import one_line
from rnnscope.tasks.task import Task
from rnnscope.version import __version__

SCHEMA = 1
SKIPPED = "not_applicable.json"
ARRAYS = "task.npz"
Status = Literal["training", "learned", "finished", "diverged"]


class _Record(TypedDict):
    """What `run.json` must hold; a later rnnscope of this schema may add to it."""

    schema: int
    task: dict[str, Any]
    cell: dict[str, Any]
    training: Training
    seed: int
    versions: dict[str, str]
    status: Status
    steps_done: int
    seconds: float
    metrics: dict[str, float | None]


_RECORD = TypeAdapter(_Record)


class RunError(ValueError):
    """A run folder that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Run:
    """One trained network on disk. Make one with `rs.train`, open one with `rs.load_run`.

    Attributes:
        path: the run's folder.
        record: what `run.json` holds.
    """

    path: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def task(self) -> Task:
        """What it was trained on; raises RunError where arrays that belong to it are missing or damaged."""
        return task_from_config(self.record["task"], _task_arrays(self.path, self.record["task"]))

    @property
    def cell(self) -> Cell:
        return cell_from_config(self.record["cell"])

    @property
    def settings(self) -> dict[str, Any]:
        """The training settings, as plain values."""
        return dict(self.record["training"])

    @property
    def seed(self) -> int:
        return self.record["seed"]

    @property
    def status(self) -> Status:
        """Either "training" (or interrupted), "learned" (criterion met), "finished" (steps ran out) or "diverged"."""
        return self.record["status"]

    @property
    def metrics(self) -> dict[str, float]:
        """The task's metrics on fresh trials after training; empty before."""
        return {name: math.nan if value is None else value for name, value in self.record["metrics"].items()}

    @property
    def checkpoints(self) -> list[int]:
        """The steps at which weights were kept, in order."""
        found = (re.fullmatch(r"(\d+)\.safetensors", p.name) for p in (self.path / "checkpoints").glob("*"))
        return sorted(int(match[1]) for match in found if match)

    @property
    def history(self) -> dict[str, np.ndarray]:
        """The columns of `history.csv`; what was not measured at a step is NaN.

        Raises:
            RunError: the file is damaged.
        """
        file = self.path / "history.csv"
        if not file.exists():
            return {}
        try:
            rows = list(csv.reader(io.StringIO(file.read_text())))
            names = rows[0] if rows else []
            columns = zip(*[[float(entry or "nan") for entry in row] for row in rows[1:]], strict=True)
            return {name: np.array(column) for name, column in zip(names, columns, strict=True)} if rows[1:] else {}
        except (OSError, ValueError, csv.Error) as error:
            raise RunError(f"{file} is damaged ({error}): delete it, the weights do not need it") from None

    def network(self, step: int | None = None) -> Network:
        """The network with the weights of the last checkpoint, or of the one at `step`.

        Raises:
            RunError: there is no such checkpoint, it is damaged, or the training is not over and no step is named.
        """
        steps = self.checkpoints
        if self.status == "training" and step is None:
            named = f", or name a checkpoint ({', '.join(map(str, steps))})" if steps else ""
            raise RunError(f"the training of {self.path} is not over: go on with resume=True (--resume){named}")
        if not steps:
            raise RunError(f"{self.path} has lost its checkpoints: restore them from a copy, or train the run anew")
        if step is None:
            step = steps[-1]
        if step not in steps:
            raise RunError(f"{self.path} has no checkpoint at step {step}; there are {', '.join(map(str, steps))}")
        network = blank_network(self.task, self.cell, self.settings)
        path = checkpoint_path(self.path, step)
        try:
            network.load_state_dict(load_file(path))
        except (OSError, RuntimeError, safetensors.SafetensorError) as error:
            kept = [s for s in steps if s != step]
            remedy = f"use another checkpoint (step {kept[-1]})" if kept else "train the run anew"
            reason = str(error).splitlines()[0]
            raise RunError(f"the checkpoint {path} is damaged ({reason}): {remedy}") from None
        return network

    def save_result(self, name: str, result: Any) -> Path:
        """Keep the result of an analysis with the run, in place of an older one of this name."""
        path = self.path / "results" / f"{name}.zarr.zip"
        result_files.save_result(result, path)
        return path

    def load_result(self, name: str, cls: Any) -> Any:
        """The result of an analysis that was kept with the run; raises FileNotFoundError if it was not run."""
        return result_files.load_result(cls, self.path / "results" / f"{name}.zarr.zip")

    @property
    def results(self) -> list[str]:
        """The names of the results that are kept with the run."""
        return sorted(p.name.split(".")[0] for p in (self.path / "results").glob("[!.]*.zarr.zip"))

    @property
    def skipped(self) -> dict[str, str]:
        """Analyses that were asked for and do not apply to this run, each with why; empty if that file is damaged."""
        try:
            found = json.loads((self.path / "results" / SKIPPED).read_text())
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def save_skipped(self, reasons: Mapping[str, str]) -> None:
        """Keep why analyses do not apply, in place of what was kept before."""
        if reasons or self.skipped:
            (self.path / "results").mkdir(exist_ok=True)
            write_atomically(self.path / "results" / SKIPPED, (json.dumps(dict(reasons), indent=2) + "\n").encode())

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"


def load_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder.

    Raises:
        RunError: there is no run, its `run.json` is damaged, or it was written by a newer rnnscope.
    """
    path = Path(path)
    file = path / "run.json"
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError:
        raise RunError(f"no run at {path} (it has no run.json): give a folder that rnnscope train made") from None
    except NotADirectoryError:
        raise RunError(f"{path} is a file: give the folder of a run") from None
    except OSError as error:
        raise RunError(f"{file} cannot be read ({error.strerror}): look at its permissions") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{file} is damaged ({error}): restore it from a copy, or train the run anew") from None
    schema = record.get("schema") if isinstance(record, dict) else None
    if not isinstance(schema, int):
        raise RunError(f"{file} does not state its schema: it is no run of rnnscope's")
    if schema > SCHEMA:
        raise RunError(
            f"{path} has schema {schema}, this is rnnscope {__version__} which reads up to {SCHEMA}: "
            "update with pip install -U rnnscope"
        )
    try:
        _RECORD.validate_python(record)
    except ValidationError as error:
        raise RunError(
            f"{file} is damaged ({one_line(error)}): restore it from a copy, or train the run anew"
        ) from None
    return Run(path, record)


def list_runs(folder: str | os.PathLike[str]) -> list[Run]:
    """The runs in a folder, by name; folders that are no run, or cannot be read, are left out."""
    found = []
    for file in sorted(Path(folder).glob("*/run.json")):
        try:
            found.append(load_run(file.parent))
        except RunError:
            continue
    return found


def blank_network(
    task: Task, cell: Cell, training: Mapping[str, Any], generator: torch.Generator | None = None
) -> Network:
    """The network of a run with fresh weights."""
    return Network(cell, task.input_size, task.output_size, readout_bias=training["readout_bias"], generator=generator)


# What follows writes run folders; only training does.


def create_run(path: Path, task: Task, cell: Cell, training: Mapping[str, Any], seed: int) -> Run:
    """Lay out a new run folder.

    Raises:
        FileExistsError: something is at `path` already. OSError: the place cannot be written.
    """
    record = {
        "schema": SCHEMA,
        "task": to_config(task),
        "cell": to_config(cell),
        "training": dict(training),
        "seed": seed,
        "versions": {
            "rnnscope": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "status": "training",
        "steps_done": 0,
        "seconds": 0.0,
        "metrics": {},
    }
    # Hidden files are the lock, and what a crash may leave before there is a run.
    if path.exists() and (not path.is_dir() or any(not p.name.startswith(".") for p in path.iterdir())):
        raise FileExistsError(
            f"{path} exists already: go on with resume=True (--resume), or choose another name or folder"
        )
    path.mkdir(parents=True, exist_ok=True)
    write_atomically(path / "run.json", _json(record))
    keep_arrays(path, task)
    return Run(path, record)


def keep_arrays(path: Path, task: Task) -> None:
    """Write the arrays of a task beside `run.json`, unless they lie there whole."""
    try:
        _task_arrays(path, to_config(task))
    except RunError:
        write_atomically(path / ARRAYS, array_bytes(task.arrays))


def _task_arrays(path: Path, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays that a task's config describes, as they lie beside `run.json`.

    Raises:
        RunError: they are missing, damaged, or others.
    """
    wanted, file = described_arrays(config), path / ARRAYS
    remedy = "restore it from a copy, or go on with resume=True and the same arrays, which writes it anew"
    try:
        found = read_arrays(file) if wanted else {}
    except OSError as error:
        raise RunError(f"{file} cannot be read ({error.strerror}), and holds the trials of the run: {remedy}") from None
    except ValueError as error:
        raise RunError(f"{error}: {remedy}") from None
    for name, description in wanted.items():
        if name not in found or describe(found[name]) != description:
            raise RunError(f"{file} does not hold the {name} that the run was trained on: {remedy}")
    return {name: found[name] for name in wanted}


def update_record(run: Run, **changes: Any) -> Run:
    """`run` with parts of its record replaced, on disk too."""
    record = {**run.record, **changes}
    write_atomically(run.path / "run.json", _json(record))
    return Run(run.path, record)


def checkpoint_path(run_path: Path, step: int) -> Path:
    return run_path / "checkpoints" / f"{step:08d}.safetensors"


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as one safetensors file, atomically."""
    path.parent.mkdir(exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, dict(metadata or {})))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file.

    Raises:
        RunError: the file is damaged.
    """
    try:
        data = path.read_bytes()
        header_size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + header_size]).get("__metadata__", {})
        return load(data), metadata
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise RunError(
            f"{path} is damaged ({str(error).splitlines()[0]}): delete it, and the run starts again from its first step"
        ) from None


def lock_run(path: Path) -> FileLock:
    """Hold a run folder against other processes; the system lets go when the process ends, however it ends.

    Raises:
        RunError: another process trains it.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"another process is training {path}: wait for it, or train under another name") from None
    return lock


def _json(record: Mapping[str, Any]) -> bytes:
    metrics = {k: v if math.isfinite(v) else None for k, v in record["metrics"].items()}  # JSON has no NaN
    return (json.dumps({**record, "metrics": metrics}, indent=2, allow_nan=False) + "\n").encode()
