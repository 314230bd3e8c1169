"""Zeros of r(h) = F(h, u) - h from many starts at once.

*Seek.* Each start goes by rounds. A round takes the Jacobian once, for a Newton step, and goes on with quasi-Newton
steps, which correct its inverse by what each step shows (Broyden, Math. Comp. 19, 1965). Steps are limited in length,
at first to what keeps the search near its start, and are taken whether or not they lower q = 1/2 |r|^2: insisting on
that is what catches Newton's method at singular Jacobians. The Jacobian is shifted a little, in proportion to the
residual (pseudo-transient continuation: Kelley & Keyes, SIAM J. Numer. Anal. 35, 1998), which bounds steps along
marginal directions. Large Jacobians are not formed (see krylov.py).

*Merge.* Starts that come together go on as one. In the end each of the others must reach the common end by itself, by
steps with the Jacobian of that end; one that does not goes on alone.

*Descend.* Starts that come to a slow place, and find no zero from there, go down to a local minimum of q (descent.py).

*Continue.* Starts that have found nothing in a bounded domain follow a curve that leads to a fixed point from anywhere
(homotopy.py), some of them if that would take long. What is left then descends as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.search.descent import STEPS, descend, residuals, shifted_jacobians, sound
from rnnscope.analyses.fixed_points.search.homotopy import curve_work, follow_to_roots
from rnnscope.analyses.fixed_points.search.krylov import Subspaces, subspaces
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

__all__ = [
    "FAILED",
    "FIXED",
    "REASONS",
    "SLOW",
    "Search",
    "residuals",
    "roots_near",
    "search_box",
    "search_roots",
]

FIXED, SLOW, FAILED = range(3)
REASONS = (
    "",
    "not finite at the start",
    "held at the border of the box",
    "stagnated away from any minimum of q",
    "out of iterations",
    "lost on the curve that leads to a fixed point",
    "not led to a fixed point, as the budget of work was spent",
)
NOT_FINITE, HELD, STAGNATED, OUT_OF_ITERATIONS, OFF_CURVE, OUT_OF_WORK = range(1, len(REASONS))

# Steps with one Jacobian: a factorisation of 256 x 256 costs as much as some 20 steps.
ROUND = 20
# The shift of the Jacobian, in units of |r| / sqrt(n).
SHIFT = 0.03
# The longest step in units of the scale: in the first round, its growth from round to round, and its limit. Where the
# residual comes out as the linear model says, to this part of its change, steps may become twice as long each time.
LENGTH, GROWTH, LONGEST, AS_PREDICTED = 0.25, 1.5, 1.0, 0.25
# Starts have come together within this part of the scale. (Where Jacobians are not formed, it costs more to see whether
# a start reaches another's end than to go there: then they have come together only where they are one point.)
TOGETHER = 1e-2
# A place is slow where |r| is below this part of the scale; a start leaves it where q grows by this factor.
SLOWLY, LEAVES = 3e-3, 10.0
# Where the domain has no bound, the search does not go further than this many times the largest start.
RUNAWAY = 1e3
# From so many units on, Jacobians are not formed: the tolerance of the linear systems, and the largest basis as a part
# of the units. Where that is not enough, the Jacobian is formed after all.
LARGE, INEXACT, BASIS = 1024, 0.1, 1 / 8
# Numbers in the Jacobians of the starts that are treated at a time: they stay in the cache from step to step.
AT_A_TIME = 2**20
# Where they are not formed: starts that share each product with the weights.
LARGE_AT_A_TIME = 32
# From so many units on seeking goes on so long only, if it can be followed by continuation, which then takes less time.
CONTINUED_FROM, STEPS_BEFORE = 512, 60
# Multiplications that may be spent on descents of starts that found nothing else (those from the lowest q first).
DESCENT_WORK = 2e11
# Continuations, each for those that the one before did not lead to the end: the scale, in units of that of the search,
# and the steps.
CONTINUATIONS = ((1.0, 200), (0.25, 400))
# A descent has so many times the steps of descent.py; its damping at first, where |r| equals the scale.
DESCENTS, DAMPING = 8, 1e-3


@dataclass(frozen=True)
class Search:
    """How each start ended.

    Attributes:
        ends: the fixed point or slow point; of a failed start the place with the lowest q that it came to.
        q: 1/2 |F - h|^2 there.
        outcome: FIXED, q below the tolerance; SLOW, a local minimum of q (or of a q that is constant): its gradient is
            nearly zero, and Levenberg-Marquardt steps lower q no further; or FAILED.
        reason: why it failed, an index into REASONS; 0 unless it failed.
        n_iterations: steps taken, of whatever kind; of a start that was merged, until then and to the common end.
    """

    ends: Float[np.ndarray, "start unit"]
    q: Float[np.ndarray, " start"]
    outcome: Integer[np.ndarray, " start"]
    reason: Integer[np.ndarray, " start"]
    n_iterations: Integer[np.ndarray, " start"]


def search_box(state_map: CompleteMap, begin: np.ndarray, within_domain: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The box in which the search stays: the domain, where it has bounds and is to be kept."""
    far = RUNAWAY * (1 + np.abs(begin).max())
    low, high = np.full(begin.shape[1], -far), np.full(begin.shape[1], far)
    if within_domain and state_map.domain is not None:
        low, high = np.where(np.isfinite(state_map.domain), state_map.domain, [low, high])
    return low, high


def search_roots(
    state_map: CompleteMap,
    begin: Float[np.ndarray, "start unit"],
    inputs: Float[np.ndarray, "start input"],
    *,
    box: tuple[np.ndarray, np.ndarray],
    scale: float,
    tolerance: float,
    max_iterations: int,
    distance: float,
    kept: bool,
    work: float = 4e12,
) -> Search:
    """Search from every start, each at its own input.

    Args:
        state_map: the map; one that takes no input has inputs of length 0.
        begin: where to start; starts outside the box are moved to its border.
        inputs: the input of each start.
        box: as `search_box` gives it; the search never leaves it.
        scale: the spread of the starts: the unit of lengths.
        tolerance: q below which a state is a fixed point.
        max_iterations: steps of the seeking; descent and continuation have limits of their own.
        distance: ends nearer than this, in units of `scale`, are one.
        kept: whether the map leads from the box back into it, so that starts that found nothing can be led on.
        work: multiplications that leading them may take, about.
    """
    near = distance * scale
    together = TOGETHER * scale if begin.shape[1] < LARGE else near
    search = _Settings(state_map, box, scale, tolerance, near, together)
    if begin.shape[1] >= CONTINUED_FROM and kept:
        max_iterations = min(max_iterations, STEPS_BEFORE)
    s = _begin(search, np.clip(begin, *box), inputs, max_iterations)
    outcome, reason = np.full(len(begin), FAILED), np.full(len(begin), NOT_FINITE)
    todo = np.nonzero(np.isfinite(s.q))[0]
    with np.errstate(all="ignore"), linalg.one_thread():
        while len(todo):
            _seek(search, s, todo)
            outcome[todo], reason[todo] = FIXED, 0
            slow = todo[s.slow[todo] & (s.q[todo] >= tolerance)]
            _descend(search, s, slow, outcome, reason)
            lost = todo[(s.leader[todo] == todo) & (s.q[todo] >= tolerance) & (outcome[todo] != SLOW)]
            outcome[lost], reason[lost] = FAILED, OUT_OF_ITERATIONS
            if len(lost):
                spared = lost[:0]
                if kept:
                    followed, used = _continue(search, s, lost, work)
                    reason[lost], work, spared = OFF_CURVE, work - used, lost[~followed]
                found = lost[s.q[lost] < tolerance]
                outcome[found], reason[found] = FIXED, 0
                rest = lost[s.q[lost] >= tolerance]
                worth = max(1, int(DESCENT_WORK / (100.0 * begin.shape[1] ** 3)))
                rest = rest[np.argsort(s.lowest_q[rest], kind="stable")]
                _descend(search, s, rest[:worth], outcome, reason)
                spared = np.union1d(spared, rest[worth:])
                reason[spared[outcome[spared] == FAILED]] = OUT_OF_WORK
                left = lost[s.q[lost] >= tolerance]
                s.x[left], s.q[left] = s.lowest[left], s.lowest_q[left]
            released = _finish(search, s, todo)
            led = np.setdiff1d(todo[s.leader[todo] != todo], released)
            for array in (s.x, s.q, outcome, reason):
                array[led] = array[s.leader[led]]
            todo = released
    return Search(s.x, s.q, outcome, reason, s.n_steps)


def roots_near(
    state_map: CompleteMap,
    states: Float[np.ndarray, "start unit"],
    inputs: Float[np.ndarray, "start input"],
    *,
    box: tuple[np.ndarray, np.ndarray],
    scale: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[Float[np.ndarray, "start unit"], Bool[np.ndarray, " start"]]:
    """(ends, whether they are zeros) of seeking alone, each start by itself: for states that are near zeros already."""
    search = _Settings(state_map, box, scale, tolerance, 0.0, 0.0)
    s = _begin(search, np.clip(states, *box), inputs, max_iterations)
    s.alone[:] = True
    with np.errstate(all="ignore"), linalg.one_thread():
        _seek(search, s, np.nonzero(np.isfinite(s.q))[0])
        zeros = np.nonzero(s.q < tolerance)[0]
        for part in _parts(zeros, at_a_time(s.x.shape[1])):
            _polish(search, s, part)
    return s.x, s.q < tolerance


@dataclass(frozen=True)
class _Settings:
    """`near` is the distance of ends that are one, `together` that of starts that go on as one."""

    state_map: CompleteMap
    box: tuple[np.ndarray, np.ndarray]
    scale: float
    tolerance: float
    near: float
    together: float


@dataclass
class _Starts:
    """All starts as they are now: in place of `x` and what belongs to it, new values are written.

    Where `leader` is another start, this one goes on as that one, from where it was. `alone` ones are not merged.
    `group` numbers the inputs; `n_steps` are limited to `limit`; `length` limits the next step; `lowest` is the place
    with the lowest q so far; `slow`, whether it was a slow place that the start would have left.
    """

    begin: Float[np.ndarray, "start unit"]
    inputs: Float[np.ndarray, "start input"]
    group: Integer[np.ndarray, " start"]
    x: Float[np.ndarray, "start unit"]
    r: Float[np.ndarray, "start unit"]
    q: Float[np.ndarray, " start"]
    lowest: Float[np.ndarray, "start unit"]
    lowest_q: Float[np.ndarray, " start"]
    slow: Bool[np.ndarray, " start"]
    length: Float[np.ndarray, " start"]
    n_rounds: Integer[np.ndarray, " start"]
    n_steps: Integer[np.ndarray, " start"]
    limit: Integer[np.ndarray, " start"]
    leader: Integer[np.ndarray, " start"]
    alone: Bool[np.ndarray, " start"]


def _begin(search: _Settings, begin: np.ndarray, inputs: np.ndarray, max_iterations: int) -> _Starts:
    n = len(begin)
    r, q = residuals(search.state_map, begin, inputs)
    zeros = np.zeros(n, np.int64)
    return _Starts(
        begin=begin,
        inputs=inputs,
        group=np.unique(inputs, axis=0, return_inverse=True)[1].reshape(n) if inputs.shape[1] else zeros,
        x=begin.copy(),
        r=r,
        q=q,
        lowest=begin.copy(),
        lowest_q=q.copy(),
        slow=zeros > 0,
        length=np.zeros(n),
        n_rounds=zeros.copy(),
        n_steps=zeros.copy(),
        limit=zeros + max_iterations,
        leader=np.arange(n),
        alone=zeros > 0,
    )


def _seek(search: _Settings, s: _Starts, todo: np.ndarray) -> None:
    """Rounds until every start has found a zero, came to a slow place, or is out of steps."""
    _merge(search, s, todo)
    while True:
        own = todo[s.leader[todo] == todo]
        done = s.q[own] < search.tolerance
        rows = own[~done & ~s.slow[own] & (s.n_steps[own] < s.limit[own])]
        if not len(rows):
            return
        formed = s.x.shape[1] < LARGE
        for part in _parts(rows, at_a_time(s.x.shape[1]) if formed else LARGE_AT_A_TIME):
            _round(search, s, part, own[s.q[own] < search.tolerance], formed)
        _merge(search, s, own)


def _parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for i in range(0, len(rows), size):
        yield rows[i : i + size]


def at_a_time(n: int) -> int:
    return max(4, AT_A_TIME // n**2)


def _model(
    search: _Settings, x: np.ndarray, inputs: np.ndarray, shift: np.ndarray, r: np.ndarray, formed: bool
) -> linalg.Factors | Subspaces:
    """What solves with J - 1 - shift: exactly, if it is to be `formed`, or at least for r, if it can."""
    if not formed:
        return subspaces(search.state_map, x, inputs, r, 1 + shift, INEXACT, int(BASIS * x.shape[1]))
    return linalg.factorise(shifted_jacobians(search.state_map, x, inputs, 1 + shift))


def _round(search: _Settings, s: _Starts, rows: np.ndarray, roots: np.ndarray, formed: bool) -> None:
    """Up to ROUND steps of each of `rows`, with one Jacobian. `roots` are starts that are there already."""
    x, r, q = s.x[rows], s.r[rows], s.q[rows]
    n = x.shape[1]
    model = _model(search, x, s.inputs[rows], SHIFT * np.sqrt(2 * q / n), r, formed)
    if isinstance(model, Subspaces) and not model.enough:
        for part in _parts(rows, at_a_time(n)):
            _round(search, s, part, roots, formed=True)
        return
    base = search.scale * np.minimum(LENGTH * GROWTH ** s.n_rounds[rows], LONGEST)
    s.length[rows] = base
    s.n_rounds[rows] += 1
    places = np.arange(len(rows))  # of the rows still under way
    newton = model.solve(r, places)  # the step back: what is to be subtracted
    moves: list[np.ndarray] = []
    corrections: list[np.ndarray] = []
    for k in range(ROUND):
        here = rows[places]
        old, old_r, old_q, length = s.x[here], s.r[here], s.q[here], s.length[here]
        newton = sound(newton)
        part = np.minimum(1, length / np.maximum(np.linalg.norm(newton, axis=1), 1e-300))[:, None]
        new = np.clip(old - part * newton, *search.box)
        new_r, new_q = residuals(search.state_map, new, s.inputs[here])
        bad = ~np.isfinite(new_q)
        new[bad], new_r[bad], new_q[bad] = old[bad], old_r[bad], old_q[bad]
        error = np.linalg.norm(new_r - (1 - part) * old_r, axis=1)
        as_predicted = error <= AS_PREDICTED * part[:, 0] * np.sqrt(2 * old_q)
        s.length[here] = np.where(bad, 0.1 * length, np.where(as_predicted, 2 * length, base[places]))
        s.x[here], s.r[here], s.q[here] = new, new_r, new_q
        s.n_steps[here] += 1
        lower = new_q < s.lowest_q[here]
        s.lowest[here[lower]], s.lowest_q[here[lower]] = new[lower], new_q[lower]
        s.slow[here] = (np.sqrt(2 * s.lowest_q[here]) < SLOWLY * search.scale) & (new_q > LEAVES * s.lowest_q[here])
        _merge(search, s, np.concatenate([rows[s.leader[rows] == rows], roots]))
        on = (new_q >= search.tolerance) & (s.leader[here] == here) & ~s.slow[here] & (s.n_steps[here] < s.limit[here])
        places = places[on]
        if k == ROUND - 1 or not len(places):
            return

        # The good Broyden update in product form: H <- (1 + c m^T) H with the move m and c = (m - H y) / (m^T H y).
        move, newton = new[on] - old[on], newton[on]
        ahead = model.solve(new_r[on], places)
        for m, c in zip(moves, corrections, strict=True):
            ahead += c[places] * np.einsum("pi,pi->p", m[places], ahead)[:, None]
        change = ahead - newton
        along = np.einsum("pi,pi->p", move, change)
        safe = np.abs(along) > 0.1 * np.einsum("pi,pi->p", move, move)
        correction = np.where(safe[:, None], (move - change) / along[:, None], 0.0)
        newton = ahead + correction * np.einsum("pi,pi->p", move, ahead)[:, None]
        for kept, latest in ((moves, move), (corrections, correction)):
            kept.append(np.zeros_like(x))
            kept[-1][places] = latest


def _merge(search: _Settings, s: _Starts, rows: np.ndarray) -> None:
    """Of `rows` that have come together at the same input, the one with the lowest q leads the others."""
    rows = rows[~s.alone[rows]]
    if len(rows) < 2:
        return
    # Those that are together are neighbours in almost any direction, if there is nothing between them by chance.
    x = s.x[rows]
    order = np.lexsort((x @ np.cos(np.arange(x.shape[1]) ** 2.0), s.group[rows]))
    rows, x = rows[order], x[order]
    radius, group = search.together, s.group[rows]
    step = x[1:] - x[:-1]
    with_last = (np.einsum("pi,pi->p", step, step) < radius**2) & (group[1:] == group[:-1])
    if not with_last.any():
        return
    cluster = np.cumsum(np.append(True, ~with_last)) - 1
    by_q = np.lexsort((s.q[rows], cluster))
    first = by_q[np.append(True, np.diff(cluster[by_q]) > 0)][cluster]
    led = np.linalg.norm(x - x[first], axis=1) < radius
    s.leader[rows[led]] = rows[first[led]]


def _descend(search: _Settings, s: _Starts, rows: np.ndarray, outcome: np.ndarray, reason: np.ndarray) -> None:
    """Down from the lowest places of `rows`, which may fall together on the way."""
    s.x[rows], s.q[rows] = s.lowest[rows], s.lowest_q[rows]
    damping = np.minimum(DAMPING * np.sqrt(2 * s.q) / search.scale, DAMPING)
    going, there = rows, rows[:0]
    for _ in range(DESCENTS):
        _merge(search, s, np.append(going, there))
        going = going[(s.leader[going] == going) & (s.q[going] >= search.tolerance)]
        for part in _parts(going, at_a_time(s.x.shape[1])):
            found = descend(
                search.state_map,
                s.x[part],
                s.inputs[part],
                damping[part],
                search.box,
                search.tolerance,
                without_matrices=s.x.shape[1] >= LARGE,
            )
            s.x[part], s.r[part], s.q[part], damping[part] = found.states, found.residuals, found.q, found.damping
            s.lowest[part], s.lowest_q[part] = found.states, found.q
            s.n_steps[part] += STEPS
            fixed, slow = found.q < search.tolerance, found.flat & found.settled
            why = np.where(~found.settled, OUT_OF_ITERATIONS, np.where(found.held, HELD, STAGNATED))
            outcome[part] = np.where(fixed, FIXED, np.where(slow, SLOW, FAILED))
            reason[part] = np.where(fixed | slow, 0, why)
        going = going[reason[going] == OUT_OF_ITERATIONS]
        there = rows[outcome[rows] == SLOW]


def _continue(search: _Settings, s: _Starts, rows: np.ndarray, work: float) -> tuple[Bool[np.ndarray, " row"], float]:
    """Lead starts that found nothing to a fixed point from where they began, as many as the work allows, evenly taken:
    (which of them were led, multiplications spent)."""
    n, spent, followed = s.x.shape[1], 0.0, np.zeros(len(rows), bool)
    size = at_a_time(n)
    n_parts = -(-len(rows) // size)
    for which in (np.arange(i, len(rows), n_parts) for i in range(n_parts)):
        if spent > work:
            break
        followed[which], part = True, rows[which]
        for scale, steps in CONTINUATIONS:
            states, arrived, n_steps = follow_to_roots(
                search.state_map, s.begin[part], s.inputs[part], search.box, scale * search.scale, steps
            )
            spent += curve_work(n, n_steps)
            s.n_steps[part] += n_steps
            there = part[arrived]
            s.x[there] = states[arrived]
            s.r[there], s.q[there] = residuals(search.state_map, s.x[there], s.inputs[there])
            s.limit[there], s.n_rounds[there], s.slow[there] = s.n_steps[there] + 2 * ROUND, 0, False
            part = part[~arrived]
            if not len(part):
                break
    _seek(search, s, rows[followed])
    return followed, spent


def _finish(search: _Settings, s: _Starts, todo: np.ndarray) -> np.ndarray:
    """Polish the fixed points, and see whether the starts that were led there reach them by themselves. Returned are
    those that do not, released from their leaders."""
    while (s.leader[s.leader] != s.leader).any():
        s.leader = s.leader[s.leader]
    roots = todo[(s.leader[todo] == todo) & (s.q[todo] < search.tolerance)]
    led = todo[s.leader[todo] != todo]
    led = led[s.q[s.leader[led]] < search.tolerance]
    lost = [led[:0]]
    for part in _parts(roots, at_a_time(s.x.shape[1])):
        model = _polish(search, s, part)
        own = led[np.isin(s.leader[led], part)]
        which = np.searchsorted(part, s.leader[own])
        if isinstance(model, Subspaces):  # now as good for one of those led to each root
            aim = s.r[part]
            aim[which] = s.r[own]
            model = _sound_model(search, s.x[part], s.inputs[part], aim)
        x, r, end = s.x[own], s.r[own], s.x[s.leader[own]]
        away = np.linalg.norm(x - end, axis=1)
        going = np.nonzero(away >= search.near)[0]
        while len(going):
            x[going] = np.clip(x[going] - sound(model.solve(r[going], which[going])), *search.box)
            r[going] = residuals(search.state_map, x[going], s.inputs[own[going]])[0]
            now = np.linalg.norm(x[going] - end[going], axis=1)
            s.n_steps[own[going]] += 1
            nearer = now <= 0.5 * away[going]
            lost.append(own[going[~nearer]])
            away[going] = now
            going = going[nearer & (now >= search.near)]
    released = np.sort(np.concatenate(lost))
    s.leader[released], s.alone[released] = released, True
    return released


def _polish(search: _Settings, s: _Starts, rows: np.ndarray) -> linalg.Factors | Subspaces:
    """Newton steps as long as they lower q much; what they were solved with is returned."""
    left = np.arange(len(rows))
    model = None
    while len(left) or model is None:
        if not isinstance(model, linalg.Factors):  # an approximate inverse serves for one residual
            model = _sound_model(search, s.x[rows], s.inputs[rows], s.r[rows])
        here = rows[left]
        x = np.clip(s.x[here] - sound(model.solve(s.r[here], left)), *search.box)
        r, q = residuals(search.state_map, x, s.inputs[here])
        lower = q < 0.25 * s.q[here]
        left, here = left[lower], here[lower]
        s.x[here], s.r[here], s.q[here] = x[lower], r[lower], q[lower]
    return model


def _sound_model(search: _Settings, x: np.ndarray, inputs: np.ndarray, r: np.ndarray) -> linalg.Factors | Subspaces:
    model = _model(search, x, inputs, np.zeros(len(x)), r, formed=x.shape[1] < LARGE)
    if isinstance(model, Subspaces) and not model.enough:
        model = _model(search, x, inputs, np.zeros(len(x)), r, formed=True)
    return model
