"""The spectrum along checkpoints whose weights are known."""

from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.analyses.lyapunov import LyapunovOverTraining, lyapunov_over_training, lyapunov_spectrum
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.records.runs import Run, blank_network, checkpoint_name
from rnnscope.records.writing import create_run, tensor_bytes, update_run
from rnnscope.subjects.not_applicable import NotApplicable


def a_run(path: Path, gains: dict[int, float]) -> Run:
    """A network whose recurrent weights are a rotation times the gain of each step: λ_1 < ln(gain), near it at rest."""
    task, cell = tasks.Parity(2), cells.Vanilla(6)
    run = create_run(path, task, cell, {"readout_bias": True}, seed=0)
    network = blank_network(task, cell, run.settings, torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    for step, gain in gains.items():
        state = network.state_dict()
        for name, value in state.items():
            if tuple(value.shape) == (6, 6):
                state[name] = gain * rotation
            elif "bias" in name:
                state[name] = torch.zeros_like(value)
        update_run(run, {checkpoint_name(step): tensor_bytes(state)})
    update_run(run, {"history.csv": b"step,loss\n0,2.0\n100,1.0\n200,0.5\n"})
    return update_run(run, status="finished")


def test_every_checkpoint_has_the_spectrum_of_its_network(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check takes longer than all the steps
    run = a_run(tmp_path / "run", {0: 0.3, 150: 0.8, 300: 0.6})
    found = lyapunov_over_training(run, input=np.zeros(run.task.input_size), n_steps=50, transient=300)
    assert found.step.tolist() == [0, 150, 300]
    np.testing.assert_allclose(found.exponents, np.log([[0.3], [0.8], [0.6]]) * np.ones(6), atol=1e-4)
    assert found.drive == "constant input"
    np.testing.assert_array_equal(found.loss, [2.0, 1.0, 0.5])
    assert found.summary().startswith("λ₁ from -1.2040 ± 0.0000 at step 0 to -0.51")
    assert "its sign stays; 3 checkpoints, λ₁ converged at 3" in found.summary()
    np.testing.assert_array_equal(found.kaplan_yorke, 0.0)


def test_at_work_it_is_driven_by_the_task_and_goes_by_the_spectrum_of_the_run(tmp_path):
    run = a_run(tmp_path / "run", {0: 0.5, 10: 1.5})
    settings = {"n_steps": 60, "transient": 20, "n_starts": 3, "seed": 4}
    found = lyapunov_over_training(run, **settings)
    last = lyapunov_spectrum(run, **settings)
    assert found.drive == last.drive == "task trials"
    np.testing.assert_array_equal(found.exponents[-1], last.exponents)
    np.testing.assert_array_equal(found.standard_error[-1], last.standard_error)


def test_a_subject_is_asked_at_all_checkpoints_and_each_is_loaded_once(tmp_path, monkeypatch):
    run, loaded = a_run(tmp_path / "run", {0: 0.5, 10: 1.5, 20: 0.8}), []
    network = Run.network
    monkeypatch.setattr(Run, "network", lambda self, step=None: loaded.append(step) or network(self, step))
    subject = rs.as_subject(run, step=10)
    settings = {"n_steps": 20, "transient": 5, "n_starts": 2}
    found = lyapunov_over_training(subject, **settings)
    np.testing.assert_array_equal(found.exponents, lyapunov_over_training(subject, **settings).exponents)
    assert sorted(loaded) == [0, 10, 20]
    assert found.step.tolist() == [0, 10, 20]
    assert found.made.analysis == "lyapunov_over_training"
    assert found.made.settings["n_checkpoints"] == 20


def test_the_loss_axis_has_few_ticks_within_its_range(tmp_path):
    for name, gains, ticks in (
        ("one value", {0: 0.5, 10: 0.6}, (2.0,)),
        ("three", {0: 0.5, 150: 0.6, 300: 0.7}, (0.5, 0.79, 1.3, 2.0)),
    ):
        found = lyapunov_over_training(a_run(tmp_path / name, gains), n_steps=20, transient=5, n_starts=2)
        axis = found.figure().layout.yaxis2
        assert axis.tickvals == ticks, name
        low, high = 10.0 ** np.array(axis.range)
        assert low < min(ticks) <= max(ticks) < high, name


def test_some_of_many_checkpoints(tmp_path):
    run = a_run(tmp_path / "run", dict.fromkeys(range(0, 90, 10), 0.5))
    found = lyapunov_over_training(run, n_checkpoints=3, n_steps=20, transient=5, n_starts=2, n_exponents=2)
    assert found.step.tolist() == [0, 40, 80]
    assert np.isnan(found.kaplan_yorke[found.exponents[:, -1] > 0]).all()
    back = from_xarray(LyapunovOverTraining, to_xarray(found))
    assert back.summary() == found.summary()
    figure = found.figure()
    assert [trace.name for trace in figure.data if trace.name] == [
        "λ<sub>1</sub>", "λ<sub>2</sub>", "bars: ± 2 standard errors"
    ]  # fmt: skip
    assert next(trace.name for trace in found.figure(components=1).data if trace.name) == "λ<sub>2</sub>"
    with pytest.raises(ValueError, match="components has no row 2"):
        found.figure(components=[2])


def test_what_it_cannot_look_at(tmp_path):
    with pytest.raises(NotApplicable, match="only a run has checkpoints of its training, and this is none"):
        lyapunov_over_training(torch.nn.RNN(1, 2))
    one = a_run(tmp_path / "one", {0: 0.5})
    with pytest.raises(NotApplicable, match="has 1 checkpoint"):
        lyapunov_over_training(one)
    two = a_run(tmp_path / "two", {0: 0.5, 1: 0.6})
    with pytest.raises(ValueError, match="n_checkpoints must be at least 2, got 1"):
        lyapunov_over_training(two, n_checkpoints=1)
    with pytest.raises(ValueError, match="n_exponents must be from 1 to 6"):
        lyapunov_over_training(two, n_exponents=7)
    assert isinstance(two, rs.Run)
