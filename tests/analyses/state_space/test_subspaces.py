"""Angles between subspaces that were put there, and what random ones give."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import tasks
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.state_space import Subspaces, compare_subspaces
from rnnscope.records import result_files

SIZE = 10
SHOW = rs.FunctionMap(lambda h, u: u, state_size=SIZE, input_size=SIZE)


def two_epochs(tilt, n_trials=30, steps=20):
    """States in span(e0, e1), then in span(cos e0 + sin e2, cos e1 + sin e3), rotated together at random."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0]
    states = np.zeros((n_trials, 2 * steps, SIZE))
    first = rng.standard_normal((n_trials, steps, 2)) * [2.0, 1.0]
    second = rng.standard_normal((n_trials, steps, 2)) * [2.0, 1.0]
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    states[:, :steps, :2] = first
    states[:, steps:, :2], states[:, steps:, 2:4] = second * c, second * s
    return states @ turn.T, {"one": (0, steps), "two": (steps, "end")}


@pytest.mark.parametrize(
    ("tilt", "alike"), [([0.0, 0.0], 1.0), ([30.0, 60.0], 0.5), ([90.0, 90.0], 0.0), ([0.0, 90.0], 0.5)]
)
def test_planted_angles(tilt, alike):
    inputs, epochs = two_epochs(np.array(tilt))
    found = compare_subspaces(SHOW, inputs=inputs, epochs=epochs)
    assert found.dimension.tolist() == [2, 2]
    np.testing.assert_allclose(found.angles[0, 1], sorted(tilt), atol=1e-5)
    np.testing.assert_allclose(found.angles[1, 0], sorted(tilt), atol=1e-5)
    assert found.overlap[0, 1] == pytest.approx(alike, abs=1e-9)
    np.testing.assert_allclose(found.held, 1)
    weights = np.cos(np.radians(tilt)) ** 2
    # Of the variance 4 + 1 along each pair of directions.
    assert found.alignment[0, 1] == pytest.approx((4 * weights[0] + weights[1]) / 5, abs=0.03)


def test_alignment_of_subspaces_of_different_sizes():
    """A line within a plane holds at most the first eigenvalue of the plane; the plane holds all of the line."""
    rng = np.random.default_rng(1)
    states = np.zeros((20, 40, SIZE))
    states[:, :20, :2] = rng.standard_normal((20, 20, 2)) * [3.0, 1.0]
    states[:, 20:, 1] = rng.standard_normal((20, 20))
    found = compare_subspaces(SHOW, inputs=states, epochs={"plane": (0, 20), "line": (20, 40)}, n_components=2)
    assert found.dimension.tolist() == [2, 1], "a group that fills one dimension has a line"
    assert found.alignment[1, 0] == pytest.approx(1)
    plane = np.cov(states[:, :20, :2].reshape(-1, 2).T)
    assert found.alignment[0, 1] == pytest.approx(plane[1, 1] / np.linalg.eigvalsh(plane)[1]), "about 1 / 9"
    np.testing.assert_allclose(found.angles[0, 1], [0, np.nan], atol=1e-5)


def test_chance_is_that_of_random_subspaces():
    """Isotropic states: two random subspaces of k of N dimensions overlap by k / N, and hold k / N of the variance."""
    rng = np.random.default_rng(2)
    states = rng.standard_normal((200, 40, SIZE))
    found = compare_subspaces(SHOW, inputs=states, epochs={"a": (0, 20), "b": (20, 40)}, n_components=3, n_random=2000)
    assert found.chance.overlap[1, 0, 1] == pytest.approx(0.3, abs=0.02)
    assert found.chance.alignment[1, 0, 1] * found.held[0] == pytest.approx(0.3, abs=0.02)
    draws = np.linalg.qr(rng.standard_normal((2, 2000, SIZE, 3)))[0]
    cosines = np.linalg.svd(draws[0].swapaxes(1, 2) @ draws[1], compute_uv=False)
    wanted = np.median(np.degrees(np.arccos(cosines)), axis=0)
    np.testing.assert_allclose(found.chance.angles[1, 0, 1], wanted, atol=2)
    low, _, high = found.chance.overlap[:, 0, 1]
    assert low < found.overlap[0, 1] < high, "the subspaces of isotropic noise are random"


def test_groups_that_share_few_dimensions_overlap_by_chance():
    """Both fill the same 2 of 10 dimensions: chance is 1, not 2 / 10."""
    inputs, epochs = two_epochs(np.zeros(2))
    found = compare_subspaces(SHOW, inputs=inputs, epochs=epochs)
    np.testing.assert_allclose(found.chance.overlap[:, 0, 1], 1)


def test_epochs_of_a_task_and_thirds_of_other_trials():
    task = tasks.DelayedMatchEpochs()
    size = task.input_size
    show = rs.FunctionMap(lambda h, u: u, state_size=size, input_size=size)
    trials = task.sample(50, np.random.default_rng(0))
    found = compare_subspaces(show, inputs=trials)
    assert found.groups == ("start", "sample", "delay", "test")
    assert found.n_states.tolist() == [250, 250, int(trials.info["delay"].sum()), 400]
    parity = tasks.Parity(3).sample(40, np.random.default_rng(0))
    lag = rs.FunctionMap(lambda h, u: np.concatenate([u, 0.5 * h[..., :1]], -1), state_size=2, input_size=1)
    thirds = compare_subspaces(lag, inputs=parity)
    assert thirds.groups == ("first third", "second third", "last third")
    assert thirds.n_states.sum() == parity.info["length"].sum(), "padding does not count"


def test_networks_are_compared_on_the_same_trials():
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((SIZE, SIZE)))[0]
    turned = rs.FunctionMap(lambda h, u: u @ turn.T, state_size=SIZE, input_size=SIZE)
    inputs, _ = two_epochs(np.zeros(2))
    found = compare_subspaces(SHOW, others=[turned, SHOW], inputs=inputs)
    assert found.groups == ("network 0", "network 1", "network 2")
    assert found.overlap[0, 2] == pytest.approx(1)
    plane = np.linalg.svd(inputs.reshape(-1, SIZE), full_matrices=False)[2][:2].T
    wanted = np.linalg.svd(plane.T @ turn @ plane, compute_uv=False)
    np.testing.assert_allclose(np.cos(np.radians(found.angles[0, 1])), wanted, atol=1e-6)
    other = rs.FunctionMap(lambda h, u: u[..., :3], state_size=3, input_size=SIZE)
    with pytest.raises(ValueError, match="same units in all networks, and they have 10 and 3"):
        compare_subspaces(SHOW, others=[other], inputs=inputs)


def test_it_survives_saving_and_draws(tmp_path):
    inputs, epochs = two_epochs(np.array([30.0, 60.0]))
    found = compare_subspaces(SHOW, inputs=inputs, epochs=epochs)
    result_files.save_result(found, tmp_path / "s.zarr")
    again = result_files.load_result(Subspaces, tmp_path / "s.zarr")
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(again.chance.angles, found.chance.angles)
    assert {trace.name for trace in again.figure().data if trace.name} == {"one – two"}
    again = compare_subspaces(SHOW, inputs=inputs, epochs=epochs)
    np.testing.assert_array_equal(again.chance.overlap, found.chance.overlap, err_msg="same seed, same draws")


def test_what_does_not_fit_is_refused():
    inputs, _ = two_epochs(np.zeros(2))
    with pytest.raises(ValueError, match="no event 'go'"):
        compare_subspaces(SHOW, inputs=inputs, epochs={"a": (0, "go"), "b": (3, 9)})
    with pytest.raises(ValueError, match="the epoch 'a', 50 to 60, has 0 states"):
        compare_subspaces(SHOW, inputs=inputs, epochs={"a": (50, 60), "b": (3, 9)})
    still = inputs.copy()
    still[:, :5] = 1.0
    with pytest.raises(ValueError, match="do not differ in 'a'"):
        compare_subspaces(SHOW, inputs=still, epochs={"a": (0, 5), "b": (5, 9)})
    with pytest.raises(NotApplicable, match="two groups of states that move are needed, there is 1"):
        compare_subspaces(SHOW, inputs=inputs, epochs={"b": (5, 9)})
    with pytest.raises(ValueError, match="n_components"):
        compare_subspaces(SHOW, inputs=inputs, n_components=0)
    with pytest.raises(ValueError, match="n_random"):
        compare_subspaces(SHOW, inputs=inputs, n_random=0)
