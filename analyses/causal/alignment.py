"""Which subspace of a network's state carries a variable, so that a swap within it exchanges the variable alone?

Interchange interventions with a learned rotation: Geiger, Wu, Potts, Icard & Goodman, "Finding alignments between
interpretable causal variables and distributed neural representations" (CLeaR 2024). See `subspace.py` for the search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Int64
from numpy.typing import ArrayLike

from rnnscope.analyses.automata.reader import decide
from rnnscope.analyses.causal.alignment_result import Alignment, ByValue, HeldOut
from rnnscope.analyses.causal.controls import random_subspaces, right_of_each, single_units
from rnnscope.analyses.causal.pairs import Values, matched, third_trials, variables_at
from rnnscope.analyses.causal.subspace import Search, find_subspace
from rnnscope.analyses.causal.swaps import Going, Labels, Swaps
from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.headings import CAUSES
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Count, Seed, Share, TrialInputs, Whole
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks import Task, Trials

# Dimensions that are tried at least, however few values there are: they need not lie on a line.
LEAST_TRIED = 3
# Tries of the cost: numbers of dimensions, and evaluations of each step of a descent.
TRIES, EVALUATIONS = 3, 2


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps, _ = scale.shown(settings)
    left = min(settings["horizon"] or n_steps, n_steps)
    descents = TRIES * EVALUATIONS * (2 + settings["n_restarts"]) * settings["n_descent"]
    passes = n_trials / 4 * left * (2 * settings["n_random"] + descents + TRIES * scale.n)
    seconds = scale.simulation(n_trials, n_steps) + scale.unroll.of(1, passes) + scale.readout.of(1, passes)
    return scale.around(seconds, FLOAT * n_trials * n_steps * 4 * scale.n)


@analysis(
    "alignment",
    title="Alignment with a variable",
    group=CAUSES,
    quick={"n_trials": 48, "n_random": 2, "n_descent": 2, "n_restarts": 0, "horizon": 4},
    cost=Cost("heavy", "trials x steps x (descents + random subspaces + units) x units^2", _cost),
)
def align_subspace(
    subject: Subject,
    *,
    variable: str | None = None,
    trial_labels: Mapping[str, ArrayLike] | None = None,
    keep: Sequence[str] | None = None,
    counterfactual: Callable[[Trials, Trials], ArrayLike] | None = None,
    inputs: TrialInputs | Trials | None = None,
    labels: Labels | None = None,
    time: Whole | None = None,
    horizon: Count | None = None,
    dimensions: Count | None = None,
    n_trials: Annotated[int, Ge(8)] = 1024,
    n_random: Count = 20,
    n_descent: Whole = 60,
    n_restarts: Whole = 1,
    tolerance: Share = 0.005,
    seed: Seed = 0,
) -> Alignment:
    """Find the subspace that carries a variable, and test it on pairs of trials that it was not learned from.

    After a step, the coordinates of a base trial's state in the subspace become those of a source trial with another
    value of the variable; the rest stays the base's, and so do the inputs that follow. A swap is right where the
    network's decisions from then on, wherever they count, are what they ought to be. What that is comes from

    - `counterfactual`, where the task can be asked: a function of the base trials and of the source trials, one row a
      pair, that returns the targets of the base's trials as they would be with the source's value;
    - else the network itself: what it shows, with the base's remaining inputs, from the state of a third trial that
      has the source's value, and the base's value of each variable in `keep`. Whatever else bears on what is to come
      must be in `keep`.

    That swaps within a subspace do what they ought to does not make it the only one: where something else in the state
    goes along with the variable, directions that lean towards that do as well, and no swap of visited states tells
    them apart.

    A quarter of the trials each are bases and sources to learn from, and bases and sources to test with. For the states
    of a machine ask `machine_states`. The state is changed after a whole step: in a stack of layers all of it is.

    Args:
        subject: a Run, Network, torch module or StateMap, with a readout; anything that `as_subject` takes.
        variable: its name, of `trial_labels` or else of the trials' `info`. None: the first of `trial_labels`, or
            "target", what the task wants to be shown at the step itself.
        trial_labels: variables, name -> one value a trial, or one for each trial and step; numbers or words, of few
            values.
        keep: variables that stay the base's; all others of `trial_labels` if None. Not with `counterfactual`.
        counterfactual: see above.
        inputs: what to show, or a task's trials; trials of its own task if None.
        labels: outputs (..., output) -> whole numbers (..., head), the decisions. None: the task's; without a task,
            whether a single output is positive, or which of several is the largest.
        time: the step after which states are swapped; the middle of the shortest trial if None.
        horizon: how many steps after it are looked at; all if None.
        dimensions: of the subspace; if None the fewest that will do, up to the number of values less one, or 3.
        n_trials: how many trials, where `inputs` does not say.
        n_random: random subspaces of each kind.
        n_descent: steps of each descent, at most; 0 for closed forms alone.
        n_restarts: descents from random subspaces.
        tolerance: a subspace will do that is right on so much less of the pairs it is learned from than it might be:
            than all, or, with `counterfactual`, than the network is on its own trials.
        seed: of trials, pairs and subspaces.

    Raises:
        NotApplicable: no readout, nothing to show, no variable, states that diverge, or no pairs to swap.
        ValueError: a variable that there is not or that has too many values, a step outside the trials, values or
            targets of another shape, `keep` together with `counterfactual`.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> bits = np.random.default_rng(0).choice([-1.0, 1.0], (400, 2))  # shown once, and held in a turned plane
        >>> turn = np.array([[0.6, -0.8], [0.8, 0.6]])
        >>> held = rs.FunctionMap(lambda h, u: np.sign(h @ turn + 2 * u) @ turn.T, state_size=2, input_size=2,
        ...                       readout=lambda h: h @ turn * [1, 2], readout_size=2)
        >>> found = align_subspace(held, inputs=np.repeat(bits[:, None], 3, 1) * [[1], [0], [0]],
        ...                        trial_labels={"first": bits[:, 0], "second": bits[:, 1]},
        ...                        labels=lambda y: y > 0)
        >>> np.abs(found.columns.T @ turn).round(3).tolist(), found.held_out.accuracy
        ([[1.0, 0.0]], 1.0)
    """
    if subject.map.readout_size == 0:
        raise NotApplicable("swaps are judged by what is shown, and this map has no readout: give the network one")
    if counterfactual is not None and keep is not None:
        raise ValueError(
            "keep says what a third trial has of the base, and counterfactual needs none: give one of them"
        )
    task = subject.task
    if inputs is None and task is not None and task.loss == "sinkhorn":
        raise NotApplicable(
            "this task's inputs are noise, which no variable of a trial goes with: give inputs= and trial_labels="
        )
    shown = subject.trajectories(inputs, n_trials=n_trials, seed=seed)
    at = _step(shown, time)
    values, kept = variables_at(shown, task, variable, trial_labels, () if counterfactual else keep, at)
    going = Going(subject.map, labels or (decide if task is None else task.labels))
    design = _Design(going, shown, at, horizon, values, kept, counterfactual, task, seed)
    learn, test = design.half(0), design.half(1)
    reachable = 1.0 if counterfactual is None else design.own_accuracy(learn)
    both = np.concatenate([values.of_trial[learn.bases], values.of_trial[learn.sources]])
    search = Search(going, learn.swaps, both, n_descent, n_restarts, tolerance, reachable, seed)
    best = find_subspace(search, dimensions, max(len(values.levels) - 1, LEAST_TRIED))
    columns, swaps = best.columns, test.swaps
    random, (_, visited) = random_subspaces(going, swaps, columns, n_random, seed)
    right = going.right(swaps, columns)
    low, high = wilson_interval(np.array([right.sum()]), len(right))
    return Alignment(
        variable=values.name,
        levels=values.levels,
        kept=tuple(each.name for each in kept),
        time=at,
        columns=columns,
        learned=search.learned(best),
        held_out=HeldOut(
            n_pairs=len(right),
            accuracy=float(right.mean()),
            low=float(low[0]),
            high=float(high[0]),
            whole=float(going.right(swaps, None).mean()),
            unpatched=float(going.right(swaps.unpatched(), None).mean()),
        ),
        by_value=_by_value(test, values, right, right_of_each(going, swaps, visited).mean(0)),
        random=random,
        units=single_units(search, swaps, columns.shape[1]),
    )


def _step(shown: Trajectories, time: int | None) -> int:
    """The step of the swap, checked.

    Raises:
        ValueError: it is not within all trials. NotApplicable: states are not finite there.
    """
    shortest = int(shown.valid.sum(1).min())
    if time is not None and time >= shortest:
        raise ValueError(f"time must be a step of every trial, 0 to {shortest - 1}, got {time}")
    at = (shortest - 1) // 2 if time is None else time
    if not np.isfinite(shown.states[:, at]).all():
        raise NotApplicable(f"the states diverge before step {at}: use shorter trials or another checkpoint")
    return at


@dataclass(frozen=True, eq=False)
class _Half:
    """Pairs of trials, and their swaps."""

    swaps: Swaps
    bases: Int64[np.ndarray, " pair"]
    sources: Int64[np.ndarray, " pair"]


@dataclass(frozen=True, eq=False)
class _Design:
    """What is swapped, and what ought to come of it."""

    going: Going
    shown: Trajectories
    at: int
    horizon: int | None
    values: Values
    kept: tuple[Values, ...]
    counterfactual: Callable[[Trials, Trials], ArrayLike] | None
    task: Task | None
    seed: int

    def half(self, which: int) -> _Half:
        """Pairs of one half of the trials, 0 to learn from and 1 to test with; in each, half are bases.

        Raises:
            NotApplicable: fewer than two pairs.
        """
        order = np.random.default_rng([self.seed, 0xD5]).permutation(len(self.shown.states))
        pool = np.array_split(order, 2)[which]
        base, source = np.array_split(pool, 2)
        pairs = matched(self.values.of_trial[base], self.values.of_trial[source])
        bases, sources = base[pairs[:, 0]], source[pairs[:, 1]]
        third = np.zeros(len(bases), np.int64)
        if self.counterfactual is None:
            rng = np.random.default_rng([self.seed, 0xD6, which])
            third = third_trials(bases, sources, pool, self.values, self.kept, rng)
            bases, sources, third = (each[third >= 0] for each in (bases, sources, third))
        if len(bases) < 2:
            stay = f" and the same {', '.join(each.name for each in self.kept)}" if self.kept else ""
            purpose = ("learn from", "test with")[which]
            raise NotApplicable(
                f"of {len(self.shown.states)} trials {len(bases)} pairs to {purpose} differ in {self.values.name}, "
                f"with a third trial that has the one value{stay}: show more trials"
            )
        states, inputs, counts = self.shown.states[:, self.at], self._inputs(bases), self._counts(bases)
        if self.counterfactual is None:
            aim = self.going.outputs(states[third], inputs)
            wanted = self.going.decisions(states[third], inputs)
        else:
            targets = self._targets(bases, sources)
            wanted, aim = self._decided(targets), self._prototypes(targets, self.going.outputs(states[bases], inputs))
        return _Half(Swaps(states[bases], states[sources], inputs, wanted, counts, aim), bases, sources)

    def own_accuracy(self, half: _Half) -> float:
        """Share of base trials on which the network, left alone, is right on its task wherever that counts."""
        own = self._decided(self._trials.targets[half.bases][:, self._steps])
        return float(self.going.right(replace(half.swaps.unpatched(), wanted=own), None).mean())

    @property
    def _steps(self) -> slice:
        return slice(self.at, None if self.horizon is None else self.at + self.horizon + 1)

    def _inputs(self, rows: np.ndarray) -> Float[np.ndarray, "pair time input"]:
        # What stands in the padding is shown as nothing, and does not count.
        following = self.shown.inputs[rows][:, self._steps][:, 1:]
        return np.where(self.shown.valid[rows][:, self._steps][:, 1:, None], following, 0.0)

    def _counts(self, rows: np.ndarray) -> Bool[np.ndarray, "pair prefix"]:
        trials = self.shown.trials
        inside = self.shown.valid if trials is None else self.shown.valid & trials.mask
        counts = inside[rows][:, self._steps]
        if not counts.any(1).all():
            raise NotApplicable(
                f"in {int((~counts.any(1)).sum())} of {len(rows)} pairs nothing counts from step {self.at} on: choose "
                "an earlier time=, or a longer horizon="
            )
        return counts

    @property
    def _trials(self) -> Trials:
        if self.shown.trials is None or self.task is None or self.task.loss == "sinkhorn":
            raise NotApplicable("counterfactual takes trials of a task with targets: give trial_labels=")
        return self.shown.trials

    def _targets(self, bases: np.ndarray, sources: np.ndarray) -> np.ndarray:
        trials = self._trials
        pair = [
            Trials(trials.inputs[r], trials.targets[r], trials.mask[r], {k: v[r] for k, v in trials.info.items()})
            for r in (bases, sources)
        ]
        assert self.counterfactual is not None
        targets = np.asarray(self.counterfactual(*pair))
        if targets.shape != pair[0].targets.shape:
            raise ValueError(
                f"counterfactual must return targets of shape {pair[0].targets.shape}, as the base trials have, got "
                f"{targets.shape}"
            )
        return targets[:, self._steps].astype(trials.targets.dtype)

    def _decided(self, targets: np.ndarray) -> Int64[np.ndarray, "pair prefix head"]:
        """The decisions that targets stand for."""
        if self.task is not None and self.task.loss == "cross_entropy":
            return targets.astype(np.int64)
        found = np.asarray(self.going.labels(targets.astype(np.float64)))
        return found.reshape(*targets.shape[:-1], -1).astype(np.int64)

    def _prototypes(self, targets: np.ndarray, outputs: np.ndarray) -> Float[np.ndarray, "pair prefix output"]:
        """Outputs that stand for targets: themselves, or, of a classifier, the mean logits where the network decides
        so; of a class that it never decides for, that class alone."""
        if self.task is None or self.task.loss != "cross_entropy":
            return targets.astype(np.float64)
        logits = outputs.reshape(*outputs.shape[:-1], targets.shape[-1], -1)
        chosen, found = logits.argmax(-1), np.empty_like(logits)
        for head in range(targets.shape[-1]):
            for each in range(logits.shape[-1]):
                own = logits[..., head, :][chosen[..., head] == each]
                alone = np.abs(logits).max() * np.eye(logits.shape[-1])[each]
                found[..., head, :][targets[..., head] == each] = own.mean(0) if len(own) else alone
        return found.reshape(outputs.shape)


def _by_value(
    half: _Half, values: Values, right: Bool[np.ndarray, " pair"], control: Float[np.ndarray, " pair"]
) -> ByValue:
    k = len(values.levels)
    cell = values.of_trial[half.bases] * k + values.of_trial[half.sources]
    n = np.bincount(cell, minlength=k * k).reshape(k, k)
    hits, held = (np.bincount(cell, each, k * k).reshape(k, k) for each in (right, control))
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = wilson_interval(np.rint(hits).astype(np.int64), n)
        return ByValue(n, hits / n, low, high, held / n)
