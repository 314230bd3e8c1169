"""What a Lyapunov spectrum promises: of which map, along what, how far to be trusted."""

from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.lyapunov import LyapunovSpectrum, frames, lyapunov_spectrum
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.tasks.task import Trials

DATA = Path(__file__).resolve().parents[2] / "data"


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


@pytest.mark.parametrize("qr_every", [None, 1, 7])
@pytest.mark.parametrize("n", [4, 30], ids=["QR", "elimination"])
def test_a_linear_map_gives_the_moduli_of_its_eigenvalues(n, qr_every):
    values = np.concatenate([[1.1, 0.9, -0.5, 0.2], np.linspace(0.12, 0.1, n - 4)])
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0]
    tilted = basis + 0.1 * np.triu(np.ones((n, n)))
    matrix = tilted @ np.diag(values) @ np.linalg.inv(tilted)
    found = lyapunov_spectrum(linear(matrix), n_steps=200, transient=200, n_starts=2, qr_every=qr_every)
    np.testing.assert_allclose(found.exponents[:4], np.log(np.abs(values[:4])), atol=1e-6)
    assert found.exponents.sum() == pytest.approx(np.log(np.abs(values)).sum(), rel=1e-9)
    assert found.convergence.time[-1] == 200
    np.testing.assert_allclose(found.convergence.running[-1], found.exponents)
    assert found.reductions.resolved.all()


def test_elimination_and_qr_give_the_same_spectrum_along_a_stored_trajectory(monkeypatch):
    data = np.load(DATA / "random_tanh128_g1.5.npz")
    weight, states = data["W"], [data["initial_states"][:3]]
    module = torch.nn.RNN(1, 128, bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.from_numpy(weight))
        module.weight_ih_l0.zero_()
    for _ in range(100):
        states.append(np.tanh(states[-1] @ weight.T))
    trajectory = np.stack(states, 1)

    frame = np.linalg.qr(np.random.default_rng([0, 0x1A]).spawn(2)[1].standard_normal((3, 128, 128)))[0]
    logs = np.zeros((3, 128))
    for t in range(100):
        jacobians = (1 - trajectory[:, t + 1] ** 2)[..., None] * weight
        frame, r = np.linalg.qr(jacobians @ frame)
        logs += np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
    settings = {"trajectory": trajectory, "inputs": np.zeros((100, 1)), "n_steps": 100, "transient": 0}
    found = lyapunov_spectrum(module, **settings)
    assert found.reductions.qr_every > 1
    np.testing.assert_allclose(np.sort(found.starts.exponents), np.sort(logs / 100), atol=1e-6)

    monkeypatch.setattr(frames, "ILL", 0.0)  # every frame is called badly conditioned
    by_qr = lyapunov_spectrum(module, **settings)
    np.testing.assert_allclose(np.sort(by_qr.starts.exponents), np.sort(logs / 100), atol=1e-6)
    assert not np.array_equal(by_qr.starts.exponents, found.starts.exponents), "the other way was not taken"


def test_the_first_exponent_is_the_growth_of_a_small_perturbation():
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
    assert found.exponents[0] == pytest.approx(np.mean(growth[100:]), abs=1e-3)
    assert found.standard_error[0] < 0.01


def test_a_driven_contraction_forgets_where_it_started():
    # h' = a(u) h + u contracts by |a| whatever the state: its conditional exponent is the mean of ln|a|.
    factors = np.random.default_rng(0).uniform(0.5, 0.9, 400)
    contraction = rs.FunctionMap(lambda h, u: u * h + u, jacobian=lambda h, u: u[..., None], state_size=1, input_size=1)
    found = lyapunov_spectrum(contraction, inputs=factors[:, None], n_steps=300, transient=100, n_starts=4)
    assert found.exponents[0] == pytest.approx(np.log(factors[100:]).mean(), abs=1e-12)
    assert found.drive == "given inputs"
    assert found.echo_state is True
    assert found.starts.separation < 1e-6
    assert "starts are forgotten, 100 of 100: of such starts at most 3 % are not (95 %)" in found.summary()
    assert found.standard_error[0] > 0, "starts that are driven alike agree, and yet the mean has an error"


def test_several_attractors_are_no_echo_state_though_neighbours_merge():
    memory = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1)
    inputs = 0.1 * np.random.default_rng(0).standard_normal((120, 1))
    settings = {"inputs": inputs, "n_steps": 100, "transient": 20}
    found = lyapunov_spectrum(memory, starts=[[-1.0], [1.0]], **settings)
    assert found.exponents[0] < -0.5
    assert found.echo_state is False
    assert "starts are not forgotten" in found.summary()
    inside = {**settings, "starts": [[0.5], [1.0]]}  # both on one side
    assert lyapunov_spectrum(memory, n_others=0, **inside).echo_state is True
    assert lyapunov_spectrum(memory, **inside).echo_state is False, "random ones are on both"
    chaotic = lyapunov_spectrum(random_tanh(20, 4.0, 1), **settings)
    assert chaotic.echo_state is False


def test_input_changes_the_exponents_and_can_be_held():
    net = random_tanh(20, 2.5, 2)
    free = lyapunov_spectrum(net, n_steps=150, transient=50, n_exponents=1)
    held = lyapunov_spectrum(net, input=[3.0, -3.0], n_steps=150, transient=50, n_exponents=1)
    assert free.drive == held.drive == "constant input"
    assert held.exponents[0] < free.exponents[0] - 0.2, "strong input quenches chaos"


def test_a_run_is_driven_by_whole_trials_of_its_task():
    class Halves(rs.tasks.FlipFlop):
        def sample(self, n_trials, rng):
            length = rng.integers(5, 9, n_trials)
            inputs = np.full((n_trials, 8, 1), 7.0, np.float32)  # padding that would be noticed
            for trial, end in zip(inputs, length, strict=True):
                trial[:end] = 0.5
            return Trials(inputs, inputs, np.ones((n_trials, 8), bool), {"length": length})

    net = rs.FunctionMap(lambda x, u: u * x, jacobian=lambda x, u: u[..., None], state_size=1, input_size=1)
    run = rs.Subject(net, Halves())
    found = lyapunov_spectrum(run, n_steps=100, transient=20, n_starts=3)
    assert found.drive == "task trials"
    np.testing.assert_allclose(found.starts.exponents, np.log(0.5))
    assert found.starts.separation < 1e-30, "a second state beside each start is shown the same"
    assert lyapunov_spectrum(run, input=[0.25], n_steps=50).exponents[0] == pytest.approx(np.log(0.25))


def test_trials_that_are_given_are_shown_without_their_padding():
    inputs = np.full((3, 8, 1), 7.0, np.float32)  # padding that would be noticed
    inputs[0, :2], inputs[1, :5], inputs[2, :8] = 0.5, 0.25, 0.125
    shown = Trials(inputs, inputs, np.ones((3, 8), bool), {"length": np.array([2, 5, 8])})
    net = rs.FunctionMap(lambda x, u: u * x, jacobian=lambda x, u: u[..., None], state_size=1, input_size=1)
    found = lyapunov_spectrum(net, inputs=shown, n_steps=150, transient=0, n_starts=4)
    assert found.drive == "task trials"
    np.testing.assert_allclose(found.exponents, (2 * np.log(0.5) + 5 * np.log(0.25) + 8 * np.log(0.125)) / 15)
    orders = lyapunov_spectrum(net, inputs=shown, n_steps=5, transient=0, n_starts=8)
    assert np.unique(orders.starts.exponents.round(6)).size > 1, "each start has an order of its own"
    with pytest.raises(ValueError, match=r"inputs must have shape \(time, 2\).*got \(4, 100, 1\)"):
        lyapunov_spectrum(torch.nn.RNN(2, 3), inputs=shown, n_steps=80, transient=20, n_starts=4)
    with pytest.raises(ValueError, match="needs the inputs that drove it"):
        lyapunov_spectrum(net, inputs=shown, trajectory=np.zeros((1, 1200, 1)))
    empty = Trials(inputs, inputs, np.ones((3, 8), bool), {"length": np.zeros(3, int)})
    with pytest.raises(ValueError, match=r"trials, inputs of shape \(3, 8, 1\), have no steps"):
        lyapunov_spectrum(net, inputs=empty)


def test_an_lstm_has_two_exponents_a_unit_and_a_stack_those_of_all_layers():
    torch.manual_seed(0)
    stack = torch.nn.LSTM(2, 3, num_layers=2)
    state_map = rs.as_subject(stack).map
    found = lyapunov_spectrum(stack, n_steps=60, transient=20, n_starts=2, seed=3)
    assert found.exponents.shape == (12,)
    # The sum is the growth of the volume, ln|det J|, along the same states.
    rng = np.random.default_rng([3, 0x1A])
    begin = state_map.initial_states(2, rng) + 0.1 * rng.standard_normal((2, 12))
    low, high = state_map.domain
    bounded = np.isfinite(low)
    begin = np.where(bounded, rng.uniform(np.where(bounded, low, 0), np.where(bounded, high, 0), (2, 12)), begin)
    volume = []
    for _ in range(80):
        volume.append(np.linalg.slogdet(state_map.jacobian(begin, np.zeros((2, 2))))[1])
        begin = state_map.step(begin, np.zeros((2, 2)))
    assert found.exponents.sum() == pytest.approx(np.mean(volume[20:]), rel=1e-10)


def test_the_first_few_are_the_first_of_all():
    net = random_tanh(30, 4.0, seed=4)
    starts = np.random.default_rng(0).uniform(-1, 1, (4, 30))
    whole, few = (lyapunov_spectrum(net, starts=starts, n_steps=300, transient=300, n_exponents=k) for k in (None, 2))
    np.testing.assert_allclose(few.exponents, whole.exponents[:2], atol=1e-6)
    assert few.kaplan_yorke is None
    assert few.entropy_rate is None
    assert "needs more exponents" in few.summary()


def test_the_qr_interval_is_chosen_from_the_stretching_seen():
    gentle = lyapunov_spectrum(linear(np.diag([0.9, 0.8])), n_steps=50, n_starts=1)
    fierce = lyapunov_spectrum(linear(np.diag([1.0, 1e-7])), n_steps=50, n_starts=1)
    assert gentle.reductions.qr_every == 8, "small ones take powers of 2"
    assert fierce.reductions.qr_every == 1
    np.testing.assert_allclose(fierce.exponents, np.log([1.0, 1e-7]), atol=1e-9)
    assert fierce.reductions.spread == pytest.approx(1e7)

    def sudden(x):  # gentle in the transient, fierce after it
        return np.where(x[..., 2:] > 100, 1e-4, 0.8) ** np.arange(3) * x * [1, 1, 0] + [0, 0, 1] * (x + 1)

    def sudden_jacobian(x):
        rows = np.zeros((*x.shape, 3))
        factor = np.where(x[..., 2] > 100, 1e-4, 0.8)
        rows[..., 0, 0], rows[..., 1, 1], rows[..., 2, 2] = 1.0, factor, factor**2
        return rows

    found = lyapunov_spectrum(
        rs.FunctionMap(sudden, jacobian=sudden_jacobian, state_size=3), starts=[[1.0, 1, 0]], n_steps=300, transient=50
    )
    assert found.reductions.qr_every == 1
    truth = np.array([0, 1, 2]) * (51 * np.log(0.8) + 249 * np.log(1e-4)) / 300
    np.testing.assert_allclose(found.exponents, truth, atol=0.01)


def test_an_interval_that_is_too_long_says_which_exponents_it_spoils():
    settings = {"transient": 40, "n_starts": 1, "qr_every": 20}
    with pytest.warns(UserWarning, match="qr_every=20 is too long: the last exponent is lost.*; leave it out"):
        found = lyapunov_spectrum(linear(np.diag([1.0, 0.5, 1e-3])), n_steps=100, **settings)
    assert found.reductions.resolved.tolist() == [True, True, False]
    assert found.converged.tolist() == [True, True, False]
    np.testing.assert_allclose(found.exponents[:2], np.log([1.0, 0.5]), atol=1e-9)
    assert "3 of 3 exponents, 2 converged; qr_every=20 is too long: the last exponent is lost" in found.summary()
    assert found.reductions.qr_every == 5, "the records asked for reductions every 5 steps"
    assert found.reductions.qr_asked == 20
    whole = lyapunov_spectrum(linear(np.diag([1.0, 0.5, 0.25])), n_steps=1000, **settings)
    assert whole.reductions.qr_every == 20
    assert whole.reductions.resolved.all()


def test_the_warning_of_a_long_interval_names_just_the_exponents_that_it_spoils(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check takes longer than all the steps
    data = np.load(DATA / "random_tanh128_g1.5.npz")
    module = torch.nn.RNN(1, 128, bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.from_numpy(data["W"]))
        module.weight_ih_l0.zero_()
    settings = {"starts": data["initial_states"][:1], "n_steps": 200, "transient": 0}
    fine = lyapunov_spectrum(module, qr_every=1, **settings)
    assert fine.reductions.resolved.all()
    with pytest.warns(UserWarning, match="qr_every=10 is too long"):
        coarse = lyapunov_spectrum(module, qr_every=10, **settings)
    # The states are the same: what differs is lost in the interval.
    error = np.abs(coarse.exponents - fine.exponents)
    assert error[~coarse.reductions.resolved].max() > 0.1
    assert error[coarse.reductions.resolved].max() < 0.01
    assert f"the last {(~coarse.reductions.resolved).sum()} exponents are lost" in coarse.summary()


def test_a_direction_that_is_forgotten_at_once_does_not_hide_that_the_first_has_converged():
    found = lyapunov_spectrum(linear(np.diag([0.5, 0.4, 0.0])), n_steps=100, n_starts=2)
    assert found.exponents[0] == pytest.approx(np.log(0.5))
    assert found.exponents[2] == -np.inf
    assert found.converged.tolist() == [True, True, False]
    assert found.reductions.resolved.tolist() == [True, True, False]
    assert found.kaplan_yorke == 0.0
    assert found.summary().startswith("λ₁ = -0.6931 ± 0.0000 nats per step (converged); 3 of 3 exponents, 2 converged")
    assert "1 forgotten within a step" in found.summary()


def test_the_axis_of_the_figure_is_not_flattened_by_the_tail():
    found = lyapunov_spectrum(linear(np.diag([0.9, 0.8, 0.7, 1e-7, 0.0])), n_steps=100, n_starts=2)
    figure = found.figure()
    low, high = figure.layout.yaxis.range
    assert -2 < low < np.log(0.7)
    assert high >= 0
    marks = [trace for trace in figure.data if trace.marker.symbol == "triangle-down"]
    assert [len(trace.x) for trace in marks] == [2]
    (note,) = [note for note in figure.layout.annotations if note.text == "▼ 2 lower, down to −∞"]
    assert (note.y, note.yanchor) == (1, "bottom"), "above the panel, where it hides nothing"


def test_of_few_exponents_none_is_left_out_of_the_figure():
    # Like a flow: the second is neutral, the last far below.
    found = lyapunov_spectrum(linear(np.diag([1.01, 1.0, 0.85])), n_steps=100, n_starts=2)
    figure = found.figure()
    np.testing.assert_allclose(figure.data[0].y, np.log([1.01, 1.0, 0.85]), atol=0.005)
    low, high = figure.layout.yaxis.range
    assert low < np.log(0.85)
    assert high > np.log(1.01)
    assert not [trace for trace in figure.data if trace.marker.symbol == "triangle-down"]


def test_trajectories_that_diverge_say_when_and_leave_the_others_alone():
    starts = np.array([[0.1, 0.1], [50.0, 0.0], [0.0, 0.2]])
    found = lyapunov_spectrum(henon(), starts=starts, n_steps=100, transient=50)
    assert found.starts.diverged_at[[0, 2]].tolist() == [-1, -1]
    assert 3 <= found.starts.diverged_at[1] <= 12
    assert np.isfinite(found.exponents).all()
    assert np.isnan(found.starts.exponents[1]).all()
    assert "1 of 3 starts diverged, the first at step" in found.summary()
    alone = lyapunov_spectrum(henon(), starts=starts[[0, 2]], n_steps=100, transient=50)
    np.testing.assert_allclose(found.exponents.sum(), alone.exponents.sum(), atol=1e-12)

    gone = lyapunov_spectrum(rs.FunctionMap(lambda x: 1 + x**2, state_size=1), n_steps=50, n_starts=2)
    assert (gone.starts.diverged_at > 0).all()
    assert np.isnan(gone.exponents).all()
    assert gone.kaplan_yorke is None
    assert gone.summary().startswith("no Lyapunov exponents: 2 of 2 starts diverged")
    assert "diverged" in gone.figure().layout.annotations[0].text


def test_a_trajectory_that_is_given_is_followed_and_may_end():
    orbit = [np.array([[0.1, 0.1], [0.3, 0.0]])]
    for _ in range(199):
        orbit.append(henon().step(orbit[-1], np.empty((2, 0))))
    trajectory = np.stack(orbit, 1)
    given = lyapunov_spectrum(henon(), trajectory=trajectory, n_steps=150, transient=50)
    walked = lyapunov_spectrum(henon(), starts=trajectory[:, 0], n_steps=150, transient=50)
    # The frame begins elsewhere in the random sequence of neither.
    np.testing.assert_allclose(given.starts.exponents, walked.starts.exponents, rtol=0, atol=1e-9)
    trajectory[1, 100:] = np.nan
    ended = lyapunov_spectrum(henon(), trajectory=trajectory, n_steps=150, transient=50)
    assert ended.starts.diverged_at.tolist() == [-1, 100]
    np.testing.assert_allclose(ended.starts.exponents[0], given.starts.exponents[0], rtol=0, atol=1e-9)


def test_noise_and_seed():
    net = random_tanh(10, 1.5)
    one, same, other = (lyapunov_spectrum(net, noise=0.1, seed=s, n_steps=50, transient=20) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.exponents, same.exponents)
    assert not np.array_equal(one.exponents, other.exponents)
    few = lyapunov_spectrum(net, noise=0.1, n_steps=50, transient=20, n_exponents=3)
    assert few.exponents.sum() == pytest.approx(one.exponents[:3].sum(), abs=0.05), "the noise is the same"


def test_too_short_a_run_has_not_converged():
    found = lyapunov_spectrum(henon(), n_steps=1, transient=0, n_starts=2)
    assert not found.converged.any()
    assert "NOT converged: too short" in found.summary()
    assert np.isnan(found.convergence.drift).all()
    hardly = lyapunov_spectrum(henon(), n_steps=20, n_starts=2, tolerance=1e-3)
    assert not hardly.converged[0]
    assert "λ₁ not converged" in hardly.figure().layout.title.text


def test_the_standard_error_is_what_repetitions_scatter_by(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check takes longer than all the steps
    errors, found = zip(
        *[
            (each.standard_error[0], each.exponents[0])
            for each in (lyapunov_spectrum(henon(), n_steps=200, n_starts=8, seed=seed) for seed in range(20))
        ],
        strict=True,
    )
    assert 0.7 < np.mean(errors) / np.std(found, ddof=1) < 1.8
    alone = lyapunov_spectrum(henon(), n_steps=1000, n_starts=1)
    assert 0.002 < alone.standard_error[0] < 0.05, "one start has blocks of time"


def test_a_step_in_units_of_time():
    decay = rs.FunctionMap(lambda x: x * np.exp(-0.1), state_size=1, dt=0.1)
    found = lyapunov_spectrum(decay, n_steps=50, transient=5)
    assert found.exponents[0] == pytest.approx(-0.1)
    assert found.rates[0] == pytest.approx(-1.0)
    assert found.summary().startswith("λ₁ = -1.0000 ± 0.0000 nats per unit of time")
    assert "per unit of time" in found.figure().layout.yaxis.title.text
    driven = rs.FunctionMap(lambda x, u: x * np.exp(-0.1) + u, state_size=1, input_size=1, dt=0.1)
    assert lyapunov_spectrum(driven, input=[1.0], n_steps=50, transient=5).dt == 0.1
    assert lyapunov_spectrum(henon(), n_steps=50, transient=5).dt is None
    with pytest.raises(ValueError, match="dt must be a positive number"):
        rs.FunctionMap(lambda x: x, state_size=1, dt=0.0)


def test_results_survive_xarray():
    found = lyapunov_spectrum(henon(), n_steps=300)
    dataset = to_xarray(found)
    assert dataset["convergence/running"].dims == ("time", "exponent")
    back = from_xarray(LyapunovSpectrum, dataset)
    assert back.summary() == found.summary()
    assert "Kaplan-Yorke dimension 1.2" in found.figure().layout.title.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_exponents": 5}, "n_exponents must be from 1 to 4, .*got 5"),
        ({"n_exponents": 0}, "n_exponents must be at least 1, got 0"),
        ({"n_steps": 0}, "n_steps must be at least 1, got 0"),
        ({"transient": -1}, "transient must be at least 0"),
        ({"qr_every": 0}, "qr_every must be at least 1"),
        ({"n_starts": 0}, "n_starts must be at least 1"),
        ({"noise": -0.1}, "noise must be at least 0, got -0.1"),
        ({"noise": np.inf}, "noise must be finite, got inf"),
        ({"tolerance": np.nan}, "tolerance must be finite, got nan"),
        ({"tolerance": -1}, "tolerance must be at least 0, got -1"),
        ({"inputs": np.zeros((2000, 3))}, r"\(time, 2\).*got \(2000, 3\)"),
        ({"inputs": np.zeros((300, 2))}, "300 steps, transient . n_steps asks for 1200"),
        ({"inputs": np.zeros((3, 1200, 2)), "starts": np.zeros((2, 4))}, "3 starts, but there are 2"),
        ({"inputs": np.full((1200, 2), np.nan)}, "inputs must be finite"),
        ({"inputs": np.zeros(1200)}, r"or \(start, time, 2\), got \(1200,\)$"),
        ({"inputs": np.zeros((1200, 2)), "input": [0.0, 0.0]}, "choose one"),
        ({"input": [0.0]}, r"\(2,\)"),
        ({"starts": np.zeros((2, 5))}, r"\(start, 4\).*got \(2, 5\)"),
        ({"trajectory": np.zeros((2, 5))}, r"trajectory must have shape \(start, time, 4\), got \(2, 5\)"),
        ({"trajectory": np.zeros((2, 500, 4))}, "500 states a start, transient . n_steps asks for 1200"),
        ({"trajectory": np.zeros((2, 1200, 4)), "noise": 0.1}, "leave out starts and noise"),
        ({"trajectory": np.zeros((2, 1200, 4)), "inputs": np.zeros((3, 1200, 2))}, "3 starts, but there are 2"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        lyapunov_spectrum(torch.nn.RNN(2, 4), **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_steps": 100.0}, "n_steps must be a whole number of at least 1, got 100.0"),
        ({"transient": "9"}, "transient must be a whole number of at least 0 or None, got '9'"),
        ({"n_starts": 2.5}, "n_starts must be a whole number of at least 1, got 2.5"),
        ({"n_exponents": 1.5}, "n_exponents must be a whole number of at least 1 or None, got 1.5"),
        ({"qr_every": 1.5}, "qr_every must be a whole number of at least 1 or None, got 1.5"),
        ({"seed": None}, "seed must be a whole number of at least 0, got None"),
    ],
)
def test_what_is_no_whole_number_is_named(arguments, words, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # a user has no run-time check of annotations
    with pytest.raises(TypeError, match=words):
        lyapunov_spectrum(torch.nn.RNN(2, 4), **arguments)


def test_one_input_without_an_axis_of_its_own_gets_the_remedy():
    with pytest.raises(ValueError, match=r"got \(1200,\): give numpy.reshape\(inputs, \(-1, 1\)\)"):
        lyapunov_spectrum(torch.nn.RNN(1, 4), inputs=[0.0] * 1200)


def test_a_jacobian_that_is_not_a_number_is_no_divergence():
    broken = rs.FunctionMap(lambda x: x / 2, jacobian=lambda x: np.full((*x.shape, 2), np.nan), state_size=2)
    with pytest.raises(ValueError, match=r"the Jacobian is not a number at the state \[.*correct the map's jacobian"):
        lyapunov_spectrum(broken, n_steps=20)
