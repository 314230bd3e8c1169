"""The words that counting begins with are all that they are said to be, each once, with what the network shows."""

from itertools import groupby, product

import numpy as np
import pytest

from rnnscope.analyses.automata.counting.classes import MOST_READ, MOST_RUNS, Seen, read_pool
from rnnscope.analyses.automata.reader import Reader
from rnnscope.compiled import compile_machine
from rnnscope.subjects.subject import as_subject
from rnnscope.tasks.machine import Machine

LONGEST = 9


def pooled(n_symbols: int) -> tuple[Machine, Seen]:
    rng = np.random.default_rng(n_symbols)
    machine = Machine(rng.integers(5, size=(5, n_symbols)), rng.integers(2, size=(5, 1)))
    reader = Reader(
        as_subject(compile_machine(machine)).map,
        np.eye(n_symbols),
        lambda outputs: outputs.argmax(-1, keepdims=True),
    )
    return machine, read_pool(reader, LONGEST, np.random.default_rng(0))


@pytest.mark.parametrize("n_symbols", [1, 2, 3])
def test_the_pool_has_every_short_word_and_every_word_of_few_short_runs(n_symbols):
    machine, seen = pooled(n_symbols)
    every = seen.spelled(np.arange(len(seen.words)))
    shallow = max(n for n in range(LONGEST + 1) if n_symbols**n <= MOST_READ)
    wanted = [word for n in range(shallow + 1) for word in product(range(n_symbols), repeat=n)]
    for n_runs in range(1, MOST_RUNS + 1 if n_symbols > 1 else 2):
        most = int((MOST_READ / (n_symbols * max(n_symbols - 1, 1) ** (n_runs - 1))) ** (1 / n_runs))
        most = min(most, LONGEST - n_runs + 1)
        for n in range(n_runs, LONGEST + 1):
            for word in product(range(n_symbols), repeat=n):
                runs = [len(list(run)) for _, run in groupby(word)]
                if len(runs) == n_runs and max(runs) <= most:
                    wanted.append(word)
    assert sorted(every) == sorted(wanted)
    for word, shown in zip(every, seen.shown.tolist(), strict=True):
        end = machine.run(np.array([word], np.int64))[0, -1] if word else machine.initial
        assert machine.outputs[end, 0] == shown
