"""The shortest way across a border, step by step: along the border's normal, and down to the border again.

At a crossing x + w with normal n the nearest state of the border's tangent plane to x is x + (n·w) n. The next way is
in that direction, or where the border bends too much, between the old one and that. It is shortest in first order
where w is along n. (The same iteration finds the design point of a failure surface: Rackwitz and Fiessler, Computers &
Structures 9, 1978.)
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.causal.borders import Facing, Inside, bisected, facing
from rnnscope.analyses.causal.outcomes import Futures

# Shares of the step to the tangent plane's nearest state that are tried, all at once; the first that is shorter by a
# tenth of what it promises is taken (Armijo's rule). Where no share is, the border has an edge, or nothing is left.
SHARES, ENOUGH = 0.5 ** np.arange(8), 0.1
# Between rounds the border is located to this part of the way; it is as exact as is asked for in the end.
COARSE = 1e-6
# How often a way that rounding left just before the border is made longer: by up to 1e-5 of it.
N_LONGER = 32
LOCALLY_LEAST, EDGE, ROUNDS, NO_NORMAL, NOT_FOUND = range(5)


@dataclass(frozen=True, eq=False)
class Ways:
    """Ways across a border.

    Attributes:
        direction: of each, of length 1.
        low, high: how far along it one state is before the border, one beyond.
        facing: the border at its end.
        sine: of the angle between direction and normal; 1 where there is no normal.
        status: 0 locally least, 1 at an edge (no shorter one nearby), 2 rounds ran out, 3 no normal.
    """

    direction: Float[np.ndarray, "way unit"]
    low: Float[np.ndarray, " way"]
    high: Float[np.ndarray, " way"]
    facing: Facing
    sine: Float[np.ndarray, " way"]
    status: Integer[np.ndarray, " way"]

    def some(self, rows: Integer[np.ndarray, " some"]) -> "Ways":
        """Some of the ways."""
        facing = Facing(*(getattr(self.facing, name)[rows] for name in Facing.__dataclass_fields__))
        return Ways(self.direction[rows], self.low[rows], self.high[rows], facing, self.sine[rows], self.status[rows])

    def changed(self, rows: Integer[np.ndarray, " some"], others: "Ways") -> "Ways":
        """The ways with others in place of these."""

        def put(into: np.ndarray, what: np.ndarray) -> np.ndarray:
            found = into.copy()
            found[rows] = what
            return found

        names = Facing.__dataclass_fields__
        facing = Facing(*(put(getattr(self.facing, name), getattr(others.facing, name)) for name in names))
        own = ("direction", "low", "high", "sine", "status")
        return Ways(facing=facing, **{name: put(getattr(self, name), getattr(others, name)) for name in own})


def shortened(
    futures: Futures,
    inside: Inside,
    begin: Float[np.ndarray, "way unit"],
    direction: Float[np.ndarray, "way unit"],
    low: Float[np.ndarray, " way"],
    high: Float[np.ndarray, " way"],
    problem: Integer[np.ndarray, " way"],
    saddles: Float[np.ndarray, "saddle unit"],
    *,
    n_rounds: int,
    tolerance: float,
    precision: float,
) -> Ways:
    """Shorten ways that are outside at `low` and inside at `high`; no way gets longer.

    Args:
        inside: (states, ways) -> whether they are across.
        n_rounds: most rounds.
        tolerance: the sine at which a way is locally least.
        precision: how exactly to locate the border in the end, as a part of the way.
    """
    direction = direction.copy()
    low, high = bisected(inside, begin, direction, low, high, precision=max(COARSE, precision))
    status, going = np.full(len(begin), ROUNDS), np.arange(len(begin))
    for _ in range(n_rounds):
        if not len(going):
            break
        here, unit = begin[going], direction[going]
        near, far = here + low[going, None] * unit, here + high[going, None] * unit
        normal = facing(futures, near, far, problem[going], saddles[:0]).normal
        sine = sine_between(unit, normal)
        status[going[sine < tolerance]] = LOCALLY_LEAST
        status[going[~np.isfinite(normal).all(1)]] = NO_NORMAL
        on = np.flatnonzero((sine >= tolerance) & np.isfinite(normal).all(1))
        going = going[on]
        accepted = _next(inside, begin, direction, high, going, normal[on])
        status[going[~accepted]] = EDGE
        going = going[accepted]
        # Most of what is left lies within the last tenth; else the bracket begins at the state itself.
        low[going] = 0.9 * high[going]
        there = inside(begin[going] + low[going, None] * direction[going], going)
        low[going[there]] = 0.0
        low[going], high[going] = bisected(
            lambda states, rows, going=going: inside(states, going[rows]),
            begin[going],
            direction[going],
            low[going],
            high[going],
            precision=max(COARSE, precision),
        )
    low, high = bisected(inside, begin, direction, low, high, precision=precision)
    found = _facing_at(futures, begin, direction, low, high, problem, saddles)
    status[found.sine < tolerance] = LOCALLY_LEAST
    # What looked least at a coarser crossing, and is not at this one, is as far as the rounds have come.
    status[(found.sine >= tolerance) & (status == LOCALLY_LEAST)] = ROUNDS
    status[found.status == NO_NORMAL] = NO_NORMAL
    return replace(found, status=status)


def located(
    futures: Futures,
    inside: Inside,
    begin: Float[np.ndarray, "way unit"],
    way: Float[np.ndarray, "way unit"],
    problem: Integer[np.ndarray, " way"],
    saddles: Float[np.ndarray, "saddle unit"],
    *,
    precision: float,
) -> tuple[Ways, Bool[np.ndarray, " way"]]:
    """Where ways that end across cross, within their last tenth or, if they are across there too, before; and which
    really end across, at least a little further."""
    high = np.linalg.norm(way, axis=1)
    direction = way / high[:, None]
    rows = np.arange(len(way))
    low = 0.9 * high
    low[inside(begin + low[:, None] * direction, rows)] = 0.0
    # The length of a vector is rounded: what ended just across must not begin just before.
    across = inside(begin + high[:, None] * direction, rows)
    for more in 1e-15 * 2.0 ** np.arange(N_LONGER):
        if across.all():
            break
        high[~across] *= 1 + more
        across[~across] = inside(begin[~across] + high[~across, None] * direction[~across], rows[~across])
    low, high = bisected(inside, begin, direction, low, high, precision=precision)
    return _facing_at(futures, begin, direction, low, high, problem, saddles), across


def _facing_at(
    futures: Futures,
    begin: np.ndarray,
    direction: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    problem: np.ndarray,
    saddles: np.ndarray,
) -> Ways:
    ends = facing(futures, begin + low[:, None] * direction, begin + high[:, None] * direction, problem, saddles)
    status = np.where(np.isfinite(ends.normal).all(1), ROUNDS, NO_NORMAL)
    return Ways(direction, low, high, ends, sine_between(direction, ends.normal), status)


def _next(
    inside: Inside,
    begin: np.ndarray,
    direction: np.ndarray,
    high: np.ndarray,
    going: np.ndarray,
    normal: np.ndarray,
) -> Bool[np.ndarray, " going"]:
    """Take the largest share of the step that makes the way shorter; changes `direction` and `high`, and says where
    there was one."""
    if not len(going):
        return np.zeros(0, bool)
    way = high[going, None] * direction[going]
    aside = way - (way * normal).sum(1, keepdims=True) * normal
    tried = way - SHARES[:, None, None] * aside  # (share, way, unit)
    length = np.linalg.norm(tried, axis=2)
    wanted = high[going] - ENOUGH * (high[going] - length)
    with np.errstate(all="ignore"):
        units = tried / length[..., None]
    states = begin[going] + wanted[..., None] * units
    able = inside(states.reshape(-1, way.shape[1]), np.tile(going, len(SHARES))).reshape(length.shape)
    able &= (length > 0) & (wanted < high[going])
    chosen, accepted = able.argmax(0), able.any(0)
    rows = np.flatnonzero(accepted)
    direction[going[rows]] = units[chosen[rows], rows]
    high[going[rows]] = wanted[chosen[rows], rows]
    return accepted


def sine_between(one: Float[np.ndarray, "way unit"], other: Float[np.ndarray, "way unit"]) -> Float[np.ndarray, " way"]:
    """Of the angle between unit vectors; 1 beyond a right angle, and where one is not known."""
    along = (one * other).sum(1)
    across = np.linalg.norm(one - along[:, None] * other, axis=1)
    return np.where(np.isfinite(across) & (along > 0), np.minimum(across, 1.0), 1.0)
