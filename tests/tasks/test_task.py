"""What every task promises: the protocol, shapes, dtypes, reproducible trials, settings that travel as JSON.

All of `TASKS` is tried, on what each task gives as `examples`.
"""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from rnnscope.tasks import TASKS, Criterion, LossKind, Task, Trials, task_from_config, to_config

EXAMPLES = [task for kind in TASKS.values() for task in kind.examples()]
every_task = pytest.mark.parametrize("task", EXAMPLES, ids=repr)


def same(a, b):
    return (
        all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("inputs", "targets", "mask"))
        and a.info.keys() == b.info.keys()
        and all(np.array_equal(a.info[name], b.info[name]) for name in a.info)
    )


def test_every_task_is_tried():
    for kind in TASKS.values():
        assert kind.examples()
        assert {type(task) for task in kind.examples()} == {kind}


@every_task
def test_shapes_and_types(task):
    assert isinstance(task, Task)
    trials = task.sample(17, np.random.default_rng(0))
    n_trials, n_steps, _ = trials.inputs.shape
    assert len(trials) == n_trials == 17
    assert trials.inputs.shape[2] == task.input_size
    assert trials.inputs.dtype == np.float32
    wanted = (np.float32, task.output_size) if task.loss == "mse" else (np.int64, task.n_heads)
    assert (trials.targets.dtype, trials.targets.shape[2]) == wanted
    assert trials.mask.shape == (17, n_steps)
    assert trials.mask.any(axis=1).all(), "a trial without a step that counts"
    assert all(len(entry) == 17 for entry in trials.info.values())
    if task.alphabet is not None:
        assert task.alphabet.shape[1] == task.input_size
        assert task.alphabet.dtype == np.float32


@every_task
def test_the_seed_fixes_the_trials(task):
    first, again, other = (task.sample(50, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert same(first, again)
    assert not same(first, other)


@every_task
def test_the_settings_survive_json(task):
    config = json.loads(json.dumps(to_config(task)))
    rebuilt = task_from_config(config, task.arrays)
    assert rebuilt == task
    assert hash(rebuilt) == hash(task)
    assert same(rebuilt.sample(5, np.random.default_rng(0)), task.sample(5, np.random.default_rng(0)))


@every_task
def test_metrics_name_what_the_criterion_asks_for(task):
    rng = np.random.default_rng(0)
    trials = task.sample(20, rng)
    outputs = rng.standard_normal((*trials.mask.shape, task.output_size), dtype=np.float32)
    metrics = task.metrics(outputs, trials, rng)
    assert all(isinstance(value, float) for value in metrics.values())
    assert {criterion.metric for criterion in task.criterion} <= metrics.keys()
    assert not all(criterion.met(metrics) for criterion in task.criterion), "random outputs pass for learned"
    labels = task.labels(outputs)
    assert labels.shape == (*trials.mask.shape, task.n_heads)
    assert np.issubdtype(labels.dtype, np.integer)


# Under the Sinkhorn loss there are no right outputs, only right statistics: test_hmm_emission has those; of the next
# symbol there are right probabilities: test_next_symbol.
@pytest.mark.parametrize("task", [t for t in EXAMPLES if t.loss != "sinkhorn" and not t.predicts_next], ids=repr)
def test_right_outputs_meet_the_criterion(task):
    trials = task.sample(200, np.random.default_rng(0))
    if task.loss == "mse":
        outputs = trials.targets
    else:
        n_classes = task.output_size // task.n_heads
        outputs = np.eye(n_classes, dtype=np.float32)[trials.targets].reshape(*trials.mask.shape, -1)
        assert np.array_equal(task.labels(outputs), trials.targets)
        outputs[~trials.mask] = 9  # what does not count must not matter
    metrics = task.metrics(outputs, trials, np.random.default_rng(0))
    assert all(criterion.met(metrics) for criterion in task.criterion), metrics


@every_task
@pytest.mark.parametrize("n_trials", [0, -1])
def test_no_trials_are_refused(task, n_trials):
    with pytest.raises(ValueError, match=f"must be at least 1, got {n_trials}"):
        task.sample(n_trials, np.random.default_rng(0))


# --- a task of one's own -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Echo(Task):
    """The input of one step before, with no more than the required members."""

    channels: int = 2

    @property
    def input_size(self) -> int:
        return self.channels

    @property
    def output_size(self) -> int:
        return self.channels

    @property
    def loss(self) -> LossKind:
        return "mse"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("mse", 0.1, "at most"),)

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        inputs = rng.standard_normal((n_trials, 5, self.channels), dtype=np.float32)
        return Trials(inputs, np.roll(inputs, 1, 1), np.tile(np.arange(5) > 0, (n_trials, 1)))


def test_a_task_with_the_required_members_alone_is_complete():
    task, rng = Echo(), np.random.default_rng(0)
    assert isinstance(task, Task)
    assert (task.n_heads, task.ns, task.symbols, task.predicts_next) == (1, (), (), False)
    assert task.alphabet is None
    assert task.ground_truth is None
    assert task.opening.shape == (0, 2)
    assert task.sample_held_out(3, 9, rng) is None
    assert same(task.sample_fresh(4, np.random.default_rng(1)), task.sample(4, np.random.default_rng(1)))
    assert task.examples() == (task,)
    trials = task.sample(4, rng)
    assert task.metrics(trials.targets + 2, trials, rng)["mse"] == pytest.approx(4)
    assert task.labels(np.array([[1.0, -1.0], [-0.5, 3.0]])).tolist() == [[1], [2]]
    with pytest.raises(ValueError, match=r"Echo has no heads to choose from: leave ns = \(2, 3\) out"):
        task.restrict((2, 3))


def test_what_is_required_is_told():
    with pytest.raises(TypeError, match=r"abstract methods.*criterion.*input_size.*loss.*output_size.*sample"):
        type("Nothing", (Task,), {})()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "Paritty", "n": 3}, "did you mean 'Parity'"),
        ({"n": 3}, "unknown task None: known: .*DelayedMatchEpochs, "),
        ({"kind": "Parity", "n": 3, "m": 2}, "unknown setting 'm'"),
        ({"kind": "Parity"}, "n: Field required"),
        ({"kind": "FlipFlop", "bits": "3"}, "bits: .*integer"),
        ({"kind": "FlipFlop", "bits": True}, "bits: True is no number"),
        ({"kind": "NextSymbol", "process": "mess4"}, "process: 'mess4' is no process.* golden-mean, even"),
        ({"kind": "NextSymbol", "process": {"matrices": [[[0.5]]]}}, "process.matrices: process.* state 0 has 0.5"),
        ({"kind": "HMMEmission", "hmm": {"transitions": [[1.0]], "emissions": [[0.5]]}}, "emissions row 0 sums to 0.5"),
    ],
)
def test_bad_configs_are_told(config, message):
    with pytest.raises(ValueError, match=message) as caught:
        task_from_config(config)
    assert "\n" not in str(caught.value)
