"""Clusters that a network brings along, so that none have to be fitted.

A state-regularised network (`cells.StateRegularized`) chooses a centroid at every step (Wang, Lawrence and Niepert,
"State-Regularized Recurrent Neural Networks to Extract Automata and Explain Predictions", IEEE TPAMI 2023); where it
does so softly, the state is a mixture of several, and the one that weighs most does not say it all: weights count, in
steps of `SHARE`. A piecewise-linear network is linear in each region of its state space, and which gates are open is a
symbol for the state (Brenner et al., "Almost-Linear RNNs Yield Highly Interpretable Symbolic Codes in Dynamical Systems
Reconstruction", NeurIPS 2024).
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64

from rnnscope.cells.state_regularized import StateRegularizedCell, StateRegularizedDynamics
from rnnscope.maps import CellMap, CompleteMap
from rnnscope.subjects.not_applicable import NotApplicable

Clusterer = Literal["k-means", "mixture", "centroids", "regions"]

SHARE = 0.05

# States and inputs -> the number of the cluster in which the next states lie; not negative.
Quantiser = Callable[
    [Float[np.ndarray, "point unit"], Float[np.ndarray, "point input"]],
    Int64[np.ndarray, " point"],
]


def quantiser(
    clusterer: Clusterer, state_map: CompleteMap, alphabet: Float[np.ndarray, "symbol input"]
) -> Quantiser | None:
    """Where a network's own clusters are wanted, what assigns them; None for those that are fitted.

    Raises:
        NotApplicable: the network has no centroids, or no linear regions.
    """
    if clusterer == "centroids":
        return _centroids(state_map)
    return _regions(state_map, alphabet) if clusterer == "regions" else None


def _centroids(state_map: CompleteMap) -> Quantiser:
    # In a stack, what a layer is given is the state of the one below: only a cell alone chooses by state and input.
    cell = state_map.layers[0] if isinstance(state_map, CellMap) and len(state_map.layers) == 1 else None
    if not isinstance(cell, StateRegularizedCell):
        raise NotApplicable(
            "clusterer='centroids': only a Run or Network of cells.StateRegularized has centroids; 'k-means' takes any "
            "network"
        )
    dynamics: StateRegularizedDynamics = cell.dynamics()
    key = _key(len(dynamics.centroids))

    def chosen(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            weights = dynamics.assign(torch.from_numpy(states), torch.from_numpy(inputs)).numpy()
        return np.rint(weights / SHARE).astype(np.int64) @ key

    return chosen


def _regions(state_map: CompleteMap, alphabet: Float[np.ndarray, "symbol input"]) -> Quantiser:
    pieces = [state_map.linear_pieces(symbol) for symbol in alphabet]
    if any(piece is None for piece in pieces):
        raise NotApplicable(
            "clusterer='regions': this map has no linear regions, as those of cells.PiecewiseLinear and of ReLU cells "
            "have; 'k-means' takes any network"
        )
    key = _key(sum(piece.n_gates for piece in pieces if piece is not None))

    def region(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        after = state_map.step(states, inputs)
        gates = [piece.regions(after) for piece in pieces if piece is not None]  # which are open, under each symbol
        return np.concatenate(gates, -1) @ key

    return region


def _key(size: int) -> Int64[np.ndarray, " size"]:
    """Makes one number of a row of small ones; other rows almost surely give another one."""
    return np.random.default_rng(0).integers(2**40, size=size)
