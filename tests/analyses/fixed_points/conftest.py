"""The trained networks that tests of fixed points share: three-bit flip-flops with 27 fixed points, found elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.tasks.task import Trials

DATA = Path(__file__).resolve().parents[2] / "data"


def load(kind: str) -> tuple[torch.nn.Module, Any]:
    data = np.load(DATA / f"flipflop_{kind}16.npz")
    module = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[kind](3, 16)
    module.load_state_dict({name[4:]: torch.tensor(data[name]) for name in data.files if name.startswith("rnn.")})
    return module, data


class Run:
    """What analyses ask of a run: trials of its task, and its network."""

    def __init__(self, kind: str) -> None:
        self.module, self.data = load(kind)
        self.task = self

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        chosen = rng.integers(0, 128, n_trials)
        inputs, targets = (self.data[name][chosen].astype(np.float32) for name in ("valid_inputs", "valid_targets"))
        return Trials(inputs, targets, np.ones(inputs.shape[:2], bool))

    def network(self) -> "Run":
        return self

    def map(self) -> rs.StateMap:
        return rs.as_map(self.module)


@pytest.fixture
def flip_flop() -> Callable[[str], tuple[torch.nn.Module, Any]]:
    """kind ("tanh" or "gru") -> (torch module, file with its fixed points and trials)."""
    return load


@pytest.fixture
def flip_flop_run() -> Callable[[str], Run]:
    """kind -> a run of that network."""
    return Run
