"""How alike are two sets of states, or two dynamics? Distances that no rotation of state space changes.

Procrustes: the angle between two shapes after the best rotation (Williams et al., NeurIPS 2021). CKA: how alike
the similarities between states are, linear or by a Gaussian kernel, without the bias of few states (Kornblith et al.,
ICML 2019; Song et al., JMLR 13, 2012). Dynamics: linear maps fitted to delay embeddings, compared after the best
rotation (dynamical similarity analysis; Ostrow et al., NeurIPS 2023).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.analyses.state_space.principal import principal_components
from rnnscope.numerics import linalg

FILLED = 1e-10  # share of the variance below which a direction counts as empty
MOST_UNITS = 50  # principal components of the states that go into a delay embedding
STEPS = 200  # of the search for the best rotation
# |S| that is trusted, at first and at most: a wider step leaps out of the basin in which the search starts, which for
# copies of one network is the right one.
RADIUS = 0.5
EXACT = 0.2  # share of the slope that a Newton step may leave
TINY = np.finfo(np.float64).tiny


def procrustes_distance(x: Float[np.ndarray, "point unit"], y: Float[np.ndarray, "point other"]) -> float:
    """The angle in radians, from 0 to π/2, between states of two networks at the same inputs, centred, scaled to the
    same size and rotated (or reflected) onto one another; the smaller set of units is filled up with zeros."""
    x, y = (centred / np.linalg.norm(centred) for centred in (x - x.mean(0), y - y.mean(0)))
    left, _, right = np.linalg.svd(x.T @ y)
    size = max(x.shape[1], y.shape[1])
    # By the chord: the arccos of an overlap near 1 has lost half of its digits.
    x, y = (np.pad(z, ((0, 0), (0, size - z.shape[1]))) for z in (x @ left, y @ right.T))
    return float(2 * np.arcsin(min(np.linalg.norm(x - y) / 2, 1.0)))


def debiased_cka(x: Float[np.ndarray, "point unit"], y: Float[np.ndarray, "point other"]) -> float:
    """Linear centred kernel alignment with the unbiased estimate of the kernels' dependence: 1 for states that are the
    same up to rotation and size, 0 on average for independent ones, and somewhat below 0 by chance."""
    norms = _dependence(x, x) * _dependence(y, y)
    return float(_dependence(x, y) / np.sqrt(norms)) if norms > 0 else 0.0


def _dependence(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased Hilbert-Schmidt criterion of the kernels x x^T and y y^T without their diagonals, never formed."""
    n = len(x)
    x, y = x - x.mean(0), y - y.mean(0)
    own = [(z**2).sum(1) for z in (x, y)]
    rows = [z @ z.sum(0) - square for z, square in zip((x, y), own, strict=True)]  # row sums of each kernel
    both = ((x.T @ y) ** 2).sum() - own[0] @ own[1]
    return both + rows[0].sum() * rows[1].sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (rows[0] @ rows[1])


def debiased_kernel_cka(x: Float[np.ndarray, "point unit"], y: Float[np.ndarray, "point other"]) -> float:
    """The same with Gaussian kernels, each as wide as the median distance between its states: similarities of near
    states count, those of far ones hardly do. It forms kernels of point x point numbers."""
    kernels = [_gaussian_kernel(z) for z in (x, y)]
    norms = _dependence_of_kernels(kernels[0], kernels[0]) * _dependence_of_kernels(kernels[1], kernels[1])
    return float(_dependence_of_kernels(*kernels) / np.sqrt(norms)) if norms > 0 else 0.0


def _gaussian_kernel(x: np.ndarray) -> Float[np.ndarray, "point point"]:
    from scipy.spatial.distance import pdist, squareform

    square = pdist(x, "sqeuclidean")
    width = np.median(square)
    # Where most states are one and the same, the others show how far is far.
    return squareform(np.exp(-square / (2 * (width or square.mean() or 1.0))))


def _dependence_of_kernels(k: np.ndarray, m: np.ndarray) -> float:
    """The unbiased Hilbert-Schmidt criterion of kernels whose diagonal is 0, up to a factor."""
    n, rows = len(k), (k.sum(0), m.sum(0))
    both = (k * m).sum() + rows[0].sum() * rows[1].sum() / ((n - 1) * (n - 2))
    return float(both - 2 / (n - 2) * (rows[0] @ rows[1]))


def delay_coordinates(
    states: Float[np.ndarray, "trial time unit"],
    valid: Bool[np.ndarray, "trial time"],
    n_delays: int,
    most: int | None = None,
) -> tuple[Float[np.ndarray, "pair kept"], Float[np.ndarray, "pair kept"], Float[np.ndarray, " kept"]]:
    """(before, after) a step: states with those of the `n_delays` steps before, in principal components of unit
    variance, as many as are filled, or the `most` largest; and the share of the variance that each held before it was
    scaled.

    Two linear systems that a change of basis makes one have the same coordinates up to a rotation.

    Raises:
        ValueError: no trial is longer than the delays.
    """
    principal = principal_components(states[valid])
    kept = principal.components[principal.ratio > FILLED][:MOST_UNITS]
    reduced = (states - principal.mean) @ kept.T
    n_steps = states.shape[1] - n_delays
    whole = valid[:, n_delays:] if n_steps > 0 else valid[:, :0]
    if not whole[:, 1:].any():
        raise ValueError(
            f"no trial has the {n_delays + 2} steps that {n_delays} delays and a step need: use fewer delays, or show "
            "longer trials"
        )
    embedded = np.concatenate([reduced[:, n_delays - k : n_delays - k + n_steps] for k in range(n_delays + 1)], 2)
    rows = principal_components(embedded[whole])
    filled = np.flatnonzero(rows.ratio > FILLED)[:most]
    coordinates = (embedded - rows.mean) @ (rows.components[filled] / np.sqrt(rows.variance[filled])[:, None]).T
    pairs = whole[:, 1:]
    return coordinates[:, :-1][pairs], coordinates[:, 1:][pairs], rows.ratio[filled]


def fitted_dynamics(
    before: Float[np.ndarray, "pair filled"], after: Float[np.ndarray, "pair filled"], rank: int
) -> tuple[Float[np.ndarray, "rank rank"], float]:
    """(the linear map of the first `rank` coordinates by least squares, the share of their variance it explains)."""
    x, y = (z[:, :rank] - z[:, :rank].mean(0) for z in (before, after))
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    return weights.T, float(1 - ((y - x @ weights) ** 2).sum() / (y**2).sum())


def conjugation_distance(
    a: Float[np.ndarray, "*pair n n"],
    b: Float[np.ndarray, "*pair n n"],
    *,
    n_restarts: int = 8,
    seed: int | Sequence[int] = 0,
) -> tuple[Float[np.ndarray, "*pair"], Float[np.ndarray, "*pair"]]:
    """The least |A - C B C^T| (Frobenius) over all orthogonal C, and the share of searches that end there.

    Newton steps on the orthogonal group, within a radius of trust (Absil, Baker and Gallivan, Found. Comput. Math. 7,
    2007), from the C that lays the eigenvectors of B on those of A in order, from the identity, and from random
    rotations and reflections; all searches for all pairs go side by side. There is no guarantee: the distance is an
    upper bound, and the share says how far to trust it.

    Example:
        >>> import numpy as np
        >>> distance, _ = conjugation_distance(np.diag([1.0, 2.0]), np.diag([2.0, 1.5]))
        >>> round(float(distance), 6)
        0.5
    """
    shape, n = a.shape[:-2], a.shape[-1]
    a, b = (z.reshape(-1, n, n) for z in (a, b))
    random = linalg.qr(np.random.default_rng(seed).standard_normal((n_restarts, n, n)))[0]
    # LAPACK's Q always has the same determinant, and no search gets from rotations to reflections.
    random[1::2, :, 0] *= -1.0
    rotations = np.stack([[_laid_on(x, y), np.eye(n), *random] for x, y in zip(a, b, strict=True)])
    turned = (rotations @ b[:, None] @ rotations.swapaxes(2, 3)).reshape(-1, n, n)
    aims = np.repeat(a, rotations.shape[1], axis=0)
    cost = ((aims - turned) ** 2).sum((1, 2))
    rounding = (1e-14 * np.linalg.norm(aims, axis=(1, 2))) ** 2
    radius = np.full(len(turned), RADIUS)
    active = np.arange(len(turned))
    for _ in range(STEPS):
        if not len(active):
            break
        aim, now = aims[active], turned[active]
        steps, hoped = _newton_steps(aim, now, radius[active])
        # Cayley's transform: orthogonal whatever the length of the step.
        moved = np.linalg.solve(np.eye(n) - steps / 2, np.eye(n) + steps / 2)
        tried = moved @ now @ moved.swapaxes(1, 2)
        found = ((aim - tried) ** 2).sum((1, 2))
        gained = cost[active] - found
        better = gained > 0
        turned[active[better]], cost[active[better]] = tried[better], found[better]
        length = np.linalg.norm(steps, axis=(1, 2))
        wider = np.where(gained > 0.75 * hoped, np.clip(2 * length, radius[active], RADIUS), radius[active])
        radius[active] = np.where(gained < 0.25 * hoped, length / 4, wider)
        active = active[hoped > 1e-9 * cost[active] + rounding[active]]
    distances = np.sqrt(cost).reshape(len(a), -1)
    best = distances.min(1)
    near = distances <= (1.01 * best + 1e-6 * np.linalg.norm(a, axis=(1, 2)))[:, None]
    return best.reshape(shape), near.mean(1).reshape(shape)


def _newton_steps(
    a: Float[np.ndarray, "k n n"], b: Float[np.ndarray, "k n n"], radius: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, "k n n"], Float[np.ndarray, " k"]]:
    """(the skew-symmetric S, no longer than the radius, for which e^S B e^-S comes near A; how much it should lower the
    squared distance).

    To second order that is |A - B|^2 - 2 <G, S> + <S, H S>, with the skew parts of G = A B^T - B^T A and of
    H S = S W - A S B^T - B^T S A, where W is half of A B^T + B A^T + A^T B + B^T A. Conjugate gradients, which end
    where they leave the radius or find that the distance curves down (Steihaug, SIAM J. Numer. Anal. 20, 1983).
    """
    bt = b.swapaxes(1, 2)
    square = a @ bt + bt @ a
    w = (square + square.swapaxes(1, 2)) / 2
    slope = _skew((a - b) @ bt - bt @ (a - b))  # the part with B alone is 0, and would only bring rounding
    size = _inner(slope, slope)
    enough = EXACT**2 * size
    found, rest, open_ = np.zeros_like(slope), slope.copy(), np.arange(len(a))
    steps, left, way = found, slope, slope
    for _ in range(a.shape[1] * (a.shape[1] - 1) // 2):
        turn = _skew(way @ w - a @ way @ bt - bt @ way @ a)
        along, squared = _inner(steps, way), np.maximum(_inner(way, way), TINY)
        limit = (np.sqrt(along**2 + squared * np.maximum(radius**2 - _inner(steps, steps), 0.0)) - along) / squared
        curve = _inner(way, turn)
        leaves = size >= limit * curve
        far = np.where(leaves, limit, size / np.where(leaves, 1.0, curve))[:, None, None]
        steps, left, before = steps + far * way, left - far * turn, size
        size = _inner(left, left)
        found[open_], rest[open_] = steps, left
        more = ~leaves & (size > enough)
        if not more.any():
            break
        way = left[more] + (size[more] / before[more])[:, None, None] * way[more]
        a, bt, w, steps, left = (z[more] for z in (a, bt, w, steps, left))
        radius, size, enough, open_ = radius[more], size[more], enough[more], open_[more]
    return found, _inner(slope + rest, found)


def _skew(matrices: np.ndarray) -> np.ndarray:
    return (matrices - matrices.swapaxes(1, 2)) / 2


def _inner(x: np.ndarray, y: np.ndarray) -> Float[np.ndarray, " k"]:
    return np.einsum("kij,kij->k", x, y)


def _laid_on(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "n n"]:
    """The orthogonal C for which C B C^T = A where there is one and eigenvalues are distinct: the triangular forms of
    both in the same order of eigenvalues, the signs of B's directions chosen one after another."""
    (own, sizes), (other, _) = _triangular_basis(a), _triangular_basis(b)
    upper_a, upper_b = own.T @ a @ own, other.T @ b @ other
    signs, start = np.ones(len(a)), 0
    for size in sizes:
        block = slice(start, start + size)
        agree = (upper_a[:start, block] * (signs[:start, None] * upper_b[:start, block])).sum()
        signs[block] = -1.0 if agree < 0 else 1.0
        start += size
    return (own * signs) @ other.T


def _triangular_basis(matrix: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """(orthonormal basis in which the matrix is block triangular, the largest modulus first; sizes of the blocks)."""
    values, vectors = np.linalg.eig(matrix)
    values, vectors = np.asarray(values, np.complex128), np.asarray(vectors, np.complex128)
    upper = np.flatnonzero(values.imag >= 0)  # of a pair one is enough
    columns, sizes = [], []
    for k in upper[np.lexsort((-values[upper].real, -np.round(np.abs(values[upper]), 10)))]:
        vector = vectors[:, k]
        if values[k].imag == 0:
            columns.append(vector.real)
            sizes.append(1)
            continue
        # The phase at which real and imaginary part are at right angles, the real one longer: unique up to sign.
        vector = vector * np.exp(-0.5j * np.angle((vector**2).sum()))
        columns += [vector.real, vector.imag]
        sizes.append(2)
    basis, r = np.linalg.qr(np.stack(columns, 1))
    return basis * np.where(np.diag(r) < 0, -1.0, 1.0), sizes


def scaled_to_plane(distance: Float[np.ndarray, "n n"]) -> tuple[Float[np.ndarray, "n 2"], float]:
    """(places in a plane whose distances are as like these as can be, their stress: root of the squared error relative
    to the squared distances). Classical scaling, then majorisation of the stress (de Leeuw 1977)."""
    n = len(distance)
    centre = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centre @ distance**2 @ centre)
    places = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0.0))
    total = (distance**2).sum()
    if not total:
        return np.zeros((n, 2)), 0.0
    for _ in range(300):
        apart = np.linalg.norm(places[:, None] - places, axis=2)
        ratio = np.divide(distance, apart, out=np.zeros_like(distance), where=apart > 1e-12 * distance.max())
        weights = -ratio
        weights[np.diag_indices(n)] = ratio.sum(1)
        places = weights @ places / n
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    return places, float(np.sqrt(((apart - distance) ** 2).sum() / total))
