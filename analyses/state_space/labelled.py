"""Trials with labels, on one time axis: what averages over conditions are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike

from rnnscope.cost import FLOAT, Expected, Scale, Settings
from rnnscope.records.schema1 import FORMERLY
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks import Task, Trials

ONSET = "_onset"  # how the names of events end, which are steps and no conditions
FEW_LEVELS = 6  # of a label, named beside its colours
TARGET, TRIAL = "target", "trial"  # labels that every run with targets, and every set of trials, has


@dataclass(frozen=True)
class Labelled:
    """States of trials, cut to a window that all of them have.

    Attributes:
        states: the states, without padding.
        time: step of each, from the event that trials are aligned to.
        labels: the level of every label, as a row of `levels`.
        names: of the labels.
        levels: the values that each label takes, in order.
        align: the event at time 0.
    """

    states: Float[np.ndarray, "trial time unit"]
    time: Int64[np.ndarray, " time"]
    labels: Int64[np.ndarray, "trial label"]
    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    align: str


@dataclass(frozen=True)
class Conditions:
    """Which conditions there are: each combination of labels that occurs.

    Attributes:
        labels: the level of every label in each condition, as a place in `levels`.
        n_trials: of each condition.
        label_names: the labels that make the conditions.
        levels: the values of each label.
    """

    labels: Int64[np.ndarray, "condition label"] = field(metadata={FORMERLY: "condition_labels"})
    n_trials: Int64[np.ndarray, " condition"]
    label_names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    @property
    def titles(self) -> tuple[str, ...]:
        """What each is called: "stimulus 1, match 0" and the like."""
        return tuple(self.title(row) for row in self.labels)

    def title(self, row: Int64[np.ndarray, " label"], first: int = 0) -> str:
        """What a row of `labels` is called, without the labels before the first."""
        return ", ".join(f"{self.label_names[i]} {self.levels[i][row[i]]}" for i in range(first, len(row)))


@dataclass(frozen=True)
class Averages:
    """Averages over the trials of each condition.

    Attributes:
        states: the mean state, every trial of a condition with equal weight.
        of_trial: the condition of each trial.
        conditions: which there are.
    """

    states: Float[np.ndarray, "condition time unit"]
    of_trial: Int64[np.ndarray, " trial"]
    conditions: Conditions


def shown_states(
    subject: Subject,
    inputs: ArrayLike | Trials | None,
    n_trials: int,
    noise: float,
    seed: int,
    initial: Float[np.ndarray, "trial state"] | None = None,
) -> Trajectories:
    """Trajectories on `inputs`, or on trials of its own task.

    Raises:
        NotApplicable: no inputs for something that has no task, or states that diverge.
        ValueError: sizes that do not fit.
    """
    shown = subject.trajectories(inputs, n_trials=n_trials, initial=initial, noise=noise, seed=seed)
    bad = shown.valid & ~np.isfinite(shown.states).all(-1)
    if bad.any():
        trial, step = np.argwhere(bad)[0]
        raise NotApplicable(
            f"the states diverge: trial {trial} is not finite at step {step}. Use shorter trials or another checkpoint"
        )
    return shown


def labelled_cost(scale: Scale, settings: Settings) -> Expected:
    """What it takes to show trials and to label them."""
    n_trials, n_steps, _ = scale.shown(settings)
    numbers = n_trials * n_steps * scale.n
    return Expected(scale.simulation(n_trials, n_steps) + 8 * numbers * scale.scan, FLOAT * 4 * numbers)


def labelled_states(
    subject: Subject,
    *,
    inputs: ArrayLike | Trials | None = None,
    n_trials: int = 128,
    labels: str | Sequence[str] | None = None,
    trial_labels: Mapping[str, ArrayLike] | None = None,
    align: str | None = None,
    window: tuple[int, int] | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> Labelled:
    """Show trials, label them, and cut all to the same steps.

    Args:
        subject: the network.
        inputs: what to show, or a task's trials; trials of its own task if None.
        n_trials: how many trials, where `inputs` does not say.
        labels: names of labels: of `trial_labels`, of the task's own (the `info` of its trials), "target" for the
            target at the end, "trial" for every trial by itself. If None: all of `trial_labels`, or of recorded states
            all of theirs but the steps of events; else "target".
        trial_labels: labels of one's own, name -> one value a trial, numbers or words.
        align: the event at time 0: "start", "end" (the last step has time -1), or the name of a step in the `info`
            of the trials, such as "test_onset". None: "start" where all trials are of one length, else "end".
        window: (first step, step after the last) from that event; the largest that all trials have if None.
        noise: standard deviation of process noise.
        seed: of trials, initial states and noise.

    Raises:
        NotApplicable: the trials have no labels, there is nothing to show, or the states diverge.
        ValueError: a label or an event that there is not, labels that do not match the trials, a window that not
            all trials have.
    """
    shown = shown_states(subject, inputs, n_trials, noise, seed)
    if labels is None and trial_labels is None:
        labels = [name for name in subject.recorded_labels if not name.endswith(ONSET)] or None
    columns, names, levels = _labels(shown, subject.task, labels, trial_labels)
    states, time, align = _aligned(shown, align, window)
    return Labelled(states, time, columns, names, levels, align)


def averages_of(labelled: Labelled, least: int = 2) -> Averages:
    """Averages of every combination of labels that occurs.

    Raises:
        NotApplicable: fewer than `least` conditions.
    """
    combinations, of_trial, counts = np.unique(labelled.labels, axis=0, return_inverse=True, return_counts=True)
    of_trial = of_trial.reshape(-1)
    if len(combinations) < least:
        what = ", ".join(labelled.names)
        raise NotApplicable(
            f"{least} conditions are needed, and {what} makes {len(combinations)} of {len(of_trial)} trials: "
            "choose other labels, or show trials that differ in them"
        )
    states = np.stack([labelled.states[of_trial == c].mean(0) for c in range(len(combinations))])
    conditions = Conditions(combinations, counts.astype(np.int64), labelled.names, labelled.levels)
    return Averages(states, of_trial.astype(np.int64), conditions)


def target_labels(shown: Trajectories, task: Task | None) -> tuple[Int64[np.ndarray, " trial"], str]:
    """The target of head 0 at the last step that counts; zeros and "" where targets do not go with the inputs."""
    trials = shown.trials
    none = np.zeros(len(shown.states), np.int64), ""
    if trials is None or (task is not None and task.loss == "sinkhorn") or not trials.mask.any(1).all():
        return none
    end = trials.mask.shape[1] - 1 - trials.mask[:, ::-1].argmax(1)
    targets = trials.targets[np.arange(len(end)), end]
    if np.issubdtype(targets.dtype, np.integer):
        several = " of head 0" if targets.shape[-1] > 1 else ""
        return targets[:, 0].astype(np.int64), f"target{several} at the end"
    if task is None:
        return none
    return task.labels(targets)[:, 0].astype(np.int64), "target at the end"


def colour_labels(shown: Trajectories, subject: Subject) -> tuple[Int64[np.ndarray, " trial"], str]:
    """What colours trials: the first label of recorded ones (the order of its values, where they are no whole numbers,
    which its name says then); else the target."""
    names = [name for name in subject.recorded_labels if not name.endswith(ONSET)]
    if not names or shown.trials is None:
        return target_labels(shown, subject.task)
    values = shown.trials.info[names[0]]
    if values.dtype.kind in "biu":
        return values.astype(np.int64), names[0]
    levels, order = np.unique(values, return_inverse=True)
    told = ", ".join(f"{k} {level}" for k, level in enumerate(levels[:FEW_LEVELS]))
    return order.reshape(-1).astype(np.int64), f"{names[0]} ({told}{', ...' if len(levels) > FEW_LEVELS else ''})"


def _labels(
    shown: Trajectories,
    task: Task | None,
    labels: str | Sequence[str] | None,
    given: Mapping[str, ArrayLike] | None,
) -> tuple[np.ndarray, tuple[str, ...], tuple[tuple[str, ...], ...]]:
    n_trials = len(shown.states)
    pool: dict[str, np.ndarray] = {}
    if given is not None:
        pool = {name: np.asarray(values) for name, values in given.items()}
        for name, values in pool.items():
            if values.shape != (n_trials,):
                raise ValueError(
                    f"trial_labels[{name!r}] must have one value for each of the {n_trials} trials, "
                    f"got shape {values.shape}"
                )
            if values.dtype.kind not in "biufUS":
                raise ValueError(
                    f"trial_labels[{name!r}] must be numbers or words, one kind for all trials, got "
                    f"{values[:3].tolist()} ...: leave out the trials without a label"
                )
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"trial_labels[{name!r}] must be finite: leave out the trials without a label")
    else:
        info = {} if shown.trials is None else shown.trials.info
        pool = {name: values for name, values in info.items() if np.shape(values) == (n_trials,)}
        target, title = target_labels(shown, task)
        if title:
            pool[TARGET] = target
    pool.setdefault(TRIAL, np.arange(n_trials))
    if labels is None:
        chosen = list(given) if given else [TARGET] if TARGET in pool else []
    else:
        chosen = [labels] if isinstance(labels, str) else list(labels)
    known = ", ".join(map(repr, pool))
    if not chosen:
        raise NotApplicable(
            "the trials have no labels: name labels= of the task, or give trial_labels= with one value a trial "
            f"(there are {known})"
        )
    for name in chosen:
        if name not in pool:
            raise ValueError(f"these trials have no label {name!r}; there are {known}")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"labels names one twice: {', '.join(chosen)}")
    columns, levels = [], []
    for name in chosen:
        values, column = np.unique(pool[name], return_inverse=True)
        columns.append(column.reshape(-1))
        levels.append(tuple(f"{value:g}" if values.dtype.kind == "f" else str(value) for value in values))
    return np.stack(columns, 1).astype(np.int64), tuple(chosen), tuple(levels)


def _aligned(
    shown: Trajectories, align: str | None, window: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray, str]:
    length = shown.valid.sum(1)
    if align is None:
        align = "start" if (length == length[0]).all() else "end"
    event = event_steps(shown, align)
    first, last = -int(event.min()), int((length - event).min())
    if window is None:
        begin, end = first, last
    else:
        begin, end = window
        if not first <= begin < end <= last:
            raise ValueError(
                f"window = ({begin}, {end}) must lie in ({first}, {last}), the steps from {align!r} that all trials "
                "have, and end after it begins"
            )
    if end - begin < 2:
        raise ValueError(
            f"the trials have {max(end - begin, 0)} steps in common when aligned to {align!r}, and at least 2 are "
            "needed: align to another event, or show longer trials"
        )
    time = np.arange(begin, end)
    states = shown.states[np.arange(len(length))[:, None], event[:, None] + time]
    return states, time, align


def event_steps(shown: Trajectories, event: str) -> Int64[np.ndarray, " trial"]:
    """The step of an event in each trial: "start", "end", or an entry of the trials' `info`.

    Raises:
        ValueError: there is no such event, or it is no step of every trial.
    """
    length = shown.valid.sum(1)
    if event in ("start", "end"):
        return np.zeros_like(length) if event == "start" else length
    info = {} if shown.trials is None else shown.trials.info
    steps = np.asarray(info.get(event, ()))
    if steps.shape != length.shape or steps.dtype.kind not in "iu":
        names = [name for name, values in info.items() if np.asarray(values).dtype.kind in "iu" and name != "length"]
        raise ValueError(
            f"these trials have no event {event!r}; there are {', '.join(map(repr, ['start', 'end', *names]))}"
        )
    if ((steps < 0) | (steps > length)).any():
        raise ValueError(f"{event!r} is no step of every trial: it ranges from {steps.min()} to {steps.max()}")
    return steps.astype(np.int64)
