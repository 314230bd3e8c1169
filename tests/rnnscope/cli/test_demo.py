"""rnnscope demo: end to end, and again."""

import dataclasses
import functools
import json
import re

import pytest

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.analyses import ANALYSES, NotApplicable, analyse
from rnnscope.records.runs import checkpoint_name
from rnnscope.records.writing import tensor_bytes, update_run


def test_demo_runs_end_to_end_and_again(run_cli, tmp_path, monkeypatch):
    small = dataclasses.replace(rs.preset("parity"), task=tasks.Parity(2), cell=cells.Leaky(6))
    monkeypatch.setitem(rs.PRESETS, "small", small)
    quick = {name: entry.quick for name, entry in ANALYSES.items()}
    monkeypatch.setattr("rnnscope.cli.demo.analyse", functools.partial(analyse, settings=quick))
    arguments = ["demo", "--out", tmp_path / "demo", "--presets", "small", "--steps", "5", "--no-serve"]
    code, _out, err = run_cli(*arguments)
    assert code == 0, err
    run = rs.load_run(tmp_path / "demo" / "runs" / "small")
    assert {*run.results, *run.skipped} == set(ANALYSES)
    figures = [p.name for p in (tmp_path / "demo" / "figures").iterdir()]
    assert {"small-training.png", *(f"small-{name}.png" for name in run.results)} <= set(figures)
    assert all(name.endswith(".png") for name in figures)
    record = json.loads((run.path / "run.json").read_text())
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))  # once is enough
    code, _out, err = run_cli(*arguments)
    assert code == 0, err
    assert json.loads((run.path / "run.json").read_text()) == record


@pytest.fixture
def small_demo(monkeypatch, tmp_path, toys):
    """Presets that train in no time, one of which diverges; analyses that take none; and no browser."""
    del toys
    tiny = rs.Training(steps=4, batch_size=8, evaluation_trials=32)
    for name, training in {"good": tiny, "bad": dataclasses.replace(tiny, max_state=1e-9), "other": tiny}.items():
        monkeypatch.setitem(rs.PRESETS, name, rs.Preset(tasks.Parity(2), cells.Leaky(4), training, f"about {name}"))
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    return ["demo", "--out", tmp_path / "demo", "--no-serve", "--presets"]


def test_demo_goes_on_after_a_training_that_diverged_and_tells_it_again(run_cli, tmp_path, small_demo):
    for which in ("first", "second"):
        code, out, err = run_cli(*small_demo, "bad, good")
        assert code == 1, f"{which} call"
        last = err.splitlines()[-1]
        assert last == "rnnscope: not learned and not analysed, since the training diverged: bad", f"{which} call"
        assert "bad: diverged after 0 steps" in out
        figures = [p.name for p in (tmp_path / "demo" / "figures").iterdir()]
        assert sorted(figures) == ["good-first.html", "good-second.html", "good-third.html", "good-training.html"]


def test_demo_says_what_was_not_learned(run_cli, small_demo):
    code, out, err = run_cli(*small_demo, "good")
    assert code == 0, err
    assert "finished after 4 steps" in out
    assert "NOT learned: wanted " in out
    assert "the figures are written as HTML: png need Chromium or Chrome" in out


def test_demo_writes_html_where_the_browser_does_not_start(run_cli, tmp_path, small_demo, monkeypatch):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    code, out, err = run_cli(*small_demo, "good")
    assert code == 0, err
    assert "the figures are written as HTML: " in out
    assert "did not start as a browser" in out
    names = sorted(p.name for p in (tmp_path / "demo" / "figures").iterdir())
    assert names == ["good-first.html", "good-second.html", "good-third.html", "good-training.html"]


def test_demo_goes_on_where_it_was(run_cli, tmp_path, small_demo, toys):
    toys.instead = {"second": NotApplicable("needs a clock"), "third": KeyboardInterrupt()}
    code, _, err = run_cli(*small_demo, "good")
    assert (code, err.splitlines()[-1]) == (130, "rnnscope: interrupted; the same command goes on where it was")
    toys.instead, toys.asked = {}, []
    code, out, _ = run_cli(*small_demo, "good")
    assert (code, toys.asked) == (0, ["third"])
    for line in ("  first: 4 units", "  second: not done: needs a clock", "  third: 4 units"):
        assert line in re.sub(r" \(\d+\.\d\d s\):", ":", out).splitlines()


def test_demo_takes_no_result_of_other_weights(run_cli, tmp_path, small_demo, toys):
    run_cli(*small_demo, "good")
    run = rs.load_run(tmp_path / "demo" / "runs" / "good")
    doubled = {name: 2 * tensor for name, tensor in run.network().state_dict().items()}
    update_run(run, {checkpoint_name(run.checkpoints[-1]): tensor_bytes(doubled)})
    toys.asked = []
    run_cli(*small_demo, "good")
    assert toys.asked == ["first", "second", "third"]


def test_presets_of_the_demo_from_a_file(run_cli, tmp_path, small_demo):
    (tmp_path / "s.yaml").write_text("presets: [good, other]\n")
    code, _, err = run_cli(*small_demo[:-1], "--config", tmp_path / "s.yaml")
    assert code == 0, err
    assert sorted(p.name for p in (tmp_path / "demo" / "runs").iterdir()) == ["good", "other"]
