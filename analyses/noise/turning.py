"""Does the driven orbit turn one way? The angle that it goes about its middle, net and in all."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.noise.over_trials import over_trials

ONE_WAY = 0.9  # of all turning: less than a twentieth of it is the other way


@dataclass(frozen=True)
class Rotation:
    """Net over absolute turning in the plane: 1 or -1 turns one way only, 0 as much one way as the other, as every
    reversible process does.

    Attributes:
        ratio: over all trials; positive from the first principal component towards the second. Its sign hangs on the
            sign of these; only its size and whether it is 0 mean something.
        error: its standard error over trials.
        low, high: an interval of 95 %, of a bootstrap over trials.
        area: the same of the area that is swept about the middle, in which steps far out count more.
        area_low, area_high: its interval.
        shuffled: the spread (standard deviation) of the ratio where steps have signs at random: what no direction at
            all would give.
        turns: net turns per 100 steps.
    """

    ratio: float
    error: float
    low: float
    high: float
    area: float
    area_low: float
    area_high: float
    shuffled: float
    turns: float

    @property
    def verdict(self) -> str:
        """ "one way" where nine tenths of all turning are; "more one way" where the interval of the angle has no 0 in
        it; "circulation" where that of the angle has, and that of the area has not: currents that do not go round the
        mean; "none" where both have; "unknown" without intervals."""
        if not (np.isfinite(self.low) and np.isfinite(self.area_low)):
            return "unknown"
        if self.low > 0 or self.high < 0:
            return "one way" if abs(self.ratio) > ONE_WAY else "more one way"
        return "circulation" if self.area_low > 0 or self.area_high < 0 else "none"

    def words(self) -> str:
        """In words."""
        said = {
            "one way": "turns one way",
            "more one way": "turns both ways, one more than the other",
            "circulation": "no net turning about its mean, but area is swept more one way",
            "none": "no net rotation seen",
            "unknown": "rotation unknown",
        }[self.verdict]
        angle = f"net/absolute angle {self.ratio:.3f} [{self.low:.3f}, {self.high:.3f}]"
        area = f"area {self.area:.3f} [{self.area_low:.3f}, {self.area_high:.3f}]"
        return f"{said} ({angle}, {area}, {abs(self.turns):.2g} turns in 100 steps)".replace("-", "−")


def rotation_of(path: Float[np.ndarray, "trial time axis"], n_shuffles: int, rng: np.random.Generator) -> Rotation:
    """Of a path about its mean, which is 0. A step of half a turn or more counts as the shorter way round."""
    cross = path[:, :-1, 0] * path[:, 1:, 1] - path[:, :-1, 1] * path[:, 1:, 0]
    along = (path[:, :-1] * path[:, 1:]).sum(2)
    # Reversed in time the angles are those with the other sign, exactly: a control that needs no run.
    angle = np.arctan2(cross, along)
    # Of opposite directions neither way is shorter.
    angle = np.where(np.abs(np.abs(angle) - np.pi) < 1e-9, 0.0, angle)
    found = over_trials(
        np.stack([angle.sum(1), cross.sum(1)], -1), np.stack([np.abs(angle).sum(1), np.abs(cross).sum(1)], -1), rng
    )
    total = np.abs(angle).sum()
    spread = np.nan
    if total > 0:
        signs = rng.choice([-1.0, 1.0], (n_shuffles, angle.size))
        spread = float((signs @ np.abs(angle).ravel()).std() / total)
    return Rotation(
        float(found.value[0]), float(found.error[0]), float(found.low[0]), float(found.high[0]),
        float(found.value[1]), float(found.low[1]), float(found.high[1]),
        spread, float(100 * angle.mean() / (2 * np.pi)),
    )  # fmt: skip
