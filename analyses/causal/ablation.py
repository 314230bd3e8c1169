"""What is lost when units are taken out: every unit by itself, or groups beside random ones of the same size."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.analyses.causal.ablation_result import Ablation, Controls, PointsLeft, Scores, Switching
from rnnscope.analyses.causal.behaviour import Measured, Reading, reading
from rnnscope.analyses.causal.groups import By, grouped, random_groups, unit_numbers
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.analyses.headings import CAUSES
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.numerics.affine import Affine
from rnnscope.question import Count, Level, Seed, TrialInputs, Whole
from rnnscope.registry import analysis
from rnnscope.subjects.interventions import Ablate
from rnnscope.subjects.interventions.batch import under_each
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.task import Trials


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps, _ = scale.shown(settings)
    n_units = len(unit_numbers(scale.subject.map.layout))
    n = n_units if settings["by"] == "units" and settings["groups"] is None else settings["n_groups"]
    seconds = n * (1 + settings["n_controls"]) * scale.simulation(n_trials, n_steps)
    return scale.around(seconds, 16 * n_trials * n_steps * scale.n)


@analysis(
    "ablation",
    title="Ablation",
    group=CAUSES,
    quick={"n_trials": 16},
    cost=Cost("heavy", "groups x (1 + controls) x trials x steps x units^2", _cost),
    marks="unit",
)
def ablate_units(
    subject: Subject,
    *,
    by: By = "units",
    groups: Mapping[str, Sequence[int]] | None = None,
    n_groups: Count = 4,
    n_controls: Whole = 0,
    to: Literal["zero", "mean"] = "zero",
    points: bool = False,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 256,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> Ablation:
    """Take units out, one by one or in groups, at every step, and measure what that does.

    What is replaced is the state of a unit after each step (of an LSTM h and c). All groups see the same trials with
    the same noise, so that differences are theirs. A group that was chosen for its effect on some trials is judged on
    others: give another seed.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        by: every unit by itself; as many units each by "time constants", fast to slow (of the correlation of their
            states from step to step); or "clusters" of units whose states are correlated.
        groups: name -> units, numbered through all layers, of one's own; `by` is not looked at then.
        n_groups: of time constants or clusters.
        n_controls: random groups of as many units for each group.
        to: by what it is replaced, "zero" or the "mean" state of the intact network on 128 trials.
        points: whether to look for the fixed points of the network without each group (a search each).
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        noise: standard deviation of process noise.
        seed: of trials, initial states, noise and controls.

    Raises:
        NotApplicable: there is nothing to show, or the states diverge.
        ValueError: units that are not there.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> sums = rs.FunctionMap(lambda h, u: h + u, state_size=2, input_size=2)
        >>> found = ablate_units(sums, inputs=np.ones((4, 5, 2)))
        >>> found.groups, found.output_change.round(2).tolist()
        (('0', '1'), [1.66, 1.66])
    """
    shown = shown_states(subject, inputs, n_trials, noise, seed)
    names, members = grouped(subject, shown, by, n_groups, groups)
    rng = np.random.default_rng([seed, 0xAB1])
    layer = np.array([name.split(".")[0] if "." in name else "0" for name, _ in unit_numbers(subject.map.layout)])
    drawn = [random_groups(each, layer, n_controls, rng) for each in members]
    every = np.concatenate([members, *drawn]) if n_controls else members
    mean = np.zeros(subject.map.state_size)
    if to == "mean":
        mean = subject.mean_state()
    edits = [without(subject, each, mean) for each in every]
    added = None
    if noise:
        shape = (shown.states.shape[1], len(shown.states), subject.map.state_size)
        added = noise * np.random.default_rng([seed, 0xAB2]).standard_normal(shape)
    read = reading(subject, shown)
    found = measured(subject, edits, shown.inputs, shown.initial, read, added)
    intact, n = found[0], len(names)
    changed = Measured.stack(found[1 : 1 + n])
    controls = None
    if n_controls:
        of = Measured.stack(found[1 + n :])
        change = of.output_change.mean(1).reshape(n, n_controls)
        controls = Controls(
            output_change=change,
            score=of.whole_score.reshape(n, -1) if read.criterion is not None else np.empty((0, 0)),
            switching=_means(of.switching, n),
            share_as_large=(1 + (change >= changed.output_change.mean(1)[:, None]).sum(1)) / (1 + n_controls),
        )
    return Ablation(
        groups=names,
        members=members,
        output_change=changed.output_change.mean(1),
        output_change_error=_error(changed.output_change),
        scores=_scores(read, intact, changed),
        switching=None
        if read.task is None
        else Switching(
            float(intact.switching.mean()), changed.switching.mean(1), _error(changed.switching - intact.switching)
        ),
        controls=controls,
        points=_points_left(subject, members, to, seed) if points else None,
        n_outputs=subject.map.readout_size or subject.map.state_size,
    )


def without(subject: Subject, units: Bool[np.ndarray, " unit"], mean: Float[np.ndarray, " state"]) -> Affine:
    """The change that takes these units out."""
    kept, shift = np.ones(subject.map.state_size), np.zeros(subject.map.state_size)
    for (_, numbers), out in zip(unit_numbers(subject.map.layout), units, strict=True):
        if out:
            kept[numbers], shift[numbers] = 0.0, mean[numbers]
    return Affine(kept, shift)


def measured(
    subject: Subject,
    edits: Sequence[Affine],
    inputs: Float[np.ndarray, "trial time input"],
    initial: Float[np.ndarray, "trial state"],
    read: Reading,
    added: Float[np.ndarray, "time trial state"] | None,
) -> list[Measured]:
    """What the intact network does, and what it does under each change."""
    # Noise comes before what is done to states, also before what the subject is under already.
    state_map, already = subject.before_edits()
    if already is None:
        already = Affine(np.ones(state_map.state_size), np.zeros(state_map.state_size))
    edits = [edit.after(already) for edit in edits]
    (outputs,) = under_each(state_map, [already], inputs, initial, lambda _, found: found[0], noise=added)

    def look(_: slice, found: Float[np.ndarray, "edit trial time output"]) -> list[Measured]:
        return [read.of(each, outputs) for each in found]

    parts = under_each(state_map, edits, inputs, initial, look, noise=added)
    return [read.of(outputs, outputs), *(each for part in parts for each in part)]


def _scores(read: Reading, intact: Measured, changed: Measured) -> Scores | None:
    if read.criterion is None:
        return None
    return Scores(
        metric=read.criterion.metric,
        higher_is_better=read.criterion.direction == "at least",
        intact=float(intact.whole_score),
        intact_error=float(_error(intact.score[None])[0]),
        without=changed.whole_score,
        change_error=_error(changed.score - intact.score),
    )


def _error(blocks: Float[np.ndarray, "group block"]) -> Float[np.ndarray, " group"]:
    """The standard error of a mean over blocks; of one block, NaN would say nothing: infinite."""
    n = blocks.shape[1]
    if not np.isfinite(blocks).all():
        whole = [bool(np.isfinite(each).all()) for each in blocks]
        return np.where(whole, _error(np.nan_to_num(blocks, nan=0.0, posinf=0.0, neginf=0.0)), np.inf)
    return blocks.std(1, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(blocks), np.inf)


def _means(blocks: Float[np.ndarray, "of_all block"], n_groups: int) -> Float[np.ndarray, "group control"]:
    return blocks.mean(1).reshape(n_groups, -1) if blocks.shape[1] else np.empty((0, 0))


def _points_left(subject: Subject, members: Bool[np.ndarray, "group unit"], to: str, seed: int) -> PointsLeft:
    intact = find_fixed_points(subject, seed=seed)
    units = unit_numbers(subject.map.layout)
    counts = []
    for each in members:
        changed = subject
        by_layer: dict[int | None, list[int]] = {}
        for (name, _), out in zip(units, each, strict=True):
            if out:
                layer, _, unit = name.rpartition(".")
                by_layer.setdefault(int(layer) if layer else None, []).append(int(unit))
        for layer, numbers in by_layer.items():
            changed = changed.under(Ablate(units=tuple(numbers), to="mean" if to == "mean" else "zero", layer=layer))
        found = find_fixed_points(changed, seed=seed)
        counts.append((len(found), int(found.stable.sum())))
    n_points, n_stable = np.array(counts, np.int64).T
    return PointsLeft(len(intact), int(intact.stable.sum()), n_points, n_stable)
