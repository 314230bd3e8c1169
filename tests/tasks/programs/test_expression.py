"""What numpy computes of a formula is what Python computes of its text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.tasks.programs.expression import Expression, apply, name, number

OPS = ("+", "-", "*", "max", "min", "==", "!=", "<", "<=", ">", ">=")


def extended(inner):
    two = st.builds(apply, st.sampled_from(OPS), inner, inner)
    divided = st.builds(apply, st.sampled_from(("//", "%")), inner, st.integers(1, 5))
    conditions = (st.builds(apply, st.sampled_from(("<", "==")), inner, inner) for _ in range(2))
    logical = st.builds(apply, st.sampled_from(("and", "or")), *conditions)
    one = st.builds(apply, st.sampled_from(("abs", "sign")), inner)
    chosen = st.builds(lambda c, a, b: apply("if", apply(">", c, 0), a, b), inner, inner, inner)
    several = st.builds(lambda a, b, c: Expression("distinct", (a, b, c)), inner, inner, inner)
    alone = st.builds(lambda a, b: Expression("is", (a, b), (0, 1)), inner, inner)
    return st.one_of(two, divided, logical, one, chosen, several, alone)


formulas = st.recursive(
    st.one_of(st.sampled_from(("x", "y", "z")).map(name), st.integers(-3, 3).map(number)), extended, max_leaves=8
)


@settings(max_examples=300, deadline=None)
@given(formulas, st.tuples(*[st.integers(-4, 4)] * 3))
def test_text_and_numpy_agree(formula, values):
    known = dict(zip("xyz", values, strict=True))
    by_numpy = formula.of({key: np.array([value]) for key, value in known.items()})
    assert int(np.broadcast_to(by_numpy, (1,))[0]) == eval(formula.python(), {}, known)


def test_a_table_is_written_once_and_refuses_what_it_has_no_row_for():
    rows = (((0, 1), 5), ((1, 1), 7))
    table = Expression("table", (name("x"), name("y")), rows)
    tables = {}
    assert apply("+", table, table).python(tables) == "TABLE[x, y] + TABLE[x, y]"
    assert tables == {rows: "TABLE"}
    assert table.of({"x": np.array([1, 0]), "y": np.array([1, 1])}).tolist() == [7, 5]
    with pytest.raises(ValueError, match="no row"):
        table.of({"x": np.array([1]), "y": np.array([0])})


def test_less_than_nothing_is_written_short():
    assert apply("+", name("y"), apply("-", 0, apply("+", name("x"), 1))).python() == "y + -(x + 1)"
    assert apply("*", apply("-", 0, name("x")), name("y")).python() == "-x * y"
