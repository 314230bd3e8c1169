"""Predicting the next symbol: what trials ask, and that the metric is the divergence from the process itself."""

from itertools import product

import numpy as np
import pytest

from rnnscope.tasks import NextSymbol, Process
from rnnscope.tasks.process import NAMED, golden_mean, mess3


@pytest.mark.parametrize("opening_step", [True, False])
def test_the_target_is_the_next_symbol_shown(opening_step):
    task = NextSymbol("rrxor", length=12, opening_step=opening_step)
    trials = task.sample(40, np.random.default_rng(0))
    assert trials.inputs.shape == (40, 12, 2)
    assert np.array_equal(trials.inputs[:, 1:].argmax(-1), trials.targets[:, :-1, 0])
    assert trials.inputs[:, 0].sum(1).tolist() == [0.0 if opening_step else 1.0] * 40
    assert (trials.inputs[:, 1:].sum(2) == 1).all()
    assert trials.mask.all()
    latent, due = trials.info["latent"], trials.targets[..., 0]
    assert (due[latent == 3] == 0).all(), "0 is due in state 3"
    assert (due[latent == 4] == 1).all(), "1 is due in state 4"
    assert np.bincount(latent[:, 0], minlength=5).all(), "a trial begins anywhere in the process"


@pytest.mark.parametrize("opening_step", [True, False])
@pytest.mark.parametrize("name", NAMED)
def test_the_best_prediction_is_that_of_all_words_that_begin_alike(name, opening_step):
    """By counting whole words with their exact probabilities, without beliefs."""
    task = NextSymbol(name, length=4, opening_step=opening_step)
    process, trials = task.ground_truth, task.sample(5, np.random.default_rng(1))
    best = task.best(trials)
    n_shown = 0 if opening_step else 1
    words = np.concatenate([trials.inputs[:, :n_shown].argmax(-1), trials.targets[..., 0]], 1)

    def p(word: tuple[int, ...]) -> float:
        row = process.stationary
        for symbol in word:
            row = row @ process.array[symbol]
        return row.sum()

    for word, rows in zip(words.tolist(), best, strict=True):
        for t, row in enumerate(rows):
            before = tuple(word[: t + n_shown])
            assert row == pytest.approx([p((*before, x)) / p(before) for x in range(task.input_size)])


def test_the_divergence_is_zero_of_the_process_itself_and_what_it_is_of_a_coin():
    task = NextSymbol("golden-mean", length=40)
    trials = task.sample(500, np.random.default_rng(2))
    with np.errstate(divide="ignore"):
        own = np.log(task.best(trials))
    assert task.metrics(np.maximum(own, -1e3), trials, np.random.default_rng(0))["divergence"] == pytest.approx(0)
    shifted = task.metrics(np.maximum(own, -1e3) + 7, trials, np.random.default_rng(0))
    assert shifted["divergence"] == pytest.approx(0), "logits are told up to a constant"
    coin = task.metrics(np.zeros((500, 40, 2), np.float32), trials, np.random.default_rng(0))
    # After a 1 the coin is right; after a 0, which a third of the symbols are, 1 is certain: log 2. And the first
    # symbol of all is 1 with 2/3.
    first = 2 / 3 * np.log(4 / 3) + 1 / 3 * np.log(2 / 3)
    assert coin["divergence"] == pytest.approx((first + 39 / 3 * np.log(2)) / 40, rel=0.02)


def test_nobody_is_right_more_often_than_the_process():
    task = NextSymbol(mess3(), length=30)
    trials = task.sample(400, np.random.default_rng(3))
    metrics = task.metrics(np.log(task.best(trials)), trials, np.random.default_rng(0))
    assert metrics["accuracy"] == metrics["best_accuracy"]
    blind = np.broadcast_to(task.sample(400, np.random.default_rng(4)).inputs, trials.inputs.shape)
    assert task.metrics(blind, trials, np.random.default_rng(0))["accuracy"] < metrics["best_accuracy"] - 0.2


def test_outputs_that_are_not_finite_meet_nothing():
    task = NextSymbol("even", length=3)
    trials = task.sample(2, np.random.default_rng(0))
    metrics = task.metrics(np.full((2, 3, 2), np.inf), trials, np.random.default_rng(0))
    assert not task.criterion[0].met(metrics)


def test_names_and_processes_make_the_same_task():
    named, own = NextSymbol("golden-mean"), NextSymbol(golden_mean())
    assert named.ground_truth == own.ground_truth
    trials = [task.sample(4, np.random.default_rng(5)).targets for task in (named, own)]
    assert np.array_equal(*trials)
    assert own.symbols == ("0", "1")
    coin = NextSymbol(Process(np.full((2, 1, 1), 0.5)))  # type: ignore[arg-type]
    assert set(product(*[range(2)] * 2)) == set(map(tuple, coin.sample(50, np.random.default_rng(0)).targets[:, :2, 0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"process": "mess4"}, "'mess4' is no process: give a Process, or a name: golden-mean, even, rrxor, mess3"),
        ({"process": [3]}, r"\[3\] is no process"),
        ({"process": "even", "length": 0}, "length must be at least 1, got 0"),
        ({"process": {"transitions": []}}, r"a process has matrices \(symbol, state, next state\), got transitions"),
    ],
)
def test_what_is_no_task_says_why(settings, message):
    with pytest.raises(ValueError, match=message):
        NextSymbol(**settings)
