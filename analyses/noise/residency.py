"""How long does a driven network stay with a symbol, from where it is? Times to the first change, and three regions."""

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.driven import Driven, drive_of
from rnnscope.analyses.noise.first_change import first_changes
from rnnscope.analyses.noise.over_trials import Estimate, estimate, over_trials, resampled
from rnnscope.analyses.noise.plane import plane_of
from rnnscope.analyses.noise.residency_result import (
    CLUSTER,
    REGIONS,
    FewestUnstable,
    Regions,
    Residency,
    unstable_figure,
)
from rnnscope.analyses.noise.spectra import counts_along
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.question import Count, Level, Seed, Share, Whole
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

# Steps before and after a change of symbol within which a state is near it. It moves which states are looked at, and
# not what is said of all, as each counts for as many as it was drawn from.
NEAR = 1
# A region that is seen in fewer trials, or whose states all have the same count, has no error that a bootstrap could
# tell: three states without unstable eigenvalues do not say that there are none.
LEAST_TRIALS = 10
# Valleys of the histogram of log times: bins of a grid, and how deep one must be beside the lower of its two hills.
GRID, DEPTH = 200, 0.9


def _cost(scale: Scale, settings: Settings) -> Expected:
    n, cap = settings["n_states"], settings["cap"]
    rollouts = n * settings["n_rollouts"] * cap
    seconds = rollouts / 3 * scale.step.each + rollouts * scale.n_inputs * 5 * scale.scan
    seconds += scale.simulation(settings["n_trials"], settings["n_steps"] + settings["transient"])
    seconds += n * (scale.jacobian.each + scale.eigenvalues.each / 4)
    return scale.around(seconds, FLOAT * 1024 * cap * (scale.n_inputs + 1) + FLOAT * 128 * scale.n**2)


@analysis(
    "residency",
    title="Residency times",
    group=NOISE,
    quick={"n_states": 24, "n_trials": 4, "n_steps": 30, "transient": 5, "n_rollouts": 3, "cap": 8},
    cost=Cost("heavy", "states x rollouts x steps x units^2", _cost),
    drawings=(Drawing("unstable", "Unstable eigenvalues by region", unstable_figure),),
)
def residency_times(
    subject: Subject,
    *,
    noise: Level = 0.0,
    n_states: Annotated[int, Ge(2)] = 1500,
    near_changes: Share = 0.5,
    n_rollouts: Annotated[int, Ge(2)] = 20,
    cap: Annotated[int, Ge(2)] = 60,
    by: Literal["thresholds", "valleys"] = "thresholds",
    thresholds: tuple[float, float] = (2.0, 8.0),
    certain: Share = 0.8,
    n_trials: Annotated[int, Ge(2)] = 50,
    n_steps: Count = 200,
    transient: Whole = 50,
    seed: Seed = 0,
) -> Residency:
    """How long the emitted symbol stays from each of many states that a driven network visits, under fresh noise.

    From each state the network is run again under fresh draws of what drives it, until its largest output is another,
    for at most `cap` steps: its residency time is the mean of these times. Short ones are of a transition, middle ones
    of a zone from which the noise may kick it over, long ones of a cluster, if a symbol has a probability above
    `certain` there (of the softmax of the outputs, as logits); a state with a long time and no such symbol is "other".
    Of the Jacobian of the step that leaves each state, with the input that it was then shown, the eigenvalues outside
    the unit circle are counted, those that are complex, and pairs near the circle and turning, by
    μ = (λ - 1) / (λ + 1). The method is of Torre et al., "Mechanistic Interpretability of RNNs emulating Hidden Markov
    Models" (NeurIPS 2025); errors are over trials, as the states of one trial are alike.

    Args:
        subject: a Run, Network, torch module or StateMap with a readout of at least two outputs; anything that
            `as_subject` takes.
        noise: standard deviation of process noise, added to every number of the state after each step.
        n_states: states that are looked at.
        near_changes: the part of these that is drawn from within a step of a change, which are few; in all means each
            state counts for as many as it was drawn from.
        n_rollouts: of each state.
        cap: steps after which a rollout ends.
        by: regions by `thresholds`, or by the two deepest "valleys" of the density of the logarithm of times.
        thresholds: below the first a transition, above the second a cluster, in steps.
        certain: the least probability of a symbol in a cluster.
        n_trials, n_steps: trials from which states are drawn, and steps of each.
        transient: steps before.
        seed: for trials, states, rollouts and noise.

    Raises:
        NotApplicable: nothing drives it, it emits no symbols, its states diverge, or there are not two valleys.
        ValueError: thresholds out of order, or an argument out of range.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> flips = rs.FunctionMap(lambda s, u: np.where(u > 1.2816, -s, s), state_size=1, input_size=1,
        ...                        readout=lambda s: np.concatenate([-5 * s, 5 * s], -1), readout_size=2,
        ...                        initial=lambda n, rng: np.ones((n, 1)))
        >>> task = rs.tasks.HMMEmission(rs.tasks.HMM([[.9, .1], [.1, .9]], [[1., 0.], [0., 1.]]), noise_size=1)
        >>> found = residency_times(rs.Subject(flips, task))
        >>> round(float(found.residency.mean()))
        10
    """
    low, high = thresholds
    if not 0 < low < high:
        raise ValueError(f"thresholds must be two numbers of steps, the smaller first, got {thresholds}")
    drive = drive_of(subject, noise)
    rng = np.random.default_rng([seed, 0x4E5])
    driven = drive.run(n_trials, transient, n_steps + 1, rng)
    trial, time, weight = _chosen(driven, n_states, near_changes, rng)
    states = driven.states[trial, time]
    # Noise of its own, whatever was drawn before.
    changes = first_changes(drive, states, n_rollouts, cap, np.random.default_rng([seed, 0x4E6]))
    if by == "valleys":
        low, high = _valleys(changes.mean, weight)
    certainty = drive.certainty(states)
    region = _regions(changes.mean, certainty, low, high, certain)
    counts = counts_along(subject.map, states, driven.inputs[trial, time + 1])
    plane = plane_of(driven.states)
    resampling = np.random.default_rng([seed, 0x4E7])
    return Residency(
        plane=plane.of(states),
        variance_share=plane.share,
        trial=trial,
        weight=weight,
        residency=changes.mean,
        residency_error=changes.error,
        capped=changes.capped,
        certainty=certainty,
        region=region,
        counts=counts,
        regions=_by_region(trial, weight, region, changes.mean, counts, n_trials, resampling),
        fewest=_fewest(trial, weight, region, counts[:, 0], n_trials, resampling),
        thresholds=(float(low), float(high)),
        drive=drive.words,
    )


def _chosen(
    driven: Driven, n_states: int, near: float, rng: np.random.Generator
) -> tuple[Int64[np.ndarray, " state"], Int64[np.ndarray, " state"], Float[np.ndarray, " state"]]:
    """(trial, time, how many states each stands for, so that the mean is 1), in order; the last step is left out."""
    close = _near_changes(driven.symbols)[:, :-1].ravel()
    strata = [np.flatnonzero(close), np.flatnonzero(~close)]
    n = min(n_states, close.size)
    first = min(round(near * n), len(strata[0]))
    sizes = [first, min(n - first, len(strata[1]))]
    sizes[0] = min(n - sizes[1], len(strata[0]))
    if near in (0.0, 1.0):  # somebody wants these alone
        sizes[int(near)] = 0
    found, weight = [], []
    for states, size in zip(strata, sizes, strict=True):
        found.append(rng.choice(states, size, replace=False))
        weight.append(np.full(size, len(states) / max(size, 1)))
    which, weights = np.concatenate(found), np.concatenate(weight)
    if not len(which):
        raise NotApplicable(
            "the driven network never changes its symbol, so that no state is near a change: leave near_changes out"
        )
    order = np.argsort(which)
    which, weights = which[order], weights[order]
    trial, time = np.divmod(which, driven.symbols.shape[1] - 1)
    return trial, time, weights / weights.mean()


def _near_changes(symbols: Int64[np.ndarray, "trial time"]) -> Bool[np.ndarray, "trial time"]:
    changed = symbols[:, 1:] != symbols[:, :-1]
    found = np.zeros(symbols.shape, bool)
    for shift in range(-NEAR, NEAR + 1):
        rows, at = np.nonzero(changed)
        there = at + shift
        inside = (there >= 0) & (there < symbols.shape[1])
        found[rows[inside], there[inside]] = True
    return found


def _regions(
    times: Float[np.ndarray, " state"], certainty: Float[np.ndarray, " state"], low: float, high: float, certain: float
) -> Int64[np.ndarray, " state"]:
    """Which of `REGIONS` each state is in. Times between the thresholds, and on them, are of the kick zone."""
    return np.where(times < low, 0, np.where(times <= high, 1, np.where(certainty > certain, 2, 3))).astype(np.int64)


def _valleys(times: Float[np.ndarray, " state"], weight: Float[np.ndarray, " state"]) -> tuple[float, float]:
    """The two deepest valleys of the density of log times: Gaussian kernels of Silverman's width."""
    from scipy.stats import gaussian_kde

    logs = np.log(times)
    found = list[tuple[float, float]]()
    if np.ptp(logs) > 0:
        grid = np.linspace(logs.min(), logs.max(), GRID)
        density = gaussian_kde(logs, "silverman", weights=weight)(grid)
        for k in range(1, GRID - 1):
            if density[k] <= density[k - 1] and density[k] < density[k + 1]:
                lower = min(density[:k].max(), density[k + 1 :].max())
                if density[k] < DEPTH * lower:
                    found.append((float(density[k] / lower), float(np.exp(grid[k]))))
    if len(found) < 2:
        said = "no valley" if not found else f"one valley, at {found[0][1]:.3g} steps"
        raise NotApplicable(
            f"the times to the first change have {said} in the density of their logarithm, and three regions take two: "
            "name thresholds, with by='thresholds'"
        )
    first, second = sorted(place for _, place in sorted(found)[:2])
    return first, second


def _by_region(
    trial: Int64[np.ndarray, " state"],
    weight: Float[np.ndarray, " state"],
    region: Int64[np.ndarray, " state"],
    times: Float[np.ndarray, " state"],
    counts: Int64[np.ndarray, "state kind"],
    n_trials: int,
    rng: np.random.Generator,
) -> Regions:
    values = np.column_stack([times, counts])
    sums, sizes = _sums(trial, weight, region, values, n_trials)
    means = over_trials(sums, np.repeat(sizes[..., None], values.shape[1], 2), rng)
    shares = over_trials(sizes, np.repeat(sizes.sum(1, keepdims=True), len(REGIONS), 1), rng)
    known = _known(sums[..., 1:], sizes)
    of_kinds = Estimate(
        means.value[:, 1:], *(np.where(known, each[:, 1:], np.nan) for each in (means.error, means.low, means.high))
    )
    return Regions(
        name=REGIONS,
        n_states=np.bincount(region, minlength=len(REGIONS)),
        n_trials=(sizes > 0).sum(0),
        share=shares.value,
        share_error=shares.error,
        residency=means.value[:, 0],
        residency_error=means.error[:, 0],
        mean=of_kinds.value,
        error=of_kinds.error,
        low=of_kinds.low,
        high=of_kinds.high,
    )


def _fewest(
    trial: Int64[np.ndarray, " state"],
    weight: Float[np.ndarray, " state"],
    region: Int64[np.ndarray, " state"],
    unstable: Int64[np.ndarray, " state"],
    n_trials: int,
    rng: np.random.Generator,
) -> FewestUnstable:
    sums, sizes = _sums(trial, weight, region, unstable[:, None].astype(float), n_trials)
    sums = sums[..., 0]
    others = [k for k in range(len(REGIONS)) if k != CLUSTER]
    sums, sizes = (np.column_stack([each, each[:, others].sum(1)]) for each in (sums, sizes))
    draws = resampled(sums, sizes, rng)
    which, known = [0, 1, len(REGIONS)], _known(sums[..., None], sizes)[:, 0]
    found = estimate(draws[:, [CLUSTER]] - draws[:, which])
    error, low, high = (
        np.where(known[which] & known[CLUSTER], each, np.nan) for each in (found.error, found.low, found.high)
    )
    return FewestUnstable(("transition", "kick zone", "all others"), found.value, error, low, high)


def _known(sums: Float[np.ndarray, "trial of value"], sizes: Float[np.ndarray, "trial of"]) -> np.ndarray:
    """Whether an error of the mean is known of each value of each region."""
    there = sizes > 0
    with np.errstate(all="ignore"):
        means = np.where(there[..., None], sums / sizes[..., None], np.nan)
    spread = np.nan_to_num(np.fmax.reduce(means, 0) - np.fmin.reduce(means, 0)) > 0
    return spread & (there.sum(0) >= LEAST_TRIALS)[:, None]


def _sums(
    trial: np.ndarray, weight: np.ndarray, region: np.ndarray, values: np.ndarray, n_trials: int
) -> tuple[Float[np.ndarray, "trial region value"], Float[np.ndarray, "trial region"]]:
    sums, sizes = np.zeros((n_trials, len(REGIONS), values.shape[1])), np.zeros((n_trials, len(REGIONS)))
    np.add.at(sums, (trial, region), weight[:, None] * values)
    np.add.at(sizes, (trial, region), weight)
    return sums, sizes
