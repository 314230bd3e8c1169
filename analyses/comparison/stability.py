"""Exponents, fixed points and their connections of several networks, and how well each is known.

The floor is measured: once more on the same network in a rotated state space, from other random starts. No rotation
changes exponents or fixed points, so that what differs is what the measurement does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike

from rnnscope.analyses.comparison.states import Shown, named
from rnnscope.analyses.fixed_points import FIXED, FixedPoints, connect_fixed_points, find_fixed_points
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from rnnscope.analyses.state_space.projection import checked_points
from rnnscope.maps import CompleteMap, Conjugated
from rnnscope.numerics import linalg
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.starts import starts_anywhere
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import checked_inputs, within_trials
from rnnscope.tasks import Trials

N_STARTS, N_STEPS, TRANSIENT = 10, 1000, 200  # of the exponents
N_SEARCHES = 512  # starts of the search for fixed points
CONNECTION_STEPS = 2000


@dataclass(frozen=True)
class Spectra:
    """The largest exponents of every network, and the distances that are no difference."""

    exponents: Float[np.ndarray, "network exponent"]
    floor: Float[np.ndarray, " network"]

    @property
    def distance(self) -> Float[np.ndarray, "network other"]:
        return np.sqrt(((self.exponents[:, None] - self.exponents) ** 2).mean(2))


@dataclass(frozen=True)
class Skeletons:
    """Fixed points of every network by unstable directions, those at a kink in the last column; how many pairs of them
    are connected, by the unstable directions of both; and the distances that are no difference."""

    counts: Int64[np.ndarray, "network class"]
    connections: Int64[np.ndarray, "network n_unstable to_unstable"] | None
    floor: Float[np.ndarray, " network"]

    @property
    def distance(self) -> Float[np.ndarray, "network other"]:
        return np.array([[_bray_curtis(a, b) for b in self.counts] for a in self.counts])


def measured_spectra(
    subjects: Sequence[Subject],
    names: Sequence[str],
    shown: Shown,
    input: ArrayLike | None,
    n_exponents: int,
    noise: float,
    seed: int,
) -> Spectra:
    """Lyapunov exponents on trials one after another, or with an input held, and those of rotated copies."""
    k = min(n_exponents, *(subject.map.state_size for subject in subjects))
    found, again = [], []
    for index, (subject, name) in enumerate(zip(subjects, names, strict=True)):
        state_map = subject.map
        turn = _turn(state_map.state_size, np.random.default_rng([seed, 0xC2, index]))
        for copy, (each, into) in enumerate(((state_map, found), (Conjugated(state_map, turn), again))):
            inputs, starts = _drive(state_map, shown, input, [seed, copy])
            own = int(np.random.default_rng([seed, 0xC3, index, copy]).integers(2**31))
            with named(name):
                spectrum = lyapunov_spectrum(
                    Subject(each),
                    n_exponents=k,
                    input=input if inputs is None else None,
                    inputs=inputs,
                    starts=starts @ turn.T if copy else starts,
                    n_steps=N_STEPS,
                    transient=TRANSIENT,
                    noise=noise,
                    n_others=0,  # no echo state is stated here
                    seed=own,
                )
            into.append(spectrum)
    spectra = given_spectra(found, names, k)
    apart = spectra.exponents - given_spectra(again, names, k).exponents
    return Spectra(spectra.exponents, np.fmax(np.sqrt((apart**2).mean(1)), spectra.floor))


def given_spectra(found: Sequence[LyapunovSpectrum], names: Sequence[str], n_exponents: int) -> Spectra:
    """The exponents of results that are there; their floor is what the standard errors say."""
    k = min(n_exponents, *(len(each.exponents) for each in found))
    exponents = np.array([each.exponents[:k] for each in found])
    for name, row in zip(names, exponents, strict=True):
        if np.isnan(row).any():
            raise NotApplicable(f"{name} diverged: it has no Lyapunov exponents")
    errors = np.array([each.standard_error[:k] for each in found])
    # What is forgotten within a step is so whatever the number: beyond rounding it says no more.
    return Spectra(np.maximum(exponents, np.log(np.finfo(np.float64).eps)), np.sqrt(2 * (errors**2).mean(1)))


def measured_skeletons(
    subjects: Sequence[Subject], names: Sequence[str], input: ArrayLike | None, seed: int
) -> Skeletons:
    """Fixed points at a held input, and those of rotated copies."""
    found, again = [], []
    for index, (subject, name) in enumerate(zip(subjects, names, strict=True)):
        state_map = subject.map
        turn = _turn(state_map.state_size, np.random.default_rng([seed, 0xC4, index]))
        with named(name):
            found.append(find_fixed_points(subject, input=input, n_starts=N_SEARCHES, certify=False, seed=seed))
            # One step of another search is enough to have its starts.
            other = find_fixed_points(
                subject,
                input=input,
                n_starts=N_SEARCHES,
                certify=False,
                beyond_starts=False,
                max_iterations=1,
                seed=seed + 1,
            )
            copy = find_fixed_points(
                Subject(Conjugated(state_map, turn)), input=input, starts=other.starts.states @ turn.T, certify=False
            )
        # The domain is no box in a rotated space: roots beyond it are left out here.
        again.append(_codes(copy)[_inside(state_map, copy.points @ turn)])
    counts = given_skeletons(subjects, found, names, input)
    measured = [_bray_curtis(*_counts([_codes(a), b])) for a, b in zip(found, again, strict=True)]
    return Skeletons(counts.counts, counts.connections, np.fmax(measured, counts.floor))


def given_skeletons(
    subjects: Sequence[Subject],
    found: Sequence[FixedPoints | KnownPoints],
    names: Sequence[str],
    input: ArrayLike | None,
) -> Skeletons:
    """The points of results that are there; their floor is the difference of what the even and the odd starts found."""
    codes = []
    for subject, each, name in zip(subjects, found, names, strict=True):
        with named(name):
            codes.append(checked_points(each, subject.map.state_size)[1])
    counts = _counts(codes)
    connections = None
    searched = [each for each in found if isinstance(each, FixedPoints)]
    if len(searched) == len(found):
        connections = np.zeros((len(found), counts.shape[1] - 1, counts.shape[1] - 1), np.int64)
        for k, (subject, each, name) in enumerate(zip(subjects, searched, names, strict=True)):
            with named(name):
                graph = connect_fixed_points(subject, fixed_points=each, input=input, n_steps=CONNECTION_STEPS)
            ends = np.unique(np.stack([graph.source, graph.target], 1)[graph.end == 0], axis=0)
            ends = ends[(graph.listed[ends] >= 0).all(1) & graph.smooth[ends].all(1)]
            np.add.at(connections[k], tuple(graph.n_unstable[ends].T), 1)
    return Skeletons(counts, connections, np.array([_half_search(each) for each in found]))


def _turn(size: int, rng: np.random.Generator) -> np.ndarray:
    return linalg.qr(rng.standard_normal((1, size, size)))[0][0]


def _drive(
    state_map: CompleteMap, shown: Shown, input: ArrayLike | None, seed: list[int]
) -> tuple[Float[np.ndarray, "start step input"] | None, Float[np.ndarray, "start state"]]:
    """(what to show, the states to start from); for every network the same, as far as they can be."""
    rng = np.random.default_rng([*seed, 0xC5])
    total = TRANSIENT + N_STEPS
    if shown is None or input is not None or not state_map.input_size:
        return None, starts_anywhere(state_map, N_STARTS, rng)
    inputs = checked_inputs(shown, state_map.input_size)
    inside = within_trials(inputs.shape[:2], shown if isinstance(shown, Trials) else None)
    trials = [trial[valid] for trial, valid in zip(inputs, inside, strict=True) if valid.any()]
    rounds = -(-total // sum(map(len, trials)))
    streams = [
        np.concatenate([trials[k] for _ in range(rounds) for k in rng.permutation(len(trials))])[:total]
        for _ in range(N_STARTS)
    ]
    return np.stack(streams), state_map.initial_states(N_STARTS, rng)


def _codes(found: FixedPoints) -> Int64[np.ndarray, " point"]:
    """Unstable directions of each point, -1 at a kink."""
    return checked_points(found, found.points.shape[1])[1]


def _inside(state_map: CompleteMap, points: np.ndarray) -> np.ndarray:
    if state_map.domain is None:
        return np.ones(len(points), bool)
    low, high = state_map.domain
    slack = 1e-9 * (1 + np.abs(points))
    return ((points >= low - slack) & (points <= high + slack)).all(1)


def _counts(codes: Sequence[np.ndarray]) -> Int64[np.ndarray, "network class"]:
    """Fixed points by unstable directions 0, 1, ..., and in the last column those at a kink."""
    most = max((int(each.max(initial=0)) for each in codes), default=0)
    return np.array([[(each == k).sum() for k in [*range(most + 1), -1]] for each in codes], np.int64)


def _bray_curtis(a: np.ndarray, b: np.ndarray) -> float:
    total = (a + b).sum()
    return float(np.abs(a - b).sum() / total) if total else 0.0


def _half_search(found: FixedPoints | KnownPoints) -> float:
    """NaN where it is not known which start found what."""
    if isinstance(found, KnownPoints):
        return float("nan")
    halves = []
    for half in (0, 1):
        reached = found.starts.point[half::2][found.starts.status[half::2] == FIXED]
        halves.append(_codes(found)[np.unique(reached)])
    return _bray_curtis(*_counts(halves))
