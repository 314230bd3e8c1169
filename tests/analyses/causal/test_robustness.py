"""Disturbances whose effect is known, and the same metrics as by hand."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import NotApplicable, analyses, cells, interventions, tasks


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    return rs.train(
        tasks.Parity(2), cells.Leaky(8), steps=300, learning_rate=0.01, stop_when_learned=False,
        folder=tmp_path_factory.mktemp("runs"), progress=False,
    )  # fmt: skip


def test_metrics_are_those_of_the_disturbed_network_on_the_same_trials(run: rs.Run):
    found = analyses.robustness(run, sizes=(0.0, 0.3), n_draws=2, n_trials=64, seed=1)
    subject = rs.as_subject(run)
    trials = subject.trials(64, 1)

    def accuracy(subject: rs.Subject) -> float:
        outputs = subject.map.readout(subject.trajectories(n_trials=64, seed=1).states)
        return subject.task.metrics(outputs.astype(np.float32), trials, np.random.default_rng(0))["accuracy"]

    column = found.of("accuracy")
    assert found.intact[column] == accuracy(subject) > 0.9
    assert (found.weights[0] == found.intact).all(), "noise of no size changed something"
    assert (found.time_constants[0] == found.intact).all()
    assert found.weights[1, 1, column] == accuracy(subject.under(interventions.Perturb(0.3, seed=1001)))
    assert found.without[5, column] == accuracy(subject.under(interventions.Ablate(units=[5])))
    assert found.without.shape == (8, len(found.metric))


def test_cells_without_time_constants_have_no_draws_of_them(run: rs.Run):
    gated = rs.train(tasks.Parity(2), cells.LSTM(4), steps=1, folder=run.path.parent, name="lstm", progress=False)
    found = analyses.robustness(gated, n_draws=2, n_trials=8, sizes=(0.1,))
    assert found.time_constants.shape[1] == 0
    assert found.without.shape[0] == 4


def test_what_it_refuses(run: rs.Run):
    with pytest.raises(ValueError, match="'speed' is no metric of this task; there are accuracy"):
        analyses.robustness(run, n_draws=2, n_trials=8, sizes=(0.1,)).of("speed")
    with pytest.raises(NotApplicable, match="there is no task whose answers"):
        analyses.robustness(rs.Network(cells.Leaky(3), 1, 1))
