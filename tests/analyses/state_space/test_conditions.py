"""Average trajectories and speeds of maps whose motion is known."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.state_space import ConditionTrajectories, condition_trajectories
from rnnscope.records import result_files

SUMS = rs.FunctionMap(lambda h, u: h + u, state_size=3, input_size=3)


def test_speed_of_averages_and_of_trials():
    """Two trials of a condition that move apart have an average that stands still."""
    inputs = np.zeros((4, 6, 3))
    inputs[0, :, 0], inputs[1, :, 0] = 2.0, -2.0
    inputs[2:, :, 1] = [[1.0], [3.0]]
    found = condition_trajectories(SUMS, inputs=inputs, trial_labels={"kind": ["apart", "apart", "along", "along"]})
    assert found.conditions.titles == ("kind along", "kind apart")
    np.testing.assert_allclose(found.speed.averages, [[2.0] * 5, [0.0] * 5], atol=1e-12)
    np.testing.assert_allclose(found.speed.trials, 2.0)
    np.testing.assert_allclose(found.speed.error, [[1.0] * 5, [0.0] * 5], err_msg="of 1 and 3: std sqrt(2) / sqrt(2)")
    assert found.speed.step_time.tolist() == [0, 1, 2, 3, 4]


def test_trajectories_are_projections_of_the_averages():
    rng = np.random.default_rng(0)
    inputs, sides = rng.standard_normal((40, 12, 3)), np.arange(40) % 4
    found = condition_trajectories(SUMS, inputs=inputs, trial_labels={"side": sides})
    wanted = np.stack([np.cumsum(inputs[sides == k], 1).mean(0) for k in range(4)])
    np.testing.assert_allclose(found.averages, wanted)
    np.testing.assert_allclose(found.trajectories @ found.components + found.mean, wanted, err_msg="3 of 3 components")
    assert found.explained_variance_ratio.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.speed.averages, np.linalg.norm(np.diff(wanted, axis=1), axis=2))


def test_it_survives_saving_and_draws_every_condition(tmp_path):
    inputs = np.random.default_rng(0).standard_normal((60, 8, 3))
    labels = {"side": np.arange(60) % 3, "go": np.arange(60) % 2 == 0}
    found = condition_trajectories(SUMS, inputs=inputs, trial_labels=labels)
    result_files.save_result(found, tmp_path / "c.zarr")
    again = result_files.load_result(ConditionTrajectories, tmp_path / "c.zarr")
    assert again.summary() == found.summary()
    assert again.conditions.levels == (("0", "1", "2"), ("False", "True"))
    figure = again.figure()
    lines = [t for t in figure.data if t.xaxis == "x2" and t.mode == "lines" and t.legendgroup and t.x[0] is not None]
    assert len([t for t in lines if t.fill is None]) == 6
    assert len([t for t in lines if t.fill == "toself"]) == 6, "a band of errors for each"
    assert [t.name for t in figure.data if t.showlegend] == list(found.conditions.titles)
    many = condition_trajectories(SUMS, inputs=inputs, labels="trial").figure()
    assert [t.name for t in many.data if t.showlegend] == [f"trial {k}" for k in (0, 11, 23, 35, 47, 59)]
    single = rs.FunctionMap(lambda h, u: h + u, state_size=1, input_size=1)
    assert condition_trajectories(single, inputs=inputs[..., :1], labels="trial").figure().data


def test_bad_settings():
    with pytest.raises(ValueError, match="n_components must be at least 1"):
        condition_trajectories(SUMS, inputs=np.zeros((2, 4, 3)), labels="trial", n_components=0)
