"""The border of a basin: where a way into it crosses, and which way it faces there.

Two states on either side of the border, as near to each other as bisection brings them, stay together while their
orbits run along the border, to the saddle (or other edge state) on it, and part along its unstable direction (edge
tracking: Skufca, Yorke and Eckhardt, Physical Review Letters 96, 174101, 2006). A covector that is carried back by the
transposed Jacobians along such an orbit turns into the border's normal: at the saddle into its left unstable
eigenvector, whatever it was, as all others shrink beside it, and from there on by what the map does on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.causal.outcomes import Futures

# The two sides have parted at this part of the least distance between attractors: the map is still about linear there.
PARTED = 1e-3
# Most steps along the border, and numbers of a state that are kept of them. An orbit stays ln(1e6) / ln|λ| steps if it
# begins 1e-9 of the way off: 1,400 steps are enough for |λ| = 1.01.
MOST_STEPS, MOST_NUMBERS = 1400, 2**24

Inside = Callable[[Float[np.ndarray, "some unit"], Integer[np.ndarray, " some"]], Bool[np.ndarray, " some"]]


@dataclass(frozen=True, eq=False)
class Facing:
    """How the border faces at several crossings.

    Attributes:
        normal: of length 1, towards the far side; NaN where the two sides did not part.
        saddle: which of the unstable points orbits along the border come nearest to; -1 where there are none.
        saddle_gap: how near.
        steps: after how many the two sides parted.
    """

    normal: Float[np.ndarray, "crossing unit"]
    saddle: Integer[np.ndarray, " crossing"]
    saddle_gap: Float[np.ndarray, " crossing"]
    steps: Integer[np.ndarray, " crossing"]


def bisected(
    inside: Inside,
    begin: Float[np.ndarray, "way unit"],
    direction: Float[np.ndarray, "way unit"],
    low: Float[np.ndarray, " way"],
    high: Float[np.ndarray, " way"],
    *,
    precision: float,
) -> tuple[Float[np.ndarray, " way"], Float[np.ndarray, " way"]]:
    """Narrow down where each way, begin + s direction, crosses into a region: at s = low it is outside, at high inside,
    and so it stays, until high - low <= precision * high."""
    low, high = low.copy(), high.copy()
    while True:
        middle = (low + high) / 2
        wide = np.flatnonzero((high - low > precision * high) & (low < middle) & (middle < high))
        if not len(wide):
            return low, high
        there = inside(begin[wide] + middle[wide, None] * direction[wide], wide)
        high[wide[there]], low[wide[~there]] = middle[wide[there]], middle[wide[~there]]


def facing(
    futures: Futures,
    near: Float[np.ndarray, "crossing unit"],
    far: Float[np.ndarray, "crossing unit"],
    problem: Integer[np.ndarray, " crossing"],
    saddles: Float[np.ndarray, "saddle unit"],
) -> Facing:
    """How the border faces between these states, one on each side of it."""
    n, size = near.shape
    longest = futures.own.shape[1] + min(MOST_STEPS, futures.n_steps)
    part = max(1, MOST_NUMBERS // (size * longest))
    parts = [slice(first, first + part) for first in range(0, max(n, 1), part)]
    found = [_facing(futures, near[some], far[some], problem[some], saddles, longest) for some in parts]
    return Facing(*(np.concatenate([getattr(each, name) for each in found]) for name in Facing.__dataclass_fields__))


def _facing(
    futures: Futures, near: np.ndarray, far: np.ndarray, problem: np.ndarray, saddles: np.ndarray, longest: int
) -> Facing:
    n = len(near)
    parted = PARTED * least_distance(futures.attractors)
    way, steps, covector = [far.copy()], np.zeros(n, np.int64), np.full(near.shape, np.nan)
    closest, which = np.full(n, np.inf), np.full(n, -1)
    going, near, far = np.arange(n), near.copy(), far.copy()
    with np.errstate(all="ignore"):
        for number in range(longest + 1):
            apart = far[going] - near[going]
            length = np.linalg.norm(apart, axis=1)
            if len(saddles):
                held = going[futures.n_own[problem[going]] <= number]
                gaps = np.stack([np.linalg.norm(far[held] - saddle, axis=1) for saddle in saddles], 1)
                nearer = gaps.min(1) < closest[held]
                closest[held[nearer]], which[held[nearer]] = gaps.min(1)[nearer], gaps.argmin(1)[nearer]
            done = length > parted
            covector[going[done]] = apart[done] / length[done, None]
            steps[going[done]] = number
            going = going[~done & np.isfinite(length) & (length > 0)]
            if not len(going) or number == longest:
                break
            near[going] = futures.step(near[going], problem[going], number)
            far[going] = futures.step(far[going], problem[going], number)
            way.append(far.copy())
        for number in range(int(steps.max(initial=0)) - 1, -1, -1):
            back = np.flatnonzero((steps > number) & np.isfinite(covector).all(1))
            inputs = futures.inputs(problem[back], number)
            carried = futures.state_map.vjp(way[number][back], inputs, covector[back][..., None])[..., 0]
            covector[back] = carried / np.linalg.norm(carried, axis=1, keepdims=True)
    return Facing(covector, which, closest, steps)


def least_distance(points: Float[np.ndarray, "point unit"]) -> float:
    """Between any two of them."""
    from scipy.spatial.distance import pdist

    return float(pdist(points).min())
