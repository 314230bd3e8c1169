"""Does a network come back to where it was? The recurrence plot and its measures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Float, Int64

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.long_runs import LongRuns, long_runs
from rnnscope.analyses.noise.recurrence_lines import (
    ROUNDING,
    Lines,
    distance_quantile,
    lines_of,
    recurrences,
    slope_of,
)
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.numerics import linalg
from rnnscope.question import Count, InputVector, Level, Positive, Seed, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_STEPS = 8000  # a plot of these takes 64 MB
CELLS = 240  # a side of the plot that is kept: finer than a figure can show
ThresholdBy = Literal["rate", "spread", "distance"]


@dataclass(frozen=True, kw_only=True)
class RecurrenceMeasures:
    """Measures of the recurrence plot of each run (Marwan et al., Physics Reports 438, 2007).

    Attributes:
        rate: share of pairs of times that are recurrent.
        determinism: share of recurrent pairs on diagonal lines of `shortest` or more: stretches that go the same way.
        mean_length: of these lines, in steps.
        longest: of these lines.
        entropy: of their lengths, in nats.
        laminarity: share of recurrent pairs on vertical lines of `shortest` or more: states that stay.
        trapping: mean length of these, in steps.
    """

    rate: Float[np.ndarray, " run"]
    determinism: Float[np.ndarray, " run"]
    mean_length: Float[np.ndarray, " run"]
    longest: Float[np.ndarray, " run"]
    entropy: Float[np.ndarray, " run"]
    laminarity: Float[np.ndarray, " run"]
    trapping: Float[np.ndarray, " run"]

    def mean(self, name: str) -> tuple[float, float]:
        """Of a measure: mean and standard error over the runs that have it; NaN where none has."""
        values = getattr(self, name)
        values = values[np.isfinite(values)]
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        return (float(values.mean()) if len(values) else np.nan), float(error)


@dataclass(frozen=True, repr=False)
class Recurrence(Result):
    """Recurrence in several independent runs of a network.

    Attributes:
        measures: of each run.
        threshold: distance up to which a state has come back, in units of the state.
        spread: root mean square distance of states from their mean.
        theiler: pairs of times closer than this do not count: a state is always near itself.
        shortest: lines from this length on count.
        length: lengths of diagonal lines.
        n_lines: how many diagonal lines there are of each, in all runs, without those that end at the border of a plot.
        slope: of the logarithm of the number of lines against their length, from `slope_from` on; 0 where none ended,
            NaN where none is longer.
        slope_error: its standard error over runs (jackknife).
        slope_from: the length from which on.
        n_ended: lines that it rests on.
        plot: of the first run: share of recurrent pairs in each cell, earlier times first.
        n_steps: steps of a run.
        drive: what drove it.
        made: how it was found.
    """

    rows: ClassVar[str] = "run"

    measures: RecurrenceMeasures
    threshold: float
    spread: float
    theiler: int
    shortest: int
    length: Int64[np.ndarray, " length"]
    n_lines: Int64[np.ndarray, " length"]
    slope: float
    slope_error: float
    slope_from: int
    n_ended: int
    plot: Float[np.ndarray, "cell cell"]
    n_steps: int
    drive: str
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """Recurrence rate, determinism, laminarity, and the slope of line lengths."""
        names = ("rate", "determinism", "laminarity")
        return {**{name: self.measures.mean(name)[0] for name in names}, "line_slope": self.slope}

    def summary(self) -> str:
        words = {
            "rate": "recurrence rate", "determinism": "determinism", "mean_length": "mean diagonal",
            "longest": "longest diagonal", "entropy": "entropy of lengths", "laminarity": "laminarity",
            "trapping": "trapping time",
        }  # fmt: skip
        said = []
        for name, word in words.items():
            mean, error = self.measures.mean(name)
            if np.isfinite(mean):
                said.append(f"{word} {mean:.3g}" + (f" ± {error:.1g}" if np.isfinite(error) else ""))
        if self.n_ended and np.isfinite(self.slope):
            said.append(
                f"the number of lines falls by e^{self.slope:.3g} ± {self.slope_error:.1g} a step from length "
                f"{self.slope_from} on ({self.n_ended} lines)"
            )
        else:
            said.append(f"too few lines of length {self.slope_from} or more were seen to end for a slope")
        return (
            f"{', '.join(said)}; states up to {self.threshold:.3g} apart ({self.threshold / self.spread:.2g} of their "
            f"spread), pairs within {self.theiler} steps left out, lines from {self.shortest} steps on; "
            f"{len(self.measures.rate)} runs of {self.n_steps} steps, driven by {self.drive}"
        )

    def figure(self) -> "go.Figure":
        """The recurrence plot of the first run."""
        from rnnscope.figures import new_figure

        figure = new_figure("Recurrence plot", "steps", "steps")
        edge = self.n_steps / len(self.plot)
        middles = (np.arange(len(self.plot)) + 0.5) * edge
        figure.add_heatmap(
            x=middles, y=middles, z=self.plot, colorscale="Greys", zmin=0, zmax=max(float(self.plot.max()), 1e-9),
            colorbar={"title": {"text": "share recurrent"}},
            hovertemplate="steps %{x:.0f} and %{y:.0f}: %{z:.2g} recurrent<extra></extra>",
        )  # fmt: skip
        figure.update_yaxes(scaleanchor="x", constrain="domain")
        figure.update_xaxes(constrain="domain")
        return figure


def _lengths_figure(found: Recurrence) -> "go.Figure":
    """How many diagonal lines there are of each length, and the slope."""
    from rnnscope.figures import COLOURS, new_figure, sentence_figure

    title = "Lengths of diagonal lines"
    if not found.n_lines.any():
        return sentence_figure(title, "No diagonal line ended within the plot: there is nothing to count.")
    figure = new_figure(title, "length (steps)", "lines at least so long")
    beyond = found.n_lines[::-1].cumsum()[::-1]
    figure.add_scatter(
        x=found.length, y=beyond, mode="markers", name="seen", marker={"color": COLOURS[0], "symbol": "circle"}
    )
    begin = found.slope_from - 1
    if found.n_ended and np.isfinite(found.slope) and begin < len(beyond):
        line = beyond[begin] * np.exp(found.slope * (found.length[begin:] - found.slope_from))
        figure.add_scatter(
            x=found.length[begin:][line >= 0.5], y=line[line >= 0.5], mode="lines",
            line={"color": COLOURS[1], "dash": "dash"},
            name=f"slope {found.slope:.3f} ± {found.slope_error:.1g}".replace("-", "−"),
        )  # fmt: skip
    figure.update_yaxes(type="log")
    figure.update_layout(showlegend=True)
    return figure


def _cost(scale: Scale, settings: Settings) -> Expected:
    n, runs = settings["n_steps"], settings["n_runs"]
    seconds = scale.simulation(runs, n + settings["transient"]) + runs * n * n * (2e-9 * scale.n + 4e-8)
    return scale.around(seconds, 3.0 * n * n + 2 * FLOAT * runs * n * scale.n)


@analysis(
    "recurrence",
    title="Recurrence",
    group=NOISE,
    quick={"n_steps": 60, "n_runs": 2, "transient": 10},
    drawings=(Drawing("lengths", "Lengths of diagonal lines", _lengths_figure),),
    cost=Cost("light", "runs x steps^2 x units", _cost),
)
def recurrence(
    subject: Subject,
    *,
    threshold_by: ThresholdBy = "rate",
    threshold: Positive | None = None,
    theiler: Count = 1,
    shortest: Annotated[int, Ge(2)] = 2,
    slope_from: Count = 6,
    noise: Level = 0.0,
    input: InputVector | None = None,
    n_steps: Annotated[int, Ge(20), Le(MOST_STEPS)] = 1000,
    n_runs: Annotated[int, Ge(2)] = 5,
    transient: Whole = 200,
    seed: Seed = 0,
) -> Recurrence:
    """Recurrence plots of a network, and what is measured on them.

    A pair of times is recurrent where the two states are near each other. Diagonal lines are stretches in which the
    network goes the same way again, vertical ones those in which it stays (Eckmann, Kamphorst & Ruelle, 1987; Marwan et
    al., Physics Reports 438, 2007). Of a chaotic map the number of diagonal lines falls with their length as
    exp(-K_2 l), K_2 the correlation entropy, in the limit of small thresholds and long lines (Thiel, Romano & Kurths,
    2004); at finite ones it is a few percent off for maps of known K_2, and more for some. Of independent states with
    recurrence rate r, determinism is 1 - (1 - r)^2 for lines from 2 on, however little there is to determine: compare
    with that.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes. With a task it is shown
            the task's trials one after another, else an input that is held.
        threshold_by: "rate": the distance that this share of all pairs is within; "spread": this share of the root mean
            square distance of states from their mean; "distance": in units of the state. Where exact returns are more
            than the rate asks for, as of a cycle, all of these count.
        threshold: the number for it. None: .05 of pairs, .2 of the spread; a distance has to be given.
        theiler: pairs of times fewer steps apart than this are left out.
        shortest: lines from this length on count for determinism, laminarity and lengths.
        slope_from: lines from this length on count for the slope.
        noise: standard deviation of process noise.
        input: to be held in place of the task's trials, (input,).
        n_steps: of a run; its plot has n_steps^2 cells, so that 8,000 is the most. Of a longer run look at every k-th
            step: a map iterated k times.
        n_runs: independent runs, from which errors come.
        transient: steps before.
        seed: for starts, trials and noise.

    Raises:
        NotApplicable: states run away.
        ValueError: a setting out of range, no distance.

    Example:
        >>> import rnnscope as rs
        >>> turn = rs.FunctionMap(lambda h: 1 - h, state_size=1, domain=(0, 1))
        >>> recurrence(turn, n_steps=100).headline()["determinism"]
        1.0
    """
    if threshold is None and threshold_by == "distance":
        raise ValueError("threshold_by = 'distance' wants the distance: give threshold, in units of the state")
    value = {"rate": 0.05, "spread": 0.2, "distance": 0.0}[threshold_by] if threshold is None else threshold
    if threshold_by == "rate" and value >= 1:
        raise ValueError(f"threshold is a share of pairs, and must be below 1, got {value:g}")
    if theiler >= n_steps // 2:
        raise ValueError(f"theiler must be below half of the {n_steps} steps, or no pairs are left, got {theiler}")
    runs: LongRuns = long_runs(subject, n_runs, transient, n_steps, noise, input, np.random.default_rng([seed, 0x2EC]))
    trajectories = list(runs.states)
    spread = runs.spread or 1.0
    with linalg.one_thread():
        if threshold_by == "rate":
            value = distance_quantile(trajectories, value, theiler)
        elif threshold_by == "spread":
            value *= spread
        value = max(value, ROUNDING * spread)
        first = recurrences(trajectories[0], value, theiler)
        plot, each = _coarse(first), [lines_of(first, theiler)]
        del first
        each += [lines_of(recurrences(states, value, theiler), theiler) for states in trajectories[1:]]
    slope, error, ended = _slope(each, slope_from)
    counts = sum(np.bincount(line.diagonal[~line.cut], minlength=n_steps) for line in each)
    last = int(np.flatnonzero(counts)[-1]) if counts.any() else 1  # type: ignore[union-attr]
    return Recurrence(
        measures=_measures(each, shortest),
        threshold=float(value),
        spread=float(spread),
        theiler=theiler,
        shortest=shortest,
        length=np.arange(1, last + 1),
        n_lines=np.asarray(counts, np.int64)[1 : last + 1],
        slope=slope,
        slope_error=error,
        slope_from=slope_from,
        n_ended=ended,
        plot=plot,
        n_steps=n_steps,
        drive=runs.drive,
    )


def _measures(each: list[Lines], shortest: int) -> RecurrenceMeasures:
    found = []
    for line in each:
        long = line.diagonal[line.diagonal >= shortest]
        stays = line.vertical[line.vertical >= shortest]
        shares = np.bincount(long) / max(len(long), 1)
        entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum()
        found.append(
            (
                line.rate,
                long.sum() / line.diagonal.sum() if len(line.diagonal) else np.nan,
                long.mean() if len(long) else np.nan,
                long.max() if len(long) else np.nan,
                entropy if len(long) else np.nan,
                stays.sum() / line.vertical.sum() if len(line.vertical) else np.nan,
                stays.mean() if len(stays) else np.nan,
            )
        )
    names = ("rate", "determinism", "mean_length", "longest", "entropy", "laminarity", "trapping")
    return RecurrenceMeasures(**dict(zip(names, np.array(found, np.float64).T, strict=True)))


def _slope(each: list[Lines], least: int) -> tuple[float, float, int]:
    """The slope of all runs together, its jackknife error over runs, and the lines it rests on."""

    def of(lines: list[Lines]) -> tuple[float, int]:
        return slope_of(
            np.concatenate([line.diagonal for line in lines]), np.concatenate([line.cut for line in lines]), least
        )

    slope, ended = of(each)
    without = np.array([of([*each[:k], *each[k + 1 :]])[0] for k in range(len(each))])
    n = len(each)
    known = np.isfinite(without).all() and np.isfinite(slope)
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()) if known else np.nan
    return slope, float(error), ended


def _coarse(plot: np.ndarray) -> Float[np.ndarray, "cell cell"]:
    """The share of recurrent pairs in each of at most CELLS x CELLS cells."""
    n = len(plot)
    edges = np.unique(np.linspace(0, n, min(n, CELLS) + 1).astype(np.int64))
    sums = np.add.reduceat(np.add.reduceat(plot, edges[:-1], 0, dtype=np.int32), edges[:-1], 1)
    sizes = np.diff(edges)
    return sums / np.outer(sizes, sizes)
