"""Trials by label on one time axis, and what is refused."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import tasks
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.state_space.labelled import averages_of, labelled_states

SHOW = rs.FunctionMap(lambda h, u: u, state_size=2, input_size=2)
INPUTS = np.random.default_rng(0).standard_normal((6, 5, 2))
SIDES = {"side": ["left", "right"] * 3, "level": [1.5, 1.5, 2.0, 2.0, 2.0, 2.0]}


def test_conditions_are_the_combinations_that_occur():
    shown = labelled_states(rs.as_subject(SHOW), inputs=INPUTS, trial_labels=SIDES)
    assert shown.names == ("side", "level")
    assert shown.levels == (("left", "right"), ("1.5", "2"))
    assert shown.align == "start"
    found = averages_of(shown)
    assert found.conditions.titles == (
        "side left, level 1.5",
        "side left, level 2",
        "side right, level 1.5",
        "side right, level 2",
    )
    assert found.conditions.n_trials.tolist() == [1, 2, 1, 2]
    np.testing.assert_allclose(found.states[1], INPUTS[[2, 4]].mean(0))
    assert found.of_trial.tolist() == [0, 2, 1, 3, 1, 3]
    assert (
        len(averages_of(labelled_states(rs.as_subject(SHOW), inputs=INPUTS, labels="trial")).conditions.n_trials) == 6
    )


def test_trials_of_several_lengths_are_aligned_to_events():
    """Every input is made to show its own step, so that states say which steps were kept."""
    task = tasks.DelayedMatchEpochs()
    trials = task.sample(40, np.random.default_rng(0))
    clock = np.arange(trials.inputs.shape[1], dtype=np.float32)
    inputs = np.broadcast_to(clock[:, None], (*trials.inputs.shape[:2], 2)).copy()
    clocked = tasks.Trials(inputs, trials.targets, trials.mask, trials.info)
    onset, length = trials.info["test_onset"], trials.info["length"]
    for align, event in (("test_onset", onset), ("end", length), (None, length), ("start", np.zeros(40, int))):
        shown = labelled_states(rs.as_subject(SHOW), inputs=clocked, labels=["sample", "match"], align=align)
        np.testing.assert_array_equal(shown.states[..., 0], event[:, None] + shown.time)
        assert shown.time[0] == -event.min(), "the largest window that all trials have"
        assert shown.time[-1] + 1 == (length - event).min()
    shown = labelled_states(rs.as_subject(SHOW), inputs=clocked, labels="match", align="test_onset", window=(-3, 2))
    assert shown.time.tolist() == [-3, -2, -1, 0, 1]
    target = labelled_states(rs.as_subject(SHOW), inputs=clocked)
    assert target.names == ("target",)
    np.testing.assert_array_equal(target.labels[:, 0] == 0, trials.info["match"], err_msg="class 1 of 1, 2 is a match")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "the trials have no labels: name labels= of the task, or give trial_labels="),
        ({"labels": "side"}, "no label 'side'; there are 'trial'"),
        ({"trial_labels": {"side": [0, 1]}}, r"trial_labels\['side'\] must have one value for each of the 6 trials"),
        ({"trial_labels": {"side": np.zeros((6, 1))}}, r"got shape \(6, 1\)"),
        ({"trial_labels": {"side": [0, 1, 0, 1, 0, np.nan]}}, "must be finite"),
        ({"trial_labels": SIDES, "labels": ["side", "size"]}, "no label 'size'; there are 'side', 'level', 'trial'"),
        ({"trial_labels": SIDES, "labels": ["side", "side"]}, "names one twice"),
        ({"trial_labels": SIDES, "align": "go"}, "no event 'go'; there are 'start', 'end'"),
        ({"trial_labels": SIDES, "window": (0, 9)}, r"window = \(0, 9\) must lie in \(0, 5\)"),
        ({"trial_labels": SIDES, "window": (3, 3)}, "end after it begins"),
        ({"trial_labels": SIDES, "window": (3, 4)}, "1 steps in common"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        labelled_states(rs.as_subject(SHOW), inputs=INPUTS, **given)


def test_one_condition_is_too_few():
    shown = labelled_states(rs.as_subject(SHOW), inputs=INPUTS, trial_labels={"side": [1] * 6})
    with pytest.raises(NotApplicable, match="2 conditions are needed, and side makes 1 of 6 trials"):
        averages_of(shown)


def test_nothing_to_show_and_states_that_diverge():
    with pytest.raises(NotApplicable, match="give inputs="):
        labelled_states(rs.as_subject(SHOW), labels="trial")
    explosive = rs.FunctionMap(lambda h, u: 1e200 * (h + 1), state_size=2, input_size=2)
    with np.errstate(over="ignore"), pytest.raises(NotApplicable, match="not finite at step 1"):
        labelled_states(rs.as_subject(explosive), inputs=INPUTS, labels="trial")
