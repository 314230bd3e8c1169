"""How many exponents, vectors and starts there are by default: all of small networks, and so many of large ones that
neither time nor memory grows with the cube of their size."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import analyses
from rnnscope.analyses.fixed_points.cycles.find import default_n_starts
from rnnscope.analyses.lyapunov.settings import MOST_VECTORS, MOST_WHOLE, default_count


@pytest.mark.parametrize("most", [MOST_WHOLE, MOST_VECTORS])
def test_frames_of_large_networks_take_no_more_memory(most):
    sizes = np.array([1, 40, 150, 240, 512, 2000, 20_000])
    counts = np.array([default_count(int(n), most) for n in sizes])
    np.testing.assert_array_equal(counts[sizes <= most], sizes[sizes <= most])
    assert (sizes * counts <= most**2).all()
    assert (sizes * counts)[sizes > most].min() > 0.9 * most**2 - 20_000
    assert [default_n_starts(n) for n in (8, 256, 512, 2000)] == [256, 256, 16, 4]


def test_the_largest_exponents_of_a_large_map_are_found_and_the_rest_said_to_be_missing():
    """A diagonal map, whose exponents are logarithms of its entries."""
    factors = np.concatenate([[0.9, 0.6, 0.4], np.linspace(0.2, 0.1, 317)])
    large = rs.FunctionMap(
        lambda h: factors * h, state_size=320, jacobian=lambda h: np.broadcast_to(np.diag(factors), (*h.shape, 320))
    )
    starts = np.random.default_rng(0).standard_normal((1, 320))
    found = analyses.lyapunov_spectrum(large, starts=starts, n_steps=40, transient=60)
    assert len(found.exponents) == 281
    np.testing.assert_allclose(found.exponents[:3], np.log(factors[:3]), atol=1e-6)
    assert "281 of 320 exponents" in found.summary()
