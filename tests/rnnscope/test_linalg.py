"""Factorisations of batches: numpy's answers, whole batches even where one matrix is bad, spread or not."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from rnnscope import linalg


@pytest.fixture(params=["in one part", "spread over threads"])
def batch(request, monkeypatch):
    monkeypatch.setattr(linalg, "WORTH_SPREADING", np.inf if request.param == "in one part" else 0)
    monkeypatch.setattr(linalg, "_n_workers", lambda: 2)
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
