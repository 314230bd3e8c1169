"""Recorded trials: what is drawn and measured, trials held out, padding, and what is refused."""

import dataclasses

import numpy as np
import pytest

from rnnscope.tasks import FromArrays, task_from_config, to_config

N, T = 40, 9
RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((N, T, 2))
OUTPUTS = RNG.standard_normal((N, T, 3))
CLASSES = RNG.integers(4, size=(N, T, 2))
LENGTHS = RNG.integers(4, T + 1, N)
INSIDE = np.arange(T) < LENGTHS[:, None]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_trials_are_those_given():
    side = np.where(np.arange(N) % 2, "right", "left")
    task = FromArrays(INPUTS, OUTPUTS, INSIDE, info={"side": side, "p": np.arange(N) / N})
    trials = task.trials
    np.testing.assert_array_equal(trials.inputs, np.where(INSIDE[..., None], INPUTS, 0).astype(np.float32))
    np.testing.assert_array_equal(trials.targets[INSIDE], OUTPUTS.astype(np.float32)[INSIDE])
    np.testing.assert_array_equal(trials.mask, INSIDE)
    np.testing.assert_array_equal(trials.info["length"], LENGTHS)
    drawn = task.sample(7, rng())
    row = drawn.info["index"]
    longest = LENGTHS[row].max()
    assert drawn.inputs.shape == (7, longest, 2)
    np.testing.assert_array_equal(drawn.targets, trials.targets[row, :longest])
    np.testing.assert_array_equal(drawn.info["side"], side[row])
    np.testing.assert_array_equal(drawn.info["p"], row / N)


def test_every_trial_comes_once_before_any_comes_twice_and_none_that_is_held_out():
    task = FromArrays(INPUTS, OUTPUTS, held_out=0.25)
    counts = np.bincount(task.sample(75, rng()).info["index"], minlength=N)
    held = np.flatnonzero(counts == 0)
    assert len(held) == 10
    assert sorted(counts[counts > 0]) == [2] * 15 + [3] * 15
    np.testing.assert_array_equal(task.sample_fresh(10, rng()).info["index"], held)
    np.testing.assert_array_equal(task.sample_fresh(1000, rng(1)).info["index"], held)
    few = task.sample_fresh(4, rng()).info["index"]
    assert len(set(few)) == 4
    assert set(few) <= set(held)


def test_which_are_held_out_is_a_setting():
    sessions = np.arange(N) >= 30
    task = FromArrays(INPUTS, OUTPUTS, held_out=sessions)
    assert sorted(task.sample_fresh(N, rng()).info["index"]) == list(range(30, N))
    assert set(task.sample(200, rng()).info["index"]) == set(range(30))
    none = FromArrays(INPUTS, OUTPUTS, held_out=0.0)
    for drawn in (none.sample(N, rng()), none.sample_fresh(N, rng())):
        assert sorted(drawn.info["index"]) == list(range(N))
    least = FromArrays(INPUTS[:2], OUTPUTS[:2], held_out=0.01)
    assert len(least.sample_fresh(5, rng())) == 1, "a share holds out one trial at least"
    assert len(set(FromArrays(INPUTS[:2], OUTPUTS[:2], held_out=0.99).sample(9, rng()).info["index"])) == 1


def test_classes_and_their_heads():
    task = FromArrays(INPUTS, CLASSES)
    assert (task.loss, task.n_heads, task.output_size) == ("cross_entropy", 2, 8)
    outputs = np.eye(4)[CLASSES].reshape(N, T, 8)
    assert task.metrics(outputs, task.trials, rng()) == {"accuracy": 1, "accuracy_min": 1}
    outputs[..., 4:] = 0  # the second head says class 0 everywhere
    right = (CLASSES[..., 1] == 0).mean()
    found = task.metrics(outputs, task.trials, rng())
    assert found == {"accuracy": pytest.approx((1 + right) / 2), "accuracy_min": pytest.approx(right)}
    np.testing.assert_array_equal(task.labels(task.trials.targets.repeat(4, 2)), np.zeros((N, T, 2)))
    assert FromArrays(INPUTS, CLASSES, n_classes=7).output_size == 14
    one = FromArrays(INPUTS[..., 0], CLASSES[..., 0] > 1)
    assert (one.input_size, one.n_heads, one.output_size) == (1, 1, 2)


def test_the_score_is_the_share_of_variance():
    task = FromArrays(INPUTS, OUTPUTS, INSIDE, held_out=0.0, threshold=0.5)
    counted = OUTPUTS[INSIDE]
    means = np.tile(counted.mean(0), (N, T, 1))
    found = task.metrics(means, task.trials, rng())
    assert found["mse"] == pytest.approx(counted.var(0).mean(), rel=1e-5)
    assert found["r2"] == pytest.approx(0, abs=1e-5), "the mean of each output is no knowledge"
    outputs = task.trials.targets + 0.1
    outputs[~INSIDE] = 100
    assert task.metrics(outputs, task.trials, rng())["mse"] == pytest.approx(0.01, rel=1e-4)
    (criterion,) = task.criterion
    assert str(criterion) == "r2 at least 0.5"


def test_lengths_come_from_the_mask_or_from_the_labels():
    at_end = np.arange(T) == LENGTHS[:, None] - 1
    task = FromArrays(INPUTS, CLASSES, at_end)
    np.testing.assert_array_equal(task.trials.info["length"], LENGTHS)
    np.testing.assert_array_equal(task.trials.mask, at_end)
    told = FromArrays(INPUTS, CLASSES, info={"length": LENGTHS})
    np.testing.assert_array_equal(told.trials.mask, INSIDE)
    early = FromArrays(INPUTS, CLASSES, np.arange(T) == np.full((N, 1), 2), info={"length": LENGTHS})
    np.testing.assert_array_equal(early.trials.info["length"], LENGTHS, "a trial goes on after its answer")


def test_padding_may_hold_anything():
    inputs, outputs, classes = INPUTS.copy(), OUTPUTS.copy(), CLASSES.copy()
    inputs[~INSIDE], outputs[~INSIDE], classes[~INSIDE] = np.nan, np.inf, -1
    task = FromArrays(inputs, outputs, INSIDE)
    assert np.isfinite(task.trials.inputs).all()
    assert np.isfinite(task.trials.targets).all()
    assert FromArrays(inputs, classes, INSIDE).trials.targets.min() == 0
    assert FromArrays(inputs, classes, INSIDE).output_size == 8


def test_nobody_changes_a_task_afterwards():
    inputs = INPUTS.copy()
    task = FromArrays(inputs, OUTPUTS)
    before = task.trials.inputs.copy()
    inputs[:] = 7
    np.testing.assert_array_equal(task.trials.inputs, before)
    with pytest.raises(ValueError, match="read-only"):
        task.inputs[:] = 0
    drawn = task.sample(3, rng())
    drawn.inputs[:] = 0  # a draw is one's own
    np.testing.assert_array_equal(task.trials.inputs, before)


def test_equal_data_make_equal_tasks_and_one_number_makes_another():
    task, again = FromArrays(INPUTS, OUTPUTS), FromArrays(INPUTS.tolist(), OUTPUTS.copy())
    assert task == again
    assert len({task, again}) == 1
    other = OUTPUTS.copy()
    other[5, 3, 1] += 1e-3
    assert task != FromArrays(INPUTS, other)
    assert task != dataclasses.replace(task, held_out=0.3)
    assert dataclasses.replace(task, held_out=0.3) == FromArrays(INPUTS, OUTPUTS, held_out=0.3)


def test_a_description_is_no_array():
    task = FromArrays(INPUTS, OUTPUTS, info={"side": np.arange(N)})
    assert task.arrays.keys() == {"inputs", "targets", "info.side"}
    assert len(str(to_config(task))) < 1000
    with pytest.raises(ValueError, match=r"inputs: here an array of shape \(40, 9, 2\) is only described.*load_run"):
        task_from_config(to_config(task))


def test_words_may_come_as_tables_keep_them():
    words = np.array(["left", "right"] * (N // 2), dtype=object)
    task = FromArrays(INPUTS, OUTPUTS, info={"side": words})
    assert task.trials.info["side"].tolist() == words.tolist()
    assert task == FromArrays(INPUTS, OUTPUTS, info={"side": words.tolist()})


def nan_at(array: np.ndarray, *place: int) -> np.ndarray:
    changed = array.copy()
    changed[place] = np.nan
    return changed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"inputs": INPUTS[:39]}, r"targets of shape \(40, 9, 3\) do not go with inputs of shape \(39, 9, 2\)"),
        ({"inputs": INPUTS[0, 0]}, r"inputs must have shape \(trial, time, channel\), got \(2,\)"),
        ({"targets": CLASSES[:, 0, 0]}, r"targets must have shape .* got \(40,\): repeat what is the same at every"),
        ({"inputs": INPUTS[:0], "targets": OUTPUTS[:0]}, r"inputs of shape \(0, 9, 2\) are empty"),
        ({"inputs": [[1.0, 2.0], [3.0]]}, "rows of unequal length make no array: pad the shorter ones"),
        ({"inputs": np.array([["a"]])}, "inputs must be numbers, got <U1"),
        ({"inputs": np.array([[None]])}, "an array of object holds neither numbers nor words"),
        ({"inputs": nan_at(INPUTS, 3, 5, 1)}, r"inputs\[3, 5, 1\] = nan is not finite .* within its trial"),
        ({"inputs": INPUTS * 1e300}, r"inputs\[0, 0, 0\] = .*e\+299 is not finite \(in float32\)"),
        ({"targets": nan_at(OUTPUTS, 0, 2, 1)}, r"targets\[0, 2, 1\] = nan .* where it counts: set mask False there"),
        (
            {"targets": CLASSES - 1},
            r"targets\[0, \d, \d\] = -1 is no class where it counts .*: classes are 0, 1, \.\.\.",
        ),
        ({"targets": CLASSES, "n_classes": 3}, r"= 3 is no class where it counts .*: classes are 0 \.\.\. 2"),
        ({"targets": OUTPUTS, "n_classes": 3}, "n_classes = 3 is for whole-number targets, and these are float64"),
        ({"targets": CLASSES, "n_classes": 1}, "n_classes must be at least 2, got 1"),
        ({"targets": 0 * CLASSES}, r"targets are \[0, 0\] wherever they count: there is nothing to learn"),
        ({"targets": 0 * OUTPUTS + 2}, r"targets are \[2.0, 2.0, 2.0\] wherever they count"),
        ({"mask": INSIDE[:, :4]}, r"mask must have shape \(40, 9\).*got \(40, 4\)"),
        ({"mask": INSIDE & (np.arange(N) != 6)[:, None]}, r"mask is False all through trial 6 \(1 such trials\)"),
        ({"mask": 2 * INSIDE}, "mask must hold True .* and False alone"),
        ({"info": {"length": LENGTHS + 5}}, r"info\['length'\] must be a whole number of steps .* from 1 to 9"),
        ({"info": {"length": LENGTHS - 1}, "mask": INSIDE}, "mask is True at step .* of trial 0, which has .* steps"),
        ({"info": {"side": np.arange(5)}}, r"info\['side'\] must have one entry for each of the 40 trials"),
        ({"info": {"index": np.arange(N)}}, r"info\['index'\] is the place of each trial"),
        ({"info": {"side": [None] * N}}, "'side': an array of object holds neither numbers nor words"),
        ({"info": [1, 2]}, "give a dictionary, name -> array, not list"),
        ({"held_out": 1.0}, "held_out = 1.0 is a share of the trials"),
        ({"held_out": np.ones(N, bool)}, "held_out is True for every trial: leave some to train on"),
        ({"held_out": np.arange(N)}, "held_out must be a share, or True or False for each of the 40 trials"),
        ({"inputs": INPUTS[:1], "targets": OUTPUTS[:1]}, "held_out = 0.2 of 1 trial leaves none to train on"),
        ({"threshold": 1.5}, r"threshold = 1.5 lies outside \(0, 1\]"),
        ({"thresh": 1.5}, "unknown setting 'thresh'; known: inputs, "),
    ],
)
def test_bad_input_is_told(given, message):
    with pytest.raises(ValueError, match=message):
        FromArrays(**{"inputs": INPUTS, "targets": OUTPUTS, **given})
