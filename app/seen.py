"""A run at a checkpoint, with what its results say of it: what the views of a run's page look at.

What is asked for again comes out of a small cache, so that memory does not grow with the number of views.
"""

import contextlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rnnscope.analyses.linked import Linked, link_states
from rnnscope.records.runs import Run, checkpoint_name, load_run
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject, as_subject

# More states than this a browser draws too slowly without a graphics card.
MOST_STATES = 100_000
MOST_TRIALS = 128
# What the views use of several analyses, the default result of each.
USED = (
    "state_space", "fixed_points", "linearisation", "bifurcations", "automaton", "connections", "ablation"
)  # fmt: skip
# What is asked for after the first figure.
BESIDE = ("basins", "lyapunov", "lyapunov_over_training")
# Those of which the last checkpoint's result holds for all.
THROUGHOUT = ("state_space", "bifurcations", "lyapunov_over_training")


class NoScene(ValueError):
    """There is nothing to draw; the message says why."""


@dataclass(frozen=True)
class Seen:
    """A run at a checkpoint, and what its results say of it.

    Attributes:
        subject: the network.
        linked: its trials.
        results: the results that were used, by name of the analysis.
    """

    subject: Subject
    linked: Linked
    results: dict[str, Any]


def look(run: Run, step: int | None) -> Seen:
    """The run at a checkpoint with its results."""
    steps = run.checkpoints
    if not steps:
        raise NoScene("no weights were kept yet: the views appear with the first checkpoint")
    step = steps[-1] if step is None else step
    if step not in steps:
        raise NoScene(f"there is no checkpoint at step {step}: there are {', '.join(map(str, steps))}")
    return _look(run.path, step, stamp(run))


def stamp(run: Run) -> str:
    """What changes where something that views show was written anew."""
    # Weights under the same name and steps may be others: trained anew.
    parts = [f"{step} {_changed(run.path / checkpoint_name(step))}" for step in run.checkpoints]
    for name in (*USED, *BESIDE):
        kept = run.shown(name)
        parts.append("" if kept is None else f"{kept.path.name} {_changed(kept.path)}")
    return "|".join(parts)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=6)
def _look(path: Path, step: int, _stamp: str) -> Seen:
    run = load_run(path)
    subject = as_subject(run, step=step)
    results = results_of(run, step)
    n_steps = subject.trials(1, 0).inputs.shape[1]
    n_trials = max(1, min(MOST_TRIALS, MOST_STATES // n_steps))
    try:
        linked = link_states(
            subject,
            space=results.get("state_space"),
            fixed_points=results.get("fixed_points"),
            linearisation=results.get("linearisation"),
            branches=results.get("bifurcations"),
            machine=results.get("automaton"),
            n_trials=n_trials,
        )
    except NotApplicable as error:
        raise NoScene(str(error)) from None
    return Seen(subject, linked, results)


def results_of(run: Run, step: int, names: tuple[str, ...] = USED) -> dict[str, Any]:
    """Those that are kept of the network as it is at this checkpoint, and can be read; the axes, and the points that
    were followed through training, of the last one. A damaged one costs its own card, which says so."""
    found = {}
    for name in names:
        kept = run.shown(name)
        if kept is None or kept.reason is not None:
            continue
        origin = None if kept.made is None else kept.made.origin
        wanted = run.checkpoints[-1] if name in THROUGHOUT else step
        # A result of an older version does not say what it is of: it is of the last checkpoint.
        of = run.checkpoints[-1] if origin is None or origin.checkpoint is None else origin.checkpoint
        if of != wanted or (origin is not None and origin.interventions):
            continue
        with contextlib.suppress(ValueError, OSError):
            found[name] = kept.load()
    return found
