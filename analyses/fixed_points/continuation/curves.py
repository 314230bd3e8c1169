"""Curves of fixed points: the solutions (h, p) of F(h; p) = h, followed by pseudo-arclength continuation.

A curve is followed along its own length, not along p, and so goes round folds (Keller, in Applications of Bifurcation
Theory, 1977; Allgower & Georg, Numerical Continuation Methods, 1990). A point of a curve is one row x of length
state + 1 in scaled coordinates: h in units of `Family.scale`, and p from 0 to 1 over its axis.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rnnscope.numerics import linalg

# Where a derivative along p is by central differences, they are over this part of the axis.
DIFFERENCE = float(np.cbrt(np.finfo(np.float64).eps))
MOST_NEWTON_STEPS = 12
# A Newton step of this length leaves an error far below rounding.
SHORT_STEP = 1e-9
# Where steps along a curve are longer than the first number, Newton's method ends with a step of this part of theirs:
# the rows are polished together, when the curve is known.
ROUGH_FROM, ROUGH = 1e-3, 0.02
# A residual that counts as a solution where the equations are singular, as at a branch point.
SOLVED = 1e-11
# A chord between rows makes 5 degrees at most with the tangents at both; under 2 degrees the steps grow.
MOST_TURN, LITTLE_TURN = float(np.cos(np.deg2rad(5))), float(np.cos(np.deg2rad(2)))
FIRST_STEP, LONGEST_STEP, SHORTEST_STEP = 0.01, 0.5, 1e-7
# Steps shorter than this may turn by any angle: there the map has a kink.
KINK_STEP = 1e-5
# Steps longer than this do not pass a place where the curve seems to be crossed by another: they could as well have led
# from one curve to another that only comes near.
CROSSING_STEP = 1e-5
# How far beyond a kink that turns the curve sharply it is taken up again: far enough for finite differences, or near
# enough for a next kink.
BEYOND_A_KINK = (1e-3, 1e-4, 1e-5)
# Two solutions nearer than this are one.
SAME = 1e-6

# How a curve, or a branch, ends.
END_NAMES = ("edge of the axis", "event", "left the domain", "lost", "where the map is not finite")
EDGE, EVENT, DOMAIN, LOST, UNDEFINED = range(5)


@dataclass(frozen=True)
class Family:
    """Maps F(h; p) for p from `low` to `high`, in scaled coordinates.

    Attributes:
        step: F of states (row, state), at least one, each at its own p (row,).
        jacobian: dF/dh (row, state, state) at the same.
        slope: dF/dp (row, state) at the same; by central differences if None.
        readout: outputs (row, output) at the same; None where there is none.
        low, high: ends of the axis; no map is asked for beyond them.
        bounds: (2, state), where curves end; infinite where nothing ends them.
        scale: the unit of length for states.
        smooth: whether the maps have a continuous derivative; None where nobody knows.
        noise: the relative error of derivatives.
        exact: the maps themselves, where these are only near them.
        rounding: the error along the axis that comes of that, as a part of it.
    """

    step: Callable[[np.ndarray, np.ndarray], np.ndarray]
    jacobian: Callable[[np.ndarray, np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    readout: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    low: float
    high: float
    bounds: np.ndarray
    scale: float = 1.0
    smooth: bool | None = None
    noise: float = 1e-10
    exact: "Family | None" = None
    rounding: float = 0.0

    def states(self, x: np.ndarray) -> np.ndarray:
        return x[..., :-1] * self.scale

    def values(self, x: np.ndarray) -> np.ndarray:
        along = np.clip(x[..., -1], 0.0, 1.0)
        return self.low * (1 - along) + self.high * along

    def scaled(self, states: np.ndarray, values: np.ndarray) -> np.ndarray:
        along = (np.asarray(values) - self.low) / (self.high - self.low)
        return np.concatenate([states / self.scale, np.broadcast_to(along, states.shape[:-1])[..., None]], -1)

    def residual(self, x: np.ndarray) -> np.ndarray:
        found = self.step(self.states(x), self.values(x)) / self.scale - x[..., :-1]
        # Beyond its ends the axis goes on in a straight line, so that Newton's method may pass there.
        beyond = x[:, -1] - np.clip(x[:, -1], 0.0, 1.0)
        out = np.flatnonzero(beyond)
        if len(out):
            found[out] += beyond[out, None] * self._slope(x[out])
        return found

    def jacobians(self, x: np.ndarray) -> np.ndarray:
        return self.jacobian(self.states(x), self.values(x))

    def derivative(self, x: np.ndarray) -> np.ndarray:
        """[J - 1, dF/dp], (row, state, state + 1)."""
        by_state = self.jacobians(x) - np.eye(x.shape[1] - 1)
        return np.concatenate([by_state, self._slope(x)[..., None]], -1)

    def _slope(self, x: np.ndarray) -> np.ndarray:
        if self.slope is not None:
            return self.slope(self.states(x), self.values(x)) * ((self.high - self.low) / self.scale)
        along = np.clip(x[:, -1], 0.0, 1.0)
        ends = np.minimum(along + DIFFERENCE, 1.0), np.maximum(along - DIFFERENCE, 0.0)
        ahead, behind = (self.step(self.states(x), self.low * (1 - end) + self.high * end) for end in ends)
        return (ahead - behind) / (self.scale * (ends[0] - ends[1]))[:, None]

    def inside(self, x: np.ndarray) -> bool:
        """Whether the state of one row is within the bounds, but for rounding."""
        state, (low, high) = self.states(x), self.bounds
        slack = 1e-9 * np.where(np.isfinite(high - low), high - low, 1.0)
        return bool(((state >= low - slack) & (state <= high + slack)).all())


@dataclass(frozen=True)
class Curve:
    """One connected piece of the solutions: its rows in order, the unit tangents there, and how it ends. A closed one
    comes back to its first row."""

    x: np.ndarray
    tangents: np.ndarray
    ends: tuple[int, int]
    closed: bool = False


def correct(
    family: Family, start: np.ndarray, normal: np.ndarray, trust: np.ndarray, short: float = SHORT_STEP
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method from each row of `start`, within the plane through it that is orthogonal to the row's `normal`
    and no further than `trust` from it: (x, whether it is a solution). It ends with a step below `short`, which leaves
    an error of about its square."""
    x, solved = start.copy(), np.zeros(len(start), bool)
    active = np.arange(len(x))
    for _ in range(MOST_NEWTON_STEPS):
        if not len(active):
            break
        r = family.residual(x[active])
        size = np.abs(r).max(-1, initial=0.0)
        exact = size <= 2e-16 * (1 + np.abs(x[active]).max(-1))
        solved[active[exact]] = True
        keep = ~exact & np.isfinite(size)
        active, r, size = active[keep], r[keep], size[keep]
        if not len(active):
            break
        a = np.concatenate([family.derivative(x[active]), normal[active, None]], 1)
        step = linalg.solve(a, np.concatenate([-r, np.zeros((len(r), 1))], 1))
        length = np.linalg.norm(step, axis=1)
        away = np.linalg.norm(x[active] + step - start[active], axis=1)
        good = np.isfinite(away) & (away <= trust[active])
        # Near a branch point the equations are all but singular, and the step of a solution is rounding.
        solved[active[~good & (size < SOLVED)]] = True
        x[active[good]] += step[good]
        solved[active[good & (length < short)]] = True
        active = active[good & (length >= short)]
    if short > SHORT_STEP:
        return x, solved
    left = np.abs(family.residual(x)).max(-1, initial=0.0)
    return x, solved & (left < SOLVED * (1 + np.abs(x).max(-1)))


def project(family: Family, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the nearest solution to each row, by steps of least length; whether it is isolated in h and p together)."""
    x = x.copy()
    for _ in range(4):
        a = family.derivative(x)
        step = np.einsum("rij,ri->rj", a, linalg.solve(a @ a.swapaxes(1, 2), -family.residual(x)))
        # Where that is singular, what the search found is kept.
        x += np.where(np.isfinite(step).all(1, keepdims=True) & (np.abs(step).max(1, keepdims=True) < 1e-3), step, 0.0)
    # What was searched for at an end of the axis stays there, where the curve is not upright.
    edge = np.round(x[:, -1])
    pinned = x.copy()
    pinned[:, -1] = edge
    pinned, ok = correct(family, pinned, np.eye(x.shape[1])[[-1]].repeat(len(x), 0), np.full(len(x), 1e-3))
    pinned[:, -1] = edge
    x = np.where((ok & (np.abs(x[:, -1] - edge) < SAME))[:, None], pinned, x)
    x[:, -1] = np.clip(x[:, -1], 0.0, 1.0)
    a = family.derivative(x)
    smallest = np.linalg.svd(np.where(np.isfinite(a).all((1, 2), keepdims=True), a, 0.0), compute_uv=False)[:, -1]
    return x, smallest > 1e-7


def tangents(family: Family, x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Unit tangents at each row, on the side of `like`; `like` itself where the equations are singular."""
    a = np.concatenate([family.derivative(x), like[:, None]], 1)
    found = linalg.solve(a, np.eye(x.shape[1])[[-1]].repeat(len(x), 0))
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(np.isfinite(length) & (length < 1e8), found / length, like)


def between(family: Family, a: np.ndarray, b: np.ndarray, fraction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points of a curve that lie above a fraction of the chords from rows a to rows b, and whether found."""
    chord = b - a
    length = np.linalg.norm(chord, axis=1)
    return correct(family, a + fraction[:, None] * chord, chord / length[:, None], 0.6 * length)


def position(family: Family, curve: Curve, x: np.ndarray) -> float | None:
    """Where on the curve the solution x lies, in rows; None where it is on another."""
    if len(curve.x) == 1:
        return 0.0 if np.linalg.norm(curve.x[0] - x) < SAME else None
    a, b = curve.x[:-1], curve.x[1:]
    chord = b - a
    fraction = ((x - a) * chord).sum(1) / (chord**2).sum(1)
    aside = np.linalg.norm(a + np.clip(fraction, 0, 1)[:, None] * chord - x, axis=1)
    # A curve that makes no more than 5 degrees with its chords stays near them.
    near = (fraction > -0.01) & (fraction < 1.01) & (aside < 0.2 * np.linalg.norm(chord, axis=1) + SAME)
    for i in np.flatnonzero(near):
        there, found = between(family, a[[i]], b[[i]], fraction[[i]])
        if found[0] and np.linalg.norm(there[0] - x) < SAME:
            return float(i + fraction[i])
    return None


def follow(family: Family, x: np.ndarray, longest: float, most_rows: int) -> Curve:
    """The whole curve through the solution x, both ways. Along p no step is longer than `longest`."""
    along = np.eye(len(x))[[-1]]
    tangent = tangents(family, x[None], along)[0]
    if np.array_equal(tangent, along[0]):  # also where it stands upright: a fold
        tangent = np.linalg.svd(family.derivative(x[None])[0])[2][-1]
    ahead, ahead_t, last = _one_way(family, x, tangent, longest, most_rows)
    if last is None:
        return _polished(family, Curve(ahead, ahead_t, (EVENT, EVENT), closed=True))
    behind, behind_t, first = _one_way(family, x, -tangent, longest, most_rows)
    rows = np.concatenate([behind[:0:-1], ahead])
    directions = np.concatenate([-behind_t[:0:-1], ahead_t])
    return _polished(family, Curve(rows, directions, (LOST if first is None else first, last)))


def _polished(family: Family, curve: Curve) -> Curve:
    normal = curve.tangents.copy()
    normal[(curve.x[:, -1] == 0) | (curve.x[:, -1] == 1)] = np.eye(curve.x.shape[1])[-1]
    x, ok = correct(family, curve.x, normal, np.full(len(normal), ROUGH * LONGEST_STEP))
    ok[[0, -1]] = True
    return replace(curve, x=x[ok], tangents=tangents(family, x[ok], curve.tangents[ok]))


def _one_way(
    family: Family, x: np.ndarray, tangent: np.ndarray, longest: float, most_rows: int
) -> tuple[np.ndarray, np.ndarray, int | None]:
    """(rows, tangents, how it ends) from x in the direction of the tangent; it ends in None where it is back at x."""
    rows, directions, length, last, end = [x], [tangent], FIRST_STEP, FIRST_STEP, LOST
    side = _orientation(family, x, tangent)
    while len(rows) <= most_rows:
        x, tangent = rows[-1], directions[-1]
        if (x[-1] <= 0 and tangent[-1] < 0) or (x[-1] >= 1 and tangent[-1] > 0):
            end = EDGE
            break
        length = min(length, LONGEST_STEP, longest / max(abs(tangent[-1]), 1e-12))
        bend = (tangent - directions[-2]) / last if len(rows) > 1 and min(last, length) > ROUGH_FROM else 0.0
        new, ok = _advance(family, x, tangent, x + length * tangent + length**2 / 2 * bend, length)
        direction = tangents(family, new[None], new[None] - x if length < KINK_STEP else tangent[None])[0]
        chord = (new - x) / max(float(np.linalg.norm(new - x)), 1e-300)
        # Both angles: where they differ in sign, the step has led to another piece that runs alongside.
        turn = min(float(chord @ tangent), float(chord @ direction))
        bent = turn < MOST_TURN or _leaves_between(x, tangent, new, direction)
        new_side = _orientation(family, new, direction)
        bent |= new_side != side and length > CROSSING_STEP
        if not ok or np.isnan(new_side) or (bent and length >= KINK_STEP):
            length /= 2
            if length >= SHORTEST_STEP:
                continue
            beyond = _round_a_kink(family, Curve(np.array(rows), np.array(directions), (LOST, LOST)))
            if beyond is None:
                # Close by, in any direction: next to the end of a root, slopes grow without bound, and steps fail.
                near = x + FIRST_STEP * np.concatenate([np.eye(len(x)), -np.eye(len(x))])
                end = LOST if np.isfinite(family.residual(near)).all() else UNDEFINED
                break
            new, direction = beyond
            length, turn, new_side = KINK_STEP, 1.0, _orientation(family, new, direction)
            if np.isnan(new_side):
                end = UNDEFINED
                break
        if not family.inside(new):
            new = _border(family, x, new)
            rows.append(new)
            directions.append(tangents(family, new[None], direction[None])[0])
            end = DOMAIN
            break
        rows.append(new)
        directions.append(direction)
        last, side = length, new_side
        if len(rows) > 3 and _passes(family, x, new, rows[0]):
            return np.array([*rows[:-1], rows[0]]), np.array([*directions[:-1], directions[0]]), None
        if turn > LITTLE_TURN:
            length *= 1.6
    return np.array(rows), np.array(directions), end


def _orientation(family: Family, x: np.ndarray, tangent: np.ndarray) -> float:
    """The sign of det [J - 1, dF/dp; t]. Along one curve it changes only where another curve crosses it; a step to
    another curve that lies beside it changes it too, where the two are all that is left of a crossing (Allgower &
    Georg, chapter 8). NaN where the derivative is not finite."""
    square = np.concatenate([family.derivative(x[None])[0], tangent[None]])
    return float(np.linalg.slogdet(square)[0]) if np.isfinite(square).all() else np.nan


def _leaves_between(x: np.ndarray, tangent: np.ndarray, new: np.ndarray, direction: np.ndarray) -> bool:
    """Whether p turns round beyond an end of the axis between two rows, by the cubic with their slopes."""
    s, length = np.linspace(0, 1, 17), np.linalg.norm(new - x)
    along = x[-1] + s**2 * (3 - 2 * s) * (new[-1] - x[-1])
    along += length * s * (1 - s) * ((1 - s) * tangent[-1] - s * direction[-1])
    return bool(along.max() > max(1.0, x[-1], new[-1]) + 1e-9 or along.min() < min(0.0, x[-1], new[-1]) - 1e-9)


def _advance(
    family: Family, x: np.ndarray, tangent: np.ndarray, guess: np.ndarray, length: float
) -> tuple[np.ndarray, bool]:
    """The solution one step on; at an end of the axis, exactly there."""
    trust = np.array([(0.5 if length >= KINK_STEP else 2.0) * length])
    short = ROUGH * length if length > ROUGH_FROM else SHORT_STEP
    new, ok = correct(family, guess[None], tangent[None], trust, short)
    if not ok[0] or 0 <= new[0, -1] <= 1:
        return new[0], bool(ok[0])
    edge = float(new[0, -1] > 1)
    start = x + (edge - x[-1]) / (new[0, -1] - x[-1]) * (new[0] - x)
    start[-1] = edge
    new, ok = correct(family, start[None], np.eye(len(x))[[-1]], trust)
    new[:, -1] = edge
    return new[0], bool(ok[0])


def _round_a_kink(family: Family, behind: Curve) -> tuple[np.ndarray, np.ndarray] | None:
    """(the first row beyond, the tangent there), where the map has a kink just ahead and the curve turns sharply."""
    x, tangent = behind.x[-1], behind.tangents[-1]
    for length in BEYOND_A_KINK:
        if not _is_finite(family, x + 0.1 * length * tangent):
            continue
        beyond = np.linalg.svd(family.derivative((x + 0.1 * length * tangent)[None])[0])[2][-1]
        for direction in (beyond, -beyond):
            new, ok = correct(family, (x + length * direction)[None], direction[None], np.array([0.5 * length]))
            if ok[0] and 0 <= new[0, -1] <= 1 and position(family, behind, new[0]) is None:
                return new[0], tangents(family, new, new - x)[0]
    return None


def _is_finite(family: Family, x: np.ndarray) -> bool:
    """Whether the map and its derivative are, as they are not beyond the end of a root or a logarithm."""
    return bool(np.isfinite(family.derivative(x[None])).all() and np.isfinite(family.residual(x[None])).all())


def _border(family: Family, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """The last point within the bounds on the way from one row to the next."""
    best, low, high = inner, 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        x, ok = between(family, inner[None], outer[None], np.array([middle]))
        if ok[0] and family.inside(x[0]):
            low, best = middle, x[0]
        else:
            high = middle
    return best


def _passes(family: Family, a: np.ndarray, b: np.ndarray, x: np.ndarray) -> bool:
    return position(family, Curve(np.array([a, b]), np.zeros((2, len(x))), (LOST, LOST)), x) is not None
