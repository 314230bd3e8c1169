"""Variance by label of data made of parts that are known, and the regression against its definition."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.state_space import DemixedStates, demix_states
from rnnscope.records import result_files

SIZE, STEPS = 8, 20
SHOW = rs.FunctionMap(lambda h, u: u, state_size=SIZE, input_size=SIZE)
S, D = 3, 2  # levels of the two labels


def parts(seed=0):
    """(sets of labels, each part on the grid (s, d, time, unit)), along directions that are not orthogonal."""
    rng = np.random.default_rng(seed)
    time = rng.standard_normal((1, 1, STEPS))
    stimulus = rng.standard_normal((S, 1, STEPS))
    choice = 0.5 * rng.standard_normal((1, D, STEPS))
    both = 0.3 * rng.standard_normal((S, D, STEPS))
    stimulus -= stimulus.mean(0)
    choice -= choice.mean(1, keepdims=True)
    both = both - both.mean(0) - both.mean(1, keepdims=True) + both.mean((0, 1))
    directions = rng.standard_normal((4, SIZE))
    kinds = (time - time.mean(), stimulus, choice, both)
    return [np.broadcast_to(k, (S, D, STEPS))[..., None] * d for k, d in zip(kinds, directions, strict=True)]


def trials(n_each, noise, seed=0, slow=False):
    rng = np.random.default_rng([seed, 1])
    clean = sum(parts(seed)) + 3.0
    s, d = (x.ravel() for x in np.meshgrid(np.arange(S), np.arange(D), indexing="ij"))
    s, d = np.repeat(s, n_each), np.repeat(d, n_each)
    disturbed = rng.standard_normal((len(s), 1 if slow else STEPS, SIZE))
    return clean[s, d] + noise * disturbed, {"stimulus": s, "choice": d}


def test_variance_of_every_part_is_the_one_that_was_put_in():
    inputs, labels = trials(1, 0.0)
    found = demix_states(SHOW, inputs=inputs, trial_labels=labels)
    assert found.parts == ("time", "stimulus", "choice", "stimulus × choice")
    wanted = [(part**2).sum(-1).mean() for part in parts()]
    np.testing.assert_allclose(found.variance, wanted)
    total = (inputs - inputs.mean((0, 1))).var((0, 1)).sum()
    assert found.variance.sum() == pytest.approx(total), "the parts add up"
    assert found.variance_ratio.sum() == pytest.approx(1)
    assert found.signal_variance is None, "one trial a condition says nothing of noise"
    assert found.noise_variance is None
    np.testing.assert_allclose(found.components.mean, inputs.mean((0, 1)))


def test_without_noise_each_decoder_reads_its_own_part_alone():
    inputs, labels = trials(1, 0.0)
    found = demix_states(SHOW, inputs=inputs, trial_labels=labels, n_components=1, regularisation=0.0)
    demixed = found.components
    np.testing.assert_allclose(demixed.demixing_index, 1, atol=1e-9)
    np.testing.assert_allclose(demixed.share.sum(1), 1)
    assert demixed.explained_together == pytest.approx(1)
    np.testing.assert_allclose(demixed.explained, found.variance_ratio, err_msg="each rebuilds its part, and no other")
    assert demixed.read(inputs).shape == (*inputs.shape[:2], 4)
    np.testing.assert_allclose(
        demixed.projections[0].std(0), 0, atol=1e-9, err_msg="time is the same in all conditions"
    )


@pytest.mark.parametrize("slow", [False, True])
def test_noise_that_averages_keep_is_taken_off(slow):
    """The mean over data sets of the signal's variance is right; that of the averages is not. Noise that is the same
    at all steps of a trial never looks like time."""
    wanted = np.array([(part**2).sum(-1).mean() for part in parts()])
    raw, signal = [], []
    for seed in range(60):
        rng = np.random.default_rng([seed, 2])
        clean, labels = trials(6, 0.0)
        noise = 1.5 * rng.standard_normal((len(clean), 1 if slow else STEPS, SIZE))
        found = demix_states(SHOW, inputs=clean + noise, trial_labels=labels)
        raw.append(found.variance)
        signal.append(found.signal_variance)
        assert found.noise_variance == pytest.approx(1.5**2 * SIZE, rel=0.35)
    error = np.std(signal, 0) / np.sqrt(60)
    assert (np.abs(np.mean(signal, 0) - wanted) < 4 * error + 0.02).all(), (np.mean(signal, 0), wanted, error)
    leaked = np.mean(raw, 0) - wanted
    freedom = np.array([0 if slow else (1 - 1 / STEPS), S - 1, D - 1, (S - 1) * (D - 1)]) / (S * D)
    np.testing.assert_allclose(leaked, 1.5**2 * SIZE / 6 * freedom, atol=0.08)


def test_decoders_solve_the_reduced_rank_regression_of_single_trials():
    """|X_p - F D X|^2 + μ |F D|^2 over all trials, by the textbook: least squares, then the SVD of what it fits."""
    inputs, labels = trials(5, 0.8)
    strength = 1e-3
    found = demix_states(SHOW, inputs=inputs, trial_labels=labels, n_components=2, regularisation=strength)
    centred = (inputs - inputs.mean((0, 1))).reshape(-1, SIZE).T
    ridge = np.sqrt(strength * (centred**2).sum()) * np.eye(SIZE)
    grid = inputs.reshape(S, D, 5, STEPS, SIZE).mean(2)
    grid = grid - grid.mean((0, 1, 2))
    time = grid.mean((0, 1), keepdims=True)
    stimulus = grid.mean(1, keepdims=True) - time
    choice = grid.mean(0, keepdims=True) - time
    for index, part in enumerate((time, stimulus, choice, grid - time - stimulus - choice)):
        target = np.broadcast_to(part[:, :, None], (S, D, 5, STEPS, SIZE)).reshape(-1, SIZE).T
        x, y = np.hstack([centred, ridge]), np.hstack([target, np.zeros((SIZE, SIZE))])
        full = np.linalg.lstsq(x.T, y.T, rcond=None)[0].T
        u = np.linalg.svd(full @ x)[0][:, :2]
        own = found.components.of_part == index
        np.testing.assert_allclose(
            found.components.encoders[own].T @ found.components.decoders[own], u @ u.T @ full, atol=1e-10
        )
        np.testing.assert_allclose(
            found.components.encoders[own] @ found.components.encoders[own].T, np.eye(2), atol=1e-12
        )


def test_it_survives_saving_and_draws(tmp_path):
    inputs, labels = trials(4, 0.5)
    found = demix_states(SHOW, inputs=inputs, trial_labels=labels)
    result_files.save_result(found, tmp_path / "d.zarr")
    again = result_files.load_result(DemixedStates, tmp_path / "d.zarr")
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(again.components.decoders, found.components.decoders)
    bars = {trace.name: trace for trace in again.figure().data if trace.type == "bar"}
    both = np.add(bars["signal"].y, bars["noise left in averages"].y)
    np.testing.assert_allclose(both, 100 * found.variance_ratio)
    third = {**labels, "half": np.arange(len(inputs)) % 2}
    many = demix_states(SHOW, inputs=inputs, trial_labels=third)
    assert len(many.parts) == 8
    assert many.figure().data


def test_it_works_on_a_single_trial_each_saved(tmp_path):
    inputs, labels = trials(1, 0.0)
    found = demix_states(SHOW, inputs=inputs, trial_labels=labels)
    result_files.save_result(found, tmp_path / "d.zarr")
    again = result_files.load_result(DemixedStates, tmp_path / "d.zarr")
    assert again.signal_variance is None
    assert "noise is not known" in again.summary()
    assert again.figure().data


def test_what_does_not_fit_is_refused():
    inputs, labels = trials(1, 0.0)
    with pytest.raises(
        ValueError, match="1 of 6 combinations of stimulus, choice have no trial, such as stimulus 2, choice 1"
    ):
        demix_states(SHOW, inputs=inputs[:-1], trial_labels={k: v[:-1] for k, v in labels.items()})
    with pytest.raises(NotApplicable, match="choice has one level"):
        demix_states(SHOW, inputs=inputs, trial_labels={**labels, "choice": np.zeros(6)})
    with pytest.raises(ValueError, match="at most 4 labels"):
        demix_states(SHOW, inputs=inputs, trial_labels={f"l{k}": np.arange(6) % 2 for k in range(5)})
    with pytest.raises(NotApplicable, match="do not move and do not differ"):
        demix_states(SHOW, inputs=np.ones_like(inputs), trial_labels=labels)
    with pytest.raises(ValueError, match="n_components"):
        demix_states(SHOW, inputs=inputs, trial_labels=labels, n_components=0)
    with pytest.raises(ValueError, match="regularisation"):
        demix_states(SHOW, inputs=inputs, trial_labels=labels, regularisation=-1.0)
