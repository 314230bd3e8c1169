"""Which machine do the centroids of a state-regularised network make, read off directly?

After every step such a network (`cells.StateRegularized`) names the centroid that it chose. Words are read, the moves
(centroid, symbol, next centroid) counted, each move goes to its majority, each centroid shows the majority of what the
network shows there, and the machine is minimised (Wang, Lawrence & Niepert, "State-Regularized Recurrent Neural
Networks to Extract Automata and Explain Predictions", IEEE TPAMI 2023). Nothing is clustered and nothing fitted.
"""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike

from rnnscope import results
from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.cells.state_regularized import StateRegularizedCell, StateRegularizedDynamics
from rnnscope.network import Network
from rnnscope.runs import Run
from rnnscope.tasks import Task
from rnnscope.tasks.machine import Machine, grouped_edges, minimal_form

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

FAITHFUL = 0.9  # below this agreement the summary warns


@dataclass(frozen=True)
class CentroidMachine:
    """The machine that the centroids make.

    Attributes:
        transitions: the state after each symbol.
        outputs: what each state shows, per head.
        initial: the state before the first symbol.
        centroid_states: the state that each centroid became; -1 for one that is not used.
        centroid_visits: share of the steps at which each centroid was chosen.
        sharpness: mean weight of the chosen centroid; 1 where the network's state is a centroid, and the machine
            what it computes.
        determinism: share of the counted moves that agree with the majority.
        agreement: share of held-out words after each prefix of which machine and network show the same.
        agreement_error: its standard error.
        n_words, length, seed: the settings; `length` is that of the longest word.
    """

    transitions: Int64[np.ndarray, "state symbol"]
    outputs: Int64[np.ndarray, "state head"]
    initial: int
    centroid_states: Int64[np.ndarray, " centroid"]
    centroid_visits: Float[np.ndarray, " centroid"]
    sharpness: float
    determinism: float
    agreement: float
    agreement_error: float
    n_words: int
    length: int
    seed: int

    @property
    def n_states(self) -> int:
        return len(self.transitions)

    def machine(self) -> Machine:
        """The Moore machine, to run, compare or export."""
        return Machine(self.transitions, self.outputs, self.initial)

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """The machine as circles, with their outputs, and arrows, with the symbols read."""
        from rnnscope.analyses.automata.machine_figure import Edge, Node, _draw

        shows, colours = np.unique(self.outputs, axis=0, return_inverse=True)
        texts = [",".join(map(str, row)) for row in self.outputs.tolist()]
        nodes = [
            Node(text, int(colour), f"state {i}, centroids {np.flatnonzero(self.centroid_states == i).tolist()}")
            for i, (text, colour) in enumerate(zip(texts, colours.reshape(-1), strict=True))
        ]
        edges = [Edge(a, b, ", ".join(map(str, read))) for (a, b), read in grouped_edges(self.transitions).items()]
        title = f"{self.n_states} states from {int((self.centroid_states >= 0).sum())} centroids"
        return _draw(nodes, edges, self.initial, title, [f"output {','.join(map(str, row))}" for row in shows.tolist()])

    def summary(self) -> str:
        used = int((self.centroid_states >= 0).sum())
        faithful = "" if self.agreement >= FAITHFUL else "NOT faithful, the network keeps more than its centroids say: "
        return (
            f"{faithful}{self.n_states} states from {used} of {len(self.centroid_states)} centroids; on "
            f"{self.agreement:.2%} ± {self.agreement_error:.2%} of {self.n_words} held-out words of up to "
            f"{self.length} symbols machine and network agree after every prefix; the chosen centroid weighs "
            f"{self.sharpness:.3f}, and {self.determinism:.2%} of the moves go with their majority"
        )


def machine_of_centroids(
    system: Any,
    *,
    task: Task | None = None,
    alphabet: ArrayLike | None = None,
    n_words: int = 500,
    length: int = 40,
    trust_start: bool | None = None,
    seed: int = 0,
) -> CentroidMachine:
    """The machine that the centroids of a state-regularised network make.

    Args:
        system: a Run or Network of `cells.StateRegularized`.
        task: where words come from (its trials) and what outputs mean; the Run's own if None. Without one, words are
            uniform, and the output is the largest logit, or whether a single one is positive.
        alphabet: the input vector of each symbol; the task's if None, without a task one-hot vectors.
        n_words: words to count in, and as many to compare on.
        length: symbols in a word; not used where a task draws them.
        trust_start: whether what the network shows before the first symbol counts; where not, the start shows what
            makes the machine smallest. None: where trials ask for it, which those with an `opening` do.
        seed: of the words.

    Raises:
        NotApplicable: the network has no centroids.
        ValueError: a setting is impossible, or trials hold inputs outside the alphabet.
    """
    for name, value in (("n_words", n_words), ("length", length)):
        if value < 2:
            raise ValueError(f"{name} must be at least 2, got {value}")
    network = system.network() if isinstance(system, Run) else system
    if not isinstance(network, Network) or not isinstance(network.cell, StateRegularizedCell):
        raise NotApplicable(
            "only a Run or Network of cells.StateRegularized has centroids to read a machine from; extract_automaton "
            "takes any network"
        )
    task = getattr(system, "task", None) if task is None else task
    network = copy.deepcopy(network).double().requires_grad_(False)
    vectors = _vectors(alphabet, task, network.input_size)
    rng = np.random.default_rng([seed, 0xA2])

    words, lengths = _words(task, vectors, n_words, length, rng)
    seen = _read(network, words, vectors, task, rng)
    n_centroids = network.cell.dynamics().centroids.shape[0]  # type: ignore[attr-defined]
    within = np.arange(words.shape[1]) < lengths[:, None]
    before = np.column_stack([np.full(n_words, n_centroids), seen.chosen[:, :-1]])  # the start is a state of its own
    counts = np.zeros((n_centroids + 1, len(vectors), n_centroids + 1))
    np.add.at(counts, (before[within], words[within], seen.chosen[within]), 1)
    # A move that never happens leads nowhere.
    nowhere = np.arange(n_centroids + 1)[:, None]
    transitions = np.where(counts.sum(2) > 0, counts.argmax(2), nowhere).astype(np.int64)
    asked = len(_opening(task)) > 0 if trust_start is None else trust_start
    nodes = Machine(transitions, _majorities(seen, within, n_centroids), n_centroids)
    machine, state = minimal_form(nodes, empty_word=asked)

    fresh, fresh_lengths = _words(task, vectors, n_words, length, rng)
    wanted = _read(network, fresh, vectors, task, rng).shown[:, 1:]
    beyond = np.arange(fresh.shape[1]) >= fresh_lengths[:, None]
    right = ((machine.show(fresh) == wanted).all(-1) | beyond).all(1)
    return CentroidMachine(
        transitions=machine.transitions,
        outputs=machine.outputs,
        initial=machine.initial,
        centroid_states=state[:n_centroids],
        centroid_visits=np.bincount(seen.chosen[within], minlength=n_centroids) / within.sum(),
        sharpness=float(seen.weight[within].mean()),
        determinism=float(counts.max(2).sum() / counts.sum()),
        agreement=float(right.mean()),
        agreement_error=float(right.std(ddof=1) / np.sqrt(n_words)),
        n_words=n_words,
        length=int(fresh.shape[1]),
        seed=seed,
    )


@dataclass(frozen=True)
class _Seen:
    """What happened as words were read; `shown` begins with the empty prefix."""

    chosen: Int64[np.ndarray, "word time"]
    weight: Float[np.ndarray, "word time"]
    shown: Int64[np.ndarray, "word prefix head"]


def _vectors(alphabet: ArrayLike | None, task: Task | None, input_size: int) -> Float[np.ndarray, "symbol input"]:
    if alphabet is None and task is not None:
        alphabet = task.alphabet
    vectors = np.eye(input_size) if alphabet is None else np.asarray(alphabet, np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != input_size or not len(vectors):
        raise ValueError(f"alphabet must have shape (symbol, {input_size}), got {vectors.shape}")
    return vectors


def _words(
    task: Task | None, vectors: Float[np.ndarray, "symbol input"], n_words: int, length: int, rng: np.random.Generator
) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"]]:
    if task is None:
        return rng.integers(len(vectors), size=(n_words, length)), np.full(n_words, length)
    trials = task.sample(n_words, rng)
    n_opening = len(_opening(task))
    distance = np.abs(trials.inputs[:, n_opening:, None] - vectors).max(-1)
    is_symbol = distance.min(-1) < 1e-6
    lengths = np.where(trials.mask, np.arange(1, trials.mask.shape[1] + 1), 0).max(1) - n_opening
    if not (is_symbol | (np.arange(is_symbol.shape[1]) >= lengths[:, None])).all():
        raise ValueError("trials of the task hold inputs that are no symbols of the alphabet: give alphabet=")
    return distance.argmin(-1), lengths


def _opening(task: Task | None) -> Float[np.ndarray, "time input"]:
    """What trials show before the first symbol."""
    return np.asarray(getattr(task, "opening", np.empty((0, 1))), np.float64)


def _read(
    network: Network,
    words: Int64[np.ndarray, "word time"],
    vectors: Float[np.ndarray, "symbol input"],
    task: Task | None,
    rng: np.random.Generator,
) -> _Seen:
    cell: Any = network.cell
    dynamics: StateRegularizedDynamics = cell.dynamics()
    state = cell.initial_state(len(words), torch.Generator().manual_seed(int(rng.integers(2**62))))
    for vector in _opening(task):
        state = dynamics.assign(state, torch.from_numpy(np.tile(vector, (len(words), 1)))) @ dynamics.centroids
    chosen, weight, shown = [], [], [network.read(state).numpy()]
    for t in range(words.shape[1]):
        assigned = dynamics.assign(state, torch.from_numpy(vectors[words[:, t]]))
        best = assigned.max(-1)
        chosen.append(best.indices.numpy())
        weight.append(best.values.numpy())
        state = assigned @ dynamics.centroids
        shown.append(network.read(state).numpy())
    outputs = np.stack(shown, 1)
    if task is not None:
        labels = np.asarray(task.labels(outputs))
    else:
        labels = outputs > 0 if outputs.shape[-1] == 1 else outputs.argmax(-1)[..., None]
    return _Seen(np.stack(chosen, 1), np.stack(weight, 1), labels.reshape(*outputs.shape[:2], -1).astype(np.int64))


def _majorities(seen: _Seen, within: np.ndarray, n_centroids: int) -> Int64[np.ndarray, "node head"]:
    """What the network mostly shows at each centroid, and, last, before the first symbol."""
    everything = np.concatenate([seen.shown[:, 0], seen.shown[:, 1:][within]])
    node = np.concatenate([np.full(len(within), n_centroids), seen.chosen[within]])
    kinds, kind = np.unique(everything, axis=0, return_inverse=True)
    votes = np.zeros((n_centroids + 1, len(kinds)))
    np.add.at(votes, (node, kind.reshape(-1)), 1)
    return kinds[votes.argmax(1)]
