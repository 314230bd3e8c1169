"""Certificates against roots in 50 digits, maps whose fixed points are known, and points that must not be certified."""

from typing import Any

import jaxtyping
import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf
from scipy.optimize import brentq

import rnnscope as rs
from rnnscope import cells
from rnnscope.analyses.fixed_points.trust.certificates import Certificates, certify_fixed_points, distinct_points
from rnnscope.maps import HeldInput, LinearPieces
from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.torch_modules import layers_from_torch

STACKS = {
    "tanh": [cells.Vanilla(5)],
    "leaky ReLU": [cells.Vanilla(5, nonlinearity="leaky_relu")],
    "identity": [cells.Vanilla(5, nonlinearity="identity")],
    "leak inside": [cells.Leaky(5, tau=(1, 9), nonlinearity="tanh")],
    "leak outside": [cells.Leaky(5, tau=(1, 9), leak="outside", nonlinearity="tanh")],
    "low rank": [cells.LowRank(6, rank=2, tau=3)],
    "GRU": [cells.GRU(5)],
    "LSTM": [cells.LSTM(4)],
    "stack of LSTM": [cells.LSTM(3), cells.LSTM(2)],
    "stack of all": [cells.GRU(3), cells.Vanilla(2), cells.LSTM(3), cells.Leaky(2, leak="outside")],
}


def polished(module: torch.nn.Module, data: Any) -> tuple[torch.nn.Module, np.ndarray, np.ndarray]:
    """(module, its 27 fixed points as far as double precision goes, the input at each)."""
    points = data["reference_fixed_points"].astype(np.float64)
    inputs = np.repeat(data["input"][:1].astype(np.float64), len(points), 0)
    return module, newton(rs.as_subject(module).map, points, inputs), inputs


def newton(state_map: rs.StateMap, points: np.ndarray, inputs: np.ndarray, n_steps: int = 4) -> np.ndarray:
    for _ in range(n_steps):
        slope = state_map.jacobian(points, inputs) - np.eye(points.shape[1])
        points = points - np.linalg.solve(slope, (state_map.step(points, inputs) - points)[..., None])[..., 0]
    return points


def digits(values: torch.Tensor) -> list:
    return [digits(row) if row.ndim else mpf(row.item()) for row in values]


def step(layers: list, state: list, u: list) -> list:
    """One step of a stack in as many digits as mpmath is set to, from the textbook."""
    new, start = [], 0
    for layer in layers:
        d, old = layer.dynamics(), state[start : start + layer.state_size]
        start += layer.state_size
        h = old[: layer.n_units]
        bias = [mpf(0)] * len(d.weight) if d.bias is None else digits(d.bias)
        from_state = [mpmath.fdot(row, h) for row in digits(d.weight)]
        from_input = [mpmath.fdot(row, u) for row in digits(d.weight_in)]
        total = [sum(parts) for parts in zip(from_state, from_input, bias, strict=True)]
        n, tanh, gate = len(h), mpmath.tanh, lambda x: 1 / (1 + mpmath.exp(-x))
        match type(layer).__name__:
            case "GRUCell":
                b_in = digits(d.bias_in)
                r, z = ([gate(total[k * n + i] + b_in[k * n + i]) for i in range(n)] for k in (0, 1))
                inner = [from_state[2 * n + i] + bias[2 * n + i] for i in range(n)]
                n_gate = [tanh(from_input[2 * n + i] + b_in[2 * n + i] + r[i] * inner[i]) for i in range(n)]
                u = [(1 - z[i]) * n_gate[i] + z[i] * h[i] for i in range(n)]
                new += u
            case "LSTMCell":
                i, f, o = ([gate(x) for x in total[k * n : (k + 1) * n]] for k in (0, 1, 3))
                memory = [f[k] * old[n + k] + i[k] * tanh(total[2 * n + k]) for k in range(n)]
                u = [o[k] * tanh(memory[k]) for k in range(n)]
                new += u + memory
            case "RateCell":
                below = {"leaky_relu": mpf(0.01), "identity": mpf(1)}.get(d.nonlinearity)
                f = tanh if d.nonlinearity == "tanh" else lambda x, below=below: x if x > 0 else below * x
                keep, gain = (digits(x) if x is not None else [y] * n for x, y in ((d.keep, mpf(0)), (d.gain, mpf(1))))
                u = [keep[i] * h[i] + gain[i] * f(total[i]) for i in range(n)]
                new += u
    return new


def true_fixed_point(layers: list, state_map: rs.StateMap, x: np.ndarray, u: np.ndarray) -> list:
    """In 50 digits: steps with the inverse in double precision gain 10 digits each."""
    inverse = np.linalg.inv(state_map.jacobian(x, u) - np.eye(len(x)))
    state, held = [mpf(v) for v in x.tolist()], [mpf(v) for v in u.tolist()]
    rows = [[mpf(v) for v in row] for row in inverse.tolist()]
    for _ in range(6):
        residual = [a - b for a, b in zip(step(layers, state, held), state, strict=True)]
        state = [h - mpmath.fdot(row, residual) for h, row in zip(state, rows, strict=True)]
    assert max(map(abs, residual)) < mpf(10) ** -45
    return state


def distance(one: list, other: np.ndarray) -> mpf:
    return mpmath.sqrt(sum((a - mpf(b)) ** 2 for a, b in zip(one, other.tolist(), strict=True)))


def layers_of(name: str, seed: int) -> list[torch.nn.Module]:
    generator, size, layers = torch.Generator().manual_seed(seed), 2, []
    for cell in STACKS[name]:
        layer = cell.build(size, generator).double()
        for parameter in layer.parameters():
            parameter.requires_grad_(False)
            if parameter.ndim == 2 or not parameter.any():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        layers.append(layer)
        size = layer.n_units
    return layers


def scalar_tanh(weight: float) -> rs.StateMap:
    module = torch.nn.RNN(1, 1, bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.fill_(weight)
        module.weight_ih_l0.fill_(1.0)
    return HeldInput(rs.as_subject(module).map, [0.0])


def certify(state_map: rs.StateMap, points) -> Certificates:
    points = np.array(points, float)
    return certify_fixed_points(state_map, points, np.zeros((len(points), state_map.input_size)))


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_all_27_points_of_the_flip_flop_are_proven_and_distinct(flip_flop, kind: str):
    module, points, inputs = polished(*flip_flop(kind))
    state_map = rs.as_subject(module).map
    given = points.copy(), inputs.copy()
    found = certify_fixed_points(state_map, points, inputs)
    assert found.certified.all(), found.reason
    assert found.reason == ("",) * 27
    assert found.error_radius.max() < 1e-13
    assert found.uniqueness_radius.min() > 0.05
    nearest = np.sort(np.linalg.norm(points[:, None] - points, axis=-1), 1)[:, 1]
    assert (found.uniqueness_radius < nearest).all(), "the nearest other point is a fixed point too"
    np.testing.assert_array_equal(distinct_points(points, found), ~np.eye(27, dtype=bool))
    for array, before in zip((points, inputs), given, strict=True):
        np.testing.assert_array_equal(array, before, err_msg="the caller's array was changed")

    layers = layers_from_torch(module.double())
    with mpmath.workdps(50):
        for x, u, error in zip(points[::3], inputs[::3], found.error_radius[::3], strict=True):
            assert distance(true_fixed_point(layers, state_map, x, u), x) <= mpf(error)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("seed", range(2))
def test_the_true_point_lies_within_the_error_radius(name: str, seed: int):
    """Of the best point in double precision, and of points beside it."""
    layers, rng = layers_of(name, seed), np.random.default_rng(seed)
    state_map = CellMap(layers)
    u = rng.normal(size=(1, 2))
    x = np.zeros((1, state_map.state_size))
    for _ in range(300):
        x = x + 0.2 * (state_map.step(x, u) - x)
    x = newton(state_map, x, u, 8)
    moves = np.concatenate([10.0**-k * rng.normal(size=(1, x.shape[1])) for k in (16, 12, 8, 5, 3, 2, 1)])
    points = np.concatenate([x, x + moves])
    inputs = np.repeat(u, len(points), 0)
    found = certify_fixed_points(state_map, points, inputs)
    assert found.certified[:5].all(), found.reason
    assert found.error_radius[0] < 1e-12
    with mpmath.workdps(50):
        truth = true_fixed_point(layers, state_map, x[0], u[0])
        for i in np.flatnonzero(found.certified):
            away = distance(truth, points[i])
            if away <= found.uniqueness_radius[i]:
                assert away <= mpf(found.error_radius[i]), f"moved by {np.linalg.norm(points[i] - x[0])}"
            assert found.error_radius[i] <= found.uniqueness_radius[i]
    beside = found.error_radius[2:6] / np.linalg.norm(moves[1:5], axis=1)
    assert (beside < 2).all(), "the error radius is about the distance"


def test_nothing_else_in_the_uniqueness_ball(flip_flop):
    """Newton searches from all over the ball end in it only at the point itself; Jacobians stay invertible."""
    module, points, inputs = polished(*flip_flop("gru"))
    state_map, rng = rs.as_subject(module).map, np.random.default_rng(0)
    found = certify_fixed_points(state_map, points, inputs)
    for x, u, radius in zip(points[::4], inputs[::4], found.uniqueness_radius[::4], strict=True):
        moves = rng.normal(size=(300, 16))
        ball = x + radius * moves / np.linalg.norm(moves, axis=1, keepdims=True)
        held = np.repeat(u[None], len(ball), 0)
        ends = newton(state_map, ball, held, 30)
        converged = np.linalg.norm(state_map.step(ends, held) - ends, axis=1) < 1e-12
        away = np.linalg.norm(ends - x, axis=1)
        assert converged.any()
        assert not ((away < radius) & (away > 1e-10) & converged).any()


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_the_newton_map_contracts_up_to_the_uniqueness_radius(kind: str):
    """|1 - A (J(h) - 1)| < 1 on the whole ball, which is what uniqueness rests on: here at the worst of many states."""
    rng = np.random.default_rng(1)
    cell = cells.Vanilla(3, nonlinearity=kind).build(2, torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        cell.weights.weight.mul_(3)
    state_map, u = CellMap([cell]), np.zeros((1, 2))
    x = newton(state_map, np.full((1, 3), 0.1), u, 50)
    found = certify_fixed_points(state_map, x, u)
    assert found.certified.all()
    radius = min(found.uniqueness_radius[0], 10.0)
    moves = rng.normal(size=(4000, 3))
    ball = x + radius * moves / np.linalg.norm(moves, axis=1, keepdims=True) * rng.uniform(size=(4000, 1)) ** 0.2
    slopes = state_map.jacobian(ball, np.zeros((4000, 2))) - np.eye(3)
    rates = np.linalg.norm(np.eye(3) - np.linalg.inv(state_map.jacobian(x, u)[0] - np.eye(3)) @ slopes, 2, (1, 2))
    assert rates.max() < 1


def test_scalar_maps_of_which_all_is_known():
    root = brentq(lambda x: np.tanh(2 * x) - x, 0.5, 1.5, xtol=1e-15)
    found = certify(scalar_tanh(2.0), [[0.0], [root], [-root], [root + 1e-3], [0.3]])
    assert found.certified.tolist() == [True, True, True, True, False]
    assert (found.error_radius[:3] < 1e-14).all()
    assert 1e-3 < found.error_radius[3] < 1.1e-3
    assert np.isinf(found.error_radius[4])
    assert found.uniqueness_radius[4] == 0
    # 1 - A G' reaches 1 where 2 tanh'(2 r) = 0 at the latest, and beyond half of the way to the other root.
    assert (found.uniqueness_radius[:3] > 0.3).all()
    assert (found.uniqueness_radius[:3] < root).all()
    assert found.reason[4].startswith("a Newton step from here has length 0.6, too long")


def test_polynomials_with_a_lipschitz_bound():
    """x^2 contracts to its fixed points exactly up to 1/2 around them; x^3 has a bound on each ball only."""
    square = rs.FunctionMap(lambda x: x**2, jacobian=lambda x: 2 * x[..., None], jacobian_lipschitz=2.0, state_size=1)
    found = certify(square, [[0.0], [1.0], [1.001]])
    assert found.certified.all()
    assert ((found.uniqueness_radius > 0.49) & (found.uniqueness_radius < 0.5)).all()
    assert 0.001 <= found.error_radius[2] < 0.0011
    cube = rs.FunctionMap(
        lambda x: x**3,
        jacobian=lambda x: 3 * x[..., None] ** 2,
        jacobian_lipschitz=lambda x, radii: 6 * (np.abs(x[:, 0]) + radii),
        state_size=1,
    )
    found = certify(cube, [[-1.0], [0.0], [1.0], [0.99]])
    assert found.certified.all()
    assert (found.error_radius[:3] < 1e-12).all()
    assert found.error_radius[3] >= 0.01
    assert (found.uniqueness_radius < [1, 1, 1, 1.01]).all()
    assert (found.uniqueness_radius > 0.2).all()


def test_henon():
    henon = rs.FunctionMap(
        lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1),
        jacobian=lambda x: np.stack(
            [-2.8 * x[..., 0], 1 + 0 * x[..., 0], 0.3 + 0 * x[..., 0], 0 * x[..., 0]], -1
        ).reshape(*x.shape, 2),
        jacobian_lipschitz=2.8,
        state_size=2,
    )
    x = (-0.7 + np.array([1, -1]) * np.sqrt(0.49 + 5.6)) / 2.8
    found = certify(henon, np.stack([x, 0.3 * x], -1))
    assert found.certified.all()
    assert (found.error_radius < 1e-12).all()
    assert (found.uniqueness_radius > 0.2).all()


def test_a_map_proven_to_have_one_fixed_point_only():
    """Linear ones away from eigenvalue 1, and contractions."""
    linear = cells.Vanilla(3, nonlinearity="identity").build(1, torch.Generator().manual_seed(0)).double()
    weak = cells.Vanilla(3).build(1, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        weak.weights.weight.mul_(0.3)
    for cell in (linear, weak):
        state_map = CellMap([cell])
        found = certify(state_map, newton(state_map, np.zeros((1, 3)), np.zeros((1, 1)), 20))
        assert found.certified.all()
        assert np.isinf(found.uniqueness_radius).all()


@pytest.mark.parametrize(
    ("map_", "jacobian", "lipschitz", "at"),
    [
        (lambda x: x + x**2, lambda x: 1 + 2 * x, 2.0, 0.0),  # saddle-node, at it
        (lambda x: x + x**2, lambda x: 1 + 2 * x, 2.0, 1e-7),  # and where the search would end
        (lambda x: x + x**2 + 1e-18, lambda x: 1 + 2 * x, 2.0, 0.0),  # no root any more
        (lambda x: x + 1e-17, lambda x: np.ones_like(x), 0.0, 1.0),  # stands still in double precision only
        (lambda x: x, lambda x: np.ones_like(x), 0.0, 1.0),  # everything is a fixed point
        (lambda x: x - x**3, lambda x: 1 - 3 * x**2, lambda x, r: 6 * (abs(x[:, 0]) + r), 1e-6),  # pitchfork
    ],
)
def test_degenerate_points_are_not_certified(map_, jacobian, lipschitz, at: float):
    state_map = rs.FunctionMap(
        map_, jacobian=lambda x: jacobian(x)[..., None], jacobian_lipschitz=lipschitz, state_size=1
    )
    found = certify(state_map, [[at]])
    assert not found.certified[0]
    assert found.reason[0] != ""


def test_a_line_attractor_is_not_certified():
    for nonlinearity in ("identity", "relu"):
        cell = cells.Vanilla(2, nonlinearity=nonlinearity, bias=False).build(1).double()
        with torch.no_grad():
            cell.weights.weight.copy_(torch.tensor([[0.75, 0.25], [0.25, 0.75]]))
        found = certify(CellMap([cell]), [[1.0, 1.0], [0.5, 0.5]])
        assert not found.certified.any()
        assert set(found.reason) == {"Jacobian - 1 cannot be told from a singular matrix in double precision"}


def test_false_roots_of_a_saturated_gru():
    """With z = 1 - 2e-22 every state stands still in double precision; only where n = h is a fixed point."""
    cell = cells.GRU(3).build(1, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        cell.rnn.bias_ih_l0[3:6] = 50.0
    state_map, everywhere = CellMap([cell]), np.random.default_rng(0).uniform(-1, 1, (20, 3))
    np.testing.assert_allclose(state_map.step(everywhere, np.zeros((20, 1))), everywhere, rtol=3e-16)
    with torch.no_grad():
        cell.rnn.bias_ih_l0[3:6] = 0.0
    true = newton(CellMap([cell]), np.zeros((1, 3)), np.zeros((1, 1)), 20)
    found = certify(state_map, np.concatenate([everywhere, true]))
    proven = found.certified[:-1] & (found.error_radius[:-1] < 0.9 * np.linalg.norm(everywhere - true, axis=1))
    assert not proven.any()
    assert found.certified[-1]
    assert found.error_radius[-1] < 1e-14


@pytest.mark.parametrize(("forget", "certified"), [(2.0, True), (20.0, True), (40.0, False)])
def test_an_lstm_that_hardly_forgets(forget: float, certified: bool):
    """i g = (1 - f) c at c = tanh(1/2), where i = 1 - f. With f = 1 - 4e-18 every memory stands still in double
    precision, and none is certified."""
    cell = cells.LSTM(1).build(1).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.rnn.bias_ih_l0.copy_(torch.tensor([-forget, forget, 0.5, 0.0]))
    memories = np.array([np.tanh(0.5), 0.3])
    found = certify(CellMap([cell]), np.stack([np.tanh(memories) / 2, memories], 1))
    assert found.certified[0] == certified
    assert not certified or found.error_radius[0] < 1e-13
    assert not found.certified[1] or found.error_radius[1] > memories[0] - 0.3


def test_saturated_units_with_huge_weights():
    """tanh(1000 h) is 1 in double precision, and the true point is 1 - 2 exp(-2000)."""
    found = certify(scalar_tanh(1000.0), [[1.0], [0.0], [0.5]])
    assert found.certified.tolist() == [True, True, False]
    assert found.error_radius[0] < 1e-14
    assert 0.9 < found.uniqueness_radius[0] < 1
    # At 0 the Newton map contracts where 1000 tanh'(1000 h) > 1.
    np.testing.assert_allclose(found.uniqueness_radius[1], np.arccosh(np.sqrt(1000)) / 1000, rtol=0.02)


def relu_line(slope: float, bias: float) -> rs.StateMap:
    cell = cells.Vanilla(1, nonlinearity="relu").build(1).double()
    with torch.no_grad():
        cell.weights.weight.fill_(slope)
        cell.weights.bias.fill_(bias)
    return HeldInput(rs.as_subject(CellMap([cell])).map, [0.0])


def test_a_relu_map_up_to_its_kinks():
    """relu(2 h - 1) stands still at 0 and 1, and has its kink half way."""
    found = certify(relu_line(2.0, -1.0), [[0.0], [1.0], [0.5]])
    assert found.certified.tolist() == [True, True, False]
    assert ((found.uniqueness_radius[:2] > 0.49) & (found.uniqueness_radius[:2] <= 0.5)).all()
    assert (found.error_radius[:2] < 1e-14).all()


def test_at_a_kink_only_what_holds_for_all_slopes_is_certified():
    """0 is the only fixed point of relu(h / 2), one of a half-line of them for relu(h), and isolated for relu(2 h)."""
    half, whole, double = (certify(relu_line(slope, 0.0), [[0.0]]) for slope in (0.5, 1.0, 2.0))
    assert half.certified[0]
    assert np.isinf(half.uniqueness_radius[0])
    assert not whole.certified[0]
    assert not double.certified[0], "between the slopes of its sides the Jacobian - 1 is singular"


def test_pieces_of_a_function_map():
    """The tent map 2 min(h, 1 - h), from its pieces: fixed points 0 and 2/3, a kink at 1/2."""
    one = np.ones((1, 1))
    pieces = LinearPieces(2 * one, -4 * one, one, np.array([-0.5]), np.zeros(1), np.zeros(1), np.ones(1))
    tent = rs.FunctionMap(pieces.step, state_size=1, pieces=pieces)
    found = certify(tent, [[0.0], [2 / 3], [0.5]])
    assert found.certified.tolist() == [True, True, False]
    assert (found.error_radius[:2] < 1e-14).all()
    np.testing.assert_allclose(found.uniqueness_radius[:2], [0.5, 1 / 6], rtol=0.02)
    assert (found.uniqueness_radius[:2] <= [0.5, 1 / 6 + 1e-14]).all()


def test_maps_without_bounds_say_so():
    class Own(torch.nn.Module):
        state_size, input_size = 1, 0

        def step(self, h, x):
            return torch.tanh(2 * h)

    plain = rs.FunctionMap(lambda x: x / 2, state_size=1)
    for state_map in (rs.wrap(Own()), plain, rs.as_subject(plain).map):
        found = certify(state_map, [[0.0], [0.1]])
        assert not found.certified.any()
        assert np.isposinf(found.error_radius).all()
        assert not found.uniqueness_radius.any()
        assert found.reason == ("this map gives no bound on its Jacobian's change",) * 2


def test_bad_points_leave_the_others_alone():
    root = brentq(lambda x: np.tanh(2 * x) - x, 0.5, 1.5, xtol=1e-15)
    found = certify(scalar_tanh(2.0), [[np.nan], [root], [np.inf], [1e200]])
    assert found.certified.tolist() == [False, True, False, False]
    assert found.reason[0] == found.reason[2] == "the point, its input, or the map there is not finite"
    overflowing = certify(relu_line(-2.0, 1.0), [[-1.7e308], [1 / 3]])
    assert overflowing.certified.tolist() == [False, True]
    singular = certify(scalar_tanh(1.0), [[0.0], [0.0]])
    assert not singular.certified.any()
    with pytest.raises(ValueError, match=r"need inputs of shape \(1, 1\), got \(1, 0\)"):
        certify_fixed_points(CellMap([cells.Vanilla(2).build(1)]), np.zeros((1, 2)), np.zeros((1, 0)))
    none = certify(scalar_tanh(2.0), np.zeros((0, 1)))
    assert none.certified.shape == none.error_radius.shape == (0,)
    assert none.reason == ()


def test_a_held_input_and_a_point_alone_give_the_same(flip_flop):
    module, points, inputs = polished(*flip_flop("tanh"))
    whole = certify_fixed_points(rs.as_subject(module).map, points, inputs)
    held = certify_fixed_points(HeldInput(rs.as_subject(module).map, inputs[0]), points, np.zeros((27, 0)))
    alone = [certify_fixed_points(rs.as_subject(module).map, points[i : i + 1], inputs[i : i + 1]) for i in (0, 13, 26)]
    np.testing.assert_allclose(held.error_radius, whole.error_radius, rtol=0.3)
    np.testing.assert_allclose(held.uniqueness_radius, whole.uniqueness_radius, rtol=0.02)
    for i, one in zip((0, 13, 26), alone, strict=True):
        np.testing.assert_allclose(one.uniqueness_radius[0], whole.uniqueness_radius[i], rtol=0.02)


def test_distinct_points():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0 + 1e-12], [9.0, 9.0]])
    found = Certificates(np.arange(4) < 3, np.array([1.0, 3.9, 1e-13, np.inf]), np.full(4, 5.0), ("", "", "", "no"))
    expected = np.zeros((4, 4), bool)
    for i, j in [(0, 1), (0, 2)]:
        expected[i, j] = expected[j, i] = True
    np.testing.assert_array_equal(distinct_points(points, found), expected)


def test_points_in_single_precision_are_taken_as_they_are(flip_flop):
    module, points, inputs = polished(*flip_flop("gru"))
    single = points.astype(np.float32)
    found = certify_fixed_points(rs.as_subject(module).map, single, inputs.astype(np.float32))
    assert found.certified.all()
    away = np.linalg.norm(single.astype(np.float64) - points, axis=1)
    assert (away - 1e-12 <= found.error_radius).all()
    assert (found.error_radius < 2 * away).all()


def test_arguments_of_a_function_map_are_checked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="jacobian_lipschitz needs jacobian too"):
        rs.FunctionMap(lambda x: x, state_size=1, jacobian_lipschitz=1.0)
    wrong = rs.FunctionMap(
        lambda x: x, jacobian=lambda x: x[..., None], state_size=1, jacobian_lipschitz=lambda x, radii: np.ones((3, 1))
    )
    with pytest.raises(ValueError, match=r"jacobian_lipschitz must return an array of shape \(1,\)"):
        certify_fixed_points(wrong, np.zeros((2, 1)), np.zeros((2, 0)))
    for name in ("jacobian_lipschitz", "rounding"):
        for value in (-1.0, np.inf, np.nan):
            with pytest.raises(ValueError, match=f"{name} must be a finite number"):
                rs.FunctionMap(lambda x: x, jacobian=lambda x: x[..., None], state_size=1, **{name: value})
