"""The one place that looks into what analyses are asked of; trials and visited states are drawn once."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import rnnscope as rs
from rnnscope import NotApplicable, cells, tasks
from rnnscope.records.runs import blank_network, checkpoint_name
from rnnscope.records.writing import create_run, tensor_bytes, update_run


@pytest.fixture
def run(tmp_path):
    """A run with two checkpoints of other weights."""
    made = create_run(tmp_path / "a-run", tasks.Parity(2), cells.Vanilla(6), {"readout_bias": True}, seed=0)
    for step in (0, 5):
        network = blank_network(made.task, made.cell, made.settings, torch.Generator().manual_seed(step))
        update_run(made, {checkpoint_name(step): tensor_bytes(network.state_dict())})
    return update_run(made, status="finished")


class Own(nn.Module):
    state_size, input_size = 4, 2

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def step(self, h, x):
        return torch.tanh(self.layer(torch.cat([h, x], -1)))


def test_every_kind_of_system():
    network = rs.Network(cells.GRU(4), 2, 3, generator=torch.Generator().manual_seed(0))
    state_map = network.map()
    found = rs.as_subject(state_map)
    assert found.map is state_map
    assert rs.as_subject(found) is found
    for system, size in ((network, 4), (nn.LSTM(2, 3, num_layers=2), 12), (nn.GRUCell(2, 5), 5), (Own(), 4)):
        subject = rs.as_subject(system)
        assert subject.map.state_size == size
        assert (subject.task, subject.name, subject.run, subject.checkpoints) == (None, "", None, [])
    for nothing in (3, "GRU", None, cells.GRU(3), nn.Linear(2, 2)):
        with pytest.raises(TypeError, match=f"cannot see a state in a {type(nothing).__name__}: give a Run"):
            rs.as_subject(nothing)


def test_a_run_brings_its_task_name_and_origin(run):
    subject = rs.as_subject(run)
    assert isinstance(subject.task, tasks.Parity)
    assert (subject.name, subject.checkpoint, subject.checkpoints) == ("a-run", 5, [0, 5])
    assert (subject.origin.run, subject.origin.checkpoint) == ("a-run", 5)
    h, u = np.full((1, 6), 0.3), np.ones((1, 1))
    np.testing.assert_array_equal(subject.map.step(h, u), run.network().map().step(h, u))
    first = subject.at(0)
    assert subject.at(0) is first
    assert subject.at(5) is subject
    np.testing.assert_array_equal(first.map.step(h, u), run.network(0).map().step(h, u))
    assert rs.as_subject(run, step=0).origin == first.origin
    assert not first.origin.is_same(subject.origin)
    assert first.origin.is_same(rs.as_subject(run.network(0)).origin), "the same weights, whatever holds them"
    with pytest.raises(rs.RunError, match="no checkpoint at step 3; there are 0, 5"):
        subject.at(3)
    with pytest.raises(ValueError, match="only a run has checkpoints"):
        rs.as_subject(nn.RNN(1, 2), step=3)


def test_a_function_is_the_same_as_nothing():
    origin = rs.as_subject(rs.FunctionMap(np.tanh, state_size=2)).origin
    assert origin.weights is None
    assert not origin.is_same(origin)


def test_trials_and_visited_states_are_drawn_once(run, monkeypatch):
    drawn = []
    sample = tasks.Parity.sample

    def counted(self, n_trials, rng):
        drawn.append(n_trials)
        return sample(self, n_trials, rng)

    monkeypatch.setattr(tasks.Parity, "sample", counted)
    subject = rs.as_subject(run)
    assert subject.trials(16, 0) is subject.trials(16, 0)
    assert subject.visited(16, 0) is subject.visited(16, 0)
    assert drawn == [16]
    other = subject.trials(16, 1)
    assert not np.array_equal(other.inputs, subject.trials(16, 0).inputs)
    assert drawn == [16, 16]
    trajectories = subject.trajectories(n_trials=16, seed=0)
    np.testing.assert_array_equal(trajectories.states, rs.simulate(run, n_trials=16, seed=0).states)
    np.testing.assert_array_equal(subject.visited(16, 0).states, trajectories.visited)
    assert subject.visited(16, 0).source == "task trials"
    with pytest.raises(ValueError, match="read-only"):
        subject.visited(16, 0).states[0] = 0


def test_what_has_no_task_is_seen_in_a_free_run():
    decay = rs.as_subject(rs.FunctionMap(lambda h: 0.5 * h, state_size=1, initial=lambda n, rng: rng.random((n, 1))))
    states, source = decay.visited()
    assert source == "free run"
    assert states.shape == (64 * 200, 1)
    assert states.max() < 0.5
    with pytest.raises(NotApplicable, match="it is not known what to show"):
        decay.trials(3, 0)
    growing = rs.FunctionMap(lambda h: 10 * h, state_size=1, initial=lambda n, rng: np.ones((n, 1)))
    assert rs.as_subject(growing).visited().states.max() < 1e6, "states on their way to infinity are none of it"
    with pytest.raises(NotApplicable, match="no finite state"):
        rs.as_subject(rs.FunctionMap(lambda h: h * np.nan, state_size=1)).visited()


def test_what_is_made_of_a_subject_has_states_of_its_own(run):
    subject = rs.as_subject(run)
    other = dataclasses.replace(subject, map=subject.at(0).map)
    assert not np.array_equal(subject.visited(8, 0).states, other.visited(8, 0).states)
    assert other.trials(8, 0) is subject.trials(8, 0), "trials do not depend on the weights"
    assert subject.at(0).at(5) is subject
    with pytest.raises(ValueError, match="read-only"):
        subject.trials(8, 0).inputs[:] = 0
