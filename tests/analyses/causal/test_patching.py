"""Patches on maps where it is known which unit holds what when."""

import numpy as np
import pytest
import torch
from torch import nn

import rnnscope as rs
from rnnscope import analyses, cells

RNG = np.random.default_rng(0)


def register(n: int) -> rs.FunctionMap:
    """A shift register: unit k holds the input of k steps ago; the last is read out."""

    def step(h: np.ndarray, u: np.ndarray) -> np.ndarray:
        return np.concatenate([u, h[..., :-1]], -1)

    return rs.FunctionMap(step, state_size=n, input_size=1, readout=lambda h: h[..., -1:], readout_size=1)


def test_a_shift_register_holds_what_is_read_in_one_unit_after_another():
    shown = RNG.standard_normal((20, 8, 1))
    found = analyses.patch_states(register(5), inputs=shown, n_pairs=12, n_times=8)
    expected = np.zeros((8, 5))
    for t in range(3, 8):  # what is read at step 7 came in at step 3 and is in unit t - 3 at step t
        expected[t, t - 3] = 1
    assert found.times.tolist() == list(range(8))
    np.testing.assert_allclose(found.effect, expected, atol=1e-12)
    np.testing.assert_allclose(found.whole, expected.sum(1), atol=1e-12)
    np.testing.assert_allclose(found.error, 0, atol=1e-12)
    assert (found.pairs[:, 0] != found.pairs[:, 1]).all()


def test_the_state_of_a_later_step():
    """With a lag of 2 the source's unit k holds, at step t + 2, what came in at t + 2 - k."""
    shown = np.broadcast_to(RNG.standard_normal((20, 1, 1)), (20, 8, 1)).copy()
    found = analyses.patch_states(register(3), inputs=shown, n_pairs=12, n_times=6, lag=2)
    assert found.times.max() == 5
    # Every input of a trial is the same, so that only the trial and the unit count: read at step 7 is unit 7 - t of t.
    expected = np.zeros((6, 3))
    expected[5, 0] = 1
    np.testing.assert_allclose(found.effect, expected, atol=1e-12)


def test_back_patching_moves_an_integrator_by_what_comes_later():
    integrator = rs.FunctionMap(lambda h, u: h + u, state_size=1, input_size=1)
    shown = RNG.standard_normal((30, 6, 1))
    found = analyses.patch_states(
        integrator, inputs=shown, n_pairs=30, n_times=6, source="the same trial", lag=1, seed=1
    )
    final = shown.sum(1)[:, 0]
    for row, t in enumerate(found.times):
        moved = np.abs(shown[:, t + 1, 0])
        assert found.effect[row, 0] == pytest.approx(moved.mean() / np.sqrt(2 * final.var()), rel=1e-9)
    assert "given their own state 1 steps on" in found.summary()


def test_components_together_are_the_whole_state():
    """An integrator's components: their effects add up to that of the whole state."""
    integrator = rs.FunctionMap(lambda h, u: 0.9 * h + u, state_size=3, input_size=3)
    shown = RNG.standard_normal((30, 6, 3))
    found = analyses.patch_states(integrator, inputs=shown, of="components", n_components=3, n_pairs=20, n_times=6)
    assert found.places == ("PC1", "PC2", "PC3")
    np.testing.assert_allclose(found.effect.sum(1), found.whole, atol=1e-10)
    np.testing.assert_allclose(found.whole[-1], 1, atol=1e-12)


@pytest.mark.parametrize("system", ["lstm", "stack", "vanilla"])
def test_a_patch_is_the_intervention_of_that_name(system: str):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = {"lstm": nn.LSTM(2, 3), "stack": nn.GRU(2, 3, 2), "vanilla": nn.RNN(2, 4)}[system]
    subject = rs.as_subject(module)
    shown = RNG.standard_normal((12, 7, 2))
    found = analyses.patch_states(subject, inputs=shown, n_pairs=3, n_times=3)
    intact = rs.simulate(subject, shown).states
    for row, t in enumerate(found.times):
        effects = []
        for base, source in found.pairs:
            whole = rs.simulate(
                subject.map, shown[[base]][:, t + 1 :], initial=intact[[source], t]
            ).states[:, -1] if t < 6 else intact[[source], t]  # fmt: skip
            away, toward = whole[0] - intact[base, -1], intact[source, -1] - intact[base, -1]
            effects.append(away @ toward / (toward @ toward))
        assert found.whole[row] == pytest.approx(np.mean(effects), rel=1e-8)


def test_trials_of_unlike_lengths_are_compared_with_their_like(tmp_path):
    run = rs.train(rs.tasks.Parity(n=2), cells.GRU(4), rs.Training(steps=1), folder=tmp_path, progress=False)
    found = analyses.patch_states(run, n_trials=64, n_pairs=8)
    assert len(set(found.read_at.tolist())) == 1
    assert found.whole[-1] == pytest.approx(1, abs=1e-9)


def test_mistakes_and_what_has_no_answer():
    shown = RNG.standard_normal((6, 5, 1))
    with pytest.raises(ValueError, match="read_at must be a step of 0 to 4, got 5"):
        analyses.patch_states(register(3), inputs=shown, read_at=5)
    with pytest.raises(ValueError, match="lag must be less than the 5 steps"):
        analyses.patch_states(register(3), inputs=shown, lag=5)
    with pytest.raises(ValueError, match="of the same trial at least 1, got 0"):
        analyses.patch_states(register(3), inputs=shown, source="the same trial")
    with pytest.raises(rs.NotApplicable, match="end with the same output"):
        analyses.patch_states(register(3), inputs=np.zeros((6, 5, 1)))


def test_trials_that_are_over_before_they_are_read_are_left_out(tmp_path):
    run = rs.train(rs.tasks.Parity(n=[2, 3]), cells.GRU(4), rs.Training(steps=1), folder=tmp_path, progress=False)
    trials = run.task.sample(64, np.random.default_rng(0))
    length = np.asarray(trials.info["length"])
    at = int(np.median(length))
    found = analyses.patch_states(run, inputs=trials, read_at=at, n_pairs=8, n_times=3)
    assert (length[found.pairs] > at).all(), "a trial is read in its padding"
    with pytest.raises(rs.NotApplicable, match="there is nothing to measure a patch by"):
        analyses.patch_states(register(3), inputs=np.ones((6, 5, 1)), source="the same trial", lag=1)
