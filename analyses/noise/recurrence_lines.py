"""When does a trajectory come back to where it was, and for how long does it then go the same way?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

BLOCK = 256  # rows of distances that are held at a time
SAMPLED = 200  # rows from which a quantile of distances is taken: of a thousand steps it is then good to a few percent
ROUNDING = 1e-9  # beside the spread: what comes back so near has come back


class Lines(NamedTuple):
    """Lines in one recurrence plot.

    Attributes:
        rate: the share of pairs of times that are recurrent, pairs within the Theiler window left out.
        diagonal: lengths of all diagonal lines in one half of the plot.
        cut: which of them end at the border of the plot.
        vertical: lengths of all vertical lines.
    """

    rate: float
    diagonal: Int64[np.ndarray, " line"]
    cut: Bool[np.ndarray, " line"]
    vertical: Int64[np.ndarray, " column_line"]


def distance_quantile(runs: list[Float[np.ndarray, "time state"]], share: float, theiler: int) -> float:
    """The distance below which this share of the pairs of times lie, of all runs together."""
    from scipy.spatial.distance import cdist

    found = []
    for states in runs:
        rows = np.unique(np.linspace(0, len(states) - 1, SAMPLED).astype(np.int64))
        apart = np.abs(rows[:, None] - np.arange(len(states))) >= max(theiler, 1)
        found.append(cdist(states[rows], states)[apart])
    return float(np.quantile(np.concatenate(found), share))


def recurrences(
    states: Float[np.ndarray, "time state"], threshold: float, theiler: int
) -> Bool[np.ndarray, "time time"]:
    """Which pairs of times have states no further apart than the threshold; none within the Theiler window."""
    from scipy.spatial.distance import cdist

    n = len(states)
    found = np.empty((n, n), bool)
    for begin in range(0, n, BLOCK):
        found[begin : begin + BLOCK] = cdist(states[begin : begin + BLOCK], states) <= threshold
    for lag in range(max(theiler, 1)):
        places = np.arange(n - lag)
        found[places, places + lag] = found[places + lag, places] = False
    return found


def lines_of(plot: Bool[np.ndarray, "time time"], theiler: int) -> Lines:
    """All lines of a recurrence plot."""
    n, lag = len(plot), max(theiler, 1)
    pairs = (n - lag) * (n - lag + 1)
    lengths, cut = [np.empty(0, np.int64)], [np.empty(0, bool)]
    for k in range(lag, n):
        begin, end = _stretches(np.diagonal(plot, k))
        lengths.append(end - begin)
        cut.append((begin == 0) | (end == n - k))
    columns = np.zeros((n, n + 1), bool)
    columns[:, :n] = plot  # symmetric: rows are columns; a False after each ends what is at its border
    begin, end = _stretches(columns.ravel())
    return Lines(float(plot.sum() / pairs), np.concatenate(lengths), np.concatenate(cut), end - begin)


def slope_of(lengths: Int64[np.ndarray, " line"], cut: Bool[np.ndarray, " line"], least: int) -> tuple[float, int]:
    """How the logarithm of the number of lines falls with each step of length: of a geometric distribution of lengths
    from `least` on, by maximum likelihood; a line that ends at the border is at least as long as is seen.

    Returns:
        the slope (0 where no line was seen to end, NaN where none is longer than `least`), and how many lines were seen
        to end.
    """
    long = lengths >= least
    ended = int((long & ~cut).sum())
    more = float((lengths[long] - least).sum())
    return (float(np.log(more / (more + ended))) if more > 0 else np.nan), ended


def _stretches(marks: Bool[np.ndarray, " place"]) -> tuple[Int64[np.ndarray, " line"], Int64[np.ndarray, " line"]]:
    """Where stretches of True begin, and where the first False after each is."""
    padded = np.zeros(len(marks) + 2, np.int8)
    padded[1:-1] = marks
    steps = np.diff(padded)
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
