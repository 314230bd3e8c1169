"""Which units matter, by the gradient of what is explained with respect to gates that let a unit through in part.

Each unit has a gate between 0, where its mean stands in its place, and 1, where it is left as it is. What the gated
network does not explain, plus a price on open gates, is minimised (sparse gates, in the manner of Louizos, Welling and
Kingma, International Conference on Learning Representations, 2018, without their noise). All gates move at once, so
that of two groups of units that can stand in for one another the smaller one stays, however little a single unit of it
is missed while the other is there. The gates only propose an order: sets are judged with units really taken out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.maps import CompleteMap
from rnnscope.maps.state_map import central_differences
from rnnscope.numerics import linalg
from rnnscope.subjects.trajectories import Trajectories

# Prices of all gates together, as parts of what need not be explained: one too low leaves all gates open, one too high
# closes them all, and in between the order is what counts.
PRICES = (0.3, 1.0, 3.0, 10.0, 30.0)
# Adam's steps and their size in the gates' logits, which begin near 1, with a spread that parts units that are alike.
N_STEPS, SIZE, BEGIN, SPREAD = 100, 0.1, 1.0, 0.1
MOST_TRIALS = 32
# A readout is taken as affine if that explains it to this part.
AFFINE = 1e-8


@dataclass(frozen=True, eq=False)
class _Shown:
    """What the gated network is shown, and what is asked of it; of each price the same trials."""

    state_map: CompleteMap
    inputs: Float[np.ndarray, "trial time input"]
    initial: Float[np.ndarray, "trial state"]
    outputs: Float[np.ndarray, "trial time output"]
    weight: Float[np.ndarray, "trial time"]
    mean: Float[np.ndarray, " state"]
    affine: Float[np.ndarray, "output state"] | None


def orders_by_gates(
    state_map: CompleteMap,
    shown: Trajectories,
    counts: Bool[np.ndarray, "trial time"],
    units: Sequence[Sequence[int]],
    mean: Float[np.ndarray, " state"],
    *,
    spare: float,
    seed: int,
) -> list[Int64[np.ndarray, " unit"]]:
    """Orders of units, those that matter most first: by the gates at each of several prices, and by attribution.

    Attribution is |the gradient of what is explained by a gate|, summed over gates half open and open: to first order,
    what a unit's way from its mean does.

    Args:
        state_map: of one layer, so that a unit is changed after the whole step.
        shown: what it is shown, and its states.
        counts: where outputs count.
        units: the numbers of the state that belong to each unit.
        mean: what stands in a unit's place.
        spare: the part of the outputs' variance that need not be explained.
        seed: of the gates at the beginning.
    """
    some = slice(0, MOST_TRIALS)
    read = state_map.readout if state_map.readout_size else None
    outputs = shown.states[some] if read is None else read(shown.states[some])
    inside = counts[some] if counts[some].any() else shown.valid[some]
    varies = float(np.mean((outputs[inside] - outputs[inside].mean(0)) ** 2))
    if not varies > 0:
        return []
    weight = inside / (inside.sum() * outputs.shape[-1] * varies)
    affine = _affine(read, shown.states[some], outputs)
    given = _Shown(state_map, shown.inputs[some], shown.initial[some], outputs, weight, mean, affine)
    owner = np.zeros(len(mean), np.int64)
    for unit, numbers in enumerate(units):
        owner[list(numbers)] = unit
    rng, n = np.random.default_rng([seed, 0x6A7]), len(units)
    prices = spare * np.array(PRICES)
    logits = BEGIN + SPREAD * rng.standard_normal((len(prices), n))
    first, second, attribution = np.zeros_like(logits), np.zeros_like(logits), np.zeros(n)
    with linalg.one_thread(), np.errstate(all="ignore"):
        for gates in (np.ones((1, n)), np.full((1, n), 0.5)):
            attribution += np.abs(np.nan_to_num(_gradient(given, gates, owner)[0]))
        for step in range(1, N_STEPS + 1):
            gates = 1 / (1 + np.exp(-logits))
            slope = np.nan_to_num(_gradient(given, gates, owner)) + prices[:, None] / n
            slope = slope * gates * (1 - gates)
            first = 0.9 * first + 0.1 * slope
            second = 0.999 * second + 0.001 * slope**2
            logits -= SIZE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-12)
    scores = [*logits, attribution]
    # Rounded, so that units that do the same are taken in their order, whichever way sums are rounded.
    return [np.argsort(-np.round(each / max(np.abs(each).max(), 1e-300), 6), kind="stable") for each in scores]


def _gradient(
    given: _Shown, gates: Float[np.ndarray, "price unit"], owner: Int64[np.ndarray, " state"]
) -> Float[np.ndarray, "price unit"]:
    """Of what is not explained, with respect to each gate: one run forwards, one back."""
    n_prices, (n_trials, n_steps) = len(gates), given.weight.shape
    gate = np.repeat(gates[:, owner], n_trials, 0)  # (price and trial, number of the state)
    inputs = np.tile(given.inputs, (n_prices, 1, 1))
    before = np.tile(given.initial, (n_prices, 1)) - given.mean
    begin = given.mean + gate * before
    states, away = [begin], []
    for t in range(n_steps):
        away.append(given.state_map.step(states[-1], inputs[:, t]) - given.mean)
        states.append(given.mean + gate * away[-1])
    adjoint, slope = np.zeros_like(begin), np.zeros_like(gate)
    for t in range(n_steps - 1, -1, -1):
        adjoint = adjoint + _by_output(given, states[t + 1], t, n_prices)
        slope += adjoint * away[t]
        adjoint = given.state_map.vjp(states[t], inputs[:, t], (gate * adjoint)[..., None])[..., 0]
    slope += adjoint * before
    by_number = slope.reshape(n_prices, n_trials, -1).sum(1)
    return np.stack([np.bincount(owner, each, gates.shape[1]) for each in by_number])


def _by_output(given: _Shown, states: np.ndarray, t: int, n_prices: int) -> np.ndarray:
    """The gradient of the error at one step with respect to the states there."""
    wanted, weight = np.tile(given.outputs[:, t], (n_prices, 1)), np.tile(given.weight[:, t], n_prices)
    read = given.state_map.readout(states) if given.state_map.readout_size else states
    error = 2 * weight[:, None] * (read - wanted)
    if not given.state_map.readout_size:
        return error
    if given.affine is not None:
        return error @ given.affine
    return (error[:, None] @ central_differences(given.state_map.readout, states))[:, 0]


def _affine(
    read: Callable[[np.ndarray], np.ndarray] | None, states: np.ndarray, outputs: np.ndarray
) -> Float[np.ndarray, "output state"] | None:
    """The matrix of a readout that is affine on the states seen."""
    if read is None:
        return None
    at = states.reshape(-1, states.shape[-1])
    centre = at.mean(0)
    matrix = central_differences(read, centre[None])[0]
    off = outputs.reshape(len(at), -1) - read(centre[None]) - (at - centre) @ matrix.T
    return matrix if np.abs(off).max() <= AFFINE * max(np.abs(outputs).max(), 1e-300) else None
