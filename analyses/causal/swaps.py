"""What a network does after part of its state was put in from elsewhere, and whether that is what it ought to do.

An interchange intervention: the coordinates of a base state in a subspace become those of a source state, the rest
stays the base's, and the network goes on with what the base was to read (Geiger, Lu, Icard & Potts, "Causal
abstractions of neural networks", NeurIPS 2021).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.maps import CompleteMap
from rnnscope.maps.state_map import central_differences

Labels = Callable[[np.ndarray], np.ndarray]
Columns = Float[np.ndarray, "unit direction"]

# The decision of outputs that are not finite, which nobody wants.
UNDECIDED = np.iinfo(np.int64).min
# Numbers in the states that are kept at a time; results do not hang on it.
AT_ONCE = 2**22
# A readout that differs by less from an affine one, relative to its size, is taken for it: gradients alone use this.
AFFINE = 1e-9


@dataclass(frozen=True, eq=False)
class Swaps:
    """Pairs of a base state and a source state, and what the network ought to do with the source's value in the base.

    Attributes:
        base, source: states of the network.
        inputs: what the network goes on to read.
        wanted: its decisions then, in the changed state itself and after each input.
        counts: which of these are looked at.
        aim: outputs that stand for what is wanted, which a search is drawn to.
    """

    base: Float[np.ndarray, "pair unit"]
    source: Float[np.ndarray, "pair unit"]
    inputs: Float[np.ndarray, "pair time input"]
    wanted: Int64[np.ndarray, "pair prefix head"]
    counts: Bool[np.ndarray, "pair prefix"]
    aim: Float[np.ndarray, "pair prefix output"]

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, rows: "np.ndarray | slice") -> "Swaps":
        return Swaps(**{name: value[rows] for name, value in vars(self).items()})

    def changed(self, columns: Columns | None) -> Float[np.ndarray, "pair unit"]:
        """The states after the swap: within the span of orthonormal columns the source's, elsewhere the base's. None:
        the whole source."""
        if columns is None:
            return self.source
        return self.base + (self.source - self.base) @ columns @ columns.T

    def in_units(self, units: list[int]) -> Float[np.ndarray, "pair unit"]:
        """The states after these units are the source's."""
        found = self.base.copy()
        found[:, units] = self.source[:, units]
        return found

    def unpatched(self) -> "Swaps":
        """The same with nothing put in."""
        return replace(self, source=self.base)


class Loss(NamedTuple):
    """The error, from 0 to 4, and its gradient for each changed state."""

    value: float
    gradient: Float[np.ndarray, "pair unit"]


@dataclass(frozen=True, eq=False)
class Going:
    """A network as what goes on from a state, and decides.

    Attributes:
        map: the network, with a readout.
        labels: outputs (..., output) -> decisions (..., head).
    """

    map: CompleteMap
    labels: Labels

    def outputs(
        self, states: Float[np.ndarray, "pair unit"], inputs: Float[np.ndarray, "pair time input"]
    ) -> Float[np.ndarray, "pair prefix output"]:
        """The outputs in these states and after each input."""
        return self.map.readout(self._visited(states, inputs))

    def decisions(
        self, states: Float[np.ndarray, "pair unit"], inputs: Float[np.ndarray, "pair time input"]
    ) -> Int64[np.ndarray, "pair prefix head"]:
        """The decisions in these states and after each input; UNDECIDED where outputs are not
        finite."""
        part = max(AT_ONCE // ((inputs.shape[1] + 1) * self.map.state_size), 1)
        rows = [slice(i, i + part) for i in range(0, max(len(states), 1), part)]
        return np.concatenate([self._decided(self.outputs(states[r], inputs[r])) for r in rows])

    def right(self, swaps: Swaps, columns: Columns | None) -> Bool[np.ndarray, " pair"]:
        """Whether the network decides as it ought to wherever that counts, after a swap within these columns."""
        return self.right_from(swaps, swaps.changed(columns))

    def right_from(self, swaps: Swaps, states: Float[np.ndarray, "pair unit"]) -> Bool[np.ndarray, " pair"]:
        """The same from states that are given."""
        same = (self.decisions(states, swaps.inputs) == swaps.wanted).all(-1)
        return (same | ~swaps.counts).all(-1)

    def error(self, swaps: Swaps, states: Float[np.ndarray, "pair unit"]) -> float:
        """Mean squared distance of the outputs from the aim, both squashed by tanh so that what is decided counts more
        than by how much."""
        return float((self._off(swaps, self.outputs(states, swaps.inputs))[0] ** 2).sum())

    def loss(self, swaps: Swaps, states: Float[np.ndarray, "pair unit"]) -> Loss:
        """The error and its gradient, carried back through the steps."""
        visited = self._visited(states, swaps.inputs)
        off, inner = self._off(swaps, self.map.readout(visited))
        back, slope = 2 * off * inner, self._slope(states)
        gradient = np.zeros_like(states)
        for t in reversed(range(visited.shape[1])):
            if slope is None:
                gradient += np.einsum("po,pou->pu", back[:, t], central_differences(self.map.readout, visited[:, t]))
            else:
                gradient += back[:, t] @ slope
            if t:
                gradient = self.map.vjp(visited[:, t - 1], swaps.inputs[:, t - 1], gradient[..., None])[..., 0]
        return Loss(float((off**2).sum()), gradient)

    def _off(self, swaps: Swaps, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weighted differences whose squares sum to the error, and their derivative by the outputs."""
        scale = np.abs(swaps.aim[swaps.counts]).mean() + 1e-300
        got = np.tanh(outputs / scale)
        share = swaps.counts / np.maximum(swaps.counts.sum(1, keepdims=True), 1)
        weight = np.sqrt(share / (len(outputs) * outputs.shape[-1]))[..., None]
        return (got - np.tanh(swaps.aim / scale)) * weight, (1 - got**2) * weight / scale

    def _visited(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return np.concatenate([states[:, None], self.map.unroll(states, inputs)], 1)

    def _decided(self, outputs: np.ndarray) -> np.ndarray:
        finite = np.isfinite(outputs).all(-1)
        found = np.asarray(self.labels(np.where(np.expand_dims(finite, -1), outputs, 0.0)))
        if found.dtype != bool and not np.issubdtype(found.dtype, np.integer):
            raise ValueError(f"labels must return whole numbers (a decision for each head), got {found.dtype}")
        found = found.reshape(*outputs.shape[:-1], -1).astype(np.int64)
        return np.where(np.expand_dims(finite, -1), found, UNDECIDED)

    def _slope(self, states: np.ndarray) -> Float[np.ndarray, "output unit"] | None:
        """The matrix of an affine readout; None for one that is not."""
        size = self.map.state_size
        none = self.map.readout(np.zeros((1, size)))
        matrix = (self.map.readout(np.eye(size)) - none).T
        there = self.map.readout(states[:16])
        close = np.abs(there - states[:16] @ matrix.T - none) <= AFFINE * (np.abs(there).max() + 1.0)
        return matrix if close.all() else None
