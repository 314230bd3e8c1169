"""Are these networks the same? Distances between several networks, with what is no difference as the yardstick.

By what their states look like (Procrustes, CKA), by how these move (dynamical similarity), by how fast neighbours
part (Lyapunov exponents), or by their fixed points. A distance means something beside the noise floor: what a network
is apart from copies of itself that were rotated in state space and measured anew.
"""

from collections.abc import Mapping, Sequence, Sized
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from rnnscope.analyses.comparison.result import Comparison, FittedDynamics, FixedPointCounts
from rnnscope.analyses.comparison.similarity import scaled_to_plane
from rnnscope.analyses.comparison.stability import (
    given_skeletons,
    given_spectra,
    measured_skeletons,
    measured_spectra,
)
from rnnscope.analyses.comparison.states import compare_states, own_trials, recorded_trials
from rnnscope.analyses.fixed_points import FixedPoints
from rnnscope.analyses.headings import SEVERAL
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.lyapunov import LyapunovSpectrum
from rnnscope.analyses.state_space.subspaces import network_names
from rnnscope.numerics import linalg
from rnnscope.question import Count, InputVector, Level, Seed, TrialInputs, Whole
from rnnscope.registry import WITHOUT_MAP, comparison
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import checked_inputs
from rnnscope.tasks import Trials

Method = Literal["procrustes", "cka", "kernel_cka", "dsa", "lyapunov", "fixed_points"]
Beside = Literal["lyapunov", "fixed_points"]


@comparison("comparison", title="Comparison of networks", group=SEVERAL, quick={"n_trials": 16, "n_copies": 2})
def compare_networks(
    subjects: list[Subject],
    *,
    method: Method = "procrustes",
    beside: Beside | Sequence[Beside] = (),
    inputs: TrialInputs | Trials | None = None,
    input: InputVector | None = None,
    n_trials: Count = 256,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    rank: Count | None = None,
    n_delays: Whole = 4,
    n_restarts: Whole = 8,
    n_copies: Annotated[int, Ge(2)] = 4,
    n_exponents: Count = 10,
    exponents: Sequence[LyapunovSpectrum] | None = None,
    fixed_points: Sequence[FixedPoints | KnownPoints] | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> Comparison:
    """Distances between every two of several networks.

    The distances:

    - "procrustes": the angle between the states, after the best rotation. Same geometry?
    - "cka": arccos of debiased linear CKA; "kernel_cka" with Gaussian kernels, of up to 1000 states. Same
      similarities between states?
    - "dsa": the least |A - C B C^T| over orthogonal C, of the linear dynamics A and B fitted to delay coordinates.
      Same motion, whatever the geometry?
    - "lyapunov": the root mean square difference of the largest exponents. Same stability?
    - "fixed_points": the difference of their counts by unstable directions, as a share of all points (Bray-Curtis).
      Same skeleton?

    The floor is measured on copies of each network whose state space is rotated at random. Networks and copies start
    from the same initial states and are shown the same inputs, each with process noise of its own; for "dsa", whose
    trials need not correspond, every copy sees other trials, drawn with replacement from those shown. For exponents
    and fixed points one copy is measured from other random starts; the floor is at least what the standard errors of
    the exponents say, or the difference of what the even and the odd starts of the search found.

    Recorded states (`rs.from_states`) are compared by their states. Networks beside them are shown the recorded inputs;
    trials correspond one to one, but for "dsa". How much recorded states would differ from themselves, recorded once
    more, nobody knows: they have no floor, but for "dsa".

    Args:
        subjects: Runs, Networks, torch modules, StateMaps or recorded states, anything that `as_subject` takes; they
            may differ in size.
        method: see above.
        beside: "lyapunov", "fixed_points" or both, to have them side by side with any distance.
        inputs: what to show to all of them, or a task's trials; trials of the first network that has a task if None.
            Exponents are measured on them one after another.
        input: an input to hold, (input,), for fixed points, and for exponents where there are no `inputs`.
        n_trials: how many trials, where `inputs` does not say.
        names: of the networks; their own, or numbers, if None.
        groups: what each belongs to, for the colours of the map.
        rank: for "dsa": dimensions to compare; fewer where a network fills fewer. None: as many as hold 99 % of the
            variance of every network, up to 10.
        n_delays: for "dsa": earlier states that go with each state. 0: the state alone.
        n_restarts: for "dsa": random starts of the search for the best rotation, besides two that are not random.
        n_copies: rotated copies of each network that are compared with one another, for methods that look at states
            (2 are enough, and made, where nothing is drawn at random).
        n_exponents: how many to compare; fewer where a network has fewer.
        exponents: what `lyapunov_spectrum` found for each, to save the time, or to show it beside other distances.
        fixed_points: what `find_fixed_points` found for each, likewise, or `KnownPoints` of one's own. What a
            search has missed of these nobody knows, and so their floor is not known.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states, noise, rotations and searches.

    Raises:
        NotApplicable: there is nothing to show, states that diverge or do not move.
        TypeError: one network instead of several, results of another analysis.
        ValueError: fewer than two networks, different inputs, lists of another length, a setting that the method
            could only ignore.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> turn = lambda angle: np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        >>> start = lambda n, rng: rng.standard_normal((n, 2))
        >>> wheels = [rs.FunctionMap(lambda h, a=a: h @ turn(a), state_size=2, initial=start) for a in (0.1, 0.6)]
        >>> found = compare_networks(wheels, method="dsa", inputs=np.zeros((30, 40, 0)))
        >>> round(float(found.distance[0, 1]), 2), round(2 * float(np.sqrt(1 - np.cos(0.5))), 2)
        (0.7, 0.7)
    """
    size = _check(subjects, {"exponents": exponents, "fixed_points": fixed_points, "groups": groups})
    asked = {method, *((beside,) if isinstance(beside, str) else beside)}
    by_states = method not in ("lyapunov", "fixed_points")
    measure_exponents = "lyapunov" in asked and exponents is None
    measure_points = "fixed_points" in asked and fixed_points is None
    for name, given, used in (
        ("inputs", inputs is not None, by_states or measure_exponents),
        ("noise", noise != 0, by_states or measure_exponents),
        ("input", input is not None, measure_exponents or measure_points),
    ):
        if given and not used:
            raise ValueError(f"nothing that is compared here depends on {name}: leave it out, or use another method")
    recorded = any(subject.recording is not None for subject in subjects)
    if recorded and (measure_exponents or measure_points):
        raise NotApplicable(f"one of the networks is recorded states. {WITHOUT_MAP}")
    if (measure_exponents or measure_points) and any(subject.is_changed_in_time for subject in subjects):
        raise NotApplicable(
            "one of the networks is under interventions at some steps, and is no map: compare states, or intervene at "
            "every step"
        )
    labels = _names(subjects, names)
    n = len(subjects)
    shown = None
    if recorded and by_states:
        shown = recorded_trials(subjects, labels, method, inputs is not None)
    elif by_states or measure_exponents:
        trials = inputs if inputs is not None else own_trials(subjects, n_trials, seed)
        shown = trials if trials is None or isinstance(trials, Trials) else checked_inputs(trials, size)
    spectra = skeletons = None
    dynamics: FittedDynamics | None = None
    with linalg.one_thread():
        if measure_exponents:
            steady = inputs is None and input is not None
            driven = (None, input) if steady else (shown, None)
            spectra = measured_spectra(subjects, labels, *driven, n_exponents, noise, seed)
        elif exponents is not None:
            spectra = given_spectra(exponents, labels, n_exponents)
        if measure_points:
            skeletons = measured_skeletons(subjects, labels, input, seed)
        elif fixed_points is not None:
            skeletons = given_skeletons(subjects, fixed_points, labels, input)
        measured = {"lyapunov": spectra, "fixed_points": skeletons}.get(method)
        if measured is not None:
            distance, floor = measured.distance, measured.floor
            median = floor
        else:
            found = compare_states(
                subjects,
                labels,
                method,
                shown,
                rank=rank,
                n_delays=n_delays,
                n_restarts=n_restarts,
                n_copies=n_copies,
                noise=noise,
                seed=seed,
            )
            distance, dynamics = found.distance, found.dynamics
            median, floor = np.quantile(found.of_copies, [0.5, 0.95], axis=1)
        positions, stress = scaled_to_plane(distance)
    return Comparison(
        distance=distance,
        floor=floor,
        floor_median=median,
        positions=positions,
        stress=stress,
        dynamics=dynamics,
        exponents=None if spectra is None else spectra.exponents,
        fixed_points=None
        if skeletons is None
        else FixedPointCounts(skeletons.counts[:, :-1], skeletons.counts[:, -1], skeletons.connections),
        names=labels,
        groups=("",) * n if groups is None else tuple(groups),
        method=method,
    )


def _check(subjects: Sequence[Subject], lists: Mapping[str, Sized | None]) -> int:
    """The size of the input that all networks take."""
    if len(subjects) < 2:
        raise ValueError(f"at least two networks are compared, got {len(subjects)}")
    for name, given in lists.items():
        if given is not None and len(given) != len(subjects):
            raise ValueError(f"{name} must have one entry for each of the {len(subjects)} networks, got {len(given)}")
    # Of recorded states the inputs may not be known.
    sizes = [subject.input_size for subject in subjects if subject.recording is None or subject.input_size]
    if len(set(sizes)) > 1:
        raise ValueError(f"networks are compared at the same inputs, and these take inputs of sizes {sizes}")
    return sizes[0] if sizes else 0


def _names(subjects: Sequence[Subject], names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return network_names(subjects)
    if len(names) != len(subjects) or len(set(names)) < len(names):
        raise ValueError(f"names must be {len(subjects)} different ones, one for each network, got {list(names)}")
    return tuple(names)
