"""Branches of unstable manifolds: where they start, and what is kept of them on their way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Integer

from rnnscope.analyses.fixed_points.orbits.settling import AT_POINT, DIVERGED, MOVING, ON_CYCLE, Cycle, Nodes
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# The second start of each branch lies so much nearer to the saddle.
CLOSER = 10.0
# A path has a sample each time it has moved by this part of the scale, up to so many.
SPACING, MOST_SAMPLES = 0.02, 512
# A path that leads to infinity is drawn up to this many times the extent of the points.
VIEW = 5.0
# In a combination of directions a strong one is not given less than this share: rounding would drown it.
LEAST_SHARE = 1e-8


@dataclass(frozen=True)
class Branches:
    """Displacements from the saddle: `start`, and `closer`, which the linearised map takes there in `ahead` steps."""

    source: np.ndarray
    direction: np.ndarray
    angle: np.ndarray
    eigenvalue: np.ndarray
    start: np.ndarray
    closer: np.ndarray
    ahead: np.ndarray


def branches_of(
    state_map: CompleteMap,
    nodes: Nodes,
    held: np.ndarray,
    *,
    offset: float,
    scale: float,
    n_steps: int,
    n_angles: int,
    n_combinations: int,
    seed: int,
) -> Branches:
    """The starts of all branches, at a distance of `offset` * `scale` from their saddles."""
    rng = np.random.default_rng([seed, 0xC0])
    found = []
    for saddle, values, vectors in _unstable(state_map, nodes, held):
        upper = np.imag(values) >= 0  # one of each pair: the real part is taken of what it gives
        starts: list[tuple[int, float, np.ndarray]] = [
            (i, angle, np.exp(1j * angle) * (np.arange(len(values)) == i))
            for i in np.flatnonzero(upper).tolist()
            for angle in (2 * np.pi * np.arange(n_angles) / n_angles if values[i].imag else (0.0, np.pi))
        ]
        # With these shares all directions have grown alike when the weakest has come to the size of the scale.
        moduli = np.maximum(np.abs(values), 1 + 1e-12)
        longest = -np.log(offset) / np.log(moduli[-1])
        shares = upper * np.maximum((moduli / moduli[-1]) ** -longest, LEAST_SHARE)
        for _ in range(n_combinations if len(values) > 1 else 0):
            starts.append((-1, 0.0, shares * (rng.standard_normal((2, len(values))).T @ [1, 1j])))
        for direction, angle, weights in starts:
            start = np.real(vectors @ weights)
            unit = offset * scale / np.linalg.norm(start)
            slowest = moduli[weights != 0].min()
            ahead = int(min(np.ceil(np.log(CLOSER) / np.log(slowest)), n_steps))
            closer = np.real(vectors @ (weights * values**-ahead))
            value = values[max(direction, 0)]
            found.append((saddle, direction, angle, value, start * unit, closer * unit, ahead))
    columns = list(zip(*found, strict=True)) or [()] * 7
    kinds = (np.int64, np.int64, np.float64, np.complex128, np.float64, np.float64, np.int64)
    arrays = [np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    arrays[4:6] = (x.reshape(-1, state_map.state_size) for x in arrays[4:6])
    return Branches(*arrays)


def _unstable(
    state_map: CompleteMap, nodes: Nodes, held: np.ndarray
) -> Iterator[tuple[int, Complex[np.ndarray, " direction"], Complex[np.ndarray, "unit direction"]]]:
    """Every saddle with its unstable eigenvalues, the largest first, and their eigenvectors."""
    saddles = np.flatnonzero(nodes.smooth & (nodes.n_unstable > 0))
    part = max(1, 2**22 // state_map.state_size**2)  # Jacobians of 32 MB at most
    for first in range(0, len(saddles), part):
        some = saddles[first : first + part]
        jacobians = state_map.jacobian(nodes.points[some], held[nodes.condition[some]])
        values, vectors, _ = linalg.eigenvectors(jacobians)
        # The largest number in a vector, of equal ones the first, is positive: else its sign would be LAPACK's choice.
        largest = np.take_along_axis(vectors, np.round(np.abs(vectors), 8).argmax(1)[:, None], 1)
        vectors = vectors * np.abs(largest) / largest
        for i, saddle in enumerate(some.tolist()):
            k = nodes.n_unstable[saddle]
            yield saddle, values[i, :k], vectors[i, :, :k]


class Track:
    """What is kept of branches as they run: samples of the way, and how near they came to the points."""

    def __init__(self, nodes: Nodes, branches: Branches, scale: float) -> None:
        self.saddles = nodes.points[branches.source]
        self.centre = nodes.points.mean(0) if len(nodes) else 0.0
        self.points = nodes.points - self.centre
        self.view = VIEW * max(scale, np.linalg.norm(self.points, axis=1).max(initial=0.0))
        self.ahead = branches.ahead
        self.on_way = np.full_like(self.saddles, np.inf)  # the second starts, `ahead` steps later
        # A negative eigenvalue: every other state is on the other side, on the way of the other end.
        value = branches.eigenvalue
        self.every = np.where((np.imag(value) == 0) & (np.real(value) < 0) & (branches.direction >= 0), 2, 1)
        self.squared = np.full((len(self.saddles), len(nodes)), np.inf)
        self.when = np.zeros(self.squared.shape, np.int64)
        self.samples = [[saddle] for saddle in self.saddles]
        self.last = self.saddles.copy()
        self.open = np.ones(len(self.saddles), bool)
        self.spacing = SPACING * scale

    def see(self, orbits: np.ndarray, block: np.ndarray, step: int) -> None:
        n = len(self.saddles)
        seconds, rows = orbits[orbits >= n] - n, orbits[orbits < n]
        due = self.ahead[seconds] - step
        now = (due > 0) & (due < len(block))
        self.on_way[seconds[now]] = block[due[now], np.flatnonzero(orbits >= n)[now]]
        for i in range(min(step, 1), len(block)):
            states = block[i, orbits < n]
            centred = states - self.centre
            squared = (centred**2).sum(1)[:, None] - 2 * centred @ self.points.T + (self.points**2).sum(1)
            nearer = squared < self.squared[rows]
            self.squared[rows] = np.where(nearer, squared, self.squared[rows])
            self.when[rows] = np.where(nearer, step + i, self.when[rows])
            moved = np.linalg.norm(states - self.last[rows], axis=1) > self.spacing
            for j in np.flatnonzero(moved & self.open[rows] & ((step + i) % self.every[rows] == 0)):
                row = rows[j]
                self.samples[row].append(states[j].copy())
                self.last[row] = states[j]
                self.open[row] = len(self.samples[row]) < MOST_SAMPLES

    def nearest(
        self, nodes: Nodes, condition: np.ndarray
    ) -> tuple[Float[np.ndarray, "edge point"], Integer[np.ndarray, "edge point"]]:
        """(least distance from every node, when), for those that were known from the start and of a branch's own
        condition; the others are infinitely far."""
        gap = np.full((len(self.saddles), len(nodes)), np.inf)
        gap[:, : len(self.points)] = np.sqrt(np.maximum(self.squared, 0.0))
        gap[condition[:, None] != nodes.condition] = np.inf
        step = np.full(gap.shape, -1)
        step[:, : len(self.points)] = self.when
        return gap, np.where(np.isfinite(gap), step, -1)

    def paths(
        self, end: np.ndarray, target: np.ndarray, points: np.ndarray, cycles: list[Cycle], n_samples: int
    ) -> Float[np.ndarray, "edge sample unit"]:
        from scipy.spatial.distance import cdist

        found = np.empty((len(self.saddles), n_samples, self.saddles.shape[1]))
        for row, samples in enumerate(self.samples):
            states = np.array(samples)
            if end[row] == AT_POINT:
                states = np.concatenate([states, points[target[row]][None]])
            elif end[row] == ON_CYCLE:  # not round and round
                there = cdist(states, cycles[target[row]].states).min(1) < self.spacing
                states = states[: there.argmax() + 1] if there.any() else states
            elif end[row] == DIVERGED:
                states = states[np.abs(states - self.centre).max(1) < self.view]
            way = np.append(0.0, np.linalg.norm(np.diff(states, axis=0), axis=1).cumsum())
            even = len(states) > n_samples and end[row] != MOVING
            chosen = np.searchsorted(way, np.linspace(0, way[-1], n_samples)) if even else np.arange(n_samples)
            found[row] = states[np.minimum(chosen, len(states) - 1)]
        return found
