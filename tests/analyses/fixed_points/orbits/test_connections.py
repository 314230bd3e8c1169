"""Graphs of saddles and attractors that are known."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points.orbits.connections import Connections, connect_fixed_points
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.figures import says_little
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.records.result_files import load_result, save_result

AT_POINT, ON_CYCLE, MOVING, DIVERGED = range(4)


def double_wells(bent=None):
    """x' = x + a (x - x^3) in each of two coordinates: 9 points, of which 4 attract and 1 repels. `bent` is added to
    the second coordinate."""
    rates = np.array([0.3, 0.4])

    def step(x):
        new = x + rates * (x - x**3)
        if bent is not None:
            new[..., 1] += bent(x[..., 0])
        return new

    def jacobian(x):
        return (1 + rates * (1 - 3 * x**2))[..., None] * np.eye(2)

    exact = None if bent is not None else jacobian
    return rs.FunctionMap(step, state_size=2, jacobian=exact, domain=([-1.4] * 2, [1.4] * 2))


def scalar(function, reach=1.5):
    return rs.FunctionMap(function, state_size=1, domain=(-reach, reach))


def row_at(found, place):
    (row,) = np.flatnonzero(np.linalg.norm(found.points - np.asarray(place, float), axis=1) < 1e-6)
    return int(row)


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_saddles_of_the_flip_flop_are_the_edges_of_a_cube(flip_flop, kind):
    module, data = flip_flop(kind)
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    listed = find_fixed_points(module, starts=data["initial_states"], certify=False)
    found = connect_fixed_points(module, fixed_points=listed)
    assert (found.end == AT_POINT).all()
    assert found.trust.agreed.all()
    assert found.trust.linearity_error.max() < 1e-3

    # The readout says which bits an attractor holds.
    bits = np.sign(listed.points @ data["readout.weight"].T + data["readout.bias"])
    joins = found.joins()
    assert len(joins) == 12
    assert sorted(joins) == np.flatnonzero(listed.n_unstable == 1).tolist()
    assert all((bits[a] != bits[b]).sum() == 1 for a, b in joins.values()), "one bit changes across each saddle"
    assert len(set(joins.values())) == 12, "all edges of the cube"
    assert set(found.target.tolist()) == set(np.flatnonzero(listed.n_unstable == 0).tolist())
    assert found.adjacency().sum() == len(found)
    assert "12 of 12 with one unstable direction join two fixed points; all end alike from" in found.summary()

    for name, value in module.state_dict().items():
        assert torch.equal(value, weights[name]), "the network was changed"


def test_saddles_with_two_unstable_directions_are_its_faces(flip_flop):
    module, data = flip_flop("tanh")
    listed = find_fixed_points(module, starts=data["initial_states"], certify=False)
    found = connect_fixed_points(module, fixed_points=listed, n_combinations=12, seed=3)
    bits = np.sign(listed.points @ data["readout.weight"].T + data["readout.bias"])
    faces = set()
    for saddle in np.flatnonzero(listed.n_unstable == 2):
        corners = np.flatnonzero(found.adjacency()[saddle])
        shared = np.flatnonzero((bits[corners] == bits[corners[0]]).all(0))
        assert len(corners) == 4, "random combinations find all corners"
        assert len(shared) == 1
        faces.add((int(shared[0]), int(bits[corners[0], shared[0]])))
    assert len(faces) == 6
    (centre,) = np.flatnonzero(listed.n_unstable == 3)
    assert (found.adjacency()[centre] > 0).sum() >= 6
    assert (found.departure.direction == -1).sum() == 12 * 7
    again = connect_fixed_points(module, fixed_points=listed, n_combinations=12, seed=3)
    np.testing.assert_array_equal(found.way.path, again.way.path)


def test_one_saddle_between_two_attractors():
    found = connect_fixed_points(
        rs.FunctionMap(
            lambda x: np.stack([x[..., 0] + 0.2 * (x[..., 0] - x[..., 0] ** 3), 0.5 * x[..., 1]], -1),
            state_size=2,
            domain=([-1.5, -1.5], [1.5, 1.5]),
        )
    )
    saddle, left, right = (row_at(found, place) for place in ([0, 0], [-1, 0], [1, 0]))
    assert found.source.tolist() == [saddle, saddle]
    assert found.departure.angle.tolist() == [0, np.pi]
    assert found.target.tolist() == [right, left], "the eigenvector's largest number is positive"
    np.testing.assert_allclose(found.departure.eigenvalue, 1.2, rtol=1e-8)
    assert found.joins() == {saddle: tuple(sorted((left, right)))}
    np.testing.assert_allclose(found.way.path[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(found.way.path[:, -1], [[1, 0], [-1, 0]], atol=1e-9)
    assert (np.diff(found.way.path[0, :, 0]) >= 0).all(), "the way to the right goes right"


def test_the_whole_graph_of_two_double_wells():
    found = connect_fixed_points(double_wells())
    assert len(found.points) == 9
    expected = np.zeros((9, 9), int)
    for x in (-1, 0, 1):
        for y in (-1, 0, 1):
            if x == 0 and y == 0:  # along the axes, exactly into the four saddles
                ends = [(-1, 0), (1, 0), (0, -1), (0, 1)]
            else:
                ends = [(s if x == 0 else x, s if y == 0 else y) for s in (-1, 1)] if x == 0 or y == 0 else []
            for end in ends:
                expected[row_at(found, (x, y)), row_at(found, end)] += 1
    np.testing.assert_array_equal(found.adjacency(), expected)
    assert "12 of 12 branches of 5 unstable points settle at 8 fixed points (4 at unstable ones)" in found.summary()


def test_combinations_of_directions_find_the_attractors_of_a_repeller():
    found = connect_fixed_points(double_wells(), n_combinations=20)
    repeller = row_at(found, (0, 0))
    corners = [row_at(found, (x, y)) for x in (-1, 1) for y in (-1, 1)]
    assert found.adjacency()[repeller, corners].all()
    assert (found.source[found.departure.direction == -1] == repeller).all()
    assert found.adjacency()[repeller, corners].sum() == 20


def test_a_branch_that_passes_a_saddle_tells_it():
    found = connect_fixed_points(double_wells(bent=lambda x: 1e-4 * x**2 * (1 - x**2)))
    repeller, saddle, end = (row_at(found, place) for place in ((0, 0), (1, 0), (1, 1)))
    (edge,) = np.flatnonzero((found.source == repeller) & (found.way.path[:, -1] == found.points[end]).all(1))
    assert found.target[edge] == end
    assert found.itinerary(edge) == (saddle,)
    assert 1e-6 < found.way.closest[edge, saddle] < 0.1
    assert 0 < found.way.closest_step[edge, saddle] < found.way.steps[edge]
    own = np.flatnonzero(found.source == saddle)
    assert all(found.itinerary(int(each)) == () for each in own)


def test_an_end_that_depends_on_the_start_is_not_agreed():
    """Beside the strong direction, the weak one is pushed to the side that the size of its first step decides."""
    rates = np.array([0.1, 0.8])

    def step(x):
        new = x + rates * (x - x**3)
        phase = np.pi * np.log10(np.maximum(np.abs(x[..., 0]), 1e-300))
        new[..., 1] += 1e-2 * x[..., 0] ** 2 * np.cos(phase) * (np.abs(x[..., 0]) < 0.5)
        return new

    bent_wells = rs.FunctionMap(
        step,
        state_size=2,
        domain=([-1.2] * 2, [1.2] * 2),
        jacobian=lambda x: (1 + rates * (1 - 3 * x**2))[..., None] * np.eye(2),
    )
    listed = find_fixed_points(bent_wells, starts=np.zeros((1, 2)))
    found = connect_fixed_points(bent_wells, fixed_points=listed, offset=1e-4 / listed.starts.scale)
    assert found.trust.agreed.tolist() == [True, True, False, False], "strong direction first"
    assert "2 end otherwise from a start ten times nearer" in found.summary()
    assert found.adjacency().sum() == 2
    assert "not certain (2)" in [trace.name for trace in found.figure().data]


def test_a_weak_direction_beside_a_strong_one_is_not_followed_and_told():
    """1.01 beside 1.8: by the time the weak one has grown, errors along the strong one have long arrived."""
    rates = np.array([0.01, 0.8])
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])  # off the axes, where rounding is exact

    def step(x):
        y = x @ turn
        return (y + rates * (y - y**3)) @ turn.T

    wells = rs.FunctionMap(step, state_size=2)
    found = connect_fixed_points(wells, fixed_points=find_fixed_points(wells, starts=np.zeros((1, 2))))
    assert found.departure.direction.tolist() == [0, 0, 1, 1]
    assert found.trust.followed.tolist() == [True, True, False, False]
    assert "2 left along a stronger direction than their own" in found.summary()
    assert "not certain (2)" in [trace.name for trace in found.figure().data]


def test_an_attractor_that_the_list_lacks_is_found_and_told():
    wells = double_wells()
    listed = find_fixed_points(wells, starts=np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert len(listed) == 2
    found = connect_fixed_points(wells, fixed_points=listed)
    assert found.listed.tolist() == [0, 1, -1]
    assert found.discovered.tolist() == [False, False, True]
    np.testing.assert_allclose(found.points[2], [-1, 1], atol=1e-9)
    assert found.n_unstable.tolist() == [0, 1, 0]
    assert sorted(found.target.tolist()) == [0, 2]
    assert np.isinf(found.way.closest[:, 2]).all()
    assert "1 fixed point reached that is not in the list" in found.summary()
    assert any("1 not in the list" in trace.name for trace in found.figure().data if trace.name)


def locked_cycle():
    """z has a double well. At z = 1 there is a cycle of period 5 in the other plane, at z = -1 none."""

    def step(s):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        r2, angle = x**2 + y**2, np.arctan2(y, x)
        radius = np.sqrt(r2) * (1 + 0.3 * (z - 0.5 - r2))
        turn = angle + 2 * np.pi / 5 - 0.1 * np.sin(5 * angle) * np.tanh(50 * r2)
        push = 0.05 * z**2 * (1 - z**2)
        return np.stack([radius * np.cos(turn) + push, radius * np.sin(turn), z + 0.3 * (z - z**3)], -1)

    return rs.FunctionMap(step, state_size=3, domain=([-1.3] * 3, [1.3] * 3))


def test_a_saddle_between_a_cycle_and_a_fixed_point():
    found = connect_fixed_points(locked_cycle(), n_angles=6)
    saddle, focus, attractor = (row_at(found, (0, 0, z)) for z in (0, 1, -1))
    assert found.n_unstable[[saddle, focus, attractor]].tolist() == [1, 2, 0]
    up, down = np.flatnonzero(found.source == saddle)
    assert found.end[[up, down]].tolist() == [ON_CYCLE, AT_POINT]
    assert found.target[down] == attractor
    ring = np.flatnonzero(found.source == focus)
    assert len(ring) == 6
    np.testing.assert_allclose(found.departure.angle[ring], 2 * np.pi * np.arange(6) / 6)
    np.testing.assert_allclose(found.departure.eigenvalue[ring], 1.15 * np.exp(2j * np.pi / 5), atol=1e-6)
    assert (found.end[ring] == ON_CYCLE).all()
    assert set(found.target[[up, *ring]]) == {0}, "all on the one cycle that is stable"
    assert np.bincount(found.cycles.cycle).tolist() == [5]
    np.testing.assert_allclose(found.cycles.states[:, 2], 1, atol=1e-9)
    np.testing.assert_allclose(np.hypot(*found.cycles.states[:, :2].T), np.sqrt(0.5), atol=1e-6)
    moved = locked_cycle().step(found.cycles.states, np.zeros((5, 0)))
    np.testing.assert_allclose(moved, np.roll(found.cycles.states, -1, 0), atol=1e-6, err_msg="in order of time")
    assert "8 of 8 branches of 2 unstable points settle at 1 fixed point and on 1 cycle" in found.summary()
    assert "cycle of period 5" in [trace.name for trace in found.figure().data]


def test_a_focus_in_a_closed_curve_keeps_moving():
    def step(x):
        radius, angle = np.hypot(x[..., 0], x[..., 1]), np.arctan2(x[..., 1], x[..., 0])
        radius, angle = radius * (1 + 0.2 * (1 - radius**2)), angle + 1.0
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)

    found = connect_fixed_points(rs.FunctionMap(step, state_size=2, domain=([-1.2] * 2, [1.2] * 2)), n_steps=1500)
    assert found.end.tolist() == [MOVING] * 8
    assert found.target.tolist() == [-1] * 8
    assert (found.way.steps == 1500).all()
    assert "0 of 8 branches of 1 unstable point settle; 8 still moving after 1500 steps" in found.summary()
    np.testing.assert_allclose(np.hypot(*found.way.path[:, -1].T), 1, atol=1e-3)


def test_a_branch_that_leaves_for_infinity():
    found = connect_fixed_points(
        scalar(lambda x: x + 0.1 * (x**2 - x)), fixed_points=None
    )  # 0 attracts, 1 repels, and all above leaves
    assert found.end.tolist() == [DIVERGED, AT_POINT]
    assert found.points[found.target[1], 0] == pytest.approx(0)
    assert "1 of 2 branches of 1 unstable point settles at 1 fixed point; 1 diverges" in found.summary()
    assert np.isfinite(found.way.path).all()
    assert found.way.path[0].max() < 20, "drawn near the points only"


def test_a_negative_eigenvalue_leads_to_a_cycle_on_both_sides():
    found = connect_fixed_points(scalar(lambda x: -1.3 * x + 0.5 * x**3, 1.2))
    np.testing.assert_allclose(found.departure.eigenvalue, -1.3, rtol=1e-8)
    assert found.end.tolist() == [ON_CYCLE, ON_CYCLE]
    assert found.target.tolist() == [0, 0]
    np.testing.assert_allclose(np.sort(found.cycles.states[:, 0]), [-np.sqrt(0.6), np.sqrt(0.6)], atol=1e-7)
    assert (found.way.path[0] > -1e-9).all(), (
        "every other state of an orbit lies on the other side, and is not drawn there"
    )
    assert (found.way.path[1] < 1e-9).all()
    np.testing.assert_allclose(np.abs(found.way.path[:, -1]), np.sqrt(0.6), atol=0.05)


def test_the_linearity_error_is_that_of_the_nearer_start():
    square = scalar(lambda x: 2 * x + x**2)
    listed = find_fixed_points(square, starts=np.zeros((1, 1)))
    found = connect_fixed_points(square, fixed_points=listed, offset=1e-3, n_steps=200)
    scale = listed.starts.scale
    for edge, sign in enumerate((1, -1)):
        x = sign * 1e-3 * scale / 16  # 2^4 is the first power above 10
        for _ in range(4):
            x = 2 * x + x**2
        assert found.trust.linearity_error[edge] == pytest.approx(abs(x - sign * 1e-3 * scale) / 1e-3 / scale)


def test_a_slow_attractor_is_reached_when_steps_run_out():
    """|λ| = .999 at the attractors: the tolerance is reached after some 2700 steps, but it is plain before."""
    slow = scalar(lambda x: x + (x - x**3) * (0.2 * (1 - x**2) + 5e-4))
    listed = find_fixed_points(slow, starts=np.array([[-1.0], [0.0], [1.0]]))
    early, full = (connect_fixed_points(slow, fixed_points=listed, n_steps=n) for n in (2000, 10_000))
    assert full.end.tolist() == early.end.tolist() == [AT_POINT] * 2
    assert full.target.tolist() == early.target.tolist()
    assert ((full.way.steps > 2000) & (full.way.steps < 4000)).all()
    assert early.way.steps.tolist() == [2000, 2000]
    assert connect_fixed_points(slow, fixed_points=listed, n_steps=50).end.tolist() == [MOVING] * 2


def test_branches_keep_the_input_of_their_saddle():
    driven = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    listed = find_fixed_points(driven, input=[[0.0], [0.1], [3.0]])
    found = connect_fixed_points(driven, fixed_points=listed)
    assert len(found.points) == 3 + 3 + 1
    assert len(found) == 4
    assert (found.end == AT_POINT).all()
    np.testing.assert_array_equal(found.point_input[found.source], found.point_input[found.target])
    ends = found.points[found.target]
    np.testing.assert_allclose(ends, np.tanh(2 * ends + found.held_inputs[found.point_input[found.target]]), atol=1e-9)
    other = found.point_input[None] != found.point_input[found.source][:, None]
    assert np.isinf(found.way.closest[other]).all()
    assert np.isfinite(found.way.closest[~other]).all()

    one = connect_fixed_points(driven, fixed_points=listed, input=[0.1])
    assert len(one) == 2
    assert one.listed.tolist() == np.flatnonzero(listed.point_input == 1).tolist()
    alone = connect_fixed_points(driven, input=np.array([0.1]))
    np.testing.assert_allclose(np.sort(alone.points, 0), np.sort(one.points, 0), atol=1e-9)


def test_a_kink_is_not_followed_and_told():
    kinked = rs.FunctionMap(
        lambda x: np.where(x > 0, np.minimum(1.5 * x, 1.0), 0.5 * x),
        state_size=1,
        jacobian=lambda x: np.where(x >= 0, np.where(x < 2 / 3, 1.5, 0.0), 0.5)[..., None],
        domain=(-1, 1),
    )
    listed = find_fixed_points(kinked, starts=np.array([[0.0], [0.9]]))
    assert not listed.smooth.all()
    found = connect_fixed_points(kinked, fixed_points=listed)
    assert len(found) == 0
    assert found.summary() == "nothing to follow; 1 point at a kink of the map not followed"


def test_nothing_unstable_is_an_answer_that_can_be_saved_and_drawn(tmp_path):
    found = connect_fixed_points(rs.FunctionMap(lambda h: np.tanh(h / 2), state_size=3, domain=([-1] * 3, [1] * 3)))
    assert len(found) == 0
    assert found.summary() == "nothing to follow: 1 fixed point, none unstable"
    assert found.adjacency().tolist() == [[0]]
    save_result(found, tmp_path / "result")
    back = load_result(Connections, tmp_path / "result")
    assert back.way.path.shape == (0, 64, 3)
    assert says_little(back.figure()) == "Of 1 fixed point, which is not unstable, no branch leads away."


def test_where_there_is_no_fixed_point_there_is_a_figure():
    found = connect_fixed_points(rs.FunctionMap(lambda x: x + 1, state_size=2))
    assert found.summary() == "nothing to follow: 0 fixed points, none unstable"
    assert says_little(found.figure()) == "There are no fixed points."


def test_the_result_survives_xarray_and_is_drawn_in_three_dimensions(flip_flop):
    module, data = flip_flop("gru")
    listed = find_fixed_points(module, starts=data["initial_states"], certify=False)
    found = connect_fixed_points(module, fixed_points=listed, n_samples=16)
    dataset = to_xarray(found)
    assert dataset["way/path"].dims == ("edge", "sample", "unit")
    back = from_xarray(Connections, dataset)
    assert back.summary() == found.summary()
    assert back.end_names == ("fixed point", "cycle", "still moving", "diverged")
    figure = back.figure()
    assert {trace.type for trace in figure.data} == {"scatter3d", "cone"}
    numbers = sorted(
        int(number) for trace in figure.data if trace.customdata is not None for number in trace.customdata
    )
    assert numbers == list(range(27)), "the numbers of the list"
    assert {trace.type for trace in back.figure(dims=2).data} == {"scatter"}
    [repelling] = np.flatnonzero(back.n_unstable == 3)
    assert sum(trace.type == "cone" for trace in back.figure(points=int(repelling)).data) == 1
    names = [trace.name for trace in figure.data if trace.name]
    assert names == [
        "stable (8)",
        "1 unstable direction (12)",
        "2 unstable directions (6)",
        "3 unstable directions (1)",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ({"offset": 0.0}, "offset must be above 0, got 0.0"),
        ({"tolerance": 2.0}, "tolerance must be below 1, got 2.0"),
        ({"near": -0.1}, "near must be above 0, got -0.1"),
        ({"n_angles": 0}, "n_angles must be at least 1"),
        ({"n_combinations": -1}, "n_combinations must be at least 0"),
        ({"n_samples": 1}, "n_samples must be at least 2"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"input": np.zeros(2)}, "takes no input|input"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        connect_fixed_points(scalar(lambda x: np.tanh(2 * x)), **arguments)


def test_fixed_points_of_another_network_or_input_are_refused():
    driven = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    listed = find_fixed_points(driven, input=[0.5])
    with pytest.raises(ValueError, match="1 numbers in a state and 1 in an input, the system 2 and 0"):
        connect_fixed_points(double_wells(), fixed_points=listed)
    with pytest.raises(ValueError, match=r"other inputs than \[0.25\]: find them there"):
        connect_fixed_points(driven, fixed_points=listed, input=[0.25])
    with pytest.raises(ValueError, match=r"input must have shape \(1,\)"):
        connect_fixed_points(driven, fixed_points=listed, input=[0.25, 1])
