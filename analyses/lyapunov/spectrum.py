"""How fast do neighbouring states part? The Lyapunov spectrum of a network, in nats per step.

A small ball of states around a trajectory becomes an ellipsoid; its axes grow as exp(λ_i t). The method carries a
frame of tangent vectors along, reduces it at intervals, and averages the logarithms of what was taken out (Benettin et
al., Meccanica 15, 1980; Geist et al., Prog. Theor. Phys. 83, 1990; for recurrent networks Engelken et al., Phys. Rev.
Research 5, 2023).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy.typing import ArrayLike

from rnnscope import linalg, results
from rnnscope.analyses.lyapunov.frames import Growth, grow
from rnnscope.analyses.lyapunov.orbits import orbits_of, rate_unit, time_step

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

# A record costs a QR, so there is one in so many steps, but never fewer than 20, nor more than 100.
STEPS_PER_RECORD = 40
BLOCKS = 10
# Starts have merged when their distance fell to this part of what it was.
MERGED = 1e-3
DRIVEN = ("task trials", "given inputs")


@dataclass(frozen=True)
class LyapunovSpectrum:
    """Lyapunov exponents in nats per step, the largest first.

    Attributes:
        exponents: mean over the starts that did not diverge; NaN where all did.
        standard_error: of that mean: the larger of what the starts say and what ten blocks of time say (starts that
            are driven alike are not independent, nor are blocks shorter than the slowest correlation); NaN where
            neither says anything.
        per_start: the exponents along each start's trajectory; NaN where it diverged.
        drift: mean over the second half of the run minus mean over the first.
        converged: |drift| and the standard error are at most `tolerance` * max(1, |λ|), and the exponent is resolved.
        resolved: False where the direction shrank to the rounding error (1e-14 of the largest) within one
            interval of `qr_every` steps. It is forgotten within these steps; the exponent is then a bound from above
            (with `qr_every` = 1 near -36, or -inf), as for the dead units of a ReLU network.
        time: steps after the transient, where `convergence` was recorded.
        convergence: the running estimates up to then.
        diverged_at: the step, counted from the start, at which a state or a tangent vector was no longer finite;
            -1 for never.
        state_size: of the map; with fewer exponents than that, the rest of the spectrum is not known.
        n_steps, transient: steps averaged, and steps before them.
        qr_every: steps between two reductions of the frame; where it was chosen from the stretching, that at the end.
        spread: the largest ratio of two directions' growths within one such interval; times 1e-16 it is the relative
            error of the smallest.
        separation: the largest distance between starts at the end, in units of that at the beginning; None where
            they were not shown the same, or have noise of their own.
        dt: what a step is in units of time; None for a map proper.
        drive: what was shown: "task trials", "given inputs", "constant input" or "no input".
        noise: standard deviation of process noise.
        tolerance: for `converged`, in nats per step, or per unit of time where there is a dt.
        seed: of starts, trials and noise.
    """

    exponents: Float[np.ndarray, " exponent"]
    standard_error: Float[np.ndarray, " exponent"]
    per_start: Float[np.ndarray, "start exponent"]
    drift: Float[np.ndarray, " exponent"]
    converged: Bool[np.ndarray, " exponent"]
    resolved: Bool[np.ndarray, " exponent"]
    time: Integer[np.ndarray, " time"]
    convergence: Float[np.ndarray, "time exponent"]
    diverged_at: Integer[np.ndarray, " start"]
    state_size: int
    n_steps: int
    transient: int
    qr_every: int
    spread: float
    separation: float | None
    dt: float | None
    drive: str
    noise: float
    tolerance: float
    seed: int

    @property
    def rates(self) -> Float[np.ndarray, " exponent"]:
        """The exponents in nats per unit of time; per step where the map has no dt."""
        return self.exponents / (self.dt or 1.0)

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

    @property
    def sign(self) -> int:
        """Of the first exponent: 1 or -1; 0 where it is within two standard errors of 0, or not known."""
        with np.errstate(invalid="ignore"):
            clear = np.abs(self.exponents[0]) > 2 * np.nan_to_num(self.standard_error[0])
        return int(np.sign(self.exponents[0])) if clear else 0

    @property
    def echo_state(self) -> bool | None:
        """Whether the input decides the state and the start is forgotten (the echo state property, along these
        trajectories): λ_1 < 0, and where all starts were shown the same, they came together. Several attractors have
        λ_1 < 0 and keep their starts apart. None for a map that is not driven, and where the sign of λ_1, or whether
        starts merge, is open."""
        if self.drive not in DRIVEN:
            return None
        if self.sign >= 0:
            return None if self.sign == 0 else False
        if self.separation is None or self.separation <= MERGED:
            return True
        long_enough = self.exponents[0] * (self.transient + self.n_steps) < 2 * np.log(MERGED)
        return False if long_enough else None

    def summary(self) -> str:
        n, diverged = len(self.diverged_at), self.diverged_at[self.diverged_at >= 0]
        lost = f"{len(diverged)} of {n} starts diverged, the first at step {diverged.min()}" if len(diverged) else ""
        if len(diverged) == n:
            return f"no Lyapunov exponents: {lost}"
        scale, unit, error = self.dt or 1.0, rate_unit(self.dt), self.standard_error[0]
        dimension, entropy = self.kaplan_yorke, self.entropy_rate
        first = f"λ₁ = {self.exponents[0] / scale:.4f}" + (f" ± {error / scale:.4f}" if np.isfinite(error) else "")
        parts = [
            f"{first} {unit} ({self._first()})",
            self._others(),
            f"Kaplan-Yorke dimension {'needs more exponents' if dimension is None else f'{dimension:.2f}'}",
            f"entropy rate {'needs more exponents' if entropy is None else f'{entropy / scale:.3f} {unit}'}",
            f"{n - len(diverged)} starts x {self.n_steps} steps after {self.transient}, {self.drive}",
            self._memory(),
            lost,
        ]
        return "; ".join(part for part in parts if part)

    def _first(self) -> str:
        if self.converged[0]:
            return "converged" if self.sign else "converged, sign open"
        if not self.resolved[0]:
            return "NOT resolved"
        if not np.isfinite(self.drift[0]):
            return "NOT converged: too short to compare its halves"
        return f"NOT converged: halves differ by {abs(self.drift[0]) / (self.dt or 1.0):.2g}"

    def _others(self) -> str:
        known = len(self.exponents)
        told = f"{known} of {self.state_size} exponents, {int(self.converged.sum())} converged"
        below = known - int(self.resolved.sum())
        return told + (f", {below} forgotten within {_steps(self.qr_every)}" if below else "")

    def _memory(self) -> str:
        if self.echo_state is None:
            return ""
        whose = "neighbouring starts" if self.separation is None else "starts"
        return f"{whose} are forgotten (echo state property)" if self.echo_state else f"{whose} are not forgotten"

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """The exponents by index, with standard errors, and how the first ones converged."""
        from rnnscope.analyses.lyapunov.spectrum_figure import spectrum_figure

        return spectrum_figure(self)


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
    trajectory: ArrayLike | None = None,
    noise: float = 0.0,
    tolerance: float = 0.01,
    seed: int = 0,
) -> LyapunovSpectrum:
    """Lyapunov exponents along several trajectories.

    What drives the map decides what the exponents mean. With `inputs`, or for a run by default with its own task's
    trials one after another (without the padding; the state is not reset between trials), they are the conditional
    exponents of the network at work: λ_1 < 0 says that neighbouring states are forgotten. With `input` held constant
    they are those of the autonomous map. A map with inputs that is given neither, and is no run, is shown zeros.

    Args:
        system: a Run, Network, torch module or StateMap.
        n_exponents: how many, the largest first; all if None. An LSTM has two per unit.
        input: an input to hold, (input,).
        inputs: a sequence to show, (time, input) for all starts or (start, time, input), of `transient + n_steps`
            steps at least.
        n_steps: steps to average over.
        transient: steps before, in which the state and the frame settle.
        n_starts: number of trajectories, where neither `starts` nor `inputs` says.
        qr_every: steps between reductions of the frame. None: as many, up to 10, as keep the largest stretching of one
            direction against another near 1e10 at most, watched all along.
        starts: the states to start from, (start, state). If None: for a run at work, those its trials start from;
            else at random from the domain, and where it has no bound the map's own initial states plus Gaussian
            noise of standard deviation .1.
        trajectory: the states before each step, (start, time, state), of `transient + n_steps` steps at least, where
            they are known; nothing is then simulated. A driven map needs the `inputs` that go with them.
        noise: standard deviation of process noise, added to every number of the state after each step.
        tolerance: for `converged`: how far the halves of the run may differ, and how large the standard error may be,
            in nats per step, or per unit of time where the map has a dt (relative to λ where |λ| > 1).
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
        ("qr_every", 1 if qr_every is None else qr_every, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a number that is not negative, got {tolerance}")
    rng = np.random.default_rng([seed, 0x1A])
    orbits = orbits_of(
        system,
        input=input,
        inputs=inputs,
        starts=starts,
        trajectory=trajectory,
        n_starts=n_starts,
        total=transient + n_steps,
        noise=noise,
        rng=rng,
    )
    k = checked_count(n_exponents, orbits.state_map.state_size)
    dt = time_step(orbits.state_map)
    with np.errstate(all="ignore"), linalg.one_thread():
        growth = grow(orbits, k, transient=transient, ends=_records(n_steps), qr_every=qr_every, rng=rng)
        statistics = _statistics(growth, _records(n_steps), tolerance * (dt or 1.0))
    return LyapunovSpectrum(
        **statistics,
        diverged_at=growth.diverged_at,
        state_size=orbits.state_map.state_size,
        n_steps=n_steps,
        transient=transient,
        qr_every=growth.every,
        spread=float(np.exp(growth.spread)),
        separation=growth.separation,
        dt=dt,
        drive=orbits.drive,
        noise=orbits.noise,
        tolerance=float(tolerance),
        seed=seed,
    )


def checked_count(n_exponents: int | None, size: int) -> int:
    k = size if n_exponents is None else n_exponents
    if not 1 <= k <= size:
        raise ValueError(f"n_exponents must be from 1 to {size}, the map's state size, got {k}")
    return k


def _records(n_steps: int) -> Integer[np.ndarray, " record"]:
    """Steps at which to record; ten blocks end at some of them, where there are so many steps."""
    n = int(np.clip(n_steps // STEPS_PER_RECORD // BLOCKS * BLOCKS, 2 * BLOCKS, 10 * BLOCKS))
    return np.unique(np.round(np.linspace(0, n_steps, n + 1)).astype(int)[1:].clip(1))


def _statistics(growth: Growth, ends: np.ndarray, tolerance: float) -> dict[str, np.ndarray]:
    """The array fields of the result, from the starts that did not diverge."""
    good, n_steps = growth.diverged_at < 0, ends[-1]
    per_start = growth.logs[-1] / n_steps
    mean = growth.logs[:, good].mean(1) if good.any() else np.full_like(growth.logs[:, 0], np.nan)
    curve = mean / ends[:, None]
    middle = int(np.searchsorted(ends, n_steps / 2))
    later = n_steps - ends[middle]  # 0 where the run is one interval, which has no halves
    drift = (mean[-1] - mean[middle]) / later - curve[middle] if later else np.full_like(curve[0], np.nan)
    error = np.fmax(_error_over_starts(per_start[good]), _error_over_time(mean, ends))
    near = np.fmax(np.abs(drift), error) <= tolerance * np.maximum(1, np.abs(curve[-1]))
    order = np.argsort(-curve[-1], kind="stable")  # nearly equal ones come out in either order
    return {
        "exponents": curve[-1][order],
        "standard_error": error[order],
        "per_start": per_start[:, order],
        "drift": drift[order],
        "converged": (near & growth.resolved & np.isfinite(drift))[order],
        "resolved": growth.resolved[order],
        "time": ends,
        "convergence": curve[:, order],
    }


def _error_over_starts(per_start: Float[np.ndarray, "start exponent"]) -> Float[np.ndarray, " exponent"]:
    n, k = per_start.shape
    return per_start.std(0, ddof=1) / np.sqrt(n) if n > 1 else np.full(k, np.nan)


def _error_over_time(
    mean: Float[np.ndarray, "record exponent"], ends: Integer[np.ndarray, " record"]
) -> Float[np.ndarray, " exponent"]:
    if len(ends) % BLOCKS:
        return np.full(mean.shape[1], np.nan)
    each = len(ends) // BLOCKS
    steps = np.diff(ends[each - 1 :: each], prepend=0)
    blocks = np.diff(mean[each - 1 :: each], axis=0, prepend=0.0) / steps[:, None]
    return blocks.std(0, ddof=1) / np.sqrt(BLOCKS)


def _steps(n: int) -> str:
    return "a step" if n == 1 else f"{n} steps"
