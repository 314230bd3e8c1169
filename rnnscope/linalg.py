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
from functools import cache
from itertools import pairwise

import numpy as np
from jaxtyping import Complex, Float
from threadpoolctl import ThreadpoolController

# Below so many multiplications (batch * n**3), handing parts to the pool costs more than it saves.
WORTH_SPREADING = 2e7

_held: ContextVar[bool] = ContextVar("blas held to one thread", default=False)


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numpy's BLAS and LAPACK to one thread. The functions below do so themselves; a loop of matrix products
    around them enters this once."""
    if _held.get():  # asking the libraries costs as much as a small factorisation
        yield
        return
    token = _held.set(True)
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _held.reset(token)


def solve(
    matrices: Float[np.ndarray, "batch n n"], vectors: Float[np.ndarray, "batch n"]
) -> Float[np.ndarray, "batch n"]:
    """x with `matrices @ x = vectors`, one by one; NaN where a matrix is singular.

    Example:
        >>> import numpy as np
        >>> solve(np.array([[[2.0]], [[0.0]]]), np.array([[1.0], [1.0]]))
        array([[0.5],
               [nan]])
    """
    (found,) = _spread(lambda a, b: (np.linalg.solve(a, b[..., None])[..., 0],), (matrices, vectors))
    return found


def eigenvalues(matrices: Float[np.ndarray, "batch n n"]) -> Complex[np.ndarray, "batch n"]:
    """Eigenvalues, the largest modulus first; of a conjugate pair the one with positive imaginary part comes first.
    NaN where a matrix is not finite, or the iteration does not end."""
    (found,) = _spread(lambda a: (np.linalg.eigvals(a).astype(np.complex128),), (matrices,))
    # Rounded, so that the two of a pair tie and the second key decides.
    order = np.lexsort((-np.imag(found), -_round(np.abs(found))), axis=-1)
    return np.take_along_axis(found, order, -1)


def qr(
    matrices: Float[np.ndarray, "batch n k"],
) -> tuple[Float[np.ndarray, "batch n k"], Float[np.ndarray, "batch k k"]]:
    """The reduced QR factorisation, k <= n. The diagonal of R may have either sign."""
    q, r = _spread(lambda a: tuple(np.linalg.qr(a)), (matrices,))
    return q, r


def _spread(function: Callable[..., tuple[np.ndarray, ...]], arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """`function` over the batch, which all `arrays` have as their first axis."""
    batch, n = len(arrays[0]), arrays[0].shape[-2]
    parts = min(_n_workers(), batch) if batch * n**3 >= WORTH_SPREADING else 1
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
        scale = np.nanmax(np.where(np.isfinite(x), x, 0.0), axis=-1, keepdims=True, initial=0.0)
        return np.round(x / np.where(scale > 0, scale, 1.0), 10)


def _n_workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_n_workers(), thread_name_prefix="rnnscope-linalg")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_pool.cache_clear)
