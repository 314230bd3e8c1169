"""Driven dynamics over training: planted changes, and checkpoints that are what a look at each alone says."""

from pathlib import Path

import numpy as np
import pytest
from driven_systems import telegraph

import rnnscope as rs
from rnnscope.analyses import NotApplicable, driven_over_training, lyapunov_spectrum
from rnnscope.analyses.noise.change_point import change_points
from rnnscope.analyses.noise.driven import drive_of

STEP = np.arange(0, 1200, 100)


def courses(level: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """A course as found, and 200 resamples about it."""
    found = level + noise * rng.standard_normal(len(level))
    return np.concatenate([found[None], found + noise * rng.standard_normal((200, len(level)))])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("at", [3, 6, 9])
def test_a_planted_change_is_found_with_its_interval(at, seed):
    rng = np.random.default_rng(seed)
    jump = np.where(np.arange(12) >= at, 1.0, 0.0)
    bend = np.maximum(0.0, np.arange(12) - at) * 1.0
    found = change_points(STEP, ("jump", "bend"), [courses(each, 0.05, rng) for each in (jump, bend)])
    assert found.step[0] == STEP[at]
    assert found.low[0] <= STEP[at] <= found.high[0]
    assert abs(found.step[1] - STEP[at]) <= 100, "a bend lies at a checkpoint that is on both lines"


def test_without_a_change_none_is_found_but_seldom():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        slope = rng.standard_normal() * np.arange(12) * 0.1
        alarms += int(np.isfinite(change_points(STEP, ("x",), [courses(slope, 0.1, rng)]).step[0]))
    assert alarms <= 15


def test_few_checkpoints_or_unknown_values_have_no_change_point():
    rng = np.random.default_rng(0)
    few = change_points(STEP[:5], ("x",), [courses(np.array([0.0, 0, 0, 5, 5]), 0.01, rng)])
    assert np.isnan(few.step[0])
    assert "fewer than 7 checkpoints" in few.words()
    level = np.where(np.arange(12) > 5, 1.0, np.nan)
    assert np.isnan(change_points(STEP, ("x",), [courses(level, 0.1, rng)]).step[0])
    flat = change_points(STEP, ("x",), [np.full((50, 12), 0.3)])
    assert np.isnan(flat.step[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    folder: Path = tmp_path_factory.mktemp("runs")
    task = rs.tasks.HMMEmission("linear_chain:2", noise_size=3, length=6)
    cell = rs.cells.Vanilla(8, nonlinearity="relu", bias=False)
    return rs.train(task, cell, steps=3, folder=folder, progress=False, checkpoints=(0, 1, 2))


def test_each_checkpoint_is_what_it_is_alone(run):
    settings = {"n_trials": 6, "n_steps": 50, "transient": 5, "n_states": 30, "n_rollouts": 3, "cap": 10}
    found = driven_over_training(run, n_exponent_steps=60, seed=2, **settings)
    assert found.step.tolist() == [0, 1, 2, 3]
    assert found.from_origin_alone
    assert "following fixed points does not apply" in found.summary()
    for row, step in enumerate(found.step.tolist()):
        alone = rs.as_subject(run, step=step)
        driven = drive_of(alone, 0.0).run(6, 5, 51, np.random.default_rng([2, 0x72]))
        assert found.value[row, 0] == pytest.approx((driven.symbols[:, 1:] != driven.symbols[:, :-1]).mean())
        assert found.value[row, 5] == pytest.approx((np.diff(driven.states, axis=1) ** 2).sum(2).mean())
        spectrum = lyapunov_spectrum(
            alone, n_exponents=1, n_steps=60, transient=5, n_starts=4, n_others=0, seed=2
        )  # fmt: skip
        assert found.exponent[row] == pytest.approx(spectrum.exponents[0])
        assert 0 <= found.frequency_error[row] <= 1
        assert found.left_alone[row] < 1e-3, "untrained weights are small"


def test_what_is_no_run_is_refused():
    with pytest.raises(NotApplicable, match="only a run has checkpoints"):
        driven_over_training(telegraph(0.1))
