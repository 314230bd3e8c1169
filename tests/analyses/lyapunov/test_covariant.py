"""Covariant Lyapunov vectors where they are known."""

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.lyapunov import CovariantVectors, covariant_lyapunov_vectors, lyapunov_spectrum
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.subjects.not_applicable import NotApplicable


def linear(matrix):
    matrix = np.asarray(matrix, float)
    return rs.FunctionMap(
        lambda x: x @ matrix.T,
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, len(matrix))),
        state_size=len(matrix),
    )


def henon_jacobian(x):
    rows = np.zeros((*x.shape, 2))
    rows[..., 0, 0], rows[..., 0, 1], rows[..., 1, 0] = -2.8 * x[..., 0], 1.0, 0.3
    return rows


def henon():
    return rs.FunctionMap(
        lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1),
        jacobian=henon_jacobian,
        state_size=2,
    )


def sine(one, other):
    """Of the angle between vectors of length 1 along the last axis."""
    return np.sqrt(np.clip(1 - np.sum(one * other, -1) ** 2, 0, None))


@pytest.mark.parametrize("n", [4, 30])
def test_those_of_a_linear_map_are_its_eigenvectors(n):
    values = np.concatenate([[1.2, 1.05, -0.8, 0.5], 0.3 * 0.9 ** np.arange(n - 4)])
    vectors = np.eye(n) + 0.4 * np.triu(np.random.default_rng(0).standard_normal((n, n)), 1)
    vectors /= np.linalg.norm(vectors, axis=0)
    matrix = vectors @ np.diag(values) @ np.linalg.inv(vectors)
    found = covariant_lyapunov_vectors(
        linear(matrix), starts=np.zeros((2, n)), n_vectors=4, n_steps=20, transient=250, settling=250, n_times=3
    )
    assert found.vectors.shape == (2, 3, n, 4)
    apart = sine(np.moveaxis(found.vectors, -1, 0), np.moveaxis(vectors[:, :4, None, None], (0, 1), (-1, 0)))
    assert apart.max() < 1e-6
    np.testing.assert_allclose(found.exponents, np.log(np.abs(values[:4])), atol=1e-9)
    np.testing.assert_allclose(found.covariant_exponents, np.log(np.abs(values[:4])), atol=1e-9)
    assert found.settled.all()
    cosines = np.abs(vectors[:, :4].T @ vectors[:, :4])
    np.testing.assert_allclose(found.pair_angle, np.degrees(np.arccos(np.minimum(1, cosines))), atol=1e-3)
    (one, _), (other, _) = np.linalg.qr(vectors[:, :2]), np.linalg.qr(vectors[:, 2:4])
    between = np.degrees(np.arccos(np.linalg.svd(one.T @ other)[1].max()))
    assert found.splitting.n_expanding == 2
    np.testing.assert_allclose(found.splitting.angle, between, atol=1e-5)


def test_the_cat_map_has_directions_at_right_angles():
    matrix = np.array([[2.0, 1.0], [1.0, 1.0]])
    cat = rs.FunctionMap(
        lambda x: (x @ matrix.T) % 1,
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, 2)),
        state_size=2,
        domain=(0, 1),
    )
    found = covariant_lyapunov_vectors(cat, n_steps=30, transient=30, settling=30)
    golden = (1 + np.sqrt(5)) / 2
    expanding, contracting = np.array([golden, 1]), np.array([1, -golden])
    assert sine(found.vectors[..., 0], expanding / np.linalg.norm(expanding)).max() < 1e-7
    assert sine(found.vectors[..., 1], contracting / np.linalg.norm(contracting)).max() < 1e-7
    np.testing.assert_allclose(found.splitting.angle, 90, atol=1e-6)


def test_skew_product_whose_second_direction_is_known():
    # x' = 2x mod 1, y' = y / 2 + sin(2 pi x): the contracting direction is y; the other has the slope
    # s' = (s / 2 + 2 pi cos(2 pi x)) / 2, whatever it was long ago.
    def step(v):
        return np.stack([(2 * v[..., 0] + 1e-9) % 1, v[..., 1] / 2 + np.sin(2 * np.pi * v[..., 0])], -1)

    def jacobian(v):
        rows = np.zeros((*v.shape, 2))
        rows[..., 0, 0], rows[..., 1, 1], rows[..., 1, 0] = 2, 0.5, 2 * np.pi * np.cos(2 * np.pi * v[..., 0])
        return rows

    skew = rs.FunctionMap(step, jacobian=jacobian, state_size=2)
    start = np.array([[0.2345, 0.1]])
    found = covariant_lyapunov_vectors(skew, starts=start, n_steps=10, transient=30, settling=40, n_times=11)
    np.testing.assert_allclose(np.abs(found.vectors[0, :, 0, 1]), 0, atol=1e-9)
    slope, state = 0.0, start[0]
    for t in range(40):
        if t >= 30:
            ours = found.vectors[0, t - 30, 1, 0] / found.vectors[0, t - 30, 0, 0]
            assert ours == pytest.approx(slope, abs=1e-7)
            np.testing.assert_allclose(found.states[0, t - 30], state)
        slope = (slope / 2 + 2 * np.pi * np.cos(2 * np.pi * state[0])) / 2
        state = step(state)


def test_henon_tangent_to_the_unstable_and_the_stable_manifold():
    found = covariant_lyapunov_vectors(henon(), n_steps=60, transient=60, settling=60, n_times=61, n_starts=3)
    states, vectors = found.states, found.vectors
    # Any direction turns into the unstable one when it is carried forward, and into the stable one when carried back.
    ahead, back = np.ones((3, 2, 1)), np.ones((3, 2, 1))
    for t in range(60):
        ahead = henon_jacobian(states[:, t]) @ ahead
        ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
        back = np.linalg.solve(henon_jacobian(states[:, 59 - t]), back)
        back /= np.linalg.norm(back, axis=1, keepdims=True)
    assert sine(ahead[..., 0], vectors[:, 60, :, 0]).max() < 1e-6
    assert sine(back[..., 0], vectors[:, 0, :, 1]).max() < 1e-6
    # They are covariant: the step of the map takes them to those of the next state.
    moved = henon_jacobian(states[:, :-1]) @ vectors[:, :-1]
    moved /= np.linalg.norm(moved, axis=2, keepdims=True)
    assert sine(np.swapaxes(moved, 2, 3), np.swapaxes(vectors[:, 1:], 2, 3)).max() < 1e-6
    assert found.exponents.sum() == pytest.approx(np.log(0.3), abs=1e-10)
    np.testing.assert_allclose(found.covariant_exponents, found.exponents, atol=0.1)
    assert found.splitting.angle.min() > 0
    assert found.splitting.angle.min() < 10, "the Henon map is not hyperbolic"


def test_vectors_that_have_no_time_to_settle_say_so():
    found = covariant_lyapunov_vectors(
        linear(np.diag([1.0, 0.999, 0.5])), starts=np.zeros((1, 3)), n_steps=5, transient=5, settling=5
    )
    assert not found.settled[1]
    assert "NOT" in found.summary()
    title = found.figure().layout.title.text
    assert "settled)" in title
    assert max(map(len, title.split("<br>"))) <= 72, "a line of more letters leaves a figure of 700 pixels"


def lorenz():
    """A step of .02 units of time by a fourth-order Runge-Kutta method, and the flow: the neutral direction."""

    def flow(v):
        x, y, z = np.moveaxis(v, -1, 0)
        return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], -1)

    def step(v):
        a = flow(v)
        b = flow(v + 0.01 * a)
        c = flow(v + 0.01 * b)
        return v + 0.02 / 6 * (a + 2 * b + 2 * c + flow(v + 0.02 * c))

    return rs.FunctionMap(step, state_size=3, dt=0.02), flow


@pytest.mark.parametrize("seed", [1])
def test_the_neutral_direction_of_a_flow_is_told_apart_and_is_that_of_the_flow(seed, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check takes longer than all the steps
    state_map, flow = lorenz()
    starts = [0, 0, 25] + 10 * np.random.default_rng(seed).uniform(-1, 1, (8, 3))
    found = covariant_lyapunov_vectors(
        state_map, starts=starts, n_steps=900, transient=300, settling=600, n_times=10, seed=seed
    )
    assert (found.splitting.n_expanding, found.splitting.n_neutral) == (1, 1), (
        f"{found.exponents} +- {found.standard_error}"
    )
    assert found.settled.all()
    along = flow(found.states)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    assert sine(along, found.vectors[..., 1]).max() < 0.02
    between = np.degrees(np.arcsin(sine(found.vectors[..., 0], found.vectors[..., 2])))
    np.testing.assert_allclose(found.splitting.angle, between, atol=1e-3)  # without the neutral one
    assert "1 direction expands, 1 direction is neutral, 1 direction contracts, " in found.summary()
    assert f"at least {between.min():.3g}°" in found.summary()


def test_where_all_is_neutral_nothing_expands():
    found = covariant_lyapunov_vectors(linear(np.eye(2)), n_steps=20, transient=5, settling=5)
    assert (found.splitting.n_expanding, found.splitting.n_neutral) == (0, 2)
    assert found.degenerate.tolist() == [False, True]
    assert "1 settled, 1 NOT: 1 of (nearly) equal exponents" in found.summary()
    assert "no direction expands, 2 directions are neutral" in found.summary()
    assert "longer settling" not in found.summary()


def test_a_complex_pair_has_no_vectors_of_its_own_but_its_plane_has_an_angle():
    turn = 0.8 * np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    blocks, basis = np.zeros((3, 3)), np.array([[1.0, 0.4, 0.3], [0.2, 1.0, -0.5], [-0.3, 0.1, 1.0]])
    blocks[0, 0], blocks[1:, 1:] = 1.2, turn
    found = covariant_lyapunov_vectors(
        linear(basis @ blocks @ np.linalg.inv(basis)), starts=np.zeros((2, 3)), n_steps=60, transient=60, settling=60
    )
    assert found.settled.tolist() == [True, True, False]
    assert found.degenerate.tolist() == [False, False, True]
    assert "1 NOT: 1 of (nearly) equal exponents" in found.summary()
    plane = np.linalg.qr(basis[:, 1:])[0]
    line = basis[:, 0] / np.linalg.norm(basis[:, 0])
    truth = np.degrees(np.arcsin(np.linalg.norm(line - plane @ (plane.T @ line))))
    np.testing.assert_allclose(found.splitting.angle, truth, atol=1e-6)
    assert f"{truth:.3g}° from those that expand (median), at least {truth:.3g}°" in found.summary()


def test_angles_that_have_not_settled_are_withheld():
    tilted = np.array([[1.2, 0.3, 0.5], [0, 1.001, 0.4], [0, 0, 0.5]])
    settings = {"starts": np.zeros((1, 3)), "n_steps": 20, "n_times": 3}
    found = covariant_lyapunov_vectors(linear(tilted), transient=60, settling=2, **settings)
    assert found.splitting.discrepancy > 0.01
    assert np.isnan(found.splitting.angle).all()
    assert "at angles that have NOT settled" in found.summary()
    assert "that longer settling may help" in found.summary()
    assert "NOT settled" in found.figure().layout.title.text
    longer = covariant_lyapunov_vectors(linear(tilted), transient=400, settling=80, **settings)
    assert longer.splitting.discrepancy < 1e-6
    assert np.isfinite(longer.splitting.angle).all()


def test_one_time_has_the_exponents_of_all_steps():
    one, many = (covariant_lyapunov_vectors(henon(), n_steps=60, n_times=n) for n in (1, 5))
    assert one.vectors.shape[1] == 1
    np.testing.assert_allclose(one.exponents, many.exponents, atol=1e-9)
    assert one.splitting.n_expanding == 1


def test_directions_that_are_forgotten_have_no_vectors():
    found = covariant_lyapunov_vectors(linear([[1.1, 0.3, 1], [0, 0.5, 1], [0, 0, 0]]), starts=np.zeros((2, 3)))
    assert found.vectors.shape[3] == 2
    assert found.n_forgotten == 1
    eigenvector = np.array([-0.3, 0.6, 0]) / np.linalg.norm([-0.3, 0.6, 0])
    assert sine(found.vectors[..., 1], eigenvector).max() < 1e-6
    assert "1 direction is forgotten at once" in found.summary()
    with pytest.raises(NotApplicable, match="all directions are forgotten"):
        covariant_lyapunov_vectors(linear(np.zeros((2, 2))))


def test_a_start_that_diverges_leaves_the_others_alone():
    found = covariant_lyapunov_vectors(henon(), starts=[[0.1, 0.1], [50.0, 0.0]], n_steps=20)
    assert found.diverged_at[0] == -1
    assert 3 <= found.diverged_at[1] <= 12
    assert np.isfinite(found.vectors[0]).all()
    assert np.isnan(found.vectors[1]).all()
    assert "1 of 2 starts diverged" in found.summary()
    gone = covariant_lyapunov_vectors(henon(), starts=[[50.0, 0.0]], n_steps=20)
    assert gone.summary() == "no covariant Lyapunov vectors: 1 of 1 starts diverged"
    assert gone.summary() in gone.figure().layout.annotations[0].text


def test_a_network_under_input():
    torch.manual_seed(0)
    inputs = np.random.default_rng(0).standard_normal((150, 2))
    settings = {"n_steps": 50, "transient": 50, "seed": 1}
    found = covariant_lyapunov_vectors(torch.nn.GRU(2, 6), inputs=inputs, settling=50, n_starts=2, **settings)
    assert found.drive == "given inputs"
    assert found.splitting.n_expanding == 0
    assert np.isnan(found.splitting.angle).all()
    assert "no direction expands" in found.summary()
    spectrum = lyapunov_spectrum(torch.nn.GRU(2, 6), inputs=inputs, n_starts=2, n_steps=50, transient=50, seed=1)
    assert spectrum.exponents.shape == found.exponents.shape
    back = from_xarray(CovariantVectors, to_xarray(found))
    np.testing.assert_array_equal(back.vectors, found.vectors)
    assert back.summary() == found.summary()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_vectors": 5}, "n_vectors must be from 1 to 4, the map's state size, got 5"),
        ({"settling": 0}, "settling must be at least 1"),
        ({"n_times": 0}, "n_times must be at least 1"),
        ({"inputs": np.zeros((300, 2))}, "300 steps, .* asks for 600"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        covariant_lyapunov_vectors(torch.nn.RNN(2, 4), **arguments)
