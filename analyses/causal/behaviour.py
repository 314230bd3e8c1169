"""What a network does on trials, measured in blocks of trials, so that what is measured has an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks.task import Criterion, Task, Trials

# Blocks of trials: the error of a mean of so few is itself known to a quarter.
N_BLOCKS = 8


class Measured(NamedTuple):
    """Of each block of trials; `score` and `switching` have no blocks where there is no task to ask. Where outputs are
    not finite, the change is infinite and the others are NaN.

    Attributes:
        output_change: rms of the change of the outputs, relative to the rms of the intact ones about their mean.
        score: the metric of the task's first criterion.
        switching: share of the steps within trials at which the decision changes.
        whole_score: the metric of all trials together, which need not be the mean over blocks; NaN without a task.
    """

    output_change: Float[np.ndarray, "*of block"]
    score: Float[np.ndarray, "*of score_block"]
    switching: Float[np.ndarray, "*of switch_block"]
    whole_score: Float[np.ndarray, "*of"]

    @classmethod
    def stack(cls, several: "Sequence[Measured]") -> "Measured":
        return cls(*(np.stack(each) for each in zip(*several, strict=True)))


@dataclass(frozen=True)
class Reading:
    """How outputs are measured.

    Attributes:
        task, trials: what the outputs are judged by; None where that is not known.
        criterion: the first of the task, where outputs alone can be asked.
        valid: where trials go on.
        counts: where outputs count: the task's mask, or all that is valid.
    """

    task: Task | None
    trials: Trials | None
    criterion: Criterion | None
    valid: Bool[np.ndarray, "trial time"]
    counts: Bool[np.ndarray, "trial time"]

    def of(
        self, outputs: Float[np.ndarray, "trial time output"], intact: Float[np.ndarray, "trial time output"]
    ) -> Measured:
        blocks = np.array_split(np.arange(len(outputs)), min(N_BLOCKS, len(outputs)))
        size = np.sqrt(np.mean((intact[self.counts] - intact[self.counts].mean(0)) ** 2))
        # Outputs that are constant but for rounding have no size of their own about their mean.
        largest = float(np.abs(intact[self.counts]).max(initial=0.0))
        size = size if size > 1e-9 * largest else largest or 1.0
        if not np.isfinite(outputs[self.counts]).all():
            none = [np.full(len(blocks) if known else 0, np.nan) for known in (self.criterion, self.task)]
            return Measured(np.full(len(blocks), np.inf), none[0], none[1], np.array(np.nan))
        changes, scores, switching = [], list[float](), list[float]()
        for some in blocks:
            counts = self.counts[some]
            moved = (outputs[some] - intact[some])[counts]
            changes.append(float(np.sqrt(np.mean(moved**2)) / size) if len(moved) else 0.0)
            if self.task is None:
                continue
            label = self.task.labels(outputs[some].astype(np.float32))
            both = self.valid[some, 1:] & self.valid[some, :-1]
            switching.append(float((label[:, 1:] != label[:, :-1]).any(-1)[both].mean()) if both.any() else 0.0)
            if self.criterion is not None:
                scores.append(self._score(outputs, some))
        whole = np.nan if self.criterion is None else self._score(outputs, np.arange(len(outputs)))
        return Measured(np.array(changes), np.array(scores), np.array(switching), np.array(whole))

    def _score(self, outputs: Float[np.ndarray, "trial time output"], some: Int64[np.ndarray, " some"]) -> float:
        if self.task is None or self.trials is None or self.criterion is None:
            raise TypeError("there is no task to score outputs by")
        t = self.trials
        info = {name: np.asarray(value)[some] for name, value in t.info.items()}
        block = Trials(t.inputs[some], t.targets[some], t.mask[some], info)
        metrics = self.task.metrics(outputs[some].astype(np.float32), block, np.random.default_rng(0))
        return metrics[self.criterion.metric]


def reading(subject: Subject, shown: Trajectories) -> Reading:
    """How to measure what a network does on these trials: by its task where it has one and they are the task's."""
    trials, task = shown.trials, subject.task
    if trials is None or task is None or subject.map.readout_size != task.output_size:
        return Reading(None, None, None, shown.valid, shown.valid)
    # What is emitted is judged as a distribution, which the outputs of few trials hardly are.
    criterion = None if task.loss == "sinkhorn" else task.criterion[0]
    counts = trials.mask & shown.valid
    return Reading(task, trials, criterion, shown.valid, counts if counts.any() else shown.valid)
