"""What every task promises: the protocol, shapes, dtypes, reproducible trials, settings that travel as JSON."""

import json

import numpy as np
import pytest

from rnnscope import tasks
from rnnscope.tasks import Task, task_from_config, to_config
from rnnscope.tasks.process import mess3

EXAMPLES = [
    tasks.Parity(3),
    tasks.Parity([4, 2, 3]),
    tasks.DelayedMatchToSample(3),
    tasks.DelayedMatchToSample(range(2, 6)),
    tasks.DelayedMatchEpochs(),
    tasks.DelayedMatchEpochs(n_stimuli=3, n_channels=5, fixation_steps=0, delay_steps=0, grace_steps=0, noise=0.0),
    tasks.HMMEmission("linear_chain:3", noise_size=7),
    tasks.HMMEmission(tasks.HMM([[0.5, 0.5], [0.1, 0.9]], np.eye(2), [1, 0]), noise_size=2, length=5),
    tasks.FlipFlop(),
    tasks.FormalLanguage("tomita-4"),
    tasks.FormalLanguage("dyck-2", lengths=(2, 12), sampled_depth=3),
    tasks.FormalLanguage("S3", lengths=(5, 5)),
    tasks.FlipFlop(bits=1, length=9, pulse_probability=1),
    tasks.NextSymbol("rrxor"),
    tasks.NextSymbol(mess3(x=0.1, alpha=0.6), length=7, opening_step=False),
]
every_task = pytest.mark.parametrize("task", EXAMPLES, ids=repr)


def same(a, b):
    return (
        all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("inputs", "targets", "mask"))
        and a.info.keys() == b.info.keys()
        and all(np.array_equal(a.info[name], b.info[name]) for name in a.info)
    )


def test_every_task_is_tried():
    assert {type(task).__name__ for task in EXAMPLES} == set(tasks.TASKS)


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
    rebuilt = task_from_config(config)
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
@pytest.mark.parametrize(
    "task", [t for t in EXAMPLES if t.loss != "sinkhorn" and not isinstance(t, tasks.NextSymbol)], ids=repr
)
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


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "Paritty", "n": 3}, "did you mean 'Parity'"),
        ({"n": 3}, "known: DelayedMatchEpochs"),
        ({"kind": "Parity", "n": 3, "m": 2}, "unknown setting 'm'"),
        ({"kind": "Parity"}, "n: Field required"),
        ({"kind": "FlipFlop", "bits": "3"}, "bits: .*integer"),
        ({"kind": "FlipFlop", "bits": True}, "bits: .*integer"),
        ({"kind": "NextSymbol", "process": "mess4"}, "process: 'mess4' is no process.* golden-mean, even"),
        ({"kind": "NextSymbol", "process": {"matrices": [[[0.5]]]}}, "process.matrices: process.* state 0 has 0.5"),
        ({"kind": "HMMEmission", "hmm": {"transitions": [[1.0]], "emissions": [[0.5]]}}, "emissions row 0 sums to 0.5"),
    ],
)
def test_bad_configs_are_told(config, message):
    with pytest.raises(ValueError, match=message) as caught:
        task_from_config(config)
    assert "\n" not in str(caught.value)
