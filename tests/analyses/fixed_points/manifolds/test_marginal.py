"""Lines, rings and planes of fixed points whose shape, length and drift are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points.manifolds.marginal import MarginalManifolds, marginal_manifolds
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.records.result_files import load_result, save_result


def followed(system, n_starts=60, **settings):
    settings = {"n_points": 48, "settle": 200, "spacing": 0.12, **settings}
    return marginal_manifolds(system, fixed_points=find_fixed_points(system, n_starts=n_starts), **settings)


def radial(n=2, pull=0.2, turn=lambda angle: 0.0, domain=1.5):
    """r' = r + pull r (1 - r²), and in the plane angle' = angle + turn(angle)."""

    def step(x):
        new = x * (1 + pull * (1 - (x**2).sum(-1, keepdims=True)))
        if n > 2:
            return new
        by = turn(np.arctan2(x[..., 1], x[..., 0]))
        cos, sin = np.cos(by), np.sin(by)
        return np.stack([cos * new[..., 0] - sin * new[..., 1], sin * new[..., 0] + cos * new[..., 1]], -1)

    return rs.FunctionMap(step, state_size=n, domain=(-domain, domain))


def diagonal(values, **settings):
    return rs.FunctionMap(lambda x: x * np.array(values), state_size=len(values), domain=(-1, 1), **settings)


def tanh_ring(n, gain=2.5):
    """h' = tanh(W h), W_ij = (2 gain / n) cos(θ_i - θ_j): bumps tanh(a cos(θ - φ)), alike at every φ but for what n
    units cannot resolve. Returns the map and the length of the ring of bumps."""
    angles = 2 * np.pi * np.arange(n) / n
    weight = 2 * gain / n * np.cos(angles[:, None] - angles)
    a = gain
    for _ in range(500):
        a = 2 * gain / n * (np.cos(angles) * np.tanh(a * np.cos(angles))).sum()
    speed = np.sqrt((a**2 * np.sin(angles) ** 2 / np.cosh(a * np.cos(angles)) ** 4).sum())
    ring = rs.FunctionMap(
        lambda x: np.tanh(x @ weight.T),
        state_size=n,
        jacobian=lambda x: (1 - np.tanh(x @ weight.T) ** 2)[..., None] * weight,
        domain=(-1, 1),
    )
    return ring, 2 * np.pi * speed


def small_step(speed, n, dt, reach=1.5):
    """The step h + dt f(h) of a flow, which brings all eigenvalues near to 1."""
    return rs.FunctionMap(lambda x: x + dt * speed(x), state_size=n, domain=(-reach, reach))


def turned(rates, seed):
    """The linear flow with these rates along directions at random right angles."""
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(rates),) * 2))[0]
    matrix = q @ np.diag(rates) @ q.T
    return lambda x: x @ matrix.T


def leaky(weight, leak, bias=0.0, relu=False):
    """(1 - leak) h + leak f(W h + b)."""

    def drive(h):
        return h @ weight.T + bias

    def gain(h):
        return (drive(h) > 0) * 1.0 if relu else 1 - np.tanh(drive(h)) ** 2

    return rs.FunctionMap(
        lambda h: (1 - leak) * h + leak * (np.maximum(drive(h), 0) if relu else np.tanh(drive(h))),
        jacobian=lambda h: (1 - leak) * np.eye(len(weight)) + leak * gain(h)[..., None] * weight,
        state_size=len(weight),
        domain=(0, 3) if relu else (-1, 1),
    )


def gated(weight, leak):
    """A GRU with constant gates, which is `leaky`."""
    n = len(weight)
    module = torch.nn.GRU(1, n).double()
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
        module.weight_hh_l0[2 * n :] = torch.tensor(weight)
        module.bias_hh_l0[:n] = 40.0
        module.bias_hh_l0[n : 2 * n] = np.log((1 - leak) / leak) if leak < 1 else -40.0
    return module


def bumps(n, gain=2.5):
    angles = 2 * np.pi * np.arange(n) / n
    return 2 * gain / n * np.cos(angles[:, None] - angles)


def random_weight(n, gain, seed):
    return np.random.default_rng(seed).normal(0, gain / np.sqrt(n), (n, n))


def circle(x):
    return 0.4 * x * (1 - (x**2).sum(-1, keepdims=True))


def perturbed_circle(x):
    turn = 0.004 * np.sin(3 * np.arctan2(x[..., 1], x[..., 0]))[..., None]
    return circle(x) + turn * np.stack([-x[..., 1], x[..., 0]], -1)


def parabola(x):
    return np.stack([0 * x[..., 0], x[..., 0] ** 2 - x[..., 1]], -1)


@pytest.mark.parametrize("step", [0.001, 0.01, 0.1, 1.0])
@pytest.mark.parametrize(
    ("system", "kind"),
    [
        (lambda dt: small_step(circle, 2, dt), "ring"),
        (lambda dt: small_step(perturbed_circle, 2, dt), "ring"),
        (lambda dt: small_step(parabola, 2, 0.9 * dt, 1.2), "line"),
        (lambda dt: small_step(turned([0, -1, -1.2, -1.6], 0), 4, dt, 1.0), "line"),
        (lambda dt: small_step(turned([0, 0, -1, -0.7, -1.5], 1), 5, dt, 1.0), "plane"),
        (lambda dt: leaky(bumps(32), dt), "ring"),
        (lambda dt: leaky((-3 / 32 + 1.6 / 2 * bumps(32)), dt, 1.0, relu=True), "ring"),
        (lambda dt: gated(bumps(24), dt), "ring"),
    ],
    ids=["circle", "perturbed circle", "parabola", "line", "plane", "tanh", "threshold-linear", "GRU"],
)
def test_continuous_attractors_are_found_at_any_time_step_and_leak(system, kind, step):
    found = followed(system(step), settle=300, spacing=0.05 if kind == "ring" else 0.12)
    assert found.kind == (kind,)
    assert found.headline()["n"] == 1
    assert not found.approach.any()


def well_and(*rates):
    """A double well beside directions that fade at these rates."""
    rates = np.array(rates)
    return lambda x: np.concatenate([x[..., :1] - x[..., :1] ** 3, -rates * x[..., 1:]], -1)


def oscillator(x):
    return np.stack([x[..., 1], (1 - x[..., 0] ** 2) * x[..., 1] - x[..., 0]], -1)


def near_hopf(x):
    turn = np.stack([-x[..., 1], x[..., 0]], -1)
    return 0.02 * x - x * (x**2).sum(-1, keepdims=True) + turn


def spiral(decay, turn, *others):
    matrix = np.diag([-decay, -decay, *others]).astype(float)
    matrix[0, 1], matrix[1, 0] = turn, -turn
    return lambda x: x @ matrix.T


@pytest.mark.parametrize("step", [0.001, 0.01, 0.1])
@pytest.mark.parametrize(
    "system",
    [
        lambda dt: small_step(well_and(), 1, dt),
        lambda dt: small_step(lambda x: x - x**3, 2, dt),
        lambda dt: small_step(lambda x: x - x**3, 3, dt),
        lambda dt: small_step(well_and(1, 3), 3, dt),
        lambda dt: small_step(well_and(8, 9), 3, dt),
        lambda dt: small_step(lambda x: 0.02 * x * [1, -50] - x**3 * [1, 0], 2, dt, 1.2),
        lambda dt: small_step(turned([-1, -0.9, -0.8], 2), 3, dt, 1.0),
        lambda dt: small_step(turned(-np.linspace(0.2, 2, 10), 3), 10, dt, 1.0),
        lambda dt: small_step(spiral(0.1, 1.0), 2, dt, 1.0),
        lambda dt: small_step(spiral(0.05, 0.5, -1), 3, dt, 1.0),
        lambda dt: small_step(spiral(0.005, 0.005, -1), 3, dt, 1.0),
        lambda dt: small_step(near_hopf, 2, dt, 1.0),
        lambda dt: small_step(oscillator, 2, dt, 2.5),
        lambda dt: leaky(random_weight(20, 0.99, 0), dt),
        lambda dt: leaky(random_weight(30, 0.95, 5), dt),
        lambda dt: leaky(random_weight(20, 1.5, 1), dt),
    ],
    ids=[
        "well",
        "2 x 2 wells",
        "2 x 2 x 2 wells",
        "well and slow",
        "well and faster",
        "near a pitchfork",
        "slow",
        "slow in 10",
        "spiral",
        "spiral and decay",
        "slow spiral",
        "near Hopf",
        "oscillator",
        "random .99",
        "random .95",
        "random 1.5",
    ],
)
def test_small_steps_and_leaks_alone_make_no_continuous_attractor(system, step):
    found = followed(system(step))
    assert found.headline()["n"] == 0
    if len(found):
        assert "a slow approach, no continuous attractor" in found.summary()
    else:
        assert found.summary().startswith("no continuous attractor seen")


def test_what_was_saved_without_ratios_still_has_a_summary_and_a_figure():
    found = followed(diagonal([0.5, 0.2]))
    before = replace(found, seeds=replace(found.seeds, ratio=None))
    assert "nearest eigenvalue 0.5 from 1" in before.summary()
    assert before.figure().layout.yaxis.title.text == "smallest |λ − 1|"


def test_an_exact_ring_is_covered_and_measured():
    system = radial()
    given = find_fixed_points(system, n_starts=200)
    found = marginal_manifolds(system, fixed_points=given, spacing=0.1)
    assert found.kind == ("ring",)
    assert found.trust.ends == ((),)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 1, atol=1e-10)
    np.testing.assert_allclose(found.length, 2 * np.pi, rtol=1e-9)
    np.testing.assert_allclose(np.diff(found.arclength), 2 * np.pi / 128, rtol=1e-6, err_msg="equal distances")
    np.testing.assert_allclose(found.trust.largest_gap, 2 * np.pi / 128, rtol=1e-6, err_msg="the ring is closed")
    np.testing.assert_allclose(found.dynamics.eigenvalue, 1, atol=1e-8)
    np.testing.assert_allclose(found.dynamics.transverse, 0.6, atol=1e-8)
    assert found.largest_drift.max() <= found.no_drift
    assert len(found.zeros.arclength) == 0, "rounding errors are no fixed points"
    assert found.attracting.tolist() == [True]
    assert found.trust.pca_dimension.tolist() == found.dimension.tolist() == [1]
    on = np.linalg.norm(given.points, axis=1) > 0.5
    np.testing.assert_array_equal(found.seeds.manifold[: len(given)] == 0, on, err_msg="all but the origin")
    assert found.summary().startswith("1 ring of 128 points, length 6.28, drift at most")
    assert "none beyond rounding" in found.summary()


@pytest.mark.parametrize("k", [1, 3])
def test_a_perturbed_ring_drifts_as_it_should_between_the_points_that_are_left(k):
    size = 0.005
    found = followed(radial(turn=lambda angle: size * np.sin(k * angle)))
    assert found.kind == ("ring",)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 1, atol=2e-4)
    np.testing.assert_allclose(found.length, 2 * np.pi, rtol=2e-4)
    angle = np.arctan2(found.points[:, 1], found.points[:, 0])
    sense = np.sign(np.mean(np.diff(np.unwrap(angle))))
    np.testing.assert_allclose(found.drift, sense * size * np.sin(k * angle), atol=1e-4)
    np.testing.assert_allclose(found.largest_drift, size, rtol=0.03)
    np.testing.assert_allclose(found.dynamics.eigenvalue.real, 1 + size * k * np.cos(k * angle), atol=1e-3)
    assert len(found.zeros.arclength) == 2 * k
    places = np.interp(found.zeros.arclength, found.arclength, np.unwrap(angle), period=None)
    # Where the sine rises through 0 the angle is driven away.
    np.testing.assert_array_equal(np.cos(k * places) < 0, found.zeros.stable)
    inner = (found.zeros.arclength > found.arclength[1]) & (found.zeros.arclength < found.arclength[-1])
    np.testing.assert_allclose(np.sin(k * places[inner]), 0, atol=5e-3 * k)
    assert f"with {k} stable and {k} unstable points" in found.summary() or k == 1


def test_too_strong_a_perturbation_leaves_no_continuous_attractor():
    found = followed(radial(turn=lambda angle: 0.05 * np.sin(3 * angle)))
    assert len(found) == 0
    assert found.summary().startswith("no continuous attractor seen: 0 of ")


@pytest.mark.parametrize(("n", "most"), [(16, 5e-3), (32, 5e-6)])
def test_a_ring_attractor_network_has_its_bumps(n, most):
    system, length = tanh_ring(n)
    found = marginal_manifolds(system, fixed_points=find_fixed_points(system, n_starts=128))
    assert found.kind == ("ring",)
    np.testing.assert_allclose(found.length, length, rtol=2e-3 if n == 32 else 0.05)
    assert 0.1 * most < found.largest_drift[0] < most, "n units resolve the ring so well, and no better"
    assert found.zeros.stable.sum() == (~found.zeros.stable).sum() == n, "as many pinned bumps as units"
    # A bump moved on by one unit is a bump again.
    moved = np.roll(found.points, 1, axis=1)
    gaps = np.linalg.norm(moved[:, None] - found.points, axis=-1).min(1)
    assert gaps.max() < 0.51 * found.trust.largest_gap[0]
    settled = slice(sum(found.seeds.n_found[:2]), None)
    assert found.seeds.n_found[2] == 64
    assert (found.seeds.manifold[settled] == 0).all(), "the network settles on the ring from everywhere"


def test_a_threshold_linear_ring_is_followed_over_its_kinks():
    n = 32
    angles = 2 * np.pi * np.arange(n) / n
    weight = (-3 + 4 * np.cos(angles[:, None] - angles)) / n

    def drive(h):
        return h @ weight.T + 1

    system = rs.FunctionMap(
        lambda h: 0.6 * h + 0.4 * np.maximum(drive(h), 0),
        jacobian=lambda h: 0.6 * np.eye(n) + 0.4 * (drive(h) > 0)[..., None] * weight,
        state_size=n,
    )
    starts = np.random.default_rng(0).uniform(0, 3, (64, n))
    found = marginal_manifolds(system, fixed_points=find_fixed_points(system, starts=starts))
    assert found.kind == ("ring",)
    on = found.points
    active = (drive(on) > 0).sum(1)
    assert 0.3 * n < active.min() <= active.max() < 0.8 * n, "a bump, of which units come and go"
    sizes = np.linalg.norm(on, axis=1)
    assert np.ptp(sizes) < 1e-2 * sizes.mean(), "all bumps are alike"


def test_a_curved_line_has_its_length():
    """(x, x² + (y - x²) / 2): every point of the parabola is fixed; the domain cuts it at x = ±1."""

    def step(x):
        return np.stack([x[..., 0], x[..., 0] ** 2 + 0.5 * (x[..., 1] - x[..., 0] ** 2)], -1)

    system = rs.FunctionMap(step, state_size=2, domain=([-1, -2], [1, 2]))
    found = marginal_manifolds(system, fixed_points=find_fixed_points(system, n_starts=100))
    assert found.kind == ("line",)
    assert found.trust.ends == (("edge", "edge"),)
    np.testing.assert_allclose(found.points[:, 1], found.points[:, 0] ** 2, atol=1e-10)
    np.testing.assert_allclose(found.length, np.sqrt(5) + np.arcsinh(2) / 2, rtol=3e-3)
    assert (np.diff(found.points[:, 0]) > 0).all() or (np.diff(found.points[:, 0]) < 0).all(), "in order"
    assert (found.seeds.manifold == 0).all()
    np.testing.assert_allclose(found.dynamics.transverse, 0.5, atol=1e-8)


def test_a_line_without_bounds_ends_where_the_starts_were():
    starts = np.random.default_rng(0).normal(size=(100, 2))
    line = rs.FunctionMap(lambda x: x * np.array([1, 0.5]) + np.array([0, 1.0]), state_size=2)
    found = marginal_manifolds(line, fixed_points=find_fixed_points(line, starts=starts))
    assert found.kind == ("line",)
    np.testing.assert_allclose(found.points[:, 1], 2, atol=1e-10)
    assert 2 * np.abs(starts[:, 0]).max() < found.length[0] < 4 * np.linalg.norm(starts, axis=1).max()


@pytest.mark.parametrize(
    ("system", "kind", "dimension"),
    [
        (diagonal([1, 1, 0.5]), "plane", 2),
        (radial(n=3), "plane", 2),
        (diagonal([1, 1, 1, 0.3]), "cloud", 3),
    ],
)
def test_sheets_are_covered(system, kind, dimension):
    given = find_fixed_points(system, n_starts=300)
    found = marginal_manifolds(system, fixed_points=given, spacing=0.1)
    assert found.kind == (kind,)
    assert found.dimension.tolist() == found.trust.pca_dimension.tolist() == [dimension]
    np.testing.assert_allclose(system.step(found.points, np.empty((len(found.points), 0))), found.points, atol=1e-9)
    near = np.linalg.norm(found.seeds.points[:, None] - found.points, axis=-1).min(1)
    on = found.seeds.manifold == 0
    assert on.mean() > 0.99, "all points but the centre of the sphere"
    assert near[on].max() < 2 * np.sqrt(dimension) * found.trust.largest_gap[0]
    assert np.isnan(found.arclength).all()


def test_a_sheared_plane_drifts_and_is_no_less_a_plane():
    """Its eigenvalue 1 is repeated with a single eigenvector."""
    system = rs.FunctionMap(
        lambda x: np.stack([x[..., 0] + 0.001 * x[..., 1], x[..., 1], 0.5 * x[..., 2]], -1),
        state_size=3,
        domain=(-1, 1),
    )
    found = marginal_manifolds(system, fixed_points=find_fixed_points(system, n_starts=100))
    assert found.kind == ("plane",)
    np.testing.assert_allclose(found.drift, 0.001 * np.abs(found.points[:, 1]), atol=1e-9)


def test_a_slow_manifold_without_a_fixed_point_is_found_from_where_the_network_is_slow():
    drifting = rs.FunctionMap(lambda x: x * np.array([1, 0.5]) + np.array([2e-4, 0]), state_size=2, domain=(-1, 1))
    given = find_fixed_points(drifting, n_starts=50)
    assert len(given) == 0
    found = marginal_manifolds(drifting, fixed_points=given)
    assert found.kind == ("line",)
    np.testing.assert_allclose(np.abs(found.drift), 2e-4, rtol=1e-6)
    assert len(found.zeros.arclength) == 0
    alone = marginal_manifolds(drifting, fixed_points=given, settle=0, slow_too=False)
    assert len(alone) == 0
    assert alone.seeds.n_found == (0, 0, 0)


def test_an_unstable_line_does_not_attract():
    system = diagonal([1, 1.5])
    found = marginal_manifolds(system, fixed_points=find_fixed_points(system, n_starts=50))
    assert found.kind == ("line",)
    assert not found.attracting[0]
    np.testing.assert_allclose(found.dynamics.transverse, 1.5)
    assert "not attracting everywhere" in found.summary()


def test_a_slow_approach_to_one_point_is_told():
    system = diagonal([0.99, 0.5])
    found = marginal_manifolds(system, fixed_points=find_fixed_points(system, n_starts=50))
    assert "all of it to 1 stable point: a slow approach, no continuous attractor" in found.summary()
    assert found.headline()["n"] == 0
    np.testing.assert_allclose(found.zeros.arclength, found.length / 2, rtol=1e-3)


def test_a_ring_is_followed_through_a_weak_focus():
    """Near angle 0 the slow eigenvalue pairs up with the radial one, and the ring has no direction of its own."""

    def step(x):
        r, angle = np.linalg.norm(x, axis=-1), np.arctan2(x[..., 1], x[..., 0])
        near = np.exp(4 * (np.cos(angle) - 1))
        new_r = r - (0.3 - 0.28 * near) * (r - 1) * np.minimum(1, r) - 0.012 * near * np.sin(angle)
        new_angle = angle - 0.005 * np.sin(angle) + 0.012 * near * (r - 1)
        return np.stack([new_r * np.cos(new_angle), new_r * np.sin(new_angle)], -1)

    system = rs.FunctionMap(step, state_size=2, domain=(-1.5, 1.5))
    given = find_fixed_points(system, n_starts=100)
    focus, saddle = np.array([1.0, 0.0]), np.array([-1.0, 0.0])
    at_focus = given.eigenvalues[np.linalg.norm(given.points - focus, axis=1).argmin()]
    assert np.abs(at_focus.imag).min() > 0.005, "the test's own premise"
    found = marginal_manifolds(system, fixed_points=given, spacing=0.1)
    assert found.kind == ("ring",)
    assert 2 * np.pi < found.length[0] < 1.05 * 2 * np.pi
    for point in (focus, saddle):
        assert np.linalg.norm(found.points - point, axis=1).min() < found.trust.largest_gap[0]
    np.testing.assert_allclose(found.largest_drift, 0.005, rtol=0.15)


def test_over_a_gap_where_the_map_is_not_finite_a_line_is_not_closed():
    ring = radial()

    def step(x):
        assert np.isfinite(x).all(), "the map was asked about what is no number"
        gap = np.abs(np.arctan2(x[..., 1], x[..., 0])) < 0.3
        return np.where(gap[..., None], np.nan, ring.step(x, np.empty((*x.shape[:-1], 0))))

    found = followed(rs.FunctionMap(step, state_size=2, domain=(-1.5, 1.5)), n_starts=15, settle=50)
    assert set(found.kind) == {"line"}
    assert 2 * np.pi - 0.6 - 0.2 < found.length[0] <= 2 * np.pi - 0.6


def test_an_arc_with_a_fast_gap_is_a_line_and_no_ring():
    def turn(angle):
        return 0.1 * np.exp(-((np.arctan2(np.sin(angle), np.cos(angle)) / 0.12) ** 2))

    found = followed(radial(turn=turn))
    assert set(found.kind) == {"line"}
    assert 0.8 * 2 * np.pi < found.length.sum() < 2 * np.pi


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_isolated_points_of_a_flip_flop_make_no_manifold(flip_flop, kind):
    module, _ = flip_flop(kind)
    weights = module.weight_hh_l0.clone()
    found = marginal_manifolds(module, seed=2)
    assert len(found) == 0
    assert found.points.shape == (0, 16)
    assert found.seeds.n_found[0] == 27
    assert found.seeds.distance.min() > 0.1
    assert found.summary().startswith("no continuous attractor seen: 0 of 91")
    assert torch.equal(module.weight_hh_l0, weights)


def test_a_marginal_point_on_its_own_is_no_manifold():
    cubic = rs.FunctionMap(lambda x: x - x**3, state_size=1, domain=(-1, 1))
    found = marginal_manifolds(cubic, fixed_points=find_fixed_points(cubic, n_starts=30), margin=0.02)
    assert len(found) == 0
    assert "on no manifold longer than" in found.summary()


def test_what_is_slow_in_many_directions_is_counted_and_not_followed():
    found = followed(diagonal([1, 1, 1, 1, 0.3]))
    assert len(found) == 0
    assert (found.seeds.directions == 4).all()
    assert "points are marginal (120 with more than 3 slow directions)" in found.summary()


def test_each_input_has_its_own_manifold():
    system = rs.FunctionMap(
        lambda x, u: np.stack([x[..., 0], 0.5 * x[..., 1] + u[..., 0]], -1),
        state_size=2,
        input_size=1,
        domain=(-3, 3),
    )
    given = find_fixed_points(system, input=np.array([[0.0], [1.0]]), n_starts=40)
    found = marginal_manifolds(system, fixed_points=given, spacing=0.1)
    assert found.kind == ("line", "line")
    for row in range(2):
        np.testing.assert_allclose(found.points[found.manifold == row, 1], 2 * found.inputs[row, 0], atol=1e-9)
    assert sorted(found.inputs[:, 0].tolist()) == [0.0, 1.0]
    one = marginal_manifolds(system, fixed_points=given, input=[1.0], spacing=0.1)
    assert one.kind == ("line",)
    assert one.inputs.tolist() == [[1.0]]
    assert one.seeds.n_found == (len(given.at(1)), 0, 40)
    with pytest.raises(ValueError, match=r"found at other inputs than \[2.0\]: find them there"):
        marginal_manifolds(system, fixed_points=given, input=[2.0])


def test_manifolds_survive_zarr(tmp_path):
    system = radial(turn=lambda angle: 0.005 * np.sin(3 * angle))
    for name, found in (("some", followed(system)), ("none", followed(diagonal([0.5, 0.2])))):
        save_result(found, tmp_path / f"{name}.zarr")
        back = load_result(MarginalManifolds, tmp_path / f"{name}.zarr")
        assert back.summary() == found.summary()
        assert back.trust.ends == found.trust.ends
        assert back.seeds.n_found == found.seeds.n_found
        np.testing.assert_array_equal(back.dynamics.eigenvalue, found.dynamics.eigenvalue)
    assert found.to_xarray()["points"].dims == ("point", "unit")


def test_figures_show_manifolds_and_drift():
    ring = followed(radial(turn=lambda angle: 0.005 * np.sin(3 * angle)))
    names = [trace.name for trace in ring.figure().data]
    assert {"ring", "stable along it (3)", "unstable (3)", "other fixed points (1)"} <= set(names)
    drift = next(trace for trace in ring.figure().data if trace.mode == "lines" and trace.xaxis == "x2")
    assert len(drift.x) == 49, "once round, and the first point again"
    np.testing.assert_array_equal(drift.y[:-1], ring.drift)
    still = followed(radial()).figure()
    assert any("none beyond rounding" in note.text for note in still.layout.annotations)
    plane = followed(diagonal([1, 1, 0.5]))
    assert plane.figure().layout.xaxis2.title.text == "distance from the centre"
    nothing = followed(diagonal([0.5, 0.2]), margin=0.05).figure()
    assert "No continuous attractor seen" in nothing.layout.title.text
    (line,), (note,) = nothing.layout.shapes, nothing.layout.annotations
    assert line.y0 == line.y1 == 0.05
    assert 10**note.y == pytest.approx(0.05), "the margin's name stands at its line"


def test_a_seed_repeats_itself():
    one, two = (marginal_manifolds(radial(pull=0.4), seed=3, n_points=16, settle=10) for _ in range(2))
    np.testing.assert_array_equal(one.points, two.points)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"margin": 0.0}, "margin must be above 0, got 0.0"),
        ({"max_drift": -1.0}, "max_drift must be above 0, got -1.0"),
        ({"spacing": 2.0}, "spacing must be below 1, got 2.0"),
        ({"shortest": -1.0}, "shortest must be at least 0, got -1.0"),
        ({"settle": -1}, "settle must be at least 0, got -1"),
        ({"n_points": 3}, "n_points must be at least 8, got 3"),
    ],
)
def test_bad_settings_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        marginal_manifolds(radial(), **arguments)


def test_fixed_points_of_another_system_are_refused():
    given = find_fixed_points(radial(), n_starts=5)
    with pytest.raises(ValueError, match="2 numbers in a state and 0 in an input, the system 3 and 0"):
        marginal_manifolds(radial(n=3), fixed_points=given)
    with pytest.raises(ValueError, match=r"input must have shape \(0,\), one input to hold, got \(1,\)"):
        marginal_manifolds(radial(), fixed_points=given, input=np.zeros(1))
