"""Affine changes of states, x -> A x + b: what is done to a state after a step."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Affine:
    """x -> A x + b, for numpy arrays or for tensors, as A and b are.

    Attributes:
        matrix: A, (state, state); of a diagonal A its diagonal, (state,).
        shift: b, (state,), or one for each row of what it is applied to, (row, state).
    """

    matrix: Any
    shift: Any

    @property
    def is_diagonal(self) -> bool:
        return self.matrix.ndim == 1

    def __call__(self, states: Any) -> Any:
        """A x + b for states, (..., state)."""
        return (states * self.matrix if self.is_diagonal else states @ self.matrix.T) + self.shift

    def times(self, columns: Any) -> Any:
        """A X for columns, (..., state, column)."""
        return self.matrix[:, None] * columns if self.is_diagonal else self.matrix @ columns

    def transposed_times(self, columns: Any) -> Any:
        """A^T X."""
        return self.matrix[:, None] * columns if self.is_diagonal else self.matrix.T @ columns

    def after(self, first: "Affine") -> "Affine":
        """The change that applies `first`, then this one."""
        if self.is_diagonal and first.is_diagonal:
            matrix = self.matrix * first.matrix
        else:
            matrix = self.times(first.matrix if not first.is_diagonal else np.diag(first.matrix))
        return Affine(matrix, self(first.shift))

    def part(self, of: slice) -> "Affine":
        """The same for these numbers of the state alone, which no others act on."""
        return Affine(self.matrix[of] if self.is_diagonal else self.matrix[of, of], self.shift[..., of])

    def image(self, box: Float[np.ndarray, "2 state"]) -> Float[np.ndarray, "2 state"]:
        """Bounds around what a box, which may be infinite, becomes; up to rounding."""
        matrix = np.diag(self.matrix) if self.is_diagonal else self.matrix
        low, high = box
        up, down = np.maximum(matrix, 0), np.minimum(matrix, 0)

        def total(by_up: np.ndarray, by_down: np.ndarray) -> np.ndarray:
            # 0 times an infinite bound is 0: the number does not depend on that one.
            with np.errstate(invalid="ignore"):
                return np.where(up > 0, up * by_up, 0).sum(1) + np.where(down < 0, down * by_down, 0).sum(1)

        return np.stack([total(low, high), total(high, low)]) + self.shift
