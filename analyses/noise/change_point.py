"""Since when is it otherwise? One change of a course from one line to another, with its interval."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.noise.over_trials import TAIL

# How much better in BIC two segments must be than one: 6 is called strong (Kass & Raftery, JASA 90, 1995).
STRONG = 6.0
LEAST = 2  # checkpoints in a segment
FEWEST = 7  # checkpoints: two lines and a place are five numbers


@dataclass(frozen=True)
class ChangePoints:
    """The step from which on each statistic goes another way: two lines over the numbers of the checkpoints, against
    one. NaN for "no change point", where one line does as well, or there are fewer than 7 checkpoints. It is known no
    better than checkpoints are apart: the change lies between the one before and that step.

    Attributes:
        statistic: which.
        step: the first checkpoint of the second line.
        low, high: an interval of 95 %, of a bootstrap over trials.
        bic: by how much two lines are better than one; minus infinity where that is not known.
    """

    statistic: tuple[str, ...]
    step: Float[np.ndarray, " statistic"]
    low: Float[np.ndarray, " statistic"]
    high: Float[np.ndarray, " statistic"]
    bic: Float[np.ndarray, " statistic"]

    def words(self) -> str:
        """In words."""
        known = [
            f"{name} at step {self.step[k]:.0f} [{self.low[k]:.0f}, {self.high[k]:.0f}]"
            for k, name in enumerate(self.statistic)
            if np.isfinite(self.step[k])
        ]
        without = [name for k, name in enumerate(self.statistic) if not np.isfinite(self.step[k])]
        said = f"changes: {', '.join(known)}" if known else ""
        if np.isneginf(self.bic).all():
            return "no change points: fewer than 7 checkpoints of which anything is known"
        none = f"no change point in {', '.join(without)}" if without else ""
        return "; ".join(part for part in (said, none) if part)


def change_points(
    step: Integer[np.ndarray, " checkpoint"],
    names: tuple[str, ...],
    draws: list[Float[np.ndarray, "resample checkpoint"]],
) -> ChangePoints:
    """Two lines against one, of each statistic.

    Args:
        step: of each checkpoint.
        names: of the statistics.
        draws: of each, its course; the first row as it was found, the others of resampled trials.
    """
    found = []
    for each in draws:
        place, gain = _two_lines(each[:1])
        where, lower, upper = np.nan, np.nan, np.nan
        if np.isfinite(gain[0]) and gain[0] > STRONG:
            others = _two_lines(each[1:])[0]
            others = others[others > 0]
            where = float(step[place[0]])
            if len(others):
                lower, upper = np.quantile(step[others], [TAIL, 1 - TAIL], method="closest_observation")
        found.append((where, float(lower), float(upper), float(gain[0])))
    where, lower, upper, gain = np.array(found).reshape(-1, 4).T
    return ChangePoints(names, where, lower, upper, gain)


def _two_lines(
    courses: Float[np.ndarray, "course checkpoint"],
) -> tuple[Integer[np.ndarray, " course"], Float[np.ndarray, " course"]]:
    """(first checkpoint of the second line, how much better two lines are than one in BIC) of each; 0 and -infinity
    where a value is missing or there are too few."""
    n = courses.shape[1]
    place, gain = np.zeros(len(courses), np.int64), np.full(len(courses), -np.inf)
    whole = np.isfinite(courses).all(1)
    if n < FEWEST or not whole.any():
        return place, gain
    some = courses[whole]
    one = _rest(some)
    two = np.stack([_rest(some[:, :k]) + _rest(some[:, k:]) for k in range(LEAST, n - LEAST + 1)])
    best = two.argmin(0)
    # Rounding of courses that lie on a line must not look like a change.
    tiny = 1e-20 + 1e-12 * (some**2).sum(1)
    # A level, a slope and a place more: three parameters.
    better = n * np.log((one + tiny) / (two.min(0) + tiny)) - 3 * np.log(n)
    place[whole], gain[whole] = best + LEAST, np.where(one > tiny, better, -np.inf)
    return place, gain


def _rest(courses: Float[np.ndarray, "course part"]) -> Float[np.ndarray, " course"]:
    """Sum of squares about the line of least squares, over the number of the checkpoint."""
    n = courses.shape[1]
    axes, _ = np.linalg.qr(np.column_stack([np.ones(n), np.arange(n)]))
    return ((courses - courses @ axes @ axes.T) ** 2).sum(1)
