"""Chains out of emitters whose hidden Markov model is known."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hmmlearn.hmm import CategoricalHMM
from scipy.optimize import brentq
from scipy.stats import norm

import rnnscope as rs
from rnnscope import tasks
from rnnscope.analyses.automata.emitting.emitter_machine import CANDIDATES, Emitted, find_chain, log_likelihood, match
from rnnscope.analyses.automata.emitting.result import Emitter
from rnnscope.analyses.automata.extract import extract_automaton
from rnnscope.analyses.automata.stochastic import alergia
from rnnscope.analyses.automata.stochastic.baum_welch import baum_welch, beliefs_in_hindsight, from_random_starts
from rnnscope.records.result_files import load_result, save_result
from rnnscope.tasks import HMM
from rnnscope.tasks.hmm import cyclic, fully_connected, linear_chain
from rnnscope.tasks.machine import Machine


def emitted(hmm: HMM, n: int, rng: np.random.Generator) -> Emitted:
    """What a network would show whose states are those of the model, blurred."""
    states, symbols = hmm.sample(n, 200, rng)
    blurred = np.eye(hmm.n_states)[states] + 0.02 * rng.standard_normal((*states.shape, hmm.n_states))
    return Emitted(blurred, hmm.emission_matrix[states], symbols)


DATA = Path(__file__).parents[3] / "data" / "automata"
MODELS = {"chain of 2": linear_chain(2), "chain of 5": linear_chain(5), "full": fully_connected(3), "ring": cyclic(4)}


@pytest.mark.parametrize("name", MODELS)
def test_the_states_of_known_models_are_found(name: str):
    truth, rng = MODELS[name], np.random.default_rng(0)
    found = find_chain(emitted(truth, 50, rng), emitted(truth, 50, rng), (8, 16), rng)
    matched = match(found.chain, truth)
    assert matched is not None, f"{len(found.chain.flow)} states instead of {truth.n_states}"
    assert sorted(matched[0]) == list(range(truth.n_states))
    assert matched[1] < 0.02
    assert matched[2] < 1e-9
    symbols = emitted(truth, 50, rng).symbols
    ours, error = log_likelihood(found.chain.hmm(), symbols)
    theirs, _ = log_likelihood(HMM(truth.transitions, truth.emissions, truth.stationary()), symbols)  # type: ignore[arg-type]
    assert abs(ours - theirs) < 0.05 * abs(theirs)
    assert error > 0


def test_a_larger_sample_does_not_buy_more_states():
    """States of the network that differ a little from one another, as trained ones do."""
    blur = np.array([[0.97, 0.02, 0.01], [0.96, 0.02, 0.02], [0.01, 0.02, 0.97], [0.02, 0.02, 0.96]])
    stay = np.array(
        [[0.6, 0.37, 0.02, 0.01], [0.38, 0.58, 0.02, 0.02], [0.01, 0.02, 0.6, 0.37], [0.02, 0.02, 0.38, 0.58]]
    )
    network, sizes = HMM(stay, blur), set()  # type: ignore[arg-type]
    for n in (20, 80, 320):
        rng = np.random.default_rng(n)
        sizes.add(len(find_chain(emitted(network, n, rng), emitted(network, n, rng), CANDIDATES[:1], rng).chain.flow))
    assert sizes == {2}


def test_independent_symbols_need_one_state():
    rng, coin = np.random.default_rng(0), HMM([[0.5, 0.5], [0.5, 0.5]], [[0.3, 0.7], [0.3, 0.7]])  # type: ignore[arg-type]
    found = find_chain(emitted(coin, 40, rng), emitted(coin, 40, rng), (4,), rng)
    assert len(found.chain.flow) == 1


# --- models learned from words -----------------------------------------------------------------------------------

START = HMM([[0.8, 0.2], [0.3, 0.7]], [[0.6, 0.1, 0.3], [0.2, 0.2, 0.6]], [0.4, 0.6])  # type: ignore[arg-type]


@pytest.mark.parametrize("n_iterations", [1, 7])
def test_baum_welch_takes_the_steps_of_hmmlearn(n_iterations: int):
    symbols = linear_chain(2).sample(30, 40, np.random.default_rng(0))[1]
    oracle = CategoricalHMM(2, n_iter=n_iterations, tol=-np.inf, init_params="", n_features=3)
    oracle.startprob_, oracle.transmat_ = START.start_distribution, START.transition_matrix
    oracle.emissionprob_ = START.emission_matrix
    oracle.fit(symbols.reshape(-1, 1), [40] * 30)
    found = baum_welch(START, symbols, prior=0.0, max_iterations=n_iterations, tolerance=-np.inf)
    assert not found.converged
    assert found.n_iterations == n_iterations
    np.testing.assert_allclose(found.hmm.transition_matrix, oracle.transmat_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.hmm.emission_matrix, oracle.emissionprob_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.hmm.start_distribution, oracle.startprob_, rtol=0, atol=1e-12)
    wanted = oracle.score(symbols.reshape(-1, 1), [40] * 30) / symbols.size
    assert found.log_likelihood == pytest.approx(wanted, rel=1e-12)
    beliefs = oracle.predict_proba(symbols.reshape(-1, 1), [40] * 30).reshape(30, 40, 2)
    np.testing.assert_allclose(beliefs_in_hindsight(found.hmm, symbols), beliefs, rtol=0, atol=1e-12)


def test_random_starts_end_where_the_sequences_are_likelier_than_under_the_truth():
    truth, rng = linear_chain(2), np.random.default_rng(0)
    learned, held_out = (truth.sample(100, 100, rng)[1] for _ in range(2))
    found = from_random_starts(2, 3, learned, rng)
    assert found.converged
    wanted = truth.log_likelihood(learned).mean() / 100
    assert found.log_likelihood > wanted, f"{found.log_likelihood} is below the true model's {wanted}: no maximum"
    loss = (truth.log_likelihood(held_out) - found.hmm.log_likelihood(held_out)).mean() / 100
    assert abs(loss) < 0.01, f"{loss} nats a symbol are lost on sequences that were not learned from"


def test_what_a_state_did_not_happen_to_emit_stays_possible():
    symbols = np.zeros((5, 40), np.int64)
    found = baum_welch(START, symbols)
    assert np.isfinite(found.hmm.log_likelihood(np.array([[0, 1, 2]]))).all()
    assert baum_welch(START, symbols, prior=0.0).hmm.emission_matrix[:, 1:].max() < 1e-6


def test_alergia_learns_a_process_whose_symbols_tell_its_state():
    """The golden mean: after a 1 comes a 0; otherwise either, with one half."""
    truth = HMM([[0.5, 0.5], [1.0, 0.0]], np.eye(2), [0.5, 0.5])  # type: ignore[arg-type]
    found = alergia.alergia(truth.sample(100, 50, np.random.default_rng(0))[1], 2)
    every = np.array(list(itertools.product(range(2), repeat=6)))
    each = alergia.log_likelihood(found, every)
    assert np.exp(each).sum() == pytest.approx(1, abs=1e-9)
    possible = np.isfinite(truth.log_likelihood(every))
    np.testing.assert_allclose(each[possible], truth.log_likelihood(every)[possible], atol=0.3)
    assert np.exp(each[~possible]).sum() < 1e-3
    with pytest.raises(ValueError, match="probabilistic automaton, this is a DFA"):
        alergia.log_likelihood(Machine(np.array([[0, 0]]), np.array([[1]])), every)


# --- whole networks ----------------------------------------------------------------------------------------------


def two_states(rare: float) -> rs.FunctionMap:
    """The true chain of two states but for the probability of its rare symbol; states are ±1, noise one number."""
    bound, emission = norm.ppf(0.95), np.array([[1 - rare, rare, 1e-12], [1e-12, rare, 1 - rare]])
    return rs.FunctionMap(
        lambda h, u: np.where(u > bound, -1, 1) * np.where(h < 0, -1.0, 1.0),
        state_size=1,
        input_size=1,
        readout=lambda h: np.log(emission[(h[..., 0] > 0).astype(int)]),
        readout_size=3,
    )


@pytest.mark.parametrize("rare", [0.01, 0.0003])
def test_a_network_that_skips_the_rare_symbol_is_told_so(rare: float):
    """The rare symbol tells nothing of the state, so what is lost with it is the divergence of two coins."""
    truth = linear_chain(2)
    task = tasks.HMMEmission(truth, noise_size=1, length=20)
    found = extract_automaton(two_states(rare), task=task, n_clusters=8)
    lost = 0.01 * np.log(0.01 / rare) + 0.99 * np.log(0.99 / (1 - rare))
    assert found.n_states == 2
    truth = found.truth
    assert truth is not None
    wanted = lost / truth.entropy_rate
    assert abs(truth.shortfall - wanted) < 4 * truth.shortfall_error + 0.01, (
        f"{truth.shortfall:.3f} of the entropy rate is said to be lost, the closed form is {wanted:.3f}"
    )
    own, true = truth.log_likelihood_on_truth, truth.own_log_likelihood
    assert (true - own) / truth.entropy_rate == pytest.approx(truth.shortfall, rel=1e-9)
    fidelity = found.fidelity
    error = np.sqrt(rare / (fidelity.n_test_words * fidelity.length))
    assert abs(fidelity.symbol_frequencies[1] - rare) < 4 * error
    if rare < 0.01:
        assert "the network emits symbol 1 with frequency 0.000" in found.summary()
        assert "the true model with 0.01" in found.summary()
    one, two = (float(found.front.log_likelihood[found.front.n_states == n][0]) for n in (1, 2))
    frequencies = fidelity.symbol_frequencies[fidelity.symbol_frequencies > 0]
    assert one == pytest.approx(frequencies @ np.log(frequencies), abs=0.01), "of one state: independent symbols"
    assert two == pytest.approx(fidelity.log_likelihood, abs=1e-3)
    assert np.abs(found.rivals.log_likelihood - fidelity.log_likelihood).max() < 0.02, "others learn this chain as well"


def test_a_trained_network_is_as_likely_as_its_chain():
    """Trained by the preset hmm-2: two to four states, and the likelihood of the true chain within 5 %."""
    preset = rs.preset("hmm-2")
    network = rs.Network(preset.cell, 100, 3, readout_bias=False)
    with np.load(DATA / "HMM_chain2.npz") as file:
        network.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
    found = extract_automaton(network, task=preset.task, n_words=40, n_test_words=50, n_clusters=16)
    assert 2 <= found.n_states <= 4
    truth = found.truth
    assert truth is not None
    assert abs(truth.shortfall) < 0.05, f"{truth.shortfall:.1%} of the entropy rate is lost"
    assert abs(truth.difference) < 0.05 * abs(truth.log_likelihood)
    assert found.search.converged, "counted clusters leak: Baum-Welch should have been kept, and come to rest"
    assert found.rivals.log_likelihood_on_truth is not None
    counted = dict(zip(found.rivals.models, found.rivals.log_likelihood_on_truth, strict=True))["clusters counted"]
    assert truth.log_likelihood_on_truth > counted + 0.005
    assert truth.matched is not None
    assert max(truth.matched.transition_error, truth.matched.emission_error) < 0.01


def bistable() -> Emitter:
    """h' = tanh(3 h + 1.5 u): noise makes it jump between the neighbourhoods of two fixed points."""
    network = rs.FunctionMap(
        lambda h, u: np.tanh(3 * h + 1.5 * u),
        state_size=1,
        input_size=1,
        readout=lambda h: np.concatenate([-4 * h, 4 * h], -1),
        readout_size=2,
    )
    p = float(norm.sf(2))
    truth = HMM([[1 - p, p], [p, 1 - p]], [[0.99, 0.01], [0.01, 0.99]])  # type: ignore[arg-type]
    task = tasks.HMMEmission(truth, noise_size=1, length=20)
    found = extract_automaton(network, task=task, n_words=60, n_clusters=8)
    assert isinstance(found, Emitter)
    return found


def test_each_state_of_an_emitter_lies_at_its_fixed_point(tmp_path):
    found = bistable()
    assert 2 <= found.n_states <= 4
    placement = found.placement
    loops, centres = placement.loops, placement.centres
    assert loops is not None
    wanted = brentq(lambda h: np.tanh(3 * h) - h, 0.5, 1.0)
    most = centres[:2, 0]
    assert sorted(np.sign(most)) == [-1, 1]
    np.testing.assert_allclose(loops.points[:2, 0], np.sign(most) * wanted, atol=1e-8)
    np.testing.assert_allclose(loops.distance, np.abs(loops.points - centres)[:, 0], atol=1e-12)
    assert (loops.kind == 0).all()
    assert loops.stable[:2].all()
    assert placement.counts.sum() == found.search.n_words * found.fidelity.length
    positions = placement.plane.positions(centres)
    gaps = np.abs(positions[:, None, 0] - positions[None, :, 0])
    np.testing.assert_allclose(gaps, np.abs(centres - centres.T), atol=1e-9)
    assert placement.plane.variance == pytest.approx(1)
    arrows = placement.arrows
    assert arrows is not None
    between = (arrows.source < 2) & (arrows.target < 2)
    assert sorted(arrows.target[between]) == [0, 1], "noise makes it jump both ways"
    ends = centres[arrows.target[between], 0]
    assert np.abs(arrows.paths[between, -1, 0] - ends).max() < 0.1, "a jump ends where the network then stays"
    assert arrows.count[between].min() > 10
    samples, state = placement.samples.states, placement.samples.machine_state
    nearest = np.abs(samples - centres[:2, 0]).argmin(1)
    assert (nearest == state)[state < 2].mean() > 0.9

    assert HMM.from_json(found.to_json()).n_states == found.n_states
    assert found.to_dot() == found.hmm().to_dot(found.symbols)
    assert found.to_aalpy().initial_state.output == "start"
    placed = found.figure(layout="states")
    assert "placed by the network's states" in placed.layout.title.text
    assert any(str(trace.name).startswith("transition, mean of") for trace in placed.data)
    names = {trace.name for trace in found.trust_figure().data}
    assert {"this machine", "ALERGIA", "Baum-Welch from random starts"} <= names
    save_result(found, tmp_path / "e.zarr")
    assert load_result(Emitter, tmp_path / "e.zarr").summary() == found.summary()


def test_one_symbol_shows_no_move():
    with pytest.raises(ValueError, match="length must be at least 2 for a network that emits"):
        extract_automaton(two_states(0.01), task=tasks.HMMEmission(linear_chain(2), noise_size=1), length=1)
