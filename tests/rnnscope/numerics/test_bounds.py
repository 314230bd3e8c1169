"""Bounds hold against exact arithmetic: fractions, and 50 digits for what is transcendental."""

from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

import rnnscope as rs
from rnnscope import cells
from rnnscope.maps import LinearPieces
from rnnscope.maps.cell_map import CellMap
from rnnscope.numerics import bounds
from rnnscope.numerics.bounds import Ball, Bounded, Interval

numbers = st.floats(-1e6, 1e6, allow_subnormal=True)
STACKS = {
    "tanh": [cells.Vanilla(4)],
    "relu": [cells.Vanilla(4, nonlinearity="relu")],
    "identity": [cells.Vanilla(3, nonlinearity="identity", bias=False)],
    "leak inside": [cells.Leaky(4, tau=(1, 4), self_connections=True)],
    "leak outside": [cells.Leaky(4, tau=(1, 4), leak="outside", nonlinearity="tanh")],
    "leaky ReLU, leak outside": [cells.Leaky(3, tau=3, leak="outside")],
    "low rank": [cells.LowRank(4, rank=2, tau=2.5)],
    "GRU": [cells.GRU(4)],
    "LSTM": [cells.LSTM(3)],
    "stack of LSTM": [cells.LSTM(2), cells.LSTM(2)],
    "stack of all": [cells.Vanilla(2), cells.GRU(3), cells.LSTM(2), cells.Leaky(2, leak="outside")],
}


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50), np.errstate(all="ignore"):
        yield


def layers_of(name: str, seed: int = 0) -> list[torch.nn.Module]:
    generator, size, layers = torch.Generator().manual_seed(seed), 2, []
    for cell in STACKS[name]:
        layer = cell.build(size, generator).double()
        for parameter in layer.parameters():  # large enough for gates to be somewhere on their curves
            parameter.requires_grad_(False)
            if parameter.ndim == 2 or not parameter.any():
                parameter += torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        layers.append(layer)
        size = layer.n_units
    return layers


def exact(tensor: torch.Tensor) -> list:
    return [[mpf(x) for x in row] if isinstance(row, list) else mpf(row) for row in tensor.tolist()]


def times(matrix: torch.Tensor, vector: list) -> list:
    return [mpmath.fdot(row, vector) for row in exact(matrix)]


def plus(*vectors: list) -> list:
    return [sum(numbers) for numbers in zip(*vectors, strict=True)]


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-x))


def rate_equation(d: cells.Dynamics, h: list, u: list) -> list:
    f = {
        "tanh": mpmath.tanh,
        "relu": lambda x: max(x, mpf(0)),
        "leaky_relu": lambda x: x if x > 0 else mpf(0.01) * x,
        "identity": lambda x: x,
    }[d.nonlinearity]
    bias = [mpf(0)] * len(h) if d.bias is None else exact(d.bias)
    rates = [f(x) for x in plus(times(d.weight, h), times(d.weight_in, u), bias)]
    if d.keep is None:
        return [rate - old for rate, old in zip(rates, h, strict=True)]
    return [g * r + (k - 1) * x for g, r, k, x in zip(exact(d.gain), rates, exact(d.keep), h, strict=True)]


def gru_equation(d: cells.Dynamics, h: list, u: list) -> list:
    n = len(h)
    from_input, from_state = plus(times(d.weight_in, u), exact(d.bias_in)), plus(times(d.weight, h), exact(d.bias))
    reset = [sigmoid(a + b) for a, b in zip(from_input[:n], from_state[:n], strict=True)]
    new = [a + r * b for a, r, b in zip(from_input[2 * n :], reset, from_state[2 * n :], strict=True)]
    return [mpmath.tanh(a) - old for a, old in zip(new, h, strict=True)]


def lstm_equation(d: cells.Dynamics, state: list, u: list) -> list:
    n = len(state) // 2
    h, c = state[:n], state[n:]
    drive = plus(times(d.weight_in, u), times(d.weight, h), exact(d.bias))
    i, f, o = ([sigmoid(x) for x in drive[k * n : (k + 1) * n]] for k in (0, 1, 3))
    hidden = [o[k] * mpmath.tanh(c[k]) - h[k] for k in range(n)]
    return hidden + [f[k] * c[k] + i[k] * mpmath.tanh(drive[2 * n + k]) - c[k] for k in range(n)]


def equation(layers: list, state: list, u: list) -> list:
    """What the cells say that their equations are, layer by layer, each above the old state of the one below."""
    found, start = [], 0
    for layer in layers:
        own, dynamics = state[start : start + layer.state_size], layer.dynamics()
        kind = {"RateDynamics": rate_equation, "GRUDynamics": gru_equation, "LSTMDynamics": lstm_equation}
        found += kind[type(dynamics).__name__](dynamics, own, u)
        u, start = own[: layer.n_units], start + layer.state_size
    return found


def differentiate(function, at: list) -> np.ndarray:
    """Central differences with 50 digits: right to 30. (row, column), of mpf."""
    step, columns = mpf(10) ** -16, []
    for j in range(len(at)):
        ahead, behind = ([x + s * step * (j == k) for k, x in enumerate(at)] for s in (1, -1))
        columns.append([(a - b) / (2 * step) for a, b in zip(function(ahead), function(behind), strict=True)])
    return np.array(columns, object).T


def derivative_bounds(equations: tuple[Bounded, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of each entry of the derivative, (radius, row, column), at the first point; as exact fractions."""
    low, high = [], []
    for e in equations:
        shape = np.broadcast_shapes(*(s.low.shape for _, s in e.slopes), e.range.low.shape)
        ends = []
        for form, slope in e.slopes:
            parts = [np.broadcast_to(end, shape)[:, 0] for end in (slope.low, slope.high)]
            ends.append([to_fractions(part)[..., None] * to_fractions(form.matrix) for part in parts])
        low.append(sum(np.minimum(a, b) for a, b in ends))
        high.append(sum(np.maximum(a, b) for a, b in ends))
    return np.concatenate(low, -2), np.concatenate(high, -2)


def to_fractions(values: np.ndarray) -> np.ndarray:
    return np.vectorize(Fraction, otypes=[object])(values)


def as_fraction(x: mpf) -> Fraction:
    sign, mantissa, exponent, _ = x._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_equation_and_its_derivative_lie_within_the_bounds(name: str, seed: int):
    layers, rng = layers_of(name, seed), np.random.default_rng(seed)
    state_map = CellMap(layers)
    x, u = rng.normal(size=(1, state_map.state_size)), rng.normal(size=(1, 2))
    radii = np.array([0.0, 1e-9, 1e-2, 0.5])
    found = state_map.fixed_point_equation(Ball(x, radii[:, None]), u)
    low, high = (np.concatenate([getattr(e.range, end)[:, 0] for e in found], -1) for end in ("low", "high"))
    slope_low, slope_high = derivative_bounds(found)
    at_point = state_map.fixed_point_equation(Ball(x, np.zeros((1, 1))), u)
    width = np.concatenate([(e.range.high - e.range.low)[0, 0] for e in at_point])
    assert width.max() < 1e-13, "at the point the bounds are as narrow as rounding allows"
    smooth = not any("relu" in str(cell) for cell in STACKS[name])

    def truth(state: list) -> list:
        return equation(layers, state, [mpf(v) for v in u[0].tolist()])

    for i, radius in enumerate(radii):
        for _ in range(1 if radius == 0 else 3):
            move = rng.normal(size=x.shape[1])
            # Exactly within the ball: some of the moves end on its border, less a part that no rounding reaches.
            move *= radius * (1 - 1e-12) * max(rng.uniform(), rng.uniform() > 0.5) / np.linalg.norm(move)
            state = [mpf(a) + mpf(b) for a, b in zip(x[0].tolist(), move.tolist(), strict=True)]
            value = truth(state)
            assert all(mpf(a) <= v <= mpf(b) for a, v, b in zip(low[i], value, high[i], strict=True)), (radius, value)
            if smooth or radius == 0:
                slopes = differentiate(truth, state)
                slack = Fraction(1, 10**25)
                for (row, column), slope in np.ndenumerate(slopes):
                    within = (
                        slope_low[i, row, column] - slack <= as_fraction(slope) <= slope_high[i, row, column] + slack
                    )
                    assert within, f"dG_{row}/dh_{column} = {slope} at distance {radius}"


@given(numbers, numbers, numbers, numbers, st.floats(0, 1), st.floats(0, 1))
def test_sums_and_products_of_intervals(a, b, c, d, s, t):
    one = Interval(np.array([min(a, b)]), np.array([max(a, b)]))
    two = Interval(np.array([min(c, d)]), np.array([max(c, d)]))
    x = Fraction(a) + Fraction(s) * (Fraction(b) - Fraction(a))
    y = Fraction(c) + Fraction(t) * (Fraction(d) - Fraction(c))
    for found, truth in [(one + two, x + y), (one - two, x - y), (one * two, x * y), (-one, -x), (one.square(), x * x)]:
        assert Fraction(found.low.item()) <= truth <= Fraction(found.high.item())
    assert one.square().low >= 0


@given(st.floats(-60, 60), st.floats(0, 3), st.floats(0, 1))
def test_nonlinearities_and_their_slopes(start, width, share):
    ball = Ball(np.array([[start + width / 2]]), np.array([[width / 2]]))
    x = ball.part(slice(0, 1)).bounded()
    with mpmath.workdps(60):
        at = mpf(start) + mpf(share) * mpf(width)
        tanh, gate = mpmath.tanh(at), sigmoid(at)
        for found, value, slope in [
            (bounds.tanh(x), tanh, 1 - tanh**2),
            (bounds.sigmoid(x), gate, gate * (1 - gate)),
            (bounds.two_slopes(x, 0.25), at if at > 0 else at / 4, mpf(1) if at > 0 else mpf(0.25)),
            (bounds.two_slopes(x, 1.5, -0.5), -at / 2 if at > 0 else 3 * at / 2, mpf(-0.5) if at > 0 else mpf(1.5)),
        ]:
            assert mpf(found.range.low.item()) <= value <= mpf(found.range.high.item())
            assert mpf(found.slopes[0][1].low.item()) <= slope <= mpf(found.slopes[0][1].high.item())


def test_the_library_functions_are_as_accurate_as_is_supposed():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=500) * scale for scale in (1e-8, 1e-3, 0.3, 1, 5, 30)])
    for function, truth in [(np.tanh, mpmath.tanh), (np.exp, mpmath.exp)]:
        errors = [
            abs(mpf(y) / truth(mpf(a)) - 1) for a, y in zip(x.tolist(), function(x).tolist(), strict=True) if truth(a)
        ]
        assert max(errors) < 8 * bounds.UNIT


@pytest.mark.parametrize("off", [-7.9, 7.9])
def test_a_library_that_is_less_accurate(off: float, monkeypatch: pytest.MonkeyPatch):
    """With tanh and exp wrong by almost the 4 units in the last place that are supposed."""
    for name in ("tanh", "exp"):
        right = getattr(np, name)
        monkeypatch.setattr(np, name, lambda x, right=right: right(x) * (1 + off * bounds.UNIT))
    points = np.random.default_rng(0).normal(size=(1, 300)) * 4
    x = Ball(points, np.zeros((1, 1))).part(slice(None)).bounded()
    for function, truth in [(bounds.tanh, mpmath.tanh), (bounds.sigmoid, sigmoid)]:
        found = function(x).range
        for at, low, high in zip(points[0], found.low[0, 0], found.high[0, 0], strict=True):
            assert mpf(low) <= truth(mpf(at)) <= mpf(high)


@pytest.mark.parametrize("radius", [0.0, 1e-30])
def test_a_sum_of_products_that_cancel(radius: float):
    """Weights whose exact sum of products is nearly 0: what is left is rounding, which the bounds contain."""
    rng = np.random.default_rng(0)
    point, weights, bias = rng.normal(size=(1, 401)), rng.normal(size=(30, 401)) * 1e6, rng.normal(size=30)
    weights[:, -1] = -(weights[:, :-1] @ point[0, :-1]) / point[0, -1]
    found = bounds.affine((weights, Ball(point, np.array([[radius]])).part(slice(None))), bias=[bias]).range
    truth = to_fractions(weights) @ to_fractions(point[0]) + to_fractions(bias)
    low, high = to_fractions(found.low[0, 0]), to_fractions(found.high[0, 0])
    assert ((low <= truth) & (truth <= high)).all()
    assert np.abs((low + high) / 2 - truth).max() > 1e-10, "rounding is all that is left"
    # By halves, the 402 terms meet in 9 additions.
    supposed = (11 if radius == 0 else 404) * bounds.UNIT * (np.abs(weights) @ np.abs(point[0]) + np.abs(bias))
    np.testing.assert_allclose((found.high - found.low)[0, 0], 2 * supposed, rtol=0.01)


@pytest.mark.parametrize("scale", [1.0, 1e-160, 1e120])
def test_norms_are_rounded_up_and_not_far(scale: float):
    values = np.random.default_rng(0).normal(size=(50, 7)) * scale
    squares = (to_fractions(values) ** 2).sum(1)
    found = bounds.norm_bound(values)
    assert all(Fraction(f) ** 2 >= s for f, s in zip(found.tolist(), squares, strict=True))
    if scale >= 1:
        np.testing.assert_allclose(found, np.linalg.norm(values, axis=1), rtol=1e-14)
    assert bounds.norm_bound(values, (0, 1)) >= np.linalg.norm(values)


@pytest.mark.parametrize("seed", range(5))
def test_sum_bound_is_above_all_signs_and_below_simpler_bounds(seed: int):
    """|sum of θ_i a_i m_i'| is convex in θ: its maximum is where all signs are extreme."""
    rng = np.random.default_rng(seed)
    a, m = rng.normal(size=(3, 4)), rng.normal(size=(8, 3))  # two rows share each column
    size = rng.uniform(0.1, 3, 8)
    column_norms, row_norms = np.linalg.norm(a, axis=0), np.linalg.norm(m, axis=1)
    f = size * np.tile(column_norms, 2) * row_norms
    found = bounds.sum_bound(
        (f[:4] + f[4:])[None, None],
        bounds.squared_cosines(((a / column_norms) * (1 - 1e-12)).T)[None],
        f[None, None],
        bounds.squared_cosines((m / row_norms[:, None]) * (1 - 1e-12)),
    )
    columns = np.tile(a, 2)
    worst = max(np.linalg.norm((columns * (size * signs)) @ m, 2) for signs in product([-1, 1], repeat=8))
    assert worst <= found[0, 0] * (1 + 1e-9)
    assert found[0, 0] < 1.6 * worst, "a bound that is far off proves little"
    assert found[0, 0] < f.sum()


def test_a_radius_without_end_bounds_the_map_everywhere():
    layers = layers_of("GRU")
    x, u = np.zeros((1, 4)), np.ones((1, 2))
    (found,) = CellMap(layers).fixed_point_equation(Ball(x, np.array([[np.inf]])), u)
    assert not np.isnan(found.range.low).any()
    for _, slope in found.slopes:
        assert not (np.isnan(slope.low) | np.isnan(slope.high)).any()
    relu = bounds.two_slopes(Ball(x, np.array([[np.inf]])).part(slice(None)).bounded(), 0.0)
    assert (relu.range.low.max(), relu.range.high.min()) == (-5e-324, np.inf)
    np.testing.assert_allclose([relu.slopes[0][1].low.max(), relu.slopes[0][1].high.min()], [0, 1], atol=1e-15)


def test_weights_after_a_kink():
    """Pieces have weights on both sides of their gates; on the ball both slopes of gate 0 may act, one of gate 1."""
    rng = np.random.default_rng(3)
    pieces = LinearPieces(
        *(rng.normal(size=s) for s in ((3, 3), (3, 2), (2, 3))),
        np.array([0.1, -5.0]),
        rng.normal(size=3),
        *rng.normal(size=(2, 2)),
    )
    state_map = rs.FunctionMap(pieces.step, state_size=3, pieces=pieces)
    (found,) = state_map.fixed_point_equation(Ball(np.zeros((1, 3)), np.array([[0.4]])), np.empty((1, 0)))
    ((slope, outer),) = [(s, form.outer) for form, s in found.slopes if form.outer is not None]
    np.testing.assert_array_equal(outer, pieces.out)
    ends = np.sort([pieces.below, pieces.above], 0)
    np.testing.assert_allclose(slope.low[0, 0], [ends[0, 0], pieces.below[1]], rtol=1e-15)
    np.testing.assert_allclose(slope.high[0, 0], [ends[1, 0], pieces.below[1]], rtol=1e-15)
    for move in rng.normal(size=(20, 3)):
        h = 0.4 * move / np.linalg.norm(move) * rng.uniform()
        value = pieces.step(h) - h
        assert (found.range.low[0, 0] <= value).all()
        assert (value <= found.range.high[0, 0]).all()
    mixed = Bounded(found.range, tuple(pair for pair in found.slopes if pair[0].outer is not None))
    with pytest.raises(ValueError, match="can only be added"):
        bounds.tanh(mixed)
    with pytest.raises(ValueError, match="only one layer"):
        bounds.mixed(np.eye(3), mixed)


def test_two_terms_on_the_same_numbers_are_refused():
    state = Ball(np.zeros((1, 2)), np.zeros((1, 1))).part(slice(None))
    with pytest.raises(ValueError, match="add their results instead"):
        bounds.affine((np.eye(2), state), (np.eye(2), state))
