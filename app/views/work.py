"""Buttons that start analyses on a run's page, what they say meanwhile, and the clock that asks how jobs are.

The shell holds `layout()` once, a run's page `controls()`, and a button `run_one(analysis)` for each that is missing.
The data of the store "job-stamp" change when a job of the run that the address names has ended, or has kept another
result.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update, set_props

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
            dcc.Store(id="job-ask"),
            dcc.Store(id="job-kick"),
            dcc.Store(id="job-now"),
            dcc.Store(id="job-stamp"),
        ],
        id="job-clock",
    )


def controls() -> html.Div:
    """The button that runs what was not run of the run that the address names, and what is said of its job. It stays in
    place whatever becomes of the run: an answer that comes late finds it there."""
    return html.Div(
        [
            dmc.Button("Run what is missing", id="run-missing", size="compact-sm", variant="light", className="hidden"),
            html.Span(id="run-feedback", className="job-feedback", role="status"),
        ],
        id="run-work",
        className="job-run",
    )


def run_one(analysis: str) -> html.Button:
    """A button that runs one analysis of the run that the address names; the page's script tells `job-ask`."""
    return html.Button("run", className="run-one", **{"data-analysis": analysis})  # type: ignore[arg-type]


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
        Output("run-feedback", "children"),
        Output("run-missing", "disabled"),
        Output("run-work", "className"),
        Input("run-missing", "n_clicks"),
        Input("job-ask", "data"),
        Input("job-now", "data"),
        Input("asked", "data"),
        State("token", "data"),
    )
    def press(_clicks: Any, one: Any, _now: Any, name: str | None, token: str | None) -> tuple[Any, bool, str]:
        """Start what was asked for, and say how it is."""
        asked, wrong = ctx.triggered_id, ""
        if name is None:
            return None, False, "job-run"
        if asked in ("run-missing", "job-ask") and ctx.triggered[0]["value"]:
            guard.check(token)
            wrong = _start(library, name, None if asked == "run-missing" else [str(one["analysis"])])
            if not wrong:
                set_props("job-kick", {"data": time.time()})
        job = _job_of(library, name)
        working = job is not None and job.state == "running"
        said = html.Span(wrong, className="job-failed") if wrong else _feedback(job)
        return said, working, "job-run working" if working else "job-run"

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


def _start(library: Library, name: str, analyses: list[str] | None) -> str:
    """Start analyses, all that are missing if None; what is wrong, or nothing."""
    place = library.place(name)
    if place is None:
        return f"there is no run {name} any more"
    try:
        start_analyses(library, place, analyses)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _job_of(library: Library, name: str) -> Job | None:
    place = place_of(library, name)
    return None if place is None else look(place, "analyses", name)


def _feedback(job: Job | None) -> Any:
    """What to say of a job of analyses, at the button that starts them."""
    if job is None:
        return None
    if job.state != "running":
        words = {"done": f"{job.message} in {duration(job.seconds)}"}.get(job.state, f"{job.state}: {job.message}")
        return html.Span(job.message if job.state == "cancelled" else words, className=f"job-{job.state}")
    how_far = f"{job.message} ({job.done + 1} of {job.total})" if job.total > 1 else job.message
    return [
        dmc.Loader(size="xs", className="job-spinner"),
        html.Span(f"{how_far}, {duration(job.seconds)}"),
        dmc.Button("Cancel", id={"type": "job-cancel", "run": job.name, "kind": "analyses", "at": "run"},
                   size="compact-xs", variant="default"),
    ]  # fmt: skip


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
