"""Machines out of clusters that networks bring along, and of networks whose states are few or rarely reached."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.analyses.automata import Acceptor, extract_automaton
from rnnscope.analyses.automata.deciding.choice import DESCRIBED, agreement, description_length
from rnnscope.analyses.automata.deciding.exam import Method, Search
from rnnscope.analyses.automata.deciding.exploration import explore
from rnnscope.analyses.automata.deciding.quantisers import quantiser
from rnnscope.analyses.automata.deciding.search import find_machine
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import mixed_words, task_words
from rnnscope.compiled import compile_machine
from rnnscope.maps import CellMap
from rnnscope.records.result_files import load_result, save_result
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks.languages import language
from rnnscope.tasks.machine import Machine

DATA = Path(__file__).parents[3] / "data" / "automata"
ONES = Machine(np.array([[1, 0], [1, 1]]), np.array([[1], [0]]))  # tomita-1: no 0
BEGUN = tasks.FormalLanguage("tomita-1", lengths=(1, 12), empty_word=False)


def positive(outputs: np.ndarray) -> np.ndarray:
    return outputs > 0


def network(machine: Machine) -> Reader:
    state_map = rs.as_subject(compile_machine(machine)).map
    return Reader(state_map, np.eye(machine.n_symbols), lambda outputs: outputs.argmax(-1, keepdims=True))


def search(method: Method, max_states: int = 200, budget: int = 20_000) -> Search:
    return Search(method, (8, 32, 128), "k-means", 300, 30, max_states, budget)


def ones_network() -> rs.Network:
    """Two centroids at ±1; the inner cell remembers whether a 0 has come, u = tanh(3 h - 6 [0] + 1)."""
    network = rs.Network(cells.StateRegularized(1, n_centroids=3, temperature=0.1, inner="vanilla"), 2, 1)
    weights = network.cell.inner.weights
    with torch.no_grad():
        weights.weight.fill_(3.0)
        weights.weight_in.copy_(torch.tensor([[-6.0, 0.0]]))
        weights.bias.fill_(1.0)
        network.cell.centroids.copy_(torch.tensor([[-1.0], [1.0], [0.0]]))
        network.readout.weight.fill_(1.0)
        network.readout.bias.zero_()
    return network


def rectified_network() -> rs.Network:
    """z' = relu(z) - 2 [0], from z = 1: above 0 until a 0 comes, never again after that."""
    network = rs.Network(cells.PiecewiseLinear(1, start="learned"), 2, 1)
    values = {"diagonal": [0.0], "weight": [[1.0]], "weight_in": [[-2.0, 0.0]], "bias": [0.0]}
    with torch.no_grad():
        for name, value in values.items():
            getattr(network.cell, name).copy_(torch.tensor(value))
        network.cell.start.value.fill_(1.0)
        network.readout.weight.fill_(1.0)
        network.readout.bias.fill_(-0.5)
    return network


@pytest.mark.parametrize(("clusterer", "system"), [("centroids", ones_network()), ("regions", rectified_network())])
def test_the_clusters_of_a_network_give_the_machine_that_was_built_in(clusterer, system, tmp_path):
    before = {name: value.clone() for name, value in system.state_dict().items()}
    settings = {"task": BEGUN, "labels": positive, "method": "states", "clusterer": clusterer, "n_test_words": 100}
    found = extract_automaton(system, **settings)
    assert found.machine().equivalent(ONES) == (True, None)
    assert found.search.methods == ("states",)
    assert found.search.n_clusters.tolist() == [3], "two clusters, and the start"
    assert found.fidelity.words.min() == 1
    assert found.truth.equivalent
    assert all(torch.equal(value, before[name]) for name, value in system.state_dict().items())
    save_result(found, tmp_path / "c.zarr")
    assert load_result(Acceptor, tmp_path / "c.zarr").summary() == found.summary()


def test_the_start_is_trusted_only_where_it_is_asked_for():
    """At h = 0 the readout, 0 > 0, rejects the empty word, which tomita-1 accepts."""
    trusted = extract_automaton(
        ones_network(), alphabet=np.eye(2), method="states", clusterer="centroids", n_test_words=50, length=12
    )
    assert trusted.n_states == 3
    assert trusted.outputs[trusted.initial, 0] == 0


def test_a_mixture_of_centroids_is_told_from_the_one_that_weighs_most_in_it():
    """With u = tanh(3 h + 1) after a 1, the centroids -1, 1 and 0 weigh as exp(-u), exp(u) and 1: 1 the most for u > 0,
    but little more than the others near u = 0."""
    system = ones_network()
    system.cell.temperature = 1.0
    quantise = quantiser("centroids", rs.as_subject(system).map, np.eye(2))
    assert quantise is not None
    mixed, alike, chosen, near = quantise(np.array([[-0.3], [-0.301], [1.0], [1.01]]), np.eye(2)[[1, 1, 1, 1]])
    assert mixed == alike
    assert chosen == near
    assert mixed != chosen


def test_a_trained_state_regularised_network_gives_two_states(tmp_path):
    run = rs.train(
        tasks.FormalLanguage("tomita-1", lengths=(1, 12)),
        cells.StateRegularized(16, n_centroids=6, temperature=0.5),
        steps=150,
        batch_size=64,
        learning_rate=5e-3,
        noise=0.2,
        evaluate_every=25,
        evaluation_trials=256,
        folder=tmp_path,
        progress=False,
    )
    found = extract_automaton(run, method="states", clusterer="centroids", n_test_words=200)
    assert found.machine().equivalent(ONES) == (True, None)
    assert found.fidelity.words[:, 0].min() > 0.99


@pytest.mark.parametrize(("clusterer", "reason"), [("centroids", "StateRegularized"), ("regions", "PiecewiseLinear")])
def test_what_has_no_clusters_of_its_own_says_so(clusterer, reason):
    with pytest.raises(ValueError, match=f"clusterer='{clusterer}'.*{reason}"):
        extract_automaton(rs.Network(cells.GRU(3), 2, 1), alphabet=np.eye(2), clusterer=clusterer)


def test_centroids_of_a_layer_do_not_tell_the_state_of_a_stack():
    one = ones_network()
    stack = CellMap([one.cell, cells.StateRegularized(1, n_centroids=3).build(1, None)], one.readout, 1)
    with pytest.raises(NotApplicable, match="StateRegularized"):
        quantiser("centroids", stack, np.eye(2))


# --- rare states -------------------------------------------------------------------------------------------------


def lock(n_states: int) -> Machine:
    """Opens after one word of n - 1 symbols; a wrong symbol leads back to the beginning."""
    wanted = np.random.default_rng(n_states).integers(2, size=n_states - 1)
    transitions = np.zeros((n_states, 2), np.int64)
    transitions[np.arange(n_states - 1), wanted] = np.arange(1, n_states)
    return Machine(transitions, (np.arange(n_states) == n_states - 1).astype(np.int64)[:, None])


def rare(seed: int) -> Machine:
    """Random, of 20 states of which one accepts."""
    transitions = np.random.default_rng(seed).integers(20, size=(20, 2))
    return Machine(transitions, (np.arange(20) == 7).astype(np.int64)[:, None])


SPARSE = {
    "lock of 12": lock(12),
    "lock of 16": lock(16),
    "dyck-2-depth-3": language("dyck-2-depth-3").machine,
    "dyck-1-depth-8": language("dyck-1-depth-8").machine,
} | {f"rare {seed}": rare(seed) for seed in range(5)}


@pytest.mark.parametrize("name", SPARSE)
def test_states_that_random_words_do_not_reach_are_found(name):
    machine = SPARSE[name]
    found = find_machine(network(machine), search("auto"), np.random.default_rng(0))
    same, word = found.machine.equivalent(machine)
    assert same, f"{found.machine.n_states} states instead of {machine.minimise().n_states}, they differ after {word}"
    assert not found.out_of_budget


@pytest.mark.parametrize("budget", [10, 20, 60])
def test_a_state_beyond_the_budget_is_not_denied(budget):
    found = find_machine(network(lock(16)), search("auto", budget=budget), np.random.default_rng(0))
    assert found.n_questions <= budget
    assert found.out_of_budget


def test_words_of_the_task_reach_its_language():
    """Clusters come from visited states alone; uniform words hardly ever balance three brackets of two kinds."""
    task = tasks.FormalLanguage("dyck-2-depth-3", lengths=(1, 20), empty_word=False)
    assert isinstance(task.ground_truth, Machine)
    rng = np.random.default_rng(0)
    of_task = task_words(task, np.eye(4), 0, 20)
    words = mixed_words(400, 20, 4, rng, of_task)
    shares = [
        task.ground_truth.show(each)[:, 7:, 0].any(1).mean()  # balanced after eight symbols or more
        for each in (words, rng.integers(4, size=(400, 20)))
    ]
    assert shares[0] > 0.1 > 5 * shares[1]
    # So many words that they visit every state: where one leads that none visits would be a guess.
    many = replace(search("states"), of_task=of_task, n_words=2000)
    found = find_machine(network(task.ground_truth), many, np.random.default_rng(0))
    assert found.machine.equivalent(task.ground_truth) == (True, None)


def test_near_states_are_one_and_those_that_show_different_things_are_not():
    """The state turns by an irrational angle for ever: there are no finitely many states, only near ones."""
    turn = np.exp(2j * np.pi * (np.sqrt(5) - 1) / 2)

    def step(h: np.ndarray, _: np.ndarray) -> np.ndarray:
        after = (h[..., 0] + 1j * h[..., 1]) * turn
        return np.stack([after.real, after.imag], -1)

    circle = rs.FunctionMap(
        step,
        state_size=2,
        input_size=1,
        readout=lambda h: h[..., :1],
        readout_size=1,
        initial=lambda n, _rng: np.tile([1.0, 0.0], (n, 1)),
    )
    reader, rng = Reader(circle, np.ones((1, 1)), positive), np.random.default_rng(0)
    assert explore(reader, 1e-9, 200, rng).machine is None
    near = explore(reader, 0.3, 200, rng)
    assert near.machine is not None
    # A chord of .3 spans .301 of the circle's 6.28: at least as many states, and twice as many plus one for each sign.
    assert 2 * np.pi / 0.602 <= near.n_questions <= 2 * np.pi / 0.301 + 2
    assert explore(reader, 10.0, 200, rng).n_questions == 2, "left and right show different things"


# --- budget and settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "states", "queries", "refined"])
@pytest.mark.parametrize("max_states", [1, 3])
def test_no_machine_is_larger_than_allowed(method, max_states):
    found = find_machine(network(rare(3)), search(method, max_states=max_states), np.random.default_rng(0))
    assert found.machine.n_states <= max_states


@pytest.mark.parametrize("method", ["auto", "states", "queries", "refined"])
@pytest.mark.parametrize("budget", [1, 7, 50, 400])
def test_no_more_words_are_asked_than_the_budget_has(method, budget):
    untrained = rs.Network(cells.GRU(8), 2, 1, generator=torch.Generator().manual_seed(3))
    reader = Reader(rs.as_subject(untrained).map, np.eye(2), positive)
    found = find_machine(reader, search(method, budget=budget), np.random.default_rng(0))
    assert found.n_questions <= budget


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("n_words", 50.0, "a whole number of at least 2 or None, got 50.0"),
        ("budget", 100.5, "a whole number of at least 1, got 100.5"),
        ("length", "3", "a whole number of at least 1 or None, got '3'"),
        ("test_lengths", (50.0,), r"a list with a whole number of at least 1 each, got \(50.0,\)"),
    ],
)
def test_counts_are_whole_numbers(name, value, wanted):
    with pytest.raises(TypeError, match=f"{name} must be {wanted}"):
        extract_automaton(ones_network(), alphabet=np.eye(2), **{name: value})


# --- price -------------------------------------------------------------------------------------------------------


def test_going_astray_for_good_costs_more_than_erring_once():
    """Of two machines with one slip a word each, that which stays wrong is told less briefly."""
    once, for_good = np.ones((2, 10, 101), bool)
    once[:, 50] = False
    for_good[:, 50:] = False
    costs = [description_length(ONES, 1 - float(agrees.mean())) for agrees in (once, for_good)]
    assert costs[1] > 51 * (costs[0] - description_length(ONES, 0.0)), "errors that are not rare cost more each"


def test_a_state_is_bought_by_errors_that_recur_and_not_by_rare_ones():
    """A third state costs 6 log2(3) + 3 - (4 + 2) = 6.51 bits; rare errors one each."""
    three = Machine(np.array([[1, 2], [2, 0], [0, 1]]), np.array([[0], [1], [1]]))
    saved = 2 * 3 * np.log2(3) + 3 - (2 * 2 + 2)
    for n_errors, larger in ((saved - 0.5, False), (saved + 0.5, True)):
        cheaper = description_length(three, 0.0) < description_length(ONES, n_errors / DESCRIBED)
        assert cheaper == larger, f"{n_errors:.2f} errors in {DESCRIBED} symbols"


def test_where_errors_are_not_rare_the_larger_machine_is_chosen():
    """The network forgets after 000 slowly: four states are wrong on a tenth of all prefixes."""
    with np.load(DATA / "T4_elman_weak.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn, head = torch.nn.RNN(2, 32), torch.nn.Linear(32, 1)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    reader = Reader(rs.wrap(rnn, readout=head), np.eye(2), positive, start=weights["h0"].double().numpy())
    found = find_machine(reader, search("auto"), np.random.default_rng(0))
    rng = np.random.default_rng(99)
    words = rng.integers(2, size=(500, 50))
    fidelity = agreement(found.machine, words, reader.read(words, rng)).mean()
    assert fidelity > 0.94, f"{found.machine.n_states} states"
    assert found.machine.n_states <= 200
    # No brief one is faithful, so that the search went on; what it would have taken before is on the front.
    briefer = [machine for machine in found.machines if machine.n_states <= 129]
    best = max(agreement(machine, words, reader.read(words, rng)).mean() for machine in briefer)
    assert best > 0.94, "at most 129 states"
