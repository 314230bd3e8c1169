"""Which value a variable has in each trial, and which trials are swapped with which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy.typing import ArrayLike

from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks import Task

TARGET = "target"
# More values than this are no classes, and too many to show in a table.
MOST_VALUES = 32


@dataclass(frozen=True, eq=False)
class Values:
    """A variable at a step.

    Attributes:
        name: what it is called.
        levels: the values that it takes.
        of_trial: the value of each trial, as a place in `levels`.
    """

    name: str
    levels: tuple[str, ...]
    of_trial: Int64[np.ndarray, " trial"]


def variables_at(
    shown: Trajectories,
    task: Task | None,
    variable: str | None,
    trial_labels: Mapping[str, ArrayLike] | None,
    keep: Sequence[str] | None,
    time: int,
) -> tuple[Values, tuple[Values, ...]]:
    """The variable that is exchanged, and those that stay: all others of `trial_labels` if `keep` is None.

    Raises:
        NotApplicable: nothing is known of the trials, or the variable has one value in all of them.
        ValueError: a variable that there is not, is of another shape, has too many values, or is both.
    """
    pool = _pool(shown, task, trial_labels, time)
    if variable is None and not (trial_labels or TARGET in pool):
        raise NotApplicable(
            "no variable is known of these trials at this step: give trial_labels= with one value a trial, or one for "
            "each trial and step, or variable= and time= where the task has some"
        )
    name = next(iter(trial_labels)) if variable is None and trial_labels else variable or TARGET
    if keep is None:
        keep = [other for other in trial_labels if other != name] if trial_labels else []
    if name in keep:
        raise ValueError(f"{name!r} cannot be exchanged and kept at once: take it out of keep")
    exchanged, *kept = (_values(each, pool) for each in (name, *keep))
    if len(exchanged.levels) < 2:
        raise NotApplicable(
            f"{name} is {', '.join(exchanged.levels)} in all {len(exchanged.of_trial)} trials at step {time}, and a "
            "swap needs two values: choose another variable or step, or show more trials"
        )
    return exchanged, tuple(kept)


def _pool(
    shown: Trajectories, task: Task | None, trial_labels: Mapping[str, ArrayLike] | None, time: int
) -> dict[str, np.ndarray]:
    shape = shown.valid.shape
    if trial_labels:
        pool = {}
        for name, values in trial_labels.items():
            found = np.asarray(values)
            if found.shape not in ((shape[0],), shape) or found.dtype.kind not in "biufUS":
                raise ValueError(
                    f"trial_labels[{name!r}] must be numbers or words of shape ({shape[0]},) or {shape}, got "
                    f"{found.dtype} of shape {found.shape}"
                )
            pool[name] = found if found.ndim == 1 else found[:, time]
        return pool
    trials = shown.trials
    if trials is None:
        return {}
    pool = {
        name: values if np.ndim(values) == 1 else values[:, time]
        for name, values in trials.info.items()
        if np.shape(values) in (shape[:1], shape)
    }
    if task is not None and task.loss != "sinkhorn" and trials.mask[:, time].all():
        wanted = trials.targets[:, time]
        pool[TARGET] = wanted[:, 0] if task.loss == "cross_entropy" else task.labels(wanted)[:, 0]
    return pool


def _values(name: str, pool: Mapping[str, np.ndarray]) -> Values:
    if name not in pool:
        known = ", ".join(map(repr, pool)) or "none"
        raise ValueError(f"there is no variable {name!r} of these trials at this step; known: {known}")
    values = pool[name]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"the variable {name!r} must be finite: leave out the trials without a value")
    levels, of_trial = np.unique(values, return_inverse=True)
    if len(levels) > MOST_VALUES:
        raise ValueError(
            f"{name!r} has {len(levels)} values in {len(values)} trials, and at most {MOST_VALUES} can be swapped: "
            "give trial_labels= with fewer, in bins"
        )
    names = tuple(f"{level:g}" if values.dtype.kind == "f" else str(level) for level in levels)
    return Values(name, names, of_trial.reshape(-1).astype(np.int64))


def matched(values: Int64[np.ndarray, " base"], others: Int64[np.ndarray, " source"]) -> Int64[np.ndarray, "pair 2"]:
    """Pairs (base, source) with different values: for each base the first source left that has another value."""
    left, pairs = list(range(len(others))), []
    for base, value in enumerate(values):
        chosen = next((i for i, source in enumerate(left) if others[source] != value), None)
        if chosen is not None:
            pairs.append((base, left.pop(chosen)))
    return np.array(pairs, np.int64).reshape(-1, 2)


def third_trials(
    bases: Int64[np.ndarray, " pair"],
    sources: Int64[np.ndarray, " pair"],
    pool: Int64[np.ndarray, " trial"],
    exchanged: Values,
    kept: Sequence[Values],
    rng: np.random.Generator,
) -> Int64[np.ndarray, " pair"]:
    """For each pair a trial of the pool with the source's value and the base's of what is kept; the source itself only
    where there is no other, -1 where there is none at all."""
    rows = np.stack([exchanged.of_trial, *(each.of_trial for each in kept)], 1)
    found = np.full(len(bases), -1)
    for pair, (base, source) in enumerate(zip(bases, sources, strict=True)):
        wanted = np.concatenate([rows[source, :1], rows[base, 1:]])
        fit = pool[(rows[pool] == wanted).all(1)]
        fit = fit[fit != source] if (fit != source).any() else fit
        if len(fit):
            found[pair] = fit[int(rng.integers(len(fit)))]
    return found
