"""A result as a table: one row a point, an exponent, a state, and a column for each number that it has of these."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnnscope.records.labelled import Labelled, labelled

if TYPE_CHECKING:
    import pandas as pd

# An array of so many columns is unfolded. Wider ones, such as states of 64 units, would bury all else; they are left
# to `to_xarray`.
MOST_COLUMNS = 8


class Column(NamedTuple):
    """One column.

    Attributes:
        name: of the field; of a column of a wider array the place in it too, "points_0".
        values: one a row.
        alone: whether the array has no other columns.
    """

    name: str
    values: np.ndarray
    alone: bool


def to_dataframe(result: Any, axis: str = "") -> "pd.DataFrame":
    """The arrays along one axis side by side, those of parts too, as far as they have at most `MOST_COLUMNS` columns.

    Args:
        result: a result or a part of one.
        axis: of which there is a row each; the first of its first array that fits if "". Where there is an array of
            this name, as of the steps of an axis "time", its values are the index.
    """
    import pandas as pd

    axis, index, columns = table_of(result, axis)
    return pd.DataFrame({c.name: c.values for c in columns}, index=pd.Index(index, name=axis or None))


def table_of(result: Any, axis: str = "") -> tuple[str, np.ndarray, list[Column]]:
    """(axis, its values, columns) of the table, in the order of the fields."""
    arrays = list(_arrays(labelled(result)))
    axis = axis or next((axes[0] for _, axes, values in arrays if _fits(values)), "")
    along = [(name, values) for name, axes, values in arrays if axes[:1] == (axis,)]
    n_rows = len(along[0][1]) if along else 0
    index, columns = np.arange(n_rows), []
    for name, values in along:
        if len(values) != n_rows or not _fits(values):  # an axis of the same name in another part; too wide
            continue
        if values.ndim == 2:
            columns += [Column(f"{name}_{i}", values[:, i], False) for i in range(values.shape[1])]
        elif name == axis:
            index = values
        else:
            columns.append(Column(name, values, True))
    return axis, index, columns


def _fits(values: np.ndarray) -> bool:
    return values.ndim == 1 or (values.ndim == 2 and values.shape[1] <= MOST_COLUMNS)


def _arrays(found: Labelled) -> Iterator[tuple[str, tuple[str, ...], np.ndarray]]:
    """(name, axes, array), the own ones first. Those of a part are called as they are there, unless another has that
    name. Parts in a tuple are left out: each has rows of its own."""
    taken = set(found.arrays)
    for name, (axes, array) in found.arrays.items():
        yield name, axes, array
    for part, inner in found.parts.items():
        if part in _in_tuples(found):
            continue
        for name, axes, array in _arrays(inner):
            yield f"{part}_{name}" if name in taken else name, axes, array
            taken.add(name)


def _in_tuples(found: Labelled) -> set[str]:
    counts = {name: n for name, n in found.values.items() if isinstance(n, int) and not isinstance(n, bool)}
    return {f"{name}_{i}" for name, n in counts.items() for i in range(n) if f"{name}_{i}" in found.parts}
