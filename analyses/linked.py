"""What a network does on some trials, and what is known of it, on the same axes and in the same order: what linked
views draw, so that a step of a trial, a fixed point or a state of the machine that is chosen in one is found in all.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, Float32, Int64, Integer

from rnnscope.analyses.automata.along import Machine, machine_along
from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.linearisation.result import Linearisation
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.state_space.nearest import nearest_place
from rnnscope.analyses.state_space.projection import StateSpace, project_states
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories

# What a fixed point does to states nearby.
ROLES = ("stable", "saddle", "repelling", "marginal", "at a kink", "saddle of 2", "saddle of more")
STABLE, SADDLE, REPELLING, MARGINAL, KINK, SADDLE_OF_2, SADDLE_OF_MORE = range(7)


@dataclass(frozen=True)
class LinkedPoints:
    """Fixed points on the axes of the trajectories.

    Attributes:
        number: of each, the same in every figure: its row in the result that they come from, or the branch that it
            is on.
        states: where they are in state space.
        coordinates: on the three axes.
        role: the row of `ROLES`.
        n_unstable: unstable directions of each.
        eigenvalues: the largest modulus first; of points followed through training that one
            alone.
        input: the input that was held.
        directions: the real and imaginary parts of unstable eigenvectors of the leading modes, on the three axes;
            NaN for others, and where they are not known.
        certified: whether it is proven; all False where nobody asked.
        source: where they come from, in words.
    """

    number: Integer[np.ndarray, " point"]
    states: Float[np.ndarray, "point unit"]
    coordinates: Float[np.ndarray, "point axis"]
    role: Int64[np.ndarray, " point"]
    n_unstable: Integer[np.ndarray, " point"]
    eigenvalues: Complex[np.ndarray, "point eigenvalue"]
    input: Float[np.ndarray, "point input"]
    directions: Float[np.ndarray, "point direction axis"]
    certified: Bool[np.ndarray, " point"]
    source: str

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True)
class Linked:
    """Trials and what is known of the network, on the same axes.

    Attributes:
        trajectories: what was shown and visited.
        outputs: the readout after each step; no column without a readout.
        coordinates: of each state on three axes; NaN in padding.
        axes: the axes.
        middle: the state at which all coordinates are 0.
        ratio: share of the variance of the visited states along each axis.
        points: fixed points; none where none are known at this checkpoint.
        nearest: of each state the row in `points` of the nearest fixed point; -1 in padding, and without points.
        machine_state: the state of the machine at each step; -1 in padding and where it is not known.
        machine_by: how that was found, in words; "" where it is not known.
        symbol: what the machine read at each step, as a place among its symbols; -1 where it read none.
    """

    trajectories: Trajectories
    outputs: Float[np.ndarray, "trial time output"]
    coordinates: Float32[np.ndarray, "trial time axis"]
    axes: Float[np.ndarray, "axis unit"]
    middle: Float[np.ndarray, " unit"]
    ratio: Float[np.ndarray, " axis"]
    points: LinkedPoints
    nearest: Int64[np.ndarray, "trial time"]
    machine_state: Int64[np.ndarray, "trial time"]
    machine_by: str
    symbol: Int64[np.ndarray, "trial time"]


def link_states(
    subject: Subject,
    *,
    space: StateSpace | None = None,
    fixed_points: FixedPoints | None = None,
    linearisation: Linearisation | None = None,
    branches: BifurcationDiagram | None = None,
    machine: Machine | None = None,
    n_trials: int = 128,
    seed: int = 0,
) -> Linked:
    """Run a network on trials of its task and put what is known of it beside every step.

    Args:
        subject: a network with a task, or recorded states.
        space: the axes, so that several checkpoints can be seen on the same ones; its own principal axes if None.
        fixed_points: those of this network.
        linearisation: of the same fixed points, for their unstable directions.
        branches: fixed points followed through training, which serve where `fixed_points` is None; those at the
            subject's checkpoint are shown, under the numbers of their branches.
        machine: an automaton that was extracted from the network.
        n_trials: how many trials are drawn.
        seed: of the trials.

    Raises:
        NotApplicable: the subject has no task.
        ValueError: axes or points of another number of units.

    Example:
        >>> import rnnscope as rs
        >>> network = rs.Network(rs.cells.Vanilla(8), 1, 1)
        >>> linked = link_states(rs.Subject(network.map(), rs.tasks.Parity(2)), n_trials=4)
        >>> linked.coordinates.shape[0], len(linked.points)
        (4, 0)
    """
    found = subject.trajectories(n_trials=n_trials, seed=seed)
    space = project_states(subject, n_trials=n_trials, seed=seed) if space is None else space
    if space.components.shape[1] != subject.state_size:
        raise ValueError(f"the axes have {space.components.shape[1]} units, the network {subject.state_size}")
    axes = space.components[:3]
    if fixed_points is not None:
        points = _of_search(fixed_points, linearisation, space.mean, axes)
    else:
        points = _of_branches(branches, subject.checkpoint, space.mean, axes)
    coordinates = ((found.states - space.mean) @ axes.T).astype(np.float32)
    coordinates[~found.valid] = np.nan
    along = machine_along(machine, subject, found)
    return Linked(
        found,
        np.zeros((*found.states.shape[:2], 0)) if subject.recording else subject.map.readout(found.states),
        coordinates,
        axes,
        space.mean,
        _share_along(found.states[found.valid], axes),
        points,
        nearest_place(found, points.states),
        along.state,
        along.by,
        along.symbol,
    )


def _roles(
    n_unstable: Integer[np.ndarray, " point"],
    n_modes: int,
    smooth: Bool[np.ndarray, " point"],
    marginal: Bool[np.ndarray, " point"] | None = None,
) -> Int64[np.ndarray, " point"]:
    """What each fixed point does to states nearby, as a row of `ROLES`."""
    saddle = np.choose(np.clip(n_unstable, 1, 3) - 1, (SADDLE, SADDLE_OF_2, SADDLE_OF_MORE))
    role = np.where(n_unstable == 0, STABLE, np.where(n_unstable < n_modes, saddle, REPELLING))
    if marginal is not None:
        role[marginal] = MARGINAL
    role[~smooth] = KINK
    return role.astype(np.int64)


def _of_search(found: FixedPoints, linear: Linearisation | None, mean: np.ndarray, axes: np.ndarray) -> LinkedPoints:
    directions = np.full((len(found), 0, len(axes)), np.nan)
    if linear is not None and linear.points.shape == found.points.shape and np.allclose(linear.points, found.points):
        vectors = linear.vectors.right
        n = min(vectors.shape[1], int(found.n_unstable.max(initial=0)))
        directions = np.stack([np.real(vectors[:, :n]), np.imag(vectors[:, :n])], 2).reshape(
            len(found), 2 * n, axes.shape[1]
        )
        directions = directions @ axes.T
        unstable = np.arange(n) < np.asarray(found.n_unstable)[:, None]
        directions[~np.repeat(unstable, 2, axis=1)] = np.nan
    return LinkedPoints(
        np.arange(len(found)),
        found.points,
        (found.points - mean) @ axes.T,
        _roles(found.n_unstable, found.points.shape[1], found.smooth, found.marginal),
        found.n_unstable,
        found.eigenvalues,
        found.inputs,
        directions,
        found.certificates.certified,
        f"{_points(len(found))}{_held(found.inputs)}, numbered as found",
    )


def _of_branches(
    branches: BifurcationDiagram | None, step: int | None, mean: np.ndarray, axes: np.ndarray
) -> LinkedPoints:
    """Those that were followed through training, at one of its steps."""
    rows = np.zeros(0, np.int64)
    source = "no fixed points are known at this checkpoint"
    if branches is not None and branches.along.name == "training step":
        rows = np.flatnonzero(branches.value == step)
        if len(rows):
            source = f"{_points(len(rows))} followed through training, numbered by branch"
    if branches is None or not len(rows):
        nothing = np.zeros(0, np.int64)
        return LinkedPoints(
            nothing, np.zeros((0, axes.shape[1])), np.zeros((0, len(axes))), nothing, nothing,
            np.zeros((0, 0), complex), np.zeros((0, 0)), np.zeros((0, 0, len(axes))), np.zeros(0, bool), source,
        )  # fmt: skip
    return LinkedPoints(
        branches.branch[rows],
        branches.point[rows],
        (branches.point[rows] - mean) @ axes.T,
        _roles(branches.n_unstable[rows], branches.point.shape[1], branches.smooth[rows]),
        branches.n_unstable[rows],
        branches.eigenvalue[rows, None],
        np.zeros((len(rows), 0)),
        np.full((len(rows), 0, len(axes)), np.nan),
        np.zeros(len(rows), bool),
        source,
    )


def _share_along(states: Float[np.ndarray, "state unit"], axes: Float[np.ndarray, "axis unit"]) -> np.ndarray:
    """The share of the variance of these states along each axis; 0 where they do not move."""
    total = states.var(0).sum()
    return (states @ axes.T).var(0) / total if total > 0 else np.zeros(len(axes))


def _held(inputs: Float[np.ndarray, "point input"]) -> str:
    """At which input, where it is another than 0."""
    several = np.unique(inputs, axis=0)
    if not several.any():
        return ""
    if len(several) > 1:
        return f" at {len(several)} inputs"
    return " at input " + " ".join(f"{value:.3g}" for value in several[0][:4]) + (" …" if several.shape[1] > 4 else "")


def _points(n: int) -> str:
    return f"{n} fixed point{'' if n == 1 else 's'}"
