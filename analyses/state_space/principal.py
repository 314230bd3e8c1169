"""Principal components of a cloud of states, in one piece or, where it does not fit in memory, in chunks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from rnnscope.cost import Number, Scale
from rnnscope.numerics import linalg


@dataclass(frozen=True)
class Principal:
    """Directions of largest variance.

    Attributes:
        components: the directions, orthonormal, the largest variance first.
        variance: along each, in squared units of the state; all 0 where the states are all the same.
        mean: of the states.
        n_states: how many there were.
    """

    components: Float[np.ndarray, "rank unit"]
    variance: Float[np.ndarray, " rank"]
    mean: Float[np.ndarray, " unit"]
    n_states: int

    @property
    def ratio(self) -> Float[np.ndarray, " rank"]:
        """Fractions of the total variance; all 0 where there is none."""
        total = self.variance.sum()
        return self.variance / total if total else self.variance

    @property
    def participation_ratio(self) -> float:
        """(sum of variances)^2 / sum of squared variances; 0 where there is no variance."""
        ratio = self.ratio
        return float(1 / (ratio**2).sum()) if ratio.any() else 0.0

    def dimension(self, share: float = 0.9) -> int:
        """How many components hold this share of the variance; 0 where there is no variance."""
        ratio = self.ratio
        return int(np.searchsorted(ratio.cumsum(), share - 1e-12) + 1) if ratio.any() else 0


def components_seconds(scale: Scale, n_states: Number) -> Number:
    """Processor seconds expected of principal components of so many states."""
    numbers = n_states * scale.n
    return n_states / scale.n * scale.matmul.each + 6 * numbers * scale.scan + 2 * scale.singular_values.of(1, 1)


def principal_components(states: Float[np.ndarray, "point unit"]) -> Principal:
    """Principal component analysis of all states at once.

    Raises:
        ValueError: fewer than two states.
    """
    _check_count(len(states))
    from sklearn.decomposition import PCA

    # Through the covariance, where that is the smaller: the cost then hardly depends on the number of states.
    solver = "covariance_eigh" if len(states) > states.shape[1] else "full"
    with np.errstate(invalid="ignore"), linalg.one_thread():  # a state that never moves has ratios 0 / 0
        pca = PCA(svd_solver=solver).fit(states)
    return _principal(pca, np.abs(states).max(), len(states))


def principal_components_of_chunks(chunks: Iterable[Float[np.ndarray, "point unit"]]) -> Principal:
    """The same from chunks that are seen once, one after another (Ross et al., Int. J. Comput. Vis. 77, 2008).

    All components are carried along, so that nothing is cut off: what differs from the analysis in one piece is
    rounding, about 1e-12 of the largest variance. Memory: one chunk, and at least four states for every unit.

    Raises:
        ValueError: chunks of different sizes of state, or fewer than two states in all.
    """
    from sklearn.decomposition import IncrementalPCA

    pca = IncrementalPCA()
    waiting: list[np.ndarray] = []
    n_states, largest, size = 0, 0.0, None

    def feed() -> None:
        with np.errstate(invalid="ignore"), linalg.one_thread():
            pca.partial_fit(np.concatenate(waiting))
        waiting.clear()

    for chunk in chunks:
        size = size or chunk.shape[1]
        if chunk.shape[1] != size:
            raise ValueError(f"a chunk has states of {chunk.shape[1]} numbers, those before had {size}")
        waiting.append(chunk)
        n_states += len(chunk)
        largest = max(largest, np.abs(chunk).max(initial=0.0))
        # The first batch fixes the number of components; larger ones later cost less a state.
        if sum(map(len, waiting)) >= 4 * size:
            feed()
    _check_count(n_states)
    if any(map(len, waiting)):
        feed()
    return _principal(pca, largest, n_states)


def _check_count(n_states: int) -> None:
    if n_states < 2:
        raise ValueError(f"variance needs at least two states, got {n_states}: show more trials or longer ones")


def _principal(pca: Any, largest: float, n_states: int) -> Principal:
    variance = np.maximum(pca.explained_variance_, 0.0)
    # What rounding leaves of a state that never moves is no variance.
    if variance.sum() <= (len(variance) * np.finfo(np.float64).eps * largest) ** 2:
        variance = np.zeros_like(variance)
    # As scikit-learn does, the largest number of each is made positive; of equal ones, as in (1, -1), here the first.
    components = np.asarray(pca.components_)
    first = np.round(np.abs(components), 8).argmax(1)[:, None]
    components = components * np.where(np.take_along_axis(components, first, 1) < 0, -1.0, 1.0)
    return Principal(components, variance, np.asarray(pca.mean_), n_states)
