"""rnnscope app."""

from pathlib import Path
from typing import Annotated

import typer

from rnnscope.cli.settings import Port, settings_file


def app(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders that hold runs, or runs.", metavar="RUNS...", show_default="runs"),
    ] = None,
    port: Port = 8050,
    host: Annotated[
        str, typer.Option(help="The address to listen at. Anything but 127.0.0.1 asks browsers for a token.")
    ] = "127.0.0.1",
    trusted_host: Annotated[
        list[str] | None, typer.Option(help="A name under which browsers may ask for it (repeatable).")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="The token that browsers must bring; where one is needed and none is given, it is made."),
    ] = None,
    base_path: Annotated[
        str, typer.Option(help="The path under which a proxy shows it, such as /user/name/proxy/8050/.")
    ] = "/",
    trusted_proxy: Annotated[
        bool, typer.Option("--trusted-proxy", help="A proxy stands before it: believe its X-Forwarded headers.")
    ] = False,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Serve the explorer of runs, on 127.0.0.1 unless another address is named.

    From another machine: `ssh -L 8050:127.0.0.1:8050 HOST`, then open http://127.0.0.1:8050 there.

    Behind JupyterHub: `rnnscope app --base-path /user/NAME/proxy/8050/ --trusted-host hub.example`

    A token on the command line can be read by others on this machine: a settings file (--config) is the safer place.
    """
    from rnnscope.app import serve

    folders = runs or [Path("runs")]
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"no folder {folder}: train a run first (rnnscope train parity), or name another folder")
    serve(
        *folders,
        host=host,
        port=port,
        trusted_hosts=trusted_host or (),
        base_path=base_path,
        token=token,
        trusted_proxy=trusted_proxy,
    )
