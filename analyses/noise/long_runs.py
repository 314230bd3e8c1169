"""Long runs of a network, independent of one another, whose states are all kept."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.analyses.noise.replicas import driven_inputs
from rnnscope.numerics import linalg
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.starts import starts_anywhere
from rnnscope.subjects.subject import ESCAPED, Subject


class LongRuns(NamedTuple):
    """Where a network went.

    Attributes:
        states: after each step.
        inputs: what was shown at each step.
        spread: root mean square distance of all states from their mean.
        drive: "task trials", "noise", "task trials and noise", "an input that is held" or "nothing".
    """

    states: Float[np.ndarray, "run time state"]
    inputs: Float[np.ndarray, "run time input"]
    spread: float
    drive: str


def long_runs(
    subject: Subject,
    n_runs: int,
    transient: int,
    n_steps: int,
    noise: float,
    input: ArrayLike | None,
    rng: np.random.Generator,
) -> LongRuns:
    """Run a network from random states, on its task's trials one after another where it has a task and no input is
    held, else with an input that is held (zeros if None).

    Raises:
        NotApplicable: a run goes to infinity.
        ValueError: an input of another size, or not finite.
    """
    state_map, total = subject.map, transient + n_steps
    shown = None if input is not None else driven_inputs(subject, n_runs, total, rng)
    drive = [] if shown is None else ["task trials"]
    if shown is None:
        held = np.zeros(subject.input_size) if input is None else np.asarray(input, np.float64)
        if held.shape != (subject.input_size,) or not np.isfinite(held).all():
            raise ValueError(
                f"input must be {subject.input_size} finite numbers to be held, got an array of shape {held.shape}"
            )
        shown = np.broadcast_to(held, (n_runs, total, len(held)))
        drive = ["an input that is held"] if input is not None else []
    drive += ["noise"] * (noise > 0)
    state = starts_anywhere(state_map, n_runs, rng)
    found = np.empty((n_steps, n_runs, state_map.state_size))
    with np.errstate(all="ignore"), linalg.one_thread():
        for t in range(total):
            state = state_map.step(state, np.ascontiguousarray(shown[:, t]))
            if noise:
                state = state + noise * rng.standard_normal(state.shape)
            if t >= transient:
                found[t - transient] = state
    if not (np.abs(found) < ESCAPED).all():
        raise NotApplicable(
            "states run away: there is nothing that they could come back to, or stay near. Give an input or noise "
            "under which they stay bounded"
        )
    flat = found.reshape(-1, found.shape[2])
    spread = float(np.sqrt(((flat - flat.mean(0)) ** 2).sum(1).mean()))
    return LongRuns(found.swapaxes(0, 1), shown[:, transient:], spread, " and ".join(drive) or "nothing")
