"""Are these networks the same? Distances between several networks, with what is no difference as the yardstick.

By what their states look like (Procrustes, CKA), by how these move (dynamical similarity), by how fast neighbours
part (Lyapunov exponents), or by their fixed points. A distance means something beside the noise floor: what a network
is apart from copies of itself that were rotated in state space and measured anew.
"""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.comparison.figure import comparison_figure
from rnnscope.analyses.comparison.similarity import scaled_to_plane
from rnnscope.analyses.comparison.stability import (
    given_skeletons,
    given_spectra,
    measured_skeletons,
    measured_spectra,
)
from rnnscope.analyses.comparison.states import compare_states, own_trials
from rnnscope.analyses.fixed_points import FixedPoints
from rnnscope.analyses.headings import SEVERAL
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.lyapunov import LyapunovSpectrum
from rnnscope.analyses.state_space.subspaces import network_names
from rnnscope.numerics import linalg
from rnnscope.question import Count, InputVector, Level, Seed, TrialInputs, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import comparison
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import checked_inputs
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go

Method = Literal["procrustes", "cka", "kernel_cka", "dsa", "lyapunov", "fixed_points"]
Beside = Literal["lyapunov", "fixed_points"]
UNITS = {
    "procrustes": "Procrustes angle (rad)",
    "cka": "arccos CKA (rad)",
    "kernel_cka": "arccos kernel CKA (rad)",
    "dsa": "dynamical distance",
    "lyapunov": "difference of exponents (nats per step)",
    "fixed_points": "difference of fixed points (share)",
}
FEW_HELD = 0.9  # of the variance: "dsa" that looks at less says so


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """Distances between networks, the floor below which they mean nothing, and a map of the networks.

    Attributes:
        distance: between every two networks, see `compare_networks`.
        floor: of each network: the distance below which 95 % of its rotated copies lie from one another. Nothing
            differs between these but what is drawn at random: noise, trials, starts of a search. Never below what
            rounding leaves; NaN where it is not known.
        floor_median: the median of these distances.
        positions: of the networks in a plane, where distances are as like `distance` as can be (metric
            multidimensional scaling).
        stress: how unlike: root of the squared error of all distances relative to their squared sum; 0 is exact.
        agreement: for "dsa" the share of searches for the best rotation that ended at the distance given; 1 for other
            methods. Where it is low, the distance may be smaller than found.
        explained: for "dsa" the variance that each network's fitted linear dynamics explain one step ahead.
        held: for "dsa" the share of each network's variance (of delay coordinates) within the `rank` compared.
        exponents: Lyapunov exponents of each, the largest first, where they were asked for or given.
        n_fixed_points: fixed points of each by unstable directions (0, 1, ...), where they were asked for or given.
        n_kinks: fixed points of each at a kink of the map, which have no count of unstable directions.
        n_connections: how many pairs of fixed points an orbit joins, by the unstable directions of the point that it
            leaves and of that where it ends (see `connect_fixed_points`); None where that is not known.
        names: of the networks.
        groups: what each network belongs to; "" where that was not told.
        method: one of "procrustes", "cka", "kernel_cka", "dsa", "lyapunov", "fixed_points".
        rank: dimensions that "dsa" compared; 0 for other methods.
        n_delays, n_restarts, n_copies, noise, seed: the settings.
        made: how it was found; the origin is that of the first network.
    """

    distance: Float[np.ndarray, "network other"]
    floor: Float[np.ndarray, " network"]
    floor_median: Float[np.ndarray, " network"]
    positions: Float[np.ndarray, "network axis"]
    stress: float
    agreement: Float[np.ndarray, "network other"]
    explained: Float[np.ndarray, " network"] | None
    held: Float[np.ndarray, " network"] | None
    exponents: Float[np.ndarray, "network exponent"] | None
    n_fixed_points: Int64[np.ndarray, "network n_unstable"] | None
    n_kinks: Int64[np.ndarray, " network"] | None
    n_connections: Int64[np.ndarray, "network n_unstable to_unstable"] | None
    names: tuple[str, ...]
    groups: tuple[str, ...]
    method: str
    rank: int
    n_delays: int
    n_restarts: int
    n_copies: int
    noise: float
    seed: int
    made: Made | None = None

    @property
    def above(self) -> Bool[np.ndarray, "network other"]:
        """Whether two networks are farther apart than the larger of their floors; False where neither is known."""
        return self.distance > np.fmax(self.floor[:, None], self.floor)

    @property
    def unit(self) -> str:
        """What the distance is."""
        return UNITS[self.method]

    def summary(self) -> str:
        upper = np.triu_indices(len(self.names), 1)
        pairs = self.distance[upper]
        near, far = (int(k) for k in (pairs.argmin(), pairs.argmax()))

        def pair(k: int) -> str:
            return f"{self.names[upper[0][k]]} and {self.names[upper[1][k]]} ({pairs[k]:.3g})"

        ends = f"nearest {pair(near)}, farthest {pair(far)}" if len(pairs) > 1 else pair(0)
        parts = (
            f"{len(self.names)} networks by {self.unit}: {ends}",
            self._floor(f"{int(self.above[upper].sum())} of {len(pairs)} pairs above it"),
            self._trust(float(np.median(self.agreement[upper]))),
            f"map with stress {self.stress:.2f}",
        )
        return "; ".join(part for part in parts if part)

    def _floor(self, above: str) -> str:
        if not np.isfinite(self.floor).any():
            return "noise floor not known"
        return f"noise floor {np.nanmedian(self.floor_median):.2g} (95 % up to {np.nanmax(self.floor):.2g}), {above}"

    def _trust(self, agreement: float) -> str:
        if self.held is None:
            return ""
        few = ", too little: ask for more" if self.held.min() < FEW_HELD else ""
        return (
            f"rank {self.rank} holds {self.held.min():.1%} of the variance or more{few}; half of the searches agree to "
            f"{agreement:.0%}"
        )

    def figure(self) -> "go.Figure":
        """All distances, the map of the networks, and side by side their exponents and fixed points where known."""
        return comparison_figure(self)


@comparison("comparison", title="Comparison of networks", group=SEVERAL, quick={"n_trials": 16, "n_copies": 2})
def compare_networks(
    subjects: list[Subject],
    *,
    method: Method = "procrustes",
    beside: Beside | Sequence[Beside] = (),
    inputs: TrialInputs | Trials | None = None,
    input: InputVector | None = None,
    n_trials: Count = 256,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    rank: Count | None = None,
    n_delays: Whole = 4,
    n_restarts: Whole = 8,
    n_copies: Annotated[int, Ge(2)] = 4,
    n_exponents: Count = 10,
    exponents: Sequence[LyapunovSpectrum] | None = None,
    fixed_points: Sequence[FixedPoints | KnownPoints] | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> Comparison:
    """Distances between every two of several networks.

    The distances:

    - "procrustes": the angle between the states, after the best rotation. Same geometry?
    - "cka": arccos of debiased linear CKA; "kernel_cka" with Gaussian kernels, of up to 1000 states. Same
      similarities between states?
    - "dsa": the least |A - C B C^T| over orthogonal C, of the linear dynamics A and B fitted to delay coordinates.
      Same motion, whatever the geometry?
    - "lyapunov": the root mean square difference of the largest exponents. Same stability?
    - "fixed_points": the difference of their counts by unstable directions, as a share of all points (Bray-Curtis).
      Same skeleton?

    The floor is measured on copies of each network whose state space is rotated at random. Networks and copies start
    from the same initial states and are shown the same inputs, each with process noise of its own; for "dsa", whose
    trials need not correspond, every copy sees other trials, drawn with replacement from those shown. For exponents
    and fixed points one copy is measured from other random starts; the floor is at least what the standard errors of
    the exponents say, or the difference of what the even and the odd starts of the search found.

    Args:
        subjects: Runs, Networks, torch modules or StateMaps, anything that `as_subject` takes; they may differ in
            size.
        method: see above.
        beside: "lyapunov", "fixed_points" or both, to have them side by side with any distance.
        inputs: what to show to all of them, or a task's trials; trials of the first network that has a task if None.
            Exponents are measured on them one after another.
        input: an input to hold, (input,), for fixed points, and for exponents where there are no `inputs`.
        n_trials: how many trials, where `inputs` does not say.
        names: of the networks; their own, or numbers, if None.
        groups: what each belongs to, for the colours of the map.
        rank: for "dsa": dimensions to compare; fewer where a network fills fewer. None: as many as hold 99 % of the
            variance of every network, up to 10.
        n_delays: for "dsa": earlier states that go with each state. 0: the state alone.
        n_restarts: for "dsa": random starts of the search for the best rotation, besides two that are not random.
        n_copies: rotated copies of each network that are compared with one another, for methods that look at states
            (2 are enough, and made, where nothing is drawn at random).
        n_exponents: how many to compare; fewer where a network has fewer.
        exponents: what `lyapunov_spectrum` found for each, to save the time, or to show it beside other distances.
        fixed_points: what `find_fixed_points` found for each, likewise, or `KnownPoints` of one's own, of which nothing
            tells what a search has missed: their floor is not known.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states, noise, rotations and searches.

    Raises:
        NotApplicable: nothing tells what to show, states that diverge or do not move.
        TypeError: one network instead of several, results of another analysis.
        ValueError: fewer than two networks, different inputs, lists of another length, a setting that the method
            could only ignore.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> turn = lambda angle: np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        >>> start = lambda n, rng: rng.standard_normal((n, 2))
        >>> wheels = [rs.FunctionMap(lambda h, a=a: h @ turn(a), state_size=2, initial=start) for a in (0.1, 0.6)]
        >>> found = compare_networks(wheels, method="dsa", inputs=np.zeros((30, 40, 0)))
        >>> round(float(found.distance[0, 1]), 2), round(2 * float(np.sqrt(1 - np.cos(0.5))), 2)
        (0.7, 0.7)
    """
    size = _check(subjects, {"exponents": exponents, "fixed_points": fixed_points, "groups": groups})
    asked = {method, *((beside,) if isinstance(beside, str) else beside)}
    by_states = method not in ("lyapunov", "fixed_points")
    measure_exponents = "lyapunov" in asked and exponents is None
    measure_points = "fixed_points" in asked and fixed_points is None
    for name, given, used in (
        ("inputs", inputs is not None, by_states or measure_exponents),
        ("noise", noise != 0, by_states or measure_exponents),
        ("input", input is not None, measure_exponents or measure_points),
    ):
        if given and not used:
            raise ValueError(f"nothing that is compared here depends on {name}: leave it out, or use another method")
    labels = _names(subjects, names)
    n = len(subjects)
    shown = None
    if by_states or measure_exponents:
        trials = inputs if inputs is not None else own_trials(subjects, n_trials, seed)
        shown = trials if trials is None or isinstance(trials, Trials) else checked_inputs(trials, size)
    agreement, explained, held, used_rank = np.ones((n, n)), None, None, 0
    spectra = skeletons = None
    with linalg.one_thread():
        if measure_exponents:
            steady = inputs is None and input is not None
            driven = (None, input) if steady else (shown, None)
            spectra = measured_spectra(subjects, labels, *driven, n_exponents, noise, seed)
        elif exponents is not None:
            spectra = given_spectra(exponents, labels, n_exponents)
        if measure_points:
            skeletons = measured_skeletons(subjects, labels, input, seed)
        elif fixed_points is not None:
            skeletons = given_skeletons(subjects, fixed_points, labels, input)
        measured = {"lyapunov": spectra, "fixed_points": skeletons}.get(method)
        if measured is not None:
            distance, floor = measured.distance, measured.floor
            median = floor
        else:
            found = compare_states(
                subjects,
                labels,
                method,
                shown,
                rank=rank,
                n_delays=n_delays,
                n_restarts=n_restarts,
                n_copies=n_copies,
                noise=noise,
                seed=seed,
            )
            distance, agreement, explained, held = found.distance, found.agreement, found.explained, found.held
            median, floor = np.quantile(found.of_copies, [0.5, 0.95], axis=1)
            used_rank = found.rank
        positions, stress = scaled_to_plane(distance)
    return Comparison(
        distance=distance,
        floor=floor,
        floor_median=median,
        positions=positions,
        stress=stress,
        agreement=agreement,
        explained=explained,
        held=held,
        exponents=None if spectra is None else spectra.exponents,
        n_fixed_points=None if skeletons is None else skeletons.counts[:, :-1],
        n_kinks=None if skeletons is None else skeletons.counts[:, -1],
        n_connections=None if skeletons is None else skeletons.connections,
        names=labels,
        groups=("",) * n if groups is None else tuple(groups),
        method=method,
        rank=used_rank,
        n_delays=n_delays,
        n_restarts=n_restarts,
        n_copies=n_copies,
        noise=noise,
        seed=seed,
    )


def _check(subjects: Sequence[Subject], lists: Mapping[str, Sized | None]) -> int:
    """The size of the input that all networks take."""
    if len(subjects) < 2:
        raise ValueError(f"at least two networks are compared, got {len(subjects)}")
    for name, given in lists.items():
        if given is not None and len(given) != len(subjects):
            raise ValueError(f"{name} must have one entry for each of the {len(subjects)} networks, got {len(given)}")
    sizes = [subject.map.input_size for subject in subjects]
    if len(set(sizes)) > 1:
        raise ValueError(f"networks are compared at the same inputs, and these take inputs of sizes {sizes}")
    return sizes[0]


def _names(subjects: Sequence[Subject], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return network_names(subjects)
    if len(names) != len(subjects) or len(set(names)) < len(names):
        raise ValueError(f"names must be {len(subjects)} different ones, one for each network, got {list(names)}")
    return tuple(names)
