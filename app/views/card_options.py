"""The form of the options of a card's figure: one for the page, which the page's script puts into the card whose button
was pressed.

The store "options-of" says of which card, and what was given so far; "options-given" what is wanted now.
"""

from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update

from rnnscope.app.cards import cards, options
from rnnscope.app.cards.card import Missing
from rnnscope.app.cards.drawing import draw
from rnnscope.app.library import Library
from rnnscope.app.views import form
from rnnscope.records.runs import Run

_TEXTS = {"type": "option-text", "part": ALL, "name": ALL}
_SWITCHES = {"type": "option-switch", "part": ALL, "name": ALL}


def view() -> html.Div:
    """The form, empty and hidden, and the two stores."""
    foot = html.Div(
        [
            html.Button("as it comes", id="options-reset", className="step-button", title="no option changed"),
            html.Button("close", id="options-close", className="step-button", title="close (Esc)"),
        ],
        className="options-foot",
    )
    panel = html.Div(
        [
            html.Div(id="options-fields", className="train-fields"),
            html.Div(id="options-wrong", className="train-wrong", role="alert"),
            foot,
        ],
        id="options-panel",
        role="group",
        **{"aria-label": "options of the figure"},  # type: ignore[arg-type]
    )
    return html.Div(
        [dcc.Store(id="options-of"), dcc.Store(id="options-given"), html.Div(panel, id="options-home")],
        className="hidden",
    )


def register(app: Dash, library: Library) -> None:
    """Add the callbacks of the form."""

    @app.callback(Output("options-fields", "children"), Input("options-of", "data"), prevent_initial_call=True)
    def fill(asked: dict[str, Any] | None) -> Any:
        """The fields of the card, with what was given."""
        card = cards().get((asked or {}).get("card", ""))
        if card is None:
            return None
        held = options.shown(card, (asked or {}).get("texts", {}))
        return [form.view(card.name, field, held[field.name], "option") for field in options.fields(card)]

    @app.callback(
        Output(_TEXTS, "error"),
        Output("options-wrong", "children"),
        Output("options-given", "data"),
        Input(_TEXTS, "value"),
        Input(_SWITCHES, "checked"),
        State("asked", "data"),
        prevent_initial_call=True,
    )
    def check(_texts: Any, _switches: Any, name: str | None) -> tuple[Any, ...]:
        """Say at each field what is wrong with it, and have the card drawn anew where nothing is."""
        entered = {
            (item["id"]["part"], item["id"]["name"]): item.get("value") for group in ctx.inputs_list for item in group
        }
        ids = [item["id"] for item in ctx.outputs_list[0]]
        card = cards().get(next((part for part, _ in entered), ""))
        run = None if name is None else library.find(name)
        if card is None or not isinstance(run, Run):
            return [no_update] * len(ids), no_update, no_update
        texts = options.changed(card, {field: value for (_, field), value in entered.items()})
        # Drawn here, and kept: some options can only be judged by the result, and the page asks for it next.
        drawn = draw(run, card, texts)
        wrong = dict(drawn.wrong) if isinstance(drawn, Missing) else {}
        at_fields = [wrong.pop(each["name"], None) for each in ids]
        given = {"run": name, "card": card.name, "texts": texts}
        return at_fields, [html.P(reason) for reason in wrong.values()], no_update if any(at_fields) or wrong else given

    app.clientside_callback(
        ClientsideFunction("dissect", "options"),
        Output("options-home", "title"),
        Input("options-given", "data"),
        prevent_initial_call=True,
    )
