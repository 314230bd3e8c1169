"""Figures on disk in every format, through a real browser; and a plain word where there is none."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import plotly.graph_objects as go
import pytest

from rnnscope.figures import FORMATS, check_formats, export, new_figure, training_figure, write_figures
from rnnscope.tasks.task import Criterion

MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<svg", "pdf": b"%PDF-", "html": b"<!doctype html>"}


def a_figure(title: str = "λ against τ") -> go.Figure:
    figure = new_figure(title, x="τ (steps)", y="λ (nats / step)")
    figure.add_scatter(x=[1, 2, 3], y=[1, 4, 9], name="one")
    return figure


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if export.browser_path() is None:
        pytest.fail("these tests draw in Chromium, and none was found: apt-get install chromium, or set BROWSER_PATH")
    folder = tmp_path_factory.mktemp("figures") / "made" / "here"
    paths = write_figures({"first": a_figure(), "second": a_figure("two")}, folder, FORMATS, width=300, height=200)
    assert sorted(path.name for path in paths) == sorted(f"{n}.{f}" for n in ("first", "second") for f in FORMATS)
    assert all(path.parent == folder for path in paths)
    assert sorted(folder.iterdir()) == sorted(paths)
    return {path.name: path for path in paths}


@pytest.mark.parametrize("format", FORMATS)
def test_files_are_what_they_say(written: dict[str, Path], format: str):
    for name in ("first", "second"):
        content = written[f"{name}.{format}"].read_bytes()
        assert content.startswith(MAGIC[format]), f"{name}.{format} starts with {content[:20]!r}"
        assert len(content) > 2000, f"{name}.{format} has {len(content)} bytes only"
    assert written[f"first.{format}"].read_bytes() != written[f"second.{format}"].read_bytes()


def test_size_and_scale_of_a_png(written: dict[str, Path]):
    header = written["first.png"].read_bytes()[16:24]
    assert (int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) == (600, 400)


def test_the_text_of_an_svg(written: dict[str, Path]):
    text = written["first.svg"].read_text(encoding="utf-8")
    for wanted in ("λ against τ", "τ (steps)", "λ (nats / step)"):
        assert wanted in text


def test_html_stands_alone(written: dict[str, Path]):
    text = written["first.html"].read_text(encoding="utf-8")
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text)
    assert tags, "there is no script at all"
    loaded = [tag for tag in tags if re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", tag)]
    assert not loaded, f"loads from the network: {loaded}"
    assert 'src="http' not in text
    assert "MathJax.js" not in re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)
    assert len(text) > 1_000_000, "plotly.js is not inside"


def within(seconds: float, function: Callable[[], object]) -> object:
    """What the function returns or raises; a failure where it does neither in time."""
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(function())
        except Exception as error:  # noqa: BLE001  handed to the test
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert ended, f"still not done after {seconds} s"
    return ended[0]


def test_a_browser_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    browser = tmp_path / "no-browser"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    error = within(60, lambda: write_figures({"a": a_figure()}, tmp_path / "figures"))
    assert isinstance(error, ValueError), repr(error)
    assert re.search(r"no-browser did not start as a browser.*set BROWSER_PATH.*ask for html", str(error))


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_no_browser_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str):
    monkeypatch.setattr(export, "browser_path", lambda: None)
    with pytest.raises(ValueError, match=f"^{format} need Chromium or Chrome.*set BROWSER_PATH to it, or ask for html"):
        write_figures({"a": a_figure()}, tmp_path / "figures", ("html", format))
    assert not (tmp_path / "figures").exists()


def test_html_needs_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "browser_path", lambda: None)
    (path,) = write_figures({"a": a_figure()}, tmp_path, "html")
    assert path == tmp_path / "a.html"
    assert path.stat().st_size > 0


def test_what_drives_the_browser_is_missed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"svg need choreographer: .*rnnscope\[figures\].*ask for html"):
        check_formats(["svg"])
    assert check_formats(["html"]) == ("html",)


@pytest.mark.parametrize(
    ("formats", "told"),
    [
        (("jpg",), "unknown figure format 'jpg'; known: png, svg, pdf, html"),
        (("html", "gif", "eps"), "unknown figure format 'gif', 'eps'; known"),
        ("jpeg", "unknown figure format 'jpeg'; known"),
        ((), r"unknown figure format \(none\)"),
    ],
)
def test_unknown_formats(tmp_path: Path, formats: tuple[str, ...] | str, told: str):
    with pytest.raises(ValueError, match=told):
        write_figures({"a": a_figure()}, tmp_path / "figures", formats)
    assert not (tmp_path / "figures").exists()


def test_no_figures_start_no_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "draw_sheets", lambda *_: pytest.fail("a browser was started for nothing"))
    monkeypatch.setattr(export, "browser_path", lambda: "/bin/chromium")
    assert write_figures({}, tmp_path) == []


def test_browser_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    assert export.browser_path() == str(browser)
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "missing"))
    assert export.browser_path() is None
    monkeypatch.delenv("BROWSER_PATH")
    browser.unlink()
    assert export.browser_path() is None


# --- the training curve ------------------------------------------------------------------------------------------


def a_run(**history: list[float]) -> SimpleNamespace:
    criteria = (Criterion("accuracy", 0.98), Criterion("final_loss", 0.1, "at most"))
    arrays = {name: np.array(values, float) for name, values in history.items()}
    return SimpleNamespace(name="a run", history=arrays, task=SimpleNamespace(criterion=criteria))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch):
    """Stand-ins are no runs, which the run-time check of annotations would refuse."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


@pytest.mark.usefixtures("unchecked")
def test_training_figure():
    nan = float("nan")
    figure = training_figure(a_run(step=[1, 2, 3], loss=[3, 2, 1], accuracy=[nan, 0.5, 0.99]))
    curves = {trace.name: trace for trace in figure.data}
    assert list(curves) == ["loss", "accuracy", "wanted: at least 0.98"]
    assert list(curves["loss"].y) == [3, 2, 1]
    assert list(curves["accuracy"].x) == [2, 3]
    assert list(curves["wanted: at least 0.98"].y) == [0.98, 0.98]
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis2.title.text == "accuracy"
    assert figure.layout.xaxis2.title.text == "training step"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("loss", [[], [float("nan")] * 2, [-1.0, 2.0], [0.0, 1.0]], ids=str)
def test_training_figure_of_a_loss_that_has_no_logarithm(loss: list[float]):
    figure = training_figure(a_run(step=list(range(len(loss))), loss=loss))
    assert len(figure.data) == 1
    assert figure.layout.yaxis.type != "log"
    assert figure.layout.yaxis.title.text == "loss"
