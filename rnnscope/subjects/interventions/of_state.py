"""Interventions on the state: after every step, or at some, a unit or a direction is set, scaled or pushed.

After every step, and where it hangs on nothing but the state, the changed network is again a map, and every analysis
of maps takes it. At some steps only, or with values of other trials, it is a trajectory that is changed.
"""

from collections.abc import Callable
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from pydantic import model_validator

from rnnscope.maps.layout import Part
from rnnscope.numerics.affine import Affine
from rnnscope.subjects.interventions.description import described
from rnnscope.subjects.interventions.place import Numbers, Place, Rows, Vector, over, place
from rnnscope.tasks.settings import settings_class


@plain_dataclass(eq=False)
class Situation:
    """What an intervention knows of the network, and of the trials that it is run on.

    Attributes:
        layout: of the state.
        mean: gives the mean state that the intact network visits.
        shape: of the trials that are being run, (trials, steps); None where there are none yet.
        run_intact: gives the states of the intact network on these trials, (trial, time, state).
        rng: this intervention's own.
    """

    layout: tuple[Part, ...]
    mean: Callable[[], Float[np.ndarray, " state"]] = field(repr=False)
    shape: tuple[int, int] = (0, 0)
    run_intact: Callable[[], Float[np.ndarray, "trial time state"]] | None = field(default=None, repr=False)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0), repr=False)

    @cached_property
    def intact(self) -> Float[np.ndarray, "trial time state"]:
        if self.run_intact is None:
            raise TypeError("there are no trials to take states from")
        return self.run_intact()

    @cached_property
    def other_trials(self) -> np.ndarray:
        """For each trial another one: a permutation that leaves none in its place.

        Raises:
            ValueError: there is only one trial.
        """
        n_trials = self.shape[0]
        if n_trials < 2:
            raise ValueError(f"resampling takes states of other trials: show at least 2 trials, got {n_trials}")
        around = self.rng.permutation(n_trials)
        found = np.empty(n_trials, int)
        found[around] = np.roll(around, 1)
        return found


@runtime_checkable
class OfState(Protocol):
    """A change of the state after a step.

    Attributes:
        times: the steps, counted from 0; every step if None.
        varies: whether it hangs on more than the state: on the trial, the step, or chance.
    """

    @property
    def times(self) -> tuple[int, ...] | None: ...
    @property
    def varies(self) -> bool: ...

    def edit(self, situation: Situation, step: int = 0) -> Affine:
        """What is done. The shift may be one for each trial. Raises a ValueError for what the state has not."""
        ...


@settings_class(repr=False)
class Ablate:
    """Take units, or a subspace, out: what lies there is replaced after every step.

    Args:
        units: which, in every layer and part that is meant; all if None.
        directions: vectors, (direction, number) or one, that span what is taken out; instead of units.
        to: by what it is replaced. "zero"; the "mean" of the states that the intact network visits, on 128 trials of
            its task; or "resample", what the intact network has there at the same step of another trial.
        part: of an LSTM "h" or "c"; both if None.
        layer: of a stack, from 0; all if None.
        times: the steps, counted from 0; every step if None.

    Example:
        >>> import rnnscope as rs
        >>> network = rs.Network(rs.cells.GRU(8), 2, 1)
        >>> rs.as_subject(network).under(rs.interventions.Ablate(units=[3, 7]))
        Subject: CellMap(state_size=8, input_size=2), no task, under Ablate(units=(3, 7))
    """

    units: Numbers | None = None
    directions: Rows | None = None
    to: Literal["zero", "mean", "resample"] = "zero"
    part: str | None = None
    layer: int | None = None
    times: Numbers | None = None

    __repr__ = described

    @property
    def varies(self) -> bool:
        return self.to == "resample"

    def edit(self, situation: Situation, step: int = 0) -> Affine:
        there = _place(self, situation.layout)
        if self.to == "resample" and situation.shape[0]:
            return there.replaced(situation.intact[situation.other_trials, step])
        return there.replaced(situation.mean() if self.to == "mean" else np.zeros(there.state_size))


@settings_class(repr=False)
class Clamp:
    """Hold units, or the coordinates along directions, at a value.

    Args:
        value: one number, or one for each unit or direction, in their order; of several parts the same for each, or
            the values of one part after those of the other.
        units, directions, part, layer, times: as for `Ablate`; several directions must be orthogonal, and their
            coordinates are along unit vectors.
    """

    value: float | Vector
    units: Numbers | None = None
    directions: Rows | None = None
    part: str | None = None
    layer: int | None = None
    times: Numbers | None = None

    __repr__ = described

    @model_validator(mode="after")
    def _orthogonal(self) -> "Clamp":
        if self.directions is not None and len(self.directions) > 1:
            rows = np.array(self.directions)
            rows = rows / np.linalg.norm(rows, axis=1)[:, None]
            if np.abs(rows @ rows.T - np.eye(len(rows))).max() > 1e-6:
                raise ValueError("several directions to clamp must be orthogonal: coordinates along others are not one")
        return self

    varies: ClassVar[bool] = False

    def edit(self, situation: Situation, step: int = 0) -> Affine:
        there = _place(self, situation.layout)
        values = np.atleast_1d(np.array(self.value, np.float64))
        n_units = len(self.units) if self.units is not None else there.size
        if len(values) not in (1, n_units, there.size):
            raise ValueError(f"value must be one number or {n_units}, one for each, got {len(values)}")
        if self.units is not None and len(values) > 1:
            # One part of the state after another, each in the order in which the units are named.
            values = values.reshape(-1, n_units)[:, np.argsort(self.units)].ravel()
        return Affine(there.scaled(0.0), there.filled(np.resize(values, there.size)))


@settings_class(repr=False)
class Steer:
    """Push the state: a vector is added after every step.

    Args:
        vector: over what is meant of the state: a fixed point's eigenvector, the difference of two attractors.
        strength: what it is multiplied by.
        part, layer, times: as for `Ablate`.
    """

    vector: Vector
    strength: float = 1.0
    part: str | None = None
    layer: int | None = None
    times: Numbers | None = None

    __repr__ = described

    varies: ClassVar[bool] = False

    def edit(self, situation: Situation, step: int = 0) -> Affine:
        push = over(self.vector, situation.layout, self.part, self.layer)
        return Affine(np.ones(len(push)), self.strength * push)


@settings_class(repr=False)
class Gain:
    """Multiply units, or what lies in a subspace, by a factor, after every step.

    Of a unit that keeps part of its state from step to step (a leak, a gate), the factor acts on that part again at
    every step.

    Args:
        factor: 1 changes nothing, 0 takes them out.
        units, directions, part, layer, times: as for `Ablate`.
    """

    factor: float
    units: Numbers | None = None
    directions: Rows | None = None
    part: str | None = None
    layer: int | None = None
    times: Numbers | None = None

    __repr__ = described

    varies: ClassVar[bool] = False

    def edit(self, situation: Situation, step: int = 0) -> Affine:
        there = _place(self, situation.layout)
        return Affine(there.scaled(self.factor), np.zeros(there.state_size))


@settings_class(repr=False)
class Patch:
    """Put what the intact network has in units or a subspace, in another trial or at another step, in their place.

    Args:
        times: the steps after which it is done, counted from 0.
        source_trials: the trial that it is taken from: one for all, or one for each trial that is patched; the trial
            itself if None.
        source_times: the steps that it is taken from, as many as `times`; the same steps if None. An earlier step of
            the same trial that is given a later state is back-patched.
        trials: the trials that are patched; all if None.
        units, directions, part, layer: as for `Ablate`.
    """

    times: Numbers
    source_trials: Numbers | None = None
    source_times: Numbers | None = None
    trials: Numbers | None = None
    units: Numbers | None = None
    directions: Rows | None = None
    part: str | None = None
    layer: int | None = None

    __repr__ = described

    @model_validator(mode="after")
    def _fits(self) -> "Patch":
        if self.source_times is not None and len(self.source_times) != len(self.times):
            raise ValueError(
                f"source_times must be as many as times, got {len(self.source_times)} and {len(self.times)}"
            )
        if self.source_trials is None and self.source_times is None:
            raise ValueError("name source_trials or source_times: a patch from the same trial and step changes nothing")
        return self

    varies: ClassVar[bool] = True

    def edit(self, situation: Situation, step: int = 0) -> Affine:
        there = _place(self, situation.layout)
        if not situation.shape[0]:
            return there.replaced(np.zeros(there.state_size))
        n_trials = situation.shape[0] if self.trials is None else len(self.trials)
        into = np.arange(n_trials) if self.trials is None else np.array(self.trials)
        out_of = into if self.source_trials is None else np.array(self.source_trials)
        when = step if self.source_times is None else self.source_times[self.times.index(step)]
        states = np.empty((n_trials, there.state_size))
        states[:] = situation.intact[out_of, when]
        return there.replaced(states)

    def check(self, inside: Bool[np.ndarray, "trial time"]) -> None:
        """Raise a ValueError for trials that are not there, or that are over at these steps; `inside` says where they
        go on."""
        n_trials, n_steps = inside.shape
        check_times(self.source_times, n_steps, "source_times")
        for name, given in (("trials", self.trials), ("source_trials", self.source_trials)):
            wrong = [each for each in given or () if not 0 <= each < n_trials]
            if wrong:
                raise ValueError(f"{name} must be of 0 to {n_trials - 1}, as many as are shown, got {wrong[0]}")
        n = n_trials if self.trials is None else len(self.trials)
        if self.source_trials is not None and len(self.source_trials) not in (1, n):
            raise ValueError(
                f"source_trials must be one trial or {n}, one for each that is patched, got {len(self.source_trials)}"
            )
        into = range(n_trials) if self.trials is None else self.trials
        out_of = into if self.source_trials is None else np.resize(self.source_trials, len(into))
        for which, when in ((into, self.times), (out_of, self.source_times or self.times)):
            over = [(int(trial), step) for trial in which for step in when if not inside[trial, step]]
            if over:
                raise ValueError(
                    f"trial {over[0][0]} is over before step {over[0][1]}: these trials are of different lengths; "
                    "patch within them"
                )


@settings_class(repr=False)
class Noise:
    """Add Gaussian noise to units, or within a subspace, after every step, afresh in every trial.

    Args:
        scale: its standard deviation, of each unit or along each direction.
        units, directions, part, layer, times: as for `Ablate`.
    """

    scale: float
    units: Numbers | None = None
    directions: Rows | None = None
    part: str | None = None
    layer: int | None = None
    times: Numbers | None = None

    __repr__ = described

    @model_validator(mode="after")
    def _positive(self) -> "Noise":
        if self.scale < 0:
            raise ValueError(f"scale is a standard deviation: it must not be negative, got {self.scale}")
        return self

    varies: ClassVar[bool] = True

    def edit(self, situation: Situation, step: int = 0) -> Affine:
        there = _place(self, situation.layout)
        drawn = self.scale * situation.rng.standard_normal((situation.shape[0], there.size))
        return Affine(np.ones(there.state_size), there.filled(drawn))


def _place(intervention: Any, layout: tuple[Part, ...]) -> Place:
    return place(
        layout,
        units=intervention.units,
        directions=intervention.directions,
        part=intervention.part,
        layer=intervention.layer,
    )


def check_times(times: tuple[int, ...] | None, n_steps: int, name: str = "times") -> None:
    """Raise a ValueError for steps that trials have not."""
    wrong = [step for step in times or () if not 0 <= step < n_steps]
    if wrong:
        raise ValueError(
            f"{name} must be steps of 0 to {n_steps - 1}, as long as the trials that are shown, got {wrong[0]}"
        )
