"""How the explorer is served: addresses, what is refused before it listens, and what the command line says."""

import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import werkzeug.serving

from rnnscope.app import create_app, serve, server
from rnnscope.app.library import Library
from rnnscope.app.server import is_page
from rnnscope.cli import main

COMMAND = "import sys; from rnnscope.cli import main; main(sys.argv[1:])"


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been served, without serving it: a small app in the place of the explorer."""
    found: list[Any] = []

    class Server:
        def serve_forever(self) -> None:
            pass

    def make(host: str, port: int, app: Any, **_: object) -> Server:
        found.append(app)
        return Server()

    monkeypatch.setitem(sys.modules, "rnnscope.app.explorer", _small())
    monkeypatch.setattr(werkzeug.serving, "make_server", make)
    return found


def _small() -> Any:
    import types

    from dash import Dash, html

    def build(library: Any, guard: Any, base_path: str = "/") -> Dash:
        app = Dash("rnnscope.app", requests_pathname_prefix=base_path, routes_pathname_prefix="/", enable_mcp=False)
        app.layout = html.P("hello")
        return app

    module = types.ModuleType("rnnscope.app.explorer")
    module.build = build  # type: ignore[attr-defined]
    return module


def test_on_this_machine_alone_no_token_is_asked_for(bare, listened, capsys):
    serve(bare, port=0)
    said = capsys.readouterr().out.strip()
    assert said.startswith("rnnscope explorer: http://127.0.0.1:")
    assert "token" not in said
    assert listened[0].test_client().get("/").status_code == 200


def test_where_others_reach_it_the_address_carries_a_token(bare, listened, capsys, monkeypatch):
    monkeypatch.setattr(server, "_is_loopback", lambda _: False)  # nothing listens at other addresses in tests
    serve(bare, port=0)
    serve(bare, port=0, base_path="/user/x/proxy/8050/")
    plain, based = capsys.readouterr().out.split()[2::3]
    tokens = [address.partition("?token=")[2] for address in (plain, based)]
    assert plain.partition("?")[0].endswith("/")
    assert based.partition("?")[0].endswith("/user/x/proxy/8050/")
    assert len(tokens[0]) > 40
    assert tokens[0] != tokens[1]
    client = listened[0].test_client()
    assert client.get("/").status_code == 403
    assert client.get(f"/?token={tokens[1]}").status_code == 403
    assert client.get(f"/?token={tokens[0]}").status_code == 302
    assert client.get("/").status_code == 200


def test_a_token_of_ones_own_locks_it_here_too(bare, listened, capsys):
    serve(bare, port=0, token="mine-0123456789-mine")
    assert capsys.readouterr().out.strip().endswith("/?token=mine-0123456789-mine")
    assert listened[0].test_client().get("/").status_code == 403


def test_serve_says_what_is_wrong(bare, listened):
    with pytest.raises(ValueError, match="trusted_hosts"):
        serve(bare, host="0.0.0.0")
    with pytest.raises(ValueError, match="no folder"):
        serve(bare / "nowhere")
    with pytest.raises(ValueError, match="at least one"):
        serve()
    with pytest.raises(ValueError, match="65535"):
        serve(bare, port=70000)
    with pytest.raises(ValueError, match="IPv4"):
        serve(bare, host="::1")
    with pytest.raises(ValueError, match="base path begins and ends with a slash"):
        serve(bare, base_path="user")
    with pytest.raises(ValueError, match="at least 16"):
        serve(bare, token="short")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port} of 127.0.0.1 is taken.*--port"):
            serve(bare, port=port)
    assert listened == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no folder nowhere"),
        (["--host", "0.0.0.0"], "--trusted-host"),
        (["--port", "70000"], "port must be from 0 to 65535"),
        (["--base-path", "user"], "begins and ends with a slash"),
        (["--token", "short"], "at least 16 letters"),
        (["--host", "::1"], "IPv4"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(bare, listened, capsys, arguments, said):
    with pytest.raises(SystemExit) as end:
        main(["app", *([] if arguments == ["nowhere"] else [str(bare)]), *arguments])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert listened == []


def test_the_command_serves_runs_and_folders_under_a_token(bare, tmp_path, start_server):
    shutil.copytree(bare / "bare", tmp_path / "alone")
    arguments = [bare, tmp_path / "alone", "--port", 0, "--token", "mine-0123456789-mine", "--base-path", "/x/"]
    address, _ = start_server(COMMAND, "app", *arguments)
    place, _, token = address.partition("?token=")
    assert place.endswith("/x/")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(place)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    assert opener.open(address).status == 200
    assert opener.open(f"{place}run/alone").status == 200
    assert opener.open(f"{place}run/runs/bare").status == 200
    with pytest.raises(urllib.error.HTTPError, match="404"):
        opener.open(f"{place}run/bare")
    assert token == "mine-0123456789-mine"


def test_pages_that_there_are(bare, tmp_path):
    one = Library.of([bare])
    for path in ("", "train", "run/bare"):
        assert is_page(one, path)
    for path in ("run/", "run/x", "x", "run/bare/", "run", "train/", "run/bare/results"):
        assert not is_page(one, path)
    (tmp_path / "other").mkdir()
    several = Library.of([bare, tmp_path / "other"])
    assert is_page(several, "run/runs/bare")
    assert not is_page(several, "run/bare")


def test_importing_the_package_does_not_load_dash():
    code = "import sys, rnnscope.app; sys.exit('dash' in sys.modules or 'flask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("missing", ["dash", "flask_compress"])
def test_without_a_package_the_error_says_what_to_install(tmp_path: Path, missing: str):
    code = (
        "import sys; sys.modules[sys.argv[2]] = None\n"
        "from rnnscope.app import create_app\n"
        "try: create_app(sys.argv[1])\n"
        "except ImportError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), missing]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"the explorer needs {missing}: pip install 'rnnscope[app]'" in said.stdout


def test_a_folder_that_fills_later_may_be_empty(tmp_path, listened):
    app = create_app(tmp_path)
    assert app.server.test_client().get("/train").status_code == 200
