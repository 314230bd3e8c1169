"""Which probabilistic machine does a network implement that turns noise into symbols?

Visited states are clustered finely, transitions between clusters are counted, and clusters with the same future are
merged, two by two, down to one. "The same future": the expected distributions of the symbol now and 1, 2, 4 and 8
steps ahead, under the counted transitions. Each state has to win a share of the likelihood: of all numbers of states
the one is kept that is most likely on held-out sequences, per symbol, less `SHARE` for each state of what memory wins
at all, which is the likelihood of the best chain less that of a single state. A share does not depend on how much
was sampled. A criterion that does (Schwarz's: half the log of the number of symbols for each free probability) finds
more states the longer one looks, because no trained network is exactly a finite chain.
"""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Integer

from rnnscope.maps import CompleteMap
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import HMM, Task, sample_symbols

CANDIDATES = (8, 16, 24, 32)
SHARE = 0.02  # of chains of 2 to 5 states, open, closed and cyclic, each state wins 2.5 % or more
MAX_STATES = 12  # up to here every number of states is tried
DOUBLINGS = 3  # futures are compared up to 2^3 steps ahead
MAX_POINTS = 5000


class Emitted(NamedTuple):
    """States after a transient, the distribution of the symbol at each, and symbols drawn from it."""

    states: Float[np.ndarray, "sequence time unit"]
    probabilities: Float[np.ndarray, "sequence time emitted"]
    symbols: Int64[np.ndarray, "sequence time"]


class Chain(NamedTuple):
    """Joint probability of a state and the next, and the emissions of each state."""

    flow: Float[np.ndarray, "state next_state"]
    emission: Float[np.ndarray, "state emitted"]

    @property
    def occupancy(self) -> Float[np.ndarray, " state"]:
        return self.flow.sum(1)

    @property
    def transitions(self) -> Float[np.ndarray, "state next_state"]:
        return self.flow / self.flow.sum(1, keepdims=True)

    def hmm(self) -> HMM:
        """The same as a hidden Markov model that starts anywhere, as often as the network is there."""
        return HMM(self.transitions, self.emission / self.emission.sum(1, keepdims=True), self.occupancy)  # type: ignore[arg-type]


class Found(NamedTuple):
    """A chain, the best of each number of states, and the sizes and likelihoods that they were chosen from."""

    chain: Chain
    front: list[Chain]
    tried_clusters: list[int]
    tried_states: list[int]
    tried_log_likelihood: list[float]


def emit(state_map: CompleteMap, task: Task, n: int, length: int, transient: int, rng: np.random.Generator) -> Emitted:
    """Run the network on the task's noise, trials laid end to end because the noise has no memory.

    Raises:
        NotApplicable: the states diverge.
    """
    trial_length = task.sample(1, rng).inputs.shape[1]
    n_trials = -(-(transient + length) // trial_length)
    noise = task.sample(n * n_trials, rng).inputs.reshape(n, n_trials * trial_length, -1)
    state = state_map.initial_states(n, rng)
    states = []
    for t in range(transient + length):
        state = state_map.step(state, noise[:, t].astype(np.float64))
        if not np.isfinite(state).all():
            raise NotApplicable(
                f"the network's states diverge at step {t} of noise: train it further, or choose another checkpoint"
            )
        if t >= transient:
            states.append(state)
    visited = np.stack(states, 1)
    logits = state_map.readout(visited)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return Emitted(visited, weights / weights.sum(-1, keepdims=True), sample_symbols(logits, rng))


def find_chain(fitted: Emitted, checked: Emitted, candidates: Sequence[int], rng: np.random.Generator) -> Found:
    """The chain that makes the best bargain of states and likelihood of the checked sequences, among all merged from
    any of the candidate numbers of clusters."""
    tried: list[_Tried] = []
    for n_wanted in sorted(set(candidates)):
        cluster, n_clusters = _clusters(fitted, n_wanted, rng)
        chain = _count(fitted, cluster, n_clusters)
        while True:
            n_states = len(chain.flow)
            if n_states <= MAX_STATES or n_states == n_clusters:
                likelihood = log_likelihood(chain.hmm(), checked.symbols)[0]
                tried.append(_Tried(chain, n_clusters, likelihood))
            if n_states == 1:
                break
            chain = _merge_nearest(chain)
    each = [t.log_likelihood for t in tried]
    # One state is always tried. A chain that cannot emit what was checked has likelihood 0 and cannot be the best.
    alone = max(t.log_likelihood for t in tried if len(t.chain.flow) == 1)
    price = SHARE * max(max(each) - alone, 0.0) if np.isfinite(alone) else 0.0
    # Where no state wins anything, the single one is as good as all.
    best = max(tried, key=lambda t: (t.log_likelihood - price * len(t.chain.flow), -len(t.chain.flow)))
    sizes = [len(t.chain.flow) for t in tried]
    front = [max(group, key=lambda t: t.log_likelihood).chain for group in _by_size(tried)]
    return Found(best.chain, front, [t.n_clusters for t in tried], sizes, [t.log_likelihood for t in tried])


class _Tried(NamedTuple):
    chain: Chain
    n_clusters: int
    log_likelihood: float


def _by_size(tried: list[_Tried]) -> list[list[_Tried]]:
    sizes = sorted({len(t.chain.flow) for t in tried})
    return [[t for t in tried if len(t.chain.flow) == size] for size in sizes]


def log_likelihood(hmm: HMM, symbols: Integer[np.ndarray, "sequence time"]) -> tuple[float, float]:
    """Nats per symbol under the model, and the standard error over sequences."""
    each = hmm.log_likelihood(symbols) / symbols.shape[1]
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def match(chain: Chain, truth: HMM) -> tuple[tuple[int, ...], float, float] | None:
    """The state of the model that each state of the chain is, with the mean absolute errors of its transition and
    emission probabilities, rows weighted by occupancy; None where the numbers of states or symbols differ, or are
    too many (> 7) to try all orders."""
    n_states = len(chain.flow)
    wanted_t, wanted_e = truth.transition_matrix, truth.emission_matrix
    if n_states != truth.n_states or chain.emission.shape != wanted_e.shape or n_states > 7:
        return None
    found = []
    for order in permutations(range(n_states)):
        rows = list(order)
        transition = chain.occupancy @ np.abs(chain.transitions - wanted_t[np.ix_(rows, rows)]).mean(1)
        emission = chain.occupancy @ np.abs(chain.emission - wanted_e[rows]).mean(1)
        found.append((float(transition + emission), order, float(transition), float(emission)))
    _, order, transition, emission = min(found)
    return order, transition, emission


def _clusters(fitted: Emitted, n_clusters: int, rng: np.random.Generator) -> tuple[Int64[np.ndarray, " point"], int]:
    """k-means on states and square roots of emission probabilities, both scaled to the same total variance."""
    from sklearn.cluster import KMeans

    parts = [fitted.states, np.sqrt(fitted.probabilities)]
    flat = [p.reshape(-1, p.shape[-1]) for p in parts]
    features = np.concatenate([p / (np.sqrt(p.var(0).sum()) or 1.0) for p in flat], 1)
    some = features[rng.choice(len(features), min(len(features), MAX_POINTS), replace=False)]
    means = KMeans(
        min(n_clusters, len(np.unique(some.round(9), axis=0))), n_init="auto", random_state=int(rng.integers(2**31))
    )
    found = means.fit(some).predict(features)
    used, cluster = np.unique(found, return_inverse=True)
    return cluster.reshape(-1).astype(np.int64), len(used)


def _count(fitted: Emitted, cluster: Int64[np.ndarray, " point"], n_clusters: int) -> Chain:
    path = cluster.reshape(fitted.symbols.shape)
    pairs = path[:, :-1] * n_clusters + path[:, 1:]
    counts = np.bincount(pairs.ravel(), minlength=n_clusters**2).reshape(n_clusters, n_clusters).astype(np.float64)
    # A cluster seen at the last step alone has no successor: let it stay, with the weight of one visit.
    alone = counts.sum(1) == 0
    counts[alone, alone] = 1.0
    probabilities = fitted.probabilities.reshape(len(cluster), -1)
    sums = np.zeros((n_clusters, probabilities.shape[1]))
    np.add.at(sums, cluster, probabilities)
    return Chain(counts / counts.sum(), sums / np.bincount(cluster, minlength=n_clusters)[:, None])


def _merge_nearest(chain: Chain) -> Chain:
    """Make one of the two states whose union loses least: squared Hellinger distance of their futures, times
    w1 w2 / (w1 + w2) with their occupancies w (Ward's rule)."""
    ahead, future = chain.transitions, [chain.emission]
    for _ in range(DOUBLINGS + 1):
        future.append(ahead @ chain.emission)
        ahead = ahead @ ahead
    signature = np.sqrt(np.concatenate(future, 1))
    distance = ((signature[:, None] - signature[None]) ** 2).sum(-1)
    weight = chain.occupancy
    cost = distance * (weight[:, None] * weight) / (weight[:, None] + weight)
    np.fill_diagonal(cost, np.inf)
    a, b = sorted(int(i) for i in np.unravel_index(cost.argmin(), cost.shape))
    new = np.arange(len(weight))
    new[b] = a
    new[new > b] -= 1
    join = np.zeros((len(weight), len(weight) - 1))
    join[np.arange(len(weight)), new] = 1
    merged_weight = join.T @ weight
    emission = (join.T @ (weight[:, None] * chain.emission)) / merged_weight[:, None]
    return Chain(join.T @ chain.flow @ join, emission)
