"""The explorer as a web server: on this machine alone, unless another host is named."""

import errno
import ipaddress
import os
import socket
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dash import Dash

# A page on the web can point a name of its own at 127.0.0.1, and the visitor's browser then reads what is served
# there. It cannot make the browser send another Host header, so only these names are answered.
LOOPBACK = ("127.0.0.1", "localhost")


def create_app(folder: str | os.PathLike[str], *, trusted_hosts: Sequence[str] = ()) -> "Dash":
    """The explorer of a folder of runs, as a Dash app; `.server` is the Flask app inside.

    Args:
        folder: what `rnnscope train` wrote runs into. It may be empty, and may fill while the page is open.
        trusted_hosts: names, beside localhost, under which browsers may ask for the page.

    Raises:
        ImportError: Dash is not installed. ValueError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: give the folder that holds the runs")
    try:
        from rnnscope.app.explorer import build
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("dash"):
            raise
        raise ImportError(f"the explorer needs {error.name}: pip install 'rnnscope[app]'") from None
    app = build(folder)
    # Dash itself answers any Host header.
    app.server.config["TRUSTED_HOSTS"] = [*LOOPBACK, *trusted_hosts]
    return app


def serve(
    folder: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8050,
    open_browser: bool = False,
    trusted_hosts: Sequence[str] = (),
) -> None:
    """Serve the explorer until interrupted; prints its address once it listens.

    Args:
        folder: as for `create_app`.
        host: the address to listen at, IPv4.
        port: 0 takes a free one.
        open_browser: show the page in the default browser.
        trusted_hosts: names under which browsers may ask for the page. Required if `host` can be reached from other
            machines, because everybody who reaches the port can then read the runs.

    Raises:
        OSError: the port is taken, or not allowed. ValueError: no such folder; a host or port that cannot be.
        ImportError: Dash is not installed.
    """
    if not _is_loopback(host) and not trusted_hosts:
        raise ValueError(
            f"{host} can be reached from other machines, and there is no password: keep host='127.0.0.1', or say "
            "under which names browsers may ask, trusted_hosts=('name.of.this.machine',)"
        )
    app = create_app(folder, trusted_hosts=trusted_hosts)

    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """One line a request would bury what a terminal is for; errors are still shown."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    # Bound here, because werkzeug ends the process where a port is taken.
    with _listen(host, port) as listening:
        port = listening.getsockname()[1]
        server = make_server(host, port, app.server, threaded=True, request_handler=Quiet, fd=listening.fileno())
        address = f"http://{host}:{port}"
        print(f"rnnscope explorer: {address}", flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.serve_forever()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    if ":" in host:  # Werkzeug cannot check IPv6 addresses in a Host header
        raise ValueError(f"host must be a name or an IPv4 address, got {host}: use 127.0.0.1")
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be from 0 to 65535, got {port}: 8050 is the usual one")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        reasons = {
            errno.EADDRINUSE: f"port {port} of {host} is taken by another program: choose another one with --port",
            errno.EACCES: f"port {port} of {host} may not be used: choose one above 1023 with --port",
        }
        reason = f"cannot listen at {host}, port {port} ({error.strerror}): use 127.0.0.1"
        raise OSError(reasons.get(error.errno or 0, reason)) from None
    return listening
