"""What happens to fixed points between checkpoints, on weights that are known and on a trained run."""

from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import NotApplicable
from rnnscope.analyses.fixed_points import BifurcationDiagram, find_fixed_points, follow_fixed_points
from rnnscope.records.result_files import load_result, save_result
from rnnscope.records.runs import Run, blank_network, checkpoint_name
from rnnscope.records.writing import create_run, tensor_bytes, update_run

EDGE, EVENT = range(2)


def run_of(path: Path, weights, biases=None) -> Run:
    """A run whose checkpoints are tanh networks with these weights, at steps 0, 10, 20, ..."""
    n = len(weights[0])
    task, cell = rs.tasks.FlipFlop(1), rs.cells.Vanilla(n)
    run = create_run(path, task, cell, {"readout_bias": True}, seed=0)
    network = blank_network(task, cell, run.settings, torch.Generator().manual_seed(0))
    for k, weight in enumerate(weights):
        state = network.state_dict()
        for name, tensor in state.items():
            if tuple(tensor.shape) == (n, n):
                state[name] = torch.tensor(np.asarray(weight), dtype=tensor.dtype)
            elif tensor.shape == (n,) and name.startswith("cell"):
                first = "hh" not in name
                value = np.zeros(n) if biases is None or not first else biases[k]
                state[name] = torch.tensor(np.asarray(value, float), dtype=tensor.dtype)
        update_run(run, {checkpoint_name(10 * k): tensor_bytes(state)})
    return update_run(run, status="finished")


def test_checkpoints_with_a_symmetry_have_a_pitchfork(consistent, tmp_path):
    weights = [g * np.diag([1.0, 0.4]) for g in (0.6, 0.8, 1.2, 1.4)]
    found = follow_fixed_points(run_of(tmp_path / "run", weights))
    consistent(found)
    assert found.along.name == "training step"
    assert found.along.values.tolist() == [0, 10, 20, 30]
    assert found.events.names == ["supercritical pitchfork"]
    assert (found.events.value[0], found.events.error[0]) == (15, 5)
    assert sorted(found.events.branches[0]) == [0, 1, 2]
    assert [len(found.at(step)) for step in found.along.values] == [1, 1, 3, 3]
    assert not found.ambiguous.any()
    assert found.consistent, found.summary()
    assert "1 supercritical pitchfork between 10 and 20" in found.summary()


def test_checkpoints_without_symmetry_have_saddle_nodes_and_their_reverse(consistent, tmp_path):
    biases = [[b, 0.0] for b in (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)]
    found = follow_fixed_points(run_of(tmp_path / "run", [np.diag([2.0, 0.4])] * 7, biases))
    consistent(found)
    assert found.events.names == ["saddle-node"] * 2
    np.testing.assert_array_equal(found.events.value, [15, 45])
    assert [len(found.at(step)) for step in found.along.values] == [1, 1, 3, 3, 3, 1, 1]
    assert len(found) == 3
    ends = {tuple(pair) for pair in found.branches.ends.tolist()}
    assert ends == {(EDGE, EVENT), (EVENT, EVENT), (EVENT, EDGE)}
    assert not found.ambiguous.any()


def test_a_point_that_seems_to_split_without_symmetry_is_ambiguous(tmp_path):
    biases = [[0.02, 0.0]] * 2
    found = follow_fixed_points(run_of(tmp_path / "run", [np.diag([g, 0.4]) for g in (0.9, 1.3)], biases))
    assert [len(found.at(step)) for step in found.along.values] == [1, 3]
    assert found.events.names == ["saddle-node"], "an imperfect pitchfork is a fold beside a branch"
    kept = found.branch[found.at(0.0)][0]
    assert found.n_unstable[(found.branch == kept) & (found.value == 10)].tolist() == [0]


def test_flip_and_neimark_sacker_between_checkpoints(tmp_path):
    turn = 2 * np.pi * 0.2
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    weights = []
    for flip, spin in ((-0.8, 0.8), (-1.2, 0.8), (-1.2, 1.2)):
        weight = np.zeros((3, 3))
        weight[0, 0], weight[1:, 1:] = flip, spin * rotation
        weights.append(weight)
    found = follow_fixed_points(run_of(tmp_path / "run", weights))
    assert found.events.names == ["flip", "Neimark-Sacker"]
    np.testing.assert_array_equal(found.events.value, [5, 15])
    assert found.events.frequency[1] == pytest.approx(0.2, abs=1e-6)
    assert len(found) == 1


def test_a_trained_run_by_default_and_back_from_disk(consistent, tmp_path):
    run = rs.train(
        rs.tasks.FlipFlop(1, length=12),
        rs.cells.Vanilla(6),
        rs.Training(steps=60, batch_size=16, learning_rate=2e-2, evaluate_every=60, checkpoints=(0, 20, 40)),
        seed=0,
        folder=tmp_path,
        name="run",
        progress=False,
    )
    found = follow_fixed_points(run)
    consistent(found)
    assert found.along.values.tolist() == run.checkpoints
    assert found.outputs is not None
    assert found.outputs.shape == (len(found.value), 1)
    rows = found.at(run.checkpoints[-1])
    again = find_fixed_points(run)
    apart = np.linalg.norm(found.point[rows][:, None] - again.points, axis=-1)
    assert len(rows) == len(again)
    assert apart.min(1).max() < 1e-8
    save_result(found, tmp_path / "kept.zarr")
    assert load_result(BifurcationDiagram, tmp_path / "kept.zarr").summary() == found.summary()
    along = follow_fixed_points(run, inputs=np.array([[-1.0], [1.0]]), n_starts=64)
    assert along.along.name == "input 0"
    assert follow_fixed_points(run, values=[0, 60], n_starts=16).along.values.tolist() == [0, 60]
    with pytest.raises(ValueError, match="no checkpoint at step 7; there are 0, 20, 40, 60"):
        follow_fixed_points(run, values=[0, 7])


def test_one_checkpoint_is_not_enough(tmp_path):
    with pytest.raises(NotApplicable, match="1 checkpoint, and following takes two"):
        follow_fixed_points(run_of(tmp_path / "run", [np.eye(2) / 2]))
