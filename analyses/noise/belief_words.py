"""Words, the exact filter's beliefs along them, and the states of a network that read or wrote them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.maps import CompleteMap
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import HMM, Process, Task
from rnnscope.tasks.hmm_emission import sample_symbols


class Read(NamedTuple):
    """Of each word and step that counts: what the filter believes, and the network's state.

    Attributes:
        symbols: all of them, as they were shown or written; the last that a state has seen is that of its own step,
            counted from the end.
        next_symbols: the one that came next; of a network that writes, the one that it wrote.
        beliefs: of the filter.
        best: the filter's distribution of the next symbol.
        states: of the network.
        log_predicted: the logarithm of the network's distribution.
        inputs: what the network was shown.
    """

    symbols: Int64[np.ndarray, "word length"]
    next_symbols: Int64[np.ndarray, "word time"]
    beliefs: Float[np.ndarray, "word time latent"]
    best: Float[np.ndarray, "word time symbol"]
    states: Float[np.ndarray, "word time unit"]
    log_predicted: Float[np.ndarray, "word time symbol"]
    inputs: Float[np.ndarray, "word shown input"]


def read_process_words(
    state_map: CompleteMap,
    task: Task,
    process: Process,
    n_words: int,
    length: int,
    given: Read | None,
    rng: np.random.Generator,
) -> Read:
    """A network reads words of the process, or those that another was `given`; `length` predictions of each. States are
    those from which it predicts: after the task's opening, where there is one, else after the first symbol."""
    opening = np.asarray(task.opening, np.float64)
    alphabet = task.alphabet
    if alphabet is None or len(alphabet) != process.n_symbols:
        raise NotApplicable("the task does not say how its process's symbols are shown: give a NextSymbol task")
    if given is None:
        begun = int(not len(opening))  # symbols before the first prediction
        words = process.sample(n_words, length + begun, rng)[1]
        shown = np.concatenate([np.tile(opening, (n_words, 1, 1)), np.asarray(alphabet, np.float64)[words[:, :-1]]], 1)
        beliefs = process.beliefs(words[:, :-1])[:, begun:]
        symbols, next_symbols, best = words[:, :-1], words[:, begun:], process.predict(beliefs)
    else:
        shown, symbols, next_symbols, beliefs, best = (
            given.inputs, given.symbols, given.next_symbols, given.beliefs, given.best,
        )  # fmt: skip
    states = _checked(state_map.unroll(state_map.initial_states(n_words, rng), shown))[:, -beliefs.shape[1] :]
    return Read(symbols, next_symbols, beliefs, best, states, _log_softmax(state_map.readout(states)), shown)


def read_own_words(
    state_map: CompleteMap,
    task: Task,
    hmm: HMM,
    n_words: int,
    length: int,
    given: Read | None,
    rng: np.random.Generator,
) -> Read:
    """A network writes words, each symbol drawn from its outputs, and the filter of the model reads them; another may
    be shown the noise that one was `given`. Words that the model cannot emit are left out."""
    if given is not None:
        states = _checked(state_map.unroll(state_map.initial_states(len(given.inputs), rng), given.inputs))
        return given._replace(states=states)
    trials = task.sample(n_words * -(-length // task.sample(1, rng).inputs.shape[1]), rng).inputs
    shown = trials.reshape(n_words, -1, trials.shape[2])[:, :length].astype(np.float64)
    states = _checked(state_map.unroll(state_map.initial_states(n_words, rng), shown))
    logits = state_map.readout(states)
    symbols = sample_symbols(logits, rng)
    possible = np.isfinite(hmm.log_likelihood(symbols))
    if possible.sum() < 4:
        raise NotApplicable(
            f"the true model can emit {possible.sum()} of {n_words} words that the network wrote, and has a belief for "
            "no others: train it further, or give more or shorter words"
        )
    symbols, states = symbols[possible], states[possible]
    return Read(
        symbols, symbols, hmm.filtered(symbols), hmm.predictions(symbols), states, _log_softmax(logits[possible]),
        shown[possible],
    )  # fmt: skip


class Held(NamedTuple):
    """See `HeldSymbols`."""

    filter: Float[np.ndarray, "symbol next_symbol"]
    network: Float[np.ndarray, "symbol next_symbol"]
    distance: Float[np.ndarray, " symbol"]
    filter_apart: Float[np.ndarray, " symbol"]
    apart: Float[np.ndarray, " symbol"]
    moved: Float[np.ndarray, " symbol"]


def held_symbols(state_map: CompleteMap, task: Task, process: Process, seen: Read, n_starts: int, n_steps: int) -> Held:
    """Show each symbol for many steps, to the filter and to the network, after the same words."""
    every = max(1, len(seen.states) // n_starts)
    starts, beliefs = seen.states[::every, -1], seen.beliefs[::every, -1]
    n = process.n_symbols
    found = Held(*(np.full((n, n), np.nan) for _ in range(2)), *(np.full(n, np.nan) for _ in range(4)))
    for symbol in range(n):
        belief = beliefs
        for _ in range(n_steps):
            belief = belief @ process.array[symbol]
            belief = belief / belief.sum(1, keepdims=True)  # NaN from where the process cannot go on like this
        exact = process.predict(belief)
        possible = np.isfinite(exact).all(1)
        shown = np.tile(np.asarray(task.alphabet, np.float64)[symbol], (len(starts), 1))
        states = before = starts
        for _ in range(n_steps):
            before, states = states, state_map.step(states, shown)
        predicted, previous = (np.exp(_log_softmax(state_map.readout(each))) for each in (states, before))
        if possible.any():
            found.filter[symbol] = exact[possible].mean(0)
            found.filter_apart[symbol] = _apart(exact[possible])
        if np.isfinite(predicted).all():
            after = predicted[possible] if possible.any() else predicted
            found.network[symbol], found.apart[symbol] = after.mean(0), _apart(after)
            found.moved[symbol] = _variation(predicted, previous).max()
            if possible.any():
                found.distance[symbol] = _variation(exact, predicted)[possible].mean()
    return found


def _apart(predictions: Float[np.ndarray, "start symbol"]) -> float:
    return float(_variation(predictions[:, None], predictions).max())


def _variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.abs(p - q).sum(-1) / 2


def _log_softmax(logits: Float[np.ndarray, "*batch symbol"]) -> Float[np.ndarray, "*batch symbol"]:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _checked(states: Float[np.ndarray, "word time unit"]) -> Float[np.ndarray, "word time unit"]:
    if not np.isfinite(states).all():
        raise NotApplicable("the network's states diverge on these words: train it further, or give a shorter length")
    return states
