"""Boxes that maps keep: no state leaves them, and they are where the equations say."""

import numpy as np
import pytest
import torch
from scipy.special import expit

import rnnscope as rs
from rnnscope import cells
from rnnscope.maps import Conjugated, HeldInput, complete, keeps_domain

SCALES = (0.3, 1.0, 3.0)


def network(cell: cells.Cell, scale: float, seed: int = 0) -> rs.Network:
    """With weights that are far from their initial ones."""
    found = rs.Network(cell, 2, 1, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.mul_(scale)
        for module in found.modules():
            if isinstance(module, cells.CellModule):
                module.project()
    return found


def in_box(box: np.ndarray, n: int = 2000) -> np.ndarray:
    part = np.random.default_rng(0).random((n, box.shape[1]))
    part[: n // 2] = part[: n // 2].round()
    return box[0] * (1 - part) + box[1] * part


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("cell", [cell for kind in cells.CELLS.values() for cell in kind.examples()], ids=str)
def test_no_state_leaves_the_box_of_a_cell(cell, scale):
    state_map, u = rs.as_subject(network(cell, scale)).map, np.array([0.7, -1.5])
    box = state_map.kept_box(u)
    if box is None:
        assert "relu" in str(cell) or "identity" in str(cell) or isinstance(cell, cells.PiecewiseLinear)
        return
    states = in_box(box)
    new = state_map.step(states, np.tile(u, (len(states), 1)))
    assert ((new > box[0]) & (new < box[1])).all()
    assert keeps_domain(state_map, u) == "known"


@pytest.mark.parametrize("kind", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
def test_no_state_leaves_the_box_of_a_stack(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = kind(2, 3, 3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(4)
    state_map, u = rs.as_subject(module).map, np.array([0.7, -1.5])
    box = state_map.kept_box(u)
    states = in_box(box)
    new = state_map.step(states, np.tile(u, (len(states), 1)))
    assert ((new > box[0]) & (new < box[1])).all()
    assert state_map.smooth is True


def test_the_memory_of_an_lstm_gets_as_far_as_its_box():
    """Without weights the memory settles at i g / (1 - f), which is the bound."""
    module = torch.nn.LSTM(1, 1)
    bias = np.array([1.5, 2.5, 3.0, 0.2])
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.bias_ih_l0.copy_(torch.tensor(bias))
    box = rs.as_subject(module).map.kept_box(np.zeros(1))
    settled = expit(bias[0]) * np.tanh(bias[2]) / (1 - expit(bias[1]))
    np.testing.assert_allclose(box, [[-1, -settled], [1, settled]], rtol=1e-6)


def test_rectified_units_have_a_box_where_they_contract_at_infinity():
    def box(weight, bias):
        module = torch.nn.RNN(1, len(weight), nonlinearity="relu")
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
            module.weight_hh_l0.copy_(torch.tensor(weight))
            module.bias_ih_l0.copy_(torch.tensor(bias))
        return rs.as_subject(module).map.kept_box(np.zeros(1))

    # One unit stays at b / (1 - w) if w < 1.
    for w in (0.5, 0.9, 0.99):
        found = box([[w]], [1.0])
        assert 1 / (1 - w) < found[1, 0] < 1.01 / (1 - w)
        assert found[0, 0] < 0, "a unit that is off lies inside"
    assert box([[1.0]], [1.0]) is None
    assert box([[1.5]], [-1.0]) is None
    # However strong inhibition is: the winner stays at 1 / (1 - .5).
    strong = box([[0.5, -30.0], [-30.0, 0.5]], [1.0, 1.0])
    assert (strong[1] > 2).all()
    assert strong[1].max() < 70
    # Excitation round a loop grows with the product of its weights.
    assert box([[0.0, 2.0], [0.4, 0.0]], [1.0, 1.0]) is not None
    assert box([[0.0, 2.0], [0.6, 0.0]], [1.0, 1.0]) is None


def test_a_turned_map_keeps_a_turned_box():
    driven = rs.as_subject(network(cells.Vanilla(3), 2.0)).map
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    box = Conjugated(driven, turn).kept_box(np.zeros(2))
    corners = in_box(driven.kept_box(np.zeros(2))) @ turn.T
    assert ((corners >= box[0] - 1e-12) & (corners <= box[1] + 1e-12)).all()


@pytest.mark.parametrize(
    ("step", "domain", "expected"),
    [
        (lambda x: 4 * x * (1 - x), (0, 1), "not refuted"),
        (lambda x: 4 * x * (1 - x), (-0.5, 1.5), "refuted"),
        (lambda x: 4.001 * x * (1 - x), (0, 1), "refuted"),
        (lambda x: np.tanh(3 * x), (-1, 1), "not refuted"),
        (lambda x: np.tanh(3 * x), (-0.5, 0.5), "refuted"),
        (lambda x: x + 0.1, (0, 1), "refuted"),
        (lambda x: x / 2, (0, np.inf), "unbounded"),
        (lambda x: x / 2, None, "unbounded"),
        (lambda x: np.log(x - 0.5), (0, 1), "refuted"),
    ],
)
@pytest.mark.parametrize("size", [1, 7])
def test_the_domain_of_a_function_is_tried(step, domain, expected, size):
    assert keeps_domain(rs.FunctionMap(step, state_size=size, domain=domain)) == expected


def test_the_input_counts():
    pushed = rs.FunctionMap(lambda h, u: 0.5 * h + u, state_size=1, input_size=1, domain=(-1, 1))
    assert keeps_domain(pushed, [0.4]) == "not refuted"
    assert keeps_domain(pushed, [0.6]) == "refuted"


def test_what_is_known_of_kinks():
    kinked = {"relu": False, "leaky_relu": False, "tanh": True, "identity": True}
    for name, smooth in kinked.items():
        assert rs.as_subject(network(cells.Vanilla(3, nonlinearity=name), 1.0)).map.smooth is smooth
    assert rs.as_subject(network(cells.PiecewiseLinear(3), 1.0)).map.smooth is False
    assert rs.as_subject(network(cells.PiecewiseLinear(3, n_relu=0), 1.0)).map.smooth is True
    for cell in (cells.GRU(3), cells.LSTM(3), cells.StateRegularized(3), cells.LowRank(3, rank=1)):
        assert HeldInput(rs.as_subject(network(cell, 1.0)).map).smooth is True
    assert rs.FunctionMap(np.tanh, state_size=1).smooth is None
    assert rs.FunctionMap(np.tanh, state_size=1, smooth=True).smooth is True

    class Own:
        state_size, input_size, smooth = 1, 0, True

        def step(self, states, inputs):
            return states / 2

        def jacobian(self, states, inputs):
            return np.full((*states.shape, 1), 0.5)

        def input_jacobian(self, states, inputs):
            return np.zeros((*states.shape, 0))

        def initial_states(self, n_trials, rng):
            return np.zeros((n_trials, 1))

        def kept_box(self, input):
            return np.array([[-1.0], [1.0]])

    assert complete(Own()).smooth is True
    assert keeps_domain(Own()) == "known"
