"""Pieces put together again."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from rnnscope.numerics.pieces import joined


@dataclass(frozen=True)
class Inner:
    y: np.ndarray


@dataclass(frozen=True)
class Outer:
    x: np.ndarray
    name: str = "first"
    inner: Inner = field(default_factory=lambda: Inner(np.zeros((1, 2))))


def test_arrays_are_joined_at_every_depth_and_the_rest_is_of_the_first():
    found = joined([Outer(np.arange(2)), Outer(np.arange(3), "second", Inner(np.ones((2, 2))))])
    assert (found.x.tolist(), found.name, found.inner.y.tolist()) == (
        [0, 1, 0, 1, 2],
        "first",
        [[0, 0], [1, 1], [1, 1]],
    )


def test_one_piece_is_copied():
    piece = Outer(np.arange(2))
    assert not np.shares_memory(joined([piece]).x, piece.x)


def test_no_piece_has_no_shape():
    with pytest.raises(ValueError, match="give an empty one"):
        joined([])
