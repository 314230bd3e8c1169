"""The explorer as a Dash app: a bar, and three pages of which the address shows one.

A page is made when it is first looked at, and stays in place, hidden, when another is: a table keeps its filters and
its place, and figures their WebGL contexts, of which a browser has few.
"""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

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
        <script src="FIRST"></script>
        {%css%}
    </head>
    <body>
        {%app_entry%}
        <footer>{%config%}{%scripts%}{%renderer%}</footer>
    </body>
</html>"""

# The script that asks for the numbers of a run: before Dash's own, which take half a second to be there.
ASSETS, STATE = Path(__file__).parent / "assets", "a_state.js"

PAGES = {"runs": runs, "run": dissect, "train": train}

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
        assets_folder=str(ASSETS),
        title="rnnscope explorer",
        update_title=None,  # type: ignore[arg-type]
        requests_pathname_prefix=base_path,
        routes_pathname_prefix="/",
        index_string=PAGE.replace("LOGO", f"{base_path}assets/logo.svg").replace("FIRST", _first(base_path)),
        assets_ignore=f"^{STATE}$",
        serve_locally=True,
        suppress_callback_exceptions=True,  # pages that come later have callbacks from the beginning
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
    for name, page in PAGES.items():
        _make_when_shown(app, name, page, library)
        page.register(app, library, guard)
    work.register(app, library, guard)
    return app


def _first(base_path: str) -> str:
    """Its address, another one for every version of it."""
    return f"{base_path}assets/{STATE}?m={(ASSETS / STATE).stat().st_mtime}"


def _make_when_shown(app: Dash, name: str, page: ModuleType, library: Library) -> None:
    """A page is made when it is first looked at, so that the first one does not wait for the others."""

    @app.callback(
        Output(f"page-{name}", "children"), Input(f"page-{name}", "className"), State(f"page-{name}", "children")
    )
    def make(shown: str, made: Any) -> Any:
        return no_update if made is not None or shown == "hidden" else page.layout(library)


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
            work.layout(),
            bar,
            help_,
            html.Main(
                [
                    *[html.Div(id=f"page-{name}", className="hidden") for name in PAGES],
                ]
            ),
        ],
        id="mantine",
        forceColorScheme="light",
        theme={"fontFamily": FONT, "primaryColor": "blue", "defaultRadius": "md"},
    )
