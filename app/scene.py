"""What the linked views of a run are drawn from: numbers that verbs gave, as JSON that the browser fetches once.

Arrays travel as base64 of little-endian numbers. What is asked for again comes out of a small cache, so that memory
does not grow with the number of views.
"""

import base64
import contextlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import plotly.colors

from rnnscope.analyses.automata import Acceptor, Emitter, Predictor
from rnnscope.analyses.automata.figures.graph import Graph, layout
from rnnscope.analyses.linked import ROLES, Linked, link_states
from rnnscope.app import saved_views
from rnnscope.figures import SEQUENTIAL
from rnnscope.records.runs import Run, load_run
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject, as_subject
from rnnscope.tasks.task import Trials

# More states than this a browser draws too slowly without a graphics card.
MOST_STATES = 100_000
MOST_TRIALS = 128
# Modes whose eigenvalues are drawn of each point.
MOST_MODES = 64
# Inputs that all trials bring along; more come with the trial that is looked at.
MOST_CHANNELS = 8
# What a view can show of several analyses, the default result of each.
USED = (
    "state_space", "fixed_points", "linearisation", "bifurcations", "automaton", "connections", "ablation"
)  # fmt: skip


THROUGHOUT = ("state_space", "bifurcations")


class NoScene(ValueError):
    """There is nothing to draw; the message says why."""


@dataclass(frozen=True)
class Seen:
    """A run at a checkpoint, and what its results say of it.

    Attributes:
        subject: the network.
        linked: its trials.
        results: the results that were used, by name of the analysis.
    """

    subject: Subject
    linked: Linked
    results: dict[str, Any]


def scene(run: Run, step: int | None = None) -> dict[str, Any]:
    """All that the views share, of a run at a checkpoint (the last if None).

    Raises:
        NoScene: the run has no checkpoint, or no task whose trials could be shown.
    """
    seen = look(run, step)
    linked, results = seen.linked, seen.results
    trials = linked.trajectories
    shown = trials.trials
    return {
        "run": run.name,
        "step": seen.subject.checkpoint,
        "steps": run.checkpoints,
        "units": seen.subject.state_size,
        "length": trials.valid.sum(1).tolist(),
        "inputs": packed(trials.inputs[..., :MOST_CHANNELS], "<f4"),
        "channels": trials.inputs.shape[2],
        "outputs": packed(linked.outputs, "<f4"),
        "targets": None if shown is None else packed(_wanted(shown), "<f4"),
        "labels": {} if shown is None else _labels(shown.info, len(trials.states)),
        "xyz": packed(linked.coordinates, "<f4"),
        "ratio": linked.ratio.tolist(),
        "nearest": packed(linked.nearest, "<i2"),
        "machineState": packed(linked.machine_state, "<i2") if linked.machine_by else None,
        "machineBy": linked.machine_by,
        "symbol": packed(linked.symbol, "<i2") if linked.machine_by else None,
        "points": _points(linked),
        "machine": _machine(results.get("automaton")) if linked.machine_by else None,
        "connections": _connections(results.get("connections"), results.get("state_space"), linked),
        "ablation": _ablation(results.get("ablation"), seen.subject.state_size),
        "loss": _loss(run),
        "views": saved_views.read(run.path),
        "scale": list(getattr(plotly.colors.sequential, SEQUENTIAL)),
    }


def trial(run: Run, step: int | None, number: int) -> dict[str, Any]:
    """The states of one trial.

    Raises:
        NoScene: there is no such trial.
    """
    trials = look(run, step).linked.trajectories
    if not 0 <= number < len(trials.states):
        raise NoScene(f"there is no trial {number}: there are {len(trials.states)}, from 0")
    inside = trials.valid[number]
    return {
        "trial": number,
        "states": packed(trials.states[number, inside], "<f4"),
        "inputs": packed(trials.inputs[number, inside], "<f4"),
    }


def unit(run: Run, step: int | None, number: int) -> dict[str, Any]:
    """The activity of one unit at every step of every trial, and what it is coupled to around the mean state.

    Raises:
        NoScene: there is no such unit.
    """
    seen = look(run, step)
    subject, trials = seen.subject, seen.linked.trajectories
    if not 0 <= number < subject.state_size:
        raise NoScene(f"there is no unit {number}: there are {subject.state_size}, from 0")
    mean, quiet = subject.mean_state(), np.zeros(subject.input_size)
    jacobian = subject.remembered("scene jacobian", lambda: subject.map.jacobian(mean, quiet))
    driven = subject.remembered("scene input jacobian", lambda: subject.map.input_jacobian(mean, quiet))
    return {
        "unit": number,
        "activity": packed(np.where(trials.valid, trials.states[..., number], np.nan), "<f4"),
        "from": packed(jacobian[number], "<f4"),
        "to": packed(jacobian[:, number], "<f4"),
        "input": packed(driven[number], "<f4"),
    }


def look(run: Run, step: int | None) -> Seen:
    """The run at a checkpoint with its results."""
    steps = run.checkpoints
    if not steps:
        raise NoScene("no weights were kept yet: the views appear with the first checkpoint")
    step = steps[-1] if step is None else step
    if step not in steps:
        raise NoScene(f"there is no checkpoint at step {step}: there are {', '.join(map(str, steps))}")
    return _look(run.path, step, stamp(run))


def stamp(run: Run) -> str:
    """What changes where something that views show was written anew."""
    parts = [str(run.checkpoints)]
    for name in USED:
        kept = run.shown(name)
        parts.append("" if kept is None else f"{kept.path.name} {_changed(kept.path)}")
    return "|".join(parts)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=6)
def _look(path: Path, step: int, _stamp: str) -> Seen:
    run = load_run(path)
    subject = as_subject(run, step=step)
    results = _results(run, step)
    n_steps = subject.trials(1, 0).inputs.shape[1]
    n_trials = max(1, min(MOST_TRIALS, MOST_STATES // n_steps))
    try:
        linked = link_states(
            subject,
            space=results.get("state_space"),
            fixed_points=results.get("fixed_points"),
            linearisation=results.get("linearisation"),
            branches=results.get("bifurcations"),
            machine=results.get("automaton"),
            n_trials=n_trials,
        )
    except NotApplicable as error:
        raise NoScene(str(error)) from None
    return Seen(subject, linked, results)


def _results(run: Run, step: int) -> dict[str, Any]:
    """Those that are kept of the network as it is at this checkpoint, and can be read; the axes, and the points that
    were followed through training, of the last one. A damaged one costs its own card, which says so."""
    found = {}
    for name in USED:
        kept = run.shown(name)
        if kept is None or kept.reason is not None:
            continue
        origin = None if kept.made is None else kept.made.origin
        wanted = run.checkpoints[-1] if name in THROUGHOUT else step
        # A result of an older version does not say what it is of: it is of the last checkpoint.
        of = run.checkpoints[-1] if origin is None or origin.checkpoint is None else origin.checkpoint
        if of != wanted or (origin is not None and origin.interventions):
            continue
        with contextlib.suppress(ValueError, OSError):
            found[name] = kept.load()
    return found


def packed(values: Any, kind: str) -> dict[str, Any]:
    """An array as the browser reads it."""
    array = np.ascontiguousarray(values, np.dtype(kind))
    return {"shape": list(array.shape), "kind": kind[1:], "data": base64.b64encode(array.tobytes()).decode()}


def encoded(value: dict[str, Any]) -> bytes:
    """As JSON, in which nothing that is not finite may stand."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _wanted(shown: Trials) -> np.ndarray:
    """Targets; NaN where nothing is wanted."""
    targets = np.array(shown.targets, np.float64)
    if targets.ndim == 2:
        targets = targets[..., None]
    mask = np.asarray(shown.mask, bool)
    targets[~(mask if mask.ndim == targets.ndim else np.broadcast_to(mask[..., None], targets.shape))] = np.nan
    return targets


def _labels(info: Any, n_trials: int) -> dict[str, Any]:
    """What is known of whole trials, as far as it takes few values."""
    found = {}
    for name, values in info.items():
        array = np.asarray(values)
        if array.shape != (n_trials,):
            continue
        levels, row = np.unique(array, return_inverse=True)
        if 1 < len(levels) <= 12:
            found[name.replace("_", " ")] = {"levels": [_brief(level) for level in levels], "row": row.tolist()}
    return found


def _brief(level: Any) -> str:
    return f"{level:g}" if np.issubdtype(type(level), np.number) else str(level)


def _points(linked: Linked) -> dict[str, Any]:
    points = linked.points
    modes = points.eigenvalues[:, :MOST_MODES]
    return {
        "number": points.number.tolist(),
        "xyz": packed(points.coordinates, "<f4"),
        "role": [ROLES[role] for role in points.role],
        "unstable": points.n_unstable.tolist(),
        "real": packed(np.real(modes), "<f4"),
        "imaginary": packed(np.imag(modes), "<f4"),
        "input": points.input.tolist(),
        "directions": packed(points.directions, "<f4"),
        "certified": points.certified.tolist(),
        "source": points.source,
    }


def _machine(machine: Acceptor | Predictor | Emitter | None) -> dict[str, Any] | None:
    if machine is None:
        return None
    graph: Graph = machine.graph()
    places = layout(graph.edges, len(graph.nodes))
    return {
        "nodes": [
            {"state": int(state), "text": f"{state}: {node.text}".replace("<br>", "\n"), "hover": node.hover,
             "x": float(place[0]), "y": float(place[1])}
            for state, node, place in zip(graph.shown, graph.nodes, places, strict=True)
        ],
        "edges": [
            {"source": int(graph.shown[edge.source]), "target": int(graph.shown[edge.target]), "label": edge.label,
             "width": edge.width}
            for edge in graph.edges
        ],
        "initial": None if graph.initial is None else int(graph.shown[graph.initial]),
        "title": graph.title,
        "legend": list(graph.legend),
        "symbols": list(machine.symbols),
        "transitions": machine.transitions.tolist() if not isinstance(machine, Emitter) else None,
    }  # fmt: skip


def _connections(found: Any, space: Any, linked: Linked) -> dict[str, Any] | None:
    """The ways from saddles to where they lead, on the same axes; only where they are those of the same points."""
    if found is None or space is None or not len(linked.points) or len(found.points) < len(linked.points):
        return None
    paths = (found.way.path - space.mean) @ space.components[:3].T
    return {
        "source": found.listed[found.source].tolist(),
        "target": [int(found.listed[t]) if t >= 0 else -1 for t in found.target],
        "paths": packed(paths, "<f4"),
    }


def _ablation(found: Any, n_units: int) -> dict[str, Any] | None:
    """What is lost without each unit, where units were taken out one by one."""
    if found is None or found.members.shape != (n_units, n_units) or not (found.members == np.eye(n_units)).all():
        return None
    return {"change": packed(found.output_change, "<f4"), "error": packed(found.output_change_error, "<f4")}


def _loss(run: Run) -> dict[str, list[float | None]]:
    history = run.history
    keep = slice(None, None, max(1, len(history.get("step", ())) // 400))
    return {
        name: [float(v) if np.isfinite(v) else None for v in history.get(name, np.zeros(0))[keep]]
        for name in ("step", "loss")
    }
