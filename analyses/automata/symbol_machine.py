"""Which finite machine does a network implement that reads symbols? Cluster its states, take majorities, minimise.

States visited under random words are clustered, and a cluster is cut where its states show different outputs after
the same few symbols. Every cell then goes, under each symbol, where most of its states go. What is too fine is merged
again by minimisation, which knows behaviour and not distance. How many clusters are enough is decided on other words.

Clustering the states of a network into the states of an automaton goes back to Giles et al., "Learning and
extracting finite state automata with second-order recurrent neural networks" (Neural Computation 1992), majority
transitions to Wang, Lawrence and Niepert, "State-regularized recurrent neural networks to extract automata and
explain predictions".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64, Integer, Num

from rnnscope.tasks.machine import Machine, minimal_form
from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import StateMap
from rnnscope.tasks import Task

DISTRIBUTIONS = ("uniform", "structured")
CANDIDATES = (1, 8, 32, 64, 128)
CONFIDENCE = 0.95
MAX_POINTS = 3000  # distinct states that are clustered
GRID = 0.01  # states closer than this, in standard deviations of a unit, count as one
MAX_FUTURES = 16  # short words whose outputs tell states apart
LEAST_SHARE = 1e-3  # of all visits; what is rarer counts as the network's error
LONGEST_PATTERN = 6


@dataclass(frozen=True)
class Reader:
    """A network that reads words of symbols and shows discrete outputs.

    Attributes:
        map: the network.
        alphabet: the input of each symbol.
        labels: outputs (..., output) -> decisions (..., head).
    """

    map: StateMap
    alphabet: Float[np.ndarray, "symbol input"]
    labels: Callable[[np.ndarray], np.ndarray]

    def show(self, states: Float[np.ndarray, "*batch unit"]) -> Int64[np.ndarray, "*batch head"]:
        """The decisions of states.

        Raises:
            NotApplicable: the states have diverged.
            ValueError: the decisions are no whole numbers.
        """
        if not np.isfinite(states).all():
            raise NotApplicable(
                "the network's states diverge while it reads words: train it further, or shorten `length`"
            )
        outputs = self.map.readout(states)
        found = np.asarray(self.labels(outputs))
        if found.dtype != bool and not np.issubdtype(found.dtype, np.integer):
            raise ValueError(f"labels must return whole numbers (a decision for each head), got {found.dtype}")
        found = found.reshape(*states.shape[:-1], -1)
        return found.astype(np.int64)

    def prefixes(
        self, inputs: Num[np.ndarray, "word time input"], rng: np.random.Generator
    ) -> Iterator[Float[np.ndarray, "word unit"]]:
        """The states after every prefix, the empty one first."""
        state = self.map.initial_states(len(inputs), rng)
        yield state
        for t in range(inputs.shape[1]):
            state = self.map.step(state, np.asarray(inputs[:, t], np.float64))
            yield state

    def decide(
        self, inputs: Num[np.ndarray, "word time input"], rng: np.random.Generator
    ) -> Int64[np.ndarray, "word prefix head"]:
        """The decisions after every prefix, the empty one first; no states are kept."""
        return np.stack([self.show(state) for state in self.prefixes(inputs, rng)], 1)


class Found(NamedTuple):
    """A machine, where its states lie, and what was tried on the way to it."""

    machine: Machine
    centres: Float[np.ndarray, "state unit"]
    tried_clusters: list[int]
    tried_states: list[int]
    tried_fidelity: list[float]


def draw_words(
    n_words: int, length: int, n_symbols: int, distribution: str, rng: np.random.Generator
) -> Int64[np.ndarray, "word time"]:
    """Random words. "uniform": every symbol equally likely, independent. "structured": half of them with symbol
    frequencies of their own, from a Dirichlet distribution that favours few symbols, half repetitions of a short
    pattern, every second of these with one symbol changed. Uniform words alone rarely stay within a sparse language:
    of length 40, one in 10^12 is all ones."""
    words = rng.integers(n_symbols, size=(n_words, length))
    if distribution == "uniform" or n_symbols == 1:
        return words
    half = n_words // 2
    frequencies = rng.dirichlet(np.full(n_symbols, 0.3), half).cumsum(1)
    words[:half] = np.minimum((rng.random((half, length, 1)) > frequencies[:, None]).sum(-1), n_symbols - 1)
    pattern = rng.integers(n_symbols, size=(n_words - half, LONGEST_PATTERN))
    period = rng.integers(1, LONGEST_PATTERN + 1, n_words - half)
    words[half:] = np.take_along_axis(pattern, np.arange(length) % period[:, None], 1)
    changed = np.arange(half, n_words, 2)
    words[changed, rng.integers(length, size=len(changed))] = rng.integers(n_symbols, size=len(changed))
    return words


def find_machine(
    reader: Reader, candidates: Sequence[int], n_words: int, length: int, rng: np.random.Generator
) -> Found:
    """The smallest machine that is, on other words, as good as the best found.

    Candidates are tried from few clusters to many, until two in a row give the same machine and it agrees with
    the network at every prefix of every validation word. "As good": the mean agreement is within one standard
    error, over words, of the best.
    """
    n_symbols = len(reader.alphabet)
    mixed = [draw_words(n_words // 2 + 1, length, n_symbols, d, rng) for d in DISTRIBUTIONS for _ in range(2)]
    fitted, checked = np.concatenate(mixed[::2]), np.concatenate(mixed[1::2])
    states = np.stack(list(reader.prefixes(reader.alphabet[fitted], rng)), 1)
    wanted = reader.decide(reader.alphabet[checked], rng)
    cloud = _Cloud.of(reader, states, rng)

    machines, centres, agreements, tried = [], [], [], []
    for n_clusters in sorted(set(candidates)):
        machine, where = cloud.machine(n_clusters, rng)
        tried.append(n_clusters)
        machines.append(machine)
        centres.append(where)
        agreements.append(agreement(machine, checked, wanted).mean(1))
        settled = len(machines) > 1 and same(machine, machines[-2]) and agreements[-1].min() == 1
        if settled or n_clusters >= len(cloud.points):
            break
    means = [float(a.mean()) for a in agreements]
    best = int(np.argmax(means))
    slack = agreements[best].std() / np.sqrt(len(checked))
    good = [i for i, mean in enumerate(means) if mean >= means[best] - slack]
    chosen = min(good, key=lambda i: (machines[i].n_states, -means[i], i))
    return Found(machines[chosen], centres[chosen], tried, [m.n_states for m in machines], means)


def agreement(
    machine: Machine, words: Integer[np.ndarray, "word time"], wanted: Integer[np.ndarray, "word prefix head"]
) -> np.ndarray:
    """(word, prefix) where the machine shows what is wanted, in all heads; the empty prefix comes first."""
    visited = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])
    if machine.outputs.shape[1] != wanted.shape[-1]:
        raise ValueError(f"the machine has {machine.outputs.shape[1]} heads, {wanted.shape[-1]} are wanted")
    return (machine.outputs[visited] == wanted).all(-1)


def task_accuracy(
    reader: Reader, task: Task, machine: Machine, n_trials: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Machine and network against the task's targets, at the last step of each trial that counts: the fields of
    `Automaton`. Nothing where the task's trials hold inputs that are no symbols."""
    trials = task.sample(n_trials, rng)
    if task.loss == "sinkhorn":
        return {}
    wanted = trials.targets if task.loss == "cross_entropy" else task.labels(trials.targets)
    steps = np.arange(trials.mask.shape[1])
    end = np.where(trials.mask, steps, -1).max(1)
    is_symbol = np.all(np.abs(trials.inputs[:, :, None] - reader.alphabet) < 1e-6, axis=-1)
    readable = np.all(is_symbol.any(-1) | (steps > end[:, None]), axis=1) & (end >= 0)
    if not readable.any():
        return {}
    each, end = np.arange(int(readable.sum())), end[readable]
    wanted = wanted[readable][each, end]
    words = is_symbol[readable].argmax(-1)  # symbol 0 in the padding, which comes after all that is compared
    shown = reader.decide(trials.inputs[readable], rng)[each, end + 1]
    right = np.all(machine.outputs[machine.run(words)[each, end]] == wanted, axis=-1)
    low, high = binomial_bounds(np.array([right.mean()]), len(each))
    return {
        "machine_accuracy": float(right.mean()),
        "machine_accuracy_low": float(low[0]),
        "machine_accuracy_high": float(high[0]),
        "network_accuracy": float(np.all(shown == wanted, axis=-1).mean()),
        "n_task_trials": len(each),
    }


def binomial_bounds(fractions: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Clopper and Pearson's 95 % bounds of a binomial proportion."""
    from scipy.stats import beta

    hits = np.rint(fractions * n)
    tail = (1 - CONFIDENCE) / 2
    low = np.where(hits > 0, beta.ppf(tail, np.maximum(hits, 1), n - hits + 1), 0.0)
    high = np.where(hits < n, beta.ppf(1 - tail, hits + 1, np.maximum(n - hits, 1)), 1.0)
    return low, high


def same(a: Machine, b: Machine) -> bool:
    """Whether two minimal machines are one and the same; their states are numbered alike."""
    return np.array_equal(a.transitions, b.transitions) and np.array_equal(a.outputs, b.outputs)


class _Behaviour(NamedTuple):
    """What points show: now, and now and after every short word, as a number that equal behaviours share."""

    shown: Int64[np.ndarray, "point head"]
    label: Int64[np.ndarray, " point"]
    signature: Int64[np.ndarray, " point"]


@dataclass(frozen=True)
class _Cloud:
    """Distinct visited states, how often they were visited, where each symbol leads from them, and their behaviour.

    `ahead` is symbol by symbol, one block of points for each.
    """

    points: Float[np.ndarray, "point unit"]
    visits: Int64[np.ndarray, " point"]
    ahead: Float[np.ndarray, "successor unit"]
    starts: Float[np.ndarray, "start unit"]
    at_points: _Behaviour
    at_ahead: _Behaviour
    at_starts: _Behaviour

    @classmethod
    def of(cls, reader: Reader, states: Float[np.ndarray, "word prefix unit"], rng: np.random.Generator) -> "_Cloud":
        n_units, n_symbols = states.shape[-1], len(reader.alphabet)
        flat = states.reshape(-1, n_units)
        # Near-copies (a network that sits in a sink) would swamp the clustering: they count as visits of one point.
        grid = np.round(flat / (GRID * (np.sqrt(flat.var(0).mean()) or 1.0))).astype(np.int64)
        key = grid @ rng.integers(1, 2**40, n_units)  # wraps around; rows with equal keys are almost surely equal
        _, first, visits = np.unique(key, return_index=True, return_counts=True)
        if len(first) > MAX_POINTS:
            # By visits: the states after the first symbols are few, but every word goes through them.
            kept = rng.choice(len(first), MAX_POINTS, replace=False, p=visits / visits.sum())
            first, visits = first[kept], visits[kept]
        points, starts = flat[first], np.unique(states[:, 0], axis=0)[:MAX_POINTS]
        ahead = _step_all(reader, points)
        depth = max(0, int(np.log(MAX_FUTURES) / np.log(max(n_symbols, 2)) + 1e-9) - 1)
        rows = [_futures(reader, where, depth) for where in (points, ahead, starts)]
        everything = np.concatenate(rows)
        n_heads = everything.shape[1] // sum(n_symbols**d for d in range(depth + 1))
        label = np.unique(everything[:, :n_heads], axis=0, return_inverse=True)[1].reshape(-1)
        signature = np.unique(everything, axis=0, return_inverse=True)[1].reshape(-1)
        ends = np.cumsum([len(row) for row in rows])
        at = [_Behaviour(everything[a:b, :n_heads], label[a:b], signature[a:b]) for a, b in pairwise([0, *ends])]
        return cls(points, visits, ahead, starts, *at)

    def machine(self, n_clusters: int, rng: np.random.Generator) -> tuple[Machine, Float[np.ndarray, "state unit"]]:
        """Cluster, take majorities, minimise; with the machine the mean network state of each of its states."""
        from sklearn.cluster import KMeans

        cluster = np.arange(len(self.points))
        if n_clusters < len(self.points):
            means = KMeans(n_clusters, n_init="auto", random_state=int(rng.integers(2**31)))
            cluster = means.fit_predict(self.points)
        # States that behave differently after a few symbols are never one state, however close they lie.
        behaviour = self.at_points
        code = cluster * (behaviour.signature.max() + 1) + behaviour.signature
        _, first, cell = np.unique(code, return_index=True, return_inverse=True)
        cell = cell.reshape(-1)
        centres = _means(self.points, cell, len(first))
        label, signature = behaviour.label[first], behaviour.signature[first]
        # Rare cells are errors of the network; but one of each label stays.
        share = np.bincount(cell, self.visits) / self.visits.sum()
        best = [np.flatnonzero(label == v)[share[label == v].argmax()] for v in np.unique(label)]
        used = np.union1d(np.flatnonzero(share >= LEAST_SHARE), best)
        while len(used) < len(centres):
            centres, label, signature = centres[used], label[used], signature[used]
            cell = _nearest(self.points, behaviour, centres, label, signature)
            used = np.unique(cell)

        n_cells, n_points = len(centres), len(self.points)
        n_symbols = len(self.ahead) // n_points
        target = _nearest(self.ahead, self.at_ahead, centres, label, signature).reshape(n_symbols, n_points)
        transitions = np.empty((n_cells, n_symbols), np.int64)
        for symbol in range(n_symbols):
            votes = np.bincount(cell * n_cells + target[symbol], self.visits, n_cells**2)
            transitions[:, symbol] = votes.reshape(n_cells, n_cells).argmax(1)
        initial = int(np.bincount(_nearest(self.starts, self.at_starts, centres, label, signature)).argmax())
        member = np.unique(cell, return_index=True)[1]
        machine, classes = minimal_form(Machine(transitions, behaviour.shown[member], initial))
        state = classes[cell]
        inside = state >= 0
        return machine, _means(self.points[inside], state[inside], machine.n_states, self.visits[inside])


def _step_all(reader: Reader, points: Float[np.ndarray, "point unit"]) -> Float[np.ndarray, "successor unit"]:
    """Where every symbol leads, one block of points for each symbol."""
    return np.concatenate([reader.map.step(points, np.tile(vector, (len(points), 1))) for vector in reader.alphabet])


def _futures(reader: Reader, points: Float[np.ndarray, "point unit"], depth: int) -> Int64[np.ndarray, "point column"]:
    """What the network shows now and after every word of up to `depth` symbols, side by side."""
    columns, reached = [], points
    for level in range(depth + 1):
        shown = reader.show(reached)
        columns.append(shown.reshape(-1, len(points), shown.shape[-1]).swapaxes(0, 1).reshape(len(points), -1))
        if level < depth:
            reached = _step_all(reader, reached)
    return np.concatenate(columns, 1)


def _means(points: np.ndarray, group: np.ndarray, n_groups: int, weights: np.ndarray | None = None) -> np.ndarray:
    weights = np.ones(len(points)) if weights is None else weights.astype(np.float64)
    sums = np.zeros((n_groups, points.shape[1]))
    np.add.at(sums, group, points * weights[:, None])
    return sums / np.bincount(group, weights, n_groups)[:, None]


def _nearest(
    points: np.ndarray, behaviour: _Behaviour, centres: np.ndarray, label: np.ndarray, signature: np.ndarray
) -> np.ndarray:
    """The nearest centre of the same signature, failing that of the same label, failing that of all."""
    distance = (points**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * points @ centres.T
    penalty = 1.0 + 2.0 * np.abs(distance).max()
    distance += penalty * (behaviour.signature[:, None] != signature)
    return (distance + 2 * penalty * (behaviour.label[:, None] != label)).argmin(1)
