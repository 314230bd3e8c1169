"""Styles: sizes as they are written, and figures that follow them."""

from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from rnnscope.figures import PAPER, SCREEN, SLIDES, new_figure, styled, write_figures
from rnnscope.figures.style import style
from rnnscope.figures.text import text_width, wrap


@pytest.mark.parametrize(
    "written", ["85mm", "8.5cm", " 8.5 CM ", "3.3464567in", "240.945pt", "321.26px", 321.26, "321.26"]
)
def test_one_width_in_many_units(written):
    """By the definition of CSS, an inch is 25.4 mm, 96 pixels and 72 points."""
    assert style("paper", width=written).width_mm == pytest.approx(85, abs=2e-3)


@pytest.mark.parametrize("written", ["", "mm", "85 m", "8,5cm", "0mm", -3, "inf", "nan", True, None])
def test_what_is_no_length_is_refused_by_its_name(written):
    if written is None:
        assert style("paper", width=None) == PAPER
        return
    with pytest.raises(ValueError, match=r"^width .*got"):
        style("paper", width=written)


def test_one_side_alone_takes_the_other_along():
    assert style("paper", width="170mm").height_mm == pytest.approx(120)
    assert style("paper", height="30mm").width_mm == pytest.approx(42.5)
    both = style("slides", width="100mm", height="90mm", font_size=9)
    assert (both.width_mm, both.height_mm, both.font_size) == pytest.approx((100, 90, 9))
    assert (both.line_scale, both.title) == (SLIDES.line_scale, SLIDES.title)


@pytest.mark.parametrize("size", [3, 73, "0"])
def test_text_that_nobody_reads_is_refused(size):
    with pytest.raises(ValueError, match="font size"):
        style("paper", font_size=size)


def test_an_unknown_style():
    with pytest.raises(ValueError, match="known: screen, paper, slides"):
        style("poster")


def test_a_style_and_a_size_are_not_both(tmp_path):
    with pytest.raises(ValueError, match="its own width"):
        write_figures({"a": new_figure("one")}, tmp_path, ["html"], width=300, style=PAPER)


def two_panels() -> go.Figure:
    figure = make_subplots(cols=2, subplot_titles=["left", "right"])
    new = new_figure("A title that is long enough to want another line in a figure of this width, or two")
    figure.update_layout(template=new.layout.template, title=new.layout.title)
    figure.add_scatter(x=[0, 1], y=[0, 2000], name="a line", line={"width": 2}, row=1, col=1)
    figure.add_heatmap(z=np.eye(3), colorbar={"title": {"text": "share"}}, row=1, col=2)
    figure.add_scatter(x=[0, 1], y=[0, 1], name="points", mode="markers", marker={"size": 10}, row=1, col=2)
    return figure.update_xaxes(title_text="time (steps)").update_yaxes(title_text="a rather long name of an axis")


@pytest.mark.parametrize("look", [PAPER, SCREEN, SLIDES, style("paper", width="180mm", height="60mm", font_size=9)])
def test_panels_share_the_page_and_the_figure_stays_as_it_was(look):
    figure = two_panels()
    before = figure.to_json()
    drawn = styled(figure, look)
    assert figure.to_json() == before
    assert (drawn.layout.width, drawn.layout.height) == (look.width, look.height)
    assert drawn.layout.font.size == pytest.approx(look.font_size * 96 / 72)
    boxes = [(*drawn.layout[f"xaxis{k}"].domain, *drawn.layout[f"yaxis{k}"].domain) for k in ("", "2", "90")]
    assert all(0 <= v <= 1 for box in boxes for v in box)
    for a, b in combinations(boxes, 2):  # no two of the panels and the legend have anything in common
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    bar = next(trace for trace in drawn.data if trace.type == "heatmap").colorbar
    assert boxes[1][1] < bar.x < 1
    assert drawn.data[0].line.width == pytest.approx(2 * look.line_scale)
    titled = [note for note in drawn.layout.annotations if note.text.startswith("A title")]
    assert len(titled) == look.title


def test_the_legend_names_what_plotly_would():
    figure = two_panels()
    figure.add_scatter(x=[0], y=[0], name="hidden", showlegend=False)
    named = styled(figure, PAPER).data[-1]
    assert list(named.text) == ["a line", "points"]
    assert not styled(figure, PAPER).layout.showlegend
    one = new_figure("one").add_scatter(x=[0, 1], y=[0, 1], name="alone")
    assert len(styled(one, PAPER).data) == 1  # plotly has no legend for a single trace


def test_labels_without_room_are_left_out_and_counted():
    crowd = new_figure("")
    crowd.add_scatter(x=np.zeros(9), y=np.zeros(9), mode="text", text=[f"label {k}" for k in range(9)])
    drawn = styled(crowd, PAPER)
    kept = [word for word in drawn.data[0].text if word]
    assert drawn.data[-1].text[-1] == f"labels left out for want of room: {9 - len(kept)}"
    apart = new_figure("").add_scatter(x=np.arange(4), y=np.arange(4), mode="text", text=list("abcd"))
    assert list(styled(apart, PAPER).data[0].text) == list("abcd")


def test_lines_are_no_wider_than_their_room():
    text = "the largest of all exponents (nats per step)"
    lines = wrap(text, 10.0, 90.0).split("<br>")
    assert " ".join(lines) == text
    assert all(text_width(line, 10.0) <= 90 for line in lines)
    assert wrap("unbreakable", 10.0, 5.0) == "unbreakable"
