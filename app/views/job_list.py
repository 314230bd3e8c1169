"""The list of jobs: what is at work, how far it is, and what can be done about it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
import numpy as np
from dash import dcc, html

from rnnscope.app.job_state import Job
from rnnscope.records.runs import RunError, load_run

COLOURS = {
    "running": "blue",
    "done": "teal",
    "failed": "red",
    "cancelled": "gray",
    "interrupted": "orange",
    "elsewhere": "grape",
}
_POINTS = 150  # of a curve a few hundred pixels wide


def view(found: Sequence[Job], link: Callable[[str], str]) -> list[Any]:
    """The jobs, one below another, or how to begin.

    Args:
        found: in order.
        link: run -> its address.
    """
    if not found:
        return [
            html.P(
                "Nothing was started from here yet. Choose a preset, or a task and a cell, and press Train: "
                "the loss appears here while the network learns. A training goes on when this page is closed.",
                className="train-empty",
            )
        ]
    return [_job(job, link(job.name)) for job in found]


def duration(seconds: float) -> str:
    """A time in words of one or two parts."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _job(job: Job, address: str) -> html.Article:
    history = _history(job) if job.kind == "training" else {}
    done = max(job.done, int(history["step"][-1])) if history else job.done
    head = [
        dmc.Badge(job.state, color=COLOURS[job.state], variant="light", className="job-state"),
        _name(job, address),
        html.Span(job.kind, className="job-kind"),
    ]
    unit = "steps" if job.kind == "training" else "analyses"
    numbers = [f"{done:,} of {job.total:,} {unit}"] if job.total else []
    numbers.append(duration(job.seconds))
    if job.state == "running" and (left := _left(job, history, done)):
        numbers.append(left)
    if job.state != "running":
        numbers.append(datetime.fromtimestamp(job.began).strftime("%-d %b, %H:%M"))
    share = 100 * done / job.total if job.total else 100 * (job.state == "done")
    return html.Article(
        [
            html.Div(head, className="job-head"),
            html.P(job.what, className="job-what"),
            dmc.Progress(
                value=share, color=COLOURS[job.state], size="sm", animated=job.state == "running", className="job-bar"
            ),
            html.P(" · ".join(numbers), className="job-numbers"),
            html.P(job.message, className=f"job-message job-{job.state}"),
            _curve(history),
            html.Div(_buttons(job), className="job-buttons"),
        ],
        className="job",
        **{"data-run": job.name, "data-kind": job.kind, "data-state": job.state},  # type: ignore[arg-type]
    )


def _buttons(job: Job) -> list[Any]:
    named = {"run": job.name, "kind": job.kind, "at": "list"}
    if job.state == "running":
        return [dmc.Button("Cancel", id={"type": "job-cancel", **named}, size="compact-sm", variant="default")]
    buttons = [dmc.Button("Go on", id={"type": "job-go-on", **named}, size="compact-sm")] if job.resumable else []
    remove = {"type": "job-forget", **named}
    return [*buttons, dmc.Button("Take off the list", id=remove, size="compact-sm", variant="subtle", color="gray")]


def _name(job: Job, address: str) -> Any:
    """A link, once there is a run to go to."""
    if (job.place / "run.json").exists():
        return dcc.Link(job.name, href=address, className="job-name")
    return html.Span(job.name, className="job-name")


def _history(job: Job) -> dict[str, np.ndarray]:
    try:
        return load_run(job.place).history
    except RunError:
        return {}


def _left(job: Job, history: dict[str, np.ndarray], done: int) -> str:
    """How long the steps that are left would take at the speed so far; a network that learns before ends earlier."""
    if job.kind != "training" or not history or not history["step"][-1]:
        return ""
    rate = history["seconds"][-1] / history["step"][-1]
    return f"about {duration((job.total - done) * rate)} left at most"


def _curve(history: dict[str, np.ndarray]) -> Any:
    if not history:
        return None
    there = np.flatnonzero(np.isfinite(history["loss"]))
    if len(there) < 2:
        return None
    picked = there[np.unique(np.linspace(0, len(there) - 1, min(len(there), _POINTS)).round().astype(int))]
    losses = history["loss"][picked]
    data: list[Any] = [{"step": int(history["step"][i]), "loss": float(f"{history['loss'][i]:.4g}")} for i in picked]
    series: list[Any] = [{"name": "loss", "color": "blue.6"}]
    axis: dict[str, Any] = {"width": 58, "tickCount": 3}
    if (losses > 0).all():
        axis |= {"scale": "log", "domain": ["auto", "auto"], "tickFormatter": {"function": "lossTick"}}
    return dmc.LineChart(
        data=data,
        dataKey="step",
        series=series,
        h=130,
        withDots=False,
        curveType="linear",
        gridAxis="xy",
        tickLine="none",
        strokeWidth=1.5,
        lineProps={"isAnimationActive": False},
        xAxisProps={"type": "number", "domain": ["dataMin", "dataMax"], "tickCount": 5},
        yAxisProps=axis,
        className="job-curve",
        attributes={"root": {"role": "img", "aria-label": f"loss by step, {losses[0]:.3g} to {losses[-1]:.3g}"}},
    )
