"""Curves through all fixed points that searches find along a continuous axis."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rnnscope.analyses.fixed_points.continuation.bifurcations import Event, find_events
from rnnscope.analyses.fixed_points.continuation.curves import Curve, Family, follow, position, project
from rnnscope.numerics import linalg
from rnnscope.subjects.not_applicable import NotApplicable

# A search that missed points is done again with so many times the starts, and again while that finds new ones.
MORE_STARTS, MOST_MORE = 4, 16
# A curve that covers less of the axis than this is no branch along it.
UPRIGHT = 1e-6
MOST_ROWS = 5000
# Where the domain has no bound, a curve ends this many times further out than any point that a search found.
RUNAWAY = 100.0
# What is no exact solution after a polish is not followed.
SOLVED = 1e-9
# Rows whose Jacobians are held at a time.
PART = 32


@dataclass(frozen=True)
class Searched:
    """A search for fixed points.

    Attributes:
        value: where.
        more: how many times the usual number of starts.
        points: what it found; None where nothing told where to start.
        n_new: how many of the points no curve held before.
    """

    value: float
    more: int
    points: np.ndarray | None
    n_new: int = 0

    @property
    def n_found(self) -> int:
        return -1 if self.points is None else len(self.points)


@dataclass(frozen=True)
class Traced:
    """A curve with its events; `cuts` are the positions, in rows, where one branch ends and the next begins."""

    curve: Curve
    eigenvalues: np.ndarray
    events: list[Event]
    cuts: np.ndarray

    @property
    def n_branches(self) -> int:
        return max(len(self.cuts) + (not self.curve.closed), 1)

    def branches(self, positions: np.ndarray) -> np.ndarray:
        """The branch at each position, counted along the curve; a closed one ends in its first branch."""
        return np.searchsorted(self.cuts, positions) % self.n_branches


@dataclass(frozen=True)
class Tracked:
    """All curves, in the coordinates of `family`; `upright` are those that no branch along the axis belongs to."""

    family: Family
    traced: list[Traced]
    upright: list[Curve]
    searches: list[Searched]
    n_not_followed: int


def track(
    family: Family,
    search: Callable[[float, int, int], np.ndarray],
    *,
    n_searches: int,
    repeat: bool,
    max_step: float,
    max_branches: int,
) -> Tracked:
    """Follow all that searches find. `search(value, i, more)` gives the fixed points (point, state) there, from `more`
    times the usual starts, as the i-th search of all; it raises NotApplicable where it cannot begin. With `repeat` it
    is asked again where curves hold points that it missed, as others may be missing too."""
    places = _search_places(n_searches)
    at = (family.low * (1 - places) + family.high * places).tolist()
    found = search_all([lambda value=value, i=i: search(value, i, 1) for i, value in enumerate(at)])
    family = _measured(family, [points for points in found if points is not None])
    tracked = Tracked(family, [], [], [], 0)
    for value, points in zip(at, found, strict=True):
        tracked = _with(tracked, Searched(value, 1, points), max_step, max_branches)
    for first in list(tracked.searches) if repeat else ():
        last, more = first, MORE_STARTS
        while last.points is not None and more <= MOST_MORE and n_held(tracked, last.value) > last.n_found:
            again = search(last.value, len(tracked.searches), more)
            tracked = _with(tracked, Searched(last.value, more, again), max_step, max_branches)
            last, more = tracked.searches[-1], more * MORE_STARTS
            if not last.n_new:
                break
    return tracked


def n_held(tracked: Tracked, value: float) -> int:
    """How many points the curves have at a value."""
    family, count = tracked.family, 0
    at = (value - family.low) / (family.high - family.low)
    for each in tracked.traced:
        along = each.curve.x[:, -1] - at
        if at in (0.0, 1.0):
            count += int((along[[0, -1]] == 0).sum()) if len(along) > 1 else 1
        else:
            count += int((along[1:] * along[:-1] < 0).sum() + (along[:-1] == 0).sum())
    return count


def _search_places(n: int) -> np.ndarray:
    """Both ends, then ever finer between them; by the golden section, so that they miss round numbers, at which
    bifurcations like to be."""
    golden = (np.sqrt(5) - 1) / 2
    return np.concatenate([[0.0, 1.0], (golden * np.arange(1, n - 1)) % 1.0])


def search_all(searches: list[Callable[[], np.ndarray]]) -> list[np.ndarray | None]:
    """What each search finds, None where it cannot begin.

    Raises:
        NotApplicable: none can.
    """
    found: list[np.ndarray | None] = []
    why: NotApplicable | None = None
    for search in searches:
        try:
            found.append(search())
        except NotApplicable as error:
            found.append(None)
            why = error
    if why is not None and all(points is None for points in found):
        raise why
    return found


def spread(points: np.ndarray) -> float:
    """Their root mean square distance from their mean; 1 where they are one point but for rounding."""
    if not len(points):
        return 1.0
    found = float(np.sqrt(((points - points.mean(0)) ** 2).sum(1).mean()))
    return found if found > 1e-9 * (1 + np.abs(points).max()) else 1.0


def _measured(family: Family, found: list[np.ndarray]) -> Family:
    """The family with the spread of the points for its unit of length, and bounds where it has none."""
    points = np.concatenate(found)
    if not len(points):
        return family
    scale = spread(points)
    far = RUNAWAY * (scale + np.abs(points).max())
    return replace(family, scale=scale, bounds=np.clip(family.bounds, -far, far))


def _with(tracked: Tracked, searched: Searched, max_step: float, max_branches: int) -> Tracked:
    """What a search has found, followed."""
    family, points = tracked.family, searched.points
    lost, n_new = tracked.n_not_followed, 0
    if points is not None and len(points):
        seeds, isolated = project(family, family.scaled(points, np.full(len(points), searched.value)))
        good = isolated & (np.abs(family.residual(seeds)).max(1) < SOLVED)
        lost += int((~good).sum())
        for seed in seeds[good]:
            if not _is_known(tracked, seed):
                n_new += 1
                lost += _trace(tracked, seed, max_step, max_branches)
    searches = [*tracked.searches, replace(searched, n_new=n_new)]
    return replace(tracked, searches=searches, n_not_followed=lost)


def _is_known(tracked: Tracked, x: np.ndarray) -> bool:
    curves = [*(each.curve for each in tracked.traced), *tracked.upright]
    return any(position(tracked.family, curve, x) is not None for curve in curves)


def _trace(tracked: Tracked, seed: np.ndarray, max_step: float, max_branches: int) -> int:
    """Add the curve through a seed, and those that branch off it; how many were not followed."""
    family, seeds, lost = tracked.family, [seed], 0
    while seeds:
        seed = seeds.pop()
        if _is_known(tracked, seed):
            continue
        if sum(each.n_branches for each in tracked.traced) >= max_branches:
            lost += 1
            continue
        curve = follow(family, seed, max_step, MOST_ROWS)
        if np.ptp(curve.x[:, -1]) < UPRIGHT:
            tracked.upright.append(curve)
            lost += 1
            continue
        eigenvalues = spectra(family, curve.x)
        events = find_events(family, curve, eigenvalues)
        tracked.traced.append(Traced(curve, eigenvalues, events, _cuts(curve, events)))
        for event in events:
            seeds += [x for x in event.other_arms if 0 <= x[-1] <= 1 and family.inside(x)]
    return lost


def _cuts(curve: Curve, events: list[Event]) -> np.ndarray:
    turns = [event.position for event in events if event.turns]
    direction = np.sign(np.diff(curve.x[:, -1]))
    # Where p turns round though no event was seen there.
    for row in np.flatnonzero(direction[1:] * direction[:-1] < 0) + 1:
        if not any(row - 1 <= turn <= row + 1 for turn in turns):
            turns.append(float(row))
    return np.sort(turns)


def spectra(family: Family, x: np.ndarray) -> np.ndarray:
    """The eigenvalues at each row; part by part, as the Jacobians of all rows can be large."""
    found = [linalg.eigenvalues(family.jacobians(part)) for part in parts(x)]
    return np.concatenate([np.empty((0, x.shape[1] - 1), np.complex128), *found])


def parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + PART] for i in range(0, len(rows), PART)]
