"""Transients that are chosen by what is seen, and how many starts say that all are forgotten."""

import jaxtyping
import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from rnnscope.records.labelled import from_xarray, to_xarray


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which takes longer than all the steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def dissipative_standard(friction, pull=2.0):
    def step(v):
        velocity = friction * v[..., 1] + pull * np.sin(v[..., 0])
        return np.stack([v[..., 0] + velocity, velocity], -1)

    def jacobian(v):
        rows, slope = np.zeros((*v.shape, 2)), pull * np.cos(v[..., 0])
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0], rows[..., 1, 1] = 1 + slope, friction, slope, friction
        return rows

    return rs.FunctionMap(step, jacobian=jacobian, state_size=2)


def slow_approach(rate):
    """y creeps to 0, and x grows by exp(y - .5) a step."""
    return rs.FunctionMap(
        lambda v: np.stack([0 * v[..., 0], (1 - rate) * v[..., 1]], -1),
        jacobian=lambda v: np.stack(
            [
                np.stack([np.exp(v[..., 1] - 0.5), 0 * v[..., 1]], -1),
                np.stack([0 * v[..., 0], np.full(v.shape[:-1], 0.1)], -1),
            ],
            -2,
        ),
        state_size=2,
    )


@pytest.mark.parametrize("rate", [1e-3, 2e-3])
def test_what_still_changes_is_waited_for(rate):
    starts = np.random.default_rng(0).uniform([0, 1.5], [0, 2], (5, 2))
    found = lyapunov_spectrum(slow_approach(rate), starts=starts, n_steps=400)
    assert found.starts.transient > 200
    assert found.converged[0]
    assert abs(found.exponents[0] + 0.5) <= 2 * found.standard_error[0]
    short = lyapunov_spectrum(slow_approach(rate), starts=starts, n_steps=400, transient=200)
    assert short.starts.transient == 200
    assert not short.converged[0]
    assert "after a transient of 200 steps that is too short" in short.summary()


def test_chaotic_transients_of_weak_friction_are_waited_for():
    # In the end all orbits are on sinks, with complex multipliers: λ_1 = λ_2 = ln(friction) / 2.
    rng = np.random.default_rng(0)
    starts = np.stack([rng.uniform(0, 6.28, 10), rng.uniform(-1, 1, 10)], -1)
    found = lyapunov_spectrum(dissipative_standard(0.99), starts=starts)
    assert found.starts.transient > 200
    assert abs(found.exponents[0] - np.log(0.99) / 2) <= 2 * found.standard_error[0]


def test_what_has_settled_is_not_waited_for():
    skew = rs.FunctionMap(
        lambda x: np.where(x < 0.3, x / 0.3, (1 - x) / 0.7),
        jacobian=lambda x: np.where(x < 0.3, 1 / 0.3, -1 / 0.7)[..., None],
        state_size=1,
        domain=(0, 1),
    )
    waited = [lyapunov_spectrum(skew, n_steps=200, seed=seed).starts.transient > 200 for seed in range(15)]
    assert sum(waited) <= 1


def wells(threshold):
    """Starts below the threshold go to one attractor, those above to another; both follow the input."""

    def centre(h):
        return np.where(h > threshold, 1.0, 0.0)

    return rs.FunctionMap(
        lambda h, u: centre(h) + 0.5 * (h - centre(h)) * (1 + 0 * u) + 0.001 * u,
        jacobian=lambda h, u: np.full((*h.shape, 1), 0.5),
        state_size=1,
        input_size=1,
        domain=(0, 1),
    )


INPUTS = np.random.default_rng(3).uniform(-1, 1, (150, 1))
SETTINGS = {"inputs": INPUTS, "n_steps": 100, "transient": 50}


@pytest.mark.parametrize("share", [0.05, 0.08, 0.12])
def test_a_second_basin_that_ten_starts_miss_is_found(share):
    missed, found = 0, 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        few = rng.uniform(0, 1 - share, (10, 1))  # as ten starts of which none happens to be in the small basin
        ten = lyapunov_spectrum(wells(1 - share), starts=few, n_others=0, seed=seed, **SETTINGS)
        all_ = lyapunov_spectrum(wells(1 - share), starts=few, seed=seed, **SETTINGS)
        missed += ten.echo_state is True
        found += all_.echo_state is False
        if all_.starts.n_apart:
            assert f"starts are not forgotten, {all_.starts.n_apart} of 100 random ones" in all_.summary()
    assert missed == 12
    # A hundred miss it with a chance of (1 - share)^100, below .6 %.
    assert found >= 11


def test_what_so_many_starts_bound_is_said():
    contraction = rs.FunctionMap(
        lambda h, u: 0.5 * h + u, jacobian=lambda h, u: np.full((*h.shape, 1), 0.5), state_size=1, input_size=1
    )
    for n, bound in ((0, 0.2589), (100, 0.0295), (300, 0.0099)):
        found = lyapunov_spectrum(contraction, n_others=n, **SETTINGS)
        assert found.echo_state is True
        assert found.starts.n_others == n
        assert found.starts.share_open == pytest.approx(bound, abs=1e-4)
        assert (1 - found.starts.share_open) ** found.starts.n_compared == pytest.approx(0.05)
        assert f"of such starts at most {100 * found.starts.share_open:.2g} % are not (95 %)" in found.summary()


def test_results_that_were_saved_before_still_open():
    found = lyapunov_spectrum(wells(2.0), n_others=0, **SETTINGS)
    tree = to_xarray(found)
    for name in ("n_others", "n_apart"):
        del tree["starts"].attrs[name]
    back = from_xarray(LyapunovSpectrum, tree)
    assert (back.starts.n_others, back.starts.n_apart) == (0, 0)
    assert back.summary() == found.summary()
