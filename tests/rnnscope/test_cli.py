"""The command line as a user meets it: what it writes, and one line with exit code 2 for a mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rnnscope as rs
from rnnscope.cli import main

FAST = ["--set", "training.steps=8", "--set", "training.batch_size=8", "--set", "training.evaluation_trials=32"]


def run_cli(capsys, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def train(capsys, folder: Path, *arguments: object) -> rs.Run:
    code, _, err = run_cli(capsys, "train", "parity", "--quiet", "--folder", folder, "--name", "run", *FAST, *arguments)
    assert code == 0, err
    return rs.load_run(folder / "run")


def test_train_writes_a_run_with_the_settings_asked_for(capsys, tmp_path):
    run = train(capsys, tmp_path, "--seed", 3, "--set", "task.n=[2,3]", "--set", "cell.units=5")
    assert (run.seed, run.task, run.cell) == (3, rs.tasks.Parity([2, 3]), rs.cells.Leaky(5))
    assert run.settings["steps"] == 8
    assert run.settings["curriculum"] is not None, "the preset's other settings are kept"


def test_task_and_cell_without_a_preset(capsys, tmp_path):
    code, _, err = run_cli(
        capsys, "train", "--task", "FlipFlop", "--set", "task.bits=2", "--cell", "GRU", "--set", "cell.units=4",
        "--quiet", "--folder", tmp_path, *FAST,
    )  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "flipflop_gru-4_seed-0").is_dir()


@pytest.mark.parametrize("kind", ["toml", "yaml"])
def test_every_setting_can_come_from_a_file(capsys, tmp_path, kind):
    texts = {
        "toml": 'seed = 4\nname = "run"\nquiet = true\nfolder = "{folder}"\n'
        '[task]\nkind = "Parity"\nn = [2, 4]\n[cell]\nkind = "Leaky"\nunits = 6\n'
        "[training]\nsteps = 8\nbatch_size = 8\nevaluation_trials = 32\n[training.decay]\nkind = 'cosine'\n",
        "yaml": "seed: 4\nname: run\nquiet: true\nfolder: {folder}\n"
        "task: {{kind: Parity, n: [2, 4]}}\ncell: {{kind: Leaky, units: 6}}\n"
        "training: {{steps: 8, batch_size: 8, evaluation_trials: 32, decay: {{kind: cosine}}}}\n",
    }
    file = tmp_path / f"settings.{kind}"
    file.write_text(texts[kind].format(folder=tmp_path / "runs"))
    code, _, err = run_cli(capsys, "train", "--config", file)
    assert code == 0, err
    run = rs.load_run(tmp_path / "runs" / "run")
    assert (run.seed, run.task, run.cell) == (4, rs.tasks.Parity([2, 4]), rs.cells.Leaky(6))
    assert run.settings["decay"]["kind"] == "cosine"


def test_the_command_line_goes_before_the_file(capsys, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("seed = 4\n[cell]\nunits = 6\n")
    run = train(capsys, tmp_path / "runs", "--config", file, "--seed", 5, "--set", "cell.units=7")
    assert run.seed == 5
    assert run.cell.units == 7


def test_analyze_and_figures_of_a_run(capsys, tmp_path):
    run = train(capsys, tmp_path)
    settings = ["--set", "fixed_points.n_starts=32", "--set", "lyapunov.n_steps=50", "--set", "lyapunov.transient=10"]
    code, out, err = run_cli(capsys, "analyze", run.path, *settings)
    assert code == 0, err
    assert rs.load_run(run.path).results == ["automaton", "fixed_points", "lyapunov", "state_space"]
    for name in ("automaton", "fixed_points", "lyapunov", "state_space"):
        assert f"  {name}: " in out, f"no summary of {name} in:\n{out}"
    code, out, err = run_cli(capsys, "figures", run.path, "--out", tmp_path / "figures", "--format", "html")
    assert code == 0, err
    names = sorted(p.name for p in (tmp_path / "figures").iterdir())
    assert names == [f"run-{n}.html" for n in ("automaton", "fixed_points", "lyapunov", "state_space", "training")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "party"], "unknown preset 'party'"),
        (["train", "--task", "Party", "--cell", "GRU"], "unknown task 'Party': did you mean 'Parity'?"),
        (["train", "--task", "Parity", "--set", "task.n=3", "--cell", "LTSM"], "did you mean 'LSTM'?"),
        (["train"], "which task? give a preset"),
        (["train", "parity", "--set", "task.n=0"], "n = 0"),
        (["train", "parity", "--set", "cell.units=0"], "units must be at least 1, got 0"),
        (["train", "parity", "--set", "training.setps=3"], "unknown setting 'setps'"),
        (["train", "parity", "--set", "cell.units"], "--set cell.units: write task.NAME=VALUE"),
        (["train", "parity", "--device", "tpu9"], "unknown device 'tpu9'"),
        (["train", "parity", "--seed", "one"], "--seed"),
        (["train", "parity", "--sed", "1"], "No such option: --sed"),
        (["trian"], "No such command 'trian'"),
        (["analyze", "nowhere"], "no run at nowhere"),
        (["figures", "nowhere"], "no run at nowhere"),
        (["figures", "nowhere", "--format", "gif"], "unknown figure format 'gif'"),
        (["app", "nowhere"], "no folder nowhere"),
        (["list", "everything"], "cannot list 'everything'"),
        (["train", "--config", "missing.toml"], "missing.toml"),
        (
            ["train", "--task", "HMMEmission", "--cell", "GRU", "--set",
             'task.hmm={"transitions": [[0.5, 0.4], [0, 1]], "emissions": [[1, 0], [0, 1]]}'],
            "sum",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _out, err = run_cli(capsys, *arguments)
    assert code == 2, f"exit code {code}"
    assert err.count("\n") == 1, f"not one line:\n{err}"
    assert message in err
    assert list(tmp_path.iterdir()) == [], "a refused command left something on disk"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.toml", "seed = ", "is no valid TOML"),
        ("s.yaml", "seed: [1", "is no valid YAML"),
        ("s.json", "{}", "ends in .toml, .yaml or .yml"),
        ("s.toml", "sede = 1", "unknown setting 'sede'"),
        ("s.toml", "[traning]\nsteps = 1", "unknown setting 'traning'"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(capsys, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    code, _, err = run_cli(capsys, "train", "parity", "--config", tmp_path / name)
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err


def test_an_existing_run_or_figure_folder_is_kept(capsys, tmp_path):
    run = train(capsys, tmp_path)
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    code, _, err = run_cli(capsys, "train", "parity", "--quiet", "--folder", tmp_path, "--name", "run", *FAST)
    assert (code, err.count("\n")) == (2, 1), err
    assert "exists already: go on with resume=True (--resume)" in err
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "mine.txt").write_text("mine")
    code, _, err = run_cli(capsys, "figures", run.path, "--out", tmp_path / "figures", "--format", "html")
    assert (code, err.count("\n")) == (2, 1), err
    assert "--overwrite" in err
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


def test_unknown_setting_of_an_analysis_is_told(capsys, tmp_path):
    run = train(capsys, tmp_path)
    code, _, err = run_cli(capsys, "analyze", run.path, "--set", "lyapunov.n_stepz=5")
    assert code == 2
    assert "unknown setting lyapunov.n_stepz; known: " in err


def test_divergence_is_exit_code_1(capsys, tmp_path):
    code, _, err = run_cli(
        capsys, "train", "parity", "--quiet", "--folder", tmp_path, *FAST, "--set", "training.max_state=1e-9"
    )
    assert code == 1
    assert "diverged at step" in err


@pytest.mark.parametrize("what", ["tasks", "cells", "presets", "analyses"])
def test_lists(capsys, what):
    code, out, _ = run_cli(capsys, "list", what)
    assert code == 0
    expected = {"tasks": "DelayedMatchToSample", "cells": "LowRank", "presets": "hmm-2", "analyses": "lyapunov"}
    assert expected[what] in out


@pytest.mark.parametrize("command", ["train", "analyze", "figures", "app", "list", "demo"])
def test_help_teaches(capsys, command):
    code, out, _ = run_cli(capsys, command, "--help")
    assert code == 0
    assert "Usage: rnnscope" in out


def test_the_console_script_shows_no_traceback(tmp_path):
    script = Path(sys.executable).with_name("rnnscope")
    done = subprocess.run(
        [script, "train", "--task", "Parity", "--cell", "GRU"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("rnnscope: ")
    assert "Traceback" not in done.stderr


def test_a_read_only_place_is_one_line(capsys, monkeypatch):
    """/proc refuses new folders even to root."""
    code, _, err = run_cli(capsys, "train", "parity", "--quiet", "--folder", "/proc/none", *FAST)
    assert (code, err.count("\n")) == (2, 1), err
    assert "/proc/none" in err
    assert os.path.exists("/proc")


def test_demo_runs_end_to_end_and_again(capsys, tmp_path):
    arguments = ["demo", "--out", tmp_path / "demo", "--presets", "parity", "--steps", "5", "--no-serve"]
    code, out, err = run_cli(capsys, *arguments)
    assert code == 0, err
    run = rs.load_run(tmp_path / "demo" / "runs" / "parity")
    assert len(run.results) == 4
    assert len(list((tmp_path / "demo" / "figures").iterdir())) == 5
    record = json.loads((run.path / "run.json").read_text())
    code, _out, err = run_cli(capsys, *arguments)
    assert code == 0, err
    assert json.loads((run.path / "run.json").read_text()) == record
