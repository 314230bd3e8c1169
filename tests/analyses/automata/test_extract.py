"""Automata out of networks whose machine is known: trained acceptors, machines compiled by hand, an emitter."""

from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import tasks
from rnnscope.analyses import ANALYSES
from rnnscope.analyses.automata import Acceptor, Emitter, extract_automaton
from rnnscope.analyses.automata.deciding.fidelity import binomial_bounds
from rnnscope.analyses.automata.wording import percent
from rnnscope.analyses.automata.words import draw_words
from rnnscope.records.result_files import load_result, save_result
from rnnscope.tasks.machine import Machine

DATA = Path(__file__).parents[2] / "data" / "automata"
TOMITA = {
    1: Machine(np.array([[1, 0], [1, 1]]), np.array([[1], [0]])),
    4: Machine(np.array([[1, 0], [2, 0], [3, 0], [3, 3]]), np.array([[1], [1], [1], [0]])),
    5: Machine(np.array([[1, 2], [0, 3], [3, 0], [2, 1]]), np.array([[1], [0], [0], [0]])),
    7: Machine(np.array([[0, 1], [2, 1], [2, 3], [4, 3], [4, 4]]), np.array([[1], [1], [1], [1], [0]])),
}
BITS = np.array([[0.0], [1.0]])


def acceptor(name: str) -> rs.StateMap:
    """A stored network with its learned initial state."""
    with np.load(DATA / f"{name}.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = (torch.nn.GRU if "gru" in name else torch.nn.RNN)(2, 32)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(32, 1)
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    return rs.wrap(rnn, readout=head, initial=weights["h0"])


def compiled(machine: Machine) -> rs.FunctionMap:
    """A map whose states are the one-hot states of the machine; inputs are one-hot symbols."""
    n, m = machine.transitions.shape
    return rs.FunctionMap(
        lambda h, u: np.eye(n)[machine.transitions[h.argmax(-1), u.argmax(-1)]],
        state_size=n,
        input_size=m,
        readout=lambda h: h @ machine.outputs - 0.5,
        readout_size=machine.outputs.shape[1],
        initial=lambda k, _rng: np.tile(np.eye(n)[machine.initial], (k, 1)),
    )


def two_state_emitter(stay: float = 0.9) -> tuple[rs.FunctionMap, tasks.HMMEmission]:
    """The state jumps between -1 and 1, by its one input, with the probability of a normal tail."""
    from scipy.stats import norm

    bound = norm.ppf(stay)
    emission = np.array([[0.98, 0.02], [0.05, 0.95]])
    network = rs.FunctionMap(
        lambda h, u: np.where(u > bound, -1, 1) * np.where(h < 0, -1.0, 1.0),
        state_size=1,
        input_size=1,
        readout=lambda h: np.log(np.where(h < 0, emission[0], emission[1])),
        readout_size=2,
    )
    truth = tasks.HMM(np.array([[stay, 1 - stay], [1 - stay, stay]]), emission)
    return network, tasks.HMMEmission(truth, noise_size=1, length=20)


@pytest.mark.parametrize("cell", ["gru", "elman"])
@pytest.mark.parametrize("language", [1, 4, 5])
def test_robust_acceptors_give_the_exact_minimal_automaton(language, cell):
    found = extract_automaton(acceptor(f"T{language}_{cell}_robust"), alphabet=np.eye(2))
    assert found.machine().equivalent(TOMITA[language]) == (True, None)
    assert found.n_states == TOMITA[language].n_states
    assert found.fidelity.prefixes[:, 0].min() > 0.98
    assert (found.fidelity.last_low <= found.fidelity.last).all()
    assert (found.fidelity.last <= found.fidelity.last_high).all()


def test_a_network_that_drifts_beyond_its_trained_length_is_shown_to():
    found = extract_automaton(
        acceptor("T7_gru_robust"), alphabet=np.eye(2), n_test_words=1000, test_lengths=(50, 100, 200)
    )
    assert found.machine().equivalent(TOMITA[7]) == (True, None)
    assert found.fidelity.lengths.tolist() == [40, 50, 100, 200]
    assert found.fidelity.prefixes[0, 1:] == pytest.approx([1.0, 0.947, 0.939], abs=0.01)  # uniform words
    assert found.fidelity.words_high[:, 3].min() < 0.5
    assert found.fidelity.drift.length is not None
    on_random_words = [length for length in found.fidelity.drift.lengths[1:3] if length is not None]
    assert on_random_words, "it slips on words of 100 symbols"
    assert all(50 <= length < 100 for length in on_random_words)
    assert 25 <= found.fidelity.drift.length < 40, (
        "on long runs, which only words of its language have, it slips before"
    )
    assert f"part (98 % agree no more) past {found.fidelity.drift.length} symbols" in found.summary()
    assert found.summary().startswith(f"only up to {found.fidelity.drift.length} symbols")
    assert "NOT faithful" not in found.summary()


@pytest.mark.parametrize("seed", range(5))
def test_compiled_machines_are_recovered(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 21))
    machine = Machine(rng.integers(n, size=(n, 3)), rng.integers(2, size=(n, 2)))
    found = extract_automaton(compiled(machine), alphabet=np.eye(3), labels=lambda y: y > 0, n_test_words=200)
    assert found.machine().equivalent(machine) == (True, None)
    assert found.n_states == machine.minimise().n_states
    assert found.fidelity.words.min() == 1
    assert found.occupancy.sum() == pytest.approx(1)


def test_parity_task_has_its_machine_and_accuracy():
    task = tasks.Parity(3)

    def logits(h):
        odd = h.sum(-1) % 2 > 0.5
        return np.stack([np.where(odd, -1.0, 1.0), np.where(odd, 1.0, -1.0)], -1)

    shift = rs.FunctionMap(
        lambda h, u: np.concatenate([u, h[..., :2]], -1), state_size=3, input_size=1, readout=logits, readout_size=2
    )
    found = extract_automaton(shift, task=task, n_test_words=300)
    assert found.n_states == 8
    assert found.symbols == ("0", "1")
    assert found.on_task is not None
    accuracy = found.on_task.accuracy
    assert accuracy is not None
    assert accuracy.machine == accuracy.network == 1.0
    assert accuracy.n_trials == 300
    assert found.fidelity.lengths[0] == 13


def test_symbols_have_the_names_of_the_task_where_there_are_as_many():
    """After one symbol of three: an alphabet of the user's own, of another size than the task's."""
    last = rs.FunctionMap(
        lambda h, u: u, state_size=2, input_size=2, readout=lambda h: h[..., :1] - 0.5, readout_size=1
    )
    task = tasks.FormalLanguage("regex[ab]:.*a", lengths=(1, 8), empty_word=False)
    few = {"labels": lambda y: y > 0, "n_test_words": 20, "test_lengths": (), "length": 8}
    assert extract_automaton(last, task=task, **few).symbols == ("a", "b")
    subject, more = rs.Subject(last, task), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    third = extract_automaton(subject, alphabet=more, **few)
    assert third.symbols == ("0+", "1+", "1−")
    assert third.show(["0+", "1−"]) == (0,)


def test_two_state_emitter_is_recovered_and_as_likely_as_the_truth():
    network, task = two_state_emitter()
    found = extract_automaton(network, task=task)
    assert isinstance(found, Emitter)
    assert found.n_states == 2
    assert found.truth is not None
    assert found.truth.matched is not None
    assert sorted(found.truth.matched.states) == [0, 1]
    assert found.truth.matched.transition_error < 0.02
    assert found.truth.matched.emission_error < 1e-9
    assert abs(found.truth.difference) < 4 * found.truth.difference_error + 1e-3
    assert found.transition_probabilities.sum(1) == pytest.approx(1)
    assert "true model" in found.summary()


def test_results_do_not_depend_on_anything_but_the_seed():
    network = acceptor("T4_elman_robust")
    a, b = (extract_automaton(network, alphabet=np.eye(2), n_test_words=50, seed=3) for _ in range(2))
    assert a.summary() == b.summary()
    assert np.array_equal(a.placement.centres, b.placement.centres)


@pytest.mark.parametrize("cls", [Acceptor, Emitter])
def test_saved_loaded_and_drawn(cls, tmp_path):
    if cls is Acceptor:
        found = extract_automaton(compiled(TOMITA[5]), alphabet=np.eye(2), n_test_words=50)
    else:
        network, task = two_state_emitter()
        found = extract_automaton(network, task=task, n_words=20, n_test_words=20, length=50)
    save_result(found, tmp_path / "a.zarr")
    loaded = load_result(cls, tmp_path / "a.zarr")
    assert loaded.summary() == found.summary()
    assert np.array_equal(loaded.occupancy, found.occupancy)
    assert loaded.to_json() == found.to_json()
    figure = loaded.figure()
    assert len(figure.layout.shapes) == found.n_states
    assert found.summary().startswith(f"{found.n_states} states")


def test_a_large_machine_is_drawn_in_part_and_says_so():
    n = 60
    ring = Machine(np.stack([(np.arange(n) + 1) % n, np.arange(n)], 1), (np.arange(n) == 0).astype(int)[:, None])
    found = extract_automaton(compiled(ring), alphabet=np.eye(2), length=100, n_test_words=50)
    assert found.n_states == n
    figure = found.figure(fold=False)
    assert len(figure.layout.shapes) == 40
    assert "the 40 most visited" in figure.layout.title.text
    folded = found.figure()
    assert 1 < len(folded.layout.shapes) <= 12
    assert folded.layout.title.text.replace("<br>", " ").startswith(f"60 states in {len(folded.layout.shapes)} groups")


def test_what_cannot_be_extracted_says_what_to_supply():
    plain = rs.FunctionMap(lambda h, u: h, state_size=2, input_size=2)
    with pytest.raises(ValueError, match="no readout"):
        extract_automaton(plain, alphabet=np.eye(2))
    network = compiled(TOMITA[1])
    with pytest.raises(ValueError, match="give alphabet="):
        extract_automaton(network)
    with pytest.raises(ValueError, match=r"shape \(symbol, 2\)"):
        extract_automaton(network, alphabet=BITS)
    with pytest.raises(ValueError, match="differ from one another"):
        extract_automaton(network, alphabet=np.zeros((2, 2)))
    with pytest.raises(ValueError, match="n_clusters must be at least 1, got 0"):
        extract_automaton(network, alphabet=np.eye(2), n_clusters=0)
    with pytest.raises(ValueError, match="budget must be at least 1, got 0"):
        extract_automaton(network, alphabet=np.eye(2), budget=0)
    with pytest.raises(ValueError, match="n_words must be at least 2, got 0"):
        extract_automaton(network, alphabet=np.eye(2), n_words=0)
    with pytest.raises(ValueError, match="whole numbers"):
        extract_automaton(network, alphabet=np.eye(2), labels=lambda y: y)
    with pytest.raises(ValueError, match="trained on"):
        extract_automaton(network, task=tasks.HMMEmission("linear_chain:2", noise_size=3))  # type: ignore[arg-type]
    growing = rs.FunctionMap(
        lambda h, u: 1e200 * (h + 1), state_size=1, input_size=1, readout=lambda h: h, readout_size=1
    )
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="diverge"):
        extract_automaton(growing, alphabet=BITS)


def test_forms_are_given_the_bounds_of_settings():
    """Although some settings, a task for instance, have none that a form could show."""
    told = ANALYSES["automaton"].question.model.model_json_schema()["properties"]
    assert told["budget"] == {"type": "integer", "minimum": 1, "default": 20_000, "title": "Budget"}
    assert {"type": "integer", "minimum": 2} in told["n_words"]["anyOf"]
    assert "task" in told


def test_bounds_are_clopper_and_pearsons():
    from scipy.stats import binomtest

    for hits in (0, 7, 50):
        exact = binomtest(hits, 50).proportion_ci(0.95, "exact")
        low, high = binomial_bounds(np.array([hits / 50]), 50)
        assert (low[0], high[0]) == pytest.approx((exact.low, exact.high))


def test_structured_words_stay_in_the_alphabet_and_reach_sparse_languages():
    drawn = draw_words(400, 40, 2, "structured", np.random.default_rng(0))
    assert set(np.unique(drawn)) == {0, 1}
    assert (drawn == 1).all(1).any()
    assert (drawn == np.arange(1, 41) % 2).all(1).any()  # 1010...


def test_what_is_not_always_right_never_reads_as_100_percent():
    assert percent(0.99999) == "99.99 %"
    assert percent(1.0) == "100 %"
