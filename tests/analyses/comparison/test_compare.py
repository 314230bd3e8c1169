"""Networks that are the same in disguise, and networks that are not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import KnownPoints, NotApplicable, find_fixed_points, lyapunov_spectrum
from rnnscope.analyses.comparison import Comparison, compare_networks, stability
from rnnscope.analyses.comparison.similarity import conjugation_distance, delay_coordinates, fitted_dynamics
from rnnscope.records import result_files
from rnnscope.tasks import FlipFlop

ELSEWHERE = KnownPoints(np.zeros((1, 3)), n_unstable=np.zeros(1, int))
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


def spectrum(exponents, errors):
    """What `lyapunov_spectrum` returns, with these exponents."""
    found = lyapunov_spectrum(rs.FunctionMap(lambda h: 0.5 * h, state_size=len(exponents)), n_steps=1, transient=0)
    return replace(found, exponents=np.array(exponents), standard_error=np.array(errors))


@pytest.fixture
def short(monkeypatch):
    """Fewer steps and starts: annotations are checked at every one of them."""
    for name, value in (
        ("N_STEPS", 120),
        ("TRANSIENT", 20),
        ("N_STARTS", 5),
        ("N_SEARCHES", 64),
        ("CONNECTION_STEPS", 200),
    ):
        monkeypatch.setattr(stability, name, value)


@pytest.mark.parametrize("method", ["procrustes", "cka", "kernel_cka", "dsa"])
def test_a_rotated_copy_is_no_farther_than_the_noise_floor_and_another_network_is(method):
    one, other = network(0), network(1)
    found = compare_networks([one, rotated(one), other], method=method, inputs=INPUTS, rank=6)
    assert found.distance[0, 1] < 1e-6
    assert not found.above[0, 1], "what rounding leaves is no difference"
    assert found.distance[0, 2] > 0.1
    assert found.distance[0, 2] == pytest.approx(found.distance[1, 2], rel=1e-3)
    np.testing.assert_allclose(found.distance, found.distance.T)
    np.testing.assert_allclose(np.diag(found.distance), 0)
    if method != "dsa":
        assert found.floor.max() <= 1e-6, "nothing is drawn at random here"
        assert found.above.sum() == 4
        assert "2 of 3 pairs above it" in found.summary()


def test_the_floor_of_dynamics_is_the_distance_of_a_network_from_itself_on_other_trials():
    one = network(0)
    inputs = np.random.default_rng(5).standard_normal((24, 40, 30, 2))
    floor = compare_networks([one, rotated(one)], method="dsa", inputs=inputs[0], rank=4)
    fits = []
    for shown in inputs:
        before, after, _ = delay_coordinates(rs.simulate(one, shown).states, np.ones((40, 30), bool), 4, 4)
        fits.append(fitted_dynamics(before, after, 4)[0])
    wanted = np.median([conjugation_distance(a, b)[0] for a, b in pairwise(fits)])
    assert np.mean(floor.floor_median) == pytest.approx(wanted, rel=0.4)
    assert not floor.above.any()
    alone = compare_networks([one, network(1)], method="dsa", inputs=INPUTS[:1])
    assert np.isnan(alone.floor).all(), "of one trial and without noise, nothing tells what another would be"
    assert "noise floor not known" in alone.summary()


def test_the_floor_has_the_noise_that_distances_have():
    """A network and its mirror image differ by noise alone: they lie as far apart as rotated copies do."""
    one = network(3)
    mirror = rs.FunctionMap(lambda h, u: -one.step(-h, u), state_size=8, input_size=2)
    ratios, above = [], 0
    for seed in range(12):
        found = compare_networks([one, mirror], inputs=INPUTS[:8], noise=0.1, seed=seed)
        ratios.append(found.distance[0, 1] / found.floor_median.mean())
        above += found.above[0, 1]
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    assert above <= 4, "about one in ten of such pairs passes the larger of two floors of six draws each"


def test_copies_and_networks_start_from_the_same_random_states():
    """Without noise nothing else is random: the floor is rounding, and a network that was changed a little above it."""
    rng = np.random.default_rng(0)
    start = lambda n, rng: rng.standard_normal((n, 8))  # noqa: E731
    w = 1.2 * rng.standard_normal((8, 8)) / np.sqrt(8)
    changed = w + 0.02 * rng.standard_normal((8, 8))
    maps = [
        rs.FunctionMap(lambda h, m=m: np.tanh(h @ m.T), state_size=8, initial=start) for m in (w, w.copy(), changed)
    ]
    found = compare_networks(maps, inputs=np.zeros((40, 20, 0)))
    assert found.distance[0, 1] < 1e-12
    assert found.floor.max() <= 1e-6
    assert found.above[0, 2]
    assert not found.above[0, 1]


def test_conjugate_linear_systems_move_alike_and_look_different():
    matrix = np.array([[0.95, -0.3, 0.0], [0.3, 0.95, 0.0], [0.0, 0.0, 0.8]]) * 0.98
    skewed = np.array([[1.0, 3.0, 0.0], [0.0, 1.0, 2.0], [1.0, 0.0, 1.0]])
    faster = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 0.5]])
    systems = [linear(matrix, np.eye(3)), linear(matrix, skewed), linear(faster, np.eye(3))]
    time = np.zeros((60, 20, 0))
    moves = compare_networks(systems, method="dsa", inputs=time, seed=1)
    looks = compare_networks(systems, method="procrustes", inputs=time, seed=1)
    assert moves.dynamics.rank == 3
    assert moves.distance[0, 1] < 1e-6
    assert moves.distance[0, 2] > 0.3
    assert looks.distance[0, 1] > 0.3
    np.testing.assert_allclose(moves.dynamics.explained, 1)


def test_noise_has_a_floor():
    """The floor is as far as a copy gets by noise alone; a rotated copy with noise of its own lies there too."""
    one = network(0, gain=0.5)
    found = compare_networks([one, rotated(one)], inputs=INPUTS, noise=0.3)
    quiet = compare_networks([one, rotated(one)], inputs=INPUTS)
    assert quiet.floor.max() < 1e-5
    assert found.floor.min() > 0.05
    assert found.distance[0, 1] < 2 * found.floor.max()


def test_exponents_tell_stability_apart(short):
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


def test_exponents_are_those_under_the_inputs_that_are_shown(short):
    """h' = g u h: the exponent is the mean of ln |g u| over the trials, whatever their order."""
    gates = [rs.FunctionMap(lambda h, u, g=g: g * u * h, state_size=1, input_size=1) for g in (1.0, 0.5)]
    inputs = np.exp(np.random.default_rng(0).standard_normal((2, 10, 1)) - 1)  # six rounds after the transient
    found = compare_networks(gates, method="lyapunov", inputs=inputs)
    wanted = np.log(inputs).mean()
    np.testing.assert_allclose(found.exponents[:, 0], [wanted, wanted + np.log(0.5)], atol=1e-3)
    assert found.distance[0, 1] == pytest.approx(np.log(2), abs=1e-6)
    steady = compare_networks(gates, method="lyapunov", input=[0.5])
    np.testing.assert_allclose(steady.exponents[:, 0], np.log([0.5, 0.25]), atol=1e-9)


def test_noise_reaches_the_exponents_and_their_floor_is_measured(short):
    """Of tanh(2 h) at its fixed points, without noise and with much of it: the noise visits the steep middle."""
    maps = [rs.FunctionMap(lambda h, g=g: np.tanh(g * h), state_size=1, domain=(-1, 1)) for g in (2.0, 2.2)]
    quiet, loud = (compare_networks(maps, method="lyapunov", noise=noise) for noise in (0.0, 0.5))
    assert (loud.exponents > quiet.exponents + 0.1).all()
    assert quiet.floor.max() < 1e-6
    assert (loud.floor > 1e-3).all()
    assert loud.distance[0, 1] < 10 * loud.floor.max()


def test_fixed_points_tell_skeletons_apart():
    def wells(gain):
        return rs.FunctionMap(lambda h: np.tanh(gain * h), state_size=1, domain=(-1, 1))

    found = compare_networks([wells(0.5), wells(2.0), wells(3.0)], method="fixed_points")
    assert found.fixed_points.counts.tolist() == [[1, 0], [2, 1], [2, 1]]
    assert found.distance[1, 2] == 0
    assert found.distance[0, 1] == pytest.approx(2 / 4), "1 and 0 against 2 and 1"
    np.testing.assert_allclose(found.floor, 0)


def test_fixed_points_at_a_held_input_and_who_joins_whom(short):
    """tanh(2 h + u): at u = 0 a saddle whose two branches end at the two stable points, at u = 3 one point."""
    maps = [rs.FunctionMap(lambda h, u, g=g: np.tanh(g * h + u), state_size=1, input_size=1) for g in (2.0, 2.5)]
    spread = lambda n, rng: rng.uniform(-1, 1, (n, 1))  # noqa: E731
    maps = [rs.FunctionMap(m.step, state_size=1, input_size=1, domain=(-1, 1), initial=spread) for m in maps]
    found = compare_networks(maps, method="fixed_points")
    assert found.fixed_points.counts.tolist() == [[2, 1]] * 2
    assert found.fixed_points.connections.tolist() == [[[0, 0], [2, 0]]] * 2
    held = compare_networks(maps, method="fixed_points", input=[3.0])
    assert held.fixed_points.counts.tolist() == [[1]] * 2
    assert held.fixed_points.connections.tolist() == [[[0]]] * 2


def test_exponents_and_fixed_points_stand_beside_any_distance(short):
    maps = [rs.FunctionMap(network(k, size=3, gain=2).step, state_size=3, input_size=2, domain=(-1, 1)) for k in (0, 1)]
    found = compare_networks(maps, inputs=INPUTS, beside=("lyapunov", "fixed_points"))
    alone = compare_networks(maps, method="lyapunov", inputs=INPUTS)
    assert found.method == "procrustes"
    np.testing.assert_array_equal(found.exponents, alone.exponents)
    for k, state_map in enumerate(maps):
        points = find_fixed_points(state_map, n_starts=100, seed=7)  # other starts, and more
        np.testing.assert_array_equal(
            found.fixed_points.counts[k][points.n_unstable], np.bincount(points.n_unstable)[points.n_unstable]
        )
    assert [a.text for a in found.figure().layout.annotations][2:] == ["Lyapunov exponents", "fixed points"]


def test_the_floor_of_fixed_points_is_what_half_a_search_misses():
    """Even starts end at points 0 and 1, odd ones at point 0 alone (and one failed): 2 stable against 1."""
    well = rs.FunctionMap(lambda h: h - 0.1 * h * (h - 1) * (h + 1), state_size=1)
    found = find_fixed_points(well, starts=np.array([-0.9, -0.9, 0.9, 1e200, -0.9, -0.9])[:, None])
    assert found.n_unstable.tolist() == [0, 0]
    assert found.starts.point.tolist() == [0, 0, 1, -1, 0, 0]
    compared = compare_networks([well, well], method="fixed_points", fixed_points=[found, found])
    np.testing.assert_allclose(compared.floor, 1 / 3)


def test_results_that_are_there_are_shown_beside_any_distance():
    spectra = [spectrum([-0.1, -50.0], [0.01, 0.0]) for _ in range(2)]
    kink = KnownPoints(np.zeros((3, 8)), n_unstable=np.array([0, 1, 2]), smooth=np.array([True, True, False]))
    found = compare_networks([network(0), network(1)], inputs=INPUTS, exponents=spectra, fixed_points=[kink, kink])
    np.testing.assert_allclose(found.exponents[:, 1], np.log(np.finfo(float).eps), err_msg="forgotten is forgotten")
    assert found.fixed_points.counts.tolist() == [[1, 1]] * 2
    assert found.fixed_points.kinks.tolist() == [1, 1]
    assert {"stable", "at a kink", "network 0"} <= {trace.name for trace in found.figure().data}
    only = compare_networks([network(0), network(1)], method="fixed_points", fixed_points=[kink, kink])
    assert np.isnan(only.floor).all(), "these do not tell which start found what"
    assert "noise floor not known" in only.summary()


def test_the_map_keeps_distances_that_fit_into_a_plane():
    """The mean squared distances of exponents (a, b) are Euclidean: the map is exact."""
    places = np.random.default_rng(0).standard_normal((6, 2))
    spectra = [spectrum(place, np.zeros(2)) for place in places]
    found = compare_networks([network(k) for k in range(6)], method="lyapunov", exponents=spectra)
    apart = np.linalg.norm(found.positions[:, None] - found.positions, axis=2)
    np.testing.assert_allclose(apart, np.linalg.norm(places[:, None] - places, axis=2) / np.sqrt(2), atol=1e-6)
    assert found.stress < 1e-6
    corners = np.vstack([np.eye(4), 2 * np.eye(4)[:2]])  # fit into no plane
    spectra = [spectrum(row, np.zeros(4)) for row in corners]
    found = compare_networks([network(k) for k in range(6)], method="lyapunov", exponents=spectra)
    centred = corners - corners.mean(0)
    classical = centred @ np.linalg.svd(centred)[2][:2].T / 2
    apart = np.linalg.norm(classical[:, None] - classical, axis=2)
    worse = np.sqrt(((apart - found.distance) ** 2).sum() / (found.distance**2).sum())
    assert 0.05 < found.stress < 0.95 * worse, "better than classical scaling"


def test_networks_of_a_run_see_its_task_and_may_differ_in_size(tmp_path):
    def run(cell, name):
        trained = rs.Network(cell, 2, 2, generator=torch.Generator().manual_seed(0))
        return rs.Subject(trained.map(), FlipFlop(2, length=20), name)

    runs = [run(rs.cells.Vanilla(6), "small"), run(rs.cells.GRU(9), "gated")]
    found = compare_networks(runs, method="dsa", n_trials=60, groups=["tanh", "gru"], rank=4)
    assert found.names == ("small", "gated")
    assert found.dynamics.rank == 4
    assert (found.floor > 1e-4).all(), "the rotated copies saw other trials"
    assert found.distance[0, 1] > found.floor.max()
    result_files.save_result(found, tmp_path / "c.zarr")
    again = result_files.load_result(Comparison, tmp_path / "c.zarr")
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
        ({"rank": 2.5}, "rank must be a whole number"),
        ({"n_delays": -1}, "n_delays must be at least 0"),
        ({"n_copies": 1}, "n_copies must be at least 2"),
        ({"method": "dsa", "n_delays": 40}, "no trial has the 42 steps"),
        ({"method": "shape"}, "method must be 'procrustes' or .*, got 'shape'"),
        ({"beside": "shape"}, "beside must be 'lyapunov' or 'fixed_points' or a list .*, got 'shape'"),
        ({"beside": ["lyapunov", "shape"]}, "beside must be 'lyapunov' or 'fixed_points' or a list"),
        ({"method": "fixed_points"}, "nothing that is compared here depends on inputs"),
        ({"input": [0.0, 0.0]}, "nothing that is compared here depends on input:"),
        ({"exponents": [1, 2]}, r"exponents must be a list with a LyapunovSpectrum each or None, got \[1, 2\]"),
        ({"fixed_points": [1, 2]}, r"fixed_points must be a list with a FixedPoints or a KnownPoints each.*\[1, 2\]"),
        ({"fixed_points": [ELSEWHERE] * 2}, r"network 0: .* points \(point, 8\), got shape \(1, 3\)"),
        ({"inputs": "ab"}, "inputs must be numbers of shape"),
        ({"inputs": np.full((2, 5, 2), np.nan)}, "inputs must be finite numbers, and are not in trial 0 at step 0"),
        ({"inputs": np.zeros((0, 5, 2))}, "at least one trial and one step"),
    ],
)
def test_bad_settings(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        compare_networks([network(0), network(1)], **{"inputs": INPUTS, **given})


def test_errors_name_the_network():
    with pytest.raises(TypeError, match="systems must be a list of networks, at least two, got FunctionMap"):
        compare_networks(network(0))
    lost = rs.FunctionMap(lambda h, u: h * np.nan, state_size=3, input_size=2)
    well = rs.FunctionMap(network(0, size=3).step, state_size=3, input_size=2, domain=(-1, 1))
    with pytest.raises(ValueError, match=r"^lost: the map gives no finite state"):
        compare_networks([well, lost], method="fixed_points", names=["well", "lost"])
    with pytest.raises(NotApplicable, match=r"^lost: the states diverge"):
        compare_networks([network(0), lost], inputs=INPUTS, names=["well", "lost"])


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
    diverged = [spectrum([np.nan], [np.nan])] * 2
    with pytest.raises(NotApplicable, match="network 0 diverged"):
        compare_networks([network(0), network(1)], method="lyapunov", exponents=diverged)
