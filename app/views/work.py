"""Buttons that start analyses on a run's page, what they say meanwhile, and the clock that asks how jobs are.

The shell holds `layout()` once. A button is `run_button(run, analyses, label)`, wherever it stands. The data of the
store "job-stamp" change when a job of the run that the address names has ended, or has kept another result.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props

from rnnscope.analyses import ANALYSES
from rnnscope.app.guard import Guard
from rnnscope.app.job_files import KINDS, Kind, place_of
from rnnscope.app.job_state import Job, jobs, look
from rnnscope.app.jobs import cancel, start_analyses
from rnnscope.app.library import Library
from rnnscope.app.views.job_list import duration

_POLL = 1000  # milliseconds, while anything is at work; nothing is asked else


def layout() -> html.Div:
    """What the buttons and the list of jobs share."""
    return html.Div(
        [
            dcc.Interval(id="job-poll", interval=_POLL, disabled=True),
            dcc.Store(id="job-kick"),
            dcc.Store(id="job-now"),
            dcc.Store(id="job-stamp"),
        ],
        id="job-clock",
    )


def run_button(name: str, analyses: Sequence[str], label: str) -> html.Div:
    """A button that starts analyses on a run.

    Args:
        name: the run, as `Library` calls it.
        analyses: their names; none for all that are missing. No two buttons of a page ask for the same of one run.
        label: what stands on it.
    """
    named = {"run": name, "analyses": ",".join(analyses)}
    return html.Div(
        [
            dmc.Button(label, id={"type": "job-run", **named}, size="compact-sm", variant="light"),
            html.Span(id={"type": "job-feedback", **named}, className="job-feedback", role="status"),
        ],
        className="job-run",
    )


def register(app: Dash, library: Library, guard: Guard) -> None:
    """Add the callbacks of the clock, of the buttons, and of every button that cancels."""

    @app.callback(
        Output("job-poll", "disabled"),
        Output("job-now", "data"),
        Output("job-stamp", "data"),
        Input("job-poll", "n_intervals"),
        Input("url", "pathname"),
        Input("job-kick", "data"),
        State("job-now", "data"),
        State("job-stamp", "data"),
    )
    def tick(_n: int | None, pathname: str | None, _kick: Any, was: Any, stamp: Any) -> tuple[Any, Any, Any]:
        """Ask how jobs are; and again, as long as anything is at work."""
        found = jobs(library)
        working = any(job.state == "running" for job in found)
        now = [[job.name, job.kind, job.state, job.done, job.message] for job in found]
        now = [*now, int(time.time())] if working else now  # seconds go by
        name = shown_run(app, pathname)
        fresh = None if name is None else _stamp(library, name)
        return not working, no_update if now == was else now, no_update if fresh == stamp else fresh

    @app.callback(
        Output({"type": "job-feedback", "run": ALL, "analyses": ALL}, "children"),
        Output({"type": "job-run", "run": ALL, "analyses": ALL}, "disabled"),
        Input({"type": "job-run", "run": ALL, "analyses": ALL}, "n_clicks"),
        Input("job-now", "data"),
        State("token", "data"),
    )
    def press(_clicks: Any, _now: Any, token: str | None) -> tuple[list[Any], list[bool]]:
        """Start what was asked for, and say how it is at every button."""
        ids = [item["id"] for item in ctx.outputs_list[0]]
        asked, wrong = ctx.triggered_id, ""
        if isinstance(asked, dict) and asked["type"] == "job-run" and ctx.triggered[0]["value"]:
            guard.check(token)
            wrong = _start(library, asked["run"], asked["analyses"])
            if not wrong:
                set_props("job-kick", {"data": time.time()})
        state = {name: _job_of(library, name) for name in {each["run"] for each in ids}}
        said = [_feedback(state[each["run"]], each) for each in ids]
        if wrong:
            failed = html.Span(wrong, className="job-failed")
            said = [failed if _same(each, asked) else other for each, other in zip(ids, said, strict=True)]
        working = {name: job is not None and job.state == "running" for name, job in state.items()}
        return said, [working[each["run"]] for each in ids]

    @app.callback(
        Output("job-kick", "data"),
        Input({"type": "job-cancel", "run": ALL, "kind": ALL, "at": ALL}, "n_clicks"),
        State("token", "data"),
        prevent_initial_call=True,
    )
    def stop(_clicks: Any, token: str | None) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered[0]["value"]:
            return no_update
        guard.check(token)
        place = place_of(library, str(asked["run"]))
        for kind in KINDS:
            if place is not None and kind == asked["kind"]:
                cancel(place, kind)
        return time.time()


def shown_run(app: Dash, pathname: str | None) -> str | None:
    """The run that an address names; None where it names none."""
    path = unquote(app.strip_relative_path(pathname or "") or "")
    return path.removeprefix("run/") if path.startswith("run/") else None


def _same(one: dict[str, str], other: Any) -> bool:
    return (one["run"], one["analyses"]) == (other["run"], other["analyses"])


def _start(library: Library, name: str, analyses: str) -> str:
    """Start analyses; what is wrong, or nothing."""
    place = library.place(name)
    if place is None:
        return f"there is no run {name} any more"
    try:
        start_analyses(library, place, analyses.split(",") if analyses else None)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _job_of(library: Library, name: str) -> Job | None:
    place = place_of(library, name)
    return None if place is None else look(place, "analyses", name)


def _feedback(job: Job | None, button: dict[str, str]) -> Any:
    """What to say at a button: the whole at the one that was pressed, at others whether theirs is being done."""
    if job is None:
        return None
    own = ",".join(job.names) == button["analyses"]
    if job.state == "running" and not own:
        entry = ANALYSES.get(button["analyses"])
        return "at work" if entry is not None and job.message == entry.title else None
    if not own:
        return None
    if job.state != "running":
        words = {"done": f"{job.message} in {duration(job.seconds)}"}.get(job.state, f"{job.state}: {job.message}")
        return html.Span(job.message if job.state == "cancelled" else words, className=f"job-{job.state}")
    how_far = f"{job.message} ({job.done + 1} of {job.total})" if job.total > 1 else job.message
    named = {"type": "job-cancel", "run": job.name, "kind": "analyses", "at": button["analyses"]}
    return [
        dmc.Loader(size="xs", className="job-spinner"),
        html.Span(f"{how_far}, {duration(job.seconds)}"),
        dmc.Button("Cancel", id=named, size="compact-xs", variant="default"),
    ]


def _stamp(library: Library, name: str) -> str | None:
    """Another text whenever a job of the run has ended or has kept something."""
    place = place_of(library, name)
    if place is None:
        return None
    states = [_state(place, kind) for kind in KINDS]
    return "|".join([name, *states, _newest(place / "results")])


def _state(place: Path, kind: Kind) -> str:
    job = look(place, kind)
    # What was running, and is not: how it ended does not matter to what is on the page.
    return "" if job is None else f"{job.began}{'...' if job.state == 'running' else '.'}"


def _newest(folder: Path) -> str:
    """How many results there are, and when the newest was kept."""
    times = []
    with suppress(OSError):
        for each in os.scandir(folder):
            if each.is_dir():
                times += [file.stat().st_mtime_ns for file in os.scandir(each) if not file.name.startswith(".")]
    return f"{len(times)} {max(times, default=0)}"
