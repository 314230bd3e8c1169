"""How far apart are networks in what their states look like, or in how these move? And how far from themselves?

The floor is measured as the distances are: every network is run again several times, each time in a state space that
was rotated at random and with process noise of its own, and these copies are compared with one another. They start
from the same initial states and see the same inputs, as the networks do; for dynamics, where trials need not
correspond, each copy sees other trials (drawn with replacement), as many.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.comparison.result import FittedDynamics
from rnnscope.analyses.comparison.similarity import (
    conjugation_distance,
    debiased_cka,
    debiased_kernel_cka,
    delay_coordinates,
    fitted_dynamics,
    procrustes_distance,
)
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.numerics import linalg
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks import Trials

MOST_STATES = 1000  # whose kernels are formed
MOST_RANK, HELD = 10, 0.99  # of the linear dynamics, where no rank is asked for
MOST_PAIRS = 64  # of dynamics that are laid on one another at once: more would not stay in the cache
# Distances below these are rounding: the angle of a CKA near 1 has half of the digits.
ROUNDING = {"procrustes": 1e-7, "cka": 1e-6, "kernel_cka": 1e-6, "dsa": 1e-6}

Pairs = Iterable[tuple[np.ndarray, np.ndarray]]
Found = tuple[Float[np.ndarray, " pair"], Float[np.ndarray, " pair"]]  # distances, agreement
Between = Callable[[Pairs], Found]
Shown = Float[np.ndarray, "trial time input"] | Trials | None


@dataclass(frozen=True)
class StateDistances:
    """Distances between networks, and between copies of each; for "dsa" the dynamics that were compared."""

    distance: Float[np.ndarray, "network other"]
    of_copies: Float[np.ndarray, "network draw"]
    dynamics: FittedDynamics | None


def compare_states(
    subjects: Sequence[Subject],
    names: Sequence[str],
    method: str,
    shown: Shown,
    *,
    rank: int | None,
    n_delays: int,
    n_restarts: int,
    n_copies: int,
    noise: float,
    seed: int,
) -> StateDistances:
    """Distances of `compare_networks`, for the methods that look at states."""
    rng = np.random.default_rng([seed, 0xC0])
    runs = [
        _run(subject, name, shown, noise, seed, (k, 0))
        for k, (subject, name) in enumerate(zip(subjects, names, strict=True))
    ]
    chosen = _chosen(runs[0], method, rng)
    if method == "dsa":
        coordinates = [delay_coordinates(run.states, run.valid, n_delays, rank or MOST_RANK) for run in runs]
        rank = _rank(rank, [share for _, _, share in coordinates])
        fits = [fitted_dynamics(before, after, rank) for before, after, _ in coordinates]
        items, explained = [fit[0] for fit in fits], np.array([fit[1] for fit in fits])
        held = np.array([share[:rank].sum() for _, _, share in coordinates])
        between: Between = partial(_conjugation_distances, n_restarts=n_restarts, seed=(seed, 0xD5))
    else:
        rank, explained, held = 0, None, None
        between = partial(_angles, method)
        items = [run.visited[chosen] for run in runs]
    n = len(subjects)
    distance, agreement = np.zeros((n, n)), np.ones((n, n))
    rows, columns = np.triu_indices(n, 1)
    found = between(combinations(items, 2))
    for values, matrix in zip(found, (distance, agreement), strict=True):
        matrix[rows, columns] = matrix[columns, rows] = values
    if method == "dsa" and len(runs[0].states) == 1 and not noise:
        of_copies = np.full((n, 1), np.nan)  # one trial, and no noise: what another would be is not known
    else:

        def pairs_of_copies() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for k, run in enumerate(runs):
                # Where nothing is drawn at random all copies are the same, and two are enough.
                again = [run] * (n_copies if method == "dsa" else 2)
                if noise:
                    again = [_run(subjects[k], names[k], shown, noise, seed, (k, 1 + c)) for c in range(n_copies)]
                copies = [_rotated(copy, rng) for copy in again]
                alike = [copy.visited[chosen] for copy in copies] if method != "dsa" else None
                yield from combinations(alike or _refitted(copies, n_delays, rank, rng), 2)

        of_copies = np.maximum(between(pairs_of_copies())[0].reshape(n, -1), ROUNDING[method])
        if method != "dsa":  # recorded states are their own copies, which says nothing of another recording
            of_copies[[subject.recording is not None for subject in subjects]] = np.nan
    dynamics = None
    if explained is not None and held is not None:
        dynamics = FittedDynamics(explained, held, rank, agreement)
    return StateDistances(distance, of_copies, dynamics)


def own_trials(subjects: Sequence[Subject], n_trials: int, seed: int) -> Trials | None:
    """Trials of the first network that has a task; None where there is none."""
    return next((subject.trials(n_trials, seed) for subject in subjects if subject.task is not None), None)


def recorded_trials(
    subjects: Sequence[Subject], names: Sequence[str], method: str, inputs_given: bool
) -> Trials | None:
    """What networks are shown that are compared with recorded states: the inputs that were recorded with them.

    Raises:
        ValueError: inputs are given beside the recorded ones; recordings whose trials do not correspond; networks
            without recorded inputs to show them.
    """
    if inputs_given:
        raise ValueError(
            "inputs cannot be given where recorded states are compared, which nothing can run again: leave them out; "
            "networks are shown the inputs that were recorded with the states (rs.from_states(states, inputs))"
        )
    recordings = [(each.recording, name) for each, name in zip(subjects, names, strict=True) if each.recording]
    first, its_name = recordings[0]
    for other, name in recordings[1:]:
        if method != "dsa" and not np.array_equal(other.valid, first.valid):
            raise ValueError(
                f"{name} has {len(other.valid)} trials of up to {other.valid.shape[1]} steps and {its_name} "
                f"{len(first.valid)} of up to {first.valid.shape[1]}: by {method!r} states are compared one with one, "
                "so the trials and steps must be the same (of networks with other trials, compare the motion: "
                "method='dsa')"
            )
    if len(recordings) < len(subjects) and not first.inputs.shape[2]:
        raise ValueError(
            f"{its_name} is recorded states without inputs, so what to show the networks beside it is not known: give "
            "the inputs, rs.from_states(states, inputs)"
        )
    return first.trials


@contextmanager
def named(name: str) -> Iterator[None]:
    """Errors say which network they are about."""
    try:
        yield
    except NotApplicable as error:
        raise NotApplicable(f"{name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _run(subject: Subject, name: str, shown: Shown, noise: float, seed: int, copy: tuple[int, int]) -> Trajectories:
    """The same initial states for every network and copy, where these have as many numbers; noise of its own."""
    with named(name):
        if subject.recording is not None:
            return _moving(subject.recording, name)
        initial = None
        if shown is not None:
            initial = subject.map.initial_states(len(shown), np.random.default_rng([seed, 0x1C]))
        own = int(np.random.default_rng([seed, 0xC1, *copy]).integers(2**31))
        run = shown_states(subject, shown, 0, noise, own, initial)
    return _moving(run, name)


def _moving(run: Trajectories, name: str) -> Trajectories:
    if not np.ptp(run.visited, axis=0).any():
        raise NotApplicable(f"{name} does not move: there is nothing to compare")
    return run


def _rotated(run: Trajectories, rng: np.random.Generator) -> Trajectories:
    size = run.states.shape[2]
    turn = linalg.qr(rng.standard_normal((1, size, size)))[0][0]
    return Trajectories(run.inputs, run.states @ turn, run.initial @ turn, run.valid)


def _rank(asked: int | None, shares: list[np.ndarray]) -> int:
    """Where none is asked for, as many dimensions as hold 99 % of the variance of every network."""
    if asked is None:
        asked = min(MOST_RANK, max(int((share.cumsum() < HELD).sum() + 1) for share in shares))
    return min(asked, *map(len, shares))


def _refitted(copies: list[Trajectories], n_delays: int, rank: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The dynamics of each copy from as many trials, drawn with replacement."""
    fitted = []
    for copy in copies:
        drawn = rng.integers(len(copy.states), size=len(copy.states))
        fitted.append(delay_coordinates(copy.states[drawn], copy.valid[drawn], n_delays, rank))
    rank = min(rank, *(before.shape[1] for before, _, _ in fitted))
    return [fitted_dynamics(before, after, rank)[0] for before, after, _ in fitted]


def _chosen(run: Trajectories, method: str, rng: np.random.Generator) -> np.ndarray | slice:
    """The states that geometry is compared at, the same for all networks."""
    n_states = int(run.valid.sum())
    if method == "kernel_cka" and n_states > MOST_STATES:
        return np.sort(rng.choice(n_states, MOST_STATES, replace=False))
    if n_states < 4 and method in ("cka", "kernel_cka"):
        raise ValueError(f"CKA without bias needs at least 4 states, got {n_states}: show more trials or longer ones")
    return slice(None)


def _conjugation_distances(pairs: Pairs, *, n_restarts: int, seed: Sequence[int]) -> Found:
    """Many pairs of matrices of one size at once; copies of a network may have filled fewer dimensions."""
    pairs = list(pairs)
    sizes = np.array([len(x) for x, _ in pairs])
    found = np.empty((2, len(pairs)))
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        for part in np.array_split(same, -(-len(same) // MOST_PAIRS)):
            first, second = (np.stack([pairs[k][side] for k in part]) for side in (0, 1))
            found[:, part] = conjugation_distance(first, second, n_restarts=n_restarts, seed=seed)
    return found[0], found[1]


def _angles(method: str, pairs: Pairs) -> Found:
    """(distances, 1: there is no search that could fail)."""
    if method == "procrustes":
        found = np.array([procrustes_distance(x, y) for x, y in pairs])
    else:
        cosine = debiased_cka if method == "cka" else debiased_kernel_cka
        found = np.arccos(np.clip([cosine(x, y) for x, y in pairs], 0.0, 1.0))
    return found, np.ones(len(found))
