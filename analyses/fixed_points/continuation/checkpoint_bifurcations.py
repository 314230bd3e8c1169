"""What happened to fixed points between two checkpoints, from the points before and after.

The rules are those along a curve (`bifurcations`), without the moment itself. Training is a path without symmetry, on
which single points are born and die in saddle-nodes alone; pitchforks and transcritical bifurcations take a structure
that all networks on the path share. So a pair around a point that changes is a pitchfork only where both of the pair
have the same eigenvalues, as under a symmetry, and two points exchange their stability only where one of them never
moves, as the origin without biases. What is not told by the points is "unclassified".
"""

from dataclasses import dataclass

import numpy as np

from rnnscope.analyses.fixed_points.continuation.bifurcations import Spectrum

# The trunk of a pitchfork lies in the middle of its pair, but for this part of their distance.
OFF_MIDDLE = 0.25
# Eigenvalues, and places, are the same to this part of their size.
SAME = 1e-6


@dataclass(frozen=True)
class Points:
    """The fixed points of one checkpoint."""

    h: np.ndarray
    spectra: list[Spectrum]
    smooth: np.ndarray

    def __len__(self) -> int:
        return len(self.h)


@dataclass(frozen=True)
class Change:
    """Attributes:
    kind: one of KINDS.
    old, new: the points before and after that take part.
    eigenvalue: the critical one, after where there is a choice.
    point: where.
    """

    kind: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    eigenvalue: complex
    point: np.ndarray


Link = tuple[int, int, bool]


def without_pitchforks(before: Points, after: Points, links: list[Link]) -> list[Link]:
    """The links, (old, new, whether it could be otherwise), where a point seems to have become the middle of a pair
    that no symmetry joins: it went on as one of them, and the other two are a saddle-node. The same in reverse."""
    found = list(links)
    for n, (i, j, _) in enumerate(links):
        old, new = before.spectra[i], after.spectra[j]
        if old.above == new.above:
            continue
        for points, alone, trunk, wanted, is_new in (
            (after, _unlinked(after, found, 1), j, old, True),
            (before, _unlinked(before, found, 0), i, new, False),
        ):
            pair = _pair_around(points, alone, points.h[trunk], wanted.n_unstable)
            if pair is None or _alike(points, pair):
                continue
            from_there = before.h[i] if is_new else after.h[j]
            nearer = min(pair, key=lambda k: float(np.linalg.norm(points.h[k] - from_there)))
            found[n] = (i, nearer, True) if is_new else (nearer, j, True)
            break
    return found


def changes(before: Points, after: Points, links: list[Link]) -> list[Change]:
    """All that happened."""
    dead, born = _unlinked(before, links, 0), _unlinked(after, links, 1)
    found: list[Change] = []
    # On a branch that stays at a kink of the map eigenvalues tell nothing.
    told = [(i, j) for i, j, _ in links if before.smooth[i] or after.smooth[j]]
    changed = [(i, j) for i, j in told if _differ(before.spectra[i], after.spectra[j])]
    while changed:
        i, j = changed.pop(0)
        old, new = before.spectra[i], after.spectra[j]
        through_one, through_minus_one = old.above != new.above, old.below != new.below
        size = abs(new.n_unstable - old.n_unstable)
        kind, critical, olds, news = "unclassified", new.nearest_to_circle(), (i,), (j,)
        if not (before.smooth[i] and after.smooth[j]):
            pass
        elif through_one and not through_minus_one and size == 1:
            critical = new.nearest(1)
            appeared = _pair_around(after, born, after.h[j], old.n_unstable)
            vanished = _pair_around(before, dead, before.h[i], new.n_unstable)
            partner = _exchanged(before, after, (i, j), changed)
            if appeared and not vanished and _alike(after, appeared):
                kind, news = _pitchfork(new.n_unstable > old.n_unstable), (j, *appeared)
                born = [k for k in born if k not in appeared]
            elif vanished and not appeared and _alike(before, vanished):
                kind, olds = _pitchfork(old.n_unstable > new.n_unstable), (i, *vanished)
                dead = [k for k in dead if k not in vanished]
            elif partner is not None:
                kind, olds, news = "transcritical", (i, partner[0]), (j, partner[1])
                changed.remove(partner)
        elif through_minus_one and not through_one and size == 1:
            kind, critical = "flip", new.nearest(-1)
        elif not through_one and not through_minus_one and size == 2 and old.nearest_to_circle().imag and critical.imag:
            kind = "Neimark-Sacker"
        found.append(Change(kind, olds, news, critical, after.h[j]))
    for points, alone, is_new in ((after, born, True), (before, dead, False)):
        for members in _together(points, alone):
            critical = min((points.spectra[k].nearest(1) for k in members), key=lambda value: abs(value - 1))
            kind = "saddle-node" if len(members) == 2 else "unclassified"
            olds, news = ((), members) if is_new else (members, ())
            found.append(Change(kind, olds, news, critical, points.h[list(members)].mean(0)))
    return found


def _unlinked(points: Points, links: list[Link], side: int) -> list[int]:
    linked = {link[side] for link in links}
    return [k for k in range(len(points)) if k not in linked]


def _alike(points: Points, pair: tuple[int, int]) -> bool:
    """Whether a symmetry can join two points: they have the same eigenvalues."""
    one, two = (points.spectra[k].values for k in pair)
    return bool((np.abs(one - two) <= SAME * np.abs(one).max()).all())


def _differ(a: Spectrum, b: Spectrum) -> bool:
    return (a.above, a.below, a.n_unstable) != (b.above, b.below, b.n_unstable)


def _pitchfork(trunk_is_less_stable_with_pair: bool) -> str:
    return "supercritical pitchfork" if trunk_is_less_stable_with_pair else "subcritical pitchfork"


def _pair_around(points: Points, alone: list[int], trunk: np.ndarray, n_unstable: int) -> tuple[int, int] | None:
    """The closest two of the points that appear or vanish alike on both sides of a trunk."""
    fitting = [k for k in alone if points.spectra[k].n_unstable == n_unstable and points.smooth[k]]
    best, closest = None, np.inf
    for n, a in enumerate(fitting):
        for b in fitting[n + 1 :]:
            apart = float(np.linalg.norm(points.h[a] - points.h[b]))
            off = float(np.linalg.norm((points.h[a] + points.h[b]) / 2 - trunk))
            if off < OFF_MIDDLE * apart < OFF_MIDDLE * closest:
                best, closest = (a, b), apart
    return best


def _exchanged(
    before: Points, after: Points, link: tuple[int, int], others: list[tuple[int, int]]
) -> tuple[int, int] | None:
    """The nearest other branch, if it made the opposite change and one of the two has not moved."""
    if not others:
        return None
    apart = [_apart(before, link[0], i) + _apart(after, link[1], j) for i, j in others]
    other = others[int(np.argmin(apart))]
    n, opposite = ((before.spectra[i].n_unstable, after.spectra[j].n_unstable) for i, j in (link, other))
    through_one = before.spectra[other[0]].above != after.spectra[other[1]].above
    smooth = before.smooth[other[0]] and after.smooth[other[1]]
    resting = any(np.linalg.norm(before.h[i] - after.h[j]) <= SAME * min(apart) for i, j in (link, other))
    return other if n == opposite[::-1] and through_one and smooth and resting else None


def _together(points: Points, alone: list[int]) -> list[tuple[int, ...]]:
    """The points that appear or vanish: in twos where they can be two sides of a saddle-node, so that those in twos are
    as near to each other as can be; the others one by one."""
    from scipy.optimize import linear_sum_assignment

    ones = [k for k in alone if points.smooth[k] and points.spectra[k].above]
    twos = [k for k in alone if points.smooth[k] and not points.spectra[k].above]
    cost = np.array([[_apart(points, a, b) if _can_meet(points, a, b) else np.inf for b in twos] for a in ones])
    far = 1 + 2 * cost[np.isfinite(cost)].sum()
    cost = np.where(np.isfinite(cost), cost, far).reshape(len(ones), len(twos))
    pairs = [(ones[i], twos[j]) for i, j in zip(*linear_sum_assignment(cost), strict=True) if cost[i, j] < far]
    paired = {k for pair in pairs for k in pair}
    return [*pairs, *((k,) for k in alone if k not in paired)]


def _can_meet(points: Points, a: int, b: int) -> bool:
    one, two = points.spectra[a], points.spectra[b]
    return one.below == two.below and abs(one.n_unstable - two.n_unstable) == 1


def _apart(points: Points, a: int, b: int) -> float:
    return float(np.linalg.norm(points.h[a] - points.h[b]))
