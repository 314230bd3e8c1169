"""Which of several machines? The one with which the network's answers are described most briefly.

Description length (Rissanen, "Modeling by shortest data description", Automatica 1978) of `DESCRIBED` symbols of
behaviour: the machine itself, and where it is wrong. The number of symbols is fixed and the rate of errors is measured,
so that more test words measure that rate better, and do not buy more states. Every wrong prefix counts, or a machine
that goes astray for good would cost no more than one that errs once. No description need be exact: while errors are
rare each costs one bit, less than it takes to say where it is, so that a network's own slips are not made into states;
the more there are, the more each costs.
"""

import numpy as np
from jaxtyping import Bool, Integer

from rnnscope.tasks.machine import Machine

DESCRIBED = 15_000  # symbols
RARE = 0.01  # where so large a share is wrong, an error costs twice as much as a rare one


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


def description_length(machine: Machine, rate: float) -> float:
    """Bits per symbol for a machine with this rate of errors."""
    return machine_bits(machine.n_states, machine) + slip_bits(rate)


def shortest(words: np.ndarray, agrees: Bool[np.ndarray, "word prefix"]) -> tuple[int, ...]:
    """The shortest prefix of any word that disagrees."""
    first = np.where(agrees.all(1), words.shape[1] + 1, agrees.argmin(1))
    row = int(first.argmin())
    return tuple(words[row, : first[row]].tolist())
