"""The explorer inside a notebook: the same pages, in a frame below the cell."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rnnscope.app.library import Library
from rnnscope.app.server import listen_in_background
from rnnscope.records.runs import Run

HEIGHT = 900  # pixels


@dataclass(frozen=True)
class Explorer:
    """A running explorer. A notebook shows it in a frame; `address` opens it elsewhere.

    Attributes:
        address: of the page that it shows.
        height: of the frame, in pixels.
        close: stops serving it.
    """

    address: str
    height: int
    close: Callable[[], None]

    def __repr__(self) -> str:
        return f"Explorer: {self.address}"

    def _repr_html_(self) -> str:
        address = html.escape(self.address, quote=True)
        return (
            f'<p><a href="{address}" target="_blank">{address}</a></p>'
            f'<iframe src="{address}" width="100%" height="{self.height}" style="border:1px solid #ccc"></iframe>'
        )


def explore(*runs: Run | str | Path, height: int = HEIGHT) -> Explorer:
    """Serve the explorer of runs, or of folders of runs, from this process, and show it below the cell.

    It listens on this machine alone. A notebook whose browser is on another machine reaches it through the proxy that
    serves the notebook (jupyter-server-proxy: /proxy/PORT/), or by an SSH tunnel.

    Args:
        *runs: what to show. With one run, its page; else the list.
        height: of the frame, in pixels.

    Raises:
        ValueError: nothing to show, or no such folder. ImportError: Dash is not installed.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> folder = tempfile.mkdtemp()
        >>> run = rs.train(rs.tasks.Parity(2), rs.cells.Vanilla(4), steps=2, folder=folder, progress=False)
        >>> explorer = rs.explore(run)
        >>> explorer.address.endswith(f"/run/{run.name}")
        True
        >>> explorer.close()
    """
    places = [run.path if isinstance(run, Run) else Path(run) for run in runs]
    library = Library.of(places)
    address, close = listen_in_background(*places)
    names = [*library.places()]
    if len(names) == 1:
        address += f"/run/{quote(names[0])}"
    return Explorer(address, height, close)
