"""What networks are asked that have one head for each N: the state after each trial, and what a head, or a new linear
read-out of that state, should say of it."""

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.task import Task

MOST_NUMBERS = 4_000_000  # of states in memory together
SOLVED = 0.98  # accuracy of a head that is solved (Khajehabdollahi et al., ICLR 2024)


class Asked(NamedTuple):
    """The states in which answers are wanted, one of each trial, and the answers, of one head."""

    states: Float[np.ndarray, "trial unit"]
    wanted: Int64[np.ndarray, " trial"]

    @property
    def chance(self) -> float:
        """The share of the commonest answer."""
        return float(np.bincount(self.wanted).max() / len(self.wanted))


def task_with_heads(subject: Subject) -> Task:
    """The task of a subject, where it has one head for each N.

    Raises:
        NotApplicable: there is no such task, or the outputs are not its own.
    """
    task = subject.task
    if task is None or not task.ns or task.loss != "cross_entropy":
        raise NotApplicable("its task has no heads for several N, as N-parity and delayed match-to-sample have")
    if subject.map.readout_size != task.output_size:
        raise NotApplicable(f"its {subject.map.readout_size} outputs are not the {task.output_size} of the task")
    return task


def of_ns(task: Task, *ns: int) -> Task:
    """The same task with heads for other N.

    Raises:
        NotApplicable: the task has no setting `n`, so that nobody knows how to ask for another N.
    """
    if "n" not in getattr(task, "__dataclass_fields__", {}):
        raise NotApplicable(f"{type(task).__name__} has no setting n by which it could be asked for another N")
    return replace(task, n=ns)  # pyright: ignore[reportArgumentType, reportCallIssue]


def ask(subject: Subject, task: Task, n_trials: int, rng: np.random.Generator) -> Asked:
    """Show trials of a task, and keep the states in which its first head is asked; trials without such a step are
    left out.

    Raises:
        NotApplicable: the states diverge.
    """
    trials = task.sample_fresh(n_trials, rng)
    begin = subject.map.initial_states(len(trials), rng)
    _, n_steps, _ = trials.inputs.shape
    at_once = max(1, MOST_NUMBERS // (n_steps * subject.state_size))
    states = np.empty((len(trials), subject.state_size))
    last = n_steps - 1 - trials.mask[:, ::-1].argmax(1)
    for first in range(0, len(trials), at_once):
        some = slice(first, first + at_once)
        with np.errstate(all="ignore"):
            shown = subject.map.unroll(begin[some], trials.inputs[some].astype(float))
        states[some] = shown[np.arange(len(shown)), last[some]]
    if not np.isfinite(states).all():
        raise NotApplicable("its states diverge on trials of its task: look at an earlier checkpoint")
    asked = trials.mask.any(1)
    return Asked(states[asked], trials.targets[np.arange(len(trials)), last, 0][asked].astype(np.int64))


def right_by_head(subject: Subject, task: Task, head: int, asked: Asked) -> Bool[np.ndarray, " trial"]:
    """Whether a head of the network, of those of its task, says what is wanted."""
    outputs = subject.map.readout(asked.states).astype(np.float32)
    return task.labels(outputs)[:, head] == asked.wanted


def right_by_new_readout(subject: Subject, fitted: Asked, held_out: Asked) -> Bool[np.ndarray, " trial"]:
    """Whether a new linear read-out, fitted on some trials, says of others what is wanted: logistic regression on what
    the last layer shows, each unit scaled by its spread. What it cannot read may still be there, otherwise coded."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(fitted.wanted)) < 2:
        return held_out.wanted == fitted.wanted[0]
    last = max(subject.map.layout, key=lambda part: (part.layer, part.name == "h"))
    shown = slice(last.start, last.stop)
    mean, spread = fitted.states[:, shown].mean(0), fitted.states[:, shown].std(0)
    spread = np.where(spread > 1e-12 * max(float(spread.max()), 1e-300), spread, np.inf)
    scaled = [(each.states[:, shown] - mean) / spread for each in (fitted, held_out)]
    readout = LogisticRegression(C=10.0, max_iter=300)
    with warnings.catch_warnings():
        # Where trials can be told apart without error it never ends; the trials that are held out judge it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        readout.fit(scaled[0], fitted.wanted)
    return np.asarray(readout.predict(scaled[1]) == held_out.wanted)
