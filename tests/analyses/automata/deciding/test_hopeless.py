"""Of networks that no small machine describes, a small machine all the same: many states would buy next to nothing."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.automata.deciding.doubts import ask, refuting_words
from rnnscope.analyses.automata.deciding.exam import Exam, Search
from rnnscope.analyses.automata.deciding.search import find_machine
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import mixed_words
from rnnscope.subjects.subject import as_subject
from rnnscope.tasks.machine import Machine

SEARCH = Search("auto", (8, 32, 128), "k-means", 150, 40, 100, 6_000)


def chaos(name: str) -> Reader:
    """Interval maps of full entropy, another for each symbol: what they show is a fair coin to any finite machine."""
    steps = {
        "logistic": lambda h, u: np.where(u[..., :1] > 0, 4 * h * (1 - h), 3.99 * h * (1 - h)),
        "tent": lambda h, u: np.where(u[..., :1] > 0, 1.9999, 1.9) * np.minimum(h, 1 - h),
        "shift": lambda h, u: (np.where(u[..., :1] > 0, 3.1, 2.7) * h + 0.37) % 1.0,
    }
    network = rs.FunctionMap(
        steps[name],
        state_size=1,
        input_size=2,
        readout=lambda h: h - 0.5,
        readout_size=1,
        initial=lambda n, _rng: np.full((n, 1), 0.2345),
    )
    return Reader(as_subject(network).map, np.eye(2), lambda outputs: outputs > 0)


@pytest.mark.parametrize("name", ["logistic", "tent", "shift"])
def test_a_coin_gets_a_machine_of_few_states_that_no_larger_one_beats_by_much(name):
    reader, rng = chaos(name), np.random.default_rng(1)
    found = find_machine(reader, SEARCH, np.random.default_rng(0))
    words = mixed_words(400, 40, 2, rng)
    shown = reader.read(words, rng)
    exam = Exam(words, shown)
    assert max(machine.n_states for machine in found.machines) > 30, "or there was nothing to choose from"
    assert found.machine.n_states <= 30
    assert exam.words_right(found.machine) < 0.5
    small_enough = [each for each in found.machines if each.n_states <= SEARCH.max_states]
    # On fresh words shares are out by some hundredths, too.
    assert exam.words_right(found.machine) > max(map(exam.words_right, small_enough)) - 0.1
    assert exam.rate(found.machine) < min(map(exam.rate, small_enough)) + 0.1


def test_all_short_words_are_read_as_each_by_itself():
    """Beginnings that words share are read once, and nothing else changes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state_map = rs.wrap(torch.nn.GRU(3, 6), readout=torch.nn.Linear(6, 2))
    reader = Reader(state_map, np.eye(3), lambda outputs: outputs > 0)
    words, shown = reader.read_short(300, np.random.default_rng(0))
    assert words.shape == (243, 5)
    assert len({tuple(word) for word in words.tolist()}) == 243
    np.testing.assert_array_equal(shown, reader.read(words, np.random.default_rng(0)))


def test_a_rare_word_that_is_short_is_not_missed():
    """A network compiled from a machine that accepts one word of six symbols more: what random words never show."""
    rng = np.random.default_rng(3)
    word = rng.integers(4, size=6)
    keyed = Machine(
        transitions=np.array([[k + 1 if s == word[k] else 7 for s in range(4)] for k in range(6)] + [[7] * 4] * 2),
        outputs=np.array([[0]] * 6 + [[1], [0]]),
        initial=0,
    )
    network, nothing = rs.compile_machine(keyed), Machine(np.zeros((1, 4), int), np.zeros((1, 1), int), 0)
    reader = Reader(rs.as_subject(network).map, np.eye(4), lambda outputs: outputs.argmax(-1)[..., None])
    asked = ask(reader, nothing, 20, np.array([20]), np.random.default_rng(0))
    assert tuple(word.tolist()) in refuting_words(nothing, asked, 20)
