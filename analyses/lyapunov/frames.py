"""Tangent vectors along trajectories, and how much each direction of their frame grows.

The classical step is Q R <- J Q by QR, and the growth is |diag R|. All that is used of Q is that its first j columns
span what those of J Q do. Any X with J X_old = X U, U upper triangular and X well conditioned, keeps this, and one QR
of X turns what was taken out by the U into what the R would have been, where the number is wanted. So the frame is
reduced by elimination with row exchanges (`linalg.lower_factor`), in a fraction of the time of a QR.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.lyapunov.orbits import Orbits, starts_of
from rnnscope.analyses.lyapunov.settings import MOST_WHOLE, default_count
from rnnscope.analyses.lyapunov.stretches import MOST_AT_ONCE, Products, Step, at_once, stretches
from rnnscope.cost import Number, Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# Rounding, relative; that of a Jacobian by finite differences is larger, which its map has as `jacobian_error`.
ROUNDING = 1e-16
# Between two reductions the ratio of the largest growth to the smallest, times the error of the Jacobian, is lost of
# the smallest. The interval is chosen to keep this near the first; past the second only errors are left.
ACCEPTED, LOST = 1e-6, 1e-2
# Where nothing grows by more than this in a step, a logarithm, it is asked whether rounding made all of it: whether the
# next numbers beside the state have another derivative. That of a superstable cycle is 0, and comes out as 1e-16.
SUSPECT, NEXT, SAME = np.log(1e-10), 2.0**-50, 0.1
# A frame past this ratio, a logarithm, is badly conditioned: then QR takes the place of elimination.
ILL = np.log(1e8)
MOST_STEPS = 10
# Motion below this part of the size of states is none.
AT_REST = 1e-6
# What the interval comes to be on networks of the presets.
USUAL_INTERVAL = 2


def growing_seconds(scale: Scale, settings: Settings, n_steps: Number) -> Number:
    """Processor seconds expected of frames along trajectories of so many steps: those of the starts, and as many
    twins."""
    n_starts = starts_of(settings)
    k = min(settings["n_exponents"] or default_count(scale.n, MOST_WHOLE), scale.n)
    reductions = n_steps / (settings.get("qr_every") or USUAL_INTERVAL)
    seconds = scale.step.of(n_steps, 2 * n_steps * n_starts) + scale.jvp.of(n_steps, n_steps * n_starts * k)
    seconds += scale.reduction.of(reductions, reductions * n_starts * (k / scale.n) ** 2)
    return seconds + 250 * n_steps * scale.numpy_call


@dataclass(frozen=True)
class Limits:
    """Limits of the ratio of growths between two reductions, as logarithms: up to `accepted` the interval may grow, and
    past `lost` a direction is not resolved."""

    accepted: float
    lost: float


def limits_of(state_map: CompleteMap) -> Limits:
    error = max(state_map.jacobian_error, ROUNDING)
    return Limits(float(np.log(ACCEPTED / error)), float(np.log(LOST / error)))


class Frame:
    """Vectors that are carried along each of several trajectories, in an order: the first j span what counts.

    Assign the carried vectors to `vectors`, and call `step` after each step.

    Attributes:
        vectors: (start, state, k).
        logs: what the reductions took out of each so far, as logarithms, (start, k).
        alive: False for starts that are left out, such as those whose vectors were not finite.
        resolved: False where a vector shrank to the rounding error of the largest between two reductions, (k,).
        careful: whether the frame is reduced after each step, from here on.
        every: steps between two reductions; where it is not chosen here, the most that there were.
        spread: the largest ratio of growths between two reductions, as a logarithm.
    """

    def __init__(
        self,
        vectors: Float[np.ndarray, "start state k"],
        limits: Limits,
        asked: int | None = None,
        by_two: bool = False,
    ) -> None:
        self._limits, self._asked, self._since, self._reduce = limits, asked, 0, linalg.lower_factor
        self._by_two = by_two  # whether intervals are powers of 2
        self.careful = False
        self.every = 1
        self.vectors, _ = linalg.qr(vectors)
        self.alive = np.ones(len(vectors), bool)
        self.begin()

    def begin(self) -> None:
        """Count from here."""
        n_starts, _, k = self.vectors.shape
        self.logs, self.resolved, self.spread = np.zeros((n_starts, k)), np.ones(k, bool), 0.0
        if self._asked:
            self.every = 1

    @property
    def ahead(self) -> int:
        """How many steps there may be before the next reduction."""
        return 1 if self.careful else max(1, (self._asked or self.every) - self._since)

    def step(self, last: bool = False, n: int = 1) -> bool:
        """Reduce the frame where it is time to, or where this is the last step before its growth is asked for; n steps
        were taken at once."""
        self._since += n
        if self._since < (self._asked or self.every) and not last and not self.careful:
            return False
        vectors, diagonal = self._reduce(self.vectors, True)  # they are nobody else's
        grown = np.log(np.abs(diagonal))
        self.alive &= (grown < np.inf).all(1)
        vectors[~self.alive] = np.eye(*vectors.shape[1:])
        self.vectors, self.logs = vectors, self.logs + grown
        behind = grown[self.alive].max(1, keepdims=True) - grown[self.alive]
        behind[np.isnan(behind)] = 0.0  # all directions vanish: none is behind
        spread = float(behind.max(initial=0.0))
        self.resolved &= (behind <= self._limits.lost).all(0)
        self.spread = max(self.spread, spread)
        if self._asked:
            self.every = max(self.every, self._since)
        else:
            choose = _next_by_two if self._by_two else next_interval
            self.every = choose(self.every, self._since, spread, self._limits)
        self._since = 0
        return True

    def vanish(self, starts: Integer[np.ndarray, " n"]) -> None:
        """Take the growth of these starts to be 0, whatever came out."""
        self.logs[starts] = -np.inf

    def growth(self) -> Float[np.ndarray, "start k"]:
        """Logarithm of the growth of each direction, as QR gives it; after a reduction."""
        left = np.log(np.abs(linalg.r_diagonal(self.vectors)))
        if np.ptp(left[self.alive], axis=1).max(initial=0.0) > ILL:
            self._reduce = _qr
        return self.logs + left

    def orthonormalise(self) -> None:
        self.vectors, _ = linalg.qr(self.vectors)


@dataclass(frozen=True)
class Growth:
    """How frames grew along trajectories.

    Attributes:
        logs: logarithm of the growth of each direction up to each record, counted from the end of the transient; NaN
            for starts that diverged.
        resolved, every, spread: as of `Frame`.
        diverged_at: the step at which a state or a tangent vector was no longer finite; -1 for never.
        separation: the largest distance at the end between states that were shown the same, in units of that at the
            beginning; None where there were none.
        moving: whether a start is on its way from one place to another for all of the run (see `Places`).
    """

    logs: Float[np.ndarray, "record start exponent"]
    resolved: Bool[np.ndarray, " exponent"]
    every: int
    spread: float
    diverged_at: Integer[np.ndarray, " start"]
    separation: float | None
    moving: Bool[np.ndarray, " start"]


class Places:
    """Where states are in the first half of a run, and in the second. Those on an attractor are in both at about the
    same places, unless it takes longer than the run to go round; those that leave a saddle, or come in, are not."""

    def __init__(self, n_starts: int, n: int, size: float) -> None:
        self._sum, self._square = np.zeros((2, n_starts, n)), np.zeros((2, n_starts))
        self._count, self._size = np.zeros(2), size

    def add(self, half: int, states: Float[np.ndarray, "start state"]) -> None:
        self._sum[half] += states
        self._square[half] += np.einsum("sn,sn->s", states, states)
        self._count[half] += 1

    @property
    def moving(self) -> Bool[np.ndarray, " start"]:
        """Whether the mean states differ by more than the spread within the halves; what is below 1e-6 of the size of
        states is rounding, or has come to rest."""
        count = np.maximum(self._count, 1)
        mean, square = self._sum / count[:, None, None], self._square / count[:, None]
        within = np.sqrt(np.maximum(square - (mean**2).sum(2), 0.0).mean(0))
        size = np.maximum(np.sqrt(square.mean(0)), self._size)
        apart = np.linalg.norm(mean[1] - mean[0], axis=1)
        return (self._count > 0).all() & (apart > np.maximum(within, AT_REST * size))


def grow(
    orbits: Orbits,
    k: int,
    *,
    transient: int,
    ends: Integer[np.ndarray, " record"],
    qr_every: int | None,
    rng: np.random.Generator,
    size: float = 0.0,
) -> Growth:
    """Carry k tangent vectors along every trajectory.

    Args:
        orbits: the trajectories, of transient + ends[-1] steps.
        k: how many.
        transient: steps before growth is counted.
        ends: steps after the transient at which to record.
        qr_every: steps between two reductions; chosen from the stretching seen if None.
        rng: for the frame to begin with, and process noise.
        size: of the states that the walk began with, long before; see `Places`.
    """
    n_starts, n = orbits.begin.shape
    noise_rng, frame_rng, twin_rng = rng.spawn(3)  # the noise does not depend on k
    together = 1 if qr_every else at_once(n_starts, n, k)
    frame = Frame(frame_rng.standard_normal((n_starts, n, k)), limits_of(orbits.state_map), qr_every, together > 1)
    twins = orbits.twins(twin_rng)
    first_twins = None if twins is None else twins.copy()
    diverged_at, records, states = np.full(n_starts, -1), [], orbits.begin
    stops, middle, places = (
        {transient, *(transient + ends).tolist()},
        transient + ends[-1] / 2,
        Places(n_starts, n, size),
    )
    walk = stretches(orbits.walk(diverged_at, noise_rng, twins), together, stops)
    for t, taken, steps, (products, i) in _leaps(orbits.state_map, walk, together > 1, frame):
        states, shown = steps[-1]
        for at, (each, _) in enumerate(steps, t - taken):
            if at >= transient:
                places.add(int(at >= middle), each)
        before, taken_out = frame.vectors, frame.logs
        frame.vectors = products.push(i, taken, before)
        frame.alive &= diverged_at < 0
        if not frame.step(last=t in stops, n=taken):
            continue
        grown = (frame.logs - taken_out).max(1)
        if (grown[frame.alive] < SUSPECT).any():  # not a number where it vanished before
            if frame.careful:
                low = np.flatnonzero(frame.alive & (grown < SUSPECT))
                frame.vanish(low[_is_rounding(orbits.state_map, states[low], shown[low], before[low])])
            frame.careful = True
        lost = (diverged_at < 0) & ~frame.alive
        if lost.any():
            for at, given in steps:
                check_jacobian(orbits.state_map, at[lost], given[lost])
            diverged_at[lost] = t
        if (diverged_at >= 0).all():
            break
        if t == transient:
            frame.orthonormalise()
            frame.begin()
        elif t in stops:
            records.append(np.where((diverged_at < 0)[:, None], frame.growth(), np.nan))
    missing = [np.full((n_starts, k), np.nan)] * (len(ends) - len(records))
    return Growth(
        logs=np.stack([*records, *missing]),
        resolved=frame.resolved,
        every=frame.every,
        spread=frame.spread,
        diverged_at=diverged_at,
        separation=_separation(orbits, states, first_twins, twins, diverged_at < 0),
        moving=places.moving & (diverged_at < 0),
    )


def next_interval(every: int, since: int, spread: float, limits: Limits) -> int:
    if spread > limits.accepted:
        return max(1, min(every, since - 1))
    longer = since == every and spread * (since + 1) / since <= limits.accepted
    return min(every + 1, MOST_STEPS) if longer else every


def _next_by_two(every: int, since: int, spread: float, limits: Limits) -> int:
    """As `next_interval`, among 1, 2, 4 and 8."""
    if spread > limits.accepted:
        return 1 << max(0, (min(every, since) // 2).bit_length() - 1)
    return min(2 * every, MOST_AT_ONCE) if since == every and 2 * spread <= limits.accepted else every


def _leaps(
    state_map: CompleteMap,
    walk: Iterator[tuple[int, list[Step]]],
    multiply: bool,
    frame: Frame,
) -> Iterator[tuple[int, int, list[Step], tuple[Products, int]]]:
    """(steps taken after this leap, how many it takes, those steps, what to multiply by and from which step on)."""
    for before, steps in walk:
        products, i = Products(state_map, steps, multiply), 0
        while i < len(steps):
            n = products.reach(i, frame.ahead)
            yield before + i + n, n, steps[i : i + n], (products, i)
            i += n


def check_jacobian(
    state_map: CompleteMap, states: Float[np.ndarray, "*batch state"], inputs: Float[np.ndarray, "*batch input"]
) -> None:
    """Refuse a Jacobian that is not a number where the map goes on to a finite state: this is no divergence.

    Raises:
        ValueError: the Jacobian is not a number at a state that the map takes to a finite one.
    """
    if not len(states):
        return
    goes_on = np.isfinite(state_map.step(states, inputs)).all(-1)
    bad = np.isnan(state_map.jacobian(states, inputs)).any((-2, -1)) & goes_on
    if bad.any():
        state = np.array2string(states[bad][0], precision=4, threshold=8)
        raise ValueError(
            f"the Jacobian is not a number at the state {state}, though the next state is finite: correct the map's "
            "jacobian, or leave it out for finite differences"
        )


def _is_rounding(
    state_map: CompleteMap,
    states: Float[np.ndarray, "n state"],
    inputs: Float[np.ndarray, "n input"],
    vectors: Float[np.ndarray, "n state k"],
) -> Bool[np.ndarray, " n"]:
    """Whether what is left of these vectors after a step hangs on the last digits of the state."""
    beside = states + NEXT * np.abs(states).max(1, keepdims=True)
    one, other = state_map.jvp(states, inputs, vectors), state_map.jvp(beside, inputs, vectors)
    return np.abs(other - one).max((1, 2)) > SAME * np.abs(one).max((1, 2))


def _qr(vectors: np.ndarray, _: bool) -> tuple[np.ndarray, np.ndarray]:
    q, r = linalg.qr(vectors)
    return q, np.diagonal(r, axis1=1, axis2=2)


def _separation(
    orbits: Orbits,
    end: np.ndarray,
    first_twins: np.ndarray | None,
    last_twins: np.ndarray | None,
    alive: np.ndarray,
) -> float | None:
    """How far each start is from its twin, or starts that are all shown the same from the first of them."""
    if first_twins is not None and last_twins is not None:
        before, after = first_twins - orbits.begin, last_twins - end
    elif orbits.shared and not orbits.noise and alive.sum() > 1:
        before, after = (x[alive][1:] - x[alive][0] for x in (orbits.begin, end))
    else:
        return None
    begin, end = (np.linalg.norm(x, axis=1).max() for x in (before, after))
    if not begin > 0:
        return None
    return float(end / begin) if np.isfinite(end) else np.inf
