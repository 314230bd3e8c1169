"""Nothing false is said: systems near those with a symmetry, without a name, or that leave their domain."""

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.continuation.follow import follow_fixed_points, follow_parameter
from rnnscope.records.labelled import from_xarray, to_xarray

STARTS = np.linspace(-2, 2, 41)[:, None]


def scalar(step, **options):
    return rs.FunctionMap(step, state_size=1, **options)


@pytest.mark.parametrize("bias", [1e-2, 1e-4, -1e-8])
def test_an_imperfect_pitchfork_is_one_branch_and_a_fold_beside_it(consistent, bias):
    found = follow_parameter(
        lambda p: scalar(lambda h: np.tanh((1 + p) * h + bias), domain=(-1, 1)), values=[-0.5, 0.5], n_searches=3
    )
    consistent(found)
    assert len(found) == 3
    assert found.events.names == ["saddle-node"]
    # (1 + p) (1 - h^2) = 1 at the fold, and (1 + p) h + bias = artanh h.
    h = found.events.point[0, 0]
    assert np.sign(h) == -np.sign(bias)
    assert np.arctanh(h) - h / (1 - h**2) == pytest.approx(bias, abs=1e-11)
    assert found.events.value[0] == pytest.approx(1 / (1 - h**2) - 1, abs=1e-9)
    assert sorted(found.branches.ends.ravel().tolist()) == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("seed", [10])
def test_a_smooth_network_has_no_border_collision(consistent, seed):
    """Along their gain, of networks with small biases; along their input."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 6**-0.5, (6, 6))
    bias = 10 ** rng.uniform(-4, -1) * rng.normal(0, 1, 6)

    def gained(p):
        return rs.FunctionMap(
            lambda h: np.tanh(p * h @ weight.T + bias),
            jacobian=lambda h: (1 - np.tanh(p * h @ weight.T + bias) ** 2)[..., None] * (p * weight),
            state_size=6,
            domain=(-1, 1),
            smooth=True,
        )

    found = follow_parameter(gained, values=[0.5, 3.0], n_searches=3, n_starts=64)
    consistent(found)
    assert "border collision" not in found.events.names
    assert not found.branches.n_lost
    for event in np.flatnonzero(np.array(found.events.names) == "saddle-node"):
        met = [b for b in found.events.branches[event] if b >= 0]
        assert len(met) == 2
        for b in met:
            ends = found.point[found.branch == b][[0, -1]]
            assert np.abs(ends - found.events.point[event]).max(1).min() < 1e-3


@pytest.mark.parametrize("rate", [0.2, 0.7])
@pytest.mark.parametrize("side", [-1, 1])
def test_where_the_lowest_coefficients_are_0_nothing_is_named(side, rate):
    found = follow_parameter(
        lambda p: scalar(lambda h: h + rate * (p * h + side * h**5)), values=[-0.5, 0.5], starts=STARTS
    )
    assert found.events.names == ["degenerate point"]
    assert abs(found.events.value[0]) < 1e-6
    assert len(found) == 3


def test_a_fold_with_the_fourth_power_is_degenerate():
    found = follow_parameter(lambda p: scalar(lambda h: h + 0.2 * (p - h**4)), values=[-0.5, 0.5], starts=STARTS)
    assert found.events.names == ["degenerate point"]
    assert len(found) == 2


def test_a_cusp_passes_without_an_event():
    found = follow_parameter(lambda p: scalar(lambda h: h + 0.2 * (p - h**3)), values=[-0.5, 0.5], starts=STARTS)
    assert found.events.names == []
    assert len(found) == 1


@pytest.mark.parametrize("bend", [0.1, -0.01, 1e-3])
def test_a_transcritical_bifurcation_beside_a_fold_is_no_pitchfork(bend):
    """h' = h + a (p h + bend h^2 - h^3): transcritical at 0, and a fold at h = bend / 2."""
    found = follow_parameter(
        lambda p: scalar(lambda h: h + 0.2 * (p * h + bend * h**2 - h**3)), values=[-0.5, 0.5], starts=STARTS
    )
    assert sorted(found.events.names) == ["saddle-node", "transcritical"]
    fold = found.events.names.index("saddle-node")
    assert found.events.value[fold] == pytest.approx(-(bend**2) / 4, abs=1e-9)
    assert found.events.point[fold, 0] == pytest.approx(bend / 2, rel=1e-4)
    assert abs(found.events.value[1 - fold]) < 1e-7


@pytest.mark.parametrize(("centre", "radius"), [(0.0, 0.1), (0.3, 0.05), (-0.4, 0.02)])
def test_a_closed_curve_between_the_values_searched(consistent, centre, radius):
    found = follow_parameter(
        lambda p: scalar(lambda x: x + x**2 + (p - centre) ** 2 - radius**2), values=[-1.0, 1.0], starts=STARTS
    )
    consistent(found)
    assert found.events.names == ["saddle-node"] * 2
    np.testing.assert_allclose(found.events.value, [centre - radius, centre + radius], atol=1e-9)
    assert found.searches.n_between == 1
    assert not found.consistent
    assert "a closed curve between these could have been missed" in found.summary()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("function", [np.tanh, lambda x: 2 * sigmoid(2 * x) - 1], ids=["tanh", "sigmoid"])
def test_folds_of_two_units_that_only_inhibit_each_other_are_flips_too(consistent, function):
    """Eigenvalues are +- sqrt(a b): one passes -1 where the other passes 1. h_0 is fixed by h -> f(b - 2 f(-2 h))."""

    def inhibit(b):
        return rs.FunctionMap(
            lambda h: function(np.stack([b - 2 * h[..., 1], -2 * h[..., 0]], -1)), state_size=2, domain=(-1, 1)
        )

    found = follow_parameter(inhibit, values=[-1.5, 1.5], n_searches=3)
    consistent(found)
    assert found.events.names == ["fold-flip"] * 2
    k = np.linspace(-0.999, -0.001, 400001)
    fold = (np.arctanh(k) - 2 * np.tanh(2 * k)).max()
    np.testing.assert_allclose(np.abs(found.events.value), fold, atol=1e-6)


def test_a_domain_that_the_map_leaves_says_nothing_of_points_that_are_missing():
    """All fixed points of the logistic map are found, and their indices cancel: 0 - that of x = 0, and of 1 - 1 / r."""
    found = follow_parameter(lambda r: scalar(lambda x: r * x * (1 - x), domain=(-0.5, 1.5)), values=[2.0, 3.8])
    assert set(found.along.keeps) == {"refuted"}
    assert "MISSING" not in found.summary()
    assert "the map leaves its domain at 2 of 2 values" in found.summary()
    assert found.consistent
    kept = follow_parameter(lambda g: scalar(lambda x: np.tanh(g * x), domain=(-1, 1)), values=[1.2, 1.5])
    assert set(kept.along.keeps) == {"not refuted"}
    assert "consistent" in kept.summary()
    assert from_xarray(BifurcationDiagram, to_xarray(kept)).summary() == kept.summary()


def test_points_that_are_missing_are_missing_for_certain_only_in_what_is_known():
    # Of three points, the lowest is not looked for.
    starts = np.array([[0.95], [-0.05]])
    module = torch.nn.RNN(1, 1)
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), (1.0, 2.0, 0.0, 0.0), strict=True):
            parameter.fill_(value)
    function = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    asked = {"inputs": [[0.05], [0.15]], "starts": starts, "n_searches": 2}
    known, tried = (follow_fixed_points(system, **asked) for system in (module, function))
    for found in (known, tried):
        np.testing.assert_array_equal(found.index_sum, 0)
        assert not found.consistent
    assert "points are MISSING at 21 of 21 values, as" in known.summary()
    assert "points are MISSING at 21 of 21 values if the map is continuous and keeps its domain" in tried.summary()


@pytest.mark.parametrize("steep", [10.0, 1000.0])
def test_a_steep_smooth_function_has_no_kink(steep):
    """Of a function nobody says whether it has kinks: it is looked at."""
    found = follow_parameter(
        lambda p: scalar(lambda h: np.tanh(steep * (h + p)) / 2, domain=(-1, 1)), values=[-1.0, 1.0], starts=STARTS
    )
    assert found.events.names == ["saddle-node"] * 2
    h = np.sqrt(1 - 2 / steep) / 2
    fold = h - np.arctanh(2 * h) / steep
    assert (np.abs(np.abs(found.events.value) - fold) <= found.events.error + 1e-8).all()
    assert found.events.error.max() < 1e-5


@pytest.mark.parametrize(
    ("step", "size", "flip"),
    [
        (lambda x, p: np.sqrt(p - x), 1, 0.75),  # x = 1/2: -1 / (2 x) = -1
        (lambda x, p: np.stack([0.5 * np.sqrt(p - x[..., 0]), 0.5 * x[..., 1]], -1), 2, 0.1875),  # x = 1/8
    ],
)
def test_a_branch_ends_where_the_map_does(step, size: int, flip: float):
    """sqrt(p - x) is no number beyond x = p, which the branch meets at p = 0."""

    def at(p: float) -> rs.FunctionMap:
        return rs.FunctionMap(lambda x: step(x, p), state_size=size, domain=(-2, 2))

    with np.errstate(all="ignore"):
        found = follow_parameter(at, values=[-1, 1], n_starts=16)
    assert [found.events.kind_names[kind] for kind in found.events.kind] == ["flip"]
    np.testing.assert_allclose(found.events.value, flip, atol=1e-6)
    assert found.branches.n_undefined == 1
    assert "no longer finite" in found.summary()
    assert found.branches.n_lost == 0


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("gain", "kink", "low"), [(2.0, 0.0, -1.0), (2.0, 0.0, -0.83), (3.0, 0.1, -0.7)])
def test_the_place_of_a_border_collision_has_an_error_that_covers_it(exact: bool, gain: float, kink: float, low: float):
    """max(0, g x + p - k) has its two points for p < k, which meet at p = k."""

    def at(p: float) -> rs.FunctionMap:
        slope = (lambda x: (gain * (gain * x + p - kink > 0))[..., None]) if exact else None
        return rs.FunctionMap(
            lambda x: np.maximum(0, gain * x + p - kink), jacobian=slope, state_size=1, domain=(-2, 2)
        )

    found = follow_parameter(at, values=[low, 1], n_starts=16)
    assert [found.events.kind_names[kind] for kind in found.events.kind] == ["border collision"]
    assert abs(found.events.value[0] - kink) <= found.events.error[0] < 1e-3
