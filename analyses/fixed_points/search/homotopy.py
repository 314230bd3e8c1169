"""A way from any state a to a fixed point: follow the fixed points of h -> (1 - t) a + t F(h, u) from t = 0 to 1.

At t = 0 it is a; at t = 1 it is a fixed point of F. Where F maps a bounded box into itself, as tanh and gated networks
do, the curve leads there from almost every a of the box, through whatever folds (Chow, Mallet-Paret & Yorke, Math.
Comp. 32, 1978). It is followed in state and t together: a predictor along the tangent, correctors at right angles to
it, with the one factorisation that gave the tangent.

The curves of one a join the fixed points of F in pairs, all but the one that a leads to. So the curve that goes back
from a known point, t falling at first, ends at another point, known or not.
"""

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# Lengths in units of the scale: the first step, the longest, and how closely the curve is followed.
FIRST, LONGEST, NEAR = 0.1, 0.5, 0.01
# From so many units on the matrices are factorised in single precision, in half the time: steps need no more digits.
SINGLE_FROM = 64
# A corrector takes so many steps at most; a step that is longer than this part of the last one ends it.
CORRECTIONS, CONTRACTION = 4, 0.8


def follow_to_roots(
    state_map: CompleteMap,
    begin: Float[np.ndarray, "start unit"],
    inputs: Float[np.ndarray, "start input"],
    box: tuple[np.ndarray, np.ndarray],
    scale: float,
    max_steps: int,
    known: Float[np.ndarray, "start unit"] | None = None,
) -> tuple[Float[np.ndarray, "start unit"], Bool[np.ndarray, " start"], Integer[np.ndarray, " start"]]:
    """(states near a fixed point, to within some hundredths of `scale`; whether each start got there; steps taken).

    Args:
        state_map: the map.
        begin: a of each curve.
        inputs: its input.
        box: (low, high), in which the curves stay.
        scale: the unit of lengths.
        max_steps: how many steps a curve may take.
        known: fixed points, from which the curves go back; from `begin` itself if None.
    """
    n_starts, n = begin.shape
    at = np.zeros((n_starts, 1)) if known is None else np.ones((n_starts, 1))
    z = np.concatenate([begin if known is None else known, at], 1)
    towards = np.eye(n + 1)[[n] * n_starts] * (1 - 2 * at)  # at first, t grows, or falls from 1
    lengths = np.full(n_starts, FIRST * scale)
    arrived, n_steps = np.zeros(n_starts, bool), np.zeros(n_starts, np.int64)
    live = np.arange(n_starts)
    for _ in range(max_steps):
        if not len(live):
            break
        n_steps[live] += 1
        factors, tangent = _tangent(state_map, z[live], begin[live], inputs[live], towards[live])
        sound = np.isfinite(tangent).all(1)  # without one, a curve goes no further
        lengths[live[~sound]] = 0.0
        pending = np.flatnonzero(sound)
        for _ in range(3):  # shorter steps with the same factorisation
            if not len(pending):
                break
            rows = live[pending]
            # Of a step that passes t = 1, as far as there, and the correctors keep t.
            ahead = z[rows, n] + lengths[rows] * tangent[pending, n]
            last = ahead >= 1
            step = np.where(last, (1 - z[rows, n]) / np.where(last, tangent[pending, n], 1.0), lengths[rows])
            across = np.where(last[:, None], np.eye(n + 1)[n], tangent[pending])
            found, good, effort = _correct(
                state_map,
                z[rows] + step[:, None] * tangent[pending],
                across,
                factors,
                tangent,
                pending,
                begin[rows],
                inputs[rows],
                box,
                NEAR * scale,
            )
            done = rows[good]
            z[done], towards[done] = found[good], tangent[pending[good]]
            arrived[done[last[good]]] = True
            lengths[done] *= np.where(effort[good] <= 2, 1.6, np.where(effort[good] >= CORRECTIONS, 0.7, 1.0))
            lengths[done] = np.minimum(lengths[done], LONGEST * scale)
            pending = pending[~good]
            lengths[live[pending]] *= 0.4
        # A curve that goes back below t = 0 is another one, as a step was too long; or one from a known point to a.
        live = live[~arrived[live] & (lengths[live] > 1e-7 * scale) & (z[live, n] > -NEAR)]
    return z[:, :n], arrived, n_steps


def curve_work(n_units: int, n_steps: Integer[np.ndarray, " start"]) -> float:
    """Multiplications that so many steps take: a factorisation each, and some passes over the matrix."""
    return ((n_units + 1) ** 3 / 3 + 50.0 * (n_units + 1) ** 2) * float(n_steps.sum())


def _tangent(
    state_map: CompleteMap, z: np.ndarray, begin: np.ndarray, inputs: np.ndarray, towards: np.ndarray
) -> tuple[linalg.Factors, Float[np.ndarray, "start extended"]]:
    """The curve's unit tangent, in the sense of `towards`, and the factorisation of its equations beside it."""
    n = begin.shape[1]
    matrices = np.empty((len(z), n + 1, n + 1), np.float32 if n >= SINGLE_FROM else np.float64)
    np.multiply(state_map.jacobian(z[:, :n], inputs), z[:, n, None, None], out=matrices[:, :n, :n], casting="same_kind")
    diagonal = np.arange(n)
    matrices[:, diagonal, diagonal] -= 1
    matrices[:, :n, n] = state_map.step(z[:, :n], inputs) - begin
    matrices[:, n] = towards
    factors = linalg.factorise(matrices)
    tangent = factors.solve(np.eye(n + 1)[[n] * len(z)], np.arange(len(z)))
    return factors, tangent / np.linalg.norm(tangent, axis=1)[:, None]


def _correct(
    state_map: CompleteMap,
    predicted: np.ndarray,
    across: np.ndarray,
    factors: linalg.Factors,
    tangent: np.ndarray,
    which: np.ndarray,
    begin: np.ndarray,
    inputs: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    near: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(points of the curve, whether the correctors got there, how many each took), in the planes through `predicted`
    at right angles to `across`."""
    n = begin.shape[1]
    # The curve stays in the box; predictions need not.
    low, high = (np.append(bound, unbounded) for bound, unbounded in zip(box, (-np.inf, np.inf), strict=True))
    z = np.clip(predicted, low, high)
    good, effort = np.zeros(len(z), bool), np.zeros(len(z), np.int64)
    last = np.full(len(z), np.inf)
    live = np.arange(len(z))
    for _ in range(CORRECTIONS):
        t = z[live, n:]
        equation = t * state_map.step(z[live, :n], inputs[live]) + (1 - t) * begin[live] - z[live, :n]
        step = -factors.solve(np.pad(equation, ((0, 0), (0, 1))), which[live])
        # Along the tangent, which the equations leave free, back into the plane.
        along, normal = tangent[which[live]], across[live]
        off = (normal * (step + z[live] - predicted[live])).sum(1) / (normal * along).sum(1)
        step -= off[:, None] * along
        size = np.linalg.norm(step, axis=1)
        z[live] = np.clip(z[live] + step, low, high)
        effort[live] += 1
        good[live] = size < near
        on = (size >= near) & (size < CONTRACTION * last)
        live, last = live[on], size[on]
        if not len(live):
            break
    return z, good, effort
