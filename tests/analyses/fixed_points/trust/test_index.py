"""The sum of indices: 1 over all points of a map that keeps its domain, and what is said where it is not."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points import find_fixed_points


def tanh_units(gains):
    """Uncoupled units h' = tanh(g h): 0, and with g > 1 two more, so that k of those have 3^k points."""
    return rs.FunctionMap(lambda h: np.tanh(np.asarray(gains) * h), state_size=len(gains), domain=(-1, 1), smooth=True)


@pytest.mark.parametrize("gains", [[0.5], [2.0], [2.0, 0.7], [1.5, 3.0], [1.3, 2.0, 4.0]])
def test_all_points_have_index_1_together(gains):
    found = find_fixed_points(tanh_units(gains), n_starts=200)
    index = found.unseen.index
    assert len(found) == 3 ** sum(g > 1 for g in gains)
    assert index.total.tolist() == [1]
    assert index.consistent.all()
    assert not index.missing.any()
    np.testing.assert_array_equal(
        index.sign,
        np.prod(np.sign(1 - found.eigenvalues.real), 1),
        err_msg="uncoupled units have real eigenvalues, and det(I - J) is the product of 1 - eigenvalue",
    )


def test_one_start_and_no_search_beyond_is_said_to_miss_points():
    found = find_fixed_points(tanh_units([2.0, 2.0]), starts=np.array([[0.9, 0.9], [0.9, 0.0]]))
    assert len(found) == 2
    assert found.unseen.index.missing.all()
    assert "index 0, of all points it is 1: at least one more exists" in found.summary()


def test_a_consistent_sum_is_not_called_complete():
    found = find_fixed_points(tanh_units([2.0, 2.0]), starts=np.array([[0.9, 0.9]]))
    assert len(found) == 1, "one of nine, whose index happens to be 1"
    assert "consistent" in found.summary()
    assert "complete" not in found.summary()


def test_a_domain_that_the_map_leaves_says_nothing():
    """x -> 4 x (1 - x) leaves (-.5, 1.5), and its points 0 and 3/4 have signs -1 and 1."""
    found = find_fixed_points(rs.FunctionMap(lambda x: 4 * x * (1 - x), state_size=1, domain=([-0.5], [1.5])))
    assert found.unseen.index.keeps == ("refuted",)
    assert not found.unseen.index.missing.any()
    assert "index" not in found.summary()


def test_a_domain_given_by_its_author_is_a_condition():
    found = find_fixed_points(tanh_units([2.0]), n_starts=50)
    assert "if the map is continuous and keeps its domain" in found.summary()


def test_a_degenerate_point_leaves_the_sum_open():
    found = find_fixed_points(tanh_units([1.0]), n_starts=50)
    assert found.unseen.index.unknown.sum() >= len(found), "0 is a triple root of tanh(h) - h"
    assert not found.unseen.index.missing.any()


@pytest.mark.parametrize(
    "module", [torch.nn.RNN(2, 8), torch.nn.GRU(2, 6), torch.nn.LSTM(2, 5), torch.nn.GRU(2, 4, num_layers=2)]
)
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_trained_kinds_of_cells_have_it_at_every_input(module, gain):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(gain * torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    found = find_fixed_points(module, input=np.array([[0.0, 0.0], [1.0, -2.0]]), n_starts=32)
    index = found.unseen.index
    assert index.keeps == ("known", "known")
    assert index.total.tolist() == [1, 1], found.summary()


@pytest.mark.parametrize(
    ("step", "true"),
    [
        (lambda x: 4 * x * (1 - x), [0.0, 0.75]),
        (lambda x: x**2, [0.0, 1.0]),
        (lambda x: 1 - np.abs(2 * x - 1), [0.0, 2 / 3]),
        (lambda x: np.sin(np.pi * x / 2) ** 2, [0.0, 0.5, 1.0]),
    ],
)
def test_a_point_on_the_border_spoils_the_sum(step, true):
    """All points are found, and their indices sum to something else than 1 in most, as the theorem allows."""
    found = find_fixed_points(rs.FunctionMap(step, state_size=1, domain=(0, 1)), n_starts=64, n_rounds=1)
    np.testing.assert_allclose(np.sort(found.points[:, 0]), true, atol=1e-6)
    assert found.unseen.index.keeps == ("on border",)
    assert not found.unseen.index.missing.any()
    assert not found.unseen.index.consistent.any()
    assert "lies on the border" in found.summary()
    assert "one more" not in found.summary()


@pytest.mark.parametrize(
    "step",
    [
        lambda x: np.where(x < 0.5, 0.75, 0.25),
        lambda x: (3 * x + 0.1) % 1,
        lambda x: np.where(x < 0.3, 0.9 - x, 0.2),
    ],
)
def test_maps_with_jumps_may_have_any_sum(step):
    """The first and last have no fixed point at all, and the second two, of index -1 each; none has another."""
    found = find_fixed_points(rs.FunctionMap(step, state_size=1, domain=(0, 1)), n_starts=64, n_rounds=1)
    said = found.summary()
    assert ("though there is one" in said) == (len(found) == 0), said
    assert "if the map is continuous" in said or len(found) == 0 or "border" in said
    assert "though there is one, if the map is continuous" in said or len(found), said
