"""What a piecewise-linear map is made of, for analyses that solve it region by region."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class LinearPieces:
    """F(h) = A h + B f(C h + d) + c with f elementwise linear on either side of 0.

    The gate arguments C h + d cut the state space into at most 2^gates regions, and F is linear in each. A region is
    named by its bits: whether each argument is above 0.

    Attributes:
        linear: A.
        out: B; what each gate adds to the state.
        gates: C; what each gate looks at.
        threshold: d.
        offset: c.
        below, above: the slopes of f below and above 0; (0, 1) for a ReLU.

    Raises:
        ValueError: shapes that do not fit, or numbers that are not finite.

    Example:
        >>> import numpy as np
        >>> from rnnscope.maps import LinearPieces
        >>> one = np.ones((1, 1))
        >>> tent = LinearPieces(2 * one, -4 * one, one, np.array([-0.5]), np.zeros(1), np.zeros(1), np.ones(1))
        >>> tent.step(np.array([[0.25], [0.75]])).tolist()
        [[0.5], [0.5]]
    """

    linear: Float[np.ndarray, "state state"]
    out: Float[np.ndarray, "state gate"]
    gates: Float[np.ndarray, "gate state"]
    threshold: Float[np.ndarray, " gate"]
    offset: Float[np.ndarray, " state"]
    below: Float[np.ndarray, " gate"]
    above: Float[np.ndarray, " gate"]

    def __post_init__(self) -> None:
        n, p = self.out.shape if self.out.ndim == 2 else (len(self.linear), len(self.gates))
        wanted = {"linear": (n, n), "out": (n, p), "gates": (p, n), "offset": (n,)}
        for field in fields(self):
            value, shape = getattr(self, field.name), wanted.get(field.name, (p,))
            if value.shape != shape:
                raise ValueError(
                    f"{field.name} of a piecewise-linear map with {n} states and {p} gates must have shape {shape}, "
                    f"got {value.shape}"
                )
            if not np.isfinite(value).all():
                raise ValueError(
                    f"{field.name} of the piecewise-linear map is not finite: look for NaN or infinite weights"
                )

    @property
    def n_gates(self) -> int:
        return len(self.gates)

    def arguments(self, states: Float[np.ndarray, "*batch state"]) -> Float[np.ndarray, "*batch gate"]:
        """C h + d."""
        return states @ self.gates.T + self.threshold

    def regions(self, states: Float[np.ndarray, "*batch state"]) -> Bool[np.ndarray, "*batch gate"]:
        """The bits of the region in which each state lies."""
        return self.arguments(states) > 0

    def slopes(self, regions: Bool[np.ndarray, "*batch gate"]) -> Float[np.ndarray, "*batch gate"]:
        return np.where(regions, self.above, self.below)

    def jacobian(self, regions: Bool[np.ndarray, "*batch gate"]) -> Float[np.ndarray, "*batch state state"]:
        """The Jacobian in each region."""
        return self.linear + (self.out * self.slopes(regions)[..., None, :]) @ self.gates

    def constant(self, regions: Bool[np.ndarray, "*batch gate"]) -> Float[np.ndarray, "*batch state"]:
        """F(h) = jacobian h + constant in each region."""
        return (self.slopes(regions) * self.threshold) @ self.out.T + self.offset

    def step(self, states: Float[np.ndarray, "*batch state"]) -> Float[np.ndarray, "*batch state"]:
        """F."""
        arguments = self.arguments(states)
        return states @ self.linear.T + (self.slopes(arguments > 0) * arguments) @ self.out.T + self.offset
