"""Where in a state an intervention acts: units, or a subspace, of the layers and parts that are meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from pydantic import BeforeValidator

from rnnscope.maps.layout import Part
from rnnscope.numerics.affine import Affine

# Vectors closer than this to those before them, relative to their length, span nothing of their own.
DEPENDENT = 1e-8


def _tuples(value: Any) -> Any:
    """Arrays, ranges, lists and tensors as nested tuples, which settings are saved as."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, range | list | tuple):
        return tuple(_tuples(part) for part in value)
    return value


def _one_or_several(value: Any) -> Any:
    found = _tuples(value)
    if found == ():
        raise ValueError("give at least one, got none; leave it out for all")
    several = found if isinstance(found, tuple) else (found,)
    if found is not None and not all(isinstance(each, int) and not isinstance(each, bool) for each in several):
        raise ValueError(f"must be a whole number or several, as 3 or [3, 7], got {value!r:.60}")
    return None if found is None else several


# The settings that interventions share: a whole number or several, numbers, rows of numbers.
Numbers = Annotated[tuple[int, ...], BeforeValidator(_one_or_several)]
Vector = Annotated[tuple[float, ...], BeforeValidator(lambda v: _several(v, "[0.5, -1.0]"))]
Rows = Annotated[
    tuple[tuple[float, ...], ...], BeforeValidator(lambda v: _rows(_several(v, "[[1.0, 0.0], [0.0, 1.0]]")))
]


def _several(value: Any, example: str) -> Any:
    found = _tuples(value)
    if found is not None and not isinstance(found, tuple):
        raise ValueError(f"must be numbers, as {example}, got {value!r:.60}")
    return found


def _rows(value: Any) -> Any:
    return (value,) if isinstance(value, tuple) and value and not isinstance(value[0], tuple) else value


@dataclass(frozen=True, eq=False)
class Place:
    """Numbers of a state, or directions in it.

    Attributes:
        state_size: numbers in the state.
        numbers: which numbers of the state, ascending; None where there are directions.
        directions: orthonormal columns.
    """

    state_size: int
    numbers: np.ndarray | None = None
    directions: Float[np.ndarray, "state direction"] | None = None

    @property
    def size(self) -> int:
        return len(self.numbers) if self.numbers is not None else self._columns.shape[1]

    @property
    def _columns(self) -> np.ndarray:
        if self.directions is None:
            raise TypeError("this place is one of units, and has no directions")
        return self.directions

    def of(self, states: Float[np.ndarray, "*batch state"]) -> Float[np.ndarray, "*batch state"]:
        """What of states lies there; zero elsewhere."""
        if self.numbers is None:
            return states @ self._columns @ self._columns.T
        found = np.zeros_like(states)
        found[..., self.numbers] = states[..., self.numbers]
        return found

    def filled(self, values: Float[np.ndarray, "*batch coordinate"]) -> Float[np.ndarray, "*batch state"]:
        """The states that have these coordinates there, and zero elsewhere."""
        if self.numbers is None:
            return values @ self._columns.T
        found = np.zeros((*values.shape[:-1], self.state_size))
        found[..., self.numbers] = values
        return found

    def scaled(self, factor: float) -> np.ndarray:
        """The matrix, or its diagonal, that multiplies what lies there, and leaves the rest."""
        if self.numbers is None:
            return np.eye(self.state_size) + (factor - 1) * self._columns @ self._columns.T
        diagonal = np.ones(self.state_size)
        diagonal[self.numbers] = factor
        return diagonal

    def replaced(self, states: Float[np.ndarray, "*batch state"]) -> Affine:
        """The change after which what lies there is that of `states`."""
        return Affine(self.scaled(0.0), self.of(states))


def place(
    layout: tuple[Part, ...],
    *,
    units: Sequence[int] | None = None,
    directions: Sequence[Sequence[float]] | None = None,
    part: str | None = None,
    layer: int | None = None,
) -> Place:
    """Find the numbers of a state that are meant.

    Args:
        layout: of the state.
        units: of every part and layer that is meant; all if None.
        directions: vectors over the numbers that are meant, one part after another; instead of units.
        part: "h" or "c"; both if None.
        layer: from 0; all if None.

    Raises:
        ValueError: there is no such unit, part or layer; directions of another size, across layers, or that depend on
            one another.
    """
    size = layout[-1].stop
    meant = [each for each in layout if layer in (None, each.layer) and part in (None, each.name)]
    if not meant:
        known = ", ".join(f"{each.name!r} of layer {each.layer} ({each.n_units} units)" for each in layout)
        wanted = " of ".join(f"{k} {v!r}" for k, v in (("part", part), ("layer", layer)) if v is not None)
        raise ValueError(f"this network has no {wanted}; it has {known}")
    if directions is not None:
        if units is not None:
            raise ValueError("units and directions cannot both be given: name one of them, or intervene twice")
        return Place(size, directions=_orthonormal(np.array(_regular(directions), np.float64), meant, size))
    if units is None:
        return Place(size, np.concatenate([np.arange(each.start, each.stop) for each in meant]))
    fewest = min(each.n_units for each in meant)
    wrong = [unit for unit in units if not 0 <= unit < fewest]
    if wrong:
        raise ValueError(
            f"units must be of 0 to {fewest - 1}, got {wrong[0]}: "
            f"the {'smallest ' if len(meant) > 1 else ''}layer meant has {fewest}"
        )
    if len(set(units)) < len(units):
        raise ValueError(f"units must be different ones, got {tuple(units)}")
    return Place(size, np.concatenate([each.start + np.unique(units) for each in meant]))


def over(
    vector: Sequence[float], layout: tuple[Part, ...], part: str | None, layer: int | None
) -> Float[np.ndarray, " state"]:
    """A vector over the parts that are meant, as one over the whole state.

    Raises:
        ValueError: it is of another size; no such part or layer.
    """
    there = place(layout, part=part, layer=layer)
    if len(vector) != there.size:
        raise ValueError(f"the vector must have {there.size} numbers, as what is meant of the state, got {len(vector)}")
    return there.filled(np.array(vector, np.float64))


def _regular(directions: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    if not len(directions) or len({len(row) for row in directions}) != 1:
        raise ValueError(f"directions must be rows of one length, at least one, got {len(directions)} rows")
    return directions


def _orthonormal(rows: np.ndarray, meant: list[Part], state_size: int) -> np.ndarray:
    numbers = np.concatenate([np.arange(each.start, each.stop) for each in meant])
    if rows.shape[1] != len(numbers):
        raise ValueError(
            f"directions must have {len(numbers)} numbers, as what is meant of the state, got {rows.shape[1]}"
        )
    if len({each.layer for each in meant}) > 1:
        raise ValueError(
            "a direction across layers is none: a layer sees what the one below it shows within the same step. "
            "Name the layer"
        )
    lengths = np.linalg.norm(rows, axis=1)
    if not np.isfinite(rows).all() or not (lengths > 0).all():
        raise ValueError("directions must be finite and not zero")
    q, r = np.linalg.qr((rows / lengths[:, None]).T)
    if len(rows) > len(numbers) or (np.abs(np.diag(r)) < DEPENDENT).any():
        raise ValueError(f"the {len(rows)} directions depend on one another: leave out those that the others span")
    columns = np.zeros((state_size, len(rows)))
    # The signs of the given vectors, whichever way the factorisation turns them.
    columns[numbers] = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return columns
