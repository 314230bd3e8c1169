"""What the linked views of a run are drawn from: numbers that verbs gave, as JSON that the browser fetches once."""

from typing import Any

import numpy as np
import plotly.colors

from rnnscope.analyses.linked import Linked
from rnnscope.analyses.lyapunov.sliding import TooLarge, sliding_exponents
from rnnscope.analyses.state_space.flow_field import flow_field
from rnnscope.app import packs, saved_views
from rnnscope.app.seen import BESIDE, NoScene, look, results_of, stamp
from rnnscope.figures import SEQUENTIAL
from rnnscope.records.runs import Run
from rnnscope.subjects.not_applicable import NotApplicable

# Points of a flow field along its longer side, and how far around the states it reaches.
GRID, AROUND = 23, 0.08


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
        "stamp": stamp(run),
        "step": seen.subject.checkpoint,
        "steps": run.checkpoints,
        "units": seen.subject.state_size,
        "length": trials.valid.sum(1).tolist(),
        "inputs": packs.packed(trials.inputs[..., : packs.MOST_CHANNELS], "<f4"),
        "channels": trials.inputs.shape[2],
        "outputs": packs.packed(linked.outputs, "<f4"),
        "targets": None if shown is None else packs.packed(packs.wanted(shown), "<f4"),
        "labels": {} if shown is None else packs.labels(shown.info, len(trials.states)),
        "xyz": packs.packed(linked.coordinates, "<f4"),
        "ratio": linked.ratio.tolist(),
        "nearest": packs.packed(linked.nearest, "<i2"),
        "machineState": packs.packed(linked.machine_state, "<i2") if linked.machine_by else None,
        "machineBy": linked.machine_by,
        "symbol": packs.packed(linked.symbol, "<i2") if linked.machine_by else None,
        "points": packs.points(linked),
        "machine": packs.machine(results.get("automaton")) if linked.machine_by else None,
        "connections": packs.connections(results.get("connections"), results.get("state_space"), linked),
        "ablation": packs.ablation(results.get("ablation"), seen.subject.state_size),
        "loss": packs.loss(run),
        "views": saved_views.read(run.path),
        "scale": list(getattr(plotly.colors.sequential, SEQUENTIAL)),
    }


def trial(run: Run, step: int | None, number: int) -> dict[str, Any]:
    """The states of one trial.

    Raises:
        NoScene: there is no such trial.
    """
    linked = look(run, step).linked
    trials, inside = linked.trajectories, _inside(linked, number)
    return {
        "trial": number,
        "states": packs.packed(trials.states[number, inside], "<f4"),
        "inputs": packs.packed(trials.inputs[number, inside], "<f4"),
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
        "activity": packs.packed(np.where(trials.valid, trials.states[..., number], np.nan), "<f4"),
        "from": packs.packed(jacobian[number], "<f4"),
        "to": packs.packed(jacobian[:, number], "<f4"),
        "input": packs.packed(driven[number], "<f4"),
        "timeConstant": packs.time_constant(trials.states[..., number], trials.valid),
    }


def beside(run: Run, step: int | None) -> dict[str, Any]:
    """What is shown beside the states once these are there: basins and exponents.

    Raises:
        NoScene: as `scene`.
    """
    seen = look(run, step)
    last = seen.subject.checkpoint
    results = {} if last is None else results_of(run, last, BESIDE)
    over = results.get("lyapunov_over_training")
    return {
        "basins": packs.basins(results.get("basins"), seen.linked),
        "exponents": packs.exponents(results.get("lyapunov")),
        "overTraining": None if over is None else {
            "step": over.step.tolist(),
            "first": packs.packed(over.exponents[:, 0], "<f4"),
            "error": packs.packed(over.standard_error[:, 0], "<f4"),
        },
    }  # fmt: skip


def growth(run: Run, step: int | None, number: int) -> dict[str, Any]:
    """The largest exponent of the last few steps, along one trial.

    Raises:
        NoScene: there is no such trial, no map, or the network is too large.
    """
    seen = look(run, step)
    trials, inside = seen.linked.trajectories, _inside(seen.linked, number)
    if seen.subject.recording is not None:
        raise NoScene("recorded states have no map, and so no exponents along a trial")
    states = trials.states[number, inside]
    before = np.concatenate([trials.initial[number][None], states[:-1]])
    n_doublings = 3 if len(states) >= 16 else 1
    try:
        along = sliding_exponents(seen.subject.map, before, trials.inputs[number, inside], n_doublings)
    except TooLarge as error:
        raise NoScene(str(error)) from None
    return {"trial": number, "window": 2**n_doublings, "along": packs.packed(along, "<f4")}


def flow(run: Run, step: int | None, axes: str, through: str) -> dict[str, Any]:
    """The flow in a plane along two of the axes, as `flow_field` gives it.

    Args:
        run, step: the network.
        axes: which two, counted from 1: "12", "13" or "23".
        through: the state that the plane goes through, and with it the input that is held: "mean" (zeros), "point-N"
            (that of the point), "state-TRIAL-STEP" (that at the step).

    Raises:
        NoScene: there is no such plane.
    """
    seen = look(run, step)
    linked, subject = seen.linked, seen.subject
    chosen = [int(digit) - 1 for digit in axes if digit.isdigit()]
    if len(chosen) != 2 or chosen[0] == chosen[1] or not all(0 <= k < len(linked.axes) for k in chosen):
        raise NoScene(f"a plane lies along two of the {len(linked.axes)} axes, not {axes}")
    origin, held = _origin(linked, through, subject.input_size)
    middle = (origin - linked.middle) @ linked.axes.T
    seen_from = linked.coordinates[linked.trajectories.valid][:, chosen].astype(np.float64) - middle[chosen]
    low, high = seen_from.min(0), seen_from.max(0)
    margin = AROUND * max(float((high - low).max()), 1e-9)
    (left, bottom), (right, top) = low - margin, high + margin
    try:
        found = flow_field(
            subject, directions=linked.axes[chosen], origin=origin, input=held, n_grid=GRID,
            extent=(float(left), float(right), float(bottom), float(top)),
        )  # fmt: skip
    except (NotApplicable, ValueError) as error:
        raise NoScene(str(error)) from None
    return {
        "axes": chosen,
        "x": (found.x + middle[chosen[0]]).tolist(),
        "y": (found.y + middle[chosen[1]]).tolist(),
        "rest": middle.tolist(),
        "flow": packs.packed(np.where(found.inside[..., None], found.flow, np.nan), "<f4"),
        "outOfPlane": found.out_of_plane_share,
        "inside": float(found.inside.mean()),
        "input": packs.input_words(found.input),
    }


def _origin(linked: Linked, through: str, input_size: int) -> tuple[np.ndarray, np.ndarray]:
    """A state that a plane goes through, and the input that belongs to it."""
    kind, *numbers = through.split("-")
    quiet, given = np.zeros(input_size), [int(number) for number in numbers if number.isdigit()]
    if kind == "point" and len(given) == 1 and given[0] in linked.points.number:
        row = int(np.flatnonzero(linked.points.number == given[0])[0])
        held = linked.points.input[row]
        return linked.points.states[row], held if len(held) == input_size else quiet
    if kind == "state" and len(given) == 2:
        inside = _inside(linked, given[0])
        if given[1] < inside.sum():
            trials = linked.trajectories
            return trials.states[given[0], inside][given[1]], trials.inputs[given[0], inside][given[1]]
    if through == "mean":
        return linked.middle, quiet
    raise NoScene(f"there is nothing called {through} that a plane could go through")


def _inside(linked: Linked, number: int) -> np.ndarray:
    """The steps of a trial."""
    valid = linked.trajectories.valid
    if not 0 <= number < len(valid):
        raise NoScene(f"there is no trial {number}: there are {len(valid)}, from 0")
    return valid[number]
