"""Curves through all fixed points that searches find along a continuous axis."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from rnnscope.analyses.fixed_points.continuation.axes import Seen
from rnnscope.analyses.fixed_points.continuation.bifurcations import SAME_DEGENERATE, Event, find_events
from rnnscope.analyses.fixed_points.continuation.curves import Curve, Family, follow, position, project
from rnnscope.analyses.fixed_points.continuation.normal_forms import DEGENERATE
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
# Between the values that are searched, curves are looked for from so many slow points, in so many steps of such a
# length at most. What finds branches are the searches, `n_searches`; this only adds to them.
MOST_HINTS, STEPS_BETWEEN, LONGEST_BETWEEN = 16, 30, 0.5
# Rows whose Jacobians are held at a time.
PART = 32

Found = TypeVar("Found")


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
    n_between: int = 0


def track(
    family: Family,
    search: Callable[[float, int, int], Seen],
    *,
    n_searches: int,
    repeat: bool,
    max_step: float,
    max_branches: int,
) -> Tracked:
    """Follow all that searches find. `search(value, i, more)` gives what is found there, from `more` times the usual
    starts, as the i-th search of all; it raises NotApplicable where it cannot begin. With `repeat` it is asked again
    where curves hold points that it missed, as others may be missing too. Then curves are looked for between these
    values, from slow points, where F comes near to having a fixed point."""
    places = _search_places(n_searches)
    at = (family.low * (1 - places) + family.high * places).tolist()
    found = search_all([lambda value=value, i=i: search(value, i, 1) for i, value in enumerate(at)])
    hints = [(value, seen.slow) for value, seen in zip(at, found, strict=True) if seen]
    slow = [family.scaled(points, np.full(len(points), value)) for value, points in hints]
    family = _measured(family, [seen.points for seen in found if seen])
    tracked = Tracked(family, [], [], [], 0)
    for value, seen in zip(at, found, strict=True):
        points = None if seen is None else seen.points
        tracked = _with(tracked, Searched(value, 1, points), max_step, max_branches)
    for first in list(tracked.searches) if repeat else ():
        last, more = first, MORE_STARTS
        while last.points is not None and more <= MOST_MORE and n_held(tracked, last.value) > last.n_found:
            again = search(last.value, len(tracked.searches), more).points
            tracked = _with(tracked, Searched(last.value, more, again), max_step, max_branches)
            last, more = tracked.searches[-1], more * MORE_STARTS
            if not last.n_new:
                break
    return _with_between(tracked, slow, max_step, max_branches)


def _with_between(tracked: Tracked, slow: list[np.ndarray], max_step: float, max_branches: int) -> Tracked:
    """Curves that Newton's method in the state and along the axis together leads to."""
    family, n_between, lost = tracked.family, 0, tracked.n_not_followed
    begin = np.concatenate([np.empty((0, family.bounds.shape[1] + 1)), *slow])
    begin[:, :-1] /= family.scale  # they were taken down before the unit of length was known
    if not len(begin):
        return tracked
    begin = begin[np.argsort(np.linalg.norm(family.residual(begin), axis=1), kind="stable")[:MOST_HINTS]]
    ends = _nearest_solutions(family, begin)
    if not len(ends):
        return tracked
    seeds, isolated = project(family, ends)
    solved = isolated & (np.abs(family.residual(seeds)).max(1) < SOLVED)
    for seed in seeds[solved]:
        if family.inside(seed) and not _is_known(tracked, seed):
            n_between += 1
            lost += _trace(tracked, seed, max_step, max_branches)
    return replace(tracked, n_between=n_between, n_not_followed=lost)


def _nearest_solutions(family: Family, x: np.ndarray) -> np.ndarray:
    """Where Newton's method with steps of least length, and no longer than a part of the points' spread, ends within
    the axis."""
    x = x[np.isfinite(family.residual(x)).all(1)]
    active = np.arange(len(x))
    for _ in range(STEPS_BETWEEN):
        if not len(active):
            break
        here, r = x[active], family.residual(x[active])
        a = family.derivative(here)
        step = np.einsum("rij,ri->rj", a, linalg.solve(a @ a.swapaxes(1, 2), -r))
        size = np.linalg.norm(step, axis=1, keepdims=True)
        step = np.nan_to_num(step * np.minimum(1, LONGEST_BETWEEN / np.maximum(size, 1e-300)), posinf=0.0, neginf=0.0)
        best, least = here, np.linalg.norm(r, axis=1)
        for part in (1.0, 0.3, 0.1):
            tried = here + part * step
            tried[:, -1] = np.clip(tried[:, -1], 0.0, 1.0)
            norm = np.nan_to_num(np.linalg.norm(family.residual(tried), axis=1), nan=np.inf)
            best, least = np.where((norm < least)[:, None], tried, best), np.minimum(norm, least)
        moved = (best != here).any(1)
        x[active] = best
        active = active[moved & (least > SOLVED)]
    return x[np.abs(family.residual(x)).max(1) < 1e-6] if len(x) else x


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


def search_all(searches: list[Callable[[], Found]]) -> list[Found | None]:
    """What each search finds, None where it cannot begin.

    Raises:
        NotApplicable: none can.
    """
    found: list[Found | None] = []
    why: NotApplicable | None = None
    for search in searches:
        try:
            found.append(search())
        except NotApplicable as error:
            found.append(None)
            why = error
    if why is not None and all(each is None for each in found):
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
    unsure = [event for event in events if event.kind in (DEGENERATE, "unclassified")]
    turns = [event.position for event in events if event.turns and event.kind not in (DEGENERATE, "unclassified")]
    along, near = curve.x[:, -1], np.zeros(len(curve.x), bool)
    for event in unsure:
        # Next to it p turns by rounding: what counts is where the curve comes from, and where it goes.
        close = np.linalg.norm(curve.x - event.x, axis=1) < SAME_DEGENERATE
        near |= close
        rows = np.flatnonzero(~close)
        before, after = rows[rows < event.position], rows[rows > event.position]
        if len(before) and len(after) and (event.x[-1] - along[before[-1]]) * (along[after[0]] - event.x[-1]) < 0:
            turns.append(event.position)
    direction = np.sign(np.diff(along))
    # Where p turns round though no event was seen there; to and fro within so little is rounding.
    rows = np.flatnonzero(direction[1:] * direction[:-1] < 0) + 1
    unseen: list[int] = []
    for row in rows.tolist():
        if near[row] or any(row - 1 <= turn <= row + 1 for turn in turns):
            continue
        if unseen and np.linalg.norm(curve.x[row] - curve.x[unseen[-1]]) < SAME_DEGENERATE:
            unseen.pop()
        else:
            unseen.append(row)
    return np.sort([*turns, *map(float, unseen)])


def spectra(family: Family, x: np.ndarray) -> np.ndarray:
    """The eigenvalues at each row; part by part, as the Jacobians of all rows can be large."""
    found = [linalg.eigenvalues(family.jacobians(part)) for part in parts(x)]
    return np.concatenate([np.empty((0, x.shape[1] - 1), np.complex128), *found])


def parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + PART] for i in range(0, len(rows), PART)]
