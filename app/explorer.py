"""The page as a Dash app: which run the address names, and what then appears where.

The address is the only memory: choosing a run writes `?run=name`, and everything else follows from it, so that a
view can be sent to somebody and the browser's back button works.
"""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from dash import Dash, Input, Output, State, no_update, set_props

from rnnscope.app import library
from rnnscope.app.cards import cards
from rnnscope.app.cards.card import Card
from rnnscope.app.views import figure_card, layout, run_header, run_table
from rnnscope.records.runs import Run


def build(folder: Path) -> Dash:
    """The app over a folder of runs."""
    app = Dash(
        "rnnscope.app",
        assets_folder=str(Path(__file__).parent / "assets"),
        title="rnnscope explorer",
        update_title=None,  # type: ignore[arg-type]
        index_string=layout.PAGE,
        serve_locally=True,
        enable_mcp=False,
    )
    app.layout = layout.page(folder)

    @app.callback(
        Output("runs", "rowData"),
        Output("runs", "selectedRows"),
        Output("runs", "style"),
        Output("table-note", "children"),
        Output("run-head", "children"),
        Output("run-settings", "children"),
        Output("notice", "children"),
        Output("chosen", "className"),
        Output("shown", "data"),
        Input("url", "search"),
        Input("refresh", "n_clicks"),
        State("runs", "rowData"),
        State("shown", "data"),
    )
    def show(search: str | None, _clicks: int | None, old_rows: Any, old_shown: Any) -> tuple[Any, ...]:
        """The list, and the run that the address names."""
        found = library.read_runs(folder)
        rows = run_table.rows(found)
        name = asked_for(search) or first(found)
        run = found.get(name or "")
        listed = (
            no_update if rows == old_rows else rows,
            {"ids": [name] if run is not None else []},
            run_table.height(found),
            run_table.note(rows),
        )
        if not isinstance(run, Run):
            return (*listed, None, None, run_header.nothing(folder, name, run), "hidden", None)
        try:
            header = run_header.head(run), run_header.settings(run)
        except Exception as error:  # noqa: BLE001 - a run.json with anything in it costs its own view, not the page
            wrong = library.unshowable(run.path, error)
            return (*listed, None, None, run_header.nothing(folder, name, wrong), "hidden", None)
        # What was written since makes it another view of the same run, and its figures are drawn anew.
        shown = {"run": name, "stamps": library.stamps(run)}
        changed = no_update if shown == old_shown else shown
        return (*listed, *header, None, "", changed)

    @app.callback(
        Input("runs", "selectedRows"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def choose(selected: Any, search: str | None) -> None:
        """A row becomes the address. `set_props`, because an Output would close a circle with `show`."""
        # The grid reports what `show` selected too, first as {"ids": ...}; that is no choice of the reader's.
        name = selected[0]["name"] if isinstance(selected, list) and selected else None
        shown = asked_for(search) or first(library.read_runs(folder))
        if name is not None and name != shown:
            set_props("url", {"search": "?" + urlencode({"run": name})})

    for card in cards().values():
        _fill(app, folder, card)
    return app


def _fill(app: Dash, folder: Path, card: Card) -> None:
    """Every card asks for its figure by itself: the quick ones do not wait for the slow."""

    @app.callback(*figure_card.outputs(card), *run_header.outputs(card), Input("shown", "data"))
    def fill(shown: dict[str, Any] | None) -> tuple[Any, ...]:
        run = library.find_run(folder, shown["run"]) if shown else None
        if run is None:
            return (*figure_card.blank(), *run_header.finding(card, None))
        drawn = library.draw(run, card)
        return (*figure_card.fill(drawn), *run_header.finding(card, drawn))


def asked_for(search: str | None) -> str | None:
    """The name in `?run=name`."""
    return (parse_qs((search or "").removeprefix("?")).get("run") or [None])[0]


def first(found: dict[str, Any]) -> str | None:
    """What the page opens with: the first run that was analysed, or else the first."""
    runs = [run for run in found.values() if isinstance(run, Run)]
    return next((run.name for run in runs if run.results), runs[0].name if runs else None)
