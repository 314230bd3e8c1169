"""Finite-time exponents where the singular values of the whole way are known."""

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.lyapunov import FiniteTimeExponents, finite_time_exponents, lyapunov_spectrum
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.tasks.task import Trials


def driven(n=5, n_inputs=2, gain=2.0, seed=0):
    rng = np.random.default_rng(seed)
    weight, weight_in = rng.normal(0, gain / np.sqrt(n), (n, n)), rng.normal(0, 1, (n, n_inputs))

    def step(h, u):
        return np.tanh(h @ weight.T + u @ weight_in.T)

    return rs.FunctionMap(
        step,
        jacobian=lambda h, u: (1 - step(h, u) ** 2)[..., None] * weight,
        state_size=n,
        input_size=n_inputs,
        initial=lambda n_trials, rng: np.full((n_trials, n), 0.3),
    )


def by_hand(state_map, inputs, lengths, first=0):
    """Singular values of the product of Jacobians, trial by trial."""
    found = []
    for shown, length in zip(inputs, lengths, strict=True):
        state, product = state_map.initial_states(1, np.random.default_rng(0))[0], np.eye(state_map.state_size)
        for t in range(first + length):
            if t >= first:
                product = state_map.jacobian(state, shown[t]) @ product
            state = state_map.step(state, shown[t])
        found.append(np.log(np.linalg.svd(product)[1]) / length)
    return np.array(found)


def trials(n=6, seed=1):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, 12, 2)).astype(np.float32)
    length = np.array([12, 7, 9, 12, 5, 8])[:n]
    mask = np.arange(12) < length[:, None]
    return Trials(inputs, inputs, mask, {"length": length, "kind": np.array([0, 1, 0, 1, 0, 1])[:n]})


@pytest.mark.parametrize("k", [1, 5])
def test_trials_of_several_lengths(k):
    shown = trials()
    found = finite_time_exponents(driven(), inputs=shown, n_exponents=k)
    assert found.exponents.shape == (6, 1, k)
    np.testing.assert_array_equal(found.length[:, 0], shown.info["length"])
    true = by_hand(driven(), shown.inputs.astype(np.float64), shown.info["length"])
    # ln of the singular values to .01, over so many steps
    error = np.abs(found.exponents[:, 0] - true[:, :k]) * shown.info["length"][:, None]
    assert error.max() < 0.01
    assert found.converged.all()


def test_finite_differences_serve_for_a_missing_jacobian():
    net, shown = driven(), trials()
    plain = rs.FunctionMap(net._step, state_size=5, input_size=2, initial=net._initial)
    found = finite_time_exponents(plain, inputs=shown, n_exponents=5)
    exact = finite_time_exponents(net, inputs=shown, n_exponents=5)
    np.testing.assert_allclose(found.exponents, exact.exponents, atol=1e-4)
    assert np.ptp(exact.exponents, axis=2).max() * 12 > np.log(1e10), "the last is below what differences leave"


def test_windows_and_labels():
    shown = trials()
    found = finite_time_exponents(driven(), inputs=shown, window=4, label="kind")
    assert found.start.tolist() == [0, 4, 8]
    np.testing.assert_array_equal(found.length > 0, [[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 0]])
    assert np.isnan(found.exponents[1, 1:]).all()
    third = by_hand(driven(), shown.inputs[[0, 3]].astype(np.float64), [4, 4], first=8)
    np.testing.assert_allclose(found.exponents[[0, 3], 2, 0], third[:, 0], atol=0.0025)
    assert found.trial_label.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.label_names == ("0", "1")
    own = finite_time_exponents(driven(), inputs=shown, trial_labels=["a", "b", "a", "b", "c", "c"])
    assert own.label_names == ("a", "b", "c")
    assert "mean of a: " in own.summary()
    assert [trace.name for trace in found.figure().data if trace.xaxis == "x"] == ["0", "1"]


def test_one_dimension_has_nothing_but_the_mean_of_logarithms():
    logistic = rs.FunctionMap(
        lambda x: 4 * x * (1 - x), jacobian=lambda x: (4 - 8 * x)[..., None], state_size=1, domain=(0, 1)
    )
    found = finite_time_exponents(logistic, window=25, n_steps=100, n_trials=40, seed=2)
    assert found.exponents.shape == (40, 4, 1)
    assert found.mean[0] == pytest.approx(np.log(2), abs=0.02)
    assert found.drive == "no input"
    # T λ = T ln 2 + ln|sin πθ_T| - ln|sin πθ_0| with θ uniform, and the variance of ln|sin πθ| is π^2 / 12.
    assert found.exponents.std() == pytest.approx(np.pi / np.sqrt(6) / 25, rel=0.2)


def test_long_windows_give_the_spectrum(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check takes longer than all the steps
    torch.manual_seed(0)
    module = torch.nn.RNN(1, 8, bias=False)
    with torch.no_grad():
        module.weight_hh_l0.mul_(2.5)
    found = finite_time_exponents(module, n_exponents=8, n_trials=4, n_steps=200)
    spectrum = lyapunov_spectrum(module, n_starts=4, n_steps=200, transient=100)
    np.testing.assert_allclose(found.mean[:4], spectrum.exponents[:4], atol=0.03)
    # The volume grows alike, however it is cut.
    cut = finite_time_exponents(module, n_exponents=8, n_trials=4, n_steps=200, window=50)
    assert cut.mean.sum() == pytest.approx(found.mean.sum(), abs=1e-6)


def test_forgotten_and_diverged():
    forgets = rs.FunctionMap(
        lambda x, u: u * x * [1, 0], state_size=2, input_size=1, initial=lambda n, _: np.ones((n, 2))
    )
    found = finite_time_exponents(forgets, inputs=np.full((3, 10, 1), 0.5), n_exponents=2)
    np.testing.assert_allclose(found.exponents[..., 0], np.log(0.5), atol=1e-6)
    assert (found.exponents[..., 1] < -3).all()
    assert found.converged.all()

    grows = rs.FunctionMap(lambda x, u: x**2 + u, state_size=1, input_size=1)
    inputs = np.zeros((3, 30, 1))
    inputs[1] = 10.0
    found = finite_time_exponents(grows, inputs=inputs)
    assert found.diverged_at[[0, 2]].tolist() == [-1, -1]
    assert 5 < found.diverged_at[1] < 15
    assert np.isnan(found.exponents[1]).all()
    assert "1 of 3 trials diverged" in found.summary()
    assert (found.exponents[0] == -np.inf).all(), "at the bottom of x^2 everything is forgotten"
    gone = finite_time_exponents(grows, inputs=np.full((2, 30, 1), 10.0))
    assert gone.summary() == "no finite-time exponents: 2 of 2 trials diverged"
    assert "diverged" in gone.figure().layout.annotations[0].text


def test_results_survive_xarray():
    found = finite_time_exponents(driven(), inputs=trials(), window=4, label="kind")
    back = from_xarray(FiniteTimeExponents, to_xarray(found))
    assert back.summary() == found.summary()
    assert to_xarray(found)["exponents"].dims == ("trial", "window", "exponent")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"window": 13}, "window must be from 1 to 12, .*got 13"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"n_exponents": 6}, "n_exponents must be from 1 to 5"),
        ({"label": "colour"}, "no label 'colour'.*they have: kind, length"),
        ({"trial_labels": [0, 1]}, r"there are 6 trials, so labels must have shape \(6,\), got \(2,\)"),
        ({"trial_labels": [0] * 6, "label": "kind"}, "choose one"),
        ({"inputs": np.zeros((3, 10, 4))}, r"\(trial, time, 2\), got \(3, 10, 4\)"),
        ({"input": [0.0, 0.0]}, "choose one"),
        ({"inputs": np.zeros((3, 0, 2))}, r"at least one trial and one step, got shape \(3, 0, 2\)"),
        ({"inputs": np.zeros((0, 9, 2))}, r"at least one trial and one step, got shape \(0, 9, 2\)"),
        ({"inputs": np.full((2, 9, 2), np.nan)}, "inputs must be finite numbers, and are not in trial 0 at step 0"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        finite_time_exponents(driven(), **{"inputs": trials(), **arguments})


def test_trials_must_be_finite_where_they_are_shown():
    shown = trials()
    shown.inputs[1, 9] = np.nan  # in the padding
    assert np.isfinite(finite_time_exponents(driven(), inputs=shown).exponents).all()
    shown.inputs[3, 9] = np.nan
    with pytest.raises(ValueError, match="inputs must be finite numbers, and are not in trial 3 at step 9"):
        finite_time_exponents(driven(), inputs=shown)
    shown.info["length"][:] = 0
    with pytest.raises(ValueError, match="at least one trial and one step"):
        finite_time_exponents(driven(), inputs=shown)


def test_what_is_no_whole_number_is_named(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # a user has no run-time check of annotations
    with pytest.raises(TypeError, match=r"window must be a whole number of at least 1 or None, got 4\.0"):
        finite_time_exponents(driven(), inputs=trials(), window=4.0)
    with pytest.raises(TypeError, match=r"n_steps must be a whole number of at least 1, got 100\.0"):
        finite_time_exponents(driven(), n_steps=100.0)


def test_a_jacobian_that_is_not_a_number_is_refused():
    broken = rs.FunctionMap(lambda x: x / 2, jacobian=lambda x: np.full((*x.shape, 2), np.nan), state_size=2)
    with pytest.raises(ValueError, match="the Jacobian is not a number at the state"):
        finite_time_exponents(broken, n_steps=5)
