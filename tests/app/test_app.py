"""The explorer in a real browser, offline: its pages, what is selected in one view and seen in all, what is saved."""

import base64
import http.server
import json
import re
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import PATIENCE, Page

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable, analyse
from rnnscope.app import saved_views
from rnnscope.app.cards import cards
from rnnscope.cells import Vanilla
from rnnscope.records.runs import Run
from rnnscope.tasks import Parity

SERVE = "import sys; from rnnscope.app import serve; serve(*sys.argv[1:], port=0)"
WHOLE = "whole"


@pytest.fixture(scope="module")
def folder(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: one with all results, one without any, one whose results are damaged."""
    folder = tmp_path_factory.mktemp("explorer") / "runs"
    shutil.copytree(bare, folder)
    training = {"checkpoints": (0, 40)}
    rs.train(Parity(2), Vanilla(6), steps=80, name=WHOLE, folder=folder, progress=False, seed=1, **training)
    whole = rs.load_run(folder / WHOLE)
    analyse(whole, settings={name: entry.quick for name, entry in ANALYSES.items()})
    assert {*whole.results, *whole.skipped} == set(ANALYSES)
    shutil.copytree(folder / WHOLE, folder / "damaged")
    for kept in whole.kept():
        if kept.reason is None:
            (folder / "damaged" / kept.path.relative_to(folder / WHOLE)).write_bytes(b"{")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path, module_server: Any) -> str:
    return module_server(SERVE, folder)[0]


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    opened = Page(browser, address)
    yield opened
    opened.close()


def _views(shown: Any) -> None:
    """Wait until all linked views are drawn."""
    for name in ("space", "trial", "units", "eigenvalues", "loss"):
        shown.locator(f"#view-{name} .main-svg").first.wait_for()
    shown.locator("#view-space .overlay").wait_for(state="attached")


def _selected(shown: Any) -> dict[str, Any]:
    return shown.evaluate("({ ...window.rnnscope.shared.selected })")


def _wait(shown: Any, condition: str) -> None:
    """Until a condition in the page holds. `wait_for_function` would evaluate text in the page, which it forbids."""
    until = time.monotonic() + PATIENCE / 1000
    while not shown.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < until, f"never became so: {condition}"
        shown.wait_for_timeout(50)


# --- cards -----------------------------------------------------------------------------------------------------------


def test_every_figure_is_drawn_when_it_comes_into_view(page: Page, folder: Path) -> None:
    whole = rs.load_run(folder / WHOLE)
    shown = page.open(f"/run/{WHOLE}")
    shown.locator("#run-head h1", has_text=WHOLE).wait_for()
    _views(shown)
    names = [card for name in whole.results for card in ANALYSES[name].figures]
    for name in (*names, "training"):
        card = shown.locator(f"#card-{name}")
        card.scroll_into_view_if_needed()
        if not _has_figure(whole, name):
            card.locator(".missing", has_text="There is no such figure of this result").wait_for()
            continue
        # Attached, not visible: to a browser a line that is exactly horizontal has no height. What says no more than a
        # sentence is one.
        drawn = ".scatterlayer .trace path, .heatmaplayer image, .barlayer path, .glcanvas, canvas, .annotation-text"
        card.locator(drawn).first.wait_for(state="attached")
        box = card.locator(".js-plotly-plot").bounding_box()
        assert box["width"] > 300, name
        assert box["height"] > 300, name
        summed = bool(card.locator(".summary").inner_text().strip())
        assert summed == (name in (*ANALYSES, "training")), f"{name}: a result is summed up once"
        assert card.locator(".js-plotly-plot").get_attribute("aria-label"), f"{name} has no text for who cannot see it"
    for name, reason in whole.skipped.items():
        assert shown.locator(f"#card-{name}").is_hidden(), f"{name} does not apply and takes room"
        assert reason in shown.locator("#absent").inner_text() or reason in shown.locator("#absent").inner_html()


def _has_figure(run: Run, card: str) -> bool:
    """Whether there is something to draw of this kind: the result itself says so."""
    for entry in ANALYSES.values():
        if card in entry.figures:
            try:
                entry.figures[card].draw(run.kept(entry.name)[-1].load())
            except NotApplicable:
                return False
    return True


def test_a_run_that_was_not_analysed_says_how_and_back_leads_back(page: Page) -> None:
    shown = page.open("/")
    shown.locator("a.run-name", has_text="bare").click()
    shown.wait_for_url("**/run/bare")
    shown.locator("#run-head h1", has_text="bare").wait_for()
    _views(shown)
    assert f"{len(ANALYSES)} not run yet" in shown.locator("#absent").inner_text()
    assert "rnnscope analyze" in shown.locator("#absent").inner_html()
    shown.locator("#tile-fixed_points", has_text="not run yet").wait_for()
    shown.go_back()
    shown.locator("#page-runs.page a.run-name", has_text=WHOLE).click()
    shown.locator("#run-head h1", has_text=WHOLE).wait_for()
    shown.go_back()
    shown.wait_for_url("**/")
    shown.locator("#page-runs.page").wait_for()


def test_damaged_results_cost_their_own_cards(page: Page, folder: Path) -> None:
    shown = page.open("/run/damaged")
    _views(shown)  # from the weights, which are whole
    for name in rs.load_run(folder / "damaged").results:
        card = shown.locator(f"#card-{name}")
        card.scroll_into_view_if_needed()
        card.locator(".error", has_text="damaged").wait_for()
    shown.locator("#tile-lyapunov", has_text="damaged").wait_for()


def test_a_card_is_enlarged_and_taken_away(page: Page, folder: Path, tmp_path: Path) -> None:
    shown = page.open(f"/run/{WHOLE}")
    card = shown.locator("#card-lyapunov")
    card.scroll_into_view_if_needed()
    card.locator(".main-svg").first.wait_for()
    small = card.bounding_box()["width"]
    card.locator("[data-enlarge]").click()
    assert card.bounding_box()["width"] > 1.5 * small
    shown.keyboard.press("Escape")
    assert card.bounding_box()["width"] == pytest.approx(small, abs=1)
    begins = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF", "csv": b"# whole, lyapunov", "py": b"import rnnscope"}
    for kind, begin in begins.items():
        card.locator(".export summary").click()
        with shown.expect_download() as waiting:
            card.locator(f'[data-export="{kind}"]').click()
        assert waiting.value.suggested_filename == f"{WHOLE}-lyapunov.{kind}"
        waiting.value.save_as(tmp_path / kind)
        assert (tmp_path / kind).read_bytes().startswith(begin), f"{kind} is no {kind}"
    code = (tmp_path / "py").read_text().replace(".show()", "")
    made: dict[str, Any] = {}
    exec(code, made)
    assert made["result"].summary() == rs.load_run(folder / WHOLE).shown("lyapunov").load().summary()


def _option(page: Any, card: str, name: str) -> Any:
    return page.locator(f"""[id='{{"name":"{name}","part":"{card}","type":"option-text"}}']""")


def test_options_of_a_card_are_those_of_its_figure_and_are_kept(page: Page, folder: Path, tmp_path: Path) -> None:
    shown = page.open(f"/run/{WHOLE}")
    card = shown.locator("#card-state_space")
    _views(shown)
    card.scroll_into_view_if_needed()
    card.locator(".frame canvas").first.wait_for(state="attached")
    card.locator("[data-options]").focus()
    shown.keyboard.press("Enter")
    _wait(shown, "document.activeElement.closest('#options-fields')")
    assert card.locator("#options-fields label").all_inner_texts() == ["dims", "colour", "trials", "components"]
    _option(shown, "state_space", "trials").fill("99")
    wrong = card.locator(".mantine-InputWrapper-error")
    wrong.filter(has_text="trials has no row 99").wait_for()
    assert "state_space" not in shown.url, "what cannot be drawn is not kept"
    _option(shown, "state_space", "trials").fill("0, 3")
    card.locator(".about", has_text="2 of 16 trials").wait_for()
    _option(shown, "state_space", "dims").click()
    shown.get_by_role("option", name="2", exact=True).click()
    card.locator(".frame .xaxislayer-above").first.wait_for(state="attached")
    assert wrong.count() == 0
    shown.wait_for_url("**/run/whole?state_space.dims=2&state_space.trials=0%2C+3*")
    shown.keyboard.press("Escape")
    assert shown.evaluate("document.activeElement.matches('#card-state_space [data-options]')")
    for kind, begin in {"svg": "<svg", "py": "import rnnscope", "pdf": "%PDF"}.items():
        card.locator(".export summary").click()
        with shown.expect_download() as waiting:
            card.locator(f'[data-export="{kind}"]').click()
        waiting.value.save_as(tmp_path / kind)
        assert (tmp_path / kind).read_bytes().startswith(begin.encode()), kind
    assert "PC3" not in (tmp_path / "svg").read_text()
    assert "result.figure(dims=2, trials=[0, 3])" in (tmp_path / "py").read_text()
    shown.locator("#view-name").fill("flat")
    shown.locator("#view-save").click()
    shown.locator("#view-link").wait_for()
    link = shown.locator("#view-link").get_attribute("href")
    assert saved_views.read(folder / WHOLE)["flat"] == {"state_space.dims": "2", "state_space.trials": "0, 3"}
    shown.goto(f"{page.address}{link}")
    card.scroll_into_view_if_needed()
    card.locator(".about", has_text="2 of 16 trials").wait_for()
    assert card.locator("[data-options]").get_attribute("class") == "options changed"
    card.locator("[data-options]").click()
    _wait(shown, "document.activeElement.closest('#options-fields')")
    assert _option(shown, "state_space", "trials").input_value() == "0, 3"
    shown.locator("#options-reset").click()
    card.locator(".frame canvas").first.wait_for(state="attached")
    _wait(shown, "!window.location.search.includes('state_space')")
    (folder / WHOLE / saved_views.FILE).unlink()


def test_an_address_with_options_that_cannot_be_says_so_at_the_card(page: Page) -> None:
    shown = page.open(f"/run/{WHOLE}?state_space.trials=77&state_space.nothing=1")
    card = shown.locator("#card-state_space")
    card.scroll_into_view_if_needed()
    card.locator(".error", has_text="this figure has no option nothing").wait_for()
    card.locator("[data-options]").click()
    _option(shown, "state_space", "trials").wait_for()
    shown.locator("#options-reset").click()
    card.locator(".frame canvas").first.wait_for(state="attached")


# --- linked views ----------------------------------------------------------------------------------------------------


def test_a_selection_is_seen_in_all_views_in_both_directions(page: Page) -> None:
    shown = page.open(f"/run/{WHOLE}")
    _views(shown)
    # A click on the picture of the units chooses a step and a unit; trial, time and unit follow.
    box = shown.locator("#view-units .nsewdrag").bounding_box()
    shown.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    shown.locator("#view-unit .main-svg").first.wait_for()
    chosen = _selected(shown)
    assert chosen["unit"] in (2, 3)
    assert chosen["time"] > 0
    _wait(shown, f"document.getElementById('time-note').textContent.startsWith('step {chosen['time']} ')")
    assert str(chosen["unit"]) in shown.locator("#unit-note").inner_text()
    cursor = shown.locator("#view-trial .time-cursor").bounding_box()["x"]
    # The slider moves every view.
    shown.locator("#time-slider [role=slider]").press("ArrowRight")
    _wait(shown, f"window.rnnscope.shared.selected.time === {chosen['time'] + 1}")
    assert shown.locator("#view-trial .time-cursor").bounding_box()["x"] > cursor
    # A click in the trial goes to its step.
    place = shown.evaluate(
        """() => { const g = document.getElementById('view-trial'), x = g._fullLayout.xaxis, y = g._fullLayout.yaxis,
        box = g.getBoundingClientRect();
        return [box.left + x._offset + x.l2p(0), box.top + y._offset + y.l2p(g.data[0].y[0])]; }"""
    )
    shown.mouse.move(*place)
    shown.mouse.click(*place)
    _wait(shown, "window.rnnscope.shared.selected.time === 0")
    # An eigenvalue chooses its point, which shows its own eigenvalues in front.
    shown.locator("#view-eigenvalues").scroll_into_view_if_needed()
    number = shown.evaluate("window.rnnscope.shared.scene.points.number[0]")
    place = shown.evaluate(
        """() => { const g = document.getElementById('view-eigenvalues'), f = g._fullLayout,
        p = rnnscope.shared.scene.points, box = g.getBoundingClientRect();
        return [box.left + f.xaxis._offset + f.xaxis.l2p(p.real[0]),
        box.top + f.yaxis._offset + f.yaxis.l2p(p.imaginary[0])]; }"""
    )
    shown.mouse.move(*place)
    shown.mouse.click(*place)
    _wait(shown, f"window.rnnscope.shared.selected.point === {number}")
    _wait(shown, "document.getElementById('view-eigenvalues').data.at(-1).x.length > 0")
    # Escape lets go of all.
    shown.keyboard.press("Escape")
    _wait(shown, "window.rnnscope.shared.selected.point === null")
    assert shown.evaluate("document.getElementById('view-eigenvalues').data.at(-1).x.length") == 0


def test_states_of_the_automaton_light_up_and_follow_the_trial(page: Page) -> None:
    shown = page.open(f"/run/{WHOLE}?time=2")
    _views(shown)
    _wait(shown, "document.querySelector('#view-machine')._cyreg?.cy.nodes('.here').length === 1")
    here = shown.evaluate("document.querySelector('#view-machine')._cyreg.cy.nodes('.here')[0].data('state')")
    scene = "window.rnnscope.shared.scene"
    assert here == shown.evaluate(f"{scene}.machineState[2]")
    # What it has read is what the trial showed.
    symbols = shown.evaluate(f"[0, 1, 2].map(t => {scene}.machine.symbols[{scene}.symbol[t]])")
    letters = shown.locator("#machine-word .letter")
    assert [letters.nth(k).inner_text() for k in range(3)] == symbols
    assert letters.nth(2).get_attribute("class") == "letter now"
    # A click on a state chooses it; its states in the space are lit; a click on a letter goes to its step.
    spot = shown.evaluate(
        """() => { const cy = document.querySelector('#view-machine')._cyreg.cy, at = cy.nodes()[0].renderedPosition(),
        box = cy.container().getBoundingClientRect();
        return [box.left + at.x, box.top + at.y, cy.nodes()[0].data('state')]; }"""
    )
    shown.mouse.click(spot[0], spot[1])
    _wait(shown, f"window.rnnscope.shared.selected.state === {spot[2]}")
    assert shown.evaluate("document.querySelector('#view-machine')._cyreg.cy.nodes('.chosen').length") == 1
    letters.nth(0).click()
    _wait(shown, "window.rnnscope.shared.selected.time === 0")


INK = """() => { const c = document.querySelector('#view-space .backdrop');
const at = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
let sum = 0; for (let i = 3; i < at.length; i += 4) sum += at[i]; return sum; }"""


def test_flow_and_basins_lie_around_the_states_and_follow_the_selection(page: Page, folder: Path) -> None:
    basins = rs.load_run(folder / WHOLE).shown("basins").load()
    shown = page.open(f"/run/{WHOLE}?dims=2&layers=")
    _views(shown)
    words, empty = shown.locator("#field-words"), shown.evaluate(INK)
    shown.locator("#look-layers label, .mantine-Chip-label", has_text="basins").click()
    words.filter(has_text=f"basins (squares) of {len(basins.starts):,} starts, {basins.starts.drawn_from}").wait_for()
    assert shown.evaluate(INK) > empty, "the starts are drawn"
    # A plane through a point goes where the point is; without one it says what to do.
    shown.locator("#look-flow").click()
    shown.get_by_role("option", name="flow through the selected point").click()
    words.filter(has_text="select a point").wait_for()
    before, number = shown.evaluate(INK), shown.evaluate("window.rnnscope.shared.scene.points.number[0]")
    shown.evaluate(f"window.rnnscope.select({{ point: {number} }})")
    words.filter(has_text="% of the squared steps lead out of it").wait_for()
    _wait(shown, f"({INK})() !== {before}")
    shown.wait_for_url("**flow=point**")
    # Through the cursor it goes along with it, in another plane and in space as well.
    shown.goto(f"{page.address}/run/{WHOLE}?flow=state&plane=13&time=1&trial=2")
    _views(shown)
    words.filter(has_text="flow along PC1 and PC3").wait_for()
    with shown.expect_request("**/_flow/whole/13/state-2-2*"):
        shown.keyboard.press("ArrowRight")


def test_exponents_and_growth_follow_the_trial(page: Page, folder: Path) -> None:
    spectrum = rs.load_run(folder / WHOLE).shown("lyapunov").load()
    shown = page.open(f"/run/{WHOLE}?trial=1")
    _views(shown)
    _wait(shown, "document.getElementById('view-exponents').data?.length === 2")
    drawn = shown.evaluate("Array.from(document.getElementById('view-exponents').data[0].y)")
    assert drawn == pytest.approx(spectrum.exponents.tolist(), rel=1e-4)
    shown.locator("#view-exponents").scroll_into_view_if_needed()
    place = shown.evaluate(
        """() => { const g = document.getElementById('view-exponents'), f = g._fullLayout, y = g.data[1].y;
        const t = y.findLastIndex(v => v !== null), box = g.getBoundingClientRect();
        return [box.left + f.xaxis2._offset + f.xaxis2.l2p(t), box.top + f.yaxis2._offset + f.yaxis2.l2p(y[t]), t]; }"""
    )
    shown.mouse.move(*place[:2])
    shown.mouse.click(*place[:2])
    _wait(shown, f"window.rnnscope.shared.selected.time === {place[2]}")
    shown.locator("#view-units").scroll_into_view_if_needed()
    shown.evaluate("window.rnnscope.select({ unit: 2 })")
    shown.locator("#unit-note", has_text="autocorrelation").wait_for()


def test_it_plays_by_key_and_stops_at_the_end(page: Page) -> None:
    shown = page.open(f"/run/{WHOLE}")
    _views(shown)
    shown.evaluate("document.activeElement.blur()")
    shown.keyboard.press("ArrowDown")
    _wait(shown, "window.rnnscope.shared.selected.trial === 1")
    shown.keyboard.press(" ")
    _wait(shown, "window.rnnscope.shared.playing !== null")
    last = "window.rnnscope.shared.scene.length[1] - 1"
    _wait(shown, f"window.rnnscope.shared.playing === null && window.rnnscope.shared.selected.time === {last}")
    shown.keyboard.press("?")
    assert shown.locator("#help").is_visible()
    shown.keyboard.press("Escape")
    shown.keyboard.press("/")
    _wait(shown, "document.activeElement.id === 'runs-search'")


def test_the_address_holds_the_view_and_a_saved_one_is_a_short_link(page: Page, folder: Path) -> None:
    shown = page.open(f"/run/{WHOLE}?trial=3&time=2&unit=1&dims=2&colour=trial")
    _views(shown)
    _wait(shown, "window.rnnscope.shared.unitData?.unit === 1")
    assert _selected(shown) == {"trial": 3, "time": 2, "point": None, "unit": 1, "state": None}
    assert shown.evaluate("document.getElementById('view-space').data[0].type") == "scatter"
    shown.evaluate("window.rnnscope.select({ time: 4 })")
    shown.wait_for_url("**time=4**")
    shown.reload()
    _views(shown)
    assert _selected(shown)["time"] == 4
    shown.locator("#view-name").fill("two trials")
    shown.locator("#view-save").click()
    link = shown.locator("#view-link").get_attribute("href")
    assert link == f"/run/{WHOLE}?view=two+trials"
    shown.goto(page.address + link)
    _views(shown)
    _wait(shown, "window.rnnscope.shared.selected.time === 4 && window.rnnscope.shared.look.dims === '2'")
    assert rs.load_run(folder / WHOLE).name == WHOLE, "a saved view does no harm to the run"


def test_a_slider_moves_all_views_through_training(page: Page) -> None:
    shown = page.open(f"/run/{WHOLE}")
    _views(shown)
    before = shown.evaluate("Array.from(window.rnnscope.shared.scene.xyz.slice(0, 3))")
    shown.keyboard.press("[")
    _wait(shown, "window.rnnscope.shared.scene?.step === 40")
    assert shown.evaluate("Array.from(window.rnnscope.shared.scene.xyz.slice(0, 3))") != before
    shown.wait_for_url("**step=40**")
    shown.reload()
    _views(shown)
    _wait(shown, "window.rnnscope.shared.scene?.step === 40")


def test_while_a_run_is_read_nothing_of_another_is_shown_and_the_slider_counts(page: Page) -> None:
    shown = page.open("/run/bare")
    _views(shown)
    held: list[Any] = []
    shown.route("**/_scene/whole*", lambda route: held.append(route))
    shown.locator("#nav-runs").click()
    shown.locator("a.run-name", has_text=WHOLE).click()
    shown.locator("#run-head h1", has_text=WHOLE).wait_for()
    _wait(shown, "document.getElementById('views').classList.contains('hidden')")
    while not held:
        shown.wait_for_timeout(50)
    shown.keyboard.press("ArrowDown")  # there is nothing to move in
    assert shown.evaluate("window.rnnscope.shared.scene") is None
    shown.evaluate("window.dash_clientside.set_props('step-slider', { value: 0 })")
    while len(held) < 2:
        shown.wait_for_timeout(50)
    for route in held:
        route.continue_()
    _views(shown)
    _wait(shown, "window.rnnscope.shared.scene?.step === 0")
    assert shown.evaluate("window.rnnscope.shared.scene.run") == WHOLE


def test_a_box_in_the_plane_says_what_was_caught(page: Page, tmp_path: Path) -> None:
    shown = page.open(f"/run/{WHOLE}?dims=2")
    _views(shown)
    shown.evaluate("window.Plotly.relayout('view-space', { dragmode: 'select' })")
    box = shown.locator("#view-space .nsewdrag").bounding_box()
    # Not from the very corner, where plotly stretches the axes.
    shown.evaluate("window.Plotly.relayout('view-space', { 'xaxis.range': [-9, 9], 'yaxis.range': [-9, 9] })")
    shown.mouse.move(box["x"] + 30, box["y"] + 30)
    shown.mouse.down()
    shown.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] - 30, steps=8)
    shown.mouse.up()
    shown.locator("#picked").wait_for()
    total = shown.evaluate("window.rnnscope.shared.scene.length.reduce((a, b) => a + b, 0)")
    assert f"{total:,} states of" in shown.locator("#picked-note").inner_text()
    shown.locator("#picked-name").fill("all of it")
    with shown.expect_download() as waiting:
        shown.locator("#picked-csv").click()
    assert waiting.value.suggested_filename == f"{WHOLE}-all_of_it.csv"
    waiting.value.save_as(tmp_path / "picked.csv")
    rows = (tmp_path / "picked.csv").read_text().splitlines()
    labels = shown.evaluate("Object.keys(window.rnnscope.shared.scene.labels)")
    header = ["trial", "step", "nearest_point", "machine_state", *labels, "pc1", "pc2", "pc3"]
    assert rows[0].split(",") == header
    assert len(rows) == 1 + total
    assert shown.locator("#picked-names th").count() == len(header)
    shown.locator("#picked-rows tr").nth(3).click()
    cells = rows[4].split(",")
    assert [_selected(shown)[name] for name in ("trial", "time")] == [int(cells[0]), int(cells[1])]


def test_states_in_space_have_colours(page: Page) -> None:
    """WebGL that is not there, or gives up, leaves a canvas that is empty."""
    shown = page.open(f"/run/{WHOLE}")
    _views(shown)
    box = shown.locator("#view-space").bounding_box()
    clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}
    picture = base64.b64encode(shown.screenshot(clip=clip)).decode()
    assert shown.evaluate(_COUNT, f"data:image/png;base64,{picture}") > 200


_COUNT = """async url => {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.width;
    canvas.height = image.height;
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, image.width, image.height).data;
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
        const pixel = data.slice(i, i + 3);
        count += Math.max(...pixel) - Math.min(...pixel) > 60;
    }
    return count;
}"""


def test_dark_is_kept(page: Page) -> None:
    shown = page.open("/")
    shown.locator("a.run-name").first.wait_for()
    before = shown.evaluate("document.documentElement.dataset.scheme")
    shown.locator("#scheme-button").click()
    _wait(shown, f"document.documentElement.dataset.scheme !== {json.dumps(before)}")
    shown.reload()
    shown.locator("a.run-name").first.wait_for()
    assert shown.evaluate("document.documentElement.dataset.scheme") != before


# --- the list --------------------------------------------------------------------------------------------------------


def test_the_list_searches_sorts_tags_and_gives_a_file(page: Page, folder: Path, tmp_path: Path) -> None:
    shown = page.open("/")
    names = shown.locator(".ag-center-cols-container a.run-name")
    names.nth(2).wait_for()
    assert {*names.all_inner_texts()} == {"bare", "damaged", WHOLE}
    shown.locator("#runs-search").fill("whole")
    _wait(shown, "document.querySelectorAll('.ag-center-cols-container a.run-name').length === 1")
    shown.locator(".ag-center-cols-container input[type=checkbox]").first.check()
    shown.locator("#tag-words").fill("good, seen")
    shown.locator("#tag-button:not([data-disabled])").click()
    shown.locator('.ag-cell[col-id="tags"]', has_text="good, seen").wait_for()
    shown.locator("#tag-button").click()  # nothing is written there now: no tag is lost
    shown.locator("#runs-message", has_text="first").wait_for()
    assert json.loads((folder / WHOLE / "tags.json").read_text()) == ["good", "seen"]
    with shown.expect_download() as waiting:
        shown.locator("#csv-button").click()
    waiting.value.save_as(tmp_path / "runs.csv")
    head, *rows = (tmp_path / "runs.csv").read_text().splitlines()
    assert head.startswith("name,task,cell")
    assert [row.split(",")[0] for row in rows] == [WHOLE]
    shown.locator("#runs-search").fill("")
    names.nth(2).wait_for()
    shown.locator('.ag-header-cell[col-id="name"] .ag-header-cell-label').click()
    shown.locator('.ag-header-cell[col-id="name"] .ag-header-cell-label').click()
    _wait(
        shown,
        "document.querySelector('.ag-center-cols-container [row-index=\"0\"] a.run-name')?.textContent === 'whole'",
    )


def test_an_empty_folder_says_how_to_begin_and_new_runs_appear_by_themselves(
    browser: Any, bare: Path, tmp_path: Path, start_server: Any
) -> None:
    page = Page(browser, start_server(SERVE, tmp_path)[0])
    shown = page.open("/")
    shown.locator("#message", has_text="rnnscope train").wait_for()
    shutil.copytree(bare / "bare", tmp_path / "arrived")
    shown.locator("a.run-name", has_text="arrived").wait_for()
    shown.locator("a.run-name", has_text="arrived").click()
    _views(shown)
    shutil.move(tmp_path / "arrived", tmp_path.parent / "taken away")
    shown.goto(page.address + "/")
    shown.locator("#message", has_text="No runs yet").wait_for()
    page.close()


def test_several_folders_have_names_of_their_own(browser: Any, bare: Path, tmp_path: Path, start_server: Any) -> None:
    for name in ("first", "second"):
        shutil.copytree(bare / "bare", tmp_path / name / "bare")
    page = Page(browser, start_server(SERVE, tmp_path / "first", tmp_path / "second", bare / "bare")[0])
    shown = page.open("/")
    shown.locator("a.run-name").nth(2).wait_for()
    assert {*shown.locator("a.run-name").all_inner_texts()} == {"first/bare", "second/bare", "bare"}
    shown.locator("a.run-name", has_text="second/bare").click()
    shown.wait_for_url(re.compile(r"/run/second/bare$"))
    _views(shown)
    page.close()


def test_a_run_that_is_deleted_meanwhile_is_told(browser: Any, bare: Path, tmp_path: Path, start_server: Any) -> None:
    shutil.copytree(bare / "bare", tmp_path / "runs" / "bare")
    page = Page(browser, start_server(SERVE, tmp_path / "runs")[0])
    shown = page.open("/run/bare")
    _views(shown)
    shutil.rmtree(tmp_path / "runs" / "bare")
    shown.evaluate("window.dash_clientside.set_props('run-poll', { interval: 300 })")
    shown.locator("#message", has_text="No run named bare").wait_for()
    page.page.close()  # what it asked for meanwhile was not found, rightly


def test_cards_are_those_of_the_analyses() -> None:
    expected = [card for entry in ANALYSES.values() for card in entry.figures]
    assert {*cards()} == {*expected, "training"}


def test_a_notebook_shows_it_in_a_frame(browser: Any, bare: Path) -> None:
    explorer = rs.explore(bare / "bare")

    class Notebook(http.server.BaseHTTPRequestHandler):
        """A page of another port of this machine, as a notebook is."""

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(explorer._repr_html_().encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Notebook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.frame_locator("iframe").locator("#run-head h1", has_text="bare").wait_for()
        page.close()
        server.shutdown()
    explorer.close()
    with pytest.raises(OSError, match=r"refused|reset"):
        urllib.request.urlopen(explorer.address, timeout=5)
