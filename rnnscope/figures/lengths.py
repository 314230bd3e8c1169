"""Lengths as people write them, and what they are in CSS pixels."""

import math
import re

# By definition of CSS: 96 pixels to the inch of 25.4 mm, 72 points to the inch.
PIXELS_PER_MM = 96 / 25.4
PIXELS_PER_POINT = 96 / 72
_MM = {"mm": 1.0, "cm": 10.0, "in": 25.4, "pt": 25.4 / 72, "px": 1 / PIXELS_PER_MM}
_WRITTEN = re.compile(r"\s*([+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*")


def millimetres(length: str | int | float, what: str, unit: str = "px") -> float:
    """The length in millimetres: "85mm", "8.5cm", "3.3in", "320px", "240pt"; a number alone is in `unit`.

    Args:
        length: what was written; a number means so many of `unit`.
        what: what it is the length of, for the error.
        unit: the unit of a number without one.

    Raises:
        ValueError: it is no length, or not greater than 0.
    """
    found = _WRITTEN.fullmatch(str(length)) if not isinstance(length, bool) else None
    named = (found[2].lower() or unit) if found else ""
    if found is None or named not in _MM:
        known = ", ".join(_MM)
        raise ValueError(f"{what} is a number with one of the units {known}, such as 85mm; got {length!r}")
    value = float(found[1]) * _MM[named]
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{what} must be greater than 0 and finite, got {length!r}")
    return value
