"""The page that trains: a form for task, cell and training, and the jobs that were started from it.

Everything that the form says is checked, with the settings objects themselves, before anything starts.
"""

import time
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props
from dash.development.base_component import Component

from rnnscope.app.as_code import as_command, as_python
from rnnscope.app.guard import Guard
from rnnscope.app.job_files import place_of
from rnnscope.app.job_state import jobs, look
from rnnscope.app.jobs import forget, go_on, start_training
from rnnscope.app.library import Library
from rnnscope.app.views import job_list, train_form
from rnnscope.cells import CELLS
from rnnscope.learning.defaults import default_training
from rnnscope.learning.presets import PRESETS
from rnnscope.tasks import TASKS, to_config

_FIRST = "flip-flop"
_TEXTS = {"type": "train-text", "part": ALL, "name": ALL}
_SWITCHES = {"type": "train-switch", "part": ALL, "name": ALL}


def layout(library: Library) -> Component:
    """The page, with the first preset in its form."""
    preset = PRESETS[_FIRST]
    task, cell, training = to_config(preset.task), to_config(preset.cell), to_config(preset.training)
    presets = [{"value": name, "label": f"{name}: {each.about}"} for name, each in PRESETS.items()]
    return html.Div(
        [
            html.Section(
                [
                    html.H1("Train a network", className="train-title"),
                    dmc.Select(
                        id="train-preset",
                        label="Preset",
                        description="Trainings that are known to work: one fills the form.",
                        data=presets,
                        value=_FIRST,
                        searchable=True,
                        clearable=True,
                        placeholder="none",
                    ),
                    train_form.group("task", task),
                    train_form.group("cell", cell),
                    html.Section(
                        [html.H2("Training"), html.Div(train_form.training_fields(training), id="train-of-training")],
                        className="train-group",
                    ),
                    html.Section(_run_fields(library), className="train-group train-run"),
                    html.Details(
                        [html.Summary("The same as Python, and as a command"), _code("python"), _code("command")],
                        className="train-codes",
                    ),
                ],
                className="train-form",
            ),
            html.Section(
                [
                    html.H2("Jobs", className="train-title"),
                    html.Div(id="train-trouble", role="alert"),
                    html.Div(job_list.view([], str), id="train-jobs", **{"aria-live": "polite"}),  # type: ignore[arg-type]
                ],
                className="train-jobs",
            ),
        ],
        className="train",
        id="train",
    )


def register(app: Dash, library: Library, guard: Guard) -> None:
    """Add the callbacks of the page."""

    @app.callback(
        Output("train-task", "value"),
        Output("train-cell", "value"),
        Output("train-of-task", "children"),
        Output("train-of-cell", "children"),
        Output("train-of-training", "children"),
        Output("train-about-task", "children"),
        Output("train-about-cell", "children"),
        Input("train-preset", "value"),
        Input("train-task", "value"),
        Input("train-cell", "value"),
        prevent_initial_call=True,
    )
    def choose(preset: str | None, task: str, cell: str) -> tuple[Any, ...]:
        """Another preset, task or cell makes another form."""
        fields: dict[str, Any] = dict.fromkeys(("task", "cell", "training"), no_update)
        changed = ctx.triggered_id
        if changed == "train-preset" and preset in PRESETS:
            chosen = PRESETS[preset]
            task, cell = type(chosen.task).__name__, type(chosen.cell).__name__
            fields["task"] = train_form.fields("task", to_config(chosen.task))
            fields["cell"] = train_form.fields("cell", to_config(chosen.cell))
            fields["training"] = train_form.training_fields(to_config(chosen.training))
        elif changed == "train-task" and task in TASKS:
            example = train_form.example("task", task)
            fields["task"] = train_form.fields("task", to_config(example))
            fields["training"] = train_form.training_fields(to_config(default_training(example)))
        elif changed == "train-cell" and cell in CELLS:
            fields["cell"] = train_form.fields("cell", to_config(train_form.example("cell", cell)))
        return task, cell, *fields.values(), train_form.about("task", task), train_form.about("cell", cell)

    @app.callback(
        Output(_TEXTS, "error"),
        Output("train-name", "error"),
        Output("train-seed", "error"),
        Output("train-name", "placeholder"),
        Output("train-wrong", "children"),
        Output("train-start", "disabled"),
        Output("train-python", "children"),
        Output("train-command", "children"),
        Input(_TEXTS, "value"),
        Input(_SWITCHES, "checked"),
        Input("train-name", "value"),
        Input("train-seed", "value"),
        Input("job-now", "data"),
        State("train-task", "value"),
        State("train-cell", "value"),
    )
    def check(*_: Any) -> tuple[Any, ...]:
        """Say at each field what is wrong with it, and what the form comes to."""
        entered = _entered()
        wanted, wrong = entered.check()
        taken = wanted is not None and _is_there(library, wanted.name)
        if taken and entered.name:
            wrong = {("run", "name"): taken}
        ids = [item["id"] for item in ctx.outputs_list[0]]
        at_fields = [wrong.pop((each["part"], each["name"]), None) for each in ids]
        at_name, at_seed = wrong.pop(("run", "name"), None), wrong.pop(("run", "seed"), None)
        several = sum(bool(each) for each in (*at_fields, at_name, at_seed))
        general = [html.P(reason) for reason in wrong.values()]
        if several and not general:
            general = [html.P(f"{'One field needs' if several == 1 else f'{several} fields need'} another value.")]
        if taken and not entered.name:  # nobody has made a mistake
            general = [html.P(taken, className="train-about")]
        codes: tuple[Any, Any] = (no_update, no_update)
        placeholder: Any = no_update
        if wanted is not None:
            folder = _folder(library)
            codes = as_python(wanted, folder), as_command(wanted, folder)
            placeholder = wanted.name if not entered.name else no_update
        refused = wanted is None or bool(taken)
        return at_fields, at_name, at_seed, placeholder, general, refused, *codes

    @app.callback(
        Output("train-trouble", "children"),
        Input("train-start", "n_clicks"),
        State(_TEXTS, "value"),
        State(_SWITCHES, "checked"),
        State("train-name", "value"),
        State("train-seed", "value"),
        State("train-task", "value"),
        State("train-cell", "value"),
        State("token", "data"),
        prevent_initial_call=True,
    )
    def start(*arguments: Any) -> Any:
        guard.check(arguments[-1])
        wanted, wrong = _entered().check()
        if wanted is None:
            return _trouble("; ".join(wrong.values()))
        try:
            start_training(library, wanted)
        except (ValueError, OSError) as error:
            return _trouble(str(error))
        set_props("job-kick", {"data": time.time()})
        return None

    @app.callback(
        Output("train-jobs", "children"), Input("job-now", "data"), Input("url", "pathname"), prevent_initial_call=False
    )
    def show(_now: Any, pathname: str | None) -> Any:
        if (app.strip_relative_path(pathname or "") or "") != "train":
            return no_update
        return job_list.view(jobs(library), lambda name: app.get_relative_path(f"/run/{quote(name)}"))

    @app.callback(
        Output("train-trouble", "children", allow_duplicate=True),
        Input({"type": "job-go-on", "run": ALL, "kind": ALL, "at": ALL}, "n_clicks"),
        Input({"type": "job-forget", "run": ALL, "kind": ALL, "at": ALL}, "n_clicks"),
        State("token", "data"),
        prevent_initial_call=True,
    )
    def resume_or_forget(_on: Any, _off: Any, token: str | None) -> Any:
        pressed = ctx.triggered_id
        if not isinstance(pressed, dict) or not ctx.triggered[0]["value"]:
            return no_update
        guard.check(token)
        place = place_of(library, str(pressed["run"]))
        if place is None:
            return _trouble(f"there is no run {pressed['run']} any more")
        try:
            if pressed["type"] == "job-go-on":
                go_on(library, place)
            elif (job := look(place, pressed["kind"], pressed["run"])) is not None:
                forget(library, job)
        except (ValueError, OSError) as error:
            return _trouble(str(error))
        set_props("job-kick", {"data": time.time()})
        return None


def _run_fields(library: Library) -> list[Any]:
    return [
        html.Div(
            [
                dmc.TextInput(id="train-name", label="name of the run", debounce=300, className="train-name"),
                dmc.TextInput(
                    id="train-seed",
                    label="seed",
                    value="0",
                    debounce=300,
                    attributes={"input": {"inputMode": "numeric"}},
                    className="train-seed",
                ),
                dmc.Button("Train", id="train-start", n_clicks=0),
            ],
            className="train-go",
        ),
        html.Div(id="train-wrong", className="train-wrong", role="alert"),
        html.P(["It becomes a folder in ", html.Code(str(_folder(library)))], className="train-about"),
    ]


def _code(language: str) -> html.Div:
    return html.Div(
        [
            html.Pre(id=f"train-{language}"),
            dcc.Clipboard(target_id=f"train-{language}", title=f"copy as {language}", className="train-copy"),
        ],
        className="train-code",
    )


def _entered() -> train_form.Entered:
    """What stands in the form, as a callback of it was given it."""
    texts: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for group in [*ctx.inputs_list, *ctx.states_list]:
        for item in group if isinstance(group, list) else [group]:
            if isinstance(item["id"], dict):
                texts.setdefault(item["id"]["part"], {})[item["id"]["name"]] = item.get("value")
            else:
                plain[item["id"]] = item.get("value")
    kinds = {"task": str(plain["train-task"]), "cell": str(plain["train-cell"])}
    name = (plain["train-name"] or "").strip()
    return train_form.Entered(kinds, texts, plain["train-seed"], name or None)


def _is_there(library: Library, name: str) -> str:
    """Why a run of this name cannot be begun."""
    try:
        place = library.folder_for_new() / name
    except ValueError as error:
        return str(error)
    there = place.is_dir() and any(not inside.name.startswith(".") for inside in place.iterdir())
    return f"there is a run {name} already: choose another name, or another seed" if there or place.is_file() else ""


def _folder(library: Library) -> Any:
    try:
        return library.folder_for_new()
    except ValueError:
        return "runs"


def _trouble(text: str) -> Any:
    return dmc.Alert(text, color="red", variant="light", withCloseButton=True)
