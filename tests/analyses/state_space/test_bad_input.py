"""What does not fit is refused with what was wrong and what would be right, by every verb that looks at states."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import analyses

LAG = rs.FunctionMap(lambda h, u: 0.5 * h + u, state_size=3, input_size=3)
INPUTS = np.random.default_rng(0).standard_normal((8, 20, 3))
LABELS = {"side": [0, 1] * 4}
STATES = ("project_states", "compare_subspaces", "linearise_along", "switching_linear")
LABELLED = ("condition_trajectories", "demix_states", "find_rotations")


@pytest.mark.parametrize("verb", [*STATES, *LABELLED])
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("ab", r"inputs must be numbers of shape \(trial, time, input\).*, got 'ab'"),
        (np.zeros((8, 20)), r"inputs must have shape \(trial, time, 3\), got \(8, 20\)"),
        (np.zeros((0, 20, 3)), r"at least one trial and one step, got shape \(0, 20, 3\)"),
        (np.zeros((8, 0, 3)), r"at least one trial and one step, got shape \(8, 0, 3\)"),
        (np.where(np.arange(20)[:, None] == 4, np.nan, INPUTS), "inputs must be finite.*in trial 0 at step 4"),
    ],
)
def test_inputs(verb, inputs, message):
    given = {"trial_labels": LABELS} if verb in LABELLED else {}
    with pytest.raises(TypeError if isinstance(inputs, str) else ValueError, match=message):
        getattr(analyses, verb)(LAG, inputs=inputs, **given)


@pytest.mark.parametrize("verb", LABELLED)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trial_labels": [0, 1] * 4}, r"trial_labels must be a table, name -> an array or None, got \[0, 1"),
        ({"trial_labels": {"side": [None, 1] * 4}}, r"trial_labels\['side'\] must be numbers or words"),
        ({"window": 5}, "window must be a list of 2 times a whole number or None, got 5"),
        ({"window": (1.5, 4)}, "window must be a list of 2 times a whole number"),
        ({"n_components": 2.5}, "n_components must be a whole number"),
    ],
)
def test_labels_and_windows(verb, given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(analyses, verb)(LAG, inputs=INPUTS, **{"trial_labels": LABELS, **given})


@pytest.mark.parametrize(
    ("verb", "given", "message"),
    [
        ("project_states", {"n_components": 2.5}, "n_components must be a whole number"),
        ("compare_subspaces", {"n_components": 2.5}, "n_components must be a whole number"),
        ("compare_subspaces", {"epochs": {"a": 5}}, "epochs must be a table, name -> a list of 2 .*, got {'a': 5}"),
        ("compare_subspaces", {"epochs": {"a": (1.5, 9)}}, "epochs must be a table, name -> a list of 2"),
        ("compare_subspaces", {"epochs": {"a": (-10, 9)}}, "'a' names step -10, and the trials have steps 0 to 20"),
        ("compare_subspaces", {"epochs": {"a": (1, 100)}}, "'a' names step 100, and the trials have steps 0 to 20"),
        ("linearise_along", {"n_eigenvalues": 1.5}, "n_eigenvalues must be a whole number"),
    ],
)
def test_settings(verb, given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(analyses, verb)(LAG, inputs=INPUTS, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"extent": (0, 1, 0)}, r"extent must be a list of 4 times a number or None, got \(0, 1, 0\)"),
        ({"extent": (0, 1, 0, np.nan)}, "extent must be finite"),
        ({"input": "ab"}, r"input must be numbers of shape \(input,\) or None, got 'ab'"),
        ({"input": [np.nan] * 3}, "input to hold must be finite"),
        ({"n_grid": 7.5}, "n_grid must be a whole number"),
    ],
)
def test_flow(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        analyses.flow_field(LAG, directions=np.eye(3)[:2], **given)


def test_a_label_called_time():
    with pytest.raises(ValueError, match="a label cannot be called 'time'"):
        analyses.demix_states(LAG, inputs=INPUTS, trial_labels={"time": [0, 1] * 4})


def test_starts_that_are_not_finite():
    with pytest.raises(ValueError, match="initial states must be finite, row 2 is not"):
        rs.simulate(LAG, INPUTS, initial=np.where(np.arange(8)[:, None] == 2, np.inf, np.zeros((8, 3))))
