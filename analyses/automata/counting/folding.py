"""The control of a counter machine: classes of words that differ by what is counted alone become one state.

Given what each symbol adds, each class has its counts. States of control are sets of classes, no two of them with the
same counts, such that the state after a symbol hangs on the signs of the counts after it alone. They are found by
merging classes in the order of their shortest words, each with the first state that it fits (as in Oncina and Garcia,
"Inferring regular languages in polynomial updated time", 1992).
"""

import numpy as np
from jaxtyping import Int64

from rnnscope.analyses.automata.counting.classes import Classes
from rnnscope.analyses.automata.counting.counter_machine import SIGNS, CounterMachine, signs

MOST_CONTROL = 8  # states of control


def counts_of(classes: Classes, steps: Int64[np.ndarray, "counter symbol"]) -> Int64[np.ndarray, "class counter"]:
    """By the shortest word of each class."""
    zero = np.zeros(len(steps), np.int64)
    return np.stack([steps[:, list(word)].sum(1) if word else zero for word in classes.words])


def fold(classes: Classes, steps: Int64[np.ndarray, "counter symbol"]) -> tuple[CounterMachine, int] | None:
    """The counter machine with these steps, and how many counts in a row a state of its control stands for, of the
    counter for which these are fewest; None where there would be more than 8 states."""
    counts = counts_of(classes, steps)
    merging = _Merging(classes, counts, steps)
    red = [0]
    for node in range(1, len(classes.words)):
        root = merging.find(node)
        if classes.ended[node] or root in map(merging.find, red):
            continue
        for state in red:
            if merging.try_merge(state, node):
                break
        else:
            red.append(node)
            if len(red) > MOST_CONTROL:
                return None
    machine, place = merging.machine()
    return machine, min(_span(counts[:, i], place, classes) for i in range(len(steps)))


def _span(count: np.ndarray, place: np.ndarray, classes: Classes) -> int:
    """The most counts in a row with one state of control."""
    most = 0
    for state in np.unique(place[~classes.ended]).tolist():
        met = np.unique(count[(place == state) & ~classes.ended])
        runs = np.split(met, np.flatnonzero(np.diff(met) > 2) + 1)  # steps may be of two
        most = max(most, *map(len, runs))
    return most


class _Merging:
    """Blocks of classes, kept such that each block has one successor for each symbol and signs."""

    def __init__(self, classes: Classes, counts: np.ndarray, steps: np.ndarray) -> None:
        self.classes, self.counts, self.steps = classes, counts, steps
        self.block = list(range(len(counts)))
        self.at: list[dict[tuple[int, ...], int]] = [{} for _ in counts]
        for node in np.flatnonzero(~classes.ended).tolist():
            self.at[node][tuple(counts[node].tolist())] = node
        self.shown = [{int(s): int(shown)} for s, shown in zip(signs(counts), classes.shown, strict=True)]
        self.to: list[dict[tuple[int, int], int]] = [{} for _ in counts]
        after = signs(counts[:, None] + steps.T[None])  # (class, symbol)
        for node, symbol in zip(*np.nonzero(classes.after >= 0), strict=True):
            if not classes.ended[node]:
                self.to[node][int(symbol), int(after[node, symbol])] = int(classes.after[node, symbol])

    def find(self, node: int) -> int:
        while self.block[node] != node:
            node = self.block[node]
        return node

    def try_merge(self, one: int, other: int) -> bool:
        kept = (list(self.block), {}, {}, {})
        pending = [(one, other)]
        while pending:
            a, b = (self.find(node) for node in pending.pop())
            if a == b:
                continue
            a, b = min(a, b), max(a, b)
            if not self._fit(a, b):
                self._undo(kept)
                return False
            for store, part in zip(kept[1:], (self.at, self.shown, self.to), strict=True):
                store.setdefault(a, part[a])
            self.block[b] = a
            self.at[a] = self.at[a] | self.at[b]
            self.shown[a] = self.shown[a] | self.shown[b]
            pending += [(self.to[a][key], target) for key, target in self.to[b].items() if key in self.to[a]]
            self.to[a] = self.to[b] | self.to[a]
        return True

    def _undo(self, kept: tuple[list[int], dict, dict, dict]) -> None:
        self.block = kept[0]
        for store, part in zip(kept[1:], (self.at, self.shown, self.to), strict=True):
            for node, value in store.items():
                part[node] = value

    def _fit(self, a: int, b: int) -> bool:
        if self.classes.ended[a] or self.classes.ended[b]:
            return bool(self.classes.ended[a] and self.classes.ended[b] and self.shown_at(a) == self.shown_at(b))
        if self.at[a].keys() & self.at[b].keys():
            return False
        return all(self.shown[b].get(sign, shown) == shown for sign, shown in self.shown[a].items())

    def shown_at(self, node: int) -> int:
        return int(self.classes.shown[node])

    def machine(self) -> tuple[CounterMachine, np.ndarray]:
        n_signs = SIGNS ** len(self.steps)
        roots = sorted({self.find(node) for node in range(len(self.block)) if not self.classes.ended[node]})
        ended = [len(roots) + shown for shown in (0, 1)]
        place = np.array([
            ended[self.shown_at(node)] if self.classes.ended[node] else roots.index(self.find(node))
            for node in range(len(self.block))
        ])  # fmt: skip
        usual = int(np.bincount(self.classes.shown, minlength=2).argmax())
        transitions = np.full((len(roots) + 2, self.steps.shape[1], n_signs), -1)
        shown = np.full((len(roots) + 2, n_signs), usual)
        for state, root in enumerate(roots):
            for sign, value in self.shown[root].items():
                shown[state, sign] = value
            for (symbol, sign), target in self.to[root].items():
                transitions[state, symbol, sign] = place[target]
        _fill(transitions, ended[usual])
        for value, state in enumerate(ended):
            transitions[state], shown[state] = state, value
        return CounterMachine(self.steps, transitions, shown), place


def _fill(transitions: Int64[np.ndarray, "state symbol signs"], otherwise: int) -> None:
    """Signs that were never met after a symbol lead where the likest that were met lead; where none were, to
    `otherwise`."""
    n_signs = transitions.shape[2]
    digits = np.arange(n_signs)[:, None] // SIGNS ** np.arange(round(np.log(n_signs) / np.log(SIGNS))) % SIGNS
    apart = np.abs(digits[:, None] - digits[None]).sum(-1)
    for row in transitions.reshape(-1, n_signs):
        known = np.flatnonzero(row >= 0)
        for sign in np.flatnonzero(row < 0):
            row[sign] = row[known[apart[sign, known].argmin()]] if len(known) else otherwise
