"""Delayed match-to-sample with epochs, against brute force and against an ideal observer."""

import numpy as np
import pytest

from rnnscope.tasks import DelayedMatchEpochs


def test_noiseless_trials_by_brute_force():
    task = DelayedMatchEpochs(
        n_stimuli=6, n_channels=5, fixation_steps=2, sample_steps=3, delay_steps=(1, 4), test_steps=4,
        grace_steps=1, noise=0.0, kappa=1.5,
    )  # fmt: skip
    trials = task.sample(40, np.random.default_rng(0))
    for k in range(40):
        sample, test, delay = (int(trials.info[name][k]) for name in ("sample", "test", "delay"))
        assert 1 <= delay <= 4
        assert trials.info["match"][k] == (sample == test)
        onsets = [int(trials.info[name][k]) for name in ("sample_onset", "delay_onset", "test_onset", "length")]
        assert onsets == [2, 5, 5 + delay, 9 + delay]
        for t in range(trials.inputs.shape[1]):
            shown = sample if 2 <= t < 5 else test if 5 + delay <= t < 9 + delay else None
            expected = np.zeros(6)
            expected[0] = t < 5 + delay
            if shown is not None:
                angle = 2 * np.pi * (shown / 6 - np.arange(5) / 5)
                expected[1:] = np.exp(1.5 * (np.cos(angle) - 1))
            np.testing.assert_allclose(trials.inputs[k, t], expected, atol=1e-6, err_msg=f"trial {k} step {t}")
            assert trials.mask[k, t] == (t < 9 + delay and t != 5 + delay)
            if trials.mask[k, t]:
                assert trials.targets[k, t, 0] == (0 if t < 5 + delay else 1 if sample == test else 2)


def test_stimuli_and_delays_are_balanced():
    trials = DelayedMatchEpochs(delay_steps=(2, 5)).sample(20_000, np.random.default_rng(0))
    info = trials.info
    assert abs(info["match"].mean() - 0.5) < 0.015
    assert np.abs(np.bincount(info["delay"])[2:] / 20_000 - 0.25).max() < 0.015
    distance = ((info["test"] - info["sample"]) % 8)[~info["match"]]
    assert np.abs(np.bincount(distance, minlength=8)[1:] / len(distance) - 1 / 7).max() < 0.015
    assert np.abs(np.bincount(info["sample"]) / 20_000 - 1 / 8).max() < 0.015


def test_noise_has_its_standard_deviation_and_ends_with_the_trial():
    task = DelayedMatchEpochs(noise=0.3)
    trials = task.sample(500, np.random.default_rng(0))
    assert trials.inputs[:, :5, 1:].std() == pytest.approx(0.3, rel=0.02)
    after = np.arange(trials.inputs.shape[1]) >= trials.info["length"][:, None]
    assert after.any()
    assert not trials.inputs[after].any()
    assert not trials.mask[after].any()


def test_an_ideal_observer_meets_the_criterion_at_the_defaults():
    task = DelayedMatchEpochs()
    trials = task.sample(1000, np.random.default_rng(0))
    time = np.arange(trials.inputs.shape[1])
    fixating = trials.inputs[..., 0] > 0.5
    sample = np.argmax(trials.inputs[:, 5:10, 1:].sum(axis=1) @ task.tuning.T, axis=1)
    # Evidence on the test up to each step: nothing of the trial's future is used.
    evidence = np.where(fixating[..., None], 0, trials.inputs[..., 1:]).cumsum(axis=1)
    test = np.argmax(evidence @ task.tuning.T, axis=2)
    classes = np.where(fixating, 0, np.where(test == sample[:, None], 1, 2))
    metrics = task.metrics(np.eye(3)[classes], trials, np.random.default_rng(0))
    assert len(time) == 48
    assert metrics["decision_accuracy"] > 0.99
    assert task.criterion[0].met(metrics)


def test_fixating_for_ever_is_no_decision():
    task = DelayedMatchEpochs()
    trials = task.sample(100, np.random.default_rng(0))
    metrics = task.metrics(np.broadcast_to([1.0, 0, 0], (*trials.mask.shape, 3)), trials, np.random.default_rng(0))
    assert metrics["decision_accuracy"] == 0
    assert metrics["accuracy"] == pytest.approx(np.mean(trials.targets[trials.mask] == 0))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n_stimuli": 1}, "n_stimuli must be at least 2, got 1"),
        ({"n_channels": 2}, "n_channels must be at least 3, got 2"),
        ({"fixation_steps": -1}, "fixation_steps must be at least 0, got -1"),
        ({"sample_steps": 0}, "sample_steps must be at least 1, got 0"),
        ({"delay_steps": (5, 2)}, r"delay_steps = \(5, 2\) ends before it begins"),
        ({"delay_steps": -1}, "least of delay_steps must be at least 0, got -1"),
        ({"delay_steps": (1, 2, 3)}, "delay_steps"),
        ({"grace_steps": 8}, "grace_steps = 8 leaves nothing of the 8 test steps.*give at most 7"),
        ({"noise": -0.1}, "noise = -0.1 is a standard deviation; give 0 or more"),
        ({"kappa": 0.0}, "kappa = 0.0 .*give more than 0"),
    ],
)
def test_bad_settings_are_told(bad, message):
    with pytest.raises(ValueError, match=message):
        DelayedMatchEpochs(**bad)
