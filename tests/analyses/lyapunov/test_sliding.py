"""The exponent of the last few steps: closed forms, and the windows of the verb."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.lyapunov.sliding import TooLarge, sliding_exponents


def test_a_linear_map_grows_by_the_norm_of_its_power():
    rng = np.random.default_rng(3)
    matrix = rng.normal(0, 0.6, (5, 5))
    found = sliding_exponents(
        rs.FunctionMap(lambda h: h @ matrix.T, state_size=5), rng.normal(size=(12, 5)), np.zeros((12, 0))
    )
    assert np.isnan(found[:7]).all()
    expected = np.log(np.linalg.norm(np.linalg.matrix_power(matrix, 8), 2)) / 8
    np.testing.assert_allclose(found[7:], expected, rtol=1e-6)


def test_it_is_the_finite_time_exponent_of_each_window():
    torch.manual_seed(4)
    network = rs.Network(rs.cells.GRU(7), 2, 1)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1, 40, 2))
    subject = rs.Subject(network.map(), rs.tasks.FlipFlop(2))
    windows = rs.analyses.finite_time_exponents(subject, inputs=inputs, window=8)
    shown = subject.trajectories(inputs=inputs)
    before = np.concatenate([shown.initial[0][None], shown.states[0, :-1]])
    found = sliding_exponents(subject.map, before, inputs[0])
    np.testing.assert_allclose(found[7::8], windows.exponents[0, :, 0], atol=5e-3)


def test_what_forgets_at_once_and_what_explodes():
    zero = rs.FunctionMap(lambda h: 0 * h, jacobian=lambda h: np.zeros((*h.shape, 3)), state_size=3)
    found = sliding_exponents(zero, np.zeros((10, 3)), np.zeros((10, 0)))
    assert np.isneginf(found[7:]).all()
    steep = rs.FunctionMap(
        lambda h: 1e60 * h, jacobian=lambda h: np.broadcast_to(1e60 * np.eye(2), (*h.shape, 2)), state_size=2
    )
    found = sliding_exponents(steep, np.zeros((10, 2)), np.zeros((10, 0)))
    np.testing.assert_allclose(found[7:], 60 * np.log(10))
    assert np.isnan(sliding_exponents(zero, np.zeros((3, 3)), np.zeros((3, 0)))).all(), "shorter than a window"


def test_what_does_not_fit_is_refused():
    large = rs.FunctionMap(lambda h: h, state_size=2000)
    with pytest.raises(TooLarge, match="10 steps of 2000 numbers"):
        sliding_exponents(large, np.zeros((10, 2000)), np.zeros((10, 0)))
