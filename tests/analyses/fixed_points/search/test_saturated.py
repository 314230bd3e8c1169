"""Where gates are shut or weights huge to the last digit: counts known in closed form."""

import numpy as np
import pytest
import torch

from rnnscope.analyses import find_fixed_points


def held_gru(bias: float, gains: tuple[float, ...]) -> torch.nn.GRU:
    """h' = z h + (1 - z) tanh(g h), unit by unit, z = sigmoid(bias) for all units but the first, which has z = 1/2: one
    point for each unit of gain below 1, and 3 for the first, where its gain is above 1."""
    n = len(gains)
    net = torch.nn.GRU(1, n).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.bias_ih_l0[:n] = 40.0
        net.bias_ih_l0[n + 1 : 2 * n] = bias
        net.weight_hh_l0[2 * n :] = torch.diag(torch.tensor(gains, dtype=torch.float64))
    return net


@pytest.mark.parametrize("bias", [30.0, 36.0, 40.0, 60.0])
@pytest.mark.parametrize(("gains", "true"), [((0.5, 0.0), 1), ((4.0, 0.5, 0.3), 3)])
@pytest.mark.parametrize("prove", [0, 1000])
def test_states_that_a_shut_gate_holds_are_no_fixed_points(bias: float, gains: tuple, true: int, prove: int):
    """Units whose gate is shut rest in double precision wherever they are; the map has one point for them, 0."""
    found = find_fixed_points(held_gru(bias, gains), n_starts=100, prove=prove)
    assert len(found) == true or (not prove and len(found.nearly) and len(found) < true), found.summary()
    assert np.abs(found.points[:, 1:]).max() < 1e-12
    assert found.certificates.error_radius.max() < 1e-12
    assert not found.unseen.index.missing.any(), "none is missing"
    assert "not on the list" not in found.summary()
    assert found.unseen.complete == (prove > 0)
