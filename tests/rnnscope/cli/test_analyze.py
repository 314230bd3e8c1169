"""rnnscope analyze: results that are kept, settings that are refused before anything runs, and interruptions."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.question import recorded
from rnnscope.records.runs import checkpoint_name
from rnnscope.records.writing import tensor_bytes, update_run


def without_seconds(out: str) -> list[str]:
    """The lines of an output, without how long each analysis took."""
    return re.sub(r" \(\d+(\.\d+)? s\):", ":", out).splitlines()


def test_analyze_and_figures_of_a_run(run_cli, train, tmp_path):
    run = train(tmp_path)
    quick = [
        f"--set={name}.{setting}={json.dumps(recorded(value))}"
        for name, entry in ANALYSES.items()
        for setting, value in entry.quick.items()
    ]
    code, out, err = run_cli("analyze", run.path, *quick)
    assert code == 0, err
    assert {*run.results, *run.skipped} == set(ANALYSES)
    drawn = ["training"]
    for name, entry in ANALYSES.items():
        if name in run.skipped:
            assert f"  {name}: not done: {run.skipped[name]}" in without_seconds(out)
            continue
        (kept,) = run.kept(name)
        result = kept.load()
        assert f"  {name}: {result.summary()}" in without_seconds(out)
        assert {**result.made.settings, **recorded(entry.quick)} == result.made.settings
        drawn += [figure for figure, drawing in entry.figures.items() if _has_figure(drawing, result)]
    assert set(ANALYSES) & set(drawn) == set(run.results)
    code, out, err = run_cli("figures", run.path, "--all", "--out", tmp_path / "figures", "--format", "html")
    assert code == 0, err
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {f"run-{name}.html" for name in drawn}


def _has_figure(drawing: Any, result: Any) -> bool:
    try:
        drawing.draw(result)
    except NotApplicable:
        return False
    return True


# --- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "first.at_least=abc"], "first.at_least must be a whole number of at least 1, got 'abc'"),
        (["--set", "first.at_least=20.5"], "first.at_least must be a whole number of at least 1, got 20.5"),
        (["--set", "first.at_leats=5"], "unknown setting first.at_leats; did you mean at_least? known: at_least, seed"),
        (["--set", "third.at_least=5"], "run: at_least must be at most the 4 units, got 5"),
        (["--set", "frist.at_least=5"], "write first.NAME=VALUE or second.NAME=VALUE or third.NAME=VALUE"),
        (["--only", "frist"], "unknown analysis 'frist'; known: first, second, third"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_a_mistake_in_a_setting_of_an_analysis(run_cli, train, tmp_path, toys, arguments, message):
    run = train(tmp_path, "--set", "cell.units=4")
    code, _, err = run_cli("analyze", run.path, *arguments)
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err
    needs_the_network = "run: " in message
    assert toys.asked == (["first", "second", "third"] if needs_the_network else [])


def test_what_is_out_of_bounds_is_refused_before_anything_runs(run_cli):
    """There is no run at all: the setting is what is told."""
    refused = 0
    for name, entry in ANALYSES.items():
        properties = entry.question.model.model_json_schema()["properties"]
        for setting in entry.question.settings.values():
            lowest = min(_bounds(properties[setting.name]), default=None)
            if lowest is None:
                continue
            code, _, err = run_cli("analyze", "nowhere", "--set", f"{name}.{setting.name}={lowest - 1}")
            assert code == 2
            assert err.startswith(f"rnnscope: {name}.{setting.name} must be "), err
            refused += 1
    assert refused > len(ANALYSES)


def _bounds(schema: dict[str, Any]) -> Iterator[float]:
    """The lower bounds of a number, in whichever way it may be given."""
    for part in [schema, *schema.get("anyOf", [])]:
        yield from (part[word] for word in ("minimum", "exclusiveMinimum") if word in part)


def test_what_only_python_can_give_is_refused(run_cli):
    for name, entry in ANALYSES.items():
        for setting in entry.question.settings.values():
            if not setting.plain:
                code, _, err = run_cli("analyze", "nowhere", "--set", f"{name}.{setting.name}=abc")
                assert (code, err) == (2, f"rnnscope: {name}.{setting.name} can only be given in Python, got 'abc'\n")


def test_an_error_in_one_run_of_several_names_it_and_keeps_the_others(run_cli, train, tmp_path, toys):
    paths = []
    for name, units in (("a", 6), ("b", 4), ("c", 6)):
        path = train(tmp_path, "--set", f"cell.units={units}").path
        paths.append(path.rename(tmp_path / name))
    code, out, err = run_cli("analyze", *paths, "--only", "second", "--set", "second.at_least=5")
    assert (code, err) == (2, "rnnscope: b: at_least must be at most the 4 units, got 5\n")
    assert [rs.load_run(path).results for path in paths] == [["second"], [], ["second"]], "the others go on"
    assert without_seconds(out).count("  second: 6 units") == 2


def test_an_unfinished_run_is_not_analysed(run_cli, train, tmp_path):
    """Else its results would look like those of the trained network."""
    run = train(tmp_path)
    update_run(run, status="training", steps_done=3)
    code, _, err = run_cli("analyze", run.path)
    assert (code, err.count("\n")) == (2, 1), err
    assert "is not over: go on with exists='resume' (--resume)" in err
    assert run.results == []


# --- interruptions ----------------------------------------------------------------------------------------------


def test_an_interruption_keeps_what_is_done_and_missing_goes_on(run_cli, train, tmp_path, toys):
    run = train(tmp_path, "--set", "cell.units=4")
    toys.instead = {"first": NotApplicable("needs a clock"), "third": KeyboardInterrupt()}
    code, _, err = run_cli("analyze", run.path)
    assert code == 130
    assert err == "rnnscope: interrupted; what was found is kept, and the same command goes on with --missing\n"
    assert (run.results, run.skipped) == (["second"], {"first": "needs a clock"})

    toys.instead, toys.asked = {}, []
    code, out, _ = run_cli("analyze", run.path, "--missing")
    assert (code, toys.asked, run.results) == (0, ["third"], ["second", "third"])
    assert without_seconds(out) == ["run", "  Third ... (1 of 1)", "  third: 4 units"]
    code, out, _ = run_cli("analyze", run.path, "--missing")
    assert (code, toys.asked) == (0, ["third"])
    assert out.splitlines() == ["run", "  nothing is missing"]
    run_cli("analyze", run.path)
    assert toys.asked == ["third", "first", "second", "third"], "without it all are done again"


def test_results_of_other_weights_and_damaged_ones_are_missing(run_cli, train, tmp_path, toys):
    run = train(tmp_path, "--set", "cell.units=4")
    run_cli("analyze", run.path)
    run.kept("second")[0].path.write_bytes(b"{")
    toys.asked = []
    run_cli("analyze", run.path, "--missing")
    assert toys.asked == ["second"]
    doubled = {name: 2 * tensor for name, tensor in run.network().state_dict().items()}
    update_run(run, {checkpoint_name(run.checkpoints[-1]): tensor_bytes(doubled)})
    toys.asked = []
    run_cli("analyze", run.path, "--missing")
    assert toys.asked == ["first", "second", "third"]


SLOW = """
import signal, sys, time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnscope.cli import main
from rnnscope.question import Seed, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import _DECLARED, analysis

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs tests in the background turns it off


@dataclass(frozen=True, repr=False)
class Steps(Result):
    steps: int
    made: Made | None = None

    def summary(self):
        return f"{self.steps} steps"


def count(subject, *, steps: Whole = 3, seed: Seed = 0) -> Steps:
    for step in range(steps):
        np.linalg.svd(np.ones((50, 50)))
        if step == 5:
            Path("begun").touch()
    return Steps(steps)


_DECLARED.clear()
for name in ("before", "long", "after"):
    analysis(name, title=name, group="Counting")(count)
main(sys.argv[1:])
"""


def test_ctrl_c_in_a_process_of_its_own(train, tmp_path):
    run = train(tmp_path, "--set", "cell.units=4")
    command = [sys.executable, "-c", SLOW, "analyze", str(run.path)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen([*command, "--set", f"long.steps={10**9}"], cwd=tmp_path, **pipes) as process:
        try:
            while not (tmp_path / "begun").exists() and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert err == "rnnscope: interrupted; what was found is kept, and the same command goes on with --missing\n"
    assert without_seconds(out) == ["run", "  before ... (1 of 3)", "  before: 3 steps", "  long ... (2 of 3)"]
    files = [p for p in (run.path / "results").rglob("*") if p.is_file()]
    assert files == [run.kept("before")[0].path], "nothing half done lies beside it"

    kept = files[0].stat().st_mtime_ns
    done = subprocess.run([*command, "--missing"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert without_seconds(done.stdout)[1:] == [
        "  long ... (1 of 2)", "  long: 3 steps", "  after ... (2 of 2)", "  after: 3 steps",
    ]  # fmt: skip
    assert run.results == ["after", "before", "long"]
    assert files[0].stat().st_mtime_ns == kept


def test_a_plan_is_a_table_and_nothing_else(run_cli, train, tmp_path):
    run = train(tmp_path)
    code, out, err = run_cli("analyze", run.path, "--plan")
    assert code == 0, err
    assert not run.results
    for name, entry in ANALYSES.items():
        assert f"{name} " in out
        assert entry.cost is not None
        assert entry.cost.grows in out
    assert "expectations" in out
    code, _, err = run_cli("analyze", run.path, "--plan", "--set", "fixed_points.n_starts=0")
    assert code == 2
    assert "n_starts must be at least 1, got 0" in err


# --- interventions ----------------------------------------------------------------------------------------------


CUT = '[[interventions]]\nkind = "Ablate"\nunits = [1]\n\n[[interventions]]\nkind = "Gain"\nfactor = 0.5\n'


def test_a_run_is_looked_at_under_interventions(run_cli, train, tmp_path):
    run, file = train(tmp_path, "--set", "cell.units=4"), tmp_path / "cut.toml"
    file.write_text(CUT)
    few = ("--only", "fixed_points", "--set", "fixed_points.n_starts=16")
    for under in ((), ("--under", file)):
        code, _, err = run_cli("analyze", run.path, *few, *under)
        assert code == 0, err
    changes = [rs.interventions.Ablate(units=[1]), rs.interventions.Gain(0.5)]
    kept = run.result("fixed_points", interventions=changes, n_starts=16)
    by_hand = ANALYSES["fixed_points"].on(rs.as_subject(run).under(*changes), n_starts=16)
    np.testing.assert_array_equal(kept.points, by_hand.points)
    assert (kept.points[:, 1] == 0).all()
    intact = run.result("fixed_points", n_starts=16)
    assert not (intact.points[:, 1] == 0).any()
    code, out, _ = run_cli("show", run.path, "fixed_points")
    (line,) = (line for line in out.splitlines() if "Ablate" in line)
    assert line.startswith("  n_starts=16, under Ablate(units=(1,)), Gain(factor=0.5) (")
    code, out, _ = run_cli("show", run.path, "fixed_points", "--json")
    found = [tuple(each["interventions"]) for each in json.loads(out)["answers"]]
    assert sorted(found) == [(), ("Ablate(units=(1,))", "Gain(factor=0.5)")]
    code, out, _ = run_cli("analyze", run.path, *few, "--missing", "--under", file)
    assert "nothing is missing" in out
    code, out, _ = run_cli("analyze", run.path, *few, "--plan", "--under", file)
    assert (code, "fixed_points" in out) == (0, True)


def test_what_changes_in_time_is_refused_by_what_asks_for_a_map(run_cli, train, tmp_path):
    run, file = train(tmp_path, "--set", "cell.units=4"), tmp_path / "late.yaml"
    file.write_text("interventions:\n- {kind: Ablate, units: 1, times: [2]}\n")
    few = ("--only", "lyapunov,state_space", "--under", file)
    code, out, err = run_cli("analyze", run.path, *few)
    assert code == 0, err
    assert "lyapunov (" in out
    assert "lyapunov" not in run.skipped  # nothing is said of the network as it is
    assert "not done: lyapunov asks about a map, and under Ablate(units=(1,), times=(2,)) there is none" in out
    code, out, _ = run_cli("analyze", run.path, *few, "--plan")
    assert "not applicable" in out
    assert "not applicable" not in out.split("state_space")[1].splitlines()[0]


def test_interventions_reach_the_processes(run_cli, train, tmp_path):
    paths = [train(tmp_path / name, "--set", "cell.units=4").path for name in ("a", "b")]
    (tmp_path / "cut.toml").write_text(CUT)
    code, out, err = run_cli(
        "analyze", *paths, "-j", 2, "--only", "state_space", "--under", tmp_path / "cut.toml", "--json"
    )
    assert code == 0, err
    for report in json.loads(out):
        assert report["answers"][0]["interventions"] == ["Ablate(units=(1,))", "Gain(factor=0.5)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[interventions]]\nkind = "Ablat"', "unknown intervention 'Ablat': did you mean 'Ablate'? known: Ablate, "),
        ('[[interventions]]\nkind = "Ablate"\nunit = 3', "intervention Ablate: unknown setting 'unit'; known: units, "),
        ('[[interventions]]\nkind = "Ablate"\nunits = "x"', "units: must be a whole number or several, as 3 or [3, 7]"),
        ('[[interventions]]\nkind = "Gain"\nfactor = "x"', "factor: Input should be a valid number"),
        ('[[interventions]]\nkind = "Steer"\nvector = "up"', "vector: must be numbers, as [0.5, -1.0], got 'up'"),
        (CUT + '[[interventions]]\nkind = "Noise"\nscale = -1', "number 3, intervention Noise: scale is a standard"),
        ("[[interventions]]\nunits = 3", "an intervention needs its kind, one of Ablate, "),
        ('kind = "Ablate"', "write interventions as tables, [[interventions]] and below it kind"),
        ('[interventions]\nkind = "Ablate"', "write interventions as tables"),
        ("[[interventions]]", "an intervention needs its kind"),
        ('[[interventions]]\nkind = "Ablate"\nunits = [7]', "run: units must be of 0 to 3, got 7"),
        ('[[interventions]]\nkind = "Clamp"', "intervention Clamp: value: Field required"),
    ],
)
def test_a_mistake_in_an_intervention_is_one_line(run_cli, train, tmp_path, toys, text, message):
    run, file = train(tmp_path, "--set", "cell.units=4"), tmp_path / "cut.toml"
    file.write_text(text)
    code, _, err = run_cli("analyze", run.path, "--under", file)
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err
    assert toys.asked == []
