"""Figures in one: everything of a panel keeps its place in its cell, whatever stands beside it."""

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

import rnnscope as rs
from rnnscope import analyses
from rnnscope.figures import Style, new_figure
from rnnscope.figures.cells import Box, Numbers, Place, moved, place_of
from rnnscope.figures.grid import figure_grid
from rnnscope.figures.lengths import PIXELS_PER_MM

# A cell whose plot area is the square from (0.5, 0.2) to (0.9, 0.6) of the page.
PLACE = Place(0.5, 0.2, 0.4, 0.4, (0.4, 0.1, 0.5, 0.5))


def put(figure: go.Figure, place: Place = PLACE, numbers: Numbers | None = None) -> go.Figure:
    data, layout = moved(figure.to_dict(), place, numbers or Numbers(), "A")
    return go.Figure({"data": data, "layout": layout})


def line(title: str = "", barmode: str | None = None, **look: object) -> go.Figure:
    figure = new_figure(title, "x", "y").update_layout(barmode=barmode)
    return figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name=title or "line", **look)


def test_axes_of_subplots_keep_their_shares():
    figure = make_subplots(rows=2, cols=2, column_widths=[3, 1], vertical_spacing=0.2, horizontal_spacing=0.2)
    for row in (1, 2):
        for column in (1, 2):
            figure.add_scatter(x=[0, 1], y=[0, 1], row=row, col=column)
    found = put(figure)
    for name in ("xaxis", "xaxis2", "xaxis3", "xaxis4"):
        assert found.layout[name].domain == pytest.approx([0.5 + 0.4 * u for u in figure.layout[name].domain])
    for name in ("yaxis", "yaxis2", "yaxis3", "yaxis4"):
        assert found.layout[name].domain == pytest.approx([0.2 + 0.4 * v for v in figure.layout[name].domain])


def test_axes_are_renamed_in_all_that_refers_to_them():
    numbers = Numbers()
    put(line(), numbers=numbers)  # takes x and y
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True)
    figure.add_scatter(x=[0], y=[0], row=1, col=1).add_scatter(x=[0], y=[0], row=1, col=2)
    figure.update_xaxes(matches="x")
    figure.update_yaxes(scaleanchor="x", row=1, col=1)
    figure.add_annotation(x=0, y=0, ax=1, ay=1, xref="x2", yref="y2", axref="x2", ayref="y2", text="a")
    figure.add_annotation(x=0.5, y=0, xref="x domain", yref="y", text="b")
    figure.add_vline(x=0.3, row=1, col=2)
    figure.add_layout_image(source="data:,", x=0, y=0, sizex=1, sizey=1, xref="x2", yref="y2")
    found = put(figure, numbers=numbers)
    assert [(trace.xaxis, trace.yaxis) for trace in found.data] == [("x2", "y2"), ("x3", "y3")]
    assert found.layout.xaxis3.matches == found.layout.xaxis2.matches == "x2"
    assert found.layout.yaxis3.matches == "y2"
    assert (found.layout.xaxis2.anchor, found.layout.yaxis3.anchor) == ("y2", "x3")
    assert found.layout.yaxis2.scaleanchor == "x2"
    a, b = found.layout.annotations
    assert (a.xref, a.yref, a.axref, a.ayref) == ("x3", "y3", "x3", "y3")
    assert (b.xref, b.yref, b.x) == ("x2 domain", "y2", 0.5)
    assert (found.layout.shapes[0].xref, found.layout.shapes[0].yref) == ("x3", "y3 domain")
    assert (found.layout.images[0].xref, found.layout.images[0].sizex) == ("x3", 1)


@pytest.mark.parametrize("kind", ["axes", "scene", "polar", "pie"])
def test_what_stands_in_paper_coordinates_moves_with_any_kind_of_plot(kind):
    trace = {
        "axes": go.Scatter(x=[0, 1], y=[0, 1]),
        "scene": go.Scatter3d(x=[0, 1], y=[0, 1], z=[0, 1]),
        "polar": go.Scatterpolar(r=[0, 1], theta=[0, 1]),
        "pie": go.Pie(values=[1, 2]),
    }[kind]
    figure = go.Figure(trace)
    figure.add_annotation(x=0.25, y=1.0, xref="paper", yref="paper", text="a", showarrow=False)
    figure.add_shape(type="rect", x0=0, x1=0.5, y0=0, y1=1, xref="paper", yref="paper")
    figure.add_layout_image(source="data:,", x=0, y=1, sizex=0.5, sizey=0.25, xref="paper", yref="paper")
    found = put(figure)
    (a,), (shape,), (image,) = found.layout.annotations, found.layout.shapes, found.layout.images
    assert (a.x, a.y) == pytest.approx((0.6, 0.6))
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == pytest.approx((0.5, 0.7, 0.2, 0.6))
    assert (image.x, image.y, image.sizex, image.sizey) == pytest.approx((0.5, 0.6, 0.2, 0.1))
    where = {
        "axes": lambda: {"x": found.layout.xaxis.domain, "y": found.layout.yaxis.domain},
        "scene": lambda: found.layout.scene.domain,
        "polar": lambda: found.layout.polar.domain,
        "pie": lambda: found.data[0].domain,
    }[kind]()
    assert where["x"] == pytest.approx((0.5, 0.9))
    assert where["y"] == pytest.approx((0.2, 0.6))
    assert kind == "axes" or "xaxis" not in found.to_dict()["layout"], "axes that were not there are drawn"


def test_colour_bars_and_colour_axes():
    numbers = Numbers()
    put(go.Figure(go.Heatmap(z=[[1, 2]], coloraxis="coloraxis"), layout={"coloraxis": {}}), numbers=numbers)
    figure = go.Figure([go.Heatmap(z=[[1, 2]], colorbar={"x": 1.1, "len": 0.5, "y": 0.25}), go.Scatter(x=[0], y=[0])])
    figure.data[1].marker = {"color": [1], "coloraxis": "coloraxis"}
    figure.update_layout(coloraxis={"colorbar": {"x": -0.5}})
    found = put(figure, numbers=numbers)
    bar = found.data[0].colorbar
    assert (bar.x, bar.y, bar.len) == pytest.approx((0.94, 0.3, 0.2))
    assert found.data[1].marker.coloraxis == "coloraxis2"
    assert found.layout.coloraxis2.colorbar.x == pytest.approx(0.3)


def test_a_second_axis_over_the_first():
    figure = go.Figure([go.Scatter(x=[0], y=[0]), go.Scatter(x=[0], y=[5], yaxis="y2")])
    figure.update_layout(yaxis2={"overlaying": "y", "side": "right"})
    numbers = Numbers()
    put(line(), numbers=numbers)
    found = put(figure, numbers=numbers)
    assert (found.layout.yaxis3.overlaying, found.layout.yaxis3.anchor, found.layout.yaxis3.side) == (
        "y2",
        "x2",
        "right",
    )
    assert found.layout.yaxis3.domain is None, "it has that of the axis below it"


def test_the_plot_area_is_what_the_margins_leave():
    figure = go.Figure(go.Scatter(x=[0], y=[0]), layout={"margin": {"l": 20, "r": 30, "t": 10, "b": 40}}).to_dict()
    place = place_of(figure["layout"], figure["data"], Box(100.0, 50.0, 250.0, 150.0), (1000.0, 500.0))
    assert (place.x, place.y, place.width, place.height) == pytest.approx((0.12, 0.18, 0.2, 0.2))
    assert place.cell == pytest.approx((0.1, 0.1, 0.25, 0.3))


# --- the grid --------------------------------------------------------------------------------------------------------


def corners(figure: go.Figure) -> np.ndarray:
    """left, right, bottom, top of the axes of each line, in pixels, one row for each."""
    found = []
    for trace in figure.data:
        if trace.name and trace.name.startswith("line"):
            x = figure.layout[f"xaxis{trace.xaxis[1:]}"].domain
            y = figure.layout[f"yaxis{trace.yaxis[1:]}"].domain
            found.append([*np.array(x) * figure.layout.width, *np.array(y) * figure.layout.height])
    return np.array(found)


def test_panels_stand_in_rows_and_columns():
    panels = [line(f"line {k}") for k in range(4)]
    figure = figure_grid([panels[:2], panels[2:]], style="paper", width="180mm", height="120mm")
    assert (figure.layout.width, figure.layout.height) == pytest.approx(
        (180 * PIXELS_PER_MM, 120 * PIXELS_PER_MM), abs=1
    )
    (a, b, c, d) = corners(figure)
    assert a[1] < b[0]
    assert c[1] < d[0]  # left of
    assert a[2] > c[3]
    assert b[2] > d[3]  # above
    sizes = [(e[1] - e[0], e[3] - e[2]) for e in (a, b, c, d)]
    assert np.ptp(sizes, axis=0) == pytest.approx([0, 0], abs=1)
    assert figure.layout.margin.autoexpand is False


def test_widths_heights_and_rows_within():
    wide = figure_grid(
        [[line("line 0"), line("line 1")], [line("line 2"), [[line("line 3")], [line("line 4")]]]],
        widths=[3, 1],
        heights=[1, 2],
        width="1000px",
        height="900px",
    )
    a, b, c, d, e = corners(wide)
    assert (a[1] - a[0]) > 2 * (b[1] - b[0])
    assert (c[3] - c[2]) > 1.8 * (a[3] - a[2])
    assert d[2] > e[3]
    assert d[:2] == pytest.approx(e[:2], abs=1)


def test_letters_stand_at_the_corners_of_cells():
    figure = figure_grid([[line("a"), None], [line("b"), line("c")]], letters=True, style="paper", width="180mm")
    letters = [a for a in figure.layout.annotations if "<b>" in a.text]
    assert [a.text.split("<b>")[1][0] for a in letters] == ["A", "B", "C"]
    assert [a.x for a in letters] == pytest.approx([0, 0, 0.5], abs=0.02)
    assert letters[0].y > 0.9 > 0.5 > letters[1].y == letters[2].y
    own = figure_grid([[line("a"), line("b")]], letters=["i", "ii"])
    assert [a.text.split("<b>")[1].split("<")[0] for a in own.layout.annotations if "<b>" in a.text] == ["i", "ii"]


def test_a_shared_legend_has_each_name_once():
    panels = [line("one", line_color="#000000"), line("two", line_color="#D55E00"), line("one", line_color="#000000")]
    for panel in panels:
        panel.update_layout(showlegend=True)
    figure = figure_grid([panels], style="paper", width="180mm", shared_legend=True)
    words = [t for trace in figure.data for t in (trace.text or ()) if isinstance(t, str)]
    assert sorted(words) == ["one", "two"]
    assert not any(trace.showlegend for trace in figure.data)
    strip = max(figure.layout[f"yaxis{trace.yaxis[1:]}"].domain[1] for trace in figure.data if trace.mode == "text")
    axes = min(figure.layout[f"yaxis{trace.yaxis[1:]}"].domain[0] for trace in figure.data if trace.name)
    assert 0 < strip < axes, "it stands below all panels"


def test_a_shared_camera():
    def scene(eye: float | None) -> go.Figure:
        figure = go.Figure(go.Scatter3d(x=[0, 1], y=[0, 1], z=[0, 1]))
        return figure if eye is None else figure.update_layout(scene_camera_eye={"x": eye, "y": 1, "z": 1})

    figure = figure_grid([[scene(2.0), line("a"), scene(3.0)]], shared_camera=True)
    first, second = figure.layout.scene.camera, figure.layout.scene2.camera
    assert first.eye.x == second.eye.x
    apart = figure_grid([[scene(2.0), scene(3.0)]])
    assert apart.layout.scene.camera.eye.x != apart.layout.scene2.camera.eye.x


def test_results_and_their_drawings():
    four = rs.FunctionMap(lambda h: np.tanh(2 * h), state_size=2, domain=(-1, 1))
    found = analyses.find_fixed_points(four, n_starts=64)
    assert len(found) == 9
    figure = figure_grid([[found, (found, "places"), (found, "fixed_points-places", {"dims": 2})]], width="1200px")
    assert figure.data
    with pytest.raises(ValueError, match=r"fixed_points has no drawing 'placse'; it has fixed_points, fixed_points-pl"):
        figure_grid([[(found, "placse")]])
    with pytest.raises((ValueError, TypeError), match="dims"):
        figure_grid([[(found, "places", {"dims": 4})]])


def test_panels_are_as_they_were():
    panel = line("a")
    before = panel.to_json()
    figure_grid([[panel, panel]], letters=True, shared_legend=True)
    assert panel.to_json() == before


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        ([], {}, "there are no panels"),
        ([[]], {}, "there are no panels"),
        ("abc", {}, "rows are lists of panels"),
        (line(), {}, "rows are lists of panels"),
        ([line()], {}, "a row is a list of panels"),
        ([[3]], {}, "a panel is a figure, a result, .* got int"),
        ([[line(), line()]], {"widths": [1]}, "1 widths, and rows of 2 panels"),
        ([[line(), line()]], {"widths": [1, 0]}, "widths are numbers greater than 0"),
        ([[line()]], {"heights": [1, 2]}, "1 rows and 2 heights"),
        ([[line()]], {"letters": ["A", "B"]}, "1 panels and 2 letters"),
        ([[line()]], {"style": "poster"}, "unknown style 'poster'"),
        ([[line(barmode="stack"), line(barmode="group")]], {}, "draw them apart"),
        (
            [[line("a", line_color="red"), line("a", line_color="blue")]],
            {"shared_legend": True},
            "cannot share a legend",
        ),
    ],
)
def test_what_makes_no_grid_is_refused(rows, options, told, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)  # users have no check of annotations
    for each in rows if isinstance(rows, list) else ():
        for panel in each if isinstance(each, list) else ():
            if isinstance(panel, go.Figure):
                panel.update_layout(showlegend=True)
    with pytest.raises((ValueError, TypeError), match=told):
        figure_grid(rows, **options)


def test_a_style_of_ones_own():
    style = Style("paper", 100.0, 50.0, 6.0, 0.5, 0.5, title=False)
    figure = figure_grid([[line("a"), line("b")]], style=style)
    assert figure.layout.width == pytest.approx(100 * PIXELS_PER_MM, abs=1)
    assert figure.layout.font.size == pytest.approx(8)
