"""rnnscope figures --spec: a file is checked as a whole, what it asks for is drawn once, and the same again."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

import rnnscope as rs
from rnnscope.figures import export
from rnnscope.figures.batch import MADE, plan
from rnnscope.figures.spec import panels_in, read_spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two runs with a result each, and one without; nothing is learned, which is no matter here."""
    folder = tmp_path_factory.mktemp("figures")
    for name, bits in (("one", 1), ("two", 2), ("bare", 1)):
        run = rs.train(
            rs.tasks.FlipFlop(bits), rs.cells.Vanilla(4), steps=2, folder=folder / "runs", name=name, progress=False
        )
        if name != "bare":
            rs.analyses.analyse(run, ["fixed_points"], settings={"fixed_points": {"n_starts": 8}})
    return folder


def spec(folder: Path, text: str) -> Path:
    path = folder / "figures.toml"
    path.write_text(text)
    return path


ONE = """
formats = ["html"]
[[figure]]
name = "{run}-{figure}"
draw = ["training", "task"]
"""


def files(out: Path) -> dict[str, int]:
    """Name -> when it was written, of the figures."""
    found = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    return {name: when for name, when in found.items() if name not in (MADE, "plotly.min.js")}


def test_each_run_and_drawing_is_a_file(folder, run_cli, tmp_path):
    code, out, err = run_cli("figures", "--spec", spec(folder, ONE), "--out", tmp_path / "f")
    assert code == 0, err
    assert set(files(tmp_path / "f")) == {
        f"{run}-{what}.html" for run in ("one", "two", "bare") for what in ("training", "task")
    }
    assert "6 files in" in out
    assert "6/6" in err
    assert "0 left" in err
    page = (tmp_path / "f" / "one-task.html").read_text()
    assert '<script src="plotly.min.js"' in page
    assert 'showSendToCloud": false' in page
    assert (tmp_path / "f" / "plotly.min.js").stat().st_size > 1e6
    assert len(page) < 100_000


def test_the_same_is_not_drawn_again_and_what_has_changed_is(folder, run_cli, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    path = spec(tmp_path, ONE)
    out = tmp_path / "f"
    ask = ("figures", "--spec", path, "--out", out)
    run_cli(*ask)
    before = files(out)
    _, said, _ = run_cli(*ask)
    assert "0 files in" in said
    assert "6 figures were there already" in said
    assert files(out) == before
    (out / "one-task.html").unlink()  # lost
    (out / "one-training.html").write_text("damaged")
    record = tmp_path / "runs" / "two" / "digests.json"
    record.write_text(record.read_text() + "\n")  # what it was made from is another
    _, said, _ = run_cli(*ask)
    after = files(out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"one-task.html", "one-training.html", "two-task.html", "two-training.html"}
    _, said, _ = run_cli(*ask, "--again")
    assert "6 files in" in said


def test_the_same_file_gives_the_same_bytes(folder, run_cli, tmp_path):
    path = spec(folder, ONE)
    for out in ("a", "b"):
        run_cli("figures", "--spec", path, "--out", tmp_path / out, "--jobs", 1 if out == "a" else 2)
    for name in files(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_queries_patterns_and_only(folder, tmp_path):
    text = """
    [[figure]]
    name = "points-{run}"
    where = "task == 'FlipFlop' and `fixed_points[n_starts=8].n` >= 0"
    draw = "fixed_points"
    [[figure]]
    name = "{run}-{figure}-{task}-{cell}-{seed}"
    runs = ["b*", "t?o"]
    draw = "tr*"
    """
    asked = read_spec(spec(folder, text))
    runs = {run.name: run for run in rs.list_runs(folder / "runs")}
    planned = plan(asked, runs)
    names = [each.name for each in planned]
    assert names[:2] == ["points-one", "points-two"]
    assert names[2:] == ["bare-training-FlipFlop-Vanilla-0", "two-training-FlipFlop-Vanilla-0"]
    assert [each.name for each in plan(asked, runs, ["points-*"])] == ["points-one", "points-two"]
    assert [each.name for each in plan(asked, runs, ["points-{run}"])] == ["points-one", "points-two"]
    assert [each.name for each in plan(asked, runs, ["points-one"])] == ["points-one"]
    with pytest.raises(ValueError, match=r"--only nothing fits no figure of .*; there are points-one"):
        plan(asked, runs, ["nothing"])


def test_panels_of_several_runs(folder, run_cli, tmp_path):
    text = """
    formats = ["html"]
    style = "paper"
    [[figure]]
    name = "grid"
    runs = ["one"]
    width = "180mm"
    letters = true
    rows = [["training", {draw = "training", run = "two"}], [{draw = "task", options = {trial = 1}}, [["task"], [""]]]]
    heights = [1, 2]
    shared_camera = true
    """
    path = spec(folder, text)
    (entry,) = read_spec(path).entries
    assert [panel.draw for panel in panels_in(entry.rows)] == ["training", "training", "task", "task"]
    code, _, err = run_cli("figures", "--spec", path, "--out", tmp_path / "f", "--jobs", 2)
    assert code == 0, err
    page = (tmp_path / "f" / "grid.html").read_text()
    assert all(f"\\u003cb>{letter}\\u003c/b>" in page for letter in "ABCD")


FIGURE = '[[figure]]\nname = "a"\nruns = ["one"]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "figure: Field required"),
        ("figure = 3", "figure"),
        ("x = = 1", "is no valid TOML: .*line 1"),
        ("colour = 1\n" + FIGURE + 'draw = "task"', "unknown setting 'colour'; it takes style, width"),
        (FIGURE, "line 1, figure 'a': say `draw` for one figure"),
        ("\n" + FIGURE + 'draw = "task"\nrows = [["task"]]', "line 2, figure 'a': say `draw`"),
        (FIGURE + 'draw = "tsak"', "there is no drawing 'tsak'; there are training, task, fixed_points"),
        (FIGURE + 'draw = "task"\ncolor = 1', "unknown setting 'color'; a figure takes style"),
        (FIGURE + 'draw = "task"\noptions = {trail = 1}', "unknown setting task.trail; did you mean trial"),
        (FIGURE + 'draw = "task"\noptions = {trial = -1}', "trial"),
        (FIGURE + 'draw = "task"\nletters = true', "letters belong to a figure of `rows`"),
        (FIGURE + 'rows = [["task"]]\noptions = {trial = 1}', "options belong to a panel"),
        (FIGURE + 'rows = [["fix*"]]', "a panel is one drawing, and 'fix*' fits fixed_points"),
        (FIGURE + 'rows = [[{darw = "task"}]]', "a panel is a drawing's name"),
        (FIGURE + 'rows = [["task"]]\nwidths = [1, 2]', "2 widths, and rows of 1 panels"),
        (FIGURE + 'rows = [["task"]]\nheights = [1, 2]', "1 rows and 2 heights"),
        (FIGURE + 'rows = [["task"]]\nletters = ["A", "B"]', "1 panels and 2 letters"),
        (FIGURE + 'draw = "task"\nwidth = "wide"', "width is a number with one of the units"),
        (FIGURE + 'draw = "task"\nstyle = "poster"', "unknown style 'poster'"),
        (FIGURE + 'draw = "task"\nformats = ["gif"]', "formats"),
        (FIGURE.replace('"a"', '"a/b"') + 'draw = "task"', "is the name of a file without ending"),
        (FIGURE.replace('"a"', '"{rnu}"') + 'draw = "task"', "in which {run}, {figure}"),
        (FIGURE + 'draw = ["task", "training"]', "two figures would both be called a"),
        (FIGURE.replace("one", "three") + 'draw = "task"', "runs three fits none of bare, one, two"),
        (FIGURE + 'where = "seed > 5"\ndraw = "task"', "where 'seed > 5' holds for none of one"),
        (FIGURE + 'where = "sede > 5"\ndraw = "task"', "there is no column 'sede'"),
        (FIGURE + 'draw = "lyapunov"', "keeps no result of lyapunov .*: rnnscope analyze .*one --only lyapunov"),
        (FIGURE + 'rows = [[{draw = "task", run = "three"}]]', "there is no run 'three'; there are bare, one, two"),
    ],
)
def test_all_of_it_is_checked_before_anything_is_drawn(folder, run_cli, tmp_path, text, told):
    good = '[[figure]]\nname = "good"\nruns = ["one"]\ndraw = "training"\n'
    code, _, err = run_cli(
        "figures", "--spec", spec(folder, text + ("\n" + good if "[[" in text else "")), "--out", tmp_path / "f"
    )
    assert (code, err.count("\n")) == (2, 1), err
    assert re.search(told, err) or told in err, err
    assert not (tmp_path / "f").exists()


def test_several_mistakes_are_told_at_once(folder, run_cli, tmp_path):
    text = FIGURE + 'draw = "tsak"\n' + FIGURE.replace('"a"', '"b"') + 'draw = "task"\nstyle = "poster"'
    _, _, err = run_cli("figures", "--spec", spec(folder, text), "--out", tmp_path / "f")
    assert "line 1, figure 'a'" in err
    assert "line 5, figure 'b'" in err


def test_a_damaged_result_does_not_end_the_others(folder, run_cli, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    text = 'formats = ["html"]\n[[figure]]\nname = "{run}-{figure}"\nruns = ["one", "two"]\ndraw = "fixed_points"\n'
    (kept,) = rs.load_run(tmp_path / "runs" / "one").kept("fixed_points")
    kept.path.write_bytes(kept.path.read_bytes()[:-200])
    code, out, err = run_cli("figures", "--spec", spec(tmp_path, text), "--all")
    assert code == 2
    assert "two-fixed_points.html" in os.listdir(tmp_path / "figures"), out + err
    assert "could not be drawn" in err
    assert "one" in err


def test_what_says_little_is_left_out_unless_all_is_asked_for(folder, run_cli, tmp_path, monkeypatch):
    text = 'formats = ["html"]\n[[figure]]\nname = "{run}"\nruns = ["one"]\ndraw = "training"\n'
    monkeypatch.setattr("rnnscope.figures.batch.says_little", lambda figure: "Nothing to see.")
    path = spec(folder, text)
    code, out, err = run_cli("figures", "--spec", path, "--out", tmp_path / "f")
    assert code == 0, err
    assert "left out: one: Nothing to see." in out
    assert not files(tmp_path / "f")
    _, out, _ = run_cli("figures", "--spec", path, "--out", tmp_path / "f", "--all")
    assert set(files(tmp_path / "f")) == {"one.html"}
    assert json.loads((tmp_path / "f" / MADE).read_text())["one"]["files"]


def test_options_that_the_file_has_are_refused_beside_it(folder, run_cli, tmp_path):
    code, _, err = run_cli("figures", "--spec", spec(folder, ONE), "--format", "png", "--out", tmp_path / "f")
    assert code == 2
    assert "--format and --spec" in err
    code, _, err = run_cli("figures")
    assert code == 2
    assert "no runs" in err


def test_without_a_browser_nothing_begins(folder, run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "browser_path", lambda: None)
    code, _, err = run_cli("figures", "--spec", spec(folder, ONE.replace("html", "pdf")), "--out", tmp_path / "f")
    assert code == 2
    assert "pdf need Chromium or Chrome" in err
    assert not (tmp_path / "f").exists()
