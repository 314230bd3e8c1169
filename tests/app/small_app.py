"""A small app around the pages that are tested by themselves: the shell without the rest of the explorer."""

import sys
import types
from pathlib import Path
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

import rnnscope.app


def build(library: Any, guard: Any, base_path: str = "/") -> Dash:
    """The same signature as the explorer's own."""
    from rnnscope.app.pages import train
    from rnnscope.app.views import work

    app = Dash(
        "rnnscope.app",
        assets_folder=str(Path(rnnscope.app.__file__).parent / "assets"),
        requests_pathname_prefix=base_path,
        routes_pathname_prefix="/",
        update_title=None,  # type: ignore[arg-type]
        serve_locally=True,
        enable_mcp=False,
        suppress_callback_exceptions=True,
    )

    def shell() -> Any:
        return dmc.MantineProvider(
            [
                dcc.Location(id="url", refresh="callback-nav"),
                dcc.Store(id="token", data=guard.token),
                html.Div(train.layout(library), id="page-train"),
                html.Div(id="page-run"),
                dcc.Store(id="shown-run"),
                html.Pre(id="stamp-seen"),
                work.layout(),
            ]
        )

    app.layout = shell
    train.register(app, library, guard)
    work.register(app, library, guard)

    @app.callback(Output("page-run", "children"), Input("url", "pathname"))
    def show(pathname: str) -> Any:
        name = work.shown_run(app, pathname)
        if name is None:
            return ""
        return [html.H1(name), work.run_button(name, ["lyapunov"], "Run"), work.run_button(name, [], "Run all missing")]

    app.clientside_callback("s => String(s)", Output("stamp-seen", "children"), Input("job-stamp", "data"))
    return app


def install() -> None:
    """Let `rnnscope.app.server` find this app in place of the explorer."""
    module = types.ModuleType("rnnscope.app.explorer")
    module.build = build  # type: ignore[attr-defined]
    sys.modules["rnnscope.app.explorer"] = module


if __name__ == "__main__":
    install()
    from rnnscope.app import serve

    serve(*sys.argv[2:], port=int(sys.argv[1]))
