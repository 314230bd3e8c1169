"""Machines from the states of a network: cluster them by what they lead to, take majorities, minimise.

States visited while reading words are clustered by their futures, the outputs now and after every short word, and a
little by where they lie: two states are alike when they behave alike, however far apart they lie, and where the futures
looked at are too short to tell, the place does. Or the network has clusters of its own (`quantisers`). Every cluster
goes, under each symbol, where most of its states go.
What is too fine is merged again by minimisation, which knows behaviour only.

Clustering the states of a network into the states of an automaton goes back to Giles et al., "Learning and extracting
finite state automata with second-order recurrent neural networks" (Neural Computation 1992), majority transitions to
Wang, Lawrence and Niepert, "State-regularized recurrent neural networks to extract automata and explain predictions".
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.deciding.quantisers import Clusterer, Quantiser
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import TaskWords, mixed_words
from rnnscope.numerics import linalg
from rnnscope.tasks.machine import Machine, minimal_form

MAX_POINTS = 3000  # distinct states that are clustered
GRID = 0.01  # states closer than this, in standard deviations of a unit, count as one
MAX_FUTURES = 24  # words whose outputs tell states apart
DISCOUNT = 0.8  # of a future's weight, for each symbol
PLACE = 0.1  # the weight of where a state lies, beside that of all futures
TIE = 1e-7  # noise that decides between centres which are equally near, as part of the spread of what is clustered
ITERATIONS = 5  # of k-means; more do not make better machines


# The cluster of each point; that of where each symbol leads from there, -1 for none that was visited; the first one.
_Clustering = tuple[Int64[np.ndarray, " point"], list[Int64[np.ndarray, " point"]], int]


class StateCloud:
    """Distinct visited states, how often each was visited, and their futures; the machines that they give."""

    def __init__(
        self,
        reader: Reader,
        n_words: int,
        length: int,
        rng: np.random.Generator,
        also: list[tuple[int, ...]] | None = None,
        quantiser: Quantiser | None = None,
        of_task: TaskWords | None = None,
    ) -> None:
        """`also`: words whose states have to be among those clustered, counterexamples for instance. `of_task` draws
        words of the network's task, which are every second of the others."""
        words = mixed_words(n_words, length, reader.n_symbols, rng, of_task)
        for row, word in enumerate((also or [])[: n_words // 2]):
            words[row, : len(word)] = word[:length]
        states = reader.visit(reader.alphabet[words], rng)
        n_units = states.shape[-1]
        flat = states.reshape(-1, n_units)
        # Near-copies (a network that sits in a sink) would swamp the clustering: they count as visits of one point.
        grid = np.round(flat / (GRID * (np.sqrt(flat.var(0).mean()) or 1.0))).astype(np.int64)
        key = grid @ rng.integers(1, 2**40, n_units)  # wraps around; rows with equal keys are almost surely equal
        label = np.zeros(states.shape[:2], np.int64)
        if quantiser is not None:  # the start, 0, is a cluster of its own
            inputs = reader.alphabet[words].reshape(-1, reader.alphabet.shape[1])
            label[:, 1:] = 1 + quantiser(states[:, :-1].reshape(-1, n_units), inputs).reshape(words.shape)
            key += label.ravel() * int(rng.integers(1, 2**40))
        _, first, visits = np.unique(key, return_index=True, return_counts=True)
        if len(first) > MAX_POINTS:
            # By visits: the states after the first symbols are few, but every word goes through them.
            kept = rng.choice(len(first), MAX_POINTS, replace=False, p=visits / visits.sum())
            kept = np.union1d(kept, np.flatnonzero(first == 0))  # the start
            first, visits = first[kept], visits[kept]
        self._reader, self._visits, self._points = reader, visits, flat[first]
        self._shown = reader.show(self._points)
        self._quantiser, self._label = quantiser, label.ravel()[first]
        if quantiser is not None:
            return
        self._scale = np.abs(reader.map.readout(self._points)).mean(0) + 1e-12
        self._depth = 0
        while sum(reader.n_symbols**level for level in range(self._depth + 2)) <= MAX_FUTURES:
            self._depth += 1
        futures = self._futures(self._points)
        spread = np.sqrt(self._points.var(0).sum()) or 1.0
        self._place = self._points.mean(0), PLACE * (np.sqrt(futures.var(0).sum()) or 1.0) / spread
        self._features = self._with_place(futures, self._points)
        # States that are as near to one centre as to another are common where states are ±1: rounding must not decide.
        jitter = np.random.default_rng(0).standard_normal(self._features.shape)
        self._features += TIE * np.sqrt(self._features.var(0).sum()) * jitter
        self._ahead = [self._described(block) for block in reader.step_each(self._points)]
        self._start = self._described(states[:1, 0])

    def __len__(self) -> int:
        return len(self._points)

    def machine(self, n_clusters: int, clusterer: Clusterer, rng: np.random.Generator) -> tuple[Machine, int]:
        """The minimal machine of so many clusters, or of the network's own, and how many there were."""
        n_clusters = min(n_clusters, len(self))
        if self._quantiser is not None:
            cluster, ahead, start = self._told(self._quantiser)
            n_clusters = int(cluster.max()) + 1
        else:
            cluster, ahead, start = self._fitted(n_clusters, clusterer, rng)
        n = int(cluster.max()) + 1
        transitions = np.empty((n, self._reader.n_symbols), np.int64)
        for symbol, following in enumerate(ahead):
            seen = following >= 0
            votes = np.bincount((cluster * n + following)[seen], self._visits[seen], n * n).reshape(n, n)
            # A cluster that only leads out of what was visited stays where it is.
            transitions[:, symbol] = np.where(votes.any(1), votes.argmax(1), np.arange(n))
        rows, kind = np.unique(self._shown, axis=0, return_inverse=True)
        votes = np.bincount(cluster * len(rows) + kind.reshape(-1), self._visits, n * len(rows))
        outputs = rows[votes.reshape(n, len(rows)).argmax(1)]
        return minimal_form(Machine(transitions, outputs, start))[0], n_clusters

    def _told(self, quantiser: Quantiser) -> _Clustering:
        known, cluster = np.unique(self._label, return_inverse=True)
        ahead = []
        for vector in self._reader.alphabet:
            label = 1 + quantiser(self._points, np.tile(vector, (len(self), 1)))
            place = np.minimum(np.searchsorted(known, label), len(known) - 1)
            ahead.append(np.where(known[place] == label, place, -1))
        return cluster, ahead, 0

    def _fitted(self, n_clusters: int, clusterer: Clusterer, rng: np.random.Generator) -> _Clustering:
        if n_clusters == len(self):
            cluster, nearest = np.arange(len(self)), _nearest_of(self._features)
        else:
            with linalg.one_thread():
                model = _clusters(clusterer, n_clusters, int(rng.integers(2**31))).fit(self._features)
                cluster = model.predict(self._features)
            used, cluster = np.unique(cluster, return_inverse=True)
            if clusterer == "k-means":
                nearest = _nearest_of(model.cluster_centers_[used])
            else:
                place = np.full(n_clusters, 0)
                place[used] = np.arange(len(used))
                nearest = lambda features: place[model.predict(features)]  # noqa: E731
        return cluster, [nearest(ahead) for ahead in self._ahead], int(nearest(self._start)[0])

    def _described(self, points: Float[np.ndarray, "point unit"]) -> Float[np.ndarray, "point feature"]:
        return self._with_place(self._futures(points), points)

    def _with_place(self, futures: np.ndarray, points: np.ndarray) -> np.ndarray:
        middle, weight = self._place
        return np.column_stack([futures, (points - middle) * weight])

    def _futures(self, points: Float[np.ndarray, "point unit"]) -> Float[np.ndarray, "point feature"]:
        """The outputs now and after every word of up to `depth` symbols, squashed so that what is decided counts
        and not by how much, side by side."""
        columns, reached = [], points
        for level in range(self._depth + 1):
            outputs = np.tanh(self._reader.map.readout(reached) / self._scale) * DISCOUNT**level
            columns.append(outputs.reshape(-1, len(points), outputs.shape[-1]).swapaxes(0, 1).reshape(len(points), -1))
            if level < self._depth:
                reached = self._reader.step_all(reached)
        return np.concatenate(columns, 1)


def _clusters(clusterer: Clusterer, n_clusters: int, seed: int) -> Any:
    if clusterer == "mixture":
        from sklearn.mixture import GaussianMixture

        return GaussianMixture(
            n_clusters, covariance_type="diag", max_iter=ITERATIONS, random_state=seed, tol=1e-1, reg_covar=1e-4
        )
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=1, max_iter=ITERATIONS, random_state=seed)  # type: ignore[arg-type]


def _nearest_of(centres: Float[np.ndarray, "cluster feature"]) -> Any:
    squares = (centres**2).sum(1)

    def nearest(features: Float[np.ndarray, "point feature"]) -> Int64[np.ndarray, " point"]:
        return (squares - 2 * features @ centres.T).argmin(1)

    return nearest
