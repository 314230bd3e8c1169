"""Distances between states and between dynamics, against their definitions and against closed forms."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize

from rnnscope.analyses.comparison.similarity import (
    conjugation_distance,
    debiased_cka,
    debiased_kernel_cka,
    delay_coordinates,
    fitted_dynamics,
    procrustes_distance,
)

RNG = np.random.default_rng(0)


def orthogonal(n, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def test_procrustes_is_blind_to_rotation_size_and_place_and_to_nothing_else():
    x = RNG.standard_normal((200, 6))
    assert procrustes_distance(x, 3 * x @ orthogonal(6) + 5) < 1e-6
    assert procrustes_distance(x, np.concatenate([x, np.zeros((200, 3))], 1) @ orthogonal(9)) < 1e-6
    stretched = x * [3, 1, 1, 1, 1, 1]
    found = procrustes_distance(x, stretched)
    assert found > 0.3
    assert procrustes_distance(stretched, x) == pytest.approx(found), "symmetric"


def test_procrustes_of_ellipses_in_closed_form():
    """Axes (1, 1) and (1, r) of one circle: the cosine is (1 + r) / sqrt(2 (1 + r^2))."""
    turn = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    for r in (0.0, 0.3, 2.0):
        wanted = np.arccos((1 + r) / np.sqrt(2 * (1 + r**2)))
        assert procrustes_distance(circle, circle * [1, r]) == pytest.approx(wanted, abs=1e-7)


def test_cka_is_that_of_the_kernels():
    """Unbiased HSIC by its definition, from n x n kernels without their diagonals (Song et al. 2012, equation 5)."""
    x, y = RNG.standard_normal((30, 5)), RNG.standard_normal((30, 7))
    y[:, :2] += x[:, :2]

    def hsic(a, b):
        n = len(a)
        k, m = (z @ z.T for z in (a - a.mean(0), b - b.mean(0)))
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        one = np.ones(n)
        middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + middle - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))

    assert debiased_cka(x, y) == pytest.approx(hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y)))


def test_cka_of_copies_is_one_and_of_independent_states_zero_on_average():
    x = RNG.standard_normal((60, 40))
    assert debiased_cka(x, 2 * x @ orthogonal(40) + 1) == pytest.approx(1)
    values = [debiased_cka(*np.random.default_rng(seed).standard_normal((2, 60, 40))) for seed in range(100)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 10, "biased CKA would be near .4 here"


def test_kernel_cka_is_that_of_gaussian_kernels_as_wide_as_the_median_distance():
    """Unbiased HSIC as the mean of a fourth-order kernel over all ordered quadruples of different points."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((7, 3))
    y = np.tanh(x @ rng.standard_normal((3, 4)))

    def kernel(z):
        apart = np.linalg.norm(z[:, None] - z, axis=2)
        return np.exp(-(apart**2) / (2 * np.median(apart[np.triu_indices(7, 1)]) ** 2))

    def hsic(k, m):
        every = permutations(range(7), 4)
        return np.mean([k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in every])

    k, m = kernel(x), kernel(y)
    wanted = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert debiased_kernel_cka(x, y) == pytest.approx(wanted)
    assert debiased_kernel_cka(x, 3 * x @ orthogonal(3) + 1) == pytest.approx(1)
    apart = [debiased_kernel_cka(*np.random.default_rng(seed).standard_normal((2, 40, 20))) for seed in range(60)]
    assert abs(np.mean(apart)) < 4 * np.std(apart) / np.sqrt(60), "0 on average for independent states"


def test_a_small_procrustes_angle_keeps_its_digits():
    """Axes (1, 1) and (1, 1 + e) of a circle are e / 2 apart; the arccos of the overlap would round it to 0."""
    turn = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    assert procrustes_distance(circle, circle * [1, 1 + 1e-9]) == pytest.approx(5e-10, rel=1e-5)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_conjugate_matrices_are_at_distance_zero(n):
    for seed in range(4):
        a = np.random.default_rng(seed).standard_normal((n, n))
        turn = orthogonal(n, seed)
        found, share = conjugation_distance(a, turn @ a @ turn.T)
        assert found < 1e-9 * np.linalg.norm(a)
        assert share > 0


@pytest.mark.parametrize("n", [3, 8])
def test_symmetric_matrices_are_as_far_apart_as_their_eigenvalues(n):
    """Hoffman and Wielandt (1953): the least is reached where both are diagonal in the same order."""
    for seed in range(4):
        a, b = np.random.default_rng(seed).standard_normal((2, n, n))
        a, b = a + a.T, b + b.T
        wanted = np.linalg.norm(np.linalg.eigvalsh(a) - np.linalg.eigvalsh(b))
        assert conjugation_distance(a, b)[0] == pytest.approx(wanted)


def test_rotations_by_two_angles_in_closed_form():
    """No orthogonal C changes the angle of a rotation but for its sense: the distance is 2 sqrt(1 - cos(a - b))."""

    def turn(angle):
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    for a, b in ((0.3, 1.1), (0.2, -0.2), (1.0, -2.0)):
        found, _ = conjugation_distance(turn(a), turn(b))
        assert found == pytest.approx(2 * np.sqrt(1 - np.cos(abs(a) - abs(b))), abs=1e-7)


def test_all_rotations_and_reflections_of_a_plane_are_not_better():
    angles = np.linspace(0, 2 * np.pi, 20001)
    c, s = np.cos(angles), np.sin(angles)
    turns = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    every = np.concatenate([turns, turns * [1, -1]])
    for seed in range(6):
        a, b = np.random.default_rng(seed).standard_normal((2, 2, 2))
        wanted = np.linalg.norm(a - every @ b @ every.swapaxes(1, 2), axis=(1, 2)).min()
        assert conjugation_distance(a, b)[0] == pytest.approx(wanted, abs=1e-6)
    a, b = np.random.default_rng(5).standard_normal((2, 3, 3))
    many = np.linalg.qr(np.random.default_rng(6).standard_normal((100000, 3, 3)))[0]
    tried = np.linalg.norm(a - many @ b @ many.swapaxes(1, 2), axis=(1, 2)).min()
    assert tried - 0.2 < conjugation_distance(a, b)[0] <= tried


def test_no_descent_from_many_starts_finds_less():
    """BFGS with slopes by differences, over Cayley's transform of S, a rotation, and a reflection of it."""
    rows, columns = np.tril_indices(4, -1)

    apart = np.concatenate([np.zeros((1, 6)), 1e-8 * np.eye(6)])

    def cost_and_slope(s, a, b, mirror):
        skew = np.zeros((7, 4, 4))  # at s, and a little beside it along each axis, all at once
        skew[:, rows, columns] = s + apart
        skew -= skew.swapaxes(1, 2).copy()
        turn = np.linalg.solve(np.eye(4) - skew, np.eye(4) + skew) * mirror
        cost = ((a - turn @ b @ turn.swapaxes(1, 2)) ** 2).sum((1, 2))
        return cost[0], (cost[1:] - cost[0]) / 1e-8

    a, b = np.random.default_rng(7).standard_normal((2, 2, 4, 4))
    found, share = conjugation_distance(a, b, n_restarts=30)
    assert found.shape == share.shape == (2,)
    for k in range(2):
        starts = np.random.default_rng(8).standard_normal((10, 6))
        mirrors = ([1, 1, 1, 1], [-1, 1, 1, 1])
        ends = [minimize(cost_and_slope, s, (a[k], b[k], mirrors[i % 2]), jac=True) for i, s in enumerate(starts)]
        least = min(end.fun for end in ends)
        assert found[k] <= np.sqrt(least) + 1e-6, f"pair {k}: a descent by another method ended lower"
        # 32 starts against 10: the least of both is the same unless one of them has missed it.
        assert found[k] == pytest.approx(np.sqrt(least), abs=1e-5), f"pair {k}"


def test_a_disturbed_copy_is_no_farther_than_the_disturbance():
    """|A - C (C^T A C + E) C^T| = |E| for the C that is known: the search may not leap out of that basin. This is what
    the noise floor is made of."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        a = rng.standard_normal((10, 10)) / np.sqrt(10)
        turn, disturbed = orthogonal(10, seed), 0.01 * rng.standard_normal((10, 10))
        found, _ = conjugation_distance(a, turn.T @ a @ turn + disturbed, n_restarts=0)
        assert found <= np.linalg.norm(disturbed), f"seed {seed}"


def test_many_pairs_at_once_are_as_far_apart_as_one_by_one():
    a, b = np.random.default_rng(9).standard_normal((2, 2, 3, 5, 5))
    found = np.stack(conjugation_distance(a, b, seed=3))
    alone = [
        [conjugation_distance(x, y, seed=3) for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(found, np.moveaxis(np.array(alone), 2, 0), rtol=1e-6)


def test_delay_coordinates_of_a_linear_system_have_its_eigenvalues():
    """Seen through one number alone, two delays bring the whole state back (Takens)."""
    matrix = np.array([[0.9, -0.4, 0.0], [0.4, 0.9, 0.1], [0.0, 0.0, 0.7]])
    states = np.empty((40, 25, 3))
    states[:, 0] = RNG.standard_normal((40, 3))
    for t in range(1, 25):
        states[:, t] = states[:, t - 1] @ matrix.T
    seen = states @ [[1.0], [0.3], [0.5]]
    before, after, _ = delay_coordinates(seen, np.ones((40, 25), bool), 2)
    assert before.shape == (40 * 22, 3)
    both = np.concatenate([before, after[-1:]])
    assert both.std() == pytest.approx(1, abs=0.1)
    fitted, explained = fitted_dynamics(before, after, 3)
    assert explained == pytest.approx(1)
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(fitted)), np.sort_complex(np.linalg.eigvals(matrix)))


def test_steps_across_the_end_of_a_trial_do_not_count():
    states = RNG.standard_normal((3, 10, 4))
    valid = np.arange(10) < np.array([10, 6, 2])[:, None]
    states[~valid] = np.nan
    before, after, _ = delay_coordinates(np.nan_to_num(states, nan=1e6), valid, 1)
    assert len(before) == len(after) == 8 + 4
    assert np.abs(before).max() < 20, "padding is not looked at"
    with pytest.raises(ValueError, match="no trial has the 12 steps that 10 delays"):
        delay_coordinates(states, valid, 10)
