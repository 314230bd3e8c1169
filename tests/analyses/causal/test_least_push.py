"""Least pushes where the border is known, and beside a search over directions where it is not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar

import rnnscope as rs
from rnnscope import analyses
from rnnscope.analyses.causal.outcomes import Futures, radii_of

DATA = Path(__file__).resolve().parents[2] / "data"
LEAST, EDGE, NOT_FOUND = 0, 1, 4


def rotation(size: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def seen_in(map_of_y, derivative, matrix: np.ndarray, **more) -> rs.FunctionMap:
    """x' = M^-1 G(M x)."""
    inverse = np.linalg.inv(matrix)
    return rs.FunctionMap(
        lambda x: map_of_y(x @ matrix.T) @ inverse.T,
        jacobian=lambda x: inverse @ derivative(x @ matrix.T) @ matrix,
        state_size=len(matrix),
        initial=lambda n, rng: rng.standard_normal((n, len(matrix))),
        **more,
    )


def one_bistable(size: int, coupling: np.ndarray):
    """y0' = tanh(2 y0), the rest linear and driven by y0: the border is y0 = 0, whatever drives the rest."""

    def step(y):
        return np.concatenate([np.tanh(2 * y[..., :1]), 0.5 * y[..., 1:] + y[..., :1] * coupling], -1)

    def derivative(y):
        found = np.zeros((*y.shape, size))
        found[..., 0, 0] = 2 / np.cosh(2 * y[..., 0]) ** 2
        found[..., 1:, 0] = coupling
        found[..., np.arange(1, size), np.arange(1, size)] = 0.5
        return found

    return step, derivative


def trained(kind: str) -> tuple[torch.nn.Module, dict[str, np.ndarray]]:
    with np.load(DATA / f"flipflop_{kind}16.npz") as file:
        data = dict(file)
    module = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[kind](3, 16)
    module.load_state_dict({name[4:]: torch.tensor(data[name]) for name in data if name.startswith("rnn.")})
    return module, data


def points_of(system, reach: float = 1.5, n: int = 200):
    starts = reach * np.random.default_rng(5).standard_normal((n, rs.as_subject(system).state_size))
    return analyses.find_fixed_points(system, starts=starts, certify=False)


@pytest.mark.parametrize("size", [2, 6, 20])
@pytest.mark.parametrize("sheared", [False, True])
def test_the_distance_to_a_plane_is_exact(size: int, sheared: bool):
    """In rotated or sheared coordinates the border is the plane m0 . x = 0: its normal is the saddle's left eigenvector
    m0, and not the right one in which states leave."""
    rng = np.random.default_rng(size)
    matrix = rotation(size, size)
    if sheared:
        matrix = matrix @ (np.eye(size) + np.triu(rng.standard_normal((size, size)) / np.sqrt(size), 1))
    coupling = 1 + rng.random(size - 1)
    system = seen_in(*one_bistable(size, coupling), matrix)
    states = rng.standard_normal((12, size))
    found = analyses.find_least_pushes(system, states=states, fixed_points=points_of(system))
    normal = matrix[0] / np.linalg.norm(matrix[0])
    np.testing.assert_allclose(found.distance, np.abs(states @ normal), rtol=1e-5)
    assert (found.status == LEAST).all()
    assert (found.border.sine < 1e-3).all()
    np.testing.assert_allclose(np.abs(found.border.normal @ normal), 1, atol=1e-7)
    right = np.linalg.inv(matrix)[:, 0] + np.linalg.inv(matrix)[:, 1:] @ (coupling / 1.5)
    assert abs(right @ normal) / np.linalg.norm(right) < 0.97, "the two directions are apart"
    # A hundred-thousandth shorter does not do.
    assert (found.border.width < 1e-8).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_quadrants(seed: int):
    """Two uncoupled bistable units: to a neighbour it is one coordinate; to the opposite quadrant its corner, where the
    border has an edge, and the push is not along a normal of it."""
    rng = np.random.default_rng(seed)
    turn = rotation(2, seed)

    def step(y):
        return np.tanh(2 * y)

    system = seen_in(step, lambda y: (2 / np.cosh(2 * y) ** 2)[..., None] * np.eye(2), turn)
    states = rng.uniform(-0.9, 0.9, (10, 2))
    points = points_of(system)
    y = np.abs(states @ turn.T)
    nearest = analyses.find_least_pushes(system, states=states, fixed_points=points)
    np.testing.assert_allclose(nearest.distance, y.min(1), rtol=1e-6)
    assert (nearest.status == LEAST).all()
    each = analyses.find_least_pushes(system, states=states, fixed_points=points, to="each")
    assert len(each) == 30
    np.testing.assert_array_equal(each.target, each.wanted)
    for row in range(30):
        flipped = np.sign(each.points[each.own[row]] @ turn.T) != np.sign(each.points[each.target[row]] @ turn.T)
        exact = np.linalg.norm(y[each.trial[row]][flipped])
        assert each.distance[row] == pytest.approx(exact, rel=1e-4)
        assert each.status[row] == (LEAST if flipped.sum() == 1 else EDGE)
    saddles = points.points[nearest.border.saddle]
    assert (points.n_unstable[nearest.border.saddle] == 1).all()
    np.testing.assert_allclose(np.abs(saddles @ turn.T).min(1), 0, atol=1e-9)


def nearest_beyond(planes: np.ndarray, offsets: np.ndarray) -> float:
    """|w| of the shortest w with planes @ w >= offsets: a quadratic program, by another method than the one tested."""
    size = planes.shape[1]
    found = minimize(
        lambda w: w @ w,
        np.linalg.lstsq(planes, offsets + 1.0)[0] if len(planes) <= size else np.zeros(size),
        jac=lambda w: 2 * w,
        constraints={"type": "ineq", "fun": lambda w: planes @ w - offsets, "jac": lambda w: planes},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    return float(np.sqrt(found.fun))


@pytest.mark.parametrize(("seed", "n_bistable", "size", "shear"), [(0, 2, 6, 0.0), (3, 2, 6, 1.0), (4, 3, 8, 1.0)])
def test_edges_between_several_basins(seed: int, n_bistable: int, size: int, shear: float):
    """Two or three bistable units of different gains in sheared coordinates: basins are intersections of half-spaces,
    and the least push to one that lies beyond others ends on an edge or in a corner."""
    rng = np.random.default_rng(seed)
    matrix = rotation(size, seed) @ (np.eye(size) + shear * np.triu(rng.standard_normal((size, size)), 1) / size**0.5)
    gain = np.append(np.linspace(1.5, 3, n_bistable), np.full(size - n_bistable, 0.5))

    def step(y):
        return np.where(gain > 1, np.tanh(gain * y), gain * y)

    def derivative(y):
        return np.where(gain > 1, gain / np.cosh(gain * y) ** 2, gain)[..., None] * np.eye(size)

    system = seen_in(step, derivative, matrix)
    points = points_of(system, n=600)
    assert len(points) == 3**n_bistable
    states = rng.standard_normal((4, size))
    found = analyses.find_least_pushes(system, states=states, fixed_points=points, to="each")
    assert len(found) == 4 * (2**n_bistable - 1)
    for row in range(len(found)):
        side = np.sign(found.points[found.wanted[row]] @ matrix.T)[:n_bistable, None]
        planes, offsets = side * matrix[:n_bistable], -side[:, 0] * (matrix @ found.state[row])[:n_bistable]
        exact = nearest_beyond(planes, offsets)
        assert exact * (1 - 1e-6) < found.distance[row] < exact * (1 + 3e-3)
        # Planes that were crossed leave no more than there is.
        assert found.distance[row] * (1 - found.border.gap[row]) < exact * (1 + 1e-6)
    assert set(found.status.tolist()) == {LEAST, EDGE}
    assert (found.border.gap < 3e-3).all()


@pytest.mark.parametrize("bend", [0.3, -0.8, 2.0])
def test_a_parabola(bend: float):
    """y = (x0 - b x1^2, x1), and one bistable unit in y: the border is the parabola x0 = b x1^2."""

    def step(x):
        y0, y1 = np.tanh(2 * (x[..., 0] - bend * x[..., 1] ** 2)), 0.5 * x[..., 1]
        return np.stack([y0 + bend * y1**2, y1], -1)

    system = rs.FunctionMap(step, state_size=2)
    rng = np.random.default_rng(8)
    states = np.stack([rng.uniform(-1, 1, 16), rng.uniform(-0.7, 0.7, 16)], 1)
    found = analyses.find_least_pushes(system, states=states, fixed_points=points_of(system, 0.7))
    for row, state in enumerate(states):
        ways = [
            minimize_scalar(
                lambda s, state=state: np.hypot(bend * s**2 - state[0], s - state[1]),
                bounds=bounds,
                method="bounded",
                options={"xatol": 1e-10},
            ).fun
            for bounds in [(-2, -0.5), (-0.5, 0), (0, 0.5), (0.5, 2)]
        ]
        assert found.distance[row] == pytest.approx(min(ways), rel=1e-5)
    assert (found.status == LEAST).all()


def test_own_inputs_move_the_border():
    """h' = tanh(2 h + u): the border before the inputs is what they take to 0, found by going backwards."""
    system = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    shown = np.random.default_rng(2).normal(0, 0.3, (20, 12, 1))
    at = (7, 9)
    found = analyses.find_least_pushes(system, inputs=shown, times=at, after="own inputs")
    held = analyses.find_least_pushes(system, inputs=shown, times=at)
    reached = 0
    for row in range(len(found)):
        state, border = found.state[row, 0], 0.0
        for u in shown[found.trial[row], found.time[row] + 1 :, 0][::-1]:
            border = (np.arctanh(border) - u) / 2 if abs(border) < 1 else np.nan
        if np.isfinite(border):
            assert found.distance[row] == pytest.approx(abs(state - border), rel=1e-6)
            reached += 1
    assert reached == len(found) == 40
    np.testing.assert_allclose(held.distance, np.abs(held.state[:, 0]), rtol=1e-6)
    assert held.after.shown == "held input"
    assert found.after.shown == "own inputs"


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_a_trained_flip_flop_beside_a_search_over_directions(kind: str):
    """No one of 1,500 random directions, and of as many close to the one that was found, crosses sooner."""
    module, data = trained(kind)
    points = analyses.find_fixed_points(module, starts=data["initial_states"], certify=False)
    inputs = data["valid_inputs"][:6].astype(float)
    found = analyses.find_least_pushes(module, fixed_points=points, inputs=inputs, n_times=1)
    assert found.found.all()
    assert (found.status == LEAST).all()
    state_map, rng = rs.as_subject(module).map, np.random.default_rng(1)
    assert (points.n_unstable[found.border.saddle] == 1).all(), "borders belong to saddles of index one"
    assert (found.border.saddle_gap < 1e-2 * points.starts.scale).all()
    none = np.zeros((1, 0, 3))
    radii = radii_of(found.points, 1e-3 * points.starts.scale)
    futures = Futures(state_map, none, np.zeros(1, int), np.zeros(3), found.points, radii, 2000)

    def ends(states):
        return futures.ends(states, np.zeros(len(states), int))

    size = found.state.shape[1]
    for row in range(3):
        unit = found.push[row] / found.distance[row]
        near = unit + rng.choice([0.01, 0.03, 0.1, 0.3], (1500, 1)) * rng.standard_normal((1500, size)) / np.sqrt(size)
        tried = np.concatenate([rng.standard_normal((1500, size)), near])
        tried /= np.linalg.norm(tried, axis=1, keepdims=True)
        for share in (0.5, 0.8, 0.95, 1 - 1e-6):
            assert (ends(found.state[row] + share * found.distance[row] * tried) == found.own[row]).all()
        # And beyond, a small cap of directions is across.
        assert (ends(found.state[row] + 1.02 * found.distance[row] * near[:50]) != found.own[row]).any()


def test_reasons():
    alone = rs.FunctionMap(lambda h: 0.5 * h, state_size=3, initial=lambda n, rng: rng.standard_normal((n, 3)))
    with pytest.raises(rs.NotApplicable, match="one fixed point is stable; a push"):
        analyses.find_least_pushes(alone)
    # A line attractor: y0 stays what it is.
    line = rs.FunctionMap(lambda h: h * [1.0, 0.5], state_size=2)
    starts = np.random.default_rng(0).standard_normal((20, 2))
    points = analyses.find_fixed_points(line, starts=starts, certify=False)
    with pytest.raises(rs.NotApplicable, match="marginal, as on a line attractor"):
        analyses.find_least_pushes(line, fixed_points=points)
    bistable = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    with pytest.raises(ValueError, match="leave out inputs"):
        analyses.find_least_pushes(bistable, states=np.zeros((1, 1)), inputs=np.zeros((1, 2, 1)))
    with pytest.raises(ValueError, match="times must be steps of 0 to 1"):
        analyses.find_least_pushes(bistable, inputs=np.zeros((1, 2, 1)), times=[2])
    with pytest.raises(rs.NotApplicable, match="none of 2 states settles"):
        analyses.find_least_pushes(bistable, states=np.zeros((2, 1)))
    with pytest.raises(rs.NotApplicable, match="there are no trials"):
        analyses.find_least_pushes(bistable, times=[0])


def test_undecided_states_are_counted():
    bistable = rs.FunctionMap(lambda h: np.tanh(2 * h), state_size=1, domain=(-1, 1))
    found = analyses.find_least_pushes(bistable, states=np.array([[0.0], [0.5], [-0.25]]))
    assert found.trial.tolist() == [1, 2]
    assert found.after.n_undecided == 1
    assert "1 of 3 states were at no stable point" in found.summary()
    np.testing.assert_allclose(found.border.gap, 0, atol=1e-9)


def test_no_push_leads_to_an_attractor_that_own_inputs_never_leave_alone():
    """Where the trial's own inputs decide, no push does: said, and not taken for a long one."""
    system = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    shown = np.zeros((3, 6, 1))
    shown[:, 4] = 8.0
    found = analyses.find_least_pushes(system, inputs=shown, times=[1], after="own inputs")
    assert (found.status == NOT_FOUND).all()
    assert np.isinf(found.distance).all()
    assert found.headline()["n_pushes"] == 0
    assert "0 of 3 pushes" in found.summary()
    with pytest.raises(ValueError, match="no push was found in row 0"):
        found.steer(0)
