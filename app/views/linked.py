"""The linked views: where each stands, and the controls that say what they show. The browser draws them."""

from typing import Any

import dash_cytoscape as cyto
import dash_mantine_components as dmc
from dash import dcc, html

_NODES: list[dict[str, Any]] = [
    {"selector": "node", "style": {
        "background-color": "data(colour)", "label": "data(label)", "color": "data(ink)", "text-valign": "center",
        "text-halign": "center", "font-size": 11, "width": "data(size)", "height": "data(size)", "text-wrap": "wrap",
        "border-width": 0,
        "transition-property": "border-width", "transition-duration": "80ms"}},
    {"selector": ".initial", "style": {"shape": "round-rectangle"}},
    {"selector": ".near", "style": {"border-width": 4, "border-color": "#E69F00", "border-style": "dashed"}},
    {"selector": ".chosen", "style": {"border-width": 5, "border-color": "#E69F00"}},
    {"selector": ".here", "style": {"border-width": 5, "border-color": "#D0021B"}},
    {"selector": "edge", "style": {
        "curve-style": "bezier", "target-arrow-shape": "triangle", "line-color": "#9AA5B1",
        "target-arrow-color": "#9AA5B1", "width": "data(width)", "label": "data(label)", "font-size": 10,
        "color": "#1B2733", "text-background-color": "white", "text-background-opacity": 0.85,
        "text-background-padding": "1px", "loop-direction": "-45deg", "loop-sweep": "60deg", "text-wrap": "ellipsis",
        "text-max-width": "90px"}},
    {"selector": ".quiet", "style": {"label": "", "width": 1.2}},
    {"selector": ".pointed", "style": {"label": "data(label)", "line-color": "#1B2733", "z-index": 9, "font-size": 13,
                                       "target-arrow-color": "#1B2733"}},
    {"selector": ".walked", "style": {
        "line-color": "#D0021B", "target-arrow-color": "#D0021B", "width": 3, "z-index": 8, "label": "data(label)"}},
]  # fmt: skip

_LAYERS = (
    ("points", "points"),
    ("directions", "unstable directions"),
    ("connections", "connections"),
    ("lines", "lines"),
    ("basins", "basins"),
)
_FLOWS = (
    ("off", "no flow"),
    ("mean", "flow through the mean"),
    ("point", "flow through the selected point"),
    ("state", "flow through the cursor"),
)


def view() -> html.Div:
    """All of them, empty."""
    return html.Div(
        [
            html.Div(id="views-message", className="hidden", role="status"),
            html.Div(
                [_space(), _machine(), _trial(), _units(), _eigenvalues(), _unit(), _loss(), _exponents()],
                id="views",
                className="views",
            ),
            _picked(),
        ]
    )


def _said(label: str) -> dict[str, Any]:
    """What a screen reader says of a control."""
    return {"aria-label": label}


def _frame(name: str, title: str, body: Any, *, note: str | None = None, controls: Any = None) -> html.Section:
    head = [html.H2(title), html.Span(id=note, className="note") if note else None, controls]
    parts = body if isinstance(body, list) else [body]
    return html.Section([html.Div(head, className="view-head"), *parts], className=f"panel view of-{name}")


def _space() -> html.Section:
    controls = html.Div(
        [
            dmc.SegmentedControl(id="look-dims", data=[{"value": "2", "label": "2-D"}, {"value": "3", "label": "3-D"}],
                                 value="3", size="xs"),
            dmc.SegmentedControl(id="look-trials", value="all", size="xs",
                                 data=[{"value": "all", "label": "all trials"}, {"value": "one", "label": "one"}]),
            dmc.Select(id="look-colour", data=[{"value": "time", "label": "time"}], value="time", size="xs",
                       allowDeselect=False, className="look-colour", **_said("what colours the states")),
            dmc.Select(id="look-plane", data=[{"value": "12", "label": "PC1, PC2"}], value="12", size="xs",
                       allowDeselect=False, className="look-plane", **_said("axes of the plane")),
            dmc.Select(id="look-flow", data=[{"value": value, "label": label} for value, label in _FLOWS], value="off",
                       size="xs", allowDeselect=False, className="look-flow", **_said("flow in a plane")),
            dmc.ChipGroup([dmc.Chip(label, value=value, size="xs") for value, label in _LAYERS], id="look-layers",
                          multiple=True, value=["points", "lines"]),
        ],
        className="controls",
    )  # fmt: skip
    body = html.Div(id="view-space", className="figure invert", **_said("state space"))
    keep = html.Div(
        [
            dmc.TextInput(id="view-name", placeholder="name of this view", size="xs"),
            dmc.Button("Save view", id="view-save", size="xs", variant="default", n_clicks=0),
            dcc.Store(id="view-state"),
        ],
        className="controls keep",
    )
    parts = [
        controls,
        body,
        html.Div(id="field-words", className="note field-words hidden", role="status"),
        html.Div(id="space-note", className="note under"),
    ]
    return _frame("space", "State space", parts, note="view-note", controls=keep)


def _machine() -> html.Section:
    graph = cyto.Cytoscape(
        id="view-machine",
        elements=[],
        layout={"name": "preset"},
        stylesheet=_NODES,
        style={"width": "100%", "height": "100%"},
        userZoomingEnabled=True,
        minZoom=0.2,
        maxZoom=4,
        responsive=True,
    )
    body = html.Div(
        [
            html.Div(graph, id="machine-frame", className="figure invert"),
            html.P("No automaton of this checkpoint is known, or it reads no symbols of these trials: run the analysis "
                   "automaton, or look at the last checkpoint.",
                   id="machine-none", className="hidden empty"),
            html.Div(id="machine-word", className="word", title="what the machine read; click a symbol to go there"),
        ],
        className="figure-column",
    )  # fmt: skip
    return _frame("machine", "Automaton", body, note="machine-note")


def _trial() -> html.Section:
    controls = html.Div(
        [
            html.Button("▶", id="play", title="play (space)", className="play", **_said("play the trial")),
            dmc.Slider(id="time-slider", min=0, max=1, value=0, step=1, size="sm", className="time-slider",
                       updatemode="drag", label=None),
            html.Span(id="time-note", className="note"),
            dmc.NumberInput(id="trial-number", min=0, value=0, step=1, size="xs", className="trial-number",
                            prefix="trial ", allowDecimal=False, clampBehavior="strict"),
        ],
        className="controls",
    )  # fmt: skip
    return _frame("trial", "Trial", [controls, html.Div(id="view-trial", className="figure invert")])


def _units() -> html.Section:
    order = dmc.Select(
        id="unit-order",
        data=[
            {"value": "number", "label": "by number"},
            {"value": "peak", "label": "by time of peak"},
            {"value": "mean", "label": "by mean activity"},
            {"value": "ablation", "label": "by effect of ablation"},
        ],
        value="number",
        size="xs",
        allowDeselect=False,
        className="unit-order",
        **_said("order of the units"),
    )
    return _frame("units", "Units in this trial", html.Div(id="view-units", className="figure invert"), controls=order)


def _eigenvalues() -> html.Section:
    body = html.Div(id="view-eigenvalues", className="figure invert")
    return _frame("eigenvalues", "Eigenvalues", body, note="eigenvalues-note")


def _unit() -> html.Section:
    body = html.Div(id="view-unit", className="figure invert hidden")
    return _frame("unit", "One unit", body, note="unit-note")


def _exponents() -> html.Section:
    body = html.Div(id="view-exponents", className="figure invert")
    return _frame("exponents", "Exponents", body, note="exponents-note")


def _loss() -> html.Section:
    controls = html.Div(
        [
            dmc.Slider(id="step-slider", min=0, max=1, value=None, step=1, size="sm", className="step-slider",
                       updatemode="mouseup", label=None),
            html.Span(id="step-note", className="note"),
        ],
        className="controls",
    )  # fmt: skip
    return _frame("loss", "Through training", [controls, html.Div(id="view-loss", className="figure invert")])


def _picked() -> html.Section:
    head = html.Div(
        [
            html.H2("Selected states"),
            html.Span(id="picked-note", className="note"),
            dmc.TextInput(id="picked-name", placeholder="name of the selection", size="xs"),
            dmc.Button("CSV", id="picked-csv", size="xs", variant="default", n_clicks=0),
        ],
        className="view-head",
    )
    table = html.Table([html.Thead(html.Tr(id="picked-names")), html.Tbody(id="picked-rows")], className="picked-table")
    return html.Section([head, html.Div(table, className="picked-frame")], id="picked", className="panel hidden")
