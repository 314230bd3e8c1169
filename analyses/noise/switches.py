"""How often a driven network changes its symbol, as it is and under changes of its units, on the same noise."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.causal.groups import unit_numbers
from rnnscope.analyses.noise.driven import Drive
from rnnscope.numerics.affine import Affine
from rnnscope.subjects.interventions.batch import under_each
from rnnscope.subjects.subject import Subject


class Switches(NamedTuple):
    """Of each change, in each trial.

    Attributes:
        pairs: steps from each symbol to each; those from one to itself are stays.
        finite: whether all outputs are finite; of others nothing is known.
    """

    pairs: Float[np.ndarray, "change trial before after"]
    finite: Bool[np.ndarray, " change"]

    @property
    def changes(self) -> Float[np.ndarray, "change trial"]:
        """Steps to another symbol."""
        return self.steps - np.trace(self.pairs, axis1=2, axis2=3)

    @property
    def steps(self) -> Float[np.ndarray, "change trial"]:
        return self.pairs.sum((2, 3))

    @property
    def rate(self) -> Float[np.ndarray, " change"]:
        """Changes per step; NaN where the states diverge."""
        return np.where(self.finite, self.changes.sum(1) / self.steps.sum(1), np.nan)

    def leaving(self, before: int, after: int) -> Float[np.ndarray, " change"]:
        """Changes from one symbol to another per step in the first; NaN where it is never emitted."""
        with np.errstate(all="ignore"):
            found = self.pairs[..., before, after].sum(1) / self.pairs[..., before, :].sum((1, 2))
        return np.where(self.finite, found, np.nan)


class Shown(NamedTuple):
    """What all changes are shown: so that differences are theirs.

    Attributes:
        inputs: fresh draws of what drives the network.
        starts: the states to start from.
        added: process noise; None for none.
        transient: steps at the beginning that do not count.
    """

    inputs: Float[np.ndarray, "trial time input"]
    starts: Float[np.ndarray, "trial state"]
    added: Float[np.ndarray, "time trial state"] | None
    transient: int


def shown_to_all(drive: Drive, n_trials: int, transient: int, n_steps: int, rng: np.random.Generator) -> Shown:
    """Draw what all changes are shown; `n_steps` steps count."""
    inputs = np.ascontiguousarray(drive.inputs(n_trials, transient + n_steps, rng))
    starts = drive.starts(n_trials, rng)
    added = None
    if drive.noise:
        added = drive.noise * rng.standard_normal((inputs.shape[1], *starts.shape))
    return Shown(inputs, starts, added, transient)


def switches(drive: Drive, edits: Sequence[Affine], shown: Shown) -> Switches:
    """Run the network under each change, made after every step, and count changes of symbol."""
    state_map, already = drive.state_map, drive.edit
    if already is not None:
        edits = [edit.after(already) for edit in edits]
    n = drive.n_symbols

    def look(_: slice, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = outputs[:, :, shown.transient :]
        finite = np.asarray(np.isfinite(outputs).all((1, 2, 3)))
        symbols = drive.symbols(np.where(np.isfinite(outputs), outputs, 0.0))
        codes = symbols[..., :-1] * n + symbols[..., 1:]
        rows = np.arange(codes.shape[0] * codes.shape[1]).reshape(codes.shape[:2])[..., None]
        pairs = np.bincount((rows * n * n + codes).ravel(), minlength=rows.size * n * n)
        return pairs.reshape(*codes.shape[:2], n, n).astype(np.float64), finite

    with np.errstate(all="ignore"):
        parts = under_each(state_map, list(edits), shown.inputs, shown.starts, look, noise=shown.added)
    return Switches(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def scaled(subject: Subject, units: Bool[np.ndarray, " unit"], factor: float) -> Affine:
    """What `Gain(factor)` of these units does, and for a factor of 0 `Ablate`; numbered through all layers."""
    matrix = np.ones(subject.map.state_size)
    for (_, numbers), chosen in zip(unit_numbers(subject.map.layout), units, strict=True):
        if chosen:
            matrix[numbers] = factor
    return Affine(matrix, np.zeros(len(matrix)))


def as_sets(numbers: Sequence[Sequence[int]] | Int64[np.ndarray, "set size"], n: int) -> Bool[np.ndarray, "set unit"]:
    """Sets of units by their numbers, as rows."""
    found = np.zeros((len(numbers), n), bool)
    for row, each in zip(found, numbers, strict=True):
        row[list(each)] = True
    return found
