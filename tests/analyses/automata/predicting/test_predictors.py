"""Probabilistic automata out of next-symbol predictors: of known processes, trained and written by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import Predictor, analyse, extract_automaton
from rnnscope.analyses.automata.aalpy_machines import from_aalpy
from rnnscope.analyses.automata.predicting import future_signatures
from rnnscope.analyses.automata.predicting.future_signatures import Sampled, Track, visited, word_divergence
from rnnscope.records.result_files import load_result, save_result
from rnnscope.tasks import NextSymbol, Process
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.process import golden_mean, mess3, rrxor

DATA = Path(__file__).parents[3] / "data" / "automata"


PROCESSES = {"golden": golden_mean(), "rrxor": rrxor(), "mess3": mess3()}


def of(process: Process) -> NextSymbol:
    """The task of networks that are asked for the first symbol at their initial state."""
    return NextSymbol(process, length=100, opening_step=False)


def trained(name: str) -> rs.StateMap:
    with np.load(DATA / f"LM_{name}.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    n_symbols = len(weights["head.bias"])
    rnn, head = torch.nn.GRU(n_symbols, 32), torch.nn.Linear(32, n_symbols)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    return rs.wrap(rnn, readout=head, initial=weights["h0"].reshape(-1))


def ideal(process: np.ndarray) -> rs.FunctionMap:
    """A network whose states are the belief states of the process, read out exactly."""
    n_symbols, n_states, _ = process.shape
    stationary = np.linalg.matrix_power(process.sum(0) / 2 + np.eye(n_states) / 2, 2**20)[0]

    def step(h: np.ndarray, u: np.ndarray) -> np.ndarray:
        joint = np.einsum("...i,xij,...x->...j", h, process, u)
        total = joint.sum(-1, keepdims=True)
        return np.where(total > 1e-12, joint / np.maximum(total, 1e-12), stationary)

    return rs.FunctionMap(
        step,
        state_size=n_states,
        input_size=n_symbols,
        readout=lambda h: np.log(np.maximum(np.einsum("...i,xij->...x", h, process), 1e-9)),
        readout_size=n_symbols,
        initial=lambda n, _rng: np.tile(stationary, (n, 1)),
    )


def test_golden_mean_has_two_recurrent_states():
    found = extract_automaton(trained("golden"), task=of(golden_mean()))
    assert found.n_recurrent == 2
    a, b = np.flatnonzero(found.recurrent)[np.argsort(found.emission[found.recurrent, 0])]
    assert found.emission[a, 1] > 0.99, "after a 0 comes a 1"
    assert found.transitions[a, 1] == b
    assert found.transitions[b].tolist() == [a, b]
    assert found.emission[b] == pytest.approx([0.5, 0.5], abs=0.02)
    assert found.fidelity.divergence < 1e-5
    assert found.entropy_rate == pytest.approx(2 / 3 * np.log(2), abs=0.005)
    assert found.statistical_complexity == pytest.approx(np.log(3) - 2 / 3 * np.log(2), abs=0.005)
    assert found.stationary[[a, b]] == pytest.approx([1 / 3, 2 / 3], abs=0.01)
    assert found.truth is not None
    assert found.truth.divergence < 2e-4
    assert found.n_states == 3, "where it starts it cannot know which of the two it is in"


@pytest.mark.parametrize(("name", "bound", "r2"), [("rrxor", 1e-3, 0.96), ("mess3", 5e-4, 0.999)])
def test_many_states_come_close(name: str, bound: float, r2: float):
    found = extract_automaton(trained(name), task=of(PROCESSES[name]))
    assert found.n_states <= 32
    assert found.fidelity.divergence < bound
    assert found.beliefs is not None
    assert found.beliefs.r2 is not None
    assert found.beliefs.r2 > r2
    assert found.truth is not None
    assert found.truth.divergence < 1e-3, "this is not the process that the network has learned"
    assert found.search.n_states.max() <= 32
    few, many = found.search.divergence[found.search.n_states <= 3], found.fidelity.divergence
    assert few.min() > 50 * many, "three states cannot be enough"


def test_divergence_is_that_of_the_automaton_from_the_network():
    """Recomputed word by word, on other words than those of the result."""
    network = trained("mess3")
    found = extract_automaton(network, predicts_next=True, n_states=6)
    machine, rng = found.machine(), np.random.default_rng(5)
    assert machine.kind == "probabilistic"
    assert found.n_states <= 6
    each = []
    for _ in range(20):
        state, place, total = network.initial_states(1, rng), machine.initial, 0.0
        for _ in range(100):
            logits = network.readout(state)[0]
            p = np.exp(logits) / np.exp(logits).sum()
            total += float(p @ np.log(p / found.emission[place]))
            symbol = int(rng.choice(3, p=p))
            state, place = network.step(state, np.eye(3)[[symbol]]), int(machine.transitions[place, symbol])
        each.append(total / 100)
    error = np.hypot(np.std(each) / 20**0.5, found.fidelity.divergence_error)
    assert abs(np.mean(each) - found.fidelity.divergence) < 4 * error


def test_an_ideal_predictor_gives_the_causal_states():
    found = extract_automaton(ideal(rrxor().array), task=of(rrxor()), n_words=300)
    assert found.n_recurrent == 5
    assert found.statistical_complexity == pytest.approx(np.log(3) / 3 + 2 / 3 * np.log(6), abs=1e-3)
    assert found.entropy_rate == pytest.approx(2 / 3 * np.log(2), abs=1e-3)
    assert found.beliefs.r2 == pytest.approx(1, abs=1e-6)
    assert found.truth.divergence == pytest.approx(0, abs=1e-6)


def test_a_coin_has_one_state_and_nothing_to_decode():
    coin = Process(np.full((2, 1, 1), 0.5))  # type: ignore[arg-type]
    found = extract_automaton(ideal(coin.array), task=of(coin), n_words=20)
    assert found.n_states == found.n_recurrent == 1
    assert found.entropy_rate == pytest.approx(np.log(2))
    assert found.statistical_complexity == 0
    assert found.beliefs.r2 is None


def test_the_number_of_states_does_not_grow_with_the_sample():
    network = trained("golden")
    sizes = {extract_automaton(network, predicts_next=True, n_words=n, seed=n).n_states for n in (60, 200, 600)}
    assert sizes == {3}


def test_the_alphabet_renames_inputs_and_the_seed_decides():
    process = golden_mean().array
    plain, swapped = ideal(process), ideal(process[::-1])
    a, b = (extract_automaton(plain, predicts_next=True, n_words=40, seed=1) for _ in range(2))
    assert a.summary() == b.summary()
    assert np.array_equal(a.emission, b.emission)
    crossed = rs.FunctionMap(
        lambda h, u: swapped.step(h, u[..., ::-1]),
        state_size=2,
        input_size=2,
        readout=swapped.readout,
        readout_size=2,
        initial=swapped.initial_states,
    )
    c = extract_automaton(crossed, predicts_next=True, alphabet=np.eye(2)[::-1], n_words=40)
    assert c.n_recurrent == 2
    assert c.emission[c.recurrent, 0].max() > 0.999, "symbol 1 is now the one that never comes twice"


class Lettered(NextSymbol):
    """Its symbols have letters."""

    @property
    def symbols(self) -> tuple[str, ...]:
        return ("a", "b", "c")


def test_symbols_have_the_names_that_the_task_gives_them():
    network = rs.Subject(ideal(mess3().array), Lettered("mess3", length=100, opening_step=False))
    few: dict[str, Any] = {"predicts_next": True, "n_words": 10, "length": 20, "n_states": 2}
    assert extract_automaton(network, **few).symbols == ("a", "b", "c")
    numbered = extract_automaton(network, alphabet=np.eye(3)[[1, 0, 2]], **few)
    assert numbered.symbols == ("0", "1", "2"), "an alphabet of the user's own has other symbols"


def test_a_track_runs_automata_as_one_symbol_after_another_does():
    rng = np.random.default_rng(0)
    n_states, n_symbols = 7, 3
    emission = rng.dirichlet(np.ones(n_symbols), n_states)
    transitions, weight = rng.integers(n_states, size=(n_states, n_symbols)), np.ones(n_states) / n_states
    automaton = future_signatures.Automaton(transitions, emission, 2, weight)
    symbols, p = rng.integers(n_symbols, size=(5, 11)), rng.dirichlet(np.ones(n_symbols), (5, 11))
    sums, each, states = np.zeros((n_states, n_symbols)), np.zeros(5), np.zeros((5, 11), int)
    for word in range(5):
        state = automaton.initial
        for t in range(11):
            states[word, t] = state
            sums[state] += p[word, t]
            each[word] += p[word, t] @ np.log(p[word, t] / emission[state]) / 11
            state = automaton.transitions[state, symbols[word, t]]
    track = Track.of(Sampled(np.zeros((5, 11, 1)), p, symbols))
    assert np.array_equal(visited(automaton, symbols), states)
    assert track.shown(automaton, track.arrows(automaton)) == pytest.approx(sums)
    assert word_divergence(automaton, track) == pytest.approx(each)


def test_saved_loaded_and_drawn(tmp_path):
    for process in (golden_mean(), mess3(), None):
        source = ideal((mess3() if process is None else process).array)
        task = None if process is None else of(process)
        found = extract_automaton(source, task=task, predicts_next=True, n_words=40, length=40, n_states=4)
        save_result(found, tmp_path / "p.zarr")
        loaded = load_result(Predictor, tmp_path / "p.zarr")
        assert loaded.summary() == found.summary()
        figure = loaded.trust_figure()
        assert figure.data[0].x.tolist() == found.search.n_states.tolist()  # type: ignore[attr-defined]
        assert ("xaxis2" in figure.layout.to_plotly_json()) == (process is not None)
        assert len(loaded.figure().layout.shapes) == found.n_states
        drawn = {trace.name: trace for trace in figure.data}
        for name, n_states, kl in zip(found.rivals.models, found.rivals.n_states, found.rivals.divergence, strict=True):
            assert (drawn[name].x[0], drawn[name].y[0]) == (n_states, pytest.approx(kl)), f"{name} is not where it is"


def test_a_trained_run_says_itself_that_it_predicts(tmp_path):
    run = rs.train(
        NextSymbol("golden-mean", length=10), rs.cells.GRU(4), folder=tmp_path, progress=False,
        steps=2, batch_size=4, evaluation_trials=8,
    )  # fmt: skip
    found = analyse(run, ["automaton"], settings={"automaton": {"n_words": 8}}).results["automaton"]
    assert isinstance(found, Predictor)
    assert (found.fidelity.length, found.search.n_words, found.fidelity.n_test_words) == (100, 8, 24)
    assert found.truth is not None
    assert run.kept("automaton")[-1].load().summary() == found.summary()


def test_the_first_symbol_is_predicted_where_the_task_asks_for_it():
    """A network that is in a wrong state until the opening step, after which it believes what is true."""
    right = ideal(rrxor().array)
    wrong = rs.FunctionMap(
        right.step,
        state_size=5,
        input_size=2,
        readout=right.readout,
        readout_size=2,
        initial=lambda n, _rng: np.tile(np.eye(5)[3], (n, 1)),
    )
    few: dict[str, Any] = {"n_words": 60, "length": 10, "compare": False}
    opened = extract_automaton(wrong, task=NextSymbol("rrxor"), **few)
    assert opened.truth.divergence == pytest.approx(0, abs=1e-6)
    assert opened.emission[opened.initial] == pytest.approx([0.5, 0.5], abs=0.05), "where 0 was due, it was certain"
    early = extract_automaton(wrong, task=of(rrxor()), **few)
    assert early.truth is not None
    assert early.truth.divergence > 0.01


def test_models_of_words_alone_stand_beside_it():
    found = extract_automaton(ideal(golden_mean().array), task=of(golden_mean()), n_words=60)
    rivals, fidelity, truth = found.rivals, found.fidelity, found.truth
    assert rivals.models == ("Baum-Welch from random starts", "ALERGIA")
    assert rivals.n_states[0] == 2
    assert rivals.divergence.min() > 0, "6,000 symbols do not give probabilities exactly"
    assert rivals.divergence.max() < 5e-3, "the golden mean is learned from these"
    # Nothing is lost in an ideal network's own automaton: its likelihood is the entropy, on either's words.
    assert abs(fidelity.log_likelihood + fidelity.network_entropy) < 4 * fidelity.log_likelihood_error
    assert truth is not None
    assert truth.entropy_rate == pytest.approx(2 / 3 * np.log(2))
    assert truth.log_likelihood_on_truth == pytest.approx(truth.own_log_likelihood, abs=1e-4)
    assert truth.frequencies == pytest.approx([1 / 3, 2 / 3])
    assert fidelity.symbol_frequencies == pytest.approx([1 / 3, 2 / 3], abs=0.02)


def test_the_automaton_goes_to_other_forms_and_back():
    found = extract_automaton(ideal(rrxor().array), predicts_next=True, n_words=20, n_states=8)
    machine = found.machine()
    assert machine.kind == "probabilistic"
    assert Machine.from_json(found.to_json()) == machine
    for again in (from_aalpy(found.to_aalpy(), found.symbols), Machine.from_dot(found.to_dot())):
        assert again.emission is not None
        words = machine.sample(np.full(20, 12), np.random.default_rng(0))
        assert again.predictions(words) == pytest.approx(machine.predictions(words))


def test_what_cannot_be_extracted_says_why():
    network = ideal(golden_mean().array)

    def given(process: Any) -> dict[str, Any]:
        return {"task": of(Process(process)), "alphabet": np.eye(2)}

    wrong: list[tuple[str, dict[str, Any]]] = [
        (r"shape \(symbol, 2\)", {"alphabet": np.eye(3)}),
        ("differ from one another", {"alphabet": np.zeros((2, 2))}),
        ("one logit for each of its 3 symbols", {"alphabet": np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])}),
        (r"process must have shape \(symbol, state, state\)", {"process": np.eye(2)}),
        ("process has 3 symbols", {"process": mess3().array}),
        ("state 1 has 0.5", {"process": np.array([[[0, 0.5], [0, 0]], [[0.5, 0], [0.5, 0]]])}),
        ("n_words must be at least 4", {"n_words": 3}),
        ("length must be at least 2", {"length": 1}),
        ("max_states must be at least 1", {"max_states": 0}),
        ("n_states must be at least 1", {"n_states": 0}),
        ("n_test_words must be at least 4", {"n_test_words": 3}),
        ("n_clusters is not for networks that predict", {"n_clusters": 8}),
        ("labels is not for networks that predict", {"labels": np.argmax}),
    ]
    for told, settings in wrong:
        with pytest.raises(ValueError, match=told):
            extract_automaton(network, predicts_next=True, **(given(**settings) if "process" in settings else settings))
    with pytest.raises(ValueError, match="0 outputs"):
        extract_automaton(rs.FunctionMap(lambda h, u: h, state_size=2, input_size=2), predicts_next=True)
    growing = rs.FunctionMap(
        lambda h, u: 1e200 * (h + 1), state_size=2, input_size=2, readout=lambda h: h, readout_size=2
    )
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="diverge"):
        extract_automaton(growing, predicts_next=True)
    with pytest.raises(ValueError, match="n_states = 3 is for networks that predict"):
        extract_automaton(network, alphabet=np.eye(2), n_states=3)


def test_models_of_words_alone_are_left_out_on_request():
    found = extract_automaton(trained("golden"), predicts_next=True, n_words=30, compare=False)
    assert (found.n_recurrent, found.rivals.models) == (2, ())
    assert not len(found.rivals.divergence)
    assert "learned from its words alone" not in found.summary()
    found.trust_figure()


def test_rare_moves_between_regimes_make_no_state_transient():
    """Each regime writes mostly its own symbol, and is left after the other one, once in 200 symbols."""
    moves = np.array([[[0.995, 0.0], [0.005, 0.0]], [[0.0, 0.005], [0.0, 0.995]]])
    found = extract_automaton(ideal(moves), task=of(Process(moves)), n_words=60, compare=False)  # type: ignore[arg-type]
    assert found.n_recurrent == 2
    assert found.statistical_complexity == pytest.approx(np.log(2), abs=0.02)


@pytest.mark.parametrize("least", [1e-7, 0.0])
@pytest.mark.filterwarnings("error")
def test_symbols_that_cannot_come_have_a_logit_as_low_as_one_likes(least: float):
    """Where RRXOR is certain, once with probabilities of 1e-7, once with logits of -inf."""
    ideally = ideal(rrxor().array)

    def told(states: np.ndarray) -> np.ndarray:
        p = np.exp(ideally.readout(states))
        with np.errstate(divide="ignore"):
            return np.log(np.where(p < 1e-6, least, p))

    network = rs.FunctionMap(
        ideally.step, state_size=5, input_size=2, readout=told, readout_size=2, initial=ideally.initial_states
    )
    found = extract_automaton(network, task=of(rrxor()), n_words=100, compare=False)
    assert found.fidelity.divergence < 2e-3
    assert found.n_recurrent == 5


def test_more_states_are_not_asked_for_where_none_is_lacking():
    last = rs.FunctionMap(  # golden mean, from a state that is known
        lambda h, u: u[..., :1],
        state_size=1,
        input_size=2,
        readout=lambda h: np.log(np.where(h > 0.5, [1e-9, 1.0], [0.5, 0.5])),
        readout_size=2,
    )
    found = extract_automaton(last, predicts_next=True, n_words=60, max_states=2, compare=False)
    assert found.n_states == found.search.max_states == 2
    assert "as many states as allowed" not in found.summary()
