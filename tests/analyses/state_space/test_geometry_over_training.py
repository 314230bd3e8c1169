"""Courses of known shape, and each statistic of a run beside another way to find it."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import NotApplicable, analyses, cells, tasks
from rnnscope.analyses.noise.over_trials import RESAMPLES
from rnnscope.analyses.state_space.courses import ways

STEPS = np.arange(0, 201, 10)


def course(values: np.ndarray, noise: float = 0.0) -> np.ndarray:
    return values + noise * np.random.default_rng(0).standard_normal((RESAMPLES + 1, len(values)))


def test_parts_of_the_way_are_where_they_are():
    """A straight line, a decay that is nearly over, a drop between two checkpoints, and one way up."""
    line = course(1 - STEPS / 200)
    decay = course(np.exp(-STEPS / 20))
    drop = course((STEPS < 95).astype(float))
    rise = course(1 / (1 + np.exp(-(STEPS - 120) / 5)), 1e-3)
    found = ways(STEPS, ("line", "decay", "drop", "rise"), [line, decay, drop, rise])
    np.testing.assert_allclose(found.step[0], [20, 100, 180])
    np.testing.assert_allclose(found.step[1], -20 * np.log([0.9, 0.5, 0.1]), atol=1.5)  # linear between checkpoints
    np.testing.assert_allclose(found.step[2], [91, 95, 99])
    assert found.half("rise") == pytest.approx(120, abs=0.1)
    assert found.low[3, 1] < found.half("rise") < found.high[3, 1] < 121
    assert found.abruptness("line") == pytest.approx(1.6)
    assert found.abruptness("decay") == pytest.approx(np.log(9) / np.log(2), rel=0.1)
    assert found.abruptness("drop") < 0.1 < found.abruptness("rise") < 0.3


def test_a_course_that_goes_nowhere_has_no_half():
    """Noise about a level, a level, and a course with a value missing."""
    still = course(np.ones(len(STEPS)), 0.1)
    missing = course(1 - STEPS / 200)
    missing[0, 3] = np.nan
    found = ways(STEPS, ("still", "level", "missing"), [still, course(np.ones(len(STEPS))), missing])
    assert np.isnan(found.step).all(), found.step


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    """One bit with a few units, learned in 150 steps."""
    return rs.train(
        tasks.FlipFlop(1, length=20, pulse_probability=0.2), cells.Leaky(8), steps=150, learning_rate=0.02,
        checkpoints=range(0, 150, 15), stop_when_learned=False, folder=tmp_path_factory.mktemp("runs"), progress=False,
    )  # fmt: skip


def test_each_statistic_is_what_its_own_analysis_finds(run: rs.Run):
    found = analyses.geometry_over_training(run, n_trials=64)
    assert found.step.tolist() == run.checkpoints
    then = rs.as_subject(run, step=75)
    at = run.checkpoints.index(75)
    trials = then.trials(64, 0)
    shown = then.trajectories(n_trials=64, seed=0)
    outputs = then.map.readout(shown.states)
    assert found.of("loss")[at] == pytest.approx(np.mean((outputs - trials.targets) ** 2), rel=1e-9)
    wrong = ((outputs > 0) != (trials.targets > 0)).any((1, 2)).mean()
    assert found.of("trials wrong")[at] == pytest.approx(wrong)
    assert found.constant_loss == pytest.approx(trials.targets.var(), rel=1e-6)
    states = analyses.project_states(then, n_trials=64, seed=0)
    assert found.of("dimension")[at] == pytest.approx(states.participation_ratio, rel=1e-6)
    points = analyses.find_fixed_points(then, n_starts=128)
    assert found.of("fixed points")[at] == len(points)
    assert found.of("stable points")[at] == points.stable.sum()
    still = np.abs(then.map.step(shown.states[0], np.zeros((20, 1))) - shown.states[0])
    assert found.of("speed")[at] < 10 * np.linalg.norm(still, axis=1).max()


def test_a_bit_that_is_learned(run: rs.Run):
    """In the end there are two stable points with a saddle between, joined by two branches, and no trial is wrong; the
    loss falls by more than half before the last checkpoint and is above that of a constant in the beginning."""
    found = analyses.geometry_over_training(run)
    assert [found.of(name)[-1] for name in ("fixed points", "stable points", "connections")] == [3, 2, 2]
    assert found.of("trials wrong")[-1] < 0.05
    assert 0 < found.ways.half("loss") < 150
    assert np.isfinite(found.lead("fixed points"))
    assert found.lead("fixed points") == found.ways.half("loss") - found.ways.half("fixed points")
    assert (np.diff(found.of("turned")) >= 0).all()


def test_cross_entropy_and_padding(tmp_path):
    """The loss of each trial, over the steps that count, is that of training; its mean weighs trials alike."""
    task = tasks.Parity([2, 3])
    run = rs.train(task, cells.Leaky(6), steps=9, checkpoints=(0, 5), folder=tmp_path, progress=False)
    found = analyses.geometry_over_training(run, n_trials=40, n_starts=8)
    subject = rs.as_subject(run)
    trials = subject.trials(40, 0)
    logits = subject.map.readout(subject.trajectories(n_trials=40, seed=0).states).reshape(*trials.mask.shape, 2, 2)
    share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    right = np.take_along_axis(share, trials.targets[..., None], -1)[..., 0]
    each = [-np.log(right[k][trials.mask[k]]).mean() for k in range(40)]
    assert found.of("loss")[-1] == pytest.approx(np.mean(each), rel=1e-9)
    assert found.constant_loss == pytest.approx(np.log(2), rel=0.02)


def test_what_it_refuses(tmp_path):
    with pytest.raises(NotApplicable, match="there are 0 checkpoints"):
        analyses.geometry_over_training(rs.Network(cells.Vanilla(3), 1, 1))
    emission = tasks.HMMEmission("linear_chain:2", noise_size=2, length=6)
    run = rs.train(emission, cells.Vanilla(4), steps=2, batch_size=8, folder=tmp_path, progress=False)
    with pytest.raises(NotApplicable, match="no task with an answer for each trial"):
        analyses.geometry_over_training(run)
