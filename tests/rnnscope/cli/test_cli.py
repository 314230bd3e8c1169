"""The command line as a user meets it: what it writes, and one line with exit code 2 for a mistake."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

import rnnscope as rs
from rnnscope import analyses, cells, tasks
from rnnscope.cli.main import app, main
from rnnscope.records.results import load_result

SKIPPED = {"rotations"}  # the two targets of parity make no three conditions
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
    (run,) = rs.list_runs(tmp_path)
    assert (run.task, run.cell) == (rs.tasks.FlipFlop(2), rs.cells.GRU(4))


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
    assert rs.load_run(run.path).results == sorted(set(analyses.ANALYSES) - SKIPPED)
    assert set(rs.load_run(run.path).skipped) == SKIPPED
    for name in analyses.ANALYSES:
        assert f"  {name}: " in out, f"no summary of {name} in:\n{out}"
    code, out, err = run_cli(capsys, "figures", run.path, "--out", tmp_path / "figures", "--format", "html")
    assert code == 0, err
    names = sorted(p.name for p in (tmp_path / "figures").iterdir())
    drawn = [name for entry in analyses.ANALYSES.values() if entry.name not in SKIPPED for name in entry.figures]
    assert {"automaton", "automaton-states", "automaton-trust"} <= set(drawn)
    assert names == sorted(f"run-{name}.html" for name in (*drawn, "training"))


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
         "curriculum is set as a whole too"),
        (["train", "parity", "--set", "training.curriculum.every=5", "--set", "training.curriculum=null"],
         "curriculum is set in part and as a whole"),
        (["train", "parity", "--set", "training.decay.finl=1"], "unknown setting 'decay.finl'"),
        (["demo", "--presets", "parity,,party"], "unknown preset 'party'"),
        (["demo", "--presets", ","], "--presets names none"),
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
        ("s.yaml", "1: 2", "a name must be text, got 1"),
        ("s.yaml", "task: {1: 2}", "a name must be text, got 1"),
        ("s.yaml", "seed: [1, 2]", "seed takes one plain value, got [1, 2]"),
        ("s.yaml", "folder: 2020-01-01", "folder takes one plain value"),
        ("s.toml", "seed = {a = 1}", "seed takes one plain value"),
        ("s.toml", 'set = ["training.setps=3"]', "unknown setting 'setps'"),
        ("s.toml", "set = [5]", "--set 5: write task.NAME=VALUE"),
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "lyapunov.n_steps=abc"], "lyapunov.n_steps must be int, got 'abc'"),
        (["--set", "lyapunov.n_steps=20.5"], "lyapunov.n_steps must be int, got 20.5"),
        (["--set", "lyapunov.n_exponents=999", "--only", "lyapunov"], "run: n_exponents must be from 1 to 4"),
        (["--seed", "-1"], "--seed"),
        (["--set", "automaton.labels=abc"], "automaton.labels can only be given in Python"),
    ],
)
def test_a_mistake_in_a_setting_of_an_analysis(capsys, tmp_path, arguments, message):
    run = train(capsys, tmp_path, "--set", "cell.units=4")
    code, _, err = run_cli(capsys, "analyze", run.path, *arguments)
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err
    assert run.results == []


def test_an_error_in_one_run_of_several_names_it_and_keeps_the_others(capsys, tmp_path):
    paths = []
    for name, units in (("a", 6), ("b", 4), ("c", 6)):
        path = train(capsys, tmp_path, "--set", f"cell.units={units}").path
        paths.append(path.rename(tmp_path / name))
    settings = ["--only", "lyapunov", "--set", "lyapunov.n_steps=20", "--set", "lyapunov.n_exponents=5"]
    code, out, err = run_cli(capsys, "analyze", *paths, *settings)
    assert (code, err.count("\n")) == (2, 1), err
    assert err.startswith("rnnscope: b: n_exponents must be from 1 to 4")
    assert [rs.load_run(path).results for path in paths] == [["lyapunov"], [], []]
    assert "  lyapunov: " in out, "what was found before the error is told"


def test_an_unfinished_run_is_not_analysed(capsys, tmp_path):
    """Else its results would look like those of the trained network."""
    run = train(capsys, tmp_path)
    record = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**record, "status": "training", "steps_done": 3}))
    code, _, err = run_cli(capsys, "analyze", run.path)
    assert (code, err.count("\n")) == (2, 1), err
    assert "is not over: go on with resume=True (--resume)" in err
    assert run.results == []


def test_a_setting_within_a_setting_keeps_the_others(capsys, tmp_path):
    run = train(capsys, tmp_path / "1", "--set", "training.decay.kind=cosine", "--set", "training.curriculum.every=5")
    assert run.settings["curriculum"] == {**dataclasses.asdict(rs.Curriculum()), "every": 5}
    flip_flop = ["train", "flip-flop", "--quiet", "--folder", tmp_path / "2", "--name", "run", *FAST]
    code, _, err = run_cli(capsys, *flip_flop, "--set", "training.decay.final=0.01", "--set", "task.bits=2")
    assert code == 0, err
    assert rs.load_run(tmp_path / "2" / "run").settings["decay"] == {"kind": "cosine", "warmup": 0, "final": 0.01}
    run = train(capsys, tmp_path / "3", "--set", "training.curriculum=null")
    assert run.settings["curriculum"] is None


def test_a_table_of_a_file_and_a_setting_within_it_are_merged(capsys, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(
        'set = ["training.decay.final=0.3", "cell.units=5"]\n[training.decay]\nkind = "cosine"\nwarmup = 2\n'
    )
    run = train(capsys, tmp_path, "--config", file, "--set", "training.decay.warmup=4")
    assert run.settings["decay"] == {"kind": "cosine", "warmup": 4, "final": 0.3}
    assert run.cell.units == 5


def test_settings_of_the_library_are_merged_too():
    training = rs.training.change_settings(
        rs.preset("flip-flop").training, {"decay": {"final": 0.01}, "curriculum": {}}
    )
    assert training.decay == rs.Decay("cosine", final=0.01)
    assert training.curriculum == rs.Curriculum(), "onto None it is a new one"
    assert rs.training.change_settings(training, {"curriculum": None}).curriculum is None


COMMANDS = typer.main.get_command(app).commands
VALUES = {"port": 8123, "seed": 3, "steps": 4, "width": 500, "height": 300}
TRUTHS = {"resume", "quiet", "overwrite", "serve"}
SEVERAL = {
    "runs": ["x", "y"], "only": ["lyapunov"], "format": ["html", "png"], "presets": ["parity", "dms"],
    "by": ["cka", "dsa"],
    "set": {"train": ["training.steps=5"], "analyze": ["lyapunov.n_steps=5"], "compare": ["comparison.rank=5"]},
}  # fmt: skip


@pytest.mark.parametrize("kind", ["toml", "yaml"])
@pytest.mark.parametrize(
    ("command", "parameter"),
    [(n, p) for n, c in COMMANDS.items() for p in c.params if p.name not in ("config", "help")],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_every_option_and_argument_can_come_from_a_file(tmp_path, command, parameter, kind):
    name = parameter.name.rstrip("_")
    value = True if name in TRUTHS else SEVERAL.get(name, VALUES.get(name, "text"))
    value = value[command] if isinstance(value, dict) else value
    file = tmp_path / f"s.{kind}"
    file.write_text(f"{name} {'=' if kind == 'toml' else ':'} {json.dumps(value)}\n")
    arguments = ["--config", str(file)]
    if command in ("analyze", "figures", "compare") and name != "runs":
        arguments.append("given")
    context = COMMANDS[command].make_context(command, arguments)
    if name == "set":
        (group, settings) = next((g, s) for g, s in context.meta["tables"].items() if s)
        expected = ("training", {"steps": 5}), ("lyapunov", {"n_steps": 5}), ("comparison", {"rank": 5})
        assert (group, settings) in expected
        return
    found = context.params[parameter.name]
    assert [str(v) for v in found] == value if isinstance(value, list) else found in (value, Path(str(value)))


def test_every_command_takes_a_config_file():
    assert len(COMMANDS) == 7
    for name, command in COMMANDS.items():
        assert "config" in [p.name for p in command.params], name


def test_formats_of_figures_from_a_file(capsys, tmp_path):
    run = train(capsys, tmp_path)
    for number, text in enumerate(('format = "html"', 'format = ["html"]')):
        (tmp_path / "s.toml").write_text(text)
        out = tmp_path / f"figures-{number}"
        code, _, err = run_cli(capsys, "figures", run.path, "--out", out, "--config", tmp_path / "s.toml")
        assert code == 0, err
        assert [p.name for p in out.iterdir()] == ["run-training.html"]


def test_compare_writes_a_result_and_a_figure_for_each_distance(capsys, tmp_path):
    for seed, folder in enumerate(("a", "b", "c")):
        train(capsys, tmp_path / folder, "--seed", seed)
    runs = [tmp_path / folder / "run" for folder in ("a", "b", "c")]
    out = tmp_path / "compared"
    code, said, err = run_cli(
        capsys, "compare", *runs, "--by", "procrustes,cka", "--out", out, "--format", "html",
        "--set", "comparison.n_trials=16", "--seed", 2,
    )  # fmt: skip
    assert code == 0, err
    assert {p.name for p in out.iterdir()} == {"procrustes.zarr", "procrustes.html", "cka.zarr", "cka.html"}
    found = load_result(analyses.Comparison, out / "cka.zarr")
    direct = analyses.compare_networks([rs.load_run(run) for run in runs], method="cka", n_trials=16, seed=2)
    assert found.names == ("a/run", "b/run", "c/run")
    np.testing.assert_array_equal(found.distance, direct.distance)
    assert found.summary() in said
    code, _, err = run_cli(capsys, "compare", *runs, "--out", out)
    assert code == 2
    assert "has files already" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "colour"], "unknown distance 'colour'; known: procrustes"),
        (["--set", "comparison.rank=deep"], "comparison.rank must be int"),
        (["--set", "comparison.method=cka"], "comparison.method is given with --by"),
        ([], "at least two networks are compared, got 1"),
    ],
)
def test_a_mistake_in_comparing_is_one_line(capsys, tmp_path, arguments, message):
    run = train(capsys, tmp_path)
    code, _, err = run_cli(capsys, "compare", run.path, "--out", tmp_path / "out", "--format", "html", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_runs_of_one_name_are_drawn_apart(capsys, tmp_path, monkeypatch):
    for folder in ("r", "r2"):
        train(capsys, tmp_path / folder)
    monkeypatch.chdir(tmp_path / "r" / "run")
    (tmp_path / "other").symlink_to(tmp_path / "r2" / "run")
    code, _, err = run_cli(
        capsys, "figures", ".", "../../r2/run", "../../other", "--out", tmp_path / "f", "--format", "html"
    )
    assert code == 0, err
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == ["r-run-training.html", "r2-run-training.html"]
    code, _, err = run_cli(capsys, "figures", ".", "--out", tmp_path / "g", "--format", "html")
    assert code == 0, err
    assert [p.name for p in (tmp_path / "g").iterdir()] == ["run-training.html"]


def test_alone_it_prints_help(capsys):
    code, out, err = run_cli(capsys)
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
def test_an_interrupt_says_what_goes_on(capsys, tmp_path, monkeypatch, command, message):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rs, "train", interrupt)
    monkeypatch.setattr(rs, "list_runs", interrupt)
    code, _, err = run_cli(capsys, *command)
    assert code == 130
    assert err.strip() == f"rnnscope: {message}"


def test_a_wrong_argument_in_the_library_is_one_line_and_debug_shows_more(capsys, monkeypatch):
    def refuse(*_):
        raise TypeError("cannot see a state\nin a str")

    monkeypatch.setattr(rs, "list_runs", refuse)
    code, _, err = run_cli(capsys, "list", "runs")
    assert (code, err) == (2, "rnnscope: cannot see a state in a str (RNNSCOPE_DEBUG=1 shows where)\n")
    monkeypatch.setenv("RNNSCOPE_DEBUG", "1")
    with pytest.raises(TypeError, match="cannot see a state"):
        main(["list", "runs"])


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


@pytest.mark.parametrize("command", ["train", "analyze", "figures", "compare", "app", "list", "demo"])
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


def test_it_runs_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", "list", "cells"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "LowRank" in done.stdout


def test_a_read_only_place_is_one_line(capsys, monkeypatch):
    """/proc refuses new folders even to root."""
    code, _, err = run_cli(capsys, "train", "parity", "--quiet", "--folder", "/proc/none", *FAST)
    assert (code, err.count("\n")) == (2, 1), err
    assert "/proc/none" in err
    assert os.path.exists("/proc")


def test_demo_runs_end_to_end_and_again(capsys, tmp_path, monkeypatch):
    small = dataclasses.replace(rs.preset("parity"), task=tasks.Parity(2), cell=cells.Leaky(6))
    monkeypatch.setitem(rs.PRESETS, "small", small)
    arguments = ["demo", "--out", tmp_path / "demo", "--presets", "small", "--steps", "5", "--no-serve"]
    code, _out, err = run_cli(capsys, *arguments)
    assert code == 0, err
    run = rs.load_run(tmp_path / "demo" / "runs" / "small")
    assert run.results == sorted(set(analyses.ANALYSES) - SKIPPED)
    drawn = [p.suffix for p in (tmp_path / "demo" / "figures").iterdir()]
    assert drawn == [".png"] * (sum(len(analyses.ANALYSES[name].figures) for name in run.results) + 1)
    record = json.loads((run.path / "run.json").read_text())
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))  # once is enough
    code, _out, err = run_cli(capsys, *arguments)
    assert code == 0, err
    assert json.loads((run.path / "run.json").read_text()) == record


@pytest.fixture
def small_demo(monkeypatch, tmp_path):
    """Presets that train in no time, one of which diverges; one analysis; and no browser."""
    tiny = rs.Training(steps=4, batch_size=8, evaluation_trials=32)
    for name, training in {"good": tiny, "bad": dataclasses.replace(tiny, max_state=1e-9), "other": tiny}.items():
        monkeypatch.setitem(rs.PRESETS, name, rs.Preset(tasks.Parity(2), cells.Leaky(4), training, f"about {name}"))
    monkeypatch.setattr(analyses, "ANALYSES", {"state_space": analyses.ANALYSES["state_space"]})
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    return ["demo", "--out", tmp_path / "demo", "--no-serve", "--presets"]


def test_demo_goes_on_after_a_training_that_diverged_and_tells_it_again(capsys, tmp_path, small_demo):
    for which in ("first", "second"):
        code, out, err = run_cli(capsys, *small_demo, "bad, good")
        assert code == 1, f"{which} call"
        last = err.splitlines()[-1]
        assert last == "rnnscope: not learned and not analysed, since the training diverged: bad", f"{which} call"
        assert "bad: diverged after 0 steps" in out
        figures = [p.name for p in (tmp_path / "demo" / "figures").iterdir()]
        assert sorted(figures) == ["good-state_space.html", "good-training.html"]


def test_demo_says_what_was_not_learned(capsys, small_demo):
    code, out, err = run_cli(capsys, *small_demo, "good")
    assert code == 0, err
    assert "finished after 4 steps" in out
    assert "NOT learned: wanted " in out
    assert "the figures are written as HTML: png need Chromium or Chrome" in out


def test_demo_writes_html_where_the_browser_does_not_start(capsys, tmp_path, small_demo, monkeypatch):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    code, out, err = run_cli(capsys, *small_demo, "good")
    assert code == 0, err
    assert "the figures are written as HTML: " in out
    assert "did not start as a browser" in out
    names = sorted(p.name for p in (tmp_path / "demo" / "figures").iterdir())
    assert names == ["good-state_space.html", "good-training.html"]


def test_demo_takes_no_result_of_a_half_trained_network(capsys, tmp_path, small_demo, monkeypatch):
    run_cli(capsys, *small_demo, "good")
    path = tmp_path / "demo" / "runs" / "good"
    seen = []

    def spy(run, names, **_):
        seen.append(names)
        return analyses.Analysed({}, {})

    monkeypatch.setattr(analyses, "analyse", spy)
    run_cli(capsys, *small_demo, "good")
    record = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**record, "status": "training"}))
    run_cli(capsys, *small_demo, "good")
    assert seen == [[], ["state_space"]]


def test_presets_of_the_demo_from_a_file(capsys, tmp_path, small_demo):
    (tmp_path / "s.yaml").write_text("presets: [good, other]\n")
    code, _, err = run_cli(capsys, *small_demo[:-1], "--config", tmp_path / "s.yaml")
    assert code == 0, err
    assert sorted(p.name for p in (tmp_path / "demo" / "runs").iterdir()) == ["good", "other"]


def test_a_damaged_result_costs_only_its_own_figure(capsys, tmp_path):
    run = train(capsys, tmp_path)
    code, _, err = run_cli(capsys, "analyze", run.path, "--only", "state_space", "--only", "automaton")
    assert code == 0, err
    (run.path / "results" / "automaton.zarr" / "zarr.json").write_text("{")
    code, out, err = run_cli(capsys, "figures", run.path, "--out", tmp_path / "figures", "--format", "html")
    assert (code, err.count("\n")) == (2, 1), err
    assert "automaton.zarr" in err
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == ["run-state_space.html", "run-training.html"]
    assert "2 files" in out
