"""Who may see the explorer, and who may start something with it.

Three things are asked of a request. It must name a host that is ours: a page on the web can point a name of its own at
127.0.0.1, but cannot make the browser send another Host header. What may change something must come from a page that
this explorer itself served. And it must bring the token of this start, which stands in the page; where other machines
can reach the port, nothing at all is shown without it.
"""

import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import flask
from dash.exceptions import DashException
from flask_compress import Compress
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from dash import Dash
    from werkzeug.wrappers import Response

LOOPBACK = ("127.0.0.1", "localhost")
CALLBACKS = "/_dash-update-component"
_READING = ("GET", "HEAD", "OPTIONS")
_PORTS = {"http": 80, "https": 443}
_STYLE = (
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:15px/1.5 Inter,'Helvetica Neue',Helvetica,"
    "Arial,sans-serif;background:#F3F5F8;color:#1B2733}main{max-width:560px;padding:28px 32px;background:#fff;"
    "border:1px solid #E3E8EE;border-radius:10px}h1{font-size:22px;margin:0 0 8px}p{margin:0 0 12px}a{color:#0072B2}"
    "code{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#141A21;color:#DCE3EA}main{background:#1D252E;"
    "border-color:#313B46}a{color:#6CB6E4}}"
)


@dataclass(frozen=True)
class Guard:
    """What a request has to bring.

    Attributes:
        token: of this start of the explorer.
        locked: whether nothing is shown without the token.
        hosts: the names under which browsers may ask, besides those of this machine for itself.
        base_path: the path under which browsers see the explorer, "/" or "/user/x/proxy/8050/".
        behind_proxy: whether one proxy stands before it, whose X-Forwarded headers are believed.
        framed_by: origins whose pages may show it in a frame, beside its own.
    """

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    locked: bool = False
    hosts: tuple[str, ...] = ()
    base_path: str = "/"
    behind_proxy: bool = False
    framed_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        path = self.base_path
        if not (path.startswith("/") and path.endswith("/")) or "//" in path or any(c in path for c in "?#\\ \0"):
            raise ValueError(
                f"a base path begins and ends with a slash and holds no spaces or marks, got {path!r}: write it as "
                "/user/name/proxy/8050/"
            )
        if len(self.token) < 16 or not all(c.isalnum() or c in "-_" for c in self.token):
            raise ValueError(
                "a token has at least 16 letters, digits, - or _, so that nobody guesses it: give a longer one"
            )

    def check(self, token: object) -> None:
        """Refuse a callback that would start or change something and does not bring the token.

        Raises:
            werkzeug.exceptions.Forbidden: which becomes status 403.
        """
        if not self.admits(token):
            flask.abort(403, "the token is that of an earlier start: reload the page")

    def admits(self, token: object) -> bool:
        """Whether this is the token."""
        return isinstance(token, str) and hmac.compare_digest(token.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """The name of the cookie: explorers at several ports of one host see each other's cookies."""
        return f"rnnscope-{hashlib.sha256(self.token.encode()).hexdigest()[:8]}"


def protect(app: "Dash", guard: Guard, is_known: Callable[[str], bool]) -> None:
    """Put the guard before an app whose callbacks are all registered.

    Args:
        app: with `requests_pathname_prefix` the base path, and `routes_pathname_prefix` "/".
        guard: what to ask for.
        is_known: whether there is a page at this path, given without the slash before it.

    What is no request of a page gets 400 and one line in the terminal; with `RNNSCOPE_DEBUG=1` there is a traceback.
    """
    server = app.server
    server.config["TRUSTED_HOSTS"] = [*LOOPBACK, *guard.hosts]  # Dash itself answers any Host header
    # Bundles are large, and cached in the browser for long: gzip for all, zstd or brotli for those who take it.
    Compress(server)
    server.wsgi_app = _mounted(server.wsgi_app, guard.base_path)
    if guard.behind_proxy:
        server.wsgi_app = ProxyFix(server.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)

    @server.before_request
    def admit() -> "Response | None":
        if flask.request.method not in _READING and not _same_origin():
            return _page(guard, 403, "Not from here", "This request came from a page that the explorer did not serve.")
        if guard.locked and (answer := _unlock(guard)) is not None:
            return answer
        path = flask.request.path
        leads_out = "\0" in path or ".." in path.replace("\\", "/").split("/")
        # Dash itself answers every address with its page.
        if leads_out or (str(flask.request.url_rule) == "/<path:path>" and not is_known(path.removeprefix("/"))):
            return _page(guard, 404, "Nothing here", "There is no page, and no run, at this address.")
        return None

    @server.errorhandler(SecurityError)
    def wrong_host(_error: SecurityError) -> "Response":
        named = ", ".join([*LOOPBACK, *guard.hosts])
        return _page(
            guard,
            400,
            "Another name",
            f"This explorer answers to {named}. To ask for it under another name, start it with --trusted-host NAME.",
            link=False,
        )

    @server.errorhandler(Exception)
    def malformed(error: Exception) -> "Response | HTTPException":
        if isinstance(error, HTTPException):
            return error
        # What asks for no callback, or gives one values of other types than its page does, raises one of these.
        kinds = (ValueError, TypeError, LookupError, AttributeError, RecursionError, DashException)
        if flask.request.path != CALLBACKS or not isinstance(error, kinds) or os.environ.get("RNNSCOPE_DEBUG"):
            raise error
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        print(f"rnnscope explorer: a request could not be answered ({reason})", file=sys.stderr, flush=True)
        return flask.Response("This request could not be answered: it is none of a page of this explorer.", 400)

    policy: list[str] = []

    @server.after_request
    def say_what_is_allowed(response: "Response") -> "Response":
        if not policy:  # now all scripts of the page are known
            policy.append(_policy(app, guard))
        response.headers.setdefault("Content-Security-Policy", policy[0])
        if flask.request.path.startswith("/_dash"):
            # Bundles that carry their version in the name are kept for a year; others are asked for anew, and sent only
            # where they have changed; what pages and callbacks say is not kept at all.
            kept = "no-cache" if response.headers.get("ETag") else "no-store"
            response.headers.setdefault("Cache-Control", kept)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if guard.base_path == "/" and not guard.framed_by:
            response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response


def _same_origin() -> bool:
    """Whether a page of this very explorer asks, as far as the browser says so: a script of yours says nothing."""
    headers = flask.request.headers
    if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        asked, own = urlsplit(origin), urlsplit(f"//{flask.request.host}")
        default = _PORTS.get(asked.scheme)
        return default is not None and (asked.hostname, asked.port or default) == (own.hostname, own.port or default)
    except ValueError:  # a port that is none
        return False


def _unlock(guard: Guard) -> "Response | None":
    """None for who brings the token; who brings it in the address gets it as a cookie, and an address without it."""
    request = flask.request
    if guard.admits(request.cookies.get(guard.cookie)):
        return None
    if request.method != "GET" or not guard.admits(request.args.get("token")):
        return _page(
            guard,
            403,
            "Locked",
            "Other machines can reach this explorer, so it asks for its token. Open the address that it printed when "
            "it was started, the one that ends in ?token=...; after a restart the token is another.",
            link=False,
        )
    rest = urlencode([(name, value) for name, value in request.args.items(multi=True) if name != "token"])
    answer = flask.redirect(guard.base_path + request.path.lstrip("/") + (f"?{rest}" if rest else ""))
    answer.set_cookie(
        guard.cookie,
        guard.token,
        path=guard.base_path,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )
    return answer


def _page(guard: Guard, status: int, title: str, text: str, *, link: bool = True) -> "Response":
    """A small page that says what is wrong; what was asked for is not repeated in it."""
    to_list = f'<p><a href="{escape(guard.base_path)}">All runs</a></p>' if link else ""
    return flask.make_response(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{to_list}</main></body></html>",
        status,
    )


def _policy(app: "Dash", guard: Guard) -> str:
    """Everything from here, and nothing from elsewhere. Mantine and plotly write styles into the page; pictures are
    made in the page before they are saved. Without `unsafe-eval` plotly's WebGL traces in the plane (scattergl, splom)
    say that there is no WebGL: the pages draw without them."""
    rules = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", *app.csp_hashes()]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        **({"frame-ancestors": " ".join(["'self'", *guard.framed_by])} if guard.base_path == "/" else {}),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _mounted(wsgi: "WSGIApplication", base_path: str) -> "WSGIApplication":
    """The app under a base path, whether the proxy before it takes that off the address (as Jupyter's does at
    /proxy/) or not (at /proxy/absolute/)."""

    def mounted(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        path = environ.get("PATH_INFO", "")
        if base_path != "/" and path.startswith(base_path):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + base_path[:-1]
            environ["PATH_INFO"] = path[len(base_path) - 1 :]
        return wsgi(environ, start_response)

    return mounted
