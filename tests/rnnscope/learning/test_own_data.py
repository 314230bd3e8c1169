"""Recorded trials in a run: trained on, kept beside run.json, loaded without the code that made them, and guarded."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import find_fixed_points, project_states
from rnnscope.cli import main
from rnnscope.records import manifest

SMALL = {"batch_size": 8, "steps": 30, "evaluate_every": 10, "log_every": 5}


def recording(change: float = 0.0, **settings) -> rs.tasks.FromArrays:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((50, 8, 2))
    targets = np.tanh(inputs.cumsum(1))
    targets[7, 3, 1] += change
    side = np.where(targets[:, -1, 0] > 0, "right", "left")
    mask = np.arange(8) < rng.integers(5, 9, 50)[:, None]
    return rs.tasks.FromArrays(inputs, targets, mask, info={"side": side, "gain": rng.random(50)}, **settings)


def trained(folder: Path, task: rs.tasks.FromArrays | None = None, name: str = "run", **settings) -> rs.Run:
    task = task or recording()
    settings = {"training": rs.Training(**SMALL), "folder": folder, "name": name, "progress": False, **settings}
    return rs.train(task, rs.cells.GRU(6), **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> rs.Run:
    return trained(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copy(whole, tmp_path) -> rs.Run:
    import shutil

    shutil.copytree(whole.path, tmp_path / "run")
    return rs.load_run(tmp_path / "run")


def test_the_task_comes_back_and_run_json_stays_small(whole):
    run = rs.load_run(whole.path)
    assert run.task == recording()
    assert run.task.trials.info["side"].tolist() == recording().trials.info["side"].tolist()
    assert (run.path / "run.json").stat().st_size < 5000
    with np.load(run.path / "task.npz") as file:
        assert set(file.files) == {"inputs", "targets", "mask", "info.side", "info.gain"}
        np.testing.assert_array_equal(file["inputs"], recording().inputs)


def test_another_process_needs_nothing_but_the_run(whole):
    code = (
        "import sys, rnnscope as rs; run = rs.load_run(sys.argv[1])\n"
        "print(run.task, rs.evaluate(run.network(), run.task)['r2'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(whole.path)], capture_output=True, text=True, check=True)
    wanted = rs.evaluate(whole.network(), recording())["r2"]
    assert done.stdout.strip() == f"{recording()} {wanted}"


def test_analyses_take_the_run(whole):
    assert find_fixed_points(whole, n_starts=8).points.shape[1] == 6
    shown = project_states(whole, n_trials=20)
    assert shown.trials.label_name == "target at the end"


def test_metrics_are_those_of_the_trials_held_out(whole):
    held = recording().sample_fresh(1000, np.random.default_rng(0))
    assert len(held) == 10
    outputs = rs.simulate(whole, held).states @ whole.network().readout.weight.detach().numpy().T.astype(float)
    outputs += whole.network().readout.bias.detach().numpy()
    wanted = np.mean((outputs - held.targets)[held.mask] ** 2)
    assert whole.metrics["mse"] == pytest.approx(wanted, rel=1e-4)


def test_resumed_training_ends_with_the_same_bits(whole, tmp_path):
    class Stop(Exception):
        pass

    def stop(progress):
        if progress.step >= 15:
            raise Stop

    with pytest.raises(Stop):
        trained(tmp_path, on_progress=stop)
    resumed = trained(tmp_path, exists="resume")
    for name, value in whole.network().state_dict().items():
        assert (value == resumed.network().state_dict()[name]).all(), name


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (recording(change=1e-3), "begun with task targets = {'shape': .*, now targets = {'shape': "),
        (recording(held_out=0.5), "begun with task held_out = 0.2, now held_out = 0.5"),
    ],
    ids=["data", "share"],
)
def test_going_on_with_other_data_is_refused(copy, task, message):
    with pytest.raises(rs.RunError, match=message):
        trained(copy.path.parent, task, exists="resume")


@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "a number", "a folder", "other", "pickle"])
def test_lost_or_damaged_data_is_told_and_written_again(copy, damage):
    file = copy.path / "task.npz"
    content = file.read_bytes()
    file.unlink()
    place = content.index(recording().targets.tobytes())
    match damage:
        case "truncated":
            file.write_bytes(content[: len(content) // 2])
        case "garbage":
            file.write_bytes(b"\x93NUMPY" + bytes(200))
        case "a number":
            file.write_bytes(content[:place] + b"\x01\x02\x03\x04" + content[place + 4 :])
        case "a folder":
            file.mkdir()
        case "other":
            np.savez(file, **{**recording().arrays, "targets": recording(change=1.0).targets})
        case "pickle":
            np.savez(file, **{**recording().arrays, "targets": np.array([Path("/")], object)})
    with pytest.raises(
        rs.RunError, match=r"task\.npz .*: restore it from a copy, or go on with exists='resume'"
    ) as caught:
        _ = rs.load_run(copy.path).task
    assert "\n" not in str(caught.value)
    assert rs.list_runs(copy.path.parent), "the run is still listed"
    if damage == "a folder":
        file.rmdir()
    assert trained(copy.path.parent, exists="resume").status == copy.status
    assert rs.load_run(copy.path).task == recording()


def test_other_tasks_have_no_such_file(tmp_path):
    run = rs.train(rs.tasks.Parity(2), rs.cells.GRU(3), steps=1, folder=tmp_path, progress=False)
    assert not (run.path / "task.npz").exists()


def test_names_tell_data_apart(tmp_path):
    runs = [
        rs.train(task, rs.cells.GRU(3), steps=1, folder=tmp_path, progress=False)
        for task in (recording(), recording(change=0.1))
    ]
    assert len({run.name for run in runs}) == 2


def test_the_command_line_takes_a_file_of_arrays(tmp_path, capsys):
    file, out = tmp_path / "trials.npz", tmp_path / "runs"
    np.savez(file, **recording().arrays)
    command = [
        "train",
        "--task",
        "FromArrays",
        "--data",
        str(file),
        "--cell",
        "GRU",
        "--set",
        "cell.units=4",
        "--quiet",
    ]
    command += ["--set", "training.steps=5", "--set", "task.held_out=0.4", "--folder", str(out), "--name", "run"]
    with pytest.raises(SystemExit, match="0"):
        main(command)
    assert rs.load_run(out / "run").task == recording(held_out=0.4)
    again = [str(out / "run" / "task.npz") if part == str(file) else part for part in command]
    with pytest.raises(SystemExit, match="0"):
        main([*again, "--resume"])
    capsys.readouterr()
    for wrong, message in (
        ([*command[:3], *command[5:]], "inputs: Field required"),
        ([*command[:4], str(tmp_path / "none.npz"), *command[5:]], "No such file"),
        ([*command[:4], str(out / "run" / "run.json"), *command[5:]], "is no .npz file of arrays, or damaged"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(wrong)
        assert message in capsys.readouterr().err


def test_reading_runs_no_code(copy, tmp_path):
    """A pickle among the arrays is refused, not run, even where its digest is right."""

    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    np.savez(copy.path / "task.npz", targets=np.array([Payload()], object))
    manifest.relist(copy.path)
    with pytest.raises(rs.RunError) as caught:
        _ = rs.load_run(copy.path).task
    assert "digest" not in str(caught.value), "what reads the arrays has to refuse it too"
    assert not (tmp_path / "executed").exists()
    assert zipfile.is_zipfile(copy.path / "task.npz")
    assert json.loads((copy.path / "run.json").read_text())["status"] == copy.status
