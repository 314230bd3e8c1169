"""Where does the network stand still? Fixed points h = F(h, u) at constant inputs u.

The speed q(h) = 1/2 |F(h, u) - h|^2 is 0 at fixed points; its other local minima are slow points (Sussillo & Barak,
Neural Computation 25, 2013; Golub & Sussillo, JOSS 3, 2018).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.search.root_search import (
    FAILED,
    FIXED,
    REASONS,
    SLOW,
    residuals,
    search_box,
    search_bytes,
    search_roots,
    search_seconds,
)
from rnnscope.analyses.fixed_points.search.stability import count_unstable, frequencies, is_smooth, time_constants
from rnnscope.analyses.fixed_points.trust.certificates import Certificates, certify_fixed_points
from rnnscope.analyses.fixed_points.trust.coverage import Coverage, coverage
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.question import Axes, Count, InputRows, InputVector, Level, Positive, Seed, StateRows
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.starts import bounds, checked_starts, in_domain, starts_near
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

STATUS = ("fixed", "slow", "failed")
# Of default starts, the share drawn at random from a finite domain where states were visited.
RANDOM_SHARE = 0.125


@dataclass(frozen=True, repr=False)
class FixedPoints(Result):
    """Fixed points of a map, input by input, in order of their unstable directions, then of hits.

    Attributes:
        points: the fixed points, each once.
        point_input: the row of `held_inputs` at which each is a fixed point.
        q: 1/2 |F(h) - h|^2 at each.
        hits: how many starts ended there.
        eigenvalues: of the Jacobian at each point, the largest modulus first.
        n_unstable: eigenvalues outside the unit circle (|λ| > 1 + 1e-8), per point.
        smooth: whether the Jacobian is the same on all sides of the point. Where it is not, as at the origin of a
            ReLU network without biases, the eigenvalues are those of one side and do not decide stability.
        certified: whether it is proven that there is a fixed point within `error_radius` of the point, and that it is
            the only one within `uniqueness_radius` (see `certify_fixed_points`).
        error_radius: Euclidean distance to the true fixed point at most; infinite where not certified.
        uniqueness_radius: no other fixed point is nearer than this; 0 where not certified.
        not_certified_because: per point, "" where it is certified.
        in_domain: whether the point lies within the map's domain; all True where it has none.
        visited_distance: distance to the nearest visited state, in units of the visited states' own spread (their
            median distance from their median).
        far: whether `visited_distance` is above `far_distance`.
        slow_points: local minima of q that are no fixed points, each once; not counted as fixed points.
        slow_q: q at each.
        slow_input: the row of `held_inputs` of each.
        starts: where the search began.
        start_input: the row of `held_inputs` that each start was given.
        start_status: how each start ended: 0 "fixed", 1 "slow", 2 "failed", as `status_names` says.
        start_reason: why it failed, an index into `reason_names`; 0 unless it failed.
        start_q: q where each start ended.
        start_point: the row of `points` (or, for a slow start, of `slow_points`) where each start ended; -1 if failed.
        start_iterations: steps that each start took.
        held_inputs: the inputs that were held; no column for a map that takes none.
        visited_from: what "visited" means here: "task trials", "free run", "given states" or "starts".
        far_distance: see `far`.
        tolerance: q below which a point is a fixed point.
        distance: what counts as one point, in units of `scale`.
        scale: median distance of the starts from their median, or 1 where that is 0.
        max_iterations: steps allowed.
        seed: of the default starts.
        status_names, reason_names: what the codes in `start_status` and `start_reason` stand for.
        made: how it was found.
    """

    points: Float[np.ndarray, "point unit"]
    point_input: Integer[np.ndarray, " point"]
    q: Float[np.ndarray, " point"]
    hits: Integer[np.ndarray, " point"]
    eigenvalues: Complex[np.ndarray, "point eigenvalue"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"]
    certified: Bool[np.ndarray, " point"]
    error_radius: Float[np.ndarray, " point"]
    uniqueness_radius: Float[np.ndarray, " point"]
    not_certified_because: tuple[str, ...]
    in_domain: Bool[np.ndarray, " point"]
    visited_distance: Float[np.ndarray, " point"]
    slow_points: Float[np.ndarray, "slow unit"]
    slow_q: Float[np.ndarray, " slow"]
    slow_input: Integer[np.ndarray, " slow"]
    starts: Float[np.ndarray, "start unit"]
    start_input: Integer[np.ndarray, " start"]
    start_status: Integer[np.ndarray, " start"]
    start_reason: Integer[np.ndarray, " start"]
    start_q: Float[np.ndarray, " start"]
    start_point: Integer[np.ndarray, " start"]
    start_iterations: Integer[np.ndarray, " start"]
    held_inputs: Float[np.ndarray, "condition input"]
    visited_from: str
    far_distance: float
    tolerance: float
    distance: float
    scale: float
    max_iterations: int
    seed: int
    status_names: tuple[str, ...] = STATUS
    reason_names: tuple[str, ...] = REASONS
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def inputs(self) -> Float[np.ndarray, "point input"]:
        """The input at which each point is one."""
        return self.held_inputs[self.point_input]

    @property
    def stable(self) -> Bool[np.ndarray, " point"]:
        """Whether no direction is unstable."""
        return self.n_unstable == 0

    @property
    def far(self) -> Bool[np.ndarray, " point"]:
        """Whether a point is further from every visited state than `far_distance`: the network may never be there."""
        return self.visited_distance > self.far_distance

    @property
    def time_constants(self) -> Float[np.ndarray, "point eigenvalue"]:
        """-1 / ln|λ| in steps: e-fold decay, growth where negative, infinite on the unit circle."""
        return time_constants(self.eigenvalues)

    @property
    def frequencies(self) -> Float[np.ndarray, "point eigenvalue"]:
        """Rotation in cycles per step, from -1/2 to 1/2."""
        return frequencies(self.eigenvalues)

    @property
    def coverage(self) -> Coverage:
        """What the hits say of points that were not found."""
        return coverage(self.hits)

    def at(self, condition: int) -> Integer[np.ndarray, " found"]:
        """The rows of `points` found at one of the `held_inputs`."""
        return np.nonzero(self.point_input == condition)[0]

    def summary(self) -> str:
        ended = Counter(self.start_status.tolist())
        n_inputs = len(self.held_inputs)
        slow = f"{len(self.slow_points)} slow point{'' if len(self.slow_points) == 1 else 's'}"
        if not len(self):
            return (
                f"no fixed point from {len(self.starts)} starts ({ended[SLOW]} ended slow, {ended[FAILED]} failed"
                f"{_reasons(self)}; smallest q {self.start_q.min():.1g}, wanted below {self.tolerance:.1g}); {slow}"
            )
        kinks, outside, far = int((~self.smooth).sum()), int((~self.in_domain).sum()), int(self.far.sum())
        kinds = _kinds(self.n_unstable[self.smooth])
        if kinks:
            kinds.append(f"{kinks} at a kink of the map, where eigenvalues do not decide stability")
        failed = f" ({ended[FAILED]} failed{_reasons(self)})" if ended[FAILED] else ""
        parts = [
            f"{len(self)} fixed point{'' if len(self) == 1 else 's'}"
            f"{f' at {n_inputs} inputs' if n_inputs > 1 else ''} ({', '.join(kinds)}) "
            f"from {ended[FIXED]} of {len(self.starts)} starts{failed}",
            f"{int(self.certified.sum()) or 'none'} certified",
            *([f"{outside} outside the domain"] if outside else []),
            *([f"{far} far from every visited state"] if far else []),
            slow,
            f"largest q {self.q.max():.1g}",
            self.coverage.summary(),
        ]
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """The eigenvalues of all fixed points in the complex plane, with the unit circle."""
        from rnnscope.analyses.fixed_points.search.spectrum_figure import spectrum_figure

        return spectrum_figure(self)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_starts = settings["n_starts"] if settings["starts"] is None else len(settings["starts"])
    n_starts *= len(np.atleast_2d(settings["input"])) if np.ndim(settings["input"]) == 2 else 1
    seconds = search_seconds(scale, n_starts) + scale.simulation(128, scale.trial_steps)
    return scale.around(seconds, search_bytes(scale, n_starts))


@analysis(
    "fixed_points",
    title="Fixed points",
    group=FIXED_POINTS,
    quick={"n_starts": 16},
    cost=Cost("light", "starts x inputs x (units^2 x steps of a start + units^3)", _cost),
)
def find_fixed_points(
    subject: Subject,
    *,
    input: InputVector | InputRows | None = None,
    start_inputs: Annotated[ArrayLike, Axes("start input")] | None = None,
    starts: StateRows | None = None,
    n_starts: Count = 1024,
    noise: Level | Sequence[Level] = (0.0, 0.1, 0.5),
    visited: StateRows | None = None,
    far_distance: Positive = 2.0,
    within_domain: bool = True,
    certify: bool = True,
    tolerance: Positive = 1e-20,
    max_iterations: Count = 200,
    distance: Positive = 1e-5,
    seed: Seed = 0,
) -> FixedPoints:
    """Find, classify and certify the fixed points of a map at constant inputs.

    Every start takes second-order steps of its own in float64 with the map's Jacobian (see `search_roots`). Only
    points with q below `tolerance` count as fixed points. Local minima of q that are no zeros are slow points; what is
    neither has failed, and says why.

    The search stays inside the map's `domain`: outside of it saturated gates give false roots. Starts outside are
    moved to its border first. Where there is no bound, it stays within 1000 times the largest start. Two points are
    one when their distance is below `distance` times the spread of the starts (the median distance from their
    median); of those, the one with the smallest q is kept. For slow points it is the root of `distance`, as a minimum
    of q is found to about the root of the precision of a zero.

    On a continuous attractor hardly any state stands still, and the search may pass by all of it:
    `marginal_manifolds` looks for these.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        input: the input to hold, (input,); or several, (condition, input), each of which is searched from all starts;
            zeros if None.
        start_inputs: instead of `input`, an input for each of the `starts`, (start, input).
        starts: where to start, (start, state). If None: for a run, states visited on its own task with noise, and
            one in eight at random from the domain (where that is finite); for other maps, at random from the domain;
            without a finite domain, states visited in 200 steps from the map's initial states, with noise.
        n_starts: how many default starts.
        noise: standard deviation of the noise on visited states, as a fraction of each unit's own standard
            deviation; of several levels each serves an equal share.
        visited: states that the network visits, (state, unit), from which points may be `far`. If None: those of a
            run on its task, and else the starts.
        far_distance: beyond this distance from all of them, in units of their spread, a point is `far`.
        within_domain: whether to stay inside the domain; if not, points outside are flagged.
        certify: whether to prove the points (see `certify_fixed_points`).
        tolerance: q below which a point is a fixed point.
        max_iterations: steps that a start may take.
        distance: see above.
        seed: for the default starts.

    Raises:
        ValueError: an argument out of range or of the wrong shape; weights or inputs that give no finite state.
        NotApplicable: nothing tells where to start.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> logistic = rs.FunctionMap(lambda x: 4 * x * (1 - x), state_size=1, domain=([0], [1]))
        >>> found = find_fixed_points(logistic, n_starts=20)
        >>> sorted(found.points[:, 0].round(6).tolist())
        [0.0, 0.75]
        >>> sorted(found.eigenvalues[:, 0].real.round(6).tolist())
        [-2.0, 4.0]
    """
    state_map = subject.map
    levels = np.atleast_1d(np.asarray(noise, np.float64))
    if not levels.size:
        raise ValueError("noise is one fraction of a standard deviation or several, got none")
    seen, visited_from = _visited(subject, visited, starts is None, seed)
    if starts is None:
        begin = starts_near(state_map, seen, n_starts, levels, RANDOM_SHARE, np.random.default_rng([seed, 0xF1]))
    else:
        begin = checked_starts(starts, state_map.state_size)
    held, start_input, begin = _conditions(state_map, input, start_inputs, begin, starts is None)
    given = held[start_input]

    low, high = search_box(state_map, begin, within_domain)
    begin = np.clip(begin, low, high)
    if not np.isfinite(residuals(state_map, begin, given)[1]).any():
        raise ValueError(
            f"the map gives no finite state from any of the {len(begin)} starts: look for NaN or infinite weights"
        )
    scale = spread(begin)
    search = search_roots(
        state_map,
        begin,
        given,
        box=(low, high),
        scale=scale,
        tolerance=tolerance,
        max_iterations=max_iterations,
        distance=distance,
    )
    fixed, slow = search.outcome == FIXED, search.outcome == SLOW
    rows, hits, belongs = _merge(search.ends, search.q, start_input, fixed, distance * scale)
    slow_rows, _, slow_belongs = _merge(search.ends, search.q, start_input, slow, np.sqrt(distance) * scale)
    jacobians = state_map.jacobian(search.ends[rows], given[rows])
    eigenvalues = linalg.eigenvalues(jacobians)
    n_unstable = count_unstable(eigenvalues)
    order = np.lexsort((-hits, n_unstable, start_input[rows]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    start_point = np.where(slow, slow_belongs, -1)
    start_point[fixed] = place[belongs[fixed]]

    rows = rows[order]
    points = search.ends[rows]
    proofs = certify_fixed_points(state_map, points, given[rows]) if certify else _no_proofs(len(points))
    reference = begin if seen is None else seen
    return FixedPoints(
        points=points,
        point_input=start_input[rows],
        q=search.q[rows],
        hits=hits[order],
        eigenvalues=eigenvalues[order],
        n_unstable=n_unstable[order],
        smooth=is_smooth(lambda h: state_map.jacobian(h, given[rows]), points, jacobians[order], 1e-6 * scale),
        certified=proofs.certified,
        error_radius=proofs.error_radius,
        uniqueness_radius=proofs.uniqueness_radius,
        not_certified_because=proofs.reason,
        in_domain=in_domain(state_map, points),
        visited_distance=_distance_to(reference, points) / spread(reference),
        slow_points=search.ends[slow_rows],
        slow_q=search.q[slow_rows],
        slow_input=start_input[slow_rows],
        starts=begin,
        start_input=start_input,
        start_status=search.outcome,
        start_reason=search.reason,
        start_q=search.q,
        start_point=start_point,
        start_iterations=search.n_iterations,
        held_inputs=held,
        visited_from=visited_from,
        far_distance=far_distance,
        tolerance=tolerance,
        distance=distance,
        scale=scale,
        max_iterations=max_iterations,
        seed=seed,
    )


def _visited(
    subject: Subject, given: ArrayLike | None, wanted: bool, seed: int
) -> tuple[Float[np.ndarray, "visited unit"] | None, str]:
    """Visited states, or None where the starts stand for them, and where they come from."""
    size = subject.map.state_size
    if given is not None:
        seen = np.array(given, np.float64)
        if seen.ndim != 2 or seen.shape[1] != size or not len(seen) or not np.isfinite(seen).all():
            raise ValueError(
                f"visited must be finite states, (state, {size}), one a row and at least one, got shape {seen.shape}"
            )
        return seen, "given states"
    if subject.task is not None or (wanted and not bounds(subject.map)[0].all()):
        return subject.visited(seed=seed)
    return None, "starts"


def _conditions(
    state_map: CompleteMap, input: ArrayLike | None, start_inputs: ArrayLike | None, begin: np.ndarray, by_default: bool
) -> tuple[Float[np.ndarray, "condition input"], Integer[np.ndarray, " start"], Float[np.ndarray, "start unit"]]:
    """(the inputs to hold, which of them each start has, the starts): starts are repeated for each of several."""
    size = state_map.input_size
    takes = f"inputs of {size} number{'' if size == 1 else 's'}" if size else "no input"
    if start_inputs is not None:
        each = np.array(start_inputs, np.float64)
        if input is not None or by_default:
            raise ValueError("start_inputs goes with starts, one input a start, and takes the place of input")
        if each.shape != (len(begin), size):
            raise ValueError(
                f"start_inputs must have shape ({len(begin)}, {size}), one input a start, got {each.shape}: "
                f"the map takes {takes}"
            )
        _check_finite("start_inputs", each)
        held, which = np.unique(each, axis=0, return_inverse=True)
        return held, which.ravel(), begin
    held = np.zeros((1, size)) if input is None else np.array(input, np.float64)
    given = held.shape
    if held.ndim == 1:
        held = held[None]
    if held.ndim != 2 or held.shape[1] != size or not len(held):
        shapes = f"({size},) or (condition, {size})"
        raise ValueError(f"the map takes {takes}: input must have shape {shapes}, got {given}")
    _check_finite("input", held)
    return held, np.repeat(np.arange(len(held)), len(begin)), np.tile(begin, (len(held), 1))


def _check_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got {values[~np.isfinite(values).all(1)][0]}")


def spread(states: np.ndarray) -> float:
    """Their median distance from their median, so that one state far out does not make all others one; 1 if it is 0."""
    with np.errstate(over="ignore"):
        return float(np.median(np.linalg.norm(states - np.median(states, 0), axis=1))) or 1.0


def _merge(
    ends: np.ndarray, q: np.ndarray, condition: np.ndarray, chosen: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row of each distinct point, its hits, the point that each row belongs to or -1), best points first. Points at
    different inputs are different points."""
    left = np.nonzero(chosen)[0]
    left = left[np.argsort(q[left], kind="stable")]
    belongs = np.full(len(ends), -1)
    kept, hits = [], []
    while len(left):
        near = np.linalg.norm(ends[left] - ends[left[0]], axis=1) < radius
        near &= condition[left] == condition[left[0]]
        near[0] = True
        belongs[left[near]] = len(kept)
        kept.append(left[0])
        hits.append(int(near.sum()))
        left = left[~near]
    return np.array(kept, np.int64), np.array(hits, np.int64), belongs


def _distance_to(states: np.ndarray, points: np.ndarray) -> Float[np.ndarray, " point"]:
    from scipy.spatial import KDTree

    return KDTree(states).query(points)[0] if len(points) else np.empty(0)


def _no_proofs(n: int) -> Certificates:
    return Certificates(np.zeros(n, bool), np.full(n, np.inf), np.zeros(n), ("not asked for",) * n)


def _kinds(n_unstable: np.ndarray) -> list[str]:
    """Such as ["8 stable", "12/6/1 with 1/2/3 unstable directions"]."""
    classes = sorted(Counter(n_unstable.tolist()).items())
    parts = [f"{count} stable" for n, count in classes if n == 0]
    saddles = [(count, n) for n, count in classes if n]
    if 0 < len(saddles) <= 4:
        counts, directions = ("/".join(map(str, column)) for column in zip(*saddles, strict=True))
        parts.append(f"{counts} with {directions} unstable direction{'' if directions == '1' else 's'}")
    elif saddles:
        total = sum(count for count, _ in saddles)
        parts.append(f"{total} with {saddles[0][1]} to {saddles[-1][1]} unstable directions")
    return parts


def _reasons(found: FixedPoints) -> str:
    """Such as ": 3 stagnated, 1 not finite"."""
    counts = Counter(found.start_reason[found.start_status == FAILED].tolist())
    told = [f"{count} {found.reason_names[code]}" for code, count in counts.most_common() if code]
    return ": " + ", ".join(told) if told else ""
