"""Are these networks the same? Distances between several networks, with what is no difference as the yardstick.

By what their states look like (Procrustes, CKA), by how these move (dynamical similarity), by how fast neighbours
part (Lyapunov exponents), or by their fixed points. A distance means something beside the noise floor: what a network
is apart from a copy of itself that was rotated in state space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int64, Num

from rnnscope import linalg, results
from rnnscope.analyses.comparison_figure import comparison_figure
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.analyses.lyapunov import lyapunov_spectrum
from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.analyses.similarity import (
    conjugation_distance,
    debiased_cka,
    delay_coordinates,
    fitted_dynamics,
    procrustes_distance,
)
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.maps import as_map
from rnnscope.simulation import Trajectories
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

Method = Literal["procrustes", "cka", "dsa", "lyapunov", "fixed_points"]
UNITS = {
    "procrustes": "Procrustes angle (rad)",
    "cka": "arccos CKA (rad)",
    "dsa": "dynamical distance",
    "lyapunov": "difference of exponents (nats per step)",
    "fixed_points": "difference of fixed points (share)",
}


@dataclass(frozen=True)
class Comparison:
    """Distances between networks, the floor below which they mean nothing, and a map of the networks.

    Attributes:
        distance: between every two networks, see `compare_networks`.
        floor: of each network: its distance from itself where nothing differs but a rotation of its state space, and
            for what draws at random another draw. NaN where that is not known.
        positions: of the networks in a plane, where distances are as like `distance` as can be (metric
            multidimensional scaling).
        stress: how unlike: root of the squared error of all distances relative to their squared sum; 0 is exact.
        agreement: for "dsa" the share of searches for the best rotation that ended at the distance given; 1 for other
            methods. Where it is low, the distance may be smaller than found.
        explained: for "dsa" the variance that each network's fitted linear dynamics explain one step ahead.
        exponents: Lyapunov exponents of each, the largest first, where they were asked for or given.
        n_fixed_points: fixed points of each by unstable directions (0, 1, ...), where they were asked for or given.
        n_kinks: fixed points of each at a kink of the map, which have no count of unstable directions.
        names: of the networks.
        groups: what each network belongs to; "" where that was not told.
        method: one of "procrustes", "cka", "dsa", "lyapunov", "fixed_points".
        rank: dimensions that "dsa" compared; 0 for other methods.
        n_delays, n_restarts, noise, seed: the settings.
    """

    distance: Float[np.ndarray, "network other"]
    floor: Float[np.ndarray, " network"]
    positions: Float[np.ndarray, "network axis"]
    stress: float
    agreement: Float[np.ndarray, "network other"]
    explained: Float[np.ndarray, " network"] | None
    exponents: Float[np.ndarray, "network exponent"] | None
    n_fixed_points: Int64[np.ndarray, "network n_unstable"] | None
    n_kinks: Int64[np.ndarray, " network"] | None
    names: tuple[str, ...]
    groups: tuple[str, ...]
    method: str
    rank: int
    n_delays: int
    n_restarts: int
    noise: float
    seed: int

    @property
    def unit(self) -> str:
        """What the distance is."""
        return UNITS[self.method]

    def summary(self) -> str:
        upper = np.triu_indices(len(self.names), 1)
        pairs, known = self.distance[upper], self.floor[np.isfinite(self.floor)]
        near, far = (int(k) for k in (pairs.argmin(), pairs.argmax()))

        def pair(k: int) -> str:
            return f"{self.names[upper[0][k]]} and {self.names[upper[1][k]]} ({pairs[k]:.3g})"

        floor = f"noise floor up to {known.max():.2g}" if len(known) else "noise floor not known"
        above = f"{int((pairs > known.max()).sum())} of {len(pairs)} pairs above it" if len(known) else ""
        trust = f"half of the searches agree to {np.median(self.agreement[upper]):.0%}" if self.method == "dsa" else ""
        ends = f"nearest {pair(near)}, farthest {pair(far)}" if len(pairs) > 1 else pair(0)
        return "; ".join(
            part
            for part in (
                f"{len(self.names)} networks by {self.unit}: {ends}",
                f"{floor}, {above}" if above else floor,
                trust,
                f"map with stress {self.stress:.2f}",
            )
            if part
        )

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """All distances, the map of the networks, and side by side their exponents and fixed points where known."""
        return comparison_figure(self)


def compare_networks(
    systems: Sequence[Any],
    *,
    method: Method = "procrustes",
    inputs: Num[np.ndarray, "trial time input"] | Trials | None = None,
    n_trials: int = 256,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    rank: int = 10,
    n_delays: int = 4,
    n_restarts: int = 8,
    n_exponents: int = 10,
    exponents: Sequence[Any] | None = None,
    fixed_points: Sequence[Any] | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> Comparison:
    """Distances between every two of several networks.

    The distances:

    - "procrustes": the angle between the states, after the best rotation. Same geometry?
    - "cka": arccos of debiased linear CKA. Same similarities between states?
    - "dsa": the least |A - C B C^T| over orthogonal C, of the linear dynamics A and B fitted to delay coordinates.
      Same motion, whatever the geometry?
    - "lyapunov": the root mean square difference of the largest exponents. Same stability?
    - "fixed_points": the difference of their counts by unstable directions, as a share of all points (Bray-Curtis).
      Same skeleton?

    The floor is measured on a copy of each network whose states are rotated at random, run again from new initial
    states and noise, for "dsa" on other trials too where they come from a task. No rotation changes exponents or fixed
    points: their floors are the standard errors of the exponents, and the difference of what the even and the odd
    starts of the search found.

    Args:
        systems: Runs, Networks, torch modules or StateMaps; they may differ in size.
        method: see above.
        inputs: what to show to all of them, or a task's trials; trials of the first system that has a task if None.
        n_trials: how many trials, where `inputs` does not say.
        names: of the networks; their own, or numbers, if None.
        groups: what each belongs to, for the colours of the map.
        rank: for "dsa": dimensions to compare; fewer where a network fills fewer.
        n_delays: for "dsa": earlier states that go with each state. 0: the state alone.
        n_restarts: for "dsa": random starts of the search for the best rotation, besides two that are not random.
        n_exponents: for "lyapunov": how many to compare; fewer where a network has fewer.
        exponents: what `lyapunov_spectrum` found for each, to save the time, or to show it beside other distances.
        fixed_points: what `find_fixed_points` found for each, likewise.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states, noise, rotations and searches.

    Raises:
        NotApplicable: nothing tells what to show, states that diverge or do not move.
        ValueError: fewer than two networks, different inputs, lists of another length.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> turn = lambda angle: np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        >>> start = lambda n, rng: rng.standard_normal((n, 2))
        >>> wheels = [rs.FunctionMap(lambda h, a=a: h @ turn(a), state_size=2, initial=start) for a in (0.1, 0.6)]
        >>> found = compare_networks(wheels, method="dsa", inputs=np.zeros((30, 40, 0)))
        >>> round(float(found.distance[0, 1]), 2), round(2 * float(np.sqrt(1 - np.cos(0.5))), 2)
        (0.7, 0.7)
    """
    _check(systems, method, rank, n_delays, n_restarts, n_exponents)
    labels = _names(systems, names)
    n = len(systems)
    for name, given in (("groups", groups), ("exponents", exponents), ("fixed_points", fixed_points)):
        if given is not None and len(given) != n:
            raise ValueError(f"{name} must have one entry for each of the {n} networks, got {len(given)}")
    agreement, explained, used = np.ones((n, n)), None, 0
    if method == "lyapunov" and exponents is None:
        exponents = [lyapunov_spectrum(system, seed=seed) for system in systems]
    if method == "fixed_points" and fixed_points is None:
        fixed_points = [find_fixed_points(system, n_starts=512, seed=seed) for system in systems]
    spectra = None if exponents is None else _spectra(exponents, n_exponents)
    counts = None if fixed_points is None else _counts(fixed_points)
    if method == "lyapunov" and spectra is not None and exponents is not None:
        distance = np.sqrt(((spectra[:, None] - spectra) ** 2).mean(2))
        k = spectra.shape[1]
        floor = np.array([np.sqrt(2 * np.mean(np.asarray(e.standard_error[:k]) ** 2)) for e in exponents])
    elif method == "fixed_points" and counts is not None and fixed_points is not None:
        distance = np.array([[_bray_curtis(a, b) for b in counts] for a in counts])
        floor = np.array([_half_search(found) for found in fixed_points])
    else:
        with linalg.one_thread():
            distance, floor, agreement, explained, used = _by_states(
                systems, method, inputs, n_trials, rank, n_delays, n_restarts, noise, seed
            )
    positions, stress = _scaled(distance)
    return Comparison(
        distance=distance,
        floor=floor,
        positions=positions,
        stress=stress,
        agreement=agreement,
        explained=explained,
        exponents=spectra,
        n_fixed_points=None if counts is None else counts[:, :-1],
        n_kinks=None if counts is None else counts[:, -1],
        names=labels,
        groups=("",) * n if groups is None else tuple(map(str, groups)),
        method=method,
        rank=used,
        n_delays=n_delays,
        n_restarts=n_restarts,
        noise=float(noise),
        seed=seed,
    )


def _check(systems: Sequence[Any], method: str, rank: int, n_delays: int, n_restarts: int, n_exponents: int) -> None:
    if method not in UNITS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(UNITS)}")
    if len(systems) < 2:
        raise ValueError(f"at least two networks are compared, got {len(systems)}")
    for name, value, least in (
        ("rank", rank, 1),
        ("n_delays", n_delays, 0),
        ("n_restarts", n_restarts, 0),
        ("n_exponents", n_exponents, 1),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    sizes = [as_map(system).input_size for system in systems]
    if len(set(sizes)) > 1:
        raise ValueError(f"networks are compared at the same inputs, and these take inputs of sizes {sizes}")


def _names(systems: Sequence[Any], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        own = [getattr(system, "name", None) for system in systems]
        found = tuple(name if isinstance(name, str) and name else f"network {k}" for k, name in enumerate(own))
        return found if len(set(found)) == len(found) else tuple(f"{name} ({k})" for k, name in enumerate(found))
    if len(names) != len(systems) or len(set(names)) < len(names):
        raise ValueError(f"names must be {len(systems)} different ones, one for each network, got {list(names)}")
    return tuple(map(str, names))


def _by_states(
    systems: Sequence[Any],
    method: str,
    inputs: Any,
    n_trials: int,
    rank: int,
    n_delays: int,
    n_restarts: int,
    noise: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, int]:
    """(distances, floors, agreement of searches, variance explained, rank), for the methods that look at states."""
    rng = np.random.default_rng([seed, 0xC0])
    task = next((task for task in (getattr(s, "task", None) for s in systems) if task is not None), None)
    own = inputs is None and task is not None
    shown = task.sample(n_trials, rng) if own and task is not None else inputs
    # Only dynamics can be compared at other inputs: for geometry points must correspond.
    again = task.sample(n_trials, rng) if own and task is not None and method == "dsa" else shown
    states = [shown_states(system, shown, n_trials, noise, seed) for system in systems]
    copies = []
    for system in systems:
        copy = shown_states(system, again, n_trials, noise, seed + 1)
        size = copy.states.shape[2]
        turn = linalg.qr(rng.standard_normal((1, size, size)))[0][0]
        copies.append(Trajectories(copy.inputs, copy.states @ turn, copy.initial @ turn, copy.valid))
    every = states + copies
    for k, trajectories in enumerate(every):
        if not np.ptp(trajectories.visited, axis=0).any():
            raise NotApplicable(f"network {k % len(systems)} does not move: there is nothing to compare")
    explained = None
    if method == "dsa":
        coordinates = [delay_coordinates(t.states, t.valid, n_delays) for t in every]
        rank = min(rank, *(before.shape[1] for before, _ in coordinates))
        fits = [fitted_dynamics(before, after, rank) for before, after in coordinates]
        items, explained = [fit[0] for fit in fits], np.array([fit[1] for fit in fits[: len(systems)]])
        between = partial(conjugation_distance, n_restarts=n_restarts, seed=(seed, 0xD5))
    else:
        items = [t.visited for t in every]
        between = _procrustes if method == "procrustes" else _angle_of_cka
    n = len(systems)
    distance, agreement = np.zeros((n, n)), np.ones((n, n))
    for a in range(n):
        for b in range(a):
            distance[a, b], agreement[a, b] = between(items[a], items[b])
    distance, agreement = np.maximum(distance, distance.T), np.minimum(agreement, agreement.T)
    floor = np.array([between(items[k], items[n + k])[0] for k in range(n)])
    return distance, floor, agreement, explained, rank if method == "dsa" else 0


def _procrustes(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    return procrustes_distance(x, y), 1.0


def _angle_of_cka(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    if len(x) < 4:
        raise ValueError(f"CKA without bias needs at least 4 states, got {len(x)}: show more trials or longer ones")
    return float(np.arccos(np.clip(debiased_cka(x, y), 0.0, 1.0))), 1.0


def _spectra(found: Sequence[Any], n_exponents: int) -> Float[np.ndarray, "network exponent"]:
    k = min(n_exponents, *(len(each.exponents) for each in found))
    spectra = np.array([np.asarray(each.exponents, np.float64)[:k] for each in found])
    if np.isnan(spectra).any():
        raise NotApplicable(f"network {np.argwhere(np.isnan(spectra))[0][0]} diverged: it has no Lyapunov exponents")
    # What is forgotten within a step is so whatever the number: beyond rounding it says no more.
    return np.maximum(spectra, np.log(np.finfo(np.float64).eps))


def _counts(found: Sequence[Any]) -> Int64[np.ndarray, "network class"]:
    """Fixed points by unstable directions 0, 1, ..., and in the last column those at a kink."""
    codes = [np.where(np.asarray(each.smooth), np.asarray(each.n_unstable), -1) for each in found]
    most = max((int(each.max(initial=0)) for each in codes), default=0)
    return np.array([[(each == k).sum() for k in [*range(most + 1), -1]] for each in codes], np.int64)


def _bray_curtis(a: np.ndarray, b: np.ndarray) -> float:
    total = (a + b).sum()
    return float(np.abs(a - b).sum() / total) if total else 0.0


def _half_search(found: Any) -> float:
    """The difference between what the even and the odd starts of a search found; NaN where it does not tell."""
    ends = getattr(found, "start_point", None)
    status = getattr(found, "start_status", None)
    if ends is None or status is None:
        return float("nan")
    halves = []
    for half in (0, 1):
        reached = np.asarray(ends)[half::2][np.asarray(status)[half::2] == 0]
        codes = np.where(np.asarray(found.smooth), np.asarray(found.n_unstable), -1)[np.unique(reached[reached >= 0])]
        halves.append(np.bincount(codes + 1, minlength=int(np.max(found.n_unstable, initial=0)) + 2))
    return _bray_curtis(*halves)


def _scaled(distance: Float[np.ndarray, "n n"]) -> tuple[Float[np.ndarray, "n 2"], float]:
    """Metric scaling to a plane: classical scaling, then majorisation of the stress (de Leeuw 1977)."""
    n = len(distance)
    centre = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-0.5 * centre @ distance**2 @ centre)
    places = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0.0))
    total = (distance**2).sum()
    if not total:
        return np.zeros((n, 2)), 0.0
    for _ in range(300):
        apart = np.linalg.norm(places[:, None] - places, axis=2)
        ratio = np.divide(distance, apart, out=np.zeros_like(distance), where=apart > 1e-12 * distance.max())
        weights = -ratio
        weights[np.diag_indices(n)] = ratio.sum(1)
        places = weights @ places / n
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    return places, float(np.sqrt(((apart - distance) ** 2).sum() / total))
