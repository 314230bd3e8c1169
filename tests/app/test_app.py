"""The explorer in a real browser, offline, and what it refuses."""

import base64
import functools
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable, analyse
from rnnscope.app import create_app, library, serve
from rnnscope.app.cards import boards, cards
from rnnscope.app.library import find_run
from rnnscope.cells import Vanilla
from rnnscope.figures import browser_path
from rnnscope.records import manifest
from rnnscope.records.runs import Run
from rnnscope.tasks import Parity

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # 3-D figures need WebGL, which this gives without a graphics card.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
# How long a page may take on a machine that is busy with other tests, in milliseconds.
PATIENCE = 40_000


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run that was not analysed."""
    folder = tmp_path_factory.mktemp("bare") / "runs"
    rs.train(Parity(2), Vanilla(4), steps=20, name="bare", folder=folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def folder(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: one with all results, one without any, one whose results are damaged."""
    folder = tmp_path_factory.mktemp("explorer") / "runs"
    shutil.copytree(bare, folder)
    shutil.copytree(bare / "bare", folder / "whole")
    whole = rs.load_run(folder / "whole")
    analyse(whole, settings={name: entry.quick for name, entry in ANALYSES.items()})
    assert {*whole.results, *whole.skipped} == set(ANALYSES)
    assert whole.results
    shutil.copytree(folder / "whole", folder / "damaged")
    for kept in whole.kept():
        if kept.reason is None:
            (folder / "damaged" / kept.path.relative_to(folder / "whole")).write_bytes(b"{")
    return folder


def _drawn(run: Run) -> list[str]:
    """The cards of its results."""
    return [card for name in run.results for card in ANALYSES[name].figures]


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    yield from _served(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = browser_path()
    if path is None:
        pytest.fail("no Chromium or Chrome to open the explorer in: `make test` installs one")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


def _served(folder: Path) -> Iterator[str]:
    """`serve` as users meet it, in a process of its own, at a port that is free."""
    code = "import sys; from rnnscope.app import serve; serve(sys.argv[1], port=0)"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("rnnscope explorer: http://127.0.0.1:")
        yield line.removeprefix("rnnscope explorer: ")
    finally:
        process.kill()
        process.wait()


class Page:
    """A page, and all that went wrong in it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.address, self.wrong = address, []
        self.page = browser.new_page(viewport={"width": 1440, "height": 1000})
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", lambda m: self.wrong.append(f"console: {m.text}") if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(f"page: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", lambda r: self.wrong.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
        self.page.on("request", self._requested)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.wrong.append(f"outside: {request.url}")

    def _failed(self, request: Any) -> None:
        # The page itself gives up a request whose answer it needs no more.
        if request.failure != "net::ERR_ABORTED":
            self.wrong.append(f"failed: {request.url} {request.failure}")

    def open(self, path: str) -> Any:
        self.page.goto(self.address + path)
        return self.page

    def close(self) -> None:
        self.page.close()
        assert not self.wrong


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    opened = Page(browser, address)
    yield opened
    opened.close()


def _wait_for(page: Any, css: str, text: str) -> None:
    page.locator(css).filter(has_text=text).first.wait_for()


def test_every_figure_is_drawn_and_the_address_chooses_the_run(page: Page, folder: Path) -> None:
    whole = rs.load_run(folder / "whole")
    shown = page.open("/?run=whole")
    for name in ("whole", "bare", "damaged"):
        shown.locator(f'.ag-row[row-id="{name}"]').wait_for()
    _wait_for(shown, "#run-head h1", "whole")
    for name in (*_drawn(whole), "training"):
        card = shown.locator(f"#card-{name}")
        if not _has_figure(whole, name):
            _wait_for(shown, f"#card-{name} .missing", "There is no such figure of this result")
            continue
        card.locator(".frame:not(.waiting):not(.hidden) .main-svg").first.wait_for()
        # Attached, not visible: to a browser a line that is exactly horizontal has no height.
        drawn = ".scatterlayer .trace path, .heatmaplayer image, .barlayer path, .glcanvas, canvas"
        card.locator(drawn).first.wait_for(state="attached")
        box = card.locator(".js-plotly-plot").bounding_box()
        assert box["width"] > 300
        assert box["height"] > 300
        assert bool(card.locator(".summary").inner_text().strip()) == (name in (*ANALYSES, "training")), (
            "a result is summed up once"
        )
        assert card.locator(".modebar-btn[data-title*='Download']").count() == 1
    for name, reason in whole.skipped.items():
        _wait_for(shown, f"#card-{name} .missing", f"does not apply to the run: {reason}")
        assert shown.locator(f"#finding-{name}").inner_text() == "does not apply: see its card below"
    for name in whole.results:
        assert shown.locator(f"#finding-{name}").inner_text() == shown.locator(f"#card-{name} .summary").inner_text()

    shown.locator('.ag-row[row-id="bare"] [col-id="name"]').click()
    _wait_for(shown, "#run-head h1", "bare")
    shown.wait_for_url("**/?run=bare")
    for name in ANALYSES:
        _wait_for(shown, f"#card-{name} .command", f"--only {name}")
    shown.locator("#card-training .main-svg").first.wait_for()

    shown.go_back()
    _wait_for(shown, "#run-head h1", "whole")
    shown.locator(f"#card-{whole.results[0]} .frame:not(.hidden) .main-svg").first.wait_for()


def _has_figure(run: Run, card: str) -> bool:
    """Whether there is something to draw of this kind: the result itself says so."""
    for entry in ANALYSES.values():
        if card in entry.figures:
            try:
                entry.figures[card].draw(run.kept(entry.name)[-1].load())
            except NotApplicable:
                return False
    return True


def test_a_figure_in_space_is_drawn(page: Page) -> None:
    shown = page.open("/?run=whole")
    card = shown.locator("#card-state_space")
    card.locator(".frame:not(.waiting):not(.hidden) canvas").first.wait_for()
    # WebGL that is not there, or gives up, leaves a canvas that is empty.
    assert _colourful(shown, card) > 200


def test_damaged_results_and_unknown_runs_say_so(page: Page, folder: Path) -> None:
    shown = page.open("/?run=damaged")
    for name in _drawn(rs.load_run(folder / "damaged")):
        _wait_for(shown, f"#card-{name} .error", "damaged")
    shown.locator("#card-training .frame:not(.hidden) .main-svg").first.wait_for()
    for asked in ("nobody", "../secret", "%2e%2e%2fsecret"):
        page.open(f"/?run={asked}")
        _wait_for(shown, "#message", "No run named")
        assert shown.locator("#chosen.hidden").count() == 1


def test_an_empty_folder_says_how_to_begin_and_refresh_finds_what_is_new(
    browser: Any, bare: Path, tmp_path: Path
) -> None:
    for address in _served(tmp_path):
        page = Page(browser, address)
        shown = page.open("/")
        _wait_for(shown, "#message", "rnnscope train")
        shutil.copytree(bare / "bare", tmp_path / "arrived")
        shown.locator("#refresh").click()
        _wait_for(shown, "#run-head h1", "arrived")
        shown.locator('.ag-row[row-id="arrived"]').wait_for()
        page.close()


def _colourful(page: Any, card: Any) -> int:
    """How many pixels in the left half of a card's figure, which has no legend, are neither grey nor white."""
    box = card.locator(".js-plotly-plot").bounding_box()
    clip = {"x": box["x"], "y": box["y"], "width": box["width"] / 2, "height": box["height"]}
    picture = base64.b64encode(page.screenshot(clip=clip, full_page=True)).decode()
    return page.evaluate(_COUNT, f"data:image/png;base64,{picture}")


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


# --- without a browser --------------------------------------------------------------------------------------------


def _ask(folder: Path, search: str, shown: Any = None) -> Any:
    """What the page asks the server for when the address is `search` and it shows `shown`."""
    client = _client(folder)
    dependencies = client.get("/_dash-dependencies").get_json()
    output = next(d["output"] for d in dependencies if "run-head.children" in d["output"])
    names = [part.rsplit(".", 1) for part in output.strip(".").split("...")]
    body = {
        "output": output,
        "outputs": [{"id": part, "property": prop} for part, prop in names],
        "inputs": [
            {"id": "url", "property": "search", "value": search},
            {"id": "refresh", "property": "n_clicks", "value": 0},
        ],
        "state": [
            {"id": "runs", "property": "rowData", "value": []},
            {"id": "shown", "property": "data", "value": shown},
        ],
        "changedPropIds": ["url.search"],
    }
    answer = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 200
    return answer.get_json()["response"]


def test_only_runs_of_the_folder_open(bare: Path) -> None:
    secret = bare.parent / "secret"
    if not secret.exists():
        shutil.copytree(bare / "bare", secret)
    assert _ask(bare, "?run=bare")["shown"]["data"]["run"] == "bare"
    for name in ("../secret", "..%2Fsecret", str(secret), "bare/../../secret", "", ".", "..", "bare%00"):
        answer = _ask(bare, f"?run={name}")
        if name:
            assert answer["shown"]["data"] is None
            assert "No run named" in json.dumps(answer["notice"])
        else:  # nothing was asked for
            assert answer["shown"]["data"]["run"] == "bare"


def test_refresh_asks_for_figures_only_where_something_was_written(bare: Path, tmp_path: Path) -> None:
    shutil.copytree(bare / "bare", tmp_path / "bare")
    sent = json.dumps(_ask(tmp_path, "?run=bare")["shown"]["data"])
    shown = json.loads(sent, parse_int=lambda digits: int(float(digits)))  # all numbers of a browser are doubles
    assert "shown" not in _ask(tmp_path, "?run=bare", shown)
    (tmp_path / "bare" / "history.csv").touch()
    assert _ask(tmp_path, "?run=bare", shown)["shown"]["data"]["run"] == "bare"


def test_figures_of_runs_outside_the_folder_are_not_served(bare: Path) -> None:
    assert find_run(bare, "bare") is not None
    for name in ("..", ".", "../runs/bare", str(bare / "bare"), "bare/", "nobody", ""):
        assert find_run(bare, name) is None


def test_a_run_that_cannot_be_read_says_why(bare: Path, tmp_path: Path) -> None:
    shutil.copytree(bare / "bare", tmp_path / "bare")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    answer = _ask(tmp_path, "?run=broken")
    assert "damaged" in json.dumps(answer["notice"])
    assert [row["status"] for row in answer["runs"]["rowData"]] == ["finished", "unreadable"]


@functools.cache
def _client(folder: Path) -> Any:
    """The server reads the folder anew at every request: one is enough for all of a test."""
    return create_app(folder).server.test_client()


def _card(folder: Path, card: str, run: str) -> Any:
    """What the page asks the server for to fill a card."""
    client = _client(folder)
    dependencies = client.get("/_dash-dependencies").get_json()
    output = next(d["output"] for d in dependencies if f"graph-{card}.figure" in d["output"])
    names = [part.rsplit(".", 1) for part in output.strip(".").split("...")]
    body = {
        "output": output,
        "outputs": [{"id": part, "property": prop} for part, prop in names],
        "inputs": [{"id": "shown", "property": "data", "value": {"run": run, "stamps": {}}}],
        "changedPropIds": ["shown.data"],
    }
    answer = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 200
    return answer.get_json()["response"]


WRONG: dict[str, Any] = {
    "task": 5,
    "cell": [],
    "training": "long",
    "metrics": None,
    "status": ["odd"],
    "steps_done": "many",
    "seconds": None,
    "versions": 3,
}


@pytest.mark.parametrize("lax", [False, True], ids=["as it is", "with a load_run that lets all pass"])
@pytest.mark.parametrize("field", WRONG)
def test_a_record_of_wrong_content_costs_its_own_run_alone(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, lax: bool
) -> None:
    for name in ("alright", "odd"):
        shutil.copytree(bare / "bare", tmp_path / name)
    file = tmp_path / "odd" / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), field: WRONG[field]}))
    if lax:
        monkeypatch.setattr(library, "load_run", lambda path: Run(path, json.loads((path / "run.json").read_text())))
    answer = _ask(tmp_path, "?run=odd")
    good, _ = answer["runs"]["rowData"]
    assert (good["name"], good["status"]) == ("alright", "finished")
    assert str(file) in json.dumps(answer["notice"])
    assert "train the run anew" in json.dumps(answer["notice"])
    assert answer["shown"]["data"] is None
    assert _ask(tmp_path, "")["shown"]["data"]["run"] == "alright"
    for card in cards():
        _card(tmp_path, card, "odd")


@pytest.mark.parametrize("left_out", ["steps_done", "seconds", "versions"])
def test_a_record_that_lacks_a_number_is_shown_or_told(bare: Path, tmp_path: Path, left_out: str) -> None:
    shutil.copytree(bare / "bare", tmp_path / "bare")
    file = tmp_path / "bare" / "run.json"
    record = {name: value for name, value in json.loads(file.read_text()).items() if name != left_out}
    manifest.write_files(file.parent, {file.name: json.dumps(record).encode()})
    answer = _ask(tmp_path, "?run=bare")
    told = json.dumps(answer["notice"])
    assert answer["shown"]["data"] is not None or (str(file) in told and left_out in told)
    for card in cards():
        _card(tmp_path, card, "bare")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"step,loss\n1,much\n", b"step,loss\n1\n", b"a,b\n1,2,3\n"])
def test_a_damaged_history_costs_its_own_card(bare: Path, tmp_path: Path, content: bytes) -> None:
    shutil.copytree(bare / "bare", tmp_path / "bare")
    manifest.write_files(tmp_path / "bare", {"history.csv": content})
    assert _ask(tmp_path, "?run=bare")["shown"]["data"]["run"] == "bare"
    card = _card(tmp_path, "training", "bare")
    if card["frame-training"]["className"] != "frame":
        assert "history.csv" in json.dumps(card["missing-training"])
    name = next(iter(ANALYSES))
    assert f"--only {name}" in json.dumps(_card(tmp_path, name, "bare"))


def test_a_result_that_cannot_be_drawn_costs_its_own_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("colour")

    run = rs.load_run(folder / "whole")
    name = run.results[0]
    library._draw.cache_clear()
    monkeypatch.setattr(type(run.kept(name)[-1].load()), "figure", fail)
    told = json.dumps(_card(folder, name, "whole"))
    library._draw.cache_clear()
    assert ".zarr.zip cannot be drawn (KeyError 'colour'): delete it and redo the analysis" in told
    assert _card(folder, "training", "whole")["frame-training"]["className"] == "frame"


def test_every_figure_of_a_result_has_a_card_and_says_why_it_does_not_apply(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise rs.NotApplicable("this machine has nothing to trust")

    assert [card.name for card in boards()["Automata"]] == ["automaton", "automaton-states", "automaton-trust"]
    whole = _card(folder, "automaton-states", "whole")
    assert whole["frame-automaton-states"]["className"] == "frame"
    assert "placed by the network's states" in whole["about-automaton-states"]["children"]
    library._draw.cache_clear()
    monkeypatch.setattr(rs.analyses.Acceptor, "trust_figure", refuse)
    refused = json.dumps(_card(folder, "automaton-trust", "whole"))
    library._draw.cache_clear()
    assert "this machine has nothing to trust" in refused
    assert _card(folder, "automaton-states", "whole")["frame-automaton-states"]["className"] == "frame"
    asked = json.dumps(_card(folder, "automaton-trust", "bare"))
    assert "rnnscope analyze" in asked
    assert "--only automaton" in asked


def test_other_host_names_are_refused(bare: Path) -> None:
    client = create_app(bare).server.test_client()
    for host in ("127.0.0.1:8050", "localhost"):
        assert client.get("/", headers={"Host": host}).status_code == 200
    for path in ("/", "/_dash-layout", "/assets/explorer.css"):
        for host in ("evil.example", "127.0.0.1.evil.example", "192.168.1.5:8050"):
            assert client.get(path, headers={"Host": host}).status_code == 400
    named = create_app(bare, trusted_hosts=["lab.example"]).server.test_client()
    assert named.get("/", headers={"Host": "lab.example:8050"}).status_code == 200


def test_nothing_on_the_page_is_fetched_from_elsewhere(bare: Path) -> None:
    page = create_app(bare).server.test_client().get("/").get_data(as_text=True)
    assert "src=" in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_serve_says_what_is_wrong(bare: Path) -> None:
    with pytest.raises(ValueError, match="trusted_hosts"):
        serve(bare, host="0.0.0.0")
    with pytest.raises(ValueError, match="no folder"):
        serve(bare / "nowhere")
    with pytest.raises(ValueError, match="65535"):
        serve(bare, port=70000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port} of 127.0.0.1 is taken.*--port"):
            serve(bare, port=port)


def test_importing_the_package_does_not_load_dash() -> None:
    code = "import sys, rnnscope.app; sys.exit('dash' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_dash_the_error_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['dash'] = None\n"
        "from rnnscope.app import create_app\n"
        "try: create_app(sys.argv[1])\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert "pip install 'rnnscope[app]'" in said.stdout
