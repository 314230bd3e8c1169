"""The check of annotations that runs under the tests, thinned out where a function is called often.

Every shape and type that an annotation names is checked in the first calls of each function, and in some of the later
ones. Checking all of them took most of the time of the tests: a step of a small map takes microseconds, its check 25.
"""

import functools
from collections.abc import Callable
from typing import Any

from beartype import beartype

ALL, EVERY = 100, 20  # the first so many calls, then one in so many


def often(function: Any) -> Any:
    """As `beartype`; for a function that is called more than `ALL` times, one call in `EVERY` from there on."""
    checked: Callable[..., Any] = beartype(function)
    if isinstance(function, type):
        return checked
    n_calls = 0

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls <= ALL or n_calls % EVERY == 0:
            return checked(*arguments, **named)
        return function(*arguments, **named)

    return call
