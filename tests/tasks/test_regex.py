"""Regular expressions against Python's own, word by word, and against machines known by hand."""

import re
from itertools import product

import numpy as np
import pytest

from rnnscope.tasks.machine import Machine
from rnnscope.tasks.regex import regex_machine


@pytest.mark.parametrize(
    ("pattern", "symbols"),
    [
        ("1*", "01"),
        ("(10)*", "01"),
        ("0*1*0*1*", "01"),
        ("(0|1)*11(0|1)*", "01"),
        ("a+b?c*", "abc"),
        ("(ab|ba|)*", "ab"),
        ("[ab]c[^a]*", "abc"),
        ("..(a|.b)?", "ab"),
        ("a{2}b{1,3}a{2,}", "ab"),
        ("(ab?){0,2}a", "ab"),
        ("a{0}b", "ab"),
        ("((a|bb){2}b)*", "ab"),
        ("", "ab"),
        ("a||b", "ab"),
        ("(a*)*b", "ab"),
        ("((a+)?){2}", "ab"),
        ("a+*", "ab"),
    ],
)
def test_accepts_what_python_accepts(pattern: str, symbols: str):
    machine = regex_machine(pattern, symbols)
    oracle = re.compile(pattern if pattern != "a+*" else "(a+)*")
    for length in range(8 if len(symbols) == 2 else 6):
        words = np.array(list(product(range(len(symbols)), repeat=length)), np.int64).reshape(
            len(symbols) ** length, length
        )
        wanted = [oracle.fullmatch("".join(symbols[a] for a in word)) is not None for word in words.tolist()]
        np.testing.assert_array_equal(machine.accepts(words), wanted, err_msg=f"words of length {length}")


def test_is_minimal_and_complete():
    no_000 = Machine(np.array([[1, 0], [2, 0], [3, 0], [3, 3]]), np.array([[1], [1], [1], [0]]))
    found = regex_machine("((|0|00)1)*(|0|00)")
    assert found.equivalent(no_000) == (True, None)
    assert found.n_states == 4


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(10", "not closed"),
        ("10)", "closing bracket"),
        ("*1", "nothing before"),
        ("12", "'2' is no symbol of '01'"),
        ("1{2,1}", "at least 2 and at most 1"),
        ("1{x}", "is no repetition"),
        ("[01", "is missing"),
    ],
)
def test_mistakes_are_named(pattern: str, words: str):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        regex_machine(pattern)


def test_symbols_with_a_meaning_are_refused():
    with pytest.raises(ValueError, match="without a meaning"):
        regex_machine("a", "a|")
