"""What keeps a network where it is while its machine stays in a state: fixed and slow points of a held symbol."""

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.placement import Loops, Placement
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.numerics import linalg
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.machine import Machine

MOST_LOOPS = 12
N_STARTS = 2
# Steps for which the symbol is held, q at which the network then counts as being at rest (as a fixed point's does), and
# the largest eigenvalue there: with it the point is nearer than about 1e-9.
REST_STEPS, AT_REST, ATTRACTED = 60, 1e-20, 0.9
NOT_SOUGHT = 3  # in `Loops.kinds`

# A point that keeps a state, its kind, its q, and whether it is a stable fixed point.
_Point = tuple[Float[np.ndarray, " unit"], int, float, bool]


def what_keeps(
    reader: Reader,
    machine: Machine,
    flat: Float[np.ndarray, "visit unit"],
    place: Int64[np.ndarray, " visit"],
    located: Placement,
    rng: np.random.Generator,
    *,
    seek: bool = True,
) -> Loops | None:
    """For each symbol that keeps the machine where it is, the fixed point at which the network comes to rest from the
    states it has there, as the symbol is held; else the nearest fixed or slow point that a search finds, which takes
    far longer; without `seek` it is said that none was sought."""
    counts, centres = located.counts, located.centres
    loops = [(s, a) for s, a in np.argwhere(machine.transitions == np.arange(machine.n_states)[:, None]) if counts[s]]
    loops = sorted(loops, key=lambda loop: -counts[loop[0]])[:MOST_LOOPS]
    if not loops:
        return None
    rows = np.stack([rng.choice(np.flatnonzero(place == state), N_STARTS) for state, _ in loops])
    symbols = np.array([symbol for _, symbol in loops])
    middle = centres[[state for state, _ in loops]]
    best = _comes_to_rest(reader, flat[rows], symbols, middle)
    left = [row for row, each in enumerate(best) if each is None]
    if seek:
        sought = _searched(reader, flat[rows[left]], symbols[left], middle[left])
    else:
        sought = [(middle[row], NOT_SOUGHT, 0.0, False) for row in left]
    for row, each in zip(left, sought, strict=True):
        best[row] = each
    points, kinds, q, stable = zip(*(each for each in best if each is not None), strict=True)
    states = np.array([state for state, _ in loops])
    return Loops(
        state=states,
        symbol=symbols,
        points=np.stack(points),
        kind=np.array(kinds),
        q=np.array(q),
        stable=np.array(stable),
        distance=np.linalg.norm(np.stack(points) - middle, axis=1),
    )


def _comes_to_rest(
    reader: Reader,
    starts: Float[np.ndarray, "loop start unit"],
    symbols: Int64[np.ndarray, " loop"],
    middle: Float[np.ndarray, "loop unit"],
) -> list[_Point | None]:
    """Where the network comes to rest as the symbol is held, of each loop the nearest to its middle: most of what keeps
    a state attracts it, and that takes no search. None where it does not, or so slowly that it may be but near."""
    n_loops, n_starts, n_units = starts.shape
    states, held = starts.reshape(-1, n_units), np.repeat(reader.alphabet[symbols], n_starts, axis=0)
    rests = np.zeros(len(states), bool)
    q = np.full(len(states), np.inf)
    for _ in range(REST_STEPS):
        after = reader.map.step(states, held)
        q = 0.5 * ((after - states) ** 2).sum(1)
        if not np.isfinite(q).all():
            return [None] * n_loops
        states = after
    near = np.flatnonzero(q < AT_REST)
    if len(near):
        slopes = np.abs(linalg.eigenvalues(reader.map.jacobian(states[near], held[near]))).max(1)
        rests[near] = slopes < ATTRACTED
    far = np.where(rests, np.linalg.norm(states - np.repeat(middle, n_starts, axis=0), axis=1), np.inf)
    found: list[_Point | None] = []
    for nearest in far.reshape(n_loops, n_starts).argmin(1) + n_starts * np.arange(n_loops):
        found.append((states[nearest], 0, float(q[nearest]), True) if rests[nearest] else None)
    return found


def _searched(
    reader: Reader,
    starts: Float[np.ndarray, "loop start unit"],
    symbols: Int64[np.ndarray, " loop"],
    middle: Float[np.ndarray, "loop unit"],
) -> list[_Point]:
    """The nearest fixed or slow point that a search from these states finds, of each loop; else its middle."""
    if not len(starts):
        return []
    found = find_fixed_points(
        Subject(reader.map),
        starts=starts.reshape(-1, starts.shape[-1]),
        start_inputs=np.repeat(reader.alphabet[symbols], N_STARTS, axis=0),
        certify=False,
        max_iterations=60,
        n_rounds=0,
        prove=0,
    )
    status, which = found.starts.status.reshape(-1, N_STARTS), found.starts.point.reshape(-1, N_STARTS)
    nearest: list[_Point] = []
    for row, centre in enumerate(middle):
        best, least = (centre, 2, 0.0, False), np.inf
        for kind in (0, 1):
            for index in which[row][status[row] == kind].tolist():
                point = found.points[index] if kind == 0 else found.slow.points[index]
                distance = float(np.linalg.norm(point - centre))
                if distance < least:
                    speed = found.q[index] if kind == 0 else found.slow.q[index]
                    least = distance
                    best = point, kind, float(speed), bool(kind == 0 and found.n_unstable[index] == 0)
            if best[1] != 2:
                break
        nearest.append(best)
    return nearest
