"""Run any network on inputs."""

from functools import cache
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.question import Axes, Count, Level, Question, Seed
from rnnscope.subjects.subject import as_subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks.task import Trials


def simulate(
    system: Any,
    inputs: Float[np.ndarray, "trial time input"] | Trials | None = None,
    *,
    n_trials: Count = 128,
    n_steps: Count | None = None,
    initial: Annotated[ArrayLike, Axes("trial state")] | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> Trajectories:
    """Run a network.

    Args:
        system: a Run, Network, torch module, StateMap or Subject.
        inputs: what to show, or a task's trials. None: zeros for `n_steps` steps, where these are given; else trials of
            the run's own task.
        n_trials: the number of trials, where `inputs` does not fix it.
        n_steps: the number of steps without inputs.
        initial: the states to start from; the map's own initial states if None.
        noise: standard deviation of process noise, added to every number of the state after each step.
        seed: for trials, initial states and noise.

    Raises:
        TypeError, ValueError: a setting is refused; sizes that do not fit, inputs or initial states that are not
            finite, nothing to show, or an unknown number of steps.
    """
    given = {"n_trials": n_trials, "n_steps": n_steps, "initial": initial, "noise": noise, "seed": seed}
    _question().check(given)
    subject, shown = as_subject(system), inputs
    if subject.recording is not None and n_steps is not None:
        raise ValueError("n_steps cannot be given for recorded states, which nothing can run again: leave it out")
    if subject.recording is None and inputs is None and (subject.task is None or n_steps is not None):
        if n_steps is None:
            raise ValueError("how long to run is not known: give inputs, or n_steps of at least 1 (got n_steps=None)")
        shown = np.zeros((n_trials if initial is None else len(np.asarray(initial)), n_steps, subject.map.input_size))
    return subject.trajectories(shown, n_trials=n_trials, initial=initial, noise=noise, seed=seed)


@cache
def _question() -> Question:
    return Question.of(simulate, "simulate")
