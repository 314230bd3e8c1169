"""Checks of settings that several of these analyses share."""

from typing import Any

import numpy as np


def check_whole(**settings: tuple[Any, int]) -> None:
    """Each setting as name=(value, least).

    Raises:
        TypeError: a value that is no whole number.
        ValueError: one below the least.
    """
    for name, (value, least) in settings.items():
        if not _is_whole(value):
            raise TypeError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")


def checked_count(name: str, value: int | None, most: int, what: str) -> int:
    """`value`, or `most` where it is None; `what` the most is, in words.

    Raises:
        ValueError: above `most`.
    """
    if value is not None and value > most:
        raise ValueError(f"{name} must be from 1 to {most}, {what}, got {value}")
    return most if value is None else value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
