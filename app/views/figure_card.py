"""A card: a figure with its title and the result in one line, or why there is none."""

from typing import Any

import dash_mantine_components as dmc
from dash import Output, dcc, html

from rnnscope.app.cards.card import Card, Drawn, Missing

# What a figure can be taken away as; the browser makes the first two by itself.
KINDS = (
    ("png", "PNG"),
    ("svg", "SVG"),
    ("pdf", "PDF"),
    ("csv", "data as CSV"),
    ("py", "Python that makes it"),
)


def view(card: Card) -> html.Article:
    """The card, empty. The graph stays mounted from run to run, because a browser has few WebGL contexts."""
    name = card.name
    graph = dcc.Graph(id=f"graph-{name}", config=_config(), responsive=True, className="graph")
    keep = html.Details(
        [
            html.Summary("⤓", title="take it away"),
            html.Div([html.Button(title, **{"data-export": kind}) for kind, title in KINDS], className="menu"),
        ],
        className="export",
    )
    enlarge = html.Button("⤢", title="enlarge, or back", className="enlarge", **{"data-enlarge": name})
    return html.Article(
        [
            dcc.Store(id=f"want-{name}"),
            html.Div(
                [html.H2(card.title), html.Span(id=f"about-{name}", className="about"), keep, enlarge],
                className="card-head",
            ),
            dcc.Loading(
                [
                    html.Div(graph, id=f"frame-{name}", className="frame waiting invert", role="img"),
                    html.Div(id=f"missing-{name}", className="missing"),
                ],
                type="dot",
                color="#0072B2",
                delay_show=300,
                show_initially=False,
                overlay_style={"visibility": "visible", "opacity": 0.35},
                parent_className="card-body",
            ),
            html.P(id=f"summary-{name}", className="summary", title="click to read all of it"),
        ],
        id=f"card-{name}",
        className=f"panel card {'wide' if card.wide else ''}",
        **{"data-card": name},
    )


def outputs(card: Card) -> list[Output]:
    """What `fill` gives values for."""
    name = card.name
    return [
        Output(f"graph-{name}", "figure"),
        Output(f"frame-{name}", "className"),
        Output(f"frame-{name}", "aria-label"),
        Output(f"about-{name}", "children"),
        Output(f"missing-{name}", "children"),
        Output(f"summary-{name}", "children"),
    ]


def fill(drawn: Drawn | Missing, run: str) -> tuple[Any, ...]:
    """A figure with its line, or the reason why there is none."""
    if isinstance(drawn, Missing):
        return ({}, "frame hidden", "", "", _why(drawn), "")
    # The card has a title and a size of its own. What was zoomed stays when the same run is drawn anew.
    layout = {**drawn.figure["layout"], "title": None, "width": None, "height": None, "autosize": True}
    layout["margin"] = {**layout.get("margin", {}), "t": 24}
    layout["uirevision"] = run
    figure = {**drawn.figure, "layout": layout}
    return (figure, "frame invert", drawn.summary or drawn.title, drawn.title, None, drawn.summary)


def blank() -> tuple[Any, ...]:
    """A card for no run."""
    return ({}, "frame waiting invert", "", "", None, "")


def _why(missing: Missing) -> Any:
    if missing.applies and missing.command is None:
        return dmc.Alert(missing.reason, title="This figure cannot be drawn", color="red", className="error")
    return html.P(missing.reason, className="quiet")


def _config() -> Any:
    """The mode bar, without a link to elsewhere.

    It is the same for all runs: a change would make plotly draw from nothing, in a new WebGL context.
    """
    return {
        "displaylogo": False,
        "displayModeBar": "hover",
        "showSendToCloud": False,
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "toImage"],
    }
