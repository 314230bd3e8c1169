"""A finite machine as arrays: words run by the thousand, the minimal form, equivalence decided exactly."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer


@dataclass(frozen=True, eq=False)
class Machine:
    """A Moore machine: it reads symbols, and each of its states shows an output. A DFA is one with outputs 0 and 1.

    Attributes:
        transitions: [s, a] is the state after symbol a in state s.
        outputs: what each state shows, one whole number for each head.
        initial: the state before the first symbol.

    Raises:
        ValueError: no state or symbol, shapes that do not fit, a state that there is not.

    Example:
        >>> import numpy as np
        >>> from rnnscope.analyses.machine import Machine
        >>> parity = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
        >>> parity.outputs[parity.run(np.array([[1, 0, 1]]))][..., 0]
        array([[1, 1, 0]])
    """

    transitions: Int64[np.ndarray, "state symbol"]
    outputs: Int64[np.ndarray, "state head"]
    initial: int = 0

    def __post_init__(self) -> None:
        if self.transitions.ndim != 2 or 0 in self.transitions.shape:
            raise ValueError(
                f"transitions must be (state, symbol) with at least one each, got {self.transitions.shape}"
            )
        n_states = len(self.transitions)
        if self.outputs.ndim != 2 or len(self.outputs) != n_states:
            raise ValueError(f"outputs must be (state, head) with {n_states} states, got {self.outputs.shape}")
        if self.transitions.min() < 0 or self.transitions.max() >= n_states:
            raise ValueError(f"transitions lead to states outside 0 ... {n_states - 1}")
        if not 0 <= self.initial < n_states:
            raise ValueError(f"the initial state must lie in 0 ... {n_states - 1}, got {self.initial}")

    @property
    def n_states(self) -> int:
        return len(self.transitions)

    @property
    def n_symbols(self) -> int:
        return self.transitions.shape[1]

    def run(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, "word time"]:
        """The state after each symbol of each word; `outputs[run(words)]` is what the machine shows there.

        Raises:
            ValueError: a symbol outside the alphabet.
        """
        if words.size and not (words.min() >= 0 and words.max() < self.n_symbols):
            raise ValueError(f"symbols run from {words.min()} to {words.max()}; give 0 to {self.n_symbols - 1}")
        visited = np.empty(words.shape, np.int64)
        state = np.full(len(words), self.initial)
        for t in range(words.shape[1]):
            state = self.transitions[state, words[:, t]]
            visited[:, t] = state
        return visited

    def minimise(self) -> "Machine":
        """The smallest machine with the same outputs after every word.

        Its states are numbered in the order in which a search from the initial state, symbol by symbol, meets
        them: two equivalent machines have the same arrays after it.
        """
        return minimal_form(self)[0]

    def equivalent(self, other: "Machine") -> tuple[bool, tuple[int, ...] | None]:
        """Whether both show the same after every word, and the shortest word (of these the first in alphabetical order)
        after which they do not, or None.

        Decided exactly, by breadth-first search through pairs of states. The empty word () is a word.

        Raises:
            ValueError: the machines read different numbers of symbols or have different numbers of heads.
        """
        for name, mine, its in (
            ("symbols", self.n_symbols, other.n_symbols),
            ("heads", self.outputs.shape[1], other.outputs.shape[1]),
        ):
            if mine != its:
                raise ValueError(f"machines with {mine} and {its} {name} cannot be compared")
        differ = (self.outputs[:, None] != other.outputs[None]).any(-1).ravel()
        n_pairs, n_symbols = differ.size, self.n_symbols
        came_from = np.full(n_pairs, -1)  # (pair, symbol) as one number; the first pair came from nowhere
        seen = np.zeros(n_pairs, bool)
        layer = np.array([self.initial * other.n_states + other.initial])
        seen[layer] = True
        while layer.size:
            wrong = layer[differ[layer]]
            if wrong.size:
                return False, _path(came_from, int(wrong[0]), n_symbols)
            a, b = np.divmod(layer, other.n_states)
            following = (self.transitions[a] * other.n_states + other.transitions[b]).ravel()
            arrow = (layer[:, None] * n_symbols + np.arange(n_symbols)).ravel()
            first = np.sort(np.unique(following, return_index=True)[1])  # words stay in alphabetical order
            first = first[~seen[following[first]]]
            layer = following[first]
            seen[layer] = True
            came_from[layer] = arrow[first]
        return True, None

    def to_dot(self, symbols: tuple[str, ...] | None = None) -> str:
        """The machine in Graphviz's language; `symbols` names the symbols ("0", "1", ... if None).

        Raises:
            ValueError: not one name for each symbol.
        """
        names = tuple(map(str, range(self.n_symbols))) if symbols is None else symbols
        if len(names) != self.n_symbols:
            raise ValueError(f"{len(names)} names for {self.n_symbols} symbols")
        lines = ["digraph machine {", "  rankdir=LR; node [shape=circle];", '  start [shape=point, label=""];']
        for state, output in enumerate(self.outputs):
            lines.append(f"  q{state} [label={_quoted(','.join(map(str, output.tolist())))}];")
        lines.append(f"  start -> q{self.initial};")
        for (source, target), read in grouped_edges(self.transitions).items():
            lines.append(f"  q{source} -> q{target} [label={_quoted(', '.join(names[a] for a in read))}];")
        return "\n".join([*lines, "}"]) + "\n"


def minimal_form(machine: Machine) -> tuple[Machine, Int64[np.ndarray, " state"]]:
    """The minimal machine, and the state of it that each state of `machine` became; -1 where none can be reached.

    Partition refinement after Moore (1956): states stay together while they show the same and their successors
    are together. Unreachable states are dropped first.
    """
    reached = np.zeros(machine.n_states, bool)
    layer = np.array([machine.initial])
    while layer.size:
        reached[layer] = True
        following = np.unique(machine.transitions[layer])
        layer = following[~reached[following]]
    kept = np.flatnonzero(reached)
    place = np.full(machine.n_states, -1)
    place[kept] = np.arange(len(kept))
    transitions = place[machine.transitions[kept]]

    block = np.unique(machine.outputs[kept], axis=0, return_inverse=True)[1].reshape(-1)
    n_blocks = 0
    while block.max() + 1 > n_blocks:
        n_blocks = int(block.max()) + 1
        for symbol in range(machine.n_symbols):
            # Refining symbol by symbol keeps the signature one number, which sorts much faster than rows do.
            block = np.unique(block * len(kept) + block[transitions[:, symbol]], return_inverse=True)[1]

    member = np.unique(block, return_index=True)[1]
    small = block[transitions[member]]
    order = _search_order(small, int(block[place[machine.initial]]))
    number = np.empty(n_blocks, np.int64)
    number[order] = np.arange(n_blocks)
    classes = np.full(machine.n_states, -1, np.int64)
    classes[kept] = number[block]
    return Machine(number[small[order]], machine.outputs[kept][member[order]], 0), classes


def grouped_edges(transitions: Int64[np.ndarray, "state symbol"]) -> dict[tuple[int, int], list[int]]:
    """(state, next state) -> the symbols that lead there, for drawings: parallel edges become one."""
    edges: dict[tuple[int, int], list[int]] = {}
    for (state, symbol), target in np.ndenumerate(transitions):
        edges.setdefault((state, int(target)), []).append(symbol)
    return edges


def _search_order(transitions: Int64[np.ndarray, "state symbol"], initial: int) -> list[int]:
    order, seen = [initial], {initial}
    for state in order:  # grows while it is read
        for target in transitions[state].tolist():
            if target not in seen:
                seen.add(target)
                order.append(target)
    return order


def _path(came_from: np.ndarray, pair: int, n_symbols: int) -> tuple[int, ...]:
    word = []
    while came_from[pair] >= 0:
        pair, symbol = divmod(int(came_from[pair]), n_symbols)
        word.append(symbol)
    return tuple(reversed(word))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
