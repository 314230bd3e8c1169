"""Which states of a finite machine behave alike, whatever is read from there on."""

import numpy as np
from jaxtyping import Int64

GROWTH = 1.5  # whole rounds go on while each multiplies the classes by so much


def behaviour_classes(
    transitions: Int64[np.ndarray, "state symbol"], shown: Int64[np.ndarray, " state"]
) -> Int64[np.ndarray, " state"]:
    """The class of each state: two states share one exactly where they, and their successors along every word, show
    the same. Classes are numbered from 0, in no particular order.

    Partition refinement. Whole rounds over all states at once (Moore, "Gedanken-experiments on sequential machines",
    1956) are the fastest way while the classes multiply, as in machines without structure. Long chains and cycles give
    one class more a round; there only the predecessors of what moved are looked at again, and the largest part of a
    class that splits is what does not move (Hopcroft, "An n log n algorithm for minimizing states in a finite
    automaton", 1971): n symbols log n steps in all.
    """
    n = len(transitions)
    block, n_blocks = np.unique(shown, return_inverse=True)[1], 0
    while block.max() + 1 > GROWTH * n_blocks:
        n_blocks = int(block.max()) + 1
        for following in transitions.T:
            # Refining symbol by symbol keeps the signature one number, which sorts much faster than rows do.
            block = np.unique(block * n + block[following], return_inverse=True)[1]
    return block if block.max() + 1 == n_blocks else _refined(transitions, block)


def _refined(
    transitions: Int64[np.ndarray, "state symbol"], block: Int64[np.ndarray, " state"]
) -> Int64[np.ndarray, " state"]:
    follows, label = transitions.tolist(), block.tolist()
    precedes: list[list[int]] = [[] for _ in follows]
    members: list[set[int]] = [set() for _ in range(max(label) + 1)]
    for state, targets in enumerate(follows):
        members[label[state]].add(state)
        for target in targets:
            precedes[target].append(state)
    asked = set(range(len(follows)))
    while asked:
        parts: dict[int, dict[tuple[int, ...], list[int]]] = {}
        for state in asked:
            signature = tuple([label[target] for target in follows[state]])
            parts.setdefault(label[state], {}).setdefault(signature, []).append(state)
        moved: list[int] = []
        for own, by_signature in parts.items():
            pieces = sorted(by_signature.values(), key=len)
            # Members that were not asked have the signature of before, and are a piece of their own.
            n_rest = len(members[own]) - sum(map(len, pieces))
            if n_rest < len(pieces[-1]):
                largest = pieces.pop()
                pieces += [list(members[own].difference(largest, *pieces))] if n_rest else []
            for piece in pieces:
                members[own].difference_update(piece)
                for state in piece:
                    label[state] = len(members)
                members.append(set(piece))
                moved += piece
        asked = {source for state in moved for source in precedes[state]}
    return np.array(label)
