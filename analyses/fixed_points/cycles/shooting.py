"""Cycles by multiple shooting: all k states of a cycle are unknowns, each tied to the next by one step of the map.

Newton's method on the k-th iterate of a map fails where steps stretch, as errors grow by the product of k Jacobians.
Here errors stay with the step that made them, and the linear systems are condensed only as far as products of
Jacobians stay moderate (Ascher, Mattheij & Russell, Numerical Solution of Boundary Value Problems, ch. 4 and 7).
"""

import numpy as np
from jaxtyping import Complex, Float

from rnnscope.cost import FLOAT, Expected, Scale
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# Steps are condensed into one as long as the entries of the product of their Jacobians stay below this: what is lost
# of the solution is the rounding error (1e-16) times it.
# Linear systems that a start solved on networks of the presets, and the passes over a matrix that this takes.
SOLVED, SOLVED_SCANS = 12, 22
MOST_GROWTH = 1e6
# A start is given up when so many steps more failed than succeeded, or when so many did not halve the residual.
PATIENCE, STAGNANT = 12, 15


def chain_residuals(
    state_map: CompleteMap, chains: Float[np.ndarray, "*batch phase unit"]
) -> tuple[Float[np.ndarray, "*batch phase unit"], Float[np.ndarray, "*batch phase"]]:
    """F(z_t) - z_{t+1} around each chain, and q = 1/2 |F(z_t) - z_{t+1}|^2, infinite where F is not finite."""
    with np.errstate(all="ignore"):
        r = state_map.step(chains, np.empty((*chains.shape[:-1], 0))) - np.roll(chains, -1, -2)
        q = 0.5 * (r * r).sum(-1)
    return r, np.where(np.isfinite(q), q, np.inf)


def solve_cyclic(
    jacobians: Float[np.ndarray, "batch phase unit unit"], constants: Float[np.ndarray, "batch phase unit"]
) -> Float[np.ndarray, "batch phase unit"]:
    """x_1 ... x_k with x_{t+1} = J_t x_t + c_t, where x_{k+1} is x_1; NaN where the system is singular."""
    batch, k, n, _ = jacobians.shape
    first, products, carried = [0], [jacobians[:, 0]], [constants[:, 0]]
    for t in range(1, k):
        longer = jacobians[:, t] @ products[-1]
        # Of most, not of all: one start that runs away is no reason to solve large systems for the others.
        if (np.abs(longer).max((1, 2), initial=0.0) <= MOST_GROWTH).sum() >= 0.9 * batch:
            products[-1] = longer
            carried[-1] = _apply(jacobians[:, t], carried[-1]) + constants[:, t]
        else:
            first.append(t)
            products.append(jacobians[:, t])
            carried.append(constants[:, t])
    m = len(first)
    system = np.zeros((batch, m, n, m, n))
    for i in range(m):
        system[:, i, :, i] += np.eye(n)
        system[:, (i + 1) % m, :, i] -= products[i]
    right = np.roll(np.stack(carried, 1), 1, 1)
    found = linalg.solve(system.reshape(batch, m * n, m * n), right.reshape(batch, m * n)).reshape(batch, m, n)
    x = np.empty_like(constants)
    x[:, first] = found
    for t in range(1, k):
        if t not in first:
            x[:, t] = _apply(jacobians[:, t - 1], x[:, t - 1]) + constants[:, t - 1]
    return x


def multipliers(jacobians: Float[np.ndarray, "cycle phase unit unit"]) -> Complex[np.ndarray, "cycle unit"]:
    """Eigenvalues of J_k ... J_1, the largest modulus first.

    The frame of directions is carried around the cycle twice, by QR at every step: once to turn it so that the second
    time it stays nearly as it is. The product of the triangular factors then holds large and small multipliers side
    by side, each to its own precision; in the plain product the small ones drown in the rounding of the large.
    """
    n_cycles, k, n, _ = jacobians.shape
    if k == 1:
        return linalg.eigenvalues(jacobians[:, 0])
    frame = begin = np.broadcast_to(np.eye(n), (n_cycles, n, n))
    product = begin
    for _ in range(2):
        begin, product = frame, np.broadcast_to(np.eye(n), (n_cycles, n, n))
        for t in range(k):
            frame, triangle = linalg.qr(jacobians[:, t] @ frame)
            product = triangle @ product
    return linalg.eigenvalues(begin.swapaxes(1, 2) @ frame @ product)


def shooting_cost(scale: Scale, n_starts: int, period: int) -> Expected:
    """Of one period, of the steps that the presets' networks took."""
    solved = SOLVED * n_starts
    parts = np.ceil(n_starts * period * scale.n**2 / 2**22)
    seconds = scale.jacobian.of(parts * SOLVED, solved * period) + scale.matmul.of(0, solved * (period - 1))
    seconds += scale.factorisation.of(parts * SOLVED, solved) + scale.step.of(0, 3 * solved * period)
    seconds += SOLVED_SCANS * scale.n**2 * solved * (1 + period) * scale.scan
    return Expected(seconds, FLOAT * 3.5 * min(n_starts * period * scale.n**2, 2**22))


def shoot(
    state_map: CompleteMap,
    chains: Float[np.ndarray, "start phase unit"],
    box: tuple[np.ndarray, np.ndarray],
    scale: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[Float[np.ndarray, "start phase unit"], Float[np.ndarray, " start"]]:
    """Where each chain ends, and the largest q along it. It stays in `box`; `scale` is the spread of the starts."""
    ends, q = np.empty_like(chains), np.empty(len(chains))
    k, n = chains.shape[1:]
    part = max(8, 2**22 // (k * n**2))  # parts whose Jacobians take 32 MB at most
    with np.errstate(all="ignore"), linalg.one_thread():
        for i in range(0, len(chains), part):
            piece = slice(i, i + part)
            # First to what is near, unstable or not; from where that fails, along the flow, which prefers attractors.
            ends[piece], q[piece] = _descend(
                state_map, chains[piece], box, 0.25 * scale, 0.0, tolerance, max_iterations
            )
            again = i + np.nonzero(q[piece] >= tolerance)[0]
            if len(again):
                other, other_q = _descend(state_map, chains[again], box, np.inf, 1.0, tolerance, max_iterations)
                better = other_q < q[again]
                ends[again[better]], q[again[better]] = other[better], other_q[better]
            found = i + np.nonzero(q[piece] < tolerance)[0]
            ends[found], q[found] = polish(state_map, ends[found], box)
    return ends, q


def polish(
    state_map: CompleteMap, chains: Float[np.ndarray, "start phase unit"], box: tuple[np.ndarray, np.ndarray]
) -> tuple[Float[np.ndarray, "start phase unit"], Float[np.ndarray, " start"]]:
    """The last digits: full Newton steps, kept where they help."""
    chains = chains.copy()
    r, q = chain_residuals(state_map, chains)
    for _ in range(2):
        step = solve_cyclic(_jacobians(state_map, chains), r)
        tried = np.clip(chains + np.nan_to_num(step), *box)
        new_r, new_q = chain_residuals(state_map, tried)
        better = new_q.max(1) < q.max(1)
        chains[better], r[better], q[better] = tried[better], new_r[better], new_q[better]
    return chains, q.max(1)


def _descend(
    state_map: CompleteMap,
    chains: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    longest: float,
    continuation: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(ends, largest q) of damped Newton steps d with (1 + μ) d_{t+1} = J_t d_t + r_t, each chain for itself, where
    μ = continuation |r| / sqrt(numbers) * 4^(steps that failed). No state moves further than `longest` in a step."""
    lengths = np.array([1.0, 0.5, 0.25, 0.1])[:, None, None, None]
    x = chains.copy()
    k, n = x.shape[1:]
    r, q = chain_residuals(state_map, x)
    total, failures = q.sum(1), np.zeros(len(x), int)
    marked = total.copy()
    active = np.nonzero((q.max(1) >= tolerance) & np.isfinite(total))[0]
    for iteration in range(1, max_iterations + 1):
        if not len(active):
            break
        shift = (continuation + (failures[active] > 0)) * np.sqrt(2 * total[active] / (k * n)) * 4.0 ** failures[active]
        damped = 1 / (1 + shift)[:, None, None]
        step = solve_cyclic(_jacobians(state_map, x[active]) * damped[..., None], r[active] * damped)
        step[~np.isfinite(step).all((1, 2))] = 0.0  # a singular matrix: no step, and so a failure
        size = np.linalg.norm(step, axis=2).max(1)
        step *= np.minimum(1, longest / np.maximum(size, 1e-300))[:, None, None]
        tried = np.clip(x[active] + lengths * step, *box)
        tried_r, tried_q = chain_residuals(state_map, tried)
        tried_total = tried_q.sum(2)
        best, each = tried_total.argmin(0), np.arange(len(active))
        lower = tried_total[best, each] < 0.999 * total[active]
        moved = active[lower]
        x[moved], r[moved], q[moved] = (a[best, each][lower] for a in (tried, tried_r, tried_q))
        total[moved] = q[moved].sum(1)
        failures[active] = np.maximum(failures[active] + np.where(lower, -1, 1), 0)
        active = active[(q[active].max(1) >= tolerance) & (failures[active] < PATIENCE)]
        if iteration % STAGNANT == 0:
            active = active[total[active] < 0.25 * marked[active]]
            marked = total.copy()
    return x, q.max(1)


def _jacobians(state_map: CompleteMap, chains: np.ndarray) -> np.ndarray:
    return state_map.jacobian(chains, np.empty((*chains.shape[:-1], 0)))


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (matrices @ vectors[..., None])[..., 0]
