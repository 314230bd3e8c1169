"""Cycles of piecewise-linear maps with more regions than can be searched, from many starts.

First by hopping from regions to the solution of their equations, and on to the regions that this lies in (Eisenmann et
al., "Bifurcations and loss jumps in RNN training", NeurIPS 2023). Then along paths: where F(z) - z = s g, with g fixed,
z and s move on straight lines from border to border of regions, and every time that s passes 0 there is a solution
(Katzenelson, Bell Syst. Tech. J. 44, 1965; Chien & Kuh, IEEE Trans. Circuits Syst. 24, 1977). From each solution
paths go out in random directions g to others, of which many are such that no start hops there; and again in other
directions, until several rounds in a row bring nothing new.

What is found must not hang on the last digits. Rounding decides in which order solutions are come to, so the directions
that paths take belong to the regions of their solution, and not to its place in that order.
"""

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.cycles.linear_regions import BORDER, Chains, Sequences, solve_sequences
from rnnscope.analyses.fixed_points.cycles.shooting import solve_cyclic
from rnnscope.cost import FLOAT, Expected, Scale
from rnnscope.maps import LinearPieces
from rnnscope.numerics import linalg

# Regions that a start may hop to.
MOST_HOPS = 50
# Paths that leave each solution in one round, and that begin elsewhere: solutions that lead only to one another along
# the former are often on one of the latter. Rounds in a row that bring nothing new before the search ends.
PATHS, PATH_STARTS, IN_VAIN = 4, 32, 2
# What networks of the presets took: regions that a start hopped to, and calls of numpy for it; steps of a path from a
# start, for each step of the period; systems solved in a step, for each phase, in time of a factorisation.
HOPPED, HOP_CALLS, PATH_STEPS, PATH_SYSTEMS = 10, 800, 40, 2.2
# A path ends after so many steps for each gate of the sequence, within these bounds.
STEPS_PER_GATE, LEAST_STEPS, MOST_STEPS = 4, 50, 400
# Multiplications that paths may cost, and what a step costs besides.
MOST_WORK, STEP_WORK = 1e11, 2e5
# States of more numbers are large: there the first paths, too, end when their work is done.
LARGE, FIRST_WORK = 256, 1e11

Passed = Bool[np.ndarray, "passed phase gate"]


def regions_cost(scale: Scale, pieces: LinearPieces, n_starts: int, period: int) -> Expected:
    """Of one period: hops from the starts, then paths. Of a map without constants all regions meet at 0, which is a
    cycle in each of them: paths are then followed from as many as are treated at a time, unless the first ones have
    used up the work."""
    n, gates = scale.n, period * pieces.n_gates
    n_steps = PATH_STARTS * min(PATH_STEPS * period, MOST_STEPS)
    constants = [pieces.constant(np.full(pieces.n_gates, side)) for side in (False, True)]
    together = max(1, 2**22 // (2 * PATHS * period * n**2))
    if not np.any(constants) and n_steps < MOST_WORK / (STEP_WORK + 3 * period * n**3):
        n_steps += 2 * PATHS * together * int(np.clip(STEPS_PER_GATE * gates, LEAST_STEPS, MOST_STEPS))
    systems = HOPPED * n_starts * period + PATH_SYSTEMS * n_steps * period
    seconds = systems * scale.factorisation.each + HOP_CALLS * n_starts * scale.numpy_call
    return Expected(seconds, FLOAT * 3 * min(max(n_starts, 2 * PATHS * PATH_STARTS) * period * n**2, 2**22))


def complete_cost(scale: Scale, n_gates: int, period: int) -> Expected:
    """Of one period, where every sequence of regions is solved."""
    n_sequences = 2 ** (n_gates * period)
    seconds = n_sequences * (scale.factorisation.each + period * 20 * scale.n**2 * scale.scan)
    return Expected(seconds, FLOAT * 3 * min(n_sequences * period * scale.n**2, 2**22))


def search_regions(
    pieces: LinearPieces, starts: Chains, sequences: Sequences, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "found phase unit"], Integer[np.ndarray, " found"], int]:
    """(cycles, one for each sequence of regions that holds any; how often each was come to, by starts and by paths;
    how many of the starts hopped to one). Hopping begins at `sequences`, and paths begin at some of the `starts`.
    """
    _, period, n = starts.shape
    together = max(1, 2**22 // (PATHS * period * n**2))  # solutions, for the Jacobians of their paths to take 32 MB
    seed = int(rng.integers(2**63))
    known: dict[bytes, int] = {}
    ends, found = hop(pieces, sequences, rng)
    most = FIRST_WORK / (STEP_WORK + 3 * period * n**3) if n > LARGE else np.inf
    n_paths = int(np.clip(most / (PATH_STEPS * period), 1, PATH_STARTS))
    passed, n_steps = _paths_from_states(pieces, starts[:n_paths], most)
    todo = _count(known, np.concatenate([ends[found], passed]))
    steps_left = MOST_WORK / (STEP_WORK + 3 * period * n**3) - n_steps
    turn = in_vain = 0
    while steps_left > 0 and (len(todo) or in_vain < IN_VAIN):
        if len(todo):
            passed, n_steps = _paths_from_cycles(pieces, todo[:together], [seed, turn])
            todo = todo[together:]
        else:  # once more from all of them, in other directions, and from where the equations of any regions lead
            todo, turn, in_vain = _sequences(known, sequences), turn + 1, in_vain + 1
            anywhere = np.random.default_rng([seed, turn]).random((PATH_STARTS, *sequences.shape[1:])) < 0.5
            states, _ = solve_sequences(pieces, anywhere)
            passed, n_steps = _paths_from_states(pieces, states[np.isfinite(states).all((1, 2))])
        steps_left -= n_steps
        new = _count(known, passed)
        if len(new):
            todo, in_vain = np.concatenate([todo, new]), 0
    chains, inside = solve_sequences(pieces, _sequences(known, sequences))
    return chains[inside], np.array(list(known.values()), np.int64)[inside], int(found.sum())


def hop(
    pieces: LinearPieces, sequences: Sequences, rng: np.random.Generator
) -> tuple[Sequences, Bool[np.ndarray, " sequence"]]:
    """From each sequence of regions to that in which its solution lies, until the two are the same: where each ends,
    and whether it ended at a cycle. One that comes back to where it was goes on from regions drawn at random."""
    at = sequences.copy()
    found = np.zeros(len(at), bool)
    active = np.arange(len(at))
    keys = rng.integers(2**63, size=sequences.shape[1:], dtype=np.uint64)
    been = np.zeros((len(at), 0), np.uint64)
    for _ in range(MOST_HOPS):
        chains, inside = solve_sequences(pieces, at[active])
        found[active[inside]] = True
        active, chains = active[~inside], chains[~inside]
        if not len(active):
            break
        been = np.column_stack([been, (at * keys).sum((1, 2))])
        new = pieces.regions(np.nan_to_num(chains))
        stuck = (been[active] == (new * keys).sum((1, 2))[:, None]).any(1) | np.isnan(chains).any((1, 2))
        # Drawn for all, so that what one start draws does not depend on how many others are stuck.
        new[stuck] = (rng.random(at.shape) < 0.5)[active[stuck]]
        at[active] = new
    return at, found


def _paths_from_states(pieces: LinearPieces, states: Chains, most_steps: float = np.inf) -> tuple[Passed, int]:
    """As `_follow`, from s = -1, with about so many steps for all together. States that are a cycle but for rounding
    have come to one already."""
    regions, goal = pieces.regions(states), np.roll(states, -1, 1) - pieces.step(states)
    size = np.abs(states).max((1, 2), initial=0.0) + np.abs(pieces.threshold).max(initial=0.0)
    off = np.abs(goal).max((1, 2), initial=0.0) > BORDER * size
    passed, n_steps = _follow(pieces, states[off], regions[off], goal[off], -np.ones(off.sum()), most_steps)
    return np.concatenate([regions[~off], passed]), n_steps


def _paths_from_cycles(pieces: LinearPieces, sequences: Sequences, seed: list[int]) -> tuple[Passed, int]:
    """As `_follow`, from s = 0 in random directions, which the seed and the regions of the cycle decide."""
    chains, inside = solve_sequences(pieces, sequences)
    begin, regions = np.repeat(chains[inside], PATHS, 0), np.repeat(sequences[inside], PATHS, 0)
    goal = np.empty((int(inside.sum()), PATHS, *chains.shape[1:]))
    for each, sequence in zip(goal, sequences[inside], strict=True):
        each[:] = np.random.default_rng([*seed, *np.packbits(sequence).tolist()]).standard_normal(each.shape)
    return _follow(pieces, begin, regions, goal.reshape(begin.shape), np.zeros(len(begin)))


def _follow(
    pieces: LinearPieces, chains: Chains, regions: Sequences, goal: Chains, s: Float[np.ndarray, " sequence"],
    most_steps: float = np.inf,
) -> tuple[Passed, int]:  # fmt: skip
    """The sequences of regions in which s passes 0 along paths on which F(z_t) - z_{t+1} = s g_t, and the steps taken.
    Paths begin at `chains` in `regions`, where that holds, with s growing, and end when they come back there."""
    z, s, home, regions = chains.copy(), s.copy(), regions, regions.copy()
    way, crossed = np.ones(len(z)), np.full(len(z), -1)
    active, passed, n_steps = np.arange(len(z)), [regions[:0]], 0
    with np.errstate(all="ignore"), linalg.one_thread():
        for _ in range(int(np.clip(STEPS_PER_GATE * regions[:1].size, LEAST_STEPS, MOST_STEPS))):
            if not len(active) or n_steps >= most_steps:
                break
            n_steps += len(active)
            by_s = solve_cyclic(pieces.jacobian(regions[active]), -goal[active])
            rates = (by_s @ pieces.gates.T).reshape(len(active), -1)
            side = regions[active].reshape(len(active), -1)
            # The path goes on into the region that it has come to, be it that s grows or falls there.
            back = np.flatnonzero(crossed[active] >= 0)
            gate = crossed[active[back]]
            way[active[back]] = np.sign(rates[back, gate]) * np.where(side[back, gate], 1, -1)
            rates *= way[active, None]
            # How far to each border that comes nearer. The one just crossed does not, whatever rounding says.
            far = -pieces.arguments(z[active]).reshape(len(active), -1) / rates
            far = np.where(side == (rates < 0), np.maximum(far, 0.0), np.inf)
            far[back, gate] = np.inf
            crossed[active], far = far.argmin(1), far.min(1)
            to_zero = -s[active] * way[active]
            passed.append(regions[active[(to_zero > 0) & (to_zero <= far)]])

            going = np.isfinite(far) & np.isfinite(by_s).all((1, 2)) & (way[active] != 0)
            active, far, by_s = active[going], far[going], by_s[going]
            z[active] += (far * way[active])[:, None, None] * by_s
            s[active] += far * way[active]
            phase, gate = np.divmod(crossed[active], pieces.n_gates)
            regions[active, phase, gate] ^= True
            # A region is crossed on one line only: a path that comes back to its first goes round and round.
            active = active[(regions[active] != home[active]).any((1, 2))]
    return np.concatenate(passed), n_steps


def _count(known: dict[bytes, int], sequences: Sequences) -> Passed:
    """Count each sequence among those known; those that were not, in the order of their bits."""
    keys = [sequence.tobytes() for sequence in sequences]
    new = dict.fromkeys(sorted(set(keys) - known.keys()), 0)
    known.update(new)
    for key in keys:
        known[key] += 1
    return _sequences(new, sequences)


def _sequences(known: dict[bytes, int], like: Sequences) -> Passed:
    return np.frombuffer(b"".join(known), bool).reshape(-1, *like.shape[1:])
