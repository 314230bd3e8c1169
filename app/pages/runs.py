"""All runs: a table that searches, sorts and filters ten thousand of them, and shows new ones by itself."""

import csv
import io
from typing import TYPE_CHECKING, Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from rnnscope.app import tags
from rnnscope.app.index import COLUMNS, Index
from rnnscope.app.library import Library

if TYPE_CHECKING:
    from rnnscope.app.guard import Guard

ROW = 34  # pixels
POLL = 2000  # milliseconds between two looks for new runs
ALL = 10**9

_TEXT: dict[str, Any] = {"filter": "agTextColumnFilter"}
_NUMBER: dict[str, Any] = {"filter": "agNumberColumnFilter", "type": "numericColumn"}


def _number(field: str, title: str, tip: str, digits: str = ",.4~g", **more: Any) -> dict[str, Any]:
    text = f"params.value == null ? '' : d3.format('{digits}')(params.value)"
    return {"field": field, "headerName": title, "headerTooltip": tip, "valueFormatter": {"function": text},
            "minWidth": 84, "flex": 1, **_NUMBER, **more}  # fmt: skip


_LAMBDA = (
    "params.value == null ? '' : d3.format('.4~f')(params.value) + "
    "(params.data.lambda_1_error == null ? '' : ' ± ' + d3.format('.1~r')(params.data.lambda_1_error))"
)
_POINTS = (
    "params.value == null ? '' : params.value + (params.data.stable == null ? '' : ' (' + params.data.stable + ')')"
)
_COLUMNS = [
    {"field": "name", "headerName": "Run", "minWidth": 130, "flex": 3, "cellRenderer": "RunLink", **_TEXT},
    {"field": "task", "headerName": "Task", "minWidth": 130, "flex": 3, "tooltipField": "task", **_TEXT},
    {"field": "cell", "headerName": "Cell", "minWidth": 110, "flex": 2, "tooltipField": "cell", **_TEXT},
    {"field": "status", "headerName": "Status", "minWidth": 112, "flex": 1, "cellRenderer": "RunStatus", **_TEXT},
    _number("score", "Score", "the metric that the task is judged by, on fresh trials", ",.3~g", tooltipField="metric"),
    {"field": "curve", "headerName": "Training", "headerTooltip": "the loss over the steps that were logged, from its "
     "least to its largest value, in logarithms where all are positive; the last value beside it",
     "cellRenderer": "LossCurve", "sortable": False, "filter": False, "minWidth": 138, "flex": 1},
    _number("loss", "Loss", "the last that was logged", ".3~g", hide=True),
    _number("points", "Points", "fixed points that were found, and how many of them are stable",
            valueFormatter={"function": _POINTS}, minWidth=84),
    _number("lambda_1", "λ₁ ± error", "largest Lyapunov exponent in nats per step, with its standard error",
            valueFormatter={"function": _LAMBDA}, minWidth=150),
    _number("dimension", "Dim.", "participation ratio of the visited states", ",.3~g", minWidth=92),
    _number("machine_states", "Machine", "states of the automaton that was extracted", ",d", minWidth=90),
    _number("fidelity", "Fidelity", "share of words, of the kind with the least, after every prefix of which automaton "
            "and network agree", ".3~f"),
    _number("seed", "Seed", "of everything random", ",d", hide=True),
    _number("steps", "Steps", "training steps that were done", ",d", minWidth=76),
    {"field": "tags", "headerName": "Tags", "minWidth": 84, "flex": 1, **_TEXT},
    _number("seconds", "Seconds", "that training took", ",.1f", hide=True),
    _number("units", "Units", "of the network", ",d", hide=True),
    _number("kaplan_yorke", "Kaplan-Yorke", "dimension of the attractor", ",.3~g", hide=True),
    {"field": "analyses", "headerName": "Analyses", "hide": True, "tooltipField": "analyses", **_TEXT},
]  # fmt: skip


_SEARCH: dict[str, Any] = {"aria-label": "search the runs"}
_THEME = (
    "themeQuartz.withParams({fontFamily: 'inherit', fontSize: 13, headerFontSize: 12, headerFontWeight: 600, "
    "headerTextColor: 'var(--soft)', headerBackgroundColor: 'var(--raised)', borderColor: 'var(--line)', "
    "backgroundColor: 'var(--panel)', foregroundColor: 'var(--ink)', accentColor: '#0072B2', "
    "selectedRowBackgroundColor: 'var(--chosen)', rowHoverColor: 'var(--hover)', menuBackgroundColor: 'var(--panel)', "
    "wrapperBorder: false, wrapperBorderRadius: 0, spacing: 6})"
)


def layout(library: Library) -> html.Section:
    """The table, empty, and what can be done with the runs that are picked."""
    tools = html.Div(
        [
            html.H1("Runs"),
            html.Span(id="runs-note", className="note"),
            dmc.TextInput(
                id="runs-search",
                placeholder="Search name, task, cell, tags …  ( / )",
                debounce=200,
                className="search",
                **_SEARCH,
            ),
            html.Span(id="picked-runs-note", className="note"),
            dmc.TextInput(id="tag-words", placeholder="tag, -tag", size="sm", className="tag-words"),
            dmc.Button("Tag picked", id="tag-button", variant="default", size="sm", disabled=True),
            dmc.Button("CSV", id="csv-button", variant="default", size="sm", n_clicks=0),
            dcc.Download(id="csv-file"),
        ],
        className="tools",
    )
    return html.Section(
        [
            tools,
            html.Div(id="runs-message"),
            html.Div(_grid(), id="runs-frame", className="panel grid-frame"),
            html.Div(_first_steps(library), id="runs-none", className="hidden"),
            dcc.Interval(id="runs-poll", interval=POLL),
            dcc.Store(id="runs-changes"),
        ],
        className="runs-page",
    )


def _grid() -> dag.AgGrid:
    """The table, empty."""
    return dag.AgGrid(
        id="runs",
        columnDefs=_COLUMNS,
        rowModelType="infinite",
        defaultColDef={"sortable": True, "resizable": True, "floatingFilter": False},
        getRowId="params.data.name",
        dashGridOptions={
            "theme": {"function": _THEME},
            "loadThemeGoogleFonts": False,
            "rowSelection": {"mode": "multiRow", "headerCheckbox": False},
            "rowHeight": ROW,
            "headerHeight": ROW + 2,
            "tooltipShowDelay": 400,
            "animateRows": False,
            "cacheBlockSize": 100,
            "maxBlocksInCache": 30,
            "maxConcurrentDatasourceRequests": 1,
        },
        style={"height": "100%"},
        className="grid",
    )


def register(app: Dash, library: Library, guard: "Guard") -> None:
    """Rows, search, tags and the file."""
    index = Index(library)

    @app.callback(
        Output("runs", "getRowsResponse"),
        Input("runs", "getRowsRequest"),
        State("runs-search", "value"),
        prevent_initial_call=True,
    )
    def rows(asked: dict[str, Any] | None, search: str | None) -> Any:
        if asked is None:
            return no_update
        found = index.page(
            int(asked["startRow"]),
            int(asked["endRow"]),
            sort=asked.get("sortModel") or (),
            filters=asked.get("filterModel") or {},
            search=search or "",
        )
        return {"rowData": found.rows, "rowCount": found.total}

    @app.callback(
        Output("runs-changes", "data"),
        Output("runs-note", "children"),
        Output("runs-frame", "className"),
        Output("runs-none", "className"),
        Input("runs-poll", "n_intervals"),
        State("runs-changes", "data"),
    )
    def look(_: int | None, before: int | None) -> Any:
        index.follow()
        if before == index.changes:
            return no_update
        total = index.page(0, 0).total
        shown = "panel grid-frame" if total else "hidden"
        return index.changes, f"{total:,}", shown, "hidden" if total else ""

    app.clientside_callback(
        ClientsideFunction("runs", "again"),
        Output("runs", "className"),
        Input("runs-changes", "data"),
        Input("runs-search", "value"),
    )

    @app.callback(
        Output("tag-button", "disabled"),
        Output("picked-runs-note", "children"),
        Input("runs", "selectedRows"),
    )
    def picked(rows: Any) -> tuple[bool, str]:
        n = len(rows) if isinstance(rows, list) else 0
        return n == 0, f"{n} picked" if n else ""

    @app.callback(
        Output("runs-message", "children"),
        Output("tag-words", "value"),
        Input("tag-button", "n_clicks"),
        State("runs", "selectedRows"),
        State("tag-words", "value"),
        State("token", "data"),
        prevent_initial_call=True,
    )
    def tag(_: int, rows: list[dict[str, Any]] | None, given: str | None, token: str) -> Any:
        guard.check(token)
        words = [word.strip() for word in (given or "").split(",") if word.strip()]
        if not words:
            return dmc.Alert(
                "Write one or more tags first; -tag takes one away.", color="yellow", withCloseButton=True
            ), ""
        try:
            for row in rows or []:
                place = library.place(row["name"])
                if place is not None:
                    tags.change(place, words)
        except (ValueError, OSError) as error:
            return dmc.Alert(str(error), color="red", withCloseButton=True), no_update
        index.refresh()
        return None, ""

    @app.callback(
        Output("csv-file", "data"),
        Input("csv-button", "n_clicks"),
        State("runs", "selectedRows"),
        State("runs", "getRowsRequest"),
        State("runs-search", "value"),
        prevent_initial_call=True,
    )
    def file(_: int, rows: Any, asked: dict[str, Any] | None, search: str | None) -> Any:
        """Those that are picked, or else all that the filters leave, in the order of the table."""
        model = asked or {}
        names = {row["name"] for row in rows} if isinstance(rows, list) and rows else None
        left = {} if names else {"filters": model.get("filterModel") or {}, "search": search or ""}
        found = index.page(0, ALL, sort=model.get("sortModel") or (), **left).rows
        text = io.StringIO()
        writer = csv.DictWriter(text, [name for name in COLUMNS if name != "curve"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({key: _harmless(value) for key, value in row.items()} for row in found
                         if names is None or row["name"] in names)  # fmt: skip
        return {"content": text.getvalue(), "filename": "runs.csv", "type": "text/csv"}


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _first_steps(library: Library) -> html.Div:
    import shlex

    folder = shlex.quote(str(next(iter(library.roots.values()))))
    steps = [
        ("Train a network on a small task: here, under Train, or", f"rnnscope train parity --folder {folder}"),
        ("Take it apart: on its page, or", f"rnnscope analyze {folder}/*"),
        ("Several runs, trained and taken apart in one go:", "rnnscope demo"),
    ]
    return html.Div(
        [
            html.H1("No runs yet"),
            html.P(f"The explorer shows what is in {library}, and new runs as soon as they are there. To make one:"),
            html.Ol([html.Li([text, html.Pre(command)]) for text, command in steps]),
        ],
        className="panel welcome",
        id="message",
    )
