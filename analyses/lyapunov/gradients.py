"""Do gradients vanish or explode on the way back through time? Their norm along the network's own trajectories.

A gradient g at the end of a trial is J_1^T ... J_T^T g at its beginning. Its norm grows or shrinks, in the long run, by
the first Lyapunov exponent of the same trajectory per step (Bengio et al., IEEE Trans. Neural Netw. 5, 1994; Vogt et
al., Front. Appl. Math. Stat. 8, 2022).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from jaxtyping import Float, Int64, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.headings import LYAPUNOV
from rnnscope.analyses.lyapunov.frames import check_jacobian
from rnnscope.analyses.lyapunov.orbits import rate_unit
from rnnscope.analyses.lyapunov.recorded import Recorded, record, stretches
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.numerics import linalg
from rnnscope.percent import percent
from rnnscope.question import Axes, Count, InputVector, Level, Seed, Share, TrialInputs, Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go

# The rate is taken from this part of the way on, where the gradient has turned into its direction of growth.
SETTLED = 0.25


@dataclass(frozen=True, repr=False)
class GradientGrowth(Result):
    """Norm of the gradient, on the way back from the last step of each trial.

    Attributes:
        log_norm: natural logarithm of the norm of dL/dh, 0 at the last step; a root mean square over the directions
            that L is given there. NaN before the beginning of a trial, and for trials that diverged.
        lag: steps back from the last.
        rate: nats per step over the last three quarters of the way of each trial; negative where gradients vanish, -inf
            where they are 0.
        diverged_at: the step at which a trial's state was no longer finite; -1 for never.
        n_vectors: how many directions.
        state_size: of the map.
        dt: what a step is in units of time; None for a map proper.
        drive: what was shown: "task trials", "given inputs", "constant input" or "no input".
        made: how it was found.
    """

    rows: ClassVar[str] = "trial"

    log_norm: Float[np.ndarray, "trial lag"]
    lag: Integer[np.ndarray, " lag"]
    rate: Float[np.ndarray, " trial"]
    diverged_at: Integer[np.ndarray, " trial"]
    n_vectors: int
    state_size: int
    dt: float | None
    drive: str
    made: Made | None = None

    @property
    def mean_rate(self) -> tuple[float, float]:
        """(mean of the rate over trials in nats per step, its standard error); NaN where there is none."""
        known = self.rate[~np.isnan(self.rate)]
        if not len(known):
            return np.nan, np.nan
        if len(known) == 1 or np.isinf(known).any():
            return float(known.mean()), np.nan
        return float(known.mean()), float(known.std(ddof=1) / np.sqrt(len(known)))

    def headline(self) -> dict[str, float | int]:
        """The mean rate in nats per step, and its standard error."""
        rate, error = self.mean_rate
        return {"rate": float(rate), "rate_error": float(error)}

    def summary(self) -> str:
        n, lost = len(self.rate), int((self.diverged_at >= 0).sum())
        diverged = f"{lost} of {n} trials diverged" if lost else ""
        rate, error = self.mean_rate
        if np.isnan(rate):
            return f"no gradients: {diverged or 'no trial is longer than a step'}"
        scale = self.dt or 1.0
        clear = abs(rate) > 2 * np.nan_to_num(error)
        verdict = ("explode" if rate > 0 else "vanish") if clear else "neither vanish nor explode clearly"
        last = int(np.flatnonzero(~np.isnan(self.log_norm).all(0))[-1])
        norms = self.log_norm[:, last][~np.isnan(self.log_norm[:, last])]
        error_bar = f" ± {error / scale:.4f}" if np.isfinite(error) else ""
        parts = [
            f"gradients {verdict}: {rate / scale:.4f}{error_bar} {rate_unit(self.dt)}",
            f"{self.lag[last]} steps back their norm is {_power(np.median(norms))} (median of {len(norms)} trials)",
            f"{n - lost} trials, {self.drive}, {self.n_vectors} directions at the end of each",
            diverged,
        ]
        return "; ".join(part for part in parts if part)

    @checked
    def figure(self, *, trials: Rows | None = None, bands: Share = 0.9) -> "go.Figure":
        """The norm against the steps back: the median of the trials, and a band that most of them are in.

        Args:
            trials: which trials; None for all.
            bands: the share of the trials within the band; 0 for no band.

        Raises:
            ValueError: the result holds no such trial.
        """
        return _figure(self, chosen_rows(trials, len(self.log_norm), "trials"), bands)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps = stretches(scale, settings)
    given = settings["directions"]
    vectors = min(settings["n_vectors"], scale.n) if given is None else len(given)
    products = n_trials * n_steps * vectors
    seconds = scale.simulation(n_trials, n_steps) + scale.jvp.of(n_steps, products) + n_trials * scale.qr.each
    seconds += products * scale.n * 6 * scale.scan + 30 * n_steps * scale.numpy_call
    return scale.around(seconds, FLOAT * n_trials * scale.n * (5 * vectors + 3 * n_steps))


@analysis(
    "gradients",
    title="Growth of gradients",
    group=LYAPUNOV,
    quick={"n_trials": 8, "n_steps": 20, "transient": 10},
    cost=Cost("light", "trials x steps x units^2 x vectors", _cost),
)
def gradient_growth(
    subject: Subject,
    *,
    input: InputVector | None = None,
    inputs: TrialInputs | Trials | None = None,
    directions: Annotated[ArrayLike, Axes("vector state")] | None = None,
    n_vectors: Count = 16,
    n_trials: Count = 32,
    n_steps: Count = 100,
    transient: Whole = 100,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> GradientGrowth:
    """The norm of gradients, from the last step of trials back to their first.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        input: an input to hold, (input,).
        inputs: what to show, (trial, time, input), or a task's trials. None: trials of the run's own task; for
            anything but a run, or with `input`, stretches of `n_steps` from random starts.
        directions: gradients at the last step, (vector, state), such as the rows of a readout; their lengths do not
            matter. None: at random, each trial its own.
        n_vectors: how many random directions, at right angles to one another; at most one for each number of the
            state. With all of them, the norm is that of the Jacobian of the whole way (Frobenius, over the root of the
            state size), else an estimate of it.
        n_trials: how many, where `inputs` does not say.
        n_steps, transient: length of a stretch, and steps before it.
        noise: standard deviation of process noise, added to every number of the state after each step.
        seed: for starts, trials, noise and directions.

    Raises:
        ValueError: an argument out of range or of the wrong shape.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> halves = rs.FunctionMap(lambda x: x / 2, state_size=3)
        >>> found = gradient_growth(halves, n_steps=10, n_trials=1)
        >>> np.exp(found.log_norm[0, :4]).round(3)
        array([1.   , 0.5  , 0.25 , 0.125])
    """
    shown = record(
        subject,
        input=input,
        inputs=inputs,
        n_trials=n_trials,
        n_steps=n_steps,
        transient=transient,
        noise=noise,
        seed=seed,
    )
    n_trials, _, size = shown.states.shape
    vectors = _directions(directions, min(n_vectors, size), n_trials, size, np.random.default_rng([seed, 0x1E]))
    with np.errstate(all="ignore"), linalg.one_thread():
        log_norm = _back(shown, vectors)
        rate = _rates(log_norm)
        bad = np.isnan(rate) & (shown.diverged_at < 0)
        check_jacobian(shown.state_map, shown.states[bad], shown.inputs[bad])
    return GradientGrowth(
        log_norm=log_norm,
        lag=np.arange(log_norm.shape[1]),
        rate=rate,
        diverged_at=shown.diverged_at,
        n_vectors=vectors.shape[2],
        state_size=size,
        dt=shown.state_map.dt,
        drive=shown.drive,
    )


def _directions(
    given: ArrayLike | None, n_vectors: int, n_trials: int, size: int, rng: np.random.Generator
) -> Float[np.ndarray, "trial state vector"]:
    if given is None:
        return linalg.qr(rng.standard_normal((n_trials, size, n_vectors)))[0]
    rows = np.array(given, np.float64)
    if rows.ndim != 2 or rows.shape[1] != size or not len(rows):
        raise ValueError(f"directions must have shape (vector, {size}), one gradient a row, got {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ValueError("directions must be finite numbers, none of them a row of zeros")
    return np.repeat((rows / lengths).T[None], n_trials, 0)


def _back(shown: Recorded, vectors: Float[np.ndarray, "trial state vector"]) -> Float[np.ndarray, "trial lag"]:
    n_trials, n_steps, _ = shown.states.shape
    length, logs = shown.valid.sum(1), np.zeros((n_trials, vectors.shape[2]))
    log_norm = np.full((n_trials, n_steps + 1), np.nan)
    log_norm[length > 0, 0] = 0.0
    trial = np.arange(n_trials)
    for lag in range(1, n_steps + 1):
        going = lag <= length
        t = np.maximum(length - lag, 0)
        vectors = shown.state_map.vjp(shown.states[trial, t], shown.inputs[trial, t], vectors)
        norms = np.linalg.norm(vectors, axis=1)  # each vector its own, as they part by more than floats hold
        vectors = vectors / np.where(norms > 0, norms, 1.0)[:, None]
        logs = logs + np.log(norms)
        most = logs.max(1)
        mean_square = np.log(np.exp(2 * (logs - most[:, None])).mean(1)) / 2
        log_norm[going, lag] = np.where(np.isinf(most), most, most + mean_square)[going]
    return log_norm


def _rates(log_norm: Float[np.ndarray, "trial lag"]) -> Float[np.ndarray, " trial"]:
    rates = np.full(len(log_norm), np.nan)
    for i, row in enumerate(log_norm):
        length = int((~np.isnan(row)).sum()) - 1
        begin = int(SETTLED * length)
        if length > begin:
            rates[i] = -np.inf if np.isinf(row[length]) else (row[length] - row[begin]) / (length - begin)
    return rates


def _power(log: float) -> str:
    if np.isinf(log):
        return "0"
    decades = log / np.log(10)
    if abs(decades) < 4:
        return f"{10.0**decades:.3g}"
    exponent = int(np.floor(decades + 0.02))  # 9.6 and more is 1.0 of the next
    return f"{max(1.0, 10 ** (decades - exponent)):.1f}e{exponent}"


def _figure(found: GradientGrowth, trials: Int64[np.ndarray, " chosen"], bands: float) -> "go.Figure":
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    n = len(found.log_norm)
    found = replace(found, **{name: getattr(found, name)[trials] for name in ("log_norm", "rate", "diverged_at")})
    rate, _ = found.mean_rate
    scale = found.dt or 1.0
    title = "Gradient norm through time" + ("" if np.isnan(rate) else f": {rate / scale:.3g} {rate_unit(found.dt)}")
    title = title.replace("-", "−") + (f" ({len(trials)} of {n} trials)" if len(trials) < n else "")
    figure = new_figure(title, "steps back from the end", "log₁₀ |∂L/∂h|, end = 0")
    values = np.where(np.isfinite(found.log_norm), found.log_norm, np.nan) / np.log(10)
    enough = np.isfinite(values).sum(0) >= max(1, len(values) // 4)
    if not enough.any() or np.isnan(rate):
        figure.add_annotation(text=found.summary(), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
        return figure
    lag, values = found.lag[enough], values[:, enough]
    low, middle, high = np.nanpercentile(values, [50 - 50 * bands, 50, 50 + 50 * bands], axis=0)
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
    if bands and np.isfinite(values).any(1).sum() > 1:
        figure.add_scatter(
            x=np.concatenate([lag, lag[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor="rgba(0,114,178,0.2)",
            line={"width": 0},
            name=f"{percent(bands)} of the trials",
            hoverinfo="skip",
        )
    figure.add_scatter(x=lag, y=middle, mode="lines", line={"color": COLOURS[0], "width": 2.5}, name="median")
    if np.isfinite(rate):
        settled = lag[lag >= SETTLED * lag[-1]]
        anchor = middle[lag >= SETTLED * lag[-1]]
        line = anchor[0] + (settled - settled[0]) * rate / np.log(10)
        figure.add_scatter(
            x=settled, y=line, mode="lines", line={"color": COLOURS[1], "width": 2, "dash": "dash"}, name="mean rate"
        )
    figure.update_layout(legend={"x": 1.01, "y": 1, "xanchor": "left"})
    return figure
