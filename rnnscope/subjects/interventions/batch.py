"""Many changes of one network on the same trials, side by side: all units ablated one by one, ten thousand patches."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Integer

from rnnscope.maps import CompleteMap
from rnnscope.numerics.affine import Affine
from rnnscope.numerics.linalg import n_workers, one_thread
from rnnscope.subjects.interventions.changed import step_changing

# States that are carried together: fewer make more calls, more leave the cache. Results do not hang on it.
TOGETHER = 1024

A = TypeVar("A")
R = TypeVar("R")


def under_each(
    map: CompleteMap,
    edits: Sequence[Affine],
    shown: Float[np.ndarray, "trial time input"],
    start: Float[np.ndarray, "trial state"],
    look: Callable[[slice, Float[np.ndarray, "edit trial time output"]], R],
    *,
    noise: Float[np.ndarray, "time trial state"] | None = None,
) -> list[R]:
    """Run a network on the same trials under each of several changes, made after every step and to the initial states,
    and look at its outputs; of a map without a readout, at its states.

    Args:
        map: the network.
        edits: the changes; in a stack, none may act from layer to layer.
        look: (which of the edits, their outputs) -> what is kept of them. It is called from several threads.
        noise: what is added to every new state before it is changed, the same under all.

    Returns:
        What `look` returned, for some edits each, in order.
    """
    together = max(1, TOGETHER // len(shown))
    parts = [slice(i, min(i + together, len(edits))) for i in range(0, len(edits), together)]

    def run(which: slice) -> R:
        some = edits[which]
        n, shape = len(some), (len(some), *shown.shape[:2])
        state = np.concatenate([edit(start) for edit in some])
        outputs = np.empty((*shape, map.readout_size or map.state_size))
        by_part = {}

        def change(part: slice, new: np.ndarray) -> np.ndarray:
            if added is not None:
                new = new + np.tile(added[:, part], (n, 1))
            if part.start not in by_part:
                by_part[part.start] = _side_by_side([edit.part(part) for edit in some])
            return by_part[part.start](new.reshape(n, -1, new.shape[-1])).reshape(new.shape)

        for t in range(shape[2]):
            added = None if noise is None else noise[t]
            state = step_changing(map, state, np.tile(shown[:, t], (n, 1)), change)
            read = map.readout(state) if map.readout_size else state
            outputs[:, :, t] = read.reshape(n, shape[1], -1)
        return look(which, outputs)

    return spread(run, parts)


def patched(
    map: CompleteMap,
    shown: Float[np.ndarray, "trial time input"],
    states: Float[np.ndarray, "trial time state"],
    base: Integer[np.ndarray, " patch"],
    time: Integer[np.ndarray, " patch"],
    new: Float[np.ndarray, "patch state"],
    look: Callable[[Integer[np.ndarray, " some"], int, Float[np.ndarray, "some output"]], None],
) -> None:
    """Go on from many patched states at once: each patch puts another state after one step of one trial.

    In a stack the whole state is patched after all of its layers have stepped.

    Args:
        map: the network.
        shown: what the trials show.
        states: of the trials as they are, so that nothing before the patch is run again. Only its shape is looked at.
        base: the trial of each patch.
        time: the step after which each patch is made, from 0.
        new: the state that takes the place of the trial's own.
        look: (which patches, step, their outputs), for every step from the patch on; called from several threads, for
            different patches. Of a map without a readout it is given states.
    """
    n_steps = states.shape[1]
    order = np.argsort(time, kind="stable")

    def run(some: Integer[np.ndarray, " some"]) -> None:
        begun, state = 0, np.empty((0, map.state_size))
        for t in range(int(time[some[0]]), n_steps):
            if begun:
                state = map.step(state, shown[base[some[:begun]], t])
            now = int(np.searchsorted(time[some], t, side="right"))
            if now > begun:
                state = np.concatenate([state, new[some[begun:now]]])
                begun = now
            look(some[:begun], t, map.readout(state) if map.readout_size else state)

    spread(run, [order[i : i + TOGETHER] for i in range(0, len(order), TOGETHER)])


def spread(run: Callable[[A], R], parts: Sequence[A]) -> list[R]:
    """[run(part) for part in parts], side by side, each on one thread of torch and of BLAS."""

    def results() -> Iterator[R]:
        with (
            one_thread(),
            # Torch counts threads for each thread that calls it.
            ThreadPoolExecutor(n_workers(), initializer=lambda: torch.set_num_threads(1)) as pool,
        ):
            yield from pool.map(run, parts)

    return list(results())


def _side_by_side(edits: Sequence[Affine]) -> Callable[[np.ndarray], np.ndarray]:
    """The changes of states (edit, trial, number), each of its own; what it is given is written to."""
    if not all(edit.is_diagonal for edit in edits):
        return lambda states: np.stack([edit(each) for edit, each in zip(edits, states, strict=True)])
    # Most changes are of few numbers: the others are left where they are.
    where = [np.flatnonzero((edit.matrix != 1) | (edit.shift != 0)) for edit in edits]

    def elementwise(states: np.ndarray) -> np.ndarray:
        states = states if states.flags.writeable else states.copy()
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is infinite, and is said to be
            for each, edit, numbers in zip(states, edits, where, strict=True):
                if len(numbers):
                    each[:, numbers] = each[:, numbers] * edit.matrix[numbers] + edit.shift[numbers]
        return states

    return elementwise
