"""Rotations that were put there, their surrogates, and data that do not rotate."""

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.ndimage import gaussian_filter1d

import rnnscope as rs
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.state_space import Rotations, find_rotations
from rnnscope.records import result_files

SIZE = 20


def turn(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def linear(*blocks, seed=0):
    """A linear map with these blocks in a random orthonormal basis, started at random."""
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((SIZE, SIZE)))[0]
    inner = block_diag(*blocks)
    matrix = basis[:, : len(inner)] @ inner @ basis[:, : len(inner)].T
    start = lambda n, rng: rng.standard_normal((n, len(inner))) @ basis[:, : len(inner)].T  # noqa: E731
    return rs.FunctionMap(lambda h, u: h @ matrix.T, state_size=SIZE, input_size=1, initial=start), basis


@pytest.mark.parametrize("angle", [0.05, 0.5, 2.0])
def test_a_planted_rotation_is_found_with_its_frequency(angle):
    """However large the angle of a step is: differences are taken against midpoints."""
    wheel, basis = linear(turn(angle))
    found = find_rotations(wheel, inputs=np.zeros((10, 30, 1)), labels="trial")
    assert found.n_components == 2
    assert found.fit.r2_skew == pytest.approx(1)
    assert found.fit.r2_ratio == pytest.approx(1)
    assert 2 * np.pi * found.frequency[0] == pytest.approx(angle)
    assert found.variance_ratio.sum() == pytest.approx(1)
    np.testing.assert_allclose(
        np.linalg.svd(found.planes[0] @ basis[:, :2], compute_uv=False), 1, err_msg="the plane is the planted one"
    )
    np.testing.assert_allclose(found.planes[0] @ found.planes[0].T, np.eye(2), atol=1e-12)
    path = found.trajectories[:, :, 0] @ [1, 1j]
    np.testing.assert_allclose(
        path[:, 1:] / path[:, :-1], np.exp(1j * angle), atol=1e-6, err_msg="from first to second"
    )


def test_surrogates_of_a_rotation_do_not_rotate():
    wheel, _ = linear(turn(0.3))
    found = find_rotations(wheel, inputs=np.zeros((12, 40, 1)), labels="trial", n_surrogates=100)
    assert found.fit.p_value == pytest.approx(1 / 101), "no surrogate as rotational as the data"
    assert np.median(found.fit.null_r2_skew) < 0.2
    assert found.fit.null_r2_skew.max() < 0.9


def test_several_planes_the_fastest_first():
    wheels, _ = linear(turn(0.2), turn(0.7), turn(0.4))
    found = find_rotations(wheels, inputs=np.zeros((30, 60, 1)), labels="trial", subtract_mean=False)
    np.testing.assert_allclose(2 * np.pi * found.frequency, [0.7, 0.4, 0.2])
    assert found.fit.r2_skew == pytest.approx(1)
    states = np.einsum("ctpd,pdu->ctu", found.trajectories, found.planes) + found.mean
    np.testing.assert_allclose(np.diff(np.linalg.norm(states, axis=2), axis=1), 0, atol=1e-8, err_msg="planes span all")


def test_decay_is_no_rotation():
    decay, _ = linear(np.diag([0.9, 0.8]))
    found = find_rotations(decay, inputs=np.zeros((10, 20, 1)), labels="trial")
    assert found.fit.r2_linear == pytest.approx(1)
    assert found.fit.r2_ratio < 0.05


def test_smooth_noise_does_not_pass_for_rotation():
    """The known trap: smooth data of few conditions have a good ratio, and surrogates have it too."""
    rng = np.random.default_rng(0)
    show = rs.FunctionMap(lambda h, u: u, state_size=SIZE, input_size=SIZE)
    p_values = []
    for _ in range(12):
        smooth = gaussian_filter1d(rng.standard_normal((8, 60, SIZE)), 5, axis=1)[:, 15:45]
        p_values.append(find_rotations(show, inputs=smooth, labels="trial", n_surrogates=60).fit.p_value)
    assert min(p_values) > 0.02
    assert np.mean(p_values) > 0.25


def test_the_fit_is_the_best_skew_symmetric_one():
    """Against least squares over a basis of all skew-symmetric matrices."""
    rng = np.random.default_rng(1)
    walk = rng.standard_normal((6, 25, 4)).cumsum(1)
    show = rs.FunctionMap(lambda h, u: u, state_size=4, input_size=4)
    found = find_rotations(show, inputs=walk, labels="trial", n_components=4)
    centred = walk - walk.mean(0)
    centred = centred - centred.mean((0, 1))
    middle = ((centred[:, 1:] + centred[:, :-1]) / 2).reshape(-1, 4)
    change = np.diff(centred, axis=1).reshape(-1, 4)
    columns = []
    for i in range(4):
        for j in range(i):
            one = np.zeros((4, 4))
            one[i, j], one[j, i] = 1, -1
            columns.append((middle @ one.T).ravel())
    _, rest, _, _ = np.linalg.lstsq(np.stack(columns, 1), change.ravel(), rcond=None)
    assert found.fit.r2_skew == pytest.approx(1 - rest[0] / (change**2).sum())
    free = np.linalg.lstsq(middle, change, rcond=None)[1].sum()
    assert found.fit.r2_linear == pytest.approx(1 - free / (change**2).sum())
    assert found.fit.r2_skew < found.fit.r2_linear


def test_what_all_conditions_share_is_taken_off():
    """A rotation that is the same in all conditions is none of what differs between them."""
    time = np.arange(30)
    shared = np.stack([np.cos(0.4 * time), np.sin(0.4 * time)], 1)
    own = np.random.default_rng(0).standard_normal((6, 30, 2)) * 0.1
    inputs = np.concatenate([np.broadcast_to(shared, (6, 30, 2)), own], 2)
    show = rs.FunctionMap(lambda h, u: u, state_size=4, input_size=4)
    kept = find_rotations(show, inputs=inputs, labels="trial", subtract_mean=False, n_components=2)
    assert 2 * np.pi * kept.frequency[0] == pytest.approx(0.4, rel=2e-2)
    assert kept.fit.r2_skew > 0.98
    assert find_rotations(show, inputs=inputs, labels="trial", n_components=2).fit.r2_skew < 0.1


def test_it_survives_saving_and_draws(tmp_path):
    wheel, _ = linear(turn(0.3), turn(0.1))
    inputs, sides = np.zeros((12, 20, 1)), {"side": np.arange(12) % 3}
    found = find_rotations(wheel, inputs=inputs, trial_labels=sides, n_surrogates=20)
    result_files.save_result(found, tmp_path / "r.zarr")
    again = result_files.load_result(Rotations, tmp_path / "r.zarr")
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(again.planes, found.planes)
    assert len([trace for trace in again.figure().data if trace.xaxis == "x2" and trace.type == "scatter"]) >= 3


def test_what_does_not_fit_is_refused():
    wheel, _ = linear(turn(0.3))
    inputs = np.zeros((4, 20, 1))
    with pytest.raises(ValueError, match="n_components must be divisible by 2, got 3"):
        find_rotations(wheel, inputs=inputs, labels="trial", n_components=3)
    with pytest.raises(ValueError, match="at least 3 steps"):
        find_rotations(wheel, inputs=inputs, labels="trial", window=(0, 2))
    with pytest.raises(ValueError, match="n_surrogates"):
        find_rotations(wheel, inputs=inputs, labels="trial", n_surrogates=0)
    line, _ = linear(np.array([[0.5]]))
    with pytest.raises(NotApplicable, match="fill 1 dimensions"):
        find_rotations(line, inputs=inputs, labels="trial")
    with pytest.raises(NotApplicable, match="3 conditions are needed, and trial makes 2"):
        find_rotations(wheel, inputs=inputs[:2], labels="trial")
    with pytest.raises(NotApplicable, match="2 conditions are needed, and trial makes 1"):
        find_rotations(wheel, inputs=inputs[:1], labels="trial", subtract_mean=False)
