"""The plane in which a driven network moves most: its first two principal components."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rnnscope.numerics.linalg import one_thread


@dataclass(frozen=True)
class Plane:
    """Two directions, and where they meet.

    Attributes:
        mean: of the states.
        axes: unit vectors; the number of largest size is positive, so that they are the same on every machine. Of a
            state of one number the second is zero.
        share: of the variance, along each; 0 where nothing moves.
    """

    mean: Float[np.ndarray, " number"]
    axes: Float[np.ndarray, "axis number"]
    share: Float[np.ndarray, " axis"]

    def of(self, states: Float[np.ndarray, "*batch number"]) -> Float[np.ndarray, "*batch axis"]:
        """Where states are in it."""
        return (states - self.mean) @ self.axes.T


def plane_of(states: Float[np.ndarray, "*batch number"]) -> Plane:
    """The plane of most variance."""
    flat = states.reshape(-1, states.shape[-1])
    mean = flat.mean(0)
    with one_thread():
        away = flat - mean
        values, vectors = np.linalg.eigh(away.T @ away / len(away))
    n = min(2, len(values))
    axes, share = np.zeros((2, len(values))), np.zeros(2)
    axes[:n] = vectors[:, ::-1][:, :n].T
    total = float(np.maximum(values, 0).sum())
    if total > 0:
        share[:n] = np.maximum(values[::-1][:n], 0) / total
    largest = np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1)
    return Plane(mean, axes * np.where(largest < 0, -1.0, 1.0), share)
