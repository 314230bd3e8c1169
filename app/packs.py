"""Results and trials as JSON. Arrays travel as base64 of little-endian numbers."""

import base64
import json
from typing import Any

import numpy as np

from rnnscope.analyses.automata import Acceptor, Emitter, Predictor
from rnnscope.analyses.automata.figures.graph import Graph, layout
from rnnscope.analyses.fixed_points.orbits.basins_result import Basins
from rnnscope.analyses.linked import ROLES, Linked
from rnnscope.analyses.lyapunov.spectrum_result import LyapunovSpectrum
from rnnscope.analyses.state_space.correlation_time import correlation_time
from rnnscope.records.runs import Run
from rnnscope.tasks.task import Trials

# Modes whose eigenvalues are drawn of each point.
MOST_MODES = 64
# Inputs that all trials bring along; more come with the trial that is looked at.
MOST_CHANNELS = 8
# Channels whose values are written out.
FEW_CHANNELS = 4
# An attractor this near to a fixed point, beside the spread of the states, is the point.
SAME = 1e-3


def packed(values: Any, kind: str) -> dict[str, Any]:
    """An array as the browser reads it."""
    array = np.ascontiguousarray(values, np.dtype(kind))
    return {"shape": list(array.shape), "kind": kind[1:], "data": base64.b64encode(array.tobytes()).decode()}


def encoded(value: dict[str, Any]) -> bytes:
    """As JSON, in which nothing that is not finite may stand."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def wanted(shown: Trials) -> np.ndarray:
    """Targets; NaN where nothing is wanted."""
    targets = np.array(shown.targets, np.float64)
    if targets.ndim == 2:
        targets = targets[..., None]
    mask = np.asarray(shown.mask, bool)
    targets[~(mask if mask.ndim == targets.ndim else np.broadcast_to(mask[..., None], targets.shape))] = np.nan
    return targets


def labels(info: Any, n_trials: int) -> dict[str, Any]:
    """What is known of whole trials, as far as it takes few values."""
    found = {}
    for name, values in info.items():
        array = np.asarray(values)
        if array.shape != (n_trials,):
            continue
        levels, row = np.unique(array, return_inverse=True)
        if 1 < len(levels) <= 12:
            found[name.replace("_", " ")] = {"levels": [brief(level) for level in levels], "row": row.tolist()}
    return found


def brief(level: Any) -> str:
    return f"{level:g}" if np.issubdtype(type(level), np.number) else str(level)


def points(linked: Linked) -> dict[str, Any]:
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


def machine(machine: Acceptor | Predictor | Emitter | None) -> dict[str, Any] | None:
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


def connections(found: Any, space: Any, linked: Linked) -> dict[str, Any] | None:
    """The ways from saddles to where they lead, on the same axes; only where they are those of the same points."""
    points = linked.points.states
    if found is None or space is None or not len(points) or len(found.points) < len(points):
        return None
    if not np.allclose(found.points[: len(points)], points, rtol=1e-6, atol=1e-6):
        return None  # of other points, as at another input
    paths = (found.way.path - space.mean) @ space.components[:3].T
    return {
        "source": found.listed[found.source].tolist(),
        "target": [int(found.listed[t]) if t >= 0 else -1 for t in found.target],
        "paths": packed(paths, "<f4"),
    }


def ablation(found: Any, n_units: int) -> dict[str, Any] | None:
    """What is lost without each unit, where units were taken out one by one."""
    if found is None or found.members.shape != (n_units, n_units) or not (found.members == np.eye(n_units)).all():
        return None
    return {"change": packed(found.output_change, "<f4"), "error": packed(found.output_change_error, "<f4")}


def time_constant(activity: np.ndarray, valid: np.ndarray) -> dict[str, Any]:
    found = correlation_time(activity, valid)
    known = {"value": found.value, "error": found.error}
    return {
        "longest": found.longest,
        "moves": found.moves,
        **{name: value for name, value in known.items() if np.isfinite(value)},
    }


def input_words(held: np.ndarray) -> str:
    """An input that is held, in words: all of few channels, else those that are not 0."""
    if not len(held):
        return ""
    nonzero = np.flatnonzero(held)
    if not len(nonzero):
        return "input 0"
    if len(held) <= FEW_CHANNELS:
        return f"input {' '.join(f'{value:.3g}' for value in held)}"
    some = ", ".join(f"{held[k]:.3g} in channel {k}" for k in nonzero[:FEW_CHANNELS])
    more = "" if len(nonzero) <= FEW_CHANNELS else f" and {len(nonzero) - FEW_CHANNELS} more"
    return f"input {some}{more}, else 0"


def basins(found: Basins | None, linked: Linked) -> dict[str, Any] | None:
    """Where sampled states settle. An attractor has the number of a point only where it lies there."""
    if found is None:
        return None
    points = linked.points
    number = np.full(len(found), -1)
    if len(points):
        distance = np.linalg.norm(found.attractors[:, None] - points.states[None], axis=2)
        near = distance.argmin(1)
        same = (distance.min(1) <= SAME * max(found.starts.scale, 1e-12)) & (found.period == 1)
        number[same] = points.number[near[same]]
    return {
        "xyz": packed((found.starts.states - linked.middle) @ linked.axes.T, "<f4"),
        "attractor": packed(found.starts.attractor, "<i2"),
        "number": number.tolist(),
        "period": found.period.tolist(),
        "fraction": found.fraction.tolist(),
        "low": found.low.tolist(),
        "high": found.high.tolist(),
        "drawnFrom": found.starts.drawn_from,
        "input": input_words(found.input),
    }


def exponents(found: LyapunovSpectrum | None) -> dict[str, Any] | None:
    """Exponents per step, with their standard errors."""
    if found is None:
        return None
    return {
        "value": packed(found.exponents, "<f4"),
        "error": packed(found.standard_error, "<f4"),
        "converged": found.converged.tolist(),
        "drive": found.drive,
        "summary": found.summary(),
    }


def loss(run: Run) -> dict[str, list[float | None]]:
    history = run.history
    keep = slice(None, None, max(1, len(history.get("step", ())) // 400))
    return {
        name: [float(v) if np.isfinite(v) else None for v in history.get(name, np.zeros(0))[keep]]
        for name in ("step", "loss")
    }
