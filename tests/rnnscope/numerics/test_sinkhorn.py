"""The divergence against geomloss at equal settings, against closed forms, and against what must hold of it."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnscope.numerics import sinkhorn
from rnnscope.numerics.sinkhorn import sinkhorn_divergence, sinkhorn_energy

SETTINGS = [
    {"blur": 0.2, "scaling": math.sqrt(0.5)},
    {"blur": 0.2, "scaling": math.sqrt(0.5), "diameter": math.sqrt(40)},
    {"blur": 0.05, "scaling": 0.5},
    {"blur": 0.2, "scaling": 0.9},
    {"blur": 0.3, "scaling": 0.1},
]


CONVERGED = {"blur": 1.0, "scaling": 0.99999, "diameter": 1.001}  # 100 updates, epsilon all but constant


def one_hot_sequences(n: int, time: int, switch: float, seed: int) -> Tensor:
    """Sequences of 3 symbols that change with probability `switch`, one-hot and flattened, as in training."""
    rng = torch.Generator().manual_seed(seed)
    jumps = (torch.rand(n, time, generator=rng) < switch) * torch.randint(1, 3, (n, time), generator=rng)
    return torch.nn.functional.one_hot(jumps.cumsum(1) % 3, 3).double().flatten(1)


def clouds(name: str) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)

    def normal(n: int, dim: int) -> Tensor:
        return torch.randn(n, dim, generator=rng, dtype=torch.float64)

    return {
        "unequal": lambda: (normal(40, 3), normal(65, 3) + 1),
        "one point": lambda: (normal(1, 2), normal(7, 2)),
        "one dimension": lambda: (normal(80, 1), 3 * normal(50, 1)),
        "sequences": lambda: (one_hot_sequences(128, 30, 0.05, 1), one_hot_sequences(128, 30, 0.3, 2)),
        "unequal sequences": lambda: (one_hot_sequences(50, 30, 0.1, 3), one_hot_sequences(130, 30, 0.6, 4)),
        "far from 0": lambda: (normal(50, 2) + 300, normal(60, 2) + 310),
    }[name]()


def value_and_gradients(divergence: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    value = divergence(x, y)
    return [value.detach(), *torch.autograd.grad(value, (x, y))]


def relative_error(found: Tensor, true: Tensor) -> float:
    return float((found.double() - true.double()).norm() / true.double().norm())


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(f"{v:.3g}" for v in s.values()))
@pytest.mark.parametrize(
    "name", ["unequal", "one point", "one dimension", "sequences", "unequal sequences", "far from 0"]
)
def test_value_and_gradients_are_those_of_geomloss(name: str, settings: dict[str, float]):
    geomloss = pytest.importorskip("geomloss")
    oracle = geomloss.SamplesLoss("sinkhorn", p=2, debias=True, backend="tensorized", **settings)
    x, y = clouds(name)
    true = value_and_gradients(oracle, x, y)
    for dtype, tolerance in ((torch.float64, 1e-11), (torch.float32, 1e-4)):
        found = value_and_gradients(lambda x, y: sinkhorn_divergence(x, y, **settings), x.to(dtype), y.to(dtype))
        assert all(each.dtype == dtype for each in found)
        for part, f, t in zip(("value", "x gradient", "y gradient"), found, true, strict=True):
            assert relative_error(f, t) < tolerance, (part, dtype)


@pytest.mark.parametrize(
    ("limit", "setting"), [("_MAX_SQUARINGS", 0), ("_MAX_SQUARINGS", 100), ("_MAX_LOG2", 20.0), ("_MAX_LOG2", -1.0)]
)
@pytest.mark.parametrize("name", ["unequal", "sequences"])
def test_short_cuts_change_nothing(monkeypatch: pytest.MonkeyPatch, name: str, limit: str, setting: float):
    x, y = clouds(name)
    usual = value_and_gradients(sinkhorn_divergence, x, y)
    monkeypatch.setattr(sinkhorn, limit, setting)  # no squaring, no remaking, and only log-sum-exps (-1)
    for found, expected in zip(value_and_gradients(sinkhorn_divergence, x, y), usual, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_numbers_out_of_range_are_caught():
    """Outliers and a steep fall of epsilon: exp((u + v + <x, y>) / epsilon) is 0 or infinite in float32."""
    x, y = clouds("unequal")
    x[0] += 50
    settings = {"blur": 0.05, "scaling": 0.05}
    exact = value_and_gradients(lambda x, y: sinkhorn_divergence(x, y, **settings), x, y)
    single = value_and_gradients(lambda x, y: sinkhorn_divergence(x, y, **settings), x.float(), y.float())
    for found, true in zip(single, exact, strict=True):
        assert relative_error(found, true) < 2e-3


def test_gaussians_on_a_line_have_the_closed_form():
    """Janati, Muzellec, Peyre & Cuturi, NeurIPS 2020, theorem 1, halved for our cost, with sigma = blur."""
    quantiles = torch.special.ndtri((torch.arange(400, dtype=torch.float64) + 0.5) / 400)[:, None]

    def blurred(a: float, b: float, blur: float) -> float:
        root = math.sqrt(4 * a * b + blur**4)
        return a + b - root + blur**2 * math.log(root + blur**2)

    for blur in (0.5, 1.0, 3.0):
        spread = blurred(1, 4, blur) - (blurred(1, 1, blur) + blurred(4, 4, blur)) / 2
        found = sinkhorn_divergence(quantiles, 2 * quantiles + 1.5, blur=blur, scaling=0.9)
        assert float(found) == pytest.approx((1.5**2 + spread) / 2, rel=2e-3)


def test_without_blur_on_a_line_the_sorted_points_match():
    rng = torch.Generator().manual_seed(5)
    x = torch.randperm(20, generator=rng)[:, None] / 5 + 0.1 * torch.rand(20, 1, generator=rng, dtype=torch.float64)
    y = x.flip(0).square() / 2 + 1
    value, dx, _ = value_and_gradients(lambda x, y: sinkhorn_divergence(x, y, blur=0.01, scaling=0.99), x, y)
    order = x[:, 0].argsort()
    partner = torch.empty_like(x)
    partner[order] = y.sort(0).values
    assert float(value) == pytest.approx(float((x - partner).square().mean() / 2), rel=2e-3)
    assert relative_error(dx, (x - partner) / 20) < 1e-2


def test_gradient_is_the_slope_once_converged():
    x, y = clouds("unequal")
    x, y = x[:5], y[:6]
    _, dx, dy = value_and_gradients(lambda x, y: sinkhorn_divergence(x, y, **CONVERGED), x, y)
    step = 1e-5
    for points, gradient in ((x, dx), (y, dy)):
        before = float(points[2, 1])
        points[2, 1] = before + step
        above = sinkhorn_divergence(x, y, **CONVERGED)
        points[2, 1] = before - step
        below = sinkhorn_divergence(x, y, **CONVERGED)
        points[2, 1] = before
        assert float((above - below) / (2 * step)) == pytest.approx(float(gradient[2, 1]), rel=1e-4)


@pytest.mark.parametrize("name", ["unequal", "sequences"])
def test_symmetric_positive_and_zero_at_equality(name: str):
    x, y = clouds(name)
    value, dx, dy = value_and_gradients(sinkhorn_divergence, x, y)
    swapped, dx_swapped, dy_swapped = value_and_gradients(sinkhorn_divergence, y, x)
    assert value > 0
    torch.testing.assert_close(swapped, value, rtol=1e-12, atol=0)
    torch.testing.assert_close((dy_swapped, dx_swapped), (dx, dy), rtol=1e-9, atol=1e-14)
    same, dx, dy = value_and_gradients(sinkhorn_divergence, x, x.flip(0))
    assert abs(float(same)) < 1e-12
    assert float(dx.abs().max()) < 1e-12
    assert float(dy.abs().max()) < 1e-12


def test_shifted_cloud_costs_half_the_shift_squared():
    """Exactly so once converged: the shift adds to the cost only what the potentials absorb."""
    x, _ = clouds("unequal")
    shift = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    value, dx, dy = value_and_gradients(lambda x, y: sinkhorn_divergence(x, y, **CONVERGED), x, x + shift)
    assert float(value) == pytest.approx(float(shift.square().sum() / 2), rel=1e-7)
    torch.testing.assert_close(dx, (-shift / len(x)).expand_as(x), rtol=1e-4, atol=0)
    torch.testing.assert_close(dy, (shift / len(x)).expand_as(x), rtol=1e-4, atol=0)


def test_moving_both_clouds_changes_nothing():
    x, y = clouds("unequal")
    there = value_and_gradients(sinkhorn_divergence, x + 1000, y + 1000)
    for found, expected in zip(there, value_and_gradients(sinkhorn_divergence, x, y), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


def test_constant_can_be_left_out():
    x, y = clouds("unequal")
    settings = {"diameter": 8.0}

    def bare(x: Tensor, y: Tensor) -> Tensor:
        return sinkhorn_divergence(x, y, with_constant=False, **settings)

    full, dx, _ = value_and_gradients(lambda x, y: sinkhorn_divergence(x, y, **settings), x, y)
    value, dx_bare, _ = value_and_gradients(bare, x, y)
    other = sinkhorn_divergence(-x, y, **settings)
    torch.testing.assert_close(dx, dx_bare, rtol=1e-12, atol=1e-15)
    assert float(value - full) == pytest.approx(float(bare(-x, y) - other), rel=1e-12)  # the same for every x
    itself, _, _ = value_and_gradients(bare, y, y)
    assert float(value - full) == pytest.approx(float(itself), rel=1e-10)  # S(y, y) = 0


def test_gradient_flows_on_and_only_where_wanted():
    x, y = clouds("unequal")
    weights = torch.eye(3, dtype=torch.float64, requires_grad=True)
    (3 * sinkhorn_divergence(x @ weights, y)).backward()
    _, dx, _ = value_and_gradients(sinkhorn_divergence, x, y)
    torch.testing.assert_close(weights.grad, 3 * x.T @ dx)
    assert not sinkhorn_divergence(x, y).requires_grad
    with torch.no_grad():
        assert not sinkhorn_divergence(x @ weights, y).requires_grad


def test_arguments_are_left_alone():
    x, y = clouds("sequences")
    before = x.clone(), y.clone()
    value_and_gradients(sinkhorn_divergence, x, y)
    sinkhorn_divergence(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_points_in_one_place():
    here = torch.ones(4, 2)
    assert float(sinkhorn_divergence(here, here)) == 0
    assert float(sinkhorn_divergence(here, here[:2] + 1)) == pytest.approx(1)


@pytest.mark.parametrize("name", ["unequal", "sequences"])
def test_energy_is_made_of_geomloss_transports(name: str):
    x, y = clouds(name)
    settings = {"blur": 0.2, "scaling": math.sqrt(0.5), "diameter": 8.0}
    import geomloss

    cost = geomloss.SamplesLoss("sinkhorn", p=2, debias=False, backend="tensorized", **settings)

    def wanted(x: Tensor, y: Tensor) -> Tensor:
        (x1, x2), (y1, y2) = ((c[: len(c) // 2], c[len(c) // 2 :]) for c in (x, y))
        return cost(x1, y1) + cost(x2, y2) - cost(x1, x2) - cost(y1, y2)

    found, expected = (value_and_gradients(f, x, y) for f in (lambda x, y: sinkhorn_energy(x, y, **settings), wanted))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    bare = value_and_gradients(lambda x, y: sinkhorn_energy(x, y, **settings, with_constant=False), x, y)
    torch.testing.assert_close(bare[1], found[1], rtol=0, atol=0)
    y1, y2 = y[: len(y) // 2], y[len(y) // 2 :]
    assert float(bare[0] - found[0]) == pytest.approx(float(cost(y1, y2)), rel=1e-8)


def test_energy_is_least_at_the_truth_where_the_divergence_is_not():
    """Coins: the exact expectation, over all outcomes of four tosses each, of one that shows 1 with probability p
    against one that shows it with .1."""
    outcomes = torch.cartesian_prod(torch.arange(3), torch.arange(3))  # ones among the first two tosses and the last

    def tosses(ones: Tensor) -> Tensor:
        return torch.cat([(torch.arange(2) < n).double() for n in ones])[:, None]

    value = {
        distance: torch.tensor(
            [[float(distance(tosses(a), tosses(b), scaling=0.5)) for b in outcomes] for a in outcomes]
        )
        for distance in (sinkhorn_divergence, sinkhorn_energy)
    }

    def expected(distance: Callable[..., Tensor], p: float) -> float:
        each = [torch.tensor([(1 - q) ** 2, 2 * q * (1 - q), q**2]) for q in (p, 0.1)]
        x, y = (torch.outer(two, two).flatten() for two in each)
        return float(x @ value[distance] @ y)

    divergence, energy = ([expected(d, p) for p in (0.0, 0.1, 0.2)] for d in (sinkhorn_divergence, sinkhorn_energy))
    assert divergence[0] < divergence[1], "here the divergence prefers a coin that never shows 1"
    assert abs(energy[1]) < 1e-6, f"at the truth {energy[1]} is expected, not 0"
    assert min(energy[0], energy[2]) > 0.001, f"wrong coins should cost more than the true one: {energy}"


def test_energy_needs_halves():
    with pytest.raises(ValueError, match="y has one point, which has no halves"):
        sinkhorn_energy(torch.zeros(4, 2), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"blur is 0\.0"):
        sinkhorn_energy(torch.zeros(4, 2), torch.zeros(4, 2), blur=0.0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": torch.zeros(3, 5)}, ValueError, "x has points of dimension 2, y of 5"),
        ({"x": torch.zeros(0, 2)}, ValueError, r"x has shape \(0, 2\); give at least one point"),
        ({"y": torch.zeros(3, 0)}, ValueError, r"y has shape \(3, 0\)"),
        ({"blur": 0.0}, ValueError, "blur is 0.0; .* give a positive number"),
        ({"blur": math.nan}, ValueError, "blur is nan"),
        ({"scaling": 1.0}, ValueError, "scaling is 1.0; .* between 0 and 1"),
        ({"scaling": 0.0}, ValueError, "scaling is 0.0"),
        ({"diameter": -1.0}, ValueError, "diameter is -1.0; .* None to measure it"),
        ({"x": torch.tensor([[0.0, 1.0], [2.0, math.nan]])}, ValueError, r"x\[1, 1\] is nan, one of 1 "),
        ({"y": torch.tensor([[math.inf, 1.0], [2.0, -math.inf]])}, ValueError, r"y\[0, 0\] is inf, one of 2 "),
        ({"y": torch.full((3, 2), math.inf), "diameter": 3.0}, ValueError, r"y\[0, 0\] is inf, one of 6 "),
        ({"x": torch.full((3, 2), 3e38), "y": torch.full((3, 2), -3e38)}, ValueError, "too far apart"),
        ({"x": torch.zeros(3, 2).half()}, TypeError, r"x is torch.float16; .* x.float\(\)"),
        ({"y": torch.zeros(3, 2).double()}, TypeError, "x is torch.float32, y is torch.float64"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], error: type[Exception], message: str):
    arguments = {"x": torch.zeros(4, 2), "y": torch.ones(3, 2), **change}
    with pytest.raises(error, match=message):
        sinkhorn_divergence(**arguments)
