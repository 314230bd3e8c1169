"""Which finite machine does a network implement, and how far is that to be trusted?

Two kinds, told apart by the task. A network that reads symbols and decides becomes a Moore machine
(`symbol_machine`); one that turns noise into symbols becomes a hidden Markov model (`emitter_machine`). Either is
then compared with the network on fresh samples. Agreement on samples is no proof of equivalence, and is never
called one here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int64, Num
from numpy.typing import ArrayLike

from rnnscope import results
from rnnscope.analyses.automata import emitter_machine, symbol_machine
from rnnscope.tasks.machine import Machine
from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import StateMap, as_map
from rnnscope.tasks import HMM, Task

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

FAITHFUL = 0.9  # below this agreement after the last symbol the summary warns
SYMBOL_LENGTH = 40  # where no task tells how long words are
EMITTED_LENGTH = 200


@dataclass(frozen=True)
class Automaton:
    """The machine that a network implements, and how faithful it is. Arrays of the other kind have no columns.

    Attributes:
        kind: "moore" reads symbols and shows outputs, "emitter" moves and emits at random.
        transitions: moore: the state after each symbol.
        outputs: moore: what a state shows, per head.
        transition_probabilities: emitter: of the next state; rows sum to 1.
        emission: emitter: of the symbol; rows sum to 1.
        initial: the state before the first symbol; of an emitter the most visited one, 0.
        occupancy: fraction of the time spent in each state; of a moore machine under the test words, empty
            prefix included.
        state_centres: mean network state in each machine state.
        symbols: names of the symbols read (moore) or emitted (emitter).
        word_distributions: moore: the kinds of test words; see `symbol_machine.draw_words`.
        lengths: test words in symbols; moore: the usual length, twice and four times it.
        fidelity_last: moore: fraction of words after which machine and network show the same, with bounds _low
            and _high.
        fidelity_words: the same for agreement after every prefix of a word, the empty one included.
        fidelity_prefixes: fraction of all prefixes that agree; no bounds, since those of one word depend on each
            other.
        n_test_words: words of each distribution, or emitted sequences.
        machine_accuracy: moore: fraction of the task's own trials on which the machine is right in every head, at the
            last step that counts, with bounds; None where the task has no targets for words.
        network_accuracy: the same of the network.
        n_task_trials: trials behind the two accuracies; those with inputs outside the alphabet are left out.
        log_likelihood: emitter: of held-out sequences that the network emitted, nats per symbol.
        log_likelihood_error: its standard error.
        truth_log_likelihood: of the same sequences under the true model, where the task tells it.
        truth_difference, truth_difference_error: log_likelihood - truth_log_likelihood, and its standard error
            over sequences.
        truth_entropy_rate: of the true model; minus the log likelihood that a perfect copy would reach.
        matching: the state of the true model that each state is (best order); () where their numbers differ.
        transition_error, emission_error: mean absolute errors of the probabilities after matching, rows weighted by
            occupancy.
        tried_clusters, tried_states, tried_fidelity: what was chosen from: number of clusters, states of the
            machine (minimal or merged), fraction of prefixes (moore) or log likelihood per symbol (emitter) on
            validation words.
        n_clusters, n_words, length, seed: the settings.

    All bounds are Clopper and Pearson's for 95 %, and hold for words drawn as the test words were.
    """

    kind: Literal["moore", "emitter"]
    transitions: Int64[np.ndarray, "state symbol"]
    outputs: Int64[np.ndarray, "state head"]
    transition_probabilities: Float[np.ndarray, "state next_state"]
    emission: Float[np.ndarray, "state emitted"]
    initial: int
    occupancy: Float[np.ndarray, " state"]
    state_centres: Float[np.ndarray, "state unit"]
    symbols: tuple[str, ...]
    word_distributions: tuple[str, ...]
    lengths: Int64[np.ndarray, " length"]
    fidelity_last: Float[np.ndarray, "distribution length"]
    fidelity_last_low: Float[np.ndarray, "distribution length"]
    fidelity_last_high: Float[np.ndarray, "distribution length"]
    fidelity_words: Float[np.ndarray, "distribution length"]
    fidelity_words_low: Float[np.ndarray, "distribution length"]
    fidelity_words_high: Float[np.ndarray, "distribution length"]
    fidelity_prefixes: Float[np.ndarray, "distribution length"]
    n_test_words: int
    tried_clusters: Int64[np.ndarray, " tried"]
    tried_states: Int64[np.ndarray, " tried"]
    tried_fidelity: Float[np.ndarray, " tried"]
    n_clusters: tuple[int, ...]
    n_words: int
    length: int
    seed: int
    machine_accuracy: float | None = None
    machine_accuracy_low: float | None = None
    machine_accuracy_high: float | None = None
    network_accuracy: float | None = None
    n_task_trials: int = 0
    log_likelihood: float | None = None
    log_likelihood_error: float | None = None
    truth_log_likelihood: float | None = None
    truth_difference: float | None = None
    truth_difference_error: float | None = None
    truth_entropy_rate: float | None = None
    matching: tuple[int, ...] = ()
    transition_error: float | None = None
    emission_error: float | None = None

    @property
    def n_states(self) -> int:
        return len(self.occupancy)

    def machine(self) -> Machine:
        """The Moore machine, to run, compare or export. Raises ValueError for an emitter."""
        if self.kind != "moore":
            raise ValueError("an emitter reads no symbols: it is no Moore machine; .hmm() gives its probabilities")
        return Machine(self.transitions, self.outputs, self.initial)

    def hmm(self) -> HMM:
        """The emitter as a hidden Markov model that starts as its occupancy says.

        Raises:
            ValueError: this is a Moore machine.
        """
        if self.kind != "emitter":
            raise ValueError("a Moore machine is no hidden Markov model; .machine() gives it")
        return HMM(self.transition_probabilities, self.emission, self.occupancy)  # type: ignore[arg-type]

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """The machine as a graph; of more than 40 states the most visited."""
        from rnnscope.analyses.automata.machine_figure import emitter_figure, moore_figure

        return moore_figure(self) if self.kind == "moore" else emitter_figure(self)

    def summary(self) -> str:
        return self._moore_summary() if self.kind == "moore" else self._emitter_summary()

    @property
    def worst_distribution(self) -> int:
        """The row of `word_distributions` whose words agree least at every prefix: what the headline is about."""
        return int(self.fidelity_words[:, 0].argmin())

    def _moore_summary(self) -> str:
        worst = self.worst_distribution
        faithful = "" if self.fidelity_words[:, 0].min() >= FAITHFUL else "faithful at the end of words only: "
        faithful = faithful if self.fidelity_last[:, 0].min() >= FAITHFUL else "NOT faithful: "
        last, every, longer = self.fidelity_last, self.fidelity_words, self.lengths[-1]
        text = (
            f"{faithful}{_states(self.n_states)}; of {self.n_test_words} {self.word_distributions[worst]} words of "
            f"{self.lengths[0]} symbols {percent(last[worst, 0])} agree with the network at the end, "
            f"{percent(every[worst, 0])} (95 % sure: at least {percent(self.fidelity_words_low[worst, 0])}) "
            f"after every prefix; of {longer} symbols {percent(last[:, -1].min())} and {percent(every[:, -1].min())}"
        )
        if self.machine_accuracy is None:
            return text
        return (
            f"{text}; right on the task: machine {percent(self.machine_accuracy)}, network "
            f"{percent(self.network_accuracy or 0.0)} of {self.n_task_trials} trials"
        )

    def _emitter_summary(self) -> str:
        text = (
            f"{_states(self.n_states)}; log likelihood {self.log_likelihood:.4f} ± {self.log_likelihood_error:.4f} "
            f"nats a symbol of {self.n_test_words} held-out sequences"
        )
        if self.truth_log_likelihood is None:
            return text
        return (
            f"{text}, the true model's {self.truth_log_likelihood:.4f} "
            f"(difference {self.truth_difference:+.4f} ± {self.truth_difference_error:.4f})"
        )


def extract_automaton(
    system: Any,
    *,
    task: Task | None = None,
    alphabet: Num[np.ndarray, "symbol input"] | None = None,
    labels: Callable[[np.ndarray], np.ndarray] | None = None,
    n_clusters: int | Sequence[int] | None = None,
    n_words: int | None = None,
    length: int | None = None,
    n_test_words: int | None = None,
    seed: int = 0,
) -> Automaton:
    """The finite machine that a network implements, with its fidelity on held-out samples.

    Reading symbols (the task has an alphabet, or one is given): the network reads random words, its states are
    clustered, clusters take majority outputs and transitions, and the machine is minimised; among several
    numbers of clusters the smallest machine that validation words do not tell from the best is kept.
    Emitting (the task's loss is "sinkhorn"): the network runs on the task's noise, and clustered states are merged
    down to the number that describes held-out sequences most briefly.

    Args:
        system: a Run, Network, torch module or StateMap, with a readout.
        task: what inputs and outputs mean; the Run's own if None.
        alphabet: the input vector of each symbol, in place of the task's.
        labels: outputs (..., output) -> whole numbers (..., head), the decisions of the network. None: the
            task's; without a task, whether a single output is positive, or which of several is the largest.
        n_clusters: numbers of k-means clusters to try. None: 1, 8, 32, 64 and 128 (moore), 8, 16, 24 and 32 (emitter).
        n_words: words to cluster states from, and as many to choose by. None: 400 (moore), 100 (emitter).
        length: symbols in a word. None: the longest of the task's trials, 40 without a task; 200 for an emitter.
        n_test_words: held-out words of each kind for the fidelity. None: 1000 (moore), 100 (emitter).
        seed: of words, noise, initial states and k-means.

    Raises:
        NotApplicable: nothing tells the symbols, or the network has no readout or diverges.
        ValueError: a setting is impossible.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.analyses.automata import extract_automaton
        >>> parity = rs.FunctionMap(
        ...     lambda h, u: np.abs(h - u), state_size=1, input_size=1, readout=lambda h: h - 0.5, readout_size=1)
        >>> found = extract_automaton(parity, alphabet=np.array([[0.0], [1.0]]))
        >>> found.transitions.tolist(), found.outputs.tolist()
        ([[0, 1], [1, 0]], [[0], [1]])
    """
    for name, value, least in (("n_words", n_words, 2), ("length", length, 1), ("n_test_words", n_test_words, 2)):
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    task = getattr(system, "task", None) if task is None else task
    state_map = as_map(system)
    if state_map.readout_size == 0:
        raise NotApplicable(
            "an automaton needs decisions, and this map has no readout: give the network one, "
            "rs.wrap(module, readout=...) or rs.FunctionMap(..., readout=..., readout_size=...)"
        )
    rng = np.random.default_rng([seed, 0xA0])
    if alphabet is None and task is not None:
        alphabet = task.alphabet
    if alphabet is not None:
        reader = _reader(state_map, alphabet, labels, task)
        candidates = _candidates(n_clusters, symbol_machine.CANDIDATES)
        usual = SYMBOL_LENGTH if task is None else task.sample(64, np.random.default_rng(0)).inputs.shape[1]
        return _from_symbols(reader, task, candidates, n_words or 400, length or usual, n_test_words or 1000, seed, rng)
    if task is not None and task.loss == "sinkhorn":
        if labels is not None:
            raise ValueError("labels is for networks that read symbols; this task's emits them from its logits")
        if task.input_size != state_map.input_size or task.output_size != state_map.readout_size:
            raise ValueError(
                f"the task has {task.input_size} inputs and {task.output_size} outputs, the network "
                f"{state_map.input_size} and {state_map.readout_size}: give the task it was trained on"
            )
        candidates = _candidates(n_clusters, emitter_machine.CANDIDATES)
        sizes = n_words or 100, length or EMITTED_LENGTH, n_test_words or 100
        return _from_noise(state_map, task, candidates, *sizes, seed, rng)
    raise NotApplicable(
        "nothing tells which symbols this network reads or emits: give alphabet=, the input vector of each symbol as "
        "(symbol, input), or task= with an alphabet or with the loss 'sinkhorn' (symbols emitted from noise)"
    )


def _from_symbols(
    reader: symbol_machine.Reader,
    task: Task | None,
    candidates: tuple[int, ...],
    n_words: int,
    length: int,
    n_test_words: int,
    seed: int,
    rng: np.random.Generator,
) -> Automaton:
    found = symbol_machine.find_machine(reader, candidates, n_words, length, rng)
    machine = found.machine
    lengths = length * np.array([1, 2, 4])
    last, whole, prefixes, visits = [], [], [], np.zeros(machine.n_states)
    for distribution in symbol_machine.DISTRIBUTIONS:
        words = symbol_machine.draw_words(n_test_words, int(lengths[-1]), machine.n_symbols, distribution, rng)
        agrees = symbol_machine.agreement(machine, words, reader.decide(reader.alphabet[words], rng))
        # One run serves all lengths: the beginning of a random word is a random word.
        last.append([agrees[:, n].mean() for n in lengths])
        whole.append([agrees[:, : n + 1].all(1).mean() for n in lengths])
        prefixes.append([agrees[:, : n + 1].mean() for n in lengths])
        visits += np.bincount(machine.run(words[:, :length]).ravel(), minlength=machine.n_states)
        visits[machine.initial] += n_test_words
    last_bounds = symbol_machine.binomial_bounds(np.array(last), n_test_words)
    whole_bounds = symbol_machine.binomial_bounds(np.array(whole), n_test_words)
    accuracy = {} if task is None else symbol_machine.task_accuracy(reader, task, machine, n_test_words, rng)
    empty = np.zeros((machine.n_states, 0))
    return Automaton(
        kind="moore",
        transitions=machine.transitions,
        outputs=machine.outputs,
        transition_probabilities=empty,
        emission=empty,
        initial=machine.initial,
        occupancy=visits / visits.sum(),
        state_centres=found.centres,
        symbols=_names(reader.alphabet),
        word_distributions=symbol_machine.DISTRIBUTIONS,
        lengths=lengths,
        fidelity_last=np.array(last),
        fidelity_last_low=last_bounds[0],
        fidelity_last_high=last_bounds[1],
        fidelity_words=np.array(whole),
        fidelity_words_low=whole_bounds[0],
        fidelity_words_high=whole_bounds[1],
        fidelity_prefixes=np.array(prefixes),
        n_test_words=n_test_words,
        tried_clusters=np.array(found.tried_clusters),
        tried_states=np.array(found.tried_states),
        tried_fidelity=np.array(found.tried_fidelity),
        n_clusters=candidates,
        n_words=n_words,
        length=length,
        seed=seed,
        **accuracy,
    )


def _from_noise(
    state_map: StateMap,
    task: Task,
    candidates: tuple[int, ...],
    n_words: int,
    length: int,
    n_test_words: int,
    seed: int,
    rng: np.random.Generator,
) -> Automaton:
    transient = 2 * task.sample(1, np.random.default_rng(0)).inputs.shape[1]
    fitted, checked = (emitter_machine.emit(state_map, task, n_words, length, transient, rng) for _ in range(2))
    found = emitter_machine.find_chain(fitted, checked, candidates, rng)
    symbols = emitter_machine.emit(state_map, task, n_test_words, length, transient, rng).symbols
    model = found.chain.hmm()
    likelihood, error = emitter_machine.log_likelihood(model, symbols)
    against = _against_truth(found.chain, model, getattr(task, "ground_truth", None), symbols, rng)
    n_states, none, no_lengths = len(found.centres), np.zeros((0, 1)), np.array([length])
    nothing = np.zeros((n_states, 0), np.int64)
    return Automaton(
        kind="emitter",
        transitions=nothing,
        outputs=nothing,
        transition_probabilities=found.chain.transitions,
        emission=found.chain.emission,
        initial=0,
        occupancy=found.chain.occupancy,
        state_centres=found.centres,
        symbols=tuple(map(str, range(found.chain.emission.shape[1]))),
        word_distributions=(),
        lengths=no_lengths,
        fidelity_last=none,
        fidelity_last_low=none,
        fidelity_last_high=none,
        fidelity_words=none,
        fidelity_words_low=none,
        fidelity_words_high=none,
        fidelity_prefixes=none,
        n_test_words=n_test_words,
        tried_clusters=np.array(found.tried_clusters),
        tried_states=np.array(found.tried_states),
        tried_fidelity=np.array(found.tried_log_likelihood),
        n_clusters=candidates,
        n_words=n_words,
        length=length,
        seed=seed,
        log_likelihood=likelihood,
        log_likelihood_error=error,
        **against,
    )


def _against_truth(
    chain: emitter_machine.Chain, model: HMM, truth: Any, symbols: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    if not isinstance(truth, HMM):
        return {}
    # Sequences were taken after a transient, so the true model starts from where it is in the long run.
    settled = HMM(truth.transitions, truth.emissions, truth.stationary())  # type: ignore[arg-type]
    each = (model.log_likelihood(symbols) - settled.log_likelihood(symbols)) / symbols.shape[1]
    fields: dict[str, Any] = {
        "truth_log_likelihood": emitter_machine.log_likelihood(settled, symbols)[0],
        "truth_difference": float(each.mean()),
        "truth_difference_error": float(each.std(ddof=1) / np.sqrt(len(each))),
        "truth_entropy_rate": settled.entropy_rate(len(symbols), symbols.shape[1], rng).estimate,
    }
    matched = emitter_machine.match(chain, truth)
    if matched is not None:
        fields |= dict(zip(("matching", "transition_error", "emission_error"), matched, strict=True))
    return fields


def _reader(
    state_map: StateMap, alphabet: ArrayLike, labels: Callable[[np.ndarray], np.ndarray] | None, task: Task | None
) -> symbol_machine.Reader:
    vectors = np.asarray(alphabet, np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != state_map.input_size or not len(vectors):
        raise ValueError(f"alphabet must have shape (symbol, {state_map.input_size}), got {vectors.shape}")
    if len(np.unique(vectors, axis=0)) < len(vectors) or not np.isfinite(vectors).all():
        raise ValueError("the symbols of the alphabet must be finite and differ from one another")
    if labels is None:
        labels = _decide if task is None else task.labels
    return symbol_machine.Reader(state_map, vectors, labels)


def _decide(outputs: np.ndarray) -> np.ndarray:
    return outputs > 0 if outputs.shape[-1] == 1 else outputs.argmax(-1, keepdims=True)


def _candidates(given: int | Sequence[int] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    found = default if given is None else (given,) if isinstance(given, int) else tuple(given)
    if not found or min(found) < 1:
        raise ValueError(f"n_clusters must be at least 1, got {given}")
    return found


def _names(alphabet: Float[np.ndarray, "symbol input"]) -> tuple[str, ...]:
    """Short names: a single channel's value, the place of a one-hot, otherwise the channels that are not 0."""
    if alphabet.shape[1] == 1:
        return tuple(f"{value:g}" for value in alphabet[:, 0])
    if np.isin(alphabet, (0, 1)).all() and (alphabet.sum(1) == 1).all():
        return tuple(str(int(row.argmax())) for row in alphabet)
    signs = {1.0: "+", -1.0: "−"}
    names = []
    for row in alphabet:
        parts = [f"{channel}{signs.get(value, f'={value:g}')}" for channel, value in enumerate(row.tolist()) if value]
        names.append(" ".join(parts) or "·")
    return tuple(names)


def _states(n: int) -> str:
    return f"{n} state" if n == 1 else f"{n} states"


def percent(fraction: float) -> str:
    """Rounded down: what is not always right must never read 100 %."""
    return f"{np.floor(1e4 * fraction + 1e-6) / 100:.4g} %"
