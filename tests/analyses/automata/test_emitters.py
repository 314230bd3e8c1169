"""Chains out of emitters whose hidden Markov model is known, and machines out of centroids."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells, results, tasks
from rnnscope.analyses.automata.centroid_machine import CentroidMachine, machine_of_centroids
from rnnscope.analyses.automata.emitter_machine import CANDIDATES, Emitted, find_chain, log_likelihood, match
from rnnscope.tasks import HMM
from rnnscope.tasks.hmm import cyclic, fully_connected, linear_chain
from rnnscope.tasks.machine import Machine


def emitted(hmm: HMM, n: int, rng: np.random.Generator) -> Emitted:
    """What a network would show whose states are those of the model, blurred."""
    states, symbols = hmm.sample(n, 200, rng)
    blurred = np.eye(hmm.n_states)[states] + 0.02 * rng.standard_normal((*states.shape, hmm.n_states))
    return Emitted(blurred, hmm.emission_matrix[states], symbols)


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


# --- centroids ---------------------------------------------------------------------------------------------------

ONES = Machine(np.array([[1, 0], [1, 1]]), np.array([[1], [0]]))  # tomita-1: no 0


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


def test_centroids_give_the_machine_that_was_built_in(tmp_path):
    network = ones_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = machine_of_centroids(network, length=12)
    assert found.machine().equivalent(ONES) == (True, None)
    assert found.agreement == 1
    assert found.determinism == 1
    assert found.sharpness > 0.99
    assert found.centroid_states.tolist() == [1, 0, -1]
    assert found.centroid_visits[2] == 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert next(network.parameters()).dtype == torch.float32
    results.save_result(found, tmp_path / "c.zarr")
    loaded = results.load_result(CentroidMachine, tmp_path / "c.zarr")
    assert loaded.summary() == found.summary()
    assert len(loaded.figure().layout.shapes) == 2


def test_the_start_is_trusted_only_on_demand():
    """At h = 0 the readout, 0 > 0, rejects the empty word, which tomita-1 accepts."""
    network = ones_network()
    assert machine_of_centroids(network, length=12).n_states == 2
    trusted = machine_of_centroids(network, length=12, trust_start=True)
    assert trusted.n_states == 3
    assert trusted.outputs[trusted.initial, 0] == 0


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
    found = machine_of_centroids(run)
    assert found.machine().equivalent(ONES) == (True, None)
    assert found.agreement > 0.99


def test_what_has_no_centroids_says_so():
    with pytest.raises(ValueError, match="StateRegularized"):
        machine_of_centroids(rs.Network(cells.GRU(3), 2, 1))
    with pytest.raises(ValueError, match="n_words must be at least 2"):
        machine_of_centroids(ones_network(), n_words=1)
    with pytest.raises(ValueError, match=r"shape \(symbol, 2\)"):
        machine_of_centroids(ones_network(), alphabet=np.eye(3))
