"""Which of several machines? The one with which the network's answers are described most briefly.

Description length (Rissanen, "Modeling by shortest data description", Automatica 1978) of `DESCRIBED` symbols of
behaviour: the machine itself, and where it is wrong. The number of symbols is fixed and the rate of errors is measured,
so that more test words measure that rate better, and do not buy more states. Every wrong prefix counts, or a machine
that goes astray for good would cost no more than one that errs once. No description need be exact: while errors are
rare each costs one bit, less than it takes to say where it is, so that a network's own slips are not made into states;
the more there are, the more each costs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Integer

from rnnscope.tasks.machine import Machine

DESCRIBED = 15_000  # symbols
RARE = 0.01  # where so large a share is wrong, an error costs twice as much as a rare one
# What an error on all words that the network led to counts, in wrong prefixes. A word that is accepted alone among
# millions is one prefix of a long word at most: by prefixes alone nothing would ever be said of it.
ASTRAY = 0.02


def agreement(
    machine: Machine, words: Integer[np.ndarray, "word time"], wanted: Integer[np.ndarray, "word prefix head"]
) -> Bool[np.ndarray, "word prefix"]:
    """Where the machine shows what is wanted, in all heads; the empty prefix comes first."""
    visited = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])
    if machine.outputs.shape[1] != wanted.shape[-1]:
        raise ValueError(f"the machine has {machine.outputs.shape[1]} heads, {wanted.shape[-1]} are wanted")
    return (machine.outputs[visited] == wanted).all(-1)


def slip_rate(agrees: Bool[np.ndarray, "word prefix"]) -> float:
    """How often, per symbol, a machine that has agreed so far ceases to."""
    slips = ~agrees.all(1)
    read = np.where(slips, agrees.argmin(1) + 1, agrees.shape[1])
    return float(slips.sum() / read.sum())


def machine_bits(n_states: int, machine: Machine) -> float:
    """Bits for a machine of so many states, with the symbols and outputs of this one, per symbol described."""
    n_outputs = max(2, len(np.unique(machine.outputs, axis=0)))
    arrows = n_states * machine.n_symbols * np.log2(max(n_states, 1))
    return float(arrows + n_states * np.log2(n_outputs)) / DESCRIBED


def slip_bits(rate: float) -> float:
    """Bits per symbol for errors at this rate."""
    return rate * (1 + rate / RARE)


def description_length(machine: Machine, rate: float, astray: float = 0.0) -> float:
    """Bits per symbol for a machine with this rate of errors, that is wrong on this share of the words that the network
    led to."""
    return machine_bits(machine.n_states, machine) + slip_bits(rate + ASTRAY * astray)


def end_of(machine: Machine, word: tuple[int, ...]) -> int:
    """The state after a word."""
    state = machine.initial
    for symbol in word:
        state = int(machine.transitions[state, symbol])
    return state


@dataclass(frozen=True)
class Leads:
    """Words that the network led to, and what it shows after each.

    Attributes:
        words: the words, different ones.
        shown: the decisions after each.
    """

    words: tuple[tuple[int, ...], ...] = ()
    shown: tuple[tuple[int, ...], ...] = ()

    @property
    def by_class(self) -> list[list[tuple[int, ...]]]:
        """The words after which the same is shown, for everything that is shown."""
        classes: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for word, shown in zip(self.words, self.shown, strict=True):
            classes.setdefault(shown, []).append(word)
        return list(classes.values())

    def wrong(self, machine: Machine) -> list[tuple[int, ...]]:
        """Those after which a machine shows something else."""
        return [
            word
            for word, shown in zip(self.words, self.shown, strict=True)
            if tuple(machine.outputs[end_of(machine, word)].tolist()) != shown
        ]

    def astray(self, machine: Machine) -> float:
        """The share after which a machine shows something else; each thing that the network shows counts alike, as what
        it shows rarely may be all that it is for. 0 of no words."""
        wrong: dict[tuple[int, ...], list[bool]] = {}
        for word, shown in zip(self.words, self.shown, strict=True):
            wrong.setdefault(shown, []).append(tuple(machine.outputs[end_of(machine, word)].tolist()) != shown)
        return float(np.mean([np.mean(each) for each in wrong.values()])) if wrong else 0.0


def shortest(words: np.ndarray, agrees: Bool[np.ndarray, "word prefix"]) -> tuple[int, ...]:
    """The shortest prefix of any word that disagrees."""
    first = np.where(agrees.all(1), words.shape[1] + 1, agrees.argmin(1))
    row = int(first.argmin())
    return tuple(words[row, : first[row]].tolist())
