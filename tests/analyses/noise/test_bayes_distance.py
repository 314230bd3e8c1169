"""How far from Bayes: filters written as maps, whose regret is known, and networks that learned nothing."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import BayesDistance, NotApplicable, bayes_distance
from rnnscope.analyses.noise.decoding import decode
from rnnscope.tasks import HMM, NextSymbol, Process
from rnnscope.tasks.process import NAMED


def noisy(emission: float, switch: float) -> Process:
    """Two states that show their own symbol with probability `emission`, and switch."""
    hmm = HMM([[1 - switch, switch], [switch, 1 - switch]], [[emission, 1 - emission], [1 - emission, emission]])  # type: ignore[arg-type]
    return Process.from_hmm(hmm)


def filter_of(process: Process) -> rs.FunctionMap:
    """The exact filter as a recurrent map: its state is the belief, and no symbol leaves it as it is."""

    def step(b, u):
        new = np.einsum("...i,xij,...x->...j", b, process.array, u)
        total = new.sum(-1, keepdims=True)
        return np.where(total > 0, new / np.where(total > 0, total, 1), b)

    return rs.FunctionMap(
        step,
        state_size=process.n_states,
        input_size=process.n_symbols,
        readout=lambda b: np.log(np.maximum(process.predict(b), 1e-300)),
        readout_size=process.n_symbols,
        initial=lambda n, rng: np.tile(process.stationary, (n, 1)),
    )


@pytest.mark.parametrize("opening", [True, False])
@pytest.mark.parametrize("name", [*NAMED, "noisy"])
def test_the_exact_filter_has_no_regret_and_knows_all(name, opening):
    process = noisy(0.8, 0.05) if name == "noisy" else NAMED[name]()
    subject = rs.Subject(filter_of(process), NextSymbol(process, opening_step=opening))
    found = bayes_distance(subject, n_words=60, length=25, n_held=200)
    assert isinstance(found, BayesDistance)
    assert found.reads
    assert found.prediction.regret == pytest.approx(0, abs=1e-12)
    assert found.prediction.divergence == pytest.approx(0, abs=1e-12)
    assert found.decoding.r2 == pytest.approx(1, abs=1e-9)
    assert len(found.decoding.controls) == 0, "nobody knows a cell of a function"
    assert (found.length, found.prediction.over_time.shape) == (25, (25,))
    known = np.isfinite(found.held.distance)
    assert np.all(found.held.distance[known] < 1e-9)
    assert np.allclose(found.held.apart[known], found.held.filter_apart[known], atol=1e-9)


def test_known_numbers_of_the_noisy_pair():
    """Emission .2 / .8, switch .05: the filter's cross-entropy is .5956 in the long run, its rest under ones .7607."""
    found = bayes_distance(
        rs.Subject(filter_of(noisy(0.8, 0.05)), NextSymbol(noisy(0.8, 0.05))), n_words=400, length=200
    )
    assert found.held.filter[1, 1] == pytest.approx(0.7607, abs=5e-5)
    assert found.held.network[1, 1] == pytest.approx(0.7607, abs=5e-5)
    # The first words are harder: 200 steps cost a little more than the long run.
    assert found.prediction.best == pytest.approx(0.5956, abs=0.004)
    assert 0.5 < found.decoding.last < 0.99, "eight symbols by themselves know much of the belief, and not all"


@pytest.mark.parametrize(("emission", "switch"), [(0.7, 0.05), (0.8, 0.2), (0.9, 0.02)])
def test_the_regret_of_a_wrong_filter_is_what_likelihoods_say(emission, switch):
    """By another way: both filters as hidden Markov models, log likelihoods of the same kind of words."""
    true, wrong = noisy(0.8, 0.05), noisy(emission, switch)
    found = bayes_distance(rs.Subject(filter_of(wrong), NextSymbol(true)), n_words=2000, length=40)
    rng = np.random.default_rng(5)
    _, words = true.sample(4000, 40, rng)
    ours, theirs = (
        np.log(np.take_along_axis(p.predict(p.beliefs(words)[:, :-1]), words[..., None], 2)).sum((1, 2)) / 40
        for p in (true, wrong)
    )
    expected, error = (ours - theirs).mean(), (ours - theirs).std() / np.sqrt(4000)
    within = 4 * np.hypot(error, found.prediction.regret_error)
    assert found.prediction.regret == pytest.approx(expected, abs=within)
    assert found.prediction.divergence == pytest.approx(expected, abs=within)
    assert found.prediction.divergence_error < found.prediction.regret_error
    assert found.prediction.divergence > 4 * found.prediction.divergence_error


def test_untrained_networks_stand_beside_a_run(tmp_path):
    run = rs.train(NextSymbol(noisy(0.8, 0.05), length=20), rs.cells.GRU(6), steps=2, folder=tmp_path, progress=False)
    found = bayes_distance(run, n_words=200, n_controls=3, n_held=50)
    assert len(found.decoding.controls) == 3
    assert np.ptp(found.decoding.controls) > 0
    # After two steps of training it is as good as untrained.
    assert found.decoding.r2 == pytest.approx(found.decoding.controls.mean(), abs=0.2)
    assert found.prediction.regret > 5 * found.prediction.regret_error
    assert "3 untrained networks" in found.summary()


def test_a_network_that_writes_is_read_by_the_filter():
    """A copy of the model as a network: noise moves a state, which is written all but surely."""
    hmm = HMM([[0.9, 0.1], [0.1, 0.9]], [[0.999, 0.001], [0.001, 0.999]])  # type: ignore[arg-type]

    def step(h, u):
        return np.where(u > 1.2816, -h, h)  # switches with probability .1

    network = rs.FunctionMap(
        step, state_size=1, input_size=1, readout=lambda h: np.concatenate([-3 * h, 3 * h], -1), readout_size=2,
        initial=lambda n, rng: np.ones((n, 1)),
    )  # fmt: skip
    found = bayes_distance(rs.Subject(network, rs.tasks.HMMEmission(hmm, noise_size=1)), n_words=200)
    assert not found.reads
    assert found.prediction is None
    assert found.held is None
    assert found.decoding.r2 > 0.9
    assert np.isnan(found.headline()["regret"])
    assert "no regret" in found.summary()


def test_held_out_r2_and_its_error():
    """Numbers with half their variance in the states: R^2 is .5, and the error is that of repetitions."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        states, rest = rng.standard_normal((2, 60, 20, 3))
        found.append(decode(states, (states + rest)[..., :2]))
    values = [each.r2 for each in found]
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)
    assert np.mean([each.error for each in found]) == pytest.approx(np.std(values), rel=0.35)
    assert np.isnan(decode(np.zeros((4, 3, 1)), np.ones((4, 3, 2))).r2)


def test_what_has_no_filter_is_refused():
    with pytest.raises(NotApplicable, match="no exact filter"):
        bayes_distance(rs.FunctionMap(np.tanh, state_size=1))
    torch.manual_seed(0)
    network = rs.Network(rs.cells.GRU(3), 2, 3)
    with pytest.raises(NotApplicable, match="one logit for each symbol"):
        bayes_distance(rs.Subject(network.map(), NextSymbol("golden-mean")))
    with pytest.raises(ValueError, match="n_words must be at least 4"):
        bayes_distance(network, n_words=3)


def test_figures_of_both_kinds():
    entry = rs.analyses.ANALYSES["bayes_distance"]
    process = noisy(0.8, 0.05)
    found = bayes_distance(rs.Subject(filter_of(process), NextSymbol(process)), n_words=8, length=9, n_held=20)
    assert all(drawing.draw(found).data for drawing in entry.figures.values())
    even = bayes_distance(rs.Subject(filter_of(NAMED["golden-mean"]()), NextSymbol("golden-mean")), n_words=8, n_held=9)
    assert np.isnan(even.held.filter[0]).all(), "no two zeros in a row"
