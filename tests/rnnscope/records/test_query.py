"""Queries over a table: what holds is chosen, and nothing but comparisons is understood."""

import numpy as np
import pandas as pd
import pytest

from rnnscope.records.query import rows_where

TABLE = pd.DataFrame(
    {
        "task": ["Parity", "DMS", "Parity", "FlipFlop"],
        "cell.units": [8, 16, 32, 64],
        "lyapunov.first": [0.1, -0.2, np.nan, -0.5],
        "seed": [0, 1, 2, 3],
    },
    index=pd.Index(["a", "b", "c", "d"], name="name"),
)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("task == 'Parity'", [0, 2]),
        ("task != 'Parity'", [1, 3]),
        ("`cell.units` > 8 and `cell.units` <= 32", [1, 2]),
        ("cell.units >= 32", [2, 3]),  # a dot needs no backticks
        ("8 < cell.units < 64", [1, 2]),
        ("`lyapunov.first` < 0", [1, 3]),
        ("not `lyapunov.first` < 0", [0, 2]),
        ("`lyapunov.first` != 0.1", [1, 3]),  # what is missing is no number, and is not compared
        ("task in ['DMS', 'FlipFlop'] or seed == 0", [0, 1, 3]),
        ("task not in ('DMS',)", [0, 2, 3]),
        ("name == 'c'", [2]),
        ("seed == -1", []),
        ("True", [0, 1, 2, 3]),
    ],
)
def test_rows_for_which_it_holds(query, rows):
    assert rows_where(TABLE, query) == rows


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("task ==", "cannot be read"),
        ("", "cannot be read"),
        ("colour == 1", "there is no column 'colour'; there are name, task, cell.units"),
        ("`colour x` == 1", "there is no column 'colour x'"),
        ("task > 3", "compares what cannot be compared"),
        ("task.str.startswith('P')", "more than comparisons"),
        ("__import__('os').system('true')", "more than comparisons"),
        ("task.__class__ == 1", "there is no column 'task.__class__'"),
        ("[s for s in task]", "more than comparisons"),
        ("seed + 1 == 2", "more than comparisons"),
        ("task is None", "write == or !="),
    ],
)
def test_nothing_else_is_understood(query, told):
    with pytest.raises(ValueError, match=told):
        rows_where(TABLE, query)
