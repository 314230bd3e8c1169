"""Arrays among the settings of a task: too large for JSON, where they are described by shape, type and digest."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import PlainSerializer, PlainValidator

_DESCRIPTION = {"shape", "dtype", "sha256"}


def as_array(value: Any) -> np.ndarray | None:
    """A copy as an array that nobody changes; None unchanged.

    Raises:
        ValueError: neither numbers nor words, rows of unequal length, or only the description of an array.
    """
    if value is None:
        return None
    if _is_description(value):
        raise ValueError(
            f"here an array of shape {tuple(value['shape'])} is only described: give the array itself, or take the "
            "task from its run, rs.load_run(...).task"
        )
    try:
        array = np.array(value)
    except (TypeError, ValueError):
        raise ValueError("rows of unequal length make no array: pad the shorter ones, where mask is False") from None
    if array.dtype.kind in "OT" and all(isinstance(entry, str) for entry in array.flat):
        array = array.astype(np.str_)  # as tables keep words
    if array.dtype.kind not in "biufU":
        raise ValueError(f"an array of {array.dtype} holds neither numbers nor words: give numbers, or words alone")
    array.setflags(write=False)
    return array


def describe(array: np.ndarray) -> dict[str, Any]:
    """What stands for an array in `to_config`: two arrays with the same description are the same, bit for bit."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "shape": list(plain.shape),
        "dtype": plain.dtype.str,
        "sha256": hashlib.sha256(plain.reshape(-1).view(np.uint8).data).hexdigest(),
    }


def _as_arrays(value: Any) -> dict[str, np.ndarray] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"give a dictionary, name -> array, not {type(value).__name__}")
    found = {}
    for name, entry in value.items():
        try:
            array = as_array(entry)
        except ValueError as error:
            raise ValueError(f"{name!r}: {error}") from None
        if array is None or not isinstance(name, str):
            raise ValueError(f"{name!r}: give a name and an array, or leave it out")
        found[name] = array
    return found


def _as_share_or_array(value: Any) -> float | np.ndarray | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else as_array(value)


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: describe(entry) for name, entry in value.items()}
        case np.ndarray():
            return describe(value)
    return value


# The types of settings that are arrays.
ArraySetting = Annotated[np.ndarray, PlainValidator(as_array), PlainSerializer(_plain)]
OptionalArray = Annotated[np.ndarray | None, PlainValidator(as_array), PlainSerializer(_plain)]
LabelArrays = Annotated[Mapping[str, np.ndarray] | None, PlainValidator(_as_arrays), PlainSerializer(_plain)]
ShareOrArray = Annotated[float | np.ndarray, PlainValidator(_as_share_or_array), PlainSerializer(_plain)]


def described_arrays(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The descriptions that a config holds, by the names of the settings; an entry of a mapping is "name.entry"."""
    found = {}
    for name, value in config.items():
        if _is_description(value):
            found[name] = value
        elif isinstance(value, Mapping):
            found |= {f"{name}.{entry}": inner for entry, inner in described_arrays(value).items()}
    return found


def with_arrays(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The config with arrays in place of their descriptions."""
    filled = dict(config)
    for name, array in arrays.items():
        group, dot, entry = name.partition(".")
        filled[group] = {**(filled.get(group) or {}), entry: array} if dot else array
    return filled


def _is_description(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == _DESCRIPTION and isinstance(value["sha256"], str)
