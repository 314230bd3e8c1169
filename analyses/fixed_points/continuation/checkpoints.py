"""Fixed points from checkpoint to checkpoint: which is which.

Weights between two checkpoints were never the network's, so there is no curve to follow. Newton's method from a point
of one checkpoint, on the map of the next, leads to where the point has gone; the same backwards confirms it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.continuation.axes import Search, is_bounded
from rnnscope.analyses.fixed_points.continuation.bifurcations import KINDS, Spectrum
from rnnscope.analyses.fixed_points.continuation.checkpoint_bifurcations import (
    Link,
    Points,
    changes,
    without_pitchforks,
)
from rnnscope.analyses.fixed_points.continuation.curves import EDGE, EVENT
from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.continuation.parts import Along, Branches, Events, Searches
from rnnscope.analyses.fixed_points.continuation.rows import fixed_point_index, inner_bounds
from rnnscope.analyses.fixed_points.continuation.tracking import MORE_STARTS, search_all, spread
from rnnscope.analyses.fixed_points.search.stability import count_unstable, is_smooth
from rnnscope.maps import CompleteMap, HeldInput, keeps_domain
from rnnscope.numerics import linalg
from rnnscope.subjects.subject import Subject

MOST_NEWTON_STEPS = 60
# A Newton step is no longer than this part of the points' spread, so that it leads to a point nearby.
LONGEST_STEP = 0.1
# q below which a point is fixed, and the distance in units of the spread below which two are one.
TOLERANCE, SAME = 1e-20, 1e-5


@dataclass(frozen=True)
class _Link:
    """Between two checkpoints: where Newton's method leads from each point, forward and backward (-1: to none of the
    other's), and the pairs that are the same (old, new, whether it could be otherwise)."""

    forward: np.ndarray
    backward: np.ndarray
    pairs: list[Link]


def match_checkpoints(
    subject: Subject,
    steps: list[int],
    *,
    input: ArrayLike | None,
    search: Search,
    n_starts: int,
    repeat: bool,
    n_searches: int,
    max_branches: int,
    axis: str,
) -> BifurcationDiagram:
    """Fixed points along the checkpoints, `axis` by name. `search(subject, input, i, more)` gives the fixed points that
    the i-th search of all finds, from `more` times the usual starts; it raises NotApplicable where it cannot begin.
    With `repeat` it is asked again where neighbouring checkpoints lead to points that it missed."""
    maps: list[CompleteMap] = [HeldInput(subject.at(step).map, input) for step in steps]
    searched = np.unique(np.linspace(0, len(steps) - 1, n_searches).round().astype(int)).tolist()
    more = [1] * len(searched)
    asked = [lambda i=i, k=k: search(subject.at(steps[k]), input, i, 1).points for i, k in enumerate(searched)]
    found = search_all(asked)
    scale = spread(np.concatenate([points for points in found if points is not None]))
    sets = [np.empty((0, maps[0].state_size)) for _ in steps]
    for k, points in zip(searched, found, strict=True):
        sets[k] = sets[k] if points is None else points
    sets = _spread_out(maps, sets, scale)
    if repeat:
        for k, points in zip(list(searched), list(found), strict=True):
            if points is not None and len(sets[k]) > len(points):
                searched.append(k)
                more.append(MORE_STARTS)
                again = search(subject.at(steps[k]), input, len(found), MORE_STARTS).points
                found.append(again)
                sets[k] = _joined(sets[k], again, SAME * scale)
        sets = _spread_out(maps, sets, scale)
    known = [_described(each, points[:max_branches], scale) for each, points in zip(maps, sets, strict=True)]
    links = [_link(maps[k], maps[k + 1], known[k], known[k + 1], scale) for k in range(len(steps) - 1)]
    n_found = np.array([-1 if points is None else len(points) for points in found])
    at = np.array(steps, np.float64)
    new = [
        0 if points is None else _unreached(points, known[k].h, links, k)
        for points, k in zip(found, searched, strict=True)
    ]
    searches = Searches(
        value=at[searched],
        n_starts=n_starts * np.array(more),
        n_found=n_found,
        n_new=np.array(new),
        n_missed=np.maximum([len(sets[k]) for k in searched] - np.maximum(n_found, 0), 0),
        n_not_followed=sum(max(len(points) - max_branches, 0) for points in sets),
    )
    keeps = tuple(keeps_domain(each) for each in maps)
    along = Along(at, axis, is_bounded(maps[0].domain), continuous=False, keeps=keeps)
    return _diagram(maps, along, known, links, searches)


def _spread_out(maps: list[CompleteMap], sets: list[np.ndarray], scale: float) -> list[np.ndarray]:
    """What is known at one checkpoint, looked for at all: forward, then backward."""
    sets = list(sets)
    ways = [(k - 1, k) for k in range(1, len(sets))]
    for old, new in [*ways, *((b, a) for a, b in reversed(ways))]:
        ends, ok = _settle(maps[new], sets[old], scale)
        sets[new] = _joined(sets[new], ends[ok], SAME * scale)
    return sets


def _residual(map: CompleteMap, h: np.ndarray) -> np.ndarray:
    return map.step(h, np.empty((len(h), 0))) - h


def _settle(map: CompleteMap, start: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method with steps of limited length from each row: (where it ends, whether at a fixed point)."""
    h, n = start.copy(), start.shape[1]
    fractions = np.array([1.0, 0.5, 0.25, 0.1])[:, None, None]
    r = _residual(map, h)
    active = np.flatnonzero(np.isfinite(r).all(1))
    for _ in range(MOST_NEWTON_STEPS):
        if not len(active):
            break
        a = map.jacobian(h[active], np.empty((len(active), 0))) - np.eye(n)
        step = np.nan_to_num(linalg.solve(a, -r[active]), posinf=0.0, neginf=0.0)
        step *= np.minimum(1, LONGEST_STEP * scale / np.maximum(np.linalg.norm(step, axis=1), 1e-300))[:, None]
        tried = h[active] + fractions * step
        tried_r = np.stack([_residual(map, each) for each in tried])
        size = np.nan_to_num(np.linalg.norm(tried_r, axis=2), nan=np.inf)
        best, each = size.argmin(0), np.arange(len(active))
        lower = size[best, each] < np.linalg.norm(r[active], axis=1)
        moved = active[lower]
        h[moved], r[moved] = tried[best, each][lower], tried_r[best, each][lower]
        active = moved
    ok = np.isfinite(r).all(1) & (0.5 * (r**2).sum(1) < TOLERANCE)
    if map.domain is not None:
        # But for rounding: the origin is on the border of rectified units.
        ok &= ((h >= map.domain[0] - SAME * scale) & (h <= map.domain[1] + SAME * scale)).all(1)
    return h, ok


def _joined(points: np.ndarray, more: np.ndarray, radius: float) -> np.ndarray:
    for h in more:
        if not len(points) or np.linalg.norm(points - h, axis=1).min() > radius:
            points = np.concatenate([points, h[None]])
    return points


def _described(map: CompleteMap, h: np.ndarray, scale: float) -> Points:
    def jacobian(states: np.ndarray) -> np.ndarray:
        return map.jacobian(states, np.empty((len(states), 0)))

    here = jacobian(h)
    spectra = [Spectrum(values) for values in linalg.eigenvalues(here)]
    return Points(h, spectra, is_smooth(jacobian, h, here, 1e-6 * scale, 2, map.smooth))


def _link(a: CompleteMap, b: CompleteMap, old: Points, new: Points, scale: float) -> _Link:
    from scipy.optimize import linear_sum_assignment

    forward, backward = _leads(b, old.h, new.h, scale), _leads(a, new.h, old.h, scale)
    apart = np.linalg.norm(old.h[:, None] - new.h, axis=2)
    rows, columns = np.arange(len(old)), np.arange(len(new))
    there = forward[:, None] == columns
    back = backward == rows[:, None]
    nearest = np.zeros(apart.shape, bool)
    if apart.size:
        nearest = (apart == apart.min(1, keepdims=True)) & (apart == apart.min(0))
    allowed = (there & back) | ((there | back) & nearest)
    # Both ways before one way, and then the shorter.
    far = 1 + 2 * apart.max(initial=0.0)
    cost = np.where(there & back, apart, np.where(allowed, apart + far, 4 * far * (1 + min(apart.shape))))
    chosen = [(int(i), int(j)) for i, j in zip(*linear_sum_assignment(cost), strict=True) if allowed[i, j]]
    pairs = [(i, j, not (there & back)[i, j]) for i, j in chosen]
    return _Link(forward, backward, without_pitchforks(old, new, pairs))


def _leads(map: CompleteMap, start: np.ndarray, ends: np.ndarray, scale: float) -> np.ndarray:
    """Of each start, the one of `ends` where it settles; -1 for none."""
    h, ok = _settle(map, start, scale)
    if not len(ends):
        return np.full(len(start), -1)
    apart = np.linalg.norm(h[:, None] - ends, axis=2)
    return np.where(ok & (apart.min(1) < 10 * SAME * scale), apart.argmin(1), -1)


def _unreached(points: np.ndarray, known: np.ndarray, links: list[_Link], k: int) -> int:
    """How many of the points no neighbouring checkpoint leads to."""
    reached = set(links[k - 1].forward.tolist()) if k else set()
    reached |= set(links[k].backward.tolist()) if k < len(links) else set()
    rows = [int(np.linalg.norm(known - h, axis=1).argmin()) for h in points]
    return sum(row not in reached for row in rows)


def _diagram(
    maps: list[CompleteMap], along: Along, known: list[Points], links: list[_Link], searches: Searches
) -> BifurcationDiagram:
    steps = along.values
    branch: list[np.ndarray] = [np.arange(len(known[0]))]
    unsure = [np.zeros(len(points), bool) for points in known]
    last_step = dict.fromkeys(range(len(known[0])), 0)
    first_step = dict(last_step)
    for k, link in enumerate(links):
        ids = np.full(len(known[k + 1]), -1)
        for i, j, ambiguous in link.pairs:
            ids[j], unsure[k + 1][j] = branch[k][i], ambiguous
        fresh = np.flatnonzero(ids < 0)
        ids[fresh] = len(first_step) + np.arange(len(fresh))
        first_step |= {int(i): k + 1 for i in ids[fresh]}
        last_step |= {int(i): k + 1 for i in ids}
        branch.append(ids)
    n = maps[0].state_size
    events: list[tuple[float, float, str, np.ndarray, complex, list[int]]] = []
    for k, link in enumerate(links):
        low, high = steps[k], steps[k + 1]
        for change in changes(known[k], known[k + 1], link.pairs):
            ids = sorted({*branch[k][list(change.old)].tolist(), *branch[k + 1][list(change.new)].tolist()})
            middle, half = float((low + high) / 2), float((high - low) / 2)
            events.append((middle, half, change.kind, change.point, change.eigenvalue, ids))
    width = max((len(event[5]) for event in events), default=1)

    h = np.concatenate([points.h for points in known])
    order = np.lexsort((np.repeat(np.arange(len(known)), [len(each) for each in known]), np.concatenate(branch)))
    eigenvalues = [spectrum.values for points in known for spectrum in points.spectra]
    spectra = np.array(eigenvalues, np.complex128).reshape(-1, n)
    residual = np.concatenate([_residual(each, points.h) for each, points in zip(maps, known, strict=True)])
    smooth = np.concatenate([points.smooth for points in known])
    free = np.array([[-np.inf], [np.inf]]).repeat(n, 1)
    bounds = inner_bounds(free if maps[0].domain is None else maps[0].domain, along.keeps)
    has_readout = maps[0].readout_size > 0
    outputs = [each.readout(points.h) for each, points in zip(maps, known, strict=True)] if has_readout else []
    ends = [
        (EDGE if first_step[i] == 0 else EVENT, EDGE if last_step[i] == len(steps) - 1 else EVENT)
        for i in range(len(first_step))
    ]
    met = [event[5] + [-1] * (width - len(event[5])) for event in events]
    return BifurcationDiagram(
        value=np.repeat(steps, [len(points) for points in known])[order],
        point=h[order],
        branch=np.concatenate(branch)[order],
        n_unstable=count_unstable(spectra)[order],
        eigenvalue=spectra[order, 0],
        index=fixed_point_index(spectra, h, bounds, smooth)[order],
        smooth=smooth[order],
        ambiguous=np.concatenate(unsure)[order],
        q=0.5 * (residual**2).sum(1)[order],
        outputs=np.concatenate(outputs)[order] if has_readout else None,
        along=along,
        branches=Branches(np.array(ends, np.int64).reshape(-1, 2)),
        events=Events(
            value=np.array([event[0] for event in events]),
            error=np.array([event[1] for event in events]),
            kind=np.array([KINDS.index(event[2]) for event in events], np.int64),
            point=np.array([event[3] for event in events]).reshape(-1, n),
            eigenvalue=np.array([event[4] for event in events], np.complex128),
            branches=np.array(met, np.int64).reshape(-1, width),
        ),
        searches=searches,
    )
