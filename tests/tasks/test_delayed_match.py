"""N-delayed match-to-sample against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.tasks import DelayedMatchToSample


@settings(max_examples=30, deadline=None)
@given(ns=st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True), seed=st.integers(0, 2**32 - 1))
def test_labels_compare_the_two_ends_of_the_window(ns, seed):
    trials = DelayedMatchToSample(ns).sample(6, np.random.default_rng(seed))
    for bits, targets in zip(trials.inputs[..., 0].astype(int), trials.targets, strict=True):
        for t in range(len(bits)):
            expected = [int((bits[t + 1 - n] if t + 1 >= n else 0) == bits[t]) for n in ns]
            assert targets[t].tolist() == expected, f"step {t} of {bits.tolist()}, n = {ns}"


def test_the_answer_is_x_minus_n_against_x_minus_1():
    trials = DelayedMatchToSample(4).sample(200, np.random.default_rng(0))
    for bits, length, answer in zip(
        trials.inputs[..., 0], trials.info["length"], trials.targets[trials.mask], strict=True
    ):
        seen = bits[:length]
        assert answer[0] == (seen[-4] == seen[-1])


def test_bits_are_fair_and_lengths_as_stated():
    trials = DelayedMatchToSample(3).sample(20_000, np.random.default_rng(0))
    lengths = trials.info["length"]
    assert (lengths.min(), lengths.max()) == (5, 13)
    assert abs(trials.inputs.sum() / lengths.sum() - 0.5) < 0.005
    assert abs(trials.targets[trials.mask].mean() - 0.5) < 0.02


def test_restrict():
    assert DelayedMatchToSample(range(2, 6)).restrict([2, 3]) == DelayedMatchToSample([2, 3])


@pytest.mark.parametrize("n", [0, [], [3, 3]])
def test_bad_n_is_told(n):
    with pytest.raises(ValueError, match="give a whole number of at least 1"):
        DelayedMatchToSample(n)
