"""Options that drawings have in common: their types, and the rows that they choose."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int64
from typing_extensions import TypeAliasType

from rnnscope.question import Whole

Dims = TypeAliasType("Dims", Literal[2, 3])
# One row or several: of trials, units, components, held inputs.
Rows = TypeAliasType("Rows", Whole | Sequence[Whole])


def chosen_rows(given: "int | Sequence[int] | None", n: int, what: str) -> Int64[np.ndarray, " chosen"]:
    """The rows that an option names, in its order; all of them if it is None.

    Args:
        given: the option.
        n: how many rows there are.
        what: the name of the option, for the message.

    Raises:
        ValueError: a row that there is not, one named twice, or none.

    Example:
        >>> chosen_rows([2, 0], 3, "trials").tolist()
        [2, 0]
    """
    if given is None:
        return np.arange(n)
    rows = np.atleast_1d(np.asarray(given, np.int64))
    there_are = f"there are {n}, from 0 to {n - 1}" if n else "there are none"
    if not len(rows):
        raise ValueError(f"{what} names none: {there_are}; leave it out for all")
    for row in rows:
        if not 0 <= row < n:
            raise ValueError(f"{what} has no row {row}: {there_are}")
    if len(np.unique(rows)) < len(rows):
        raise ValueError(f"{what} names a row twice, got {rows.tolist()}: name each once")
    return rows


def chosen_axes(
    dims: "int | None", components: "int | Sequence[int] | None", n: int, most: int = 3
) -> Int64[np.ndarray, " axis"]:
    """The components that become the axes of a figure.

    Args:
        dims: how many axes; None for as many as there are, at most `most`.
        components: which components, counted from 0; the first ones if None.
        n: how many components the result holds.
        most: axes where nobody says how many.

    Raises:
        ValueError: the result holds fewer, or as many components were not named as there are axes.

    Example:
        >>> chosen_axes(2, None, 5).tolist(), chosen_axes(None, [0, 3], 5).tolist()
        ([0, 1], [0, 3])
    """
    if components is None:
        dims = min(most, n) if dims is None else dims
        if dims > n:
            raise ValueError(f"dims={dims} needs {dims} components, and the result holds {n}: leave dims out")
        return np.arange(dims)
    rows = chosen_rows(components, n, "components")
    if len(rows) not in (2, 3) or (dims is not None and len(rows) != dims):
        wanted = "two or three" if dims is None else f"{dims}, as dims says,"
        raise ValueError(f"components must name {wanted} components to be axes, got {rows.tolist()}")
    return rows
