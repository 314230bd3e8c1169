"""Trajectories: what a network does when it is shown inputs, in float64."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from rnnscope.maps import as_map, unroll
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

    @property
    def visited(self) -> Float[np.ndarray, "point state"]:
        """All states within trials, one below the other."""
        return self.states[self.valid]


def simulate(
    system: Any,
    inputs: Float[np.ndarray, "trial time input"] | Trials | None = None,
    *,
    n_trials: int = 128,
    n_steps: int | None = None,
    initial: Float[np.ndarray, "trial state"] | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> Trajectories:
    """Run a network.

    Args:
        system: a Run, Network, torch module or StateMap.
        inputs: what to show, or a task's trials. None: trials of the run's own task; zeros, for `n_steps` steps,
            for anything but a run.
        n_trials: how many trials, where `inputs` does not say.
        n_steps: how many steps without inputs.
        initial: the states to start from; the map's own initial states if None.
        noise: standard deviation of process noise, added to every number of the state after each step.
        seed: for trials, initial states and noise.

    Raises:
        ValueError: sizes that do not fit, inputs or initial states that are not finite, nothing to show, or a number
            of steps that nothing tells.
    """
    rng = np.random.default_rng([seed, 0x51A])
    state_map = as_map(system)
    trials = inputs if isinstance(inputs, Trials) else None
    task = getattr(system, "task", None)
    if inputs is None and task is not None and n_steps is None:
        trials = task.sample(n_trials, rng)
    given = trials if trials is not None else inputs
    if given is not None:
        shown = checked_inputs(given, state_map.input_size)
    elif n_steps is not None and n_steps > 0:
        shown = np.zeros((n_trials if initial is None else len(initial), n_steps, state_map.input_size))
    else:
        raise ValueError(f"how long to run is not known: give inputs, or n_steps of at least 1 (got n_steps={n_steps})")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation: it must be finite and not negative, got {noise}")
    start = state_map.initial_states(len(shown), rng) if initial is None else np.array(initial, np.float64)
    if start.shape != (len(shown), state_map.state_size):
        raise ValueError(
            f"initial states must have shape ({len(shown)}, {state_map.state_size}), one a trial, got {start.shape}"
        )
    if not np.isfinite(start).all():
        raise ValueError(f"initial states must be finite, row {np.argwhere(~np.isfinite(start))[0][0]} is not")
    if not noise:
        states = unroll(state_map, start, shown)
    else:
        states, state = np.empty((len(shown), shown.shape[1], state_map.state_size)), start
        for t in range(shown.shape[1]):
            state = state_map.step(state, shown[:, t])
            states[:, t] = state = state + noise * rng.standard_normal(state.shape)
    return Trajectories(shown, states, start, within_trials(shown.shape[:2], trials), trials)


def checked_inputs(inputs: ArrayLike | Trials, input_size: int) -> Float[np.ndarray, "trial time input"]:
    """What is shown, as a copy in float64.

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
