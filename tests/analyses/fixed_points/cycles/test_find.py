"""Cycles whose number, place and stability are known."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells
from rnnscope.analyses.fixed_points import certify_fixed_points, find_fixed_points
from rnnscope.analyses.fixed_points.cycles import linear_regions
from rnnscope.analyses.fixed_points.cycles.find import Cycles, find_cycles
from rnnscope.maps import HeldInput, LinearPieces
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.records.result_files import load_result, save_result


def logistic(r: float, **options) -> rs.FunctionMap:
    return rs.FunctionMap(lambda x: r * x * (1 - x), state_size=1, **{"domain": (0, 1), **options})


def henon() -> rs.FunctionMap:
    return rs.FunctionMap(lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1), state_size=2)


def tent() -> rs.FunctionMap:
    one = np.ones((1, 1))
    pieces = LinearPieces(2 * one, -4 * one, one, np.array([-0.5]), np.zeros(1), np.zeros(1), np.ones(1))
    return rs.FunctionMap(lambda x: 1 - np.abs(2 * x - 1), state_size=1, domain=(0, 1), pieces=pieces)


def almost_linear(diagonal, weight, bias, n_relu: int | None = None) -> rs.Network:
    network = rs.Network(cells.PiecewiseLinear(len(bias), n_relu), 1, 1).double()
    with torch.no_grad():
        for name, value in (("diagonal", diagonal), ("weight", weight), ("bias", bias)):
            getattr(network.cell, name).copy_(torch.tensor(value))
    return network


def published(first: float) -> rs.Network:
    weight, bias = [[0, -0.64375], [0.52505308, 0]], [0.37298253, -0.97931491]
    return almost_linear([first, 0.96461297], weight, bias)


def relu_network(n: int, gain: float, *, seed: int, bias: float = 1.0) -> torch.nn.RNN:
    rng = np.random.default_rng(seed)
    module = torch.nn.RNN(1, n, nonlinearity="relu").double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.tensor(gain * rng.normal(size=(n, n)) / np.sqrt(n)))
        module.bias_hh_l0.copy_(torch.tensor(bias * rng.normal(size=n)))
        module.bias_ih_l0.zero_()
    return module


def counts(found: Cycles) -> dict[int, int]:
    return {int(k): int((found.period == k).sum()) for k in found.search.periods}


def check_consistency(system, found: Cycles) -> None:
    """What every result must keep: states follow one another, for the first time come back after the period, and no
    cycle is there twice."""
    state_map = HeldInput(rs.as_subject(system).map, found.input) if len(found.input) else rs.as_subject(system).map
    seen = []
    for index, k in enumerate(found.period):
        states = found.cycle(index)
        assert states.shape == (k, state_map.state_size)
        after = state_map.step(states, np.empty((k, 0)))
        size = 1 + np.abs(states).max()
        np.testing.assert_allclose(after, np.roll(states, -1, 0), rtol=0, atol=1e-9 * size)
        apart = np.linalg.norm(states[:, None] - states, axis=-1) + 9 * np.eye(k)
        assert apart.min() > 1e-6, f"cycle {index} of period {k} is one of a shorter period"
        assert found.phase[found.cycle_of_point == index].tolist() == list(range(k))
        seen.append(states)
    for i, one in enumerate(seen):
        for other in seen[:i]:
            if len(one) == len(other):
                gap = np.linalg.norm(other - one[0], axis=-1).min()
                assert gap > 1e-6, "the same cycle twice"
    assert (found.multipliers.shape[0], found.hits.shape) == (len(found), (len(found),))
    assert (found.hits > 0).all()


# --- published, and by formula -----------------------------------------------------------------------------------


def test_the_published_fixed_point():
    found = find_cycles(published(-0.0222311), periods=1)
    assert found.search.complete.all()
    np.testing.assert_allclose(found.points, [[0.36, -22.26]], atol=0.01)
    assert found.symbols(0) == ("10",)
    np.testing.assert_allclose(found.multipliers, [[0.96461297, -0.0222311]])
    assert found.summary().startswith("period 1: 1 (1 stable); complete: 4 region sequences searched, which are all")


def test_it_is_certified_and_the_certificate_is_right():
    network = published(-0.0222311)
    found = find_cycles(network, periods=1)
    proof = certify_fixed_points(network.map(), found.points, np.zeros((1, 1)))
    assert proof.certified.all()
    a, w, h = (getattr(network.cell, name).tolist() for name in ("diagonal", "weight", "bias"))
    first = Fraction(h[0]) / (1 - Fraction(a[0]))  # unit 1 is below 0 there, and unit 0 alone decides
    exact = first, (Fraction(w[1][0]) * first + Fraction(h[1])) / (1 - Fraction(a[1]))
    error = sum((Fraction(x) - y) ** 2 for x, y in zip(found.points[0].tolist(), exact, strict=True))
    assert error <= Fraction(float(proof.error_radius[0])) ** 2
    assert proof.error_radius[0] < 1e-10


@pytest.mark.parametrize("starts_only", [False, True], ids=["complete", "from starts"])
def test_the_two_published_cycles_of_order_16(monkeypatch: pytest.MonkeyPatch, starts_only: bool):
    if starts_only:
        monkeypatch.setattr(linear_regions, "MOST_PROGRAMS", 0)
    network = HeldInput(rs.as_subject(published(0.8377689)).map, [0.0])
    found = find_cycles(network, periods=16)
    assert counts(found) == {16: 2}
    assert found.stable.tolist() == [True, False]
    assert found.search.complete.tolist() == [not starts_only]
    check_consistency(network, found)
    state = found.cycle(0)[:1] + 1e-3
    for _ in range(16 * 20):
        state = network.step(state, np.empty((1, 0)))
    assert np.linalg.norm(found.cycle(0) - state, axis=1).min() < 1e-6, "a start nearby settles on the stable one"
    if not starts_only:
        every = find_cycles(network, periods=[*range(1, 8), 15, 17])
        assert every.search.complete.all()
        assert {k: n for k, n in counts(every).items() if n} == {1: 1}, "nothing else but the fixed point inside"


def test_logistic_cycles():
    found = find_cycles(logistic(4.0), periods=range(1, 7))
    assert counts(found) == {1: 2, 2: 1, 3: 2, 4: 3, 5: 6, 6: 9}
    check_consistency(logistic(4.0), found)
    # It is conjugate to the tent map, whose slope is 2 everywhere; but at the end of the interval, x = 0.
    wanted = np.where(found.points[np.cumsum(found.period) - 1, 0] < 1e-9, 4.0, 2.0**found.period)
    np.testing.assert_allclose(np.abs(found.multipliers[:, 0]), wanted, rtol=1e-6)
    angles = np.arcsin(np.sqrt(found.points[:, 0])) * 2 / np.pi
    of_tent = angles * (2.0 ** found.period[found.cycle_of_point] - 1)
    of_tent_too = angles * (2.0 ** found.period[found.cycle_of_point] + 1)
    whole = np.minimum(np.abs(of_tent - of_tent.round()), np.abs(of_tent_too - of_tent_too.round()))
    assert whole.max() < 1e-5, "periodic points of the tent map are fractions over 2^k - 1 or 2^k + 1"
    assert not found.search.complete.any()
    assert "not complete: 1536 of 1536 starts ended at a cycle, no hit speaks of others" in found.summary()


def test_the_stable_cycle_of_the_logistic_map_in_its_windows():
    for r, k in ((3.5, 4), (3.83, 3), (3.74, 5)):
        found = find_cycles(logistic(r), periods=range(1, 6), n_starts=20, max_iterations=30)
        assert found.period[found.stable].tolist() == [k], f"r = {r}"
        x = 0.3
        for _ in range(4000):
            x = r * x * (1 - x)
        assert np.abs(found.points[np.isin(found.cycle_of_point, np.flatnonzero(found.stable))] - x).min() < 1e-9


def test_henon_cycles():
    found = find_cycles(henon(), periods=range(1, 8), n_starts=96)
    assert counts(found) == {1: 2, 2: 1, 3: 0, 4: 1, 5: 0, 6: 2, 7: 4}
    check_consistency(henon(), found)
    np.testing.assert_allclose(found.multipliers.prod(1).real, (-0.3) ** found.period, rtol=1e-6)
    assert (found.n_unstable == 1).all(), "all cycles of the attractor are saddles"
    assert found.search.method == ("multiple shooting",) * 7
    assert "no cycle of period 3, 5; not complete" in found.summary()


def test_the_tent_map_solved_and_searched():
    solved, searched = (
        find_cycles(tent(), periods=range(1, 8)),
        find_cycles(tent(), periods=range(1, 8), exact=False, n_starts=160),
    )
    necklaces = {1: 2, 2: 1, 3: 2, 4: 3, 5: 6, 6: 9, 7: 18}
    assert counts(solved) == counts(searched) == necklaces
    assert solved.search.complete.all()
    assert solved.search.unseen.sum() == 0
    assert not searched.search.complete.any()
    assert searched.regions.shape[1] == 0
    for one in (solved, searched):
        check_consistency(tent(), one)
        np.testing.assert_allclose(np.abs(one.multipliers[:, 0]), 2.0**one.period, rtol=1e-6)
    np.testing.assert_allclose(np.sort(solved.points[:, 0]), np.sort(searched.points[:, 0]), atol=1e-9)
    odd = np.array([sum(bit == "1" for bit in solved.symbols(i)) % 2 for i in range(len(solved))])
    np.testing.assert_array_equal(solved.multipliers[:, 0].real < 0, odd == 1, err_msg="each fold turns the sign")


def test_the_skew_tent_map_with_a_known_stable_3_cycle():
    """x' = a x + 1 below 0 and b x + 1 above: the cycle above-below-below starts at (1 + a + a^2) / (1 - a^2 b)."""
    a, b = 0.4, -4.0
    one = np.ones((1, 1))
    pieces = LinearPieces(0 * one, one, one, np.zeros(1), np.ones(1), np.array([a]), np.array([b]))
    skew = rs.FunctionMap(lambda x: np.where(x > 0, b * x, a * x) + 1, state_size=1, pieces=pieces)
    found = find_cycles(skew, periods=(1, 3), exact=True)
    stable = int(np.flatnonzero(found.stable)[0])
    first = (1 + a + a**2) / (1 - a**2 * b)
    np.testing.assert_allclose(found.cycle(stable)[:, 0], [first, b * first + 1, a * (b * first + 1) + 1])
    assert found.symbols(stable) == ("1", "0", "0")
    np.testing.assert_allclose(found.multipliers[stable], [a**2 * b])
    np.testing.assert_allclose(found.cycle(0), [[1 / (1 - b)]])


def test_a_contraction_that_turns_and_is_kicked():
    """Turned by a seventh and shrunk at each step, and kicked on one side of a line: it settles on a cycle."""
    angle = 2 * np.pi / 7
    turn = 0.9 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pieces = LinearPieces(
        turn, np.array([[-3.0], [0.0]]), np.array([[1.0, 0.2]]), np.array([0.3]), np.zeros(2), np.zeros(1), np.ones(1)
    )
    kicked = rs.FunctionMap(pieces.step, state_size=2, pieces=pieces)
    state = np.array([[1.0, 0.5]])
    for _ in range(1500):
        state = kicked.step(state, np.empty((1, 0)))
    orbit = [state]
    while len(orbit) < 2 or np.linalg.norm(orbit[-1] - state) > 1e-9:
        orbit.append(kicked.step(orbit[-1], np.empty((1, 0))))
        assert len(orbit) < 60, "this map does not settle on a cycle"
    period = len(orbit) - 1
    assert period == 4
    found = find_cycles(kicked, periods=period, exact=True)
    assert found.stable.sum() == 1
    states = found.cycle(int(np.flatnonzero(found.stable)[0]))
    assert np.linalg.norm(states - state, axis=1).min() < 1e-9
    check_consistency(kicked, found)


# --- networks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_no_fixed_point_of_a_relu_network_is_missed(seed: int):
    module = relu_network(8, 2.0, seed=seed)
    exact = find_cycles(module, periods=1, exact=True)
    check_consistency(module, exact)
    starts = np.abs(np.random.default_rng(seed).normal(size=(64, 8))) * 3
    search = find_fixed_points(module, starts=starts, certify=False)
    for point in search.points[search.smooth]:
        assert np.linalg.norm(exact.points - point, axis=1).min(initial=np.inf) < 1e-7


@pytest.mark.parametrize("seed", [1, 3])
def test_complete_search_hopping_and_shooting_agree(monkeypatch: pytest.MonkeyPatch, seed: int):
    module = relu_network(6, 3.5, seed=seed)
    exact = find_cycles(module, periods=(1, 2))
    monkeypatch.setattr(linear_regions, "MOST_PROGRAMS", 0)
    hopped = find_cycles(module, periods=(1, 2), max_regions=1, n_starts=64)
    shot = find_cycles(module, periods=(1, 2), exact=False, n_starts=64)
    assert len(exact) > 1
    assert exact.search.complete.all()
    assert hopped.search.method == ("region hopping and paths",) * 2
    assert shot.search.method == ("multiple shooting",) * 2
    assert counts(hopped) == counts(exact), "a rectified unit is 0 but for rounding, and in its domain"
    for other in (hopped, shot):
        assert not other.search.complete.any()
        for index, k in enumerate(other.period):
            gaps = [
                np.linalg.norm(other.cycle(index)[0] - one, axis=1).min() for one in map(exact.cycle, range(len(exact)))
            ]
            match = int(np.argmin(gaps))
            assert gaps[match] < 1e-7
            assert exact.period[match] == k
            np.testing.assert_allclose(other.multipliers[index], exact.multipliers[match], atol=1e-6)


def test_fixed_points_of_a_trained_network_are_those_of_the_fixed_point_search(flip_flop):
    module, data = flip_flop("gru")
    starts = data["initial_states"][:400].copy()
    found = find_cycles(module, periods=(1, 2), input=data["input"][0], starts=starts)
    assert counts(found) == {1: 27, 2: 0}
    distances = np.linalg.norm(found.points[:, None] - data["reference_fixed_points"], axis=-1)
    assert distances.min(0).max() < 1e-8
    np.testing.assert_array_equal(found.n_unstable, data["reference_n_unstable"][distances.argmin(1)])
    np.testing.assert_array_equal(starts, data["initial_states"][:400], err_msg="the caller's starts were changed")
    assert found.hits.sum() == found.search.n_ended[0]


def test_the_origin_of_a_network_without_biases_is_at_a_kink():
    module = relu_network(6, 0.5, seed=0, bias=0.0)
    found = find_cycles(module, periods=(1, 2))
    np.testing.assert_allclose(found.points, np.zeros((1, 6)), atol=1e-12)
    assert found.hits.tolist() == [2**6], "it lies on the border of all regions"
    assert found.smooth.tolist() == [False]
    assert "period 1: 1 (0 stable, 1 at a kink of the map), no cycle of period 2" in found.summary()
    stacked = torch.nn.RNN(1, 4, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        for name, value in stacked.named_parameters():
            value.mul_(0.5 if "hh" in name else 1)
    layers = find_cycles(stacked, periods=1, starts=np.abs(np.random.default_rng(0).normal(size=(40, 8))))
    assert layers.search.method == ("multiple shooting",)
    assert layers.smooth.tolist() == [False]


def test_a_held_input_moves_the_fixed_point():
    network = almost_linear([0.5, 0.5], [[0.0, 0.0], [0.0, 0.0]], [0.0, 1.0])
    with torch.no_grad():
        network.cell.weight_in.copy_(torch.tensor([[1.0], [0.0]]))
    np.testing.assert_allclose(find_cycles(network, periods=1).points, [[0.0, 2.0]], atol=1e-15)
    driven = find_cycles(network, periods=1, input=[-3.0])
    np.testing.assert_allclose(driven.points, [[-6.0, 2.0]])
    assert driven.input.tolist() == [-3.0]


def test_continua_are_counted_and_not_listed():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    quarter = rs.Network(cells.Vanilla(2, nonlinearity="identity"), 0, 1).double()
    with torch.no_grad():
        quarter.cell.weights.weight.copy_(torch.tensor(turn))
        quarter.cell.weights.bias.copy_(torch.tensor([1.0, 0.0]))
    found = find_cycles(quarter, periods=range(1, 5))
    np.testing.assert_allclose(found.points, [[0.5, 0.5]], err_msg="every other state is on a cycle of period 4")
    assert found.search.n_singular.tolist() == [0, 0, 0, 1]
    assert "1 singular region sequence, where cycles are not isolated" in found.summary()


def test_a_cycle_outside_the_domain_is_none():
    found = find_cycles(logistic(3.2, domain=(0.1, 0.9)), periods=(1, 2))
    np.testing.assert_allclose(found.cycle(0), [[1 - 1 / 3.2]])
    assert counts(found) == {1: 1, 2: 1}
    inside = rs.FunctionMap(
        lambda x: 1 - np.abs(2 * x - 1),
        state_size=1,
        domain=(0.1, 1),
        pieces=tent().linear_pieces(np.empty(0)),
    )
    np.testing.assert_allclose(find_cycles(inside, periods=1).points, [[2 / 3]])


def test_a_map_that_stays_where_it_starts_is_hopped_from_random_regions(monkeypatch: pytest.MonkeyPatch):
    """From its own initial state nothing moves; a fixed point elsewhere is found all the same."""
    monkeypatch.setattr(linear_regions, "MOST_PROGRAMS", 0)
    pieces = LinearPieces(
        np.zeros((2, 2)), np.eye(2), 3 * np.eye(2), np.array([-1.0, -1.0]), np.zeros(2), np.zeros(2), np.ones(2)
    )
    relu = rs.FunctionMap(pieces.step, state_size=2, pieces=pieces)
    found = find_cycles(relu, periods=1, max_regions=1)
    places = found.points[np.lexsort(np.round(found.points, 9).T)]
    np.testing.assert_allclose(places, [[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]], atol=1e-12)


# --- the result --------------------------------------------------------------------------------------------------


def test_a_seed_repeats_itself():
    one, two, other = (find_cycles(henon(), periods=(1, 4), n_starts=40, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.points, two.points)
    np.testing.assert_array_equal(one.hits, two.hits)
    assert one.hits.tolist() != other.hits.tolist()
    np.testing.assert_allclose(one.points, other.points, atol=1e-9)


@pytest.mark.parametrize("kind", ["solved", "searched", "empty"])
def test_results_survive_disk_and_have_figures(tmp_path: Path, kind: str):
    if kind == "solved":
        found = find_cycles(published(0.8377689), periods=(1, 16))
    elif kind == "searched":
        found = find_cycles(henon(), periods=(1, 2, 4), n_starts=32)
    else:
        found = find_cycles(rs.FunctionMap(lambda x: x + 1, state_size=1), periods=2, starts=np.zeros((3, 1)))
        assert found.summary().startswith("no cycle of period 2; not complete: 0 of 3 starts")
    assert to_xarray(found)["points"].dims == ("point", "unit")
    save_result(found, tmp_path / "cycles")
    for back in (from_xarray(Cycles, to_xarray(found)), load_result(Cycles, tmp_path / "cycles")):
        assert back.summary() == found.summary()
        assert back.search.method == found.search.method
        for one, other in ((back, found), (back.search, found.search)):
            for name in {field.name for field in dataclasses.fields(one)} - {"search"}:
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    figure = found.figure()
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    if kind == "solved":
        assert names == ["|μ| = 1", "period 1, unstable (1)", "period 16, stable (1)", "period 16, unstable (1)"]
        assert [len(trace.x) for trace in figure.data if trace.mode == "lines+markers"] == [17, 1, 17]
    elif kind == "empty":
        assert figure.layout.annotations[-1].text == "no cycle of period 2 found"
    else:
        assert names[1:] == [f"period {k}, unstable ({n})" for k, n in ((1, 2), (2, 1), (4, 1))]


def test_the_figure_of_many_cycles_draws_some():
    figure = find_cycles(tent(), periods=range(1, 9)).figure()
    drawn = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert 5 < len(drawn) <= 12
    assert figure.layout.annotations[0].text == f"State space, {len(drawn)} of 71 drawn, c: number of the cycle"


# --- mistakes ----------------------------------------------------------------------------------------------------

NAN = torch.nn.RNN(2, 4)
NAN_RELU = torch.nn.RNN(2, 4, nonlinearity="relu")
with torch.no_grad():
    for broken in (NAN, NAN_RELU):
        broken.weight_hh_l0[0, 0] = float("nan")
WRONG = rs.FunctionMap(lambda x: x / 2, state_size=1, pieces=tent().linear_pieces(np.empty(0)))


@pytest.mark.parametrize(
    ("system", "arguments", "words"),
    [
        (henon(), {"periods": 0}, "periods must be at least 1, got 0"),
        (henon(), {"periods": [2, -1]}, r"periods must be at least 1, got \[2, -1\]"),
        (henon(), {"periods": []}, "periods is empty"),
        (henon(), {"exact": True}, "exact=True needs a piecewise-linear map, and this one gives no"),
        (torch.nn.RNN(2, 4), {"exact": True}, "this one gives no linear pieces.*cells.PiecewiseLinear"),
        (
            relu_network(32, 1.0, seed=0),
            {"exact": True, "periods": 2},
            r"2\^64 sequences.*max_regions=1048576: ask",
        ),
        (henon(), {"starts": np.zeros((3, 5))}, r"\(start, 2\).*\(3, 5\)"),
        (henon(), {"starts": np.zeros((0, 2))}, "no row"),
        (henon(), {"starts": np.full((2, 2), np.nan)}, "row 0"),
        (henon(), {"n_starts": 0}, "n_starts must be at least 1"),
        (henon(), {"max_regions": 0}, "max_regions must be at least 1"),
        (henon(), {"max_iterations": 0}, "max_iterations must be at least 1"),
        (henon(), {"tolerance": 0.0}, "tolerance must be above 0, got 0.0"),
        (henon(), {"distance": -1.0}, "distance must be above 0, got -1.0"),
        (henon(), {"input": [1.0]}, "takes no input"),
        (NAN, {}, "infinite or NaN: give finite weights"),
        (NAN_RELU, {}, "infinite or NaN: give finite weights"),
        (WRONG, {}, "pieces of this map are not its step: they differ by up to"),
        (rs.FunctionMap(lambda x: x / 2, state_size=2), {}, "it is not known where to start"),
    ],
)
def test_bad_input_is_named(system, arguments, words):
    with pytest.raises(ValueError, match=words):
        find_cycles(system, **arguments)
