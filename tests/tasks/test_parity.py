"""Parity against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.tasks import Parity

ns_strategy = st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True)


@settings(max_examples=30, deadline=None)
@given(ns=ns_strategy, seed=st.integers(0, 2**32 - 1))
def test_labels_are_the_parity_of_the_last_bits(ns, seed):
    trials = Parity(ns).sample(6, np.random.default_rng(seed))
    for bits, targets in zip(trials.inputs[..., 0].astype(int), trials.targets, strict=True):
        for t in range(len(bits)):
            expected = [sum(bits[max(0, t + 1 - n) : t + 1]) % 2 for n in ns]
            assert targets[t].tolist() == expected, f"step {t} of {bits.tolist()}, n = {ns}"


@settings(max_examples=20, deadline=None)
@given(ns=ns_strategy, seed=st.integers(0, 2**32 - 1))
def test_the_last_step_of_each_trial_counts_and_padding_is_zero(ns, seed):
    trials = Parity(ns).sample(6, np.random.default_rng(seed))
    lengths = trials.info["length"]
    assert trials.inputs.shape[1] == lengths.max()
    assert np.all(trials.mask.sum(axis=1) == 1)
    assert np.array_equal(trials.mask.argmax(axis=1), lengths - 1)
    assert all(not row[length:].any() for row, length in zip(trials.inputs, lengths, strict=True))


def test_lengths_and_bits_have_the_stated_distributions():
    trials = Parity([2, 4]).sample(20_000, np.random.default_rng(0))
    lengths, counts = np.unique(trials.info["length"], return_counts=True)
    assert lengths.tolist() == list(range(6, 18)), "L ~ U{N+2, ..., 4N+1} with N = 4"
    assert np.abs(counts / 20_000 - 1 / 12).max() < 0.01
    ones = trials.inputs[..., 0].sum(axis=1)
    p = trials.info["p"]
    assert np.abs(np.histogram(p, 5, (0, 1))[0] / 20_000 - 0.2).max() < 0.02
    # Standardised counts of ones have mean 0 and variance 1 where they are Bernoulli(p).
    z = (ones - trials.info["length"] * p) / np.sqrt(trials.info["length"] * p * (1 - p))
    middle = z[(p > 0.1) & (p < 0.9)]
    assert abs(middle.mean()) < 0.03
    assert abs(middle.var() - 1) < 0.05


def test_heads():
    task = Parity([2, 5, 3])
    assert (task.ns, task.n_heads, task.output_size) == ((2, 5, 3), 3, 6)
    assert Parity(4).ns == (4,)
    assert Parity(range(2, 5)) == Parity([2, 3, 4]) == Parity((2, 3, 4)) == Parity(np.arange(2, 5))
    assert task.restrict([3, 2]) == Parity([3, 2])
    assert task.restrict(5) == Parity(5)
    with pytest.raises(ValueError, match=r"no head for N = 7; this task has \[2, 5, 3\]"):
        task.restrict([2, 7])


def test_metrics_are_per_head():
    task = Parity([2, 3])
    trials = task.sample(400, np.random.default_rng(0))
    outputs = np.zeros((*trials.mask.shape, 4))
    outputs[..., 0:2] = np.eye(2)[trials.targets[..., 0]]  # head 2 always right
    outputs[..., 3] = 1  # head 3 always says odd
    odd = trials.targets[trials.mask][:, 1].mean()
    metrics = task.metrics(outputs, trials, np.random.default_rng(0))
    assert metrics == pytest.approx(
        {"accuracy": (1 + odd) / 2, "accuracy_min": odd, "accuracy_n2": 1, "accuracy_n3": odd}
    )


def test_outputs_of_the_wrong_size_are_told():
    with pytest.raises(ValueError, match=r"3 outputs; 2 head\(s\) of 2 classes need 4"):
        Parity([2, 3]).labels(np.zeros((5, 3)))


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (0, "n = 0: a window of 0 bits"),
        (-2, "n = -2: a window of -2 bits"),
        ([2, 0], "a window of 0 bits"),
        ([], r"n = \[\] names no head"),
        ([2, 3, 2], "names 2 more than once"),
        (2.5, "2.5 is not a whole number"),
        ("3", "'3' is not a whole number"),
        (True, "True is not a whole number"),
        (None, "None is not a whole number"),
    ],
)
def test_bad_n_is_told_with_the_remedy(n, message):
    with pytest.raises(ValueError, match=message) as caught:
        Parity(n)
    assert "n=[2, 3, 4]" in str(caught.value)
