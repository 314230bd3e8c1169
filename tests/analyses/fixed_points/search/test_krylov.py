"""Approximate inverses from products with the Jacobian, beside the matrices that they stand for."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.fixed_points.search.krylov import damped_steps, subspaces

N = 40
RNG = np.random.default_rng(0)


def linear(matrices):
    """A map whose Jacobian at a state is the matrix that its first number counts."""
    return rs.FunctionMap(
        lambda x: x, jacobian=lambda x: matrices[x[..., 0].astype(int)], state_size=matrices.shape[-1]
    )


def states(n):
    at = np.zeros((n, N))
    at[:, 0] = np.arange(n)
    return at, np.empty((n, 0))


def test_with_a_whole_basis_it_is_the_inverse():
    matrices = RNG.normal(0, 1 / np.sqrt(N), (3, N, N))
    shift = np.array([1.0, 1.5, 2.0])
    found = subspaces(linear(matrices), *states(3), RNG.normal(size=(3, N)), shift, 0.0, N)
    vectors, which = RNG.normal(size=(8, N)), RNG.integers(0, 3, 8)
    solved = found.solve(vectors, which)
    shifted = matrices - shift[:, None, None] * np.eye(N)
    np.testing.assert_allclose(np.einsum("vij,vj->vi", shifted[which], solved), vectors, atol=1e-8)


@pytest.mark.parametrize("tolerance", [0.3, 1e-2, 1e-4])
def test_the_system_it_was_made_for_is_solved_to_the_tolerance(tolerance):
    matrices = RNG.normal(0, 0.8 / np.sqrt(N), (4, N, N))
    right = RNG.normal(size=(4, N))
    found = subspaces(linear(matrices), *states(4), right, np.ones(4), tolerance, N)
    assert found.enough
    solved = found.solve(right, np.arange(4))
    left = np.einsum("vij,vj->vi", matrices - np.eye(N), solved) - right
    # For most of them: `ENOUGH`.
    assert (np.linalg.norm(left, axis=1) <= 1.001 * tolerance * np.linalg.norm(right, axis=1)).mean() >= 0.75
    assert found.basis.shape[1] < N
    np.testing.assert_allclose(
        found.basis @ found.basis.swapaxes(1, 2), np.tile(np.eye(found.basis.shape[1]), (4, 1, 1)), atol=1e-10
    )


def test_few_directions_beside_a_leak_take_few_vectors():
    directions = RNG.normal(size=(2, N, 3)) / np.sqrt(N)
    matrices = 0.9 * np.eye(N) + directions @ RNG.normal(size=(2, 3, N)) / np.sqrt(N)
    right = RNG.normal(size=(2, N))
    found = subspaces(linear(matrices), *states(2), right, np.ones(2), 1e-8, N)
    assert found.basis.shape[1] <= 6
    solved = found.solve(right, np.arange(2))
    np.testing.assert_allclose(np.einsum("vij,vj->vi", matrices - np.eye(N), solved), right, atol=1e-6)


def test_too_small_a_basis_says_so():
    matrices = RNG.normal(0, 3 / np.sqrt(N), (2, N, N))
    assert not subspaces(linear(matrices), *states(2), RNG.normal(size=(2, N)), np.ones(2), 1e-6, 4).enough


def test_damped_steps_are_those_of_the_normal_equations():
    matrices = RNG.normal(0, 1 / np.sqrt(N), (3, N, N))
    gradient, damping = RNG.normal(size=(3, N)), np.array([1e-2, 0.1, 10.0])
    found = damped_steps(linear(matrices), *states(3), gradient, damping, most=400, tolerance=1e-10)
    a = matrices - np.eye(N)
    normal = a.swapaxes(1, 2) @ a + damping[:, None, None] * np.eye(N)
    np.testing.assert_allclose(np.einsum("vij,vj->vi", normal, found), -gradient, atol=1e-8)


def test_where_products_are_not_finite_there_is_no_step_and_the_map_is_not_asked_about_nan():
    matrix = RNG.normal(0, 0.5 / np.sqrt(6), (6, 6))

    def beyond_1_is_nothing(x):
        assert np.isfinite(x).all(), "the map was asked about what is no number"
        return np.where(x[..., :1] > 1, np.nan, x @ matrix.T)

    at, gradient = np.eye(6)[:2] * [[0.5], [0.0]], RNG.normal(size=(2, 6))
    at[1, 0] = 1.0
    found = damped_steps(
        rs.FunctionMap(beyond_1_is_nothing, state_size=6),
        at,
        np.empty((2, 0)),
        gradient,
        np.full(2, 0.1),
        tolerance=1e-8,
    )
    a = matrix - np.eye(6)
    np.testing.assert_allclose((a.T @ a + 0.1 * np.eye(6)) @ found[0], -gradient[0], atol=1e-5)
    np.testing.assert_array_equal(found[1], 0.0)
