"""Which fixed points are still missing? What is known leads on to others, where starts at random would hardly ever go.

*Forward.* Orbits end at stable points. One that comes to rest at no known point has found one.

*Back.* For almost any state a, the curves of fixed points of h -> (1 - t) a + t F(h, u) join the fixed points of F in
pairs, and one of them with a (homotopy.py). A round draws a, follows these curves from every known point, and comes
out at its partner. Where F maps a convex compact domain into itself, the two of a pair have opposite signs of
det(I - J), so that the sum of all signs is 1. While that of the known points is not, those of the sign in excess cannot
all have known partners: a round that follows their curves to the end finds a new point.

*Beside.* Points of networks that hold several things at once stand nearly in a lattice. A round also begins at
p + q - r for known points p, q, r.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.search.homotopy import curve_work, follow_to_roots
from rnnscope.analyses.fixed_points.search.root_search import FIXED, Search, residuals, roots_near
from rnnscope.analyses.fixed_points.trust.index import signs_of
from rnnscope.analyses.fixed_points.trust.unseen import SearchedOn
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.numerics.pieces import joined

# Steps of an orbit, and of a curve; those on the presets' networks took 10 a curve.
ORBIT_STEPS, CURVE_STEPS = 200, 200
# An orbit is at rest where a step moves it by less than this part of the scale.
AT_REST = 1e-2
# From near a zero, Newton's method needs few steps.
POLISHING = 40
# Sums p + q - r in a round, at each input, and for each known point.
COMBINED, COMBINED_EACH = 128, 4
# 1 - J is nearly singular where it shortens some vector to this part.
NEARLY_SINGULAR = 1e-7
# Numbers in the matrices of the curves that are followed side by side.
AT_A_TIME = 2**22


@dataclass(frozen=True)
class Budget:
    """How far the search goes on.

    Attributes:
        n_rounds: rounds of curves, at most; none goes on after one that found nothing while the index is 1.
        work: multiplications that the curves may take, about.
    """

    n_rounds: int
    work: float


@dataclass(frozen=True)
class Further:
    """The search from the starts, gone on with.

    Attributes:
        search: the ends of the starts, then the points beyond those, each once.
        input: the row of the held inputs of each.
        spent: what it took.
    """

    search: Search
    input: Integer[np.ndarray, " end"]
    spent: SearchedOn


@dataclass(frozen=True)
class Limits:
    """Where and how exactly is searched; see `search_roots`. `kept` says whether the map keeps the box."""

    box: tuple[np.ndarray, np.ndarray]
    scale: float
    tolerance: float
    distance: float
    kept: bool


def search_on(
    state_map: CompleteMap,
    search: Search,
    known: Integer[np.ndarray, " point"],
    condition: Integer[np.ndarray, " start"],
    held: Float[np.ndarray, "condition input"],
    orbits: Float[np.ndarray, "orbit unit"],
    orbit_condition: Integer[np.ndarray, " orbit"],
    limits: Limits,
    budget: Budget,
    rng: np.random.Generator,
) -> Further:
    """Search for fixed points beyond those at which the starts ended.

    Args:
        state_map: the map.
        search: how the starts ended.
        known: the rows of its ends that are points, each once.
        condition: the row of `held` of each start.
        held: the inputs.
        orbits: states from which to run forward.
        orbit_condition: the row of `held` of each.
        limits: where and how exactly.
        budget: how far.
        rng: for the states a.
    """
    with np.errstate(all="ignore"), linalg.one_thread():
        listed = _Listed(search.ends[known], condition[known])
        resting, rows = _rest(state_map, orbits, held[orbit_condition], limits)
        listed = listed.with_those_near(state_map, resting, orbit_condition[rows], held, limits)
        curves = _Curves(0, 0.0)
        if limits.kept:
            listed, curves = _go_back(state_map, listed, held, limits, budget, rng)
    new, at = listed.points[len(known) :], listed.condition[len(known) :]
    q, nothing = residuals(state_map, new, held[at])[1], np.zeros(len(new), np.int64)
    return Further(
        search=joined([search, Search(new, q, nothing + FIXED, nothing, nothing)]),
        input=np.append(condition, at),
        spent=SearchedOn(
            n_orbits=len(orbits), n_at_rest=len(resting), n_curves=curves.n, out_of_work=curves.work > budget.work
        ),
    )


@dataclass(frozen=True)
class _Listed:
    """Fixed points, each once."""

    points: Float[np.ndarray, "point unit"]
    condition: Integer[np.ndarray, " point"]

    def with_those_near(
        self, state_map: CompleteMap, states: np.ndarray, condition: np.ndarray, held: np.ndarray, limits: Limits
    ) -> "_Listed":
        """And the fixed points that Newton's method comes to from these states."""
        if not len(states):
            return self
        ends, zeros = roots_near(
            state_map,
            states,
            held[condition],
            box=limits.box,
            scale=limits.scale,
            tolerance=limits.tolerance,
            max_iterations=POLISHING,
        )
        zeros = np.flatnonzero(zeros)
        left, radius = zeros[isolated(state_map, ends[zeros], held[condition[zeros]])], limits.distance * limits.scale
        new: list[int] = []
        for i, point in zip(self.condition, self.points, strict=True):
            left = left[(condition[left] != i) | (np.linalg.norm(ends[left] - point, axis=1) >= radius)]
        while len(left):
            new.append(left[0])
            same = np.linalg.norm(ends[left] - ends[left[0]], axis=1) < radius
            same &= condition[left] == condition[left[0]]
            same[0] = True
            left = left[~same]
        return _Listed(np.concatenate([self.points, ends[new]]), np.append(self.condition, condition[new]))


@dataclass(frozen=True)
class _Curves:
    n: int
    work: float


def _rest(
    state_map: CompleteMap, orbits: np.ndarray, inputs: np.ndarray, limits: Limits
) -> tuple[np.ndarray, Integer[np.ndarray, " resting"]]:
    """(where orbits have come to rest, which of them)."""
    states, rows, moved = orbits, np.arange(len(orbits)), np.full(len(orbits), np.inf)
    for _ in range(ORBIT_STEPS if len(orbits) else 0):
        new = state_map.step(states, inputs[rows])
        sound = np.isfinite(new).all(1)  # no map is asked about what is not finite
        moved = np.linalg.norm(new - states, axis=1)[sound]
        states, rows = new[sound], rows[sound]
    resting = moved < AT_REST * limits.scale
    return np.clip(states[resting], *limits.box), rows[resting]


def _go_back(
    state_map: CompleteMap,
    listed: _Listed,
    held: np.ndarray,
    limits: Limits,
    budget: Budget,
    rng: np.random.Generator,
) -> tuple[_Listed, _Curves]:
    """Rounds of curves from all known points, at every input until one finds nothing and the index allows an end."""
    n, n_held, curves = state_map.state_size, len(held), _Curves(0, 0.0)
    going_on, known = np.ones(n_held, bool), isolated(state_map, listed.points, held[listed.condition])
    for _ in range(budget.n_rounds):
        anchors = rng.uniform(*limits.box, (n_held, n))
        signs = signs_of(state_map, listed.points, held[listed.condition])
        total = np.bincount(listed.condition, signs, n_held)
        # Those of the sign in excess first: their partners are missing.
        excess = signs * np.sign(total - 1)[listed.condition] > 0
        rows = np.flatnonzero(
            going_on[listed.condition] & np.append(known, np.ones(len(listed.points) - len(known), bool))
        )
        rows = rows[np.argsort(~excess[rows], kind="stable")]
        before = len(listed.points)
        # The curve that begins at a itself leads to a point, too.
        fresh = np.flatnonzero(going_on)
        for at, begun in ((fresh, None), *_parts(listed.condition[rows], listed.points[rows], AT_A_TIME // n**2)):
            if curves.work > budget.work:
                return listed, curves
            ends, arrived, steps = follow_to_roots(
                state_map, anchors[at], held[at], limits.box, limits.scale, CURVE_STEPS, begun
            )
            curves = _Curves(curves.n + len(at), curves.work + curve_work(n, steps))
            listed = listed.with_those_near(state_map, ends[arrived], at[arrived], held, limits)
        states, at = _combined(listed, fresh, rng)
        listed = listed.with_those_near(state_map, np.clip(states, *limits.box), at, held, limits)
        signs = signs_of(state_map, listed.points, held[listed.condition])
        total = np.bincount(listed.condition, signs, n_held)
        grown = np.bincount(listed.condition[before:], minlength=n_held) > 0
        going_on &= grown | (total != 1)
        if not going_on.any():
            break
    return listed, curves


def isolated(
    state_map: CompleteMap, points: Float[np.ndarray, "point unit"], inputs: Float[np.ndarray, "point input"]
) -> Bool[np.ndarray, " point"]:
    """Whether 1 - J is not nearly singular: on a line of fixed points, each of which would lead to others, it is."""
    n, found = points.shape[1], np.ones(len(points), bool)
    vector = np.random.default_rng(0).standard_normal(n)  # only a size is estimated with it
    vector /= np.linalg.norm(vector)
    part = max(1, 2**24 // n**2)
    for i in range(0, len(points), part):
        matrices = np.eye(n) - state_map.jacobian(points[i : i + part], inputs[i : i + part])
        size = np.linalg.norm(linalg.solve(matrices, np.tile(vector, (len(matrices), 1))), axis=1)
        found[i : i + part] = size * np.sqrt(n) * NEARLY_SINGULAR < 1
    return found


def _parts(at: np.ndarray, known: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for i in range(0, len(at), max(size, 1)):
        yield at[i : i + max(size, 1)], known[i : i + max(size, 1)]


def _combined(
    listed: _Listed, conditions: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "sum unit"], Integer[np.ndarray, " sum"]]:
    """(sums p + q - r of points at the same of these inputs, the input of each)."""
    triples = [np.empty((0, 3), np.int64)]
    for condition in conditions:
        rows = np.flatnonzero(listed.condition == condition)
        many = min(COMBINED, COMBINED_EACH * len(rows)) if len(rows) > 1 else 0
        triples.append(rows[rng.integers(0, max(len(rows), 1), (many, 3))] if many else triples[0])
    p, q, r = np.concatenate(triples).T
    return listed.points[p] + listed.points[q] - listed.points[r], listed.condition[p]
