"""The continuous axes along which fixed points are followed: an input, or a parameter of the map."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.continuation.curves import Family
from rnnscope.maps import CompleteMap, HeldInput, keeps_domain
from rnnscope.subjects.subject import Subject, as_subject


class Seen(NamedTuple):
    """What a search finds: fixed points (point, state), and local minima of q that are none."""

    points: np.ndarray
    slow: np.ndarray


# (subject, input to hold, zeros if None, which search of all it is, times the usual starts) -> what it finds.
Search = Callable[[Subject, ArrayLike | None, int, int], Seen]
# Values at which all branches have a row, where only the ends are given.
N_VALUES = 21
# Maps that are kept at a time, as one is asked for several times in a row.
KEPT_MAPS = 64
# A smooth function changes by its second difference over this part of the axis by about its square. What changes by
# more than the second number has been rounded, as weights in single precision are.
CLOSE, ROUGH = 1e-6, 1e-10
# Where maps are rounded, those at the ends of so many intervals are exact, and between them is a cubic.
N_INTERVALS = 256
# The error along the axis that stays, as a part of it.
ROUNDED = 1e-6
# The relative rounding of derivatives in closed form, and of differences along the axis.
EXACT, SLOPE_NOISE = 1e-14, 1e-10


@dataclass(frozen=True)
class Axis:
    """A continuous axis, with the maps along it.

    Attributes:
        family: the maps.
        values: where all branches are to have a row.
        name: what the axis is.
        search: (value, which search of all it is, times the usual starts) -> what is found there.
        keeps: what is known at each of `values` of whether the map keeps its domain, as `keeps_domain` says it.
    """

    family: Family
    values: np.ndarray
    name: str
    search: Callable[[float, int, int], Seen]
    keeps: tuple[str, ...]


def along_inputs(subject: Subject, inputs: ArrayLike, values: ArrayLike | None, search: Search) -> Axis:
    """Along straight lines from each row of `inputs` to the next."""
    driven = subject.map
    path = np.array(inputs, np.float64)
    if not driven.input_size:
        raise ValueError("the map takes no input to go along: follow_parameter goes along a parameter")
    if path.ndim != 2 or path.shape[1] != driven.input_size or len(path) < 2:
        raise ValueError(
            f"inputs must have shape (value, {driven.input_size}) with two rows at least, the inputs to go along, "
            f"got {path.shape}"
        )
    if not np.isfinite(path).all():
        raise ValueError("inputs must be finite numbers")
    steps = np.diff(path, axis=0)
    if not steps.any(1).all():
        row = int(np.flatnonzero(~steps.any(1))[0])
        raise ValueError(f"rows {row} and {row + 1} of inputs are the same: there is no way between them")
    changing = np.flatnonzero(steps.any(0))
    one_way = len(changing) == 1 and len(np.unique(np.sign(steps[:, changing[0]]))) == 1
    if values is not None:
        knots, name = checked_values(values), "position along the inputs"
        if len(knots) != len(path):
            raise ValueError(f"values has {len(knots)} numbers, inputs {len(path)} rows: give one for each")
    elif one_way:
        knots, name = path[:, changing[0]], f"input {changing[0]}"
    else:
        knots, name = np.arange(len(path), dtype=np.float64), "position along the inputs"
    if knots[0] > knots[-1]:
        knots, path, steps = knots[::-1], path[::-1], -steps[::-1]

    def held(along: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(along, knots, column) for column in path.T], -1)

    slopes = steps / np.diff(knots)[:, None]

    def slope(h: np.ndarray, along: np.ndarray) -> np.ndarray:
        piece = np.clip(np.searchsorted(knots, along, side="right") - 1, 0, len(slopes) - 1)
        return (driven.input_jacobian(h, held(along)) @ slopes[piece][..., None])[..., 0]

    family = Family(
        step=lambda h, along: driven.step(h, held(along)),
        jacobian=lambda h, along: driven.jacobian(h, held(along)),
        slope=slope,
        readout=(lambda h, along: driven.readout(h)) if driven.readout_size else None,
        low=float(knots[0]),
        high=float(knots[-1]),
        bounds=_bounds([driven]),
        smooth=_smooth([driven]),
        noise=max(EXACT, driven.jacobian_error),
    )
    grid = knots if len(knots) > 2 else np.linspace(knots[0], knots[-1], N_VALUES)
    keeps = tuple(keeps_domain(driven, each) for each in held(grid))
    return Axis(family, grid, name, lambda value, i, more: search(subject, held(np.array(value)), i, more), keeps)


def along_parameter(
    function: Callable[[float], Any], values: ArrayLike, input: ArrayLike | None, search: Search
) -> Axis:
    """Over the maps that a function of one number returns, or what `as_subject` takes.

    Where it returns networks in single precision, its maps are no smooth function of the number: they are then taken at
    a limited number of values, with a cubic between them, and every fixed point that is found is settled on its own
    map at the end.
    """
    grid = np.sort(checked_values(values))

    @lru_cache(maxsize=KEPT_MAPS)
    def subject(value: float) -> Subject:
        try:
            return as_subject(function(value))
        except TypeError as error:
            raise TypeError(
                f"the function must return a map at every value, at {value:g} it does not: {error}"
            ) from error

    @lru_cache(maxsize=KEPT_MAPS)
    def at(value: float) -> CompleteMap:
        return HeldInput(subject(value).map, input)

    first, last = at(float(grid[0])), at(float(grid[-1]))
    sizes = {(each.state_size, each.readout_size) for each in (first, last)}
    if len(sizes) > 1:
        raise ValueError(
            f"the map has {first.state_size} states at {grid[0]:g} and {last.state_size} at {grid[-1]:g} (outputs: "
            f"{first.readout_size} and {last.readout_size}): only maps of one size can be followed"
        )

    low, high = float(grid[0]), float(grid[-1])
    exact = Family(
        step=lambda h, along: _each(at, h, along, _step),
        jacobian=lambda h, along: _each(at, h, along, _jacobian),
        slope=None,
        readout=(lambda h, along: _each(at, h, along, lambda one, x: one.readout(x))) if first.readout_size else None,
        low=low,
        high=high,
        bounds=_bounds([first, last]),
        smooth=_smooth([first, last]),
        noise=max(SLOPE_NOISE, first.jacobian_error),
    )
    family = exact
    if _is_rounded(exact, first):
        between = _Between(at, low, high)
        family = replace(
            exact,
            step=lambda h, along: between(h, along, _step, slope=False),
            jacobian=lambda h, along: between(h, along, _jacobian, slope=False),
            slope=lambda h, along: between(h, along, _step, slope=True),
            exact=exact,
            rounding=ROUNDED,
        )
    keeps = tuple(keeps_domain(at(value)) for value in grid.tolist())
    return Axis(family, grid, "parameter", lambda value, i, more: search(subject(value), input, i, more), keeps)


def _step(one: CompleteMap, states: np.ndarray) -> np.ndarray:
    return one.step(states, np.empty((len(states), 0)))


def _jacobian(one: CompleteMap, states: np.ndarray) -> np.ndarray:
    return one.jacobian(states, np.empty((len(states), 0)))


def _each(
    at: Callable[[float], CompleteMap],
    states: np.ndarray,
    values: np.ndarray,
    ask: Callable[[CompleteMap, np.ndarray], np.ndarray],
) -> np.ndarray:
    """What the maps say of states, each at its own value."""
    groups = [np.flatnonzero(values == value) for value in dict.fromkeys(values.tolist())]
    found = [ask(at(float(values[rows[0]])), states[rows]) for rows in groups]
    return np.concatenate(found)[np.argsort(np.concatenate(groups), kind="stable")]


def _is_rounded(family: Family, first: CompleteMap) -> bool:
    """Whether the maps change with the parameter in steps, not smoothly."""
    states = np.random.default_rng(0).standard_normal((16, first.state_size))
    if first.domain is not None:
        states = np.clip(states, *np.clip(first.domain, -1e3, 1e3))
    for middle in (0.3, 0.6):
        places = family.low + (family.high - family.low) * (middle + CLOSE * np.array([-1.0, 0.0, 1.0]))
        behind, here, ahead = (family.step(states, np.full(len(states), place)) for place in places)
        second = np.abs(ahead - 2 * here + behind)
        if (second > ROUGH * (1 + np.abs(here))).any():
            return True
    return False


@dataclass(frozen=True)
class _Between:
    """Maps at the ends of equal intervals, with cubics through the four nearest between them."""

    at: Callable[[float], CompleteMap]
    low: float
    high: float

    def __call__(
        self,
        states: np.ndarray,
        values: np.ndarray,
        ask: Callable[[CompleteMap, np.ndarray], np.ndarray],
        *,
        slope: bool,
    ) -> np.ndarray:
        width = (self.high - self.low) / N_INTERVALS
        along = (values - self.low) / width
        first = np.clip(np.floor(along).astype(int) - 1, 0, N_INTERVALS - 3)
        t = along - first
        # Lagrange's polynomials on 0, 1, 2, 3, from their roots; or their derivatives.
        total: np.ndarray | float = 0.0
        for node in range(4):
            others = [k for k in range(4) if k != node]
            a, b, c = (t - k for k in others)
            weight = (a * b + b * c + c * a) / width if slope else a * b * c
            weight = weight / np.prod([node - k for k in others])
            place = (first + node) / N_INTERVALS
            there = _each(self.at, states, self.low * (1 - place) + self.high * place, ask)
            total = total + weight.reshape(-1, *[1] * (there.ndim - 1)) * there
        return np.asarray(total)


def checked_values(values: ArrayLike) -> np.ndarray:
    checked = np.array(values, np.float64)
    if checked.ndim != 1 or len(checked) < 2:
        raise ValueError(f"values must be two numbers at least, in one row, got shape {checked.shape}")
    if not np.isfinite(checked).all():
        raise ValueError(f"values must be finite, got {checked[~np.isfinite(checked)][0]}")
    steps = np.sign(np.diff(checked))
    if not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError("values must rise from each to the next, or fall")
    return checked


def is_bounded(domain: np.ndarray | None) -> bool:
    """Whether a domain is bounded on all sides."""
    return domain is not None and bool(np.isfinite(domain).all())


def _smooth(maps: list[CompleteMap]) -> bool | None:
    said = [each.smooth for each in maps]
    return False if False in said else None if None in said else True


def _bounds(maps: list[CompleteMap]) -> np.ndarray:
    """The loosest bounds of all."""
    domains = [each.domain for each in maps]
    free = np.array([[-np.inf], [np.inf]]).repeat(maps[0].state_size, 1)
    known = [free if domain is None else np.asarray(domain) for domain in domains]
    return np.stack([np.min([d[0] for d in known], 0), np.max([d[1] for d in known], 0)])
