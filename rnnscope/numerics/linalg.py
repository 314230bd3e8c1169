"""Batches of small dense problems in float64: LAPACK on one thread, the batch spread over a thread pool.

A factorisation of a small matrix is slower on several threads than on one, and torch's batched ones can hang there.
Here every matrix is factorised by numpy on one thread, and where the batch is worth it, its parts run side by side
(numpy lets go of the interpreter meanwhile). A matrix that cannot be factorised gives NaN in its own place, and
leaves the rest of the batch alone.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float, Integer
from threadpoolctl import ThreadpoolController

# Below so many multiplications (batch * n**3), handing parts to the pool costs more than it saves.
WORTH_SPREADING = 2e7
# Matrices with fewer rows are factorised in one call for the whole batch.
WORTH_ELIMINATING = 24
# Eigenvalues are equal when they differ by less than this part of the largest.
SAME = 1e-9

_held: ContextVar[bool] = ContextVar("blas held to one thread", default=False)


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numpy's BLAS and LAPACK, and torch, to one thread. The functions below do so themselves; a loop of matrix
    products around them enters this once. (On a busy machine two threads of torch wait for each other at every small
    product: ten times as long.)"""
    if _held.get():  # asking the libraries costs as much as a small factorisation
        yield
        return
    token, threads = _held.set(True), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)
        _held.reset(token)


def solve(
    matrices: Float[np.ndarray, "batch n n"], vectors: Float[np.ndarray, "batch n *columns"]
) -> Float[np.ndarray, "batch n *columns"]:
    """x with `matrices @ x = vectors`, one by one; NaN where a matrix is singular. One vector for each matrix, or
    several as columns.

    Example:
        >>> import numpy as np
        >>> solve(np.array([[[2.0]], [[0.0]]]), np.array([[1.0], [1.0]]))
        array([[0.5],
               [nan]])
    """
    columns = vectors if vectors.ndim == 3 else vectors[..., None]
    (found,) = _spread(lambda a, b: (np.linalg.solve(a, b),), (matrices, columns))
    return found.reshape(vectors.shape)


def factorise(matrices: Float[np.ndarray, "batch n n"]) -> "Factors":
    """The matrices, ready to solve with again and again. They are overwritten, where that saves a copy.

    Example:
        >>> import numpy as np
        >>> factors = factorise(np.array([[[2.0]], [[4.0]]]))
        >>> factors.solve(np.array([[1.0], [1.0], [2.0]]), np.array([0, 1, 1]))
        array([[0.5 ],
               [0.25],
               [0.5 ]])
    """
    batch, n, _ = matrices.shape
    if n < WORTH_ELIMINATING:
        (inverses,) = _spread(lambda a: (np.linalg.inv(a),), (matrices,))
        return Factors(inverses, None)
    exchanges = np.empty((batch, n), np.int32)
    matrices = np.ascontiguousarray(matrices)
    _spread(_decompose, (matrices, exchanges))
    return Factors(matrices, exchanges)


@dataclass(frozen=True)
class Factors:
    """LU factors with their row exchanges; inverses, and None, where the matrices are small."""

    matrices: Float[np.ndarray, "batch n n"]
    exchanges: Integer[np.ndarray, "batch n"] | None

    def solve(
        self, vectors: Float[np.ndarray, "vector n"], which: Integer[np.ndarray, " vector"]
    ) -> Float[np.ndarray, "vector n"]:
        """For each vector, x with `matrices[which] @ x = vector`; not finite where that matrix is singular."""
        if self.exchanges is None:
            return (self.matrices[which] @ vectors[..., None])[..., 0]
        found = np.empty_like(vectors)
        # Memory bounds this, not arithmetic: as long as that many times the multiplications of a factorisation.
        work = 10.0 * vectors.size * vectors.shape[-1]
        _spread(partial(_substitute, self.matrices, self.exchanges), (found, vectors, which), work)
        return found


def _substitute(
    factors: np.ndarray, exchanges: np.ndarray, found: np.ndarray, vectors: np.ndarray, which: np.ndarray
) -> tuple[()]:
    from scipy.linalg import get_lapack_funcs

    (substitute,) = get_lapack_funcs(("getrs",), (factors,))
    for k, i in enumerate(which.tolist()):
        # scipy counts the exchanges up by one and down again, in place: two threads must not share them.
        found[k] = substitute(factors[i].T, exchanges[i].copy(), vectors[k], trans=1)[0]
    return ()


def _decompose(matrices: np.ndarray, exchanges: np.ndarray) -> tuple[()]:
    from scipy.linalg import get_lapack_funcs

    (eliminate,) = get_lapack_funcs(("getrf",), (matrices,))
    for i, matrix in enumerate(matrices):  # transposed, as LAPACK takes them in place
        exchanges[i] = eliminate(matrix.T, overwrite_a=True)[1]
    return ()


def eigenvalues(matrices: Float[np.ndarray, "batch n n"]) -> Complex[np.ndarray, "batch n"]:
    """Eigenvalues, the largest modulus first; of equal ones that with the largest imaginary part comes first, then that
    with the largest real part. NaN where a matrix is not finite, or the iteration does not end."""
    (found,) = _spread(lambda a: (np.linalg.eigvals(a).astype(np.complex128),), (matrices,))
    return np.take_along_axis(found, _order(found), -1)


def eigenvectors(
    matrices: Float[np.ndarray, "batch n n"],
) -> tuple[Complex[np.ndarray, "batch n"], Complex[np.ndarray, "batch n n"], Complex[np.ndarray, "batch n n"]]:
    """(eigenvalues in the order of `eigenvalues`, right and left eigenvectors as columns, each of length 1).

    `A r = λ r` and `l^H A = λ l^H`. Both come from LAPACK's geev: inverting the right vectors would lose the left ones
    of a matrix far from normal. Where an eigenvalue is repeated and has as many eigenvectors, the left ones are those
    that belong to the right ones, `l_i^H r_j = 0` for i ≠ j; where it has fewer (a defective one), they are as LAPACK
    gives them. NaN as in `eigenvalues`.
    """
    values, right, left = _spread(_eig, (matrices,))
    order = _order(values)
    right, left = (np.take_along_axis(vectors, order[:, None], -1) for vectors in (right, left))
    return np.take_along_axis(values, order, -1), right, left


def svd(
    matrices: Float[np.ndarray, "batch n m"],
) -> tuple[Float[np.ndarray, "batch n k"], Float[np.ndarray, "batch k"], Float[np.ndarray, "batch k m"]]:
    """The reduced singular value decomposition U, s, V^T, k = min(n, m), the largest value first."""
    u, s, vt = _spread(lambda a: tuple(np.linalg.svd(a, full_matrices=False)), (matrices,))
    return u, s, vt


def singular_values(matrices: Float[np.ndarray, "batch n m"]) -> Float[np.ndarray, "batch k"]:
    """The singular values alone, k = min(n, m), the largest first; a third of the time of `svd`."""
    (found,) = _spread(lambda a: (np.linalg.svd(a, compute_uv=False),), (matrices,))
    return found


def qr(
    matrices: Float[np.ndarray, "batch n k"],
) -> tuple[Float[np.ndarray, "batch n k"], Float[np.ndarray, "batch k k"]]:
    """The reduced QR factorisation, k <= n. The diagonal of R may have either sign."""
    q, r = _spread(lambda a: tuple(np.linalg.qr(a)), (matrices,))
    return q, r


def r_diagonal(matrices: Float[np.ndarray, "batch n k"]) -> Float[np.ndarray, "batch k"]:
    """The diagonal of R in the QR factorisation, k <= n, of either sign, in less than half the time."""

    def diagonal(a: np.ndarray) -> tuple[np.ndarray]:
        return (np.diagonal(np.linalg.qr(a, mode="raw")[0], axis1=-2, axis2=-1).copy(),)

    (found,) = _spread(diagonal, (matrices,))
    return found


def lower_factor(
    matrices: Float[np.ndarray, "batch n k"], overwrite: bool = False
) -> tuple[Float[np.ndarray, "batch n k"], Float[np.ndarray, "batch k"]]:
    """X and the diagonal of U with `matrices = X U`, k <= n, where U is upper triangular and X well conditioned.

    The first j columns of X span what those of the matrix do, for every j, as in a QR factorisation. Where only that
    matters, this is several times faster: Gaussian elimination with row exchanges, X being a unit lower triangle with
    its rows exchanged, entries of modulus 1 at most. (For small matrices X is Q.) The columns of X lie one after
    another in memory. NaN where a matrix is not finite. With `overwrite` X may take the place of the matrices.
    """
    batch, n, k = matrices.shape
    if n < WORTH_ELIMINATING:
        q, r = qr(matrices)
        return q, np.diagonal(r, axis1=-2, axis2=-1)
    columns = np.array(matrices.swapaxes(-1, -2), np.float64, order="C", copy=None if overwrite else True)
    diagonal = np.empty((batch, k))
    _spread(_eliminate, (columns, diagonal), work=batch * n * k * k / 8)
    return columns.swapaxes(-1, -2), diagonal


def _eliminate(columns: np.ndarray, diagonal: np.ndarray) -> tuple[()]:
    from scipy.linalg import get_lapack_funcs

    eliminate, exchange = get_lapack_funcs(("getrf", "laswp"), (columns,))
    above = np.triu(np.ones(columns.shape[1:]), 1)
    for matrix, pivots in zip(columns, diagonal, strict=True):  # one at a time, while it is in the cache
        rows = eliminate(matrix.T, overwrite_a=True)[1]
        pivots[:] = matrix.diagonal()
        matrix *= above
        np.fill_diagonal(matrix, 1)
        exchange(matrix.T, rows, inc=-1, overwrite_a=True)
    return ()


def _order(values: np.ndarray) -> np.ndarray:
    # Rounded, so that those of equal modulus tie and the next key decides: the two of a pair, r and -r, roots of unity.
    return np.lexsort((-np.real(values), -np.imag(_round(values)), -_round(np.abs(values))), axis=-1)


def _eig(matrices: np.ndarray) -> tuple[np.ndarray, ...]:
    from scipy import linalg

    if not np.isfinite(matrices).all():  # LAPACK itself may never come back from these
        raise np.linalg.LinAlgError("a matrix is not finite")
    batch, n, _ = matrices.shape
    values = np.empty((batch, n), np.complex128)
    right, left = np.empty((2, batch, n, n), np.complex128)
    for i, matrix in enumerate(matrices):
        found: Any = linalg.eig(matrix, left=True, right=True, check_finite=False)
        values[i], left[i], right[i] = found
        _pair_repeated(values[i], left[i], right[i])
    return values, right, left


def _pair_repeated(values: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Within each group of equal eigenvalues, make the left vectors those that belong to the right ones, in place."""
    close = np.abs(values[:, None] - values) <= SAME * np.abs(values).max(initial=0.0)
    done = np.zeros(len(values), bool)
    for i in np.flatnonzero(close.sum(1) > 1):
        if done[i]:
            continue
        group = np.flatnonzero(close[i])
        done[group] = True
        products = left[:, group].conj().T @ right[:, group]
        if np.linalg.cond(products) < 1 / SAME:
            paired = left[:, group] @ np.linalg.inv(products).conj().T
            left[:, group] = paired / np.linalg.norm(paired, axis=0)


def _spread(
    function: Callable[..., tuple[np.ndarray, ...]], arrays: tuple[np.ndarray, ...], work: float | None = None
) -> tuple[np.ndarray, ...]:
    """`function` over the batch, which all `arrays` have as their first axis; `work` in multiplications, that of
    factorising if None."""
    batch = len(arrays[0])
    worth = (batch * arrays[0].shape[-2] ** 3 if work is None else work) >= WORTH_SPREADING
    parts = min(n_workers(), batch) if worth else 1
    with one_thread():
        if parts <= 1:
            return _each(function, arrays)
        edges = np.linspace(0, batch, parts + 1).astype(int)
        pieces = [tuple(a[i:j] for a in arrays) for i, j in pairwise(edges)]
        found = list(_pool().map(lambda piece: _each(function, piece), pieces))
    return tuple(np.concatenate(same) for same in zip(*found, strict=True))


def _each(function: Callable[..., tuple[np.ndarray, ...]], arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """numpy gives up a whole batch for one bad matrix: halve the batch until the bad one stands alone."""
    try:
        return function(*arrays)
    except np.linalg.LinAlgError:
        batch = len(arrays[0])
        if batch > 1:
            halves = (
                _each(function, tuple(a[: batch // 2] for a in arrays)),
                _each(function, tuple(a[batch // 2 :] for a in arrays)),
            )
            return tuple(np.concatenate(same) for same in zip(*halves, strict=True))
        # The shapes of the answer, from a matrix that can be factorised.
        n, k = arrays[0].shape[-2:]
        like = function(np.eye(n, k)[None], *(np.zeros_like(a) for a in arrays[1:]))
        return tuple(np.full_like(part, np.nan) for part in like)


def _round(x: np.ndarray) -> np.ndarray:
    """To 10 digits of each row's largest."""
    with np.errstate(invalid="ignore"):
        scale = np.nanmax(np.where(np.isfinite(x), np.abs(x), 0.0), axis=-1, keepdims=True, initial=0.0)
        return np.round(x / np.where(scale > 0, scale, 1.0), 10)


def n_workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401 - it brings a BLAS of its own, and only what is loaded by now is held

    return ThreadpoolController()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_workers(), thread_name_prefix="rnnscope-linalg")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_pool.cache_clear)
