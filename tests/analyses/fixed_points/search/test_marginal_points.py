"""Points with an eigenvalue on the unit circle: the linear part decides nothing, and nothing is said to be stable."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import find_cycles, find_fixed_points


def turned(x: np.ndarray, angle: float, growth: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return x @ turn * (1 + growth * (x**2).sum(-1, keepdims=True))


MAPS = [  # all repel from 0, or from where they touch
    (lambda x: -x - x**3, 1),
    (lambda x: turned(x, 2 * np.pi / 5, 0.1), 2),
    (lambda x: x + 0.3 * (x - 0.1) ** 3, 1),
    (lambda x: x + x**2, 1),
    (lambda x: -x * (1 + 1e-9), 1),
]


@pytest.mark.parametrize(("step", "size"), MAPS)
def test_what_repels_slowly_is_not_called_stable(step, size: int):
    found = find_fixed_points(rs.FunctionMap(step, state_size=size, domain=(-0.5, 0.5)), n_starts=64)
    assert not found.stable.any()
    assert found.headline()["n_stable"] == 0
    assert " stable" not in found.summary()
    assert len(found) == 0 or (found.marginal.all() and "1 marginal" in found.summary())


def test_a_network_just_past_its_pitchfork():
    """tanh((1 + 1e-9) h): 0 repels by 1e-9 a step, and ±5e-5 attract by 2e-9."""
    net = torch.nn.RNN(1, 1, bias=False).double()
    with torch.no_grad():
        net.weight_ih_l0.zero_()
        net.weight_hh_l0.fill_(1 + 1e-9)
    found = find_fixed_points(net, n_starts=64)
    assert len(found) == 3
    assert "3 marginal" in found.summary()
    assert found.unseen.complete


@pytest.mark.parametrize("away", [1e-3, 1e-5])
def test_what_is_decided_is_said(away: float):
    for factor, n_stable in ((1 - away, 1), (1 + away, 0)):
        found = find_fixed_points(rs.FunctionMap(lambda x, f=factor: -f * x, state_size=1, domain=(-1, 1)), n_starts=32)
        assert not found.marginal.any()
        assert found.headline()["n_stable"] == n_stable


def test_cycles_too():
    """x -> -x - x^3 + ... has none; a rotation by a third of a turn has only cycles that neither attract nor repel."""
    third = rs.FunctionMap(lambda x: turned(x, 2 * np.pi / 3, 0.0), state_size=2, domain=(-1, 1))
    found = find_cycles(third, periods=3, n_starts=16)
    assert not found.stable.any()


@pytest.mark.parametrize("weight", [1e5, 1e7, 1e10, 1e12, 1e14])
def test_huge_weights_make_no_kink(weight: float):
    """0 of tanh(W h) has the eigenvalue W, and the map no kink."""
    net = torch.nn.RNN(1, 1, bias=False).double()
    with torch.no_grad():
        net.weight_ih_l0.zero_()
        net.weight_hh_l0.fill_(weight)
    found = find_fixed_points(net, n_starts=50)
    assert found.smooth.all()
    assert "kink" not in found.summary()
    assert "not on the list" not in found.summary()
    assert len(found) == 3
    assert sorted(found.n_unstable.tolist()) == [0, 0, 1]
    assert found.unseen.complete
