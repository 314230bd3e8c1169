"""What noise holds up: processes whose collapse, period, turning and scaling are known."""

from typing import Any

import numpy as np
import pytest
import torch
from driven_systems import kicked, linear, noise_task, telegraph

import rnnscope as rs
from rnnscope.analyses import NotApplicable, sustained_orbit
from rnnscope.analyses.noise.homogeneity import homogeneity_of
from rnnscope.analyses.noise.periods import period_of
from rnnscope.analyses.noise.turning import rotation_of

FEW: dict[str, Any] = {"n_trials": 20, "n_steps": 200, "n_alone": 60, "n_starts": 20}


def turn(angle: float, size: float) -> np.ndarray:
    return size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def limit_cycle(angle: float, pull: float = 0.3, noise: float = 0.1) -> rs.Subject:
    """A noisy circle on which the state goes on by this angle in a step."""
    rotation = turn(angle, 1.0)

    def step(h, u):
        size = np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-12)
        return (h @ rotation.T) * (1 - pull + pull / size) + noise * u

    found = rs.FunctionMap(
        step, state_size=2, input_size=2, readout_size=2, readout=lambda h: np.stack([h[..., 0], -h[..., 0]], -1),
        initial=lambda n, rng: rng.standard_normal((n, 2)),
    )  # fmt: skip
    return rs.Subject(found, noise_task(2))


@pytest.mark.parametrize(("angle", "sign"), [(0.4, 1), (-0.4, -1), (0.15, 1)])
def test_a_noisy_limit_cycle_turns_one_way_and_has_a_period(angle, sign):
    found = sustained_orbit(limit_cycle(angle), **FEW)
    assert found.rotation.verdict == "one way"
    assert abs(found.rotation.ratio) > 0.9
    assert abs(found.rotation.area) > 0.9
    assert abs(found.rotation.turns) == pytest.approx(100 * abs(angle) / (2 * np.pi), rel=0.05)
    assert found.period.steps == pytest.approx(2 * np.pi / abs(angle), rel=0.1)
    assert found.collapse.end > 0.5, "it goes on alone"
    assert "stays without what drives it" in found.summary()
    del sign


@pytest.mark.parametrize("seed", range(3))
def test_a_reversible_process_does_not_turn_and_has_no_period(seed):
    """A linear process with a symmetric matrix and noise of the same size everywhere is reversible."""
    found = sustained_orbit(linear([[0.8, 0.1], [0.1, 0.6]]), seed=seed, **FEW)
    assert abs(found.rotation.ratio) < 4 * found.rotation.error + 1e-9
    assert abs(found.rotation.area) < 0.05
    assert np.isnan(found.period.steps), found.summary()
    assert found.rotation.shuffled < 0.05


def test_false_alarms_about_turning_are_as_rare_as_intervals_say():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(40):
        path = np.zeros((30, 100, 2))
        for t in range(1, 100):
            path[:, t] = path[:, t - 1] * [0.9, 0.5] + rng.standard_normal((30, 2))
        alarms += rotation_of(path, 19, rng).verdict != "none"
    assert alarms <= 11, "two intervals of 95 %, of which each errs in 1 of 20: 4 of 40 in the mean"


def test_reversed_in_time_it_turns_the_other_way():
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.standard_normal((20, 80, 2)), 1)
    path -= path.mean((0, 1))
    there, back = (rotation_of(each, 19, np.random.default_rng(1)) for each in (path, path[:, ::-1]))
    assert there.ratio == pytest.approx(-back.ratio, abs=1e-12)
    assert there.area == pytest.approx(-back.area, abs=1e-12)


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_a_linear_map_collapses_at_its_rate(rho):
    found = sustained_orbit(linear(turn(0.3, rho)), **FEW)
    assert found.collapse.end == pytest.approx(rho**60, rel=1e-6)
    assert found.collapse.largest == pytest.approx(rho**found.collapse.step, rel=1e-6)
    assert found.collapse.rate == pytest.approx(np.log(rho), rel=1e-3)


def test_alone_a_state_that_runs_away_is_infinite():
    found = sustained_orbit(linear(1.01 * np.eye(2)), n_trials=4, n_steps=20, n_alone=200_000 // 1000, n_starts=3)
    assert found.collapse.end == pytest.approx(1.01**200)
    assert "stays without" in found.summary()


def test_homogeneity_is_an_identity_of_rectified_units_without_biases_alone():
    task = noise_task(4)
    kinds = {
        "relu": (rs.cells.Vanilla(6, nonlinearity="relu", bias=False), True, True),
        "relu, biases": (rs.cells.Vanilla(6, nonlinearity="relu"), False, False),
        "tanh": (rs.cells.Vanilla(6, bias=False), False, False),
        "gru": (rs.cells.GRU(6), False, False),
    }
    for name, (cell, homogeneous, identity) in kinds.items():
        network = rs.Network(cell, 4, 2, generator=torch.Generator().manual_seed(0))
        found = sustained_orbit(rs.Subject(network.map(), task), **FEW)
        assert (found.homogeneity.error < 1e-9) == homogeneous, name
        assert found.homogeneity.identity == identity, name
        assert ("an identity of this network" in found.summary()) == identity, name
        if homogeneous:
            assert found.radius.slope == pytest.approx(1, abs=1e-9)
            assert found.homogeneity.scales


def test_what_is_homogeneous_without_saying_so_is_seen_and_not_called_an_identity():
    absolute = rs.FunctionMap(lambda h, u: 0.5 * np.abs(h) + u, state_size=2, input_size=2)
    subject = rs.Subject(absolute, noise_task(2))
    found = homogeneity_of(subject, np.random.default_rng(0).standard_normal((20, 2)), np.random.default_rng(1))
    assert found.error < 1e-12
    assert not found.identity
    assert "not proven" in found.words()


@pytest.mark.parametrize("p", [0.05, 0.2])
def test_a_telegraph_dwells_for_1_over_p(p):
    found = sustained_orbit(telegraph(p), n_trials=40, n_steps=200, n_alone=20, n_starts=5)
    for k in range(2):
        assert abs(found.dwelling.steps[k] - 1 / p) < 4 * found.dwelling.error[k]
        assert found.dwelling.error[k] == pytest.approx(np.sqrt((1 - p) / p**2 / found.dwelling.ends[k]), rel=0.4)
    assert found.dwelling.share.sum() == pytest.approx(1)


def test_the_radius_of_a_linear_process_is_proportional_and_known():
    found = sustained_orbit(linear(0.8 * np.eye(3)), **FEW)
    expected = np.sqrt(3 / (1 - 0.64)) * found.radius.amplitude
    assert found.radius.radius == pytest.approx(expected, rel=0.05)
    assert found.radius.slope == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("steps", "there"), [(8, True), (25, True), (None, False)])
def test_a_period_in_red_noise_is_found_and_red_noise_has_none(steps, there):
    rng = np.random.default_rng(5)
    path = np.zeros((30, 300, 2))
    for t in range(1, 300):
        path[:, t] = 0.9 * path[:, t - 1] + rng.standard_normal((30, 2))
    if steps:
        phase = rng.uniform(0, 2 * np.pi, (30, 1))
        path[..., 0] += 2 * np.cos(2 * np.pi * np.arange(300) / steps + phase)
    found = period_of(path - path.mean((0, 1)), 99, np.random.default_rng(1))
    assert np.isfinite(found.steps) == there, found.words()
    if there:
        assert found.steps == pytest.approx(steps, rel=0.1)
        assert found.width < 0.02
    flat = period_of(np.zeros((3, 20, 2)), 19, rng)
    assert (flat.p_value, np.isnan(flat.steps)) == (1.0, True)


def test_what_is_not_driven_is_refused():
    with pytest.raises(NotApplicable, match="nothing drives"):
        sustained_orbit(rs.Network(rs.cells.GRU(4), 3, 2))
    with pytest.raises(ValueError, match="n_surrogates must be"):
        sustained_orbit(kicked(), n_surrogates=5)
