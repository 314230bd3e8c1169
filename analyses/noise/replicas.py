"""Two states that are shown the same, noise included: whether they become one."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.lyapunov.orbits import stream, unpadded
from rnnscope.numerics import linalg
from rnnscope.subjects.starts import starts_anywhere
from rnnscope.subjects.subject import Subject

MOST_TIMES = 200  # at which distances are kept
LAST = 20  # steps at the end in which a state may be at rest


class Replicas(NamedTuple):
    """What became of pairs.

    Attributes:
        distance: between the two, in units of the state.
        time: after how many steps.
        activity: root mean square of a unit around its mean over time, in the second half.
        spread: root mean square distance of states from the mean of all, in the second half.
        moved: the largest distance that one of the pair moved in one of the last steps.
        states: of the first of each pair, in the second half.
    """

    distance: Float[np.ndarray, "time pair"]
    time: Integer[np.ndarray, " time"]
    activity: float
    spread: float
    moved: Float[np.ndarray, " pair"]
    states: Float[np.ndarray, "late pair state"]


def driven_inputs(
    subject: Subject, n_pairs: int, n_steps: int, rng: np.random.Generator
) -> Float[np.ndarray, "pair time input"] | None:
    """For each pair the task's trials one after another, without their padding; None without a task or inputs."""
    if subject.task is None or not subject.input_size:
        return None
    return np.stack([stream(unpadded(subject.task, rng), n_steps) for _ in range(n_pairs)])


def run_replicas(
    subject: Subject,
    inputs: Float[np.ndarray, "... input"],
    n_pairs: int,
    transient: int,
    n_steps: int,
    noise: float,
    rng: np.random.Generator,
) -> Replicas:
    """Follow pairs of states.

    Args:
        subject: whose map.
        inputs: for each pair and step, (pair, time, input), or one that is held, (1, input).
        n_pairs: how many.
        transient: steps at the beginning that do not count for `activity` and `spread`.
        n_steps: steps after these.
        noise: standard deviation of what is added to every number of the state, the same for both of a pair.
        rng: for states and noise.
    """
    state_map, total = subject.map, transient + n_steps
    state = starts_anywhere(state_map, 2 * n_pairs, rng).reshape(2, n_pairs, -1)
    kept = np.unique(np.geomspace(1, total, MOST_TIMES).round().astype(np.int64))
    distances, seen, moved = [], [], np.zeros(n_pairs)
    with np.errstate(all="ignore"), linalg.one_thread():
        for t in range(total):
            shown = inputs[:, t] if inputs.ndim == 3 else inputs
            before = state
            state = state_map.step(state, np.broadcast_to(shown, (2, n_pairs, shown.shape[-1])))
            if noise:
                state = state + noise * rng.standard_normal(state.shape[1:])
            if t + 1 in kept:
                distances.append(np.linalg.norm(state[0] - state[1], axis=-1))
            if t >= total - n_steps // 2:
                seen.append(state[0])
            if t >= total - LAST:
                moved = np.maximum(moved, np.linalg.norm(state - before, axis=-1).max(0))
        states = np.array(seen)
        around = np.sqrt(((states - states.mean((0, 1))) ** 2).sum(-1).mean())
        activity = np.sqrt(states.var(0).mean())
    return Replicas(np.array(distances), kept, float(activity), float(around), moved, states)
