"""What is written in figures can be read, as a browser sees it; and the browser sees what cannot."""

import re

import numpy as np
import plotly.graph_objects as go
import pytest

from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.figures import PAPER, new_figure, styled, write_figures
from rnnscope.figures.measure import measure_figures
from rnnscope.figures.template import name_axes


def test_every_drawing_can_be_read_at_the_width_of_a_column(of_analyses):
    drawn = {}
    for name, result in of_analyses.items():
        for analysis in ANALYSES.values():
            for title, drawing in analysis.figures.items() if isinstance(result, analysis.results) else ():
                try:
                    drawn[f"{name}/{title}"] = styled(drawing.draw(result), PAPER)
                except NotApplicable:
                    continue
    assert len(drawn) > 30
    seen = measure_figures(drawn)
    assert {name: each for name, each in seen.items() if not each.legible} == {}
    assert sum(each.n_texts for each in seen.values()) > 10 * len(drawn) / 2


def test_what_cannot_be_read_is_seen():
    """Each figure has one fault, which is known as it was put there."""
    fine = new_figure("fine", "x", "y").add_scatter(x=[0, 1], y=[0, 1])
    over = go.Figure(fine)
    for text in ("one text", "another"):
        over.add_annotation(text=text, x=0.5, y=0.5, showarrow=False)
    cut = go.Figure(fine).add_annotation(
        text="far to the right", x=1, xref="paper", xanchor="left", y=0.5, showarrow=False
    )
    cut.update_layout(margin={"r": 5})
    under = go.Figure(fine).add_scatter(x=[0.5], y=[0.5], name="a name")
    under.update_layout(showlegend=True, legend={"x": 0.5, "y": 0.5, "xanchor": "center", "yanchor": "middle"})
    under.add_annotation(text="below the legend", x=0.5, y=0.5, showarrow=False)
    # Boxes of slanted text overlap where the text itself does not.
    slanted = go.Figure(fine)
    for shift in (-15, 15):
        slanted.add_annotation(text="slanted text", x=0.5, y=0.5, textangle=-45, xshift=shift, showarrow=False)
    drawn = {"fine": fine, "over": over, "cut": cut, "under": under, "slanted": slanted}
    seen = measure_figures(drawn, width=400, height=300)
    assert seen["fine"].legible
    assert seen["slanted"].legible
    assert seen["over"].overlapping == (("one text", "another"),)
    assert seen["cut"].cut == ("far to the right",)
    assert seen["under"].covered == ("below the legend",)
    assert seen["under"].hidden > 0
    assert seen["fine"].hidden == 0
    assert measure_figures({}) == {}


def test_a_pdf_has_its_true_size_its_fonts_and_no_pixels(tmp_path):
    """The page is 85 mm by 60 mm within the hundredth of an inch to which Chromium rounds."""
    figure = new_figure("λ", "τ (steps)", "y").add_scatter(x=np.arange(5), y=np.arange(5), mode="lines+markers")
    [pdf] = write_figures({"a": figure}, tmp_path, ["pdf"], style=PAPER)
    content = pdf.read_bytes()
    [box] = re.findall(rb"/MediaBox\s*\[([^\]]*)\]", content)
    _, _, width, height = map(float, box.split())
    assert (width / 72 * 25.4, height / 72 * 25.4) == pytest.approx((85, 60), abs=0.5)
    assert re.search(rb"/FontFile\d?\b", content)
    assert not re.search(rb"/Subtype\s*/Image", content)


def test_a_scene_with_a_long_legend_beside_it_is_seen_from_farther():
    """Titles of its axes stand at its sides; a browser measures no text in a scene, so the distance is what is held."""
    seen = {}
    for n_entries in (2, 12):
        figure = new_figure("space")
        for number in range(n_entries):
            figure.add_scatter3d(x=[0, 1], y=[0, 1], z=[0, 1], mode="lines", name=f"a long name {number}")
        name_axes(figure, ["PC1 (44 %)", "PC2 (31 %)", "PC3 (11 %)"])
        scene = styled(figure, PAPER).layout.scene
        seen[n_entries] = scene.domain.x[1] - scene.domain.x[0], scene.camera.eye.x
    assert seen[12][0] < 0.8 < seen[2][0], "below, and beside"
    assert seen[12][1] > 1.25 * seen[2][1]
