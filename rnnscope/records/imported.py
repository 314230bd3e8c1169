"""A run made of weights that another program trained."""

import contextlib
import csv
import hashlib
import io
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rnnscope.cells import Cell, Vanilla, cell_from_config
from rnnscope.learning.defaults import default_training
from rnnscope.learning.settings import change_settings
from rnnscope.learning.stepper import measure
from rnnscope.network import Network
from rnnscope.records import writing
from rnnscope.records.arrays import read_array_file
from rnnscope.records.foreign_weights import read_weights
from rnnscope.records.matched_weights import BIAS_OUT, GATES, START, Matched, has_bias, match, ours
from rnnscope.records.runs import Run, blank_network, checkpoint_name
from rnnscope.tasks import task_from_config, to_config
from rnnscope.tasks.task import Task

Path_ = str | os.PathLike[str]
KINDS = {"rnn": "Vanilla", "vanilla": "Vanilla", "gru": "GRU", "lstm": "LSTM"}
JUDGED_BY = 1024  # trials at most, drawn anew or held out, that metrics are measured on


def import_run(
    files: Sequence[Path_],
    *,
    cell: str | Cell,
    trials: Path_ | Task,
    steps: Sequence[int],
    out: Path_,
    map: Mapping[str, str] | None = None,
) -> Run:
    """Make a run of weights that another program trained, one file for each checkpoint.

    All that goes along training then works on it: every analysis at every step, bifurcations, exponents over training,
    the explorer. The network must be one recurrent layer with a linear readout, in torch's equations, gates in torch's
    order; weights are kept in float32. That they are those of this equation nobody can see from the numbers: compare
    `rs.simulate(run, ...)` with the states of your own network once.

    Args:
        files: state dicts of torch (.pt, .pth, .bin, .ckpt; read with `weights_only`, so that no code in them runs),
            .safetensors or .npz files, in the order of `steps`.
        cell: "rnn", "gru" or "lstm"; or a cell of rnnscope with its settings, such as `cells.Vanilla(64,
            nonlinearity="relu")`, whose units must be those of the file.
        trials: a .npz file with `inputs` and `targets` (and `mask`, `held_out`, ... as for `tasks.FromArrays`), or a
            task.
        steps: the training step of each file.
        out: the folder of the run, which must not exist.
        map: role -> name in the files, for what torch's names and shapes do not say: "weight_ih", "weight_hh",
            "bias_ih", "bias_hh", "readout.weight", "readout.bias", and "h0" (and "c0") for a learned start.

    Raises:
        ValueError: files that cannot be read, are damaged, not finite, or differ in their names; names and shapes that
            do not match, or not in one way only; unequal numbers of files and steps. FileExistsError: there is
            something at `out`. OSError: a file cannot be read or written. Nothing is left on disk then.

    Example:
        >>> import tempfile, numpy as np, torch, rnnscope as rs
        >>> folder = tempfile.mkdtemp()
        >>> model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(2, 8), "fc": torch.nn.Linear(8, 1)})
        >>> torch.save(model.state_dict(), f"{folder}/weights.pt")
        >>> heard = np.random.default_rng(0).standard_normal((20, 9, 2))
        >>> task = rs.tasks.FromArrays(heard, heard.cumsum(1)[..., :1])
        >>> run = rs.import_run([f"{folder}/weights.pt"], cell="gru", trials=task, steps=[100], out=f"{folder}/run")
        >>> run.checkpoints, run.record["imported"]["parameters"]["readout.weight"]
        ([100], 'fc.weight')
    """
    paths = [Path(file) for file in ([files] if isinstance(files, str | os.PathLike) else files)]
    checked = _checked_steps(steps, len(paths))
    kind = _kind(cell)
    task = trials if isinstance(trials, Task) else _task(Path(trials))
    place = Path(out)
    if place.exists():
        raise FileExistsError(f"{place} exists already: choose another folder for the run")
    weights = [read_weights(path) for path in paths]
    for path, held in zip(paths, weights, strict=True):
        _check(path, held, paths[0], weights[0])
    try:
        matched = match(weights[0], kind, task.input_size, task.output_size, map or {})
    except ValueError as error:
        raise ValueError(f"{paths[0]}: {error}") from None
    settings = _cell(cell, kind, matched)
    training = change_settings(
        default_training(task),
        {"steps": max(1, max(checked)), "checkpoints": checked, "readout_bias": BIAS_OUT in matched.names},
    )
    plain = {name: value for name, value in to_config(training).items() if name != "kind"}
    order = np.argsort(checked)
    files_of = {checked[i]: ours(weights[i], matched, kind) for i in order}
    blank = blank_network(task, settings, plain)
    rows = []
    for step, own in files_of.items():
        blank.load_state_dict(own)
        rows.append({"step": step, "loss": np.nan, **_metrics(blank, task)})
    source = {
        "files": {str(step): path.name for step, path in zip(checked, paths, strict=True)},
        "sha256": {str(step): _digest(path) for step, path in zip(checked, paths, strict=True)},
        "parameters": dict(matched.names),
        "shapes": {role: list(shape) for role, shape in matched.shapes.items()},
    }
    with _all_or_nothing(place):
        run = writing.create_run(place, task, settings, plain, 0)
        contents: dict[str, bytes | None] = {
            checkpoint_name(step): writing.tensor_bytes(own) for step, own in files_of.items()
        }
        metrics = {name: value for name, value in rows[-1].items() if name not in ("step", "loss")}
        return writing.update_run(
            run,
            {**contents, "history.csv": _history(rows)},
            status="learned" if all(criterion.met(metrics) for criterion in task.criterion) else "finished",
            steps_done=max(checked),
            metrics=metrics,
            imported=source,
        )


def _checked_steps(steps: Sequence[int], n_files: int) -> list[int]:
    found = list(steps)
    if not n_files:
        raise ValueError("there is no file to import: give at least one")
    if len(found) != n_files:
        raise ValueError(f"every file has its step: {n_files} files and {len(found)} steps {found} were given")
    wrong = [step for step in found if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < 0]
    if wrong:
        raise ValueError(f"steps are whole numbers from 0 on, got {wrong[0]!r}")
    if len(set(found)) < len(found):
        raise ValueError(f"no two files can be of the same step, got {found}")
    return [int(step) for step in found]


def _kind(cell: str | Cell) -> str:
    if isinstance(cell, str):
        if cell.lower() not in KINDS:
            raise ValueError(f"cell must be {', '.join(map(repr, KINDS))} or a cell of these kinds, got {cell!r}")
        return KINDS[cell.lower()]
    name = type(cell).__name__
    if name not in GATES:
        raise ValueError(f"a run can be made of weights of {', '.join(GATES)}, which are torch's, not of a {name}")
    return name


def _cell(cell: str | Cell, kind: str, matched: Matched) -> Cell:
    learned = START in matched.names
    if isinstance(cell, str):
        config = {"kind": kind, "units": matched.units, "start": "learned" if learned else "zero"}
        return cell_from_config({**config, **({"bias": has_bias(matched)} if kind == "Vanilla" else {})})
    start = to_config(cell)["start"]
    if cell.units != matched.units:
        raise ValueError(f"the cell has {cell.units} units, and the weights are of {matched.units}")
    if isinstance(cell, Vanilla) and cell.bias != has_bias(matched):
        raise ValueError(f"the cell has bias={cell.bias}, and the files have {'one' if has_bias(matched) else 'none'}")
    if (start == "learned") != learned:
        raise ValueError(f"the cell's start is {start!r}, and the files have {'an' if learned else 'no'} h0")
    return cell


def _task(path: Path) -> Task:
    return task_from_config({"kind": "FromArrays"}, read_array_file(path))


def _check(path: Path, held: Mapping[str, Tensor], first_path: Path, first: Mapping[str, Tensor]) -> None:
    if not held:
        raise ValueError(f"{path} holds no tensor")
    for name, tensor in held.items():
        bad = int((~torch.isfinite(tensor)).sum()) if tensor.is_floating_point() else 0
        if bad or tensor.is_complex():
            told = "complex" if tensor.is_complex() else f"infinite or NaN in {bad} of {tensor.numel()} places"
            raise ValueError(f"{name} of {path} is {told}: import a checkpoint from before training went astray")
    shapes, wanted = ({name: tuple(tensor.shape) for name, tensor in each.items()} for each in (held, first))
    other = next((name for name in {**wanted, **shapes} if shapes.get(name) != wanted.get(name)), None)
    if other is not None:
        raise ValueError(
            f"the files are not of one network: {other} has shape {wanted.get(other, 'none')} in {first_path} and "
            f"{shapes.get(other, 'none')} in {path}"
        )


def _metrics(network: Network, task: Task) -> dict[str, float]:
    return measure(network, task, None, JUDGED_BY, np.random.default_rng([0, 0xE7A1]), 0.0)


def _history(rows: Sequence[Mapping[str, float | int]]) -> bytes:
    """The rows of a history: steps and metrics; the loss of the training is not known."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def _all_or_nothing(place: Path):
    made = [parent for parent in place.parents if not parent.exists()]
    try:
        yield
    except BaseException:
        shutil.rmtree(made[-1] if made else place, ignore_errors=True)
        raise
