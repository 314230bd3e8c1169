"""The search for cycles of one period: complete where the map's linear pieces allow it, from many starts elsewhere."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses.fixed_points.cycles.linear_regions import at_border, exact_cycles
from rnnscope.analyses.fixed_points.cycles.region_search import search_regions
from rnnscope.analyses.fixed_points.cycles.shooting import chain_residuals, multipliers, shoot
from rnnscope.analyses.fixed_points.search.find import RANDOM_SHARE
from rnnscope.analyses.fixed_points.search.root_search import search_box
from rnnscope.analyses.fixed_points.search.stability import is_smooth
from rnnscope.maps import CompleteMap, LinearPieces
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.starts import bounds, starts_near
from rnnscope.subjects.subject import Subject

# A cycle with a multiplier this close to 1 is one of a continuum, and no exact search can list those.
CONTINUUM = 1e-9
# Exact solutions that differ by less than this part of their size are one.
SAME = 1e-8
# Noise on default starts, as for fixed points: fractions of each unit's standard deviation.
NOISE = np.array([0.0, 0.1, 0.5])
# Steps in which a start's trajectory is looked through for a near return.
RETURN_STEPS = 50


@dataclass(frozen=True)
class Search:
    """Chains of states that are cycles, of the period that was searched or a divisor, some of them the same.

    Attributes:
        chains: the states, in order.
        hits: how often each was found.
        radius: within which two are one.
        method, complete, n_tried, n_ended, n_singular: see `CycleSearch`.
    """

    chains: Float[np.ndarray, "found phase unit"]
    hits: Integer[np.ndarray, " found"]
    radius: Float[np.ndarray, " found"]
    method: str
    complete: bool
    n_tried: int
    n_ended: int
    n_singular: int = 0


def search_completely(pieces: LinearPieces, state_map: CompleteMap, period: int, max_regions: int) -> Search | None:
    """None where that takes more than `max_regions` sequences of regions."""
    found = exact_cycles(pieces, period, max_regions)
    if found is None:
        return None
    isolated = np.abs(cycle_multipliers(pieces, state_map, found.chains) - 1).min(1, initial=1.0) > CONTINUUM
    room = SAME * _size(pieces, found.chains)
    kept = isolated & _in_domain(state_map, found.chains, room)
    return Search(
        chains=found.chains[kept],
        hits=found.counts[kept],
        radius=room[kept],
        method=found.method,
        complete=True,
        n_tried=found.n_sequences,
        n_ended=int(kept.sum()),
        n_singular=found.n_singular + int((~isolated).sum()),
    )


def search_from_starts(
    state_map: CompleteMap,
    pieces: LinearPieces | None,
    begin: Float[np.ndarray, "start unit"],
    period: int,
    *,
    by_default: bool,
    radius: float,
    scale: float,
    tolerance: float,
    max_iterations: int,
    rng: np.random.Generator,
) -> Search:
    """By hopping and along paths if the map has pieces, by multiple shooting if not. `scale` is the spread of the
    starts; default ones are made more various (see `find_cycles`)."""
    chains = _chains(state_map, begin, period, by_default, rng)
    if pieces is None:
        ends, q = shoot(state_map, chains, search_box(state_map, begin), scale, tolerance, max_iterations)
        found = ends[q < tolerance]
        hits, n_ended = np.ones(len(found), np.int64), len(found)
    else:
        regions = pieces.regions(chains)
        if by_default:  # every other start from regions drawn at random: they may be far from any state visited
            regions[::2] = rng.random(regions[::2].shape) < 0.5
        found, hits, n_ended = search_regions(pieces, chains, regions, rng)
        inside = _in_domain(state_map, found, SAME * _size(pieces, found))
        found, hits = found[inside], hits[inside]
    return Search(
        chains=found,
        hits=hits,
        radius=np.full(len(found), radius),
        method="multiple shooting" if pieces is None else "region hopping and paths",
        complete=False,
        n_tried=len(chains),
        n_ended=n_ended,
    )


def _size(pieces: LinearPieces, chains: np.ndarray) -> Float[np.ndarray, " found"]:
    """How large the states of each chain are, and the constants that they are computed from."""
    unit = max(np.abs(pieces.constant(np.full(pieces.n_gates, side))).max() for side in (False, True))
    return np.abs(chains).max((1, 2), initial=0.0) + unit


def _in_domain(state_map: CompleteMap, chains: np.ndarray, room: np.ndarray) -> Bool[np.ndarray, " found"]:
    """Whether all states of each chain lie in the domain; what solves equations is 0 but for rounding there."""
    if state_map.domain is None:
        return np.ones(len(chains), bool)
    low, high = state_map.domain
    return ((chains >= low - room[:, None, None]) & (chains <= high + room[:, None, None])).all((1, 2))


def default_begin(
    subject: Subject, n_starts: int, pieces: LinearPieces | None, seed: int
) -> Float[np.ndarray, "start unit"]:
    """States to start from, as for fixed points."""
    no_visits = bounds(subject.map)[0].all() and subject.task is None
    seen = None if no_visits else subject.visited(seed=seed).states
    try:
        return starts_near(subject.map, seen, n_starts, NOISE, RANDOM_SHARE, np.random.default_rng([seed, 0xF1]))
    except NotApplicable:
        if pieces is None or seen is None:
            raise
        # Hopping starts from regions as well as from states: any state will do.
        return np.repeat(seen[:1], n_starts, 0)


def _chains(
    state_map: CompleteMap, begin: np.ndarray, period: int, by_default: bool, rng: np.random.Generator
) -> Float[np.ndarray, "start phase unit"]:
    """Each start and the states that follow it; of default starts, two thirds as `find_cycles` says."""
    n_starts = len(begin)
    n_steps = period + (RETURN_STEPS if by_default else 0)
    orbit = np.empty((n_steps, *begin.shape))
    orbit[0] = begin
    low, high = search_box(state_map, begin)
    with np.errstate(all="ignore"):
        for t in range(1, n_steps):
            new = state_map.step(orbit[t - 1], np.empty((n_starts, 0)))
            orbit[t] = np.where(np.isfinite(new).all(1, keepdims=True), np.clip(new, low, high), orbit[t - 1])
    chains = orbit[:period].swapaxes(0, 1).copy()
    if not by_default:
        return chains
    near, mixed = np.arange(1, n_starts, 3), np.arange(2, n_starts, 3)
    # How near it comes back after one period, as part of how far it is from there after a divisor of it.
    away = np.linalg.norm(orbit[period:] - orbit[:-period], axis=2)
    for d in proper_divisors(period):
        meanwhile = np.linalg.norm(orbit[d : d + len(away)] - orbit[: len(away)], axis=2)
        away = np.divide(away, meanwhile, out=np.full_like(away, np.inf), where=meanwhile > 0)
    since = away.argmin(0)[near]
    chains[near] = orbit[since[:, None] + np.arange(period), near[:, None]]
    for t in range(period):
        chains[mixed, t] = begin[rng.permutation(n_starts)[: len(mixed)]]
    return chains


def distinct_cycles(search: Search) -> tuple[Integer[np.ndarray, " cycle"], Integer[np.ndarray, " cycle"]]:
    """(row of each cycle of exactly the period that was searched, its hits)."""
    chains, period = search.chains, search.chains.shape[1]
    minimal = np.ones(len(chains), bool)
    for d in proper_divisors(period):
        minimal &= np.linalg.norm(np.roll(chains, -d, 1) - chains, axis=2).max(1) > search.radius
    left = np.flatnonzero(minimal)
    rows, hits = [], []
    while len(left):
        one = chains[left[0]]
        # The same cycle may begin at any of its states.
        shift = np.linalg.norm(chains[left] - one[0], axis=2).argmin(1)
        turned = np.take_along_axis(chains[left], ((shift[:, None] + np.arange(period)) % period)[..., None], 1)
        same = np.linalg.norm(turned - one, axis=2).max(1) <= search.radius[left[0]]
        same[0] = True
        rows.append(left[0])
        hits.append(int(search.hits[left[same]].sum()))
        left = left[~same]
    return np.array(rows, np.int64), np.array(hits, np.int64)


def proper_divisors(period: int) -> list[int]:
    return [d for d in range(1, period) if period % d == 0]


def cycle_multipliers(
    pieces: LinearPieces | None, state_map: CompleteMap, chains: Float[np.ndarray, "cycle phase unit"]
) -> Complex[np.ndarray, "cycle multiplier"]:
    return multipliers(_jacobians(pieces, state_map, chains))


def smooth_cycles(
    pieces: LinearPieces | None, state_map: CompleteMap, chains: Float[np.ndarray, "cycle phase unit"], scale: float
) -> Bool[np.ndarray, " cycle"]:
    """Whether no state lies at a kink; of a map that gives no pieces, whether the Jacobian hardly changes within a
    millionth of the scale."""
    if pieces is not None:
        return ~at_border(pieces, chains)
    return is_smooth(
        lambda z: _jacobians(None, state_map, z),
        chains,
        _jacobians(None, state_map, chains),
        1e-6 * scale,
        known=state_map.smooth,
    )


def _jacobians(pieces: LinearPieces | None, state_map: CompleteMap, chains: np.ndarray) -> np.ndarray:
    if pieces is not None:
        return pieces.jacobian(pieces.regions(chains))
    return state_map.jacobian(chains, np.empty((*chains.shape[:-1], 0)))


def check_begin(state_map: CompleteMap, begin: Float[np.ndarray, "start unit"]) -> None:
    if not np.isfinite(chain_residuals(state_map, begin[:, None])[1]).any():
        raise ValueError(
            f"the map gives no finite state from any of the {len(begin)} starts: look for NaN or infinite weights"
        )


def check_pieces(pieces: LinearPieces, state_map: CompleteMap) -> None:
    """A user's own pieces may not be those of the step."""
    rng = np.random.default_rng(0)
    n = state_map.state_size
    if len(pieces.offset) != n:
        raise ValueError(f"the map's states have {n} numbers, and those of its pieces {len(pieces.offset)}")
    states = rng.standard_normal((48, n)) * np.repeat([0.1, 1.0, 10.0], 16)[:, None]
    bounded, low, high = bounds(state_map)
    states = np.where(bounded, rng.uniform(low, high, states.shape), states)
    wanted, found = state_map.step(states, np.empty((len(states), 0))), pieces.step(states)
    error = np.abs(found - wanted).max()
    if not error <= 1e-9 * np.abs(wanted).max():
        raise ValueError(
            f"the pieces of this map are not its step: they differ by up to {error:.2g} at random states; correct the "
            "pieces (see rnnscope.maps.LinearPieces), or leave them out"
        )
