"""rnnscope train: the run that it writes, and what it leaves alone."""

import dataclasses
import os

import rnnscope as rs
from rnnscope.learning.trainer import change_settings


def test_train_writes_a_run_with_the_settings_asked_for(train, tmp_path):
    run = train(tmp_path, "--seed", 3, "--set", "task.n=[2,3]", "--set", "cell.units=5")
    assert (run.seed, run.task, run.cell) == (3, rs.tasks.Parity([2, 3]), rs.cells.Leaky(5))
    assert run.settings["steps"] == 8
    assert run.settings["curriculum"] is not None, "the preset's other settings are kept"


def test_task_and_cell_without_a_preset(run_cli, fast, tmp_path):
    code, _, err = run_cli(
        "train", "--task", "FlipFlop", "--set", "task.bits=2", "--cell", "GRU", "--set", "cell.units=4",
        "--quiet", "--folder", tmp_path, *fast,
    )  # fmt: skip
    assert code == 0, err
    (run,) = rs.list_runs(tmp_path)
    assert (run.task, run.cell) == (rs.tasks.FlipFlop(2), rs.cells.GRU(4))


def test_an_existing_run_or_figure_folder_is_kept(run_cli, train, fast, tmp_path):
    run = train(tmp_path)
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    code, _, err = run_cli("train", "parity", "--quiet", "--folder", tmp_path, "--name", "run", *fast)
    assert (code, err.count("\n")) == (2, 1), err
    assert "exists already: go on with exists='resume' (--resume)" in err
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.txt").write_text("mine")
    code, _, err = run_cli("figures", run.path, "--out", tmp_path / "figures", "--format", "html")
    assert (code, err.count("\n")) == (2, 1), err
    assert "--overwrite" in err
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


def test_a_setting_within_a_setting_keeps_the_others(run_cli, train, fast, tmp_path):
    run = train(tmp_path / "1", "--set", "training.decay.kind=cosine", "--set", "training.curriculum.every=5")
    assert run.settings["curriculum"] == {**dataclasses.asdict(rs.Curriculum()), "every": 5}
    flip_flop = ["train", "flip-flop", "--quiet", "--folder", tmp_path / "2", "--name", "run", *fast]
    code, _, err = run_cli(*flip_flop, "--set", "training.decay.final=0.01", "--set", "task.bits=2")
    assert code == 0, err
    assert rs.load_run(tmp_path / "2" / "run").settings["decay"] == {"kind": "cosine", "warmup": 0, "final": 0.01}
    run = train(tmp_path / "3", "--set", "training.curriculum=null")
    assert run.settings["curriculum"] is None


def test_settings_of_the_library_are_merged_too():
    training = change_settings(rs.preset("flip-flop").training, {"decay": {"final": 0.01}, "curriculum": {}})
    assert training.decay == rs.Decay("cosine", final=0.01)
    assert training.curriculum == rs.Curriculum(), "onto None it is a new one"
    assert change_settings(training, {"curriculum": None}).curriculum is None


def test_divergence_is_exit_code_1(run_cli, fast, tmp_path):
    code, _, err = run_cli(
        "train", "parity", "--quiet", "--folder", tmp_path, *fast, "--set", "training.max_state=1e-9"
    )
    assert code == 1
    assert "diverged at step" in err


def test_a_read_only_place_is_one_line(run_cli, fast, monkeypatch):
    """/proc refuses new folders even to root."""
    code, _, err = run_cli("train", "parity", "--quiet", "--folder", "/proc/none", *fast)
    assert (code, err.count("\n")) == (2, 1), err
    assert "/proc/none" in err
    assert os.path.exists("/proc")
