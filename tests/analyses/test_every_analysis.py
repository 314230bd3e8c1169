"""Every analysis on many odd systems: an answer that says how far it can be trusted, or why there is none."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchrecurrent
from torch import nn

import rnnscope as rs
from rnnscope import NotApplicable, cells, tasks
from rnnscope.analyses import ANALYSES
from rnnscope.maps import Conjugated, EncodedMap, HeldInput
from rnnscope.records.result_files import load_result, save_result


class Bare:
    """A map of a user's own with the required members alone."""

    state_size, input_size = 3, 2

    def step(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return np.tanh(0.5 * states[..., ::-1] + inputs.sum(-1, keepdims=True))

    def jacobian(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return 0.5 * (1 - self.step(states, inputs)[..., None] ** 2) * np.eye(3)[::-1]

    def input_jacobian(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return np.repeat(1 - self.step(states, inputs)[..., None] ** 2, 2, -1)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> np.ndarray:
        return np.zeros((n_trials, 3))


class Own(nn.Module):
    state_size, input_size = 4, 2

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def step(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(torch.cat([h, x], -1)))


def seeded(kind: Callable[..., nn.Module], *sizes: int, **settings: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(*sizes, **settings)


def with_task(cell: cells.Cell, task: tasks.Task) -> rs.Subject:
    network = rs.Network(cell, task.input_size, task.output_size, generator=torch.Generator().manual_seed(0))
    return rs.Subject(network.map(), task, "untrained")


def foreign(name: str) -> rs.Subject:
    """A cell of another make, wrapped by the general rule, on a task."""
    cell, task = seeded(getattr(torchrecurrent, name), 1, 5), tasks.Parity(2)
    return rs.Subject(rs.wrap(cell, readout=seeded(nn.Linear, 5, task.output_size)), task, name)


def mamba(task: tasks.Task) -> rs.Subject:
    """A language model whose state is in its cache: two layers of two channels."""
    from transformers import MambaConfig, MambaForCausalLM

    settings = {"hidden_size": 2, "state_size": 2, "num_hidden_layers": 2, "expand": 1, "conv_kernel": 2}
    config = MambaConfig(vocab_size=task.input_size, time_step_rank=1, pad_token_id=None, **settings)
    config.bos_token_id = config.eos_token_id = None
    return rs.Subject(rs.wrap(seeded(MambaForCausalLM, config)), task, "Mamba")


def random_start(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, 2))


SYSTEMS: dict[str, Callable[[], object]] = {
    "one unit, no input": lambda: rs.FunctionMap(lambda h: 3.7 * h * (1 - h), state_size=1, domain=(0, 1)),
    "a map that blows up": lambda: rs.FunctionMap(lambda h: 10 * h, state_size=2, initial=random_start),
    "a map that stands still": lambda: rs.FunctionMap(lambda h: h, state_size=2),
    "a map that is not a number": lambda: rs.FunctionMap(lambda h: h * np.nan, state_size=2),
    "a turn": lambda: Conjugated(
        rs.FunctionMap(lambda h: 0.9 * h, state_size=2, initial=random_start), np.eye(2)[::-1]
    ),
    "an input and no task": lambda: rs.FunctionMap(lambda h, u: np.tanh(h + u), state_size=1, input_size=1),
    "a user's own map": Bare,
    "a user's own module": lambda: seeded(Own),
    "a stack of LSTMs": lambda: seeded(nn.LSTM, 2, 3, num_layers=2),
    "a ReLU cell of torch's": lambda: seeded(nn.RNNCell, 1, 4, nonlinearity="relu"),
    "a held input": lambda: HeldInput(rs.as_subject(seeded(nn.GRU, 2, 4)).map, [0.5, -0.5]),
    **{
        f"{name} untrained": lambda kind=kind: with_task(kind.examples()[0], tasks.Parity(2))
        for name, kind in cells.CELLS.items()
    },
    "a cell of another make": lambda: foreign("MGUCell"),
    "a cell of another make with two parts": lambda: foreign("LEMCell"),
    "a cell of another make with an output": lambda: foreign("MCLSTMCell"),
    "a cell of another make without second derivatives": lambda: foreign("DSGUCell"),
    "an encoder": lambda: EncodedMap(rs.wrap(seeded(nn.GRU, 2, 4)), seeded(nn.Linear, 1, 2), 1),
    "a Mamba": lambda: mamba(tasks.NextSymbol("golden-mean")),
    "several heads": lambda: with_task(cells.GRU(5), tasks.Parity([2, 3])),
    "analogue": lambda: with_task(cells.LSTM(3), tasks.DelayedMatchEpochs()),
    "next symbol": lambda: with_task(cells.GRU(5), tasks.NextSymbol("golden-mean")),
    "emission": lambda: with_task(cells.Vanilla(5), tasks.HMMEmission(tasks.linear_chain(2), length=20)),
}


@pytest.mark.filterwarnings("ignore:qr_every")
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", ANALYSES)
def test_an_answer_or_a_reason(name: str, system: str, tmp_path):
    entry = ANALYSES[name]
    reason = ""
    try:
        found = entry.on(SYSTEMS[system](), **entry.quick)
    except NotApplicable as error:
        found, reason = None, str(error)
    if found is None:
        assert len(reason) > 20, f"no reason that helps: {reason}"
        return
    assert isinstance(found, entry.results)
    assert found.summary()
    assert found.made.analysis == name
    assert set(found.made.settings) == set(entry.question.settings), "a setting is recorded nowhere"
    save_result(found, tmp_path / "result")
    back = load_result(type(found), tmp_path / "result")
    assert back.summary() == found.summary()
    assert back.made == found.made
    for card, drawing in entry.figures.items():
        try:
            figure = drawing.draw(back)
        except NotApplicable:
            continue
        assert figure.layout.title.text, card
