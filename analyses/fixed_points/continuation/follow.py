"""How do fixed points move, appear, vanish and change stability along an input, a parameter, or training?"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.continuation.axes import (
    Axis,
    Search,
    Seen,
    along_inputs,
    along_parameter,
    checked_values,
    is_bounded,
)
from rnnscope.analyses.fixed_points.continuation.checkpoints import match_checkpoints
from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.continuation.parts import Along
from rnnscope.analyses.fixed_points.continuation.rows import branches_along
from rnnscope.analyses.fixed_points.continuation.tracking import track
from rnnscope.analyses.fixed_points.search.expected import search_bytes, search_seconds
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.numerics import linalg
from rnnscope.question import Axes, Count, InputVector, Question, Seed, StateRows
from rnnscope.records.provenance import Made, Origin
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.version import __version__

# Searches by default, along a continuous axis and over checkpoints; of more checkpoints than these, so many are taken.
N_SEARCHES, N_CHECKPOINT_SEARCHES, MOST_CHECKPOINTS = 5, 12, 24
# What the presets' networks took: steps of Newton's method from a point, and points along an axis of one step of
# the largest length.
NEWTON_STEPS, STEPS_ALONG = 20, 2.0
VISITED = 128  # trials

Values = Annotated[ArrayLike, Axes("value")]
Searches = Annotated[int, Ge(2)]
AxisPart = Annotated[float, Gt(0), Le(0.25)]


def _cost(scale: Scale, settings: Settings) -> Expected:
    along = settings["inputs"] is not None
    n_starts = settings["n_starts"] if settings["starts"] is None else len(settings["starts"])
    values = settings["values"]
    most = MOST_CHECKPOINTS if values is None else len(np.atleast_1d(values))
    n_values = STEPS_ALONG / settings["max_step"] if along else min(most, scale.n_checkpoints)
    n_searches = settings["n_searches"] or (N_SEARCHES if along else N_CHECKPOINT_SEARCHES)
    n_searches = n_searches if along else min(n_searches, n_values)
    seconds = n_searches * search_seconds(scale, n_starts)
    # Newton's method from every point, both ways, two times and once more: each step takes four lengths to try.
    newton = 6 * max(n_values - 1, 0) * NEWTON_STEPS
    points = newton * min(scale.n_points, settings["max_branches"])
    seconds += scale.jacobian.of(newton, points) + scale.factorisation.of(newton, points)
    seconds += scale.step.of(5 * newton, 5 * points) + 200 * newton * scale.numpy_call
    # At each checkpoint that is searched the states that it visits are kept.
    visited = 0 if along else n_searches * 2 * VISITED * scale.trial_steps * scale.n
    return scale.around(seconds, search_bytes(scale, n_starts) + FLOAT * visited)


@analysis(
    "bifurcations",
    title="Bifurcations",
    group=FIXED_POINTS,
    quick={"n_starts": 16, "n_searches": 2},
    cost=Cost("heavy", "searches x starts (as fixed points), and checkpoints x fixed points x units^3", _cost),
)
def follow_fixed_points(
    subject: Subject,
    *,
    inputs: Annotated[ArrayLike, Axes("value input")] | None = None,
    values: Values | None = None,
    input: InputVector | None = None,
    axis: str | None = None,
    starts: StateRows | None = None,
    n_starts: Count = 128,
    n_searches: Searches | None = None,
    max_step: AxisPart = 0.025,
    max_branches: Count = 200,
    seed: Seed = 0,
) -> BifurcationDiagram:
    """Follow fixed points along an axis, and report the bifurcations on the way.

    There are three axes:

    - an input: any system with `inputs`, from one input to another or along several;
    - training: a run alone, along its checkpoints;
    - a parameter: see `follow_parameter`.

    Along an input or a parameter, which are continuous, every point that a fresh search finds is followed both ways by
    pseudo-arclength continuation, round folds and on to the branches that cross its own. Bifurcations are located to
    rounding and named by the eigenvalue that passes the unit circle: through 1 with two branches that end
    (saddle-node), that exchange their stability (transcritical), or with a pair of new branches (pitchfork); through
    -1 (flip, also called period doubling); a complex pair (Neimark-Sacker). Where one eigenvalue passes 1 and another
    -1 it is two events, at a fold one, a fold-flip. Where the normal form's coefficients are within their error of 0
    the point is "degenerate". At a kink of the map, as ReLU has, it is a border collision: never in a map that is known
    to be smooth, and in a user's function where its Jacobian is seen to jump. Events that come and go within one
    `max_step` can be missed, and so can closed curves between the values that are searched, which are looked for from
    slow points alone. What fits no name is "unclassified".

    Checkpoints have nothing between them, as weights in between were never the network's. There each point of one
    checkpoint and one of the next are the same branch if Newton's method leads from either to the other; if it does
    only one way, and they are nearest to each other, the step is `ambiguous`. Events are inferred from what changes
    between two checkpoints, by the same rules.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        inputs: (value, input), at least two rows, joined by straight lines. The axis is the input that changes, if it
            is one alone and it changes one way; else the row, counted from 0 and with fractions, or `values`.
        values: with `inputs`, a number for each row. For a run, checkpoints to take; up to 24 of them if None.
        input: the input to hold along training, (input,); zeros if None.
        axis: what the axis is called.
        starts: where searches start, (start, state); if None as `find_fixed_points` has it.
        n_starts: how many default starts a search has.
        n_searches: fresh searches, both ends included. If None, 5, and for a run up to 12, evenly over its checkpoints.
        max_step: the longest step along the axis, as a part of it.
        max_branches: how many branches to follow at most.
        seed: for the default starts.

    Raises:
        ValueError: an argument out of range or of the wrong shape.
        NotApplicable: neither inputs nor a run with two checkpoints at least; no search has anywhere to start.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> bistable = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
        >>> found = follow_fixed_points(bistable, inputs=np.array([[-1.0], [1.0]]))
        >>> len(found), found.events.names, found.events.value.round(6).tolist()
        (3, ['saddle-node', 'saddle-node'], [-0.53284, 0.53284])
    """
    if inputs is not None and input is not None:
        raise ValueError("input is held where something else changes: give it, or inputs to go along, not both")
    search, n_starts = _search(starts, n_starts, seed)
    with np.errstate(all="ignore"), linalg.one_thread():
        if inputs is not None:
            along = along_inputs(subject, inputs, values, search)
            return _along(along, axis, starts is None, n_starts, n_searches, max_step, max_branches)
        steps = _checkpoints(subject, values)
        return match_checkpoints(
            subject,
            steps,
            input=input,
            search=search,
            n_starts=n_starts,
            repeat=starts is None,
            n_searches=n_searches or N_CHECKPOINT_SEARCHES,
            max_branches=max_branches,
            axis=axis or "training step",
        )


def follow_parameter(
    function: Callable[[float], Any],
    *,
    values: Values,
    input: InputVector | None = None,
    axis: str | None = None,
    starts: StateRows | None = None,
    n_starts: Count = 128,
    n_searches: Searches | None = None,
    max_step: AxisPart = 0.025,
    max_branches: Count = 200,
    seed: Seed = 0,
) -> BifurcationDiagram:
    """Follow fixed points along a parameter of a map, and report the bifurcations on the way; see
    `follow_fixed_points`.

    Args:
        function: from a number to a map, or to anything else that `as_subject` takes.
        values: numbers from the first to the last of which to go; all branches have a row at each.
        input: the input to hold, (input,); zeros if None.
        axis, starts, n_starts, n_searches, max_step, max_branches, seed: as in `follow_fixed_points`.

    Raises:
        ValueError: an argument out of range or of the wrong shape.
        TypeError: an argument of another type, or the function returns no map.
        NotApplicable: no search has anywhere to start.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> def gained(g):
        ...     return rs.FunctionMap(lambda h: np.tanh(g * h), state_size=1, domain=(-1, 1))
        >>> found = follow_parameter(gained, values=[0.5, 1.5])
        >>> found.events.names, found.events.value.round(6).tolist()
        (['supercritical pitchfork'], [1.0])
    """
    if not callable(function):
        raise TypeError(f"function must be one from a number to a map, got a {type(function).__name__}")
    asked = {"values": values, "input": input, "axis": axis, "starts": starts, "n_starts": n_starts}
    asked |= {"n_searches": n_searches, "max_step": max_step, "max_branches": max_branches, "seed": seed}
    given = _PARAMETER.check(asked)
    began = time.perf_counter()
    starts, max_step, max_branches, seed = (given[name] for name in ("starts", "max_step", "max_branches", "seed"))
    search, n_starts = _search(starts, given["n_starts"], seed)
    with np.errstate(all="ignore"), linalg.one_thread():
        along = along_parameter(function, given["values"], given["input"], search)
        found = _along(along, axis, starts is None, n_starts, given["n_searches"], max_step, max_branches)
    seconds = time.perf_counter() - began
    return replace(found, made=Made(_PARAMETER.name, _PARAMETER.record(given), Origin(), __version__, seconds))


# A function is no subject, so that this is no analysis: nobody else checks its settings and records them.
_PARAMETER = Question.of(follow_parameter, "follow_parameter")


def _search(starts: ArrayLike | None, n_starts: int, seed: int) -> tuple[Search, int]:
    """(the search, its usual number of starts); where starts are given, these are all there are."""

    def search(subject: Subject, held: ArrayLike | None, i: int, more: int) -> Seen:
        found = find_fixed_points(
            subject, input=held, starts=starts, n_starts=more * n_starts, certify=False, prove=0, seed=seed + i
        )
        return Seen(found.points, found.slow.points)

    return search, n_starts if starts is None else len(np.atleast_2d(starts))


def _along(
    along: Axis,
    axis: str | None,
    repeat: bool,
    n_starts: int,
    n_searches: int | None,
    max_step: float,
    max_branches: int,
) -> BifurcationDiagram:
    """What is found along a continuous axis."""
    tracked = track(
        along.family,
        along.search,
        n_searches=n_searches or N_SEARCHES,
        repeat=repeat,
        max_step=max_step,
        max_branches=max_branches,
    )
    bounded = is_bounded(along.family.bounds)
    here = Along(along.values, axis or along.name, bounded, continuous=True, keeps=along.keeps)
    return branches_along(tracked, here, n_starts)


def _checkpoints(subject: Subject, values: ArrayLike | None) -> list[int]:
    kept = subject.checkpoints
    if not kept:
        raise NotApplicable(
            "there is nothing along which to follow these fixed points: give inputs to go along, or a run with several "
            "checkpoints; follow_parameter goes along a parameter"
        )
    if len(kept) < 2:
        raise NotApplicable(
            f"{subject.name} has {len(kept)} checkpoint{'' if len(kept) == 1 else 's'}, and following takes two at "
            "least: train it with checkpoints=(...), or give inputs to go along"
        )
    if values is None:
        chosen = np.unique(np.linspace(0, len(kept) - 1, min(len(kept), MOST_CHECKPOINTS)).round().astype(int))
        return [kept[i] for i in chosen]
    wanted = np.sort(checked_values(values))
    missing = [f"{step:g}" for step in wanted if step not in kept]
    if missing:
        raise ValueError(
            f"{subject.name} has no checkpoint at step {', '.join(missing)}; there are {', '.join(map(str, kept))}"
        )
    return [int(step) for step in wanted]
