"""The trajectories that tangent vectors are carried along: what is shown, where they start, and the walk."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import ArrayLike

from rnnscope.cost import Settings
from rnnscope.maps import CompleteMap, HeldInput
from rnnscope.question import Axes
from rnnscope.subjects.starts import checked_starts, starts_anywhere
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Task, Trials

# What may be shown: a sequence, the same for all starts or one for each, or trials one after another.
Shown = Annotated[ArrayLike, Axes("time input")] | Annotated[ArrayLike, Axes("start time input")] | Trials
TRANSIENT = 200  # where it is not said
DRIVEN = ("task trials", "given inputs")


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

    state_map: CompleteMap
    begin: Float[np.ndarray, "start state"]
    inputs: Float[np.ndarray, "start time input"]
    given: Float[np.ndarray, "start time state"] | None
    drive: str
    noise: float
    shared: bool

    def twins(self, rng: np.random.Generator) -> Float[np.ndarray, "start state"] | None:
        """Where each start is shown something else, or has noise of its own: another state beside each, to be shown the
        same, which shows whether starts are forgotten. It is that of the next start, or a random one where these are
        equal. None where there is no such need, where nothing drives the map, or states were given.
        """
        if self.drive not in DRIVEN or self.given is not None or (self.shared and not self.noise):
            return None
        others = np.roll(self.begin, 1, axis=0)
        equal = (others == self.begin).all(1, keepdims=True)
        return np.where(equal, starts_anywhere(self.state_map, len(self.begin), rng), others)

    def later(self, n_steps: int, rng: np.random.Generator) -> "Orbits":
        """From where they are so many steps later; where nothing drives the map, so that no inputs are used up."""
        states, shown = self.begin, self.inputs[:, 0]
        for _ in range(n_steps):
            new = self.state_map.step(states, shown)
            states = new + self.noise * rng.standard_normal(new.shape) if self.noise else new
        return replace(self, begin=states)

    def others_apart(self, n: int, merged: float, rng: np.random.Generator) -> tuple[int, int]:
        """(how many random states are shown what the first start is shown, how many do not come to it).

        The walk ends where all distances are below `merged` of what they were, or with the inputs; one that is then
        above ten times that has not come. No states are compared where there are no inputs, or states were given.
        """
        if self.drive not in DRIVEN or self.given is not None or not n:
            return 0, 0
        states = np.concatenate([self.begin[:1], starts_anywhere(self.state_map, n, rng)])
        distance = begun = np.linalg.norm(states[1:] - states[0], axis=1)
        for t, shown in enumerate(self.inputs[0], 1):
            states = self.state_map.step(states, np.broadcast_to(shown, (len(states), len(shown))))
            states = states + self.noise * rng.standard_normal((1, states.shape[1])) if self.noise else states
            if t % 20 == 0 or t == self.inputs.shape[1]:
                distance = np.linalg.norm(states[1:] - states[0], axis=1)
                if (distance <= merged * begun).all():
                    break
        return n, int((~(distance <= 10 * merged * begun)).sum())  # one that diverged has no distance

    def walk(
        self,
        diverged_at: Integer[np.ndarray, " start"],
        rng: np.random.Generator,
        twins: Float[np.ndarray, "start state"] | None = None,
    ) -> Iterator[tuple[Float[np.ndarray, "start state"], Float[np.ndarray, "start input"]]]:
        """The states before each step and the inputs of that step.

        A start whose state is no longer finite is noted in `diverged_at`, by the number of steps taken, and stands
        still from there on. `twins` are kept where they are before that step, with the same inputs and noise.
        """
        n_steps = self.inputs.shape[1]
        if self.given is not None:
            lost = np.any(~np.isfinite(self.given), axis=2)
            ends = np.where(lost.any(1), lost.argmax(1), n_steps)
            for t in range(n_steps):
                diverged_at[(ends == t) & (diverged_at < 0)] = t
                yield np.where((t < ends)[:, None], self.given[:, t], self.begin), self.inputs[:, t]
            return
        n, pairs = len(self.begin), 1 if twins is None else 2
        states = self.begin if twins is None else np.concatenate([self.begin, twins])
        for t in range(n_steps):
            shown = self.inputs[:, t]
            if twins is not None:
                twins[:], shown = states[n:], np.concatenate([shown, shown])
            yield states[:n], shown[:n]
            new = self.state_map.step(states, shown)
            if self.noise:
                new = new + self.noise * np.tile(rng.standard_normal(self.begin.shape), (pairs, 1))
            lost = np.any(~np.isfinite(new), axis=1)
            lost[n:] = False  # a twin may go where it goes
            if lost.any():
                diverged_at[lost[:n] & (diverged_at < 0)] = t + 1
                new = np.where(lost[:, None], states, new)
            states = new


def orbits_of(
    subject: Subject,
    *,
    input: ArrayLike | None,
    inputs: Shown | None,
    starts: ArrayLike | None,
    trajectory: ArrayLike | None,
    n_starts: int,
    total: int,
    noise: float,
    rng: np.random.Generator,
) -> Orbits:
    """Trajectories of `total` steps; the arguments are those of `lyapunov_spectrum`."""
    if input is not None and inputs is not None:
        raise ValueError("both input (held constant) and inputs (a sequence) are given: choose one")
    if trajectory is not None and (starts is not None or noise):
        raise ValueError("trajectory gives the states of all steps: leave out starts and noise")
    state_map = subject.map if input is None else HeldInput(subject.map, input)
    given = None if trajectory is None else _checked_trajectory(trajectory, state_map.state_size, total)
    begin = None if starts is None else checked_starts(starts, state_map.state_size)
    source, shown = subject.task if state_map.input_size else None, None
    if isinstance(inputs, Trials):
        source = inputs
    elif inputs is not None:
        source, shown = None, _checked_inputs(inputs, state_map.input_size, total)
    if given is not None:
        begin = np.where(np.isfinite(given[:, 0]), given[:, 0], 0.0)
    if begin is not None:
        n_starts = len(begin)
    elif shown is not None and shown.ndim == 3:
        n_starts = len(shown)
    if source is not None and given is not None:
        raise ValueError(
            "a trajectory of a driven run needs the inputs that drove it: give inputs as well, an array "
            f"(time, {state_map.input_size}) or (start, time, {state_map.input_size})"
        )
    if source is not None:
        streams = [stream(unpadded(source, rng), total) for _ in range(n_starts)]
        shown = _checked_inputs(np.stack(streams), state_map.input_size, total)
    if begin is None and source is not None:
        begin = state_map.initial_states(n_starts, rng)
    elif begin is None:
        begin = starts_anywhere(state_map, n_starts, rng)
    if shown is None:
        shown = np.zeros((total, state_map.input_size))
    shared = shown.ndim == 2
    shown = np.broadcast_to(shown, (*((n_starts,) if shared else ()), *shown.shape))
    if len(shown) != n_starts:
        raise ValueError(f"inputs are for {len(shown)} starts, but there are {n_starts}: give one sequence for each")
    drive = "task trials" if source is not None else "given inputs" if inputs is not None else "constant input"
    if state_map.input_size == 0 and input is None:
        drive = "no input"
    return Orbits(state_map, begin, shown, given, drive, noise, shared)


def transient_of(settings: Settings) -> int:
    """How many steps before these settings ask for at least."""
    return TRANSIENT if settings["transient"] is None else settings["transient"]


def starts_of(settings: Settings) -> int:
    """How many trajectories these settings ask for."""
    for name, axes in (("trajectory", 3), ("starts", 2), ("inputs", 3)):
        given = settings.get(name)
        if given is not None and np.ndim(given) == axes:
            return len(given)
    return settings["n_starts"]


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


def _checked_inputs(inputs: ArrayLike, input_size: int, total: int) -> np.ndarray:
    shown = np.asarray(inputs, np.float64)
    if shown.ndim not in (2, 3) or shown.shape[-1] != input_size:
        remedy = ": give numpy.reshape(inputs, (-1, 1))" if shown.ndim == input_size == 1 else ""
        raise ValueError(
            f"inputs must have shape (time, {input_size}) or (start, time, {input_size}), got {shown.shape}{remedy}"
        )
    if shown.shape[-2] < total:
        raise ValueError(
            f"inputs have {shown.shape[-2]} steps, transient + n_steps asks for {total}: "
            "give longer inputs, or ask for fewer steps"
        )
    if not np.isfinite(shown).all():
        raise ValueError("inputs must be finite numbers")
    return shown[..., :total, :]


def unpadded(source: Task | Trials, rng: np.random.Generator) -> Iterator[Float[np.ndarray, "time input"]]:
    """Trials without end and without padding: new ones of a task, or those given, in another order each time."""
    while True:
        trials = source if isinstance(source, Trials) else source.sample(8, rng)
        length = np.asarray(trials.info.get("length", np.full(len(trials), trials.inputs.shape[1])))
        if not length.sum():
            raise ValueError(f"the trials, inputs of shape {trials.inputs.shape}, have no steps: give longer ones")
        for i in rng.permutation(len(trials)) if trials is source else range(len(trials)):
            yield trials.inputs[i, : int(length[i])].astype(np.float64)


def stream(trials: Iterator[Float[np.ndarray, "time input"]], total: int) -> Float[np.ndarray, "time input"]:
    """Whole trials one after another."""
    parts, have = [], 0
    while have < total:
        parts.append(next(trials))
        have += len(parts[-1])
    return np.concatenate(parts)[:total]
