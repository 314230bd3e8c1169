"""Where do orbits end? At a fixed point, on a short cycle, at infinity, or nowhere yet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.orbits.returning import on_cycles
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.fixed_points.search.root_search import FIXED
from rnnscope.analyses.fixed_points.search.stability import is_marginal
from rnnscope.cost import FLOAT, Expected, Number, Scale
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.numerics.pieces import joined
from rnnscope.subjects.subject import Subject

ENDS = ("fixed point", "cycle", "still moving", "diverged")
AT_POINT, ON_CYCLE, MOVING, DIVERGED = range(4)

# Steps between two looks at where orbits are. A cycle is seen if it fits twice.
BLOCK = 64
LARGEST_BLOCK = 2**22  # numbers in a block of states
# What orbits of the presets' networks took until they settled, and the passes over a state that a step takes beside it.
USUAL_STEPS, STEP_SCANS = 160, 45
# An orbit is at rest, or back where it was, when what is left of the way is below this part of the radius of arrival.
STILL = 1e-3
# A rounding error grows to 1 in ln(1e16) / ln|λ| steps: who stays at a saddle for twice as long is on its way into it.
LOG_ROUNDING = 36.8
# An orbit that is slow to arrive has arrived, when steps run out, if it is nearer than this to an attractor (in units
# of the scale), and has come twice as near in the second half of its steps.
CLOSE = 0.05
RUNAWAY = 1e6  # in units of the largest state at the start
# Two points are one at this distance, in units of the scale, as in the search for fixed points.
SAME = 1e-5

Watch = Callable[[np.ndarray, np.ndarray, int], None]


@dataclass(frozen=True)
class Nodes:
    """Fixed points at which orbits may end.

    Attributes:
        points: the points.
        condition: which of the held inputs belongs to each.
        n_unstable, smooth: as in `FixedPoints`.
        marginal: whether the largest |λ| is 1 within 1e-6.
        stay: how many steps an orbit must be there to have settled.
        listed: the row in the list that the search began with; -1 if orbits found the point.
    """

    points: Float[np.ndarray, "point unit"]
    condition: Integer[np.ndarray, " point"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"]
    marginal: Bool[np.ndarray, " point"]
    stay: Float[np.ndarray, " point"]
    listed: Integer[np.ndarray, " point"]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Cycle:
    """A periodic orbit: its states in order of time, and the condition that it belongs to."""

    states: Float[np.ndarray, "phase unit"]
    condition: int


@dataclass(frozen=True)
class Settled:
    """How orbits ended.

    Attributes:
        end: 0 "fixed point", 1 "cycle", 2 "still moving", 3 "diverged".
        target: the row of `nodes` or `cycles`; -1 for the other ends.
        steps: when it came there to stay; all steps if it is still moving.
        nodes: those given, then those found on the way.
        cycles: those found.
    """

    end: Integer[np.ndarray, " orbit"]
    target: Integer[np.ndarray, " orbit"]
    steps: Integer[np.ndarray, " orbit"]
    nodes: Nodes
    cycles: list[Cycle] = field(default_factory=list)


def nodes_of(found: FixedPoints, rows: np.ndarray) -> Nodes:
    """The points of a list, all or some."""
    moduli = np.abs(found.eigenvalues[rows])
    n_unstable, smooth = found.n_unstable[rows], found.smooth[rows]
    # The weakest unstable direction: where an orbit that comes in along all others would leave last.
    weakest = np.take_along_axis(moduli, np.maximum(n_unstable - 1, 0)[:, None], 1)[:, 0]
    stay = np.where(n_unstable > 0, 2 * LOG_ROUNDING / np.log(np.maximum(weakest, 1 + 1e-12)), 0.0)
    return Nodes(
        points=found.points[rows],
        condition=found.point_input[rows],
        n_unstable=n_unstable,
        smooth=smooth,
        marginal=is_marginal(found.eigenvalues[rows]),
        stay=np.where(smooth, stay, np.maximum(stay, 2 * BLOCK)),
        listed=rows,
    )


def settling_cost(scale: Scale, n_orbits: Number, n_steps: Number) -> Expected:
    """Of so many orbits until they have settled."""
    parts = np.ceil(n_orbits * (BLOCK + 1) * scale.n / LARGEST_BLOCK)
    seconds = scale.step.of(parts * n_steps, n_orbits * n_steps)
    seconds += n_orbits * n_steps * scale.n * STEP_SCANS * scale.scan
    return Expected(seconds, FLOAT * 3 * min(n_orbits * (BLOCK + 1) * scale.n, LARGEST_BLOCK))


def settle(
    state_map: CompleteMap,
    begin: Float[np.ndarray, "orbit unit"],
    condition: Integer[np.ndarray, " orbit"],
    held: Float[np.ndarray, "condition input"],
    nodes: Nodes,
    *,
    n_steps: int,
    tolerance: float,
    scale: float,
    watch: Watch | None = None,
) -> Settled:
    """Iterate the map from every state until it settles; those that have leave the batch.

    An orbit has settled at a stable point when it is nearer than `tolerance` * `scale`, or than a tenth of the way to
    the next point. At a saddle, or at a kink of the map, it must also stay for so long that a rounding error would
    have grown and taken it away. Where an orbit comes to rest at no point that is known, the search for fixed points
    begins there, and what it finds is added. A cycle is a return that is repeated for as long as `BLOCK` steps, and at
    which Newton's method finds a cycle of that period (see `on_cycles`).

    `watch(orbits, states, step)` is shown (time, orbit, unit) states as they come, the first of which is the one
    after `step` steps, and the last of the block before.
    """
    n = len(begin)
    settled = Settled(np.full(n, MOVING), np.full(n, -1), np.full(n, n_steps), nodes)
    part = max(16, LARGEST_BLOCK // ((BLOCK + 1) * state_map.state_size))
    with np.errstate(all="ignore"), linalg.one_thread():
        for first in range(0, n, part):
            orbits = np.arange(first, min(first + part, n))
            settled = _settle_part(state_map, begin, condition, held, orbits, settled, tolerance, scale, watch)
    return settled


def _settle_part(
    state_map: CompleteMap,
    begin: np.ndarray,
    condition: np.ndarray,
    held: np.ndarray,
    orbits: np.ndarray,
    settled: Settled,
    tolerance: float,
    scale: float,
    watch: Watch | None,
) -> Settled:
    """Some of the orbits; fills in `settled`, and returns it with the nodes that they found."""
    end, target, steps, nodes = settled.end, settled.target, settled.steps, settled.nodes
    n_steps, radius = int(steps[orbits[0]]), tolerance * scale
    far = RUNAWAY * (scale + np.abs(begin).max(initial=0.0) + np.abs(nodes.points).max(initial=0.0))
    radii = _radii(nodes, radius, SAME * scale)
    states = middle = begin[orbits]
    near, since, next_try, next_cycle = np.full(len(orbits), -1), *np.zeros((3, len(orbits)), np.int64)
    at_once = int(np.clip(LARGEST_BLOCK // state_map.state_size**2, 4, 256))
    t = 0
    while t < n_steps and len(orbits):
        # One look falls on the middle, for the orbits that are slow to arrive.
        length = min(BLOCK, (n_steps // 2 if t < n_steps // 2 else n_steps) - t)
        block = _run(state_map, states, held[condition[orbits]], length, far)
        if watch is not None:
            watch(orbits, block, t)
        before, t, states = t, t + length, block[-1]
        if t == n_steps // 2:
            middle = states

        escaped = ~(np.abs(block).max(2) < far)  # NaN has escaped too
        done = escaped.any(0)
        end[orbits[done]], steps[orbits[done]] = DIVERGED, before + escaped[:, done].argmax(0)

        index, gap = _nearest(nodes, states, condition[orbits])
        inside = np.flatnonzero(~done & (gap < np.append(radii, 0.0)[index]))
        here = index[inside]
        outside = np.linalg.norm(block[:, inside] - nodes.points[here], axis=2) >= radii[here]
        entered = before + np.where(outside.any(0), len(block) - outside[::-1].argmax(0), 0)
        stays = (near[inside] == here) & ~outside.any(0)
        since[inside] = np.where(stays, since[inside], entered)
        near[:] = -1
        near[inside] = here
        arrived = inside[t - since[inside] >= nodes.stay[here]]
        rows = orbits[arrived]
        end[rows], target[rows], steps[rows] = AT_POINT, index[arrived], since[arrived]
        done[arrived] = True

        returning = list(_returns(block, STILL * radius, radius, np.flatnonzero(~done & (t >= next_cycle))))
        while returning:
            cycles = [
                _cycle(settled.cycles, states[row], int(condition[orbits[row]]), n, radius) for row, n, _ in returning
            ]
            for (row, _, start), cycle in zip(returning, cycles, strict=True):
                if cycle is not None:
                    end[orbits[row]], target[orbits[row]], steps[orbits[row]] = ON_CYCLE, cycle, before + start
                    done[row] = True
            returning = [each for each, cycle in zip(returning, cycles, strict=True) if cycle is None]
            if not returning:
                break
            period = returning[0][1]
            asked = np.array([row for row, n, _ in returning if n == period][:at_once])
            found = on_cycles(
                state_map, states[asked], held[condition[orbits[asked]]], period, radius=radius, still=STILL * radius
            )
            next_cycle[asked] = 2 * t
            for row in asked[found].tolist():
                if _cycle(settled.cycles, states[row], int(condition[orbits[row]]), period, radius) is None:
                    settled.cycles.append(Cycle(block[-period:, row].copy(), int(condition[orbits[row]])))
            returning = [each for each in returning if each[0] not in asked[~found]]
        rests = np.linalg.norm(block[-1] - block[-2], axis=1) < STILL * radius
        stuck = ~done & (near < 0) & rests & (t >= next_try)
        if stuck.any():
            next_try[stuck] = 2 * t
            nodes = _discover(state_map, states[stuck], condition[orbits[stuck]], held, nodes, radius, scale)
            radii = _radii(nodes, radius, SAME * scale)
        orbits, states, middle, near, since, next_try, next_cycle = (
            x[~done] for x in (orbits, states, middle, near, since, next_try, next_cycle)
        )
    if len(orbits) and len(nodes):  # steps have run out
        index, gap = _nearest(nodes, states, condition[orbits])
        was = np.linalg.norm(middle - nodes.points[index], axis=1)
        stable = (nodes.n_unstable[index] == 0) & nodes.smooth[index]
        repels = (nodes.n_unstable[index] > 0) & nodes.smooth[index] & ~nodes.marginal[index]  # it may be passing by
        arrives = ((gap < radii[index]) & (gap <= was) & ~repels) | (stable & (gap < CLOSE * scale) & (gap < was / 2))
        end[orbits[arrives]], target[orbits[arrives]] = AT_POINT, index[arrives]
    return replace(settled, nodes=nodes)


def _run(
    state_map: CompleteMap, states: np.ndarray, inputs: np.ndarray, n_steps: int, far: float
) -> Float[np.ndarray, "time orbit unit"]:
    """States in time; what has left for infinity stays where it was first seen beyond `far`, or not finite."""
    block = np.empty((n_steps + 1, *states.shape))
    block[0] = states
    for i in range(n_steps):
        there = np.abs(block[i]).max(1) < far
        block[i + 1] = block[i]
        if there.any():
            block[i + 1, there] = state_map.step(block[i, there], inputs[there])
    return block


def _returns(
    block: Float[np.ndarray, "time orbit unit"], still: float, least: float, rows: np.ndarray
) -> Iterator[tuple[int, int, int]]:
    """(orbit, period, the state of the block from which it keeps it) of those that return to where they are, after one
    period and after as many as the block holds, and move by `least` between."""
    moved = np.linalg.norm(block[:-1, rows] - block[-1, rows], axis=2)[::-1]  # in the last 1, 2, ... steps
    back = moved < still
    for i in np.flatnonzero(~back[0] & back.any(0) & (moved.max(0) > least)).tolist():
        period = int(back[:, i].argmax()) + 1
        repeats = len(moved) // period
        if repeats >= 2 and back[repeats * period - 1, i]:
            orbit = block[:, rows[i]]
            off = np.linalg.norm(orbit[period:] - orbit[:-period], axis=1) >= still
            yield int(rows[i]), period, len(off) - int(off[::-1].argmax()) if off.any() else 0


def _nearest(nodes: Nodes, states: np.ndarray, condition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(index of the nearest point of the same condition, distance); -1 and infinity where there is none."""
    if not len(nodes):
        return np.full(len(states), -1), np.full(len(states), np.inf)
    centre = nodes.points.mean(0)
    a, b = states - centre, nodes.points - centre
    squared = (b * b).sum(1) - 2 * a @ b.T  # the state's own square is the same for all points
    squared[condition[:, None] != nodes.condition] = np.inf
    index = np.where(np.isfinite(states).all(1), squared.argmin(1), 0)
    gap = np.linalg.norm(states - nodes.points[index], axis=1)
    return index, np.where(condition == nodes.condition[index], gap, np.inf)


def _radii(nodes: Nodes, radius: float, least: float) -> Float[np.ndarray, " point"]:
    """The distance at which an orbit has arrived: less where points stand close, but not less than what is one."""
    from scipy.spatial.distance import cdist

    apart = np.where(nodes.condition[:, None] == nodes.condition, cdist(nodes.points, nodes.points), np.inf)
    np.fill_diagonal(apart, np.inf)
    return np.maximum(least, np.minimum(radius, 0.1 * apart.min(1, initial=np.inf)))


def _discover(
    state_map: CompleteMap,
    states: np.ndarray,
    condition: np.ndarray,
    held: np.ndarray,
    nodes: Nodes,
    radius: float,
    scale: float,
) -> Nodes:
    """The nodes, with the fixed points that are near these resting states and not among them."""
    apart = _thinned(states, condition, radius)
    states, condition = states[apart], condition[apart]
    found = find_fixed_points(
        Subject(state_map),
        starts=states,
        start_inputs=held[condition] if held.shape[1] else None,
        certify=False,
    )
    # From where the orbit rests, and not from where a search that found nothing there went next.
    starts = np.flatnonzero(found.starts.status == FIXED)
    ends = found.points[found.starts.point[starts]]
    starts = starts[np.linalg.norm(ends - states[starts], axis=1) < CLOSE * scale]
    rows, which = np.unique(found.starts.point[starts], return_index=True)
    where = condition[starts[which]]
    known = _nearest(nodes, found.points[rows], where)[1] < SAME * scale
    rows, where = rows[~known], where[~known]
    keep = _thinned(found.points[rows], where, SAME * scale)
    new = nodes_of(found, rows[keep])
    return joined([nodes, replace(new, condition=where[keep], listed=np.full(len(new), -1))])


def _thinned(states: np.ndarray, condition: np.ndarray, radius: float) -> Integer[np.ndarray, " kept"]:
    """Rows such that every state is within the radius of one of the same condition."""
    kept, left = [], np.arange(len(states))
    while len(left):
        kept.append(left[0])
        near = np.linalg.norm(states[left] - states[left[0]], axis=1) < radius
        near &= condition[left] == condition[left[0]]
        near[0] = True
        left = left[~near]
    return np.array(kept, np.int64)


def _cycle(cycles: list[Cycle], state: np.ndarray, condition: int, period: int, radius: float) -> int | None:
    """The index of the known cycle on which a state is; None where it is on none."""
    for i, cycle in enumerate(cycles):
        alike = cycle.condition == condition and len(cycle.states) == period
        if alike and np.linalg.norm(cycle.states - state, axis=1).min() < radius:
            return i
    return None
