"""How far the mean over starts is to be trusted: several attractors, starts that escape, errors that are not known."""

import re

import jaxtyping
import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from rnnscope.tasks.task import Trials


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which takes longer than all the steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def memory():
    """Keeps its sign under weak input: two attractors, λ_1 < 0 on both."""
    return rs.FunctionMap(
        lambda h, u: np.tanh(2 * h + u),
        jacobian=lambda h, u: (2 * (1 - np.tanh(2 * h + u) ** 2))[..., None],
        state_size=1,
        input_size=1,
        domain=(-1, 1),
    )


def contraction():
    return rs.FunctionMap(
        lambda h, u: 0.5 * h + u, jacobian=lambda h, u: np.full((*h.shape, 1), 0.5), state_size=1, input_size=1
    )


class WeakNoise(rs.tasks.FlipFlop):
    def sample(self, n_trials, rng):
        inputs = 0.1 * rng.standard_normal((n_trials, 30, 1)).astype(np.float32)
        return Trials(inputs, inputs, np.ones((n_trials, 30), bool), {})


def run_of(state_map):
    return rs.Subject(state_map, WeakNoise())


WEAK = 0.1 * np.random.default_rng(0).standard_normal((4, 120, 1))
DRIVES = [
    pytest.param({"inputs": WEAK[0]}, id="one stream"),
    pytest.param({"inputs": WEAK}, id="a stream for each start"),
    pytest.param({"inputs": np.repeat(WEAK[:1], 4, 0)}, id="equal streams"),
    pytest.param({"inputs": WEAK[0], "noise": 0.01}, id="noise"),
    pytest.param({"inputs": WEAK[:2], "starts": [[0.5], [0.5]]}, id="equal starts"),
    pytest.param({"n_starts": 4}, id="task"),
    pytest.param({"n_starts": 1}, id="task, one start"),
]


@pytest.mark.parametrize("settings", DRIVES)
def test_several_attractors_are_no_echo_state_however_they_are_driven(settings):
    shorter = {**settings, "n_steps": 100, "transient": 20, "seed": 1}
    given = "inputs" in settings
    kept = lyapunov_spectrum(memory() if given else run_of(memory()), **shorter)
    assert kept.sign == -1
    assert kept.echo_state is False, f"separation {kept.starts.separation}"
    assert "starts are not forgotten" in kept.summary()
    forgotten = lyapunov_spectrum(contraction() if given else run_of(contraction()), **shorter)
    assert forgotten.echo_state is True, f"separation {forgotten.starts.separation}"
    assert forgotten.starts.separation < 1e-30


def test_the_state_beside_each_start_leaves_its_exponents_alone():
    starts = np.array([[-0.9], [-0.3], [0.2], [0.7]])
    found = lyapunov_spectrum(memory(), inputs=WEAK, starts=starts, n_steps=100, transient=20)
    for h, inputs, exponent in zip(starts, WEAK, found.starts.exponents, strict=True):
        logs = []
        for u in inputs:
            h = np.tanh(2 * h + u)
            logs.append(np.log(2 * (1 - h**2)))
        np.testing.assert_allclose(exponent, np.mean(logs[20:]), atol=1e-12)


@pytest.mark.parametrize("settings", [{"n_starts": 1}, {"starts": [[0.5], [0.5]]}])
def test_where_no_two_states_are_shown_the_same_the_echo_state_is_open(settings):
    found = lyapunov_spectrum(memory(), inputs=WEAK[0], n_steps=100, transient=20, **settings)
    assert found.sign == -1
    assert found.echo_state is None
    assert "neighbours merge; several different starts with the same inputs would tell" in found.summary()


def test_starts_that_escape_are_not_forgotten():
    square = rs.FunctionMap(
        lambda h, u: h**2 + 0.01 * u, jacobian=lambda h, u: (2 * h)[..., None], state_size=1, input_size=1
    )
    settings = {"inputs": WEAK[0], "n_steps": 100, "transient": 20}
    inside = lyapunov_spectrum(square, starts=[[0.1], [0.5]], **settings)
    assert inside.echo_state is True
    found = lyapunov_spectrum(square, starts=[[0.1], [0.5], [1.5], [2.0]], **settings)
    assert (found.starts.diverged_at >= 0).tolist() == [False, False, True, True]
    assert found.echo_state is False
    assert "starts are not forgotten; 2 of 4 starts diverged" in found.summary()
    # Each start stays under its own inputs, but the second would escape under those of the first.
    pushed = np.zeros((2, 120, 1))
    pushed[0, 0] = 30.0
    beside = lyapunov_spectrum(square, starts=[[0.1], [0.9]], **{**settings, "inputs": pushed})
    assert (beside.starts.diverged_at < 0).all()
    assert beside.starts.separation == np.inf
    assert beside.echo_state is False


def ikeda():
    def step(z):
        x, y = z[..., 0], z[..., 1]
        turn = 0.4 - 6 / (1 + x * x + y * y)
        cosine, sine = np.cos(turn), np.sin(turn)
        return np.stack([1 + 0.9 * (x * cosine - y * sine), 0.9 * (x * sine + y * cosine)], -1)

    return rs.FunctionMap(step, state_size=2)


def test_starts_on_several_attractors_disagree():
    # Beside its strange attractor the map has a stable fixed point, with complex eigenvalues of modulus .9: λ = ln .9.
    starts = np.random.default_rng(0).uniform(-3, 7, (30, 2))
    found = lyapunov_spectrum(ikeda(), starts=starts, n_steps=300)
    first = found.starts.exponents[:, 0]
    calm, wild = first < 0, first > 0.3
    assert (calm | wild).all()
    np.testing.assert_allclose(first[calm], np.log(0.9), atol=0.01)
    assert found.sign == 0, "the mean is the exponent of no attractor"
    assert not found.convergence.agree[0]
    assert not found.converged[0]
    assert f"starts disagree, 2 groups: {calm.sum()} near -0.10" in found.summary()
    near = re.search(rf", {wild.sum()} near ([.\d]+)\)", found.summary())
    assert near is not None
    # Two orbits of 300 steps, which rounding chooses, know the exponent of the strange attractor to .02.
    assert float(near[1]) == pytest.approx(0.507, abs=0.1)
    for group, sign in ((calm, -1), (wild, 1)):
        alone = lyapunov_spectrum(ikeda(), starts=starts[group], n_steps=300)
        assert alone.convergence.agree.all()
        assert alone.sign == sign


def test_starts_on_one_attractor_agree():
    logistic = rs.FunctionMap(
        lambda x: 4 * x * (1 - x), jacobian=lambda x: (4 - 8 * x)[..., None], state_size=1, domain=(0, 1)
    )
    found = [
        lyapunov_spectrum(logistic, n_steps=n, transient=20, seed=n).convergence.agree[0] for n in range(20, 220, 20)
    ]
    assert all(found)


def test_the_reason_is_the_criterion_that_failed():
    def growing(factors):
        """x' = u x: its exponents are the means of ln u."""
        net = rs.FunctionMap(lambda x, u: u * x, jacobian=lambda x, u: u[..., None], state_size=1, input_size=1)
        return lyapunov_spectrum(net, inputs=factors[..., None], n_steps=factors.shape[-1], transient=0, n_starts=2)

    alternating = np.where(np.arange(200) // 20 % 2, 1.1, 1.0)  # blocks of 20 differ, and halves do not, much
    error = growing(np.concatenate([alternating[:100], alternating[:100][::-1]])).summary()
    assert "NOT converged: the error is 0.01" in error
    assert "halves" not in error
    halves = growing(np.repeat([1.0, 1.03], 100)).summary()
    assert "NOT converged: halves differ by 0.03, more than 0.01" in halves
    assert "error" not in halves
    both = growing(np.repeat([1.0, 1.5], 100)).summary()
    assert "NOT converged: halves differ by 0.41, more than 0.01" in both, "the error is that difference"


def test_zero_is_no_sign():
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    rotation = rs.FunctionMap(
        lambda x: x @ turn.T, jacobian=lambda x: np.broadcast_to(turn, (*x.shape, 2)), state_size=2
    )
    found = lyapunov_spectrum(rotation, n_steps=100)
    assert np.abs(found.exponents).max() < 1e-14
    assert found.sign == 0
    assert "converged, sign open" in found.summary()


def test_what_has_no_error_has_not_converged():
    found = lyapunov_spectrum(contraction(), inputs=WEAK[0], n_steps=15, transient=0, n_starts=1)
    assert found.exponents[0] == pytest.approx(np.log(0.5))
    assert np.isnan(found.standard_error[0])
    assert not found.converged[0]
    assert found.sign == 0
    assert "NOT converged: too short for an error, with one start" in found.summary()
    two = lyapunov_spectrum(contraction(), inputs=WEAK[0], n_steps=15, transient=0, n_starts=2)
    assert two.converged[0]
    assert two.sign == -1


def test_the_tolerance_is_relative_to_the_rate_where_that_is_large():
    fast = rs.FunctionMap(lambda x, u: x * u, jacobian=lambda x, u: u[..., None], state_size=1, input_size=1, dt=0.01)
    factors = np.exp(-0.01 * np.repeat([14.5, 14.6], 50))  # rates of -14.5 and -14.6 per unit of time
    found = lyapunov_spectrum(fast, inputs=factors[:, None], n_steps=100, transient=0, n_starts=2)
    assert found.rates[0] == pytest.approx(-14.55)
    assert found.allowed[0] == pytest.approx(0.01 * 0.1455)
    assert found.converged[0], "halves that differ by .1 in 14.6 are within 1 %"
    assert isinstance(found, LyapunovSpectrum)
