"""One error for averages of growth: it knows of a bias that all starts share, and of phases as long as the run."""

import jaxtyping
import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.lyapunov import lyapunov_spectrum
from rnnscope.analyses.lyapunov.trust import FINE, clear_sign, error_of, phases_last, standard_error


@pytest.fixture(autouse=True)
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which takes longer than all the steps."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def line(step, slope):
    return rs.FunctionMap(step, jacobian=lambda x: slope(x)[..., None], state_size=1)


def logistic(r):
    return line(lambda x: r * x * (1 - x), lambda x: r - 2 * r * x)


MARGINAL = {
    "transcritical": (logistic(1.0), 0, 1),
    "period doubling": (logistic(3.0), 0, 1),
    "second doubling": (logistic(1 + np.sqrt(6)), 0, 1),
    "saddle-node": (logistic(1 + np.sqrt(8)), 0.1, 0.9),
    "pitchfork": (line(np.tanh, lambda x: 1 - np.tanh(x) ** 2), -1, 1),
    "of fifth order": (line(lambda x: x - x**5, lambda x: 1 - 5 * x**4), -0.6, 0.6),
}


def along(name, seed, n_steps, transient):
    state_map, low, high = MARGINAL[name]
    starts = np.random.default_rng([seed, 1]).uniform(low, high, (10, 1))
    return lyapunov_spectrum(state_map, starts=starts, n_steps=n_steps, transient=transient, seed=seed)


@pytest.mark.parametrize("name", MARGINAL)
def test_at_marginal_points_zero_is_within_two_errors_and_no_sign_is_stated(name):
    found = [along(name, seed, *steps) for seed, steps in enumerate([(400, 200), (1000, 200), (1200, 10), (200, 1000)])]
    inside = [abs(each.exponents[0]) <= 2 * each.standard_error[0] for each in found]
    assert all(inside), [(each.exponents[0], each.standard_error[0]) for each in found]
    assert {each.sign for each in found} == {0}


def growth_of(step, log_slope, seed, n_steps=1000, n_starts=10):
    x, total, logs = np.random.default_rng(seed).uniform(0, 1, n_starts), np.zeros(n_starts), []
    for t in range(n_steps):
        total += log_slope(x)
        x = step(x)
        if (t + 1) % (n_steps // FINE) == 0:
            logs.append(total.copy())
    return np.array(logs)[..., None], np.arange(1, FINE + 1) * (n_steps // FINE)


def intermittent(a):
    def bent(x):
        return (2 * np.minimum(x, 0.5)) ** a

    return (
        lambda x: np.where(x < 0.5, x * (1 + bent(x)), 2 * x - 1),
        lambda x: np.log(np.where(x < 0.5, 1 + (1 + a) * bent(x), 2.0)),
    )


def skew_tent(p):
    return (
        lambda x: np.where(x < p, x / p, (1 - x) / (1 - p)),
        lambda x: np.where(x < p, -np.log(p), -np.log1p(-p)),
    )


@pytest.mark.parametrize("a", [1.3, 1.7, 2.2])
def test_laminar_phases_as_long_as_the_run_are_no_small_error(a):
    # The invariant measure is infinite: the exponent is 0, and averages creep there as a power of time.
    runs = [growth_of(*intermittent(a), seed) for seed in range(20)]
    far = np.array([abs(logs[-1].mean() / ends[-1]) for logs, ends in runs])
    assert np.mean(far <= 2 * np.array([error_of(*each, 0)[0] for each in runs])) >= 0.8
    assert np.mean(far <= 2 * np.array([standard_error(*each)[0] for each in runs])) <= 0.2


@pytest.mark.parametrize("p", [0.05, 0.2, 0.45])
def test_where_blocks_are_independent_the_error_stays_small_and_is_honest(p):
    truth = -p * np.log(p) - (1 - p) * np.log1p(-p)
    runs = [growth_of(*skew_tent(p), seed) for seed in range(40)]
    errors = np.array([error_of(*each, 0)[0] for each in runs])
    apart = np.array([abs(logs[-1].mean() / ends[-1] - truth) for logs, ends in runs])
    assert np.mean(apart <= 2 * errors) >= 0.9
    assert np.median(errors) < 2.5 * np.median([standard_error(*each)[0] for each in runs])
    assert np.mean([phases_last(*each)[0] for each in runs]) <= 0.05, "1 in 160 by chance"


def test_the_error_is_no_less_than_the_standard_error_and_than_what_halves_differ_by():
    rng = np.random.default_rng(0)
    for trend in (0.0, 0.3):
        blocks = rng.standard_normal((FINE, 6, 3)) + trend * np.arange(FINE)[:, None, None]
        logs, ends = np.cumsum(blocks, 0), np.arange(1, FINE + 1)
        halves = np.abs(blocks[FINE // 2 :].mean((0, 1)) - blocks[: FINE // 2].mean((0, 1)))
        assert (error_of(logs, ends, 0) >= standard_error(logs, ends) - 1e-12).all()
        assert (error_of(logs, ends, 0) >= halves - 1e-12).all()
        if trend:
            np.testing.assert_allclose(error_of(logs, ends, 0), halves)
    assert clear_sign(np.array([0.3]), np.array([0.2])).tolist() == [0]
