"""Find the place of a machine in its network's state space: states and transitions."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.keeping import what_keeps
from rnnscope.analyses.automata.placement import Arrows, Placement, Plane, Samples
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import Distribution, draw_words
from rnnscope.tasks.machine import Machine

KINDS: tuple[Distribution, ...] = ("uniform", "structured", "border")
N_WORDS = 30  # of each kind
MOST_SAMPLES = 20  # network states that are kept of each machine state
MOST_ARROWS = 200
HELD = 8  # steps for which the symbol of an arrow is held


def draw(machine: Machine, length: int, rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
    """Words to go through the states of a machine that reads."""
    kinds = [draw_words(N_WORDS, length, machine.n_symbols, kind, rng, machine) for kind in KINDS]
    return np.concatenate(kinds)


def locate(
    reader: Reader,
    machine: Machine,
    words: Int64[np.ndarray, "word time"],
    rng: np.random.Generator,
    *,
    seek: bool = True,
) -> Placement:
    """The network's states while a machine that reads is in each of its states on these words, and what holds it
    there: with `seek` also where that does not attract (`what_keeps`)."""
    visited = reader.visit(reader.alphabet[words], rng)
    at = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])
    flat, place = visited.reshape(-1, visited.shape[-1]), at.ravel()
    found = places(flat, place, machine.n_states, rng)
    arrows = _trajectories(reader, machine, found)
    return replace(found, arrows=arrows, loops=what_keeps(reader, machine, flat, place, found, rng, seek=seek))


def places(
    flat: Float[np.ndarray, "visit unit"], place: Int64[np.ndarray, " visit"], n: int, rng: np.random.Generator
) -> Placement:
    """Where the network's states lie during each of the `n` states of a machine, without transitions and what keeps
    them."""
    counts = np.bincount(place, minlength=n)
    order = np.argsort(place, kind="stable")
    sums = np.zeros((n, flat.shape[1]))
    sums[counts > 0] = np.add.reduceat(flat[order], np.searchsorted(place[order], np.flatnonzero(counts)))
    middle = flat.mean(0)
    centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], middle)
    far = ((flat - centres[place]) ** 2).sum(1)
    spread = np.sqrt(np.bincount(place, far, n) / np.maximum(counts, 1))
    # Of many visits and few units: the singular vectors by way of the covariance.
    square, axes = np.linalg.eigh((flat - middle).T @ (flat - middle))
    square, axes = np.maximum(square[::-1], 0.0), axes.T[::-1]
    axes = np.pad(axes[:2], ((0, max(0, 2 - len(axes))), (0, 0)))
    largest = np.round(np.abs(axes), 8).argmax(1)  # of equal ones the first
    axes *= np.where(axes[np.arange(2), largest] < 0, -1.0, 1.0)[:, None]  # signs are arbitrary
    share = square[:2].sum() / max(float(square.sum()), 1e-300)
    rows = _sample(place, rng)
    return Placement(
        counts=counts,
        centres=centres,
        spread=spread,
        samples=Samples(states=flat[rows], machine_state=place[rows]),
        plane=Plane(origin=middle, axes=axes, variance=float(share)),
    )


def moves(
    visited: Float[np.ndarray, "sequence time unit"],
    place: Int64[np.ndarray, "sequence time"],
    counts: Int64[np.ndarray, " state"],
) -> Arrows | None:
    """Each move of an emitter as the network makes it, the mean over the half of these moves that stays longest: the
    network's states at the last step in the one machine state, and then for as long as all of these stay in the next.
    Of the most visited states first; None where it never moves.

    Args:
        visited: states of the network.
        place: the machine state at each.
        counts: how often each machine state is visited.
    """
    sequence, last = np.nonzero(place[:, :-1] != place[:, 1:])
    if not len(last):
        return None
    source, target = place[sequence, last], place[sequence, last + 1]
    ends = np.append(np.where(np.diff(sequence) == 0, last[1:], place.shape[1] - 1), place.shape[1] - 1)
    stay = np.minimum(ends - last, HELD)
    pairs = np.unique(np.column_stack([source, target]), axis=0)
    pairs = pairs[np.argsort(-counts[pairs[:, 0]], kind="stable")][:MOST_ARROWS]
    paths, averaged = [], []
    for a, b in pairs:
        rows = np.flatnonzero((source == a) & (target == b))
        length = int(np.median(stay[rows]))
        rows = rows[stay[rows] >= length]
        steps = np.minimum(np.arange(HELD + 1), length)  # then it rests where it has come to
        paths.append(visited[sequence[rows, None], last[rows, None] + steps].mean(0))
        averaged.append(len(rows))
    return Arrows(
        source=pairs[:, 0],
        target=pairs[:, 1],
        symbol=np.full(len(pairs), -1),
        count=np.array(averaged),
        paths=np.stack(paths),
    )


def _sample(place: Int64[np.ndarray, " visit"], rng: np.random.Generator) -> Int64[np.ndarray, " sample"]:
    """Visits at random, as many of each machine state as are kept, in the order of the states."""
    rows = rng.permutation(len(place))
    rows = rows[np.argsort(place[rows], kind="stable")]
    ordered = place[rows]
    rank = np.arange(len(rows)) - np.searchsorted(ordered, ordered)
    return rows[rank < MOST_SAMPLES]


def _trajectories(reader: Reader, machine: Machine, found: Placement) -> Arrows:
    """Each transition as the network makes it: the mean of its states in the one machine state, after the symbol, and
    where they go as the symbol is held. Of the most visited states first."""
    counts, place = found.counts, found.samples.machine_state
    states = [state for state in np.argsort(-counts, kind="stable").tolist() if counts[state]]
    arrows = [(state, symbol) for state in states for symbol in range(machine.n_symbols)][:MOST_ARROWS]
    members = [np.flatnonzero(place == state) for state, _ in arrows]
    begins = np.cumsum([0, *map(len, members)])[:-1]
    sizes = np.array([[len(rows)] for rows in members])
    symbols = np.repeat([symbol for _, symbol in arrows], sizes[:, 0])
    reached = found.samples.states[np.concatenate(members)]
    path = [np.add.reduceat(reached, begins) / sizes]
    for _ in range(HELD):
        reached = reader.map.step(reached, reader.alphabet[symbols])
        path.append(np.add.reduceat(reached, begins) / sizes)
    return Arrows(
        source=np.array([state for state, _ in arrows]),
        target=np.array([machine.transitions[arrow] for arrow in arrows]),
        symbol=np.array([symbol for _, symbol in arrows]),
        count=sizes[:, 0],
        paths=np.stack(path, 1),
    )
