"""Which classes the result of an analysis may be of. The declarations of the analyses fill it."""

from collections.abc import Callable
from typing import Any

_KINDS: dict[str, tuple[type[Any], ...]] = {}
_FILL: list[Callable[[], object]] = []


def declare(analysis: str, classes: tuple[type[Any], ...]) -> None:
    """Say what the results of an analysis are."""
    _KINDS[analysis] = classes


def fill_with(load: Callable[[], object]) -> None:
    """Say what declares the analyses; it is called when one is asked for the first time."""
    _FILL.append(load)


def fill() -> None:
    """Load what declares the analyses, if it is not there yet."""
    while _FILL:
        _FILL.pop()()


def kinds_of(analysis: str) -> tuple[type[Any], ...]:
    """The classes.

    Raises:
        ValueError: no analysis of this name is declared.
    """
    if analysis not in _KINDS:
        fill()
    if analysis not in _KINDS:
        raise ValueError(
            f"there is no analysis {analysis!r}, only {', '.join(_KINDS)}: import the module that declares it"
        )
    return _KINDS[analysis]
