"""What random words do not reach, the network leads to: locks, keywords, and machines that forget one word."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import extract_automaton
from rnnscope.analyses.automata.deciding.choice import Leads, description_length
from rnnscope.analyses.automata.deciding.exam import Search
from rnnscope.analyses.automata.deciding.led_words import around, climb, follow_outputs
from rnnscope.analyses.automata.deciding.search import find_machine
from rnnscope.analyses.automata.reader import Reader
from rnnscope.compiled import compile_machine
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.regex import regex_machine

NEVER = Machine(np.zeros((1, 6), np.int64), np.zeros((1, 1), np.int64))


def tracker(keyword: tuple[int, ...], n_symbols: int, *, anywhere: bool) -> rs.FunctionMap:
    """How much of a keyword has been read, in a state that hardly shows it: 1e-3 a symbol, beside a large unit that
    tells the symbol. Its output rises with what was read."""
    to = regex_machine(
        (".*" if anywhere else "") + "".join("abcdef"[s] for s in keyword), "abcdef"[:n_symbols]
    ).transitions
    n = len(to)

    def step(h, u):
        symbol = u.argmax(-1)
        place = np.rint(h[..., 0] * 1e3).astype(int) % n
        return np.stack([to[place, symbol] * 1e-3, np.cos(3.0 * symbol)], -1)

    end = 0
    for symbol in keyword:
        end = int(to[end, symbol])
    # The distance to the end, along the keyword: what is dead is furthest.
    distance = np.full(n, len(keyword) + 1.0)
    place = 0
    for i, symbol in enumerate(keyword):
        distance[place] = len(keyword) - i
        place = int(to[place, symbol])
    distance[end] = 0

    def readout(h):
        return 0.5 - distance[np.rint(h[..., :1] * 1e3).astype(int) % n]

    return rs.FunctionMap(step, state_size=2, input_size=n_symbols, readout=readout, readout_size=1)


@pytest.mark.parametrize("anywhere", [False, True])
@pytest.mark.parametrize("keyword", [(2, 5, 0, 1), (1, 1, 3, 4, 0, 5, 2)])
def test_a_keyword_is_found_and_its_machine_too(keyword, anywhere):
    network = tracker(keyword, 6, anywhere=anywhere)
    truth = regex_machine((".*" if anywhere else "") + "".join("abcdef"[s] for s in keyword), "abcdef")
    reader = Reader(network, np.eye(6), lambda outputs: outputs > 0)
    led = follow_outputs(reader, NEVER, 16, 12, np.random.default_rng(0))
    assert led.wrong[0] == keyword
    assert led.n_asked > 0
    search = Search("auto", (8, 32), "k-means", 150, 30, 50, 20_000)
    found = find_machine(reader, search, np.random.default_rng(0)).machine
    same, word = found.equivalent(truth)
    assert same, f"{found.n_states} states of {truth.n_states}, they differ after {word}"


def test_one_state_is_reported_with_what_was_looked_at():
    shut = rs.FunctionMap(
        lambda h, u: 0.5 * h + u[..., :1], state_size=1, input_size=3, readout=lambda h: h - 5, readout_size=1
    )
    found = extract_automaton(shut, alphabet=np.eye(3), n_test_words=50, test_lengths=())
    assert found.n_states == 1
    assert found.search.n_led > 1000
    told = (
        f"no word was found after which the network shows anything else, of {found.search.n_led} to which its outputs"
    )
    assert told in found.summary()


def test_climbing_opens_what_no_prefix_hints_at():
    """The output says how many of ten symbols are in place, but only after ten: no beginning is better than others."""
    wanted = np.array([1, 0, 2, 1, 1, 0, 2, 2, 0, 1])

    def step(h, u):
        t = np.minimum(h[..., 0].astype(int), len(wanted) - 1)
        hit = (u.argmax(-1) == wanted[t]) & (h[..., 0] < len(wanted))
        return np.stack([h[..., 0] + 1, h[..., 1] + hit], -1)

    network = rs.FunctionMap(
        step, state_size=2, input_size=3, readout_size=1,
        readout=lambda h: np.where(h[..., :1] == len(wanted), h[..., 1:] - 9.5, -20.0),
    )  # fmt: skip
    reader = Reader(network, np.eye(3), lambda outputs: outputs > 0)
    one = Machine(np.zeros((1, 3), np.int64), np.zeros((1, 1), np.int64))
    assert climb(reader, one, np.random.default_rng(0)).wrong == [tuple(wanted.tolist())]


def test_from_the_states_of_a_machine_the_search_goes_deeper():
    """A machine that is right up to 20 symbols, and a network that accepts one word of 26."""
    word = tuple(np.random.default_rng(3).integers(2, size=26).tolist())
    truth = regex_machine("".join(map(str, word)))
    outputs = truth.outputs.copy()
    outputs[:] = 0
    never = Machine(truth.transitions, outputs, truth.initial)
    network = tracker(word, 2, anywhere=False)
    led = follow_outputs(Reader(network, np.eye(2), lambda y: y > 0), never, 8, 8, np.random.default_rng(0))
    assert led.wrong == [word]


def test_what_is_rarely_shown_counts_as_much():
    leads = Leads(((0,), (1,), (0, 1), (1, 1)), ((0,), (0,), (0,), (1,)))
    constant = Machine(np.zeros((1, 2), np.int64), np.zeros((1, 1), np.int64))
    assert leads.astray(constant) == 0.5
    assert Leads().astray(constant) == 0
    right = regex_machine("11")
    assert leads.astray(right) == 0
    assert description_length(right, 0.0) < description_length(constant, 0.0, 0.5)


def test_words_around_leads_show_each_class_equally_often():
    leads = Leads(((0, 0), (0, 1), (1, 0), (1, 1)), ((0,), (0,), (0,), (1,)))
    words, ends = around(leads, 2, 10)(2000, np.random.default_rng(0))
    assert words.shape == (2000, 10)
    assert ends.max() <= 10
    as_it_is = (words[:, :2] == 1).all(1) & (ends == 2)
    assert 0.15 < as_it_is.mean() < 0.35


def test_the_front_is_drawn_within_the_numbers_of_states_that_were_tried():
    truth = regex_machine("(ab|ba)*", "abcdef")
    found = extract_automaton(compile_machine(truth), alphabet=np.eye(6), n_test_words=50, test_lengths=())
    front = found.search.front
    assert found.n_states in found.search.n_states[front]
    assert (np.diff(found.search.n_states[front]) > 0).all()
    assert (np.diff(found.search.agreement[front]) > 0).all()
    texts = [each for each in found.front_figure().layout.annotations if each.text == "chosen"]
    assert [each.x for each in texts] == [pytest.approx(np.log10(found.n_states))]
