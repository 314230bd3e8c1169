"""Entropy rates of sequences of which they are known."""

import numpy as np
import pytest

from rnnscope.analyses.noise.symbol_entropy import symbol_entropy
from rnnscope.tasks import HMM, Process
from rnnscope.tasks.process import NAMED


def runs_of(angle: float, border: float = 0.0, length: int = 1000) -> np.ndarray:
    """Ten turns by an angle, above or below a border: nothing is new in them."""
    start = np.random.default_rng(0).random((10, 1)) * 1000
    return (np.cos(angle * (start + np.arange(length))) > border).astype(int)


@pytest.mark.parametrize("name", ["golden-mean", "even"])
@pytest.mark.parametrize("length", [200, 1000])
def test_processes_with_a_known_rate(name, length):
    process = NAMED[name]()
    _, words = process.sample(10, length, np.random.default_rng(1))
    found = symbol_entropy(words)
    exact = process.entropy_rate().low
    assert found.lowest - 3 * found.lowest_error < exact < found.rate + 3 * found.error
    assert found.rate == pytest.approx(exact, rel=0.08 if length == 200 else 0.02)


def test_hidden_states_are_heard_of_from_far_away():
    """What finite contexts know is never too much: the truth lies between the rate and where it may fall to."""
    hidden = HMM([[0.95, 0.05], [0.05, 0.95]], [[0.8, 0.2], [0.2, 0.8]])  # type: ignore[arg-type]
    for process in (NAMED["rrxor"](), Process.from_hmm(hidden)):
        found = symbol_entropy(process.sample(20, 2000, np.random.default_rng(2))[1])
        exact = process.entropy_rate()
        assert found.lowest - 3 * found.lowest_error < exact.high, found
        assert found.rate + 3 * found.error > exact.low, found


@pytest.mark.parametrize(("angle", "border"), [(0.1, 0.0), (0.7, 0.0), (2.4, 0.3), (1.0, -0.5)])
def test_a_torus_carries_nothing_new(angle, border):
    """Words of a finite length say otherwise: it is the fall that gives it away."""
    found = symbol_entropy(runs_of(angle, border))
    assert found.lowest - 2 * found.lowest_error < found.rate - found.lowest, found


def test_a_slow_cycle_is_seen_through():
    """Of 30 zeros and 30 ones words of 8 do not see the end: (ln 23 + 1) / 30 = .14 nats that are not there."""
    shift = np.random.default_rng(3).integers(60, size=(10, 1))
    found = symbol_entropy(((np.arange(1000) + shift) % 60 < 30).astype(int))
    assert found.rate < 0.005, found
    assert found.context.startswith("runs")


@pytest.mark.parametrize("n_symbols", [2, 3, 5])
def test_fair_dice_and_constants(n_symbols):
    dice = np.random.default_rng(4).integers(n_symbols, size=(10, 2000))
    found = symbol_entropy(dice)
    assert found.rate == pytest.approx(np.log(n_symbols), rel=0.01)
    assert found.rate - found.lowest < 0.02
    assert symbol_entropy(dice * 0)[:4] == (0, 0, 0, 0)
    assert symbol_entropy(dice + 7) == found, "names of symbols say nothing"


def test_errors_are_those_of_repetitions():
    process = NAMED["golden-mean"]()
    each = [symbol_entropy(process.sample(10, 300, np.random.default_rng(seed))[1]) for seed in range(60)]
    spread = np.std([found.rate for found in each])
    assert np.mean([found.error for found in each]) == pytest.approx(spread, rel=0.35)


def test_too_little_is_refused_or_says_nothing():
    with pytest.raises(ValueError, match="two sequences of two"):
        symbol_entropy(np.zeros((1, 9), int))
    assert np.isnan(symbol_entropy(np.array([[0, 1], [1, 0]])).rate)
