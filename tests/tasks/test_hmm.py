"""Hidden Markov models against hmmlearn, enumeration and closed forms."""

import itertools
import json

import numpy as np
import pytest
from hmmlearn.hmm import CategoricalHMM
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.tasks import HMM, cyclic, fully_connected, linear_chain, to_config
from rnnscope.tasks.settings import from_config

PAPER = [*(linear_chain(m) for m in (2, 3, 4, 5)), fully_connected(), cyclic()]
paper = pytest.mark.parametrize("hmm", PAPER, ids=["chain2", "chain3", "chain4", "chain5", "full3", "cyclic4"])


def oracle(hmm):
    model = CategoricalHMM(n_components=hmm.n_states, n_features=hmm.n_symbols)
    model.startprob_, model.transmat_, model.emissionprob_ = (
        hmm.start_distribution,
        hmm.transition_matrix,
        hmm.emission_matrix,
    )
    return model


def random_hmm(seed, n_states, n_symbols):
    rng = np.random.default_rng(seed)
    draw = [rng.dirichlet(np.ones(k), size=n) for n, k in ((n_states, n_states), (n_states, n_symbols), (1, n_states))]
    return HMM(draw[0], draw[1], draw[2][0])


random_shapes = given(seed=st.integers(0, 2**32 - 1), n_states=st.integers(1, 5), n_symbols=st.integers(1, 4))


@paper
def test_log_likelihood_agrees_with_hmmlearn(hmm):
    _, symbols = hmm.sample(20, 40, np.random.default_rng(0))
    expected = [oracle(hmm).score(row[:, None]) for row in symbols]
    np.testing.assert_allclose(hmm.log_likelihood(symbols), expected, rtol=1e-10)


@settings(max_examples=20, deadline=None)
@random_shapes
def test_likelihoods_of_all_sequences_sum_to_1(seed, n_states, n_symbols):
    hmm = random_hmm(seed, n_states, n_symbols)
    every = np.array(list(itertools.product(range(hmm.n_symbols), repeat=4)))
    likelihood = np.exp(hmm.log_likelihood(every))
    assert likelihood.sum() == pytest.approx(1, abs=1e-12)
    # Belief at the end, by summing over all paths of the states.
    start, transitions, emissions = hmm.start_distribution, hmm.transition_matrix, hmm.emission_matrix
    joint = np.zeros(hmm.n_states)
    for path in itertools.product(range(hmm.n_states), repeat=4):
        p = start[path[0]] * emissions[path[0], every[-1, 0]]
        for t in range(1, 4):
            p *= transitions[path[t - 1], path[t]] * emissions[path[t], every[-1, t]]
        joint[path[-1]] += p
    assert likelihood[-1] == pytest.approx(joint.sum(), rel=1e-10)
    np.testing.assert_allclose(hmm.filtered(every)[-1, -1], joint / joint.sum(), rtol=1e-9, atol=1e-12)


@paper
def test_stationary_agrees_with_hmmlearn(hmm):
    np.testing.assert_allclose(hmm.stationary(), oracle(hmm).get_stationary_distribution(), atol=1e-12)


def test_stationary_where_it_is_known():
    nearly_frozen = HMM([[1 - 1e-9, 1e-9], [3e-9, 1 - 3e-9]], np.eye(2))
    np.testing.assert_allclose(nearly_frozen.stationary(), [0.75, 0.25], rtol=1e-6)
    periodic = HMM([[0, 1], [1, 0]], np.eye(2))
    np.testing.assert_allclose(periodic.stationary(), [0.5, 0.5])
    transient = HMM([[0.5, 0.5, 0], [0, 0.2, 0.8], [0, 0.4, 0.6]], np.eye(3))
    np.testing.assert_allclose(transient.stationary(), [0, 1 / 3, 2 / 3], atol=1e-15)
    long_way = HMM(np.roll(np.eye(9), 1, axis=1), np.eye(9))
    np.testing.assert_allclose(long_way.stationary(), np.full(9, 1 / 9))


def test_a_reducible_chain_has_no_unique_stationary_distribution():
    split = HMM([[1, 0, 0], [0.5, 0, 0.5], [0, 0, 1]], np.eye(3))
    for ask in (split.stationary, split.symbol_frequencies, split.symbol_transitions, split.volatility):
        with pytest.raises(ValueError, match=r"not unique.*states \[0\] and \[2\] once there; connect them"):
            ask()


@paper
def test_samples_have_the_exact_statistics(hmm):
    states, symbols = hmm.sample(4000, 100, np.random.default_rng(1))
    frequencies, pairs = hmm.expected(100)
    np.testing.assert_allclose(np.bincount(symbols.ravel(), minlength=3) / symbols.size, frequencies, atol=0.006)
    seen = np.zeros((3, 3))
    np.add.at(seen, (symbols[:, :-1], symbols[:, 1:]), 1)
    np.testing.assert_allclose(seen / seen.sum(), pairs, atol=0.006)
    moves = np.zeros((hmm.n_states, hmm.n_states))
    np.add.at(moves, (states[:, :-1], states[:, 1:]), 1)
    np.testing.assert_allclose(moves / moves.sum(axis=1, keepdims=True), hmm.transition_matrix, atol=0.006)
    emitted = np.zeros((hmm.n_states, 3))
    np.add.at(emitted, (states, symbols), 1)
    np.testing.assert_allclose(emitted / emitted.sum(axis=1, keepdims=True), hmm.emission_matrix, atol=0.006)
    start = np.bincount(states[:, 0], minlength=hmm.n_states) / 4000
    np.testing.assert_allclose(start, hmm.start_distribution, atol=0.03)


@paper
def test_stationary_statistics_agree_with_a_long_sample_of_hmmlearn(hmm):
    symbols = oracle(hmm).sample(10_000, random_state=2)[0][:, 0]
    # Correlated samples: about one independent state in 1 / .05 steps.
    np.testing.assert_allclose(np.bincount(symbols, minlength=3) / 10_000, hmm.symbol_frequencies(), atol=0.08)
    assert np.mean(symbols[1:] != symbols[:-1]) == pytest.approx(hmm.volatility(), abs=0.02)
    for i in np.flatnonzero(np.bincount(symbols) > 1000):
        following = symbols[1:][symbols[:-1] == i]
        np.testing.assert_allclose(
            np.bincount(following, minlength=3) / len(following), hmm.symbol_transitions()[i], atol=0.04
        )


@settings(max_examples=20, deadline=None)
@random_shapes
def test_exact_statistics_hang_together(seed, n_states, n_symbols):
    hmm = random_hmm(seed, n_states, n_symbols)
    frequencies, transitions = hmm.symbol_frequencies(), hmm.symbol_transitions()
    np.testing.assert_allclose(transitions.sum(axis=1), 1)
    np.testing.assert_allclose(frequencies @ transitions, frequencies, atol=1e-12)
    assert hmm.volatility() == pytest.approx(1 - frequencies @ np.diag(transitions), abs=1e-12)
    stationary = HMM(hmm.transitions, hmm.emissions, hmm.stationary() / hmm.stationary().sum())
    np.testing.assert_allclose(stationary.expected(7)[0], frequencies, atol=1e-12)
    np.testing.assert_allclose(stationary.expected(7)[1], hmm.symbol_pairs(), atol=1e-12)


@settings(max_examples=20, deadline=None)
@random_shapes
def test_json_round_trip_is_exact(seed, n_states, n_symbols):
    hmm = random_hmm(seed, n_states, n_symbols)
    assert from_config(json.loads(json.dumps(to_config(hmm))), {"HMM": HMM}, "model") == hmm


@settings(max_examples=20, deadline=None)
@random_shapes
def test_a_model_travels_as_json_text(seed, n_states, n_symbols):
    hmm = random_hmm(seed, n_states, n_symbols)
    assert HMM.from_json(hmm.to_json()) == hmm
    without_start = HMM(hmm.transitions, hmm.emissions)
    assert HMM.from_json(without_start.to_json()) == without_start


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"transitions": [[1.0]]}', '{"transitions": 1, "emissions": [[1.0]]}']
)
def test_text_that_is_no_model_is_refused(text):
    with pytest.raises(ValueError, match=r"(?s)this is no hidden Markov model in JSON .*it needs transitions"):
        HMM.from_json(text)


def test_dot_has_every_arrow_and_every_symbol_that_can_come():
    text = linear_chain(3).to_dot(("a", "b", "c"))
    assert text.count("->") == 7, "three loops, and arrows to and fro between neighbours"
    assert 'q0 [label="a: 0.99\\nb: 0.01"];' in text
    assert 'q0 -> q1 [label="0.224"];' in text
    with pytest.raises(ValueError, match="2 names for 3 symbols"):
        linear_chain(3).to_dot(("a", "b"))


def test_a_symbol_that_never_comes():
    hmm = HMM([[0.5, 0.5], [0.5, 0.5]], [[1, 0, 0], [0, 1, 0]])
    assert np.isnan(hmm.symbol_transitions()[2]).all()
    impossible = np.array([[0, 1, 0], [0, 2, 1]])
    np.testing.assert_allclose(hmm.log_likelihood(impossible), [3 * np.log(0.5), -np.inf])
    with pytest.raises(ValueError, match=r"cannot emit sequence 1 beyond step 1 \(symbol 2\)"):
        hmm.filtered(impossible)
    assert hmm.sample(1000, 20, np.random.default_rng(0))[1].max() == 1


def test_entropy_rate_where_it_is_known():
    # The output tells the state: the rate is that of the chain.
    chain = HMM([[0.9, 0.1], [0.3, 0.7]], np.eye(2))
    exact = -sum(p * a * np.log(a) for p, row in zip(chain.stationary(), chain.transitions, strict=True) for a in row)
    estimate, error = chain.entropy_rate(400, 200, np.random.default_rng(0))
    assert 0 < error < 0.01
    assert abs(estimate - exact) < 4 * error, f"{estimate} +- {error}, exactly {exact}"
    coin = HMM([[1.0]], [[0.25, 0.75]])
    estimate, error = coin.entropy_rate(400, 100, np.random.default_rng(0))
    assert abs(estimate + 0.25 * np.log(0.25) + 0.75 * np.log(0.75)) < 4 * error


def test_the_models_of_the_paper():
    q = [linear_chain(m).transitions[0][1] for m in (2, 3, 4, 5)]
    np.testing.assert_allclose(q, [0.05, 0.224, 0.368, 0.473], atol=5e-4)
    np.testing.assert_allclose(linear_chain(3).transitions[1], [q[1], 1 - 2 * q[1], q[1]])
    np.testing.assert_allclose(linear_chain(3).emissions, [[0.99, 0.01, 0], [0.495, 0.01, 0.495], [0, 0.01, 0.99]])
    np.testing.assert_allclose(fully_connected().transitions[1], [0.025, 0.95, 0.025])
    np.testing.assert_allclose(fully_connected().emissions[2], [0.01, 0.01, 0.98])
    np.testing.assert_allclose(cyclic().transitions[0], [0.95, 0.025, 0, 0.025])
    np.testing.assert_allclose(cyclic().emissions, [[0.9, 0.1, 0], [0.1, 0.9, 0], [0, 0.1, 0.9], [0, 0.9, 0.1]])
    assert all(np.allclose(hmm.start_distribution, 1 / hmm.n_states) for hmm in PAPER)
    assert fully_connected(5).n_symbols == 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear_chain(1), r"linear_chain\(1\): .*give m = 2, 3, 4 or 5"),
        (lambda: linear_chain(6), r"linear_chain\(6\)"),
        (lambda: fully_connected(1), "m must be at least 2, got 1"),
        (lambda: cyclic(5), r"cyclic\(5\): only the ring of m = 4"),
        (lambda: HMM([[0.5, 0.5], [0.5, 0.4]], np.eye(2)), "transitions row 1 sums to 0.9, not to 1"),
        (lambda: HMM(np.eye(2), [[1, 0.5], [0, 1]]), "emissions row 0 sums to 1.5"),
        (lambda: HMM(np.eye(2), np.eye(2), [0.5, 0.6]), "start sums to 1.1"),
        (lambda: HMM([[1.5, -0.5], [0, 1]], np.eye(2)), "transitions row 0 has the negative probability -0.5"),
        (lambda: HMM([[0.5, 0.5]], [[1.0]]), "not square: 1 rows, but row 0 has 2 entries"),
        (lambda: HMM([[0.5, 0.5], [1.0]], np.eye(2)), "not square: 2 rows, but row 1 has 1 entries"),
        (lambda: HMM(np.eye(2), np.eye(3)), "emissions has 3 rows for 2 states"),
        (lambda: HMM(np.eye(2), [[1.0], [0.5, 0.5]]), "emissions row 1 has 2 entries, row 0 has 1"),
        (lambda: HMM(np.eye(2), np.eye(2), [1.0]), "start has 1 entries for 2 states"),
        (lambda: HMM([], []), "transitions is empty"),
        (lambda: HMM([[1.0]], [[]]), "emissions row 0 is empty"),
        (lambda: HMM([[np.nan]], [[1.0]]), "finite number"),
        (lambda: HMM("ab", [[1.0]]), "valid tuple"),
        (lambda: cyclic().log_likelihood(np.array([[0, 3]])), "symbols run from 0 to 3; give 0 to 2"),
        (lambda: cyclic().sample(0, 3, np.random.default_rng(0)), "n_sequences must be at least 1, got 0"),
        (lambda: cyclic().expected(1), "length must be at least 2, got 1"),
    ],
)
def test_bad_values_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@paper
def test_lagged_pairs_against_sums_over_all_words_and_against_samples(hmm):
    """Of sequences of 6 steps, by the likelihood of each of all 729; of longer ones, by how often they are seen."""
    every = np.array(list(itertools.product(range(hmm.n_symbols), repeat=6)))
    likelihood = np.exp(hmm.log_likelihood(every))
    lags = [1, 2, 5]
    for lag, found in zip(lags, hmm.lagged_pairs(lags, 6), strict=True):
        wanted = np.zeros((hmm.n_symbols, hmm.n_symbols))
        for t in range(6 - lag):
            np.add.at(wanted, (every[:, t], every[:, t + lag]), likelihood / (6 - lag))
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    np.testing.assert_allclose(hmm.lagged_pairs([1], 6)[0], hmm.expected(6)[1], atol=1e-14)
    _, symbols = hmm.sample(20_000, 20, np.random.default_rng(1))
    for lag, found in zip([3, 12], hmm.lagged_pairs([3, 12], 20), strict=True):
        seen = np.eye(hmm.n_symbols)[symbols]
        each = np.einsum("nta,ntb->nab", seen[:, :-lag], seen[:, lag:]) / (20 - lag)
        error = each.std(0) / np.sqrt(len(each))
        assert (np.abs(each.mean(0) - found) < 5 * error + 1e-12).all()


@settings(max_examples=20, deadline=None)
@random_shapes
def test_words_against_sums_over_all_sequences(seed, n_states, n_symbols):
    """Also where the start is not stationary: random models, all words of 5 symbols."""
    hmm = random_hmm(seed, n_states, n_symbols)
    every = np.array(list(itertools.product(range(n_symbols), repeat=5)))
    likelihood = np.exp(hmm.log_likelihood(every))
    for width in (1, 2, 3, 5):
        words = list(itertools.product(range(n_symbols), repeat=width))
        places = range(5 - width + 1)
        wanted = [
            np.mean([likelihood[(every[:, t : t + width] == word).all(1)].sum() for t in places]) for word in words
        ]
        np.testing.assert_allclose(hmm.word_probabilities(width, 5), wanted, atol=1e-12)
    np.testing.assert_allclose(
        hmm.word_probabilities(2, 5).reshape(n_symbols, n_symbols), hmm.lagged_pairs([1], 5)[0], atol=1e-12
    )


@pytest.mark.parametrize("lags", [[], [0], [1, 5]], ids=str)
def test_lags_that_do_not_fit_are_refused(lags):
    with pytest.raises(ValueError, match=r"lags must be from 1 to length - 1 = 4, .* got"):
        linear_chain(2).lagged_pairs(lags, 5)


@pytest.mark.parametrize("width", [0, 6])
def test_words_that_do_not_fit_are_refused(width):
    with pytest.raises(ValueError, match=f"width must be from 1 to the length of a sequence, 5, got {width}"):
        linear_chain(2).word_probabilities(width, 5)
