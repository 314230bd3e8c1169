"""The machine of a network whose states are few: walked breadth first, states that lie together taken for one.

Random words reach a state that only one word in thousands leads to as rarely as that; a search that goes on from every
new state reaches it in as many steps as the shortest word there. It ends where no symbol leads anywhere new: the
network then is a finite machine, as far as near states behave alike, which is for the words to test that come after.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.machine import Machine


@dataclass(frozen=True)
class Explored:
    """What a walk through a network's states led to.

    Attributes:
        machine: minimal; None where there were more states than allowed.
        n_questions: how often a symbol was read.
        came_from: of every state but the first, in the order they were met, the state before it and the symbol read.
    """

    machine: Machine | None
    n_questions: int
    came_from: Int64[np.ndarray, "state 2"]

    def words(self) -> list[tuple[int, ...]]:
        """A shortest word to each state."""
        found: list[tuple[int, ...]] = [()]
        for before, symbol in self.came_from.tolist():
            found.append((*found[before], symbol))
        return found


def explore(reader: Reader, radius: float, most: int, rng: np.random.Generator) -> Explored:
    """The machine of the distinct states that can be reached.

    Args:
        reader: the network; of initial states drawn at random one is taken.
        radius: a state is new where it lies farther than this from every known one that shows the same.
        most: of distinct states.
    """
    start = reader.initial_states(1, rng)
    n_units, transitions = start.shape[1], np.empty((0, reader.n_symbols), np.int64)
    known = np.column_stack([start, reader.show(start)])
    scale = np.append(np.ones(n_units), np.full(known.shape[1] - n_units, 2 * radius))
    came_from = np.empty((0, 2), np.int64)
    while len(transitions) < len(known) <= most:
        n_open = len(known) - len(transitions)
        ahead = reader.step_all(known[len(transitions) :, :n_units])
        ahead = np.column_stack([ahead, reader.show(ahead)])
        place, fresh = _placed(ahead * scale, known * scale, radius, most + 1)
        came_from = np.vstack([came_from, np.column_stack([len(transitions) + fresh % n_open, fresh // n_open])])
        transitions = np.vstack([transitions, place.reshape(reader.n_symbols, -1).T])
        known = np.concatenate([known, ahead[fresh]])
    if len(known) > most:
        return Explored(None, transitions.size, came_from)
    shown = known[:, n_units:].astype(np.int64)
    return Explored(Machine(transitions, shown).minimise(), transitions.size, came_from)


def _placed(
    states: Float[np.ndarray, "point unit"], known: Float[np.ndarray, "known unit"], radius: float, most: int
) -> tuple[Int64[np.ndarray, " point"], Int64[np.ndarray, " fresh"]]:
    """The number of the known state that each lies with, new ones being numbered on; and which these are, until there
    are `most`."""
    apart = _squared_distances(states, known)
    place = apart.argmin(1)
    left = np.flatnonzero(apart[np.arange(len(states)), place] > radius**2)
    together = _squared_distances(states[left], states[left]) <= radius**2
    free, fresh = np.ones(len(left), bool), []
    for row in range(len(left)):
        if free[row] and len(known) + len(fresh) < most:
            near = together[row] & free
            place[left[near]] = len(known) + len(fresh)
            fresh.append(int(left[row]))
            free &= ~near
    return place, np.array(fresh, np.int64)


def _squared_distances(
    a: Float[np.ndarray, "point unit"], b: Float[np.ndarray, "other unit"]
) -> Float[np.ndarray, "point other"]:
    centre = b.mean(0) if len(b) else 0.0  # or rounding would be that of the size of states, not of their distances
    a, b = a - centre, b - centre
    return (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
