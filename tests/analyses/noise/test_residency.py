"""Times to the first change: systems in which they are geometric, and Jacobians whose eigenvalues are known."""

import numpy as np
import pytest
from driven_systems import linear, noise_task, telegraph

import rnnscope as rs
from rnnscope.analyses import NotApplicable, residency_times
from rnnscope.analyses.noise.over_trials import over_trials
from rnnscope.analyses.noise.plane import plane_of
from rnnscope.analyses.noise.residency import _fewest, _valleys
from rnnscope.analyses.noise.spectra import counts_of, eigenvalues_of, moebius


@pytest.mark.parametrize("p", [0.03, 0.1, 0.4, 0.8])
def test_a_telegraph_has_geometric_times(p):
    """The mean of min(K, C) with K geometric is (1 - (1 - p)^C) / p, and (1 - p)^C of the rollouts reach the cap."""
    cap = 30
    found = residency_times(telegraph(p), n_states=300, n_rollouts=20, cap=cap, n_trials=20, n_steps=40)
    expected, capped = (1 - (1 - p) ** cap) / p, (1 - p) ** cap
    k = np.arange(1, cap)
    second = (k**2 * p * (1 - p) ** (k - 1)).sum() + cap**2 * (1 - p) ** (cap - 1)
    error = np.sqrt((second - expected**2) / 6000)
    assert abs(found.residency.mean() - expected) < 4 * error
    assert abs(found.capped.mean() - capped) < 4 * np.sqrt(capped * (1 - capped) / 6000) + 1e-9
    assert found.residency_error.mean() == pytest.approx(np.sqrt(20) * error * np.sqrt(15), rel=0.15)
    assert found.drive == "task trials"


def test_regions_are_by_thresholds_and_what_is_uncertain_is_other():
    slow, fast = (residency_times(telegraph(p), n_states=60, n_trials=6, n_steps=30) for p in (0.03, 0.8))
    assert slow.regions.n_states.tolist() == [0, 0, 60, 0]
    assert fast.regions.n_states.tolist() == [60, 0, 0, 0]
    unsure = residency_times(telegraph(0.03), n_states=60, n_trials=6, n_steps=30, certain=1.0)
    assert unsure.regions.n_states.tolist() == [0, 0, 0, 60]
    assert "other 100.0 %" in unsure.summary()
    middle = residency_times(telegraph(0.2), n_states=60, n_trials=6, n_steps=30, thresholds=(1.1, 30.0))
    assert middle.regions.n_states.tolist() == [0, 60, 0, 0]


def test_weights_make_up_for_states_that_were_drawn_near_changes():
    """Half of the trials are fast: shares must not hang on what is drawn."""
    shares = [
        residency_times(
            _two_speeds(), n_states=400, n_rollouts=8, cap=20, n_trials=40, n_steps=60, near_changes=near, seed=seed,
            thresholds=(3.0, 4.0), certain=0.5,
        ).regions
        for seed, near in enumerate((0.2, 0.5, 0.9))
    ]  # fmt: skip
    for found in shares:
        # Half of the trials are fast throughout; a few of their states are drawn with long times.
        assert abs(found.share[0] - 0.5) < 0.05
        assert found.share_error[0] == pytest.approx(np.sqrt(0.25 / 40), rel=0.25)


def _two_speeds() -> rs.Subject:
    """Telegraphs with p = .7 or p = .05, which each trial is of for good."""

    def step(h, u):
        speed, sign = h[..., :1], h[..., 1:]
        return np.concatenate([speed, np.where(u > np.where(speed > 0, -0.5244, 1.6449), -sign, sign)], -1)

    def initial(n, rng):
        return np.column_stack(
            [np.where(np.arange(n) % 2, 1.0, -1.0) if n == 40 else rng.choice([-1, 1], n), np.ones(n)]
        )

    found = rs.FunctionMap(
        step, state_size=2, input_size=1, initial=initial, readout_size=2,
        readout=lambda h: np.concatenate([-5 * h[..., 1:], 5 * h[..., 1:]], -1),
    )  # fmt: skip
    return rs.Subject(found, noise_task())


def test_eigenvalues_of_a_linear_map_are_counted():
    turn = 0.99 * np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    matrix = np.zeros((5, 5))
    matrix[:2, :2], matrix[2, 2], matrix[3, 3] = turn, -0.5, 0.7
    found = residency_times(linear(matrix), n_states=20, n_trials=4, n_steps=20)
    assert (found.counts == [0, 2, 1]).all()
    unstable = 0.7 * matrix
    unstable[4, 4] = 1.01
    found = residency_times(linear(unstable), n_states=20, n_trials=4, n_steps=20)
    assert (found.counts == [1, 2, 0]).all(), "Re μ of the pair is (.48 - 1) / 2.7 = -.19"


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_zeros_are_left_out_of_eigenvalues_and_change_nothing(seed):
    rng = np.random.default_rng(seed)
    matrices = rng.standard_normal((6, 8, 8)) * (rng.random((6, 8, 1)) < 0.6)
    matrices[0] = 0
    matrices[1] = rng.standard_normal((8, 8))
    found = eigenvalues_of(matrices)
    for a, b in zip(found, np.linalg.eigvals(matrices), strict=True):
        assert np.allclose(np.sort_complex(np.poly(a)), np.sort_complex(np.poly(b)), atol=1e-8)


def test_moebius_takes_the_unit_circle_to_the_imaginary_axis():
    angle = np.linspace(0.1, 3.0, 9)
    mu = moebius(np.exp(1j * angle))
    assert np.allclose(mu, 1j * np.tan(angle / 2))
    assert np.isinf(np.real(moebius(np.array([-1.0 + 0j])))).all()
    assert moebius(np.array([0.0j])) == -1
    # At angle .1: Im μ = .05 is below .06; at .2 it is .1, and the radius .99 moves Re μ by about -.005.
    assert counts_of(np.array([[0.99 * np.exp(0.1j), 0.99 * np.exp(-0.1j)]])).tolist() == [[0, 2, 0]]
    assert counts_of(np.array([[0.99 * np.exp(0.2j), 0.99 * np.exp(-0.2j)]])).tolist() == [[0, 2, 1]]
    assert counts_of(np.array([[1.01 * np.exp(0.2j), 1.01 * np.exp(-0.2j)]])).tolist() == [[2, 2, 1]]


def test_clusters_with_the_fewest_unstable_eigenvalues_are_told_from_others():
    """Two maps of which it is so, and of which it is the other way round: the Jacobian has 2 h_2 on its diagonal, and
    h_2 is 1 or 0 with the speed at which symbols change."""
    for sign, verdict in ((1, "yes"), (-1, "no")):
        found = residency_times(
            _unstable_where_fast(sign), n_states=300, n_rollouts=20, n_trials=30, n_steps=40, cap=60,
            thresholds=(2.0, 9.0), certain=0.5, near_changes=0.3,
        )  # fmt: skip
        assert (found.regions.n_states[:3] > 10).all(), found.summary()
        assert found.fewest.difference[2] == pytest.approx(-sign, abs=0.05)
        # With hardly a state that is not as all others of its region no error is known, and nothing is claimed.
        assert found.fewest.verdict in (verdict, "open"), found.summary()
        assert np.isnan(found.regions.error[0, 0])


@pytest.mark.parametrize(("sign", "verdict"), [(1, "yes"), (-1, "no")])
def test_the_verdict_on_counts_that_vary(sign, verdict):
    rng = np.random.default_rng(0)
    trial = np.repeat(np.arange(40), 30)
    region = rng.integers(3, size=1200)
    counts = rng.poisson(np.where(region == 2, 1.0, 1.0 + 0.5 * sign))
    found = _fewest(trial, np.ones(1200), region, counts, 40, rng)
    assert found.verdict == verdict
    few = _fewest(trial, np.ones(1200), np.where((region == 0) & (trial > 3), 1, region), counts, 40, rng)
    assert np.isnan(few.low[0]), "four trials tell no error"
    assert few.verdict == ("open" if verdict == "yes" else "no"), "one region with more is enough for a no"


def _unstable_where_fast(sign: int) -> rs.Subject:
    """Speeds of three kinds; the Jacobian has an eigenvalue 2 where it is not the slowest (or is, for sign = -1)."""
    speeds = np.array([-0.8416, 0.5244, 1.96])  # P(u > .) = .8, .3, .025

    def step(h, u):
        kind, flip = h[..., 0].round().astype(int), u[..., 0] > speeds[h[..., 0].round().astype(int)]
        return np.stack([kind, np.where(flip, -h[..., 1], h[..., 1]), 0 * h[..., 2]], -1)

    def jacobian(h, u):
        slow = h[..., 0].round() == 2
        return np.where(slow if sign < 0 else ~slow, 2.0, 0.5)[..., None, None] * np.diag([0.0, 0.0, 1.0])

    found = rs.FunctionMap(
        step, state_size=3, input_size=1, jacobian=jacobian, readout_size=2,
        initial=lambda n, rng: np.column_stack([np.arange(n) % 3, np.ones(n), np.zeros(n)]),
        readout=lambda h: np.stack([-5 * h[..., 1], 5 * h[..., 1]], -1),
    )  # fmt: skip
    return rs.Subject(found, noise_task())


@pytest.mark.parametrize("seed", range(3))
def test_valleys_of_three_hills_are_where_they_were_planted(seed):
    rng = np.random.default_rng(seed)
    logs = np.concatenate([rng.normal(m, 0.2, n) for m, n in ((0.2, 80), (1.6, 150), (3.2, 400))])
    low, high = _valleys(np.exp(logs), np.ones(len(logs)))
    assert np.exp(0.5) < low < np.exp(1.3)
    assert np.exp(2.0) < high < np.exp(2.8)
    with pytest.raises(NotApplicable, match="one valley, at"):
        _valleys(np.exp(logs[80:]), np.ones(len(logs) - 80))
    with pytest.raises(NotApplicable, match="no valley"):
        _valleys(np.exp(logs[230:]), np.ones(len(logs) - 230))


@pytest.mark.parametrize("seed", range(3))
def test_errors_are_over_trials_where_steps_of_one_are_alike(seed):
    """Trials of one value each: 400 steps of each say no more than one."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(50)
    found = over_trials(400 * values, np.full(50, 400.0), np.random.default_rng(1))
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=0.12)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(3.92 * found.error, rel=0.12)


def test_the_plane_holds_the_two_directions_of_most_variance():
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    states = rng.standard_normal((40, 50, 6)) * [3, 2, 0.1, 0.1, 0.1, 0.1] @ turn
    plane = plane_of(states)
    assert plane.share == pytest.approx([9 / 13.04, 4 / 13.04], rel=0.1)
    assert np.allclose(np.abs(plane.axes @ turn[:2].T), np.eye(2), atol=0.05)
    assert plane_of(np.zeros((4, 3))).share.tolist() == [0, 0]
    assert plane_of(rng.standard_normal((10, 1))).share[0] == pytest.approx(1)


def test_process_noise_alone_drives_too():
    wells = rs.FunctionMap(
        lambda h: np.tanh(2 * h), state_size=1, readout=lambda h: np.concatenate([h, -h], -1), readout_size=2
    )
    found = residency_times(wells, noise=0.6, n_states=40, n_trials=6, n_steps=40, cap=30)
    assert found.drive == "noise"
    assert 1 < found.residency.mean() < 30
    with pytest.raises(NotApplicable, match="nothing drives this network"):
        residency_times(wells)


def test_what_emits_nothing_is_refused_with_the_reason():
    with pytest.raises(NotApplicable, match="its readout has 0"):
        residency_times(rs.FunctionMap(lambda h: h, state_size=2), noise=0.1)
    task = rs.tasks.FlipFlop(2)
    network = rs.Network(rs.cells.GRU(4), task.input_size, task.output_size)
    with pytest.raises(NotApplicable, match="are values"):
        residency_times(rs.Subject(network.map(), task))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"thresholds must be two numbers of steps.*\(8.0, 2.0\)"):
        residency_times(telegraph(0.1), thresholds=(8.0, 2.0))
    with pytest.raises(ValueError, match="cap must be"):
        residency_times(telegraph(0.1), cap=1)


def test_the_same_seed_gives_the_same_and_another_one_another():
    first, again, other = (
        residency_times(telegraph(0.1), n_states=30, n_trials=4, n_steps=20, seed=s) for s in (0, 0, 1)
    )
    assert np.array_equal(first.residency, again.residency)
    assert not np.array_equal(first.residency, other.residency)
