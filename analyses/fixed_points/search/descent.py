"""Down to a local minimum of q = 1/2 |F(h, u) - h|^2 by Levenberg-Marquardt steps, from many states at once."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.analyses.fixed_points.search.krylov import damped_steps
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# q is flat where its gradient A^T r, with A = J - 1 and r = F - h, is below this part of (1 + |A| / sqrt(n)) |r|. On
# the way to a marginal fixed point it is so too, and therefore a minimum is also to be where q falls no further.
FLAT = 1e-2
# In so many steps: q has ceased to fall if it fell by less than this part, and falls too slowly to be waited for if by
# less than the larger one, unless it is flat already.
STEPS, CEASED, SLUGGISH = 8, 1e-3, 0.1


@dataclass(frozen=True)
class Descent:
    """Where each start came to.

    Attributes:
        states, residuals, q: the lowest place.
        damping: for the next steps from there.
        flat: whether the gradient of q is nearly zero there.
        held: whether it is so along the border of the box alone, through which it points.
        settled: whether q has ceased to fall, or falls too slowly to be waited for.
    """

    states: Float[np.ndarray, "start unit"]
    residuals: Float[np.ndarray, "start unit"]
    q: Float[np.ndarray, " start"]
    damping: Float[np.ndarray, " start"]
    flat: Bool[np.ndarray, " start"]
    held: Bool[np.ndarray, " start"]
    settled: Bool[np.ndarray, " start"]


def residuals(
    state_map: CompleteMap, states: Float[np.ndarray, "*batch unit"], inputs: Float[np.ndarray, "*batch input"]
) -> tuple[Float[np.ndarray, "*batch unit"], Float[np.ndarray, "*batch"]]:
    """r = F(h, u) - h, and q = 1/2 |r|^2, which is infinite where F is not finite."""
    with np.errstate(all="ignore"):
        r = state_map.step(states, inputs) - states
        q = 0.5 * (r * r).sum(-1)
    return r, np.where(np.isfinite(q), q, np.inf)


def shifted_jacobians(
    state_map: CompleteMap, states: Float[np.ndarray, "batch unit"], inputs: np.ndarray, shift: float | np.ndarray = 1.0
) -> Float[np.ndarray, "batch unit unit"]:
    """J - shift, for each state; a copy, as a map may keep what it returns."""
    a = state_map.jacobian(states, inputs).copy()
    diagonal = np.arange(states.shape[1])
    a[:, diagonal, diagonal] -= np.broadcast_to(shift, len(states))[:, None]
    return a


def sound(steps: Float[np.ndarray, "batch unit"]) -> Float[np.ndarray, "batch unit"]:
    """The steps, none where they are not finite, as their equations were singular: a map may refuse such states."""
    return np.where(np.isfinite(steps).all(1, keepdims=True), steps, 0.0)


def descend(
    state_map: CompleteMap,
    begin: Float[np.ndarray, "start unit"],
    inputs: Float[np.ndarray, "start input"],
    damping: Float[np.ndarray, " start"],
    box: tuple[np.ndarray, np.ndarray],
    tolerance: float,
    without_matrices: bool,
) -> Descent:
    """`STEPS` steps down, fewer where q is below `tolerance` or can be lowered no further.

    Steps solve (A^T A + λ) s = -A^T r, by conjugate gradients if `without_matrices`. The damping λ falls with each step
    that lowers q and grows with each that does not, for each start by itself.
    """
    n_starts, n = begin.shape
    low, high = box
    x, damping = begin.copy(), damping.copy()
    r, q = residuals(state_map, x, inputs)
    at_first = q.copy()
    flatness = np.full(n_starts, np.inf)
    held, settled = np.zeros(n_starts, bool), np.zeros(n_starts, bool)
    n_lower = np.zeros(n_starts, np.int64)
    live = np.arange(n_starts)
    for _ in range(STEPS):
        here = x[live], inputs[live]
        if without_matrices:
            gradient = state_map.vjp(*here, r[live][..., None])[..., 0] - r[live]
            size = np.full(len(live), 2.0)
            step = damped_steps(state_map, *here, gradient, damping[live])
        else:
            a = shifted_jacobians(state_map, *here)
            size = 1 + np.sqrt(np.einsum("pij,pij->p", a, a) / n)
            gradient = (r[live][:, None] @ a)[:, 0]
            normal = a.swapaxes(1, 2) @ a
            mean = np.trace(normal, axis1=1, axis2=2) / n
            normal += (damping[live] * mean)[:, None, None] * np.eye(n)
            step = linalg.solve(normal, -gradient)
        out = ((x[live] <= low) & (gradient > 0)) | ((x[live] >= high) & (gradient < 0))
        slope, within = (np.linalg.norm(g, axis=1) / (size * np.sqrt(2 * q[live])) for g in (gradient, gradient * ~out))
        flatness[live] = np.where(np.isfinite(slope), slope, np.inf)
        held[live] = (within <= FLAT) & (slope > FLAT)

        new = np.clip(x[live] + sound(step), low, high)
        new_r, new_q = residuals(state_map, new, inputs[live])
        lower = new_q < q[live]
        to = live[lower]
        x[to], r[to], q[to] = new[lower], new_r[lower], new_q[lower]
        n_lower[to] += 1
        damping[live] = np.maximum(damping[live] * np.where(lower, 0.2, 8.0), 1e-14)
        stop = (damping[live] > 1e8) | (slope < 1e-10)
        settled[live[stop]] = True
        live = live[~stop & (q[live] >= tolerance)]
        if not len(live):
            break
    # Where hardly a step was any good, the damping is on its way to what it must be.
    fell = np.where(n_lower[live] >= STEPS // 4, 1 - q[live] / at_first[live], 1.0)
    settled[live] |= (fell < CEASED) | ((fell < SLUGGISH) & (flatness[live] > FLAT))
    return Descent(x, r, q, damping, flatness <= FLAT, held, settled)
