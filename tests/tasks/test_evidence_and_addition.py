"""Answers recomputed from the inputs alone, and metrics on answers that are right and wrong by construction."""

import numpy as np
import pytest

from rnnscope.tasks import DelayedAddition, EvidenceAccumulation


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_answer_is_the_sign_of_what_was_shown():
    """Counted from the inputs; never a tie, though a third of short trials would have one; both signs as often."""
    trials = EvidenceAccumulation(stimulus_steps=(2, 4), delay_steps=(0, 3)).sample(4000, rng())
    total = trials.inputs[..., 0].sum(1)
    assert (total != 0).all()
    np.testing.assert_array_equal(trials.info["evidence"], total)
    go = trials.inputs[..., 1] == 1
    np.testing.assert_array_equal(trials.targets[..., 0], np.where(go, np.sign(total)[:, None], 0))
    assert go.sum(1).tolist() == [5] * 4000
    assert (np.argmax(go, 1) == trials.info["stimulus"] + trials.info["delay"]).all()
    assert abs((total > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
    later = np.arange(trials.inputs.shape[1]) >= trials.info["stimulus"][:, None]
    assert not trials.inputs[..., 0][later].any(), "there are pulses after the stimulus"


def test_the_answer_is_the_sum_of_two_numbers():
    trials = DelayedAddition(first_delay=(0, 4), second_delay=2).sample(2000, rng())
    shown = trials.inputs[..., 0]
    assert (np.count_nonzero(shown, axis=1) <= 2).all()
    np.testing.assert_allclose(trials.info["sum"], shown.sum(1), atol=1e-6)
    go = trials.inputs[..., 1] == 1
    np.testing.assert_allclose(trials.targets[..., 0], np.where(go, shown.sum(1)[:, None], 0), atol=1e-6)
    assert set(trials.info["second_onset"]) == {1, 2, 3, 4, 5}
    np.testing.assert_array_equal(np.argmax(go, 1), trials.info["second_onset"] + 3)
    assert abs(trials.info["sum"].var() - 2 / 3) < 0.06


@pytest.mark.parametrize("task", [EvidenceAccumulation(), DelayedAddition()])
def test_a_trial_is_right_only_if_all_its_answers_are(task):
    """Right answers give 1; one wrong step in the response of a quarter of the trials costs just these; what is said
    before the cue counts for the error alone."""
    trials = task.sample(400, rng())
    answers = trials.targets.astype(float)
    assert task.metrics(answers, trials, rng()) == {"mse": 0.0, "trials_right": 1.0}
    spoilt = answers.copy()
    spoilt[np.arange(100), trials.info["go_onset"][:100] + 3] *= -3
    wrong = np.abs(trials.targets[np.arange(100), trials.info["go_onset"][:100] + 3, 0]) * 4 > 0.2
    assert task.metrics(spoilt, trials, rng())["trials_right"] == pytest.approx(1 - wrong.sum() / 400)
    early = answers.copy()
    early[:, 0] = 0.7
    found = task.metrics(early, trials, rng())
    assert found["trials_right"] == 1.0
    assert found["mse"] == pytest.approx(0.49 * 400 / trials.mask.sum())


def test_a_number_fixes_a_length_and_a_range_must_not_end_before_it_begins():
    assert EvidenceAccumulation(stimulus_steps=7).stimulus_steps == (7, 7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"stimulus_steps = \(9, 3\) ends before it begins"):
        EvidenceAccumulation(stimulus_steps=(9, 3))
    with pytest.raises(ValueError, match="the least of stimulus_steps must be at least 1, got 0"):
        EvidenceAccumulation(stimulus_steps=(0, 3))
    with pytest.raises(ValueError, match="lets no answer be right"):
        DelayedAddition(tolerance=0.0)
