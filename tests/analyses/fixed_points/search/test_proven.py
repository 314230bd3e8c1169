"""A search whose list is proven to be all there is, or that a proof completes."""

import numpy as np
import pytest
import torch

from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.records.labelled import from_xarray, to_xarray


def network(weights, bias=0.0) -> torch.nn.RNN:
    module = torch.nn.RNN(1, len(weights), dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.weight_hh_l0.copy_(torch.as_tensor(weights))
        module.bias_hh_l0.copy_(torch.as_tensor(bias))
    return module


@pytest.mark.parametrize("gains", [[2.0], [1.5, 3.0], [1.3, 2.0, 4.0], [1.2, 1.7, 2.0, 5.0]])
def test_uncoupled_units_are_complete(gains):
    found = find_fixed_points(network(np.diag(gains)), n_starts=100)
    assert len(found) == 3 ** len(gains)
    assert found.unseen.complete, found.summary()
    assert "complete, proven" in found.summary()


def test_a_proof_finds_what_the_search_has_not():
    found = find_fixed_points(
        network(np.diag([2.0, 2.0])), starts=np.full((1, 2), 0.9), n_orbits=0, n_rounds=0, beyond_starts=True
    )
    assert len(found) == 9, "one was found by the start, eight by the proof"
    assert found.hits.tolist().count(0) == 8
    assert found.unseen.complete
    assert found.certificates.certified.all()


@pytest.mark.parametrize("seed", range(5))
def test_steep_networks_of_rank_one(seed):
    """h' = tanh(1000 u v^T h + b) is one equation z = v tanh(1000 u z + b), whose sign changes at every fixed point."""
    rng = np.random.default_rng(seed)
    u, v, b = 1000 * rng.standard_normal(60), rng.standard_normal(60) / 60, rng.standard_normal(60)
    z = np.unique(np.concatenate([(np.linspace(-25, 25, 1001)[:, None] / np.abs(u) - b / u).ravel(), [-9.0, 9.0]]))
    signs = np.sign(z - np.tanh(z[:, None] * u + b) @ v)
    found = find_fixed_points(network(np.outer(u, v), b), n_starts=64)
    assert len(found) == (signs[1:] != signs[:-1]).sum(), found.summary()
    assert found.unseen.complete, found.summary()


def test_what_is_left_open_is_said():
    weights = 2 * np.random.default_rng(0).standard_normal((12, 12)) / 12**0.5
    found = find_fixed_points(network(weights), n_starts=64)
    assert not found.unseen.complete
    assert "proven" not in found.summary(), "twelve equations are too many, and nothing was tried"
    stopped = find_fixed_points(network(np.diag([1.5, 2.0, 3.0])), n_starts=64, prove=20)
    assert not stopped.unseen.complete
    assert "no proof that these are all: stopped after" in stopped.summary()


def test_it_is_kept_with_the_result():
    found = find_fixed_points(network(np.diag([1.5, 2.0])), input=np.array([[0.0], [1.0]]), n_starts=30)
    again = from_xarray(type(found), to_xarray(found))
    assert again.unseen.complete
    assert again.summary() == found.summary()
