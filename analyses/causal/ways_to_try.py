"""Where a border may be near: on the way to other attractors, to saddles, and in their unstable directions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, Integer

from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# So many of the nearest attractors and saddles are gone towards, and of so many of the saddles the unstable directions
# are tried: more directions find more borders, and of these only the nearest are looked at further.
NEAREST, WITH_DIRECTIONS = 16, 4
# Where on each way to look. The way to a saddle goes a little beyond it: the saddle itself is on the border.
LOOKED_AT = np.linspace(0, 1, 9)[1:]
BEYOND, BEYOND_SADDLE = 1.02, 1.25


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The unstable points at an input.

    Attributes:
        saddles: the points.
        listed: their rows in the list of fixed points.
        n_unstable: how many directions of each are unstable.
        unstable: the right and the left eigenvector of the largest |λ| (of a pair its real part), of length 1.
    """

    saddles: Float[np.ndarray, "saddle unit"]
    listed: Int64[np.ndarray, " saddle"]
    n_unstable: Integer[np.ndarray, " saddle"]
    unstable: Float[np.ndarray, "saddle 2 unit"]


def landmarks(
    state_map: CompleteMap, found: FixedPoints, condition: int, attractors: Int64[np.ndarray, " attractor"]
) -> Landmarks:
    """All points of a list that are no attractors, with the directions in which what is near them leaves."""
    rows = np.setdiff1d(found.at(condition), attractors).astype(np.int64)
    saddles = found.points[rows]
    n_unstable = found.n_unstable[rows]
    if not len(rows):
        return Landmarks(saddles, rows, n_unstable, np.empty((0, 2, state_map.state_size)))
    _, right, left = linalg.eigenvectors(state_map.jacobian(saddles, found.held_inputs[found.point_input[rows]]))
    vectors = np.real(np.stack([right[:, :, 0], left[:, :, 0]], 1))
    with np.errstate(all="ignore"):
        vectors = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    return Landmarks(saddles, rows, n_unstable, np.nan_to_num(vectors))


def tried_ways(
    reached: Callable[[np.ndarray, np.ndarray], Integer[np.ndarray, " some"]],
    states: Float[np.ndarray, "problem unit"],
    own: Integer[np.ndarray, " problem"],
    target: Integer[np.ndarray, " problem"],
    attractors: Float[np.ndarray, "attractor unit"],
    known: Landmarks,
    random: Float[np.ndarray, "problem random unit"],
    n_starts: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Look on all ways, and keep those of each problem that come across soonest: first the best to each attractor, as
    these cross different borders, then the second best.

    Args:
        reached: (states, problems) -> the attractor that they go to, if a push is to take them there; else -1.
        states: what is pushed. own: the attractor that it goes to. target: the one that it is to go to, -1 for any.
        n_starts: how many ways to keep of each problem.

    Returns:
        (problem, direction, how far is not across, how far is) of the ways that are kept.
    """
    n, size = states.shape
    rows = np.arange(n)
    away = np.linalg.norm(states[:, None] - attractors, axis=2)
    away[rows, own] = np.inf
    away[target >= 0] = np.where(np.arange(len(attractors)) == target[target >= 0, None], away[target >= 0], np.inf)
    nearest = np.argsort(np.round(away, 9), 1, kind="stable")[:, :NEAREST]
    reach = away.min(1)
    ways = [attractors[nearest] - states[:, None]]
    lengths = [BEYOND * np.where(np.isfinite(away[rows[:, None], nearest]), away[rows[:, None], nearest], 0.0)]
    if len(known.saddles):
        to_saddle = np.linalg.norm(states[:, None] - known.saddles, axis=2)
        near = np.argsort(np.round(to_saddle, 9), 1, kind="stable")[:, :NEAREST]
        ways.append(known.saddles[near] - states[:, None])
        lengths.append(BEYOND_SADDLE * to_saddle[rows[:, None], near])
        leaving = known.unstable[near[:, :WITH_DIRECTIONS]].reshape(n, -1, size)
        ways += [leaving, -leaving]
        lengths += [np.repeat(BEYOND * reach[:, None], leaving.shape[1], 1)] * 2
    ways.append(random)
    lengths.append(np.repeat(BEYOND * reach[:, None], random.shape[1], 1))
    way, length = np.concatenate(ways, 1), np.concatenate(lengths, 1)
    norm = np.linalg.norm(way, axis=2)
    problem, which = np.nonzero((norm > 0) & (length > 0))
    unit, length = way[problem, which] / norm[problem, which, None], length[problem, which]
    far = length[:, None] * LOOKED_AT
    looked = (states[problem, None] + far[..., None] * unit[:, None]).reshape(-1, size)
    there = reached(looked, np.repeat(problem, len(LOOKED_AT))).reshape(far.shape)
    able = np.flatnonzero((there >= 0).any(1))
    first = (there[able] >= 0).argmax(1)
    to = there[able, first]
    problem, unit = problem[able], unit[able]
    high = far[able, first]
    low = np.where(first > 0, far[able, np.maximum(first - 1, 0)], 0.0)
    high_rounded, row = np.round(high, 9), np.arange(len(able))
    of_target = _rank(np.lexsort((row, high_rounded, to, problem)), problem * len(attractors) + to)
    kept = np.flatnonzero(_rank(np.lexsort((row, high_rounded, of_target, problem)), problem) < n_starts)
    return problem[kept], unit[kept], low[kept], high[kept]


def _rank(order: Integer[np.ndarray, " row"], group: Integer[np.ndarray, " row"]) -> Int64[np.ndarray, " row"]:
    """The place of each row within its group, rows being taken in this order, which puts groups one after another."""
    place = np.arange(len(order)) - np.searchsorted(group[order], group[order])
    found = np.empty(len(order), np.int64)
    found[order] = place
    return found
