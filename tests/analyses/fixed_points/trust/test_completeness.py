"""All fixed points, proven: networks of which all are known, and searches that must not be called complete."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

import rnnscope as rs
from rnnscope import cells
from rnnscope.analyses.fixed_points.trust.completeness import COMPLETE, Proof, prove_complete
from rnnscope.maps import HeldInput
from rnnscope.maps.cell_map import CellMap


def rnn(weight, bias=None) -> torch.nn.RNN:
    """h' = tanh(W h + b)."""
    weight = torch.tensor(np.array(weight, float))
    net = torch.nn.RNN(1, len(weight)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.weight_hh_l0.copy_(weight)
        if bias is not None:
            net.bias_hh_l0.copy_(torch.tensor(np.array(bias, float)))
    return net


def drawn(kind: type[torch.nn.Module], n: int, gain: float, seed: int, n_layers: int = 1) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    net = kind(1, n, num_layers=n_layers).double()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            scale = gain / n**0.5 if "weight" in name else 0.4
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return net


def roots(gain: float, bias: float) -> list[float]:
    """All solutions of h = tanh(gain h + bias): where the slope is 1 the sign of tanh - h can change its direction."""
    fold = np.arctanh(np.sqrt(max(0.0, 1 - 1 / gain)))
    ends = [-1.1, *sorted((x - bias) / gain for x in (-fold, fold)), 1.1]

    def g(h: float) -> float:
        return float(np.tanh(gain * h + bias) - h)

    return [brentq(g, a, b, xtol=1e-15) for a, b in pairwise(ends) if g(a) * g(b) < 0]


def prove(net, points=None, **limits) -> Proof:
    state_map = rs.as_subject(net).map
    none = np.empty((0, state_map.state_size))
    return prove_complete(
        state_map, np.zeros(state_map.input_size), none if points is None else np.array(points), **limits
    )


def newton_ends(net, n_starts: int = 400) -> np.ndarray:
    """Fixed points by another way: Newton steps from random states, in the map as it is."""
    state_map = rs.as_subject(net).map
    x = np.random.default_rng(0).uniform(-1, 1, (n_starts, state_map.state_size))
    u = np.zeros((n_starts, state_map.input_size))
    eye = np.eye(state_map.state_size)
    for _ in range(40):
        r = state_map.step(x, u) - x
        x = x - np.linalg.solve(state_map.jacobian(x, u) - eye + 1e-12 * eye, r[..., None])[..., 0]
        x = np.where(np.isfinite(x) & (np.abs(x) < 1e3), x, 0.1)
    # Where an update gate is 1 but for rounding, everything seems to stand still: that is beyond the domain.
    low, high = (-np.inf, np.inf) if state_map.domain is None else state_map.domain
    inside = ((x >= low) & (x <= high)).all(1)
    found = x[inside & (np.linalg.norm(state_map.step(x, u) - x, axis=1) < 1e-11)]
    kept: list[np.ndarray] = []
    for point in found:
        if not any(np.linalg.norm(point - other) < 1e-6 for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, state_map.state_size)


def assert_same_points(found: np.ndarray, wanted: np.ndarray) -> None:
    assert len(found) == len(wanted)
    away = np.linalg.norm(found[:, None] - wanted, axis=-1)
    assert away.min(1).max(initial=0.0) < 1e-9
    assert away.min(0).max(initial=0.0) < 1e-9


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_uncoupled_units_have_all_products_of_their_roots(n: int, seed: int):
    rng = np.random.default_rng(seed)
    gains, biases = rng.uniform(1.1, 4, n), rng.uniform(-0.3, 0.3, n) * (seed > 0)
    truth = np.array(list(product(*map(roots, gains, biases))))
    net = rnn(np.diag(gains), biases)
    found = prove(net)
    assert_same_points(found.missing, truth)
    assert not found.complete
    assert found.undecided == 0
    whole = prove(net, truth)
    assert (whole.complete, whole.n_proven, whole.reason) == (True, len(truth), COMPLETE)
    gone = int(rng.integers(len(truth)))
    less = prove(net, np.delete(truth, gone, 0))
    assert not less.complete
    np.testing.assert_allclose(less.missing, truth[[gone]], atol=1e-9)
    more = prove(net, np.concatenate([truth, truth[:1] + 0.05]))
    assert more.complete
    assert more.refuted.tolist() == [len(truth)]


@pytest.mark.parametrize("width", [3, 60, 400])
@pytest.mark.parametrize("gain", [2.0, 1000.0])
@pytest.mark.parametrize("biased", [False, True])
def test_rank_one_networks_of_any_width(width: int, gain: float, biased: bool):
    """z = v' tanh(u z + b): of one unknown, whose sign changes on a fine grid count its zeros."""
    rng = np.random.default_rng(width)
    u = gain * rng.normal(size=width)
    v, bias = (u / gain + rng.normal(size=width)) / width, biased * rng.normal(size=width)
    net = rnn(np.outer(u, v), bias)
    reach = np.abs(v).sum()
    # Zeros of the grid's own, as at 0 without biases, lie between two of its places.
    grid = 1.01 * reach * np.linspace(-1, 1, 40_001)[:-1] + 0.37 * reach / 40_000
    values = np.concatenate([np.tanh(np.outer(part, u) + bias) @ v for part in np.array_split(grid, 50)]) - grid
    found = prove(net)
    assert found.undecided == 0
    assert found.n_proven == (np.sign(values[1:]) != np.sign(values[:-1])).sum()
    np.testing.assert_allclose(np.tanh(found.missing @ np.outer(u, v).T + bias), found.missing, atol=1e-9 * gain)
    assert prove(net, found.missing).complete


@pytest.mark.parametrize("n_patterns", [1, 2])
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_orthogonal_patterns_in_a_hopfield_network(n_patterns: int, kind: str):
    """With gain 1.5 and patterns that are orthogonal, z in pattern space: 3^P points at the least, and with P = 2
    these are all, as sums and differences of the two overlaps decouple. Weights in single precision are of low rank
    only about, and what they leave out counts."""
    patterns = (-1.0) ** (np.arange(64)[:, None] // 2 ** np.arange(n_patterns)).T
    weight = 1.5 * patterns.T @ patterns / 64
    if kind == "float32":
        weight = weight * (1 + 1e-7 * np.random.default_rng(0).normal(size=weight.shape))
    found = prove(rnn(weight))
    assert found.undecided == 0
    assert found.n_proven == 3**n_patterns
    assert prove(rnn(weight), found.missing).complete


@pytest.mark.parametrize(
    ("kind", "n", "gain"),
    [
        (torch.nn.RNN, 2, 3.0),
        (torch.nn.RNN, 3, 3.0),
        (torch.nn.RNN, 4, 3.0),
        (torch.nn.RNN, 6, 2.0),
        (torch.nn.GRU, 2, 6.0),
        (torch.nn.GRU, 3, 6.0),
        (torch.nn.GRU, 4, 3.0),
        (torch.nn.LSTM, 1, 6.0),
        (torch.nn.LSTM, 2, 6.0),
        (torch.nn.LSTM, 3, 4.0),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_small_networks(kind: type[torch.nn.Module], n: int, gain: float, seed: int):
    """The points are fixed points, Newton's method finds no others, and their indices add up to 1."""
    net = drawn(kind, n, gain, seed)
    found = prove(net)
    assert found.undecided == 0
    state_map = rs.as_subject(net).map
    u = np.zeros((len(found.missing), 1))
    np.testing.assert_allclose(state_map.step(found.missing, u), found.missing, atol=1e-9)
    ends = newton_ends(net)
    away = np.linalg.norm(ends[:, None] - found.missing, axis=-1)
    assert away.min(1).max(initial=0.0) < 1e-7
    index = np.sign(np.linalg.det(np.eye(state_map.state_size) - state_map.jacobian(found.missing, u)))
    assert index.sum() == 1
    assert prove(net, found.missing).complete


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_stacks(kind: type[torch.nn.Module]):
    net = drawn(kind, 2, 3.0, 1, n_layers=2)
    found = prove(net)
    assert found.undecided == 0
    state_map = rs.as_subject(net).map
    u = np.zeros((len(found.missing), 1))
    np.testing.assert_allclose(state_map.step(found.missing, u), found.missing, atol=1e-9)
    assert np.linalg.norm(newton_ends(net)[:, None] - found.missing, axis=-1).min(1).max() < 1e-7


def test_a_leak_changes_no_fixed_point():
    for cell in (
        cells.Leaky(3, tau=(1, 9), leak="outside", nonlinearity="tanh", self_connections=True),
        cells.LowRank(90, rank=2, tau=2.5),
    ):
        layer = cell.build(1, torch.Generator().manual_seed(3)).double()
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                parameter.mul_(1.0 if "tau" in name else 3.0)
        d = layer.dynamics()
        plain = rnn(d.weight.detach(), d.bias.detach())
        leaky = HeldInput(CellMap([layer]))
        found = prove(leaky)
        assert found.undecided == 0
        assert_same_points(found.missing, prove(plain).missing)


def test_low_rank_gates():
    """A GRU whose weights have equal entries is of rank one: with its gates held half open, h = tanh(s h)."""
    net = torch.nn.GRU(1, 50).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.weight_hh_l0[100:].fill_(4 / 50)
    found = prove(net)
    assert_same_points(found.missing, np.array(roots(2.0, 0.0))[:, None] * np.ones(50))


def test_maps_with_a_lipschitz_bound():
    logistic = rs.FunctionMap(
        lambda x: 4 * x * (1 - x),
        jacobian=lambda x: (4 - 8 * x)[..., None],
        jacobian_lipschitz=8.0,
        state_size=1,
        domain=(0, 1),
    )
    assert_same_points(prove(logistic).missing, np.array([[0.0], [0.75]]))
    part = prove(logistic, box=(0.5, 1.0))
    assert_same_points(part.missing, np.array([[0.75]]))
    henon = rs.FunctionMap(
        lambda x: np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], -1),
        jacobian=lambda x: np.stack(
            [-2.8 * x[..., 0], 1 + 0 * x[..., 0], 0.3 + 0 * x[..., 0], 0 * x[..., 0]], -1
        ).reshape(*x.shape, 2),
        jacobian_lipschitz=2.8,
        state_size=2,
    )
    x = (-0.7 + np.array([1, -1]) * np.sqrt(0.49 + 5.6)) / 2.8
    assert_same_points(prove(henon, box=(-2, 2)).missing, np.stack([x, 0.3 * x], -1))
    unbounded = prove(henon)
    assert (unbounded.complete, unbounded.reason) == (False, "the domain is not bounded")


@pytest.mark.parametrize("gain", [1.3, 2.0, 4.0])
@pytest.mark.parametrize("side", [1, -1])
def test_near_a_fold_what_is_decided_is_right(gain: float, side: int):
    """tanh(a h + u) folds where its slope is 1: 3 points on one side, 1 on the other."""
    h = np.sqrt(1 - 1 / gain)
    fold = np.arctanh(h) - gain * h
    for away in (1e-3, 1e-6, 1e-9, 1e-12, 1e-14, 1e-16, 0.0):
        found = prove(rnn([[gain]], [fold + side * away]))
        truth = 3 if side > 0 and away else 1
        if found.undecided == 0:
            assert found.n_proven == truth
        else:
            assert found.n_proven <= truth
            assert "degenerate" in found.reason
        assert (found.undecided == 0) or away < 1e-12


@pytest.mark.parametrize("weight", [[[1.0]], [[1.0, 0.0], [0.0, 2.0]], np.eye(3), np.ones((3, 3)) / 3])
def test_degenerate_points_are_not_decided(weight):
    """A pitchfork, with and without others beside it."""
    found = prove(rnn(weight), np.zeros((1, len(weight))), max_boxes=3000)
    assert not found.complete
    assert found.undecided > 0
    assert found.refuted.size == 0


def test_what_stops_it_is_said():
    net = drawn(torch.nn.RNN, 8, 3.0, 0)
    found = prove(net, max_boxes=200)
    assert not found.complete
    assert found.reason.startswith("stopped after")
    assert 0 < found.undecided_share < 1
    assert prove(drawn(torch.nn.RNN, 20, 1.0, 0)).reason.startswith("not tried: 20 equations")
    assert prove(rs.FunctionMap(lambda x: x / 2, state_size=1)).reason == "the map has no bounds on boxes of states"
    assert prove(torch.nn.RNN(1, 2, nonlinearity="relu")).reason == "the domain is not bounded"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.0, 1.0], np.empty((0, 2))), "input must have shape"),
        (([0.0], np.empty(2)), "points must have shape"),
        (([0.0], np.empty((0, 3))), "states have 2 numbers"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        prove_complete(torch.nn.RNN(1, 2), *arguments)
    with pytest.raises(ValueError, match="box must be"):
        prove_complete(torch.nn.RNN(1, 2), [0.0], np.empty((0, 2)), box=(1.0, 0.0))
