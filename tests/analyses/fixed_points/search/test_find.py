"""Fixed points whose number and place are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points import FAILED, FIXED, SLOW, FixedPoints, find_fixed_points
from rnnscope.figures import says_little
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.subjects.not_applicable import NotApplicable


def linear(matrix, offset):
    matrix, offset = np.asarray(matrix, float), np.asarray(offset, float)
    return rs.FunctionMap(
        lambda x: x @ matrix.T + offset,
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, len(matrix))),
        state_size=len(matrix),
    )


def henon():
    return rs.FunctionMap(lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1), state_size=2)


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_the_flip_flop_has_27_fixed_points(flip_flop, kind):
    module, data = flip_flop(kind)
    starts = data["initial_states"].copy()
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    found = find_fixed_points(module, input=data["input"][0], starts=starts)

    assert len(found) == 27
    assert np.bincount(found.n_unstable).tolist() == [8, 12, 6, 1]
    assert (found.starts.status == FIXED).sum() >= 1010
    assert found.hits.sum() == (found.starts.status == FIXED).sum()
    assert found.q.max() < 1e-28
    distances = np.linalg.norm(found.points[:, None] - data["reference_fixed_points"], axis=-1)
    assert distances.min(0).max() < 1e-8, "every reference point is found"
    np.testing.assert_array_equal(found.n_unstable, data["reference_n_unstable"][distances.argmin(1)])
    assert (np.abs(found.points) <= 1).all(), "the domain of both networks"
    assert found.summary().startswith("27 fixed points (8 stable, 12/6/1 with 1/2/3 unstable directions) from 10")
    np.testing.assert_allclose(
        found.points[found.starts.point[found.starts.status == FIXED]].mean(0),
        np.average(found.points, axis=0, weights=found.hits),
        err_msg="starts.point names the point that each start ended at",
    )

    np.testing.assert_array_equal(starts, data["initial_states"], err_msg="the caller's starts were changed")
    for name, value in module.state_dict().items():
        assert torch.equal(value, weights[name]), "the network was changed"
    assert all(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_default_starts_find_them_too_and_a_seed_repeats_itself(flip_flop, kind):
    module, _ = flip_flop(kind)
    one, two = (find_fixed_points(module, seed=5) for _ in range(2))
    assert len(one) == 27
    np.testing.assert_array_equal(one.points, two.points)
    other = find_fixed_points(module, seed=6, n_starts=1024, max_iterations=1)
    assert not np.array_equal(one.starts.states, other.starts.states)


def test_a_run_starts_from_the_states_of_its_task(flip_flop_run):
    found = find_fixed_points(flip_flop_run("gru"), n_starts=256)
    assert found.starts.states.shape == (256, 16)
    assert (found.starts.status == FIXED).mean() > 0.95
    assert set(np.bincount(found.n_unstable)[:1]) == {8}, "all memories are found from the states that hold them"


def test_henon_has_its_two_fixed_points():
    root = np.sqrt(0.7**2 + 4 * 1.4)
    x = np.array([(-0.7 + root) / 2.8, (-0.7 - root) / 2.8])
    found = find_fixed_points(henon(), starts=np.random.default_rng(0).uniform(-2, 2, (50, 2)))
    order = np.argsort(-found.points[:, 0])
    np.testing.assert_allclose(found.points[order], np.stack([x, 0.3 * x], -1), atol=1e-12)
    assert found.n_unstable.tolist() == [1, 1]
    largest = -1.4 * x - np.sign(x) * np.sqrt((1.4 * x) ** 2 + 0.3)
    np.testing.assert_allclose(found.eigenvalues[order, 0], largest, rtol=1e-8)


def test_logistic_map_within_its_domain():
    found = find_fixed_points(
        rs.FunctionMap(lambda x: 3.2 * x * (1 - x), state_size=1, domain=(np.zeros(1), np.ones(1))), n_starts=50
    )
    np.testing.assert_allclose(np.sort(found.points[:, 0]), [0, 1 - 1 / 3.2], atol=1e-12)
    assert found.summary().startswith("2 fixed points (2 with 1 unstable direction) from 50 of 50 starts")


def test_a_linear_map_has_one_with_its_own_time_constants_and_frequency():
    angle, radius = 2 * np.pi / 12, 0.9
    matrix = np.zeros((3, 3))
    matrix[:2, :2] = radius * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[2, 2] = 1.25
    offset = np.array([1.0, -2.0, 0.5])
    found = find_fixed_points(linear(matrix, offset), starts=np.random.default_rng(0).normal(size=(20, 3)))
    np.testing.assert_allclose(found.points, [np.linalg.solve(np.eye(3) - matrix, offset)], atol=1e-10)
    assert found.hits.tolist() == [20]
    assert found.n_unstable.tolist() == [1]
    np.testing.assert_allclose(found.time_constants[0], [-1 / np.log(1.25), -1 / np.log(0.9), -1 / np.log(0.9)])
    np.testing.assert_allclose(found.frequencies[0], [0, 1 / 12, -1 / 12], atol=1e-12)


def test_a_line_of_fixed_points_is_marginal_and_not_unstable():
    found = find_fixed_points(
        linear(np.diag([1.0, 0.5]), [0.0, 1.0]), starts=np.random.default_rng(0).normal(size=(9, 2))
    )
    assert len(found) == 9
    np.testing.assert_allclose(found.points[:, 1], 2.0)
    assert found.marginal.all()
    assert not found.stable.any()
    assert (found.n_unstable == 0).all()
    assert np.isposinf(found.time_constants[:, 0]).all()


def test_drift_has_no_fixed_point_and_says_so():
    found = find_fixed_points(rs.FunctionMap(lambda x: x + 1, state_size=1), n_starts=30)
    assert len(found) == 0
    assert found.points.shape == (0, 1)
    assert found.eigenvalues.shape == (0, 1)
    assert (found.starts.status != FIXED).all()
    assert found.starts.q.min() == pytest.approx(0.5)
    assert found.summary().startswith("no fixed point from 30 starts")
    assert "no fixed point found" in found.figure().layout.annotations[0].text


def test_a_slow_point_is_no_fixed_point():
    # x' = x + x^2 + c passes 0 at a speed of c: the ghost of two fixed points that are gone.
    ghost = rs.FunctionMap(lambda x: x + x**2 + 1e-4, state_size=1)
    found = find_fixed_points(ghost, starts=np.linspace(-0.5, 0.5, 11)[:, None])
    assert len(found) == 0
    assert (found.starts.status == SLOW).all(), found.summary()
    np.testing.assert_allclose(found.slow.points, [[0.0]], atol=1e-3)
    np.testing.assert_allclose(found.slow.q, [0.5e-8], rtol=1e-2)


def test_a_homogeneous_relu_network_stands_still_at_the_origin_only():
    module = torch.nn.RNN(1, 8, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.tensor(np.random.default_rng(1).normal(0, 0.3, (8, 8))))
    found = find_fixed_points(module, starts=np.random.default_rng(0).uniform(0, 2, (60, 8)))
    np.testing.assert_allclose(found.points, np.zeros((1, 8)), atol=1e-9)
    assert found.hits.tolist() == [60]


def test_a_start_that_overflows_fails_alone():
    starts = np.array([[0.5, 0.1], [1e200, 0.0], [0.7, 0.2]])
    found = find_fixed_points(henon(), starts=starts)
    assert found.starts.status.tolist() == [FIXED, FAILED, FIXED]
    assert found.starts.point.tolist() == [0, -1, 0]


def test_points_count_once_at_the_scale_of_the_starts():
    tiny = rs.FunctionMap(lambda x: x - 1e-6 * np.sin(2 * np.pi * x / 1e-6) / 20, state_size=1)
    found = find_fixed_points(tiny, starts=np.linspace(0, 3e-6, 40)[:, None], tolerance=1e-32)
    inside = found.points[(found.points[:, 0] > -1e-9) & (found.points[:, 0] < 3.001e-6), 0]
    np.testing.assert_allclose(np.sort(inside), np.arange(7) * 0.5e-6, atol=1e-12)


def test_results_survive_xarray_and_have_figures(flip_flop):
    module, data = flip_flop("gru")
    found = find_fixed_points(module, starts=data["initial_states"][:200])
    dataset = to_xarray(found)
    assert dataset["eigenvalues"].dims == ("point", "eigenvalue")
    back = from_xarray(FixedPoints, dataset)
    assert back.summary() == found.summary()
    assert back.starts.status_names == ("fixed", "slow", "failed")
    names = [trace.name for trace in found.figure().data]
    assert names[:2] == ["|λ| = 1", f"stable ({found.stable.sum()})"]


def test_the_figure_of_many_classes_puts_them_into_ranges():
    n = 12
    matrices = np.array([np.diag(np.r_[np.full(k, 1.5), np.full(n - k, 0.5)]) for k in range(n)])
    found = find_fixed_points(linear(matrices[0], np.ones(n)), starts=np.zeros((1, n)))
    many = replace(
        found,
        points=np.zeros((n, n)),
        point_input=np.zeros(n, int),
        q=np.zeros(n),
        hits=np.ones(n, int),
        eigenvalues=np.linalg.eigvals(matrices).astype(complex),
        n_unstable=np.arange(n),
        smooth=np.ones(n, bool),
    )
    figure = many.figure()
    names = [trace.name for trace in figure.data]
    assert names == [
        "|λ| = 1", "stable (1)", "1 unstable direction (1)", "2 unstable directions (1)", "3–11 unstable directions (9)"
    ]  # fmt: skip
    assert [trace.name for trace in many.figure(points=[0, 11]).data][1:] == [
        "stable (1)", "11 unstable directions (1)"
    ]  # fmt: skip
    assert "11 with 1 to 11 unstable directions" in many.summary()


def test_points_are_drawn_where_they_are_under_their_numbers():
    """x' = x + (x - x^3)/4 in each of three numbers: at every corner, edge, face and the middle of a cube."""
    cube = rs.FunctionMap(lambda x: x + (x - x**3) / 4, state_size=3)
    starts = np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3)).reshape(3, -1).T
    found = find_fixed_points(cube, starts=starts, certify=False)
    assert len(found) == 27
    figure = found.places_figure()
    names = {trace.name for trace in figure.data}
    assert names == {"stable (8)", "1 unstable direction (12)", "2 unstable directions (6)", "repelling (1)"}
    drawn = {int(n): place for t in figure.data for n, *place in zip(t.customdata, t.x, t.y, t.z, strict=True)}
    assert sorted(drawn) == list(range(27))
    # Principal axes turn the cube and leave distances as they are.
    places = np.array([drawn[i] for i in range(27)])
    near, far = (np.linalg.norm(each[:, None] - each[None], axis=2) for each in (places, found.points))
    np.testing.assert_allclose(near, far, atol=1e-9)
    assert {trace.type for trace in found.places_figure(dims=2).data} == {"scatter"}
    assert sum(len(trace.x) for trace in found.places_figure(points=[3, 5, 7]).data) == 3
    with pytest.raises(ValueError, match="input has no row 1"):
        found.figure(input=1)
    with pytest.raises(NotApplicable, match="1 fixed point"):
        found.places_figure(points=4)


def test_a_figure_says_where_a_sentence_says_as_much():
    gone = rs.FunctionMap(lambda x: x + 1, state_size=1)
    assert (
        says_little(find_fixed_points(gone, starts=np.zeros((2, 1))).figure()) == "No fixed point found from 2 starts."
    )
    still = rs.FunctionMap(lambda x: 0 * x, state_size=3)
    assert "its 3 eigenvalues are all 0" in says_little(find_fixed_points(still, starts=np.zeros((2, 3))).figure())
    turn = rs.FunctionMap(lambda x: 0.5 * x[..., ::-1] * np.array([1.0, -1.0]), state_size=2)
    assert says_little(find_fixed_points(turn, starts=np.ones((2, 2))).figure()) == "", "a pair has an angle"
    wells = rs.FunctionMap(lambda x: x + (x - x**3) / 4, state_size=1)
    assert says_little(find_fixed_points(wells, starts=np.linspace(-2, 2, 9)[:, None]).figure()) == ""


NAN = torch.nn.RNN(2, 4)
with torch.no_grad():
    NAN.weight_hh_l0[0, 0] = float("nan")


@pytest.mark.parametrize(
    ("system", "arguments", "words"),
    [
        (NAN, {}, "infinite or NaN: give finite weights"),
        (NAN, {"starts": np.zeros((3, 4))}, "infinite or NaN: give finite weights"),
        (torch.nn.RNN(2, 4), {"starts": np.zeros((3, 5))}, r"\(start, 4\).*\(3, 5\)"),
        (torch.nn.RNN(2, 4), {"starts": np.zeros((0, 4))}, "no row"),
        (torch.nn.RNN(2, 4), {"starts": np.full((3, 4), np.nan)}, "row 0"),
        (torch.nn.RNN(2, 4), {"n_starts": 0}, "n_starts must be at least 1, got 0"),
        (torch.nn.RNN(2, 4), {"input": np.zeros(3)}, r"\(2,\).*\(3,\)"),
        (henon(), {"input": np.zeros(3)}, "takes no input"),
        (torch.nn.RNN(2, 4), {"input": np.zeros((2, 3))}, r"inputs of 2 numbers.*\(2, 3\)"),
        (torch.nn.RNN(2, 4), {"input": [0.0, np.inf]}, "input must be finite"),
        (torch.nn.RNN(2, 4), {"start_inputs": np.zeros((3, 2))}, "start_inputs goes with starts"),
        (torch.nn.RNN(2, 4), {"starts": np.zeros((3, 4)), "start_inputs": np.zeros((2, 2))}, r"\(3, 2\).*\(2, 2\)"),
        (torch.nn.RNN(2, 4), {"visited": np.zeros((3, 5))}, r"visited.*\(state, 4\).*\(3, 5\)"),
        (rs.FunctionMap(lambda x: x[..., :1], state_size=2), {"starts": np.zeros((3, 2))}, "changes the size"),
        (torch.nn.RNN(2, 4), {"tolerance": 0.0}, "tolerance must be above 0, got"),
        (torch.nn.RNN(2, 4), {"distance": -1.0}, "distance must be above 0, got"),
        (torch.nn.RNN(2, 4), {"noise": -1.0}, "noise must be at least 0, got"),
        (torch.nn.RNN(2, 4), {"max_iterations": 0}, "max_iterations must be at least 1"),
        (linear(np.eye(2) / 2, [0, 0]), {}, "it is not known where to start.*give starts"),
    ],
)
def test_bad_input_is_named(system, arguments, words):
    with pytest.raises(ValueError, match=words):
        find_fixed_points(system, **arguments)


def test_a_point_at_a_kink_of_the_map_is_told():
    """The origin of a ReLU network without biases: its eigenvalues are those of one side."""
    rng = np.random.default_rng(4)
    weight = rng.normal(size=(6, 6)) * 0.3
    relu = rs.FunctionMap(
        lambda h: np.maximum(h @ weight.T, 0),
        state_size=6,
        jacobian=lambda h: (h @ weight.T > 0)[..., None] * weight,
    )
    found = find_fixed_points(relu, starts=np.abs(rng.normal(size=(64, 6))))
    assert len(found) == 1
    np.testing.assert_allclose(found.points[0], 0, atol=1e-9)
    assert not found.smooth[0]
    assert "1 at a kink of the map" in found.summary()
    smooth = rs.FunctionMap(
        lambda h: np.tanh(h @ weight.T),
        state_size=6,
        jacobian=lambda h: (1 - np.tanh(h @ weight.T) ** 2)[..., None] * weight,
    )
    assert find_fixed_points(smooth, starts=rng.normal(size=(64, 6))).smooth.all()


def gated():
    """h' = tanh(2 h + u): three fixed points at small u, one at large."""
    return rs.FunctionMap(
        lambda h, u: np.tanh(2 * h + u),
        jacobian=lambda h, u: (2 * (1 - np.tanh(2 * h + u) ** 2))[..., None],
        state_size=1,
        input_size=1,
        domain=(-1, 1),
    )


def test_several_inputs_are_searched_each_for_itself():
    inputs = np.array([[-2.0], [0.0], [0.1], [2.0]])
    found = find_fixed_points(gated(), input=inputs, n_starts=60)
    assert [len(found.at(k)) for k in range(4)] == [1, 3, 3, 1], found.summary()
    assert len(found.starts) == 240
    np.testing.assert_allclose(np.tanh(2 * found.points + found.inputs), found.points, atol=1e-12)
    assert (np.diff(found.point_input) >= 0).all(), "points come input by input"
    alone = find_fixed_points(gated(), input=[0.1], n_starts=60)
    np.testing.assert_allclose(np.sort(found.points[found.at(2)], 0), np.sort(alone.points, 0), atol=1e-12)
    ended = found.starts.status == FIXED
    np.testing.assert_array_equal(found.point_input[found.starts.point[ended]], found.starts.input[ended])
    assert "8 fixed points at 4 inputs" in found.summary()


def test_an_input_for_each_start():
    """h' = (h + u) / 2 stands still at u alone."""
    follow = rs.FunctionMap(lambda h, u: (h + u) / 2, state_size=2, input_size=2)
    inputs = np.random.default_rng(0).normal(size=(5, 2))[[0, 1, 2, 3, 4, 0, 1]]
    found = find_fixed_points(follow, starts=np.ones((7, 2)), start_inputs=inputs)
    assert len(found) == 5
    assert sorted(found.hits.tolist()) == [1, 1, 1, 2, 2]
    np.testing.assert_allclose(found.points, found.inputs, atol=1e-9)
    np.testing.assert_allclose(found.points[found.starts.point], inputs, atol=1e-9)


def test_points_outside_the_domain_are_flagged():
    """x' = x^3 has fixed points at 0 and +-1; told that it never leaves [-1/2, 1/2], two of them are outside."""
    cube = rs.FunctionMap(lambda x: x**3, state_size=1, domain=(-0.5, 0.5))
    inside = find_fixed_points(cube, starts=np.linspace(-2, 2, 41)[:, None])
    np.testing.assert_allclose(inside.points, [[0.0]], atol=1e-9)
    assert inside.reach.in_domain.all()
    free = find_fixed_points(cube, starts=np.linspace(-2, 2, 41)[:, None], within_domain=False)
    np.testing.assert_allclose(np.sort(free.points[:, 0]), [-1, 0, 1], atol=1e-9)
    np.testing.assert_array_equal(free.reach.in_domain, np.abs(free.points[:, 0]) < 0.5)
    assert "2 outside the domain" in free.summary()


def test_points_far_from_every_visited_state_are_flagged():
    cube = rs.FunctionMap(lambda x: x**3, state_size=1)
    visited = np.linspace(-0.2, 0.2, 5)[:, None]  # their median distance from their median is .1
    found = find_fixed_points(cube, starts=np.linspace(-2, 2, 41)[:, None], visited=visited, far_distance=7.9)
    order = np.argsort(found.points[:, 0])
    np.testing.assert_allclose(found.reach.visited_distance[order], [8, 0, 8], atol=1e-8)
    assert found.reach.far[order].tolist() == [True, False, True]
    assert found.reach.visited_from == "given states"
    assert "2 far from every visited state" in found.summary()


def test_why_starts_failed_is_told():
    found = find_fixed_points(henon(), starts=np.array([[0.5, 0.1], [1e200, 0.0], [0.7, 0.2]]))
    assert found.starts.reason[[0, 2]].tolist() == [0, 0]
    reason = found.starts.reason_names[found.starts.reason[1]]
    assert "not finite" in reason
    assert f"1 failed: 1 {reason}" in found.summary()


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_all_points_of_the_flip_flop_are_certified_inside_and_covered(flip_flop, kind):
    module, data = flip_flop(kind)
    found = find_fixed_points(module, starts=data["initial_states"])
    assert found.certificates.certified.all(), [why for why in found.certificates.reason if why]
    assert found.certificates.error_radius.max() < 1e-10
    apart = np.linalg.norm(found.points[:, None] - found.points, axis=-1)[~np.eye(27, dtype=bool)].min()
    assert apart > 2 * found.certificates.error_radius.max(), "27 different points are proven"
    assert (found.certificates.uniqueness_radius > found.certificates.error_radius).all()
    assert found.reach.in_domain.all()
    assert not found.reach.far.any()
    assert found.coverage.n_found == 27
    assert found.coverage.unseen < 1
    assert "27 certified" in found.summary()
    skipped = find_fixed_points(module, starts=data["initial_states"][:50], certify=False)
    assert not skipped.certificates.certified.any()
    assert set(skipped.certificates.reason) == {"not asked for"}


def test_hopfield_patterns_are_attractors():
    """h' = tanh(2 W h) with W the mean of outer products of orthogonal patterns p: m p and its mirror image stand
    still, with m = tanh(2 m), and their largest eigenvalue is 2 (1 - m^2)."""
    patterns = (-1.0) ** (np.arange(64)[:, None] // 2 ** np.arange(3)).T  # rows of a Hadamard matrix: orthogonal
    rnn = torch.nn.RNN(1, 64, bias=False)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(torch.tensor(2.0 * patterns.T @ patterns / 64))
    rng = np.random.default_rng(0)
    starts = np.concatenate([patterns, -patterns]) * rng.uniform(0.5, 1, (6, 64))
    found = find_fixed_points(rnn, starts=np.repeat(starts, 5, 0) + 0.05 * rng.normal(size=(30, 64)))
    m = 0.9
    for _ in range(200):
        m = np.tanh(2 * m)
    near = np.linalg.norm(found.points[:, None] - m * np.concatenate([patterns, -patterns]), axis=-1)
    assert near.min(0).max() < 1e-6, "every pattern is found where the overlap equation puts it"
    np.testing.assert_allclose(np.abs(found.eigenvalues[near.argmin(0), 0]), 2 * (1 - m**2), rtol=1e-5)
    assert found.stable[near.argmin(0)].all()


def test_an_orbit_without_a_fixed_point_has_none():
    """An angle that turns at a speed of .2 to .4, on a cylinder that contracts."""
    turn = rs.FunctionMap(
        lambda s: np.stack([s[..., 0] / 2, s[..., 1] + 0.3 + 0.1 * np.sin(s[..., 1])], -1), state_size=2
    )
    found = find_fixed_points(turn, starts=np.random.default_rng(0).normal(size=(40, 2)))
    assert len(found) == 0
    assert found.starts.q.min() == pytest.approx(0.5 * 0.2**2, rel=1e-3), "the slowest place of the orbit"
    assert (found.starts.status == SLOW).mean() > 0.9, found.summary()
