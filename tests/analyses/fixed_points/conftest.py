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


class StoredTrials(rs.tasks.FlipFlop):
    """The flip-flop with the trials that these networks were tested on."""

    kind: str

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        data, chosen = load(self.kind)[1], rng.integers(0, 128, n_trials)
        inputs, targets = (data[name][chosen].astype(np.float32) for name in ("valid_inputs", "valid_targets"))
        return Trials(inputs, targets, np.ones(inputs.shape[:2], bool))


def trained(kind: str) -> rs.Subject:
    """The network with its task."""
    task = StoredTrials()
    object.__setattr__(task, "kind", kind)
    return rs.Subject(rs.as_subject(load(kind)[0]).map, task)


@pytest.fixture
def flip_flop() -> Callable[[str], tuple[torch.nn.Module, Any]]:
    """kind ("tanh" or "gru") -> (torch module, file with its fixed points and trials)."""
    return load


@pytest.fixture
def flip_flop_run() -> Callable[[str], rs.Subject]:
    """kind -> that network with its task."""
    return trained
