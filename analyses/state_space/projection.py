"""Where in state space does the network move? Principal components of the states that trials visit."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.along import machine_along
from rnnscope.analyses.automata.deciding.result import Acceptor
from rnnscope.analyses.automata.emitting.result import Emitter
from rnnscope.analyses.automata.predicting.result import Predictor
from rnnscope.analyses.fixed_points import FixedPoints
from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.state_space.labelled import colour_labels, shown_states
from rnnscope.analyses.state_space.principal import (
    Principal,
    components_seconds,
    principal_components,
    principal_components_of_chunks,
)
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Dims, Rows
from rnnscope.percent import percent
from rnnscope.question import Count, Level, Seed, TrialInputs, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go

KEPT = 20  # directions that are kept; variances are kept of all


@dataclass(frozen=True)
class ShownTrials:
    """The trials that were projected.

    Attributes:
        valid: where a trial goes on; where trials were shown in chunks, of the first chunk.
        label: the label of each trial, a whole number.
        label_name: what the labels are; "" where there are none, and all are 0.
        n_trials, n_states: how many trials and states the components were made of.
    """

    valid: Bool[np.ndarray, "trial time"]
    label: Int64[np.ndarray, " trial"] = field(metadata={FORMERLY: "trial_label"})
    label_name: str
    n_trials: int
    n_states: int


@dataclass(frozen=True)
class ProjectedPoints:
    """The fixed points, in the coordinates of the trajectories; none where none were given.

    Attributes:
        coordinates: in the first components.
        n_unstable: unstable directions of each; -1 at a kink of the map, where eigenvalues decide nothing.
    """

    coordinates: Float[np.ndarray, "point component"] = field(metadata={FORMERLY: "fixed_points"})
    n_unstable: Int64[np.ndarray, " point"]


@dataclass(frozen=True)
class MachineSteps:
    """Where an automaton of the network is as the trials go on.

    Attributes:
        state: at each step of the trajectories; -1 in padding and where it is not known.
        by: how that was found, in words.
    """

    state: Int64[np.ndarray, "trial time"]
    by: str


@dataclass(frozen=True, repr=False)
class StateSpace(Result):
    """States in the coordinates of their principal components.

    Attributes:
        components: directions in state space, orthonormal, the largest variance first; at most 20.
        mean: the mean state, where all coordinates are 0.
        explained_variance: along every component, in squared units of the state.
        explained_variance_ratio: the same as a fraction of the total; all 0 where the state never moves.
        trajectories: the states in the first components, where trials were shown in chunks those of the first
            chunk; NaN in the padding of short trials.
        trials: the trials that were projected.
        points: the fixed points in the same coordinates.
        participation_ratio: (sum of variances)^2 / sum of squared variances: the number of dimensions that the
            states fill, from 1 to the number of units (Gao et al. 2017); 0 where the state never moves.
        dimension_90: components that hold 90 % of the variance; 0 where the state never moves.
        made: how it was found; None for recorded states.
        machine: where an automaton is at each step; None where none was known, or it reads none of these trials.
    """

    rows: ClassVar[str] = "rank"

    components: Float[np.ndarray, "kept unit"]
    mean: Float[np.ndarray, " unit"]
    explained_variance: Float[np.ndarray, " rank"]
    explained_variance_ratio: Float[np.ndarray, " rank"]
    trajectories: Float[np.ndarray, "trial time component"]
    trials: ShownTrials
    points: ProjectedPoints
    participation_ratio: float
    dimension_90: int
    made: Made | None = None
    machine: MachineSteps | None = field(default=None, metadata={FORMERLY: None})

    def project(self, states: Float[np.ndarray, "*batch unit"]) -> Float[np.ndarray, "*batch component"]:
        """Other states in the same coordinates."""
        return (states - self.mean) @ self.components[: self.trajectories.shape[-1]].T

    @checked
    def figure(
        self,
        *,
        dims: Dims | None = None,
        colour: Literal["label", "time", "point", "state"] = "label",
        trials: Rows | None = None,
        components: Rows | None = None,
    ) -> "go.Figure":
        """Some trajectories (up to 40) in the first three components, or all of fewer; the fixed points under their
        numbers. Trajectories begin at an open circle and end at a filled one.

        Args:
            dims: how many axes; None for three where the result holds as many components.
            colour: by the label of the trial, by time, by the fixed point that is nearest in the components that the
                result holds, or by the state of the automaton that was known.
            trials: which trials to draw; None for some of each label.
            components: which components are the axes, counted from 0; None for the first ones.

        Raises:
            ValueError: the result holds no such trial or component, or no fixed points or automaton to colour by.
        """
        from rnnscope.analyses.state_space.projection_figure import projection_figure

        machine_state = None if self.machine is None else self.machine.state
        return projection_figure(
            self.trajectories, self.trials.valid.sum(1), self.trials.label, self.trials.label_name,
            self.trials.n_trials, self.explained_variance_ratio, self.points.coordinates, self.points.n_unstable,
            self.components.shape[1], machine_state, dims=dims, colour=colour, trials=trials, components=components,
        )  # fmt: skip

    def headline(self) -> dict[str, float | int]:
        return {
            "participation_ratio": float(self.participation_ratio),
            "dimension_90": int(self.dimension_90),
            "variance_held": float(self.explained_variance_ratio[: self.trajectories.shape[2]].sum()),
        }

    def summary(self) -> str:
        n_components = self.trajectories.shape[2]
        if not self.dimension_90:
            return f"the state does not move in {self.trials.n_trials} trials"
        held = self.explained_variance_ratio[:n_components].sum()
        n_points = len(self.points.coordinates)
        points = f"; {n_points} fixed point{'' if n_points == 1 else 's'}" if n_points else ""
        return (
            f"{n_components} PCs hold {percent(held, 1)} of the variance of {self.trials.n_trials} trials; "
            f"90 % in {self.dimension_90}, participation ratio {self.participation_ratio:.2f}{points}"
        )


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps, _ = scale.shown(settings)
    at_once = min(n_trials, settings["chunk_size"] or n_trials)
    seconds = scale.simulation(n_trials, n_steps) + components_seconds(scale, n_trials * n_steps)
    return scale.around(seconds, FLOAT * 4 * at_once * n_steps * scale.n)


@analysis(
    "state_space",
    title="State space",
    group=STATE_SPACE,
    # An automaton takes far longer than this: one that is known gives its states, and none is made for them.
    uses={"fixed_points": Uses("fixed_points"), "automaton": Uses("automaton", made=False)},
    quick={"n_trials": 16},
    states_alone=True,
    cost=Cost("light", "trials x steps x units^2", _cost),
    marks="time",
)
def project_states(
    subject: Subject,
    *,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 128,
    n_components: Annotated[int, Ge(1), Le(KEPT)] = 3,
    fixed_points: FixedPoints | KnownPoints | None = None,
    automaton: Acceptor | Predictor | Emitter | None = None,
    chunk_size: Count | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> StateSpace:
    """Principal component analysis of the states that trials visit, all steps of all trials with equal weight.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        n_components: coordinates of the trajectories, 1 to 20; fewer where the state has fewer numbers.
        fixed_points: to be seen beside the trajectories: a `FixedPoints`, or `KnownPoints` of one's own.
        automaton: that `extract_automaton` found in this network, for `figure(colour="state")`: where it is at each
            step. Of a run, the one that it keeps; none is made for this.
        chunk_size: trials that are simulated at once, for more trials than fit in memory: the components are those
            of all trials (see `project_chunks`), the trajectories those of the first chunk. All at once if None.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states and noise.

    Raises:
        NotApplicable: no inputs for something that is no Run, or states that diverge.
        ValueError: sizes that do not fit, or fewer than two states; an automaton of another network.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.analyses.state_space import project_states
        >>> line = rs.FunctionMap(lambda h, u: h + u * np.array([3.0, 4.0]), state_size=2, input_size=1)
        >>> found = project_states(line, inputs=np.ones((1, 10, 1)))
        >>> found.components[0].round(3).tolist(), round(found.participation_ratio, 6)
        ([0.6, 0.8], 1.0)
    """
    if subject.recording is not None and chunk_size is not None:
        raise ValueError("chunk_size is for what is simulated: project_chunks takes recorded states in chunks")
    given = inputs if inputs is None or isinstance(inputs, Trials) else np.atleast_1d(inputs)
    total = n_trials if given is None else len(given)
    if chunk_size is None or chunk_size >= total:
        first = shown_states(subject, given, n_trials, noise, seed)
        principal = principal_components(first.visited)
    else:
        chunks = _simulated(subject, given, total, chunk_size, noise, seed)
        first = next(chunks)
        principal = principal_components_of_chunks(shown.visited for shown in chain([first], chunks))
    labels, label_name = colour_labels(first, subject)
    n_shown = total if subject.recording is None else len(first.states)
    trials = ShownTrials(first.valid, labels, label_name, n_shown, principal.n_states)
    along = machine_along(automaton, subject, first)
    machine = MachineSteps(along.state, along.by) if along.by else None
    return replace(_state_space(principal, first.states, trials, n_components, fixed_points), machine=machine)


def project_chunks(
    chunks: Iterable[np.ndarray] | Callable[[], Iterable[np.ndarray]],
    *,
    n_components: int = 3,
    fixed_points: FixedPoints | KnownPoints | None = None,
) -> StateSpace:
    """`project_states` of recorded states that do not fit in memory, by incremental principal component analysis.

    Every chunk is seen once. The result is that of the analysis in one piece up to rounding: variances agree to
    about 1e-12 of the largest.

    Args:
        chunks: an iterable of states, or a function that returns one. A chunk is (trial, time, unit), with NaN
            where a trial is over, or (time, unit): one trial. The trajectories of the result are those of the
            first chunk.
        n_components: coordinates of the trajectories, 1 to 20; fewer where the state has fewer numbers.
        fixed_points: as for `project_states`.

    Raises:
        ValueError: a chunk of another shape, no chunk at all, infinite states, or fewer than two states.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> found = project_chunks(rng.standard_normal((100, 50, 8)) for _ in range(20))
        >>> found.trials.n_states, found.trials.n_trials
        (100000, 2000)
    """
    if n_components not in range(1, KEPT + 1):
        raise ValueError(f"n_components must be a whole number from 1 to {KEPT}, got {n_components!r}")
    stream = (_checked_chunk(chunk) for chunk in (chunks() if callable(chunks) else chunks))
    first = next(stream, None)
    if first is None:
        raise ValueError("chunks has none: give at least one array of states, (trial, time, unit) or (time, unit)")
    n_trials = 0

    def visited() -> Iterator[np.ndarray]:
        nonlocal n_trials
        for chunk in chain([first], stream):
            n_trials += len(chunk)
            yield chunk[~np.isnan(chunk).any(-1)]

    principal = principal_components_of_chunks(visited())
    valid = np.asarray(~np.isnan(first).any(-1))
    trials = ShownTrials(valid, np.zeros(len(first), np.int64), "", n_trials, principal.n_states)
    return _state_space(principal, first, trials, n_components, fixed_points)


def _checked_chunk(chunk: np.ndarray) -> np.ndarray:
    found = np.asarray(chunk, np.float64)
    if found.ndim not in (2, 3) or not found.shape[-1]:
        raise ValueError(f"a chunk must be (trial, time, unit) or (time, unit), got shape {found.shape}")
    if np.isinf(found).any() or (np.isnan(found).any(-1) & ~np.isnan(found).all(-1)).any():
        raise ValueError("a chunk has states that are not finite: leave out the trials that diverge")
    return found[None] if found.ndim == 2 else found


def _simulated(
    subject: Subject, inputs: np.ndarray | Trials | None, total: int, size: int, noise: float, seed: int
) -> Iterator[Trajectories]:
    """Chunk after chunk of trials; task trials and noise of every chunk are its own."""
    for index, start in enumerate(range(0, total, size)):
        part = slice(start, min(start + size, total))
        given = inputs
        if isinstance(inputs, Trials):
            info = {name: values[part] for name, values in inputs.info.items()}
            given = Trials(inputs.inputs[part], inputs.targets[part], inputs.mask[part], info)
        elif inputs is not None:
            given = inputs[part]
        own = int(np.random.default_rng([seed, index]).integers(2**31)) if index else seed
        # A subject keeps the trials that it draws: one for each chunk, and they do not stay in memory.
        each = Subject(subject.map, subject.task)
        yield shown_states(each, given, part.stop - part.start, noise, own)


def _state_space(
    principal: Principal,
    states: np.ndarray,
    trials: ShownTrials,
    n_components: int,
    fixed_points: FixedPoints | KnownPoints | None,
) -> StateSpace:
    components = principal.components[:KEPT]
    axes = components[:n_components].T
    trajectories = (states - principal.mean) @ axes
    trajectories[~trials.valid] = np.nan
    points, n_unstable = checked_points(fixed_points, states.shape[-1])
    return StateSpace(
        components=components,
        mean=principal.mean,
        explained_variance=principal.variance,
        explained_variance_ratio=principal.ratio,
        trajectories=trajectories,
        trials=trials,
        points=ProjectedPoints((points - principal.mean) @ axes, n_unstable),
        participation_ratio=principal.participation_ratio,
        dimension_90=principal.dimension(),
    )


def checked_points(
    fixed_points: FixedPoints | KnownPoints | None, n_units: int
) -> tuple[Float[np.ndarray, "point unit"], Int64[np.ndarray, " point"]]:
    """(points, unstable directions of each, -1 at a kink of the map)"""
    if fixed_points is None:
        return np.zeros((0, n_units)), np.zeros(0, np.int64)
    points = fixed_points.points
    if points.shape[1] != n_units:
        raise ValueError(
            f"fixed_points must have points (point, {n_units}), got shape {points.shape}: give what "
            "find_fixed_points returned for this network"
        )
    return points, np.where(np.asarray(fixed_points.smooth), fixed_points.n_unstable, -1).astype(np.int64)


def inputs_of_points(
    fixed_points: FixedPoints | KnownPoints | None, input_size: int
) -> Float[np.ndarray, "point input"] | None:
    """The input at which each is a fixed point; None where that is not known."""
    held = None if fixed_points is None else fixed_points.inputs
    if held is not None and held.shape[1] != input_size:
        raise ValueError(
            f"the inputs of the fixed points must have shape ({len(held)}, {input_size}), got {held.shape}: give what "
            "find_fixed_points returned for this network"
        )
    return held
