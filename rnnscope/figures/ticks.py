"""Ticks of an axis: as many as there is room for, and what is written at them."""

import base64
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from rnnscope.figures.text import text_height, text_width, wrap

# An axis wants no more than this, however long it is.
_MOST_TICKS = 8
# Names of more places than this are thinned out, like numbers; fewer are turned upright where they have no room.
_MOST_NAMES = 12
_UNPACKED = {"i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32", "f4": "float32",
             "f8": "float64"}  # fmt: skip


@dataclass(frozen=True)
class Ticks:
    """How an axis is ticked.

    Attributes:
        settings: of plotly's axis.
        along: the room its labels take along the axis's other direction: widths of a y axis, heights of an x axis.
    """

    along: float
    settings: dict[str, Any] = field(default_factory=dict)


def values_of(data: Any) -> list[Any]:
    """The values of a list, an array, or plotly's packed array."""
    if isinstance(data, dict) and "bdata" in data:
        packed = np.frombuffer(base64.b64decode(data["bdata"]), _UNPACKED[data["dtype"]])
        return packed.tolist()
    return [] if data is None else np.asarray(data).ravel().tolist() if not isinstance(data, list) else data


def ticks(axis: dict[str, Any], letter: str, drawn: list[Any], length: float, size: float) -> Ticks:
    """The ticks of an axis.

    Args:
        axis: plotly's settings of it.
        letter: "x" or "y".
        drawn: the values that traces have on it.
        length: of the axis, in pixels.
        size: of its labels, in pixels.
    """
    if axis.get("showticklabels") is False or axis.get("visible") is False:
        return Ticks(0.0, {})
    if axis.get("tickvals") is not None:
        at = values_of(axis["tickvals"])
        words = [str(w) for w in values_of(axis.get("ticktext"))] or [_number(v, 0) for v in at]
        return _named(at, words, letter, length, size, _share_between(at, axis, drawn))
    names = _categories(axis, drawn)
    if names:
        return _named(names, [str(n) for n in names], letter, length, size, 1 / len(names))
    low, high = _range(axis, drawn)
    if axis.get("type") == "log":
        return _decades(axis, letter, (low, high), length, size)
    n, wide = _fitting([(low, high), _bare_range(axis, drawn)], letter, length, size)
    dtick = axis.get("dtick")
    settings = {"nticks": n, "tickangle": 0} | ({"dtick": None} if dtick is not None else {})
    # Ticks of whole numbers stay whole where there is room for few.
    if isinstance(dtick, (int, float)) and (high - low) / dtick <= n:
        settings.pop("dtick")
    return Ticks(wide if letter == "y" else size, settings)


def _fitting(spans: list[tuple[float, float]], letter: str, length: float, size: float) -> tuple[int, float]:
    """How many ticks of numbers have room whichever of these spans it is, two at least, and how wide the widest is."""
    n = _MOST_TICKS
    while True:
        of_spans = [_numbers(low, high, n) for low, high in spans]
        wide = max(text_width(w, size) for words in of_spans for w in words)
        each = wide + size if letter == "x" else 2 * size
        if n == 2 or all(len(words) * each <= length * (1 + 1 / max(len(words) - 1, 1)) for words in of_spans):
            return n, wide
        n -= 1


def _named(at: list[Any], words: list[str], letter: str, length: float, size: float, share: float) -> Ticks:
    """Words at places that lie `share` of the axis apart."""
    apart = length * share
    settings: dict[str, Any] = {"tickmode": "array", "tickangle": 0}
    if letter == "y":
        step = max(1, math.ceil(1.15 * size * max(w.count("<br>") + 1 for w in words) / apart)) if apart > 0 else 1
        settings |= {"tickvals": at[::step], "ticktext": words[::step]}
        return Ticks(max(text_width(w, size) for w in words[::step]), settings)
    widest = max(text_width(w, size) for w in words)
    whole = words
    wrapped = [wrap(w, size, apart - 0.5 * size) for w in words]
    if widest + 0.4 * size > apart and max(text_width(w, size) for w in wrapped) <= apart - 0.5 * size:
        words, widest = wrapped, max(text_width(w, size) for w in wrapped)
    step = max(1, math.ceil((widest + 0.5 * size) / apart)) if apart > 0 else 1
    if step > 1 and not (len(words) > _MOST_NAMES and all(len(w) <= 4 for w in words)):
        step = max(1, math.ceil(1.15 * size / apart))
        settings |= {"tickangle": -90, "tickvals": at[::step], "ticktext": whole[::step]}
        return Ticks(max(text_width(w, size) for w in whole), settings)
    settings |= {"tickvals": at[::step], "ticktext": words[::step]}
    return Ticks(max(text_height(w, size) for w in words), settings)


def _decades(axis: dict[str, Any], letter: str, ends: tuple[float, float], length: float, size: float) -> Ticks:
    span = ends[1] - ends[0]
    plain = "g" in str(axis.get("tickformat", ""))
    inside = range(math.ceil(ends[0] - 1e-9), math.floor(ends[1] + 1e-9) + 1)
    words = [f"{10.0**k:g}" if plain else "10−00" for k in inside] or ["0.00"]
    wide = max(text_width(w, size) for w in words)
    room = max(2, int(length / (wide + 0.8 * size if letter == "x" else 2 * size)))
    if len(inside) >= 2:
        settings = {"dtick": max(1, math.ceil(span / room)), "tickangle": 0}
    else:
        settings = {"dtick": None, "nticks": min(room, 4), "tickangle": 0}
        wide = max(wide, text_width("0.00", size))
    return Ticks(wide if letter == "y" else size, settings)


def _share_between(at: list[Any], axis: dict[str, Any], drawn: list[Any]) -> float:
    """The least distance of neighbouring ticks, as a share of the axis."""
    if len(at) < 2 or not all(isinstance(v, (int, float)) for v in at):
        return 1 / max(len(at), 1)
    low, high = _range(axis, drawn)
    apart = min(abs(b - a) for a, b in pairwise(at))
    return min(1.0, apart / (high - low)) if high > low else 1.0


def _categories(axis: dict[str, Any], drawn: list[Any]) -> list[Any]:
    words = [v for v in drawn if isinstance(v, str)]
    if axis.get("type") == "category":
        return list(dict.fromkeys(v for v in drawn if v is not None))
    return list(dict.fromkeys(words)) if words and len(words) == len(drawn) and not _numeric(words) else []


def _numeric(words: list[str]) -> bool:
    try:
        [float(w) for w in words]
    except ValueError:
        return False
    return True


def _range(axis: dict[str, Any], drawn: list[Any]) -> tuple[float, float]:
    """The ends of the axis; of a logarithmic one, their exponents."""
    given = axis.get("range")
    if given is not None and None not in given:
        return float(min(given)), float(max(given))
    log = axis.get("type") == "log"
    seen = [float(v) for v in drawn if isinstance(v, (int, float)) and math.isfinite(v) and (v > 0 or not log)]
    if not seen:
        return 0.0, 1.0
    if log:
        seen = [math.log10(v) for v in seen]
    low, high = min(seen), max(seen)
    to_zero = axis.get("rangemode") == "tozero" and not log
    if to_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return low - (not to_zero), high + 1.0
    pad = 0.05 * (high - low)
    # An axis that ends at zero has no room beyond it.
    return low - pad * (low < 0 or not to_zero), high + pad * (high > 0 or not to_zero)


def _bare_range(axis: dict[str, Any], drawn: list[Any]) -> tuple[float, float]:
    """The ends where plotly adds no room, as along lines: it then has other ticks."""
    low, high = _range(axis, drawn)
    if axis.get("range") is not None and None not in axis["range"]:
        return low, high
    seen = [float(v) for v in drawn if isinstance(v, (int, float)) and math.isfinite(v)]
    if not seen or min(seen) == max(seen):
        return low, high
    if axis.get("rangemode") == "tozero":
        return min(*seen, 0.0), max(*seen, 0.0)
    return min(seen), max(seen)


def axis_range(axis: dict[str, Any], drawn: list[Any]) -> tuple[float, float]:
    """The ends of the axis, about: plotly pads markers by their size as well."""
    return _range(axis, drawn)


def _numbers(low: float, high: float, n: int) -> list[str]:
    rough = (high - low) / n
    power = math.floor(math.log10(rough))
    step = next(m for m in (1, 2, 5, 10) if m * 10.0**power >= rough * (1 - 1e-9)) * 10.0**power
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_number(k * step, digits) for k in range(first, last + 1)] or ["0"]


def _number(value: Any, digits: int) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    text = f"{value:.{digits}f}" if digits or abs(value) < 1e5 else f"{value:.3g}"
    return text.replace("-", "−")
