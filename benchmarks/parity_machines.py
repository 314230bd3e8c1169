"""How many states has the machine of sliding N-parity in a trained network? As many as N bits have values, 2^N.

    python benchmarks/parity_machines.py

One network with a head for each N from 2 to 8 is trained past its criterion. It is asked of each head, begun after
zeros, which is where N-parity begins; each machine is compared with the one that is known.
"""

import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import rnnscope as rs
from rnnscope import analyses
from rnnscope.learning.presets import PRESETS
from rnnscope.learning.schedules import Curriculum
from rnnscope.learning.settings import Decay
from rnnscope.maps.cell_map import CellMap
from rnnscope.tasks.machine import Machine

LARGEST, UNITS, STEPS = 8, 64, 3000


def known(n: int) -> Machine:
    """The machine of the last n bits, which begin as zeros."""
    words = list(itertools.product((0, 1), repeat=n))
    number = {word: k for k, word in enumerate(words)}
    moves = np.array([[number[(*word[1:], bit)] for bit in (0, 1)] for word in words])
    return Machine(moves, np.array([[sum(word) % 2] for word in words]))


def head(k: int) -> Callable[[np.ndarray], np.ndarray]:
    """The decisions of the k-th head."""
    return lambda outputs: outputs.reshape(*outputs.shape[:-1], -1, 2)[..., k, :].argmax(-1)[..., None]


def main() -> None:
    """Train the network, and print a row for each of its heads."""
    task = rs.tasks.Parity(range(2, LARGEST + 1))
    training = replace(
        PRESETS["parity-2-20"].training, curriculum=Curriculum(), steps=STEPS, stop_when_learned=False,
        decay=Decay("cosine"), checkpoints=(0,),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        network = rs.train(task, rs.cells.Leaky(UNITS), training, folder=folder, progress=False).network()
    state_map = network.map()
    begun = state_map.initial_states(1, np.random.default_rng(0))
    zeros = state_map.unroll(begun, np.zeros((1, 4 * LARGEST, 1)))[0, -1]
    subject = rs.Subject(CellMap([network.cell], network.readout, network.output_size, start=zeros), task)
    print("| N | states | 2^N | the known machine | CPU s |\n|---|---|---|---|---|")
    for k, n in enumerate(task.ns):
        began = time.process_time()
        found = analyses.extract_automaton(
            subject, labels=head(k), method="queries", budget=1_000_000, max_states=2**LARGEST + 50, compare=False
        )
        same, word = found.machine().equivalent(known(n))
        told = "equivalent" if same else f"differs at {word}"
        print(f"| {n} | {found.n_states} | {2**n} | {told} | {time.process_time() - began:.1f} |", flush=True)


if __name__ == "__main__":
    main()
