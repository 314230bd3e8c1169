"""Fixed points and cycles of piecewise-linear maps, exactly, region by region.

A cycle of period k visits k linear regions. Once these are named, a linear system gives its states, and the cycle is
there if they lie in the regions named. Here all sequences of regions are gone through, or, where those are too many,
all that some state can follow: what is not found is not there. Where both are too many, see `region_search`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.cycles.shooting import solve_cyclic
from rnnscope.maps import LinearPieces
from rnnscope.numerics import linalg

Sequences = Bool[np.ndarray, "sequence phase gate"]
Chains = Float[np.ndarray, "sequence phase unit"]

# A gate argument is 0, and the state on the border of regions, below this part of the terms that it is the sum of.
BORDER = 1e-9
# A system is singular when a pivot is below this part of the terms that it is the sum of.
SINGULAR = 1e-11
# Gate arguments smaller than this part of the constants are of either sign until they are computed to the last digits.
UNDECIDED = 1e-7
# Sequences that are solved side by side: 2^LEVELS.
LEVELS = 16
# Linear programs that may be solved to find which sequences a state can follow; a thousand take a second or two.
MOST_PROGRAMS = 1500
# Lengths in a row at which they may rule nothing out, before the search for more of them ends.
IN_VAIN = 2
# So few sequences are solved at once, and sooner than it is found out which of them can be followed.
FEW = 2**14


@dataclass(frozen=True)
class ExactCycles:
    """What a complete search found: cycles of one period and of its divisors, at least once each.

    Attributes:
        chains: the states of each.
        counts: sequences of regions that hold the same one: several where it touches a border, or is found again from
            another of its states.
        method: how the sequences of regions were chosen, "all region sequences" or "admissible region sequences".
        n_sequences: those that were solved.
        n_singular: of these, those whose linear system is singular: cycles in them are not isolated.
    """

    chains: Chains
    counts: Integer[np.ndarray, " sequence"]
    method: str
    n_sequences: int
    n_singular: int


def exact_cycles(pieces: LinearPieces, period: int, max_regions: int) -> ExactCycles | None:
    """All cycles whose period divides `period`, or None where more than `max_regions` sequences of regions would have
    to be looked at together, or more than `max_regions` regions one by one."""
    n_sequences = 2 ** (period * pieces.n_gates)
    if n_sequences <= max_regions:
        method = "all region sequences"
        sequences, counts, n_singular = _sequences_with_solutions(pieces, period)
    else:
        method = "admissible region sequences"
        sequences, n_singular = admissible_sequences(pieces, period, max_regions // period), 0
        if sequences is None:
            return None
        n_sequences, counts = len(sequences), np.ones(len(sequences), np.int64)
    found, kept = [np.zeros((0, period, len(pieces.offset)))], [np.zeros(0, bool)]
    for i in range(0, len(sequences), FEW):  # the solutions of all of them might not fit into memory
        chains, inside = solve_sequences(pieces, sequences[i : i + FEW])
        n_singular += int(np.isnan(chains).any((1, 2)).sum())
        found.append(chains[inside])
        kept.append(inside)
    return ExactCycles(np.concatenate(found), counts[np.concatenate(kept)], method, n_sequences, n_singular)


def solve_sequences(pieces: LinearPieces, sequences: Sequences) -> tuple[Chains, Bool[np.ndarray, " sequence"]]:
    """The cycle of each sequence of regions, and whether it lies in them, borders included.

    NaN, and in no region, where the system is singular."""
    n, period, n_units = len(sequences), sequences.shape[1], len(pieces.offset)
    chains, inside = np.empty((n, period, n_units)), np.empty(n, bool)
    part = max(16, 2**22 // (period * n_units**2))  # parts whose Jacobians take 32 MB at most
    with np.errstate(all="ignore"), linalg.one_thread():
        for i in range(0, n, part):
            chains[i : i + part], inside[i : i + part] = _solve_part(pieces, sequences[i : i + part])
    return chains, inside


def _solve_part(pieces: LinearPieces, sequences: Sequences) -> tuple[Chains, Bool[np.ndarray, " sequence"]]:
    jacobians, constants = pieces.jacobian(sequences), pieces.constant(sequences)
    chains = solve_cyclic(jacobians, constants)
    # Once more for what rounding left.
    left = (jacobians @ chains[..., None])[..., 0] + constants - np.roll(chains, -1, 1)
    chains += solve_cyclic(jacobians, left)
    size = np.abs(constants).max((1, 2), initial=0.0) + np.abs(pieces.threshold).max(initial=0.0)
    regular = np.abs(chains).max((1, 2), initial=0.0) * SINGULAR <= size
    inside = ((pieces.regions(chains) == sequences) | _on_border(pieces, chains)).all((1, 2))
    chains[~regular] = np.nan
    return chains, regular & inside


def at_border(pieces: LinearPieces, chains: Chains) -> Bool[np.ndarray, " sequence"]:
    """Whether a state lies on the border of regions."""
    return np.any(_on_border(pieces, chains), axis=(1, 2))


def _on_border(pieces: LinearPieces, chains: Chains) -> Sequences:
    terms = np.abs(chains) @ np.abs(pieces.gates).T + np.abs(pieces.threshold)
    return np.abs(pieces.arguments(chains)) <= BORDER * terms


def _sequences_with_solutions(
    pieces: LinearPieces, period: int
) -> tuple[Sequences, Integer[np.ndarray, " sequence"], int]:
    """The sequences of regions that hold a cycle, out of all 2^(period * gates).

    Returns the sequences, one for each distinct solution; how many hold the same one, at a border of regions; and how
    many of all have a singular system. What rounding leaves undecided is among them, to be solved to the last digits.

    With base slopes s anywhere between those of the gates, the gate arguments of a cycle obey x = M Δ x + e, with Δ the
    difference of each gate's slope from its base. The gates are eliminated one after another, for both slopes of each:
    a tree, in which a region costs a few operations, as it shares the work with all that begin alike. Going back up,
    half of the candidates are dropped at every gate, as the argument has the wrong sign. Drawing s at random makes a
    pivot 0 only where all regions below it are singular: the determinant is linear in each slope by itself.
    """
    n_gates = period * pieces.n_gates
    if not n_gates:
        return np.zeros((1, period, 0), bool), np.ones(1, int), 0
    base, coupling, constant = _gate_equations(pieces, period)
    if not np.isfinite(coupling).all():
        return np.zeros((0, period, pieces.n_gates), bool), np.zeros(0, int), 2**n_gates
    slopes = np.stack([np.tile(pieces.below, period), np.tile(pieces.above, period)]) - base
    rows = np.concatenate([coupling, constant[:, None]], 1)
    size = np.abs(constant).max() or 1.0
    codes, counts, n_singular = [], [], 0
    with np.errstate(all="ignore"), linalg.one_thread():
        for code, outputs, singular in _branches(rows, slopes, UNDECIDED * size):
            n_singular += singular
            _, kept, count = np.unique(np.round(outputs / (1e-6 * size)), axis=0, return_index=True, return_counts=True)
            codes.append(code[kept])
            counts.append(count)
    code = np.concatenate(codes)
    bits = (code[:, None] >> np.arange(n_gates)[::-1]) & 1
    return bits.reshape(-1, period, pieces.n_gates).astype(bool), np.concatenate(counts), n_singular


def _gate_equations(pieces: LinearPieces, period: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(s, M, e) of `_sequences_with_solutions`, gates in order of time; of a few draws of s, that with the smallest M.
    Not finite where all are singular."""
    rng = np.random.default_rng(0)
    n_gates, n_units = pieces.n_gates, len(pieces.offset)
    total = period * n_gates
    best = np.zeros(total), np.full((total, total), np.nan), np.zeros(total)
    for _ in range(4):
        base = pieces.below + (pieces.above - pieces.below) * rng.uniform(0.2, 0.8, (period, n_gates))
        jacobians = pieces.linear + (pieces.out * base[:, None, :]) @ pieces.gates
        # Where the states go that each gate alone adds its column of B to, and where they are without any.
        driven = np.zeros((total + 1, period, n_units))
        for t in range(period):
            driven[t * n_gates : (t + 1) * n_gates, t] = pieces.out.T
        driven[-1] = (base * pieces.threshold) @ pieces.out.T + pieces.offset
        with np.errstate(all="ignore"):
            states = solve_cyclic(np.broadcast_to(jacobians, (total + 1, *jacobians.shape)), driven)
        shown = (states @ pieces.gates.T).reshape(total + 1, total)
        coupling, constant = shown[:-1].T, shown[-1] + np.tile(pieces.threshold, period)
        regular = np.abs(states).max() * SINGULAR <= np.abs(driven).max()
        if regular and not np.abs(coupling).max() >= np.abs(best[1]).max():
            best = base.ravel(), coupling, constant
    return best


def _branches(rows: np.ndarray, slopes: np.ndarray, undecided: float) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """(codes of the sequences that hold a cycle, their gate outputs Δ x, how many are singular), for one part of the
    tree after another. The bits of a code are the sides of the gates, the first gate the highest bit."""
    n_gates = len(rows)
    height = max(0, n_gates - LEVELS)  # of the trunk: one side at a time, as the whole tree would not fit into memory
    for start in range(2**height):
        sides = [(start >> (height - 1 - i)) & 1 for i in range(height)]
        left, trunk = rows, []
        for i, side in enumerate(sides):
            inverse = _inverse_pivots(left[0, :1], slopes[side, i : i + 1])
            trunk.append((left[0, 1:], inverse))
            left = left[1:, 1:] + slopes[side, i] * inverse * left[1:, :1] * left[:1, 1:]
        code, outputs, n_singular = _tree(left, slopes[:, height:], undecided)
        for i in reversed(range(height)):
            row, inverse = trunk[i]
            argument = (outputs @ row[:-1] + row[-1]) * inverse
            keep = argument >= -undecided if sides[i] else argument <= undecided
            code, outputs = code[keep], outputs[keep]
            outputs = np.concatenate([slopes[sides[i], i] * argument[keep, None], outputs], 1)
        yield code + (start << (n_gates - height)), outputs, n_singular


def _tree(rows: np.ndarray, slopes: np.ndarray, undecided: float) -> tuple[np.ndarray, np.ndarray, int]:
    """As `_branches`, all at once. `rows` are [M e]."""
    n_gates = len(rows)
    nodes = rows[None]  # (node, gate that is left, gate that is left or constant)
    firsts, inverses = [], []
    for i in range(n_gates):
        inverse = _inverse_pivots(nodes[:, 0, 0, None], slopes[:, i])  # (node, side)
        firsts.append(nodes[:, 0, 1:])
        inverses.append(inverse.ravel())
        change = (slopes[:, i] * inverse)[:, :, None, None] * nodes[:, None, 1:, :1] * nodes[:, None, :1, 1:]
        nodes = (nodes[:, None, 1:, 1:] + change).reshape(2 ** (i + 1), n_gates - i - 1, n_gates - i)
    code = np.arange(2**n_gates)
    outputs = np.empty((len(code), 0))
    for i in reversed(range(n_gates)):
        rest = n_gates - i - 1
        side = (code >> rest) & 1
        row = firsts[i][code >> (rest + 1)]
        argument = (np.einsum("ij,ij->i", row[:, :-1], outputs) + row[:, -1]) * inverses[i][code >> rest]
        keep = np.where(side == 1, argument >= -undecided, argument <= undecided)
        code, outputs = code[keep], outputs[keep]
        outputs = np.concatenate([(slopes[side, i] * argument)[keep, None], outputs], 1)
    return code, outputs, int(np.isnan(inverses[-1]).sum())


def _inverse_pivots(diagonal: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """1 / (1 - M_ii Δ_i); NaN where it is 0, which then runs through all that is below."""
    pivot = 1 - diagonal * slopes
    return np.where(np.abs(pivot) <= SINGULAR * (1 + np.abs(diagonal * slopes)), np.nan, 1 / pivot)


def admissible_sequences(pieces: LinearPieces, period: int, most: int) -> Sequences | None:
    """Sequences of regions, up to rotation, among which are all that a periodic state can follow; None where more than
    `most` are left when the linear programs allowed are used up.

    Which short sequences some state can follow is a question for linear programs: the states that do form a
    polyhedron. Of the long ones those are left whose short parts can all be followed: closed walks on the graph that
    leads from each short sequence to those that overlap with it.
    """
    n_letters = 2**pieces.n_gates
    # As long as gates look at independent directions, every sequence can be followed, and programs tell nothing.
    if n_letters ** (len(pieces.offset) // pieces.n_gates + 1) > MOST_PROGRAMS:
        return None
    letters = ((np.arange(n_letters)[:, None] >> np.arange(pieces.n_gates)[::-1]) & 1).astype(bool)
    words: set[tuple[int, ...]] = {()}
    graph, first, n_left = np.ones((1, 1)), np.zeros(1, np.int64), np.inf
    n_programs, in_vain = 0, 0
    for length in range(1, period + 1):
        longer = [(*word, letter) for word in words for letter in range(n_letters)]
        longer = [word for word in longer if word[1:] in words]
        n_programs += len(longer)
        if n_programs > MOST_PROGRAMS or n_left <= FEW or in_vain > IN_VAIN:
            break
        overlaps = sorted(words)
        words = {word for word in longer if _can_be_followed(pieces, letters[list(word)])}
        if length > 1:
            place = {word: i for i, word in enumerate(overlaps)}
            graph, first = np.zeros((len(place), len(place))), np.array([word[0] for word in overlaps])
            for word in words:
                graph[place[word[:-1]], place[word[1:]]] = 1
            with np.errstate(over="ignore"):
                before, n_left = n_left, np.trace(np.linalg.matrix_power(graph, period)) / period
            in_vain = in_vain + 1 if n_left == before and length * pieces.n_gates > len(pieces.offset) else 0
    return letters[_up_to_rotation(first[_closed_walks(graph, period)])] if n_left <= most else None


def _can_be_followed(pieces: LinearPieces, sequence: np.ndarray) -> bool:
    """Whether a state visits these regions one after the other, borders included."""
    from scipy.optimize import linprog

    n = len(pieces.offset)
    jacobian, constant = np.eye(n), np.zeros(n)
    normals, offsets = [], []
    for region in sequence:
        sign = np.where(region, 1.0, -1.0)
        normals.append(sign[:, None] * (pieces.gates @ jacobian))
        offsets.append(sign * (pieces.gates @ constant + pieces.threshold))
        step = pieces.jacobian(region)
        jacobian, constant = step @ jacobian, step @ constant + pieces.constant(region)
    normal, offset = np.concatenate(normals), np.concatenate(offsets)
    length = np.linalg.norm(normal, axis=1)
    length[length == 0] = 1
    normal, offset = normal / length[:, None], offset / length
    # The state that is furthest inside, and how far; well above the solver's tolerance, so that borders count.
    found = linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=np.column_stack([-normal, np.ones(len(normal))]),
        b_ub=offset,
        bounds=[(None, None)] * n + [(None, 1.0)],
        method="highs",
    )
    return found.status != 0 or bool(found.x[-1] > -1e-6 * (1 + np.abs(offset).max()))


def _closed_walks(follows: np.ndarray, length: int) -> Integer[np.ndarray, "walk step"]:
    """All closed walks of a graph, each at least once up to rotation: from its first node, through none before it."""
    walks = []
    for first in range(len(follows)):
        graph = follows[first:, first:] > 0
        home = [np.arange(len(graph)) == 0]  # from where it takes 0, 1, 2 ... steps to the first node
        for _ in range(length):
            home.append((graph & home[-1]).any(1))
        if not home[-1][0]:
            continue
        walk = np.zeros((1, 1), np.int64)
        for t in range(1, length):
            step, node = np.nonzero(graph[walk[:, -1]] & home[length - t])
            walk = np.column_stack([walk[step], node])
        walks.append(walk + first)
    return np.concatenate(walks) if walks else np.zeros((0, length), np.int64)


def _up_to_rotation(words: Integer[np.ndarray, "word step"]) -> Integer[np.ndarray, "distinct step"]:
    """Each word once, turned so that it is the first of its rotations in alphabetical order."""
    best = words
    for shift in range(1, words.shape[1]):
        turned = np.roll(words, -shift, 1)
        place = (turned != best).argmax(1)[:, None]
        earlier = np.take_along_axis(turned, place, 1) < np.take_along_axis(best, place, 1)
        best = np.where(earlier, turned, best)
    return np.unique(best, axis=0)
