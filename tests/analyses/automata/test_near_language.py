"""Words near the language of a machine, against languages that are counted by hand."""

import numpy as np
import pytest

from rnnscope.analyses.automata.near_language import TAIL, near_language_words
from rnnscope.analyses.automata.words import draw_words
from rnnscope.tasks.languages import tomita_machine
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.regex import regex_machine

N, LENGTH = 600, 60


def drawn(machine: Machine, seed: int = 0):
    """Words, their ends before random symbols follow, and which are none with an edit."""
    found = near_language_words(machine, N, LENGTH, np.random.default_rng(seed))
    assert found.words.shape == (N, LENGTH)
    assert found.words.min() >= 0
    assert found.words.max() < machine.n_symbols
    assert found.ends.min() >= 0
    assert found.ends.max() <= LENGTH
    return found


def in_language(machine: Machine, word: np.ndarray) -> bool:
    return bool(machine.accepts(word[None])[0])


@pytest.mark.parametrize("pattern", ["aa(ba)*", "(ab|ba)*", "((c)*ab(a|b)(c)*)*", "a(b)*a", "(cad|acdc)c"])
@pytest.mark.parametrize("seed", range(2))
def test_of_a_sparse_language_most_words_without_an_edit_are_its_own(pattern, seed):
    machine = regex_machine(pattern, "abcd")
    words, ends = drawn(machine, seed)
    of_its_own = ends[N // 2 :] - TAIL
    whole = [
        in_language(machine, word[:n])
        for word, n in zip(words[N // 2 :], of_its_own.tolist(), strict=True)
        if 0 < n < LENGTH - TAIL
    ]
    assert np.mean(whole) > 0.95, "random words are nearly never in it: nearly all are drawn from it"
    random = draw_words(2000, 12, 4, "uniform", np.random.default_rng(0))
    assert machine.accepts(random).mean() < 0.01


@pytest.mark.parametrize("pattern", ["aa(ba)*", "((c)*ab(a|b)(c)*)*"])
def test_edited_words_are_one_edit_away(pattern):
    machine = regex_machine(pattern, "abc")
    words, ends = drawn(machine)
    n_near = n_tried = 0
    for word, n in zip(words[: N // 2].tolist(), (ends[: N // 2] - TAIL).tolist(), strict=True):
        if not 2 < n < 14:
            continue
        n_tried += 1
        begin = word[: n + 1]
        undone = [begin[:n]] + [begin[:i] + begin[i + 1 :] for i in range(n + 1)]
        undone += [[*word[:i], s, *word[i + 1 : n]] for i in range(n) for s in range(3)]
        undone += [[*word[:i], s, *word[i : n - 1]] for i in range(n) for s in range(3)]
        n_near += any(in_language(machine, np.array(each)) for each in undone)
    assert n_tried > 30
    assert n_near > 0.95 * n_tried


def test_words_of_a_length_are_equally_likely():
    """Of a*ba* there are n words of n symbols."""
    machine = regex_machine("(a)*b(a)*", "ab")
    words, ends = near_language_words(machine, 20_000, 30, np.random.default_rng(0))
    whole = words[10_000:][ends[10_000:] == 5 + TAIL, :5]
    own = whole[machine.accepts(whole)]
    assert len(own) > 200
    counts = np.array([(own[:, i] == 1).sum() for i in range(5)])
    assert counts.sum() == len(own)
    assert counts.max() - counts.min() < 5 * np.sqrt(counts.mean())


def test_what_is_shown_rarely_is_wanted_often():
    """Tomita 4 without 000 is rare of long words, and its complement is not: 1 - share of each, from its own counts."""
    machine = tomita_machine(4)
    words, ends = drawn(machine)
    own = words[N // 2 :], np.maximum(ends[N // 2 :] - TAIL, 0)
    accepted = [in_language(machine, w[:n]) for w, n in zip(*own, strict=True) if 30 < n < LENGTH - TAIL]
    assert np.mean(accepted) > 0.75


@pytest.mark.parametrize("k", [1, 2])
def test_odd_machines_have_words_too(k):
    constant = Machine(np.zeros((1, k), np.int64), np.zeros((1, 1), np.int64))
    assert drawn(constant).words.shape == (N, LENGTH)
    many = Machine((np.arange(40)[:, None] + np.ones((1, k), np.int64)) % 40, np.arange(40)[:, None])
    assert drawn(many).words.shape == (N, LENGTH)
    short = near_language_words(many, 3, 0, np.random.default_rng(0))
    assert short.words.shape == (3, 0)
    assert draw_words(4, 9, k, "near-language", np.random.default_rng(0), many).shape == (4, 9)


def test_a_language_too_sparse_for_floating_point_is_drawn_from_all_the_same():
    """Of 600 symbols one word in 10^600: no float holds that."""
    machine = regex_machine("(abcdefghij)*", "abcdefghij")
    words, ends = near_language_words(machine, 40, 600, np.random.default_rng(0))
    some = [(w, n - TAIL) for w, n in zip(words[20:], ends[20:].tolist(), strict=True) if 400 < n < 600]
    assert some
    assert all(in_language(machine, w[:n]) for w, n in some)
