"""The page: a bar, the list of runs, the chosen run, and a board of figures."""

from pathlib import Path

import dash_mantine_components as dmc
from dash import dcc, html

from rnnscope.app import cards
from rnnscope.app.cards.card import Card
from rnnscope.app.views import figure_card, run_header, run_table
from rnnscope.version import __version__

# Everything comes from this server: the system's own fonts, no address of another machine.
FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"

PAGE = """<!DOCTYPE html>
<html lang="en">
    <head>
        {%metas%}
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{%title%}</title>
        <link rel="icon" type="image/svg+xml" href="/assets/logo.svg">
        {%css%}
    </head>
    <body>
        {%app_entry%}
        <footer>{%config%}{%scripts%}{%renderer%}</footer>
    </body>
</html>"""


def page(folder: Path) -> dmc.MantineProvider:
    """The page before a run is chosen; callbacks fill it."""
    bar = html.Header(
        [
            html.Img(src="/assets/logo.svg", alt="", className="logo"),
            html.Span("rnnscope", className="brand"),
            html.Span("explorer", className="brand-what"),
            html.Span(f"{folder}", className="place", title=str(folder.resolve())),
            html.Span(__version__, className="version"),
        ],
        className="bar",
    )
    boards = [_board(heading, shown) for heading, shown in cards.boards().items()]
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="shown"),
            bar,
            html.Main(
                [
                    run_table.view(),
                    html.Div(id="notice"),
                    # Hidden, not taken away, where there is no run: figures keep their place and their WebGL context.
                    html.Div([run_header.frame(), *boards], id="chosen", className="hidden"),
                ]
            ),
        ],
        forceColorScheme="light",
        theme={"fontFamily": FONT, "primaryColor": "blue", "defaultRadius": "md"},
    )


def _board(heading: str, shown: list[Card]) -> html.Section:
    """A heading and its figures."""
    views = [figure_card.view(card) for card in shown]
    return html.Section([html.H2(heading, className="board-head"), html.Div(views, className="board")])
