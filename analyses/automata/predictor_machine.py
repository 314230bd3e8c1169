"""Which probabilistic automaton does a next-symbol predictor implement, and what is lost when it is put in its place?

States are one where their futures are alike; see `future_signatures`. What is lost is the Kullback-Leibler divergence
of the automaton's next symbol from the network's own, along words that the network writes. States that are left for
good are transient: in them a predictor finds out where in the process it is. The entropy of the others, in the long
run, is the statistical complexity (Crutchfield & Young, Physical Review Letters 1989). Where belief states are a
fractal, no finite number of states is enough, and the divergence against the number of states is the answer; the
belief states themselves are then looked for in the network's states by linear regression (Shai et al., NeurIPS 2024).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy.typing import ArrayLike

from rnnscope import linalg, results
from rnnscope.analyses.automata.future_signatures import (
    STRAY,
    Automaton,
    Sampled,
    Track,
    Writer,
    choose,
    divergence,
    visited,
    word_divergence,
)
from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import as_map
from rnnscope.tasks.machine import Machine

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

SLIP = 0.01  # arrows of symbols less likely than this are a network's slips: they make no state recurrent
MAX_SHOWN = 2000  # belief states that are kept for the figure
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Predictor:
    """The probabilistic automaton of a next-symbol predictor.

    Attributes:
        transitions: the state after each symbol.
        emission: the distribution of the next symbol; rows sum to 1.
        initial: the state before the first symbol.
        occupancy: fraction of the symbols of `length` long words before which the automaton is in each state.
        stationary: the same in the long run, without symbols less likely than 0.01; 0 in transient states.
        recurrent: whether a state is visited in the long run.
        state_centres: mean state of the network while the automaton is in each state.
        symbols: names of the symbols.
        divergence, divergence_error: KL(network || automaton) of the next symbol on held-out words that the network
            wrote, nats a symbol, and its standard error over words.
        network_entropy: mean entropy of the network's next symbol on these words, nats a symbol.
        entropy_rate: of the automaton in the long run, nats a symbol.
        statistical_complexity: entropy of `stationary`, nats.
        tried_states, tried_divergence, tried_error: the best automaton found of each size, with its divergence from
            the network on the held-out words, and standard error.
        n_words, length, max_states, n_states_wanted, seed: the settings; None where the number of states was left open.
        process_entropy: of the true process, where given: mean entropy of its next symbol, given all before, nats.
        process_divergence, process_divergence_error: KL(process || network) on words of the process, nats a symbol.
        belief_r2: variance of the true belief states that is linear in the network's states, on words other than those
            of the regression; None without a process.
        beliefs: true belief states before symbols of held-out words.
        decoded_beliefs: what the regression makes of the network's states there.
    """

    transitions: Int64[np.ndarray, "state symbol"]
    emission: Float[np.ndarray, "state symbol"]
    initial: int
    occupancy: Float[np.ndarray, " state"]
    stationary: Float[np.ndarray, " state"]
    recurrent: Bool[np.ndarray, " state"]
    state_centres: Float[np.ndarray, "state unit"]
    symbols: tuple[str, ...]
    divergence: float
    divergence_error: float
    network_entropy: float
    entropy_rate: float
    statistical_complexity: float
    tried_states: Int64[np.ndarray, " tried"]
    tried_divergence: Float[np.ndarray, " tried"]
    tried_error: Float[np.ndarray, " tried"]
    n_words: int
    length: int
    max_states: int
    n_states_wanted: int | None
    seed: int
    process_entropy: float | None = None
    process_divergence: float | None = None
    process_divergence_error: float | None = None
    belief_r2: float | None = None
    beliefs: Float[np.ndarray, "point true_state"] | None = None
    decoded_beliefs: Float[np.ndarray, "point true_state"] | None = None

    @property
    def n_states(self) -> int:
        return len(self.occupancy)

    @property
    def n_recurrent(self) -> int:
        return int(self.recurrent.sum())

    def machine(self) -> Machine:
        """The automaton, to run, sample or export; its outputs tell recurrent states (1) from transient ones (0)."""
        return Machine(self.transitions, self.recurrent.astype(np.int64)[:, None], self.initial, self.emission)

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """Divergence against number of states; beside it, where the process is known, its belief states as decoded."""
        from rnnscope.analyses.automata.predictor_figure import predictor_figure

        return predictor_figure(self)

    def graph(self) -> "go.Figure":
        """The automaton as circles and arrows."""
        from rnnscope.analyses.automata.predictor_figure import predictor_graph

        return predictor_graph(self)

    def summary(self) -> str:
        text = (
            f"{self.n_recurrent} recurrent and {self.n_states - self.n_recurrent} transient states; KL(network || "
            f"automaton) {self.divergence:.2g} ± {self.divergence_error:.1g} nats a symbol on {self.n_words} held-out "
            f"words of {self.length} symbols; entropy rate {self.entropy_rate:.4f} nats a symbol, statistical "
            f"complexity {self.statistical_complexity:.4f} nats"
        )
        if self.n_states >= self.max_states:
            text += f"; as many states as allowed: more (max_states > {self.max_states}) would come closer"
        if self.belief_r2 is None or self.process_divergence is None:
            return text
        return (
            f"{text}; KL(process || network) {self.process_divergence:.2g}; the true belief states are linear in the "
            f"network's states with R² = {self.belief_r2:.4f}"
        )


def extract_predictor(
    system: Any,
    *,
    alphabet: ArrayLike | None = None,
    n_states: int | None = None,
    max_states: int = 32,
    process: ArrayLike | None = None,
    n_words: int = 200,
    length: int = 100,
    seed: int = 0,
) -> Predictor:
    """The probabilistic automaton of a network that predicts the next symbol.

    The readout are logits of the next symbol, before the first one too; the network reads the symbol that comes. The
    number of states is that at which another one would win less than 5e-6 nats a symbol, so that it does not grow with
    the number of words.

    Args:
        system: a Run, Network, torch module or StateMap, with a readout.
        alphabet: the input vector of each symbol; None: the task's, or one-hot vectors.
        n_states: how many states; the next smaller number where no automaton of that size was found. None: chosen.
        max_states: no more than these.
        process: the true process as (symbol, state, next state): the probabilities to emit a symbol and go there.
        n_words: words to make the automaton from, as many to choose by, and as many held out.
        length: symbols in a word.
        seed: of words and k-means.

    Raises:
        NotApplicable: the network has no readout of one logit for each symbol, or diverges.
        ValueError: a setting is impossible, or `process` is no process.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> golden_mean = rs.FunctionMap(  # no two zeros in a row
        ...     lambda h, u: u[..., :1], state_size=1, input_size=2,
        ...     readout=lambda h: np.log(np.where(h > 0.5, [1e-9, 1.0], [0.5, 0.5])), readout_size=2)
        >>> found = extract_predictor(golden_mean, n_words=50)
        >>> found.n_recurrent, found.transitions.tolist(), round(found.entropy_rate, 3)
        (2, [[1, 0], [1, 0]], 0.462)
    """
    for name, value, least in (("n_words", n_words, 4), ("length", length, 2), ("max_states", max_states, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if n_states is not None and n_states < 1:
        raise ValueError(f"n_states must be at least 1, or None to choose it, got {n_states}")
    writer = _writer(system, alphabet)
    n_symbols = len(writer.alphabet)
    true_process = None if process is None else _checked(process, n_symbols)
    rng = np.random.default_rng([seed, 0xA1])
    with linalg.one_thread():
        written = writer.write(3 * n_words, length, rng, np.repeat([STRAY, STRAY / 4, 0.0], n_words))
        fitted, checked, held_out = (
            Sampled(*(part[i * n_words : (i + 1) * n_words] for part in written)) for i in range(3)
        )
        track = Track.of(held_out)
        chosen = choose(writer, fitted, checked, n_states, max_states, rng)
        curve = np.stack([word_divergence(tried, track) for tried in chosen.tried])
        each = word_divergence(chosen.automaton, track)
        probe = {} if true_process is None else _probe(writer, true_process, n_words, length, rng)
    automaton = chosen.automaton
    stationary = _stationary(automaton)
    states = visited(automaton, held_out.symbols).ravel()
    n_found = len(automaton.weight)
    share = np.bincount(states, minlength=n_found) / len(states)
    return Predictor(
        transitions=automaton.transitions,
        emission=automaton.emission / automaton.emission.sum(1, keepdims=True),
        initial=automaton.initial,
        occupancy=share,
        stationary=stationary,
        recurrent=stationary > 0,
        state_centres=_centres(automaton, fitted.symbols, fitted.states),
        symbols=_symbols(system, n_symbols) if alphabet is None else tuple(map(str, range(n_symbols))),
        divergence=float(each.mean()),
        divergence_error=_standard_error(each),
        network_entropy=float(_entropy(held_out.probabilities).mean()),
        entropy_rate=float(stationary @ _entropy(automaton.emission)),
        statistical_complexity=float(_entropy(stationary)),
        tried_states=np.array([len(tried.weight) for tried in chosen.tried]),
        tried_divergence=curve.mean(1),
        tried_error=np.array([_standard_error(row) for row in curve]),
        n_words=n_words,
        length=length,
        max_states=max_states if n_states is None else n_states,
        n_states_wanted=n_states,
        seed=seed,
        **probe,
    )


def _writer(system: Any, alphabet: ArrayLike | None) -> Writer:
    state_map = as_map(system)
    if alphabet is None:
        task = getattr(system, "task", None)
        alphabet = getattr(task, "alphabet", None)
    vectors = np.eye(state_map.input_size) if alphabet is None else np.asarray(alphabet, np.float64)
    if vectors.ndim != 2 or vectors.shape[1] != state_map.input_size or not len(vectors):
        raise ValueError(f"alphabet must have shape (symbol, {state_map.input_size}), got {vectors.shape}")
    if len(np.unique(vectors, axis=0)) < len(vectors) or not np.isfinite(vectors).all():
        raise ValueError("the symbols of the alphabet must be finite and differ from one another")
    if state_map.readout_size != len(vectors):
        raise NotApplicable(
            f"a next-symbol predictor has one logit for each of its {len(vectors)} symbols, and this readout has "
            f"{state_map.readout_size} outputs: give the alphabet that it predicts, or use extract_automaton for a "
            "network that decides about words"
        )
    if len(vectors) < 2:
        raise NotApplicable("with one symbol there is nothing to predict: an alphabet has two symbols or more")
    return Writer(state_map, vectors)


def _symbols(system: Any, n_symbols: int) -> tuple[str, ...]:
    """The task's names, where it has some; else numbers."""
    names = getattr(getattr(system, "task", None), "symbols", ())
    return tuple(names) if len(names) == n_symbols else tuple(map(str, range(n_symbols)))


def _checked(process: ArrayLike, n_symbols: int) -> Float[np.ndarray, "symbol state next_state"]:
    given = np.asarray(process, np.float64)
    if given.ndim != 3 or given.shape[1] != given.shape[2] or not given.size:
        raise ValueError(f"process must have shape (symbol, state, state), got {given.shape}")
    if len(given) != n_symbols:
        raise ValueError(f"process has {len(given)} symbols, the network's alphabet {n_symbols}")
    sums = given.sum((0, 2))
    if not np.isfinite(given).all() or given.min() < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE:
        worst = int(np.nan_to_num(np.abs(sums - 1), nan=np.inf).argmax())
        raise ValueError(
            "process[x, i, j] is the probability to emit x and go from state i to j: not negative, and 1 in sum over x "
            f"and j; state {worst} has {sums[worst]:g}"
        )
    return given


def _stationary(automaton: Automaton) -> Float[np.ndarray, " state"]:
    """Where the automaton is in the long run, from its initial state on; symbols that slip are left out."""
    n_states, n_symbols = automaton.transitions.shape
    kept = np.where(automaton.emission >= min(SLIP, 0.5 / n_symbols), automaton.emission, 0.0)
    chain = np.zeros((n_states, n_states))
    np.add.at(chain, (np.arange(n_states)[:, None], automaton.transitions), kept / kept.sum(1, keepdims=True))
    return _long_run(chain, np.eye(n_states)[automaton.initial])


def _long_run(chain: Float[np.ndarray, "state state"], start: Float[np.ndarray, " state"]) -> np.ndarray:
    """The distribution after many steps, averaged over the period of the chain."""
    power = (chain + np.eye(len(chain))) / 2  # resting every second time ends all periods
    for _ in range(40):
        power = power @ power
        power /= power.sum(1, keepdims=True)
    found = start @ power
    found[found < 1e-12] = 0.0
    return found / found.sum()


def _probe(
    writer: Writer,
    process: Float[np.ndarray, "symbol state next_state"],
    n_words: int,
    length: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """How far network and true process agree on words of the process: the fields of `Predictor`."""
    n_true = process.shape[1]
    belief = np.tile(_long_run(process.sum(0), np.full(n_true, 1 / n_true)), (n_words, 1))
    state = writer.map.initial_states(n_words, rng)
    beliefs, states, wanted, shown = [], [], [], []
    for _ in range(length):
        joint = np.einsum("wi,xij->wxj", belief, process)
        beliefs.append(belief)
        states.append(state)
        wanted.append(joint.sum(2))
        shown.append(writer.probabilities(state))
        below = wanted[-1].cumsum(1)
        symbol = (rng.random((n_words, 1)) * below[:, -1:] >= below).sum(1)
        belief = joint[np.arange(n_words), symbol]
        belief = belief / belief.sum(1, keepdims=True)
        state = writer.read(state, symbol)
    true, model, half = np.stack(wanted, 1), np.stack(shown, 1), n_words // 2
    each = divergence(true, model).mean(1)
    targets = np.stack(beliefs, 1)
    columns = np.concatenate([np.stack(states, 1), np.ones((n_words, length, 1))], 2)
    seen, unseen = (columns[part].reshape(-1, columns.shape[2]) for part in (slice(half), slice(half, None)))
    known, hidden = (targets[part].reshape(-1, n_true) for part in (slice(half), slice(half, None)))
    decoded = unseen @ np.linalg.lstsq(seen, known, rcond=None)[0]
    total = float(((hidden - hidden.mean(0)) ** 2).sum())
    kept = rng.permutation(len(hidden))[:MAX_SHOWN]
    return {
        "process_entropy": float(_entropy(true).mean()),
        "process_divergence": float(each.mean()),
        "process_divergence_error": _standard_error(each),
        # One state has no beliefs to decode: all of nothing is explained.
        "belief_r2": 1 - float(((hidden - decoded) ** 2).sum()) / total if total > 1e-12 else 1.0,
        "beliefs": hidden[kept],
        "decoded_beliefs": decoded[kept],
    }


def _centres(
    automaton: Automaton, symbols: Int64[np.ndarray, "word time"], states: Float[np.ndarray, "word time unit"]
) -> Float[np.ndarray, "state unit"]:
    """Mean network state in each state; of one that no word leads to, the mean of all."""
    place, flat = visited(automaton, symbols).ravel(), states.reshape(symbols.size, -1)
    n_states = len(automaton.weight)
    sums = np.stack([np.bincount(place, unit, n_states) for unit in flat.T], 1)
    count = np.bincount(place, minlength=n_states)[:, None]
    return np.where(count > 0, sums / np.maximum(count, 1), flat.mean(0))


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    return np.asarray(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(-1))


def _standard_error(each: Float[np.ndarray, " word"]) -> float:
    return float(each.std(ddof=1) / np.sqrt(len(each)))
