"""Networks that are the same in disguise, and networks that are not."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import results
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.comparison import Comparison, compare_networks
from rnnscope.tasks import FlipFlop

INPUTS = np.random.default_rng(0).standard_normal((20, 30, 2))


def network(seed, size=8, gain=1.0):
    rng = np.random.default_rng(seed)
    w, u = gain * rng.standard_normal((size, size)) / np.sqrt(size), rng.standard_normal((size, 2))
    return rs.FunctionMap(lambda h, x: np.tanh(h @ w.T + x @ u.T), state_size=size, input_size=2)


def rotated(original, seed=0):
    """The same map in other coordinates."""
    size = original.state_size
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    return rs.FunctionMap(lambda h, x: original.step(h @ turn, x) @ turn.T, state_size=size, input_size=2)


def linear(matrix, basis):
    """`matrix` in another basis, from the same starts in that basis."""
    inverse = np.linalg.inv(basis)
    whole = basis @ matrix @ inverse
    start = lambda n, rng: rng.standard_normal((n, len(matrix))) @ basis.T  # noqa: E731
    return rs.FunctionMap(lambda h: h @ whole.T, state_size=len(matrix), initial=start)


@pytest.mark.parametrize("method", ["procrustes", "cka", "dsa"])
def test_a_rotated_copy_is_no_farther_than_the_noise_floor_and_another_network_is(method):
    one, other = network(0), network(1)
    found = compare_networks([one, rotated(one), other], method=method, inputs=INPUTS)
    assert found.floor.max() < 1e-5, "nothing is drawn at random here"
    assert found.distance[0, 1] < 1e-5
    assert found.distance[0, 2] > 0.1
    assert found.distance[0, 2] == pytest.approx(found.distance[1, 2], rel=1e-3)
    np.testing.assert_allclose(found.distance, found.distance.T)
    np.testing.assert_allclose(np.diag(found.distance), 0)


def test_conjugate_linear_systems_move_alike_and_look_different():
    matrix = np.array([[0.95, -0.3, 0.0], [0.3, 0.95, 0.0], [0.0, 0.0, 0.8]]) * 0.98
    skewed = np.array([[1.0, 3.0, 0.0], [0.0, 1.0, 2.0], [1.0, 0.0, 1.0]])
    faster = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 0.5]])
    systems = [linear(matrix, np.eye(3)), linear(matrix, skewed), linear(faster, np.eye(3))]
    time = np.zeros((60, 20, 0))
    moves = compare_networks(systems, method="dsa", inputs=time, seed=1)
    looks = compare_networks(systems, method="procrustes", inputs=time, seed=1)
    assert moves.rank == 3
    assert moves.distance[0, 1] < 1e-6
    assert moves.distance[0, 2] > 0.3
    assert looks.distance[0, 1] > 0.3
    np.testing.assert_allclose(moves.explained, 1)


def test_noise_has_a_floor():
    """The floor is as far as a copy gets by noise alone; a rotated copy with noise of its own lies there too."""
    one = network(0, gain=0.5)
    found = compare_networks([one, rotated(one)], inputs=INPUTS, noise=0.3)
    quiet = compare_networks([one, rotated(one)], inputs=INPUTS)
    assert quiet.floor.max() < 1e-5
    assert found.floor.min() > 0.05
    assert found.distance[0, 1] < 2 * found.floor.max()


def test_exponents_tell_stability_apart():
    shrink = [
        rs.FunctionMap(
            lambda h, r=r: r * h, state_size=2, jacobian=lambda h, r=r: np.broadcast_to(r * np.eye(2), (*h.shape, 2))
        )
        for r in (0.5, 0.5, 0.9)
    ]
    found = compare_networks(shrink, method="lyapunov")
    assert found.distance[0, 2] == pytest.approx(np.log(0.9 / 0.5))
    assert found.distance[0, 1] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.exponents, np.log([[0.5, 0.5], [0.5, 0.5], [0.9, 0.9]]))
    assert found.floor.max() < 1e-12


def test_fixed_points_tell_skeletons_apart():
    def wells(gain):
        return rs.FunctionMap(lambda h: np.tanh(gain * h), state_size=1, domain=(-1, 1))

    found = compare_networks([wells(0.5), wells(2.0), wells(3.0)], method="fixed_points")
    assert found.n_fixed_points.tolist() == [[1, 0], [2, 1], [2, 1]]
    assert found.distance[1, 2] == 0
    assert found.distance[0, 1] == pytest.approx(2 / 4), "1 and 0 against 2 and 1"
    np.testing.assert_allclose(found.floor, 0)


def test_the_floor_of_fixed_points_is_what_half_a_search_misses():
    """Even starts end at points 0 and 1, odd ones at point 0 alone (and one failed): 2 stable against 1."""
    found = SimpleNamespace(
        n_unstable=np.array([0, 0]),
        smooth=np.array([True, True]),
        start_point=np.array([0, 0, 1, -1, 0, 0]),
        start_status=np.array([0, 0, 0, 2, 0, 0]),
    )
    compared = compare_networks([network(0), network(1)], method="fixed_points", fixed_points=[found, found])
    np.testing.assert_allclose(compared.floor, 1 / 3)


def test_results_that_are_there_are_shown_beside_any_distance():
    spectra = [
        SimpleNamespace(exponents=np.array([-0.1, -50.0]), standard_error=np.array([0.01, 0.0])) for _ in range(2)
    ]
    kink = SimpleNamespace(n_unstable=np.array([0, 1, 2]), smooth=np.array([True, True, False]))
    found = compare_networks([network(0), network(1)], inputs=INPUTS, exponents=spectra, fixed_points=[kink, kink])
    np.testing.assert_allclose(found.exponents[:, 1], np.log(np.finfo(float).eps), err_msg="forgotten is forgotten")
    assert found.n_fixed_points.tolist() == [[1, 1]] * 2
    assert found.n_kinks.tolist() == [1, 1]
    assert {"stable", "at a kink", "network 0"} <= {trace.name for trace in found.figure().data}
    only = compare_networks([network(0), network(1)], method="fixed_points", fixed_points=[kink, kink])
    assert np.isnan(only.floor).all(), "these do not tell which start found what"
    assert "noise floor not known" in only.summary()


def test_the_map_keeps_distances_that_fit_into_a_plane():
    """The mean squared distances of exponents (a, b) are Euclidean: the map is exact."""
    places = np.random.default_rng(0).standard_normal((6, 2))
    spectra = [SimpleNamespace(exponents=place, standard_error=np.zeros(2)) for place in places]
    found = compare_networks([network(k) for k in range(6)], method="lyapunov", exponents=spectra)
    apart = np.linalg.norm(found.positions[:, None] - found.positions, axis=2)
    np.testing.assert_allclose(apart, np.linalg.norm(places[:, None] - places, axis=2) / np.sqrt(2), atol=1e-6)
    assert found.stress < 1e-6
    corners = np.vstack([np.eye(4), 2 * np.eye(4)[:2]])  # fit into no plane
    spectra = [SimpleNamespace(exponents=row, standard_error=np.zeros(4)) for row in corners]
    found = compare_networks([network(k) for k in range(6)], method="lyapunov", exponents=spectra)
    centred = corners - corners.mean(0)
    classical = centred @ np.linalg.svd(centred)[2][:2].T / 2
    apart = np.linalg.norm(classical[:, None] - classical, axis=2)
    worse = np.sqrt(((apart - found.distance) ** 2).sum() / (found.distance**2).sum())
    assert 0.05 < found.stress < 0.95 * worse, "better than classical scaling"


def test_networks_of_a_run_see_its_task_and_may_differ_in_size(tmp_path):
    class Run:
        def __init__(self, cell, name):
            self.cell, self.name, self.task = cell, name, FlipFlop(2, length=20)

        def network(self):
            return rs.Network(self.cell, 2, 2, generator=torch.Generator().manual_seed(0))

    runs = [Run(rs.cells.Vanilla(6), "small"), Run(rs.cells.GRU(9), "gated")]
    found = compare_networks(runs, method="dsa", n_trials=60, groups=["tanh", "gru"], rank=4)
    assert found.names == ("small", "gated")
    assert found.rank == 4
    assert (found.floor > 1e-4).all(), "the rotated copies saw other trials"
    assert found.distance[0, 1] > found.floor.max()
    results.save_result(found, tmp_path / "c.zarr")
    again = results.load_result(Comparison, tmp_path / "c.zarr")
    assert again.summary() == found.summary()
    assert again.exponents is None
    np.testing.assert_array_equal(again.distance, found.distance)
    assert {"tanh", "gru"} <= {trace.name for trace in again.figure().data}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"names": ["a"]}, "names must be 2 different ones"),
        ({"names": ["a", "a"]}, "names must be 2 different ones"),
        ({"groups": ["a"]}, "groups must have one entry for each of the 2 networks, got 1"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"n_delays": -1}, "n_delays must be at least 0"),
        ({"method": "dsa", "n_delays": 40}, "no trial has the 42 steps"),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises(ValueError, match=message):
        compare_networks([network(0), network(1)], inputs=INPUTS, **given)


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match="at least two networks"):
        compare_networks([network(0)], inputs=INPUTS)
    with pytest.raises(NotApplicable, match="give inputs="):
        compare_networks([network(0), network(1)])
    still = rs.FunctionMap(lambda h, u: h, state_size=2, input_size=2)
    with pytest.raises(NotApplicable, match="network 1 does not move"):
        compare_networks([network(0), still], inputs=INPUTS)
    other = rs.FunctionMap(lambda h, u: h + u, state_size=3, input_size=3)
    with pytest.raises(ValueError, match=r"inputs of sizes \[2, 3\]"):
        compare_networks([network(0), other], inputs=INPUTS)
    diverged = [SimpleNamespace(exponents=np.array([np.nan]), standard_error=np.array([np.nan]))] * 2
    with pytest.raises(NotApplicable, match="network 0 diverged"):
        compare_networks([network(0), network(1)], method="lyapunov", exponents=diverged)
