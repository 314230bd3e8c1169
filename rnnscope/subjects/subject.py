"""What every analysis is asked of: a map, and what is known about where it came from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.maps import CompleteMap, StateMap, complete, wrap
from rnnscope.maps.cached_model import is_cached_model
from rnnscope.maps.called_cell import is_called_cell
from rnnscope.maps.torch_modules import is_torch_recurrent
from rnnscope.maps.wrap import Steps
from rnnscope.network import Network
from rnnscope.numerics.affine import Affine
from rnnscope.records.provenance import Origin
from rnnscope.records.runs import Run
from rnnscope.subjects.interventions.changed import changed_map, follow_changed, is_constant, parts_of
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.trajectories import Trajectories, checked_inputs, follow
from rnnscope.tasks.task import Task, Trials

TASK_TRIALS, FREE_RUN, RECORDED = "task trials", "free run", "recorded"
# Without a task: so many trajectories of so many steps, with no input.
FREE_TRIALS, FREE_STEPS = 64, 200
# States further out than this belong to a trajectory on its way to infinity.
ESCAPED = 1e6


# Recorded states have no map. A verb that needs one is never asked about them (`rnnscope.registry.analysis`), so that
# its code may take it as there.
if TYPE_CHECKING:
    MapOfSubject = CompleteMap | Any
else:
    MapOfSubject = CompleteMap | None


class Visited(NamedTuple):
    """States that a network visits, and where: on "task trials", in a "free run", or "recorded"."""

    states: Float[np.ndarray, "state unit"]
    source: str


@dataclass(frozen=True, eq=False)
class Subject:
    """What an analysis is asked of. `as_subject` makes one.

    Trials of the task, and the states visited on them, are drawn once for each number and seed, and read-only.

    Attributes:
        map: the map, with all members; None for recorded states (`rs.from_states`), which only verbs that look at
            states alone take.
        task: what the network was trained on; None where that is not known.
        name: of the run; "" for what has none.
        run: the run that it comes from, if any.
        checkpoint: the training step of its weights, of a run.
        interventions: what it is under, in order; `map` is the map under those that are the same at every step.
        intact: the same without interventions; None where there are none.
        recording: the recorded trajectories where there is no map; else None.
        recorded_digest: what distinguishes them from others.
    """

    map: MapOfSubject
    task: Task | None = None
    name: str = ""
    run: Run | None = None
    checkpoint: int | None = None
    interventions: tuple[Any, ...] = ()
    intact: "Subject | None" = None
    recording: Trajectories | None = None
    recorded_digest: str | None = None
    # What depends on neither the map nor the checkpoint is kept for all that are made of one another.
    _shared: dict[Any, Any] = field(default_factory=dict, repr=False)
    _kept: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        if self.recording is not None:
            n_trials, _, n_units = self.recording.states.shape
            labels = ", ".join(self.recorded_labels)
            told = f", labels {labels}" if labels else ""
            return f"Subject{name}: recorded states of {n_units} units in {n_trials} trials{told}"
        step = "" if self.checkpoint is None else f" at step {self.checkpoint}"
        task = "no task" if self.task is None else f"task {type(self.task).__name__}"
        under = f", under {', '.join(map(repr, self.interventions))}" if self.interventions else ""
        return f"Subject{name}{step}: {self.map!r}, {task}{under}"

    @cached_property
    def origin(self) -> Origin:
        """What a result of this subject records of where it comes from."""
        digest = self.map.digest() if self.recording is None else self.recorded_digest
        return Origin(
            run=self.name or None,
            checkpoint=self.checkpoint,
            weights=digest,
            interventions=tuple(map(repr, self.interventions)),
        )

    @property
    def state_size(self) -> int:
        """Numbers in a state."""
        return self.map.state_size if self.recording is None else self.recording.states.shape[2]

    @property
    def input_size(self) -> int:
        """Numbers in an input; 0 for recorded states whose inputs are not known."""
        return self.map.input_size if self.recording is None else self.recording.inputs.shape[2]

    @property
    def recorded_labels(self) -> tuple[str, ...]:
        """The names of the labels that were recorded with the states, in order."""
        trials = None if self.recording is None else self.recording.trials
        return () if trials is None else tuple(name for name in trials.info if name != "length")

    @property
    def checkpoints(self) -> list[int]:
        """The training steps at which its weights were kept, in order; none where it is no run."""
        return [] if self.run is None else self.run.checkpoints

    @property
    def history(self) -> Mapping[str, Float[np.ndarray, " row"]]:
        """What was logged in training, column by column; empty where it is no run, or is under interventions."""
        return {} if self.run is None or self.interventions else self.run.history

    def at(self, step: int) -> "Subject":
        """Return the same subject at another checkpoint of its training, which is loaded once.

        Raises:
            ValueError: it is no run, or has no such checkpoint.
        """
        if self.run is None:
            raise ValueError(f"only a run has checkpoints, and step {step} is asked of something that is none")
        if step == self.checkpoint:
            return self
        if self.intact is not None:
            return self.intact.at(step).under(*self.interventions)
        if ("at", step) not in self._shared:
            self._shared.setdefault(("at", self.checkpoint), self)
            self._shared["at", step] = replace(self, map=self.run.network(step).map(), checkpoint=step)
        return self._shared["at", step]

    def under(self, *interventions: Any) -> "Subject":
        """Return the same network under interventions, after those that it is under already.

        Every analysis of maps takes it where they are the same at every step; where they act at some steps, or with
        states of other trials, those that look at trajectories do. Results say what it was under.

        Raises:
            TypeError: something that is no intervention.
            ValueError: no such unit, part or layer.
            NotApplicable: the weights are to be changed, and are not known.

        Example:
            >>> import rnnscope as rs
            >>> subject = rs.as_subject(rs.Network(rs.cells.GRU(8), 2, 1))
            >>> subject.under(rs.interventions.Ablate(units=[3])).origin.interventions
            ('Ablate(units=(3,))',)
        """
        if self.recording is not None:
            raise NotApplicable("recorded states cannot be changed: there is no network to run. Wrap it: rs.wrap(...)")
        intact = self.intact or self
        every = (*self.interventions, *interventions)
        changed = changed_map(intact.map, every, intact.mean_state)[0]
        return replace(intact, map=changed, interventions=every, intact=intact)

    @property
    def is_changed_in_time(self) -> bool:
        """Whether it is under interventions that no map can show: at some steps, with states of other trials, of what
        is shown."""
        return not all(map(is_constant, self.interventions))

    def before_edits(self) -> tuple[CompleteMap, Affine | None]:
        """The map before its states are changed, and what is done to them after each step; None for nothing."""
        if self.intact is None:
            return self.map, None
        return parts_of(self.intact.map, self.interventions, self.intact.mean_state)

    def mean_state(self) -> Float[np.ndarray, " state"]:
        """The mean state that it visits without interventions, on 128 trials."""
        return (self.intact or self).visited().states.mean(0)

    def trials(self, n_trials: int, seed: int) -> Trials:
        """Draw trials of its own task; of recorded states, all that were recorded.

        Raises:
            NotApplicable: it has no task.
        """
        if self.recording is not None and self.recording.trials is not None:
            return self.recording.trials
        return self._drawn(n_trials, seed)[0]

    def trajectories(
        self,
        inputs: ArrayLike | Trials | None = None,
        *,
        n_trials: int = 128,
        initial: ArrayLike | None = None,
        noise: float = 0.0,
        seed: int = 0,
    ) -> Trajectories:
        """Run it on inputs, or on trials of its own task if None; as `rs.simulate` does. Of recorded states all trials,
        as they were recorded.

        Raises:
            NotApplicable: no inputs, and no task.
            ValueError: sizes that do not fit, inputs or initial states that are not finite; of recorded states, inputs,
                initial states or noise.
        """
        if self.recording is not None:
            self._refuse_to_run(inputs is not None, initial is not None, noise)
            return self.recording
        rng = np.random.default_rng([seed, 0x51A])
        if inputs is None:
            inputs, rng.bit_generator.state = self._drawn(n_trials, seed)
        trials = inputs if isinstance(inputs, Trials) else None
        shown = checked_inputs(inputs, self.map.input_size)
        if self.intact is None or not (self.is_changed_in_time or noise):
            return follow(self.map, shown, trials, initial, noise, rng)
        intact = self.intact
        weights = changed_map(intact.map, self.interventions, intact.mean_state)[1]
        return follow_changed(
            intact.map, weights, self.interventions, intact.mean_state, shown, trials, initial, noise, rng, seed
        )

    def visited(self, n_trials: int = 128, seed: int = 0) -> Visited:
        """Return states visited on trials of its own task, or those that were recorded; without a task, in 200 steps
        from 64 initial states, with no input. Of a trajectory that goes to infinity, the states before that count.

        Raises:
            NotApplicable: none of them is finite.
        """
        if self.recording is not None:
            return Visited(self.recording.visited, RECORDED)
        key = "visited", n_trials if self.task is not None else FREE_TRIALS, seed
        if key not in self._kept:
            with np.errstate(all="ignore"):
                if self.task is not None:
                    states = self.trajectories(n_trials=n_trials, seed=seed).visited
                else:
                    nothing = np.zeros((FREE_TRIALS, FREE_STEPS, self.map.input_size))
                    states = self.trajectories(nothing, seed=seed).visited
            states = states[(np.abs(states) < ESCAPED).all(1)]
            states.flags.writeable = False
            self._kept[key] = Visited(states, FREE_RUN if self.task is None else TASK_TRIALS)
        if not len(self._kept[key].states):
            raise NotApplicable(
                "the map gives no finite state from its initial states: look for NaN weights, or give starts"
            )
        return self._kept[key]

    def _refuse_to_run(self, inputs: bool, initial: bool, noise: float) -> None:
        for name, given in (("inputs", inputs), ("initial states", initial), ("noise", noise != 0)):
            if given:
                raise ValueError(
                    f"{name} cannot be given for recorded states, which nothing can run again: leave them out, or give "
                    "the network itself"
                )

    def _drawn(self, n_trials: int, seed: int) -> tuple[Trials, Any]:
        """(trials, the state of the random generator after them)"""
        if self.task is None:
            raise NotApplicable(
                "it is not known what to show the network: give inputs= as (trial, time, input), or a task's trials"
            )
        key = "trials", id(self.task), n_trials, seed
        if key not in self._shared:
            rng = np.random.default_rng([seed, 0x51A])
            trials = self.task.sample(n_trials, rng)
            for array in (trials.inputs, trials.targets, trials.mask, *trials.info.values()):
                array.flags.writeable = False
            # With the task itself, so that no other one is ever given its place in memory.
            self._shared[key] = trials, rng.bit_generator.state, self.task
        return self._shared[key][:2]

    def remembered(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what was made for these weights under this name before; make it if it was not."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def as_subject(system: Any, *, step: int | None = None) -> Subject:
    """What analyses are asked of, made of a Run, a Network, a torch module, any object with `step(h, x)`, a StateMap,
    or a Subject (returned as it is). Nothing else looks into these.

    Args:
        system: what to look at.
        step: of a run, the checkpoint whose weights count; the last if None.

    Raises:
        TypeError: `system` has no state that is known; the message says what to supply.
        ValueError: a step of something that is no run.
        rnnscope.records.runs.RunError: the run cannot be read, or has no such checkpoint.

    Example:
        >>> import torch, rnnscope as rs
        >>> rs.as_subject(torch.nn.GRU(3, 16)).map.state_size
        16
    """
    if isinstance(system, Run):
        network = system.network(step)
        return Subject(
            network.map(), system.task, system.name, system, system.checkpoints[-1] if step is None else step
        )
    found = system if isinstance(system, Subject) else Subject(_map_of(system))
    return found if step is None else found.at(step)


def _map_of(system: Any) -> CompleteMap:
    if isinstance(system, Network):
        return system.map()
    if isinstance(system, StateMap):
        return complete(system)
    if is_torch_recurrent(system) or isinstance(system, Steps) or is_cached_model(system) or is_called_cell(system):
        return wrap(system)
    raise TypeError(
        f"cannot see a state in a {type(system).__name__}: give a Run, a Network, torch's RNN, GRU or LSTM "
        "(or their cells), a StateMap, an object with step(h, x) -> h through rs.wrap(object, state_size=..., "
        "input_size=...), a model that loops in its own forward through rs.find_state(model, inputs).wrap(), or a "
        "function through rs.FunctionMap(step, state_size=...)"
    )
