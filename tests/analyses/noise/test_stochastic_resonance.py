"""Changes over the amplitude of noise: maps in which they have a closed form, with a peak and without."""

from typing import Any

import numpy as np
import pytest
import torch
from driven_systems import noise_task, telegraph
from scipy.stats import norm

import rnnscope as rs
from rnnscope.analyses import NotApplicable, stochastic_resonance
from rnnscope.analyses.noise.emulation import copy_errors, model_of

FEW: dict[str, Any] = {"n_trials": 30, "n_steps": 200, "transient": 2}


def band(low: float, high: float) -> rs.Subject:
    """A state of -1 or 1, which flips where the noise is between two numbers: neither too little nor too much."""
    flips = rs.FunctionMap(
        lambda s, u: np.where((u > low) & (u < high), -s, s), state_size=1, input_size=1, readout_size=2,
        readout=lambda s: np.concatenate([-5 * s, 5 * s], -1), initial=lambda n, rng: np.ones((n, 1)),
    )  # fmt: skip
    return rs.Subject(flips, noise_task())


@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (0.5, 1.0), (1.0, 4.0)])
def test_a_band_has_a_peak_where_it_was_planted(low, high):
    """P(low < a u < high) is largest where a^2 = (high^2 - low^2) / (2 ln(high / low))."""
    amplitudes = np.arange(0, 6.01, 0.25)
    found = stochastic_resonance(band(low, high), amplitudes=tuple(amplitudes), **FEW)
    a = np.maximum(amplitudes, 1e-9)
    expected = norm.cdf(high / a) - norm.cdf(low / a)
    assert (np.abs(found.rate - expected) < 5 * np.sqrt(expected / 6000) + 1e-9).all()
    best = np.sqrt((high**2 - low**2) / (2 * np.log(high / low)))
    assert found.peak.low - 0.25 <= best <= found.peak.high + 0.25
    assert found.peak.high - found.peak.low < 3.5
    assert "the rate is highest at amplitude" in found.summary()


@pytest.mark.parametrize("p", [0.05, 0.2])
def test_a_rate_that_only_rises_has_no_peak(p):
    found = stochastic_resonance(telegraph(p), amplitudes=(0.25, 0.5, 1.0, 2.0, 4.0), **FEW)
    expected = norm.sf(norm.isf(p) / found.amplitude)
    assert (np.abs(found.rate - expected) < 5 * np.sqrt(expected / 6000) + 1e-9).all()
    assert np.isnan(found.peak.amplitude)
    assert "no peak within the range" in found.summary()


def test_a_double_well_under_process_noise_rises_as_kramers_has_it():
    wells = rs.FunctionMap(
        lambda h: h + 0.25 * (h - h**3), state_size=1, domain=(-5, 5), readout_size=2,
        readout=lambda h: np.concatenate([h, -h], -1), initial=lambda n, rng: np.ones((n, 1)),
    )  # fmt: skip
    found = stochastic_resonance(wells, noise=0.25, amplitudes=(0.6, 0.8, 1.0, 1.2, 1.4), n_trials=40, n_steps=600)
    assert (np.diff(found.rate) > 0).all()
    assert np.isnan(found.peak.amplitude)
    # ln rate falls as a barrier over the squared amplitude: a straight line in 1 / a^2.
    x, y = 1 / found.amplitude**2, np.log(found.rate)
    assert np.corrcoef(x, y)[0, 1] < -0.98
    assert found.drive == "noise"
    assert found.mixing.g.size == 0, "nothing is shown that could be mixed"


@pytest.mark.parametrize("seed", range(3))
def test_without_biases_the_largest_output_does_not_hang_on_the_amplitude(seed):
    """An identity: h scales with what is shown, and a readout without bias with h."""
    task = noise_task(5)
    network = rs.Network(
        rs.cells.Vanilla(20, nonlinearity="relu", bias=False), 5, 2, generator=torch.Generator().manual_seed(seed)
    )
    subject = rs.Subject(network.map(), task)
    bias = network.map().readout(np.zeros((1, 20)))
    found = stochastic_resonance(subject, amplitudes=(0.5, 1.0, 2.0), **FEW)
    assert found.homogeneity.scales
    if not bias.any():
        assert found.peak.invariant
        assert "does not hang on the amplitude" in found.summary()
        assert (found.rate == found.rate[0]).all()
    with_bias = rs.Network(rs.cells.Vanilla(20, nonlinearity="relu"), 5, 2, generator=torch.Generator().manual_seed(0))
    assert not stochastic_resonance(
        rs.Subject(with_bias.map(), task), amplitudes=(0.5, 1.0, 2.0), **FEW
    ).homogeneity.scales


@pytest.mark.parametrize("p", [0.1, 0.3])
def test_mixed_noise_has_the_variance_that_is_said(p):
    found = stochastic_resonance(telegraph(p, length=200), amplitudes=(0.5, 1.0), mixed=(0.0, 0.5, 1.0), **FEW).mixing
    z = norm.isf(p)
    expected = {
        "fresh": norm.sf(z / np.sqrt([1, 0.5, 1])),
        "fresh, rescaled": norm.sf(z / np.ones(3)),
    }
    for kind, rates in expected.items():
        row = found.kind.index(kind)
        assert (np.abs(found.rate[row] - rates) < 5 * np.sqrt(rates / 6000)).all(), kind
    # Of noise that is held, each trial always or never flips.
    row = found.kind.index("constant")
    assert set(np.unique(found.rate[row, 2] * 30).round(9) % 1) == {0.0}


def test_a_copy_that_is_one_has_no_errors_but_of_chance_and_another_has():
    independent = rs.tasks.HMM([[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]])  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    found = copy_errors(independent, np.zeros((50, 400, 2)), rng)
    assert found.volatility == pytest.approx(0.5, abs=0.02)
    assert max(found.frequency, found.transition) < 0.02
    other = copy_errors(independent, np.broadcast_to([np.log(3), 0.0], (50, 400, 2)), rng)
    assert other.frequency == pytest.approx(0.25, abs=0.02)
    assert other.transition == pytest.approx(0.25, abs=0.02)
    assert other.volatility == pytest.approx(2 * 0.75 * 0.25, abs=0.02)
    assert other.volatility_error == pytest.approx(np.sqrt(0.25 / 20000), rel=0.6)


def test_only_where_a_model_is_known_is_there_a_copy():
    assert model_of(telegraph(0.1)) is not None
    network = rs.Network(rs.cells.GRU(4), 1, 2)
    subject = rs.Subject(network.map(), rs.tasks.Parity(2))
    assert model_of(subject) is None
    assert stochastic_resonance(subject, amplitudes=(0.5, 1.0), **FEW).copy is None


def test_bad_settings_and_what_is_not_driven_are_refused():
    with pytest.raises(ValueError, match="at least two in rising order"):
        stochastic_resonance(telegraph(0.1), amplitudes=(1.0, 0.5))
    with pytest.raises(ValueError, match="mixed"):
        stochastic_resonance(telegraph(0.1), mixed=(1.5,))
    with pytest.raises(NotApplicable, match="nothing drives"):
        stochastic_resonance(rs.Network(rs.cells.GRU(4), 3, 2))
