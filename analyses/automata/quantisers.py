"""Clusters that a network brings along, so that none have to be fitted.

A state-regularised network (`cells.StateRegularized`) chooses a centroid at every step (Wang, Lawrence and Niepert,
"State-Regularized Recurrent Neural Networks to Extract Automata and Explain Predictions", IEEE TPAMI 2023). A
piecewise-linear one is linear in each region of its state space, and which gates are open is a symbol for the state
(Brenner et al., "Almost-Linear RNNs Yield Highly Interpretable Symbolic Codes in Dynamical Systems Reconstruction",
NeurIPS 2024).
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64

from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.cells.state_regularized import StateRegularizedCell, StateRegularizedDynamics
from rnnscope.maps import StateMap
from rnnscope.maps.piecewise_linear import linear_pieces
from rnnscope.maps.state_map import frozen_double
from rnnscope.network import Network
from rnnscope.runs import Run

Clusterer = Literal["k-means", "mixture", "centroids", "regions"]

# States and inputs -> the number of the cluster in which the next states lie; not negative.
Quantiser = Callable[
    [Float[np.ndarray, "point unit"], Float[np.ndarray, "point input"]],
    Int64[np.ndarray, " point"],
]


def quantiser(
    clusterer: Clusterer, system: Any, state_map: StateMap, alphabet: Float[np.ndarray, "symbol input"]
) -> Quantiser | None:
    """Where a network's own clusters are wanted, what tells them; None for those that are fitted.

    Raises:
        NotApplicable: the network has no centroids, or no linear regions.
    """
    if clusterer == "centroids":
        return _centroids(system)
    return _regions(state_map, alphabet) if clusterer == "regions" else None


def _centroids(system: Any) -> Quantiser:
    network = system.network() if isinstance(system, Run) else system
    if not isinstance(network, Network) or not isinstance(network.cell, StateRegularizedCell):
        raise NotApplicable(
            "clusterer='centroids': only a Run or Network of cells.StateRegularized has centroids; 'k-means' takes any "
            "network"
        )
    dynamics: StateRegularizedDynamics = frozen_double(network.cell).dynamics()

    def chosen(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return dynamics.assign(torch.from_numpy(states), torch.from_numpy(inputs)).argmax(-1).numpy()

    return chosen


def _regions(state_map: StateMap, alphabet: Float[np.ndarray, "symbol input"]) -> Quantiser:
    pieces = [linear_pieces(state_map, symbol) for symbol in alphabet]
    if any(piece is None for piece in pieces):
        raise NotApplicable(
            "clusterer='regions': this map has no linear regions, as those of cells.PiecewiseLinear and of ReLU cells "
            "have; 'k-means' takes any network"
        )
    # Which gates are open, under each symbol, as one number; other gates almost surely give another one.
    n_gates = sum(piece.n_gates for piece in pieces if piece is not None)
    key = np.random.default_rng(0).integers(2**40, size=n_gates)

    def region(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        after = state_map.step(states, inputs)
        return np.concatenate([piece.regions(after) for piece in pieces if piece is not None], -1) @ key

    return region
