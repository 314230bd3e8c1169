"""The states of machines as causes: in networks compiled from a machine, in trained ones, and where it is wrong."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from scipy.stats import binomtest

import rnnscope as rs
from rnnscope import NotApplicable, tasks
from rnnscope.analyses import extract_automaton, machine_states
from rnnscope.analyses.causal.machine_words import NEVER, Distinguishing, PrefixesTo, WordsTo, states_from
from rnnscope.maps import Conjugated
from rnnscope.tasks.languages import language
from rnnscope.tasks.machine import Machine

DATA = Path(__file__).parents[2] / "data"
FEW: dict[str, Any] = {"n_pairs": 20, "n_learn": 200, "n_random": 5}
TWO = np.eye(2)


def random_machine(seed: int, n_states: tuple[int, int] = (4, 7)) -> Machine:
    """Minimal, of two symbols, and every state is entered by some."""
    rng = np.random.default_rng(seed)
    while True:
        n = int(rng.integers(*n_states))
        found = Machine(rng.integers(n, size=(n, 2)), rng.integers(2, size=(n, 1))).minimise()
        if found.n_states >= n_states[0] and len(np.unique(found.transitions)) == found.n_states:
            return found


def tomita(number: int) -> Machine:
    found = language(f"tomita-{number}").machine
    assert found is not None
    return found


def acceptor(name: str) -> rs.StateMap:
    """A network that was trained on a language, with its learned initial state."""
    with np.load(DATA / "automata" / f"{name}.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = (torch.nn.GRU if "gru" in name else torch.nn.RNN)(2, 32)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(32, 1)
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    return rs.wrap(rnn, readout=head, initial=weights["h0"])


def flip_flop(kind: str) -> rs.Subject:
    with np.load(DATA / f"flipflop_{kind}16.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[kind](3, 16)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(16, 3)
    head.load_state_dict({key[8:]: value for key, value in weights.items() if key.startswith("readout.")})
    return rs.Subject(rs.as_subject(rs.wrap(rnn, readout=head)).map, tasks.FlipFlop(3, 20))


# --- machines that are known exactly ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [100, 101, 103, 106])
def test_the_subspace_of_a_compiled_machine_is_found_and_carries_every_state(seed: int):
    """A unit for each arrow: what its states have in common is on which units they enter, seen from turned axes."""
    machine = random_machine(seed, (3, 6))
    network = rs.compile_machine(machine).map()
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((network.state_size,) * 2))[0]
    found = machine_states(Conjugated(network, turn), automaton=machine, alphabet=TWO, n_descent=2, **FEW)
    assert (found.of_pairs.accuracy == 1).all()
    assert (found.of_transitions.accuracy == 1).all()
    assert (found.of_states.whole == 1).all()
    assert (found.of_states.unpatched == 0).all()
    assert found.random.any.mean() < 0.3
    assert len(found.states) == machine.n_states
    # The unit of the beginning is never on after a symbol; the sum of all others is the same in all states.
    enters = np.eye(machine.n_states)[machine.transitions.ravel()]
    enters = np.concatenate([enters, np.zeros((1, machine.n_states))])
    truth = np.linalg.qr(np.column_stack([enters.sum(1), enters])[:, : machine.n_states])[0][:, 1:]
    assert found.columns.shape == truth.shape
    assert np.degrees(subspace_angles(found.columns, turn @ truth)).max() < 5


@pytest.mark.parametrize("seed", range(6))
def test_a_redirected_transition_is_where_all_that_goes_wrong_has_been(seed: int):
    true, rng = random_machine(seed), np.random.default_rng(seed)
    while True:
        state, symbol = int(rng.integers(true.n_states)), int(rng.integers(2))
        transitions = true.transitions.copy()
        transitions[state, symbol] = (transitions[state, symbol] + 1 + rng.integers(true.n_states - 1)) % true.n_states
        wrong = Machine(transitions, true.outputs)
        if wrong.minimise().n_states == true.n_states:
            break
    few = {**FEW, "n_random": 1, "n_descent": 0}
    right = machine_states(rs.compile_machine(true), automaton=true, alphabet=TWO, **few)
    assert np.isnan(right.of_transitions.taken_wrong).all()
    assert "does not go on" not in right.summary()
    found = machine_states(rs.compile_machine(true), automaton=wrong, alphabet=TWO, **few)
    assert found.of_states.whole.min() < 0.9
    row = found.states.tolist().index(state)
    assert found.of_transitions.taken_wrong[row, symbol] == 1
    assert found.of_transitions.taken_right[row, symbol] < 1
    assert "does not go on as this machine" in found.summary()


def test_two_states_called_one_are_the_one_that_fails():
    """Counting ones modulo 4, where the machine takes 1 for 3: it lands in 2 where the network is in 0."""
    four = Machine(np.array([[0, 1], [1, 2], [2, 3], [3, 0]]), np.array([[0], [1], [2], [1]]))
    merged = Machine(np.array([[0, 1], [1, 2], [2, 1]]), np.array([[0], [1], [2]]))
    few = {**FEW, "n_random": 1, "n_descent": 0, "n_steps": 1}
    assert machine_states(rs.compile_machine(four), automaton=four, alphabet=TWO, **few).accuracy == 1
    whole = machine_states(rs.compile_machine(four), automaton=merged, alphabet=TWO, **few).of_states.whole
    assert whole[0] == 1, "only zeros lead there, and one symbol more leads nowhere wrong"
    assert whole[1:].max() < 0.9


# --- trained networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), [("T1_gru_robust", 1), ("T4_elman_robust", 4), ("T5_gru_robust", 5)])
def test_states_of_trained_acceptors_are_causes(name: str, number: int):
    found = machine_states(acceptor(name), automaton=tomita(number), alphabet=TWO, n_descent=10, **FEW)
    assert found.of_states.whole.min() >= 0.95
    assert found.of_states.accuracy.min() >= 0.9
    assert found.of_states.unpatched.max() <= 0.05
    assert found.columns.shape[1] < tomita(number).n_states


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_every_state_of_the_flip_flop_is_a_cause(kind: str):
    """Its task shows words of its own: random ones leave some bits unset."""
    subject = flip_flop(kind)
    task, shown = tasks.FlipFlop(3, 20), 1 - 2 * (np.arange(8)[:, None] >> np.arange(3) & 1)
    after = np.where(task.alphabet == 0, shown[:, None], task.alphabet)
    machine = Machine((after < 0).astype(np.int64) @ (1 << np.arange(3)), task.labels(shown))
    found = machine_states(subject, automaton=machine, n_pairs=10, n_learn=200, n_random=5)
    assert found.words == "task"
    assert len(found.states) == 8
    assert found.columns.shape[1] == 3
    assert found.of_states.accuracy.min() >= 0.95
    assert found.of_transitions.accuracy.mean() >= 0.95
    assert found.random.any.mean() < 0.2


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_words_lead_where_they_are_asked_to_and_shortest_ones_tell_apart(seed: int):
    machine, rng = random_machine(seed, (3, 7)), np.random.default_rng(seed)
    words = WordsTo(machine, 6)
    reached = np.flatnonzero(words.visits)
    targets = rng.choice(reached, 500)
    drawn = words.draw(targets, rng)
    ends = np.concatenate([np.full((500, 1), machine.initial), machine.run(drawn.words)], 1)
    assert (ends[np.arange(500), drawn.length] == targets).all()
    assert set(drawn.length.tolist()) <= set(range(7))
    apart = Distinguishing(machine)
    for a, b in product(range(machine.n_states), repeat=2):
        telling = [
            n
            for n in range(7)
            for word in product(range(2), repeat=n)
            if (machine.outputs[_end(machine, a, word)] != machine.outputs[_end(machine, b, word)]).any()
        ]
        assert apart.steps[a, b] == min(telling, default=NEVER)
    a, b = (rng.integers(machine.n_states, size=200) for _ in range(2))
    first = apart.put_first(rng.integers(2, size=(200, apart.longest)), a, b)
    shown = [machine.outputs[states_from(machine, each, first)] for each in (a, b)]
    assert ((shown[0] != shown[1]).any((1, 2)) == (a != b)).all()


def _end(machine: Machine, state: int, word: tuple[int, ...]) -> int:
    for symbol in word:
        state = int(machine.transitions[state, symbol])
    return state


def test_every_word_to_a_state_is_as_likely_as_others_of_its_length():
    words = WordsTo(Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]])), 3)
    drawn = words.draw(np.ones(6000, np.int64), np.random.default_rng(0))
    three = drawn.words[drawn.length == 3] @ [4, 2, 1]
    counts = np.bincount(three, minlength=8)
    assert np.flatnonzero(counts).tolist() == [1, 2, 4, 7]
    assert counts[counts > 0].min() > 0.8 * counts.max()
    assert np.bincount(drawn.length).tolist()[0] == 0, "no empty word where there are others"


def test_beginnings_of_trials_end_within_them():
    machine = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))

    def of_task(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.ones((n, 8), np.int64), np.full(n, 3)

    drawn = PrefixesTo(machine, of_task, 8, np.random.default_rng(0)).draw(
        np.ones(50, np.int64), np.random.default_rng(1)
    )
    assert set(drawn.length.tolist()) == {1, 3}


# --- what is returned ------------------------------------------------------------------------------------------------


def test_intervals_are_wilsons_and_the_summary_names_the_worst():
    found = machine_states(acceptor("T4_elman_weak"), automaton=tomita(4), alphabet=TWO, n_descent=5, **FEW)
    swaps = found.of_states
    for i, n in enumerate(swaps.n_pairs):
        truth = binomtest(round(swaps.accuracy[i] * n), int(n)).proportion_ci(0.95, method="wilson")
        assert (swaps.low[i], swaps.high[i]) == pytest.approx((truth.low, truth.high))
    assert swaps.accuracy[found.worst] == swaps.accuracy.min()
    assert f"worst into state {found.states[found.worst]}" in found.summary()
    assert (swaps.n_distinct <= swaps.n_pairs).all()
    assert found.headline()["worst"] == swaps.accuracy.min()


def test_the_network_own_machine_is_extracted_where_none_is_given():
    network = rs.compile_machine(tomita(5))
    own = machine_states(network, alphabet=TWO, n_words=20, **FEW)
    given = machine_states(
        network, automaton=extract_automaton(network, alphabet=TWO, n_words=20, n_test_words=20, test_lengths=()), **FEW
    )
    assert own.n_states == given.n_states == 4
    assert own.accuracy == given.accuracy == 1


def test_what_cannot_be_asked_says_why():
    machine = tomita(4)
    network = rs.compile_machine(machine)
    with pytest.raises(NotApplicable, match="no readout"):
        machine_states(rs.FunctionMap(lambda h, u: h, state_size=2, input_size=2), automaton=machine, alphabet=TWO)
    with pytest.raises(NotApplicable, match="give alphabet="):
        machine_states(network, automaton=machine)
    with pytest.raises(ValueError, match="reads 2 symbols, and the alphabet has 1"):
        machine_states(network, automaton=machine, alphabet=TWO[:1])
    two = Machine(machine.transitions, np.repeat(machine.outputs, 2, 1))
    with pytest.raises(ValueError, match="shows 2 decisions at once, and the network 1"):
        machine_states(network, automaton=two, alphabet=TWO)
    with pytest.raises(NotApplicable, match="lead to 1 state"):
        machine_states(network, automaton=Machine(np.zeros((1, 2), int), np.zeros((1, 1), int)), alphabet=TWO)
    with pytest.raises(ValueError, match="n_pairs must be at least 2, got 1"):
        machine_states(network, automaton=machine, alphabet=TWO, n_pairs=1)
