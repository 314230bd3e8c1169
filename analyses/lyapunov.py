"""How fast do neighbouring states part? The Lyapunov spectrum of a network, in nats per step.

A small ball of states around a trajectory becomes an ellipsoid; its axes grow as exp(λ_i t). The method carries an
orthonormal frame Q along, Q R <- J Q by QR at intervals, and averages ln|diag R| (Benettin et al., Meccanica 15,
1980; Geist et al., Prog. Theor. Phys. 83, 1990; for recurrent networks Engelken et al., Phys. Rev. Research 5, 2023).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import ArrayLike

from rnnscope import linalg, results
from rnnscope.maps import StateMap, as_map

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

# Between two QR steps the frame's vectors may differ in length by this factor at most: what is lost of the shortest
# is the rounding error (1e-16) times it.
MOST_SPREAD = 1e8
MOST_STEPS_BETWEEN_QR = 10
N_RECORDS = 100


@dataclass(frozen=True)
class LyapunovSpectrum:
    """Lyapunov exponents in nats per step, the largest first.

    Attributes:
        exponents: mean over the starts that did not diverge; NaN where all did. Below about -36 per step (the
            rounding error's logarithm) a direction is forgotten within a step, and the number only says that.
        standard_error: of that mean, over starts; NaN where fewer than two starts are left.
        per_start: the exponents along each start's trajectory; NaN where it diverged.
        drift: mean over the second half of the run minus mean over the first.
        time: steps after the transient, where `convergence` was recorded.
        convergence: the running estimates up to then.
        diverged_at: the step, counted from the start, at which a state or a tangent vector was no longer finite;
            -1 for never.
        state_size: of the map; with fewer exponents than that, the rest of the spectrum is not known.
        n_steps, transient: steps averaged, and steps before them.
        qr_every: steps between two QR factorisations.
        drive: what was shown: "task trials", "given inputs", "constant input" or "no input".
        noise: standard deviation of process noise.
        tolerance: on `drift`, see `converged`.
        seed: of starts, trials and noise.
    """

    exponents: Float[np.ndarray, " exponent"]
    standard_error: Float[np.ndarray, " exponent"]
    per_start: Float[np.ndarray, "start exponent"]
    drift: Float[np.ndarray, " exponent"]
    time: Integer[np.ndarray, " time"]
    convergence: Float[np.ndarray, "time exponent"]
    diverged_at: Integer[np.ndarray, " start"]
    state_size: int
    n_steps: int
    transient: int
    qr_every: int
    drive: str
    noise: float
    tolerance: float
    seed: int

    @property
    def converged(self) -> bool:
        """Whether the halves of the run agree: |drift| <= tolerance * max(1, |λ|) for every exponent, and no start
        diverged."""
        with np.errstate(invalid="ignore"):
            agree = np.abs(self.drift) <= self.tolerance * np.maximum(1, np.abs(self.exponents))
        return bool((agree | (self.exponents == -np.inf)).all() and (self.diverged_at < 0).all())

    @property
    def kaplan_yorke(self) -> float | None:
        """The dimension j + (λ_1 + ... + λ_j) / |λ_j+1|, with the last j for which the sum is not negative (Kaplan &
        Yorke 1979); None where too few exponents are known, or all starts diverged."""
        sums = np.cumsum(self.exponents)
        if not np.isfinite(self.exponents[0]):
            return None if np.isnan(self.exponents[0]) else 0.0
        negative = np.nonzero(sums < 0)[0]
        if not len(negative):
            return float(self.state_size) if len(sums) == self.state_size else None
        j = int(negative[0])
        return j + (float(sums[j - 1]) / abs(float(self.exponents[j])) if j else 0.0)

    @property
    def entropy_rate(self) -> float | None:
        """The sum of the positive exponents in nats per step, which bounds the Kolmogorov-Sinai entropy from above
        (Ruelle) and is equal to it for smooth expanding measures (Pesin); None where too few exponents are known."""
        if np.isnan(self.exponents).any() or (self.exponents[-1] > 0 and len(self.exponents) < self.state_size):
            return None
        return float(self.exponents[self.exponents > 0].sum())

    def summary(self) -> str:
        n, diverged = len(self.diverged_at), self.diverged_at[self.diverged_at >= 0]
        lost = f"{len(diverged)} of {n} starts diverged, the first at step {diverged.min()}" if len(diverged) else ""
        if len(diverged) == n:
            return f"no Lyapunov exponents: {lost}"
        error = self.standard_error[0]
        apart = np.abs(self.drift[np.isfinite(self.drift)])
        worst = f"halves differ by up to {apart.max():.2g}" if len(apart) else "too short to compare its halves"
        dimension, entropy = self.kaplan_yorke, self.entropy_rate
        parts = [
            f"λ₁ = {self.exponents[0]:.4f}" + (f" ± {error:.4f}" if np.isfinite(error) else "") + " nats/step",
            f"{len(self.exponents)} of {self.state_size} exponents",
            f"Kaplan-Yorke dimension {'needs more exponents' if dimension is None else f'{dimension:.2f}'}",
            f"entropy rate {'needs more exponents' if entropy is None else f'{entropy:.3f} nats/step'}",
            f"{n - len(diverged)} starts x {self.n_steps} steps, {self.drive}",
            "converged" if self.converged else lost or "NOT converged: " + worst,
        ]
        return "; ".join(parts)

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """The exponents by index, with standard errors."""
        return _figure(self)


def lyapunov_spectrum(
    system: Any,
    *,
    n_exponents: int | None = None,
    input: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    n_steps: int = 1000,
    transient: int = 200,
    n_starts: int = 10,
    qr_every: int | None = None,
    starts: ArrayLike | None = None,
    noise: float = 0.0,
    tolerance: float = 0.02,
    seed: int = 0,
) -> LyapunovSpectrum:
    """Lyapunov exponents along several trajectories.

    What drives the map decides what the exponents mean. With `inputs`, or for a run by default with its own task's
    trials one after another (without the padding; the state is not reset between trials), they are the conditional
    exponents of the network at work: λ_1 < 0 says that it forgets where it started. With `input` held constant they
    are those of the autonomous map. A map with inputs that is given neither, and is no run, is shown zeros.

    Args:
        system: a Run, Network, torch module or StateMap.
        n_exponents: how many, the largest first; all if None. An LSTM has two per unit.
        input: an input to hold, (input,).
        inputs: a sequence to show, (time, input) for all starts or (start, time, input), of `transient + n_steps`
            steps at least.
        n_steps: steps to average over.
        transient: steps before, in which the state and the frame settle.
        n_starts: number of trajectories, where neither `starts` nor `inputs` says.
        qr_every: steps between QR factorisations. None: as many, up to 10, as keep the
            frame's condition below 1e8 at the strongest stretching seen in the transient; 1 without a transient.
        starts: the states to start from, (start, state). If None: for a run at work, those its trials start from;
            else at random from the domain, and where it has no bound the map's own initial states plus Gaussian
            noise of standard deviation .1.
        noise: standard deviation of process noise, added to every number of the state after each step.
        tolerance: for `converged`: how far the halves of the run may differ, in nats per step (relative to λ where
            |λ| > 1).
        seed: for starts, trials and noise.

    Raises:
        ValueError: an argument out of range or of the wrong shape.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> henon = rs.FunctionMap(lambda x: np.stack([1 - 1.4 * x[..., 0]**2 + x[..., 1], 0.3 * x[..., 0]], -1),
        ...                        state_size=2)
        >>> found = lyapunov_spectrum(henon)
        >>> found.exponents.sum().round(4)  # ln 0.3
        np.float64(-1.204)
    """
    for name, value, least in (
        ("n_steps", n_steps, 1),
        ("transient", transient, 0),
        ("n_starts", n_starts, 1),
        ("qr_every", 1 if qr_every is None else qr_every, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    for name, number in (("noise", noise), ("tolerance", tolerance)):
        if not (np.isfinite(number) and number >= 0):
            raise ValueError(f"{name} must be a number that is not negative, got {number}")
    if input is not None and inputs is not None:
        raise ValueError("both input (held constant) and inputs (a sequence) are given: choose one")
    state_map = as_map(system, input=input)
    size = state_map.state_size
    k = size if n_exponents is None else n_exponents
    if not 1 <= k <= size:
        raise ValueError(f"n_exponents must be from 1 to {size}, the map's state size, got {k}")

    rng = np.random.default_rng([seed, 0x1A])
    total = transient + n_steps
    begin = None if starts is None else _checked_starts(starts, size)
    shown = None if inputs is None else _checked_inputs(inputs, state_map.input_size, total)
    if begin is not None:
        n_starts = len(begin)
    elif shown is not None and shown.ndim == 3:
        n_starts = len(shown)
    task = getattr(system, "task", None)
    at_work = shown is None and task is not None and state_map.input_size > 0
    if at_work:
        shown = _task_inputs(task, n_starts, total, rng)
    if begin is None:
        begin = state_map.initial_states(n_starts, rng) if at_work else _default_starts(state_map, n_starts, rng)
    if shown is None:
        shown = np.zeros((total, state_map.input_size))
    shown = np.broadcast_to(shown, (*((n_starts,) if shown.ndim == 2 else ()), *shown.shape))
    if len(shown) != n_starts:
        raise ValueError(f"inputs are for {len(shown)} starts, but there are {n_starts}: give one sequence for each")
    drive = "task trials" if at_work else "given inputs" if inputs is not None else "constant input"
    if state_map.input_size == 0 and input is None:
        drive = "no input"

    with np.errstate(all="ignore"), linalg.one_thread():
        growth, diverged, every, ends = _grow(state_map, begin, shown, k, transient, qr_every, noise, rng)
        statistics = _statistics(growth, diverged < 0, ends)
    return LyapunovSpectrum(
        **statistics,
        diverged_at=diverged,
        state_size=size,
        n_steps=n_steps,
        transient=transient,
        qr_every=every,
        drive=drive,
        noise=float(noise),
        tolerance=float(tolerance),
        seed=seed,
    )


def _checked_starts(starts: ArrayLike, size: int) -> np.ndarray:
    begin = np.array(starts, np.float64)
    if begin.ndim != 2 or begin.shape[1] != size or not len(begin):
        raise ValueError(f"starts must have shape (start, {size}), at least one state, got {begin.shape}")
    if not np.isfinite(begin).all():
        raise ValueError("starts must be finite numbers")
    return begin


def _checked_inputs(inputs: ArrayLike, input_size: int, total: int) -> np.ndarray:
    shown = np.asarray(inputs, np.float64)
    if shown.ndim not in (2, 3) or shown.shape[-1] != input_size:
        raise ValueError(
            f"inputs must have shape (time, {input_size}) or (start, time, {input_size}), got {shown.shape}"
        )
    if shown.shape[-2] < total:
        raise ValueError(
            f"inputs have {shown.shape[-2]} steps, transient + n_steps asks for {total}: "
            "give longer inputs, or ask for fewer steps"
        )
    if not np.isfinite(shown).all():
        raise ValueError("inputs must be finite numbers")
    return shown[..., :total, :]


def _task_inputs(
    task: Any, n_starts: int, total: int, rng: np.random.Generator
) -> Float[np.ndarray, "start time input"]:
    """Whole trials one after another, without their padding, a stream of its own for each start."""
    streams = []
    for _ in range(n_starts):
        parts, have = [], 0
        while have < total:
            trials = task.sample(8, rng)
            length = trials.info.get("length", np.full(len(trials), trials.inputs.shape[1]))
            for trial, end in zip(trials.inputs, length, strict=True):
                parts.append(trial[: int(end)])
                have += int(end)
        streams.append(np.concatenate(parts)[:total])
    return np.stack(streams).astype(np.float64)


def _default_starts(state_map: StateMap, n_starts: int, rng: np.random.Generator) -> Float[np.ndarray, "start state"]:
    begin = state_map.initial_states(n_starts, rng) + 0.1 * rng.standard_normal((n_starts, state_map.state_size))
    if state_map.domain is None:
        return begin
    finite = np.isfinite(state_map.domain).all(0)
    low, high = np.where(finite, state_map.domain, 0.0)
    # A bound on one side (rectified units) is kept.
    return np.where(finite, rng.uniform(low, high, begin.shape), np.clip(begin, *state_map.domain))


def _grow(
    state_map: StateMap,
    begin: np.ndarray,
    shown: np.ndarray,
    k: int,
    transient: int,
    qr_every: int | None,
    noise: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """(logarithms of growth (interval, start, k), step of divergence per start, QR interval, ends of intervals)."""
    n_starts, total, _ = shown.shape
    state, alive = begin.copy(), np.arange(n_starts)
    frame, _ = linalg.qr(rng.standard_normal((n_starts, state_map.state_size, k)))
    diverged = np.full(n_starts, -1)
    every, widest, since = qr_every or 1, 0.0, 0
    ends = _interval_ends(total - transient, every)
    growth: list[np.ndarray] = []
    for t in range(total):
        if t == transient and transient and qr_every is None:
            every = int(np.clip(np.log(MOST_SPREAD) / max(widest, 1e-300), 1, MOST_STEPS_BETWEEN_QR))
            ends = _interval_ends(total - transient, every)
        jacobians = state_map.jacobian(state, shown[alive, t])
        state = state_map.step(state, shown[alive, t])
        if noise:
            state = state + noise * rng.standard_normal((n_starts, state.shape[1]))[alive]
        frame = jacobians @ frame
        finite = np.isfinite(state).all(1) & np.isfinite(frame).all((1, 2))
        if not finite.all():
            diverged[alive[~finite]] = t + 1
            state, frame, alive = state[finite], frame[finite], alive[finite]
            if not len(alive):
                break
        since += 1
        if since == every or t + 1 in (transient, total):
            frame, r = linalg.qr(frame)
            logs = np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
            if t < transient:
                # What the first steps do to a frame drawn at random says nothing of the steps to come.
                if t >= transient // 2:
                    widest = max(widest, float((logs.max(1) - logs.min(1)).max()))
            else:
                row = np.full((n_starts, k), np.nan)
                row[alive] = logs
                growth.append(row)
            since = 0
    empty = np.full((len(ends) - len(growth), n_starts, k), np.nan)
    return np.concatenate([np.reshape(growth, (-1, n_starts, k)), empty]), diverged, every, ends


def _interval_ends(n_steps: int, every: int) -> np.ndarray:
    return np.append(np.arange(every, n_steps, every), n_steps)


def _statistics(growth: np.ndarray, good: np.ndarray, ends: np.ndarray) -> dict[str, np.ndarray]:
    """The array fields of the result, from the logarithms of growth and the starts that did not diverge."""
    n_steps, unknown = ends[-1], np.full(growth.shape[2], np.nan)
    running = np.cumsum(growth, 0) / ends[:, None, None]
    per_start = np.where(good[:, None], running[-1], np.nan)
    curve = running[:, good].mean(1) if good.any() else np.full_like(running[:, 0], np.nan)
    error = per_start[good].std(0, ddof=1) / np.sqrt(good.sum()) if good.sum() > 1 else unknown
    middle = int(np.searchsorted(ends, n_steps / 2))
    later = n_steps - ends[middle]  # 0 where the run is one interval, which has no halves
    drift = (curve[-1] * n_steps - curve[middle] * ends[middle]) / later - curve[middle] if later else unknown
    records = np.unique(np.linspace(0, len(ends) - 1, min(N_RECORDS, len(ends))).astype(int))
    order = np.argsort(-curve[-1], kind="stable")  # nearly equal ones come out of the QR in either order
    return {
        "exponents": curve[-1][order],
        "standard_error": error[order],
        "per_start": per_start[:, order],
        "drift": drift[order],
        "time": ends[records],
        "convergence": curve[records][:, order],
    }


def _figure(found: LyapunovSpectrum) -> "go.Figure":
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    k = len(found.exponents)
    known = np.isfinite(found.exponents)
    dimension = found.kaplan_yorke
    title = "Lyapunov spectrum"
    if known.any():
        title += ", Kaplan-Yorke dimension " + ("not reached" if dimension is None else f"{dimension:.2f}")
    if not found.converged:
        title += " (not converged)"
    figure = new_figure(title, "exponent", "λ (nats per step)")
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
    shown_error = np.where(np.isfinite(found.standard_error), found.standard_error, 0.0)
    figure.add_scatter(
        x=np.arange(1, k + 1)[known],
        y=found.exponents[known],
        error_y={"type": "data", "array": shown_error[known], "thickness": 1.2, "width": 0 if k > 40 else 4},
        mode="lines+markers" if k > 1 else "markers",
        marker={"size": 4 if k > 40 else 7, "color": COLOURS[0]},
        line={"width": 1, "color": COLOURS[0]},
        showlegend=False,
        hovertemplate="λ<sub>%{x}</sub> = %{y:.4f}<extra></extra>",
    )
    figure.update_xaxes(range=[0.5 - 0.01 * k, k + 0.5 + 0.01 * k])
    if k <= 12:
        figure.update_xaxes(tickmode="linear", tick0=1, dtick=1)
    forgotten = int((found.exponents == -np.inf).sum())
    if not known.any() or forgotten:
        text = f"{forgotten} of {k} exponents are −∞" if forgotten else found.summary()
        where = {"x": 0.5, "y": 0.5} if not known.any() else {"x": 0.02, "y": 0.04, "xanchor": "left"}
        figure.add_annotation(text=text, xref="paper", yref="paper", showarrow=False, bgcolor="white", **where)
    return figure
