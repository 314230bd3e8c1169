"""Arrays that are computed piece by piece, as their size asks for it, put together again."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np


@runtime_checkable
class Piece(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


P = TypeVar("P", bound=Piece)


def joined(pieces: Sequence[P]) -> P:
    """One dataclass of all pieces: arrays are joined along their first axis, dataclasses in them likewise, and
    everything else is that of the first piece.

    Raises:
        ValueError: there is no piece.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Sampled:
        ...     x: np.ndarray
        >>> joined([Sampled(np.zeros(2)), Sampled(np.ones(1))]).x.tolist()
        [0.0, 0.0, 1.0]
    """
    if not pieces:
        raise ValueError("there is no piece to join: give an empty one, which has the shapes")
    found: dict[str, Any] = {}
    for field in fields(pieces[0]):
        values = [getattr(piece, field.name) for piece in pieces]
        if isinstance(values[0], np.ndarray):
            found[field.name] = np.concatenate(values)
        elif is_dataclass(values[0]):
            found[field.name] = joined(values)
    return replace(pieces[0], **found)
