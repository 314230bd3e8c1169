"""Which directions of state space carry which label? Demixed PCA (Kobak et al., eLife 5, 2016).

Condition averages are split into parts that add up and are orthogonal: what depends on time alone, on each label
(and time), and on labels together (and time). For every part reduced-rank regression finds the few readouts of the
whole state (decoders) from which that part alone is best rebuilt (along encoders).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.state_space.demixing_result import DemixedComponents, DemixedStates
from rnnscope.analyses.state_space.labelled import (
    Averages,
    Conditions,
    Labelled,
    averages_of,
    labelled_cost,
    labelled_states,
)
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.numerics import linalg
from rnnscope.question import Count, Level, Seed, TrialInputs
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Trials

MOST_LABELS = 4  # there are 2^labels parts
TIME = "time"


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps, _ = scale.shown(settings)
    seconds, memory = labelled_cost(scale, settings)
    labels = settings["labels"] or settings["trial_labels"] or "target"
    n_parts = 2 ** (1 if isinstance(labels, str) else min(len(labels), MOST_LABELS))
    seconds += n_trials * n_steps / scale.n * scale.matmul.each + 2 * n_parts * scale.eigenvalues.each
    return scale.around(seconds, memory)


@analysis(
    "demixing",
    title="Demixed components",
    group=STATE_SPACE,
    quick={"n_trials": 64},
    wide=True,
    states_alone=True,
    cost=Cost("light", "trials x steps x units^2, and units^3 x 2^labels", _cost),
)
def demix_states(
    subject: Subject,
    *,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 512,
    labels: str | Sequence[str] | None = None,
    trial_labels: Mapping[str, ArrayLike] | None = None,
    align: str | None = None,
    window: tuple[int, int] | None = None,
    n_components: Count = 2,
    regularisation: Level = 1e-6,
    against_noise: bool = True,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> DemixedStates:
    """Split the variance of condition averages by label, and find the directions that carry each part.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        labels: up to four names of labels: of `trial_labels`, of the task's own (the `info` of its trials), or
            "target" for the target at the end. If None: all of `trial_labels`, else "target". Every combination of
            their levels must have a trial.
        trial_labels: labels of one's own, name -> one value a trial, numbers or words.
        align: the event at time 0: "start", "end" (the last step has time -1), or the name of a step in the `info`
            of the trials, such as "test_onset". None: "start" where all trials are of one length, else "end".
        window: (first step, step after the last) from that event; the largest that all trials have if None.
        n_components: components of each part; fewer where the state has fewer numbers.
        regularisation: added to the variance of every unit when regressing, as a fraction of the total variance.
            More of it makes decoders of few trials steadier, and takes them closer to the encoders.
        against_noise: regress from single trials, as in the paper: decoders read what can be read in one trial, and
            read little where the label explains little of it. False: from averages alone.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states and noise.

    Raises:
        NotApplicable: the trials have no labels, there is nothing to show, the states diverge or do not move, or fewer
            than two conditions.
        ValueError: a label or an event that there is not, labels that do not match the trials, a combination of
            levels without a trial, a window that not all trials have.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> show = rs.FunctionMap(lambda h, u: u, state_size=2, input_size=2)
        >>> time, side = np.arange(10.0), np.array([-1.0, 1.0])
        >>> inputs = np.stack(np.broadcast_arrays(time, side[:, None]), -1)
        >>> found = demix_states(show, inputs=inputs, trial_labels={"side": side})
        >>> dict(zip(found.parts, found.variance.tolist()))
        {'time': 8.25, 'side': 1.0}
    """
    shown = labelled_states(
        subject,
        inputs=inputs,
        n_trials=n_trials,
        labels=labels,
        trial_labels=trial_labels,
        align=align,
        window=window,
        noise=noise,
        seed=seed,
    )
    if len(shown.names) > MOST_LABELS:
        raise ValueError(f"at most {MOST_LABELS} labels can be split, got {', '.join(shown.names)}")
    if TIME in shown.names:
        raise ValueError(f"a label cannot be called {TIME!r}, which names what all conditions share: rename it")
    averaged = averages_of(shown)
    _check_complete(averaged.conditions)
    n_units = shown.states.shape[2]
    averages = averaged.states
    mean = averages.mean((0, 1))
    sets, marginals = _marginalise(averages - mean, [len(level) for level in shown.levels])
    variance = (marginals**2).sum(3).mean((1, 2))
    total = variance.sum()
    if total <= (n_units * np.finfo(np.float64).eps * np.abs(averages).max()) ** 2:
        raise NotApplicable("the averages do not move and do not differ: there is no variance to split")
    with linalg.one_thread():
        spread = _noise(shown, averaged)
        leaked = None if spread is None else _leaked(spread, averaged.conditions, sets)
        within = _within(shown, averaged) if against_noise else np.zeros((n_units, n_units))
        decoders, encoders = _regress(marginals, within, min(n_components, n_units), regularisation)
        together = _rebuilt(averages - mean, decoders.reshape(-1, n_units), encoders.reshape(-1, n_units))
    flat = decoders.reshape(-1, n_units)
    read = np.einsum("pctn,kn->kpct", marginals, flat)
    power = (read**2).mean((2, 3))
    shares = np.divide(power, power.sum(1, keepdims=True), out=np.zeros_like(power), where=power.any(1)[:, None])
    single = [
        _rebuilt(averages - mean, d[None], e[None]) for d, e in zip(flat, encoders.reshape(-1, n_units), strict=True)
    ]
    singular = np.linalg.svd((averages - mean).reshape(-1, n_units), compute_uv=False) ** 2
    return DemixedStates(
        variance=variance,
        signal_variance=None if leaked is None else np.maximum(variance - leaked, 0.0),
        noise_variance=None if spread is None else float(spread[0].mean()),
        parts=tuple(" × ".join(shown.names[i] for i in s) or TIME for s in sets),
        components=DemixedComponents(
            decoders=flat,
            encoders=encoders.reshape(-1, n_units),
            of_part=np.repeat(np.arange(len(sets)), decoders.shape[1]),
            share=shares,
            explained=np.array(single),
            explained_together=together,
            pca_explained=float(singular[: len(flat)].sum() / singular.sum()),
            projections=read.sum(1),
            mean=mean,
            against_noise=against_noise,
        ),
        time=shown.time,
        align=shown.align,
        conditions=averaged.conditions,
    )


def _check_complete(conditions: Conditions) -> None:
    names, levels = conditions.label_names, [len(level) for level in conditions.levels]
    for name, n in zip(names, levels, strict=True):
        if n < 2:
            raise NotApplicable(f"{name} has one level in these trials: there is nothing that it could separate")
    missing = set(np.ndindex(*levels)) - set(map(tuple, conditions.labels.tolist()))
    if missing:
        what = conditions.title(np.array(min(missing)))
        raise ValueError(
            f"{len(missing)} of {np.prod(levels)} combinations of {', '.join(names)} have no trial, such as "
            f"{what}: show more trials, or use fewer labels"
        )


def _marginalise(
    centred: Float[np.ndarray, "condition time unit"], levels: list[int]
) -> tuple[list[tuple[int, ...]], Float[np.ndarray, "part condition time unit"]]:
    """The part of every set of labels: averaged over all other labels, and less the averages over its own."""
    sets = [s for size in range(len(levels) + 1) for s in combinations(range(len(levels)), size)]
    grid = centred.reshape(*levels, *centred.shape[1:])
    parts = []
    for own in sets:
        part = grid
        for axis in range(len(levels)):
            average = part.mean(axis, keepdims=True)
            part = part - average if axis in own else np.broadcast_to(average, part.shape)
        parts.append(part.reshape(centred.shape))
    return sets, np.stack(parts)


def _noise(shown: Labelled, averaged: Averages) -> tuple[np.ndarray, np.ndarray] | None:
    """How trials scatter about the average of their condition: the variance (condition, time), and T times the variance
    of the trials' means over time (condition,); None where a condition has one trial."""
    n_trials, of_trial = averaged.conditions.n_trials, averaged.of_trial
    if n_trials.min() < 2:
        return None
    rest = shown.states - averaged.states[of_trial]
    each, slow = (rest**2).sum(2), len(shown.time) * (rest.mean(1) ** 2).sum(1)
    members = np.eye(len(n_trials))[of_trial].T / (n_trials - 1)[:, None]
    return members @ each, members @ slow


def _within(shown: Labelled, averaged: Averages) -> Float[np.ndarray, "unit unit"]:
    """Mean square of trials about their average, all conditions with equal weight."""
    n_trials = averaged.conditions.n_trials
    rest = shown.states - averaged.states[averaged.of_trial]
    weight = 1 / (n_trials * len(n_trials) * len(shown.time))
    weighted = rest * weight[averaged.of_trial][:, None, None]
    n_units = rest.shape[2]
    return weighted.reshape(-1, n_units).T @ rest.reshape(-1, n_units)


def _leaked(
    spread: tuple[np.ndarray, np.ndarray], conditions: Conditions, sets: list[tuple[int, ...]]
) -> Float[np.ndarray, " part"]:
    """The variance that the noise of averages brings to each part, in expectation: as many degrees of freedom as the
    part has of the conditions', and for time all but the mean over time."""
    variance, slow = spread
    n_conditions, n_steps = variance.shape
    of_averages = (variance.sum(1) / conditions.n_trials).sum() / (n_conditions * n_steps)
    of_means = (slow / conditions.n_trials).sum() / (n_conditions * n_steps)
    free = [np.prod([len(conditions.levels[i]) - 1 for i in own]) / n_conditions for own in sets]
    return np.array([f * (of_averages - (0 if own else of_means)) for f, own in zip(free, sets, strict=True)])


def _regress(
    marginals: np.ndarray, within: np.ndarray, rank: int, regularisation: float
) -> tuple[Float[np.ndarray, "part rank unit"], Float[np.ndarray, "part rank unit"]]:
    """Reduced-rank regression of each part on the states of single trials: minimise |X_p - F D X|^2 + μ |F D|^2.

    Parts are orthogonal, so that all that is needed are their covariances S_p: the full-rank solution is
    S_p (S + μ)^-1, and F spans the leading eigenvectors of S_p (S + μ)^-1 S_p.
    """
    n_parts, _, _, n_units = marginals.shape
    flat = marginals.reshape(n_parts, -1, n_units)
    own = flat.swapaxes(1, 2) @ flat / flat.shape[1]
    whole = own.sum(0) + within
    values, vectors = np.linalg.eigh(whole)
    values = np.maximum(values, 0.0) + regularisation * values.sum()
    keep = values > n_units * np.finfo(np.float64).eps * values.max()  # a state that never leaves a subspace
    inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
    decoders, encoders = [], []
    for covariance in own:
        full = covariance @ inverse
        _, directions = np.linalg.eigh(full @ covariance)
        encoder = directions[:, ::-1][:, :rank].T
        decoders.append(encoder @ full)
        encoders.append(encoder)
    return np.stack(decoders), np.stack(encoders)


def _rebuilt(centred: np.ndarray, decoders: np.ndarray, encoders: np.ndarray) -> float:
    rest = centred - centred @ decoders.T @ encoders
    return float(1 - (rest**2).sum() / (centred**2).sum())
