"""The flip-flop against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.tasks import FlipFlop


@settings(max_examples=25, deadline=None)
@given(bits=st.integers(1, 4), length=st.integers(1, 20), p=st.floats(0.01, 1), seed=st.integers(0, 2**32 - 1))
def test_targets_hold_the_last_pulse(bits, length, p, seed):
    trials = FlipFlop(bits, length, p).sample(5, np.random.default_rng(seed))
    for inputs, targets in zip(trials.inputs, trials.targets, strict=True):
        state = np.zeros(bits)
        for t in range(length):
            for channel in range(bits):
                if inputs[t, channel] != 0:
                    state[channel] = inputs[t, channel]
            assert np.array_equal(targets[t], state), f"step {t} of {inputs.tolist()}"
            assert np.all(np.abs(state) == 1), "every channel starts with a pulse"


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
def test_pulses_have_the_stated_probability(p):
    inputs = FlipFlop(pulse_probability=p).sample(3000, np.random.default_rng(0)).inputs
    assert np.all(inputs[:, 0] != 0)
    assert np.mean(inputs[:, 0] > 0) == pytest.approx(0.5, abs=0.02)
    assert np.mean(inputs[:, 1:] != 0) == pytest.approx(p, abs=0.005)
    assert np.mean(inputs[:, 1:] > 0) == pytest.approx(p / 2, abs=0.005)
    pulses = (inputs[:, 1:] != 0).reshape(-1, 3)
    assert pulses.all(axis=1).mean() == pytest.approx(p**3, abs=0.005), "channels are independent"


def test_alphabet_and_labels():
    task = FlipFlop(2)
    single = [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]
    assert task.alphabet.tolist() == [*single, [1, 1], [1, -1], [-1, 1], [-1, -1]]
    outputs = np.array([[-0.9, -1.1], [0.8, -1], [-1, 0.2], [1, 1]])
    assert task.labels(outputs).tolist() == [[0], [1], [2], [3]]
    with pytest.raises(ValueError, match="3 outputs, but 2 channels need 2"):
        task.labels(np.zeros((4, 3)))
    assert FlipFlop(62).labels(np.ones((1, 62))).tolist() == [[2**62 - 1]]


def test_trials_are_words_over_the_alphabet_where_that_is_small_enough():
    for bits in (1, 3, 4):
        task = FlipFlop(bits, 20)
        assert len(task.alphabet) == 3**bits
        shown = np.unique(task.sample(200, np.random.default_rng(0)).inputs.reshape(-1, bits), axis=0)
        assert {*map(tuple, shown)} <= {*map(tuple, task.alphabet)}
    assert len(FlipFlop(5).alphabet) == 11, "of five channels only pulses in one alone are symbols"


def test_longer_trials_are_those_of_the_same_task():
    task, longer = FlipFlop(2, 10, 0.3), FlipFlop(2, 50, 0.3)
    drawn = task.sample_held_out(7, 50, np.random.default_rng(0))
    assert np.array_equal(drawn.inputs, longer.sample(7, np.random.default_rng(0)).inputs)


def test_metrics():
    task = FlipFlop(2, 10)
    trials = task.sample(30, np.random.default_rng(0))
    metrics = task.metrics(trials.targets * np.array([0.5, -1]), trials, np.random.default_rng(0))
    assert metrics == pytest.approx({"mse": (0.25 + 4) / 2, "accuracy": 0.5})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"bits": 63}, "bits = 63: .*give at most 62"),
        ({"length": 0}, "length must be at least 1, got 0"),
        ({"pulse_probability": 0.0}, r"pulse_probability = 0.0 lies outside \(0, 1\]"),
        ({"pulse_probability": 1.5}, r"pulse_probability = 1.5 lies outside \(0, 1\]"),
    ],
)
def test_bad_settings_are_told(bad, message):
    with pytest.raises(ValueError, match=message):
        FlipFlop(**bad)
