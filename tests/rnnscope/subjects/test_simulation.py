"""Trajectories: those of the network, in float64, with the noise asked and the padding marked."""

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.tasks.task import Trials

EVERY = [cell for kind in cells.CELLS.values() for cell in kind.examples()]
INPUTS = np.random.default_rng(0).standard_normal((4, 9, 3))


def network_of(cell: cells.Cell | None = None) -> rs.Network:
    return rs.Network(cell or cells.GRU(6), 3, 2, generator=torch.Generator().manual_seed(0))


TASK = tasks.Parity(3)


def subject_of() -> rs.Subject:
    generator = torch.Generator().manual_seed(0)
    network = rs.Network(cells.Leaky(5), TASK.input_size, TASK.output_size, generator=generator)
    return rs.Subject(network.map(), TASK)


@pytest.mark.parametrize("cell", EVERY, ids=str)
def test_against_forward_in_float64(cell: cells.Cell):
    network = network_of(cell)
    start = 0.5 * np.random.default_rng(1).random((4, network.cell.state_size))
    found = rs.simulate(network, INPUTS, initial=start)
    with torch.no_grad():
        wanted = network.double().states(torch.from_numpy(INPUTS), initial=torch.from_numpy(start))
    np.testing.assert_allclose(found.states, wanted, rtol=0, atol=1e-12)
    assert found.states.dtype == np.float64
    assert np.array_equal(found.inputs, INPUTS)
    assert np.array_equal(found.initial, start)
    assert found.valid.all()
    assert found.valid.shape == (4, 9)
    assert np.array_equal(found.visited, found.states.reshape(36, -1))
    assert found.trials is None


def test_arrays_given_are_not_shared():
    start, shown = np.zeros((4, 6)), INPUTS.copy()
    found = rs.simulate(network_of(), shown, initial=start)
    assert not np.shares_memory(found.initial, start)
    assert not np.shares_memory(found.inputs, shown)
    found.states[:] = found.initial[:] = found.inputs[:] = 7
    assert not start.any()
    assert np.array_equal(shown, INPUTS)


def test_the_seed_makes_everything():
    network = network_of(cells.GRU(6, start="random"))
    first, again, other = (rs.simulate(network, INPUTS, noise=0.1, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.states, again.states)
    assert np.array_equal(first.initial, again.initial)
    assert not np.array_equal(first.initial, other.initial)
    assert not np.array_equal(first.states, other.states)


def test_noise_has_the_standard_deviation_asked():
    still = rs.FunctionMap(np.zeros_like, state_size=50)
    found = rs.simulate(still, n_trials=200, n_steps=20, noise=0.3, seed=1).states
    assert found.std() == pytest.approx(0.3, rel=0.01)
    assert abs(found.mean()) < 0.003
    walk = rs.simulate(rs.FunctionMap(lambda x: x, state_size=1), n_trials=4000, n_steps=25, noise=0.2).states
    assert walk[:, -1].std() == pytest.approx(0.2 * 5, rel=0.05), "noise does not act on the next step"


def test_without_inputs():
    found = rs.simulate(network_of(), n_steps=5, n_trials=3)
    assert found.states.shape == (3, 5, 6)
    assert not found.inputs.any()
    found = rs.simulate(network_of(), n_steps=5, initial=np.zeros((7, 6)))
    assert found.states.shape == (7, 5, 6)
    logistic = rs.FunctionMap(lambda x: 4 * x * (1 - x), state_size=1, initial=lambda n, rng: rng.random((n, 1)))
    found = rs.simulate(logistic, n_steps=6, n_trials=2)
    assert found.inputs.shape == (2, 6, 0)
    angle = np.arcsin(np.sqrt(found.initial))
    times = 2 ** np.arange(1, 7)[None, :, None]
    np.testing.assert_allclose(found.states, np.sin(times * angle[:, None]) ** 2, atol=1e-12)


def test_trials_of_a_task_and_their_padding():
    trials = TASK.sample(20, np.random.default_rng(0))
    length = trials.info["length"]
    assert length.min() < length.max(), "the trials of this test should differ in length"
    found = rs.simulate(subject_of(), trials)
    assert found.trials is trials
    for row, n in zip(found.valid, length, strict=True):
        assert row[:n].all()
        assert not row[n:].any()
    assert found.visited.shape == (length.sum(), 5)
    own = rs.simulate(subject_of(), n_trials=30, seed=3)
    assert own.trials is not None
    assert own.states.shape[0] == 30
    assert np.array_equal(own.inputs, rs.simulate(subject_of(), n_trials=30, seed=3).inputs)
    still = rs.simulate(subject_of(), n_trials=2, n_steps=4)
    assert still.trials is None
    assert not still.inputs.any()


def test_trials_without_lengths_are_valid_throughout():
    trials = Trials(INPUTS.astype(np.float32), np.zeros((4, 9, 1), np.float32), np.zeros((4, 9), bool))
    found = rs.simulate(network_of(), trials)
    assert found.valid.all()
    assert found.inputs.dtype == np.float64


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "give inputs, or n_steps of at least 1"),
        ({"n_steps": 0}, r"n_steps of at least 1 \(got n_steps=0\)"),
        ({"inputs": np.zeros((4, 9, 2))}, r"shape \(trial, time, 3\), got \(4, 9, 2\)"),
        ({"inputs": np.zeros((4, 9))}, r"shape \(trial, time, 3\), got \(4, 9\)"),
        ({"inputs": INPUTS, "initial": np.zeros((4, 5))}, r"shape \(4, 6\), one a trial, got \(4, 5\)"),
        ({"inputs": INPUTS, "initial": np.zeros((3, 6))}, r"shape \(4, 6\), one a trial, got \(3, 6\)"),
        ({"inputs": INPUTS, "noise": -0.1}, r"finite and not negative, got -0\.1"),
        ({"inputs": INPUTS, "noise": float("nan")}, "finite and not negative, got nan"),
    ],
    ids=str,
)
def test_errors(settings: dict, told: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check of annotations would come first
    with pytest.raises(ValueError, match=told):
        rs.simulate(network_of(), **settings)
