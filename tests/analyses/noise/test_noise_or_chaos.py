"""Is it noise or chaos? Networks and maps of which it is known."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import noise_or_chaos


def tanh(gain: float, n: int = 64, seed: int = 0) -> rs.FunctionMap:
    """h <- tanh(W h) with Gaussian weights of standard deviation gain / sqrt(n)."""
    weights = gain * np.random.default_rng(seed).standard_normal((n, n)) / np.sqrt(n)
    return rs.FunctionMap(
        lambda h: np.tanh(h @ weights.T),
        jacobian=lambda h: (1 - np.tanh(h @ weights.T) ** 2)[..., None] * weights,
        state_size=n,
        domain=(-1, 1),
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_weak_network_under_noise_is_moved_by_it(seed):
    found = noise_or_chaos(tanh(0.8, seed=seed), noise=0.3, n_steps=600, n_pairs=4)
    assert found.verdict == "sustained by its drive", found.summary()
    assert found.drive == "noise"
    assert -0.45 < found.exponent[0] < -0.2, "-.306 is known of one such network"
    assert found.merged.tolist() == [1, 1]
    assert found.distance[0, -1].max() < 1e-13
    assert found.activity[0] > 0.2
    assert found.activity[1] < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_a_strong_network_is_chaotic_with_and_without_noise(seed):
    found = noise_or_chaos(tanh(2.5, seed=seed), noise=0.05, n_steps=600, n_pairs=4)
    assert found.verdict == "chaotic", found.summary()
    assert (found.exponent > 0.05).all()
    assert found.merged.tolist() == [0, 0]
    alone = noise_or_chaos(tanh(2.5, seed=seed), n_steps=600, n_pairs=4)
    assert (alone.condition, alone.verdict, alone.drive) == (("alone",), "chaotic", "nothing")


def test_much_noise_silences_chaos():
    """Common noise of twice the size of the states leaves the sigmoid flat: neighbours part no more."""
    found = noise_or_chaos(tanh(2.5), noise=2.0, n_steps=600, n_pairs=4)
    assert found.verdict == "mixture", found.summary()
    assert found.sign.tolist() == [-1, 1]


def _turn(radius: float, angle: float) -> rs.FunctionMap:
    """A turn by this angle, with a circle of this radius that attracts: λ_1 = 0 along it."""
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def step(h):
        size = np.linalg.norm(h, axis=-1, keepdims=True)
        return (h @ rotation.T) * (0.5 + 0.5 * radius / np.maximum(size, 1e-12))

    return rs.FunctionMap(step, state_size=2, domain=(-2, 2))


def test_a_circle_is_a_limit_cycle_and_so_is_a_cycle_of_a_map():
    found = noise_or_chaos(_turn(1.0, 0.7), n_steps=400, n_pairs=4)
    assert found.verdict == "limit cycle", found.summary()
    assert abs(found.exponent[0]) < 0.01
    period_2 = rs.FunctionMap(
        lambda x: 3.2 * x * (1 - x), jacobian=lambda x: (3.2 - 6.4 * x)[..., None], state_size=1, domain=(0, 1)
    )
    found = noise_or_chaos(period_2, n_steps=400, n_pairs=4)
    assert found.verdict == "limit cycle", found.summary()
    lambda_1 = 0.5 * np.log(abs(-(3.2**2) + 2 * 3.2 + 4))  # (f^2)' on the cycle of two
    assert found.exponent[0] == pytest.approx(lambda_1, abs=1e-3)


def test_what_rests_is_silent_and_bistability_does_not_hide_it():
    still = rs.FunctionMap(lambda h: 0.5 * h, state_size=3, domain=(-1, 1))
    assert noise_or_chaos(still, n_steps=200, n_pairs=3).verdict == "silent"
    two = rs.FunctionMap(lambda h: np.tanh(2 * h), state_size=1, domain=(-1, 1))
    found = noise_or_chaos(two, n_steps=200, n_pairs=8)
    assert found.verdict == "silent", found.summary()
    assert 0 < found.merged[0] < 1, "some pairs end at different points"


def test_a_memory_that_small_noise_does_not_move_is_multistable():
    two = rs.FunctionMap(lambda h: np.tanh(2 * h), state_size=1, domain=(-1, 1))
    found = noise_or_chaos(two, noise=0.01, n_steps=200, n_pairs=8)
    assert found.verdict == "multistable", found.summary()
    assert noise_or_chaos(two, noise=0.5, n_steps=1000, n_pairs=8).verdict == "sustained by its drive", (
        "enough moves it"
    )


def test_a_run_is_driven_by_its_own_trials():
    torch.manual_seed(0)
    network = rs.Network(rs.cells.GRU(8), 2, 2)
    subject = rs.Subject(network.map(), rs.tasks.FlipFlop(2))
    found = noise_or_chaos(subject, n_steps=200, n_pairs=3)
    assert (found.condition, found.drive) == (("driven", "alone"), "task trials")
    assert found.verdict == "sustained by its drive", found.summary()
    expected = rs.analyses.lyapunov_spectrum(subject, n_exponents=1, n_steps=200, n_starts=3, n_others=0)
    assert found.exponent[0] == pytest.approx(expected.exponents[0])
    assert "driven by task trials" in found.summary()


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="n_pairs must be at least 2"):
        noise_or_chaos(tanh(0.5, 4), n_pairs=1)
    with pytest.raises(ValueError, match="input"):
        noise_or_chaos(tanh(0.5, 4), input=[1.0])


def test_what_runs_away_says_so():
    found = noise_or_chaos(rs.FunctionMap(lambda h: 3 * h, state_size=2), n_steps=900, n_pairs=3)
    assert found.verdict == "divergent", found.summary()
