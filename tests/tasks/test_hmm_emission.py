"""The emulation task: its metrics on networks that are known to be right, wrong or broken."""

import numpy as np
import pytest

from rnnscope.tasks import HMM, Criterion, HMMEmission, cyclic, fully_connected, linear_chain, sample_symbols, to_config

CERTAIN = 1e3  # a logit so large that Gumbel noise does not matter


def certain(symbols, n_symbols=3):
    return CERTAIN * np.eye(n_symbols, dtype=np.float32)[symbols]


@pytest.mark.parametrize("name", ["linear_chain:2", "linear_chain:5", "fully_connected:3", "cyclic:4"])
def test_the_model_itself_meets_the_criterion(name):
    task = HMMEmission(name)
    trials = task.sample(2000, np.random.default_rng(0))
    _, symbols = task.hmm.sample(2000, 30, np.random.default_rng(1))  # another draw than the targets
    metrics = task.metrics(certain(symbols), trials, np.random.default_rng(2))
    assert all(criterion.met(metrics) for criterion in task.criterion)
    assert metrics["frequency_error"] < 0.02
    assert metrics["volatility_error"] < 0.05
    assert metrics["transition_error"] < 0.02
    assert metrics["volatility"] == pytest.approx(np.mean(symbols[:, 1:] != symbols[:, :-1]))


def test_independent_symbols_of_the_right_frequency_are_not_enough():
    task = HMMEmission("linear_chain:2")
    trials = task.sample(2000, np.random.default_rng(0))
    logits = np.broadcast_to(np.log(task.hmm.symbol_frequencies()), (2000, 30, 3))
    metrics = task.metrics(logits, trials, np.random.default_rng(1))
    assert metrics["frequency_error"] < 0.02, "Gumbel sampling keeps the softmax frequencies"
    assert metrics["volatility_error"] > 3
    assert metrics["transition_error"] > 0.3


def test_metrics_by_hand():
    hmm = HMM([[0.75, 0.25], [0.5, 0.5]], np.eye(2), [1, 0])
    task = HMMEmission(hmm, noise_size=1, length=3)
    trials = task.sample(2, np.random.default_rng(0))
    symbols = np.array([[0, 0, 1], [0, 1, 1]])
    # Marginals of state 1: 0, 1/4, 1/4 * 1/2 + 3/4 * 1/4 = 5/16; of the two states a pair starts from: 7/8, 1/8.
    frequency_1 = (0 + 1 / 4 + 5 / 16) / 3
    volatility = 7 / 8 * 1 / 4 + 1 / 8 * 1 / 2
    # Observed rows: 0 -> (1/3, 2/3) against (3/4, 1/4); 1 -> (0, 1) against (1/2, 1/2).
    expected = {
        "frequency_error": 1 / 2 - frequency_1,
        "volatility": 1 / 2,
        "volatility_error": (1 / 2 - volatility) / volatility,
        "transition_error": (1 - frequency_1) * 5 / 12 + frequency_1 * 1 / 2,
    }
    assert task.metrics(certain(symbols, 2), trials, np.random.default_rng(0)) == pytest.approx(expected)


def test_a_symbol_that_the_outputs_never_emit_costs_its_row():
    task = HMMEmission("linear_chain:2")
    trials = task.sample(5, np.random.default_rng(0))
    metrics = task.metrics(certain(np.zeros((5, 30), dtype=int)), trials, np.random.default_rng(0))
    assert metrics["volatility"] == 0
    assert metrics["volatility_error"] == pytest.approx(1)
    frequencies, pairs = task.hmm.expected(30)
    rows = pairs / pairs.sum(axis=1, keepdims=True)
    misses = [1 - rows[0, 0], rows[1].max(), rows[2].max()]
    assert metrics["transition_error"] == pytest.approx(frequencies @ misses)


def test_a_diverged_network_meets_nothing():
    task = HMMEmission("cyclic:4")
    trials = task.sample(5, np.random.default_rng(0))
    outputs = np.zeros((5, 30, 3))
    outputs[2, 7, 1] = np.nan
    metrics = task.metrics(outputs, trials, np.random.default_rng(0))
    assert all(np.isnan(value) for value in metrics.values())
    assert not any(criterion.met(metrics) for criterion in task.criterion)
    assert metrics.keys() == task.metrics(np.zeros((5, 30, 3)), trials, np.random.default_rng(0)).keys()


def test_a_model_that_never_changes():
    task = HMMEmission(HMM([[1.0]], [[0, 1]]), length=4)
    trials = task.sample(3, np.random.default_rng(0))
    still, moving = np.ones((3, 4), dtype=int), np.tile([0, 1, 0, 1], (3, 1))
    rng = np.random.default_rng(0)
    assert task.metrics(certain(still, 2), trials, rng)["volatility_error"] == 0
    assert task.metrics(certain(moving, 2), trials, rng)["volatility_error"] == np.inf


def test_sample_symbols_draws_from_the_softmax():
    logits = np.log([0.5, 0.3, 0.2]).astype(np.float32) + 7
    symbols = sample_symbols(np.broadcast_to(logits, (50_000, 3)), np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(symbols) / 50_000, [0.5, 0.3, 0.2], atol=0.01)


def test_inputs_are_white_noise_that_says_nothing_of_the_targets():
    task = HMMEmission("linear_chain:2", noise_size=20)
    trials = task.sample(2000, np.random.default_rng(0))
    noise = trials.inputs.reshape(-1, 20)
    assert np.abs(np.cov(noise.T) - np.eye(20)).max() < 0.03
    latent = trials.info["latent"].ravel() - 0.5
    assert np.abs(latent @ noise / len(noise)).max() < 0.01
    agreement = np.mean(trials.targets[..., 0] == 2 * trials.info["latent"])
    assert agreement == pytest.approx(0.99, abs=0.003), "state i of the chain of 2 emits symbol 2i with p .99"


def test_the_model_can_be_named_given_or_described():
    hmm = linear_chain(3)
    assert HMMEmission("linear_chain:3") == HMMEmission(hmm) == HMMEmission(to_config(hmm))
    fields = {"transitions": hmm.transitions, "emissions": np.array(hmm.emissions)}
    assert HMMEmission(fields).hmm == hmm
    assert HMMEmission("fully_connected:4").output_size == 4
    assert HMMEmission("cyclic:4").ground_truth == cyclic()
    assert HMMEmission(fully_connected()).criterion[1] == Criterion("volatility_error", 0.3, "at most")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hmm": "linear"}, "hmm = 'linear' names no model; .*linear_chain:2"),
        ({"hmm": "ring:4"}, "hmm = 'ring:4' names no model"),
        ({"hmm": "cyclic:x"}, "hmm = 'cyclic:x' names no model"),
        ({"hmm": "linear_chain:9"}, r"linear_chain\(9\): .*give m = 2, 3, 4 or 5"),
        ({"hmm": {"transitions": [[0.5]], "emissions": [[1.0]]}}, "transitions row 0 sums to 0.5"),
        ({"hmm": "cyclic:4", "noise_size": 0}, "noise_size must be at least 1, got 0"),
        ({"hmm": "cyclic:4", "length": 1}, "length must be at least 2, got 1"),
    ],
)
def test_bad_settings_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        HMMEmission(**settings)
