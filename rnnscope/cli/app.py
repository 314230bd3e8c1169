"""rnnscope app."""

from pathlib import Path
from typing import Annotated

import typer

from rnnscope.cli.settings import Port, settings_file


def app(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
    port: Port = 8050,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Serve the explorer of a folder of runs on 127.0.0.1."""
    from rnnscope.app import serve

    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: train a run first (rnnscope train parity), or name another folder")
    serve(folder, port=port)
