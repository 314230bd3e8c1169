"""Who is answered: hosts, origins, tokens, base paths behind a proxy, and addresses that there are not.

Asked of a small Dash app with the explorer's own guard and library; no run is ever opened by it.
"""

import http.client
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Page
from dash import Dash, Input, Output, State, dcc, html

from rnnscope.app.guard import Guard, protect
from rnnscope.app.library import Library
from rnnscope.app.server import create_app, is_page

TOKEN = "a-token-of-this-start-0123456789"
STARTED: list[str] = []


def app_of(folder: Path, guard: Guard) -> Dash:
    """A page with a field that shows what was typed, and one that may start something."""
    app = Dash(
        "rnnscope.app",
        requests_pathname_prefix=guard.base_path,
        routes_pathname_prefix="/",
        assets_folder=str(folder.parent / "assets"),
        enable_mcp=False,
    )
    app.layout = lambda: html.Div(
        [dcc.Store(id="token", data=guard.token), dcc.Input(id="typed"), html.P(id="said"), html.P(id="done")]
    )

    @app.callback(Output("said", "children"), Input("typed", "value"))
    def say(value: str | None) -> str:
        return f"said {value}"

    @app.callback(Output("done", "children"), Input("typed", "n_submit"), State("token", "data"))
    def start(_n: int | None, token: str | None) -> str:
        guard.check(token)
        STARTED.append(str(token))
        return "started"

    app.clientside_callback("x => x", Output("done", "title"), Input("typed", "value"))
    library = Library.of([folder])
    protect(app, guard, lambda path: is_page(library, path))
    return app


@pytest.fixture
def folder(bare: Path, tmp_path: Path) -> Path:
    shutil.copytree(bare, tmp_path / "runs")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "assets").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def client(folder: Path) -> Any:
    return app_of(folder, Guard(TOKEN)).server.test_client()


def _call(client: Any, output: str, inputs: dict[str, Any], token: Any = None, **headers: str) -> Any:
    body = {
        "output": output,
        "outputs": {"id": output.split(".")[0], "property": "children"},
        "inputs": [{"id": "typed", "property": name, "value": value} for name, value in inputs.items()],
        "state": [{"id": "token", "property": "data", "value": token}] if output == "done.children" else [],
        "changedPropIds": [f"typed.{name}" for name in inputs],
    }
    return client.post(
        "/_dash-update-component", data=json.dumps(body), content_type="application/json", headers=headers
    )


def test_other_host_names_are_refused(folder, client):
    for host in ("127.0.0.1:8050", "localhost"):
        assert client.get("/", headers={"Host": host}).status_code == 200
    for path in ("/", "/_dash-layout", "/run/bare", "/nowhere"):
        for host in ("evil.example", "127.0.0.1.evil.example", "192.168.1.5:8050", "localhost.evil.example"):
            answer = client.get(path, headers={"Host": host})
            assert answer.status_code == 400
            assert "--trusted-host" in answer.text
            assert "evil" not in answer.text
    named = app_of(folder, Guard(TOKEN, hosts=("lab.example",))).server.test_client()
    assert named.get("/", headers={"Host": "lab.example:8050"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a script of yours
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://localhost:80", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost:8051"}, 403),  # another program on this machine
        ({"Origin": "http://127.0.0.1"}, 403),  # the same machine, another origin
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),  # a frame without an origin, a file
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://localhost:99999"}, 403),
        ({"Origin": "file://localhost"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_pages_of_others_change_nothing_whatever_they_ask(client, headers, status):
    assert _call(client, "said.children", {"value": "x"}, **headers).status_code == status
    for method in ("post", "put", "delete", "patch"):
        answer = getattr(client, method)("/", headers=headers)
        assert answer.status_code == (405 if status == 200 else 403)


def test_a_start_needs_the_token_of_this_start(client):
    STARTED.clear()
    for wrong in (None, "", "x", TOKEN[:-1], TOKEN + "0", 5, ["a"], {"a": 1}):
        assert _call(client, "done.children", {"n_submit": 1}, wrong).status_code == 403
    assert STARTED == []
    assert _call(client, "done.children", {"n_submit": 1}, TOKEN).status_code == 200
    assert STARTED == [TOKEN]
    assert _call(client, "said.children", {"value": "x"}).get_json()["response"]["said"]["children"] == "said x"


def test_tokens_are_another_at_every_start_and_not_printed(folder):
    one, other = Guard(), Guard()
    assert one.token != other.token
    assert len(one.token) >= 40
    assert one.token not in repr(one)
    assert one.token not in one.cookie


def test_where_others_reach_it_nothing_is_shown_without_the_token(folder):
    guard = Guard(TOKEN, locked=True, hosts=("lab.example",))
    server = app_of(folder, guard).server
    client = server.test_client()
    for path in (
        "/",
        "/_dash-layout",
        "/_dash-dependencies",
        "/run/bare",
        "/nowhere",
        "/assets/x.css",
        "/?token=wrong",
    ):
        answer = client.get(path)
        assert answer.status_code == 403, path
        assert "bare" not in answer.text
    assert "?token=" in client.get("/").text
    assert _call(client, "said.children", {"value": "x"}).status_code == 403
    assert client.post(f"/_dash-update-component?token={TOKEN}").status_code == 403
    opened = client.get(f"/run/bare?token={TOKEN}&view=a%20b&view=c")
    assert (opened.status_code, opened.headers["Location"]) == (302, "/run/bare?view=a+b&view=c")
    cookie = opened.headers["Set-Cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in cookie
    for path in ("/", "/_dash-layout", "/run/bare"):
        assert client.get(path).status_code == 200
    assert client.get("/nowhere").status_code == 404
    assert (
        client.get(f"//evil.example/?token={TOKEN}").headers.get("Location", "/").startswith(("/", "http://localhost"))
    )
    assert _call(client, "said.children", {"value": "x"}).status_code == 200
    assert _call(client, "done.children", {"n_submit": 1}).status_code == 403, "the cookie alone starts nothing"
    restarted = app_of(folder, Guard("another-token-0123456789", locked=True)).server.test_client()
    restarted.set_cookie(guard.cookie, TOKEN)
    assert restarted.get("/").status_code == 403


def test_addresses_that_there_are_not(client, folder):
    for known in ("/", "/train", "/run/bare", "/_dash-layout", "/_dash-dependencies", "/?x=1"):
        assert client.get(known).status_code == 200, known
    secret = str(folder.parent / "secret.txt")
    for path in (
        "/nowhere",
        "/train/",
        "/run/",
        "/run/nobody",
        "/run/../secret.txt",
        "/run/bare/../../secret.txt",
        "/run/%2e%2e/secret.txt",
        "/run/%2e%2e%2fsecret.txt",
        "/run/..%5csecret.txt",
        "/run/bare%00",
        "/run//" + secret,
        "/run/" + secret,
        "/assets/../../secret.txt",
        "/assets/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets//" + secret,
        "/assets/%00",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/_dash-component-suites/dash/../../secret.txt",
        "/run/<script>alert(1)</script>",
    ):
        answer = client.get(path, follow_redirects=True)
        assert answer.status_code in (400, 404), path
        assert answer.text != "secret"
        assert "<script>alert" not in answer.text
    small = client.get("/nowhere")
    assert 'href="/"' in small.text
    assert "no run" in small.text


NO_REQUESTS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "nested": b"[" * 100_000,
    "no output": b"{}",
    "an output that is none": b'{"output": "x.y"}',
    "numbers": b'{"output": "said.children", "outputs": 3, "inputs": 3, "state": 3, "changedPropIds": 3}',
    "other outputs": b'{"output": "said.children", "outputs": [], "inputs": [], "state": [], "changedPropIds": []}',
}


@pytest.mark.parametrize("what", NO_REQUESTS)
def test_what_is_no_request_of_a_page_is_refused_without_a_traceback(client, capfd, caplog, what):
    answer = client.post("/_dash-update-component", data=NO_REQUESTS[what], content_type="application/json")
    assert answer.status_code == 400
    said = capfd.readouterr().err + caplog.text
    assert "Traceback" not in said
    assert len(said) < 600
    assert b"rror" not in answer.data.replace(b"Error", b""), "the answer shows what is inside"


def test_callbacks_of_the_explorer_refuse_values_of_other_types(folder, capfd, caplog):
    """Whatever stands in place of what its own pages say, no request costs more than itself."""
    client = create_app(folder).server.test_client()
    for each in client.get("/_dash-dependencies").get_json():
        if each.get("clientside_function"):
            continue
        names = each["output"].strip(".").split("...") if each["output"].startswith("..") else [each["output"]]
        outputs = [dict(zip(("id", "property"), name.split("@")[0].rsplit(".", 1), strict=True)) for name in names]
        for value in (3, [1], {"a": [None]}):
            body = {
                "output": each["output"],
                "outputs": outputs if each["output"].startswith("..") else outputs[0],
                "inputs": [{**part, "value": value} for part in each["inputs"]],
                "state": [{**part, "value": value} for part in each["state"]],
                "changedPropIds": ["{id}.{property}".format(**each["inputs"][0])],
            }
            answer = client.post("/_dash-update-component", json=body)
            assert answer.status_code in (200, 204, 400, 403), f"{each['output']} of {value}: {answer.status_code}"
    assert "Traceback" not in capfd.readouterr().err + caplog.text


def test_what_has_no_fingerprint_is_asked_for_anew_and_not_sent_again(client):
    client.get("/")
    for source in ("dash/dcc/async-graph.js", "plotly/package_data/plotly.min.js"):
        for how in ("gzip", "br", "zstd", "identity"):
            first = client.get(f"/_dash-component-suites/{source}", headers={"Accept-Encoding": how})
            assert first.status_code == 200
            assert first.headers["Cache-Control"] == "no-cache"
            tag = first.headers["ETag"]
            again = {"Accept-Encoding": how, "If-None-Match": tag}
            second = client.get(f"/_dash-component-suites/{source}", headers=again)
            assert (second.status_code, second.data) == (304, b""), (source, how)


def test_what_the_browser_is_told(client, folder):
    answer = client.get("/")
    policy = dict(rule.partition(" ")[::2] for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    assert policy["frame-ancestors"] == "'self'"
    assert not re.search(r"https?:|\*", answer.headers["Content-Security-Policy"])
    for path, status in (("/", 200), ("/nowhere", 404), ("/_dash-layout", 200)):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    framed = app_of(folder, Guard(TOKEN, base_path="/user/x/proxy/8050/")).server.test_client().get("/")
    assert "X-Frame-Options" not in framed.headers
    assert "frame-ancestors" not in framed.headers["Content-Security-Policy"]


def test_large_files_are_compressed_and_kept_by_the_browser(client):
    sources = re.findall(r'src="([^"]+)"', client.get("/").text)
    bundles = [source for source in sources if "_dash-component-suites" in source]
    assert bundles
    assert len(set(sources)) == len(sources)
    for source in bundles:
        plain = client.get(source)
        assert "max-age=31536000" in plain.headers["Cache-Control"], source
        for how in ("gzip", "br", "zstd"):
            packed = client.get(source, headers={"Accept-Encoding": how})
            assert packed.headers["Content-Encoding"] == how
            if len(plain.data) > 50_000:
                assert len(packed.data) < 0.5 * len(plain.data), source


@pytest.mark.parametrize("path", ["user/x/", "/user/x", "//evil/", "/a b/", "/a?/", "", "/a\\b/", "/a//b/"])
def test_base_paths_that_are_none(path):
    with pytest.raises(ValueError, match="base path begins and ends with a slash"):
        Guard(base_path=path)


def test_tokens_that_can_be_guessed():
    for token in ("short", "a" * 15, "with spaces in between", "ümlaut-0123456789-0123"[:0]):
        with pytest.raises(ValueError, match="at least 16"):
            Guard(token)


# --- behind a proxy -------------------------------------------------------------------------------------------------


class _Proxy(http.server.BaseHTTPRequestHandler):
    """A reverse proxy in a few lines. `strip` takes the prefix off the address, as Jupyter's /proxy/ does."""

    port, prefix, strip, forwarded = 0, "", True, {}

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        if not self.path.startswith(self.prefix):
            self.send_error(418)
            return
        path = self.path.removeprefix(self.prefix) if self.strip else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        inner = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        inner.request(self.command, path, body, {**headers, **self.forwarded})
        answer = inner.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        inner.close()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _served(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("strip", [True, False], ids=["prefix taken off", "prefix left"])
@pytest.mark.parametrize("forwards", [False, True], ids=["Host passed on", "X-Forwarded"])
def test_behind_a_reverse_proxy(browser, folder, strip, forwards):
    """Jupyter's way (the Host header passed on), and nginx's (Host replaced, what it was told in X-Forwarded-Host)."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            pass

    prefix = "/user/x/proxy/8050"
    guard = Guard(TOKEN, locked=True, base_path=f"{prefix}/", behind_proxy=forwards)
    inner = make_server("127.0.0.1", 0, app_of(folder, guard).server, threaded=True, request_handler=Quiet)
    for port in _served(inner):
        outer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
        outer_port = outer.server_address[1]
        forwarded = {}
        if forwards:
            forwarded = {
                "Host": f"127.0.0.1:{port}",
                "X-Forwarded-Host": f"127.0.0.1:{outer_port}",
                "X-Forwarded-Proto": "http",
            }
        outer.RequestHandlerClass = type(
            "Proxy", (_Proxy,), {"port": port, "prefix": prefix, "strip": strip, "forwarded": forwarded}
        )
        for _ in _served(outer):
            page = Page(browser, f"http://127.0.0.1:{outer_port}{prefix}")
            shown = page.open(f"/run/bare?token={TOKEN}")
            shown.wait_for_url(f"http://127.0.0.1:{outer_port}{prefix}/run/bare")
            shown.locator("#said").filter(has_text="said").wait_for()
            shown.locator("#typed").fill("hello")
            shown.locator("#said").filter(has_text="said hello").wait_for()
            shown.locator("#typed").press("Enter")
            shown.locator("#done").filter(has_text="started").wait_for()
            page.close()
            fresh = browser.new_page()
            assert fresh.goto(f"http://127.0.0.1:{outer_port}{prefix}/").status == 403
            fresh.close()


def test_a_page_of_another_origin_starts_nothing_in_a_real_browser(browser, folder):
    """Not even one that knows the token: the browser says where the page came from."""
    from werkzeug.serving import make_server

    STARTED.clear()
    own = make_server("127.0.0.1", 0, app_of(folder, Guard(TOKEN)).server, threaded=True)
    for port in _served(own):
        other = make_server("127.0.0.1", 0, app_of(folder, Guard("another-token-0123456789")).server, threaded=True)
        for other_port in _served(other):
            body = {
                "output": "done.children",
                "outputs": {"id": "done", "property": "children"},
                "inputs": [{"id": "typed", "property": "n_submit", "value": 1}],
                "state": [{"id": "token", "property": "data", "value": TOKEN}],
                "changedPropIds": ["typed.n_submit"],
            }
            for asked_from, starts in ((other_port, False), (port, True)):
                page = browser.new_page(bypass_csp=True)  # a page of an attacker has no policy of ours
                page.goto(f"http://127.0.0.1:{asked_from}/nowhere")
                page.evaluate(
                    """([address, body]) => {
                        const own = location.origin === new URL(address).origin;
                        return fetch(address, {
                            method: "POST",
                            mode: own ? "same-origin" : "no-cors",
                            body: JSON.stringify(body),
                            headers: own ? {"Content-Type": "application/json"} : {},
                        }).catch(() => null);
                    }""",
                    [f"http://127.0.0.1:{port}/_dash-update-component", body],
                )
                page.close()
                assert bool(STARTED) is starts


def test_forwarded_headers_are_believed_of_a_trusted_proxy_alone(folder):
    told = {"X-Forwarded-Host": "lab.example", "X-Forwarded-Proto": "https"}
    lone = app_of(folder, Guard(TOKEN)).server.test_client()
    assert lone.get("/", headers=told).status_code == 200  # it is the real Host that counts
    assert lone.get("/", headers={**told, "Host": "evil.example"}).status_code == 400
    assert lone.get("/", headers={"Host": "evil.example", "X-Forwarded-Host": "localhost"}).status_code == 400
    behind = app_of(folder, Guard(TOKEN, hosts=("lab.example",), behind_proxy=True)).server.test_client()
    assert behind.get("/", headers=told).status_code == 200
    assert behind.get("/", headers={**told, "X-Forwarded-Host": "evil.example"}).status_code == 400
    answer = _call(behind, "said.children", {"value": "x"}, Origin="https://lab.example", **told)
    assert answer.status_code == 200
    assert _call(behind, "said.children", {"value": "x"}, Origin="https://evil.example", **told).status_code == 403
