"""Where does the network stand still? Fixed points h = F(h, u) at a constant input u, and what is near them.

The speed q(h) = 1/2 |F(h, u) - h|^2 is 0 at fixed points; its other local minima are slow points (Sussillo & Barak,
Neural Computation 25, 2013; Golub & Sussillo, JOSS 3, 2018).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer
from numpy.typing import ArrayLike

from rnnscope import linalg, results
from rnnscope.analyses.fixed_points.root_search import residuals, search_box, search_roots
from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import StateMap, as_map
from rnnscope.simulation import simulate

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

STATUS = ("fixed", "slow", "failed")
FIXED, SLOW, FAILED = range(3)

# An eigenvalue counts as unstable when its modulus passes 1 by more than this: marginal directions do not.
UNSTABLE_MARGIN = 1e-8
# Of default starts, the share drawn at random from a finite domain where the map has a task, and the visited states.
RANDOM_SHARE = 0.125


@dataclass(frozen=True)
class FixedPoints:
    """Fixed points of a map, in order of their unstable directions, then of hits.

    Attributes:
        points: the fixed points, each once.
        q: 1/2 |F(h) - h|^2 at each.
        hits: how many starts ended there.
        eigenvalues: of the Jacobian at each point, the largest modulus first.
        n_unstable: eigenvalues outside the unit circle (|λ| > 1 + 1e-8), per point.
        smooth: whether the Jacobian is the same on all sides of the point. Where it is not, as at the origin of a
            ReLU network without biases, the eigenvalues are those of one side and do not decide stability.
        slow_points: local minima of q that are no fixed points, each once; not counted as fixed points.
        slow_q: q at each.
        starts: where the search began.
        start_status: how each start ended: 0 "fixed", 1 "slow", 2 "failed", as `status_names` says.
        start_q: q where each start ended.
        start_point: the row of `points` (or, for a slow start, of `slow_points`) where each start ended; -1 if failed.
        input: the input that was held; empty for a map that takes none.
        tolerance: q below which a point is a fixed point.
        distance: what counts as one point, in units of `scale`.
        scale: median distance of the starts from their median, or 1 where that is 0.
        n_iterations: steps taken by the start that needed most.
        max_iterations: steps allowed in each of the two passes.
        seed: of the default starts.
        status_names: the names of the codes in `start_status`.
    """

    points: Float[np.ndarray, "point unit"]
    q: Float[np.ndarray, " point"]
    hits: Integer[np.ndarray, " point"]
    eigenvalues: Complex[np.ndarray, "point eigenvalue"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"]
    slow_points: Float[np.ndarray, "slow unit"]
    slow_q: Float[np.ndarray, " slow"]
    starts: Float[np.ndarray, "start unit"]
    start_status: Integer[np.ndarray, " start"]
    start_q: Float[np.ndarray, " start"]
    start_point: Integer[np.ndarray, " start"]
    input: Float[np.ndarray, " input"]
    tolerance: float
    distance: float
    scale: float
    n_iterations: int
    max_iterations: int
    seed: int
    status_names: tuple[str, ...] = STATUS

    def __len__(self) -> int:
        return len(self.points)

    @property
    def stable(self) -> np.ndarray:
        """(point,) whether no direction is unstable."""
        return self.n_unstable == 0

    @property
    def time_constants(self) -> Float[np.ndarray, "point eigenvalue"]:
        """-1 / ln|λ| in steps: e-fold decay, growth where negative, infinite on the unit circle."""
        with np.errstate(divide="ignore"):
            rates = np.log(np.abs(self.eigenvalues))
            return np.where(rates == 0, np.inf, -1 / rates)

    @property
    def frequencies(self) -> Float[np.ndarray, "point eigenvalue"]:
        """Rotation in cycles per step, from -1/2 to 1/2."""
        return np.angle(self.eigenvalues) / (2 * np.pi)

    def summary(self) -> str:
        ended = Counter(self.start_status.tolist())
        slow = f"{len(self.slow_points)} slow point{'' if len(self.slow_points) == 1 else 's'}"
        if not len(self):
            return (
                f"no fixed point from {len(self.starts)} starts ({ended[SLOW]} ended slow, {ended[FAILED]} failed; "
                f"smallest q {self.start_q.min():.1g}, wanted below {self.tolerance:.1g}); {slow}"
            )
        classes = sorted(Counter(self.n_unstable[self.smooth].tolist()).items())
        parts = [f"{count} stable" for n, count in classes if n == 0]
        counts, directions = zip(*[(str(c), str(n)) for n, c in classes if n] or [("", "")], strict=True)
        if directions[0]:
            few, plural = len(directions) <= 4, "" if directions == ("1",) else "s"
            parts.append(
                f"{'/'.join(counts)} with {'/'.join(directions)} unstable direction{plural}"
                if few
                else f"{sum(map(int, counts))} with {directions[0]} to {directions[-1]} unstable directions"
            )
        kinks = int((~self.smooth).sum())
        if kinks:
            parts.append(f"{kinks} at a kink of the map, where eigenvalues do not decide stability")
        failed = f" ({ended[FAILED]} failed)" if ended[FAILED] else ""
        return (
            f"{len(self)} fixed point{'' if len(self) == 1 else 's'} ({', '.join(parts)}) "
            f"from {ended[FIXED]} of {len(self.starts)} starts{failed}; {slow}; largest q {self.q.max():.1g}"
        )

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """The eigenvalues of all fixed points in the complex plane, with the unit circle."""
        return _figure(self)


def find_fixed_points(
    system: Any,
    *,
    input: ArrayLike | None = None,
    starts: ArrayLike | None = None,
    n_starts: int = 1024,
    noise: float | Sequence[float] = (0.0, 0.1, 0.5),
    tolerance: float = 1e-20,
    max_iterations: int = 200,
    distance: float = 1e-5,
    seed: int = 0,
) -> FixedPoints:
    """Find and classify the fixed points of a map at a constant input.

    Every start takes second-order steps of its own in float64, with the map's Jacobian: Newton steps of limited
    length towards a root nearby, and Levenberg-Marquardt steps from where those stall. A start that ends without a
    fixed point begins again by pseudo-transient continuation: steps (J - 1 - μ)^-1 (h - F), where μ shrinks with
    the residual. These follow the flow at first, and so get past local minima of q, but prefer attractors; hence
    they come second. Only points with q below `tolerance` count as fixed points. What is left is a slow point where
    the gradient of q is nearly 0, and has failed elsewhere.

    The search stays inside the map's `domain`: outside of it saturated gates give false roots. Starts outside are
    moved to its border first. Where there is no bound, it stays within 1000 times the largest start. Two points are
    one when their distance is below `distance` times the spread of the starts (the median distance from their
    median); of those, the one with the smallest q is kept. For slow points it is the root of `distance`, as a minimum
    of q is found to about the root of the precision of a zero.

    Args:
        system: a Run, Network, torch module or StateMap.
        input: the input to hold, (input,); zeros if None.
        starts: where to start, (start, state). If None: for a run, states visited on its own task with noise, and
            one in eight at random from the domain (where that is finite); for other maps, at random from the domain;
            without a finite domain, states visited in 200 steps from the map's initial states, with noise.
        n_starts: how many default starts.
        noise: standard deviation of the noise on visited states, as a fraction of each unit's own standard
            deviation; of several levels each serves an equal share.
        tolerance: q below which a point is a fixed point.
        max_iterations: steps that a start may take in each of the two passes.
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
    for name, value, least in (("n_starts", n_starts, 1), ("max_iterations", max_iterations, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    for name, value in (("tolerance", tolerance), ("distance", distance)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number, got {value}: the default is a good choice")
    levels = np.atleast_1d(np.asarray(noise, np.float64))
    if levels.ndim != 1 or not levels.size or not (np.isfinite(levels) & (levels >= 0)).all():
        raise ValueError(f"noise is one fraction of a standard deviation or several, none negative, got {noise}")
    driven = as_map(system)
    state_map = as_map(driven, input=np.zeros(driven.input_size) if input is None else input)
    held = np.zeros(driven.input_size) if input is None else np.array(input, np.float64)
    if starts is None:
        begin = _default_starts(system, state_map, n_starts, levels, seed)
    else:
        begin = _checked_starts(starts, state_map.state_size)
    low, high = search_box(state_map, begin)
    begin = np.clip(begin, low, high)
    if not np.isfinite(residuals(state_map, begin)[1]).any():
        raise ValueError(
            f"the map gives no finite state from any of the {len(begin)} starts: look for NaN or infinite weights"
        )
    with np.errstate(over="ignore"):
        # Medians, so that a start far out does not make all others one.
        scale = float(np.median(np.linalg.norm(begin - np.median(begin, 0), axis=1))) or 1.0

    ends, q, flat, n_iterations = search_roots(state_map, begin, (low, high), scale, tolerance, max_iterations)
    status = np.where(q < tolerance, FIXED, np.where(flat, SLOW, FAILED))
    points, hits, belongs = _merge(ends, q, status == FIXED, distance * scale)
    slow, _, slow_belongs = _merge(ends, q, status == SLOW, np.sqrt(distance) * scale)
    jacobians = state_map.jacobian(ends[points], np.zeros((len(points), 0)))
    eigenvalues = linalg.eigenvalues(jacobians)
    n_unstable = (np.abs(eigenvalues) > 1 + UNSTABLE_MARGIN).sum(1)
    order = np.lexsort((-hits, n_unstable))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    start_point = np.where(status == SLOW, slow_belongs, -1)
    start_point[status == FIXED] = place[belongs[status == FIXED]]
    return FixedPoints(
        points=ends[points][order],
        q=q[points][order],
        hits=hits[order],
        eigenvalues=eigenvalues[order],
        n_unstable=n_unstable[order],
        smooth=_smooth(state_map, ends[points], jacobians, scale)[order],
        slow_points=ends[slow],
        slow_q=q[slow],
        starts=begin,
        start_status=status,
        start_q=q,
        start_point=start_point,
        input=held,
        tolerance=float(tolerance),
        distance=float(distance),
        scale=scale,
        n_iterations=n_iterations,
        max_iterations=max_iterations,
        seed=seed,
    )


def _smooth(state_map: StateMap, points: np.ndarray, jacobians: np.ndarray, scale: float) -> Bool[np.ndarray, " point"]:
    """Whether the Jacobian hardly changes within a millionth of the scale, in a few directions and their opposites."""
    rng = np.random.default_rng(0)
    smooth = np.ones(len(points), bool)
    for direction in rng.standard_normal((4, state_map.state_size)):
        for move in (direction, -direction):
            aside = points + 1e-6 * scale * move / np.linalg.norm(move)
            change = np.abs(state_map.jacobian(aside, np.zeros((len(points), 0))) - jacobians).max((1, 2), initial=0.0)
            smooth &= change <= 1e-3 * (1 + np.abs(jacobians).max((1, 2), initial=0.0))
    return smooth


def _checked_starts(starts: ArrayLike, state_size: int) -> Float[np.ndarray, "start unit"]:
    begin = np.array(starts, np.float64)
    if begin.ndim != 2 or begin.shape[1] != state_size:
        raise ValueError(f"starts must have shape (start, {state_size}), one state a row, got {begin.shape}")
    if not len(begin):
        raise ValueError("starts has no row: give at least one state to start from, or None for default starts")
    if not np.isfinite(begin).all():
        raise ValueError(f"starts must be finite, row {np.nonzero(~np.isfinite(begin).all(1))[0][0]} is not")
    return begin


def _default_starts(
    system: Any, state_map: StateMap, n_starts: int, levels: np.ndarray, seed: int
) -> Float[np.ndarray, "start unit"]:
    rng = np.random.default_rng([seed, 0xF1])
    size, domain = state_map.state_size, state_map.domain
    finite = np.zeros(size, bool) if domain is None else np.isfinite(domain).all(0)
    low, high = np.zeros((2, size)) if domain is None else np.where(finite, domain, 0.0)
    anywhere = rng.uniform(low, high, (n_starts, size))
    has_task = getattr(system, "task", None) is not None
    if finite.all() and not has_task:
        return anywhere
    with np.errstate(all="ignore"):
        if has_task:
            visited = simulate(system, n_trials=128, seed=seed).visited
        else:
            visited = simulate(state_map, n_trials=64, n_steps=200, seed=seed).visited
    # A map that diverges still has states before it does.
    visited = visited[(np.abs(visited) < 1e6).all(1)]
    if not len(visited):
        raise ValueError("the map gives no finite state from its initial states: look for NaN weights, or give starts")
    deviation = visited.std(0)
    if not deviation.any() and not finite.any():
        raise NotApplicable(
            f"nothing tells where to start: the map has no finite domain, and stays at {_short(visited[0])} "
            "from its own initial states; give starts, (start, state)"
        )
    chosen = visited[rng.choice(len(visited), n_starts, replace=len(visited) < n_starts)]
    level = np.resize(levels, n_starts)[:, None]
    begin = chosen + level * deviation * rng.standard_normal((n_starts, size))
    # Coordinates without a bound keep the visited values.
    random = np.arange(n_starts) < RANDOM_SHARE * n_starts
    return np.where(random[:, None] & finite, anywhere, begin)


def _merge(
    ends: np.ndarray, q: np.ndarray, chosen: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row of each distinct point, its hits, the point that each row belongs to or -1), best points first."""
    left = np.nonzero(chosen)[0]
    left = left[np.argsort(q[left], kind="stable")]
    belongs = np.full(len(ends), -1)
    kept, hits = [], []
    while len(left):
        near = np.linalg.norm(ends[left] - ends[left[0]], axis=1) < radius
        near[0] = True
        belongs[left[near]] = len(kept)
        kept.append(left[0])
        hits.append(int(near.sum()))
        left = left[~near]
    return np.array(kept, np.int64), np.array(hits, np.int64), belongs


def _figure(found: FixedPoints) -> "go.Figure":
    from rnnscope.figures import COLOURS, NEUTRAL, STABLE, new_figure

    figure = new_figure(f"Eigenvalues at {len(found)} fixed point{'' if len(found) == 1 else 's'}", "Re λ", "Im λ")
    turn = np.linspace(0, 2 * np.pi, 241)
    circle = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
    figure.add_scatter(
        x=np.cos(turn), y=np.sin(turn), mode="lines", line=circle, name="|λ| = 1", hoverinfo="skip", showlegend=True
    )
    # WebGL only where SVG would be slow: a page can hold few WebGL figures.
    many = found.eigenvalues.size > 5000
    symbols = ("circle", "diamond", "square", "x", "triangle-up", "star")
    index = 0
    classes = [
        (label, members & found.smooth)
        for label, members in _classes(np.where(found.smooth, found.n_unstable, -1), len(symbols) - 1)
    ]
    if not found.smooth.all():
        classes.append(("at a kink of the map", ~found.smooth))
    for label, members in classes:
        values = found.eigenvalues[members]
        which = np.broadcast_to(np.nonzero(members)[0][:, None], values.shape).ravel()
        stable = label == "stable"
        kink = label == "at a kink of the map"
        index += not stable and not kink
        style = {
            "color": STABLE if stable else NEUTRAL if kink else COLOURS[index],
            "symbol": "circle" if stable else "cross" if kink else symbols[index],
            "size": 4 if many else 7,
            "opacity": 0.5 if many else 0.8,
            "line": {"width": 0 if many else 0.5, "color": "white"},
        }
        figure.add_trace(
            {
                "type": "scattergl" if many else "scatter",
                "x": np.real(values).ravel(),
                "y": np.imag(values).ravel(),
                "mode": "markers",
                "name": f"{label} ({members.sum()})",
                "marker": style,
                "customdata": which,
                "hovertemplate": "point %{customdata}<br>λ = %{x:.4f} + %{y:.4f}i<extra></extra>",
            }
        )
    finite = found.eigenvalues[np.isfinite(found.eigenvalues)]
    reach = 1.12 * max(1.0, np.abs(np.imag(finite)).max(initial=0.0))
    left, right = 1.12 * min(-1.0, np.real(finite).min(initial=0.0)), 1.12 * max(1.0, np.real(finite).max(initial=0.0))
    figure.update_xaxes(range=[left, right], constrain="domain")
    figure.update_yaxes(range=[-reach, reach], scaleanchor="x", constrain="domain")
    figure.update_layout(legend={"itemsizing": "constant", "traceorder": "normal"})
    if not len(found):
        slow, failed = (int((found.start_status == code).sum()) for code in (SLOW, FAILED))
        text = (
            f"<b>no fixed point found</b><br>{len(found.starts)} starts: {slow} ended slow, {failed} failed<br>"
            f"smallest q {found.start_q.min():.1g}, wanted below {found.tolerance:.1g}"
        )
        figure.add_annotation(x=0, y=0, text=text, showarrow=False, bgcolor="rgba(255,255,255,0.85)")
    return figure


def _classes(n_unstable: np.ndarray, most: int) -> list[tuple[str, np.ndarray]]:
    """(label, members) by unstable directions: stable first, then one class a number, or ranges if they are many."""
    classes = [("stable", n_unstable == 0)] if (n_unstable == 0).any() else []
    for group in np.array_split(np.unique(n_unstable[n_unstable > 0]), most):
        if len(group):
            one = group[0] == group[-1]
            name = f"{group[0]}" if one else f"{group[0]}–{group[-1]}"
            label = f"{name} unstable direction{'' if one and group[0] == 1 else 's'}"
            classes.append((label, (n_unstable >= group[0]) & (n_unstable <= group[-1])))
    return classes


def _short(state: np.ndarray) -> str:
    return np.array2string(state[:4], precision=3, separator=", ") + (" ..." if len(state) > 4 else "")
