"""Products of the Jacobians of several steps give what step by step gives."""

import jaxtyping
import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.lyapunov import frames, lyapunov_spectrum, stretches


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which takes longer than all the steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def network(n, n_inputs=0, gain=1.5, strength=1.0, seed=0):
    rng = np.random.default_rng(seed)
    weight, weight_in = gain / np.sqrt(n) * rng.standard_normal((n, n)), strength * rng.standard_normal((n, n_inputs))

    def step(h, u=None):
        return np.tanh(h @ weight.T + (0 if u is None else u @ weight_in.T))

    def jacobian(h, u=None):
        return (1 - step(h, u) ** 2)[..., None] * weight

    return rs.FunctionMap(step, jacobian=jacobian, state_size=n, input_size=n_inputs, domain=(-1, 1))


def qr_each_step(state_map, trajectory, inputs, frame):
    logs = np.zeros(frame.shape[::2])
    for t in range(inputs.shape[0]):
        shown = np.broadcast_to(inputs[t], (len(frame), inputs.shape[1]))
        frame, r = np.linalg.qr(state_map.jacobian(trajectory[:, t], shown) @ frame)
        logs += np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
    return logs / len(inputs)


@pytest.mark.parametrize(
    ("n", "k", "gain"),
    [(3, 3, 1.0), (8, 8, 0.7), (16, 16, 1.5), (16, 2, 3.0), (24, 24, 2.0), (32, 20, 1.5), (44, 44, 1.5)],
)
def test_along_a_given_trajectory_the_exponents_are_those_of_qr_at_each_step(n, k, gain):
    state_map, rng = network(n, 2, gain, 0.3, seed=n), np.random.default_rng(n)
    inputs, states = rng.standard_normal((130, 2)), [rng.uniform(-1, 1, (3, n))]
    for shown in inputs:
        states.append(state_map.step(states[-1], np.broadcast_to(shown, (3, 2))))
    trajectory = np.stack(states, 1)
    assert stretches.at_once(3, n, k) > 1, "products are what is tested"
    found = lyapunov_spectrum(state_map, n_exponents=k, trajectory=trajectory, inputs=inputs, n_steps=130, transient=0)
    begin = np.linalg.qr(np.random.default_rng([0, 0x1A]).spawn(2)[1].standard_normal((3, n, k)))[0]
    truth = qr_each_step(state_map, trajectory, inputs, begin)
    resolved = found.reductions.resolved
    assert resolved[: k // 2 + 1].all()
    # What is lost in the interval of the largest stretching, of 130 steps.
    error = 1e-6 + 1e-15 * found.reductions.spread / 130
    ours, theirs = (-np.sort(-each)[:, resolved] for each in (found.starts.exponents, truth))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=error)


def test_the_interval_obeys_the_stretching():
    def diagonal(*values):
        return rs.FunctionMap(
            lambda x: x * values,
            jacobian=lambda x: np.broadcast_to(np.diag(values), (*x.shape, len(values))),
            state_size=len(values),
        )

    for values, every in (((0.9, 0.8), 8), ((1.0, 1e-2), 4), ((1.0, 1e-4), 2), ((1.0, 1e-7), 1)):
        found = lyapunov_spectrum(diagonal(*values), n_steps=80, n_starts=2)
        assert found.reductions.qr_every == every
        assert found.reductions.spread <= 1.01e10
        np.testing.assert_allclose(found.exponents, np.log(values), atol=1e-7)


@pytest.mark.parametrize("settings", [{}, {"noise": 0.05}, {"n_steps": 7}, {"transient": 0, "n_steps": 101}])
def test_walks_are_the_same_step_by_step(settings, monkeypatch):
    state_map = network(6, 1, 0.8)
    inputs = np.random.default_rng(1).standard_normal((4, 400, 1))
    together = lyapunov_spectrum(state_map, inputs=inputs, **{"n_steps": 60, "transient": 20, **settings})
    monkeypatch.setattr(frames, "at_once", lambda *sizes: 1)
    alone = lyapunov_spectrum(state_map, inputs=inputs, **{"n_steps": 60, "transient": 20, **settings})
    np.testing.assert_allclose(together.exponents, alone.exponents, atol=1e-7)
    assert together.starts.separation == pytest.approx(alone.starts.separation, rel=1e-6)
    assert together.echo_state == alone.echo_state
