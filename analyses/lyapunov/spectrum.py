"""How fast do neighbouring states part? The Lyapunov spectrum of a network, in nats per step.

A small ball of states around a trajectory becomes an ellipsoid; its axes grow as exp(λ_i t). The method carries a
frame of tangent vectors along, reduces it at intervals, and averages the logarithms of what was taken out (Benettin et
al., Meccanica 15, 1980; Geist et al., Prog. Theor. Phys. 83, 1990; for recurrent networks Engelken et al., Phys. Rev.
Research 5, 2023).
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.headings import LYAPUNOV
from rnnscope.analyses.lyapunov.frames import Growth, grow, growing_seconds
from rnnscope.analyses.lyapunov.orbits import DRIVEN, Shown, orbits_of, rate_unit, starts_of
from rnnscope.analyses.lyapunov.settings import checked_count
from rnnscope.analyses.lyapunov.trust import BLOCKS, clear_sign, standard_error, starts_agree
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.numerics import linalg
from rnnscope.question import Axes, Count, InputVector, Level, Seed, StateRows, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

# A record costs a QR, so there is one in so many steps, but never fewer than 20, nor more than 100.
STEPS_PER_RECORD = 40
# Starts have merged when their distance fell to this part of what it was.
MERGED = 1e-3


@dataclass(frozen=True, repr=False)
class LyapunovSpectrum(Result):
    """Lyapunov exponents in nats per step, the largest first.

    Attributes:
        exponents: mean over the starts that did not diverge; NaN where all did.
        standard_error: of that mean: the larger of what the starts say and what ten blocks of time say (starts that
            are driven alike are not independent, nor are blocks shorter than the slowest correlation); NaN where
            neither says anything.
        per_start: the exponents along each start's trajectory; NaN where it diverged.
        drift: mean over the second half of the run minus mean over the first.
        agree: False where starts differ by far more than their own blocks of time explain, as on several attractors.
            The mean is then the exponent of none of them.
        converged: |drift| and the standard error are known and at most `allowed`, starts agree, and the exponent is
            resolved.
        resolved: False where the direction shrank to the rounding error (1e-14 of the largest; 1e-8 for a Jacobian by
            finite differences) within one interval of `qr_every` steps. It is forgotten within these steps; the
            exponent is then a bound from above (with `qr_every` = 1 near -36, or -inf), as for the dead units of a
            ReLU network.
        time: steps after the transient, where `convergence` was recorded.
        convergence: the running estimates up to then.
        diverged_at: the step, counted from the start, at which a state or a tangent vector was no longer finite;
            -1 for never.
        state_size: of the map; with fewer exponents than that, the rest of the spectrum is not known.
        n_steps, transient: steps averaged, and steps before them.
        qr_every: steps between two reductions of the frame; where it was chosen from the stretching, that at the end,
            else the most that there were: `convergence` may ask for shorter ones.
        qr_asked: the interval that was asked for; None where it was chosen.
        spread: the largest ratio of two directions' growths within one such interval; times 1e-16 (1e-10 for a Jacobian
            by finite differences) it is the relative error of the smallest.
        separation: the largest distance at the end between states that were shown the same, in units of that at the
            beginning: between starts, or, where each has inputs or noise of its own, from each to a second state
            beside it; inf where such a one diverged. None where there were no two, or nothing drives the map.
        dt: what a step is in units of time; None for a map proper.
        drive: what was shown: "task trials", "given inputs", "constant input" or "no input".
        noise: standard deviation of process noise.
        tolerance: for `converged`, in nats per step, or per unit of time where there is a dt.
        seed: of starts, trials and noise.
        made: how it was found.
    """

    exponents: Float[np.ndarray, " exponent"]
    standard_error: Float[np.ndarray, " exponent"]
    per_start: Float[np.ndarray, "start exponent"]
    drift: Float[np.ndarray, " exponent"]
    agree: Bool[np.ndarray, " exponent"]
    converged: Bool[np.ndarray, " exponent"]
    resolved: Bool[np.ndarray, " exponent"]
    time: Integer[np.ndarray, " time"]
    convergence: Float[np.ndarray, "time exponent"]
    diverged_at: Integer[np.ndarray, " start"]
    state_size: int
    n_steps: int
    transient: int
    qr_every: int
    qr_asked: int | None
    spread: float
    separation: float | None
    dt: float | None
    drive: str
    noise: float
    tolerance: float
    seed: int
    made: Made | None = None

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
    def allowed(self) -> Float[np.ndarray, " exponent"]:
        """The most that drift and standard error may be, in nats per step: `tolerance`, relative where |rate| > 1."""
        return _allowed(self.exponents, self.tolerance, self.dt)

    @property
    def sign(self) -> int:
        """Of the first exponent: 1 or -1; 0 where it is within two standard errors of 0 (or 1e-9), has no error, or
        where starts disagree and have not all the same sign."""
        if self.agree[0]:
            return int(clear_sign(self.exponents[:1], self.standard_error[:1])[0])
        signs = np.unique(np.sign(self.per_start[self.diverged_at < 0, 0]))
        return int(signs[0]) if len(signs) == 1 else 0

    @property
    def echo_state(self) -> bool | None:
        """Whether the input decides the state and the start is forgotten (the echo state property, along these
        trajectories): λ_1 < 0, no start diverged, and states that were shown the same came together. Several
        attractors have λ_1 < 0 and keep their starts apart. None for a map that is not driven, where no two states
        were shown the same, and where the sign of λ_1, or whether states merge, is open."""
        if self.drive not in DRIVEN:
            return None
        if (self.diverged_at >= 0).any() or self.sign > 0:
            return False
        apart = self.separation is not None and self.separation > MERGED
        if apart and not self.agree[0]:
            return False
        if self.sign == 0 or self.separation is None:
            return None
        if not apart:
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
        return f"NOT converged: {self._fault()}" if self.resolved[0] else "NOT resolved"

    def _fault(self) -> str:
        scale, drift, error = self.dt or 1.0, abs(self.drift[0]), self.standard_error[0]
        if not self.agree[0]:
            return f"starts disagree, {self._groups()}"
        if not np.isfinite(drift):
            return "too short to compare its halves"
        if np.isnan(error):
            return "too short for an error, with one start"
        halves = f"halves differ by {drift / scale:.2g}" if drift > self.allowed[0] else ""
        scatter = f"the standard error is {error / scale:.2g}" if error > self.allowed[0] else ""
        return f"{' and '.join(filter(None, (halves, scatter)))}, more than {self.allowed[0] / scale:.2g}"

    def _groups(self) -> str:
        """The starts by λ_1, in groups that are further apart than all scatter."""
        first = np.sort(self.per_start[self.diverged_at < 0, 0]) / (self.dt or 1.0)
        groups = np.split(first, np.flatnonzero(np.diff(first) > first.std()) + 1)
        if len(groups) == 1:
            return f"from {first[0]:.4f} to {first[-1]:.4f}"
        return f"{len(groups)} groups: " + ", ".join(f"{len(each)} near {each.mean():.4f}" for each in groups)

    def _others(self) -> str:
        known = len(self.exponents)
        told = f"{known} of {self.state_size} exponents, {int(self.converged.sum())} converged"
        return "; ".join(filter(None, (told, self._lost())))

    def _lost(self) -> str:
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

    def _memory(self) -> str:
        if self.echo_state is not None:
            return "starts are forgotten (echo state property)" if self.echo_state else "starts are not forgotten"
        if self.drive in DRIVEN and self.sign < 0 and self.separation is None:
            return "neighbours merge; several different starts with the same inputs would tell whether all do"
        return ""

    def figure(self) -> "go.Figure":
        """The exponents by index, with standard errors, and how the first ones converged."""
        from rnnscope.analyses.lyapunov.spectrum_figure import spectrum_figure

        return spectrum_figure(self)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_steps = settings["n_steps"] + settings["transient"]
    held = scale.n * (settings["n_exponents"] or scale.n) * 8 + n_steps * scale.n_inputs * 3
    return scale.around(growing_seconds(scale, settings, n_steps), FLOAT * starts_of(settings) * held)


@analysis(
    "lyapunov",
    title="Lyapunov exponents",
    group=LYAPUNOV,
    quick={"n_steps": 50, "transient": 20, "n_starts": 4},
    cost=Cost("light", "starts x steps x units^2 x exponents", _cost),
)
def lyapunov_spectrum(
    subject: Subject,
    *,
    n_exponents: Count | None = None,
    input: InputVector | None = None,
    inputs: Shown | None = None,
    n_steps: Count = 1000,
    transient: Whole = 200,
    n_starts: Count = 10,
    qr_every: Count | None = None,
    starts: StateRows | None = None,
    trajectory: Annotated[ArrayLike, Axes("start time state")] | None = None,
    noise: Level = 0.0,
    tolerance: Level = 0.01,
    seed: Seed = 0,
) -> LyapunovSpectrum:
    """Lyapunov exponents along several trajectories.

    What drives the map decides what the exponents mean. With `inputs`, or for a run by default with its own task's
    trials one after another (without the padding; the state is not reset between trials), they are the conditional
    exponents of the network at work: λ_1 < 0 says that neighbouring states are forgotten. With `input` held constant
    they are those of the autonomous map. A map with inputs that is given neither, and is no run, is shown zeros.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        n_exponents: how many, the largest first; all if None. An LSTM has two per unit.
        input: an input to hold, (input,).
        inputs: a sequence to show, (time, input) for all starts or (start, time, input), of `transient + n_steps`
            steps at least; or a task's trials, which each start is shown one after another, in an order of its own.
        n_steps: steps to average over.
        transient: steps before, in which the state and the frame settle.
        n_starts: number of trajectories, where neither `starts` nor `inputs` says.
        qr_every: steps between reductions of the frame. None: as many, up to 10, as keep the largest stretching of one
            direction against another near 1e10 at most (1e4 for a Jacobian by finite differences), watched all along.
            Where a given one is too long for the last exponents, there is a warning.
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
        ValueError: an argument out of range or of the wrong shape; a Jacobian that is not a number at a state from
            which the map goes on.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> henon = rs.FunctionMap(lambda x: np.stack([1 - 1.4 * x[..., 0]**2 + x[..., 1], 0.3 * x[..., 0]], -1),
        ...                        state_size=2)
        >>> found = lyapunov_spectrum(henon)
        >>> found.exponents.sum().round(4)  # ln 0.3
        np.float64(-1.204)
    """
    rng = np.random.default_rng([seed, 0x1A])
    orbits = orbits_of(
        subject,
        input=input,
        inputs=inputs,
        starts=starts,
        trajectory=trajectory,
        n_starts=n_starts,
        total=transient + n_steps,
        noise=noise,
        rng=rng,
    )
    k = checked_count("n_exponents", n_exponents, orbits.state_map.state_size, "the map's state size")
    dt = orbits.state_map.dt
    with np.errstate(all="ignore"), linalg.one_thread():
        growth = grow(orbits, k, transient=transient, ends=_records(n_steps), qr_every=qr_every, rng=rng)
        statistics = _statistics(growth, _records(n_steps), tolerance, dt)
    found = LyapunovSpectrum(
        **statistics,
        diverged_at=growth.diverged_at,
        state_size=orbits.state_map.state_size,
        n_steps=n_steps,
        transient=transient,
        qr_every=growth.every,
        qr_asked=qr_every,
        spread=float(np.exp(growth.spread)),
        separation=growth.separation,
        dt=dt,
        drive=orbits.drive,
        noise=orbits.noise,
        tolerance=tolerance,
        seed=seed,
    )
    if qr_every is not None and found.qr_every > 1 and not found.resolved.all():
        warnings.warn(found._lost(), stacklevel=4)  # at the caller of what `analysis` made of this function
    return found


def _records(n_steps: int) -> Integer[np.ndarray, " record"]:
    """Steps at which to record; ten blocks end at some of them, where there are so many steps."""
    n = int(np.clip(n_steps // STEPS_PER_RECORD // BLOCKS * BLOCKS, 2 * BLOCKS, 10 * BLOCKS))
    return np.unique(np.round(np.linspace(0, n_steps, n + 1)).astype(int)[1:].clip(1))


def _statistics(growth: Growth, ends: np.ndarray, tolerance: float, dt: float | None) -> dict[str, Any]:
    """The array fields of the result, from the starts that did not diverge."""
    good, n_steps = growth.diverged_at < 0, ends[-1]
    logs = growth.logs[:, good] if good.any() else np.full_like(growth.logs[:, :1], np.nan)
    mean = logs.mean(1)
    curve = mean / ends[:, None]
    middle = int(np.searchsorted(ends, n_steps / 2))
    later = n_steps - ends[middle]  # 0 where the run is one interval, which has no halves
    drift = (mean[-1] - mean[middle]) / later - curve[middle] if later else np.full_like(curve[0], np.nan)
    error, allowed = standard_error(logs, ends), _allowed(curve[-1], tolerance, dt)
    agree = starts_agree(logs, ends, allowed)
    near = np.maximum(np.abs(drift), error) <= allowed  # not where one of them is not known
    order = np.argsort(-curve[-1], kind="stable")  # nearly equal ones come out in either order
    return {
        "exponents": curve[-1][order],
        "standard_error": error[order],
        "per_start": growth.logs[-1][:, order] / n_steps,
        "drift": drift[order],
        "agree": agree[order],
        "converged": (near & agree & growth.resolved)[order],
        "resolved": growth.resolved[order],
        "time": ends,
        "convergence": curve[:, order],
    }


def _allowed(exponents: Float[np.ndarray, " exponent"], tolerance: float, dt: float | None) -> np.ndarray:
    return tolerance * np.maximum(dt or 1.0, np.abs(exponents))
