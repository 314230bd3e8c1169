"""Switching between linear maps: exact where the map is piecewise linear, and never better than it is."""

from itertools import pairwise

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.switching_linear import SwitchingLinear, switching_linear
from rnnscope.records import result_files

RNG = np.random.default_rng(0)
WELLS = np.array([[1.0, 0.5, 0.0], [-1.0, -0.5, 0.0]])
TURNS = 0.7 * np.linalg.qr(RNG.standard_normal((2, 3, 3)))[0]
PUSHES = RNG.standard_normal((2, 3, 2))
BASIN = np.array([1.0, 0.5, 0.0])  # where h · BASIN > 0 the first well pulls; nearest well and basin are the same


def basin(h):
    return (h @ BASIN < 0).astype(int)


def two_wells(h, u):
    which = basin(h)
    return (
        WELLS[which]
        + np.einsum("...ij,...j->...i", TURNS[which], h - WELLS[which])
        + np.einsum("...ij,...j->...i", PUSHES[which], u)
    )


MAP = rs.FunctionMap(
    two_wells,
    jacobian=lambda h, u: TURNS[basin(h)],
    input_jacobian=lambda h, u: PUSHES[basin(h)],
    state_size=3,
    input_size=2,
)
POINTS = KnownPoints(points=WELLS, n_unstable=np.array([0, 0]), inputs=np.zeros((2, 2)))


def pulses(n_trials=40, steps=60, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_trials, steps, 2)) * (rng.random((n_trials, steps, 1)) < 0.3)


@pytest.mark.parametrize("by", ["prediction", "distance"])
def test_a_piecewise_linear_map_is_explained_fully(by):
    found = switching_linear(MAP, fixed_points=POINTS, inputs=pulses(), by=by)
    for name in ("r2", "r2_change", "r2_multi_step"):
        assert getattr(found, name) == pytest.approx(1, abs=1e-12), name
    np.testing.assert_allclose(found.points.r2_change, 1)
    np.testing.assert_allclose(found.points.r2_multi_step, 1)
    states = rs.simulate(MAP, pulses()).states
    before = np.concatenate([np.zeros((40, 1, 3)), states[:, :-1]], 1)
    np.testing.assert_array_equal(found.assigned, basin(before), err_msg="each step to the well that pulled")
    assert found.one_map.r2 < 0.95
    assert found.one_map.r2_change < 0.95
    assert found.one_map.r2_multi_step < found.one_map.r2 < found.r2


def test_segments_dwell_times_and_transitions_are_those_of_the_assignment():
    found = switching_linear(MAP, fixed_points=POINTS, inputs=pulses())
    lengths, owners, moves = [], [], np.zeros((2, 2), int)
    for row in found.assigned:
        cuts = np.flatnonzero(np.diff(row)) + 1
        pieces = np.split(row, cuts)
        lengths += [len(piece) for piece in pieces]
        owners += [piece[0] for piece in pieces]
        for a, b in pairwise(pieces):
            moves[a[0], b[0]] += 1
    np.testing.assert_array_equal(found.segments.length, lengths)
    np.testing.assert_array_equal(found.segments.point, owners)
    np.testing.assert_array_equal(found.points.transitions, moves)
    np.testing.assert_allclose(found.points.dwell, [np.mean(np.array(lengths)[np.array(owners) == k]) for k in (0, 1)])
    np.testing.assert_allclose(found.points.occupancy, [(found.assigned == k).mean() for k in (0, 1)])
    assert found.points.occupancy.sum() == pytest.approx(1)


def test_a_linear_map_is_explained_by_one_point_and_by_the_baseline():
    matrix, pushes = TURNS[0], PUSHES[0]
    linear = rs.FunctionMap(lambda h, u: h @ matrix.T + u @ pushes.T, state_size=3, input_size=2)
    origin = KnownPoints(points=np.zeros((1, 3)), n_unstable=np.array([0]))
    found = switching_linear(linear, fixed_points=origin, inputs=pulses())
    assert found.r2_multi_step == pytest.approx(1, abs=1e-8)
    assert found.one_map.r2_multi_step == pytest.approx(1, abs=1e-8)
    assert found.segments.length.tolist() == [60] * 40


def test_the_baseline_predicts_trials_that_it_was_not_fitted_to():
    """Eight steps, and eleven numbers for each unit: fitted to the steps that it predicts, it would be exact."""
    weights = np.random.default_rng(0).standard_normal((10, 10))
    squash = rs.FunctionMap(
        lambda h: np.tanh(h @ weights.T), state_size=10, initial=lambda n, rng: rng.standard_normal((n, 10))
    )
    origin = KnownPoints(points=np.zeros((1, 10)), n_unstable=np.array([1]))
    assert switching_linear(squash, fixed_points=origin, inputs=np.zeros((2, 4, 0))).one_map.r2 < 0.9


def test_a_single_trial_is_predicted_by_what_was_fitted_to_its_other_half():
    """Least squares by hand on each half; over segments too every step is predicted by the other half's map."""
    inputs = pulses(1, 40)
    found = switching_linear(MAP, fixed_points=POINTS, inputs=inputs)
    after = rs.simulate(MAP, inputs).states[0]
    before = np.concatenate([np.zeros((1, 3)), after[:-1]])
    rows = np.concatenate([before, inputs[0], np.ones((40, 1))], 1)
    wrong, maps = [], []
    for own, others in ((slice(0, 20), slice(20, 40)), (slice(20, 40), slice(0, 20))):
        maps.append(np.linalg.lstsq(rows[others], after[others], rcond=None)[0])
        wrong.append(((rows[own] @ maps[-1] - after[own]) ** 2).sum())
    spread = ((after - after.mean(0)) ** 2).sum()
    assert found.one_map.r2 == pytest.approx(1 - sum(wrong) / spread)
    state, errors, owner = before[0], 0.0, found.assigned[0]
    for t in range(40):
        state = before[t] if t and owner[t] != owner[t - 1] else state
        state = np.concatenate([state, inputs[0, t], [1.0]]) @ maps[t >= 20]
        errors += ((state - after[t]) ** 2).sum()
    assert found.one_map.r2_multi_step == pytest.approx(1 - errors / spread)


def test_the_nearest_point_is_the_default_and_the_best_is_reported_beside_it():
    """Points that are no fixed points predict well when each step may choose among many, and not when the nearest
    must serve."""
    rng = np.random.default_rng(0)
    weights = 1.5 * rng.standard_normal((4, 4)) / 2
    squash = rs.FunctionMap(
        lambda h: np.tanh(h @ weights.T), state_size=4, initial=lambda n, rng: rng.standard_normal((n, 4))
    )
    anywhere = KnownPoints(points=rng.uniform(-1, 1, (100, 4)), n_unstable=np.zeros(100, int))
    near, best = (
        switching_linear(squash, fixed_points=anywhere, inputs=np.zeros((20, 10, 0)), **given)
        for given in ({}, {"by": "prediction"})
    )
    states = rs.simulate(squash, np.zeros((20, 10, 0)))
    before = np.concatenate([states.initial[:, None], states.states[:, :-1]], 1)
    far = np.linalg.norm(before[:, :, None] - anywhere.points, axis=3)
    np.testing.assert_array_equal(near.assigned, far.argmin(2))
    assert near.best.r2_change == pytest.approx(best.r2_change)
    assert near.best.r2 == pytest.approx(best.r2)
    assert 1 - best.r2_change < (1 - near.r2_change) / 3, "a choice among a hundred flatters"
    assert "steps to the nearest" in near.summary()
    assert f"the best point of each step {near.best.r2_change:.3f}" in near.summary()
    assert "chosen after the fact" in best.summary()


def test_the_search_finds_all_fixed_points_of_a_map_that_is_no_run():
    """Three flip-flops side by side, h' = tanh(2 h + u): 3 x 3 x 3 fixed points, of which trials visit the stable 8."""
    bits = rs.FunctionMap(
        lambda h, u: np.tanh(2 * h + u),
        jacobian=lambda h, u: 2 * (1 - np.tanh(2 * h + u) ** 2)[..., None] * np.eye(3),
        state_size=3,
        input_size=3,
        domain=(-1, 1),
    )
    kicks = 4.0 * np.random.default_rng(0).choice([-1, 0, 0, 0, 1], (16, 30, 3))
    found = switching_linear(bits, inputs=kicks)
    assert len(found.points.states) == 27
    assert np.bincount(found.points.n_unstable).tolist() == [8, 12, 6, 1]


def test_every_point_has_its_own_input():
    """Around h at input u the map is linear, at another input it is another one: the offset tells the two apart."""
    gated = rs.FunctionMap(lambda h, u: 0.5 * h + u**2, state_size=1, input_size=1)
    inputs = np.random.default_rng(0).choice([-1.0, 2.0], (10, 30, 1))
    points = KnownPoints(points=np.array([[2.0], [8.0]]), n_unstable=np.array([0, 0]), inputs=np.array([[-1.0], [2.0]]))
    found = switching_linear(gated, fixed_points=points, inputs=inputs, by="prediction")
    assert found.r2 == pytest.approx(1)
    np.testing.assert_array_equal(found.assigned, inputs[..., 0] > 0)
    one = KnownPoints(points=np.array([[2.0], [8.0]]), n_unstable=np.array([0, 0]), inputs=np.full((2, 1), -1.0))
    assert switching_linear(gated, fixed_points=one, inputs=inputs, by="prediction").r2 < 0.99


def test_multi_step_errors_add_up_as_they_should():
    """A linear map with a wrong offset: the prediction is off by c (1 - a^k) / (1 - a) after k steps."""
    a, c = 0.8, 0.3
    shifted = rs.FunctionMap(
        lambda h: a * h + c * (np.abs(h) > 0.5), state_size=1, initial=lambda n, rng: np.full((n, 1), 3.0)
    )
    origin = KnownPoints(points=np.zeros((1, 1)), n_unstable=np.array([0]))
    found = switching_linear(shifted, fixed_points=origin, inputs=np.zeros((1, 12, 0)))
    states = np.array([a**k * 3 + c * (1 - a**k) / (1 - a) for k in range(1, 13)])
    wrong = np.array([c * (1 - a**k) / (1 - a) for k in range(1, 13)])
    spread = ((states - states.mean()) ** 2).sum()
    assert found.r2_multi_step == pytest.approx(1 - (wrong**2).sum() / spread)
    assert found.r2 == pytest.approx(1 - 12 * c**2 / spread)


def test_an_unstable_map_followed_for_long_is_wrong_but_not_unknown():
    bound = rs.FunctionMap(
        lambda h: np.clip(1e3 * h, -1, 1), state_size=1, initial=lambda n, rng: rng.standard_normal((n, 1))
    )
    origin = KnownPoints(points=np.zeros((1, 1)), n_unstable=np.array([1]))
    found = switching_linear(bound, fixed_points=origin, inputs=np.zeros((4, 400, 0)))
    assert found.r2_multi_step < -1e100
    assert np.isfinite(found.r2_multi_step)
    assert found.figure().data


def test_fixed_points_are_searched_for_where_none_are_given(tmp_path):
    found = switching_linear(MAP, inputs=pulses())
    assert found.r2 > 0.999
    result_files.save_result(found, tmp_path / "s.zarr")
    again = result_files.load_result(SwitchingLinear, tmp_path / "s.zarr")
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(again.points.transitions, found.points.transitions)
    assert again.figure().layout.title.text
    drift = rs.FunctionMap(lambda h, u: h + 1, state_size=1, input_size=1, domain=(-10, 10))
    with pytest.raises(NotApplicable, match="no fixed points"):
        switching_linear(drift, inputs=np.zeros((2, 5, 1)))


def test_points_at_a_kink_are_told_apart():
    """Half of a rectifier's states are taken to 0, where the slope is 0 on one side and 1/2 on the other."""
    half = rs.FunctionMap(lambda h, u: np.maximum(h, 0) / 2 + u, state_size=1, input_size=1)
    known = KnownPoints(points=np.array([[0.0], [2.0]]), n_unstable=np.array([0, 0]), smooth=np.array([False, True]))
    found = switching_linear(half, fixed_points=known, inputs=np.random.default_rng(0).random((4, 9, 1)))
    assert found.points.n_unstable.tolist() == [-1, 0]


def test_padding_is_left_out():
    trials = rs.tasks.Parity(2).sample(20, np.random.default_rng(0))
    lag = rs.FunctionMap(lambda h, u: 0.5 * h + u, state_size=1, input_size=1)
    origin = KnownPoints(points=np.zeros((1, 1)), n_unstable=np.array([0]))
    found = switching_linear(lag, fixed_points=origin, inputs=trials)
    np.testing.assert_array_equal(found.assigned == -1, ~found.valid)
    np.testing.assert_array_equal(found.segments.length, trials.info["length"])


def test_what_does_not_fit_is_refused():
    wrong = KnownPoints(points=WELLS[:, :2], n_unstable=np.array([0, 0]))
    with pytest.raises(ValueError, match="give what find_fixed_points returned"):
        switching_linear(MAP, fixed_points=wrong, inputs=pulses())
    several = KnownPoints(points=WELLS, n_unstable=np.array([0, 0]), inputs=np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"shape \(2, 2\), one a point, got \(2, 3\)"):
        switching_linear(MAP, fixed_points=several, inputs=pulses())
    with pytest.raises(TypeError, match="fixed_points must be a FixedPoints or a KnownPoints or None, got array"):
        switching_linear(MAP, fixed_points=WELLS, inputs=pulses())
    with pytest.raises(ValueError, match="by must be 'distance' or 'prediction', got 'chance'"):
        switching_linear(MAP, fixed_points=POINTS, inputs=pulses(), by="chance")
    with pytest.raises(NotApplicable, match="does not move"):
        switching_linear(
            rs.FunctionMap(lambda h, u: h, state_size=3, input_size=2), fixed_points=POINTS, inputs=pulses()
        )
    with pytest.raises(ValueError, match="at least two steps"):
        switching_linear(MAP, fixed_points=POINTS, inputs=np.zeros((1, 1, 2)))
