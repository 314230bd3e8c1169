"""Copies that are exact, by construction, and others that are wrong in a known way."""

from dataclasses import replace

import numpy as np
import pytest
from driven_systems import exact_copy

import rnnscope as rs
from rnnscope import NotApplicable, cells, tasks
from rnnscope.analyses import measure_copy
from rnnscope.analyses.noise.emitted import count_symbols, matched_distance
from rnnscope.tasks import HMM, HMMEmission, cyclic, fully_connected, linear_chain

SEQUENCES = {"n_sequences": 1600, "n_matched": 200}
MODELS = {"chain 2": linear_chain(2), "chain 4": linear_chain(4), "full 3": fully_connected(3), "cyclic 4": cyclic(4)}


def measured(copy: HMM, model: HMM, length: int = 20, seed: int = 0) -> rs.analyses.CopyQuality:
    subject = rs.Subject(rs.as_subject(exact_copy(copy)).map, HMMEmission(model, noise_size=1, length=length))
    return measure_copy(subject, seed=seed, **SEQUENCES)


@pytest.mark.parametrize("name", MODELS)
def test_an_exact_copy_is_none_the_worse(name):
    """All numbers are the model's within their errors, for four models, of which the bounds were chosen on two."""
    hmm = MODELS[name]
    found = measured(hmm, hmm)
    ratio, symbols = found.matched.ratio, found.symbols
    assert abs(ratio.value - 1) < 4.5 * ratio.error
    assert ratio.error < 0.05
    assert abs(found.volatility_error.value) < 4 * found.volatility_error.error
    assert abs(found.likelihood_gap.value) < 4 * found.likelihood_gap.error
    assert found.impossible == 0
    off = np.abs(symbols.frequency - symbols.expected_frequency)
    assert (off < 4.5 * symbols.frequency_error).all()
    known = ~symbols.seldom
    off = np.abs(symbols.transitions - symbols.expected_transitions)[known]
    assert (off < 4.5 * symbols.transitions_error[known] + 1e-12).all()
    own, error = hmm.entropy_rate(1000, 200, np.random.default_rng(3))
    assert abs(found.entropy_rate - own) < 4 * np.hypot(error, found.entropy_rate_error)


def wrong(name: str) -> tuple[HMM, HMM]:
    """(what it does, what it should do)"""
    slow = HMM([[0.95, 0.05], [0.05, 0.95]], [[0.99, 0.01], [0.01, 0.99]])
    return {
        "changes twice as often": (HMM([[0.9, 0.1], [0.1, 0.9]], slow.emissions), slow),
        "emits less clearly": (HMM(slow.transitions, [[0.9, 0.1], [0.1, 0.9]]), slow),
        "one symbol too often": (HMM([[0.95, 0.05], [0.1, 0.9]], slow.emissions, (2 / 3, 1 / 3)), slow),
        "a chain of 5 for one of 2": (linear_chain(5), linear_chain(2)),
    }[name]


@pytest.mark.parametrize(
    "name", ["changes twice as often", "emits less clearly", "one symbol too often", "a chain of 5 for one of 2"]
)
def test_wrong_models_are_told_apart(name):
    does, should = wrong(name)
    found = measured(does, should)
    volatility, wanted = 1 - np.trace(does.expected(20)[1]), 1 - np.trace(should.expected(20)[1])
    error = found.volatility_error
    assert abs(error.value - (volatility / wanted - 1)) < 4 * error.error, "how wrong it is, is known exactly"
    frequency = does.expected(20)[0] - should.expected(20)[0]
    assert abs(found.symbols.largest_frequency_error - np.abs(frequency).max()) < 0.02
    if name == "one symbol too often":
        assert (np.abs(frequency) > 5 * found.symbols.frequency_error).all()
    else:
        assert found.matched.interval[0] > 1
        assert error.value > 5 * error.error
        assert found.likelihood_gap.value < -5 * found.likelihood_gap.error


def test_a_copy_that_does_the_usual_alone_lies_too_close_and_is_called_likely():
    """It never emits the rare symbol, and never changes: over 200 steps distances do not condemn it (over few, of which
    many are alike, they would), and likelihoods praise it."""
    model = HMM([[0.9, 0.1], [0.1, 0.9]], [[0.95, 0.05], [0.95, 0.05]])
    found = measured(HMM([[1.0]], [[1.0, 0.0]]), model, length=200)
    assert found.matched.interval[1] < 1
    assert found.likelihood_gap.value > 0
    assert found.volatility.value == 0
    assert found.symbols.seldom.tolist() == [False, True]
    assert "symbol 1 is hardly ever emitted" in found.summary()


def test_what_the_model_cannot_emit_is_counted():
    silent = HMM([[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]])
    found = measured(HMM([[1.0]], [[0.9, 0.1]]), silent)
    assert abs(found.impossible - (1 - 0.9**20)) < 0.05
    assert np.isfinite(found.likelihood_gap.value)
    assert np.isnan(found.volatility_error.value), "a share of nothing"


def test_matching_against_all_orders_of_few():
    """Of five sequences each, the least mean over all 120 ways to match them."""
    from itertools import permutations

    rng = np.random.default_rng(0)
    some, others = rng.integers(3, size=(2, 5, 6))
    far = np.sqrt(2 * (some[:, None] != others[None]).sum(-1))
    wanted = min(far[np.arange(5), list(order)].mean() for order in permutations(range(5)))
    assert matched_distance(some, others, 3) == pytest.approx(wanted, abs=1e-12)


def test_errors_of_transitions_are_their_spread_over_samples():
    task = HMMEmission(linear_chain(3), noise_size=1, length=20)
    counted = [count_symbols(task.hmm.sample(200, 20, np.random.default_rng([5, k]))[1], task) for k in range(60)]
    common = [0, 2]
    spread = np.std([c.transitions for c in counted], 0, ddof=1)[common][:, common]
    told = np.mean([c.transitions_error for c in counted], 0)[common][:, common]
    np.testing.assert_allclose(told, spread, rtol=0.35)


def test_longer_sequences_than_the_tasks_and_process_noise():
    hmm = linear_chain(2)
    found = measured(hmm, hmm, length=6)
    subject = rs.Subject(rs.as_subject(exact_copy(hmm)).map, HMMEmission(hmm, noise_size=1, length=6))
    longer = measure_copy(subject, length=24, n_sequences=40, n_matched=20)
    assert (found.length, longer.length) == (6, 24)
    assert longer.matched.process.mean() > found.matched.process.mean()


def test_a_run_and_its_result_on_disk(tmp_path):
    task = HMMEmission("linear_chain:2", noise_size=3, length=8)
    run = rs.train(task, cells.Vanilla(5), steps=2, batch_size=8, evaluation_trials=8, folder=tmp_path, progress=False)
    found = measure_copy(run, n_sequences=40, n_matched=20)
    again = measure_copy(run, n_sequences=40, n_matched=20)
    np.testing.assert_array_equal(found.changes, again.changes)
    assert found.headline()["matched_ratio"] == found.matched.network.mean() / found.matched.process.mean()
    assert len(found.figure().data) >= 7


def test_what_it_does_not_apply_to_is_said():
    parity = tasks.Parity(2)
    other = rs.Subject(rs.Network(cells.Vanilla(3), 1, parity.output_size).map(), parity)
    with pytest.raises(NotApplicable, match="its task is Parity, and must be an HMMEmission"):
        measure_copy(other)
    with pytest.raises(NotApplicable, match="its task is not known"):
        measure_copy(rs.Network(cells.Vanilla(3), 1, 3))
    with pytest.raises(ValueError, match=r"n_sequences must be at least 2 x n_matched = 1000, .* got 900"):
        measure_copy(rs.Network(cells.Vanilla(3), 1, 3), n_sequences=900)
    task = HMMEmission("linear_chain:2", noise_size=1, length=400)
    bursts = replace(task, length=5)
    wild = rs.FunctionMap(
        lambda h, u: 1e150 * (h + u), state_size=1, input_size=1, readout=lambda h: h * np.ones(3), readout_size=3
    )
    with pytest.raises(NotApplicable, match="its outputs are not finite within 5 steps"):
        measure_copy(rs.Subject(rs.as_subject(wild).map, bursts))
