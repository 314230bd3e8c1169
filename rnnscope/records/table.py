"""Many runs as one table: a row each, with what they differ in and what came out."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.records.kinds import kinds_of
from rnnscope.records.runs import Run, RunError, load_run

if TYPE_CHECKING:
    import pandas as pd

_PARTS = ("task", "cell", "training")  # of a record, whose settings are compared


def table(
    runs: Run | str | os.PathLike[str] | Iterable[Run | str | os.PathLike[str]],
    *,
    analyses: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """Runs as a table with one row each, by name: task, cell, the settings that differ among them
    ("training.learning_rate"), seed, status, steps, seconds, the metrics, and the headline numbers of the results that
    they keep of their last checkpoints ("fixed_points.n_stable"; under other than the default settings, or under
    interventions, "fixed_points[n_starts=200].n_stable").

    What cannot be read does not end it: the column "problem", which is there if need be, says for each run what is
    damaged.

    Args:
        runs: a folder of runs, runs, or paths of runs.
        analyses: the analyses whose headline numbers to have; all if None, none of them if empty.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> folder = tempfile.mkdtemp()
        >>> for units in (8, 16):
        ...     cell = rs.cells.GRU(units)
        ...     _ = rs.train(rs.tasks.FlipFlop(1), cell, steps=2, folder=folder, progress=False)
        >>> rs.table(folder)[["task", "cell.units", "status", "steps"]].to_numpy().tolist()
        [['FlipFlop', 16, 'finished', 2], ['FlipFlop', 8, 'finished', 2]]
    """
    import pandas as pd

    for name in analyses or ():
        kinds_of(name)
    opened = [_opened(each) for each in _listed(runs)]
    differing = _differing([run for _, run in opened if isinstance(run, Run)])
    rows = [
        _row(run, differing, analyses) if isinstance(run, Run) else ({}, {}, {}, {}, {"problem": run}, {}, {})
        for _, run in opened
    ]
    # Group by group, so that a column which only a later run has stands with its like.
    columns = list(dict.fromkeys(name for group in zip(*rows, strict=True) for part in group for name in part))
    merged = [{name: value for part in row for name, value in part.items()} for row in rows]
    return pd.DataFrame(merged, columns=columns, index=pd.Index([name for name, _ in opened], name="name"))


def _listed(runs: Any) -> Iterator[Run | Path]:
    """Runs, and the folders of runs; those of a folder by name."""
    if isinstance(runs, Run):
        yield runs
    elif isinstance(runs, str | os.PathLike):
        path = Path(runs)
        if not path.is_dir():
            raise FileNotFoundError(f"no folder at {path}: give a folder of runs, or runs")
        inside = sorted(file.parent for file in path.glob("*/run.json"))
        yield from [path] if (path / "run.json").exists() else inside
    else:
        for each in runs:
            yield from _listed(each)


def _opened(run: Run | Path) -> tuple[str, Run | str]:
    """(name, run); what is wrong in place of one that cannot be read."""
    if isinstance(run, Run):
        return run.name, run
    try:
        return run.name, load_run(run)
    except RunError as error:
        return run.name, str(error)


def _row(run: Run, differing: set[str], analyses: Sequence[str] | None) -> tuple[dict[str, Any], ...]:
    """What it is, the settings of its parts, how it went, its metrics, what analyses found."""
    record = run.record
    numbers, problems = _headlines(run, analyses)
    problem = {"problem": "; ".join(problems)} if problems else {}
    return (
        {"task": record["task"]["kind"], "cell": record["cell"]["kind"]},
        *({name: value for name, value in _settings(run, part).items() if name in differing} for part in _PARTS),
        {
            "seed": run.seed,
            "status": run.status,
            "steps": record["steps_done"],
            "seconds": record["seconds"],
            **problem,
        },
        run.metrics,
        numbers,
    )


def _headlines(run: Run, analyses: Sequence[str] | None) -> tuple[dict[str, int | float], list[str]]:
    """(the numbers, what cannot be read)"""
    last = max(run.checkpoints, default=None)
    numbers: dict[str, int | float] = {}
    problems = []
    for kept in sorted(run.kept(), key=lambda kept: (kept.analysis, bool(kept.label))):
        old = kept.made is not None and kept.made.origin.checkpoint not in (None, last)
        if kept.reason is not None or old or (analyses is not None and kept.analysis not in analyses):
            continue
        prefix = f"{kept.analysis}[{kept.label}]" if kept.label else kept.analysis
        try:
            numbers |= {f"{prefix}.{name}": value for name, value in kept.headline().items()}
        except Exception as error:  # noqa: BLE001 - one damaged result must not hide the others
            problems.append(str(error) or type(error).__name__)
    return numbers, problems


def _settings(run: Run, part: str) -> dict[str, Any]:
    return dict(_flat(part, {name: value for name, value in run.record[part].items() if name != "kind"}))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """("training.decay.kind", value) of nested settings; lists become tuples, by which one can group."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}", inner)
    else:
        yield prefix, _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _differing(runs: Sequence[Run]) -> set[str]:
    """The names of the settings that have not the same value in all runs. Of a task and of a cell these are the runs
    whose kind of task or cell has such a setting."""
    found = set()
    for part in _PARTS:
        kinds = [run.record[part].get("kind") for run in runs]
        each = [_settings(run, part) for run in runs]
        for name in {name for settings in each for name in settings}:
            having = {kind for kind, settings in zip(kinds, each, strict=True) if name in settings}
            values = {repr(s.get(name)) for kind, s in zip(kinds, each, strict=True) if kind in having}
            if len(values) > 1:
                found.add(name)
    return found
