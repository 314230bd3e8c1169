"""Reports: they say what the run keeps and no more, need nothing beside themselves, and what they say to do works."""

import html
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import rnnscope as rs
from rnnscope.analyses import ANALYSES
from rnnscope.analyses.comparison import compare_networks
from rnnscope.analyses.report.beside import comparisons
from rnnscope.analyses.report.contents import contents
from rnnscope.analyses.report.tiles import tiles_of
from rnnscope.figures.sentences import mark_as_saying_little
from rnnscope.records.result_files import save_result


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[rs.Run]:
    """Two small runs: what they learn is no matter here."""
    folder = tmp_path_factory.mktemp("report") / "runs"
    found = []
    for name, cell in (("one", rs.cells.Vanilla(6)), ("<two>", rs.cells.GRU(5))):
        task = rs.tasks.FlipFlop(2, length=20)
        run = rs.train(task, cell, steps=4, learning_rate=0.003, seed=3, folder=folder, name=name, progress=False)
        few = {"fixed_points": {"n_starts": 16}, "lyapunov": {"n_steps": 20}}
        rs.analyses.analyse(run, ["fixed_points", "lyapunov"], settings=few)
        found.append(rs.load_run(run.path))
    return found


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory) -> Path:
    (path,) = rs.report(runs[0], tmp_path_factory.mktemp("page") / "one.html")
    return path


def words(page: str) -> str:
    """What people read of a page."""
    body = page[page.index("<main>") : page.index("</main>")]
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("&#x27;", "'").replace("&quot;", '"').split())


def test_it_says_what_the_run_keeps(runs, page):
    said = words(page.read_text())
    run = runs[0]
    for analysis in run.results:
        assert " ".join(run.shown(analysis).load().summary().split()) in said.replace("&lt;", "<").replace("&gt;", ">")
    for tile in tiles_of(run):
        assert tile.value in said
        assert tile.badge in said
    assert f"seed {run.seed}" in said
    assert "FlipFlop(bits=2, length=20" in said
    assert "not under default settings: n_starts=16" in said
    assert "Not asked: Linearisation" in said


def test_a_figure_that_says_little_is_a_sentence(runs, monkeypatch):
    entry = rs.analyses.ANALYSES["lyapunov"]
    drawn = entry.results[0].figure
    monkeypatch.setattr(
        entry.results[0], "figure", lambda self: mark_as_saying_little(drawn(self), "Nothing to see."), raising=True
    )
    (section,) = [s for s in contents(runs[0]).sections if s.analysis == "lyapunov"]
    assert [(shown.figure, shown.sentence) for shown in section.figures] == [(None, "Nothing to see.")]


def test_the_page_needs_nothing_and_names_are_text(runs, tmp_path):
    (path,) = rs.report(runs, tmp_path / "both.html")
    page = path.read_text()
    own = re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', own)
    assert not re.findall(r"https?://(?!www\.w3\.org)", own)
    assert "<two>" not in page
    assert "&lt;two&gt;" in page
    assert "Side by side" in page
    assert "showSendToCloud: false" in page
    assert page.count('id="plotly"') == 1
    figures = re.findall(r'<figure data-figure="(\d+)"', page)
    data = re.findall(r'<script type="application/json" id="data-(\d+)">(.*?)</script>', page, re.DOTALL)
    assert [number for number, _ in data] == figures
    assert len(figures) > 4
    assert all(len(json.loads(text)) == 2 for _, text in data)


def test_the_same_run_gives_the_same_report(runs, page, tmp_path):
    (again,) = rs.report(runs[0].path, tmp_path / "again.html")
    assert again.read_bytes() == page.read_bytes()


def test_training_again_gives_the_same_run(runs, tmp_path, monkeypatch):
    """The Python and the command of the report, run as they stand."""
    said = contents(runs[0])
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(said.python, scope)
    again = rs.load_run("runs/one-again")
    assert again.history["loss"].tolist() == runs[0].history["loss"].tolist()
    from rnnscope.cli import main

    command = shlex.split(said.command)
    command[command.index("--name") + 1] = "by-command"
    with pytest.raises(SystemExit) as ended:
        main([*command[1:], "--quiet"])
    assert not ended.value.code
    by_command = rs.load_run("runs/by-command")
    for part in ("task", "cell", "training", "seed"):
        assert by_command.record[part] == runs[0].record[part], part


def test_asking_again_gives_the_same_result(runs):
    for section in contents(runs[0]).sections:
        scope = {"rs": rs, "run": runs[0]}
        exec(section.python, scope)
        assert scope["result"].made.key == runs[0].shown(section.analysis).made.key
        if section.analysis == "fixed_points":
            assert section.command.endswith("--only fixed_points --set fixed_points.n_starts=16")


def test_a_notebook_runs_as_it_stands(runs, tmp_path, monkeypatch):
    html, path = rs.report(runs[0], tmp_path / "a" / "one.html", formats=("html", "ipynb"))
    assert (html.name, path.name) == ("one.html", "one.ipynb")
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")
    monkeypatch.chdir(path.parent)
    exec("\n".join(code), {})


def test_a_damaged_result_is_said(tmp_path):
    run = rs.train(rs.tasks.FlipFlop(1), rs.cells.Vanilla(4), steps=2, folder=tmp_path, name="run", progress=False)
    rs.analyses.analyse(run, ["lyapunov"], settings={"lyapunov": {"n_steps": 10}})
    (kept,) = run.kept("lyapunov")
    kept.path.write_bytes(kept.path.read_bytes()[:-100])
    (path,) = rs.report(run, tmp_path / "r.html")
    assert "Lyapunov exponents</b> cannot be read" in path.read_text()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda runs: ([], "a.html"), "there are no runs"),
        (lambda runs: (runs, "a.pdf"), r"a report is html or ipynb, got 'pdf'"),
        (lambda runs: ("nowhere", "a.html"), "no run at nowhere"),
    ],
)
def test_what_makes_no_report_is_refused(runs, given, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=told):
        rs.report(*given(runs))
    assert not list(tmp_path.iterdir())


def test_a_report_of_several_holds_what_was_compared(runs, tmp_path):
    (plain,) = rs.report(runs, tmp_path / "plain.html")
    told = words(plain.read_text())
    assert "No comparison of these networks was given, and none is computed for a report." in told
    found = compare_networks(runs, n_trials=16, n_copies=2)
    folder = tmp_path / "compared"  # as `rnnscope compare` leaves it
    save_result(found, folder / "procrustes.zarr.zip")
    path, notebook = rs.report(runs, tmp_path / "both.html", formats=("html", "ipynb"), comparison=folder)
    told = words(path.read_text())
    assert html.escape(found.summary(), quote=False) in told
    assert "No comparison of these networks" not in told
    assert "not in this report" not in told
    assert path.read_text().count('<figure data-figure="') == plain.read_text().count('<figure data-figure="') + 1
    cells = ["".join(cell["source"]) for cell in json.loads(notebook.read_text())["cells"]]
    assert any("load_result(Comparison, 'compared/procrustes.zarr.zip').figure()" in cell for cell in cells)
    [beside] = comparisons(found, runs[:1])
    assert beside.reservations == ("with <two> at step 4, not in this report as compared",)
    again = rs.train(runs[0].task, runs[0].cell, steps=1, seed=9, folder=tmp_path, name="other", progress=False)
    assert "without other as it is now" in comparisons(found, [*runs, again])[0].reservations
    with pytest.raises(ValueError, match="holds no comparison: name a folder that `rnnscope compare --out` wrote"):
        rs.report(runs, tmp_path / "none.html", comparison=runs[0].path)


def test_a_figure_that_fails_costs_itself_alone(runs, monkeypatch):
    """Whatever it is that it cannot draw."""

    def fails(*_arguments, **_options):
        raise ValueError("dims=3 needs 3 components")

    entry = ANALYSES["fixed_points"]
    broken = replace(entry, drawings=(replace(entry.drawings[0], function=fails),))
    monkeypatch.setattr("rnnscope.analyses.report.contents.ANALYSES", {**ANALYSES, "fixed_points": broken})
    said = contents(runs[0])
    assert not said.damaged
    [section] = [each for each in said.sections if each.analysis == "fixed_points"]
    first, places = section.figures
    assert first.figure is not None or first.sentence
    assert places.sentence == "cannot be drawn: dims=3 needs 3 components"


def test_a_notebook_is_run_only_where_that_can_be(runs, tmp_path, monkeypatch):
    """Before anything is drawn, in one line that says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="nbclient, ipykernel must be there: pip install nbclient ipykernel"):
        rs.report(runs, tmp_path / "a.ipynb", execute_notebook=True)
    with pytest.raises(ValueError, match="only a notebook can be executed, and the format of the report is html"):
        rs.report(runs, tmp_path / "a.html", execute_notebook=True)
    assert not list(tmp_path.iterdir())
