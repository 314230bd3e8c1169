"""Spectra that are known exactly, from theory, or from the literature."""

import jaxtyping
import numpy as np
import pytest
import torch
from scipy.special import digamma

import rnnscope as rs
from rnnscope.analyses.lyapunov import LyapunovSpectrum, lyapunov_spectrum


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which takes longer than these thousands of steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def logistic() -> rs.FunctionMap:
    return rs.FunctionMap(
        lambda x: 4 * x * (1 - x), jacobian=lambda x: (4 - 8 * x)[..., None], state_size=1, domain=(0, 1)
    )


def cat() -> rs.FunctionMap:
    matrix = np.array([[2.0, 1.0], [1.0, 1.0]])
    return rs.FunctionMap(
        lambda x: (x @ matrix.T) % 1.0,
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, 2)),
        state_size=2,
        domain=(0, 1),
    )


def henon() -> rs.FunctionMap:
    def jacobian(x):
        rows = np.zeros((*x.shape, 2))
        rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0] = -2.8 * x[..., 0], 1.0, 0.3
        return rows

    return rs.FunctionMap(
        lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1),
        jacobian=jacobian,
        state_size=2,
    )


def ikeda(u: float = 0.9) -> rs.FunctionMap:
    def parts(state):
        x, y = np.moveaxis(state, -1, 0)
        square = 1 + x**2 + y**2
        turn = 0.4 - 6 / square
        cosine, sine = np.cos(turn), np.sin(turn)
        return x, y, square, cosine, sine, x * cosine - y * sine, x * sine + y * cosine

    def step(state):
        *_, a, b = parts(state)
        return np.stack([1 + u * a, u * b], -1)

    def jacobian(state):
        x, y, square, cosine, sine, a, b = parts(state)
        by_x, by_y = 12 * x / square**2, 12 * y / square**2
        rows = [[cosine - b * by_x, -sine - b * by_y], [sine + a * by_x, cosine + a * by_y]]
        return u * np.stack([np.stack(row, -1) for row in rows], -2)

    return rs.FunctionMap(step, jacobian=jacobian, state_size=2)


def folded_towel() -> rs.FunctionMap:
    def step(state):
        x, y, z = np.moveaxis(state, -1, 0)
        fold = (y + 0.35) * (1 - 2 * z)
        rows = [3.8 * x * (1 - x) - 0.05 * fold, 0.1 * (fold - 1) * (1 - 1.9 * x), 3.78 * z * (1 - z) + 0.2 * y]
        return np.stack(rows, -1)

    def jacobian(state):
        x, y, z = np.moveaxis(state, -1, 0)
        rows = np.zeros((*state.shape, 3))
        rows[..., 0, :] = np.stack([3.8 - 7.6 * x, -0.05 * (1 - 2 * z), 0.1 * (y + 0.35)], -1)
        rows[..., 1, 0] = -0.19 * ((y + 0.35) * (1 - 2 * z) - 1)
        rows[..., 1, 1], rows[..., 1, 2] = 0.1 * (1 - 2 * z) * (1 - 1.9 * x), -0.2 * (y + 0.35) * (1 - 1.9 * x)
        rows[..., 2, 1], rows[..., 2, 2] = 0.2, 3.78 - 7.56 * z
        return rows

    return rs.FunctionMap(step, jacobian=jacobian, state_size=3)


def lorenz(dt: float = 0.01) -> rs.FunctionMap:
    """The step of a fourth-order Runge-Kutta method, and its derivative."""

    def flow(v):
        x, y, z = np.moveaxis(v, -1, 0)
        return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], -1)

    def slope(v):
        rows = np.zeros((*v.shape, 3))
        rows[..., 0, :] = [-10, 10, 0]
        rows[..., 1, 0], rows[..., 1, 1], rows[..., 1, 2] = 28 - v[..., 2], -1, -v[..., 0]
        rows[..., 2, 0], rows[..., 2, 1], rows[..., 2, 2] = v[..., 1], v[..., 0], -8 / 3
        return rows

    def stages(v):
        a = flow(v)
        b = flow(v + dt / 2 * a)
        return a, b, flow(v + dt / 2 * b)

    def step(v):
        a, b, c = stages(v)
        return v + dt / 6 * (a + 2 * b + 2 * c + flow(v + dt * c))

    def jacobian(v):
        a, b, c = stages(v)
        one = np.eye(3)
        d_a = slope(v)
        d_b = slope(v + dt / 2 * a) @ (one + dt / 2 * d_a)
        d_c = slope(v + dt / 2 * b) @ (one + dt / 2 * d_b)
        return one + dt / 6 * (d_a + 2 * d_b + 2 * d_c + slope(v + dt * c) @ (one + dt * d_c))

    return rs.FunctionMap(step, jacobian=jacobian, state_size=3, dt=dt)


def random_network(n: int, gain: float, seed: int) -> torch.nn.RNN:
    weight = np.random.default_rng(seed).normal(0, gain / np.sqrt(n), (n, n))
    module = torch.nn.RNN(1, n, bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.from_numpy(weight))
        module.weight_ih_l0.zero_()
    return module


def near(found: np.ndarray, true: list[float]) -> None:
    """Within 1 %, or .005 where the value is near 0."""
    for i, (ours, theirs) in enumerate(zip(found, true, strict=True)):
        assert ours == pytest.approx(theirs, rel=0.01, abs=0.005), f"exponent {i + 1}: {ours}, known to be {theirs}"


def spectrum_on(state_map: rs.FunctionMap, centre: list[float], width: float, **settings) -> LyapunovSpectrum:
    rng = np.random.default_rng(0)
    starts = np.array(centre) + width * rng.uniform(-1, 1, (settings.pop("n_starts"), len(centre)))
    return lyapunov_spectrum(state_map, starts=starts, **settings)


def test_logistic_and_cat_map():
    near(lyapunov_spectrum(logistic(), n_steps=1000, n_starts=100).exponents, [np.log(2)])
    golden = np.log((3 + np.sqrt(5)) / 2)
    np.testing.assert_allclose(lyapunov_spectrum(cat(), n_steps=100, n_starts=2).exponents, [golden, -golden], 1e-10)


def test_henon():
    found = lyapunov_spectrum(henon(), n_steps=1000, n_starts=100)
    near(found.exponents, [0.419, -1.623])
    assert found.exponents.sum() == pytest.approx(np.log(0.3), abs=1e-10)
    assert found.kaplan_yorke == pytest.approx(1.258, abs=0.004)
    assert found.entropy_rate == pytest.approx(0.419, abs=0.005)


def test_without_a_jacobian_the_interval_allows_for_the_error_of_differences():
    # ln|det J| is ln .3 at every point, so nothing but the error of the differences is in the sum.
    plain = rs.FunctionMap(henon()._step, state_size=2)
    found = lyapunov_spectrum(plain, n_steps=300, n_starts=10)
    assert found.exponents.sum() == pytest.approx(np.log(0.3), abs=1e-9)
    assert found.reductions.qr_every < lyapunov_spectrum(henon(), n_steps=300, n_starts=10).reductions.qr_every

    weight = np.random.default_rng(0).normal(0, 1.5 / np.sqrt(60), (60, 60))

    def step(x):
        return np.tanh(x @ weight.T)

    def jacobian(x):
        return (1 - step(x) ** 2)[..., None] * weight

    settings = {"starts": np.random.default_rng(1).uniform(-1, 1, (1, 60)), "n_steps": 60, "transient": 0}
    exact = lyapunov_spectrum(rs.FunctionMap(step, jacobian=jacobian, state_size=60), qr_every=1, **settings)
    ours = lyapunov_spectrum(rs.FunctionMap(step, state_size=60), **settings)
    assert ours.reductions.resolved.all()
    np.testing.assert_allclose(ours.exponents, exact.exponents, atol=2e-6)
    # Where the interval that is asked for spoils some, they are named.
    with pytest.warns(UserWarning, match="qr_every=10 is too long"):
        asked = lyapunov_spectrum(rs.FunctionMap(step, state_size=60), qr_every=10, **{**settings, "n_steps": 200})
    again = lyapunov_spectrum(
        rs.FunctionMap(step, jacobian=jacobian, state_size=60), qr_every=1, **{**settings, "n_steps": 200}
    )
    error = np.abs(asked.exponents - again.exponents)
    assert error[asked.reductions.resolved].max() < 0.01
    assert error[~asked.reductions.resolved].max() > error[asked.reductions.resolved].max()


def test_ikeda():
    found = spectrum_on(ikeda(), [0.5, 0.0], 0.3, n_starts=200, n_steps=1000)
    near(found.exponents, [0.506, -0.717])
    assert found.exponents.sum() == pytest.approx(2 * np.log(0.9), abs=1e-10)


def test_folded_towel():
    near(
        spectrum_on(folded_towel(), [0.085, -0.121, 0.075], 1e-3, n_starts=100, n_steps=1000).exponents,
        [0.432, 0.376, -3.301],
    )


def test_lorenz_in_units_of_time():
    found = spectrum_on(
        lorenz(), [0.0, 0.0, 25.0], 15.0, n_starts=200, n_steps=2500, transient=1500, tolerance=0.05, seed=1
    )
    near(found.rates, [0.906, 0.0, -14.57])
    # The divergence of the flow is constant; that of the Runge-Kutta step is nearly.
    assert found.rates.sum() == pytest.approx(-41 / 3, abs=2e-4)
    assert found.dt == 0.01
    assert "nats per unit of time" in found.summary()
    assert found.rates[0] == pytest.approx(0.9056, abs=3 * found.standard_error[0] / found.dt)


def test_the_sum_of_the_lorenz_flow_is_exact_where_the_method_of_integration_is():
    # The divergence is -41/3 everywhere. That of a Runge-Kutta step has an error of dt^4, 1e-4 at dt = .01.
    for dt, error in ((0.001, 2e-8), (0.00025, 1e-10)):
        found = spectrum_on(lorenz(dt), [0.0, 0.0, 25.0], 15.0, n_starts=4, n_steps=100, transient=50)
        assert found.rates.sum() == pytest.approx(-41 / 3, abs=error), f"dt = {dt}"


def test_products_of_gaussian_matrices_have_newmans_exponents():
    n, gain = 20, 1.3
    products = rs.FunctionMap(
        lambda x, u: 0 * x, jacobian=lambda x, u: u.reshape(*x.shape, n), state_size=n, input_size=n * n
    )
    found = []
    for seed in range(2):  # twice, to keep few matrices at a time
        matrices = np.random.default_rng(seed).standard_normal((100, 330, n * n)) * gain / np.sqrt(n)
        found.append(lyapunov_spectrum(products, inputs=matrices, n_steps=300, transient=30).exponents)
    i = np.arange(1, n + 1)
    newman = np.log(gain) + (np.log(2 / n) + digamma((n - i + 1) / 2)) / 2
    np.testing.assert_allclose(np.mean(found, 0), newman, atol=0.01)


@pytest.mark.parametrize(
    ("gain", "lambda_1", "deviation", "dimension"),
    [(0.9, -0.050, 0.034, 0.0), (1.5, 0.037, 0.018, 0.098), (2.0, 0.136, 0.007, 0.234), (5.0, 0.497, 0.006, 0.232)],
)
def test_random_tanh_networks_of_100_units(gain, lambda_1, deviation, dimension):
    # Three networks differ from three others by as much as networks differ among themselves.
    found = [
        lyapunov_spectrum(random_network(100, gain, seed), n_exponents=40, n_steps=500, n_starts=2) for seed in range(3)
    ]
    first = np.array([each.exponents[0] for each in found])
    spread = np.hypot(deviation, first.std(ddof=1))
    assert abs(first.mean() - lambda_1) < 2 * spread, f"{first} against {lambda_1} +- {deviation}"
    dimensions = np.array([each.kaplan_yorke for each in found]) / 100
    assert abs(dimensions.mean() - dimension) < 0.01 + 2 * dimensions.std(ddof=1), dimensions


def test_large_random_networks_approach_their_mean_field():
    # For many units a step forgets the one before, and λ_1 = <ln g^2 φ'^2> / 2 over Gaussian activity whose variance
    # is q = g^2 <tanh^2>. What is missing goes with 1 / n, so that two sizes give the limit.
    gain = 5.0
    z = np.linspace(-12, 12, 20001)
    weight = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    q = 1.0
    for _ in range(200):
        q = gain**2 * (weight * np.tanh(np.sqrt(q) * z) ** 2).sum()
    limit = np.log(gain**2 * (weight / np.cosh(np.sqrt(q) * z) ** 4).sum()) / 2
    small, large = (
        np.mean(
            [
                lyapunov_spectrum(
                    random_network(n, gain, seed), n_exponents=1, n_steps=100, transient=60, n_starts=16
                ).exponents[0]
                for seed in range(n_networks)
            ]
        )
        for n, n_networks in ((100, 10), (200, 6))
    )
    assert 2 * large - small == pytest.approx(limit, abs=0.01)


def test_the_jacobian_is_not_transposed():
    # J^T Q has the same sum of exponents, and another first one.
    n, n_steps = 32, 800
    module = random_network(n, 2.5, 0)
    weight = module.weight_hh_l0.detach().numpy()
    # Along given states: two simulations of a chaotic network part, and the averages over 50 of them differ by .002.
    orbit = np.empty((50, 200 + n_steps, n))
    orbit[:, 0] = np.random.default_rng(0).uniform(-1, 1, (50, n))
    for t in range(1, orbit.shape[1]):
        orbit[:, t] = np.tanh(orbit[:, t - 1] @ weight.T)
    found = lyapunov_spectrum(module, n_exponents=1, n_steps=n_steps, trajectory=orbit, seed=1)
    right, wrong = np.random.default_rng(1).standard_normal((2, 50, n))
    growth = np.zeros((2, n_steps))
    for t in range(-200, n_steps):
        slope = 1 - np.tanh(orbit[:, t + 200] @ weight.T) ** 2
        right, wrong = slope * (right @ weight.T), (slope * wrong) @ weight
        for which, vectors in enumerate((right, wrong)):
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= length
            if t >= 0:
                growth[which, t] = np.log(length).mean()
    by_hand, transposed = growth.mean(1)
    assert found.exponents[0] == pytest.approx(by_hand, abs=1e-4)  # what is left of the first frames, not yet settled
    # They are .013 apart, and the average over 50 orbits, which rounding chooses, is known to .002.
    assert abs(found.exponents[0] - transposed) > 0.005, "the numbers tell the two apart"
