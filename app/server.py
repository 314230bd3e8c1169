"""The explorer as a web server: on this machine alone, unless another host is named."""

import errno
import ipaddress
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dash import Dash
    from werkzeug.serving import BaseWSGIServer

    from rnnscope.app.guard import Guard
    from rnnscope.app.library import Library

Folder = str | os.PathLike[str]


def create_app(
    *folders: Folder,
    trusted_hosts: Sequence[str] = (),
    base_path: str = "/",
    token: str | None = None,
    trusted_proxy: bool = False,
) -> "Dash":
    """The explorer of folders of runs, as a Dash app; `.server` is the Flask app inside.

    Args:
        folders: what `rnnscope train` wrote runs into, or runs. One may be empty, and may fill while the page is open.
        trusted_hosts: names, beside localhost, under which browsers may ask for the page.
        base_path: the path under which browsers see it, behind a proxy such as that of JupyterHub.
        token: what a browser must bring, once, as ?token=... in the address, before anything is shown; None where
            whoever reaches the app may see it.
        trusted_proxy: whether a proxy stands before it, whose X-Forwarded headers are true. Without one, anybody
            could write them.

    Raises:
        ImportError: Dash is not installed. ValueError: there is no such folder, or a path or token that cannot be.

    Example:
        >>> import tempfile, rnnscope.app
        >>> app = rnnscope.app.create_app(tempfile.mkdtemp())
        >>> app.server.test_client().get("/nowhere").status_code
        404
    """
    try:
        from rnnscope.app.guard import Guard
    except ModuleNotFoundError as error:
        raise _what_to_install(error) from None
    guard = Guard(
        token=secrets.token_urlsafe(32) if token is None else token,
        locked=token is not None,
        hosts=tuple(trusted_hosts),
        base_path=base_path,
        behind_proxy=trusted_proxy,
    )
    return _guarded(folders, guard)


def serve(
    *folders: Folder,
    host: str = "127.0.0.1",
    port: int = 8050,
    open_browser: bool = False,
    trusted_hosts: Sequence[str] = (),
    base_path: str = "/",
    token: str | None = None,
    trusted_proxy: bool = False,
) -> None:
    """Serve the explorer until interrupted; prints its address once it listens.

    Where other machines can reach it, it shows nothing without a token; the printed address carries it. What passes
    over the network is not encrypted: an SSH tunnel to 127.0.0.1, or a proxy with HTTPS, is the better way.

    Args:
        folders, trusted_hosts, base_path, trusted_proxy: as for `create_app`. A `host` that is a name or one address
            is trusted as it is; for 0.0.0.0, which is all addresses, say under which names browsers may ask.
        host: the address to listen at, IPv4.
        port: 0 takes a free one.
        open_browser: show the page in the default browser.
        token: as for `create_app`; where other machines can reach `host` and it is None, one is made.

    Raises:
        OSError: the port is taken, or not allowed. ValueError: no such folder; a host or port that cannot be.
        ImportError: Dash is not installed.
    """
    open_to_others = not _is_loopback(host)
    if open_to_others and not trusted_hosts:
        if host in ("", "0.0.0.0"):
            raise ValueError(
                f"{host} can be reached from other machines under any name: keep host='127.0.0.1', or say under "
                "which names browsers may ask, trusted_hosts=('name.of.this.machine',) (--trusted-host)"
            )
        trusted_hosts = (host,)
    if open_to_others and token is None:
        token = secrets.token_urlsafe(32)
    app = create_app(
        *folders, trusted_hosts=trusted_hosts, base_path=base_path, token=token, trusted_proxy=trusted_proxy
    )

    # Bound here, because werkzeug ends the process where a port is taken.
    with _listen(host, port) as listening:
        port = listening.getsockname()[1]
        server = _server(app, host, listening)
        shown = trusted_hosts[0] if host == "0.0.0.0" else host
        address = f"http://{shown}:{port}{'' if base_path == '/' else base_path}"
        if token is not None:
            address += f"{'/' if base_path == '/' else ''}?token={token}"
        print(f"rnnscope explorer: {address}", flush=True)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.serve_forever()


def listen_in_background(*folders: Folder) -> tuple[str, Callable[[], None]]:
    """Serve the explorer of folders of runs, or of runs, from a thread of this process, on this machine alone, for
    pages that this machine serves, as those of a notebook; returns its address, and what stops it.

    Raises:
        ImportError: Dash is not installed. ValueError: no such folder.
    """
    from rnnscope.app.guard import Guard

    app = _guarded(folders, Guard(framed_by=("http://127.0.0.1:*", "http://localhost:*")))
    listening = _listen("127.0.0.1", 0)
    server = _server(app, "127.0.0.1", listening)
    thread = threading.Thread(target=server.serve_forever, name="rnnscope explorer", daemon=True)
    thread.start()

    def close() -> None:
        server.shutdown()
        thread.join()
        listening.close()

    return f"http://127.0.0.1:{listening.getsockname()[1]}", close


def _server(app: "Dash", host: str, listening: socket.socket) -> "BaseWSGIServer":
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """One line a request would bury what a terminal is for; errors are still shown."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    port = listening.getsockname()[1]
    return make_server(host, port, app.server, threaded=True, request_handler=Quiet, fd=listening.fileno())


def _guarded(folders: Sequence[Folder], guard: "Guard") -> "Dash":
    from rnnscope.app.library import Library

    library = Library.of(map(Path, folders))
    try:
        from rnnscope.app.explorer import build
        from rnnscope.app.guard import protect
    except ModuleNotFoundError as error:
        raise _what_to_install(error) from None
    app = build(library, guard, guard.base_path)
    protect(app, guard, lambda path: is_page(library, path))
    return app


def is_page(library: "Library", path: str) -> bool:
    """Whether the explorer has a page at a path, written without the slash before it."""
    if path.startswith("run/"):
        return library.place(path.removeprefix("run/")) is not None
    return path in ("", "train")


def _what_to_install(error: ModuleNotFoundError) -> Exception:
    package = str(error.name).partition(".")[0]
    if not package.startswith(("dash", "flask")):
        return error
    return ImportError(f"the explorer needs {package}: pip install 'rnnscope[app]'")


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
