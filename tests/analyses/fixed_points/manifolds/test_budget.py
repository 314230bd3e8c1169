"""Following manifolds ends when a budget is spent, and what was not followed is said."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchrecurrent
from torch import nn

import rnnscope as rs
from rnnscope import tasks
from rnnscope.analyses import find_fixed_points, marginal_manifolds
from rnnscope.records.result_files import load_result, save_result

RING = rs.FunctionMap(lambda x: x * (1 + 0.2 * (1 - (x**2).sum(-1, keepdims=True))), state_size=2, domain=(-1.5, 1.5))
LINE = rs.FunctionMap(lambda x: x * [1.0, 0.5], state_size=2, domain=(-1, 1))
PLANE = rs.FunctionMap(lambda x: x * [1.0, 1.0, 0.5], state_size=3, domain=(-1, 1))
SYSTEMS = {"ring": RING, "line": LINE, "plane": PLANE}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_budget_that_is_enough_changes_nothing(name):
    points = find_fixed_points(SYSTEMS[name], n_starts=64)
    usual, ample = (marginal_manifolds(SYSTEMS[name], fixed_points=points, budget=n) for n in (10_000, 10**9))
    assert usual.kind == ample.kind == (name,)
    np.testing.assert_array_equal(usual.points, ample.points)
    assert (usual.trust.stopped_after, usual.trust.unfollowed) == (0, 0)
    assert "stopped" not in usual.summary()


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("budget", [1, 6, 20])
def test_what_was_not_followed_is_said(name, budget, tmp_path):
    points = find_fixed_points(SYSTEMS[name], n_starts=64)
    found = marginal_manifolds(SYSTEMS[name], fixed_points=points, budget=budget, spacing=0.01)
    assert found.trust.stopped_after == budget
    assert f"stopped after {budget} places on the way" in found.summary()
    assert "on no manifold longer" not in found.summary()  # nobody knows
    assert "on their own" not in found.summary()
    if len(found):
        assert "not covered to its ends" in found.summary()
        assert "stopped" in found.trust.ends[0]
    else:
        assert found.trust.unfollowed > 0
        assert f"with {found.trust.unfollowed} marginal points not followed" in found.summary()
    save_result(found, tmp_path / "result")
    assert load_result(type(found), tmp_path / "result").summary() == found.summary()


@pytest.mark.parametrize("name", ["AntisymmetricRNNCell", "GatedAntisymmetricRNNCell"])
def test_lines_without_an_end_come_to_one(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cell, task = getattr(torchrecurrent, name)(1, 5), tasks.Parity(2)
        subject = rs.Subject(rs.wrap(cell, readout=nn.Linear(5, task.output_size)), task, name)
    points = find_fixed_points(subject, n_starts=32)
    found = marginal_manifolds(subject, fixed_points=points, settle=50, n_points=8, budget=40)
    assert found.trust.stopped_after == 40
    assert "stopped after 40 places" in found.summary()


def test_results_of_before_there_was_a_budget_say_nothing_of_it():
    found = marginal_manifolds(RING, budget=10)
    before = replace(found.trust, stopped_after=0, unfollowed=0)
    assert "stopped after" not in replace(found, trust=before).summary()
