"""States that leave a saddle for as long as the run lasts have the exponents of no attractor, and it is said so."""

import jaxtyping
import numpy as np
import pytest
from scipy.optimize import brentq

import rnnscope as rs
from rnnscope.analyses.lyapunov import lyapunov_spectrum


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which takes longer than all the steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def line(step, slope, dt=None):
    return rs.FunctionMap(step, jacobian=lambda x: slope(x)[..., None], state_size=1, dt=dt)


E, DT = 1e-3, 1e-4
REST = brentq(lambda x: np.tanh(1.003 * x) - x, 0.05, 0.2)
LEAVING = {  # a map whose starts near 0 leave it by about as much as the run is long, and the exponent where they go
    "homographic": (line(lambda x: x * (1 + E) / (1 + E * abs(x)), lambda x: (1 + E) / (1 + E * abs(x)) ** 2), -E),
    "tanh": (
        line(lambda x: np.tanh(1.003 * x), lambda x: 1.003 * (1 - np.tanh(1.003 * x) ** 2)),
        np.log(1.003 * (1 - REST**2)),
    ),
    "double well": (line(lambda x: x + DT * (x - x**3), lambda x: 1 + DT * (1 - 3 * x**2), DT), -2 * DT),
}


@pytest.mark.parametrize("transient", [200, None])
@pytest.mark.parametrize("name", LEAVING)
def test_states_that_leave_a_saddle_are_seen(name: str, transient: int | None):
    state_map, true = LEAVING[name]
    starts = 1e-3 * np.random.default_rng(0).standard_normal((10, 1))
    found = lyapunov_spectrum(state_map, starts=starts, transient=transient)
    assert abs(found.exponents[0] - true) <= 2 * found.standard_error[0] + 1e-9
    if transient is None and name == "tanh":  # a longer transient is enough here
        return
    assert found.starts.n_moving
    assert not found.converged.any()
    assert found.sign == 0
    assert found.entropy_rate is None
    assert "still move" in found.summary()


def turned(angle: float):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return rs.FunctionMap(lambda x: x @ turn.T, jacobian=lambda x: np.broadcast_to(turn, (*x.shape, 2)), state_size=2)


@pytest.mark.parametrize(
    ("state_map", "true"),
    [
        (line(lambda x: 4 * x * (1 - x), lambda x: 4 - 8 * x), np.log(2)),
        (line(lambda x: 3.2 * x * (1 - x), lambda x: 3.2 - 6.4 * x), np.log(0.16) / 2),
        (line(lambda x: 2.5 * x * (1 - x), lambda x: 2.5 - 5 * x), np.log(0.5)),
        (line(lambda x: 0.5 * x, lambda x: 0.5 + 0 * x), np.log(0.5)),
        (turned(2.4), 0.0),
        (turned(0.1), 0.0),
    ],
)
def test_what_is_settled_is_let_alone(state_map, true: float):
    starts = np.random.default_rng(1).uniform(0.1, 0.9, (10, state_map.state_size))
    found = lyapunov_spectrum(state_map, starts=starts)
    assert not found.starts.n_moving
    assert found.converged.all()
    assert abs(found.exponents[0] - true) <= max(2 * found.standard_error[0], 1e-3)
