"""How do fixed points move, appear, vanish and change stability along an input, a parameter, or training?"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.continuation.axes import along_inputs, along_parameter, checked_values
from rnnscope.analyses.fixed_points.continuation.checkpoints import match_checkpoints
from rnnscope.analyses.fixed_points.continuation.diagram import BifurcationDiagram
from rnnscope.analyses.fixed_points.continuation.rows import branch_fields
from rnnscope.analyses.fixed_points.continuation.tracking import track
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.numerics import linalg
from rnnscope.records.runs import Run
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import as_subject

# Searches by default, along a continuous axis and over checkpoints; of more checkpoints than these, so many are taken.
N_SEARCHES, N_CHECKPOINT_SEARCHES, MOST_CHECKPOINTS = 5, 12, 24


def follow_fixed_points(
    system: Any,
    *,
    inputs: ArrayLike | None = None,
    values: ArrayLike | None = None,
    input: ArrayLike | None = None,
    axis: str | None = None,
    starts: ArrayLike | None = None,
    n_starts: int = 128,
    n_searches: int | None = None,
    max_step: float = 0.025,
    max_branches: int = 200,
    seed: int = 0,
) -> BifurcationDiagram:
    """Follow fixed points along an axis, and tell the bifurcations on the way.

    There are three axes:

    - an input: any system with `inputs`, from one input to another or along several;
    - a parameter: a function of one number that returns a map (or a network, a torch module ...), with `values`;
    - training: a run alone, along its checkpoints.

    Along an input or a parameter, which are continuous, every point that a fresh search finds is followed both ways by
    pseudo-arclength continuation, round folds and on to the branches that cross its own. Bifurcations are located to
    rounding and named by the eigenvalue that passes the unit circle: through 1 with two branches that end
    (saddle-node), that exchange their stability (transcritical), or with a pair of new branches (pitchfork); through
    -1 (flip, also called period doubling); a complex pair (Neimark-Sacker). At a kink of the map, as ReLU has, it is a
    border collision. Events that come and go within one `max_step` can be missed; what fits no name is "unclassified".

    Checkpoints have nothing between them, as weights in between were never the network's. There each point of one
    checkpoint and one of the next are the same branch if Newton's method leads from either to the other; if it does
    only one way, and they are nearest to each other, the step is `ambiguous`. Events are told from what changes
    between two checkpoints, by the same rules.

    Args:
        system: a Run, Network, torch module or StateMap; or a function from a number to one of these.
        inputs: (value, input), at least two rows, joined by straight lines. The axis is the input that changes, if it
            is one alone and it changes one way; else the row, counted from 0 and with fractions, or `values`.
        values: for a parameter, numbers from the first to the last of which to go; all branches have a row at each.
            With `inputs`, a number for each row. For a run, checkpoints to take; up to 24 of them if None.
        input: the input to hold along a parameter or training, (input,); zeros if None.
        axis: what the axis is called.
        starts: where searches start, (start, state); if None as `find_fixed_points` has it.
        n_starts: how many default starts a search has.
        n_searches: fresh searches, both ends included. If None, 5, and for a run up to 12, evenly over its checkpoints.
        max_step: the longest step along the axis, as a part of it.
        max_branches: how many branches to follow at most.
        seed: for the default starts.

    Raises:
        ValueError: an argument out of range or of the wrong shape. TypeError: the function returns no map.
        NotApplicable: a run with fewer than two checkpoints; no search has anywhere to start.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> bistable = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
        >>> found = follow_fixed_points(bistable, inputs=np.array([[-1.0], [1.0]]))
        >>> len(found), found.event_names, found.event_value.round(6).tolist()
        (3, ['saddle-node', 'saddle-node'], [-0.53284, 0.53284])
    """
    for name, value, least in (
        ("n_starts", n_starts, 1),
        ("n_searches", 2 if n_searches is None else n_searches, 2),
        ("max_branches", max_branches, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if not 0 < max_step <= 0.25:
        raise ValueError(f"max_step is a part of the axis, above 0 and at most 0.25, got {max_step}")
    if inputs is not None and input is not None:
        raise ValueError("input is held where something else changes: give it, or inputs to go along, not both")
    settings: dict[str, Any] = {"max_step": float(max_step), "max_branches": max_branches, "seed": seed}
    if starts is not None:  # these are all there are: no search has more
        n_starts = len(np.atleast_2d(np.asarray(starts)))

    def search(searched: Any, held: np.ndarray, i: int, more: int) -> np.ndarray:
        if starts is None:
            return find_fixed_points(searched, input=held, n_starts=more * n_starts, seed=seed + i).points
        return find_fixed_points(searched, input=held, starts=starts, seed=seed + i).points

    with np.errstate(all="ignore"), linalg.one_thread():
        if isinstance(system, Run) and inputs is None:
            steps = _checkpoints(system, values)
            fields = match_checkpoints(
                system,
                steps,
                input=input,
                search=search,
                n_starts=n_starts,
                repeat=starts is None,
                n_searches=n_searches or N_CHECKPOINT_SEARCHES,
                max_branches=max_branches,
            )
            bounded = _is_bounded(as_subject(system.network(steps[0])).map.domain)
            return BifurcationDiagram(
                **fields, axis=axis or "training step", continuous=False, bounded=bounded, **settings
            )
        if inputs is not None:
            along = along_inputs(system, inputs, values, search)
        else:
            along = along_parameter(system, values, input, search)
        tracked = track(
            along.family,
            along.search,
            n_searches=n_searches or N_SEARCHES,
            repeat=starts is None,
            max_step=max_step,
            max_branches=max_branches,
        )
        fields = branch_fields(tracked, along.values, n_starts)
    return BifurcationDiagram(
        **fields, axis=axis or along.name, continuous=True, bounded=_is_bounded(along.family.bounds), **settings
    )


def _checkpoints(run: Run, values: ArrayLike | None) -> list[int]:
    kept = run.checkpoints
    if len(kept) < 2:
        raise NotApplicable(
            f"{run.name} has {len(kept)} checkpoint{'' if len(kept) == 1 else 's'}, and following takes two at least: "
            "train it with checkpoints=(...), or give inputs to go along"
        )
    if values is None:
        chosen = np.unique(np.linspace(0, len(kept) - 1, min(len(kept), MOST_CHECKPOINTS)).round().astype(int))
        return [kept[i] for i in chosen]
    wanted = np.sort(checked_values(values))
    missing = [f"{step:g}" for step in wanted if step not in kept]
    if missing:
        raise ValueError(
            f"{run.name} has no checkpoint at step {', '.join(missing)}; there are {', '.join(map(str, kept))}"
        )
    return [int(step) for step in wanted]


def _is_bounded(domain: np.ndarray | None) -> bool:
    return domain is not None and bool(np.isfinite(domain).all())
