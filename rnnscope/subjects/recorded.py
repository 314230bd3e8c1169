"""States that were recorded, without the network or animal that they come from."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy.typing import ArrayLike

from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks.task import Trials

LENGTH = "length"


def from_states(
    states: ArrayLike | Sequence[ArrayLike],
    inputs: ArrayLike | Sequence[ArrayLike] | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    name: str = "",
) -> Subject:
    """Make a subject of recorded states: of neurons, or of a network of another framework.

    It has no map, because nobody knows what would follow another state. Analyses that look at states alone take it:
    principal components, average trajectories, demixing, subspaces, rotations, and comparison by states. They see all
    recorded trials, as recorded: `n_trials` does not apply, and noise or other inputs are refused. All other analyses
    say that they do not apply.

    Args:
        states: (trial, time, unit); or a list of trials (time, unit), which may differ in length; or one such trial.
        inputs: what was shown at each step, with the same trials and steps, if that is known. A network that is
            compared with these states is shown the same.
        labels: name -> one value a trial, numbers or words: conditions, decisions, and the steps of events, such as
            "go_onset", to align trials to. Without other wishes analyses take all of them but those that end in
            "_onset", and colours follow the first.
        lengths: steps of each trial; what comes after them in `states` and `inputs` is padding, and may be anything.
            None: all steps, or as many as the trials of a list have.
        name: what results call it.

    Raises:
        ValueError: shapes that do not go together, numbers that are not finite within a trial (the message says where),
            or labels that have not one value a trial.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope import analyses
        >>> time = np.arange(30)
        >>> circles = [np.stack([r * np.cos(0.2 * time), r * np.sin(0.2 * time)], 1) for r in (1, 2)]
        >>> recorded = rs.from_states(circles, labels={"size": ["small", "large"]})
        >>> recorded
        Subject: recorded states of 2 units in 2 trials, labels size
        >>> analyses.project_states(recorded).dimension_90
        2
    """
    found = _stacked("states", states)
    n_trials, n_steps, _ = found.array.shape
    length = found.length if lengths is None else _checked_lengths(lengths, n_trials, n_steps)
    valid = np.arange(n_steps) < length[:, None]
    array = _finite("states", found.array, valid)
    if valid.sum() < 2:
        raise ValueError("states must have at least two steps in all, got one")
    shown = np.zeros((n_trials, n_steps, 0))
    if inputs is not None:
        given = _stacked("inputs", inputs)
        if given.array.shape[:2] != (n_trials, n_steps) or (lengths is None and (given.length != length).any()):
            raise ValueError(
                f"inputs must have the trials and steps of the states, {n_trials} of up to {n_steps}, got "
                f"{len(given.array)} of up to {given.array.shape[1]}: give one input for every recorded state"
            )
        shown = _finite("inputs", given.array, valid)
    info = {name: _checked_label(name, values, n_trials) for name, values in (labels or {}).items()}
    trials = Trials(
        inputs=shown.astype(np.float32),
        targets=np.zeros((n_trials, n_steps, 0), np.float32),
        mask=np.zeros((n_trials, n_steps), bool),  # no output counts: there is none
        info={**info, LENGTH: length},
    )
    for each in (array, shown, valid, trials.inputs, trials.targets, trials.mask, *trials.info.values()):
        each.flags.writeable = False
    # The state before the first was not recorded.
    before = np.full((n_trials, array.shape[2]), np.nan)
    recording = Trajectories(shown, array, before, valid, trials)
    return Subject(None, name=name, recording=recording, recorded_digest=_digest(array, shown, length))


class _Stacked:
    """Trials as one array, padded with 0, and the steps of each."""

    def __init__(self, array: Float[np.ndarray, "trial time channel"], length: Int64[np.ndarray, " trial"]) -> None:
        self.array, self.length = array, length


def _stacked(name: str, given: Any) -> _Stacked:
    what = f"{name} must be numbers of shape (trial, time, channel), or a list of trials (time, channel)"
    if isinstance(given, Sequence) and not isinstance(given, str) and all(np.ndim(trial) == 2 for trial in given):
        trials = [_numbers(f"{name}[{index}]", trial, what) for index, trial in enumerate(given)]
    else:
        array = _numbers(name, given, what)
        if array.ndim not in (2, 3):
            raise ValueError(f"{what}, got shape {array.shape}")
        trials = list(array[None] if array.ndim == 2 else array)
    if not trials or not all(trial.size for trial in trials):
        raise ValueError(f"{what}: at least one trial, with a step and a channel in each, got {_shapes(trials)}")
    channels = {trial.shape[1] for trial in trials}
    if len(channels) > 1:
        raise ValueError(f"all trials of {name} must have the same channels, got {sorted(channels)} of them")
    length = np.array([len(trial) for trial in trials], np.int64)
    array = np.zeros((len(trials), length.max(), channels.pop()))
    for row, trial in zip(array, trials, strict=True):
        row[: len(trial)] = trial
    return _Stacked(array, length)


def _numbers(name: str, given: Any, what: str) -> Float[np.ndarray, "..."]:
    try:
        found = np.asarray(given)
    except ValueError:
        raise ValueError(f"{what}; rows of unlike length make no array: give a list of arrays") from None
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{what}, got {found.dtype} in {name}")
    return np.array(found, np.float64)


def _checked_lengths(lengths: ArrayLike, n_trials: int, n_steps: int) -> Int64[np.ndarray, " trial"]:
    found = np.asarray(lengths)
    if found.shape != (n_trials,) or found.dtype.kind not in "iu" or found.min() < 1 or found.max() > n_steps:
        raise ValueError(
            f"lengths must be a whole number of steps for each of the {n_trials} trials, from 1 to {n_steps}, got "
            f"{np.array2string(found, threshold=6)}"
        )
    return found.astype(np.int64)


def _finite(
    name: str, array: Float[np.ndarray, "trial time channel"], valid: Bool[np.ndarray, "trial time"]
) -> Float[np.ndarray, "trial time channel"]:
    """The array, 0 after the end of each trial.

    Raises:
        ValueError: a number within a trial is not finite.
    """
    lost = ~np.isfinite(array) & valid[..., None]
    if lost.any():
        trial, step, channel = np.argwhere(lost)[0]
        raise ValueError(
            f"{name}[{trial}, {step}, {channel}] = {array[trial, step, channel]} is not finite ({lost.sum()} such "
            "numbers): leave out such trials or units, fill what is missing, or say with lengths= where trials end"
        )
    return np.where(valid[..., None], array, 0.0)


def _checked_label(name: str, values: ArrayLike, n_trials: int) -> np.ndarray:
    if name == LENGTH:
        raise ValueError(f"labels[{LENGTH!r}] is the number of steps of each trial: give lengths= instead")
    found = np.array(values)
    if found.shape != (n_trials,):
        raise ValueError(f"labels[{name!r}] must have one value for each of {n_trials} trials, got shape {found.shape}")
    if found.dtype.kind == "O" and all(isinstance(value, str) for value in found):
        found = found.astype(np.str_)
    if found.dtype.kind not in "biufU" or (found.dtype.kind == "f" and not np.isfinite(found).all()):
        raise ValueError(
            f"labels[{name!r}] must be finite numbers or words, one kind for all trials, got {found[:3].tolist()} ...: "
            "leave out the trials without a label"
        )
    return found


def _shapes(trials: Sequence[np.ndarray]) -> str:
    return ", ".join(str(trial.shape) for trial in trials[:3]) or "none"


def _digest(*arrays: np.ndarray) -> str:
    found = hashlib.sha256(b"recorded states")
    for array in arrays:
        found.update(f"{array.dtype.str} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
