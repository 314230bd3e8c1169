"""A network at work: what drives it, fresh draws of that, and the symbols that it then emits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.numerics.affine import Affine
from rnnscope.subjects.interventions.changed import step_changing
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.task import Task

# Trials that are drawn at once: fewer make more calls, more take more memory.
TOGETHER = 256
# Numbers larger than this are on their way to infinity, whatever the units of a state.
DIVERGED = 1e100


class Driven(NamedTuple):
    """Trajectories of a network at work, after what was left out at their beginning.

    Attributes:
        inputs: what was shown at each step.
        states: after it.
        symbols: what they emit, from 0.
    """

    inputs: Float[np.ndarray, "trial time input"]
    states: Float[np.ndarray, "trial time state"]
    symbols: Int64[np.ndarray, "trial time"]


@dataclass(frozen=True, eq=False)
class Drive:
    """A network, and what drives it.

    Attributes:
        subject: the network.
        state_map: its map before its states are changed.
        edit: what is done to them after each step; None for nothing.
        task: whose trials are shown, one after another, without their padding; None where none are.
        noise: standard deviation of what is added to every number of a state after each step.
        n_heads: groups of outputs, of which each emits one symbol; 1 for most.
    """

    subject: Subject
    state_map: CompleteMap
    edit: Affine | None
    task: Task | None
    noise: float
    n_heads: int

    @property
    def words(self) -> str:
        """ "task trials", "noise" or "task trials and noise"."""
        return " and ".join(["task trials"] * (self.task is not None) + ["noise"] * (self.noise > 0))

    @property
    def n_symbols(self) -> int:
        """Symbols that it may emit; of several heads their combinations."""
        return (self.subject.map.readout_size // self.n_heads) ** self.n_heads

    def inputs(self, n: int, n_steps: int, rng: np.random.Generator) -> Float[np.ndarray, "trial time input"]:
        """Fresh inputs: for each of `n` whole trials one after another, as many as it takes; zeros without a task."""
        if self.task is None:
            return np.broadcast_to(np.zeros(self.subject.input_size), (n, n_steps, self.subject.input_size))
        found, trials = np.empty((n, n_steps, self.subject.input_size)), _whole_trials(self.task, rng)
        for row in found:
            have = 0
            while have < n_steps:
                part = next(trials)[: n_steps - have]
                row[have : have + len(part)] = part
                have += len(part)
        return found

    def scaled(self, amplitude: float) -> "Drive":
        """The same with process noise of this many times its size."""
        return replace(self, noise=amplitude * self.noise)

    def starts(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        """The map's own initial states."""
        return self.subject.map.initial_states(n, rng)

    def step(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial input"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "trial state"]:  # fmt: skip
        """The states after a step: noise comes before what an intervention does to them."""
        if not self.noise:
            return self.subject.map.step(states, inputs)
        added = self.noise * rng.standard_normal(states.shape)

        def change(part: slice, new: np.ndarray) -> np.ndarray:
            new = new + added[:, part]
            return new if self.edit is None else self.edit.part(part)(new)

        return step_changing(self.state_map, states, inputs, change)

    def follow(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"],
        rng: np.random.Generator,
    ) -> Float[np.ndarray, "trial time state"]:  # fmt: skip
        """The states after each input.

        Raises:
            NotApplicable: they diverge.
        """
        with np.errstate(all="ignore"), linalg.one_thread():
            if not self.noise:
                found = self.subject.map.unroll(states, np.ascontiguousarray(inputs))
            else:
                found = np.empty((*inputs.shape[:2], states.shape[1]))
                for t in range(inputs.shape[1]):
                    found[:, t] = states = self.step(states, inputs[:, t], rng)
            if not (np.abs(found) < DIVERGED).all():
                raise NotApplicable(
                    "the states diverge when the network is driven: there is no stationary course of which anything "
                    "could be said; look at an earlier checkpoint, or at less noise"
                )
        return found

    def run(self, n_trials: int, transient: int, n_steps: int, rng: np.random.Generator) -> Driven:
        """Fresh trajectories from the map's own initial states, without their first `transient` steps."""
        shown = self.inputs(n_trials, transient + n_steps, rng)
        states = self.follow(self.starts(n_trials, rng), shown, rng)[:, transient:]
        return Driven(shown[:, transient:], states, self.emitted(states))

    def outputs(self, states: Float[np.ndarray, "*batch state"]) -> Float[np.ndarray, "*batch output"]:
        return self.subject.map.readout(states)

    def symbols(self, outputs: Float[np.ndarray, "*batch output"]) -> Int64[np.ndarray, "*batch"]:
        """The largest output; of several heads one number for the largest of each."""
        by_head = outputs.reshape(*outputs.shape[:-1], self.n_heads, -1)
        return by_head.argmax(-1) @ (by_head.shape[-1] ** np.arange(self.n_heads))

    def emitted(self, states: Float[np.ndarray, "*batch state"]) -> Int64[np.ndarray, "*batch"]:
        return self.symbols(self.outputs(states))

    def certainty(self, states: Float[np.ndarray, "*batch state"]) -> Float[np.ndarray, "*batch"]:
        """The largest probability of a symbol, where outputs are logits: of their softmax."""
        outputs = self.outputs(states)
        by_head = outputs.reshape(*outputs.shape[:-1], self.n_heads, -1)
        return (1 / np.exp(by_head - by_head.max(-1, keepdims=True)).sum(-1)).prod(-1)


def drive_of(subject: Subject, noise: float, emits: bool = True) -> Drive:
    """What drives a network: its task's trials, noise, or both.

    Args:
        subject: the network.
        noise: standard deviation of process noise.
        emits: whether it must emit symbols: have at least two outputs that are no values of their own.

    Raises:
        NotApplicable: nothing drives it, or it emits nothing.
    """
    task = subject.task if subject.input_size else None
    if task is None and not noise:
        raise NotApplicable(
            "nothing drives this network: it has no task whose trials are shown to it. Give it one "
            "(rs.Subject(map, task)), or noise=, the standard deviation of process noise"
        )
    size, n_heads = subject.map.readout_size, 1
    if emits:
        if size < 2:
            raise NotApplicable(
                f"it emits no symbols: these are the largest of at least two outputs, and its readout has {size}"
            )
        if subject.task is not None and subject.task.output_size == size:
            if subject.task.loss == "mse":
                raise NotApplicable(
                    f"it emits no symbols: the outputs of {type(subject.task).__name__} are values, of which none is "
                    "emitted rather than another"
                )
            n_heads = subject.task.n_heads
    state_map, edit = subject.before_edits()
    return Drive(subject, state_map, edit, task, noise, n_heads)


def _whole_trials(task: Task, rng: np.random.Generator) -> Iterator[Float[np.ndarray, "time input"]]:
    while True:
        trials = task.sample(TOGETHER, rng)
        length = np.asarray(trials.info.get("length", np.full(len(trials), trials.inputs.shape[1])))
        if not length.sum():
            raise ValueError(f"the trials, inputs of shape {trials.inputs.shape}, have no steps: give longer ones")
        for row, n in zip(trials.inputs, length.tolist(), strict=True):
            yield row[: int(n)]
