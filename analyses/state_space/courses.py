"""When does a course over training go from where it began to where it ends, and how abruptly?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.noise.over_trials import TAIL

LEVELS = (0.1, 0.5, 0.9)  # parts of the way
CLEAR = 2.0  # standard errors by which end and beginning must differ at least


@dataclass(frozen=True)
class Ways:
    """The steps since which a course stays beyond a tenth, a half and nine tenths of its way from the first checkpoint
    to the last, interpolated between checkpoints. NaN where beginning and end are alike within two standard errors, or
    a value is missing.

    Attributes:
        statistic: which.
        step: of each part of the way.
        low, high: an interval of 95 % of each, of a bootstrap over trials; the step itself where the statistic has no
            error over trials.
    """

    statistic: tuple[str, ...]
    step: Float[np.ndarray, "statistic level"]
    low: Float[np.ndarray, "statistic level"]
    high: Float[np.ndarray, "statistic level"]

    def half(self, name: str) -> float:
        """The step since which the course stays beyond half of its way."""
        return float(self.step[self.statistic.index(name), 1])

    def abruptness(self, name: str) -> float:
        """The steps from a tenth to nine tenths, over those to the half: small for a plateau and a drop, 1.6 for a
        straight line, 3.2 for exponential decay."""
        tenth, half, most = self.step[self.statistic.index(name)]
        return float((most - tenth) / half) if half > 0 else np.nan


def ways(
    step: Integer[np.ndarray, " checkpoint"],
    names: tuple[str, ...],
    draws: list[Float[np.ndarray, "resample checkpoint"]],
) -> Ways:
    """Of each statistic.

    Args:
        step: of each checkpoint, ascending.
        names: of the statistics.
        draws: of each, its course; the first row as it was found, the others of resampled trials.
    """
    found = np.full((3, len(names), len(LEVELS)), np.nan)
    for k, each in enumerate(draws):
        change = each[:, -1] - each[:, 0]
        if not np.isfinite(each[0]).all() or not abs(change[0]) > CLEAR * np.nanstd(change[1:]):
            continue
        part = (each - each[:, :1]) / change[:, None]
        for level, wanted in enumerate(LEVELS):
            crossed = _since(step, part, wanted)
            found[0, k, level] = crossed[0]
            found[1:, k, level] = np.nanquantile(crossed[1:], [TAIL, 1 - TAIL])
    return Ways(names, *found)


def _since(
    step: Integer[np.ndarray, " checkpoint"], part: Float[np.ndarray, "course checkpoint"], level: float
) -> Float[np.ndarray, " course"]:
    """The step since which each course is at `level` or beyond; courses begin at 0 and end at 1."""
    below = part < level
    last = part.shape[1] - 1 - np.argmax(below[:, ::-1], 1)
    last = np.minimum(last, part.shape[1] - 2)  # a course with missing values, which is at no level
    rows = np.arange(len(part))
    before, after = part[rows, last], part[rows, last + 1]
    with np.errstate(all="ignore"):
        share = (level - before) / (after - before)
    return step[last] + share * (step[last + 1] - step[last])
