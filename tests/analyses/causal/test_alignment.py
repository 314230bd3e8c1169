"""Subspaces that carry variables of trials, in systems where they were planted and in trained networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

import rnnscope as rs
from rnnscope import NotApplicable, tasks
from rnnscope.analyses import align_subspace
from rnnscope.tasks import Trials

DATA = Path(__file__).parents[2] / "data"
AT = 9


def memory(turn: np.ndarray, gain: float = 4.0) -> rs.FunctionMap:
    """Bits that pulses set and nothing else changes, each in an axis of its own, turned."""
    n = len(turn)
    return rs.FunctionMap(
        lambda h, u: np.tanh(gain * (h @ turn + 3 * u)) @ turn.T,
        state_size=n, input_size=n, readout=lambda h: h @ turn, readout_size=n,
    )  # fmt: skip


def skewed(axes: np.ndarray, gain: float = 4.0) -> rs.FunctionMap:
    """The same with axes that are not at right angles: the columns of a matrix."""
    n, back = len(axes), np.linalg.inv(axes)
    return rs.FunctionMap(
        lambda h, u: np.tanh(gain * (h @ back.T + 3 * u)) @ axes.T,
        state_size=n, input_size=n, readout=lambda h: h @ back.T, readout_size=n,
    )  # fmt: skip


def trained(kind: str) -> rs.Subject:
    with np.load(DATA / f"flipflop_{kind}16.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[kind](3, 16)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(16, 3)
    head.load_state_dict({key[8:]: value for key, value in weights.items() if key.startswith("readout.")})
    return rs.Subject(rs.as_subject(rs.wrap(rnn, readout=head)).map, tasks.FlipFlop(3, 20, 0.3))


def with_bit_of_source(bit: int):
    """What the flip-flop is to show where a bit is the source's from step `AT` on."""

    def targets(base: Trials, source: Trials) -> np.ndarray:
        found = base.targets.copy()
        found[:, AT, bit] = source.targets[:, AT, bit]
        for t in range(AT + 1, found.shape[1]):
            pulse = base.inputs[:, t, bit]
            found[:, t, bit] = np.where(pulse != 0, pulse, found[:, t - 1, bit])
        return found

    return targets


@pytest.mark.parametrize(("seed", "size", "bit"), [(0, 3, 0), (1, 5, 2), (2, 12, 7)])
def test_a_planted_bit_is_found_within_five_degrees(seed: int, size: int, bit: int):
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    subject = rs.Subject(rs.as_subject(memory(turn)).map, tasks.FlipFlop(size, 20, 0.3))
    bits = subject.trials(400, 0).targets[:, AT]
    found = align_subspace(
        subject, n_trials=400, time=AT, trial_labels={"bit": bits[:, bit]}, counterfactual=with_bit_of_source(bit)
    )
    assert found.columns.shape == (size, 1)
    assert np.degrees(subspace_angles(found.columns, turn[:, [bit]])).max() < 5
    assert found.held_out.accuracy == 1
    assert found.held_out.unpatched == 0
    assert found.random.any.mean() < 0.35
    assert found.held_out.whole < 0.5, "the whole state exchanges the other bits, too"


@pytest.mark.parametrize("seed", range(3))
def test_bits_on_axes_that_are_not_at_right_angles(seed: int):
    """A swap that moves along one axis alone moves others' read-outs, unless it is along what they do not read."""
    rng = np.random.default_rng(seed)
    axes = np.eye(4) + 0.3 * rng.standard_normal((4, 4))
    subject = rs.Subject(rs.as_subject(skewed(axes)).map, tasks.FlipFlop(4, 20, 0.3))
    bits = subject.trials(400, 0).targets[:, AT]
    found = align_subspace(
        subject, n_trials=400, time=AT, trial_labels={"bit": bits[:, 1]}, counterfactual=with_bit_of_source(1)
    )
    assert found.held_out.accuracy >= 0.95
    assert found.columns.shape[1] <= 3


@pytest.mark.parametrize("kind", ["tanh", "gru"])
@pytest.mark.parametrize("bit", range(3))
def test_one_direction_of_a_trained_flip_flop_flips_one_bit_alone(kind: str, bit: int):
    subject = trained(kind)
    bits = subject.trials(400, 0).targets[:, AT]
    found = align_subspace(
        subject, n_trials=400, time=AT, trial_labels={"bit": bits[:, bit]}, counterfactual=with_bit_of_source(bit),
        n_random=8,
    )  # fmt: skip
    assert found.columns.shape == (16, 1)
    assert found.held_out.accuracy >= 0.95
    assert found.held_out.low > 0.9
    assert found.held_out.unpatched < 0.05
    assert found.random.any.mean() < 0.3


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_an_intervention_along_the_direction_does_the_same_on_trials_of_another_seed(kind: str):
    """The columns are the directions of a `Patch`, which goes through the trajectories of the subject."""
    subject = trained(kind)
    labels = {"bit": subject.trials(400, 0).targets[:, AT, 1]}
    found = align_subspace(
        subject, n_trials=400, time=AT, trial_labels=labels, counterfactual=with_bit_of_source(1), n_random=1
    )
    trials = subject.trials(300, 7)
    bits = trials.targets[:, AT, 1]
    other = np.array([int(np.flatnonzero(bits != bit)[i % 100]) for i, bit in enumerate(bits)])
    rows = tuple(map(tuple, found.columns.T.tolist()))
    patch = rs.interventions.Patch(times=(AT,), source_trials=tuple(other.tolist()), directions=rows)
    shown = subject.under(patch).trajectories(trials).states
    source = Trials(trials.inputs[other], trials.targets[other], trials.mask[other])
    wanted = with_bit_of_source(1)(trials, source)[:, AT:]
    got = np.sign(subject.map.readout(shown[:, AT:]))
    assert (got == wanted).all((1, 2)).mean() >= 0.95
    untouched = np.sign(subject.map.readout(subject.trajectories(trials).states[:, AT:]))
    assert (untouched == wanted).all((1, 2)).mean() < 0.05


def test_a_third_trial_and_the_task_say_the_same():
    """Whatever bears on what is to come is kept: then a trial with the source's bit shows what the task wants."""
    subject = trained("gru")
    bits = subject.trials(400, 0).targets[:, AT]
    names = {f"bit {k}": bits[:, k] for k in range(3)}
    third = align_subspace(subject, n_trials=400, time=AT, variable="bit 1", trial_labels=names, n_random=4)
    assert third.kept == ("bit 0", "bit 2")
    task = align_subspace(
        subject, n_trials=400, time=AT, variable="bit 1", trial_labels=names, counterfactual=with_bit_of_source(1),
        n_random=4,
    )  # fmt: skip
    assert task.kept == ()
    assert third.held_out == task.held_out
    assert third.held_out.accuracy == 1


def test_all_that_is_held_is_the_target_of_the_step_by_default():
    found = align_subspace(trained("tanh"), n_trials=400, n_random=4)
    assert (found.variable, found.time, len(found.levels)) == ("target", AT, 8)
    assert found.columns.shape == (16, 3)
    assert found.held_out.accuracy >= 0.95
    assert found.held_out.whole >= 0.98
    assert found.by_value.n_pairs.sum() == found.held_out.n_pairs
    assert (np.diag(found.by_value.n_pairs) == 0).all()
    assert np.nansum(found.by_value.accuracy * found.by_value.n_pairs) == pytest.approx(
        found.held_out.accuracy * found.held_out.n_pairs
    )


def test_a_variable_that_changes_nothing_is_seen_to():
    """What the network does not use is exchanged by doing nothing, and the summary says that it is."""
    subject = rs.Subject(rs.as_subject(memory(np.eye(3))).map, tasks.FlipFlop(3, 20, 0.3))
    bits = subject.trials(200, 0).targets[:, AT]
    other = {"coin": np.random.default_rng(0).integers(2, size=200), **{f"bit {k}": bits[:, k] for k in range(3)}}
    found = align_subspace(subject, n_trials=200, time=AT, trial_labels=other, n_random=2)
    assert found.held_out.unpatched == 1
    assert "nothing: 100 %" in found.summary()


def test_a_variable_that_is_not_there_is_not_found():
    """A coin that is said to decide the first bit, and does not."""
    subject = rs.Subject(rs.as_subject(memory(np.eye(3))).map, tasks.FlipFlop(3, 20, 0.3))
    coin = np.random.default_rng(0).choice([-1.0, 1.0], 400)

    def targets(base: Trials, source: Trials) -> np.ndarray:
        found = base.targets.copy()
        found[:, AT, 0] *= -1
        found[:, AT + 1 :, 0] = found[:, [AT], 0]
        return found

    found = align_subspace(
        subject, n_trials=400, time=AT, trial_labels={"coin": coin}, counterfactual=targets, n_random=2
    )
    assert found.held_out.accuracy < 0.25


def test_labels_of_each_step_and_horizons():
    subject = trained("gru")
    bits = subject.trials(400, 0).targets
    few: dict[str, Any] = {"n_trials": 400, "time": AT, "n_random": 2, "n_descent": 0}
    one = align_subspace(subject, trial_labels={"a": bits[:, AT, 0], "b": bits[:, AT, 1]}, **few)
    labels = {"a": bits[..., 0], "b": bits[..., 1]}
    assert np.array_equal(align_subspace(subject, trial_labels=labels, **few).columns, one.columns)
    assert align_subspace(subject, trial_labels=labels, horizon=1, **few).held_out.accuracy >= one.held_out.accuracy


def test_what_cannot_be_asked_says_why():
    subject = trained("gru")
    few: dict[str, Any] = {"n_trials": 40, "n_random": 2}
    with pytest.raises(ValueError, match="no variable 'colour' of these trials"):
        align_subspace(subject, variable="colour", **few)
    with pytest.raises(ValueError, match="time must be a step of every trial, 0 to 19, got 20"):
        align_subspace(subject, time=20, **few)
    with pytest.raises(ValueError, match="keep says what a third trial has"):
        align_subspace(subject, keep=[], counterfactual=with_bit_of_source(0), **few)
    with pytest.raises(ValueError, match=r"numbers or words of shape \(40,\) or \(40, 20\), got"):
        align_subspace(subject, trial_labels={"a": np.zeros(39)}, **few)
    with pytest.raises(ValueError, match="cannot be exchanged and kept"):
        align_subspace(subject, trial_labels={"a": np.arange(40) % 2}, keep=["a"], **few)
    with pytest.raises(NotApplicable, match="is 1 in all 40 trials"):
        align_subspace(subject, trial_labels={"a": np.ones(40, int)}, **few)
    with pytest.raises(ValueError, match="at most 32 can be swapped"):
        align_subspace(subject, trial_labels={"a": np.arange(40)}, **few)
    with pytest.raises(ValueError, match="must return targets of shape"):
        align_subspace(
            subject, trial_labels={"a": np.arange(40) % 2}, counterfactual=lambda base, _: base.targets[:, :3], **few
        )
    with pytest.raises(NotApplicable, match="no readout"):
        align_subspace(rs.FunctionMap(lambda h: h, state_size=2), **few)
