"""Figures as files: of a true size, the same again, and with nothing that asks anybody for anything."""

import re

import plotly.graph_objects as go
import pytest

from rnnscope.figures import new_figure, write_figures
from rnnscope.figures.browser import in_millimetres, trimmed
from rnnscope.figures.page import check_plotly


def figures() -> dict[str, go.Figure]:
    """Of what plotly names at random, or draws in an order of its own: clip paths, legends, 3-D scenes."""
    plain = new_figure("λ & <i>τ</i>", "x", "y").add_scatter(x=[0, 1], y=[0, 1], name="a").add_scatter(x=[0], y=[1])
    scene = go.Figure(go.Scatter3d(x=[0, 1], y=[0, 1], z=[0, 1]), layout={"width": 340, "height": 227})
    heat = new_figure("heat").add_heatmap(z=[[1, 2], [3, 4]])
    return {"plain": plain, "scene": scene, "heat": heat}


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """Every figure in every format, and again in another order, two at once."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    formats = ("svg", "pdf", "html")
    seen: list[str] = []
    write_figures(figures(), one, formats, on_written=lambda name, paths: seen.append(name))
    assert seen == ["plain", "scene", "heat"]
    write_figures(reversed(list(figures().items())), two, formats, tabs=2)
    return one, two


@pytest.mark.parametrize(
    "name", ["plain.svg", "heat.svg", "plain.pdf", "heat.pdf", "plain.html", "scene.html", "scene.svg"]
)
def test_the_same_figure_gives_the_same_bytes(twice, name):
    one, two = twice
    assert (one / name).read_bytes() == (two / name).read_bytes()


def test_true_sizes(twice):
    one, _ = twice
    head = (one / "scene.svg").read_text()[:600]
    width, height = (float(v) for v in re.findall(r'(?:width|height)="([0-9.]+)mm"', head)[:2])
    assert sorted((width, height)) == pytest.approx(sorted((340 * 25.4 / 96, 227 * 25.4 / 96)), abs=0.01)
    box = re.search(rb"/MediaBox \[([0-9.]+) ([0-9.]+) ([0-9.]+) ([0-9.]+) *\]", (one / "scene.pdf").read_bytes())
    left, bottom, right, top = (float(box[k]) for k in (1, 2, 3, 4))
    assert (right - left, top - bottom) == pytest.approx((340 * 0.75, 227 * 0.75), abs=0.06)  # points
    assert len(re.findall(rb"/Type /Page\b", (one / "scene.pdf").read_bytes())) == 1


def test_fonts_are_inside_and_text_is_text(twice):
    one, _ = twice
    content = (one / "plain.pdf").read_bytes()
    assert b"/FontFile2" in content or b"/Type3" in content
    assert b"CreationDate" not in content
    assert re.search(r"<title>plain</title>", (one / "plain.svg").read_text())
    assert "λ &amp; " in (one / "plain.svg").read_text()
    assert "<image" not in (one / "plain.svg").read_text(), "lines and text are no raster"


def test_pages_ask_nobody(twice):
    one, _ = twice
    page = (one / "plain.html").read_text()
    data = page[page.rindex("Plotly.newPlot") :]
    assert '"showSendToCloud": false' in data
    assert "http" not in data
    assert data.count("</script>") == 1
    assert "plotlyServerURL" not in data


def test_text_that_would_end_the_script(tmp_path):
    figure = new_figure("</script><script>alert(1)</script>")
    write_figures({"a": figure}, tmp_path, "html", plotly="shared")
    page = (tmp_path / "a.html").read_text()
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert (tmp_path / "plotly.min.js").exists()
    with pytest.raises(ValueError, match=r"plotly is 'inline' .* or 'shared'"):
        check_plotly("cdn")


def test_a_page_is_trimmed_without_moving_a_byte():
    before = b"1 0 obj <</MediaBox [0 0 255.12 171.12] /Kids 3>>"
    after = trimmed(before, (255.0, 170.25))
    assert after == b"1 0 obj <</MediaBox [0 0.87 255 171.12] /Kids 3>>"
    assert len(trimmed(before, (254.123, 170.257))) == len(before)
    assert trimmed(b"/MediaBox [0 0 9 9]", (8.123, 8.456)) == b"/MediaBox [0 0 9 9]", "there is no room for more digits"


def test_millimetres():
    assert in_millimetres('<svg width="96" height="48.5" viewBox="0 0 96 48"><rect width="9"/></svg>') == (
        '<svg width="25.4mm" height="12.8323mm" viewBox="0 0 96 48"><rect width="9"/></svg>'
    )
