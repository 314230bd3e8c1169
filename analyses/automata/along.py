"""Where a machine that was extracted from a network is at each step of trials."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from rnnscope.analyses.automata.deciding.result import Acceptor
from rnnscope.analyses.automata.emitting.result import Emitter
from rnnscope.analyses.automata.predicting.result import Predictor
from rnnscope.analyses.state_space.nearest import nearest_place
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories

Machine = Acceptor | Predictor | Emitter
SYMBOL_TOLERANCE = 1e-6  # inputs and alphabets are float32


@dataclass(frozen=True)
class Along:
    """Where the machine is at each step of trials.

    Attributes:
        state: its state; -1 in padding and where it is not known.
        by: how that was found, in words; "" where it is not known at all.
        symbol: what it read, as a place among its symbols; -1 where it read none.
    """

    state: Int64[np.ndarray, "trial time"]
    by: str
    symbol: Int64[np.ndarray, "trial time"]


def machine_along(machine: Machine | None, subject: Subject, found: Trajectories) -> Along:
    """Where a machine is at each step of trials.

    Args:
        machine: that was extracted from the network; None where none is known.
        subject: the network; its task says which inputs are symbols, where the machine was extracted without others.
        found: the trials.

    Raises:
        ValueError: the machine is of a network with another number of units.
    """
    state, symbol = np.full(found.valid.shape, -1, np.int64), np.full(found.valid.shape, -1, np.int64)
    if machine is None:
        return Along(state, "", symbol)
    task = subject.task
    if isinstance(machine, Emitter):
        centres = machine.placement.centres
        if centres.shape[1] != found.states.shape[2]:
            raise ValueError(
                f"the automaton is of a network with {centres.shape[1]} units, and these states have "
                f"{found.states.shape[2]}: give what extract_automaton returned for this network"
            )
        return Along(nearest_place(found, centres), "the nearest mean state of the machine's states", symbol)
    given = None if machine.made is None else machine.made.settings.get("alphabet")
    own = task if given is None else None
    alphabet = given if own is None else own.alphabet
    if alphabet is None or isinstance(alphabet, dict):
        return Along(state, "", symbol)
    vectors = np.asarray(alphabet, np.float64)
    if vectors.shape != (machine.transitions.shape[1], found.inputs.shape[2]):
        return Along(state, "", symbol)
    n_opening = 0 if own is None else len(own.opening)
    inputs = found.inputs[:, n_opening:]
    symbols, known = np.zeros(inputs.shape[:2], np.int64), np.zeros(inputs.shape[:2], bool)
    for number, vector in enumerate(vectors):
        same = (np.abs(inputs - vector) < SYMBOL_TOLERANCE).all(2)
        symbols[same], known = number, known | same
    # Where an input is no symbol, the machine's state is not known from there on.
    read = np.logical_and.accumulate(known, axis=1) & found.valid[:, n_opening:]
    now = np.full(len(inputs), machine.initial, np.int64)
    for t in range(inputs.shape[1]):
        # A predictor has no state after a symbol that its process never shows there.
        now = np.where(read[:, t] & (now >= 0), machine.transitions[now, symbols[:, t]], -1)
        state[:, n_opening + t] = now
    symbol[:, n_opening:] = np.where(read, symbols, -1)
    return Along(state, "the machine, reading the trial's symbols", symbol)
