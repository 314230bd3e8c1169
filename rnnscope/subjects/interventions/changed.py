"""What interventions make of a map, and of the trajectories that it takes."""

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from rnnscope.maps import CellMap, CompleteMap, EncodedMap, edited
from rnnscope.numerics.affine import Affine
from rnnscope.subjects.interventions.of_inputs import MixInputs
from rnnscope.subjects.interventions.of_state import Ablate, OfState, Patch, Situation, check_times
from rnnscope.subjects.interventions.of_weights import OfWeights, with_changed_weights
from rnnscope.subjects.trajectories import Trajectories, follow, started, within_trials
from rnnscope.tasks.task import Trials


def changed_map(
    map: CompleteMap, interventions: Sequence[Any], mean: Callable[[], Float[np.ndarray, " state"]]
) -> tuple[CompleteMap, CompleteMap]:
    """The map under those interventions that are the same at every step, and under those of the weights alone.

    Raises:
        TypeError: something that is no intervention. ValueError: no such unit, part, layer. NotApplicable: weights
            that are not known.
    """
    for each in interventions:
        if not isinstance(each, OfState | OfWeights | MixInputs):
            raise TypeError(f"an intervention is one of rs.interventions, as Ablate(units=[3]); got {each!r:.60}")
    weights = map
    for each in interventions:
        if isinstance(each, OfWeights):
            weights = with_changed_weights(weights, each)
    found, situation = weights, Situation(map.layout, mean)
    for each in interventions:
        if isinstance(each, OfState):
            edit = each.edit(situation)  # also of those at some steps, so that they are refused before anything runs
            if is_constant(each):
                found = edited(found, edit)
    return found, weights


def parts_of(
    map: CompleteMap, interventions: Sequence[Any], mean: Callable[[], Float[np.ndarray, " state"]]
) -> tuple[CompleteMap, Affine | None]:
    """The map under interventions of the weights, and what the others do after every step; None for nothing."""
    weights, edit, situation = changed_map(map, interventions, mean)[1], None, Situation(map.layout, mean)
    for each in interventions:
        if isinstance(each, OfState) and is_constant(each):
            own = each.edit(situation)
            edit = own if edit is None else own.after(edit)
    return weights, edit


def is_constant(intervention: Any) -> bool:
    """Whether a map stays a map under it: what it does is the same in every trial after every step."""
    if isinstance(intervention, OfState):
        return intervention.times is None and not intervention.varies
    return isinstance(intervention, OfWeights)


def follow_changed(
    intact: CompleteMap,
    weights: CompleteMap,
    interventions: Sequence[Any],
    mean: Callable[[], Float[np.ndarray, " state"]],
    shown: Float[np.ndarray, "trial time input"],
    trials: Trials | None,
    initial: ArrayLike | None,
    noise: float,
    rng: np.random.Generator,
    seed: int,
) -> Trajectories:
    """As `follow`, under interventions; noise is added to what a step gives, before the state is changed.

    Args:
        intact: the map without interventions. weights: with those of the weights alone.
        seed: of the interventions' own randomness; all else as for `follow`.

    Raises:
        ValueError: steps or trials that are not there.
    """
    before = copy.deepcopy(rng)
    run_intact = cache(lambda: follow(intact, shown, trials, initial, noise, before).states)
    inside = within_trials(shown.shape[:2], trials)
    situations = [
        Situation(weights.layout, mean, shown.shape[:2], run_intact, np.random.default_rng([seed, 0x1A7, number]))
        for number in range(len(interventions))
    ]
    changes = [
        (each, there) for each, there in zip(interventions, situations, strict=True) if isinstance(each, OfState)
    ]
    for each, there in zip(interventions, situations, strict=True):
        check_in_trials(each, there, inside)
    given = shown
    for each, there in zip(interventions, situations, strict=True):
        if isinstance(each, MixInputs):
            given = each.shown(given, there)
    start = started(weights, len(shown), initial, rng)
    if initial is None:
        for each, there in changes:
            if is_constant(each):
                start = each.edit(there)(start)
    states, state = np.empty((*shown.shape[:2], weights.state_size)), start
    for t in range(shown.shape[1]):
        now = [(each.edit(there, t), rows_of(each)) for each, there in changes if each.times is None or t in each.times]
        added = noise * rng.standard_normal(state.shape) if noise else None

        def change(part: slice, new: np.ndarray, now: Any = now, added: Any = added) -> np.ndarray:
            if added is not None:
                new = new + added[:, part]
            for edit, rows in now:
                new = in_rows(edit.part(part), rows, new)
            return new

        states[:, t] = state = step_changing(weights, state, given[:, t], change)
    return Trajectories(given, states, start, inside, trials)


def step_changing(
    map: CompleteMap, states: np.ndarray, inputs: np.ndarray, change: Callable[[slice, np.ndarray], np.ndarray]
) -> np.ndarray:
    """A step in which `change` is made to each layer's new state, before the next layer sees it."""
    if isinstance(map, EncodedMap):
        return step_changing(map.map, states, map.encode(inputs), change)
    if isinstance(map, CellMap):
        return map.step_by_layers(states, inputs, change)
    return change(slice(0, map.state_size), map.step(states, inputs))


def rows_of(intervention: OfState) -> np.ndarray | None:
    """The trials that are changed; None for all."""
    only = intervention.trials if isinstance(intervention, Patch) else None
    return None if only is None else np.array(only)


def in_rows(edit: Affine, rows: np.ndarray | None, states: np.ndarray) -> np.ndarray:
    """States of which these rows are changed."""
    if rows is None:
        return edit(states)
    found = states.copy()
    found[rows] = edit(states[rows])
    return found


def check_in_trials(intervention: Any, situation: Situation, inside: Bool[np.ndarray, "trial time"]) -> None:
    """Raise a ValueError for steps or trials that are not there; `inside` says where trials go on."""
    if isinstance(intervention, OfState):
        check_times(intervention.times, situation.shape[1])
    if isinstance(intervention, Patch):
        intervention.check(inside)
    from_others = (isinstance(intervention, Ablate) and intervention.to == "resample") or (
        isinstance(intervention, MixInputs) and intervention.other != 0 and intervention.source == "trials"
    )
    if from_others and not (inside == inside[0]).all():
        raise ValueError(
            f"{intervention!r} takes from other trials, and these are of different lengths, so that some would come "
            "from after a trial's end: show trials of one length"
        )
