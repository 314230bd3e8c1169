"""The command line as a user meets it: one line with exit code 2 for a mistake, lists, help."""

import subprocess
import sys
from pathlib import Path

import pytest

import rnnscope as rs
from rnnscope.analyses import ANALYSES, groups
from rnnscope.cells import CELLS
from rnnscope.cli import main
from rnnscope.cli.main import COMMANDS
from rnnscope.tasks import TASKS

HEAVY = {"scipy", "sklearn", "plotly", "dash", "xarray", "zarr", "pandas"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "party"], "unknown preset 'party'"),
        (["train", "--task", "Party", "--cell", "GRU"], "unknown task 'Party': did you mean 'Parity'?"),
        (["train", "--task", "Parity", "--set", "task.n=3", "--cell", "LTSM"], "did you mean 'LSTM'?"),
        (["train"], "which task? give a preset"),
        (["train", "parity", "--seed", "-1"], "--seed"),
        (["train", "parity", "--set", "task.self=1"], "self"),
        (["train", "parity", "--set", "training.curriculum=null", "--set", "training.curriculum.every=5"],
         "curriculum is also set as a whole"),
        (["train", "parity", "--set", "training.curriculum.every=5", "--set", "training.curriculum=null"],
         "curriculum is set in part and as a whole"),
        (["train", "parity", "--set", "training.decay.finl=1"], "unknown setting 'decay.finl'"),
        (["demo", "--presets", "parity,,party"], "unknown preset 'party'"),
        (["demo", "--presets", ","], "--presets names no preset"),
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
def test_a_mistake_is_one_line_and_exit_code_2(run_cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _out, err = run_cli(*arguments)
    assert code == 2, f"exit code {code}"
    assert err.count("\n") == 1, f"not one line:\n{err}"
    assert message in err
    assert list(tmp_path.iterdir()) == [], "a refused command left something on disk"


def test_alone_it_prints_help(run_cli):
    code, out, err = run_cli()
    assert (code, err) == (0, "")
    assert "Usage: rnnscope" in out
    assert "RNNSCOPE_DEBUG=1" in out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "parity", "--quiet"], "interrupted; the training goes on with --resume"),
        (["demo"], "interrupted; the same command goes on where it was"),
        (["list", "runs"], "interrupted"),
    ],
)
def test_an_interrupt_says_what_goes_on(run_cli, tmp_path, monkeypatch, command, message):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rs, "train", interrupt)
    monkeypatch.setattr(rs, "list_runs", interrupt)
    code, _, err = run_cli(*command)
    assert code == 130
    assert err.strip() == f"rnnscope: {message}"


def test_a_wrong_argument_in_the_library_is_one_line_and_debug_shows_more(run_cli, monkeypatch):
    def refuse(*_):
        raise TypeError("cannot see a state\nin a str")

    monkeypatch.setattr(rs, "list_runs", refuse)
    code, _, err = run_cli("list", "runs")
    assert (code, err) == (2, "rnnscope: cannot see a state in a str (RNNSCOPE_DEBUG=1 shows where)\n")
    monkeypatch.setenv("RNNSCOPE_DEBUG", "1")
    with pytest.raises(TypeError, match="cannot see a state"):
        main(["list", "runs"])


@pytest.mark.parametrize("what", ["tasks", "cells", "presets", "analyses"])
def test_lists(run_cli, what):
    code, out, _ = run_cli("list", what)
    assert code == 0
    first = [line.split("(")[0].split()[0] for line in out.splitlines() if line not in groups()]
    known = {"tasks": TASKS, "cells": CELLS, "presets": rs.PRESETS, "analyses": ANALYSES}[what]
    assert set(known) <= set(first)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(run_cli, command):
    code, out, _ = run_cli(command, "--help")
    assert code == 0
    assert f"Usage: rnnscope {command} " in out


def test_it_loads_nothing_heavy_before_it_is_needed():
    code = "import sys, rnnscope.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "rnnscope.cli.demo" in loaded
    assert not HEAVY & set(loaded)


def test_the_console_script_shows_no_traceback(tmp_path):
    script = Path(sys.executable).with_name("rnnscope")
    done = subprocess.run(
        [script, "train", "--task", "Parity", "--cell", "GRU"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("rnnscope: ")
    assert "Traceback" not in done.stderr


def test_it_runs_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", "list", "cells"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "LowRank" in done.stdout
