"""From curves to branches: rows along the axis, and the events between them."""

from dataclasses import replace

import numpy as np

from rnnscope.analyses.fixed_points.continuation.bifurcations import ASIDE, KINDS, Event, is_same
from rnnscope.analyses.fixed_points.continuation.curves import EVENT, Family, correct, position
from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.continuation.parts import Along, Branches, Events, Searches
from rnnscope.analyses.fixed_points.continuation.tracking import Traced, Tracked, n_held, parts, spectra
from rnnscope.analyses.fixed_points.search.stability import count_unstable, is_smooth

# An index is not known where an eigenvalue is as near to 1 as this, or the state as near to a border.
INDEX_MARGIN, BORDER_MARGIN = 1e-6, 1e-12


def branches_along(tracked: Tracked, along: Along, n_starts: int) -> BifurcationDiagram:
    """All that was tracked; every branch gets a row at each of `along.values` that it passes.

    Args:
        tracked: curves, and the searches that led to them.
        along: the axis.
        n_starts: how many starts a search has, the first at each value.
    """
    family, searches = tracked.family, tracked.searches
    found = np.array([searched.n_found for searched in searches])
    held = np.array([n_held(tracked, searched.value) for searched in searches])
    return _rows(
        family,
        tracked.traced,
        along,
        Searches(
            value=np.array([searched.value for searched in searches]),
            n_starts=n_starts * np.array([searched.more for searched in searches]),
            n_found=found,
            n_new=np.array([searched.n_new for searched in searches]),
            n_missed=np.maximum(held - np.maximum(found, 0), 0),
            n_not_followed=tracked.n_not_followed,
            n_between=tracked.n_between,
        ),
    )


def _rows(family: Family, traced: list[Traced], along: Along, searches: Searches) -> BifurcationDiagram:
    values = along.values
    grid = (values - family.low) / (family.high - family.low)
    pieces: list[tuple[np.ndarray, np.ndarray, tuple[int, int], tuple[int, int]]] = []
    for c, each in enumerate(traced):
        x, eigenvalues, at = _with_arms(family, each)
        which = each.branches(at)
        for k in range(each.n_branches):
            chosen = np.flatnonzero(which == k)
            if not len(chosen):
                continue
            first, last = (k == 0 and not each.curve.closed), (k == each.n_branches - 1 and not each.curve.closed)
            ends = (each.curve.ends[0] if first else EVENT, each.curve.ends[1] if last else EVENT)
            if x[chosen[0], -1] > x[chosen[-1], -1]:
                ends = ends[1], ends[0]
            chosen = chosen[np.argsort(x[chosen, -1], kind="stable")]
            piece, spectrum = x[chosen], eigenvalues[chosen]
            piece, spectrum = _with_grid(family, piece, spectrum, grid)
            piece, spectrum = _settled(family, piece, spectrum)
            if len(piece):
                pieces.append((piece, spectrum, ends, (c, k)))
    pieces.sort(key=lambda piece: tuple(np.round(piece[0][0, [-1, *range(piece[0].shape[1] - 1)]], 9)))
    number = {piece[3]: i for i, piece in enumerate(pieces)}
    n = family.bounds.shape[1]
    x = np.concatenate([piece[0] for piece in pieces] or [np.empty((0, n + 1))])
    eigenvalues = np.concatenate([piece[1] for piece in pieces] or [np.empty((0, n), np.complex128)])
    states, value = family.states(x), family.values(x)
    if len(x):
        nearest = np.abs(x[:, -1:] - grid).argmin(1)
        at_grid = np.abs(x[:, -1] - grid[nearest]) < 1e-13
        value[at_grid] = values[nearest[at_grid]]
    exact = family.exact or family
    q, outputs = np.empty(0), None if exact.readout is None else np.empty((0, 0))
    if len(x):
        q = 0.5 * ((exact.step(states, value) - states) ** 2).sum(1)
        outputs = None if exact.readout is None else exact.readout(states, value)
    smooth = _smooth(exact, states, value)
    return BifurcationDiagram(
        value=value,
        point=states,
        branch=np.repeat(np.arange(len(pieces)), [len(piece[0]) for piece in pieces]),
        n_unstable=count_unstable(eigenvalues),
        eigenvalue=eigenvalues[:, 0],
        index=fixed_point_index(eigenvalues, states, inner_bounds(family.bounds, along.keeps), smooth),
        smooth=smooth,
        ambiguous=np.zeros(len(x), bool),
        q=q,
        outputs=outputs,
        along=along,
        branches=Branches(np.array([piece[2] for piece in pieces], np.int64).reshape(-1, 2)),
        events=_events(family, traced, number),
        searches=searches,
    )


def _with_arms(family: Family, each: Traced) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows of a curve with those just before and just after its events: (x, eigenvalues, positions)."""
    x, at = each.curve.x, np.arange(len(each.curve.x), dtype=np.float64)
    keep = np.ones(len(x), bool)
    keep[-1] = not each.curve.closed  # it is the first row once more
    for event in each.events:
        keep &= (np.linalg.norm(x - event.x, axis=1) > 1.5 * ASIDE) | (x[:, -1] == 0) | (x[:, -1] == 1)
    arms = np.array([arm for event in each.events for arm in event.arms]).reshape(-1, x.shape[1])
    arms_at = np.array([event.position + move for event in each.events for move in (-1e-9, 1e-9)])
    # At the edge of the axis an event has one side only.
    within = (arms[:, -1] >= 0) & (arms[:, -1] <= 1)
    arms, arms_at = arms[within], arms_at[within]
    x, at = np.concatenate([x[keep], arms]), np.concatenate([at[keep], arms_at])
    spectrum = np.concatenate([each.eigenvalues[keep], spectra(family, arms)])
    order = np.argsort(at, kind="stable")
    return x[order], spectrum[order], at[order]


def _with_grid(
    family: Family, x: np.ndarray, eigenvalues: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a branch with those at the values asked for, which lie between two of its rows."""
    along = x[:, -1]
    inner = grid[(grid > along[0]) & (grid < along[-1]) & ~np.isclose(grid[:, None], along, rtol=0, atol=1e-13).any(1)]
    if not len(inner):
        return x, eigenvalues
    after = np.searchsorted(along, inner)
    a, b = x[after - 1], x[after]
    start = a + ((inner - a[:, -1]) / (b[:, -1] - a[:, -1]))[:, None] * (b - a)
    start[:, -1] = inner
    axis = np.eye(x.shape[1])[[-1]].repeat(len(inner), 0)
    points, ok = correct(family, start, axis, np.linalg.norm(b - a, axis=1))
    points, inner = points[ok], inner[ok]
    points[:, -1] = inner
    order = np.argsort(np.concatenate([along, inner]), kind="stable")
    spectrum = np.concatenate([eigenvalues, spectra(family, points)])
    return np.concatenate([x, points])[order], spectrum[order]


def _settled(family: Family, x: np.ndarray, eigenvalues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows on the maps themselves. Next to a fold, which is a little aside for these, there can be none."""
    if family.exact is None:
        return x, eigenvalues
    # p stays where it is, so that its slope does not matter, and no more maps are asked for.
    exact = replace(family.exact, scale=family.scale, slope=lambda states, _: np.zeros_like(states))
    axis = np.eye(x.shape[1])[[-1]].repeat(len(x), 0)
    settled, ok = correct(exact, x, axis, np.full(len(x), 1e-3))
    settled[:, -1] = x[:, -1]
    return settled[ok], eigenvalues[ok]


def _events(family: Family, traced: list[Traced], number: dict[tuple[int, int], int]) -> Events:
    kept: list[tuple[Event, set[int]]] = []
    for c, each in enumerate(traced):
        for event in each.events:
            met = {(c, int(k)) for k in each.branches(event.position + np.array([-1e-9, 1e-9]))}
            for arm in event.other_arms:
                places = [(d, position(family, other.curve, arm)) for d, other in enumerate(traced)]
                met |= {(d, int(traced[d].branches(np.array([at]))[0])) for d, at in places if at is not None}
            ids = {number[place] for place in met if place in number}
            for k, (known, known_ids) in enumerate(kept):
                if is_same(known, event):
                    better = event if known.kind == "unclassified" else known
                    kept[k] = (better, known_ids | ids)
                    break
            else:
                kept.append((event, ids))
    kept.sort(key=lambda pair: (pair[0].x[-1], *np.round(pair[0].x[:-1], 9)))
    n = family.bounds.shape[1]
    x = np.array([event.x for event, _ in kept]).reshape(-1, n + 1)
    width = max((len(ids) for _, ids in kept), default=1)
    branches = [sorted(ids) + [-1] * (width - len(ids)) for _, ids in kept]
    return Events(
        value=family.values(x),
        error=np.array([max(event.error, family.rounding) for event, _ in kept]) * (family.high - family.low),
        kind=np.array([KINDS.index(event.kind) for event, _ in kept], np.int64),
        point=family.states(x),
        eigenvalue=np.array([event.eigenvalue for event, _ in kept], np.complex128),
        branches=np.array(branches, np.int64).reshape(-1, width),
    )


def _smooth(family: Family, states: np.ndarray, values: np.ndarray) -> np.ndarray:
    found = [
        is_smooth(
            lambda h, v=v: family.jacobian(h, v), part, family.jacobian(part, v), 1e-6 * family.scale, 2, family.smooth
        )
        for part, v in zip(parts(states), parts(values), strict=True)
    ]
    return np.concatenate([np.empty(0, bool), *found])


def inner_bounds(bounds: np.ndarray, keeps: tuple[str, ...]) -> np.ndarray:
    """The bounds on which an index is not known; none where a map is known to keep a set with all points inside."""
    free = np.array([[-np.inf], [np.inf]]).repeat(bounds.shape[1], 1)
    return free if set(keeps) == {"known"} else bounds


def fixed_point_index(
    eigenvalues: np.ndarray, states: np.ndarray, bounds: np.ndarray, smooth: np.ndarray
) -> np.ndarray:
    """The sign of det(1 - J) at each point; 0 where it is not known: an eigenvalue is all but 1, the Jacobian is that
    of one side, or the point lies on a border."""
    odd = ((np.imag(eigenvalues) == 0) & (np.real(eigenvalues) > 1)).sum(1) % 2
    known = (np.abs(eigenvalues - 1) > INDEX_MARGIN).all(1) & smooth
    inner = (np.minimum(states - bounds[0], bounds[1] - states) > BORDER_MARGIN).all(1)
    return np.where(known & inner, 1 - 2 * odd, 0)
