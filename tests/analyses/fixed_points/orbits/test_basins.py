"""Basins that are known."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points.orbits.basins import Basins, basin_fractions, wilson_interval
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.records.result_files import load_result, save_result
from rnnscope.subjects.not_applicable import NotApplicable

AT_POINT, ON_CYCLE, MOVING, DIVERGED, HELD = range(5)


def scalar(function, reach=1.5):
    return rs.FunctionMap(function, state_size=1, domain=(-reach, reach))


def test_two_basins_are_the_signs():
    found = basin_fractions(scalar(lambda h: np.tanh(2 * h), 1.0), n_starts=1000)
    assert found.starts.drawn_from == "uniform in the domain"
    assert len(found) == 2
    assert (found.starts.end == AT_POINT).all()
    for row in range(2):
        sign = np.sign(found.attractors[row, 0])
        assert found.count[row] == (np.sign(found.starts.states[:, 0]) == sign).sum()
        np.testing.assert_array_equal(found.starts.attractor == row, np.sign(found.starts.states[:, 0]) == sign)
    np.testing.assert_allclose(found.fraction, found.count / 1000)
    assert ((found.low < found.fraction) & (found.fraction < found.high)).all()
    assert found.ends.fraction.tolist() == [1, 0, 0, 0, 0]
    assert not found.missed.any()
    assert found.summary().startswith("2 fixed points take")


def test_four_basins_are_the_quadrants():
    wells = rs.FunctionMap(lambda x: x + 0.3 * (x - x**3), state_size=2, domain=([-1.4] * 2, [1.4] * 2))
    found = basin_fractions(wells, n_starts=800, seed=4)
    assert len(found) == 4
    np.testing.assert_allclose(found.attractors[found.starts.attractor], np.sign(found.starts.states), atol=1e-8)
    assert found.listed.tolist() == np.sort(found.listed).tolist()
    again = basin_fractions(wells, n_starts=800, seed=4)
    np.testing.assert_array_equal(found.starts.states, again.starts.states)
    assert not np.array_equal(found.starts.states, basin_fractions(wells, n_starts=800, seed=5).starts.states)


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_every_state_of_the_flip_flop_goes_where_torch_says(flip_flop, kind):
    module, data = flip_flop(kind)
    listed = find_fixed_points(module, starts=data["initial_states"], certify=False)
    found = basin_fractions(module, fixed_points=listed)
    assert len(found) == 8
    assert (found.starts.end == AT_POINT).all()
    assert found.count.sum() == 2000
    assert found.fraction.min() > 0.02
    assert found.fraction.max() < 0.4
    with torch.no_grad():
        states = torch.tensor(found.starts.states)[None]
        ends, _ = module.double()(torch.zeros(300, 2000, 3, dtype=torch.float64), states)
    bits = np.sign(ends[-1].numpy() @ data["readout.weight"].T + data["readout.bias"])
    held = np.sign(found.attractors @ data["readout.weight"].T + data["readout.bias"])
    np.testing.assert_array_equal(bits, held[found.starts.attractor])
    assert len(np.unique(held, axis=0)) == 8


def test_attractors_that_the_search_missed_are_counted():
    wells = scalar(lambda x: x + 0.3 * (x - x**3))
    listed = find_fixed_points(wells, starts=np.array([[0.9], [0.0]]))
    assert len(listed) == 2
    found = basin_fractions(wells, fixed_points=listed, n_starts=300)
    np.testing.assert_allclose(found.attractors[:, 0], [1, -1], atol=1e-8)
    assert found.listed.tolist() == [0, -1]
    assert found.missed.tolist() == [False, True]
    assert found.n_unstable.tolist() == [0, 0]
    assert found.count[1] == (found.starts.states < 0).sum()
    assert "1 of the fixed points reached not in the list" in found.summary()
    assert found.marginal.tolist() == [False, False]


def test_a_cycle_is_an_attractor():
    found = basin_fractions(scalar(lambda x: -1.3 * x + 0.5 * x**3, 1.2), n_starts=200)
    assert found.period.tolist() == [2]
    assert found.count.tolist() == [200]
    assert found.ends.fraction.tolist() == [0, 1, 0, 0, 0]
    assert abs(found.attractors[0, 0]) == pytest.approx(np.sqrt(0.6), abs=1e-7)
    assert found.n_unstable.tolist() == [-1]
    assert "1 cycle takes 100.0 % of 200 starts" in found.summary()


def test_logistic_cycles_of_many_periods_and_chaos():
    """Period 3 at r = 3.83, period 8 at r = 3.55; at r = 3.9 and 4 there is chaos and no cycle that attracts."""
    for rate, period in ((3.83, 3), (3.55, 8), (3.2, 2)):
        found = basin_fractions(logistic(rate), n_starts=100)
        assert found.period.tolist() == [period], rate
        assert found.count.tolist() == [100], rate
    for rate in (3.9, 4.0):
        found = basin_fractions(logistic(rate), n_starts=100)
        assert len(found) == 0, rate
        assert (found.starts.end == MOVING).all()
        assert "none of 100 starts (uniform in the domain) settles; 100.0 % still moving" in found.summary()
        assert found.figure().data


def logistic(rate):
    return rs.FunctionMap(lambda x: rate * x * (1 - x), state_size=1, domain=(0, 1))


def test_what_diverges_is_counted_exactly():
    found = basin_fractions(scalar(lambda x: x + 0.1 * (x**2 - x), 2.0), n_starts=500)  # 0 attracts, 1 repels
    above = found.starts.states[:, 0] > 1
    np.testing.assert_array_equal(found.starts.end == DIVERGED, above)
    np.testing.assert_array_equal(found.starts.end == AT_POINT, ~above)
    assert found.ends.fraction[DIVERGED] == above.mean()
    assert (found.starts.attractor[above] == -1).all()
    assert "diverged" in found.summary()


@pytest.mark.parametrize("beyond", [1e9, 2.0])
def test_the_map_is_not_asked_about_orbits_that_have_left(beyond):
    """h^3 overflows in seven steps from 2; or has no value above 2."""

    def step(x):
        assert np.isfinite(x).all(), "the map was asked about what is no number"
        return np.where(np.abs(x) > beyond, np.nan, x**3)

    cube = scalar(step, 2.0)
    listed = find_fixed_points(cube, starts=np.array([[-1.0], [0.0], [1.0]]), certify=False)
    starts = np.array([[0.9], [1.1], [-0.9], [-1.9], [1.5]])
    found = basin_fractions(cube, fixed_points=listed, starts=starts)
    assert found.starts.end.tolist() == [AT_POINT, DIVERGED, AT_POINT, DIVERGED, DIVERGED]
    gone = basin_fractions(cube, fixed_points=listed, starts=starts[3:])
    assert gone.starts.end.tolist() == [DIVERGED] * 2, "none is left to ask about"


def test_steps_to_settle_are_those_of_a_linear_contraction():
    half = scalar(lambda x: x / 2)
    listed = find_fixed_points(half, starts=np.array([[-1.0], [0.0], [1.0]]))
    starts = np.array([[1.0], [0.3], [1e-6], [0.0], [-0.01]])
    found = basin_fractions(half, fixed_points=listed, starts=starts, tolerance=1e-3)
    radius = 1e-3 * listed.starts.scale
    expected = [0 if abs(x) < radius else int(np.floor(np.log2(abs(x) / radius))) + 1 for x in starts[:, 0]]
    assert found.starts.steps.tolist() == expected
    assert found.starts.drawn_from == "given"
    np.testing.assert_array_equal(found.starts.states, starts)


def test_a_line_of_fixed_points_is_told():
    line = rs.FunctionMap(lambda x: x * np.array([1.0, 0.5]), state_size=2, domain=([-1, -1], [1, 1]))
    listed = find_fixed_points(line, starts=np.array([[0.5, 0.0], [-0.5, 0.2]]))
    found = basin_fractions(line, fixed_points=listed, n_starts=60)
    assert (found.starts.end == AT_POINT).all()
    np.testing.assert_allclose(
        found.attractors[found.starts.attractor],
        found.starts.states * [1, 0],
        atol=2e-4,
        err_msg="each goes straight to the line",
    )
    assert found.marginal.all()
    assert "with |λ| = 1, as on a line of fixed points" in found.summary()
    assert "others" in found.figure().data[0].y[-1]


def test_states_that_shrink_into_a_kink_settle_there():
    module = torch.nn.RNN(1, 8, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.tensor(np.random.default_rng(1).normal(0, 0.3, (8, 8))))
    starts = np.random.default_rng(0).uniform(0, 2, (50, 8))
    found = basin_fractions(module, starts=starts, fixed_points=find_fixed_points(module, starts=starts))
    assert found.count.tolist() == [50]
    np.testing.assert_allclose(found.attractors, 0, atol=1e-9)


def test_a_start_on_a_stable_manifold_ends_at_the_saddle_and_is_in_no_basin():
    wells = rs.FunctionMap(
        lambda x: x + np.array([0.3, -0.4]) * (x - np.array([1, 0]) * x**3),
        state_size=2,
        domain=([-1.4] * 2, [1.4] * 2),
    )
    found = basin_fractions(wells, starts=np.array([[0.0, 1.0], [0.1, 1.0], [-0.2, 0.3], [1e-9, 1.0]]))
    assert found.starts.end.tolist() == [HELD, AT_POINT, AT_POINT, AT_POINT]
    assert found.starts.attractor[0] == -1
    ends = found.attractors[found.starts.attractor[1:]]
    np.testing.assert_allclose(ends, [[1, 0], [-1, 0], [1, 0]], atol=1e-8)
    assert (found.n_unstable == 0).all()
    assert "25.0 % at an unstable point or cycle, which is no basin" in found.summary()


def two(function, low, high):
    return rs.FunctionMap(function, state_size=2, domain=(low, high))


@pytest.mark.parametrize(
    "expanding",
    [
        rs.FunctionMap(lambda x: 2 * x % 1, state_size=1, domain=(0, 1)),
        rs.FunctionMap(lambda x: 4 * x % 1, state_size=1, domain=(0, 1)),
        rs.FunctionMap(lambda x: (2 * x + 0.25) % 1, state_size=1, domain=(0, 1)),
        rs.FunctionMap(lambda x: 2 * np.minimum(x, 1 - x), state_size=1, domain=(0, 1)),
        rs.FunctionMap(lambda x: 1 - 2 * np.abs(x), state_size=1, domain=(-1, 1)),
        rs.FunctionMap(lambda x: 2 * x % 3, state_size=1, domain=(0, 3)),  # 0, and 1 and 2 by turns
        two(lambda x: np.stack([2 * x[..., 0] % 1, (x[..., 1] + np.floor(2 * x[..., 0])) / 2], -1), 0, 1),
        two(lambda x: np.stack([2 * x[..., 0] % 1, x[..., 1] / 2], -1), [0, -1], 1),
    ],
    ids=["2x mod 1", "4x mod 1", "shifted", "tent", "tent, -1 to 1", "2x mod 3", "baker", "times a contraction"],
)
def test_what_rounding_brings_to_an_unstable_point_is_in_no_basin(expanding):
    """Everywhere expanding maps lose a binary digit a step; in real numbers almost no start ever settles."""
    found = basin_fractions(expanding, n_starts=100)
    assert len(found) == 0
    assert (found.starts.end == HELD).all(), "each came to rest, which is reported, but not as a basin"
    assert found.headline()["largest_share"] == 0
    assert "100.0 % at an unstable point or cycle, which is no basin" in found.summary()


@pytest.mark.parametrize(
    "chaos",
    [
        rs.FunctionMap(lambda x: 4 * x * (1 - x), state_size=1, domain=(0, 1)),
        rs.FunctionMap(lambda x: 3 * x % 1, state_size=1, domain=(0, 1)),
        rs.FunctionMap(lambda x: 1 - 1.9 * np.abs(x), state_size=1, domain=(-0.9, 1)),
    ],
    ids=["logistic", "3x mod 1", "skew tent"],
)
def test_an_orbit_that_passes_an_unstable_point_as_steps_run_out_is_still_moving(chaos):
    """Chaos visits the radius of arrival of its unstable points at any time."""
    found = basin_fractions(chaos, n_starts=4000, n_steps=300, tolerance=0.01)
    assert len(found) == 0
    assert (found.starts.end == MOVING).mean() > 0.999


def test_what_attracts_from_one_side_of_a_kink_alone_has_that_side():
    """x/2 below 0, and above it min(2x, 1/2 + x/5), which ends at 5/8: 0 repels above, and attracts below."""
    kinked = scalar(lambda x: np.where(x < 0, x / 2, np.minimum(2 * x, 0.5 + 0.2 * x)), 1.0)
    found = basin_fractions(kinked, n_starts=500)
    below = found.starts.states[:, 0] < 0
    assert (found.starts.end == AT_POINT).all()
    ends = found.attractors[found.starts.attractor, 0]
    np.testing.assert_allclose(ends, np.where(below, 0, 0.625), atol=1e-3)


@pytest.mark.parametrize(("low", "middle", "high"), [(-1.0, -0.4, 1.0), (-0.5, 0.1, 2.0), (-2.0, 0.9, 1.2)])
def test_shares_of_planted_wells_are_the_lengths_of_their_sides(low, middle, high):
    """x - (x - low)(x - middle)(x - high) / 10, monotone: the start's side of `middle` decides."""
    wells = rs.FunctionMap(lambda x: x - 0.1 * (x - low) * (x - middle) * (x - high), state_size=1, domain=(low, high))
    found = basin_fractions(wells, n_starts=2000)
    share = dict(zip(found.attractors[:, 0].round(6).tolist(), found.low, strict=True))
    assert set(share) == {low, high}
    truth = (middle - low) / (high - low)
    row = int(np.abs(found.attractors[:, 0] - low).argmin())
    assert abs(found.fraction[row] - truth) < 4 * np.sqrt(truth * (1 - truth) / 2000)
    np.testing.assert_array_equal(found.starts.attractor == row, found.starts.states[:, 0] < middle)


def test_basins_are_those_of_one_input():
    driven = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    listed = find_fixed_points(driven, input=[[0.0], [0.2], [3.0]])
    with pytest.raises(ValueError, match="found at 3 inputs, and basins are those of one: choose it"):
        basin_fractions(driven, fixed_points=listed)
    with pytest.raises(ValueError, match="other inputs"):
        basin_fractions(driven, fixed_points=listed, input=[0.1])
    with pytest.raises(ValueError, match="basins are those of one input"):
        basin_fractions(driven, input=[[0.0], [0.1]])
    found = basin_fractions(driven, fixed_points=listed, input=[0.2], n_starts=400)
    assert found.input.tolist() == [0.2]
    assert found.listed.tolist() == np.flatnonzero((listed.point_input == 1) & (listed.n_unstable == 0)).tolist()
    (saddle,) = listed.points[(listed.point_input == 1) & (listed.n_unstable == 1), 0]
    np.testing.assert_array_equal(found.attractors[found.starts.attractor, 0] > 0, found.starts.states[:, 0] > saddle)
    assert basin_fractions(driven, fixed_points=listed, input=[3.0], n_starts=50).count.tolist() == [50]
    assert len(basin_fractions(driven, input=np.array([0.2]), n_starts=50)) == 2


def test_a_run_is_sampled_where_its_task_takes_it(flip_flop_run):
    run = flip_flop_run("gru")
    listed = find_fixed_points(rs.Subject(run.map), certify=False)
    found = basin_fractions(run, fixed_points=listed, n_starts=500, noise=0.1)
    assert found.starts.drawn_from == "states of the task"
    assert np.abs(found.starts.states).max() <= 1, "inside the domain"
    assert (found.starts.end == AT_POINT).all()
    assert len(found) == 8
    assert found.fraction.min() > 0.05, "the task holds all memories alike"


def test_a_map_without_a_domain_is_sampled_from_a_free_run():
    spread = rs.FunctionMap(lambda x: 0.9 * np.sin(2 * x), state_size=2, initial=lambda n, rng: rng.normal(size=(n, 2)))
    found = basin_fractions(spread, n_starts=100)
    assert found.starts.drawn_from == "states of a free run"
    assert found.count.sum() == 100
    with pytest.raises(NotApplicable, match=r"it is not known where to start.*give starts"):
        basin_fractions(rs.FunctionMap(lambda x: x / 2, state_size=2))
    halved = rs.FunctionMap(lambda x: x / 2, state_size=2, domain=([-1, -np.inf], [1, np.inf]))
    assert np.ptp(basin_fractions(halved, n_starts=100).starts.states, axis=0).tolist() == pytest.approx(
        [2, 0], abs=0.2
    )


def test_intervals_are_wilsons():
    from scipy.stats import binomtest

    counts = np.array([0, 1, 17, 250, 500])
    low, high = wilson_interval(counts, 500)
    for count, *interval in zip(counts, low, high, strict=True):
        truth = binomtest(int(count), 500).proportion_ci(0.95, method="wilson")
        np.testing.assert_allclose(interval, truth, atol=1e-12)


def test_the_result_survives_saving_and_has_a_figure(flip_flop, tmp_path):
    module, data = flip_flop("tanh")
    listed = find_fixed_points(module, starts=data["initial_states"][:300], certify=False)
    found = basin_fractions(module, fixed_points=listed, n_starts=200)
    dataset = to_xarray(found)
    assert dataset["starts/states"].dims == ("start", "unit")
    assert from_xarray(Basins, dataset).summary() == found.summary()
    save_result(found, tmp_path / "basins")
    back = load_result(Basins, tmp_path / "basins")
    figure = back.figure()
    bars = figure.data[0]
    np.testing.assert_allclose(np.array(bars.x), 100 * np.sort(found.fraction)[::-1])
    assert len(bars.error_x.array) == 8
    assert figure.layout.title.text.startswith("Basins: 200 starts, uniform in the domain, settled in")
    assert figure.layout.xaxis2.title.text.startswith("PC1 of the attractors")
    rows = [str(row) for row in found.listed[np.argsort(-found.count, kind="stable")]]
    assert all(text in ("", row) for text, row in zip(figure.data[-1].text, rows, strict=True)), "rows of the list"
    assert any(figure.data[-1].text)
    solid = back.figure(dims=3)
    assert {trace.type for trace in solid.data[1:]} == {"scatter3d"}
    assert len(solid.data[-1].z) == 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_starts": 0}, "n_starts must be at least 1, got 0"),
        ({"n_steps": 0}, "n_steps must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"noise": -0.5}, "noise must be at least 0, got -0.5"),
        ({"tolerance": 0.0}, "tolerance must be above 0, got 0.0"),
        ({"starts": np.zeros((3, 2))}, r"starts must have shape \(start, 1\)"),
        ({"starts": np.zeros((0, 1))}, "no row"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        basin_fractions(scalar(lambda x: np.tanh(2 * x)), **arguments)


def turning(turn: float, growth: float):
    def step(x: np.ndarray) -> np.ndarray:
        c, s = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
        return x @ np.array([[c, s], [-s, c]]) * (1 + growth * (x**2).sum(-1, keepdims=True))

    return step


@pytest.mark.parametrize(
    ("step", "size", "centre", "width"),
    [
        (lambda x: -x - x**3, 1, 0.0, 1e-3),
        (lambda x: -x * (1 + 1e-7), 1, 0.0, 1.0),
        (lambda x: -x * (1 - 1e-7), 1, 0.0, 1.0),
        (lambda x: 3 * x * (1 - x), 1, 2 / 3, 1e-3),
        (turning(1 / 3, 1e-3), 2, 0.0, 1e-2),
        (turning(1 / 4, -1e-3), 2, 0.0, 1e-2),
        (turning(2 / 5, -1e-3), 2, 0.0, 1e-2),
    ],
)
def test_a_slow_spiral_is_no_cycle(step, size: int, centre: float, width: float):
    """None of these maps has a cycle: each orbit turns by a half, a third ... of a turn a step, and is slow else."""
    subject = rs.FunctionMap(step, state_size=size, domain=(centre - width, centre + width))
    known = find_fixed_points(subject, n_starts=16, n_rounds=0)
    found = basin_fractions(subject, fixed_points=known, n_starts=300, n_steps=1000)
    assert (found.period == 1).all(), found.summary()


@pytest.mark.parametrize(("r", "period"), [(3.01, 2), (3.2, 2), (3.46, 4), (3.5, 4), (3.83, 3)])
def test_cycles_of_the_logistic_map_take_all(r: float, period: int):
    subject = rs.FunctionMap(lambda x: r * x * (1 - x), state_size=1, domain=(0, 1))
    known = find_fixed_points(subject, n_starts=16, n_rounds=0)
    found = basin_fractions(subject, fixed_points=known, n_starts=300, n_steps=4000)
    assert found.period[found.count > 0].tolist() == [period]
    assert found.fraction.max() > 0.99
