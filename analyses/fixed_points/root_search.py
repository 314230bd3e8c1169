"""Zeros of F(h) - h from many starts at once, by second-order steps of each start's own.

Two passes. The first takes Newton steps of limited length, and Levenberg-Marquardt steps where those stall: it ends
near where it starts, so that saddles are found as well as attractors. The second is for those that found nothing:
pseudo-transient continuation (Kelley & Keyes, SIAM J. Numer. Anal. 35, 1998), which gets past local minima of
q = 1/2 |F(h) - h|^2 but prefers attractors.
"""

import numpy as np
from jaxtyping import Bool, Float

from rnnscope import linalg
from rnnscope.maps import StateMap

# A point that gets no further is slow where the gradient of q, |(J - 1)' r| with r = F - h, is below this part of
# (1 + rms |J|) |r|. It is asked only at the end: on the way to a marginal fixed point the gradient is small too.
FLAT = 1e-2
# A point that does not halve q in so many Levenberg-Marquardt steps gets no further.
STAGNANT = 20
# Pseudo-transient continuation ends where this many steps more failed than lowered q.
PATIENCE = 12
# Where the domain has no bound, the search does not go further than this many times the largest start.
RUNAWAY = 1e3


def search_box(state_map: StateMap, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box in which the search stays."""
    far = RUNAWAY * (1 + np.abs(begin).max())
    low, high = np.full(begin.shape[1], -far), np.full(begin.shape[1], far)
    if state_map.domain is not None:
        low, high = np.where(np.isfinite(state_map.domain), state_map.domain, [low, high])
    return low, high


def residuals(state_map: StateMap, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F(h) - h, and q, which is infinite where F is not finite."""
    with np.errstate(all="ignore"):
        r = state_map.step(states, np.empty((*states.shape[:-1], 0))) - states
        q = 0.5 * (r * r).sum(-1)
    return r, np.where(np.isfinite(q), q, np.inf)


def search_roots(
    state_map: StateMap,
    begin: Float[np.ndarray, "start unit"],
    box: tuple[np.ndarray, np.ndarray],
    scale: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[Float[np.ndarray, "start unit"], Float[np.ndarray, " start"], Bool[np.ndarray, " start"], int]:
    """Where each start ends, q there, whether q is flat there without being below `tolerance`, and the most steps that
    a start took in one pass. `scale` is the spread of the starts; `box` is as `search_box` gives it."""
    ends, q, flat, n_iterations = np.empty_like(begin), np.empty(len(begin)), np.empty(len(begin), bool), 0
    # Parts whose Jacobians take 32 MB at most.
    part = max(16, 2**22 // state_map.state_size**2)
    with np.errstate(all="ignore"), linalg.one_thread():
        for i in range(0, len(begin), part):
            piece = slice(i, i + part)
            found = _search_part(state_map, begin[piece], *box, scale, tolerance, max_iterations)
            ends[piece], q[piece], flat[piece] = found[:3]
            n_iterations = max(n_iterations, found[3])
    return ends, q, flat, n_iterations


def _search_part(
    state_map: StateMap,
    begin: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    scale: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Both passes, with the last digits polished."""
    ends, q, n = _descend(state_map, begin, low, high, 0.25 * scale, 0.0, tolerance, max_iterations)
    again = np.nonzero(q >= tolerance)[0]
    if len(again):
        other, other_q, other_n = _descend(state_map, begin[again], low, high, np.inf, 1.0, tolerance, max_iterations)
        better = other_q < tolerance
        ends[again[better]], q[again[better]], n = other[better], other_q[better], max(n, other_n)
    flat = np.zeros(len(begin), bool)
    left = np.nonzero((q >= tolerance) & np.isfinite(q))[0]
    if len(left):
        a, r = _linearised(state_map, ends[left])
        gradient = np.linalg.norm(np.einsum("pij,pi->pj", a, r), axis=1)
        size = 1 + np.linalg.norm(a + np.eye(a.shape[1]), axis=(1, 2)) / np.sqrt(a.shape[1])
        flat[left] = gradient <= FLAT * size * np.sqrt(2 * q[left])
    fixed = np.nonzero(q < tolerance)[0]
    for _ in range(2):
        a, r = _linearised(state_map, ends[fixed])
        step = linalg.solve(a, -r)
        polished = np.clip(ends[fixed] + np.nan_to_num(step), low, high)
        new_q = residuals(state_map, polished)[1]
        better = new_q < q[fixed]
        ends[fixed[better]], q[fixed[better]] = polished[better], new_q[better]
    return ends, q, flat, n


def _linearised(state_map: StateMap, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A = J - 1 and r = F - h."""
    a = state_map.jacobian(states, np.empty((len(states), 0))) - np.eye(states.shape[1])
    return a, residuals(state_map, states)[0]


def _descend(
    state_map: StateMap,
    begin: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    longest: float,
    continuation: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """(ends, q, iterations) of damped second-order steps, each point for itself. It leaves the batch when it is done.

    With `continuation` 0: Newton on r = F - h, no step longer than `longest`; from where no fraction of the step
    lowers q, Levenberg-Marquardt steps. Otherwise: Newton with a shift μ = continuation |r| / sqrt(n), which grows
    fourfold with every step that does not lower q, and shrinks again with every one that does.
    """
    lengths = np.array([1.0, 0.5, 0.25, 0.1])[:, None, None]
    x = begin.copy()
    n = x.shape[1]
    diagonal = np.arange(n)
    r, q = residuals(state_map, x)
    failures, damping, marked = np.zeros(len(x), int), np.full(len(x), 1e-3), q.copy()
    active = np.nonzero((q >= tolerance) & np.isfinite(q))[0]
    iteration = 0
    while len(active) and iteration < max_iterations:
        iteration += 1
        a = state_map.jacobian(x[active], np.empty((len(active), 0))) - np.eye(n)
        finite = np.isfinite(a).all((1, 2))
        active, a = active[finite], a[finite]
        marquardt = (failures[active] > 0) & (continuation == 0)
        right = -r[active]
        if continuation:
            a[:, diagonal, diagonal] -= (continuation * np.sqrt(2 * q[active] / n) * 4.0 ** failures[active])[:, None]
        elif marquardt.any():
            gradient = np.einsum("pij,pi->pj", a[marquardt], r[active[marquardt]])
            normal = a[marquardt].swapaxes(1, 2) @ a[marquardt]
            mean = np.trace(normal, axis1=1, axis2=2) / n
            normal[:, diagonal, diagonal] += (damping[active[marquardt]] * mean)[:, None]
            a[marquardt], right[marquardt] = normal, -gradient
        step = linalg.solve(a, right)
        step[~np.isfinite(step).all(1)] = 0.0  # a singular matrix: no step, and so a failure
        step *= np.minimum(1, longest / np.maximum(np.linalg.norm(step, axis=1), 1e-300))[:, None]

        tried = np.clip(x[active] + lengths * step, low, high)
        tried_r, tried_q = residuals(state_map, tried)
        best, each = tried_q.argmin(0), np.arange(len(active))
        lower = tried_q[best, each] < 0.999 * q[active]
        moved = active[lower]
        x[moved], r[moved], q[moved] = (t[best, each][lower] for t in (tried, tried_r, tried_q))
        if continuation:
            failures[active] = np.maximum(failures[active] + np.where(lower, -1, 1), 0)
            done = failures >= PATIENCE
        else:
            damping[active[marquardt]] *= np.where(lower[marquardt], 0.2, 5.0)
            done = damping > 1e8
            if iteration % STAGNANT == 0:
                done |= (failures > 0) & (q > 0.5 * marked)
                marked = q.copy()
            failures[active[~lower]] = 1
        active = active[(q[active] >= tolerance) & ~done[active]]
    return x, q, iteration
