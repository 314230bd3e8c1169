"""How fast do neighbouring states part? The Lyapunov spectrum of a network, in nats per step.

A small ball of states around a trajectory becomes an ellipsoid; its axes grow as exp(λ_i t). The method carries a
frame of tangent vectors along, reduces it at intervals, and averages the logarithms of what was taken out (Benettin et
al., Meccanica 15, 1980; Geist et al., Prog. Theor. Phys. 83, 1990; for recurrent networks Engelken et al., Phys. Rev.
Research 5, 2023).
"""

import warnings
from dataclasses import replace
from typing import Annotated

import numpy as np
from jaxtyping import Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.headings import LYAPUNOV
from rnnscope.analyses.lyapunov.frames import Growth, grow, growing_seconds
from rnnscope.analyses.lyapunov.orbits import DRIVEN, TRANSIENT, Orbits, Shown, orbits_of, starts_of, transient_of
from rnnscope.analyses.lyapunov.settings import MOST_WHOLE, checked_count, default_count
from rnnscope.analyses.lyapunov.spectrum_result import (
    MERGED,
    Convergence,
    LyapunovSpectrum,
    Reductions,
    Starts,
)
from rnnscope.analyses.lyapunov.trust import FINE, ZERO, allowed_error, creeps, drift_of, error_of, starts_agree
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.numerics import linalg
from rnnscope.question import Axes, Count, InputVector, Level, Seed, StateRows, Whole
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

# A record costs a QR, so there is one in so many steps, but never fewer than 20, nor more than 100.
STEPS_PER_RECORD = 40
# The longest transient that is chosen.
LONGEST = 20_000
# States that move for all of a run grow or shrink by a factor of e^UNSETTLED on the way at most, as far as is known.
UNSETTLED = 5.0


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_steps = settings["n_steps"] + transient_of(settings)
    held = scale.n * (settings["n_exponents"] or default_count(scale.n, MOST_WHOLE)) * 8 + n_steps * scale.n_inputs * 3
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
    transient: Whole | None = None,
    n_starts: Count = 10,
    qr_every: Count | None = None,
    starts: StateRows | None = None,
    trajectory: Annotated[ArrayLike, Axes("start time state")] | None = None,
    noise: Level = 0.0,
    tolerance: Level = 0.01,
    n_others: Whole = 100,
    seed: Seed = 0,
) -> LyapunovSpectrum:
    """Lyapunov exponents along several trajectories.

    What drives the map decides what the exponents mean. With `inputs`, or for a run by default with its own task's
    trials one after another (without the padding; the state is not reset between trials), they are the conditional
    exponents of the network at work: λ_1 < 0 says that neighbouring states are forgotten. With `input` held constant
    they are those of the autonomous map. A map with inputs that is given neither, and is no run, is shown zeros.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        n_exponents: how many, the largest first. None: all of a state of up to 300 numbers; of a larger one 90,000 /
            its size, for time and memory not to grow with their cube: 175 at 512, 45 at 2,000. An LSTM has two numbers
            per unit.
        input: an input to hold, (input,).
        inputs: a sequence to show, (time, input) for all starts or (start, time, input), of `transient + n_steps`
            steps at least; or a task's trials, which each start is shown one after another, in an order of its own.
        n_steps: steps to average over.
        transient: steps before, in which the state and the frame settle. None: 200, and where nothing drives the map
            and λ_1 then still changes by more than `tolerance` from one half of the run to the other, and by more
            than chance, twice all that was run, up to 20,000; `starts.transient` says how many there were.
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
        n_others: where a driven map seems to forget its starts, so many more, at random as those of `starts`, are run
            without tangent vectors: what does not come to the first start is the share that `echo_state` leaves out.
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
        total=(TRANSIENT if transient is None else transient) + n_steps,
        noise=noise,
        rng=rng,
    )
    n = orbits.state_map.state_size
    k = checked_count("n_exponents", n_exponents or default_count(n, MOST_WHOLE), n, "the map's state size")
    with np.errstate(all="ignore"), linalg.one_thread():
        begin, ends = (TRANSIENT if transient is None else transient), _records(n_steps)
        size = float(np.sqrt((orbits.begin**2).sum(1).mean()))
        growth = grow(orbits, k, transient=begin, ends=ends, qr_every=qr_every, rng=rng, size=size)
        found = _spectrum(orbits, growth, ends, begin, qr_every, tolerance)
        may_wait = transient is None and orbits.drive not in DRIVEN and orbits.given is None
        while (
            may_wait and (found.creeping or found.starts.n_moving) and 2 * (found.starts.transient + n_steps) <= LONGEST
        ):
            longer = 2 * (found.starts.transient + n_steps)
            orbits, begin = orbits.later(longer - found.starts.transient, rng), longer
            growth = grow(orbits, k, transient=TRANSIENT, ends=ends, qr_every=qr_every, rng=rng, size=size)
            late = growth.diverged_at
            growth = replace(growth, diverged_at=np.where(late < 0, -1, late + longer - TRANSIENT))
            found = _spectrum(orbits, growth, ends, begin, qr_every, tolerance)
        if found.echo_state:
            n, apart = orbits.others_apart(n_others, MERGED, np.random.default_rng([seed, 0x20]))
            found = replace(found, starts=replace(found.starts, n_others=n, n_apart=apart))
    if qr_every is not None and found.reductions.qr_every > 1 and not found.reductions.resolved.all():
        warnings.warn(found.reductions.lost, stacklevel=4)  # at the caller of what `analysis` made of this function
    return found


def _records(n_steps: int) -> Integer[np.ndarray, " record"]:
    """Steps at which to record; the blocks of time of `trust` end at some of them, where there are so many steps."""
    n = int(np.clip(n_steps // STEPS_PER_RECORD // FINE * FINE, FINE, 5 * FINE))
    return np.unique(np.round(np.linspace(0, n_steps, n + 1)).astype(int)[1:].clip(1))


def _spectrum(
    orbits: Orbits,
    growth: Growth,
    ends: Integer[np.ndarray, " record"],
    transient: int,
    qr_every: int | None,
    tolerance: float,
) -> LyapunovSpectrum:
    """The means over the starts that did not diverge, and how far they can be trusted."""
    good, n_steps, dt = growth.diverged_at < 0, int(ends[-1]), orbits.state_map.dt
    logs = growth.logs[:, good] if good.any() else np.full_like(growth.logs[:, :1], np.nan)
    curve = logs.mean(1) / ends[:, None]
    drift, error, allowed = (
        drift_of(logs, ends),
        error_of(logs, ends, transient),
        allowed_error(curve[-1], tolerance, dt),
    )
    # What drives the map may move its states for as long as it likes.
    # And a phase that is counted on from turn to turn moves for ever, but growth then does not change.
    # (Where it is the same to rounding, and positive, states leave a saddle, still next to it.)
    changes = creeps(logs, ends) | ((np.abs(drift) <= ZERO) & (curve[-1] > ZERO))
    n_moving = int(growth.moving.sum()) if orbits.drive not in DRIVEN and changes.any() else 0
    if n_moving:
        error = np.fmax(error, UNSETTLED / n_steps)
    gone = np.isneginf(logs[-1])
    agree = np.where(gone.any(0), gone.all(0), starts_agree(logs, ends, allowed))
    near = np.maximum(np.abs(drift), error) <= allowed  # not where one of them is not known
    near |= gone.all(0)
    order = np.argsort(-curve[-1], kind="stable")  # nearly equal ones come out in either order
    return LyapunovSpectrum(
        exponents=curve[-1][order],
        standard_error=error[order],
        converged=(near & agree & growth.resolved & (n_moving == 0))[order],
        drive=orbits.drive,
        state_size=orbits.state_map.state_size,
        dt=dt,
        convergence=Convergence(
            running=curve[:, order], time=ends, drift=drift[order], agree=agree[order], tolerance=tolerance
        ),
        reductions=Reductions(
            resolved=growth.resolved[order],
            qr_every=growth.every,
            qr_asked=qr_every,
            spread=float(np.exp(growth.spread)),
        ),
        starts=Starts(
            exponents=growth.logs[-1][:, order] / n_steps,
            diverged_at=growth.diverged_at,
            separation=growth.separation,
            n_steps=n_steps,
            transient=transient,
            n_moving=n_moving,
        ),
    )
