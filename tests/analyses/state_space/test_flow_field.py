"""Flow of maps whose nullclines, planes and fixed points are known."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import KnownPoints, NotApplicable
from rnnscope.analyses.state_space import FlowField, flow_field
from rnnscope.analyses.state_space.flow_result import _ticks
from rnnscope.records import result_files

VIEW = {"directions": np.eye(2), "origin": np.zeros(2), "extent": (-2.0, 2.0, -2.0, 2.0)}


def test_nullclines_of_a_linear_map_are_lines():
    matrix, offset = np.array([[0.5, 0.2], [-0.3, 0.8]]), np.array([0.1, -0.2])
    linear = rs.FunctionMap(lambda h: h @ matrix.T + offset, state_size=2)
    found = flow_field(linear, **VIEW)
    x, y = np.meshgrid(found.x, found.y)
    wanted = np.stack([x, y], -1) @ (matrix - np.eye(2)).T + offset
    np.testing.assert_allclose(found.flow, wanted, atol=1e-12)
    np.testing.assert_allclose(found.speed, np.linalg.norm(wanted, axis=2))
    assert found.out_of_plane_share < 1e-20
    for k in (0, 1):
        line = found.nullcline(k)
        assert len(line) > 30
        np.testing.assert_allclose(line @ (matrix - np.eye(2))[k] + offset[k], 0, atol=1e-12)


def test_nullclines_of_a_van_der_pol_oscillator():
    """dy = (1 - x^2) y - x and dx = y: y = x / (1 - x^2), and y = 0."""

    def flow(h):
        x, y = h[..., 0], h[..., 1]
        return h + 0.05 * np.stack([y, (1 - x**2) * y - x], -1)

    found = flow_field(rs.FunctionMap(flow, state_size=2), **{**VIEW, "n_grid": 200})
    np.testing.assert_allclose(found.nullcline(0)[:, 1], 0, atol=1e-12)
    x, y = found.nullcline(1).T
    np.testing.assert_allclose((1 - x**2) * y - x, 0, atol=2e-3)
    assert x.min() < -1.2, "all three branches"
    assert x.max() > 1.2
    assert (np.abs(x) < 0.1).any()


def test_what_leads_out_of_the_plane_is_known():
    """A step of (1, 2, 2) everywhere, seen in the plane of the first two coordinates: 4 of 9 lead out of it."""
    drift = rs.FunctionMap(lambda h: h + np.array([1.0, 2.0, 2.0]), state_size=3)
    found = flow_field(drift, directions=np.eye(3)[:2], origin=np.zeros(3), extent=(-1.0, 1.0, -1.0, 1.0))
    assert found.out_of_plane_share == pytest.approx(4 / 9)
    np.testing.assert_allclose(found.out_of_plane, 2)
    np.testing.assert_allclose(found.flow, np.broadcast_to([1.0, 2.0], found.flow.shape))
    np.testing.assert_allclose(found.speed, 3)
    assert "44.4 % of the squared flow leads out of the plane" in found.summary()


def test_fixed_points_near_the_plane_and_how_far():
    fall = rs.FunctionMap(lambda h: 0.5 * h, state_size=3)
    points = KnownPoints(
        points=np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 0.3], [0.5, 0.5, 5.0], [9.0, 0.0, 0.0]]),
        n_unstable=np.array([0, 1, 2, 0]),
        smooth=np.array([True, True, True, False]),
    )
    found = flow_field(
        fall, directions=np.eye(3)[:2], origin=np.zeros(3), extent=(-2.0, 2.0, -2.0, 2.0), fixed_points=points, near=0.1
    )
    np.testing.assert_allclose(found.points.coordinates, points.points[:, :2])
    np.testing.assert_allclose(found.points.distance, [0, 0.3, 5.0, 0])
    assert found.points.near == pytest.approx(0.4), "a tenth of a side of 4"
    assert found.drawn.tolist() == [True, True, False, False], "one is too far off, one out of view"
    assert found.points.n_unstable.tolist() == [0, 1, 2, -1]
    names = [trace.name for trace in found.figure().data if "markers" in (getattr(trace, "mode", "") or "")]
    assert names == [
        "stable (1, within 0.4 of the plane)", "1 unstable direction (1, within 0.4 of the plane)"
    ]  # fmt: skip
    assert "2 of 4 fixed points within 0.4" in found.summary()
    wide = flow_field(fall, plane="fixed_points", fixed_points=points)
    spread = points.points - points.points.mean(0)
    kept = np.linalg.svd(spread, full_matrices=False)[2][:2]
    np.testing.assert_allclose(np.abs(wide.plane.directions @ kept.T), np.eye(2), atol=1e-9)


def test_fixed_points_at_other_inputs_do_not_belong_here():
    push = rs.FunctionMap(lambda h, u: 0.5 * h + u, state_size=2, input_size=2)
    inputs = np.array([[0.0, 0.0], [0.5, 0.5]])
    points = KnownPoints(points=2 * inputs, n_unstable=np.array([0, 0]), inputs=inputs)
    found = flow_field(push, fixed_points=points, input=[0.5, 0.5], **VIEW)
    np.testing.assert_allclose(found.points.coordinates, [[1.0, 1.0]])
    assert "1 of 1 fixed points" in found.summary()
    assert found.summary().endswith("1 fixed points at other inputs left out")
    at = np.unravel_index(found.speed.argmin(), found.speed.shape)
    np.testing.assert_allclose(
        [found.x[at[1]], found.y[at[0]]], [1.0, 1.0], err_msg="that is where the flow stands still"
    )
    one = KnownPoints(points=2 * inputs, n_unstable=np.array([0, 0]), inputs=np.zeros((2, 2)))
    assert len(flow_field(push, fixed_points=one, **VIEW).points.coordinates) == 2
    with pytest.raises(NotApplicable, match="all 2 given are at other inputs"):
        flow_field(push, fixed_points=one, input=[1.0, 1.0], plane="fixed_points")


def test_a_plane_through_three_points_holds_them():
    three = np.random.default_rng(0).standard_normal((3, 6))
    fall = rs.FunctionMap(lambda h: 0.5 * h, state_size=6)
    found = flow_field(fall, through=three)
    np.testing.assert_allclose(found.plane.project(three) @ found.plane.directions + found.plane.origin, three)
    np.testing.assert_allclose(found.plane.project(three[0]), 0, atol=1e-12)
    assert found.plane.project(three[1])[1] == pytest.approx(0), "the first axis leads to the second point"
    assert found.plane.project(three[2])[1] > 0
    places = found.plane.project(three)
    inside = (places > [found.x[0], found.y[0]]) & (places < [found.x[-1], found.y[-1]])
    assert inside.all()


def test_visited_states_tell_the_plane_and_the_view():
    """States that stay in the plane of coordinates 1 and 2 of 4."""
    angle, start = 0.3, np.array([0.0, 3.0, 0.0, 0.0])
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -3 * np.sin(angle)], [np.sin(angle) / 3, np.cos(angle)]]
    wheel = rs.FunctionMap(
        lambda h: h @ turn.T, state_size=4, initial=lambda n, rng: np.broadcast_to(start, (n, 4)).copy()
    )
    found = flow_field(wheel)
    np.testing.assert_allclose(found.plane.directions[:, [0, 3]], 0, atol=1e-9)
    steps = angle * np.arange(1, 201)
    path = np.stack([3 * np.cos(steps), np.sin(steps)], 1)
    path = (path - path.mean(0)) @ found.plane.directions[:, 1:3].T
    view = [found.x[0], found.y[0]], [found.x[-1], found.y[-1]]
    margin = 0.15 * np.ptp(path, 0)
    np.testing.assert_allclose(view, [path.min(0) - margin, path.max(0) + margin], err_msg="15 % on all sides")
    assert found.out_of_plane_share < 1e-12
    swapped = flow_field(wheel, components=(2, 1))
    np.testing.assert_allclose(swapped.plane.directions, found.plane.directions[::-1])
    assert swapped.plane.axis_names == ("PC2 of visited states", "PC1 of visited states")


def test_states_that_the_network_cannot_be_in_are_told_apart():
    squash = rs.FunctionMap(lambda h: np.tanh(2 * h), state_size=2, domain=(-1, 1))
    found = flow_field(squash, **VIEW)
    x, y = np.meshgrid(found.x, found.y)
    np.testing.assert_array_equal(found.inside, (np.abs(x) <= 1) & (np.abs(y) <= 1))
    assert np.abs(found.nullcline(0)).max() <= 1
    assert "outside the network's domain" in found.summary()
    away = flow_field(squash, **{**VIEW, "extent": (2.0, 3.0, 2.0, 3.0)})
    assert away.summary().startswith("none of the")
    assert away.figure().layout.annotations[0].text == "no state of the network lies in this view"


def test_the_input_is_held():
    push = rs.FunctionMap(lambda h, u: h + u, state_size=2, input_size=2)
    np.testing.assert_allclose(flow_field(push, input=[1.0, 2.0], **VIEW).flow[..., 1], 2)
    np.testing.assert_allclose(flow_field(push, **VIEW).flow, 0)
    with pytest.raises(ValueError, match=r"inputs of shape \(2,\)"):
        flow_field(push, input=[1.0], **VIEW)


def test_it_survives_saving_and_draws(tmp_path):
    linear = rs.FunctionMap(lambda h: h * np.array([0.5, 0.9]), state_size=2)
    found = flow_field(linear, **VIEW)
    result_files.save_result(found, tmp_path / "f.zarr")
    again = result_files.load_result(FlowField, tmp_path / "f.zarr")
    assert again.summary() == found.summary()
    assert again.plane.axis_names == ("direction 1", "direction 2")
    names = [trace.name for trace in again.figure().data if trace.type == "contour"]
    assert names == ["no flow along first axis", "no flow along second axis"]
    explosive = rs.FunctionMap(lambda h: np.exp(h), state_size=2)
    blown = flow_field(explosive, **{**VIEW, "extent": (-1000.0, 1000.0, -1000.0, 1000.0)})
    assert 0 < blown.inside.mean() < 1
    assert np.isfinite(blown.speed[blown.inside]).all()
    assert np.isfinite(blown.out_of_plane_share)
    assert blown.figure().data


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"directions": np.ones((2, 3))}, "directions must span a plane"),
        ({"directions": np.eye(2)}, r"directions must be finite numbers of shape \(2, 3\), got shape \(2, 2\)"),
        ({"through": np.arange(9.0).reshape(3, 3)}, "through must span a plane"),
        ({"through": np.eye(3), "directions": np.eye(3)[:2]}, "choose one"),
        ({"through": np.eye(3), "origin": np.zeros(2)}, r"origin must be finite numbers of shape \(3,\)"),
        ({"through": np.eye(3), "extent": (1.0, 0.0, 0.0, 1.0)}, "in increasing order"),
        ({"through": np.eye(3), "n_grid": 2}, "n_grid must be at least 5"),
        ({"through": np.eye(3), "near": -1.0}, "near must be"),
        ({"components": (1, 1)}, "two different numbers from 1 to 3"),
        ({}, "visited states fill 0 dimensions"),
        ({"plane": "fixed_points"}, "give fixed_points="),
    ],
)
def test_what_makes_no_plane_is_refused(given, message):
    fall = rs.FunctionMap(lambda h: 0.5 * h, state_size=3)
    with pytest.raises(ValueError, match=message):
        flow_field(fall, **given)


def test_one_unit_has_no_plane():
    with pytest.raises(NotApplicable, match="at least two numbers, this has 1"):
        flow_field(rs.FunctionMap(lambda h: 0.5 * h, state_size=1))


@pytest.mark.parametrize(("low", "high"), [(2.1, 2.6), (0.17, 0.53), (1e-6, 3.0), (0.5, 0.5001), (3e-5, 1e-3)])
def test_the_colour_bar_always_has_ticks_within_its_range(low, high):
    ticks = np.array(_ticks(np.log10(low), np.log10(high)))
    assert 2 <= len(ticks) <= 8
    assert (ticks >= low * (1 - 1e-8)).all()
    assert (ticks <= high * (1 + 1e-8)).all()
    assert (np.diff(ticks) > 0).all()


def test_the_summary_names_what_the_plane_is_made_of_once():
    start = lambda n, rng: rng.standard_normal((n, 3))  # noqa: E731
    spin = rs.FunctionMap(lambda h: 0.9 * h[..., [1, 2, 0]], state_size=3, initial=start)
    assert "in the PC1-PC2 plane of visited states: " in flow_field(spin).summary()
    assert "in the plane of direction 1 and direction 2: " in flow_field(spin, directions=np.eye(3)[:2]).summary()
