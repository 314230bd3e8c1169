"""A run: one trained network on disk.

    run.json                    task, cell, training settings, seed, versions, status, metrics, schema; "imported" where
                                the weights came from files of another program
    task.npz                    the arrays of a task that has some; run.json holds their digests
    history.csv                 one row per logged step
    checkpoints/00000500.safetensors   the weights at chosen steps and at the end, for analysis
    resume.safetensors          weights, optimiser and curriculum at the last save, for going on
    digests.json                the digests of all these (`manifest`)
    results/                    what analyses found (`kept`)

Everything is plain JSON, CSV, npz, safetensors or Zarr: loading a run executes no code from it. Every file is written
beside its place and moved there, so that a crash leaves the old one or the new one, and checked when it is read.
"""

import csv
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import safetensors
import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors.torch import load
from typing_extensions import TypeAliasType, TypedDict

from rnnscope.cells import Cell, cell_from_config
from rnnscope.learning.settings import Training
from rnnscope.network import Network, default_dtype
from rnnscope.records import kept, manifest
from rnnscope.records.arrays import read_arrays
from rnnscope.records.files import MOST_TEXT, parse_record
from rnnscope.records.kept import Kept
from rnnscope.records.provenance import Made, recorded
from rnnscope.records.results import Result
from rnnscope.tasks import task_from_config
from rnnscope.tasks.array_settings import describe, described_arrays
from rnnscope.tasks.settings import one_line, to_config
from rnnscope.tasks.task import Task
from rnnscope.version import __version__

# 1: before digests, and before several results of one analysis stood beside one another.
SCHEMA = 2
ARRAYS = "task.npz"
Status = TypeAliasType("Status", Literal["training", "learned", "finished", "diverged"])


# No boolean and no text that could be read as a number; not beyond what files and figures can name.
_Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]


class _Record(TypedDict):
    """What `run.json` must hold; a later rnnscope of this schema may add to it."""

    schema: _Count
    task: dict[str, Any]
    cell: dict[str, Any]
    training: Training
    seed: Annotated[int, Field(strict=True, ge=0)]
    versions: dict[str, str]
    status: Status
    steps_done: _Count
    seconds: Annotated[float, Field(ge=0)]
    metrics: dict[str, float | None]


_RECORD = TypeAdapter(_Record)


# What history.csv may have: a million rows of many columns.
_MOST_HISTORY = 2**28
_RESTORE = "restore run.json and the checkpoints from one copy, or train the run anew"
_NOT_NEEDED = "rnnscope repair takes it off the list; the weights do not need it"


class RunError(ValueError):
    """A run folder that cannot be used; the message says why and what to do."""


class NoResultError(RunError, KeyError):
    """A result that a run does not keep; the message says what it keeps."""

    def __str__(self) -> str:
        return str(self.args[0])


def checkpoint_name(step: int) -> str:
    """The file, within the folder of the run, of the weights at a step."""
    return f"checkpoints/{step:08d}.safetensors"


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
        return task_from_config(self.record["task"], task_arrays(self.path, self.record["task"]))

    @property
    def cell(self) -> Cell:
        return cell_from_config(self.record["cell"])

    @property
    def settings(self) -> dict[str, Any]:
        """The training settings, as plain values."""
        return dict(self.record["training"])

    @property
    def imported(self) -> Mapping[str, Any] | None:
        """Of a run made of files that another program wrote (`rs.import_run`): which, by step, and what in them is
        what. None for a run that was trained here. Where it is not None, settings and seed say nothing of the
        training."""
        return self.record.get("imported")

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
        """The steps at which weights were kept, in order; also those whose files are lost, so that no earlier weights
        are taken for the last ones.

        Raises:
            RunError: the list of files is damaged.
        """
        try:
            expected = manifest.expected(self.path)
        except ValueError as error:
            raise RunError(f"{self.path}: {error}") from None
        names = {p.name for p in (self.path / "checkpoints").glob("*")}
        names |= {name.removeprefix("checkpoints/") for name in expected}
        found = (re.fullmatch(r"(\d{1,18})\.safetensors", name) for name in names)
        return sorted(int(match[1]) for match in found if match)

    @property
    def history(self) -> dict[str, np.ndarray]:
        """The columns of `history.csv`; what was not measured at a step is NaN.

        Raises:
            RunError: the file is damaged.
        """
        file = self.path / "history.csv"
        try:
            text = manifest.read_file(self.path, "history.csv", _MOST_HISTORY).decode()
            rows = list(csv.reader(io.StringIO(text)))
            names = rows[0] if rows else []
            columns = zip(*[[float(entry or "nan") for entry in row] for row in rows[1:]], strict=True)
            return {name: np.array(column) for name, column in zip(names, columns, strict=True)} if rows[1:] else {}
        except FileNotFoundError:
            if "history.csv" not in manifest.expected(self.path):
                return {}
            raise RunError(f"{file} is gone: {_NOT_NEEDED}") from None
        except (OSError, ValueError, csv.Error) as error:
            raise RunError(f"{file} is damaged ({_short(error)}): {_NOT_NEEDED}") from None

    def network(self, step: int | None = None) -> Network:
        """The network with the weights of the last checkpoint, or of the one at `step`.

        Raises:
            RunError: there is no such checkpoint, it is damaged, or the training is not over and no step is named.
        """
        steps = self.checkpoints
        if self.status == "training" and step is None:
            named = f", or name a checkpoint ({', '.join(map(str, steps))})" if steps else ""
            raise RunError(f"the training of {self.path} is not over: go on with exists='resume' (--resume){named}")
        if not steps:
            raise RunError(f"{self.path} has lost its checkpoints: restore them from a copy, or train the run anew")
        if step is None:
            step = steps[-1]
        if step not in steps:
            raise RunError(f"{self.path} has no checkpoint at step {step}; there are {', '.join(map(str, steps))}")
        path = self.path / checkpoint_name(step)
        try:
            weights = load(manifest.read_file(self.path, checkpoint_name(step)))
        except (OSError, ValueError, RuntimeError, KeyError, MemoryError, safetensors.SafetensorError) as error:
            kept = [s for s in steps if s != step]
            remedy = f"use another checkpoint (step {kept[-1]})" if kept else "train the run anew"
            raise RunError(f"the checkpoint {path} is damaged ({_short(error)}): {remedy}") from None
        self._check_fits(path, weights)  # before memory is taken for what run.json says
        network = blank_network(self.task, self.cell, self.settings)
        network.load_state_dict(weights)
        for name, values in weights.items():
            if not bool(torch.isfinite(values).all()):
                n = int((~torch.isfinite(values)).sum())
                raise RunError(
                    f"{n} of {values.numel()} weights in {name} of {path} are no finite numbers: use another "
                    "checkpoint, or train the run anew with a smaller learning_rate"
                )
        return network

    def _check_fits(self, path: Path, weights: Mapping[str, torch.Tensor]) -> None:
        try:
            wanted = weight_shapes(self.task, self.cell, self.settings)
        except ValueError as error:
            raise RunError(f"{self.path / 'run.json'} describes no network ({_short(error)}): {_RESTORE}") from None
        found = {name: tuple(values.shape) for name, values in weights.items()}
        for name in sorted({*wanted, *found}):
            if wanted.get(name) != found.get(name):
                here, there = (shapes.get(name, "missing") for shapes in (found, wanted))
                raise RunError(
                    f"{path} does not belong to {self.path / 'run.json'}: {name} is {here} there, and {there} by the "
                    f"task and the cell: {_RESTORE}"
                )

    def __getitem__(self, analysis: str) -> Result:
        """The result of an analysis under its default settings, of the last checkpoint.

        Raises:
            NoResultError: it is not kept; the message says what is.
        """
        return self.result(analysis)

    def __contains__(self, analysis: object) -> bool:
        return analysis in self.results

    def _ipython_key_completions_(self) -> list[str]:
        return self.results

    def result(
        self, analysis: str, *, step: int | None = None, interventions: Sequence[Any] = (), **settings: Any
    ) -> Result:
        """The result of an analysis under these settings, and the default ones else.

        Args:
            analysis: its name.
            step: of the checkpoint; the last one if None.
            interventions: under which the network was looked at, as `rs.interventions` or as results write them.
            **settings: as they were given to the analysis.

        Raises:
            NoResultError: it is not kept; the message says what is.
        """
        wanted = {name: recorded(value) for name, value in settings.items()}
        for each in reversed(self.kept(analysis)):
            if each.made is None:
                if each.reason is None and not settings and step is None and not interventions:
                    return each.load()
                continue
            made = each.made
            if (
                {name for name in made.changed if name not in made.used} <= set(wanted)
                and all(made.settings.get(name) == value for name, value in wanted.items())
                and not any(used.label for used in made.used.values())
                and made.origin.interventions == tuple(map(str, interventions))
                and self._is_at(made, step)
            ):
                if each.reason is not None:
                    raise NoResultError(f"{analysis} does not apply to {self.path}: {each.reason}")
                return each.load()
        raise NoResultError(self._nothing(analysis, bool(settings) or step is not None or bool(interventions)))

    def kept(self, analysis: str | None = None) -> list[Kept]:
        """All that is kept of one analysis, or of all: results under whatever settings, of whatever checkpoint, and
        reasons why an analysis does not apply; the newest of each analysis comes last."""
        return kept.kept(self.path, analysis)

    def shown(self, analysis: str) -> Kept | None:
        """What to show of an analysis: what is kept under its default settings for the last checkpoint; failing that,
        the newest that is kept, before all of the network as it is; None where there is nothing."""
        found = self.kept(analysis)
        plain = [each for each in found if not each.label and (each.made is None or self._is_at(each.made, None))]
        results = [each for each in found if each.reason is None]
        intact = [each for each in results if not _is_changed(each)]
        return (plain or intact or results or found or [None])[-1]

    def save_result(self, result: Result) -> Path:
        """Keep the result of an analysis with the run, beside those under other settings or of other checkpoints; it
        takes the place of one that the same question had before. Returns the file."""
        return kept.keep(self.path, result)

    def save_skipped(self, made: Made, reason: str) -> Path:
        """Keep why an analysis does not apply. Returns the file."""
        return kept.keep_reason(self.path, made, reason)

    @property
    def results(self) -> list[str]:
        """The names of the analyses of which results are kept."""
        return kept.names(self.path)

    @property
    def skipped(self) -> dict[str, str]:
        """Analyses that were asked for and do not apply to the network as it is, each with why; those of which there is
        a result are left out."""
        found = [each for each in self.kept() if not _is_changed(each)]
        done = {each.analysis for each in found if each.reason is None}
        return {each.analysis: each.reason for each in found if each.reason is not None and each.analysis not in done}

    def _is_at(self, made: Made, step: int | None) -> bool:
        """Whether a result is of this checkpoint, the last one if None."""
        return made.origin.checkpoint == (max(self.checkpoints, default=None) if step is None else step)

    def _nothing(self, analysis: str, asked: bool) -> str:
        found = [each for each in self.kept(analysis) if each.reason is None]
        if not found:
            return f"{self.path} keeps no result of {analysis!r}: rs.analyses.analyse(run, [{analysis!r}]) makes one"
        steps = [f"step {each.made.origin.checkpoint}" if each.made else "" for each in found]
        each = "; ".join(", ".join(filter(None, (kept.label, step))) for kept, step in zip(found, steps, strict=True))
        what = "with these settings" if asked else "under default settings for the last checkpoint"
        return (
            f"{self.path} keeps no result of {analysis!r} {what}, but: {each}; run.result(name, setting=...) reads one"
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"

    def __repr__(self) -> str:
        task, cell = self.record["task"], self.record["cell"]
        imported = self.imported
        told = "" if imported else f", seed {self.seed}"
        parts = [f"{task['kind']} with {cell.get('units', '')} {cell['kind']} units{told}"]
        how = f"imported from {len(imported['files'])} files, up to step" if imported else f"{self.status} after"
        parts.append(f"{how} {self.record['steps_done']}{'' if imported else ' steps'}")
        parts += [f"{name} {value:.4g}" for name, value in list(self.metrics.items())[:2]]
        return f"Run {str(self.path)!r}: {', '.join(parts)}"


def load_run(path: str | os.PathLike[str]) -> Run:
    """Open a run folder.

    Raises:
        RunError: there is no run, its `run.json` is damaged, or it was written by a newer rnnscope.
    """
    path = Path(path)
    file = path / "run.json"
    try:
        record = parse_record(manifest.read_file(path, "run.json", MOST_TEXT))
    except FileNotFoundError:
        raise RunError(f"no run at {path} (it has no run.json): give a folder that rnnscope train made") from None
    except NotADirectoryError:
        raise RunError(f"{path} is a file: give the folder of a run") from None
    except OSError as error:
        raise RunError(f"{file} cannot be read ({error.strerror}): look at its permissions") from None
    except ValueError as error:
        raise RunError(f"{file} is damaged ({_short(error)}): restore it from a copy, or train the run anew") from None
    schema = record.get("schema") if isinstance(record, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise RunError(f"{file} does not state its schema: it is no run of rnnscope's")
    if schema > SCHEMA:
        raise RunError(
            f"{path} has schema {schema}, this is rnnscope {__version__} which reads up to {SCHEMA}: "
            "update with pip install -U rnnscope"
        )
    if schema > 1 and not (path / manifest.NAME).exists():
        raise RunError(f"{path} has lost its {manifest.NAME}: rnnscope repair looks at its files and writes it anew")
    try:
        _RECORD.validate_python(record)
    except ValidationError as error:
        raise RunError(
            f"{file} is damaged ({one_line(error):.500}): restore it from a copy, or train the run anew"
        ) from None
    # Settings that there were not yet when it was begun were then what they are by default.
    return Run(path, {**record, "training": {**_plain(Training()), **record["training"]}})


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
    with default_dtype(torch.float32):
        return Network(
            cell, task.input_size, task.output_size, readout_bias=training["readout_bias"], generator=generator
        )


def weight_shapes(task: Task, cell: Cell, training: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights of a run's network by name, without memory for them.

    Raises:
        ValueError: no machine could hold so many.
    """
    try:
        with torch.device("meta"):
            network = blank_network(task, cell, training)
    except RuntimeError:  # torch cannot even count the bytes
        raise ValueError(f"{cell} has more weights than any machine can hold: give it fewer units") from None
    return {name: tuple(values.shape) for name, values in network.state_dict().items()}


def task_arrays(path: Path, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays that a task's config describes, as they lie beside `run.json`.

    Raises:
        RunError: they are missing, damaged, or others.
    """
    wanted, file = described_arrays(config), path / ARRAYS
    remedy = "restore it from a copy, or go on with exists='resume' and the same arrays, which writes it anew"
    try:
        found = read_arrays(manifest.read_file(path, ARRAYS), file) if wanted else {}
    except manifest.DamagedError as error:
        raise RunError(f"{file} is damaged ({error}): {remedy}") from None
    except OSError as error:
        raise RunError(f"{file} cannot be read ({error.strerror}), and holds the trials of the run: {remedy}") from None
    except ValueError as error:
        raise RunError(f"{error}: {remedy}") from None
    for name, description in wanted.items():
        if name not in found or describe(found[name]) != description:
            raise RunError(f"{file} does not hold the {name} that the run was trained on: {remedy}")
    return {name: found[name] for name in wanted}


def _plain(training: Training) -> dict[str, Any]:
    return {name: value for name, value in to_config(training).items() if name != "kind"}


def _short(error: Exception) -> str:
    """The first line of an error, or its kind where it says nothing."""
    return f"{(str(error).splitlines() or [''])[0] or type(error).__name__:.300}"


def _is_changed(each: Kept) -> bool:
    """Whether it is of the network under interventions."""
    return each.made is not None and bool(each.made.origin.interventions)
