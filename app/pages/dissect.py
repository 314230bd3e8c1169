"""One run: what it is in a row of tiles, linked views of what it does, and a card for each figure of each result."""

import contextlib
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from flask import Response, request

from rnnscope.app import packs, saved_views, scene, seen
from rnnscope.app.cards import boards, cards
from rnnscope.app.cards.drawing import draw, stamps
from rnnscope.app.library import Library, unshowable, words
from rnnscope.app.pages import files
from rnnscope.app.views import card_options, figures, linked, work
from rnnscope.app.views.tiles import tiles
from rnnscope.app.views.words import brief, sizes
from rnnscope.records.runs import Run, RunError

if TYPE_CHECKING:
    from rnnscope.app.guard import Guard

# Milliseconds between two looks at a run that trains; at one to which a notebook may add results; at none.
POLL, SLOW, NEVER = 2000, 15_000, 10**9
STATUS_WORDS = {
    "learned": "the task's criterion was met",
    "finished": "the steps ran out before the criterion was met",
    "training": "still training, or interrupted: go on with --resume",
    "diverged": "training diverged; the last good checkpoint was kept",
}


def layout(_library: Library) -> html.Div:
    """The page before a run is chosen; callbacks fill it."""
    index = [html.A(heading, href=f"#{_anchor(heading)}", className="index-entry") for heading in boards()]
    return html.Div(
        [
            dcc.Store(id="shown"),
            dcc.Store(id="cards", data=_listed()),
            dcc.Interval(id="run-poll", interval=SLOW),
            html.Div(
                [
                    html.Div(id="run-head", className="run-head"),
                    html.Nav(index, className="index"),
                    work.controls(),
                ],
                className="run-bar",
            ),
            html.Div(id="notice"),
            html.Div(
                [
                    html.Div(id="tiles", className="tiles"),
                    html.Div(id="checkpoint-note", className="checkpoint-note hidden", role="status"),
                    linked.view(),
                    html.Div(id="absent", className="absent"),
                    html.Div(id="boards"),
                    card_options.view(),
                    html.Div(id="run-settings", className="panel run-settings"),
                ],
                id="chosen",
                className="hidden",
            ),
        ]
    )  # fmt: skip


def register(app: Dash, library: Library, guard: "Guard") -> None:
    """What appears where, and the addresses that give numbers to the views."""
    _serve(app, library)
    card_options.register(app, library)

    @app.callback(
        Output("run-head", "children"),
        Output("tiles", "children"),
        Output("run-missing", "className"),
        Output("absent", "children"),
        Output("run-settings", "children"),
        Output("notice", "children"),
        Output("chosen", "className"),
        Output("shown", "data"),
        Output("run-poll", "interval"),
        Output("step-slider", "max"),
        Output("step-slider", "value"),
        Output("step-slider", "marks"),
        Input("asked", "data"),
        Input("run-poll", "n_intervals"),
        Input("job-stamp", "data"),
        State("shown", "data"),
        State("url", "search"),
        State("step-slider", "value"),
    )
    def show(
        name: str | None, _polls: Any, _stamp: Any, before: Any, search: str | None, at: int | None
    ) -> tuple[Any, ...]:
        """The run that the address names."""
        if name is None:
            return (*[no_update] * 7, None, NEVER, *[no_update] * 3)
        run = library.find(name)
        if not isinstance(run, Run):
            return (name, None, "hidden", None, None, _nothing(name, run), "hidden", None, POLL, *[no_update] * 3)
        try:
            steps = run.checkpoints
            present = [card.name for card in cards().values() if card.file(run) is not None]
            shown = {"run": name, "steps": steps, "present": present, "stamps": stamps(run), "scene": seen.stamp(run),
                     "done": [*_done(run)]}  # fmt: skip
            pause = POLL if run.status == "training" else SLOW
            if shown == before:  # nothing was written since
                return (*[no_update] * 8, pause, *[no_update] * 3)
            parts = _head(name, run), tiles(run), _work(run), _absent(run), _settings(run)
        except Exception as error:  # noqa: BLE001 - a run.json with anything in it costs its own view, not the page
            wrong = None if library.place(name) is None else unshowable(run.path, error)
            return (name, None, "hidden", None, None, _nothing(name, wrong), "hidden", None, POLL, *[no_update] * 3)
        slider: tuple[Any, ...] = (no_update,) * 3
        if before is None or (before["run"], before["steps"]) != (name, steps):
            place = _asked(search, steps)
            if before is not None and before["run"] == name and at is not None and at < len(before["steps"]) - 1:
                place = steps.index(before["steps"][at])  # a checkpoint that came meanwhile moves nobody from another
            slider = (max(len(steps) - 1, 1), place, [{"value": i} for i in range(len(steps))])
        return (*parts, None, "", shown, pause, *slider)

    @app.callback(
        Output("view-note", "children"),
        Input("view-state", "data"),
        State("view-name", "value"),
        State("asked", "data"),
        State("token", "data"),
        State("base", "data"),
        prevent_initial_call=True,
    )
    def keep(state: dict[str, Any], given: str | None, name: str, token: str, base: str) -> Any:
        """Keep the view under its name; the link to it carries the name alone."""
        guard.check(token)
        place = library.place(name)
        if place is None:
            return f"there is no run named {name} any more"
        try:
            kept = saved_views.write(place, given or "", state)
        except (ValueError, OSError) as error:
            return words(error)
        return html.A(f"saved: {kept}", href=f"{base}run/{quote(name)}?{urlencode({'view': kept})}", id="view-link")

    def clientside(name: str, output: tuple[str, str], inputs: list[Any], **more: Any) -> None:
        app.clientside_callback(ClientsideFunction("dissect", name), Output(*output), *inputs, **more)

    shown, base = State("shown", "data"), State("base", "data")
    clientside("open", ("views", "title"), [Input("shown", "data"), base, State("cards", "data")])
    clientside(
        "step", ("step-note", "children"), [Input("step-slider", "value"), shown, base], prevent_initial_call=True
    )
    controls = [Input(f"look-{name}", prop) for name, prop in
                (("dims", "value"), ("colour", "value"), ("trials", "value"), ("layers", "value"), ("plane", "value"),
                 ("flow", "value"))]  # fmt: skip
    clientside("look", ("space-note", "title"), controls, prevent_initial_call=True)
    clientside("time", ("time-slider", "name"), [Input("time-slider", "value")], prevent_initial_call=True)
    clientside("trial", ("trial-number", "name"), [Input("trial-number", "value")], prevent_initial_call=True)
    clientside("play", ("play", "name"), [Input("play", "n_clicks")], prevent_initial_call=True)
    clientside("view", ("view-state", "data"), [Input("view-save", "n_clicks")], prevent_initial_call=True)
    clientside("order", ("unit-order", "name"), [Input("unit-order", "value")], prevent_initial_call=True)
    clientside("savePicked", ("picked-csv", "name"), [Input("picked-csv", "n_clicks"), State("picked-name", "value")],
               prevent_initial_call=True)  # fmt: skip


def _serve(app: Dash, library: Library) -> None:
    """Numbers for the views, as JSON; an error is a sentence."""

    def answer(name: str, make: Any) -> Response:
        run = library.find(name)
        # What is asked for before the page knows the run is no error of the page where there is none.
        wrong = 200 if "early" in request.args else 409
        try:
            if run is None:
                return _json({"error": f"There is no run named {name} any more."}, 404 if wrong == 409 else 200)
            if isinstance(run, RunError):
                return _json({"error": str(run)}, wrong)
            step = request.args.get("step", type=int)
            return _json(make(run, step), 200)
        except (seen.NoScene, RunError) as error:
            return _json({"error": f"{str(error)[:1].upper()}{str(error)[1:]}."}, wrong)
        except Exception as error:  # noqa: BLE001 - damaged files may raise anything, and cost only these views
            return _json({"error": f"The views of this run cannot be drawn: {words(error)}."}, wrong)

    server, prefix = app.server, app.config.routes_pathname_prefix

    @server.get(f"{prefix}_scene/<path:name>")
    def scene_(name: str) -> Response:
        return answer(name, scene.scene)

    @server.get(f"{prefix}_trial/<path:name>/<int:number>")
    def trial(name: str, number: int) -> Response:
        return answer(name, lambda run, step: scene.trial(run, step, number))

    @server.get(f"{prefix}_unit/<path:name>/<int:number>")
    def unit(name: str, number: int) -> Response:
        return answer(name, lambda run, step: scene.unit(run, step, number))

    @server.get(f"{prefix}_beside/<path:name>")
    def beside(name: str) -> Response:
        return answer(name, scene.beside)

    @server.get(f"{prefix}_growth/<path:name>/<int:number>")
    def growth(name: str, number: int) -> Response:
        return answer(name, lambda run, step: scene.growth(run, step, number))

    @server.get(f"{prefix}_flow/<path:name>/<axes>/<through>")
    def flow(name: str, axes: str, through: str) -> Response:
        return answer(name, lambda run, step: scene.flow(run, step, axes, through))

    @server.get(f"{prefix}_card/<path:name>/<card>")
    def card_(name: str, card: str) -> Response:
        run = library.find(name)
        if not isinstance(run, Run) or card not in cards():
            return _json({"error": f"There is no figure {card} of a run named {name}."}, 404)
        texts = request.args.to_dict()
        text = figures.as_json(draw(run, cards()[card], texts), f"{name} {sorted(texts.items())}")
        return Response(text, mimetype="application/json", headers={"Cache-Control": "no-store"})

    @server.get(f"{prefix}_figure/<path:name>/<card>.<kind>")
    def figure(name: str, card: str, kind: str) -> Response:
        run = library.find(name)
        try:
            if not isinstance(run, Run):
                raise files.NoFile(f"there is no run named {name} that can be read")
            return files.file(run, card, kind, request.args.to_dict())
        except files.NoFile as error:
            return _json({"error": str(error)}, 404)
        except Exception as error:  # noqa: BLE001 - a damaged result, or no browser that draws a PDF
            return _json({"error": words(error)}, 409)


def _json(value: dict[str, Any], status: int) -> Response:
    return Response(packs.encoded(value), status, mimetype="application/json", headers={"Cache-Control": "no-store"})


def _asked(search: str | None, steps: list[int]) -> int:
    """The place of the checkpoint that the address names; the last if it names none."""
    with contextlib.suppress(ValueError, KeyError):
        return steps.index(int(parse_qs((search or "").removeprefix("?"))["step"][0]))
    return max(len(steps) - 1, 0)


def _head(name: str, run: Run) -> list[Any]:
    what = f"{sizes(run.record['task'])} · {sizes(run.record['cell'], ('units', 'rank'))}"
    if run.imported is not None:
        status = html.Span("imported", className="status", title="the weights are those of another program")
        done = f"{len(run.imported['files'])} files, up to step {run.record.get('steps_done', 0):,}"
    else:
        status = html.Span(run.status, className=f"status status-{run.status}", title=STATUS_WORDS.get(run.status, ""))
        steps, seconds = _done(run)
        done = f"seed {run.seed} · {steps:,.0f} steps, {seconds:,.1f} s"
    return [html.H1(name), status, html.Span(f"{what} · {done}", className="what", title=what)]


def _done(run: Run) -> tuple[float, float]:
    """Steps and seconds of training so far: while it trains those that were logged last."""
    if run.status == "training":
        with contextlib.suppress(RunError, KeyError, IndexError):
            return float(run.history["step"][-1]), float(run.history["seconds"][-1])
    return float(run.record.get("steps_done", 0)), float(run.record.get("seconds", 0))


def _work(run: Run) -> str:
    """The class of the button that runs what was not run, which is hidden where there is nothing to run."""
    return "" if _not_run(run) and run.checkpoints and run.status != "training" else "hidden"


def _not_run(run: Run) -> list[str]:
    from rnnscope.analyses import ANALYSES

    done = {*run.results, *run.skipped}
    return [name for name in ANALYSES if name not in done]


def _absent(run: Run) -> list[Any]:
    """Analyses without a figure, in a line each: those that do not apply, and those that were not run."""
    from rnnscope.analyses import ANALYSES

    parts: list[Any] = []
    skipped, missing = run.skipped, _not_run(run)
    if skipped:
        lines = [html.Li([html.B(ANALYSES[name].title), f": {reason}"]) for name, reason in skipped.items()
                 if name in ANALYSES]  # fmt: skip
        titles = ", ".join(ANALYSES[name].title.lower() for name in skipped if name in ANALYSES)
        parts.append(html.Details([html.Summary(f"{len(lines)} do not apply: {titles}"), html.Ul(lines)]))
    if missing:
        commands = shlex.join(["rnnscope", "analyze", str(run.path), "--missing"])
        titles = ", ".join(ANALYSES[name].title.lower() for name in missing)
        can_run = bool(run.checkpoints) and run.status != "training"
        lines = [html.Li([ANALYSES[name].title, work.run_one(name) if can_run else None]) for name in missing]
        summary = html.Summary(f"{len(missing)} not run yet: {titles}")
        parts.append(html.Details([summary, html.Ul(lines), html.Pre(commands, className="command")]))
    return parts


def _settings(run: Run) -> html.Details:
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


def _nothing(name: str, error: RunError | None) -> dmc.Alert:
    """Instead of a run: what is wrong with it."""
    if error is not None:
        return dmc.Alert(str(error), title=f"The run {name} cannot be read", color="red", id="message")
    text = "It may have been deleted or renamed. The list of runs shows what is there."
    return dmc.Alert(text, title=f"No run named {name}", color="yellow", id="message")


def _pairs(values: Mapping[str, Any]) -> list[Any]:
    """Key and value; settings inside settings one level down, with both names."""
    found: list[Any] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and "kind" not in value:
            found += _pairs({f"{key} {inner}": item for inner, item in value.items()})
        else:
            found += [html.Dt(key.replace("_", " ")), html.Dd(brief(value))]
    return found


def _listed() -> list[dict[str, Any]]:
    """Headings with their cards: the page makes frames of them, and asks for each figure when it comes into view."""
    return [
        {
            "heading": heading,
            "anchor": _anchor(heading),
            "cards": [
                {"name": card.name, "title": card.title, "wide": card.wide, "options": card.drawing is not None}
                for card in shown
            ],
        }
        for heading, shown in boards().items()
    ]


def _anchor(heading: str) -> str:
    return "group-" + "".join(letter if letter.isalnum() else "-" for letter in heading.lower())
