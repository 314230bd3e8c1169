"""Is what a driven network does held up by its noise? What is left without it, and the orbit that there is with it."""

from typing import Annotated

import numpy as np
from annotated_types import Ge
from jaxtyping import Float

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.driven import Drive, drive_of
from rnnscope.analyses.noise.homogeneity import homogeneity_of
from rnnscope.analyses.noise.orbit_result import Collapse, Dwelling, Radius, SustainedOrbit, collapse_figure
from rnnscope.analyses.noise.over_trials import over_trials
from rnnscope.analyses.noise.periods import period_of
from rnnscope.analyses.noise.plane import plane_of
from rnnscope.analyses.noise.turning import rotation_of
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.numerics import linalg
from rnnscope.question import Count, Level, Seed, Whole
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

AMPLITUDES = (0.25, 0.5, 1.0, 2.0)  # of what is shown, beside which the radius is looked at: a law is seen in four


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps = settings["n_trials"], settings["n_steps"] + settings["transient"]
    seconds = (1 + len(AMPLITUDES)) * scale.simulation(n_trials, n_steps)
    seconds += scale.unroll.of(1, settings["n_starts"] * settings["n_alone"])
    seconds += n_trials * n_steps * settings["n_surrogates"] * 40 * scale.scan
    return scale.around(seconds, FLOAT * n_trials * n_steps * 3 * (scale.n + scale.n_inputs))


@analysis(
    "sustained_orbit",
    title="Noise-sustained orbit",
    group=NOISE,
    quick={"n_trials": 3, "n_steps": 16, "transient": 2, "n_starts": 3, "n_alone": 8, "n_surrogates": 19},
    cost=Cost("light", "trials x steps x units^2", _cost),
    drawings=(Drawing("collapse", "Collapse without what drives it", collapse_figure),),
)
def sustained_orbit(
    subject: Subject,
    *,
    noise: Level = 0.0,
    n_trials: Annotated[int, Ge(2)] = 50,
    n_steps: Annotated[int, Ge(8)] = 500,
    transient: Whole = 50,
    n_starts: Count = 100,
    n_alone: Annotated[int, Ge(2)] = 500,
    n_surrogates: Annotated[int, Ge(19)] = 99,
    seed: Seed = 0,
) -> SustainedOrbit:
    """What is left of a driven network's activity without what drives it, and the orbit that it has with it.

    Visited states go on with zero input and without noise: how |h_t| / |h_0| falls. The driven states are seen in the
    plane of their first two principal components: whether they turn there, |net| over absolute turning of the angle
    about their mean, with its interval over trials beside the same of trials in a random order of time, and whether
    there is a period, a peak of the power spectrum that surrogates of the same correlation time do not have (of the
    first order: Allen & Smith, J. Climate 9, 1996). A reversible process has no net turning; but turning in this plane
    is not all the turning there may be. How long symbols last, and how the radius grows with the amplitude of what is
    shown, are told beside it; of a positively homogeneous network that is an identity, and the result says so. Claims
    that it is asked for: Torre et al., "Mechanistic Interpretability of RNNs emulating Hidden Markov Models"
    (NeurIPS 2025).

    Args:
        subject: a Run, Network, torch module or StateMap with a readout of at least two outputs; anything that
            `as_subject` takes.
        noise: standard deviation of process noise, added to every number of the state after each step.
        n_trials: driven trials.
        n_steps: of each, after `transient` others.
        transient: steps at the beginning of each trial that do not count.
        n_starts: visited states that go on alone.
        n_alone: for so many steps.
        n_surrogates: what the peak of the spectrum is compared with, and the turning; 99 tell at a level of 1 %.
        seed: for trials, noise and surrogates.

    Raises:
        NotApplicable: nothing drives it, it emits no symbols, or its states diverge.
        ValueError: an argument out of range.
    """
    drive = drive_of(subject, noise)
    rng, later = (np.random.default_rng([seed, 0x0B, k]) for k in range(2))
    driven = drive.run(n_trials, transient, n_steps, rng)
    plane = plane_of(driven.states)
    path = plane.of(driven.states)
    flat = driven.states.reshape(-1, driven.states.shape[-1])
    begun = flat[rng.choice(len(flat), min(n_starts, len(flat)), replace=False)]
    middle = path - path.mean((0, 1))
    shown = max(1, -(-2000 // n_steps))
    return SustainedOrbit(
        collapse=_collapse(drive, begun, n_alone),
        homogeneity=homogeneity_of(subject, begun, later),
        variance_share=plane.share,
        path=path[:shown],
        symbols=driven.symbols[:shown],
        radius=_radius(drive, n_trials, transient, n_steps, later),
        period=period_of(middle, n_surrogates, later),
        rotation=rotation_of(middle, n_surrogates, later),
        dwelling=_dwelling(driven.symbols, drive.n_symbols, later),
        drive=drive.words,
    )


def _collapse(drive: Drive, begun: Float[np.ndarray, "start number"], n_steps: int) -> Collapse:
    """Go on with nothing that drives it. States that become larger than any number are infinite."""
    sizes, state = [np.linalg.norm(begun, axis=1)], begun
    nothing = np.zeros((len(begun), drive.subject.input_size))
    with np.errstate(all="ignore"), linalg.one_thread():
        for _ in range(n_steps):
            state = drive.subject.map.step(state, nothing)
            sizes.append(np.linalg.norm(state, axis=1))
        size = np.array(sizes)
        started = size[0] > 0
        ratio = np.nan_to_num(size[:, started] / size[0, started], nan=np.inf)
    if not started.any():
        ratio = np.zeros((n_steps + 1, 1))
    # A rate from where it begins to where it is last above what rounding leaves.
    largest = ratio.max(1)
    above = np.flatnonzero((largest > 1e-12) & np.isfinite(largest))
    last = int(above[-1]) if len(above) else 0
    with np.errstate(all="ignore"):
        rate = float(np.log(largest[last] / largest[last // 2]) / max(last - last // 2, 1)) if last else -np.inf
    kept = np.unique(np.r_[0, np.geomspace(1, n_steps, 100).round().astype(int)])
    return Collapse(kept, ratio[kept].max(1), np.median(ratio[kept], 1), rate, float(largest[-1]))


def _radius(drive: Drive, n_trials: int, transient: int, n_steps: int, rng: np.random.Generator) -> Radius:
    """Root mean square distance from the mean, the same inputs multiplied."""
    inputs = drive.inputs(n_trials, transient + n_steps, rng)
    starts = drive.starts(n_trials, rng)
    squares = []
    for amplitude in AMPLITUDES:
        # Process noise is scaled as inputs are: both drive it.
        states = drive.scaled(amplitude).follow(starts, amplitude * inputs, rng)[:, transient:]
        squares.append(((states - states.mean((0, 1))) ** 2).sum(2).mean(1))
    values = np.array(squares).T
    found = over_trials(values, np.ones_like(values), rng, np.sqrt)
    with np.errstate(all="ignore"):
        moving = found.value > 0
        logs = np.log(np.where(moving, found.value, 1.0))
        slope = float(np.polyfit(np.log(AMPLITUDES), logs, 1)[0]) if moving.all() else np.nan
    return Radius(np.array(AMPLITUDES), found.value, found.error, slope)


def _dwelling(symbols: np.ndarray, n_symbols: int, rng: np.random.Generator) -> Dwelling:
    """Mean steps that a symbol lasts: the steps in it over the times that it ends, within trials. So those that are cut
    at either end of a trial count with what is seen of them, as the likelihood of geometric times has it."""
    steps, ends = (np.zeros((len(symbols), n_symbols)) for _ in range(2))
    for k in range(n_symbols):
        here = symbols[:, :-1] == k
        steps[:, k] = here.sum(1)
        ends[:, k] = (here & (symbols[:, 1:] != k)).sum(1)
    found = over_trials(steps, ends, rng)
    share = over_trials(steps, np.repeat(steps.sum(1, keepdims=True), n_symbols, 1), rng)
    seen = ends.sum(0).astype(np.int64)
    value = np.where(seen > 0, np.nan_to_num(found.value, nan=0.0, posinf=0.0), np.nan)
    return Dwelling(share.value, share.error, value, found.error, seen)
