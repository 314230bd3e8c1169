"""The Lyapunov spectrum of a network: the exponents, how far they can be trusted, and their figure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.lyapunov.dimension import Dimension, dimension_of
from rnnscope.analyses.lyapunov.orbits import DRIVEN, rate_unit
from rnnscope.analyses.lyapunov.trust import ZERO, allowed_error, clear_sign, creeps
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Starts have merged when their distance fell to this part of what it was.
MERGED = 1e-3
# The axis ends below so many times the median of the resolved exponents; what lies lower is marked at its edge.
REACH = 12
# So few exponents are all shown where they are resolved: a flow's last one is often far below its others.
FEW = 4
N_CURVES = 4
# Bars and bands are so many standard errors to either side: of normal errors 95 %.
SHOWN_ERRORS = 2


@dataclass(frozen=True)
class Convergence:
    """How the exponents settled along the run.

    Attributes:
        running: the estimates up to each time, in nats per step.
        time: steps after the transient at which they were recorded.
        drift: mean over the second half of the run minus mean over the first.
        agree: False where starts differ by far more than their own blocks of time explain, as on several attractors.
            The mean is then the exponent of none of them.
        tolerance: the most that drift and error may be where an exponent counts as converged, in nats per
            step, or per unit of time where there is a dt.
    """

    running: Float[np.ndarray, "time exponent"] = field(metadata={FORMERLY: "convergence"})
    time: Integer[np.ndarray, " time"]
    drift: Float[np.ndarray, " exponent"]
    agree: Bool[np.ndarray, " exponent"]
    tolerance: float


@dataclass(frozen=True)
class Reductions:
    """How often the frame of tangent vectors was reduced, and what was lost in between.

    Attributes:
        resolved: False where the direction shrank to the rounding error (1e-14 of the largest; 1e-8 for a Jacobian by
            finite differences) within one interval of `qr_every` steps. It is forgotten within these steps; the
            exponent is then a bound from above (with `qr_every` = 1 near -36, or -inf), as for the dead units of a
            ReLU network.
        qr_every: steps between two reductions; where it was chosen from the stretching, that at the end, else the
            most that there were: the records of the convergence may need shorter ones.
        qr_asked: the interval that was asked for; None where it was chosen.
        spread: the largest ratio of two directions' growths within one such interval; times 1e-16 (1e-10 for a Jacobian
            by finite differences) it is the relative error of the smallest.
    """

    resolved: Bool[np.ndarray, " exponent"]
    qr_every: int
    qr_asked: int | None
    spread: float

    @property
    def lost(self) -> str:
        """How many exponents are not resolved, and what to do about it; empty where all are."""
        n = int((~self.resolved).sum())
        if not n:
            return ""
        if self.qr_asked is None or self.qr_every == 1:
            return f"{n} forgotten within {'a step' if self.qr_every == 1 else f'{self.qr_every} steps'}"
        which = "exponent is" if n == 1 else f"{n} exponents are"
        return (
            f"qr_every={self.qr_asked} is too long: the last {which} lost in rounding errors within {self.qr_every} "
            "steps; leave it out, and the interval is chosen from the stretching"
        )


@dataclass(frozen=True)
class Starts:
    """What became of the starts.

    Attributes:
        exponents: those along each start's trajectory, in nats per step; NaN where it diverged.
        diverged_at: the step, counted from the start, at which a state or a tangent vector was no longer finite;
            -1 for never.
        separation: the largest distance at the end between states that were shown the same, in units of that at the
            beginning: between starts, or, where each has inputs or noise of its own, from each to a second state
            beside it; inf where such a one diverged. None where there were no two, or nothing drives the map.
        n_steps, transient: steps averaged, and steps before them.
        n_others, n_apart: random starts that were run without tangent vectors under what the first start was shown,
            and those of them that did not come to it; 0 where it was not asked.
        n_moving: starts of a map that nothing drives, whose mean state in the second half of the run is further from
            that in the first than states scatter within the halves, while growth changes too by more than chance: they
            are still on their way, as from a saddle.
    """

    exponents: Float[np.ndarray, "start exponent"] = field(metadata={FORMERLY: "per_start"})
    diverged_at: Integer[np.ndarray, " start"]
    separation: float | None
    n_steps: int
    transient: int
    n_others: int = field(default=0, metadata={FORMERLY: None})
    n_apart: int = field(default=0, metadata={FORMERLY: None})
    n_moving: int = field(default=0, metadata={FORMERLY: None})

    @property
    def alive(self) -> Bool[np.ndarray, " start"]:
        """Which did not diverge."""
        return self.diverged_at < 0

    @property
    def n_compared(self) -> int:
        """How many states were compared with another one that was shown the same."""
        return self.n_others or int(self.alive.sum())

    @property
    def share_open(self) -> float:
        """Where none of `n_compared` random states stayed apart, the share of such states that may, at 95 %: with a
        larger share s, none of n would do so with a chance of (1 - s)^n < 5 %."""
        return float(1 - 0.05 ** (1 / max(self.n_compared, 1)))

    @property
    def lost(self) -> str:
        """How many diverged, and when; empty where none did."""
        diverged = self.diverged_at[~self.alive]
        if not len(diverged):
            return ""
        return f"{len(diverged)} of {len(self.diverged_at)} starts diverged, the first at step {diverged.min()}"


@dataclass(frozen=True, repr=False)
class LyapunovSpectrum(Result):
    """Lyapunov exponents in nats per step, the largest first.

    Attributes:
        exponents: mean over the starts that did not diverge; NaN where all did.
        standard_error: of that mean, with its bias (`trust.error_of`): the larger of what the starts say and what ten
            blocks of time say (starts that are driven alike are not independent, nor are blocks shorter than the
            slowest correlation), but no less than the halves of the run differ by, nor than what single starts
            scatter by where they stay apart as long as the run lasts; NaN where nothing is known. The truth lies
            within two of them in at least 90 % of runs of mixing systems and at marginal points (benchmarks), not
            where growth falls as slowly as a power of time below 1/2 or where all starts miss a rare event.
        converged: drift and error are known and at most `allowed`, starts agree, and none is still on its way (see
            `starts.n_moving`), and the exponent is resolved.
        drive: what was shown: "task trials", "given inputs", "constant input" or "no input".
        state_size: of the map; with fewer exponents than that, the rest of the spectrum is not known.
        dt: what a step is in units of time; None for a map proper.
        convergence: how the exponents settled along the run.
        reductions: how the frame of tangent vectors was reduced, and what was lost.
        starts: what became of each start.
        made: how the spectrum was found.
    """

    rows: ClassVar[str] = "exponent"

    exponents: Float[np.ndarray, " exponent"]
    standard_error: Float[np.ndarray, " exponent"]
    converged: Bool[np.ndarray, " exponent"]
    drive: str
    state_size: int
    dt: float | None
    convergence: Convergence
    reductions: Reductions
    starts: Starts
    made: Made | None = None

    @property
    def rates(self) -> Float[np.ndarray, " exponent"]:
        """The exponents in nats per unit of time; per step where the map has no dt."""
        return self.exponents / (self.dt or 1.0)

    @property
    def kaplan_yorke(self) -> float | None:
        """The dimension j + (λ_1 + ... + λ_j) / |λ_j+1|, with the last j for which the sum is not negative (Kaplan &
        Yorke 1979); None where too few exponents are known, or all starts diverged. Where no exponent is clearly
        positive, the first `dimension.n_zero`, which are within two errors of 0, count as 0."""
        return self.dimension.value

    @property
    def entropy_rate(self) -> float | None:
        """The sum of the positive exponents in nats per step, which bounds the Kolmogorov-Sinai entropy from above
        (Ruelle) and is equal to it for smooth expanding measures (Pesin); None where too few exponents are known."""
        return self.dimension.entropy

    @property
    def dimension(self) -> Dimension:
        """The Kaplan-Yorke dimension and the entropy rate with their errors, and which exponents were counted as 0;
        nothing where states are still on their way to where they will be."""
        if self.starts.n_moving:
            return Dimension(None, np.nan, 0, None, np.nan)
        return dimension_of(
            self.exponents,
            self.standard_error,
            self.convergence.running,
            self.convergence.time,
            self.starts.exponents[self.starts.alive],
            self.state_size,
        )

    @property
    def allowed(self) -> Float[np.ndarray, " exponent"]:
        """The most that drift and error may be, in nats per step: `tolerance`, relative where |rate| > 1."""
        return allowed_error(self.exponents, self.convergence.tolerance, self.dt)

    @property
    def sign(self) -> int:
        """The sign of the first exponent, 1 or -1; 0 where it is within two errors of 0 (or 1e-9), has no
        error, where starts disagree and have not all the same sign, or where states are still on their way."""
        if self.starts.n_moving:
            return 0
        if self.convergence.agree[0]:
            return int(clear_sign(self.exponents[:1], self.standard_error[:1])[0])
        signs = np.unique(np.sign(self.starts.exponents[self.starts.alive, 0]))
        return int(signs[0]) if len(signs) == 1 else 0

    @property
    def creeping(self) -> bool:
        """Whether λ_1 of the halves differs by more than `allowed`, and by more than chance: the transient is then too
        short for what still changes."""
        moved = abs(self.convergence.drift[0]) > self.allowed[0]
        grown = self.convergence.running[:, None, :1] * self.convergence.time[:, None, None]
        return bool(moved and creeps(grown, self.convergence.time)[0])

    @property
    def echo_state(self) -> bool | None:
        """Whether all starts that were tried were forgotten, as the echo state property asks of all that there are:
        λ_1 < 0, no start diverged, and states that were shown the same came together. True is no proof:
        `starts.share_open` is the share of such starts that may still be kept apart. Several attractors have λ_1 < 0
        and keep their starts apart. None for a map that is not driven, where no two states were shown the same, and
        where the sign of λ_1, or whether states merge, is open."""
        if self.drive not in DRIVEN:
            return None
        if not self.starts.alive.all() or self.sign > 0 or self.starts.n_apart:
            return False
        separation = self.starts.separation
        apart = separation is not None and separation > MERGED
        if apart and not self.convergence.agree[0]:
            return False
        if self.sign == 0 or separation is None:
            return None
        if not apart:
            return True
        long_enough = self.exponents[0] * (self.starts.transient + self.starts.n_steps) < 2 * np.log(MERGED)
        return False if long_enough else None

    def headline(self) -> dict[str, float | int]:
        """In nats per step; NaN for what is not known, as where more exponents are needed."""
        dimension, entropy = self.kaplan_yorke, self.entropy_rate
        return {
            "lambda_1": float(self.exponents[0]),
            "lambda_1_error": float(self.standard_error[0]),
            "kaplan_yorke": np.nan if dimension is None else float(dimension),
            "entropy_rate": np.nan if entropy is None else float(entropy),
        }

    def summary(self) -> str:
        starts, n_alive = self.starts, int(self.starts.alive.sum())
        if not n_alive:
            return f"no Lyapunov exponents: {starts.lost}"
        scale, unit, error = self.dt or 1.0, rate_unit(self.dt), self.standard_error[0]
        entropy = self.entropy_rate
        first = f"λ₁ = {self.exponents[0] / scale:.4f}" + (f" ± {error / scale:.4f}" if np.isfinite(error) else "")
        parts = [
            f"{first} {unit} ({self._first()})",
            self._others(),
            f"Kaplan-Yorke dimension {self._dimension()}",
            f"entropy rate {self._unknown if entropy is None else f'{entropy / scale:.3f} {unit}'}",
            f"{n_alive} starts x {starts.n_steps} steps after {starts.transient}, {self.drive}",
            self._memory(),
            self._moving,
            starts.lost,
        ]
        return "; ".join(part for part in parts if part)

    @property
    def _unknown(self) -> str:
        return "not known, as states still move" if self.starts.n_moving else "needs more exponents"

    def _dimension(self) -> str:
        found = self.dimension
        if found.value is None:
            return self._unknown
        error = f" ± {found.error:.2g}" if found.error > ZERO else ""
        return f"{found.value:.2f}{error}" + (f" if {_first_ones(found.n_zero)}" if found.n_zero else "")

    def _first(self) -> str:
        if np.isneginf(self.exponents[0]) and self.reductions.resolved[0]:
            return "no direction is left within rounding, as on a superstable cycle"
        if self.converged[0]:
            return "converged" if self.sign else "converged, sign open"
        return f"NOT converged: {self._fault()}" if self.reductions.resolved[0] else "NOT resolved"

    def _fault(self) -> str:
        scale, drift, error = self.dt or 1.0, abs(self.convergence.drift[0]), self.standard_error[0]
        if not self.convergence.agree[0]:
            return f"starts disagree, {self._groups()}"
        if not np.isfinite(drift):
            return "too short to compare its halves"
        if np.isnan(error):
            return "too short for an error, with one start"
        halves = f"halves differ by {drift / scale:.2g}" if drift > self.allowed[0] else ""
        scatter = f"the error is {error / scale:.2g}" if error > max(self.allowed[0], drift) else ""
        if self.starts.n_moving and not halves and not scatter:
            return "states still move"
        fault = f"{' and '.join(filter(None, (halves, scatter)))}, more than {self.allowed[0] / scale:.2g}"
        return fault + (
            f", after a transient of {self.starts.transient} steps that is too short" if self.creeping else ""
        )

    @property
    def _moving(self) -> str:
        n = self.starts.n_moving
        where = f"the states of {n} start{'' if n == 1 else 's'} still move from one place to another"
        return f"{where}: run longer, or after a longer transient" if n else ""

    def _groups(self) -> str:
        """The starts by λ_1, in groups that are further apart than all scatter."""
        first = np.sort(self.starts.exponents[self.starts.alive, 0]) / (self.dt or 1.0)
        groups = np.split(first, np.flatnonzero(np.diff(first) > first.std()) + 1)
        if len(groups) == 1:
            return f"from {first[0]:.4f} to {first[-1]:.4f}"
        return f"{len(groups)} groups: " + ", ".join(f"{len(each)} near {each.mean():.4f}" for each in groups)

    def _others(self) -> str:
        known = len(self.exponents)
        counts = f"{known} of {self.state_size} exponents, {int(self.converged.sum())} converged"
        return "; ".join(filter(None, (counts, self.reductions.lost)))

    def _memory(self) -> str:
        if self.echo_state is not None:
            return self._forgotten() if self.echo_state else self._kept()
        if self.drive in DRIVEN and self.sign < 0 and self.starts.separation is None:
            return "neighbours merge; several different starts with the same inputs would tell whether all do"
        return ""

    def _forgotten(self) -> str:
        n, share = self.starts.n_compared, 100 * self.starts.share_open
        return f"starts are forgotten, {n} of {n}: of such starts at most {share:.2g} % are not (95 %)"

    def _kept(self) -> str:
        n, apart = self.starts.n_others, self.starts.n_apart
        return "starts are not forgotten" + (f", {apart} of {n} random ones" if apart else "")

    @checked
    def figure(self, *, components: Rows | None = None) -> "go.Figure":
        """The exponents by index, with errors, and how the first ones converged. Bands and bars are two standard errors
        to either side.

        Args:
            components: exponents whose convergence is drawn, counted from 0; None for the first four.

        Raises:
            ValueError: there is no such exponent.
        """
        known = min(N_CURVES, len(self.exponents))
        drawn = chosen_rows(
            tuple(range(known)) if components is None else components, len(self.exponents), "components"
        )
        return _figure(self, drawn)


def _first_ones(n: int) -> str:
    return "λ₁ is 0" if n == 1 else f"λ₁ to λ_{n} are 0"


def _figure(found: LyapunovSpectrum, drawn: Integer[np.ndarray, " drawn"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import TEMPLATE

    figure = make_subplots(rows=1, cols=2, column_widths=[0.57, 0.43], horizontal_spacing=0.22)
    dimension = found.kaplan_yorke
    title = "Lyapunov spectrum"
    if np.isfinite(found.exponents[0]):
        title += ", Kaplan-Yorke dimension " + ("not reached" if dimension is None else found._dimension())
    if not found.converged[0]:
        title += " (λ₁ not converged)"
    figure.update_layout(template=TEMPLATE, title={"text": title})
    unit = rate_unit(found.dt)
    figure.update_xaxes(title_text="index i of the exponent", row=1, col=1)
    figure.update_yaxes(title_text=f"λ<sub>i</sub> ({unit})", row=1, col=1)
    figure.update_xaxes(title_text="time (steps)" if found.dt is None else "time", row=1, col=2)
    figure.update_yaxes(title_text=f"running estimate ({unit})", row=1, col=2)
    if not np.isfinite(found.exponents).any():
        figure.add_annotation(text=found.summary(), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
        return figure
    _add_exponents(figure, found)
    _add_convergence(figure, found, drawn)
    return figure


def _add_exponents(figure: "go.Figure", found: LyapunovSpectrum) -> None:
    from rnnscope.figures import COLOURS, NEUTRAL
    from rnnscope.figures.paths import add_band

    rates, k = found.rates, len(found.exponents)
    # Of an exponent without a known error no bar is drawn, and the legend says of how many.
    errors = SHOWN_ERRORS * np.nan_to_num(found.standard_error) / (found.dt or 1.0)
    index = np.arange(1, k + 1)
    sure = found.reductions.resolved & np.isfinite(rates)
    reach = REACH * max(np.abs(np.median(rates[sure])), np.abs(rates[0]), 1e-6) if k > FEW and sure.any() else np.inf
    shown = sure & (rates >= -reach)
    low = (rates - errors)[shown].min(initial=0.0) if shown.any() else -1.0
    high = (rates + errors)[shown].max(initial=0.0)
    span = max(high - low, 1e-6)
    below = ~shown & ~np.isnan(rates)
    edge = low - 0.06 * span
    left: dict[str, Any] = {"row": 1, "col": 1}
    options = {**left, "showlegend": False}
    figure.add_scatter(
        x=index[shown],
        y=rates[shown],
        error_y={
            "type": "data",
            "array": errors[shown],
            "thickness": 1.2,
            "width": 0 if k > 40 else 4,
            "color": "#222222",
        },
        mode="lines+markers" if k > 1 else "markers",
        marker={"size": 4 if k > 40 else 7, "color": COLOURS[0]},
        line={"width": 1, "color": COLOURS[0]},
        hovertemplate="λ<sub>%{x}</sub> = %{y:.4f}<extra></extra>",
        **options,
    )
    known = shown & np.isfinite(found.standard_error)
    if known.any():
        add_band(
            figure, index[known].astype(float), (rates - errors)[known], (rates + errors)[known], COLOURS[0],
            where=left, name="± 2 standard errors", showlegend=True,
        )  # fmt: skip
    unknown = int((shown & ~np.isfinite(found.standard_error)).sum())
    if unknown:
        name = "no errors known" if not known.any() else f"error of {unknown} not known"
        figure.add_scatter(x=[None], y=[None], mode="markers", marker={"opacity": 0}, name=name, **left)
    if below.any():
        figure.add_scatter(
            x=index[below],
            y=np.full(below.sum(), edge),
            mode="markers",
            marker={"size": 6, "color": COLOURS[1], "symbol": "triangle-down"},
            customdata=rates[below],
            hovertemplate="λ<sub>%{x}</sub> = %{customdata:.4g}<extra></extra>",
            **options,
        )
        lowest = rates[below].min()
        text = f"▼ {int(below.sum())} lower, down to {'−∞' if np.isinf(lowest) else f'{lowest:.3g}'.replace('-', '−')}"
        figure.add_annotation(
            text=text, x=1, y=1, xref="x domain", yref="y domain", xanchor="right", yanchor="bottom", showarrow=False,
            font={"color": COLOURS[1], "size": 13},
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"}, **left)
    figure.update_yaxes(range=[(edge if below.any() else low) - 0.06 * span, high + 0.08 * span], row=1, col=1)
    figure.update_xaxes(range=[0.5 - 0.01 * k, k + 0.5 + 0.01 * k], row=1, col=1)
    if k <= 12:
        figure.update_xaxes(tickmode="linear", tick0=1, dtick=1, row=1, col=1)


def _add_convergence(figure: "go.Figure", found: LyapunovSpectrum, drawn: Integer[np.ndarray, " drawn"]) -> None:
    from rnnscope.figures.palette import series_look

    scale = found.dt or 1.0
    time, running = found.convergence.time * scale, found.convergence.running / scale
    late = found.convergence.time >= 0.1 * found.convergence.time[-1]
    drawn = drawn[np.isfinite(running[:, drawn]).all(0)]
    for place, i in enumerate(drawn.tolist()):
        look = series_look(place)
        error = SHOWN_ERRORS * found.standard_error[i] / scale
        at_end = {"type": "data", "array": [0.0] * (len(time) - 1) + [error], "thickness": 1.5, "width": 4}
        figure.add_scatter(
            x=time,
            y=running[:, i],
            mode="lines",
            line={"color": look.colour, "width": 2, "dash": look.dash},
            error_y={**at_end, "color": look.colour} if np.isfinite(error) else None,
            name=f"λ<sub>{i + 1}</sub>",
            row=1,
            col=2,
        )
    values = running[late][:, drawn]
    if values.size:
        # The first estimates lie far off; the errors at the end lie within the panel.
        errors = SHOWN_ERRORS * np.nan_to_num(found.standard_error[drawn]) / scale
        low, high = min(values.min(), (values[-1] - errors).min()), max(values.max(), (values[-1] + errors).max())
        margin = 0.1 * max(high - low, 0.02 * np.abs(values).max(), 1e-6)
        figure.update_yaxes(range=[low - margin, high + margin], row=1, col=2)
    figure.update_layout(legend={"x": 1.01, "y": 1, "xanchor": "left"}, margin={"r": 70})
