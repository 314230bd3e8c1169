"""Time constants of single quantities: processes whose autocorrelation is known."""

import numpy as np
import pytest

from rnnscope.analyses.state_space.correlation_time import correlation_time


def _autoregressive(keep: float, n_trials: int, n_steps: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_trials, n_steps + 400))
    x = np.zeros_like(noise)
    for t in range(1, noise.shape[1]):
        x[:, t] = keep * x[:, t - 1] + noise[:, t]
    return x[:, 400:]


@pytest.mark.parametrize("keep", [0.3, 0.8, 0.95, 0.99])
def test_an_autoregressive_process_has_its_time_constant(keep):
    truth = -1 / np.log(keep)
    activity = 5 + _autoregressive(keep, 64, 2000, 1)
    found = correlation_time(activity, np.ones(activity.shape, bool))
    assert abs(found.value - truth) < max(4 * found.error, 0.02 * truth), (found, truth)
    assert 0 < found.error < 0.1 * truth


def test_the_error_covers_the_truth():
    truth = -1 / np.log(0.9)
    z = []
    for seed in range(100):
        activity = _autoregressive(0.9, 16, 300, seed)
        found = correlation_time(activity, np.ones(activity.shape, bool))
        z.append((found.value - truth) / found.error)
    assert np.mean(np.abs(z) < 2) > 0.85, f"within two errors in {np.mean(np.abs(z) < 2):.0%}"


def test_padding_does_not_count():
    activity = _autoregressive(0.8, 32, 400, 2)
    padded = np.concatenate([activity, np.full((32, 300), 1e6)], axis=1)
    valid = np.arange(700) < 400
    found = correlation_time(padded, np.broadcast_to(valid, padded.shape))
    plain = correlation_time(activity, np.ones(activity.shape, bool))
    assert found.value == pytest.approx(plain.value)


def test_what_is_not_known_says_so():
    still = correlation_time(np.ones((4, 50)), np.ones((4, 50), bool))
    assert (still.moves, np.isnan(still.value)) == (False, True)
    slow = correlation_time(np.sign(np.arange(4) - 1.5)[:, None] * np.ones((4, 50)), np.ones((4, 50), bool))
    assert (slow.moves, np.isnan(slow.value), slow.longest) == (True, True, 25)
    fast = correlation_time(np.where(np.arange(300) % 2, 1.0, -1.0)[None] * np.ones((4, 1)), np.ones((4, 300), bool))
    assert (fast.moves, fast.value, np.isnan(fast.error)) == (True, 0, True), (
        "opposite after one step: too short to tell"
    )
    single = correlation_time(_autoregressive(0.5, 1, 400, 3), np.ones((1, 400), bool))
    assert np.isfinite(single.value)
    assert np.isnan(single.error)
