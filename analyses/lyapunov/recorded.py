"""Trajectories kept in memory, for what goes back along them, and the labels of trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.lyapunov.orbits import orbits_of
from rnnscope.cost import Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.question import TrialInputs
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Trials

# One for each trial; whole numbers and words stay what they are, as they name the groups.
Labels = Sequence[str | bool | int | float]


@dataclass(frozen=True)
class Recorded:
    """States that a map went through, trial by trial.

    Attributes:
        state_map: the map.
        states: the state before each step; 0 from where a trial diverged.
        inputs: what was shown at each step.
        valid: the steps that count; False in the padding of shorter trials, and in all of a trial that diverged.
        diverged_at: the step at which the state was no longer finite; -1 for never.
        info: the task's labels of the trials.
        drive: in words, as of a `LyapunovSpectrum`.
    """

    state_map: CompleteMap
    states: Float[np.ndarray, "trial time state"]
    inputs: Float[np.ndarray, "trial time input"]
    valid: Bool[np.ndarray, "trial time"]
    diverged_at: Integer[np.ndarray, " trial"]
    info: Mapping[str, np.ndarray]
    drive: str


def record(
    subject: Subject,
    *,
    input: ArrayLike | None,
    inputs: TrialInputs | Trials | None,
    n_trials: int,
    n_steps: int,
    transient: int,
    noise: float,
    seed: int,
) -> Recorded:
    """Trials that are given, or of the run's own task, from the states that trials start from; without either, as many
    stretches of `n_steps` from random starts after a transient."""
    if input is not None and inputs is not None:
        raise ValueError("both input (held constant) and inputs (trials) are given: choose one")
    if inputs is None and (input is not None or subject.task is None):
        return _free(subject, input, n_trials, n_steps, transient, noise, seed)
    given = inputs if inputs is None or isinstance(inputs, Trials) else np.asarray(inputs, np.float64)
    with np.errstate(all="ignore"):
        shown = subject.trajectories(given, n_trials=n_trials, noise=noise, seed=seed)
    states = np.concatenate([shown.initial[:, None], shown.states], 1)
    return _recorded(
        subject.map,
        states,
        shown.inputs,
        shown.valid,
        {} if shown.trials is None else shown.trials.info,
        "task trials" if shown.trials is not None else "given inputs",
    )


def labels_of(
    recorded: Recorded, label: str | None, trial_labels: Labels | None
) -> tuple[Integer[np.ndarray, " trial"], tuple[str, ...]]:
    """(the label of each trial as a place in the names, the names); by name from the task, or the caller's own."""
    n = len(recorded.states)
    if label is not None and trial_labels is not None:
        raise ValueError("both label (a name) and trial_labels (one for each trial) are given: choose one")
    if label is not None:
        one_each = sorted(name for name, values in recorded.info.items() if np.ndim(values) == 1)
        if label not in one_each:
            known = ", ".join(one_each) or "none"
            raise ValueError(f"the trials have no label {label!r}, one for each trial; they have: {known}")
        values = np.asarray(recorded.info[label])
    elif trial_labels is not None:
        values = np.asarray(trial_labels)
    else:
        return np.zeros(n, np.int64), ("",)
    if values.shape != (n,):
        raise ValueError(f"there are {n} trials, so labels must have shape ({n},), got {values.shape}")
    names, places = np.unique(values, return_inverse=True)
    return places.reshape(-1).astype(np.int64), tuple(str(name) for name in names)


def stretches(scale: Scale, settings: Settings) -> tuple[int, int]:
    """(how many trials or stretches these settings show, of how many steps)."""
    if settings["inputs"] is not None or (settings["input"] is None and scale.subject.task is not None):
        return scale.shown(settings)[:2]
    return settings["n_trials"], settings["n_steps"]


def _free(
    subject: Subject, input: ArrayLike | None, n_trials: int, n_steps: int, transient: int, noise: float, seed: int
) -> Recorded:
    rng = np.random.default_rng([seed, 0x1C])
    orbits = orbits_of(
        subject,
        input=input,
        inputs=None,
        starts=None,
        trajectory=None,
        n_starts=n_trials,
        total=transient + n_steps + 1,
        noise=noise,
        rng=rng,
    )
    diverged_at = np.full(n_trials, -1)
    with np.errstate(all="ignore"):
        states = np.stack([before.copy() for before, _ in orbits.walk(diverged_at, rng)], 1)
    states[diverged_at >= 0] = np.nan
    shown, valid = orbits.inputs[:, transient:-1], np.ones((n_trials, n_steps), bool)
    found = _recorded(orbits.state_map, states[:, transient:], shown, valid, {}, orbits.drive)
    return replace(found, diverged_at=diverged_at)


def _recorded(
    state_map: CompleteMap,
    states: np.ndarray,
    inputs: np.ndarray,
    valid: np.ndarray,
    info: Mapping[str, np.ndarray],
    drive: str,
) -> Recorded:
    """`states` are those before and after all steps, one more than there are steps."""
    reached = np.concatenate([valid[:, :1], valid], 1)
    bad = reached & ~np.isfinite(states).all(2)
    diverged_at = np.where(bad.any(1), bad.argmax(1), -1)
    good = diverged_at < 0
    return Recorded(
        state_map=state_map,
        states=np.where((reached & good[:, None])[:, :-1, None], states[:, :-1], 0.0),
        inputs=inputs,
        valid=valid & good[:, None],
        diverged_at=diverged_at,
        info=info,
        drive=drive,
    )
