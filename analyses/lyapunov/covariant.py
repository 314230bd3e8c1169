"""In which directions do neighbouring states part? Covariant Lyapunov vectors and the angles between them.

The vector v_i(t) grows as exp(λ_i t) forward and back, and the map's own step takes it to that of the next state:
J v_i(t) is along v_i(t + 1). Vectors of the frame that QR carries along do not have this property, except the first.
Method of Ginelli et al. (Phys. Rev. Lett. 99, 130601, 2007): carry the frame Q forward, keep the R; then carry upper
triangular coefficients C back by R^-1 C, where they settle, and V = Q C. Where expanding and contracting directions
come near one another, the dynamics is not hyperbolic.
"""

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from rnnscope.analyses.headings import LYAPUNOV
from rnnscope.analyses.lyapunov.frames import USUAL_INTERVAL, check_jacobian, limits_of, next_interval
from rnnscope.analyses.lyapunov.orbits import Orbits, Shown, orbits_of, rate_unit, starts_of
from rnnscope.analyses.lyapunov.settings import MOST_VECTORS, checked_count, default_count
from rnnscope.analyses.lyapunov.trust import FINE, ZERO, clear_sign, error_of
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.numerics import linalg
from rnnscope.question import Count, InputVector, Level, Seed, StateRows, Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

# A vector has settled where two beginnings of the way back end within this angle, in radians.
SETTLED = 0.01
TITLE_WIDTH = 72  # letters of a title in a figure of 700 pixels


@dataclass(frozen=True)
class Splitting:
    """Which vectors expand and which contract, and how near to one another they come.

    Attributes:
        n_expanding, n_neutral: vectors whose exponents are above 0, and in between, where they are within two errors
            of 0; the others contract.
        angle: smallest angle between the span of the expanding vectors and that of the contracting ones, in degrees;
            NaN where there are not both, where the start diverged, and everywhere where it has not settled.
        discrepancy: the largest difference in radians of `angle` between what two beginnings of the way back lead to;
            None where there is no angle.
    """

    n_expanding: int
    n_neutral: int
    angle: Float[np.ndarray, "start time"]
    discrepancy: float | None = field(metadata={FORMERLY: "angle_discrepancy"})

    def summary(self, n_vectors: int) -> str:
        """The counts and the angle in words; `n_vectors` is how many vectors there are in all."""
        contracting = n_vectors - self.n_expanding - self.n_neutral
        kinds = (self.n_expanding, "expands", "expand"), (self.n_neutral, "is neutral", "are neutral")
        counts = ", ".join(
            f"{n or 'no'} {'direction ' if n < 2 else 'directions '}{one if n < 2 else many}"
            for n, one, many in (*kinds, (contracting, "contracts", "contract"))
            if n or one == "expands"
        )
        if self.discrepancy is None:
            return counts
        known = self.angle[np.isfinite(self.angle)]
        if not known.size:
            return f"{counts}, at angles that have NOT settled"
        return f"{counts}, {np.median(known):.3g}° from those that expand (median), at least {known.min():.3g}°"


@dataclass(frozen=True, repr=False)
class CovariantVectors(Result):
    """Covariant Lyapunov vectors, in the order of their exponents, the largest first.

    Attributes:
        vectors: of length 1, as columns; NaN for starts that diverged.
        states: where they stand.
        time: steps after the transient.
        exponents: growth of the frame in the time of the vectors, nats per step.
        standard_error: of the exponents, as of a `LyapunovSpectrum`.
        covariant_exponents: growth of the vectors themselves in that time; the same for long times.
        pair_angle: median over starts and times of the angle between each two vectors, 0 to 90 degrees.
        discrepancy: the largest angle, in radians, between what two beginnings of the way back lead to.
        splitting: which vectors expand and which contract, and the angle between the two.
        diverged_at: the step, counted from the start, at which a start was no longer finite; -1 for never.
        n_forgotten: directions that shrink to the rounding error between two QR steps. They and those after them have
            no covariant vectors.
        state_size: of the map.
        dt: what a step is in units of time; None for a map proper.
        drive: what was shown: "task trials", "given inputs", "constant input" or "no input".
        made: how they were found.
    """

    rows: ClassVar[str] = "vector"

    vectors: Float[np.ndarray, "start time state vector"]
    states: Float[np.ndarray, "start time state"]
    time: Integer[np.ndarray, " time"]
    exponents: Float[np.ndarray, " vector"]
    standard_error: Float[np.ndarray, " vector"]
    covariant_exponents: Float[np.ndarray, " vector"]
    pair_angle: Float[np.ndarray, "vector vector"]
    discrepancy: Float[np.ndarray, " vector"]
    splitting: Splitting
    diverged_at: Integer[np.ndarray, " start"]
    n_forgotten: int
    state_size: int
    dt: float | None
    drive: str
    made: Made | None = None

    @property
    def settled(self) -> Bool[np.ndarray, " vector"]:
        """Whether both beginnings lead to the same vector, within .01 radians."""
        return self.discrepancy <= SETTLED

    @property
    def degenerate(self) -> Bool[np.ndarray, " vector"]:
        """Not settled, and with an exponent that is within its error that of the vector before, as those of
        complex pairs are: there is then no direction of its own to settle in."""
        error = 2 * np.hypot(self.standard_error[1:], self.standard_error[:-1])
        return ~self.settled & np.append(False, -np.diff(self.exponents) <= np.fmax(error, ZERO))

    def headline(self) -> dict[str, float | int]:
        """The last is the median angle in degrees of expanding and contracting directions; NaN where none is known."""
        known = self.splitting.angle[np.isfinite(self.splitting.angle)]
        return {
            "n_expanding": int(self.splitting.n_expanding),
            "n_settled": int(self.settled.sum()),
            "angle": float(np.median(known)) if known.size else np.nan,
        }

    def summary(self) -> str:
        n, lost = len(self.diverged_at), int((self.diverged_at >= 0).sum())
        diverged = f"{lost} of {n} starts diverged" if lost else ""
        if lost == n:
            return f"no covariant Lyapunov vectors: {diverged}"
        parts = [
            f"{len(self.exponents)} covariant Lyapunov vectors of {self.state_size} at {len(self.time)} times on "
            f"{n - lost} trajectories",
            self._settling(),
            self.splitting.summary(len(self.exponents)),
            f"{self.n_forgotten} {_forgotten(self.n_forgotten)}" if self.n_forgotten else "",
            self.drive,
            diverged,
        ]
        return "; ".join(part for part in parts if part)

    def _settling(self) -> str:
        k, settled, equal = len(self.exponents), int(self.settled.sum()), int(self.degenerate.sum())
        if settled == k:
            return "all settled"
        why = [
            f"{equal} of (nearly) equal exponents" if equal else "",
            f"{k - settled - equal} that longer settling may help" if k - settled - equal else "",
        ]
        return f"{settled} settled, {k - settled} NOT: {' and '.join(filter(None, why))}"

    @checked
    def figure(self, *, components: Rows | None = None) -> "go.Figure":
        """Angles between each two vectors, and those between expanding and contracting directions.

        Args:
            components: vectors between which angles are drawn, two or more, counted from 0; None for all.

        Raises:
            ValueError: the result holds no such vector, or one alone is named.
        """
        chosen = chosen_rows(components, len(self.exponents), "components")
        if components is not None and len(chosen) < 2:
            raise ValueError(f"components must name two vectors or more to have an angle, got {chosen.tolist()}")
        return _figure(self, chosen)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_starts, k = starts_of(settings), min(settings["n_vectors"] or default_count(scale.n, MOST_VECTORS), scale.n)
    n_steps = settings["n_steps"] + settings["transient"] + settings["settling"]
    share = (k / scale.n) ** 2
    reductions = n_steps / USUAL_INTERVAL
    back = reductions - settings["transient"] / USUAL_INTERVAL
    seconds = scale.step.of(n_steps, n_steps * n_starts) + scale.jvp.of(n_steps, n_steps * n_starts * k)
    seconds += scale.qr.of(reductions, reductions * n_starts * share)
    # Back: two sets of coefficients are solved for, each a matrix with as many right sides.
    seconds += 2 * back * n_starts * share * (scale.factorisation.each + scale.matmul.each) * k / scale.n
    seconds += 2 * settings["n_times"] * n_starts * 4 * scale.qr.each * share
    kept = 6 * settings["n_times"] * scale.n * k + back * k**2
    return scale.around(seconds + 300 * n_steps * scale.numpy_call, FLOAT * n_starts * kept)


@analysis(
    "covariant",
    title="Covariant Lyapunov vectors",
    group=LYAPUNOV,
    quick={"n_steps": 20, "transient": 20, "settling": 20, "n_starts": 2, "n_times": 5},
    cost=Cost("heavy", "starts x steps x units x vectors^2", _cost),
)
def covariant_lyapunov_vectors(
    subject: Subject,
    *,
    n_vectors: Count | None = None,
    input: InputVector | None = None,
    inputs: Shown | None = None,
    n_steps: Count = 200,
    transient: Whole = 200,
    settling: Count = 200,
    n_starts: Count = 4,
    n_times: Count = 40,
    starts: StateRows | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> CovariantVectors:
    """Covariant Lyapunov vectors along several trajectories.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        n_vectors: how many, those of the largest exponents. None: all of a state of up to 245 numbers; of a larger one
            60,000 / its size, for memory not to grow with its square: 117 at 512, 30 at 2,000.
        input, inputs, n_starts, starts, noise: as of `lyapunov_spectrum`; `inputs` are of `transient + n_steps +
            settling` steps at least.
        n_steps: steps along which vectors are wanted.
        transient: steps before, in which the state and the frame settle.
        settling: steps after, from whose end the coefficients are carried back.
        n_times: at how many steps, evenly spread, vectors are kept (memory: n_starts * n_times * state * n_vectors).
        seed: for starts, trials, noise and beginnings.

    Raises:
        NotApplicable: even the first direction is forgotten at once.
        ValueError: an argument out of range or of the wrong shape.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> matrix = np.array([[2.0, 1.0], [1.0, 1.0]])
        >>> cat = rs.FunctionMap(lambda x: (x @ matrix.T) % 1, state_size=2, domain=(0, 1),
        ...                      jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, 2)))
        >>> found = covariant_lyapunov_vectors(cat)  # the eigenvectors, at right angles
        >>> np.abs(found.vectors[0, 0]).round(3).tolist(), float(found.splitting.angle.min().round(3))
        ([[0.851, 0.526], [0.526, 0.851]], 90.0)
    """
    rng = np.random.default_rng([seed, 0x1F])
    orbits = orbits_of(
        subject,
        input=input,
        inputs=inputs,
        starts=starts,
        trajectory=None,
        n_starts=n_starts,
        total=transient + n_steps + settling,
        noise=noise,
        rng=rng,
    )
    n = orbits.state_map.state_size
    k = checked_count("n_vectors", n_vectors or default_count(n, MOST_VECTORS), n, "the map's state size")
    n_times = min(n_times, n_steps + 1)
    time = np.unique(np.round(np.linspace(0, n_steps, n_times)).astype(int))
    with np.errstate(all="ignore"), linalg.one_thread():
        blocks = np.unique(np.round(np.linspace(0, n_steps, FINE + 1)).astype(int)[1:].clip(1))
        way = _forward(orbits, k, transient, transient + blocks, transient + time, rng)
        if not way.n_resolved and (way.diverged_at < 0).any():
            raise NotApplicable("all directions are forgotten within a step: there are no covariant vectors")
        back = _backward(way, transient, n_steps, rng)
        good, unknown = way.diverged_at < 0, np.full(way.n_resolved, np.nan)
        exponents, error = _exponents(way, transient, blocks, good) if good.any() else (unknown, unknown)
        return CovariantVectors(
            vectors=back.vectors,
            states=way.states,
            time=time,
            exponents=exponents,
            standard_error=error,
            covariant_exponents=back.grown[good].mean(0) / n_steps if good.any() else unknown,
            pair_angle=_pair_angles(back.vectors[good]),
            discrepancy=back.apart if good.any() else unknown,
            splitting=_splitting(back, clear_sign(exponents, error), good),
            diverged_at=way.diverged_at,
            n_forgotten=k - way.n_resolved,
            state_size=orbits.state_map.state_size,
            dt=orbits.state_map.dt,
            drive=orbits.drive,
        )


def _forgotten(n: int) -> str:
    return "direction is forgotten at once and has none" if n == 1 else "directions are forgotten at once and have none"


@dataclass(frozen=True)
class _Way:
    """What the way forward leaves: the R of each QR step and when it was, and Q and the state where they are wanted."""

    times: list[int]
    factors: list[np.ndarray]  # (start, k, k) each
    frames: dict[int, np.ndarray]  # time -> (start, state, k)
    states: Float[np.ndarray, "start time state"]
    diverged_at: Integer[np.ndarray, " start"]
    n_resolved: int


@dataclass(frozen=True)
class _Back:
    """What the way back gives: the vectors (NaN for starts that diverged) and those of another beginning, the largest
    angle between the two, and how much each vector grew in its time, as a logarithm."""

    vectors: Float[np.ndarray, "start time state vector"]
    others: Float[np.ndarray, "start time state vector"]
    apart: Float[np.ndarray, " vector"]
    grown: Float[np.ndarray, "start vector"]


def _forward(
    orbits: Orbits, k: int, transient: int, blocks: np.ndarray, wanted: np.ndarray, rng: np.random.Generator
) -> _Way:
    n_starts, n = orbits.begin.shape
    total = orbits.inputs.shape[1]
    noise_rng, frame_rng = rng.spawn(2)
    frame, _ = linalg.qr(frame_rng.standard_normal((n_starts, n, k)))
    diverged_at, resolved = np.full(n_starts, -1), np.ones(k, bool)
    times, factors, frames = [], [], {0: frame} if wanted[0] == 0 else {}
    limits = limits_of(orbits.state_map)
    keep, every, since, visited = set(wanted.tolist()), 1, 0, []
    stops = {*keep, *blocks.tolist(), total}
    for t, (states, shown) in enumerate(orbits.walk(diverged_at, noise_rng)):
        if t in keep:
            visited.append(states.copy())
        frame = orbits.state_map.jvp(states, shown, frame)
        since += 1
        if since < every and t + 1 not in stops:
            continue
        frame, r = linalg.qr(frame)
        lost = ~np.isfinite(r).all((1, 2)) & (diverged_at < 0)
        check_jacobian(orbits.state_map, states[lost], shown[lost])
        diverged_at[lost] = t + 1
        alive = diverged_at < 0
        frame[~alive], r[~alive] = np.eye(n, k), np.eye(k)
        grown = np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
        behind = grown.max(1, keepdims=True) - grown
        every = next_interval(every, since, float(behind.max()), limits)
        since = 0
        if t + 1 > transient:
            resolved &= (behind <= limits.lost).all(0)
            times.append(t + 1)
            factors.append(r)
        if t + 1 in keep:
            frames[t + 1] = frame
    n_resolved = k if resolved.all() else int(resolved.argmin())
    return _Way(times, factors, frames, np.stack(visited, 1), diverged_at, n_resolved)


def _backward(way: _Way, transient: int, n_steps: int, rng: np.random.Generator) -> _Back:
    k, n_starts = way.n_resolved, len(way.diverged_at)
    good = way.diverged_at < 0
    two = [_unit(np.triu(rng.standard_normal((n_starts, k, k)))) for _ in range(2)]
    kept, apart, grown = {}, np.zeros(k), np.zeros((n_starts, k))
    for time, factor in zip([*way.times[::-1], transient], [*way.factors[::-1], None], strict=True):
        if time in way.frames:
            kept[time] = two
            apart = np.maximum(apart, _apart(*two)[good].max(0, initial=0.0))
        if factor is None:
            break
        raw = [linalg.solve(factor[:, :k, :k], c) for c in two]
        if time <= transient + n_steps:
            grown -= np.log(np.linalg.norm(raw[0], axis=1))
        two = [_unit(np.triu(c)) for c in raw]
    vectors, others = (
        np.stack([way.frames[t][:, :, :k] @ kept[t][i] for t in sorted(way.frames)], 1) for i in range(2)
    )
    vectors[~good] = np.nan
    return _Back(vectors, others, apart, grown)


def _splitting(back: _Back, sign: Integer[np.ndarray, " vector"], good: Bool[np.ndarray, " start"]) -> Splitting:
    """Split the vectors by the signs of their exponents, and measure the angle between the two spans."""
    n_expanding, n_contracting = (int(np.cumprod(one_way).sum()) for one_way in (sign > 0, sign[::-1] < 0))
    angle, other_angle = (_angles_between(each, n_expanding, n_contracting) for each in (back.vectors, back.others))
    moved = np.radians(np.abs(angle - other_angle)[good])
    apart = float(moved.max()) if np.isfinite(moved).any() else None
    if apart is not None and apart > SETTLED:
        angle = np.full_like(angle, np.nan)
    return Splitting(n_expanding, len(sign) - n_expanding - n_contracting, angle, apart)


def _exponents(
    way: _Way, transient: int, blocks: np.ndarray, good: np.ndarray
) -> tuple[Float[np.ndarray, " vector"], Float[np.ndarray, " vector"]]:
    """(growth of the frame per step in the time of the vectors, its error)."""
    k, until = way.n_resolved, int(np.searchsorted(way.times, transient + blocks[-1])) + 1
    diagonals = [np.diagonal(r[good, :k, :k], axis1=1, axis2=2) for r in way.factors[:until]]
    logs = np.cumsum(np.log(np.abs(diagonals)), axis=0)
    ends = np.searchsorted(way.times, transient + blocks)  # there is a QR at each
    return logs[-1].mean(0) / blocks[-1], error_of(logs[ends], blocks, transient)


def _unit(columns: np.ndarray) -> np.ndarray:
    return columns / np.linalg.norm(columns, axis=-2, keepdims=True)


def _apart(one: np.ndarray, other: np.ndarray) -> Float[np.ndarray, "start vector"]:
    """The angle between columns of length 1, whatever their sign; exact for small ones too."""
    sign = np.sign((one * other).sum(1, keepdims=True))
    return 2 * np.arcsin(np.minimum(1.0, np.linalg.norm(one - sign * other, axis=1) / 2))


def _angles_between(
    vectors: Float[np.ndarray, "start time state vector"], n_first: int, n_last: int
) -> Float[np.ndarray, "start time"]:
    """The smallest between the spans of so many of the first and of the last vectors, in degrees."""
    n_starts, n_times, n, k = vectors.shape
    angles = np.full((n_starts, n_times), np.nan)
    good = np.isfinite(vectors).all((1, 2, 3))
    if n_first and n_last and good.any():
        flat = vectors[good].reshape(-1, n, k)
        (one, _), (other, _) = linalg.qr(flat[..., :n_first]), linalg.qr(flat[..., k - n_last :])
        # The sine keeps small angles: |(1 - P) x| for the x of the other span that is nearest.
        smaller, larger = (one, other) if n_first <= n_last else (other, one)
        cosine = linalg.svd(larger.swapaxes(1, 2) @ smaller)[1]
        sine = linalg.svd(smaller - larger @ (larger.swapaxes(1, 2) @ smaller))[1]
        angles[good] = np.degrees(np.arctan2(sine.min(1), cosine.max(1))).reshape(good.sum(), n_times)
    return angles


def _pair_angles(vectors: Float[np.ndarray, "start time state vector"]) -> Float[np.ndarray, "vector vector"]:
    k = vectors.shape[3]
    if not len(vectors):
        return np.full((k, k), np.nan)
    cosines = np.abs(np.einsum("stni,stnj->stij", vectors, vectors, optimize=True)).reshape(-1, k, k)
    return np.degrees(np.arccos(np.minimum(1.0, np.median(cosines, axis=0))))


def _figure(found: CovariantVectors, chosen: Int64[np.ndarray, " chosen"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, SEQUENTIAL, TEMPLATE, sentence_figure

    if len(found.exponents) == 1 and np.isfinite(found.exponents).all():
        scale = found.dt or 1.0
        error = f" ± {found.standard_error[0] / scale:.2g}" if np.isfinite(found.standard_error[0]) else ""
        rate = f"{found.exponents[0] / scale:.3g}{error} {rate_unit(found.dt)}".replace("-", "−")
        text = f"One vector, which grows at {rate}: there is no other that it could have an angle with."
        return sentence_figure("Covariant Lyapunov vectors", text)

    known = found.splitting.angle[np.isfinite(found.splitting.angle)]
    split = known.size > 0
    figure = make_subplots(rows=1, cols=1 + split, horizontal_spacing=0.3)
    not_all = "" if found.settled.all() else f" ({int(found.settled.sum())} of {len(found.settled)} settled)"
    figure.update_layout(template=TEMPLATE, title={"text": f"Covariant Lyapunov vectors{not_all}"})
    if not np.isfinite(found.exponents).all():
        figure.add_annotation(text=found.summary(), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
        return figure
    index = [str(number + 1) for number in chosen]
    angle = found.pair_angle[np.ix_(chosen, chosen)]
    off_diagonal = np.where(np.eye(len(index), dtype=bool), np.nan, angle)
    figure.add_heatmap(
        x=index,
        y=index,
        z=off_diagonal,
        zmin=0,
        zmax=90,
        colorscale=SEQUENTIAL,
        colorbar={
            "title": {"text": "median angle (degrees)", "side": "right"},
            "x": 0.36 if split else 1.0,
            "thickness": 12,
            "tickvals": [0, 30, 60, 90],
        },
        hovertemplate="%{x}, %{y}: %{z:.1f}°<extra></extra>",
        row=1,
        col=1,
    )
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(title_text="index of the vector", showgrid=False, type="category", tickangle=0, row=1, col=1)
        # As many as there is room for.
        axis(tickmode="linear", tick0=0, dtick=max(1, -(-len(index) // 12)), row=1, col=1)
    figure.update_yaxes(autorange="reversed", constrain="domain", scaleanchor="x", row=1, col=1)
    figure.update_xaxes(constrain="domain", row=1, col=1)
    if not split:
        lines = textwrap.wrap(
            f"Covariant Lyapunov vectors{not_all}: {found.splitting.summary(len(found.exponents))}", TITLE_WIDTH
        )
        figure.update_layout(title={"text": "<br>".join(lines)}, margin={"t": 33 + 22 * len(lines)})
        return figure
    figure.update_xaxes(title_text="smallest angle, expanding<br>to contracting (degrees)", row=1, col=2)
    figure.update_yaxes(title_text="share of states", rangemode="tozero", row=1, col=2)
    bins = {"start": 0, "end": 90 if known.max() > 30 else 1.05 * max(known.max(), 1e-3)}
    bins["size"] = bins["end"] / 30
    figure.add_histogram(
        x=known, xbins=bins, histnorm="probability", marker={"color": COLOURS[0]}, showlegend=False, row=1, col=2
    )
    figure.update_xaxes(range=[0, bins["end"]], row=1, col=2)
    figure.update_layout(margin={"b": 80})
    return figure
