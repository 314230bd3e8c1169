"""A run folder is read back as it was written, and a damaged one is told, with what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.records import manifest
from rnnscope.records.files import write_atomically
from rnnscope.records.writing import read_tensors, tensor_bytes, update_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> rs.Run:
    return rs.train(
        rs.tasks.DelayedMatchToSample([2, 3]),
        rs.cells.Leaky(8, tau=(1, 3), leak="outside", nonlinearity="tanh"),
        rs.Training(steps=12, batch_size=8, evaluation_trials=32, evaluate_every=5, log_every=3, checkpoints=(0, 5)),
        seed=7,
        folder=tmp_path_factory.mktemp("runs"),
        name="run",
        progress=False,
    )


@pytest.fixture
def copy(trained, tmp_path) -> rs.Run:
    import shutil

    shutil.copytree(trained.path, tmp_path / "run")
    return rs.load_run(tmp_path / "run")


def test_a_run_comes_back_as_it_was_written(trained):
    run = rs.load_run(trained.path)
    assert run.task == rs.tasks.DelayedMatchToSample([2, 3])
    assert run.cell == rs.cells.Leaky(8, tau=(1, 3), leak="outside", nonlinearity="tanh")
    assert run.seed == 7
    assert run.checkpoints == [0, 5, 12]
    assert run.record == trained.record
    assert run.metrics.keys() >= {"accuracy", "accuracy_min"}
    inputs = torch.rand(3, 6, 1)
    start = torch.zeros(3, 8)
    expected = trained.network()(inputs, initial=start)[0]
    assert torch.equal(run.network()(inputs, initial=start)[0], expected)
    assert not torch.equal(run.network(0)(inputs, initial=start)[0], expected)


def test_versions_and_schema_are_recorded(trained):
    record = json.loads((trained.path / "run.json").read_text())
    assert record["schema"] == 2
    assert record["versions"].keys() == {"rnnscope", "torch", "numpy", "python"}
    assert record["training"]["steps"] == 12


def test_list_runs_leaves_out_what_is_none(copy):
    folder = copy.path.parent
    (folder / "notes").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{")
    assert [run.name for run in rs.list_runs(folder)] == ["run"]


@pytest.mark.parametrize("listed", [False, True], ids=["as it lies", "with its digest"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_checkpoint_is_told_and_another_named(copy, damage, listed):
    file = copy.path / "checkpoints" / "00000012.safetensors"
    data = file.read_bytes()
    damaged = {"truncated": data[: len(data) // 2], "garbage": b"\x00" * 100, "empty": b""}[damage]
    if listed:
        manifest.write_files(copy.path, {"checkpoints/00000012.safetensors": damaged})
    file.write_bytes(damaged)
    with pytest.raises(rs.RunError, match=r"00000012.safetensors is damaged .*: use another checkpoint \(step 5\)"):
        copy.network()
    assert copy.network(5) is not None


def test_a_checkpoint_of_another_network_is_told(copy):
    record = json.loads((copy.path / "run.json").read_text())
    record["cell"]["units"] = 9
    manifest.write_files(copy.path, {"run.json": json.dumps(record).encode()})
    with pytest.raises(rs.RunError, match=r"does not belong to .*run.json: .*: restore run.json"):
        rs.load_run(copy.path).network()


def test_a_checkpoint_that_is_not_there_is_told(copy):
    with pytest.raises(rs.RunError, match=r"no checkpoint at step 3; there are 0, 5, 12"):
        copy.network(3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "run.json is damaged"),
        ("[1, 2]", "does not state its schema"),
        ('{"task": {}}', "does not state its schema"),
        ('{"schema": 1}', "run.json is damaged .*cell: Field required"),
        ('{"schema": 99}', r"has schema 99, .* reads up to 2: update with pip install -U rnnscope"),
    ],
)
def test_a_damaged_or_newer_run_is_told(copy, content, message):
    manifest.write_files(copy.path, {"run.json": content.encode()})
    with pytest.raises(rs.RunError, match=message):
        rs.load_run(copy.path)


def test_no_run_is_told(tmp_path):
    with pytest.raises(rs.RunError, match="has no run"):
        rs.load_run(tmp_path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("task", 5),
        ("metrics", None),
        ("training", {"steps": "many"}),
        ("status", "odd"),
        ("steps_done", None),
        ("seed", "one"),
    ],
)
def test_wrong_content_of_a_run_is_told(copy, part, value):
    record = json.loads((copy.path / "run.json").read_text())
    record[part] = value
    manifest.write_files(copy.path, {"run.json": json.dumps(record).encode()})
    with pytest.raises(rs.RunError, match=f"run.json is damaged .*{part}"):
        rs.load_run(copy.path)
    assert rs.list_runs(copy.path.parent) == []


def test_a_file_in_place_of_a_run_is_told(copy):
    with pytest.raises(rs.RunError, match="is a file: give the folder of a run"):
        rs.load_run(copy.path / "run.json")


@pytest.mark.parametrize("text", ["step,loss\n1,abc\n", "step,loss\n1,2,3\n", "step,loss\n1\n"])
def test_a_damaged_history_is_told(copy, text):
    manifest.write_files(copy.path, {"history.csv": text.encode()})
    with pytest.raises(rs.RunError, match=r"history.csv is damaged .*: rnnscope repair"):
        _ = copy.history


def test_metrics_that_are_not_numbers_survive_json(copy):

    run = update_run(copy, metrics={"accuracy": float("nan"), "mse": 0.5})
    assert "NaN" not in (run.path / "run.json").read_text(), "NaN is not JSON"
    metrics = rs.load_run(run.path).metrics
    assert np.isnan(metrics["accuracy"])
    assert metrics["mse"] == 0.5


def test_a_task_that_is_not_known_here_is_told(copy):
    record = json.loads((copy.path / "run.json").read_text())
    record["task"]["kind"] = "Juggling"
    manifest.write_files(copy.path, {"run.json": json.dumps(record).encode()})
    with pytest.raises(ValueError, match="unknown task 'Juggling'"):
        _ = rs.load_run(copy.path).task


def test_a_damaged_resume_file_is_told(tmp_path):
    class Stop(Exception):
        pass

    def stop(progress):
        if progress.step >= 12:
            raise Stop

    training = rs.Training(steps=40, batch_size=8, evaluation_trials=32, evaluate_every=5, log_every=3)
    arguments = (rs.tasks.Parity(2), rs.cells.Leaky(4), training)
    with pytest.raises(Stop):
        rs.train(*arguments, folder=tmp_path, name="run", on_progress=stop)
    interrupted = rs.load_run(tmp_path / "run")
    with pytest.raises(rs.RunError, match=r"is not over: go on with exists='resume' .* or name a checkpoint \(0\)"):
        rs.as_subject(interrupted)
    assert interrupted.network(0) is not None
    file = tmp_path / "run" / "resume.safetensors"
    whole = file.read_bytes()
    tensors, metadata = read_tensors(file.parent, file.name)
    moments = {name: value for name, value in tensors.items() if "exp_avg" not in name}
    manifest.write_files(file.parent, {file.name: tensor_bytes(moments, metadata)})
    with pytest.raises(rs.RunError, match=r"does not fit this run .*exp_avg"):
        rs.train(*arguments, folder=tmp_path, name="run", exists="resume", progress=False)
    for place in ("[1, 2]", '{"stage": 0}', "{"):
        manifest.write_files(file.parent, {file.name: tensor_bytes(tensors, {"place": place})})
        with pytest.raises(rs.RunError, match="does not fit this run"):
            rs.train(*arguments, folder=tmp_path, name="run", exists="resume", progress=False)
    file.write_bytes(whole[:-10])
    with pytest.raises(rs.RunError, match=r"resume.safetensors is damaged .*: delete it, and the run starts again"):
        rs.train(*arguments, folder=tmp_path, name="run", exists="resume", progress=False)
    file.unlink()
    assert rs.train(*arguments, folder=tmp_path, name="run", exists="resume", progress=False).record["steps_done"] == 40


def test_atomic_writing_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    import os

    file = tmp_path / "file"
    write_atomically(file, b"old")

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_loading_a_run_executes_no_code_from_it(copy, tmp_path):
    """A pickle in place of the weights is refused, not run, even where its digest is right."""
    import pickle

    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    manifest.write_files(
        copy.path, {f"checkpoints/{step:08d}.safetensors": pickle.dumps(Payload()) for step in copy.checkpoints}
    )
    with pytest.raises(rs.RunError, match="is damaged") as caught:
        copy.network()
    assert "digest" not in str(caught.value), "what reads the weights has to refuse it too"
    assert not (tmp_path / "executed").exists()


def test_simulating_a_run_uses_its_own_task(trained):
    trajectories = rs.simulate(trained, n_trials=6, seed=1)
    assert trajectories.trials is not None
    assert trajectories.states.dtype == np.float64
    lengths = trajectories.trials.info["length"]
    assert trajectories.valid.sum(1).tolist() == list(lengths)
