"""Recurrence plots of which the measures are known."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import NotApplicable, recurrence
from rnnscope.analyses.noise.recurrence_lines import lines_of, recurrences, slope_of


def logistic() -> rs.FunctionMap:
    return rs.FunctionMap(lambda x: 4 * x * (1 - x), state_size=1, domain=(0, 1))


def cycle(period: int) -> rs.FunctionMap:
    """A turn by one part of `period`, on the circle."""
    angle = 2 * np.pi / period
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def step(h):
        new = h @ turn.T
        return new / np.maximum(np.linalg.norm(new, axis=-1, keepdims=True), 1e-12)

    return rs.FunctionMap(step, state_size=2, domain=(-1, 1))


@pytest.mark.parametrize(("period", "n_steps"), [(25, 1000), (25, 600), (7, 300), (2, 100)])
def test_a_cycle_comes_back_after_its_period_and_then_always(period, n_steps):
    found = recurrence(cycle(period), n_steps=n_steps, threshold_by="distance", threshold=1e-6)
    lags = np.arange(period, n_steps, period)
    pairs = n_steps * (n_steps - 1) / 2  # the main diagonal is left out
    assert np.allclose(found.measures.rate, (n_steps - lags).sum() / pairs, atol=0)
    if (period, n_steps) == (25, 1000):
        assert found.measures.rate[0] == pytest.approx(0.0390, abs=5e-5)  # 1/25 but for the ends of the plot
    counted = n_steps - lags >= 2
    expected = (n_steps - lags)[counted].sum() / (n_steps - lags).sum()
    assert np.allclose(found.measures.determinism, expected)
    assert np.allclose(found.measures.mean_length, (n_steps - lags)[counted].mean())
    assert np.allclose(found.measures.longest, n_steps - period)
    assert np.allclose(found.measures.laminarity, 0), "it never stays"
    assert (found.slope, found.n_ended) == (0, 0), "all lines go to the border"
    assert "too few lines of length 6 or more were seen to end" in found.summary()


def test_a_cycle_does_not_hang_on_rounding():
    """A rate of 2 % asks for less than the exact returns: all of them count, not those whose digits agree."""
    found = recurrence(cycle(25), n_steps=500, threshold=0.02)
    assert np.allclose(found.measures.rate, 0.0381, atol=1e-3)
    assert np.allclose(found.measures.determinism, 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 3])
def test_independent_states_are_as_deterministic_as_chance(size, seed):
    noise = rs.FunctionMap(lambda h: 0 * h, state_size=size)
    found = recurrence(noise, noise=1.0, n_steps=500, threshold=0.0975, slope_from=2, seed=seed)
    rate = found.measures.mean("rate")[0]
    assert rate == pytest.approx(0.0975, rel=0.05)
    assert found.measures.mean("determinism")[0] == pytest.approx(1 - (1 - rate) ** 2, abs=0.02)
    assert found.slope == pytest.approx(np.log(rate), abs=0.1), "each further step comes back with probability r"


def test_lines_of_chaos_fall_with_the_correlation_entropy():
    """K_2 = ln 2 of the logistic map, reached from below as the threshold falls."""
    found = recurrence(logistic(), n_steps=1500, threshold=0.02)
    assert found.slope == pytest.approx(-np.log(2), rel=0.06), found.summary()
    assert found.slope_error < 0.04


@pytest.mark.parametrize(
    ("step", "least", "most"),
    [
        # K_2 of the cat map is ln((3 + sqrt 5) / 2) = .962.
        (lambda h: h @ np.array([[2.0, 1], [1, 1]]).T % 1.0, 0.92, 1.01),
        # Grassberger & Procaccia (1983) give K_2 = .325 +- .02 for the Henon map; the exponent .419 is above any K_2.
        (lambda h: np.stack([1 - 1.4 * h[..., 0] ** 2 + h[..., 1], 0.3 * h[..., 0]], -1), 0.305, 0.419),
    ],
    ids=["cat map", "Henon"],
)
def test_other_chaos_that_no_constant_was_chosen_on(step, least, most):
    chaos = rs.FunctionMap(step, state_size=2, initial=lambda n, rng: 0.1 * rng.random((n, 2)))
    found = recurrence(chaos, n_steps=1500)
    assert least < -found.slope < most, found.summary()


def test_lines_are_those_of_a_search_by_hand():
    rng = np.random.default_rng(0)
    states = rng.random((40, 2))
    plot = recurrences(states, 0.4, 3)
    near = np.linalg.norm(states[:, None] - states, axis=-1) <= 0.4
    apart = np.abs(np.arange(40)[:, None] - np.arange(40)) >= 3
    assert np.array_equal(plot, near & apart)
    found = lines_of(plot, 3)
    assert found.rate == pytest.approx((near & apart).sum() / apart.sum())

    def lengths(marks):
        return [len(part) for part in "".join("x" if m else " " for m in marks).split()]

    diagonal = [n for k in range(3, 40) for n in lengths(np.diagonal(plot, k))]
    assert sorted(found.diagonal) == sorted(diagonal)
    assert sorted(found.vertical) == sorted(n for column in plot.T for n in lengths(column))


def test_the_slope_of_geometric_lengths_is_theirs_with_cut_lines_too():
    rng = np.random.default_rng(1)
    for kept in (0.3, 0.8):
        lengths = rng.geometric(1 - kept, 20_000)
        border = rng.integers(1, 12, 20_000)
        cut = lengths >= border  # one that ends just there may go on
        slope, ended = slope_of(np.minimum(lengths, border), cut, 2)
        assert slope == pytest.approx(np.log(kept), abs=0.03)
        assert ended == ((lengths >= 2) & (border >= 2) & ~cut).sum()


def test_what_stays_is_laminar():
    still = rs.FunctionMap(lambda h: h, state_size=2, initial=lambda n, rng: rng.random((n, 2)))
    found = recurrence(still, n_steps=50, threshold_by="distance", threshold=0.1)
    assert np.allclose(found.measures.laminarity, 1, atol=0.03)
    assert np.allclose(found.measures.determinism, 1, atol=0.03)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="at most 8000"):
        recurrence(logistic(), n_steps=9000)
    with pytest.raises(ValueError, match="wants the distance"):
        recurrence(logistic(), threshold_by="distance")
    with pytest.raises(ValueError, match="must be below 1"):
        recurrence(logistic(), threshold=1.5)
    with pytest.raises(ValueError, match="theiler must be below half"):
        recurrence(logistic(), n_steps=40, theiler=20)
    with pytest.raises(NotApplicable, match="run away"):
        recurrence(rs.FunctionMap(lambda h: 2 * h, state_size=1), n_steps=60)
