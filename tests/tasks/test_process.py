"""Processes that emit on their arrows: closed forms, sums over all paths, and what was sampled."""

from itertools import product

import numpy as np
import pytest

from rnnscope.tasks import HMM, Process, linear_chain
from rnnscope.tasks.process import even, golden_mean, mess3, rrxor

NAMED = {"golden mean": golden_mean(), "even": even(), "rrxor": rrxor(), "mess3": mess3()}


def probability(process: Process, word: tuple[int, ...]) -> float:
    """By the sum over all paths of states."""
    total = 0.0
    for path in product(range(process.n_states), repeat=len(word) + 1):
        steps = zip(word, path[:-1], path[1:], strict=True)
        total += process.stationary[path[0]] * np.prod([process.array[step] for step in steps])
    return total


@pytest.mark.parametrize(
    ("name", "entropy_rate", "stationary"),
    [
        ("golden mean", 2 / 3 * np.log(2), [2 / 3, 1 / 3]),
        ("even", 2 / 3 * np.log(2), [2 / 3, 1 / 3]),
        ("rrxor", 2 / 3 * np.log(2), [1 / 3, 1 / 6, 1 / 6, 1 / 6, 1 / 6]),
    ],
)
def test_unifilar_processes_have_their_known_entropy_rates(name, entropy_rate, stationary):
    process = NAMED[name]
    assert process.is_unifilar
    assert process.stationary == pytest.approx(stationary)
    assert process.entropy_rate() == pytest.approx((entropy_rate, entropy_rate)), "exact: both bounds are it"


def test_bounds_on_the_entropy_rate_hold_what_long_words_show():
    process = mess3()
    assert not process.is_unifilar
    low, high = process.entropy_rate()
    assert 0 < high - low < 1e-3, "bounds of no use"
    _, words = process.sample(400, 300, np.random.default_rng(0))
    shown = process.predict(process.beliefs(words))[:, 100:-1]
    each = -(shown * np.log(shown)).sum(-1).mean(1)
    error = each.std(ddof=1) / 20
    assert low - 3 * error < each.mean() < high + 3 * error


def test_bounds_meet_for_a_chain_that_is_seen():
    """A Markov chain whose states are the symbols has a closed form, and two unlike arrows for each symbol hide it."""
    p = 0.3
    twice = np.zeros((2, 4, 4))  # states 0, 1 after symbol 0, and 2, 3 after symbol 1
    for state, symbol in product(range(4), range(2)):
        stays = state // 2 == symbol
        twice[symbol, state, 2 * symbol : 2 * symbol + 2] = (1 - p if stays else p) / 2
    process = Process(twice)
    assert not process.is_unifilar
    exact = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert process.entropy_rate() == pytest.approx((exact, exact)), "the last symbol tells all there is to know"


@pytest.mark.parametrize("name", NAMED)
def test_beliefs_are_those_of_a_sum_over_all_paths(name):
    process = NAMED[name]
    _, words = process.sample(2, 3, np.random.default_rng(1))
    predicted = process.predict(process.beliefs(words))
    assert predicted.shape == (2, 4, process.n_symbols)
    for word, rows in zip(words.tolist(), predicted, strict=True):
        for t, row in enumerate(rows):
            before = tuple(word[:t])
            wanted = [probability(process, (*before, x)) / probability(process, before) for x in range(len(row))]
            assert row == pytest.approx(wanted), f"after {before}"


@pytest.mark.parametrize("name", NAMED)
def test_samples_are_stationary_and_follow_the_arrows(name):
    process = NAMED[name]
    states, symbols = process.sample(20_000, 4, np.random.default_rng(2))
    for t in range(4):
        counts = np.bincount(states[:, t], minlength=process.n_states) / 20_000
        assert counts == pytest.approx(process.stationary, abs=0.015), f"at step {t}"
    arrows = np.zeros(process.array.shape)
    np.add.at(arrows, (symbols[:, :-1], states[:, :-1], states[:, 1:]), 1)
    assert arrows / arrows.sum() == pytest.approx(process.array * process.stationary[:, None], abs=0.015)
    assert process.symbol_frequencies() == pytest.approx(np.bincount(symbols.ravel()) / symbols.size, abs=0.015)


def test_a_hidden_markov_model_is_a_process():
    model = linear_chain(3)
    settled = HMM(model.transitions, model.emissions, model.stationary())
    process = Process.from_hmm(settled)
    _, symbols = settled.sample(6, 9, np.random.default_rng(3))
    predicted = process.predict(process.beliefs(symbols))[:, :-1]
    assert predicted == pytest.approx(settled.predictions(symbols))
    own = np.take_along_axis(predicted, symbols[..., None], 2)[..., 0]
    assert np.log(own).sum(1) == pytest.approx(settled.log_likelihood(symbols))
    assert process.symbol_frequencies() == pytest.approx(settled.symbol_frequencies())


def test_a_process_travels_as_plain_lists():
    for process in NAMED.values():
        again = Process.from_dict(process.to_dict())
        assert again == process
        assert hash(again) == hash(process)


def test_mess3_shows_its_own_symbol_with_alpha_and_moves_with_x():
    process = mess3(x=0.1, alpha=0.7)
    assert process.array.sum(0) == pytest.approx(np.full((3, 3), 0.1) + 0.7 * np.eye(3))
    own = sum(process.array[s, :, s].sum() for s in range(3)) / 3
    assert own == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Process(np.eye(2)), r"process must have shape \(symbol, state, state\), got \(2, 2\)"),
        (lambda: Process([[[0.5], [0.5, 0.5]]]), "process must be numbers of shape"),
        (lambda: Process([[[0, 0.5], [0, 0]], [[0.5, 0], [0.5, 0]]]), "state 1 has 0.5"),
        (lambda: Process([[[2.0]], [[-1.0]]]), "not negative.* the least entry is -1"),
        (lambda: Process([[[np.nan]]]), "state 0 has nan"),
        (lambda: Process([np.eye(2)]), "not unique"),
        (lambda: golden_mean().beliefs(np.array([[1, 0, 0]])), r"cannot emit word 0 beyond step 2 \(symbol 0\)"),
        (lambda: golden_mean().beliefs(np.array([[2]])), "give 0 to 1"),
        (lambda: golden_mean().sample(0, 3, np.random.default_rng(0)), "n_words must be at least 1, got 0"),
        (lambda: mess3(x=0.6), "0 < x <= 1/2"),
        (lambda: Process.from_dict({}), "got nothing"),
    ],
)
def test_what_is_no_process_says_why(call, message):
    with pytest.raises(ValueError, match=message):
        call()
