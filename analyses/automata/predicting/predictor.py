"""Which probabilistic automaton does a next-symbol predictor implement, and what is lost when it is put in its place?

States are one where their futures are alike; see `future_signatures`. What is lost is the Kullback-Leibler divergence
of the automaton's next symbol from the network's own, along words that the network writes; beside it stand models that
were learned from its words alone. States that are left for good are transient: in them a predictor finds out where in
the process it is. The entropy of the others, in the long run, is the statistical complexity (Crutchfield & Young,
Physical Review Letters 1989). Where belief states are a fractal, no finite number of states is enough, and the
divergence against the number of states is the answer; the belief states themselves are then looked for in the network's
states by linear regression (Shai et al., NeurIPS 2024).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata import dynamics
from rnnscope.analyses.automata.predicting.future_signatures import (
    LEAST,
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
from rnnscope.analyses.automata.predicting.parts import (
    Beliefs,
    PredictionFidelity,
    PredictionRivals,
    SizeSearch,
    TrueProcess,
)
from rnnscope.analyses.automata.predicting.result import Predictor
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.stochastic import alergia, baum_welch
from rnnscope.maps import FunctionMap
from rnnscope.numerics import linalg
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import Process
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.process import entropy

SLIP = 0.01  # arrows of symbols less likely than this are a network's slips: they make no state recurrent ...
LATE = 0.02  # ... unless so much of the later half of its words would then be spent in transient states
MAX_SHOWN = 2000  # belief states that are kept for the figure
LEARNED_WORDS, LEARNED_STATES = 200, 8  # what models that are learned from words alone get, for their time


class Limits(NamedTuple):
    """See `extract_automaton`."""

    n_states: int | None
    max_states: int
    n_words: int
    length: int
    n_test_words: int
    compare: bool


def extract_predictor(
    reader: Reader, process: Process | None, symbols: tuple[str, ...], limits: Limits, seed: int
) -> Predictor:
    """The probabilistic automaton of a network that predicts the next symbol; with a process, what both know.

    Raises:
        NotApplicable: the network has no readout of one logit for each symbol, or diverges.
        ValueError: a setting is impossible, or the process has other symbols.
    """
    n_states, max_states, n_words, length, n_test_words, compare = limits
    for name, value, least in (("n_words", n_words, 4), ("length", length, 2), ("n_test_words", n_test_words, 4)):
        if value < least:
            raise ValueError(f"{name} must be at least {least} for a network that predicts, got {value}")
    writer = _writer(reader)
    if process is not None and process.n_symbols != reader.n_symbols:
        raise ValueError(f"process has {process.n_symbols} symbols, the network's alphabet {reader.n_symbols}")
    # A stream of random numbers for each step.
    rng, learning, placing = (np.random.default_rng([seed, *key]) for key in ((0xA1,), (0xA1, 1), (0xA1, 2)))
    stray = np.repeat([STRAY, STRAY / 4, 0.0], [n_words, n_words, n_test_words])
    with linalg.one_thread():
        written = writer.write(len(stray), length, rng, stray)
        parts = (np.split(part, [n_words, 2 * n_words]) for part in written)
        fitted, checked, held_out = (Sampled(*part) for part in zip(*parts, strict=True))
        chosen = choose(writer, fitted, checked, n_states, max_states, rng)
        track = Track.of(held_out)
        curve = np.stack([word_divergence(tried, track) for tried in chosen.tried])
        found = chosen.automaton
        emission = found.emission / found.emission.sum(1, keepdims=True)
        stationary = _stationary(found, visited(found, held_out.symbols)[:, length // 2 :])
        recurrent = (stationary > 0).astype(np.int64)[:, None]
        machine = Machine(found.transitions, recurrent, found.initial, emission)
        models: list[_Model] = []
        if compare:
            models = _learned(writer, int(recurrent.sum()), process, min(n_words, LEARNED_WORDS), length, learning)
        predicted = [each.predict(held_out.symbols) for each in models]
        truth, beliefs, likelihoods = None, None, None
        if process is not None:
            truth, beliefs, words = _probe(reader, machine, process, n_test_words, length, rng)
            likelihoods = _likelihoods([each.predict(words) for each in models], words)
        placement = dynamics.locate(reader, machine, fitted.symbols, placing)
    own = machine.predictions(held_out.symbols)
    each, likelihood = divergence(held_out.probabilities, own).mean(1), _log_likelihood(own, held_out.symbols)
    lost = [divergence(held_out.probabilities, row).mean(1) for row in predicted]
    states = np.column_stack([np.full(n_test_words, machine.initial), machine.run(held_out.symbols)[:, :-1]])
    return Predictor(
        transitions=machine.transitions,
        emission=emission,
        initial=machine.initial,
        symbols=symbols,
        occupancy=np.bincount(states.ravel(), minlength=machine.n_states) / states.size,
        stationary=stationary,
        entropy_rate=float(stationary @ entropy(emission)) + 0.0,  # no -0.0
        statistical_complexity=float(entropy(stationary)) + 0.0,
        fidelity=PredictionFidelity(
            divergence=float(each.mean()),
            divergence_error=_standard_error(each),
            network_entropy=float(entropy(held_out.probabilities).mean()),
            log_likelihood=float(likelihood.mean()),
            log_likelihood_error=_standard_error(likelihood),
            symbol_frequencies=np.bincount(held_out.symbols.ravel(), minlength=len(symbols)) / held_out.symbols.size,
            n_test_words=n_test_words,
            length=length,
        ),
        truth=truth,
        beliefs=beliefs,
        rivals=PredictionRivals(
            models=tuple(model.name for model in models),
            n_states=np.array([model.n_states for model in models], np.int64),
            divergence=np.array([float(row.mean()) for row in lost]),
            divergence_error=np.array([_standard_error(row) for row in lost]),
            log_likelihood=_likelihoods(predicted, held_out.symbols),
            log_likelihood_on_truth=likelihoods,
        ),
        search=SizeSearch(
            n_states=np.array([len(tried.weight) for tried in chosen.tried]),
            divergence=curve.mean(1),
            divergence_error=np.array([_standard_error(row) for row in curve]),
            n_words=n_words,
            max_states=max_states if n_states is None else n_states,
            n_states_wanted=n_states,
        ),
        placement=placement,
    )


class _Model(NamedTuple):
    name: str
    n_states: int
    predict: Callable[[np.ndarray], np.ndarray]  # words -> the distribution of each symbol given those before


def _writer(reader: Reader) -> Writer:
    n_outputs, n_symbols = reader.map.readout_size, reader.n_symbols
    if n_outputs != n_symbols:
        raise NotApplicable(
            f"a next-symbol predictor has one logit for each of its {n_symbols} symbols, and this readout has "
            f"{n_outputs} outputs: give the alphabet that it predicts, or predicts_next=False for a network that "
            "decides about words"
        )
    if n_symbols < 2:
        raise NotApplicable("with one symbol there is nothing to predict: an alphabet has two symbols or more")
    opened = FunctionMap(
        reader.map.step,
        state_size=reader.map.state_size,
        input_size=reader.map.input_size,
        readout=reader.map.readout,
        readout_size=n_outputs,
        initial=reader.initial_states,
    )
    return Writer(opened, reader.alphabet)


def _stationary(automaton: Automaton, late: Int64[np.ndarray, "word time"]) -> Float[np.ndarray, " state"]:
    """Where the automaton is in the long run, from its initial state on, averaged over the period. Symbols that slip
    are left out, where what they lead to is hardly visited `late` in words; rare moves between regimes are none."""
    n_symbols = automaton.transitions.shape[1]
    found = _long_run(automaton, min(SLIP, 0.5 / n_symbols))
    return found if (found[late] == 0).mean() <= LATE else _long_run(automaton, 0.0)


def _long_run(automaton: Automaton, least: float) -> Float[np.ndarray, " state"]:
    """The distribution after many steps, without arrows of symbols less likely than this."""
    n_states = len(automaton.transitions)
    kept = np.where(automaton.emission >= least, automaton.emission, 0.0)
    chain = np.zeros((n_states, n_states))
    np.add.at(chain, (np.arange(n_states)[:, None], automaton.transitions), kept / kept.sum(1, keepdims=True))
    power = (chain + np.eye(n_states)) / 2  # resting every second time ends all periods
    for _ in range(40):
        power = power @ power
        power /= power.sum(1, keepdims=True)
    found = power[automaton.initial]
    found[found < 1e-12] = 0.0
    return found / found.sum()


def _learned(
    writer: Writer, n_recurrent: int, process: Process | None, n_words: int, length: int, rng: np.random.Generator
) -> list[_Model]:
    """What ALERGIA and Baum-Welch make of words that the network wrote."""
    words, n_symbols = writer.write(n_words, length, rng).symbols, len(writer.alphabet)
    numbers = {min(n_recurrent, LEARNED_STATES): "Baum-Welch from random starts"}
    if process is not None and process.n_states <= LEARNED_STATES:
        numbers.setdefault(process.n_states, "Baum-Welch, the true number of states")
    models = []
    for n_states, name in numbers.items():
        hmm = baum_welch.from_random_starts(n_states, n_symbols, words, rng).hmm
        models.append(_Model(name, n_states, hmm.predictions))
    automaton = alergia.alergia(words, n_symbols)
    return [*models, _Model("ALERGIA", automaton.n_states, automaton.predictions)]


def _probe(
    reader: Reader, machine: Machine, process: Process, n_words: int, length: int, rng: np.random.Generator
) -> tuple[TrueProcess, Beliefs, Int64[np.ndarray, "word time"]]:
    """How far network and true process agree on words of the process, what the network holds of its belief states, and
    these words."""
    _, words = process.sample(n_words, length, rng)
    targets, states = process.beliefs(words)[:, :-1], reader.visit(reader.alphabet[words], rng)[:, :-1]
    true, half = process.predict(targets), n_words // 2
    each = divergence(true, Writer(reader.map, reader.alphabet).probabilities(states)).mean(1)
    likelihood = _log_likelihood(machine.predictions(words), words)
    columns = np.concatenate([states, np.ones((n_words, length, 1))], 2)
    seen, unseen = (columns[part].reshape(-1, columns.shape[2]) for part in (slice(half), slice(half, None)))
    known, hidden = (targets[part].reshape(-1, process.n_states) for part in (slice(half), slice(half, None)))
    decoded = unseen @ np.linalg.lstsq(seen, known, rcond=None)[0]
    total = float(((hidden - hidden.mean(0)) ** 2).sum())
    kept = rng.permutation(len(hidden))[:MAX_SHOWN]
    truth = TrueProcess(
        divergence=float(each.mean()),
        divergence_error=_standard_error(each),
        entropy_rate=float(np.mean(process.entropy_rate())),
        frequencies=process.symbol_frequencies(),
        log_likelihood_on_truth=float(likelihood.mean()),
        log_likelihood_on_truth_error=_standard_error(likelihood),
        own_log_likelihood=float(_log_likelihood(true, words).mean()),
    )
    # A process of one state has no beliefs to decode.
    r2 = 1 - float(((hidden - decoded) ** 2).sum()) / total if total > 1e-12 else None
    return truth, Beliefs(true=hidden[kept], decoded=decoded[kept], r2=r2), words


def _log_likelihood(
    predicted: Float[np.ndarray, "word time symbol"], words: Int64[np.ndarray, "word time"]
) -> Float[np.ndarray, " word"]:
    """Of each word, nats a symbol."""
    likelihood = np.take_along_axis(predicted, words[..., None], 2)[..., 0]
    return np.log(np.maximum(likelihood, LEAST)).mean(1)


def _likelihoods(
    predicted: list[Float[np.ndarray, "word time symbol"]], words: Int64[np.ndarray, "word time"]
) -> Float[np.ndarray, " model"]:
    return np.array([_log_likelihood(each, words).mean() for each in predicted])


def _standard_error(each: Float[np.ndarray, " word"]) -> float:
    return float(each.std(ddof=1) / np.sqrt(len(each)))
