"""The chosen run: what it is, how well it learned, and what each analysis says, in one line each."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dash_mantine_components as dmc
from dash import Output, html

from rnnscope.app.cards import boards
from rnnscope.app.cards.card import Card, Drawn, Missing
from rnnscope.app.views.run_table import STATUS_COLOURS
from rnnscope.app.views.words import brief, headline, sizes
from rnnscope.records.runs import Run, RunError

STATUS_WORDS = {
    "learned": "the task's criterion was met",
    "finished": "the steps ran out before the criterion was met",
    "training": "still training, or interrupted: go on with --resume",
    "diverged": "training diverged; the last good checkpoint was kept",
}


def frame() -> html.Section:
    """The header, empty. The findings stay in place: each figure's callback fills its own line."""
    findings: list[Any] = []
    for heading, cards in boards().items():
        lines = [card for card in cards if card.finding]
        if lines:
            findings.append(html.Div(heading, className="findings-head"))
        for card in lines:
            findings += [html.Dt(html.A(card.title, href=f"#card-{card.name}")), html.Dd(id=f"finding-{card.name}")]
    return html.Section(
        [
            html.Div(id="run-head", className="run-head"),
            html.Dl(findings, className="findings"),
            html.Div(id="run-settings"),
        ],
        className="panel run",
    )


def head(run: Run) -> list[Any]:
    """Name, what it is, and its numbers."""
    metric, score = headline(run)
    what = f"{sizes(run.record['task'])} · {sizes(run.record['cell'], ('units', 'rank'))}"
    status = html.Span(
        run.status,
        className="badge",
        style={"backgroundColor": STATUS_COLOURS.get(run.status, "#444444")},
        title=STATUS_WORDS.get(run.status, ""),
    )
    numbers = [
        _number(metric or "score", "–" if score is None else f"{score:.4g}"),
        _number("training steps", f"{run.record.get('steps_done', 0):,}"),
        _number("seconds", f"{run.record.get('seconds', 0):,.1f}"),
        _number("seed", str(run.seed)),
        _number("checkpoints", str(len(run.checkpoints))),
    ]
    return [
        html.Div([html.H1(run.name), status, html.Span(what, className="what")], className="run-title"),
        html.Div(numbers, className="numbers"),
    ]


def outputs(card: Card) -> list[Output]:
    """Where a card's line appears among the findings, if it does."""
    line = f"finding-{card.name}"
    return [Output(line, "children"), Output(line, "className")] if card.finding else []


def finding(card: Card, drawn: Drawn | Missing | None) -> list[Any]:
    """What `outputs` get."""
    if not card.finding:
        return []
    match drawn:
        case Drawn():
            return [drawn.summary, ""]
        case Missing(applies=False):
            return ["does not apply: see its card below", "faint"]
        case Missing(command=None):
            return ["cannot be shown: see its card below", "bad"]
        case Missing():
            return ["not run yet", "faint"]
    return ["", ""]


def settings(run: Run) -> html.Details:
    """Everything that `run.json` says, to unfold."""
    groups: dict[str, Mapping[str, Any]] = {
        "Task": run.record["task"],
        "Cell": run.record["cell"],
        "Training": run.record["training"],
        "Metrics on fresh trials": run.metrics,
        "Versions": run.record.get("versions", {}),
    }
    return html.Details(
        [
            html.Summary("Settings, metrics and versions"),
            html.Div(
                [
                    html.Div([html.H3(title), html.Dl([*_pairs(values)])], className="setting-group")
                    for title, values in groups.items()
                    if values
                ],
                className="settings",
            ),
        ]
    )


def nothing(folder: Path, asked: str | None, error: RunError | None) -> Any:
    """Instead of a run: what is wrong with the one that was asked for, or how to make the first."""
    if error is not None:
        return dmc.Alert(str(error), title=f"The run {asked} cannot be read", color="red", id="message")
    if asked is not None:
        text = f"There is no run of this name in {folder}. Choose one above; Refresh looks for new ones."
        return dmc.Alert(text, title=f"No run named {asked}", color="yellow", id="message")
    steps = [
        ("Train a network on a small task", f"rnnscope train parity --folder {shlex.quote(str(folder))}"),
        ("Take it apart", f"rnnscope analyze {shlex.quote(str(folder))}/*"),
        ("Come back, and press Refresh", None),
    ]
    return html.Div(
        [
            html.H1("No runs yet"),
            html.P(f"The explorer shows what is in {folder}, and there is no run in it. To make one:"),
            html.Ol([html.Li([text, html.Pre(command) if command else None]) for text, command in steps]),
            html.P(
                ["All presets: ", html.Code("rnnscope list"), ". Three runs in one go: ", html.Code("rnnscope demo")]
            ),
        ],
        className="panel welcome",
        id="message",
    )


def _number(label: str, value: str) -> html.Div:
    return html.Div([html.Span(value, className="value"), html.Span(label, className="label")], className="number")


def _pairs(values: Mapping[str, Any]) -> list[Any]:
    """Key and value; settings inside settings one level down, with both names."""
    found: list[Any] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and "kind" not in value:
            found += _pairs({f"{key} {inner}": item for inner, item in value.items()})
        else:
            found += [html.Dt(key.replace("_", " ")), html.Dd(brief(value))]
    return found
