"""What a swap within other directions does: random subspaces, and single units."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.wording import percent
from rnnscope.analyses.causal.subspace import Search
from rnnscope.analyses.causal.swaps import Columns, Going, Swaps
from rnnscope.numerics import linalg

# Pairs with which single units are chosen, one after another, by the loss.
FEW = 64


@dataclass(frozen=True)
class RandomSubspaces:
    """Accuracies of swaps within random subspaces of the same dimensions, one a draw.

    Attributes:
        any: directions drawn alike from all of state space.
        visited: drawn with the covariance of the states, so that more is exchanged where states differ more: the
            stricter control. Where states fill hardly more dimensions than the subspace has, any subspace of theirs
            holds most of a state, and this comes near to the whole state put in.
    """

    any: Float[np.ndarray, " draw"]
    visited: Float[np.ndarray, " draw"]

    def told(self) -> str:
        """In words, with the range of all draws."""
        each = [f"{percent(float(a.mean()))} ({interval(a.min(), a.max())})" for a in (self.any, self.visited)]
        return f"random subspaces: {each[0]} of any directions, {each[1]} of those in which states differ"


@dataclass(frozen=True)
class SingleUnits:
    """A swap of as many single units, chosen one after another by what each adds (so not surely the best such set).

    Attributes:
        units: numbers of the state.
        accuracy: on held-out pairs.
    """

    units: Int64[np.ndarray, " chosen"]
    accuracy: float


def interval(low: float, high: float) -> str:
    """Two shares in per cent, rounded outwards."""
    return f"{np.floor(1000 * low + 1e-6) / 10:.4g} to {np.ceil(1000 * high - 1e-6) / 10 + 0.0:.4g}"


def draw_subspaces(
    states: Float[np.ndarray, "point unit"], size: int, n: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "draw unit direction"], Float[np.ndarray, "draw unit direction"]]:
    """Orthonormal columns of random subspaces: of any directions, and of those in which states vary."""
    noise = rng.standard_normal((2, n, states.shape[1], size))
    centred = states - states.mean(0)
    root = centred.T @ rng.standard_normal((n, len(states), size)) + 1e-12 * np.abs(centred).max() * noise[1]
    with linalg.one_thread():
        return linalg.qr(noise[0])[0], linalg.qr(root)[0]


def right_of_each(
    going: Going, swaps: Swaps, draws: Float[np.ndarray, "draw unit direction"]
) -> Bool[np.ndarray, "draw pair"]:
    """Whether the network does as it ought to after each pair's swap within each of the subspaces."""
    return np.stack([going.right(swaps, columns) for columns in draws])


def random_subspaces(
    going: Going, swaps: Swaps, columns: Columns, n: int, seed: int
) -> tuple[RandomSubspaces, tuple[np.ndarray, np.ndarray]]:
    """The accuracies, and the subspaces themselves."""
    states = np.concatenate([swaps.base, swaps.source])
    draws = draw_subspaces(states, columns.shape[1], n, np.random.default_rng([seed, 0xD1]))
    found = RandomSubspaces(*(right_of_each(going, swaps, each).mean(1) for each in draws))
    return found, draws


def single_units(search: Search, held_out: Swaps, n: int) -> SingleUnits:
    """As many units as the subspace has dimensions, judged on held-out pairs."""
    few, chosen = search.swaps[:FEW], list[int]()
    size = few.base.shape[1]
    for _ in range(min(n, size)):
        left = [unit for unit in range(size) if unit not in chosen]
        tried = [few.in_units([*chosen, unit]) for unit in left]
        right = [search.going.right_from(few, states).mean() for states in tried]
        near = [search.going.error(few, states) for states in tried]
        # Rounded, so that units that do the same are taken in their order.
        best = min(range(len(left)), key=lambda i: (-round(right[i], 9), round(near[i], 9)))
        chosen.append(left[best])
    accuracy = float(search.going.right_from(held_out, held_out.in_units(chosen)).mean())
    return SingleUnits(np.array(sorted(chosen), np.int64), accuracy)
