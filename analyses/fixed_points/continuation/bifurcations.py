"""Where fixed points along a curve are born, die or change stability, and how (Kuznetsov, Elements of Applied
Bifurcation Theory, 2004, chapters 4, 5 and 10).

Between two rows of a curve something happens where one of four things differs: the direction of p, the parity of the
real eigenvalues above 1, that of those below -1, and the number of unstable directions. Each place is closed in on by
a bracketed secant method on the quantity that passes 0 there, and named by what differs just before and just after it;
where an eigenvalue is 1, by the coefficients of the normal form (`normal_forms`). What fits no name stays
"unclassified".
"""

from dataclasses import dataclass, replace

import numpy as np

from rnnscope.analyses.fixed_points.continuation.curves import (
    DIFFERENCE,
    MOST_TURN,
    Curve,
    Family,
    between,
    correct,
    tangents,
)
from rnnscope.analyses.fixed_points.continuation.normal_forms import DEGENERATE, crossing, is_fold
from rnnscope.numerics import linalg

KINDS = (
    "saddle-node",
    "transcritical",
    "supercritical pitchfork",
    "subcritical pitchfork",
    "flip",
    "Neimark-Sacker",
    "border collision",
    "unclassified",
    "fold-flip",
    DEGENERATE,
)
# Before and after an event are this far from it along the curve, in scaled lengths.
ASIDE = 1e-4
# The bracket of an event along its curve, in scaled lengths, and how near the unit circle its eigenvalue must be.
BRACKET, CRITICAL = 1e-10, 1e-4
# Errors along the axis from rounding, also that of finite differences: that of an eigenvalue enters the place of an
# event as it is, at a fold with its square, and at a branch point, where the equations are singular, with its root.
ROUNDING, FOLD_ROUNDING, SINGULAR_ROUNDING = 1e-9, 1e-12, 1e-7
# Two events nearer than this are one.
SAME_EVENT = 1e-5
# Where nothing decides, rounding says where an event is: two such that are nearer than this are one.
SAME_DEGENERATE, LEVEL = 5e-3, 1e-8
# The Jacobian of a smooth map does not change by these parts of itself over a bracket, and from before to after.
JUMP, WIDE_JUMP = 1e-3, 0.02
# Where it is not known whether a map has kinks: what changes over this part of two places' distance at least half as
# much as over so many times that is a kink. Differences that stand in for a Jacobian make one as wide as their own
# length, in units of h.
KINK_WIDTH, DIFFERENCES_WIDTH, FURTHER = 1e-4, 2.5e-5, 8.0
# An eigenvalue is 1 if it is as near to it as so many times the noise of derivatives.
NOISY = 30.0
# Derivatives with less noise are no differences.
EXACT = 1e-12
# What is nearer to a kink than so many times the length of differences may have slopes of both its sides.
WITHIN = 20.0
MOST_NESTED = 12


@dataclass(frozen=True)
class Event:
    """Something that happens to a fixed point on a curve.

    Attributes:
        kind: one of KINDS.
        x: where, in scaled coordinates.
        error: how far the true value of p can be from there, as a part of the axis.
        eigenvalue: the critical one.
        turns: whether p turns round there: one branch ends, and another begins.
        arms: solutions just before and just after on the curve itself.
        other_arms: solutions on the other curve through a branch point, if there is one.
        position: where on the curve, in rows.
    """

    kind: str
    x: np.ndarray
    error: float
    eigenvalue: complex
    turns: bool
    arms: np.ndarray
    other_arms: np.ndarray
    position: float = 0.0


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues at a fixed point, and what events are told by."""

    values: np.ndarray

    @property
    def above(self) -> bool:
        """The parity of the real eigenvalues above 1."""
        return self._odd(1)

    @property
    def below(self) -> bool:
        """The parity of the real eigenvalues below -1."""
        return self._odd(-1)

    @property
    def n_unstable(self) -> int:
        return int((np.abs(self.values) > 1).sum())

    def nearest(self, point: int) -> complex:
        return complex(self.values[np.abs(self.values - point).argmin()])

    def nearest_to_circle(self) -> complex:
        """Of a pair the one above the real axis."""
        nearest = self.values[np.abs(np.abs(self.values) - 1).argmin()]
        return complex(nearest.real, abs(nearest.imag))

    def _odd(self, side: int) -> bool:
        return bool(((np.imag(self.values) == 0) & (np.real(self.values) * side > 1)).sum() % 2)


@dataclass(frozen=True)
class _Place:
    """A point of a curve."""

    x: np.ndarray
    tangent: np.ndarray
    spectrum: Spectrum

    @property
    def forward(self) -> bool:
        return bool(self.tangent[-1] > 0)

    @property
    def signature(self) -> tuple[bool, bool, bool, int]:
        return self.forward, self.spectrum.above, self.spectrum.below, self.spectrum.n_unstable


def find_events(family: Family, curve: Curve, eigenvalues: np.ndarray) -> list[Event]:
    """The events on a curve, in its order, from the eigenvalues (row, state) at its rows."""
    real = np.where(np.imag(eigenvalues) == 0, np.real(eigenvalues), 0.0)
    counts = [(real > 1).sum(1) % 2, (real < -1).sum(1) % 2, (np.abs(eigenvalues) > 1).sum(1)]
    signatures = np.stack([curve.tangents[:, -1] > 0, *counts], 1)
    found: list[Event] = []
    for i in np.flatnonzero((signatures[1:] != signatures[:-1]).any(1)).tolist():
        rows = zip(curve.x[i : i + 2], curve.tangents[i : i + 2], eigenvalues[i : i + 2], strict=True)
        a, b = (_Place(x, tangent, Spectrum(values)) for x, tangent, values in rows)
        chord = b.x - a.x
        for event in _events_between(family, a, b, 0):
            if not any(is_same(event, known) for known in found):
                at = i + float(np.clip((event.x - a.x) @ chord / (chord @ chord), 0, 1))
                found.append(replace(event, position=at))
    return sorted(found, key=lambda event: event.position)


def is_same(a: Event, b: Event) -> bool:
    """Whether two events are one, seen from two curves or two brackets."""
    apart, level = float(np.linalg.norm(a.x - b.x)), abs(a.x[-1] - b.x[-1])
    if {a.kind, b.kind} & {DEGENERATE, "unclassified"} and apart < SAME_DEGENERATE and level < LEVEL:
        return True
    # At one place one eigenvalue can pass 1 and another -1.
    return apart < SAME_EVENT and (a.kind == "flip") == (b.kind == "flip")


def _events_between(family: Family, a: _Place, b: _Place, depth: int) -> list[Event]:
    chord = b.x - a.x
    length = float(np.linalg.norm(chord))
    if a.signature == b.signature or depth > MOST_NESTED or length < BRACKET:
        return []
    if min(float(chord @ a.tangent), float(chord @ b.tangent)) < MOST_TURN * length:
        return [_at_a_kink(family, a, b)]
    low, high = _close_in(family, a, b)
    middle = low if abs(low.tangent[-1]) <= abs(high.tangent[-1]) else high
    before, after = _aside(family, middle, -ASIDE, low), _aside(family, middle, ASIDE, high)
    found = _named(family, low, high, before, after) if before.signature != after.signature else []
    # What differs outside of this place is another event.
    if (before.x - a.x) @ chord > 0:
        found = _events_between(family, a, before, depth + 1) + found
    if (b.x - after.x) @ chord > 0:
        found += _events_between(family, after, b, depth + 1)
    return found


def _close_in(family: Family, a: _Place, b: _Place) -> tuple[_Place, _Place]:
    """A narrow bracket of one of the changes between two places, by the Illinois method; a wide one where the curve
    cannot be followed to it."""
    start, end, whole = a, b, float(np.linalg.norm(b.x - a.x))
    s, t, f, g, kept = 0.0, 1.0, _test(a, a, b), _test(b, a, b), 0
    for n in range(100):
        if (t - s) * whole <= BRACKET:
            break
        # Every fourth step halves the bracket, which the secant alone may not do where the quantity jumps.
        middle = (s * g - t * f) / (g - f) if n % 4 != 3 else (s + t) / 2
        middle = min(max(middle, s + 0.2 * BRACKET / whole), t - 0.2 * BRACKET / whole)
        x, ok = between(family, start.x[None], end.x[None], np.array([middle]))
        if not ok[0]:
            break
        place = _place(family, x[0], end.x - start.x)
        value = _test(place, start, end)
        if (value < 0) == (f < 0):
            s, f, a = middle, value, place
            g *= 0.5 if kept > 0 else 1.0
            kept = 1
        else:
            t, g, b = middle, value, place
            f *= 0.5 if kept < 0 else 1.0
            kept = -1
    return a, b


def _test(at: _Place, start: _Place, end: _Place) -> float:
    """A quantity that changes its sign from `start` to `end`: the slope of p, else a real eigenvalue's way to 1, else
    its way to -1, else that of a pair to the unit circle."""
    if start.forward != end.forward:
        return float(at.tangent[-1]) or -1e-300
    here, first, last = at.spectrum, start.spectrum, end.spectrum
    if first.above != last.above:
        return (1.0 if here.above else -1.0) * abs(here.nearest(1) - 1)
    if first.below != last.below:
        return (1.0 if here.below else -1.0) * abs(here.nearest(-1) + 1)
    moved = (
        here.n_unstable > first.n_unstable
        if last.n_unstable > first.n_unstable
        else (here.n_unstable < first.n_unstable)
    )
    return (1.0 if moved else -1.0) * abs(abs(here.nearest_to_circle()) - 1)


def _named(family: Family, low: _Place, high: _Place, before: _Place, after: _Place) -> list[Event]:
    """The events in a bracket, by what differs before and after: one, or two where one eigenvalue passes -1 as another
    passes 1."""
    old, new, turns = before.spectrum, after.spectrum, before.forward != after.forward
    through_one, through_minus_one = old.above != new.above, old.below != new.below
    change = abs(new.n_unstable - old.n_unstable)
    at = _place(family, (low.x + high.x) / 2, low.tangent + high.tangent)
    kind, critical, others = "unclassified", at.spectrum.nearest_to_circle(), np.empty((0, len(at.x)))
    width = float(np.linalg.norm(high.x - low.x))
    # Near a fold a bracket along the curve is much narrower along p.
    error = max(width * max(abs(low.tangent[-1]), abs(high.tangent[-1])), FOLD_ROUNDING if turns else ROUNDING)
    # An eigenvalue that passes -1 at the same place changes the count by 1 more or 1 less.
    changes = (0, 2) if through_minus_one else (1,)
    flips = False
    if width > 1e3 * BRACKET:
        pass
    elif family.smooth is not True and _jump(family, low, high) > JUMP:
        kind = "border collision"
    elif (turns or through_one) and max(abs(each.nearest(1) - 1) for each in (old, new)) < NOISY * family.noise:
        # Whether it passes 1 is rounding.
        kind, critical = DEGENERATE, at.spectrum.nearest(1)
        others, error = crossing(family, at.x, at.tangent).arms, max(error, SINGULAR_ROUNDING)
    elif through_one and turns and change in changes:
        kind, critical = "fold-flip" if through_minus_one else "saddle-node", at.spectrum.nearest(1)
        kind = kind if is_fold(family, at.x) else DEGENERATE
    elif (through_one and change in changes) or (turns and not through_one and not through_minus_one and not change):
        found = crossing(family, at.x, at.tangent)
        kind, others, flips = found.kind, found.arms, through_minus_one
        critical, error = at.spectrum.nearest(1), max(error, SINGULAR_ROUNDING)
    elif not turns and not through_one and through_minus_one and change == 1:
        kind, critical = "flip", at.spectrum.nearest(-1)
    elif not turns and not through_one and not through_minus_one and change == 2 and abs(critical.imag) > CRITICAL:
        kind = "Neimark-Sacker"
    if kind != "border collision" and abs(abs(critical) - 1) > CRITICAL:
        kind = "unclassified"
    if kind == "unclassified" and _has_kink(family, before, after, WIDE_JUMP):
        return [_at_a_kink(family, before, after)]  # finite differences make a kink as wide as their step
    event = Event(kind, at.x, error, critical, turns, np.stack([before.x, after.x]), others)
    if not flips or abs(at.spectrum.nearest(-1) + 1) > CRITICAL:
        return [event]
    return [event, replace(event, kind="flip", eigenvalue=at.spectrum.nearest(-1), other_arms=others[:0])]


def _place(family: Family, x: np.ndarray, like: np.ndarray) -> _Place:
    like = like / max(float(np.linalg.norm(like)), 1e-300)
    spectrum = Spectrum(linalg.eigenvalues(family.jacobians(x[None]))[0])
    return _Place(x, tangents(family, x[None], like[None])[0], spectrum)


def _aside(family: Family, at: _Place, length: float, other: _Place) -> _Place:
    """A place a little before or after; `other` where the curve has none there."""
    x, ok = correct(family, (at.x + length * at.tangent)[None], at.tangent[None], np.array([2 * abs(length)]))
    return _place(family, x[0], at.tangent) if ok[0] else other


def _at_a_kink(family: Family, a: _Place, b: _Place) -> Event:
    """The event where a curve turns sharply between two places: where the straight lines on from both meet."""
    lengths = np.linalg.lstsq(np.stack([a.tangent, -b.tangent], 1), b.x - a.x, rcond=None)[0]
    meet = a.x + lengths[0] * a.tangent, b.x + lengths[1] * b.tangent
    apart, wide = float(np.linalg.norm(meet[1] - meet[0])), float(np.linalg.norm(b.x - a.x))
    x = (meet[0] + meet[1]) / 2
    error = max(apart + 10 * float(np.abs(family.residual(x[None])).max()), ROUNDING)
    near = float(min(np.linalg.norm(x - a.x), np.linalg.norm(x - b.x)))
    if (family.slope is None or family.noise > EXACT) and near < WITHIN * DIFFERENCE:
        # A slope by differences that reach across the kink is one of neither side, and the line with it leads aside.
        error = max(error, 2 * near)
    if np.linalg.norm(lengths) > 10 * wide:  # they are all but parallel
        x, error = (a.x + b.x) / 2, wide
    kind = "border collision" if _has_kink(family, a, b, JUMP) else "unclassified"
    critical = a.spectrum.nearest_to_circle()
    # Nearer than the two places, which can be well apart, so that the branches come close to where they end.
    far = np.stack([a.x, b.x]) - x
    part = np.minimum(1, 0.1 * ASIDE / np.maximum(np.linalg.norm(far, axis=1, keepdims=True), 1e-300))
    arms, ok = correct(family, x + part * far, np.stack([a.tangent, b.tangent]), np.full(2, ASIDE))
    arms = np.where(ok[:, None], arms, [a.x, b.x])
    return Event(kind, x, error, critical, a.forward != b.forward, arms, np.empty((0, len(x))))


def _jump(family: Family, a: _Place, b: _Place) -> float:
    """The change of the Jacobian, as a part of it."""
    jacobians = family.jacobians(np.stack([a.x, b.x]))
    return float(np.abs(jacobians[1] - jacobians[0]).max() / (1 + np.abs(jacobians).max()))


def _has_kink(family: Family, a: _Place, b: _Place, jump: float) -> bool:
    """Whether the Jacobian jumps by a part of itself between two places. Where the map does not say whether it has
    kinks, it is looked at ever closer where it changes most: what jumps does so over any distance, and what is smooth
    changes the less the closer it is looked at."""
    if family.smooth is True or _jump(family, a, b) <= jump:
        return False
    if family.smooth is False:
        return True
    least = KINK_WIDTH * float(np.linalg.norm(b.x - a.x))
    if family.noise > EXACT:
        least = max(least, DIFFERENCES_WIDTH / family.scale)
    low, high, seen = a.x, b.x, []
    while not seen or seen[-1][0] > least:
        # Not in the middle, where a kink would be in what is symmetric.
        inner = low + 0.382 * (high - low)
        here = family.jacobians(np.stack([low, inner, high]))
        seen.append((float(np.linalg.norm(high - low)), float(np.abs(here[2] - here[0]).max())))
        parts = np.abs(np.diff(here, axis=0)).max((1, 2))
        low, high = (low, inner) if parts[0] >= parts[1] else (inner, high)
    length, change = seen[-1]
    earlier = next(each for size, each in seen if size <= FURTHER * length)
    return bool(change > 0.5 * earlier and change > 0.5 * jump)
