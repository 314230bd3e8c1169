"""The Jacobian J of a map as far as it matters, from products J v alone: for states too large to form and factorise J.

A recurrent network's Jacobian is, for a given residual, well described by few directions: those that the residual and
its images J r, J^2 r, ... span (Krylov; Arnoldi's basis). On these it is known; elsewhere it is taken to be one number
times the identity. J - s then has an inverse in closed form. Where the residual lies in the subspace, that inverse
gives the step of the full orthogonalisation method (Saad, Math. Comp. 37, 1981), and it serves for the next residuals.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# The basis is large enough when so many of the systems are solved to the tolerance; it is asked every few vectors.
ENOUGH, EVERY = 0.8, 5
# Elsewhere, J is at most this: closer to 1, steps would go astray in directions of which nothing is known.
SLOWEST = 0.95


@dataclass(frozen=True)
class Subspaces:
    """Approximate inverses of J - s, one for each state.

    Attributes:
        basis: orthonormal rows; J maps all but the last into their span.
        inverse: of J - s within the span of all but the last.
        beyond: by how much J leads from the last but one to the last.
        elsewhere: what stands for J - s on everything else.
        enough: whether the residuals that the basis was built for are solved to the tolerance, for most states.
    """

    basis: Float[np.ndarray, "batch vector unit"]
    inverse: Float[np.ndarray, "batch known known"]
    beyond: Float[np.ndarray, " batch"]
    elsewhere: Float[np.ndarray, " batch"]
    enough: bool

    def solve(
        self, vectors: Float[np.ndarray, "vector unit"], which: Integer[np.ndarray, " vector"]
    ) -> Float[np.ndarray, "vector unit"]:
        """For each vector, x with (J - s) x = vector, J - s being that of state `which`."""
        found = np.empty_like(vectors)
        for k, i in enumerate(which.tolist()):
            basis, elsewhere = self.basis[i], self.elsewhere[i]
            parts = basis @ vectors[k]
            within = self.inverse[i] @ parts[:-1]
            weights = np.append(within - parts[:-1] / elsewhere, -self.beyond[i] * within[-1] / elsewhere)
            found[k] = weights @ basis + vectors[k] / elsewhere
        return found


def subspaces(
    state_map: CompleteMap,
    states: Float[np.ndarray, "batch unit"],
    inputs: Float[np.ndarray, "batch input"],
    residuals: Float[np.ndarray, "batch unit"],
    shift: Float[np.ndarray, " batch"],
    tolerance: float,
    most: int,
) -> Subspaces:
    """Approximate inverses of J - shift at `states`, such that |(J - shift) x - residual| <= tolerance |residual| for
    most of them, if `most` basis vectors are enough for that."""
    batch, n = states.shape
    most = max(1, min(most, n))
    basis = np.zeros((batch, most + 1, n))
    basis[:, 0] = residuals / np.maximum(np.linalg.norm(residuals, axis=1), 1e-300)[:, None]
    hessenberg = np.zeros((batch, most + 1, most))
    enough, k = False, 0
    while k < most and not enough:
        new = state_map.jvp(states, inputs, basis[:, k, :, None])[..., 0]
        before = after = np.linalg.norm(new, axis=1)
        known = basis[:, : k + 1]
        for _ in range(2):  # a second time where little is left: twice is enough
            part = (known @ new[..., None])[..., 0]
            new = new - (part[:, None] @ known)[:, 0]
            hessenberg[:, : k + 1, k] += part
            after = np.linalg.norm(new, axis=1)
            if (after > 0.7 * before).all():
                break
        after = np.where(after > 1e-14 * before, after, 0.0)  # 0: the span is closed
        hessenberg[:, k + 1, k] = after
        basis[:, k + 1] = np.where(after[:, None] > 0, new / np.where(after > 0, after, 1.0)[:, None], 0.0)
        k += 1
        if k % EVERY == 0 or k == most:
            first = np.eye(k)[0] + np.zeros((batch, 1))
            last = linalg.solve(_shifted(hessenberg, k, shift), first)[:, -1]
            enough = bool((np.abs(after * last) <= tolerance).mean() >= ENOUGH)
    on_average = np.diagonal(hessenberg[:, k // 2 : k, k // 2 : k], axis1=1, axis2=2).mean(1)
    inverse = linalg.solve(_shifted(hessenberg, k, shift), np.eye(k) + np.zeros((batch, 1, 1)))
    elsewhere = np.minimum(on_average, SLOWEST) - shift
    return Subspaces(basis[:, : k + 1], inverse, hessenberg[:, k, k - 1].copy(), elsewhere, enough)


def damped_steps(
    state_map: CompleteMap,
    states: Float[np.ndarray, "batch unit"],
    inputs: Float[np.ndarray, "batch input"],
    gradient: Float[np.ndarray, "batch unit"],
    damping: Float[np.ndarray, " batch"],
    most: int = 40,
    tolerance: float = 1e-2,
) -> Float[np.ndarray, "batch unit"]:
    """x with (A^T A + damping) x = -gradient, A = J - 1, to |error| <= tolerance |gradient|: conjugate gradients."""
    x, left = np.zeros_like(states), -gradient
    direction, size = left, (left * left).sum(1)
    wanted = tolerance**2 * size
    for _ in range(most):
        ahead = state_map.jvp(states, inputs, direction[..., None])[..., 0] - direction
        curved = state_map.vjp(states, inputs, ahead[..., None])[..., 0] - ahead + damping[:, None] * direction
        along = (direction * curved).sum(1)
        step = np.where((size > wanted) & (along > 0), size / along, 0.0)[:, None]
        if not step.any():
            break
        x = x + step * direction
        left = left - np.where(step > 0, step * curved, 0.0)  # a product that is not finite stays in its own row
        size, old = (left * left).sum(1), size
        direction = left + (size / np.maximum(old, 1e-300))[:, None] * direction
    return x


def _shifted(hessenberg: np.ndarray, k: int, shift: np.ndarray) -> Float[np.ndarray, "batch k k"]:
    return hessenberg[:, :k, :k] - shift[:, None, None] * np.eye(k)
