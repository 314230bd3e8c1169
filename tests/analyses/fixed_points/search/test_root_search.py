"""The search for roots, from every start to its end, on maps whose fixed points are known."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.fixed_points.search import root_search
from rnnscope.analyses.fixed_points.search.homotopy import follow_to_roots
from rnnscope.analyses.fixed_points.search.root_search import FAILED, FIXED, REASONS, SLOW, search_box, search_roots


def search(state_map, begin, inputs=None, **settings):
    begin = np.asarray(begin, float)
    scale = float(np.median(np.linalg.norm(begin - np.median(begin, 0), axis=1))) or 1.0
    settings = {
        "box": search_box(state_map, begin),
        "kept": state_map.domain is not None and bool(np.isfinite(state_map.domain).all()),
        "scale": scale,
        "tolerance": 1e-20,
        "max_iterations": 200,
        "distance": 1e-5,
    } | settings
    given = np.zeros((len(begin), state_map.input_size)) if inputs is None else np.asarray(inputs, float)
    return search_roots(state_map, begin, given, **settings)


def random_tanh(n, gain, bias=0.0, seed=0):
    rng = np.random.default_rng(seed)
    weight, offset = gain / np.sqrt(n) * rng.standard_normal((n, n)), bias * rng.standard_normal(n)
    return rs.FunctionMap(
        lambda h: np.tanh(h @ weight.T + offset),
        jacobian=lambda h: (1 - np.tanh(h @ weight.T + offset) ** 2)[..., None] * weight,
        state_size=n,
        domain=(-1, 1),
    )


def henon():
    return rs.FunctionMap(
        lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1),
        state_size=2,
    )


def one_number(function, **settings):
    return rs.FunctionMap(function, state_size=1, **settings)


def linear(matrix, offset):
    matrix = np.asarray(matrix, float)
    return rs.FunctionMap(
        lambda x: x @ matrix.T + offset,
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, len(matrix))),
        state_size=len(matrix),
    )


def nearest(points, references):
    distances = np.linalg.norm(points[:, None] - references, axis=-1)
    return distances.argmin(1), distances.min(1), distances.min(0)


# What is there is found


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_all_27_points_of_a_flip_flop_and_nothing_else(flip_flop, kind):
    module, data = flip_flop(kind)
    state_map = rs.as_subject(module).map
    found = search(state_map, data["initial_states"])
    assert (found.outcome == FIXED).sum() >= 1010
    ends = found.ends[found.outcome == FIXED]
    _, from_reference, from_end = nearest(ends, data["reference_fixed_points"])
    assert from_end.max() < 1e-8, "every reference point is some start's end"
    assert from_reference.max() < 1e-4, "every end is a reference point"
    assert found.q[found.outcome == FIXED].max() < 1e-28


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_from_near_a_saddle_the_search_ends_at_that_saddle(flip_flop, kind):
    module, data = flip_flop(kind)
    state_map = rs.as_subject(module).map
    points = data["reference_fixed_points"]
    noise = np.random.default_rng(0).normal(0, 0.02, (10, *points.shape))
    found = search(state_map, (points + noise).reshape(-1, 16))
    closest, distance, _ = nearest(found.ends, points)
    assert distance.max() < 1e-4
    stayed = closest == np.tile(np.arange(27), 10)
    assert stayed.mean() > 0.98, f"of {len(stayed)} starts, {(~stayed).sum()} left the point that they were beside"


def test_both_points_of_the_henon_map():
    found = search(henon(), np.random.default_rng(0).uniform(-2, 2, (200, 2)))
    x = np.array([-0.7 + np.sqrt(0.49 + 5.6), -0.7 - np.sqrt(0.49 + 5.6)]) / 2.8
    assert (found.outcome == FIXED).all()
    _, distance, from_end = nearest(found.ends, np.stack([x, 0.3 * x], -1))
    assert distance.max() < 1e-5
    assert from_end.max() < 1e-13


def test_the_logistic_map_within_its_domain():
    found = search(one_number(lambda x: 3.9 * x * (1 - x), domain=(0, 1)), np.linspace(0, 1, 300)[:, None])
    assert (found.outcome == FIXED).all()
    _, distance, from_end = nearest(found.ends, np.array([[0.0], [1 - 1 / 3.9]]))
    assert distance.max() < 1e-5
    assert from_end.max() < 1e-13


def test_the_point_of_a_linear_map_far_from_all_starts():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(5, 5))
    point = 100 * rng.normal(size=5)
    far = np.full(5, -1e6), np.full(5, 1e6)
    found = search(linear(matrix, point - matrix @ point), rng.normal(0, 0.01, (20, 5)), box=far)
    assert (found.outcome == FIXED).all()
    np.testing.assert_allclose(found.ends, np.tile(point, (20, 1)), rtol=1e-9)


def test_stored_patterns_of_a_hopfield_network():
    # Orthogonal patterns p: h = m p is a fixed point of tanh(b P^T P h / N) where m = tanh(b m).
    patterns = np.array([[(-1.0) ** (i >> k & 1) for i in range(64)] for k in range(4)])
    weight = 2.0 * patterns.T @ patterns / 64
    network = rs.FunctionMap(lambda h: np.tanh(h @ weight), state_size=64, domain=(-1, 1))
    overlap = 1.0
    for _ in range(200):
        overlap = np.tanh(2 * overlap)
    rng = np.random.default_rng(0)
    begin = np.concatenate([sign * p * 0.9 + rng.normal(0, 0.2, (10, 64)) for p in patterns for sign in (1, -1)])
    found = search(network, begin)
    assert (found.outcome == FIXED).all()
    truth = np.repeat(np.concatenate([[p, -p] for p in patterns]), 10, 0) * overlap
    assert np.linalg.norm(found.ends - truth, axis=1).max() < 1e-4


def test_each_start_has_its_own_input():
    half = rs.FunctionMap(lambda h, u: h / 2 + u / 2, state_size=2, input_size=2)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(50, 2))
    found = search(half, rng.normal(size=(50, 2)), inputs)
    np.testing.assert_allclose(found.ends, inputs, atol=1e-10)


# Merging


def test_starts_at_different_inputs_are_not_merged_however_close():
    half = rs.FunctionMap(lambda h, u: h / 2 + u / 2, state_size=1, input_size=1)
    inputs = np.array([[0.0], [1e-9], [2e-9]])
    found = search(half, np.full((3, 1), 0.5), inputs, distance=1e-3)
    np.testing.assert_allclose(found.ends, inputs, atol=1e-14)


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_with_and_without_merging_the_ends_are_the_same(flip_flop, kind, monkeypatch):
    module, data = flip_flop(kind)
    state_map = rs.as_subject(module).map
    begin = data["reference_fixed_points"][np.arange(300) % 27] + np.random.default_rng(1).normal(0, 0.1, (300, 16))
    calls = []

    def ends():
        counted = rs.FunctionMap(
            lambda h, u: calls.append(len(h)) or state_map.step(h, u),
            jacobian=state_map.jacobian,
            state_size=16,
            input_size=3,
        )
        calls.clear()
        return search(counted, begin, box=search_box(state_map, begin)), sum(calls)

    merged, work = ends()
    monkeypatch.setattr(root_search, "TOGETHER", 0.0)
    alone, more_work = ends()
    np.testing.assert_array_equal(merged.outcome, alone.outcome)
    np.testing.assert_allclose(merged.ends, alone.ends, atol=1e-4)
    assert work < 0.8 * more_work


def test_two_points_nearer_than_the_merging_distance_stay_two():
    # Beside a fold: fixed points at +-1e-3, starts a thousand times further apart.
    fold = one_number(lambda x: x + 0.3 * (x**2 - 1e-6) * (1 - x**2 / 9))
    found = search(fold, np.random.default_rng(0).uniform(-2, 2, (400, 1)))
    near = found.ends[np.abs(found.ends[:, 0]) < 0.1, 0]
    np.testing.assert_allclose(np.unique(near.round(6)), [-1e-3, 1e-3])


def test_what_other_starts_there_are_does_not_matter(flip_flop):
    module, data = flip_flop("tanh")
    state_map = rs.as_subject(module).map
    begin = data["initial_states"]
    scale = 2.0
    together = search(state_map, begin[:64], scale=scale)
    for half in (slice(0, 32), slice(32, 64)):
        np.testing.assert_allclose(search(state_map, begin[half], scale=scale).ends, together.ends[half], atol=1e-4)


def test_a_start_at_a_fixed_point_stays_there_without_a_step(flip_flop):
    module, data = flip_flop("gru")
    state_map = rs.as_subject(module).map
    points = data["reference_fixed_points"]
    found = search(state_map, np.concatenate([points, data["initial_states"][:50]]))
    assert (found.outcome[:27] == FIXED).all()
    np.testing.assert_allclose(found.ends[:27], points, atol=1e-12)
    assert (found.n_iterations[:27] == 0).all()


# The box


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_the_search_never_leaves_the_box(flip_flop, kind):
    module, data = flip_flop(kind)
    state_map = rs.as_subject(module).map
    largest = []

    def watched(h, u):
        largest.append(np.abs(h).max())
        return state_map.step(h, u)

    spy = rs.FunctionMap(watched, jacobian=state_map.jacobian, state_size=16, input_size=3, domain=(-1, 1))
    rng = np.random.default_rng(0)
    found = search(spy, rng.normal(0, 5, (100, 16)))
    assert max(largest) <= 1
    assert (found.outcome == FIXED).all()
    assert nearest(found.ends, data["reference_fixed_points"])[1].max() < 1e-4, "no false roots at saturated gates"


def test_a_minimum_at_the_border_of_the_box_is_no_slow_point():
    found = search(one_number(lambda x: 1 + 2 * x, domain=(0, np.inf)), np.linspace(0, 3, 20)[:, None])
    assert (found.outcome == FAILED).all()
    assert {REASONS[i] for i in found.reason} == {"held at the border of the box"}
    np.testing.assert_allclose(found.ends, 0)


# Where there is none


def test_a_ghost_is_a_slow_point():
    ghost = one_number(lambda x: x + x**2 + 1e-4)
    found = search(ghost, np.linspace(-0.5, 0.5, 41)[:, None])
    assert (found.outcome == SLOW).all()
    np.testing.assert_allclose(found.ends, 0, atol=1e-3)
    np.testing.assert_allclose(found.q, 0.5e-8, rtol=1e-2)
    assert (found.reason == 0).all()


def test_a_ghost_is_found_although_there_is_a_fixed_point_elsewhere():
    # r = (x^2 + 1e-4) (2 - x): a zero at 2, and a slow place at 0.
    both = one_number(lambda x: x + (x**2 + 1e-4) * (2 - x) / 4, domain=(-1, 3))
    found = search(both, np.array([[-0.02], [0.01], [0.02], [1.8], [1.9], [2.1]]))
    assert found.outcome.tolist() == [SLOW] * 3 + [FIXED] * 3
    np.testing.assert_allclose(found.ends[:, 0], [0, 0, 0, 2, 2, 2], atol=2e-3)


def test_constant_drift_is_slow_everywhere():
    begin = np.linspace(-2, 2, 9)[:, None]
    found = search(one_number(lambda x: x + 1), begin)
    assert (found.outcome == SLOW).all()
    np.testing.assert_array_equal(found.ends, begin)


def test_a_limit_cycle_is_not_a_fixed_point():
    turn = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    cycle = rs.FunctionMap(lambda x: (1.5 - 0.5 * (x**2).sum(-1, keepdims=True)) * x @ turn.T, state_size=2)
    angles = np.linspace(0, 6, 40)
    found = search(cycle, np.stack([np.cos(angles), np.sin(angles)], -1))
    assert (found.outcome == FIXED).all()
    np.testing.assert_allclose(found.ends, 0, atol=1e-5)


def test_a_map_without_a_fixed_point_ends_where_it_is_slowest():
    # |F(h) - h|^2 = (1 + x^2)^2 + y^2
    none = rs.FunctionMap(lambda h: np.stack([h[..., 0] + 1 + h[..., 0] ** 2, 0.0 * h[..., 1]], -1), state_size=2)
    found = search(none, np.random.default_rng(0).normal(0, 2, (30, 2)))
    assert (found.outcome == SLOW).all()
    np.testing.assert_allclose(found.ends, 0, atol=1e-2)
    np.testing.assert_allclose(found.q, 0.5, rtol=1e-3)


def test_a_line_of_fixed_points_keeps_its_starts_apart():
    found = search(linear(np.diag([1.0, 0.5]), np.array([0.0, 1.0])), np.random.default_rng(0).normal(size=(50, 2)))
    assert (found.outcome == FIXED).all()
    np.testing.assert_allclose(found.ends[:, 1], 2)
    assert len(np.unique(found.ends[:, 0].round(6))) > 45


def test_a_ring_of_fixed_points_is_reached_from_everywhere():
    def pull(h):
        size = np.linalg.norm(h, axis=-1, keepdims=True)
        return h * (1 + 0.5 * (1 - size**2))

    begin = np.random.default_rng(0).normal(size=(100, 2))
    found = search(rs.FunctionMap(pull, state_size=2), begin)
    assert (found.outcome == FIXED).all()
    sizes = np.linalg.norm(found.ends, axis=1)
    assert np.minimum(np.abs(sizes - 1), sizes).max() < 1e-9
    ring = sizes > 0.5
    cosine = (found.ends[ring] * begin[ring]).sum(1) / np.linalg.norm(begin[ring], axis=1)
    assert np.median(cosine) > 0.9, "not far along the ring"


# What is not finite


def test_starts_where_the_map_is_not_finite_fail_alone():
    root = one_number(lambda x: np.sqrt(x) + 0.0 * x)
    with np.errstate(invalid="ignore"):
        found = search(root, np.array([[0.5], [-1.0], [2.0]]))
    assert found.outcome.tolist() == [FIXED, FAILED, FIXED]
    assert REASONS[found.reason[1]] == "not finite at the start"
    np.testing.assert_array_equal(found.ends[1], [-1.0])
    assert found.q[1] == np.inf


def test_steps_that_lead_where_the_map_is_not_finite_are_made_shorter():
    # Newton's step from 3 leads to -3.6 or so, where there is no logarithm.
    found = search(one_number(lambda x: x - np.log(x)), np.array([[0.05], [3.0], [20.0]]))
    assert (found.outcome == FIXED).all()
    np.testing.assert_allclose(found.ends, 1, atol=1e-4)


def refuses_what_is_not_finite(function, **settings):
    def asked(x):
        if not np.isfinite(x).all():
            raise FloatingPointError(f"the map was asked about {x[~np.isfinite(x).all(-1)]}")
        return function(x)

    return one_number(asked, **settings)


@pytest.mark.parametrize("slope", [None, lambda x: np.where(x < 0, -1.0, 1.0)[..., None]])
def test_where_equations_are_singular_the_map_is_not_asked_about_nan(slope):
    # All x >= 0 stand still, and J - 1 is 0 there; those together must reach a common end by such steps, and cannot.
    begin = np.concatenate([[-0.5], np.linspace(0.3, 0.31, 8), [0.9]])[:, None]
    found = search(refuses_what_is_not_finite(np.abs, jacobian=slope), begin)
    assert (found.outcome == FIXED).all()
    np.testing.assert_array_equal(found.ends[1:], begin[1:], err_msg="each stands still where it is")
    assert found.ends[0] >= -1e-9  # 0 stands still, and is reached but for rounding


def test_a_curve_without_a_tangent_ends_and_the_map_is_not_asked_about_nan():
    root = refuses_what_is_not_finite(np.sqrt, jacobian=lambda x: 0.5 / np.sqrt(x)[..., None], domain=(0, 4))
    begin = np.array([[0.0], [0.25]])  # at 0 the slope is infinite
    with np.errstate(all="ignore"):
        states, arrived, _ = follow_to_roots(root, begin, np.empty((2, 0)), (np.zeros(1), np.full(1, 4.0)), 1.0, 100)
    assert arrived.tolist() == [False, True]
    np.testing.assert_allclose(states, [[0.0], [1.0]], atol=0.05)


def test_steps_are_limited():
    found = search(henon(), np.random.default_rng(0).uniform(-2, 2, (50, 2)), max_iterations=1)
    assert set(found.outcome.tolist()) <= {FIXED, FAILED, SLOW}
    assert ((found.outcome == FAILED) == (found.reason > 0)).all()


# Large and chaotic ones


@pytest.mark.parametrize("gain", [1.5, 3.0])
def test_a_curve_leads_from_anywhere_to_a_fixed_point(gain):
    state_map = random_tanh(64, gain)
    begin = np.random.default_rng(0).uniform(-1, 1, (12, 64))
    states, arrived, n_steps = follow_to_roots(
        state_map, begin, np.empty((12, 0)), (np.full(64, -1.0), np.full(64, 1.0)), 4.0, 400
    )
    assert arrived.mean() > 0.7
    speed = np.linalg.norm(state_map.step(states, np.empty((12, 0))) - states, axis=1)
    assert speed[arrived].max() < 0.2
    assert (n_steps > 0).all()


def test_starts_that_seek_in_vain_are_led_to_a_fixed_point():
    state_map = random_tanh(128, 1.8)
    begin = np.random.default_rng(0).uniform(-1, 1, (10, 128))
    found = search(state_map, begin, max_iterations=3)
    assert (found.outcome == FIXED).mean() > 0.7
    assert found.q[found.outcome == FIXED].max() < 1e-26


def test_without_forming_jacobians_the_same_points_are_found(monkeypatch):
    monkeypatch.setattr(root_search, "LARGE", 16)
    for gain, seed in ((0.9, 0), (1.1, 1)):
        state_map = random_tanh(96, gain, bias=0.5, seed=seed)
        begin = np.random.default_rng(0).uniform(-1, 1, (16, 96))
        without = search(state_map, begin)
        with monkeypatch.context() as patch:
            patch.setattr(root_search, "LARGE", 10**6)
            formed = search(state_map, begin)
        assert (without.outcome == FIXED).all()
        distances = np.linalg.norm(without.ends[:, None] - formed.ends, axis=-1)
        assert distances.min(1).max() < 1e-4
        assert without.q.max() < 1e-26


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_a_flip_flop_without_forming_jacobians(flip_flop, kind, monkeypatch):
    monkeypatch.setattr(root_search, "LARGE", 8)
    monkeypatch.setattr(root_search, "BASIS", 0.75)
    module, data = flip_flop(kind)
    state_map = rs.as_subject(module).map
    found = search(state_map, data["initial_states"][:150])
    assert (found.outcome == FIXED).mean() > 0.95
    _, distance, from_end = nearest(found.ends[found.outcome == FIXED], data["reference_fixed_points"])
    assert distance.max() < 1e-4
    assert (from_end < 1e-8).sum() >= 15


def test_slow_points_without_forming_jacobians(monkeypatch):
    monkeypatch.setattr(root_search, "LARGE", 1)
    found = search(one_number(lambda x: x + x**2 + 1e-4), np.linspace(-0.5, 0.5, 11)[:, None])
    assert (found.outcome == SLOW).all()
    np.testing.assert_allclose(found.ends, 0, atol=1e-3)


def test_a_failure_says_whether_the_method_or_its_budget_ended_it():
    """With steps for nothing but a beginning, all starts are left to the curves, and these to the budget."""
    state_map, begin = random_tanh(32, 40.0, bias=3.0, seed=1), np.random.default_rng(0).uniform(-1, 1, (24, 32))
    of_budget = REASONS.index("not led to a fixed point, as the budget of work was spent")
    spared = search(state_map, begin, max_iterations=1, work=-1.0)
    failed = spared.outcome == FAILED
    assert failed.any(), "the test's own premise"
    assert set(spared.reason[failed]) == {of_budget}
    led = search(state_map, begin, max_iterations=1)
    assert of_budget not in led.reason, "there was budget enough: what failed, the method failed at"
