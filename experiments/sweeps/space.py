"""Which settings a sweep varies, and how: all combinations of values, or points drawn at random or evenly spread."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np

from rnnscope.tasks.settings import settings_class

How = Literal["grid", "random", "sobol"]
PARTS = ("task", "cell", "training", "analyses")


@settings_class
class Range:
    """Numbers from `low` to `high`, evenly likely; with `log`, evenly likely in their logarithm.

    Args:
        low, high: the ends; whole numbers give whole numbers, both ends included.
        log: whether to spread by the logarithm; then both must be positive.

    Raises:
        ValueError: `high` is not above `low`, or a logarithm of what is not positive.
    """

    low: float | int
    high: float | int
    log: bool = False

    def __post_init__(self) -> None:
        if not self.high > self.low:
            raise ValueError(f"a range needs high above low, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a range of logarithms needs positive ends, got {self.low}")

    def at(self, share: float) -> float | int:
        """The value at a share in [0, 1) of the way."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        high = self.high + 1 if whole else self.high
        if self.log:
            value = float(np.exp(np.log(self.low) + share * (np.log(high) - np.log(self.low))))
        else:
            value = self.low + share * (high - self.low)
        return min(int(value), int(self.high)) if whole else float(value)


Axis = Range | Sequence[Any]


def points(
    axes: Mapping[str, Axis | int], *, how: How = "grid", n: int | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """The points of a sweep, each setting -> value.

    Args:
        axes: setting -> values, or a `Range` to draw from. Names begin with task., cell., training. or analyses., or
            are "seed". Of "seed" a number stands for that many: 10 is 0 to 9.
        how: "grid" for all combinations; "random", or "sobol" for points that are spread more evenly than at random
            (Sobol' 1967, scrambled), draw a point of all axes but "seed", and each is there with all seeds.
        n: points to draw; of a grid None.
        seed: of the draws.

    Raises:
        ValueError: an axis without values, with values that repeat, or of a name that there is not; a range in a grid;
            no `n`, or one where it does nothing.

    Example:
        >>> len(points({"cell.units": [8, 16], "seed": 3}))
        6
    """
    if how not in get_args(How):
        raise ValueError(f"how must be {' or '.join(map(repr, get_args(How)))}, got {how!r}")
    if not axes:
        raise ValueError("there is no axis: name settings with their values, such as {'cell.units': [16, 32]}")
    given = {name: _checked(name, axis) for name, axis in axes.items()}
    if how == "grid":
        if n is not None:
            raise ValueError(f"n = {n} does nothing in a grid, which has all combinations: leave it out")
        for name, axis in given.items():
            if isinstance(axis, Range):
                raise ValueError(f"{name} is a range, and a grid needs values: list them, or draw with how='random'")
        return [dict(zip(given, values, strict=True)) for values in product(*map(_listed, given.values()))]
    if n is None or n < 1:
        raise ValueError(f"n must say how many points to draw, from 1 on, got {n}")
    seeds = _listed(given.pop("seed", (0,)))
    shares = _shares(how, n, len(given), seed) if given else np.zeros((n, 0))
    drawn = [
        {name: _drawn(axis, share) for (name, axis), share in zip(given.items(), row, strict=True)}
        for row in shares.tolist()
    ]
    return [{**point, "seed": each} for point in _distinct(drawn) for each in seeds]


def _checked(name: str, axis: Axis | int) -> Axis:
    if name != "seed" and not (name.partition(".")[0] in PARTS and name.partition(".")[2]):
        raise ValueError(
            f"unknown setting {name!r}: names begin with {', '.join(f'{part}.' for part in PARTS)}, or are 'seed'"
        )
    if name == "seed" and isinstance(axis, int) and not isinstance(axis, bool):
        axis = range(axis)
    if isinstance(axis, Range):
        return axis
    if isinstance(axis, str | bytes | Mapping) or not isinstance(axis, Iterable):
        raise ValueError(f"{name} must be a list of values or a Range, got {axis!r}")
    values = list(axis)
    if not values:
        raise ValueError(f"{name} has no value: list at least one")
    if len({repr(value) for value in values}) < len(values):
        raise ValueError(f"{name} has a value twice: {values}")
    return values


def _listed(axis: Axis) -> Sequence[Any]:
    if isinstance(axis, Range):
        raise ValueError("seeds are listed or counted, not drawn from a range")
    return axis


def _shares(how: How, n: int, n_axes: int, seed: int) -> np.ndarray:
    if how == "random":
        return np.random.default_rng([seed, 0x5EE]).random((n, n_axes))
    from scipy.stats import qmc

    more = 1 << (n - 1).bit_length()  # Sobol' points are even in powers of two
    return qmc.Sobol(n_axes, scramble=True, rng=np.random.default_rng([seed, 0x50B])).random(more)[:n]


def _drawn(axis: Axis, share: float) -> Any:
    return axis.at(share) if isinstance(axis, Range) else axis[int(share * len(axis))]


def _distinct(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({repr(point): point for point in drawn}.values())
