"""One look for each role, in figures and in the explorer's pages, told apart without colour too."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from rnnscope.analyses import linked
from rnnscope.figures import COLOURS, SEQUENTIAL, name_run, new_figure
from rnnscope.figures.palette import ROLES, ink_on, series_look
from rnnscope.figures.paths import add_band, add_directions, add_ends
from rnnscope.figures.points import add_points, apart, point_classes
from rnnscope.percent import percent

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "app" / "assets" / "a_state.js"


def linear(colour: str) -> np.ndarray:
    part = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def test_the_pages_have_the_looks_of_the_figures():
    script = SCRIPT.read_text()
    roles = dict(re.findall(r'^\s+"?([a-z2 ]+)"?: \{ colour: "(#\w+)"', script, re.M))
    symbols = dict(re.findall(r'^\s+"?([a-z2 ]+)"?: \{ colour: "#\w+", symbol: "([\w-]+)"', script, re.M))
    assert set(roles) == {*ROLES} - {"slow"} == {*linked.ROLES}
    for role, colour in roles.items():
        assert (colour, symbols[role]) == (ROLES[role].colour, ROLES[role].symbol)
    [palette] = re.findall(r"const PALETTE = (\[.*\]);", script)
    assert tuple(re.findall(r"#\w+", palette)) == COLOURS
    assert f'const SCALE = "{SEQUENTIAL}";' in script


def test_no_two_roles_differ_by_colour_alone():
    for (a, one), (b, other) in combinations(ROLES.items(), 2):
        assert one.symbol != other.symbol, (a, b)
    for first, second in combinations(range(24), 2):
        one, other = series_look(first), series_look(second)
        assert (one.symbol, one.dash) != (other.symbol, other.dash), (first, second)
    for first, second in combinations(range(6), 2):
        assert series_look(first).dash != series_look(second).dash


def test_letters_are_read_on_every_colour():
    for colour in {*COLOURS, *(look.colour for look in ROLES.values())}:
        bright, dark = sorted(
            (linear(each) @ [0.2126, 0.7152, 0.0722] for each in (colour, ink_on(colour))), reverse=True
        )
        assert (bright + 0.05) / (dark + 0.05) > 3, colour


def test_shares_are_written_alike():
    assert [percent(x) for x in (0.0, 0.00004, 0.0123, 0.099, 0.5, 0.724, 0.9949, 0.996, 0.99999, 1.0)] == [
        "0 %", "< 0.01 %", "1.2 %", "9.9 %", "50 %", "72 %", "99 %", "99.6 %", "99.99 %", "100 %"
    ]  # fmt: skip
    assert [percent(x, 1) for x in (0.12345, 0.9996, 0.99999, 1.0, -1e-16, -0.00005, 2.5)] == [
        "12.3 %", "99.96 %", "99.99 %", "100.0 %", "0 %", "> -0.01 %", "250.0 %"
    ]  # fmt: skip


def test_no_line_writes_shares_in_another_way():
    """Python's own notation has no space before the sign, and rounds what is nearly all to 100%."""
    ours = [path for folder in ("analyses", "rnnscope", "app", "tasks") for path in (ROOT / folder).rglob("*.py")]
    assert len(ours) > 200
    assert [str(path) for path in ours if re.search(r":\.\d%[}\"]", path.read_text())] == []


def test_points_are_sorted_by_what_they_do():
    unstable = np.array([0, 1, 2, 3, 4, 5, 0, 0, 1])
    smooth, marginal = np.arange(9) != 7, np.arange(9) == 6
    classes = point_classes(unstable, 5, smooth, marginal)
    assert {each.name: np.flatnonzero(each.members).tolist() for each in classes} == {
        "stable": [0], "1 unstable direction": [1, 8], "2 unstable directions": [2], "3–4 unstable directions": [3, 4],
        "repelling": [5], "marginal": [6], "at a kink of the map": [7],
    }  # fmt: skip
    assert np.stack([each.members for each in classes]).sum(0).tolist() == [1] * 9, "each in one class"
    assert [each.name for each in point_classes(np.array([1]), 1)] == ["repelling"], "the only direction is unstable"


@pytest.mark.parametrize("dims", [2, 3])
def test_numbers_stand_where_there_is_room(dims):
    rng = np.random.default_rng(dims)
    places = rng.random((25, dims))
    places[7] = places[3] + 1e-6
    written = apart(places)
    assert written[3]
    assert not written[7]
    figure = new_figure("points")
    add_points(figure, places, point_classes(np.zeros(25, int), dims), [str(i) for i in range(25)])
    [trace] = figure.data
    assert list(trace.customdata) == [str(i) for i in range(25)]
    assert [bool(text) for text in trace.text] == written.tolist()
    many = new_figure("many")
    add_points(many, rng.random((31, dims)), point_classes(np.zeros(31, int), dims), [str(i) for i in range(31)])
    assert not any(many.data[0].text), "more numbers than can be read"


def test_a_band_is_drawn_where_both_of_its_edges_are_known():
    low = np.array([0.0, 1.0, np.nan, 3.0, 4.0])
    figure = new_figure("band")
    add_band(figure, np.arange(5.0), low, low + 1, "#0072B2")
    assert list(figure.data[0].x) == [0, 1, 1, 0, None, 3, 4, 4, 3, None]
    assert list(figure.data[0].y) == [1, 2, 1, 0, None, 4, 5, 4, 3, None]
    add_band(figure, np.arange(5.0), low * np.nan, low, "#0072B2")
    assert len(figure.data) == 1


@pytest.mark.parametrize("dims", [2, 3])
def test_trajectories_say_where_they_begin_and_which_way_they_go(dims):
    path = np.zeros((11, dims))
    path[:, 1] = np.arange(11.0)
    figure = new_figure("paths")
    add_ends(figure, [path], "#0072B2")
    add_directions(figure, [path, np.zeros((5, dims))], "#0072B2", 10.0)
    begin, end, arrow = figure.data
    assert (begin.y[0], begin.marker.symbol) == (0, "circle-open")
    assert (end.y[0], end.marker.symbol) == (10, "circle")
    if dims == 3:
        assert (list(arrow.v), list(arrow.u), list(arrow.y)) == ([1], [0], [4.5])
    else:
        assert list(arrow.y[:2]) == [4, 4.5], "from step 4 on the way to step 5"


def test_a_figure_says_of_which_run_it_is():
    figure = name_run(name_run(new_figure("Cycles").update_layout(meta={"a": 1}), "parity-0"), "parity-0")
    assert figure.layout.title.text == "parity-0: Cycles"
    assert figure.layout.meta == {"a": 1, "run": "parity-0"}
