"""Trajectories: what a network does when it is shown inputs, in float64."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.maps import as_map
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
        ValueError: sizes that do not fit, or a number of steps that nothing tells.
    """
    rng = np.random.default_rng([seed, 0x51A])
    state_map = as_map(system)
    trials = inputs if isinstance(inputs, Trials) else None
    task = getattr(system, "task", None)
    if inputs is None and task is not None and n_steps is None:
        trials = task.sample(n_trials, rng)
    if trials is not None:
        shown = trials.inputs
    elif inputs is not None:
        shown = np.asarray(inputs)
    elif n_steps is not None and n_steps > 0:
        shown = np.zeros((n_trials if initial is None else len(initial), n_steps, state_map.input_size))
    else:
        raise ValueError(f"how long to run is not known: give inputs, or n_steps of at least 1 (got n_steps={n_steps})")
    if shown.ndim != 3 or shown.shape[-1] != state_map.input_size:
        raise ValueError(f"inputs must have shape (trial, time, {state_map.input_size}), got {shown.shape}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation: it must be finite and not negative, got {noise}")
    shown = shown.astype(np.float64)
    start = state_map.initial_states(len(shown), rng) if initial is None else np.array(initial, np.float64)
    if start.shape != (len(shown), state_map.state_size):
        raise ValueError(
            f"initial states must have shape ({len(shown)}, {state_map.state_size}), one a trial, got {start.shape}"
        )
    states = np.empty((len(shown), shown.shape[1], state_map.state_size))
    state = start
    for t in range(shown.shape[1]):
        state = state_map.step(state, shown[:, t])
        if noise:
            state = state + noise * rng.standard_normal(state.shape)
        states[:, t] = state
    length = None if trials is None else trials.info.get("length")
    steps = np.arange(shown.shape[1])
    valid = np.ones(shown.shape[:2], bool) if length is None else steps < np.asarray(length)[:, None]
    return Trajectories(shown, states, start, valid, trials)
