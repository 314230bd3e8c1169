"""Bounds on boxes hold against 50 digits, in all coordinates and in few; zeros of polynomials are all found."""

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf

from rnnscope import cells
from rnnscope.maps.cell_map import CellMap
from rnnscope.numerics.boxes import Box, Coordinates, derivative
from rnnscope.numerics.branch_and_prune import Enclosed, Equation, find_zeros


def sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mpmath.exp(-x))


def exact(matrix) -> mpmath.matrix:
    return mpmath.matrix(np.asarray(matrix).tolist())


def at_rest(layer: torch.nn.Module, h: mpmath.matrix, u: float) -> list:
    """From the textbook, in as many digits as mpmath is set to."""
    d, n = layer.dynamics(), layer.n_units
    total = exact(d.weight.detach()) * h
    drive = [mpf(w) * mpf(u) for w in d.weight_in.detach()[:, 0].tolist()]
    bias = [mpf(b) for b in d.bias.detach().tolist()]
    match type(layer).__name__:
        case "GRUCell":
            b_in = [mpf(b) for b in d.bias_in.detach().tolist()]
            reset = [sigmoid(total[i] + bias[i] + drive[i] + b_in[i]) for i in range(n)]
            k = 2 * n
            inner = [reset[i] * (total[k + i] + bias[k + i]) + drive[k + i] + b_in[k + i] for i in range(n)]
            return [mpmath.tanh(x) for x in inner]
        case "LSTMCell":
            x = [total[i] + bias[i] + drive[i] for i in range(4 * n)]
            c = [sigmoid(x[i]) * mpmath.tanh(x[2 * n + i]) / (1 - sigmoid(x[n + i])) for i in range(n)]
            return [sigmoid(x[3 * n + i]) * mpmath.tanh(c[i]) for i in range(n)]
    return [mpmath.tanh(total[i] + bias[i] + drive[i]) for i in range(n)]


@pytest.mark.parametrize("cell", [cells.Vanilla(4), cells.GRU(3), cells.LSTM(3), cells.LowRank(5, rank=2)])
@pytest.mark.parametrize("few", [False, True])
def test_values_and_slopes_over_a_box(cell: cells.Cell, few: bool):
    """With two coordinates of more, what the weights leave out is large here, and still bounded."""
    layer, rng = cell.build(1, torch.Generator().manual_seed(0)).double(), np.random.default_rng(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(2)
    n, u = layer.n_units, 0.3
    basis = np.linalg.qr(rng.normal(size=(n, 2)))[0] if few else np.eye(n)
    state = rng.uniform(-0.6, 0.6, n)
    centre, half = (state @ basis)[None], rng.uniform(0.01, 0.3, (1, basis.shape[1]))
    coordinates = Coordinates(basis, np.ones(n)) if few else None
    (layer_bounds,) = CellMap([layer]).at_rest(Box(centre, half, coordinates), np.array([[u]])) or ()
    new = layer_bounds[0]
    middle, radius = derivative((new,), 1, basis.shape[1])
    with mpmath.workdps(50):
        for _ in range(20):
            z = centre[0] + half[0] * rng.choice([-1, 1, 0.3], basis.shape[1]) * (1 - 1e-12)
            h = basis @ z + (np.eye(n) - basis @ basis.T) @ rng.uniform(-0.2, 0.2, n)
            if few and (np.abs(h) > 1).any():
                continue
            if few:  # the coordinates of these numbers, exactly, must be in the box
                inside = exact(basis.T) * exact(h[:, None])
                assert all(abs(inside[k] - mpf(centre[0, k])) <= mpf(half[0, k]) for k in range(2))
            value = at_rest(layer, exact(h[:, None]), u)
            for i in range(n):
                assert mpf(new.range.low[0, 0, i]) <= value[i] <= mpf(new.range.high[0, 0, i])
                if few:
                    continue
                for j in range(n):
                    step = mpf(10) ** -20
                    ahead = exact(h[:, None])
                    ahead[j] += step
                    slope = (at_rest(layer, ahead, u)[i] - value[i]) / step
                    assert abs(slope - mpf(middle[0, i, j])) <= mpf(radius[0, i, j]) + mpf(10) ** -15


def circle_and_line(radius: float) -> Equation:
    """x^2 + y^2 = r^2 and x = y, by hand-made bounds that are wide enough for any rounding here."""

    def enclose(centre: np.ndarray, half: np.ndarray) -> Enclosed:
        low, high = centre - half, centre + half
        squares = np.sort(np.stack([low**2, high**2, np.where((low < 0) & (high > 0), 0.0, low**2)]), 0)
        slack = 1e-14
        least = np.stack([squares[0].sum(1) - radius**2, low[:, 0] - high[:, 1]], 1) - slack
        most = np.stack([squares[2].sum(1) - radius**2, high[:, 0] - low[:, 1]], 1) + slack
        ones = np.ones(len(centre))
        slope = np.stack([2 * centre, np.stack([ones, -ones], 1)], 1)
        error = np.stack([2 * half, 0 * half], 1) + slack
        return Enclosed(least, most, slope, error)

    return Equation(enclose, False, 2)


def test_zeros_of_polynomials():
    low, high = np.array([-2.0, -2.0]), np.array([2.0, 2.1])
    found = find_zeros(circle_and_line(1.0), low, high, np.empty((0, 2)), seconds=60.0, max_boxes=10_000)
    assert not len(found.low)
    order = np.argsort(found.points[:, 0])
    np.testing.assert_allclose(found.points[order], np.array([[-1, -1], [1, 1]]) / np.sqrt(2), atol=1e-12)
    assert (found.errors < 1e-12).all()
    none = find_zeros(circle_and_line(9.0), low, high, np.empty((0, 2)), seconds=60.0, max_boxes=10_000)
    assert (len(none.points), len(none.low)) == (0, 0)
    double = find_zeros(circle_and_line(0.0), low, high, np.zeros((1, 2)), seconds=60.0, max_boxes=10_000)
    assert len(double.points) == 0
    assert ((double.low <= 0) & (double.high >= 0)).all(1).any(), "the double zero is among what is undecided"
