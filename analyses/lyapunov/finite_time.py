"""How fast do neighbouring states part within a trial? Finite-time Lyapunov exponents, and how they are distributed.

Over a window of T steps a small ball of states becomes an ellipsoid with the singular values σ_i of the product of the
Jacobians as axes: λ_i(T) = ln σ_i / T. For T to infinity these are the Lyapunov exponents; before, they differ from
window to window (Grassberger, Badii & Politi, J. Stat. Phys. 51, 1988).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from rnnscope.analyses.headings import LYAPUNOV
from rnnscope.analyses.lyapunov.frames import Frame, check_jacobian, limits_of
from rnnscope.analyses.lyapunov.orbits import rate_unit
from rnnscope.analyses.lyapunov.recorded import Labels, labels_of, record, stretches
from rnnscope.analyses.lyapunov.settings import checked_count
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.percent import percent
from rnnscope.question import Count, InputVector, Level, Seed, TrialInputs, Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

# The way there or back is repeated until ln σ changes by less than this, at most so many times. Where two σ are
# nearly equal this is slow: what is missing may be the root of the last change, .01.
AGREE, MOST_SWEEPS = 1e-4, 60
# States of up to so many numbers go through the product in all directions, larger ones in so many more than wanted.
WHOLE, SPARE = 96, 24
# Sweeps that larger states took on networks of the presets.
USUAL_SWEEPS = 6


@dataclass(frozen=True, repr=False)
class FiniteTimeExponents(Result):
    """Finite-time Lyapunov exponents in nats per step, the largest first.

    Attributes:
        exponents: of each window; NaN where a trial has no such window any more, or diverged.
        converged: whether ln σ was found to .01 for all exponents of the window.
        start: the first step of each window.
        length: steps in each window; 0 where there is none.
        trial_label: the label of each trial, as a place in `label_names`.
        diverged_at: the step at which a trial's state was no longer finite; -1 for never.
        label_names: of the labels; one empty name where trials have no labels.
        state_size: of the map.
        dt: what a step is in units of time; None for a map proper.
        drive: what was shown: "task trials", "given inputs", "constant input" or "no input".
        made: how they were found.
    """

    rows: ClassVar[str] = "trial"

    exponents: Float[np.ndarray, "trial window exponent"]
    converged: Bool[np.ndarray, "trial window"]
    start: Integer[np.ndarray, " window"]
    length: Integer[np.ndarray, "trial window"]
    trial_label: Integer[np.ndarray, " trial"]
    diverged_at: Integer[np.ndarray, " trial"]
    label_names: tuple[str, ...]
    state_size: int
    dt: float | None
    drive: str
    made: Made | None = None

    @property
    def known(self) -> Bool[np.ndarray, "trial window"]:
        """The windows that there are, and whose trial did not diverge."""
        return (self.length > 0) & ~np.isnan(self.exponents[..., 0])

    @property
    def mean(self) -> Float[np.ndarray, " exponent"]:
        """Over all windows, each with the weight of its length: for windows without gaps, the exponents of the whole
        come out of it from above as windows get longer."""
        there = self.known
        if not there.any():
            return np.full(self.exponents.shape[2], np.nan)
        return np.average(self.exponents[there], axis=0, weights=self.length[there])

    def headline(self) -> dict[str, float | int]:
        """Of the first exponent over windows: its mean and standard deviation in nats per step, and the share of
        windows that expand. NaN where there is no window; no deviation where one forgets altogether."""
        first = self.exponents[self.known][:, 0]
        return {
            "lambda_1": float(self.mean[0]),
            "lambda_1_deviation": float(first.std()) if len(first) and np.isfinite(first).all() else np.nan,
            "expanding_share": float((first > 0).mean()) if len(first) else np.nan,
        }

    def to_dataframe(self) -> "pd.DataFrame":
        """One row per trial: how many windows it has, and the mean and the largest of their first exponents, in nats
        per step, NaN where there is none; whether all converged, its label, and where it diverged. `to_xarray` has
        every window."""
        import pandas as pd

        first, length = self.exponents[..., 0], np.where(self.known, self.length, 0)
        n_windows, n_steps = self.known.sum(1), length.sum(1)
        mean = (np.where(self.known, first, 0.0) * length).sum(1) / np.where(n_steps, n_steps, np.nan)
        largest = np.where(self.known, first, -np.inf).max(1, initial=-np.inf)
        return pd.DataFrame(
            {
                "n_windows": n_windows,
                "lambda_1": mean,
                "largest_lambda_1": np.where(n_windows, largest, np.nan),
                "converged": (self.converged | ~self.known).all(1),
                "label": [self.label_names[i] for i in self.trial_label],
                "diverged_at": self.diverged_at,
            },
            index=pd.RangeIndex(len(first), name=self.rows),
        )

    def summary(self) -> str:
        there, lost = self.known, int((self.diverged_at >= 0).sum())
        diverged = f"{lost} of {len(self.diverged_at)} trials diverged" if lost else ""
        if not there.any():
            return f"no finite-time exponents: {diverged}"
        first, scale = self.exponents[there][:, 0] / (self.dt or 1.0), self.dt or 1.0
        lengths = np.unique(self.length[there])
        steps = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
        several = len(self.label_names) > 1
        by_label = [
            f"{name}: {np.mean(self.exponents[(self.trial_label == i)[:, None] & there][:, 0]) / scale:.3f}"
            for i, name in enumerate(self.label_names)
            if several and ((self.trial_label == i)[:, None] & there).any()
        ]
        open_ones = int((there & ~self.converged).sum())
        # In a window that a network forgets altogether the exponent is minus infinity.
        spread = f", standard deviation {first.std():.4f}" if np.isfinite(first).all() else ""
        parts = [
            f"λ₁ over {len(first)} windows of {steps} steps: mean {self.mean[0] / scale:.4f}{spread}, "
            f"{first.min():.4f} to {first.max():.4f} {rate_unit(self.dt)}",
            f"{percent(float(np.mean(first > 0)))} of windows expand",
            "mean of " + ", ".join(by_label) if by_label and len(by_label) <= 6 else "",
            f"{int((self.diverged_at < 0).sum())} trials, {self.drive}",
            f"{open_ones} windows NOT converged" if open_ones else "all converged",
            diverged,
        ]
        return "; ".join(part for part in parts if part)

    @checked
    def figure(
        self, *, colour: Literal["label", "none"] = "label", trials: Rows | None = None, components: Whole = 0
    ) -> "go.Figure":
        """The distribution of an exponent, for each label; with several windows, how it goes through a trial.

        Args:
            colour: by label, or all trials together.
            trials: which trials; None for all.
            components: which exponent, counted from 0.

        Raises:
            ValueError: there is no such trial or exponent.
        """
        rows = chosen_rows(trials, len(self.exponents), "trials")
        chosen_rows(components, self.exponents.shape[2], "components")
        return _figure(self, rows, components, colour == "none")


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps = stretches(scale, settings)
    whole = scale.n <= WHOLE
    width, sweeps = (scale.n, 1) if whole else (min(scale.n, settings["n_exponents"] + SPARE), USUAL_SWEEPS)
    n_windows = n_trials * max(n_steps // settings["window"], 1) if settings["window"] else n_trials
    products = sweeps * n_trials * n_steps * width
    seconds = scale.simulation(n_trials, n_steps) + scale.jvp.of(sweeps * n_steps, products)
    seconds += products * scale.n * 4 * scale.scan + sweeps * n_windows * (width / scale.n) ** 2 * 2 * scale.qr.each
    return scale.around(seconds, FLOAT * n_windows * scale.n * width * 5)


@analysis(
    "finite_time",
    title="Finite-time exponents",
    group=LYAPUNOV,
    quick={"n_trials": 8, "n_steps": 20, "transient": 10},
    cost=Cost("light", "trials x steps x units^3 (x units^2 and sweeps above 96 units)", _cost),
)
def finite_time_exponents(
    subject: Subject,
    *,
    window: Count | None = None,
    n_exponents: Count = 1,
    input: InputVector | None = None,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 64,
    n_steps: Count = 100,
    transient: Whole = 100,
    label: str | None = None,
    trial_labels: Labels | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> FiniteTimeExponents:
    """Lyapunov exponents of finite windows, trial by trial.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        window: steps in a window; trials are cut into windows from their first step on, and what is left is dropped.
            None: each trial is one window.
        n_exponents: how many, the largest first.
        input: an input to hold, (input,).
        inputs: what to show, (trial, time, input), or a task's trials. None: trials of the run's own task; for
            anything but a run, or with `input`, stretches of `n_steps` from random starts.
        n_trials: how many, where `inputs` does not say.
        n_steps, transient: length of such a stretch, and steps before it.
        label: which of the task's labels (the `info` of its trials) to group trials by.
        trial_labels: labels of one's own, one for each trial, (trial,).
        noise: standard deviation of process noise, added to every number of the state after each step.
        seed: for starts, trials and noise.

    Raises:
        ValueError: an argument out of range or of the wrong shape, labels that do not match the trials, a window
            that no trial has.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> logistic = rs.FunctionMap(lambda x: 4 * x * (1 - x), jacobian=lambda x: (4 - 8 * x)[..., None],
        ...                           state_size=1, domain=(0, 1))
        >>> found = finite_time_exponents(logistic, window=10, n_steps=1000)
        >>> found.exponents.shape, found.mean.round(1)  # ln 2 = .69
        ((64, 100, 1), array([0.7]))
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
    k = checked_count("n_exponents", n_exponents, shown.state_map.state_size, "the map's state size")
    n_trials, total = shown.valid.shape
    places, names = labels_of(shown, label, trial_labels)
    size = checked_count("window", window, total, "the steps of the longest trial")
    n_windows = total // size
    cut = (n_trials * n_windows, size)
    states, inputs_, valid = (
        part[:, : n_windows * size].reshape(*cut, *part.shape[2:]) for part in (shown.states, shown.inputs, shown.valid)
    )
    if window is not None:
        valid = np.repeat(valid.all(1, keepdims=True), size, 1)  # no window that goes past the end
    length = valid.sum(1)
    logs, converged = np.full((len(length), k), np.nan), np.zeros(len(length), bool)
    there = length > 0
    if not there.any() and (shown.diverged_at < 0).any():
        raise ValueError(f"no trial has a window of {window} steps: choose a shorter one")
    if there.any():
        with np.errstate(all="ignore"), linalg.one_thread():
            windows = _Windows(shown.state_map, states[there], inputs_[there], valid[there])
            logs[there], converged[there] = _log_singular_values(windows, k, np.random.default_rng([seed, 0x1D]))
            bad = there & np.isnan(logs).any(1)
            check_jacobian(shown.state_map, states[bad], inputs_[bad])
    with np.errstate(invalid="ignore"):
        exponents = (logs / length[:, None]).reshape(n_trials, n_windows, k)
    return FiniteTimeExponents(
        exponents=exponents,
        converged=converged.reshape(n_trials, n_windows),
        start=np.arange(n_windows) * size,
        length=length.reshape(n_trials, n_windows),
        trial_label=places,
        diverged_at=shown.diverged_at,
        label_names=names,
        state_size=shown.state_map.state_size,
        dt=shown.state_map.dt,
        drive=shown.drive,
    )


@dataclass(frozen=True)
class _Windows:
    """What the products of Jacobians are made of, for each window."""

    state_map: CompleteMap
    states: Float[np.ndarray, "window time state"]
    inputs: Float[np.ndarray, "window time input"]
    valid: Bool[np.ndarray, "window time"]

    def product(self, vectors: np.ndarray, chosen: np.ndarray, i: int, forward: bool) -> np.ndarray:
        """The i-th Jacobian of the chosen windows times their vectors, or the i-th from the end, transposed."""
        t = i if forward else self.states.shape[1] - 1 - i
        moved = (self.state_map.jvp if forward else self.state_map.vjp)(
            self.states[chosen, t], self.inputs[chosen, t], vectors
        )
        going = self.valid[chosen, t, None, None]
        return moved if going.all() else np.where(going, moved, vectors)


def _log_singular_values(
    windows: _Windows, k: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "window exponent"], Bool[np.ndarray, " window"]]:
    """(ln σ of the product of the Jacobians of each window, whether found to `AGREE`)."""
    near, near_agree = _largest(windows, k, rng)
    deep = near < near[:, :1] - limits_of(windows.state_map).accepted
    if not deep.any():
        return near, near_agree
    far, far_agree = _all(windows, k, rng)
    return np.where(deep, far, near), near_agree & (far_agree | ~deep.any(1))


def _largest(
    windows: _Windows, k: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "window exponent"], Bool[np.ndarray, " window"]]:
    """Read them off what the whole product does to more directions than wanted; exact where these are all."""
    n_windows, n_steps, n = windows.states.shape
    deep = limits_of(windows.state_map).accepted  # a σ further below the largest is not read off the product
    width = n if n <= WHOLE else min(n, k + SPARE)
    vectors, _ = linalg.qr(rng.standard_normal((n_windows, n, width)))
    logs, agree, todo = np.full((n_windows, k), np.nan), np.zeros(n_windows, bool), np.arange(n_windows)
    for sweep in range(MOST_SWEEPS):
        moved, scale = vectors[todo], np.zeros(len(todo))
        for i in range(n_steps):
            moved = windows.product(moved, todo, i, sweep % 2 == 0)
            size = np.abs(moved).max((1, 2))
            moved = moved / np.where(size > 0, size, 1.0)[:, None, None]
            scale = scale + np.log(size)
        vectors[todo], r = linalg.qr(moved)
        found = scale[:, None] + np.log(linalg.singular_values(r)[:, :k])
        known = found >= found[:, :1] - deep
        same = ((np.abs(found - logs[todo]) <= AGREE) | ~known).all(1) | (width == n) | (found == -np.inf).all(1)
        logs[todo], agree[todo] = found, same & ~np.isnan(found).any(1)
        todo = todo[~same & ~np.isnan(found).any(1)]
        if not len(todo):
            break
    return logs, agree


def _all(
    windows: _Windows, k: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "window exponent"], Bool[np.ndarray, " window"]]:
    """Find them by subspace iteration, with the growth taken out at intervals. This reaches directions that shrink far
    below the first, where the product itself holds nothing but rounding errors."""
    n_windows, n_steps, n = windows.states.shape
    vectors = rng.standard_normal((n_windows, n, min(n, k + SPARE)))
    logs, agree, todo = np.full((n_windows, k), np.nan), np.zeros(n_windows, bool), np.arange(n_windows)
    for sweep in range(MOST_SWEEPS):
        frame = Frame(vectors[todo], limits_of(windows.state_map))
        for i in range(n_steps):
            frame.vectors = windows.product(frame.vectors, todo, i, sweep % 2 == 0)
            frame.step(last=i == n_steps - 1)
        vectors[todo] = frame.vectors
        found = -np.sort(-frame.growth(), axis=1)[:, :k]
        # Directions that are forgotten altogether do not settle, and need not.
        forgotten = ~frame.resolved[:k] & (found < np.log(1e-14))
        agree[todo] = ((np.abs(found - logs[todo]) <= AGREE) | forgotten).all(1) & frame.alive
        logs[todo] = np.where(frame.alive[:, None], found, np.nan)
        todo = todo[frame.alive & ~agree[todo]]
        if not len(todo):
            break
    return logs, agree


def _figure(found: FiniteTimeExponents, rows: Int64[np.ndarray, " chosen"], which: int, together: bool) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE
    from rnnscope.figures.palette import series_look
    from rnnscope.figures.paths import add_band

    there, unit, symbol = found.known[rows], rate_unit(found.dt), f"λ<sub>{which + 1}</sub>"
    through = found.exponents.shape[1] > 1
    figure = make_subplots(rows=1, cols=1 + through, horizontal_spacing=0.13)
    lengths = np.unique(found.length[rows][there])
    over = "" if not len(lengths) else f" over {lengths[0]}" + ("" if len(lengths) == 1 else f" to {lengths[-1]}")
    figure.update_layout(template=TEMPLATE, title={"text": f"Finite-time exponent {symbol}{over} steps"})
    figure.update_xaxes(title_text=f"{symbol} ({unit})", row=1, col=1)
    figure.update_yaxes(title_text="share of windows", rangemode="tozero", row=1, col=1)
    exponents, labels = found.exponents[rows][..., which], found.trial_label[rows]
    if not np.isfinite(exponents[there]).any():
        figure.add_annotation(text=found.summary(), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
        return figure
    first = exponents / (found.dt or 1.0)
    every = first[there & np.isfinite(first)]
    # Bins that are no narrower than the numbers are known to, even where all exponents are the same.
    middle, half = (every.max() + every.min()) / 2, max(np.ptp(every) / 2, 1e-6 * np.abs(every).max(), 1e-12)
    edges = np.linspace(middle - half, middle + half, int(np.clip(np.sqrt(len(every)), 5, 40)) + 1)
    pooled = together or len(found.label_names) == 1 or len(found.label_names) > len(COLOURS)
    groups = [("all trials", np.ones(len(first), bool))] if pooled else []
    groups += [] if pooled else [(name, labels == i) for i, name in enumerate(found.label_names)]
    time = (found.start + found.length.max(0) / 2) * (found.dt or 1.0)
    beside = 0.08 * (time[1] - time[0]) if through else 0.0
    for place, (name, trials) in enumerate(groups):
        look = series_look(place)
        colour = look.colour
        chosen = first[trials][there[trials] & np.isfinite(first[trials])]
        if not len(chosen):
            continue
        share = np.histogram(chosen, edges)[0] / len(chosen)
        figure.add_scatter(
            x=np.concatenate([edges[:1], edges]),
            y=np.concatenate([[0.0], share, [0.0]]),
            line={"shape": "hv", "color": colour, "width": 2, "dash": look.dash},
            mode="lines",
            name=name,
            legendgroup=name,
            showlegend=not pooled,
            row=1,
            col=1,
        )
        if through:
            part = np.where(there[trials], first[trials], np.nan)
            seen = np.isfinite(part).any(0)
            middle, spread = np.nanmean(part[:, seen], 0), np.nanstd(part[:, seen], 0)
            at = time[seen] + beside * (place - (len(groups) - 1) / 2)
            add_band(figure, at, middle - spread, middle + spread, colour, where={"row": 1, "col": 2}, legendgroup=name)
            figure.add_scatter(
                x=time[seen] + beside * (place - (len(groups) - 1) / 2),
                y=middle,
                mode="lines+markers",
                line={"color": colour, "width": 2, "dash": look.dash},
                marker={"symbol": look.symbol},
                name=name,
                legendgroup=name,
                showlegend=False,
                row=1,
                col=2,
            )
    # Nothing is cut: the outermost bins end within the panel, and 0 is in it.
    low, high = min(edges[0], 0.0), max(edges[-1], 0.0)
    figure.update_xaxes(range=[low - 0.04 * (high - low), high + 0.04 * (high - low)], row=1, col=1)
    zero: dict[str, Any] = {"line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"}, "row": 1, "col": 1}
    figure.add_vline(x=0, **zero)
    if through:
        figure.add_hline(y=0, **{**zero, "col": 2})
        figure.update_xaxes(title_text="time in the trial" + (" (steps)" if found.dt is None else ""), row=1, col=2)
        figure.update_yaxes(title_text=f"{symbol} ({unit})", row=1, col=2)
        figure.add_annotation(
            text="mean ± standard deviation", x=1, y=1, xref="x2 domain", yref="y2 domain", xanchor="right",
            yanchor="bottom", showarrow=False,
        )  # fmt: skip
    figure.update_layout(legend={"x": 1.01, "y": 1, "xanchor": "left"})
    return figure
