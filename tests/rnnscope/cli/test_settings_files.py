"""Settings files: every option can stand in one, and a mistake in one is told."""

import inspect
import json
from pathlib import Path
from typing import get_args

import pytest
import typer

import rnnscope as rs
from rnnscope.analyses import ANALYSES
from rnnscope.cli.main import COMMANDS, application


@pytest.mark.parametrize("kind", ["toml", "yaml"])
def test_every_setting_can_come_from_a_file(run_cli, tmp_path, kind):
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
    code, _, err = run_cli("train", "--config", file)
    assert code == 0, err
    run = rs.load_run(tmp_path / "runs" / "run")
    assert (run.seed, run.task, run.cell) == (4, rs.tasks.Parity([2, 4]), rs.cells.Leaky(6))
    assert run.settings["decay"]["kind"] == "cosine"


def test_the_command_line_goes_before_the_file(train, tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("seed = 4\n[cell]\nunits = 6\n")
    run = train(tmp_path / "runs", "--config", file, "--seed", 5, "--set", "cell.units=7")
    assert run.seed == 5
    assert run.cell.units == 7


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
def test_a_mistake_in_a_file_is_one_line(run_cli, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    code, _, err = run_cli("train", "parity", "--config", tmp_path / name)
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err


def test_a_table_of_a_file_and_a_setting_within_it_are_merged(train, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(
        'set = ["training.decay.final=0.3", "cell.units=5"]\n[training.decay]\nkind = "cosine"\nwarmup = 2\n'
    )
    run = train(tmp_path, "--config", file, "--set", "training.decay.warmup=4")
    assert run.settings["decay"] == {"kind": "cosine", "warmup": 4, "final": 0.3}
    assert run.cell.units == 5


PARSERS = typer.main.get_command(application).commands
TABLES = {"train": "training", "analyze": next(iter(ANALYSES)), "compare": "comparison", "figures": "options"}


@pytest.mark.parametrize("kind", ["toml", "yaml"])
@pytest.mark.parametrize(
    ("command", "parameter"),
    [(n, p) for n, c in PARSERS.items() for p in c.params if p.name not in ("config", "help")],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_every_option_and_argument_can_come_from_a_file(tmp_path, command, parameter, kind):
    name, takes = parameter.name.rstrip("_"), inspect.signature(COMMANDS[command].run).parameters[parameter.name]
    kind_of_value, *_ = get_args(takes.annotation)
    value: object = not takes.default if kind_of_value is bool else 7 if kind_of_value in (int, int | None) else "text"
    if name == "set":
        value = [f"{TABLES[command]}.steps=5"]
    elif parameter.multiple or parameter.nargs == -1:
        value = ["one", "two"]
    file = tmp_path / f"s.{kind}"
    file.write_text(f"{name} {'=' if kind == 'toml' else ':'} {json.dumps(value)}\n")
    others = [p for p in PARSERS[command].params if p.required and p.name != parameter.name]
    named = [[p.opts[0], "given"] if p.param_type_name == "option" else ["given"] for p in others]
    required = [word for words in named for word in words]
    context = PARSERS[command].make_context(command, ["--config", str(file), *required])
    if name == "set":
        assert context.meta["tables"][TABLES[command]] == {"steps": 5}
        return
    found = context.params[parameter.name]
    assert [str(v) for v in found] == value if isinstance(value, list) else found in (value, Path(str(value)))


def test_every_command_takes_a_config_file():
    for name, command in PARSERS.items():
        assert "config" in [p.name for p in command.params], name


def test_formats_of_figures_from_a_file(run_cli, train, tmp_path):
    run = train(tmp_path)
    for number, text in enumerate(('format = "html"', 'format = ["html"]')):
        (tmp_path / "s.toml").write_text(text)
        out = tmp_path / f"figures-{number}"
        code, _, err = run_cli("figures", run.path, "--out", out, "--config", tmp_path / "s.toml")
        assert code == 0, err
        assert [p.name for p in out.iterdir()] == ["run-training.html"]
