"""The automaton type against AALpy's machines and against truths that are known by hand."""

import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from aalpy.automata import Dfa, DfaState, MealyMachine, MealyState, MooreMachine, MooreState
from aalpy.utils import save_automaton_to_file
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.tasks.machine import Machine, minimal_form

EVEN_ONES = Machine(np.array([[0, 1], [1, 0]]), np.array([[1], [0]]))


@st.composite
def machines(draw: st.DrawFn, n_symbols: int = 2, n_outputs: int = 2) -> Machine:
    n = draw(st.integers(1, 9))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    return Machine(rng.integers(n, size=(n, n_symbols)), rng.integers(n_outputs, size=(n, 1)), int(rng.integers(n)))


def in_aalpy(machine: Machine) -> MooreMachine:
    states = [MooreState(f"s{i}", int(output[0])) for i, output in enumerate(machine.outputs)]
    for state, row in zip(states, machine.transitions.tolist(), strict=True):
        state.transitions = {symbol: states[target] for symbol, target in enumerate(row)}
    return MooreMachine(states[machine.initial], states)


def words(rng: np.random.Generator, n: int = 40, length: int = 15, n_symbols: int = 2) -> np.ndarray:
    return rng.integers(n_symbols, size=(n, length))


@given(machines(n_symbols=3, n_outputs=3))
def test_runs_like_aalpy(machine: Machine):
    oracle = in_aalpy(machine)
    some = words(np.random.default_rng(0), 5, 12, 3)
    shown = machine.outputs[machine.run(some)][..., 0]
    for word, outputs in zip(some.tolist(), shown.tolist(), strict=True):
        oracle.reset_to_initial()
        assert [oracle.step(symbol) for symbol in word] == outputs


@given(machines())
def test_minimal_form_is_as_small_as_aalpys_and_behaves_alike(machine: Machine):
    small = machine.minimise()
    assert machine.equivalent(small) == (True, None)
    reachable, place = [machine.initial], {machine.initial}  # AALpy keeps unreachable states: it gets none
    for state in reachable:
        for target in machine.transitions[state].tolist():
            if target not in place:
                place.add(target)
                reachable.append(target)
    number = {state: i for i, state in enumerate(reachable)}
    kept = Machine(
        np.array([[number[t] for t in machine.transitions[s].tolist()] for s in reachable]), machine.outputs[reachable]
    )
    oracle = in_aalpy(kept)
    oracle.minimize()
    assert small.n_states == len(oracle.states)


@given(machines(), st.integers(0, 2**32 - 1))
def test_minimal_form_does_not_depend_on_names(machine: Machine, seed: int):
    order = np.random.default_rng(seed).permutation(machine.n_states)  # old name -> new name
    back = np.argsort(order)
    renamed = Machine(order[machine.transitions[back]], machine.outputs[back], int(order[machine.initial]))
    a, b = machine.minimise(), renamed.minimise()
    assert np.array_equal(a.transitions, b.transitions)
    assert np.array_equal(a.outputs, b.outputs)


@given(machines(), machines())
def test_the_distinguishing_word_distinguishes_and_none_is_shorter(a: Machine, b: Machine):
    equal, word = a.equivalent(b)
    some = words(np.random.default_rng(1))
    agree = a.outputs[a.run(some)] == b.outputs[b.run(some)]
    if equal:
        assert agree.all()
        return
    assert word is not None
    last = [m.outputs[m.run(np.array([word], int).reshape(1, -1))[0, -1] if word else m.initial, 0] for m in (a, b)]
    assert last[0] != last[1]
    if word:
        assert a.outputs[a.initial, 0] == b.outputs[b.initial, 0]
        assert agree[:, : len(word) - 1].all()


@given(machines(n_symbols=3), st.integers(0, 2**32 - 1))
def test_mealy_machines_run_and_minimise_like_aalpys(moore: Machine, seed: int):
    rng = np.random.default_rng(seed)
    machine = Machine(moore.transitions, rng.integers(2, size=(*moore.transitions.shape, 1)), moore.initial)
    assert machine.kind == "Mealy"
    states = [MealyState(f"s{i}") for i in range(machine.n_states)]
    for state, row, shown in zip(states, machine.transitions.tolist(), machine.outputs[..., 0].tolist(), strict=True):
        state.transitions = {symbol: states[target] for symbol, target in enumerate(row)}
        state.output_fun = dict(enumerate(shown))
    oracle = MealyMachine(states[machine.initial], states)
    some = words(rng, 5, 12, 3)
    for word, outputs in zip(some.tolist(), machine.show(some)[..., 0].tolist(), strict=True):
        oracle.reset_to_initial()
        assert [oracle.step(symbol) for symbol in word] == outputs
    small = machine.minimise()
    assert machine.equivalent(small) == (True, None)
    assert small.n_states <= machine.n_states
    other = Machine(machine.transitions, 1 - machine.outputs, machine.initial)
    assert machine.equivalent(other) == (False, (0,)), "every step shows something else"


@given(machines(), machines())
def test_product_and_complement_are_set_operations(a: Machine, b: Machine):
    some = words(np.random.default_rng(2))
    both, either = a.product(b, np.logical_and), a.product(b, np.logical_or)
    np.testing.assert_array_equal(both.accepts(some), a.accepts(some) & b.accepts(some))
    np.testing.assert_array_equal(either.accepts(some), a.accepts(some) | b.accepts(some))
    np.testing.assert_array_equal(a.complement().accepts(some), ~a.accepts(some))
    morgan = a.complement().product(b.complement(), np.logical_and).complement()
    assert either.equivalent(morgan) == (True, None)
    differ = a.product(b, np.logical_xor).minimise()
    assert a.equivalent(b)[0] == (differ.n_states == 1 and differ.outputs[0, 0] == 0)


@given(machines(n_symbols=2))
def test_json_round_trip(machine: Machine):
    back = Machine.from_json(machine.to_json())
    assert np.array_equal(back.transitions, machine.transitions)
    assert np.array_equal(back.outputs, machine.outputs)
    assert (back.initial, back.emission) == (machine.initial, None)
    assert back == machine
    assert hash(back) == hash(machine)
    assert back != replace(machine, outputs=machine.outputs + 1)


def test_what_is_no_machine_in_json_is_refused():
    good = {"transitions": [[0, 0]], "outputs": [[0]]}
    for text, reason in (
        ("[1, 2]", "got nothing"),
        ("{}", "got nothing"),
        ("no json", "Expecting value"),
        (json.dumps({**good, "transitions": [[0, 5]]}), "states outside 0 ... 0"),
        (json.dumps({**good, "transitions": [[0.7, 0]]}), "transitions must be whole numbers, got float64"),
        (json.dumps({**good, "transitions": [[0], [0, 1]]}), "transitions must be an array"),
        (json.dumps({**good, "outputs": [["yes"]]}), "outputs must be whole numbers"),
        (json.dumps({**good, "initial": 0.5}), "initial must be whole numbers"),
        (json.dumps({**good, "initial": [0]}), "initial must be one state"),
        (json.dumps({**good, "emission": [[float("nan"), 1]]}), "emission must be a distribution"),
        (json.dumps({**good, "emission": [[None, 1]]}), "emission must be probabilities"),
        (json.dumps({**good, "start": 0}), "got transitions, outputs, start"),
    ):
        with pytest.raises(ValueError, match=f"no machine in JSON.*{reason}"):
            Machine.from_json(text)


def test_lists_do_for_arrays_and_fractions_do_not(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check of annotations would come first
    listed = Machine([[0, 1], [1, 0]], [[True], [False]])  # type: ignore[arg-type]
    assert listed == EVEN_ONES
    assert listed.outputs.dtype == listed.transitions.dtype == np.int64
    for transitions, outputs, words in (
        (np.array([[0.0, 1.5], [1, 0]]), [[1], [0]], "transitions must be whole numbers, got float64"),
        ([[0, 1], [1, 0]], np.array([[0.5], [1]]), "outputs must be whole numbers"),
        (0, [[1]], "at least one each"),
        ([[0, 1], [1, 0]], [1, 0], r"outputs must have shape \(2, head\)"),
    ):
        with pytest.raises(ValueError, match=words):
            Machine(transitions, outputs)  # type: ignore[arg-type]


def test_words_of_a_dfa_are_sampled_uniformly():
    """No two ones in a row: of length 6 there are 21 words (a Fibonacci number)."""
    sparse = Machine(np.array([[0, 1], [0, 2], [2, 2]]), np.array([[1], [1], [0]]))
    drawn = sparse.sample(np.full(21_000, 6), np.random.default_rng(0))
    assert sparse.accepts(drawn).all()
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 21
    assert ((counts - 1000) ** 2 / 1000).sum() < 45.3, "chi-square, 20 degrees of freedom, p = .001"
    long = sparse.sample(np.full(3, 5000), np.random.default_rng(1))  # 10^1045 words: counts must not overflow
    assert sparse.accepts(long).all()
    mixed = sparse.sample(np.array([0, 3, 1]), np.random.default_rng(1))
    assert mixed.shape == (3, 3)
    assert not mixed[0].any()
    assert not mixed[2, 1:].any()
    with pytest.raises(ValueError, match="accepts no word of length 0"):
        EVEN_ONES.product(Machine(np.array([[1, 1], [0, 0]]), np.array([[1], [0]])), np.logical_and).product(
            Machine(np.array([[1, 1], [0, 0]]), np.array([[0], [1]])), np.logical_and
        ).sample(np.array([0, 1]), np.random.default_rng(0))


def test_a_probabilistic_automaton_emits_its_process():
    golden = Machine(
        np.array([[1, 0], [1, 0]]), np.zeros((2, 1), np.int64), 0, np.array([[0.5, 0.5], [0.0, 1.0]])
    )  # no two zeros in a row
    assert golden.kind == "probabilistic"
    drawn = golden.sample(np.full(2000, 30), np.random.default_rng(0))
    assert not ((drawn[:, 1:] == 0) & (drawn[:, :-1] == 0)).any()
    assert (drawn == 0).mean() == pytest.approx(1 / 3, abs=0.01)
    predicted = golden.predictions(np.array([[1, 0, 1], [0, 0, 0]]))
    assert predicted.tolist() == [[[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]], [[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]]
    with pytest.raises(ValueError, match="probabilistic automaton, this is a DFA machine"):
        EVEN_ONES.predictions(drawn)
    doubled = Machine(np.array([[1, 2], [1, 2], [1, 0]]), np.zeros((3, 1), np.int64), 2, golden.emission[[0, 1, 0]])
    assert doubled.minimise().n_states == 2
    assert doubled.equivalent(golden) == (True, None)
    other = Machine(golden.transitions, golden.outputs, 0, np.array([[0.5, 0.5], [0.1, 0.9]]))
    assert other.equivalent(golden) == (False, (0,))
    with pytest.raises(ValueError, match="cannot be compared"):
        golden.equivalent(EVEN_ONES)
    with pytest.raises(ValueError, match="distribution over 2 symbols"):
        Machine(golden.transitions, golden.outputs, 0, np.array([[0.5, 0.6], [0.0, 1.0]]))


def test_words_that_cannot_be_emitted_tell_no_machines_apart():
    golden = Machine(np.array([[1, 0], [1, 0]]), np.zeros((2, 1), np.int64), 0, np.array([[0.5, 0.5], [0.0, 1.0]]))
    # 00 leads to a state of its own, but never comes.
    trapped = Machine(
        np.array([[1, 0], [2, 0], [2, 2]]),
        np.zeros((3, 1), np.int64),
        0,
        np.array([[0.5, 0.5], [0.0, 1.0], [0.3, 0.7]]),
    )
    assert golden.equivalent(trapped) == (True, None)
    assert trapped.equivalent(golden) == (True, None)
    assert trapped.minimise().n_states == 2
    assert golden.equivalent(replace(trapped, outputs=np.array([[0], [1], [0]]))) == (False, (0,))


def test_only_a_dfa_accepts():
    moore = Machine(np.array([[0, 0]]), np.array([[3]]))
    for act in (lambda: moore.accepts(np.array([[0]])), moore.complement, lambda: moore.count_words(2)):
        with pytest.raises(ValueError, match="only a DFA can"):
            act()


def test_unreachable_states_go_and_classes_tell_where_the_others_went():
    padded = Machine(np.array([[2, 1], [1, 2], [0, 1], [3, 3]]), np.array([[1], [0], [1], [0]]))
    small, classes = minimal_form(padded)
    assert small.n_states == 2
    assert classes.tolist() == [0, 1, 0, -1]


def test_the_word_that_tells_two_languages_apart():
    ends_in_one = Machine(np.array([[0, 1], [0, 1]]), np.array([[1], [0]]))
    assert EVEN_ONES.equivalent(ends_in_one) == (False, (1, 0))  # 11 is as short, and later in the alphabet
    assert EVEN_ONES.equivalent(Machine(np.array([[0, 0]]), np.array([[0]]))) == (False, ())


def filled_table(machine: Machine) -> int:
    """The number of classes of reachable states by the textbook's table of pairs, filled until nothing changes."""
    reached = {machine.initial}
    while (more := reached | {int(t) for s in reached for t in machine.transitions[s]}) != reached:
        reached = more
    kept = sorted(reached)
    place = np.full(machine.n_states, -1)
    place[kept] = np.arange(len(kept))
    transitions, shown = place[machine.transitions[kept]], machine.outputs[kept]
    apart = (shown[:, None] != shown).any(-1)
    while True:
        wider = apart | np.any([apart[np.ix_(row, row)] for row in transitions.T], axis=0)
        if (wider == apart).all():
            return len(np.unique(apart, axis=0))
        apart = wider


@settings(max_examples=50)
@given(st.integers(2, 60), st.integers(1, 3), st.floats(0, 0.3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_chains_with_some_jumps_have_as_many_classes_as_the_table_of_pairs(n, n_symbols, jumps, n_marked, seed):
    """Chains split by one class a round, which takes the second way of refining."""
    rng = np.random.default_rng(seed)
    transitions = np.tile((np.arange(n)[:, None] + 1) % n, n_symbols)
    transitions = np.where(rng.random(transitions.shape) < jumps, rng.integers(n, size=transitions.shape), transitions)
    outputs = np.zeros((n, 1), np.int64)
    outputs[rng.integers(n, size=n_marked)] = 1
    machine = Machine(transitions, outputs)
    small = machine.minimise()
    assert machine.equivalent(small) == (True, None)
    assert small.n_states == filled_table(machine)


def test_a_thousand_states():
    n = 1000
    time = np.arange(n)
    onwards = (time + 1) % n
    marks = np.zeros((n, 1), np.int64)
    marks[0] = 1
    ring = Machine(np.stack([onwards, np.zeros(n, int)], 1), (time % 10 == 0).astype(int)[:, None])
    assert ring.minimise().n_states == 10
    for turn, (wanted, why) in {
        n: (n, "each state is at its own distance from the mark"),
        20: (20, "marks every 20 states"),
    }.items():
        marked = (time % turn == 0).astype(int)[:, None]
        assert Machine(np.stack([onwards, onwards], 1), marked).minimise().n_states == wanted, why
    counter = Machine(np.stack([np.minimum(time + 1, n - 1), np.maximum(time - 1, 0)], 1), marks)
    assert counter.minimise().n_states == n, "up and down"


def test_dot_names_states_symbols_and_the_start():
    text = EVEN_ONES.to_dot(("zero", "one"))
    assert 'q0 -> q1 [label="one"];' in text
    assert "start -> q0;" in text
    assert 'q1 [label="0"];' in text
    assert Machine.from_dot(text, ("zero", "one")) == EVEN_ONES


@settings(max_examples=20)
@given(machines(n_symbols=3, n_outputs=3), st.integers(0, 2**32 - 1))
def test_dot_round_trip(moore: Machine, seed: int):
    rng = np.random.default_rng(seed)
    shape = moore.transitions.shape
    mealy = Machine(moore.transitions, rng.integers(-2, 2, size=(*shape, 2)), moore.initial)
    emits = replace(moore, emission=rng.dirichlet(np.ones(3), moore.n_states))
    for machine in (moore, mealy, emits):
        assert Machine.from_dot(machine.to_dot()) == machine
        for names in (("(", "[", ")"), ('say "a"', "b\\", "->")):
            assert Machine.from_dot(machine.to_dot(names), names) == machine


@settings(max_examples=20)
@given(machines(n_symbols=2))
def test_dot_that_aalpy_writes(machine: Machine):
    oracle = in_aalpy(machine)
    assert Machine.from_dot(written(oracle)) == machine
    dfa = Dfa(DfaState("a", True), [])
    dfa.states = [dfa.initial_state, DfaState("b")]
    for state in dfa.states:
        state.transitions = {"x": dfa.states[0], "y": dfa.states[1]}
    assert Machine.from_dot(written(dfa)) == Machine(np.array([[0, 1], [0, 1]]), np.array([[1], [0]]))
    mealy = MealyMachine(MealyState("a"), [])
    mealy.states = [mealy.initial_state]
    mealy.initial_state.transitions = {0: mealy.initial_state, 1: mealy.initial_state}
    mealy.initial_state.output_fun = {0: (1, 2), 1: (3, 4)}
    assert Machine.from_dot(written(mealy)) == Machine(np.array([[0, 0]]), np.array([[[1, 2], [3, 4]]]))


def written(automaton) -> str:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        save_automaton_to_file(automaton, f"{folder}/it", "dot")
        return Path(folder, "it.dot").read_text()


def test_dot_written_by_hand():
    text = """
    digraph { // no two ones in a row
        node [shape = doublecircle] ok; one
        node [shape = circle]; bad
        start [shape=point]; start -> ok;
        ok -> ok [label=0] ok -> one [label=1]
        one -> ok [label=0]; one -> bad [label="1"]
        bad -> bad [label="0, 1"]
    }"""
    assert Machine.from_dot(text) == Machine(np.array([[0, 1], [0, 2], [2, 2]]), np.array([[1], [1], [0]]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("graph { a -- b }", "another graph"),
        ("digraph { start -> a; a -> a [label=0]", "ends before"),
        ("digraph { a -> a [label=0] }", "has 0"),
        ("digraph { s -> a; t -> a; a -> a [label=0] }", "has 2"),
        ("digraph { s -> a; a -> a [label=0]; a -> b [label=0] }", "two arrows leave state 'a' with symbol '0'"),
        ("digraph { s -> a; a -> b [label=0] }", "no arrow leaves state 'b' with symbol '0'"),
        ('digraph { s -> a; a -> a [label="0/up"] }', "whole numbers, got 'up'"),
        ("digraph { subgraph { a } }", "subgraphs are not read"),
        ("digraph { s -> a; a -> a [label] }", "'label' has no value"),
        ("digraph { ~ }", "cannot be read from"),
        ('digraph { s -> a; a -> a [label="x:0.5"]; a -> a [label="y:0.5"]}', "this one reads x, y"),
        ("digraph { s -> a }", "at least one each"),
        ("", "ends before"),
    ],
)
def test_what_is_no_machine_in_dot_is_told(text, words):
    with pytest.raises(ValueError, match=words):
        Machine.from_dot(text)
    with pytest.raises(ValueError, match="'b' of this DOT is not among 0"):
        Machine.from_dot("digraph { s -> a; a -> a [label=b] }", ("0",))


@pytest.mark.parametrize(
    ("transitions", "outputs", "initial", "message"),
    [
        (np.zeros((0, 2), int), np.zeros((0, 1), int), 0, "at least one"),
        (np.array([[0, 2]]), np.array([[0]]), 0, "outside 0 ... 0"),
        (np.array([[0, 0]]), np.array([[0]]), 1, "initial state"),
    ],
)
def test_impossible_machines_are_refused(transitions, outputs, initial, message):
    with pytest.raises(ValueError, match=message):
        Machine(transitions, outputs, initial)


def test_bad_words_and_comparisons_are_refused():
    with pytest.raises(ValueError, match="give 0 to 1"):
        EVEN_ONES.run(np.array([[0, 2]]))
    with pytest.raises(ValueError, match="symbols cannot be compared"):
        EVEN_ONES.equivalent(Machine(np.array([[0]]), np.array([[0]])))
    with pytest.raises(ValueError, match="names for 2 symbols"):
        EVEN_ONES.to_dot(("a",))


@given(machines())
def test_without_the_empty_word_the_form_has_a_state_for_each_class_of_the_other_words(machine: Machine):
    small = machine.minimise(empty_word=False)
    for first in range(machine.n_symbols):
        mine, theirs = (replace(m, initial=int(m.transitions[m.initial, first])) for m in (small, machine))
        assert mine.equivalent(theirs) == (True, None)

    def alike(a: int, b: int) -> bool:
        return replace(machine, initial=a).equivalent(replace(machine, initial=b))[0]

    reached, layer = set(), set(machine.transitions[machine.initial].tolist())
    while layer:
        reached |= layer
        layer = {t for s in layer for t in machine.transitions[s].tolist()} - reached
    classes: list[int] = []
    for state in reached:
        if not any(alike(state, other) for other in classes):
            classes.append(state)
    begins = machine.transitions[machine.initial].tolist()
    shared = any(all(map(alike, machine.transitions[s].tolist(), begins)) for s in classes)
    assert small.n_states == len(classes) + (not shared)


def test_a_start_that_shows_something_else_costs_no_state():
    # Zeros are even or odd in number; before the first symbol it shows 1, though no zero was read.
    parity = Machine(np.array([[2, 1], [2, 1], [1, 2]]), np.array([[1], [0], [1]]))
    assert parity.minimise().n_states == 3
    assert parity.minimise(empty_word=False).n_states == 2
