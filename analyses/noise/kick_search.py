"""A search for the units without which a driven network changes its symbol least."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.causal.groups import unit_numbers
from rnnscope.analyses.noise.driven import Drive, Driven
from rnnscope.analyses.noise.switches import Shown, Switches, as_sets, scaled, switches

# What is judged by how often it leaves a symbol must be there for so much of the time that the intact network is: a set
# without which the symbol is never emitted tells nothing of how it is left.
EXPOSED = 0.05
# Sets that are gone on with: with one (a greedy search) the best of three units of a network whose units act together
# was missed by half of its effect; more cost more.
BEAM = 3

Score = Callable[[Switches, Switches], Float[np.ndarray, " change"]]


class Search(NamedTuple):
    """What sets are tried on.

    Attributes:
        drive: the network, and what drives it.
        screen: few trials, on which every unit is tried.
        judge: more, on which candidates are; other noise than that of the screen.
        n_candidates: units that are left after the screen.
        most: units of a set.
    """

    drive: Drive
    screen: Shown
    judge: Shown
    n_candidates: int
    most: int


def rate_of(found: Switches, intact: Switches) -> Float[np.ndarray, " change"]:
    """Changes of symbol per step."""
    return found.rate


def leaving(before: int, after: int) -> Score:
    """Changes from one symbol to another per step in the first."""

    def score(found: Switches, intact: Switches) -> Float[np.ndarray, " change"]:
        exposed = found.pairs[..., before, :].sum((1, 2))
        enough = exposed >= EXPOSED * intact.pairs[..., before, :].sum()
        return np.where(enough, found.leaving(before, after), np.nan)

    return score


def ablated(drive: Drive, sets: Bool[np.ndarray, "set unit"], shown: Shown) -> Switches:
    """The network without each set."""
    return switches(drive, [scaled(drive.subject, each, 0.0) for each in sets], shown)


def best_sets(
    search: Search, score: Score, allowed: Bool[np.ndarray, " unit"], screened: Switches
) -> list[tuple[int, ...]]:
    """The best set that was seen of one unit, of two, and so on: a beam search, in which each unit that is left is
    added to the best few sets of one unit less.

    Args:
        search: what sets are tried on.
        score: what is to be least.
        allowed: which units may be taken.
        screened: the network without each unit, on the screen, and intact in the last row.
    """
    n = len(allowed)
    ranked = _order(score(first(screened, n), Switches(screened.pairs[n:], screened.finite[n:])), allowed)
    candidates = ranked[: search.n_candidates]
    intact = ablated(search.drive, np.zeros((1, n), bool), search.judge)
    beam: list[tuple[int, ...]] = [()]
    found = []
    for _ in range(min(search.most, len(candidates))):
        tried = sorted({tuple(sorted((*few, unit))) for few in beam for unit in candidates if unit not in few})
        scores = score(ablated(search.drive, as_sets(tried, n), search.judge), intact)
        beam = [tried[k] for k in _order(scores, np.ones(len(tried), bool))[:BEAM]]
        found.append(beam[0])
    return found


def first(found: Switches, n: int) -> Switches:
    """Of the first so many changes alone."""
    return Switches(found.pairs[:n], found.finite[:n])


def _order(scores: Float[np.ndarray, " change"], allowed: Bool[np.ndarray, " change"]) -> list[int]:
    """The allowed ones from the least score on; what has none comes last, equal ones stay in their order."""
    rows = np.flatnonzero(allowed)
    # Rounded, so that equal shares of whole numbers are equal.
    return rows[np.argsort(np.round(np.nan_to_num(scores[rows], nan=np.inf), 12), kind="stable")].tolist()


def readout_drive(drive: Drive, driven: Driven, n_states: int = 64) -> Float[np.ndarray, " unit"]:
    """How much each unit moves the outputs against one another: their derivative with respect to it, less its mean over
    outputs, times the unit's standard deviation; root mean square over visited states. 64 states are enough, as most
    readouts are linear, and all states then say the same.
    """
    flat = driven.states.reshape(-1, driven.states.shape[-1])
    some = flat[np.linspace(0, len(flat) - 1, min(n_states, len(flat))).astype(int)]
    spread = flat.std(0)
    found = np.zeros(flat.shape[1])
    for k in np.flatnonzero(spread):
        ahead, behind = some.copy(), some.copy()
        ahead[:, k] += spread[k] / 2
        behind[:, k] -= spread[k] / 2
        moved = drive.outputs(ahead) - drive.outputs(behind)
        found[k] = np.sqrt(((moved - moved.mean(-1, keepdims=True)) ** 2).mean())
    return of_units(drive, found)


def activity(drive: Drive, driven: Driven) -> Float[np.ndarray, " unit"]:
    """Root mean square of each unit over visited states."""
    return of_units(drive, np.sqrt((driven.states**2).mean((0, 1))))


def of_units(drive: Drive, numbers: Float[np.ndarray, " number"]) -> Float[np.ndarray, " unit"]:
    """Of what each number of the state has, the root of the sum of squares over those of a unit."""
    return np.array([np.sqrt((numbers[own] ** 2).sum()) for _, own in unit_numbers(drive.subject.map.layout)])


def as_active(
    units: Sequence[int], active: Float[np.ndarray, " unit"], n_sets: int, rng: np.random.Generator, nearest: int = 10
) -> Int64[np.ndarray, "set size"]:
    """Sets of other units, each drawn from the `nearest` in activity to one of these: ten leave 1000 sets of three."""
    found = np.empty((n_sets, len(units)), np.int64)
    for row in found:
        taken = set(units)
        for k, unit in enumerate(units):
            others = [u for u in np.argsort(np.abs(active - active[unit]), kind="stable").tolist() if u not in taken]
            row[k] = rng.choice(others[:nearest])
            taken.add(int(row[k]))
    return found
