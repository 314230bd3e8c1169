"""Lyapunov spectra that are known, exactly or from the literature."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from rnnscope.results import from_xarray, to_xarray


def henon():
    def step(x):
        return np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1)

    def jacobian(x):
        rows = np.zeros((*x.shape, 2))
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0] = -2.8 * x[..., 0], 1.0, 0.3
        return rows

    return rs.FunctionMap(step, jacobian=jacobian, state_size=2)


def linear(matrix):
    matrix = np.asarray(matrix, float)
    return rs.FunctionMap(
        lambda x: x @ matrix.T,
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, len(matrix))),
        state_size=len(matrix),
    )


def random_tanh(n, gain, input_size=0, seed=0):
    rng = np.random.default_rng(seed)
    weight, weight_in = rng.normal(0, gain / np.sqrt(n), (n, n)), rng.normal(0, 1, (n, input_size))

    def step(h, u=None):
        return np.tanh(h @ weight.T + (0 if u is None else u @ weight_in.T))

    def jacobian(h, u=None):
        return (1 - step(h, u) ** 2)[..., None] * weight

    return rs.FunctionMap(
        step, jacobian=jacobian, state_size=n, input_size=input_size, domain=(-np.ones(1), np.ones(1))
    )


def test_henon():
    found = lyapunov_spectrum(henon(), n_steps=2000, n_starts=40)
    np.testing.assert_allclose(found.exponents, [0.419, -1.623], atol=0.006)
    assert found.exponents.sum() == pytest.approx(np.log(0.3), abs=1e-10)
    assert found.kaplan_yorke == pytest.approx(1.258, abs=0.004)
    assert found.entropy_rate == pytest.approx(0.419, abs=0.006)
    assert found.converged, found.summary()
    assert np.all(found.standard_error < 0.005)
    assert found.drive == "no input"


def test_cat_map_and_logistic_map():
    matrix = np.array([[2.0, 1.0], [1.0, 1.0]])
    cat = rs.FunctionMap(
        lambda x: (x @ matrix.T) % 1.0,
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, 2)),
        state_size=2,
        domain=(np.zeros(1), np.ones(1)),
    )
    golden = np.log((3 + np.sqrt(5)) / 2)
    np.testing.assert_allclose(lyapunov_spectrum(cat, n_steps=200).exponents, [golden, -golden], atol=1e-10)

    logistic = rs.FunctionMap(
        lambda x: 4 * x * (1 - x),
        jacobian=lambda x: (4 - 8 * x)[..., None],
        state_size=1,
        domain=(np.zeros(1), np.ones(1)),
    )
    found = lyapunov_spectrum(logistic, n_steps=2000, n_starts=50)
    assert found.exponents[0] == pytest.approx(np.log(2), abs=0.003)
    assert found.kaplan_yorke == 1.0


@pytest.mark.parametrize("qr_every", [None, 1, 7])
def test_a_linear_map_gives_the_moduli_of_its_eigenvalues(qr_every):
    basis = np.random.default_rng(0).normal(size=(4, 4))
    matrix = basis @ np.diag([1.1, 0.9, -0.5, 0.2]) @ np.linalg.inv(basis)
    found = lyapunov_spectrum(linear(matrix), n_steps=300, transient=200, n_starts=2, qr_every=qr_every)
    np.testing.assert_allclose(found.exponents, np.log([1.1, 0.9, 0.5, 0.2]), atol=1e-6)
    assert found.time[-1] == 300
    np.testing.assert_allclose(found.convergence[-1], found.exponents)


def test_the_first_exponent_is_the_growth_of_a_small_perturbation():
    # With J' in place of J the sum of the exponents is the same, and the first comes out as .135 in place of .148.
    n, n_steps, size = 32, 400, 1e-8
    net = random_tanh(n, 2.5)
    rng = np.random.default_rng(3)
    state = rng.uniform(-1, 1, (50, n))
    found = lyapunov_spectrum(net, n_exponents=1, n_steps=n_steps, transient=100, starts=state)
    other = state + size * rng.standard_normal((50, n))
    none, growth = np.empty((50, 0)), []
    for _ in range(100 + n_steps):
        state, other = net.step(state, none), net.step(other, none)
        distance = np.linalg.norm(other - state, axis=1, keepdims=True)
        growth.append(np.log(distance / size))
        other = state + size * (other - state) / distance
    by_hand = np.mean(growth[100:])
    assert found.exponents[0] == pytest.approx(by_hand, abs=1e-3)
    assert found.standard_error[0] < 0.01


def test_a_driven_contraction_forgets_where_it_started():
    inputs = np.random.default_rng(0).normal(size=(400, 2))
    found = lyapunov_spectrum(random_tanh(20, 0.8, 2), inputs=inputs, n_steps=300, transient=100, n_starts=4)
    assert found.exponents[0] < -0.2
    assert found.drive == "given inputs"
    np.testing.assert_allclose(
        found.per_start, np.tile(found.per_start[0], (4, 1)), atol=5e-3, err_msg="the same inputs, the same exponents"
    )
    assert found.kaplan_yorke == 0.0
    assert found.entropy_rate == 0.0


def test_input_changes_the_exponents_and_can_be_held():
    net = random_tanh(20, 2.5, 2)
    free = lyapunov_spectrum(net, n_steps=200, n_exponents=1)
    held = lyapunov_spectrum(net, input=[3.0, -3.0], n_steps=200, n_exponents=1)
    assert free.drive == held.drive == "constant input"
    assert held.exponents[0] < free.exponents[0] - 0.2, "strong input quenches chaos"


def test_a_run_is_driven_by_whole_trials_of_its_task():
    class Task:
        def sample(self, n_trials, rng):
            from rnnscope.tasks.task import Trials

            length = rng.integers(5, 9, n_trials)
            inputs = np.full((n_trials, 8, 1), 7.0, np.float32)  # padding that would be noticed
            for trial, end in zip(inputs, length, strict=True):
                trial[:end] = 0.5
            return Trials(inputs, inputs, np.ones((n_trials, 8), bool), {"length": length})

    net = rs.FunctionMap(lambda x, u: u * x, jacobian=lambda x, u: u[..., None], state_size=1, input_size=1)
    run = type("Run", (), {"task": Task(), "network": lambda _: type("Net", (), {"map": lambda _: net})()})()
    found = lyapunov_spectrum(run, n_steps=100, transient=20, n_starts=3)
    assert found.drive == "task trials"
    np.testing.assert_allclose(found.per_start, np.log(0.5))
    assert lyapunov_spectrum(run, input=[0.25], n_steps=50).exponents[0] == pytest.approx(np.log(0.25))


def test_an_lstm_has_two_exponents_a_unit_and_a_stack_those_of_all_layers():
    torch.manual_seed(0)
    found = lyapunov_spectrum(torch.nn.LSTM(2, 3, num_layers=2), n_steps=40, transient=20, n_starts=2)
    assert found.exponents.shape == (12,)
    assert np.isfinite(found.exponents).all()
    assert (np.diff(found.exponents) <= 0).all()


def test_the_first_few_are_the_first_of_all():
    net = random_tanh(20, 4.0, seed=4)
    starts = np.random.default_rng(0).uniform(-1, 1, (4, 20))
    whole = lyapunov_spectrum(net, starts=starts, n_steps=800, transient=300, qr_every=1)
    few = lyapunov_spectrum(net, starts=starts, n_steps=800, transient=300, qr_every=1, n_exponents=2)
    np.testing.assert_allclose(few.exponents, whole.exponents[:2], atol=1e-6)
    assert few.kaplan_yorke is None
    assert few.entropy_rate is None
    assert "needs more exponents" in few.summary()


def test_the_qr_interval_is_chosen_from_the_stretching_seen():
    gentle = lyapunov_spectrum(linear(np.diag([0.9, 0.8])), n_steps=50, n_starts=1)
    fierce = lyapunov_spectrum(linear(np.diag([1.0, 1e-7])), n_steps=50, n_starts=1)
    assert gentle.qr_every == 10
    assert fierce.qr_every == 1
    np.testing.assert_allclose(fierce.exponents, np.log([1.0, 1e-7]), atol=1e-9)


def test_a_direction_that_is_forgotten_at_once_is_minus_infinity_and_no_error():
    found = lyapunov_spectrum(linear(np.diag([0.5, 0.0])), n_steps=50, n_starts=2)
    assert found.exponents[0] == pytest.approx(np.log(0.5))
    assert found.exponents[1] < -36
    assert found.kaplan_yorke == 0.0
    found.figure()


def test_trajectories_that_diverge_say_when_and_leave_the_others_alone():
    starts = np.array([[0.1, 0.1], [50.0, 0.0], [0.0, 0.2]])
    found = lyapunov_spectrum(henon(), starts=starts, n_steps=300)
    assert found.diverged_at[[0, 2]].tolist() == [-1, -1]
    assert 3 <= found.diverged_at[1] <= 12
    assert np.isfinite(found.exponents).all()
    assert np.isnan(found.per_start[1]).all()
    assert not found.converged
    assert "1 of 3 starts diverged, the first at step" in found.summary()

    gone = lyapunov_spectrum(rs.FunctionMap(lambda x: 1 + x**2, state_size=1), n_steps=50, n_starts=2)
    assert (gone.diverged_at > 0).all()
    assert np.isnan(gone.exponents).all()
    assert gone.kaplan_yorke is None
    assert gone.summary().startswith("no Lyapunov exponents: 2 of 2 starts diverged")
    assert "diverged" in gone.figure().layout.annotations[0].text


def test_noise_and_seed():
    net = random_tanh(10, 1.5)
    one, same, other = (lyapunov_spectrum(net, noise=0.1, seed=s, n_steps=50) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.exponents, same.exponents)
    assert not np.array_equal(one.exponents, other.exponents)


def test_too_short_a_run_has_not_converged():
    found = lyapunov_spectrum(henon(), n_steps=1, transient=0, n_starts=2)
    assert not found.converged
    assert "NOT converged" in found.summary()
    assert not lyapunov_spectrum(henon(), n_steps=20, n_starts=2, tolerance=1e-3).converged


def test_results_survive_xarray():
    found = lyapunov_spectrum(henon(), n_steps=300)
    dataset = to_xarray(found)
    assert dataset["convergence"].dims == ("time", "exponent")
    back = from_xarray(LyapunovSpectrum, dataset)
    assert back.summary() == found.summary()
    assert "Kaplan-Yorke dimension 1.2" in found.figure().layout.title.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_exponents": 5}, "n_exponents must be from 1 to 4, .*got 5"),
        ({"n_exponents": 0}, "n_exponents must be from 1 to 4, .*got 0"),
        ({"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ({"transient": -1}, "transient must be at least 0"),
        ({"qr_every": 0}, "qr_every must be at least 1"),
        ({"n_starts": 0}, "n_starts must be at least 1"),
        ({"noise": -0.1}, "noise must be"),
        ({"inputs": np.zeros((2000, 3))}, r"\(time, 2\).*got \(2000, 3\)"),
        ({"inputs": np.zeros((300, 2))}, "300 steps, transient . n_steps asks for 1200"),
        ({"inputs": np.zeros((3, 1200, 2)), "starts": np.zeros((2, 4))}, "3 starts, but there are 2"),
        ({"inputs": np.full((1200, 2), np.nan)}, "inputs must be finite"),
        ({"inputs": np.zeros((1200, 2)), "input": [0.0, 0.0]}, "choose one"),
        ({"input": [0.0]}, r"\(2,\)"),
        ({"starts": np.zeros((2, 5))}, r"\(start, 4\).*got \(2, 5\)"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        lyapunov_spectrum(torch.nn.RNN(2, 4), **arguments)
