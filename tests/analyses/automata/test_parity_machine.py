"""The machine of sliding N-parity has 2^N states, as many as its last N bits have values: in a trained network too."""

import itertools
from dataclasses import replace

import numpy as np

import rnnscope as rs
from rnnscope import analyses
from rnnscope.learning.presets import PRESETS
from rnnscope.learning.schedules import Curriculum
from rnnscope.learning.settings import Decay
from rnnscope.maps.cell_map import CellMap
from rnnscope.tasks.machine import Machine


def test_a_machine_of_two_to_the_n_states(tmp_path):
    """Begun after zeros, as the task begins: words shorter than its trials are never asked in training."""
    task, cell = rs.tasks.Parity([2, 3, 4]), rs.cells.Leaky(48)
    training = replace(
        PRESETS["parity-2-20"].training, curriculum=Curriculum(), steps=900, stop_when_learned=False,
        decay=Decay("cosine"), learning_rate=4e-3, checkpoints=(), evaluate_every=100,
    )  # fmt: skip
    network = rs.train(task, cell, training, folder=tmp_path, progress=False).network()
    state_map = network.map()
    begun = state_map.initial_states(1, np.random.default_rng(0))
    zeros = state_map.unroll(begun, np.zeros((1, 30, 1)))[0, -1]
    subject = rs.Subject(CellMap([network.cell], network.readout, network.output_size, start=zeros), task)
    found = analyses.extract_automaton(subject, method="queries", compare=False)
    words = list(itertools.product((0, 1), repeat=4))
    moves = [[words.index((*word[1:], bit)) for bit in (0, 1)] for word in words]
    known = Machine(np.array(moves), np.array([[sum(word[-n:]) % 2 for n in task.ns] for word in words]))
    assert found.n_states == 16
    assert found.machine().equivalent(known) == (True, None)
