"""Which directions of a state carry a variable, so that exchanging what lies there exchanges its value alone?

Distributed alignment search (Geiger, Wu, Potts, Icard & Goodman, "Finding alignments between interpretable causal
variables and distributed neural representations", CLeaR 2024): the rotation is learned by gradient, for what the
network does after the swap. Here only its first columns are kept, which is all that a swap depends on, and descent is
on the set of subspaces itself (Edelman, Arias & Smith, SIAM J. Matrix Anal. Appl. 20, 1998). It starts from subspaces
that are known in closed form: discriminants of the variable, from those along which states differ least within a value
to those of its mean states. Where decisions saturate there is no gradient, and one of these is the answer.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.causal.swaps import Columns, Going, Swaps
from rnnscope.numerics import linalg

# Directions along which states vary by less, relative to where they vary most, are left out: nothing can be put there.
LEAST_SPREAD = 1e-9
# How much of all variance is added to that within a value: from discriminants proper to mean states. Of those that do
# equally well the first is taken, which exchanges least of what differs within a value.
RIDGES = (1e-7, 1e-4, 1e-2, 1e-1, 1.0, 1e3)
# Starts of the descent that are closed forms: the best few.
BEST_FORMS = 2
# Armijo's rule, and where a step is too small to matter.
DECREASE, SMALLEST, HALVINGS = 1e-4, 1e-10, 20
NOTHING_LEFT = 1e-6  # of a loss: it is not made smaller by descent
FLAT = 1e-14  # a gradient of less, of a loss between 0 and 4, is none
FORMS, DESCENT = "closed form", "descent"


@dataclass(frozen=True, eq=False)
class Found:
    """A subspace, and how well it did on the pairs that it was found with.

    Attributes:
        columns: orthonormal.
        accuracy: share of the pairs after which the network does as it ought to.
        loss: see `Going.error`.
        how: "closed form" or "descent".
        n_steps: of the descent.
        settled: whether the descent came to where no step decreases the loss; True where there was none.
    """

    columns: Columns
    accuracy: float
    loss: float
    how: str
    n_steps: int = 0
    settled: bool = True

    @property
    def rank(self) -> tuple[float, float]:
        """Lower is better; what differs by rounding alone is equal."""
        return -self.accuracy, round(self.loss, 6)


@dataclass(frozen=True)
class Learned:
    """How a subspace was found.

    Attributes:
        how: "closed form" (discriminants of the variable) or "descent".
        n_pairs: swaps that it was found with.
        accuracy: share of these after which the network does as it ought to.
        reachable: what could be expected of these: see `Search`.
        loss: what descent makes smaller: mean squared distance of squashed outputs from what is wanted.
        n_steps: of the descent.
        settled: whether no step made the loss smaller in the end; it may be a local minimum all the same.
    """

    how: str
    n_pairs: int
    accuracy: float
    reachable: float
    loss: float
    n_steps: int
    settled: bool


@dataclass(frozen=True, eq=False)
class Search:
    """What subspaces are sought with.

    Attributes:
        going: the network.
        swaps: pairs to learn from.
        values: the value of the variable in each base, then in each source.
        n_steps: of each descent, at most.
        n_restarts: descents from random subspaces, besides those from closed forms.
        tolerance: a subspace will do whose accuracy is so much below what can be reached, at most.
        reachable: that accuracy.
        seed: of random subspaces.
    """

    going: Going
    swaps: Swaps
    values: Int64[np.ndarray, " state"]
    n_steps: int
    n_restarts: int
    tolerance: float
    reachable: float
    seed: int

    def will_do(self, found: Found) -> bool:
        return found.accuracy >= self.reachable - self.tolerance

    def learned(self, found: Found) -> Learned:
        """What a result says of how the subspace was found."""
        return Learned(
            how=found.how,
            n_pairs=len(self.swaps),
            accuracy=found.accuracy,
            reachable=self.reachable,
            loss=found.loss,
            n_steps=found.n_steps,
            settled=found.settled,
        )


def find_subspace(search: Search, dimensions: int | None, most: int) -> Found:
    """The subspace of so many dimensions; None: of the fewest, up to `most`, that will do, and of the best number where
    none will. Descent is tried below the number that closed forms need until it fails once."""
    with np.errstate(all="ignore"), linalg.one_thread():
        basis = _basis(search.swaps)
        most = min(most, basis.shape[1])
        forms = _Forms(search, basis)
        if dimensions is not None:
            return _polished(search, basis, _best(search, basis, forms, min(dimensions, basis.shape[1])))
        tried, at = {1: forms.best(1)[0]}, 1
        while at < most and not search.will_do(tried[at]):
            at += 1
            tried[at] = forms.best(at)[0]
        if not search.will_do(tried[at]):
            at = max(1, min(len(np.unique(search.values)) - 1, most))
            tried[at] = _best(search, basis, forms, at)
        upward = not search.will_do(tried[at])
        while (at < most and not search.will_do(tried[at])) if upward else at > 1:
            at += 1 if upward else -1
            tried[at] = _best(search, basis, forms, at)
            if not upward and not search.will_do(tried[at]):
                break
        enough = [k for k, found in tried.items() if search.will_do(found)]
        best = tried[min(enough)] if enough else max(tried.values(), key=lambda f: (f.accuracy, -f.columns.shape[1]))
        return _polished(search, basis, best)


def _basis(swaps: Swaps) -> Columns:
    """Of the span in which states differ."""
    states = np.concatenate([swaps.base, swaps.source])
    _, sizes, rows = np.linalg.svd(states - states.mean(0), full_matrices=False)
    kept = sizes > LEAST_SPREAD * max(float(sizes[0]), 1e-300)
    kept[0] = True
    return rows[kept].T


class _Forms:
    """Discriminants of the variable, ordered by how much of it each direction separates."""

    def __init__(self, search: Search, basis: Columns) -> None:
        from scipy.linalg import eigh

        self._search, self._basis = search, basis
        states = np.concatenate([search.swaps.base, search.swaps.source]) @ basis
        values = np.unique(search.values, return_inverse=True)[1].reshape(-1)
        counts = np.bincount(values)
        means = np.zeros((len(counts), states.shape[1]))
        np.add.at(means, values, states)
        means /= counts[:, None]
        # Every value counts alike, however often it occurs.
        between = np.cov(means.T, bias=True).reshape(states.shape[1], -1)
        inside = (states - means[values]) / np.sqrt(counts[values] * len(counts))[:, None]
        within = inside.T @ inside
        size = max(np.trace(between) + np.trace(within), 1e-300)
        self._ordered = [
            eigh(between, within + ridge * size / len(within) * np.eye(len(within)))[1][:, ::-1] for ridge in RIDGES
        ]

    def best(self, k: int) -> list[Found]:
        """All of so many dimensions, the best first."""
        found = [_judged(self._search, self._basis @ np.linalg.qr(each[:, :k])[0], FORMS) for each in self._ordered]
        return sorted(found, key=lambda each: each.rank)


def _judged(search: Search, columns: Columns, how: str, **more: Any) -> Found:
    changed = search.swaps.changed(columns)
    accuracy = float(search.going.right_from(search.swaps, changed).mean())
    return Found(columns, accuracy, search.going.error(search.swaps, changed), how, **more)


def _best(search: Search, basis: Columns, forms: _Forms, k: int) -> Found:
    """The best of closed forms and of descents."""
    known = forms.best(k)
    best = known[0]
    if best.accuracy >= 1 or not search.n_steps:
        return best
    rng = np.random.default_rng([search.seed, 0xD0, k])
    starts = [basis.T @ each.columns for each in known[:BEST_FORMS]]
    starts += [np.linalg.qr(rng.standard_normal((basis.shape[1], k)))[0] for _ in range(search.n_restarts)]
    for start in starts:
        found = _descend(search, basis, start)
        best = min(best, found, key=lambda each: each.rank)
        if best.accuracy >= 1:
            break
    return best


def _polished(search: Search, basis: Columns, found: Found) -> Found:
    """A closed form after a descent from there: of several subspaces that do, one after whose swap outputs are closer
    to what is wanted."""
    if found.how == DESCENT or not search.n_steps or found.loss <= NOTHING_LEFT:
        return found
    return min(found, _descend(search, basis, basis.T @ found.columns), key=lambda each: each.rank)


def _descend(
    search: Search, basis: Float[np.ndarray, "unit axis"], start: Float[np.ndarray, "axis direction"]
) -> Found:
    """Gradient descent over subspaces, with step lengths of Barzilai and Borwein (IMA J. Numer. Anal. 8, 1988)."""
    difference = (search.swaps.source - search.swaps.base) @ basis

    def evaluate(at: np.ndarray) -> tuple[float, np.ndarray]:
        loss = search.going.loss(search.swaps, search.swaps.base + difference @ at @ at.T @ basis.T)
        pull = loss.gradient @ basis
        # Of the loss in the projection P = at at^T, d loss = sum over pairs of gradient^T dP difference.
        slope = difference.T @ (pull @ at) + pull.T @ (difference @ at)
        return loss.value, slope - at @ (at.T @ slope)

    at, step, settled, n = start, 0.0, False, 0
    value, slope = evaluate(at)
    for n in range(1, search.n_steps + 1):  # noqa: B007 - read below
        square = float((slope**2).sum())
        if not np.isfinite(square) or square <= FLAT**2:
            settled = bool(square <= FLAT**2)
            break
        step = step or 0.1 / np.sqrt(square)  # the first turns by a tenth of a radian
        for _ in range(HALVINGS):
            new = _orthonormal(at - step * slope)
            new_value, new_slope = evaluate(new)
            if new_value <= value - DECREASE * step * square:
                break
            step /= 2
        else:
            settled = True
            break
        moved, turned = new - at, new_slope - slope
        curved = float((moved * turned).sum())
        step = float((moved**2).sum()) / curved if curved > 0 else 2 * step
        gain, at, value, slope = value - new_value, new, new_value, new_slope
        if gain <= SMALLEST * max(value, 1e-300):
            settled = True
            break
    return _judged(search, basis @ at, DESCENT, n_steps=n, settled=settled)


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    q, r = np.linalg.qr(columns)
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
