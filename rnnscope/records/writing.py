"""Writing run folders: only training does, one process at a time.

Several files that belong together are written in one go, each whole, with their digests (`manifest`).
"""

import json
import math
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from filelock import FileLock, Timeout
from safetensors.torch import load, save

from rnnscope.cells import Cell
from rnnscope.records import manifest
from rnnscope.records.arrays import array_bytes
from rnnscope.records.runs import ARRAYS, SCHEMA, Run, RunError, task_arrays
from rnnscope.tasks import to_config
from rnnscope.tasks.task import Task
from rnnscope.version import __version__


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
    if path.exists() and not is_blank(path):
        raise FileExistsError(
            f"{path} exists already: go on with exists='resume' (--resume), or choose another name or folder"
        )
    path.mkdir(parents=True, exist_ok=True)
    arrays = {ARRAYS: array_bytes(task.arrays)} if task.arrays else {}
    manifest.write_files(path, {**arrays, "run.json": _json(record)})
    return Run(path, record)


def clear_run(path: Path) -> None:
    """Take away what a run folder holds, so that another run can have its name; its lock stays."""
    for entry in path.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif not entry.name.startswith("."):
            entry.unlink()


def is_blank(path: Path) -> bool:
    """Whether a folder holds no more than the lock, and what a crash or a full disk may leave before there is a run."""
    if not path.is_dir():
        return False
    visible = {file.name for file in path.iterdir() if not file.name.startswith(".")}
    try:
        return visible <= {manifest.NAME, ARRAYS} and not manifest.expected(path)
    except manifest.DamagedError:
        return False


def keep_arrays(path: Path, task: Task) -> None:
    """Write the arrays of a task beside `run.json`, unless they lie there whole."""
    try:
        task_arrays(path, to_config(task))
    except RunError:
        manifest.write_files(path, {ARRAYS: array_bytes(task.arrays)})


def update_run(run: Run, files: Mapping[str, bytes | None] | None = None, **changes: Any) -> Run:
    """Write files of a run, those that are None being removed, and last of all parts of its record; the run as it is
    then."""
    record = {**run.record, **changes, "schema": SCHEMA}
    manifest.write_files(run.path, {**(files or {}), **({"run.json": _json(record)} if changes else {})})
    return Run(run.path, record)


def tensor_bytes(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Tensors as the content of one safetensors file."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, dict(metadata or {}))


def read_tensors(path: Path, name: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a safetensors file of the run at `path`.

    Raises:
        RunError: the file is damaged.
    """
    try:
        data = manifest.read_file(path, name)
        tensors = load(data)  # looks at the header first
        header_size = int.from_bytes(data[:8], "little")
        return tensors, json.loads(data[8 : 8 + header_size]).get("__metadata__", {})
    except (OSError, ValueError, KeyError, RecursionError, safetensors.SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"{path / name} is damaged ({reason}): delete it, and the run starts again from its first step"
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
