"""rnnscope show, --version, and what commands say to programs."""

import json
import shutil

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.cells import CELLS
from rnnscope.cli.lines import say_json
from rnnscope.tasks import TASKS


def test_the_version(run_cli):
    assert run_cli("--version") == (0, f"rnnscope {rs.__version__}\n", "")


def test_show_says_what_a_run_holds(run_cli, train, tmp_path, toys):
    run = train(tmp_path, "--set", "cell.units=4", "--seed", 3)
    toys.instead = {"third": NotApplicable("needs a clock")}
    run_cli("analyze", run.path, "--only", "second", "--set", "second.at_least=2")
    run_cli("analyze", run.path, "--only", "second,third")
    code, out, err = run_cli("show", run.path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"{run.path}: finished after 8 steps, ")
    assert "  task        Parity(n=3)" in lines
    assert "  cell        Leaky(units=4)" in lines
    assert "  seed        3" in lines
    assert any(line.startswith("  training    steps=8, batch_size=8, ") for line in lines), out
    assert any(line.startswith("  wanted      accuracy_min at least ") for line in lines), out
    plain, variant, skipped, absent = lines[-4:]
    assert plain.startswith("second (")
    assert plain.endswith(" s): 4 units"), "seconds and summary"
    assert variant.startswith("  at_least=2 ("), "what sets the variant apart stands below the plain one, though older"
    assert skipped.endswith("): not done: needs a clock")
    assert absent == f"not analysed: first (rnnscope analyze {run.path} --missing)"

    code, out, _ = run_cli("show", run.path, "third")
    assert "needs a clock" in out
    assert "units" not in out.splitlines()[-1], "only what was named"


def test_show_names_another_checkpoint_and_what_is_damaged(run_cli, train, tmp_path, toys):
    run = train(tmp_path, "--set", "cell.units=4")
    run.save_result(ANALYSES["first"].on(rs.as_subject(run, step=0)))
    file = run.save_result(ANALYSES["second"].on(run))
    file.write_bytes(file.read_bytes()[:-1])
    code, out, err = run_cli("show", run.path)
    assert (code, err.count("\n")) == (2, 1), err
    assert "1 of the results cannot be read: second: " in err
    assert "first\n  step 0 (" in out
    assert any(line.startswith("second (") and " s): unreadable: " in line for line in out.splitlines()), out


def test_show_of_nothing_is_one_line(run_cli, train, tmp_path, toys):
    code, _, err = run_cli("show", tmp_path)
    assert (code, err.count("\n")) == (2, 1), err
    code, _, err = run_cli("show", train(tmp_path).path, "frist")
    assert (code, err) == (2, "rnnscope: unknown analysis 'frist'; known: first, second, third\n")


def test_show_as_json(run_cli, train, tmp_path, toys):
    run = train(tmp_path, "--set", "cell.units=4")
    run_cli("analyze", run.path, "--only", "second")
    run_cli("analyze", run.path, "--only", "second", "--set", "second.at_least=2")
    code, out, _ = run_cli("show", run.path, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["run"], found["status"], found["steps"], found["seed"]) == ("run", "finished", 8, 0)
    assert (found["changed"]["task"], found["changed"]["cell"]) == ({"n": 3}, {"units": 4})
    assert found["metrics"] == run.metrics
    assert found["criterion"][0]["metric"] == "accuracy_min"
    assert found["not_analysed"] == ["first", "third"]
    assert [(a["label"], a["shown"], a["summary"]) for a in found["answers"]] == [
        ("", True, "4 units"),
        ("at_least=2", False, "4 units"),
    ]
    assert {a["file"] for a in found["answers"]} == {str(kept.path) for kept in run.kept()}


@pytest.mark.parametrize("what", ["tasks", "cells", "training", "presets", "analyses"])
def test_lists_as_json(run_cli, what):
    code, out, err = run_cli("list", what, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    known = {"tasks": TASKS, "cells": CELLS, "presets": rs.PRESETS, "analyses": ANALYSES}.get(what)
    if known is not None:
        assert [each["name"] for each in found] == list(known)
    if what == "presets":
        assert found[0]["task"]["kind"] in TASKS
    if what == "analyses":
        settings = {each["name"]: each["settings"] for each in found}
        assert settings["lyapunov"]["n_steps"] == {"default": 1000, "may_be": "a whole number of at least 1"}


def test_runs_as_json(run_cli, train, tmp_path, toys):
    run = train(tmp_path)
    run_cli("analyze", run.path, "--only", "second")
    code, out, _ = run_cli("list", "runs", "--folder", tmp_path, "--json")
    assert code == 0
    assert json.loads(out) == [
        {"name": "run", "path": str(run.path), "status": "finished", "analysed": ["second"], "not_applicable": []}
    ]


def test_analyze_as_json_has_nothing_else_on_its_output(run_cli, train, tmp_path, toys):
    paths = [train(tmp_path / name, "--set", f"cell.units={units}").path for name, units in (("a", 4), ("b", 6))]
    code, out, err = run_cli("analyze", *paths, "--only", "second", "--set", "second.at_least=5", "--json")
    failed, done = json.loads(out)
    assert code == 2
    assert (failed["run"], failed["answers"]) == ("a/run", [])
    assert failed["error"] == "at_least must be at most the 4 units, got 5"
    assert (done["run"], done["error"]) == ("b/run", None)
    (answer,) = done["answers"]
    assert (answer["analysis"], answer["label"], answer["summary"]) == ("second", "at_least=5", "6 units")
    assert answer["seconds"] >= 0
    assert "Second ... (1 of 1)" in err, "how far it is goes to the standard error"


def test_a_plan_as_json(run_cli, train, tmp_path):
    run = train(tmp_path)
    code, out, _ = run_cli("analyze", run.path, "--plan", "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert {row["analysis"] for row in found["plan"]} == set(ANALYSES)


def test_compare_as_json(run_cli, train, tmp_path):
    first = train(tmp_path / "a").path
    second = tmp_path / "b" / "run"
    shutil.copytree(first, second)
    code, out, err = run_cli(
        "compare", first, second, "--by", "procrustes", "--out", tmp_path / "out", "--format", "html",
        "--set", "comparison.n_trials=16", "--json",
    )  # fmt: skip
    assert code == 0, err
    (found,) = json.loads(out)
    assert (found["by"], found["names"]) == ("procrustes", ["a/run", "b/run"])
    np.testing.assert_allclose(found["distance"], np.zeros((2, 2)), atol=1e-6, err_msg="a copy is no other network")
    assert found["figures"] == [str(tmp_path / "out" / "procrustes.html")]


def test_json_has_null_for_what_is_no_finite_number(capsys):
    say_json({"nan": float("nan"), "several": (1.0, float("inf")), "λ": None})
    assert json.loads(capsys.readouterr().out) == {"nan": None, "several": [1.0, None], "λ": None}
