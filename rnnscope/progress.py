"""Progress bars, which are live in a terminal or a notebook and become a line now and then in a log."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Advance = Callable[[int, str], None]
_SECONDS_BETWEEN_LINES = 5.0


@contextlib.contextmanager
def progress_bar(title: str, total: int) -> Iterator[Advance]:
    """Yield `advance(done, words)`, which shows that `done` of `total` steps are done."""
    with progress_bars() as add:
        yield add(title, total)


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int], Advance]]:
    """Several bars at once: yield `add(title, total) -> advance`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal and not console.is_jupyter:
        yield _lines
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}"),
    ]
    with Progress(*columns, console=console) as bars:

        def add(title: str, total: int) -> Advance:
            bar = bars.add_task(title, total=total, words="")
            return lambda done, words: bars.update(bar, completed=done, words=words)

        yield add


def _lines(title: str, total: int) -> Advance:
    last = time.monotonic() - _SECONDS_BETWEEN_LINES

    def advance(done: int, words: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES or done == total:
            last = time.monotonic()
            print(f"{title}: {done}/{total} {words}", file=sys.stderr, flush=True)

    return advance
