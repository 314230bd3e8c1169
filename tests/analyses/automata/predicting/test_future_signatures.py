"""What the merging of states relies on: many automata in one run, and words that stray without a bias."""

from itertools import product

import numpy as np
import pytest

from rnnscope.analyses.automata.predicting.future_signatures import (
    Automaton,
    Sampled,
    Track,
    _emitted,
    _importance,
    _losses,
)


def test_many_automata_in_one_run_lose_what_each_loses_alone():
    rng = np.random.default_rng(0)
    n_automata, n_states, n_symbols, n_words, length = 5, 6, 3, 7, 13
    transitions = rng.integers(n_states, size=(n_automata, n_states, n_symbols))
    initial = rng.integers(n_states, size=n_automata)
    symbols = rng.integers(n_symbols, size=(n_words, length))
    p = rng.dirichlet(np.ones(n_symbols), (n_words, length))
    losses = _losses(transitions, initial, Track.of(Sampled(np.zeros((n_words, length, 1)), p, symbols)))
    for table, start, loss in zip(transitions, initial, losses, strict=True):
        sums = np.zeros((n_states, n_symbols))
        for word in range(n_words):
            state = start
            for t in range(length):
                sums[state] += p[word, t]
                state = table[state, symbols[word, t]]
        seen = sums[sums.sum(1) > 0]
        alone = -(seen * np.log(seen / seen.sum(1, keepdims=True))).sum() / symbols.size
        assert loss == pytest.approx(alone), "an automaton ran into the states of another"


def test_strays_count_as_often_as_the_network_would_get_there():
    """Exact, over all words: what a straying writer writes, weighted, is what the network writes by itself."""
    rng, length, stray = np.random.default_rng(1), 4, 0.3
    words = np.array(list(product(range(2), repeat=length)))
    after = {word[:t]: rng.dirichlet([0.3, 1]) for word in map(tuple, words.tolist()) for t in range(length)}
    p = np.array([[after[tuple(word[:t])] for t in range(length)] for word in words.tolist()])
    own = np.take_along_axis(p, words[..., None], 2)[..., 0]
    strayed = (1 - stray) * own + stray / 2
    weight = _importance(Sampled(np.zeros((len(words), length, 1)), p, words), stray)
    for t in range(length):
        expected, found = own[:, :t].prod(1), strayed[:, :t].prod(1) * weight[:, t]
        assert found == pytest.approx(expected), f"before symbol {t} strays are counted too often, or too rarely"


def test_weights_of_strays_reach_what_automata_are_judged_by():
    p = np.full((1, 3, 2), [0.9, 0.1])
    sampled = Sampled(np.zeros((1, 3, 1)), p, np.array([[1, 0, 0]]))
    one_way = Automaton(np.array([[0, 1], [1, 1]]), np.full((2, 2), 0.5), 0, np.array([0.5, 0.5]))
    plain, _, _ = _emitted(one_way, Track.of(sampled))
    weighed, _, _ = _emitted(one_way, Track.of(sampled, 0.2))
    rare, usual = 0.1 / (0.8 * 0.1 + 0.1), 0.9 / (0.8 * 0.9 + 0.1)
    assert plain.weight == pytest.approx([1 / 3, 2 / 3])
    assert weighed.weight == pytest.approx(np.array([1, rare + rare * usual]) / (1 + rare + rare * usual))
