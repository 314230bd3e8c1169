"""In which coordinates are all fixed points of a map at an input looked for, and within which bounds?

Where every fixed point has h = Φ(W h), as those of vanilla and leaky tanh networks, GRUs, LSTMs and stacks have
(`CompleteMap.at_rest`), Φ of all states bounds them; and where W = B V' + E with R columns and E tiny, z = V' h says
which one it is: with E small enough, h = Φ(B z + E h) has one solution h(z), by contraction, and h(z) is a fixed point
exactly where z = V' h(z), R equations. E is bounded rather than neglected, and so is what it does to the derivative:
dh = S (B dz + E dh) with the slopes S of Φ, so that |dh| <= |S B| / (1 - |S E|) |dz|.

Other maps are taken as they are, with `fixed_point_equation`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rnnscope.maps import CompleteMap
from rnnscope.numerics.bounds import Bounded, gamma, mixed, norm_bound
from rnnscope.numerics.boxes import Box, Coordinates, derivative
from rnnscope.numerics.branch_and_prune import Enclosed, Equation

# Weights are of rank R where their other singular values are below this part of the largest: float32 leaves 1e-7.
LOW_RANK = 1e-5
# Random vectors: more than the rank of any weights whose fixed points can all be found.
SKETCH = 16


@dataclass(frozen=True)
class Unknowns:
    """What is solved for.

    Attributes:
        equation: see `rnnscope.numerics.branch_and_prune`.
        low, high: all fixed points are in this box of its coordinates (those in the box asked for, where one was).
        of: coordinates of states.
        states: the states that zeros of the equation stand for.
    """

    equation: Equation
    low: Float[np.ndarray, " coordinate"]
    high: Float[np.ndarray, " coordinate"]
    of: Callable[[Float[np.ndarray, "point unit"]], Float[np.ndarray, "point coordinate"]]
    states: Callable[[Float[np.ndarray, "point coordinate"]], Float[np.ndarray, "point unit"]]


def unknowns(
    state_map: CompleteMap, input: Float[np.ndarray, " input"], box: Float[np.ndarray, "2 unit"] | None
) -> Unknowns | None:
    """None where the map gives no bounds."""

    def held(n_points: int) -> np.ndarray:
        return np.broadcast_to(input, (n_points, len(input)))

    def of_rest(centre: np.ndarray, half: np.ndarray) -> tuple[tuple[Bounded, ...], ...]:
        return state_map.at_rest(Box(centre, half, coordinates), held(len(centre))) or ()

    coordinates: Coordinates | None = None
    shown = _shown(state_map, held(1))
    if shown is None:
        return _as_it_is(state_map, held, box)
    anywhere = of_rest(np.zeros((1, len(shown))), np.full((1, len(shown)), np.inf))
    low, high = (np.concatenate([getattr(layer[0].range, end)[0, 0] for layer in anywhere]) for end in ("low", "high"))
    coordinates = _few(anywhere, low, high)
    if box is not None:
        low, high = np.maximum(low, box[0][shown]), np.minimum(high, box[1][shown])

    def enclose(centre: np.ndarray, half: np.ndarray) -> Enclosed:
        layers = of_rest(centre, half)
        if coordinates is None:
            found = tuple(layer[0] for layer in layers)
            leak = 0.0
        else:
            found = (mixed(coordinates.basis.T, layers[0][0]),)
            leak = _through_remainder(layers[0][0], coordinates)[:, None, None]
        slope, error = derivative(found, *centre.shape)
        least, most = (np.concatenate([getattr(e.range, end)[0] for e in found], -1) for end in ("low", "high"))
        slope = slope - np.eye(centre.shape[1])
        return Enclosed(least, most, slope, error + leak + gamma(2) * (np.abs(slope) + 1))

    def states(points: np.ndarray) -> np.ndarray:
        found, start = [], 0
        for layer in of_rest(points, np.zeros_like(points)):
            parts = [(0.5 * (part.range.low + part.range.high))[0] for part in layer]
            if coordinates is None:  # what is shown is known already, and huge weights would blow up its rounding
                parts[0] = points[:, start : start + parts[0].shape[-1]]
                start += parts[0].shape[-1]
            found += parts
        return np.concatenate(found, -1)

    if coordinates is None:
        return Unknowns(Equation(enclose, True, len(shown)), low, high, lambda x: x[:, shown], states)
    basis = coordinates.basis
    reach = np.maximum(np.abs(low), np.abs(high)) @ np.abs(basis) * (1 + gamma(len(basis) + 4))
    return Unknowns(Equation(enclose, True, len(basis)), -reach, reach, lambda x: x[:, shown] @ basis, states)


def _shown(state_map: CompleteMap, input: np.ndarray) -> np.ndarray | None:
    """Where the numbers that layers show stand in the state; None where the map does not say."""
    n = state_map.state_size
    # No layer shows more numbers than it has: what is too much is cut off by `part`, and so the sizes come out.
    layers = state_map.at_rest(Box(np.zeros((1, n)), np.full((1, n), np.inf)), input)
    if layers is None:
        return None
    start, found = 0, []
    for layer in layers:
        found.append(start + np.arange(layer[0].range.low.shape[-1]))
        start += sum(part.range.low.shape[-1] for part in layer)
    return np.concatenate(found)


def _few(layers: tuple[tuple[Bounded, ...], ...], low: np.ndarray, high: np.ndarray) -> Coordinates | None:
    """Coordinates in which the weights of one layer are of low rank; None where there are none."""
    forms = [form.matrix for form, _ in layers[0][0].slopes]
    if len(layers) > 1 or not forms:
        return None
    right = _rows_space(np.concatenate(forms))
    if len(right) == len(low):
        return None
    return Coordinates(np.ascontiguousarray(right.T), np.maximum(np.abs(low), np.abs(high)))


def _rows_space(weights: np.ndarray) -> Float[np.ndarray, "rank number"]:
    """Orthonormal rows that the weights are made of, but for what is small. Whichever they are, what they leave out is
    bounded later, so that they may be found from products with a few random vectors (Halko, Martinsson & Tropp, SIAM
    Review 53, 2011), which takes a small part of the time of a decomposition of all."""
    rows, n = weights.shape
    if n > 2 * SKETCH:
        random = np.random.default_rng(0).standard_normal((rows, SKETCH))
        few = np.linalg.qr(weights.T @ random)[0]
        inside = weights @ few
        if np.linalg.norm(weights - inside @ few.T) <= LOW_RANK * np.linalg.norm(weights):
            weights, turn = inside, few.T
        else:
            return np.eye(n)  # of a rank that is out of reach
    else:
        turn = np.eye(n)
    _, size, right = np.linalg.svd(weights, full_matrices=False)
    return right[: max(1, int((size > LOW_RANK * size[0]).sum()))] @ turn


def _through_remainder(new: Bounded, coordinates: Coordinates) -> Float[np.ndarray, " point"]:
    """The entries at most of V' S E (1 - S E)^-1 S B."""
    through, leak = 0.0, 0.0
    for form, slope in new.slopes:
        steepest = np.maximum(np.abs(slope.low), np.abs(slope.high)).max(-1)
        steepest = steepest[0] if steepest.ndim == 2 else steepest
        through = through + steepest * norm_bound(form.matrix, (0, 1))
        leak = leak + steepest * form.remainder
    bound = norm_bound(coordinates.basis, (0, 1)) * leak * through / (1 - leak) * (1 + gamma(64))
    return np.where(leak < 0.5, bound, np.inf)


def _as_it_is(
    state_map: CompleteMap, held: Callable[[int], np.ndarray], box: Float[np.ndarray, "2 unit"] | None
) -> Unknowns | None:
    n = state_map.state_size
    if state_map.fixed_point_equation(Box(np.zeros((1, n)), np.ones((1, n))), held(1)) is None:
        return None

    def enclose(centre: np.ndarray, half: np.ndarray) -> Enclosed:
        found = state_map.fixed_point_equation(Box(centre, half), held(len(centre))) or ()
        ends = ("low", "high")
        least, most = (
            np.concatenate([np.reshape(getattr(e.range, end), (len(centre), -1)) for e in found], -1) for end in ends
        )
        return Enclosed(least, most, *derivative(found, *centre.shape))

    bounds = box if box is not None else state_map.domain
    low, high = np.full((2, n), [[-np.inf], [np.inf]]) if bounds is None else bounds
    return Unknowns(Equation(enclose, False, n), low, high, lambda x: x, lambda x: x)
