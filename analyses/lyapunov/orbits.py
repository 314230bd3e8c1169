"""The trajectories that tangent vectors are carried along: what is shown, where they start, and the walk."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import ArrayLike

from rnnscope.maps import StateMap, as_map


@dataclass(frozen=True)
class Orbits:
    """Several trajectories of one map, before they are walked.

    Attributes:
        state_map: the map.
        begin: the states to start from.
        inputs: what is shown at each step.
        given: the states before each step, where the caller gave them; else they are computed.
        drive: in words: "task trials", "given inputs", "constant input" or "no input".
        noise: standard deviation of process noise.
        shared: whether all starts are shown the same.
    """

    state_map: StateMap
    begin: Float[np.ndarray, "start state"]
    inputs: Float[np.ndarray, "start time input"]
    given: Float[np.ndarray, "start time state"] | None
    drive: str
    noise: float
    shared: bool

    def walk(
        self, diverged_at: Integer[np.ndarray, " start"], rng: np.random.Generator
    ) -> Iterator[tuple[Float[np.ndarray, "start state"], Float[np.ndarray, "start input"]]]:
        """The states before each step and the inputs of that step.

        A start whose state is no longer finite is noted in `diverged_at`, by the number of steps taken, and stands
        still from there on.
        """
        n_steps = self.inputs.shape[1]
        if self.given is not None:
            lost = np.any(~np.isfinite(self.given), axis=2)
            ends = np.where(lost.any(1), lost.argmax(1), n_steps)
            for t in range(n_steps):
                diverged_at[(ends == t) & (diverged_at < 0)] = t
                yield np.where((t < ends)[:, None], self.given[:, t], self.begin), self.inputs[:, t]
            return
        states = self.begin
        for t in range(n_steps):
            shown = self.inputs[:, t]
            yield states, shown
            new = self.state_map.step(states, shown)
            if self.noise:
                new = new + self.noise * rng.standard_normal(new.shape)
            lost = np.any(~np.isfinite(new), axis=1)
            if lost.any():
                diverged_at[lost & (diverged_at < 0)] = t + 1
                new = np.where(lost[:, None], states, new)
            states = new


def orbits_of(
    system: Any,
    *,
    input: ArrayLike | None,
    inputs: ArrayLike | None,
    starts: ArrayLike | None,
    trajectory: ArrayLike | None,
    n_starts: int,
    total: int,
    noise: float,
    rng: np.random.Generator,
) -> Orbits:
    """Trajectories of `total` steps; the arguments are those of `lyapunov_spectrum`."""
    if n_starts < 1:
        raise ValueError(f"n_starts must be at least 1, got {n_starts}")
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise is a standard deviation: it must be finite and not negative, got {noise}")
    if input is not None and inputs is not None:
        raise ValueError("both input (held constant) and inputs (a sequence) are given: choose one")
    if trajectory is not None and (starts is not None or noise):
        raise ValueError("trajectory tells the states of all steps: leave out starts and noise")
    state_map = as_map(system, input=input)
    given = None if trajectory is None else _checked_trajectory(trajectory, state_map.state_size, total)
    begin = None if starts is None else _checked_starts(starts, state_map.state_size)
    shown = None if inputs is None else _checked_inputs(inputs, state_map.input_size, total)
    if given is not None:
        begin = np.where(np.isfinite(given[:, 0]), given[:, 0], 0.0)
    if begin is not None:
        n_starts = len(begin)
    elif shown is not None and shown.ndim == 3:
        n_starts = len(shown)
    task = getattr(system, "task", None)
    at_work = shown is None and task is not None and state_map.input_size > 0
    if at_work and given is not None:
        raise ValueError("a trajectory of a driven run needs the inputs that drove it: give inputs as well")
    if at_work:
        shown = _task_inputs(task, n_starts, total, rng)
    if begin is None:
        begin = state_map.initial_states(n_starts, rng) if at_work else _default_starts(state_map, n_starts, rng)
    if shown is None:
        shown = np.zeros((total, state_map.input_size))
    shared = shown.ndim == 2
    shown = np.broadcast_to(shown, (*((n_starts,) if shared else ()), *shown.shape))
    if len(shown) != n_starts:
        raise ValueError(f"inputs are for {len(shown)} starts, but there are {n_starts}: give one sequence for each")
    drive = "task trials" if at_work else "given inputs" if inputs is not None else "constant input"
    if state_map.input_size == 0 and input is None:
        drive = "no input"
    return Orbits(state_map, begin, shown, given, drive, float(noise), shared)


def time_step(state_map: StateMap) -> float | None:
    """What a step is in units of time; None for a map proper."""
    dt = getattr(state_map, "dt", None)
    return None if dt is None else float(dt)


def rate_unit(dt: float | None) -> str:
    """The unit of an exponent divided by dt."""
    return "nats per step" if dt is None else "nats per unit of time"


def _checked_trajectory(trajectory: ArrayLike, size: int, total: int) -> np.ndarray:
    states = np.asarray(trajectory, np.float64)
    if states.ndim != 3 or states.shape[2] != size or not len(states):
        raise ValueError(f"trajectory must have shape (start, time, {size}), got {states.shape}")
    if states.shape[1] < total:
        raise ValueError(
            f"trajectory has {states.shape[1]} states a start, transient + n_steps asks for {total}: "
            "give a longer one, or ask for fewer steps"
        )
    return states[:, :total]


def _checked_starts(starts: ArrayLike, size: int) -> np.ndarray:
    begin = np.array(starts, np.float64)
    if begin.ndim != 2 or begin.shape[1] != size or not len(begin):
        raise ValueError(f"starts must have shape (start, {size}), at least one state, got {begin.shape}")
    if not np.isfinite(begin).all():
        raise ValueError("starts must be finite numbers")
    return begin


def _checked_inputs(inputs: ArrayLike, input_size: int, total: int) -> np.ndarray:
    shown = np.asarray(inputs, np.float64)
    if shown.ndim not in (2, 3) or shown.shape[-1] != input_size:
        raise ValueError(
            f"inputs must have shape (time, {input_size}) or (start, time, {input_size}), got {shown.shape}"
        )
    if shown.shape[-2] < total:
        raise ValueError(
            f"inputs have {shown.shape[-2]} steps, transient + n_steps asks for {total}: "
            "give longer inputs, or ask for fewer steps"
        )
    if not np.isfinite(shown).all():
        raise ValueError("inputs must be finite numbers")
    return shown[..., :total, :]


def _task_inputs(
    task: Any, n_starts: int, total: int, rng: np.random.Generator
) -> Float[np.ndarray, "start time input"]:
    """Whole trials one after another, without their padding, a stream of its own for each start."""
    streams = []
    for _ in range(n_starts):
        parts, have = [], 0
        while have < total:
            trials = task.sample(8, rng)
            length = trials.info.get("length", np.full(len(trials), trials.inputs.shape[1]))
            for trial, end in zip(trials.inputs, length, strict=True):
                parts.append(trial[: int(end)])
                have += int(end)
        streams.append(np.concatenate(parts)[:total])
    return np.stack(streams).astype(np.float64)


def _default_starts(state_map: StateMap, n_starts: int, rng: np.random.Generator) -> Float[np.ndarray, "start state"]:
    begin = state_map.initial_states(n_starts, rng) + 0.1 * rng.standard_normal((n_starts, state_map.state_size))
    if state_map.domain is None:
        return begin
    finite = np.isfinite(state_map.domain).all(0)
    low, high = np.where(finite, state_map.domain, 0.0)
    # A bound on one side (rectified units) is kept.
    return np.where(finite, rng.uniform(low, high, begin.shape), np.clip(begin, *state_map.domain))
