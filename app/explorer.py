"""The explorer as a Dash app: a bar, and three pages of which the address shows one.

All pages stay in place, hidden, when another is looked at: a table keeps its filters and its place, and figures their
WebGL contexts, of which a browser has few.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, dcc, html

from rnnscope.app.library import Library
from rnnscope.app.pages import dissect, runs, train
from rnnscope.app.views import work
from rnnscope.version import __version__

if TYPE_CHECKING:
    from rnnscope.app.guard import Guard

# Everything comes from this server: the system's own fonts, no address of another machine.
FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"

PAGE = """<!DOCTYPE html>
<html lang="en">
    <head>
        {%metas%}
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{%title%}</title>
        <link rel="icon" type="image/svg+xml" href="LOGO">
        {%css%}
    </head>
    <body>
        {%app_entry%}
        <footer>{%config%}{%scripts%}{%renderer%}</footer>
    </body>
</html>"""

SHORTCUTS = (
    ("space", "play the trial, or pause"),
    ("← →", "one step back or on; with shift ten"),
    ("↑ ↓", "another trial"),
    ("[ ]", "the checkpoint before or after"),
    ("/", "search the runs"),
    ("Esc", "select nothing"),
    ("?", "this list"),
)


def build(library: Library, guard: "Guard", base_path: str = "/") -> Dash:
    """The app over folders of runs; `base_path` is where a proxy shows it."""
    app = Dash(
        "rnnscope.app",
        assets_folder=str(Path(__file__).parent / "assets"),
        title="rnnscope explorer",
        update_title=None,  # type: ignore[arg-type]
        requests_pathname_prefix=base_path,
        index_string=PAGE.replace("LOGO", f"{base_path}assets/logo.svg"),
        serve_locally=True,
        suppress_callback_exceptions=True,  # a table that comes later has callbacks from the beginning
        enable_mcp=False,
    )
    app.layout = _shell(library, guard, base_path)
    app.clientside_callback(
        ClientsideFunction("shell", "page"),
        Output("page-runs", "className"),
        Output("page-run", "className"),
        Output("page-train", "className"),
        Output("asked", "data"),
        Input("url", "pathname"),
    )
    app.clientside_callback(
        ClientsideFunction("shell", "scheme"),
        Output("mantine", "forceColorScheme"),
        Output("scheme", "data"),
        Input("scheme-button", "n_clicks"),
        Input("scheme", "modified_timestamp"),
    )
    runs.register(app, library, guard)
    dissect.register(app, library, guard)
    train.register(app, library, guard)
    work.register(app, library, guard)
    return app


def _shell(library: Library, guard: "Guard", base_path: str) -> dmc.MantineProvider:
    bar = html.Header(
        [
            dcc.Link(
                [
                    html.Img(src=f"{base_path}assets/logo.svg", alt="", className="logo"),
                    html.Span("rnnscope", className="brand"),
                ],
                href=base_path,
                className="home",
            ),
            html.Nav(
                [
                    dcc.Link("Runs", href=base_path, id="nav-runs", className="nav"),
                    dcc.Link("Train", href=f"{base_path}train", id="nav-train", className="nav"),
                ]
            ),
            html.Span(str(library), className="place", title=str(library)),
            html.Button("?", id="help-button", title="keyboard shortcuts (?)", className="bar-button"),
            html.Button("◐", id="scheme-button", title="light or dark", className="bar-button"),
            html.Span(__version__, className="version"),
        ],
        className="bar",
    )
    help_ = html.Dialog(
        [
            html.H2("Keyboard"),
            html.Dl([part for key, what in SHORTCUTS for part in (html.Dt(html.Kbd(key)), html.Dd(what))]),
        ],
        id="help",
        className="help",
    )
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="asked"),
            dcc.Store(id="base", data=base_path),
            dcc.Store(id="token", data=guard.token),
            dcc.Store(id="scheme", storage_type="local"),
            bar,
            help_,
            html.Main(
                [
                    html.Div(runs.layout(library), id="page-runs", className="hidden"),
                    html.Div(dissect.layout(library), id="page-run", className="hidden"),
                    html.Div(train.layout(library), id="page-train", className="hidden"),
                ]
            ),
        ],
        id="mantine",
        forceColorScheme="light",
        theme={"fontFamily": FONT, "primaryColor": "blue", "defaultRadius": "md"},
    )
