"""Near a fold only what is certified counts: counts known in closed form, from either side."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import FixedPoints, find_fixed_points


def units(gains, biases, turn=None) -> torch.nn.RNN:
    """h' = tanh(Q' diag(a) Q h + u); Q = 1 if None."""
    gains = np.atleast_1d(gains)
    weight = np.diag(gains) if turn is None else turn.T @ np.diag(gains) @ turn
    net = torch.nn.RNN(1, len(gains)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.weight_hh_l0.copy_(torch.tensor(weight))
        net.bias_hh_l0.copy_(torch.tensor(np.atleast_1d(biases)))
    return net


def fold(gain: float) -> float:
    """The input at which tanh(a h + u) touches h, at h = sqrt(1 - 1 / a); above it there are 3 points."""
    h = np.sqrt(1 - 1 / gain)
    return float(np.arctanh(h) - gain * h)


def assert_only_certified(found: FixedPoints, at_most: int) -> None:
    assert found.certificates.certified.all()
    assert len(found) <= at_most


@pytest.mark.parametrize("seed", range(8))
def test_single_units_on_both_sides_of_the_fold(seed: int):
    rng = np.random.default_rng(seed)
    gain, sign = rng.uniform(1.05, 5), rng.choice([-1, 1])
    for away in (1e-4, 10 ** -rng.uniform(8, 10), 10 ** -rng.uniform(10, 16)):
        past = find_fixed_points(units(gain, sign * (fold(gain) - away)), n_starts=64)
        assert_only_certified(past, 1)
        assert len(past) == 1, "the other one is far from the fold"
        safe = find_fixed_points(units(gain, sign * (fold(gain) + away)), n_starts=64)
        assert_only_certified(safe, 3)
        assert len(safe) == 3 or away < 1e-12 or len(safe.starts) < 128, safe.summary()


def test_the_case_that_was_reported():
    """1e-10 past the fold of tanh(2 h + u): q is below the tolerance over 1e-5, and there were four points of one."""
    found = find_fixed_points(units(2.0, fold(2.0) - 1e-10), n_starts=256, prove=0)
    assert_only_certified(found, 1)
    assert len(found.nearly) == 1
    assert "1 of them nearly a fold" in found.summary()
    assert (found.starts.count(0) + found.starts.count(1)) == 256, "no start is lost"
    proven = find_fixed_points(units(2.0, fold(2.0) - 1e-10), n_starts=256)
    assert proven.unseen.complete, "bounds on boxes decide what digits do not"
    assert "nearly" not in proven.summary()


@pytest.mark.parametrize("turned", [False, True])
def test_two_units_at_once(turned: bool):
    for away in (1e-9, 1e-11, 1e-13):
        turn = None
        if turned:  # only nearly the same system, as tanh acts on turned numbers: a symmetric one, with its own fold
            turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
        found = find_fixed_points(units([2.0, 3.0], [fold(2.0) - away, fold(3.0) - away], turn), n_starts=128)
        assert found.certificates.certified.all()
        if not turned:
            assert len(found) == 1


@pytest.mark.parametrize("away", [1e-10, 1e-13])
def test_gated_units(away: float):
    """A GRU whose gates are held half open stands still where h = tanh(h a / 2 + u)."""
    for side, truth in ((1, 3), (-1, 1)):
        net = torch.nn.GRU(1, 1).double()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.zero_()
            net.weight_hh_l0[2].fill_(4.0)
            net.bias_ih_l0[2].fill_(fold(2.0) + side * away)
        assert_only_certified(find_fixed_points(net, n_starts=64), truth)


def test_a_pitchfork_is_not_lost():
    found = find_fixed_points(units(1.0, 0.0), n_starts=32)
    assert len(found) == 0
    np.testing.assert_allclose(found.slow.points[found.nearly], [[0.0]], atol=1e-4)
    assert found.summary().startswith("no fixed point certified")


def test_maps_without_bounds():
    """What Newton's method does not see is not counted, nor is a double root, which it cannot tell from nothing."""

    def net(u: float) -> rs.FunctionMap:
        return rs.FunctionMap(
            lambda h: np.tanh(2 * h + u),
            jacobian=lambda h: (2 * (1 - np.tanh(2 * h + u) ** 2))[..., None],
            state_size=1,
            domain=(-1, 1),
        )

    past = find_fixed_points(net(fold(2.0) - 1e-10), n_starts=64)
    assert (len(past), len(past.nearly)) == (1, 1)
    assert len(find_fixed_points(net(fold(2.0) + 1e-8), n_starts=64)) == 3
    double = find_fixed_points(rs.FunctionMap(lambda x: x * (1 - x), state_size=1, domain=(0, 1)), n_starts=32)
    assert (len(double), len(double.nearly)) == (0, 1)
    assert "1 of them nearly a fold or degenerate (none, one or two fixed points)" in double.summary()


def test_points_do_not_depend_on_whether_they_are_certified():
    generator = torch.Generator().manual_seed(0)
    weight = 2 * torch.randn(16, 16, generator=generator, dtype=torch.float64) / 4
    net = units(np.ones(16), np.zeros(16))
    with torch.no_grad():
        net.weight_hh_l0.copy_(weight)
    one, other = (find_fixed_points(net, n_starts=64, certify=c) for c in (True, False))
    np.testing.assert_array_equal(one.points, other.points)


@pytest.mark.parametrize(
    ("step", "true"),
    [
        (lambda x: x + 1e-11, 0),
        (lambda x: x + 1e-6 * np.exp(-15 * x), 0),  # at x = 1 by 3e-13, which is more than rounding
        (lambda x: x + 1e-12 * np.cos(x), 0),
        (lambda x: x + 1e-11 + 0.5 * np.maximum(x, 0) ** 2, 0),
        (lambda x: x + 1e-3 * (0.3 - x), 1),
        (lambda x: x + 1e-7 * (0.3 - x), 1),
        (lambda x: 2 * x * (1 - x), 2),
    ],
)
def test_maps_without_bounds_count_no_place_that_is_only_slow(step, true: int):
    """Most move by so little that q is below the tolerance on a whole interval."""
    found = find_fixed_points(rs.FunctionMap(step, state_size=1, domain=(-1, 1)), n_starts=100, n_rounds=1)
    assert len(found) == true, found.summary()
    assert true or "no fixed point certified" in found.summary()
