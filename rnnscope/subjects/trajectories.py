"""Trajectories: what a map does when it is shown inputs, in float64."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from rnnscope.maps import CompleteMap
from rnnscope.tasks.task import Trials


@dataclass(frozen=True)
class Trajectories:
    """States visited by a network.

    Attributes:
        inputs: what was shown.
        states: the state after each input.
        initial: the state before the first.
        valid: where a trial goes on; False in the padding of shorter trials.
        trials: the task's trials that were shown, if any.
    """

    inputs: Float[np.ndarray, "trial time input"]
    states: Float[np.ndarray, "trial time state"]
    initial: Float[np.ndarray, "trial state"]
    valid: Bool[np.ndarray, "trial time"]
    trials: Trials | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        n_trials, n_steps, n_units = self.states.shape
        return f"Trajectories(n_trials={n_trials}, n_steps={n_steps}, state_size={n_units})"

    @property
    def visited(self) -> Float[np.ndarray, "point state"]:
        """All states within trials, one below the other."""
        return self.states[self.valid]


def follow(
    map: CompleteMap,
    shown: Float[np.ndarray, "trial time input"],
    trials: Trials | None,
    initial: ArrayLike | None,
    noise: float,
    rng: np.random.Generator,
) -> Trajectories:
    """The states after each input, from `initial`, or the map's own initial states; with process noise.

    Raises:
        ValueError: noise that is no standard deviation; initial states of another shape, or not finite.
    """
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation: it must be finite and not negative, got {noise}")
    start = started(map, len(shown), initial, rng)
    if not noise:
        states = map.unroll(start, shown)
    else:
        states, state = np.empty((len(shown), shown.shape[1], map.state_size)), start
        for t in range(shown.shape[1]):
            state = map.step(state, shown[:, t])
            states[:, t] = state = state + noise * rng.standard_normal(state.shape)
    return Trajectories(shown, states, start, within_trials(shown.shape[:2], trials), trials)


def started(
    map: CompleteMap, n_trials: int, initial: ArrayLike | None, rng: np.random.Generator
) -> Float[np.ndarray, "trial state"]:
    """The states that trials start from, checked; the map's own if None."""
    start = map.initial_states(n_trials, rng) if initial is None else np.array(initial, np.float64)
    if start.shape != (n_trials, map.state_size):
        raise ValueError(
            f"initial states must have shape ({n_trials}, {map.state_size}), one a trial, got {start.shape}"
        )
    if not np.isfinite(start).all():
        raise ValueError(f"initial states must be finite, row {np.argwhere(~np.isfinite(start))[0][0]} is not")
    return start


def checked_inputs(inputs: ArrayLike | Trials, input_size: int) -> Float[np.ndarray, "trial time input"]:
    """Check what is to be shown, and copy it in float64.

    Raises:
        ValueError: no numbers, another shape, nothing to show, or numbers within a trial that are not finite.
    """
    trials = inputs if isinstance(inputs, Trials) else None
    try:
        shown = np.array(inputs if trials is None else trials.inputs, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"inputs must be numbers of shape (trial, time, {input_size}), got {inputs!r:.60}") from None
    if shown.ndim != 3 or shown.shape[-1] != input_size:
        raise ValueError(f"inputs must have shape (trial, time, {input_size}), got {shown.shape}")
    inside = within_trials(shown.shape[:2], trials)
    if not inside.any():
        raise ValueError(f"inputs must have at least one trial and one step, got shape {shown.shape}")
    lost = inside & ~np.isfinite(shown).all(2)
    if lost.any():
        trial, step = np.argwhere(lost)[0]
        raise ValueError(f"inputs must be finite numbers, and are not in trial {trial} at step {step}")
    return shown


def within_trials(shape: tuple[int, int], trials: Trials | None) -> Bool[np.ndarray, "trial time"]:
    """Where trials go on: False in the padding of a task's shorter trials."""
    length = None if trials is None else trials.info.get("length")
    return np.ones(shape, bool) if length is None else np.arange(shape[1]) < np.asarray(length)[:, None]
