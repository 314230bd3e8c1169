"""Units that are taken out together: each by itself, by time constant, by correlation, or as somebody says."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.maps.layout import Part
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories

By = Literal["units", "time constants", "clusters"]


def unit_numbers(layout: tuple[Part, ...]) -> list[tuple[str, list[int]]]:
    """Every unit of every layer: its name, and its numbers in the state (two of an LSTM's)."""
    layers = sorted({part.layer for part in layout})
    found = []
    for layer in layers:
        parts = [part for part in layout if part.layer == layer]
        for unit in range(min(part.n_units for part in parts)):
            name = str(unit) if len(layers) == 1 else f"{layer}.{unit}"
            found.append((name, [part.start + unit for part in parts if unit < part.n_units]))
    return found


def grouped(
    subject: Subject,
    trajectories: Trajectories,
    by: By,
    n_groups: int,
    given: Mapping[str, Sequence[int]] | None,
) -> tuple[tuple[str, ...], Bool[np.ndarray, "group unit"]]:
    """Names of groups, and which units are in each; units are numbered through all layers, first layer first.

    Raises:
        ValueError: a group without units, or of units that are not there.
    """
    units = unit_numbers(subject.map.layout)
    n = len(units)
    if given is not None and not given:
        raise ValueError("groups must name at least one group, got none; leave it out for all units")
    if given is not None:
        members = np.zeros((len(given), n), bool)
        for row, (name, numbers) in zip(members, given.items(), strict=True):
            wrong = [unit for unit in numbers if not 0 <= unit < n]
            if wrong or not len(numbers):
                raise ValueError(
                    f"group {name!r} must have units of 0 to {n - 1}, got {wrong[0] if wrong else 'none'}"
                    + (" (units are numbered through all layers)" if len(subject.map.layout) > 1 else "")
                )
            row[list(numbers)] = True
        return tuple(given), members
    if by == "units":
        return tuple(name for name, _ in units), np.eye(n, dtype=bool)
    shown = np.stack([trajectories.states[..., numbers[0]] for _, numbers in units], -1)
    n_groups = min(n_groups, n)
    if by == "time constants":
        tau = time_constants(shown, trajectories.valid)
        members = np.zeros((n_groups, n), bool)
        for row, some in zip(members, np.array_split(np.argsort(tau, kind="stable"), n_groups), strict=True):
            row[some] = True
        names = tuple(f"tau {tau[row].min():.3g} to {tau[row].max():.3g}" for row in members)
        return _distinct(names), members
    if n_groups == 1:
        return ("cluster 0",), np.ones((1, n), bool)
    from sklearn.cluster import AgglomerativeClustering

    seen = shown[trajectories.valid]
    spread = seen.std(0)
    alike = np.zeros((n, n))
    moving = spread > 0
    alike[np.ix_(moving, moving)] = np.corrcoef(seen[:, moving].T)
    distance = np.sqrt(np.clip(1 - alike, 0, 2))
    np.fill_diagonal(distance, 0)
    label = AgglomerativeClustering(n_groups, metric="precomputed", linkage="average").fit_predict(distance)
    order = np.argsort([np.flatnonzero(label == k)[0] for k in range(n_groups)])
    return tuple(f"cluster {k}" for k in range(n_groups)), np.stack([label == k for k in order])


def time_constants(
    states: Float[np.ndarray, "trial time unit"], valid: Bool[np.ndarray, "trial time"]
) -> Float[np.ndarray, " unit"]:
    """-1 / ln of the correlation of neighbouring steps within trials, in steps: the time constant of a process that
    decays exponentially. 0 where it is not positive; of a unit that does not move, infinite."""
    both = valid[:, 1:] & valid[:, :-1]
    before, after = states[:, :-1][both], states[:, 1:][both]
    a, b = before - before.mean(0), after - after.mean(0)
    scale = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(scale > 0, (a * b).sum(0) / scale, 1.0)
        return np.where(r >= 1, np.inf, np.where(r <= 0, 0.0, -1 / np.log(np.clip(r, 1e-300, 1 - 1e-16))))


def random_groups(
    members: Bool[np.ndarray, " unit"], layer: np.ndarray, n: int, rng: np.random.Generator
) -> Bool[np.ndarray, "control unit"]:
    """Groups of as many units of the same layers, drawn from the others; from all where the others are too few."""
    found = np.zeros((n, len(members)), bool)
    for row in found:
        for each in np.unique(layer[members]):
            here = layer == each
            others = np.flatnonzero(here & ~members)
            size = int((members & here).sum())
            row[rng.choice(others if len(others) >= size else np.flatnonzero(here), size, replace=False)] = True
    return found


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    return names if len(set(names)) == len(names) else tuple(f"{k}: {name}" for k, name in enumerate(names))
