"""Factorisations of batches: numpy's answers, whole batches even where one matrix is bad, spread or not."""

import os
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from rnnscope.numerics import linalg


@pytest.fixture(params=["in one part", "spread over threads"])
def batch(request, monkeypatch):
    monkeypatch.setattr(linalg, "WORTH_SPREADING", np.inf if request.param == "in one part" else 0)
    monkeypatch.setattr(linalg, "n_workers", lambda: 2)
    return np.random.default_rng(0).standard_normal((7, 5, 5))


def test_solve_eigenvalues_and_qr_agree_with_what_they_mean(batch):
    vectors = np.random.default_rng(1).standard_normal((7, 5))
    found = linalg.solve(batch, vectors)
    np.testing.assert_allclose(np.einsum("bij,bj->bi", batch, found), vectors, atol=1e-10)

    values = linalg.eigenvalues(batch)
    np.testing.assert_allclose(np.prod(values, 1), np.linalg.det(batch), rtol=1e-10)
    assert (np.diff(np.abs(values), axis=1) < 1e-9).all(), "the largest modulus comes first"

    q, r = linalg.qr(batch[:, :, :3])
    assert q.shape == (7, 5, 3)
    np.testing.assert_allclose(q @ r, batch[:, :, :3], atol=1e-12)
    np.testing.assert_allclose(q.swapaxes(1, 2) @ q, np.broadcast_to(np.eye(3), (7, 3, 3)), atol=1e-12)


def test_solve_takes_several_columns(batch):
    columns = np.random.default_rng(1).standard_normal((7, 5, 2))
    found = linalg.solve(batch, columns)
    np.testing.assert_allclose(batch @ found, columns, atol=1e-10)
    np.testing.assert_allclose(found[..., 1], linalg.solve(batch, columns[..., 1]), atol=1e-12)


def test_eigenvectors_are_right_and_left_ones_in_the_order_of_the_eigenvalues(batch):
    values, right, left = linalg.eigenvectors(batch)
    np.testing.assert_allclose(values, linalg.eigenvalues(batch), atol=1e-12)
    np.testing.assert_allclose(batch @ right, right * values[:, None], atol=1e-12)
    np.testing.assert_allclose(
        left.conj().swapaxes(1, 2) @ batch, (left * values.conj()[:, None]).conj().swapaxes(1, 2), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.norm(right, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1)


def test_left_vectors_of_repeated_eigenvalues_belong_to_the_right_ones():
    basis = np.random.default_rng(2).standard_normal((6, 6))
    matrix = basis @ np.diag([2.0, 2.0, 2.0, 1.0, 1.0, 0.5]) @ np.linalg.inv(basis)
    _, right, left = linalg.eigenvectors(matrix[None])
    products = left[0].conj().T @ right[0]
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-9)
    assert (np.abs(np.diag(products)) > 1e-3).all()
    _, right, left = linalg.eigenvectors(np.array([[[1.0, 1.0], [0.0, 1.0]]]))
    assert np.isfinite(left).all()
    assert np.abs(np.einsum("bij,bij->bj", left.conj(), right)).max() < 1e-8, "a Jordan block has no such pairs"


def test_left_vectors_survive_a_matrix_far_from_normal():
    """Upper triangular, with a basis of eigenvectors that is all but singular."""
    matrix = np.diag(np.linspace(0.9, 0.1, 12)) + np.triu(np.full((12, 12), 5.0), 1)
    values, right, left = linalg.eigenvectors(matrix[None])
    assert np.linalg.cond(right[0]) > 1e12
    np.testing.assert_allclose(left[0].conj().T @ matrix, (left[0] * values[0].conj()).conj().T, atol=1e-10)


def test_svd_agrees_with_what_it_means(batch):
    u, s, vt = linalg.svd(batch[:, :, :3])
    np.testing.assert_allclose((u * s[:, None]) @ vt, batch[:, :, :3], atol=1e-12)
    assert u.shape == (7, 5, 3)
    assert vt.shape == (7, 3, 3)
    assert (np.diff(s, axis=1) <= 0).all()


@pytest.mark.parametrize("bad", [[0], [3], [0, 1, 6], list(range(7))])
def test_a_singular_matrix_leaves_the_others_alone(batch, bad):
    batch[bad] = 0.0
    vectors = np.ones((7, 5))
    found = linalg.solve(batch, vectors)
    good = np.setdiff1d(np.arange(7), bad)
    assert np.isnan(found[bad]).all()
    np.testing.assert_allclose(np.einsum("bij,bj->bi", batch[good], found[good]), vectors[good], atol=1e-10)


def test_a_matrix_that_is_not_finite_leaves_the_others_alone(batch):
    batch[2, 0, 0] = np.nan
    values = linalg.eigenvalues(batch)
    assert np.isnan(values[2]).all()
    assert np.isfinite(np.delete(values, 2, 0)).all()
    for part in linalg.eigenvectors(batch):
        assert np.isnan(part[2]).all()
        assert np.isfinite(np.delete(part, 2, 0)).all()


def test_conjugate_pairs_come_with_the_positive_part_first():
    turn = np.array([[[0.0, -1.0], [1.0, 0.0]]])
    np.testing.assert_allclose(linalg.eigenvalues(turn), [[1j, -1j]], atol=1e-12)


def test_an_empty_batch_is_answered():
    assert linalg.solve(np.empty((0, 3, 3)), np.empty((0, 3))).shape == (0, 3)
    assert linalg.eigenvalues(np.empty((0, 3, 3))).shape == (0, 3)


def test_blas_is_held_to_one_thread_and_let_go_again():
    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    with linalg.one_thread(), linalg.one_thread():
        assert set(threads()) == {1}
    assert threads() == before


def test_scipys_own_blas_and_torch_are_held_too():
    code = (
        "from rnnscope.numerics import linalg\n"
        "import numpy, torch\n"
        "from threadpoolctl import threadpool_info\n"
        "with linalg.one_thread():\n"
        "    import scipy.linalg\n"
        "    print({each['num_threads'] for each in threadpool_info() if each['user_api'] == 'blas'})\n"
        "    print(torch.get_num_threads())\n"
        "print(torch.get_num_threads())\n"
    )
    two = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=two, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["{1}", "1", "2"], done.stdout


@pytest.mark.parametrize(("n", "k"), [(4, 4), (7, 2), (40, 40), (60, 9)])
def test_a_lower_factor_spans_what_the_columns_do_and_leaves_a_triangle(n, k):
    given = np.random.default_rng(0).normal(size=(3, n, k))
    given[..., 1:] += 1e5 * given[..., :1]  # columns that are nearly parallel
    before = given.copy()
    x, diagonal = linalg.lower_factor(given)
    np.testing.assert_array_equal(given, before)
    upper = np.linalg.lstsq(x[1], given[1], rcond=None)[0]
    np.testing.assert_allclose(np.diagonal(upper), diagonal[1], rtol=1e-6)
    np.testing.assert_allclose(np.tril(upper, -1), 0, atol=1e-7)
    assert np.abs(x).max() <= 1 + 1e-12
    assert np.linalg.cond(x).max() < 10 * n
    # What X is short of being orthonormal makes up the difference to QR.
    q_r = np.abs(np.diagonal(np.linalg.qr(given)[1], axis1=1, axis2=2))
    np.testing.assert_allclose(np.abs(diagonal * linalg.r_diagonal(x)), q_r, rtol=1e-6)


def test_a_lower_factor_of_a_singular_matrix_is_whole_and_that_of_a_broken_one_stands_alone():
    given = np.random.default_rng(0).normal(size=(3, 30, 30))
    given[0, :, 4] = given[0, :, 3]
    given[1, 2, 2] = np.nan
    x, diagonal = linalg.lower_factor(given)
    assert abs(diagonal[0, 4]) < 1e-13
    assert np.linalg.matrix_rank(x[0]) == 30
    assert np.isnan(diagonal[1]).any()
    assert np.isfinite(x[2]).all()


def test_diagonals_of_r_and_singular_values():
    given = np.random.default_rng(0).normal(size=(4, 9, 5))
    r = np.linalg.qr(given)[1]
    np.testing.assert_allclose(np.abs(linalg.r_diagonal(given)), np.abs(np.diagonal(r, axis1=1, axis2=2)), rtol=1e-12)
    np.testing.assert_allclose(linalg.singular_values(given), np.linalg.svd(given)[1], rtol=1e-12)


@pytest.mark.parametrize("n", [5, 40])
def test_factors_solve_with_any_of_their_matrices_as_often_as_wanted(n, monkeypatch):
    rng = np.random.default_rng(0)
    matrices, vectors, which = rng.standard_normal((6, n, n)), rng.standard_normal((20, n)), rng.integers(0, 6, 20)
    for worth in (np.inf, 0):
        monkeypatch.setattr(linalg, "WORTH_SPREADING", worth)
        monkeypatch.setattr(linalg, "n_workers", lambda: 2)
        factors = linalg.factorise(matrices.copy())
        for _ in range(2):
            found = factors.solve(vectors, which)
            np.testing.assert_allclose(np.einsum("vij,vj->vi", matrices[which], found), vectors, atol=1e-9)
        assert factors.solve(vectors[:0], which[:0]).shape == (0, n)


@pytest.mark.parametrize("n", [5, 40])
def test_a_singular_matrix_spoils_only_what_is_solved_with_it(n):
    matrices = np.stack([np.eye(n), np.zeros((n, n)), 2 * np.eye(n)])
    found = linalg.factorise(matrices).solve(np.ones((3, n)), np.arange(3))
    assert not np.isfinite(found[1]).any()
    np.testing.assert_allclose(found[[0, 2]], [[1.0] * n, [0.5] * n])


def test_threads_share_no_row_exchanges(monkeypatch):
    """scipy changes them in place while it solves: shared, they sent LAPACK to rows that there are not."""
    import scipy.linalg

    rng = np.random.default_rng(0)
    matrices, vectors = rng.standard_normal((1, 30, 30)), rng.standard_normal((40, 30))
    factors, given = linalg.factorise(matrices.copy()), []
    real = scipy.linalg.get_lapack_funcs

    def watched(names, arrays):
        (substitute,) = real(names, arrays)

        def call(matrix, exchanges, vector, trans):
            given.append(exchanges)
            return substitute(matrix, exchanges, vector, trans=trans)

        return (call,)

    monkeypatch.setattr(scipy.linalg, "get_lapack_funcs", watched)
    found = factors.solve(vectors, np.zeros(40, np.int64))
    np.testing.assert_allclose(found @ matrices[0].T, vectors, atol=1e-10)
    assert len(given) == 40
    assert not any(np.shares_memory(each, factors.exchanges) for each in given)
