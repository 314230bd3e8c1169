"""Are these all the fixed points? A proof by interval branch-and-prune, where it can be had.

See `rnnscope.numerics.branch_and_prune` for the search and `coordinates` for what it is made in. What it says holds for
the map in exact arithmetic with its weights in double precision, rounding errors of the proof included.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.trust.coordinates import unknowns
from rnnscope.maps.state_map import check_states
from rnnscope.numerics.branch_and_prune import Zeros, find_zeros
from rnnscope.percent import percent
from rnnscope.subjects.subject import as_subject

NO_BOUNDS = "the map has no bounds on boxes of states"
UNBOUNDED = "the domain is not bounded"
TOO_MANY = "not tried: {} equations, the weights are of no lower rank"
COMPLETE = "complete, proven"
AND = "; "
MORE_LISTED = "not every point of the list is told from the others"
# A listed point is the fixed point that is proven within this part of the box's width, if there is no nearer one.
SAME = 1e-6


@dataclass(frozen=True)
class Proof:
    """What is proven of all fixed points in a box, at one input.

    Attributes:
        complete: whether every fixed point in the box is proven to be on the list.
        n_proven: how many fixed points in the box are proven to be there: all of them, where nothing is undecided.
        missing: those of them that were not on the list.
        refuted: rows of the list that are proven to be no fixed points.
        undecided: boxes in which it is not known how many fixed points there are beside the proven ones.
        undecided_share: their share of the volume that was searched.
        n_boxes: how many boxes were looked at.
        reason: in words.
    """

    complete: bool
    n_proven: int
    missing: Float[np.ndarray, "missing unit"]
    refuted: Integer[np.ndarray, " refuted"]
    undecided: int
    undecided_share: float
    n_boxes: int
    reason: str

    @property
    def tried(self) -> bool:
        """Whether a proof was begun: the map has bounds, and few enough equations."""
        return self.n_boxes > 0

    def with_the_missing(self, n_listed: int) -> "Proof":
        """The proof for the list with the missing points added, which has `n_listed` points."""
        if not len(self.missing):
            return self
        complete = self.undecided == 0 and n_listed == self.n_proven
        # What is said of missing points stands first, and is true no more.
        reason = COMPLETE if complete else self.reason.partition(AND)[2] or MORE_LISTED
        return replace(self, complete=complete, missing=self.missing[:0], reason=reason)


def prove_complete(
    system: Any,
    input: ArrayLike,
    points: ArrayLike,
    *,
    box: tuple[Any, Any] | None = None,
    seconds: float = 60.0,
    max_boxes: int = 1_000_000,
    max_coordinates: int = 12,
) -> Proof:
    """Prove that a list holds all fixed points of a map at a constant input, or say what is known.

    Vanilla and leaky tanh networks, GRUs, LSTMs and stacks of these are searched without bounds on the state, as their
    fixed points are bounded by themselves, and in few coordinates where their weights are of low rank. A `FunctionMap`
    with `jacobian_lipschitz` or `pieces` is searched in the box. A degenerate fixed point (a bifurcation, a line of
    them) cannot be decided; the time that is needed grows exponentially with the dimension, or with the rank.

    Args:
        system: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        input: the input held, (input,).
        points: the fixed points that were found.
        box: (low, high) of the states, each a number or (unit,); the map's domain if None. Fixed points outside of it
            do not count.
        seconds: of CPU time, after which it stops.
        max_boxes: boxes, after which it stops; this does not depend on the machine.
        max_coordinates: it does not begin in more coordinates than this.

    Raises:
        ValueError: points, input or box of the wrong shape.

    Example:
        >>> import numpy as np, torch
        >>> rnn = torch.nn.RNN(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(rnn.weight_hh_l0, 2.0)
        >>> found = prove_complete(rnn, [0.0], np.array([[0.0], [0.9575040240772687]]))
        >>> found.complete, found.n_proven, found.missing.round(3).tolist()
        (False, 3, [[-0.958]])
    """
    state_map = as_subject(system).map
    held, listed = np.asarray(input, np.float64), np.asarray(points, np.float64)
    if held.shape != (state_map.input_size,):
        raise ValueError(f"input must have shape ({state_map.input_size},), got {held.shape}")
    if listed.ndim != 2:
        raise ValueError(f"points must have shape (point, {state_map.state_size}), got {listed.shape}")
    check_states(state_map, listed)
    bounds = None if box is None else _bounds(box, state_map.state_size)
    with np.errstate(all="ignore"):
        sought = unknowns(state_map, held, bounds)
        if sought is None:
            return _nothing(state_map.state_size, NO_BOUNDS)
        if not (np.isfinite(sought.low).all() and np.isfinite(sought.high).all()):
            return _nothing(state_map.state_size, UNBOUNDED)
        if len(sought.low) > max_coordinates:
            return _nothing(state_map.state_size, TOO_MANY.format(len(sought.low)))
        guesses = sought.of(listed)
        zeros = find_zeros(sought.equation, sought.low, sought.high, guesses, seconds=seconds, max_boxes=max_boxes)
        states = sought.states(zeros.points)
        return _proof(zeros, states, listed, sought.high - sought.low, bounds, seconds)


def _bounds(box: tuple[Any, Any], n: int) -> Float[np.ndarray, "2 unit"]:
    low, high = (np.asarray(end, np.float64) for end in box)
    if any(end.shape not in ((), (n,)) for end in (low, high)) or not (low <= high).all():
        raise ValueError(f"box must be (low, high) with low <= high, each a number or of shape ({n},), got {box}")
    return np.stack([np.broadcast_to(end, (n,)) for end in (low, high)])


def _nothing(n: int, reason: str) -> Proof:
    return Proof(False, 0, np.empty((0, n)), np.empty(0, np.int64), 0, 1.0, 0, reason)


def _proof(
    zeros: Zeros,
    states: np.ndarray,
    listed: np.ndarray,
    width: np.ndarray,
    bounds: np.ndarray | None,
    seconds: float,
) -> Proof:
    if bounds is not None:
        slack = SAME * np.minimum(bounds[1] - bounds[0], 1.0)
        inside = ((states >= bounds[0] - slack) & (states <= bounds[1] + slack)).all(1)
        states = states[inside]
    away = np.abs(listed[:, None] - states).max(-1, initial=0.0)
    near = away <= SAME * (1 + np.abs(states).max(-1, initial=0.0))
    on_list = np.zeros(len(states), bool)
    matched = near.any(1)
    if len(states):
        on_list[np.where(near, away, np.inf).argmin(1)[matched]] = True
    volumes = np.prod((zeros.high - zeros.low) / np.maximum(width, 1e-300), axis=1)
    share, missing = float(volumes.sum()), states[~on_list]
    decided = not len(zeros.low)
    if decided and not len(missing):
        reason = COMPLETE
    elif len(missing):
        reason = f"{len(missing)} fixed point{'' if len(missing) == 1 else 's'} not on the list, proven"
    else:
        reason = ""
    if not decided:
        why = (
            f"stopped after {zeros.n_boxes} boxes{'' if np.isinf(seconds) else f' or {seconds:g} s of CPU'}, with "
            f"{percent(share)} of the domain left"
            if zeros.stopped
            else f"undecided in {len(zeros.low)} tiny boxes: nearly degenerate there"
        )
        reason = f"{reason}{AND}{why}" if reason else why
    return Proof(
        complete=decided and not len(missing),
        n_proven=len(states),
        missing=missing,
        refuted=np.flatnonzero(~matched) if decided else np.empty(0, np.int64),
        undecided=len(zeros.low),
        undecided_share=share,
        n_boxes=zeros.n_boxes,
        reason=reason,
    )
