"""What a notebook shows of a result, and the tables of results and of runs."""

import inspect
import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import plotly.graph_objects as go
import pytest
from jaxtyping import Float
from playwright.sync_api import sync_playwright

import rnnscope as rs
from rnnscope import analyses, notebook
from rnnscope.figures import browser_path
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.tasks.machine import Machine


@dataclass(frozen=True)
class Depth:
    """A part, with an array of a name that the whole has too."""

    low: Float[np.ndarray, " point"]
    size: Float[np.ndarray, " point"]
    other: Float[np.ndarray, " elsewhere"]


@dataclass(frozen=True, repr=False)
class Planted(Result):
    """A result of which every number is known."""

    rows: ClassVar[str] = "point"

    points: Float[np.ndarray, "point 2"]
    wide: Float[np.ndarray, "point unit"]
    size: Float[np.ndarray, " point"]
    depth: Depth
    level: float = 0.5
    made: Made | None = None

    def figure(self) -> go.Figure:
        return go.Figure(go.Scatter(x=self.size, y=self.size), layout={"title": {"text": "It's <i>a</i> line & more"}})

    def summary(self) -> str:
        return "three <points> & no more"


def planted() -> Planted:
    three = np.arange(3.0)
    return Planted(np.arange(6.0).reshape(3, 2), np.zeros((3, 9)), three, Depth(-three, 10 * three, np.zeros(5)))


def test_a_table_has_a_row_per_point_and_a_column_per_number():
    frame = planted().to_dataframe()
    assert list(frame) == ["points_0", "points_1", "size", "low", "depth_size"], "wide arrays and other axes stay out"
    assert frame.index.name == "point"
    np.testing.assert_array_equal(frame["points_1"], [1, 3, 5])
    np.testing.assert_array_equal(frame["depth_size"], [0, 10, 20])


def test_the_headline_is_by_default_what_is_a_single_number_and_no_setting():
    assert dict(planted().headline()) == {"level": 0.5}


def test_what_fails_is_left_out_and_said(monkeypatch):
    def fail(self):
        raise RuntimeError("no <figure> today")

    monkeypatch.setattr(Planted, "figure", fail)
    page = planted()._repr_html_()
    assert "three &lt;points&gt; &amp; no more" in page
    assert "There is no figure to show: RuntimeError: no &lt;figure&gt; today" in page
    monkeypatch.setattr(Planted, "summary", fail)
    monkeypatch.setattr(Planted, "to_dataframe", fail)
    page = planted()._repr_html_()
    assert "it has no summary: RuntimeError" in page
    assert "There is no table to show" in page


def test_one_cell_holds_what_draws_the_figures_of_all(monkeypatch):
    monkeypatch.setattr(notebook, "_held_by", None)
    cells = iter(["a", "b", "a"])
    monkeypatch.setattr(notebook, "_cell", lambda: next(cells))
    sizes = [len(planted()._repr_html_()) for _ in range(3)]
    assert sizes[0] == sizes[2] > 1_000_000, "run again, the cell that holds it holds it again"
    assert sizes[1] < 10_000, "no second cell holds it"


def test_unfolding_draws_without_network(monkeypatch, tmp_path):
    monkeypatch.setattr(notebook, "_held_by", None)
    page = tmp_path / "page.html"
    page.write_text("<meta charset=utf-8>" + planted()._repr_html_() + planted()._repr_html_())
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        tab = browser.new_page()
        asked, errors = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(page.as_uri())
        assert tab.locator(".main-svg").count() == 0, "nothing is drawn before it is unfolded"
        for i in (1, 0):  # the second has no copy of plotly.js of its own
            tab.locator("summary").nth(i).click()
            tab.locator("details").nth(i).locator(".main-svg").first.wait_for()
        assert tab.locator("[data-state=drawn]").count() == 2
        assert "It's a line & more" in re.sub(r"\s+", " ", tab.locator("summary").first.inner_text())
        browser.close()
    assert (asked, errors) == ([page.as_uri()], [])


def quick(folder, **more) -> rs.Run:
    given = {"task": rs.tasks.FlipFlop(1), "cell": rs.cells.GRU(4), "steps": 3, **more}
    return rs.train(given.pop("task"), given.pop("cell"), folder=folder, progress=False, **given)


def test_runs_are_a_table_and_a_damaged_one_is_a_row(tmp_path):
    a = quick(tmp_path, name="a")
    quick(tmp_path, name="b", learning_rate=0.01, cell=rs.cells.GRU(5))
    (quick(tmp_path, name="c").path / "run.json").write_text("{")
    a.save_result(analyses.find_fixed_points(a, n_starts=8))
    a.save_result(analyses.lyapunov_spectrum(a, n_steps=20))
    file = next((a.path / "results" / "lyapunov").iterdir())
    file.write_bytes(file.read_bytes()[:-100])
    frame = rs.table(tmp_path)
    assert list(frame.index) == ["a", "b", "c"]
    differ = [name for name in frame if name.startswith(("task.", "cell.", "training."))]
    assert differ == ["cell.units", "training.learning_rate"], "what all runs have in common is left out"
    assert frame.loc["b", "training.learning_rate"] == 0.01
    points = analyses.find_fixed_points(a, n_starts=8)
    assert frame.loc["a", "fixed_points[n_starts=8].n_stable"] == points.stable.sum()
    assert "is damaged" in frame.loc["a", "problem"], "a damaged result is told beside the others"
    assert "is damaged" in frame.loc["c", "problem"]
    assert list(rs.table([a], analyses=[])) == ["task", "cell", "seed", "status", "steps", "seconds", *a.metrics]
    with pytest.raises(ValueError, match="there is no analysis 'lyapunof'"):
        rs.table(tmp_path, analyses=["lyapunof"])
    with pytest.raises(FileNotFoundError, match="no folder at"):
        rs.table(tmp_path / "none")


def test_a_run_that_is_there_is_refused_or_gone_on_with(tmp_path):
    run = quick(tmp_path, name="a")
    assert quick(tmp_path, name="a", exists="resume").record == run.record
    unchecked = inspect.unwrap(rs.train)  # as users have it
    with pytest.raises(ValueError, match="exists must be 'error' or 'resume' or 'reuse', got 'again'"):
        unchecked(run.task, run.cell, folder=tmp_path, name="a", exists="again")


def test_verbs_print_in_words():
    told = str(inspect.signature(analyses.find_fixed_points))
    assert told.startswith("(system, /, *, input: InputVector | InputRows | None = None, start_inputs: ArrayLike |")
    assert told.endswith("seed: Seed = 0) -> FixedPoints")
    for entry in analyses.ANALYSES.values():
        assert "numpy._typing" not in str(inspect.signature(entry.verb)), entry.name
    assert all(name.islower() for name in dir(analyses))


def test_what_is_looked_at_prints_in_a_line(tmp_path):
    run = quick(tmp_path, name="a")
    subject = rs.as_subject(run)
    run.save_result(analyses.find_fixed_points(run, n_starts=8))
    things = [
        run,
        subject,
        subject.map,
        run.network(),
        subject.trials(8, 0),
        subject.trajectories(n_trials=8),
        Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]])),
        rs.tasks.HMMEmission.examples()[0].ground_truth,
        *run.kept(),
        run.kept()[0].made,
        analyses.plan(run, ["fixed_points"]),
        analyses.ANALYSES["fixed_points"],
    ]
    for thing in things:
        assert len(repr(thing)) < 320, type(thing)
        assert "\n" not in repr(thing), type(thing)
    assert repr(replace(planted(), level=1.0)) == "Planted: three <points> & no more"
