"""The shortest way to an edge of a basin, where it meets several others: what several tangent planes leave.

To a basin that lies beyond others the shortest way ends where their borders meet, and along no normal. Each border that
is crossed gives a plane, and the state nearest to x that is beyond all planes is tried. Where it is not across, the way
from it to the attractor crosses one more border, whose plane is added (the supporting hyperplane method: Veinott,
Operations Research 15, 147-152, 1967). Of a convex basin the nearest state beyond the planes is never further than the
basin, and the two meet.
"""

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.causal.borders import Inside, bisected, facing
from rnnscope.analyses.causal.outcomes import Futures

# Borders are located to this part of the way to the attractor, between rounds.
COARSE = 1e-7


def to_edges(
    futures: Futures,
    inside: Inside,
    begin: Float[np.ndarray, "way unit"],
    way: Float[np.ndarray, "way unit"],
    normal: Float[np.ndarray, "way unit"],
    attractor: Float[np.ndarray, "way unit"],
    problem: Integer[np.ndarray, " way"],
    *,
    n_rounds: int,
    tolerance: float,
) -> tuple[Float[np.ndarray, "way unit"], Float[np.ndarray, " way"]]:
    """(ways that are across and no longer than those given, the least length that the planes leave).

    Args:
        inside: (states, ways) -> whether they are across.
        begin, way: the state, and what is added to it.
        normal: of the border there; NaN where it is not known.
        attractor: a state that is across, further in.
        n_rounds: most planes that are added to each way.
        tolerance: the part of a way by which it may be longer than what the planes leave.
    """
    way, bound = way.copy(), np.zeros(len(way))
    length = np.linalg.norm(way, axis=1)
    planes: list[list[np.ndarray]] = [[n] if np.isfinite(n).all() else [] for n in normal]
    offsets = [[float(n @ w)] if len(known) else [] for n, w, known in zip(normal, way, planes, strict=True)]
    going = np.flatnonzero(inside(attractor, np.arange(len(way))))
    for _ in range(n_rounds):
        goal = np.array([_least(planes[i], offsets[i], way.shape[1]) for i in going]).reshape(-1, way.shape[1])
        sound = np.isfinite(goal).all(1)
        going, goal = going[sound], goal[sound]
        bound[going] = np.maximum(bound[going], np.linalg.norm(goal, axis=1))
        on = bound[going] < length[going] * (1 - tolerance)
        going, goal = going[on], goal[on]
        if not len(going):
            break
        there = inside(begin[going] + goal, going)
        way[going[there]], length[going[there]] = goal[there], np.linalg.norm(goal[there], axis=1)
        going, goal = going[~there], goal[~there]
        if not len(going):
            break
        state, inwards = begin[going] + goal, attractor[going] - begin[going] - goal
        low, high = bisected(
            lambda states, rows, going=going: inside(states, going[rows]),
            state,
            inwards,
            np.zeros(len(going)),
            np.ones(len(going)),
            precision=COARSE,
        )
        far = state + high[:, None] * inwards
        seen = facing(futures, state + low[:, None] * inwards, far, problem[going], attractor[:0]).normal
        crossing = far - begin[going]
        shorter = np.linalg.norm(crossing, axis=1) < length[going]
        way[going[shorter]], length[going[shorter]] = crossing[shorter], np.linalg.norm(crossing[shorter], axis=1)
        for i, n, end in zip(going, seen, crossing, strict=True):
            if np.isfinite(n).all():
                planes[i].append(n)
                offsets[i].append(float(n @ end))
        going = going[np.isfinite(seen).all(1)]
    return way, np.minimum(bound, length)


def _least(normals: list[np.ndarray], offsets: list[float], size: int) -> np.ndarray:
    """The shortest w with n . w >= c for all planes (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter
    23); NaN where there is none."""
    from scipy.optimize import nnls

    if not normals:
        return np.full(size, np.nan)
    matrix = np.vstack([np.array(normals).T, np.array(offsets)[None]])
    unit = np.append(np.zeros(size), 1.0)
    weights, _ = nnls(matrix, unit)
    residual = matrix @ weights - unit
    return -residual[:-1] / residual[-1] if residual[-1] < -1e-12 else np.full(size, np.nan)
