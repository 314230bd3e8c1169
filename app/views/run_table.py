"""The list of runs: what was trained, how well it went, what was analysed."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import html

from rnnscope.app.views.words import headline, sizes
from rnnscope.records.runs import Run, RunError

STATUS_COLOURS = {"learned": "#00704F", "finished": "#8A5A00", "training": "#0072B2", "diverged": "#B23A00"}
UNREADABLE = "unreadable"
ROW, MOST_ROWS = 34, 8  # pixels; more runs than that are scrolled to

_NUMBER = {"type": "rightAligned", "filter": "agNumberColumnFilter"}
_COLUMNS = [
    {"field": "name", "headerName": "Run", "minWidth": 150, "flex": 3, "cellClass": "run-name"},
    {"field": "task", "minWidth": 200, "flex": 4, "tooltipField": "task"},
    {"field": "cell", "minWidth": 140, "flex": 2},
    {"field": "seed", "minWidth": 72, "flex": 1, **_NUMBER},
    {
        "field": "status",
        "minWidth": 95,
        "flex": 2,
        "cellStyle": {
            "styleConditions": [
                {"condition": f"params.value === '{status}'", "style": {"color": colour, "fontWeight": 600}}
                for status, colour in {**STATUS_COLOURS, UNREADABLE: "#B23A00"}.items()
            ]
        },
    },
    {
        "field": "score",
        "minWidth": 175,
        "flex": 3,
        "headerTooltip": "the metric of the task's criterion, on fresh trials after training",
        "valueFormatter": {"function": "params.data.score_text"},
        **_NUMBER,
    },
    {
        "field": "steps",
        "minWidth": 80,
        "flex": 1,
        "valueFormatter": {"function": "params.value == null ? '' : d3.format(',')(params.value)"},
        **_NUMBER,
    },
    {
        "field": "seconds",
        "minWidth": 90,
        "flex": 1,
        "valueFormatter": {"function": "params.value == null ? '' : d3.format(',.1f')(params.value)"},
        **_NUMBER,
    },
    {
        "field": "analyses",  # filtered by name; there is room for how many they are
        "minWidth": 110,
        "flex": 2,
        "tooltipField": "analyses",
        "valueFormatter": {"function": "params.data.analyses_text"},
    },
]
_THEME = (
    "themeQuartz.withParams({fontFamily: 'inherit', fontSize: 13, headerFontSize: 12, headerFontWeight: 600, "
    "headerTextColor: '#5B6675', headerBackgroundColor: '#F7F9FB', borderColor: '#E3E8EE', accentColor: '#0072B2', "
    "selectedRowBackgroundColor: '#E3F0F9', rowHoverColor: '#F2F7FB', wrapperBorder: false, wrapperBorderRadius: 0, "
    "spacing: 6})"
)


def view() -> html.Section:
    """The table, empty."""
    grid = dag.AgGrid(
        id="runs",
        columnDefs=_COLUMNS,
        rowData=[],
        defaultColDef={"sortable": True, "filter": True, "resizable": True},
        getRowId="params.data.name",
        dashGridOptions={
            "theme": {"function": _THEME},
            "loadThemeGoogleFonts": False,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": "enableSelection"},
            "rowHeight": ROW,
            "headerHeight": ROW,
            "tooltipShowDelay": 400,
            "animateRows": False,
        },
        style=height({}),
        className="grid",
    )
    refresh = dmc.Button("Refresh", id="refresh", variant="default", size="xs", n_clicks=0)
    head = html.Div([html.H2("Runs"), html.Span(id="table-note", className="note"), refresh], className="section-head")
    return html.Section([head, html.Div(grid, className="grid-frame")], className="panel runs", id="run-list")


def rows(found: Mapping[str, Run | RunError]) -> list[dict[str, Any]]:
    """One row a run; of one that cannot be read, the name is known."""
    return [_row(name, run) if isinstance(run, Run) else _bare_row(name) for name, run in found.items()]


def height(found: Mapping[str, Run | RunError]) -> dict[str, str]:
    """As high as its rows, up to a point."""
    return {"height": f"{ROW * (1 + min(len(found), MOST_ROWS)) + 2}px"}


def note(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many there are."""
    bad = sum(row["status"] == UNREADABLE for row in rows)
    return f"{len(rows)}" + (f", {bad} cannot be read" if bad else "")


def _bare_row(name: str) -> dict[str, Any]:
    return {"name": name, "status": UNREADABLE, "score_text": "", "analyses_text": ""}


def _row(name: str, run: Run) -> dict[str, Any]:
    try:
        return _full_row(name, run)
    except Exception:  # noqa: BLE001 - a run.json with anything in it costs its own row; choosing it shows why
        return _bare_row(name)


def _full_row(name: str, run: Run) -> dict[str, Any]:
    metric, score = headline(run)
    return {
        "name": name,
        "task": sizes(run.record["task"]),
        "cell": sizes(run.record["cell"], ("units", "rank")),
        "seed": run.seed,
        "status": run.status,
        "score": score,
        "score_text": "" if score is None else f"{metric} {score:.4g}",
        "steps": run.record.get("steps_done"),
        "seconds": run.record.get("seconds"),
        "analyses": ", ".join(name.replace("_", " ") for name in run.results),
        "analyses_text": str(len(run.results) or "none yet"),
    }
