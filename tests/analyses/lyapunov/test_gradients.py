"""The norm of gradients: against automatic differentiation, and against the exponent of the same dynamics."""

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.lyapunov import GradientGrowth, gradient_growth, lyapunov_spectrum
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.tasks.task import Trials


def a_module(kind):
    torch.manual_seed(0)
    return kind(2, 6).double()


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_it_is_the_gradient_that_automatic_differentiation_gives(kind):
    module = a_module(kind)
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((2, 9, 2))
    size = rs.as_subject(module).map.state_size
    direction = rng.standard_normal(size)
    found = gradient_growth(module, inputs=inputs, directions=direction[None])
    state_map = rs.as_subject(module).map
    for trial in range(2):
        for lag in (1, 4, 9):
            state = np.zeros((1, size))
            for t in range(9 - lag):
                state = state_map.step(state, inputs[trial, t][None])
            start = torch.from_numpy(state).requires_grad_()
            h, c = (start, None) if size == 6 else start.chunk(2, 1)
            now = (h[None].contiguous(), c[None].contiguous()) if c is not None else h[None]
            _, end = module(torch.from_numpy(inputs[trial, 9 - lag :, None]), now)
            end = torch.cat([part[0] for part in end], 1) if c is not None else end[0]
            (end @ torch.from_numpy(direction / np.linalg.norm(direction))).sum().backward()
            assert found.log_norm[trial, lag] == pytest.approx(np.log(start.grad.norm().item()), abs=1e-9)


def test_all_directions_give_the_norm_of_the_jacobian_of_the_whole_way():
    module = a_module(torch.nn.RNN)
    state_map = rs.as_subject(module).map
    inputs = np.random.default_rng(1).standard_normal((1, 5, 2))
    found = gradient_growth(module, inputs=inputs)
    state, product = np.zeros((1, 6)), np.eye(6)
    for t in range(5):
        product = state_map.jacobian(state, inputs[:, t])[0] @ product
        state = state_map.step(state, inputs[:, t])
    assert found.n_vectors == 6
    assert found.log_norm[0, 5] == pytest.approx(np.log(np.linalg.norm(product) / np.sqrt(6)), abs=1e-10)


def test_trials_end_where_they_end():
    halves = rs.FunctionMap(lambda h, u: u * h, jacobian=lambda h, u: u[..., None], state_size=1, input_size=1)
    inputs = np.full((2, 6, 1), 0.5, np.float32)
    inputs[1, 3:] = 100.0  # padding that would be noticed
    shown = Trials(inputs, inputs, np.ones((2, 6), bool), {"length": np.array([6, 3])})
    found = gradient_growth(halves, inputs=shown)
    np.testing.assert_allclose(found.log_norm[0], -np.arange(7) * np.log(2), atol=1e-12)
    np.testing.assert_allclose(found.log_norm[1, :4], -np.arange(4) * np.log(2), atol=1e-12)
    assert np.isnan(found.log_norm[1, 4:]).all()
    np.testing.assert_allclose(found.rate, -np.log(2))


def test_it_goes_by_the_first_exponent_of_the_same_dynamics(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check takes longer than all the steps
    module = torch.nn.RNN(1, 40, bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.from_numpy(np.random.default_rng(0).normal(0, 2.5 / np.sqrt(40), (40, 40))))
        module.weight_ih_l0.zero_()
    found = gradient_growth(module, n_vectors=1, n_trials=16, n_steps=300)
    exponent = lyapunov_spectrum(module, n_exponents=1, n_starts=16, n_steps=300, seed=1)
    rate, error = found.mean_rate
    assert rate == pytest.approx(exponent.exponents[0], abs=3 * np.hypot(error, exponent.standard_error[0]))
    assert error < 0.02
    assert found.summary().startswith("gradients explode: 0.")


def test_norms_that_floats_do_not_hold():
    found = gradient_growth(rs.FunctionMap(lambda x: 1e-3 * x, state_size=2), n_steps=300, n_trials=2)
    np.testing.assert_allclose(found.log_norm[:, -1], -900 * np.log(10), rtol=1e-6)
    assert "300 steps back their norm is 1.0e-900" in found.summary()
    assert found.summary().startswith("gradients vanish: -6.9078")
    assert "per step" in found.figure().layout.title.text


def test_dead_and_diverged():
    dead = gradient_growth(rs.FunctionMap(lambda x: 0 * x, state_size=2), n_steps=8, n_trials=2)
    assert (dead.rate == -np.inf).all()
    assert (dead.log_norm[:, 1:] == -np.inf).all()
    assert "their norm is 0" in dead.summary()
    dead.figure()

    grows = rs.FunctionMap(lambda x, u: x**2 + u, state_size=1, input_size=1, initial=lambda n, _: np.full((n, 1), 0.5))
    inputs = np.zeros((3, 30, 1))
    inputs[1] = 10.0
    found = gradient_growth(grows, inputs=inputs)
    assert found.diverged_at[[0, 2]].tolist() == [-1, -1]
    assert np.isnan(found.log_norm[1]).all()
    assert "1 of 3 trials diverged" in found.summary()
    gone = gradient_growth(grows, inputs=inputs[1:2])
    assert gone.summary() == "no gradients: 1 of 1 trials diverged"
    assert "diverged" in gone.figure().layout.annotations[0].text


def test_results_survive_xarray():
    found = gradient_growth(a_module(torch.nn.RNN), n_steps=5, n_trials=3)
    back = from_xarray(GradientGrowth, to_xarray(found))
    assert back.summary() == found.summary()
    assert found.drive == "constant input"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_vectors": 0}, "n_vectors must be at least 1"),
        ({"n_trials": 0}, "n_trials must be at least 1"),
        ({"directions": np.ones((2, 5))}, r"\(vector, 6\).*got \(2, 5\)"),
        ({"directions": np.zeros((1, 6))}, "none of them a row of zeros"),
        ({"inputs": np.zeros((3, 10, 4))}, r"\(trial, time, 2\), got \(3, 10, 4\)"),
        ({"inputs": np.zeros((3, 0, 2))}, r"at least one trial and one step, got shape \(3, 0, 2\)"),
        ({"inputs": np.full((2, 9, 2), np.inf)}, "inputs must be finite numbers"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        gradient_growth(a_module(torch.nn.RNN), **arguments)


def test_a_jacobian_that_is_not_a_number_is_refused():
    broken = rs.FunctionMap(lambda x: x / 2, jacobian=lambda x: np.full((*x.shape, 2), np.nan), state_size=2)
    with pytest.raises(ValueError, match="the Jacobian is not a number at the state"):
        gradient_growth(broken, n_steps=5)
