"""What to learn: one file per task, numpy only, knowing nothing of networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnscope.tasks.array_settings import with_arrays
from rnnscope.tasks.delayed_addition import DelayedAddition
from rnnscope.tasks.delayed_match import DelayedMatchToSample
from rnnscope.tasks.delayed_match_epochs import DelayedMatchEpochs
from rnnscope.tasks.evidence_accumulation import EvidenceAccumulation
from rnnscope.tasks.flip_flop import FlipFlop
from rnnscope.tasks.formal_language import FormalLanguage
from rnnscope.tasks.from_arrays import FromArrays
from rnnscope.tasks.hmm import HMM, cyclic, fully_connected, linear_chain
from rnnscope.tasks.hmm_emission import HMMEmission, sample_symbols
from rnnscope.tasks.next_symbol import NextSymbol
from rnnscope.tasks.parity import Parity
from rnnscope.tasks.process import Process
from rnnscope.tasks.settings import from_config, to_config
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials

TASKS: dict[str, type[Task]] = {
    "Parity": Parity,
    "DelayedMatchToSample": DelayedMatchToSample,
    "DelayedMatchEpochs": DelayedMatchEpochs,
    "DelayedAddition": DelayedAddition,
    "EvidenceAccumulation": EvidenceAccumulation,
    "HMMEmission": HMMEmission,
    "FlipFlop": FlipFlop,
    "FormalLanguage": FormalLanguage,
    "NextSymbol": NextSymbol,
    "FromArrays": FromArrays,
}


def task_from_config(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> Task:
    """Make the task that `to_config` described: `{"kind": "Parity", "n": 3}`.

    Args:
        arrays: the task's own `arrays`, which the config only describes.

    Raises:
        ValueError: an unknown kind or setting, or a value that the task refuses.
    """
    return from_config(with_arrays(config, arrays or {}), TASKS, "task")


__all__ = [
    "HMM",
    "TASKS",
    "Criterion",
    "DelayedAddition",
    "DelayedMatchEpochs",
    "DelayedMatchToSample",
    "EvidenceAccumulation",
    "FlipFlop",
    "FormalLanguage",
    "FromArrays",
    "HMMEmission",
    "LossKind",
    "NextSymbol",
    "Parity",
    "Process",
    "Task",
    "Trials",
    "cyclic",
    "fully_connected",
    "linear_chain",
    "sample_symbols",
    "task_from_config",
    "to_config",
]


def __dir__() -> list[str]:
    return __all__
