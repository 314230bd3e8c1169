"""A task made of trials that a user recorded, or made elsewhere, and gives as arrays."""

import json
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int64, Num
from pydantic import StrictFloat, StrictInt

from rnnscope.tasks import recorded
from rnnscope.tasks.array_settings import ArraySetting, LabelArrays, OptionalArray, ShareOrArray
from rnnscope.tasks.settings import settings_class, to_config
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials, check_count


@settings_class(eq=False, repr=False)
class FromArrays(Task):
    """Recorded trials: what was shown, what was wanted, and where the output counts.

    Targets of floats are outputs to be met (loss "mse"; criterion: "r2", the share of their variance that is met);
    whole numbers are classes (loss "cross_entropy"; criterion: "accuracy_min", the fraction right, of the worst head).
    A trial ends with the last step that counts, or where `info["length"]` says; steps after its end are padding, where
    inputs may be anything, NaN too, and become 0. So may targets wherever they do not count. The scale of inputs and
    targets is yours to choose: near 1 suits the networks and the default learning rates.

    What is measured: the trials are divided once. `sample` draws from those that are trained on, every one once before
    any comes twice; all metrics, and whether the task is learned, are of the others, which are held out: of all of
    them, or of as many as are asked for. They are the same at every evaluation, and training stops when the criterion
    is met on them: that score is a little better than on trials that were never looked at, and those kept for a final
    figure should not be given here at all. With `held_out=0.0` the metrics are of the trials that are trained on.
    Trials of one session or animal resemble one another: to see how a network does on another one, hold out whole
    sessions. Analyses of a run show what `sample` draws; `rs.simulate(run, run.task.trials)` shows all trials in order.

    A run keeps the arrays beside its `run.json`, which holds their digests. `info` of the trials: "length" in steps,
    "index" among the trials given, and the labels given.

    Args:
        inputs: (trial, time, input), or (trial, time) for one channel; kept as float32.
        targets: floats (trial, time, output), or whole numbers (trial, time, head) of the classes 0, 1, ...; the last
            axis may be left out where it has one entry.
        mask: (trial, time), where the output counts; at least once in every trial. None: at every step.
        info: labels, name -> numbers or words, one entry for each trial along the first axis: conditions, decisions,
            ... "length" says how many steps each trial has.
        held_out: the share of the trials to hold out, drawn at random and always the same; or for each trial whether it
            is held out.
        n_classes: of each head; None takes the classes that occur.
        threshold: the criterion is met from this value on.

    Raises:
        ValueError: shapes that do not fit, no trials, what counts is not finite or is no class, a trial that counts
            nowhere, targets that are the same everywhere, nothing left to train on, or a setting out of range.

    Example:
        >>> import numpy as np
        >>> from rnnscope.tasks import FromArrays
        >>> heard = np.random.default_rng(0).standard_normal((50, 20, 1))
        >>> task = FromArrays(heard, (heard.cumsum(1) > 0).astype(int), info={"loud": np.arange(50) < 25})
        >>> task
        FromArrays(50 trials of up to 20 steps, 10 held out, inputs=1, outputs=2, loss='cross_entropy')
        >>> task.sample(8, np.random.default_rng(0)).inputs.shape
        (8, 20, 1)
    """

    inputs: ArraySetting
    targets: ArraySetting
    mask: OptionalArray = None
    info: LabelArrays = None
    held_out: ShareOrArray = 0.2
    n_classes: StrictInt | None = None
    threshold: StrictFloat = 0.95

    def __post_init__(self) -> None:
        inputs, targets = recorded.with_channels("inputs", self.inputs), recorded.with_channels("targets", self.targets)
        if targets.shape[:2] != inputs.shape[:2]:
            raise ValueError(
                f"targets of shape {self.targets.shape} do not go with inputs of shape {self.inputs.shape}: both need "
                "the same trials and the same steps, shorter trials padded at their ends"
            )
        if self.n_classes is not None:
            check_count("n_classes", self.n_classes, 2)
        recorded.check_labels(self.info or {}, len(inputs))
        mask = recorded.checked_mask(self.mask, inputs.shape[:2])
        inside = recorded.within_trials(mask, (self.info or {}).get("length"), inputs.shape[:2])
        counts = inside if mask is None else mask
        changed = {
            "inputs": recorded.checked_inputs(inputs, inside),
            "targets": recorded.checked_targets(targets, counts, self.n_classes),
            "mask": mask,
            "held_out": recorded.checked_held_out(self.held_out, len(inputs)),
        }
        for name, value in changed.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)  # frozen for everybody else
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold = {self.threshold} lies outside (0, 1]; it is a share, as 0.95")
        recorded.check_varied(self.targets, counts)

    @classmethod
    def examples(cls) -> "tuple[FromArrays, ...]":
        rng = np.random.default_rng(0)
        inputs = rng.standard_normal((80, 12, 2))
        mask = np.arange(12) < rng.integers(6, 13, 80)[:, None]
        sums = inputs.cumsum(1)
        return (
            cls(inputs, np.tanh(sums), mask),
            cls(inputs, (sums > 0).astype(np.int64), info={"side": np.where(sums[:, -1, 0] > 0, "right", "left")}),
            cls(inputs[..., 0], mask.astype(np.int64), held_out=np.arange(80) >= 60, n_classes=3, threshold=0.9),
        )

    @property
    def input_size(self) -> int:
        return self.inputs.shape[2]

    @property
    def output_size(self) -> int:
        return self.targets.shape[2] if self.loss == "mse" else self.n_heads * self._n_classes

    @property
    def n_heads(self) -> int:
        return 1 if self.loss == "mse" else self.targets.shape[2]

    @property
    def loss(self) -> LossKind:
        return "mse" if self.targets.dtype.kind == "f" else "cross_entropy"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("r2" if self.loss == "mse" else "accuracy_min", self.threshold),)

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        named = {"inputs": self.inputs, "targets": self.targets, "mask": self.mask, "held_out": self.held_out}
        labels = {f"info.{name}": entries for name, entries in (self.info or {}).items()}
        return {name: array for name, array in {**named, **labels}.items() if isinstance(array, np.ndarray)}

    @property
    def trials(self) -> Trials:
        """All trials, in the order in which they were given."""
        return self._trials(np.arange(len(self.inputs)))

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials of those that are trained on, every one once before any comes twice.

        Raises:
            ValueError: `n_trials` is below 1.
        """
        check_count("n_trials", n_trials)
        trained = np.flatnonzero(~self._held_out)
        rounds, rest = divmod(n_trials, len(trained))
        drawn = [*(rng.permutation(trained) for _ in range(rounds)), rng.choice(trained, rest, replace=False)]
        return self._trials(np.concatenate(drawn))

    def sample_fresh(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """The trials that are held out, in their order; where there are more than `n_trials`, so many of them at
        random. Where none is held out, of those trained on.

        Raises:
            ValueError: `n_trials` is below 1.
        """
        check_count("n_trials", n_trials)
        judged = np.flatnonzero(self._held_out if self._held_out.any() else ~self._held_out)
        few = n_trials < len(judged)
        return self._trials(np.sort(rng.choice(judged, n_trials, replace=False)) if few else judged)

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """Of the steps that count. Of classes those of every task: "accuracy", "accuracy_min". Of floats the mean
        squared error, "mse", and "r2" = 1 - mse / variance, with the variance of all targets given, held out or not,
        around the mean of each output. `rng` is not used."""
        found = Task.metrics(self, outputs, trials, rng)
        return found if self.loss != "mse" else {"mse": found["mse"], "r2": 1 - found["mse"] / self._variance}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FromArrays) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return (
            f"FromArrays({len(self.inputs)} trials of up to {self._lengths.max()} steps, {self._held_out.sum()} held "
            f"out, inputs={self.input_size}, outputs={self.output_size}, loss={self.loss!r})"
        )

    @cached_property
    def _identity(self) -> str:
        return json.dumps(to_config(self), sort_keys=True)

    @cached_property
    def _inside(self) -> Bool[np.ndarray, "trial time"]:
        return recorded.within_trials(self.mask, (self.info or {}).get("length"), self.inputs.shape[:2])

    @property
    def _counts(self) -> Bool[np.ndarray, "trial time"]:
        return self._inside if self.mask is None else self.mask

    @cached_property
    def _lengths(self) -> Int64[np.ndarray, " trial"]:
        return self._inside.sum(1)

    @cached_property
    def _held_out(self) -> Bool[np.ndarray, " trial"]:
        return recorded.held_out_trials(self.held_out, len(self.inputs))

    @cached_property
    def _n_classes(self) -> int:
        return self.n_classes or int(self.targets.max()) + 1

    @cached_property
    def _variance(self) -> float:
        return float(self.targets[self._counts].astype(np.float64).var(0).mean())

    def _trials(self, rows: Int64[np.ndarray, " drawn"]) -> Trials:
        n_steps = self._lengths[rows].max()
        return Trials(
            inputs=self.inputs[rows, :n_steps],
            targets=self.targets[rows, :n_steps],
            mask=self._counts[rows, :n_steps],
            info={
                **{name: entries[rows] for name, entries in (self.info or {}).items()},
                "length": self._lengths[rows],
                "index": rows,
            },
        )
