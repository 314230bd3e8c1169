"""A page in a real browser, which notes what goes wrong in it."""

from typing import Any

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


class Page:
    """A page, and all that went wrong in it: errors on the console, failed requests, requests to elsewhere."""

    def __init__(self, browser: Any, address: str, *, width: int = 1440, height: int = 1000, **options: Any) -> None:
        self.address, self.wrong = address.rstrip("/"), []
        self.page = browser.new_page(viewport={"width": width, "height": height}, **options)
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
