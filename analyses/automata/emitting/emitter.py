"""A network that turns noise into symbols, as a hidden Markov model, beside the true one and others learned from words.

The chain is found by clusters and counts (`emitter_machine`), which say how many states there are and where. States
that lie in the middle of a transition blur its probabilities, so these are then made the likeliest ones for what the
network emitted (`baum_welch`, from the counted chain), if sequences that had no part in this become likelier too.
Nothing here learns from the true model's sequences: they only judge.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64, Integer

from rnnscope.analyses.automata import dynamics
from rnnscope.analyses.automata.emitting import emitter_machine
from rnnscope.analyses.automata.emitting.emitter_machine import Chain, Emitted
from rnnscope.analyses.automata.emitting.parts import (
    ChainSearch,
    EmissionFidelity,
    EmissionRivals,
    Front,
    Matching,
    TrueModel,
)
from rnnscope.analyses.automata.emitting.result import Emitter
from rnnscope.analyses.automata.placement import Loops, Placement
from rnnscope.analyses.automata.stochastic import alergia, baum_welch
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.maps import CompleteMap
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import HMM, Task

N_STARTS = 2  # of the search for a fixed point, in each state
TRUE_SEQUENCES = 400

_Model = tuple[str, int, Callable[[np.ndarray], np.ndarray]]  # name, states, log likelihood of each sequence


def extract_emitter(
    state_map: CompleteMap,
    task: Task,
    candidates: tuple[int, ...],
    n_words: int,
    length: int,
    n_test_words: int,
    compare: bool,
    seed: int,
    rng: np.random.Generator,
) -> Emitter:
    """The hidden Markov model of an emitter.

    Raises:
        ValueError: sequences of one symbol, which show no transition.
        NotApplicable: the states diverge.
    """
    if length < 2:
        raise ValueError(f"length must be at least 2 for a network that emits: one symbol shows no move, got {length}")
    transient = 2 * task.sample(1, np.random.default_rng(0)).inputs.shape[1]
    fitted, checked, tested = (
        emitter_machine.emit(state_map, task, n, length, transient, rng) for n in (n_words, n_words, n_test_words)
    )
    found = emitter_machine.find_chain(fitted, checked, candidates, rng)
    counted = found.chain.hmm()
    polished = baum_welch.baum_welch(counted, fitted.symbols)
    gain, gain_error = _difference(polished.hmm, counted, checked.symbols)
    kept = gain > 2 * gain_error
    unordered = polished.hmm if kept else counted
    beliefs = baum_welch.beliefs_in_hindsight(unordered, fitted.symbols)
    order = np.argsort(-beliefs.mean((0, 1)), kind="stable")
    beliefs = beliefs[..., order]
    transitions = unordered.transition_matrix[np.ix_(order, order)]
    emission, occupancy = unordered.emission_matrix[order], beliefs.mean((0, 1))
    model = HMM(transitions, emission, occupancy / occupancy.sum())  # type: ignore[arg-type]
    other = ("clusters counted", counted) if kept else ("Baum-Welch from here", polished.hmm)
    likelihood, error = emitter_machine.log_likelihood(model, tested.symbols)
    n_states = len(order)
    # In this order, because each draws random numbers.
    placement = _located(state_map, fitted, beliefs.argmax(-1), n_states, rng)
    models = _rivals(model, other, task.ground_truth, fitted.symbols, compare, rng)
    chains, truth, true_symbols = [chain.hmm() for chain in found.front], None, None
    if isinstance(task.ground_truth, HMM):
        # Sequences were taken after a transient, so the true model starts from where it is in the long run.
        true = task.ground_truth
        settled = HMM(true.transitions, true.emissions, true.stationary())  # type: ignore[arg-type]
        true_symbols = settled.sample(TRUE_SEQUENCES, length, rng)[1]
        truth = _against_truth(model, true, settled, tested.symbols, true_symbols, rng)
    return Emitter(
        transition_probabilities=transitions,
        emission=emission,
        occupancy=occupancy,
        symbols=tuple(map(str, range(emission.shape[1]))),
        fidelity=EmissionFidelity(
            log_likelihood=likelihood,
            log_likelihood_error=error,
            symbol_frequencies=np.bincount(tested.symbols.ravel(), minlength=emission.shape[1]) / tested.symbols.size,
            n_test_words=n_test_words,
            length=length,
        ),
        truth=truth,
        rivals=EmissionRivals(
            models=tuple(name for name, _, _ in models),
            n_states=np.array([size for _, size, _ in models]),
            log_likelihood=_of_rivals(models, tested.symbols),
            log_likelihood_on_truth=None if true_symbols is None else _of_rivals(models, true_symbols),
        ),
        front=Front(
            n_states=np.array([chain.n_states for chain in chains]),
            log_likelihood=_of_chains(chains, tested.symbols),
            log_likelihood_on_truth=None if true_symbols is None else _of_chains(chains, true_symbols),
        ),
        search=ChainSearch(
            n_words=n_words,
            candidates=candidates,
            n_clusters=np.array(found.tried_clusters),
            n_states=np.array(found.tried_states),
            log_likelihood=np.array(found.tried_log_likelihood),
            converged=polished.converged if kept else None,
        ),
        placement=placement,
    )


def _rivals(
    model: HMM,
    other: tuple[str, HMM],
    truth: object | None,
    symbols: Integer[np.ndarray, "sequence time"],
    compare: bool,
    rng: np.random.Generator,
) -> list[_Model]:
    """Other models of the sequences that this one was learned from."""
    numbers = {model.n_states: "Baum-Welch from random starts"}
    if isinstance(truth, HMM):
        numbers.setdefault(truth.n_states, "Baum-Welch, the true number of states")
    models: list[_Model] = [(other[0], other[1].n_states, other[1].log_likelihood)]
    if compare:
        automaton = alergia.alergia(symbols, model.n_symbols)
        for n_states, name in numbers.items():
            learned = baum_welch.from_random_starts(n_states, model.n_symbols, symbols, rng).hmm
            models.append((name, n_states, learned.log_likelihood))
        models.append(("ALERGIA", automaton.n_states, lambda words: alergia.log_likelihood(automaton, words)))
    return models


def _of_rivals(models: list[_Model], words: Integer[np.ndarray, "sequence time"]) -> Float[np.ndarray, " model"]:
    """Nats a symbol."""
    return np.array([log_likelihood(words).mean() for _, _, log_likelihood in models]) / words.shape[1]


def _of_chains(chains: list[HMM], words: Integer[np.ndarray, "sequence time"]) -> Float[np.ndarray, " chain"]:
    """Nats a symbol."""
    return np.array([emitter_machine.log_likelihood(chain, words)[0] for chain in chains])


def _against_truth(
    model: HMM,
    truth: HMM,
    settled: HMM,
    tested: Integer[np.ndarray, "sequence time"],
    true_symbols: Integer[np.ndarray, "true_sequence time"],
    rng: np.random.Generator,
) -> TrueModel:
    """The model beside the true one, as it is in the long run (`settled`), on sequences of the network and of its
    own."""
    own, own_error = _difference(model, settled, tested)
    true, true_error = _difference(model, settled, true_symbols)
    on_truth, on_truth_error = emitter_machine.log_likelihood(model, true_symbols)
    entropy_rate = settled.entropy_rate(len(true_symbols), true_symbols.shape[1], rng).estimate
    match = emitter_machine.match(_as_chain(model), truth)
    matched = None
    if match is not None:
        states, transition_error, emission_error = match
        matched = Matching(transition_error=transition_error, emission_error=emission_error, states=states)
    return TrueModel(
        log_likelihood=emitter_machine.log_likelihood(settled, tested)[0],
        difference=own,
        difference_error=own_error,
        entropy_rate=entropy_rate,
        log_likelihood_on_truth=on_truth,
        log_likelihood_on_truth_error=on_truth_error,
        own_log_likelihood=emitter_machine.log_likelihood(settled, true_symbols)[0],
        shortfall=-true / entropy_rate,
        shortfall_error=true_error / entropy_rate,
        frequencies=settled.symbol_frequencies(),
        matched=matched,
    )


def _difference(model: HMM, truth: HMM, symbols: Integer[np.ndarray, "sequence time"]) -> tuple[float, float]:
    """Log likelihood of the model less that of the true one, nats a symbol, and its standard error over sequences."""
    each = (model.log_likelihood(symbols) - truth.log_likelihood(symbols)) / symbols.shape[1]
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def _as_chain(model: HMM) -> Chain:
    return Chain(model.start_distribution[:, None] * model.transition_matrix, model.emission_matrix)


def _located(
    state_map: CompleteMap,
    fitted: Emitted,
    state: Int64[np.ndarray, "sequence time"],
    n_states: int,
    rng: np.random.Generator,
) -> Placement:
    """Where in the network's state space the states lie, how it moves between them, and the fixed or slow point of the
    network without noise that is nearest to each."""
    flat, place = fitted.states.reshape(-1, fitted.states.shape[-1]), state.ravel()
    placement = dynamics.places(flat, place, n_states, rng)
    counts, centres = placement.counts, placement.centres
    arrows = dynamics.moves(fitted.states, state, counts)
    starts = np.concatenate([flat[rng.choice(np.flatnonzero(place == s), N_STARTS)] for s in np.flatnonzero(counts)])
    found = find_fixed_points(
        Subject(state_map),
        input=np.zeros(state_map.input_size),
        starts=starts,
        certify=False,
        max_iterations=60,
    )
    fixed, slow = found.points, found.slow.points
    points, kinds, q, stable = [], [], [], []
    for centre in centres:
        kind, pool = (0, fixed) if len(fixed) else (1, slow) if len(slow) else (2, centre[None])
        nearest = int(np.linalg.norm(pool - centre, axis=1).argmin())
        points.append(pool[nearest])
        kinds.append(kind)
        q.append(float((found.q, found.slow.q, np.zeros(1))[kind][nearest]))
        stable.append(bool(kind == 0 and found.n_unstable[nearest] == 0))
    loops = Loops(
        state=np.arange(n_states),
        symbol=np.full(n_states, -1),
        points=np.stack(points),
        kind=np.array(kinds),
        q=np.array(q),
        stable=np.array(stable),
        distance=np.linalg.norm(np.stack(points) - centres, axis=1),
    )
    return replace(placement, arrows=arrows, loops=loops)
