"""Points that starts at random do not reach: attractors of memory networks, and partners along curves."""

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard

import rnnscope as rs
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.analyses.fixed_points.search.homotopy import follow_to_roots
from rnnscope.maps import complete


def network(weights) -> torch.nn.RNN:
    """h' = tanh(W h)."""
    module = torch.nn.RNN(1, len(weights), dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.weight_hh_l0.copy_(torch.tensor(weights))
    return module


def memory(patterns, gain) -> torch.nn.RNN:
    """Patterns (pattern, unit) of -1 and 1, stored as Hopfield has it."""
    return network(gain * patterns.T @ patterns / patterns.shape[1])


def orthogonal(n_patterns, n_units):
    return hadamard(n_units)[1 : n_patterns + 1].astype(float)


@pytest.mark.parametrize(("n_patterns", "n_units"), [(1, 16), (2, 32), (2, 128)])
@pytest.mark.parametrize("gain", [1.3, 2.0])
def test_orthogonal_memories_have_3_to_the_patterns(n_patterns, n_units, gain):
    """In the coordinates of the sum and the difference of two patterns, half of the units depend on one of them and
    half on the other: each coordinate is one unit m = tanh(g m), with 3 points."""
    found = find_fixed_points(memory(orthogonal(n_patterns, n_units), gain), n_starts=512, prove=0)
    assert len(found) == 3**n_patterns, found.summary()
    assert found.certificates.certified.all()
    assert found.unseen.index.consistent.all()


def test_one_pattern_of_all_ones():
    found = find_fixed_points(network(2 * np.ones((100, 100)) / 100), n_starts=256)
    assert len(found) == 3
    m = np.abs(found.points).max()
    assert m == pytest.approx(np.tanh(2 * m), abs=1e-12)


def test_a_gated_memory():
    """With gates of 1/2 a GRU has the fixed points of h = tanh(W h / 2)."""
    patterns, gain = orthogonal(2, 32), 3.0
    module = torch.nn.GRU(1, 32, dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.weight_hh_l0[64:] = torch.tensor(gain * patterns.T @ patterns / 32)
    assert len(find_fixed_points(module, n_starts=512)) == 9


@pytest.mark.parametrize("seed", range(4))
def test_random_memories_have_all_points_of_their_two_overlaps(seed):
    """h = tanh(W h) with W = X^T X g / N has h = tanh(g X^T m), m = X h / N: a map of the plane, whose zeros Newton's
    method finds from a fine grid."""
    patterns = np.sign(np.random.default_rng(seed).standard_normal((2, 48)))
    gain, n = 2.0, patterns.shape[1]
    m = np.stack(np.meshgrid(*[np.linspace(-1, 1, 61)] * 2), -1).reshape(-1, 2)
    for _ in range(60):
        h = np.tanh(gain * m @ patterns)
        jacobian = gain * np.einsum("pi,ki,qi->kpq", patterns, 1 - h**2, patterns) / n - np.eye(2)
        step = np.linalg.solve(jacobian + 1e-12 * np.eye(2), ((h @ patterns.T / n) - m)[..., None])[..., 0]
        m = m - step * np.minimum(1, 0.2 / (np.linalg.norm(step, axis=1, keepdims=True) + 1e-30))
    still = np.linalg.norm(np.tanh(gain * m @ patterns) @ patterns.T / n - m, axis=1) < 1e-12
    true = np.unique(np.round(m[still], 7) + 0.0, axis=0)
    found = find_fixed_points(memory(patterns, gain), n_starts=256, prove=0)
    overlaps = found.points @ patterns.T / n
    apart = np.linalg.norm(overlaps[:, None] - true, axis=-1)
    assert len(found) == len(true), found.summary()
    assert apart.min(0).max() < 1e-6


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_curves_lead_from_a_few_points_of_the_flip_flop_to_all(flip_flop, kind):
    module, data = flip_flop(kind)
    starts = data["initial_states"][:12]
    alone = find_fixed_points(module, starts=starts)
    found = find_fixed_points(module, starts=starts, n_rounds=30, beyond_starts=True)
    assert len(alone) <= 12
    apart = np.linalg.norm(found.points[:, None] - data["reference_fixed_points"], axis=-1)
    assert len(found) >= 25, found.summary()
    assert apart.min(1).max() < 1e-8, "all of them are true"
    assert (found.hits == 0).sum() == len(found) - len(alone)


def test_orbits_alone_find_attractors_that_starts_missed():
    module = memory(orthogonal(2, 64), 1.5)
    origin = np.random.default_rng(0).uniform(-1e-3, 1e-3, (20, 64))
    missed = find_fixed_points(module, starts=origin)
    found = find_fixed_points(module, starts=origin, n_rounds=0, prove=0, beyond_starts=True)
    assert missed.stable.sum() == 0
    assert found.stable.sum() == 4, found.summary()


def test_curves_join_points_in_pairs():
    """Uncoupled units with 9 points: from all but one the curve of one a ends at another, and there and back again."""
    state_map = complete(rs.FunctionMap(lambda h: np.tanh([2.0, 3.0] * h), state_size=2, domain=(-1, 1)))
    points = find_fixed_points(state_map, n_starts=200).points
    a = np.tile(np.random.default_rng(1).uniform(-1, 1, 2), (9, 1))
    box = np.full(2, -1.0), np.full(2, 1.0)
    ends, arrived, _ = follow_to_roots(state_map, a, np.zeros((9, 0)), box, 0.1, 1000, points)
    apart = np.linalg.norm(ends[:, None] - points, axis=-1)
    partner = np.where(arrived, apart.argmin(1), -1)
    assert (partner == -1).sum() == 1, "one of them is joined with a"
    assert (apart.min(1)[arrived] < 0.05).all()
    paired = np.flatnonzero(arrived)
    np.testing.assert_array_equal(partner[partner[paired]], paired)
    signs = np.sign(np.linalg.det(np.eye(2) - state_map.jacobian(points, np.zeros((9, 0)))))
    assert (signs[paired] == -signs[partner[paired]]).all()


def test_a_line_of_fixed_points_is_not_multiplied():
    """Each point of it would lead to others: what is not isolated is left to `marginal_manifolds`."""
    sheet = rs.FunctionMap(lambda x: x * [1.0, 1.0, 0.3], state_size=3, domain=(-1, 1))
    found = find_fixed_points(sheet, n_starts=20)
    assert len(found) <= 20, found.summary()


def test_a_budget_of_no_work_is_said():
    module = memory(orthogonal(3, 64), 1.5)
    found = find_fixed_points(module, n_starts=20, work_on=0.0)
    assert found.unseen.further.out_of_work
    assert "budget of work" in found.summary()


def test_the_seed_repeats_it():
    module = memory(orthogonal(2, 32), 1.5)
    one, two = (find_fixed_points(module, n_starts=40, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.points, two.points)
