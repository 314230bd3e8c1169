"""A card: a figure with its title and the result in one line, or why there is none and how to make it."""

from typing import Any

from dash import Output, dcc, html

from rnnscope.app.cards.card import Card, Drawn, Missing

SVG = {"format": "svg", "height": 620, "width": 900}


def view(card: Card) -> html.Article:
    """The card, empty. The graph stays mounted from run to run, because a browser has few WebGL contexts."""
    name = card.name
    graph = dcc.Graph(id=f"graph-{name}", config=_config(name), responsive=True, className="graph")
    return html.Article(
        [
            html.Div(
                [html.H2(card.title), html.Span(id=f"about-{name}", className="about")],
                className="card-head",
            ),
            dcc.Loading(
                [
                    html.Div(graph, id=f"frame-{name}", className="frame waiting"),
                    html.Div(id=f"missing-{name}", className="missing"),
                ],
                type="dot",
                color="#0072B2",
                delay_show=150,
                show_initially=False,
                overlay_style={"visibility": "visible", "opacity": 0.35},
                parent_className="card-body",
            ),
            html.P(id=f"summary-{name}", className="summary"),
        ],
        id=f"card-{name}",
        className=f"panel card {'wide' if card.wide else ''}",
    )


def outputs(card: Card) -> list[Output]:
    """What `fill` gives values for."""
    name = card.name
    return [
        Output(f"graph-{name}", "figure"),
        Output(f"frame-{name}", "className"),
        Output(f"about-{name}", "children"),
        Output(f"missing-{name}", "children"),
        Output(f"summary-{name}", "children"),
    ]


def fill(drawn: Drawn | Missing) -> tuple[Any, ...]:
    """A figure with its line, or the reason why there is none."""
    if isinstance(drawn, Missing):
        return ({}, "frame hidden", "", _why(drawn), "")
    # The card has a title and a size of its own.
    layout = {**drawn.figure["layout"], "title": None, "width": None, "height": None, "autosize": True}
    layout["margin"] = {**layout.get("margin", {}), "t": 24}
    figure = {**drawn.figure, "layout": layout}
    return (figure, "frame", drawn.title, None, drawn.summary)


def blank() -> tuple[Any, ...]:
    """A card for no run."""
    return ({}, "frame waiting", "", None, "")


def _why(missing: Missing) -> list[Any]:
    if not missing.applies:
        return [html.P(missing.reason)]
    if missing.command is None:
        return [html.Strong("This figure cannot be drawn"), html.P(missing.reason, className="error")]
    return [
        html.P(missing.reason),
        html.Div(
            [html.Code(missing.command), dcc.Clipboard(content=missing.command, title="copy", className="copy")],
            className="command",
        ),
    ]


def _config(name: str) -> Any:
    """The mode bar: a picture to download (SVG, for papers), and no link to elsewhere.

    It is the same for all runs: a change would make plotly draw from nothing, in a new WebGL context.
    """
    return {
        "displaylogo": False,
        "displayModeBar": "hover",
        "toImageButtonOptions": {**SVG, "filename": f"rnnscope-{name}"},
        "modeBarButtonsToRemove": ["lasso2d", "select2d"],
    }
