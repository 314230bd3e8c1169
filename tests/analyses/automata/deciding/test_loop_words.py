"""Words round the loops of a machine, and networks that lose count of rounds."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import extract_automaton
from rnnscope.analyses.automata.deciding.doubts import ask, falsify, refuting_words
from rnnscope.analyses.automata.deciding.led_words import look_everywhere
from rnnscope.analyses.automata.deciding.loop_words import loop_words
from rnnscope.analyses.automata.reader import Reader
from rnnscope.compiled import compile_machine
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.regex import regex_machine

LENGTHS = np.array([40, 100])


def reader_of(machine: Machine) -> Reader:
    network = rs.as_subject(compile_machine(machine)).map
    return Reader(network, np.eye(machine.n_symbols), lambda outputs: outputs.argmax(-1, keepdims=True))


@pytest.mark.parametrize(("pattern", "loop"), [("aa(ba)*", "ba"), ("(abc)*", "abc"), ("b(c)*a", "c")])
def test_each_loop_is_gone_round_as_often_as_fits(pattern, loop):
    words = loop_words(regex_machine(pattern, "abc"), 50, LENGTHS, np.random.default_rng(0))
    assert words.shape[1] == 100
    spelled = ["".join("abc"[s] for s in word) for word in words]
    most = (40 - 6) // len(loop)
    assert all(
        any(turned * most in word for turned in (loop[i:] + loop[:i] for i in range(len(loop)))) for word in spelled
    )


def test_what_goes_round_nothing_has_no_such_words():
    assert loop_words(regex_machine("0110"), 50, LENGTHS, np.random.default_rng(0)).shape == (0, 100)
    one = Machine(np.zeros((1, 3), np.int64), np.zeros((1, 1), np.int64))
    assert len(loop_words(one, 50, LENGTHS, np.random.default_rng(0))) == 0
    found = falsify(reader_of(one), one, 20, LENGTHS, np.random.default_rng(0))
    assert "loops" not in found.kinds
    assert np.isfinite(found.wrong).all()


@pytest.mark.parametrize(("rounds", "within"), [(15, 0), (30, 1)])
def test_a_network_that_goes_astray_after_so_many_rounds_is_shown_to(rounds, within):
    """It accepts aa(ba)* of up to so many rounds. Random words are out of the language before that."""
    long = regex_machine("aa(ba)*", "ab")
    trap = 2 * rounds + 3
    to = [[1, trap], [2, trap], *([trap, i + 3] if i % 2 == 0 else [i + 3, trap] for i in range(2 * rounds))]
    limited = Machine(
        np.array([*to, [trap, trap], [trap, trap]]), np.array([[0], [0], *([[1], [0]] * rounds), [1], [0]])
    )
    network = reader_of(limited)
    found = falsify(network, long, 100, LENGTHS, np.random.default_rng(0))
    astray = found.wrong[found.kinds.index("loops")]
    assert astray[1] > 0
    assert bool(astray[0]) == (within == 0), "within 40 symbols only few rounds fit"


def test_what_is_found_on_loops_is_not_learned():
    rounds = regex_machine("(ab)*", "ab")
    never = Machine(rounds.transitions, np.zeros_like(rounds.outputs), rounds.initial)
    asked = ask(reader_of(rounds), never, 40, LENGTHS, np.random.default_rng(0))
    only_loops = type(asked)(
        {"loops": asked.words["loops"]}, {"loops": asked.shown["loops"]}, asked.near[:0], asked.near_shown[:0], 0
    )
    assert refuting_words(never, only_loops, 40) == []


@pytest.mark.parametrize("word", ["cbadbcaa", "ddddabcd"])
def test_one_state_is_not_believed_before_all_short_words_were_read(word):
    """One word in 65,536 of eight symbols: nothing on the way shows that it comes nearer."""
    lock = regex_machine(word, "abcd")
    never = Machine(np.zeros((1, 4), np.int64), np.zeros((1, 1), np.int64))
    led = look_everywhere(reader_of(lock), never, 2**16, 100, np.random.default_rng(0))
    assert led.wrong == [tuple("abcd".index(symbol) for symbol in word)]


def test_a_machine_that_errs_on_words_of_its_language_is_not_called_faithful_without_reserve():
    """A network that takes a*ba* for what it is up to nine a at the end, and a machine that knows no such bound."""

    def step(h, u):
        a = u[..., 0] > 0.5
        seen = np.where(a, h[..., 0], h[..., 0] + 1)
        after = np.where(a & (h[..., 0] > 0), h[..., 1] + 1, h[..., 1])
        return np.stack([np.minimum(seen, 2), np.minimum(after, 30)], -1)

    network = rs.FunctionMap(
        step, state_size=2, input_size=2, readout_size=1,
        readout=lambda h: np.where((h[..., :1] == 1) & (h[..., 1:] != 25), 1.0, -1.0),
    )  # fmt: skip
    found = extract_automaton(network, alphabet=np.eye(2), max_states=5, budget=600)
    assert not found.summary()[0].isdigit(), found.summary()
