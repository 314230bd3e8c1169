"""rnnscope figures: which are drawn, at which size, and that none is ever half there."""

import os
import re
from dataclasses import replace

import pytest

from rnnscope.analyses import ANALYSES
from rnnscope.cli.figures import drawing_options, figures_of
from rnnscope.drawing import Drawing
from rnnscope.figures import check_size, export, new_figure, write_figures


@pytest.mark.parametrize("option", ["--width", "--height"])
@pytest.mark.parametrize("size", [0, -900, 199, 8001])
def test_a_size_that_cannot_be_drawn_is_refused_before_anything_is_read(run_cli, tmp_path, option, size):
    code, _, err = run_cli("figures", "nowhere", option, size, "--out", tmp_path / "f", "--format", "html")
    assert (code, err.count("\n")) == (2, 1), err
    name = option.removeprefix("--")
    assert err.startswith(f"rnnscope: {name} ")
    assert str(size) in err
    assert ("greater than 0" if size <= 0 else "200 to 8000") in err
    assert not (tmp_path / "f").exists()


def test_sizes_at_the_bounds():
    check_size(export.LEAST, export.MOST)


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (["second"], {"run-second"}),
        (["training"], {"run-training"}),
        (["training,third", "--only", "third"], {"run-training", "run-third"}),
    ],
)
def test_only_what_is_asked_for_is_drawn(run_cli, train, tmp_path, toys, only, names):
    run = train(tmp_path)
    run_cli("analyze", run.path)
    code, _, err = run_cli("figures", run.path, "--out", tmp_path / "f", "--format", "html", "--only", *only)
    assert code == 0, err
    assert {path.stem for path in (tmp_path / "f").iterdir()} == names


def test_a_figure_of_an_analysis_by_its_name(train, tmp_path, run_cli):
    run = train(tmp_path)
    run_cli("analyze", run.path, "--only", "lyapunov", "--set", "lyapunov.n_steps=20")
    assert set(figures_of(run, {"lyapunov"})[0]) == {"lyapunov"}
    code, _, err = run_cli("figures", run.path, "--only", "automaton-states", "--out", tmp_path / "f", "-f", "html")
    assert code == 2
    assert f"nothing to draw: rnnscope analyze {run.path} makes the results" in err


def test_an_option_that_a_result_does_not_allow_costs_its_own_figure(train, tmp_path, run_cli, monkeypatch):
    """The other figures of that result, and those of others, are drawn."""
    run = train(tmp_path)
    run_cli("analyze", run.path, "--only", "fixed_points,lyapunov", "--set", "lyapunov.n_steps=20")
    other = replace(ANALYSES["fixed_points"], drawings=(Drawing("other", "Other", lambda _: new_figure("other")),))
    monkeypatch.setattr("rnnscope.cli.figures.ANALYSES", {**ANALYSES, "fixed_points": other})
    wanted = {"fixed_points", "fixed_points-other", "lyapunov"}
    found, wrong = figures_of(run, wanted, {"fixed_points": {"points": [10_000]}})
    assert set(found) == wanted - {"fixed_points"}
    [line] = wrong
    assert re.match(r"fixed_points of \S+\.zarr\.zip: points has no row 10000: there", line), line


@pytest.mark.parametrize("name", ["secnod", ""])
def test_a_figure_that_there_is_not(run_cli, toys, name):
    code, _, err = run_cli("figures", "nowhere", "--format", "html", "--only", name)
    assert (code, err.count("\n")) == (2, 1), err
    assert "known: training, first, second, third" in err


@pytest.mark.parametrize("format", ["html", "svg"])
def test_a_figure_is_there_whole_or_not_at_all(tmp_path, monkeypatch, format):
    """The old one stays where writing the new one fails at its last step."""
    (tmp_path / f"a.{format}").write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_figures({"a": new_figure("one")}, tmp_path, [format])
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{format}"]
    assert (tmp_path / f"a.{format}").read_text() == "old"


def test_a_format_named_twice_is_drawn_once(tmp_path):
    assert write_figures({"a": new_figure("one")}, tmp_path, ["html", "html"]) == [tmp_path / "a.html"]


def test_options_go_to_every_chosen_figure_that_has_them():
    found = drawing_options({"dims": 2}, {"state_space", "connections", "lyapunov"})
    assert found == {"state_space": {"dims": 2}, "connections": {"dims": 2}}
    assert drawing_options({"colour": "time"}) == {"state_space": {"colour": "time"}}, "finite_time has other colours"
    with pytest.raises(ValueError, match=r"none of lyapunov has this option; known: components"):
        drawing_options({"dims": 2}, {"lyapunov"})
    with pytest.raises(ValueError, match=r"no figure has this option; did you mean trials\?"):
        drawing_options({"trails": 2})
    with pytest.raises(ValueError, match=r"--set dims: .*dims must be 2 or 3"):
        drawing_options({"dims": 4}, {"state_space"})


def test_set_reaches_the_figure_which_names_its_run(run_cli, train, tmp_path):
    run = train(tmp_path)
    assert run_cli("analyze", run.path, "--only", "state_space")[0] == 0
    options = {"state_space": {"dims": 2, "trials": (0,)}}
    figure = figures_of(run, {"state_space"}, options)[0]["state_space"]
    assert {trace.type for trace in figure.data} == {"scatter"}
    assert figure.layout.title.text.startswith("run: State space, 1 of")
    assert figure.layout.meta["run"] == "run"
    command = ("figures", run.path, "--only", "state_space", "--format", "html", "--out")
    code, _, err = run_cli(*command, tmp_path / "a", "--set", "dims=2", "--set", "trials=[0]")
    assert code == 0, err
    page = (tmp_path / "a" / "run-state_space.html").read_text()
    assert "run: State space, 1 of" in page
    assert '"type":"scatter3d"' not in page.rpartition("Plotly.newPlot")[2]
    config = tmp_path / "s.toml"
    config.write_text("[options]\ndims = 3\n")
    assert run_cli(*command, tmp_path / "b", "--config", config)[0] == 0
    assert '"type":"scatter3d"' in (tmp_path / "b" / "run-state_space.html").read_text().rpartition("Plotly.newPlot")[2]
    for pair, message in (
        ("dims=4", "dims must be 2 or 3"),
        ("dims", "write OPTION=VALUE"),
        ("mood=1", "known: colour"),
    ):
        code, _, err = run_cli(*command, tmp_path / "c", "--set", pair)
        assert code == 2
        assert message in err
    code, _, err = run_cli(*command, tmp_path / "d", "--set", "trials=[99999]")
    assert code == 2
    assert "trials has no row 99999" in err
