"""How long a symbol stays: rollouts on fresh noise, until another is emitted."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.noise.driven import DIVERGED, Drive
from rnnscope.numerics import linalg
from rnnscope.subjects.not_applicable import NotApplicable

# Rollouts that are carried together: fewer make more calls, more take more memory.
TOGETHER = 1024


class FirstChanges(NamedTuple):
    """Of each state, over its rollouts.

    Attributes:
        mean: steps until the emitted symbol first differs from that of the state, in the mean of times of which none
            counts more than the cap.
        error: its standard error.
        capped: the share of rollouts in which it stayed until the cap.
    """

    mean: Float[np.ndarray, " state"]
    error: Float[np.ndarray, " state"]
    capped: Float[np.ndarray, " state"]


def first_changes(
    drive: Drive, states: Float[np.ndarray, "state number"], n_rollouts: int, cap: int, rng: np.random.Generator
) -> FirstChanges:
    """Let each state go on under `n_rollouts` fresh draws of what drives it, for at most `cap` steps.

    Raises:
        NotApplicable: a rollout diverges.
    """
    times = np.full((len(states), n_rollouts), cap, np.int64)
    kept = np.ones((len(states), n_rollouts), bool)
    together = max(1, TOGETHER // n_rollouts)
    with np.errstate(all="ignore"), linalg.one_thread():
        for begun in range(0, len(states), together):
            rows = np.repeat(np.arange(begun, min(begun + together, len(states))), n_rollouts)
            rollout = np.tile(np.arange(n_rollouts), len(rows) // n_rollouts)
            shown = drive.inputs(len(rows), cap, rng)
            now, at_first, going = states[rows], drive.emitted(states[rows]), np.arange(len(rows))
            for t in range(cap):
                now = drive.step(now, np.ascontiguousarray(shown[going, t]), rng)
                if not (np.abs(now) < DIVERGED).all():
                    raise NotApplicable(
                        f"a state that it visits diverges within {t + 1} steps under fresh noise: no time to the first "
                        "change can be given; look at an earlier checkpoint, or at less noise"
                    )
                changed = drive.emitted(now) != at_first[going]
                left = going[changed]
                times[rows[left], rollout[left]] = t + 1
                kept[rows[left], rollout[left]] = False
                now, going = now[~changed], going[~changed]
                if not len(going):
                    break
    error = times.std(1, ddof=1) / np.sqrt(n_rollouts)
    return FirstChanges(times.mean(1), error, kept.mean(1))
