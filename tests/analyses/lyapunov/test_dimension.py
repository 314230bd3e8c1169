"""Dimensions where exponents are 0, and derivatives that are 0 within rounding."""

import jaxtyping
import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.lyapunov import lyapunov_spectrum


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which takes longer than all the steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def delayed_logistic(r):
    def jacobian(x):
        rows = np.zeros((*x.shape, 2))
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0] = r * (1 - x[..., 1]), -r * x[..., 0], 1.0
        return rows

    return rs.FunctionMap(
        lambda x: np.stack([r * x[..., 0] * (1 - x[..., 1]), x[..., 0]], -1), jacobian=jacobian, state_size=2
    )


def sheared_circle(contraction, turn=0.6180339887):
    """A radius that decays, and an angle that it shears: y' = c y + .01 cos 2πx, x' = x + turn + y'."""

    def step(x):
        radius = contraction * x[..., 1] + 0.01 * np.cos(2 * np.pi * x[..., 0])
        return np.stack([x[..., 0] + turn + radius, radius], -1)

    return rs.FunctionMap(step, state_size=2)


def turning_network(gain, angle):
    """Two tanh units that turn and a third that forgets: past its Neimark-Sacker bifurcation for gain > 1."""
    turn = gain * np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 0.5 / gain]])
    return rs.FunctionMap(
        lambda h: np.tanh(h @ turn.T),
        jacobian=lambda h: (1 - np.tanh(h @ turn.T) ** 2)[..., None] * turn,
        state_size=3,
        domain=(-1, 1),
    )


CIRCLES = {
    "delayed logistic": (delayed_logistic(2.1), 0.5),
    "sheared circle": (sheared_circle(0.5), 0.0),
    "tanh network": (turning_network(1.2, 1.0), 0.2),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_an_invariant_circle_has_dimension_1(name):
    state_map, centre = CIRCLES[name]
    for seed in range(3):
        starts = centre + 0.1 * np.random.default_rng(seed).uniform(-1, 1, (10, state_map.state_size))
        found = lyapunov_spectrum(state_map, starts=starts, n_steps=600, transient=200, seed=seed)
        assert found.sign == 0
        assert found.kaplan_yorke == pytest.approx(1, abs=0.03)
        assert found.entropy_rate == 0
        assert found.dimension.n_zero == 1
        assert found.dimension.error < 0.1
        assert " if λ₁ is 0;" in found.summary()


def test_rotations_of_several_angles_have_their_number_as_dimension():
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in (1.0, 2.5)]
    matrix = np.zeros((5, 5))
    matrix[:2, :2], matrix[2:4, 2:4], matrix[4, 4] = *turns, 0.5
    net = rs.FunctionMap(
        lambda x: x @ matrix.T, jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, 5)), state_size=5
    )
    found = lyapunov_spectrum(net, n_steps=200, n_starts=4)
    assert found.kaplan_yorke == pytest.approx(4, abs=1e-6)
    assert "dimension 4.00 if λ₁ to λ_4 are 0" in found.summary()


def test_a_slow_node_stays_a_point_and_chaos_is_not_rounded():
    matrix = np.diag([0.999, 0.9])
    slow = rs.FunctionMap(lambda x: x @ matrix, jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, 2)), state_size=2)
    found = lyapunov_spectrum(slow, n_steps=200, n_starts=4)
    assert (found.sign, found.kaplan_yorke, found.dimension.n_zero) == (-1, 0.0, 0)

    def henon(x):
        return np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1)

    def slope(x):
        rows = np.zeros((*x.shape, 2))
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0] = -2.8 * x[..., 0], 1.0, 0.3
        return rows

    wild_map = rs.FunctionMap(henon, jacobian=slope, state_size=2)
    apart, errors = [], []
    for seed in range(6):  # λ_1 = .41922, and the sum is ln .3
        wild = lyapunov_spectrum(wild_map, n_steps=400, n_starts=10, seed=seed)
        assert wild.dimension.n_zero == 0
        apart.append(abs(wild.kaplan_yorke - (1 + 0.41922 / (0.41922 - np.log(0.3)))))
        errors.append(wild.dimension.error)
    assert np.mean(np.array(apart) <= 2 * np.array(errors)) >= 0.8
    assert np.median(errors) < 0.02


def test_volumes_that_shrink_are_no_torus():
    # The sum of the exponents is ln .999 at every point, and known to rounding, though each is known to .001 or so.
    def step(v):
        velocity = 0.999 * v[..., 1] + 0.9 * np.sin(v[..., 0])
        return np.stack([v[..., 0] + velocity, velocity], -1)

    def jacobian(v):
        rows, pull = np.zeros((*v.shape, 2)), 0.9 * np.cos(v[..., 0])
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0], rows[..., 1, 1] = 1 + pull, 0.999, pull, 0.999
        return rows

    starts = np.random.default_rng(0).uniform([2.9, -0.1], [3.4, 0.1], (6, 2))
    found = lyapunov_spectrum(rs.FunctionMap(step, jacobian=jacobian, state_size=2), starts=starts, n_steps=400)
    assert found.exponents.sum() == pytest.approx(np.log(0.999), abs=1e-9)
    assert found.dimension.n_zero <= 1
    assert found.kaplan_yorke < 2


def logistic(r):
    return rs.FunctionMap(lambda x: r * x * (1 - x), jacobian=lambda x: (r - 2 * r * x)[..., None], state_size=1)


STARTS = np.random.default_rng(0).uniform(0.1, 0.9, (6, 1))


@pytest.mark.parametrize(
    "state_map",
    [
        logistic(2.0),
        logistic(1 + np.sqrt(5)),
        logistic(3.8318740552833157),  # of period 3
        rs.FunctionMap(lambda x: 1 - 1.3107026413368328 * x**2, jacobian=lambda x: -2.6214052826736656 * x[..., None],
                       state_size=1),
    ],
    ids=["fixed point", "period 2", "period 3", "quadratic, period 4"],
)  # fmt: skip
def test_on_a_superstable_cycle_the_exponent_is_minus_infinity(state_map):
    # The critical point is on the cycle; what comes out as 1e-16 is 0 within rounding.
    found = lyapunov_spectrum(state_map, starts=STARTS - 0.1, n_steps=300)
    assert found.exponents[0] == -np.inf
    assert found.sign == -1
    assert found.converged[0]
    assert found.kaplan_yorke == 0
    assert "as on a superstable cycle" in found.summary()


def test_a_small_factor_is_no_rounding():
    for factor in (1e-12, 1e-18):
        net = rs.FunctionMap(
            lambda x, f=factor: f * x + 0.3,
            jacobian=lambda x, f=factor: np.full((*x.shape, 1), f),
            state_size=1,
        )
        found = lyapunov_spectrum(net, n_steps=60, n_starts=3)
        assert found.exponents[0] == pytest.approx(np.log(factor))
    near = lyapunov_spectrum(logistic(2.0 + 2e-6), starts=STARTS, n_steps=300)
    assert near.exponents[0] == pytest.approx(np.log(2e-6), abs=0.01)  # f' = 2 - r at the fixed point
