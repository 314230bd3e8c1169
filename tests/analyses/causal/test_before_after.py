"""The same questions before and after."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import analyses, cells
from rnnscope import interventions as iv


def bistable() -> rs.Network:
    """Two uncoupled units h' = tanh(2 h): 9 fixed points, of which 4 are stable."""
    network = rs.Network(cells.Vanilla(2), 1, 1, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for name, value in network.cell.named_parameters():
            value.copy_(2 * torch.eye(2) if name == "weights.weight" else torch.zeros_like(value))
    return network


def test_a_unit_less_a_factor_of_three():
    found = analyses.before_and_after(bistable(), iv.Ablate(units=[1]), ["fixed_points", "lyapunov"])
    table = found.to_dataframe()
    assert table.loc["fixed_points.n"].tolist() == [9, 3, -6]
    assert table.loc["fixed_points.n_stable"].tolist() == [4, 2, -2]
    assert found.after["fixed_points"].made.origin.interventions == found.interventions == ("Ablate(units=(1,))",)
    assert found.before["fixed_points"].made.origin.interventions == ()
    assert "fixed_points, after: 3 fixed points" in found.summary()


def test_what_does_not_apply_says_why():
    found = analyses.before_and_after(bistable(), [iv.Ablate(units=[1], times=3)], "fixed_points")
    assert isinstance(found.after["fixed_points"], rs.NotApplicable)
    assert np.isnan(found.to_dataframe().loc["fixed_points.n", "after"])
    with pytest.raises(ValueError, match="no analysis 'points'"):
        analyses.before_and_after(bistable(), iv.Ablate(units=[1]), "points")
