"""Progress bars, which are live in a terminal or a notebook and become a line now and then in a log."""

import contextlib
import html
import sys
import time
from collections.abc import Callable, Iterator

from rnnscope.notebook import is_notebook

Advance = Callable[[int, str], None]
_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BETWEEN_PICTURES = 0.2


@contextlib.contextmanager
def progress_bar(title: str, total: int) -> Iterator[Advance]:
    """Yield `advance(done, words)`, which shows that `done` of `total` steps are done."""
    with progress_bars() as add:
        yield add(title, total)


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int], Advance]]:
    """Several bars at once: yield `add(title, total) -> advance`."""
    if is_notebook():  # rich would ask for ipywidgets there
        bars: list[_Displayed] = []
        try:
            yield lambda title, total: bars.append(_Displayed(title, total)) or bars[-1].advance
        finally:
            for bar in bars:
                bar.show(over=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}"),
    ]
    with Progress(*columns, console=console) as live:

        def add(title: str, total: int) -> Advance:
            bar = live.add_task(title, total=total, words="")
            return lambda done, words: live.update(bar, completed=done, words=words)

        yield add


def _lines(title: str, total: int) -> Advance:
    last = time.monotonic() - _SECONDS_BETWEEN_LINES

    def advance(done: int, words: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES or done == total:
            last = time.monotonic()
            print(f"{title}: {done}/{total} {words}", file=sys.stderr, flush=True)

    return advance


class _Displayed:
    """A bar in the output of a cell, shown anew a few times a second; the last one stays."""

    def __init__(self, title: str, total: int) -> None:
        from IPython.display import DisplayHandle  # type: ignore[import-not-found] - there in a notebook alone

        self.title, self.total, self.done, self.words = title, total, 0, ""
        self.began = self.shown = time.monotonic()
        self.place = DisplayHandle()
        self.place.display(self._content(), raw=True)

    def advance(self, done: int, words: str) -> None:
        self.done, self.words = done, words
        if time.monotonic() - self.shown >= _SECONDS_BETWEEN_PICTURES:
            self.show()

    def show(self, over: bool = False) -> None:
        self.shown = time.monotonic()
        self.place.update(self._content(over), raw=True)

    def _content(self, over: bool = False) -> dict[str, str]:
        told = f"{self.done} of {self.total}, {time.monotonic() - self.began:.1f} s"
        told = ", ".join(filter(None, (told, self.words)))
        # A training that has learned its task ends long before its last step: a bar would look as if it hung.
        bar = ": " if over else f'<progress max="{self.total}" value="{self.done}" style="margin: 0 .7em"></progress>'
        return {
            "text/plain": f"{self.title}: {told}",
            "text/html": f"<div>{html.escape(self.title)}{bar}{html.escape(told)}</div>",
        }
