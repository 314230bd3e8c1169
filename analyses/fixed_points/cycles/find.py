"""Where does the network go round? Cycles z_1 -> z_2 -> ... -> z_k -> z_1 of a map at a constant input.

Of piecewise-linear maps they are found exactly, and all of them where that can be done; see `linear_regions`. Of other
maps they are found by multiple shooting from many starts; see `shooting`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses.fixed_points.cycles.period_search import (
    Search,
    check_begin,
    check_pieces,
    cycle_multipliers,
    default_begin,
    distinct_cycles,
    search_completely,
    search_from_starts,
    smooth_cycles,
)
from rnnscope.analyses.fixed_points.cycles.region_search import LARGE, complete_cost, regions_cost
from rnnscope.analyses.fixed_points.cycles.result import Cycles
from rnnscope.analyses.fixed_points.cycles.search import CycleSearch
from rnnscope.analyses.fixed_points.cycles.shooting import chain_residuals, shooting_cost
from rnnscope.analyses.fixed_points.search.find import spread
from rnnscope.analyses.fixed_points.search.root_search import search_box
from rnnscope.analyses.fixed_points.search.stability import count_unstable
from rnnscope.analyses.fixed_points.trust.coverage import coverage
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.maps import HeldInput, LinearPieces
from rnnscope.numerics.pieces import joined
from rnnscope.question import Count, InputVector, Positive, Seed, StateRows
from rnnscope.registry import analysis
from rnnscope.subjects.starts import checked_starts
from rnnscope.subjects.subject import Subject

MOST_STARTS, LEAST_STARTS = 256, 4


def default_n_starts(state_size: int) -> int:
    """From how many starts cycles are searched."""
    return MOST_STARTS if state_size <= LARGE else max(LEAST_STARTS, int(MOST_STARTS * (LARGE / state_size) ** 4))


def _cost(scale: Scale, settings: Settings) -> Expected:
    periods = settings["periods"]
    wanted = [periods] if isinstance(periods, int) else list(periods)
    n_starts = settings["n_starts"] or default_n_starts(scale.n)
    n_starts = n_starts if settings["starts"] is None else len(settings["starts"])
    state_map = HeldInput(scale.subject.map, settings["input"])
    pieces = None if settings["exact"] is False else state_map.linear_pieces(np.empty(0))
    if pieces is None:
        costs = [shooting_cost(scale, n_starts, period) for period in wanted]
    else:
        most = np.log2(settings["max_regions"])
        costs = [
            complete_cost(scale, pieces.n_gates, period)
            if period * pieces.n_gates <= most
            else regions_cost(scale, pieces, n_starts, period)
            for period in wanted
        ]
    return scale.around(sum(cost.seconds for cost in costs), max((cost.memory for cost in costs), default=0))


@analysis(
    "cycles",
    title="Cycles",
    group=FIXED_POINTS,
    quick={"periods": (1, 2), "n_starts": 16, "max_regions": 2**10, "max_iterations": 20},
    cost=Cost("heavy", "starts x periods x units^3", _cost),
)
def find_cycles(
    subject: Subject,
    *,
    periods: Count | Sequence[Count] = (1, 2, 3, 4),
    input: InputVector | None = None,
    starts: StateRows | None = None,
    n_starts: Count | None = None,
    exact: bool | None = None,
    max_regions: Count = 2**20,
    tolerance: Positive = 1e-20,
    max_iterations: Count = 100,
    distance: Positive = 1e-5,
    seed: Seed = 0,
) -> Cycles:
    """Find and classify the cycles of a map at a constant input. Only minimal periods count, and each cycle once.

    A map that gives its linear pieces (ReLU networks of one layer, `cells.PiecewiseLinear`, a `FunctionMap` with
    `pieces`) is solved exactly, region by region, and completely where all sequences of regions are few enough, or
    those that a state can follow. Where they are not, it is searched from many starts, each of which goes on from
    regions to the regions of their solution, and along paths from every cycle found to others (see `region_search`).
    All other maps are searched by multiple shooting: Newton steps on all states of a cycle at once. From starts no
    search is complete: `search.unseen` estimates the rest from below, from the hits.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        periods: the periods to search, or one, in steps; a fixed point has period 1.
        input: the input to hold, (input,); zeros if None.
        starts: where to start, (start, state), each with the states that follow it. If None: as in
            `find_fixed_points`; a third of them with the states that follow, a third from the nearest return in
            their trajectory, and a third with states in no order.
        n_starts: how many default starts, for each period. None: 256 up to 256 units; beyond, so many fewer as systems
            of equations cost more and a network of 2,000 units can be searched at all: 16 at 512, 4 at 2,000.
        exact: True for a complete search or an error, False to treat the map as any other; None for what is possible.
        max_regions: sequences of regions to search at most where all are searched, and regions of the sequences that
            a state can follow; 2^20 of either take seconds at most.
        tolerance: q per step below which a chain of states is a cycle, in multiple shooting.
        max_iterations: steps that a start of multiple shooting may take in each of two passes.
        distance: from starts, two cycles are one when no state differs by more than this times the starts' spread.
        seed: for the default starts.

    Raises:
        ValueError: an argument out of range or of the wrong shape; exact=True where that cannot be had; weights that
            give no finite state; `pieces` of a FunctionMap that are not its step.
        NotApplicable: it is not known where to start.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.analyses.fixed_points.cycles.find import find_cycles
        >>> logistic = rs.FunctionMap(lambda x: 3.2 * x * (1 - x), state_size=1, domain=([0], [1]))
        >>> found = find_cycles(logistic, periods=[1, 2])
        >>> found.period.tolist(), found.stable.tolist(), found.cycle(2).round(4).tolist()
        ([1, 1, 2], [False, False, True], [[0.7995], [0.513]])
    """
    wanted = sorted({periods} if isinstance(periods, int) else set(periods))
    if not wanted:
        raise ValueError("periods is empty: give one period or several, such as [1, 2, 3]")
    state_map = HeldInput(subject.map, input)
    n_starts = n_starts or default_n_starts(state_map.state_size)
    given = None if starts is None else checked_starts(starts, state_map.state_size)
    pieces = None if exact is False else state_map.linear_pieces(np.empty(0))
    if pieces is None and exact:
        raise ValueError(
            "exact=True needs a piecewise-linear map, and this one gives no linear pieces: it takes a ReLU network of "
            "one layer, cells.PiecewiseLinear, or a FunctionMap with pieces=...; exact=None searches any map from "
            "starts"
        )
    if pieces is not None:
        check_pieces(pieces, state_map)

    begin, scale, searches = None, 0.0, []
    for period in wanted:
        search = None if pieces is None else search_completely(pieces, state_map, period, max_regions)
        if search is None:
            if exact and pieces is not None:
                raise ValueError(
                    f"exact=True: {pieces.n_gates} gates over {period} steps have 2^{period * pieces.n_gates} "
                    f"sequences of regions, more than max_regions={max_regions}: ask for shorter periods, raise "
                    "max_regions, or search from starts with exact=None"
                )
            if begin is None:
                begin = default_begin(subject, n_starts, pieces, seed) if given is None else given
                begin = np.clip(begin, *search_box(state_map, begin))
                check_begin(state_map, begin)
                scale = spread(begin)
            search = search_from_starts(
                state_map,
                pieces,
                begin,
                period,
                by_default=given is None,
                radius=distance * scale,
                scale=scale,
                tolerance=tolerance,
                max_iterations=max_iterations,
                rng=np.random.default_rng([seed, 0xC1, period]),
            )
        searches.append(search)
    return _collected(state_map, pieces, wanted, searches, scale)


def _collected(
    state_map: HeldInput, pieces: LinearPieces | None, periods: list[int], searches: list[Search], scale: float
) -> Cycles:
    """The distinct cycles that the searches of all periods found, in order."""
    chains: list[np.ndarray] = []
    found: list[_OfPeriod] = []
    unseen = []
    for period, search in zip(periods, searches, strict=True):
        rows, hits = distinct_cycles(search)
        here = search.chains[rows]
        if search.method == "all region sequences":  # each cycle was found again from each of its states
            hits = hits // period
        values = cycle_multipliers(pieces, state_map, here)
        n_unstable = count_unstable(values)
        smooth = smooth_cycles(pieces, state_map, here, scale)
        order = np.lexsort((-hits, n_unstable))
        chains += [_turned(here[i]) for i in order]
        found.append(_OfPeriod(values[order], n_unstable[order], smooth[order], hits[order]))
        unseen.append(0.0 if search.complete else coverage(hits).unseen)
    length = np.array([len(chain) for chain in chains], np.int64)
    points = np.concatenate([np.zeros((0, state_map.state_size)), *chains])
    every = joined(found)
    return Cycles(
        period=length,
        points=points,
        cycle_of_point=np.repeat(np.arange(len(chains)), length),
        phase=np.concatenate([np.zeros(0, np.int64), *(np.arange(k) for k in length)]),
        q=np.concatenate([np.zeros(0), *(chain_residuals(state_map, chain)[1] for chain in chains)]),
        regions=np.zeros((len(points), 0), bool) if pieces is None else pieces.regions(points),
        multipliers=every.multipliers,
        n_unstable=every.n_unstable,
        smooth=every.smooth,
        hits=every.hits,
        input=state_map.input,
        search=CycleSearch(
            periods=np.array(periods),
            complete=np.array([search.complete for search in searches]),
            method=tuple(search.method for search in searches),
            n_tried=np.array([search.n_tried for search in searches]),
            n_ended=np.array([search.n_ended for search in searches]),
            n_singular=np.array([search.n_singular for search in searches]),
            unseen=np.array(unseen),
            scale=scale,
        ),
    )


@dataclass(frozen=True)
class _OfPeriod:
    """What is known of the cycles of one period; see `Cycles`."""

    multipliers: Complex[np.ndarray, "cycle multiplier"]
    n_unstable: Integer[np.ndarray, " cycle"]
    smooth: Bool[np.ndarray, " cycle"]
    hits: Integer[np.ndarray, " cycle"]


def _turned(chain: Float[np.ndarray, "phase unit"]) -> Float[np.ndarray, "phase unit"]:
    """From the state of largest first unit on; where rounding alone would say which that is, the next unit says."""
    rounded = np.round(chain / (np.abs(chain).max(initial=0.0) or 1.0), 8)
    return np.roll(chain, -int(np.lexsort(rounded.T[::-1])[-1]), 0)
