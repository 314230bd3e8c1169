"""The probabilistic automaton that ALERGIA makes of words alone, without a look into the network.

States of the tree of all words are merged where Hoeffding's bound does not tell their futures apart: Carrasco & Oncina,
"Learning stochastic regular grammars by means of a state merging method", ICGI 1994; AALpy's implementation.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.automata.aalpy_machines import from_aalpy
from rnnscope.tasks.machine import Machine

EPSILON = 0.05  # of the bound, AALpy's default
FLOOR = 1e-4  # share of the uniform distribution, so that what no word had stays possible


def alergia(words: Integer[np.ndarray, "word time"], n_symbols: int) -> Machine:
    """A probabilistic automaton over symbols 0 ... n_symbols - 1."""
    from aalpy.learning_algs import run_Alergia

    found = run_Alergia([["start", *word] for word in words.tolist()], automaton_type="mc", eps=EPSILON)
    learned = from_aalpy(found, tuple(range(n_symbols)))
    assert learned.emission is not None
    return replace(learned, emission=(1 - FLOOR) * learned.emission + FLOOR / n_symbols)


def log_likelihood(machine: Machine, words: Integer[np.ndarray, "word time"]) -> Float[np.ndarray, " word"]:
    """log p(word) in nats under a probabilistic automaton.

    Raises:
        ValueError: the machine only reads.
    """
    return np.log(np.take_along_axis(machine.predictions(words), words[..., None], 2)[..., 0]).sum(1)
