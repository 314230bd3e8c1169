"""A plane in which to see states."""

import numpy as np

# With so much of the variance, a plane shows the states; else there is a third axis.
FLAT = 0.97


def plane_of(
    states: np.ndarray, of: np.ndarray | None = None, most: int = 3, dims: int | None = None
) -> tuple[np.ndarray, list[str]]:
    """Coordinates of states in the first two principal components (of others, if given), or three (if `most` is that)
    where a plane is not enough, and the titles of the axes; the states themselves where they have no more than two
    numbers. With `dims`, that many axes.

    Raises:
        ValueError: three axes are wanted of states with fewer numbers.
    """
    size, of = states.shape[1], states if of is None else of
    if dims == 3 and size < 3:
        raise ValueError(f"dims=3 needs three numbers of each state, and there are {size}: leave dims out")
    if size <= 2 or not len(of):
        titles = ["state", ""] if size == 1 else ["state, unit 1", "state, unit 2"]
        return np.pad(states, ((0, 0), (0, max(0, 2 - size))))[:, :2], titles
    from rnnscope.percent import percent

    variance, axes = np.linalg.eigh(np.cov(of.T, bias=True))
    variance, axes = np.maximum(variance[::-1], 0.0), axes.T[::-1]
    ratio = variance / max(float(variance.sum()), 1e-300)
    n_axes = 2 if most == 2 or ratio[:2].sum() >= FLAT or not ratio.any() else 3
    axes = axes[: n_axes if dims is None else dims]
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))
    return (states - of.mean(0)) @ axes.T, [f"PC{i + 1} ({percent(float(ratio[i]))})" for i in range(len(axes))]
