"""Where does a search for fixed points begin, and at which inputs?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy.typing import ArrayLike

from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.subjects.starts import bounds
from rnnscope.subjects.subject import Subject


def evenly(rows: Integer[np.ndarray, " row"], n: int) -> Integer[np.ndarray, " chosen"]:
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(np.int64)]


def ran_on(
    state_map: CompleteMap,
    begin: Float[np.ndarray, "start unit"],
    inputs: Float[np.ndarray, "start input"],
    at_random: Bool[np.ndarray, " each"],
    most: int | Sequence[int],
    rng: np.random.Generator,
) -> Float[np.ndarray, "start unit"]:
    """Where starts come to that run on for 0 ... k steps, k being each of `most` in turn; of one that goes to infinity,
    the last state that is finite."""
    limits = np.resize(np.atleast_1d(most), at_random.size)
    n_steps = np.resize(np.where(at_random, rng.integers(0, limits + 1), 0), len(begin))
    states = begin.copy()
    with np.errstate(all="ignore"), linalg.one_thread():
        for step in range(n_steps.max(initial=0)):
            going = np.flatnonzero(n_steps > step)
            new = state_map.step(states[going], inputs[going])
            sound = np.isfinite(new).all(1)
            states[going[sound]] = new[sound]
            n_steps[going[~sound]] = 0
    return states


def visited_states(
    subject: Subject, given: ArrayLike | None, wanted: bool, seed: int
) -> tuple[Float[np.ndarray, "visited unit"] | None, str]:
    """Visited states, or None where the starts stand for them, and where they come from."""
    size = subject.map.state_size
    if given is not None:
        seen = np.array(given, np.float64)
        if seen.ndim != 2 or seen.shape[1] != size or not len(seen) or not np.isfinite(seen).all():
            raise ValueError(
                f"visited must be finite states, (state, {size}), one a row and at least one, got shape {seen.shape}"
            )
        return seen, "given states"
    if subject.task is not None or (wanted and not bounds(subject.map)[0].all()):
        return subject.visited(seed=seed)
    return None, "starts"


def conditions(
    state_map: CompleteMap, input: ArrayLike | None, start_inputs: ArrayLike | None, begin: np.ndarray, by_default: bool
) -> tuple[Float[np.ndarray, "condition input"], Integer[np.ndarray, " start"], Float[np.ndarray, "start unit"]]:
    """(the inputs to hold, which of them each start has, the starts): starts are repeated for each of several."""
    size = state_map.input_size
    takes = f"inputs of {size} number{'' if size == 1 else 's'}" if size else "no input"
    if start_inputs is not None:
        each = np.array(start_inputs, np.float64)
        if input is not None or by_default:
            raise ValueError("start_inputs goes with starts, one input a start, and takes the place of input")
        if each.shape != (len(begin), size):
            raise ValueError(
                f"start_inputs must have shape ({len(begin)}, {size}), one input a start, got {each.shape}: "
                f"the map takes {takes}"
            )
        _check_finite("start_inputs", each)
        held, which = np.unique(each, axis=0, return_inverse=True)
        return held, which.ravel(), begin
    held = np.zeros((1, size)) if input is None else np.array(input, np.float64)
    given = held.shape
    if held.ndim == 1:
        held = held[None]
    if held.ndim != 2 or held.shape[1] != size or not len(held):
        shapes = f"({size},) or (condition, {size})"
        raise ValueError(f"the map takes {takes}: input must have shape {shapes}, got {given}")
    _check_finite("input", held)
    return held, np.repeat(np.arange(len(held)), len(begin)), np.tile(begin, (len(held), 1))


def _check_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {values[~np.isfinite(values).all(1)][0]}")


def spread(states: np.ndarray) -> float:
    """Their median distance from their median, so that one state far out does not make all others one; 1 if it is 0."""
    with np.errstate(over="ignore"):
        return float(np.median(np.linalg.norm(states - np.median(states, 0), axis=1))) or 1.0
