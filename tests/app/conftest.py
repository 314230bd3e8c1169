"""What tests of the explorer share: a run, a browser, and servers."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import ARGUMENTS

import rnnscope as rs
from rnnscope.cells import Vanilla
from rnnscope.figures import browser_path
from rnnscope.tasks import Parity


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


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
    """A server in a process of its own: `start_server(code, *arguments) -> (its address, the process)`."""
    yield from _servers()


@pytest.fixture(scope="module")
def module_server() -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """The same for all tests of a file."""
    yield from _servers()


def _servers() -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
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
