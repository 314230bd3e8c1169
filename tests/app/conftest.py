"""What tests of the explorer share: runs, a browser, and a page that notes what goes wrong in it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnscope as rs
from rnnscope.cells import Vanilla
from rnnscope.figures import browser_path
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


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, "bare", that was not analysed. It is copied, not changed."""
    folder = tmp_path_factory.mktemp("bare") / "runs"
    rs.train(Parity(2), Vanilla(4), steps=20, name="bare", folder=folder, progress=False)
    return folder


@pytest.fixture
def start_server() -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """A server in a process of its own: `start_server(module_or_code, *arguments) -> (its address, the process)`."""
    processes = []

    def start(code: str, *arguments: object) -> tuple[str, subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("rnnscope explorer: http://"), line
        return line.removeprefix("rnnscope explorer: "), process

    yield start
    for process in processes:
        process.kill()
        process.wait()
